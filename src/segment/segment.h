/*
 * segment.h - immutable files of records, with their indexes in them.
 *
 * A segment holds rows of many collections, sorted by (collection, key), newest version of a key
 * first. A row is a whole record, its LSN, and nothing that can change: which rows are dead is said
 * elsewhere (live.h). The layout is docs/format/segment.md.
 *
 * Writing takes two passes over the same rows, because the place of each column depends on the
 * sizes of the others:
 *
 *     plan      mni_segment_plan_add per row, until it answers MN_END: the segment is full
 *     write     mni_segment_writer_new, _add per row again, _finish
 *
 * Reading goes through a source of bytes: a mapped file, or something that fetches ranges. Opening
 * reads header and footer only. Every 16 KiB block is checked when it is first touched; a bad one
 * is MN_ERR_CORRUPT with the names of file and block, and the rows in other blocks stay readable.
 * What a good checksum covers is still checked for sense before it is followed.
 *
 * Threads: plans and writers belong to one thread at a time. A segment may be read, reffed and
 * unreffed by any number of threads.
 */
#ifndef MNI_SEGMENT_SEGMENT_H
#define MNI_SEGMENT_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "io/env.h"
#include "record/record.h"

enum {
    MNI_SEGMENT_BLOCK_BYTES = 16384, /* what a checksum covers */
    MNI_SEGMENT_ID_BYTES = 16,
    MNI_SEGMENT_NAME_BYTES = 37, /* 32 hexadecimal digits, ".seg", NUL */
};
#define MNI_SEGMENT_ROWS_MAX (UINT64_C(1) << 31)
#define MNI_SEGMENT_FILE_BYTES_DEFAULT (UINT64_C(256) << 20)

struct mni_segment_id {
    unsigned char bytes[MNI_SEGMENT_ID_BYTES];
};

void mni_segment_name(const struct mni_segment_id *id, char name_out[MNI_SEGMENT_NAME_BYTES]);
/* False: not the name of a segment. */
bool mni_segment_parse_name(const char *name, struct mni_segment_id *id_out);

/* What a manifest keeps of a segment: enough to read its footer with one read, and to know it from
 * any other file. */
struct mni_segment_info {
    struct mni_segment_id id;
    uint64_t file_bytes;
    uint32_t footer_bytes; /* the last ones of the file */
    uint32_t footer_crc;
    uint64_t n_rows;
    uint64_t n_keys; /* rows that are the newest version of their key */
    uint64_t n_groups;
    uint64_t n_expiring; /* rows with an expiry */
    uint64_t min_lsn;    /* of the rows' `lsn` */
    uint64_t max_lsn;
    int64_t min_expiry_us; /* INT64_MAX when no row expires */
};

/* Rows --------------------------------------------------------------------------------------------
 */

/* Holds what a row points to, where the source fetches bytes or a vector is decoded. All zero for
 * other rows of a mapped file. */
struct mni_segment_pins {
    void *vector;
    void *blob;
    void *payload;
};

/* A row is given to plan and writer in this form, and comes back from a segment in it. */
struct mni_segment_row {
    struct mni_record record; /* an upsert; what it points to is borrowed, see the calls */
    uint64_t lsn;             /* of the newest change that is folded in: upsert or patch */
    uint64_t record_lsn;      /* of the upsert; at most `lsn` */
    bool is_older;            /* the row before is a newer version of the same key (reading only) */
    struct mni_segment_pins pins; /* reading only */
};

/* Planning ----------------------------------------------------------------------------------------
 */

struct mni_segment_plan;

/* `file_bytes_max` 0 is the default. */
MN_MUST_USE mn_status mni_segment_plan_new(uint64_t file_bytes_max,
                                           struct mni_segment_plan **plan_out);
void mni_segment_plan_free(struct mni_segment_plan *plan);
void mni_segment_plan_reset(struct mni_segment_plan *plan); /* to plan another segment */

/*
 * Adds a row behind those before it: (collection, key) ascending, versions of one key by `lsn`
 * descending; the caller's bug otherwise. MN_END: the segment is full without this row, which
 * begins the next one. A segment never ends between two versions of a key, and holds at least one
 * key however large. MN_ERR_DIMENSION: the collection's rows before have vectors of another shape.
 * MN_ERR_LIMIT: the versions of one key exceed what a file can hold.
 */
MN_MUST_USE mn_status mni_segment_plan_add(struct mni_segment_plan *plan,
                                           const struct mni_segment_row *row, struct mn_error *err);

/* The collections whose records are points, ascending: their groups get tables of entities and
 * times. Borrowed by the plan while rows are added to it and to writers of it; none without the
 * call. Their keys are those of points, or adding is MN_ERR_CORRUPT. */
struct mni_segment_points {
    uint64_t *collections;
    /* Of each: one point in so many is a keyframe, those between are stored as differences where
     * that makes the segment shorter; 0, and up to 1: all are whole. At most 65,535. NULL: all 0.
     */
    uint32_t *keyframe_every;
    size_t n_collections;
};
void mni_segment_plan_set_points(struct mni_segment_plan *plan,
                                 const struct mni_segment_points *points);

#ifdef MNI_TEST_HOOKS
/* Only in the library that the tests link: differences are written wherever they are asked for,
 * shorter or not. Set it before the first plan. */
extern bool mni_keyframes_forced;
#endif

uint64_t mni_segment_plan_n_rows(const struct mni_segment_plan *plan);
uint64_t mni_segment_plan_file_bytes(const struct mni_segment_plan *plan); /* of a file of it */
/* What a writer of this plan allocates at most. */
uint64_t mni_segment_plan_memory_bytes(const struct mni_segment_plan *plan);

/* Writing -----------------------------------------------------------------------------------------
 */

/* Called before `n_bytes` are written; it may wait. A status other than MN_OK ends the writing and
 * is returned. */
typedef mn_status mni_pace_fn(void *context, uint64_t n_bytes, struct mn_error *err);

struct mni_segment_writer_config {
    struct mni_dir *dir;                 /* borrowed until the writer is finished or abandoned */
    const char *name;                    /* of the file; NULL: that of the id. Borrowed likewise */
    struct mni_segment_id id;            /* never used before */
    const struct mni_segment_plan *plan; /* borrowed likewise, with at least one row */
    bool is_buffered;  /* through the page cache, also where direct I/O is there */
    mni_pace_fn *pace; /* may be NULL */
    void *pace_context;
};

struct mni_segment_writer;

/* Creates the file. MN_EXISTS: there is one of this name. */
MN_MUST_USE mn_status mni_segment_writer_new(const struct mni_segment_writer_config *config,
                                             struct mni_segment_writer **writer_out,
                                             struct mn_error *err);

/* The rows of the plan, in the same order. Everything is copied. After a failure only abandon is
 * left. MN_ERR_INVALID: this is not what was planned. */
MN_MUST_USE mn_status mni_segment_writer_add(struct mni_segment_writer *writer,
                                             const struct mni_segment_row *row,
                                             struct mn_error *err);

/* Writes the rest, syncs the file (not the directory), and frees the writer when it succeeds; after
 * a failure only abandon is left. */
MN_MUST_USE mn_status mni_segment_writer_finish(struct mni_segment_writer *writer,
                                                struct mni_segment_info *info_out,
                                                struct mn_error *err);

/* Frees the writer and removes its file, if it can: a file that stays is named by no manifest. NULL
 * is fine. */
void mni_segment_writer_abandon(struct mni_segment_writer *writer);

/* Sources -----------------------------------------------------------------------------------------
 */

struct mni_source;

struct mni_source_ops {
    /* Fetches `n` > 0 bytes at `offset`, which lie inside the source. They stay until `release` of
     * `pin_out`, an even address. Theirs is a multiple of 64 if `offset` is. Any thread. */
    mn_status (*get)(struct mni_source *source, uint64_t offset, size_t n,
                     const unsigned char **bytes_out, void **pin_out, struct mn_error *err);
    void (*release)(struct mni_source *source, void *pin);
    /* A hint that the range will be read soon, in order. May be NULL. */
    void (*will_read)(struct mni_source *source, uint64_t offset, uint64_t n);
    void (*close)(struct mni_source *source);
};

struct mni_source {
    const struct mni_source_ops *ops;
    const unsigned char *map; /* all bytes, if they lie in memory; `get` is not called then */
    uint64_t n_bytes;
};

/* Opening -----------------------------------------------------------------------------------------
 */

struct mni_segment;

/*
 * Opens and maps the file of a segment; the caller has one reference. `expected` (may be NULL) is
 * what the manifest says. MN_NOT_FOUND: there is no such file. MN_ERR_CORRUPT: header or footer is
 * damaged, or the file is another one than expected. MN_ERR_UNSUPPORTED: it was written by a newer
 * program.
 */
MN_MUST_USE mn_status mni_segment_open(struct mni_dir *dir, const struct mni_segment_id *id,
                                       const struct mni_segment_info *expected,
                                       struct mni_segment **segment_out, struct mn_error *err);

/* The same over a source, which the segment takes over if it succeeds. */
MN_MUST_USE mn_status mni_segment_open_source(struct mni_source *source,
                                              const struct mni_segment_id *id,
                                              const struct mni_segment_info *expected,
                                              struct mni_segment **segment_out,
                                              struct mn_error *err);

void mni_segment_ref(struct mni_segment *segment);
void mni_segment_unref(struct mni_segment *segment); /* NULL is fine; the last one closes */

/* The last unref removes the file from `dir`, borrowed until then. If that fails, the file is one
 * that no manifest names. May be called again. */
void mni_segment_doom(struct mni_segment *segment, struct mni_dir *dir);

const struct mni_segment_info *mni_segment_get_info(const struct mni_segment *segment);
const char *mni_segment_label(const struct mni_segment *segment); /* its name, for messages */
uint64_t mni_segment_memory_bytes(const struct mni_segment *segment);

/* The first and the last key, with their collections. Read from the footer: no block is touched. */
struct mni_segment_bounds {
    uint64_t first_collection;
    uint64_t last_collection;
    struct mn_slice first_key; /* borrowed from the segment */
    struct mn_slice last_key;
};
void mni_segment_get_bounds(const struct mni_segment *segment,
                            struct mni_segment_bounds *bounds_out);

/* Looking up --------------------------------------------------------------------------------------
 *
 * Row numbers run from 0 to n_rows - 1. All calls may answer MN_ERR_CORRUPT, and what the source
 * fails with; MN_NOT_FOUND is given only when every byte that says so was good.
 */

/* A hint that a key of this hash will be looked for in these segments, of which some may be NULL:
 * who asks several segments, or for several keys, gives all hints first and waits once. */
void mni_segments_prefetch(const struct mni_segment *const *segments, size_t n, uint64_t hash);

/* Leaves out segments at the end that hold no key of this hash, or are NULL. Returns how many are
 * left: the last of them may hold one. Reads what was checked before, and nothing else. */
size_t mni_segments_seek(const struct mni_segment *const *segments, size_t n, uint64_t hash);

/* The second hint, when the first has had its time: fetches the row that a key probably has. False:
 * it probably has none here. */
bool mni_segment_prefetch_row(const struct mni_segment *segment, uint64_t hash,
                              uint64_t collection);

/* The row of the newest version of a key; `hash` is mni_key_hash of it. */
MN_MUST_USE mn_status mni_segment_find(struct mni_segment *segment, uint64_t hash,
                                       uint64_t collection, struct mn_slice key, uint32_t *row_out,
                                       struct mn_error *err);

/* The same with all of the row, as mni_segment_row gives it. */
MN_MUST_USE mn_status mni_segment_find_row(struct mni_segment *segment, uint64_t hash,
                                           uint64_t collection, struct mn_slice key,
                                           uint32_t *row_index_out, struct mni_segment_row *row_out,
                                           struct mn_error *err);

/*
 * The rows of newest versions that have a second key; `hash` is mni_key_hash of it. There can be
 * several: a row that is dead does not give its second key back. `cursor` is 0 to begin with; the
 * next call goes on behind the row found.
 */
MN_MUST_USE mn_status mni_segment_find_second(struct mni_segment *segment, uint64_t hash,
                                              uint64_t collection, const unsigned char *second_key,
                                              uint64_t *cursor, uint32_t *row_out,
                                              struct mn_error *err);

/* A row. What it points to is the segment's, or was decoded, and stays until mni_segment_row_done.
 */
MN_MUST_USE mn_status mni_segment_row(struct mni_segment *segment, uint32_t row,
                                      struct mni_segment_row *row_out, struct mn_error *err);
/* The same without its vector, which is NULL; nothing is read or decoded for it. */
MN_MUST_USE mn_status mni_segment_row_without_vector(struct mni_segment *segment, uint32_t row,
                                                     struct mni_segment_row *row_out,
                                                     struct mn_error *err);
void mni_segment_row_done(struct mni_segment *segment, struct mni_segment_row *row);

/* Takes the memory of a vector that was decoded from its row: mni_segment_row_done leaves it alone,
 * and mni_segment_decoded_free frees it. Before the vector are spare bytes, for whoever took it.
 * NULL: the vector was not decoded. */
enum { MNI_SEGMENT_SPARE_BYTES = 64 };
void *mni_segment_row_take(struct mni_segment_row *row);
void mni_segment_decoded_free(void *buffer);
/* All that is left to let go of when the row is one of a mapped file, or of none. */
void mni_segment_row_forget(struct mni_segment_row *row);

/* What is in a row's fixed header: everything but pointers; the sizes of key, metadata and payload
 * are set. Hits are not in it. Touches one cache line and needs no done. */
MN_MUST_USE mn_status mni_segment_row_head(struct mni_segment *segment, uint32_t row,
                                           struct mni_segment_row *row_out, struct mn_error *err);

/* The first row at or behind (collection, key), n_rows if there is none. */
MN_MUST_USE mn_status mni_segment_lower_bound(struct mni_segment *segment, uint64_t collection,
                                              struct mn_slice key, uint64_t *row_out,
                                              struct mn_error *err);

/* The rows of a collection with keys at or behind `low` and before `high`; an empty `high` is
 * behind all. There may be none: then both are the same. MN_NOT_FOUND: there is no row of the
 * collection. */
MN_MUST_USE mn_status mni_segment_key_range(struct mni_segment *segment, uint64_t collection,
                                            struct mn_slice low, struct mn_slice high,
                                            uint32_t *first_out, uint32_t *end_out,
                                            struct mn_error *err);

/* A hint: the row will be read. */
void mni_segment_prefetch_head(const struct mni_segment *segment, uint32_t row);

/* A hint that these rows will be read in order, as a merge does. */
void mni_segment_will_read_rows(struct mni_segment *segment, uint64_t first_row, uint64_t n_rows);

/* Groups: the rows of one collection --------------------------------------------------------------
 */

struct mni_segment_group {
    uint64_t collection;
    uint32_t first_row;
    uint32_t n_rows;
    uint32_t n_keys;
    uint32_t n_vectors;
    uint32_t n_dims; /* 0 when there are no vectors */
    enum mni_element_type element_type;
    int64_t min_expiry_us;   /* INT64_MAX when no row expires */
    uint64_t vectors_offset; /* for the room only, as is what follows */
    uint64_t rows_offset;
    bool has_rows;
    bool has_no_codes;
    uint64_t codes_offset;
    uint64_t signs_offset;
    bool has_codes;          /* and signs; not for the room only */
    bool has_differences;    /* likewise: vectors are decoded when they are read */
    uint32_t keyframe_every; /* of these; else 0 */
    uint32_t first_place;    /* for the room only */
};

/* Group `index` of n_groups, in the order of collections. */
MN_MUST_USE mn_status mni_segment_group(struct mni_segment *segment, uint64_t index,
                                        struct mni_segment_group *group_out, struct mn_error *err);
/* MN_NOT_FOUND: the segment holds no row of the collection. */
MN_MUST_USE mn_status mni_segment_find_group(struct mni_segment *segment, uint64_t collection,
                                             struct mni_segment_group *group_out,
                                             struct mn_error *err);

/* Vectors `first` to `first + n - 1` of a group, packed, in the order of rows; the first of the
 * group stands at a multiple of 64. With differences they are decoded into memory of their size,
 * where one alone stands at a multiple of 16. `n` > 0. Release with mni_segment_release(segment,
 * pin). */
MN_MUST_USE mn_status mni_segment_vectors(struct mni_segment *segment,
                                          const struct mni_segment_group *group, uint32_t first,
                                          uint32_t n, const void **vectors_out, void **pin_out,
                                          struct mn_error *err);
void mni_segment_release(struct mni_segment *segment, void *pin);
/* The row that a vector of a group belongs to. */
MN_MUST_USE mn_status mni_segment_vector_row(struct mni_segment *segment,
                                             const struct mni_segment_group *group,
                                             uint32_t vector_index, uint32_t *row_out,
                                             struct mn_error *err);

/* Codes: vectors as bytes and as bits -------------------------------------------------------------
 *
 * The codes of a group's vectors stand in blocks of 64 vectors, the last one shorter. What they
 * mean is said in kernel/kernel.h.
 */

enum { MNI_SEGMENT_CODE_BLOCK_VECTORS = 64 };

struct mni_segment_codes {
    const float *scales; /* one a vector, as the next two */
    const float *rests;
    const float
        *lengths; /* Euclidean: the root of the dot product with itself, as kernels make it */
    const int8_t *quads; /* as kernels compare them */
    uint32_t n_vectors;
    void *pin; /* give it to mni_segment_release */
};

/* Codes of block `block` of a group that has codes: of vectors 64 * block to 64 * block + 63. */
MN_MUST_USE mn_status mni_segment_code_block(struct mni_segment *segment,
                                             const struct mni_segment_group *group, uint32_t block,
                                             struct mni_segment_codes *codes_out,
                                             struct mn_error *err);
/* Sign bits of vectors `first` to `first + n - 1` of a group that has codes: one u64 for each 64
 * dimensions begun. `n` > 0. Release with mni_segment_release(segment, pin). */
MN_MUST_USE mn_status mni_segment_signs(struct mni_segment *segment,
                                        const struct mni_segment_group *group, uint32_t first,
                                        uint32_t n, const uint64_t **signs_out, void **pin_out,
                                        struct mn_error *err);

/* Points: rows of entities over time --------------------------------------------------------------
 *
 * A group of points has a table of its entities, and its rows' times side by side.
 */

struct mni_segment_space {
    uint64_t collection;
    uint32_t first_row;
    uint32_t n_rows;
    uint32_t n_entities;
    uint32_t first_entity; /* for the room only, as the next */
    uint32_t first_time;
};

struct mni_segment_entity {
    uint64_t entity;
    int64_t first_us; /* of its first row */
    int64_t last_us;
    uint32_t first_row;
    uint32_t n_rows;
};

/* Space `index` of so many, in the order of collections. */
uint64_t mni_segment_n_spaces(const struct mni_segment *segment);
MN_MUST_USE mn_status mni_segment_space(struct mni_segment *segment, uint64_t index,
                                        struct mni_segment_space *space_out, struct mn_error *err);
/* MN_NOT_FOUND: the segment has no such group, or it has no tables. */
MN_MUST_USE mn_status mni_segment_find_space(struct mni_segment *segment, uint64_t collection,
                                             struct mni_segment_space *space_out,
                                             struct mn_error *err);
/* The first entity of the group at or behind `entity`. MN_NOT_FOUND: there is none. */
MN_MUST_USE mn_status mni_segment_seek_entity(struct mni_segment *segment,
                                              const struct mni_segment_space *space,
                                              uint64_t entity,
                                              struct mni_segment_entity *entity_out,
                                              struct mn_error *err);
/* The first row of an entity at or behind a time; that behind its last row if there is none. */
MN_MUST_USE mn_status mni_segment_seek_time(struct mni_segment *segment,
                                            const struct mni_segment_space *space,
                                            const struct mni_segment_entity *entity,
                                            int64_t time_us, uint32_t *row_out,
                                            struct mn_error *err);
/* The time of a row of the group. */
MN_MUST_USE mn_status mni_segment_time(struct mni_segment *segment,
                                       const struct mni_segment_space *space, uint32_t row,
                                       int64_t *time_us_out, struct mn_error *err);

/* Expiry ------------------------------------------------------------------------------------------
 */

/* The `index`-th row of the n_expiring rows in the order of their expiry, older versions of a key
 * included. */
MN_MUST_USE mn_status mni_segment_expiring_row(struct mni_segment *segment, uint64_t index,
                                               uint32_t *row_out, struct mn_error *err);

/* Verifying ---------------------------------------------------------------------------------------
 */

/* Called after each piece. `damage` is what is wrong with it, or NULL. A status other than MN_OK
 * ends the verification and is returned. */
typedef mn_status mni_segment_verify_fn(void *context, uint64_t n_bytes_done, uint64_t n_bytes,
                                        const struct mn_error *damage);

/* Reads and checks every byte of the file, those checked before too, and goes on behind what is
 * damaged. MN_ERR_CORRUPT with the first damage. */
MN_MUST_USE mn_status mni_segment_verify(struct mni_segment *segment, mni_segment_verify_fn *each,
                                         void *context, struct mn_error *err);

#endif
