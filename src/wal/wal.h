/*
 * wal.h - the write-ahead log: commits become durable in the order of their LSNs.
 *
 * The log is a directory of files (docs/format/wal.md). A commit is written as one frame, so that
 * it is there as a whole or not at all. Any number of threads commit at once: the first becomes the
 * leader of a group, gives out LSNs, writes all frames of the group with one write and makes them
 * as durable as the most careful member asked (group commit). Everything that touches the log's
 * files is done by whoever holds the leader's role; the role is passed on in the order of the
 * queue.
 *
 *     caller thread                        leader (one of the callers)
 *     mni_commit_init   payload CRC
 *     mni_wal_commit    joins the queue -> admit each -> LSN -> buffer -> write -> sync
 *                                       -> publish (hook) -> wakes the members -> next leader
 *
 * Phases of a log: opening -> open -> poisoned (a write or sync failed; reads only) -> closed.
 *
 * A simulated world has no threads: mni_wal_submit puts a commit into the queue and
 * mni_wal_lead_all works the queue off, in the same code; mni_wal_tick does what the background
 * thread would.
 */
#ifndef MNI_WAL_WAL_H
#define MNI_WAL_WAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "io/env.h"
#include "mneme/types.h"

enum { MNI_STORE_ID_BYTES = 16 };

enum { /* bounds of the log */
       MNI_WAL_FILE_BYTES_MIN =
           12288, /* header, one page, room to seal; users get 64 KiB or more */
       MNI_WAL_FILE_BYTES_DEFAULT = 64 << 20,
       MNI_WAL_BUFFER_BYTES = 1 << 20,
       MNI_WAL_GROUP_BYTES_MAX = 4 << 20, /* no more members join a group beyond this */
       MNI_WAL_ZERO_CHUNK_BYTES = 4 << 20,
       MNI_WAL_LSN_RESERVE = 1 << 20, /* LSNs that a file header reserves */
       /* a frame: a full batch, its header, and the records' own headers */
       MNI_WAL_PAYLOAD_BYTES_MAX = (MN_BATCH_BYTES_MAX) + (1 << 20),
};

struct mni_wal;
struct mni_commit;

/* One frame of the log, as replay shows it. `payload` is 8-aligned and valid during the call. */
struct mni_wal_entry {
    uint64_t lsn;
    int64_t time_us;
    uint32_t n_records;
    struct mn_slice payload; /* padding included: a multiple of 8 */
};

typedef mn_status mni_wal_replay_fn(void *context, const struct mni_wal_entry *entry,
                                    struct mn_error *err);

enum mni_admit {
    MNI_ADMIT,      /* goes into this group */
    MNI_ADMIT_LAST, /* goes into this group and ends it */
    MNI_REFUSE,     /* does not happen; the hook has set commit->status and its err */
    MNI_NEXT_GROUP, /* depends on an earlier member: ask again once that one is published */
};

/* What the log asks of the engine above. All run in the leader's thread, one group at a time. The
 * members of a group with n_records 0 are flushes; the hooks pass over them. */
struct mni_wal_hooks {
    void *context;
    /* Judges a commit before it gets an LSN. `is_first`: no earlier member is in the group, so
     * MNI_NEXT_GROUP would never end. NULL admits everything. */
    enum mni_admit (*admit)(void *context, struct mni_commit *commit, bool is_first);
    /* The commits from `first` on (linked by `next_in_group`) are as durable as asked, have their
     * LSNs and time. After it returns they are visible and answered. May be NULL. */
    void (*publish)(void *context, struct mni_commit *first);
    /* Wall time for commits, in microseconds: never below what readers were told. NULL: that of the
     * world. */
    int64_t (*now_us)(void *context);
    /* An admitted commit will not happen: the log failed. May be NULL. */
    void (*abandon)(void *context, struct mni_commit *commit);
    /* The log was synced, which took so long, until this monotonic time. May be NULL. */
    void (*synced)(void *context, int64_t took_us, int64_t now_us);
    /* So many bytes of old files are about to be given back, by whoever truncates; may wait. The
     * role is not held. May be NULL. */
    void (*freeing)(void *context, uint64_t n_bytes);
};

struct mni_wal_config {
    struct mni_env *env; /* borrowed; outlives the log */
    struct mni_dir *dir; /* owned by the log from a successful open on; the caller has locked what
                            needs a lock */
    unsigned char store_id[MNI_STORE_ID_BYTES];
    bool any_store_id; /* take the store id of the files */
    bool is_alone;     /* a log on its own; one of a store is MN_ERR_NO_STORE, and the reverse */
    bool create;       /* make the first file where there is none */
    bool read_only;
    bool no_background;
    mn_recovery recovery;
    uint64_t stop_lsn;
    int64_t stop_time_us;
    uint64_t checkpoint_lsn; /* the caller has everything up to here, also when the mark that lets
                                files be missing lies behind the stop; 0: nothing */
    bool is_anew;            /* whatever is in the directory: makes a new log that goes on above
                          checkpoint_lsn, then removes what was there */
    bool has_no_files;       /* a read-only log of nothing; `dir` is NULL */
    bool is_archive;         /* files that were kept, for reading up to the stop: those are passed
                              over that are beyond it or below checkpoint_lsn, all others must be
                              there. The newest may be sealed; marks count for nothing */
    int64_t time_us; /* of a log that is new, or of nothing: no commit to come is before it */
    uint64_t file_bytes;
    mn_sync_policy sync;
    uint32_t sync_every_commits;
    uint32_t sync_interval_ms;
    struct mni_wal_hooks hooks;
    mni_wal_replay_fn *replay; /* called for each commit while opening; may be NULL */
    /* Called when all of the log was read, before anything of it is changed: what it fails with,
     * opening fails with. `last_lsn` is the newest that the log knows of, UINT64_MAX where it was
     * read only up to a stop. May be NULL. */
    mn_status (*check)(void *context, uint64_t checkpoint_lsn, uint64_t last_lsn,
                       struct mn_error *err);
    /* Called when the disk is too full for the file that opening writes anew. True: it gave space
     * back, so that it is tried once more. May be NULL. */
    bool (*make_room)(void *context);
    void *replay_context; /* of all three */
    /* May be NULL. When opening fails: n_files, opened_bytes, opened_commits and opened_records of
     * what was read until then, the file included in which it failed. */
    struct mni_wal_stats *failed_out;
};

/*
 * Opens a log: reads and checks every file, calls `replay` for each commit in order, cuts a torn
 * tail and (unless read-only) rewrites the newest file, so that it never appends to a file that it
 * found. MN_ERR_CORRUPT names file, offset and LSN range. MN_NOT_FOUND: no log file, and `create`
 * is not set. On an error the caller keeps `dir`.
 */
MN_MUST_USE mn_status mni_wal_open(const struct mni_wal_config *config, struct mni_wal **wal_out,
                                   struct mn_error *err);

/* Syncs, seals the end and frees the log, whatever it returns. NULL is fine. No other call runs. */
MN_MUST_USE mn_status mni_wal_close(struct mni_wal *wal, struct mn_error *err);

/* Frees the log as it is, as if the process had ended. For tests of recovery. */
void mni_wal_abandon(struct mni_wal *wal);

/* No LSN above it was ever handed out by the log in this directory, as far as its files tell; 0
 * when there are none. For a log that may be damaged. Reads the newest file's header only. */
MN_MUST_USE mn_status mni_wal_lsn_bound(struct mni_dir *dir, uint64_t *lsn_out,
                                        struct mn_error *err);

/* Commits ----------*/

struct mni_commit {
    /* by the caller; borrowed until the commit is answered */
    const struct mn_slice *parts; /* the payload in pieces, each a multiple of 8 bytes */
    size_t n_parts;
    uint32_t n_records; /* 0: no frame; the call only waits for what is before it (flush) */
    mn_ack ack;
    void *owner;          /* for the hooks */
    struct mn_error *err; /* may be NULL */

    /* by mni_commit_init */
    size_t payload_bytes;
    uint32_t payload_crc;

    /* the answer */
    mn_status status;
    uint64_t lsn;
    int64_t time_us;
    struct mni_commit *next_in_group;

    /* by the log */
    struct mni_commit *next;
    atomic_uint state;
    bool is_exclusive;
};

/* Fills in a commit of these parts. MN_ERR_LIMIT when they are over the limit of a commit. */
MN_MUST_USE mn_status mni_commit_init(struct mni_commit *commit, const struct mn_slice *parts,
                                      size_t n_parts, uint32_t n_records, mn_ack ack, void *owner,
                                      struct mn_error *err);

/* Commits, and returns commit->status. Any thread. */
MN_MUST_USE mn_status mni_wal_commit(struct mni_wal *wal, struct mni_commit *commit);

/* The two halves, for a world without threads. After mni_wal_lead_all all that were submitted are
 * answered. */
void mni_wal_submit(struct mni_wal *wal, struct mni_commit *commit);
void mni_wal_lead_all(struct mni_wal *wal);

/* Waits for the leader's role and holds it, alone, until mni_wal_leave: no group is worked
 * meanwhile. `role` stays in place until then. Not on a read-only log. */
void mni_wal_enter(struct mni_wal *wal, struct mni_commit *role);
void mni_wal_leave(struct mni_wal *wal);

/* Syncs everything committed so far. Any thread. */
MN_MUST_USE mn_status mni_wal_flush(struct mni_wal *wal, struct mn_error *err);

/* What the background thread does from time to time: a sync that is due, a spare file. */
void mni_wal_tick(struct mni_wal *wal);

/* Checkpoint and trim ----------*/

/* Remembers where the log is, so that a checkpoint at the newest LSN there is made without counting
 * what lies behind it in the files. The leader's role is held. */
void mni_wal_note_position(struct mni_wal *wal);

/* Notes durably that everything up to `lsn` is safe elsewhere. Never goes back. */
MN_MUST_USE mn_status mni_wal_checkpoint(struct mni_wal *wal, uint64_t lsn, struct mn_error *err);

/* Removes files whose commits all lie at or below `lsn` and the checkpoint, never the newest. */
MN_MUST_USE mn_status mni_wal_truncate(struct mni_wal *wal, uint64_t lsn, uint64_t *n_records_out,
                                       struct mn_error *err);

/* Starts a new file now, when the current one holds a frame. */
MN_MUST_USE mn_status mni_wal_rotate(struct mni_wal *wal, struct mn_error *err);

/* Removes the files that wait to be used again, all but one, for somebody who needs their space; of
 * the last one, if it is meant too, little is left: commits go on in it on a full disk. False:
 * nothing was there to give. Any thread. */
bool mni_wal_drop_spares(struct mni_wal *wal, bool is_last_too);

/*
 * Erasing: what was committed so far shall leave no byte behind. From begin to end no file is
 * recycled; begin removes all that left the log before, also what could not be removed then, and
 * fails when it still cannot; and it starts a new file, so that a checkpoint above it and
 * mni_wal_truncate remove all that was there. The caller erases once at a time.
 */
MN_MUST_USE mn_status mni_wal_erase_begin(struct mni_wal *wal, struct mn_error *err);
void mni_wal_erase_end(struct mni_wal *wal);

/*
 * Archive: another directory in which copies of the log's files are kept, when these are no longer
 * written to, under the same names and as long as their frames reach. One whose name is there
 * already is replaced.
 */
/* Called after each piece that was copied; may wait. A status other than MN_OK ends it. */
typedef mn_status mni_wal_pace_fn(void *context, uint64_t n_bytes, struct mn_error *err);

/* From here on only files that are in the archive leave the log, or any again. */
void mni_wal_keep_files(struct mni_wal *wal, bool keeps);
/* Brings all files but the newest into the archive, and makes that durable. One caller at a time.
 */
MN_MUST_USE mn_status mni_wal_archive(struct mni_wal *wal, struct mni_dir *archive,
                                      mni_wal_pace_fn *pace, void *context, struct mn_error *err);
/* The same of a log that nobody has open, the newest file included. */
MN_MUST_USE mn_status mni_wal_archive_all(struct mni_dir *dir, struct mni_dir *archive,
                                          struct mn_error *err);

/*
 * Reads the commits of the files in an archive, each file by itself, in the order of LSNs; `each`
 * may answer MN_END to go on with the next file. `file` is told how it went: MN_OK, what `each`
 * answered, or why the file could not be read to its end. MN_ERR_NOMEM, or an error of listing.
 */
typedef void mni_wal_file_fn(void *context, const char *name, mn_status status);
MN_MUST_USE mn_status mni_wal_read_archive(struct mni_dir *archive, mni_wal_replay_fn *each,
                                           mni_wal_file_fn *file, void *context,
                                           struct mn_error *err);

/* Reading ----------*/

/* Commits from `from_lsn` on, also while others append. Any thread; one at a time per cursor. */
struct mni_wal_cursor;
MN_MUST_USE mn_status mni_wal_cursor_open(struct mni_wal *wal, uint64_t from_lsn,
                                          struct mni_wal_cursor **cursor_out, struct mn_error *err);
/* MN_END: nothing more for now. The entry is valid until the next call. */
MN_MUST_USE mn_status mni_wal_cursor_next(struct mni_wal_cursor *cursor,
                                          struct mni_wal_entry *entry_out, struct mn_error *err);
void mni_wal_cursor_close(struct mni_wal_cursor *cursor);
unsigned mni_wal_n_cursors(struct mni_wal *wal);

/* Salvage: reading a log that may be damaged anywhere, without changing it ----------*/

struct mni_wal_salvage {
    struct mni_dir *dir;           /* borrowed */
    const unsigned char *store_id; /* NULL: take any */
    uint64_t have_lsn;             /* commits up to here may be missing */
    mni_wal_replay_fn *each;       /* every commit that is whole, in the order of LSNs */
    void (*damage)(void *context, const char *file, const char *what);
    /* May be NULL. Commits with LSNs in [first, last] are not there, or only some of them; `last`
     * is UINT64_MAX where nothing tells. Comes before the commits behind them, also for those that
     * a checkpoint trimmed. */
    void (*absent)(void *context, uint64_t first_lsn, uint64_t last_lsn);
    void *context;
};

/* MN_OK also when nothing could be read. MN_ERR_NOMEM, and what `each` fails with. */
MN_MUST_USE mn_status mni_wal_salvage(const struct mni_wal_salvage *salvage, struct mn_error *err);

/* Numbers ----------*/

uint64_t mni_wal_visible_lsn(const struct mni_wal *wal); /* of the newest published commit */
/* Of the newest commit, or of a clean close after it; 0 = none. No commit to come is before it. */
int64_t mni_wal_last_time_us(const struct mni_wal *wal);
const unsigned char *mni_wal_store_id(const struct mni_wal *wal);

struct mni_wal_stats {
    uint64_t current_lsn;
    uint64_t durable_lsn;
    uint64_t checkpoint_lsn;
    uint64_t n_files;
    uint64_t current_file_bytes;
    uint64_t current_file_records;
    uint64_t n_records;
    uint64_t records_since_checkpoint;
    uint64_t n_syncs;
    uint64_t n_groups;
    uint64_t n_commits;
    uint64_t bytes_written;
    uint64_t torn_tail_bytes;
    uint64_t memory_bytes;
    /* what opening read */
    uint64_t opened_bytes;
    uint64_t opened_commits;
    uint64_t opened_records;
    bool is_stopped; /* reading ended where it was asked to, before a commit that is there */
    bool direct_io;
    bool is_poisoned;
};
void mni_wal_get_stats(struct mni_wal *wal, struct mni_wal_stats *stats_out);

/* Whether a name is one that the log gives to its files. */
bool mni_wal_is_log_name(const char *name);

#endif
