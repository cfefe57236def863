/* Tests of the nearest points of a space, in time. */
#include <inttypes.h>
#include <math.h>
#include <time.h>

#include "points.h"

static struct mn_nearest_options options;

static void begin_nearest(void)
{
    begin_with(7);
    options = (struct mn_nearest_options){.size = sizeof options};
}

static void put_vector(uint64_t entity, int64_t time_us, float a, float b, float c)
{
    const float vector[N_DIMS] = {a, b, c};
    const struct mn_point point = {
        .entity = entity, .time_us = time_us, .vector = vector, .n_dims = N_DIMS};

    CHECK_OK_ERR(mn_temporal_put(store, 7, &point, NULL, NULL, &err), &err);
}

static mn_nearest *searched(const float *query, size_t limit)
{
    mn_nearest *nearest = NULL;

    CHECK_OK_ERR(mn_temporal_nearest_open(store, 7, query, N_DIMS, limit, &options, &nearest, &err),
                 &err);
    return nearest;
}

static mn_status try_search(const float *query, uint32_t n_dims, size_t limit)
{
    mn_nearest *nearest = NULL;
    mn_status st =
        mn_temporal_nearest_open(store, 7, query, n_dims, limit, &options, &nearest, &err);

    CHECK((st == MN_OK) == (nearest != NULL));
    mn_temporal_nearest_close(nearest);
    return st;
}

static void check_end(mn_nearest *nearest)
{
    const struct mn_nearest_hit clear = {0};
    struct mn_nearest_hit hit = {.distance = 3};

    CHECK_STATUS(mn_temporal_nearest_next(nearest, &hit, &err), MN_END);
    CHECK_MEM_EQ(&hit, &clear, sizeof hit);
    CHECK_STATUS(mn_temporal_nearest_next(nearest, &hit, NULL), MN_END);
}

struct expected {
    uint64_t entity;
    int64_t time_us;
    double distance;
};

static void check_hits(const float *query, const struct expected *expected, size_t n)
{
    for (size_t limit = 1; limit <= n + 1; limit++) {
        mn_nearest *nearest = searched(query, limit);
        for (size_t i = 0; i < n && i < limit; i++) {
            struct mn_nearest_hit hit;
            CHECK_OK_ERR(mn_temporal_nearest_next(nearest, &hit, &err), &err);
            CHECK_EQ(hit.view.entity, expected[i].entity);
            CHECK_EQ(hit.view.time_us, expected[i].time_us);
            CHECK(isinf(expected[i].distance) ? isinf(hit.distance)
                                              : fabs(hit.distance - expected[i].distance) < 1e-7);
            mn_point_release(&hit.view);
        }
        check_end(nearest);
        mn_temporal_nearest_close(nearest);
    }
}
#define CHECK_HITS(query, ...)                                                                     \
    check_hits((query), (const struct expected[]){__VA_ARGS__},                                    \
               CHECK_COUNT(((const struct expected[]){__VA_ARGS__})))

static struct mn_nearest_stats stats_of_search(mn_nearest *nearest)
{
    struct mn_nearest_stats stats = {.size = sizeof stats};

    CHECK_OK_ERR(mn_temporal_nearest_stats(nearest, &stats, &err), &err);
    return stats;
}

/* By hand ---------- */

static const float x_axis[N_DIMS] = {1, 0, 0};

static void an_entity_is_there_once_with_its_nearest_point(void)
{
    begin_nearest();
    put_vector(1, 10, 0, 1, 0);
    put_vector(1, 20, 2, 0, 0);
    put_vector(1, 30, -1, 0, 0);
    put_vector(2, 15, 1, 1, 0);
    put_vector(3, 5, 0, 0, 1);
    put_vector(3, 40, 0, 0, 7);
    for (int i = 0; i < 2; i++) {
        options = (struct mn_nearest_options){.size = sizeof options};
        CHECK_HITS(x_axis, {1, 20, 0}, {2, 15, 1 - sqrt(0.5)}, {3, 5, 1});
        options.scope = MN_NEAREST_AS_OF;
        options.at_us = 19;
        CHECK_HITS(x_axis, {2, 15, 1 - sqrt(0.5)}, {1, 10, 1}, {3, 5, 1});
        options.at_us = 30;
        CHECK_HITS(x_axis, {2, 15, 1 - sqrt(0.5)}, {3, 5, 1}, {1, 30, 2});
        options.at_us = 9;
        CHECK_HITS(x_axis, {3, 5, 1});
        options.scope = MN_NEAREST_WITHIN;
        options.from_us = 10;
        options.to_us = 15;
        CHECK_HITS(x_axis, {2, 15, 1 - sqrt(0.5)}, {1, 10, 1});
        options.metric = MN_METRIC_L2;
        options.to_us = 40;
        CHECK_HITS(x_axis, {1, 20, 1}, {2, 15, 1}, {3, 40, sqrt(50)});
        options.scope = MN_NEAREST_EVER;
        CHECK_HITS(x_axis, {1, 20, 1}, {2, 15, 1}, {3, 5, sqrt(2)});
        checkpoint();
    }
    closed(store);
}

static void time_counts_as_its_half_life_says(void)
{
    mn_nearest *nearest;
    struct mn_nearest_hit hit;

    begin_nearest();
    put_vector(1, 1000, 1, 0, 0);
    put_vector(2, 0, 0, 1, 0);
    put_vector(2, -300, 1, 0, 0);
    put_vector(3, 200, -1, 0, 0);
    options.weighs_time = true;
    options.alpha = 0.75;
    options.half_life_us = 100;
    options.has_around = true;
    options.around_us = 0;
    /* 0.75 * 0 + 0.25 * (1 - 2^-10); 0.75 * 0 + 0.25 * 7/8; 0.75 + 0.25 * 3/4 */
    CHECK_HITS(x_axis, {2, -300, 0.21875}, {1, 1000, 0.25 * 1023 / 1024}, {3, 200, 0.9375});
    nearest = searched(x_axis, 1);
    CHECK_OK(mn_temporal_nearest_next(nearest, &hit, &err));
    CHECK(hit.vector_distance == 0 && fabs(hit.decay - 0.875) < 1e-15);
    mn_point_release(&hit.view);
    mn_temporal_nearest_close(nearest);
    options.metric = MN_METRIC_L2; /* half of it for sqrt(2) / (sqrt(2) + 1), of 2 / 3 */
    CHECK_HITS(x_axis, {2, -300, 0.21875}, {1, 1000, 0.25 * 1023 / 1024}, {3, 200, 0.5 + 0.1875});
    options.l2_half = 6;
    CHECK_HITS(x_axis, {2, 0, 0.75 * sqrt(2) / (sqrt(2) + 6)}, {2 - 1, 1000, 0.25 * 1023 / 1024},
               {3, 200, 0.75 * 0.25 + 0.1875});
    options.alpha = 0; /* time alone: the earliest of those equally far */
    put_vector(2, -200, 1, 0, 0);
    options.around_us = -250;
    CHECK_HITS(x_axis, {2, -300, 1 - sqrt(0.5)}, {3, 200, 1 - exp2(-4.5)},
               {1, 1000, 1 - exp2(-12.5)});
    options.has_around = false; /* it is the end of the interval, or the time asked for */
    options.scope = MN_NEAREST_WITHIN;
    options.from_us = -1000;
    options.to_us = 100;
    CHECK_HITS(x_axis, {2, 0, 0.5});
    options.scope = MN_NEAREST_AS_OF;
    options.at_us = 1000;
    CHECK_HITS(x_axis, {1, 1000, 0}, {3, 200, 1 - exp2(-8)}, {2, 0, 1 - exp2(-10)});
    closed(store);
}

static void the_ends_of_all_numbers_are_like_others(void)
{
    begin_nearest();
    for (int i = 0; i < 2; i++) {
        put_vector(0, INT64_MIN, 1, 0, 0);
        put_vector(0, INT64_MAX, 0, 1, 0);
        put_vector(UINT64_MAX, INT64_MIN, 0, 1, 0);
        put_vector(UINT64_MAX, INT64_MAX, 1, 0, 0);
        options = (struct mn_nearest_options){.size = sizeof options};
        CHECK_HITS(x_axis, {0, INT64_MIN, 0}, {UINT64_MAX, INT64_MAX, 0});
        options.scope = MN_NEAREST_AS_OF;
        options.at_us = INT64_MIN;
        CHECK_HITS(x_axis, {0, INT64_MIN, 0}, {UINT64_MAX, INT64_MIN, 1});
        options.at_us = INT64_MAX;
        CHECK_HITS(x_axis, {UINT64_MAX, INT64_MAX, 0}, {0, INT64_MAX, 1});
        options.scope = MN_NEAREST_WITHIN;
        options.from_us = INT64_MIN + 1;
        options.to_us = INT64_MAX - 1;
        check_hits(x_axis, NULL, 0);
        options.weighs_time = true; /* the whole of time is one half-life, about */
        options.half_life_us = INT64_MAX;
        options.has_around = true;
        options.around_us = INT64_MAX;
        options.from_us = INT64_MIN;
        options.to_us = INT64_MIN;
        CHECK_HITS(x_axis, {0, INT64_MIN, 0.75}, {UINT64_MAX, INT64_MIN, 0.75});
        options.half_life_us = 1;
        CHECK_HITS(x_axis, {0, INT64_MIN, 1}, {UINT64_MAX, INT64_MIN, 1});
        checkpoint();
    }
    closed(store);
}

static void odd_vectors_have_the_distances_that_are_said(void)
{
    begin_nearest();
    put_vector(1, 1, 1, 0, 0);
    put_vector(1, 2, NAN, 0, 0);
    put_vector(2, 1, 0, 0, 0);
    put_vector(3, 1, NAN, 0, 0);
    put_vector(4, 1, INFINITY, 0, 0);
    put_vector(5, 1, 1e30F, 0, 0);
    CHECK_HITS(x_axis, {1, 1, 0}, {2, 1, 1}, {5, 1, 1}); /* of 5 the length is infinite */
    options.metric = MN_METRIC_L2;
    CHECK_HITS(x_axis, {1, 1, 0}, {2, 1, 1}, {4, 1, INFINITY}, {5, 1, INFINITY});
    options.scope = MN_NEAREST_AS_OF;
    options.at_us = 2;
    CHECK_HITS(x_axis, {2, 1, 1}, {4, 1, INFINITY}, {5, 1, INFINITY});
    options.weighs_time = true;
    options.alpha = 1;
    options.half_life_us = 1;
    CHECK_HITS(x_axis, {2, 1, 0.5}, {4, 1, 1}, {5, 1, 1});
    options = (struct mn_nearest_options){.size = sizeof options};
    const float nothing[N_DIMS] = {0};
    CHECK_HITS(nothing, {1, 1, 1}, {2, 1, 1}, {3, 1, 1}, {4, 1, 1}, {5, 1, 1});
    closed(store);
}

/* Beside a slow reference ---------- */

enum { N_ENTITIES = 23, N_TIMES = 60, SPAN = 400 };

struct there {
    bool is_there;
    float vector[N_DIMS];
};

static struct there model[N_ENTITIES][N_TIMES];

static uint64_t entity_of(unsigned e)
{
    return e == 0 ? 0 : e == N_ENTITIES - 1 ? UINT64_MAX : (uint64_t)e * 7919;
}

static int64_t time_of(unsigned t)
{
    return ((int64_t)t - N_TIMES / 2) * 10;
}

/* Small whole numbers, so that sums are exact, and distances often equal. */
static void any_vector(uint64_t *random, float *vector)
{
    for (int d = 0; d < N_DIMS; d++)
        vector[d] = (float)check_below(random, 7) - 3;
    if (check_below(random, 20) == 0)
        vector[1] = NAN;
}

static void change_points(uint64_t *random, unsigned n)
{
    while (n-- > 0) {
        unsigned e = (unsigned)check_below(random, N_ENTITIES);
        unsigned t = (unsigned)check_below(random, N_TIMES);
        struct there *there = &model[e][t];
        struct mn_point point = {.entity = entity_of(e),
                                 .time_us = time_of(t),
                                 .vector = there->vector,
                                 .n_dims = N_DIMS};
        if (e % 5 == 4 && t % 8 != 0)
            continue; /* some have few */
        if (check_below(random, 5) == 0) {
            bool existed = false;
            CHECK_OK_ERR(mn_temporal_delete(store, 7, point.entity, point.time_us, NULL, &existed,
                                            NULL, &err),
                         &err);
            CHECK(existed == there->is_there);
            there->is_there = false;
            continue;
        }
        any_vector(random, there->vector);
        there->is_there = true;
        if (check_below(random, 6) == 0) { /* long expired */
            point.fields = MN_HAS_EXPIRES_AT;
            point.expires_at_us = 1;
            there->is_there = false;
        }
        CHECK_OK_ERR(mn_temporal_put(store, 7, &point, NULL, NULL, &err), &err);
    }
}

static double dot(const float *a, const float *b)
{
    return (double)a[0] * (double)b[0] + (double)a[1] * (double)b[1] + (double)a[2] * (double)b[2];
}

static double reference_distance(const float *query, const float *vector, int64_t time_us)
{
    bool is_l2 = options.metric == MN_METRIC_L2;
    float lengths[2] = {sqrtf((float)dot(query, query)), sqrtf((float)dot(vector, vector))};
    double distance = 1;

    if (is_l2)
        distance = sqrt(dot(query, query) + dot(vector, vector) - 2 * dot(query, vector));
    else if (lengths[0] != 0 && lengths[1] != 0)
        distance =
            1 - (double)(float)(dot(query, vector) / ((double)lengths[0] * (double)lengths[1]));
    if (!is_l2 && !isnan(distance))
        distance = fmin(fmax(distance, 0), 2);
    if (!options.weighs_time || isnan(distance))
        return distance;
    double gap = fabs((double)time_us - (double)options.around_us);
    double half = options.l2_half > 0 ? options.l2_half : 1;
    return options.alpha * (is_l2 ? distance / (distance + half) : distance / 2) +
           (1 - options.alpha) * -expm1(-gap / (double)options.half_life_us * log(2));
}

static int by_distance(const void *a, const void *b)
{
    const struct expected *x = a;
    const struct expected *y = b;

    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return x->entity < y->entity ? -1 : 1;
}

/* The nearest point of an entity. False: it has none. */
static bool reference_best(unsigned e, const float *query, struct expected *best)
{
    bool has_one = false;
    unsigned last = N_TIMES;

    if (options.scope == MN_NEAREST_AS_OF)
        for (unsigned t = 0; t < N_TIMES; t++)
            if (model[e][t].is_there && time_of(t) <= options.at_us)
                last = t;
    for (unsigned t = 0; t < N_TIMES; t++) {
        int64_t at = time_of(t);
        double distance;
        if (!model[e][t].is_there || (options.scope == MN_NEAREST_AS_OF && t != last) ||
            (options.scope == MN_NEAREST_WITHIN && (at < options.from_us || at > options.to_us)))
            continue;
        distance = reference_distance(query, model[e][t].vector, at);
        if (isnan(distance) || (has_one && distance >= best->distance))
            continue;
        *best = (struct expected){entity_of(e), at, distance};
        has_one = true;
    }
    return has_one;
}

static int64_t any_time(uint64_t *random)
{
    return (int64_t)check_below(random, 2 * SPAN) - SPAN;
}

static void any_options(uint64_t *random)
{
    options = (struct mn_nearest_options){
        .size = sizeof options,
        .scope = (mn_nearest_scope)check_below(random, 3),
        .metric = check_below(random, 2) == 0 ? MN_METRIC_DEFAULT : MN_METRIC_L2,
        .at_us = any_time(random),
        .from_us = any_time(random),
        .weighs_time = check_below(random, 2) == 0,
        .alpha = (double)check_below(random, 11) / 10,
        .half_life_us = 1 + (int64_t)check_below(random, 500),
        .has_around = true,
        .around_us = any_time(random),
        .l2_half = (double)check_below(random, 3),
    };
    options.to_us = options.from_us + (int64_t)check_below(random, SPAN);
}

static void check_once(uint64_t *random)
{
    struct expected expected[N_ENTITIES];
    float query[N_DIMS];
    size_t n = 0;

    any_options(random);
    do
        any_vector(random, query);
    while (isnan(query[1]));
    for (unsigned e = 0; e < N_ENTITIES; e++)
        n += reference_best(e, query, &expected[n]);
    qsort(expected, n, sizeof *expected, by_distance);
    size_t limit = 1 + check_below(random, N_ENTITIES);
    mn_nearest *nearest = searched(query, limit);
    for (size_t i = 0; i < n && i < limit; i++) {
        struct mn_nearest_hit hit;
        CHECK_OK_ERR(mn_temporal_nearest_next(nearest, &hit, &err), &err);
        CHECK_EQ(hit.view.entity, expected[i].entity);
        CHECK_EQ(hit.view.time_us, expected[i].time_us);
        CHECK(hit.distance == expected[i].distance);
        mn_point_release(&hit.view);
    }
    check_end(nearest);
    CHECK_EQ(stats_of_search(nearest).n_results, n < limit ? n : limit);
    mn_temporal_nearest_close(nearest);
}

static void results_are_those_of_comparing_all(void)
{
    uint64_t random = check_seed();

    begin_nearest();
    memset(model, 0, sizeof model);
    check_once(&random); /* of none */
    for (int round = 0; round < 40; round++) {
        change_points(&random, 60);
        for (int i = 0; i < 25; i++)
            check_once(&random);
        if (check_below(&random, 4) == 0)
            checkpoint();
        if (check_below(&random, 10) == 0)
            reopen();
    }
    closed(store);
}

/* What a search is ---------- */

static void it_shows_the_moment_at_which_it_was_opened(void)
{
    for (int in_segment = 0; in_segment < 2; in_segment++) {
        struct mn_nearest_hit hit;
        begin_nearest();
        put_vector(1, 1, 1, 0, 0);
        put_vector(2, 1, 0, 1, 0);
        if (in_segment)
            checkpoint();
        mn_nearest *nearest = searched(x_axis, 5);
        put_vector(1, 1, -1, 0, 0);
        put_vector(3, 1, 1, 0, 0);
        CHECK_OK_ERR(mn_temporal_drop_space(store, 7, NULL, NULL, NULL, &err), &err);
        checkpoint();
        CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
        CHECK_OK_ERR(mn_temporal_nearest_next(nearest, &hit, &err), &err);
        CHECK(hit.view.entity == 1 && ((const float *)hit.view.vector)[0] == 1);
        mn_point_release(&hit.view);
        CHECK_OK_ERR(mn_temporal_nearest_next(nearest, &hit, &err), &err);
        CHECK(hit.view.entity == 2 && hit.distance == 1);
        check_end(nearest);
        mn_temporal_nearest_close(nearest);
        CHECK(hit.view.vector[1] == 1); /* it outlives the search */
        mn_point_release(&hit.view);
        closed(store);
    }
}

static void what_cannot_count_is_passed_over_with_few_steps(void)
{
    enum { N = 2000 };
    float vector[N_DIMS];
    struct mn_point points[N];

    begin_nearest();
    for (int e = 1; e <= 3; e++) {
        static float vectors[N][N_DIMS];
        for (int i = 0; i < N; i++)
            points[i] = point_of((uint64_t)e, i, vectors[i]);
        CHECK_OK_ERR(mn_temporal_put_batch(store, 7, points, N, NULL, NULL, NULL, &err), &err);
        if (e == 2)
            checkpoint();
    }
    options.scope = MN_NEAREST_AS_OF;
    options.at_us = N / 2;
    (void)point_of(2, N / 2, vector);
    mn_nearest *nearest = searched(vector, 2);
    struct mn_nearest_stats stats = stats_of_search(nearest);
    CHECK(stats.n_results == 2 && stats.n_entities == 3 && stats.n_points == 3);
    CHECK(stats.n_passed > 0 && stats.n_passed < 200);
    CHECK(stats.duration_us >= 0);
    CHECK_EQ(stats_of(store).pinned_bytes, 0);
    mn_temporal_nearest_close(nearest);
    options.scope = MN_NEAREST_WITHIN;
    options.from_us = N / 2 - 9;
    options.to_us = N / 2;
    nearest = searched(vector, 2);
    stats = stats_of_search(nearest);
    CHECK(stats.n_results == 2 && stats.n_entities == 3 && stats.n_points == 30);
    CHECK(stats.n_passed < 200);
    stats.size = sizeof stats.size; /* a program that knows of no more */
    stats.n_points = 99;
    CHECK_OK(mn_temporal_nearest_stats(nearest, &stats, &err));
    CHECK_EQ(stats.n_points, 99);
    mn_temporal_nearest_close(nearest);
    closed(store);
}

/* A space may keep points for a time only; what is older is not found, though it lies there still.
 */
static void what_is_too_old_is_not_found(void)
{
    const int64_t hour_us = INT64_C(3600000000);
    const int64_t now_us = (int64_t)time(NULL) * 1000000;
    const struct mn_space_changes changes = {
        .size = sizeof changes, .fields = MN_SPACE_KEEP_US, .keep_us = hour_us};

    begin_nearest();
    put_vector(1, now_us - 2 * hour_us, 1, 0, 0);
    put_vector(1, now_us - hour_us / 2, 0, 1, 0);
    put_vector(2, now_us - 3 * hour_us, 1, 0, 0);
    put_vector(3, now_us + hour_us, 1, 1, 0);
    CHECK_OK_ERR(mn_temporal_alter_space(store, 7, &changes, NULL, NULL, &err), &err);
    for (int i = 0; i < 2; i++) {
        options = (struct mn_nearest_options){.size = sizeof options};
        CHECK_HITS(x_axis, {3, now_us + hour_us, 1 - sqrt(0.5)}, {1, now_us - hour_us / 2, 1});
        options.scope = MN_NEAREST_AS_OF;
        options.at_us = now_us - 2 * hour_us;
        check_hits(x_axis, NULL, 0);
        options.at_us = now_us;
        CHECK_HITS(x_axis, {1, now_us - hour_us / 2, 1});
        options.scope = MN_NEAREST_WITHIN;
        options.from_us = INT64_MIN;
        options.to_us = now_us - 2 * hour_us;
        check_hits(x_axis, NULL, 0);
        options.to_us = now_us;
        CHECK_HITS(x_axis, {1, now_us - hour_us / 2, 1});
        checkpoint();
    }
    closed(store);
}

static bool count_down(void *context)
{
    int *n_left = context;

    return --*n_left < 0;
}

static void it_can_be_cancelled_whenever_it_asks(void)
{
    int n_asked = 0;

    begin_nearest();
    for (int e = 0; e < 1200; e++)
        put_vector((uint64_t)e, 1, (float)e, 1, 0);
    options.is_cancelled = count_down;
    for (mn_status st = MN_ERR_CANCELLED; st != MN_OK; n_asked++) {
        int n_left = n_asked;
        options.cancel_context = &n_left;
        st = try_search(x_axis, N_DIMS, 3);
        CHECK(st == MN_OK || st == MN_ERR_CANCELLED);
    }
    CHECK(n_asked > 4);
    options.is_cancelled = NULL;
    options.timeout_us = INT64_MAX;
    CHECK_OK_ERR(try_search(x_axis, N_DIMS, 3), &err);
    options.timeout_us = 1;
    for (mn_status st = MN_OK; st != MN_ERR_TIMEOUT;) { /* unless it took no microsecond */
        st = try_search(x_axis, N_DIMS, 3);
        CHECK(st == MN_OK || st == MN_ERR_TIMEOUT);
    }
    closed(store);
}

static mn_status with(struct mn_nearest_options o)
{
    o.size = sizeof o;
    options = o;
    return try_search(x_axis, N_DIMS, 1);
}

static void wrong_searches_are_refused(void)
{
    const struct mn_nearest_options timed = {
        .weighs_time = true, .alpha = 0.5, .half_life_us = 1, .has_around = true};
    const float nan[N_DIMS] = {0, NAN, 0};
    struct mn_nearest_options o;
    struct mn_nearest_hit hit;
    struct mn_nearest_stats stats = {0};
    mn_nearest *nearest = NULL;

    begin_nearest();
    put_vector(1, 1, 1, 0, 0);
    CHECK_OK_ERR(mn_temporal_nearest_open(store, 7, x_axis, N_DIMS, 1, NULL, &nearest, &err), &err);
    CHECK_STATUS(mn_temporal_nearest_stats(nearest, &stats, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_nearest_next(nearest, NULL, &err), MN_ERR_INVALID);
    mn_temporal_nearest_close(nearest);
    nearest = NULL;
    CHECK_STATUS(mn_temporal_nearest_open(store, 8, x_axis, N_DIMS, 1, NULL, &nearest, &err),
                 MN_NOT_FOUND);
    CHECK_STR_EQ(err.message, "there is no space 8");
    CHECK_STATUS(mn_temporal_nearest_open(NULL, 7, x_axis, N_DIMS, 1, NULL, &nearest, &err),
                 MN_ERR_INVALID);
    CHECK(nearest == NULL);
    CHECK_STATUS(mn_temporal_nearest_open(store, 7, x_axis, N_DIMS, 1, NULL, NULL, &err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_nearest_next(NULL, &hit, &err), MN_ERR_INVALID);
    mn_temporal_nearest_close(NULL);
    CHECK_STATUS(try_search(NULL, N_DIMS, 1), MN_ERR_INVALID);
    CHECK_STATUS(try_search(nan, N_DIMS, 1), MN_ERR_INVALID);
    CHECK_STR_EQ(err.message, "element 1 of the query is NaN");
    CHECK_STATUS(try_search(x_axis, 0, 1), MN_ERR_INVALID);
    CHECK_STATUS(try_search(x_axis, 2, 1), MN_ERR_DIMENSION);
    CHECK_STR_EQ(err.message, "query has 2 dimensions, space 7 has 3");
    CHECK_STATUS(try_search(x_axis, MN_DIMENSIONS_MAX + 1, 1), MN_ERR_LIMIT);
    CHECK_STATUS(try_search(x_axis, N_DIMS, 0), MN_ERR_INVALID);
    CHECK_OK(try_search(x_axis, N_DIMS, MN_SEARCH_RESULTS_MAX));
    CHECK_STATUS(try_search(x_axis, N_DIMS, MN_SEARCH_RESULTS_MAX + 1), MN_ERR_LIMIT);
    CHECK_STATUS(with((struct mn_nearest_options){.metric = MN_METRIC_DOT}), MN_ERR_INVALID);
    CHECK_STATUS(with((struct mn_nearest_options){.metric = (mn_metric)4}), MN_ERR_INVALID);
    CHECK_STATUS(with((struct mn_nearest_options){.scope = (mn_nearest_scope)3}), MN_ERR_INVALID);
    CHECK_STATUS(with((struct mn_nearest_options){.timeout_us = -1}), MN_ERR_INVALID);
    o = (struct mn_nearest_options){.scope = MN_NEAREST_WITHIN, .from_us = 2, .to_us = 1};
    CHECK_STATUS(with(o), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "begins at 2 us and ends before, at 1 us");
    CHECK_OK(with(timed));
    o = timed;
    o.alpha = -0.1;
    CHECK_STATUS(with(o), MN_ERR_INVALID);
    o.alpha = 1.1;
    CHECK_STATUS(with(o), MN_ERR_INVALID);
    o.alpha = NAN;
    CHECK_STATUS(with(o), MN_ERR_INVALID);
    o = timed;
    o.half_life_us = 0;
    CHECK_STATUS(with(o), MN_ERR_INVALID);
    o = timed;
    o.has_around = false;
    CHECK_STATUS(with(o), MN_ERR_INVALID);
    o.scope = MN_NEAREST_AS_OF;
    CHECK_OK(with(o));
    o = timed;
    o.l2_half = INFINITY;
    CHECK_STATUS(with(o), MN_ERR_INVALID);
    o.l2_half = -1;
    CHECK_STATUS(with(o), MN_ERR_INVALID);
    options.size = 3;
    CHECK_STATUS(try_search(x_axis, N_DIMS, 1), MN_ERR_INVALID);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(an_entity_is_there_once_with_its_nearest_point),
        CHECK_TEST(time_counts_as_its_half_life_says),
        CHECK_TEST(the_ends_of_all_numbers_are_like_others),
        CHECK_TEST(odd_vectors_have_the_distances_that_are_said),
        CHECK_TEST(results_are_those_of_comparing_all),
        CHECK_TEST(it_shows_the_moment_at_which_it_was_opened),
        CHECK_TEST(what_cannot_count_is_passed_over_with_few_steps),
        CHECK_TEST(what_is_too_old_is_not_found),
        CHECK_TEST(it_can_be_cancelled_whenever_it_asks),
        CHECK_TEST(wrong_searches_are_refused),
    };

    return check_run("api.nearest", tests, CHECK_COUNT(tests), argc, argv);
}
