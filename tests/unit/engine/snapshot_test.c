/* Snapshots of a store: made, listed, pruned, restored. */
#include "../api/short.h"

#include <dirent.h>
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct mn_error err;

struct place {
    const char *dir;
    char store[512];
    char other[512];
};

static struct place new_place(void)
{
    struct place p = {.dir = check_temp_dir()};

    (void)snprintf(p.store, sizeof p.store, "%s/store", p.dir);
    (void)snprintf(p.other, sizeof p.other, "%s/other", p.dir);
    return p;
}

/* Makes one and says its id. */
static void create(mn_store *store, const struct mn_snapshot_options *options,
                   struct mn_snapshot_info *info)
{
    mn_snapshot *snapshot = NULL;

    *info = (struct mn_snapshot_info){.size = sizeof *info};
    CHECK_OK_ERR(mn_snapshot_create(store, options, &snapshot, &err), &err);
    CHECK_OK(mn_snapshot_get_info(snapshot, info, &err));
    info->description = (struct mn_slice){0};
    mn_snapshot_free(snapshot);
}

static mn_snapshots *pool_of(const char *store)
{
    mn_snapshots *pool = NULL;

    CHECK_OK_ERR(mn_snapshots_open_of(store, &pool, &err), &err);
    return pool;
}

static size_t n_snapshots(const char *store)
{
    mn_snapshots *pool = pool_of(store);
    mn_snapshot_iter *iter = NULL;
    char id[MN_SNAPSHOT_ID_BYTES];
    size_t n = 0;

    CHECK_OK(mn_snapshot_iter_open(pool, &iter, &err));
    while (mn_snapshot_iter_next(iter, id, &err) == MN_OK)
        n++;
    mn_snapshot_iter_close(iter);
    mn_snapshots_close(pool);
    return n;
}

static mn_status try_restore(const char *store, const char *id, struct mn_restore_options o,
                             struct mn_restore_report *report)
{
    mn_snapshots *pool = pool_of(store);

    o.size = sizeof o;
    *report = (struct mn_restore_report){.size = sizeof *report};
    mn_status st = mn_snapshot_restore(pool, id, &o, report, &err);
    mn_snapshots_close(pool);
    return st;
}

static struct mn_restore_report restored(const char *store, const char *id,
                                         struct mn_restore_options o)
{
    struct mn_restore_report report;

    CHECK_OK_ERR(try_restore(store, id, o, &report), &err);
    return report;
}

static uint64_t count(mn_store *store, const char *name)
{
    uint64_t n = 0;

    CHECK_OK_ERR(mn_count(store, mn_str(name), &n, &err), &err);
    return n;
}

static void put_expiring(mn_store *store, const char *name, const char *id, int64_t ttl_us)
{
    struct mn_record r = {.id = mn_str(id), .fields = MN_HAS_TTL, .ttl_us = ttl_us};

    CHECK_OK_ERR(mn_put(store, mn_str(name), &r, NULL, NULL, &err), &err);
}

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

static void overwrite(const char *path)
{
    FILE *file = fopen(path, "r+b");

    CHECK(file != NULL);
    CHECK_EQ(fseek(file, 0, SEEK_END), 0);
    long n = ftell(file);
    for (long i = 0; i < n; i += 512) {
        CHECK_EQ(fseek(file, i, SEEK_SET), 0);
        CHECK_EQ(fputc(0x5a, file), 0x5a);
    }
    CHECK_EQ(fclose(file), 0);
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

/* The log, or the manifest. */
static void a_damaged_store_is_replaced(void)
{
    static const char *const files[] = {"wal/00000000000000000001.wal",
                                        "MANIFEST-00000000000000000002"};

    for (size_t i = 0; i < CHECK_COUNT(files); i++) {
        struct place p = new_place();
        mn_store *store = opened(p.store);
        struct mn_snapshot_info info;
        char path[700];
        (void)put(store, mn_str("a"), mn_str("1"), "old");
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        (void)put(store, mn_str("a"), mn_str("2"), "old");
        create(store, NULL, &info);
        uint64_t newest = put(store, mn_str("a"), mn_str("1"), "new");
        closed(store);
        (void)snprintf(path, sizeof path, "%s/%s", p.store, files[i]);
        overwrite(path);
        CHECK_STATUS(try_open(p.store, false, false, &err), MN_ERR_CORRUPT);
        (void)restored(p.store, info.id, (struct mn_restore_options){.replace = p.store});
        store = opened(p.store);
        CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
        CHECK_EQ(count(store, "a"), 2);
        CHECK(put(store, mn_str("a"), mn_str("3"), "x") > newest);
        closed(store);
    }
}

struct names {
    char of[64][64];
    size_t n;
};

static int compare_names(const void *one, const void *other)
{
    return strcmp(one, other);
}

static struct names names_in(const char *store, const char *sub)
{
    struct names names = {.n = 0};
    char path[700];

    (void)snprintf(path, sizeof path, "%s/%s", store, sub);
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        CHECK(names.n < CHECK_COUNT(names.of));
        (void)snprintf(names.of[names.n++], sizeof names.of[0], "%.63s", e->d_name);
    }
    CHECK_EQ(closedir(dir), 0);
    qsort(names.of, names.n, sizeof names.of[0], compare_names);
    return names;
}

/* Removes what begins so. */
static void remove_all(const char *store, const char *prefix)
{
    const struct names names = names_in(store, ".");
    char path[700];

    for (size_t i = 0; i < names.n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", store, names.of[i]);
        if (strncmp(names.of[i], prefix, strlen(prefix)) == 0)
            CHECK_EQ(unlink(path), 0);
    }
}

static mn_status stop_at_call(void *context, uint64_t n_done, uint64_t n_total)
{
    int *n_left = context;

    (void)n_done;
    (void)n_total;
    return --*n_left == 0 ? MN_ERR_CANCELLED : MN_OK;
}

static void copy_file(const char *from, const char *to)
{
    char command[1500];

    (void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    CHECK_EQ(system(command), 0); /* NOLINT(cert-env33-c): paths of the test's own */
}

/* All that a salvage could read is there after a restore that did not come to its end. */
static void without_a_root_nothing_is_removed_before_the_end(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_restore_report report;
    struct mn_snapshot_info info;
    int n_calls = 0;

    (void)put(store, mn_str("a"), mn_str("1"), "old");
    (void)put(store, mn_str("a"), mn_str("2"), "old");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("2"), NULL, NULL, NULL, &err));
    create(store, NULL, &info);
    (void)put(store, mn_str("b"), mn_str("1"), "new");
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("1"), NULL, NULL, NULL, &err));
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    closed(store);
    remove_all(p.store, "MANIFEST");
    const struct names before = names_in(p.store, "seg");
    CHECK(before.n >= 2);
    mn_status st = MN_ERR_CANCELLED;
    while (st == MN_ERR_CANCELLED) {
        int n_left = ++n_calls;
        st = try_restore(p.store, info.id,
                         (struct mn_restore_options){
                             .replace = p.store, .progress = stop_at_call, .context = &n_left},
                         &report);
        if (st == MN_OK)
            break;
        CHECK_STATUS(st, MN_ERR_CANCELLED);
        const struct names after = names_in(p.store, "seg");
        CHECK_EQ(after.n, before.n);
        CHECK_MEM_EQ(after.of, before.of, before.n * sizeof before.of[0]);
    }
    CHECK_OK_ERR(st, &err);
    CHECK(n_calls > 3);
    store = opened(p.store);
    CHECK_EQ(count(store, "a"), 1);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
    closed(store);
}

/* A copy of the store that went another way has another liveness file of this name. */
static void without_a_root_other_liveness_stays(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_restore_report report;
    struct mn_snapshot_info info;
    char live[900];
    char moved[700];
    struct stat stat_before;
    struct stat stat_after;

    (void)put(store, mn_str("a"), mn_str("1"), "old");
    (void)put(store, mn_str("a"), mn_str("2"), "old");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("2"), NULL, NULL, NULL, &err));
    create(store, NULL, &info);
    closed(store);
    const struct names names = names_in(p.store, "seg");
    live[0] = '\0';
    for (size_t i = 0; i < names.n; i++)
        if (strstr(names.of[i], ".live") != NULL)
            (void)snprintf(live, sizeof live, "%s/seg/%s", p.store, names.of[i]);
    CHECK(live[0] != '\0');
    (void)snprintf(moved, sizeof moved, "%s/moved", p.dir);
    copy_file(live, moved);
    CHECK_EQ(unlink(live), 0); /* the snapshot has it under another name */
    overwrite(moved);
    CHECK_EQ(rename(moved, live), 0);
    CHECK_EQ(stat(live, &stat_before), 0);
    remove_all(p.store, "MANIFEST");
    CHECK_STATUS(
        try_restore(p.store, info.id, (struct mn_restore_options){.replace = p.store}, &report),
        MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "new directory");
    CHECK_EQ(stat(live, &stat_after), 0);
    CHECK_EQ(stat_before.st_ino, stat_after.st_ino);
    (void)restored(p.store, info.id, (struct mn_restore_options){.into = p.other});
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

/* Gives the files of one directory names in another one, which is made, or emptied, for it. */
static void link_all(const char *from, const char *to)
{
    const char *dirs[] = {to, from};

    CHECK(mkdir(to, 0700) == 0 || errno == EEXIST);
    for (int i = 0; i < 2; i++) {
        DIR *dir = opendir(dirs[i]);
        CHECK(dir != NULL);
        for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
            char name[800];
            char other[800];
            if (e->d_name[0] == '.')
                continue;
            (void)snprintf(name, sizeof name, "%s/%.255s", to, e->d_name);
            (void)snprintf(other, sizeof other, "%s/%.255s", from, e->d_name);
            CHECK_EQ(i == 0 ? unlink(name) : link(other, name), 0);
        }
        CHECK_EQ(closedir(dir), 0);
    }
}

/* A restore that was cut off before the log began anew leaves the one of before. */
static void the_log_of_a_past_that_was_left_does_not_count(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info;
    char log[600];
    char before[600];

    (void)snprintf(log, sizeof log, "%s/wal", p.store);
    (void)snprintf(before, sizeof before, "%s/before", p.dir);
    (void)put(store, mn_str("a"), mn_str("1"), "old");
    create(store, NULL, &info);
    (void)put(store, mn_str("a"), mn_str("1"), "new");
    uint64_t newest = put(store, mn_str("a"), mn_str("2"), "new");
    closed(store);
    link_all(log, before);
    (void)restored(p.store, info.id, (struct mn_restore_options){.replace = p.store});
    link_all(before, log);
    struct mn_verify_report verified = {.size = sizeof verified};
    CHECK_OK_ERR(mn_verify(p.store, &verified, &err), &err);
    CHECK_OK_ERR(try_open(p.store, false, true, &err), &err);
    /* Also what salvage takes of all that the log has. */
    struct mn_salvage_report salvaged = {.size = sizeof salvaged};
    DIR *dir = NULL;
    char segments[600];
    (void)snprintf(segments, sizeof segments, "%s/seg", p.store);
    CHECK((dir = opendir(segments)) != NULL);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char name[900];
        (void)snprintf(name, sizeof name, "%s/%.255s", segments, e->d_name);
        if (strstr(e->d_name, ".seg") != NULL)
            CHECK_EQ(unlink(name), 0);
    }
    CHECK_EQ(closedir(dir), 0);
    CHECK_OK_ERR(mn_salvage(p.store, p.other, NULL, &salvaged, &err), &err);
    CHECK(salvaged.n_damages > 0);
    CHECK_EQ(salvaged.n_records, 0);
    /* And it goes on, above. */
    (void)restored(p.store, info.id, (struct mn_restore_options){.replace = p.store});
    store = opened(p.store);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
    CHECK_EQ(count(store, "a"), 1);
    CHECK(put(store, mn_str("a"), mn_str("2"), "x") > newest);
    closed(store);
}

static void fill_up(const char *path)
{
    static const char zeroes[4096];
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL);
    CHECK_EQ(setvbuf(file, NULL, _IONBF, 0), 0);
    while (fwrite(zeroes, sizeof zeroes, 1, file) == 1)
        continue;
    CHECK_EQ(errno, ENOSPC);
    CHECK_EQ(fclose(file), 0);
}

/* The reserve is for what is written of the store that goes. */
static void a_store_on_a_full_disk_is_replaced(void)
{
    char disk[512];
    char path[600];
    char ballast[600];
    struct mn_snapshot_info info;
    struct stat reserve;
    char reserve_path[700];

    (void)snprintf(disk, sizeof disk, "%s/disk", check_temp_dir());
    (void)snprintf(path, sizeof path, "%s/store", disk);
    (void)snprintf(ballast, sizeof ballast, "%s/ballast", disk);
    (void)snprintf(reserve_path, sizeof reserve_path, "%s/RESERVE", path);
    CHECK_EQ(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=32m") != 0)
        check_skip("this process may not mount a disk");
    mn_store *store = opened(path);
    (void)put(store, mn_str("a"), mn_str("1"), "old");
    create(store, NULL, &info);
    (void)put(store, mn_str("a"), mn_str("1"), "new");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    (void)put(store, mn_str("a"), mn_str("2"), "new");
    closed(store);
    CHECK_EQ(stat(reserve_path, &reserve), 0);
    fill_up(ballast);
    (void)restored(path, info.id, (struct mn_restore_options){.replace = path});
    CHECK(stat(reserve_path, &reserve) != 0);
    store = opened(path);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
    CHECK_EQ(count(store, "a"), 1);
    closed(store);
    CHECK_EQ(umount(disk), 0);
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
        CHECK_TEST(a_damaged_store_is_replaced),
        CHECK_TEST(without_a_root_nothing_is_removed_before_the_end),
        CHECK_TEST(without_a_root_other_liveness_stays),
        CHECK_TEST(an_empty_store_has_a_snapshot_too),
        CHECK_TEST(what_is_read_of_a_snapshot_counts),
        CHECK_TEST(the_log_of_a_past_that_was_left_does_not_count),
        CHECK_TEST(a_store_on_a_full_disk_is_replaced),
    };
    return check_run("engine.snapshot", tests, CHECK_COUNT(tests), argc, argv);
}
