/* Tests of the cache of answers: storing, loading, removing. */
#include <math.h>
#include <time.h>

#include "answers.h"
#include "base/bytes.h"
#include "engine/engine.h"

/* Ids and keys ---------- */

static void an_entry_is_found_by_its_id_and_by_its_key(void)
{
    static const uint64_t ids[] = {0, 1, 255, 256, UINT64_C(1) << 63, UINT64_MAX};

    begin();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < CHECK_COUNT(ids); i++)
            store_full(7, ids[i], round == 0 ? "one" : "two");
        for (size_t i = 0; i < CHECK_COUNT(ids); i++) {
            check_loads(7, ids[i], round == 0 ? "one" : "two");
            check_exact(7, ids[i], ids[i], round == 0 ? "one" : "two");
            check_gone(8, ids[i]);
            check_no_key(8, ids[i]);
        }
        check_gone(7, 2);
        check_no_key(7, 2);
        checkpoint();
        reopen();
    }
    CHECK_EQ(cache_stats().n_entries, CHECK_COUNT(ids));
    CHECK_EQ(stats_of(store).n_namespaces, 0);
    closed(store);
}

static void two_tenants_share_nothing(void)
{
    begin();
    for (int round = 0; round < 2; round++) {
        store_full(1, 5, "mine");
        store_full(2, 5, "yours");
        check_loads(1, 5, "mine");
        check_exact(2, 5, 5, "yours");
        CHECK_OK(mn_semcache_delete(store, 1, 5, NULL, NULL, &err));
        check_gone(1, 5);
        check_no_key(1, 5);
        check_exact(2, 5, 5, "yours");
        CHECK_STATUS(mn_semcache_delete(store, 1, 5, NULL, NULL, &err), MN_NOT_FOUND);
        CHECK_STR_HAS(err.message, "tenant 1, entry 5: there is none");
        CHECK_STR_HAS(err.message, path);
        checkpoint();
    }
    closed(store);
}

static void a_key_belongs_to_one_entry(void)
{
    const struct key key = key_of(9);
    struct mn_semcache_entry entry = {.key = key.bytes, .payload = mn_str("first")};
    uint64_t id = 99;
    uint64_t again = 99;
    uint64_t lsn = 0;

    begin();
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, &id, NULL), &err);
    entry.payload = mn_str("second");
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, &again, NULL), &err);
    CHECK_EQ(again, id); /* it took the place */
    check_exact(1, 9, id, "second");
    /* Another id with the key: the other one goes. */
    entry.fields = MN_HAS_ENTRY_ID;
    entry.id = id + 100;
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, &again, &lsn), &err);
    CHECK_EQ(again, id + 100);
    check_exact(1, 9, id + 100, "second");
    check_gone(1, id);
    CHECK_EQ(cache_stats().n_entries, 1);
    /* The same id with another key: the key goes. */
    const struct key other = key_of(10);
    entry.key = other.bytes;
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    check_no_key(1, 9);
    check_exact(1, 10, id + 100, "second");
    entry.key = NULL;
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    check_no_key(1, 10);
    check_loads(1, id + 100, "second");
    reopen();
    check_no_key(1, 10);
    check_no_key(1, 9);
    check_loads(1, id + 100, "second");
    CHECK_EQ(cache_stats().n_entries, 1);
    closed(store);
}

/* As a store may be after a salvage, to which a delete was lost. */
static void put_past_the_cache(uint64_t tenant, uint64_t id, uint64_t number, const char *payload)
{
    const struct key exact = key_of(number);
    unsigned char room[MNI_TENANT_KEY_BYTES];
    unsigned char key[8] = {0, 0, 0, 0, 0, 0, 0, (unsigned char)id};
    unsigned char head[16] = {0};
    struct mni_batch *batch = NULL;
    size_t index = 0;

    mni_put_u64(head, tenant);
    const struct mni_record record = {.type = MNI_RECORD_UPSERT,
                                      .fields = MNI_FIELD_SECOND_KEY | MNI_FIELD_EVENT_TIME,
                                      .key = bytes(key, sizeof key),
                                      .metadata = bytes(head, sizeof head),
                                      .payload = mn_str(payload),
                                      .second_key = exact.bytes};
    CHECK_OK(mni_batch_new(mni_api_store_engine(store), NULL, &batch));
    CHECK_OK(mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, room), true,
                                  &index, &err));
    CHECK_OK(mni_batch_add(batch, index, &record, MNI_ALWAYS, 0, NULL, &err));
    CHECK_OK_ERR(mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &err), &err);
    mni_batch_free(batch);
}

static void of_two_entries_with_one_key_the_newer_stays(void)
{
    begin();
    put_past_the_cache(1, 9, 5, "older");
    put_past_the_cache(1, 2, 5, "newer");
    put_past_the_cache(1, 1, 6, "older");
    put_past_the_cache(1, 3, 6, "newer");
    put_past_the_cache(2, 9, 5, "other");
    for (int round = 0; round < 2; round++) {
        check_exact(1, 5, 2, "newer");
        check_exact(1, 6, 3, "newer");
        check_exact(2, 5, 9, "other");
        check_loads(1, 9, "older");
        check_loads(1, 1, "older");
        CHECK_EQ(cache_stats().n_entries, 3);
        reopen();
    }
    closed(store);
}

static void ids_are_assigned_that_nobody_has(void)
{
    struct mn_semcache_entry entry = {.payload = mn_str("x")};
    uint64_t ids[20];

    begin();
    store_full(1, 3, "three");
    store_full(1, UINT64_MAX, "last");
    for (size_t i = 0; i < CHECK_COUNT(ids); i++) {
        CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, &ids[i], NULL), &err);
        for (size_t j = 0; j < i; j++)
            CHECK(ids[i] != ids[j]);
        CHECK(ids[i] != 3 && ids[i] != UINT64_MAX);
        if (i == 10)
            reopen();
    }
    check_loads(1, 3, "three");
    CHECK_EQ(cache_stats().n_entries, 22);
    closed(store);
}

static void conditions_are_judged(void)
{
    const struct key key = key_of(1);
    struct mn_semcache_entry entry = {
        .fields = MN_HAS_ENTRY_ID, .id = 4, .key = key.bytes, .payload = mn_str("a")};
    uint64_t lsn = 0;
    uint64_t last = 0;

    begin();
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_IF_LSN, 1, NULL, NULL), MN_CHANGED);
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_IF_ABSENT, 0, NULL, &lsn), &err);
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_IF_ABSENT, 0, NULL, NULL), MN_EXISTS);
    CHECK_STR_HAS(err.message, "tenant 1, entry 4: it exists");
    entry.id = 5; /* the key is there */
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_IF_ABSENT, 0, NULL, NULL), MN_EXISTS);
    CHECK_STR_HAS(err.message, "entry 4 has the key");
    entry.fields = 0;
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_IF_ABSENT, 0, NULL, NULL), MN_EXISTS);
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_IF_LSN, lsn, NULL, NULL), MN_ERR_INVALID);
    entry.fields = MN_HAS_ENTRY_ID;
    entry.id = 4;
    entry.payload = mn_str("b");
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_IF_LSN, lsn + 1, NULL, NULL), MN_CHANGED);
    check_loads(1, 4, "a");
    reopen();
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_IF_LSN, lsn, NULL, &last), &err);
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_IF_LSN, lsn, NULL, NULL), MN_CHANGED);
    check_loads(1, 4, "b");
    CHECK(last > lsn);
    closed(store);
}

/* Content ---------- */

static void everything_of_an_entry_comes_back(void)
{
    const struct key key = key_of(77);
    float embedding[N_DIMS];
    struct mn_semcache_handle handle;

    embed(3, embedding);
    embedding[0] = 65504.0F;
    embedding[1] = -0.0F;
    embedding[2] = 5.9604645e-8F; /* the smallest half */
    const struct mn_semcache_entry entry = {
        .fields = MN_HAS_ENTRY_ID | MN_HAS_EXPIRES_AT | MN_HAS_EVENT_TIME,
        .id = 12,
        .key = key.bytes,
        .context = UINT64_MAX - 1,
        .model = mn_str("modèle-1"),
        .embedding = embedding,
        .n_dims = N_DIMS,
        .payload = bytes("a\0b", 3),
        .event_time_us = -5,
        .expires_at_us = INT64_MAX - 1,
    };
    begin();
    CHECK_OK_ERR(try_store(UINT64_MAX, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    for (int round = 0; round < 3; round++) {
        CHECK_OK_ERR(mn_semcache_load(store, UINT64_MAX, 12, &handle, &err), &err);
        CHECK(handle.tenant == UINT64_MAX && handle.id == 12 && handle.context == UINT64_MAX - 1);
        CHECK_EQ(handle.model.n_bytes, strlen("modèle-1"));
        CHECK_MEM_EQ(handle.model.data, "modèle-1", handle.model.n_bytes);
        CHECK_MEM_EQ(handle.key, key.bytes, sizeof key);
        CHECK(handle.payload.n_bytes == 3 && handle.event_time_us == -5);
        CHECK(handle.fields == MN_HAS_EXPIRES_AT && handle.expires_at_us == INT64_MAX - 1);
        CHECK(handle.n_dims == N_DIMS && handle.embedding[0] == 0x7bff);
        CHECK(handle.embedding[1] == 0x8000 && handle.embedding[2] == 1);
        CHECK_EQ(handle.hits, round);
        CHECK((handle.last_hit_us != 0) == (round > 0));
        mn_semcache_release(&handle);
        if (round == 0)
            checkpoint();
        else
            reopen();
    }
    closed(store);
}

static void small_and_large_payloads(void)
{
    const size_t most = MN_PAYLOAD_BYTES_MAX;
    unsigned char *payload = malloc(most + 1);
    struct mn_semcache_handle handle;
    struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID, .id = 1};

    CHECK(payload != NULL);
    memset(payload, 'x', most + 1);
    begin();
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    entry.id = 2;
    entry.payload = bytes(payload, most + 1);
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_LIMIT);
    entry.payload.n_bytes = most;
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    for (int round = 0; round < 2; round++) {
        CHECK_OK_ERR(mn_semcache_load(store, 1, 1, &handle, &err), &err);
        CHECK(handle.payload.n_bytes == 0 && handle.n_dims == 0 && handle.key == NULL);
        mn_semcache_release(&handle);
        CHECK_OK_ERR(mn_semcache_load(store, 1, 2, &handle, &err), &err);
        CHECK_EQ(handle.payload.n_bytes, most);
        CHECK(memcmp(handle.payload.data, payload, most) == 0);
        mn_semcache_release(&handle);
        checkpoint();
    }
    closed(store);
    free(payload);
}

static void bad_entries_are_refused(void)
{
    float embedding[N_DIMS] = {0};
    struct mn_semcache_entry entry = {
        .fields = MN_HAS_ENTRY_ID, .embedding = embedding, .n_dims = N_DIMS};
    char model[MN_SEMCACHE_MODEL_BYTES_MAX + 1];

    begin();
    embedding[69] = NAN;
    CHECK_STATUS(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "tenant 3, entry 0: element 69 of the embedding is not a number");
    embedding[69] = -INFINITY;
    CHECK_STATUS(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_INVALID);
    embedding[69] = 65520;
    CHECK_STATUS(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "element 69 of the embedding is 65520, too large for 16 bits");
    embedding[69] = 6.1e-5F;
    CHECK_STATUS(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "too small for 16 bits");
    embedding[69] = 65519;
    CHECK_OK_ERR(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    entry.n_dims = N_DIMS - 1;
    CHECK_STATUS(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_DIMENSION);
    entry.n_dims = 0;
    memset(model, 'm', sizeof model);
    entry.model = bytes(model, sizeof model);
    CHECK_STATUS(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_LIMIT);
    entry.model = bytes("\xff", 1);
    CHECK_STATUS(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_INVALID);
    entry.model = mn_str("");
    entry.fields = 1 << 20;
    CHECK_STATUS(try_store(3, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_semcache_store(store, 3, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_semcache_store(NULL, 3, &entry, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_EQ(cache_stats().n_entries, 1);
    closed(store);
}

/* Expiry ---------- */

static void sleep_ms(long ms)
{
    const struct timespec t = {0, ms * 1000000};

    (void)nanosleep(&t, NULL);
}

static void what_has_expired_is_gone_everywhere(void)
{
    const struct key key = key_of(1);
    float embedding[N_DIMS];
    struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID | MN_HAS_TTL,
                                      .id = 1,
                                      .key = key.bytes,
                                      .embedding = embedding,
                                      .n_dims = N_DIMS,
                                      .ttl_us = 1000};
    uint64_t ids[4];
    size_t n = 9;

    embed(1, embedding);
    begin();
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    entry.fields = MN_HAS_ENTRY_ID | MN_HAS_EXPIRES_AT | MN_HAS_TTL;
    entry.id = 2;
    entry.key = NULL;
    entry.ttl_us = 100000000;
    entry.expires_at_us = 0; /* it wins */
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    sleep_ms(5);
    for (int round = 0; round < 2; round++) {
        check_gone(1, 1);
        check_gone(1, 2);
        check_no_key(1, 1);
        CHECK_OK(mn_semcache_list_entries(store, 1, 0, ids, 4, &n, &err));
        CHECK_EQ(n, 0);
        CHECK_EQ(cache_stats().n_entries, 0);
        CHECK_EQ(cache_stats().allocated_bytes, 0);
        CHECK_STATUS(mn_semcache_delete(store, 1, 1, NULL, NULL, &err), MN_NOT_FOUND);
        const struct mn_semcache_query query = {.size = sizeof query,
                                                .key = key.bytes,
                                                .embedding = embedding,
                                                .n_dims = N_DIMS,
                                                .min_similarity = 0.1F};
        struct mn_semcache_result result = {.size = sizeof result};
        CHECK_OK_ERR(mn_semcache_lookup(store, 1, &query, &result, &err), &err);
        CHECK(result.kind == MN_SEMCACHE_MISS && result.reason == MN_SEMCACHE_NO_SCOPE);
        reopen();
    }
    entry.key = key.bytes; /* what it held is free */
    entry.fields = 0;
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_IF_ABSENT, 0, NULL, NULL), &err);
    closed(store);
}

/* Removing ---------- */

static uint64_t invalidate(uint64_t tenant, struct mn_semcache_filter filter)
{
    uint64_t n = 99;

    filter.size = sizeof filter;
    CHECK_OK_ERR(mn_semcache_invalidate(store, tenant, &filter, NULL, &n, &err), &err);
    return n;
}

static void store_in_scope(uint64_t tenant, uint64_t id, const char *model, uint64_t context,
                           int64_t time_us)
{
    const struct key key = key_of(id);
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID | MN_HAS_EVENT_TIME,
                                            .id = id,
                                            .key = key.bytes,
                                            .model = mn_str(model),
                                            .context = context,
                                            .event_time_us = time_us};
    CHECK_OK_ERR(try_store(tenant, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
}

static void invalidating_takes_what_matches(void)
{
    begin();
    for (int round = 0; round < 2; round++) {
        for (uint64_t id = 0; id < 60; id++) {
            store_in_scope(1, id, id % 2 == 0 ? "a" : "b", id % 3, (int64_t)id);
            store_in_scope(2, id, "a", 0, 0);
        }
        if (round == 1)
            reopen();
        const struct key key = key_of(4);
        CHECK_EQ(invalidate(1, (struct mn_semcache_filter){.fields = MN_SEMCACHE_BY_KEY |
                                                                     MN_SEMCACHE_BY_MODEL,
                                                           .key = key.bytes,
                                                           .model = mn_str("b")}),
                 0);
        CHECK_EQ(invalidate(1, (struct mn_semcache_filter){.fields = MN_SEMCACHE_BY_KEY,
                                                           .key = key.bytes}),
                 1);
        check_gone(1, 4);
        check_loads(2, 4, "");
        CHECK_EQ(invalidate(
                     1, (struct mn_semcache_filter){.fields = MN_SEMCACHE_BY_AGE, .before_us = 10}),
                 9);
        check_loads(1, 10, "");
        CHECK_EQ(invalidate(1, (struct mn_semcache_filter){.fields = MN_SEMCACHE_BY_MODEL |
                                                                     MN_SEMCACHE_BY_CONTEXT,
                                                           .model = mn_str("b"),
                                                           .context = 2}),
                 9); /* 11, 17, ... 59 */
        CHECK_EQ(invalidate(1, (struct mn_semcache_filter){.fields = MN_SEMCACHE_BY_CONTEXT,
                                                           .context = 7}),
                 0);
        CHECK_EQ(tenant_stats(1).n_entries, 41);
        CHECK_EQ(invalidate(1, (struct mn_semcache_filter){.fields = MN_SEMCACHE_ALL}), 41);
        CHECK_EQ(tenant_stats(1).n_entries, 0);
        CHECK_EQ(tenant_stats(1).allocated_bytes, 0);
        CHECK_EQ(tenant_stats(2).n_entries, 60);
        CHECK_EQ(invalidate(3, (struct mn_semcache_filter){.fields = MN_SEMCACHE_ALL}), 0);
    }
    struct mn_semcache_filter filter = {.size = sizeof filter};
    CHECK_STATUS(mn_semcache_invalidate(store, 1, &filter, NULL, NULL, &err), MN_ERR_INVALID);
    filter.fields = MN_SEMCACHE_ALL | MN_SEMCACHE_BY_AGE;
    CHECK_STATUS(mn_semcache_invalidate(store, 1, &filter, NULL, NULL, &err), MN_ERR_INVALID);
    filter.fields = MN_SEMCACHE_BY_KEY;
    CHECK_STATUS(mn_semcache_invalidate(store, 1, &filter, NULL, NULL, &err), MN_ERR_INVALID);
    closed(store);
}

static void invalidating_many_takes_several_commits(void)
{
    enum { N_MANY = 10000 };

    begin();
    for (uint64_t id = 0; id < N_MANY; id++)
        store_in_scope(1, id, "", 0, 0);
    CHECK_EQ(invalidate(1, (struct mn_semcache_filter){.fields = MN_SEMCACHE_ALL}), N_MANY);
    CHECK_EQ(cache_stats().n_entries, 0);
    closed(store);
}

static void tenants_are_dropped_and_come_again(void)
{
    bool existed = false;
    uint64_t lsn = 9;
    uint64_t n = 9;
    uint64_t tenants[8];
    size_t n_tenants = 9;

    begin();
    for (int round = 0; round < 2; round++) {
        store_full(1, 1, "a");
        store_full(UINT64_MAX, 1, "b");
        store_full(0, 2, "c");
        CHECK_OK(mn_semcache_list_tenants(store, 0, tenants, 8, &n_tenants, &err));
        CHECK(n_tenants == 3 && tenants[0] == 0 && tenants[1] == 1 && tenants[2] == UINT64_MAX);
        CHECK_OK(mn_semcache_list_tenants(store, 1, tenants, 1, &n_tenants, &err));
        CHECK(n_tenants == 1 && tenants[0] == 1);
        CHECK_EQ(cache_stats().n_tenants, 3);
        CHECK_OK(mn_semcache_drop_tenant(store, 1, NULL, &existed, &lsn, &err));
        CHECK(existed && lsn != 0);
        CHECK_OK(mn_semcache_drop_tenant(store, 1, NULL, &existed, &lsn, &err));
        CHECK(!existed && lsn == 0);
        check_gone(1, 1);
        check_no_key(1, 1);
        check_loads(0, 2, "c");
        CHECK_OK(mn_semcache_cleanup(store, NULL, &n, &err));
        CHECK_EQ(n, 0);
        CHECK_OK(mn_semcache_delete(store, 0, 2, NULL, NULL, &err));
        CHECK_EQ(cache_stats().n_tenants, 2);
        CHECK_OK(mn_semcache_cleanup(store, NULL, &n, &err));
        CHECK_EQ(n, 1);
        CHECK_EQ(cache_stats().n_tenants, 1);
        struct mn_semcache_stats stats = {.size = sizeof stats};
        CHECK_STATUS(mn_semcache_tenant_stats(store, 1, &stats, &err), MN_NOT_FOUND);
        CHECK_STATUS(mn_semcache_list_entries(store, 1, 0, tenants, 8, &n_tenants, &err),
                     MN_NOT_FOUND);
        checkpoint();
        reopen();
    }
    closed(store);
}

/* Lists and numbers ---------- */

static void entries_are_listed_in_order_and_in_pages(void)
{
    uint64_t ids[8];
    size_t n = 0;

    begin();
    for (uint64_t i = 0; i < 40; i++) {
        store_full(1, (i * 7) % 40 * 1000, "x");
        if (i % 13 == 0)
            checkpoint();
    }
    store_full(1, UINT64_MAX, "last");
    uint64_t from = 0;
    uint64_t expected = 0;
    do {
        CHECK_OK_ERR(mn_semcache_list_entries(store, 1, from, ids, 8, &n, &err), &err);
        for (size_t i = 0; i < n; i++, expected++)
            CHECK_EQ(ids[i], expected == 40 ? UINT64_MAX : expected * 1000);
        from = n > 0 ? ids[n - 1] + 1 : 0;
    } while (n == 8);
    CHECK_EQ(expected, 41);
    CHECK_OK_ERR(mn_semcache_list_entries(store, 1, UINT64_MAX, ids, 8, &n, &err), &err);
    CHECK(n == 1 && ids[0] == UINT64_MAX);
    CHECK_STATUS(mn_semcache_list_entries(store, 1, 0, ids, 0, &n, &err), MN_ERR_INVALID);
    closed(store);
}

static void numbers_are_exact(void)
{
    struct mn_semcache_handle handle;
    const struct key key = key_of(1);

    begin();
    store_full(1, 1, "four");
    store_full(1, 2, "");
    store_full(2, 1, "other");
    struct mn_semcache_stats stats = tenant_stats(1);
    CHECK(stats.n_tenants == 1 && stats.n_entries == 2);
    CHECK_EQ(stats.logical_bytes, 2 * (32 + N_DIMS * 2) + 4);
    CHECK(stats.allocated_bytes > stats.logical_bytes);
    uint64_t allocated = cache_stats().allocated_bytes;
    CHECK_EQ(cache_stats().logical_bytes, 3 * (32 + N_DIMS * 2) + 9);
    CHECK_OK(mn_semcache_load(store, 1, 1, &handle, &err));
    mn_semcache_release(&handle);
    CHECK_OK(mn_semcache_load_exact(store, 1, key.bytes, &handle, &err));
    CHECK_EQ(handle.hits, 1);
    mn_semcache_release(&handle);
    CHECK_STATUS(mn_semcache_load(store, 1, 7, &handle, &err), MN_NOT_FOUND);
    stats = tenant_stats(1);
    CHECK(stats.n_hits_id == 1 && stats.n_hits_exact == 1 && stats.n_misses == 1);
    CHECK(tenant_stats(2).n_misses == 0 && cache_stats().n_misses == 1);
    checkpoint();
    reopen();
    CHECK_EQ(cache_stats().allocated_bytes, allocated);
    CHECK_EQ(cache_stats().n_hits_id, 0);
    CHECK_OK(mn_semcache_peek(store, 1, 1, &handle, &err));
    CHECK_EQ(handle.hits, 2);
    mn_semcache_release(&handle);
    CHECK_STR_EQ(mn_semcache_path(store), path);
    closed(store);
}

/* Handles ---------- */

static void a_handle_outlives_everything_but_the_store(void)
{
    struct mn_semcache_handle handles[4];
    struct mn_semcache_handle more;
    uint64_t n = 0;

    begin();
    for (uint64_t i = 0; i < 4; i++)
        store_full(1, i, "kept");
    CHECK_OK(mn_semcache_load(store, 1, 0, &handles[0], &err));
    CHECK_OK(mn_semcache_load(store, 1, 1, &handles[1], &err));
    checkpoint();
    CHECK_OK(mn_semcache_load(store, 1, 2, &handles[2], &err));
    CHECK_OK(mn_semcache_load(store, 1, 3, &handles[3], &err));
    CHECK_OK(mn_semcache_retain(&handles[2], &more, &err));
    store_full(1, 0, "overwritten");
    CHECK_OK(mn_semcache_delete(store, 1, 1, NULL, NULL, &err));
    store_full(1, 2, "overwritten");
    CHECK_OK(mn_semcache_drop_tenant(store, 1, NULL, NULL, NULL, &err));
    checkpoint();
    CHECK_OK(mn_semcache_cleanup(store, NULL, &n, &err));
    store_full(1, 2, "again");
    checkpoint();
    for (size_t i = 0; i < 4; i++) {
        CHECK(is_text(&handles[i], "kept") && handles[i].id == i);
        mn_semcache_release(&handles[i]);
    }
    CHECK(is_text(&more, "kept") && more.id == 2);
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    mn_semcache_release(&more);
    mn_semcache_release(&more);
    CHECK_STATUS(mn_semcache_retain(&more, &handles[0], &err), MN_ERR_INVALID);
    check_loads(1, 2, "again");
    closed(store);
}

static void handles_are_within_their_budget(void)
{
    struct mn_semcache_handle handles[64];
    struct mn_semcache_handle more;
    char payload[20001] = {0};
    size_t n = 0;
    mn_status st = MN_OK;

    memset(payload, 'x', sizeof payload - 1);
    begin();
    store_full(1, 1, payload);
    CHECK_OK_ERR(mn_config_set(store, "pinned_bytes_max", "1048576", &err), &err);
    for (int round = 0; round < 2; round++) {
        for (n = 0; n < CHECK_COUNT(handles); n++) {
            st = n % 2 == 0 ? mn_semcache_load(store, 1, 1, &handles[n], &err)
                            : mn_semcache_retain(&handles[n - 1], &handles[n], &err);
            if (st != MN_OK)
                break;
        }
        CHECK_STATUS(st, MN_ERR_BUDGET);
        CHECK(n > 30 && n < 64);
        const struct mn_semcache_entry entry = {.payload = mn_str(payload)};
        CHECK_OK_ERR(mn_semcache_store(store, 1, &entry, NULL, &more, &err), &err);
        CHECK(more.pin == NULL); /* it is stored all the same */
        CHECK_EQ(cache_stats().n_entries, (uint64_t)round + 2);
        while (n > 0)
            mn_semcache_release(&handles[--n]);
        checkpoint();
    }
    closed(store);
}

/* Streams ---------- */

static void a_stream_shows_when_it_is_committed(void)
{
    const struct key key = key_of(1);
    struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID, .id = 1, .key = key.bytes};
    struct mn_semcache_handle handle;
    mn_semcache_stream *stream = NULL;
    mn_semcache_stream *other = NULL;

    begin();
    CHECK_OK_ERR(mn_semcache_begin(store, 1, &entry, NULL, &stream, &err), &err);
    CHECK_OK_ERR(mn_semcache_begin(store, 1, &entry, NULL, &other, &err), &err);
    for (int i = 0; i < 1000; i++)
        CHECK_OK_ERR(mn_semcache_append(stream, mn_str("0123456789"), &err), &err);
    CHECK_OK(mn_semcache_append(other, mn_str("never"), &err));
    check_gone(1, 1);
    check_no_key(1, 1);
    mn_semcache_abort(other);
    CHECK_OK_ERR(mn_semcache_commit(stream, &handle, &err), &err);
    CHECK_EQ(handle.payload.n_bytes, 10000);
    CHECK_MEM_EQ((const char *)handle.payload.data + 9990, "0123456789", 10);
    mn_semcache_release(&handle);
    entry.payload = mn_str("x");
    CHECK_STATUS(mn_semcache_begin(store, 1, &entry, NULL, &stream, &err), MN_ERR_INVALID);
    CHECK(stream == NULL);
    entry.payload.n_bytes = 0;
    const struct mn_semcache_store_options options = {.size = sizeof options,
                                                      .mode = MN_SEMCACHE_IF_ABSENT};
    CHECK_OK(mn_semcache_begin(store, 1, &entry, &options, &stream, &err));
    CHECK_STATUS(mn_semcache_commit(stream, NULL, &err), MN_EXISTS); /* and it is freed */
    CHECK_OK(mn_semcache_begin(store, 2, &entry, NULL, &stream, &err));
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    CHECK_OK_ERR(mn_semcache_commit(stream, NULL, &err), &err); /* without a chunk */
    check_loads(2, 1, "");
    reopen();
    check_exact(2, 1, 1, "");
    closed(store);
}

static void a_stream_is_bounded(void)
{
    const struct mn_semcache_entry entry = {.fields = 0};
    const size_t chunk = 1 << 20;
    unsigned char *payload = calloc(1, chunk);
    mn_semcache_stream *stream = NULL;
    struct mn_semcache_handle handle;

    CHECK(payload != NULL);
    begin();
    CHECK_OK(mn_semcache_begin(store, 1, &entry, NULL, &stream, &err));
    for (int i = 0; i < 64; i++)
        CHECK_OK_ERR(mn_semcache_append(stream, bytes(payload, chunk), &err), &err);
    CHECK_STATUS(mn_semcache_append(stream, bytes(payload, 1), &err), MN_ERR_LIMIT);
    CHECK_OK_ERR(mn_semcache_commit(stream, &handle, &err), &err);
    CHECK_EQ(handle.payload.n_bytes, MN_PAYLOAD_BYTES_MAX);
    mn_semcache_release(&handle);
    CHECK_OK_ERR(mn_config_set(store, "memory_bytes_max", "67108864", &err), &err);
    CHECK_OK(mn_semcache_begin(store, 1, &entry, NULL, &stream, &err));
    mn_status st = MN_OK;
    for (int i = 0; i < 64 && st == MN_OK; i++)
        st = mn_semcache_append(stream, bytes(payload, chunk), &err);
    CHECK_STATUS(st, MN_ERR_BUDGET);
    mn_semcache_abort(stream);
    mn_semcache_abort(NULL);
    closed(store);
    free(payload);
}

/* Keys of requests ---------- */

static void keys_tell_requests_apart(void)
{
    struct {
        uint64_t tenant;
        const char *model;
        const char *request;
    } all[] = {{1, "m", "what is tea"},
               {2, "m", "what is tea"},
               {1, "n", "what is tea"},
               {1, "mw", "hat is tea"},
               {1, "", "mwhat is tea"},
               {1, "m", "what is tea "},
               {1, "m", ""}};
    unsigned char keys[CHECK_COUNT(all)][MN_SEMCACHE_KEY_BYTES];

#ifdef MNI_HAVE_CRYPTO
    /* By another program: SHA-256 of the label with its NUL, 1, 1, "m", 11, "what is tea". */
    static const unsigned char known[MN_SEMCACHE_KEY_BYTES] = {
        0x69, 0x77, 0x22, 0x2b, 0x5e, 0x63, 0xfd, 0x55, 0xd8, 0xd2, 0x1d,
        0xab, 0xbf, 0x8e, 0x82, 0x39, 0x10, 0x41, 0xf2, 0x51, 0xf2, 0x76,
        0xf6, 0xad, 0x1d, 0x4b, 0xe3, 0xa7, 0x68, 0xf8, 0xbe, 0x9c};
    for (size_t i = 0; i < CHECK_COUNT(all); i++) {
        CHECK_OK_ERR(mn_semcache_key(all[i].tenant, mn_str(all[i].model), mn_str(all[i].request),
                                     keys[i], &err),
                     &err);
        for (size_t j = 0; j < i; j++)
            CHECK(memcmp(keys[i], keys[j], sizeof keys[i]) != 0);
    }
    CHECK_MEM_EQ(keys[0], known, sizeof known);
#else
    CHECK_STATUS(
        mn_semcache_key(all[0].tenant, mn_str(all[0].model), mn_str(all[0].request), keys[0], &err),
        MN_ERR_UNSUPPORTED);
#endif
}

static void a_reader_reads_and_writes_nothing(void)
{
    struct mn_options options = small_store();
    const struct mn_semcache_entry entry = {.payload = mn_str("x")};
    struct mn_semcache_handle handle;
    mn_semcache_stream *stream = NULL;

    begin();
    store_full(1, 1, "a");
    closed(store);
    options.read_only = true;
    options.create = false;
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    CHECK_OK(mn_semcache_load(store, 1, 1, &handle, &err));
    mn_semcache_release(&handle);
    check_exact(1, 1, 1, "a");
    CHECK_STATUS(mn_semcache_store(store, 1, &entry, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_semcache_begin(store, 1, &entry, NULL, &stream, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_semcache_delete(store, 1, 1, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_semcache_drop_tenant(store, 1, NULL, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_semcache_cleanup(store, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_semcache_set_budget(store, 1, NULL, NULL, &err), MN_ERR_READ_ONLY);
    closed(store);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        CHECK_TEST(an_entry_is_found_by_its_id_and_by_its_key),
        CHECK_TEST(two_tenants_share_nothing),
        CHECK_TEST(a_key_belongs_to_one_entry),
        CHECK_TEST(of_two_entries_with_one_key_the_newer_stays),
        CHECK_TEST(ids_are_assigned_that_nobody_has),
        CHECK_TEST(conditions_are_judged),
        CHECK_TEST(everything_of_an_entry_comes_back),
        CHECK_TEST(small_and_large_payloads),
        CHECK_TEST(bad_entries_are_refused),
        CHECK_TEST(what_has_expired_is_gone_everywhere),
        CHECK_TEST(invalidating_takes_what_matches),
        CHECK_TEST(invalidating_many_takes_several_commits),
        CHECK_TEST(tenants_are_dropped_and_come_again),
        CHECK_TEST(entries_are_listed_in_order_and_in_pages),
        CHECK_TEST(numbers_are_exact),
        CHECK_TEST(a_handle_outlives_everything_but_the_store),
        CHECK_TEST(handles_are_within_their_budget),
        CHECK_TEST(a_stream_shows_when_it_is_committed),
        CHECK_TEST(a_stream_is_bounded),
        CHECK_TEST(keys_tell_requests_apart),
        CHECK_TEST(a_reader_reads_and_writes_nothing),
    };

    return check_run("api.semcache", tests, CHECK_COUNT(tests), argc, argv);
}
