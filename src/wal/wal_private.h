/*
 * wal_private.h - what the files of this room share.
 */
#ifndef MNI_WAL_WAL_PRIVATE_H
#define MNI_WAL_WAL_PRIVATE_H

#include "base/buf.h"
#include "io/thread.h"
#include "wal/format.h"
#include "wal/wal.h"

enum {
    WAL_NAME_BYTES = 32,
    /* A write of so many bytes gains less from zeroed space than the zeroes cost. */
    WAL_UNZEROED_BYTES_MIN = 64 << 10,
    WAL_SPARES_MAX = 4, /* files kept to be used again: what a checkpoint gives back at once */
    /* What commits leave free at the end of a file: for the seal; for a checkpoint that lets older
     * files go when the disk is full; and for the checkpoint mark of a recovery, so that a
     * recovered file needs no more space than before. */
    WAL_MARKS_BYTES = 3 * MARK_BYTES,
};

/* The name under which the keeper makes a spare. Nothing was logged in it, and it may be in the
 * making at any time. */
#define WAL_MADE_SPARE_NAME "00000000000000000000.spare"

/* A file that has its space and waits to become the next one. */
struct wal_spare {
    char name[WAL_NAME_BYTES];
    uint64_t file_bytes; /* config.file_bytes, or less where the disk was full */
    uint64_t zeroed_to;  /* its space up to here was written and synced */
    bool is_recycled;    /* it holds the bytes of an older file */
};

/* A file of the log that stands in the directory. */
struct wal_file {
    struct wal_header header;
    uint64_t end;       /* offset behind the last frame of it that happened */
    uint64_t zeroed_to; /* of one that is no longer the newest: as in struct wal_spare */
    uint64_t last_lsn;  /* newest LSN at its end */
    uint64_t n_records;
    bool is_kept; /* it is in the archive */
};

/* The frames that wait to be written, and where in the newest file they belong. */
struct wal_writer {
    struct mni_file *file;  /* owned */
    unsigned char *buffer;  /* owned, aligned to MNI_DIRECT_ALIGN */
    size_t buffer_bytes;    /* capacity */
    uint64_t buffer_offset; /* where buffer[0] lies in the file: a multiple of `block_bytes` */
    size_t n_bytes;         /* filled */
    size_t n_written;       /* of them, handed to the kernel */
    size_t block_bytes;     /* MNI_DIRECT_ALIGN with direct I/O, else 1 */
    uint64_t zeroed_to;     /* the file's space up to here was written and synced before */
    bool has_unsynced;      /* something was handed to the kernel and not synced */
};

struct mni_wal {
    struct mni_wal_config config;
    struct mni_mutex trim_lock;  /* one truncation at a time, from taking files to removing them */
    struct mni_mutex queue_lock; /* guards queue, is_led, n_cursors, cursors */
    struct mni_commit *queue_head;
    struct mni_commit *queue_tail;
    bool is_led; /* somebody holds the leader's role */

    /* Only the leader touches what follows, but for the atomics. */
    struct wal_file *files; /* owned, oldest first; the last one is being written */
    size_t n_files;
    size_t files_capacity;
    struct wal_writer writer;
    uint64_t next_lsn;
    uint64_t newest_lsn; /* handed out last */
    uint64_t synced_lsn;
    uint64_t synced_end; /* of the newest file */
    uint64_t checkpoint_lsn;
    uint64_t records_since_checkpoint;
    uint64_t n_records_logged; /* since it was opened */
    uint64_t noted_lsn;        /* at which so many were logged, see mni_wal_note_position */
    uint64_t noted_records;
    uint64_t commits_since_sync;
    uint64_t groups_before_file; /* n_groups when the newest file was begun */
    int64_t last_sync_us;        /* monotonic */
    int64_t last_time_us;        /* of the newest commit, or of a clean close after it */
    uint64_t torn_tail_bytes;
    bool is_stopped; /* reading was, before a commit that is there */
    uint64_t opened_files;
    uint64_t opened_bytes;
    uint64_t opened_commits;
    uint64_t opened_records;
    uint64_t n_syncs;
    uint64_t n_groups;
    uint64_t n_commits;
    uint64_t bytes_written;
    struct mn_error poison; /* why the log is poisoned */

    atomic_uint_fast64_t visible_lsn;
    atomic_uint_fast64_t written_lsn;  /* handed to the kernel */
    atomic_uint_fast64_t filled_bytes; /* of the newest file, likewise */
    atomic_int_fast64_t visible_time_us;
    atomic_bool is_poisoned;
    atomic_bool has_strays; /* files may have a spare's name that are none: removing one failed */

    /* the background thread */
    struct mni_thread keeper;
    struct mni_mutex keeper_lock; /* guards what follows */
    struct mni_cond keeper_wakes;
    bool has_keeper;
    bool keeper_stops;
    bool wants_spare;
    bool is_erasing;  /* no file is recycled; the leader's */
    bool keeps_files; /* only files that are in the archive go; the leader's */
    bool wants_zeroes;
    unsigned n_spares;
    struct wal_spare spares[WAL_SPARES_MAX]; /* the one to be used next is the last */

    struct mni_wal_cursor *cursors; /* open ones, linked */
    unsigned n_cursors;
};

/* format.c: the codec of headers and frames ----------*/

void wal_header_encode(const struct wal_header *header, unsigned char *out);
/* MN_ERR_CORRUPT or MN_ERR_UNSUPPORTED; `name` is for the message. */
MN_MUST_USE mn_status wal_header_decode(const unsigned char *bytes, const char *name,
                                        struct wal_header *header_out, struct mn_error *err);
void wal_frame_encode(const struct wal_frame *frame, uint64_t salt, uint64_t offset,
                      unsigned char *out);
/* False when the checksum does not match: these bytes are no frame of this file at this offset. */
bool wal_frame_decode(const unsigned char *bytes, uint64_t salt, uint64_t offset,
                      struct wal_frame *frame_out);
/* Whether a frame may look like this; what is asked of bytes whose checksum holds. */
bool wal_frame_is_sane(const struct wal_frame *frame, uint64_t offset, uint64_t file_bytes);
size_t wal_frame_bytes(size_t payload_bytes);
/* Goes on with the checksum of a payload, in pieces. */
uint32_t wal_payload_crc(uint32_t crc, const void *data, size_t n);
/* How many of the `n` bytes at `offset` of a payload the checksum covers: all of them. */
size_t wal_crc_covers(size_t offset, size_t n);
/* Whether a frame of these bytes fits behind `end`, with the room for marks left behind it. */
static inline bool wal_frame_fits(const struct wal_header *header, uint64_t end, size_t frame_bytes)
{
    return end + frame_bytes + WAL_MARKS_BYTES <= header->file_bytes;
}
void wal_file_name(uint64_t first_lsn, char name_out[WAL_NAME_BYTES]);
/* The first LSN of a name such as 00000000000000000001.wal; false for other names. */
bool wal_file_name_parse(const char *name, uint64_t *first_lsn_out);
bool wal_name_is_spare(const char *name);

/* scan.c: walking the frames of one file ----------*/

struct wal_scan {
    struct mni_file *file;           /* borrowed */
    const char *name;                /* borrowed; for messages */
    const struct wal_header *header; /* borrowed */
    uint64_t offset;                 /* of the next frame */
    uint64_t last_lsn;               /* newest LSN before it */
    struct mni_buf window;           /* owned; bytes of the file from window_offset on */
    uint64_t window_offset;
};

void wal_scan_init(struct wal_scan *scan, struct mni_file *file, const char *name,
                   const struct wal_header *header);
void wal_scan_done(struct wal_scan *scan);
/*
 * The next frame. MN_END: no valid frame begins at scan->offset. MN_ERR_CORRUPT: a frame whose
 * checksums hold says something impossible. `payload_out` (padding included) is 8-aligned and valid
 * until the next call; NULL skips reading and checking the payload.
 */
MN_MUST_USE mn_status wal_scan_next(struct wal_scan *scan, struct wal_frame *frame_out,
                                    const unsigned char **payload_out, struct mn_error *err);
/* What lies behind a place where no valid frame begins. */
struct wal_beyond {
    uint64_t synced_end;    /* the furthest that a later frame of this file knows to be synced */
    uint64_t last_lsn;      /* newest LSN below it, as far as later frames tell */
    uint64_t remnant_bytes; /* from scan->offset on, that may be remnants of unfinished writes */
};
MN_MUST_USE mn_status wal_scan_beyond(struct wal_scan *scan, struct wal_beyond *beyond_out,
                                      struct mn_error *err);

/* Goes on behind a place where no valid frame begins: moves to the next header whose checksum
 * holds. MN_END: there is none. */
MN_MUST_USE mn_status wal_scan_skip_damage(struct wal_scan *scan, struct mn_error *err);

/* file.c: making files ----------*/

/* Whether files of this size are zeroed from end to end when they are made. */
static inline bool wal_file_is_written_whole(uint64_t file_bytes)
{
    return file_bytes <= MNI_WAL_ZERO_CHUNK_BYTES;
}
/* Makes and opens a file with this header for writing, durable but for its directory entry. Its
 * space is reserved, and zeroed up to `zeroed_to_out`. On an error nothing is left behind. */
MN_MUST_USE mn_status wal_file_make(struct mni_wal *wal, const char *name,
                                    const struct wal_header *header, struct mni_file **file_out,
                                    uint64_t *zeroed_to_out, struct mn_error *err);
/* The same; when space is short, the file may be as small as `need_bytes` and a little, and the
 * header says so. */
MN_MUST_USE mn_status wal_file_make_fitting(struct mni_wal *wal, const char *name,
                                            struct wal_header *header, uint64_t need_bytes,
                                            struct mni_file **file_out, uint64_t *zeroed_to_out,
                                            struct mn_error *err);
MN_MUST_USE mn_status wal_open_for_writing(struct mni_wal *wal, const char *name, unsigned flags,
                                           struct mni_file **file_out, struct mn_error *err);
MN_MUST_USE mn_status wal_write_zeroes(struct mni_file *file, uint64_t from, uint64_t to,
                                       struct mn_error *err);
/* Opens a file that the log knows to be there; MN_ERR_CORRUPT when it is not. Sets `name_out`. */
MN_MUST_USE mn_status wal_open_for_reading(struct mni_wal *wal, uint64_t first_lsn,
                                           char name_out[WAL_NAME_BYTES],
                                           struct mni_file **file_out, struct mn_error *err);
/* Begins the log's next file, with room for a frame of `frame_bytes`. The old one is synced before
 * and sealed after; one without a commit is replaced. Errors before anything was renamed leave the
 * log as it was. */
MN_MUST_USE mn_status wal_rotate_for(struct mni_wal *wal, size_t frame_bytes, struct mn_error *err);
MN_MUST_USE mn_status wal_random_salt(struct mni_wal *wal, uint64_t *salt_out,
                                      struct mn_error *err);
MN_MUST_USE mn_status wal_files_reserve(struct mni_wal *wal);
static inline struct wal_file *wal_current_file(struct mni_wal *wal)
{
    return &wal->files[wal->n_files - 1];
}

/* writer.c: bytes on their way into the newest file ----------*/

MN_MUST_USE mn_status wal_writer_init(struct mni_wal *wal, struct mn_error *err);
void wal_writer_done(struct mni_wal *wal);
/* Takes over `file`, to go on writing at `end`. */
void wal_writer_attach(struct mni_wal *wal, struct mni_file *file, uint64_t end,
                       uint64_t zeroed_to);
static inline uint64_t wal_writer_end(const struct wal_writer *w)
{
    return w->buffer_offset + w->n_bytes;
}
/* Appends bytes; writes the buffer out when it is full. A failure poisons the log. */
MN_MUST_USE mn_status wal_writer_append(struct mni_wal *wal, const void *data, size_t n,
                                        struct mn_error *err);
/* Hands everything to the kernel, and with MN_ACK_DISK makes it durable. A failure poisons. */
MN_MUST_USE mn_status wal_writer_put_out(struct mni_wal *wal, mn_ack ack, struct mn_error *err);
/* Appends a frame that is no commit: checkpoint mark or seal. The file has room for it. */
MN_MUST_USE mn_status wal_writer_append_mark(struct mni_wal *wal, enum wal_frame_type type,
                                             uint64_t value, struct mn_error *err);
/* Poisons the log: `err` says why. Returns `status`. */
mn_status wal_poison(struct mni_wal *wal, mn_status status, const struct mn_error *err);
MN_MUST_USE mn_status wal_fail_poisoned(struct mni_wal *wal, struct mn_error *err);

/* closed.c ---------- */

#define WAL_CLOSED_NAME "CLOSED"

/* Where the log ended when it was closed cleanly. */
struct wal_closed {
    bool is_there; /* false: there is none that is whole */
    uint64_t salt; /* of the file that was newest */
    uint64_t end;  /* offset behind its last frame before the seal */
    uint64_t last_lsn;
    uint64_t next_lsn;
};
/* The seal is synced already, so nothing depends on this: it does what it can. */
void wal_closed_write(struct mni_wal *wal, uint64_t end);
MN_MUST_USE mn_status wal_closed_read(struct mni_dir *dir, struct wal_closed *closed_out,
                                      struct mn_error *err);
MN_MUST_USE mn_status wal_closed_remove(struct mni_wal *wal, struct mn_error *err);

/* recovery.c ----------*/

MN_MUST_USE mn_status wal_recover(struct mni_wal *wal, struct mn_error *err);

/* trim.c ----------*/

/* Records of commits above `lsn` in the whole log. All frames are in the files already. */
MN_MUST_USE mn_status wal_count_records_after(struct mni_wal *wal, uint64_t lsn,
                                              uint64_t *n_records_out, struct mn_error *err);

/* keeper.c ----------*/

MN_MUST_USE mn_status wal_keeper_start(struct mni_wal *wal, struct mn_error *err);
void wal_keeper_stop(struct mni_wal *wal);
/* What the thread does each time it wakes. Returns after how many microseconds it must do it again,
 * under MN_SYNC_EVERY_MS, so that no commit waits for its sync longer than the interval. */
int64_t wal_keeper_work(struct mni_wal *wal);
void wal_keeper_want_spare(struct mni_wal *wal, bool zeroed);
/* Takes the spare, if one is ready. */
bool wal_take_spare(struct mni_wal *wal, struct wal_spare *spare_out);
unsigned wal_count_spares(struct mni_wal *wal);
/* Offers a file for reuse; false when there is one already. */
bool wal_offer_spare(struct mni_wal *wal, const struct wal_spare *spare);

/* cursor.c ----------*/

/* Whether a cursor reads the file that begins with this LSN. Only the leader. */
bool wal_is_being_read(struct mni_wal *wal, uint64_t first_lsn);

#endif
