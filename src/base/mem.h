/*
 * mem.h - all memory of the library is allocated here, so that tests can fail the N-th call.
 */
#ifndef MNI_BASE_MEM_H
#define MNI_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns NULL when memory is short; a size of 0 allocates one byte. Free with mni_free. */
void *mni_alloc(size_t n_bytes);
void *mni_alloc_zero(size_t n_bytes);
void *mni_alloc_array(size_t n_items, size_t item_bytes);  /* NULL on overflow too */
void *mni_realloc(void *memory, size_t n_bytes);           /* keeps `memory` when it fails */
void *mni_alloc_aligned(size_t alignment, size_t n_bytes); /* alignment: a power of two */
void mni_free(void *memory);                               /* NULL is fine */

#ifdef MNI_TEST_HOOKS
/* Only in the library that the tests link. Counts of this process; not for threads that race. */
void mni_mem_fail_at(uint64_t call_number); /* 1 = the next call fails; 0 = none fails */
bool mni_mem_fail_was_hit(void);
uint64_t mni_mem_calls(void);       /* calls since the last mni_mem_fail_at */
uint64_t mni_mem_live_blocks(void); /* allocated and not freed */
uint64_t mni_mem_live_bytes(void);
uint64_t mni_mem_peak_bytes(void); /* the most of them since the last mni_mem_reset_peak */
void mni_mem_reset_peak(void);
#endif

#endif
