/* Tests of the directories of the simulated disk: each sentence of the model in io/crash.h. */
#include "crash_world.h"

#include <errno.h>

/* Directories -----------------------------------------------------------------------------------
 */

static void synced_file_without_a_durable_name_may_vanish(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = create(&w, "a");
        fill(file, 0, SECTOR, 5);
        CHECK_OK(mni_file_sync(file, NULL));
        mni_file_close(file);
        restart(&w);
        int byte = byte_of(&w, "a");
        seen.n[byte == -3 ? 0 : byte]++;
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 0 | 1 << 5));
}

static void prefix_of_directory_changes_survives(void)
{
    static const char *const names[] = {"a", "b", "c"};
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        for (unsigned k = 0; k < 3; k++)
            mni_file_close(create(&w, names[k]));
        restart(&w);
        unsigned outcome = 0;
        for (unsigned k = 0; k < 3; k++)
            outcome |= (unsigned)exists(&w, names[k]) << k;
        seen.n[outcome]++;
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 0 | 1 << 1 | 1 << 3 | 1 << 7));
}

static void masks_choose_prefixes_of_directory_changes(void)
{
    static const unsigned n_kept[8] = {0, 1, 0, 2, 0, 1, 0, 3}; /* ones at the low end */
    static const char *const names[] = {"a", "b", "c"};

    for (uint64_t mask = 0; mask < 8; mask++) {
        struct world w = world_new(1);
        for (unsigned k = 0; k < 3; k++)
            mni_file_close(create(&w, names[k]));
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 3);
        restart_with(&w, true, mask);
        for (unsigned k = 0; k < 3; k++)
            CHECK_EQ(exists(&w, names[k]), k < n_kept[mask]);
        world_free(&w);
    }
}

static void rename_is_old_or_new_and_never_neither(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        mni_file_close(durable_file(&w, "old", 10, 1));
        mni_file_close(durable_file(&w, "new", 10, 2));
        CHECK_OK(mni_dir_rename(w.dir, "new", "old", NULL));
        CHECK_EQ(byte_of(&w, "old"), 2);
        CHECK(!exists(&w, "new"));
        restart(&w);
        if (exists(&w, "new")) {
            CHECK_EQ(byte_of(&w, "new"), 2);
            CHECK_EQ(byte_of(&w, "old"), 1);
            seen.n[0]++;
        } else {
            CHECK_EQ(byte_of(&w, "old"), 2);
            seen.n[1]++;
        }
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 0 | 1 << 1));
}

static void unlinked_file_may_come_back_whole(void)
{
    for (uint64_t mask = 0; mask < 2; mask++) {
        struct world w = world_new(1);
        mni_file_close(durable_file(&w, "a", 3000, 4));
        CHECK_OK(mni_dir_unlink(w.dir, "a", NULL));
        CHECK(!exists(&w, "a"));
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 1);
        restart_with(&w, true, mask);
        CHECK_EQ(byte_of(&w, "a"), mask == 0 ? 4 : -3);
        world_free(&w);
    }
}

static void synced_directory_changes_hold(void)
{
    uint64_t random = check_seed();

    for (unsigned i = 0; i < 100; i++) {
        struct world w = world_new(check_random(&random));
        mni_file_close(durable_file(&w, "a", 10, 1));
        mni_file_close(durable_file(&w, "b", 10, 2));
        mni_file_close(durable_file(&w, "c", 10, 3));
        CHECK_OK(mni_dir_unlink(w.dir, "a", NULL));
        CHECK_OK(mni_dir_rename(w.dir, "b", "c", NULL));
        CHECK_OK(mni_dir_rename(w.dir, "c", "d", NULL));
        CHECK_OK(mni_dir_sync(w.dir, NULL));
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 0);
        restart(&w);
        CHECK(!exists(&w, "a"));
        CHECK(!exists(&w, "b"));
        CHECK(!exists(&w, "c"));
        CHECK_EQ(byte_of(&w, "d"), 2);
        world_free(&w);
    }
}

static void unlinked_open_file_stays_readable(void)
{
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", 10, 1);

    CHECK_OK(mni_dir_unlink(w.dir, "a", NULL));
    CHECK_OK(mni_dir_sync(w.dir, NULL));
    struct mni_file *other = create(&w, "a");
    fill(other, 0, 10, 2);
    CHECK_EQ(byte_in(file, 0, 10), 1);
    CHECK_EQ(byte_in(other, 0, 10), 2);
    mni_file_close(file);
    CHECK_EQ(byte_in(other, 0, 10), 2);
    mni_file_close(other);
    world_free(&w);
}

static void new_file_shows_nothing_of_a_removed_one(void)
{
    struct world w = world_new(1);

    mni_file_close(durable_file(&w, "a", 5000, 1));
    CHECK_OK(mni_dir_unlink(w.dir, "a", NULL));
    CHECK_OK(mni_dir_sync(w.dir, NULL));
    struct mni_file *file = create(&w, "b"); /* in the memory of the other one */
    CHECK_OK(mni_file_truncate(file, 5000, NULL));
    CHECK_EQ(byte_in(file, 0, 5000), 0);
    mni_file_close(file);
    world_free(&w);
}

static void file_over_a_lost_name_takes_it(void)
{
    for (uint64_t mask = 0; mask < 2; mask++) {
        struct world w = world_new(1);
        mni_file_close(durable_file(&w, "a", 10, 1));
        CHECK_OK(mni_dir_unlink(w.dir, "a", NULL));
        mni_crash_env_fail_sync_at(w.crash, 1);
        CHECK_STATUS(mni_dir_sync(w.dir, NULL), MN_ERR_IO);
        struct mni_file *file = create(&w, "a");
        fill(file, 0, 10, 2);
        sync_all(&w, file);
        mni_file_close(file);
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 1);
        restart_with(&w, true, mask);
        CHECK_EQ(byte_of(&w, "a"), 2);
        CHECK_OK(mni_dir_unlink(w.dir, "a", NULL));
        CHECK(!exists(&w, "a"));
        world_free(&w);
    }
}

static void directory_without_a_durable_name_vanishes_with_its_files(void)
{
    for (uint64_t mask = 0; mask < 2; mask++) {
        struct mni_dir *sub = NULL;
        struct mni_file *file = NULL;
        struct world w = world_new(1);
        CHECK_STATUS(mni_dir_open_dir(w.dir, "sub", false, &sub, NULL), MN_NOT_FOUND);
        CHECK_OK(mni_dir_open_dir(w.dir, "sub", true, &sub, NULL));
        CHECK_OK(mni_dir_open_file(sub, "f", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
        CHECK_OK(mni_file_sync(file, NULL));
        CHECK_OK(mni_dir_sync(sub, NULL));
        mni_file_close(file);
        mni_dir_close(sub);
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 1);
        restart_with(&w, true, mask);
        sub = NULL;
        mn_status st = mni_dir_open_dir(w.dir, "sub", false, &sub, NULL);
        CHECK_STATUS(st, mask == 0 ? MN_NOT_FOUND : MN_OK);
        if (sub != NULL) {
            file = NULL;
            CHECK_OK(mni_dir_open_file(sub, "f", MNI_OPEN_READ, &file, NULL));
            mni_file_close(file);
        }
        mni_dir_close(sub);
        world_free(&w);
    }
}

static void directories_are_independent(void)
{
    struct seen seen = {{0}};

    for (uint64_t mask = 0; mask < 4; mask++) {
        struct mni_dir *other = NULL;
        struct world w = world_new(1);
        CHECK_OK(mni_env_open_dir(mni_crash_env_base(w.crash), "/other", true, &other, NULL));
        struct world v = {w.crash, other};
        mni_file_close(create(&w, "a"));
        mni_file_close(create(&v, "b"));
        mni_dir_close(other);
        restart_with(&w, true, mask);
        CHECK_OK(mni_env_open_dir(mni_crash_env_base(w.crash), "/other", false, &v.dir, NULL));
        seen.n[(unsigned)exists(&w, "a") | (unsigned)exists(&v, "b") << 1]++;
        mni_dir_close(v.dir);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 0xF));
}

static void listing_shows_files_and_directories_and_may_unlink(void)
{
    struct listing listing = {0};
    struct mni_dir *sub = NULL;
    struct world w = world_new(1);

    mni_file_close(create(&w, "a"));
    mni_file_close(create(&w, "b"));
    CHECK_OK(mni_dir_open_dir(w.dir, "c", true, &sub, NULL));
    mni_dir_close(sub);
    CHECK_OK(mni_dir_list(w.dir, note_entry, &listing, NULL));
    CHECK_EQ(listing.n_files, 2);
    CHECK_EQ(listing.n_dirs, 1);
    listing.unlink_in = w.dir;
    CHECK_OK(mni_dir_list(w.dir, note_entry, &listing, NULL));
    CHECK_EQ(listing.n_files, 4);
    CHECK(!exists(&w, "a"));
    CHECK(!exists(&w, "b"));
    listing.unlink_in = NULL;
    mni_file_close(create(&w, "stop"));
    CHECK_STATUS(mni_dir_list(w.dir, note_entry, &listing, NULL), MN_END);
    world_free(&w);
}

static void wrong_names_are_refused_with_their_status(void)
{
    struct mni_file *file = NULL;
    struct mni_dir *sub = NULL;
    struct mn_error err = {0};
    struct world w = world_new(1);

    mni_file_close(create(&w, "a"));
    CHECK_OK(mni_dir_open_dir(w.dir, "d", true, &sub, NULL));
    mni_dir_close(sub);
    CHECK_STATUS(mni_dir_open_file(w.dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err),
                 MN_EXISTS);
    CHECK_EQ(err.os_errno, EEXIST);
    CHECK_STATUS(mni_dir_open_file(w.dir, "x", MNI_OPEN_READ, &file, &err), MN_NOT_FOUND);
    CHECK_EQ(err.os_errno, ENOENT);
    CHECK_STATUS(mni_dir_open_file(w.dir, "d", MNI_OPEN_READ, &file, &err), MN_ERR_IO);
    CHECK_STATUS(mni_dir_open_dir(w.dir, "a", true, &sub, &err), MN_ERR_IO);
    CHECK_STATUS(mni_dir_unlink(w.dir, "x", &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_unlink(w.dir, "d", &err), MN_ERR_IO);
    CHECK_STATUS(mni_dir_rename(w.dir, "x", "y", &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_rename(w.dir, "a", "d", &err), MN_ERR_IO);
    CHECK_STATUS(mni_dir_rename(w.dir, "d", "a", &err), MN_ERR_IO);
    CHECK_OK(mni_dir_rename(w.dir, "a", "a", &err));
    CHECK_STATUS(mni_env_open_dir(mni_crash_env_base(w.crash), "/none", false, &sub, &err),
                 MN_NOT_FOUND);
    CHECK_EQ(mni_crash_env_n_pending(w.crash), 2);
    world_free(&w);
}

static void created_path_survives_every_crash(void)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world w = world_new(seed);
        restart(&w); /* opens the path without creating it */
        world_free(&w);
    }
}

static void failed_directory_sync_leaves_each_change_open_for_ever(void)
{
    struct seen seen = {{0}};

    for (uint64_t mask = 0; mask < 4; mask++) {
        struct world w = world_new(1);
        mni_file_close(create(&w, "a"));
        mni_file_close(create(&w, "b"));
        mni_crash_env_fail_sync_at(w.crash, 1);
        CHECK_STATUS(mni_dir_sync(w.dir, NULL), MN_ERR_IO);
        mni_file_close(create(&w, "c"));
        CHECK_OK(mni_dir_sync(w.dir, NULL));
        CHECK_OK(mni_dir_sync(w.dir, NULL));
        CHECK(exists(&w, "a"));
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 2);
        restart_with(&w, true, mask);
        CHECK(exists(&w, "c")); /* synced after the failure */
        seen.n[(unsigned)exists(&w, "a") | (unsigned)exists(&w, "b") << 1]++;
        world_free(&w);
    }
    CHECK(saw_only(&seen, 0xF));
}

static void synced_rename_holds_though_its_file_was_lost_before(void)
{
    for (uint64_t mask = 0; mask < 2; mask++) {
        struct world w = world_new(1);
        struct mni_file *file = create(&w, "a");
        fill(file, 0, 10, 6);
        CHECK_OK(mni_file_sync(file, NULL));
        mni_file_close(file);
        mni_crash_env_fail_sync_at(w.crash, 1);
        CHECK_STATUS(mni_dir_sync(w.dir, NULL), MN_ERR_IO);
        CHECK_OK(mni_dir_rename(w.dir, "a", "b", NULL));
        CHECK_OK(mni_dir_sync(w.dir, NULL));
        restart_with(&w, true, mask);
        CHECK(!exists(&w, "a"));
        CHECK_EQ(byte_of(&w, "b"), 6);
        world_free(&w);
    }
}

static struct mni_dir *durable_dir(struct world *w, const char *name)
{
    struct mni_dir *dir = NULL;

    CHECK_OK(mni_dir_open_dir(w->dir, name, true, &dir, NULL));
    CHECK_OK(mni_dir_sync(w->dir, NULL));
    return dir;
}

static bool is_in(struct mni_dir *dir, const char *name)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, NULL);

    mni_file_close(file);
    return st == MN_OK;
}

static void second_name_may_vanish_until_its_directory_is_synced(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        mni_file_close(durable_file(&w, "a", 10, 7));
        struct mni_dir *dir = durable_dir(&w, "pool");
        CHECK_OK(mni_dir_link(dir, "b", w.dir, "a", NULL));
        mni_dir_close(dir);
        restart(&w);
        CHECK_EQ(byte_of(&w, "a"), 7);
        CHECK_OK(mni_dir_open_dir(w.dir, "pool", false, &dir, NULL));
        seen.n[is_in(dir, "b")]++;
        mni_dir_close(dir);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 0 | 1 << 1));
}

/* The file is older than the directory that is left to it. */
static void second_name_keeps_a_file_that_lost_its_first(void)
{
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = NULL;
        unsigned char byte = 0;
        size_t n_read = 0;
        mni_file_close(durable_file(&w, "a", 10, 7));
        struct mni_dir *dir = durable_dir(&w, "pool");
        CHECK_OK(mni_dir_link(dir, "b", w.dir, "a", NULL));
        CHECK_OK(mni_dir_sync(dir, NULL));
        CHECK_OK(mni_dir_unlink(w.dir, "a", NULL));
        CHECK_OK(mni_dir_sync(w.dir, NULL));
        mni_dir_close(dir);
        restart(&w);
        CHECK(!exists(&w, "a"));
        CHECK_OK(mni_dir_open_dir(w.dir, "pool", false, &dir, NULL));
        CHECK_OK(mni_dir_open_file(dir, "b", MNI_OPEN_READ, &file, NULL));
        CHECK_OK(mni_file_read(file, 0, &byte, 1, &n_read, NULL));
        CHECK_EQ(n_read, 1);
        CHECK_EQ(byte, 7);
        mni_file_close(file);
        mni_dir_close(dir);
        world_free(&w);
    }
}

static void links_that_cannot_be_are_refused(void)
{
    struct world w = world_new(1);
    struct mni_dir *dir = durable_dir(&w, "pool");

    mni_file_close(durable_file(&w, "a", 10, 7));
    CHECK_STATUS(mni_dir_link(dir, "b", w.dir, "x", NULL), MN_NOT_FOUND);
    CHECK_OK(mni_dir_link(dir, "b", w.dir, "a", NULL));
    CHECK_STATUS(mni_dir_link(dir, "b", w.dir, "a", NULL), MN_EXISTS);
    CHECK_STATUS(mni_dir_link(dir, "c", w.dir, "pool", NULL), MN_ERR_ACCESS);
    mni_dir_close(dir);
    world_free(&w);
}

static int byte_in_dir(struct mni_dir *dir, const char *name)
{
    struct mni_file *file = NULL;

    if (mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, NULL) != MN_OK)
        return 0;
    int byte = byte_in(file, 0, 1);
    mni_file_close(file);
    return byte;
}

/* Before either directory is synced, each may have its change or not. */
static void move_replaces_and_each_directory_has_its_own_part_of_it(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_dir *dir = NULL;
        mni_file_close(durable_file(&w, "old", 10, 1));
        dir = durable_dir(&w, "pool");
        CHECK_OK(mni_dir_move(dir, "a", w.dir, "old", NULL));
        CHECK_OK(mni_dir_sync(dir, NULL));
        CHECK_OK(mni_dir_sync(w.dir, NULL));
        mni_file_close(durable_file(&w, "new", 10, 2));
        CHECK_OK(mni_dir_move(dir, "a", w.dir, "new", NULL));
        CHECK(!exists(&w, "new"));
        CHECK_EQ(byte_in_dir(dir, "a"), 2);
        bool is_synced = i % 2 == 0;
        if (is_synced)
            CHECK_OK(mni_dir_sync(dir, NULL));
        mni_dir_close(dir);
        restart(&w);
        CHECK_OK(mni_dir_open_dir(w.dir, "pool", false, &dir, NULL));
        int byte = byte_in_dir(dir, "a");
        CHECK(byte == 2 || (byte == 1 && !is_synced));
        seen.n[(byte - 1) * 2 + exists(&w, "new")]++;
        mni_dir_close(dir);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 15));
}

static void removed_directory_is_gone_or_back_with_what_was_durable(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_dir *dir = durable_dir(&w, "pool");
        struct mni_file *file = NULL;
        mni_file_close(durable_file(&w, "a", 10, 7));
        CHECK_OK(mni_dir_link(dir, "b", w.dir, "a", NULL));
        CHECK_OK(mni_dir_sync(dir, NULL));
        CHECK_STATUS(mni_dir_remove_dir(w.dir, "pool", NULL), MN_EXISTS);
        CHECK_OK(mni_dir_unlink(dir, "b", NULL));
        bool is_synced = i % 2 == 0;
        if (is_synced)
            CHECK_OK(mni_dir_sync(dir, NULL));
        CHECK_OK(mni_dir_remove_dir(w.dir, "pool", NULL));
        CHECK_STATUS(mni_dir_link(dir, "b", w.dir, "a", NULL), MN_NOT_FOUND);
        CHECK_STATUS(mni_dir_move(dir, "b", w.dir, "a", NULL), MN_NOT_FOUND);
        CHECK_STATUS(mni_dir_open_file(dir, "c", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL),
                     MN_NOT_FOUND);
        if (i % 4 == 0)
            CHECK_OK(mni_dir_sync(w.dir, NULL)); /* frees it when the handle goes */
        mni_dir_close(dir);
        restart(&w);
        mn_status st = mni_dir_open_dir(w.dir, "pool", false, &dir, NULL);
        CHECK(i % 4 != 0 || st == MN_NOT_FOUND);
        bool has_b = st == MN_OK && is_in(dir, "b");
        CHECK(!has_b || !is_synced);
        seen.n[st != MN_OK ? 0 : has_b ? 2 : 1]++;
        if (st == MN_OK)
            mni_dir_close(dir);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 7));
}

static void removed_directory_can_be_made_again(void)
{
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_dir *dir = durable_dir(&w, "pool");
        CHECK_OK(mni_dir_remove_dir(w.dir, "pool", NULL));
        mni_dir_close(dir);
        dir = durable_dir(&w, "pool");
        mni_file_close(durable_file(&w, "a", 10, 7));
        CHECK_OK(mni_dir_link(dir, "b", w.dir, "a", NULL));
        CHECK_OK(mni_dir_sync(dir, NULL));
        mni_dir_close(dir);
        restart(&w);
        CHECK_OK(mni_dir_open_dir(w.dir, "pool", false, &dir, NULL));
        CHECK_EQ(byte_in_dir(dir, "b"), 7);
        mni_dir_close(dir);
        world_free(&w);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(synced_file_without_a_durable_name_may_vanish),
        CHECK_TEST(prefix_of_directory_changes_survives),
        CHECK_TEST(masks_choose_prefixes_of_directory_changes),
        CHECK_TEST(rename_is_old_or_new_and_never_neither),
        CHECK_TEST(unlinked_file_may_come_back_whole),
        CHECK_TEST(synced_directory_changes_hold),
        CHECK_TEST(unlinked_open_file_stays_readable),
        CHECK_TEST(new_file_shows_nothing_of_a_removed_one),
        CHECK_TEST(file_over_a_lost_name_takes_it),
        CHECK_TEST(directory_without_a_durable_name_vanishes_with_its_files),
        CHECK_TEST(directories_are_independent),
        CHECK_TEST(listing_shows_files_and_directories_and_may_unlink),
        CHECK_TEST(wrong_names_are_refused_with_their_status),
        CHECK_TEST(created_path_survives_every_crash),
        CHECK_TEST(failed_directory_sync_leaves_each_change_open_for_ever),
        CHECK_TEST(synced_rename_holds_though_its_file_was_lost_before),
        CHECK_TEST(second_name_may_vanish_until_its_directory_is_synced),
        CHECK_TEST(second_name_keeps_a_file_that_lost_its_first),
        CHECK_TEST(links_that_cannot_be_are_refused),
        CHECK_TEST(move_replaces_and_each_directory_has_its_own_part_of_it),
        CHECK_TEST(removed_directory_is_gone_or_back_with_what_was_durable),
        CHECK_TEST(removed_directory_can_be_made_again),
    };
    return check_run("io.crash_tree", tests, CHECK_COUNT(tests), argc, argv);
}
