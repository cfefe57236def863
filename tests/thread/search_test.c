/*
 * search_test.c - searches of two threads each, beside writers, checkpoints and merges: each shows
 * one moment, every score is that of the vector it comes with, and none of the best is missing.
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
    N_CHECKPOINTS = 12, /* more than there may be runs of segments: some are merged */
    LIMIT = 20,
    N_QUERIES = 3,
    BATCH = 50,
};

static mn_store *store;
static atomic_bool is_over;
static atomic_int n_checkpoints;

struct worker {
    struct mni_thread thread;
    uint64_t random;
    const char *failure; /* the first thing that went wrong; NULL = nothing */
};

static void make_vector(uint64_t *random, float *vector)
{
    float centre = (float)check_below(random, 5);

    for (int i = 0; i < N_DIMS; i++)
        vector[i] = sinf(centre * (float)i) + (float)check_below(random, 1000) / 4000;
}

/* The vector of a record in a version of its batch. */
static void vector_of(uint64_t version, int id, float *vector)
{
    uint64_t random = version * N_IDS + (uint64_t)id + 1;

    make_vector(&random, vector);
}

/* A whole batch carries one version, in its payloads. */
static mn_status put_batch(int first)
{
    static _Atomic uint64_t versions;
    uint64_t version = atomic_fetch_add(&versions, 1);
    float vectors[BATCH][N_DIMS];
    char ids[BATCH][8];
    struct mn_record records[BATCH];

    for (int i = 0; i < BATCH; i++) {
        vector_of(version, first + i, vectors[i]);
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
        if (put_batch(BATCH * (int)check_below(&w->random, N_IDS / BATCH)) != MN_OK)
            w->failure = "a put failed";
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

static float score_of(const float *query, const float *vector)
{
    float raw;

    mni_kernels()->l2_f32(query, 1, vector, 1, N_DIMS, &raw);
    return -raw;
}

/* What a search found, as far as it tells the moment it shows. */
struct found {
    uint64_t versions[N_IDS / BATCH]; /* UINT64_MAX: nothing of the batch */
    bool has[N_QUERIES][N_IDS];
    float worst[N_QUERIES];
};

/* Versions of what was found, by batch: those of one batch are one. */
static const char *note_hit(struct found *found, const struct mn_search_hit *hit,
                            const float *queries)
{
    const struct mn_view *view = &hit->view;
    uint64_t version;
    unsigned id = 0;

    for (size_t i = 0; i < view->id.n_bytes; i++)
        id = id * 10 + (unsigned)(((const char *)view->id.data)[i] - '0');
    if (id >= N_IDS || hit->query >= N_QUERIES || view->n_dims != N_DIMS ||
        view->payload.n_bytes != sizeof version)
        return "a result is none of the records";
    if (found->has[hit->query][id])
        return "a record is found twice";
    if (hit->score != score_of(queries + hit->query * N_DIMS, view->vector))
        return "a score is not that of its vector";
    memcpy(&version, view->payload.data, sizeof version);
    if (found->versions[id / BATCH] == UINT64_MAX)
        found->versions[id / BATCH] = version;
    found->has[hit->query][id] = true;
    found->worst[hit->query] = hit->score;
    return found->versions[id / BATCH] == version ? NULL : "a search shows two moments";
}

/* Of the batches whose version is known all vectors are. */
static const char *look_for_missing(const struct found *found, const float *queries)
{
    float vector[N_DIMS];

    for (int id = 0; id < N_IDS; id++) {
        if (found->versions[id / BATCH] == UINT64_MAX)
            continue;
        vector_of(found->versions[id / BATCH], id, vector);
        for (size_t q = 0; q < N_QUERIES; q++)
            if (!found->has[q][id] && score_of(queries + q * N_DIMS, vector) > found->worst[q])
                return "one of the best is missing";
    }
    return NULL;
}

static const char *judge(mn_search *search, const float *queries)
{
    struct found found = {0};
    struct mn_search_hit hit;
    const char *failure = NULL;
    size_t n = 0;
    mn_status st;

    memset(found.versions, 0xFF, sizeof found.versions);
    while ((st = mn_search_next(search, &hit, NULL)) == MN_OK) {
        if (hit.query != n / LIMIT)
            failure = "a query has too few results";
        else if (n % LIMIT > 0 && hit.score > found.worst[hit.query])
            failure = "the best do not come first";
        else if (failure == NULL)
            failure = note_hit(&found, &hit, queries);
        n++;
        mn_view_release(&hit.view);
    }
    if (st != MN_END || n != (size_t)N_QUERIES * LIMIT)
        return "a search did not end well";
    return failure != NULL ? failure : look_for_missing(&found, queries);
}

static void search_all(void *context)
{
    struct worker *w = context;
    float queries[N_QUERIES * N_DIMS];

    for (int i = 0; w->failure == NULL; i++) {
        const struct mn_search_options o = {.size = sizeof o,
                                            .metric = MN_METRIC_L2,
                                            .n_threads = 2,
                                            .full_scan = check_below(&w->random, 4) == 0};
        mn_search *search = NULL;

        if (i >= N_SEARCHES && atomic_load(&n_checkpoints) >= N_CHECKPOINTS)
            return;
        for (int q = 0; q < N_QUERIES; q++)
            make_vector(&w->random, queries + (ptrdiff_t)q * N_DIMS);
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
        CHECK_OK(put_batch(first));
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
