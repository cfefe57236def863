/*
 * compare.h - the order of keys, their beginnings, and the order of numbers for qsort.
 */
#ifndef MNI_BASE_COMPARE_H
#define MNI_BASE_COMPARE_H

#include <stdbool.h>
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

static inline bool mni_begins_with(struct mn_slice text, struct mn_slice prefix)
{
    return text.n_bytes >= prefix.n_bytes &&
           (prefix.n_bytes == 0 || memcmp(text.data, prefix.data, prefix.n_bytes) == 0);
}

/* Of two uint64_t. */
static inline int mni_compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Whether a number is among `n` ascending ones. */
static inline bool mni_contains_u64(const uint64_t *numbers, size_t n, uint64_t number)
{
    size_t low = 0;
    size_t high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && numbers[low] == number;
}

#endif
