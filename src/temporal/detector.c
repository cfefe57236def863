/*
 * detector.c - finds changes while points come in.
 *
 * Owns:    nothing.
 * Threads: a detector belongs to one at a time.
 * Fails:   never.
 */
#include <math.h>

#include "base/check.h"
#include "temporal/temporal.h"

/* Of the k-th of something, k from 1. */
static double weight_of(const struct mn_detector *d, uint64_t k)
{
    double first = 1 / (double)k;

    return first > d->alpha ? first : d->alpha;
}

static void begin_mean(struct mn_detector *d, double *mean, const float *vector)
{
    for (size_t i = 0; i < d->n_dims; i++)
        mean[i] = (double)vector[i];
    d->n_averaged = 1;
    d->spread = 1;
}

static void add_to_mean(struct mn_detector *d, double *mean, const float *vector)
{
    double weight = weight_of(d, ++d->n_averaged);

    for (size_t i = 0; i < d->n_dims; i++)
        mean[i] += weight * ((double)vector[i] - mean[i]);
    d->spread = (1 - weight) * (1 - weight) * d->spread + weight * weight;
}

static void learn(struct mn_detector *d, double deviation)
{
    double weight = weight_of(d, ++d->n_deviations);
    double difference = deviation - d->deviation_mean;
    double step = weight * difference;

    d->deviation_mean += step;
    d->deviation_variance = (1 - weight) * (d->deviation_variance + difference * step);
}

static double z_of(const struct mn_detector *d, double deviation)
{
    double above = deviation - d->deviation_mean;

    if (d->deviation_variance > 0)
        return above / sqrt(d->deviation_variance);
    return above > 0 ? INFINITY : 0;
}

void mni_temporal_detect(struct mn_detector *d, double *mean, const float *vector,
                         struct mn_detection *detection_out)
{
    struct mn_detection result = {0};
    double square = 0;
    bool is_quiet = d->n_quiet > 0;

    MNI_CHECK(d->n_dims > 0);
    if (d->n_points++ == 0) {
        begin_mean(d, mean, vector);
        *detection_out = result;
        return;
    }
    for (size_t i = 0; i < d->n_dims; i++) {
        double difference = (double)vector[i] - mean[i];

        square += difference * difference;
    }
    result.deviation = sqrt(square / (1 + d->spread));
    if (d->n_points > d->warm_up)
        result.z = z_of(d, result.deviation);
    d->n_quiet -= is_quiet;
    result.is_change = result.z > d->threshold && !is_quiet;
    if (result.is_change) {
        begin_mean(d, mean, vector);
        d->n_quiet = d->cooldown;
    } else {
        add_to_mean(d, mean, vector);
        learn(d, result.deviation);
    }
    *detection_out = result;
}
