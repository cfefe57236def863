/* Tests of what was known at an LSN. */
#include <inttypes.h>
#include <time.h>

#include "base/mem.h"
#include "base/plant.h"
#include "io/thread.h"
#include "points.h"
#include "segment/segment.h"

static const int64_t day = INT64_C(86400000000);

static mn_status try_history(uint32_t space, int64_t us)
{
    const struct mn_space_changes c = {
        .size = sizeof c, .fields = MN_SPACE_HISTORY_US, .history_us = us};

    return mn_temporal_alter_space(store, space, &c, NULL, NULL, &err);
}

static void set_history(uint32_t space, int64_t us)
{
    CHECK_OK_ERR(try_history(space, us), &err);
}

static void begin_with_history(void)
{
    const struct mn_space_options options = {
        .size = sizeof options, .n_dims = N_DIMS, .history_us = day};

    begin();
    CHECK_OK_ERR(mn_temporal_create_space(store, 7, &options, NULL, NULL, NULL, &err), &err);
}

/* A point whose vector tells a value. */
static uint64_t put_value(uint64_t entity, int64_t time_us, float value)
{
    float vector[N_DIMS];
    struct mn_point point = point_of(entity, time_us, vector);
    uint64_t lsn = 0;

    vector[2] = value;
    point.metadata = mn_str("{\"a\":1}");
    point.payload = bytes(&value, sizeof value);
    CHECK_OK_ERR(mn_temporal_put(store, 7, &point, NULL, &lsn, &err), &err);
    return lsn;
}

static void delete_at(uint64_t entity, int64_t time_us)
{
    CHECK_OK_ERR(mn_temporal_delete(store, 7, entity, time_us, NULL, NULL, NULL, &err), &err);
}

static void check_known(uint64_t entity, int64_t asked, uint64_t known_at, int64_t time_us,
                        float value)
{
    struct mn_point_view view;

    CHECK_OK_ERR(mn_temporal_as_of_known(store, 7, entity, asked, known_at, &view, &err), &err);
    CHECK(view.entity == entity && view.time_us == time_us && view.n_dims == N_DIMS);
    CHECK(view.vector[1] == (float)time_us && view.vector[2] == value);
    CHECK(view.lsn <= known_at);
    CHECK_EQ(view.metadata.n_bytes, 7);
    CHECK_MEM_EQ(view.payload.data, &value, sizeof value);
    mn_point_release(&view);
}

static void check_unknown(uint64_t entity, int64_t asked, uint64_t known_at)
{
    struct mn_point_view view = {.n_dims = 4};

    CHECK_STATUS(mn_temporal_as_of_known(store, 7, entity, asked, known_at, &view, &err),
                 MN_NOT_FOUND);
    CHECK(is_clear(&view));
}

static mn_status ask(uint32_t space, uint64_t known_at)
{
    struct mn_point_view view;
    mn_status st = mn_temporal_as_of_known(store, space, 1, 0, known_at, &view, &err);

    CHECK(st == MN_OK || is_clear(&view));
    mn_point_release(&view);
    return st;
}

static void what_was_known_is_told_after_it_was_replaced(void)
{
    uint64_t lsns[5];

    begin_with_history();
    lsns[0] = put_value(1, 10, 1);
    lsns[1] = put_value(1, 20, 2);
    lsns[2] = put_value(1, 10, 3);
    lsns[3] = put_value(1, 10, 4);
    lsns[4] = put_value(1, 30, 5);
    for (int i = 0; i < 3; i++) {
        check_known(1, 15, lsns[0], 10, 1);
        check_known(1, 20, lsns[0], 10, 1);
        check_known(1, 15, lsns[1], 10, 1);
        check_known(1, 20, lsns[1], 20, 2);
        check_known(1, 10, lsns[2], 10, 3);
        check_known(1, 19, lsns[3], 10, 4);
        check_known(1, INT64_MAX, lsns[3], 20, 2);
        check_known(1, INT64_MAX, lsns[4], 30, 5);
        check_known(1, 12, UINT64_MAX, 10, 4); /* of the future: now */
        check_unknown(1, 9, lsns[4]);
        check_unknown(1, INT64_MIN, lsns[4]);
        check_unknown(2, INT64_MAX, lsns[4]);
        check_timeline(7, 1, 3, 10, 30); /* versions are no points */
        CHECK_EQ(info_of(7).n_points, 3);
        CHECK_EQ(stats_of(store).n_spaces, 1);
        CHECK_EQ(stats_of(store).n_namespaces, 0);
        if (i == 0)
            checkpoint();
        reopen();
    }
    closed(store);
}

static void both_ends_of_all_numbers_have_history(void)
{
    static const int64_t times[] = {INT64_MIN, INT64_MAX, 0};
    static const uint64_t entities[] = {0, UINT64_MAX};
    uint64_t first[2][3];

    begin_with_history();
    for (size_t e = 0; e < 2; e++)
        for (size_t t = 0; t < 3; t++) {
            first[e][t] = put_value(entities[e], times[t], 1);
            (void)put_value(entities[e], times[t], 2);
        }
    for (size_t e = 0; e < 2; e++)
        for (size_t t = 0; t < 3; t++) {
            check_known(entities[e], times[t], first[e][t], times[t], 1);
            check_known(entities[e], times[t], first[e][t] + 1, times[t], 2);
            check_unknown(entities[e], INT64_MIN, first[e][0] - 1);
        }
    closed(store);
}

static void questions_that_the_history_cannot_answer_are_refused(void)
{
    struct mn_range_options o = {.size = sizeof o, .known_at = 1};
    mn_range *range = NULL;

    begin_with(7);
    uint64_t before = put_value(1, 0, 1);
    CHECK_STATUS(ask(7, before), MN_ERR_INVALID);
    CHECK_STR_EQ(err.message, "space 7 has no history");
    CHECK_EQ(info_of(7).known_from_lsn, 0);
    set_history(7, day);
    uint64_t from = info_of(7).known_from_lsn;
    CHECK_EQ(from, before + 1);
    (void)put_value(1, 0, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(ask(7, before), MN_ERR_INVALID);
        CHECK_STR_EQ(err.message, "space 7 can tell what was known from LSN 3 on, not at 2");
        CHECK_STATUS(ask(7, 0), MN_ERR_INVALID);
        CHECK_STATUS(ask(8, from), MN_NOT_FOUND);
        CHECK_STATUS(mn_temporal_range_open(store, 7, 1, INT64_MIN, INT64_MAX, &o, &range, &err),
                     MN_ERR_INVALID);
        check_known(1, 0, from, 0, 1); /* put before there was history */
        set_history(7, 2 * day);       /* which goes on */
        CHECK_EQ(info_of(7).known_from_lsn, from);
        checkpoint();
        reopen();
    }
    set_history(7, 0);
    CHECK_STATUS(ask(7, from), MN_ERR_INVALID);
    CHECK_EQ(stats_of(store).n_records, 1); /* the versions are gone */
    set_history(7, day);
    CHECK_STATUS(ask(7, from), MN_ERR_INVALID);
    from = info_of(7).known_from_lsn;
    check_known(1, 0, from, 0, 2);
    CHECK_STATUS(mn_temporal_as_of_known(store, 7, 1, 0, from, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(try_history(7, -1), MN_ERR_INVALID);
    closed(store);
}

static void whoever_deletes_a_point_ends_its_versions(void)
{
    uint64_t lsn[4];
    uint64_t n = 0;

    begin_with_history();
    for (int way = 0; way < 5; way++) {
        for (int64_t t = 0; t < 3; t++) {
            lsn[t] = put_value(1, t, 1);
            (void)put_value(1, t, 2);
        }
        if (way % 2 == 1)
            checkpoint();
        const struct mn_space_changes one = {
            .size = sizeof one, .fields = MN_SPACE_KEEP_POINTS, .keep_points = way == 3 ? 2 : 0};
        if (way < 2)
            delete_at(1, 0);
        else if (way == 2)
            CHECK_OK_ERR(mn_temporal_delete_range(store, 7, 1, -5, 0, NULL, &n, NULL, &err), &err);
        else if (way == 3)
            CHECK_OK_ERR(mn_temporal_alter_space(store, 7, &one, NULL, NULL, &err), &err);
        else
            CHECK_OK_ERR(mn_temporal_delete_entity(store, 7, 1, NULL, &n, NULL, &err), &err);
        CHECK(way != 2 || n == 1);
        CHECK(way != 4 || n == 3);
        check_unknown(1, 0, lsn[0]);
        check_unknown(1, 0, lsn[3 - 1]);
        if (way < 4)
            check_known(1, 5, lsn[2], 2, 1);
        CHECK_EQ(stats_of(store).n_records, way == 4 ? 0 : 4);
        if (way == 3)
            CHECK_OK_ERR(
                mn_temporal_alter_space(
                    store, 7,
                    &(struct mn_space_changes){.size = sizeof one, .fields = MN_SPACE_KEEP_POINTS},
                    NULL, NULL, &err),
                &err);
        (void)put_value(1, 0, 9); /* has no past */
        check_unknown(1, 0, lsn[2]);
        CHECK_OK_ERR(mn_temporal_delete_entity(store, 7, 1, NULL, &n, NULL, &err), &err);
        CHECK_EQ(stats_of(store).n_records, 0);
    }
    closed(store);
}

static void a_point_that_goes_by_number_takes_its_versions_along(void)
{
    const struct mn_space_changes two = {
        .size = sizeof two, .fields = MN_SPACE_KEEP_POINTS, .keep_points = 2};

    begin_with_history();
    CHECK_OK_ERR(mn_temporal_alter_space(store, 7, &two, NULL, NULL, &err), &err);
    uint64_t first = put_value(1, 1, 1);
    (void)put_value(1, 1, 2);
    (void)put_value(1, 2, 1);
    check_known(1, 1, first, 1, 1);
    (void)put_value(1, 3, 1);
    check_unknown(1, 1, first);
    CHECK_EQ(stats_of(store).n_records, 2);
    (void)put_value(1, 0, 1); /* gone at once */
    CHECK_EQ(stats_of(store).n_records, 2);
    closed(store);
}

static void an_expired_point_has_no_past(void)
{
    const struct timespec moment = {.tv_nsec = 80000000};
    float vector[N_DIMS];
    struct mn_point point = point_of(1, 5, vector);

    begin_with_history();
    CHECK_OK(mn_config_set(store, "sweep_interval_ms", "86400000", &err));
    uint64_t base = put_value(1, 4, 7);
    uint64_t first = put_value(1, 5, 1);
    point.fields = MN_HAS_TTL;
    point.ttl_us = 50000;
    CHECK_OK_ERR(mn_temporal_put(store, 7, &point, NULL, NULL, &err), &err);
    check_known(1, 5, first, 5, 1);
    (void)nanosleep(&moment, NULL);
    check_known(1, 5, first, 4, 7);
    for (int i = 0; i < 2; i++) {
        (void)put_value(1, 5, 3); /* another point, with nothing before it */
        check_known(1, 5, first, 4, 7);
        check_known(1, 5, base, 4, 7);
        CHECK_EQ(info_of(7).n_points, 2);
        checkpoint();
        reopen();
    }
    closed(store);
}

static void points_that_are_too_old_have_no_past(void)
{
    const struct mn_space_changes hour = {
        .size = sizeof hour, .fields = MN_SPACE_KEEP_US, .keep_us = day};

    begin_with_history();
    uint64_t first = put_value(1, 0, 1);
    (void)put_value(1, 0, 2);
    check_known(1, 0, first, 0, 1);
    CHECK_OK_ERR(mn_temporal_alter_space(store, 7, &hour, NULL, NULL, &err), &err);
    check_unknown(1, 0, first);
    (void)put_value(1, 0, 3);
    CHECK_EQ(stats_of(store).n_records, 1);
    (void)put_value(1, 0, 4);
    CHECK_EQ(stats_of(store).n_records, 1);
    CHECK_OK_ERR(mn_temporal_sweep_space(store, 7, NULL, &err), &err);
    CHECK_EQ(stats_of(store).n_records, 0);
    closed(store);
}

/* The sweep deletes points with many versions by several commits. */
static void many_versions_go_a_few_at_a_time(void)
{
    enum { N_POINTS = 1000, N_TURNS = 40 };
    static struct mn_point points[N_POINTS];
    static float vectors[N_POINTS][N_DIMS];
    const struct mn_space_changes five = {
        .size = sizeof five, .fields = MN_SPACE_KEEP_POINTS, .keep_points = 5};
    uint64_t last = 0;

    begin_with_history();
    for (int64_t t = 0; t < N_POINTS; t++)
        points[t] = point_of(1, t, vectors[t]);
    for (int turn = 0; turn < N_TURNS; turn++)
        CHECK_OK_ERR(mn_temporal_put_batch(store, 7, points, N_POINTS, NULL, NULL, &last, &err),
                     &err);
    CHECK_EQ(stats_of(store).n_records, N_POINTS * N_TURNS);
    CHECK_OK_ERR(mn_temporal_alter_space(store, 7, &five, NULL, NULL, &err), &err);
    uint64_t n_commits = stats_of(store).current_lsn - last;
    CHECK(n_commits >= 1 + 3 + 1 && n_commits < 10); /* the change, 39,800 deletes, the end */
    CHECK_EQ(stats_of(store).n_records, 5 * N_TURNS);
    check_timeline(7, 1, 5, N_POINTS - 5, N_POINTS - 1);
    check_unknown(1, N_POINTS - 6, last);
    closed(store);
}

static void a_batch_makes_one_version_of_a_point(void)
{
    float vectors[3][N_DIMS];
    struct mn_point points[3];
    uint64_t lsn = 0;

    begin_with_history();
    uint64_t first = put_value(1, 1, 1);
    for (int i = 0; i < 3; i++) {
        points[i] = point_of(1, i < 2 ? 1 : 2, vectors[i]);
        vectors[i][2] = (float)(10 + i);
        points[i].metadata = mn_str("{\"a\":1}");
        points[i].payload = bytes(&vectors[i][2], sizeof(float));
    }
    CHECK_OK_ERR(mn_temporal_put_batch(store, 7, points, 3, NULL, NULL, &lsn, &err), &err);
    check_known(1, 1, first, 1, 1);
    check_known(1, 1, lsn, 1, 11);
    check_known(1, 2, lsn, 2, 12);
    check_known(1, 2, first, 1, 1);
    CHECK_EQ(stats_of(store).n_records, 3);
    closed(store);
}

static void old_versions_go_and_the_history_begins_later(void)
{
    const struct timespec moment = {.tv_nsec = 30000000};
    uint64_t lsns[4];
    uint64_t n = 0;

    begin_with_history();
    CHECK_OK(mn_config_set(store, "sweep_interval_ms", "86400000", &err));
    uint64_t from = info_of(7).known_from_lsn;
    for (int i = 0; i < 4; i++)
        lsns[i] = put_value(1, 1, (float)i);
    CHECK_OK_ERR(mn_temporal_sweep_space(store, 7, &n, &err), &err);
    CHECK_EQ(n, 0);
    CHECK_EQ(info_of(7).known_from_lsn, from);
    (void)nanosleep(&moment, NULL);
    set_history(7, 20000);
    check_known(1, 1, lsns[0], 1, 0); /* until it is swept */
    CHECK_OK_ERR(mn_temporal_sweep_space(store, 7, &n, &err), &err);
    CHECK_EQ(n, 3);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(info_of(7).known_from_lsn, lsns[3]);
        CHECK_STATUS(ask(7, lsns[2]), MN_ERR_INVALID);
        check_known(1, 1, lsns[3], 1, 3);
        checkpoint();
        reopen();
    }
    set_history(7, day);
    (void)put_value(1, 1, 9);
    check_known(1, 1, lsns[3], 1, 3);
    closed(store);
}

static void a_dropped_space_takes_its_history_along(void)
{
    begin_with_history();
    uint64_t first = put_value(1, 1, 1);
    (void)put_value(1, 1, 2);
    checkpoint();
    (void)put_value(1, 1, 3);
    CHECK_OK_ERR(mn_temporal_drop_space(store, 7, NULL, NULL, NULL, &err), &err);
    CHECK_EQ(stats_of(store).n_records, 0);
    CHECK_EQ(stats_of(store).n_namespaces, 0);
    CHECK(make(7, "", N_DIMS));
    set_history(7, day);
    CHECK_STATUS(ask(7, first), MN_ERR_INVALID);
    (void)put_value(1, 1, 5);
    CHECK_EQ(stats_of(store).n_records, 1);
    reopen();
    CHECK_EQ(stats_of(store).n_records, 1);
    CHECK_EQ(stats_of(store).n_namespaces, 0);
    closed(store);
}

/* Reads all of what was known, with memory that fails once. False: it did not come to that. */
static bool read_known_without(uint64_t lsn, bool descending, uint64_t call)
{
    const struct mn_range_options o = {.size = sizeof o, .known_at = lsn, .descending = descending};
    struct mn_point_view view;
    mn_range *range = NULL;

    CHECK_OK_ERR(mn_temporal_range_open(store, 7, 1, 0, 9, &o, &range, &err), &err);
    mni_mem_fail_at(call);
    for (int64_t i = 0; i < 10;) {
        mn_status st = mn_temporal_range_next(range, &view, &err);
        if (st == MN_ERR_NOMEM)
            continue;
        CHECK_OK_ERR(st, &err);
        CHECK_EQ(view.time_us, descending ? 9 - i : i);
        CHECK(view.vector[2] == 1);
        mn_point_release(&view);
        i++;
    }
    CHECK_STATUS(mn_temporal_range_next(range, &view, &err), MN_END);
    bool was_hit = mni_mem_fail_was_hit();
    mni_mem_fail_at(0);
    mn_temporal_range_close(range);
    return was_hit;
}

static void a_range_goes_on_where_memory_was_short(void)
{
    const struct mn_space_options options = {
        .size = sizeof options, .n_dims = N_DIMS, .keyframe_every = 10, .history_us = day};
    uint64_t lsn = 0;

    begin();
    CHECK_OK_ERR(mn_temporal_create_space(store, 7, &options, NULL, NULL, NULL, &err), &err);
    for (int64_t t = 0; t < 10; t++)
        lsn = put_value(1, t, 1);
    for (int64_t t = 0; t < 10; t += 2)
        (void)put_value(1, t, 2);
    mni_keyframes_forced = true; /* points are decoded into memory of their own */
    checkpoint();
    mni_keyframes_forced = false;
    for (int way = 0; way < 2; way++) {
        uint64_t call = 1;
        while (read_known_without(lsn, way == 1, call))
            call++;
        CHECK(call > 10); /* it does ask for memory */
    }
    closed(store);
}

/* Beside others ---------- */

static struct mni_thread other;

static void put_apart(void *context)
{
    float vector[N_DIMS];
    struct mn_point point = point_of(1, 1, vector);

    vector[2] = 2;
    *(mn_status *)context = mn_temporal_put(store, 7, &point, NULL, NULL, NULL);
}

static void delete_apart(void *context)
{
    *(mn_status *)context = mn_temporal_delete(store, 7, 1, 1, NULL, NULL, NULL, NULL);
}

static void (*apart)(void *context);

/* Gives it time to come between. */
static void act_in_a_thread(void *context)
{
    const struct timespec moment = {.tv_nsec = 50000000};

    CHECK_OK(mni_thread_start(&other, apart, context, NULL));
    (void)nanosleep(&moment, NULL);
}

static void who_replaces_a_point_sees_who_replaced_it_before(void)
{
    mn_status st = MN_ERR_IO;

    begin_with_history();
    (void)put_value(1, 1, 1);
    apart = put_apart;
    mni_test_point_set("put_point", act_in_a_thread, &st);
    uint64_t lsn = put_value(1, 1, 3);
    mni_thread_join(&other);
    CHECK_OK(st);
    CHECK_EQ(stats_of(store).n_records, 3); /* one point, two versions */
    check_known(1, 1, lsn, 1, 3);
    check_known(1, 1, lsn - 1, 1, 1);
    apart = delete_apart;
    st = MN_ERR_IO;
    mni_test_point_set("put_point", act_in_a_thread, &st);
    (void)put_value(1, 1, 4);
    mni_thread_join(&other);
    CHECK_OK(st);
    CHECK_EQ(stats_of(store).n_records, 0); /* the delete came after, and took all */
    closed(store);
}

static void begin_history(void *context)
{
    (void)context;
    set_history(7, day);
}

static void history_that_begins_meanwhile_misses_nothing(void)
{
    uint64_t n = 0;

    begin_with(7);
    (void)put_value(1, 1, 1);
    mni_test_point_set("put_point", begin_history, NULL);
    (void)put_value(1, 1, 2);
    check_known(1, 1, info_of(7).known_from_lsn, 1, 1);
    set_history(7, 0);
    mni_test_point_set("delete_interval", begin_history, NULL);
    CHECK_OK_ERR(mn_temporal_delete_range(store, 7, 1, 0, 9, NULL, &n, NULL, &err), &err);
    CHECK_EQ(n, 1);
    CHECK_EQ(stats_of(store).n_records, 0);
    closed(store);
}

/* Against everything that was ever put ---------- */

enum { N_TIMES = 12, N_STEPS = 500, N_VERSIONS = 4096 };

static struct {
    int64_t time_us;
    uint64_t birth_lsn;
    uint64_t death_lsn; /* UINT64_MAX: it is the point */
    float value;
    bool is_gone; /* the point was deleted */
} told[N_VERSIONS];
static size_t n_told;

static void tell_put(int64_t time_us, uint64_t lsn, float value)
{
    CHECK(n_told < N_VERSIONS);
    for (size_t i = 0; i < n_told; i++)
        if (told[i].time_us == time_us && told[i].death_lsn == UINT64_MAX)
            told[i].death_lsn = lsn;
    told[n_told].time_us = time_us;
    told[n_told].birth_lsn = lsn;
    told[n_told].death_lsn = UINT64_MAX;
    told[n_told].is_gone = false;
    told[n_told++].value = value;
}

static void tell_delete(int64_t from_us, int64_t to_us)
{
    for (size_t i = 0; i < n_told; i++)
        if (told[i].time_us >= from_us && told[i].time_us <= to_us)
            told[i].is_gone = true;
}

/* Index of what was the point then; n_told: there was none. */
static size_t known_then(int64_t time_us, uint64_t lsn)
{
    for (size_t i = 0; i < n_told; i++)
        if (!told[i].is_gone && told[i].time_us == time_us && told[i].birth_lsn <= lsn &&
            lsn < told[i].death_lsn)
            return i;
    return n_told;
}

static void compare_then(int64_t asked, uint64_t lsn, bool descending)
{
    const struct mn_range_options o = {.size = sizeof o, .known_at = lsn, .descending = descending};
    struct mn_point_view view;
    mn_range *range = NULL;
    size_t best = n_told;

    for (int64_t t = 0; t <= asked; t++)
        best = known_then(t, lsn) < n_told ? known_then(t, lsn) : best;
    if (best == n_told)
        check_unknown(1, asked, lsn);
    else
        check_known(1, asked, lsn, told[best].time_us, told[best].value);
    CHECK_OK_ERR(mn_temporal_range_open(store, 7, 1, 0, asked, &o, &range, &err), &err);
    for (int64_t i = 0; i <= asked; i++) {
        int64_t t = descending ? asked - i : i;
        size_t then = known_then(t, lsn);
        if (then == n_told)
            continue;
        CHECK_OK_ERR(mn_temporal_range_next(range, &view, &err), &err);
        CHECK(view.time_us == t && view.vector[2] == told[then].value);
        CHECK_EQ(view.lsn, told[then].birth_lsn);
        mn_point_release(&view);
    }
    CHECK_STATUS(mn_temporal_range_next(range, &view, &err), MN_END);
    mn_temporal_range_close(range);
}

static void any_past_is_told_as_it_was(void)
{
    uint64_t seed = check_seed();

    begin_with_history();
    uint64_t from = info_of(7).known_from_lsn;
    uint64_t lsn = from;
    n_told = 0;
    for (int i = 0; i < N_STEPS; i++) {
        int64_t t = (int64_t)check_below(&seed, N_TIMES);
        uint64_t what = check_below(&seed, 20);
        if (what == 0) {
            delete_at(1, t);
            tell_delete(t, t);
        } else if (what == 1) {
            CHECK_OK_ERR(mn_temporal_delete_range(store, 7, 1, t, t + 2, NULL, NULL, NULL, &err),
                         &err);
            tell_delete(t, t + 2);
        } else {
            lsn = put_value(1, t, (float)i);
            tell_put(t, lsn, (float)i);
        }
        if (i % 83 == 0)
            checkpoint();
        if (i % 190 == 0)
            reopen();
        uint64_t then = from + check_below(&seed, lsn - from + 1);
        compare_then((int64_t)check_below(&seed, N_TIMES + 2), then, i % 2 == 0);
    }
    closed(store);
}

/* The space comes and goes, with history and without. */
static void come_and_go(void *context)
{
    uint64_t random = *(const uint64_t *)context;
    const struct mn_write_options not_durable = {.size = sizeof not_durable, .ack = MN_ACK_NONE};

    for (int i = 0; i < 100000; i++) {
        struct mn_space_options options = {.size = sizeof options, .n_dims = N_DIMS};
        mn_status st;
        options.history_us = check_below(&random, 2) == 0 ? day : 0;
        if (check_below(&random, 2) == 0)
            st = mn_temporal_create_space(store, 7, &options, &not_durable, NULL, NULL, NULL);
        else
            st = mn_temporal_drop_space(store, 7, &not_durable, NULL, NULL, NULL);
        CHECK(st == MN_OK || st == MN_EXISTS);
    }
}

static void spaces_come_and_go_beside_each_other(void)
{
    uint64_t seed = check_seed();
    uint64_t seeds[] = {seed, seed + 1};

    begin();
    CHECK_OK(mni_thread_start(&other, come_and_go, &seeds[0], NULL));
    come_and_go(&seeds[1]);
    mni_thread_join(&other);
    reopen();
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_was_known_is_told_after_it_was_replaced),
        CHECK_TEST(both_ends_of_all_numbers_have_history),
        CHECK_TEST(questions_that_the_history_cannot_answer_are_refused),
        CHECK_TEST(whoever_deletes_a_point_ends_its_versions),
        CHECK_TEST(a_point_that_goes_by_number_takes_its_versions_along),
        CHECK_TEST(an_expired_point_has_no_past),
        CHECK_TEST(points_that_are_too_old_have_no_past),
        CHECK_TEST(many_versions_go_a_few_at_a_time),
        CHECK_TEST(a_batch_makes_one_version_of_a_point),
        CHECK_TEST(old_versions_go_and_the_history_begins_later),
        CHECK_TEST(a_dropped_space_takes_its_history_along),
        CHECK_TEST(a_range_goes_on_where_memory_was_short),
        CHECK_TEST(who_replaces_a_point_sees_who_replaced_it_before),
        CHECK_TEST(history_that_begins_meanwhile_misses_nothing),
        CHECK_TEST(any_past_is_told_as_it_was),
        CHECK_TEST(spaces_come_and_go_beside_each_other),
    };

    return check_run("api.history", tests, CHECK_COUNT(tests), argc, argv);
}
