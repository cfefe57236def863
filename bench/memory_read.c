/*
 * memory_read.c - how fast this machine reads memory.
 *
 * Owns:    nothing.
 * Threads: one more than it is called by, where two are asked for.
 * Fails:   by ending the program with a message.
 *
 * Floats are added up as the numbers that their bits are, in any order, with the widest loads that
 * the processor has: narrower ones were found to keep one core from reading all that it could.
 */
#include "memory_read.h"

#include <pthread.h>
#include <stdint.h>

#include "bench.h"

#if defined(__x86_64__) && !defined(__clang__)
#define FOR_ALL_WIDTHS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_ALL_WIDTHS
#endif

enum { WORDS = 16, SUMS = 4, THREADS_MAX = 2 };

typedef uint32_t words_type __attribute__((vector_size(WORDS * 4), aligned(4), may_alias));

struct share {
    pthread_t thread;
    const float *floats;
    size_t n;
    unsigned n_passes;
    uint32_t sum; /* so that reading is not left out */
};

static volatile uint32_t sum_of_all;

FOR_ALL_WIDTHS static uint32_t add_up(const float *floats, size_t n)
{
    const words_type *words = (const words_type *)floats;
    words_type a = {0}, b = {0}, c = {0}, d = {0};
    uint32_t sum = 0;

    for (size_t i = 0; i + SUMS <= n / WORDS; i += SUMS) {
        a += words[i];
        b += words[i + 1];
        c += words[i + 2];
        d += words[i + 3];
    }
    a += b + c + d;
    for (int i = 0; i < WORDS; i++)
        sum += a[i];
    return sum;
}

static void *read_share(void *context)
{
    struct share *share = context;

    for (unsigned i = 0; i < share->n_passes; i++)
        share->sum += add_up(share->floats, share->n);
    return NULL;
}

double memory_read_seconds(const float *floats, size_t n, unsigned n_threads, unsigned n_passes)
{
    struct share shares[THREADS_MAX];
    double start = bench_now();

    for (unsigned i = 0; i < n_threads; i++) {
        shares[i] = (struct share){
            .floats = floats + n / n_threads * i, .n = n / n_threads, .n_passes = n_passes};
        if (i > 0 && pthread_create(&shares[i].thread, NULL, read_share, &shares[i]) != 0)
            bench_die("cannot start a thread");
    }
    read_share(&shares[0]);
    for (unsigned i = 1; i < n_threads; i++)
        pthread_join(shares[i].thread, NULL);
    double elapsed = bench_now() - start;
    for (unsigned i = 0; i < n_threads; i++)
        sum_of_all += shares[i].sum;
    return elapsed;
}
