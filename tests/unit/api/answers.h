/*
 * answers.h - short words for tests of the cache of answers: one store, and entries whose payload
 * and embedding say whose they are.
 */
#ifndef TESTS_UNIT_API_ANSWERS_H
#define TESTS_UNIT_API_ANSWERS_H

#include <inttypes.h>

#include "short.h"

enum { N_DIMS = 70 }; /* more than one word of signs */

static struct mn_error err;
static mn_store *store;
static char path[512];

struct key {
    unsigned char bytes[MN_SEMCACHE_KEY_BYTES];
};

static inline void begin(void)
{
    (void)snprintf(path, sizeof path, "%s/store", check_temp_dir());
    store = opened(path);
    CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
}

static inline void reopen(void)
{
    closed(store);
    store = opened(path);
}

static inline void checkpoint(void)
{
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
}

static inline struct key key_of(uint64_t number)
{
    struct key key = {{0}};

    memcpy(key.bytes + 24, &number, sizeof number);
    return key;
}

/* Signs that many numbers differ in, and lengths. */
static inline void embed(uint64_t number, float *embedding)
{
    uint64_t x = number * UINT64_C(0x9E3779B97F4A7C15) + 1;

    for (int i = 0; i < N_DIMS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        embedding[i] = (float)(int)(x % 2001) / 1000.0F - 1.0F;
    }
}

/* Stores what `entry` says, with a text as payload. Returns its id. */
static inline mn_status try_store(uint64_t tenant, const struct mn_semcache_entry *entry,
                                  enum mn_semcache_mode mode, uint64_t expected_lsn,
                                  uint64_t *id_out, uint64_t *lsn_out)
{
    const struct mn_semcache_store_options options = {
        .size = sizeof options, .mode = mode, .expected_lsn = expected_lsn};
    struct mn_semcache_handle handle;
    mn_status st = mn_semcache_store(store, tenant, entry, &options, &handle, &err);

    CHECK((st == MN_OK) == (handle.pin != NULL));
    if (st == MN_OK) {
        CHECK_EQ(handle.tenant, tenant);
        CHECK_EQ(handle.payload.n_bytes, entry->payload.n_bytes);
        if (entry->payload.n_bytes > 0)
            CHECK_MEM_EQ(handle.payload.data, entry->payload.data, entry->payload.n_bytes);
        CHECK_EQ(handle.hits, 0);
        if (id_out != NULL)
            *id_out = handle.id;
        if (lsn_out != NULL)
            *lsn_out = handle.lsn;
    }
    mn_semcache_release(&handle);
    return st;
}

/* An entry with this id, its key and its embedding. */
static inline void store_full(uint64_t tenant, uint64_t id, const char *payload)
{
    const struct key key = key_of(id);
    float embedding[N_DIMS];

    embed(id, embedding);
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID,
                                            .id = id,
                                            .key = key.bytes,
                                            .embedding = embedding,
                                            .n_dims = N_DIMS,
                                            .payload = mn_str(payload)};
    CHECK_OK_ERR(try_store(tenant, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
}

static inline bool is_text(const struct mn_semcache_handle *handle, const char *text)
{
    return handle->payload.n_bytes == strlen(text) &&
           memcmp(handle->payload.data, text, strlen(text)) == 0;
}

static inline void check_loads(uint64_t tenant, uint64_t id, const char *payload)
{
    struct mn_semcache_handle handle;

    CHECK_OK_ERR(mn_semcache_peek(store, tenant, id, &handle, &err), &err);
    CHECK(handle.tenant == tenant && handle.id == id && is_text(&handle, payload));
    mn_semcache_release(&handle);
    CHECK(handle.pin == NULL && handle.payload.data == NULL);
}

static inline void check_exact(uint64_t tenant, uint64_t number, uint64_t id, const char *payload)
{
    const struct key key = key_of(number);
    struct mn_semcache_handle handle;

    CHECK_OK_ERR(mn_semcache_load_exact(store, tenant, key.bytes, &handle, &err), &err);
    CHECK(handle.id == id && is_text(&handle, payload));
    CHECK_MEM_EQ(handle.key, key.bytes, sizeof key);
    mn_semcache_release(&handle);
}

static inline void check_gone(uint64_t tenant, uint64_t id)
{
    struct mn_semcache_handle handle;
    bool exists = true;

    CHECK_STATUS(mn_semcache_peek(store, tenant, id, &handle, &err), MN_NOT_FOUND);
    CHECK(handle.pin == NULL);
    CHECK_OK(mn_semcache_exists(store, tenant, id, &exists, &err));
    CHECK(!exists);
}

static inline void check_no_key(uint64_t tenant, uint64_t number)
{
    const struct key key = key_of(number);
    struct mn_semcache_handle handle;

    CHECK_STATUS(mn_semcache_load_exact(store, tenant, key.bytes, &handle, &err), MN_NOT_FOUND);
    CHECK(handle.pin == NULL);
}

static inline struct mn_semcache_stats cache_stats(void)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};

    CHECK_OK_ERR(mn_semcache_get_stats(store, &stats, &err), &err);
    return stats;
}

static inline struct mn_semcache_stats tenant_stats(uint64_t tenant)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};

    CHECK_OK_ERR(mn_semcache_tenant_stats(store, tenant, &stats, &err), &err);
    return stats;
}

#endif
