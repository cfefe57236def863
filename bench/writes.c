/*
 * writes.c - measuring how many records a second a peer makes durable.
 *
 * Owns:    the writer threads of one measurement.
 * Threads: one measurement at a time.
 * Fails:   by ending the program with a message.
 */
#include "writes.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    WRITERS_MAX = 64,
    POOL_VECTORS = 1024, /* 3 MiB: random bytes without the cost of making them each time */
    WARM_UP_WRITES_PER_WRITER = 20,
    WARM_MEMORY_BYTES = 768 << 20, /* three times the records */
    SECONDS_MAX = 4,               /* of one measurement: a slow disk gets through fewer records */
};

struct writer {
    const struct bench_writes *what;
    void *db;              /* borrowed */
    const float *vectors;  /* borrowed */
    pthread_barrier_t *go; /* borrowed */
    uint64_t first_index;
    size_t n_writes;      /* at most */
    size_t n_writes_done; /* while the clock ran */
    pthread_t thread;
};

/* Returns how many writes were made before the time was up. */
static size_t write_some(const struct writer *writer, uint64_t first_index, size_t n_writes)
{
    const struct bench_writes *what = writer->what;
    struct bench_records records = {.n_records = what->records_per_write,
                                    .vectors = writer->vectors,
                                    .n_vectors = POOL_VECTORS,
                                    .n_dims = BENCH_DIMENSIONS};
    double deadline = bench_now() + SECONDS_MAX;
    size_t i = 0;

    for (; i < n_writes && bench_now() < deadline; i++) {
        records.first_index = first_index + i * what->records_per_write;
        if (what->records_per_write == 1)
            what->peer->put(writer->db, records.first_index, bench_record_vector(&records, 0));
        else
            what->peer->put_batch(writer->db, &records);
    }
    return i;
}

static void *run_writer(void *argument)
{
    struct writer *writer = argument;
    size_t n_warm_up = WARM_UP_WRITES_PER_WRITER;

    (void)write_some(writer, writer->first_index, n_warm_up);
    pthread_barrier_wait(writer->go); /* all are warm */
    pthread_barrier_wait(writer->go); /* the clock runs */
    writer->n_writes_done =
        write_some(writer, writer->first_index + n_warm_up * writer->what->records_per_write,
                   writer->n_writes);
    return NULL;
}

/* Seconds that all writers together took. */
static double run_writers(struct writer *writers, size_t n_writers)
{
    pthread_barrier_t go;

    pthread_barrier_init(&go, NULL, (unsigned)n_writers + 1);
    for (size_t i = 0; i < n_writers; i++) {
        writers[i].go = &go;
        if (pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]) != 0)
            bench_die("cannot start a thread");
    }
    pthread_barrier_wait(&go);
    double start = bench_now();
    pthread_barrier_wait(&go);
    for (size_t i = 0; i < n_writers; i++)
        pthread_join(writers[i].thread, NULL);
    double elapsed = bench_now() - start;
    pthread_barrier_destroy(&go);
    return elapsed;
}

static double measure(const struct bench_options *options, const struct bench_contender *self,
                      void *state)
{
    const struct bench_writes *what = self->context;
    size_t writes_per_writer =
        bench_scaled(options, what->n_records) / what->n_writers / what->records_per_write;
    float *vectors = bench_vectors(POOL_VECTORS, BENCH_DIMENSIONS);
    struct writer writers[WRITERS_MAX] = {{0}};
    char path[BENCH_PATH_BYTES];

    (void)state;
    if (writes_per_writer == 0)
        writes_per_writer = 1;
    size_t records_per_writer =
        (writes_per_writer + WARM_UP_WRITES_PER_WRITER) * what->records_per_write;
    struct bench_use use = {.n_records = records_per_writer * what->n_writers,
                            .records_per_write = what->records_per_write,
                            .n_dims = BENCH_DIMENSIONS};

    bench_dir_make(options, self->name, path);
    void *db = what->peer->open(path, &use);
    bench_settle(options);
    bench_warm_memory(WARM_MEMORY_BYTES);
    for (size_t i = 0; i < what->n_writers; i++) {
        writers[i].what = what;
        writers[i].db = db;
        writers[i].vectors = vectors;
        writers[i].first_index = i * records_per_writer;
        writers[i].n_writes = writes_per_writer;
    }
    double elapsed = run_writers(writers, what->n_writers);
    size_t n_writes_done = 0;
    for (size_t i = 0; i < what->n_writers; i++)
        n_writes_done += writers[i].n_writes_done;
    what->peer->close(db);
    bench_dir_remove(options, self->name);
    free(vectors);
    return (double)(n_writes_done * what->records_per_write) / elapsed;
}

struct bench_contender bench_writes_contender(const struct bench_writes *what, const char *name)
{
    return (struct bench_contender){.name = name != NULL ? name : what->peer->name,
                                    .settings = what->peer->settings,
                                    .context = what,
                                    .measure = measure};
}
