/*
 * pages.h - memory in large pieces, straight from the kernel.
 */
#ifndef MNI_IO_PAGES_H
#define MNI_IO_PAGES_H

#include <stdbool.h>
#include <stddef.h>

enum { MNI_PAGES_BYTES = 2 << 20 };

/*
 * Maps MNI_PAGES_BYTES of zeroes at a multiple of that size, NULL when memory is short. With
 * `populate` the kernel is asked for huge pages and the memory is touched, so that whoever writes
 * to it does not wait for that: on a virtual machine a first touch can cost a microsecond per
 * KiB. Any thread.
 */
void *mni_pages_new(bool populate);
void mni_pages_free(void *pages); /* NULL is fine */

#endif
