/*
 * diskcache_private.h - what the files of the disk cache share.
 */
#ifndef MNI_DISKCACHE_DISKCACHE_PRIVATE_H
#define MNI_DISKCACHE_DISKCACHE_PRIVATE_H

#include "diskcache/diskcache.h"
#include "diskcache/index_private.h"
#include "diskcache/rocks.h"
#include "io/thread.h"

#define DC_SEAL_NAME "mneme-cache.seal"
#define DC_SEAL_TEMP_NAME "mneme-cache.tmp"
#define DC_ROCKS_NAME "mneme-cache.db"

#define DC_MAGIC UINT64_C(0x6863616364696E6D) /* "mnidcach" */

enum {
    /* What a value may take in a file beyond its bytes: its key, its block, its place in the index
     * of blocks, all as long as they can be. */
    DC_VALUE_OVERHEAD_BYTES = 112,
    DC_FILE_OVERHEAD_BYTES = 8 << 10, /* what a file takes without values: at most */
    DC_FILE_RECORD_BYTES = 512,       /* of it in the manifest, and in the next one beside that */
    DC_VALUE_BYTES_MAX = 1 << 30,
    DC_MAX_BYTES_MIN = 4 << 20,
    DC_BUFFER_BYTES_MIN = 64 << 10,
    DC_BUFFER_BYTES_DEFAULT = 64 << 20,
    DC_BUFFER_COUNT_DEFAULT = 3,
    DC_GENERATIONS_MIN = 32, /* of a cache that is full, by default */
    DC_TIDY_STEP = 64,       /* cleared entries that a call takes apart, and due ones of a put */
    DC_STEP = 256,           /* entries of a long work, while nobody else has the index */
};

/* The oldest generation is looked through step by step before its space is needed, and what is in
 * use is moved to the newest one. */
struct dc_drain {
    uint64_t first;      /* its first number; 0: none is drained */
    uint64_t debt_bytes; /* of entries, to be looked at */
    uint64_t move_bytes; /* that may still be moved */
    uint32_t heat_min;   /* of entries that are moved */
    bool is_collection;  /* all are moved, for the space of what is dead between them */
};

struct mni_diskcache {
    uint64_t magic;
    struct mni_env *env; /* borrowed */
    struct mni_dir *dir; /* owned; locked. NULL: it was lost, and not found again */
    char path[MNI_PATH_BYTES_MAX];

    /* Settings, fixed. */
    uint64_t max_bytes; /* UINT64_MAX: no bound */
    uint64_t buffer_bytes;
    uint64_t manifest_bytes_max;
    uint64_t fixed_bytes;     /* of max_bytes: for all files but those of values, and the seal */
    uint64_t value_bytes_max; /* a larger one is not kept */
    uint32_t n_buffers;
    uint32_t n_files_max; /* of values; with more the oldest goes, or some become one */
    bool compress;

    /* One at a time puts, removes, drops files, rebuilds; taken before the other two. */
    struct mni_mutex write_lock;
    bool is_sealed;       /* the seal on disk is true */
    bool may_have_seal;   /* one may stand on disk, true or unknown: a change voids it first */
    bool owes_seal;       /* something has changed, and it could not be voided */
    uint64_t next_number; /* of a value */
    int64_t retry_at_us;  /* monotonic; when off: not before */
    int64_t failed_at_us; /* monotonic */
    uint32_t n_failures;  /* in a row, none of them long after the one before */
    struct dc_drain drain;

    /* Readers of RocksDB against whoever removes a file or closes it. Taken before index_lock. */
    struct mni_rwlock files_lock;
    struct dc_rocks *rocks; /* NULL: off; changes under write_lock and files_lock for writing */

    /* Everything below. Always taken for writing: it is a lock of this kind because its holder can
     * give way to those who wait for it. */
    struct mni_rwlock index_lock;
    struct dc_index index;
    uint64_t generation_bytes;        /* of max_bytes: for the values of all generations */
    struct mn_diskcache_stats counts; /* the counters of it */
    int64_t now_us;                   /* never goes back, nor stands still; the seal has it */
    int64_t mono_us;                  /* when it was that */
    char note[MN_ERROR_MESSAGE_BYTES];
    char off_why[MN_ERROR_MESSAGE_BYTES / 2]; /* why it went off first; under write_lock */
};

/* cache.c ----------*/

/* Puts down what is worth telling. Takes index_lock. */
void dc_note(struct mni_diskcache *c, const char *format, ...) MN_PRINTF(2, 3);
/* The clock, which never goes back. Under index_lock. */
int64_t dc_clock(struct mni_diskcache *c);
/* Takes index_lock, and has it with the time at which no entry is due: they go in steps, between
 * which others have the lock. */
int64_t dc_lock_now(struct mni_diskcache *c);
/* Lets go of index_lock, and gives way to those who wait for it. */
void dc_unlock_step(struct mni_diskcache *c);
/* Up to `n` entries that are due go; whether there are more. Under index_lock. */
bool dc_expire_some(struct mni_diskcache *c, int64_t now_us, uint32_t n);
/* An entry that is due goes. Under index_lock. */
void dc_expire(struct mni_diskcache *c, uint32_t e);
/* The entry of an id and its namespace; DC_NO_ENTRY where there is none that is not due. Under
 * index_lock. */
uint32_t dc_find(struct mni_diskcache *c, struct mn_slice name, struct mn_slice id,
                 struct dc_space **space_out);
/* An entry goes with what its value was found to be, or with a failure to read it; `number` tells
 * whether it is still this one. Takes index_lock. */
void dc_lose(struct mni_diskcache *c, const struct dc_entry *entry, const struct mn_error *why);
/* Removes everything and begins anew, or goes off. Under write_lock. */
void dc_rebuild(struct mni_diskcache *c, const char *why);
/* Whether it is on; tries to be, when it is time. Under write_lock. */
bool dc_is_on(struct mni_diskcache *c);

/* place.c: the directory ----------*/

/* Opens and locks it. MN_ERR_NO_STORE: it holds other things. */
MN_MUST_USE mn_status dc_place_open(struct mni_env *env, const char *path, struct mni_dir **dir_out,
                                    struct mn_error *err);
/* Removes all files of ours. */
MN_MUST_USE mn_status dc_place_clear(struct mni_dir *dir, struct mn_error *err);
/* Opens RocksDB's directory. */
MN_MUST_USE mn_status dc_place_rocks(struct mni_dir *dir, bool create, struct mni_dir **rocks_out,
                                     struct mn_error *err);

/* Whether the directory takes what RocksDB writes when it is opened. */
MN_MUST_USE mn_status dc_place_probe(struct mni_dir *dir, struct mn_error *err);

/* Names of RocksDB's files, in `name_out` of MNI_NAME_BYTES_MAX bytes. */
void dc_place_file_name(uint64_t number, char *name_out);
void dc_place_manifest_name(uint64_t number, char *name_out);

/* space.c: the bound, generations, eviction; all under write_lock ----------*/

/* Divides max_bytes. MN_ERR_INVALID: the settings do not fit. */
MN_MUST_USE mn_status dc_space_plan(struct mni_diskcache *c, uint64_t buffer_bytes,
                                    uint32_t n_buffers, struct mn_error *err);
/* What counts against max_bytes. Under index_lock too. */
uint64_t dc_space_used(const struct mni_diskcache *c);
/* What a value of an entry takes at most. */
static inline uint64_t dc_space_of_value(size_t id_bytes, size_t value_bytes)
{
    return (uint64_t)id_bytes + value_bytes + DC_VALUE_OVERHEAD_BYTES;
}
/* Whether a value has room in the newest generation, and what the seal needs for it. */
bool dc_space_has_room(struct mni_diskcache *c, uint64_t value_bytes, uint64_t seal_bytes);
/* Makes that room. A failure of the disk is an error, after which the cache is rebuilt; after
 * MN_ERR_NOMEM it is not, here and below. */
MN_MUST_USE mn_status dc_space_make(struct mni_diskcache *c, uint64_t value_bytes,
                                    uint64_t seal_bytes, struct mn_error *err);
/* Takes the room for a value, and says which number it has. */
uint64_t dc_space_take(struct mni_diskcache *c, uint64_t value_bytes);
/* The oldest generation goes, with the entries that it still has. */
MN_MUST_USE mn_status dc_space_drop_oldest(struct mni_diskcache *c, struct mn_error *err);
/* Goes on draining after so many bytes were put. */
MN_MUST_USE mn_status dc_drain_step(struct mni_diskcache *c, uint64_t put_bytes,
                                    struct mn_error *err);
/* Ends the newest generation, which goes to disk; with `wait`, all are there then. */
MN_MUST_USE mn_status dc_space_end_generation(struct mni_diskcache *c, bool wait,
                                              struct mn_error *err);
/* So many flushes leave so many files: the oldest go, or without a bound of bytes become fewer. */
MN_MUST_USE mn_status dc_space_limit_files(struct mni_diskcache *c, struct mn_error *err);
/* Learns from RocksDB which files there are by now. */
void dc_space_refresh(struct mni_diskcache *c);
/* Evicts until the bound holds. */
MN_MUST_USE mn_status dc_space_keep(struct mni_diskcache *c, struct mn_error *err);

/* value.c: values in RocksDB ----------*/

/* RocksDB ends the process when it is refused memory: so whether there is enough for what it does
 * with a large value of so many bytes is tried before it gets it. */
bool dc_value_has_memory(uint64_t value_bytes);
/* Adds a value to RocksDB's next write under this number. */
void dc_value_put(struct mni_diskcache *c, uint64_t number, uint64_t serial, struct mn_slice id,
                  struct mn_slice value);
/* Reads what an entry points to and checks it, the id too when it is given. Under files_lock, with
 * a copy of the entry. */
MN_MUST_USE mn_status dc_value_get(struct mni_diskcache *c, const struct dc_entry *entry,
                                   uint64_t serial, const struct mn_slice *id, void **pin_out,
                                   struct mn_slice *id_out, struct mn_slice *value_out,
                                   struct mn_error *err);

/* seal.c: the index as bytes ----------*/

struct dc_seal {
    uint64_t next_number;
    uint64_t next_serial;
    int64_t clock_us;
    uint64_t manifest_number;
    uint64_t manifest_bytes;
    uint64_t manifest_hash;
    uint32_t n_files;
    struct dc_seal_file {
        uint64_t file_number;
        uint64_t n_bytes;
        uint64_t tail_hash;
        uint64_t first;
        uint64_t last;
    } * files; /* owned */
};
void dc_seal_done(struct dc_seal *seal);

/* The bytes of a seal, as long as the index has so many entries. */
uint64_t dc_seal_bytes(const struct dc_index *x);
/* Takes one piece of the seal after the other, the header last: at most 1 MiB each. Where the index
 * is frozen it may let go of the lock meanwhile. */
typedef mn_status dc_seal_sink_fn(void *context, uint64_t offset, const void *data, size_t n,
                                  struct mn_error *err);
MN_MUST_USE mn_status dc_seal_encode(const struct dc_seal *seal, const struct dc_index *x,
                                     dc_seal_sink_fn *sink, void *context, struct mn_error *err);
/* Whether these may be the first SEAL_HEADER_BYTES of a seal of so many bytes. */
MN_MUST_USE mn_status dc_seal_check_header(const unsigned char *header, uint64_t n_bytes,
                                           struct mn_error *err);
/* Fills an empty index, with a generation per file. MN_ERR_CORRUPT or MN_ERR_UNSUPPORTED (another
 * version): the index is to be reset. The seal is to be done in any case. */
MN_MUST_USE mn_status dc_seal_decode(struct mn_slice bytes, struct dc_seal *seal_out,
                                     struct dc_index *x, struct mn_error *err);

/* seal_file.c ----------*/

/* Writes a seal for what is on disk, which nobody changes meanwhile. Under write_lock. */
MN_MUST_USE mn_status dc_seal_write(struct mni_diskcache *c, struct mn_error *err);
/* Reads it and checks RocksDB's files against it. MN_NOT_FOUND: there is none. */
MN_MUST_USE mn_status dc_seal_read(struct mni_diskcache *c, struct mn_error *err);
/* Removes the seal, durably. Under write_lock. */
MN_MUST_USE mn_status dc_seal_break(struct mni_diskcache *c, struct mn_error *err);
/* The seal on disk is no longer true: removes it, or makes it one that is refused where it cannot
 * be removed. After a failure it is owed. Under write_lock. */
MN_MUST_USE mn_status dc_seal_void(struct mni_diskcache *c, struct mn_error *err);
/* The same for a cache that is off, whose directory may not be open. Under write_lock. */
void dc_seal_void_off(struct mni_diskcache *c);

#endif
