/*
 * footer.c - decodes header and footer of a segment, and believes neither.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: one, while a segment is opened.
 * Fails:   MN_ERR_CORRUPT and MN_ERR_UNSUPPORTED, with the name of the file.
 */
#include <inttypes.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "segment/segment_private.h"

static mn_status bad(const struct mni_segment *s, const char *what, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_CORRUPT, "segment %s: %s", s->label, what);
}

static mn_status newer(const struct mni_segment *s, const char *what, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_UNSUPPORTED, "segment %s: %s", s->label, what);
}

static mn_status check_header(struct mni_segment *s, const struct mni_segment_id *id,
                              struct mn_error *err)
{
    struct span span;
    mn_status st = mni_segment_get_raw(s, 0, SEG_HEADER_BYTES, &span, err);

    if (st != MN_OK)
        return st;
    const unsigned char *p = span.bytes;
    if (memcmp(p, SEG_HEADER_MAGIC, SEG_MAGIC_BYTES) != 0)
        st = bad(s, "the header is none of a segment", err);
    else if (mni_get_u32(p + SEG_HEADER_OFF_CRC) != mni_crc32c(0, p, SEG_HEADER_OFF_CRC))
        st = bad(s, "the header is damaged", err);
    else if (mni_get_u32(p + SEG_HEADER_OFF_VERSION) != SEG_VERSION)
        st = newer(s, "written by a newer version", err);
    else if (memcmp(p + SEG_HEADER_OFF_ID, id->bytes, SEG_ID_BYTES) != 0)
        st = bad(s, "the header is that of another segment", err);
    else if (mni_get_u32(p + SEG_HEADER_OFF_RESERVED) != 0)
        st = bad(s, "the header has bytes that mean nothing", err);
    release(s, span.pin);
    return st;
}

/* Where the columns lie ---------------------------------------------------------------------------
 */

static mn_status check_entry(struct mni_segment *s, const unsigned char *entry, uint64_t offset,
                             struct mn_error *err)
{
    struct layout *l = &s->layout;
    uint16_t type = mni_get_u16(entry + SEG_ENTRY_OFF_TYPE);
    uint32_t flags = mni_get_u32(entry + SEG_ENTRY_OFF_FLAGS);
    uint64_t bytes = mni_get_u64(entry + SEG_ENTRY_OFF_BYTES);

    if (type == 0 || (flags & ~(uint32_t)SEG_ENTRY_REQUIRED) != 0 ||
        mni_get_u64(entry + SEG_ENTRY_OFF_RESERVED) != 0)
        return bad(s, "the directory of columns has bytes that mean nothing", err);
    if (offset > l->checksums_offset || bytes == 0 || bytes > l->checksums_offset - offset ||
        mni_get_u64(entry + SEG_ENTRY_OFF_OFFSET) != offset)
        return bad(s, "a column lies where none can be", err);
    if (type >= SEG_N_COLUMNS) {
        if ((flags & SEG_ENTRY_REQUIRED) != 0)
            return newer(s, "has a column that this version does not know", err);
        return MN_OK;
    }
    if (mni_get_u16(entry + SEG_ENTRY_OFF_CODEC) != SEG_CODEC_PLAIN)
        return newer(s, "has a column in a codec that this version does not know", err);
    l->columns[type] = (struct column){offset, bytes};
    return MN_OK;
}

static mn_status read_directory(struct mni_segment *s, const unsigned char *directory,
                                struct mn_error *err)
{
    uint64_t offset = SEG_BLOCK_BYTES;

    for (uint32_t i = 0; i < s->layout.n_columns; i++) {
        const unsigned char *entry = directory + (size_t)i * SEG_ENTRY_BYTES;
        uint16_t type = mni_get_u16(entry + SEG_ENTRY_OFF_TYPE);
        for (uint32_t j = 0; j < i; j++) {
            if (mni_get_u16(directory + (size_t)j * SEG_ENTRY_BYTES + SEG_ENTRY_OFF_TYPE) == type)
                return bad(s, "a column is there twice", err);
        }
        mn_status st = check_entry(s, entry, offset, err);
        if (st != MN_OK)
            return st;
        offset += mni_get_u64(entry + SEG_ENTRY_OFF_BYTES);
        offset = mni_align_up(offset, SEG_BLOCK_BYTES);
    }
    if (offset != s->layout.checksums_offset)
        return bad(s, "the columns do not reach the checksums", err);
    return MN_OK;
}

/* The footer's length is right, and holds what it says that it holds. */
static mn_status check_places(struct mni_segment *s, const unsigned char *p, struct mn_error *err)
{
    struct layout *l = &s->layout;
    uint64_t first_key_bytes = mni_get_u16(p + SEG_FOOTER_OFF_FIRST_KEY_BYTES);
    uint64_t last_key_bytes = mni_get_u16(p + SEG_FOOTER_OFF_LAST_KEY_BYTES);

    l->checksums_offset = mni_get_u64(p + SEG_FOOTER_OFF_CHECKSUMS);
    l->n_columns = mni_get_u32(p + SEG_FOOTER_OFF_COLUMNS);
    l->n_checksum_blocks = mni_get_u32(p + SEG_FOOTER_OFF_CHECKSUM_BLOCKS);
    if (l->checksums_offset % SEG_BLOCK_BYTES != 0 || l->checksums_offset > l->footer_offset)
        return bad(s, "the checksums lie where they cannot be", err);
    uint64_t checksums_bytes = l->footer_offset - l->checksums_offset;
    if (checksums_bytes != mni_align_up(layout_n_blocks(l) * 4, SEG_PAGE_BYTES) ||
        l->n_checksum_blocks != (checksums_bytes + SEG_BLOCK_BYTES - 1) / SEG_BLOCK_BYTES)
        return bad(s, "the checksums are not as many as the blocks", err);
    if (first_key_bytes < 1 || first_key_bytes > KEY_BYTES_MAX || last_key_bytes < 1 ||
        last_key_bytes > KEY_BYTES_MAX)
        return bad(s, "a key in the footer has an impossible length", err);
    if (l->n_columns > SEG_COLUMNS_MAX)
        return bad(s, "there are too many columns", err);
    uint64_t content_bytes = SEG_FOOTER_FIXED_BYTES + (uint64_t)l->n_columns * SEG_ENTRY_BYTES +
                             (uint64_t)l->n_checksum_blocks * 4 + first_key_bytes + last_key_bytes;
    if (content_bytes > l->footer_bytes - SEG_TAIL_BYTES ||
        l->footer_bytes - SEG_TAIL_BYTES - content_bytes >= SEG_PAGE_BYTES)
        return bad(s, "the footer's length does not fit what is in it", err);
    if (!mni_is_zero(p + content_bytes, (size_t)(l->footer_bytes - SEG_TAIL_BYTES - content_bytes)))
        return bad(s, "the footer has bytes that mean nothing", err);
    return MN_OK;
}

/* Numbers -----------------------------------------------------------------------------------------
 */

/* Sets the number of buckets of a table whose columns agree. */
static bool is_table_good(const struct layout *l, enum seg_column prints, enum seg_column rows,
                          uint64_t n_entries, uint64_t *n_buckets_out)
{
    uint64_t n_buckets = l->columns[prints].bytes / SEG_PRINTS_BYTES;

    *n_buckets_out = n_buckets;
    if (n_entries == 0)
        return l->columns[prints].bytes == 0 && l->columns[rows].bytes == 0;
    return l->columns[prints].bytes == n_buckets * SEG_PRINTS_BYTES &&
           l->columns[rows].bytes == n_buckets * SEG_SLOTS_BYTES && n_buckets <= UINT32_MAX &&
           n_buckets * SEG_BUCKET_SLOTS > n_entries;
}

static bool are_points_good(const struct mni_segment *s)
{
    uint64_t spaces = s->layout.columns[SEG_SPACES].bytes;
    uint64_t entities = s->layout.columns[SEG_ENTITIES].bytes;
    uint64_t times = s->layout.columns[SEG_TIMES].bytes;

    return (spaces == 0) == (entities == 0) && (spaces == 0) == (times == 0) &&
           spaces % SEG_SPACE_BYTES == 0 && entities % SEG_ENTITY_BYTES == 0 &&
           times % SEG_TIME_BYTES == 0 && spaces / SEG_SPACE_BYTES <= s->info.n_groups &&
           entities / SEG_ENTITY_BYTES <= s->info.n_rows &&
           times / SEG_TIME_BYTES <= s->info.n_rows;
}

static bool are_places_good(const struct mni_segment *s)
{
    uint64_t differences = s->layout.columns[SEG_DIFFERENCES].bytes;
    uint64_t places = s->layout.columns[SEG_PLACES].bytes;

    return (differences == 0) == (places == 0) && differences <= UINT32_MAX &&
           places % SEG_PLACE_BYTES == 0 && places / SEG_PLACE_BYTES <= s->info.n_rows;
}

static mn_status check_numbers(struct mni_segment *s, struct mn_error *err)
{
    const struct mni_segment_info *info = &s->info;
    const struct layout *l = &s->layout;

    if (info->n_rows == 0 || info->n_rows > MNI_SEGMENT_ROWS_MAX || info->n_keys == 0 ||
        info->n_keys > info->n_rows || s->n_second_keys > info->n_keys || info->n_groups == 0 ||
        info->n_groups > info->n_keys || info->n_expiring > info->n_rows ||
        info->min_lsn > info->max_lsn)
        return bad(s, "the numbers in the footer contradict each other", err);
    if (l->columns[SEG_ROWS].bytes != info->n_rows * SEG_ROW_BYTES ||
        l->columns[SEG_GROUPS].bytes != info->n_groups * SEG_GROUP_BYTES ||
        l->columns[SEG_EXPIRY].bytes != info->n_expiring * 4 ||
        l->columns[SEG_VECTOR_ROWS].bytes % 4 != 0 || l->columns[SEG_BLOBS].bytes == 0 ||
        l->columns[SEG_VECTORS].bytes > SEG_VECTORS_BYTES_MAX || !are_points_good(s) ||
        !are_places_good(s))
        return bad(s, "a column does not have the length that the counts ask for", err);
    if (!is_table_good(l, SEG_KEY_PRINTS, SEG_KEY_ROWS, info->n_keys, &s->n_key_buckets) ||
        !is_table_good(l, SEG_SECOND_PRINTS, SEG_SECOND_ROWS, s->n_second_keys,
                       &s->n_second_buckets))
        return bad(s, "a hash table does not have the size that the counts ask for", err);
    return MN_OK;
}

static void read_numbers(struct mni_segment *s, const unsigned char *p)
{
    struct mni_segment_info *info = &s->info;

    info->n_rows = mni_get_u64(p + SEG_FOOTER_OFF_ROWS);
    info->n_keys = mni_get_u64(p + SEG_FOOTER_OFF_KEYS);
    s->n_second_keys = mni_get_u64(p + SEG_FOOTER_OFF_SECOND_KEYS);
    info->n_groups = mni_get_u64(p + SEG_FOOTER_OFF_GROUPS);
    info->n_expiring = mni_get_u64(p + SEG_FOOTER_OFF_EXPIRING);
    info->min_lsn = mni_get_u64(p + SEG_FOOTER_OFF_MIN_LSN);
    info->max_lsn = mni_get_u64(p + SEG_FOOTER_OFF_MAX_LSN);
    info->min_expiry_us = mni_get_i64(p + SEG_FOOTER_OFF_MIN_EXPIRY);
    s->bounds.first_collection = mni_get_u64(p + SEG_FOOTER_OFF_FIRST_COLLECTION);
    s->bounds.last_collection = mni_get_u64(p + SEG_FOOTER_OFF_LAST_COLLECTION);
}

/* Copies what stands behind the directory. */
static mn_status keep_checksums_and_keys(struct mni_segment *s, const unsigned char *footer,
                                         struct mn_error *err)
{
    const struct layout *l = &s->layout;
    const unsigned char *p =
        footer + SEG_FOOTER_FIXED_BYTES + (size_t)l->n_columns * SEG_ENTRY_BYTES;
    size_t first = mni_get_u16(footer + SEG_FOOTER_OFF_FIRST_KEY_BYTES);
    size_t last = mni_get_u16(footer + SEG_FOOTER_OFF_LAST_KEY_BYTES);

    s->checksum_crcs = mni_alloc_array(l->n_checksum_blocks, sizeof s->checksum_crcs[0]);
    s->keys = mni_alloc(first + last);
    if (s->checksum_crcs == NULL || s->keys == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "footer of segment %s", s->label);
    for (uint32_t i = 0; i < l->n_checksum_blocks; i++, p += 4)
        s->checksum_crcs[i] = mni_get_u32(p);
    memcpy(s->keys, p, first + last);
    s->bounds.first_key = (struct mn_slice){s->keys, first};
    s->bounds.last_key = (struct mn_slice){s->keys + first, last};
    return MN_OK;
}

/* The footer --------------------------------------------------------------------------------------
 */

static mn_status check_tail(const struct mni_segment *s, const unsigned char *footer,
                            struct mn_error *err)
{
    uint32_t n = s->layout.footer_bytes;
    const unsigned char *tail = footer + n - SEG_TAIL_BYTES;
    uint32_t crc = mni_get_u32(tail + SEG_TAIL_OFF_CRC);

    if (memcmp(tail, SEG_END_MAGIC, SEG_MAGIC_BYTES) != 0 ||
        mni_get_u32(tail + SEG_TAIL_OFF_BYTES) != n)
        return bad(s, "the end of the file is not that of a segment", err);
    if (crc != mni_crc32c(0, footer, n - 4) ||
        memcmp(footer, SEG_FOOTER_MAGIC, SEG_MAGIC_BYTES) != 0)
        return bad(s, "the footer is damaged", err);
    return MN_OK;
}

static mn_status decode(struct mni_segment *s, const struct mni_segment_id *id,
                        const unsigned char *footer, struct mn_error *err)
{
    mn_status st = check_tail(s, footer, err);

    if (st != MN_OK)
        return st;
    if (mni_get_u32(footer + SEG_FOOTER_OFF_VERSION) != SEG_VERSION)
        return newer(s, "written by a newer version", err);
    if (memcmp(footer + SEG_FOOTER_OFF_ID, id->bytes, SEG_ID_BYTES) != 0)
        return bad(s, "the footer is that of another segment", err);
    if (mni_get_u64(footer + SEG_FOOTER_OFF_FILE_BYTES) != s->source->n_bytes ||
        !mni_is_zero(footer + SEG_FOOTER_OFF_RESERVED,
                     SEG_FOOTER_FIXED_BYTES - SEG_FOOTER_OFF_RESERVED))
        return bad(s, "the footer is that of a file of another length", err);
    s->info.footer_bytes = s->layout.footer_bytes;
    s->info.footer_crc = mni_get_u32(footer + s->layout.footer_bytes - 4);
    read_numbers(s, footer);
    st = check_places(s, footer, err);
    if (st == MN_OK)
        st = read_directory(s, footer + SEG_FOOTER_FIXED_BYTES, err);
    if (st == MN_OK)
        st = check_numbers(s, err);
    if (st == MN_OK)
        st = keep_checksums_and_keys(s, footer, err);
    return st;
}

static mn_status find_footer(struct mni_segment *s, const struct mni_segment_info *expected,
                             struct mn_error *err)
{
    uint64_t n = s->source->n_bytes;
    uint64_t footer_bytes;

    if (expected != NULL && expected->file_bytes != n)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "segment %s: has %" PRIu64 " bytes instead of %" PRIu64, s->label, n,
                        expected->file_bytes);
    if (n < SEG_BLOCK_BYTES + SEG_PAGE_BYTES || n % SEG_PAGE_BYTES != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "segment %s: has %" PRIu64 " bytes, as none can have",
                        s->label, n);
    if (expected != NULL) {
        footer_bytes = expected->footer_bytes;
    } else {
        struct span span;
        mn_status st = mni_segment_get_raw(s, n - SEG_TAIL_BYTES, SEG_TAIL_BYTES, &span, err);
        if (st != MN_OK)
            return st;
        footer_bytes = mni_get_u32(span.bytes + SEG_TAIL_OFF_BYTES);
        release(s, span.pin);
    }
    if (footer_bytes == 0 || footer_bytes % SEG_PAGE_BYTES != 0 ||
        footer_bytes > n - SEG_BLOCK_BYTES)
        return bad(s, "the end of the file is not that of a segment", err);
    s->layout.footer_bytes = (uint32_t)footer_bytes;
    s->layout.footer_offset = n - footer_bytes;
    s->layout.file_bytes = n;
    return MN_OK;
}

mn_status mni_segment_read_footer(struct mni_segment *segment, const struct mni_segment_id *id,
                                  const struct mni_segment_info *expected, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct span span;

    s->id_crc = mni_crc32c(0, id->bytes, sizeof id->bytes);
    s->info.id = *id;
    s->info.file_bytes = s->source->n_bytes;
    mn_status st = find_footer(s, expected, err);
    if (st == MN_OK)
        st = mni_segment_get_raw(s, s->layout.footer_offset, s->layout.footer_bytes, &span, err);
    if (st != MN_OK)
        return st;
    st = decode(s, id, span.bytes, err);
    release(s, span.pin);
    if (st == MN_OK && expected != NULL && expected->footer_crc != s->info.footer_crc)
        st = bad(s, "is not the file that was written under this name", err);
    return st == MN_OK ? check_header(s, id, err) : st;
}

mn_status mni_segment_check_ends(struct mni_segment *segment, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct span span;
    mn_status st = check_header(s, &s->info.id, err);

    if (st == MN_OK)
        st = mni_segment_get_raw(s, s->layout.footer_offset, s->layout.footer_bytes, &span, err);
    if (st != MN_OK)
        return st;
    st = check_tail(s, span.bytes, err);
    if (st == MN_OK && mni_get_u32(span.bytes + s->layout.footer_bytes - 4) != s->info.footer_crc)
        st = bad(s, "the footer is not the one that was read before", err);
    release(s, span.pin);
    return st;
}
