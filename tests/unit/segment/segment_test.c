/* Planning, writing and opening segments: limits, refusals, lifetimes. */
#include "segment/fixture.h"

#include "io/posix.h"
#include "io/record.h"

static struct rows rows_of_keys(const char *const *keys, size_t n)
{
    struct rows rows = {0};

    for (size_t i = 0; i < n; i++) {
        struct mni_segment_row row = {
            .record = {.type = MNI_RECORD_UPSERT, .collection = 1, .key = mn_str(keys[i])},
            .lsn = 100 - i,
        };
        rows_add(&rows, &row);
    }
    rows_sort(&rows);
    return rows;
}

static struct rows three_rows(void)
{
    static const char *const keys[] = {"a", "b", "c"};

    return rows_of_keys(keys, CHECK_COUNT(keys));
}

/* Names and plans ---------------------------------------------------------------------------------
 */

static void names_are_ids(void)
{
    static const char *const bad[] = {"",
                                      "0102030405060708090a0b0c0d0e0f10",
                                      "0102030405060708090a0b0c0d0e0f10.sef",
                                      "0102030405060708090a0b0c0d0e0f1.seg",
                                      "0102030405060708090A0b0c0d0e0f10.seg",
                                      "0102030405060708090a0b0c0d0e0f10.seg.",
                                      "0102030405060708090a0b0c0d0e0fg0.seg"};
    struct mni_segment_id id = id_of(1);
    struct mni_segment_id parsed;
    char name[MNI_SEGMENT_NAME_BYTES];

    mni_segment_name(&id, name);
    CHECK_STR_EQ(name, "0102030405060708090a0b0c0d0e0f10.seg");
    CHECK(mni_segment_parse_name(name, &parsed));
    CHECK_MEM_EQ(&parsed, &id, sizeof id);
    for (size_t i = 0; i < CHECK_COUNT(bad); i++)
        CHECK(!mni_segment_parse_name(bad[i], &parsed));
}

static void a_plan_is_full_at_its_size_and_never_between_versions(void)
{
    const uint64_t limit = 300000;
    uint64_t random = check_seed();
    struct rows rows = random_rows(
        &random, (struct rows_options){.n = 3000, .n_collections = 5, .large_bytes = 20000});
    struct disk d = disk_new();
    struct mni_segment_plan *plan = NULL;
    size_t first = 0;
    unsigned char n_files = 0;

    CHECK_OK(mni_segment_plan_new(limit, &plan));
    while (first < rows.n) {
        size_t next = first;
        mn_status st = MN_OK;
        mni_segment_plan_reset(plan);
        while (next < rows.n && (st = mni_segment_plan_add(plan, &rows.items[next], NULL)) == MN_OK)
            next++;
        CHECK_STATUS(st, next == rows.n ? MN_OK : MN_END);
        CHECK_EQ(mni_segment_plan_n_rows(plan), next - first);
        CHECK(next == rows.n || !rows.items[next].is_older);
        struct mni_segment_writer_config config = {
            .dir = d.dir, .id = id_of(++n_files), .plan = plan};
        struct mni_segment_info info;
        CHECK_OK_ERR(try_write(&d, &config, &rows.items[first], next - first, &info), &d.err);
        CHECK_EQ(info.file_bytes, mni_segment_plan_file_bytes(plan));
        CHECK(info.file_bytes <= limit || rows.items[next - 1].is_older || next - first == 1);
        CHECK(next == rows.n || info.file_bytes > limit / 2);
        struct rows part = {.items = &rows.items[first], .n = next - first};
        struct mni_segment *segment = open_segment(&d, n_files);
        check_segment(segment, &part);
        mni_segment_unref(segment);
        first = next;
    }
    CHECK(n_files > 10);
    mni_segment_plan_free(plan);
    rows_free(&rows);
    disk_free(&d);
}

static void vectors_of_another_shape_are_refused(void)
{
    float vector[4] = {0};
    struct mni_segment_plan *plan = NULL;
    struct mni_segment_row row = {.record = {.type = MNI_RECORD_UPSERT,
                                             .collection = 7,
                                             .key = mn_str("a"),
                                             .element_type = MNI_ELEMENT_F32,
                                             .vector = vector,
                                             .n_dims = 3}};
    struct mn_error err;

    CHECK_OK(mni_segment_plan_new(0, &plan));
    CHECK_OK(mni_segment_plan_add(plan, &row, NULL));
    uint64_t n_bytes = mni_segment_plan_file_bytes(plan);
    row.record.key = mn_str("b");
    row.record.n_dims = 4;
    CHECK_STATUS(mni_segment_plan_add(plan, &row, &err), MN_ERR_DIMENSION);
    CHECK_STR_HAS(err.message, "collection 7");
    row.record.n_dims = 3;
    row.record.element_type = MNI_ELEMENT_F16;
    CHECK_STATUS(mni_segment_plan_add(plan, &row, &err), MN_ERR_DIMENSION);
    CHECK_EQ(mni_segment_plan_file_bytes(plan), n_bytes);
    row.record.n_dims = 0;
    row.record.element_type = MNI_ELEMENT_NONE;
    CHECK_OK(mni_segment_plan_add(plan, &row, NULL));
    row.record.collection = 8;
    row.record.element_type = MNI_ELEMENT_F16;
    row.record.n_dims = 4;
    CHECK_OK(mni_segment_plan_add(plan, &row, NULL));
    mni_segment_plan_free(plan);
}

/* Writing -----------------------------------------------------------------------------------------
 */

static mn_status write_other(struct disk *d, const struct rows *planned, const struct rows *written)
{
    struct mni_segment_plan *plan = plan_all(planned);
    struct mni_segment_writer_config config = {.dir = d->dir, .id = id_of(9), .plan = plan};
    struct mni_segment_info info;
    mn_status st = try_write(d, &config, written->items, written->n, &info);

    mni_segment_plan_free(plan);
    return st;
}

static void what_was_not_planned_is_not_written(void)
{
    uint64_t random = check_seed();
    struct rows_options options = {.n = 40, .n_collections = 5, .large_bytes = 6000};
    struct disk d = disk_new();
    unsigned n_same = 0;

    for (int i = 0; i < 100; i++) {
        struct rows planned = random_rows(&random, options);
        struct rows written = random_rows(&random, options);
        struct rows fewer = {.items = planned.items, .n = planned.n - 1};
        struct rows more = {.items = planned.items, .n = planned.n};
        CHECK_STATUS(write_other(&d, &planned, &written), MN_ERR_INVALID);
        CHECK_STR_HAS(d.err.message, "planned");
        CHECK_STATUS(write_other(&d, &planned, &fewer), MN_ERR_INVALID);
        CHECK_STATUS(write_other(&d, &fewer, &more), MN_ERR_INVALID);
        /* One field of one row: */
        struct mni_segment_row *row = &planned.items[check_below(&random, planned.n)];
        uint32_t field = 1U << check_below(&random, 4);
        struct rows changed = {0};
        for (size_t j = 0; j < planned.n; j++) {
            struct mni_segment_row copy = planned.items[j];
            unsigned char second_key[MNI_SECOND_KEY_BYTES] = {0};
            if (copy.record.second_key == NULL)
                copy.record.second_key = second_key;
            if (&planned.items[j] == row)
                copy.record.fields ^= field;
            rows_add(&changed, &copy);
        }
        mn_status st = write_other(&d, &planned, &changed);
        /* An event time needs no space of its own, and nothing depends on it. */
        if (field == MNI_FIELD_EVENT_TIME) {
            CHECK_OK(st);
            struct mni_segment *segment = open_segment(&d, 9);
            mni_segment_doom(segment, d.dir);
            mni_segment_unref(segment);
            n_same++;
        } else {
            CHECK_STATUS(st, MN_ERR_INVALID);
        }
        rows_free(&changed);
        rows_free(&planned);
        rows_free(&written);
    }
    CHECK(n_same > 0);
    disk_free(&d);
}

static void a_name_that_is_taken_is_refused_and_kept(void)
{
    struct rows rows = three_rows();
    struct disk d = disk_new();
    struct mni_segment_plan *plan = plan_all(&rows);
    struct mni_segment_writer_config config = {.dir = d.dir, .id = id_of(1), .plan = plan};
    struct mni_segment_writer *writer = NULL;

    (void)write_segment(&d, &rows, 1);
    CHECK_STATUS(mni_segment_writer_new(&config, &writer, &d.err), MN_EXISTS);
    CHECK(writer == NULL);
    struct mni_segment *segment = open_segment(&d, 1);
    check_segment(segment, &rows);
    mni_segment_unref(segment);
    mni_segment_plan_free(plan);
    rows_free(&rows);
    disk_free(&d);
}

static void real_files_are_the_same_directly_and_buffered(void)
{
    uint64_t random = check_seed();
    struct rows rows = random_rows(
        &random, (struct rows_options){.n = 3000, .n_collections = 5, .large_bytes = 20000});
    struct mni_segment_plan *plan = plan_all(&rows);
    unsigned char *bytes[2];
    size_t n[2];

    for (int i = 0; i < 2; i++) {
        struct disk d = {0};
        struct mni_segment_info info;
        CHECK_OK(mni_env_open_dir(mni_posix_env(), check_temp_dir(), false, &d.dir, NULL));
        struct mni_segment_writer_config config = {
            .dir = d.dir, .id = id_of(1), .plan = plan, .is_buffered = i == 1};
        CHECK_OK_ERR(try_write(&d, &config, rows.items, rows.n, &info), &d.err);
        struct mni_segment *segment = open_segment(&d, 1);
        mni_segment_will_read_rows(segment, 0, rows.n);
        mni_segment_will_read_rows(segment, rows.n, 0);
        check_segment(segment, &rows);
        mni_segment_unref(segment);
        bytes[i] = read_file(&d, 1, &n[i]);
        mni_dir_close(d.dir);
    }
    CHECK_EQ(n[0], n[1]);
    CHECK_MEM_EQ(bytes[0], bytes[1], n[0]);
    free(bytes[0]);
    free(bytes[1]);
    mni_segment_plan_free(plan);
    rows_free(&rows);
}

static size_t n_lines_with(const char *trace, const char *part)
{
    size_t n = 0;

    for (const char *at = trace; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

/* The cost of a segment: a few large writes that nothing reads back, and one sync. */
static void writing_takes_few_calls_and_one_sync(void)
{
    uint64_t random = check_seed();
    struct rows rows = random_rows(&random, (struct rows_options){.n = 9000, .n_collections = 5});
    struct disk d = disk_new();
    struct mni_record_env *record = NULL;

    mni_dir_close(d.dir);
    CHECK_OK(mni_record_env_new(mni_crash_env_base(d.crash), &record));
    CHECK_OK(mni_env_open_dir(mni_record_env_base(record), "seg", true, &d.dir, NULL));
    struct mni_segment_info info = write_segment(&d, &rows, 1);
    const char *trace = mni_record_env_trace(record);
    CHECK_STR_HAS(trace, ".seg write create direct ok\n");
    CHECK_EQ(n_lines_with(trace, "\nsync "), 1);
    CHECK_EQ(n_lines_with(trace, "sync_dir"), 0);
    CHECK_EQ(n_lines_with(trace, "\nread "), 0);
    CHECK(n_lines_with(trace, "\nwrite ") <= 14 + info.file_bytes / (256 << 10));
    mni_dir_close(d.dir);
    d.dir = NULL;
    rows_free(&rows);
    disk_free(&d);
    mni_record_env_free(record);
}

/* Opening -----------------------------------------------------------------------------------------
 */

static void another_file_than_expected_is_refused(void)
{
    struct rows rows = three_rows();
    struct disk d = disk_new();
    struct mni_segment_info info = write_segment(&d, &rows, 1);
    struct mni_segment_id id = id_of(1);
    struct mni_segment_id other = id_of(2);
    struct mni_segment *segment = NULL;
    struct mni_segment_info wrong = info;

    CHECK_STATUS(mni_segment_open(d.dir, &other, NULL, &segment, &d.err), MN_NOT_FOUND);
    wrong.file_bytes += 4096;
    CHECK_STATUS(mni_segment_open(d.dir, &id, &wrong, &segment, &d.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(d.err.message, "bytes instead of");
    wrong = info;
    wrong.footer_crc ^= 1;
    CHECK_STATUS(mni_segment_open(d.dir, &id, &wrong, &segment, &d.err), MN_ERR_CORRUPT);
    wrong = info;
    wrong.footer_bytes += 4096;
    CHECK_STATUS(mni_segment_open(d.dir, &id, &wrong, &segment, &d.err), MN_ERR_CORRUPT);
    wrong.footer_bytes = 0;
    CHECK_STATUS(mni_segment_open(d.dir, &id, &wrong, &segment, &d.err), MN_ERR_CORRUPT);
    CHECK(segment == NULL);
    CHECK_OK_ERR(mni_segment_open(d.dir, &id, &info, &segment, &d.err), &d.err);
    CHECK_STR_EQ(mni_segment_label(segment), "0102030405060708090a0b0c0d0e0f10.seg");
    mni_segment_unref(segment);
    rows_free(&rows);
    disk_free(&d);
}

/* Header and footer, whatever the size; a manifest saves the read that finds the footer. A key that
 * is not there costs a block of the hash table or two, each with its checksum. */
static void opening_and_missing_read_little(void)
{
    enum { N_MISSING = 5000 }; /* enough to meet every bucket: what is bounded is their mean */
    uint64_t random = check_seed();
    struct rows rows = random_rows(&random, (struct rows_options){.n = 9000, .n_collections = 5});
    struct disk d = disk_new();
    struct mni_segment_info info = write_segment(&d, &rows, 1);
    struct mni_segment *segment = NULL;
    size_t n;
    unsigned char *bytes = read_file(&d, 1, &n);

    for (uint64_t i = 0; i < 2; i++) {
        struct memory_source source;
        uint32_t row;
        memory_source_init(&source, bytes, n, false);
        CHECK_OK(
            mni_segment_open_source(&source.base, &info.id, i == 0 ? &info : NULL, &segment, NULL));
        CHECK_EQ(source.n_gets, 2 + i);
        CHECK(source.n_bytes_got <= 4096 + 64);
        source.n_gets = 0;
        for (uint64_t number = 0; number < N_MISSING; number++) {
            struct mn_slice key = {&number, sizeof number};
            CHECK_STATUS(mni_segment_find(segment, mni_key_hash(77, key), 77, key, &row, NULL),
                         MN_NOT_FOUND);
        }
        /* A full bucket leads to the next one, and a fingerprint may be that of another key. */
        CHECK(source.n_gets <= 4 * N_MISSING);
        mni_segment_unref(segment);
    }
    free(bytes);
    rows_free(&rows);
    disk_free(&d);
}

/* A key that its home bucket had no room for is not told of, nor is one that is not there, unless
 * its fingerprint is that of another. */
static void a_hint_knows_most_keys_and_few_others(void)
{
    uint64_t random = check_seed();
    struct rows rows = random_rows(&random, (struct rows_options){.n = 9000, .n_collections = 5});
    struct disk d = disk_new();
    struct mni_segment_info info = write_segment(&d, &rows, 1);
    struct mni_segment *segment = NULL;
    struct memory_source source;
    size_t n;
    unsigned char *bytes = read_file(&d, 1, &n);
    size_t n_hits = 0;
    size_t n_false_hits = 0;

    for (int mapped = 0; mapped < 2; mapped++) {
        memory_source_init(&source, bytes, n, mapped);
        CHECK_OK(mni_segment_open_source(&source.base, &info.id, &info, &segment, NULL));
        for (size_t i = 0; i < rows.n; i++) {
            const struct mni_record *r = &rows.items[i].record;
            uint64_t hash = mni_key_hash(r->collection, r->key);
            struct mn_slice other = {&i, sizeof i};
            n_hits += mni_segment_prefetch_row(segment, hash, r->collection);
            n_false_hits += mni_segment_prefetch_row(segment, mni_key_hash(77, other), 77);
        }
        CHECK(mapped ? n_hits >= rows.n / 2 : n_hits == 0);
        CHECK(n_false_hits <= rows.n / 50);
        mni_segment_unref(segment);
    }
    free(bytes);
    rows_free(&rows);
    disk_free(&d);
}

/* Looks for every key of one of some segments, and for as many that none holds, and counts how many
 * times a segment was not left out that does not hold the key. */
static size_t count_false_hopes(struct mni_segment *const *segments, size_t n,
                                const struct rows *rows, size_t holder)
{
    const struct mni_segment *const *asked = (const struct mni_segment *const *)segments;
    size_t n_false = 0;

    for (size_t i = 0; i < rows->n; i++) {
        const struct mni_record *r = &rows->items[i].record;
        uint64_t hash = mni_key_hash(r->collection, r->key);
        struct mn_slice other = {&i, sizeof i};
        mni_segments_prefetch(asked, n, hash);
        size_t n_left = mni_segments_seek(asked, n, hash);
        for (; n_left > holder + 1; n_left = mni_segments_seek(asked, n_left - 1, hash))
            n_false++;
        CHECK_EQ(n_left, holder + 1);
        hash = mni_key_hash(77, other);
        for (n_left = n; (n_left = mni_segments_seek(asked, n_left, hash)) > 0; n_left--)
            n_false++;
    }
    return n_false;
}

/* A segment that holds the key is never left out. One that does not is, once the fingerprints that
 * say so were checked, if it is mapped. */
static void a_look_up_leaves_out_segments_that_do_not_hold_the_key(void)
{
    enum { N_SEGMENTS = 3, HOLDER = 1 };
    uint64_t random = check_seed();
    struct rows rows = random_rows(&random, (struct rows_options){.n = 9000, .n_collections = 5});
    struct rows few = three_rows();
    struct disk d = disk_new();
    unsigned char *bytes[N_SEGMENTS] = {NULL};
    size_t n_bytes[N_SEGMENTS];

    (void)write_segment(&d, &rows, HOLDER);
    (void)write_segment(&d, &few, 2);
    bytes[1] = read_file(&d, 1, &n_bytes[1]);
    bytes[2] = read_file(&d, 2, &n_bytes[2]);
    for (int mapped = 0; mapped < 2; mapped++) {
        struct memory_source sources[N_SEGMENTS];
        struct mni_segment *segments[N_SEGMENTS] = {NULL};
        for (unsigned char i = 1; i < N_SEGMENTS; i++) {
            struct mni_segment_id id = id_of(i);
            memory_source_init(&sources[i], bytes[i], n_bytes[i], mapped);
            CHECK_OK(mni_segment_open_source(&sources[i].base, &id, NULL, &segments[i], NULL));
        }
        size_t n_false = count_false_hopes(segments, N_SEGMENTS, &rows, HOLDER);
        CHECK_EQ(n_false, 3 * rows.n);
        check_segment(segments[1], &rows);
        check_segment(segments[2], &few);
        n_false = count_false_hopes(segments, N_SEGMENTS, &rows, HOLDER);
        CHECK(mapped ? n_false <= rows.n / 50 : n_false == 3 * rows.n);
        mni_segment_unref(segments[1]);
        mni_segment_unref(segments[2]);
    }
    free(bytes[1]);
    free(bytes[2]);
    rows_free(&few);
    rows_free(&rows);
    disk_free(&d);
}

static void the_last_reference_removes_what_is_doomed(void)
{
    struct rows rows = three_rows();
    struct disk d = disk_new();
    struct mni_segment *segment = NULL;
    struct mni_segment_id id = id_of(1);

    (void)write_segment(&d, &rows, 1);
    segment = open_segment(&d, 1);
    mni_segment_unref(segment);
    segment = open_segment(&d, 1);
    mni_segment_ref(segment);
    mni_segment_doom(segment, d.dir);
    mni_segment_unref(segment);
    check_segment(segment, &rows);
    mni_segment_unref(open_segment(&d, 1)); /* it still has its name */
    mni_segment_unref(segment);
    CHECK_STATUS(mni_segment_open(d.dir, &id, NULL, &segment, NULL), MN_NOT_FOUND);
    mni_segment_unref(NULL);
    rows_free(&rows);
    disk_free(&d);
}

/* Opens bytes as they are. */
static mn_status open_bytes(const unsigned char *bytes, size_t n, struct mn_error *err)
{
    static struct memory_source source;
    struct mni_segment_id id = id_of(1);
    struct mni_segment *segment = NULL;

    memory_source_init(&source, bytes, n, true);
    mn_status st = mni_segment_open_source(&source.base, &id, NULL, &segment, err);
    mni_segment_unref(segment);
    return st;
}

/* A file whose last column in the directory is the order of expiry can lose it. */
static void unknown_columns_are_passed_over_unless_they_are_required(void)
{
    struct rows rows = three_rows();
    struct disk d = disk_new();
    struct mn_error err;
    size_t n;

    rows.items[1].record.fields = MNI_FIELD_EXPIRY;
    (void)write_segment(&d, &rows, 1);
    unsigned char *bytes = read_file(&d, 1, &n);
    unsigned char *entry = entry_of(bytes, n, SEG_EXPIRY);
    mni_put_u16(entry + SEG_ENTRY_OFF_TYPE, 77);
    mni_put_u64(footer_of(bytes, n) + SEG_FOOTER_OFF_EXPIRING, 0);
    put_right(bytes, n);
    CHECK_STATUS(open_bytes(bytes, n, &err), MN_ERR_UNSUPPORTED);
    CHECK_STR_HAS(err.message, "column");
    mni_put_u32(entry + SEG_ENTRY_OFF_FLAGS, 0);
    mni_put_u16(entry + SEG_ENTRY_OFF_CODEC, 5);
    put_right(bytes, n);
    CHECK_OK_ERR(open_bytes(bytes, n, &err), &err);
    entry = entry_of(bytes, n, SEG_BLOBS);
    mni_put_u16(entry + SEG_ENTRY_OFF_CODEC, 1);
    put_right(bytes, n);
    CHECK_STATUS(open_bytes(bytes, n, &err), MN_ERR_UNSUPPORTED);
    mni_put_u16(entry + SEG_ENTRY_OFF_CODEC, 0);
    mni_put_u32(footer_of(bytes, n) + SEG_FOOTER_OFF_VERSION, 2);
    put_right(bytes, n);
    CHECK_STATUS(open_bytes(bytes, n, &err), MN_ERR_UNSUPPORTED);
    mni_put_u32(footer_of(bytes, n) + SEG_FOOTER_OFF_VERSION, 1);
    mni_put_u32(bytes + SEG_HEADER_OFF_VERSION, 2);
    put_right(bytes, n);
    CHECK_STATUS(open_bytes(bytes, n, &err), MN_ERR_UNSUPPORTED);
    free(bytes);
    rows_free(&rows);
    disk_free(&d);
}

/* Verifying ---------------------------------------------------------------------------------------
 */

struct verified {
    uint64_t n_calls;
    uint64_t n_damaged;
    uint64_t n_bytes_done;
    uint64_t stop_at;
};

static mn_status note_progress(void *context, uint64_t n_bytes_done, uint64_t n_bytes,
                               const struct mn_error *damage)
{
    struct verified *v = context;

    CHECK(n_bytes_done > v->n_bytes_done && n_bytes_done <= n_bytes);
    v->n_bytes_done = n_bytes_done;
    v->n_damaged += damage != NULL;
    return ++v->n_calls == v->stop_at ? MN_ERR_CANCELLED : MN_OK;
}

static void verifying_goes_on_behind_damage_and_ends_when_told(void)
{
    uint64_t random = check_seed();
    struct rows rows = random_rows(&random, (struct rows_options){.n = 1000, .n_collections = 5});
    struct disk d = disk_new();
    struct mni_segment_id id = id_of(1);
    struct mni_segment *segment = NULL;
    struct memory_source source;
    struct verified v = {0};
    size_t n;

    (void)write_segment(&d, &rows, 1);
    unsigned char *bytes = read_file(&d, 1, &n);
    memory_source_init(&source, bytes, n, true);
    CHECK_OK(mni_segment_open_source(&source.base, &id, NULL, &segment, NULL));
    CHECK_OK(mni_segment_verify(segment, note_progress, &v, NULL));
    CHECK_EQ(v.n_bytes_done, n);
    CHECK_EQ(v.n_damaged, 0);
    struct mni_segment_row row;
    CHECK_OK(mni_segment_row_head(segment, 0, &row, NULL));
    /* Damage of what was good before is found, and from then on nobody reads it. */
    unsigned char *head = column_of(bytes, n, SEG_ROWS);
    *head ^= 1;
    bytes[SEG_BLOCK_BYTES - 1] ^= 1;
    v = (struct verified){0};
    CHECK_STATUS(mni_segment_verify(segment, note_progress, &v, &d.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(d.err.message, "block 0, at offset 0, is damaged");
    CHECK_EQ(v.n_damaged, 2);
    CHECK_EQ(v.n_bytes_done, n);
    CHECK_STATUS(mni_segment_row_head(segment, 0, &row, NULL), MN_ERR_CORRUPT);
    v = (struct verified){.stop_at = 3};
    CHECK_STATUS(mni_segment_verify(segment, note_progress, &v, NULL), MN_ERR_CANCELLED);
    CHECK_EQ(v.n_calls, 3);
    mni_segment_unref(segment);
    free(bytes);
    rows_free(&rows);
    disk_free(&d);
}

static void a_segment_holds_little_memory(void)
{
    uint64_t random = check_seed();
    struct rows rows =
        random_rows(&random, (struct rows_options){.n = 20000, .n_collections = 1000});
    struct disk d = disk_new();
    uint64_t n_blocks = mni_mem_live_blocks();

    struct mni_segment_info info = write_segment(&d, &rows, 1);
    struct mni_segment *segment = open_segment(&d, 1);
    CHECK(mni_mem_live_blocks() - n_blocks <= 6);
    CHECK(mni_segment_memory_bytes(segment) < 4096 + info.file_bytes / 50000);
    check_segment(segment, &rows);
    CHECK(mni_mem_live_blocks() - n_blocks <= 6);
    mni_segment_unref(segment);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
    rows_free(&rows);
    disk_free(&d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(names_are_ids),
        CHECK_TEST(a_plan_is_full_at_its_size_and_never_between_versions),
        CHECK_TEST(vectors_of_another_shape_are_refused),
        CHECK_TEST(what_was_not_planned_is_not_written),
        CHECK_TEST(a_name_that_is_taken_is_refused_and_kept),
        CHECK_TEST(real_files_are_the_same_directly_and_buffered),
        CHECK_TEST(writing_takes_few_calls_and_one_sync),
        CHECK_TEST(another_file_than_expected_is_refused),
        CHECK_TEST(opening_and_missing_read_little),
        CHECK_TEST(a_look_up_leaves_out_segments_that_do_not_hold_the_key),
        CHECK_TEST(a_hint_knows_most_keys_and_few_others),
        CHECK_TEST(the_last_reference_removes_what_is_doomed),
        CHECK_TEST(unknown_columns_are_passed_over_unless_they_are_required),
        CHECK_TEST(verifying_goes_on_behind_damage_and_ends_when_told),
        CHECK_TEST(a_segment_holds_little_memory),
    };

    return check_run("segment.segment", tests, CHECK_COUNT(tests), argc, argv);
}
