/*
 * counts_private.h - what the back ends of this machine count for mn_object_stats.
 */
#ifndef MNI_OBJECT_COUNTS_PRIVATE_H
#define MNI_OBJECT_COUNTS_PRIVATE_H

#include <stdatomic.h>

#include "object/object.h"

/* Zero-initialised is none. Any thread. */
struct object_counts {
    atomic_uint_fast64_t n_requests;
    atomic_uint_fast64_t n_failures;
    atomic_uint_fast64_t bytes_sent;
    atomic_uint_fast64_t bytes_received;
};

/* Counts a request that ended like this, and answers the same. */
static inline MN_MUST_USE mn_status object_count(struct object_counts *counts, mn_status st)
{
    atomic_fetch_add(&counts->n_requests, 1);
    if (st < 0)
        atomic_fetch_add(&counts->n_failures, 1);
    return st;
}

static inline void object_counts_tell(struct object_counts *counts, struct mn_object_stats *stats)
{
    *stats = (struct mn_object_stats){
        .size = sizeof *stats,
        .n_requests = atomic_load(&counts->n_requests),
        .n_failures = atomic_load(&counts->n_failures),
        .bytes_sent = atomic_load(&counts->bytes_sent),
        .bytes_received = atomic_load(&counts->bytes_received),
    };
}

#endif
