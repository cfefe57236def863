/*
 * bench_segments_jobs.c - how long a commit takes while a checkpoint and a merge run, and how long
 * it takes to drop a namespace.
 *
 * Owns:    one store at a time, in a child process.
 * Threads: the writer, and one that asks for the checkpoint.
 * Fails:   by ending the program with a message.
 *
 * Commits come at a fixed pace. One that is late because the one before it took long has waited
 * since its time came; the time by which the system wakes the writer too late does not count.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "bench_segments.h"
#include "child.h"
#include "mneme_fill.h"

enum {
    COMMITS_PER_SECOND = 2000,
    QUIET_COMMITS = 8000,
    WARM_UP_COMMITS = 1000,
    COMMITS_MAX = 400000, /* 200 seconds */
    /* Eight runs, and a buffer that becomes the ninth: one more than there may be. */
    N_RUNS = 8,
    RUN_RECORDS = 10000,
    BUFFER_RECORDS = 90000,
    FILL_BATCH_RECORDS = 100,
    TIMER_SLACK_NS = 1000,
};

struct job {
    char path[BENCH_PATH_BYTES];
    const struct bench_options *options;
    const struct shape *shape; /* of what is dropped */
    bool is_quiet;
};

struct paced {
    mn_store *store;      /* borrowed */
    const float *vectors; /* borrowed */
    uint64_t next_index;
    double *latencies; /* owned, in seconds */
    size_t n;
    atomic_bool is_over; /* the checkpoint has ended */
};

static void fill(mn_store *store, const float *vectors, size_t n_dims, uint64_t *next_index,
                 size_t n_records)
{
    mneme_put_range(store, &(const struct mneme_fill){.first_index = *next_index,
                                                      .n_records = n_records,
                                                      .records_per_commit = FILL_BATCH_RECORDS,
                                                      .vectors = vectors,
                                                      .n_vectors = SEGMENTS_POOL_VECTORS,
                                                      .n_dims = (uint32_t)n_dims,
                                                      .ack = MN_ACK_OS});
    *next_index += n_records;
}

static void checkpoint(mn_store *store)
{
    struct mn_error err;
    mneme_must(mn_checkpoint(store, &err), "checkpoint", &err);
}

static mn_store *create_store(const struct job *job)
{
    struct mn_options options = {.size = sizeof options, .create = true};
    struct mn_error err;
    mn_store *store = NULL;

    mneme_must(mn_open(job->path, &options, &store, &err), "open", &err);
    return store;
}

/* Paced commits ---------------------------------------------------------------------------------
 */

static void sleep_until(double when)
{
    struct timespec at = {.tv_sec = (time_t)when,
                          .tv_nsec = (long)((when - (double)(time_t)when) * 1e9)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void commit_one(struct paced *p)
{
    struct mn_write_options options = {.size = sizeof options, .ack = MN_ACK_DISK};
    struct mn_error err;
    char id[BENCH_ID_BYTES];
    struct mn_record record = {.id = {id, sizeof id},
                               .vector = p->vectors +
                                         p->next_index % SEGMENTS_POOL_VECTORS * BENCH_DIMENSIONS,
                               .n_dims = BENCH_DIMENSIONS};

    bench_id(p->next_index++, id);
    mneme_must(mn_put(p->store, mneme_namespace(), &record, &options, NULL, &err), "put", &err);
}

/* Commits until there are `n_max` of them, or the checkpoint has ended. */
static void commit_at_pace(struct paced *p, size_t n_max)
{
    double due = bench_now();

    p->n = 0;
    while (p->n < n_max && !atomic_load(&p->is_over)) {
        double start = bench_now();
        if (start < due) {
            sleep_until(due);
            start = bench_now();
        } else {
            start = due;
        }
        commit_one(p);
        p->latencies[p->n++] = bench_now() - start;
        due += 1.0 / COMMITS_PER_SECOND;
    }
}

static void *run_checkpoint(void *context)
{
    struct paced *p = context;

    checkpoint(p->store);
    atomic_store(&p->is_over, true);
    return NULL;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* In microseconds. */
static double percentile_99(struct paced *p)
{
    qsort(p->latencies, p->n, sizeof *p->latencies, compare_doubles);
    return p->latencies[p->n - 1 - (p->n - 1) / 100] * 1e6;
}

static double measure_commits(struct paced *p, const struct job *job)
{
    pthread_t thread;

    commit_at_pace(p, bench_scaled(job->options, WARM_UP_COMMITS));
    if (job->is_quiet) {
        commit_at_pace(p, bench_scaled(job->options, QUIET_COMMITS));
        return percentile_99(p);
    }
    if (pthread_create(&thread, NULL, run_checkpoint, p) != 0)
        bench_die("cannot start a thread");
    commit_at_pace(p, COMMITS_MAX);
    pthread_join(thread, NULL);
    return percentile_99(p);
}

static double commit_beside_jobs(void *context)
{
    const struct job *job = context;
    float *vectors = bench_vectors(SEGMENTS_POOL_VECTORS, BENCH_DIMENSIONS);
    struct paced p = {.vectors = vectors};
    struct mn_error err;

    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    p.store = create_store(job);
    mneme_stop_checkpoints(p.store);
    for (size_t i = 0; i < N_RUNS; i++) {
        fill(p.store, vectors, BENCH_DIMENSIONS, &p.next_index,
             bench_scaled(job->options, RUN_RECORDS));
        checkpoint(p.store);
    }
    fill(p.store, vectors, BENCH_DIMENSIONS, &p.next_index,
         bench_scaled(job->options, BUFFER_RECORDS));
    mneme_must(mn_flush(p.store, &err), "flush", &err);
    bench_settle(job->options);
    p.latencies = bench_alloc(COMMITS_MAX * sizeof *p.latencies);
    double result = measure_commits(&p, job);
    mneme_must(mn_close(p.store, &err), "close", &err);
    free(p.latencies);
    free(vectors);
    return result;
}

static double measure_paced(const struct bench_options *options, const struct bench_contender *self,
                            void *state)
{
    const bool *is_quiet = self->context;
    struct job *job = bench_alloc(sizeof *job);

    (void)state;
    job->options = options;
    job->is_quiet = *is_quiet;
    bench_dir_make(options, self->name, job->path);
    bench_settle(options);
    double result = bench_in_child(commit_beside_jobs, job, 0);
    bench_dir_remove(options, self->name);
    free(job);
    return result;
}

void run_paced(const struct bench_options *options)
{
    static const bool yes = true;
    static const bool no = false;
    static const struct bench_target target = {
        .of = "mneme", .against = "mneme-quiet", .bound = 5.0, .is_upper_bound = true};
    const struct bench_contender contenders[] = {
        {.name = "mneme",
         .settings = "MN_ACK_DISK, 2,000 commits/s of one record; while mn_checkpoint writes out "
                     "278 MB and merges 5 runs",
         .context = &no,
         .measure = measure_paced},
        {.name = "mneme-quiet",
         .settings = "the same; " MNEME_NO_CHECKPOINTS,
         .context = &yes,
         .measure = measure_paced},
    };

    bench_run(options, &(struct bench_case){.name = "commit-p99",
                                            .title = "99th percentile of paced durable commits",
                                            .unit = "us",
                                            .contenders = contenders,
                                            .n_contenders = 2,
                                            .targets = &target,
                                            .n_targets = 1});
}

/* Dropping --------------------------------------------------------------------------------------
 */

static double drop_all(void *context)
{
    const struct job *job = context;
    float *vectors = bench_vectors(SEGMENTS_POOL_VECTORS, job->shape->n_dims);
    mn_store *store = create_store(job);
    struct mn_error err;
    uint64_t next_index = 0;

    fill(store, vectors, job->shape->n_dims, &next_index,
         bench_scaled(job->options, job->shape->n_records));
    checkpoint(store);
    double start = bench_now();
    mneme_must(mn_namespace_drop(store, mneme_namespace(), NULL, &err), "drop", &err);
    double elapsed = bench_now() - start;
    mneme_must(mn_close(store, &err), "close", &err);
    free(vectors);
    return elapsed * 1e3;
}

static double measure_drop(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    struct job *job = bench_alloc(sizeof *job);

    (void)state;
    job->options = options;
    job->shape = self->context;
    bench_dir_make(options, self->name, job->path);
    double result = bench_in_child(drop_all, job, 0);
    bench_dir_remove(options, self->name);
    free(job);
    return result;
}

void run_drop(const struct bench_options *options, const struct shape *shape)
{
    static const struct bench_target target = {.of = "mneme", .bound = 50, .is_upper_bound = true};
    const struct bench_contender contender = {.name = "mneme",
                                              .settings = "defaults; after a checkpoint; synced",
                                              .context = shape,
                                              .measure = measure_drop};
    struct segments_names names = segments_names("drop", "drop of a namespace", shape);

    bench_run(options, &(struct bench_case){.name = names.name,
                                            .title = names.title,
                                            .unit = "ms",
                                            .contenders = &contender,
                                            .n_contenders = 1,
                                            .targets = &target,
                                            .n_targets = 1});
}
