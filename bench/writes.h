/*
 * writes.h - measuring how many records a second a peer makes durable.
 */
#ifndef MNEME_BENCH_WRITES_H
#define MNEME_BENCH_WRITES_H

#include "peer.h"

/* The context of a contender that writes. */
struct bench_writes {
    const struct peer *peer;
    size_t n_writers;         /* threads */
    size_t n_records;         /* in all, over all writers */
    size_t records_per_write; /* 1: put; more: put_batch */
};

/* A contender that, each round, opens a new database, writes a little to warm up, then measures:
 * records per second. `what` is borrowed by the contender. `name` NULL: the peer's. */
struct bench_contender bench_writes_contender(const struct bench_writes *what, const char *name);

#endif
