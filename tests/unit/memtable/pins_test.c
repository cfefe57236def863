/* Tests of the budget of pins: nothing beyond it, everything within it, whichever thread asks. */
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "io/thread.h"
#include "memtable/memtable_private.h"

enum { BUDGET = 1 << 20, N_THREADS = 4, N_STEPS = 20000, N_HELD = 256 };

static void the_budget_is_used_to_the_last_byte_and_no_further(void)
{
    CHECK_OK(mni_pool_new(&pool));
    mni_pool_limit_pins(pool, BUDGET);
    CHECK_EQ(mni_pool_pinned_bytes(pool), 0);
    for (size_t n = 1; n <= BUDGET; n *= 2) {
        for (size_t i = 0; i < BUDGET / n; i++)
            CHECK(mni_pool_pin_bytes(pool, n));
        CHECK_EQ(mni_pool_pinned_bytes(pool), BUDGET);
        CHECK(!mni_pool_pin_bytes(pool, 1));
        CHECK(!mni_pool_pin_bytes(pool, n));
        CHECK_EQ(mni_pool_pinned_bytes(pool), BUDGET); /* a refusal leaves nothing */
        mni_pool_unpin_bytes(pool, n);
        CHECK_EQ(mni_pool_pinned_bytes(pool), BUDGET - n);
        CHECK(mni_pool_pin_bytes(pool, n));
        for (size_t i = 0; i < BUDGET / n; i++)
            mni_pool_unpin_bytes(pool, n);
        CHECK_EQ(mni_pool_pinned_bytes(pool), 0);
    }
    CHECK(!mni_pool_pin_bytes(pool, BUDGET + 1));
    mni_pool_free(pool);
}

static void a_lower_budget_keeps_what_is_pinned(void)
{
    CHECK_OK(mni_pool_new(&pool));
    CHECK(mni_pool_pin_bytes(pool, (size_t)8 * BUDGET)); /* none was set */
    mni_pool_limit_pins(pool, BUDGET);
    CHECK_EQ(mni_pool_pinned_bytes(pool), (size_t)8 * BUDGET);
    CHECK(!mni_pool_pin_bytes(pool, 1));
    mni_pool_unpin_bytes(pool, (size_t)7 * BUDGET);
    CHECK(!mni_pool_pin_bytes(pool, 1));
    mni_pool_unpin_bytes(pool, 1);
    CHECK(mni_pool_pin_bytes(pool, 1));
    mni_pool_unpin_bytes(pool, BUDGET);
    CHECK_EQ(mni_pool_pinned_bytes(pool), 0);
    mni_pool_free(pool);
}

/* What all threads hold, as they know it themselves. */
static atomic_uint_fast64_t n_held_bytes;
static atomic_uint n_refused;
static atomic_uint n_beyond;

static void pin_and_unpin(void *context)
{
    size_t held[N_HELD] = {0};
    uint64_t random = *(const uint64_t *)context;

    for (int step = 0; step < N_STEPS; step++) {
        size_t at = check_below(&random, N_HELD);
        if (held[at] != 0) {
            atomic_fetch_sub(&n_held_bytes, held[at]);
            mni_pool_unpin_bytes(pool, held[at]);
            held[at] = 0;
            continue;
        }
        size_t n = 1 + check_below(&random, check_below(&random, 8) == 0 ? 64 << 10 : 1 << 10);
        if (!mni_pool_pin_bytes(pool, n)) {
            atomic_fetch_add(&n_refused, 1);
            continue;
        }
        held[at] = n;
        if (atomic_fetch_add(&n_held_bytes, n) + n > BUDGET)
            atomic_fetch_add(&n_beyond, 1);
    }
    for (size_t i = 0; i < N_HELD; i++) {
        atomic_fetch_sub(&n_held_bytes, held[i]);
        mni_pool_unpin_bytes(pool, held[i]);
    }
}

static void threads_never_pin_more_than_the_budget(void)
{
    struct mni_thread threads[N_THREADS];
    uint64_t seeds[N_THREADS];
    uint64_t random = check_seed();

    CHECK_OK(mni_pool_new(&pool));
    mni_pool_limit_pins(pool, BUDGET);
    for (size_t i = 0; i < N_THREADS; i++) {
        seeds[i] = check_below(&random, UINT32_MAX) + 1;
        CHECK_OK(mni_thread_start(&threads[i], pin_and_unpin, &seeds[i], NULL));
    }
    for (size_t i = 0; i < N_THREADS; i++)
        mni_thread_join(&threads[i]);
    CHECK_EQ(atomic_load(&n_beyond), 0);
    CHECK(atomic_load(&n_refused) > 0);
    CHECK_EQ(mni_pool_pinned_bytes(pool), 0);
    CHECK(mni_pool_pin_bytes(pool, BUDGET)); /* credit that is left with stripes is called back */
    mni_pool_unpin_bytes(pool, BUDGET);
    mni_pool_free(pool);
}

/* Locks of the slabs may be held there by threads that it does not have. */
static void a_child_of_fork_gives_nothing_back(void)
{
    int status = -1;

    CHECK_OK(mni_pool_new(&pool));
    void *block = mni_pool_alloc_block(pool, 100);
    CHECK(block != NULL);
    uint64_t n_bytes = mni_pool_memory_bytes(pool);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mni_pool_dealloc_block(pool, block, 100);
        _exit(mni_pool_memory_bytes(pool) == n_bytes ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    mni_pool_dealloc_block(pool, block, 100);
    CHECK(mni_pool_memory_bytes(pool) < n_bytes);
    mni_pool_free(pool);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_budget_is_used_to_the_last_byte_and_no_further),
        CHECK_TEST(a_lower_budget_keeps_what_is_pinned),
        CHECK_TEST(a_child_of_fork_gives_nothing_back),
        CHECK_TEST(threads_never_pin_more_than_the_budget),
    };

    return check_run("memtable.pins", tests, CHECK_COUNT(tests), argc, argv);
}
