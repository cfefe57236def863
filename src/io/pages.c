/*
 * pages.c - memory in large pieces, straight from the kernel.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   NULL when the kernel has no memory or no address space.
 */
#define _GNU_SOURCE
#include "io/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/check.h"

enum { TOUCH_BYTES = 4096 };

static void unmap(unsigned char *from, const unsigned char *to)
{
    if (from == to)
        return;
    /* Fails only when the process has too many maps to split one: the pages stay. */
    (void)munmap(from, (size_t)(to - from));
}

/* Asks for one mapping twice as large and gives back what lies outside of the aligned part. */
void *mni_pages_new(bool huge)
{
    const size_t n = MNI_PAGES_BYTES;
    void *map = mmap(NULL, 2 * n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return NULL;
    unsigned char *start = map;
    unsigned char *pages = start + (n - (uintptr_t)start % n) % n;
    unmap(start, pages);
    unmap(pages + n, start + 2 * n);
    /* Without huge pages small ones are used; that is slower and nothing else. */
    if (huge)
        (void)madvise(pages, n, MADV_HUGEPAGE);
    return pages;
}

void mni_pages_touch(void *pages)
{
    volatile unsigned char *bytes = pages;

    for (size_t i = 0; i < MNI_PAGES_BYTES; i += TOUCH_BYTES)
        bytes[i] = 0;
}

void mni_pages_free(void *pages)
{
    if (pages != NULL)
        unmap(pages, (unsigned char *)pages + MNI_PAGES_BYTES);
}
