/* Tests of object storage in a directory: what users and other processes see of it. */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/posix.h"
#include "mneme/object.h"
#include "object/dir_private.h"

static struct mn_error err;
static char dir[2048];

#define OK(call) CHECK_OK_ERR(call, &err)

static mn_object_store *open_with(const struct mn_object_dir_options *options)
{
    mn_object_store *store = NULL;

    OK(mn_object_open_dir(dir, options, &store, &err));
    return store;
}

static mn_object_store *open_new(void)
{
    (void)snprintf(dir, sizeof dir, "%s", check_temp_dir());
    return open_with(NULL);
}

static void put(mn_object_store *store, const char *key, const char *text)
{
    OK(mn_object_put(store, mn_str(key), mn_str(text), NULL, NULL, &err));
}

static void expect(mn_object_store *store, const char *key, const char *text)
{
    struct mn_slice data = {NULL, 0};

    OK(mn_object_get(store, mn_str(key), 0, &data, NULL, &err));
    CHECK_EQ(data.n_bytes, strlen(text));
    CHECK_MEM_EQ(data.data, text, data.n_bytes);
    mn_object_free(data);
}

static const char *path_of(const char *name)
{
    static char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static bool is_there(const char *name)
{
    struct stat info;

    return lstat(path_of(name), &info) == 0;
}

static void write_file(const char *name, const void *data, size_t n)
{
    FILE *file = fopen(path_of(name), "wb");

    CHECK(file != NULL);
    CHECK_EQ(fwrite(data, 1, n, file), n);
    CHECK_EQ(fclose(file), 0);
}

static unsigned n_entries(const char *name)
{
    DIR *stream = opendir(path_of(name));
    unsigned n = 0;

    CHECK(stream != NULL);
    while (readdir(stream) != NULL)
        n++;
    CHECK_EQ(closedir(stream), 0);
    return n - 2;
}

/* Files ----------*/

static void people_can_read_the_names(void)
{
    mn_object_store *store = open_new();

    put(store, "report.txt", "x");
    put(store, "2026/07/a b", "x");
    put(store, "a", "x");
    put(store, "a/", "x");
    put(store, "a/b", "x");
    put(store, "/../x", "x");
    put(store, "\xc3\xbc", "x");
    put(store, "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", "x");
    put(store, "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", "x");
    CHECK(is_there("objects/report.txt@"));
    CHECK(is_there("objects/2026/07/a%20b@"));
    CHECK(is_there("objects/a@"));
    CHECK(is_there("objects/a/%@"));
    CHECK(is_there("objects/a/b@"));
    CHECK(is_there("objects/%/%2E./x@"));
    CHECK(is_there("objects/%C3%BC@"));
    CHECK(is_there("objects/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk+/k@"));
    CHECK(is_there("objects/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk+/%@"));
    OK(mn_object_close(store, &err));
}

static void empty_directories_go(void)
{
    char deep[1024];
    mn_object_store *store = open_new();

    memset(deep, '/', sizeof deep);
    put(store, "a/b/c/d", "x");
    put(store, "a/b/e", "x");
    OK(mn_object_put(store, (struct mn_slice){deep, sizeof deep}, mn_str("x"), NULL, NULL, &err));
    OK(mn_object_delete(store, (struct mn_slice){deep, sizeof deep}, &err));
    OK(mn_object_delete(store, mn_str("a/b/c/d"), &err));
    CHECK(!is_there("objects/a/b/c"));
    CHECK(is_there("objects/a/b"));
    OK(mn_object_delete(store, mn_str("a/b/e"), &err));
    CHECK_EQ(n_entries("objects"), 0);
    /* Nor do refused puts leave any. */
    const struct mn_object_condition if_other = {.if_match = "x"};
    CHECK_STATUS(mn_object_put(store, mn_str("n/o"), mn_str(""), &if_other, NULL, &err),
                 MN_CHANGED);
    CHECK_EQ(n_entries("objects"), 0);
    OK(mn_object_close(store, &err));
    CHECK_EQ(n_entries("tmp"), 0);
}

static void what_others_put_there_is_left_alone(void)
{
    static const char *const names[] = {"objects/foreign", "objects/.hidden", "objects/a b@",
                                        "objects/a%2fb@",  "objects/%41@",    "objects/@",
                                        "objects/a%@",     "objects/.@",      "objects/x+"};
    mn_object_store *store = open_new();
    struct mn_object_page *page = NULL;

    put(store, "m", "x");
    for (size_t i = 0; i < CHECK_COUNT(names); i++)
        write_file(names[i], "x", 1);
    CHECK_EQ(mkdir(path_of("objects/d@"), 0700), 0);
    CHECK_EQ(mkdir(path_of("objects/short+"), 0700), 0);
    OK(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err));
    CHECK_EQ(page->n_entries, 1);
    mn_object_page_free(page);
    OK(mn_object_delete(store, mn_str("m"), &err));
    OK(mn_object_close(store, &err));
    for (size_t i = 0; i < CHECK_COUNT(names); i++)
        CHECK(is_there(names[i]));
}

/* More entries than a listing keeps, most of them empty directories between the objects. */
static void directories_of_any_size_are_listed_in_order(void)
{
    enum { ENTRIES = 9000, EVERY = 3 };
    mn_object_store *store = open_new();
    struct mn_object_page *page = NULL;
    char name[64];
    char last[16];
    struct mn_slice after = {NULL, 0};
    unsigned n = 0;

    put(store, "00000", "x");
    for (unsigned i = 1; i < ENTRIES; i++) {
        unsigned k = i * 7919 % ENTRIES; /* in an order of its own */
        char path[4096];
        (void)snprintf(name, sizeof name, "objects/%05u%s", k, k % EVERY == 0 ? "@" : "");
        (void)snprintf(path, sizeof path, "%s", path_of("objects/00000@"));
        if (k % EVERY == 0)
            CHECK_EQ(link(path, path_of(name)), 0);
        else
            CHECK_EQ(mkdir(path_of(name), 0700), 0);
    }
    for (bool is_last = false; !is_last;) {
        OK(mn_object_list(store, mn_str(""), after, 0, &page, &err));
        for (size_t i = 0; i < page->n_entries; i++, n++) {
            (void)snprintf(name, sizeof name, "%05u", n * EVERY);
            CHECK_EQ(page->entries[i].key.n_bytes, 5);
            CHECK_MEM_EQ(page->entries[i].key.data, name, 5);
        }
        is_last = page->is_last;
        memcpy(last, name, 5);
        after = (struct mn_slice){last, 5};
        mn_object_page_free(page);
    }
    CHECK_EQ(n, ENTRIES / EVERY);
    OK(mn_object_close(store, &err));
}

/* Names that come twice ----------*/

static const struct mni_dir_ops *right_ops;
static struct mni_dir_ops repeating_ops;

struct repeating {
    mni_list_fn *each;
    void *context;
};

static mn_status tell_twice(void *context, const char *name, bool is_dir, struct mn_error *e)
{
    const struct repeating *repeating = context;
    mn_status st = repeating->each(repeating->context, name, is_dir, e);

    return st == MN_OK ? repeating->each(repeating->context, name, is_dir, e) : st;
}

static mn_status list_twice(struct mni_dir *at, mni_list_fn *each, void *context,
                            struct mn_error *e)
{
    struct repeating repeating = {each, context};

    return right_ops->list(at, tell_twice, &repeating, e);
}

static mn_status open_repeating(struct mni_dir *at, const char *name, bool create,
                                struct mni_dir **dir_out, struct mn_error *e)
{
    mn_status st = right_ops->open_dir(at, name, create, dir_out, e);

    if (st == MN_OK)
        (*dir_out)->ops = &repeating_ops;
    return st;
}

/* So a file system may show a directory that changes while it is read. */
static void names_that_come_twice_are_listed_once(void)
{
    static const struct mn_object_dir_options options = {.size = sizeof options};
    static const char *const keys[] = {"a", "b/c", "b/d", "b/e/f", "g"};
    struct mni_object_store *store = NULL;
    mn_object_store *plain = open_new();

    for (size_t i = 0; i < CHECK_COUNT(keys); i++)
        put(plain, keys[i], "x");
    OK(mn_object_close(plain, &err));
    OK(mni_object_open_dir(mni_posix_env(), dir, &options, &store, &err));
    right_ops = dir_store_of(store)->root->ops;
    repeating_ops = *right_ops;
    repeating_ops.list = list_twice;
    repeating_ops.open_dir = open_repeating;
    dir_store_of(store)->root->ops = &repeating_ops;
    for (size_t n_max = 1; n_max <= CHECK_COUNT(keys) + 1; n_max++) {
        struct mn_object_page *page = NULL;
        OK(store->ops->list(store, mn_str(""), mn_str(""), n_max, &page, &err));
        CHECK_EQ(page->n_entries, n_max < CHECK_COUNT(keys) ? n_max : CHECK_COUNT(keys));
        CHECK(page->is_last == (n_max >= CHECK_COUNT(keys)));
        for (size_t i = 0; i < page->n_entries; i++) {
            CHECK_EQ(page->entries[i].key.n_bytes, strlen(keys[i]));
            CHECK_MEM_EQ(page->entries[i].key.data, keys[i], strlen(keys[i]));
        }
        mni_object_page_free(page);
    }
    store->ops->close(store);
}

static void damaged_objects_are_listed_and_not_read(void)
{
    mn_object_store *store = open_new();
    struct mn_object_page *page = NULL;
    struct mn_object_info info;
    struct mn_slice data;

    put(store, "a", "x");
    write_file("objects/a@", "damaged", 7);
    CHECK_STATUS(mn_object_get(store, mn_str("a"), 0, &data, NULL, &err), MN_ERR_CORRUPT);
    CHECK_STATUS(mn_object_head(store, mn_str("a"), &info, &err), MN_ERR_CORRUPT);
    OK(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err));
    CHECK_EQ(page->n_entries, 1);
    CHECK_STR_EQ(page->entries[0].etag, "");
    mn_object_page_free(page);
    const struct mn_object_condition if_other = {.if_match = "x"};
    CHECK_STATUS(mn_object_put(store, mn_str("a"), mn_str(""), &if_other, NULL, &err),
                 MN_ERR_CORRUPT);
    put(store, "a", "whole again");
    expect(store, "a", "whole again");
    OK(mn_object_close(store, &err));
}

/* Opening ----------*/

static void readers_change_nothing(void)
{
    static const struct mn_object_dir_options reading = {.size = sizeof reading, .read_only = true};
    mn_object_store *store = NULL;
    mn_object_upload *upload = NULL;

    (void)snprintf(dir, sizeof dir, "%s", check_temp_dir());
    CHECK_STATUS(mn_object_open_dir(dir, &reading, &store, &err), MN_ERR_NO_STORE);
    CHECK_STATUS(mn_object_open_dir(path_of("none"), &reading, &store, &err), MN_ERR_NO_STORE);
    CHECK_EQ(n_entries("."), 0);
    store = open_with(NULL);
    put(store, "a/b", "x");
    OK(mn_object_close(store, &err));
    store = open_with(&reading);
    expect(store, "a/b", "x");
    CHECK_STATUS(mn_object_put(store, mn_str("c"), mn_str("x"), NULL, NULL, &err),
                 MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_object_delete(store, mn_str("a/b"), &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_object_upload_begin(store, mn_str("a"), &upload, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_object_check_conditions(store, &err), MN_ERR_READ_ONLY);
    OK(mn_object_close(store, &err));
    CHECK_EQ(n_entries("objects"), 1);
}

static void a_directory_with_other_things_is_refused(void)
{
    mn_object_store *store = NULL;

    (void)snprintf(dir, sizeof dir, "%s", check_temp_dir());
    write_file("letter.txt", "x", 1);
    CHECK_STATUS(mn_object_open_dir(dir, NULL, &store, &err), MN_ERR_NO_STORE);
    CHECK_EQ(n_entries("."), 1);
    CHECK_EQ(unlink(path_of("letter.txt")), 0);
    store = open_with(NULL);
    write_file("letter.txt", "x", 1); /* what comes later is none of our business */
    OK(mn_object_close(store, &err));
    store = open_with(NULL);
    OK(mn_object_close(store, &err));
    CHECK_STATUS(mn_object_open_dir("", NULL, &store, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_object_open_dir(path_of("none/none"), NULL, &store, &err), MN_ERR_NO_STORE);
}

/* Any directory may have parts that are named like ours, and files that are named like ours. */
static void no_other_directory_is_taken_for_a_store(void)
{
    static const char *const dirs[] = {"objects",  "objects/pack",
                                       "uploads",  "uploads/0123456789abcdef0123456789abcdef",
                                       "tmp",      "locks",
                                       "locks/00", "uploads/0123456789abcdef0123456789abcdef.over",
                                       "refs",     "tmp/0123456789abcdef"};
    static const char *const files[] = {"uploads/0123456789abcdef0123456789abcdef/photo.jpg",
                                        "uploads/0123456789abcdef0123456789abcdef.over/00001",
                                        "tmp/0123456789abcdef/0000000000000000", "HEAD"};
    static const struct mn_object_dir_options reading = {.size = sizeof reading, .read_only = true};
    mn_object_store *store = NULL;

    (void)snprintf(dir, sizeof dir, "%s", check_temp_dir());
    for (size_t i = 0; i < CHECK_COUNT(dirs); i++) {
        CHECK_EQ(mkdir(path_of(dirs[i]), 0700), 0);
        CHECK_STATUS(mn_object_open_dir(dir, NULL, &store, &err), MN_ERR_NO_STORE);
    }
    for (size_t i = 0; i < CHECK_COUNT(files); i++)
        write_file(files[i], "x", 1);
    CHECK_STATUS(mn_object_open_dir(dir, NULL, &store, &err), MN_ERR_NO_STORE);
    CHECK(strstr(err.message, dir) != NULL);
    CHECK_STATUS(mn_object_open_dir(dir, &reading, &store, &err), MN_ERR_NO_STORE);
    for (size_t i = 0; i < CHECK_COUNT(files); i++)
        CHECK(is_there(files[i]));
    CHECK_EQ(n_entries("."), 6);
    CHECK_EQ(n_entries("uploads"), 2);
    CHECK_EQ(n_entries("tmp"), 1);
    CHECK_EQ(n_entries("locks"), 1);
}

/* A store may be made where making one was cut off, and not beside anything else. */
static void only_our_own_remains_are_made_a_store(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool is_ours;
    } remains[] = {
        {"", 0, true},
        {"MNOB", 4, true},
        {"MNOBJDIR\0\0\0\0\0\0\0\0", 16, true},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, true},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17, false},
        {"notes", 5, false},
    };

    for (size_t i = 0; i < CHECK_COUNT(remains); i++) {
        mn_object_store *store = NULL;
        (void)snprintf(dir, sizeof dir, "%s", check_temp_dir());
        write_file("MNEME-OBJECTS.new", remains[i].bytes, remains[i].n);
        CHECK_STATUS(mn_object_open_dir(dir, NULL, &store, &err),
                     remains[i].is_ours ? MN_OK : MN_ERR_NO_STORE);
        CHECK_EQ(is_there("MNEME-OBJECTS.new"), !remains[i].is_ours);
        CHECK_EQ(is_there("MNEME-OBJECTS"), remains[i].is_ours);
        OK(mn_object_close(store, &err));
        CHECK_EQ(unlink(path_of(remains[i].is_ours ? "MNEME-OBJECTS" : "MNEME-OBJECTS.new")), 0);
        if (remains[i].is_ours) /* a store that has lost its mark is any directory */
            CHECK_STATUS(mn_object_open_dir(dir, NULL, &store, &err), MN_ERR_NO_STORE);
        else
            CHECK_EQ(n_entries("."), 0);
    }
}

static void a_mark_that_is_not_right_is_refused(void)
{
    unsigned char mark[17] = {0};
    mn_object_store *store = open_new();

    OK(mn_object_close(store, &err));
    FILE *file = fopen(path_of("MNEME-OBJECTS"), "rb");
    CHECK(file != NULL);
    CHECK_EQ(fread(mark, 1, sizeof mark, file), 16);
    CHECK_EQ(fclose(file), 0);
    for (unsigned bit = 0; bit < 16 * 8; bit++) {
        mark[bit / 8] ^= (unsigned char)(1U << bit % 8);
        write_file("MNEME-OBJECTS", mark, 16);
        CHECK_STATUS(mn_object_open_dir(dir, NULL, &store, &err),
                     bit < 64 ? MN_ERR_NO_STORE : MN_ERR_CORRUPT);
        mark[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    for (size_t n = 0; n <= sizeof mark; n++) {
        write_file("MNEME-OBJECTS", mark, n);
        mn_status st = mn_object_open_dir(dir, NULL, &store, &err);
        CHECK_STATUS(st, n < 8 ? MN_ERR_NO_STORE : n == 16 ? MN_OK : MN_ERR_CORRUPT);
        if (st == MN_OK)
            OK(mn_object_close(store, &err));
    }
    /* A newer version, with its checksum. */
    static const unsigned char newer[] = {'M', 'N', 'O', 'B', 'J',  'D',  'I',  'R',
                                          2,   0,   0,   0,   0x31, 0xd1, 0x7e, 0x48};
    write_file("MNEME-OBJECTS", newer, sizeof newer);
    CHECK_STATUS(mn_object_open_dir(dir, NULL, &store, &err), MN_ERR_UNSUPPORTED);
    CHECK_EQ(unlink(path_of("MNEME-OBJECTS")), 0);
    CHECK_EQ(mkdir(path_of("MNEME-OBJECTS"), 0700), 0);
    CHECK_STATUS(mn_object_open_dir(dir, NULL, &store, &err), MN_ERR_NO_STORE);
}

/* An object that is not there is one thing, a store that is not there another. */
static void a_store_that_was_removed_under_its_handle_is_an_error(void)
{
    struct mn_object_page *page = NULL;
    mn_object_upload *upload = NULL;
    struct mn_object_info info;
    struct mn_slice data;
    char byte;
    char id[64] = "";
    char text[4200];
    struct mn_object_range range = {.key = mn_str("a"), .n_bytes = 1, .data_out = &byte};
    mn_object_store *store = open_new();

    put(store, "a", "x");
    put(store, "d/b", "x");
    OK(mn_object_upload_begin(store, mn_str("u"), &upload, &err));
    (void)snprintf(id, sizeof id, "%s", mn_object_upload_id(upload));
    CHECK_STATUS(mn_object_head(store, mn_str("none"), &info, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_object_head(store, mn_str("d/none"), &info, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_object_head(store, mn_str("none/b"), &info, &err), MN_NOT_FOUND);
    (void)snprintf(text, sizeof text, "rm -r '%s'", dir);
    CHECK_EQ(system(text), 0);
    CHECK_STATUS(mn_object_get(store, mn_str("a"), 0, &data, NULL, &err), MN_ERR_IO);
    CHECK(strstr(err.message, "was removed") != NULL && strstr(err.message, dir) != NULL);
    CHECK_STATUS(mn_object_head(store, mn_str("d/b"), &info, &err), MN_ERR_IO);
    CHECK_STATUS(mn_object_get_ranges(store, &range, 1, &err), MN_ERR_IO);
    CHECK_STATUS(mn_object_put(store, mn_str("a"), mn_str("x"), NULL, NULL, &err), MN_ERR_IO);
    CHECK_STATUS(mn_object_delete(store, mn_str("a"), &err), MN_ERR_IO);
    CHECK_STATUS(mn_object_delete(store, mn_str("d/b"), &err), MN_ERR_IO);
    CHECK_STATUS(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), MN_ERR_IO);
    CHECK_STATUS(mn_object_upload_part(upload, 1, mn_str("x"), &err), MN_ERR_IO);
    CHECK_STATUS(mn_object_upload_abort(upload, &err), MN_ERR_IO);
    CHECK_STATUS(mn_object_upload_resume(store, mn_str("u"), id, &upload, &err), MN_ERR_IO);
    OK(mn_object_close(store, &err));
}

static void urls_tell_what_to_open(void)
{
    static const char *const wrong[] = {"",    "dir",   "dir:",    "mem",  "mem:x",
                                        "s3:", "s3://", "s3:///x", "/tmp", "http://a/b"};
    mn_object_store *store = NULL;
    char url[4096];

    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK_STATUS(mn_object_open(wrong[i], &store, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_object_open(NULL, &store, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_object_open("mem:", NULL, &err), MN_ERR_INVALID);
    (void)snprintf(url, sizeof url, "dir:%s/new", check_temp_dir());
    OK(mn_object_open(url, &store, &err));
    put(store, "a", "x");
    OK(mn_object_close(store, &err));
    OK(mn_object_open(url, &store, &err));
    expect(store, "a", "x");
    OK(mn_object_close(store, &err));
}

static mn_status keep_id(void *context, struct mn_slice key, const char *upload_id,
                         int64_t begun_us)
{
    (void)key;
    (void)begun_us;
    (void)snprintf(context, 64, "%s", upload_id);
    return MN_OK;
}

/* An upload that is over, as a process leaves it that dies while it removes the files. */
static void leave_upload_that_is_over(mn_object_store *store, char name_out[256])
{
    mn_object_upload *upload = NULL;
    char id[64] = "";
    char path[4096];

    OK(mn_object_upload_begin(store, mn_str("u"), &upload, &err));
    OK(mn_object_upload_part(upload, 1, mn_str("x"), &err));
    OK(mn_object_uploads(store, mn_str(""), keep_id, id, &err));
    mn_object_upload_leave(upload);
    (void)snprintf(name_out, 256, "uploads/%s", id);
    (void)snprintf(path, sizeof path, "%s", path_of(name_out));
    (void)snprintf(name_out, 256, "uploads/%s.over", id);
    CHECK_EQ(rename(path, path_of(name_out)), 0);
}

static void what_dead_processes_left_goes(void)
{
    char name[256];

    mn_object_store *store = open_new();
    leave_upload_that_is_over(store, name);
    OK(mn_object_close(store, &err));
    CHECK_EQ(mkdir(path_of("tmp/0123456789abcdef"), 0700), 0);
    write_file("tmp/0123456789abcdef/0000000000000000", "x", 1);
    CHECK_EQ(mkdir(path_of("uploads/0123456789abcdef0123456789abcdef"), 0700), 0); /* no key yet */
    CHECK_EQ(mkdir(path_of("tmp/foreign"), 0700), 0);
    CHECK_EQ(mkdir(path_of("uploads/foreign"), 0700), 0);
    store = open_with(NULL);
    CHECK_EQ(n_entries("tmp"), 2);
    CHECK_EQ(n_entries("uploads"), 1);
    /* A second one leaves alone what the first is using. */
    mn_object_store *second = open_with(NULL);
    CHECK_EQ(n_entries("tmp"), 3);
    put(store, "a", "x");
    OK(mn_object_close(second, &err));
    put(store, "a", "y");
    OK(mn_object_close(store, &err));
    CHECK_EQ(n_entries("tmp"), 1);
}

/* Also in a store, and also where names are like ours. */
static void what_is_not_provably_ours_is_never_removed(void)
{
    static const char *const dirs[] = {"tmp/0123456789abcdef",
                                       "uploads/0123456789abcdef0123456789abcdef",
                                       "uploads/0123456789abcdef0123456789abcdef.over"};
    static const char *const files[] = {"tmp/0123456789abcdef/0000",
                                        "tmp/0123456789abcdef/photo.jpg",
                                        "uploads/0123456789abcdef0123456789abcdef/00001",
                                        "uploads/0123456789abcdef0123456789abcdef/photo.jpg",
                                        "uploads/0123456789abcdef0123456789abcdef.over/00001",
                                        "uploads/0123456789abcdef0123456789abcdef.over/key",
                                        "uploads/0123456789abcdef0123456789abcdef.over/a.jpg"};
    mn_object_store *store = open_new();

    OK(mn_object_close(store, &err));
    for (size_t i = 0; i < CHECK_COUNT(dirs); i++)
        CHECK_EQ(mkdir(path_of(dirs[i]), 0700), 0);
    for (size_t i = 0; i < CHECK_COUNT(files); i++)
        write_file(files[i], "x", 1);
    store = open_with(NULL);
    OK(mn_object_close(store, &err));
    for (size_t i = 0; i < CHECK_COUNT(files); i++)
        CHECK(is_there(files[i]));
}

/* Told to fail ----------*/

static void requests_fail_as_told(void)
{
    static const struct mn_object_dir_options failing = {
        .size = sizeof failing, .delay_us = 10, .fail_every = 3};
    static const bool is_there_then[] = {true, true, false, true, true, true};
    char key[2] = "a";

    mn_object_store *plain = open_new();
    mn_object_store *store = open_with(&failing);
    for (unsigned i = 0; i < 6; i++) {
        struct mn_object_info info;
        key[0] = (char)('a' + i);
        CHECK_STATUS(mn_object_put(store, mn_str(key), mn_str("x"), NULL, NULL, &err),
                     i % 3 == 2 ? MN_ERR_REMOTE : MN_OK);
        CHECK_STATUS(mn_object_head(plain, mn_str(key), &info, &err),
                     is_there_then[i] ? MN_OK : MN_NOT_FOUND);
    }
    struct mn_object_stats stats = {.size = sizeof stats};
    OK(mn_object_stats(store, &stats, &err));
    CHECK_EQ(stats.n_requests, 6);
    CHECK_EQ(stats.n_failures, 2);
    OK(mn_object_close(store, &err));
    OK(mn_object_close(plain, &err));
}

static void a_trial_of_conditions_that_fails_leaves_nothing(void)
{
    struct mn_object_dir_options failing = {.size = sizeof failing};
    mn_object_store *plain = open_new();
    unsigned n_failed = 0;

    for (failing.fail_every = 1; failing.fail_every <= 9; failing.fail_every++) {
        struct mn_object_page *page = NULL;
        mn_object_store *store = open_with(&failing);
        mn_status st = mn_object_check_conditions(store, &err);
        CHECK(st == MN_OK || st == MN_ERR_REMOTE);
        n_failed += st != MN_OK;
        OK(mn_object_close(store, &err));
        OK(mn_object_list(plain, mn_str(""), mn_str(""), 0, &page, &err));
        CHECK_EQ(page->n_entries, 0);
        mn_object_page_free(page);
    }
    CHECK_EQ(n_failed, 8); /* six puts, one get, one delete */
    OK(mn_object_close(plain, &err));
}

static void uploads_outlive_requests_that_fail(void)
{
    static const struct mn_object_dir_options failing = {.size = sizeof failing, .fail_every = 2};
    mn_object_upload *upload = NULL;
    mn_object_store *store = open_new();
    OK(mn_object_close(store, &err));

    store = open_with(&failing);
    OK(mn_object_upload_begin(store, mn_str("a"), &upload, &err));
    CHECK_STATUS(mn_object_upload_part(upload, 1, mn_str("x"), &err), MN_ERR_REMOTE);
    OK(mn_object_upload_part(upload, 1, mn_str("y"), &err));
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &err), MN_ERR_REMOTE);
    OK(mn_object_upload_complete(upload, NULL, NULL, &err)); /* it was done before already */
    CHECK_STATUS(mn_object_delete(store, mn_str("none"), &err), MN_ERR_REMOTE);
    expect(store, "a", "y");
    OK(mn_object_close(store, &err));
}

/* Uploads ----------*/

static void a_damaged_part_is_found_when_parts_are_put_together(void)
{
    mn_object_upload *upload = NULL;
    char id[64] = "";
    char name[256];
    struct stat info;

    mn_object_store *store = open_new();
    OK(mn_object_upload_begin(store, mn_str("a"), &upload, &err));
    OK(mn_object_upload_part(upload, 1, mn_str("0123456789"), &err));
    OK(mn_object_uploads(store, mn_str(""), keep_id, id, &err));
    (void)snprintf(name, sizeof name, "uploads/%s/00001", id);
    CHECK_EQ(stat(path_of(name), &info), 0);
    FILE *file = fopen(path_of(name), "r+b");
    CHECK(file != NULL);
    CHECK_EQ(fputc('X', file), 'X');
    CHECK_EQ(fclose(file), 0);
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &err), MN_ERR_CORRUPT);
    OK(mn_object_upload_part(upload, 1, mn_str("once again"), &err));
    OK(mn_object_upload_complete(upload, NULL, NULL, &err));
    expect(store, "a", "once again");
    CHECK_EQ(n_entries("uploads"), 0);
    OK(mn_object_close(store, &err));
}

static void damage(const char *upload_id, const char *file_name)
{
    char name[256];

    (void)snprintf(name, sizeof name, "uploads/%s/%s", upload_id, file_name);
    CHECK(is_there(name));
    write_file(name, "damaged", 7);
}

static mn_status count_upload(void *context, struct mn_slice key, const char *upload_id,
                              int64_t begun_us)
{
    (void)key, (void)upload_id, (void)begun_us;
    ++*(unsigned *)context;
    return MN_OK;
}

static void a_damaged_part_can_be_put_again(void)
{
    mn_object_upload *upload = NULL;
    char id[64];

    mn_object_store *store = open_new();
    OK(mn_object_upload_begin(store, mn_str("a"), &upload, &err));
    OK(mn_object_upload_part(upload, 1, mn_str("0123456789"), &err));
    (void)snprintf(id, sizeof id, "%s", mn_object_upload_id(upload));
    mn_object_upload_leave(upload);
    damage(id, "00001");
    OK(mn_object_upload_resume(store, mn_str("a"), id, &upload, &err));
    CHECK_EQ(mn_object_upload_part_bytes(upload, 1), 0);
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &err), MN_ERR_INVALID);
    OK(mn_object_upload_part(upload, 1, mn_str("once again"), &err));
    OK(mn_object_upload_complete(upload, NULL, NULL, &err));
    expect(store, "a", "once again");
    OK(mn_object_close(store, &err));
}

static void a_directory_of_ones_own_that_was_removed_is_an_error(void)
{
    mn_object_store *store = open_new();
    char command[600];

    (void)snprintf(command, sizeof command, "rm -r '%s'/*", path_of("tmp"));
    CHECK_EQ(system(command), 0);
    CHECK_STATUS(mn_object_put(store, mn_str("a"), mn_str("one"), NULL, NULL, &err), MN_ERR_IO);
    CHECK_STR_HAS(err.message, "removed");
    OK(mn_object_close(store, &err));
}

static void a_damaged_upload_hides_no_other(void)
{
    mn_object_upload *upload = NULL;
    unsigned n = 0;
    char id[64];

    mn_object_store *store = open_new();
    OK(mn_object_upload_begin(store, mn_str("a"), &upload, &err));
    (void)snprintf(id, sizeof id, "%s", mn_object_upload_id(upload));
    mn_object_upload_leave(upload);
    for (unsigned i = 0; i < 3; i++) {
        OK(mn_object_upload_begin(store, mn_str("b"), &upload, &err));
        mn_object_upload_leave(upload);
    }
    damage(id, "key");
    OK(mn_object_uploads(store, mn_str(""), count_upload, &n, &err));
    CHECK_EQ(n, 3);
    CHECK_STATUS(mn_object_upload_resume(store, mn_str("a"), id, &upload, &err), MN_ERR_CORRUPT);
    OK(mn_object_close(store, &err));
}

/* Processes ----------*/

enum { PROCESSES = 3, ROUNDS = 40 };

/* Counts in one object over its ETag, and makes directories come and go beside the others. */
static int count_up(void)
{
    mn_object_store *store = NULL;
    unsigned n = 0;

    if (mn_object_open_dir(dir, NULL, &store, NULL) != MN_OK)
        return 1;
    while (n < ROUNDS) {
        struct mn_slice data = {NULL, 0};
        struct mn_object_info info;
        char text[32] = "";
        if (mn_object_get(store, mn_str("count"), 16, &data, &info, NULL) != MN_OK)
            return 2;
        memcpy(text, data.data, data.n_bytes);
        mn_object_free(data);
        (void)snprintf(text, sizeof text, "%d", atoi(text) + 1);
        const struct mn_object_condition if_same = {.if_match = info.etag};
        mn_status st = mn_object_put(store, mn_str("count"), mn_str(text), &if_same, NULL, NULL);
        if (st != MN_OK && st != MN_CHANGED)
            return 3;
        n += st == MN_OK;
        (void)snprintf(text, sizeof text, "d/e/%d", (int)getpid());
        if (mn_object_put(store, mn_str(text), mn_str(text), NULL, NULL, NULL) != MN_OK ||
            mn_object_get(store, mn_str(text), 32, &data, NULL, NULL) != MN_OK)
            return 4;
        mn_object_free(data);
        if (mn_object_delete(store, mn_str(text), NULL) != MN_OK)
            return 5;
    }
    return mn_object_close(store, NULL) == MN_OK ? 0 : 6;
}

/* Each makes the store if it is not there, and puts an object of its own. */
static int make_and_put(void)
{
    mn_object_store *store = NULL;
    char text[32];

    if (mn_object_open_dir(dir, NULL, &store, NULL) != MN_OK)
        return 1;
    (void)snprintf(text, sizeof text, "%d", (int)getpid());
    if (mn_object_put(store, mn_str(text), mn_str(text), NULL, NULL, NULL) != MN_OK)
        return 2;
    return mn_object_close(store, NULL) == MN_OK ? 0 : 3;
}

static void processes_make_one_store(void)
{
    pid_t children[2 * PROCESSES];
    char base[1024];

    (void)snprintf(base, sizeof base, "%s", check_temp_dir());
    for (unsigned round = 0; round < ROUNDS; round++) {
        (void)snprintf(dir, sizeof dir, "%s/%u", base, round);
        for (unsigned i = 0; i < 2 * PROCESSES; i++) {
            children[i] = fork();
            CHECK(children[i] >= 0);
            if (children[i] == 0)
                _exit(make_and_put());
        }
        for (unsigned i = 0; i < 2 * PROCESSES; i++) {
            int status = -1;
            CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
            CHECK(WIFEXITED(status));
            CHECK_EQ(WEXITSTATUS(status), 0);
        }
        CHECK_EQ(n_entries("objects"), 2 * PROCESSES);
        CHECK_EQ(n_entries("."), 5);
    }
}

static void processes_share_a_directory(void)
{
    pid_t children[PROCESSES];
    char text[32];

    mn_object_store *store = open_new();
    put(store, "count", "0");
    OK(mn_object_close(store, &err));
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0)
            _exit(count_up());
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = -1;
        CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 0);
    }
    store = open_with(NULL);
    (void)snprintf(text, sizeof text, "%d", PROCESSES * ROUNDS);
    expect(store, "count", text);
    CHECK_EQ(n_entries("objects"), 1);
    OK(mn_object_close(store, &err));
    CHECK_EQ(n_entries("tmp"), 0);
}

static int use_in_child(mn_object_store *store, mn_object_upload *upload)
{
    struct mn_object_info info;

    if (mn_object_put(store, mn_str("a"), mn_str("x"), NULL, NULL, NULL) != MN_ERR_FORKED ||
        mn_object_head(store, mn_str("a"), &info, NULL) != MN_ERR_FORKED ||
        mn_object_upload_part(upload, 1, mn_str("x"), NULL) != MN_ERR_FORKED ||
        mn_object_upload_complete(upload, NULL, NULL, NULL) != MN_ERR_FORKED)
        return 1;
    mn_object_upload_leave(upload);
    return mn_object_close(store, NULL) == MN_ERR_FORKED ? 0 : 2;
}

static void a_forked_child_is_refused(void)
{
    mn_object_store *store = open_new();
    mn_object_upload *upload = NULL;
    int status = -1;

    OK(mn_object_upload_begin(store, mn_str("a"), &upload, &err));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(use_in_child(store, upload));
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    OK(mn_object_upload_abort(upload, &err));
    OK(mn_object_close(store, &err));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(people_can_read_the_names),
        CHECK_TEST(empty_directories_go),
        CHECK_TEST(what_others_put_there_is_left_alone),
        CHECK_TEST(directories_of_any_size_are_listed_in_order),
        CHECK_TEST(names_that_come_twice_are_listed_once),
        CHECK_TEST(damaged_objects_are_listed_and_not_read),
        CHECK_TEST(readers_change_nothing),
        CHECK_TEST(a_directory_with_other_things_is_refused),
        CHECK_TEST(no_other_directory_is_taken_for_a_store),
        CHECK_TEST(only_our_own_remains_are_made_a_store),
        CHECK_TEST(a_mark_that_is_not_right_is_refused),
        CHECK_TEST(a_store_that_was_removed_under_its_handle_is_an_error),
        CHECK_TEST(urls_tell_what_to_open),
        CHECK_TEST(what_dead_processes_left_goes),
        CHECK_TEST(what_is_not_provably_ours_is_never_removed),
        CHECK_TEST(requests_fail_as_told),
        CHECK_TEST(a_trial_of_conditions_that_fails_leaves_nothing),
        CHECK_TEST(uploads_outlive_requests_that_fail),
        CHECK_TEST(a_damaged_part_is_found_when_parts_are_put_together),
        CHECK_TEST(a_damaged_part_can_be_put_again),
        CHECK_TEST(a_damaged_upload_hides_no_other),
        CHECK_TEST(a_directory_of_ones_own_that_was_removed_is_an_error),
        CHECK_TEST(processes_make_one_store),
        CHECK_TEST(processes_share_a_directory),
        CHECK_TEST(a_forked_child_is_refused),
    };

    return check_run("object.dir_files", tests, CHECK_COUNT(tests), argc, argv);
}
