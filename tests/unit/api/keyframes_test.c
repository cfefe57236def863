/* Tests of spaces whose vectors are stored as differences: a twin that has them whole answers all
 * questions the same. */
#include <math.h>

#include "api/store_private.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "engine/engine_private.h"
#include "points.h"

enum { PLAIN = 7, TWIN = 8, DIMS = 128, ENTITIES = 6, TIMES = 150, EVERY = 10 };

static uint64_t random_state;
static float vectors[ENTITIES][DIMS];

static void make_with(uint32_t space, uint32_t keyframe_every)
{
    const struct mn_space_options options = {
        .size = sizeof options, .n_dims = DIMS, .keyframe_every = keyframe_every};

    CHECK_OK_ERR(mn_temporal_create_space(store, space, &options, NULL, NULL, NULL, &err), &err);
}

/* Slowly, with a jump now and then, and floats that are no numbers. */
static void move(float *vector)
{
    bool jumps = check_below(&random_state, 40) == 0;

    for (uint32_t i = 0; i < DIMS; i++) {
        double noise = (double)(check_random(&random_state) >> 11) * 0x1p-53 - 0.5;
        vector[i] = (float)(jumps ? noise : (double)vector[i] + 0.001 * noise);
        if (check_below(&random_state, 5000) == 0)
            mni_put_u32(&vector[i], 0x7fc00000 | (uint32_t)check_below(&random_state, 100));
    }
}

static int64_t time_at(size_t i)
{
    return ((int64_t)i - TIMES / 2) * 1000;
}

/* The same point into both. */
static void put_both(uint64_t entity, size_t time)
{
    struct mn_point point = {.entity = entity,
                             .time_us = time_at(time),
                             .n_dims = DIMS,
                             .vector = vectors[entity],
                             .metadata = mn_str("{\"a\":1}")};

    const struct mn_write_options quick = {.size = sizeof quick, .ack = MN_ACK_NONE};

    move(vectors[entity]);
    CHECK_OK_ERR(mn_temporal_put(store, PLAIN, &point, &quick, NULL, &err), &err);
    CHECK_OK_ERR(mn_temporal_put(store, TWIN, &point, &quick, NULL, &err), &err);
}

static void begin_twins(void)
{
    random_state = check_seed();
    begin();
    make_with(PLAIN, 0);
    make_with(TWIN, EVERY);
    for (uint64_t e = 0; e < ENTITIES; e++)
        move(vectors[e]);
    for (size_t t = 0; t < TIMES; t++)
        for (uint64_t e = 0; e < ENTITIES; e++)
            put_both(e, t);
}

static uint64_t collection_of(uint32_t space)
{
    struct space_layout *layouts = NULL;
    size_t n = 0;
    uint64_t number = 0;

    CHECK_OK_ERR(engine_list_layouts(store->engine, UINT64_MAX, &layouts, &n, &err), &err);
    for (size_t i = 0; i < n; i++)
        if ((layouts[i].keyframe_every > 0) == (space == TWIN))
            number = layouts[i].collection;
    mni_free(layouts);
    CHECK(number > 0);
    return number;
}

/* Segments in which a space is stored as differences. */
static unsigned count_with_differences(uint32_t space)
{
    const struct part_set *set = store->engine->state->parts;
    struct mni_segment_group group;
    unsigned n = 0;

    for (size_t i = 0; i < set->n_parts; i++)
        n += mni_segment_find_group(set->parts[i]->segment, collection_of(space), &group, NULL) ==
                 MN_OK &&
             group.has_differences;
    return n;
}

/* Two answers, and lets go of them. */
static void check_alike(struct mn_point_view *a, struct mn_point_view *b)
{
    CHECK_EQ(a->pin == NULL, b->pin == NULL);
    CHECK(a->entity == b->entity && a->time_us == b->time_us && a->fields == b->fields);
    CHECK_EQ(a->n_dims, b->n_dims);
    CHECK_EQ(a->metadata.n_bytes, b->metadata.n_bytes);
    if (a->n_dims > 0)
        CHECK_MEM_EQ(a->vector, b->vector, DIMS * sizeof *a->vector);
    if (a->metadata.n_bytes > 0)
        CHECK_MEM_EQ(a->metadata.data, b->metadata.data, a->metadata.n_bytes);
    mn_point_release(a);
    mn_point_release(b);
}

static void check_look(look *how, uint64_t entity, int64_t time_us)
{
    struct mn_point_view a = {0};
    struct mn_point_view b = {0};
    mn_status st = how(store, PLAIN, entity, time_us, &a, &err);

    CHECK(st == MN_OK || st == MN_NOT_FOUND);
    CHECK_STATUS(how(store, TWIN, entity, time_us, &b, &err), st);
    check_alike(&a, &b);
}

static void check_ranges(uint64_t entity, int64_t from_us, int64_t to_us, bool descending)
{
    mn_range *plain = ranged(PLAIN, entity, from_us, to_us, descending, 0);
    mn_range *twin = ranged(TWIN, entity, from_us, to_us, descending, 0);
    struct mn_point_view a = {0};
    struct mn_point_view b = {0};

    while (mn_temporal_range_next(plain, &a, &err) == MN_OK) {
        CHECK_OK_ERR(mn_temporal_range_next(twin, &b, &err), &err);
        check_alike(&a, &b);
    }
    CHECK_STATUS(mn_temporal_range_next(twin, &b, &err), MN_END);
    mn_temporal_range_close(plain);
    mn_temporal_range_close(twin);
}

static void check_nearest(const float *query, const struct mn_nearest_options *options)
{
    mn_nearest *plain = NULL;
    mn_nearest *twin = NULL;
    struct mn_nearest_hit a;
    struct mn_nearest_hit b;

    CHECK_OK_ERR(
        mn_temporal_nearest_open(store, PLAIN, query, DIMS, ENTITIES, options, &plain, &err), &err);
    CHECK_OK_ERR(mn_temporal_nearest_open(store, TWIN, query, DIMS, ENTITIES, options, &twin, &err),
                 &err);
    while (mn_temporal_nearest_next(plain, &a, &err) == MN_OK) {
        CHECK_OK_ERR(mn_temporal_nearest_next(twin, &b, &err), &err);
        CHECK(a.distance == b.distance);
        check_alike(&a.view, &b.view);
    }
    CHECK_STATUS(mn_temporal_nearest_next(twin, &b, &err), MN_END);
    mn_temporal_nearest_close(plain);
    mn_temporal_nearest_close(twin);
}

/* All vectors of a space, compared with one. */
static void search_all(uint32_t space, const struct mni_search *search,
                       struct mni_search_results *results, struct mni_scan **scan)
{
    CHECK_OK_ERR(mni_scan_open(store->engine, scan, &err), &err);
    CHECK_OK_ERR(mni_scan_start(*scan, collection_of(space), search, &err), &err);
    CHECK_OK_ERR(mni_search_run(*scan, search, results, &err), &err);
}

static void check_search(const float *query, enum mni_metric metric)
{
    const struct mni_search search = {.metric = metric,
                                      .vectors = query,
                                      .n_queries = 1,
                                      .n_dims = DIMS,
                                      .n_best = 50,
                                      .least = -INFINITY};
    struct mni_search_results plain;
    struct mni_search_results twin;
    struct mni_scan *scans[2];

    search_all(PLAIN, &search, &plain, &scans[0]);
    search_all(TWIN, &search, &twin, &scans[1]);
    CHECK_EQ(plain.n, twin.n);
    CHECK_EQ(plain.stats.n_scanned, twin.stats.n_scanned);
    for (size_t i = 0; i < plain.n; i++) {
        struct mni_found a;
        struct mni_found b;
        CHECK(plain.hits[i].hit.score == twin.hits[i].hit.score);
        CHECK_OK_ERR(mni_search_read(scans[0], &plain.hits[i], &a, &err), &err);
        CHECK_OK_ERR(mni_search_read(scans[1], &twin.hits[i], &b, &err), &err);
        CHECK_MEM_EQ(a.record.key.data, b.record.key.data, MNI_POINT_KEY_BYTES);
        CHECK_MEM_EQ(a.record.vector, b.record.vector, DIMS * sizeof(float));
        mni_pin_release(a.pin);
        mni_pin_release(b.pin);
    }
    mni_search_results_done(scans[0], &plain);
    mni_search_results_done(scans[1], &twin);
    mni_scan_close(scans[0]);
    mni_scan_close(scans[1]);
}

/* The bits of all vectors of a space, in any order. */
static uint64_t sum_of_scan(uint32_t space, size_t n_vectors_max, uint64_t *n_out)
{
    struct mni_scan *scan = NULL;
    struct mni_scan_reader *reader = NULL;
    struct mni_scan_chunk chunk;
    uint64_t sum = 0;
    mn_status st;

    *n_out = 0;
    CHECK_OK_ERR(mni_scan_open(store->engine, &scan, &err), &err);
    CHECK_OK_ERR(mni_scan_start(scan, collection_of(space), NULL, &err), &err);
    CHECK_OK_ERR(mni_scan_reader_new(scan, n_vectors_max, &reader, &err), &err);
    while ((st = mni_scan_next(reader, &chunk, &err)) == MN_OK) {
        for (size_t i = 0; i < (size_t)chunk.n_vectors * chunk.n_dims; i++)
            sum += (uint64_t)mni_get_u32((const float *)chunk.vectors + i) * (i % DIMS + 1);
        *n_out += chunk.n_vectors;
    }
    CHECK_STATUS(st, MN_END);
    mni_scan_reader_free(reader);
    mni_scan_close(scan);
    return sum;
}

static void check_twins(void)
{
    float query[DIMS];

    for (uint64_t e = 0; e <= ENTITIES; e++) {
        struct mn_timeline a = {0};
        struct mn_timeline b = {0};
        mn_status st = mn_temporal_timeline(store, PLAIN, e, &a, &err);
        CHECK_STATUS(mn_temporal_timeline(store, TWIN, e, &b, &err), st);
        CHECK(a.n_points == b.n_points && a.first_us == b.first_us && a.last_us == b.last_us);
        for (size_t t = 0; t < TIMES; t += 1 + check_below(&random_state, 3)) {
            check_look(mn_temporal_get, e, time_at(t));
            check_look(mn_temporal_as_of, e, time_at(t) + 1);
            check_look(mn_temporal_next_from, e, time_at(t) + 1);
        }
        check_look(latest, e, 0);
        check_ranges(e, INT64_MIN, INT64_MAX, false);
        check_ranges(e, INT64_MIN, INT64_MAX, true);
        check_ranges(e, -20500, 33000, true);
    }
    for (uint32_t i = 0; i < DIMS; i++)
        query[i] = (float)((double)(check_random(&random_state) >> 11) * 0x1p-53 - 0.5);
    for (int metric = 0; metric < 2; metric++) {
        struct mn_nearest_options o = {.size = sizeof o,
                                       .metric = metric == 0 ? MN_METRIC_COSINE : MN_METRIC_L2};
        check_nearest(query, &o);
        o.scope = MN_NEAREST_AS_OF;
        o.at_us = 12345;
        check_nearest(query, &o);
        check_search(query, metric == 0 ? MNI_METRIC_COSINE : MNI_METRIC_L2);
    }
    uint64_t n[2];
    uint64_t sum = sum_of_scan(PLAIN, 0, &n[0]);
    CHECK_EQ(sum_of_scan(TWIN, 7, &n[1]), sum);
    CHECK_EQ(n[0], n[1]);
}

static void a_twin_answers_alike_across_checkpoints_and_merges(void)
{
    begin_twins();
    check_twins();
    checkpoint();
    CHECK_EQ(count_with_differences(TWIN), 1);
    CHECK_EQ(count_with_differences(PLAIN), 0);
    check_twins();
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 60; i++)
            put_both(check_below(&random_state, ENTITIES), check_below(&random_state, TIMES));
        uint64_t entity = check_below(&random_state, ENTITIES);
        int64_t time_us = time_at(check_below(&random_state, TIMES));
        CHECK_OK_ERR(mn_temporal_delete(store, PLAIN, entity, time_us, NULL, NULL, NULL, &err),
                     &err);
        CHECK_OK_ERR(mn_temporal_delete(store, TWIN, entity, time_us, NULL, NULL, NULL, &err),
                     &err);
        checkpoint();
    }
    CHECK(count_with_differences(TWIN) > 0);
    check_twins();
    reopen();
    check_twins();
    closed(store);
    struct mn_verify_report report = {.size = sizeof report};
    CHECK_OK_ERR(mn_verify(path, &report, &err), &err);
}

static void what_is_asked_for_later_holds_for_what_is_written_then(void)
{
    const struct mn_space_changes more = {
        .size = sizeof more, .fields = MN_SPACE_KEYFRAME_EVERY, .keyframe_every = 1000};
    const struct mn_space_changes none = {.size = sizeof none, .fields = MN_SPACE_KEYFRAME_EVERY};

    begin_twins();
    checkpoint();
    CHECK_OK_ERR(mn_temporal_alter_space(store, TWIN, &more, NULL, NULL, &err), &err);
    for (size_t t = 0; t < TIMES; t++)
        put_both(0, t);
    checkpoint();
    CHECK(count_with_differences(TWIN) > 0);
    check_twins();
    /* What was written before stays as it is, and is read as it is. */
    CHECK_OK_ERR(mn_temporal_alter_space(store, PLAIN, &more, NULL, NULL, &err), &err);
    CHECK_OK_ERR(mn_temporal_alter_space(store, TWIN, &none, NULL, NULL, &err), &err);
    reopen();
    for (uint64_t e = 0; e < ENTITIES; e++)
        check_ranges(e, INT64_MIN, INT64_MAX, false);
    for (size_t t = 0; t < TIMES; t++)
        put_both(1, t);
    checkpoint();
    for (uint64_t e = 0; e < ENTITIES; e++)
        check_ranges(e, INT64_MIN, INT64_MAX, true);
    closed(store);
}

static void a_twin_comes_back_from_snapshots_and_a_salvage(void)
{
    char to[700];
    char id[MN_SNAPSHOT_ID_BYTES];
    char pool[700];
    mn_snapshots *snapshots = NULL;

    begin_twins();
    checkpoint();
    for (int bare = 0; bare < 2; bare++) {
        const struct mn_snapshot_options options = {
            .size = sizeof options, .to = pool, .without_metadata = bare != 0};
        struct mn_snapshot_info info = {.size = sizeof info};
        const struct mn_restore_options into = {.size = sizeof into, .into = to};
        mn_snapshot *snapshot = NULL;
        (void)snprintf(pool, sizeof pool, "%s/export%d", check_temp_dir(), bare);
        (void)snprintf(to, sizeof to, "%s/restored%d", check_temp_dir(), bare);
        CHECK_OK_ERR(mn_snapshot_create(store, &options, &snapshot, &err), &err);
        CHECK_OK(mn_snapshot_get_info(snapshot, &info, &err));
        memcpy(id, info.id, sizeof id);
        mn_snapshot_free(snapshot);
        closed(store);
        CHECK_OK(mn_snapshots_open(pool, &snapshots, &err));
        CHECK_OK_ERR(mn_snapshot_restore(snapshots, id, &into, NULL, &err), &err);
        mn_snapshots_close(snapshots);
        store = opened(to);
        CHECK_EQ(count_with_differences(TWIN), 1);
        CHECK_EQ(count_with_differences(PLAIN), 0);
        check_twins();
        reopen();
    }
    closed(store);
    struct mn_salvage_report report = {.size = sizeof report};
    (void)snprintf(to, sizeof to, "%s/salvaged", check_temp_dir());
    CHECK_OK_ERR(mn_salvage(path, to, NULL, &report, &err), &err);
    CHECK_EQ(report.n_records, 2 * ENTITIES * TIMES);
    store = opened(to);
    check_twins();
    closed(store);
}

/* Every point of the twin, whose vectors are kept beside; returns how many. */
static size_t pin_all(struct mn_point_view *views, float (*expected)[DIMS])
{
    size_t n = 0;

    for (uint64_t e = 0; e < ENTITIES; e++)
        for (size_t t = 0; t < TIMES; t++, n++) {
            CHECK_OK_ERR(mn_temporal_get(store, TWIN, e, time_at(t), &views[n], &err), &err);
            memcpy(expected[n], views[n].vector, sizeof expected[n]);
        }
    return n;
}

static void views_outlive_the_segments_that_they_were_decoded_from(void)
{
    static struct mn_point_view views[ENTITIES * TIMES];
    static float expected[ENTITIES * TIMES][DIMS];

    begin_twins();
    checkpoint();
    CHECK_EQ(stats_of(store).pinned_bytes, 0);
    size_t n = pin_all(views, expected);
    CHECK(stats_of(store).pinned_bytes >= n * DIMS * sizeof(float));
    for (size_t t = 0; t < TIMES; t++)
        for (uint64_t e = 0; e < ENTITIES; e++)
            put_both(e, t);
    for (int i = 0; i < 3; i++)
        checkpoint();
    for (size_t i = 0; i < n; i++) {
        CHECK_MEM_EQ(views[i].vector, expected[i], sizeof expected[i]);
        mn_point_release(&views[i]);
    }
    CHECK_EQ(stats_of(store).pinned_bytes, 0);
    closed(store);
}

static void a_range_without_vectors_decodes_none(void)
{
    const struct mn_range_options options = {.size = sizeof options, .without_vectors = true};
    struct mn_point_view view;
    mn_range *range = NULL;

    begin_twins();
    checkpoint();
    CHECK_OK_ERR(
        mn_temporal_range_open(store, TWIN, 1, INT64_MIN, INT64_MAX, &options, &range, &err), &err);
    mni_mem_fail_at(1); /* a vector is decoded into memory of its own */
    for (size_t i = 0; i < TIMES; i++) {
        CHECK_OK_ERR(mn_temporal_range_next(range, &view, &err), &err);
        CHECK(view.time_us == time_at(i) && view.vector == NULL);
        mn_point_release(&view);
    }
    mni_mem_fail_at(0);
    CHECK_STATUS(mn_temporal_range_next(range, &view, &err), MN_END);
    mn_temporal_range_close(range);
    closed(store);
}

static void decoded_vectors_count_in_the_budget_of_views(void)
{
    enum { BUDGET = 1 << 20, VIEWS_MAX = BUDGET / DIMS / 4 };
    static struct mn_point_view views[VIEWS_MAX + 1];
    mn_status st = MN_OK;
    size_t n = 0;

    begin_twins();
    CHECK_OK_ERR(mn_config_set(store, "pinned_bytes_max", "1048576", &err), &err);
    checkpoint();
    for (; n <= VIEWS_MAX && st == MN_OK; n += st == MN_OK)
        st = mn_temporal_get(store, TWIN, n % ENTITIES, time_at(n / ENTITIES % TIMES), &views[n],
                             &err);
    CHECK_STATUS(st, MN_ERR_BUDGET);
    CHECK(is_clear(&views[n]));
    CHECK(n > VIEWS_MAX * 3 / 4 && stats_of(store).pinned_bytes <= BUDGET);
    mn_range *range = ranged(TWIN, 1, INT64_MIN, INT64_MAX, false, 0);
    CHECK_STATUS(mn_temporal_range_next(range, &views[n], &err), MN_ERR_BUDGET);
    for (size_t i = 0; i < n; i++)
        mn_point_release(&views[i]);
    CHECK_OK_ERR(mn_temporal_range_next(range, &views[n], &err), &err);
    CHECK_EQ(views[n].time_us, time_at(0));
    mn_point_release(&views[n]);
    mn_temporal_range_close(range);
    CHECK_EQ(stats_of(store).pinned_bytes, 0);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_twin_answers_alike_across_checkpoints_and_merges),
        CHECK_TEST(what_is_asked_for_later_holds_for_what_is_written_then),
        CHECK_TEST(a_twin_comes_back_from_snapshots_and_a_salvage),
        CHECK_TEST(views_outlive_the_segments_that_they_were_decoded_from),
        CHECK_TEST(a_range_without_vectors_decodes_none),
        CHECK_TEST(decoded_vectors_count_in_the_budget_of_views),
    };

    return check_run("api.keyframes", tests, CHECK_COUNT(tests), argc, argv);
}
