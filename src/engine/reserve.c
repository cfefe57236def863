/*
 * reserve.c - disk space kept for a checkpoint of what is in no segment yet, and for opening.
 *
 * On a full disk its space lets one checkpoint through, and with it the log gives back its files.
 * Puts wait while it is lent, and are refused when there is no room to make it large enough: so
 * there never is much more to be written than it has room for, and deletes, reads and purge go on.
 * The background grows it; a put does so when the background is busy and it is far too small.
 * Opening, which writes the log's newest file anew, gets it too.
 *
 * Owns:    the file RESERVE, which holds nothing.
 * Format:  docs/format/store.md
 * Threads: any; `reserve_lock` guards the file. It is lent under `checkpoint_lock`.
 * Fails:   never: what could not be reserved is tried again.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "engine/engine_private.h"

enum {
    LEAST_BYTES = 256 << 10,   /* a segment, a manifest and a liveness file of nearly nothing */
    OPENING_BYTES = 512 << 10, /* a log file that holds nothing yet, made on a full disk */
    STEP_BYTES = 1 << 20,
    LARGE_STEP_BYTES = 8 << 20,
    SHRINK_FROM_BYTES = 8 << 20, /* less than so much too much is left alone */
    FAR_BYTES = 2 << 20,         /* of records; so much beyond, a put does not wait for others */
};

static const char reserve_name[] = "RESERVE";

/* What a checkpoint writes however little it is about: a liveness file that is written anew has a
 * bit for each row. */
static uint64_t least_bytes(struct mni_engine *engine)
{
    uint64_t n_rows = 0;

    engine_read_lock(engine);
    const struct part_set *set = engine->state->parts;
    for (size_t i = 0; i < set->n_parts; i++)
        n_rows += set->parts[i]->live.n_dead > 0 ? set->parts[i]->n_rows : 0;
    engine_unlock(engine);
    return LEAST_BYTES + n_rows / 8;
}

/* What a checkpoint of so many bytes of records writes. Small records have indexes half their
 * size. */
static uint64_t need_bytes(uint64_t n_unwritten, uint64_t least)
{
    return n_unwritten == 0 ? 0 : least + n_unwritten + n_unwritten / 2;
}

/* The other way around. */
static uint64_t enough_for(uint64_t n_bytes, uint64_t least)
{
    return n_bytes > least ? (n_bytes - least) / 3 * 2 : 0;
}

/* What opening writes before it gives anything back. Takes the leader's role. */
static uint64_t opening_bytes(struct mni_engine *engine)
{
    struct mni_wal_stats log;

    if (mni_engine_visible_lsn(engine) == 0)
        return 0;
    mni_wal_get_stats(engine->wal, &log);
    return OPENING_BYTES + log.current_file_bytes;
}

static mn_status open_reserve(struct mni_engine *engine, struct mni_file **file_out)
{
    mn_status st = mni_dir_open_file(engine->dir, reserve_name, MNI_OPEN_WRITE | MNI_OPEN_CREATE,
                                     file_out, NULL);

    if (st == MN_EXISTS)
        st = mni_dir_open_file(engine->dir, reserve_name, MNI_OPEN_WRITE, file_out, NULL);
    return st;
}

/* Makes the file as long as it has to be. It is no loss when a crash forgets it. */
static mn_status resize(struct mni_engine *engine, uint64_t need)
{
    struct mni_file *file = NULL;
    uint64_t n_bytes = 0;
    mn_status st = open_reserve(engine, &file);

    if (st == MN_OK)
        st = mni_file_size(file, &n_bytes, NULL);
    if (st == MN_OK && n_bytes < need) {
        st = mni_file_allocate(file, need, NULL);
        if (st != MN_OK)
            mni_ignore(mni_file_truncate(file, n_bytes, NULL));
        else
            n_bytes = need;
    } else if (st == MN_OK && n_bytes / 2 > need && n_bytes - need > SHRINK_FROM_BYTES) {
        uint64_t to = n_bytes / 2; /* the next checkpoint may need as much as the last one */
        st = mni_file_truncate(file, to, NULL);
        n_bytes = st == MN_OK ? to : n_bytes;
    }
    mni_file_close(file);
    engine->reserve_bytes = n_bytes;
    return st;
}

/* `reserve_lock` is held. */
static void keep(struct mni_engine *engine, uint64_t opening)
{
    atomic_store(&engine->reserve_is_outgrown, false); /* from here on it may be again */
    uint64_t least = least_bytes(engine);
    uint64_t need = need_bytes(atomic_load(&engine->unwritten_bytes), least);
    mn_status st = MN_OK;

    need = need > opening ? need : opening;
    if (need > engine->reserve_bytes || engine->reserve_bytes - need > SHRINK_FROM_BYTES)
        st = resize(engine,
                    mni_align_up(need, need < LARGE_STEP_BYTES ? STEP_BYTES : LARGE_STEP_BYTES));
    if (st == MN_ERR_NO_SPACE && engine->reserve_bytes < opening)
        mni_ignore(resize(engine, opening));
    /* Where nothing can be reserved the store goes on without. */
    bool is_short = st == MN_ERR_NO_SPACE;
    atomic_store(&engine->reserve_enough_for,
                 st != MN_OK ? UINT64_MAX : enough_for(engine->reserve_bytes, least));
    atomic_store(&engine->reserve_is_short, is_short);
}

void reserve_keep(struct mni_engine *engine)
{
    uint64_t opening = opening_bytes(engine);

    mni_mutex_lock(&engine->reserve_lock);
    if (!atomic_load(&engine->reserve_is_lent)) /* the space is not to be taken back yet */
        keep(engine, opening);
    mni_mutex_unlock(&engine->reserve_lock);
}

void reserve_keep_up(struct mni_engine *engine)
{
    if (atomic_load_explicit(&engine->reserve_is_outgrown, memory_order_relaxed))
        reserve_keep(engine);
}

bool reserve_remove(struct mni_dir *dir)
{
    if (mni_dir_unlink(dir, reserve_name, NULL) != MN_OK)
        return false;
    /* The file system may have to write that down before the space is free. */
    mni_ignore(mni_dir_sync(dir, NULL));
    return true;
}

bool reserve_give_up(void *engine)
{
    struct mni_engine *e = engine;

    if (!reserve_remove(e->dir))
        return false;
    e->reserve_bytes = 0;
    return true;
}

/* `reserve_lock` is held. */
static bool lend(struct mni_engine *engine)
{
    bool is_there = reserve_give_up(engine);

    engine->reserve_was_there = engine->reserve_was_there || is_there;
    return is_there;
}

bool reserve_make_room(struct mni_engine *engine)
{
    mni_mutex_lock(&engine->reserve_lock);
    bool has_more = lend(engine) || mni_wal_drop_spares(engine->wal, false) ||
                    mni_wal_drop_spares(engine->wal, true);
    if (has_more)
        atomic_store(&engine->reserve_is_lent, true);
    mni_mutex_unlock(&engine->reserve_lock);
    return has_more;
}

void reserve_restore(struct mni_engine *engine)
{
    uint64_t opening = opening_bytes(engine);

    mni_mutex_lock(&engine->reserve_lock);
    /* Without a background a reserve is not begun for the log's spares. */
    bool is_kept = atomic_load(&engine->has_jobs_thread) || engine->reserve_was_there;
    if ((atomic_load(&engine->reserve_is_lent) && is_kept) ||
        atomic_load(&engine->reserve_is_short))
        keep(engine, opening);
    engine->reserve_was_there = false;
    atomic_store(&engine->reserve_is_lent, false);
    mni_mutex_unlock(&engine->reserve_lock);
}

/* Whether far more is unwritten than the reserve is enough for: the background, which was told, is
 * busy with something that takes long. */
static bool is_left_behind(struct mni_engine *engine)
{
    uint64_t n = atomic_load_explicit(&engine->unwritten_bytes, memory_order_relaxed);
    uint64_t enough = atomic_load_explicit(&engine->reserve_enough_for, memory_order_relaxed);

    return n > enough && n - enough > FAR_BYTES && atomic_load(&engine->has_jobs_thread);
}

mn_status reserve_admit(struct mni_engine *engine, struct mn_error *err)
{
    if (atomic_load_explicit(&engine->reserve_is_lent, memory_order_relaxed)) {
        mni_mutex_lock(&engine->checkpoint_lock); /* until it is over */
        mni_mutex_unlock(&engine->checkpoint_lock);
    }
    if (is_left_behind(engine))
        reserve_keep(engine);
    if (!atomic_load_explicit(&engine->reserve_is_short, memory_order_relaxed))
        return MN_OK;
    return mni_fail(err, MN_ERR_NO_SPACE,
                    "the disk has no room for a checkpoint of more records; deletes go on");
}
