/*
 * find.c - finds rows by key: through the hash tables, and in the order of keys.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT where the answer may lie in a damaged part.
 */
#include "segment/segment_private.h"

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
    p->n_left = p->n_buckets;
    /* The bucket before the first one. */
    p->bucket = home_bucket(hash, p->n_buckets) + p->n_buckets - 1;
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
                                struct mn_error *err)
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
    uint64_t offset = p->rows->offset + p->bucket * SEG_SLOTS_BYTES + (uint64_t)slot * 4;
    mn_status st = fetch(s, offset, 4, &span, err);
    if (st != MN_OK)
        return st;
    *row_out = mni_get_u32(span.bytes);
    release(s, span.pin);
    if (*row_out >= s->info.n_rows)
        return mni_segment_nonsense(s, offset, "a hash table names a row that is none", err);
    return MN_OK;
}

/* Who looks for a row will want its vector: fetching it takes as long as fetching the key, so let
 * both be under way. */
static void prefetch_vector(const struct mni_segment *s, const struct row_head *head)
{
    if (s->map != NULL && head->vector != SEG_NO_VECTOR)
        __builtin_prefetch(s->map + s->layout.columns[SEG_VECTORS].offset +
                           (uint64_t)head->vector * 2);
}

mn_status mni_segment_find(struct mni_segment *segment, uint64_t hash, uint64_t collection,
                           struct mn_slice key, uint32_t *row_out, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct row_head head;
    struct probe probe;
    struct span span;
    uint32_t row;
    mn_status st;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    begin_probe(&probe, s, false, hash);
    while ((st = next_candidate(s, &probe, &row, err)) == MN_OK) {
        st = mni_segment_head(s, row, &head, err);
        if (st != MN_OK)
            return st;
        if (head.collection != collection || head.key_bytes != key.n_bytes)
            continue;
        prefetch_vector(s, &head);
        st = mni_segment_row_key(s, &head, &span, err);
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
    mn_status st;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    begin_probe(&probe, s, true, hash);
    while ((st = next_candidate(s, &probe, &row, err)) == MN_OK) {
        bool is_equal = false;
        if (n_seen++ < *cursor)
            continue;
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
        bool is_below = compare_keys((struct mn_slice){span.bytes, head.key_bytes}, key) < 0;
        release(s, span.pin);
        if (is_below)
            low = middle + 1;
        else
            high = middle;
    }
    *row_out = low;
    return MN_OK;
}
