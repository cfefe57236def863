/* A million points of one entity, from the first time there is to the last, which come in any
 * order, some of them twice: every answer is that of a plain array. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "mneme/mneme.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { N_POINTS = 60000 };
#else
enum { N_POINTS = 1000000 };
#endif

enum {
    SPACE = 3,
    N_DIMS = 8,
    BATCH = 100,
    AGAIN_ONE_IN = 10, /* points that are put a second time */
    LOOK_EVERY = N_POINTS / 20,
    N_QUESTIONS = 20000,
    RANGE_POINTS = 100,
    DELETED_POINTS = N_POINTS / 200,
};

static const uint64_t entity = UINT64_MAX;

static struct mn_error err;
static mn_store *store;
static uint32_t *order; /* in which they come */
static uint8_t *n_puts; /* how often each has been put; 0: it is not there */
static size_t n_there;
static size_t first_there = N_POINTS;
static size_t last_there;

/* The first is the first time there is, the last the last. */
static int64_t time_of(size_t index)
{
    uint64_t step = UINT64_MAX / (N_POINTS - 1);
    uint64_t from_first = index == N_POINTS - 1 ? UINT64_MAX : step * index;

    return (int64_t)(from_first ^ (UINT64_C(1) << 63));
}

static void set_vector(size_t index, float vector[N_DIMS])
{
    vector[0] = (float)n_puts[index];
    for (size_t i = 1; i < N_DIMS; i++)
        vector[i] = (float)(index + i);
}

static void open_store(const char *path)
{
    const struct mn_options options = {.size = sizeof options, .create = true};
    const struct mn_space_options space = {.size = sizeof space, .n_dims = N_DIMS};

    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    CHECK_OK_ERR(mn_config_set(store, "checkpoint_bytes", "8388608", &err), &err);
    CHECK_OK_ERR(mn_temporal_create_space(store, SPACE, &space, NULL, NULL, NULL, &err), &err);
}

static void choose_order(uint64_t *random)
{
    order = calloc(N_POINTS, sizeof *order);
    n_puts = calloc(N_POINTS, sizeof *n_puts);
    CHECK(order != NULL && n_puts != NULL);
    for (size_t i = 0; i < N_POINTS; i++) {
        size_t j = check_below(random, i + 1);
        order[i] = order[j];
        order[j] = (uint32_t)i;
    }
}

static void note_there(size_t index)
{
    n_there += n_puts[index] == 0;
    n_puts[index]++;
    first_there = index < first_there ? index : first_there;
    last_there = index > last_there ? index : last_there;
}

/* Answers ---------- */

static void check_view(struct mn_point_view *view, size_t index)
{
    float vector[N_DIMS];

    set_vector(index, vector);
    CHECK(view->entity == entity && view->time_us == time_of(index));
    CHECK_EQ(view->n_dims, N_DIMS);
    CHECK_MEM_EQ(view->vector, vector, sizeof vector);
    mn_point_release(view);
}

static void check_timeline(void)
{
    struct mn_timeline timeline;

    CHECK_OK_ERR(mn_temporal_timeline(store, SPACE, entity, &timeline, &err), &err);
    CHECK_EQ(timeline.n_points, n_there);
    CHECK(timeline.first_us == time_of(first_there));
    CHECK(timeline.last_us == time_of(last_there));
}

/* `index`: that of the point it has to be; N_POINTS: there is none. */
static void check_answer(mn_status st, struct mn_point_view *view, size_t index)
{
    if (index == N_POINTS) {
        CHECK_STATUS(st, MN_NOT_FOUND);
        return;
    }
    CHECK_OK_ERR(st, &err);
    check_view(view, index);
}

/* The last point there is up to one, and the first one from it on. */
static size_t there_until(size_t index)
{
    while (n_puts[index] == 0)
        if (index-- == 0)
            return N_POINTS;
    return index;
}

static size_t there_from(size_t index)
{
    while (index < N_POINTS && n_puts[index] == 0)
        index++;
    return index;
}

static void check_range(size_t from, size_t to, bool descending)
{
    const struct mn_range_options options = {.size = sizeof options, .descending = descending};
    struct mn_point_view view;
    mn_range *range = NULL;
    mn_status st;
    size_t next = descending ? there_until(to) : there_from(from);

    CHECK_OK_ERR(mn_temporal_range_open(store, SPACE, entity, time_of(from), time_of(to), &options,
                                        &range, &err),
                 &err);
    while ((st = mn_temporal_range_next(range, &view, &err)) == MN_OK) {
        CHECK(next < N_POINTS && next >= from && next <= to);
        check_view(&view, next);
        if (descending)
            next = next == 0 ? (size_t)N_POINTS : there_until(next - 1);
        else
            next = there_from(next + 1);
    }
    CHECK_STATUS(st, MN_END);
    CHECK(next == N_POINTS || next < from || next > to);
    mn_temporal_range_close(range);
}

static void check_questions(uint64_t *random)
{
    struct mn_point_view view;

    for (int i = 0; i < N_QUESTIONS; i++) {
        size_t index = check_below(random, N_POINTS);
        int64_t time_us = time_of(index);
        bool beside = check_below(random, 2) == 0 && index + 1 < N_POINTS;
        int64_t then_us = time_us + beside;
        check_answer(mn_temporal_get(store, SPACE, entity, then_us, &view, &err), &view,
                     beside || n_puts[index] == 0 ? (size_t)N_POINTS : index);
        check_answer(mn_temporal_as_of(store, SPACE, entity, then_us, &view, &err), &view,
                     there_until(index));
        check_answer(mn_temporal_next_from(store, SPACE, entity, then_us, &view, &err), &view,
                     there_from(index + beside));
        if (i % RANGE_POINTS == 0 && index + RANGE_POINTS <= N_POINTS)
            check_range(index, index + RANGE_POINTS - 1, check_below(random, 2) == 0);
    }
    check_answer(mn_temporal_latest(store, SPACE, entity, &view, &err), &view, last_there);
}

/* Changes ---------- */

static void put_some(const uint32_t *indexes, size_t n)
{
    const struct mn_write_options none = {.size = sizeof none, .ack = MN_ACK_NONE};
    float vectors[BATCH][N_DIMS];
    struct mn_point points[BATCH];
    uint64_t n_stored = 0;

    for (size_t i = 0; i < n; i++) {
        note_there(indexes[i]);
        set_vector(indexes[i], vectors[i]);
        points[i] = (struct mn_point){.entity = entity,
                                      .time_us = time_of(indexes[i]),
                                      .vector = vectors[i],
                                      .n_dims = N_DIMS};
    }
    CHECK_OK_ERR(mn_temporal_put_batch(store, SPACE, points, n, &none, &n_stored, NULL, &err),
                 &err);
    CHECK_EQ(n_stored, n);
}

static void put_all(void)
{
    for (size_t done = 0; done < N_POINTS; done += BATCH) {
        size_t n = N_POINTS - done < BATCH ? N_POINTS - done : BATCH;
        put_some(order + done, n);
        if (done % (AGAIN_ONE_IN * BATCH) == 0)
            put_some(order + done / 2, n < done / 2 ? n : done / 2);
        if (done % LOOK_EVERY == 0)
            check_timeline();
    }
}

static void delete_from(size_t from, size_t n)
{
    uint64_t n_existed = 0;

    CHECK_OK_ERR(mn_temporal_delete_range(store, SPACE, entity, time_of(from),
                                          time_of(from + n - 1), NULL, &n_existed, NULL, &err),
                 &err);
    CHECK_EQ(n_existed, n);
    memset(n_puts + from, 0, n);
    n_there -= n;
    first_there = there_from(0);
    last_there = there_until(N_POINTS - 1);
    check_timeline();
}

static void a_million_points_of_an_entity_come_in_any_order(void)
{
    uint64_t random = check_seed();
    char path[512];

    (void)snprintf(path, sizeof path, "%s/store", check_temp_dir());
    open_store(path);
    choose_order(&random);
    put_all();
    check_questions(&random);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    check_timeline();
    delete_from(0, 1);
    delete_from(N_POINTS - 1, 1);
    delete_from(N_POINTS / 2, DELETED_POINTS);
    CHECK_OK_ERR(mn_close(store, &err), &err);

    open_store(path);
    check_timeline();
    check_questions(&random);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    check_timeline();
    check_questions(&random);
    check_range(0, N_POINTS - 1, false);
    check_range(0, N_POINTS - 1, true);
    CHECK_OK_ERR(mn_close(store, &err), &err);
    free(order);
    free(n_puts);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_million_points_of_an_entity_come_in_any_order),
    };

    return check_run("scale.points", tests, CHECK_COUNT(tests), argc, argv);
}
