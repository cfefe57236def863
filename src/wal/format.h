/*
 * format.h - offsets of the log's file header and frames; the spec is docs/format/wal.md.
 */
#ifndef MNI_WAL_FORMAT_H
#define MNI_WAL_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_MAGIC "MNEMEWAL"

enum { WAL_VERSION = 1 };

/* No header names a higher LSN, so that arithmetic on LSNs does not overflow. */
#define WAL_LSN_MAX ((uint64_t)INT64_MAX)

enum {                            /* the first block of a file */
       HEADER_OFF_MAGIC = 0,      /* 8 bytes */
       HEADER_OFF_VERSION = 8,    /* u32 */
       HEADER_OFF_FLAGS = 12,     /* u32, enum wal_header_flags */
       HEADER_OFF_STORE_ID = 16,  /* 16 bytes */
       HEADER_OFF_SEQUENCE = 32,  /* u64, 1 for the first file ever */
       HEADER_OFF_FIRST_LSN = 40, /* u64, no frame of the file is below; also the file's name */
       HEADER_OFF_LSN_CEILING =
           48,                     /* u64, no LSN above was handed out while this file was newest */
       HEADER_OFF_SALT = 56,       /* u64, random */
       HEADER_OFF_FILE_BYTES = 64, /* u64, length of the file */
       HEADER_OFF_PREV_FIRST = 72, /* u64, first LSN of the file before, 0 for the first file */
       HEADER_OFF_PREV_SALT = 80,  /* u64 */
       HEADER_OFF_PREV_END = 88,   /* u64, offset behind the last frame of the file before */
       HEADER_OFF_PREV_LAST = 96,  /* u64, newest LSN when this file was begun */
       HEADER_OFF_CHECKPOINT = 104, /* u64, checkpoint LSN when this file was begun */
       HEADER_OFF_TIME = 112,       /* i64, newest commit time when this file was begun */
       HEADER_OFF_RESERVED = 120,   /* zeroes */
       HEADER_OFF_CRC = 4092,       /* u32, CRC-32C of bytes 0..4091 */
       HEADER_BYTES = 4096,
};
static_assert(HEADER_OFF_CRC + 4 == HEADER_BYTES, "log header layout");

enum wal_header_flags {
    HEADER_FLAG_RECYCLED = 1 << 0, /* the space behind the frames holds an older file's bytes */
    HEADER_FLAG_ALONE = 1 << 1,    /* a log on its own: its commits are no operations of a store */
};

enum {
    FRAME_OFF_HEADER_CRC = 0, /* u32, CRC-32C of salt, file offset and bytes 4..47 */
    FRAME_OFF_BYTES = 4,      /* u32, whole frame, a multiple of 8 */
    FRAME_OFF_LSN = 8,        /* u64 */
    FRAME_OFF_SYNCED_END =
        16,              /* u64, offset up to which the file was synced when this was written */
    FRAME_OFF_TIME = 24, /* i64, wall time of the commit, microseconds */
    FRAME_OFF_PAYLOAD_BYTES = 32, /* u32, without padding */
    FRAME_OFF_PAYLOAD_CRC = 36,   /* u32, CRC-32C of payload and padding */
    FRAME_OFF_RECORDS = 40,       /* u32 */
    FRAME_OFF_TYPE = 44,          /* u8, enum wal_frame_type */
    FRAME_OFF_RESERVED = 45,      /* 3 zeroes */
    FRAME_HEADER_BYTES = 48,
    FRAME_ALIGN = 8,
};
static_assert(FRAME_OFF_RESERVED + 3 == FRAME_HEADER_BYTES, "frame header layout");

enum wal_frame_type {
    FRAME_COMMIT = 1,     /* payload: the records of one commit; takes an LSN */
    FRAME_CHECKPOINT = 2, /* payload: u64 checkpoint LSN; LSN of the newest commit before it */
    FRAME_CLOSED = 3,     /* payload: u64 next LSN; closed here, everything before is synced */
    FRAME_ROTATED = 4,    /* payload: u64 next LSN; the log goes on in the next file */
};

enum {
    MARK_PAYLOAD_BYTES = 8, /* of the frames that are no commits */
    MARK_BYTES = FRAME_HEADER_BYTES + MARK_PAYLOAD_BYTES,
};

/* The fields of a file header. */
struct wal_header {
    uint32_t flags;
    unsigned char store_id[16];
    uint64_t sequence;
    uint64_t first_lsn;
    uint64_t lsn_ceiling;
    uint64_t salt;
    uint64_t file_bytes;
    uint64_t prev_first_lsn;
    uint64_t prev_salt;
    uint64_t prev_end;
    uint64_t prev_last_lsn;
    uint64_t checkpoint_lsn;
    int64_t time_us;
};

/* The fields of a frame header, its checksum apart. */
struct wal_frame {
    uint32_t frame_bytes;
    uint64_t lsn;
    uint64_t synced_end;
    int64_t time_us;
    uint32_t payload_bytes;
    uint32_t payload_crc;
    uint32_t n_records;
    enum wal_frame_type type;
};

#endif
