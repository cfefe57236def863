/*
 * cache_trace.h - sequences of keys to try caches with.
 */
#ifndef MNEME_BENCH_CACHE_TRACE_H
#define MNEME_BENCH_CACHE_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct cache_trace {
    uint32_t *keys; /* 0 to n_keys - 1 */
    size_t n_requests;
    size_t n_keys;
};

/* Each is the same in every run. */

/* Independent requests; the i-th of `n_keys` keys is asked for in proportion to 1 / i^skew. */
struct cache_trace cache_trace_zipf(size_t n_keys, double skew, size_t n_requests);
/* The same, and after each `n_between` of them a scan of `n_scan` keys that never come again. */
struct cache_trace cache_trace_scan(size_t n_keys, double skew, size_t n_requests, size_t n_between,
                                    size_t n_scan);
/* All keys in turn, again and again. */
struct cache_trace cache_trace_loop(size_t n_keys, size_t n_requests);
/* Zipf, whose keys become others after each `n_between` requests. */
struct cache_trace cache_trace_shift(size_t n_keys, double skew, size_t n_requests,
                                     size_t n_between);
/* Requests for keys that were asked for lately: a walk that forgets. */
struct cache_trace cache_trace_recent(size_t n_keys, size_t n_requests);
void cache_trace_free(struct cache_trace *trace);

/* Bytes of a key's value where they differ: from 64 to 16,384, most of them small. */
uint32_t cache_trace_varied_bytes(uint32_t key);

#endif
