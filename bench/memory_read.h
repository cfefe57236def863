/*
 * memory_read.h - how fast this machine reads memory: the most that going over vectors can reach.
 */
#ifndef MNEME_BENCH_MEMORY_READ_H
#define MNEME_BENCH_MEMORY_READ_H

#include <stddef.h>

/* Seconds that it takes `n_threads` threads, 1 or 2, to read all floats `n_passes` times. Each has
 * a share of them to itself. */
double memory_read_seconds(const float *floats, size_t n, unsigned n_threads, unsigned n_passes);

#endif
