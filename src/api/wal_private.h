/*
 * wal_private.h - what the files that face the log share.
 */
#ifndef MNI_API_WAL_PRIVATE_H
#define MNI_API_WAL_PRIVATE_H

#include <stdatomic.h>

#include "io/thread.h"
#include "mneme/wal.h"
#include "wal/wal.h"

/* A record of a log on its own, inside a commit (docs/format/wal.md). */
enum {
    ALONE_OFF_BYTES = 0,    /* u32, length of the data */
    ALONE_OFF_RESERVED = 4, /* u32, 0 */
    ALONE_OFF_DATA = 8,     /* the data, then zeroes up to a multiple of 8 */
    ALONE_ALIGN = 8,
};

struct mn_wal {
    struct mni_wal *log;          /* owned */
    struct mni_fork_guard *guard; /* owned */
    bool is_read_only;
    atomic_uint n_txns; /* open ones */

    /* The automatic checkpoint. */
    uint64_t threshold_records;
    /* as in the options; NULL = none */
    mn_status (*checkpoint)(void *context, uint64_t newest_lsn, uint64_t *safe_lsn_out);
    void *checkpoint_context;           /* of the caller */
    atomic_uint_fast64_t n_since_asked; /* records since the checkpoint, or since "not now" */
    atomic_bool is_asking;              /* the callback runs */
};

/* MN_ERR_INVALID without a handle, MN_ERR_FORKED in a child. */
MN_MUST_USE mn_status api_wal_check(const mn_wal *wal, struct mn_error *err);

#endif
