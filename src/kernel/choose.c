/*
 * choose.c - which kernels this machine runs.
 *
 * Owns:    the choice, made by the first call and then never changed.
 * Threads: any; two that come first at once choose the same.
 * Fails:   never; a name in MNEME_KERNELS that is none, or not for this machine, is passed over.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel_private.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* Not every compiler's __builtin_cpu_supports knows this name. */
static bool has_f16c(void)
{
    unsigned eax;
    unsigned ebx;
    unsigned ecx = 0;
    unsigned edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("popcnt") && has_f16c();
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

/* The fastest first. */
static const struct mni_kernels *kernels_at(size_t index)
{
    switch (index) {
#if defined(__x86_64__)
    case 0:
        return has_avx512() ? &mni_kernels_avx512 : NULL;
    case 1:
        return has_avx2() ? &mni_kernels_avx2 : NULL;
#elif defined(__aarch64__)
    case 0:
        return &mni_kernels_neon;
#endif
    default:
        return &mni_kernels_scalar;
    }
}

enum { N_SETS = 3 };

const struct mni_kernels *mni_kernels_by_name(const char *name)
{
    for (size_t i = 0; i < N_SETS; i++) {
        const struct mni_kernels *kernels = kernels_at(i);

        if (kernels != NULL && strcmp(kernels->name, name) == 0)
            return kernels;
    }
    return NULL;
}

const struct mni_kernels *mni_kernels(void)
{
    static _Atomic(const struct mni_kernels *) chosen;
    const struct mni_kernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    const char *forced;

    if (kernels != NULL)
        return kernels;
    forced = getenv("MNEME_KERNELS");
    if (forced != NULL)
        kernels = mni_kernels_by_name(forced);
    for (size_t i = 0; kernels == NULL; i++)
        kernels = kernels_at(i);
    atomic_store_explicit(&chosen, kernels, memory_order_release);
    return kernels;
}
