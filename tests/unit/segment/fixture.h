/*
 * fixture.h - rows from random numbers, segments of them on a simulated disk, and an audit that
 * compares every answer of a segment with the rows.
 */
#ifndef TESTS_UNIT_SEGMENT_FIXTURE_H
#define TESTS_UNIT_SEGMENT_FIXTURE_H

#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "io/crash.h"
#include "io/fault.h"
#include "kernel/kernel.h"
#include "segment/segment_private.h"

/* Rows --------------------------------------------------------------------------------------------
 */

/* In the order of a segment; their bytes are owned. */
struct rows {
    struct mni_segment_row *items;
    size_t n;
    size_t capacity;
    struct mni_segment_points points; /* borrowed: whose collections are points */
};

static inline void *copy_bytes(const void *data, size_t n)
{
    void *copy = malloc(n == 0 ? 1 : n);

    CHECK(copy != NULL);
    if (n > 0)
        memcpy(copy, data, n);
    return copy;
}

static inline void free_row(struct mni_segment_row *row)
{
    struct mni_record *r = &row->record;
    const void *owned[] = {r->key.data, r->vector, r->metadata.data, r->payload.data,
                           r->second_key};

    for (size_t i = 0; i < CHECK_COUNT(owned); i++)
        free((void *)(uintptr_t)owned[i]);
}

static inline void rows_free(struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        free_row(&rows->items[i]);
    free(rows->items);
    *rows = (struct rows){0};
}

/* Copies what the row points to. */
static inline void rows_add(struct rows *rows, const struct mni_segment_row *row)
{
    struct mni_segment_row copy = *row;
    struct mni_record *r = &copy.record;

    r->key.data = copy_bytes(r->key.data, r->key.n_bytes);
    r->metadata.data = r->metadata.n_bytes == 0 ? NULL
                                                : copy_bytes(r->metadata.data, r->metadata.n_bytes);
    r->payload.data = r->payload.n_bytes == 0 ? NULL
                                              : copy_bytes(r->payload.data, r->payload.n_bytes);
    size_t vector_bytes = r->n_dims * element_bytes(r->element_type);
    r->vector = vector_bytes == 0 ? NULL : copy_bytes(r->vector, vector_bytes);
    if ((r->fields & MNI_FIELD_SECOND_KEY) != 0)
        r->second_key = copy_bytes(r->second_key, MNI_SECOND_KEY_BYTES);
    else
        r->second_key = NULL;
    if (rows->n == rows->capacity) {
        rows->capacity = rows->capacity == 0 ? 64 : 2 * rows->capacity;
        rows->items = realloc(rows->items, rows->capacity * sizeof *rows->items);
        CHECK(rows->items != NULL);
    }
    rows->items[rows->n++] = copy;
}

static inline int compare_row_keys(const struct mni_segment_row *a, const struct mni_segment_row *b)
{
    if (a->record.collection != b->record.collection)
        return a->record.collection < b->record.collection ? -1 : 1;
    return mni_key_compare(a->record.key, b->record.key);
}

static inline int order_rows(const void *one, const void *other)
{
    const struct mni_segment_row *a = one;
    const struct mni_segment_row *b = other;
    int order = compare_row_keys(a, b);

    return order != 0 ? order : (a->lsn < b->lsn) - (a->lsn > b->lsn);
}

static inline void rows_sort(struct rows *rows)
{
    if (rows->n == 0)
        return;
    qsort(rows->items, rows->n, sizeof rows->items[0], order_rows);
    size_t n = 1;
    for (size_t i = 1; i < rows->n; i++) { /* one row per key and LSN */
        if (order_rows(&rows->items[n - 1], &rows->items[i]) == 0)
            free_row(&rows->items[i]);
        else
            rows->items[n++] = rows->items[i];
    }
    rows->n = n;
    for (size_t i = 0; i < n; i++)
        rows->items[i].is_older = i > 0 &&
                                  compare_row_keys(&rows->items[i - 1], &rows->items[i]) == 0;
}

static inline void fill_random(uint64_t *random, void *data, size_t n)
{
    unsigned char *p = data;

    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)check_random(random);
}

/* Few bytes, so that keys are often prefixes of others; NUL, slash and 0xff among them. */
static inline size_t random_key(uint64_t *random, unsigned char key[KEY_BYTES_MAX])
{
    static const unsigned char letters[] = {0, '/', 'a', 'b', 0x7f, 0x80, 0xff, ':'};
    size_t n = check_below(random, 40) == 0 ? KEY_BYTES_MAX - check_below(random, 3)
                                            : 1 + check_below(random, 6);

    for (size_t i = 0; i < n; i++)
        key[i] = n > 100 && i < n - 2 ? 'k' : letters[check_below(random, sizeof letters)];
    return n;
}

static inline size_t random_size(uint64_t *random, size_t large)
{
    switch (check_below(random, 12)) {
    case 0:
        return large;
    case 1:
        return SEG_SMALL_PAYLOAD_BYTES_MAX;
    case 2:
        return SEG_SMALL_PAYLOAD_BYTES_MAX + 1;
    case 3:
    case 4:
    case 5:
        return 0;
    default:
        return check_below(random, 200);
    }
}

struct rows_options {
    size_t n;
    size_t n_collections;
    size_t large_bytes; /* of the largest metadata and payloads; 0 = none over 200 bytes */
    bool is_plain;      /* no vectors, no second keys, no expiry, one version per key */
};

/* The vectors of collection `i`: none, f32 or f16, in every row or only in some. */
static inline void random_vector(uint64_t *random, size_t i, struct mni_record *r,
                                 unsigned char *bytes)
{
    if (i % 5 == 0 || (i % 5 > 2 && check_below(random, 3) == 0))
        return;
    r->element_type = i % 2 == 0 ? MNI_ELEMENT_F32 : MNI_ELEMENT_F16;
    r->n_dims = (uint32_t)(1 + i * 7 % 40);
    fill_random(random, bytes, r->n_dims * element_bytes(r->element_type));
    r->vector = bytes;
}

static inline struct rows random_rows(uint64_t *random, struct rows_options options)
{
    static const uint64_t collections[] = {0,         1, 2, 7, 8, 9, UINT32_MAX, UINT64_MAX - 1,
                                           UINT64_MAX};
    size_t scratch_bytes = options.large_bytes + 2 * SEG_SMALL_PAYLOAD_BYTES_MAX;
    unsigned char *scratch = malloc(scratch_bytes);
    struct rows rows = {0};

    CHECK(scratch != NULL);
    fill_random(random, scratch, scratch_bytes);
    for (size_t n = 0; n < options.n; n++) {
        unsigned char key[KEY_BYTES_MAX];
        unsigned char vector[4 * 64];
        unsigned char second_key[MNI_SECOND_KEY_BYTES] = {0};
        size_t c = check_below(random, options.n_collections);
        struct mni_segment_row row = {.record = {.type = MNI_RECORD_UPSERT, .key.data = key}};
        struct mni_record *r = &row.record;
        r->collection = options.n_collections <= CHECK_COUNT(collections) ? collections[c] : c + 3;
        r->key.n_bytes = random_key(random, key);
        row.lsn = options.is_plain ? 5 : 1 + check_below(random, 100);
        row.record_lsn = check_below(random, row.lsn + 1);
        r->fields = options.is_plain ? 0 : (uint32_t)check_below(random, 16);
        r->event_time_us = (int64_t)check_random(random);
        r->expires_at_us = (int64_t)check_below(random, 20) - 10;
        if (check_below(random, 20) == 0)
            r->expires_at_us = check_below(random, 2) == 0 ? INT64_MAX : INT64_MIN;
        r->hits = check_random(random);
        second_key[31] = (unsigned char)check_below(random, 60);
        r->second_key = second_key;
        if (!options.is_plain)
            random_vector(random, c, r, vector);
        size_t large = options.large_bytes;
        r->metadata.n_bytes = large == 0 ? check_below(random, 200) : random_size(random, large);
        r->payload.n_bytes = large == 0 ? check_below(random, 200) : random_size(random, large);
        r->metadata.data = scratch + check_below(random, 100);
        r->payload.data = scratch + check_below(random, 100);
        rows_add(&rows, &row);
    }
    free(scratch);
    rows_sort(&rows);
    return rows;
}

/* Files -------------------------------------------------------------------------------------------
 */

struct disk {
    struct mni_crash_env *crash;
    struct mni_fault_env *fault; /* around the disk */
    struct mni_dir *dir;         /* through `fault` */
    struct mn_error err;
};

static inline void disk_open_dir(struct disk *d)
{
    CHECK_OK(mni_env_open_dir(mni_fault_env_base(d->fault), "seg", true, &d->dir, NULL));
}

static inline struct disk disk_new(void)
{
    struct disk d = {0};

    CHECK_OK(mni_crash_env_new(1, &d.crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(d.crash), &d.fault));
    disk_open_dir(&d);
    return d;
}

static inline void disk_free(struct disk *d)
{
    mni_dir_close(d->dir);
    mni_fault_env_free(d->fault);
    mni_crash_env_free(d->crash);
}

static inline struct mni_segment_id id_of(unsigned char n)
{
    struct mni_segment_id id;

    for (size_t i = 0; i < sizeof id.bytes; i++)
        id.bytes[i] = (unsigned char)(n + i);
    return id;
}

static inline struct mni_segment_plan *plan_all(const struct rows *rows)
{
    struct mni_segment_plan *plan = NULL;

    CHECK_OK(mni_segment_plan_new(UINT64_MAX, &plan));
    mni_segment_plan_set_points(plan, &rows->points);
    for (size_t i = 0; i < rows->n; i++)
        CHECK_OK(mni_segment_plan_add(plan, &rows->items[i], NULL));
    return plan;
}

/* Any step may fail; then there is no file. */
static inline mn_status try_write(struct disk *d, const struct mni_segment_writer_config *config,
                                  const struct mni_segment_row *rows, size_t n,
                                  struct mni_segment_info *info_out)
{
    struct mni_segment_writer *writer = NULL;
    mn_status st = mni_segment_writer_new(config, &writer, &d->err);

    for (size_t i = 0; i < n && st == MN_OK; i++)
        st = mni_segment_writer_add(writer, &rows[i], &d->err);
    if (st == MN_OK)
        st = mni_segment_writer_finish(writer, info_out, &d->err);
    if (st != MN_OK)
        mni_segment_writer_abandon(writer);
    return st;
}

static inline struct mni_segment_info write_segment(struct disk *d, const struct rows *rows,
                                                    unsigned char id)
{
    struct mni_segment_plan *plan = plan_all(rows);
    struct mni_segment_writer_config config = {.dir = d->dir, .id = id_of(id), .plan = plan};
    struct mni_segment_info info;

    CHECK_OK_ERR(try_write(d, &config, rows->items, rows->n, &info), &d->err);
    CHECK_EQ(info.file_bytes, mni_segment_plan_file_bytes(plan));
    mni_segment_plan_free(plan);
    return info;
}

static inline struct mni_segment *open_segment(struct disk *d, unsigned char id)
{
    struct mni_segment_id segment_id = id_of(id);
    struct mni_segment *segment = NULL;

    CHECK_OK_ERR(mni_segment_open(d->dir, &segment_id, NULL, &segment, &d->err), &d->err);
    return segment;
}

/* The bytes of a file; free them. */
static inline unsigned char *read_file(struct disk *d, unsigned char id, size_t *n_out)
{
    struct mni_segment_id segment_id = id_of(id);
    char name[MNI_SEGMENT_NAME_BYTES];
    struct mni_file *file = NULL;
    uint64_t n_bytes = 0;

    mni_segment_name(&segment_id, name);
    CHECK_OK(mni_dir_open_file(d->dir, name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_size(file, &n_bytes, NULL));
    unsigned char *bytes = aligned_alloc(4096, (size_t)mni_align_up(n_bytes, 4096));
    CHECK(bytes != NULL);
    CHECK_OK(mni_file_read(file, 0, bytes, (size_t)n_bytes, n_out, NULL));
    CHECK_EQ(*n_out, n_bytes);
    mni_file_close(file);
    return bytes;
}

/* Makes all checksums fit what stands there. */
static inline void put_right(unsigned char *bytes, size_t n)
{
    unsigned char *tail = bytes + n - SEG_TAIL_BYTES;
    unsigned char *footer = bytes + n - mni_get_u32(tail + SEG_TAIL_OFF_BYTES);
    uint64_t checksums = mni_get_u64(footer + SEG_FOOTER_OFF_CHECKSUMS);
    uint32_t id_crc = mni_crc32c(0, bytes + SEG_HEADER_OFF_ID, SEG_ID_BYTES);
    unsigned char *crcs = footer + SEG_FOOTER_FIXED_BYTES +
                          (size_t)mni_get_u32(footer + SEG_FOOTER_OFF_COLUMNS) * SEG_ENTRY_BYTES;

    mni_put_u32(bytes + SEG_HEADER_OFF_CRC, mni_crc32c(0, bytes, SEG_HEADER_OFF_CRC));
    for (uint64_t block = 0; block < checksums / SEG_BLOCK_BYTES; block++)
        mni_put_u32(
            bytes + checksums + block * 4,
            mni_segment_block_crc(id_crc, block, bytes + block * SEG_BLOCK_BYTES, SEG_BLOCK_BYTES));
    size_t checksums_bytes = (size_t)(footer - bytes) - (size_t)checksums;
    for (size_t i = 0; i * SEG_BLOCK_BYTES < checksums_bytes; i++) {
        size_t left = checksums_bytes - i * SEG_BLOCK_BYTES;
        mni_put_u32(crcs + 4 * i,
                    mni_segment_block_crc(id_crc, SEG_CHECKSUM_BLOCK_NUMBER + i,
                                          bytes + checksums + i * SEG_BLOCK_BYTES,
                                          left < SEG_BLOCK_BYTES ? left : SEG_BLOCK_BYTES));
    }
    mni_put_u32(tail + SEG_TAIL_OFF_CRC, mni_crc32c(0, footer, (size_t)(bytes + n - 4 - footer)));
}

/* The footer of a file, and the entry of a column in it. */
static inline unsigned char *footer_of(unsigned char *bytes, size_t n)
{
    return bytes + n - mni_get_u32(bytes + n - SEG_TAIL_BYTES + SEG_TAIL_OFF_BYTES);
}

static inline unsigned char *entry_of(unsigned char *bytes, size_t n, unsigned type)
{
    unsigned char *footer = footer_of(bytes, n);
    unsigned char *entry = footer + SEG_FOOTER_FIXED_BYTES;

    for (uint32_t i = 0; i < mni_get_u32(footer + SEG_FOOTER_OFF_COLUMNS); i++) {
        if (mni_get_u16(entry + SEG_ENTRY_OFF_TYPE) == type)
            return entry;
        entry += SEG_ENTRY_BYTES;
    }
    CHECK(false);
    return NULL;
}

static inline unsigned char *column_of(unsigned char *bytes, size_t n, unsigned type)
{
    return bytes + mni_get_u64(entry_of(bytes, n, type) + SEG_ENTRY_OFF_OFFSET);
}

/* Sources of bytes in memory: either all of them lie there, or each get makes a copy, so that a
 * sanitizer sees what is used after its release, and what is never released. */
struct memory_source {
    struct mni_source base;
    const unsigned char *bytes; /* borrowed */
    uint64_t n_pins;
    uint64_t n_gets;
    uint64_t n_bytes_got;
    bool is_closed;
};

static inline mn_status memory_get(struct mni_source *base, uint64_t offset, size_t n,
                                   const unsigned char **bytes_out, void **pin_out,
                                   struct mn_error *err)
{
    struct memory_source *source = (struct memory_source *)base;
    size_t before = (size_t)(offset % 64);
    unsigned char *copy = aligned_alloc(64, (size_t)mni_align_up(before + n, 64));

    (void)err;
    CHECK(n > 0 && offset <= base->n_bytes && n <= base->n_bytes - offset);
    CHECK(copy != NULL);
    memcpy(copy + before, source->bytes + offset, n);
    source->n_pins++;
    source->n_gets++;
    source->n_bytes_got += n;
    *bytes_out = copy + before;
    *pin_out = copy;
    return MN_OK;
}

static inline void memory_release(struct mni_source *base, void *pin)
{
    ((struct memory_source *)base)->n_pins--;
    free(pin);
}

static inline void memory_close(struct mni_source *base)
{
    ((struct memory_source *)base)->is_closed = true;
}

static inline void memory_source_init(struct memory_source *source, const unsigned char *bytes,
                                      uint64_t n, bool is_mapped)
{
    static const struct mni_source_ops ops = {
        .get = memory_get, .release = memory_release, .close = memory_close};

    *source = (struct memory_source){
        .base = {.ops = &ops, .map = is_mapped ? bytes : NULL, .n_bytes = n}, .bytes = bytes};
}

/* The audit ---------------------------------------------------------------------------------------
 */

struct audit {
    const struct rows *rows;
    struct mni_segment *segment;
    bool may_be_damaged; /* then any call may say so, and all other answers are still right */
    uint64_t n_damaged;  /* calls that did */
    struct mn_error err;
};

/* False: the call found damage, and named its place. */
static inline bool is_answered(struct audit *a, mn_status st)
{
    if (a->may_be_damaged && st == MN_ERR_CORRUPT) {
        CHECK_STR_HAS(a->err.message, mni_segment_label(a->segment));
        CHECK_STR_HAS(a->err.message, "block");
        CHECK_STR_HAS(a->err.message, "offset");
        a->n_damaged++;
        return false;
    }
    return true;
}

static inline void check_same_bytes(struct mn_slice actual, struct mn_slice expected)
{
    CHECK_EQ(actual.n_bytes, expected.n_bytes);
    if (expected.n_bytes > 0)
        CHECK_MEM_EQ(actual.data, expected.data, expected.n_bytes);
}

static inline void check_head(const struct mni_segment_row *actual,
                              const struct mni_segment_row *expected)
{
    const struct mni_record *a = &actual->record;
    const struct mni_record *e = &expected->record;

    CHECK_EQ(actual->lsn, expected->lsn);
    CHECK_EQ(actual->record_lsn, expected->record_lsn);
    CHECK_EQ(actual->is_older, expected->is_older);
    CHECK_EQ(a->type, MNI_RECORD_UPSERT);
    CHECK_EQ(a->element_type, e->element_type);
    CHECK_EQ(a->fields, e->fields);
    CHECK_EQ(a->clears, 0);
    CHECK_EQ(a->collection, e->collection);
    CHECK_EQ(a->n_dims, e->n_dims);
    CHECK_EQ(a->key.n_bytes, e->key.n_bytes);
    CHECK_EQ(a->metadata.n_bytes, e->metadata.n_bytes);
    CHECK_EQ(a->payload.n_bytes, e->payload.n_bytes);
    CHECK_EQ(a->event_time_us, (e->fields & MNI_FIELD_EVENT_TIME) != 0 ? e->event_time_us : 0);
    CHECK_EQ(a->expires_at_us, (e->fields & MNI_FIELD_EXPIRY) != 0 ? e->expires_at_us : 0);
}

static inline void check_row(const struct mni_segment_row *actual,
                             const struct mni_segment_row *expected)
{
    const struct mni_record *a = &actual->record;
    const struct mni_record *e = &expected->record;

    check_head(actual, expected);
    CHECK_EQ(a->hits, (e->fields & MNI_FIELD_HITS) != 0 ? e->hits : 0);
    check_same_bytes(a->key, e->key);
    check_same_bytes(a->metadata, e->metadata);
    check_same_bytes(a->payload, e->payload);
    CHECK_EQ(a->vector != NULL, e->n_dims > 0);
    if (e->n_dims > 0) {
        CHECK_EQ((uintptr_t)a->vector % element_bytes(e->element_type), 0);
        CHECK_MEM_EQ(a->vector, e->vector, e->n_dims * element_bytes(e->element_type));
    }
    CHECK_EQ(a->second_key != NULL, (e->fields & MNI_FIELD_SECOND_KEY) != 0);
    if (a->second_key != NULL)
        CHECK_MEM_EQ(a->second_key, e->second_key, MNI_SECOND_KEY_BYTES);
}

static inline void audit_rows(struct audit *a)
{
    for (size_t i = 0; i < a->rows->n; i++) {
        struct mni_segment_row row;
        mn_status st = mni_segment_row_head(a->segment, (uint32_t)i, &row, &a->err);
        if (is_answered(a, st)) {
            CHECK_OK_ERR(st, &a->err);
            check_head(&row, &a->rows->items[i]);
        }
        st = mni_segment_row(a->segment, (uint32_t)i, &row, &a->err);
        if (is_answered(a, st)) {
            CHECK_OK_ERR(st, &a->err);
            check_row(&row, &a->rows->items[i]);
            mni_segment_row_done(a->segment, &row);
        }
    }
}

/* The first row at or behind a key. */
static inline size_t expected_bound(const struct rows *rows, uint64_t collection,
                                    struct mn_slice key)
{
    struct mni_segment_row wanted = {.record = {.collection = collection, .key = key}};
    size_t low = 0;
    size_t high = rows->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_row_keys(&rows->items[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Asks for a key in both ways. */
static inline void audit_key(struct audit *a, uint64_t collection, struct mn_slice key)
{
    struct mni_segment_row wanted = {.record = {.collection = collection, .key = key}};
    size_t at = expected_bound(a->rows, collection, key);
    bool is_there = at < a->rows->n && compare_row_keys(&a->rows->items[at], &wanted) == 0;
    uint32_t found = UINT32_MAX;
    uint64_t bound = UINT64_MAX;

    mn_status st = mni_segment_find(a->segment, mni_key_hash(collection, key), collection, key,
                                    &found, &a->err);
    if (is_answered(a, st)) {
        CHECK_STATUS(st, is_there ? MN_OK : MN_NOT_FOUND);
        CHECK_EQ(found, is_there ? at : UINT32_MAX);
    }
    st = mni_segment_lower_bound(a->segment, collection, key, &bound, &a->err);
    if (is_answered(a, st)) {
        CHECK_OK_ERR(st, &a->err);
        CHECK_EQ(bound, at);
    }
}

static inline void audit_keys(struct audit *a)
{
    unsigned char key[KEY_BYTES_MAX + 1];

    for (size_t i = 0; i < a->rows->n; i++) {
        const struct mni_record *r = &a->rows->items[i].record;
        size_t n = r->key.n_bytes;
        audit_key(a, r->collection, r->key);
        audit_key(a, r->collection + 1, r->key);
        memcpy(key, r->key.data, n);
        key[n] = 0;
        if (n < KEY_BYTES_MAX)
            audit_key(a, r->collection, (struct mn_slice){key, n + 1});
        if (n > 1)
            audit_key(a, r->collection, (struct mn_slice){key, n - 1});
        key[n - 1] ^= 1;
        audit_key(a, r->collection, (struct mn_slice){key, n});
    }
}

static inline bool has_this_second_key(const struct mni_segment_row *row, uint64_t collection,
                                       const unsigned char *second_key)
{
    return row->record.collection == collection && !row->is_older &&
           (row->record.fields & MNI_FIELD_SECOND_KEY) != 0 &&
           memcmp(row->record.second_key, second_key, MNI_SECOND_KEY_BYTES) == 0;
}

static inline void audit_second_key(struct audit *a, uint64_t collection,
                                    const unsigned char *second_key)
{
    uint64_t hash = mni_key_hash(collection, (struct mn_slice){second_key, MNI_SECOND_KEY_BYTES});
    uint64_t cursor = 0;
    size_t n_found = 0;
    size_t n_expected = 0;
    uint32_t row;
    mn_status st;

    for (size_t i = 0; i < a->rows->n; i++)
        n_expected += has_this_second_key(&a->rows->items[i], collection, second_key);
    while ((st = mni_segment_find_second(a->segment, hash, collection, second_key, &cursor, &row,
                                         &a->err)) == MN_OK) {
        CHECK(has_this_second_key(&a->rows->items[row], collection, second_key));
        n_found++;
    }
    if (is_answered(a, st)) {
        CHECK_STATUS(st, MN_NOT_FOUND);
        CHECK_EQ(n_found, n_expected);
    }
}

static inline void audit_second_keys(struct audit *a)
{
    unsigned char none[MNI_SECOND_KEY_BYTES] = {1};

    audit_second_key(a, a->rows->items[0].record.collection, none);
    for (size_t i = 0; i < a->rows->n && i < 300; i++) {
        const struct mni_record *r = &a->rows->items[i].record;
        if ((r->fields & MNI_FIELD_SECOND_KEY) == 0)
            continue;
        audit_second_key(a, r->collection, r->second_key);
        audit_second_key(a, r->collection + 1, r->second_key);
    }
}

/* The vectors of rows [first, first + n) stand side by side in the group. */
static inline void audit_vectors(struct audit *a, const struct mni_segment_group *group)
{
    size_t vector_bytes = group->n_dims * element_bytes(group->element_type);
    size_t index = 0;
    const void *vectors = NULL;
    void *pin = NULL;
    mn_status st = MN_OK;

    if (group->n_vectors > 0)
        st = mni_segment_vectors(a->segment, group, 0, group->n_vectors, &vectors, &pin, &a->err);
    if (!is_answered(a, st))
        return;
    CHECK_OK_ERR(st, &a->err);
    CHECK_EQ((uintptr_t)vectors % 64, 0);
    for (size_t i = group->first_row; i < group->first_row + group->n_rows; i++) {
        const struct mni_record *r = &a->rows->items[i].record;
        uint32_t row = UINT32_MAX;
        if (r->n_dims == 0)
            continue;
        CHECK_EQ(r->n_dims, group->n_dims);
        CHECK_EQ(r->element_type, group->element_type);
        CHECK_MEM_EQ((const char *)vectors + index * vector_bytes, r->vector, vector_bytes);
        st = mni_segment_vector_row(a->segment, group, (uint32_t)index, &row, &a->err);
        if (is_answered(a, st)) {
            CHECK_OK_ERR(st, &a->err);
            CHECK_EQ(row, i);
        }
        index++;
    }
    CHECK_EQ(index, group->n_vectors);
    if (pin != NULL)
        mni_segment_release(a->segment, pin);
}

/* Of one vector, as a row has it. */
static inline void check_codes(const struct mni_record *r, const struct mni_segment_codes *codes,
                               size_t at, const uint64_t *signs)
{
    size_t n = r->n_dims;
    float *floats = malloc(n * sizeof *floats);
    int8_t *expected = malloc(mni_row_code_bytes(n));
    uint64_t *bits = malloc(sign_bytes(r->n_dims));
    struct mni_code_scale scale;
    float square;

    CHECK(floats != NULL && expected != NULL && bits != NULL);
    if (r->element_type == MNI_ELEMENT_F16)
        mni_f16_to_f32(r->vector, n, floats);
    else
        memcpy(floats, r->vector, n * sizeof *floats);
    mni_quantise_row(floats, n, expected, &scale);
    mni_sign_bits(floats, n, bits);
    mni_kernels()->dot_f32(floats, 1, floats, 1, n, &square);
    for (size_t i = 0; i < mni_quads(n); i++)
        CHECK_MEM_EQ(codes->quads + (i * codes->n_vectors + at) * MNI_QUAD, expected + i * MNI_QUAD,
                     MNI_QUAD);
    CHECK(codes->scales[at] == scale.scale && codes->rests[at] == scale.rest);
    CHECK(codes->lengths[at] == sqrtf(square) || (isnan(codes->lengths[at]) && isnan(square)));
    CHECK_MEM_EQ(signs + at * (sign_bytes(r->n_dims) / 8), bits, sign_bytes(r->n_dims));
    free(floats);
    free(expected);
    free(bits);
}

static inline void audit_codes(struct audit *a, const struct mni_segment_group *group)
{
    const struct mni_segment_row *row = &a->rows->items[group->first_row];
    const uint64_t *signs = NULL;
    void *pin = NULL;

    /* an earlier program wrote none */
    bool has_columns = a->segment->layout.columns[SEG_CODES].bytes > 0;
    struct mni_segment_space space;
    bool has_points = mni_segment_find_space(a->segment, group->collection, &space, NULL) == MN_OK;
    CHECK_EQ(group->has_codes, has_columns && group->n_vectors > 0 && !has_points);
    for (uint32_t first = 0; group->has_codes && first < group->n_vectors;
         first += MNI_SEGMENT_CODE_BLOCK_VECTORS) {
        struct mni_segment_codes codes;
        mn_status st = mni_segment_code_block(
            a->segment, group, first / MNI_SEGMENT_CODE_BLOCK_VECTORS, &codes, &a->err);
        if (!is_answered(a, st))
            return;
        CHECK_OK_ERR(st, &a->err);
        CHECK_EQ(codes.n_vectors, group->n_vectors - first < 64 ? group->n_vectors - first : 64);
        st = mni_segment_signs(a->segment, group, first, codes.n_vectors, &signs, &pin, &a->err);
        if (is_answered(a, st)) {
            CHECK_OK_ERR(st, &a->err);
            for (size_t i = 0; i < codes.n_vectors; row++) {
                if (row->record.n_dims == 0)
                    continue;
                check_codes(&row->record, &codes, i, signs);
                i++;
            }
            mni_segment_release(a->segment, pin);
        }
        mni_segment_release(a->segment, codes.pin);
        if (st != MN_OK)
            return;
    }
}

static inline void audit_groups(struct audit *a)
{
    const struct rows *rows = a->rows;
    struct mni_segment_group group;
    size_t first = 0;
    uint64_t index = 0;

    for (; first < rows->n; index++) {
        uint64_t collection = rows->items[first].record.collection;
        int64_t min_expiry_us = INT64_MAX;
        size_t n_keys = 0;
        size_t n = 0;
        for (; first + n < rows->n && rows->items[first + n].record.collection == collection; n++) {
            const struct mni_segment_row *row = &rows->items[first + n];
            n_keys += !row->is_older;
            if ((row->record.fields & MNI_FIELD_EXPIRY) != 0 &&
                row->record.expires_at_us < min_expiry_us)
                min_expiry_us = row->record.expires_at_us;
        }
        for (int way = 0; way < 2; way++) {
            mn_status st = way == 0
                               ? mni_segment_group(a->segment, index, &group, &a->err)
                               : mni_segment_find_group(a->segment, collection, &group, &a->err);
            if (!is_answered(a, st))
                continue;
            CHECK_OK_ERR(st, &a->err);
            CHECK_EQ(group.collection, collection);
            CHECK_EQ(group.first_row, first);
            CHECK_EQ(group.n_rows, n);
            CHECK_EQ(group.n_keys, n_keys);
            CHECK_EQ(group.min_expiry_us, min_expiry_us);
            audit_vectors(a, &group);
            audit_codes(a, &group);
        }
        first += n;
    }
    CHECK_EQ(mni_segment_get_info(a->segment)->n_groups, index);
    mn_status st = mni_segment_find_group(a->segment, 5, &group, &a->err);
    if (is_answered(a, st) &&
        expected_bound(rows, 5, mn_str("")) == expected_bound(rows, 6, mn_str("")))
        CHECK_STATUS(st, MN_NOT_FOUND);
}

static inline void audit_expiry(struct audit *a)
{
    uint64_t n = mni_segment_get_info(a->segment)->n_expiring;
    const struct mni_segment_row *before = NULL;
    uint64_t n_expected = 0;

    for (size_t i = 0; i < a->rows->n; i++)
        n_expected += (a->rows->items[i].record.fields & MNI_FIELD_EXPIRY) != 0;
    CHECK_EQ(n, n_expected);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t row = UINT32_MAX;
        mn_status st = mni_segment_expiring_row(a->segment, i, &row, &a->err);
        if (!is_answered(a, st))
            continue;
        CHECK_OK_ERR(st, &a->err);
        const struct mni_segment_row *this = &a->rows->items[row];
        CHECK((this->record.fields & MNI_FIELD_EXPIRY) != 0);
        if (before != NULL) {
            CHECK(this != before);
            CHECK(before->record.expires_at_us < this->record.expires_at_us ||
                  (before->record.expires_at_us == this->record.expires_at_us && before < this));
        }
        before = this;
    }
}

static inline void audit_info(struct audit *a)
{
    const struct mni_segment_info *info = mni_segment_get_info(a->segment);
    const struct mni_segment_row *last = &a->rows->items[a->rows->n - 1];
    struct mni_segment_bounds bounds;
    uint64_t n_keys = 0;
    uint64_t min_lsn = UINT64_MAX;
    uint64_t max_lsn = 0;

    for (size_t i = 0; i < a->rows->n; i++) {
        const struct mni_segment_row *row = &a->rows->items[i];
        n_keys += !row->is_older;
        min_lsn = row->lsn < min_lsn ? row->lsn : min_lsn;
        max_lsn = row->lsn > max_lsn ? row->lsn : max_lsn;
    }
    CHECK_EQ(info->n_rows, a->rows->n);
    CHECK_EQ(info->n_keys, n_keys);
    CHECK_EQ(info->min_lsn, min_lsn);
    CHECK_EQ(info->max_lsn, max_lsn);
    mni_segment_get_bounds(a->segment, &bounds);
    CHECK_EQ(bounds.first_collection, a->rows->items[0].record.collection);
    CHECK_EQ(bounds.last_collection, last->record.collection);
    check_same_bytes(bounds.first_key, a->rows->items[0].record.key);
    check_same_bytes(bounds.last_key, last->record.key);
}

static inline void audit_all(struct audit *a)
{
    audit_info(a);
    audit_keys(a);
    audit_rows(a);
    audit_second_keys(a);
    audit_groups(a);
    audit_expiry(a);
}

/* The segment holds exactly these rows, and is whole. */
static inline void check_segment(struct mni_segment *segment, const struct rows *rows)
{
    struct audit a = {.rows = rows, .segment = segment};

    audit_all(&a);
    CHECK_OK_ERR(mni_segment_verify(segment, NULL, NULL, &a.err), &a.err);
}

#endif
