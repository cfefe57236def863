/*
 * model_test.c - long random runs of the buffer against arrays that remember everything.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    N_COLLECTIONS = 4, /* alive at a time, number 0 among them */
    N_KEYS = 40,
    N_VIEWS = 6,
    N_PINS = 16,
    N_OPS_MAX = 6,
    N_VERSIONS_MAX = 4000,
    N_DROPPED_MAX = 8,
};

struct model_version {
    enum mni_record_type type; /* upsert or delete; patched ones are upserts of their own */
    uint64_t lsn;
    uint64_t record_lsn;
    uint64_t value;
    int64_t expires; /* 0 for none */
    uint64_t hits;
};

struct model_key {
    struct model_version *versions; /* oldest first */
    size_t n_versions;
};

struct model_collection {
    uint64_t number;
    uint64_t dropped_lsn; /* 0: alive */
    struct model_key keys[N_KEYS];
};

struct model_pin {
    struct mni_version *version;
    struct model_version expected;
    size_t n_bytes;
};

struct run {
    uint64_t random;
    struct mni_memtable *table;
    struct model_collection alive[N_COLLECTIONS];
    struct model_collection dropped[N_DROPPED_MAX];
    size_t n_dropped;
    struct mni_view_point views[N_VIEWS];
    size_t n_views;
    struct model_pin pins[N_PINS];
    size_t n_pins;
    uint64_t lsn;
    int64_t now;
    int64_t lapsed_at;
    uint64_t next_number;
    uint64_t next_value;
    unsigned char names[N_KEYS][24];
    size_t name_bytes[N_KEYS];
};

static struct mn_slice key_name(const struct run *run, size_t key)
{
    return (struct mn_slice){run->names[key], run->name_bytes[key]};
}

static int compare_names(struct mn_slice a, struct mn_slice b)
{
    size_t n = a.n_bytes < b.n_bytes ? a.n_bytes : b.n_bytes;
    int order = memcmp(a.data, b.data, n);

    return order != 0 ? order : (a.n_bytes > b.n_bytes) - (a.n_bytes < b.n_bytes);
}

/* Names in order, different, many with a common beginning, some a beginning of others, some with
 * NUL and 0xff in them. */
static void make_names(struct run *run)
{
    static const unsigned char bytes[] = {0, 'a', 'b', 0x7f, 0x80, 0xff};

    for (size_t n = 0; n < N_KEYS;) {
        unsigned char name[24];
        size_t n_bytes = 0;
        if (check_below(&run->random, 4) > 0) {
            memcpy(name, "memory-", 7);
            n_bytes = 7;
        }
        size_t n_more = 1 + check_below(&run->random, 12);
        for (size_t i = 0; i < n_more; i++)
            name[n_bytes++] = bytes[check_below(&run->random, sizeof bytes)];
        size_t at = 0;
        while (at < n && compare_names(key_name(run, at), (struct mn_slice){name, n_bytes}) < 0)
            at++;
        if (at < n && compare_names(key_name(run, at), (struct mn_slice){name, n_bytes}) == 0)
            continue;
        memmove(&run->names[at + 1], &run->names[at], (n - at) * sizeof run->names[0]);
        memmove(&run->name_bytes[at + 1], &run->name_bytes[at],
                (n - at) * sizeof run->name_bytes[0]);
        memcpy(run->names[at], name, n_bytes);
        run->name_bytes[at] = n_bytes;
        n++;
    }
}

static const struct model_version *model_head(const struct model_key *key)
{
    return key->n_versions == 0 ? NULL : &key->versions[key->n_versions - 1];
}

static bool is_due(const struct model_version *version, int64_t now)
{
    return version->expires != 0 && version->expires <= now;
}

static bool model_is_live(const struct run *run, const struct model_key *key)
{
    const struct model_version *head = model_head(key);

    return head != NULL && head->type == MNI_RECORD_UPSERT && !is_due(head, run->lapsed_at);
}

static const struct model_version *model_visible(const struct model_key *key,
                                                 struct mni_view_point view)
{
    size_t i = key->n_versions;

    while (i > 0 && key->versions[i - 1].lsn > view.lsn)
        i--;
    if (i == 0 || key->versions[i - 1].type == MNI_RECORD_DELETE ||
        is_due(&key->versions[i - 1], view.now_us))
        return NULL;
    return &key->versions[i - 1];
}

static void check_version(struct mni_version *version, const struct model_version *expected)
{
    int64_t expires = 0;
    uint64_t hits = 0;

    CHECK_EQ(value_of(version), expected->value);
    CHECK_EQ(mni_version_lsn(version), expected->lsn);
    CHECK_EQ(mni_version_record_lsn(version), expected->record_lsn);
    CHECK_EQ(mni_version_expiry(version, &expires), expected->expires != 0);
    CHECK_EQ(expires, expected->expires);
    CHECK_EQ(mni_version_hits(version, &hits), expected->hits != 0);
    CHECK_EQ(hits, expected->hits);
}

static uint64_t oldest_view(const struct run *run)
{
    uint64_t oldest = UINT64_MAX;

    for (size_t i = 0; i < run->n_views; i++)
        oldest = run->views[i].lsn < oldest ? run->views[i].lsn : oldest;
    return oldest;
}

static void model_push(struct model_key *key, struct model_version version)
{
    CHECK(key->n_versions < N_VERSIONS_MAX);
    key->versions[key->n_versions++] = version;
}

/* Applies one operation to the model and checks what the buffer said about it. */
static void model_apply(struct run *run, struct model_key *key, const struct op *op,
                        const struct mni_change *change)
{
    const struct model_version *head = model_head(key);
    bool existed = model_is_live(run, key);
    struct model_version next = {.type = MNI_RECORD_UPSERT,
                                 .lsn = run->lsn,
                                 .record_lsn = run->lsn,
                                 .value = op->value,
                                 .expires = op->expires,
                                 .hits = op->hits};

    CHECK_EQ(change->existed, existed);
    if (op->type == MNI_RECORD_UPSERT) {
        CHECK(change->changed);
        model_push(key, next);
    } else if (op->type == MNI_RECORD_DELETE) {
        bool changes = head != NULL && head->type == MNI_RECORD_UPSERT;
        CHECK_EQ(change->changed, changes);
        next.type = MNI_RECORD_DELETE;
        if (changes)
            model_push(key, next);
    } else {
        bool changes = head != NULL && head->type == MNI_RECORD_UPSERT;
        CHECK_EQ(change->changed, changes);
        if (!changes)
            return;
        next = *head;
        next.lsn = run->lsn;
        if (op->expires != 0 || (op->clears & MNI_FIELD_EXPIRY) != 0)
            next.expires = op->expires;
        if (op->hits != 0 || (op->clears & MNI_FIELD_HITS) != 0)
            next.hits = op->hits;
        model_push(key, next);
    }
}

static struct op random_op(struct run *run, size_t *collection_out, size_t *key_out)
{
    *collection_out = check_below(&run->random, N_COLLECTIONS);
    *key_out = check_below(&run->random, N_KEYS);
    struct op op = {.collection = run->alive[*collection_out].number,
                    .key = key_name(run, *key_out)};
    uint64_t kind = check_below(&run->random, 10);
    op.type = kind < 5 ? MNI_RECORD_UPSERT : kind < 8 ? MNI_RECORD_DELETE : MNI_RECORD_PATCH;
    if (op.type == MNI_RECORD_DELETE)
        return op;
    if (op.type == MNI_RECORD_UPSERT)
        op.value = ++run->next_value;
    if (check_below(&run->random, 2) == 0) /* now and then already due */
        op.expires = run->now - 5 + (int64_t)check_below(&run->random, 60);
    if (check_below(&run->random, 3) == 0)
        op.hits = 1 + check_below(&run->random, 100);
    if (op.type == MNI_RECORD_PATCH) {
        op.clears |= op.expires == 0 && check_below(&run->random, 2) == 0 ? MNI_FIELD_EXPIRY : 0;
        op.clears |= op.hits == 0 && check_below(&run->random, 2) == 0 ? MNI_FIELD_HITS : 0;
        if (op.clears == 0 && op.expires == 0 && op.hits == 0)
            op.hits = 1;
    }
    return op;
}

static void do_commit(struct run *run)
{
    size_t n = 1 + check_below(&run->random, N_OPS_MAX);
    struct op ops[N_OPS_MAX];
    size_t collections[N_OPS_MAX];
    size_t keys[N_OPS_MAX];
    struct mni_change changes[N_OPS_MAX];

    for (size_t i = 0; i < n; i++) {
        ops[i] = random_op(run, &collections[i], &keys[i]);
        changes[i] = change_of(ops[i]);
    }
    CHECK_OK(mni_memtable_prepare(run->table, changes, n));
    if (check_below(&run->random, 10) == 0) {
        mni_memtable_cancel(run->table, changes, n);
        return;
    }
    run->lsn += 1 + check_below(&run->random, 3);
    size_t n_first = check_below(&run->random, n + 1); /* sometimes in two calls */
    mni_memtable_apply(run->table, changes, n_first, run->lsn, run->now, oldest_view(run));
    mni_memtable_apply(run->table, changes + n_first, n - n_first, run->lsn, run->now,
                       oldest_view(run));
    run->lapsed_at = run->now;
    for (size_t i = 0; i < n; i++)
        model_apply(run, &run->alive[collections[i]].keys[keys[i]], &ops[i], &changes[i]);
}

static void check_find(struct run *run, const struct model_collection *collection, size_t key,
                       struct mni_view_point view)
{
    const struct model_version *expected = model_visible(&collection->keys[key], view);

    struct mni_version *version =
        mni_memtable_find(run->table, collection->number, key_name(run, key), view);
    CHECK_EQ(version != NULL, expected != NULL);
    if (version == NULL)
        return;
    check_version(version, expected);
    if (run->n_pins == N_PINS || check_below(&run->random, 8) != 0)
        return;
    pin(version);
    run->pins[run->n_pins++] = (struct model_pin){.version = version, .expected = *expected};
}

/* A key, or the beginning of one; empty in one of two cases. */
static struct mn_slice random_bound(struct run *run)
{
    struct mn_slice bound = {NULL, 0};

    if (check_below(&run->random, 2) == 0) {
        bound = key_name(run, check_below(&run->random, N_KEYS));
        bound.n_bytes -= check_below(&run->random, 2) * (bound.n_bytes - 1);
    }
    return bound;
}

static bool model_is_within(struct mn_slice name, struct mn_slice after,
                            const struct mni_key_range *range)
{
    if (after.data != NULL &&
        (range->reverse ? compare_names(name, after) >= 0 : compare_names(name, after) <= 0))
        return false;
    return (range->low.n_bytes == 0 || compare_names(name, range->low) >= 0) &&
           (range->high.n_bytes == 0 || compare_names(name, range->high) < 0);
}

/* Now and then another one is given up half way, or orders beside it. */
static void order_for(struct run *run, const struct model_collection *collection, uint64_t lsn)
{
    struct mni_ordering ordering = {.has_begun = false};
    struct mni_ordering other = {.has_begun = false};

    if (check_below(&run->random, 4) == 0)
        (void)!mni_memtable_order(run->table, collection->number, lsn, &other);
    if (mni_memtable_is_ordered(run->table, collection->number, lsn))
        return;
    while (!mni_memtable_order(run->table, collection->number, lsn, &ordering))
        if (check_below(&run->random, 4) == 0)
            (void)!mni_memtable_order(run->table, collection->number, lsn, &other);
    CHECK(mni_memtable_is_ordered(run->table, collection->number, lsn));
}

static void check_scan(struct run *run, const struct model_collection *collection,
                       struct mni_view_point view)
{
    struct mni_version *versions[N_KEYS];
    size_t n_max = 1 + check_below(&run->random, N_KEYS);
    struct mn_slice after = random_bound(run);
    struct mni_key_range range = {.low = random_bound(run),
                                  .high = random_bound(run),
                                  .reverse = check_below(&run->random, 2) == 0};

    order_for(run, collection, view.lsn);
    size_t n =
        mni_memtable_scan(run->table, collection->number, after, &range, view, versions, n_max);
    size_t n_expected = 0;
    for (size_t i = 0; i < N_KEYS && n_expected < n_max; i++) {
        size_t key = range.reverse ? N_KEYS - 1 - i : i;
        const struct model_version *expected = model_visible(&collection->keys[key], view);
        if (expected == NULL || !model_is_within(key_name(run, key), after, &range))
            continue;
        CHECK(n_expected < n);
        check_version(versions[n_expected++], expected);
    }
    CHECK_EQ(n, n_expected);
    for (size_t i = 0; i < n; i++)
        mni_version_unref(versions[i]);
}

static struct mni_view_point random_view(struct run *run)
{
    size_t view = check_below(&run->random, run->n_views + 1);

    return view < run->n_views ? run->views[view]
                               : (struct mni_view_point){.lsn = run->lsn, .now_us = run->now};
}

static void do_read(struct run *run)
{
    struct mni_view_point view = random_view(run);
    const struct model_collection *collection =
        &run->alive[check_below(&run->random, N_COLLECTIONS)];

    /* Older views still see what was dropped after them. */
    if (run->n_dropped > 0 && check_below(&run->random, 4) == 0) {
        const struct model_collection *dropped =
            &run->dropped[check_below(&run->random, run->n_dropped)];
        if (view.lsn < dropped->dropped_lsn)
            collection = dropped;
    }
    if (check_below(&run->random, 3) == 0)
        check_scan(run, collection, view);
    else
        check_find(run, collection, check_below(&run->random, N_KEYS), view);
}

static void do_view(struct run *run)
{
    if (run->n_views < N_VIEWS && check_below(&run->random, 2) == 0) {
        run->views[run->n_views++] = (struct mni_view_point){.lsn = run->lsn, .now_us = run->now};
    } else if (run->n_views > 0) {
        size_t view = check_below(&run->random, run->n_views);
        run->views[view] = run->views[--run->n_views];
    }
}

static void do_unpin(struct run *run)
{
    if (run->n_pins == 0)
        return;
    size_t at = check_below(&run->random, run->n_pins);
    check_version(run->pins[at].version, &run->pins[at].expected);
    unpin(run->pins[at].version);
    run->pins[at] = run->pins[--run->n_pins];
}

static void do_lapse(struct run *run)
{
    bool has_due = false;

    run->now += (int64_t)check_below(&run->random, 8);
    for (size_t c = 0; c < N_COLLECTIONS; c++) {
        for (size_t k = 0; k < N_KEYS; k++)
            has_due |= model_is_live(run, &run->alive[c].keys[k]) &&
                       is_due(model_head(&run->alive[c].keys[k]), run->now);
    }
    bool has = mni_memtable_has_due(run->table, run->now);
    CHECK(has || !has_due); /* dropped collections may have some too */
    if (check_below(&run->random, 2) == 0)
        return;
    mni_memtable_lapse(run->table, run->now);
    CHECK(!mni_memtable_has_due(run->table, run->now));
    run->lapsed_at = run->now;
}

static void free_collection(struct model_collection *collection)
{
    for (size_t k = 0; k < N_KEYS; k++)
        free(collection->keys[k].versions);
}

static void new_collection(struct run *run, size_t index, uint64_t number)
{
    run->alive[index] = (struct model_collection){.number = number};
    for (size_t k = 0; k < N_KEYS; k++) {
        run->alive[index].keys[k].versions = malloc(N_VERSIONS_MAX * sizeof(struct model_version));
        CHECK(run->alive[index].keys[k].versions != NULL);
    }
}

static void do_drop(struct run *run)
{
    size_t index = 1 + check_below(&run->random, N_COLLECTIONS - 1);

    if (run->n_dropped == N_DROPPED_MAX || check_below(&run->random, 20) != 0)
        return;
    run->alive[index].dropped_lsn = ++run->lsn;
    mni_memtable_drop(run->table, run->alive[index].number);
    CHECK_EQ(mni_memtable_count(run->table, run->alive[index].number), 0);
    run->dropped[run->n_dropped++] = run->alive[index];
    new_collection(run, index, run->next_number++);
}

static void do_reclaim(struct run *run)
{
    if (run->n_dropped == 0)
        return;
    size_t index = check_below(&run->random, run->n_dropped);
    if (oldest_view(run) < run->dropped[index].dropped_lsn)
        return;
    bool is_done = mni_memtable_reclaim(run->table, run->dropped[index].number,
                                        1 + check_below(&run->random, 10));
    if (!is_done)
        return;
    free_collection(&run->dropped[index]);
    run->dropped[index] = run->dropped[--run->n_dropped];
}

static void check_counts(struct run *run)
{
    uint64_t n_records = 0;
    uint64_t n_lapsed = 0;
    uint64_t n_keys = 0;
    uint64_t n_keys_min = 0;
    struct mni_memtable_stats stats = stats_of(run->table);

    for (size_t c = 0; c < N_COLLECTIONS; c++) {
        uint64_t n_live = 0;
        uint64_t n_all = 0;
        for (size_t k = 0; k < N_KEYS; k++) {
            const struct model_key *key = &run->alive[c].keys[k];
            const struct model_version *head = model_head(key);
            n_live += model_is_live(run, key);
            n_all += head != NULL && head->type == MNI_RECORD_UPSERT;
            n_keys += key->n_versions > 0;
        }
        CHECK_EQ(mni_memtable_count(run->table, run->alive[c].number), n_live);
        n_records += run->alive[c].number == 0 ? 0 : n_live;
        n_lapsed += run->alive[c].number == 0 ? 0 : n_all - n_live;
        n_keys_min += n_all;
    }
    CHECK_EQ(stats.n_records, n_records);
    CHECK_EQ(stats.n_lapsed, n_lapsed);
    CHECK(stats.n_keys >= n_keys_min);
    CHECK(run->n_dropped > 0 || stats.n_keys <= n_keys);
    if (run->n_views == 0 && run->n_dropped == 0 && collect(run->table, UINT64_MAX, SIZE_MAX) == 0)
        CHECK_EQ(stats_of(run->table).n_keys, n_keys_min);
}

/* Sweeps what has lapsed, as the engine does. */
static void do_sweep(struct run *run)
{
    struct mni_version *versions[4];

    size_t n = mni_memtable_lapsed(run->table, versions, 4);
    for (size_t i = 0; i < n; i++) {
        struct mni_record record;
        mni_record_view(mni_version_bytes(versions[i]), &record);
        struct model_key *key = NULL;
        for (size_t c = 0; c < N_COLLECTIONS; c++) {
            for (size_t k = 0; k < N_KEYS; k++) {
                if (run->alive[c].number == record.collection &&
                    compare_names(key_name(run, k), record.key) == 0)
                    key = &run->alive[c].keys[k];
            }
        }
        CHECK(key != NULL);
        check_version(versions[i], model_head(key));
        CHECK(is_due(model_head(key), run->lapsed_at));
        struct op op = {
            .type = MNI_RECORD_DELETE, .collection = record.collection, .key = record.key};
        struct mni_change change = commit(run->table, op, ++run->lsn, run->now, oldest_view(run));
        run->lapsed_at = run->now;
        model_apply(run, key, &op, &change);
        mni_version_unref(versions[i]);
    }
}

static void one_step(struct run *run)
{
    switch (check_below(&run->random, 12)) {
    case 0:
        do_view(run);
        break;
    case 1:
        do_unpin(run);
        break;
    case 2:
        do_lapse(run);
        break;
    case 3:
        do_drop(run);
        break;
    case 4:
        do_reclaim(run);
        break;
    case 5:
        collect(run->table, oldest_view(run), check_below(&run->random, 12));
        break;
    case 6:
        do_sweep(run);
        break;
    case 7:
    case 8:
        do_commit(run);
        break;
    default:
        do_read(run);
        break;
    }
}

static void run_model(uint64_t seed, size_t n_steps)
{
    struct run *run = calloc(1, sizeof *run);
    uint64_t n_blocks = mni_mem_live_blocks();

    CHECK(run != NULL);
    run->random = seed;
    run->now = 1000;
    run->next_number = N_COLLECTIONS;
    CHECK_OK(mni_pool_new(&pool));
    CHECK_OK(mni_memtable_new(pool, &run->table));
    make_names(run);
    for (size_t c = 0; c < N_COLLECTIONS; c++)
        new_collection(run, c, c);
    for (size_t step = 0; step < n_steps; step++) {
        one_step(run);
        if (step % 16 == 0)
            check_counts(run);
    }
    while (run->n_pins > 0)
        do_unpin(run);
    CHECK_EQ(mni_pool_pinned_bytes(pool), 0);
    mni_memtable_free(run->table);
    mni_pool_free(pool);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
    for (size_t c = 0; c < N_COLLECTIONS; c++)
        free_collection(&run->alive[c]);
    for (size_t c = 0; c < run->n_dropped; c++)
        free_collection(&run->dropped[c]);
    free(run);
}

static void random_runs_agree_with_arrays(void)
{
    uint64_t random = check_seed();

    for (int i = 0; i < 20; i++)
        run_model(check_random(&random), 20000);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(random_runs_agree_with_arrays),
    };

    return check_run("memtable.model", tests, CHECK_COUNT(tests), argc, argv);
}
