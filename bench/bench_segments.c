/*
 * bench_segments.c - more data than the buffers hold: storing it, and the cases of the files beside
 * this one.
 *
 * Owns:    one database at a time, in a child process.
 * Threads: one writer; one that looks at the memory now and then.
 * Fails:   by ending the program with a message.
 *
 * Storing is measured until nothing is left to be done in the background. One run gives three
 * figures, which three cases report: records a second, bytes written to the device per byte stored,
 * and the most memory that was in use.
 */
#include "bench_segments.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "child.h"

enum {
    BATCH_RECORDS = 100,
    N_PEERS = 3,
    LOOK_NS = 20000000, /* between two looks at the memory */
    MEBIBYTE = 1 << 20,
};

const struct shape shape_128 = {"128", "1,000,000 records of 128 dimensions", 1000000, 128};
const struct shape shape_768 = {"768", "300,000 records of 768 dimensions", 300000, 768};

enum figure { FIGURE_RATE, FIGURE_WRITTEN, FIGURE_MEMORY, N_FIGURES };

/* One run, shared with the child that does it. */
struct job {
    char path[BENCH_PATH_BYTES];
    const struct peer *peer;
    struct bench_records records;
    double figures[N_FIGURES];
};

/* The rounds of a contender. Who asks for a figure that has not been measured has it measured. */
struct ingest {
    const struct peer *peer;
    const struct shape *shape;
    double figures[BENCH_ROUNDS_MAX][N_FIGURES];
    unsigned n_rounds;
    unsigned n_told[N_FIGURES];
};

/* Context of a contender of one case. */
struct asked {
    struct ingest *ingest;
    enum figure figure;
};

/* A thread that keeps the largest value it saw. */
struct watcher {
    pthread_t thread;
    atomic_bool is_over;
    double most_bytes;
};

struct bench_records segments_records(const struct bench_options *options,
                                      const struct shape *shape, const float *vectors)
{
    return (struct bench_records){.n_records = bench_scaled(options, shape->n_records),
                                  .vectors = vectors,
                                  .n_vectors = SEGMENTS_POOL_VECTORS,
                                  .n_dims = shape->n_dims};
}

struct segments_names segments_names(const char *stem, const char *what, const struct shape *shape)
{
    struct segments_names names;

    snprintf(names.name, sizeof names.name, "%s-%s", stem, shape->name);
    snprintf(names.title, sizeof names.title, "%s, %s", what, shape->title);
    return names;
}

static void *watch(void *context)
{
    struct watcher *watcher = context;

    while (!atomic_load(&watcher->is_over)) {
        double bytes = bench_anonymous_bytes();
        if (bytes > watcher->most_bytes)
            watcher->most_bytes = bytes;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    return NULL;
}

static void put_all(struct job *job, void *db)
{
    struct bench_records batch = job->records;
    size_t n_records = job->records.n_records;

    for (size_t done = 0; done < n_records; done += batch.n_records) {
        batch.first_index = done;
        batch.n_records = n_records - done < BATCH_RECORDS ? n_records - done : BATCH_RECORDS;
        job->peer->put_batch(db, &batch);
    }
    job->peer->settle(db);
}

static double ingest_all(void *context)
{
    struct job *job = context;
    const struct peer *peer = job->peer;
    size_t n_records = job->records.n_records;
    double stored_bytes =
        (double)n_records * (double)(BENCH_ID_BYTES + job->records.n_dims * sizeof(float));
    struct bench_use use = {
        .n_records = n_records, .records_per_write = BATCH_RECORDS, .n_dims = job->records.n_dims};
    struct watcher watcher = {0};

    bench_warm_memory((size_t)stored_bytes);
    double memory_before = bench_anonymous_bytes();
    double written_before = bench_written_bytes();
    void *db = peer->open(job->path, &use);
    if (pthread_create(&watcher.thread, NULL, watch, &watcher) != 0)
        bench_die("cannot start a thread");
    double start = bench_now();
    put_all(job, db);
    double elapsed = bench_now() - start;
    atomic_store(&watcher.is_over, true);
    pthread_join(watcher.thread, NULL);
    peer->close(db);
    job->figures[FIGURE_RATE] = (double)n_records / elapsed;
    job->figures[FIGURE_WRITTEN] = (bench_written_bytes() - written_before) / stored_bytes;
    job->figures[FIGURE_MEMORY] = (watcher.most_bytes - memory_before) / MEBIBYTE;
    return 0;
}

static void run_round(const struct bench_options *options, struct ingest *ingest)
{
    struct job *job = bench_shared_new(sizeof *job);
    float *vectors = bench_vectors(SEGMENTS_POOL_VECTORS, ingest->shape->n_dims);

    job->peer = ingest->peer;
    job->records = segments_records(options, ingest->shape, vectors);
    bench_dir_make(options, ingest->peer->name, job->path);
    bench_settle(options);
    bench_in_child(ingest_all, job, 0);
    bench_dir_remove(options, ingest->peer->name);
    free(vectors);
    for (size_t i = 0; i < N_FIGURES; i++)
        ingest->figures[ingest->n_rounds][i] = job->figures[i];
    ingest->n_rounds++;
    bench_shared_free(job, sizeof *job);
}

static double measure(const struct bench_options *options, const struct bench_contender *self,
                      void *state)
{
    const struct asked *asked = self->context;
    struct ingest *ingest = asked->ingest;
    unsigned round = ingest->n_told[asked->figure]++;

    (void)state;
    if (round == ingest->n_rounds)
        run_round(options, ingest);
    return ingest->figures[round][asked->figure];
}

static void run_figure(const struct bench_options *options, struct ingest ingests[N_PEERS],
                       enum figure figure, const struct bench_case *bench_case)
{
    struct bench_contender contenders[N_PEERS];
    struct asked asked[N_PEERS];
    struct bench_case filled = *bench_case;

    for (size_t i = 0; i < N_PEERS; i++) {
        asked[i] = (struct asked){&ingests[i], figure};
        contenders[i] = (struct bench_contender){.name = ingests[i].peer->name,
                                                 .settings = ingests[i].peer->settings,
                                                 .context = &asked[i],
                                                 .measure = measure};
    }
    filled.contenders = contenders;
    filled.n_contenders = N_PEERS;
    bench_run(options, &filled);
}

static void run_ingest(const struct bench_options *options, const struct shape *shape)
{
    const struct peer *const peers[N_PEERS] = {&peer_mneme, &peer_rocksdb_levels,
                                               &peer_rocksdb_blobs};
    static const struct bench_target rates[] = {
        {.of = "mneme", .against = "rocksdb", .bound = 2.0},
        {.of = "mneme", .against = "rocksdb-blobs", .bound = 1.3},
    };
    static const struct bench_target writes[] = {
        {.of = "mneme", .against = "rocksdb", .bound = 1.0, .is_upper_bound = true},
        {.of = "mneme", .bound = 3.3, .is_upper_bound = true},
    };
    struct segments_names rate = segments_names("ingest", "durable batches of 100", shape);
    struct segments_names written = segments_names("written", "bytes written", shape);
    struct segments_names memory = segments_names("ingest-memory", "most memory meanwhile", shape);
    struct ingest *ingests = bench_alloc(N_PEERS * sizeof *ingests);

    for (size_t i = 0; i < N_PEERS; i++)
        ingests[i] = (struct ingest){.peer = peers[i], .shape = shape};
    run_figure(options, ingests, FIGURE_RATE,
               &(struct bench_case){.name = rate.name,
                                    .title = rate.title,
                                    .unit = "records/s",
                                    .targets = rates,
                                    .n_targets = 2});
    run_figure(options, ingests, FIGURE_WRITTEN,
               &(struct bench_case){.name = written.name,
                                    .title = written.title,
                                    .unit = "bytes/byte",
                                    .targets = writes,
                                    .n_targets = 2});
    run_figure(options, ingests, FIGURE_MEMORY,
               &(struct bench_case){.name = memory.name, .title = memory.title, .unit = "MiB"});
    free(ingests);
}

int main(int argc, char **argv)
{
    struct bench_options options;

    bench_parse(argc, argv, &options);
    run_ingest(&options, &shape_128);
    run_ingest(&options, &shape_768);
    run_get(&options, &shape_128);
    run_get(&options, &shape_768);
    run_scan(&options, &shape_128);
    run_scan(&options, &shape_768);
    run_open(&options, &shape_128);
    run_paced(&options);
    run_drop(&options, &shape_128);
    return 0;
}
