/* Tests of scans: each vector once, of one moment, whatever happens meanwhile. */
#include "../api/short.h"
#include "engine/engine.h"
#include "io/crash.h"

enum { N = 300, N_DIMS = 4 };
#define DAY_US INT64_C(86400000000)

static struct mn_error err;
static struct mni_crash_env *crash;
static mn_store *store;

static void begin(void)
{
    struct mn_options o = {.size = sizeof o, .create = true, .no_background = true};

    CHECK_OK(mni_crash_env_new(1, &crash));
    CHECK_OK_ERR(mni_api_store_open(mni_crash_env_base(crash), "/s", &o, &store, &err), &err);
}

static void end(void)
{
    closed(store);
    mni_crash_env_free(crash);
}

static struct mn_slice key(int i)
{
    static char text[8];

    (void)snprintf(text, sizeof text, "%05d", i);
    return mn_str(text);
}

static void put_at(int i, uint32_t n_dims, uint32_t fields, int64_t when_us)
{
    const float vector[N_DIMS] = {(float)i, -1, (float)i, 2};
    struct mn_record r = {.id = key(i), .vector = n_dims > 0 ? vector : NULL, .n_dims = n_dims};

    r.fields = fields;
    r.expires_at_us = r.ttl_us = when_us;
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &r, NULL, NULL, &err), &err);
}

static void put_some(int first, int end, int step)
{
    for (int i = first; i < end; i += step)
        put_at(i, N_DIMS, 0, 0);
}

static void checkpoint(void)
{
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
}

static void remove_at(int i)
{
    CHECK_OK(mn_delete(store, mn_str("n"), key(i), NULL, NULL, NULL, NULL));
}

static void touch_at(int i, uint32_t fields, int64_t when_us)
{
    CHECK_OK_ERR(mn_touch(store, mn_str("n"), key(i), fields, when_us, NULL, NULL, &err), &err);
}

static mn_scan *scan_of(size_t chunk_max)
{
    struct mn_scan_options o = {.size = sizeof o, .chunk_vectors_max = chunk_max};
    mn_scan *scan = NULL;

    CHECK_OK_ERR(mn_scan_open(store, mn_str("n"), &o, &scan, &err), &err);
    return scan;
}

/* What a scan gave: how often each number, and in how many chunks. */
struct given {
    int times[N];
    size_t n_chunks;
    size_t n_vectors;
    size_t most; /* vectors of a chunk */
    size_t n_damaged;
};

static void note_chunk(struct given *g, const float *vectors, size_t n_vectors)
{
    g->n_chunks++;
    g->n_vectors += n_vectors;
    g->most = n_vectors > g->most ? n_vectors : g->most;
    for (size_t i = 0; i < n_vectors; i++) {
        const float *v = vectors + i * N_DIMS;
        CHECK(v[0] >= 0 && v[0] < N && v[2] == v[0] && v[1] == -1 && v[3] == 2);
        g->times[(int)v[0]]++;
    }
}

/* Each id is that of its vector, too. */
static void check_ids(mn_scan *scan, const struct mn_scan_chunk *chunk)
{
    for (size_t i = 0; i < chunk->n_vectors; i++) {
        struct mn_view view;
        const float *v = chunk->vectors + i * N_DIMS;
        CHECK_OK_ERR(mn_scan_view(scan, i, &view, &err), &err);
        CHECK_MEM_EQ(view.id.data, key((int)v[0]).data, 5);
        CHECK(view.vector == v && view.n_dims == N_DIMS);
        mn_view_release(&view);
    }
}

static struct given finish(mn_scan *scan)
{
    struct given g = {.n_chunks = 0};
    struct mn_scan_chunk chunk;
    mn_status st;

    while ((st = mn_scan_next(scan, &chunk, &err)) == MN_OK || st == MN_ERR_CORRUPT) {
        if (st == MN_ERR_CORRUPT) {
            CHECK_STR_HAS(err.message, ".seg");
            CHECK(chunk.vectors == NULL && chunk.n_vectors == 0);
            CHECK(++g.n_damaged <= N);
            continue;
        }
        CHECK_EQ(chunk.n_dims, N_DIMS);
        note_chunk(&g, chunk.vectors, chunk.n_vectors);
        check_ids(scan, &chunk);
    }
    CHECK_STATUS(st, MN_END);
    mn_scan_close(scan);
    return g;
}

static struct given scan_all(void)
{
    return finish(scan_of(0));
}

static void vectors_that_lie_side_by_side_are_one_chunk(void)
{
    begin();
    put_some(0, 200, 1);
    checkpoint();
    struct given g = scan_all();
    CHECK_EQ(g.n_vectors, 200);
    CHECK_EQ(g.n_chunks, 1);
    g = finish(scan_of(7));
    CHECK_EQ(g.n_vectors, 200);
    CHECK_EQ(g.most, 7);
    CHECK_EQ(g.n_chunks, 29);
    for (int i = 0; i < N; i++)
        CHECK_EQ(g.times[i], i < 200);
    end();
}

static void buffer_and_segments_are_scanned_and_the_dead_left_out(void)
{
    begin();
    put_some(0, 130, 1);
    checkpoint();
    put_some(130, 260, 1);
    checkpoint();
    put_some(260, N, 1);
    put_some(0, 260, 26); /* overwritten: these are in the buffer now */
    for (int i = 5; i < N; i += 10)
        remove_at(i);
    struct given g = scan_all();
    for (int i = 0; i < N; i++)
        CHECK_EQ(g.times[i], i % 10 != 5);
    checkpoint();
    g = scan_all();
    for (int i = 0; i < N; i++)
        CHECK_EQ(g.times[i], i % 10 != 5);
    end();
}

static void records_without_vectors_are_passed(void)
{
    begin();
    for (int i = 0; i < N; i++)
        put_at(i, i % 3 == 0 ? N_DIMS : 0, 0, 0);
    for (int part = 0; part < 2; part++) {
        struct given g = scan_all();
        for (int i = 0; i < N; i++)
            CHECK_EQ(g.times[i], i % 3 == 0);
        checkpoint();
    }
    remove_at(30);
    CHECK_EQ(scan_all().n_vectors, 99);
    end();
}

static void a_namespace_without_vectors_gives_none(void)
{
    begin();
    put_at(1, 0, 0, 0);
    CHECK_EQ(scan_all().n_chunks, 0);
    checkpoint();
    CHECK_EQ(scan_all().n_chunks, 0);
    remove_at(1);
    checkpoint();
    CHECK_EQ(scan_all().n_chunks, 0);
    end();
}

/* A third of the records lies in each of two segments and the buffer. */
static void fill_three_places(void)
{
    put_some(0, N, 3);
    checkpoint();
    put_some(1, N, 3);
    checkpoint();
    put_some(2, N, 3);
}

static void a_scan_shows_the_moment_at_which_it_was_opened(void)
{
    begin();
    fill_three_places();
    mn_scan *scan = scan_of(5);
    for (int i = 0; i < N; i += 2)
        remove_at(i);
    put_some(1, N, 4);
    checkpoint();
    for (int i = 0; i < N; i += 5)
        put_at(i, N_DIMS, 0, 0);
    checkpoint();
    struct given g = finish(scan);
    for (int i = 0; i < N; i++)
        CHECK_EQ(g.times[i], 1);
    g = scan_all();
    for (int i = 0; i < N; i++)
        CHECK_EQ(g.times[i], i % 2 == 1 || i % 5 == 0);
    end();
}

static void a_dropped_namespace_goes_on_being_scanned(void)
{
    begin();
    fill_three_places();
    mn_scan *scan = scan_of(0);
    mn_scan *none = NULL;
    CHECK_OK(mn_namespace_drop(store, mn_str("n"), NULL, NULL));
    CHECK_STATUS(mn_scan_open(store, mn_str("n"), NULL, &none, &err), MN_NOT_FOUND);
    CHECK(none == NULL);
    put_at(0, N_DIMS, 0, 0);
    checkpoint();
    CHECK_EQ(finish(scan).n_vectors, N);
    CHECK_EQ(scan_all().n_vectors, 1);
    end();
}

/* The same in the buffer and in a segment. */
static void expired_records_are_never_given(void)
{
    for (int in_segment = 0; in_segment < 2; in_segment++) {
        begin();
        for (int i = 0; i < N; i++)
            put_at(i, N_DIMS, i % 3 == 0 ? MN_HAS_TTL : 0, i % 2 == 0 ? DAY_US : 3 * DAY_US);
        if (in_segment != 0)
            checkpoint();
        CHECK_EQ(scan_all().n_vectors, N);
        mn_scan *before = scan_of(0);
        mni_crash_env_advance_us(crash, 2 * DAY_US);
        mn_scan *between = scan_of(0);
        mni_crash_env_advance_us(crash, 2 * DAY_US);
        uint64_t n = 0;
        CHECK_OK(mn_count(store, mn_str("n"), &n, NULL)); /* lapses them */
        CHECK_EQ(n, 200);
        CHECK_EQ(finish(before).n_vectors, N);
        struct given g = finish(between);
        for (int i = 0; i < N; i++)
            CHECK_EQ(g.times[i], i % 6 != 0);
        g = scan_all();
        for (int i = 0; i < N; i++)
            CHECK_EQ(g.times[i], i % 3 != 0);
        end();
    }
}

static void touches_decide_what_has_expired(void)
{
    begin();
    for (int i = 0; i < 60; i++)
        put_at(i, N_DIMS, i % 2 == 0 ? MN_HAS_TTL : 0, DAY_US);
    checkpoint();
    for (int i = 0; i < 60; i += 5)
        touch_at(i, 0, 0); /* never expires */
    for (int i = 1; i < 60; i += 5)
        touch_at(i, MN_HAS_TTL, DAY_US);
    mni_crash_env_advance_us(crash, 2 * DAY_US);
    for (int part = 0; part < 2; part++) {
        struct given g = scan_all();
        for (int i = 0; i < 60; i++)
            CHECK_EQ(g.times[i], i % 5 == 0 || (i % 5 != 1 && i % 2 == 1));
        checkpoint();
    }
    end();
}

/* What happens to expiries and rows after a scan was opened is not for it. */
static void later_touches_sweeps_and_deletes_change_nothing(void)
{
    begin();
    for (int i = 0; i < 60; i++)
        put_at(i, N_DIMS, i % 2 == 0 ? MN_HAS_TTL : 0, DAY_US);
    checkpoint();
    touch_at(1, MN_HAS_TTL, DAY_US);
    touch_at(2, 0, 0);
    mn_scan *early = scan_of(0);
    for (int i = 3; i < 30; i++)
        touch_at(i, i % 3 == 0 ? 0 : MN_HAS_EXPIRES_AT, 0);
    touch_at(1, 0, 0);
    touch_at(2, MN_HAS_TTL, 1000);
    mni_crash_env_advance_us(crash, 2 * DAY_US);
    mn_scan *late = scan_of(0);
    for (int i = 31; i < 60; i += 2)
        remove_at(i);
    CHECK_OK(mn_sweep(store, NULL, NULL));
    checkpoint();
    CHECK_EQ(finish(early).n_vectors, 60);
    struct given g = finish(late);
    for (int i = 0; i < 60; i++)
        CHECK_EQ(g.times[i], i == 1 || (i >= 3 && i < 30 && i % 3 == 0) || (i >= 30 && i % 2 == 1));
    end();
}

/* Dead and expired at once, with a view from before either. */
static void a_row_that_died_after_it_expired_is_judged_by_its_header(void)
{
    begin();
    for (int i = 0; i < 40; i++)
        put_at(i, N_DIMS, MN_HAS_TTL, i < 20 ? DAY_US : 5 * DAY_US);
    checkpoint();
    touch_at(4, 0, 0);
    mni_crash_env_advance_us(crash, 2 * DAY_US);
    mn_scan *scan = scan_of(0);
    for (int i = 0; i < 40; i += 2)
        put_at(i, N_DIMS, 0, 0);
    struct given g = finish(scan);
    for (int i = 0; i < 40; i++)
        CHECK_EQ(g.times[i], i >= 20 || i == 4);
    end();
}

/* Of the engine: readers share a scan, and none gets what another has. */
static void readers_share_a_scan(void)
{
    struct mni_scan *scan = NULL;
    struct mni_scan_reader *readers[3];
    struct mni_collection c;
    struct given g = {.n_chunks = 0};
    size_t n_given[3] = {0};

    begin();
    fill_three_places();
    CHECK_OK(mni_scan_open(mni_api_store_engine(store), &scan, &err));
    CHECK_OK(mni_view_collection(mni_scan_view(scan), MNI_KIND_NAMESPACE, mn_str("n"), &c, &err));
    CHECK_OK(mni_scan_start(scan, c.number, NULL, &err));
    for (int i = 0; i < 3; i++)
        CHECK_OK(mni_scan_reader_new(scan, 10, &readers[i], &err));
    for (int n_ended = 0, i = 0; n_ended < 3; i = (i + 1) % 3) {
        struct mni_scan_chunk chunk;
        mn_status st = mni_scan_next(readers[i], &chunk, &err);
        n_ended = st == MN_END ? n_ended + 1 : 0;
        if (st == MN_END)
            continue;
        CHECK_OK_ERR(st, &err);
        note_chunk(&g, chunk.vectors, chunk.n_vectors);
        n_given[i] += chunk.n_vectors;
    }
    for (int i = 0; i < 3; i++) {
        CHECK(n_given[i] > 0);
        mni_scan_reader_free(readers[i]);
    }
    mni_scan_close(scan);
    for (int i = 0; i < N; i++)
        CHECK_EQ(g.times[i], 1);
    end();
}

static void a_scan_that_is_left_early_holds_nothing(void)
{
    struct mn_scan_chunk chunk;

    begin();
    fill_three_places();
    for (int n = 0; n < 120; n++) {
        mn_scan *scan = scan_of(3);
        for (int i = 0; i < n; i++)
            CHECK_OK(mn_scan_next(scan, &chunk, NULL));
        CHECK_STATUS(mn_close(store, NULL), MN_ERR_BUSY);
        mn_scan_close(scan);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
    }
    end();
}

static void wrong_arguments_are_refused(void)
{
    struct mn_scan_options o = {.size = 1};
    struct mn_scan_chunk chunk;
    struct mn_view view;
    mn_scan *scan = NULL;

    begin();
    put_some(0, 3, 1);
    CHECK_STATUS(mn_scan_open(NULL, mn_str("n"), NULL, &scan, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_scan_open(store, mn_str(""), NULL, &scan, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_scan_open(store, mn_str("n"), &o, &scan, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_scan_open(store, mn_str("n"), NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_scan_open(store, mn_str("m"), NULL, &scan, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_scan_next(NULL, &chunk, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_scan_view(NULL, 0, &view, &err), MN_ERR_INVALID);
    CHECK(scan == NULL);
    mn_scan_close(NULL);
    scan = scan_of(0);
    CHECK_STATUS(mn_scan_next(scan, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_scan_view(scan, 0, &view, &err), MN_ERR_INVALID);
    CHECK_OK(mn_scan_next(scan, &chunk, &err));
    CHECK_STATUS(mn_scan_view(scan, 0, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_scan_view(scan, chunk.n_vectors, &view, &err), MN_ERR_INVALID);
    CHECK(view.pin == NULL);
    (void)finish(scan);
    end();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(vectors_that_lie_side_by_side_are_one_chunk),
        CHECK_TEST(buffer_and_segments_are_scanned_and_the_dead_left_out),
        CHECK_TEST(records_without_vectors_are_passed),
        CHECK_TEST(a_namespace_without_vectors_gives_none),
        CHECK_TEST(a_scan_shows_the_moment_at_which_it_was_opened),
        CHECK_TEST(a_dropped_namespace_goes_on_being_scanned),
        CHECK_TEST(expired_records_are_never_given),
        CHECK_TEST(touches_decide_what_has_expired),
        CHECK_TEST(later_touches_sweeps_and_deletes_change_nothing),
        CHECK_TEST(a_row_that_died_after_it_expired_is_judged_by_its_header),
        CHECK_TEST(readers_share_a_scan),
        CHECK_TEST(a_scan_that_is_left_early_holds_nothing),
        CHECK_TEST(wrong_arguments_are_refused),
    };

    return check_run("engine.scan", tests, CHECK_COUNT(tests), argc, argv);
}
