/* Tests of several listings of one directory at once. */
#include "check.h"

#include "io/posix.h"

enum { N_FILES = 5 };

static struct mn_error err;

struct listing {
    struct mni_dir *dir; /* to be listed again for each entry; NULL: not */
    int n_entries;
};

static mn_status count_entry(void *context, const char *name, bool is_dir, struct mn_error *error)
{
    struct listing *listing = context;
    struct listing inner = {0};
    mn_status st = MN_OK;

    (void)name;
    (void)is_dir;
    listing->n_entries++;
    if (listing->dir == NULL)
        return MN_OK;
    st = mni_dir_list(listing->dir, count_entry, &inner, error);
    return st == MN_OK && inner.n_entries != N_FILES ? MN_ERR_CORRUPT : st;
}

static void listings_do_not_disturb_each_other(void)
{
    struct listing outer = {0};

    CHECK_OK_ERR(mni_env_open_dir(mni_posix_env(), check_temp_dir(), false, &outer.dir, &err),
                 &err);
    for (int i = 0; i < N_FILES; i++) {
        struct mni_file *file = NULL;
        const char name[] = {(char)('a' + i), '\0'};
        CHECK_OK_ERR(
            mni_dir_open_file(outer.dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err),
            &err);
        mni_file_close(file);
    }
    CHECK_OK_ERR(mni_dir_list(outer.dir, count_entry, &outer, &err), &err);
    CHECK_EQ(outer.n_entries, N_FILES);
    mni_dir_close(outer.dir);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {CHECK_TEST(listings_do_not_disturb_each_other)};

    return check_run("io.listing", tests, CHECK_COUNT(tests), argc, argv);
}
