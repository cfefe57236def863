/*
 * cache_sim.h - caches that only count: LRU, S3-FIFO and W-TinyLFU, to compare hit ratios with.
 *
 * They are as simple as their descriptions and know nothing of the library:
 *   S3-FIFO    Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction,
 *              SOSP 2023. A small queue of 10 %, a main queue, a ghost of as many keys as the main
 *              queue has entries; two bits per entry.
 *   W-TinyLFU  Einziger, Friedman, Manes: TinyLFU, ACM Transactions on Storage 13(4), 2017. A
 *              window of 1 %, a main part of which 80 % are protected, four-bit counters that are
 *              halved after ten times as many look-ups as there are entries.
 * Where entries differ in size, a newcomer of W-TinyLFU must be asked for more often than all that
 * it pushes out together (Einziger, Eytan, Friedman, Manes: Lightweight robust size aware cache
 * management, ACM Transactions on Storage 18(3), 2022).
 */
#ifndef MNEME_BENCH_CACHE_SIM_H
#define MNEME_BENCH_CACHE_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cache_sim_kind { CACHE_SIM_LRU, CACHE_SIM_S3FIFO, CACHE_SIM_WTINYLFU };

struct cache_sim;

/* `n_keys`: keys are 0 to n_keys - 1. `n_entries`: how many are expected to fit. */
struct cache_sim *cache_sim_new(enum cache_sim_kind kind, uint64_t capacity_bytes, size_t n_keys,
                                size_t n_entries);
void cache_sim_free(struct cache_sim *sim);

/* Looks a key up and, if it is not there, puts it. True: it was there. */
bool cache_sim_access(struct cache_sim *sim, uint64_t key, uint64_t n_bytes);

#endif
