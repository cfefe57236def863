/* Snapshots of a store: made, listed, pruned, restored. */
#include "snapshot_fixture.h"

static void a_snapshot_says_what_it_holds(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_namespace ns;
    struct mn_snapshot_info info = {.size = sizeof info};
    mn_snapshot *snapshot = NULL;
    float vector[3] = {1, 2, 3};
    struct mn_record r = {.id = mn_str("v"), .vector = vector, .n_dims = 3};
    const struct mn_snapshot_options o = {.size = sizeof o, .description = mn_str("before lunch")};

    (void)put(store, mn_str("a"), mn_str("1"), "x");
    (void)put(store, mn_str("a"), mn_str("2"), "x");
    (void)put(store, mn_str("a"), mn_str("2"), "y");
    CHECK_OK(mn_put(store, mn_str("b"), &r, NULL, NULL, &err));
    put_expiring(store, "b", "gone", 0);
    put_expiring(store, "b", "later", 1000000000);
    (void)put(store, mn_str("dropped"), mn_str("1"), "x");
    CHECK_OK(mn_namespace_drop(store, mn_str("dropped"), NULL, &err));
    CHECK_OK(mn_namespace_create(store, mn_str("empty"), NULL, &err));
    CHECK_OK_ERR(mn_snapshot_create(store, &o, &snapshot, &err), &err);
    (void)put(store, mn_str("a"), mn_str("3"), "x"); /* later ones are not in it */
    CHECK_OK(mn_snapshot_get_info(snapshot, &info, &err));
    CHECK_EQ(info.lsn, stats_of(store).current_lsn - 1);
    CHECK_EQ(info.n_records, 4);
    CHECK_EQ(info.n_namespaces, 3);
    CHECK(!info.is_incremental && info.parent_id[0] == '\0' && info.own_bytes == info.n_bytes);
    CHECK_EQ(info.description.n_bytes, 12);
    CHECK_OK(mn_snapshot_get_namespace(snapshot, 0, &ns, &err));
    CHECK(ns.name.n_bytes == 1 && memcmp(ns.name.data, "a", 1) == 0);
    CHECK_EQ(ns.n_records, 2);
    CHECK_OK(mn_snapshot_get_namespace(snapshot, 1, &ns, &err));
    CHECK_EQ(ns.n_records, 2);
    CHECK_EQ(ns.dimension, 3);
    CHECK_OK(mn_snapshot_get_namespace(snapshot, 2, &ns, &err));
    CHECK_EQ(ns.n_records, 0);
    CHECK_STATUS(mn_snapshot_get_namespace(snapshot, 3, &ns, &err), MN_END);
    mn_snapshot_free(snapshot);
    closed(store);
}

static void a_new_store_is_what_it_was(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info;

    CHECK_OK(mn_config_set(store, "sweep_interval_ms", "77", &err));
    (void)put(store, mn_str("a"), mn_str("1"), "old");
    (void)put(store, mn_str("a"), mn_str("2"), "x");
    put_expiring(store, "a", "soon", 50000);
    create(store, NULL, &info);
    CHECK(info.n_records >= 2);
    (void)put(store, mn_str("a"), mn_str("1"), "new");
    (void)put(store, mn_str("a"), mn_str("4"), "new");
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("2"), NULL, NULL, NULL, &err));
    closed(store);
    (void)nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
    struct mn_restore_report report =
        restored(p.store, info.id, (struct mn_restore_options){.into = p.other});
    CHECK_EQ(report.n_namespaces, 1);
    CHECK_EQ(report.n_records, 2); /* what has expired does not come back */
    CHECK_EQ(report.lsn, info.lsn);
    store = opened(p.other);
    CHECK_EQ(count(store, "a"), 2);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
    CHECK(holds(store, mn_str("a"), mn_str("2"), "x"));
    char value[32];
    CHECK_OK(mn_config_get(store, "sweep_interval_ms", value, sizeof value, &err));
    CHECK_STR_EQ(value, "77");
    CHECK_EQ(put(store, mn_str("a"), mn_str("5"), "x"), info.lsn + 1);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    closed(store);
    store = opened(p.other);
    CHECK_EQ(count(store, "a"), 3);
    closed(store);
    CHECK_STATUS(
        try_restore(p.store, info.id, (struct mn_restore_options){.into = p.other}, &report),
        MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "holds a store");
}

static void replacing_leaves_nothing_newer(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info first;
    struct mn_snapshot_info second;
    struct mn_snapshot_info third;

    (void)put(store, mn_str("a"), mn_str("1"), "old");
    (void)put(store, mn_str("a"), mn_str("2"), "old");
    create(store, NULL, &first);
    (void)put(store, mn_str("a"), mn_str("1"), "new");
    (void)put(store, mn_str("b"), mn_str("3"), "new");
    CHECK_OK(mn_config_set(store, "sweep_interval_ms", "99", &err));
    create(store,
           &(struct mn_snapshot_options){.size = sizeof(struct mn_snapshot_options),
                                         .incremental = true},
           &second);
    CHECK_STR_EQ(second.parent_id, first.id);
    CHECK(second.own_bytes < second.n_bytes);
    uint64_t newest = put(store, mn_str("a"), mn_str("9"), "newest");
    closed(store);
    struct mn_restore_report report =
        restored(p.store, first.id, (struct mn_restore_options){.replace = p.store});
    CHECK_EQ(report.n_records, 2);
    CHECK(report.lsn > newest);
    store = opened(p.store);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
    CHECK_EQ(count(store, "a"), 2);
    CHECK_STATUS(mn_count(store, mn_str("b"), &newest, &err), MN_NOT_FOUND);
    char value[32];
    CHECK_OK(mn_config_get(store, "sweep_interval_ms", value, sizeof value, &err));
    CHECK_STR_EQ(value, "1000");
    /* Nothing of the past that was left is built upon. */
    create(store,
           &(struct mn_snapshot_options){.size = sizeof(struct mn_snapshot_options),
                                         .incremental = true},
           &third);
    CHECK_STR_EQ(third.parent_id, first.id);
    CHECK(put(store, mn_str("a"), mn_str("1"), "again") > report.lsn);
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("2"), NULL, NULL, NULL, &err));
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    closed(store);
    store = opened(p.store);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "again"));
    CHECK_EQ(count(store, "a"), 1);
    closed(store);
    report = restored(p.store, second.id, (struct mn_restore_options){.replace = p.store});
    store = opened(p.store);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "new"));
    CHECK_EQ(count(store, "b"), 1);
    closed(store);
    report = restored(p.store, third.id, (struct mn_restore_options){.replace = p.store});
    CHECK_EQ(report.n_records, 2);
    struct mn_verify_report verified = {.size = sizeof verified};
    CHECK_OK_ERR(mn_verify(p.store, &verified, &err), &err);
    CHECK_EQ(n_snapshots(p.store), 3);
}

/* Whose directories would they be? */
static void a_new_store_has_no_directories(void)
{
    static const char *const keys[] = {"archive_dir", "snapshot_dir"};
    struct mn_salvage_report salvaged = {.size = sizeof salvaged};
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info;
    char path[600];
    char value[1024];

    for (size_t i = 0; i < CHECK_COUNT(keys); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", p.dir, keys[i]);
        CHECK_EQ(mkdir(path, 0700), 0);
        CHECK_OK_ERR(mn_config_set(store, keys[i], path, &err), &err);
    }
    (void)put(store, mn_str("a"), mn_str("1"), "x");
    create(store, NULL, &info);
    closed(store);
    for (int way = 0; way < 3; way++) {
        (void)snprintf(path, sizeof path, "%s%d", p.other, way);
        if (way == 0)
            (void)restored(p.store, info.id, (struct mn_restore_options){.into = path});
        else if (way == 1)
            (void)restored(p.store, info.id,
                           (struct mn_restore_options){.into = path, .name = mn_str("a")});
        else
            CHECK_OK_ERR(mn_salvage(p.store, path, NULL, &salvaged, &err), &err);
        store = opened(path);
        CHECK(holds(store, mn_str("a"), mn_str("1"), "x"));
        for (size_t i = 0; i < CHECK_COUNT(keys); i++) {
            CHECK_OK_ERR(mn_config_get(store, keys[i], value, sizeof value, &err), &err);
            CHECK_STR_EQ(value, "");
        }
        closed(store);
    }
}

static void one_namespace_comes_back_beside_others(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_restore_report report;
    struct mn_snapshot_info info;
    char id[16];

    CHECK_OK(mn_namespace_create(store, mn_str("empty"), NULL, &err));
    for (int i = 0; i < 2500; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)put(store, mn_str("a"), mn_str(id), i == 7 ? "seven" : "x");
    }
    (void)put(store, mn_str("b"), mn_str("1"), "b");
    create(store, NULL, &info);
    CHECK_OK(mn_namespace_drop(store, mn_str("a"), NULL, &err));
    (void)put(store, mn_str("b"), mn_str("2"), "b");
    closed(store);
    struct mn_restore_options o = {.replace = p.store, .name = mn_str("a"), .dry_run = true};
    CHECK_EQ(restored(p.store, info.id, o).n_records, 2500);
    o.dry_run = false;
    CHECK_EQ(restored(p.store, info.id, o).n_records, 2500);
    CHECK_STATUS(try_restore(p.store, info.id, o, &report), MN_EXISTS);
    o.rename = mn_str("a2");
    CHECK_EQ(restored(p.store, info.id, o).n_records, 2500);
    o.name = o.rename = mn_str("nothing");
    CHECK_STATUS(try_restore(p.store, info.id, o, &report), MN_NOT_FOUND);
    store = opened(p.store);
    CHECK_EQ(count(store, "a"), 2500);
    CHECK_EQ(count(store, "a2"), 2500);
    CHECK_EQ(count(store, "b"), 2);
    CHECK(holds(store, mn_str("a2"), mn_str("7"), "seven"));
    closed(store);
    o = (struct mn_restore_options){.into = p.other, .name = mn_str("a"), .rename = mn_str("z")};
    CHECK_EQ(restored(p.store, info.id, o).n_records, 2500);
    store = opened(p.other);
    CHECK_EQ(count(store, "z"), 2500);
    CHECK_EQ(stats_of(store).n_namespaces, 1);
    closed(store);
}

/* What somebody else does in the directory meanwhile, whom no lock stops. */
struct meddler {
    char mark[700];
    const char *text; /* of his own mark; NULL: he removes ours */
    mn_status answer;
};

static mn_status meddle(void *context, uint64_t n_done, uint64_t n_total)
{
    const struct meddler *m = context;

    if (n_done < n_total || access(m->mark, F_OK) != 0)
        return MN_OK;
    CHECK_EQ(unlink(m->mark), 0);
    FILE *file = m->text != NULL ? fopen(m->mark, "wb") : NULL;
    if (file != NULL)
        CHECK(fputs(m->text, file) >= 0 && fclose(file) == 0);
    return m->answer;
}

static void what_is_not_ours_any_more_is_not_touched(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_restore_report report;
    struct mn_snapshot_info info;
    char path[700];
    char id[16];

    for (int i = 0; i < 2500; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)put(store, mn_str("a"), mn_str(id), "x");
    }
    create(store, NULL, &info);
    closed(store);
    for (int i = 0; i < 4; i++) {
        struct meddler m = {.text = i % 2 == 0 ? "other" : NULL,
                            .answer = i < 2 ? MN_OK : MN_ERR_CANCELLED};
        (void)snprintf(path, sizeof path, "%s%d", p.other, i);
        (void)snprintf(m.mark, sizeof m.mark, "%s/RESTORE", path);
        const struct mn_restore_options o = {
            .into = path, .name = mn_str("a"), .progress = meddle, .context = &m};
        CHECK_STATUS(try_restore(p.store, info.id, o, &report),
                     i < 2 ? MN_ERR_IO : MN_ERR_CANCELLED);
        CHECK_EQ(access(m.mark, F_OK), m.text != NULL ? 0 : -1);
        (void)snprintf(path, sizeof path, "%s%d/STORE", p.other, i);
        CHECK_EQ(access(path, F_OK), 0);
    }
}

static void the_newest_ones_are_kept(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info;
    char first[MN_SNAPSHOT_ID_BYTES] = "";
    bool exists = true;

    CHECK_OK(mn_config_set(store, "max_snapshots", "3", &err));
    for (int i = 0; i < 5; i++) {
        (void)put(store, mn_str("a"), mn_str("1"), "x");
        create(store, NULL, &info);
        if (i == 0)
            memcpy(first, info.id, sizeof first);
        CHECK_EQ(n_snapshots(p.store), i < 3 ? i + 1 : 3);
    }
    mn_snapshots *pool = pool_of(p.store);
    CHECK_OK(mn_snapshot_exists(pool, first, &exists, &err));
    CHECK(!exists);
    CHECK_OK(mn_snapshot_exists(pool, info.id, &exists, &err));
    CHECK(exists);
    CHECK_STATUS(mn_snapshots_prune(pool, 0, NULL, NULL, &err), MN_ERR_INVALID);
    uint64_t n = 0;
    CHECK_OK_ERR(mn_snapshots_prune(pool, 1, &n, NULL, &err), &err);
    CHECK_EQ(n, 2);
    CHECK_OK_ERR(mn_snapshot_verify(pool, info.id, NULL, &err), &err);
    CHECK_OK_ERR(mn_snapshot_delete(pool, info.id, &n, &err), &err);
    CHECK(n > 0);
    CHECK_STATUS(mn_snapshot_delete(pool, info.id, &n, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_snapshot_delete(pool, "../store", &n, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_snapshot_delete(pool, "", &n, &err), MN_ERR_INVALID);
    mn_snapshots_close(pool);
    CHECK_EQ(n_snapshots(p.store), 0);
    CHECK_OK(mn_config_set(store, "max_snapshots", "0", &err));
    for (int i = 0; i < 12; i++)
        create(store, NULL, &info);
    CHECK_EQ(n_snapshots(p.store), 12);
    closed(store);
}

/* All that are to go do, and their files when the damaged one has gone. */
static void one_damaged_snapshot_stops_no_pruning(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info[5];
    char path[700];
    uint64_t n = 0;
    uint64_t freed = 1;

    for (size_t i = 0; i < CHECK_COUNT(info); i++) {
        (void)put(store, mn_str("a"), mn_str("1"), "x");
        if (i + 1 == CHECK_COUNT(info)) /* into files that no other one has */
            CHECK_OK_ERR(mn_purge_namespace(store, mn_str("a"), NULL, &err), &err);
        create(store, NULL, &info[i]);
    }
    closed(store);
    (void)snprintf(path, sizeof path, "%s.snapshots/%s.snapshot", p.store, info[1].id);
    overwrite(path);
    mn_snapshots *pool = pool_of(p.store);
    CHECK_STATUS(mn_snapshots_prune(pool, 1, &n, &freed, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "no file can go");
    CHECK_STR_HAS(err.message, info[1].id);
    CHECK_EQ(n, 3);
    CHECK_EQ(freed, 0);
    CHECK_EQ(n_snapshots(p.store), 2);
    CHECK_OK_ERR(mn_snapshot_delete(pool, info[1].id, &freed, &err), &err);
    CHECK(freed > 0);
    CHECK_OK_ERR(mn_snapshot_verify(pool, info[4].id, NULL, &err), &err);
    mn_snapshots_close(pool);
}

static void a_damaged_parent_has_to_go(void)
{
    const struct mn_snapshot_options o = {.size = sizeof o, .incremental = true};
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_restore_report report;
    struct mn_snapshot_info parent;
    struct mn_snapshot_info child;
    char path[700];

    (void)put(store, mn_str("a"), mn_str("1"), "x");
    create(store, NULL, &parent);
    create(store, &o, &child);
    closed(store);
    (void)snprintf(path, sizeof path, "%s.snapshots/%s.snapshot", p.store, parent.id);
    overwrite(path);
    CHECK_STATUS(
        try_restore(p.store, child.id, (struct mn_restore_options){.into = p.other}, &report),
        MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "when it is deleted, this one stands alone");
    CHECK_STR_HAS(err.message, parent.id);
    mn_snapshots *pool = pool_of(p.store);
    CHECK_OK_ERR(mn_snapshot_delete(pool, parent.id, NULL, &err), &err);
    mn_snapshots_close(pool);
    (void)restored(p.store, child.id, (struct mn_restore_options){.into = p.other});
}

static void an_export_stands_alone(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_restore_report report = {.size = sizeof report};
    struct mn_snapshot_info info;
    mn_snapshots *pool = NULL;
    char target[600];

    for (int i = 0; i < 2; i++) {
        (void)snprintf(target, sizeof target, "%s%d", p.other, i);
        struct mn_snapshot_options o = {
            .size = sizeof o, .to = target, .compress = i == 1, .incremental = true};
        (void)put(store, mn_str("a"), mn_str(i == 0 ? "1" : "2"), "x");
        CHECK_STATUS(mn_snapshot_create(store, &o, NULL, &err), MN_NOT_FOUND);
        o.incremental = false;
        create(store, &o, &info);
        CHECK_EQ(info.is_compressed, i == 1);
        CHECK_OK_ERR(mn_snapshots_open(target, &pool, &err), &err);
        (void)snprintf(target, sizeof target, "%s-restored%d", p.other, i);
        struct mn_restore_options r = {.size = sizeof r, .into = target};
        CHECK_OK_ERR(mn_snapshot_restore(pool, info.id, &r, &report, &err), &err);
        CHECK_EQ(report.n_records, (uint64_t)i + 1);
        mn_snapshots_close(pool);
        mn_store *other = opened(target);
        CHECK_EQ(count(other, "a"), (uint64_t)i + 1);
        closed(other);
    }
    CHECK_STATUS(mn_snapshots_open_of(p.store, &pool, &err), MN_NOT_FOUND);
    (void)snprintf(target, sizeof target, "%s/missing/pool", p.dir);
    const struct mn_snapshot_options o = {.size = sizeof o, .to = target};
    CHECK_STATUS(mn_snapshot_create(store, &o, NULL, &err), MN_ERR_IO);
    CHECK_STR_HAS(err.message, target);
    closed(store);
}

static void a_purge_names_the_snapshots_that_hold_copies(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    const struct mn_slice id = mn_str("secret");
    char ids[8][MN_SNAPSHOT_ID_BYTES];
    struct mn_purge_receipt receipt = {
        .size = sizeof receipt, .snapshot_ids = ids, .snapshot_ids_max = 8};
    struct mn_snapshot_info info[4];

    (void)put(store, mn_str("a"), mn_str("1"), "x");
    create(store, NULL, &info[0]);
    (void)put(store, mn_str("a"), id, "x");
    create(store, NULL, &info[1]);
    CHECK_OK(mn_delete(store, mn_str("a"), id, NULL, NULL, NULL, &err));
    create(store, NULL, &info[2]); /* dead there, and in the file still */
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), &id, 1, &receipt, &err), &err);
    CHECK_EQ(receipt.n_snapshots, 2);
    CHECK_STR_EQ(ids[0], info[2].id);
    CHECK_STR_EQ(ids[1], info[1].id);
    create(store, NULL, &info[3]);
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), &id, 1, &receipt, &err), &err);
    CHECK_EQ(receipt.n_snapshots, 2);
    /* A namespace of the same name that was made anew has another number. */
    CHECK_OK(mn_namespace_drop(store, mn_str("a"), NULL, &err));
    (void)put(store, mn_str("a"), id, "x");
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), &id, 1, &receipt, &err), &err);
    CHECK_EQ(receipt.n_snapshots, 2);
    CHECK_OK_ERR(mn_purge_namespace(store, mn_str("a"), &receipt, &err), &err);
    CHECK_EQ(receipt.n_snapshots, 4);
    closed(store);
}

/* Under a number that no namespace of the snapshot has. */
static void a_purge_finds_what_was_dropped_before_the_snapshot(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    const struct mn_slice id = mn_str("secret");
    const struct mn_slice other = mn_str("other");
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    struct mn_snapshot_info info;

    (void)put(store, mn_str("a"), id, "x");
    (void)put(store, mn_str("b"), other, "x");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK(mn_namespace_drop(store, mn_str("a"), NULL, &err));
    (void)put(store, mn_str("a"), mn_str("1"), "x");
    create(store, NULL, &info);
    /* A key of another namespace that is there does not count. */
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), &other, 1, &receipt, &err), &err);
    CHECK_EQ(receipt.n_snapshots, 0);
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), &id, 1, &receipt, &err), &err);
    CHECK_EQ(receipt.n_snapshots, 1);
    CHECK_STATUS(mn_purge_namespace(store, mn_str("nowhere"), &receipt, &err), MN_NOT_FOUND);
    CHECK_EQ(receipt.n_snapshots, 1); /* it may have been called so */
    create(store, NULL, &info);       /* of what has been purged */
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), &id, 1, &receipt, &err), &err);
    CHECK_EQ(receipt.n_snapshots, 1);
    closed(store);
}

static void a_pool_that_cannot_be_looked_at_is_not_taken_for_none(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    const struct mn_slice id = mn_str("1");
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    struct mn_snapshot_info info;
    char files[600];
    char aside[600];

    (void)snprintf(files, sizeof files, "%s.snapshots/files", p.store);
    (void)snprintf(aside, sizeof aside, "%s/aside", p.dir);
    (void)put(store, mn_str("a"), id, "x");
    create(store, NULL, &info);
    CHECK_EQ(rename(files, aside), 0);
    CHECK_STATUS(mn_purge(store, mn_str("a"), &id, 1, &receipt, &err), MN_ERR_IO);
    CHECK_STR_HAS(err.message, "are erased from the store");
    CHECK_STR_HAS(err.message, ".snapshots");
    CHECK_EQ(rename(aside, files), 0);
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), &id, 1, &receipt, &err), &err);
    CHECK_EQ(receipt.n_snapshots, 1);
    closed(store);
}

/* What the log has beyond need is no part of a snapshot. */
static void a_log_that_cannot_be_archived_stops_no_snapshot(void)
{
    static char payload[300000];
    struct place p = new_place();
    mn_store *store = opened(p.store);
    const struct mn_slice id = mn_str("1");
    struct mn_snapshot_info info;
    char path[600];
    char id_text[16];

    (void)snprintf(path, sizeof path, "%s/archive", p.dir);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_OK_ERR(mn_config_set(store, "archive_dir", path, &err), &err);
    CHECK_EQ(rmdir(path), 0);
    FILE *file = fopen(path, "wb"); /* no directory */
    CHECK(file != NULL && fclose(file) == 0);
    memset(payload, 'x', sizeof payload - 1);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(id_text, sizeof id_text, "%d", i);
        (void)put(store, mn_str("a"), mn_str(id_text), payload);
    }
    CHECK(mn_checkpoint(store, &err) < 0);
    (void)put(store, mn_str("a"), mn_str("new"), "new");
    create(store, NULL, &info);
    CHECK_EQ(info.n_records, 9);
    create(store,
           &(struct mn_snapshot_options){.size = sizeof(struct mn_snapshot_options), .to = p.other},
           &info);
    CHECK_EQ(info.n_records, 9);
    CHECK(mn_purge(store, mn_str("a"), &id, 1, NULL, &err) < 0); /* it is in the log still */
    CHECK_STR_HAS(err.message, "not erased");
    CHECK_STR_HAS(err.message, path);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), &id, 1, NULL, &err), &err);
    closed(store);
}

static void a_snapshot_is_read_where_it_lies(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info;

    (void)put(store, mn_str("a"), mn_str("1"), "old");
    (void)put(store, mn_str("a"), mn_str("2"), "x");
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("2"), NULL, NULL, NULL, &err));
    create(store, NULL, &info);
    (void)put(store, mn_str("a"), mn_str("1"), "new");
    struct mn_options o = {.size = sizeof o, .snapshot_id = info.id};
    mn_store *old = NULL;
    CHECK_OK_ERR(mn_open(p.store, &o, &old, &err), &err); /* beside a writer */
    CHECK(holds(old, mn_str("a"), mn_str("1"), "old"));
    CHECK_EQ(count(old, "a"), 1);
    CHECK_EQ(stats_of(old).current_lsn, info.lsn);
    struct mn_record r = {.id = mn_str("3")};
    CHECK_STATUS(mn_put(old, mn_str("a"), &r, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_checkpoint(old, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_snapshot_create(old, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_config_set(old, "sync", "manual", &err), MN_ERR_READ_ONLY);
    /* It does not go away meanwhile. */
    mn_snapshots *pool = pool_of(p.store);
    CHECK_STATUS(mn_snapshot_delete(pool, info.id, NULL, &err), MN_ERR_IN_USE);
    closed(old);
    CHECK_OK_ERR(mn_snapshot_delete(pool, info.id, NULL, &err), &err);
    mn_snapshots_close(pool);
    CHECK_STATUS(mn_open(p.store, &o, &old, &err), MN_NOT_FOUND);
    o.snapshot_id = "../x";
    CHECK_STATUS(mn_open(p.store, &o, &old, &err), MN_ERR_INVALID);
    closed(store);
}

static void an_empty_store_has_a_snapshot_too(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info;

    create(store, NULL, &info);
    CHECK_EQ(info.lsn, 0);
    CHECK_EQ(info.n_files, 0);
    (void)put(store, mn_str("a"), mn_str("1"), "x");
    closed(store);
    (void)restored(p.store, info.id, (struct mn_restore_options){.into = p.other});
    store = opened(p.other);
    CHECK_EQ(stats_of(store).n_namespaces, 0);
    CHECK_EQ(put(store, mn_str("a"), mn_str("1"), "x"), 1);
    closed(store);
    (void)restored(p.store, info.id, (struct mn_restore_options){.replace = p.store});
    store = opened(p.store);
    CHECK_EQ(stats_of(store).n_records, 0);
    CHECK(put(store, mn_str("a"), mn_str("1"), "x") > 1);
    closed(store);
}

enum { N_LARGE = 512, LARGE_BYTES = 4096, PINNED_BYTES_MAX = 1 << 20 };

/* Records with a vector of their number and a payload, of which only a part may be pinned. */
static void put_large(mn_store *store, uint32_t from, uint32_t to)
{
    static const char payload[LARGE_BYTES];

    for (uint32_t i = from; i < to; i++) {
        char id[16];
        const float vector[2] = {(float)i, 1};
        (void)snprintf(id, sizeof id, "%05u", i);
        struct mn_record r = {.id = mn_str(id),
                              .payload = bytes(payload, sizeof payload),
                              .vector = vector,
                              .n_dims = 2};
        CHECK_OK_ERR(mn_put(store, mn_str("a"), &r, NULL, NULL, &err), &err);
    }
}

static uint64_t scanned(mn_store *store)
{
    struct mn_scan_chunk chunk;
    struct mn_view view;
    mn_scan *scan = NULL;
    uint64_t n = 0;
    mn_status st;

    CHECK_OK_ERR(mn_scan_open(store, mn_str("a"), NULL, &scan, &err), &err);
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    while ((st = mn_scan_next(scan, &chunk, &err)) == MN_OK) {
        CHECK_OK_ERR(mn_scan_view(scan, 0, &view, &err), &err);
        CHECK_EQ(view.payload.n_bytes, LARGE_BYTES);
        mn_view_release(&view);
        n += chunk.n_vectors;
    }
    CHECK_STATUS(st, MN_END);
    mn_scan_close(scan);
    return n;
}

/* Keeps the view of every record until one is refused. */
static uint64_t walked(mn_store *store, bool *was_refused_out)
{
    static struct mn_view views[N_LARGE + 1]; /* the end clears one too */
    mn_iter *iter = NULL;
    uint64_t n = 0;
    size_t n_kept = 0;
    mn_status st = mn_iter_open(store, mn_str("a"), NULL, &iter, &err);

    CHECK_OK_ERR(st, &err);
    *was_refused_out = false;
    while (st == MN_OK) {
        st = mn_iter_next(iter, &views[n_kept], &err);
        if (st == MN_ERR_BUDGET) {
            *was_refused_out = true;
            CHECK(stats_of(store).pinned_bytes > PINNED_BYTES_MAX - 2 * LARGE_BYTES);
            while (n_kept > 0)
                mn_view_release(&views[--n_kept]);
            st = MN_OK;
            continue;
        }
        n_kept += st == MN_OK;
        n += st == MN_OK;
    }
    CHECK_STATUS(st, MN_END);
    while (n_kept > 0)
        mn_view_release(&views[--n_kept]);
    mn_iter_close(iter);
    CHECK_EQ(stats_of(store).pinned_bytes, 0);
    return n;
}

static void what_is_read_of_a_snapshot_counts(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info;
    mn_store *old = NULL;
    bool was_refused = false;

    CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
    put_large(store, 0, N_LARGE);
    create(store, NULL, &info);
    put_large(store, N_LARGE, N_LARGE + 10);
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("00000"), NULL, NULL, NULL, &err));
    struct mn_options o = {.size = sizeof o,
                           .snapshot_id = info.id,
                           .memory_bytes_max = 65 << 20,
                           .pinned_bytes_max = PINNED_BYTES_MAX};
    CHECK_OK_ERR(mn_open(p.store, &o, &old, &err), &err);
    CHECK_EQ(stats_of(old).memory_bytes_max, 65 << 20);
    CHECK_EQ(stats_of(old).pinned_bytes_max, PINNED_BYTES_MAX);
    CHECK_EQ(scanned(old), N_LARGE); /* the first read notes the name, which counts */
    uint64_t memory_bytes = stats_of(old).memory_bytes;
    CHECK_EQ(scanned(old), N_LARGE);
    CHECK_EQ(walked(old, &was_refused), N_LARGE);
    CHECK(was_refused);
    CHECK_EQ(stats_of(old).memory_bytes, memory_bytes);
    /* Meanwhile the store gives its own names of the files up. */
    struct mn_slice ids[] = {mn_str("00001")};
    CHECK_OK_ERR(mn_purge(store, mn_str("a"), ids, 1, NULL, &err), &err);
    CHECK_EQ(scanned(old), N_LARGE);
    CHECK_EQ(count(store, "a"), N_LARGE + 8);
    closed(old);
    CHECK_OK_ERR(mn_open(p.store, &(struct mn_options){.size = sizeof o, .snapshot_id = info.id},
                         &old, &err),
                 &err);
    CHECK_EQ(stats_of(old).pinned_bytes_max, 256 << 20);
    CHECK_EQ(walked(old, &was_refused), N_LARGE);
    CHECK(!was_refused);
    closed(old);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_snapshot_says_what_it_holds),
        CHECK_TEST(a_new_store_is_what_it_was),
        CHECK_TEST(replacing_leaves_nothing_newer),
        CHECK_TEST(a_new_store_has_no_directories),
        CHECK_TEST(one_namespace_comes_back_beside_others),
        CHECK_TEST(what_is_not_ours_any_more_is_not_touched),
        CHECK_TEST(the_newest_ones_are_kept),
        CHECK_TEST(one_damaged_snapshot_stops_no_pruning),
        CHECK_TEST(a_damaged_parent_has_to_go),
        CHECK_TEST(an_export_stands_alone),
        CHECK_TEST(a_purge_names_the_snapshots_that_hold_copies),
        CHECK_TEST(a_purge_finds_what_was_dropped_before_the_snapshot),
        CHECK_TEST(a_pool_that_cannot_be_looked_at_is_not_taken_for_none),
        CHECK_TEST(a_log_that_cannot_be_archived_stops_no_snapshot),
        CHECK_TEST(a_snapshot_is_read_where_it_lies),
        CHECK_TEST(an_empty_store_has_a_snapshot_too),
        CHECK_TEST(what_is_read_of_a_snapshot_counts),
    };
    return check_run("engine.snapshot", tests, CHECK_COUNT(tests), argc, argv);
}
