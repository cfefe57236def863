/*
 * rocks.h - what the cache needs of RocksDB: numbered values in files that never overlap.
 *
 * Values are put under ascending numbers, and never overwritten or deleted. A flush turns all that
 * was put before it into one file, or what several flushes had left into one; files therefore hold
 * ranges of numbers that do not overlap, and the oldest can be removed whole. No log is written:
 * what was not flushed is gone after a crash.
 *
 * Threads: one at a time puts, writes, flushes and removes; any number may get beside it, but not
 * beside remove_file and close.
 *
 * Statuses: MN_ERR_IO for whatever RocksDB answers, with its text.
 */
#ifndef MNI_DISKCACHE_ROCKS_H
#define MNI_DISKCACHE_ROCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "mneme/types.h"

struct dc_rocks;

struct dc_rocks_config {
    const char *path; /* of RocksDB's own directory */
    bool compress;
    uint32_t n_buffers; /* memtables: the one being filled, and those being written */
    uint64_t buffer_bytes;
    uint64_t manifest_bytes_max; /* a longer one is written anew */
    int n_open_files_max;
};

/* Whether one can be opened in this process. MN_ERR_UNSUPPORTED: built without RocksDB.
 * MN_ERR_FORKED: the process is a fork of one that asked before. */
MN_MUST_USE mn_status dc_rocks_check(struct mn_error *err);
MN_MUST_USE mn_status dc_rocks_open(const struct dc_rocks_config *config,
                                    struct dc_rocks **rocks_out, struct mn_error *err);
void dc_rocks_close(struct dc_rocks *rocks); /* NULL is fine */

/* Adds a value, which lies in three pieces, to what the next write stores. Copies it. */
void dc_rocks_put(struct dc_rocks *rocks, uint64_t number, struct mn_slice header,
                  struct mn_slice id, struct mn_slice value);
MN_MUST_USE mn_status dc_rocks_write(struct dc_rocks *rocks, struct mn_error *err);

/* MN_NOT_FOUND: there is no such number. The value lives until it is freed, also longer than the
 * handle. */
MN_MUST_USE mn_status dc_rocks_get(struct dc_rocks *rocks, uint64_t number, void **pin_out,
                                   struct mn_slice *value_out, struct mn_error *err);
void dc_rocks_free(void *pin);

/* Everything written before goes to a file. Without `wait` that happens later, but for the time
 * until a memtable is free. */
MN_MUST_USE mn_status dc_rocks_flush(struct dc_rocks *rocks, bool wait, struct mn_error *err);

/* A file of the database, whole and in its manifest. */
struct dc_rocks_file {
    uint64_t file_number;
    uint64_t first; /* number of a value */
    uint64_t last;
    uint64_t n_bytes;
    int level; /* 0: every get looks at it; 1: only gets of its range do */
};
typedef void dc_rocks_file_fn(void *context, const struct dc_rocks_file *file);
void dc_rocks_files(struct dc_rocks *rocks, dc_rocks_file_fn *each, void *context);

/* Moves all files of this range to level 1, without writing them again. */
void dc_rocks_move_down(struct dc_rocks *rocks, uint64_t first, uint64_t last);

/* Makes one file of all of level 1 in this range. Whether that went well is seen in the files. */
void dc_rocks_merge(struct dc_rocks *rocks, uint64_t first, uint64_t last);

/* Removes a file: one of level 1, or the oldest one where there is no level 1. Its space comes back
 * at once, or with the end of the flush that runs meanwhile: that one holds what was there when it
 * began. */
MN_MUST_USE mn_status dc_rocks_remove_file(struct dc_rocks *rocks, uint64_t file_number,
                                           struct mn_error *err);
/* Whether a flush runs now. */
bool dc_rocks_is_flushing(struct dc_rocks *rocks);

#endif
