/*
 * Damage to the files of a directory of objects is found: a whole object is right or refused, and
 * so is an upload, by the file of its key and by those of its parts.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "mneme/object.h"

enum { CONTENT = 300, FOOTER = 64 };
static const char KEY[] = "of/an upload";
enum { KEY_FILE = sizeof KEY - 1 + FOOTER };

static struct mn_error err;
static char dir[1024];
static char path[2048]; /* of the file that is damaged */
static unsigned char content[CONTENT];
static unsigned char file_bytes[CONTENT + FOOTER];

/* The file of `path`, which has so many bytes. */
static void read_file(size_t n)
{
    FILE *file = fopen(path, "rb");

    CHECK(file != NULL);
    CHECK_EQ(fread(file_bytes, 1, n, file), n);
    CHECK_EQ(fgetc(file), EOF);
    CHECK_EQ(fclose(file), 0);
}

static mn_object_store *open_with_object(void)
{
    mn_object_store *store = NULL;

    for (size_t i = 0; i < CONTENT; i++)
        content[i] = (unsigned char)(i * 31 + i / 7);
    (void)snprintf(dir, sizeof dir, "%s", check_temp_dir());
    CHECK_OK_ERR(mn_object_open_dir(dir, NULL, &store, &err), &err);
    CHECK_OK_ERR(
        mn_object_put(store, mn_str("a"), (struct mn_slice){content, CONTENT}, NULL, NULL, &err),
        &err);
    (void)snprintf(path, sizeof path, "%s/objects/a@", dir);
    read_file(sizeof file_bytes);
    return store;
}

static void write_file(const unsigned char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL);
    CHECK_EQ(fwrite(bytes, 1, n, file), n);
    CHECK_EQ(fclose(file), 0);
}

/* A whole get is right or refused, a listing shows the object. */
static mn_status look(mn_object_store *store)
{
    struct mn_object_page *page = NULL;
    struct mn_slice data = {NULL, 0};
    mn_status st = mn_object_get(store, mn_str("a"), 0, &data, NULL, &err);

    if (st == MN_OK) {
        CHECK_EQ(data.n_bytes, CONTENT);
        CHECK_MEM_EQ(data.data, content, CONTENT);
        mn_object_free(data);
    }
    CHECK_OK_ERR(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), &err);
    CHECK_EQ(page->n_entries, 1);
    mn_object_page_free(page);
    return st;
}

static void every_flipped_byte_is_found(void)
{
    mn_object_store *store = open_with_object();

    for (size_t i = 0; i < sizeof file_bytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file_bytes[i] ^= (unsigned char)(1U << bit);
            write_file(file_bytes, sizeof file_bytes);
            CHECK_STATUS(look(store), MN_ERR_CORRUPT);
            file_bytes[i] ^= (unsigned char)(1U << bit);
        }
    }
    write_file(file_bytes, sizeof file_bytes);
    CHECK_OK_ERR(look(store), &err);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

static void every_wrong_length_is_found(void)
{
    unsigned char longer[2 * (CONTENT + FOOTER)] = {0};
    mn_object_store *store = open_with_object();

    memcpy(longer, file_bytes, sizeof file_bytes);
    for (size_t n = 0; n < sizeof longer; n++) {
        if (n == sizeof file_bytes)
            continue;
        write_file(longer, n);
        CHECK_STATUS(look(store), MN_ERR_CORRUPT);
    }
    /* Bytes that are missing in the middle, or come twice, before a good end. */
    for (size_t n = 0; n < CONTENT; n++) {
        memcpy(longer, file_bytes, n);
        memcpy(longer + n, file_bytes + CONTENT, FOOTER);
        write_file(longer, n + FOOTER);
        CHECK_STATUS(look(store), MN_ERR_CORRUPT);
        memcpy(longer + n, file_bytes, sizeof file_bytes);
        if (n > 0) {
            write_file(longer, n + sizeof file_bytes);
            CHECK_STATUS(look(store), MN_ERR_CORRUPT);
        }
    }
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

/* A range is not checked as a whole object is, but where it ends is known, and the caller may know
 * what it must be. */
static void ranges_of_damaged_objects_are_refused_where_it_shows(void)
{
    mn_object_store *store = open_with_object();
    unsigned char data[CONTENT];
    struct mn_object_range range = {.key = mn_str("a"), .n_bytes = CONTENT, .data_out = data};

    for (size_t n = 0; n < sizeof file_bytes; n += 13) {
        write_file(file_bytes, n);
        CHECK_STATUS(mn_object_get_ranges(store, &range, 1, &err), MN_ERR_CORRUPT);
    }
    file_bytes[10] ^= 1;
    write_file(file_bytes, sizeof file_bytes);
    CHECK_OK_ERR(mn_object_get_ranges(store, &range, 1, &err), &err);
    range.has_crc32c = true;
    CHECK_STATUS(mn_object_get_ranges(store, &range, 1, &err), MN_ERR_CORRUPT);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

/* Uploads ----------*/

/* With the content as its only part; `path` is then that of one of its files. */
static mn_object_store *open_with_upload(const char *file_name, size_t n, char id_out[64])
{
    mn_object_store *store = open_with_object();
    mn_object_upload *upload = NULL;

    CHECK_OK_ERR(mn_object_upload_begin(store, mn_str(KEY), &upload, &err), &err);
    CHECK_OK_ERR(mn_object_upload_part(upload, 1, (struct mn_slice){content, CONTENT}, &err), &err);
    (void)snprintf(id_out, 64, "%s", mn_object_upload_id(upload));
    mn_object_upload_leave(upload);
    (void)snprintf(path, sizeof path, "%s/uploads/%s/%s", dir, id_out, file_name);
    read_file(n);
    return store;
}

static mn_status count_upload(void *context, struct mn_slice key, const char *upload_id,
                              int64_t begun_us)
{
    unsigned *n = context;

    CHECK_EQ(key.n_bytes, sizeof KEY - 1);
    CHECK_MEM_EQ(key.data, KEY, sizeof KEY - 1);
    CHECK(upload_id[0] != '\0' && begun_us > 0);
    (*n)++;
    return MN_OK;
}

static void expect_uploads(mn_object_store *store, unsigned n_expected)
{
    unsigned n = 0;

    CHECK_OK_ERR(mn_object_uploads(store, mn_str(""), count_upload, &n, &err), &err);
    CHECK_EQ(n, n_expected);
}

/* The key is refused: the upload is shown under no other, and stays as it is. */
static void expect_no_key(mn_object_store *store, const char *id)
{
    mn_object_upload *upload = NULL;

    CHECK_STATUS(mn_object_upload_resume(store, mn_str(KEY), id, &upload, &err), MN_ERR_CORRUPT);
    expect_uploads(store, 0);
}

/* No object comes of it, whether the handle sees the damage or only completing does. */
static void expect_no_part(mn_object_store *store, const char *id)
{
    mn_object_upload *upload = NULL;
    struct mn_object_info info;

    CHECK_OK_ERR(mn_object_upload_resume(store, mn_str(KEY), id, &upload, &err), &err);
    uint64_t n_bytes = mn_object_upload_part_bytes(upload, 1);
    CHECK(n_bytes == 0 || n_bytes == CONTENT);
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &err),
                 n_bytes == 0 ? MN_ERR_INVALID : MN_ERR_CORRUPT);
    mn_object_upload_leave(upload);
    CHECK_STATUS(mn_object_head(store, mn_str(KEY), &info, &err), MN_NOT_FOUND);
    expect_uploads(store, 1);
}

/* Damages the file in every way, and then leaves it as it was. */
static void damage(mn_object_store *store, const char *id, size_t n,
                   void (*expect)(mn_object_store *store, const char *id))
{
    unsigned char longer[2 * sizeof file_bytes] = {0};

    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file_bytes[i] ^= (unsigned char)(1U << bit);
            write_file(file_bytes, n);
            expect(store, id);
            file_bytes[i] ^= (unsigned char)(1U << bit);
        }
    }
    memcpy(longer, file_bytes, n);
    for (size_t other = 0; other < 2 * n; other++) {
        if (other == n)
            continue;
        write_file(longer, other);
        expect(store, id);
    }
    for (size_t kept = 0; kept < n - FOOTER; kept++) { /* bytes are missing before a good end */
        memcpy(longer + kept, file_bytes + n - FOOTER, FOOTER);
        write_file(longer, kept + FOOTER);
        expect(store, id);
        memcpy(longer, file_bytes, n);
    }
    write_file(file_bytes, n);
}

static void complete_and_compare(mn_object_store *store, const char *id)
{
    mn_object_upload *upload = NULL;
    struct mn_slice data;

    CHECK_OK_ERR(mn_object_upload_resume(store, mn_str(KEY), id, &upload, &err), &err);
    CHECK_OK_ERR(mn_object_upload_complete(upload, NULL, NULL, &err), &err);
    CHECK_OK_ERR(mn_object_get(store, mn_str(KEY), 0, &data, NULL, &err), &err);
    CHECK_EQ(data.n_bytes, CONTENT);
    CHECK_MEM_EQ(data.data, content, CONTENT);
    mn_object_free(data);
}

static void every_damage_to_the_key_of_an_upload_is_found(void)
{
    char id[64];
    mn_object_store *store = open_with_upload("key", KEY_FILE, id);

    damage(store, id, KEY_FILE, expect_no_key);
    /* Who opens a store removes nothing that is damaged. */
    file_bytes[0] ^= 1;
    write_file(file_bytes, KEY_FILE);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
    CHECK_OK_ERR(mn_object_open_dir(dir, NULL, &store, &err), &err);
    expect_no_key(store, id);
    file_bytes[0] ^= 1;
    write_file(file_bytes, KEY_FILE);
    complete_and_compare(store, id);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

static void every_damage_to_a_part_is_found(void)
{
    char id[64];
    mn_object_store *store = open_with_upload("00001", sizeof file_bytes, id);

    damage(store, id, sizeof file_bytes, expect_no_part);
    complete_and_compare(store, id);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

/* A part that is whole, but not the one that was put, shows where the whole is known. */
static void another_part_shows_where_the_whole_is_known(void)
{
    mn_object_store *store = open_with_object();
    mn_object_upload *upload = NULL;
    struct mn_object_info info;
    uint32_t crc32c = mni_crc32c(0, "right", 5);

    CHECK_OK_ERR(mn_object_upload_begin_known(store, mn_str(KEY), crc32c, &upload, &err), &err);
    CHECK_OK_ERR(mn_object_upload_part(upload, 1, mn_str("right"), &err), &err);
    (void)snprintf(path, sizeof path, "%s/uploads/%s/00001", dir, mn_object_upload_id(upload));
    write_file(file_bytes, sizeof file_bytes); /* the file of the object has the same form */
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_object_head(store, mn_str(KEY), &info, &err), MN_NOT_FOUND);
    CHECK_OK_ERR(mn_object_upload_abort(upload, &err), &err);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_flipped_byte_is_found),
        CHECK_TEST(every_wrong_length_is_found),
        CHECK_TEST(ranges_of_damaged_objects_are_refused_where_it_shows),
        CHECK_TEST(every_damage_to_the_key_of_an_upload_is_found),
        CHECK_TEST(every_damage_to_a_part_is_found),
        CHECK_TEST(another_part_shows_where_the_whole_is_known),
    };

    return check_run("fault.object_damage", tests, CHECK_COUNT(tests), argc, argv);
}
