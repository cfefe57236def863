/*
 * find.c - finds rows by key: through the hash tables, and in the order of keys.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT where the answer may lie in a damaged part.
 */
#include "segment/prints_private.h"
#include "segment/segment_private.h"

enum {
    GUESS_GROUPS_MAX = 64,  /* so few are in the cache */
    GUESS_BYTES_MAX = 1024, /* of a vector: more would be in the way of what is needed first */
};

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
    p->matches = prints_match(span.bytes, p->print);
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

/* Fetches the vector of a row from where it should be by the table of groups, if that tells and was
 * checked already. The processor fetches ahead only what it sees read in order: all of a short
 * vector is fetched at once. The look at the mark has another use: gcc takes a function that reads
 * plain memory and prefetches for one without effect, and leaves out calls of it. */
static void prefetch_vector(const struct mni_segment *s, uint64_t collection, uint32_t row)
{
    const struct column *vectors = &s->layout.columns[SEG_VECTORS];
    uint64_t offset = s->layout.columns[SEG_GROUPS].offset;
    const unsigned char *group = s->map + offset;
    uint64_t n_left = s->info.n_groups;

    static_assert(GUESS_GROUPS_MAX * SEG_GROUP_BYTES <= SEG_BLOCK_BYTES, "they lie in one block");
    if (n_left > GUESS_GROUPS_MAX || !is_bit_set(s, offset / SEG_BLOCK_BYTES))
        return;
    while (n_left > 0 && mni_get_u64(group + SEG_GROUP_OFF_COLLECTION) != collection) {
        group += SEG_GROUP_BYTES;
        n_left--;
    }
    if (n_left == 0 || (group[SEG_GROUP_OFF_FLAGS] & SEG_GROUP_HAS_ROWS) != 0)
        return;
    uint64_t index = row - mni_get_u32(group + SEG_GROUP_OFF_FIRST_ROW);
    uint64_t n_bytes = mni_get_u32(group + SEG_GROUP_OFF_DIMS) *
                       element_bytes((enum mni_element_type)group[SEG_GROUP_OFF_ELEMENT_TYPE]);
    uint64_t from = mni_get_u64(group + SEG_GROUP_OFF_VECTORS_OFFSET) + index * n_bytes;
    uint64_t to = from + (n_bytes < GUESS_BYTES_MAX ? n_bytes : GUESS_BYTES_MAX);
    for (uint64_t at = from; at < to && at < vectors->bytes; at += SEG_LINE_BYTES)
        __builtin_prefetch(s->map + vectors->offset + at);
}

/* Who looks for a row will want its header and its key, and mostly its vector. The header says
 * where the others are, but waiting for it first would take as long again: all three are fetched at
 * once from where they should be. Nothing but speed depends on that. */
static void prefetch_row(const struct mni_segment *s, uint64_t collection, uint32_t row,
                         uint32_t line, bool wants_vector)
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
    if (wants_vector)
        prefetch_vector(s, collection, row);
}

static void prefetch_home(const struct mni_segment *s, uint64_t hash)
{
    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    if (s->key_prints == NULL)
        return;
    uint64_t home = home_bucket(hash, s->n_key_buckets);
    __builtin_prefetch(s->key_prints + home * SEG_PRINTS_BYTES);
    __builtin_prefetch(s->key_rows + home * SEG_SLOTS_BYTES);
}

/* Asks the fingerprints alone, as a search would; what a block says that was not checked yet does
 * not count. The slot that a search will read first is on its way then. */
static bool may_hold(const struct mni_segment *s, uint64_t hash)
{
    if (s->key_prints == NULL)
        return true;
    uint64_t bucket = home_bucket(hash, s->n_key_buckets);
    for (uint64_t n_left = s->n_key_buckets; n_left > 0; n_left--) {
        const unsigned char *prints = s->key_prints + bucket * SEG_PRINTS_BYTES;
        if (!is_bit_set(s, (uint64_t)(prints - s->map) / SEG_BLOCK_BYTES))
            return true;
        uint32_t matches = prints_match(prints, fingerprint(hash));
        if (matches != 0) {
            __builtin_prefetch(s->key_rows + bucket * SEG_SLOTS_BYTES +
                               (size_t)__builtin_ctz(matches) * SEG_SLOT_BYTES);
            return true;
        }
        if (mni_get_u16(prints + SEG_PRINTS_BYTES - 2) == 0)
            return false;
        bucket = bucket + 1 == s->n_key_buckets ? 0 : bucket + 1;
    }
    return true;
}

void mni_segments_prefetch(const struct mni_segment *const *segments, size_t n, uint64_t hash)
{
    for (size_t i = 0; i < n; i++)
        if (segments[i] != NULL)
            prefetch_home(segments[i], hash);
}

size_t mni_segments_seek(const struct mni_segment *const *segments, size_t n, uint64_t hash)
{
    while (n > 0 && (segments[n - 1] == NULL || !may_hold(segments[n - 1], hash)))
        n--;
    return n;
}

/* Unchecked bytes are good enough for a hint: what they say is fetched, and not believed. */
bool mni_segment_prefetch_row(const struct mni_segment *segment, uint64_t hash, uint64_t collection)
{
    const struct mni_segment *s = segment;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    if (s->key_prints == NULL)
        return false;
    uint64_t home = home_bucket(hash, s->n_key_buckets);
    uint32_t matches = prints_match(s->key_prints + home * SEG_PRINTS_BYTES, fingerprint(hash));
    if (matches == 0)
        return false;
    const unsigned char *slot =
        s->key_rows + home * SEG_SLOTS_BYTES + (size_t)__builtin_ctz(matches) * SEG_SLOT_BYTES;
    uint32_t row = mni_get_u32(slot + SEG_SLOT_OFF_ROW);
    if (row >= s->info.n_rows)
        return false;
    prefetch_row(s, collection, row, mni_get_u32(slot + SEG_SLOT_OFF_LINE), true);
    return true;
}

/* The row of the newest version of a key, and its header. */
static mn_status find(struct mni_segment *s, uint64_t hash, uint64_t collection,
                      struct mn_slice key, bool wants_vector, uint32_t *row_out,
                      struct row_head *head_out, struct mn_error *err)
{
    struct probe probe;
    struct span span;
    uint32_t row;
    uint32_t line;
    mn_status st;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    begin_probe(&probe, s, false, hash);
    while ((st = next_candidate(s, &probe, &row, &line, err)) == MN_OK) {
        prefetch_row(s, collection, row, line, wants_vector);
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

    return find(segment, hash, collection, key, false, row_out, &head, err);
}

mn_status mni_segment_find_row(struct mni_segment *segment, uint64_t hash, uint64_t collection,
                               struct mn_slice key, uint32_t *row_index_out,
                               struct mni_segment_row *row_out, struct mn_error *err)
{
    struct row_head head;
    mn_status st = find(segment, hash, collection, key, true, row_index_out, &head, err);

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
        prefetch_row(s, collection, row, line, true);
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

/* Among rows `low` to `high` - 1, of one collection. */
static mn_status search_keys(struct mni_segment *s, struct mn_slice key, uint64_t low,
                             uint64_t high, uint64_t *row_out, struct mn_error *err)
{
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct row_head head;
        struct span span;
        mn_status st = mni_segment_head(s, (uint32_t)middle, &head, err);
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

mn_status mni_segment_lower_bound(struct mni_segment *segment, uint64_t collection,
                                  struct mn_slice key, uint64_t *row_out, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct mni_segment_group group;
    struct mni_segment_space space;
    uint64_t index;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    mn_status st = mni_segment_find_space(s, collection, &space, err);
    if (st == MN_OK)
        return mni_segment_point_lower_bound(s, &space, key, row_out, err);
    if (st == MN_NOT_FOUND)
        st = mni_segment_seek_group(s, collection, &index, &group, err);
    if (st == MN_NOT_FOUND) {
        *row_out = s->info.n_rows;
        return MN_OK;
    }
    if (st != MN_OK)
        return st;
    uint64_t n_rows = group.collection == collection ? group.n_rows : 0;
    return search_keys(s, key, group.first_row, group.first_row + n_rows, row_out, err);
}

mn_status mni_segment_key_range(struct mni_segment *segment, uint64_t collection,
                                struct mn_slice low, struct mn_slice high, uint32_t *first_out,
                                uint32_t *end_out, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct mni_segment_space space;
    struct mni_segment_group group;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    mn_status st = mni_segment_find_space(s, collection, &space, err);
    if (st == MN_OK)
        return mni_segment_point_range(s, &space, low, high, first_out, end_out, err);
    if (st == MN_NOT_FOUND)
        st = mni_segment_find_group(s, collection, &group, err);
    if (st != MN_OK)
        return st;
    uint64_t first = group.first_row;
    uint64_t end = first + group.n_rows;
    if (high.n_bytes > 0)
        st = search_keys(s, high, first, end, &end, err);
    if (st == MN_OK && low.n_bytes > 0)
        st = search_keys(s, low, first, end, &first, err);
    *first_out = (uint32_t)first;
    *end_out = (uint32_t)end;
    return st;
}
