/*
 * archive.c - power cuts, and failed syncs, at every call of a story in which the log of a store is
 * kept: each acknowledged commit of its past comes back by its LSN, out of a snapshot and the log,
 * also when the store is lost once it was checkpointed; no commit that was left does.
 *
 * usage: crash_archive [--story NAME] [--cut N | --fail N]      all of them without
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "io/crash.h"
#include "mneme/mneme.h"

enum {
    N_IDS = 4,
    MOMENTS_MAX = 40,
    SMALL_BYTES = 300,
    LARGE_BYTES = 24000, /* two of them fill most of a file */
    ALL_SUBSETS_BITS = 3,
    N_RANDOM_SUBSETS = 5,
};

struct content {
    uint8_t values[N_IDS]; /* 0: no record */
};

struct moment {
    uint64_t lsn;
    struct content content;
};

struct tale {
    struct mni_crash_env *crash;
    struct mni_env *env;
    mn_store *store;
    bool was_made;
    bool is_over;
    bool has_failed;                 /* a deed, because a sync did */
    char id[MN_SNAPSHOT_ID_BYTES];   /* of the snapshot, of moment 0 */
    struct moment past[MOMENTS_MAX]; /* from the snapshot on */
    size_t n_past;
    struct moment left[MOMENTS_MAX]; /* by a restore that has happened */
    size_t n_left;
    struct content now;
    struct content maybe; /* of the commit that is in doubt, if one is */
    bool is_in_doubt;
    bool restores; /* a restore to moment 0 is in doubt */
    bool has_target;
    uint64_t target_lsn; /* /t is being restored there */
    bool target_is_done;
    unsigned n_paths;
    struct mn_error err;
};

struct story {
    const char *name;
    void (*tell)(struct tale *t);
};

/* Where a run is, for the line that repeats it. */
static const struct story *story_now;
static const char *mode_now;
static uint64_t call_now;
static uint64_t subset_now;

#define HOLDS(condition) holds((condition), #condition, __LINE__)

static void holds(bool condition, const char *text, int line)
{
    if (condition)
        return;
    printf("line %d: not true: %s\n", line, text);
    printf("subset %" PRIu64 "; again: crash_archive --story %s %s %" PRIu64 "\n", subset_now,
           story_now->name, mode_now, call_now);
    exit(1);
}

static void holds_ok(mn_status st, const struct mn_error *err, int line)
{
    if (st != MN_OK)
        printf("%s: %s\n", mn_status_name(st), err->message);
    holds(st == MN_OK, "it works", line);
}
#define WORKS(call) holds_ok((call), &t->err, __LINE__)

/* Reading a store ---------- */

static mn_status open_store(struct tale *t, const char *path, bool create, mn_store **store_out)
{
    const struct mn_options o = {.size = sizeof o, .create = create, .no_background = true};

    return mni_api_store_open(t->env, path, &o, store_out, &t->err);
}

static struct mn_slice id_of(unsigned i)
{
    static const char *const ids[N_IDS] = {"0", "1", "2", "3"};

    return mn_str(ids[i]);
}

static struct content read_content(struct tale *t, mn_store *store)
{
    struct content c = {{0}};

    for (unsigned i = 0; i < N_IDS; i++) {
        struct mn_view view;
        mn_status st = mn_get(store, mn_str("n"), id_of(i), &view, &t->err);
        HOLDS(st == MN_OK || st == MN_NOT_FOUND);
        if (st == MN_OK)
            c.values[i] = *(const uint8_t *)view.payload.data;
        mn_view_release(&view);
    }
    return c;
}

static bool same(const struct content *a, const struct content *b)
{
    return memcmp(a->values, b->values, sizeof a->values) == 0;
}

/* Deeds: nothing happens once the power has gone ---------- */

static bool is_up(const struct tale *t)
{
    return !mni_crash_env_is_cut(t->crash) && !t->is_over;
}

static bool judge(struct tale *t, mn_status st)
{
    if (st == MN_OK)
        return true;
    if (st != MN_ERR_IO && st != MN_ERR_POISONED)
        printf("%s: %s\n", mn_status_name(st), t->err.message);
    HOLDS(mni_crash_env_is_cut(t->crash) || strcmp(mode_now, "--fail") == 0);
    HOLDS(st == MN_ERR_IO || st == MN_ERR_POISONED);
    t->has_failed = true;
    return false;
}

static bool succeeds(struct tale *t, mn_status st)
{
    t->is_over = !judge(t, st);
    return !t->is_over;
}

static void add_moment(struct tale *t, uint64_t lsn)
{
    HOLDS(t->n_past < MOMENTS_MAX);
    HOLDS(t->n_past == 0 || lsn > t->past[t->n_past - 1].lsn);
    t->past[t->n_past++] = (struct moment){lsn, t->now};
}

static void put_as(struct tale *t, unsigned i, uint8_t value, size_t n_bytes, mn_ack ack)
{
    static unsigned char payload[LARGE_BYTES];
    const struct mn_write_options o = {.size = sizeof o, .ack = ack};
    struct mn_record record = {.id = id_of(i), .payload = {payload, n_bytes}};
    uint64_t lsn = 0;

    if (!is_up(t) || t->store == NULL)
        return;
    memset(payload, value, n_bytes);
    t->maybe = t->now;
    t->maybe.values[i] = value;
    t->is_in_doubt = true;
    if (!succeeds(t, mn_put(t->store, mn_str("n"), &record, &o, &lsn, &t->err)))
        return;
    if (ack != MN_ACK_DISK) /* the process ends; nobody was told that it is on disk */
        return;
    t->now = t->maybe;
    t->is_in_doubt = false;
    if (t->n_past > 0)
        add_moment(t, lsn);
}

static void put(struct tale *t, unsigned i, uint8_t value)
{
    put_as(t, i, value, SMALL_BYTES, MN_ACK_DISK);
}

static void put_large(struct tale *t, unsigned i, uint8_t value)
{
    put_as(t, i, value, LARGE_BYTES, MN_ACK_DISK);
}

static void set(struct tale *t, const char *key, const char *value)
{
    if (is_up(t) && t->store != NULL)
        succeeds(t, mn_config_set(t->store, key, value, &t->err));
}

/* One that failed is made again later: what it left must not be taken for more than it is. */
static void checkpoint(struct tale *t)
{
    if (is_up(t) && t->store != NULL)
        judge(t, mn_checkpoint(t->store, &t->err));
}

static void close_store(struct tale *t)
{
    mn_store *store = t->store;

    if (!is_up(t) || store == NULL)
        return;
    t->store = NULL;
    succeeds(t, mn_close(store, &t->err));
}

static void open_again(struct tale *t)
{
    if (is_up(t) && t->store == NULL)
        succeeds(t, open_store(t, "/s", false, &t->store));
}

static mn_snapshots *open_pool(struct tale *t, bool of_store)
{
    mn_snapshots *pool = NULL;
    mn_status st = of_store ? mni_api_snapshots_open_of(t->env, "/s", &pool, &t->err)
                            : mni_api_snapshots_open(t->env, "/s.snapshots", &pool, &t->err);

    return st == MN_OK ? pool : NULL;
}

static void make_store(struct tale *t)
{
    struct mn_snapshot_info info = {.size = sizeof info};
    mn_snapshot *snapshot = NULL;

    t->was_made = succeeds(t, open_store(t, "/s", true, &t->store));
    set(t, "wal_file_bytes", "65536");
    set(t, "archive_dir", "/archive");
    close_store(t);
    open_again(t);
    put(t, 0, 1);
    if (!is_up(t) || !succeeds(t, mn_snapshot_create(t->store, NULL, &snapshot, &t->err)))
        return;
    WORKS(mn_snapshot_get_info(snapshot, &info, &t->err));
    mn_snapshot_free(snapshot);
    memcpy(t->id, info.id, sizeof info.id);
    add_moment(t, info.lsn);
}

/* Of a past that will be left: no way leads over it. */
static void keep_another(struct tale *t)
{
    if (is_up(t) && t->store != NULL)
        judge(t, mn_snapshot_create(t->store, NULL, NULL, &t->err));
}

/* Back to moment 0; all others are left. */
static void leave_past(struct tale *t)
{
    for (size_t i = 1; i < t->n_past; i++)
        t->left[t->n_left++] = t->past[i];
    t->n_past = 1;
    t->now = t->past[0].content;
    t->is_in_doubt = false;
    t->restores = false;
}

static void go_back(struct tale *t)
{
    const struct mn_restore_options o = {.size = sizeof o, .replace = "/s"};
    mn_snapshots *pool = is_up(t) && t->store == NULL ? open_pool(t, true) : NULL;

    if (pool == NULL)
        return;
    t->restores = true;
    if (succeeds(t, mn_snapshot_restore(pool, t->id, &o, NULL, &t->err)))
        leave_past(t);
    mn_snapshots_close(pool);
}

static mn_status restore_at(struct tale *t, const char *path, bool of_store, uint64_t lsn)
{
    struct mn_restore_options o = {
        .size = sizeof o, .into = path, .at_lsn = lsn, .archive = of_store ? NULL : "/archive"};
    mn_snapshots *pool = open_pool(t, of_store);

    if (pool == NULL)
        return MN_ERR_IO;
    mn_status st = mn_snapshot_restore(pool, NULL, &o, NULL, &t->err);
    mn_snapshots_close(pool);
    return st;
}

static void restore_target(struct tale *t, bool of_store, size_t moment)
{
    if (!is_up(t))
        return;
    t->has_target = true;
    t->target_lsn = t->past[moment].lsn;
    t->target_is_done = succeeds(t, restore_at(t, "/t", of_store, t->target_lsn));
}

/* Stories ---------- */

static void copied(struct tale *t)
{
    make_store(t);
    put(t, 1, 2);
    checkpoint(t);
    put(t, 2, 3);
    close_store(t);
    open_again(t);
    put(t, 0, 4);
    checkpoint(t);
    put(t, 3, 5);
    checkpoint(t);
    checkpoint(t);
    put(t, 3, 6);
}

static void linked(struct tale *t)
{
    make_store(t);
    for (uint8_t i = 0; i < 7; i++)
        put_large(t, i % N_IDS, 10 + i);
    checkpoint(t);
    put_large(t, 1, 20);
    put_large(t, 2, 21);
    close_store(t);
    open_again(t);
    put_large(t, 3, 22);
    checkpoint(t);
    put(t, 3, 23);
    checkpoint(t);
}

static void went_back(struct tale *t)
{
    make_store(t);
    put(t, 1, 2);
    checkpoint(t);
    put(t, 2, 3);
    keep_another(t);
    close_store(t);
    go_back(t);
    open_again(t);
    put(t, 3, 4);
    checkpoint(t);
    put(t, 1, 5);
    close_store(t);
    go_back(t);
    open_again(t);
    put(t, 2, 6);
}

/* What was never synced is seen by a restore that is cut off, and gone then. */
static void never_synced(struct tale *t)
{
    make_store(t);
    set(t, "sync", "manual");
    close_store(t);
    open_again(t);
    put(t, 1, 2);
    put_as(t, 2, 3, SMALL_BYTES, MN_ACK_OS);
    if (is_up(t)) {
        mni_api_store_abandon(t->store);
        t->store = NULL;
    }
    go_back(t);
}

static void restored_at(struct tale *t)
{
    make_store(t);
    put(t, 1, 2);
    put_large(t, 0, 7);
    checkpoint(t);
    put(t, 2, 3);
    put(t, 3, 4);
    close_store(t);
    restore_target(t, true, 3);
}

static const struct story stories[] = {
    {"copied", copied},           {"linked", linked},
    {"went_back", went_back},     {"never_synced", never_synced},
    {"restored_at", restored_at},
};

/* Comparing ---------- */

static void check_restorable(struct tale *t, bool of_store, const struct moment *m)
{
    mn_store *store = NULL;
    char path[32];

    (void)snprintf(path, sizeof path, "/r%u", t->n_paths++);
    WORKS(restore_at(t, path, of_store, m->lsn));
    WORKS(open_store(t, path, false, &store));
    struct content c = read_content(t, store);
    HOLDS(same(&c, &m->content));
    WORKS(mn_close(store, &t->err));
}

static void check_past(struct tale *t, bool of_store)
{
    char path[32];

    for (size_t i = 0; i < t->n_past; i++)
        check_restorable(t, of_store, &t->past[i]);
    for (size_t i = 0; i < t->n_left; i++) {
        (void)snprintf(path, sizeof path, "/r%u", t->n_paths++);
        HOLDS(restore_at(t, path, of_store, t->left[i].lsn) == MN_NOT_FOUND);
    }
}

static uint64_t current_lsn(struct tale *t, mn_store *store)
{
    struct mn_stats stats = {.size = sizeof stats};

    WORKS(mn_stats(store, &stats, &t->err));
    return stats.current_lsn;
}

/* Which of what was in doubt has happened. */
static void learn(struct tale *t, mn_store *store)
{
    struct content c = read_content(t, store);

    if (t->restores && same(&c, &t->past[0].content) && t->n_past > 1)
        leave_past(t);
    else if (t->is_in_doubt && same(&c, &t->maybe)) {
        t->now = t->maybe;
        if (t->n_past > 0)
            add_moment(t, current_lsn(t, store));
    }
    t->is_in_doubt = false;
    t->restores = false;
    HOLDS(same(&c, &t->now));
}

static void check_target(struct tale *t)
{
    mn_store *store = NULL;

    if (!t->has_target)
        return;
    mn_status st = open_store(t, "/t", false, &store);
    HOLDS(st == MN_OK || (st == MN_ERR_NO_STORE && !t->target_is_done));
    /* A file may come back whose removal was lost with a sync: a directory with it is refused. */
    if (st != MN_OK && strcmp(mode_now, "--fail") == 0)
        return;
    if (st != MN_OK) { /* what was begun is cleared away */
        WORKS(restore_at(t, "/t", true, t->target_lsn));
        WORKS(open_store(t, "/t", false, &store));
    }
    struct content c = read_content(t, store);
    HOLDS(same(&c, &t->past[3].content));
    WORKS(mn_close(store, &t->err));
}

static void compare(struct tale *t)
{
    struct mn_record record = {.id = id_of(0), .payload = mn_str("\x63")};
    mn_store *store = NULL;
    uint64_t lsn = 0;

    /* As it was found, before anybody mends it. */
    if (t->n_past > 0 && !t->restores)
        check_past(t, true);
    mn_status st = open_store(t, "/s", false, &store);
    if (st == MN_ERR_NO_STORE && !t->was_made)
        return;
    WORKS(st);
    if (t->n_past == 0) {
        mni_api_store_abandon(store);
        return;
    }
    learn(t, store);
    mni_api_store_abandon(store);
    check_past(t, true);
    check_target(t);
    WORKS(open_store(t, "/s", false, &store));
    WORKS(mn_put(store, mn_str("n"), &record, NULL, &lsn, &t->err));
    t->now.values[0] = 0x63;
    add_moment(t, lsn);
    mni_api_store_abandon(store);
    check_past(t, true);
    WORKS(open_store(t, "/s", false, &store));
    WORKS(mn_checkpoint(store, &t->err));
    WORKS(mn_close(store, &t->err));
    check_past(t, false); /* all of it was kept */
}

/* Running ---------- */

static uint64_t mask_of(uint64_t subset, size_t n_pending)
{
    uint64_t all = n_pending >= 64 ? UINT64_MAX : (UINT64_C(1) << n_pending) - 1;

    return subset == 0 ? 0 : subset == 1 ? all : subset - 1;
}

/* Returns whether there is such a call. */
static bool run_once(uint64_t subset, uint64_t *n_subsets_out)
{
    struct tale *t = calloc(1, sizeof *t);
    bool cuts = strcmp(mode_now, "--cut") == 0;

    subset_now = subset;
    if (t == NULL || mni_crash_env_new(subset + 1, &t->crash) != MN_OK)
        exit(2);
    t->env = mni_crash_env_base(t->crash);
    if (cuts)
        mni_crash_env_cut_at(t->crash, call_now);
    else
        mni_crash_env_fail_sync_at(t->crash, call_now);
    story_now->tell(t);
    bool was_hit = cuts ? mni_crash_env_is_cut(t->crash) : t->has_failed;
    size_t n = mni_crash_env_n_pending(t->crash);
    bool use_mask = n <= ALL_SUBSETS_BITS || (subset < 2 && n <= 64);
    *n_subsets_out = n <= ALL_SUBSETS_BITS ? UINT64_C(1) << n : N_RANDOM_SUBSETS;
    mni_api_store_abandon(t->store);
    mni_crash_env_restart(t->crash, use_mask, use_mask ? mask_of(subset, n) : 0);
    compare(t);
    mni_crash_env_free(t->crash);
    free(t);
    return was_hit;
}

static bool run_call(uint64_t call, uint64_t *n_runs)
{
    uint64_t n_subsets = 1;
    bool was_hit = true;

    call_now = call;
    for (uint64_t subset = 0; subset < n_subsets && was_hit; subset++, ++*n_runs)
        was_hit = run_once(subset, &n_subsets);
    return was_hit;
}

/* Some syncs may fail without harm: that of a spare file, for one. */
enum { HARMLESS_FAILURES_MAX = 8 };

static void run_story(const char *mode, uint64_t only_call)
{
    uint64_t n_runs = 0;
    uint64_t call = only_call != 0 ? only_call : 1;
    unsigned n_max = strcmp(mode, "--cut") == 0 ? 1 : HARMLESS_FAILURES_MAX;

    mode_now = mode;
    for (unsigned n_missed = 0; n_missed < n_max && (n_runs == 0 || only_call == 0); call++)
        n_missed = run_call(call, &n_runs) ? 0 : n_missed + 1;
    printf("%-20s %s %4" PRIu64 " calls, %" PRIu64 " runs\n", story_now->name, mode, call, n_runs);
}

int main(int argc, char **argv)
{
    const char *only_story = NULL;
    uint64_t only_cut = 0;
    uint64_t only_failure = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--story") == 0)
            only_story = argv[i + 1];
        else if (strcmp(argv[i], "--cut") == 0)
            only_cut = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--fail") == 0)
            only_failure = strtoull(argv[i + 1], NULL, 10);
    }
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        story_now = &stories[i];
        if (only_story != NULL && strcmp(only_story, story_now->name) != 0)
            continue;
        if (only_failure == 0)
            run_story("--cut", only_cut);
        if (only_cut == 0)
            run_story("--fail", only_failure);
    }
    return 0;
}
