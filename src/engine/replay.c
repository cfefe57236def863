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
#include "base/utf8.h"
#include "engine/batch_private.h"

/* Commits of a few records need no memory of their own. */
enum { CHANGES_ON_STACK = 16 };

static mn_status check_counter(const struct mni_record *r, struct catalogue_numbers *numbers,
                               struct mn_error *err)
{
    uint64_t next_number = 0;
    mn_status st = catalogue_counter_decode(r->payload, &next_number, err);

    if (st != MN_OK || numbers == NULL)
        return st;
    if (next_number < numbers->next)
        return mni_fail(err, MN_ERR_CORRUPT, "the collection counter goes back");
    numbers->next = next_number;
    return MN_OK;
}

static bool is_key_of_kind(unsigned kind, struct mn_slice key)
{
    struct mn_slice counter = catalogue_counter_key();
    const unsigned char *name = (const unsigned char *)key.data + 1;

    switch (kind) {
    case MNI_KIND_NAMESPACE:
        return key.n_bytes >= 2 && key.n_bytes <= 1 + MN_NAMESPACE_BYTES_MAX;
    case MNI_KIND_SPACE:
    case MNI_KIND_HISTORY:
        return key.n_bytes == 1 + MNI_SPACE_KEY_BYTES;
    case MNI_KIND_TENANT:
        return key.n_bytes == 1 + MNI_TENANT_KEY_BYTES;
    case MNI_KIND_SPACE_NAME:
        return key.n_bytes >= 2 && key.n_bytes <= 1 + MN_SPACE_NAME_BYTES_MAX &&
               mni_utf8_is_valid(name, key.n_bytes - 1);
    case MNI_KIND_COUNTER:
        return key.n_bytes == counter.n_bytes &&
               memcmp(key.data, counter.data, counter.n_bytes) == 0;
    default:
        return false;
    }
}

mn_status engine_check_catalogue_record(const struct mni_record *r, uint64_t lsn,
                                        struct catalogue_numbers *numbers, struct mn_error *err)
{
    unsigned kind = *(const unsigned char *)r->key.data;
    struct mni_collection c;
    uint32_t space;

    if (!is_key_of_kind(kind, r->key))
        return mni_fail(err, MN_ERR_CORRUPT, "catalogue record of an unknown kind");
    if (r->type == MNI_RECORD_DELETE && kind != MNI_KIND_COUNTER)
        return MN_OK;
    if (r->type != MNI_RECORD_UPSERT || (r->fields & MNI_FIELD_EXPIRY) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "catalogue record of an impossible type");
    if (kind == MNI_KIND_COUNTER)
        return check_counter(r, numbers, err);
    if (kind == MNI_KIND_SPACE_NAME)
        return space_name_decode(r, &space, err);
    mn_status st = catalogue_row_decode(r, lsn, &c, err);
    if (st == MN_OK && numbers != NULL && c.number > numbers->largest)
        numbers->largest = c.number;
    return st;
}

mn_status engine_check_numbers(struct catalogue_numbers *numbers, struct mn_error *err)
{
    uint64_t largest = numbers->largest;

    numbers->largest = 0;
    if (numbers->next != 0 && largest >= numbers->next)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "collection %" PRIu64 " is not below the collection counter", largest);
    return MN_OK;
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

/* A row that goes takes its collection's records with it. Sets the number, 0 for other records. */
static mn_status find_dropped(struct mni_engine *engine, const struct mni_record *r,
                              uint64_t *number_out, struct mn_error *err)
{
    struct mni_collection c;
    struct mni_found found;

    *number_out = 0;
    if (r->collection != 0 || r->type != MNI_RECORD_DELETE || !catalogue_is_collection(r->key))
        return MN_OK;
    mn_status st = engine_find_now(engine, 0, r->key, &found, err);
    if (st == MN_OK)
        st = catalogue_decode_found(&found, &c, err);
    if (st == MN_OK)
        *number_out = c.number;
    return st == MN_NOT_FOUND ? MN_OK : st;
}

static mn_status decode_all(struct mni_engine *engine, const struct mni_wal_entry *entry,
                            struct mni_change *changes, size_t *n_out, struct mn_error *err)
{
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;
    struct catalogue_numbers numbers = {.next = engine->counter.next_number};
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
            st = engine_check_catalogue_record(&r, entry->lsn, &numbers, err);
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
    if (st == MN_OK)
        st = engine_check_numbers(&numbers, err);
    if (st == MN_OK)
        engine->counter.next_number = numbers.next;
    if (st == MN_ERR_CORRUPT)
        mni_error_prefix(err, "the commit of LSN %" PRIu64, entry->lsn);
    *n_out = n;
    return st;
}

/* The collection's rows go from the tables at once: there are no views. */
static void drop(struct mni_engine *engine, uint64_t collection)
{
    mni_memtable_drop(engine->table, collection);
    while (!mni_memtable_reclaim(engine->table, collection, SIZE_MAX))
        continue;
}

static mn_status apply_one(struct mni_engine *engine, struct mni_change *change,
                           const struct apply_at *at, struct mn_error *err)
{
    struct part_set *parts = engine->state->parts;
    struct place place = {0};
    struct mni_record r;
    uint64_t dropped;

    mni_record_view(mni_version_bytes(change->version), &r);
    /* A drop is found before its row is gone, and takes effect with it. */
    mn_status st = find_dropped(engine, &r, &dropped, err);
    if (st == MN_OK && parts->n_parts > 0)
        st = place_find(engine, parts, r.collection, r.key, &place, err);
    if (st == MN_OK && places_reserve(engine, &place, change, 1) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "what LSN %" PRIu64 " changes in a segment", at->lsn);
    if (st != MN_OK)
        return st;
    engine_write_lock(engine);
    place_apply(engine, change, &place, at);
    if (dropped != 0)
        drop(engine, dropped);
    engine_unlock(engine);
    return MN_OK;
}

static mn_status apply_all(struct mni_engine *engine, const struct mni_wal_entry *entry,
                           struct mni_change *changes, size_t n, struct mn_error *err)
{
    const struct apply_at at = {.lsn = entry->lsn,
                                .now_us = entry->time_us,
                                .oldest_view_lsn = UINT64_MAX,
                                .floor_lsn = entry->lsn};
    mn_status st = mni_memtable_prepare(engine->table, changes, n);

    if (st != MN_OK)
        return mni_fail(err, st, "room for %zu records", n);
    for (size_t i = 0; i < n; i++) {
        st = apply_one(engine, &changes[i], &at, err);
        if (st != MN_OK) {
            mni_memtable_cancel(engine->table, changes + i, n - i);
            return st;
        }
    }
    return MN_OK;
}

static void count(struct mni_engine *engine, const struct mni_wal_entry *entry)
{
    const struct written written = {
        .n_bytes = entry->payload.n_bytes,
        .table_bytes = entry->payload.n_bytes + entry->n_records * (uint64_t)(2 * KEY_BYTES),
        .n_records = entry->n_records,
    };

    engine_count_unwritten(engine, &written);
}

mn_status engine_replay(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct mni_engine *engine = context;
    struct mni_change on_stack[CHANGES_ON_STACK] = {0};
    struct mni_change *changes = on_stack;
    size_t n = 0;

    if (entry->lsn <= engine->manifest.lsn && !MNI_PLANTED("replayed_twice")) /* in the segments */
        return MN_OK;
    /* A frame says how many records it has; its payload says how many it can have. */
    if (entry->n_records > entry->payload.n_bytes / MNI_RECORD_ALIGN)
        return mni_fail(err, MN_ERR_CORRUPT, "the commit of LSN %" PRIu64 " has too many records",
                        entry->lsn);
    if (entry->n_records > CHANGES_ON_STACK) {
        changes = mni_alloc_zero(entry->n_records * sizeof *changes);
        if (changes == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "%" PRIu32 " records", entry->n_records);
    }
    mn_status st = decode_all(engine, entry, changes, &n, err);
    if (st == MN_OK)
        st = apply_all(engine, entry, changes, n, err);
    if (st == MN_OK)
        count(engine, entry);
    if (st != MN_OK)
        for (size_t i = 0; i < n; i++)
            mni_version_unref(changes[i].version);
    if (changes != on_stack)
        mni_free(changes);
    return st;
}
