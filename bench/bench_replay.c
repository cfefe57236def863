/*
 * bench_replay.c - opening a store whose log was not closed.
 *
 * Owns:    the store that the first child leaves behind.
 * Threads: those of the library; the measured process is held on one core.
 * Fails:   by ending the program with a message.
 *
 * A child fills the store and kills itself. Each round another child opens it, which replays the
 * whole log, counts the records, and kills itself too. No checkpoint runs, which would leave less
 * to replay; the settings that say so are kept in the store. The log is in the page cache. The
 * bytes that count are those of ids and vectors, a little less than the log holds.
 */
#define _DEFAULT_SOURCE /* madvise */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "mneme_fill.h"
#include "peer.h"

enum {
    N_RECORDS = 350000,
    BATCH_RECORDS = 100,
    RECORD_BYTES = BENCH_ID_BYTES + BENCH_DIMENSIONS * sizeof(float),
    POOL_VECTORS = 1024,
    WARM_MEMORY_FACTOR = 2,
    LARGE_PAGE_BYTES = 2 << 20,
    READ_BYTES = 1 << 20,
};

/* What a child needs to know. */
struct job {
    char path[BENCH_PATH_BYTES];
    size_t n_records;
    size_t records_per_commit;
};

static double fill_store(void *context)
{
    const struct job *job = context;
    struct mn_options options = {.size = sizeof options, .create = true};
    float *vectors = bench_vectors(POOL_VECTORS, BENCH_DIMENSIONS);
    struct mneme_fill fill = {.n_records = job->n_records,
                              .records_per_commit = job->records_per_commit,
                              .vectors = vectors,
                              .n_vectors = POOL_VECTORS,
                              .n_dims = BENCH_DIMENSIONS,
                              .ack = MN_ACK_OS};
    struct mn_error err;
    mn_store *store = NULL;

    mneme_must(mn_open(job->path, &options, &store, &err), "open", &err);
    mneme_stop_checkpoints(store);
    mneme_put_range(store, &fill);
    mneme_must(mn_flush(store, &err), "flush", &err);
    return 0;
}

/* In the measured process: records are kept in memory that has to come from somewhere. */
static void warm_memory(const struct job *job)
{
    bench_warm_memory(job->n_records * RECORD_BYTES * WARM_MEMORY_FACTOR);
}

static double open_store(void *context)
{
    const struct job *job = context;
    struct mn_options options = {.size = sizeof options};
    struct mn_error err;
    mn_store *store = NULL;
    uint64_t n_records = 0;

    warm_memory(job);
    double start = bench_now();
    mneme_must(mn_open(job->path, &options, &store, &err), "open", &err);
    double elapsed = bench_now() - start;
    mneme_must(mn_count(store, mneme_namespace(), &n_records, &err), "count", &err);
    if (n_records != job->n_records)
        bench_die("mneme: %zu records of %zu came back", (size_t)n_records, job->n_records);
    return elapsed;
}

static struct job *new_job(const struct bench_options *options, const struct bench_contender *self)
{
    struct job *job = bench_alloc(sizeof *job);
    const size_t *records_per_commit = self->context;

    job->records_per_commit = *records_per_commit;
    job->n_records = bench_scaled(options, N_RECORDS);
    bench_dir_make(options, self->name, job->path);
    return job;
}

static double megabytes(const struct job *job)
{
    return (double)job->n_records * RECORD_BYTES / 1e6;
}

static void *prepare_store(const struct bench_options *options, const struct bench_contender *self)
{
    struct job *job = new_job(options, self);

    bench_in_child(fill_store, job, BENCH_KILL_SELF);
    bench_settle(options);
    bench_in_child(open_store, job, BENCH_KILL_SELF); /* brings the log into the page cache */
    return job;
}

static double measure_store(const struct bench_options *options, const struct bench_contender *self,
                            void *state)
{
    const struct job *job = state;

    (void)self;
    bench_settle(options);
    return megabytes(job) / bench_in_child(open_store, state, BENCH_ONE_CORE | BENCH_KILL_SELF);
}

static void finish(const struct bench_options *options, const struct bench_contender *self,
                   void *state)
{
    free(state);
    bench_dir_remove(options, self->name);
}

/* A file of as many bytes, for the bare loops. */
static void *prepare_file(const struct bench_options *options, const struct bench_contender *self)
{
    struct job *job = new_job(options, self);
    size_t length = strlen(job->path);
    float *vectors = bench_vectors(POOL_VECTORS, BENCH_DIMENSIONS);
    size_t n_left = job->n_records * RECORD_BYTES;

    strncat(job->path, "/bytes", sizeof job->path - length - 1);
    int fd = open(job->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    while (n_left > 0) {
        size_t n = n_left < READ_BYTES ? n_left : READ_BYTES;
        if (write(fd, vectors, n) != (ssize_t)n)
            bench_die("cannot write %s: %s", job->path, strerror(errno));
        n_left -= n;
    }
    close(fd);
    free(vectors);
    return job;
}

/* In large pages where the system has them. */
static char *new_memory(size_t n_bytes)
{
    void *memory = NULL;

    n_bytes = (n_bytes + LARGE_PAGE_BYTES - 1) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
    if (posix_memalign(&memory, LARGE_PAGE_BYTES, n_bytes) != 0)
        return NULL;
    (void)madvise(memory, n_bytes, MADV_HUGEPAGE);
    return memory;
}

/* Reads the file piece by piece: all pieces into one buffer, or each into memory of its own, as a
 * store has to that keeps the records. */
static double read_file(const struct job *job, bool is_kept)
{
    size_t n_bytes = job->n_records * RECORD_BYTES;
    size_t n_read = 0;

    warm_memory(job);
    double start = bench_now();
    char *memory = new_memory(is_kept ? n_bytes : READ_BYTES);
    int fd = open(job->path, O_RDONLY | O_CLOEXEC);
    if (memory == NULL || fd < 0)
        bench_die("cannot read %s: %s", job->path, strerror(errno));
    while (n_read < n_bytes) {
        size_t n_left = n_bytes - n_read;
        ssize_t n =
            read(fd, memory + (is_kept ? n_read : 0), n_left < READ_BYTES ? n_left : READ_BYTES);
        if (n <= 0)
            bench_die("cannot read %s: %s", job->path, strerror(errno));
        n_read += (size_t)n;
    }
    close(fd);
    double elapsed = bench_now() - start;
    free(memory);
    return elapsed;
}

static double read_into_buffer(void *context)
{
    return read_file(context, false);
}

static double read_into_memory(void *context)
{
    return read_file(context, true);
}

static double measure_buffer(const struct bench_options *options,
                             const struct bench_contender *self, void *state)
{
    (void)options;
    (void)self;
    return megabytes(state) / bench_in_child(read_into_buffer, state, BENCH_ONE_CORE);
}

static double measure_memory(const struct bench_options *options,
                             const struct bench_contender *self, void *state)
{
    (void)options;
    (void)self;
    return megabytes(state) / bench_in_child(read_into_memory, state, BENCH_ONE_CORE);
}

/* Adds up memory that is larger than the caches. */
static double add_up(void *context)
{
    const struct job *job = context;
    size_t n_words = job->n_records * RECORD_BYTES / sizeof(uint64_t);
    uint64_t *words = bench_alloc(n_words * sizeof *words);
    uint64_t sums[4] = {0};
    static volatile uint64_t sum;

    for (size_t i = 0; i < n_words; i++)
        words[i] = i;
    double start = bench_now();
    for (size_t i = 0; i + 4 <= n_words; i += 4) {
        for (size_t j = 0; j < 4; j++)
            sums[j] += words[i + j];
    }
    sum = sums[0] + sums[1] + sums[2] + sums[3];
    double elapsed = bench_now() - start;
    (void)sum;
    free(words);
    return elapsed;
}

static double measure_bandwidth(const struct bench_options *options,
                                const struct bench_contender *self, void *state)
{
    (void)options;
    (void)self;
    return megabytes(state) / bench_in_child(add_up, state, BENCH_ONE_CORE);
}

int main(int argc, char **argv)
{
    static const size_t many = BATCH_RECORDS;
    static const size_t one = 1;
    const struct bench_contender contenders[] = {
        {"mneme", MNEME_NO_CHECKPOINTS "; commits of 100 records", &many, prepare_store,
         measure_store, finish},
        {"mneme-singles", MNEME_NO_CHECKPOINTS "; commits of one record", &one, prepare_store,
         measure_store, finish},
        {"bare-read", "read() of as many bytes into one buffer of 1 MiB", &many, prepare_file,
         measure_buffer, finish},
        {"bare-keep", "read() of as many bytes into new memory, in large pages", &many,
         prepare_file, measure_memory, finish},
        {"memory-read", "adding up as many bytes in memory", &many, prepare_file, measure_bandwidth,
         finish},
    };
    const struct bench_target targets[] = {
        {.of = "mneme", .bound = 500},
        {.of = "mneme-singles", .bound = 500},
    };
    struct bench_options options;

    bench_parse(argc, argv, &options);
    bench_run(&options, &(struct bench_case){.name = "replay",
                                             .title = "opening after a kill, one core",
                                             .unit = "MB/s",
                                             .contenders = contenders,
                                             .n_contenders = sizeof contenders / sizeof *contenders,
                                             .targets = targets,
                                             .n_targets = 2});
    return 0;
}
