/* Tests of what views hold, and of the budget for it. */
#include "io/crash.h"
#include "short.h"

enum { N_RECORDS = 512, PAYLOAD_BYTES = 4096, BUDGET = 1 << 20 };

static struct mn_error err;
static struct mn_view views[N_RECORDS];
static char payload[PAYLOAD_BYTES];

static struct mn_slice id_of(size_t i, char room[16])
{
    (void)snprintf(room, 16, "%05zu", i);
    return mn_str(room);
}

static void put_record(mn_store *store, size_t i)
{
    char room[16];
    struct mn_record record = {.id = id_of(i, room), .payload = bytes(payload, sizeof payload)};

    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
}

/* A store with records, twice as many as may be pinned; in segments, or not. */
static mn_store *filled(bool in_segments)
{
    mn_store *store = opened(check_temp_dir());

    CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
    CHECK_OK_ERR(mn_config_set(store, "pinned_bytes_max", "1048576", &err), &err);
    for (size_t i = 0; i < N_RECORDS; i++)
        put_record(store, i);
    if (in_segments)
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_EQ(stats_of(store).pinned_bytes, 0);
    CHECK_EQ(stats_of(store).pinned_bytes_max, BUDGET);
    return store;
}

static mn_status get(mn_store *store, size_t i, struct mn_view *view)
{
    char room[16];

    return mn_get(store, mn_str("n"), id_of(i, room), view, &err);
}

/* Pins until it is refused; returns how many. */
static size_t pin_all(mn_store *store)
{
    size_t n = 0;

    while (n < N_RECORDS && get(store, n, &views[n]) == MN_OK)
        n++;
    CHECK(n > BUDGET / PAYLOAD_BYTES / 2 && n <= BUDGET / PAYLOAD_BYTES);
    CHECK_EQ(err.status, MN_ERR_BUDGET);
    CHECK_STR_HAS(err.message, "pinned_bytes_max");
    CHECK(views[n].pin == NULL && views[n].payload.data == NULL);
    CHECK(stats_of(store).pinned_bytes <= BUDGET);
    CHECK(stats_of(store).pinned_bytes > BUDGET - 2 * PAYLOAD_BYTES);
    return n;
}

static void release(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        mn_view_release(&views[i]);
}

static void pins_beyond_the_budget_are_refused_and_come_back_after_a_release(void)
{
    for (int in_segments = 0; in_segments < 2; in_segments++) {
        mn_store *store = filled(in_segments);
        size_t n = pin_all(store);
        CHECK_STATUS(get(store, 0, &views[n]), MN_ERR_BUDGET);
        uint64_t pinned_bytes = stats_of(store).pinned_bytes;
        release(3, 4);
        CHECK(stats_of(store).pinned_bytes <= pinned_bytes - PAYLOAD_BYTES);
        CHECK_OK(get(store, n, &views[3]));
        CHECK_STATUS(get(store, n, &views[n]), MN_ERR_BUDGET);
        release(0, n);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        CHECK_EQ(pin_all(store), n);
        release(0, n);
        closed(store);
    }
}

static void writers_go_on_at_the_limit_and_views_stay_as_they_were(void)
{
    for (int in_segments = 0; in_segments < 2; in_segments++) {
        mn_store *store = filled(in_segments);
        char room[16];
        bool existed = false;
        bool exists = false;
        struct mn_txn *txn = NULL;
        size_t n = pin_all(store);
        memset(payload, 'x', sizeof payload);
        put_record(store, 0);
        CHECK_OK(mn_delete(store, mn_str("n"), id_of(1, room), NULL, &existed, NULL, &err));
        CHECK(existed);
        CHECK_OK(
            mn_touch(store, mn_str("n"), id_of(2, room), MN_HAS_TTL, 1000000000, NULL, NULL, &err));
        CHECK_OK(mn_exists(store, mn_str("n"), id_of(3, room), &exists, &err));
        CHECK(exists);
        CHECK_OK_ERR(mn_txn_begin(store, &txn, &err), &err);
        CHECK_OK_ERR(mn_txn_delete(txn, mn_str("n"), id_of(4, room), &existed, &err), &err);
        CHECK(existed);
        CHECK_OK_ERR(mn_txn_commit(txn, NULL, NULL, &err), &err);
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        CHECK_EQ(stats_of(store).n_records, N_RECORDS - 2);
        for (size_t i = 0; i < n; i++) {
            CHECK(((const char *)views[i].payload.data)[PAYLOAD_BYTES - 1] == '\0');
            CHECK(memcmp(views[i].id.data, id_of(i, room).data, 5) == 0);
        }
        memset(payload, 0, sizeof payload);
        release(0, n);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        closed(store);
    }
}

static void what_is_refused_of_many_leaves_no_view(void)
{
    struct mn_slice ids[N_RECORDS];
    static char rooms[N_RECORDS][16];

    for (int in_segments = 0; in_segments < 2; in_segments++) {
        mn_store *store = filled(in_segments);
        for (size_t i = 0; i < N_RECORDS; i++)
            ids[i] = id_of(i, rooms[i]);
        CHECK_STATUS(mn_get_batch(store, mn_str("n"), ids, N_RECORDS, views, NULL, &err),
                     MN_ERR_BUDGET);
        CHECK_STR_HAS(err.message, "pinned_bytes_max");
        for (size_t i = 0; i < N_RECORDS; i++)
            CHECK(views[i].pin == NULL);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        CHECK_OK(mn_get_batch(store, mn_str("n"), ids, N_RECORDS / 4, views, NULL, &err));
        release(0, N_RECORDS / 4);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        closed(store);
    }
}

/* All views are kept until one is refused; then they go, and the walk goes on with the next. */
static void a_walk_that_was_refused_goes_on_after_a_release(void)
{
    for (int in_segments = 0; in_segments < 2; in_segments++) {
        mn_store *store = filled(in_segments);
        mn_iter *iter = NULL;
        char room[16];
        size_t n = 0;
        size_t n_kept = 0;
        size_t n_refused = 0;
        mn_status st;
        CHECK_OK(mn_iter_open(store, mn_str("n"), NULL, &iter, &err));
        while ((st = mn_iter_next(iter, &views[n_kept], &err)) != MN_END) {
            if (st == MN_OK) {
                CHECK(memcmp(views[n_kept].id.data, id_of(n++, room).data, 5) == 0);
                n_kept++;
                continue;
            }
            CHECK_STATUS(st, MN_ERR_BUDGET);
            CHECK(n_kept > 0);
            n_refused++;
            release(0, n_kept);
            n_kept = 0;
        }
        CHECK_EQ(n, N_RECORDS);
        CHECK(n_refused > 1);
        mn_namespace_iter *names = NULL;
        struct mn_namespace_info info;
        CHECK_OK(mn_namespace_iter_open(store, mn_str(""), &names, &err));
        CHECK_OK(mn_namespace_iter_next(names, &info, &err));
        CHECK_STATUS(mn_namespace_iter_next(names, &info, &err), MN_END);
        mn_namespace_iter_close(names);
        release(0, n_kept);
        mn_iter_close(iter);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        closed(store);
    }
}

/* Records large enough that a few reads ahead would fill the budget, half of them in a segment. */
static void a_walk_whose_views_are_released_at_once_is_never_refused(void)
{
    enum { N = 48, LARGE_BYTES = 64 << 10 };
    static char large[LARGE_BYTES];

    for (int reverse = 0; reverse < 2; reverse++) {
        mn_store *store = opened(check_temp_dir());
        struct mn_iter_options options = {.size = sizeof options, .reverse = reverse};
        struct mn_view view;
        mn_iter *iter = NULL;
        char room[16];
        size_t n = 0;
        CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
        CHECK_OK_ERR(mn_config_set(store, "pinned_bytes_max", "1048576", &err), &err);
        for (size_t odd = 0; odd < 2; odd++) {
            for (size_t i = odd; i < N; i += 2) {
                struct mn_record record = {.id = id_of(i, room),
                                           .payload = bytes(large, sizeof large)};
                CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
            }
            if (odd == 0)
                CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        }
        CHECK_OK_ERR(mn_iter_open(store, mn_str("n"), &options, &iter, &err), &err);
        for (; n < N; n++) {
            CHECK_OK_ERR(mn_iter_next(iter, &view, &err), &err);
            CHECK(memcmp(view.id.data, id_of(reverse ? N - 1 - n : n, room).data, 5) == 0);
            mn_view_release(&view);
            CHECK_EQ(stats_of(store).pinned_bytes, 0);
        }
        CHECK_STATUS(mn_iter_next(iter, &view, &err), MN_END);
        mn_iter_close(iter);
        closed(store);
    }
}

static void a_pin_of_a_segment_counts_the_bytes_of_its_record(void)
{
    static char large[3 << 20];
    mn_store *store = opened(check_temp_dir());
    float vector[64] = {0};

    CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
    for (size_t n = 0; n <= sizeof large; n = n * 3 + 7) {
        struct mn_view view;
        struct mn_record record = {.id = mn_str("abc"),
                                   .vector = vector,
                                   .n_dims = 64,
                                   .metadata = mn_str("{}"),
                                   .payload = bytes(large, n)};
        CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        CHECK_OK(mn_get(store, mn_str("n"), mn_str("abc"), &view, &err));
        uint64_t exact = 3 + sizeof vector + 2 + n;
        uint64_t counted = stats_of(store).pinned_bytes;
        CHECK(counted >= exact && counted < exact + 32 + exact / 64);
        CHECK_EQ(view.payload.n_bytes, n);
        mn_view_release(&view);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
    }
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(pins_beyond_the_budget_are_refused_and_come_back_after_a_release),
        CHECK_TEST(writers_go_on_at_the_limit_and_views_stay_as_they_were),
        CHECK_TEST(what_is_refused_of_many_leaves_no_view),
        CHECK_TEST(a_walk_that_was_refused_goes_on_after_a_release),
        CHECK_TEST(a_walk_whose_views_are_released_at_once_is_never_refused),
        CHECK_TEST(a_pin_of_a_segment_counts_the_bytes_of_its_record),
    };

    return check_run("api.pins", tests, CHECK_COUNT(tests), argc, argv);
}
