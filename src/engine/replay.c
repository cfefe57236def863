/*
 * replay.c - rebuilds the table from the log's commits.
 *
 * Owns:    nothing.
 * Format:  docs/format/wal.md, docs/format/record.md
 * Threads: the one that opens the store; nobody reads yet.
 * Fails:   MN_ERR_CORRUPT for a commit whose checksum holds and whose records do not.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/engine_private.h"

/* Commits of a few records need no memory of their own. */
enum { CHANGES_ON_STACK = 16 };

mn_status engine_check_catalogue_record(const struct mni_record *r, uint64_t lsn,
                                        struct mn_error *err)
{
    struct mn_slice counter = catalogue_counter_key();
    struct mni_collection ignored;

    bool is_counter = r->key.n_bytes == counter.n_bytes &&
                      memcmp(r->key.data, counter.data, counter.n_bytes) == 0;

    if (!is_counter && (*(const unsigned char *)r->key.data != MNI_KIND_NAMESPACE ||
                        r->key.n_bytes < 2 || r->key.n_bytes > 1 + MN_NAMESPACE_BYTES_MAX))
        return mni_fail(err, MN_ERR_CORRUPT, "catalogue record of an unknown kind");
    if (r->type == MNI_RECORD_DELETE && !is_counter)
        return MN_OK;
    if (r->type != MNI_RECORD_UPSERT || (r->fields & MNI_FIELD_EXPIRY) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "catalogue record of an impossible type");
    if (is_counter)
        return r->payload.n_bytes == 8 ? MN_OK
                                       : mni_fail(err, MN_ERR_CORRUPT, "collection counter");
    return catalogue_row_decode(r->payload, lsn, &ignored, err);
}

/* Copies one encoded record into a version of its own. */
static mn_status copy_record(struct mni_engine *engine, const unsigned char *bytes, size_t n,
                             struct mni_version **version_out, struct mn_error *err)
{
    struct mni_version *version = NULL;
    struct mni_record r;

    mni_record_view(bytes, &r);
    if (MNI_PLANTED("expiry_lost_in_replay") && (r.fields & MNI_FIELD_EXPIRY) != 0 &&
        r.type == MNI_RECORD_UPSERT) {
        r.fields &= ~(uint32_t)MNI_FIELD_EXPIRY;
        if (mni_version_new(engine->pool, mni_record_encoded_bytes(&r), &version) != MN_OK)
            return MN_ERR_NOMEM;
        mni_record_encode(&r, mni_version_bytes(version));
        *version_out = version;
        return MN_OK;
    }
    if (mni_version_new(engine->pool, n, &version) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a record of %zu bytes", n);
    memcpy(mni_version_bytes(version), bytes, n);
    *version_out = version;
    return MN_OK;
}

/* A row that goes takes its collection's records with it. Returns the number, 0 for other rows. */
static uint64_t dropped_collection(struct mni_engine *engine, const struct mni_record *r)
{
    struct mni_collection c;
    const unsigned char *key = r->key.data;
    struct mni_view_point newest = {.lsn = UINT64_MAX, .now_us = INT64_MIN};

    if (r->collection != 0 || r->type != MNI_RECORD_DELETE || r->key.n_bytes < 2)
        return 0;
    struct mn_slice name = {key + 1, r->key.n_bytes - 1};
    if (!catalogue_find(engine, (enum mni_kind)key[0], name, newest, &c))
        return 0;
    return c.number;
}

static mn_status decode_all(struct mni_engine *engine, const struct mni_wal_entry *entry,
                            struct mni_change *changes, size_t *n_out, struct mn_error *err)
{
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;
    size_t n = 0;
    mn_status st = MN_OK;

    while (left > 0 && st == MN_OK) {
        struct mni_record r;
        struct mni_version *version = NULL;
        size_t used = 0;
        if (n == entry->n_records)
            st = mni_fail(err, MN_ERR_CORRUPT, "more records than its frame says");
        if (st == MN_OK)
            st = mni_record_decode(p, left, &r, &used, err);
        if (st == MN_OK && r.collection == 0)
            st = engine_check_catalogue_record(&r, entry->lsn, err);
        if (st == MN_OK)
            st = copy_record(engine, p, used, &version, err);
        if (st != MN_OK)
            break;
        mni_change_init(&changes[n++], version);
        p += used;
        left -= used;
    }
    if (st == MN_OK && n != entry->n_records)
        st = mni_fail(err, MN_ERR_CORRUPT, "fewer records than its frame says");
    if (st == MN_ERR_CORRUPT)
        mni_error_prefix(err, "the commit of LSN %" PRIu64, entry->lsn);
    *n_out = n;
    return st;
}

/* Drops are found before the rows are gone, and take effect with them. */
static mn_status apply_all(struct mni_engine *engine, const struct mni_wal_entry *entry,
                           struct mni_change *changes, size_t n, struct mn_error *err)
{
    mn_status st = mni_memtable_prepare(engine->table, changes, n);

    if (st != MN_OK)
        return mni_fail(err, st, "room for %zu records", n);
    for (size_t i = 0; i < n; i++) {
        struct mni_record r;
        mni_record_view(mni_version_bytes(changes[i].version), &r);
        uint64_t dropped = dropped_collection(engine, &r);
        mni_memtable_apply(engine->table, &changes[i], 1, entry->lsn, entry->time_us, UINT64_MAX);
        if (dropped == 0)
            continue;
        mni_memtable_drop(engine->table, dropped);
        while (!mni_memtable_reclaim(engine->table, dropped, SIZE_MAX))
            continue;
    }
    return MN_OK;
}

mn_status engine_replay(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct mni_engine *engine = context;
    struct mni_change on_stack[CHANGES_ON_STACK] = {0};
    struct mni_change *changes = on_stack;
    size_t n = 0;

    /* A frame says how many records it has; its payload says how many it can have. */
    if (entry->n_records > entry->payload.n_bytes / MNI_RECORD_ALIGN)
        return mni_fail(err, MN_ERR_CORRUPT, "the commit of LSN %" PRIu64 " has too many records",
                        entry->lsn);
    if (entry->n_records > CHANGES_ON_STACK) {
        changes = mni_alloc_zero(entry->n_records * sizeof *changes);
        if (changes == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "%" PRIu32 " records", entry->n_records);
    }
    engine_write_lock(engine);
    mn_status st = decode_all(engine, entry, changes, &n, err);
    if (st == MN_OK)
        st = apply_all(engine, entry, changes, n, err);
    engine_unlock(engine);
    if (st != MN_OK)
        for (size_t i = 0; i < n; i++)
            mni_version_unref(changes[i].version);
    if (changes != on_stack)
        mni_free(changes);
    return st;
}
