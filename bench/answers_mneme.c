/*
 * answers_mneme.c - answers in a semantic cache of Mneme.
 *
 * Owns:    one store per database.
 * Threads: any.
 * Fails:   by ending the program with a message.
 */
#include "answers_mneme.h"

#include <stdlib.h>

#include "mneme_fill.h"

struct database {
    mn_store *store;               /* owned */
    const struct answers *answers; /* borrowed */
};

mn_store *answers_mneme_open(const char *dir, uint64_t pinned_bytes_max)
{
    struct mn_options options = {
        .size = sizeof options, .create = true, .pinned_bytes_max = pinned_bytes_max};
    mn_store *store = NULL;
    struct mn_error err;

    mneme_must(mn_open(dir, &options, &store, &err), "open", &err);
    return store;
}

void answers_mneme_close(mn_store *store)
{
    struct mn_error err;

    mneme_must(mn_close(store, &err), "close", &err);
}

/* The index is built, or was before. */
void answers_mneme_first_call(mn_store *store)
{
    struct mn_error err;
    bool exists;

    mneme_must(mn_semcache_exists(store, ANSWERS_TENANT, answers_name(0).id, &exists, &err),
               "exists", &err);
}

static uint64_t mneme_load(void *session, const struct answers_name *name, enum answers_way way,
                           bool all)
{
    const struct database *db = session;
    struct mn_semcache_handle handle;
    struct mn_error err;

    mneme_must(way == ANSWERS_BY_ID
                   ? mn_semcache_load(db->store, ANSWERS_TENANT, name->id, &handle, &err)
                   : mn_semcache_load_exact(db->store, ANSWERS_TENANT, name->key, &handle, &err),
               "load", &err);
    if (handle.payload.n_bytes != ANSWERS_PAYLOAD_BYTES)
        bench_die("mneme has not what was stored");
    uint64_t sum = answers_see(handle.payload.data, handle.payload.n_bytes, all);
    mn_semcache_release(&handle);
    return sum;
}

void answers_mneme_read(mn_store *store, size_t n)
{
    struct database db = {.store = store};

    answers_mneme_first_call(store);
    for (size_t i = 0; i < n; i++) {
        struct answers_name name = answers_name(i);
        (void)mneme_load(&db, &name, ANSWERS_BY_ID, true);
    }
}

void answers_mneme_pin(mn_store *store, size_t n, struct mn_semcache_handle *handles_out)
{
    struct mn_error err;

    for (size_t i = 0; i < n; i++)
        mneme_must(
            mn_semcache_load(store, ANSWERS_TENANT, answers_name(i).id, &handles_out[i], &err),
            "load", &err);
}

static void store_answer(const struct database *db, uint64_t index, mn_ack ack)
{
    struct mn_semcache_store_options options = {.size = sizeof options, .ack = ack};
    struct answers_name name = answers_name(index);
    const struct mn_semcache_entry entry = {
        .fields = MN_HAS_ENTRY_ID,
        .n_dims = ANSWERS_DIMS,
        .id = name.id,
        .key = name.key,
        .embedding = db->answers->embeddings + index * ANSWERS_DIMS,
        .payload = {answers_payload(db->answers, index), ANSWERS_PAYLOAD_BYTES},
    };
    struct mn_error err;

    mneme_must(mn_semcache_store(db->store, ANSWERS_TENANT, &entry, &options, NULL, &err), "store",
               &err);
}

static void *mneme_open(const char *dir, const struct answers *answers)
{
    struct database *db = bench_alloc(sizeof *db);

    *db = (struct database){.store = answers_mneme_open(dir, 0), .answers = answers};
    return db;
}

static void mneme_close(void *handle)
{
    struct database *db = handle;

    answers_mneme_close(db->store);
    free(db);
}

static void mneme_fill(void *handle)
{
    const struct database *db = handle;
    struct mn_error err;

    for (uint64_t i = 0; i < db->answers->n; i++)
        store_answer(db, i, MN_ACK_OS);
    mneme_must(mn_checkpoint(db->store, &err), "checkpoint", &err);
}

static void *mneme_session_open(void *handle)
{
    return handle;
}

static void mneme_session_close(void *session)
{
    (void)session;
}

static void mneme_store(void *session, uint64_t index)
{
    store_answer(session, index, MN_ACK_DISK);
}

static void mneme_warm(void *handle, bool is_filled)
{
    const struct database *db = handle;

    answers_mneme_read(db->store, is_filled ? db->answers->n : 0);
}

const struct answers_peer answers_mneme = {
    .name = "mneme",
    .settings = "defaults; mn_semcache_store with MN_ACK_DISK; mn_semcache_load or load_exact, "
                "mn_semcache_release",
    .open = mneme_open,
    .close = mneme_close,
    .fill = mneme_fill,
    .warm = mneme_warm,
    .session_open = mneme_session_open,
    .session_close = mneme_session_close,
    .store = mneme_store,
    .load = mneme_load,
};
