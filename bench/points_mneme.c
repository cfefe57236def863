/*
 * points_mneme.c - points in a space of Mneme.
 *
 * Owns:    one store per database.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include <stdlib.h>

#include "mneme_fill.h"
#include "points.h"

enum { SPACE = 7 };

struct database {
    mn_store *store;             /* owned */
    const struct points *points; /* borrowed */
};

static void *open_with(const char *dir, const struct points *points, uint32_t keyframe_every)
{
    struct mn_options options = {.size = sizeof options, .create = true};
    struct mn_space_options space = {
        .size = sizeof space, .n_dims = (uint32_t)points->n_dims, .keyframe_every = keyframe_every};
    struct database *db = bench_alloc(sizeof *db);
    struct mn_error err;

    db->points = points;
    mneme_must(mn_open(dir, &options, &db->store, &err), "open", &err);
    mneme_must(mn_temporal_create_space(db->store, SPACE, &space, NULL, NULL, NULL, &err), "space",
               &err);
    return db;
}

static void *mneme_open(const char *dir, const struct points *points)
{
    return open_with(dir, points, 0);
}

static void *delta_open(const char *dir, const struct points *points)
{
    return open_with(dir, points, MN_KEYFRAME_EVERY_DEFAULT);
}

static void mneme_close(void *handle)
{
    struct database *db = handle;
    struct mn_error err;

    mneme_must(mn_close(db->store, &err), "close", &err);
    free(db);
}

static void mneme_put(void *handle, size_t first, size_t n, bool is_durable)
{
    struct database *db = handle;
    struct mn_write_options options = {.size = sizeof options,
                                       .ack = is_durable ? MN_ACK_DISK : MN_ACK_OS};
    struct mn_point batch[POINTS_BATCH];
    struct mn_error err;
    uint64_t n_stored = 0;

    for (size_t i = 0; i < n; i++) {
        struct point point = points_at(db->points, first + i);
        batch[i] = (struct mn_point){.entity = point.entity,
                                     .time_us = point.time_us,
                                     .vector = point.vector,
                                     .n_dims = (uint32_t)db->points->n_dims};
    }
    mneme_must(mn_temporal_put_batch(db->store, SPACE, batch, n, &options, &n_stored, NULL, &err),
               "put_batch", &err);
    if (n_stored != n)
        bench_die("mneme: put_batch stored %zu of %zu", (size_t)n_stored, n);
}

/* A checkpoint that is asked for also does the merges that are due. */
static void mneme_settle(void *handle)
{
    struct database *db = handle;
    struct mn_error err;

    mneme_must(mn_checkpoint(db->store, &err), "checkpoint", &err);
}

static void see_one(mn_status st, struct mn_point_view *view, struct points_seen *seen,
                    const struct mn_error *err)
{
    if (st == MN_NOT_FOUND)
        return;
    mneme_must(st, "read", err);
    points_see(seen, view->time_us, view->vector);
    mn_point_release(view);
}

static void mneme_get(void *handle, uint64_t entity, int64_t time_us, struct points_seen *seen)
{
    struct database *db = handle;
    struct mn_point_view view;
    struct mn_error err;

    see_one(mn_temporal_get(db->store, SPACE, entity, time_us, &view, &err), &view, seen, &err);
}

static void mneme_as_of(void *handle, uint64_t entity, int64_t time_us, struct points_seen *seen)
{
    struct database *db = handle;
    struct mn_point_view view;
    struct mn_error err;

    see_one(mn_temporal_as_of(db->store, SPACE, entity, time_us, &view, &err), &view, seen, &err);
}

static void mneme_next_from(void *handle, uint64_t entity, int64_t time_us,
                            struct points_seen *seen)
{
    struct database *db = handle;
    struct mn_point_view view;
    struct mn_error err;

    see_one(mn_temporal_next_from(db->store, SPACE, entity, time_us, &view, &err), &view, seen,
            &err);
}

static void mneme_range(void *handle, uint64_t entity, int64_t from_us, int64_t to_us,
                        struct points_seen *seen)
{
    struct database *db = handle;
    struct mn_point_view view;
    struct mn_error err;
    mn_range *range = NULL;
    mn_status st;

    mneme_must(mn_temporal_range_open(db->store, SPACE, entity, from_us, to_us, NULL, &range, &err),
               "range", &err);
    while ((st = mn_temporal_range_next(range, &view, &err)) == MN_OK) {
        points_see(seen, view.time_us, view.vector);
        mn_point_release(&view);
    }
    if (st != MN_END)
        mneme_must(st, "next", &err);
    mn_temporal_range_close(range);
}

static void mneme_timeline(void *handle, uint64_t entity, struct points_timeline *timeline_out)
{
    struct database *db = handle;
    struct mn_timeline timeline = {0};
    struct mn_error err;
    mn_status st = mn_temporal_timeline(db->store, SPACE, entity, &timeline, &err);

    if (st != MN_NOT_FOUND)
        mneme_must(st, "timeline", &err);
    *timeline_out =
        (struct points_timeline){timeline.first_us, timeline.last_us, timeline.n_points};
}

#define FUNCTIONS                                                                                  \
    .close = mneme_close, .put = mneme_put, .settle = mneme_settle, .rest = mneme_settle,          \
    .get = mneme_get, .as_of = mneme_as_of, .next_from = mneme_next_from, .range = mneme_range,    \
    .timeline = mneme_timeline

const struct points_peer points_mneme = {
    .name = "mneme",
    .settings = "defaults; mn_temporal_put_batch, MN_ACK_DISK; points are released after reading",
    .open = mneme_open,
    FUNCTIONS,
};

const struct points_peer points_mneme_delta = {
    .name = "mneme-delta",
    .settings = "the same with keyframe_every 10",
    .open = delta_open,
    FUNCTIONS,
};
