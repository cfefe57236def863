/*
 * fixture.h - what the tests of the buffer share: records, changes and commits in one line.
 */
#ifndef TESTS_UNIT_MEMTABLE_FIXTURE_H
#define TESTS_UNIT_MEMTABLE_FIXTURE_H

#include <string.h>

#include "base/bytes.h"
#include "check.h"
#include "memtable/memtable.h"

static struct mni_pool *pool; /* of the test that runs */

/* One operation in a test. `value` is the payload; 0 in `expires` stands for none. */
struct op {
    enum mni_record_type type;
    uint64_t collection;
    struct mn_slice key;
    uint64_t value;
    int64_t expires;
    uint64_t hits;
    uint32_t clears;
};

static inline struct op put(uint64_t collection, const char *key, uint64_t value)
{
    return (struct op){
        .type = MNI_RECORD_UPSERT, .collection = collection, .key = mn_str(key), .value = value};
}

static inline struct op put_until(uint64_t collection, const char *key, uint64_t value,
                                  int64_t expires)
{
    struct op op = put(collection, key, value);

    op.expires = expires;
    return op;
}

static inline struct op del(uint64_t collection, const char *key)
{
    return (struct op){.type = MNI_RECORD_DELETE, .collection = collection, .key = mn_str(key)};
}

static inline struct op patch_until(uint64_t collection, const char *key, int64_t expires)
{
    return (struct op){
        .type = MNI_RECORD_PATCH, .collection = collection, .key = mn_str(key), .expires = expires};
}

static inline mn_status version_of(const struct op *op, struct mni_version **version_out)
{
    unsigned char value[8];
    struct mni_record record = {.type = op->type,
                                .collection = op->collection,
                                .key = op->key,
                                .clears = op->clears,
                                .expires_at_us = op->expires,
                                .hits = op->hits};

    mni_put_u64(value, op->value);
    record.fields |= op->expires != 0 ? MNI_FIELD_EXPIRY : 0;
    record.fields |= op->hits != 0 ? MNI_FIELD_HITS : 0;
    if (op->type == MNI_RECORD_UPSERT)
        record.payload = (struct mn_slice){value, sizeof value};
    mn_status st = mni_version_new(pool, mni_record_encoded_bytes(&record), version_out);
    if (st == MN_OK)
        mni_record_encode(&record, mni_version_bytes(*version_out));
    return st;
}

static inline struct mni_change change_of(struct op op)
{
    struct mni_version *version = NULL;
    struct mni_change change;

    CHECK_OK(version_of(&op, &version));
    mni_change_init(&change, version);
    return change;
}

/* A reference that counts. */
static inline void pin(struct mni_version *version)
{
    mni_version_ref(version);
    CHECK(mni_version_pin(version));
}

static inline void unpin(struct mni_version *version)
{
    mni_version_unpin(version);
}

/* Commits one operation; says what apply said. */
static inline struct mni_change commit(struct mni_memtable *table, struct op op, uint64_t lsn,
                                       int64_t now, uint64_t oldest_view)
{
    struct mni_change change = change_of(op);

    CHECK_OK(mni_memtable_prepare(table, &change, 1));
    mni_memtable_apply(table, &change, 1, lsn, now, oldest_view);
    CHECK(change.version == NULL);
    return change;
}

static inline uint64_t value_of(struct mni_version *version)
{
    struct mni_record record;

    CHECK_OK(mni_record_decode(mni_version_bytes(version), UINT32_MAX, &record, NULL, NULL));
    CHECK_EQ(record.payload.n_bytes, 8);
    return mni_get_u64(record.payload.data);
}

/* The value that a view sees, 0 for none. */
static inline uint64_t seen(struct mni_memtable *table, uint64_t collection, struct mn_slice key,
                            uint64_t lsn, int64_t now)
{
    struct mni_view_point view = {.lsn = lsn, .now_us = now};

    struct mni_version *version = mni_memtable_find(table, collection, key, view);
    uint64_t value = version == NULL ? 0 : value_of(version);
    return value;
}

static inline struct mni_memtable_stats stats_of(struct mni_memtable *table)
{
    struct mni_memtable_stats stats;

    mni_memtable_get_stats(table, &stats);
    return stats;
}

static inline size_t collect(struct mni_memtable *table, uint64_t oldest_view, size_t n_max)
{
    size_t n_left = mni_memtable_collect(table, oldest_view, n_max);
    return n_left;
}

#endif
