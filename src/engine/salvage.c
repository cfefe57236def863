/*
 * salvage.c - recovers what can be recovered of a damaged store into a new one.
 *
 * Nothing of the damaged store is changed. In this order:
 *
 *     manifest, segments, liveness   what can be opened
 *     catalogue                      from the segments' rows, then from the log
 *     records                        alive rows of segments, then the log's commits
 *
 * The log comes last and in the order of LSNs, so that for each key the newest one wins. Of a
 * store whose segments are whole it counts from the checkpoint on; else all of it, for what a
 * segment lost may be there still.
 *
 * Owns:    everything in struct salvage.
 * Threads: one.
 * Fails:   when the new store cannot be made or written, and with MN_ERR_NOMEM. What cannot be read
 *          is noted as damage.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/batch_private.h"
#include "engine/salvage_private.h"

enum {
    BATCH_OPS_MAX = 1000,
    BATCH_COLLECTIONS_MAX = 64,
    BATCH_BYTES_SOFT = 4 << 20, /* a batch that has so many is committed */
};

void salvage_damage(struct salvage *s, const char *file, const char *format, ...)
{
    char what[MN_ERROR_MESSAGE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    s->report->n_damages++;
    if (s->damage != NULL)
        s->damage(s->context, file, what);
}

void salvage_lost_rows(struct salvage *s, uint64_t n, uint64_t min_lsn)
{
    s->n_lost_rows += n;
    s->takes_whole_log = true;
    if (min_lsn < s->lost_min_lsn)
        s->lost_min_lsn = min_lsn;
}

/* The damaged store ---------- */

struct listing {
    bool has_parts_of_store;
    char other[MNI_NAME_BYTES_MAX]; /* anything, but for what file systems make */
};

static mn_status note_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct listing *l = context;

    (void)err;
    if (strcmp(name, "STORE") == 0 || (is_dir && strcmp(name, "wal") == 0) ||
        (is_dir && strcmp(name, "seg") == 0) || strncmp(name, "MANIFEST-", 9) == 0)
        l->has_parts_of_store = true;
    if (strcmp(name, "lost+found") != 0)
        (void)snprintf(l->other, sizeof l->other, "%s", name);
    return MN_OK;
}

static mn_status open_from(struct salvage *s, const char *path, struct mn_error *err)
{
    struct listing l = {0};
    mn_status st = mni_env_open_dir(s->env, path, false, &s->dir, err);

    if (st == MN_OK)
        st = mni_dir_lock(s->dir, MNI_LOCK_SHARED, err);
    if (st == MN_ERR_IN_USE)
        return mni_fail(err, st, "the store in %.300s is in use", path);
    if (st == MN_OK)
        st = mni_dir_list(s->dir, note_entry, &l, err);
    if (st == MN_NOT_FOUND || (st == MN_OK && !l.has_parts_of_store))
        return mni_fail(err, MN_ERR_NO_STORE, "there is no store in %.300s", path);
    return st;
}

static mn_status open_part_dir(struct salvage *s, const char *name, struct mni_dir **dir_out,
                               struct mn_error *err)
{
    struct mn_error why = {0};
    mn_status st = mni_dir_open_dir(s->dir, name, false, dir_out, &why);

    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", why.message);
    if (st != MN_OK)
        salvage_damage(s, name, "%s", st == MN_NOT_FOUND ? "it is missing" : why.message);
    return MN_OK;
}

static mn_status read_store_file(struct salvage *s, struct mn_error *err)
{
    struct mn_error why = {0};
    mn_status st = store_file_read(s->dir, &s->store, &why);

    s->has_store_file = st == MN_OK;
    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", why.message);
    if (st != MN_OK)
        salvage_damage(s, "STORE", "the settings are lost: %s",
                       st == MN_NOT_FOUND ? "it is missing" : why.message);
    return MN_OK;
}

static mn_status read_manifest(struct salvage *s, struct mn_error *err)
{
    const unsigned char *id = s->has_store_file ? s->store.store_id : NULL;
    struct mn_error why = {0};
    bool is_damaged = false;
    mn_status st = mni_manifest_load(s->dir, id, &s->manifest, &is_damaged, &why);

    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", why.message);
    if (st != MN_OK && st != MN_NOT_FOUND)
        salvage_damage(s, "MANIFEST",
                       "all segments that are there are read, and deleted or overwritten records "
                       "may come back: %s",
                       why.message);
    if (is_damaged)
        salvage_damage(s, "MANIFEST", "one of its two copies is damaged; nothing is lost");
    size_t n = s->manifest.n_timelines;
    s->began_lsn = n > 0 ? s->manifest.timelines[n - 1].began_lsn : 0;
    return MN_OK;
}

/* Without a manifest a store that had checkpoints has segments. */
static void note_missing_manifest(struct salvage *s)
{
    if (s->manifest.number == 0 && s->report->n_damages == 0 && s->n_sources > 0)
        salvage_damage(s, "MANIFEST", "it is missing; all segments that are there are read");
}

/* The new store ---------- */

/* It is made in a directory that is missing or empty. */
static mn_status check_to(struct salvage *s, const char *path, struct mn_error *err)
{
    struct listing l = {0};
    struct mni_dir *dir = NULL;
    mn_status st = mni_env_open_dir(s->env, path, false, &dir, err);

    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st == MN_OK)
        st = mni_dir_list(dir, note_entry, &l, err);
    mni_dir_close(dir);
    if (st == MN_OK && l.other[0] != '\0')
        st = mni_fail(err, MN_ERR_INVALID,
                      "%.300s is not empty: it holds \"%.60s\"; salvage makes a new store", path,
                      l.other);
    return st;
}

/* Texts are directories of the other store, and in use there. */
static mn_status copy_settings(struct salvage *s, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (int i = 0; s->has_store_file && i < N_SETTINGS && st == MN_OK; i++) {
        char value[SETTING_VALUE_BYTES];
        if (s->store.settings[i] == setting_default((enum setting)i))
            continue;
        setting_format((enum setting)i, s->store.settings[i], value);
        st = mni_engine_set(s->engine, mni_setting_key((size_t)i), value, err);
    }
    return st;
}

/* STORE has another name until everything is there, and is durable: what a salvage that was cut off
 * leaves does not open. */
static mn_status hide_to(struct salvage *s, struct mn_error *err)
{
    mn_status st = mni_dir_rename(s->engine->dir, "STORE", "STORE.new", err);

    return st == MN_OK ? mni_dir_sync(s->engine->dir, err) : st;
}

static mn_status show_to(struct salvage *s, const char *path, struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = mni_env_open_dir(s->env, path, false, &dir, err);

    if (st == MN_OK)
        st = mni_dir_rename(dir, "STORE.new", "STORE", err);
    if (st == MN_OK)
        st = mni_dir_sync(dir, err);
    mni_dir_close(dir);
    return st;
}

static mn_status make_to(struct salvage *s, const char *path, struct mn_error *err)
{
    const struct mn_options options = {
        .size = sizeof options,
        .create = true,
        .sync = MN_SYNC_MANUAL,
        .wal_file_bytes = s->has_store_file ? s->store.settings[SETTING_WAL_FILE_BYTES] : 0};
    mn_status st = mni_engine_open(s->env, path, &options, &s->engine, err);

    if (st == MN_OK)
        st = copy_settings(s, err);
    return st == MN_OK ? hide_to(s, err) : st;
}

static mn_status commit_batch(struct salvage *s, struct mn_error *err)
{
    struct mni_batch *batch = s->batch;

    s->batch = NULL;
    s->batch_bytes = 0;
    if (batch == NULL)
        return MN_OK;
    mn_status st = mni_batch_commit(batch, MN_ACK_NONE, NULL, err);
    mni_batch_free(batch);
    return st;
}

static mn_status name_in_batch(struct salvage *s, const struct salvage_name *name,
                               size_t *index_out, struct mn_error *err)
{
    mn_status st = MN_OK;

    if (s->batch == NULL && mni_batch_new(s->engine, NULL, &s->batch) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a batch");
    s->batch->is_salvage = true;
    if (name->key[0] == MNI_KIND_SPACE)
        return mni_batch_create_space(s->batch, mni_space_of_key(name->key + 1), name->dimension,
                                      (struct mn_slice){name->space_name, name->space_name_bytes},
                                      &name->settings, index_out, err);
    st = mni_batch_collection(s->batch, (enum mni_kind)name->key[0],
                              (struct mn_slice){name->key + 1, name->key_bytes - 1}, true,
                              index_out, err);
    if (st == MN_OK && name->dimension != 0)
        st = mni_batch_create(s->batch, *index_out, name->dimension, false, err);
    return st;
}

/* Adds what a row or a commit did to a record. */
static mn_status write_record(struct salvage *s, const struct mni_record *r, struct mn_error *err)
{
    const struct salvage_name *name = NULL;
    struct mn_error why = {0};
    size_t index = 0;
    mn_status st = salvage_name_of(s, r, &name, err);

    if (st == MN_OK && (name == NULL || name->is_history))
        return MN_OK; /* of a history: its LSNs would say nothing */
    if (st == MN_OK && name->is_left_out) {
        s->report->n_lost_records += r->type == MNI_RECORD_UPSERT;
        return MN_OK;
    }
    if (st == MN_OK && name->is_space && name->dimension == 0)
        return MN_OK; /* nothing of the space was found yet that this could change */
    if (st == MN_OK)
        st = name_in_batch(s, name, &index, err);
    /* A batch knows one operation per key: a patch would replace what it changes. */
    if (st == MN_OK && r->type == MNI_RECORD_PATCH &&
        mni_batch_find(s->batch, index, r->key) != NULL) {
        st = commit_batch(s, err);
        if (st == MN_OK)
            st = name_in_batch(s, name, &index, err);
    }
    if (st != MN_OK)
        return st;
    st = mni_batch_add(s->batch, index, r, MNI_ALWAYS, 0, NULL, &why);
    if (st == MN_ERR_DIMENSION) {
        s->report->n_lost_records++;
        salvage_damage(s, "a record", "it does not fit the others: %s", why.message);
        return MN_OK;
    }
    if (st != MN_OK)
        return mni_fail(err, st, "%s", why.message);
    s->batch_bytes += mni_record_encoded_bytes(r);
    return mni_batch_n_ops(s->batch) >= BATCH_OPS_MAX || s->batch_bytes >= BATCH_BYTES_SOFT ||
                   index >= BATCH_COLLECTIONS_MAX
               ? commit_batch(s, err)
               : MN_OK;
}

/* Collections that are known by name are made also when none of their records is left. */
static mn_status make_names(struct salvage *s, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t i = 0; i < NAME_CHAINS && st == MN_OK; i++) {
        for (struct salvage_name *n = s->by_number[i]; n != NULL && st == MN_OK;
             n = n->next_of_number) {
            size_t index;
            if (n->key_bytes == 0 || n->is_history)
                continue;
            st = name_in_batch(s, n, &index, err);
            if (st == MN_OK && index >= BATCH_COLLECTIONS_MAX)
                st = commit_batch(s, err);
        }
    }
    return st == MN_OK ? commit_batch(s, err) : st;
}

/* Deletes what came back, because its delete is lost, and is more than spaces keep of an entity. */
static mn_status trim_spaces(struct salvage *s, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t i = 0; i < NAME_CHAINS && st == MN_OK; i++)
        for (struct salvage_name *n = s->by_number[i]; n != NULL && st == MN_OK;
             n = n->next_of_number) {
            if (n->key_bytes == 0 || !n->is_space || n->settings.keep_points == 0)
                continue;
            st = mni_engine_sweep_space(s->engine, mni_space_of_key(n->key + 1), NULL, err);
            if (st == MN_NOT_FOUND)
                st = MN_OK; /* it was dropped */
        }
    return st;
}

/* Rows ---------- */

static void note_lsn(struct salvage *s, uint64_t lsn)
{
    if (lsn > s->report->last_lsn)
        s->report->last_lsn = lsn;
}

static mn_status see_name(struct salvage *s, const struct mni_record *r, uint64_t lsn, bool is_dead,
                          struct mn_error *err)
{
    struct mni_collection c;
    struct mn_error why = {0};
    mn_status st = engine_check_catalogue_record(r, lsn, NULL, &why);

    if (st == MN_OK && catalogue_is_collection(r->key))
        st = catalogue_row_decode(r, lsn, &c, &why);
    if (st != MN_OK) {
        s->is_catalogue_whole = false;
        salvage_damage(s, "the catalogue", "the row of LSN %" PRIu64 ": %s", lsn, why.message);
        return MN_OK;
    }
    return catalogue_is_collection(r->key) ? salvage_name_seen(s, r, &c, lsn, is_dead, err) : MN_OK;
}

static mn_status see_catalogue_row(struct salvage *s, size_t source_index, uint32_t row,
                                   const struct mni_segment_row *r, struct mn_error *err)
{
    bool is_dead = !mni_liveness_is_live_now(&s->sources[source_index].live, row);

    note_lsn(s, r->lsn);
    return see_name(s, &r->record, r->lsn, is_dead, err);
}

static mn_status write_row(struct salvage *s, size_t source_index, uint32_t row,
                           const struct mni_segment_row *r, struct mn_error *err)
{
    (void)row;
    note_lsn(s, r->lsn);
    if (!s->sources[source_index].is_live_known || s->manifest.number == 0)
        s->report->n_unsure_records++;
    return write_record(s, &r->record, err);
}

/* The log ---------- */

static mn_status see_operation(struct salvage *s, const struct mni_record *r, uint64_t lsn,
                               struct mn_error *err)
{
    if (r->collection != 0)
        return MN_OK;
    if (r->type == MNI_RECORD_UPSERT)
        return see_name(s, r, lsn, false, err);
    if (catalogue_is_collection(r->key) && r->type == MNI_RECORD_DELETE)
        salvage_name_dropped(s, r->key, lsn);
    return MN_OK;
}

static mn_status write_operation(struct salvage *s, const struct mni_record *r, uint64_t lsn,
                                 struct mn_error *err)
{
    uint64_t newest = 0;
    mn_status st = MN_OK;

    if (r->collection == 0 || !salvage_is_wanted(s, r->collection))
        return MN_OK;
    if (s->takes_whole_log)
        st = salvage_newest_lsn(s, r->collection, r->key, &newest, err);
    return st == MN_OK && newest < lsn ? write_record(s, r, err) : st;
}

static void note_absent(void *context, uint64_t first_lsn, uint64_t last_lsn)
{
    struct salvage *s = context;

    (void)first_lsn;
    if (last_lsn > s->absent_lsn)
        s->absent_lsn = last_lsn;
}

static uint64_t count_records(struct salvage *s)
{
    struct mn_stats stats = {.size = sizeof stats};

    mni_engine_get_stats(s->engine, &stats);
    return stats.n_records;
}

/* What was written until now is older than commits that are lost: those may have changed it. Rows
 * of segments can be changed by commits behind the checkpoint only. */
static void note_unsure(struct salvage *s)
{
    uint64_t n = count_records(s);
    uint64_t n_restored = n > s->n_record_rows ? n - s->n_record_rows : 0;

    if (s->manifest.number == 0 || s->absent_lsn > s->manifest.lsn)
        s->report->n_unsure_records = n;
    else if (s->absent_passed_lsn == 0)
        s->report->n_unsure_records += n_restored;
    s->absent_passed_lsn = s->absent_lsn;
}

/* Before the commit of `lsn` is written, or at the end, UINT64_MAX. */
static mn_status pass_lsn(struct salvage *s, uint64_t lsn, struct mn_error *err)
{
    bool is_end = lsn == UINT64_MAX;
    bool passes_checkpoint = !s->is_checkpoint_passed && (is_end || lsn > s->manifest.lsn);
    bool passes_absent = s->absent_lsn > s->absent_passed_lsn && (is_end || lsn > s->absent_lsn);

    if (!passes_checkpoint && !passes_absent)
        return MN_OK;
    mn_status st = commit_batch(s, err);
    if (st != MN_OK)
        return st;
    if (passes_absent)
        note_unsure(s);
    if (passes_checkpoint) {
        uint64_t n = count_records(s);
        s->n_restored = n > s->n_record_rows ? n - s->n_record_rows : 0;
        s->is_checkpoint_passed = true;
    }
    return MN_OK;
}

static mn_status take_commit(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct salvage *s = context;
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;

    if (entry->lsn <= s->began_lsn)
        return MN_OK;
    mn_status st = s->is_second_pass ? pass_lsn(s, entry->lsn, err) : MN_OK;
    note_lsn(s, entry->lsn);
    if (!s->takes_whole_log && entry->lsn <= s->manifest.lsn)
        return st;
    while (left > 0 && st == MN_OK) {
        struct mni_record r;
        struct mn_error why = {0};
        size_t used = 0;
        if (mni_record_decode(p, left, &r, &used, &why) != MN_OK) {
            if (!s->is_second_pass)
                salvage_damage(s, "wal", "the commit of LSN %" PRIu64 ": %s", entry->lsn,
                               why.message);
            note_absent(s, entry->lsn, entry->lsn);
            return MN_OK;
        }
        st = s->is_second_pass ? write_operation(s, &r, entry->lsn, err)
                               : see_operation(s, &r, entry->lsn, err);
        p += used;
        left -= used;
    }
    return st;
}

static void note_log_damage(void *context, const char *file, const char *what)
{
    struct salvage *s = context;

    s->n_log_damages[s->is_second_pass]++;
    /* Known from the first pass, unless reading fails only now. */
    if (!s->is_second_pass || s->n_log_damages[1] > s->n_log_damages[0])
        salvage_damage(s, file, "%s", what);
}

static mn_status read_log(struct salvage *s, bool is_second_pass, struct mn_error *err)
{
    const struct mni_wal_salvage log = {
        .dir = s->wal_dir,
        .store_id = s->has_store_file ? s->store.store_id : NULL,
        .have_lsn = s->manifest.lsn,
        .each = take_commit,
        .damage = note_log_damage,
        .absent = note_absent,
        .context = s,
    };

    s->is_second_pass = is_second_pass;
    if (s->wal_dir != NULL)
        return mni_wal_salvage(&log, err);
    note_absent(s, 1, UINT64_MAX);
    return MN_OK;
}

/* The run ---------- */

static mn_status read_catalogue(struct salvage *s, struct mn_error *err)
{
    mn_status st = salvage_catalogue_rows(s, see_catalogue_row, err);
    uint64_t n_before = s->report->n_damages;

    if (st == MN_OK)
        st = read_log(s, false, err);
    s->is_log_whole = s->wal_dir != NULL && s->report->n_damages == n_before;
    if (st == MN_OK)
        st = salvage_names_settle(s, err);
    return st;
}

static mn_status write_all(struct salvage *s, struct mn_error *err)
{
    mn_status st = make_names(s, err);

    if (st == MN_OK)
        st = salvage_record_rows(s, write_row, err);
    if (st == MN_OK)
        st = commit_batch(s, err);
    if (st != MN_OK)
        return st;
    s->n_record_rows = count_records(s);
    st = read_log(s, true, err);
    if (st == MN_OK)
        st = pass_lsn(s, UINT64_MAX, err);
    return st == MN_OK ? commit_batch(s, err) : st;
}

/* A row that is lost is in the log if all is there from its LSN on; else one is for each record
 * that came back though no segment has it. Of a namespace whose name is lost nothing tells whether
 * it was dropped. */
static void count_lost(struct salvage *s)
{
    struct mn_salvage_report *report = s->report;

    for (size_t i = 0; i < NAME_CHAINS; i++) {
        for (const struct salvage_name *n = s->by_number[i]; n != NULL; n = n->next_of_number) {
            uint64_t n_records = 0;
            if (n->is_lost && mni_engine_count(s->engine, (enum mni_kind)n->key[0],
                                               (struct mn_slice){n->key + 1, n->key_bytes - 1},
                                               &n_records, NULL) == MN_OK)
                report->n_unsure_records += n_records;
        }
    }
    if (s->lost_min_lsn <= s->absent_lsn && s->n_lost_rows > s->n_restored)
        report->n_lost_records += s->n_lost_rows - s->n_restored;
    if (report->n_unsure_records > report->n_records)
        report->n_unsure_records = report->n_records;
}

static mn_status finish(struct salvage *s, const char *to, struct mn_error *err)
{
    struct mn_stats stats = {.size = sizeof stats};

    mni_engine_get_stats(s->engine, &stats);
    s->report->n_namespaces = stats.n_namespaces;
    s->report->n_records = stats.n_records;
    count_lost(s);
    mn_status st = trim_spaces(s, err);
    if (st == MN_OK) {
        s->report->n_records = count_records(s);
        st = mni_wal_flush(mni_engine_wal(s->engine), err);
    }
    if (st != MN_OK)
        return st;
    st = mni_engine_close(s->engine, err);
    if (st != MN_ERR_BUSY && st != MN_ERR_FORKED)
        s->engine = NULL;
    return st == MN_OK ? show_to(s, to, err) : st;
}

static void done(struct salvage *s)
{
    mni_batch_free(s->batch);
    mni_engine_abandon(s->engine);
    salvage_names_free(s);
    salvage_close_sources(s);
    mni_manifest_done(&s->manifest);
    mni_dir_close(s->seg_dir);
    mni_dir_close(s->wal_dir);
    mni_dir_close(s->dir);
    mni_free(s);
}

mn_status mni_engine_salvage(struct mni_env *env, const char *from, const char *to,
                             mni_salvage_damage_fn *damage, void *context,
                             struct mn_salvage_report *report_out, struct mn_error *err)
{
    struct salvage *s = mni_alloc_zero(sizeof *s);

    if (s == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "salvage");
    s->env = env;
    s->damage = damage;
    s->context = context;
    s->report = report_out;
    s->lost_min_lsn = UINT64_MAX;
    mn_status st = open_from(s, from, err);
    if (st == MN_OK)
        st = check_to(s, to, err);
    if (st == MN_OK)
        st = salvage_names_new(s, err);
    if (st == MN_OK)
        st = read_store_file(s, err);
    if (st == MN_OK)
        st = read_manifest(s, err);
    if (st == MN_OK)
        st = open_part_dir(s, "seg", &s->seg_dir, err);
    if (st == MN_OK)
        st = open_part_dir(s, "wal", &s->wal_dir, err);
    if (st == MN_OK)
        st = salvage_open_sources(s, err);
    if (st == MN_OK)
        note_missing_manifest(s);
    if (st == MN_OK)
        st = read_catalogue(s, err);
    if (st == MN_OK)
        st = make_to(s, to, err);
    if (st == MN_OK)
        st = write_all(s, err);
    if (st == MN_OK)
        st = finish(s, to, err);
    done(s);
    return st;
}
