/*
 * kernel_private.h - the sets of kernels, each in a file of its own.
 */
#ifndef MNI_KERNEL_KERNEL_PRIVATE_H
#define MNI_KERNEL_KERNEL_PRIVATE_H

#include <string.h>

#include "kernel/kernel.h"

/* Of row `r` alone, where fewer rows are left than are taken side by side. */
static inline int32_t mni_dot_quads(const int8_t *query, const int8_t *quads, size_t r,
                                    size_t n_rows, size_t n_quads)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n_quads * MNI_QUAD; i++)
        sum += query[i] * quads[(i / MNI_QUAD * n_rows + r) * MNI_QUAD + i % MNI_QUAD];
    return sum;
}

/* A quad of a query, for all rows beside each other. */
static inline int32_t mni_quad(const int8_t *query, size_t i)
{
    int32_t quad;

    memcpy(&quad, query + i * MNI_QUAD, sizeof quad);
    return quad;
}

extern const struct mni_kernels mni_kernels_scalar;
#if defined(__x86_64__)
extern const struct mni_kernels mni_kernels_avx2;   /* AVX2, FMA, F16C, POPCNT */
extern const struct mni_kernels mni_kernels_avx512; /* F, BW, VL, DQ, VNNI, VPOPCNTDQ */
#elif defined(__aarch64__)
extern const struct mni_kernels mni_kernels_neon;
#endif

#endif
