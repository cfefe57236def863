/*
 * tenant_fixture.h - stores with entries of a cache of answers.
 */
#ifndef TESTS_UNIT_ENGINE_TENANT_FIXTURE_H
#define TESTS_UNIT_ENGINE_TENANT_FIXTURE_H

#include "api/store_private.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "engine/engine_private.h"
#include "io/crash.h"
#include "io/fault.h"
#include "snapshot_fixture.h"

enum { N_ENTRIES = 30, N_DIMS = 5 };

static const uint64_t a_tenant = UINT64_C(0x0102030405060708);

/* Worlds ---------- */

static struct mni_crash_env *crash;
static struct mni_fault_env *fault;
static mn_store *store;

static inline mn_status try_open_store(void)
{
    struct mn_options o = {
        .size = sizeof o, .create = true, .no_background = true, .wal_file_bytes = 64 << 10};

    return mni_api_store_open(mni_fault_env_base(fault), "/s", &o, &store, &err);
}

static inline void begin_with(uint64_t seed)
{
    CHECK_OK(mni_crash_env_new(seed, &crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(crash), &fault));
    CHECK_OK_ERR(try_open_store(), &err);
}

static inline void begin(void)
{
    begin_with(1);
}

static inline void reopen(void)
{
    closed(store);
    CHECK_OK_ERR(try_open_store(), &err);
}

static inline void end(void)
{
    closed(store);
    mni_fault_env_free(fault);
    mni_crash_env_free(crash);
}

static inline void checkpoint(void)
{
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
}

/* Leaves a frozen table behind. */
static inline void fail_checkpoint(void)
{
    mni_fault_env_fail_at(fault, 1, EIO, true);
    CHECK(mn_checkpoint(store, &err) != MN_OK);
    mni_fault_env_fail_at(fault, 0, 0, false);
    CHECK(store->engine->state->frozen != NULL);
}

/* Entries ---------- */

struct entry {
    uint64_t id;
    uint16_t halves[N_DIMS];
    uint32_t n_dims; /* 0 or N_DIMS */
    bool has_key;
    unsigned char key[MNI_SECOND_KEY_BYTES];
    unsigned char metadata[16 + 3];
    char payload[24];
    int64_t event_time_us;
    int64_t expires_at_us; /* 0: never */
    uint64_t hits;         /* 0: none */
    uint64_t lsn;
    uint64_t record_lsn;
};

/* Every third one has no vector; bit patterns of all kinds are among the others. */
static inline struct entry entry_of(uint64_t tenant, int i)
{
    static const uint16_t odd[] = {0x7e01, 0xfdff, 0x8000, 0x0001, 0x7c00, 0xfc00, 0x7bff, 0x3c00};
    struct entry e = {.id = i == 0   ? 0
                            : i == 1 ? UINT64_MAX
                                     : (uint64_t)i * 1000,
                      .n_dims = i % 3 == 2 ? 0 : N_DIMS,
                      .has_key = i % 2 == 0,
                      .event_time_us = 1000 + i};

    for (uint32_t d = 0; d < e.n_dims; d++)
        e.halves[d] = d == 0 ? (uint16_t)i : odd[((size_t)i + d) % CHECK_COUNT(odd)];
    memset(e.key, i, sizeof e.key);
    mni_put_u64(e.metadata, tenant);
    mni_put_u64(e.metadata + 8, 77);
    memcpy(e.metadata + 16, "gpt", 3);
    (void)snprintf(e.payload, sizeof e.payload, "%.*s", i % 20, "answer answer answer");
    return e;
}

static inline struct mni_record record_of(const struct entry *e,
                                          unsigned char room[MNI_TENANT_KEY_BYTES])
{
    struct mni_record r = {
        .type = MNI_RECORD_UPSERT,
        .element_type = e->n_dims > 0 ? MNI_ELEMENT_F16 : MNI_ELEMENT_NONE,
        .fields = MNI_FIELD_EVENT_TIME,
        .key = mni_tenant_key(e->id, room),
        .vector = e->n_dims > 0 ? e->halves : NULL,
        .n_dims = e->n_dims,
        .metadata = {e->metadata, sizeof e->metadata},
        .payload = mn_str(e->payload),
        .event_time_us = e->event_time_us,
        .expires_at_us = e->expires_at_us,
    };

    if (e->expires_at_us != 0)
        r.fields |= MNI_FIELD_EXPIRY;
    if (e->has_key) {
        r.fields |= MNI_FIELD_SECOND_KEY;
        r.second_key = e->key;
    }
    return r;
}

static inline mn_status try_write(uint64_t tenant, const struct mni_record *r,
                                  enum mni_condition condition, uint64_t condition_lsn,
                                  uint64_t *lsn_out)
{
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct mni_batch *batch = NULL;
    size_t index;
    bool creates = r->type == MNI_RECORD_UPSERT;
    mn_status st = mni_batch_new(store->engine, NULL, &batch);

    if (st == MN_OK)
        st = mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, name), creates,
                                  &index, &err);
    if (st == MN_OK)
        st = mni_batch_add(batch, index, r, condition, condition_lsn, NULL, &err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_DEFAULT, lsn_out, &err);
    mni_batch_free(batch);
    return st;
}

static inline void store_entry(uint64_t tenant, struct entry *e)
{
    unsigned char room[MNI_TENANT_KEY_BYTES];
    struct mni_record r = record_of(e, room);

    CHECK_OK_ERR(try_write(tenant, &r, MNI_ALWAYS, 0, &e->lsn), &err);
    e->record_lsn = e->lsn;
    e->hits = 0;
}

static inline void store_entries(uint64_t tenant, struct entry *entries, int n)
{
    for (int i = 0; i < n; i++) {
        entries[i] = entry_of(tenant, i);
        store_entry(tenant, &entries[i]);
    }
}

static inline mn_status try_hit(uint64_t tenant, uint64_t id, uint64_t hits,
                                enum mni_condition condition, uint64_t condition_lsn,
                                uint64_t *lsn_out)
{
    unsigned char room[MNI_TENANT_KEY_BYTES];
    struct mni_record r = {.type = MNI_RECORD_PATCH,
                           .fields = MNI_FIELD_HITS,
                           .key = mni_tenant_key(id, room),
                           .hits = hits};

    return try_write(tenant, &r, condition, condition_lsn, lsn_out);
}

static inline void hit(uint64_t tenant, struct entry *e, uint64_t hits)
{
    CHECK_OK_ERR(try_hit(tenant, e->id, hits, MNI_IF_LIVE, 0, &e->lsn), &err);
    e->hits = hits;
}

static inline mn_status try_find(uint64_t tenant, uint64_t id, struct mni_found *found)
{
    unsigned char name[MNI_TENANT_KEY_BYTES];
    unsigned char key[MNI_TENANT_KEY_BYTES];

    return mni_engine_get(store->engine, MNI_KIND_TENANT, mni_tenant_key(tenant, name),
                          mni_tenant_key(id, key), found, &err);
}

/* LSNs say nothing where they are given out anew. */
static inline void check_record(const struct mni_found *found, const struct entry *e, bool has_lsns)
{
    const struct mni_record *r = &found->record;
    uint32_t fields = MNI_FIELD_EVENT_TIME;

    fields |= e->has_key ? MNI_FIELD_SECOND_KEY : 0;
    fields |= e->hits != 0 ? MNI_FIELD_HITS : 0;
    fields |= e->expires_at_us != 0 ? MNI_FIELD_EXPIRY : 0;
    CHECK_EQ(r->fields, fields);
    CHECK_EQ(r->key.n_bytes, MNI_TENANT_KEY_BYTES);
    CHECK(mni_tenant_of_key(r->key.data) == e->id);
    CHECK_EQ(r->n_dims, e->n_dims);
    CHECK_EQ(r->element_type, e->n_dims > 0 ? MNI_ELEMENT_F16 : MNI_ELEMENT_NONE);
    if (e->n_dims > 0) {
        CHECK_EQ((uintptr_t)r->vector % sizeof(uint16_t), 0);
        CHECK_MEM_EQ(r->vector, e->halves, sizeof e->halves);
    }
    if (e->has_key)
        CHECK_MEM_EQ(r->second_key, e->key, sizeof e->key);
    CHECK_EQ(r->metadata.n_bytes, sizeof e->metadata);
    CHECK_MEM_EQ(r->metadata.data, e->metadata, sizeof e->metadata);
    CHECK_EQ(r->payload.n_bytes, strlen(e->payload));
    if (e->payload[0] != '\0')
        CHECK_MEM_EQ(r->payload.data, e->payload, strlen(e->payload));
    CHECK_EQ(r->event_time_us, e->event_time_us);
    CHECK_EQ(r->expires_at_us, e->expires_at_us);
    CHECK(r->hits == e->hits);
    if (has_lsns) {
        CHECK_EQ(found->lsn, e->lsn);
        CHECK_EQ(found->record_lsn, e->record_lsn);
    }
}

static inline void check_entry(uint64_t tenant, const struct entry *e, bool has_lsns)
{
    struct mni_found found;

    CHECK_OK_ERR(try_find(tenant, e->id, &found), &err);
    check_record(&found, e, has_lsns);
    mni_pin_release(found.pin);
}

static inline int compare_ids(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* By a walk and by a scan. */
static inline void check_all(uint64_t tenant, const struct entry *entries, size_t n, bool has_lsns)
{
    const struct mni_walk_options options = {.counts = true};
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct entry sorted[N_ENTRIES];
    struct mni_scan_reader *reader = NULL;
    struct mni_scan_chunk chunk;
    struct mni_walk *walk = NULL;
    struct mni_scan *scan = NULL;
    struct mni_collection c;
    struct mni_found found;
    size_t n_vectors = 0;
    size_t n_seen = 0;

    memcpy(sorted, entries, n * sizeof *entries);
    qsort(sorted, n, sizeof *sorted, compare_ids);
    CHECK_OK(mni_walk_open(store->engine, &options, &walk, &err));
    CHECK_OK(mni_view_collection(mni_walk_view(walk), MNI_KIND_TENANT, mni_tenant_key(tenant, name),
                                 &c, &err));
    CHECK_OK(mni_walk_start(walk, c.number, &err));
    CHECK_EQ(c.dimension, N_DIMS);
    for (size_t i = 0; i < n; i++) {
        CHECK_OK_ERR(mni_walk_next(walk, &found, &err), &err);
        check_record(&found, &sorted[i], has_lsns);
        mni_pin_release(found.pin);
        n_vectors += sorted[i].n_dims > 0;
    }
    CHECK_STATUS(mni_walk_next(walk, &found, &err), MN_END);
    mni_walk_close(walk);
    CHECK_OK(mni_scan_open(store->engine, &scan, &err));
    CHECK_OK(mni_scan_start(scan, c.number, NULL, &err));
    CHECK_OK(mni_scan_reader_new(scan, 0, &reader, &err));
    while (mni_scan_next(reader, &chunk, &err) == MN_OK) {
        CHECK_EQ(chunk.element_type, MNI_ELEMENT_F16);
        for (size_t i = 0; i < chunk.n_vectors; i++) {
            CHECK_OK(mni_scan_found(reader, i, &found, &err));
            const struct entry wanted = {.id = mni_tenant_of_key(found.record.key.data)};
            const struct entry *e = bsearch(&wanted, sorted, n, sizeof *sorted, compare_ids);
            CHECK(e != NULL);
            check_record(&found, e, has_lsns);
            CHECK_MEM_EQ((const uint16_t *)chunk.vectors + i * N_DIMS, e->halves, sizeof e->halves);
            mni_pin_release(found.pin);
            n_seen++;
        }
    }
    CHECK_EQ(n_seen, n_vectors);
    mni_scan_reader_free(reader);
    mni_scan_close(scan);
    for (size_t i = 0; i < n; i++)
        check_entry(tenant, &entries[i], has_lsns);
}

static inline uint64_t n_namespaces(void)
{
    mn_namespace_iter *names = NULL;
    struct mn_namespace_info info;
    uint64_t n = 0;

    CHECK_OK(mn_namespace_iter_open(store, (struct mn_slice){0}, &names, &err));
    while (mn_namespace_iter_next(names, &info, &err) == MN_OK)
        n++;
    mn_namespace_iter_close(names);
    CHECK_EQ(stats_of(store).n_namespaces, n);
    return n;
}

static inline void drop_tenant(uint64_t tenant)
{
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct mni_batch *batch = NULL;
    size_t index;

    CHECK_OK(mni_batch_new(store->engine, NULL, &batch));
    CHECK_OK(mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, name), false,
                                  &index, &err));
    mni_batch_drop(batch, index);
    CHECK_OK_ERR(mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &err), &err);
    CHECK(mni_batch_collection_existed(batch, index));
    mni_batch_free(batch);
}

#endif
