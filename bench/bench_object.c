/*
 * bench_object.c - objects of 8 MiB from and to an S3 server, beside the command `curl`.
 *
 * Owns:    a few objects in the bucket, a file to send, and the settings of curl.
 * Threads: as many as requests run side by side.
 * Fails:   by ending the program with a message.
 *
 * The server is the one that AWS_ENDPOINT_URL and MNEME_S3_BUCKET name: bench/run starts Ceph on
 * this machine (tests/s3/ceph). Both sign every request. One process of curl fetches all objects of
 * a round over connections that it keeps, into nothing; Mneme fetches them into memory, checks
 * them, and gives the memory back.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "mneme/mneme.h"

enum {
    OBJECT_BYTES = 8 << 20,
    N_OBJECTS = 8,
    N_GETS = 96,
    N_PUTS = 32,
    THREADS_MAX = 16,
    KEY_BYTES = 32,
};

extern char **environ;

/* What a case does. */
struct work {
    bool is_put;
    unsigned n_threads;
};

struct job {
    const struct work *work;
    size_t n_transfers;
    char *object;
    mn_object_store *store;      /* Mneme only */
    char path[BENCH_PATH_BYTES]; /* curl only: a directory */
};

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL)
        bench_die("%s is not set; run it as `tests/s3/ceph run -- bench_object`", name);
    return value;
}

static void key_of(const struct work *work, size_t i, char key_out[KEY_BYTES])
{
    snprintf(key_out, KEY_BYTES, "bench/%s-%zu", work->is_put ? "put" : "get", i % N_OBJECTS);
}

static void must(mn_status st, const char *what, const struct mn_error *err)
{
    if (st != MN_OK)
        bench_die("%s: %s (%s)", what, err->message, mn_status_name(st));
}

static mn_object_store *open_store(void)
{
    struct mn_object_s3_options options = {.size = sizeof options,
                                           .bucket = variable("MNEME_S3_BUCKET"),
                                           .endpoint = variable("AWS_ENDPOINT_URL")};
    mn_object_store *store = NULL;
    struct mn_error err;

    must(mn_object_open_s3(&options, &store, &err), "open", &err);
    return store;
}

static void put(mn_object_store *store, const struct job *job, size_t i)
{
    char key[KEY_BYTES];
    struct mn_error err;

    key_of(job->work, i, key);
    must(mn_object_put(store, mn_str(key), (struct mn_slice){job->object, OBJECT_BYTES}, NULL, NULL,
                       &err),
         "put", &err);
}

static struct job *new_job(const struct bench_options *options, const struct bench_contender *self)
{
    struct job *job = bench_alloc(sizeof *job);
    uint64_t random = 5;

    job->work = self->context;
    job->n_transfers = bench_scaled(options, job->work->is_put ? N_PUTS : N_GETS);
    job->object = bench_alloc(OBJECT_BYTES);
    for (size_t i = 0; i < OBJECT_BYTES; i += sizeof random) {
        uint64_t word = bench_random(&random);
        memcpy(job->object + i, &word, sizeof word);
    }
    job->store = open_store();
    for (size_t i = 0; i < N_OBJECTS; i++)
        put(job->store, job, i);
    return job;
}

static double rate(const struct job *job, double seconds)
{
    return (double)job->n_transfers * OBJECT_BYTES / 1e6 / seconds;
}

/* Mneme -----------------------------------------------------------------------------------------
 */

struct worker {
    pthread_t thread;
    const struct job *job;
    size_t begin;
    size_t end;
};

static void *transfer(void *context)
{
    const struct worker *w = context;
    const struct job *job = w->job;

    for (size_t i = w->begin; i < w->end; i++) {
        char key[KEY_BYTES];
        struct mn_slice data;
        struct mn_error err;
        if (job->work->is_put) {
            put(job->store, job, i);
            continue;
        }
        key_of(job->work, i, key);
        must(mn_object_get(job->store, mn_str(key), 0, &data, NULL, &err), "get", &err);
        if (data.n_bytes != OBJECT_BYTES)
            bench_die("mneme: %zu bytes came", data.n_bytes);
        mn_object_free(data);
    }
    return NULL;
}

static void *prepare_mneme(const struct bench_options *options, const struct bench_contender *self)
{
    return new_job(options, self);
}

static double measure_mneme(const struct bench_options *options, const struct bench_contender *self,
                            void *state)
{
    struct job *job = state;
    struct worker workers[THREADS_MAX];
    unsigned n_threads = job->work->n_threads;

    (void)options;
    (void)self;
    double start = bench_now();
    for (unsigned i = 0; i < n_threads; i++) {
        workers[i] = (struct worker){.job = job,
                                     .begin = job->n_transfers * i / n_threads,
                                     .end = job->n_transfers * (i + 1) / n_threads};
        if (pthread_create(&workers[i].thread, NULL, transfer, &workers[i]) != 0)
            bench_die("cannot start a thread");
    }
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(workers[i].thread, NULL);
    return rate(job, bench_now() - start);
}

static void finish_mneme(const struct bench_options *options, const struct bench_contender *self,
                         void *state)
{
    struct job *job = state;
    struct mn_error err;

    (void)options;
    (void)self;
    must(mn_object_close(job->store, &err), "close", &err);
    free(job->object);
    free(job);
}

/* curl ------------------------------------------------------------------------------------------
 */

static void write_settings(const struct job *job)
{
    char path[BENCH_PATH_BYTES + KEY_BYTES];

    snprintf(path, sizeof path, "%s/settings", job->path);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        bench_die("cannot write %s: %s", path, strerror(errno));
    fprintf(file, "silent\nno-progress-meter\nshow-error\nfail\n");
    fprintf(file, "aws-sigv4 = \"aws:amz:%s:s3\"\nuser = \"%s:%s\"\n", variable("AWS_REGION"),
            variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    fprintf(file, "header = \"x-amz-content-sha256: UNSIGNED-PAYLOAD\"\n");
    if (job->work->n_threads > 1)
        fprintf(file, "parallel\nparallel-max = %u\n", job->work->n_threads);
    for (size_t i = 0; i < job->n_transfers; i++) {
        char key[KEY_BYTES];
        key_of(job->work, i, key);
        fprintf(file, "url = \"%s/%s/%s\"\noutput = \"/dev/null\"\n", variable("AWS_ENDPOINT_URL"),
                variable("MNEME_S3_BUCKET"), key);
        if (job->work->is_put)
            fprintf(file, "upload-file = \"%s/object\"\n", job->path);
    }
    if (fclose(file) != 0)
        bench_die("cannot write %s: %s", path, strerror(errno));
}

static void write_object(const struct job *job)
{
    char path[BENCH_PATH_BYTES + KEY_BYTES];

    snprintf(path, sizeof path, "%s/object", job->path);
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(job->object, OBJECT_BYTES, 1, file) != 1 || fclose(file) != 0)
        bench_die("cannot write %s: %s", path, strerror(errno));
}

static void *prepare_curl(const struct bench_options *options, const struct bench_contender *self)
{
    struct job *job = new_job(options, self);

    bench_dir_make(options, "curl", job->path);
    write_settings(job);
    write_object(job);
    return job;
}

static double measure_curl(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    const struct job *job = state;
    char path[BENCH_PATH_BYTES + KEY_BYTES];
    char program[] = "curl";
    char option[] = "--config";
    char *const arguments[] = {program, option, path, NULL};
    pid_t pid;
    int code;

    (void)options;
    (void)self;
    snprintf(path, sizeof path, "%s/settings", job->path);
    double start = bench_now();
    if (posix_spawnp(&pid, "curl", NULL, NULL, arguments, environ) != 0)
        bench_die("cannot start curl");
    if (waitpid(pid, &code, 0) != pid || code != 0)
        bench_die("curl: it ended with %d", code);
    return rate(job, bench_now() - start);
}

static void finish_curl(const struct bench_options *options, const struct bench_contender *self,
                        void *state)
{
    bench_dir_remove(options, "curl");
    finish_mneme(options, self, state);
}

/* Cases -----------------------------------------------------------------------------------------
 */

static void run_case(const struct bench_options *options, const char *name, const char *title,
                     const struct work *work, const struct bench_target *target)
{
    const struct bench_contender contenders[] = {
        {.name = "mneme",
         .settings = "mn_object_get and mn_object_put of a signed request each, checked by CRC-32C",
         .context = work,
         .prepare = prepare_mneme,
         .measure = measure_mneme,
         .finish = finish_mneme},
        {.name = "curl",
         .settings = "one process for all objects, --aws-sigv4 with unsigned payloads, from a file "
                     "in memory and to /dev/null; --parallel for several at once",
         .context = work,
         .prepare = prepare_curl,
         .measure = measure_curl,
         .finish = finish_curl},
    };
    const struct bench_case bench_case = {.name = name,
                                          .title = title,
                                          .unit = "MB/s",
                                          .contenders = contenders,
                                          .n_contenders = 2,
                                          .targets = target,
                                          .n_targets = target != NULL};

    bench_run(options, &bench_case);
}

int main(int argc, char **argv)
{
    static const struct bench_target target = {.of = "mneme", .against = "curl", .bound = 0.8};
    struct bench_options options;

    bench_parse(argc, argv, &options);
    run_case(&options, "s3-get-1", "S3 server on this machine: objects of 8 MiB, one at a time",
             &(const struct work){.n_threads = 1}, &target);
    run_case(&options, "s3-get-4", "the same, 4 at a time", &(const struct work){.n_threads = 4},
             &target);
    run_case(&options, "s3-put-1", "storing them, one at a time",
             &(const struct work){.is_put = true, .n_threads = 1}, NULL);
    run_case(&options, "s3-put-4", "storing them, 4 at a time",
             &(const struct work){.is_put = true, .n_threads = 4}, NULL);
    return 0;
}
