/* Behind good checksums stands nonsense: it is told, and nobody follows it. */
#include "segment/fixture.h"

enum width { U8 = 1, U16 = 2, U32 = 4, U64 = 8 };

struct edit {
    unsigned column; /* 0: the footer */
    size_t offset;   /* in it */
    enum width width;
    uint64_t value;
};

static void put(unsigned char *p, enum width width, uint64_t value)
{
    for (unsigned i = 0; i < (unsigned)width; i++)
        p[i] = (unsigned char)(value >> 8 * i);
}

/* Three collections: rows 0 to 3 with f32 vectors but row 1, rows 4 to 6 without, row 7 with f16.
 * Row 2 is an older version; row 4 has a large payload; rows 0 and 5 expire; row 3 has a second
 * key. */
static struct rows eight_rows(void)
{
    static const float vector[4] = {1, 2, 3, 4};
    static const unsigned char second_key[MNI_SECOND_KEY_BYTES] = {9};
    static const unsigned char payload[5000];
    static const char *const keys[] = {"a", "b", "b", "c", "d", "e", "f", "g"};
    struct rows rows = {0};

    for (size_t i = 0; i < CHECK_COUNT(keys); i++) {
        bool has_vector = i == 0 || i == 2 || i == 3 || i == 7;
        struct mni_segment_row row = {
            .record = {.type = MNI_RECORD_UPSERT,
                       .collection = i < 4   ? 1
                                     : i < 7 ? 2
                                             : 3,
                       .key = mn_str(keys[i]),
                       .element_type = !has_vector ? MNI_ELEMENT_NONE
                                       : i == 7    ? MNI_ELEMENT_F16
                                                   : MNI_ELEMENT_F32,
                       .vector = vector,
                       .n_dims = has_vector ? 4 : 0,
                       .fields = i == 0 || i == 5 ? MNI_FIELD_EXPIRY
                                 : i == 3         ? MNI_FIELD_SECOND_KEY
                                                  : 0,
                       .second_key = second_key,
                       .payload = {payload, i == 4 ? sizeof payload : i}},
            .lsn = 20 - i,
            .record_lsn = 2,
        };
        rows_add(&rows, &row);
    }
    rows_sort(&rows);
    return rows;
}

struct file {
    struct rows rows;
    struct disk disk;
    unsigned char *bytes;
    unsigned char *original; /* of `bytes` */
    size_t n;
};

static struct file file_new(void)
{
    struct file f = {.rows = eight_rows(), .disk = disk_new()};

    (void)write_segment(&f.disk, &f.rows, 1);
    f.bytes = read_file(&f.disk, 1, &f.n);
    f.original = copy_bytes(f.bytes, f.n);
    return f;
}

static void file_free(struct file *f)
{
    free(f->bytes);
    free(f->original);
    rows_free(&f->rows);
    disk_free(&f->disk);
}

/* The number of complaints when all is read after an edit; an opening that refuses is one. */
static uint64_t n_complaints(struct file *f, const struct edit *edit)
{
    struct audit a = {.rows = &f->rows, .may_be_damaged = true};
    struct mni_segment_id id = id_of(1);
    struct memory_source source;

    memcpy(f->bytes, f->original, f->n);
    unsigned char *at = edit->column == 0 ? footer_of(f->bytes, f->n)
                                          : column_of(f->bytes, f->n, edit->column);
    put(at + edit->offset, edit->width, edit->value);
    put_right(f->bytes, f->n);
    memory_source_init(&source, f->bytes, f->n, true);
    mn_status st = mni_segment_open_source(&source.base, &id, NULL, &a.segment, &a.err);
    if (st != MN_OK) {
        CHECK_STATUS(st, MN_ERR_CORRUPT);
        return 1;
    }
    CHECK_OK(mni_segment_verify(a.segment, NULL, NULL, NULL));
    audit_all(&a);
    mni_segment_unref(a.segment);
    return a.n_damaged;
}

static void check_edits(const struct edit *edits, size_t n)
{
    struct file f = file_new();

    for (size_t i = 0; i < n; i++) {
        if (n_complaints(&f, &edits[i]) == 0)
            printf("    edit %zu is not found\n", i);
        CHECK(n_complaints(&f, &edits[i]) > 0);
    }
    file_free(&f);
}

#define ROW(number, field) (SEG_ROW_BYTES * (number) + SEG_ROW_OFF_##field)

static void rows_are_checked(void)
{
    static const struct edit edits[] = {
        {SEG_ROWS, ROW(0, RECORD_LSN), U64, 21},
        {SEG_ROWS, ROW(1, EVENT_TIME), U64, 1},
        {SEG_ROWS, ROW(1, EXPIRY), U64, 1},
        {SEG_ROWS, ROW(1, BLOB), U32, UINT32_MAX},
        {SEG_ROWS, ROW(1, BLOB) + 5, U8, 0xff},
        {SEG_ROWS, ROW(7, BLOB) + 1, U8, 0xff},
        {SEG_ROWS, ROW(1, DIMS), U16, 1},
        {SEG_ROWS, ROW(0, DIMS), U16, 0xffff},
        {SEG_ROWS, ROW(1, KEY_BYTES), U16, 0},
        {SEG_ROWS, ROW(1, KEY_BYTES), U16, KEY_BYTES_MAX + 1},
        {SEG_ROWS, ROW(1, KEY_BYTES), U16, 0xffff},
        {SEG_ROWS, ROW(0, FLAGS), U16, SEG_ROW_OLDER | 1 << SEG_ROW_ELEMENT_SHIFT | 2},
        {SEG_ROWS, ROW(1, FLAGS), U16, 1 << 6},
        {SEG_ROWS, ROW(1, FLAGS), U16, 1 << 15},
        {SEG_ROWS, ROW(1, FLAGS), U16, SEG_ROW_LARGE},
        {SEG_ROWS, ROW(4, FLAGS), U16, 0},
        {SEG_ROWS, ROW(0, FLAGS), U16, 3 << SEG_ROW_ELEMENT_SHIFT | 2},
        {SEG_ROWS, ROW(0, FLAGS), U16, 2},
        {SEG_ROWS, ROW(1, FLAGS), U16, 1 << SEG_ROW_ELEMENT_SHIFT},
        {SEG_ROWS, ROW(1, METADATA_BYTES), U32, MN_METADATA_BYTES_MAX + 1},
        {SEG_ROWS, ROW(1, METADATA_BYTES), U32, 1 << 19},
        {SEG_ROWS, ROW(4, PAYLOAD_BYTES), U32, MN_PAYLOAD_BYTES_MAX},
        {SEG_ROWS, ROW(4, PAYLOAD_BYTES), U32, UINT32_MAX},
        {SEG_ROWS, ROW(1, PAYLOAD_BYTES), U32, 4000},
        {SEG_ROWS, ROW(0, VECTOR), U32, SEG_NO_VECTOR},
        {SEG_ROWS, ROW(0, VECTOR), U32, SEG_NO_VECTOR - 1},
        {SEG_ROWS, ROW(0, VECTOR), U32, 1},
        {SEG_ROWS, ROW(7, VECTOR), U32, 200},
        {SEG_BLOBS, 1 + 2 + 3 + 36, U64, UINT64_MAX},
        {SEG_BLOBS, 1 + 2 + 3 + 36, U64, 64},
        {SEG_BLOBS, 1 + 2 + 3 + 36, U64, 1},
    };

    check_edits(edits, CHECK_COUNT(edits));
}

#define GROUP(number, field) (SEG_GROUP_BYTES * (number) + SEG_GROUP_OFF_##field)

static void groups_and_indexes_are_checked(void)
{
    static const struct edit edits[] = {
        {SEG_GROUPS, GROUP(0, VECTORS_OFFSET), U64, 1},
        {SEG_GROUPS, GROUP(0, VECTORS_OFFSET), U64, 64},
        {SEG_GROUPS, GROUP(0, VECTORS_OFFSET), U64, UINT64_MAX - 63},
        {SEG_GROUPS, GROUP(1, VECTORS_OFFSET), U64, 64},
        {SEG_GROUPS, GROUP(0, ROWS_OFFSET), U64, 2},
        {SEG_GROUPS, GROUP(0, ROWS_OFFSET), U64, 4},
        {SEG_GROUPS, GROUP(0, ROWS_OFFSET), U64, UINT64_MAX - 3},
        {SEG_GROUPS, GROUP(2, ROWS_OFFSET), U64, 4},
        {SEG_GROUPS, GROUP(2, FIRST_ROW), U32, 8},
        {SEG_GROUPS, GROUP(2, FIRST_ROW), U32, UINT32_MAX},
        {SEG_GROUPS, GROUP(2, ROWS), U32, 2},
        {SEG_GROUPS, GROUP(1, ROWS), U32, 0},
        {SEG_GROUPS, GROUP(1, ROWS), U32, UINT32_MAX},
        {SEG_GROUPS, GROUP(0, KEYS), U32, 0},
        {SEG_GROUPS, GROUP(0, KEYS), U32, 5},
        {SEG_GROUPS, GROUP(0, VECTORS), U32, 5},
        {SEG_GROUPS, GROUP(0, VECTORS), U32, 4},
        {SEG_GROUPS, GROUP(1, VECTORS), U32, 1},
        {SEG_GROUPS, GROUP(2, VECTORS), U32, 0},
        {SEG_GROUPS, GROUP(0, DIMS), U32, 0},
        {SEG_GROUPS, GROUP(0, DIMS), U32, MN_DIMENSIONS_MAX + 1},
        {SEG_GROUPS, GROUP(2, DIMS), U32, 10000},
        {SEG_GROUPS, GROUP(1, DIMS), U32, 4},
        {SEG_GROUPS, GROUP(0, ELEMENT_TYPE), U8, 0},
        {SEG_GROUPS, GROUP(0, ELEMENT_TYPE), U8, 3},
        {SEG_GROUPS, GROUP(1, ELEMENT_TYPE), U8, 1},
        {SEG_GROUPS, GROUP(0, FLAGS), U8, 0},
        {SEG_GROUPS, GROUP(0, FLAGS), U8, 4 | 1},
        {SEG_GROUPS, GROUP(2, FLAGS), U8, 2},
        {SEG_GROUPS, GROUP(0, FLAGS), U8, 8 | 1},
        {SEG_GROUPS, GROUP(2, FLAGS), U8, 1},
        {SEG_GROUPS, GROUP(0, KEYFRAME_EVERY), U16, 1},
        {SEG_GROUPS, GROUP(0, CODES), U32, UINT32_MAX},
        {SEG_GROUPS, GROUP(0, SIGNS), U32, UINT32_MAX},
        {SEG_GROUPS, GROUP(2, SIGNS), U32, 1 << 20},
        {SEG_GROUPS, GROUP(1, CODES), U32, 1},
        {SEG_GROUPS, GROUP(1, SIGNS), U32, 1},
        {SEG_VECTOR_ROWS, 0, U32, 8},
        {SEG_VECTOR_ROWS, 8, U32, UINT32_MAX},
        {SEG_EXPIRY, 0, U32, 8},
        {SEG_EXPIRY, 4, U32, UINT32_MAX},
    };

    check_edits(edits, CHECK_COUNT(edits));
}

static void the_footer_is_checked(void)
{
    static const struct edit edits[] = {
        {0, SEG_FOOTER_OFF_COLUMNS, U32, 0},
        {0, SEG_FOOTER_OFF_COLUMNS, U32, 8},
        {0, SEG_FOOTER_OFF_ID, U8, 7},
        {0, SEG_FOOTER_OFF_FILE_BYTES, U64, 0},
        {0, SEG_FOOTER_OFF_ROWS, U64, 0},
        {0, SEG_FOOTER_OFF_ROWS, U64, 7},
        {0, SEG_FOOTER_OFF_ROWS, U64, 9},
        {0, SEG_FOOTER_OFF_ROWS, U64, UINT64_MAX},
        {0, SEG_FOOTER_OFF_ROWS, U64, (UINT64_C(1) << 58) + 8},
        {0, SEG_FOOTER_OFF_KEYS, U64, 0},
        {0, SEG_FOOTER_OFF_KEYS, U64, 9},
        {0, SEG_FOOTER_OFF_SECOND_KEYS, U64, 0},
        {0, SEG_FOOTER_OFF_SECOND_KEYS, U64, 16},
        {0, SEG_FOOTER_OFF_GROUPS, U64, 2},
        {0, SEG_FOOTER_OFF_GROUPS, U64, (UINT64_C(1) << 58) + 3},
        {0, SEG_FOOTER_OFF_EXPIRING, U64, 1},
        {0, SEG_FOOTER_OFF_EXPIRING, U64, (UINT64_C(1) << 62) + 2},
        {0, SEG_FOOTER_OFF_MIN_LSN, U64, 1000},
        {0, SEG_FOOTER_OFF_FIRST_KEY_BYTES, U16, 0},
        {0, SEG_FOOTER_OFF_FIRST_KEY_BYTES, U16, KEY_BYTES_MAX + 1},
        {0, SEG_FOOTER_OFF_LAST_KEY_BYTES, U16, 0},
        {0, SEG_FOOTER_OFF_LAST_KEY_BYTES, U16, UINT16_MAX},
        {0, SEG_FOOTER_OFF_RESERVED, U8, 1},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_TYPE, U16, 0},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_TYPE, U16, SEG_BLOBS},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_FLAGS, U32, 3},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_OFFSET, U64, 0},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_OFFSET, U64, 2 * SEG_BLOCK_BYTES},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_BYTES, U64, 0},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_BYTES, U64, UINT64_MAX},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_BYTES, U64, 2 * SEG_BLOCK_BYTES},
        {0, SEG_FOOTER_FIXED_BYTES + SEG_ENTRY_OFF_RESERVED, U64, 1},
        {0, 4000, U8, 1},
    };

    check_edits(edits, CHECK_COUNT(edits));
}

/* A table without a free slot, and slots that lead nowhere. */
static void hash_tables_are_checked(void)
{
    struct file f = file_new();
    static const struct edit rows[] = {
        {SEG_KEY_ROWS, 0, U32, 8},
        {SEG_KEY_ROWS, 0, U32, UINT32_MAX},
        {SEG_SECOND_ROWS, 0, U32, UINT32_MAX},
    };

    check_edits(rows, CHECK_COUNT(rows));
    memset(column_of(f.original, f.n, SEG_KEY_PRINTS), 0xee, SEG_PRINTS_BYTES);
    struct edit none = {SEG_KEY_PRINTS, 0, U8, 0xee};
    CHECK(n_complaints(&f, &none) > f.rows.n);
    file_free(&f);
    f = file_new(); /* a wrong hint does not matter */
    for (uint32_t slot = 0; slot < 7; slot++) {
        struct edit hint = {SEG_KEY_ROWS, slot * SEG_SLOT_BYTES + SEG_SLOT_OFF_LINE, U32,
                            UINT32_MAX - slot};
        CHECK_EQ(n_complaints(&f, &hint), 0);
    }
    file_free(&f);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(rows_are_checked),
        CHECK_TEST(groups_and_indexes_are_checked),
        CHECK_TEST(the_footer_is_checked),
        CHECK_TEST(hash_tables_are_checked),
    };

    return check_run("segment.nonsense", tests, CHECK_COUNT(tests), argc, argv);
}
