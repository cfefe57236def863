/* Tests of what a space keeps: by age, and by number. */
#include <inttypes.h>
#include <time.h>

#include "base/mem.h"
#include "base/plant.h"
#include "io/thread.h"
#include "points.h"

static void set(uint32_t space, const struct mn_space_changes *changes)
{
    struct mn_space_changes c = *changes;

    c.size = sizeof c;
    CHECK_OK_ERR(mn_temporal_alter_space(store, space, &c, NULL, NULL, &err), &err);
}

static void keep_points(uint32_t space, uint64_t n)
{
    set(space, &(struct mn_space_changes){.fields = MN_SPACE_KEEP_POINTS, .keep_points = n});
}

static void keep_us(uint32_t space, int64_t us)
{
    set(space, &(struct mn_space_changes){.fields = MN_SPACE_KEEP_US, .keep_us = us});
}

/* Points of an entity at `n` times from one on, as one commit. */
static void put_row(uint32_t space, uint64_t entity, int64_t from_us, size_t n)
{
    static float vectors[2500][N_DIMS];
    static struct mn_point points[2500];

    CHECK(n <= CHECK_COUNT(points));
    for (size_t i = 0; i < n; i++)
        points[i] = point_of(entity, from_us + (int64_t)i, vectors[i]);
    CHECK_OK_ERR(mn_temporal_put_batch(store, space, points, n, NULL, NULL, NULL, &err), &err);
}

static uint64_t sweep(uint32_t space)
{
    uint64_t n = 99;

    CHECK_OK_ERR(mn_temporal_sweep_space(store, space, &n, &err), &err);
    return n;
}

static void check_entities(uint32_t space, const uint64_t *expected, size_t n_expected)
{
    uint64_t entities[16];
    size_t n = 0;

    CHECK_OK_ERR(mn_temporal_list_entities(store, space, 0, entities, 16, &n, &err), &err);
    CHECK_EQ(n, n_expected);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(entities[i], expected[i]);
}

/* By number ---------- */

static void only_the_newest_points_stay(void)
{
    static const int64_t kept[] = {20, 30, 40};
    static const int64_t ends[] = {30, 40, INT64_MAX};

    begin_with(7);
    keep_points(7, 3);
    for (int round = 0; round < 2; round++) {
        (void)put_at(7, 1, 10);
        (void)put_at(7, 1, 40);
        (void)put_at(7, 1, INT64_MIN);
        if (round == 0)
            check_timeline(7, 1, 3, INT64_MIN, 40);
        (void)put_at(7, 1, 30);
        check_none(mn_temporal_get, 7, 1, INT64_MIN);
        (void)put_at(7, 1, 20);
        check_none(mn_temporal_get, 7, 1, 10);
        (void)put_at(7, 1, 20); /* no other one */
        (void)put_at(7, 1, 19); /* older than all that stay */
        check_none(mn_temporal_get, 7, 1, 19);
        check_range(7, 1, INT64_MIN, INT64_MAX, kept, 3);
        (void)put_at(7, 2, 5); /* another entity */
        check_timeline(7, 2, 1, 5, 5);
        CHECK_EQ(info_of(7).n_points, 4);
        checkpoint();
        reopen();
    }
    (void)put_at(7, 1, INT64_MAX);
    check_range(7, 1, INT64_MIN, INT64_MAX, ends, 3);
    CHECK_OK(mn_temporal_delete(store, 7, 1, 40, NULL, NULL, NULL, &err));
    (void)put_at(7, 1, 25);
    check_timeline(7, 1, 3, 25, INT64_MAX);
    keep_points(7, 0);
    (void)put_at(7, 1, 26);
    check_timeline(7, 1, 4, 25, INT64_MAX);
    closed(store);
}

static void the_newest_points_of_a_batch_stay(void)
{
    static const int64_t times[] = {5, 9, 1, 7, 9, 3, 8, -4};
    static const int64_t kept[] = {7, 8, 9};
    float vectors[16][N_DIMS];
    struct mn_point points[16];
    uint64_t n_stored = 0;

    begin_with(7);
    keep_points(7, 3);
    (void)put_at(7, 1, 6);
    (void)put_at(7, 1, 7);
    for (size_t i = 0; i < 8; i++) {
        points[i] = point_of(1, times[i], vectors[i]);
        points[8 + i] = point_of(2, -times[i], vectors[8 + i]);
    }
    CHECK_OK_ERR(mn_temporal_put_batch(store, 7, points, 16, NULL, &n_stored, NULL, &err), &err);
    CHECK_EQ(n_stored, 14);
    check_range(7, 1, INT64_MIN, INT64_MAX, kept, 3);
    check_timeline(7, 2, 3, -3, 4);
    CHECK_EQ(info_of(7).n_points, 6);
    closed(store);
}

static void points_that_have_expired_do_not_count(void)
{
    float vector[N_DIMS];

    begin_with(7);
    keep_points(7, 2);
    (void)put_at(7, 1, 1);
    (void)put_at(7, 1, 2);
    struct mn_point gone = point_of(1, 3, vector);
    gone.fields = MN_HAS_EXPIRES_AT;
    gone.expires_at_us = 1;
    CHECK_OK_ERR(mn_temporal_put(store, 7, &gone, NULL, NULL, &err), &err);
    check_timeline(7, 1, 2, 1, 2);
    gone.time_us = 1; /* in the place of one */
    CHECK_OK_ERR(mn_temporal_put(store, 7, &gone, NULL, NULL, &err), &err);
    check_timeline(7, 1, 1, 2, 2);
    (void)put_at(7, 1, -3);
    check_timeline(7, 1, 2, -3, 2);
    closed(store);
}

static void keeping_fewer_points_deletes_the_others(void)
{
    begin_with(7);
    for (uint64_t entity = 0; entity < 40; entity++)
        put_row(7, entity == 39 ? UINT64_MAX : entity, 0, 100);
    checkpoint();
    (void)put_at(7, 3, 1000);
    keep_points(7, 40);
    CHECK_EQ(info_of(7).n_points, 1600);
    check_timeline(7, 3, 40, 61, 1000);
    check_timeline(7, 4, 40, 60, 99);
    keep_points(7, 1);
    CHECK_EQ(info_of(7).n_points, 40);
    check_timeline(7, UINT64_MAX, 1, 99, 99);
    reopen();
    CHECK_EQ(info_of(7).n_points, 40);
    keep_points(7, UINT64_MAX);
    (void)put_at(7, 5, 1);
    check_timeline(7, 5, 2, 1, 99);
    CHECK_EQ(sweep(7), 0);
    closed(store);
}

/* Has an alter fail behind its first commit, before it deletes anything. */
static void keep_points_and_fail(uint32_t space, uint64_t n)
{
    const struct mn_space_changes changes = {
        .size = sizeof changes, .fields = MN_SPACE_KEEP_POINTS, .keep_points = n};
    mn_status st = MN_ERR_NOMEM;

    for (uint64_t call = 1; info_of(space).keep_points != n; call++) {
        CHECK_STATUS(st, MN_ERR_NOMEM);
        mni_mem_fail_at(call);
        st = mn_temporal_alter_space(store, space, &changes, NULL, NULL, &err);
        mni_mem_fail_at(0);
    }
    CHECK_STATUS(st, MN_ERR_NOMEM);
}

static void what_an_alter_leaves_goes_later(void)
{
    begin_with(7);
    CHECK_OK(mn_config_set(store, "sweep_interval_ms", "86400000", &err));
    put_row(7, 1, 0, 2500);
    put_row(7, 2, 0, 2500);
    keep_points_and_fail(7, 2);
    CHECK_EQ(info_of(7).n_points, 5000);
    (void)put_at(7, 1, 2500); /* one commit does not delete it all */
    check_timeline(7, 1, 2500 - 1024, 1025, 2500);
    check_timeline(7, 2, 2500, 0, 2499);
    reopen();
    check_timeline(7, 1, 2, 2499, 2500);
    check_timeline(7, 2, 2, 2498, 2499);
    keep_points_and_fail(7, 1);
    CHECK_EQ(sweep(7), 2);
    CHECK_EQ(info_of(7).n_points, 2);
    closed(store);
}

/* Against a list that is cut after every step. */
static void any_order_of_puts_leaves_the_newest(void)
{
    uint64_t seed = check_seed();
    int64_t times[64];
    int64_t shown[64];
    size_t n = 0;

    begin_with(7);
    keep_points(7, 5);
    for (int i = 0; i < 400; i++) {
        int64_t t = (int64_t)(check_random(&seed) % 40) - 20;
        size_t at = 0;
        while (at < n && times[at] < t)
            at++;
        bool is_there = at < n && times[at] == t;
        if (check_random(&seed) % 5 == 0) {
            bool existed = false;
            CHECK_OK(mn_temporal_delete(store, 7, 1, t, NULL, &existed, NULL, &err));
            CHECK(existed == is_there);
            if (is_there)
                memmove(times + at, times + at + 1, (--n - at) * sizeof *times);
        } else {
            (void)put_at(7, 1, t);
            if (!is_there) {
                memmove(times + at + 1, times + at, (n++ - at) * sizeof *times);
                times[at] = t;
            }
            if (n > 5)
                memmove(times, times + 1, --n * sizeof *times);
        }
        if (i % 97 == 0)
            checkpoint();
        memcpy(shown, times, sizeof shown);
        check_range(7, 1, INT64_MIN, INT64_MAX, shown, n);
        CHECK_EQ(info_of(7).n_points, n);
    }
    closed(store);
}

static struct mni_thread other;

static void put_apart(void *context)
{
    float vector[N_DIMS];
    struct mn_point point = point_of(1, 100, vector);

    *(mn_status *)context = mn_temporal_put(store, 7, &point, NULL, NULL, NULL);
}

/* Gives it time to come between. */
static void put_in_a_thread(void *context)
{
    const struct timespec moment = {.tv_nsec = 50000000};

    CHECK_OK(mni_thread_start(&other, put_apart, context, NULL));
    (void)nanosleep(&moment, NULL);
}

static void two_who_put_see_each_other(void)
{
    mn_status other_st = MN_ERR_IO;

    begin_with(7);
    keep_points(7, 3);
    (void)put_at(7, 1, 1);
    (void)put_at(7, 1, 2);
    mni_test_point_set("put_point", put_in_a_thread, &other_st);
    (void)put_at(7, 1, 3);
    mni_thread_join(&other);
    CHECK_OK(other_st);
    check_timeline(7, 1, 3, 2, 100);
    closed(store);
}

static void keep_one(void *context)
{
    (void)context;
    keep_points(7, 1);
}

static void make_another(void *context)
{
    (void)context;
    CHECK_OK(mn_temporal_drop_space(store, 7, NULL, NULL, NULL, &err));
    CHECK(make(7, "", N_DIMS));
    keep_points(7, 2);
    (void)put_at(7, 1, 1);
}

static void a_put_counts_by_what_the_space_is_when_it_is_committed(void)
{
    begin_with(7);
    (void)put_at(7, 1, 1);
    (void)put_at(7, 1, 2);
    mni_test_point_set("put_point", keep_one, NULL);
    (void)put_at(7, 1, 3);
    check_timeline(7, 1, 1, 3, 3);
    keep_points(7, 2);
    (void)put_at(7, 1, 4);
    mni_test_point_set("put_point", make_another, NULL);
    (void)put_at(7, 1, 5);
    check_timeline(7, 1, 2, 1, 5);
    closed(store);
}

/* By age ---------- */

static const int64_t hour = INT64_C(3600000000);

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void points_that_are_too_old_are_not_shown(void)
{
    static const uint64_t entities[] = {2, 3};
    int64_t now = now_us();
    const int64_t rest[] = {now - hour, now, now + hour, INT64_MAX};
    bool existed = true;
    uint64_t n = 9;

    begin_with(7);
    keep_us(7, 2 * hour);
    for (int i = 0; i < 4; i++) {
        if (i < 2) {
            (void)put_at(7, 1, now - 3 * hour);
            (void)put_at(7, 1, INT64_MIN);
            (void)put_at(7, 2, now - 4 * hour);
            for (size_t j = 0; j < CHECK_COUNT(rest); j++)
                (void)put_at(7, 2, rest[j]);
            (void)put_at(7, 3, now);
        }
        check_none(mn_temporal_get, 7, 1, now - 3 * hour);
        check_none(mn_temporal_get, 7, 1, INT64_MIN);
        check_none(mn_temporal_as_of, 7, 2, now - 3 * hour);
        check_found(mn_temporal_next_from, 7, 2, INT64_MIN, now - hour);
        check_found(mn_temporal_as_of, 7, 2, now + 1, now);
        check_none(latest, 7, 1, 0);
        check_none(mn_temporal_next_from, 7, 1, INT64_MIN);
        check_no_timeline(7, 1);
        check_timeline(7, 2, 4, now - hour, INT64_MAX);
        check_range(7, 2, INT64_MIN, INT64_MAX, rest, 4);
        check_range(7, 1, INT64_MIN, INT64_MAX, NULL, 0);
        check_range(7, 2, INT64_MIN, now - 3 * hour, NULL, 0);
        check_entities(7, entities, 2);
        CHECK_EQ(info_of(7).n_points, 5);
        CHECK_OK_ERR(
            mn_temporal_delete_range(store, 7, 2, INT64_MIN, now - 3 * hour, NULL, &n, NULL, &err),
            &err);
        CHECK_EQ(n, 0);
        if (i == 0) {
            checkpoint();
            CHECK_OK(mn_temporal_delete(store, 7, 1, INT64_MIN, NULL, &existed, NULL, &err));
            CHECK(!existed);
        }
        if (i == 1)
            reopen();
        if (i == 2)
            CHECK_EQ(sweep(7), 3);
    }
    CHECK_EQ(sweep(7), 0);
    closed(store);
}

static void an_age_beyond_all_times_hides_nothing(void)
{
    begin_with(7);
    keep_us(7, INT64_MAX);
    (void)put_at(7, 1, 0);
    (void)put_at(7, 1, -hour); /* of 1969, and shown: the age is longer than all of time since */
    check_timeline(7, 1, 2, -hour, 0);
    keep_us(7, 1);
    (void)put_at(7, 1, INT64_MAX);
    check_timeline(7, 1, 1, INT64_MAX, INT64_MAX);
    CHECK_EQ(info_of(7).n_points, 1);
    closed(store);
}

static void what_was_too_old_stays_gone(void)
{
    int64_t now = now_us();

    begin_with(7);
    for (uint64_t entity = 0; entity < 7; entity++)
        put_row(7, entity, now - 2 * hour, 400 + 100 * entity);
    (void)put_at(7, 1, now);
    keep_us(7, hour / 2);
    CHECK_EQ(info_of(7).n_points, 1);
    keep_us(7, 3 * hour);
    CHECK_EQ(info_of(7).n_points, 1);
    keep_us(7, 0);
    CHECK_EQ(info_of(7).n_points, 1);
    (void)put_at(7, 1, now - hour);
    check_timeline(7, 1, 2, now - hour, now);
    closed(store);
}

static void keep_half_an_hour(void *context)
{
    (void)context;
    keep_us(7, hour / 2);
    CHECK_EQ(info_of(7).n_points, 1);
}

static void what_became_too_old_meanwhile_stays_gone(void)
{
    int64_t now = now_us();

    begin_with(7);
    put_row(7, 1, now - 2 * hour, 5);
    (void)put_at(7, 1, now);
    for (int64_t keep = 3; keep >= 0; keep -= 3) {
        checkpoint(); /* names in segments are looked up in two steps */
        mni_test_point_set("look_up", keep_half_an_hour, NULL);
        keep_us(7, keep * hour);
        CHECK_EQ(info_of(7).n_points, 1);
        check_timeline(7, 1, 1, now, now);
        (void)put_at(7, 1, now - 2 * hour);
        CHECK_EQ(info_of(7).n_points, 2);
    }
    closed(store);
}

static void age_and_number_count_together(void)
{
    int64_t now = now_us();
    const int64_t kept[] = {now - 2, now - 1, now};

    begin_with(7);
    keep_us(7, hour);
    keep_points(7, 3);
    for (int64_t i = 3; i-- > 0;) {
        (void)put_at(7, 1, now - i);
        (void)put_at(7, 1, now - 2 * hour - i); /* takes nobody's place */
    }
    check_range(7, 1, INT64_MIN, INT64_MAX, kept, 3);
    put_row(7, 1, now - 2 * hour, 1); /* nor when it is there already */
    struct mn_point both[2];
    float vectors[2][N_DIMS];
    both[0] = point_of(1, now - 2 * hour, vectors[0]);
    both[1] = point_of(1, now - 4, vectors[1]);
    CHECK_OK_ERR(mn_temporal_put_batch(store, 7, both, 2, NULL, NULL, NULL, &err), &err);
    check_range(7, 1, INT64_MIN, INT64_MAX, kept, 3);
    (void)put_at(7, 1, now - 3);
    check_range(7, 1, INT64_MIN, INT64_MAX, kept, 3);
    CHECK(sweep(7) > 0);
    check_range(7, 1, INT64_MIN, INT64_MAX, kept, 3);
    closed(store);
}

/* The public sweep takes spaces along. */
static void a_sweep_of_the_store_sweeps_spaces(void)
{
    uint64_t n = 0;

    begin();
    CHECK_OK(mn_config_set(store, "sweep_interval_ms", "86400000", &err));
    CHECK_OK(mn_config_set(store, "sweep_time_cap_ms", "60000", &err)); /* all, on a slow machine */
    CHECK(make(7, "", N_DIMS));
    put_row(7, 1, 0, 2500);
    CHECK_OK_ERR(mn_sweep(store, &n, &err), &err);
    CHECK_EQ(n, 0);
    keep_us(7, hour);
    CHECK_OK_ERR(mn_sweep(store, &n, &err), &err);
    CHECK_EQ(stats_of(store).n_records, 0);
    CHECK_STATUS(mn_temporal_sweep_space(store, 8, &n, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_temporal_sweep_space(NULL, 7, &n, &err), MN_ERR_INVALID);
    CHECK_EQ(sweep(7), 0);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(only_the_newest_points_stay),
        CHECK_TEST(the_newest_points_of_a_batch_stay),
        CHECK_TEST(points_that_have_expired_do_not_count),
        CHECK_TEST(keeping_fewer_points_deletes_the_others),
        CHECK_TEST(what_an_alter_leaves_goes_later),
        CHECK_TEST(any_order_of_puts_leaves_the_newest),
        CHECK_TEST(two_who_put_see_each_other),
        CHECK_TEST(a_put_counts_by_what_the_space_is_when_it_is_committed),
        CHECK_TEST(points_that_are_too_old_are_not_shown),
        CHECK_TEST(an_age_beyond_all_times_hides_nothing),
        CHECK_TEST(what_was_too_old_stays_gone),
        CHECK_TEST(what_became_too_old_meanwhile_stays_gone),
        CHECK_TEST(age_and_number_count_together),
        CHECK_TEST(a_sweep_of_the_store_sweeps_spaces),
    };

    return check_run("api.keep", tests, CHECK_COUNT(tests), argc, argv);
}
