/*
 * segment_private.h - how the parts of the room fit together.
 *
 *     name.c      file names
 *     plan.c      sizes of columns, and where they go
 *     table.c     building a hash table
 *     writer.c    rows into columns
 *     codes.c     codes of vectors: writing and reading
 *     points.c    entities and times: writing and reading
 *     keyframes.c vectors as differences: writing and reading; delta.c has their bytes
 *     stream.c    columns into the file, with their checksums
 *     source.c    a mapped file as a source of bytes
 *     footer.c    decoding header and footer
 *     segment.c   opening, references
 *     block.c     checking blocks
 *     row.c       decoding rows
 *     find.c      finding rows, with the fingerprints of prints_private.h
 *     group.c     groups, vectors, expiry order
 *     verify.c    reading everything
 *     bare.c      copies without metadata and payloads
 */
#ifndef MNI_SEGMENT_SEGMENT_PRIVATE_H
#define MNI_SEGMENT_SEGMENT_PRIVATE_H

#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/compare.h"
#include "kernel/kernel.h"
#include "segment/format.h"
#include "segment/segment.h"

enum {
    SEGMENT_MAGIC = 0x4d4e5347,
    SEGMENT_WRITER_MAGIC = 0x4d4e5357,
    SEGMENT_PLAN_MAGIC = 0x4d4e5350,
    KEY_BYTES_MAX = MN_ID_BYTES_MAX + 1,
    BITS_PER_WORD = 64,
};

static_assert((int)SEG_BLOCK_BYTES == (int)MNI_SEGMENT_BLOCK_BYTES, "one block size");
static_assert((int)SEG_ID_BYTES == (int)MNI_SEGMENT_ID_BYTES, "one id size");
static_assert((unsigned)SEG_ROW_FIELDS ==
                  (MNI_FIELD_EVENT_TIME | MNI_FIELD_EXPIRY | MNI_FIELD_HITS | MNI_FIELD_SECOND_KEY),
              "fields of a record are flags of a row");

static inline size_t element_bytes(enum mni_element_type type)
{
    return type == MNI_ELEMENT_F32 ? 4 : type == MNI_ELEMENT_F16 ? 2 : 0;
}

/* Where everything is -----------------------------------------------------------------------------
 */

struct column {
    uint64_t offset;
    uint64_t bytes; /* 0: there is none */
};

struct layout {
    struct column columns[SEG_N_COLUMNS]; /* by type */
    uint64_t checksums_offset;
    uint64_t footer_offset;
    uint64_t file_bytes;
    uint32_t n_columns;
    uint32_t n_checksum_blocks;
    uint32_t footer_bytes;
    bool has_differences; /* of a plan: they make the file shorter */
};

static inline uint64_t layout_n_blocks(const struct layout *layout)
{
    return layout->checksums_offset / SEG_BLOCK_BYTES;
}

/* The types of columns in the order in which this program writes them: what is read as a whole or
 * in long runs first, indexes last. */
extern const uint16_t mni_segment_column_order[SEG_N_COLUMNS - 1];

/* Buckets of a table for so many entries. */
static inline uint64_t n_buckets_for(uint64_t n_entries)
{
    return (n_entries * 5 + SEG_BUCKET_SLOTS * 4 - 1) / (SEG_BUCKET_SLOTS * 4);
}

static inline uint64_t home_bucket(uint64_t hash, uint64_t n_buckets)
{
    return ((hash >> 32) * n_buckets) >> 32;
}

static inline uint16_t fingerprint(uint64_t hash)
{
    uint16_t print = (uint16_t)hash;

    return print == 0 ? 1 : print;
}

/* Planning ----------------------------------------------------------------------------------------
 */

/* The row before, to see where keys and groups begin. */
struct previous_row {
    uint64_t collection;
    uint64_t lsn;
    size_t key_bytes;
    unsigned char key[KEY_BYTES_MAX];
};

struct plan_group {
    uint64_t n_rows;
    uint64_t n_vectors;
    uint32_t n_dims;
    enum mni_element_type element_type;
    bool has_points;
    uint64_t last_entity; /* of its points */
    /* Of vectors as differences, where it asks for them: */
    uint32_t keyframe_every; /* 0: it does not */
    uint64_t n_keyframes;
    uint64_t differences_bytes;
};

/* Vectors in groups that are stored as what is shorter. */
struct stored_vectors {
    uint64_t vectors_bytes;
    uint64_t differences_bytes;
    uint64_t n_places;
};

/* Everything that the layout depends on. */
struct plan_sizes {
    uint64_t n_rows;
    uint64_t n_keys;
    uint64_t n_second_keys;
    uint64_t n_groups;
    uint64_t n_expiring;
    uint64_t vectors_bytes;       /* all of them whole */
    struct stored_vectors stored; /* of the groups before the last */
    uint64_t blobs_bytes;
    uint64_t payloads_bytes;
    uint64_t vector_rows_bytes; /* of the groups before the last */
    uint64_t codes_bytes;
    uint64_t signs_bytes;
    uint64_t n_spaces;
    uint64_t n_entities;
    uint64_t n_times;
    uint32_t n_keyframe_dims_max; /* of vectors that may be differences */
    uint32_t n_dims_max;          /* of vectors with codes */
    size_t first_key_bytes;
    size_t last_key_bytes;
    struct plan_group group; /* the last */
};

#ifndef MNI_TEST_HOOKS
enum { mni_keyframes_forced = false };
#endif

/* The newest keyframe of the rows so far. */
struct keyframes {
    uint32_t every;            /* points of an entity with one at most; 0: there are none */
    unsigned char *frame;      /* owned */
    unsigned char *difference; /* owned: the one that was encoded last */
    uint32_t n_dims_max;       /* that both have room for */
    bool has_frame;
    uint64_t entity;
    uint32_t n_behind; /* differences to it */
    uint32_t frame_at; /* where it was written, in units of 2 bytes */
};

struct mni_segment_plan {
    uint32_t magic;
    uint64_t file_bytes_max;
    struct mni_segment_points points; /* borrowed */
    struct plan_sizes sizes;
    struct keyframes keyframes;
    uint64_t *shorter; /* owned: numbers of groups before the last that differences make shorter */
    size_t n_shorter;
    size_t shorter_capacity;
    struct previous_row previous;
};

/* Bytes of a row's blob before its key, and all of them. */
static inline size_t blob_prefix_bytes(uint32_t flags)
{
    return ((flags & SEG_ROW_LARGE) != 0 ? 8U : 0U) + ((flags & MNI_FIELD_HITS) != 0 ? 8U : 0U) +
           ((flags & MNI_FIELD_SECOND_KEY) != 0 ? MNI_SECOND_KEY_BYTES : 0U);
}

static inline bool is_large(const struct mni_record *record)
{
    return record->payload.n_bytes > SEG_SMALL_PAYLOAD_BYTES_MAX;
}

static inline size_t code_bytes(uint32_t n_dims)
{
    return SEG_CODE_HEAD_BYTES + mni_row_code_bytes(n_dims);
}

static inline size_t sign_bytes(uint32_t n_dims)
{
    return ((size_t)n_dims + 63) / 64 * SEG_SIGNS_UNIT_BYTES;
}

static inline bool has_mixed_rows(const struct plan_group *group)
{
    return group->n_vectors > 0 && group->n_vectors < group->n_rows;
}

enum row_place { ROW_NEW_GROUP, ROW_NEW_KEY, ROW_OLDER };

/* How a row follows the one before; `is_first` when there is none. Checks the order. */
enum row_place mni_segment_place_row(const struct previous_row *previous, bool is_first,
                                     const struct mni_segment_row *row);
void mni_segment_note_row(struct previous_row *previous, const struct mni_segment_row *row);
/* Whether the rows of a collection are points. */
bool mni_segment_plan_has_points(const struct mni_segment_plan *plan, uint64_t collection);
/* How often there is a keyframe in a group that the file stores as differences, else 0. `index`
 * counts groups. */
uint32_t mni_segment_plan_keyframe_every(const struct mni_segment_plan *plan, uint64_t index,
                                         uint64_t collection);
void mni_segment_layout(const struct plan_sizes *sizes, struct layout *layout_out);

/* Building a hash table ---------------------------------------------------------------------------
 */

struct table {
    unsigned char *prints; /* owned, in whole blocks */
    unsigned char *rows;   /* owned, likewise */
    uint64_t n_buckets;
    uint64_t n_entries;
    uint64_t n_entries_max;
};

MN_MUST_USE mn_status mni_table_init(struct table *table, uint64_t n_entries_max);
void mni_table_done(struct table *table);
/* False: there are more entries than were announced. */
MN_MUST_USE bool mni_table_add(struct table *table, uint64_t hash, uint32_t row,
                               uint64_t blob_offset);

/* Writing -----------------------------------------------------------------------------------------
 */

/* One column, written from its beginning to its end. */
struct stream {
    unsigned char *buffer; /* owned, in whole blocks */
    size_t capacity_bytes;
    size_t n_buffered;
    uint64_t flushed; /* offset in the column of the buffer's first byte */
    struct column column;
};

struct output {
    struct mni_file *file; /* owned */
    mni_pace_fn *pace;
    void *pace_context;
    uint32_t id_crc;
    unsigned char *checksums; /* owned: a u32 per block, then zeroes up to whole pages */
    const char *label;        /* borrowed from the writer */
};

MN_MUST_USE mn_status mni_stream_init(struct stream *stream, struct column column);
void mni_stream_done(struct stream *stream);
static inline uint64_t stream_bytes(const struct stream *stream)
{
    return stream->flushed + stream->n_buffered;
}
/* MN_ERR_INVALID when that is more than was planned. `data` NULL stands for zeroes. */
MN_MUST_USE mn_status mni_stream_put(struct stream *stream, struct output *output, const void *data,
                                     size_t n, struct mn_error *err);
MN_MUST_USE mn_status mni_stream_align(struct stream *stream, struct output *output,
                                       uint64_t alignment, struct mn_error *err);
/* Writes what is left. MN_ERR_INVALID when it is less than was planned. */
MN_MUST_USE mn_status mni_stream_finish(struct stream *stream, struct output *output,
                                        struct mn_error *err);
/* Writes a column that lies in memory, in whole blocks with zeroes at the end. */
MN_MUST_USE mn_status mni_output_column(struct output *output, struct column column,
                                        const unsigned char *bytes, struct mn_error *err);
/* Writes whole pages without noting checksums. */
MN_MUST_USE mn_status mni_output_pages(struct output *output, uint64_t offset,
                                       const unsigned char *bytes, uint64_t n,
                                       struct mn_error *err);
MN_MUST_USE mn_status mni_output_not_planned(const struct output *output, struct mn_error *err);

/* points.c: the entity that rows are added to, of the group that they are added to. */
struct point_writer {
    bool is_open;
    struct mni_segment_space space;
    struct mni_segment_entity entity; /* n_rows 0: none yet */
};

void mni_point_writer_begin(struct point_writer *writer, uint64_t collection, uint32_t row,
                            const struct stream *entities, const struct stream *times);
MN_MUST_USE mn_status mni_point_writer_add(struct point_writer *writer, struct mn_slice key,
                                           struct stream *entities, struct stream *times,
                                           struct output *output, struct mn_error *err);
/* Where no group of points was begun, nothing happens. */
MN_MUST_USE mn_status mni_point_writer_end(struct point_writer *writer, struct stream *entities,
                                           struct stream *spaces, struct output *output,
                                           struct mn_error *err);

/* keyframes.c. Bytes that those for vectors of so many dimensions allocate. */
uint64_t mni_keyframes_bytes(uint32_t n_dims);
void mni_keyframes_done(struct keyframes *keyframes);
void mni_keyframes_begin(struct keyframes *keyframes, uint32_t every); /* of a group */
/* Makes room for vectors of so many dimensions, forgetting the frame if there is none yet. */
MN_MUST_USE mn_status mni_keyframes_reserve(struct keyframes *keyframes, uint32_t n_dims);
/* The next vector of a group: bytes of its difference, 0 if it is a keyframe. */
size_t mni_keyframes_count(struct keyframes *keyframes, uint64_t entity,
                           const struct mni_record *record);
/* The same, and makes the difference. */
size_t mni_keyframes_encode(struct keyframes *keyframes, uint64_t entity,
                            const struct mni_record *record);
/* Writes it. Sets what the row's header says of its vector. */
MN_MUST_USE mn_status mni_keyframes_put(struct keyframes *keyframes,
                                        const struct mni_record *record, struct stream *streams,
                                        struct output *output, uint32_t *vector_out,
                                        bool *is_difference_out, struct mn_error *err);

/* codes.c: the codes of up to 64 vectors of a group, until they are written. */
struct code_block {
    unsigned char heads[3][SEG_CODE_BLOCK_VECTORS * 4]; /* scales, rests, lengths */
    int8_t *quads;                                      /* owned: of 64 vectors */
    int8_t *codes;                                      /* owned: of one vector */
    uint64_t *signs;                                    /* owned: of one vector */
    float *floats;                                      /* owned: of one vector, widened */
    uint32_t n_vectors;
    uint32_t n_dims;
};

/* Bytes that a block for vectors of at most so many dimensions allocates. */
uint64_t mni_code_block_bytes(uint32_t n_dims_max);
MN_MUST_USE mn_status mni_code_block_init(struct code_block *block, uint32_t n_dims_max);
void mni_code_block_done(struct code_block *block);
/* Adds the codes of a vector behind those before; the signs are written at once, the codes when
 * the block is full. */
MN_MUST_USE mn_status mni_code_block_add(struct code_block *block, const struct mni_record *record,
                                         struct stream *codes, struct stream *signs,
                                         struct output *output, struct mn_error *err);
/* Writes what is left of a group. */
MN_MUST_USE mn_status mni_code_block_flush(struct code_block *block, struct stream *codes,
                                           struct output *output, struct mn_error *err);

/* Reading -----------------------------------------------------------------------------------------
 */

struct mni_segment {
    /* What a look-up in several segments needs of each of them: one cache line. */
    uint32_t magic;
    atomic_uint n_refs;
    const unsigned char *map;        /* of the source; may be NULL */
    const unsigned char *key_prints; /* where they lie in the map; NULL: there is none, or no key */
    const unsigned char *key_rows;   /* likewise */
    uint64_t n_key_buckets;
    atomic_uint_fast64_t *verified; /* owned: a bit per block, then one per block of checksums */

    struct mni_source *source; /* owned */
    struct layout layout;
    uint64_t n_second_buckets;
    uint32_t id_crc;
    uint32_t *checksum_crcs; /* owned: of the blocks of checksums */
    unsigned char *keys;     /* owned: first and last key */
    struct mni_segment_bounds bounds;
    struct mni_segment_info info;
    uint64_t n_second_keys;
    _Atomic(struct mni_dir *) doomed_in; /* borrowed until the last unref */
    char label[MNI_SEGMENT_NAME_BYTES];
};

/* Bytes of the file that are held. */
struct span {
    const unsigned char *bytes;
    void *pin;
};

/* CRC-32C of a block: `number` as in the spec. */
uint32_t mni_segment_block_crc(uint32_t id_crc, uint64_t number, const unsigned char *bytes,
                               size_t n);
#define SEG_CHECKSUM_BLOCK_NUMBER (UINT64_C(1) << 63)

/* source.c */
MN_MUST_USE mn_status mni_segment_map_file(struct mni_dir *dir, const char *name,
                                           struct mni_source **source_out, struct mn_error *err);

/* footer.c: fills everything but source, references and verified bits. */
MN_MUST_USE mn_status mni_segment_read_footer(struct mni_segment *segment,
                                              const struct mni_segment_id *id,
                                              const struct mni_segment_info *expected,
                                              struct mn_error *err);
/* Header and footer once more, by those who verify. */
MN_MUST_USE mn_status mni_segment_check_ends(struct mni_segment *segment, struct mn_error *err);

/* Bytes of the source, not checked. */
MN_MUST_USE mn_status mni_segment_get_raw(struct mni_segment *segment, uint64_t offset, size_t n,
                                          struct span *span_out, struct mn_error *err);

/* verify.c: a hint to the source. */
void mni_segment_will_read(struct mni_segment *segment, uint64_t offset, uint64_t n);

/* block.c: makes sure that blocks of a mapped file are good, or fetches and checks. */
MN_MUST_USE mn_status mni_segment_check_blocks(struct mni_segment *segment, uint64_t first,
                                               uint64_t last, struct mn_error *err);
MN_MUST_USE mn_status mni_segment_fetch_unmapped(struct mni_segment *segment, uint64_t offset,
                                                 size_t n, struct span *span_out,
                                                 struct mn_error *err);
/* Whether a block, or a block of checksums, is what it was when it was written. */
MN_MUST_USE mn_status mni_segment_verify_block(struct mni_segment *segment, uint64_t block,
                                               const unsigned char *bytes, struct mn_error *err);
MN_MUST_USE mn_status mni_segment_verify_checksum_block(struct mni_segment *segment, uint64_t index,
                                                        const unsigned char *bytes,
                                                        struct mn_error *err);
size_t mni_segment_checksum_block_bytes(const struct mni_segment *segment, uint64_t index);

static inline bool is_bit_set(const struct mni_segment *segment, uint64_t bit)
{
    uint_fast64_t word =
        atomic_load_explicit(&segment->verified[bit / BITS_PER_WORD], memory_order_relaxed);

    return (word >> (bit % BITS_PER_WORD) & 1) != 0;
}

/* `n` > 0 bytes below the checksums, checked. Release them. */
MN_MUST_USE static inline mn_status fetch(struct mni_segment *segment, uint64_t offset, size_t n,
                                          struct span *span_out, struct mn_error *err)
{
    if (__builtin_expect(segment->map == NULL, 0))
        return mni_segment_fetch_unmapped(segment, offset, n, span_out, err);
    uint64_t first = offset / SEG_BLOCK_BYTES;
    uint64_t last = (offset + n - 1) / SEG_BLOCK_BYTES;
    if (__builtin_expect(first != last || !is_bit_set(segment, first), 0)) {
        mn_status st = mni_segment_check_blocks(segment, first, last, err);
        if (st != MN_OK)
            return st;
    }
    *span_out = (struct span){segment->map + offset, NULL};
    return MN_OK;
}

static inline void release(struct mni_segment *segment, void *pin)
{
    if (pin != NULL)
        segment->source->ops->release(segment->source, pin);
}

/* A pin of decoded vectors is odd. */
static inline void *decoded_pin(unsigned char *buffer)
{
    return buffer + 1;
}

/* NULL: a pin of the source, or none. */
static inline void *decoded_buffer(void *pin)
{
    return ((uintptr_t)pin & 1) != 0 ? (unsigned char *)pin - 1 : NULL;
}

/* Either kind. */
static inline void release_vector(struct mni_segment *segment, void *pin)
{
    void *buffer = decoded_buffer(pin);

    if (__builtin_expect(buffer != NULL, 0))
        mni_segment_decoded_free(buffer);
    else
        release(segment, pin);
}

/* keyframes.c: decodes the vector at a place, which exists, into the row. */
MN_MUST_USE mn_status mni_segment_decode_row(struct mni_segment *segment, uint32_t place_index,
                                             uint32_t n_dims, struct mni_segment_row *row,
                                             struct mn_error *err);
/* mni_segment_vectors of a group with differences. */
MN_MUST_USE mn_status mni_segment_decode_vectors(struct mni_segment *segment,
                                                 const struct mni_segment_group *group,
                                                 uint32_t first, uint32_t n,
                                                 const void **vectors_out, void **pin_out,
                                                 struct mn_error *err);
/* Where the keyframe of a place stands in the file. */
MN_MUST_USE mn_status mni_segment_keyframe_of(struct mni_segment *segment, uint32_t place_index,
                                              uint32_t n_dims, uint64_t *offset_out,
                                              struct mn_error *err);

/* row.c */
struct row_head {
    uint64_t lsn;
    uint64_t record_lsn;
    int64_t event_time_us;
    int64_t expires_at_us;
    uint64_t collection;
    uint64_t blob_offset; /* in its column */
    uint32_t n_dims;
    uint32_t flags;
    uint32_t key_bytes;
    uint32_t metadata_bytes;
    uint32_t payload_bytes;
    uint32_t vector; /* in units of 2 bytes; of a difference, its place */
};

/* Reads and checks a row header; the row exists. */
MN_MUST_USE mn_status mni_segment_head(struct mni_segment *segment, uint32_t row,
                                       struct row_head *head_out, struct mn_error *err);
/* The row of a header. */
MN_MUST_USE mn_status mni_segment_row_of_head(struct mni_segment *segment,
                                              const struct row_head *head,
                                              struct mni_segment_row *row_out,
                                              struct mn_error *err);
/* The key of a row; release the span. */
MN_MUST_USE mn_status mni_segment_row_key(struct mni_segment *segment, const struct row_head *head,
                                          struct span *span_out, struct mn_error *err);
/* group.c: the first group whose collection is not below; MN_NOT_FOUND when there is none. */
MN_MUST_USE mn_status mni_segment_seek_group(struct mni_segment *segment, uint64_t collection,
                                             uint64_t *index_out,
                                             struct mni_segment_group *group_out,
                                             struct mn_error *err);
/* points.c: the first row of the group at or behind a key; that behind the last: there is none. */
MN_MUST_USE mn_status mni_segment_point_lower_bound(struct mni_segment *segment,
                                                    const struct mni_segment_space *space,
                                                    struct mn_slice key, uint64_t *row_out,
                                                    struct mn_error *err);
/* points.c: as mni_segment_key_range. */
MN_MUST_USE mn_status mni_segment_point_range(struct mni_segment *segment,
                                              const struct mni_segment_space *space,
                                              struct mn_slice low, struct mn_slice high,
                                              uint32_t *first_out, uint32_t *end_out,
                                              struct mn_error *err);
/* Fails for nonsense at an offset, behind a good checksum. */
MN_MUST_USE mn_status mni_segment_nonsense(const struct mni_segment *segment, uint64_t offset,
                                           const char *what, struct mn_error *err);

static inline enum mni_element_type head_element_type(const struct row_head *head)
{
    return (enum mni_element_type)((head->flags & SEG_ROW_ELEMENT_MASK) >> SEG_ROW_ELEMENT_SHIFT);
}

#endif
