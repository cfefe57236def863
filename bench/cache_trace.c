/*
 * cache_trace.c - sequences of keys to try caches with.
 *
 * Owns:    nothing that outlives a call but the traces that it returns.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include "cache_trace.h"

#include <math.h>
#include <stdlib.h>

#include "bench.h"

/* What is asked for how often: sums of the weights of keys up to each. */
struct zipf {
    double *sums;
    size_t n_keys;
    uint64_t random;
};

static struct zipf zipf_new(size_t n_keys, double skew)
{
    struct zipf zipf = {bench_alloc(n_keys * sizeof(double)), n_keys, 20231};
    double sum = 0;

    for (size_t i = 0; i < n_keys; i++) {
        sum += 1 / pow((double)(i + 1), skew);
        zipf.sums[i] = sum;
    }
    return zipf;
}

static double unit(uint64_t *random)
{
    return (double)(bench_random(random) >> 11) * 0x1p-53;
}

static uint32_t zipf_next(struct zipf *zipf)
{
    double x = unit(&zipf->random) * zipf->sums[zipf->n_keys - 1];
    size_t low = 0, high = zipf->n_keys - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zipf->sums[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static struct cache_trace trace_new(size_t n_keys, size_t n_requests)
{
    return (struct cache_trace){
        .keys = bench_alloc(n_requests * sizeof(uint32_t)),
        .n_requests = n_requests,
        .n_keys = n_keys,
    };
}

void cache_trace_free(struct cache_trace *trace)
{
    free(trace->keys);
    *trace = (struct cache_trace){0};
}

struct cache_trace cache_trace_zipf(size_t n_keys, double skew, size_t n_requests)
{
    struct cache_trace trace = trace_new(n_keys, n_requests);
    struct zipf zipf = zipf_new(n_keys, skew);

    for (size_t i = 0; i < n_requests; i++)
        trace.keys[i] = zipf_next(&zipf);
    free(zipf.sums);
    return trace;
}

struct cache_trace cache_trace_scan(size_t n_keys, double skew, size_t n_requests, size_t n_between,
                                    size_t n_scan)
{
    size_t n_scans = n_requests / (n_between + n_scan) + 1;
    struct cache_trace trace = trace_new(n_keys + n_scans * n_scan, n_requests);
    struct zipf zipf = zipf_new(n_keys, skew);
    uint32_t next_scanned = (uint32_t)n_keys;

    for (size_t i = 0; i < n_requests; i++)
        trace.keys[i] = i % (n_between + n_scan) < n_between ? zipf_next(&zipf) : next_scanned++;
    free(zipf.sums);
    return trace;
}

struct cache_trace cache_trace_loop(size_t n_keys, size_t n_requests)
{
    struct cache_trace trace = trace_new(n_keys, n_requests);

    for (size_t i = 0; i < n_requests; i++)
        trace.keys[i] = (uint32_t)(i % n_keys);
    return trace;
}

struct cache_trace cache_trace_shift(size_t n_keys, double skew, size_t n_requests,
                                     size_t n_between)
{
    size_t n_phases = n_requests / n_between + 1;
    struct cache_trace trace = trace_new(n_keys * n_phases, n_requests);
    struct zipf zipf = zipf_new(n_keys, skew);

    for (size_t i = 0; i < n_requests; i++)
        trace.keys[i] = zipf_next(&zipf) + (uint32_t)(i / n_between * n_keys);
    free(zipf.sums);
    return trace;
}

struct cache_trace cache_trace_recent(size_t n_keys, size_t n_requests)
{
    struct cache_trace trace = trace_new(n_keys, n_requests);
    uint64_t random = 7;

    /* A key is new, or one that came some hundreds or thousands of requests ago. */
    uint32_t n_new = 0;
    for (size_t i = 0; i < n_requests; i++) {
        double back = pow(unit(&random), 3) * 40000;
        if (n_new == 0 || (unit(&random) < 0.3 && n_new < n_keys) || back >= n_new)
            trace.keys[i] = n_new < n_keys ? n_new++ : (uint32_t)(n_keys - 1);
        else
            trace.keys[i] = n_new - 1 - (uint32_t)back;
    }
    return trace;
}

uint32_t cache_trace_varied_bytes(uint32_t key)
{
    uint64_t random = key;
    uint32_t n_bytes = 64;

    for (uint64_t bits = bench_random(&random); (bits & 1) == 1 && n_bytes < 16384; bits >>= 1)
        n_bytes *= 2;
    return n_bytes + (uint32_t)(bench_random(&random) % n_bytes) / 2;
}
