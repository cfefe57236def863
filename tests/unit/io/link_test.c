/* Tests of second names and clones of files, on real directories. */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "io/posix.h"

static struct mn_error err;

static struct mni_dir *open_dir(const char *path)
{
    struct mni_dir *dir = NULL;

    CHECK_OK_ERR(mni_env_open_dir(mni_posix_env(), path, false, &dir, &err), &err);
    return dir;
}

static struct mni_file *open_file(struct mni_dir *dir, const char *name, unsigned flags)
{
    struct mni_file *file = NULL;

    CHECK_OK_ERR(mni_dir_open_file(dir, name, flags, &file, &err), &err);
    return file;
}

static struct mni_file *create_file(struct mni_dir *dir, const char *name)
{
    return open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE);
}

static void a_second_name_outlives_the_first(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_dir *pool = NULL;
    char c = 0;
    size_t n_read;

    CHECK_OK(mni_dir_open_dir(dir, "pool", true, &pool, &err));
    struct mni_file *a = create_file(dir, "a");
    CHECK_OK(mni_file_write(a, 0, "A", 1, &err));
    mni_file_close(a);
    CHECK_STATUS(mni_dir_link(pool, "b", dir, "x", &err), MN_NOT_FOUND);
    CHECK_STR_HAS(err.message, "link x in ");
    CHECK_STATUS(mni_dir_link(pool, "../b", dir, "a", &err), MN_ERR_INVALID);
    CHECK_STATUS(mni_dir_link(pool, "b", dir, "../a", &err), MN_ERR_INVALID);
    CHECK_OK_ERR(mni_dir_link(pool, "b", dir, "a", &err), &err);
    CHECK_STATUS(mni_dir_link(pool, "b", dir, "a", &err), MN_EXISTS);
    CHECK_OK(mni_dir_unlink(dir, "a", &err));
    struct mni_file *b = open_file(pool, "b", MNI_OPEN_READ);
    CHECK_OK(mni_file_read(b, 0, &c, 1, &n_read, &err));
    CHECK_EQ(c, 'A');
    mni_file_close(b);
    mni_dir_close(pool);
    mni_dir_close(dir);
}

static char first_byte(struct mni_dir *dir, const char *name)
{
    struct mni_file *file = open_file(dir, name, MNI_OPEN_READ);
    size_t n_read;
    char c = 0;

    CHECK_OK(mni_file_read(file, 0, &c, 1, &n_read, &err));
    mni_file_close(file);
    return c;
}

static void a_move_between_directories_replaces(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_dir *other = NULL;
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_dir(dir, "other", true, &other, &err));
    for (int i = 0; i < 2; i++) {
        struct mni_file *a = create_file(dir, "a");
        CHECK_OK(mni_file_write(a, 0, i == 0 ? "A" : "B", 1, &err));
        mni_file_close(a);
        CHECK_OK_ERR(mni_dir_move(other, "b", dir, "a", &err), &err);
        CHECK_EQ(first_byte(other, "b"), i == 0 ? 'A' : 'B');
        CHECK_STATUS(mni_dir_open_file(dir, "a", MNI_OPEN_READ, &file, &err), MN_NOT_FOUND);
    }
    CHECK_STATUS(mni_dir_move(other, "b", dir, "a", &err), MN_NOT_FOUND);
    CHECK_STR_HAS(err.message, "move a in ");
    CHECK_STATUS(mni_dir_move(other, "../b", dir, "a", &err), MN_ERR_INVALID);
    CHECK_STATUS(mni_dir_move(other, "b", dir, "../a", &err), MN_ERR_INVALID);
    mni_dir_close(other);
    mni_dir_close(dir);
}

static mn_status note_name(void *context, const char *name, bool is_dir, struct mn_error *e)
{
    (void)context;
    (void)name;
    (void)is_dir;
    (void)e;
    return MN_OK;
}

static void only_an_empty_directory_is_removed(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_dir *inner = NULL;
    struct mni_dir *innermost = NULL;
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_dir(dir, "inner", true, &inner, &err));
    mni_file_close(create_file(inner, "a"));
    mni_file_close(create_file(dir, "b"));
    CHECK_STATUS(mni_dir_remove_dir(dir, "inner", &err), MN_EXISTS);
    CHECK_STR_HAS(err.message, "directory inner in ");
    CHECK_STATUS(mni_dir_remove_dir(dir, "b", &err), MN_ERR_IO);
    CHECK_STATUS(mni_dir_remove_dir(dir, "none", &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_remove_dir(dir, "..", &err), MN_ERR_INVALID);
    CHECK_OK(mni_dir_unlink(inner, "a", &err));
    CHECK_OK_ERR(mni_dir_remove_dir(dir, "inner", &err), &err);
    CHECK_STATUS(mni_dir_open_dir(dir, "inner", false, &innermost, &err), MN_NOT_FOUND);
    /* Nothing can be made where it was. */
    CHECK_STATUS(mni_dir_move(inner, "b", dir, "b", &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_link(inner, "b", dir, "b", &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_open_dir(inner, "c", true, &innermost, &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_list(inner, note_name, NULL, &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_open_file(inner, "c", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err),
                 MN_NOT_FOUND);
    mni_dir_close(inner);
    mni_dir_close(dir);
}

/* Two file systems never share a file: memory and the one of the tests. */
static void links_and_clones_between_file_systems_are_told_apart(void)
{
    char path[] = "/dev/shm/mneme-test-XXXXXX";
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_dir *other = NULL;

    CHECK(mkdtemp(path) != NULL);
    CHECK_OK(mni_env_open_dir(mni_posix_env(), path, false, &other, &err));
    struct mni_file *a = create_file(dir, "a");
    struct mni_file *b = create_file(other, "b");
    CHECK_STATUS(mni_dir_link(other, "c", dir, "a", &err), MN_ERR_UNSUPPORTED);
    CHECK_STATUS(mni_dir_move(other, "c", dir, "a", &err), MN_ERR_UNSUPPORTED);
    CHECK_STATUS(mni_file_clone(b, a, &err), MN_ERR_UNSUPPORTED);
    mni_file_close(a);
    mni_file_close(b);
    CHECK_OK(mni_dir_unlink(other, "b", &err));
    mni_dir_close(other);
    mni_dir_close(dir);
    CHECK_EQ(rmdir(path), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_second_name_outlives_the_first),
        CHECK_TEST(a_move_between_directories_replaces),
        CHECK_TEST(only_an_empty_directory_is_removed),
        CHECK_TEST(links_and_clones_between_file_systems_are_told_apart),
    };

    return check_run("io.link", tests, CHECK_COUNT(tests), argc, argv);
}
