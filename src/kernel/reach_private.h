/*
 * reach_private.h - which vectors may reach a score: plain C, for sets that have nothing faster.
 */
#ifndef MNI_KERNEL_REACH_PRIVATE_H
#define MNI_KERNEL_REACH_PRIVATE_H

#include "kernel/kernel.h"

static uint64_t reach(const struct mni_reach *reach, const int32_t *products, const float *scales,
                      const float *rests, const float *lengths, size_t n)
{
    const struct mni_reach r = *reach;
    unsigned char is_out[64] = {0};
    uint64_t reaching = 0;

    for (size_t i = 0; i < n; i++) {
        float most = (float)products[i] * (r.by_product * scales[i]) + r.by_rest * rests[i] +
                     (r.by_length + r.by_square * lengths[i]) * lengths[i];

        is_out[i] = most < r.least;
    }
    for (size_t i = 0; i < n; i++)
        reaching |= (uint64_t)(is_out[i] == 0) << i;
    return reaching;
}

static uint64_t above(const struct mni_above *above, const float *raw, const float *lengths,
                      size_t n)
{
    const struct mni_above a = *above;
    unsigned char is_out[64] = {0};
    uint64_t which_are = 0;

    for (size_t i = 0; i < n; i++)
        is_out[i] = a.by_raw * raw[i] + (lengths != NULL ? a.by_length * lengths[i] : 0) < a.least;
    for (size_t i = 0; i < n; i++)
        which_are |= (uint64_t)(is_out[i] == 0) << i;
    return which_are;
}

#endif
