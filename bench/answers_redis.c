/*
 * answers_redis.c - answers in Redis, by their exact key, over a Unix socket.
 *
 * For loads it has the payloads alone and nothing on the disk; stores are durable, and of as many
 * bytes as Mneme has of the embedding beside the payload.
 *
 * Owns:    a server per database, a connection per session.
 * Threads: any, each with its own session.
 * Fails:   by ending the program with a message.
 */
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "redis.h"

enum { EMBEDDING_BYTES = 2 * ANSWERS_DIMS };

static const size_t server_bytes_max = (size_t)2 << 30;

struct database {
    struct redis_server *server;   /* owned */
    const struct answers *answers; /* borrowed */
    bool is_durable;
};

struct session {
    struct redis *redis; /* owned */
    const struct database *db;
};

static void *open_with(const char *dir, const struct answers *answers, bool is_durable)
{
    struct database *db = bench_alloc(sizeof *db);

    *db = (struct database){.server = redis_start(dir, is_durable, server_bytes_max),
                            .answers = answers,
                            .is_durable = is_durable};
    return db;
}

static void *memory_open(const char *dir, const struct answers *answers)
{
    return open_with(dir, answers, false);
}

static void *durable_open(const char *dir, const struct answers *answers)
{
    return open_with(dir, answers, true);
}

static void redis_close(void *handle)
{
    struct database *db = handle;

    redis_end(db->server);
    free(db);
}

static void *redis_session_open(void *handle)
{
    struct session *session = bench_alloc(sizeof *session);
    const struct database *db = handle;

    *session = (struct session){.redis = redis_connect(db->server), .db = db};
    return session;
}

static void redis_session_close(void *handle)
{
    struct session *session = handle;

    redis_disconnect(session->redis);
    free(session);
}

static void redis_store(void *handle, uint64_t index)
{
    struct session *session = handle;
    const struct answers *answers = session->db->answers;
    struct answers_name name = answers_name(index);
    unsigned char bytes[ANSWERS_PAYLOAD_BYTES + EMBEDDING_BYTES];
    struct redis_bytes value = {bytes, ANSWERS_PAYLOAD_BYTES};

    memcpy(bytes, answers_payload(answers, index), ANSWERS_PAYLOAD_BYTES);
    if (session->db->is_durable) {
        memcpy(bytes + ANSWERS_PAYLOAD_BYTES, answers->embeddings + index * ANSWERS_DIMS,
               EMBEDDING_BYTES);
        value.n_bytes = sizeof bytes;
    }
    redis_set(session->redis, (struct redis_bytes){name.key, sizeof name.key}, value);
}

static uint64_t redis_load(void *handle, const struct answers_name *name, enum answers_way way,
                           bool all)
{
    struct session *session = handle;

    (void)way;
    struct redis_bytes value =
        redis_get(session->redis, (struct redis_bytes){name->key, sizeof name->key});
    if (value.n_bytes != ANSWERS_PAYLOAD_BYTES)
        bench_die("redis-server has not what was stored");
    return answers_see(value.data, value.n_bytes, all);
}

static void redis_fill(void *handle)
{
    const struct database *db = handle;
    void *session = redis_session_open(handle);

    for (uint64_t i = 0; i < db->answers->n; i++)
        redis_store(session, i);
    redis_session_close(session);
}

static void redis_warm(void *handle, bool is_filled)
{
    const struct database *db = handle;
    void *session = redis_session_open(handle);

    for (uint64_t i = 0; is_filled && i < db->answers->n; i++) {
        struct answers_name name = answers_name(i);
        (void)redis_load(session, &name, ANSWERS_BY_KEY, true);
    }
    redis_session_close(session);
}

#define FUNCTIONS                                                                                  \
    .has_one_way = true, .close = redis_close, .fill = redis_fill, .warm = redis_warm,             \
    .session_open = redis_session_open, .session_close = redis_session_close,                      \
    .store = redis_store, .load = redis_load

const struct answers_peer answers_redis = {
    .name = "redis",
    .settings = "Debian's redis-server over its Unix socket, no persistence, GET of the payload, "
                "one command at a time",
    .is_volatile = true,
    .open = memory_open,
    FUNCTIONS,
};

const struct answers_peer answers_redis_fsync = {
    .name = "redis",
    .settings = "Debian's redis-server over its Unix socket, appendonly yes, appendfsync always; "
                "SET of embedding and payload, 16 connections, no pipelining",
    .open = durable_open,
    FUNCTIONS,
};
