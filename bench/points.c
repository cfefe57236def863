/*
 * points.c - points over time, the same in every run.
 *
 * Owns:    their vectors and their order.
 * Threads: any, once they are made.
 * Fails:   by ending the program with a message.
 */
#include "points.h"

#include <math.h>
#include <stdlib.h>

enum { JITTER_US = 900000, ENTITY_STRIDE = 31 };

struct points *points_new(size_t n_entities, size_t n_each, size_t n_dims, bool shuffled)
{
    struct points *points = bench_alloc(sizeof *points);
    size_t n = n_entities * n_each;
    uint64_t state = 11;

    *points = (struct points){.n_entities = n_entities, .n_each = n_each, .n_dims = n_dims};
    points->pool = bench_vectors(POINTS_POOL_VECTORS, n_dims);
    if (!shuffled)
        return points;
    points->order = bench_alloc(n * sizeof *points->order);
    for (size_t i = 0; i < n; i++) {
        size_t j = bench_random(&state) % (i + 1);
        points->order[i] = points->order[j];
        points->order[j] = (uint32_t)i;
    }
    return points;
}

static double random_unit(uint64_t *state)
{
    return ((double)(bench_random(state) >> 11) + 0.5) * 0x1p-53;
}

/* Normal, variance 1 (Box and Muller, 1958). */
static double random_normal(uint64_t *state)
{
    return sqrt(-2 * log(random_unit(state))) * cos(2 * 3.14159265358979 * random_unit(state));
}

struct points *points_new_walks(size_t n_entities, size_t n_each, size_t n_dims, double step)
{
    struct points *points = bench_alloc(sizeof *points);
    uint64_t state = 13;

    *points = (struct points){
        .n_entities = n_entities, .n_each = n_each, .n_dims = n_dims, .is_walk = true};
    points->pool = bench_alloc(n_entities * n_each * n_dims * sizeof *points->pool);
    for (size_t entity = 0; entity < n_entities; entity++) {
        float *vectors = points->pool + entity * n_each * n_dims;
        for (size_t d = 0; d < n_dims; d++) {
            double element = random_normal(&state);
            for (size_t i = 0; i < n_each; i++) {
                vectors[i * n_dims + d] = (float)element;
                element += step * random_normal(&state);
            }
        }
    }
    return points;
}

uint64_t points_hash(const void *vector, size_t n_dims)
{
    const unsigned char *bytes = vector;
    uint64_t hash = 0;
    uint32_t word;

    for (size_t i = 0; i < n_dims; i++) {
        memcpy(&word, bytes + i * sizeof word, sizeof word);
        hash += word;
        hash = bench_random(&hash);
    }
    return hash;
}

void points_free(struct points *points)
{
    free(points->pool);
    free(points->order);
    free(points);
}

/* Odd, so that no two are the same. */
uint64_t points_entity(size_t index)
{
    return (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

int64_t points_time(const struct points *points, size_t entity_index, size_t point_index)
{
    uint64_t state = entity_index * 1000003 + point_index;
    int64_t step = (int64_t)point_index - (int64_t)(points->n_each / 2);

    return step * POINTS_STEP_US + (int64_t)(bench_random(&state) % JITTER_US);
}

struct point points_at(const struct points *points, size_t i)
{
    size_t index = points->order != NULL ? points->order[i] : i;
    size_t entity_index = index % points->n_entities;
    size_t point_index = index / points->n_entities;
    size_t vector_index = (entity_index * ENTITY_STRIDE + point_index) % POINTS_POOL_VECTORS;

    if (points->is_walk)
        vector_index = entity_index * points->n_each + point_index;

    return (struct point){points_entity(entity_index),
                          points_time(points, entity_index, point_index),
                          points->pool + vector_index * points->n_dims};
}
