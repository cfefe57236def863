/*
 * answers.c - answers of language models, the same in every run.
 *
 * Owns:    their embeddings and random bytes.
 * Threads: any, once they are made.
 * Fails:   by ending the program with a message.
 */
#include "answers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { UNIFORMS = 4, PAYLOAD_STEP = 4160 }; /* so that neighbours do not share a page */

/* About normally distributed, with variance 1: the sum of four uniform numbers of 16 bits. */
static float random_normal(uint64_t *state)
{
    const double scale = 1.7320508 / 65536; /* each has variance 1/12 */
    uint64_t bits = bench_random(state);
    double sum = 0;

    for (int i = 0; i < UNIFORMS; i++)
        sum += (double)(bits >> (16 * i) & 0xffff);
    return (float)((sum - UNIFORMS / 2.0 * 65535) * scale);
}

static void scale_to_unit(float *vector)
{
    double sum = 0;

    for (int d = 0; d < ANSWERS_DIMS; d++)
        sum += (double)vector[d] * (double)vector[d];
    for (int d = 0; d < ANSWERS_DIMS; d++)
        vector[d] = (float)(vector[d] / sqrt(sum));
}

/* A vector of length 1 at about this cosine from another: noise is about perpendicular to it. */
static void go_away(const float *from, double cosine, uint64_t *state, float *vector_out)
{
    float noise = (float)(sqrt(1 / (cosine * cosine) - 1) / sqrt(ANSWERS_DIMS));

    for (int d = 0; d < ANSWERS_DIMS; d++)
        vector_out[d] = from[d] + noise * random_normal(state);
    scale_to_unit(vector_out);
}

static float *make_embeddings(size_t n, size_t n_centres, double nearness)
{
    float *centres = bench_alloc(n_centres * ANSWERS_DIMS * sizeof *centres);
    float *embeddings = bench_alloc(n * ANSWERS_DIMS * sizeof *embeddings);
    uint64_t state = 2027;

    for (size_t i = 0; i < n_centres; i++) {
        for (size_t d = 0; d < ANSWERS_DIMS; d++)
            centres[i * ANSWERS_DIMS + d] = random_normal(&state);
        scale_to_unit(centres + i * ANSWERS_DIMS);
    }
    /* Two at a cosine of c from their centre are at c * c from each other. */
    for (size_t i = 0; i < n; i++)
        go_away(centres + bench_random(&state) % n_centres * ANSWERS_DIMS, sqrt(nearness), &state,
                embeddings + i * ANSWERS_DIMS);
    free(centres);
    return embeddings;
}

struct answers *answers_new(size_t n, size_t n_centres, double nearness)
{
    struct answers *answers = bench_alloc(sizeof *answers);
    uint64_t state = 17;

    answers->n = n;
    answers->pool = bench_alloc(ANSWERS_POOL_BYTES);
    for (size_t i = 0; i < ANSWERS_POOL_BYTES; i += sizeof(uint64_t)) {
        uint64_t word = bench_random(&state);
        memcpy(answers->pool + i, &word, sizeof word);
    }
    if (n_centres > 0)
        answers->embeddings = make_embeddings(n, n_centres, nearness);
    return answers;
}

void answers_free(struct answers *answers)
{
    free(answers->embeddings);
    free(answers->pool);
    free(answers);
}

struct answers_name answers_name(uint64_t index)
{
    uint64_t state = index * 8;
    struct answers_name name = {.index = index, .id = bench_random(&state)};

    for (size_t i = 0; i < ANSWERS_KEY_BYTES; i += sizeof(uint64_t)) {
        uint64_t word = bench_random(&state);
        memcpy(name.key + i, &word, sizeof word);
    }
    return name;
}

const unsigned char *answers_payload(const struct answers *answers, uint64_t index)
{
    size_t n_places = ANSWERS_POOL_BYTES - ANSWERS_PAYLOAD_BYTES;

    return answers->pool + index * PAYLOAD_STEP % n_places;
}

void answers_near(const struct answers *answers, uint64_t index, double cosine, uint64_t *state,
                  float vector_out[ANSWERS_DIMS])
{
    go_away(answers->embeddings + index * ANSWERS_DIMS, cosine, state, vector_out);
}
