/*
 * points.c - the points of an entity, copied.
 *
 * Owns:    times and vectors.
 * Threads: the main one.
 * Fails:   as the store does, and when memory is short.
 */
#include "points.h"

#include "exit_codes.h"
#include "json/json.h"

int subject_take(const struct cli *cli, struct subject *subject)
{
    int code = space_take(cli, &subject->word);

    return code == EXIT_CODE_OK ? space_take_entity(cli, 1, &subject->entity) : code;
}

void points_done(struct points *points)
{
    mni_buf_done(&points->times);
    mni_buf_done(&points->vectors);
}

static mn_status add(struct points *points, const struct mn_point_view *view)
{
    if (mni_buf_append(&points->times, &view->time_us, sizeof view->time_us) != MN_OK ||
        mni_buf_append(&points->vectors, view->vector, view->n_dims * sizeof(float)) != MN_OK)
        return MN_ERR_NOMEM;
    points->n_points++;
    return MN_OK;
}

mn_status points_read(mn_store *store, const struct subject *subject, int64_t from_us,
                      int64_t to_us, bool leaves_out_odd, struct points *points,
                      struct mn_error *err)
{
    struct mn_space_info info = {.size = sizeof info};
    struct mn_point_view view = {0};
    mn_range *range = NULL;
    mn_status st = mn_temporal_space(store, subject->space, &info, err);

    points->n_dims = info.n_dims;
    if (st == MN_OK)
        st = mn_temporal_range_open(store, subject->space, subject->entity, from_us, to_us, NULL,
                                    &range, err);
    while (st == MN_OK && (st = mn_temporal_range_next(range, &view, err)) == MN_OK) {
        bool is_odd = !mni_json_floats_are_finite(view.vector, view.n_dims);
        if (is_odd && leaves_out_odd)
            points->n_odd++;
        else
            st = add(points, &view);
        mn_point_release(&view);
    }
    mn_temporal_range_close(range);
    return st == MN_END ? MN_OK : st;
}

struct mn_trajectory points_trajectory(const struct points *points)
{
    return (struct mn_trajectory){
        .times_us = (const int64_t *)(const void *)points->times.data,
        .vectors = (const float *)(const void *)points->vectors.data,
        .n_points = points->n_points,
        .n_dims = points->n_dims,
    };
}
