/*
 * pool.c - power cuts at every call of a story in which snapshots come to a pool, leave it, and are
 * given back: what was there is intact, what was coming is complete or not there.
 *
 * usage: crash_pool [--cut N] [--story NAME]      all cuts of all stories without
 *
 * After each cut some of what was pending survives: nothing, all, every subset where there are few,
 * others at random.
 */
#include "snapshot/fixture.h"

#include <inttypes.h>

enum { N_SNAPSHOTS = 4, ALL_SUBSETS_BITS = 5, N_RANDOM_SUBSETS = 30 };

enum presence { ABSENT, PRESENT, IN_DOUBT };

/* A story on its stage, and what it has come to. */
struct tale {
    struct stage stage;
    struct mni_snapshot snapshots[N_SNAPSHOTS];
    struct mni_manifest sources[N_SNAPSHOTS]; /* their manifests as the store has them */
    enum presence presence[N_SNAPSHOTS];
    bool has_given; /* snapshot 1 is in the directory "given" */
};

struct story {
    const char *name;
    void (*tell)(struct tale *t);
    bool no_links;
    unsigned flags;
    uint64_t fail_sync_at; /* 0: no sync fails */
};

/* Where a run is, for the line that repeats it. */
static const struct story *story_now;
static uint64_t cut_now;
static uint64_t subset_now;

#define HOLDS(condition) holds((condition), #condition, __LINE__)

static void holds(bool condition, const char *text, int line)
{
    if (condition)
        return;
    printf("line %d: not true: %s\n", line, text);
    printf("subset %" PRIu64 "; again: crash_pool --story %s --cut %" PRIu64 "\n", subset_now,
           story_now->name, cut_now);
    exit(1);
}

static void holds_ok(mn_status st, const struct mn_error *err, int line)
{
    if (st != MN_OK)
        printf("%s: %s\n", mn_status_name(st), err->message);
    holds(st == MN_OK, "it works", line);
}
#define WORKS(call) holds_ok((call), &t->stage.err, __LINE__)

/* Deeds: nothing happens once the power has gone ---------- */

static bool is_up(const struct tale *t)
{
    return !mni_crash_env_is_cut(t->stage.crash);
}

/* An error is one of power, or of the sync that fails. */
static void judge(const struct tale *t, mn_status st)
{
    HOLDS(st == MN_OK || !is_up(t) || (st == MN_ERR_IO && story_now->fail_sync_at != 0));
}

static bool begin(struct tale *t, enum mni_pool_lock lock)
{
    struct stage *s = &t->stage;

    if (!is_up(t))
        return false;
    mn_status st = s->pool == NULL ? try_open_pool(s, true) : MN_OK;
    if (st == MN_OK)
        st = mni_pool_lock(s->pool, lock, &s->err);
    judge(t, st);
    return st == MN_OK;
}

static void add_one(struct tale *t, size_t index, size_t parent)
{
    struct stage *s = &t->stage;
    const struct mni_snapshot *p = NULL;

    if (!begin(t, MNI_POOL_ADD))
        return;
    if (parent < N_SNAPSHOTS && t->presence[parent] == PRESENT) {
        p = &t->snapshots[parent];
        set_parent(&t->snapshots[index], p);
    }
    t->presence[index] = IN_DOUBT;
    mn_status st = mni_pool_add(s->pool, &t->snapshots[index], p, s->seg, NULL, &s->err);
    judge(t, st);
    if (st == MN_OK)
        t->presence[index] = PRESENT;
}

static void remove_one(struct tale *t, size_t index)
{
    if (!begin(t, MNI_POOL_REMOVE))
        return;
    t->presence[index] = t->presence[index] == ABSENT ? ABSENT : IN_DOUBT;
    mn_status st = mni_pool_remove(t->stage.pool, &t->snapshots[index].id, NULL, &t->stage.err);
    judge(t, st == MN_NOT_FOUND ? MN_OK : st);
    if (st == MN_OK || st == MN_NOT_FOUND)
        t->presence[index] = ABSENT;
}

static void collect(struct tale *t)
{
    if (begin(t, MNI_POOL_REMOVE))
        judge(t, mni_pool_collect(t->stage.pool, NULL, &t->stage.err));
}

static void give_one(struct tale *t)
{
    struct stage *s = &t->stage;
    struct mni_dir *dir = NULL;

    if (!begin(t, MNI_POOL_READ))
        return;
    mn_status st = mni_env_open_dir(s->env, "given", true, &dir, &s->err);
    if (st == MN_OK && s->no_links)
        forbid_links(dir);
    if (st == MN_OK)
        st = mni_pool_give(s->pool, &t->snapshots[1], dir, NULL, &s->err);
    mni_dir_close(dir);
    judge(t, st);
    t->has_given = st == MN_OK;
}

/* Stories ---------- */

static void all_of_it(struct tale *t)
{
    add_one(t, 0, N_SNAPSHOTS);
    add_one(t, 1, 0);
    give_one(t);
    remove_one(t, 0);
    add_one(t, 2, 1);
    collect(t);
    remove_one(t, 2);
}

/* Others of the pool go while one is added again that could not be. */
static void again_and_again(struct tale *t)
{
    add_one(t, 1, N_SNAPSHOTS);
    for (size_t i = 0; i < 3; i++) {
        mni_pool_close(t->stage.pool);
        t->stage.pool = NULL;
        if (t->presence[3] != PRESENT && is_up(t))
            CHECK_OK(mni_snapshot_id_new(t->stage.env, 14, &t->snapshots[3].id, NULL));
        if (t->presence[3] != PRESENT)
            add_one(t, 3, 1);
    }
    remove_one(t, 1);
}

static const struct story stories[] = {
    {"links", all_of_it, false, 0, 0},
    {"copies", all_of_it, true, 0, 0},
    {"compressed", all_of_it, false, MNI_SNAPSHOT_COMPRESSED, 0},
    {"bare", all_of_it, false, MNI_SNAPSHOT_WITHOUT_METADATA, 0},
    {"bare_compressed", all_of_it, true, MNI_SNAPSHOT_WITHOUT_METADATA | MNI_SNAPSHOT_COMPRESSED,
     0},
    {"failed_sync_1", again_and_again, false, 0, 1},
    {"failed_sync_2", again_and_again, false, 0, 2},
    {"failed_sync_4", again_and_again, false, 0, 4},
    {"failed_sync_5", again_and_again, true, 0, 5},
    {"failed_sync_12", again_and_again, true, 0, 12},
    {"bare_failed_sync_3", again_and_again, false, MNI_SNAPSHOT_WITHOUT_METADATA, 3},
    {"bare_failed_sync_12", again_and_again, false, MNI_SNAPSHOT_WITHOUT_METADATA, 12},
};

/* Comparing ---------- */

static mn_status collect_name(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct pool_file file;

    (void)context;
    (void)is_dir;
    (void)err;
    HOLDS(pool_file_parse(name, &file)); /* nothing else is left */
    return MN_OK;
}

static void check_snapshot(struct tale *t, size_t i)
{
    struct stage *s = &t->stage;
    struct mni_snapshot loaded;
    mn_status st = mni_pool_load(s->pool, &t->snapshots[i].id, &loaded, &s->err);

    if (st == MN_NOT_FOUND) {
        HOLDS(t->presence[i] != PRESENT);
        return;
    }
    WORKS(st);
    HOLDS(t->presence[i] != ABSENT);
    WORKS(mni_pool_verify(s->pool, &loaded, NULL, NULL, NULL, &s->err));
    mni_snapshot_done(&loaded);
}

static void check_store(struct tale *t, struct mni_dir *dir, const struct mni_snapshot *snapshot)
{
    HOLDS(mni_manifest_check_files(dir, &snapshot->manifest, &t->stage.err) == MN_OK);
    check_given(&t->stage, snapshot, dir);
}

/* The store's own files: a pool never touches them. */
static void check_source(struct tale *t)
{
    HOLDS(n_entries(t->stage.seg) == (size_t)N_SEGMENTS * (1 + N_LIVES));
    for (size_t i = 0; i < N_SNAPSHOTS; i++)
        HOLDS(mni_manifest_check_files(t->stage.seg, &t->sources[i], NULL) == MN_OK);
}

static void check_pool(struct tale *t)
{
    struct mni_snapshot_id *ids = NULL;
    size_t n = 0;

    WORKS(try_open_pool(&t->stage, true));
    WORKS(mni_pool_lock(t->stage.pool, MNI_POOL_REMOVE, &t->stage.err));
    for (size_t i = 0; i < N_SNAPSHOTS; i++)
        check_snapshot(t, i);
    WORKS(mni_pool_list(t->stage.pool, &ids, &n, &t->stage.err));
    HOLDS(n <= N_SNAPSHOTS);
    mni_free(ids);
    WORKS(mni_pool_collect(t->stage.pool, NULL, &t->stage.err));
    WORKS(mni_dir_list(t->stage.pool->files, collect_name, t, &t->stage.err));
    for (size_t i = 0; i < N_SNAPSHOTS; i++)
        check_snapshot(t, i);
}

static void compare(struct tale *t)
{
    struct mni_dir *dir = NULL;

    check_source(t);
    check_pool(t);
    if (t->has_given) {
        CHECK_OK(mni_env_open_dir(t->stage.env, "given", true, &dir, NULL));
        check_store(t, dir, &t->snapshots[1]);
        mni_dir_close(dir);
    }
}

/* Running ---------- */

static void tale_init(struct tale *t, uint64_t seed)
{
    *t = (struct tale){.has_given = false};
    stage_init(&t->stage, seed);
    t->stage.no_links = story_now->no_links;
    describe(&t->stage, &t->snapshots[0], 10, 1, 1, 1);
    describe(&t->stage, &t->snapshots[1], 12, 1, 2, 2);
    describe(&t->stage, &t->snapshots[2], 12, 2, 2, 2);
    describe(&t->stage, &t->snapshots[3], 14, 1, 3, 1);
    for (size_t i = 0; i < N_SNAPSHOTS; i++) {
        t->snapshots[i].flags = story_now->flags;
        CHECK_OK(mni_manifest_copy(&t->snapshots[i].manifest, &t->sources[i]));
    }
}

static void tale_done(struct tale *t)
{
    for (size_t i = 0; i < N_SNAPSHOTS; i++) {
        mni_snapshot_done(&t->snapshots[i]);
        mni_manifest_done(&t->sources[i]);
    }
    stage_done(&t->stage);
}

/* What survives: subset 0 is nothing, 1 is all, then each other one where there are few. */
static uint64_t mask_of(uint64_t subset, size_t n_pending)
{
    uint64_t all = n_pending >= 64 ? UINT64_MAX : (UINT64_C(1) << n_pending) - 1;

    return subset == 0 ? 0 : subset == 1 ? all : subset - 1;
}

/* Returns whether the power was cut; `n_subsets_out` tells how many subsets there are. */
static bool run_once(uint64_t subset, uint64_t *n_subsets_out)
{
    struct tale t;

    subset_now = subset;
    tale_init(&t, subset + 1);
    mni_crash_env_cut_at(t.stage.crash, cut_now);
    mni_crash_env_fail_sync_at(t.stage.crash, story_now->fail_sync_at);
    story_now->tell(&t);
    bool was_cut = !is_up(&t);
    size_t n = mni_crash_env_n_pending(t.stage.crash);
    bool use_mask = n <= ALL_SUBSETS_BITS || (subset < 2 && n <= 64);
    *n_subsets_out = n <= ALL_SUBSETS_BITS ? UINT64_C(1) << n : N_RANDOM_SUBSETS;
    stage_restart(&t.stage, use_mask, mask_of(subset, n));
    compare(&t);
    tale_done(&t);
    return was_cut;
}

/* Returns whether there is such a call. */
static bool cut_at(uint64_t cut, uint64_t *n_runs)
{
    uint64_t n_subsets = 1;
    bool was_cut = true;

    cut_now = cut;
    for (uint64_t subset = 0; subset < n_subsets && was_cut; subset++, ++*n_runs)
        was_cut = run_once(subset, &n_subsets);
    return was_cut;
}

/* What a copy lets through, and a chain ---------- */

/* A damaged file of the store is not copied. */
static void damage_is_not_copied(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct tale t;

    tale_init(&t, 1);
    t.stage.no_links = true;
    mni_manifest_segment_name(t.stage.content.segments[0].id, name);
    flip(t.stage.seg, name, 20000);
    CHECK_OK(try_open_pool(&t.stage, true));
    CHECK_OK(mni_pool_lock(t.stage.pool, MNI_POOL_ADD, NULL));
    HOLDS(mni_pool_add(t.stage.pool, &t.snapshots[0], NULL, t.stage.seg, NULL, NULL) ==
          MN_ERR_CORRUPT);
    tale_done(&t);
}

/* A parent that became another snapshot is noticed. */
static void parents_are_compared(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct tale t;

    tale_init(&t, 1);
    add_one(&t, 0, N_SNAPSHOTS);
    add_one(&t, 1, 0);
    pool_snapshot_name(&t.snapshots[0].id, "", name);
    CHECK_OK(mni_dir_unlink(t.stage.pool->dir, name, NULL));
    t.snapshots[0].created_us++;
    add_one(&t, 0, N_SNAPSHOTS);
    HOLDS(mni_pool_verify(t.stage.pool, &t.snapshots[1], NULL, NULL, NULL, NULL) == MN_ERR_CORRUPT);
    tale_done(&t);
}

/* An addition that fails takes nothing from the others. */
static void failures_take_nothing(void)
{
    bool was_hit = true;

    for (uint64_t n = 1; was_hit; n++) {
        struct tale t;
        tale_init(&t, 1);
        add_one(&t, 0, N_SNAPSHOTS);
        set_parent(&t.snapshots[1], &t.snapshots[0]);
        CHECK_OK(mni_pool_lock(t.stage.pool, MNI_POOL_ADD, NULL));
        mni_fault_env_fail_at(t.stage.fault, n, 28, false);
        mn_status st =
            mni_pool_add(t.stage.pool, &t.snapshots[1], &t.snapshots[0], t.stage.seg, NULL, NULL);
        was_hit = mni_fault_env_was_hit(t.stage.fault);
        t.presence[1] = st == MN_OK ? PRESENT : IN_DOUBT;
        stage_restart(&t.stage, false, 0);
        compare(&t);
        tale_done(&t);
    }
}

int main(int argc, char **argv)
{
    const char *only_story = NULL;
    uint64_t only_cut = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--story") == 0)
            only_story = argv[i + 1];
        else if (strcmp(argv[i], "--cut") == 0)
            only_cut = strtoull(argv[i + 1], NULL, 10);
    }
    story_now = &stories[0];
    damage_is_not_copied();
    parents_are_compared();
    failures_take_nothing();
    for (size_t i = 0; i < CHECK_COUNT(stories); i++) {
        uint64_t n_runs = 0;
        uint64_t cut = only_cut != 0 ? only_cut : 1;
        story_now = &stories[i];
        if (only_story != NULL && strcmp(only_story, story_now->name) != 0)
            continue;
        while (cut_at(cut, &n_runs) && only_cut == 0)
            cut++;
        printf("%-16s %4" PRIu64 " calls cut, %" PRIu64 " runs\n", story_now->name, cut, n_runs);
    }
    return 0;
}
