/* Tests of spaces and their points. */
#include <inttypes.h>
#include <time.h>

#include "base/plant.h"
#include "points.h"

/* Spaces ---------- */

static void a_space_is_made_once_and_never_changed(void)
{
    uint64_t lsn = 7;
    bool created = true;
    const struct mn_space_options options = {
        .size = sizeof options, .name = mn_str("me"), .n_dims = N_DIMS};

    begin();
    CHECK_OK(mn_temporal_create_space(store, 7, &options, NULL, &created, &lsn, &err));
    CHECK(created && lsn == 1);
    CHECK_OK(mn_temporal_create_space(store, 7, &options, NULL, &created, &lsn, &err));
    CHECK(!created && lsn == 0);
    CHECK_STATUS(try_make(7, mn_str("me"), N_DIMS + 1), MN_EXISTS);
    CHECK_STR_EQ(err.message, "space 7 exists and has 3 dimensions");
    CHECK_STATUS(try_make(7, mn_str("you"), N_DIMS), MN_EXISTS);
    CHECK_STR_EQ(err.message, "space 7 exists and has another name");
    CHECK_STATUS(try_make(7, mn_str(""), N_DIMS), MN_EXISTS);
    CHECK_STATUS(try_make(8, mn_str("me"), N_DIMS), MN_EXISTS);
    CHECK_STR_EQ(err.message, "space 7 has the name \"me\"");
    const struct mn_slice odd = {"a\0b\n", 4};
    uint32_t space = 0;
    CHECK_STATUS(mn_temporal_find_space(store, odd, &space, &err), MN_NOT_FOUND);
    CHECK_STR_EQ(err.message, "no space is called \"a\\x00b\\x0A\"");
    CHECK_OK(try_make(11, odd, N_DIMS));
    CHECK_STATUS(try_make(12, odd, N_DIMS), MN_EXISTS);
    CHECK_STR_EQ(err.message, "space 11 has the name \"a\\x00b\\x0A\"");
    CHECK_OK(mn_temporal_drop_space(store, 11, NULL, NULL, NULL, &err));
    CHECK(make(8, "", 5));
    CHECK(make(9, "", 5)); /* without a name any number of them */
    CHECK(!make(9, "", 5));
    CHECK_EQ(stats_of(store).n_spaces, 3);
    CHECK_EQ(stats_of(store).n_namespaces, 0);
    struct mn_space_info info = info_of(7);
    CHECK(info.n_dims == N_DIMS && info.n_points == 0 && info.created_lsn == 1);
    CHECK_EQ(info.name_bytes, 2);
    CHECK_MEM_EQ(info.name, "me", 2);
    CHECK_EQ(info_of(8).name_bytes, 0);
    closed(store);
}

static void a_dropped_space_gives_back_its_number_and_its_name(void)
{
    uint64_t lsn = 7;
    bool existed = false;
    uint32_t space;

    begin();
    CHECK(make(7, "me", N_DIMS));
    CHECK(make(8, "", N_DIMS));
    (void)put_at(7, 1, 1);
    (void)put_at(8, 1, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(called("me"), 7);
        CHECK_OK_ERR(mn_temporal_drop_space(store, 7, NULL, &existed, &lsn, &err), &err);
        CHECK(existed && lsn != 0);
        CHECK_OK_ERR(mn_temporal_drop_space(store, 7, NULL, &existed, &lsn, &err), &err);
        CHECK(!existed && lsn == 0);
        CHECK_STATUS(mn_temporal_find_space(store, mn_str("me"), &space, &err), MN_NOT_FOUND);
        CHECK_STR_EQ(err.message, "no space is called \"me\"");
        check_none(mn_temporal_get, 7, 1, 1);
        CHECK_STR_EQ(err.message, "there is no space 7");
        CHECK_EQ(stats_of(store).n_records, 1);
        CHECK_EQ(stats_of(store).n_spaces, 1);
        CHECK(make(9, "me", 4)); /* the name is free */
        CHECK_OK_ERR(mn_temporal_drop_space(store, 9, NULL, NULL, NULL, &err), &err);
        CHECK(make(7, "me", N_DIMS));
        check_no_timeline(7, 1);
        CHECK_EQ(stats_of(store).n_spaces, 2);
        (void)put_at(7, 1, 1);
        checkpoint(); /* and from segments */
        reopen();
    }
    check_found(mn_temporal_get, 8, 1, 2, 2);
    check_timeline(7, 1, 1, 1, 1);
    closed(store);
}

static void spaces_are_listed_by_number_and_found_by_name(void)
{
    static const uint32_t numbers[] = {0, 1, 255, 256, 65536, UINT32_MAX - 1, UINT32_MAX};
    char longest[MN_SPACE_NAME_BYTES_MAX];
    uint32_t spaces[8];
    size_t n = 0;

    begin();
    CHECK_OK(mn_temporal_list_spaces(store, 0, spaces, 8, &n, &err));
    CHECK_EQ(n, 0);
    for (size_t i = CHECK_COUNT(numbers); i-- > 0;) {
        char name[16];
        (void)snprintf(name, sizeof name, "%" PRIu32, numbers[i]);
        CHECK(make(numbers[i], name, N_DIMS));
        if (i % 2 == 0)
            checkpoint();
    }
    put(store, mn_str("7"), mn_str("7"), "beside them");
    for (size_t from = 0; from < CHECK_COUNT(numbers); from++) {
        CHECK_OK(mn_temporal_list_spaces(store, numbers[from], spaces, 3, &n, &err));
        CHECK_EQ(n, CHECK_COUNT(numbers) - from < 3 ? CHECK_COUNT(numbers) - from : 3);
        for (size_t i = 0; i < n; i++)
            CHECK_EQ(spaces[i], numbers[from + i]);
    }
    CHECK_EQ(called("4294967295"), UINT32_MAX);
    CHECK_EQ(called("0"), 0);
    memset(longest, 'x', sizeof longest);
    CHECK_OK_ERR(try_make(3, bytes(longest, sizeof longest), 1), &err);
    reopen();
    struct mn_space_info info = info_of(3);
    CHECK_EQ(info.name_bytes, sizeof longest);
    CHECK_MEM_EQ(info.name, longest, sizeof longest);
    closed(store);
}

static void wrong_spaces_are_refused(void)
{
    static char long_name[MN_SPACE_NAME_BYTES_MAX + 1];
    struct mn_space_info info = {0};
    uint32_t space;
    size_t n;

    begin();
    memset(long_name, 'x', sizeof long_name);
    CHECK_STATUS(try_make(1, mn_str(""), 0), MN_ERR_INVALID);
    CHECK_STATUS(try_make(1, mn_str(""), MN_DIMENSIONS_MAX + 1), MN_ERR_LIMIT);
    CHECK_STATUS(try_make(1, bytes("\xff", 1), 1), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "name of the space is not UTF-8");
    CHECK_STATUS(try_make(1, bytes(long_name, sizeof long_name), 1), MN_ERR_LIMIT);
    CHECK_STATUS(try_make(1, bytes(NULL, 3), 1), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_create_space(store, 1, NULL, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_create_space(NULL, 1, NULL, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_space(store, 1, &info, &err), MN_ERR_INVALID);
    info.size = sizeof info;
    CHECK_STATUS(mn_temporal_space(store, 1, &info, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_temporal_space(store, 1, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_find_space(store, mn_str(""), &space, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_find_space(store, mn_str("a"), NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_list_spaces(store, 0, &space, 0, &n, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_list_spaces(store, 0, NULL, 1, &n, &err), MN_ERR_INVALID);
    CHECK_EQ(stats_of(store).current_lsn, 0);
    closed(store);
}

/* Points ---------- */

static void a_point_comes_back_whole(void)
{
    static const uint32_t bits[N_DIMS] = {0x7fc00001, 0xff800000, 0x80000000};
    float vector[N_DIMS];
    struct mn_point point = {
        .entity = 5,
        .time_us = -20,
        .vector = vector,
        .n_dims = N_DIMS,
        .fields = MN_HAS_EXPIRES_AT,
        .metadata = mn_str("{\"a\": 1}"),
        .payload = {"p\0q", 3},
        .expires_at_us = INT64_MAX,
    };
    struct mn_point_view view;
    uint64_t lsn = 0;

    begin_with(7);
    memcpy(vector, bits, sizeof vector);
    CHECK_OK_ERR(mn_temporal_put(store, 7, &point, NULL, &lsn, &err), &err);
    CHECK_EQ(lsn, 2);
    for (int i = 0; i < 3; i++) {
        CHECK_OK_ERR(mn_temporal_get(store, 7, 5, -20, &view, &err), &err);
        CHECK(view.entity == 5 && view.time_us == -20 && view.lsn == lsn);
        CHECK_EQ(view.n_dims, N_DIMS);
        CHECK_MEM_EQ(view.vector, bits, sizeof bits);
        CHECK_EQ(view.metadata.n_bytes, 8);
        CHECK_MEM_EQ(view.metadata.data, "{\"a\": 1}", 8);
        CHECK_EQ(view.payload.n_bytes, 3);
        CHECK_MEM_EQ(view.payload.data, "p\0q", 3);
        CHECK(view.fields == MN_HAS_EXPIRES_AT && view.expires_at_us == INT64_MAX);
        mn_point_release(&view);
        if (i == 0)
            reopen(); /* from the log */
        else if (i == 1)
            checkpoint();
    }
    mn_point_release(NULL);
    closed(store);
}

static void a_later_put_replaces_the_point_of_its_time(void)
{
    float vector[N_DIMS];
    struct mn_point point = point_of(5, 1, vector);
    struct mn_point_view old;
    struct mn_point_view view;

    begin_with(7);
    point.payload = mn_str("old");
    CHECK_OK(mn_temporal_put(store, 7, &point, NULL, NULL, &err));
    CHECK_OK(mn_temporal_get(store, 7, 5, 1, &old, &err));
    point.payload = mn_str("new");
    CHECK_OK(mn_temporal_put(store, 7, &point, NULL, NULL, &err));
    CHECK_OK(mn_temporal_get(store, 7, 5, 1, &view, &err));
    CHECK_MEM_EQ(view.payload.data, "new", 3);
    CHECK_MEM_EQ(old.payload.data, "old", 3); /* as long as it is held */
    CHECK_EQ(view.lsn, 3);
    check_timeline(7, 5, 1, 1, 1);
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    mn_point_release(&view);
    mn_point_release(&old);
    closed(store);
}

static void a_batch_is_one_commit_in_which_the_last_one_wins(void)
{
    float vectors[4][N_DIMS];
    struct mn_point points[4];
    struct mn_point_view view;
    uint64_t n_stored = 99;
    uint64_t lsn = 99;

    begin_with(7);
    points[0] = point_of(5, 1, vectors[0]);
    points[1] = point_of(5, 2, vectors[1]);
    points[2] = point_of(5, 1, vectors[2]);
    points[3] = point_of(6, 1, vectors[3]);
    points[0].payload = mn_str("first");
    points[2].payload = mn_str("last");
    CHECK_OK_ERR(mn_temporal_put_batch(store, 7, points, 4, NULL, &n_stored, &lsn, &err), &err);
    CHECK(n_stored == 3 && lsn == 2);
    CHECK_OK(mn_temporal_get(store, 7, 5, 1, &view, &err));
    CHECK_EQ(view.payload.n_bytes, 4);
    mn_point_release(&view);
    check_timeline(7, 5, 2, 1, 2);
    CHECK_OK(mn_temporal_put_batch(store, 7, NULL, 0, NULL, &n_stored, &lsn, &err));
    CHECK(n_stored == 0 && lsn == 0);
    CHECK_EQ(info_of(7).n_points, 3);
    closed(store);
}

static void wrong_points_are_refused_and_named(void)
{
    float vector[N_DIMS];
    struct mn_point points[4];
    uint64_t n_stored = 99;
    uint64_t lsn = 99;

    begin_with(7);
    for (int i = 0; i < 4; i++)
        points[i] = point_of(1, i, vector);
    points[3].n_dims = 2;
    CHECK_STATUS(mn_temporal_put_batch(store, 7, points, 4, NULL, &n_stored, &lsn, &err),
                 MN_ERR_DIMENSION);
    CHECK_STR_EQ(err.message, "space 7 has 3 dimensions, the vector of point 3 has 2");
    CHECK_STATUS(mn_temporal_put(store, 7, &points[3], NULL, &lsn, &err), MN_ERR_DIMENSION);
    CHECK_STR_EQ(err.message, "space 7 has 3 dimensions, the vector has 2");
    points[3].n_dims = 0;
    CHECK_STATUS(mn_temporal_put(store, 7, &points[3], NULL, &lsn, &err), MN_ERR_DIMENSION);
    points[3].n_dims = MN_DIMENSIONS_MAX + 1;
    CHECK_STATUS(mn_temporal_put(store, 7, &points[3], NULL, &lsn, &err), MN_ERR_LIMIT);
    points[3] = point_of(1, 3, vector);
    points[3].metadata = mn_str("[]");
    CHECK_STATUS(mn_temporal_put_batch(store, 7, points, 4, NULL, &n_stored, &lsn, &err),
                 MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "point 3: metadata is no JSON object");
    points[3] = point_of(1, 3, vector);
    points[3].fields = MN_HAS_EVENT_TIME;
    CHECK_STATUS(mn_temporal_put(store, 7, &points[3], NULL, &lsn, &err), MN_ERR_INVALID);
    points[3].fields = MN_HAS_TTL;
    points[3].ttl_us = -1;
    CHECK_STATUS(mn_temporal_put(store, 7, &points[3], NULL, &lsn, &err), MN_ERR_INVALID);
    points[3] = point_of(1, 3, vector);
    points[3].vector = NULL;
    CHECK_STATUS(mn_temporal_put(store, 7, &points[3], NULL, &lsn, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_put(store, 8, &points[0], NULL, &lsn, &err), MN_NOT_FOUND);
    CHECK_STR_EQ(err.message, "there is no space 8");
    CHECK_STATUS(mn_temporal_put_batch(store, 8, NULL, 0, NULL, NULL, NULL, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_temporal_put(store, 7, NULL, NULL, &lsn, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_put_batch(store, 7, NULL, 1, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK(n_stored == 99 && lsn == 99);
    CHECK_EQ(stats_of(store).current_lsn, 1);
    closed(store);
}

/* Extremes ---------- */

static const int64_t times_of_all[] = {INT64_MIN, INT64_MIN + 1, -256,          -1,       0, 1,
                                       255,       256,           INT64_MAX - 1, INT64_MAX};
static const uint64_t entities_of_all[] = {0,         1, 255, UINT64_MAX / 2 + 1, UINT64_MAX - 1,
                                           UINT64_MAX};
enum { N_TIMES = 10, N_ENTITIES = 6 };

/* Every time of every entity, in two spaces, in memory and in segments, and not in order. */
static void begin_extremes(void)
{
    begin();
    for (unsigned s = 0; s < 2; s++)
        CHECK(make(s == 0 ? 0 : UINT32_MAX, "", N_DIMS));
    for (unsigned i = 0; i < N_TIMES * N_ENTITIES; i++) {
        unsigned at = i * 7 % (N_TIMES * N_ENTITIES);
        (void)put_at(0, entities_of_all[at % N_ENTITIES], times_of_all[at / N_ENTITIES]);
        (void)put_at(UINT32_MAX, entities_of_all[at % N_ENTITIES], times_of_all[at / N_ENTITIES]);
        if (i == 15 || i == 40)
            checkpoint();
    }
}

static void ranges_are_exact_at_the_ends_of_all_numbers(void)
{
    begin_extremes();
    for (unsigned e = 0; e < N_ENTITIES; e++)
        for (unsigned from = 0; from < N_TIMES; from++)
            for (unsigned to = from; to < N_TIMES; to++)
                check_range(e % 2 == 0 ? 0 : UINT32_MAX, entities_of_all[e], times_of_all[from],
                            times_of_all[to], times_of_all + from, to - from + 1);
    /* Between points, and beside entities. */
    check_range(0, 0, 2, 254, NULL, 0);
    check_range(0, 0, INT64_MIN + 2, -257, NULL, 0);
    check_range(0, 2, INT64_MIN, INT64_MAX, NULL, 0);
    check_range(0, UINT64_MAX - 2, INT64_MIN, INT64_MAX, NULL, 0);
    check_range(0, 0, 2, 255, times_of_all + 6, 1);
    closed(store);
}

static void the_nearest_in_time_is_exact_at_the_ends_of_all_numbers(void)
{
    begin_extremes();
    for (unsigned e = 0; e < N_ENTITIES; e++) {
        uint32_t space = e % 2 == 0 ? 0 : UINT32_MAX;
        uint64_t entity = entities_of_all[e];
        for (unsigned t = 0; t < N_TIMES; t++) {
            int64_t at = times_of_all[t];
            check_found(mn_temporal_get, space, entity, at, at);
            check_found(mn_temporal_as_of, space, entity, at, at);
            check_found(mn_temporal_next_from, space, entity, at, at);
            CHECK_OK(mn_temporal_delete(store, space, entity, at, NULL, NULL, NULL, &err));
            check_none(mn_temporal_get, space, entity, at);
            if (t > 0)
                check_found(mn_temporal_as_of, space, entity, at, times_of_all[t - 1]);
            else
                check_none(mn_temporal_as_of, space, entity, at);
            if (t + 1 < N_TIMES)
                check_found(mn_temporal_next_from, space, entity, at, times_of_all[t + 1]);
            else
                check_none(mn_temporal_next_from, space, entity, at);
            check_timeline(space, entity, N_TIMES - 1, times_of_all[t == 0],
                           times_of_all[N_TIMES - 1 - (t == N_TIMES - 1)]);
            (void)put_at(space, entity, at);
        }
        check_found(latest, space, entity, 0, INT64_MAX);
        check_timeline(space, entity, N_TIMES, INT64_MIN, INT64_MAX);
    }
    check_none(mn_temporal_as_of, 0, 2, INT64_MAX);
    check_none(mn_temporal_next_from, 0, UINT64_MAX - 2, INT64_MIN);
    CHECK_STR_HAS(err.message, "entity 18446744073709551613 has no point at or after "
                               "-9223372036854775808 us in space 0");
    check_none(latest, 0, 2, 0);
    closed(store);
}

static void entities_are_listed_in_order_and_in_pages(void)
{
    uint64_t entities[N_ENTITIES + 1];
    uint64_t n_existed;
    size_t n = 0;

    begin_extremes();
    for (unsigned from = 0; from < N_ENTITIES; from++)
        for (size_t n_max = 1; n_max <= N_ENTITIES + 1; n_max++) {
            size_t expected = N_ENTITIES - from < n_max ? N_ENTITIES - from : n_max;
            CHECK_OK_ERR(mn_temporal_list_entities(store, 0, entities_of_all[from], entities, n_max,
                                                   &n, &err),
                         &err);
            CHECK_EQ(n, expected);
            CHECK_MEM_EQ(entities, entities_of_all + from, n * sizeof entities[0]);
        }
    CHECK_OK(mn_temporal_delete_entity(store, 0, 0, NULL, &n_existed, NULL, &err));
    CHECK_EQ(n_existed, N_TIMES);
    CHECK_OK(mn_temporal_delete_entity(store, 0, UINT64_MAX, NULL, &n_existed, NULL, &err));
    CHECK_EQ(n_existed, N_TIMES);
    CHECK_OK(mn_temporal_list_entities(store, 0, 0, entities, N_ENTITIES, &n, &err));
    CHECK_EQ(n, N_ENTITIES - 2);
    CHECK(entities[0] == 1 && entities[n - 1] == UINT64_MAX - 1);
    CHECK_STATUS(mn_temporal_list_entities(store, 1, 0, entities, 1, &n, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_temporal_list_entities(store, 0, 0, entities, 0, &n, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_list_entities(store, 0, 0, NULL, 1, &n, &err), MN_ERR_INVALID);
    check_timeline(UINT32_MAX, 0, N_TIMES, INT64_MIN, INT64_MAX); /* the other space's */
    closed(store);
}

/* One moment ---------- */

static void a_range_shows_the_moment_at_which_it_was_opened(void)
{
    static const int64_t times[] = {1, 2, 3, 4, 5, 6};
    mn_range *up;
    mn_range *down;
    struct mn_point_view view;

    begin_with(7);
    for (int i = 0; i < 6; i++) {
        (void)put_at(7, 5, times[i]);
        if (i == 2)
            checkpoint();
    }
    up = ranged(7, 5, 1, 6, false, 0);
    down = ranged(7, 5, INT64_MIN, INT64_MAX, true, 4);
    CHECK_OK(mn_temporal_range_next(up, &view, &err));
    CHECK_OK(mn_temporal_delete_entity(store, 7, 5, NULL, NULL, NULL, &err));
    (void)put_at(7, 5, 0);
    (void)put_at(7, 5, 7);
    CHECK_OK(mn_temporal_drop_space(store, 7, NULL, NULL, NULL, &err));
    checkpoint();
    check_rest(up, 5, times + 1, 5);
    check_point(&view, 5, 1); /* it outlives its range */
    mn_point_release(&view);
    check_rest(down, 5, (const int64_t[]){6, 5, 4, 3}, 4);
    mn_temporal_range_close(NULL);
    closed(store);
}

/* Points `n` at a time, each page by a range of its own that goes on behind the last point. */
static void check_pages(bool descending, size_t n, bool without_vectors)
{
    struct mn_range_options options = {.size = sizeof options,
                                       .descending = descending,
                                       .limit = n,
                                       .without_vectors = without_vectors};
    const uint64_t entity = entities_of_all[0];
    size_t n_seen = 0;
    size_t n_page = n;

    while (n_page == n) {
        mn_range *range = NULL;
        struct mn_point_view view;
        CHECK_OK_ERR(
            mn_temporal_range_open(store, 0, entity, INT64_MIN, INT64_MAX, &options, &range, &err),
            &err);
        for (n_page = 0; mn_temporal_range_next(range, &view, &err) == MN_OK; n_page++) {
            unsigned i = (unsigned)(descending ? N_TIMES - 1 - n_seen : n_seen);
            CHECK_EQ(view.time_us, times_of_all[i]);
            CHECK_EQ(view.n_dims, N_DIMS);
            CHECK((view.vector == NULL) == without_vectors);
            options.has_after = true;
            options.after_us = view.time_us;
            mn_point_release(&view);
            n_seen++;
        }
        mn_temporal_range_close(range);
    }
    CHECK_EQ(n_seen, N_TIMES);
}

static void ranges_go_on_behind_a_time(void)
{
    struct mn_range_options options = {
        .size = sizeof options, .has_after = true, .after_us = INT64_MIN};
    mn_range *range = NULL;

    begin_extremes();
    for (size_t n = 1; n <= N_TIMES + 1; n++) {
        check_pages(false, n, n % 2 == 0);
        check_pages(true, n, n % 2 == 1);
    }
    for (int i = 0; i < 2; i++) { /* a time beside the interval cuts nothing, or leaves nothing */
        options.descending = i == 1;
        options.after_us = i == 1 ? 200 : 0;
        CHECK_OK(mn_temporal_range_open(store, 0, 0, 1, 2, &options, &range, &err));
        check_rest(range, 0, (const int64_t[]){1}, 1);
        options.after_us = i == 1 ? 1 : 2;
        CHECK_OK(mn_temporal_range_open(store, 0, 0, 1, 2, &options, &range, &err));
        check_rest(range, 0, NULL, 0);
    }
    CHECK_STATUS(mn_temporal_range_open(store, 5, 0, 1, 2, &options, &range, &err), MN_NOT_FOUND);
    closed(store);
}

static void wrong_ranges_are_refused(void)
{
    struct mn_range_options options = {0};
    struct mn_point_view view;
    mn_range *range = NULL;

    begin_with(7);
    CHECK_STATUS(mn_temporal_range_open(store, 7, 5, 1, 0, NULL, &range, &err), MN_ERR_INVALID);
    CHECK_STR_EQ(err.message, "the interval begins at 1 us and ends before, at 0 us");
    CHECK_STATUS(mn_temporal_range_open(store, 7, 5, INT64_MAX, INT64_MIN, NULL, &range, &err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_range_open(store, 8, 5, 0, 1, NULL, &range, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_temporal_range_open(store, 7, 5, 0, 1, &options, &range, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_range_open(store, 7, 5, 0, 1, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK(range == NULL);
    CHECK_STATUS(mn_temporal_range_next(NULL, &view, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_get(store, 7, 5, 0, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_latest(store, 7, 5, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_timeline(store, 7, 5, NULL, &err), MN_ERR_INVALID);
    check_none(mn_temporal_as_of, 8, 5, 0);
    CHECK_STR_EQ(err.message, "there is no space 8");
    check_none(mn_temporal_get, 7, 5, 0);
    CHECK_STR_EQ(err.message, "entity 5 has no point at 0 us in space 7");
    check_rest(ranged(7, 5, 0, 1, false, 0), 5, NULL, 0);
    closed(store);
}

/* Timelines ---------- */

static void a_timeline_is_exact_after_every_change(void)
{
    float vector[N_DIMS];
    struct mn_point point = point_of(5, 40, vector);
    uint64_t n_existed = 99;
    bool existed = true;

    begin_with(7);
    check_no_timeline(7, 5);
    CHECK_STR_EQ(err.message, "entity 5 has no points in space 7");
    (void)put_at(7, 4, 0);
    (void)put_at(7, 6, 0);
    for (int i = 0; i < 2; i++) {
        (void)put_at(7, 5, 20);
        check_timeline(7, 5, 1, 20, 20);
        (void)put_at(7, 5, -10);
        check_timeline(7, 5, 2, -10, 20);
        checkpoint();
        (void)put_at(7, 5, 30);
        (void)put_at(7, 5, 20);
        check_timeline(7, 5, 3, -10, 30);
        checkpoint();
        check_timeline(7, 5, 3, -10, 30);
        CHECK_OK(mn_temporal_delete(store, 7, 5, -10, NULL, &existed, NULL, &err));
        CHECK(existed);
        check_timeline(7, 5, 2, 20, 30);
        CHECK_OK(mn_temporal_delete(store, 7, 5, -10, NULL, &existed, NULL, &err));
        CHECK(!existed);
        reopen();
        check_timeline(7, 5, 2, 20, 30);
        point.fields = MN_HAS_TTL; /* expired at once */
        CHECK_OK(mn_temporal_put(store, 7, &point, NULL, NULL, &err));
        check_timeline(7, 5, 2, 20, 30);
        checkpoint();
        CHECK_OK(mn_sweep(store, NULL, &err));
        check_timeline(7, 5, 2, 20, 30);
        CHECK_OK(mn_temporal_delete_range(store, 7, 5, 20, 29, NULL, &n_existed, NULL, &err));
        CHECK_EQ(n_existed, 1);
        check_timeline(7, 5, 1, 30, 30);
        CHECK_OK(mn_temporal_delete_entity(store, 7, 5, NULL, &n_existed, NULL, &err));
        CHECK_EQ(n_existed, 1);
        check_no_timeline(7, 5);
    }
    check_timeline(7, 4, 1, 0, 0);
    CHECK_EQ(info_of(7).n_points, 2);
    closed(store);
}

/* Segments that hold expiring points are counted point by point. */
static void what_expires_in_a_segment_leaves_the_timeline(void)
{
    enum { N = 200 };
    float vector[N_DIMS];
    struct mn_point_view view;

    begin_with(7);
    for (int i = 0; i < N; i++) {
        struct mn_point point = point_of(5, i, vector);
        point.fields = i % 3 == 0 ? MN_HAS_TTL : 0;
        point.ttl_us = i == 0 ? 3600 * INT64_C(1000000) : 30000;
        CHECK_OK_ERR(mn_temporal_put(store, 7, &point, NULL, NULL, &err), &err);
    }
    checkpoint();
    (void)nanosleep(&(struct timespec){.tv_nsec = 40000000}, NULL);
    check_timeline(7, 5, N - N / 3, 0, N - 1); /* of every third the first one is left */
    CHECK_OK(mn_temporal_as_of(store, 7, 5, 3, &view, &err));
    CHECK_EQ(view.time_us, 2);
    mn_point_release(&view);
    closed(store);
}

/* Deleting intervals ---------- */

static void an_interval_is_deleted_with_both_ends_and_counted(void)
{
    static const int64_t left[] = {1, 2, 6};
    uint64_t n_existed = 99;
    uint64_t lsn = 99;

    begin_with(7);
    for (int i = 1; i <= 6; i++) {
        (void)put_at(7, 5, i);
        (void)put_at(7, 6, i);
        if (i == 4)
            checkpoint();
    }
    CHECK_OK(mn_temporal_delete_range(store, 7, 5, 3, 5, NULL, &n_existed, &lsn, &err));
    CHECK(n_existed == 3 && lsn == 14);
    check_range(7, 5, INT64_MIN, INT64_MAX, left, 3);
    check_timeline(7, 6, 6, 1, 6);
    CHECK_OK(mn_temporal_delete_range(store, 7, 5, 3, 5, NULL, &n_existed, &lsn, &err));
    CHECK(n_existed == 0 && lsn == 0);
    CHECK_EQ(stats_of(store).current_lsn, 14);
    reopen();
    check_range(7, 5, INT64_MIN, INT64_MAX, left, 3);
    lsn = 99;
    n_existed = 99;
    CHECK_STATUS(mn_temporal_delete_range(store, 7, 5, 5, 3, NULL, &n_existed, &lsn, &err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_delete_entity(store, 8, 5, NULL, &n_existed, &lsn, &err),
                 MN_NOT_FOUND);
    CHECK_STATUS(mn_temporal_delete(store, 8, 5, 0, NULL, NULL, &lsn, &err), MN_NOT_FOUND);
    CHECK(n_existed == 99 && lsn == 99);
    closed(store);
}

static void put_beside(void *context)
{
    (void)context;
    (void)put_at(7, 5, 25);
}

static void replace_one(void *context)
{
    (void)context;
    (void)put_at(7, 5, 20);
}

static void delete_one(void *context)
{
    (void)context;
    CHECK_OK(mn_temporal_delete(store, 7, 5, 20, NULL, NULL, NULL, NULL));
}

static void drop_it(void *context)
{
    (void)context;
    CHECK_OK(mn_temporal_drop_space(store, 7, NULL, NULL, NULL, NULL));
}

static void make_it_anew(void *context)
{
    drop_it(context);
    CHECK(make(7, "", N_DIMS));
    (void)put_at(7, 5, 10);
}

/* Points at 10, 20 and 30, of which those up to 29 are deleted while something else happens. */
static mn_status delete_beside(void (*run)(void *context), bool in_segments, uint64_t *n_existed)
{
    begin_with(7);
    for (int i = 10; i <= 30; i += 10)
        (void)put_at(7, 5, i);
    if (in_segments)
        checkpoint();
    mni_test_point_set("delete_interval", run, NULL);
    return mn_temporal_delete_range(store, 7, 5, 0, 29, NULL, n_existed, NULL, &err);
}

static void what_is_put_while_an_interval_is_deleted_stays(void)
{
    uint64_t n = 99;

    for (int in_segments = 0; in_segments < 2; in_segments++) {
        CHECK_OK_ERR(delete_beside(put_beside, in_segments, &n), &err);
        CHECK_EQ(n, 2);
        check_range(7, 5, INT64_MIN, INT64_MAX, (const int64_t[]){25, 30}, 2);
        closed(store);
        CHECK_OK_ERR(delete_beside(replace_one, in_segments, &n), &err);
        CHECK_EQ(n, 1);
        check_range(7, 5, INT64_MIN, INT64_MAX, (const int64_t[]){20, 30}, 2);
        closed(store);
        CHECK_OK_ERR(delete_beside(delete_one, in_segments, &n), &err);
        CHECK_EQ(n, 1);
        check_range(7, 5, INT64_MIN, INT64_MAX, (const int64_t[]){30}, 1);
        closed(store);
        n = 99;
        CHECK_STATUS(delete_beside(drop_it, in_segments, &n), MN_NOT_FOUND);
        CHECK_STR_EQ(err.message, "there is no space 7");
        CHECK_EQ(n, 99);
        closed(store);
        CHECK_OK_ERR(delete_beside(make_it_anew, in_segments, &n), &err);
        CHECK_EQ(n, 0);
        check_timeline(7, 5, 1, 10, 10);
        closed(store);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_space_is_made_once_and_never_changed),
        CHECK_TEST(a_dropped_space_gives_back_its_number_and_its_name),
        CHECK_TEST(spaces_are_listed_by_number_and_found_by_name),
        CHECK_TEST(wrong_spaces_are_refused),
        CHECK_TEST(a_point_comes_back_whole),
        CHECK_TEST(a_later_put_replaces_the_point_of_its_time),
        CHECK_TEST(a_batch_is_one_commit_in_which_the_last_one_wins),
        CHECK_TEST(wrong_points_are_refused_and_named),
        CHECK_TEST(ranges_are_exact_at_the_ends_of_all_numbers),
        CHECK_TEST(the_nearest_in_time_is_exact_at_the_ends_of_all_numbers),
        CHECK_TEST(entities_are_listed_in_order_and_in_pages),
        CHECK_TEST(a_range_shows_the_moment_at_which_it_was_opened),
        CHECK_TEST(ranges_go_on_behind_a_time),
        CHECK_TEST(wrong_ranges_are_refused),
        CHECK_TEST(a_timeline_is_exact_after_every_change),
        CHECK_TEST(what_expires_in_a_segment_leaves_the_timeline),
        CHECK_TEST(an_interval_is_deleted_with_both_ends_and_counted),
        CHECK_TEST(what_is_put_while_an_interval_is_deleted_stays),
    };

    return check_run("api.temporal", tests, CHECK_COUNT(tests), argc, argv);
}
