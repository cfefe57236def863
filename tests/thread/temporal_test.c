/*
 * temporal_test.c - points that are read while others put and delete them, beside checkpoints and
 * merges. Each commit puts or deletes whole windows of times, so every moment shows whole windows.
 */
#include <stdio.h>

#include "check.h"
#include "io/thread.h"
#include "mneme/mneme.h"
#include "segment/segment.h"

enum {
    N_WINDOWS = 40,
    WIDTH = 10, /* points of a window */
    N_DIMS = 8,
    N_WRITERS = 2,
    N_READERS = 2,
    N_READS = 400,
    N_CHECKPOINTS = 12, /* more than there may be runs of segments: some are merged */
    SPACE = 7,
    ENTITY = 5,
};

static mn_store *store;
static atomic_bool is_over;
static atomic_int n_checkpoints;
static atomic_uint_fast64_t versions;

struct worker {
    struct mni_thread thread;
    uint64_t random;
    unsigned index;
    const char *failure; /* the first thing that went wrong; NULL = nothing */
};

/* The points of a window carry one version. */
static mn_status put_window(unsigned window)
{
    const uint64_t version = atomic_fetch_add(&versions, 1);
    const float vector[N_DIMS] = {(float)window};
    struct mn_point points[WIDTH];

    for (unsigned i = 0; i < WIDTH; i++)
        points[i] = (struct mn_point){.entity = ENTITY,
                                      .time_us = window * WIDTH + i,
                                      .vector = vector,
                                      .n_dims = N_DIMS,
                                      .payload = {&version, sizeof version}};
    return mn_temporal_put_batch(store, SPACE, points, WIDTH, NULL, NULL, NULL, NULL);
}

static void write_all(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&is_over) && w->failure == NULL)
        if (put_window((unsigned)check_below(&w->random, N_WINDOWS)) != MN_OK)
            w->failure = "a put failed";
}

static void delete_all(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&is_over) && w->failure == NULL) {
        int64_t from = (int64_t)check_below(&w->random, N_WINDOWS);
        int64_t to = from + (int64_t)check_below(&w->random, 3);
        uint64_t n_existed = 1;
        mn_status st = mn_temporal_delete_range(store, SPACE, ENTITY, from * WIDTH,
                                                to * WIDTH + WIDTH - 1, NULL, &n_existed, NULL,
                                                NULL);
        if (st != MN_OK)
            w->failure = "a delete failed";
        else if (n_existed % WIDTH != 0)
            w->failure = "a part of a window was deleted";
    }
}

static void checkpoint_all(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&is_over) && w->failure == NULL) {
        if (mn_checkpoint(store, NULL) != MN_OK)
            w->failure = "a checkpoint failed";
        atomic_fetch_add(&n_checkpoints, 1);
    }
}

static const char *read_timeline(void)
{
    struct mn_timeline t;
    mn_status st = mn_temporal_timeline(store, SPACE, ENTITY, &t, NULL);

    if (st == MN_NOT_FOUND)
        return NULL;
    if (st != MN_OK)
        return "a timeline failed";
    return t.n_points % WIDTH != 0 || t.first_us % WIDTH != 0 || t.last_us % WIDTH != WIDTH - 1 ||
                   t.n_points > (uint64_t)(t.last_us - t.first_us + 1)
               ? "a timeline shows two moments"
               : NULL;
}

static const char *read_nearest(struct worker *w)
{
    int64_t at = (int64_t)check_below(&w->random, N_WINDOWS) * WIDTH;
    struct mn_point_view view;
    mn_status st = mn_temporal_as_of(store, SPACE, ENTITY, at + WIDTH - 1, &view, NULL);
    bool is_last = st == MN_NOT_FOUND || (st == MN_OK && view.time_us % WIDTH == WIDTH - 1);

    mn_point_release(&view);
    st = mn_temporal_next_from(store, SPACE, ENTITY, at, &view, NULL);
    bool is_first = st == MN_NOT_FOUND || (st == MN_OK && view.time_us % WIDTH == 0);
    mn_point_release(&view);
    return is_last && is_first ? NULL : "the nearest point is none of a whole window";
}

static const char *read_range(struct worker *w)
{
    const struct mn_range_options o = {.size = sizeof o,
                                       .descending = check_below(&w->random, 2) == 0};
    struct mn_point_view view;
    mn_range *range = NULL;
    const char *failure = NULL;
    uint64_t version = 0;
    int64_t expected = 0;
    unsigned n = 0;
    mn_status st =
        mn_temporal_range_open(store, SPACE, ENTITY, INT64_MIN, INT64_MAX, &o, &range, NULL);

    while (st == MN_OK && (st = mn_temporal_range_next(range, &view, NULL)) == MN_OK) {
        uint64_t own;
        memcpy(&own, view.payload.data, sizeof own);
        if (n % WIDTH == 0) {
            version = own;
            expected = view.time_us;
        }
        if (own != version || view.time_us != expected ||
            view.vector[0] != (float)(view.time_us / WIDTH))
            failure = "a range shows two moments";
        expected += o.descending ? -1 : 1;
        n++;
        mn_point_release(&view);
    }
    mn_temporal_range_close(range);
    if (st != MN_END)
        return "a range failed";
    return n % WIDTH != 0 ? "a range shows a part of a window" : failure;
}

static const char *search(struct worker *w)
{
    const struct mn_nearest_options o = {.size = sizeof o, .metric = MN_METRIC_L2};
    const float query[N_DIMS] = {(float)check_below(&w->random, N_WINDOWS)};
    struct mn_nearest_stats stats = {.size = sizeof stats};
    struct mn_nearest_hit hit;
    mn_nearest *nearest = NULL;

    if (mn_temporal_nearest_open(store, SPACE, query, N_DIMS, 3, &o, &nearest, NULL) != MN_OK)
        return "a search failed";
    mn_status st = mn_temporal_nearest_stats(nearest, &stats, NULL);
    bool is_whole = st == MN_OK && stats.n_points % WIDTH == 0;
    st = mn_temporal_nearest_next(nearest, &hit, NULL);
    bool is_right = st == MN_END || (st == MN_OK && hit.view.time_us % WIDTH == 0 &&
                                     hit.view.vector[0] == (float)(hit.view.time_us / WIDTH));
    mn_point_release(&hit.view);
    mn_temporal_nearest_close(nearest);
    return is_whole && is_right && (st == MN_END) == (stats.n_points == 0)
               ? NULL
               : "a search shows two moments";
}

static void read_all(void *context)
{
    struct worker *w = context;

    for (int i = 0; w->failure == NULL; i++) {
        if (i >= N_READS && atomic_load(&n_checkpoints) >= N_CHECKPOINTS)
            return;
        w->failure = read_timeline();
        if (w->failure == NULL)
            w->failure = read_nearest(w);
        if (w->failure == NULL)
            w->failure = read_range(w);
        if (w->failure == NULL)
            w->failure = search(w);
    }
}

static void start(struct worker *w, uint64_t seed, unsigned index, void (*run)(void *))
{
    *w = (struct worker){.random = seed + index * 77, .index = index};
    CHECK_OK(mni_thread_start(&w->thread, run, w, NULL));
}

static void join(struct worker *w)
{
    mni_thread_join(&w->thread);
    CHECK_STR_HAS(w->failure != NULL ? w->failure : "none", "none");
}

static void points_beside_writers_show_one_moment(void)
{
    static struct worker workers[N_READERS + N_WRITERS + 2];
    const struct mn_space_options space = {
        .size = sizeof space, .n_dims = N_DIMS, .keyframe_every = 3};
    struct mn_options o = {.size = sizeof o, .create = true, .sync = MN_SYNC_MANUAL};
    uint64_t seed = check_seed();
    unsigned n = 0;

    CHECK_OK(mn_open(check_temp_dir(), &o, &store, NULL));
    CHECK_OK(mn_temporal_create_space(store, SPACE, &space, NULL, NULL, NULL, NULL));
    for (; n < N_READERS; n++)
        start(&workers[n], seed, n, read_all);
    for (; n < N_READERS + N_WRITERS; n++)
        start(&workers[n], seed, n, write_all);
    start(&workers[n], seed, n, delete_all);
    start(&workers[n + 1], seed, n + 1, checkpoint_all);
    for (unsigned i = 0; i < N_READERS; i++)
        join(&workers[i]);
    atomic_store(&is_over, true);
    for (unsigned i = N_READERS; i < n + 2; i++)
        join(&workers[i]);
    CHECK_OK(mn_close(store, NULL));
}

/* Spaces that keep the newest points: others read, put, and alter meanwhile ---------- */

enum { N_KEPT = 8, N_PUTS = 1500, N_TIMES = 4000 };

static atomic_bool was_put[N_TIMES];

static void put_few(void *context)
{
    struct worker *w = context;
    const float vector[N_DIMS] = {1};

    for (int i = 0; i < N_PUTS && w->failure == NULL; i++) {
        struct mn_point points[2];
        for (int j = 0; j < 2; j++) {
            int64_t t = (int64_t)check_below(&w->random, N_TIMES);
            points[j] = (struct mn_point){
                .entity = ENTITY, .time_us = t, .vector = vector, .n_dims = N_DIMS};
            atomic_store(&was_put[t], true);
        }
        if (mn_temporal_put_batch(store, SPACE, points, 2, NULL, NULL, NULL, NULL) != MN_OK)
            w->failure = "a put failed";
    }
}

static void read_few(void *context)
{
    struct worker *w = context;
    struct mn_timeline t;

    while (!atomic_load(&is_over) && w->failure == NULL) {
        mn_status st = mn_temporal_timeline(store, SPACE, ENTITY, &t, NULL);
        if (st != MN_OK && st != MN_NOT_FOUND)
            w->failure = "a timeline failed";
        else if (st == MN_OK && t.n_points > N_KEPT)
            w->failure = "there are too many points";
    }
}

static void alter_all(void *context)
{
    struct worker *w = context;
    struct mn_space_changes c = {.size = sizeof c};

    while (!atomic_load(&is_over) && w->failure == NULL) {
        c.fields = check_below(&w->random, 2) == 0 ? MN_SPACE_KEYFRAME_EVERY : MN_SPACE_KEEP_US;
        c.keyframe_every = 2 + (uint32_t)check_below(&w->random, 5);
        c.keep_us = INT64_MAX - (int64_t)check_below(&w->random, 5);
        if (mn_temporal_alter_space(store, SPACE, &c, NULL, NULL, NULL) != MN_OK)
            w->failure = "altering failed";
    }
}

static void the_newest_points_stay_whoever_puts(void)
{
    static struct worker workers[N_WRITERS + 3];
    const struct mn_space_options space = {
        .size = sizeof space, .n_dims = N_DIMS, .keep_points = N_KEPT};
    struct mn_options o = {.size = sizeof o, .create = true, .sync = MN_SYNC_MANUAL};
    uint64_t seed = check_seed();
    struct mn_timeline timeline;
    int64_t nth = N_TIMES;

    atomic_store(&is_over, false);
    CHECK_OK(mn_open(check_temp_dir(), &o, &store, NULL));
    CHECK_OK(mn_temporal_create_space(store, SPACE, &space, NULL, NULL, NULL, NULL));
    for (unsigned i = 0; i < N_WRITERS; i++)
        start(&workers[i], seed, i, put_few);
    start(&workers[N_WRITERS], seed, N_WRITERS, read_few);
    start(&workers[N_WRITERS + 1], seed, N_WRITERS + 1, alter_all);
    start(&workers[N_WRITERS + 2], seed, N_WRITERS + 2, checkpoint_all);
    for (unsigned i = 0; i < N_WRITERS; i++)
        join(&workers[i]);
    atomic_store(&is_over, true);
    for (unsigned i = N_WRITERS; i < N_WRITERS + 3; i++)
        join(&workers[i]);
    CHECK_OK(mn_temporal_timeline(store, SPACE, ENTITY, &timeline, NULL));
    CHECK_EQ(timeline.n_points, N_KEPT);
    for (int i = 0; i < N_KEPT; i++)
        do
            nth--;
        while (!atomic_load(&was_put[nth]));
    CHECK_EQ(timeline.first_us, nth);
    CHECK_OK(mn_close(store, NULL));
}

/* Spaces with history: a point is found again, whatever others put in its place ---------- */

enum { N_PLACES = 6, N_NOTES = 400 };

static _Atomic uint64_t notes[N_WRITERS][N_NOTES]; /* LSNs of puts; 0: not yet */

static mn_status read_note(unsigned writer, unsigned note, uint64_t lsn, bool *is_so_out)
{
    struct mn_point_view view;
    mn_status st = mn_temporal_as_of_known(store, SPACE, ENTITY, note % N_PLACES, lsn, &view, NULL);

    *is_so_out = st == MN_OK && view.lsn == lsn && view.time_us == note % N_PLACES &&
                 view.vector[0] == (float)writer && view.vector[1] == (float)note;
    mn_point_release(&view);
    return st;
}

static void put_noted(void *context)
{
    struct worker *w = context;
    unsigned writer = w->index;

    for (unsigned i = 0; i < N_NOTES && w->failure == NULL; i++) {
        const float vector[N_DIMS] = {(float)writer, (float)i};
        const struct mn_point point = {
            .entity = ENTITY, .time_us = i % N_PLACES, .vector = vector, .n_dims = N_DIMS};
        uint64_t lsn = 0;
        if (mn_temporal_put(store, SPACE, &point, NULL, &lsn, NULL) != MN_OK)
            w->failure = "a put failed";
        atomic_store(&notes[writer][i], lsn);
    }
}

static void read_noted(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&is_over) && w->failure == NULL) {
        unsigned writer = (unsigned)check_below(&w->random, N_WRITERS);
        unsigned note = (unsigned)check_below(&w->random, N_NOTES);
        uint64_t lsn = atomic_load(&notes[writer][note]);
        bool is_so = true;
        if (lsn != 0 && (read_note(writer, note, lsn, &is_so) != MN_OK || !is_so))
            w->failure = "what was known is told otherwise";
    }
}

static void what_was_known_is_found_whoever_replaces_it(void)
{
    static struct worker workers[N_WRITERS + 2];
    const struct mn_space_options space = {
        .size = sizeof space, .n_dims = N_DIMS, .history_us = INT64_MAX};
    struct mn_options o = {.size = sizeof o, .create = true, .sync = MN_SYNC_MANUAL};
    struct mn_stats stats = {.size = sizeof stats};
    uint64_t seed = check_seed();

    atomic_store(&is_over, false);
    CHECK_OK(mn_open(check_temp_dir(), &o, &store, NULL));
    CHECK_OK(mn_temporal_create_space(store, SPACE, &space, NULL, NULL, NULL, NULL));
    for (unsigned i = 0; i < N_WRITERS; i++)
        start(&workers[i], seed, i, put_noted);
    start(&workers[N_WRITERS], seed, N_WRITERS, read_noted);
    start(&workers[N_WRITERS + 1], seed, N_WRITERS + 1, checkpoint_all);
    for (unsigned i = 0; i < N_WRITERS; i++)
        join(&workers[i]);
    atomic_store(&is_over, true);
    for (unsigned i = N_WRITERS; i < N_WRITERS + 2; i++)
        join(&workers[i]);
    for (unsigned i = 0; i < N_WRITERS * N_NOTES; i++) {
        unsigned writer = i / N_NOTES;
        bool is_so = false;
        CHECK_OK(read_note(writer, i % N_NOTES, notes[writer][i % N_NOTES], &is_so));
        CHECK(is_so);
    }
    CHECK_OK(mn_stats(store, &stats, NULL));
    CHECK_EQ(stats.n_records, N_WRITERS * N_NOTES); /* each is a point, or one version */
    CHECK_OK(mn_close(store, NULL));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(points_beside_writers_show_one_moment),
        CHECK_TEST(the_newest_points_stay_whoever_puts),
        CHECK_TEST(what_was_known_is_found_whoever_replaces_it),
    };

    mni_keyframes_forced = true; /* segments here are too small to become shorter by it */
    return check_run("thread.temporal", tests, CHECK_COUNT(tests), argc, argv);
}
