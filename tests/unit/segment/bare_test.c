/* bare_test.c - copies of segments without metadata and payloads, and of their liveness files. */
#include "fixture.h"

#include "segment/bare.h"
#include "segment/live_private.h"

static const char the_name[] = "copy.new";

/* Where a copy goes to: under the id that begins with `id`. */
static struct mni_bare_target target_of(struct disk *d, unsigned char id)
{
    return (struct mni_bare_target){.dir = d->dir, .name = the_name, .id = id_of(id)};
}

/* Copies segment `from`; opens the copy, which is called `to`. */
static struct mni_segment *copy_of(struct disk *d, unsigned char from, unsigned char to)
{
    struct mni_segment *source = open_segment(d, from);
    struct mni_bare_target target = target_of(d, to);
    char name[MNI_SEGMENT_NAME_BYTES];
    struct mni_segment_info info;
    struct mni_segment *copy = NULL;

    CHECK_OK_ERR(mni_bare_write(source, &target, &info, &d->err), &d->err);
    mni_segment_unref(source);
    mni_segment_name(&target.id, name);
    CHECK_OK(mni_dir_rename(d->dir, the_name, name, NULL));
    CHECK_OK_ERR(mni_segment_open(d->dir, &target.id, &info, &copy, &d->err), &d->err);
    return copy;
}

static bool has_copy(struct disk *d)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(d->dir, the_name, MNI_OPEN_READ, &file, NULL);

    mni_file_close(file);
    return st == MN_OK;
}

/* Forgets what a copy does not have. */
static void make_bare(struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        struct mni_record *r = &rows->items[i].record;
        if (r->collection == 0)
            continue;
        free((void *)(uintptr_t)r->metadata.data);
        free((void *)(uintptr_t)r->payload.data);
        r->metadata = r->payload = (struct mn_slice){NULL, 0};
    }
}

static void a_copy_has_the_same_rows_without_what_they_carry(void)
{
    uint64_t random = check_seed();

    for (size_t round = 0; round < 12; round++) {
        const struct rows_options options = {.n = 1 + check_below(&random, 600),
                                             .n_collections = 1 + check_below(&random, 9),
                                             .large_bytes = round % 2 == 0 ? 0 : 20000};
        struct rows rows = random_rows(&random, options);
        struct disk d = disk_new();
        struct mni_segment_info info = write_segment(&d, &rows, 1);
        struct mni_segment *copy = copy_of(&d, 1, 2);
        make_bare(&rows);
        check_segment(copy, &rows);
        CHECK_OK_ERR(mni_bare_check(copy, &d.err), &d.err);
        CHECK(mni_segment_get_info(copy)->file_bytes <= info.file_bytes);
        CHECK_EQ(mni_segment_get_info(copy)->n_rows, info.n_rows);
        mni_segment_unref(copy);
        rows_free(&rows);
        disk_free(&d);
    }
}

static size_t count_in(const unsigned char *bytes, size_t n, const char *text)
{
    size_t n_found = 0;
    size_t n_text = strlen(text);

    for (size_t i = 0; i + n_text <= n; i++)
        n_found += memcmp(bytes + i, text, n_text) == 0;
    return n_found;
}

/* Rows of two collections, two versions each; what they carry can be found in the file. */
static struct rows speaking_rows(void)
{
    static char large[6000];
    struct rows rows = {0};

    for (size_t i = 0; i + 8 < sizeof large; i += 8)
        memcpy(large + i, "CANARY-3", 8);
    for (uint64_t i = 0; i < 80; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key%zu", (size_t)(i / 4));
        struct mni_segment_row row = {.record = {.type = MNI_RECORD_UPSERT,
                                                 .collection = i / 2 % 2 * 7,
                                                 .key = mn_str(key),
                                                 .fields = MNI_FIELD_HITS,
                                                 .hits = i},
                                      .lsn = 1 + i,
                                      .record_lsn = 1 + i};
        bool is_kept = row.record.collection == 0;
        row.record.metadata = mn_str(is_kept ? "kept-1" : "CANARY-1");
        row.record.payload = mn_str(is_kept ? "kept-2" : "CANARY-2");
        if (i % 8 == 7)
            row.record.payload = (struct mn_slice){large, sizeof large};
        rows_add(&rows, &row);
    }
    rows_sort(&rows);
    return rows;
}

static void no_byte_of_it_is_in_the_file(void)
{
    struct rows rows = speaking_rows();
    struct disk d = disk_new();
    size_t n = 0;

    (void)write_segment(&d, &rows, 1);
    mni_segment_unref(copy_of(&d, 1, 2));
    unsigned char *source = read_file(&d, 1, &n);
    CHECK_EQ(count_in(source, n, "CANARY-1"), 40);
    CHECK(count_in(source, n, "CANARY-2") > 0);
    CHECK(count_in(source, n, "CANARY-3") > 1000);
    CHECK_EQ(count_in(source, n, "kept-1"), 40);
    unsigned char *copy = read_file(&d, 2, &n);
    CHECK_EQ(count_in(copy, n, "CANARY"), 0);
    CHECK_EQ(count_in(copy, n, "kept-1"), 40);
    CHECK_EQ(count_in(copy, n, "kept-2"), 40);
    free(source);
    free(copy);
    rows_free(&rows);
    disk_free(&d);
}

static void one_source_and_id_give_the_same_bytes(void)
{
    uint64_t random = check_seed();
    const struct rows_options options = {.n = 500, .n_collections = 4, .large_bytes = 9000};
    struct rows rows = random_rows(&random, options);
    struct disk d = disk_new();
    size_t n = 0;
    size_t n_again = 0;

    (void)write_segment(&d, &rows, 1);
    mni_segment_unref(copy_of(&d, 1, 2));
    unsigned char *bytes = read_file(&d, 2, &n);
    mni_segment_unref(copy_of(&d, 1, 2));
    unsigned char *again = read_file(&d, 2, &n_again);
    CHECK_EQ(n, n_again);
    CHECK_MEM_EQ(bytes, again, n);
    free(bytes);
    free(again);
    rows_free(&rows);
    disk_free(&d);
}

static void a_row_that_carries_something_is_named(void)
{
    struct rows rows = speaking_rows();
    struct disk d = disk_new();

    (void)write_segment(&d, &rows, 1);
    struct mni_segment *source = open_segment(&d, 1);
    CHECK_STATUS(mni_bare_check(source, &d.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(d.err.message, "row 40 ");
    mni_segment_unref(source);
    rows_free(&rows);
    disk_free(&d);
}

/* Ending it ---------- */

struct watch {
    uint64_t n_calls;
    uint64_t stop_at;
    uint64_t n_done;
    uint64_t n_bytes;
};

static mn_status look(void *context, uint64_t n_bytes_done, uint64_t n_bytes, struct mn_error *err)
{
    struct watch *w = context;

    CHECK(n_bytes_done >= w->n_done);
    CHECK(n_bytes == 0 || n_bytes_done <= n_bytes);
    w->n_done = n_bytes_done;
    w->n_bytes = n_bytes;
    return ++w->n_calls == w->stop_at ? mni_fail(err, MN_ERR_CANCELLED, "enough") : MN_OK;
}

static void copying_can_be_ended_at_any_call(void)
{
    struct rows rows = speaking_rows();
    struct disk d = disk_new();
    bool is_stopped = true;
    struct mni_segment_info info;

    (void)write_segment(&d, &rows, 1);
    struct mni_segment *source = open_segment(&d, 1);
    for (uint64_t n = 1; is_stopped; n++) {
        struct watch w = {.stop_at = n};
        struct mni_bare_target target = target_of(&d, 2);
        target.each = look;
        target.context = &w;
        mn_status st = mni_bare_write(source, &target, &info, &d.err);
        is_stopped = w.n_calls == n;
        CHECK_STATUS(st, is_stopped ? MN_ERR_CANCELLED : MN_OK);
        CHECK_EQ(has_copy(&d), !is_stopped);
        CHECK(is_stopped || n > 5);
    }
    mni_segment_unref(source);
    rows_free(&rows);
    disk_free(&d);
}

/* Damage ---------- */

/* Tries to copy the segment that lies in memory. */
static mn_status try_copy(struct disk *d, const unsigned char *bytes, size_t n)
{
    struct mni_segment_id id = id_of(1);
    struct mni_bare_target target = target_of(d, 2);
    struct mni_segment *segment = NULL;
    struct memory_source source;
    struct mni_segment_info info;

    memory_source_init(&source, bytes, n, false);
    CHECK_OK_ERR(mni_segment_open_source(&source.base, &id, NULL, &segment, &d->err), &d->err);
    mn_status st = mni_bare_write(segment, &target, &info, &d->err);
    CHECK_EQ(source.n_pins, 0);
    mni_segment_unref(segment);
    CHECK_EQ(has_copy(d), st == MN_OK);
    return st;
}

static void swap_rows(unsigned char *rows, size_t one, size_t other)
{
    unsigned char kept[SEG_ROW_BYTES];

    memcpy(kept, rows + one * SEG_ROW_BYTES, sizeof kept);
    memcpy(rows + one * SEG_ROW_BYTES, rows + other * SEG_ROW_BYTES, sizeof kept);
    memcpy(rows + other * SEG_ROW_BYTES, kept, sizeof kept);
}

static void damage_and_nonsense_are_not_copied(void)
{
    static const size_t swaps[][2] = {{1, 2}, {0, 40}, {39, 41}, {42, 79}, {10, 11}};
    struct rows rows = speaking_rows();
    struct disk d = disk_new();
    size_t n = 0;

    (void)write_segment(&d, &rows, 1);
    unsigned char *bytes = read_file(&d, 1, &n);
    CHECK_OK_ERR(try_copy(&d, bytes, n), &d.err);
    CHECK_OK(mni_dir_unlink(d.dir, the_name, NULL));
    unsigned char *row_bytes = column_of(bytes, n, SEG_ROWS);
    for (size_t i = 0; i < CHECK_COUNT(swaps); i++) {
        swap_rows(row_bytes, swaps[i][0], swaps[i][1]);
        put_right(bytes, n);
        CHECK_STATUS(try_copy(&d, bytes, n), MN_ERR_CORRUPT);
        swap_rows(row_bytes, swaps[i][0], swaps[i][1]);
    }
    put_right(bytes, n);
    row_bytes[100] ^= 4;
    CHECK_STATUS(try_copy(&d, bytes, n), MN_ERR_CORRUPT);
    free(bytes);
    rows_free(&rows);
    disk_free(&d);
}

/* Liveness files ---------- */

static struct mni_live_info write_live(struct disk *d, uint32_t n_rows, uint32_t n_deaths)
{
    struct mni_segment_id id = id_of(1);
    uint32_t *rows = malloc((n_deaths + 1) * sizeof *rows);
    struct mni_row_patch patch = {.row = n_rows - 1,
                                  .patch = {.lsn = 6, .fields = MNI_FIELD_HITS, .hits = 77}};
    struct mni_live_info info;

    CHECK(rows != NULL);
    for (uint32_t i = 0; i < n_deaths; i++)
        rows[i] = i;
    const struct mni_live_state state = {.lsn = 9,
                                         .n_rows = n_rows,
                                         .n_dead = n_deaths,
                                         .n_deaths = n_deaths,
                                         .rows = rows,
                                         .n_patches = 1,
                                         .patches = &patch};
    CHECK_OK(mni_live_write(d->dir, "live", &id, 3, &state, &info, NULL));
    free(rows);
    return info;
}

static unsigned char *read_name(struct disk *d, const char *name, size_t n)
{
    struct mni_file *file = NULL;
    unsigned char *bytes = malloc(n);
    size_t n_read = 0;

    CHECK(bytes != NULL);
    CHECK_OK(mni_dir_open_file(d->dir, name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_read(file, 0, bytes, n, &n_read, NULL));
    CHECK_EQ(n_read, n);
    mni_file_close(file);
    return bytes;
}

/* The copy is the file but for id and checksum, and is read as that of the other segment. */
static void check_live_copy(struct disk *d, const struct mni_live_info *info, uint32_t n_rows)
{
    struct mni_bare_target target = target_of(d, 9);
    struct mni_live_info copy;
    struct mni_liveness live;
    size_t n = (size_t)info->file_bytes;

    CHECK_OK_ERR(mni_bare_write_live(d->dir, "live", info, &target, &copy, &d->err), &d->err);
    CHECK_EQ(copy.file_bytes, info->file_bytes);
    CHECK_EQ(copy.generation, 3);
    CHECK_MEM_EQ(&copy.id, &target.id, sizeof copy.id);
    mni_liveness_init(&live, n_rows);
    CHECK_OK_ERR(mni_live_read(d->dir, the_name, &copy, &live, &d->err), &d->err);
    mni_liveness_done(&live);
    unsigned char *bytes = read_name(d, "live", n);
    unsigned char *copied = read_name(d, the_name, n);
    CHECK_MEM_EQ(copied, bytes, LIVE_OFF_ID);
    CHECK_MEM_EQ(copied + LIVE_OFF_GENERATION, bytes + LIVE_OFF_GENERATION,
                 n - 4 - LIVE_OFF_GENERATION);
    free(bytes);
    free(copied);
    CHECK_OK(mni_dir_unlink(d->dir, the_name, NULL));
}

/* Also where they are as long as what is read at once, or a little longer or shorter. */
static void liveness_files_are_those_of_the_copy(void)
{
    static const uint32_t deaths[] = {0, 1, 2, 1000, 65500, 65502, 65504, 65506, 140000};

    for (size_t i = 0; i < CHECK_COUNT(deaths); i++) {
        uint32_t n_rows = deaths[i] * 32 + 64;
        struct disk d = disk_new();
        struct mni_live_info info = write_live(&d, n_rows, deaths[i]);
        check_live_copy(&d, &info, n_rows);
        disk_free(&d);
    }
}

static void other_liveness_files_are_refused(void)
{
    struct mni_bare_target target;
    struct mni_live_info copy;
    struct disk d = disk_new();
    struct mni_live_info info = write_live(&d, 64, 2);
    struct mni_live_info other = info;

    target = target_of(&d, 9);
    CHECK_STATUS(mni_bare_write_live(d.dir, "none", &info, &target, &copy, &d.err), MN_NOT_FOUND);
    other.crc++;
    CHECK_STATUS(mni_bare_write_live(d.dir, "live", &other, &target, &copy, &d.err),
                 MN_ERR_CORRUPT);
    CHECK_STR_HAS(d.err.message, "live");
    other = info;
    other.file_bytes += 8;
    CHECK_STATUS(mni_bare_write_live(d.dir, "live", &other, &target, &copy, &d.err),
                 MN_ERR_CORRUPT);
    CHECK(!has_copy(&d));
    disk_free(&d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_copy_has_the_same_rows_without_what_they_carry),
        CHECK_TEST(no_byte_of_it_is_in_the_file),
        CHECK_TEST(one_source_and_id_give_the_same_bytes),
        CHECK_TEST(a_row_that_carries_something_is_named),
        CHECK_TEST(copying_can_be_ended_at_any_call),
        CHECK_TEST(damage_and_nonsense_are_not_copied),
        CHECK_TEST(liveness_files_are_those_of_the_copy),
        CHECK_TEST(other_liveness_files_are_refused),
    };

    return check_run("segment.bare", tests, CHECK_COUNT(tests), argc, argv);
}
