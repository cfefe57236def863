/* Tests of the memory of versions. */
#include "check.h"

#include <string.h>

#include "base/mem.h"
#include "io/pages.h"
#include "memtable/slabs_private.h"

struct held {
    unsigned char *block;
    size_t n_bytes;
    unsigned char mark;
};

static void fill(struct held *h)
{
    memset(h->block, h->mark, h->n_bytes);
}

static bool is_intact(const struct held *h)
{
    for (size_t i = 0; i < h->n_bytes; i++)
        if (h->block[i] != h->mark)
            return false;
    return true;
}

static void blocks_of_all_sizes_do_not_overlap(void)
{
    struct slab_pool pool;
    struct held held[64] = {0};
    uint64_t random = check_seed();
    uint64_t n_live = mni_mem_live_blocks();
    mni_slabs_init(&pool);
    for (int step = 0; step < 60000; step++) {
        struct held *h = &held[check_below(&random, CHECK_COUNT(held))];
        if (h->block != NULL) {
            CHECK(is_intact(h));
            mni_slabs_free(&pool, h->block);
            h->block = NULL;
            continue;
        }
        h->n_bytes = 1 + check_below(&random, SLAB_BLOCK_BYTES_MAX);
        h->mark = (unsigned char)check_random(&random);
        h->block = mni_slabs_alloc(&pool, h->n_bytes);
        CHECK(h->block != NULL);
        CHECK_EQ((uintptr_t)h->block % 16, 0);
        fill(h);
    }
    for (size_t i = 0; i < CHECK_COUNT(held); i++) {
        if (held[i].block == NULL)
            continue;
        CHECK(is_intact(&held[i]));
        mni_slabs_free(&pool, held[i].block);
    }
    mni_slabs_done(&pool);
    CHECK_EQ(mni_mem_live_blocks(), n_live);
}

static void every_size_that_is_served_fits_its_block(void)
{
    struct slab_pool pool;
    mni_slabs_init(&pool);
    CHECK(!mni_slabs_serves(SLAB_BLOCK_BYTES_MAX + 1));
    for (size_t n = sizeof(void *); n <= SLAB_BLOCK_BYTES_MAX; n++) {
        struct held one = {mni_slabs_alloc(&pool, n), n, 0xA5};
        struct held two = {mni_slabs_alloc(&pool, n), n, 0x5A};
        CHECK(one.block != NULL && two.block != NULL);
        fill(&one);
        fill(&two);
        CHECK(is_intact(&one));
        mni_slabs_free(&pool, two.block);
        mni_slabs_free(&pool, one.block);
    }
    mni_slabs_done(&pool);
}

static void memory_comes_back_when_blocks_go(void)
{
    enum { N_BLOCKS = 4000 };
    static void *blocks[N_BLOCKS];
    struct slab_pool pool;
    mni_slabs_init(&pool);
    for (int i = 0; i < N_BLOCKS; i++) {
        blocks[i] = mni_slabs_alloc(&pool, 3000);
        CHECK(blocks[i] != NULL);
    }
    CHECK(pool.n_regions >= (size_t)N_BLOCKS * 3000 / MNI_PAGES_BYTES);
    for (int i = 0; i < N_BLOCKS; i++)
        mni_slabs_free(&pool, blocks[i]);
    CHECK(pool.n_regions <= 1);
    mni_slabs_done(&pool);
}

/* Few blocks of each generation survive; their regions must serve the next one. */
static void regions_that_empty_in_part_are_used_again(void)
{
    enum { N_BLOCKS = 8000, N_GENERATIONS = 12, KEPT_EVERY = 16 };
    static void *blocks[N_BLOCKS];
    static void *kept[N_GENERATIONS * N_BLOCKS / KEPT_EVERY];
    size_t n_kept = 0;
    struct slab_pool pool;
    mni_slabs_init(&pool);
    for (int g = 0; g < N_GENERATIONS; g++) {
        size_t n_bytes = 600 + (size_t)g * 650; /* another class each time */
        for (int i = 0; i < N_BLOCKS; i++) {
            blocks[i] = mni_slabs_alloc(&pool, n_bytes);
            CHECK(blocks[i] != NULL);
        }
        /* One slab in sixteen keeps a block. */
        uintptr_t slab = 0;
        size_t n_slabs = 0;
        for (int i = 0; i < N_BLOCKS; i++) {
            bool is_new = ((uintptr_t)blocks[i] & ~(uintptr_t)(SLAB_BYTES - 1)) != slab;
            slab = (uintptr_t)blocks[i] & ~(uintptr_t)(SLAB_BYTES - 1);
            n_slabs += is_new;
            if (is_new && n_slabs % KEPT_EVERY == 0)
                kept[n_kept++] = blocks[i];
            else
                mni_slabs_free(&pool, blocks[i]);
        }
    }
    /* The largest generation takes 69 MB; what is kept lies in a sixteenth of the slabs. */
    CHECK(pool.n_regions * MNI_PAGES_BYTES < (size_t)120 << 20);
    while (n_kept > 0)
        mni_slabs_free(&pool, kept[--n_kept]);
    mni_slabs_done(&pool);
}

static void count_wish(void *context)
{
    (*(int *)context)++;
}

static void a_growing_pool_asks_for_stock_and_uses_it(void)
{
    enum { N_BLOCKS = 2000 };
    static void *blocks[N_BLOCKS];
    struct slab_pool pool;
    int n_wishes = 0;
    mni_slabs_init(&pool);
    pool.on_want = count_wish;
    pool.on_want_context = &n_wishes;
    mni_slabs_stock(&pool); /* nothing is wanted */
    CHECK(pool.stock == NULL);
    for (int i = 0; i < N_BLOCKS; i++) {
        blocks[i] = mni_slabs_alloc(&pool, 4000);
        CHECK(blocks[i] != NULL);
        if (n_wishes == 1 && pool.stock == NULL)
            mni_slabs_stock(&pool);
    }
    CHECK(n_wishes > 1);
    CHECK(pool.stock == NULL); /* taken */
    for (int i = 0; i < N_BLOCKS; i++)
        mni_slabs_free(&pool, blocks[i]);
    mni_slabs_done(&pool);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(blocks_of_all_sizes_do_not_overlap),
        CHECK_TEST(every_size_that_is_served_fits_its_block),
        CHECK_TEST(memory_comes_back_when_blocks_go),
        CHECK_TEST(regions_that_empty_in_part_are_used_again),
        CHECK_TEST(a_growing_pool_asks_for_stock_and_uses_it),
    };
    return check_run("memtable.slabs", tests, CHECK_COUNT(tests), argc, argv);
}
