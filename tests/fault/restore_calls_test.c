/*
 * restore_calls_test.c - every allocation and every call to the disk fails once while a snapshot is
 * made, read or restored: the answer is an error or right, snapshots and stores are as they were
 * before or after, nothing is leaked, and doing it again works.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/mem.h"
#include "check.h"
#include "io/crash.h"
#include "io/fault.h"
#include "mneme/mneme.h"

struct world {
    struct mni_crash_env *crash;
    struct mni_fault_env *fault;
    struct mni_env *env;
    mn_store *store;
    char id[MN_SNAPSHOT_ID_BYTES]; /* of the snapshot that there is */
    uint64_t lsn;                  /* of the newest commit */
    struct mn_error err;
};

struct deed {
    const char *name;
    bool needs_store; /* open */
    mn_status (*act)(struct world *w);
    void (*check)(struct world *w, mn_status st); /* no fault any more; the store is closed */
};

static mn_status open_at(struct world *w, const char *path, mn_store **store_out)
{
    struct mn_options o = {.size = sizeof o, .create = true, .no_background = true};

    *store_out = NULL;
    return mni_api_store_open(w->env, path, &o, store_out, &w->err);
}

static void put(struct world *w, const char *name, const char *id, const char *payload)
{
    struct mn_record r = {.id = mn_str(id), .payload = mn_str(payload)};

    CHECK_OK_ERR(mn_put(w->store, mn_str(name), &r, NULL, NULL, &w->err), &w->err);
}

static bool is_value(mn_store *store, const char *name, const char *id, const char *payload)
{
    struct mn_view view;
    mn_status st = mn_get(store, mn_str(name), mn_str(id), &view, NULL);

    CHECK(st == MN_OK || st == MN_NOT_FOUND);
    bool is_same = st == MN_OK && view.payload.n_bytes == strlen(payload) &&
                   memcmp(view.payload.data, payload, view.payload.n_bytes) == 0;
    mn_view_release(&view);
    return payload[0] == '\0' ? st == MN_NOT_FOUND : is_same;
}

/* What the store was when the snapshot was made, and what it is. */
static bool is_old(mn_store *store)
{
    return is_value(store, "n", "a", "old") && is_value(store, "n", "b", "old") &&
           is_value(store, "n", "c", "") && is_value(store, "m", "x", "old");
}

static bool is_new(mn_store *store)
{
    return is_value(store, "n", "a", "new") && is_value(store, "n", "b", "") &&
           is_value(store, "n", "c", "new") && is_value(store, "m", "x", "old");
}

static size_t n_snapshots(struct world *w)
{
    mn_snapshots *pool = NULL;
    mn_snapshot_iter *iter = NULL;
    char id[MN_SNAPSHOT_ID_BYTES];
    size_t n = 0;

    CHECK_OK_ERR(mni_api_snapshots_open_of(w->env, "/s", &pool, &w->err), &w->err);
    CHECK_OK_ERR(mn_snapshot_iter_open(pool, &iter, &w->err), &w->err);
    for (; mn_snapshot_iter_next(iter, id, NULL) == MN_OK; n++)
        CHECK_OK_ERR(mn_snapshot_verify(pool, id, NULL, &w->err), &w->err);
    mn_snapshot_iter_close(iter);
    mn_snapshots_close(pool);
    return n;
}

/* Deeds ---------- */

static mn_status act_create(struct world *w)
{
    const struct mn_snapshot_options o = {.size = sizeof o, .incremental = true};
    mn_snapshot *snapshot = NULL;
    mn_status st = mn_snapshot_create(w->store, &o, &snapshot, &w->err);

    mn_snapshot_free(snapshot);
    return st;
}

static void check_created(struct world *w, mn_status st)
{
    size_t n = n_snapshots(w);

    CHECK(n == 2 || (st != MN_OK && n == 1));
}

static mn_status restore(struct world *w, struct mn_restore_options o)
{
    struct mn_restore_report report = {.size = sizeof report};
    mn_snapshots *pool = NULL;
    mn_status st = mni_api_snapshots_open_of(w->env, "/s", &pool, &w->err);

    o.size = sizeof o;
    if (st == MN_OK)
        st = mn_snapshot_restore(pool, o.at_lsn != 0 ? NULL : w->id, &o, &report, &w->err);
    mn_snapshots_close(pool);
    if (st == MN_OK)
        CHECK_EQ(report.n_records, o.name.n_bytes > 0 ? 2 : 3);
    return st;
}

static mn_status act_restore_into(struct world *w)
{
    return restore(w, (struct mn_restore_options){.into = "/t"});
}

static void check_target(struct world *w, mn_status st, mn_status (*act)(struct world *w))
{
    mn_store *store = NULL;
    struct mn_options o = {.size = sizeof o, .no_background = true};
    mn_status opened = mni_api_store_open(w->env, "/t", &o, &store, &w->err);

    if (opened != MN_OK) {
        CHECK(st != MN_OK && opened == MN_ERR_NO_STORE);
        CHECK_OK_ERR(act(w), &w->err);
        CHECK_OK_ERR(mni_api_store_open(w->env, "/t", &o, &store, &w->err), &w->err);
    }
    CHECK(is_value(store, "n", "a", "old") && is_value(store, "n", "b", "old"));
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
}

static void check_restored_into(struct world *w, mn_status st)
{
    check_target(w, st, act_restore_into);
}

static mn_status act_restore_one_into(struct world *w)
{
    return restore(w, (struct mn_restore_options){.into = "/t", .name = mn_str("n")});
}

static void check_restored_one_into(struct world *w, mn_status st)
{
    check_target(w, st, act_restore_one_into);
}

/* Of what was logged since, some is in the archive, some in the store. */
static mn_status act_restore_moment(struct world *w)
{
    return restore(w, (struct mn_restore_options){.into = "/t", .at_lsn = w->lsn});
}

static void check_restored_moment(struct world *w, mn_status st)
{
    mn_store *store = NULL;
    struct mn_options o = {.size = sizeof o, .no_background = true};
    mn_status opened = mni_api_store_open(w->env, "/t", &o, &store, &w->err);

    if (opened != MN_OK) {
        CHECK(st != MN_OK && opened == MN_ERR_NO_STORE);
        CHECK_OK_ERR(act_restore_moment(w), &w->err);
        CHECK_OK_ERR(mni_api_store_open(w->env, "/t", &o, &store, &w->err), &w->err);
    }
    CHECK(is_new(store));
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
}

static mn_status act_checkpoint(struct world *w)
{
    return mn_checkpoint(w->store, &w->err);
}

/* Wherever archiving failed, no moment is lost. */
static void check_archived(struct world *w, mn_status st)
{
    mn_store *store = NULL;

    (void)st;
    CHECK_OK_ERR(open_at(w, "/s", &store), &w->err);
    CHECK(is_new(store));
    CHECK_OK_ERR(mn_checkpoint(store, &w->err), &w->err);
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
    CHECK_OK_ERR(act_restore_moment(w), &w->err);
    check_restored_moment(w, MN_OK);
}

static mn_status act_replace(struct world *w)
{
    return restore(w, (struct mn_restore_options){.replace = "/s"});
}

static void check_replaced(struct world *w, mn_status st)
{
    mn_store *store = NULL;

    CHECK_OK_ERR(open_at(w, "/s", &store), &w->err);
    CHECK(is_old(store) || (st != MN_OK && is_new(store)));
    CHECK_OK_ERR(mn_checkpoint(store, &w->err), &w->err);
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
    CHECK_OK_ERR(act_replace(w), &w->err);
    CHECK_OK_ERR(open_at(w, "/s", &store), &w->err);
    CHECK(is_old(store));
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
}

static mn_status act_restore_beside(struct world *w)
{
    return restore(w, (struct mn_restore_options){
                          .replace = "/s", .name = mn_str("n"), .rename = mn_str("n2")});
}

static void check_restored_beside(struct world *w, mn_status st)
{
    mn_store *store = NULL;
    uint64_t n = 0;

    CHECK_OK_ERR(open_at(w, "/s", &store), &w->err);
    CHECK(is_new(store));
    mn_status counted = mn_count(store, mn_str("n2"), &n, NULL);
    CHECK((counted == MN_OK && n == 2) || (st != MN_OK && counted == MN_NOT_FOUND));
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
}

static mn_status act_read(struct world *w)
{
    struct mn_options o = {.size = sizeof o, .snapshot_id = w->id};
    mn_store *store = NULL;
    uint64_t n = 0;
    mn_status st = mni_api_store_open(w->env, "/s", &o, &store, &w->err);

    if (st != MN_OK)
        return st;
    st = mn_count(store, mn_str("n"), &n, &w->err);
    if (st == MN_OK)
        CHECK_EQ(n, 2);
    CHECK_OK(mn_close(store, NULL));
    return st;
}

static void check_unchanged(struct world *w, mn_status st)
{
    mn_store *store = NULL;

    (void)st;
    CHECK_OK_ERR(open_at(w, "/s", &store), &w->err);
    CHECK(is_new(store));
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
    CHECK_EQ(n_snapshots(w), 1);
}

static const struct deed deeds[] = {
    {"create", true, act_create, check_created},
    {"restore into", false, act_restore_into, check_restored_into},
    {"restore one into", false, act_restore_one_into, check_restored_one_into},
    {"replace", false, act_replace, check_replaced},
    {"restore beside", false, act_restore_beside, check_restored_beside},
    {"read", false, act_read, check_unchanged},
    {"restore a moment", false, act_restore_moment, check_restored_moment},
    {"checkpoint", true, act_checkpoint, check_archived},
};

/* Running ---------- */

struct fault {
    bool of_memory;
    int os_errno;
};

static void begin(struct world *w, const struct deed *deed)
{
    struct mn_snapshot_info info = {.size = sizeof info};
    mn_snapshot *snapshot = NULL;

    *w = (struct world){.store = NULL};
    CHECK_OK(mni_crash_env_new(1, &w->crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(w->crash), &w->fault));
    w->env = mni_fault_env_base(w->fault);
    CHECK_OK_ERR(open_at(w, "/s", &w->store), &w->err);
    CHECK_OK(mn_config_set(w->store, "wal_file_bytes", "65536", NULL));
    CHECK_OK(mn_config_set(w->store, "archive_dir", "/archive", NULL));
    put(w, "n", "a", "old");
    put(w, "n", "b", "first");
    put(w, "m", "x", "old");
    CHECK_OK(mn_checkpoint(w->store, NULL));
    put(w, "n", "b", "old"); /* a row that is dead */
    CHECK_OK_ERR(mn_snapshot_create(w->store, NULL, &snapshot, &w->err), &w->err);
    CHECK_OK(mn_snapshot_get_info(snapshot, &info, NULL));
    memcpy(w->id, info.id, sizeof info.id);
    mn_snapshot_free(snapshot);
    put(w, "n", "a", "new");
    CHECK_OK(mn_checkpoint(w->store, NULL));
    put(w, "n", "c", "new");
    CHECK_OK(mn_delete(w->store, mn_str("n"), mn_str("b"), NULL, NULL, &w->lsn, NULL));
    if (deed->needs_store)
        return;
    CHECK_OK(mn_close(w->store, NULL));
    w->store = NULL;
}

static void start_fault(struct world *w, const struct fault *fault, uint64_t n)
{
    if (fault->of_memory)
        mni_mem_fail_at(n);
    else
        mni_fault_env_fail_at(w->fault, n, fault->os_errno, false);
}

/* Returns whether there is such a point. */
static bool run(const struct deed *deed, const struct fault *fault, uint64_t n)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct world w;

    begin(&w, deed);
    start_fault(&w, fault, n);
    mn_status st = deed->act(&w);
    bool was_hit = fault->of_memory ? mni_mem_fail_was_hit() : mni_fault_env_was_hit(w.fault);
    mni_mem_fail_at(0);
    mni_fault_env_fail_at(w.fault, 0, 0, false);
    if (st != MN_OK) {
        CHECK(was_hit);
        CHECK_STATUS(w.err.status, st);
        CHECK(st == (fault->of_memory            ? MN_ERR_NOMEM
                     : fault->os_errno == ENOSPC ? MN_ERR_NO_SPACE
                                                 : MN_ERR_IO) ||
              st == MN_ERR_POISONED);
    }
    if (w.store != NULL) {
        CHECK(is_new(w.store));
        mni_api_store_abandon(w.store);
    }
    deed->check(&w, st);
    mni_fault_env_free(w.fault);
    mni_crash_env_free(w.crash);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
    return was_hit;
}

static void run_all(const struct fault *fault)
{
    for (size_t i = 0; i < CHECK_COUNT(deeds); i++) {
        uint64_t n = 1;
        while (run(&deeds[i], fault, n))
            n++;
        CHECK(n > 10);
        if (getenv("MNEME_VERBOSE") != NULL)
            (void)fprintf(stderr, "%s: %llu points\n", deeds[i].name, (unsigned long long)n - 1);
    }
}

static void any_allocation_may_fail(void)
{
    run_all(&(struct fault){.of_memory = true});
}

static void any_call_may_fail(void)
{
    run_all(&(struct fault){.os_errno = EIO});
}

static void the_disk_may_be_full_at_any_call(void)
{
    run_all(&(struct fault){.os_errno = ENOSPC});
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_allocation_may_fail),
        CHECK_TEST(any_call_may_fail),
        CHECK_TEST(the_disk_may_be_full_at_any_call),
    };

    return check_run("fault.restore_calls", tests, CHECK_COUNT(tests), argc, argv);
}
