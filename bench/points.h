/*
 * points.h - points over time for the benchmarks, and the stores that hold them behind one small
 * interface.
 *
 * Entities have equally many points each, at times that lie apart irregularly and half of which are
 * below zero. They come in the order of their times, all entities in turn, or shuffled. A failure
 * ends the program.
 *
 *     open -> put (durable when it returns) -> settle -> close
 *     open -> load -> rest -> close
 *     open -> get, as_of, next_from, range, timeline -> close
 */
#ifndef MNEME_BENCH_POINTS_H
#define MNEME_BENCH_POINTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bench.h"

enum {
    POINTS_BATCH = 100,
    POINTS_POOL_VECTORS = 1021, /* random bytes without the cost of making them each time */
    POINTS_LANES = 4,
    POINTS_WORDS_AT_ONCE = POINTS_LANES * 4,
    POINTS_STEP_US = 1000000, /* from a point to the next, on the average */
};

/* All points, before they are stored. */
struct points {
    size_t n_entities;
    size_t n_each;
    size_t n_dims;
    float *pool;     /* owned; POINTS_POOL_VECTORS of them, or one for each point */
    bool is_walk;    /* one for each point */
    uint32_t *order; /* owned; NULL: as they come */
};

struct points *points_new(size_t n_entities, size_t n_each, size_t n_dims, bool shuffled);
/* In order; each vector is the one before and a step in a random direction, `step` times as long as
 * a vector. */
struct points *points_new_walks(size_t n_entities, size_t n_each, size_t n_dims, double step);
void points_free(struct points *points);

/* A point; the vector is borrowed. */
struct point {
    uint64_t entity;
    int64_t time_us;
    const float *vector;
};

uint64_t points_entity(size_t index);
int64_t points_time(const struct points *points, size_t entity_index, size_t point_index);
/* The `i`-th that comes. */
struct point points_at(const struct points *points, size_t i);

/* What a read saw. Both sides go through the same code here. */
struct points_seen {
    enum points_take {
        POINTS_TAKE_ONE, /* element of each vector */
        POINTS_TAKE_SUM, /* of all */
        POINTS_TAKE_BITS /* all, where they are too */
    } take;
    size_t n_dims;
    size_t n_points;
    uint64_t times; /* depends on their order too */
    uint64_t sum;
};

/* Adds up floats as the numbers that their bits are: that takes no longer than fetching them, and
 * may be done in any order. The elements of a whole number of lanes, which need not be aligned. */
static inline uint32_t points_add_up(const void *vector, size_t n_dims)
{
    typedef uint32_t words __attribute__((vector_size(16), aligned(1), may_alias));
    const words *at = vector;
    words sums[POINTS_LANES] = {{0}};
    uint32_t sum = 0;

    for (size_t i = 0; i < n_dims / POINTS_WORDS_AT_ONCE; i++, at += POINTS_LANES)
        for (size_t j = 0; j < POINTS_LANES; j++)
            sums[j] += at[j];
    for (size_t j = 0; j < POINTS_LANES; j++)
        sum += sums[j][0] + sums[j][1] + sums[j][2] + sums[j][3];
    return sum;
}

/* The bits of all elements, mixed: as good as equal only where all bits are. */
uint64_t points_hash(const void *vector, size_t n_dims);

/* A point where it lies, which need not be aligned. */
static inline void points_see(struct points_seen *seen, int64_t time_us, const void *vector)
{
    uint32_t word;

    seen->n_points++;
    seen->times = seen->times * 31 + (uint64_t)time_us;
    if (seen->take == POINTS_TAKE_SUM) {
        seen->sum += points_add_up(vector, seen->n_dims);
    } else if (seen->take == POINTS_TAKE_ONE) {
        memcpy(&word, vector, sizeof word);
        seen->sum += word;
    } else {
        seen->sum = seen->sum * 31 + points_hash(vector, seen->n_dims);
    }
}

struct points_timeline {
    int64_t first_us;
    int64_t last_us;
    uint64_t n_points; /* 0: there are none */
};

struct points_peer {
    const char *name;
    const char *settings;
    /* The caller owns what `open` returns and ends it with `close`. */
    void *(*open)(const char *dir, const struct points *points);
    void (*close)(void *db);
    /* The points from the `first`-th on, POINTS_BATCH at most. All or nothing; durable if asked. */
    void (*put)(void *db, size_t first, size_t n, bool is_durable);
    /* Returns when nothing is left to do in the background. */
    void (*settle)(void *db);
    /* Brings all into the form that is best for reading. */
    void (*rest)(void *db);
    /* One point at most each: exactly then, the latest until then, the first from then on. */
    void (*get)(void *db, uint64_t entity, int64_t time_us, struct points_seen *seen);
    void (*as_of)(void *db, uint64_t entity, int64_t time_us, struct points_seen *seen);
    void (*next_from)(void *db, uint64_t entity, int64_t time_us, struct points_seen *seen);
    /* All in an interval, both ends included. */
    void (*range)(void *db, uint64_t entity, int64_t from_us, int64_t to_us,
                  struct points_seen *seen);
    void (*timeline)(void *db, uint64_t entity, struct points_timeline *timeline_out);
};

extern const struct points_peer points_mneme;
extern const struct points_peer points_mneme_delta;  /* vectors as differences */
extern const struct points_peer points_rocksdb;      /* a new iterator for each read */
extern const struct points_peer points_rocksdb_kept; /* one iterator, which sees nothing new */

#endif
