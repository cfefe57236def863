/*
 * points.h - short words for tests of points: one store, and points whose vectors say whose they
 * are.
 */
#ifndef TESTS_UNIT_API_POINTS_H
#define TESTS_UNIT_API_POINTS_H

#include "short.h"

enum { N_DIMS = 3 };

static struct mn_error err;
static mn_store *store;
static char path[512];

static inline void begin(void)
{
    (void)snprintf(path, sizeof path, "%s/store", check_temp_dir());
    store = opened(path);
    CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
}

static inline void reopen(void)
{
    closed(store);
    store = opened(path);
}

static inline bool make(uint32_t space, const char *name, uint32_t n_dims)
{
    const struct mn_space_options options = {
        .size = sizeof options, .name = mn_str(name), .n_dims = n_dims};
    bool created = false;

    CHECK_OK_ERR(mn_temporal_create_space(store, space, &options, NULL, &created, NULL, &err),
                 &err);
    return created;
}

static inline void begin_with(uint32_t space)
{
    begin();
    CHECK(make(space, "", N_DIMS));
}

/* A point whose vector says whose it is. */
static inline struct mn_point point_of(uint64_t entity, int64_t time_us, float *vector)
{
    vector[0] = (float)entity;
    vector[1] = (float)time_us;
    vector[2] = -1;
    return (struct mn_point){
        .entity = entity, .time_us = time_us, .vector = vector, .n_dims = N_DIMS};
}

static inline uint64_t put_at(uint32_t space, uint64_t entity, int64_t time_us)
{
    float vector[N_DIMS];
    struct mn_point point = point_of(entity, time_us, vector);
    uint64_t lsn = 0;

    CHECK_OK_ERR(mn_temporal_put(store, space, &point, NULL, &lsn, &err), &err);
    return lsn;
}

static inline void check_point(const struct mn_point_view *view, uint64_t entity, int64_t time_us)
{
    float vector[N_DIMS];

    (void)point_of(entity, time_us, vector);
    CHECK(view->pin != NULL && view->entity == entity && view->time_us == time_us);
    CHECK_EQ(view->n_dims, N_DIMS);
    CHECK_MEM_EQ(view->vector, vector, sizeof vector);
}

static inline bool is_clear(const struct mn_point_view *view)
{
    const struct mn_point_view clear = {0};

    return memcmp(view, &clear, sizeof clear) == 0;
}

typedef mn_status look(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                       struct mn_point_view *view_out, struct mn_error *err);

static inline mn_status latest(mn_store *s, uint32_t space, uint64_t entity, int64_t time_us,
                               struct mn_point_view *view_out, struct mn_error *e)
{
    (void)time_us;
    return mn_temporal_latest(s, space, entity, view_out, e);
}

static inline void check_found(look *how, uint32_t space, uint64_t entity, int64_t asked,
                               int64_t found)
{
    struct mn_point_view view;

    CHECK_OK_ERR(how(store, space, entity, asked, &view, &err), &err);
    check_point(&view, entity, found);
    mn_point_release(&view);
    CHECK(is_clear(&view));
}

static inline void check_none(look *how, uint32_t space, uint64_t entity, int64_t asked)
{
    struct mn_point_view view = {.n_dims = 4};

    CHECK_STATUS(how(store, space, entity, asked, &view, &err), MN_NOT_FOUND);
    CHECK(is_clear(&view));
}

static inline mn_range *ranged(uint32_t space, uint64_t entity, int64_t from_us, int64_t to_us,
                               bool descending, size_t limit)
{
    const struct mn_range_options options = {
        .size = sizeof options, .descending = descending, .limit = limit};
    mn_range *range = NULL;

    CHECK_OK_ERR(
        mn_temporal_range_open(store, space, entity, from_us, to_us, &options, &range, &err), &err);
    return range;
}

static inline void check_rest(mn_range *range, uint64_t entity, const int64_t *times, size_t n)
{
    struct mn_point_view view;

    for (size_t i = 0; i < n; i++) {
        CHECK_OK_ERR(mn_temporal_range_next(range, &view, &err), &err);
        check_point(&view, entity, times[i]);
        mn_point_release(&view);
    }
    view.n_dims = 7;
    CHECK_STATUS(mn_temporal_range_next(range, &view, &err), MN_END);
    CHECK(is_clear(&view));
    CHECK_STATUS(mn_temporal_range_next(range, &view, NULL), MN_END);
    mn_temporal_range_close(range);
}

/* Both ways, whole and cut off. `times` ascend. */
static inline void check_range(uint32_t space, uint64_t entity, int64_t from_us, int64_t to_us,
                               const int64_t *times, size_t n)
{
    int64_t back[64] = {0};

    CHECK(n <= CHECK_COUNT(back));
    for (size_t i = 0; i < n; i++)
        back[i] = times[n - 1 - i];
    check_rest(ranged(space, entity, from_us, to_us, false, 0), entity, times, n);
    check_rest(ranged(space, entity, from_us, to_us, true, 0), entity, back, n);
    for (size_t limit = 1; limit <= n; limit++) {
        check_rest(ranged(space, entity, from_us, to_us, false, limit), entity, times, limit);
        check_rest(ranged(space, entity, from_us, to_us, true, limit), entity, back, limit);
    }
}

static inline void check_timeline(uint32_t space, uint64_t entity, uint64_t n, int64_t first_us,
                                  int64_t last_us)
{
    struct mn_timeline timeline;

    CHECK_OK_ERR(mn_temporal_timeline(store, space, entity, &timeline, &err), &err);
    CHECK(timeline.n_points == n);
    CHECK(timeline.first_us == first_us);
    CHECK(timeline.last_us == last_us);
}

static inline void check_no_timeline(uint32_t space, uint64_t entity)
{
    struct mn_timeline timeline;

    CHECK_STATUS(mn_temporal_timeline(store, space, entity, &timeline, &err), MN_NOT_FOUND);
}

static inline void checkpoint(void)
{
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
}

static inline struct mn_space_info info_of(uint32_t space)
{
    struct mn_space_info info = {.size = sizeof info};

    CHECK_OK_ERR(mn_temporal_space(store, space, &info, &err), &err);
    CHECK_EQ(info.space, space);
    return info;
}

static inline mn_status try_make(uint32_t space, struct mn_slice name, uint32_t n_dims)
{
    const struct mn_space_options options = {
        .size = sizeof options, .name = name, .n_dims = n_dims};

    return mn_temporal_create_space(store, space, &options, NULL, NULL, NULL, &err);
}

static inline uint32_t called(const char *name)
{
    uint32_t space = 0;

    CHECK_OK_ERR(mn_temporal_find_space(store, mn_str(name), &space, &err), &err);
    return space;
}

#endif
