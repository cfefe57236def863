/*
 * snapshot_test.c - snapshots while others write, checkpoint, drop and purge: each shows one state.
 *
 * Writers move amounts between two namespaces, so their sum is always zero; another makes and drops
 * a namespace whose number of records is always the same; another purges. Every snapshot is read in
 * place and restored, and shows whole batches and balanced sums.
 */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "check.h"
#include "engine/engine.h"
#include "io/thread.h"
#include "mneme/mneme.h"

enum { N_MOVERS = 3, N_BATCH = 7, N_SNAPSHOTS = 8 };

struct shared {
    mn_store *store;
    atomic_bool stops;
    atomic_int n_done;
};

struct worker {
    struct mni_thread thread;
    struct shared *shared;
    unsigned index;
    uint64_t random;
    mn_status status; /* the first that is not MN_OK */
    void (*step)(struct worker *w);
};

static void note(struct worker *w, mn_status st)
{
    if (w->status == MN_OK)
        w->status = st;
}

static mn_status put_number(mn_store *store, mn_txn *txn, const char *name, const char *id,
                            int64_t number)
{
    struct mn_record r = {.id = mn_str(id), .payload = {&number, sizeof number}};

    return txn != NULL ? mn_txn_put(txn, mn_str(name), &r, NULL)
                       : mn_put(store, mn_str(name), &r, NULL, NULL, NULL);
}

/* Each mover has an id of its own, so none conflicts. */
static void move(struct worker *w)
{
    int64_t amount = (int64_t)check_below(&w->random, 1000);
    mn_txn *txn = NULL;
    char id[16];
    mn_status st = mn_txn_begin(w->shared->store, &txn, NULL);

    (void)snprintf(id, sizeof id, "mover%u", w->index);
    if (st == MN_OK)
        st = put_number(NULL, txn, "left", id, amount);
    if (st == MN_OK)
        st = put_number(NULL, txn, "right", id, -amount);
    if (st == MN_OK)
        st = mn_txn_commit(txn, NULL, NULL, NULL);
    else
        mn_txn_rollback(txn);
    note(w, st);
}

static void make_and_drop(struct worker *w)
{
    static const char *const ids[N_BATCH] = {"a", "b", "c", "d", "e", "f", "g"};
    struct mn_record records[N_BATCH];

    for (int i = 0; i < N_BATCH; i++)
        records[i] = (struct mn_record){.id = mn_str(ids[i]), .payload = mn_str("batch")};
    note(w,
         mn_put_batch(w->shared->store, mn_str("batch"), records, N_BATCH, NULL, NULL, NULL, NULL));
    note(w, mn_namespace_drop(w->shared->store, mn_str("batch"), NULL, NULL));
}

static void purge(struct worker *w)
{
    const struct mn_slice id = mn_str("secret");

    note(w, put_number(w->shared->store, NULL, "secrets", "secret", 7));
    note(w, mn_purge(w->shared->store, mn_str("secrets"), &id, 1, NULL, NULL));
}

static void checkpoint(struct worker *w)
{
    note(w, mn_checkpoint(w->shared->store, NULL));
}

static void work(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&w->shared->stops) && w->status == MN_OK) {
        w->step(w);
        atomic_fetch_add(&w->shared->n_done, 1);
    }
}

/* What a snapshot shows ---------- */

static int64_t number_at(mn_store *store, const char *name, const char *id)
{
    struct mn_view view;
    int64_t number = 0;

    CHECK_OK(mn_get(store, mn_str(name), mn_str(id), &view, NULL));
    memcpy(&number, view.payload.data, sizeof number);
    mn_view_release(&view);
    return number;
}

static void check_moment(mn_store *store)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < N_MOVERS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "mover%u", i);
        CHECK_EQ(number_at(store, "left", id), -number_at(store, "right", id));
    }
    mn_status st = mn_count(store, mn_str("batch"), &n, NULL);
    CHECK(st == MN_NOT_FOUND || (st == MN_OK && n == N_BATCH));
}

static void check_snapshot(const char *path, const struct mn_snapshot_info *info, unsigned index)
{
    struct mn_options o = {.size = sizeof o, .snapshot_id = info->id};
    struct mn_restore_options r = {.size = sizeof r};
    struct mn_stats stats = {.size = sizeof stats};
    mn_snapshots *pool = NULL;
    mn_store *store = NULL;
    struct mn_error err;
    char target[600];

    CHECK_OK_ERR(mn_open(path, &o, &store, &err), &err);
    check_moment(store);
    CHECK_OK(mn_stats(store, &stats, NULL));
    CHECK_EQ(stats.n_records, info->n_records);
    CHECK_EQ(stats.current_lsn, info->lsn);
    CHECK_OK(mn_close(store, NULL));
    CHECK_OK_ERR(mn_snapshots_open_of(path, &pool, &err), &err);
    CHECK_OK_ERR(mn_snapshot_verify(pool, info->id, NULL, &err), &err);
    (void)snprintf(target, sizeof target, "%s-%u", path, index);
    r.into = target;
    CHECK_OK_ERR(mn_snapshot_restore(pool, info->id, &r, NULL, &err), &err);
    mn_snapshots_close(pool);
    o = (struct mn_options){.size = sizeof o};
    CHECK_OK_ERR(mn_open(target, &o, &store, &err), &err);
    check_moment(store);
    CHECK_OK(mn_close(store, NULL));
}

/* Between two snapshots: the log of then was kept beside all that went on. */
static void check_lsn(const char *path, uint64_t lsn, unsigned index)
{
    struct mn_options o = {.size = sizeof o};
    struct mn_restore_options r = {.size = sizeof r, .at_lsn = lsn};
    mn_snapshots *pool = NULL;
    mn_store *store = NULL;
    struct mn_error err;
    char target[600];

    CHECK_OK_ERR(mn_snapshots_open_of(path, &pool, &err), &err);
    (void)snprintf(target, sizeof target, "%s-at-%u", path, index);
    r.into = target;
    CHECK_OK_ERR(mn_snapshot_restore(pool, NULL, &r, NULL, &err), &err);
    mn_snapshots_close(pool);
    CHECK_OK_ERR(mn_open(target, &o, &store, &err), &err);
    check_moment(store);
    CHECK_OK(mn_close(store, NULL));
}

static void snapshots_show_one_moment_each(void)
{
    static void (*const steps[])(struct worker *) = {move,          move,  move,
                                                     make_and_drop, purge, checkpoint};
    static struct shared shared;
    static struct worker workers[CHECK_COUNT(steps)];
    struct mn_options o = {.size = sizeof o, .create = true, .wal_file_bytes = 64 << 10};
    struct mn_error err;
    uint64_t seed = check_seed();
    char path[512];
    char elsewhere[600];

    (void)snprintf(path, sizeof path, "%s/store", check_temp_dir());
    CHECK_OK_ERR(mn_open(path, &o, &shared.store, &err), &err);
    CHECK_OK(mn_config_set(shared.store, "wal_file_bytes", "65536", NULL));
    (void)snprintf(elsewhere, sizeof elsewhere, "%s-archive", path);
    CHECK_OK(mn_config_set(shared.store, "archive_dir", elsewhere, NULL));
    (void)snprintf(elsewhere, sizeof elsewhere, "%s-export", path);
    mni_engine_limit_segments(mni_api_store_engine(shared.store), 32 << 10);
    for (unsigned i = 0; i < CHECK_COUNT(steps); i++) {
        workers[i] =
            (struct worker){.shared = &shared, .index = i, .random = seed + i, .step = steps[i]};
        workers[i].step(&workers[i]); /* everything is there once */
        CHECK_OK(workers[i].status);
    }
    for (unsigned i = 0; i < CHECK_COUNT(steps); i++)
        CHECK_OK(mni_thread_start(&workers[i].thread, work, &workers[i], &err));
    static struct mn_snapshot_info infos[N_SNAPSHOTS];
    mn_status st = MN_OK;
    for (unsigned i = 0; i < N_SNAPSHOTS && st == MN_OK; i++) {
        struct mn_snapshot_options so = {.size = sizeof so, .incremental = i > 0};
        mn_snapshot *snapshot = NULL;
        st = mn_snapshot_create(shared.store, &so, &snapshot, &err);
        infos[i].size = sizeof infos[i];
        if (st == MN_OK)
            st = mn_snapshot_get_info(snapshot, &infos[i], &err);
        mn_snapshot_free(snapshot);
        so.to = elsewhere;
        if (st == MN_OK)
            st = mn_snapshot_create(shared.store, &so, NULL, &err);
    }
    atomic_store(&shared.stops, true);
    for (unsigned i = 0; i < CHECK_COUNT(steps); i++)
        mni_thread_join(&workers[i].thread);
    CHECK_OK_ERR(st, &err);
    for (unsigned i = 0; i < CHECK_COUNT(steps); i++)
        CHECK_OK(workers[i].status);
    for (unsigned i = 0; i < N_SNAPSHOTS; i++)
        check_snapshot(path, &infos[i], i);
    CHECK_OK_ERR(mn_close(shared.store, &err), &err);
    for (unsigned i = 0; i + 1 < N_SNAPSHOTS; i++)
        check_lsn(path, infos[i].lsn + (infos[i + 1].lsn - infos[i].lsn) / 2, i);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(snapshots_show_one_moment_each),
    };

    return check_run("thread.snapshot", tests, CHECK_COUNT(tests), argc, argv);
}
