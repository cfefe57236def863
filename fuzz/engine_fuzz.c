/*
 * engine_fuzz.c - a log with right checksums and any records in it: a store serves it or refuses.
 *
 * An input is a run of records, each 8 bytes of control, then its key, metadata, payload:
 *
 *     0  type, in bits 0 and 1; bit 4: event time; bit 5: expiry; bit 6: hits; bit 7: clears
 *     1  collection, 0 to 3
 *     2  key bytes, 1 to 24             3  dimensions, 0 to 4; bit 7: f16
 *     4  payload bytes, 0 to 63         5  metadata bytes, 0 to 31
 *     6  bit 0: ends the commit; bit 1: the commit lies about its number of records;
 *        bit 2: two more bytes say which byte of the encoded record is changed, and how;
 *        bit 3: an upsert has a second key, of bytes 7
 *     7  which expiry
 *
 * Owns:    a simulated disk per input.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "mneme/mneme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { CONTROL_BYTES = 8, RECORDS_MAX = 64, PAYLOAD_MAX = 64 << 10, FILE_BYTES = 64 << 10 };

struct input {
    const uint8_t *data;
    size_t n_bytes;
};

static struct mn_slice take(struct input *in, size_t n)
{
    struct mn_slice s = {in->data, n < in->n_bytes ? n : in->n_bytes};

    in->data += s.n_bytes;
    in->n_bytes -= s.n_bytes;
    return s;
}

/* A record as a writer could encode it. */
static struct mni_record next_record(struct input *in, const uint8_t *c)
{
    static const unsigned char vector[16] = {0, 0, 128, 63};
    static unsigned char second_key[MNI_SECOND_KEY_BYTES];
    static const int64_t expiries[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    const uint32_t changes = MNI_FIELD_EXPIRY | MNI_FIELD_HITS;
    uint32_t fields = (uint32_t)(c[0] >> 4) & (MNI_FIELD_EVENT_TIME | changes);
    struct mni_record r = {.type = (enum mni_record_type)(1 + c[0] % 4 % 3),
                           .collection = c[1] % 4,
                           .expires_at_us = expiries[c[7] % 5],
                           .hits = c[7]};

    r.key = take(in, 1 + c[2] % 24);
    if (r.type == MNI_RECORD_UPSERT) {
        r.metadata = take(in, c[5] % 32);
        r.payload = take(in, c[4] % 64);
        r.fields = fields;
        r.n_dims = (uint32_t)c[3] % 5;
        r.vector = vector;
        if (r.n_dims > 0)
            r.element_type = (c[3] & 128) != 0 ? MNI_ELEMENT_F16 : MNI_ELEMENT_F32;
        if ((c[6] & 8) != 0) {
            memset(second_key, c[7], sizeof second_key);
            r.fields |= MNI_FIELD_SECOND_KEY;
            r.second_key = second_key;
        }
    } else if (r.type == MNI_RECORD_PATCH) {
        r.fields = fields & changes;
        r.clears = (c[0] & 128) != 0 ? changes & ~r.fields : 0;
        if ((r.fields | r.clears) == 0)
            r.fields = MNI_FIELD_HITS;
    }
    return r;
}

static void commit(struct mni_wal *wal, const unsigned char *payload, size_t n_bytes, uint32_t n)
{
    struct mn_slice part = {payload, n_bytes};
    struct mni_commit c;

    if (n_bytes == 0)
        return;
    mn_status st = mni_commit_init(&c, &part, 1, n, MN_ACK_OS, NULL, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_wal_commit(wal, &c);
    MNI_CHECK(st == MN_OK);
}

static void write_commits(struct mni_wal *wal, struct input in)
{
    static uint64_t words[PAYLOAD_MAX / 8];
    unsigned char *payload = (unsigned char *)words;
    size_t n_bytes = 0;
    uint32_t n_records = 0;

    for (int i = 0; i < RECORDS_MAX && in.n_bytes > CONTROL_BYTES; i++) {
        struct mn_slice control = take(&in, CONTROL_BYTES);
        const uint8_t *c = control.data;
        struct mni_record r = next_record(&in, c);
        if (r.key.n_bytes == 0)
            break;
        size_t n = mni_record_encoded_bytes(&r);
        mni_record_encode(&r, payload + n_bytes);
        if ((c[6] & 4) != 0 && in.n_bytes >= 2) {
            struct mn_slice change = take(&in, 2);
            const uint8_t *b = change.data;
            payload[n_bytes + b[0] % n] ^= b[1];
        }
        n_bytes += n;
        n_records += 1 + ((c[6] & 2) != 0);
        if ((c[6] & 1) == 0)
            continue;
        commit(wal, payload, n_bytes, n_records);
        n_bytes = 0;
        n_records = 0;
    }
    commit(wal, payload, n_bytes, n_records);
}

static struct mni_engine *open_engine(struct mni_env *env, bool read_only, mn_status *status_out)
{
    struct mn_options options = {.size = sizeof options,
                                 .create = !read_only,
                                 .read_only = read_only,
                                 .sync = MN_SYNC_MANUAL,
                                 .wal_file_bytes = FILE_BYTES};
    struct mni_engine *engine = NULL;
    struct mn_error err = {0};

    *status_out = mni_engine_open(env, "store", &options, &engine, &err);
    MNI_CHECK(*status_out == MN_OK || err.message[0] != '\0');
    return engine;
}

/* A store, whose log gets the commits of the input behind the engine's back. */
static void make_store(struct mni_env *env, struct input in)
{
    struct mni_wal_config config = {.env = env, .any_store_id = true, .file_bytes = FILE_BYTES};
    struct mni_dir *dir = NULL;
    struct mni_wal *wal = NULL;
    mn_status st;
    struct mni_engine *engine = open_engine(env, false, &st);

    MNI_CHECK(st == MN_OK);
    st = mni_engine_close(engine, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_env_open_dir(env, "store", false, &dir, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_dir_open_dir(dir, "wal", false, &config.dir, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_wal_open(&config, &wal, NULL);
    MNI_CHECK(st == MN_OK);
    write_commits(wal, in);
    st = mni_wal_close(wal, NULL);
    MNI_CHECK(st == MN_OK);
    mni_dir_close(dir);
}

static uint32_t sum_up(uint32_t sum, struct mn_slice s)
{
    return s.n_bytes == 0 ? sum : mni_crc32c(sum, s.data, s.n_bytes);
}

/* Reads every record of a namespace, walking and by name, and counts. */
static uint32_t read_namespace(mn_store *store, const struct mn_namespace_info *info, uint32_t sum)
{
    mn_iter *iter = NULL;
    struct mn_view view;
    struct mn_view again;
    uint64_t n = 0;
    mn_status st = mn_iter_open(store, info->name, NULL, &iter, NULL);

    MNI_CHECK(st == MN_OK);
    while ((st = mn_iter_next(iter, &view, NULL)) == MN_OK) {
        sum = sum_up(sum_up(sum_up(sum, view.id), view.metadata), view.payload);
        st = mn_get(store, info->name, view.id, &again, NULL);
        /* An id that mn_put would refuse can be walked over, not asked for. */
        MNI_CHECK(st == MN_ERR_INVALID || st == MN_ERR_LIMIT ||
                  (st == MN_OK && again.payload.data == view.payload.data));
        if (st == MN_OK)
            mn_view_release(&again);
        mn_view_release(&view);
        n++;
    }
    MNI_CHECK(st == MN_END && n == info->n_records);
    mn_iter_close(iter);
    return sum;
}

/* Finds what lies in a namespace; a log may tell of vectors that its namespace cannot hold. */
static uint32_t search_namespace(mn_store *store, const struct mn_namespace_info *info,
                                 uint32_t sum)
{
    static const float query[4] = {1, -2, 0.5F, 0};
    const struct mn_search_options o = {.size = sizeof o, .metric = MN_METRIC_L2};
    struct mn_search_hit hit;
    mn_search *search = NULL;
    mn_status st;

    if (info->dimension == 0 || info->dimension > 4)
        return sum;
    st = mn_search_open(store, info->name, query, 1, info->dimension, 16, &o, &search, NULL);
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT);
    if (st != MN_OK)
        return sum;
    while ((st = mn_search_next(search, &hit, NULL)) == MN_OK) {
        sum = sum_up(sum, hit.view.id);
        mn_view_release(&hit.view);
    }
    MNI_CHECK(st == MN_END);
    mn_search_close(search);
    return sum;
}

/* What is shown of an entry is one of this tenant; by its key some entry is found, which another
 * one of a bad log may have too. */
static uint32_t read_entry(mn_store *store, uint64_t tenant, uint64_t id, uint32_t sum)
{
    static const float embedding[4] = {1, -2, 0.5F, 0};
    struct mn_semcache_query query = {.size = sizeof query,
                                      .fields = MN_SEMCACHE_ANY_MODEL | MN_SEMCACHE_ANY_CONTEXT,
                                      .embedding = embedding,
                                      .min_similarity = 0.01F};
    struct mn_semcache_result result = {.size = sizeof result};
    struct mn_semcache_handle h;
    struct mn_semcache_handle by_key;
    mn_status st = mn_semcache_load(store, tenant, id, &h, NULL);

    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT);
    if (st != MN_OK)
        return sum;
    MNI_CHECK(h.tenant == tenant && h.id == id && h.n_dims <= 4);
    sum = sum_up(sum_up(sum, h.model), h.payload);
    if (h.key != NULL) {
        st = mn_semcache_load_exact(store, tenant, h.key, &by_key, NULL);
        MNI_CHECK(st == MN_ERR_CORRUPT ||
                  (st == MN_OK && memcmp(by_key.key, h.key, MN_SEMCACHE_KEY_BYTES) == 0));
        mn_semcache_release(&by_key);
    }
    query.n_dims = h.n_dims;
    query.key = h.key;
    if (h.key != NULL || h.n_dims > 0) {
        st = mn_semcache_lookup(store, tenant, &query, &result, NULL);
        MNI_CHECK(st == MN_OK || st == MN_ERR_DIMENSION);
        mn_semcache_release(&result.handle);
    }
    mn_semcache_release(&h);
    return sum;
}

static uint32_t read_tenants(mn_store *store, uint32_t sum)
{
    enum { N_MAX = 64 };
    uint64_t tenants[N_MAX];
    uint64_t ids[N_MAX];
    size_t n_tenants = 0;
    mn_status st = mn_semcache_list_tenants(store, 0, tenants, N_MAX, &n_tenants, NULL);

    MNI_CHECK(st == MN_OK);
    for (size_t i = 0; i < n_tenants; i++) {
        struct mn_semcache_stats stats = {.size = sizeof stats};
        size_t n = 0;
        st = mn_semcache_tenant_stats(store, tenants[i], &stats, NULL);
        MNI_CHECK(st == MN_OK && stats.logical_bytes <= stats.allocated_bytes);
        st = mn_semcache_list_entries(store, tenants[i], 0, ids, N_MAX, &n, NULL);
        MNI_CHECK(st == MN_OK && n >= stats.n_entries);
        for (size_t k = 0; k < n; k++)
            sum = read_entry(store, tenants[i], ids[k], sum);
    }
    return sum;
}

static uint32_t read_all(mn_store *store)
{
    const struct mn_slice none = {NULL, 0};
    struct mn_stats stats = {.size = sizeof stats};
    struct mn_namespace_info info;
    mn_namespace_iter *names = NULL;
    uint32_t sum = 0;
    mn_status st = mn_namespace_iter_open(store, none, &names, NULL);

    MNI_CHECK(st == MN_OK);
    while ((st = mn_namespace_iter_next(names, &info, NULL)) == MN_OK) {
        sum = sum_up(sum, info.name);
        bool exists = false;
        if (mn_namespace_exists(store, info.name, &exists, NULL) == MN_OK)
            sum = search_namespace(store, &info, read_namespace(store, &info, sum));
    }
    MNI_CHECK(st == MN_END);
    mn_namespace_iter_close(names);
    sum = read_tenants(store, sum);
    st = mn_stats(store, &stats, NULL);
    MNI_CHECK(st == MN_OK);
    return sum;
}

static mn_store *store_of(struct mni_engine *engine)
{
    mn_store *store = NULL;
    mn_status st = mni_api_store_of_engine(engine, &store);

    MNI_CHECK(st == MN_OK);
    return store;
}

static void write_entries(mn_store *store)
{
    static const unsigned char key[MN_SEMCACHE_KEY_BYTES] = {1};
    const struct mn_semcache_budget budget = {.entries_max = 2};
    const struct mn_semcache_entry entry = {.key = key, .payload = mn_str("x")};

    for (uint64_t tenant = 0; tenant < 3; tenant++) {
        struct mn_semcache_handle h;
        if (mn_semcache_store(store, tenant, &entry, NULL, &h, NULL) == MN_OK)
            MNI_CHECK(h.pin != NULL && h.payload.n_bytes == 1);
        mn_semcache_release(&h);
        mni_ignore(mn_semcache_delete(store, tenant, tenant, NULL, NULL, NULL));
        mni_ignore(mn_semcache_set_budget(store, tenant, &budget, NULL, NULL));
    }
    mni_ignore(mn_semcache_drop_tenant(store, 1, NULL, NULL, NULL, NULL));
}

/* Whatever these answer, they end. */
static void write_more(mn_store *store)
{
    const struct mn_slice names[] = {mn_str("a"), mn_str("n"), mn_str("new")};
    struct mn_record record = {.id = mn_str("a"), .payload = mn_str("x")};

    mni_ignore(mn_sweep(store, NULL, NULL));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct mn_view view;
        if (mn_put(store, names[i], &record, NULL, NULL, NULL) == MN_OK) {
            mn_status st = mn_get(store, names[i], record.id, &view, NULL);
            MNI_CHECK(st == MN_OK && view.payload.n_bytes == 1);
            mn_view_release(&view);
        }
        mni_ignore(mn_delete(store, names[i], record.id, NULL, NULL, NULL, NULL));
        if (i != 1)
            mni_ignore(mn_namespace_drop(store, names[i], NULL, NULL));
    }
    write_entries(store);
}

/* Whether a bad log gives one number to two collections that are written to, and dropped. Then what
 * one does the other suffers, and nothing can be said of them. */
static bool shares_numbers(mn_store *store)
{
    enum { N_MAX = 64 };
    const struct mn_slice names[] = {mn_str("a"), mn_str("n"), mn_str("new")};
    struct mni_engine *engine = mni_api_store_engine(store);
    uint64_t tenants[N_MAX];
    uint64_t numbers[N_MAX + sizeof names / sizeof names[0]];
    unsigned char room[MNI_TENANT_KEY_BYTES];
    struct mni_collection c;
    size_t n_tenants = 0;
    size_t n = 0;

    mni_ignore(mn_semcache_list_tenants(store, 0, tenants, N_MAX, &n_tenants, NULL));
    for (size_t i = 0; i < n_tenants; i++)
        if (mni_engine_collection(engine, MNI_KIND_TENANT, mni_tenant_key(tenants[i], room), &c,
                                  NULL) == MN_OK)
            numbers[n++] = c.number;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (mni_engine_collection(engine, MNI_KIND_NAMESPACE, names[i], &c, NULL) == MN_OK)
            numbers[n++] = c.number;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (numbers[i] == numbers[k])
                return true;
    return false;
}

static void use_store(struct mni_env *env)
{
    struct mn_verify_report report = {.size = sizeof report};
    mn_status verify_st = mni_engine_verify(env, "store", &report, NULL);
    mn_status st;
    struct mni_engine *engine = open_engine(env, true, &st);

    /* A space may have a field of a newer version. */
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
    MNI_CHECK(st == verify_st);
    if (st != MN_OK) {
        engine = open_engine(env, false, &st);
        MNI_CHECK(engine == NULL && st == verify_st);
        return;
    }
    mn_store *store = store_of(engine);
    uint32_t sum = read_all(store);
    st = mn_close(store, NULL);
    MNI_CHECK(st == MN_OK);
    engine = open_engine(env, false, &st);
    MNI_CHECK(st == MN_OK);
    store = store_of(engine);
    MNI_CHECK(read_all(store) == sum);
    if (shares_numbers(store)) {
        mni_api_store_abandon(store);
        return;
    }
    write_more(store);
    sum = read_all(store);
    st = mn_close(store, NULL);
    MNI_CHECK(st == MN_OK);
    engine = open_engine(env, true, &st);
    MNI_CHECK(st == MN_OK);
    store = store_of(engine);
    MNI_CHECK(read_all(store) == sum);
    mni_api_store_abandon(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct mni_crash_env *crash;
    mn_status st = mni_crash_env_new(1, &crash);

    MNI_CHECK(st == MN_OK);
    struct mni_env *env = mni_crash_env_base(crash);
    make_store(env, (struct input){data, n_bytes});
    use_store(env);
    mni_crash_env_free(crash);
    return 0;
}
