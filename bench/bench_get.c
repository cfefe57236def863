/*
 * bench_get.c - point reads of a hot set, without copying.
 *
 * Owns:    each contender's loaded database, over all rounds.
 * Threads: one.
 * Fails:   by ending the program with a message.
 *
 * Of 100,000 records 10,000 are read, in random order, and one float of each vector is touched.
 */
#include <stdlib.h>

#include "peer.h"

enum {
    N_RECORDS = 100000,
    N_HOT = 10000,
    N_READS = 1000000,
    WARM_UP_READS = 100000,
    POOL_VECTORS = 1024,
    N_PEERS = 5,
};

/* What the reads add up to, so that they cannot be optimised away. */
static volatile float sum_of_reads;

static void *prepare(const struct bench_options *options, const struct bench_contender *self)
{
    const struct peer *peer = self->context;
    float *vectors = bench_vectors(POOL_VECTORS, BENCH_DIMENSIONS);
    struct bench_records records = {.n_records = bench_scaled(options, N_RECORDS),
                                    .vectors = vectors,
                                    .n_vectors = POOL_VECTORS,
                                    .n_dims = BENCH_DIMENSIONS};
    struct bench_use use = {.n_records = records.n_records, .n_dims = BENCH_DIMENSIONS};
    char path[BENCH_PATH_BYTES];

    bench_dir_make(options, self->name, path);
    void *db = peer->open(path, &use);
    peer->load(db, &records);
    free(vectors);
    return db;
}

static void finish(const struct bench_options *options, const struct bench_contender *self,
                   void *state)
{
    const struct peer *peer = self->context;

    peer->close(state);
    bench_dir_remove(options, self->name);
}

/* Random queries over the hot records, the same for every contender. They lie in order, so that
 * fetching the next query costs nobody anything. */
static struct bench_query *make_queries(const struct bench_options *options, size_t n_queries)
{
    struct bench_query *queries = bench_alloc(n_queries * sizeof *queries);
    uint64_t n_hot = bench_scaled(options, N_HOT);
    uint64_t state = 7;

    for (size_t i = 0; i < n_queries; i++) {
        /* Ids are in no order, so the first records lie anywhere in a sorted store. */
        queries[i].index = bench_random(&state) % n_hot;
        bench_id(queries[i].index, queries[i].id);
    }
    return queries;
}

static float read_all(const struct peer *peer, void *reader, const struct bench_query *queries,
                      size_t n_queries)
{
    float sum = 0;

    for (size_t i = 0; i < n_queries; i++)
        sum += peer->get(reader, &queries[i], i % BENCH_DIMENSIONS);
    return sum;
}

static double measure(const struct bench_options *options, const struct bench_contender *self,
                      void *state)
{
    const struct peer *peer = self->context;
    size_t n_reads = bench_scaled(options, N_READS);
    size_t n_warm_up = bench_scaled(options, WARM_UP_READS);
    struct bench_query *queries = make_queries(options, n_reads);
    void *reader = peer->reader_open(state);

    sum_of_reads = read_all(peer, reader, queries, n_warm_up);
    double start = bench_now();
    sum_of_reads += read_all(peer, reader, queries, n_reads);
    double elapsed = bench_now() - start;
    peer->reader_close(reader);
    free(queries);
    return (double)n_reads / elapsed;
}

int main(int argc, char **argv)
{
    const struct peer *const peers[N_PEERS] = {&peer_mneme_buffer, &peer_lmdb, &peer_lmdb_long,
                                               &peer_rocksdb, &peer_bare};
    const struct bench_target target = {.of = "mneme", .against = "lmdb", .bound = 1.5};
    struct bench_contender contenders[N_PEERS];
    struct bench_options options;

    bench_parse(argc, argv, &options);
    for (size_t i = 0; i < N_PEERS; i++) {
        contenders[i] = (struct bench_contender){.name = peers[i]->name,
                                                 .settings = peers[i]->settings,
                                                 .context = peers[i],
                                                 .prepare = prepare,
                                                 .measure = measure,
                                                 .finish = finish};
    }
    bench_run(&options, &(struct bench_case){.name = "get-hot",
                                             .title = "point reads of a hot set, 1 thread",
                                             .unit = "reads/s",
                                             .contenders = contenders,
                                             .n_contenders = N_PEERS,
                                             .targets = &target,
                                             .n_targets = 1});
    return 0;
}
