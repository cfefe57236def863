/*
 * bench_commit.c - durable commits of one record, with one writer and with sixteen.
 *
 * Owns:    nothing.
 * Threads: the writers of writes.c.
 * Fails:   by ending the program with a message.
 */
#include "writes.h"

/* 60,000 records are 185 MB: more than two log files of Mneme, less than RocksDB's write buffer. */
enum { N_RECORDS = 60000, N_PEERS = 5 };

static void run(const struct bench_options *options, const struct bench_case *bench_case,
                size_t n_writers)
{
    const struct peer *const peers[N_PEERS] = {&peer_mneme_buffer, &peer_rocksdb, &peer_sqlite,
                                               &peer_bare, &peer_bare_direct};
    struct bench_writes writes[N_PEERS + 1];
    struct bench_contender contenders[N_PEERS + 1];
    struct bench_case filled = *bench_case;
    size_t n = 0;

    for (; n < N_PEERS; n++) {
        writes[n] = (struct bench_writes){.peer = peers[n],
                                          .n_writers = n_writers,
                                          .n_records = N_RECORDS,
                                          .records_per_write = 1};
        contenders[n] = bench_writes_contender(&writes[n], NULL);
    }
    if (n_writers > 1) {
        /* What a group commit that always finds every writer waiting could reach. */
        writes[n] = (struct bench_writes){.peer = &peer_bare,
                                          .n_writers = 1,
                                          .n_records = N_RECORDS,
                                          .records_per_write = n_writers};
        contenders[n] = bench_writes_contender(&writes[n], "bare-group");
        n++;
    }
    filled.unit = "commits/s";
    filled.contenders = contenders;
    filled.n_contenders = n;
    bench_run(options, &filled);
}

int main(int argc, char **argv)
{
    const struct bench_target one_writer[] = {
        {.of = "mneme", .against = "rocksdb", .bound = 1.5},
        {.of = "mneme", .against = "bare", .bound = 0.9},
    };
    const struct bench_target many_writers[] = {
        {.of = "mneme", .against = "rocksdb", .bound = 2.0},
    };
    struct bench_options options;

    bench_parse(argc, argv, &options);
    run(&options,
        &(struct bench_case){.name = "commit-1",
                             .title = "durable commits of one record, 1 writer",
                             .targets = one_writer,
                             .n_targets = 2},
        1);
    run(&options,
        &(struct bench_case){.name = "commit-16",
                             .title = "durable commits of one record, 16 writers",
                             .targets = many_writers,
                             .n_targets = 1},
        16);
    return 0;
}
