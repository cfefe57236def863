/*
 * find.c - finds rows by key: through the hash tables, and in the order of keys.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT where the answer may lie in a damaged part.
 */
#include "segment/segment_private.h"

enum { GUESS_GROUPS_MAX = 64 }; /* so few are in the cache */

/* A search in a hash table. */
struct probe {
    const struct column *prints;
    const struct column *rows;
    uint64_t n_buckets;
    uint64_t n_left;  /* buckets not looked at */
    uint64_t bucket;  /* the one looked at */
    uint32_t matches; /* a bit for each of its slots that may be it */
    uint16_t print;   /* looked for */
    bool is_last;     /* it has a free slot */
};

static void begin_probe(struct probe *p, const struct mni_segment *s, bool is_second, uint64_t hash)
{
    const struct column *columns = s->layout.columns;

    *p = (struct probe){
        .prints = &columns[is_second ? SEG_SECOND_PRINTS : SEG_KEY_PRINTS],
        .rows = &columns[is_second ? SEG_SECOND_ROWS : SEG_KEY_ROWS],
        .n_buckets = is_second ? s->n_second_buckets : s->n_key_buckets,
        .print = fingerprint(hash),
    };
    uint64_t home = home_bucket(hash, p->n_buckets);
    p->n_left = p->n_buckets;
    p->bucket = home + p->n_buckets - 1;    /* the one before */
    if (s->map != NULL && p->n_buckets > 0) /* both under way, before the one says which to read */
        __builtin_prefetch(s->map + p->rows->offset + home * SEG_SLOTS_BYTES);
}

/* A bit for each of 16 numbers that equals `print`: four at a time, by arithmetic on whole words in
 * which no lane carries into the next. */
static uint32_t matching_slots(const unsigned char *prints, uint16_t print)
{
    const uint64_t ones = UINT64_C(0x0001000100010001);
    const uint64_t low = UINT64_C(0x7fff7fff7fff7fff);
    /* Multiplying brings the lanes' top bits, 16 apart, side by side to the top. */
    const uint64_t gather = UINT64_C(0x0000200040008001);
    uint32_t slots = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t differs = mni_get_u64(prints + (size_t)8 * i) ^ (ones * print);
        uint64_t equal = ~(((differs & low) + low) | differs | low);
        slots |= (uint32_t)(((equal >> 15) * gather) >> 45 & 15) << (4 * i);
    }
    return slots;
}

static mn_status next_bucket(struct mni_segment *s, struct probe *p, struct mn_error *err)
{
    struct span span;

    p->bucket = p->bucket + 1 >= p->n_buckets ? p->bucket + 1 - p->n_buckets : p->bucket + 1;
    uint64_t offset = p->prints->offset + p->bucket * SEG_PRINTS_BYTES;
    if (p->n_left-- == 0)
        return mni_segment_nonsense(s, offset, "a hash table is full", err);
    mn_status st = fetch(s, offset, SEG_PRINTS_BYTES, &span, err);
    if (st != MN_OK)
        return st;
    p->matches = matching_slots(span.bytes, p->print);
    p->is_last = mni_get_u16(span.bytes + SEG_PRINTS_BYTES - 2) == 0;
    release(s, span.pin);
    return MN_OK;
}

/* The next row that may be the one, MN_NOT_FOUND when there is none. */
static mn_status next_candidate(struct mni_segment *s, struct probe *p, uint32_t *row_out,
                                uint32_t *line_out, struct mn_error *err)
{
    struct span span;

    while (p->matches == 0) {
        if (p->is_last || p->n_buckets == 0)
            return MN_NOT_FOUND;
        mn_status st = next_bucket(s, p, err);
        if (st != MN_OK)
            return st;
    }
    unsigned slot = (unsigned)__builtin_ctz(p->matches);
    p->matches &= p->matches - 1;
    uint64_t offset =
        p->rows->offset + p->bucket * SEG_SLOTS_BYTES + (uint64_t)slot * SEG_SLOT_BYTES;
    mn_status st = fetch(s, offset, SEG_SLOT_BYTES, &span, err);
    if (st != MN_OK)
        return st;
    *row_out = mni_get_u32(span.bytes + SEG_SLOT_OFF_ROW);
    *line_out = mni_get_u32(span.bytes + SEG_SLOT_OFF_LINE);
    release(s, span.pin);
    if (*row_out >= s->info.n_rows)
        return mni_segment_nonsense(s, offset, "a hash table names a row that is none", err);
    return MN_OK;
}

/* Where the vector of a row should be, by the table of groups; 0 when that does not tell, or was
 * not checked yet. The look at the mark has another use: gcc takes a function that reads plain
 * memory and prefetches for one without effect, and leaves out calls of it. */
static uint64_t guess_vector(const struct mni_segment *s, uint64_t collection, uint32_t row)
{
    uint64_t offset = s->layout.columns[SEG_GROUPS].offset;
    const unsigned char *group = s->map + offset;
    uint64_t n_left = s->info.n_groups;

    static_assert(GUESS_GROUPS_MAX * SEG_GROUP_BYTES <= SEG_BLOCK_BYTES, "they lie in one block");
    if (n_left > GUESS_GROUPS_MAX || !is_bit_set(s, offset / SEG_BLOCK_BYTES))
        return 0;
    while (n_left > 0 && mni_get_u64(group + SEG_GROUP_OFF_COLLECTION) != collection) {
        group += SEG_GROUP_BYTES;
        n_left--;
    }
    if (n_left == 0 || (group[SEG_GROUP_OFF_FLAGS] & SEG_GROUP_HAS_ROWS) != 0)
        return 0;
    uint64_t index = row - mni_get_u32(group + SEG_GROUP_OFF_FIRST_ROW);
    uint64_t at = mni_get_u64(group + SEG_GROUP_OFF_VECTORS_OFFSET) +
                  index * mni_get_u32(group + SEG_GROUP_OFF_DIMS) *
                      element_bytes((enum mni_element_type)group[SEG_GROUP_OFF_ELEMENT_TYPE]);
    const struct column *vectors = &s->layout.columns[SEG_VECTORS];
    return at < vectors->bytes ? vectors->offset + at : 0;
}

/* Who looks for a row will want its header, its key and its vector. The header says where the
 * others are, but waiting for it first would take as long again: all three are fetched at once from
 * where they should be. Nothing but speed depends on that. */
static void prefetch_row(const struct mni_segment *s, uint64_t collection, uint32_t row,
                         uint32_t line)
{
    const struct column *columns = s->layout.columns;
    uint64_t blob = (uint64_t)line * SEG_LINE_BYTES;

    if (s->map == NULL)
        return;
    __builtin_prefetch(s->map + columns[SEG_ROWS].offset + (uint64_t)row * SEG_ROW_BYTES);
    if (blob < columns[SEG_BLOBS].bytes) {
        const unsigned char *bytes = s->map + columns[SEG_BLOBS].offset + blob;
        __builtin_prefetch(bytes);
        __builtin_prefetch(bytes + SEG_LINE_BYTES);
    }
    uint64_t vector = guess_vector(s, collection, row);
    if (vector != 0)
        __builtin_prefetch(s->map + vector);
}

void mni_segment_prefetch(const struct mni_segment *segment, uint64_t hash)
{
    const struct column *columns = segment->layout.columns;
    uint64_t home = home_bucket(hash, segment->n_key_buckets);

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    if (segment->map == NULL)
        return;
    __builtin_prefetch(segment->map + columns[SEG_KEY_PRINTS].offset + home * SEG_PRINTS_BYTES);
    __builtin_prefetch(segment->map + columns[SEG_KEY_ROWS].offset + home * SEG_SLOTS_BYTES);
}

/* Unchecked bytes are good enough for a hint: what they say is fetched, and not believed. */
bool mni_segment_prefetch_row(const struct mni_segment *segment, uint64_t hash, uint64_t collection)
{
    const struct mni_segment *s = segment;
    const struct column *columns = s->layout.columns;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    if (s->map == NULL || s->n_key_buckets == 0)
        return false;
    uint64_t home = home_bucket(hash, s->n_key_buckets);
    const unsigned char *prints = s->map + columns[SEG_KEY_PRINTS].offset + home * SEG_PRINTS_BYTES;
    uint32_t matches = matching_slots(prints, fingerprint(hash));
    if (matches == 0)
        return false;
    const unsigned char *slot = s->map + columns[SEG_KEY_ROWS].offset + home * SEG_SLOTS_BYTES +
                                (size_t)__builtin_ctz(matches) * SEG_SLOT_BYTES;
    uint32_t row = mni_get_u32(slot + SEG_SLOT_OFF_ROW);
    if (row >= s->info.n_rows)
        return false;
    prefetch_row(segment, collection, row, mni_get_u32(slot + SEG_SLOT_OFF_LINE));
    return true;
}

/* The row of the newest version of a key, and its header. */
static mn_status find(struct mni_segment *s, uint64_t hash, uint64_t collection,
                      struct mn_slice key, uint32_t *row_out, struct row_head *head_out,
                      struct mn_error *err)
{
    struct probe probe;
    struct span span;
    uint32_t row;
    uint32_t line;
    mn_status st;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    begin_probe(&probe, s, false, hash);
    while ((st = next_candidate(s, &probe, &row, &line, err)) == MN_OK) {
        prefetch_row(s, collection, row, line);
        st = mni_segment_head(s, row, head_out, err);
        if (st != MN_OK)
            return st;
        if (head_out->collection != collection || head_out->key_bytes != key.n_bytes)
            continue;
        st = mni_segment_row_key(s, head_out, &span, err);
        if (st != MN_OK)
            return st;
        bool is_equal = memcmp(span.bytes, key.data, key.n_bytes) == 0;
        release(s, span.pin);
        if (is_equal) {
            *row_out = row;
            return MN_OK;
        }
    }
    return st;
}

mn_status mni_segment_find(struct mni_segment *segment, uint64_t hash, uint64_t collection,
                           struct mn_slice key, uint32_t *row_out, struct mn_error *err)
{
    struct row_head head;

    return find(segment, hash, collection, key, row_out, &head, err);
}

mn_status mni_segment_find_row(struct mni_segment *segment, uint64_t hash, uint64_t collection,
                               struct mn_slice key, uint32_t *row_index_out,
                               struct mni_segment_row *row_out, struct mn_error *err)
{
    struct row_head head;
    mn_status st = find(segment, hash, collection, key, row_index_out, &head, err);

    return st == MN_OK ? mni_segment_row_of_head(segment, &head, row_out, err) : st;
}

static mn_status has_second_key(struct mni_segment *s, const struct row_head *head,
                                const unsigned char *second_key, bool *has_out,
                                struct mn_error *err)
{
    struct span span;
    uint64_t offset = s->layout.columns[SEG_BLOBS].offset + head->blob_offset +
                      blob_prefix_bytes(head->flags) - MNI_SECOND_KEY_BYTES;
    mn_status st = fetch(s, offset, MNI_SECOND_KEY_BYTES, &span, err);

    if (st != MN_OK)
        return st;
    *has_out = memcmp(span.bytes, second_key, MNI_SECOND_KEY_BYTES) == 0;
    release(s, span.pin);
    return MN_OK;
}

mn_status mni_segment_find_second(struct mni_segment *segment, uint64_t hash, uint64_t collection,
                                  const unsigned char *second_key, uint64_t *cursor,
                                  uint32_t *row_out, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct row_head head;
    struct probe probe;
    uint64_t n_seen = 0;
    uint32_t row;
    uint32_t line;
    mn_status st;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    begin_probe(&probe, s, true, hash);
    while ((st = next_candidate(s, &probe, &row, &line, err)) == MN_OK) {
        bool is_equal = false;
        if (n_seen++ < *cursor)
            continue;
        prefetch_row(s, collection, row, line);
        st = mni_segment_head(s, row, &head, err);
        if (st == MN_OK && head.collection == collection &&
            (head.flags & MNI_FIELD_SECOND_KEY) != 0)
            st = has_second_key(s, &head, second_key, &is_equal, err);
        if (st != MN_OK)
            return st;
        if (is_equal) {
            *cursor = n_seen;
            *row_out = row;
            return MN_OK;
        }
    }
    return st;
}

/* In the order of keys ----------------------------------------------------------------------------
 */

mn_status mni_segment_lower_bound(struct mni_segment *segment, uint64_t collection,
                                  struct mn_slice key, uint64_t *row_out, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct mni_segment_group group;
    uint64_t index;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    mn_status st = mni_segment_seek_group(s, collection, &index, &group, err);
    if (st == MN_NOT_FOUND) {
        *row_out = s->info.n_rows;
        return MN_OK;
    }
    if (st != MN_OK)
        return st;
    uint64_t low = group.first_row;
    uint64_t high = group.collection == collection ? low + group.n_rows : low;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct row_head head;
        struct span span;
        st = mni_segment_head(s, (uint32_t)middle, &head, err);
        if (st == MN_OK)
            st = mni_segment_row_key(s, &head, &span, err);
        if (st != MN_OK)
            return st;
        bool is_below = mni_key_compare((struct mn_slice){span.bytes, head.key_bytes}, key) < 0;
        release(s, span.pin);
        if (is_below)
            low = middle + 1;
        else
            high = middle;
    }
    *row_out = low;
    return MN_OK;
}
