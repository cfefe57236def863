/*
 * query_in.h - the vector that a search begins with.
 */
#ifndef CLI_QUERY_IN_H
#define CLI_QUERY_IN_H

#include "cli.h"

/* Zero-initialised is valid: no vector yet. All elements are finite. */
struct query_in {
    float *vector; /* owned */
    uint32_t n_dims;
};

/* Takes the vector of --vector or --vector-file; leaves it empty with --id. Returns an exit code;
 * what is wrong was said. */
int query_in_take(const struct cli *cli, struct query_in *query);

/* Takes the one of --embedding or --embedding-file; leaves it empty without them. Likewise. */
int query_in_take_embedding(const struct cli *cli, struct query_in *query);

/* Takes the vector of the record that --id names. Likewise. */
int query_in_take_record(const struct cli *cli, mn_store *store, struct query_in *query);

/* The time that --timeout gives a search; 0: any. Returns an exit code. */
int query_in_take_timeout(const struct cli *cli, int64_t *timeout_us_out);

/* Says that it took longer. Returns the exit code. */
int query_in_say_timeout(const struct cli *cli);

void query_in_done(struct query_in *query);

#endif
