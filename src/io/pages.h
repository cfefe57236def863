/*
 * pages.h - memory in large pieces, straight from the kernel.
 */
#ifndef MNI_IO_PAGES_H
#define MNI_IO_PAGES_H

#include <stdbool.h>
#include <stddef.h>

enum { MNI_PAGES_BYTES = 2 << 20 };

/* Maps MNI_PAGES_BYTES of zeroes at a multiple of that size, NULL when memory is short. With `huge`
 * the kernel is asked for a huge page: for memory that will be filled. Any thread. */
void *mni_pages_new(bool huge);
/* Touches the memory, so that whoever writes to it first does not wait for the kernel: on a virtual
 * machine that can cost a microsecond per KiB. */
void mni_pages_touch(void *pages);
void mni_pages_free(void *pages); /* NULL is fine */

#endif
