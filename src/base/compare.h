/*
 * compare.h - the order of keys, and of numbers for qsort and bsearch.
 */
#ifndef MNI_BASE_COMPARE_H
#define MNI_BASE_COMPARE_H

#include <stdint.h>
#include <string.h>

#include "mneme/types.h"

/* By their bytes; of two that begin alike the shorter one is first. */
static inline int mni_key_compare(struct mn_slice a, struct mn_slice b)
{
    size_t n = a.n_bytes < b.n_bytes ? a.n_bytes : b.n_bytes;
    int order = n == 0 ? 0 : memcmp(a.data, b.data, n);

    return order != 0 ? order : (a.n_bytes > b.n_bytes) - (a.n_bytes < b.n_bytes);
}

/* Of two uint64_t. */
static inline int mni_compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

#endif
