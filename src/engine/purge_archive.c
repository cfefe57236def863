/*
 * purge_archive.c - which files of the archived log still hold what was erased from the store.
 *
 * All files that were kept of the store are read, those of pasts that a restore left too.
 *
 * Owns:    the list that the receipt takes over.
 * Threads: any.
 * Fails:   MN_ERR_NOMEM; where the archive cannot be listed. A file that cannot be read is no
 *          failure: what may hold copies counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "engine/archive_private.h"
#include "engine/job_private.h"

struct search {
    const struct erased *e;
    struct mn_slice *keys; /* owned: in order; NULL: the whole collection */
    struct mni_buf live;   /* owned: u64 each, ascending: of other collections that there are now */
    struct mni_buf others; /* owned: the same, and those that others had in this timeline */
    struct mni_buf numbers; /* owned: u64 each, that the collection has or had in this timeline */
    struct mni_buf names;   /* owned: MN_ARCHIVED_LOG_BYTES each */
    const char *timeline;   /* borrowed: name of its directory */
    bool is_found;          /* in the file that is read */
    mn_status status;
};

/* Numbers ---------- */

static const uint64_t *numbers_in(const struct mni_buf *buf, size_t *n_out)
{
    *n_out = buf->n_bytes / sizeof(uint64_t);
    return (const uint64_t *)(const void *)buf->data;
}

static bool contains(const struct mni_buf *buf, uint64_t number)
{
    size_t n;
    const uint64_t *numbers = numbers_in(buf, &n);

    return mni_contains_u64(numbers, n, number);
}

/* Mostly behind all others: numbers are given out in order. */
static mn_status add(struct mni_buf *buf, uint64_t number)
{
    if (number == 0 || contains(buf, number))
        return MN_OK;
    mn_status st = mni_buf_append(buf, &number, sizeof number);
    if (st != MN_OK)
        return st;
    uint64_t *numbers = (uint64_t *)(void *)buf->data;
    size_t i = buf->n_bytes / sizeof number - 1;
    for (; i > 0 && numbers[i - 1] > number; i--)
        numbers[i] = numbers[i - 1];
    numbers[i] = number;
    return MN_OK;
}

static bool is_same(struct mn_slice a, struct mn_slice b)
{
    return a.n_bytes == b.n_bytes && memcmp(a.data, b.data, a.n_bytes) == 0;
}

/* A row says under which number a name goes from here on. */
static mn_status take_row(struct search *s, const struct mni_record *r, uint64_t lsn)
{
    struct mni_collection c;

    if (r->type != MNI_RECORD_UPSERT || !catalogue_is_collection(r->key) ||
        catalogue_row_decode(r, lsn, &c, NULL) != MN_OK)
        return MN_OK;
    return add(is_same(r->key, s->e->row_key) ? &s->numbers : &s->others, c.number);
}

/* Which other collections there are now. */
static mn_status list_live(struct search *s, struct mn_error *err)
{
    const struct mni_walk_options all = {.reverse = false};
    struct mni_walk *walk = NULL;
    struct mni_found found;
    mn_status st = mni_walk_open(s->e->engine, &all, &walk, err);

    if (st == MN_OK)
        st = mni_walk_start(walk, 0, err);
    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, err);
        if (st != MN_OK)
            break;
        st = take_row(s, &found.record, found.lsn);
        mni_pin_release(found.pin);
    }
    mni_walk_close(walk);
    s->live = s->others;
    s->others = (struct mni_buf){0};
    return st == MN_END ? MN_OK : st;
}

/* Searching ---------- */

static int compare_keys(const void *a, const void *b)
{
    return mni_key_compare(*(const struct mn_slice *)a, *(const struct mn_slice *)b);
}

static mn_status order_keys(struct search *s)
{
    const struct erased *e = s->e;

    if (e->keys == NULL)
        return MN_OK;
    s->keys = mni_alloc_array(e->n_keys + 1, sizeof *s->keys);
    if (s->keys == NULL)
        return MN_ERR_NOMEM;
    memcpy(s->keys, e->keys, e->n_keys * sizeof *s->keys);
    qsort(s->keys, e->n_keys, sizeof *s->keys, compare_keys);
    return MN_OK;
}

/* MN_END: it holds something of it. A deletion holds nothing but the id. What belongs to a
 * collection of which nothing is known may be of an earlier life of the name. */
static mn_status look_at_record(struct search *s, const struct mni_record *r, uint64_t lsn)
{
    const struct erased *e = s->e;

    if (r->type == MNI_RECORD_DELETE)
        return MN_OK;
    if (r->collection == 0) {
        mn_status st = take_row(s, r, lsn);
        return st == MN_OK && s->keys == NULL && is_same(r->key, e->row_key) ? MN_END : st;
    }
    bool is_key = s->keys == NULL ||
                  bsearch(&r->key, s->keys, e->n_keys, sizeof *s->keys, compare_keys) != NULL;
    bool may_be_ours =
        is_key && (contains(&s->numbers, r->collection) || !contains(&s->others, r->collection));
    return may_be_ours ? MN_END : MN_OK;
}

/* All of a file is read also where something was found: its rows of the catalogue are needed. */
static mn_status look_at(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct search *s = context;
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;
    mn_status st = MN_OK;

    while (left > 0 && st == MN_OK) {
        struct mni_record r;
        size_t used = 0;
        st = mni_record_decode(p, left, &r, &used, err);
        if (st == MN_OK)
            st = look_at_record(s, &r, entry->lsn);
        if (st == MN_END) {
            s->is_found = true;
            st = MN_OK;
        }
        p += used;
        left -= used;
    }
    return st;
}

static void note_file(void *context, const char *name, mn_status status)
{
    struct search *s = context;
    char entry[MN_ARCHIVED_LOG_BYTES] = {0};

    if (status == MN_ERR_NOMEM)
        s->status = status;
    if (!s->is_found && status == MN_OK)
        return;
    s->is_found = false;
    (void)snprintf(entry, sizeof entry, "%s/%s", s->timeline, name);
    if (mni_buf_append(&s->names, entry, sizeof entry) != MN_OK)
        s->status = MN_ERR_NOMEM;
}

static mn_status search_timeline(void *context, const char *name, struct mni_dir *dir,
                                 struct mn_error *err)
{
    struct search *s = context;

    s->timeline = name;
    mni_buf_reset(&s->numbers);
    mni_buf_reset(&s->others);
    mn_status st = add(&s->numbers, s->e->collection);
    if (st == MN_OK && s->live.n_bytes > 0)
        st = mni_buf_append(&s->others, s->live.data, s->live.n_bytes);
    if (st == MN_OK)
        st = mni_wal_read_archive(dir, look_at, note_file, s, err);
    return st == MN_OK ? s->status : st;
}

mn_status purge_find_archived(const struct erased *e, struct mni_purge_receipt *receipt,
                              struct mn_error *err)
{
    char path[TEXT_BYTES_MAX + 1];
    struct search s = {.e = e};
    struct mni_dir *archive = NULL;

    engine_archive_path(e->engine, path);
    if (path[0] == '\0')
        return MN_OK;
    mn_status st = mni_env_open_dir(e->engine->env, path, false, &archive, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_IO, "there is no directory %.300s", path);
    if (st != MN_OK) {
        mni_error_prefix(err, "the records are erased from the store; which archived logs hold "
                              "them cannot be said");
        return st;
    }
    st = order_keys(&s);
    if (st == MN_OK)
        st = list_live(&s, err);
    if (st == MN_OK)
        st = archive_each_timeline(archive, e->engine->store.store_id, search_timeline, &s, err);
    mni_dir_close(archive);
    mni_buf_done(&s.numbers);
    mni_buf_done(&s.others);
    mni_buf_done(&s.live);
    mni_free(s.keys);
    if (st == MN_OK) {
        receipt->archived_logs = (char(*)[MN_ARCHIVED_LOG_BYTES])s.names.data;
        receipt->n_archived_logs = s.names.n_bytes / MN_ARCHIVED_LOG_BYTES;
        return MN_OK;
    }
    mni_buf_done(&s.names);
    return st == MN_ERR_NOMEM ? mni_fail(err, st, "searching the archived log") : st;
}
