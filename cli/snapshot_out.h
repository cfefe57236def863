/*
 * snapshot_out.h - snapshots: finding their pool, and printing them.
 */
#ifndef CLI_SNAPSHOT_OUT_H
#define CLI_SNAPSHOT_OUT_H

#include "cli.h"

/* Opens the pool of --from, or of the store. EXIT_CODE_OK sets `pool_out`; it is NULL when the
 * store has made no snapshot yet. Another code comes with its message said. */
int pool_open(struct cli *cli, mn_snapshots **pool_out);

/* The same for a command that needs a snapshot: without a pool there is none of this id. */
int pool_open_for(struct cli *cli, const char *id, mn_snapshots **pool_out);

/* Says what a call about snapshot `id` answered; a malformed id is a usage error. */
int pool_say_status(struct cli *cli, const char *id, mn_status status, const struct mn_error *err);

/* Prints all that is known of a snapshot as one line, or a row of a table. */
mn_status snapshot_print(struct cli *cli, const mn_snapshot *snapshot, struct mn_error *err);
void snapshot_print_heading(struct cli *cli);

/* A progress function that shows how far it came, and stops when it is asked to; `context` is the
 * text in front. */
mn_status snapshot_progress(void *context, uint64_t n_bytes_done, uint64_t n_bytes_total);

#endif
