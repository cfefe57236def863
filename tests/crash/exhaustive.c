/*
 * exhaustive.c - small scenarios in which every disk call is cut, and every subset of what was
 * pending survives, as long as it is small; of larger ones some at random.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "world.h"

enum { ALL_SUBSETS_BITS = 10, N_RANDOM_SUBSETS = 64, SYNCS_OF_A_CHECKPOINT = 5 };

/* What a scenario runs on: one of the two, with its options. Scenarios go on when the power is off:
 * deeds do nothing then. */
struct stage {
    struct sim sim;
    struct world world;
    struct log_world log;
};

struct scenario {
    const char *name;
    void (*run)(struct stage *stage);
    bool is_log;
    mn_sync_policy sync;
};

/* Pieces of stories ---------- */

static const struct wish small = {.kind = EFFECT_PUT, .id = 1, .value = 10, .n_dims = 3};
static const struct wish large = {.kind = EFFECT_PUT, .id = 2, .value = 15};
static const struct wish other = {.kind = EFFECT_PUT, .space = 1, .id = 3, .value = 26};
static const struct wish expiring = {
    .kind = EFFECT_PUT,
    .id = 4,
    .value = 34,
    .expiry = WISH_EXPIRES_IN,
    .when_us = 1000000,
};
static const struct wish gone = {.kind = EFFECT_DELETE, .id = 1};

static void put(struct world *w, struct wish wish, uint32_t value)
{
    wish.value += 8 * value;
    world_write(w, &wish, 1, MN_ACK_DEFAULT);
}

/* What happens after the power came back. Opens again and again until it works. */
static void reopen(struct stage *stage)
{
    struct world *w = &stage->world;

    world_lose_power(w);
    while (!world_open(w))
        world_lose_power(w);
}

static void again(struct stage *stage)
{
    if (stage->world.store != NULL)
        world_close(&stage->world);
    if (!mni_crash_env_is_cut(stage->sim.crash) && !world_open(&stage->world))
        reopen(stage);
}

static void first_open(struct stage *stage)
{
    world_compare(&stage->world);
}

static void one_put(struct stage *stage)
{
    put(&stage->world, small, 0);
}

static void overwrite_and_delete(struct stage *stage)
{
    put(&stage->world, small, 0);
    put(&stage->world, small, 1);
    world_write(&stage->world, &gone, 1, MN_ACK_DISK);
}

static void a_batch(struct stage *stage)
{
    struct wish wishes[3] = {small, large, small};

    wishes[2].id = 5;
    world_write(&stage->world, wishes, 3, MN_ACK_DISK);
}

static void a_group(struct stage *stage)
{
    const struct wish_member members[] = {
        {.ack = MN_ACK_OS, .n_wishes = 1, .wishes = {small}},
        {.ack = MN_ACK_DISK, .n_wishes = 1, .wishes = {expiring}},
        {.is_flush = true},
    };

    world_create(&stage->world, 0, 3, true);
    world_group(&stage->world, members, 3);
}

static void all_levels(struct stage *stage)
{
    struct wish wish = small;

    for (mn_ack ack = MN_ACK_NONE; ack <= MN_ACK_DISK; ack++) {
        wish.id++;
        world_write(&stage->world, &wish, 1, ack);
    }
    world_write(&stage->world, &gone, 1, MN_ACK_NONE);
    world_flush(&stage->world);
}

static void a_rotation(struct stage *stage)
{
    put(&stage->world, small, 0);
    world_rotate(&stage->world);
    put(&stage->world, small, 1);
}

static void a_full_file(struct stage *stage)
{
    for (uint32_t i = 0; i < 3; i++)
        put(&stage->world, large, 4500 + i);
}

static void close_and_reopen(struct stage *stage)
{
    put(&stage->world, small, 0);
    again(stage);
    put(&stage->world, small, 1);
}

static void drop_and_make(struct stage *stage)
{
    put(&stage->world, small, 0);
    world_drop(&stage->world, 0);
    world_create(&stage->world, 0, 8, false);
    put(&stage->world, other, 0);
}

static void a_transaction(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    world_txn_begin(w, 0);
    world_txn_write(w, 0, &other);
    world_txn_write(w, 0, &gone);
    world_txn_read(w, 0, 1, 3);
    world_txn_commit(w, 0, MN_ACK_DISK);
}

static void a_rollback(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    world_txn_begin(w, 0);
    world_txn_write(w, 0, &gone);
    world_txn_rollback(w, 0);
    put(w, large, 0);
}

static void a_setting(struct stage *stage)
{
    world_configure(&stage->world, 7);
    put(&stage->world, small, 0);
    world_configure(&stage->world, 8);
}

static void a_touch(struct stage *stage)
{
    struct wish touch = {
        .kind = EFFECT_TOUCH,
        .condition = MNI_IF_LIVE,
        .id = 1,
        .expiry = WISH_EXPIRES_IN,
        .when_us = 5000000,
    };

    put(&stage->world, small, 0);
    world_write(&stage->world, &touch, 1, MN_ACK_DISK);
}

static void a_sweep(struct stage *stage)
{
    put(&stage->world, expiring, 0);
    put(&stage->world, small, 0);
    mni_crash_env_advance_us(stage->sim.crash, 2000000);
    world_sweep(&stage->world);
    world_flush(&stage->world);
}

static void a_timed_sync(struct stage *stage)
{
    put(&stage->world, small, 0);
    world_wait_for_sync(&stage->world);
    put(&stage->world, large, 0);
}

/* A commit is torn once before the calls that are cut are counted. */
static void a_torn_tail(struct stage *stage)
{
    struct world *w = &stage->world;
    uint64_t cut_at = stage->sim.cut_at;

    put(w, small, 0);
    if (mni_crash_env_is_cut(stage->sim.crash))
        return;
    world_write(w, &large, 1, MN_ACK_OS);
    if (mni_crash_env_is_cut(stage->sim.crash))
        return;
    uint64_t n_calls = mni_crash_env_n_calls(stage->sim.crash);
    world_lose_power(w);
    if (cut_at > n_calls)
        mni_crash_env_cut_at(stage->sim.crash, cut_at - n_calls);
    if (!world_open(w))
        return;
    put(w, small, 1);
}

static void a_failed_sync(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    if (!world_is_up(w))
        return;
    mni_crash_env_fail_sync_at(stage->sim.crash, 1);
    w->sync_may_fail = true;
    world_write(w, &large, 1, MN_ACK_DISK);
    if (mni_crash_env_is_cut(stage->sim.crash))
        return;
    world_abandon(w);
    if (world_open(w))
        put(w, small, 1);
}

static const struct wish longer = {
    .kind = EFFECT_TOUCH,
    .condition = MNI_IF_LIVE,
    .id = 2,
    .expiry = WISH_EXPIRES_IN,
    .when_us = 5000000,
};

static void a_checkpoint(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    put(w, other, 0);
    world_checkpoint(w);
    world_compare(w);
    put(w, small, 1);
}

/* Answers of a cache with bounds; what it does follows from the simulator's first number. */
static void a_cache(struct stage *stage)
{
    struct world *w = &stage->world;

    w->has_cache = true;
    for (int i = 0; i < 20; i++)
        world_cache(w, i % 4 == 3 ? MN_ACK_DISK : MN_ACK_DEFAULT);
    world_checkpoint(w);
    for (int i = 0; i < 10; i++)
        world_cache(w, MN_ACK_DEFAULT);
    world_checkpoint(w);
}

static void a_cache_closed(struct stage *stage)
{
    struct world *w = &stage->world;

    w->has_cache = true;
    for (int i = 0; i < 10; i++)
        world_cache(w, MN_ACK_DEFAULT);
    again(stage);
    for (int i = 0; i < 10; i++)
        world_cache(w, MN_ACK_DEFAULT);
}

/* The second one writes what died and what was patched in the segment of the first. */
static void checkpoints(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    put(w, large, 0);
    put(w, other, 0);
    world_checkpoint(w);
    world_write(w, &gone, 1, MN_ACK_DISK);
    world_write(w, &longer, 1, MN_ACK_DISK);
    put(w, other, 1);
    world_checkpoint(w);
    world_compare(w);
    put(w, small, 1);
}

static void checkpoint_and_drop(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    put(w, other, 0);
    world_checkpoint(w);
    world_drop(w, 0);
    world_checkpoint(w);
    world_compare(w);
    world_create(w, 0, 8, true);
}

static void checkpoint_in_a_transaction(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    put(w, large, 0);
    world_txn_begin(w, 0);
    world_txn_write(w, 0, &gone);
    world_hold(w, 0, 0, 2);
    world_walk(w, 0, 0);
    put(w, large, 1);
    world_checkpoint(w);
    world_walk(w, 0, 0);
    world_txn_read(w, 0, 0, 2);
    world_txn_commit(w, 0, MN_ACK_DISK);
    world_checkpoint(w);
    world_walk(w, 0, 0);
}

static void a_purge(struct stage *stage)
{
    struct world *w = &stage->world;
    const uint8_t ids[1] = {1};

    put(w, small, 0);
    put(w, large, 0);
    world_checkpoint(w);
    put(w, small, 1);
    world_purge(w, 0, ids, 1);
    world_compare(w);
    put(w, small, 2);
}

/* Trimming needs a second file of the log. */
static void checkpoint_and_trim(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    world_rotate(w);
    put(w, small, 1);
    world_rotate(w);
    world_checkpoint(w);
    put(w, small, 2);
}

/* The directory's sync fails behind the rename that makes the manifest the root, and the process
 * ends. */
static void a_failed_checkpoint(struct stage *stage)
{
    struct world *w = &stage->world;

    put(w, small, 0);
    world_checkpoint(w);
    world_write(w, &gone, 1, MN_ACK_DISK);
    put(w, large, 0);
    world_rotate(w);
    if (!world_is_up(w))
        return;
    mni_crash_env_fail_sync_at(stage->sim.crash, SYNCS_OF_A_CHECKPOINT);
    w->sync_may_fail = true;
    world_checkpoint(w);
    if (mni_crash_env_is_cut(stage->sim.crash))
        return;
    world_abandon(w);
    if (!world_open(w))
        return;
    world_checkpoint(w);
    put(w, small, 1);
}

static void log_mark(struct stage *stage)
{
    struct log_world *l = &stage->log;

    log_append(l, 2, 10, MN_ACK_DISK);
    log_append(l, 1, 11, MN_ACK_OS);
    log_checkpoint(l, 1);
    log_append(l, 1, 12, MN_ACK_DISK);
}

static void log_trimmed(struct stage *stage)
{
    struct log_world *l = &stage->log;

    for (uint32_t i = 0; i < 3; i++) {
        log_append(l, 1, 10 + i, MN_ACK_DISK);
        log_rotate(l);
    }
    log_checkpoint(l, 1);
    log_trim(l);
    log_append(l, 1, 20, MN_ACK_DISK);
}

static void log_recycled(struct stage *stage)
{
    struct log_world *l = &stage->log;

    for (uint32_t i = 0; i < 3; i++) {
        log_append(l, 2, 10 + i, MN_ACK_DISK);
        log_rotate(l);
        log_checkpoint(l, 0);
        log_trim(l);
    }
    log_append(l, 1, 20, MN_ACK_DISK);
}

static void log_walked(struct stage *stage)
{
    struct log_world *l = &stage->log;

    log_append(l, 2, 10, MN_ACK_DISK);
    log_rotate(l);
    log_append(l, 1, 11, MN_ACK_OS);
    log_walk(l);
}

static const struct scenario scenarios[] = {
    {"first_open", first_open, false, MN_SYNC_EVERY_WRITE},
    {"one_put", one_put, false, MN_SYNC_EVERY_WRITE},
    {"overwrite_and_delete", overwrite_and_delete, false, MN_SYNC_MANUAL},
    {"batch", a_batch, false, MN_SYNC_EVERY_N},
    {"group", a_group, false, MN_SYNC_EVERY_WRITE},
    {"ack_levels", all_levels, false, MN_SYNC_EVERY_N},
    {"rotation", a_rotation, false, MN_SYNC_MANUAL},
    {"full_file", a_full_file, false, MN_SYNC_EVERY_WRITE},
    {"close_and_reopen", close_and_reopen, false, MN_SYNC_MANUAL},
    {"drop_and_make", drop_and_make, false, MN_SYNC_EVERY_WRITE},
    {"transaction", a_transaction, false, MN_SYNC_EVERY_N},
    {"rollback", a_rollback, false, MN_SYNC_EVERY_WRITE},
    {"setting", a_setting, false, MN_SYNC_EVERY_WRITE},
    {"touch", a_touch, false, MN_SYNC_EVERY_MS},
    {"sweep", a_sweep, false, MN_SYNC_MANUAL},
    {"timed_sync", a_timed_sync, false, MN_SYNC_EVERY_MS},
    {"torn_tail", a_torn_tail, false, MN_SYNC_MANUAL},
    {"failed_sync", a_failed_sync, false, MN_SYNC_MANUAL},
    {"checkpoint", a_checkpoint, false, MN_SYNC_EVERY_WRITE},
    {"checkpoints", checkpoints, false, MN_SYNC_MANUAL},
    {"checkpoint_drop", checkpoint_and_drop, false, MN_SYNC_EVERY_WRITE},
    {"checkpoint_txn", checkpoint_in_a_transaction, false, MN_SYNC_EVERY_N},
    {"checkpoint_trim", checkpoint_and_trim, false, MN_SYNC_EVERY_WRITE},
    {"purge", a_purge, false, MN_SYNC_MANUAL},
    {"failed_checkpoint", a_failed_checkpoint, false, MN_SYNC_EVERY_WRITE},
    {"cache", a_cache, false, MN_SYNC_MANUAL},
    {"cache_close", a_cache_closed, false, MN_SYNC_EVERY_WRITE},
    {"log_mark", log_mark, true, MN_SYNC_EVERY_WRITE},
    {"log_trim", log_trimmed, true, MN_SYNC_EVERY_N},
    {"log_recycle", log_recycled, true, MN_SYNC_MANUAL},
    {"log_walk", log_walked, true, MN_SYNC_EVERY_WRITE},
};

/* Running them ---------- */

static void run_store(const struct scenario *s, struct stage *stage)
{
    struct world *w = &stage->world;

    world_init(w, &stage->sim);
    w->options = (struct mn_options){
        .no_background = true,
        .sync = s->sync,
        .sync_every_commits = 2,
        .sync_interval_ms = 50,
        .wal_file_bytes = MNI_WAL_FILE_BYTES_MIN,
    };
    if (world_open(w))
        s->run(stage);
    world_compare(w);
    if (w->store != NULL && !mni_crash_env_is_cut(stage->sim.crash))
        world_close(w);
    if (mni_crash_env_is_cut(stage->sim.crash)) {
        reopen(stage);
        put(w, small, 100); /* it goes on, and its LSN is new */
        world_close(w);
    }
}

static void run_log(const struct scenario *s, struct stage *stage)
{
    struct log_world *l = &stage->log;

    log_init(l, &stage->sim);
    l->config = (struct mni_wal_config){
        .no_background = true,
        .sync = s->sync,
        .sync_every_commits = 2,
        .file_bytes = MNI_WAL_FILE_BYTES_MIN,
    };
    if (log_open(l))
        s->run(stage);
    if (l->wal != NULL && !mni_crash_env_is_cut(stage->sim.crash))
        log_close(l);
    if (mni_crash_env_is_cut(stage->sim.crash)) {
        log_lose_power(l);
        while (!log_open(l))
            log_lose_power(l);
        log_append(l, 1, 100, MN_ACK_DISK);
        log_close(l);
    }
}

/* Returns the number of disk calls of the whole run. */
static uint64_t run_once(const struct scenario *s, struct stage *stage, struct sim_tally *tally,
                         uint64_t cut_at, bool use_mask, uint64_t subset, bool traces)
{
    uint64_t seed = use_mask ? 1 : 1 + subset; /* other random choices, and other salts */

    sim_begin(&stage->sim, seed, tally, traces);
    stage->sim.scenario = s->name;
    stage->sim.is_scripted = true;
    stage->sim.cut_at = cut_at;
    stage->sim.use_mask = use_mask;
    stage->sim.mask = subset;
    mni_crash_env_cut_at(stage->sim.crash, cut_at);
    if (s->is_log)
        run_log(s, stage);
    else
        run_store(s, stage);
    uint64_t n_calls = mni_crash_env_n_calls(stage->sim.crash);
    sim_end(&stage->sim);
    return n_calls;
}

static void cut_everywhere(const struct scenario *s, struct sim_tally *tally, bool traces)
{
    static struct stage stage;
    uint64_t n_runs = 0;
    uint64_t n_whole = 0;
    uint64_t n_calls = run_once(s, &stage, tally, 0, false, 0, traces);

    for (uint64_t cut_at = 1; cut_at <= n_calls; cut_at++) {
        uint64_t n_subsets = 1;
        bool use_mask = true;
        for (uint64_t subset = 0; subset < n_subsets; subset++, n_runs++) {
            (void)run_once(s, &stage, tally, cut_at, use_mask, subset, traces);
            if (!stage.sim.was_cut || subset > 0)
                continue;
            use_mask = stage.sim.n_pending <= ALL_SUBSETS_BITS;
            n_subsets = use_mask ? UINT64_C(1) << stage.sim.n_pending : N_RANDOM_SUBSETS;
        }
        n_whole += use_mask;
    }
    printf("%-20s %4" PRIu64 " calls cut, %" PRIu64 " of them with all survivors, %" PRIu64
           " runs\n",
           s->name, n_calls, n_whole, n_runs);
}

int sim_exhaustive(const char *only, bool traces)
{
    struct sim_tally tally = {0};
    size_t n = 0;

    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (only[0] != '\0' && strcmp(only, scenarios[i].name) != 0)
            continue;
        cut_everywhere(&scenarios[i], &tally, traces);
        n++;
    }
    printf("%zu scenarios, %" PRIu64 " cuts\n", n, tally.n_cuts);
    return n > 0 ? 0 : 2;
}
