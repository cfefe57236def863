/*
 * bench_batch.c - durable batches of 100 records, one writer.
 *
 * Owns:    nothing.
 * Threads: the writer of writes.c.
 * Fails:   by ending the program with a message.
 */
#include "writes.h"

/* 80,000 records are 247 MB: three log files of Mneme, less than RocksDB's write buffer. */
enum { N_RECORDS = 80000, BATCH_RECORDS = 100, N_PEERS = 5 };

int main(int argc, char **argv)
{
    const struct peer *const peers[N_PEERS] = {&peer_mneme_buffer, &peer_rocksdb, &peer_sqlite,
                                               &peer_bare, &peer_bare_direct};
    const struct bench_target target = {.of = "mneme", .against = "rocksdb", .bound = 2.5};
    struct bench_writes writes[N_PEERS];
    struct bench_contender contenders[N_PEERS];
    struct bench_options options;

    bench_parse(argc, argv, &options);
    for (size_t i = 0; i < N_PEERS; i++) {
        writes[i] = (struct bench_writes){.peer = peers[i],
                                          .n_writers = 1,
                                          .n_records = N_RECORDS,
                                          .records_per_write = BATCH_RECORDS};
        contenders[i] = bench_writes_contender(&writes[i], NULL);
    }
    bench_run(&options, &(struct bench_case){.name = "batch-100",
                                             .title = "durable batches of 100 records, 1 writer",
                                             .unit = "records/s",
                                             .contenders = contenders,
                                             .n_contenders = N_PEERS,
                                             .targets = &target,
                                             .n_targets = 1});
    return 0;
}
