/*
 * redis.h - a Redis server of one's own, for as long as a measurement takes, and what it is asked.
 *
 * The server listens on a socket in its directory and nowhere else. It ends with the process that
 * started it, whatever happens to that.
 */
#ifndef MNEME_BENCH_REDIS_H
#define MNEME_BENCH_REDIS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the program redis-server is on this machine. */
bool redis_is_there(void);

struct redis_server;

/* With `is_durable` each SET is in a log, and synced, before it is answered; else nothing is on the
 * disk. `bytes_max` bounds what it stores. */
struct redis_server *redis_start(const char *dir, bool is_durable, size_t bytes_max);
void redis_end(struct redis_server *server);

/* Of one thread. One command is under way at a time. */
struct redis;

struct redis *redis_connect(const struct redis_server *server);
void redis_disconnect(struct redis *redis);

struct redis_bytes {
    const void *data;
    size_t n_bytes;
};

void redis_set(struct redis *redis, struct redis_bytes key, struct redis_bytes value);
/* The value lies in the connection until its next command. It has to be there. */
struct redis_bytes redis_get(struct redis *redis, struct redis_bytes key);

#endif
