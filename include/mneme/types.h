/*
 * types.h - small types that several parts of the interface share.
 */
#ifndef MNEME_TYPES_H
#define MNEME_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mneme/limits.h"
#include "mneme/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that somebody else owns. `data` may be NULL only when `n_bytes` is 0. */
struct mn_slice {
    const void *data;
    size_t n_bytes;
};

/* A slice over a NUL-terminated string, without the NUL. Ids and names may hold any UTF-8,
 * U+0000 included; build the slice by hand for those. */
static inline struct mn_slice mn_str(const char *s)
{
    struct mn_slice slice;
    slice.data = s;
    slice.n_bytes = strlen(s);
    return slice;
}

/* How safe a write is before the call returns. */
typedef enum mn_ack {
    MN_ACK_DEFAULT = 0, /* what the sync policy of the store or log says */
    MN_ACK_NONE = 1,    /* in the memory of this process: lost when the process ends badly */
    MN_ACK_OS = 2,      /* handed to the kernel: survives the process, not the machine */
    MN_ACK_DISK = 3,    /* synced: survives a crash of the machine */
} mn_ack;

/* When the log is synced without a call that asks for it. Sets the default ack level only: a call
 * that names MN_ACK_DISK is synced before it returns under every policy. */
typedef enum mn_sync_policy {
    MN_SYNC_DEFAULT = 0, /* MN_SYNC_EVERY_WRITE */
    MN_SYNC_EVERY_WRITE, /* default ack is MN_ACK_DISK */
    MN_SYNC_EVERY_N,     /* default ack is MN_ACK_OS, plus one sync every N commits */
    MN_SYNC_EVERY_MS,    /* default ack is MN_ACK_OS, plus one sync every N milliseconds */
    MN_SYNC_MANUAL,      /* default ack is MN_ACK_OS; flush, rotation and close sync */
} mn_sync_policy;

/* What opening does with a log that is not whole. */
typedef enum mn_recovery {
    MN_RECOVERY_TAIL = 0,      /* cut a torn tail; refuse damage anywhere else */
    MN_RECOVERY_STRICT,        /* refuse any damage, a torn tail included */
    MN_RECOVERY_POINT_IN_TIME, /* read-only: stop at an LSN or a time */
} mn_recovery;

#ifdef __cplusplus
}
#endif
#endif
