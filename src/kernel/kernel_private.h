/*
 * kernel_private.h - the sets of kernels, each in a file of its own.
 */
#ifndef MNI_KERNEL_KERNEL_PRIVATE_H
#define MNI_KERNEL_KERNEL_PRIVATE_H

#include "kernel/kernel.h"

extern const struct mni_kernels mni_kernels_scalar;
#if defined(__x86_64__)
extern const struct mni_kernels mni_kernels_avx2;   /* AVX2, FMA, F16C, POPCNT */
extern const struct mni_kernels mni_kernels_avx512; /* F, BW, VL, DQ, VNNI, VPOPCNTDQ */
#elif defined(__aarch64__)
extern const struct mni_kernels mni_kernels_neon;
#endif

#endif
