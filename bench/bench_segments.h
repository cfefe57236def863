/*
 * bench_segments.h - what the cases of bench_segments share.
 *
 * All of them use more data than the buffers hold, so that what lies in files counts. Every store
 * is opened in a child process only: the program itself never starts a thread that a fork would
 * leave behind, and each figure of memory and of bytes written belongs to one store.
 */
#ifndef MNEME_BENCH_SEGMENTS_H
#define MNEME_BENCH_SEGMENTS_H

#include "peer.h"

enum {
    SEGMENTS_POOL_VECTORS = 1024, /* random bytes without the cost of making them each time */
};

/* The amount and the size of the records. */
struct shape {
    const char *name;  /* the end of the cases' names */
    const char *title; /* for people */
    size_t n_records;
    size_t n_dims;
};

extern const struct shape shape_128;
extern const struct shape shape_768;

/* The records of a shape, scaled; `vectors` are SEGMENTS_POOL_VECTORS of its size. */
struct bench_records segments_records(const struct bench_options *options,
                                      const struct shape *shape, const float *vectors);

/* "`stem`-`name of the shape`", and "`what`, `title of the shape`", for a case. */
struct segments_names {
    char name[64];
    char title[256];
};
struct segments_names segments_names(const char *stem, const char *what, const struct shape *shape);

/* bench_segments_read.c: reading what was loaded and lies in files. */
void run_get(const struct bench_options *options, const struct shape *shape);
void run_scan(const struct bench_options *options, const struct shape *shape);
void run_open(const struct bench_options *options, const struct shape *shape);

/* bench_segments_jobs.c: commits beside the work in the background, and dropping much at once. */
void run_paced(const struct bench_options *options);
void run_drop(const struct bench_options *options, const struct shape *shape);

#endif
