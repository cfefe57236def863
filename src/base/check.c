/*
 * check.c - what a failed check does.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   always, that is its purpose.
 */
#include "base/check.h"

#include <stdlib.h>
#ifdef MNI_DEBUG
#include <stdio.h>
#endif

__attribute__((noinline)) _Noreturn void mni_check_failed(const char *file, int line,
                                                          const char *condition)
{
#ifdef MNI_DEBUG
    /* The library never prints; a debug build is for its developers. */
    (void)fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
#endif
    /* Keeps the arguments alive for the debugger. */
    __asm__ volatile("" : : "r"(file), "r"(line), "r"(condition) : "memory");
    abort();
}
