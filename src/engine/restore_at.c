/*
 * restore_at.c - makes a new store as one was at a moment: a snapshot, and the log from there.
 *
 *     plan     which timelines lead to the moment, and the newest snapshot on that way
 *     make     a store of the snapshot, under the mark (restore_into.c)
 *     replay   what was logged after it: from the archive, then from the store's own log; in
 *              rounds, each of them a checkpoint, so that memory is bounded
 *     unmark   it is a store
 *
 * A moment that a restore left behind is no part of the store's past. By LSN it is refused. By time
 * the state is meant that the restore went back to, until the first commit after it.
 *
 * Owns:    the target while it is made, what it reads of the store and its archive.
 * Format:  docs/format/archive.md
 * Threads: one per target.
 * Fails:   MN_NOT_FOUND where no snapshot or not enough of the log was kept; nothing is left then,
 *          as far as that can be.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/archive_private.h"
#include "engine/restore_private.h"

enum { LOAD_TRIES = 10, TIME_BYTES = 64 };

struct at {
    struct restore *restore;
    unsigned char store_id[MNI_STORE_ID_BYTES];
    bool has_store_id;
    struct mni_dir
        *store_dir;          /* owned: the store, locked for reading; NULL: it is gone or in use */
    struct mni_dir *archive; /* owned; NULL: there is none */
    struct mni_timeline *timelines; /* owned; that lead to the newest state, oldest first */
    size_t n_timelines;
    size_t timeline;   /* that is replayed */
    uint64_t stop_lsn; /* in it */
    uint64_t lsn;      /* reached */
    int64_t time_us;   /* of that commit */
    bool is_stopped;   /* a commit was seen that lies beyond */
    bool is_full;      /* this round has read enough */
};

static const struct mni_restore_request *request_of(const struct at *at)
{
    return at->restore->request;
}

/* Where to look ---------- */

static mn_status set_timelines(struct at *at, const struct mni_timeline *timelines, size_t n,
                               struct mn_error *err)
{
    struct mni_timeline *copy = mni_alloc_array(n, sizeof *copy);

    if (copy == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a history");
    memcpy(copy, timelines, n * sizeof *copy);
    mni_free(at->timelines);
    at->timelines = copy;
    at->n_timelines = n;
    return MN_OK;
}

/* Of a store that somebody has open: a manifest goes only when there is a newer one. */
static mn_status load_beside_writer(struct at *at, struct mni_manifest *manifest_out,
                                    bool *is_damaged_out, struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = mni_env_open_dir(at->restore->env, request_of(at)->of, false, &dir, err);
    mn_status load_st = MN_ERR_IO;

    if (st != MN_OK)
        return st;
    for (int i = 0; i < LOAD_TRIES && load_st != MN_OK && load_st != MN_ERR_NOMEM; i++)
        load_st = mni_manifest_load(dir, at->store_id, manifest_out, is_damaged_out, err);
    mni_dir_close(dir);
    return load_st;
}

/* The store itself says best which way led to it. */
static mn_status ask_manifest(struct at *at, struct mn_error *err)
{
    struct mni_manifest m = {0};
    struct mn_error why = {0};
    bool is_damaged = false;
    mn_status st = at->store_dir != NULL
                       ? mni_manifest_load(at->store_dir, at->store_id, &m, &is_damaged, &why)
                       : load_beside_writer(at, &m, &is_damaged, &why);

    if (st == MN_OK && m.n_timelines > 0)
        st = set_timelines(at, m.timelines, m.n_timelines, err);
    else if (st == MN_OK)
        st = set_timelines(at, &(struct mni_timeline){.incarnation = m.incarnation}, 1, err);
    else if (st == MN_NOT_FOUND || st == MN_ERR_CORRUPT)
        st = MN_OK; /* archive and snapshots tell */
    else
        st = mni_fail(err, st, "%s", why.message);
    mni_manifest_done(&m);
    return st;
}

static mn_status ask_store(struct at *at, char *archive_path, struct mn_error *err)
{
    struct mni_restore_request const *r = request_of(at);
    struct store_file store = {0};
    struct mn_error why = {0};
    bool is_new = false;

    if (r->of == NULL)
        return MN_OK;
    mn_status st = engine_open_dir(at->restore->env, r->of, false, true, &at->store_dir, &store,
                                   &is_new, &why);
    if (st == MN_ERR_IN_USE)
        st = store_file_of(at->restore->env, r->of, &store, err);
    else if (st != MN_OK)
        return mni_fail(err, st, "%s", why.message);
    if (st != MN_OK)
        return st;
    memcpy(at->store_id, store.store_id, sizeof at->store_id);
    at->has_store_id = true;
    if (archive_path[0] == '\0')
        memcpy(archive_path, store.texts[TEXT_ARCHIVE_DIR], sizeof store.texts[TEXT_ARCHIVE_DIR]);
    return ask_manifest(at, err);
}

static mn_status open_archive(struct at *at, struct mn_error *err)
{
    char path[MNI_PATH_BYTES_MAX] = {0};
    const char *asked = request_of(at)->archive;

    if (asked != NULL && strlen(asked) >= sizeof path)
        return mni_fail(err, MN_ERR_LIMIT, "a path of %zu bytes", strlen(asked));
    if (asked != NULL)
        memcpy(path, asked, strlen(asked) + 1);
    mn_status st = ask_store(at, path, err);
    if (st != MN_OK || path[0] == '\0')
        return st;
    st = mni_env_open_dir(at->restore->env, path, false, &at->archive, err);
    if (st == MN_NOT_FOUND && asked != NULL)
        return mni_fail(err, MN_ERR_INVALID, "there is no directory %.300s", path);
    return st == MN_NOT_FOUND ? MN_OK : st; /* nothing was kept yet */
}

/* The newest snapshots and what was kept of the log say it where the store cannot. */
static mn_status take_newer(struct at *at, const struct mni_timeline *timelines, size_t n,
                            struct mn_error *err)
{
    bool is_newer = at->n_timelines == 0 ||
                    timelines[n - 1].began_lsn > at->timelines[at->n_timelines - 1].began_lsn;

    return is_newer ? set_timelines(at, timelines, n, err) : MN_OK;
}

static bool is_of_store(const struct at *at, const struct mni_snapshot *s)
{
    return memcmp(s->manifest.store_id, at->store_id, sizeof at->store_id) == 0;
}

/* Called with each snapshot that can be read, newest first. */
typedef mn_status each_snapshot_fn(struct at *at, const struct mni_snapshot_id *id,
                                   const struct mni_snapshot *snapshot, struct mn_error *err);

static mn_status each_snapshot(struct at *at, each_snapshot_fn *each, struct mn_error *err)
{
    struct mni_pool_dir *pool = request_of(at)->pool;
    struct mni_snapshot_id *ids = NULL;
    size_t n = 0;
    mn_status st = mni_pool_list(pool, &ids, &n, err);

    for (size_t i = 0; i < n && st == MN_OK; i++) {
        struct mni_snapshot s = {0};
        st = mni_pool_load(pool, &ids[i], &s, err);
        if (st == MN_OK)
            st = each(at, &ids[i], &s, err);
        else if (st == MN_NOT_FOUND || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED)
            st = MN_OK;
        mni_snapshot_done(&s);
    }
    mni_free(ids);
    return st == MN_END ? MN_OK : st;
}

static mn_status ask_snapshot(struct at *at, const struct mni_snapshot_id *id,
                              const struct mni_snapshot *s, struct mn_error *err)
{
    (void)id;
    if (!at->has_store_id)
        memcpy(at->store_id, s->manifest.store_id, sizeof at->store_id);
    else if (request_of(at)->of == NULL && !is_of_store(at, s))
        return mni_fail(err, MN_ERR_INVALID,
                        "there are snapshots of several stores; which one is meant?");
    at->has_store_id = true;
    return is_of_store(at, s) ? take_newer(at, s->timelines, s->n_timelines, err) : MN_OK;
}

static mn_status find_history(struct at *at, struct mn_error *err)
{
    struct mni_manifest newest = {0};
    bool is_told = at->n_timelines > 0;
    mn_status st = each_snapshot(at, ask_snapshot, err);

    if (st == MN_OK && !is_told && at->archive != NULL && at->has_store_id)
        st = archive_newest_history(at->archive, at->store_id, &newest, err);
    if (st == MN_OK && newest.n_timelines > 0)
        st = take_newer(at, newest.timelines, newest.n_timelines, err);
    mni_manifest_done(&newest);
    return st;
}

/* Which snapshot ---------- */

/* What belongs to the way: LSNs of this timeline up to this one. */
static uint64_t last_lsn_of(const struct at *at, size_t timeline)
{
    return timeline + 1 < at->n_timelines ? at->timelines[timeline + 1].from_lsn : UINT64_MAX;
}

static bool is_on_the_way(const struct at *at, const struct mni_snapshot *s)
{
    if (s->n_timelines > at->n_timelines)
        return false;
    for (size_t i = 0; i < s->n_timelines; i++)
        if (s->timelines[i].incarnation != at->timelines[i].incarnation)
            return false;
    return MNI_PLANTED("restore_at_any_timeline") ||
           s->manifest.lsn <= last_lsn_of(at, s->n_timelines - 1);
}

static bool is_before(const struct at *at, const struct mni_snapshot *s)
{
    const struct mni_restore_request *r = request_of(at);

    return r->at_lsn != 0 ? s->manifest.lsn <= r->at_lsn : s->manifest.time_us <= r->at_time_us;
}

static mn_status choose(struct at *at, const struct mni_snapshot_id *id,
                        const struct mni_snapshot *s, struct mn_error *err)
{
    (void)err;
    if (!is_of_store(at, s) || (s->flags & MNI_SNAPSHOT_WITHOUT_METADATA) != 0 ||
        !is_before(at, s) || !is_on_the_way(at, s))
        return MN_OK;
    at->restore->id = *id;
    at->timeline = s->n_timelines - 1;
    return MN_END;
}

/* An LSN that a restore left. */
static mn_status check_lsn(const struct at *at, struct mn_error *err)
{
    uint64_t lsn = request_of(at)->at_lsn;

    for (size_t i = 1; i < at->n_timelines; i++)
        if (lsn > at->timelines[i].from_lsn && lsn < at->timelines[i].began_lsn)
            return mni_fail(err, MN_NOT_FOUND,
                            "LSN %" PRIu64 " was left behind by a restore to LSN %" PRIu64
                            ", from where the store went on at LSN %" PRIu64,
                            lsn, at->timelines[i].from_lsn, at->timelines[i].began_lsn);
    return MN_OK;
}

static mn_status plan(struct at *at, struct mn_error *err)
{
    const struct mni_restore_request *r = request_of(at);
    mn_status st = open_archive(at, err);

    if (st == MN_OK && r->at_lsn == 0 && r->at_time_us > mni_env_wall_us(at->restore->env))
        st = mni_fail(err, MN_ERR_INVALID, "that time is yet to come");
    if (st == MN_OK)
        st = find_history(at, err);
    if (st == MN_OK && r->at_lsn != 0 && !MNI_PLANTED("restore_at_any_timeline"))
        st = check_lsn(at, err);
    if (st == MN_OK)
        st = each_snapshot(at, choose, err);
    if (st == MN_OK && mni_snapshot_id_is_zero(&at->restore->id))
        st = mni_fail(err, MN_NOT_FOUND, "there is no snapshot from that moment or before");
    return st;
}

/* Replaying ---------- */

static mn_status replay_entry(void *context, const struct mni_wal_entry *entry,
                              struct mn_error *err)
{
    struct feed *feed = context;
    struct at *at = feed->context;
    const struct mni_progress *progress = &request_of(at)->progress;
    struct mni_engine *engine = feed->engine;

    if (entry->lsn <= at->lsn)
        return MN_OK;
    /* Some of it is read again in the next round. */
    at->is_full = atomic_load(&engine->unwritten_bytes) >= atomic_load(&engine->checkpoint_bytes);
    if (at->is_full)
        return MN_END;
    mn_status st = engine_replay(engine, entry, err);
    if (st != MN_OK)
        return st;
    at->lsn = entry->lsn;
    at->time_us = entry->time_us;
    /* All files were read already; now it is the log. */
    uint64_t n = at->restore->snapshot.n_bytes;
    return progress->each == NULL ? MN_OK : progress->each(progress->context, n, n, err);
}

/* One directory of log files. It is closed. */
static mn_status replay_dir(struct feed *feed, struct mni_dir *dir, struct mn_error *err)
{
    struct at *at = feed->context;
    struct mni_wal_stats stats;
    struct mni_wal *wal = NULL;
    struct mni_wal_config config = {
        .env = at->restore->env,
        .dir = dir,
        .is_archive = true,
        .no_background = true,
        .recovery = MN_RECOVERY_POINT_IN_TIME,
        .stop_lsn = at->stop_lsn != UINT64_MAX ? at->stop_lsn : 0,
        .stop_time_us = request_of(at)->at_lsn == 0 ? request_of(at)->at_time_us : 0,
        .checkpoint_lsn = at->lsn,
        .replay = replay_entry,
        .replay_context = feed,
    };

    memcpy(config.store_id, at->store_id, sizeof config.store_id);
    mn_status st = mni_wal_open(&config, &wal, err);
    if (st != MN_OK) {
        mni_dir_close(dir);
        return st == MN_END && at->is_full ? MN_OK : st;
    }
    mni_wal_get_stats(wal, &stats);
    at->is_stopped = stats.is_stopped;
    mni_wal_abandon(wal);
    return MN_OK;
}

static bool is_done(const struct at *at)
{
    return at->is_full || at->is_stopped || at->lsn == at->stop_lsn;
}

/* The new store's timeline begins where it was replayed to. */
static mn_status add_history(struct feed *feed, struct mni_manifest *manifest)
{
    const struct at *at = feed->context;
    const struct mni_manifest *before = &feed->engine->manifest;
    size_t n = at->timeline + 1;
    struct mni_timeline *way = mni_alloc_array(n + 1, sizeof *way);

    if (way == NULL)
        return MN_ERR_NOMEM;
    memcpy(way, at->timelines, n * sizeof *way);
    way[n] = before->timelines[before->n_timelines - 1];
    way[n].began_lsn = at->lsn;
    way[n].from_lsn = at->lsn;
    mn_status st = mni_manifest_set_timelines(manifest, way, n + 1);
    mni_free(way);
    return st;
}

/* What was logged in the timeline, as far as a round goes. */
static mn_status replay(struct feed *feed, struct mn_error *err)
{
    struct at *at = feed->context;
    bool is_newest = at->timeline + 1 == at->n_timelines;
    struct mni_dir *dir = NULL;
    mn_status st = MN_NOT_FOUND;

    at->is_full = false;
    at->is_stopped = false;
    if (at->archive != NULL)
        st = archive_open_timeline(at->archive, at->store_id,
                                   at->timelines[at->timeline].incarnation, &dir, err);
    if (st == MN_OK) {
        st = replay_dir(feed, dir, err);
        if (st != MN_OK && st != MN_NOT_FOUND)
            mni_error_prefix(err, "the archive");
    }
    if (st == MN_NOT_FOUND)
        st = MN_OK;
    if (st == MN_OK && !is_done(at) && is_newest && at->store_dir != NULL) {
        st = mni_dir_open_dir(at->store_dir, "wal", false, &dir, err);
        if (st == MN_OK)
            st = replay_dir(feed, dir, err);
        if (st == MN_NOT_FOUND)
            st = mni_fail(err, MN_ERR_CORRUPT, "all log files of the store are missing");
    }
    feed->lsn = at->lsn;
    feed->time_us = at->time_us;
    return st;
}

static mn_status end_round(struct at *at, struct mni_engine *engine, struct mn_error *err)
{
    struct mn_stats stats = {.size = sizeof stats};
    mn_status st = mni_engine_checkpoint(engine, err);

    if (st == MN_OK)
        st = mni_engine_lapse(engine, err);
    if (st != MN_OK)
        return st;
    mni_engine_get_stats(engine, &stats);
    at->restore->report->n_namespaces = stats.n_namespaces;
    at->restore->report->n_records = stats.n_records;
    at->restore->report->lsn = at->lsn;
    return MN_OK;
}

/* Opens the store that is made, as far as it is, and goes on with it. */
static mn_status run_round(struct at *at, struct mn_error *err)
{
    const struct mn_options options = {
        .size = sizeof options, .no_background = true, .sync = MN_SYNC_MANUAL};
    struct feed feed = {.run = replay, .add_history = add_history, .context = at};
    struct mni_engine *engine = NULL;
    mn_status st =
        engine_open_marked(at->restore->env, request_of(at)->path, &options, &feed, &engine, err);

    if (st != MN_OK)
        return st;
    st = end_round(at, engine, err);
    if (st == MN_OK)
        st = mni_engine_close(engine, err);
    else
        mni_engine_abandon(engine);
    return st;
}

/* As --at-time takes it. The date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms",
 * civil_from_days, for days since 1970. */
static const char *time_text(int64_t us, char text[TIME_BYTES])
{
    const int64_t day_us = INT64_C(86400000000);
    uint64_t in_day = (uint64_t)(us % day_us);
    uint64_t z = (uint64_t)(us / day_us) + 719468;
    uint64_t era_day = z % 146097;
    uint64_t era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    uint64_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    uint64_t m = (5 * year_day + 2) / 153; /* March is 0 */
    uint64_t day = year_day - (153 * m + 2) / 5 + 1;
    uint64_t month = m < 10 ? m + 3 : m - 9;
    uint64_t year = z / 146097 * 400 + era_year + (month <= 2);

    if (us < 0)
        (void)snprintf(text, TIME_BYTES, "%" PRId64 " us", us);
    else
        (void)snprintf(text, TIME_BYTES,
                       "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64
                       ":%02" PRIu64 ".%06" PRIu64 "Z",
                       year, month, day, in_day / 3600000000, in_day / 60000000 % 60,
                       in_day / 1000000 % 60, in_day % 1000000);
    return text;
}

/* Whether the moment was reached, or the end of the timeline. */
static mn_status check_reached(const struct at *at, bool is_last, struct mn_error *err)
{
    const struct mni_restore_request *r = request_of(at);
    bool is_all_read = is_last && at->store_dir != NULL && r->at_lsn == 0;

    if (at->lsn == at->stop_lsn || is_all_read || (at->is_stopped && (is_last || r->at_lsn == 0)))
        return MN_OK;
    if (!is_last)
        return mni_fail(err, MN_NOT_FOUND,
                        "the log that was kept has nothing of LSNs %" PRIu64 " to %" PRIu64,
                        at->lsn + 1, at->stop_lsn);
    char time[TIME_BYTES];
    return mni_fail(
        err, MN_NOT_FOUND, "the log that %s ends before that, with LSN %" PRIu64 " of %s%s",
        at->store_dir != NULL ? "is there" : "was kept", at->lsn, time_text(at->time_us, time),
        r->of != NULL && at->store_dir == NULL
            ? "; the store is in use, so that its own log cannot be read"
            : "");
}

static mn_status run(struct at *at, struct mn_error *err)
{
    const struct mni_restore_request *r = request_of(at);
    bool is_over = false;
    mn_status st = MN_OK;

    at->lsn = at->restore->snapshot.manifest.lsn;
    at->time_us = at->restore->snapshot.manifest.time_us;
    for (; st == MN_OK && !is_over; at->timeline++) {
        uint64_t last = last_lsn_of(at, at->timeline);
        bool is_last = at->timeline + 1 == at->n_timelines || (r->at_lsn != 0 && r->at_lsn <= last);
        at->stop_lsn = r->at_lsn != 0 && r->at_lsn < last ? r->at_lsn : last;
        at->is_stopped = false;
        do
            st = at->lsn < at->stop_lsn ? run_round(at, err) : MN_OK;
        while (st == MN_OK && at->lsn < at->stop_lsn && at->is_full);
        if (st == MN_OK)
            st = check_reached(at, is_last, err);
        is_over = is_last || at->lsn < at->stop_lsn;
        if (st == MN_OK && !is_over) {
            /* The LSN that a timeline began at is the state that it began from. */
            at->lsn = at->timelines[at->timeline + 1].began_lsn;
            is_over = r->at_lsn == at->lsn;
        }
    }
    return st;
}

mn_status restore_choose_at(struct restore *restore, struct at **at_out, struct mn_error *err)
{
    struct at *at = mni_alloc_zero(sizeof *at);

    if (at == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "restoring");
    at->restore = restore;
    *at_out = at;
    return plan(at, err);
}

mn_status restore_at(struct restore *restore, struct at *at, struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = restore_open_into(restore, true, &dir, err);

    if (st != MN_OK)
        return st;
    st = restore_make(restore, dir, err);
    mni_dir_close(dir); /* the engine locks it */
    if (st == MN_OK)
        st = run(at, err);
    return restore_end_into(restore, st, err);
}

void restore_at_done(struct at *at)
{
    if (at == NULL)
        return;
    mni_free(at->timelines);
    mni_dir_close(at->archive);
    mni_dir_close(at->store_dir);
    mni_free(at);
}
