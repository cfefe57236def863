/*
 * pins.c - what pins hold, within a budget, counted without a word that all threads share.
 *
 *     budget    [ taken by stripes ........................ | free ]
 *     stripes   [ pinned | credit ][ pinned | credit ] ...
 *
 * Each thread has a stripe, a cache line with credit: bytes that it took from the budget and that
 * no pin uses. A pin takes from it, a release gives back to it, whoever pinned. Only a stripe that
 * runs dry, or has far more than it needs, turns to the budget. Before a pin is refused the
 * credit of all stripes is called back. So the sum over stripes says what is pinned.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   a pin beyond the budget is refused.
 */
#include "memtable/memtable_private.h"

enum {
    CHUNKS = 256, /* what a stripe takes at once is such a part of the budget, and at most: */
    CHUNK_BYTES_MAX = 256 << 10,
};

void mni_pins_init(struct pins *pins)
{
    mni_mutex_init(&pins->lock);
    pins->taken_bytes = 0;
    pins->bytes_max = INT64_MAX;
    atomic_init(&pins->chunk_bytes, CHUNK_BYTES_MAX);
    for (size_t i = 0; i < PIN_STRIPES; i++)
        atomic_init(&pins->stripes[i].credit_bytes, 0);
}

void mni_pins_done(struct pins *pins)
{
    mni_mutex_done(&pins->lock);
}

/* Takes back what a stripe has, but for `keep` bytes. The lock is held. */
static void call_back(struct pins *pins, struct pin_stripe *stripe, int64_t keep)
{
    int64_t credit = atomic_load_explicit(&stripe->credit_bytes, memory_order_relaxed);

    while (credit > keep)
        if (atomic_compare_exchange_weak(&stripe->credit_bytes, &credit, keep)) {
            pins->taken_bytes -= credit - keep;
            return;
        }
}

static void call_all_back(struct pins *pins)
{
    for (size_t i = 0; i < PIN_STRIPES; i++)
        call_back(pins, &pins->stripes[i], 0);
}

void mni_pool_limit_pins(struct mni_pool *pool, uint64_t bytes_max)
{
    struct pins *pins = &pool->pins;
    int64_t max = bytes_max < INT64_MAX ? (int64_t)bytes_max : INT64_MAX;

    mni_mutex_lock(&pins->lock);
    pins->bytes_max = max;
    atomic_store(&pins->chunk_bytes,
                 max / CHUNKS < CHUNK_BYTES_MAX ? max / CHUNKS : CHUNK_BYTES_MAX);
    call_all_back(pins);
    mni_mutex_unlock(&pins->lock);
}

/* `n_bytes` straight from the budget, and a chunk of credit if there is that much. */
bool mni_pins_take(struct pins *pins, struct pin_stripe *stripe, int64_t n_bytes)
{
    atomic_fetch_add_explicit(&stripe->credit_bytes, n_bytes, memory_order_relaxed);
    mni_mutex_lock(&pins->lock);
    int64_t chunk = atomic_load_explicit(&pins->chunk_bytes, memory_order_relaxed);
    if (n_bytes + chunk > pins->bytes_max - pins->taken_bytes)
        call_all_back(pins);
    int64_t n_free = pins->bytes_max - pins->taken_bytes; /* below 0: the budget was lowered */
    bool fits = n_bytes <= n_free;
    if (!fits)
        chunk = n_bytes = 0;
    else if (n_bytes + chunk > n_free)
        chunk = 0;
    pins->taken_bytes += n_bytes + chunk;
    atomic_fetch_add_explicit(&stripe->credit_bytes, chunk, memory_order_relaxed);
    mni_mutex_unlock(&pins->lock);
    return fits;
}

/* Keeps a chunk. */
void mni_pins_give(struct pins *pins, struct pin_stripe *stripe)
{
    if (mni_fork_guard_is_child(pins->fork_guard))
        return; /* a thread that is not here may hold the lock */
    mni_mutex_lock(&pins->lock);
    int64_t chunk = atomic_load_explicit(&pins->chunk_bytes, memory_order_relaxed);
    call_back(pins, stripe, pins->taken_bytes > pins->bytes_max ? 0 : chunk);
    mni_mutex_unlock(&pins->lock);
}

bool mni_pool_pin_bytes(struct mni_pool *pool, size_t n_bytes)
{
    return pins_add(&pool->pins, (int64_t)n_bytes);
}

void mni_pool_unpin_bytes(struct mni_pool *pool, size_t n_bytes)
{
    pins_subtract(&pool->pins, (int64_t)n_bytes);
}

uint64_t mni_pool_pinned_bytes(struct mni_pool *pool)
{
    struct pins *pins = &pool->pins;

    mni_mutex_lock(&pins->lock);
    int64_t pinned = pins->taken_bytes;
    for (size_t i = 0; i < PIN_STRIPES; i++)
        pinned -= atomic_load(&pins->stripes[i].credit_bytes);
    mni_mutex_unlock(&pins->lock);
    /* While pins come and go the stripes are seen one after the other. */
    return pinned > 0 ? (uint64_t)pinned : 0;
}
