/*
 * points_reads.h - reading points: which ones, in which ways, and how long it takes.
 */
#ifndef MNEME_BENCH_POINTS_READS_H
#define MNEME_BENCH_POINTS_READS_H

#include "points.h"

enum { READS_RANGE_POINTS = 100 };

enum reads_kind {
    READS_RANGE, /* of READS_RANGE_POINTS, every vector as a whole */
    READS_AS_OF,
    READS_NEXT_FROM,
    READS_GET,
    READS_TIMELINE,
    READS_LATEST, /* as of the last time there can be */
    N_READS_KINDS,
};

/* An interval that holds as many points as a range has to show, from a point to a point; a time
 * within it that a point has, and one that none has as a rule. */
struct reads_query {
    uint64_t entity;
    int64_t from_us;
    int64_t to_us;
    int64_t exact_us;
    int64_t between_us;
};

/* `n_queries` of them, each of one of `n_places` that are chosen at random. To be freed. */
struct reads_query *reads_queries(const struct points *points, size_t n_queries, size_t n_places);

/* Reads each query in one way. */
struct points_seen reads_run(const struct points_peer *peer, void *db, const struct points *points,
                             enum reads_kind kind, enum points_take take,
                             const struct reads_query *queries, size_t n_queries);

/* Seconds that a read takes, after a tenth of them without the clock. */
double reads_time(const struct points_peer *peer, void *db, const struct points *points,
                  enum reads_kind kind, const struct reads_query *queries, size_t n_queries);

/* Reads all points once. Ends the program when they are not all there. */
void reads_warm(const struct points_peer *peer, void *db, const struct points *points);

/* Ends the program when two stores do not answer all queries alike, in every way, also beside all
 * times and of an entity that is not there. */
void reads_compare(const struct points_peer *a, void *db_a, const struct points_peer *b, void *db_b,
                   const struct points *points, size_t n_queries);

#endif
