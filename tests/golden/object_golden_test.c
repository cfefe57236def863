/*
 * The files of a directory of objects of version 1 still mean what docs/format/object.md says, and are
 * written the same, under the same names.
 *
 *     object-v1.bin          "golden/object 1", 1,000 bytes of the sequence 0, 7, 14, ... modulo 256
 *     object-mark-v1.bin     the mark of the store, MNEME-OBJECTS
 *
 * They were written by `golden_object --write DIRECTORY`.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "io/crash.h"

enum { CONTENT = 1000, FILE_BYTES_MAX = 2000 };

static const char object_name[] = "object-v1.bin";
static const char mark_name[] = "object-mark-v1.bin";
static struct mn_error err;

struct image {
    unsigned char bytes[FILE_BYTES_MAX];
    size_t n;
};

static void make_content(unsigned char content[CONTENT])
{
    for (size_t i = 0; i < CONTENT; i++)
        content[i] = (unsigned char)(i * 7);
}

static struct mni_dir *go_into(struct mni_dir *dir, const char *name)
{
    struct mni_dir *inner = NULL;

    CHECK_OK_ERR(mni_dir_open_dir(dir, name, false, &inner, &err), &err);
    mni_dir_close(dir);
    return inner;
}

/* The directory that holds the object's file. */
static struct mni_dir *find_dir(struct mni_crash_env *crash)
{
    struct mni_dir *dir = NULL;

    CHECK_OK(mni_env_open_dir(mni_crash_env_base(crash), "/objects", false, &dir, &err));
    dir = go_into(dir, "objects");
    return go_into(dir, "golden");
}

/* Puts the object at a fixed time. */
static mn_object_store *put_object(struct mni_crash_env *crash)
{
    mn_object_store *store = NULL;
    unsigned char content[CONTENT];

    make_content(content);
    CHECK_OK_ERR(mni_api_object_open_dir(mni_crash_env_base(crash), "/objects", NULL, &store, &err),
                 &err);
    mni_crash_env_set_wall_us(crash, 1700000500000000 - 1);
    CHECK_OK_ERR(mn_object_put(store, mn_str("golden/object 1"),
                               (struct mn_slice){content, CONTENT}, NULL, NULL, &err),
                 &err);
    return store;
}

static void read_image(struct mni_dir *dir, const char *name, struct image *image)
{
    struct mni_file *file = NULL;

    CHECK_OK_ERR(mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, &err), &err);
    CHECK_OK_ERR(mni_file_read(file, 0, image->bytes, FILE_BYTES_MAX, &image->n, &err), &err);
    mni_file_close(file);
    mni_dir_close(dir);
}

static void make_images(struct image *object, struct image *mark)
{
    struct mni_crash_env *crash = NULL;
    struct mni_dir *root = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    CHECK_OK_ERR(mn_object_close(put_object(crash), &err), &err);
    read_image(find_dir(crash), "object%201@", object);
    CHECK_OK(mni_env_open_dir(mni_crash_env_base(crash), "/objects", false, &root, &err));
    read_image(root, "MNEME-OBJECTS", mark);
    mni_crash_env_free(crash);
}

static void read_golden(const char *name, struct image *image)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    image->n = fread(image->bytes, 1, FILE_BYTES_MAX, file);
    CHECK_EQ(fclose(file), 0);
}

static void check_same(const char *name, const struct image *made)
{
    struct image golden;

    read_golden(name, &golden);
    CHECK_EQ(made->n, golden.n);
    CHECK_MEM_EQ(made->bytes, golden.bytes, golden.n);
}

static void they_are_written_the_same(void)
{
    struct image object;
    struct image mark;

    make_images(&object, &mark);
    check_same(object_name, &object);
    check_same(mark_name, &mark);
}

static void it_reads_as_it_was_put(void)
{
    struct mni_crash_env *crash = NULL;
    struct mni_file *file = NULL;
    struct mn_object_info info;
    struct mn_slice data;
    unsigned char content[CONTENT];
    struct image golden;

    make_content(content);
    read_golden(object_name, &golden);
    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_object_store *store = put_object(crash);
    CHECK_OK_ERR(mn_object_put(store, mn_str("golden/x"), mn_str(""), NULL, NULL, &err), &err);
    struct mni_dir *dir = find_dir(crash);
    CHECK_OK(mni_dir_unlink(dir, "object%201@", &err));
    CHECK_OK(mni_dir_open_file(dir, "object%201@", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err));
    CHECK_OK(mni_file_write(file, 0, golden.bytes, golden.n, &err));
    mni_file_close(file);
    mni_dir_close(dir);
    CHECK_OK_ERR(mn_object_get(store, mn_str("golden/object 1"), 0, &data, &info, &err), &err);
    CHECK_EQ(data.n_bytes, CONTENT);
    CHECK_MEM_EQ(data.data, content, CONTENT);
    CHECK_EQ(info.modified_us, 1700000500000000);
    CHECK_EQ(info.crc32c, 0x79a16ae6);
    CHECK_STR_EQ(info.etag, "abee229cdadad76d10ad30264426c830");
    mn_object_free(data);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
    mni_crash_env_free(crash);
}

static bool write_image(const char *directory, const char *name, const struct image *image)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return false;
    size_t n = fwrite(image->bytes, 1, image->n, file);
    return fclose(file) == 0 && n == image->n;
}

static int write_golden(const char *directory)
{
    struct image object;
    struct image mark;

    make_images(&object, &mark);
    return write_image(directory, object_name, &object) && write_image(directory, mark_name, &mark)
               ? 0
               : 1;
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(they_are_written_the_same),
        CHECK_TEST(it_reads_as_it_was_put),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_golden(argv[2]);
    return check_run("golden.object", tests, CHECK_COUNT(tests), argc, argv);
}
