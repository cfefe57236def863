/*
 * restore.c - power cuts, and failed syncs, at every call of a story in which a store is written
 * to, kept in snapshots, and restored: each acknowledged commit is there, each snapshot is complete
 * or not there and restores to what was, a restore has happened or has not.
 *
 * usage: crash_restore [--story NAME] [--cut N | --fail N]      all of them without
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "io/crash.h"
#include "mneme/mneme.h"

enum { N_IDS = 6, N_SNAPSHOTS = 4, ALL_SUBSETS_BITS = 3, N_RANDOM_SUBSETS = 6 };

enum presence { ABSENT, PRESENT, IN_DOUBT };

/* What a store holds: a value per id of the namespace "n", whether "m" is there, a setting. */
struct content {
    uint8_t values[N_IDS]; /* 0: no record */
    uint8_t copies[N_IDS]; /* the same of the namespace "n2" */
    bool has_m;
    unsigned setting;
};

struct kept {
    char id[MN_SNAPSHOT_ID_BYTES];
    struct content content;
    enum presence presence;
};

struct tale {
    struct mni_crash_env *crash;
    struct mni_env *env;
    mn_store *store;
    struct content now;   /* acknowledged */
    struct content other; /* what it may be instead, if it is in doubt */
    bool is_in_doubt;
    bool was_made;
    bool is_over; /* a sync failed */
    uint64_t max_lsn;
    struct kept kept[N_SNAPSHOTS];
    enum presence target; /* /t, restored from snapshot 0 */
    struct mn_error err;
};

struct story {
    const char *name;
    void (*tell)(struct tale *t);
    bool begins_as_others; /* what all have in common is cut in the last one */
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
    printf("subset %" PRIu64 "; again: crash_restore --story %s %s %" PRIu64 "\n", subset_now,
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
    const struct mn_options options = {
        .size = sizeof options, .create = create, .no_background = true};

    return mni_api_store_open(t->env, path, &options, store_out, &t->err);
}

static void id_text(unsigned i, char text[8])
{
    (void)snprintf(text, 8, "id%u", i);
}

static void read_namespace(struct tale *t, mn_store *store, const char *name, uint8_t values[N_IDS])
{
    uint64_t n_expected = 0;
    uint64_t n = 0;

    for (unsigned i = 0; i < N_IDS; i++) {
        struct mn_view view;
        char id[8];
        id_text(i, id);
        mn_status st = mn_get(store, mn_str(name), mn_str(id), &view, &t->err);
        HOLDS(st == MN_OK || st == MN_NOT_FOUND);
        values[i] = 0;
        if (st == MN_OK) {
            HOLDS(view.payload.n_bytes == 600);
            values[i] = *(const uint8_t *)view.payload.data;
            n_expected++;
        }
        mn_view_release(&view);
    }
    mn_status st = mn_count(store, mn_str(name), &n, &t->err);
    HOLDS(st == MN_OK || (st == MN_NOT_FOUND && n_expected == 0));
    HOLDS(n == n_expected);
}

static struct content read_content(struct tale *t, mn_store *store)
{
    struct content c = {.has_m = false};
    char value[64];

    read_namespace(t, store, "n", c.values);
    read_namespace(t, store, "n2", c.copies);
    WORKS(mn_namespace_exists(store, mn_str("m"), &c.has_m, &t->err));
    WORKS(mn_config_get(store, "sweep_batch_records", value, sizeof value, &t->err));
    c.setting = (unsigned)strtoul(value, NULL, 10);
    return c;
}

static bool same(const struct content *a, const struct content *b)
{
    return memcmp(a->values, b->values, N_IDS) == 0 && memcmp(a->copies, b->copies, N_IDS) == 0 &&
           a->has_m == b->has_m && a->setting == b->setting;
}

/* Deeds: nothing happens once the power has gone, or a sync has failed ---------- */

static bool is_up(const struct tale *t)
{
    return !mni_crash_env_is_cut(t->crash) && !t->is_over;
}

/* What the deed would change is certain now, or never will be. */
static bool settle(struct tale *t, mn_status st)
{
    if (st != MN_OK) {
        HOLDS(mni_crash_env_is_cut(t->crash) || strcmp(mode_now, "--fail") == 0);
        if (st != MN_ERR_IO && st != MN_ERR_POISONED)
            printf("%s: %s\n", mn_status_name(st), t->err.message);
        HOLDS(st == MN_ERR_IO || st == MN_ERR_POISONED);
        t->is_over = true;
        return false;
    }
    t->now = t->other;
    t->is_in_doubt = false;
    return true;
}

static struct content *begin(struct tale *t)
{
    if (!is_up(t))
        return NULL;
    t->other = t->now;
    t->is_in_doubt = true;
    return &t->other;
}

static void make_store(struct tale *t)
{
    struct content *c = begin(t);

    if (c == NULL)
        return;
    mn_status st = open_store(t, "/s", true, &t->store);
    c->setting = 1000;
    t->was_made = settle(t, st);
    c = t->was_made ? begin(t) : NULL;
    if (c != NULL) /* small files */
        settle(t, mn_config_set(t->store, "wal_file_bytes", "65536", &t->err));
}

static void close_store(struct tale *t)
{
    if (!is_up(t) || t->store == NULL)
        return;
    struct content *c = begin(t);
    (void)c;
    mn_status st = mn_close(t->store, &t->err);
    t->store = NULL;
    settle(t, st);
}

static void reopen(struct tale *t)
{
    close_store(t);
    if (begin(t) != NULL)
        settle(t, open_store(t, "/s", false, &t->store));
}

static void put(struct tale *t, unsigned i, uint8_t value)
{
    struct content *c = begin(t);
    unsigned char payload[600];
    char id[8];
    struct mn_record record = {.payload = {payload, sizeof payload}};
    uint64_t lsn = 0;

    if (c == NULL)
        return;
    id_text(i, id);
    record.id = mn_str(id);
    memset(payload, value, sizeof payload);
    c->values[i] = value;
    if (!settle(t, mn_put(t->store, mn_str("n"), &record, NULL, &lsn, &t->err)))
        return;
    HOLDS(lsn > t->max_lsn);
    t->max_lsn = lsn;
}

static void delete (struct tale *t, unsigned i)
{
    struct content *c = begin(t);
    char id[8];
    uint64_t lsn = 0;

    if (c == NULL)
        return;
    id_text(i, id);
    c->values[i] = 0;
    if (settle(t, mn_delete(t->store, mn_str("n"), mn_str(id), NULL, NULL, &lsn, &t->err)))
        t->max_lsn = lsn;
}

static void make_m(struct tale *t, bool exists)
{
    struct content *c = begin(t);

    if (c == NULL)
        return;
    c->has_m = exists;
    settle(t, exists ? mn_namespace_create(t->store, mn_str("m"), NULL, &t->err)
                     : mn_namespace_drop(t->store, mn_str("m"), NULL, &t->err));
}

static void configure(struct tale *t, unsigned value)
{
    struct content *c = begin(t);
    char text[16];

    if (c == NULL)
        return;
    (void)snprintf(text, sizeof text, "%u", value);
    c->setting = value;
    settle(t, mn_config_set(t->store, "sweep_batch_records", text, &t->err));
}

static void checkpoint(struct tale *t)
{
    if (begin(t) != NULL)
        settle(t, mn_checkpoint(t->store, &t->err));
}

static void keep(struct tale *t, size_t index, bool incremental)
{
    const struct mn_snapshot_options options = {.size = sizeof options, .incremental = incremental};
    struct mn_snapshot_info info = {.size = sizeof info};
    mn_snapshot *snapshot = NULL;

    if (begin(t) == NULL)
        return;
    t->kept[index].content = t->now;
    t->kept[index].presence = IN_DOUBT;
    mn_status st = mn_snapshot_create(t->store, &options, &snapshot, &t->err);
    if (!settle(t, st))
        return;
    WORKS(mn_snapshot_get_info(snapshot, &info, &t->err));
    mn_snapshot_free(snapshot);
    memcpy(t->kept[index].id, info.id, sizeof info.id);
    t->kept[index].presence = PRESENT;
    HOLDS((info.parent_id[0] != '\0') == incremental);
}

static mn_snapshots *open_pool(struct tale *t)
{
    mn_snapshots *pool = NULL;
    mn_status st = mni_api_snapshots_open_of(t->env, "/s", &pool, &t->err);

    if (st != MN_OK) {
        settle(t, st);
        return NULL;
    }
    return pool;
}

static void forget(struct tale *t, size_t index)
{
    mn_snapshots *pool = begin(t) != NULL ? open_pool(t) : NULL;

    if (pool == NULL)
        return;
    t->kept[index].presence = IN_DOUBT;
    if (settle(t, mn_snapshot_delete(pool, t->kept[index].id, NULL, &t->err)))
        t->kept[index].presence = ABSENT;
    mn_snapshots_close(pool);
}

static mn_status restore(struct tale *t, mn_snapshots *pool, size_t index, const char *into,
                         const char *replace, const char *rename)
{
    struct mn_restore_report report = {.size = sizeof report};
    struct mn_restore_options options = {.size = sizeof options, .into = into, .replace = replace};

    if (rename != NULL) {
        options.name = mn_str("n");
        options.rename = mn_str(rename);
    }
    return mn_snapshot_restore(pool, t->kept[index].id, &options, &report, &t->err);
}

static void restore_into(struct tale *t)
{
    mn_snapshots *pool = begin(t) != NULL ? open_pool(t) : NULL;

    if (pool == NULL)
        return;
    t->target = IN_DOUBT;
    if (settle(t, restore(t, pool, 0, "/t", NULL, NULL)))
        t->target = PRESENT;
    mn_snapshots_close(pool);
}

static void replace(struct tale *t, size_t index)
{
    close_store(t);
    mn_snapshots *pool = begin(t) != NULL ? open_pool(t) : NULL;
    if (pool == NULL)
        return;
    t->other = t->kept[index].content;
    bool is_done = settle(t, restore(t, pool, index, NULL, "/s", NULL));
    mn_snapshots_close(pool);
    if (is_done && begin(t) != NULL)
        settle(t, open_store(t, "/s", false, &t->store));
}

static void restore_copy(struct tale *t, size_t index)
{
    close_store(t);
    mn_snapshots *pool = begin(t) != NULL ? open_pool(t) : NULL;
    if (pool == NULL)
        return;
    memcpy(t->other.copies, t->kept[index].content.values, N_IDS);
    bool is_done = settle(t, restore(t, pool, index, NULL, "/s", "n2"));
    mn_snapshots_close(pool);
    if (is_done && begin(t) != NULL)
        settle(t, open_store(t, "/s", false, &t->store));
}

/* Stories ---------- */

static void write_some(struct tale *t)
{
    make_store(t);
    put(t, 0, 1);
    put(t, 1, 1);
    make_m(t, true);
    checkpoint(t);
    delete (t, 0);
    put(t, 2, 2);
    configure(t, 77);
    keep(t, 0, false);
    put(t, 1, 3);
    put(t, 3, 3);
    make_m(t, false);
    configure(t, 88);
}

static void kept_and_forgotten(struct tale *t)
{
    write_some(t);
    keep(t, 1, true);
    delete (t, 3);
    forget(t, 0);
    keep(t, 2, true);
    checkpoint(t);
    forget(t, 2);
}

static void restored_anew(struct tale *t)
{
    write_some(t);
    restore_into(t);
    put(t, 4, 4);
}

static void replaced(struct tale *t)
{
    write_some(t);
    replace(t, 0);
    put(t, 4, 4);
    delete (t, 1);
    keep(t, 1, true);
    put(t, 1, 5);
    checkpoint(t);
    reopen(t);
}

/* From one past to another and back: liveness files of one segment, in each. */
static void back_and_forth(struct tale *t)
{
    write_some(t);
    delete (t, 1);
    keep(t, 1, true);
    replace(t, 0);
    delete (t, 2);
    keep(t, 2, true);
    replace(t, 1);
    put(t, 5, 6);
    replace(t, 2);
    checkpoint(t);
}

static void copied(struct tale *t)
{
    write_some(t);
    restore_copy(t, 0);
    put(t, 4, 4);
}

static const struct story stories[] = {
    {"restored_anew", restored_anew, true},
    {"replaced", replaced, true},
    {"back_and_forth", back_and_forth, true},
    {"copied", copied, true},
    {"kept_and_forgotten", kept_and_forgotten, false},
};

/* Comparing ---------- */

static void check_lsns(struct tale *t, mn_store *store)
{
    struct mn_record record = {.id = mn_str("next")};
    uint64_t lsn = 0;

    WORKS(mn_put(store, mn_str("other"), &record, NULL, &lsn, &t->err));
    HOLDS(lsn > t->max_lsn);
    WORKS(mn_checkpoint(store, &t->err));
}

static void check_store(struct tale *t)
{
    mn_store *store = NULL;
    mn_status st = open_store(t, "/s", false, &store);

    if (st == MN_ERR_NO_STORE && !t->was_made)
        return;
    WORKS(st);
    struct content c = read_content(t, store);
    HOLDS(same(&c, &t->now) || (t->is_in_doubt && same(&c, &t->other)) || !t->was_made);
    check_lsns(t, store);
    c = read_content(t, store);
    HOLDS(same(&c, &t->now) || (t->is_in_doubt && same(&c, &t->other)) || !t->was_made);
    WORKS(mn_close(store, &t->err));
    struct content before = c;
    WORKS(open_store(t, "/s", false, &store));
    c = read_content(t, store);
    HOLDS(same(&c, &before));
    WORKS(mn_close(store, &t->err));
}

static void check_restored(struct tale *t, const char *path, const struct content *expected)
{
    mn_store *store = NULL;

    WORKS(open_store(t, path, false, &store));
    struct content c = read_content(t, store);
    HOLDS(same(&c, expected));
    WORKS(mn_close(store, &t->err));
}

static void check_target(struct tale *t, mn_snapshots *pool)
{
    mn_store *store = NULL;

    if (t->target == ABSENT)
        return;
    mn_status st = open_store(t, "/t", false, &store);
    if (st == MN_OK)
        WORKS(mn_close(store, &t->err));
    HOLDS(st == MN_OK || (st == MN_ERR_NO_STORE && t->target != PRESENT));
    if (st != MN_OK) /* what was begun is cleared away */
        WORKS(restore(t, pool, 0, "/t", NULL, NULL));
    check_restored(t, "/t", &t->kept[0].content);
}

static void check_kept(struct tale *t, mn_snapshots *pool, size_t i)
{
    char path[16];
    bool exists = false;

    if (t->kept[i].id[0] == '\0')
        return;
    WORKS(mn_snapshot_exists(pool, t->kept[i].id, &exists, &t->err));
    HOLDS(exists ? t->kept[i].presence != ABSENT : t->kept[i].presence != PRESENT);
    if (!exists)
        return;
    WORKS(mn_snapshot_verify(pool, t->kept[i].id, NULL, &t->err));
    (void)snprintf(path, sizeof path, "/r%zu", i);
    WORKS(restore(t, pool, i, path, NULL, NULL));
    check_restored(t, path, &t->kept[i].content);
}

static void compare(struct tale *t)
{
    mn_snapshots *pool = NULL;

    check_store(t);
    mn_status st = mni_api_snapshots_open_of(t->env, "/s", &pool, &t->err);
    for (size_t i = 0; i < N_SNAPSHOTS && st != MN_OK; i++)
        HOLDS(t->kept[i].presence != PRESENT);
    if (st != MN_OK)
        return;
    for (size_t i = 0; i < N_SNAPSHOTS; i++)
        check_kept(t, pool, i);
    check_target(t, pool);
    mn_snapshots_close(pool);
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
    struct tale t = {.store = NULL};
    bool cuts = strcmp(mode_now, "--cut") == 0;

    subset_now = subset;
    if (mni_crash_env_new(subset + 1, &t.crash) != MN_OK)
        exit(2);
    t.env = mni_crash_env_base(t.crash);
    if (cuts)
        mni_crash_env_cut_at(t.crash, call_now);
    else
        mni_crash_env_fail_sync_at(t.crash, call_now);
    story_now->tell(&t);
    bool was_hit = cuts ? mni_crash_env_is_cut(t.crash) : t.is_over;
    size_t n = mni_crash_env_n_pending(t.crash);
    bool use_mask = n <= ALL_SUBSETS_BITS || (subset < 2 && n <= 64);
    *n_subsets_out = n <= ALL_SUBSETS_BITS ? UINT64_C(1) << n : N_RANDOM_SUBSETS;
    mni_api_store_abandon(t.store);
    mni_crash_env_restart(t.crash, use_mask, use_mask ? mask_of(subset, n) : 0);
    compare(&t);
    mni_crash_env_free(t.crash);
    return was_hit;
}

static bool run_call(const char *mode, uint64_t call, uint64_t *n_runs)
{
    uint64_t n_subsets = 1;
    bool was_hit = true;

    mode_now = mode;
    call_now = call;
    for (uint64_t subset = 0; subset < n_subsets && was_hit; subset++, ++*n_runs)
        was_hit = run_once(subset, &n_subsets);
    return was_hit;
}

/* Calls of what stories have in common. */
static uint64_t n_common_calls(void)
{
    struct tale t = {.store = NULL};

    if (mni_crash_env_new(1, &t.crash) != MN_OK)
        exit(2);
    t.env = mni_crash_env_base(t.crash);
    write_some(&t);
    uint64_t n = mni_crash_env_n_calls(t.crash);
    mni_api_store_abandon(t.store);
    mni_crash_env_free(t.crash);
    return n;
}

/* Some syncs may fail without harm: that of a spare file, for one. */
enum { HARMLESS_FAILURES_MAX = 8 };

static void run_story(const char *mode, uint64_t only_call)
{
    uint64_t n_runs = 0;
    bool cuts = strcmp(mode, "--cut") == 0;
    uint64_t call = only_call != 0 ? only_call : 1;
    unsigned n_missed = 0;

    mode_now = mode;
    if (only_call == 0 && cuts && story_now->begins_as_others)
        call = n_common_calls();
    for (; n_missed < (cuts ? 1 : HARMLESS_FAILURES_MAX); call++) {
        n_missed = run_call(mode, call, &n_runs) ? 0 : n_missed + 1;
        if (only_call != 0)
            break;
    }
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
