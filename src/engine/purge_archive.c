/*
 * purge_archive.c - which files of the archived log still hold what was erased from the store.
 *
 * All files that were kept of the store are read, those of pasts that a restore left too.
 *
 * Owns:    the list that the receipt takes over.
 * Threads: any.
 * Fails:   MN_ERR_NOMEM. A file that cannot be read is no failure: what may hold copies counts.
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
    struct mn_slice *keys;  /* owned: in order; NULL: the whole collection */
    struct mni_buf numbers; /* owned: u64 each, that the collection has or had in this timeline */
    struct mni_buf names;   /* owned: MN_ARCHIVED_LOG_BYTES each */
    const char *timeline;   /* borrowed: name of its directory */
    bool is_found;          /* in the file that is read */
    mn_status status;
};

static mn_status add_number(struct search *s, uint64_t number)
{
    return number == 0 ? MN_OK : mni_buf_append(&s->numbers, &number, sizeof number);
}

static bool has_number(const struct search *s, uint64_t number)
{
    for (size_t i = 0; i < s->numbers.n_bytes; i += sizeof number)
        if (memcmp(s->numbers.data + i, &number, sizeof number) == 0)
            return true;
    return false;
}

static bool is_same(struct mn_slice a, struct mn_slice b)
{
    return a.n_bytes == b.n_bytes && memcmp(a.data, b.data, a.n_bytes) == 0;
}

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

/* A row says under which number the name goes from here on. */
static mn_status take_row(struct search *s, const struct mni_record *r, uint64_t lsn)
{
    struct mni_collection c;

    if (r->type != MNI_RECORD_UPSERT || catalogue_row_decode(r->payload, lsn, &c, NULL) != MN_OK ||
        has_number(s, c.number))
        return MN_OK;
    return add_number(s, c.number);
}

/* MN_END: it holds something of it. */
static mn_status look_at_record(struct search *s, const struct mni_record *r, uint64_t lsn)
{
    const struct erased *e = s->e;

    if (r->collection == 0) {
        if (!is_same(r->key, e->row_key))
            return MN_OK;
        mn_status st = take_row(s, r, lsn);
        return st == MN_OK && s->keys == NULL ? MN_END : st;
    }
    if (!has_number(s, r->collection))
        return MN_OK;
    if (s->keys == NULL)
        return MN_END;
    return bsearch(&r->key, s->keys, e->n_keys, sizeof *s->keys, compare_keys) != NULL ? MN_END
                                                                                       : MN_OK;
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
    s->numbers.n_bytes = 0;
    mn_status st = add_number(s, s->e->collection);
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
    if (path[0] == '\0' || mni_env_open_dir(e->engine->env, path, false, &archive, NULL) != MN_OK)
        return MN_OK;
    mn_status st = order_keys(&s);
    if (st == MN_OK)
        st = archive_each_timeline(archive, e->engine->store.store_id, search_timeline, &s, err);
    mni_dir_close(archive);
    mni_buf_done(&s.numbers);
    mni_free(s.keys);
    if (st == MN_OK) {
        receipt->archived_logs = (char(*)[MN_ARCHIVED_LOG_BYTES])s.names.data;
        receipt->n_archived_logs = s.names.n_bytes / MN_ARCHIVED_LOG_BYTES;
        return MN_OK;
    }
    mni_buf_done(&s.names);
    return st == MN_ERR_NOMEM ? mni_fail(err, st, "searching the archived log") : st;
}
