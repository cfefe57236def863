/* tally_test.c - spans of entities in the buffer, against counting. */
#include "base/mem.h"
#include "fixture.h"

enum {
    COLLECTION = 7,
    OTHER_COLLECTION = 8,
    N_ENTITIES = 3,
    N_TIMES = 40,
    N_KEYS = N_ENTITIES * N_TIMES,
};

/* The newest of each key; an expiry of 0: none. */
struct kept {
    bool is_there;
    int64_t expires;
};

struct run {
    struct mni_memtable *table;
    struct kept kept[N_KEYS];
    uint64_t random;
    uint64_t lsn;
    int64_t now;
};

static uint64_t entity_of(size_t key)
{
    static const uint64_t entities[N_ENTITIES] = {0, 9, UINT64_MAX};

    return entities[key / N_TIMES];
}

static int64_t time_of(size_t key)
{
    size_t i = key % N_TIMES;

    return i == 0 ? INT64_MIN : i == N_TIMES - 1 ? INT64_MAX : (int64_t)i * 3 - 50;
}

static struct run run_new(void)
{
    struct run run = {.random = check_seed(), .now = 100};

    CHECK_OK(mni_pool_new(&pool));
    CHECK_OK(mni_memtable_new(pool, &run.table));
    return run;
}

static void run_free(struct run *run)
{
    mni_memtable_free(run->table);
    CHECK(mni_pool_memory_bytes(pool) < 1 << 20);
    mni_pool_free(pool);
}

static bool is_live(const struct run *run, size_t key)
{
    const struct kept *kept = &run->kept[key];

    return kept->is_there && (kept->expires == 0 || kept->expires > run->now);
}

/* What is below the oldest view is of no interest here: at times there is one. */
static uint64_t some_view(struct run *run)
{
    return check_below(&run->random, 3) == 0 ? run->lsn / 2 : UINT64_MAX;
}

static void change_one(struct run *run)
{
    size_t key = check_below(&run->random, N_KEYS);
    struct mni_point_key bytes = mni_point_key(entity_of(key), time_of(key));
    struct kept *kept = &run->kept[key];
    struct op op = {.collection = COLLECTION, .key = {bytes.bytes, sizeof bytes.bytes}};

    switch (check_below(&run->random, 4)) {
    case 0:
        op.type = MNI_RECORD_DELETE;
        kept->is_there = false;
        break;
    case 1:
        if (!is_live(run, key))
            return;
        op.type = MNI_RECORD_PATCH;
        op.expires = kept->expires = run->now + (int64_t)check_below(&run->random, 20);
        break;
    default:
        op.type = MNI_RECORD_UPSERT;
        kept->is_there = true;
        kept->expires = check_below(&run->random, 3) == 0
                            ? run->now - 2 + (int64_t)check_below(&run->random, 30)
                            : 0;
        op.expires = kept->expires;
        break;
    }
    run->lsn++;
    (void)commit(run->table, op, run->lsn, run->now, some_view(run));
}

/* Keys that are no points, and those of another collection, count nowhere. */
static void add_others(struct run *run)
{
    struct mni_point_key bytes = mni_point_key(9, 3);

    (void)commit(run->table, put(COLLECTION, "a name", 1), ++run->lsn, run->now, UINT64_MAX);
    (void)commit(run->table,
                 (struct op){.type = MNI_RECORD_UPSERT,
                             .collection = OTHER_COLLECTION,
                             .key = {bytes.bytes, sizeof bytes.bytes}},
                 ++run->lsn, run->now, UINT64_MAX);
}

static void order_all(struct run *run)
{
    struct mni_ordering ordering = {.has_begun = false};

    while (!mni_memtable_order(run->table, COLLECTION, run->lsn, &ordering))
        ;
    CHECK(mni_memtable_is_ordered(run->table, COLLECTION, UINT64_MAX));
}

static void check_span(struct run *run, size_t low)
{
    struct mni_point_key key = mni_point_key(entity_of(low), time_of(low));
    struct mni_memtable_span span;
    size_t end = (low / N_TIMES + 1) * N_TIMES;
    size_t first = N_KEYS;
    size_t last = 0;
    uint64_t n = 0;
    uint64_t entity;
    int64_t time_us;

    for (size_t i = low; i < end; i++) {
        if (!is_live(run, i))
            continue;
        first = n == 0 ? i : first;
        last = i;
        n++;
    }
    CHECK(mni_memtable_span(run->table, COLLECTION, (struct mn_slice){key.bytes, sizeof key.bytes},
                            &span));
    CHECK_EQ(span.n_live, n);
    if (n == 0)
        return;
    CHECK(mni_point_key_read(span.first_key, &entity, &time_us));
    CHECK(entity == entity_of(first) && time_us == time_of(first));
    CHECK(mni_point_key_read(span.last_key, &entity, &time_us));
    CHECK(entity == entity_of(last) && time_us == time_of(last));
}

static void spans_are_what_counting_gives(void)
{
    for (int round = 0; round < 20; round++) {
        struct run run = run_new();
        add_others(&run);
        for (int i = 0; i < 600; i++) {
            change_one(&run);
            run.now += (int64_t)check_below(&run.random, 2);
            if (check_below(&run.random, 8) != 0)
                continue;
            (void)mni_memtable_collect(run.table, run.lsn / 2, 5);
            mni_memtable_lapse(run.table, run.now);
            order_all(&run);
            check_span(&run, check_below(&run.random, N_KEYS));
            check_span(&run, check_below(&run.random, N_ENTITIES) * N_TIMES);
        }
        run_free(&run);
    }
}

/* A tally for which there is no memory: nothing is told, and nothing wrong. */
static void without_memory_nothing_is_told(void)
{
    for (uint64_t call = 1;; call++) {
        struct run run = run_new();
        struct mni_point_key key = mni_point_key(9, INT64_MIN);
        struct mni_memtable_span span;
        for (int i = 0; i < 100; i++)
            change_one(&run);
        mni_mem_fail_at(call);
        order_all(&run);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        for (int i = 0; i < 100; i++)
            change_one(&run);
        mni_memtable_lapse(run.table, run.now);
        order_all(&run);
        if (mni_memtable_span(run.table, COLLECTION, (struct mn_slice){key.bytes, sizeof key.bytes},
                              &span))
            check_span(&run, N_TIMES);
        run_free(&run);
        if (!was_hit)
            return;
    }
}

/* So many keys that do not count lie before the first one that nobody looks. */
static void long_gaps_are_not_told(void)
{
    struct run run = run_new();
    struct mni_memtable_span span;
    struct mni_point_key low = mni_point_key(9, 0);

    for (int64_t i = 0; i < 2000; i++) {
        struct mni_point_key key = mni_point_key(9, i);
        struct op op = {.type = MNI_RECORD_UPSERT,
                        .collection = COLLECTION,
                        .key = {key.bytes, sizeof key.bytes}};
        (void)commit(run.table, op, ++run.lsn, run.now, UINT64_MAX);
    }
    for (int64_t i = 0; i < 1999; i++) { /* an old view needs them */
        struct mni_point_key key = mni_point_key(9, i);
        struct op op = {.type = MNI_RECORD_DELETE,
                        .collection = COLLECTION,
                        .key = {key.bytes, sizeof key.bytes}};
        (void)commit(run.table, op, ++run.lsn, run.now, 1);
    }
    order_all(&run);
    struct mn_slice low_key = {low.bytes, sizeof low.bytes};
    CHECK(!mni_memtable_span(run.table, COLLECTION, low_key, &span));
    (void)mni_memtable_collect(run.table, UINT64_MAX, SIZE_MAX);
    CHECK(mni_memtable_span(run.table, COLLECTION, low_key, &span));
    CHECK_EQ(span.n_live, 1);
    run_free(&run);
}

/* Names of 16 bytes are no entities: they cost no memory, however many there are. */
static void short_entities_have_no_tallies(void)
{
    enum { N = 30000 };
    struct run run = run_new();
    struct mni_memtable_span span;

    for (uint64_t i = 0; i < N; i++) {
        struct mni_point_key key = mni_point_key(check_random(&run.random), (int64_t)i);
        struct op op = {.type = MNI_RECORD_UPSERT,
                        .collection = COLLECTION,
                        .key = {key.bytes, sizeof key.bytes}};
        (void)commit(run.table, op, ++run.lsn, run.now, UINT64_MAX);
    }
    uint64_t before = mni_pool_memory_bytes(pool);
    order_all(&run);
    CHECK(mni_pool_memory_bytes(pool) - before < N * 20);
    struct mni_point_key key = mni_point_key(9, INT64_MIN);
    CHECK(!mni_memtable_span(run.table, COLLECTION, (struct mn_slice){key.bytes, sizeof key.bytes},
                             &span));
    run_free(&run);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(spans_are_what_counting_gives),
        CHECK_TEST(without_memory_nothing_is_told),
        CHECK_TEST(long_gaps_are_not_told),
        CHECK_TEST(short_entities_have_no_tallies),
    };

    return check_run("memtable.tally", tests, CHECK_COUNT(tests), argc, argv);
}
