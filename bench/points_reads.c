/*
 * points_reads.c - reading points: which ones, in which ways, and how long it takes.
 *
 * Owns:    nothing.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include "points_reads.h"

#include <stdlib.h>

enum { WARM_PART = 10 };

static volatile uint64_t sum_of_reads; /* so that none can be optimised away */

static struct reads_query make_query(const struct points *points, uint64_t *state)
{
    size_t entity = bench_random(state) % points->n_entities;
    size_t n = points->n_each < READS_RANGE_POINTS ? points->n_each : READS_RANGE_POINTS;
    size_t first = bench_random(state) % (points->n_each - n + 1);
    size_t exact = first + bench_random(state) % n;

    return (struct reads_query){
        .entity = points_entity(entity),
        .from_us = points_time(points, entity, first),
        .to_us = points_time(points, entity, first + n - 1),
        .exact_us = points_time(points, entity, exact),
        .between_us = points_time(points, entity, exact) + 1,
    };
}

struct reads_query *reads_queries(const struct points *points, size_t n_queries, size_t n_places)
{
    struct reads_query *queries = bench_alloc(n_queries * sizeof *queries);
    struct reads_query *places = bench_alloc(n_places * sizeof *places);
    uint64_t state = 7;

    for (size_t i = 0; i < n_places; i++)
        places[i] = make_query(points, &state);
    for (size_t i = 0; i < n_queries; i++)
        queries[i] = places[bench_random(&state) % n_places];
    free(places);
    return queries;
}

static void read_one(const struct points_peer *peer, void *db, enum reads_kind kind,
                     const struct reads_query *q, struct points_seen *seen)
{
    struct points_timeline timeline;

    switch (kind) {
    case READS_RANGE:
        peer->range(db, q->entity, q->from_us, q->to_us, seen);
        break;
    case READS_AS_OF:
        peer->as_of(db, q->entity, q->between_us, seen);
        break;
    case READS_NEXT_FROM:
        peer->next_from(db, q->entity, q->between_us, seen);
        break;
    case READS_GET:
        peer->get(db, q->entity, q->exact_us, seen);
        break;
    case READS_LATEST:
        peer->as_of(db, q->entity, INT64_MAX, seen);
        break;
    case READS_TIMELINE:
        peer->timeline(db, q->entity, &timeline);
        seen->n_points += timeline.n_points;
        seen->times = seen->times * 31 + (uint64_t)timeline.first_us;
        seen->times = seen->times * 31 + (uint64_t)timeline.last_us;
        break;
    case N_READS_KINDS:
        break;
    }
}

struct points_seen reads_run(const struct points_peer *peer, void *db, const struct points *points,
                             enum reads_kind kind, enum points_take take,
                             const struct reads_query *queries, size_t n_queries)
{
    struct points_seen seen = {.take = take, .n_dims = points->n_dims};

    for (size_t i = 0; i < n_queries; i++)
        read_one(peer, db, kind, &queries[i], &seen);
    sum_of_reads = seen.sum + seen.times;
    return seen;
}

double reads_time(const struct points_peer *peer, void *db, const struct points *points,
                  enum reads_kind kind, const struct reads_query *queries, size_t n_queries)
{
    enum points_take take = kind == READS_RANGE ? POINTS_TAKE_SUM : POINTS_TAKE_ONE;

    (void)reads_run(peer, db, points, kind, take, queries, n_queries / WARM_PART);
    double start = bench_now();
    (void)reads_run(peer, db, points, kind, take, queries, n_queries);
    return (bench_now() - start) / (double)n_queries;
}

void reads_warm(const struct points_peer *peer, void *db, const struct points *points)
{
    struct points_seen seen = {.take = POINTS_TAKE_SUM, .n_dims = points->n_dims};

    for (size_t i = 0; i < points->n_entities; i++)
        peer->range(db, points_entity(i), INT64_MIN, INT64_MAX, &seen);
    if (seen.n_points != points->n_entities * points->n_each)
        bench_die("%s: %zu points of %zu came back", peer->name, seen.n_points,
                  points->n_entities * points->n_each);
    sum_of_reads = seen.sum;
}

static void compare_one(const struct points_peer *a, void *db_a, const struct points_peer *b,
                        void *db_b, const struct points *points, const struct reads_query *q)
{
    for (int kind = 0; kind < N_READS_KINDS; kind++) {
        enum points_take bits = POINTS_TAKE_BITS;
        struct points_seen of_a = reads_run(a, db_a, points, (enum reads_kind)kind, bits, q, 1);
        struct points_seen of_b = reads_run(b, db_b, points, (enum reads_kind)kind, bits, q, 1);
        if (of_a.n_points != of_b.n_points || of_a.times != of_b.times || of_a.sum != of_b.sum)
            bench_die("%s and %s do not answer alike: entity %llu, read %d", a->name, b->name,
                      (unsigned long long)q->entity, kind);
    }
}

void reads_compare(const struct points_peer *a, void *db_a, const struct points_peer *b, void *db_b,
                   const struct points *points, size_t n_queries)
{
    struct reads_query *queries = reads_queries(points, n_queries, n_queries);
    uint64_t nobody = points_entity(points->n_entities);

    for (size_t i = 0; i < n_queries; i++) {
        struct reads_query q = queries[i];
        compare_one(a, db_a, b, db_b, points, &q);
        q.exact_us = q.between_us;
        compare_one(a, db_a, b, db_b, points, &q);
        q.between_us = i % 2 == 0 ? INT64_MIN : INT64_MAX;
        compare_one(a, db_a, b, db_b, points, &q);
        q.entity = nobody;
        compare_one(a, db_a, b, db_b, points, &q);
    }
    free(queries);
}
