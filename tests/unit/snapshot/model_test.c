/* model_test.c - random histories of pools against a naive model: which snapshots there are, in
 * which order, and which files they need. */
#include "fixture.h"

enum { SNAPSHOTS_MAX = 8, STEPS = 300 };

struct model {
    struct stage stage;
    struct mni_snapshot snapshots[SNAPSHOTS_MAX]; /* in the order in which they were added */
    size_t n;
    uint64_t lsn;
    int64_t time_us;
    uint64_t random;
};

static bool names_file(const struct mni_snapshot *snapshot, const struct pool_file *file)
{
    struct file_cursor cursor = {0};
    struct pool_file named;

    while (snapshot_next_file(snapshot, &cursor, &named))
        if (pool_file_compare(&named, file) == 0)
            return true;
    return false;
}

/* Every file is named, and its number is counted. */
static mn_status check_named(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct model *m = context;
    struct pool_file file;
    bool is_named = false;

    (void)is_dir;
    (void)err;
    CHECK(pool_file_parse(name, &file));
    for (size_t i = 0; i < m->n; i++)
        is_named = is_named || names_file(&m->snapshots[i], &file);
    CHECK(is_named);
    return MN_OK;
}

static bool is_newer(const struct mni_snapshot *a, const struct mni_snapshot *b)
{
    return a->manifest.lsn != b->manifest.lsn ? a->manifest.lsn > b->manifest.lsn
                                              : a->created_us > b->created_us;
}

static void check_list(struct model *m)
{
    struct mni_snapshot_id *ids = NULL;
    size_t n = 0;

    CHECK_OK(mni_pool_list(m->stage.pool, &ids, &n, NULL));
    CHECK_EQ(n, m->n);
    for (size_t i = 0; i < m->n; i++) {
        size_t n_newer = 0;
        for (size_t j = 0; j < m->n; j++)
            n_newer += is_newer(&m->snapshots[j], &m->snapshots[i]);
        CHECK_MEM_EQ(&ids[n_newer], &m->snapshots[i].id, sizeof ids[0]);
    }
    mni_free(ids);
}

static void check_all(struct model *m)
{
    struct stage *s = &m->stage;

    check_list(m);
    CHECK_OK(mni_dir_list(s->pool->files, check_named, m, NULL));
    for (size_t i = 0; i < m->n; i++) {
        struct mni_snapshot loaded;
        CHECK_OK_ERR(mni_pool_load(s->pool, &m->snapshots[i].id, &loaded, &s->err), &s->err);
        CHECK_OK_ERR(mni_pool_verify(s->pool, &loaded, NULL, NULL, NULL, &s->err), &s->err);
        CHECK_EQ(loaded.n_files, m->snapshots[i].n_files);
        CHECK_EQ(loaded.own_bytes, m->snapshots[i].own_bytes);
        mni_snapshot_done(&loaded);
    }
}

static void forget(struct model *m, size_t index)
{
    mni_snapshot_done(&m->snapshots[index]);
    m->n--;
    memmove(&m->snapshots[index], &m->snapshots[index + 1],
            (m->n - index) * sizeof m->snapshots[0]);
}

static void remove_any(struct model *m)
{
    size_t index = check_below(&m->random, m->n);
    uint64_t freed = 0;
    uint64_t needed = 0;
    struct file_cursor cursor = {0};
    struct pool_file file;

    while (snapshot_next_file(&m->snapshots[index], &cursor, &file)) {
        bool is_shared = false;
        for (size_t i = 0; i < m->n; i++)
            is_shared = is_shared || (i != index && names_file(&m->snapshots[i], &file));
        needed += is_shared ? 0 : file.stored_bytes;
    }
    lock_pool(&m->stage, MNI_POOL_REMOVE);
    CHECK_OK(mni_pool_remove(m->stage.pool, &m->snapshots[index].id, &freed, NULL));
    CHECK_EQ(freed, needed);
    forget(m, index);
}

static void add_any(struct model *m)
{
    struct mni_snapshot *snapshot = &m->snapshots[m->n];
    struct mni_snapshot *parent = NULL;
    size_t first = 1 + check_below(&m->random, N_SEGMENTS);
    size_t last = first + check_below(&m->random, N_SEGMENTS - first + 1);

    m->lsn += check_below(&m->random, 3);
    describe(&m->stage, snapshot, m->lsn, first, last, check_below(&m->random, N_LIVES + 1));
    snapshot->created_us = ++m->time_us;
    snapshot->flags = check_below(&m->random, 3) == 0 ? MNI_SNAPSHOT_COMPRESSED : 0;
    snapshot->flags |= check_below(&m->random, 4) == 0 ? MNI_SNAPSHOT_WITHOUT_METADATA : 0;
    if (m->n > 0 && check_below(&m->random, 3) > 0)
        parent = &m->snapshots[check_below(&m->random, m->n)];
    if (parent != NULL && !mni_snapshot_is_like(snapshot, parent))
        parent = NULL;
    add(&m->stage, snapshot, parent);
    m->n++;
}

/* An addition that fails somewhere, and leaves nothing; or the snapshot, if only the last sync
 * failed. */
static void fail_to_add(struct model *m)
{
    size_t n_before = n_entries(m->stage.pool->files);
    struct mni_snapshot snapshot;

    describe(&m->stage, &snapshot, m->lsn, 1, N_SEGMENTS, N_LIVES);
    snapshot.created_us = ++m->time_us;
    lock_pool(&m->stage, MNI_POOL_ADD);
    mni_fault_env_fail_at(m->stage.fault, 1 + check_below(&m->random, 60), 28, false);
    mn_status st = mni_pool_add(m->stage.pool, &snapshot, NULL, m->stage.seg, NULL, NULL);
    mni_fault_env_fail_at(m->stage.fault, 0, 0, false);
    char name[MNI_NAME_BYTES_MAX];
    pool_snapshot_name(&snapshot.id, "", name);
    if (has_file(m->stage.pool->dir, name)) {
        m->snapshots[m->n++] = snapshot;
        return;
    }
    CHECK(st != MN_OK);
    CHECK_EQ(n_entries(m->stage.pool->files), n_before);
    mni_snapshot_done(&snapshot);
}

static void random_histories_are_as_the_model_says(void)
{
    uint64_t random = check_seed();

    for (int history = 0; history < 3; history++) {
        static struct model m;
        m = (struct model){.lsn = 10, .random = random + (uint64_t)history};
        stage_init(&m.stage, 1 + (uint64_t)history);
        m.stage.no_links = history == 1;
        open_pool(&m.stage, true);
        for (int step = 0; step < STEPS; step++) {
            uint64_t what = check_below(&m.random, 20);
            if (what == 0)
                open_pool(&m.stage, false);
            else if (what == 1 && m.n < SNAPSHOTS_MAX)
                fail_to_add(&m);
            else if (m.n == SNAPSHOTS_MAX || (what < 9 && m.n > 0))
                remove_any(&m);
            else
                add_any(&m);
            lock_pool(&m.stage, MNI_POOL_READ);
            check_all(&m);
        }
        while (m.n > 0)
            forget(&m, 0);
        stage_done(&m.stage);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(random_histories_are_as_the_model_says),
    };

    return check_run("snapshot.model", tests, CHECK_COUNT(tests), argc, argv);
}
