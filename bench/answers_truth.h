/*
 * answers_truth.h - which answer is nearest to a question: all of them compared, by plain loops.
 */
#ifndef MNEME_BENCH_ANSWERS_TRUTH_H
#define MNEME_BENCH_ANSWERS_TRUTH_H

#include "answers.h"

/* The cosine of two vectors of length 1. */
float answers_cosine(const float *a, const float *b);

/* For each of `n_queries` vectors the cosine with the nearest answer. */
void answers_best(const struct answers *answers, const float *queries, size_t n_queries,
                  float *cosines_out);

#endif
