/*
 * pool.c - the memory that the tables of a store share.
 *
 * Owns:    the slabs.
 * Threads: any.
 * Fails:   NULL or MN_ERR_NOMEM when memory is short.
 */
#include <string.h>

#include "base/mem.h"
#include "memtable/memtable_private.h"

void *mni_pool_alloc(struct mni_pool *pool, size_t n_bytes)
{
    void *memory = mni_alloc(n_bytes);

    if (memory != NULL)
        atomic_fetch_add_explicit(&pool->memory_bytes, n_bytes, memory_order_relaxed);
    return memory;
}

void *mni_pool_alloc_zero(struct mni_pool *pool, size_t n_bytes)
{
    void *memory = mni_alloc_zero(n_bytes);

    if (memory != NULL)
        atomic_fetch_add_explicit(&pool->memory_bytes, n_bytes, memory_order_relaxed);
    return memory;
}

void mni_pool_dealloc(struct mni_pool *pool, void *memory, size_t n_bytes)
{
    atomic_fetch_sub_explicit(&pool->memory_bytes, n_bytes, memory_order_relaxed);
    mni_free(memory);
}

/* Test builds see every version as an allocation of its own, so that the N-th can fail and a
 * sanitizer sees a use after the end. */
#if defined(MNI_TEST_HOOKS) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static bool comes_from_slab(size_t n_bytes)
{
    (void)n_bytes;
    return false;
}
#else
static bool comes_from_slab(size_t n_bytes)
{
    return mni_slabs_serves(n_bytes);
}
#endif

void *mni_pool_alloc_block(struct mni_pool *pool, size_t n_bytes)
{
    if (!comes_from_slab(n_bytes))
        return mni_pool_alloc(pool, n_bytes);
    return mni_slabs_alloc(&pool->slabs, n_bytes);
}

/* A child of fork may have been made while a thread that it does not have held a lock of the slabs:
 * there, what is let go of stays until the process ends. */
void mni_pool_dealloc_block(struct mni_pool *pool, void *memory, size_t n_bytes)
{
    if (mni_fork_guard_is_child(pool->fork_guard))
        return;
    if (!comes_from_slab(n_bytes)) {
        mni_pool_dealloc(pool, memory, n_bytes);
        return;
    }
    mni_slabs_free(&pool->slabs, memory);
}

void mni_pool_on_want_stock(struct mni_pool *pool, void (*on_want)(void *context), void *context)
{
    pool->slabs.on_want = on_want;
    pool->slabs.on_want_context = context;
}

void mni_pool_stock(struct mni_pool *pool)
{
    mni_slabs_stock(&pool->slabs);
}

mn_status mni_pool_new(struct mni_pool **pool_out)
{
    struct mni_pool *pool = mni_alloc_aligned(CACHE_LINE_BYTES, sizeof *pool);

    *pool_out = NULL;
    if (pool == NULL)
        return MN_ERR_NOMEM;
    memset(pool, 0, sizeof *pool);
    mn_status st = mni_fork_guard_new(&pool->fork_guard, NULL);
    if (st != MN_OK) {
        mni_free(pool);
        return st;
    }
    atomic_init(&pool->memory_bytes, sizeof *pool);
    mni_slabs_init(&pool->slabs);
    mni_pins_init(&pool->pins);
    pool->pins.fork_guard = pool->fork_guard;
    *pool_out = pool;
    return MN_OK;
}

void mni_pool_free(struct mni_pool *pool)
{
    if (pool == NULL)
        return;
    MNI_CHECK(mni_pool_pinned_bytes(pool) == 0);
    MNI_CHECK(atomic_load(&pool->memory_bytes) == sizeof *pool);
    mni_slabs_done(&pool->slabs);
    mni_pins_done(&pool->pins);
    mni_fork_guard_free(pool->fork_guard);
    mni_free(pool);
}

uint64_t mni_pool_memory_bytes(const struct mni_pool *pool)
{
    return atomic_load_explicit(&pool->memory_bytes, memory_order_relaxed) +
           mni_slabs_memory_bytes(&pool->slabs);
}
