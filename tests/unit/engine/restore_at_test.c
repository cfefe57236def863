/*
 * restore_at_test.c - a store restored as it was at any LSN and any time, out of snapshots and the
 * log that was kept: random histories beside a model.
 *
 * The model is a tree of moments, one per commit; a restore begins a new branch at the moment of
 * the snapshot. The store's past is what leads to the newest moment.
 */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "mneme/mneme.h"

enum {
    N_SPACES = 3,
    N_IDS = 5,
    MOMENTS_MAX = 1500,
    SNAPSHOTS_MAX = 200,
    LENGTH_MAX = 9000,
    STEP_US = 1000, /* passes before each deed: more than one takes */
};

struct slot {
    uint32_t value; /* 0: no record */
    uint64_t lsn;
};

struct state {
    bool exists[N_SPACES];
    struct slot slots[N_SPACES][N_IDS];
};

struct moment {
    size_t parent; /* of moment 0: 0 */
    uint64_t lsn;
    int64_t after_us; /* the commit was made after it, and before `before_us` */
    int64_t before_us;
    bool is_restore;
    struct state state;
};

struct kept {
    char id[MN_SNAPSHOT_ID_BYTES];
    size_t moment;
    bool is_there;
};

struct world {
    struct mni_crash_env *crash;
    struct mni_env *env;
    mn_store *store; /* NULL: closed */
    uint64_t random;
    struct moment *moments; /* owned */
    size_t n_moments;
    struct kept kept[SNAPSHOTS_MAX];
    size_t n_kept;
    uint32_t last_value;
    uint64_t archived_lsn; /* all up to it was kept */
    bool archives;
    bool has_gap; /* archiving was off for a while */
    bool never_goes_back;
    bool has_unheard_past; /* and a restore fell into it: only the store tells */
    unsigned n_targets;
    struct mn_error err;
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return check_below(&w->random, bound);
}

static bool one_in(struct world *w, uint64_t n)
{
    return below(w, n) == 0;
}

static struct moment *newest(struct world *w)
{
    return &w->moments[w->n_moments - 1];
}

static struct mn_slice name_of(unsigned space)
{
    static const char *const names[N_SPACES] = {"a", "b", "c"};

    return mn_str(names[space]);
}

static struct mn_slice id_of(unsigned id)
{
    static const char *const ids[N_IDS] = {"0", "1", "2", "3", "4"};

    return mn_str(ids[id]);
}

/* The store ---------- */

static mn_status try_open(struct world *w, const char *path, bool create, mn_store **store_out)
{
    const struct mn_options o = {.size = sizeof o, .create = create, .no_background = true};

    return mni_api_store_open(w->env, path, &o, store_out, &w->err);
}

static void open_store(struct world *w)
{
    CHECK_OK_ERR(try_open(w, "/store", false, &w->store), &w->err);
}

static void close_store(struct world *w)
{
    mn_store *store = w->store;

    w->store = NULL;
    if (store != NULL)
        CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
}

static void set(struct world *w, const char *key, const char *value)
{
    CHECK_OK_ERR(mn_config_set(w->store, key, value, &w->err), &w->err);
}

static void set_archive(struct world *w, bool archives)
{
    set(w, "archive_dir", archives ? "/archive" : "");
    w->archives = archives;
    w->has_gap = w->has_gap || !archives;
}

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.random = seed};
    CHECK_OK(mni_crash_env_new(seed, &w->crash));
    w->env = mni_crash_env_base(w->crash);
    w->moments = calloc(MOMENTS_MAX, sizeof *w->moments);
    CHECK(w->moments != NULL);
    w->n_moments = 1;
    struct mni_dir *archive = NULL; /* a restore that names it wants it to be there */
    CHECK_OK(mni_env_open_dir(w->env, "/archive", true, &archive, NULL));
    mni_dir_close(archive);
    CHECK_OK_ERR(try_open(w, "/store", true, &w->store), &w->err);
    set(w, "wal_file_bytes", "65536");
    set(w, "checkpoint_bytes", "65536");
    set(w, "max_snapshots", "0");
    set(w, "snapshot_dir", "/pool");
    set_archive(w, true);
    close_store(w);
    open_store(w);
}

static void world_done(struct world *w)
{
    mni_api_store_abandon(w->store);
    mni_crash_env_free(w->crash);
    free(w->moments);
}

/* Deeds ---------- */

static struct moment *begin(struct world *w)
{
    struct moment *m = &w->moments[w->n_moments];

    CHECK(w->n_moments < MOMENTS_MAX);
    mni_crash_env_advance_us(w->crash, STEP_US);
    *m = *newest(w);
    m->parent = w->n_moments - 1;
    m->is_restore = false;
    m->after_us = mni_env_wall_us(w->env);
    return m;
}

static void end(struct world *w, struct moment *m, uint64_t lsn)
{
    CHECK(lsn > newest(w)->lsn);
    m->lsn = lsn;
    mni_crash_env_advance_us(w->crash, STEP_US);
    m->before_us = mni_env_wall_us(w->env);
    w->n_moments++;
}

static uint64_t current_lsn(struct world *w)
{
    struct mn_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_stats(w->store, &stats, NULL));
    return stats.current_lsn;
}

/* A payload follows from its value. */
static size_t payload_of(uint32_t value, unsigned char payload[LENGTH_MAX])
{
    size_t n = 1 + value * UINT64_C(2654435761) % (value % 7 == 0 ? LENGTH_MAX : 700);

    memset(payload, (int)(value % 251), n);
    memcpy(payload, &value, n < sizeof value ? n : sizeof value);
    return n;
}

static void put(struct world *w)
{
    unsigned char payload[LENGTH_MAX];
    struct moment *m = begin(w);
    unsigned space = (unsigned)below(w, N_SPACES);
    unsigned id = (unsigned)below(w, N_IDS);
    uint32_t value = ++w->last_value;
    struct mn_record record = {.id = id_of(id), .payload = {payload, payload_of(value, payload)}};
    uint64_t lsn = 0;

    CHECK_OK_ERR(mn_put(w->store, name_of(space), &record, NULL, &lsn, &w->err), &w->err);
    m->state.exists[space] = true;
    m->state.slots[space][id] = (struct slot){value, lsn};
    end(w, m, lsn);
}

static void delete_one(struct world *w)
{
    struct moment *m = begin(w);
    unsigned space = (unsigned)below(w, N_SPACES);
    unsigned id = (unsigned)below(w, N_IDS);
    uint64_t lsn = 0;

    if (m->state.slots[space][id].value == 0)
        return;
    CHECK_OK_ERR(mn_delete(w->store, name_of(space), id_of(id), NULL, NULL, &lsn, &w->err),
                 &w->err);
    m->state.slots[space][id] = (struct slot){0};
    end(w, m, lsn);
}

static void drop_one(struct world *w)
{
    struct moment *m = begin(w);
    unsigned space = (unsigned)below(w, N_SPACES);

    if (!m->state.exists[space])
        return;
    CHECK_OK_ERR(mn_namespace_drop(w->store, name_of(space), NULL, &w->err), &w->err);
    m->state.exists[space] = false;
    memset(m->state.slots[space], 0, sizeof m->state.slots[space]);
    end(w, m, current_lsn(w));
}

static void checkpoint(struct world *w)
{
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
    if (!w->archives)
        return;
    w->archived_lsn = newest(w)->lsn;
    w->has_unheard_past = false;
}

static void keep(struct world *w)
{
    struct mn_snapshot_options o = {.size = sizeof o, .incremental = one_in(w, 2)};
    struct mn_snapshot_info info = {.size = sizeof info};
    mn_snapshot *snapshot = NULL;

    if (w->n_kept == SNAPSHOTS_MAX)
        return;
    mn_status st = mn_snapshot_create(w->store, &o, &snapshot, &w->err);
    if (st == MN_NOT_FOUND && o.incremental) { /* against none */
        o.incremental = false;
        st = mn_snapshot_create(w->store, &o, &snapshot, &w->err);
    }
    CHECK_OK_ERR(st, &w->err);
    CHECK_OK(mn_snapshot_get_info(snapshot, &info, NULL));
    CHECK_EQ(info.lsn, newest(w)->lsn);
    struct kept *k = &w->kept[w->n_kept++];
    memcpy(k->id, info.id, sizeof info.id);
    k->moment = w->n_moments - 1;
    k->is_there = true;
    mn_snapshot_free(snapshot);
}

static mn_snapshots *pool_of(struct world *w, bool of_store)
{
    mn_snapshots *pool = NULL;

    CHECK_OK_ERR(of_store ? mni_api_snapshots_open_of(w->env, "/store", &pool, &w->err)
                          : mni_api_snapshots_open(w->env, "/pool", &pool, &w->err),
                 &w->err);
    return pool;
}

static struct kept *some_kept(struct world *w)
{
    struct kept *k = w->n_kept > 0 ? &w->kept[below(w, w->n_kept)] : NULL;

    return k != NULL && k->is_there ? k : NULL;
}

static void forget(struct world *w)
{
    struct kept *k = some_kept(w);

    if (k == NULL)
        return;
    mn_snapshots *pool = pool_of(w, true);
    CHECK_OK_ERR(mn_snapshot_delete(pool, k->id, NULL, &w->err), &w->err);
    mn_snapshots_close(pool);
    k->is_there = false;
}

static void try_some(struct world *w, unsigned n);

static void go_back(struct world *w)
{
    struct kept *k = some_kept(w);
    struct mn_restore_options o = {.size = sizeof o, .replace = "/store"};
    struct mn_restore_report report = {.size = sizeof report};

    if (k == NULL || w->never_goes_back)
        return;
    if (one_in(w, 2))
        close_store(w);
    mni_api_store_abandon(w->store);
    w->store = NULL;
    struct moment *m = begin(w);
    mn_snapshots *pool = pool_of(w, true);
    CHECK_OK_ERR(mn_snapshot_restore(pool, k->id, &o, &report, &w->err), &w->err);
    mn_snapshots_close(pool);
    m->parent = k->moment;
    m->is_restore = true;
    m->state = w->moments[k->moment].state;
    end(w, m, report.lsn);
    /* All there is of the past was kept. */
    w->has_unheard_past = !w->archives;
    if (w->archives)
        w->archived_lsn = report.lsn;
    if (one_in(w, 3))
        try_some(w, 2);
    open_store(w);
    if (one_in(w, 3))
        try_some(w, 2);
}

static void lose_power(struct world *w)
{
    mni_api_store_abandon(w->store);
    w->store = NULL;
    mni_crash_env_restart(w->crash, false, 0);
    open_store(w);
}

static void reopen(struct world *w)
{
    close_store(w);
    open_store(w);
}

/* Moments of the past ---------- */

/* The newest moment of the past at or below an LSN; `is_left_out` tells that this one was left. */
static const struct moment *at_lsn(struct world *w, uint64_t lsn, bool *is_left_out)
{
    size_t i = w->n_moments - 1;

    *is_left_out = false;
    while (w->moments[i].lsn > lsn) {
        const struct moment *m = &w->moments[i];
        i = m->parent;
        *is_left_out = m->is_restore && lsn > w->moments[i].lsn;
    }
    return &w->moments[i];
}

/* NULL: a commit may have been made before the time, or after. */
static const struct moment *at_time(struct world *w, int64_t time_us)
{
    size_t i = w->n_moments - 1;

    while (w->moments[i].after_us >= time_us && i > 0)
        i = w->moments[i].parent;
    return w->moments[i].before_us <= time_us ? &w->moments[i] : NULL;
}

static bool is_of_past(struct world *w, size_t moment)
{
    size_t i = w->n_moments - 1;

    while (i > moment)
        i = w->moments[i].parent;
    return i == moment;
}

/* Whether a snapshot of the past is from that LSN or before; the newest of them is `lsn_out`. */
static bool has_snapshot(struct world *w, uint64_t lsn, uint64_t *lsn_out)
{
    bool has = false;

    for (size_t i = 0; i < w->n_kept; i++) {
        const struct moment *m = &w->moments[w->kept[i].moment];
        if (!w->kept[i].is_there || m->lsn > lsn || !is_of_past(w, w->kept[i].moment))
            continue;
        *lsn_out = !has || m->lsn > *lsn_out ? m->lsn : *lsn_out;
        has = true;
    }
    return has;
}

static void compare_space(mn_store *store, unsigned space, const struct state *state)
{
    uint64_t n_expected = 0;
    uint64_t n = 0;

    for (unsigned i = 0; i < N_IDS; i++) {
        const struct slot *s = &state->slots[space][i];
        unsigned char payload[LENGTH_MAX];
        struct mn_view view;
        mn_status st = mn_get(store, name_of(space), id_of(i), &view, NULL);
        CHECK_STATUS(st, s->value != 0 ? MN_OK : MN_NOT_FOUND);
        if (st == MN_OK) {
            CHECK_EQ(view.lsn, s->lsn);
            CHECK_EQ(view.payload.n_bytes, payload_of(s->value, payload));
            CHECK_MEM_EQ(view.payload.data, payload, view.payload.n_bytes);
            n_expected++;
        }
        mn_view_release(&view);
    }
    mn_status st = mn_count(store, name_of(space), &n, NULL);
    CHECK_STATUS(st, state->exists[space] ? MN_OK : MN_NOT_FOUND);
    CHECK_EQ(n, n_expected);
}

static void compare(mn_store *store, const struct state *state)
{
    for (unsigned i = 0; i < N_SPACES; i++)
        compare_space(store, i, state);
}

/* What is restored is a store as any other. */
static void check_target(struct world *w, const char *path, const struct moment *m,
                         const struct mn_restore_report *report)
{
    struct mn_record record = {.id = mn_str("next")};
    mn_store *store = NULL;
    uint64_t lsn = 0;
    uint64_t n = 0;

    CHECK_OK_ERR(try_open(w, path, false, &store), &w->err);
    for (unsigned i = 0; i < N_SPACES; i++)
        for (unsigned j = 0; j < N_IDS; j++)
            n += m->state.slots[i][j].value != 0;
    CHECK_EQ(report->n_records, n);
    compare(store, &m->state);
    CHECK_OK_ERR(mn_config_set(store, "archive_dir", "", &w->err), &w->err);
    CHECK_OK_ERR(mn_put(store, mn_str("other"), &record, NULL, &lsn, &w->err), &w->err);
    CHECK_EQ(lsn, report->lsn + 1);
    CHECK_OK_ERR(mn_checkpoint(store, &w->err), &w->err);
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
    CHECK_OK_ERR(try_open(w, path, false, &store), &w->err);
    compare(store, &m->state);
    CHECK_OK_ERR(mn_close(store, &w->err), &w->err);
}

/* Returns what the restore did; MN_OK: the target is right. */
static mn_status restore_at(struct world *w, bool of_store, uint64_t lsn, int64_t time_us,
                            const struct moment *expected)
{
    struct mn_restore_report report = {.size = sizeof report};
    mn_snapshots *pool = pool_of(w, of_store);
    mn_store *store = NULL;
    char path[32];

    (void)snprintf(path, sizeof path, "/target%u", w->n_targets++);
    struct mn_restore_options o = {.size = sizeof o,
                                   .into = path,
                                   .at_lsn = lsn,
                                   .at_time_us = time_us,
                                   .archive = of_store ? NULL : "/archive"};
    mn_status st = mn_snapshot_restore(pool, NULL, &o, &report, &w->err);
    mn_snapshots_close(pool);
    if (st == MN_OK)
        check_target(w, path, expected, &report);
    else
        CHECK_STATUS(try_open(w, path, false, &store), MN_ERR_NO_STORE);
    return st;
}

static void try_lsn(struct world *w, bool of_store, uint64_t lsn)
{
    bool is_left_out = false;
    uint64_t snapshot_lsn = 0;

    if (lsn == 0) /* no moment */
        return;
    const struct moment *m = at_lsn(w, lsn, &is_left_out);
    bool has = has_snapshot(w, lsn, &snapshot_lsn);
    bool is_read = of_store && w->store == NULL; /* the store's own log is */
    bool is_there = is_read ? lsn <= newest(w)->lsn : lsn <= w->archived_lsn;
    mn_status st = restore_at(w, of_store, lsn, 0, m);

    if (st != MN_OK && st != MN_NOT_FOUND)
        CHECK(w->has_gap && st == MN_ERR_CORRUPT);
    if (is_left_out || !has || lsn > newest(w)->lsn)
        CHECK(st != MN_OK);
    else if (!w->has_gap && (is_there || lsn == snapshot_lsn))
        CHECK_OK_ERR(st, &w->err);
}

/* A later commit that was kept tells that nothing is missing. */
static bool has_later_commit(struct world *w, const struct moment *m)
{
    size_t i = w->n_moments - 1;

    for (; w->moments[i].lsn > m->lsn; i = w->moments[i].parent)
        if (!w->moments[i].is_restore && w->moments[i].lsn <= w->archived_lsn)
            return true;
    return false;
}

static void try_time(struct world *w, bool of_store, int64_t time_us)
{
    const struct moment *m = at_time(w, time_us);
    uint64_t snapshot_lsn = 0;

    if (m == NULL)
        return;
    bool has = has_snapshot(w, m->lsn, &snapshot_lsn);
    bool is_read = of_store && w->store == NULL;
    bool is_there = is_read || has_later_commit(w, m);
    mn_status st = restore_at(w, of_store, 0, time_us, m);

    if (st != MN_OK && st != MN_NOT_FOUND)
        CHECK(w->has_gap && st == MN_ERR_CORRUPT);
    if (has && !w->has_gap && is_there)
        CHECK_OK_ERR(st, &w->err);
}

/* In any state of the store: open, closed, gone. */
static void try_some(struct world *w, unsigned n)
{
    bool has_any = false;

    for (size_t i = 0; i < w->n_kept; i++)
        has_any = has_any || w->kept[i].is_there;
    if (!has_any || w->n_moments < 2)
        return;
    for (unsigned i = 0; i < n; i++) {
        bool of_store = one_in(w, 2);
        if (w->has_unheard_past && !of_store)
            continue;
        if (one_in(w, 3)) {
            int64_t first = w->moments[1].after_us;
            int64_t now = mni_env_wall_us(w->env);
            try_time(w, of_store, first + (int64_t)below(w, (uint64_t)(now - first)));
        } else if (one_in(w, 3)) {
            try_lsn(w, of_store, 1 + below(w, newest(w)->lsn + 2));
        } else {
            try_lsn(w, of_store, w->moments[below(w, w->n_moments)].lsn + one_in(w, 8));
        }
    }
}

static void one_step(struct world *w)
{
    uint64_t die = below(w, 100);

    if (die < 60)
        put(w);
    else if (die < 76)
        delete_one(w);
    else if (die < 80)
        drop_one(w);
    else if (die < 86)
        checkpoint(w);
    else if (die < 91)
        keep(w);
    else if (die < 93)
        forget(w);
    else if (die < 95)
        go_back(w);
    else if (die < 97)
        reopen(w);
    else if (die < 98)
        lose_power(w);
    else
        try_some(w, 1);
}

static void tell_history(struct world *w, unsigned n_steps, unsigned n_tries)
{
    for (unsigned i = 0; i < n_steps && w->n_moments < MOMENTS_MAX - 2; i++)
        one_step(w);
    compare(w->store, &newest(w)->state);
    try_some(w, n_tries);
    close_store(w);
    try_some(w, n_tries);
    open_store(w);
    compare(w->store, &newest(w)->state);
}

static void any_moment_of_the_past_comes_back(void)
{
    uint64_t seed = check_seed();

    for (unsigned i = 0; i < 12; i++) {
        struct world w;
        world_init(&w, check_random(&seed));
        tell_history(&w, i < 6 ? 60 : 300, 12);
        world_done(&w);
    }
}

/* What was not kept is never passed over. */
static void a_gap_is_no_answer(void)
{
    uint64_t seed = check_seed();

    for (unsigned i = 0; i < 8; i++) {
        struct world w;
        world_init(&w, check_random(&seed));
        for (unsigned part = 0; part < 5; part++) {
            tell_history(&w, 60, 6);
            set_archive(&w, part % 2 == 1);
        }
        world_done(&w);
    }
}

/* Damage ---------- */

enum { NAMES_MAX = 500 };

struct names {
    size_t n;
    char names[NAMES_MAX][MNI_NAME_BYTES_MAX];
};

static mn_status note_name(void *context, const char *name, bool is_dir, struct mn_error *error)
{
    struct names *names = context;

    (void)is_dir;
    (void)error;
    CHECK(names->n < NAMES_MAX);
    (void)snprintf(names->names[names->n++], MNI_NAME_BYTES_MAX, "%s", name);
    return MN_OK;
}

/* A bit of some file of the archive. */
struct place {
    char dir[MNI_NAME_BYTES_MAX];
    char name[MNI_NAME_BYTES_MAX];
    uint64_t offset;
    unsigned bit;
};

static void flip(struct world *w, const struct place *p)
{
    struct mni_dir *archive = NULL;
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;
    unsigned char byte = 0;
    size_t n_read = 0;

    CHECK_OK(mni_env_open_dir(w->env, "/archive", false, &archive, NULL));
    CHECK_OK(mni_dir_open_dir(archive, p->dir, false, &dir, NULL));
    CHECK_OK(mni_dir_open_file(dir, p->name, MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_read(file, p->offset, &byte, 1, &n_read, NULL));
    byte ^= (unsigned char)(1U << p->bit);
    CHECK_OK(mni_file_write(file, p->offset, &byte, 1, NULL));
    mni_file_close(file);
    mni_dir_close(dir);
    mni_dir_close(archive);
}

static const char *some_name(struct world *w, struct mni_dir *dir, struct names *names)
{
    names->n = 0;
    CHECK_OK(mni_dir_list(dir, note_name, names, NULL));
    return names->n > 0 ? names->names[below(w, names->n)] : NULL;
}

/* Where there are frames, mostly: at the beginning. */
static struct place some_place(struct world *w)
{
    struct names *names = calloc(1, sizeof *names);
    struct mni_dir *archive = NULL;
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;
    const char *name = NULL;
    uint64_t n_bytes = 0;
    struct place p = {.bit = (unsigned)below(w, 8)};

    CHECK(names != NULL);
    CHECK_OK(mni_env_open_dir(w->env, "/archive", false, &archive, NULL));
    while (name == NULL) {
        mni_dir_close(dir);
        (void)snprintf(p.dir, sizeof p.dir, "%s", some_name(w, archive, names));
        CHECK_OK(mni_dir_open_dir(archive, p.dir, false, &dir, NULL));
        name = some_name(w, dir, names);
    }
    (void)snprintf(p.name, sizeof p.name, "%s", name);
    CHECK_OK(mni_dir_open_file(dir, p.name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_size(file, &n_bytes, NULL));
    p.offset = below(w, n_bytes > 9000 && one_in(w, 2) ? 9000 : n_bytes);
    mni_file_close(file);
    mni_dir_close(dir);
    mni_dir_close(archive);
    free(names);
    return p;
}

/* Returns whether the damage was seen. */
static bool try_damaged(struct world *w)
{
    size_t i = w->n_moments - 1;
    uint64_t n_back = below(w, 60);
    uint64_t snapshot_lsn = 0;
    bool is_left_out = false;
    struct place place = some_place(w);

    for (; n_back > 0 && w->moments[i].parent > 0; n_back--)
        i = w->moments[i].parent;
    uint64_t lsn = w->moments[i].lsn;
    const struct moment *m = at_lsn(w, lsn, &is_left_out);
    bool by_time = one_in(w, 2);
    flip(w, &place);
    mn_status st = restore_at(w, one_in(w, 2), by_time ? 0 : lsn, by_time ? m->before_us : 0, m);
    flip(w, &place);
    CHECK(st == MN_OK || st == MN_NOT_FOUND || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
    CHECK(st != MN_OK || by_time || (!is_left_out && has_snapshot(w, lsn, &snapshot_lsn)));
    return st == MN_ERR_CORRUPT;
}

static void damage_is_no_other_past(void)
{
    uint64_t seed = check_seed();
    unsigned n_seen = 0;

    for (unsigned i = 0; i < 5; i++) {
        struct world w;
        world_init(&w, check_random(&seed));
        w.never_goes_back = i % 2 == 0;
        put(&w);
        keep(&w);
        tell_history(&w, 150, 0);
        checkpoint(&w);
        close_store(&w);
        for (unsigned j = 0; j < 150; j++)
            n_seen += try_damaged(&w);
        try_some(&w, 5); /* nothing was changed */
        world_done(&w);
    }
    CHECK(n_seen > 0);
}

/* What was restored goes on ---------- */

static void a_restored_store_has_a_past_of_its_own(void)
{
    struct mn_restore_options o = {
        .size = sizeof o, .into = "/target", .at_lsn = 3, .archive = "/archive"};
    struct mn_restore_report report = {.size = sizeof report};
    mn_snapshots *pool = NULL;
    struct world w;

    world_init(&w, check_seed());
    put(&w);
    keep(&w);
    for (int i = 0; i < 4; i++)
        put(&w);
    checkpoint(&w);
    close_store(&w);
    pool = pool_of(&w, true);
    CHECK_OK_ERR(mn_snapshot_restore(pool, NULL, &o, &report, &w.err), &w.err);
    CHECK_EQ(report.lsn, 3);
    mn_snapshots_close(pool);
    struct moment *m = begin(&w);
    m->parent = 3;
    m->state = w.moments[3].state;
    CHECK_OK_ERR(try_open(&w, "/target", false, &w.store), &w.err);
    set(&w, "archive_dir", "/archive");
    unsigned char payload[LENGTH_MAX];
    for (uint32_t i = 0; i < 6; i++) {
        uint64_t lsn = 0;
        struct mn_record record = {.id = id_of(i % N_IDS),
                                   .payload = {payload, payload_of(100 + i, payload)}};
        CHECK_OK_ERR(mn_put(w.store, name_of(0), &record, NULL, &lsn, &w.err), &w.err);
        CHECK_EQ(lsn, 4 + i);
        if (i == 0)
            CHECK_OK_ERR(mn_snapshot_create(w.store, NULL, NULL, &w.err), &w.err);
        if (i == 3)
            CHECK_OK_ERR(mn_checkpoint(w.store, &w.err), &w.err);
        m->state.exists[0] = true;
        if (i < 3)
            m->state.slots[0][i] = (struct slot){100 + i, lsn};
    }
    for (int is_open = 1; is_open >= 0; is_open--) {
        mn_store *store = NULL;
        if (!is_open)
            close_store(&w);
        o.into = is_open ? "/target1" : "/target2";
        o.at_lsn = 6;
        o.archive = NULL;
        CHECK_OK_ERR(mni_api_snapshots_open_of(w.env, "/target", &pool, &w.err), &w.err);
        CHECK_OK_ERR(mn_snapshot_restore(pool, NULL, &o, &report, &w.err), &w.err);
        mn_snapshots_close(pool);
        CHECK_EQ(report.lsn, 6);
        CHECK_OK_ERR(try_open(&w, o.into, false, &store), &w.err);
        compare(store, &m->state);
        CHECK_OK(mn_close(store, NULL));
    }
    world_done(&w);
}

/* Where things are kept is no part of what is restored ---------- */

static void check_setting(struct world *w, const char *key, const char *expected)
{
    char value[64];

    CHECK_OK_ERR(mn_config_get(w->store, key, value, sizeof value, &w->err), &w->err);
    CHECK_STR_EQ(value, expected);
}

static void a_store_that_goes_back_keeps_its_directories(void)
{
    struct mn_restore_options o = {.size = sizeof o, .replace = "/store"};
    mn_snapshots *pool = NULL;
    struct world w;

    world_init(&w, check_seed());
    set(&w, "sweep_interval_ms", "77");
    put(&w);
    keep(&w);
    set(&w, "sweep_interval_ms", "99");
    set(&w, "archive_dir", "/archive2");
    set(&w, "snapshot_dir", "/pool2");
    close_store(&w);
    CHECK_OK_ERR(mni_api_snapshots_open(w.env, "/pool", &pool, &w.err), &w.err);
    CHECK_OK_ERR(mn_snapshot_restore(pool, w.kept[0].id, &o, NULL, &w.err), &w.err);
    mn_snapshots_close(pool);
    open_store(&w);
    check_setting(&w, "archive_dir", "/archive2");
    check_setting(&w, "snapshot_dir", "/pool2");
    check_setting(&w, "sweep_interval_ms", "77");
    world_done(&w);
}

/* What is asked for ---------- */

static void a_moment_is_one_thing(void)
{
    struct mn_restore_options o = {.size = sizeof o, .into = "/target", .at_lsn = 1};
    struct world w;

    world_init(&w, check_seed());
    put(&w);
    keep(&w);
    close_store(&w);
    mn_snapshots *pool = pool_of(&w, true);
    CHECK_STATUS(mn_snapshot_restore(pool, w.kept[0].id, &o, NULL, &w.err), MN_ERR_INVALID);
    o.at_time_us = 1;
    CHECK_STATUS(mn_snapshot_restore(pool, NULL, &o, NULL, &w.err), MN_ERR_INVALID);
    o.at_lsn = 0; /* before there was anything */
    CHECK_STATUS(mn_snapshot_restore(pool, NULL, &o, NULL, &w.err), MN_NOT_FOUND);
    o.at_time_us = INT64_MAX;
    CHECK_STATUS(mn_snapshot_restore(pool, NULL, &o, NULL, &w.err), MN_ERR_INVALID);
    CHECK_STR_HAS(w.err.message, "yet to come");
    o = (struct mn_restore_options){.size = sizeof o, .replace = "/store", .at_lsn = 1};
    CHECK_STATUS(mn_snapshot_restore(pool, NULL, &o, NULL, &w.err), MN_ERR_INVALID);
    o = (struct mn_restore_options){
        .size = sizeof o, .into = "/target", .at_lsn = 1, .name = mn_str("a")};
    CHECK_STATUS(mn_snapshot_restore(pool, NULL, &o, NULL, &w.err), MN_ERR_INVALID);
    o = (struct mn_restore_options){
        .size = sizeof o, .into = "/target", .at_lsn = 1, .archive = "/nowhere"};
    CHECK_STATUS(mn_snapshot_restore(pool, NULL, &o, NULL, &w.err), MN_ERR_INVALID);
    mn_snapshots_close(pool);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_moment_of_the_past_comes_back),
        CHECK_TEST(a_gap_is_no_answer),
        CHECK_TEST(damage_is_no_other_past),
        CHECK_TEST(a_restored_store_has_a_past_of_its_own),
        CHECK_TEST(a_store_that_goes_back_keeps_its_directories),
        CHECK_TEST(a_moment_is_one_thing),
    };

    return check_run("engine.restore_at", tests, CHECK_COUNT(tests), argc, argv);
}
