/* Tests of searches: what is refused, what the options do, and how long results stay. */
#include <math.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "short.h"

enum { N_DIMS = 24, N_RECORDS = 300 };

static struct mn_error err;
static mn_store *store;
static struct mn_search_options options;
static float vectors[N_RECORDS][N_DIMS];

static void put_vector(const char *id, const float *vector, uint32_t n_dims)
{
    struct mn_record record = {.id = mn_str(id), .vector = vector, .n_dims = n_dims};

    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
}

static void begin(void)
{
    store = opened(check_temp_dir());
    options = (struct mn_search_options){.size = sizeof options};
    CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
}

/* Records 000 to 299: the first half in a segment, the rest not. */
static void begin_filled(void)
{
    uint64_t random = 7;
    char id[16];

    begin();
    for (int i = 0; i < N_RECORDS; i++) {
        for (int d = 0; d < N_DIMS; d++)
            vectors[i][d] = (float)check_below(&random, 2001) / 1000 - 1;
        (void)snprintf(id, sizeof id, "%03d", i);
        put_vector(id, vectors[i], N_DIMS);
        if (i == N_RECORDS / 2)
            CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    }
}

static mn_status try_search(const float *query, size_t n_queries, uint32_t n_dims, size_t limit)
{
    mn_search *search = NULL;
    mn_status st = mn_search_open(store, mn_str("n"), query, n_queries, n_dims, limit, &options,
                                  &search, &err);

    CHECK((st == MN_OK) == (search != NULL));
    mn_search_close(search);
    return st;
}

static mn_search *searched(const float *query, size_t n_queries, size_t limit)
{
    mn_search *search = NULL;

    CHECK_OK_ERR(mn_search_open(store, mn_str("n"), query, n_queries, N_DIMS, limit, &options,
                                &search, &err),
                 &err);
    return search;
}

static void check_next(mn_search *search, size_t query, const char *id)
{
    struct mn_search_hit hit;

    CHECK_OK_ERR(mn_search_next(search, &hit, &err), &err);
    CHECK_EQ(hit.query, query);
    CHECK_EQ(hit.view.id.n_bytes, strlen(id));
    CHECK_MEM_EQ(hit.view.id.data, id, strlen(id));
    mn_view_release(&hit.view);
}

static void check_end(mn_search *search)
{
    struct mn_search_hit hit = {.query = 3, .view.n_dims = 3};

    CHECK_STATUS(mn_search_next(search, &hit, &err), MN_END);
    CHECK(hit.query == 0 && hit.view.n_dims == 0 && hit.view.pin == NULL);
}

static struct mn_search_stats stats_of_search(mn_search *search)
{
    struct mn_search_stats stats = {.size = sizeof stats};

    CHECK_OK_ERR(mn_search_stats(search, &stats, &err), &err);
    return stats;
}

/* Refusals ---------- */

static void wrong_arguments_are_refused_and_named(void)
{
    float query[N_DIMS] = {1};
    mn_search *search = NULL;

    begin_filled();
    CHECK_STATUS(try_search(query, 1, N_DIMS - 1, 1), MN_ERR_DIMENSION);
    CHECK_STR_HAS(err.message, "query has 23 dimensions, namespace \"n\" has 24");
    CHECK_STATUS(try_search(query, 1, N_DIMS, 0), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "limit is 0");
    CHECK_STATUS(try_search(query, 0, N_DIMS, 1), MN_ERR_INVALID);
    CHECK_STATUS(try_search(query, 1, 0, 1), MN_ERR_INVALID);
    CHECK_STATUS(try_search(NULL, 1, N_DIMS, 1), MN_ERR_INVALID);
    CHECK_STATUS(try_search(query, 1, MN_DIMENSIONS_MAX + 1, 1), MN_ERR_LIMIT);
    CHECK_STATUS(try_search(query, MN_SEARCH_QUERIES_MAX + 1, N_DIMS, 1), MN_ERR_LIMIT);
    CHECK_STATUS(try_search(query, 1, N_DIMS, MN_SEARCH_RESULTS_MAX + 1), MN_ERR_LIMIT);
    CHECK_STATUS(try_search(query, 1000, N_DIMS, 2000), MN_ERR_LIMIT);
    options.offset = SIZE_MAX;
    CHECK_STATUS(try_search(query, 1, N_DIMS, 1), MN_ERR_LIMIT);
    options = (struct mn_search_options){.size = sizeof options, .metric = (mn_metric)4};
    CHECK_STATUS(try_search(query, 1, N_DIMS, 1), MN_ERR_INVALID);
    options =
        (struct mn_search_options){.size = sizeof options, .has_min_score = true, .min_score = NAN};
    CHECK_STATUS(try_search(query, 1, N_DIMS, 1), MN_ERR_INVALID);
    options = (struct mn_search_options){.size = sizeof options, .timeout_us = -1};
    CHECK_STATUS(try_search(query, 1, N_DIMS, 1), MN_ERR_INVALID);
    options = (struct mn_search_options){0};
    CHECK_STATUS(try_search(query, 1, N_DIMS, 1), MN_ERR_INVALID);
    query[5] = NAN;
    options.size = sizeof options;
    CHECK_STATUS(try_search(query, 1, N_DIMS, 1), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "element 5 of query 0 is NaN");
    query[5] = -INFINITY;
    CHECK_STATUS(try_search(query, 1, N_DIMS, 1), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "infinite");
    query[5] = 0;
    CHECK_STATUS(mn_search_open(store, mn_str("absent"), query, 1, N_DIMS, 1, NULL, &search, &err),
                 MN_NOT_FOUND);
    CHECK_STATUS(mn_search_open(store, mn_str("n"), query, 1, N_DIMS, 1, NULL, NULL, &err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_search_next(NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_search_stats(NULL, NULL, &err), MN_ERR_INVALID);
    mn_search_close(NULL);
    closed(store);
}

/* Says yes when it is asked as often as that. */
static bool count_down(void *context)
{
    return atomic_fetch_sub((atomic_int *)context, 1) <= 1;
}

static void a_search_can_be_cancelled_whenever_it_asks(void)
{
    float query[N_DIMS] = {1};

    begin_filled();
    options.is_cancelled = count_down;
    for (options.n_threads = 1; options.n_threads <= 2; options.n_threads++) {
        atomic_int n_left = 1;
        int n_asked = 1;
        mn_status st;

        options.cancel_context = &n_left;
        while ((st = try_search(query, 1, N_DIMS, 1)) == MN_ERR_CANCELLED)
            atomic_store(&n_left, ++n_asked);
        CHECK_OK_ERR(st, &err);
        CHECK(n_asked > 3); /* in the segment, and in the buffer several times */
        /* When all vectors are compared, too: the results of each query take their time. */
        atomic_store(&n_left, n_asked + 20);
        CHECK_STATUS(try_search(vectors[0], 40, N_DIMS, 1), MN_ERR_CANCELLED);
    }
    closed(store);
}

/* So that the clock has gone on by a microsecond. */
static bool wait_a_moment(void *context)
{
    const struct timespec moment = {.tv_nsec = 10000};

    (void)context;
    return nanosleep(&moment, NULL) != 0;
}

static bool count_up(void *context)
{
    ++*(int *)context;
    return false;
}

/* A buffer is put in order for the first search of it, which takes longer than the search. */
static void a_search_asks_while_the_buffer_is_put_in_order(void)
{
    enum { N = 6400 };
    static char ids[N][8];
    static struct mn_record records[N];
    const float vector[N_DIMS] = {1};
    int n_asked[2] = {0, 0};
    atomic_int n_left = 1;

    begin();
    for (int i = 0; i < N; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%04d", i * 7919 % N);
        records[i] = (struct mn_record){.id = mn_str(ids[i]), .vector = vector, .n_dims = N_DIMS};
    }
    CHECK_OK_ERR(mn_put_batch(store, mn_str("n"), records, N, NULL, NULL, NULL, &err), &err);
    options.is_cancelled = count_down;
    options.cancel_context = &n_left;
    CHECK_STATUS(try_search(vector, 1, N_DIMS, 1), MN_ERR_CANCELLED);
    options.is_cancelled = count_up;
    for (int i = 0; i < 2; i++) {
        options.cancel_context = &n_asked[i];
        CHECK_OK_ERR(try_search(vector, 1, N_DIMS, 1), &err);
    }
    CHECK(n_asked[0] > n_asked[1] + 20);
    closed(store);
}

static void a_search_has_a_deadline(void)
{
    float query[N_DIMS] = {1};

    begin_filled();
    options.timeout_us = INT64_MAX;
    CHECK_OK_ERR(try_search(query, 1, N_DIMS, 1), &err);
    options.is_cancelled = wait_a_moment;
    options.timeout_us = 1;
    CHECK_STATUS(try_search(query, 1, N_DIMS, 1), MN_ERR_TIMEOUT);
    closed(store);
}

static void a_namespace_without_vectors_has_no_results(void)
{
    const struct mn_record record = {.id = {"a", 1}};
    float query[N_DIMS] = {1};

    begin();
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
    mn_search *search = searched(query, 1, 10);
    check_end(search);
    CHECK_EQ(stats_of_search(search).n_results, 0);
    mn_search_close(search);
    closed(store);
}

/* Results ---------- */

static void the_nearest_of_a_record_is_the_record(void)
{
    begin_filled();
    for (int metric = MN_METRIC_COSINE; metric <= MN_METRIC_L2; metric++) {
        if (metric == MN_METRIC_DOT)
            continue;
        options.metric = (mn_metric)metric;
        for (int i = 0; i < N_RECORDS; i += 37) {
            char id[16];
            (void)snprintf(id, sizeof id, "%03d", i);
            mn_search *search = searched(vectors[i], 1, 1);
            check_next(search, 0, id);
            check_end(search);
            mn_search_close(search);
        }
    }
    closed(store);
}

/* The results of one way are those of another. */
static void check_same(mn_search *one, mn_search *other, size_t n)
{
    struct mn_search_hit a;
    struct mn_search_hit b;

    for (size_t i = 0; i < n; i++) {
        CHECK_OK_ERR(mn_search_next(one, &a, &err), &err);
        CHECK_OK_ERR(mn_search_next(other, &b, &err), &err);
        CHECK(a.score == b.score);
        CHECK_MEM_EQ(a.view.id.data, b.view.id.data, 3);
        mn_view_release(&a.view);
        mn_view_release(&b.view);
    }
}

static void offset_and_queries_in_one_call_give_the_same_results(void)
{
    begin_filled();
    mn_search *many = searched(vectors[0], 20, 7);
    for (size_t q = 0; q < 20; q++) {
        options.offset = 0;
        mn_search *one = searched(vectors[q], 1, 7);
        check_same(many, one, 7);
        check_end(one);
        mn_search_close(one);
    }
    check_end(many);
    CHECK_EQ(stats_of_search(many).n_results, 140);
    CHECK_EQ(stats_of_search(many).n_scanned, N_RECORDS);
    mn_search_close(many);
    mn_search *all = searched(vectors[3], 1, N_RECORDS + 1);
    for (options.offset = 0; options.offset < N_RECORDS; options.offset += 50) {
        mn_search *page = searched(vectors[3], 1, 50);
        check_same(all, page, 50);
        check_end(page);
        mn_search_close(page);
    }
    check_end(all);
    mn_search_close(all);
    options.offset = N_RECORDS;
    all = searched(vectors[3], 1, 1);
    check_end(all);
    mn_search_close(all);
    closed(store);
}

static void only_results_of_the_least_score_or_above(void)
{
    const float query[N_DIMS] = {1};
    const float one[N_DIMS] = {1};
    const float two[N_DIMS] = {2};
    const float minus[N_DIMS] = {-1};

    begin();
    put_vector("one", one, N_DIMS);
    put_vector("two", two, N_DIMS);
    put_vector("minus", minus, N_DIMS);
    for (int in_segment = 0; in_segment < 2; in_segment++) {
        options.metric = MN_METRIC_DOT;
        options.has_min_score = true;
        options.min_score = 1;
        mn_search *search = searched(query, 1, 10);
        check_next(search, 0, "two");
        check_next(search, 0, "one");
        check_end(search);
        mn_search_close(search);
        options.min_score = nextafterf(2, 3);
        search = searched(query, 1, 10);
        check_end(search);
        mn_search_close(search);
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    }
    closed(store);
}

static void equal_scores_stand_in_the_order_of_ids(void)
{
    const float query[N_DIMS] = {0}; /* every cosine is 0 */
    char id[16];

    begin();
    for (int i = 0; i < 200; i++) {
        const float vector[N_DIMS] = {(float)i, 1};
        (void)snprintf(id, sizeof id, "%03d", i * 77 % 200);
        put_vector(id, vector, N_DIMS);
        if (i % 60 == 59)
            CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    }
    mn_search *search = searched(query, 1, 100);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "%03d", i);
        check_next(search, 0, id);
    }
    check_end(search);
    mn_search_close(search);
    closed(store);
}

static void vectors_that_are_not_numbers_are_no_results_and_huge_ones_are(void)
{
    const float query[N_DIMS] = {1, 1};
    const float nan[N_DIMS] = {NAN};
    const float infinite[N_DIMS] = {INFINITY};
    const float both[N_DIMS] = {INFINITY, -INFINITY};
    const float huge[N_DIMS] = {3e38F};
    const float zero[N_DIMS] = {0};

    begin();
    put_vector("nan", nan, N_DIMS);
    put_vector("infinite", infinite, N_DIMS);
    put_vector("both", both, N_DIMS);
    put_vector("huge", huge, N_DIMS);
    put_vector("zero", zero, N_DIMS);
    for (int in_segment = 0; in_segment < 2; in_segment++) {
        options.metric = MN_METRIC_DOT;
        mn_search *search = searched(query, 1, 10);
        check_next(search, 0, "infinite");
        check_next(search, 0, "huge");
        check_next(search, 0, "zero");
        check_end(search);
        mn_search_close(search);
        options.metric = MN_METRIC_L2;
        search = searched(query, 1, 10);
        check_next(search, 0, "zero");
        check_next(search, 0, "both"); /* all three are infinitely far */
        check_next(search, 0, "huge");
        check_next(search, 0, "infinite");
        check_end(search);
        mn_search_close(search);
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    }
    closed(store);
}

/* Lives ---------- */

static void results_show_the_moment_of_the_search_and_outlive_it(void)
{
    struct mn_search_hit hit;

    begin_filled();
    mn_search *search = searched(vectors[9], 1, 3);
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    CHECK_OK_ERR(mn_namespace_drop(store, mn_str("n"), NULL, &err), &err);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK_ERR(mn_search_next(search, &hit, &err), &err);
    mn_search_close(search);
    CHECK_MEM_EQ(hit.view.id.data, "009", 3);
    CHECK_MEM_EQ(hit.view.vector, vectors[9], sizeof vectors[9]);
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    mn_view_release(&hit.view);
    closed(store);
}

static void a_result_beyond_the_budget_comes_again(void)
{
    static char payload[1 << 20];
    const float vector[N_DIMS] = {1};
    struct mn_search_hit hit;
    struct mn_view view;
    struct mn_record record = {.id = {"a", 1},
                               .vector = vector,
                               .n_dims = N_DIMS,
                               .payload = bytes(payload, sizeof payload - 4096)};

    begin();
    CHECK_OK_ERR(mn_config_set(store, "pinned_bytes_max", "1048576", &err), &err);
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
    CHECK_OK_ERR(mn_get(store, mn_str("n"), mn_str("a"), &view, &err), &err);
    mn_search *search = searched(vector, 1, 3);
    CHECK_STATUS(mn_search_next(search, &hit, &err), MN_ERR_BUDGET);
    CHECK(hit.view.pin == NULL);
    mn_view_release(&view);
    check_next(search, 0, "a");
    check_end(search);
    mn_search_close(search);
    closed(store);
}

static void a_child_is_refused(void)
{
    begin_filled();
    mn_search *search = searched(vectors[0], 1, 3);
    pid_t child = fork();
    if (child == 0) {
        struct mn_search_hit hit;
        bool is_fine = mn_search_next(search, &hit, NULL) == MN_ERR_FORKED;
        mn_search_close(search);
        _exit(is_fine ? 0 : 1);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    mn_search_close(search);
    closed(store);
}

static bool see_work(void *context)
{
    *(uint64_t *)context = stats_of(store).memory_work_bytes;
    return false;
}

static void memory_of_a_search_counts_until_it_is_closed(void)
{
    uint64_t during = 0;

    begin_filled();
    uint64_t before = stats_of(store).memory_work_bytes;
    options.is_cancelled = see_work;
    options.cancel_context = &during;
    mn_search *search = searched(vectors[0], 4, 1000);
    CHECK(during >= before + 4 * 1000 * 24);
    /* What is left are the results that there are. */
    uint64_t after = stats_of(store).memory_work_bytes;
    CHECK(after >= before + 4 * N_RECORDS * 24);
    CHECK(after < before + 4 * 1000 * 24);
    mn_search_close(search);
    CHECK_EQ(stats_of(store).memory_work_bytes, before);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(wrong_arguments_are_refused_and_named),
        CHECK_TEST(a_search_can_be_cancelled_whenever_it_asks),
        CHECK_TEST(a_search_asks_while_the_buffer_is_put_in_order),
        CHECK_TEST(a_search_has_a_deadline),
        CHECK_TEST(a_namespace_without_vectors_has_no_results),
        CHECK_TEST(the_nearest_of_a_record_is_the_record),
        CHECK_TEST(offset_and_queries_in_one_call_give_the_same_results),
        CHECK_TEST(only_results_of_the_least_score_or_above),
        CHECK_TEST(equal_scores_stand_in_the_order_of_ids),
        CHECK_TEST(vectors_that_are_not_numbers_are_no_results_and_huge_ones_are),
        CHECK_TEST(results_show_the_moment_of_the_search_and_outlive_it),
        CHECK_TEST(a_result_beyond_the_budget_comes_again),
        CHECK_TEST(a_child_is_refused),
        CHECK_TEST(memory_of_a_search_counts_until_it_is_closed),
    };

    return check_run("api.search", tests, CHECK_COUNT(tests), argc, argv);
}
