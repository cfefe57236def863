/*
 * bench_segments_read.c - reading records that lie in files: by key anywhere, all of them, and
 * opening the store that holds them.
 *
 * Owns:    the directory of each contender, over all rounds.
 * Threads: one.
 * Fails:   by ending the program with a message.
 *
 * What is read was loaded and left at rest, and closed. Each round a new process opens it and reads
 * all of it once, so that the page cache has it and the process has mapped it; then the clock runs.
 */
#include <stdlib.h>
#include <string.h>

#include "bench_segments.h"
#include "child.h"
#include "mneme_fill.h"

enum { N_READS = 1000000, BATCH_KEYS = 100, WORDS_AT_ONCE = 16 };

/* What a child needs to know. */
struct job {
    char path[BENCH_PATH_BYTES];
    const struct peer *peer;
    float *vectors; /* owned */
    struct bench_records records;
    size_t n_reads;
};

/* Context of a contender. */
struct reading {
    const struct peer *peer;
    const struct shape *shape;
    double (*run)(void *job);
};

/* What the reads add up to, so that they cannot be optimised away. */
static volatile float sum_of_reads;
static volatile uint32_t sum_of_words;

/* Preparing -------------------------------------------------------------------------------------
 */

static void *open_job(const struct job *job)
{
    struct bench_use use = {.n_records = job->records.n_records, .n_dims = job->records.n_dims};
    return job->peer->open(job->path, &use);
}

static double load(void *context)
{
    struct job *job = context;
    void *db = open_job(job);

    job->peer->load(db, &job->records);
    job->peer->settle(db);
    job->peer->close(db);
    return 0;
}

static struct job *new_job(const struct bench_options *options, const struct bench_contender *self)
{
    const struct reading *reading = self->context;
    struct job *job = bench_alloc(sizeof *job);

    job->peer = reading->peer;
    job->vectors = bench_vectors(SEGMENTS_POOL_VECTORS, reading->shape->n_dims);
    job->records = segments_records(options, reading->shape, job->vectors);
    job->n_reads = bench_scaled(options, N_READS);
    return job;
}

static void *prepare(const struct bench_options *options, const struct bench_contender *self)
{
    struct job *job = new_job(options, self);

    if (job->peer != NULL) {
        bench_dir_make(options, self->name, job->path);
        bench_in_child(load, job, 0);
    }
    return job;
}

static double measure(const struct bench_options *options, const struct bench_contender *self,
                      void *state)
{
    const struct reading *reading = self->context;

    bench_settle(options);
    return bench_in_child(reading->run, state, 0);
}

static void finish(const struct bench_options *options, const struct bench_contender *self,
                   void *state)
{
    struct job *job = state;

    free(job->vectors);
    free(job);
    bench_dir_remove(options, self->name);
}

static struct bench_contender contender(const struct reading *reading, const char *name,
                                        const char *settings)
{
    return (struct bench_contender){.name = name,
                                    .settings = settings,
                                    .context = reading,
                                    .prepare = prepare,
                                    .measure = measure,
                                    .finish = finish};
}

/* By key ----------------------------------------------------------------------------------------
 */

/* Every record once, in the order of their numbers, which is none of their ids'; or at random. They
 * lie in order, so that fetching the next query costs nobody anything. */
static struct bench_query *make_queries(size_t n_queries, size_t n_records, bool is_random)
{
    struct bench_query *queries = bench_alloc(n_queries * sizeof *queries);
    uint64_t state = 7;

    for (size_t i = 0; i < n_queries; i++) {
        queries[i].index = is_random ? bench_random(&state) % n_records : i;
        bench_id(queries[i].index, queries[i].id);
    }
    return queries;
}

static void read_each(const struct job *job, void *reader, const struct bench_query *queries,
                      size_t n_queries)
{
    float sum = 0;

    for (size_t i = 0; i < n_queries; i++)
        sum += job->peer->get(reader, &queries[i], i % job->records.n_dims);
    sum_of_reads = sum;
}

static void warm_up(const struct job *job, void *reader)
{
    size_t n_records = job->records.n_records;
    struct bench_query *queries = make_queries(n_records, n_records, false);

    read_each(job, reader, queries, n_records);
    free(queries);
}

static double get_singly(void *context)
{
    const struct job *job = context;
    struct bench_query *queries = make_queries(job->n_reads, job->records.n_records, true);
    void *db = open_job(job);
    void *reader = job->peer->reader_open(db);

    warm_up(job, reader);
    double start = bench_now();
    read_each(job, reader, queries, job->n_reads);
    double elapsed = bench_now() - start;
    job->peer->reader_close(reader);
    job->peer->close(db);
    free(queries);
    return (double)job->n_reads / elapsed;
}

static float get_batch(mn_store *store, const struct bench_query *queries, size_t n, size_t element)
{
    struct mn_slice ids[BATCH_KEYS];
    struct mn_view views[BATCH_KEYS];
    struct mn_error err;
    size_t n_found = 0;
    float sum = 0;

    for (size_t i = 0; i < n; i++)
        ids[i] = (struct mn_slice){queries[i].id, sizeof queries[i].id};
    mneme_must(mn_get_batch(store, mneme_namespace(), ids, n, views, &n_found, &err), "get_batch",
               &err);
    if (n_found != n)
        bench_die("mneme: %zu records of %zu came back", n_found, n);
    for (size_t i = 0; i < n; i++) {
        sum += views[i].vector[element];
        mn_view_release(&views[i]);
    }
    return sum;
}

static mn_store *open_store(const struct job *job)
{
    struct mn_options options = {.size = sizeof options};
    struct mn_error err;
    mn_store *store = NULL;

    mneme_must(mn_open(job->path, &options, &store, &err), "open", &err);
    return store;
}

static void close_store(mn_store *store)
{
    struct mn_error err;
    mneme_must(mn_close(store, &err), "close", &err);
}

static void read_batches(const struct job *job, mn_store *store, const struct bench_query *queries,
                         size_t n_queries)
{
    float sum = 0;

    for (size_t done = 0; done < n_queries; done += BATCH_KEYS) {
        size_t n = n_queries - done < BATCH_KEYS ? n_queries - done : BATCH_KEYS;
        sum += get_batch(store, queries + done, n, done % job->records.n_dims);
    }
    sum_of_reads = sum;
}

static double get_in_batches(void *context)
{
    const struct job *job = context;
    size_t n_records = job->records.n_records;
    struct bench_query *all = make_queries(n_records, n_records, false);
    struct bench_query *queries = make_queries(job->n_reads, n_records, true);
    mn_store *store = open_store(job);

    read_batches(job, store, all, n_records);
    double start = bench_now();
    read_batches(job, store, queries, job->n_reads);
    double elapsed = bench_now() - start;
    close_store(store);
    free(all);
    free(queries);
    return (double)job->n_reads / elapsed;
}

void run_get(const struct bench_options *options, const struct shape *shape)
{
    enum { N_PEERS = 4 };
    const struct peer *const peers[N_PEERS] = {&peer_mneme, &peer_lmdb, &peer_rocksdb_levels,
                                               &peer_rocksdb_blobs};
    static const struct bench_target targets[] = {
        {.of = "mneme", .against = "rocksdb", .bound = 5.0},
        {.of = "mneme", .against = "rocksdb-blobs", .bound = 5.0},
        {.of = "mneme", .against = "lmdb", .bound = 2.0},
        {.of = "mneme-batch", .against = "mneme", .bound = 1.0},
    };
    const struct reading batches = {&peer_mneme, shape, get_in_batches};
    struct reading readings[N_PEERS];
    struct bench_contender contenders[N_PEERS + 1];
    struct segments_names names = segments_names("get", "point reads anywhere", shape);

    for (size_t i = 0; i < N_PEERS; i++) {
        readings[i] = (struct reading){peers[i], shape, get_singly};
        contenders[i] = contender(&readings[i], peers[i]->name, peers[i]->settings);
    }
    contenders[N_PEERS] =
        contender(&batches, "mneme-batch", "defaults; mn_get_batch of 100 ids, then releases");
    bench_run(options, &(struct bench_case){.name = names.name,
                                            .title = names.title,
                                            .unit = "reads/s",
                                            .contenders = contenders,
                                            .n_contenders = N_PEERS + 1,
                                            .targets = targets,
                                            .n_targets = sizeof targets / sizeof *targets});
}

/* All of them ----------------------------------------------------------------------------------
 */

/* Adds up floats as the numbers that their bits are: that takes no longer than fetching them, and
 * may be done in any order. */
static uint32_t add_up(const float *vector, size_t n_dims)
{
    uint32_t sums[WORDS_AT_ONCE] = {0};
    uint32_t words[WORDS_AT_ONCE];
    uint32_t sum = 0;

    for (size_t i = 0; i + WORDS_AT_ONCE <= n_dims; i += WORDS_AT_ONCE) {
        memcpy(words, vector + i, sizeof words);
        for (size_t j = 0; j < WORDS_AT_ONCE; j++)
            sums[j] += words[j];
    }
    for (size_t j = 0; j < WORDS_AT_ONCE; j++)
        sum += sums[j];
    return sum;
}

static void check_all_came(const struct job *job, size_t n_records)
{
    if (n_records != job->records.n_records)
        bench_die("mneme: %zu records of %zu came back", n_records, job->records.n_records);
}

static void scan(const struct job *job, mn_store *store)
{
    struct mn_error err;
    struct mn_scan_chunk chunk;
    mn_scan *scan = NULL;
    size_t n_records = 0;
    uint32_t sum = 0;
    mn_status st;

    mneme_must(mn_scan_open(store, mneme_namespace(), NULL, &scan, &err), "scan", &err);
    while ((st = mn_scan_next(scan, &chunk, &err)) == MN_OK) {
        sum += add_up(chunk.vectors, chunk.n_vectors * chunk.n_dims);
        n_records += chunk.n_vectors;
    }
    if (st != MN_END)
        mneme_must(st, "next", &err);
    mn_scan_close(scan);
    check_all_came(job, n_records);
    sum_of_words = sum;
}

static void walk(const struct job *job, mn_store *store)
{
    struct mn_error err;
    struct mn_view view;
    mn_iter *iter = NULL;
    size_t n_records = 0;
    uint32_t sum = 0;
    mn_status st;

    mneme_must(mn_iter_open(store, mneme_namespace(), NULL, &iter, &err), "iter", &err);
    while ((st = mn_iter_next(iter, &view, &err)) == MN_OK) {
        sum += add_up(view.vector, view.n_dims);
        mn_view_release(&view);
        n_records++;
    }
    if (st != MN_END)
        mneme_must(st, "next", &err);
    mn_iter_close(iter);
    check_all_came(job, n_records);
    sum_of_words = sum;
}

static double megabytes(const struct job *job)
{
    return (double)(job->records.n_records * job->records.n_dims * sizeof(float)) / 1e6;
}

static double read_store(const struct job *job, void (*read_all)(const struct job *, mn_store *))
{
    mn_store *store = open_store(job);

    read_all(job, store);
    double start = bench_now();
    read_all(job, store);
    double elapsed = bench_now() - start;
    close_store(store);
    return megabytes(job) / elapsed;
}

static double scan_store(void *context)
{
    return read_store(context, scan);
}

static double walk_store(void *context)
{
    return read_store(context, walk);
}

/* The same sum, over as many floats one behind the other. */
static double scan_memory(void *context)
{
    const struct job *job = context;
    size_t n = job->records.n_records * job->records.n_dims;
    float *floats = bench_alloc(n * sizeof *floats);

    for (size_t i = 0; i < n; i++)
        floats[i] = (float)i;
    double start = bench_now();
    sum_of_words = add_up(floats, n);
    double elapsed = bench_now() - start;
    free(floats);
    return megabytes(job) / elapsed;
}

void run_scan(const struct bench_options *options, const struct shape *shape)
{
    static const struct bench_target target = {
        .of = "mneme", .against = "memory-read", .bound = 0.8};
    const struct reading store = {&peer_mneme, shape, scan_store};
    const struct reading in_order = {&peer_mneme, shape, walk_store};
    const struct reading memory = {NULL, shape, scan_memory};
    const struct bench_contender contenders[] = {
        contender(&store, "mneme", "defaults; mn_scan over all, every float is added up"),
        contender(&in_order, "mneme-iter", "the same with mn_iter, in the order of ids"),
        contender(&memory, "memory-read", "adding up as many floats in memory, one thread"),
    };
    struct segments_names names = segments_names("scan", "scan of all vectors", shape);

    bench_run(options, &(struct bench_case){.name = names.name,
                                            .title = names.title,
                                            .unit = "MB/s",
                                            .contenders = contenders,
                                            .n_contenders = 3,
                                            .targets = &target,
                                            .n_targets = 1});
}

/* Opening ---------------------------------------------------------------------------------------
 */

/* Until the first record was read: a store may put off what opening should have done. */
static double time_open(void *context)
{
    const struct job *job = context;
    struct bench_query query = {.index = 0};

    bench_id(query.index, query.id);
    double start = bench_now();
    void *db = open_job(job);
    void *reader = job->peer->reader_open(db);
    sum_of_reads = job->peer->get(reader, &query, 0);
    double elapsed = bench_now() - start;
    job->peer->reader_close(reader);
    job->peer->close(db);
    return elapsed * 1e3;
}

/* The first time brings what it reads into the page cache. */
static void *prepare_open(const struct bench_options *options, const struct bench_contender *self)
{
    void *job = prepare(options, self);

    bench_in_child(time_open, job, 0);
    return job;
}

void run_open(const struct bench_options *options, const struct shape *shape)
{
    enum { N_PEERS = 3 };
    const struct peer *const peers[N_PEERS] = {&peer_mneme, &peer_lmdb, &peer_rocksdb_levels};
    static const struct bench_target target = {.of = "mneme", .bound = 100, .is_upper_bound = true};
    struct reading readings[N_PEERS];
    struct bench_contender contenders[N_PEERS];
    struct segments_names names = segments_names("open", "opening, until a record is read", shape);

    for (size_t i = 0; i < N_PEERS; i++) {
        readings[i] = (struct reading){peers[i], shape, time_open};
        contenders[i] = contender(&readings[i], peers[i]->name, peers[i]->settings);
        contenders[i].prepare = prepare_open;
    }
    bench_run(options, &(struct bench_case){.name = names.name,
                                            .title = names.title,
                                            .unit = "ms",
                                            .contenders = contenders,
                                            .n_contenders = N_PEERS,
                                            .targets = &target,
                                            .n_targets = 1});
}
