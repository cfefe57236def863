/*
 * segment_fuzz.c - any bytes as a segment: it opens or refuses, and all that opened can be read.
 *
 * Byte 0 of an input says what to do. Bit 0: the rest is a file as it stands. Otherwise a file is
 * put together from it, with its columns in place and its checksums right, so that what lies behind
 * them is reached: the fixed part of the footer; the two keys; then for each column its type (u16),
 * codec (u16), flags (u32), bytes (u32) and content. Bit 1 makes the counts in the footer fit the
 * columns. Bit 2 reads through a source that copies what it fetches.
 *
 * Owns:    the file of an input.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "segment/segment_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { AS_IT_STANDS = 1, FIT_COUNTS = 2, UNMAPPED = 4 };
enum {
    COLUMNS_MAX = 16,
    COLUMN_BYTES_MAX = 64 << 10,
    PART_BYTES = 12,
    FINDS_MAX = 64,
    DECODED_MAX = 16
};

static void *must(void *memory)
{
    MNI_CHECK(memory != NULL);
    return memory;
}

/* Putting together --------------------------------------------------------------------------------
 */

struct part {
    const unsigned char *head; /* type, codec, flags */
    const unsigned char *content;
    uint32_t bytes;
    uint64_t offset;
};

struct parts {
    unsigned char fixed[SEG_FOOTER_FIXED_BYTES];
    const unsigned char *keys;
    size_t keys_bytes;
    struct part items[COLUMNS_MAX];
    uint32_t n;
    uint64_t checksums_offset;
};

static bool take(const unsigned char **p, size_t *n_left, size_t n, const unsigned char **out)
{
    if (n > *n_left)
        return false;
    *out = *p;
    *p += n;
    *n_left -= n;
    return true;
}

static bool read_parts(const unsigned char *p, size_t n, struct parts *parts)
{
    const unsigned char *fixed;
    uint64_t offset = SEG_BLOCK_BYTES;

    if (!take(&p, &n, SEG_FOOTER_FIXED_BYTES, &fixed))
        return false;
    memcpy(parts->fixed, fixed, SEG_FOOTER_FIXED_BYTES);
    parts->keys_bytes = (size_t)mni_get_u16(fixed + SEG_FOOTER_OFF_FIRST_KEY_BYTES) +
                        mni_get_u16(fixed + SEG_FOOTER_OFF_LAST_KEY_BYTES);
    if (!take(&p, &n, parts->keys_bytes, &parts->keys))
        return false;
    for (parts->n = 0; parts->n < COLUMNS_MAX; parts->n++) {
        struct part *part = &parts->items[parts->n];
        if (!take(&p, &n, PART_BYTES, &part->head))
            break;
        part->bytes = mni_get_u32(part->head + 8);
        if (part->bytes > COLUMN_BYTES_MAX)
            part->bytes = COLUMN_BYTES_MAX;
        if (part->bytes > n)
            part->bytes = (uint32_t)n;
        if (!take(&p, &n, part->bytes, &part->content))
            break;
        part->offset = offset;
        offset = mni_align_up(offset + part->bytes, SEG_BLOCK_BYTES);
    }
    parts->checksums_offset = offset;
    return true;
}

static void fit_counts(struct parts *parts)
{
    for (uint32_t i = 0; i < parts->n; i++) {
        uint64_t bytes = parts->items[i].bytes;
        switch (mni_get_u16(parts->items[i].head)) {
        case SEG_ROWS:
            mni_put_u64(parts->fixed + SEG_FOOTER_OFF_ROWS, bytes / SEG_ROW_BYTES);
            break;
        case SEG_GROUPS:
            mni_put_u64(parts->fixed + SEG_FOOTER_OFF_GROUPS, bytes / SEG_GROUP_BYTES);
            break;
        case SEG_EXPIRY:
            mni_put_u64(parts->fixed + SEG_FOOTER_OFF_EXPIRING, bytes / 4);
            break;
        default:
            break;
        }
    }
}

static void put_checksums(unsigned char *file, uint64_t checksums, unsigned char *footer,
                          unsigned char *crcs)
{
    uint32_t id_crc = mni_crc32c(0, file + SEG_HEADER_OFF_ID, SEG_ID_BYTES);
    size_t n = (size_t)(footer - file) - (size_t)checksums;

    for (uint64_t block = 0; block < checksums / SEG_BLOCK_BYTES; block++)
        mni_put_u32(
            file + checksums + block * 4,
            mni_segment_block_crc(id_crc, block, file + block * SEG_BLOCK_BYTES, SEG_BLOCK_BYTES));
    for (size_t i = 0; i * SEG_BLOCK_BYTES < n; i++) {
        size_t left = n - i * SEG_BLOCK_BYTES;
        mni_put_u32(crcs + 4 * i,
                    mni_segment_block_crc(id_crc, SEG_CHECKSUM_BLOCK_NUMBER + i,
                                          file + checksums + i * SEG_BLOCK_BYTES,
                                          left < SEG_BLOCK_BYTES ? left : SEG_BLOCK_BYTES));
    }
}

static void put_ends(const struct parts *parts, unsigned char *file, unsigned char *footer,
                     size_t footer_bytes, uint32_t n_checksum_blocks)
{
    unsigned char *p = footer + SEG_FOOTER_FIXED_BYTES;
    unsigned char *tail = footer + footer_bytes - SEG_TAIL_BYTES;

    memcpy(file, SEG_HEADER_MAGIC, SEG_MAGIC_BYTES);
    mni_put_u32(file + SEG_HEADER_OFF_VERSION, SEG_VERSION);
    memcpy(file + SEG_HEADER_OFF_ID, parts->fixed + SEG_FOOTER_OFF_ID, SEG_ID_BYTES);
    mni_put_u32(file + SEG_HEADER_OFF_CRC, mni_crc32c(0, file, SEG_HEADER_OFF_CRC));
    memcpy(footer, parts->fixed, SEG_FOOTER_FIXED_BYTES);
    memcpy(footer, SEG_FOOTER_MAGIC, SEG_MAGIC_BYTES);
    mni_put_u32(footer + SEG_FOOTER_OFF_VERSION, SEG_VERSION);
    mni_put_u32(footer + SEG_FOOTER_OFF_COLUMNS, parts->n);
    mni_put_u64(footer + SEG_FOOTER_OFF_FILE_BYTES, (uint64_t)(footer - file) + footer_bytes);
    mni_put_u64(footer + SEG_FOOTER_OFF_CHECKSUMS, parts->checksums_offset);
    mni_put_u32(footer + SEG_FOOTER_OFF_CHECKSUM_BLOCKS, n_checksum_blocks);
    for (uint32_t i = 0; i < parts->n; i++, p += SEG_ENTRY_BYTES) {
        memcpy(p, parts->items[i].head, SEG_ENTRY_OFF_OFFSET);
        mni_put_u64(p + SEG_ENTRY_OFF_OFFSET, parts->items[i].offset);
        mni_put_u64(p + SEG_ENTRY_OFF_BYTES, parts->items[i].bytes);
    }
    put_checksums(file, parts->checksums_offset, footer, p);
    p += (size_t)n_checksum_blocks * 4;
    memcpy(p, parts->keys, parts->keys_bytes);
    memcpy(tail, SEG_END_MAGIC, SEG_MAGIC_BYTES);
    mni_put_u32(tail + SEG_TAIL_OFF_BYTES, (uint32_t)footer_bytes);
    mni_put_u32(tail + SEG_TAIL_OFF_CRC, mni_crc32c(0, footer, footer_bytes - 4));
}

/* NULL when the input is too short. */
static unsigned char *put_together(const uint8_t *data, size_t n_bytes, bool fits, size_t *n_out)
{
    struct parts parts;

    if (!read_parts(data, n_bytes, &parts))
        return NULL;
    if (fits)
        fit_counts(&parts);
    uint64_t checksums_bytes =
        mni_align_up(parts.checksums_offset / SEG_BLOCK_BYTES * 4, SEG_PAGE_BYTES);
    uint32_t n_checksum_blocks =
        (uint32_t)((checksums_bytes + SEG_BLOCK_BYTES - 1) / SEG_BLOCK_BYTES);
    size_t footer_bytes = (size_t)mni_align_up(
        SEG_FOOTER_FIXED_BYTES + (uint64_t)parts.n * SEG_ENTRY_BYTES +
            (uint64_t)n_checksum_blocks * 4 + parts.keys_bytes + SEG_TAIL_BYTES,
        SEG_PAGE_BYTES);
    size_t footer_offset = (size_t)(parts.checksums_offset + checksums_bytes);
    *n_out = footer_offset + footer_bytes;
    unsigned char *file = must(aligned_alloc(SEG_PAGE_BYTES, *n_out));
    memset(file, 0, *n_out);
    for (uint32_t i = 0; i < parts.n; i++)
        memcpy(file + parts.items[i].offset, parts.items[i].content, parts.items[i].bytes);
    put_ends(&parts, file, file + footer_offset, footer_bytes, n_checksum_blocks);
    return file;
}

/* A source that copies ---------------------------------------------------------------------------
 */

struct copying_source {
    struct mni_source base;
    const unsigned char *bytes; /* borrowed */
    size_t n_pins;
};

static mn_status copy_get(struct mni_source *base, uint64_t offset, size_t n,
                          const unsigned char **bytes_out, void **pin_out, struct mn_error *err)
{
    struct copying_source *source = (struct copying_source *)base;
    size_t before = (size_t)(offset % 64);

    (void)err;
    MNI_CHECK(n > 0 && offset <= base->n_bytes && n <= base->n_bytes - offset);
    unsigned char *copy = must(aligned_alloc(64, (size_t)mni_align_up(before + n, 64)));
    memcpy(copy + before, source->bytes + offset, n);
    source->n_pins++;
    *bytes_out = copy + before;
    *pin_out = copy;
    return MN_OK;
}

static void copy_release(struct mni_source *base, void *pin)
{
    ((struct copying_source *)base)->n_pins--;
    free(pin);
}

static void copy_close(struct mni_source *base)
{
    (void)base;
}

/* Reading -----------------------------------------------------------------------------------------
 */

/* So that the sanitizer sees any that may not be read. */
static void read_every_byte(const void *data, size_t n)
{
    static volatile uint32_t sink;

    if (n > 0)
        sink = mni_crc32c(0, data, n);
    (void)sink;
}

static bool is_good(mn_status st, const struct mn_error *err)
{
    MNI_CHECK(st == MN_OK || st == MN_NOT_FOUND || st == MN_ERR_CORRUPT);
    MNI_CHECK(st != MN_ERR_CORRUPT || strstr(err->message, "block") != NULL);
    return st == MN_OK;
}

static void find(struct mni_segment *s, const struct mni_record *r)
{
    struct mn_error err;
    uint32_t row;
    uint64_t bound;

    if (is_good(mni_segment_find(s, mni_key_hash(r->collection, r->key), r->collection, r->key,
                                 &row, &err),
                &err))
        MNI_CHECK(row < s->info.n_rows);
    if (is_good(mni_segment_lower_bound(s, r->collection, r->key, &bound, &err), &err))
        MNI_CHECK(bound <= s->info.n_rows);
    if (r->second_key == NULL)
        return;
    struct mn_slice second_key = {r->second_key, MNI_SECOND_KEY_BYTES};
    uint64_t cursor = 0;
    for (int i = 0; i < 4; i++) {
        if (!is_good(mni_segment_find_second(s, mni_key_hash(r->collection, second_key),
                                             r->collection, r->second_key, &cursor, &row, &err),
                     &err))
            break;
        MNI_CHECK(row < s->info.n_rows);
    }
}

static void read_spaces(struct mni_segment *s)
{
    struct mni_segment_space space;
    struct mni_segment_entity e;
    struct mn_error err;
    int64_t time_us;
    uint32_t row;

    for (uint64_t i = 0; i < mni_segment_n_spaces(s); i++) {
        if (!is_good(mni_segment_space(s, i, &space, &err), &err))
            continue;
        for (uint64_t entity = 0; entity < 300; entity += 37) {
            if (!is_good(mni_segment_seek_entity(s, &space, entity, &e, &err), &err))
                continue;
            MNI_CHECK(e.n_rows > 0 && (uint64_t)e.first_row + e.n_rows <= s->info.n_rows);
            if (is_good(mni_segment_seek_time(s, &space, &e, 0, &row, &err), &err))
                MNI_CHECK(row >= e.first_row && row - e.first_row <= e.n_rows);
            (void)is_good(mni_segment_time(s, &space, e.first_row, &time_us, &err), &err);
        }
    }
}

static void read_rows(struct mni_segment *s)
{
    for (uint32_t i = 0; i < s->info.n_rows; i++) {
        struct mni_segment_row row;
        struct mn_error err;
        (void)is_good(mni_segment_row_head(s, i, &row, &err), &err);
        if (!is_good(mni_segment_row(s, i, &row, &err), &err))
            continue;
        const struct mni_record *r = &row.record;
        size_t element = element_bytes(r->element_type);
        MNI_CHECK((uintptr_t)r->vector % (element == 0 ? 1 : element) == 0);
        read_every_byte(r->vector, r->n_dims * element);
        read_every_byte(r->key.data, r->key.n_bytes);
        read_every_byte(r->metadata.data, r->metadata.n_bytes);
        read_every_byte(r->payload.data, r->payload.n_bytes);
        if (i < FINDS_MAX)
            find(s, r);
        mni_segment_row_done(s, &row);
    }
    mni_segment_will_read_rows(s, 0, s->info.n_rows);
}

static void read_codes(struct mni_segment *s, const struct mni_segment_group *g)
{
    struct mni_segment_codes codes;
    struct mn_error err;
    const uint64_t *signs;
    void *pin;

    for (uint32_t first = 0; first < g->n_vectors; first += MNI_SEGMENT_CODE_BLOCK_VECTORS) {
        uint32_t block = first / MNI_SEGMENT_CODE_BLOCK_VECTORS;
        if (!is_good(mni_segment_code_block(s, g, block, &codes, &err), &err))
            continue;
        read_every_byte(codes.scales, codes.n_vectors * sizeof *codes.scales);
        read_every_byte(codes.rests, codes.n_vectors * sizeof *codes.rests);
        read_every_byte(codes.lengths, codes.n_vectors * sizeof *codes.lengths);
        read_every_byte(codes.quads, codes.n_vectors * mni_row_code_bytes(g->n_dims));
        mni_segment_release(s, codes.pin);
    }
    if (is_good(mni_segment_signs(s, g, 0, g->n_vectors, &signs, &pin, &err), &err)) {
        read_every_byte(signs, (size_t)g->n_vectors * ((g->n_dims + 63) / 64) * 8);
        mni_segment_release(s, pin);
    }
}

static void read_group(struct mni_segment *s, const struct mni_segment_group *g)
{
    struct mn_error err;
    const void *vectors;
    void *pin;

    if (g->n_vectors == 0)
        return;
    /* What is decoded may be much more than the input. */
    uint32_t n_at_once = g->has_differences ? DECODED_MAX : g->n_vectors;
    for (uint32_t first = 0; first < g->n_vectors; first += n_at_once) {
        uint32_t n = g->n_vectors - first < n_at_once ? g->n_vectors - first : n_at_once;
        if (!is_good(mni_segment_vectors(s, g, first, n, &vectors, &pin, &err), &err))
            continue;
        read_every_byte(vectors, (size_t)n * g->n_dims * element_bytes(g->element_type));
        mni_segment_release(s, pin);
    }
    if (g->has_codes)
        read_codes(s, g);
    for (uint32_t i = 0; i < g->n_vectors; i++) {
        uint32_t row;
        if (is_good(mni_segment_vector_row(s, g, i, &row, &err), &err))
            MNI_CHECK(row < s->info.n_rows);
    }
}

static void read_all(struct mni_segment *s)
{
    struct mn_error err;

    read_spaces(s);
    read_rows(s);
    for (uint64_t i = 0; i < s->info.n_groups; i++) {
        struct mni_segment_group group;
        if (is_good(mni_segment_group(s, i, &group, &err), &err))
            read_group(s, &group);
    }
    for (uint64_t i = 0; i < s->info.n_expiring; i++) {
        uint32_t row;
        if (is_good(mni_segment_expiring_row(s, i, &row, &err), &err))
            MNI_CHECK(row < s->info.n_rows);
    }
    mn_status st = mni_segment_verify(s, NULL, NULL, &err);
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const struct mni_source_ops ops = {
        .get = copy_get, .release = copy_release, .close = copy_close};
    struct mni_segment *segment = NULL;
    struct mni_segment_id id = {{0}};
    struct mn_error err;
    unsigned char *file;
    size_t n = n_bytes - 1;

    if (n_bytes < 1)
        return 0;
    if ((data[0] & AS_IT_STANDS) != 0) {
        file = must(aligned_alloc(64, (size_t)mni_align_up(n == 0 ? 1 : n, 64)));
        memcpy(file, data + 1, n);
    } else {
        file = put_together(data + 1, n, (data[0] & FIT_COUNTS) != 0, &n);
        if (file == NULL)
            return 0;
    }
    if (n >= SEG_HEADER_OFF_CRC)
        memcpy(id.bytes, file + SEG_HEADER_OFF_ID, SEG_ID_BYTES);
    struct copying_source source = {
        .base = {.ops = &ops, .map = (data[0] & UNMAPPED) != 0 ? NULL : file, .n_bytes = n},
        .bytes = file};
    mn_status st = mni_segment_open_source(&source.base, &id, NULL, &segment, &err);
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
    MNI_CHECK(st == MN_OK || strstr(err.message, ".seg: ") != NULL);
    if (st == MN_OK)
        read_all(segment);
    mni_segment_unref(segment);
    MNI_CHECK(source.n_pins == 0);
    free(file);
    return 0;
}
