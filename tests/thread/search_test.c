/*
 * search_test.c - searches of two threads each, beside writers, checkpoints and merges: each shows
 * one moment, and every score is that of the vector it comes with.
 */
#include <math.h>
#include <stdio.h>

#include "check.h"
#include "io/thread.h"
#include "kernel/kernel.h"
#include "mneme/mneme.h"

enum {
    N_IDS = 1500,
    N_DIMS = 32,
    N_WRITERS = 2,
    N_SEARCHERS = 3,
    N_SEARCHES = 25,
    LIMIT = 20,
    N_QUERIES = 3,
    BATCH = 50,
};

static mn_store *store;
static atomic_bool is_over;

struct worker {
    struct mni_thread thread;
    uint64_t random;
    const char *failure; /* the first thing that went wrong; NULL = nothing */
};

static void random_vector(uint64_t *random, float *vector)
{
    float centre = (float)check_below(random, 5);

    for (int i = 0; i < N_DIMS; i++)
        vector[i] = sinf(centre * (float)i) + (float)check_below(random, 1000) / 4000;
}

/* A whole batch carries one version, in its payloads. */
static mn_status put_batch(uint64_t *random, int first)
{
    static _Atomic uint64_t versions;
    uint64_t version = atomic_fetch_add(&versions, 1);
    float vectors[BATCH][N_DIMS];
    char ids[BATCH][8];
    struct mn_record records[BATCH];

    for (int i = 0; i < BATCH; i++) {
        random_vector(random, vectors[i]);
        (void)snprintf(ids[i], sizeof ids[i], "%04d", first + i);
        records[i] = (struct mn_record){.id = mn_str(ids[i]),
                                        .vector = vectors[i],
                                        .n_dims = N_DIMS,
                                        .payload = {&version, sizeof version}};
    }
    return mn_put_batch(store, mn_str("n"), records, BATCH, NULL, NULL, NULL, NULL);
}

static void write_all(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&is_over) && w->failure == NULL)
        if (put_batch(&w->random, BATCH * (int)check_below(&w->random, N_IDS / BATCH)) != MN_OK)
            w->failure = "a put failed";
}

static void checkpoint_all(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&is_over) && w->failure == NULL)
        if (mn_checkpoint(store, NULL) != MN_OK)
            w->failure = "a checkpoint failed";
}

static bool has_score(const float *query, const struct mn_search_hit *hit)
{
    float raw;

    mni_kernels()->l2_f32(query, 1, hit->view.vector, 1, N_DIMS, &raw);
    return hit->view.n_dims == N_DIMS && hit->score == -raw;
}

/* Versions of what was found, by batch: those of one batch are one. */
static bool is_of_one_moment(uint64_t versions[N_IDS / BATCH], const struct mn_view *view)
{
    uint64_t version;
    unsigned id = 0;

    memcpy(&version, view->payload.data, sizeof version);
    for (size_t i = 0; i < view->id.n_bytes; i++)
        id = id * 10 + (unsigned)(((const char *)view->id.data)[i] - '0');
    if (id >= N_IDS)
        return false;
    if (versions[id / BATCH] == UINT64_MAX)
        versions[id / BATCH] = version;
    return versions[id / BATCH] == version;
}

static const char *judge(mn_search *search, const float *queries)
{
    uint64_t versions[N_IDS / BATCH];
    struct mn_search_hit hit;
    const char *failure = NULL;
    float last = 0;
    size_t n = 0;
    mn_status st;

    memset(versions, 0xFF, sizeof versions);
    while ((st = mn_search_next(search, &hit, NULL)) == MN_OK) {
        if (hit.query != n / LIMIT)
            failure = "a query has too few results";
        else if (n % LIMIT > 0 && hit.score > last)
            failure = "the best do not come first";
        else if (!has_score(queries + hit.query * N_DIMS, &hit))
            failure = "a score is not that of its vector";
        else if (!is_of_one_moment(versions, &hit.view))
            failure = "a search shows two moments";
        last = hit.score;
        n++;
        mn_view_release(&hit.view);
    }
    return st == MN_END && n == (size_t)N_QUERIES * LIMIT ? failure : "a search did not end well";
}

static void search_all(void *context)
{
    struct worker *w = context;
    float queries[N_QUERIES * N_DIMS];

    for (int i = 0; i < N_SEARCHES && w->failure == NULL; i++) {
        const struct mn_search_options o = {.size = sizeof o,
                                            .metric = MN_METRIC_L2,
                                            .n_threads = 2,
                                            .full_scan = check_below(&w->random, 4) == 0};
        mn_search *search = NULL;

        for (int q = 0; q < N_QUERIES; q++)
            random_vector(&w->random, queries + (ptrdiff_t)q * N_DIMS);
        if (mn_search_open(store, mn_str("n"), queries, N_QUERIES, N_DIMS, LIMIT, &o, &search,
                           NULL) != MN_OK) {
            w->failure = "a search failed";
            return;
        }
        w->failure = judge(search, queries);
        mn_search_close(search);
    }
}

static void start(struct worker *w, uint64_t seed, unsigned index, void (*run)(void *))
{
    *w = (struct worker){.random = seed + index * 77};
    CHECK_OK(mni_thread_start(&w->thread, run, w, NULL));
}

static void join(struct worker *w)
{
    mni_thread_join(&w->thread);
    CHECK_STR_HAS(w->failure != NULL ? w->failure : "none", "none");
}

static void searches_beside_writers_show_one_moment(void)
{
    static struct worker workers[N_SEARCHERS + N_WRITERS + 1];
    struct mn_options o = {.size = sizeof o, .create = true, .sync = MN_SYNC_MANUAL};
    uint64_t seed = check_seed();

    CHECK_OK(mn_open(check_temp_dir(), &o, &store, NULL));
    for (int first = 0; first < N_IDS; first += BATCH)
        CHECK_OK(put_batch(&seed, first));
    for (unsigned i = 0; i < N_SEARCHERS; i++)
        start(&workers[i], seed, i, search_all);
    for (unsigned i = 0; i < N_WRITERS; i++)
        start(&workers[N_SEARCHERS + i], seed, N_SEARCHERS + i, write_all);
    start(&workers[N_SEARCHERS + N_WRITERS], seed, N_SEARCHERS + N_WRITERS, checkpoint_all);
    for (unsigned i = 0; i < N_SEARCHERS; i++)
        join(&workers[i]);
    atomic_store(&is_over, true);
    for (unsigned i = N_SEARCHERS; i < N_SEARCHERS + N_WRITERS + 1; i++)
        join(&workers[i]);
    CHECK_OK(mn_close(store, NULL));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(searches_beside_writers_show_one_moment),
    };

    return check_run("thread.search", tests, CHECK_COUNT(tests), argc, argv);
}
