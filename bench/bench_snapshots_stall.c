/*
 * bench_snapshots_stall.c - how long writers wait for one commit while a snapshot is made.
 *
 * Owns:    one store at a time, in a child process.
 * Threads: the writers; the one that makes the snapshot.
 * Fails:   by ending the program with a message.
 *
 * The writers note when each commit began and how long it took. The quiet stretch is as long as the
 * snapshot took, and ends where that began. The snapshot finds a full buffer to be written out, so
 * no checkpoint of its own runs before.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "bench_snapshots.h"
#include "child.h"
#include "mneme_fill.h"

enum {
    N_WRITERS = 2,
    COMMITS_PER_SECOND = 500, /* of each writer */
    COMMITS_MAX = 50000,      /* likewise */
    BUFFER_RECORDS = 110000,  /* what checkpoint_bytes lets gather, about */
    QUIET_SECONDS = 5,
    TIMER_SLACK_NS = 1000,
    RECORD_BYTES = BENCH_ID_BYTES + SNAPSHOTS_DIMENSIONS * sizeof(float),
};

enum figure { FIGURE_DURING, FIGURE_QUIET, FIGURE_ABOVE, N_FIGURES };
static_assert((int)N_FIGURES <= (int)SNAPSHOTS_FIGURES_MAX, "they fit");

struct job {
    const struct bench_options *options;
    char store[BENCH_PATH_BYTES];
    char export[BENCH_PATH_BYTES];
    bool is_export;
    double figures[N_FIGURES];
};

struct commit {
    double start;
    double elapsed;
};

struct writer {
    pthread_t thread;
    mn_store *store;      /* borrowed */
    const float *vectors; /* likewise */
    uint64_t next_index;
    struct commit *commits; /* owned */
    size_t n;
    atomic_bool *is_over;
};

static void sleep_until(double when)
{
    struct timespec at = {.tv_sec = (time_t)when,
                          .tv_nsec = (long)((when - (double)(time_t)when) * 1e9)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void commit_one(struct writer *w)
{
    struct mn_write_options options = {.size = sizeof options, .ack = MN_ACK_DISK};
    struct mn_error err;
    char id[BENCH_ID_BYTES];
    struct mn_record record = {.id = {id, sizeof id},
                               .vector = w->vectors + w->next_index % SNAPSHOTS_POOL_VECTORS *
                                                          SNAPSHOTS_DIMENSIONS,
                               .n_dims = SNAPSHOTS_DIMENSIONS};

    bench_id(w->next_index, id);
    w->next_index += N_WRITERS;
    mneme_must(mn_put(w->store, mneme_namespace(), &record, &options, NULL, &err), "put", &err);
}

static void *write_at_pace(void *context)
{
    struct writer *w = context;
    double due = bench_now();

    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    while (!atomic_load(w->is_over) && w->n < COMMITS_MAX) {
        sleep_until(due);
        struct commit *commit = &w->commits[w->n++];
        commit->start = bench_now();
        commit_one(w);
        commit->elapsed = bench_now() - commit->start;
        due += 1.0 / COMMITS_PER_SECOND;
        if (due < commit->start)
            due = commit->start; /* what was late is not made up for */
    }
    return NULL;
}

/* The longest commit that was under way between two moments, in milliseconds. */
static double longest(const struct writer *writers, double from, double to)
{
    double most = 0;

    for (size_t i = 0; i < N_WRITERS; i++) {
        for (size_t j = 0; j < writers[i].n; j++) {
            const struct commit *c = &writers[i].commits[j];
            if (c->start < to && c->start + c->elapsed > from && c->elapsed > most)
                most = c->elapsed;
        }
    }
    return most * 1e3;
}

static void start_writers(struct writer *writers, mn_store *store, const float *vectors,
                          uint64_t first_index, atomic_bool *is_over)
{
    for (size_t i = 0; i < N_WRITERS; i++) {
        writers[i] = (struct writer){.store = store,
                                     .vectors = vectors,
                                     .next_index = first_index + i,
                                     .commits = bench_alloc(COMMITS_MAX * sizeof(struct commit)),
                                     .is_over = is_over};
        if (pthread_create(&writers[i].thread, NULL, write_at_pace, &writers[i]) != 0)
            bench_die("cannot start a thread");
    }
}

static double write_beside(void *context)
{
    struct job *job = context;
    float *vectors = bench_vectors(SNAPSHOTS_POOL_VECTORS, SNAPSHOTS_DIMENSIONS);
    size_t n_records = bench_scaled(job->options, SNAPSHOTS_RECORDS);
    size_t n_buffered = bench_scaled(job->options, BUFFER_RECORDS);
    struct mn_snapshot_info info;
    struct writer writers[N_WRITERS];
    atomic_bool is_over = false;
    struct mn_error err;

    bench_warm_memory(n_records * RECORD_BYTES);
    mn_store *store = snapshots_new_store(job->options, job->store, vectors);
    mneme_stop_checkpoints(store);
    snapshots_put(store, n_records, n_buffered, vectors);
    bench_settle(job->options);
    start_writers(writers, store, vectors, n_records + n_buffered, &is_over);
    sleep_until(bench_now() + QUIET_SECONDS);
    double start = bench_now();
    (void)snapshots_create(store, job->is_export ? job->export : NULL, false, &info);
    double end = bench_now();
    atomic_store(&is_over, true);
    for (size_t i = 0; i < N_WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    job->figures[FIGURE_DURING] = longest(writers, start, end);
    job->figures[FIGURE_QUIET] = longest(writers, start - (end - start), start);
    job->figures[FIGURE_ABOVE] = job->figures[FIGURE_DURING] - job->figures[FIGURE_QUIET];
    for (size_t i = 0; i < N_WRITERS; i++)
        free(writers[i].commits);
    mneme_must(mn_close(store, &err), "close", &err);
    free(vectors);
    return 0;
}

static void run(const struct bench_options *options, const struct runs *self, double *figures_out)
{
    struct bench_options other = *options;
    struct job *job = bench_shared_new(sizeof *job);
    char path[BENCH_PATH_BYTES];

    other.dir = options->other;
    job->options = options;
    job->is_export = *(const bool *)self->context;
    bench_dir_make(options, "stall", path);
    snapshots_path(path, "store", job->store);
    bench_dir_make(&other, "stall", path);
    snapshots_path(path, "export", job->export);
    bench_settle(options);
    bench_in_child(write_beside, job, 0);
    bench_dir_remove(options, "stall");
    bench_dir_remove(&other, "stall");
    memcpy(figures_out, job->figures, sizeof job->figures);
    bench_shared_free(job, sizeof *job);
}

static void run_stall(const struct bench_options *options, const bool *is_export,
                      const struct bench_case *bench_case)
{
    static const char *const names[] = {"mneme", "mneme-quiet", "mneme-above"};
    static const char *const settings[] = {
        "2 writers, 500 durable commits/s each, of one record; while a full snapshot writes out "
        "58 MB of buffer",
        "the same, just before, for as long", "the difference"};
    struct runs *runs = bench_alloc(sizeof *runs);
    struct asked asked[N_FIGURES];
    struct bench_contender contenders[N_FIGURES];
    struct bench_case filled = *bench_case;

    *runs = (struct runs){.run = run, .context = is_export};
    for (size_t i = 0; i < N_FIGURES; i++) {
        asked[i] = (struct asked){runs, i};
        contenders[i] = (struct bench_contender){.name = names[i],
                                                 .settings = settings[i],
                                                 .context = &asked[i],
                                                 .measure = snapshots_tell};
    }
    filled.contenders = contenders;
    filled.n_contenders = N_FIGURES;
    bench_run(options, &filled);
    free(runs);
}

void run_stalls(const struct bench_options *options)
{
    static const bool yes = true;
    static const bool no = false;
    static const struct bench_target target = {
        .of = "mneme-above", .bound = 20, .is_upper_bound = true};

    run_stall(options, &no,
              &(struct bench_case){.name = "snapshot-stall",
                                   .title = "longest commit while a snapshot is made in the pool",
                                   .unit = "ms",
                                   .targets = &target,
                                   .n_targets = 1});
    run_stall(options, &yes,
              &(struct bench_case){.name = "export-stall",
                                   .title = "longest commit while an export is made by copy",
                                   .unit = "ms"});
}
