/*
 * answers.h - answers of language models for the benchmarks, and the stores that hold them behind
 * one small interface.
 *
 * An answer is 4 KiB of random bytes. It has an id, an exact key of 256 bits, and the embedding of
 * its question: a vector of length 1, near those of other questions about the same. Everything is
 * the same in every run. A failure ends the program.
 *
 *     open -> fill -> close
 *     open -> warm -> session_open -> store, load -> session_close -> close
 */
#ifndef MNEME_BENCH_ANSWERS_H
#define MNEME_BENCH_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench.h"

enum {
    ANSWERS_DIMS = 512,
    ANSWERS_KEY_BYTES = 32,
    ANSWERS_PAYLOAD_BYTES = 4096,
    ANSWERS_POOL_BYTES = 16 << 20, /* random bytes, of which each payload is a part */
    ANSWERS_TENANT = 7,
    ANSWERS_LINE_BYTES = 64,
};

/* All answers, before they are stored. */
struct answers {
    size_t n;
    float *embeddings;   /* owned; n of them, of length 1 */
    unsigned char *pool; /* owned */
};

/* Questions lie around `n_centres` subjects; the cosine of two about the same is about `nearness`.
 * Without embeddings where n_centres is 0. */
struct answers *answers_new(size_t n, size_t n_centres, double nearness);
void answers_free(struct answers *answers);

/* How an answer is asked for. */
struct answers_name {
    uint64_t index;
    uint64_t id; /* in no order */
    unsigned char key[ANSWERS_KEY_BYTES];
};

struct answers_name answers_name(uint64_t index);
const unsigned char *answers_payload(const struct answers *answers, uint64_t index);

/* A vector of length 1 whose cosine with the embedding of an answer is about `cosine`. */
void answers_near(const struct answers *answers, uint64_t index, double cosine, uint64_t *state,
                  float vector_out[ANSWERS_DIMS]);

/* How much of a payload is looked at: a byte of each cache line, or the first one. All peers go
 * through the same code here. */
static inline uint64_t answers_see(const unsigned char *payload, size_t n_bytes, bool all)
{
    uint64_t sum = payload[0];

    if (!all)
        return sum;
    for (size_t i = ANSWERS_LINE_BYTES; i < n_bytes; i += ANSWERS_LINE_BYTES)
        sum += payload[i];
    return sum;
}

enum answers_way { ANSWERS_BY_ID, ANSWERS_BY_KEY };

struct answers_peer {
    const char *name;
    const char *settings;
    /* What is stored does not outlive `close`. */
    bool is_volatile;
    /* Its load does not know ids from keys. */
    bool has_one_way;
    /* The caller owns what `open` returns and ends it with `close`. */
    void *(*open)(const char *dir, const struct answers *answers);
    void (*close)(void *db);
    /* Stores all answers as fast as it can, and brings them into the form they have at rest. */
    void (*fill)(void *db);
    /* What a first call does. Answers are read once, where they are there already. */
    void (*warm)(void *db, bool is_filled);
    /* A session belongs to one thread. */
    void *(*session_open)(void *db);
    void (*session_close)(void *session);
    /* A power cut after it loses nothing. */
    void (*store)(void *session, uint64_t index);
    /* Looks at an answer and gives it back. */
    uint64_t (*load)(void *session, const struct answers_name *name, enum answers_way way,
                     bool all);
};

extern const struct answers_peer answers_mneme;
extern const struct answers_peer answers_files;       /* a file per answer */
extern const struct answers_peer answers_bare;        /* a mapped file by number; loads only */
extern const struct answers_peer answers_redis;       /* in memory only: for loads */
extern const struct answers_peer answers_redis_fsync; /* with a log, synced for each answer */

#endif
