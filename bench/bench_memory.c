/*
 * bench_memory.c - resident memory per record.
 *
 * Owns:    one store at a time, in a child process.
 * Threads: those of the library.
 * Fails:   by ending the program with a message.
 *
 * A new process opens a store, stores one record, and notes its resident memory; then it stores the
 * rest and looks again. Log buffers, index and allocator are all in the difference. No checkpoint
 * runs, so that all records are in the buffer.
 */
#include <stdlib.h>

#include "child.h"
#include "mneme_fill.h"

enum { BATCH_RECORDS = 100, POOL_VECTORS = 256 };

struct job {
    char path[BENCH_PATH_BYTES];
    size_t n_records;
    uint32_t n_dims;
};

/* Context of a contender. */
struct plan {
    uint32_t n_dims;
    size_t n_records;
};

static double fill_and_look(void *context)
{
    const struct job *job = context;
    struct mn_options options = {.size = sizeof options, .create = true};
    float *vectors = bench_vectors(POOL_VECTORS, job->n_dims);
    struct mneme_fill fill = {.n_records = 1,
                              .records_per_commit = BATCH_RECORDS,
                              .vectors = vectors,
                              .n_vectors = POOL_VECTORS,
                              .n_dims = job->n_dims,
                              .ack = MN_ACK_OS};
    struct mn_error err;
    mn_store *store = NULL;

    mneme_must(mn_open(job->path, &options, &store, &err), "open", &err);
    mneme_stop_checkpoints(store);
    mneme_put_range(store, &fill);
    double before = bench_resident_bytes();
    fill.first_index = 1;
    fill.n_records = job->n_records - 1;
    mneme_put_range(store, &fill);
    mneme_must(mn_flush(store, &err), "flush", &err);
    double after = bench_resident_bytes();
    mneme_must(mn_close(store, &err), "close", &err);
    free(vectors);
    return (after - before) / (double)(job->n_records - 1);
}

static double measure(const struct bench_options *options, const struct bench_contender *self,
                      void *state)
{
    const struct plan *plan = self->context;
    struct job *job = bench_alloc(sizeof *job);

    (void)state;
    job->n_dims = plan->n_dims;
    job->n_records = bench_scaled(options, plan->n_records) + 1;
    bench_dir_make(options, self->name, job->path);
    double bytes_per_record = bench_in_child(fill_and_look, job, 0);
    bench_dir_remove(options, self->name);
    free(job);
    return bytes_per_record;
}

static void run(const struct bench_options *options, const char *name, const char *title,
                const struct plan *plan)
{
    const struct bench_contender contender = {.name = "mneme",
                                              .settings = MNEME_NO_CHECKPOINTS
                                              "; batches of 100, MN_ACK_OS",
                                              .context = plan,
                                              .measure = measure};
    const struct bench_target target = {
        .of = "mneme", .bound = 1.15 * plan->n_dims * sizeof(float) + 120, .is_upper_bound = true};

    bench_run(options, &(struct bench_case){.name = name,
                                            .title = title,
                                            .unit = "bytes/record",
                                            .contenders = &contender,
                                            .n_contenders = 1,
                                            .targets = &target,
                                            .n_targets = 1});
}

int main(int argc, char **argv)
{
    /* The second of each pair is not a power of two times the first: an index that has just doubled
     * and one that is just full cost differently. */
    static const struct plan small = {128, 400000};
    static const struct plan small_grown = {128, 270000};
    static const struct plan large = {768, 100000};
    struct bench_options options;

    bench_parse(argc, argv, &options);
    run(&options, "memory-128", "resident memory, 400,000 records of 128 dimensions", &small);
    run(&options, "memory-128-grown", "resident memory, 270,000 records of 128 dimensions",
        &small_grown);
    run(&options, "memory-768", "resident memory, 100,000 records of 768 dimensions", &large);
    return 0;
}
