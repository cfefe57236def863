/*
 * cache_sim.c - caches that only count: LRU, S3-FIFO and W-TinyLFU.
 *
 * Owns:    its arrays, one element per key.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include "cache_sim.h"

#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum {
    NOWHERE,
    LRU_LIST,
    SMALL_LIST,
    MAIN_LIST,
    GHOST_LIST,
    WINDOW_LIST,
    PROBATION_LIST,
    PROTECTED_LIST,
    N_LISTS
};
enum {
    S3_COUNT_MAX = 3,
    S3_SMALL_PERCENT = 10,
    WINDOW_PERCENT = 1,
    PROTECTED_PERCENT = 80,
    SKETCH_ROWS = 4,
    SKETCH_COUNT_MAX = 15,
    SKETCH_SAMPLE = 10
};

struct node {
    uint32_t newer;
    uint32_t older;
    uint32_t n_bytes;
    uint8_t list;
    uint8_t count; /* S3-FIFO */
};

/* Nodes 0 to N_LISTS - 1 are the heads of lists; keys come behind. */
struct list {
    uint64_t n_bytes;
    uint64_t n_nodes;
};

struct cache_sim {
    enum cache_sim_kind kind;
    uint64_t capacity;
    struct node *nodes;
    struct list lists[N_LISTS];
    uint8_t *sketch; /* SKETCH_ROWS rows */
    size_t row_counters;
    uint64_t n_sampled;
    uint64_t n_sampled_max;
};

static uint32_t node_of(uint64_t key)
{
    return (uint32_t)key + N_LISTS;
}

static void enter(struct cache_sim *sim, uint32_t node, uint8_t list)
{
    struct node *nodes = sim->nodes;

    nodes[node].list = list;
    nodes[node].newer = list;
    nodes[node].older = nodes[list].older;
    nodes[nodes[list].older].newer = node;
    nodes[list].older = node;
    sim->lists[list].n_bytes += nodes[node].n_bytes;
    sim->lists[list].n_nodes++;
}

static void leave(struct cache_sim *sim, uint32_t node)
{
    struct node *nodes = sim->nodes;

    nodes[nodes[node].newer].older = nodes[node].older;
    nodes[nodes[node].older].newer = nodes[node].newer;
    sim->lists[nodes[node].list].n_bytes -= nodes[node].n_bytes;
    sim->lists[nodes[node].list].n_nodes--;
    nodes[node].list = NOWHERE;
}

static void move(struct cache_sim *sim, uint32_t node, uint8_t list)
{
    leave(sim, node);
    enter(sim, node, list);
}

static uint32_t oldest(const struct cache_sim *sim, uint8_t list)
{
    return sim->nodes[list].newer;
}

struct cache_sim *cache_sim_new(enum cache_sim_kind kind, uint64_t capacity_bytes, size_t n_keys,
                                size_t n_entries)
{
    struct cache_sim *sim = bench_alloc(sizeof *sim);

    sim->kind = kind;
    sim->capacity = capacity_bytes;
    sim->nodes = bench_alloc((n_keys + N_LISTS) * sizeof *sim->nodes);
    for (uint32_t i = 0; i < N_LISTS; i++)
        sim->nodes[i].newer = sim->nodes[i].older = i;
    sim->row_counters = 64;
    while (sim->row_counters < 4 * n_entries)
        sim->row_counters *= 2;
    sim->sketch = bench_alloc(SKETCH_ROWS * sim->row_counters);
    sim->n_sampled_max = SKETCH_SAMPLE * (uint64_t)n_entries;
    return sim;
}

void cache_sim_free(struct cache_sim *sim)
{
    free(sim->nodes);
    free(sim->sketch);
    free(sim);
}

/* LRU ----------*/

static bool access_lru(struct cache_sim *sim, uint32_t node)
{
    if (sim->nodes[node].list == LRU_LIST) {
        move(sim, node, LRU_LIST);
        return true;
    }
    enter(sim, node, LRU_LIST);
    while (sim->lists[LRU_LIST].n_bytes > sim->capacity)
        leave(sim, oldest(sim, LRU_LIST));
    return false;
}

/* S3-FIFO ----------*/

static void evict_main(struct cache_sim *sim)
{
    for (;;) {
        uint32_t node = oldest(sim, MAIN_LIST);
        if (sim->nodes[node].count == 0) {
            leave(sim, node);
            return;
        }
        sim->nodes[node].count--;
        move(sim, node, MAIN_LIST);
    }
}

static void evict_small(struct cache_sim *sim)
{
    uint32_t node = oldest(sim, SMALL_LIST);

    if (sim->nodes[node].count > 1) {
        sim->nodes[node].count = 0;
        move(sim, node, MAIN_LIST);
        return;
    }
    move(sim, node, GHOST_LIST);
    while (sim->lists[GHOST_LIST].n_nodes > sim->lists[MAIN_LIST].n_nodes + 1)
        leave(sim, oldest(sim, GHOST_LIST));
}

static bool access_s3fifo(struct cache_sim *sim, uint32_t node)
{
    struct node *n = &sim->nodes[node];
    bool was_ghost = n->list == GHOST_LIST;

    if (n->list == SMALL_LIST || n->list == MAIN_LIST) {
        n->count = n->count < S3_COUNT_MAX ? n->count + 1 : S3_COUNT_MAX;
        return true;
    }
    if (was_ghost)
        leave(sim, node);
    while (sim->lists[SMALL_LIST].n_bytes + sim->lists[MAIN_LIST].n_bytes + n->n_bytes >
           sim->capacity) {
        if (sim->lists[SMALL_LIST].n_nodes > 0 &&
            (sim->lists[SMALL_LIST].n_bytes >= sim->capacity * S3_SMALL_PERCENT / 100 ||
             sim->lists[MAIN_LIST].n_nodes == 0))
            evict_small(sim);
        else
            evict_main(sim);
    }
    n->count = 0;
    enter(sim, node, was_ghost ? MAIN_LIST : SMALL_LIST);
    return false;
}

/* W-TinyLFU ----------*/

static uint8_t *counter(struct cache_sim *sim, uint32_t node, unsigned row)
{
    uint64_t state = node * UINT64_C(4) + row;

    return sim->sketch + row * sim->row_counters + (bench_random(&state) & (sim->row_counters - 1));
}

static unsigned estimate(struct cache_sim *sim, uint32_t node)
{
    unsigned least = SKETCH_COUNT_MAX;

    for (unsigned row = 0; row < SKETCH_ROWS; row++) {
        unsigned count = *counter(sim, node, row);
        least = count < least ? count : least;
    }
    return least;
}

static void sample(struct cache_sim *sim, uint32_t node)
{
    for (unsigned row = 0; row < SKETCH_ROWS; row++) {
        uint8_t *count = counter(sim, node, row);
        *count = *count < SKETCH_COUNT_MAX ? *count + 1 : SKETCH_COUNT_MAX;
    }
    if (++sim->n_sampled < sim->n_sampled_max)
        return;
    for (size_t i = 0; i < SKETCH_ROWS * sim->row_counters; i++)
        sim->sketch[i] /= 2;
    sim->n_sampled /= 2;
}

static uint64_t main_bytes(const struct cache_sim *sim)
{
    return sim->lists[PROBATION_LIST].n_bytes + sim->lists[PROTECTED_LIST].n_bytes;
}

static uint32_t victim_of(const struct cache_sim *sim)
{
    return sim->lists[PROBATION_LIST].n_nodes > 0 ? oldest(sim, PROBATION_LIST)
                                                  : oldest(sim, PROTECTED_LIST);
}

/* The candidate gets into the main part, in the place of as many of its oldest as that takes, or
 * goes. */
static void judge(struct cache_sim *sim, uint32_t candidate, uint64_t main_capacity)
{
    uint64_t n_bytes = sim->nodes[candidate].n_bytes;
    uint64_t room = main_capacity > main_bytes(sim) ? main_capacity - main_bytes(sim) : 0;
    uint8_t list = PROBATION_LIST;
    uint32_t at = PROBATION_LIST;
    unsigned sum = 0;

    if (n_bytes > main_capacity) {
        leave(sim, candidate);
        return;
    }
    while (room < n_bytes) {
        at = sim->nodes[at].newer;
        if (at == list) {
            list = PROTECTED_LIST;
            at = PROTECTED_LIST;
            continue;
        }
        room += sim->nodes[at].n_bytes;
        sum += estimate(sim, at);
    }
    if (sum > 0 && estimate(sim, candidate) <= sum) {
        leave(sim, candidate);
        return;
    }
    while (main_bytes(sim) + n_bytes > main_capacity)
        leave(sim, victim_of(sim));
    move(sim, candidate, PROBATION_LIST);
}

static bool access_wtinylfu(struct cache_sim *sim, uint32_t node)
{
    uint64_t window = sim->capacity * WINDOW_PERCENT / 100;
    uint64_t main_capacity = sim->capacity - window;
    bool is_hit = sim->nodes[node].list != NOWHERE;

    sample(sim, node);
    if (is_hit) {
        uint8_t list = sim->nodes[node].list;
        move(sim, node, list == WINDOW_LIST ? WINDOW_LIST : PROTECTED_LIST);
        while (sim->lists[PROTECTED_LIST].n_bytes > main_capacity * PROTECTED_PERCENT / 100)
            move(sim, oldest(sim, PROTECTED_LIST), PROBATION_LIST);
        return true;
    }
    enter(sim, node, WINDOW_LIST);
    while (sim->lists[WINDOW_LIST].n_bytes > window)
        judge(sim, oldest(sim, WINDOW_LIST), main_capacity);
    return false;
}

bool cache_sim_access(struct cache_sim *sim, uint64_t key, uint64_t n_bytes)
{
    uint32_t node = node_of(key);

    sim->nodes[node].n_bytes = (uint32_t)n_bytes;
    switch (sim->kind) {
    case CACHE_SIM_LRU:
        return access_lru(sim, node);
    case CACHE_SIM_S3FIFO:
        return access_s3fifo(sim, node);
    case CACHE_SIM_WTINYLFU:
        return access_wtinylfu(sim, node);
    }
    return false;
}
