/*
 * mem.c - allocation through one door.
 *
 * Owns:    in test builds, the counters of the allocation fault loop.
 * Threads: any.
 * Fails:   returns NULL; the caller reports MN_ERR_NOMEM.
 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#ifdef MNI_TEST_HOOKS
#include <malloc.h>
#include <stdatomic.h>

static atomic_uint_fast64_t n_calls;
static atomic_uint_fast64_t fail_at;
static atomic_uint_fast64_t n_live;
static atomic_uint_fast64_t n_live_bytes;
static atomic_uint_fast64_t n_peak_bytes;
static atomic_bool was_hit;

void mni_mem_fail_at(uint64_t call_number)
{
    atomic_store(&n_calls, 0);
    atomic_store(&was_hit, false);
    atomic_store(&fail_at, call_number);
}

bool mni_mem_fail_was_hit(void)
{
    return atomic_load(&was_hit);
}

uint64_t mni_mem_calls(void)
{
    return atomic_load(&n_calls);
}

uint64_t mni_mem_live_blocks(void)
{
    return atomic_load(&n_live);
}

uint64_t mni_mem_live_bytes(void)
{
    return atomic_load(&n_live_bytes);
}

uint64_t mni_mem_peak_bytes(void)
{
    return atomic_load(&n_peak_bytes);
}

void mni_mem_reset_peak(void)
{
    atomic_store(&n_peak_bytes, atomic_load(&n_live_bytes));
}

static bool may_allocate(void)
{
    uint64_t call = atomic_fetch_add(&n_calls, 1) + 1;

    if (call != atomic_load(&fail_at))
        return true;
    atomic_store(&was_hit, true);
    return false;
}

static void *counted(void *memory)
{
    if (memory == NULL)
        return NULL;
    size_t n_bytes = malloc_usable_size(memory);
    uint64_t now = atomic_fetch_add(&n_live_bytes, n_bytes) + n_bytes;
    uint64_t peak = atomic_load(&n_peak_bytes);
    while (now > peak && !atomic_compare_exchange_weak(&n_peak_bytes, &peak, now))
        continue;
    atomic_fetch_add(&n_live, 1);
    return memory;
}

static void uncounted(void *memory)
{
    if (memory == NULL)
        return;
    atomic_fetch_sub(&n_live_bytes, malloc_usable_size(memory));
    atomic_fetch_sub(&n_live, 1);
}
#else
static bool may_allocate(void)
{
    return true;
}

static void *counted(void *memory)
{
    return memory;
}

static void uncounted(void *memory)
{
    (void)memory;
}
#endif

void *mni_alloc(size_t n_bytes)
{
    return may_allocate() ? counted(malloc(n_bytes == 0 ? 1 : n_bytes)) : NULL;
}

void *mni_alloc_zero(size_t n_bytes)
{
    return may_allocate() ? counted(calloc(1, n_bytes == 0 ? 1 : n_bytes)) : NULL;
}

void *mni_alloc_array(size_t n_items, size_t item_bytes)
{
    size_t n_bytes;

    if (__builtin_mul_overflow(n_items, item_bytes, &n_bytes))
        return NULL;
    return mni_alloc(n_bytes);
}

void *mni_realloc(void *memory, size_t n_bytes)
{
    if (!may_allocate())
        return NULL;
    uncounted(memory);
    void *moved = realloc(memory, n_bytes == 0 ? 1 : n_bytes);
    (void)counted(moved != NULL ? moved : memory);
    return moved;
}

void *mni_alloc_aligned(size_t alignment, size_t n_bytes)
{
    size_t rounded;

    if (__builtin_add_overflow(n_bytes, alignment - 1, &rounded))
        return NULL;
    rounded &= ~(alignment - 1);
    return may_allocate() ? counted(aligned_alloc(alignment, rounded == 0 ? alignment : rounded))
                          : NULL;
}

void mni_free(void *memory)
{
    uncounted(memory);
    free(memory);
}
