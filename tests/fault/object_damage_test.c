/* Damage to the files of a directory of objects is found: a whole object is right or refused. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mneme/object.h"

enum { CONTENT = 300, FOOTER = 64 };

static struct mn_error err;
static char path[2048];
static unsigned char content[CONTENT];
static unsigned char file_bytes[CONTENT + FOOTER];

static mn_object_store *open_with_object(void)
{
    mn_object_store *store = NULL;
    const char *dir = check_temp_dir();

    for (size_t i = 0; i < CONTENT; i++)
        content[i] = (unsigned char)(i * 31 + i / 7);
    CHECK_OK_ERR(mn_object_open_dir(dir, NULL, &store, &err), &err);
    CHECK_OK_ERR(
        mn_object_put(store, mn_str("a"), (struct mn_slice){content, CONTENT}, NULL, NULL, &err),
        &err);
    (void)snprintf(path, sizeof path, "%s/objects/a@", dir);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    CHECK_EQ(fread(file_bytes, 1, sizeof file_bytes, file), sizeof file_bytes);
    CHECK_EQ(fgetc(file), EOF);
    CHECK_EQ(fclose(file), 0);
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

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_flipped_byte_is_found),
        CHECK_TEST(every_wrong_length_is_found),
        CHECK_TEST(ranges_of_damaged_objects_are_refused_where_it_shows),
    };

    return check_run("fault.object_damage", tests, CHECK_COUNT(tests), argc, argv);
}
