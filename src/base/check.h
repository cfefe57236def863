/*
 * check.h - assertions. They catch our bugs, never bad input, and stay on in release builds.
 */
#ifndef MNI_BASE_CHECK_H
#define MNI_BASE_CHECK_H

#include <assert.h>

/* Ends the process with SIGABRT. The three arguments stand in the core dump's top frame. */
_Noreturn void mni_check_failed(const char *file, int line, const char *condition);

#define MNI_CHECK(condition)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            mni_check_failed(__FILE__, __LINE__, #condition);                                      \
    } while (0)

/* A check that may be costly: only in debug builds. */
#ifdef MNI_DEBUG
#define MNI_DEBUG_CHECK(condition) MNI_CHECK(condition)
#else
#define MNI_DEBUG_CHECK(condition) ((void)0)
#endif

#endif
