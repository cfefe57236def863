/*
 * semcache_test.c - a cache of answers that many threads use at once, beside checkpoints that write
 * hits: every entry that is shown is whole and the right one, budgets hold at every moment, and
 * nobody waits for ever.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "io/thread.h"
#include "mneme/mneme.h"

enum {
    N_DIMS = 24,
    N_THREADS = 8,
    HEAD_BYTES = 32, /* of a payload: tenant, id, key, version */
};

static mn_store *store;
static const char *path;
static atomic_bool is_over;
static atomic_uint_fast64_t versions;

struct worker {
    struct mni_thread thread;
    uint64_t random;
    unsigned index;
    const char *failure; /* the first thing that went wrong; NULL = nothing */
};

/* Worlds ---------- */

static void open_store(uint64_t memory_bytes_max)
{
    struct mn_options o = {.size = sizeof o,
                           .create = true,
                           .sync = MN_SYNC_MANUAL,
                           .memory_bytes_max = memory_bytes_max};

    atomic_store(&is_over, false);
    CHECK_OK(mn_open(path, &o, &store, NULL));
}

static void begin(uint64_t memory_bytes_max)
{
    path = check_temp_dir();
    open_store(memory_bytes_max);
}

static void end(void)
{
    CHECK_OK(mn_close(store, NULL));
}

static void start(struct worker *w, uint64_t seed, unsigned index, void (*run)(void *))
{
    *w = (struct worker){.random = seed + index * 77, .index = index};
    CHECK_OK(mni_thread_start(&w->thread, run, w, NULL));
}

/* The first `n_ending` come to an end by themselves; then the others are told to. */
static void join(struct worker *workers, unsigned n_ending, unsigned n)
{
    for (unsigned i = 0; i < n_ending; i++)
        mni_thread_join(&workers[i].thread);
    atomic_store(&is_over, true);
    for (unsigned i = n_ending; i < n; i++)
        mni_thread_join(&workers[i].thread);
    for (unsigned i = 0; i < n; i++)
        CHECK_STR_EQ(workers[i].failure != NULL ? workers[i].failure : "none", "none");
}

static void checkpoint_all(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&is_over) && w->failure == NULL)
        if (mn_checkpoint(store, NULL) != MN_OK)
            w->failure = "a checkpoint failed";
}

/* Entries that say what they are ---------- */

struct key {
    unsigned char bytes[MN_SEMCACHE_KEY_BYTES];
};

static struct key key_of(uint64_t number)
{
    struct key key = {{0}};

    memcpy(key.bytes + 8, &number, sizeof number);
    return key;
}

/* Bytes behind the head all are those of the version. */
static struct mn_slice fill(unsigned char *payload, size_t n_bytes, uint64_t tenant, uint64_t id,
                            uint64_t key)
{
    const uint64_t version = atomic_fetch_add(&versions, 1);
    const uint64_t head[] = {tenant, id, key, version};

    memset(payload, (int)(version % 251), n_bytes);
    memcpy(payload, head, sizeof head);
    return (struct mn_slice){payload, n_bytes};
}

/* Stores an entry with this id and key, whose embedding says the key. */
static mn_status store_one(uint64_t tenant, uint64_t id, uint64_t key_number, size_t n_bytes,
                           struct mn_semcache_handle *handle_out)
{
    const struct key key = key_of(key_number);
    const float embedding[N_DIMS] = {1, (float)key_number};
    unsigned char *payload = malloc(n_bytes);
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID,
                                            .id = id,
                                            .key = key.bytes,
                                            .embedding = embedding,
                                            .n_dims = N_DIMS,
                                            .payload =
                                                fill(payload, n_bytes, tenant, id, key_number)};
    mn_status st = mn_semcache_store(store, tenant, &entry, NULL, handle_out, NULL);

    free(payload);
    return st;
}

/* NULL: the entry is one of these, and whole. */
static const char *check_whole(const struct mn_semcache_handle *h, uint64_t tenant)
{
    const unsigned char *bytes = h->payload.data;
    uint64_t head[4];

    if (h->tenant != tenant || h->payload.n_bytes < HEAD_BYTES || h->key == NULL)
        return "what was found is another's";
    memcpy(head, bytes, sizeof head);
    const struct key key = key_of(head[2]);
    if (head[0] != tenant || head[1] != h->id || memcmp(h->key, key.bytes, sizeof key) != 0)
        return "what was found is another one";
    for (size_t i = HEAD_BYTES; i < h->payload.n_bytes; i += 1 + i / 64)
        if (bytes[i] != head[3] % 251)
            return "an entry is not whole";
    return NULL;
}

static bool has_key(const struct mn_semcache_handle *h, uint64_t key_number)
{
    const struct key key = key_of(key_number);

    return h->key != NULL && memcmp(h->key, key.bytes, sizeof key) == 0;
}

/* Conditions ---------- */

enum { N_ROUNDS = 150, N_COUNTED = 400 };

static atomic_int n_winners[2 * N_ROUNDS];

static void store_absent(void *context)
{
    struct worker *w = context;
    const struct mn_semcache_store_options options = {.size = sizeof options,
                                                      .mode = MN_SEMCACHE_IF_ABSENT};

    for (unsigned i = 0; i < 2 * N_ROUNDS && w->failure == NULL; i++) {
        const struct key key = key_of(i);
        const uint64_t who = w->index;
        /* By id, or by key with many ids. */
        const struct mn_semcache_entry entry = {.fields = i % 4 == 1 ? 0 : MN_HAS_ENTRY_ID,
                                                .id = i % 4 == 3 ? 100000 + i * 100 + w->index : i,
                                                .key = i % 2 == 1 ? key.bytes : NULL,
                                                .payload = {&who, sizeof who}};
        mn_status st = mn_semcache_store(store, i % 4, &entry, &options, NULL, NULL);
        if (st == MN_OK)
            atomic_fetch_add(&n_winners[i], 1);
        else if (st != MN_EXISTS)
            w->failure = "storing what is absent failed";
    }
}

static void what_is_absent_is_stored_once(void)
{
    static struct worker workers[N_THREADS + 1];
    struct mn_semcache_stats stats = {.size = sizeof stats};

    begin(0);
    for (unsigned i = 0; i < N_THREADS; i++)
        start(&workers[i], check_seed(), i, store_absent);
    start(&workers[N_THREADS], 0, N_THREADS, checkpoint_all);
    join(workers, N_THREADS, N_THREADS + 1);
    for (unsigned i = 0; i < 2 * N_ROUNDS; i++)
        CHECK_EQ(atomic_load(&n_winners[i]), 1);
    CHECK_OK(mn_semcache_get_stats(store, &stats, NULL));
    CHECK_EQ(stats.n_entries, 2 * N_ROUNDS);
    end();
}

static mn_status count_once(uint64_t id)
{
    struct mn_semcache_store_options options = {.size = sizeof options, .mode = MN_SEMCACHE_IF_LSN};
    struct mn_semcache_handle handle;
    uint64_t n = 0;
    mn_status st = MN_CHANGED;

    while (st == MN_CHANGED) {
        st = mn_semcache_load(store, 1, id, &handle, NULL);
        if (st != MN_OK)
            return st;
        memcpy(&n, handle.payload.data, sizeof n);
        options.expected_lsn = handle.lsn;
        mn_semcache_release(&handle);
        n++;
        const struct mn_semcache_entry entry = {
            .fields = MN_HAS_ENTRY_ID, .id = id, .payload = {&n, sizeof n}};
        st = mn_semcache_store(store, 1, &entry, &options, NULL, NULL);
    }
    return st;
}

static void count_up(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < N_COUNTED && w->failure == NULL; i++)
        if (count_once(i % 2) != MN_OK)
            w->failure = "counting failed";
}

static void no_increment_is_lost(void)
{
    static struct worker workers[N_THREADS + 1];
    struct mn_semcache_handle handle;
    uint64_t n = 0;

    begin(0);
    for (uint64_t id = 0; id < 2; id++) {
        const struct mn_semcache_entry entry = {
            .fields = MN_HAS_ENTRY_ID, .id = id, .payload = {&n, sizeof n}};
        CHECK_OK(mn_semcache_store(store, 1, &entry, NULL, NULL, NULL));
    }
    for (unsigned i = 0; i < N_THREADS; i++)
        start(&workers[i], check_seed(), i, count_up);
    start(&workers[N_THREADS], 0, N_THREADS, checkpoint_all);
    join(workers, N_THREADS, N_THREADS + 1);
    for (uint64_t id = 0; id < 2; id++) {
        CHECK_OK(mn_semcache_load(store, 1, id, &handle, NULL));
        memcpy(&n, handle.payload.data, sizeof n);
        CHECK_EQ(n, N_THREADS * N_COUNTED / 2);
        mn_semcache_release(&handle);
    }
    end();
}

/* Keys that move from id to id, and are never gone ---------- */

enum { N_KEYS = 3, N_IDS_OF_KEY = 3, N_MOVES = 2000 };

static atomic_int n_moving;

static void move_keys(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < N_MOVES && w->failure == NULL; i++) {
        uint64_t tenant = check_below(&w->random, 2);
        uint64_t key = check_below(&w->random, N_KEYS);
        uint64_t id = key * N_IDS_OF_KEY + check_below(&w->random, N_IDS_OF_KEY);
        struct mn_semcache_handle handle;
        if (store_one(tenant, id, key, HEAD_BYTES + 100 * check_below(&w->random, 20), &handle) !=
            MN_OK)
            w->failure = "a store failed";
        else
            w->failure = check_whole(&handle, tenant);
        mn_semcache_release(&handle);
    }
    atomic_fetch_sub(&n_moving, 1);
}

static const char *look_up_key(uint64_t tenant, uint64_t key_number)
{
    const struct key key = key_of(key_number);
    const float embedding[N_DIMS] = {1, (float)key_number};
    const struct mn_semcache_query query = {.size = sizeof query,
                                            .key = key.bytes,
                                            .embedding = embedding,
                                            .n_dims = N_DIMS,
                                            .min_similarity = 0.5F};
    struct mn_semcache_result result = {.size = sizeof result};
    const char *failure = NULL;

    if (mn_semcache_lookup(store, tenant, &query, &result, NULL) != MN_OK)
        return "looking up failed";
    if (result.kind != MN_SEMCACHE_EXACT || !has_key(&result.handle, key_number))
        failure = "a key that is always held was not looked up";
    else
        failure = check_whole(&result.handle, tenant);
    mn_semcache_release(&result.handle);
    return failure;
}

static void read_moving(void *context)
{
    struct worker *w = context;

    while (atomic_load(&n_moving) > 0 && w->failure == NULL) {
        uint64_t tenant = check_below(&w->random, 2);
        uint64_t number = check_below(&w->random, N_KEYS);
        const struct key key = key_of(number);
        struct mn_semcache_handle handle;
        mn_status st = mn_semcache_load_exact(store, tenant, key.bytes, &handle, NULL);
        if (st != MN_OK)
            w->failure = st == MN_NOT_FOUND ? "a key that is always held was not found"
                                            : "a key could not be loaded";
        else
            w->failure = has_key(&handle, number) ? check_whole(&handle, tenant) : "another key";
        mn_semcache_release(&handle);
        if (w->failure == NULL)
            w->failure = look_up_key(tenant, number);
        uint64_t id = check_below(&w->random, N_KEYS * N_IDS_OF_KEY);
        st = mn_semcache_load(store, tenant, id, &handle, NULL);
        if (st == MN_OK && w->failure == NULL)
            w->failure = handle.id == id ? check_whole(&handle, tenant) : "another id";
        else if (st != MN_OK && st != MN_NOT_FOUND)
            w->failure = "an id could not be loaded";
        mn_semcache_release(&handle);
    }
}

static void a_key_that_is_always_held_is_always_found(void)
{
    enum { N_READERS = 3, N_MOVERS = 4 };
    static struct worker workers[N_READERS + N_MOVERS + 1];
    struct mn_semcache_stats stats = {.size = sizeof stats};
    uint64_t seed = check_seed();
    unsigned n = 0;

    begin(0);
    for (uint64_t i = 0; i < 2 * N_KEYS; i++)
        CHECK_OK(store_one(i % 2, i / 2 * N_IDS_OF_KEY, i / 2, HEAD_BYTES, NULL));
    atomic_store(&n_moving, N_MOVERS);
    for (; n < N_MOVERS; n++)
        start(&workers[n], seed, n, move_keys);
    for (; n < N_MOVERS + N_READERS; n++)
        start(&workers[n], seed, n, read_moving);
    start(&workers[n], seed, n, checkpoint_all);
    join(workers, n, n + 1);
    CHECK_OK(mn_semcache_get_stats(store, &stats, NULL));
    CHECK_EQ(stats.n_entries, 2 * N_KEYS);
    end();
}

/* Budgets ---------- */

enum { N_STORES = 1500, ENTRIES_MAX = 10, BYTES_MAX = 60000, FEW_ENTRIES = 3 };

static void store_into_full(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < N_STORES && w->failure == NULL; i++) {
        uint64_t tenant = check_below(&w->random, 4);
        uint64_t id = check_below(&w->random, 40);
        size_t n_bytes = HEAD_BYTES + (size_t)check_below(&w->random, 9000);
        mn_status st = MN_OK;
        if (check_below(&w->random, 5) == 0)
            st = mn_semcache_delete(store, tenant, id, NULL, NULL, NULL);
        else
            st = store_one(tenant, id, id, n_bytes, NULL);
        if (st != MN_OK && st != MN_NOT_FOUND)
            w->failure = "a change failed";
    }
    atomic_fetch_sub(&n_moving, 1);
}

static const char *check_budgets(void)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    uint64_t ids[ENTRIES_MAX + 2];
    size_t n = 0;
    mn_status st = mn_semcache_get_stats(store, &stats, NULL);

    if (st != MN_OK)
        return "no stats";
    if (stats.allocated_bytes > BYTES_MAX)
        return "the cache has more bytes than its budget";
    if (stats.logical_bytes > stats.allocated_bytes)
        return "there is more in it than it takes";
    for (uint64_t tenant = 0; tenant < 4; tenant++) {
        uint64_t most = tenant == 3 ? FEW_ENTRIES : ENTRIES_MAX;
        st = mn_semcache_tenant_stats(store, tenant, &stats, NULL);
        if (st == MN_OK && stats.n_entries > most)
            return "a tenant has more entries than its budget";
        if (st == MN_OK)
            st = mn_semcache_list_entries(store, tenant, 0, ids, ENTRIES_MAX + 2, &n, NULL);
        if (st == MN_OK && n > most)
            return "the store shows more entries than the budget";
        if (st != MN_OK && st != MN_NOT_FOUND)
            return "a tenant cannot be read";
    }
    return NULL;
}

static void watch_budgets(void *context)
{
    struct worker *w = context;

    while (atomic_load(&n_moving) > 0 && w->failure == NULL)
        w->failure = check_budgets();
}

static void begin_full(void)
{
    const struct mn_semcache_budget few = {.entries_max = FEW_ENTRIES};

    begin(0);
    CHECK_OK(mn_config_set(store, "cache_bytes_max", "60000", NULL));
    CHECK_OK(mn_config_set(store, "cache_tenant_entries_max", "10", NULL));
    CHECK_OK(mn_semcache_set_budget(store, 3, &few, NULL, NULL));
}

static void budgets_hold_at_every_moment(void)
{
    static struct worker workers[N_THREADS + 2];
    struct mn_semcache_stats stats = {.size = sizeof stats};
    uint64_t seed = check_seed();

    begin_full();
    atomic_store(&n_moving, N_THREADS);
    for (unsigned i = 0; i < N_THREADS; i++)
        start(&workers[i], seed, i, store_into_full);
    start(&workers[N_THREADS], seed, N_THREADS, watch_budgets);
    start(&workers[N_THREADS + 1], seed, N_THREADS + 1, checkpoint_all);
    join(workers, N_THREADS + 1, N_THREADS + 2);
    CHECK_OK(mn_semcache_get_stats(store, &stats, NULL));
    CHECK(stats.n_evictions > 0 && stats.n_entries > 0);
    end();
}

/* One entry is all that fits: everybody needs the room of another. */
enum { N_ONLY = 100 };

static void store_the_only_one(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < N_ONLY && w->failure == NULL; i++)
        if (store_one(5, w->index * 1000 + i, w->index * 1000 + i, HEAD_BYTES, NULL) != MN_OK)
            w->failure = "a store failed";
    atomic_fetch_sub(&n_moving, 1);
}

static void watch_the_only_one(void *context)
{
    struct worker *w = context;
    struct mn_semcache_stats stats = {.size = sizeof stats};

    while (atomic_load(&n_moving) > 0 && w->failure == NULL)
        if (mn_semcache_get_stats(store, &stats, NULL) != MN_OK || stats.n_entries > 1)
            w->failure = "there are two";
}

static void many_writers_share_room_for_one(void)
{
    static struct worker workers[N_THREADS + 2];
    struct mn_semcache_stats stats = {.size = sizeof stats};
    uint64_t seed = check_seed();

    begin(0);
    CHECK_OK(mn_config_set(store, "cache_entries_max", "1", NULL));
    atomic_store(&n_moving, N_THREADS);
    for (unsigned i = 0; i < N_THREADS; i++)
        start(&workers[i], seed, i, store_the_only_one);
    start(&workers[N_THREADS], seed, N_THREADS, watch_the_only_one);
    start(&workers[N_THREADS + 1], seed, N_THREADS + 1, checkpoint_all);
    join(workers, N_THREADS + 1, N_THREADS + 2);
    CHECK_OK(mn_semcache_get_stats(store, &stats, NULL));
    CHECK_EQ(stats.n_entries, 1);
    CHECK_EQ(stats.n_evictions, N_THREADS * N_ONLY - 1);
    end();
}

/* Everything at once ---------- */

enum { N_DEEDS = 1500, N_HELD = 12, N_TENANTS = 3, N_IDS = 30 };

/* A handle, and what it showed when it was got. */
struct held {
    struct mn_semcache_handle handle;
    unsigned char *payload; /* owned */
    uint16_t embedding[N_DIMS];
};

static const char *hold(struct held *held, const struct mn_semcache_handle *handle)
{
    held->handle = *handle;
    held->payload = malloc(handle->payload.n_bytes);
    memcpy(held->payload, handle->payload.data, handle->payload.n_bytes);
    memcpy(held->embedding, handle->embedding, sizeof held->embedding);
    return check_whole(handle, handle->tenant);
}

static const char *let_go(struct held *held)
{
    struct mn_semcache_handle *h = &held->handle;
    const char *failure = NULL;

    if (held->payload == NULL)
        return NULL;
    if (memcmp(h->payload.data, held->payload, h->payload.n_bytes) != 0 ||
        memcmp(h->embedding, held->embedding, sizeof held->embedding) != 0)
        failure = "an entry changed while it was held";
    else
        failure = check_whole(h, h->tenant);
    mn_semcache_release(h);
    free(held->payload);
    held->payload = NULL;
    return failure;
}

static mn_status stream_one(struct worker *w, uint64_t tenant, uint64_t id,
                            struct mn_semcache_handle *handle_out)
{
    const struct key key = key_of(id);
    const float embedding[N_DIMS] = {1, (float)id};
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID,
                                            .id = id,
                                            .key = key.bytes,
                                            .embedding = embedding,
                                            .n_dims = N_DIMS};
    unsigned char payload[HEAD_BYTES + 5000];
    struct mn_slice rest = fill(payload, sizeof payload, tenant, id, id);
    mn_semcache_stream *stream = NULL;
    mn_status st = mn_semcache_begin(store, tenant, &entry, NULL, &stream, NULL);

    while (st == MN_OK && rest.n_bytes > 0) {
        size_t n = 1 + (size_t)check_below(&w->random, 2000);
        n = n < rest.n_bytes ? n : rest.n_bytes;
        st = mn_semcache_append(stream, (struct mn_slice){rest.data, n}, NULL);
        rest = (struct mn_slice){(const char *)rest.data + n, rest.n_bytes - n};
    }
    if (st == MN_OK && check_below(&w->random, 4) > 0)
        return mn_semcache_commit(stream, handle_out, NULL);
    mn_semcache_abort(stream);
    return st == MN_OK ? MN_NOT_FOUND : st;
}

static bool agrees(void *context, const struct mn_semcache_handle *handle, float score)
{
    const uint64_t *tenant = context;

    return score > 0 && check_whole(handle, *tenant) == NULL;
}

static mn_status look_up(uint64_t tenant, uint64_t id, struct mn_semcache_handle *handle_out)
{
    const float embedding[N_DIMS] = {1, (float)id};
    const struct mn_semcache_query query = {.size = sizeof query,
                                            .embedding = embedding,
                                            .n_dims = N_DIMS,
                                            .min_similarity = 0.5F,
                                            .verify = id % 2 == 0 ? agrees : NULL,
                                            .verify_context = &tenant};
    struct mn_semcache_result result = {.size = sizeof result};
    mn_status st = mn_semcache_lookup(store, tenant, &query, &result, NULL);

    *handle_out = result.handle;
    if (st == MN_OK && result.n_damaged > 0)
        return MN_ERR_CORRUPT;
    return st == MN_OK && result.kind == MN_SEMCACHE_MISS ? MN_NOT_FOUND : st;
}

static mn_status remove_some(struct worker *w, uint64_t tenant, uint64_t id)
{
    const struct key key = key_of(id);
    struct mn_semcache_filter filter = {
        .size = sizeof filter, .fields = MN_SEMCACHE_BY_KEY, .key = key.bytes};

    switch (check_below(&w->random, 8)) {
    case 0:
        return mn_semcache_drop_tenant(store, tenant, NULL, NULL, NULL, NULL);
    case 1:
        filter.fields = MN_SEMCACHE_ALL;
        return mn_semcache_invalidate(store, tenant, &filter, NULL, NULL, NULL);
    case 2:
        return mn_semcache_cleanup(store, NULL, NULL, NULL);
    case 3:
    case 4:
        return mn_semcache_invalidate(store, tenant, &filter, NULL, NULL, NULL);
    default:
        return mn_semcache_delete(store, tenant, id, NULL, NULL, NULL);
    }
}

static mn_status do_one(struct worker *w, uint64_t tenant, uint64_t id,
                        struct mn_semcache_handle *handle_out)
{
    const struct mn_semcache_budget budget = {.entries_max = 5 + check_below(&w->random, 20)};
    const struct key key = key_of(id);

    switch (check_below(&w->random, 12)) {
    case 0:
    case 1:
    case 2:
        return store_one(tenant, id, id, HEAD_BYTES + check_below(&w->random, 3000), handle_out);
    case 3: /* the key goes to another id */
        return store_one(tenant, id + N_IDS, id, HEAD_BYTES, handle_out);
    case 4:
        return stream_one(w, tenant, id, handle_out);
    case 5:
        return remove_some(w, tenant, id);
    case 6:
        return check_below(&w->random, 4) == 0
                   ? mn_semcache_set_budget(store, tenant, &budget, NULL, NULL)
                   : mn_semcache_peek(store, tenant, id, handle_out, NULL);
    case 7:
    case 8:
        return look_up(tenant, id, handle_out);
    case 9:
        return mn_semcache_load(store, tenant, id, handle_out, NULL);
    default:
        return mn_semcache_load_exact(store, tenant, key.bytes, handle_out, NULL);
    }
}

static void do_all(void *context)
{
    struct worker *w = context;
    struct held held[N_HELD] = {{.payload = NULL}};

    for (unsigned i = 0; i < N_DEEDS && w->failure == NULL; i++) {
        struct mn_semcache_handle handle = {0};
        struct held *place = &held[check_below(&w->random, N_HELD)];
        uint64_t tenant = check_below(&w->random, N_TENANTS);
        mn_status st = do_one(w, tenant, check_below(&w->random, N_IDS), &handle);
        if (st != MN_OK && st != MN_NOT_FOUND)
            w->failure = mn_status_name(st);
        if (handle.pin == NULL)
            continue;
        const char *failure = let_go(place);
        if (failure == NULL)
            failure = handle.tenant == tenant ? hold(place, &handle) : "another tenant's";
        if (w->failure == NULL)
            w->failure = failure;
    }
    for (unsigned i = 0; i < N_HELD; i++) {
        const char *failure = let_go(&held[i]);
        if (w->failure == NULL)
            w->failure = failure;
    }
}

/* What stats say, from the entries themselves. */
static void check_sums(void)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    uint64_t ids[4 * N_IDS];
    uint64_t logical_bytes = 0;
    uint64_t n_entries = 0;

    for (uint64_t tenant = 0; tenant < N_TENANTS; tenant++) {
        size_t n = 0;
        mn_status st = mn_semcache_list_entries(store, tenant, 0, ids, 4 * N_IDS, &n, NULL);
        if (st == MN_NOT_FOUND)
            continue;
        CHECK_OK(st);
        n_entries += n;
        for (size_t i = 0; i < n; i++) {
            struct mn_semcache_handle h;
            CHECK_OK(mn_semcache_peek(store, tenant, ids[i], &h, NULL));
            CHECK(check_whole(&h, tenant) == NULL);
            logical_bytes += h.payload.n_bytes + MN_SEMCACHE_KEY_BYTES + 2 * N_DIMS;
            mn_semcache_release(&h);
        }
    }
    CHECK_OK(mn_semcache_get_stats(store, &stats, NULL));
    CHECK_EQ(stats.n_entries, n_entries);
    CHECK_EQ(stats.logical_bytes, logical_bytes);
    CHECK_EQ(stats.n_errors, 0);
}

static void everything_at_once(void)
{
    static struct worker workers[N_THREADS + 1];
    struct mn_stats stats = {.size = sizeof stats};
    uint64_t seed = check_seed();

    begin(0);
    CHECK_OK(mn_config_set(store, "cache_entries_max", "50", NULL));
    for (unsigned i = 0; i < N_THREADS; i++)
        start(&workers[i], seed, i, do_all);
    start(&workers[N_THREADS], seed, N_THREADS, checkpoint_all);
    join(workers, N_THREADS, N_THREADS + 1);
    check_sums();
    CHECK_OK(mn_stats(store, &stats, NULL));
    CHECK_EQ(stats.pinned_bytes, 0);
    end();
    open_store(0); /* what the index says is in the store */
    check_sums();
    end();
}

/* The checkpoint waits for nobody who waits for it ---------- */

enum { MUCH_MEMORY = 64 << 20, LARGE_BYTES = 3 << 20, N_LARGE = 25 };

static void store_large(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < N_LARGE && w->failure == NULL; i++) {
        uint64_t id = check_below(&w->random, 6);
        struct mn_semcache_handle handle;
        mn_status st = store_one(1, id, id, LARGE_BYTES, NULL);
        if (st != MN_OK)
            w->failure = mn_status_name(st);
        st = mn_semcache_load(store, 1, check_below(&w->random, 6), &handle, NULL);
        if (st == MN_OK && w->failure == NULL)
            w->failure = check_whole(&handle, 1);
        mn_semcache_release(&handle);
    }
}

static void write_large(const char *cache_bytes_max)
{
    static struct worker workers[N_THREADS];
    uint64_t seed = check_seed();

    begin(MUCH_MEMORY);
    CHECK_OK(mn_config_set(store, "cache_bytes_max", cache_bytes_max, NULL));
    for (unsigned i = 0; i < N_THREADS; i++)
        start(&workers[i], seed, i, store_large);
    join(workers, N_THREADS, N_THREADS);
    end();
}

static void writers_who_wait_for_memory_hold_no_checkpoint_up(void)
{
    write_large("0");
}

/* Nor do those who wait for room that others make. */
static void writers_who_wait_for_room_hold_no_checkpoint_up(void)
{
    write_large("7000000"); /* for two of them */
}

/* The first call ---------- */

enum { N_STORED = 400 };

static void call_first(void *context)
{
    struct worker *w = context;
    struct mn_semcache_stats stats = {.size = sizeof stats};
    struct mn_semcache_handle handle = {0};
    uint64_t number = check_below(&w->random, N_STORED);
    mn_status st = MN_OK;

    switch (w->index % 4) {
    case 0:
        st = mn_semcache_load(store, 1, number, &handle, NULL);
        break;
    case 1:
        st = mn_semcache_load_exact(store, 1, key_of(number).bytes, &handle, NULL);
        break;
    case 2:
        st = store_one(1, N_STORED + w->index, N_STORED + w->index, HEAD_BYTES, &handle);
        break;
    default:
        st = mn_semcache_get_stats(store, &stats, NULL);
        if (stats.n_entries < N_STORED)
            w->failure = "entries are missing";
    }
    if (st != MN_OK)
        w->failure = mn_status_name(st);
    else if (w->failure == NULL && handle.pin != NULL)
        w->failure = check_whole(&handle, 1);
    mn_semcache_release(&handle);
}

static void the_first_call_may_be_made_by_many(void)
{
    static struct worker workers[N_THREADS + 1];
    struct mn_semcache_stats stats = {.size = sizeof stats};
    uint64_t seed = check_seed();

    begin(0);
    for (uint64_t id = 0; id < N_STORED; id++)
        CHECK_OK(store_one(1, id, id, HEAD_BYTES, NULL));
    for (int round = 0; round < 5; round++) {
        end();
        open_store(0);
        start(&workers[N_THREADS], seed, N_THREADS, checkpoint_all);
        for (unsigned i = 0; i < N_THREADS; i++)
            start(&workers[i], seed, i, call_first);
        join(workers, N_THREADS, N_THREADS + 1);
        CHECK_OK(mn_semcache_get_stats(store, &stats, NULL));
        CHECK_EQ(stats.n_entries, N_STORED + N_THREADS / 4);
    }
    end();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_absent_is_stored_once),
        CHECK_TEST(no_increment_is_lost),
        CHECK_TEST(a_key_that_is_always_held_is_always_found),
        CHECK_TEST(budgets_hold_at_every_moment),
        CHECK_TEST(many_writers_share_room_for_one),
        CHECK_TEST(everything_at_once),
        CHECK_TEST(writers_who_wait_for_memory_hold_no_checkpoint_up),
        CHECK_TEST(writers_who_wait_for_room_hold_no_checkpoint_up),
        CHECK_TEST(the_first_call_may_be_made_by_many),
    };

    return check_run("thread.semcache", tests, CHECK_COUNT(tests), argc, argv);
}
