/*
 * Every call to the world and every allocation fails once, in every deed of a log: the deed answers
 * with an error or succeeds, nothing leaks, and the next opening shows what was promised.
 */
#include "wal/fixture.h"

#include <errno.h>

#include "api/api.h"

enum { BYTES = 1000 };

/* One thing that a log does. What comes before it does not fail. */
struct deed {
    const char *name;
    void (*prepare)(struct world *w);
    mn_status (*act)(struct world *w);
};

static void prepare_nothing(struct world *w)
{
    (void)w;
}

static void prepare_commits(struct world *w)
{
    open_log(w);
    for (int i = 0; i < 8; i++)
        commit(w, BYTES, i % 3 == 0 ? MN_ACK_DISK : MN_ACK_OS);
    commit(w, BYTES, MN_ACK_NONE);
}

static void prepare_files(struct world *w)
{
    prepare_commits(w);
    for (int i = 0; i < 22; i++)
        commit(w, BYTES, MN_ACK_DISK);
    checkpoint(w, 25);
    commit(w, BYTES, MN_ACK_DISK);
}

static void prepare_crash(struct world *w)
{
    prepare_files(w);
    commit(w, BYTES, MN_ACK_OS);
    crash(w);
}

static void prepare_closed(struct world *w)
{
    prepare_files(w);
    close_log(w);
}

static void prepare_spare(struct world *w)
{
    prepare_files(w);
    CHECK_OK_ERR(mni_wal_truncate(w->wal, 25, NULL, &w->err), &w->err);
    for (int i = 0; i < 7; i++)
        commit(w, BYTES, MN_ACK_DISK);
}

static mn_status act_open(struct world *w)
{
    mn_status st = try_open(w);

    if (st == MN_OK)
        check_seen(w);
    return st;
}

/* A commit that failed and left no poison did not happen, and never will. */
static mn_status commit_or_forget(struct world *w, size_t n_bytes, mn_ack ack)
{
    mn_status st = commit_as(w, n_bytes, 1, ack);

    if (st != MN_OK && (!stats_of(w).is_poisoned || st == MN_ERR_POISONED)) {
        w->n_history--;
        w->n_unsure--;
    }
    return st;
}

static mn_status act_commits(struct world *w)
{
    static const mn_ack acks[] = {MN_ACK_DISK, MN_ACK_NONE, MN_ACK_OS, MN_ACK_DEFAULT};
    mn_status st = MN_OK;

    for (int i = 0; i < 12; i++) {
        mn_status one = commit_or_forget(w, BYTES, acks[i % 4]);
        if (st == MN_OK)
            st = one;
    }
    return st;
}

static mn_status act_large_commit(struct world *w)
{
    return commit_or_forget(w, 100000, MN_ACK_DISK);
}

static mn_status act_checkpoint(struct world *w)
{
    mn_status st = mni_wal_checkpoint(w->wal, 28, &w->err);

    w->checkpoint_lsn = 28; /* it may be there also after an error */
    return st;
}

static mn_status act_trim(struct world *w)
{
    uint64_t n_removed;

    return mni_wal_truncate(w->wal, 25, &n_removed, &w->err);
}

static mn_status act_rotate(struct world *w)
{
    return mni_wal_rotate(w->wal, &w->err);
}

static mn_status act_flush(struct world *w)
{
    mn_status st = mni_wal_flush(w->wal, &w->err);

    if (st == MN_OK)
        w->n_promised = w->n_history;
    return st;
}

static mn_status act_close(struct world *w)
{
    struct mni_wal *wal = w->wal;

    w->wal = NULL;
    mn_status st = mni_wal_close(wal, &w->err);
    if (st == MN_OK)
        w->n_promised = w->n_history;
    return st;
}

static mn_status act_read(struct world *w)
{
    struct mni_wal_cursor *cursor = NULL;
    struct mni_wal_entry entry;
    size_t n = 0;
    mn_status st = mni_wal_cursor_open(w->wal, 1, &cursor, &w->err);

    while (st == MN_OK) {
        st = mni_wal_cursor_next(cursor, &entry, &w->err);
        if (st == MN_OK)
            CHECK_EQ(happened_of(&entry).tag, w->history[n++].tag);
    }
    mni_wal_cursor_close(cursor);
    if (st != MN_END)
        return st;
    CHECK_EQ(n, w->n_history);
    return MN_OK;
}

static mn_status act_tick(struct world *w)
{
    mni_crash_env_advance_us(w->crash, 1000000);
    mni_wal_tick(w->wal);
    return MN_OK;
}

static const struct deed deeds[] = {
    {"make a log", prepare_nothing, act_open},
    {"open after a crash", prepare_crash, act_open},
    {"open after a close", prepare_closed, act_open},
    {"commit", prepare_commits, act_commits},
    {"commit into a recycled file", prepare_spare, act_commits},
    {"commit what is larger than a file", prepare_commits, act_large_commit},
    {"checkpoint", prepare_files, act_checkpoint},
    {"trim", prepare_files, act_trim},
    {"rotate", prepare_commits, act_rotate},
    {"flush", prepare_commits, act_flush},
    {"close", prepare_files, act_close},
    {"read", prepare_files, act_read},
    {"tick", prepare_files, act_tick},
};

struct fault {
    bool of_memory;
    bool keeps_failing;
    int os_errno;
    mn_sync_policy sync;
};

static void check_failed_status(const struct fault *fault, mn_status st)
{
    CHECK(st < 0);
    if (fault->of_memory)
        CHECK(st == MN_ERR_NOMEM || st == MN_ERR_POISONED);
    else if (fault->os_errno == ENOSPC)
        CHECK(st == MN_ERR_NO_SPACE || st == MN_ERR_POISONED);
    else
        CHECK(st == MN_ERR_IO || st == MN_ERR_POISONED);
}

/* Does the deed while the `n`-th call or allocation fails. True when there was one. */
static bool run(const struct deed *deed, const struct fault *fault, uint64_t n)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct mni_fault_env *env;
    struct world w;

    world_init(&w, n);
    w.config.sync = fault->sync;
    CHECK_OK(mni_fault_env_new(w.env, &env));
    w.env = mni_fault_env_base(env);
    deed->prepare(&w);
    if (fault->of_memory)
        mni_mem_fail_at(n);
    else
        mni_fault_env_fail_at(env, n, fault->os_errno, fault->keeps_failing);
    mn_status st = deed->act(&w);
    bool was_hit = fault->of_memory ? mni_mem_fail_was_hit() : mni_fault_env_was_hit(env);
    mni_mem_fail_at(0);
    mni_fault_env_fail_at(env, 0, 0, false);
    if (st != MN_OK) {
        CHECK(was_hit);
        check_failed_status(fault, st);
    }
    if (w.wal != NULL) {
        (void)stats_of(&w);
        abandon(&w);
    }
    mni_crash_env_restart(w.crash, false, 0);
    open_log(&w);
    commit(&w, BYTES, MN_ACK_DISK);
    close_log(&w);
    struct names names = list_files(&w);
    for (size_t i = 0; i < names.n; i++)
        CHECK_STR_HAS(names.names[i], ".wal"); /* nothing is left lying about */
    mni_fault_env_free(env);
    world_done(&w);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
    return was_hit;
}

static void run_all(struct fault fault)
{
    static const mn_sync_policy policies[] = {MN_SYNC_EVERY_WRITE, MN_SYNC_EVERY_MS};

    for (size_t i = 0; i < CHECK_COUNT(deeds); i++)
        for (size_t k = 0; k < CHECK_COUNT(policies); k++) {
            uint64_t n = 1;
            fault.sync = policies[k];
            while (run(&deeds[i], &fault, n))
                n++;
        }
}

static void any_call_may_fail(void)
{
    run_all((struct fault){.os_errno = EIO});
}

static void any_call_and_all_after_it_may_fail(void)
{
    run_all((struct fault){.os_errno = EIO, .keeps_failing = true});
}

static void the_disk_may_be_full_at_any_call(void)
{
    run_all((struct fault){.os_errno = ENOSPC, .keeps_failing = true});
}

static void any_allocation_may_fail(void)
{
    run_all((struct fault){.of_memory = true});
}

/* The same through the public functions ----------*/

static mn_status count_record(void *context, const struct mn_wal_record *record)
{
    size_t *n = context;

    (void)record;
    (*n)++;
    return MN_OK;
}

static mn_status on_checkpoint(void *context, uint64_t newest_lsn, uint64_t *safe_lsn_out)
{
    (void)context;
    *safe_lsn_out = newest_lsn;
    return MN_OK;
}

/* Counts what was acknowledged; returns the first error. */
static mn_status use_public(struct mni_env *env, size_t *n_acked, size_t *n_tried)
{
    struct mn_wal_options options = {.size = sizeof options,
                                     .create = true,
                                     .file_bytes = 64 << 10,
                                     .checkpoint_threshold_records = 40,
                                     .checkpoint = on_checkpoint};
    struct mn_error err = {0};
    mn_wal *wal = NULL;
    mn_wal_txn *txn = NULL;
    size_t n_replayed = 0;
    mn_status st = mni_api_wal_open(env, "log", &options, &wal, &err);

    for (int i = 0; i < 30 && st == MN_OK; i++) {
        (*n_tried)++;
        st = mn_wal_append(wal, mn_str("a record of its own"), MN_ACK_DISK, NULL, &err);
        *n_acked += st == MN_OK;
    }
    if (st == MN_OK)
        st = mn_wal_recover(wal, count_record, &n_replayed, &err);
    if (st == MN_OK)
        st = mn_wal_txn_begin(wal, &txn, &err);
    for (int i = 0; i < 20 && st == MN_OK; i++)
        st = mn_wal_txn_append(txn, mn_str("one of twenty"), &err);
    if (st == MN_OK) {
        *n_tried += 20;
        st = mn_wal_txn_commit(txn, MN_ACK_DISK, NULL, &err);
        *n_acked += st == MN_OK ? 20 : 0;
    } else {
        mn_wal_txn_rollback(txn);
    }
    CHECK_STATUS(st, st == MN_OK ? MN_OK : err.status);
    mn_status close_st = mn_wal_close(wal, &err);
    return st == MN_OK ? close_st : st;
}

static bool run_public(bool of_memory, uint64_t n)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    size_t n_acked = 0, n_tried = 0, n_found = 0;
    struct mn_wal_options options = {.size = sizeof options};
    struct mni_crash_env *crash;
    struct mni_fault_env *fault;
    struct mn_error err;
    mn_wal *wal = NULL;

    CHECK_OK(mni_crash_env_new(n, &crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(crash), &fault));
    if (of_memory)
        mni_mem_fail_at(n);
    else
        mni_fault_env_fail_at(fault, n, EIO, false);
    mn_status st = use_public(mni_fault_env_base(fault), &n_acked, &n_tried);
    bool was_hit = of_memory ? mni_mem_fail_was_hit() : mni_fault_env_was_hit(fault);
    mni_mem_fail_at(0);
    mni_fault_env_fail_at(fault, 0, 0, false);
    CHECK(st == MN_OK || (was_hit && st < 0));
    mni_crash_env_restart(crash, false, 0);
    options.create = true;
    options.file_bytes = 64 << 10;
    CHECK_OK_ERR(mni_api_wal_open(mni_crash_env_base(crash), "log", &options, &wal, &err), &err);
    struct mn_wal_stats stats = {.size = sizeof stats};
    CHECK_OK(mn_wal_stats(wal, &stats, NULL));
    CHECK_OK(mn_wal_recover(wal, count_record, &n_found, NULL));
    /* Records at or below the checkpoint are not replayed; every LSN is one record but the last. */
    CHECK(stats.n_records >= n_acked && stats.n_records <= n_tried);
    CHECK_EQ(n_found, stats.records_since_checkpoint);
    CHECK_OK(mn_wal_close(wal, NULL));
    mni_fault_env_free(fault);
    mni_crash_env_free(crash);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
    return was_hit;
}

static void the_public_functions_survive_it_too(void)
{
    for (int of_memory = 0; of_memory < 2; of_memory++) {
        uint64_t n = 1;
        while (run_public(of_memory, n))
            n++;
        CHECK(n > 10);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_call_may_fail),
        CHECK_TEST(any_call_and_all_after_it_may_fail),
        CHECK_TEST(the_disk_may_be_full_at_any_call),
        CHECK_TEST(any_allocation_may_fail),
        CHECK_TEST(the_public_functions_survive_it_too),
    };
    return check_run("fault.wal_calls", tests, CHECK_COUNT(tests), argc, argv);
}
