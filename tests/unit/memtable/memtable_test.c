/* What the buffer promises, one behaviour at a time; model_test.c has the long runs. */
#include "fixture.h"

#include <stdio.h>

#include "base/mem.h"

static const uint64_t NO_VIEW = UINT64_MAX;

static struct mni_memtable *new_table(void)
{
    struct mni_memtable *table = NULL;

    CHECK_OK(mni_pool_new(&pool));
    CHECK_OK(mni_memtable_new(pool, &table));
    return table;
}

static void free_table(struct mni_memtable *table)
{
    mni_memtable_free(table);
    mni_pool_free(pool);
    pool = NULL;
}

static void an_overwrite_without_views_frees_the_old_version_at_once(void)
{
    struct mni_memtable *table = new_table();

    commit(table, put(1, "a", 1), 1, 0, NO_VIEW);
    uint64_t before = mni_pool_memory_bytes(pool);
    struct mni_change change = commit(table, put(1, "a", 2), 2, 0, NO_VIEW);
    CHECK(change.existed && change.changed);
    CHECK_EQ(mni_pool_memory_bytes(pool), before);
    CHECK_EQ(stats_of(table).n_superseded, 0);
    CHECK_EQ(seen(table, 1, mn_str("a"), 2, 0), 2);
    CHECK_EQ(mni_memtable_newest_lsn(table, 1, mn_str("a")), 2);
    free_table(table);
}

static void a_delete_without_views_leaves_no_entry(void)
{
    struct mni_memtable *table = new_table();

    commit(table, put(1, "a", 1), 1, 0, NO_VIEW);
    struct mni_change change = commit(table, del(1, "a"), 2, 0, NO_VIEW);
    CHECK(change.existed && change.changed);
    CHECK_EQ(stats_of(table).n_keys, 0);
    CHECK_EQ(mni_memtable_newest_lsn(table, 1, mn_str("a")), 0);
    change = commit(table, del(1, "a"), 3, 0, NO_VIEW);
    CHECK(!change.existed && !change.changed);
    free_table(table);
}

static void a_view_keeps_what_it_sees_until_collected(void)
{
    struct mni_memtable *table = new_table();

    commit(table, put(1, "a", 1), 1, 0, NO_VIEW);
    commit(table, put(1, "a", 2), 5, 0, 4);
    commit(table, del(1, "a"), 6, 0, 4);
    CHECK_EQ(seen(table, 1, mn_str("a"), 4, 0), 1);
    CHECK_EQ(seen(table, 1, mn_str("a"), 5, 0), 2);
    CHECK_EQ(seen(table, 1, mn_str("a"), 6, 0), 0);
    CHECK_EQ(mni_memtable_newest_lsn(table, 1, mn_str("a")), 6);
    CHECK_EQ(collect(table, 4, 100), 2);
    CHECK_EQ(seen(table, 1, mn_str("a"), 4, 0), 1);
    CHECK_EQ(collect(table, 5, 100), 1);
    CHECK_EQ(seen(table, 1, mn_str("a"), 5, 0), 2);
    CHECK_EQ(collect(table, NO_VIEW, 100), 0);
    CHECK_EQ(stats_of(table).n_keys, 0);
    free_table(table);
}

static void the_last_of_several_changes_in_one_commit_wins(void)
{
    struct mni_memtable *table = new_table();
    struct mni_change changes[] = {change_of(put(1, "a", 1)), change_of(put(1, "a", 2)),
                                   change_of(del(1, "a")), change_of(del(1, "a")),
                                   change_of(put(1, "a", 3))};

    CHECK_OK(mni_memtable_prepare(table, changes, CHECK_COUNT(changes)));
    mni_memtable_apply(table, changes, CHECK_COUNT(changes), 7, 0, 3);
    CHECK(!changes[0].existed && changes[1].existed && changes[2].existed);
    CHECK(!changes[3].existed && !changes[3].changed && !changes[4].existed);
    CHECK_EQ(seen(table, 1, mn_str("a"), 7, 0), 3);
    CHECK_EQ(seen(table, 1, mn_str("a"), 6, 0), 0);
    CHECK_EQ(stats_of(table).n_records, 1);
    free_table(table);
}

static void collections_do_not_see_each_other(void)
{
    struct mni_memtable *table = new_table();

    commit(table, put(0, "a", 9), 1, 0, NO_VIEW);
    commit(table, put(1, "a", 1), 2, 0, NO_VIEW);
    commit(table, put(256, "a", 2), 3, 0, NO_VIEW);
    CHECK_EQ(seen(table, 1, mn_str("a"), 3, 0), 1);
    CHECK_EQ(seen(table, 256, mn_str("a"), 3, 0), 2);
    CHECK_EQ(mni_memtable_count(table, 0), 1);
    CHECK_EQ(stats_of(table).n_records, 2); /* the catalogue is nobody's record */
    CHECK_EQ(stats_of(table).n_keys, 3);
    free_table(table);
}

static void an_expired_record_is_invisible_at_its_time_and_lapses_once(void)
{
    struct mni_memtable *table = new_table();
    struct mni_version *versions[2];

    commit(table, put_until(1, "a", 1, 100), 1, 0, NO_VIEW);
    CHECK_EQ(seen(table, 1, mn_str("a"), 1, 99), 1);
    CHECK_EQ(seen(table, 1, mn_str("a"), 1, 100), 0);
    CHECK(!mni_memtable_has_due(table, 99));
    CHECK(mni_memtable_has_due(table, 100));
    CHECK_EQ(mni_memtable_count(table, 1), 1);
    mni_memtable_lapse(table, 100);
    CHECK(!mni_memtable_has_due(table, 100));
    CHECK_EQ(mni_memtable_count(table, 1), 0);
    CHECK_EQ(stats_of(table).n_lapsed, 1);
    CHECK_EQ(mni_memtable_lapsed(table, versions, 2), 1);
    CHECK_EQ(value_of(versions[0]), 1);
    mni_version_unref(versions[0]);
    struct mni_change change = commit(table, del(1, "a"), 2, 100, NO_VIEW);
    CHECK(!change.existed && change.changed);
    CHECK_EQ(stats_of(table).n_lapsed, 0);
    CHECK_EQ(stats_of(table).n_keys, 0);
    free_table(table);
}

static void overwriting_a_lapsed_record_counts_it_in_again(void)
{
    struct mni_memtable *table = new_table();

    commit(table, put_until(1, "a", 1, 100), 1, 0, NO_VIEW);
    struct mni_change change = commit(table, patch_until(1, "a", 500), 2, 100, NO_VIEW);
    CHECK(!change.existed && change.changed); /* it was judged live before it was logged */
    CHECK_EQ(mni_memtable_count(table, 1), 1);
    change = commit(table, put(1, "a", 2), 3, 600, NO_VIEW);
    CHECK(!change.existed && change.changed);
    CHECK_EQ(mni_memtable_count(table, 1), 1);
    CHECK_EQ(stats_of(table).n_lapsed, 0);
    free_table(table);
}

/* A count may lapse the record while its touch is on its way to the disk. */
static void a_patch_survives_a_lapse_before_it_is_applied(void)
{
    struct mni_memtable *table = new_table();

    commit(table, put_until(1, "a", 1, 100), 1, 0, NO_VIEW);
    struct mni_change change = change_of(patch_until(1, "a", 500));
    CHECK_OK(mni_memtable_prepare(table, &change, 1));
    mni_memtable_lapse(table, 100);
    mni_memtable_apply(table, &change, 1, 2, 99, NO_VIEW);
    CHECK(change.changed);
    CHECK_EQ(mni_memtable_count(table, 1), 1);
    CHECK_EQ(stats_of(table).n_lapsed, 0);
    free_table(table);
}

static void a_record_put_too_late_is_never_counted(void)
{
    struct mni_memtable *table = new_table();

    commit(table, put_until(1, "a", 1, 50), 1, 50, NO_VIEW);
    CHECK_EQ(stats_of(table).n_records, 0);
    CHECK_EQ(stats_of(table).n_lapsed, 1);
    CHECK(!mni_memtable_has_due(table, 50));
    free_table(table);
}

static void a_patch_changes_expiry_and_hits_without_copying_the_record(void)
{
    struct mni_memtable *table = new_table();
    struct mni_view_point view = {.lsn = 9, .now_us = 150};
    struct op patch = patch_until(1, "a", 300);
    int64_t expires;
    uint64_t hits;

    commit(table, put_until(1, "a", 1, 100), 1, 0, NO_VIEW);
    unsigned char *bytes =
        mni_version_bytes(mni_memtable_find(table, 1, mn_str("a"), (struct mni_view_point){1, 0}));
    patch.hits = 7;
    CHECK(commit(table, patch, 2, 0, NO_VIEW).changed);
    patch.expires = 0;
    patch.hits = 8;
    CHECK(commit(table, patch, 3, 0, NO_VIEW).changed);
    struct mni_version *version = mni_memtable_find(table, 1, mn_str("a"), view);
    CHECK(version != NULL);
    CHECK(mni_version_bytes(version) == bytes);
    CHECK_EQ(mni_version_lsn(version), 3);
    CHECK_EQ(mni_version_record_lsn(version), 1);
    CHECK(mni_version_expiry(version, &expires) && mni_version_hits(version, &hits));
    CHECK_EQ(expires, 300);
    CHECK_EQ(hits, 8);
    patch = (struct op){.type = MNI_RECORD_PATCH,
                        .collection = 1,
                        .key = mn_str("a"),
                        .clears = MNI_FIELD_EXPIRY | MNI_FIELD_HITS};
    CHECK(commit(table, patch, 4, 0, NO_VIEW).changed);
    version = mni_memtable_find(table, 1, mn_str("a"), view);
    CHECK(!mni_version_expiry(version, &expires) && !mni_version_hits(version, &hits));
    CHECK(!commit(table, patch_until(1, "b", 5), 5, 0, NO_VIEW).changed);
    CHECK(!commit(table, patch_until(2, "a", 5), 6, 0, NO_VIEW).changed);
    free_table(table);
}

static void a_pinned_version_outlives_overwrite_delete_drop_and_collect(void)
{
    struct mni_memtable *table = new_table();
    struct mni_version *pinned[3];
    struct mni_view_point view = {.lsn = 9, .now_us = 0};
    struct mn_slice a = mn_str("a");

    for (size_t i = 0; i < 3; i++) {
        if (i == 1)
            CHECK(commit(table, patch_until(1, "a", 99), 2, 0, NO_VIEW).changed);
        else
            commit(table, put(1, "a", 10 + i), 1 + i, 0, NO_VIEW);
        pinned[i] = mni_memtable_find(table, 1, a, view);
        pin(pinned[i]);
    }
    uint64_t pinned_bytes = 0;
    for (size_t i = 0; i < 3; i++)
        pinned_bytes += mni_version_memory_bytes(pinned[i]);
    pinned_bytes += mni_version_memory_bytes(pinned[0]); /* below the patch */
    CHECK_EQ(mni_pool_pinned_bytes(pool), pinned_bytes);
    commit(table, del(1, "a"), 4, 0, 3);
    commit(table, put(1, "b", 5), 5, 0, 3);
    mni_memtable_drop(table, 1);
    CHECK(mni_memtable_reclaim(table, 1, 100));
    CHECK_EQ(collect(table, NO_VIEW, 100), 0);
    CHECK_EQ(stats_of(table).n_keys, 0);
    CHECK_EQ(value_of(pinned[0]), 10);
    CHECK_EQ(value_of(pinned[1]), 10);
    CHECK_EQ(value_of(pinned[2]), 12);
    for (size_t i = 0; i < 3; i++)
        unpin(pinned[i]);
    CHECK_EQ(mni_pool_pinned_bytes(pool), 0);
    free_table(table);
}

static void a_drop_takes_all_out_of_the_counts_and_reclaim_is_bounded(void)
{
    struct mni_memtable *table = new_table();
    uint64_t before = 0;
    char key[16];

    commit(table, put(2, "other", 1), 1, 0, NO_VIEW);
    before = mni_pool_memory_bytes(pool);
    for (uint64_t i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%03u", (unsigned)i);
        commit(table, i % 2 == 0 ? put(1, key, i + 1) : put_until(1, key, i + 1, 10 + (int64_t)i),
               2 + i, 0, NO_VIEW);
    }
    mni_memtable_lapse(table, 500);
    mni_memtable_drop(table, 1);
    CHECK_EQ(mni_memtable_count(table, 1), 0);
    CHECK_EQ(stats_of(table).n_records, 1);
    CHECK_EQ(stats_of(table).n_lapsed, 0);
    CHECK_EQ(seen(table, 1, mn_str("k000"), 1001, 0), 1); /* to a view from before */
    size_t n_rounds = 0;
    while (!mni_memtable_reclaim(table, 1, 100))
        n_rounds++;
    CHECK(mni_memtable_reclaim(table, 1, 100));
    CHECK_EQ(mni_memtable_has_due(table, INT64_MAX), false);
    CHECK_EQ(n_rounds, 9);
    CHECK_EQ(stats_of(table).n_keys, 1);
    CHECK(mni_pool_memory_bytes(pool) < before + 48 * 1024); /* arrays keep their room */
    free_table(table);
}

static void many_keys_stay_in_order_whatever_they_begin_with(void)
{
    struct mni_memtable *table = new_table();
    struct mni_version *versions[64];
    struct mni_view_point view = {.lsn = UINT64_MAX - 1};
    uint64_t random = check_seed();
    size_t n_all = 0;
    char key[32];
    char last[32] = "";
    struct mn_slice after = {NULL, 0};
    const struct mni_key_range all = {0};

    /* Enough for the shared start of the keys to be chosen, and chosen again. */
    for (uint64_t i = 0; i < 6000; i++) {
        snprintf(key, sizeof key, i < 5000 ? "memory-%08u" : "%u",
                 (unsigned)check_below(&random, i < 5000 ? 4000 : 100000000));
        commit(table, put(1, key, 1), i + 1, 0, NO_VIEW);
    }
    struct mni_ordering ordering = {.has_begun = false};
    size_t n_slices = 1;
    CHECK(!mni_memtable_is_ordered(table, 1, 6000));
    while (!mni_memtable_order(table, 1, 6000, &ordering))
        n_slices++;
    CHECK(n_slices > 8); /* each of them holds up writers: it has to be short */
    for (size_t n = CHECK_COUNT(versions); n == CHECK_COUNT(versions);) {
        n = mni_memtable_scan(table, 1, after, &all, view, versions, CHECK_COUNT(versions));
        for (size_t i = 0; i < n; i++) {
            struct mni_record record;
            mni_record_view(mni_version_bytes(versions[i]), &record);
            memset(key, 0, sizeof key);
            memcpy(key, record.key.data, record.key.n_bytes);
            CHECK(strcmp(last, key) < 0);
            memcpy(last, key, sizeof last);
            mni_version_unref(versions[i]);
        }
        after = mn_str(last);
        n_all += n;
    }
    CHECK_EQ(n_all, mni_memtable_count(table, 1));
    free_table(table);
}

/* Commits that only replace records add no key: what is in order up to one of them is told all the
 * same, while later keys wait. */
static void a_view_behind_the_newest_key_finds_all_in_order(void)
{
    struct mni_memtable *table = new_table();
    struct mni_ordering ordering = {.has_begun = false};
    char key[8];

    for (int i = 0; i < 200; i++) { /* more than are put in order at once */
        (void)snprintf(key, sizeof key, "%03d", i);
        commit(table, put(1, key, 1), 1, 0, NO_VIEW);
    }
    commit(table, put(1, "000", 2), 2, 0, 1);
    CHECK(!mni_memtable_order(table, 1, 2, &ordering));
    commit(table, put(1, "200", 1), 3, 0, 2);
    while (!mni_memtable_order(table, 1, 2, &ordering))
        continue;
    CHECK(mni_memtable_is_ordered(table, 1, 2));
    CHECK(!mni_memtable_is_ordered(table, 1, 3));
    free_table(table);
}

/* Keys that begin alike, keys of which one begins another, and two that nothing else resembles. */
static size_t odd_key(uint64_t *random, char *key, size_t n)
{
    switch (check_below(random, 4)) {
    case 0:
        return (size_t)snprintf(key, n, "memory-%08u", (unsigned)check_below(random, 500));
    case 1:
        return (size_t)snprintf(key, n, "a-start-as-long-as-a-number-and-more-%u",
                                (unsigned)check_below(random, 300));
    case 2:
        return (size_t)snprintf(key, n, "%.*s", 1 + (int)check_below(random, 30),
                                "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmm");
    default:
        return (size_t)snprintf(key, n, check_below(random, 2) == 0 ? "\xff" : "\x01");
    }
}

static void fill_with_odd_keys(struct mni_memtable *table, uint64_t *random, uint64_t first_lsn,
                               uint64_t n_commits, uint64_t oldest_view_lsn)
{
    char key[64];

    for (uint64_t i = 0; i < n_commits; i++) {
        uint64_t collection = 1 + check_below(random, 4);
        odd_key(random, key, sizeof key);
        bool deletes = check_below(random, 5) == 0;
        commit(table, deletes ? del(collection, key) : put(collection, key, i + 1), first_lsn + i,
               0, oldest_view_lsn);
    }
}

static void check_is_scan(struct mni_memtable *table, uint64_t collection,
                          struct mni_view_point view, const struct mni_sorted *sorted,
                          size_t *index)
{
    struct mni_version *versions[2000];
    struct mni_ordering ordering = {.has_begun = false};
    const struct mni_key_range all = {0};

    while (!mni_memtable_order(table, collection, view.lsn, &ordering))
        continue;
    size_t n = mni_memtable_scan(table, collection, (struct mn_slice){NULL, 0}, &all, view,
                                 versions, CHECK_COUNT(versions));
    CHECK(n > 0 && n < CHECK_COUNT(versions));
    for (size_t i = 0; i < n; i++, (*index)++) {
        CHECK(*index < sorted->n_versions);
        CHECK(sorted->versions[*index].version == versions[i]);
        mni_version_unref(versions[i]);
    }
}

static void a_table_is_read_as_a_whole_as_scans_read_it(void)
{
    const uint64_t collections[] = {1, 2, 4, 9};
    struct mni_memtable *table = new_table();
    struct mni_view_point view = {.lsn = 3000, .now_us = MNI_NO_CLOCK};
    struct mni_sorted sorted;
    uint64_t random = check_seed();
    size_t index = 0;

    fill_with_odd_keys(table, &random, 1, 3000, NO_VIEW);
    CHECK_OK(mni_sorted_init(&sorted, table, view, collections, CHECK_COUNT(collections)));
    for (uint64_t lsn = 3001; !mni_sorted_gather(&sorted); lsn++) { /* what was there changes */
        size_t n = sorted.n_versions;
        struct mni_change change;
        if (n == 0)
            continue;
        struct mni_record record;
        mni_record_view(mni_version_bytes(sorted.versions[n - 1].version), &record);
        record = (struct mni_record){
            .type = MNI_RECORD_DELETE, .collection = record.collection, .key = record.key};
        struct mni_version *version = NULL;
        CHECK_OK(mni_version_new(pool, mni_record_encoded_bytes(&record), &version));
        mni_record_encode(&record, mni_version_bytes(version));
        mni_change_init(&change, version);
        CHECK_OK(mni_memtable_prepare(table, &change, 1));
        mni_memtable_apply(table, &change, 1, lsn, 0, view.lsn);
    }
    CHECK_OK(mni_sorted_sort(&sorted));
    check_is_scan(table, 1, view, &sorted, &index);
    check_is_scan(table, 2, view, &sorted, &index);
    check_is_scan(table, 4, view, &sorted, &index);
    CHECK_EQ(index, sorted.n_versions);
    mni_sorted_done(&sorted);
    free_table(table);
}

static void a_record_of_128_dimensions_fits_its_budget(void)
{
    struct mni_memtable *table = new_table();
    static const float vector[128];
    uint64_t before = mni_pool_memory_bytes(pool);
    enum { N_RECORDS = 4096 };

    for (uint64_t i = 0; i < N_RECORDS; i++) {
        char key[17];
        snprintf(key, sizeof key, "memory-%09u", (unsigned)i);
        struct mni_record record = {.type = MNI_RECORD_UPSERT,
                                    .collection = 1,
                                    .key = mn_str(key),
                                    .element_type = MNI_ELEMENT_F32,
                                    .vector = vector,
                                    .n_dims = 128};
        struct mni_version *version = NULL;
        struct mni_change change;
        CHECK_OK(mni_version_new(pool, mni_record_encoded_bytes(&record), &version));
        mni_record_encode(&record, mni_version_bytes(version));
        mni_change_init(&change, version);
        CHECK_OK(mni_memtable_prepare(table, &change, 1));
        mni_memtable_apply(table, &change, 1, i + 1, 0, NO_VIEW);
    }
    /* 708 less what malloc adds to two blocks. */
    CHECK(mni_pool_memory_bytes(pool) - before < (uint64_t)N_RECORDS * (708 - 2 * 16));
    free_table(table);
}

/* Prepares a mixed batch with the N-th allocation failing, for every N. */
static void a_failed_allocation_changes_nothing(void)
{
    bool is_done = false;

    for (uint64_t n = 1; !is_done; n++) {
        uint64_t n_blocks = mni_mem_live_blocks();
        struct mni_memtable *table = new_table();
        struct op ops[] = {put(1, "a", 2),         put_until(1, "new", 3, 50), del(1, "b"),
                           put(7, "new", 4),       patch_until(1, "a", 60),    put(7, "a", 5),
                           put_until(8, "x", 6, 1)};
        struct mni_change changes[CHECK_COUNT(ops)];
        struct mni_version *versions[CHECK_COUNT(ops)] = {NULL};
        mn_status st = MN_OK;

        commit(table, put(1, "a", 1), 1, 0, NO_VIEW);
        commit(table, put(1, "b", 1), 2, 0, NO_VIEW);
        struct mni_memtable_stats before = stats_of(table);
        uint64_t bytes_before = mni_pool_memory_bytes(pool);
        mni_mem_fail_at(n);
        size_t n_made = 0;
        for (; st == MN_OK && n_made < CHECK_COUNT(ops); n_made += st == MN_OK)
            st = version_of(&ops[n_made], &versions[n_made]);
        for (size_t i = 0; i < n_made; i++)
            mni_change_init(&changes[i], versions[i]);
        if (st == MN_OK)
            st = mni_memtable_prepare(table, changes, n_made);
        is_done = !mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, is_done ? MN_OK : MN_ERR_NOMEM);
        if (is_done) {
            mni_memtable_apply(table, changes, n_made, 3, 0, NO_VIEW);
            CHECK_EQ(stats_of(table).n_records, 5);
        } else {
            for (size_t i = 0; i < n_made; i++)
                CHECK(changes[i].entry == NULL && changes[i].rows == NULL);
            mni_memtable_cancel(table, changes, n_made);
            struct mni_memtable_stats after = stats_of(table);
            CHECK_EQ(seen(table, 1, mn_str("a"), 9, 0), 1);
            /* Room for expiries stays. */
            CHECK(mni_pool_memory_bytes(pool) <= bytes_before + 1024);
            CHECK_MEM_EQ(&after, &before, sizeof after);
        }
        free_table(table);
        CHECK_EQ(mni_mem_live_blocks(), n_blocks);
        CHECK(n < 100);
    }
}

static void applying_needs_no_memory(void)
{
    struct mni_memtable *table = new_table();
    enum { N_CHANGES = 500 };
    static struct mni_change changes[N_CHANGES];
    char key[16];

    for (size_t i = 0; i < N_CHANGES; i++) {
        snprintf(key, sizeof key, "k%u", (unsigned)(i % 300));
        changes[i] = change_of(i % 3 == 0   ? put(1, key, i + 1)
                               : i % 3 == 1 ? put_until(i % 9, key, i + 1, 100 + (int64_t)i)
                                            : del(1, key));
    }
    CHECK_OK(mni_memtable_prepare(table, changes, N_CHANGES));
    for (size_t i = 0; i < N_CHANGES; i++) {
        mni_mem_fail_at(1); /* only growing the hash asks, and does without */
        mni_memtable_apply(table, &changes[i], 1, i + 1, 0, i % 2 == 0 ? 0 : NO_VIEW);
    }
    mni_mem_fail_at(0);
    CHECK_EQ(seen(table, 1, mn_str("k0"), N_CHANGES, 0), 301);
    collect(table, NO_VIEW, SIZE_MAX);
    free_table(table);
}

static void new_survives_every_failed_allocation(void)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct mni_memtable *table = NULL;
    bool is_done = false;

    for (uint64_t n = 1; !is_done; n++) {
        mni_mem_fail_at(n);
        mn_status st = mni_pool_new(&pool);
        if (st == MN_OK)
            st = mni_memtable_new(pool, &table);
        is_done = !mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, is_done ? MN_OK : MN_ERR_NOMEM);
        CHECK_EQ(table != NULL, is_done);
        free_table(table);
        CHECK_EQ(mni_mem_live_blocks(), n_blocks);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(an_overwrite_without_views_frees_the_old_version_at_once),
        CHECK_TEST(a_delete_without_views_leaves_no_entry),
        CHECK_TEST(a_view_keeps_what_it_sees_until_collected),
        CHECK_TEST(the_last_of_several_changes_in_one_commit_wins),
        CHECK_TEST(collections_do_not_see_each_other),
        CHECK_TEST(an_expired_record_is_invisible_at_its_time_and_lapses_once),
        CHECK_TEST(overwriting_a_lapsed_record_counts_it_in_again),
        CHECK_TEST(a_patch_survives_a_lapse_before_it_is_applied),
        CHECK_TEST(a_record_put_too_late_is_never_counted),
        CHECK_TEST(a_patch_changes_expiry_and_hits_without_copying_the_record),
        CHECK_TEST(a_pinned_version_outlives_overwrite_delete_drop_and_collect),
        CHECK_TEST(a_drop_takes_all_out_of_the_counts_and_reclaim_is_bounded),
        CHECK_TEST(many_keys_stay_in_order_whatever_they_begin_with),
        CHECK_TEST(a_view_behind_the_newest_key_finds_all_in_order),
        CHECK_TEST(a_table_is_read_as_a_whole_as_scans_read_it),
        CHECK_TEST(a_record_of_128_dimensions_fits_its_budget),
        CHECK_TEST(a_failed_allocation_changes_nothing),
        CHECK_TEST(applying_needs_no_memory),
        CHECK_TEST(new_survives_every_failed_allocation),
    };

    return check_run("memtable.memtable", tests, CHECK_COUNT(tests), argc, argv);
}
