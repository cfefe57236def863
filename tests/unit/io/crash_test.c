/* Tests of the power, seeds, masks, locks and clocks of the simulated disk. */
#include "crash_world.h"

#include <errno.h>

#include "base/mem.h"

/* Power -----------------------------------------------------------------------------------------
 */

/* Makes every kind of call once, with a cut at one of them; true when there was a cut. */
static bool run_all_steps(struct world *w, uint64_t cut_at, enum mni_crash_step *step_out)
{
    unsigned char data[2 * SECTOR] = {0};
    struct mni_file *a = durable_file(w, "a", 4 * SECTOR, 1);
    struct mni_file *b = NULL;
    struct mni_dir *sub = NULL;
    struct mni_map *map = NULL;
    struct mn_error err = {0};
    uint64_t n_bytes;
    size_t n_read;

    mni_file_close(durable_file(w, "z", 1, 1));
    mni_crash_env_cut_at(w->crash, cut_at);
    uint64_t calls_before = mni_crash_env_n_calls(w->crash);
    mn_status st[] = {
        mni_dir_open_file(w->dir, "b", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &b, &err),
        mni_file_write(a, 0, data, sizeof data, &err),
        mni_file_read(a, 0, data, sizeof data, &n_read, &err),
        mni_file_sync(a, &err),
        mni_file_write_durable(a, 0, data, sizeof data, &err),
        mni_file_allocate(a, 8192, &err),
        mni_file_truncate(a, 100, &err),
        mni_file_size(a, &n_bytes, &err),
        mni_file_map(a, &map, &err),
        mni_dir_list(w->dir, note_entry, &(struct listing){0}, &err),
        mni_dir_rename(w->dir, "a", "c", &err),
        mni_dir_unlink(w->dir, "z", &err),
        mni_dir_sync(w->dir, &err),
        mni_dir_lock(w->dir, MNI_LOCK_SHARED, &err),
        mni_dir_open_dir(w->dir, "sub", true, &sub, &err),
        sub == NULL ? MN_ERR_IO : mni_dir_link(sub, "d", w->dir, "c", &err),
    };
    bool was_cut = mni_crash_env_is_cut(w->crash);
    uint64_t n_calls = mni_crash_env_n_calls(w->crash) - calls_before;
    CHECK_EQ(n_calls, was_cut ? cut_at : CHECK_COUNT(st));
    for (size_t i = 0; i < CHECK_COUNT(st); i++)
        CHECK_STATUS(st[i], was_cut && i + 1 >= cut_at ? MN_ERR_IO : MN_OK);
    CHECK_EQ(err.os_errno, was_cut ? EIO : 0);
    *step_out = mni_crash_env_cut_step(w->crash);
    mni_map_close(map);
    mni_file_close(a);
    mni_file_close(b);
    mni_dir_close(sub);
    return was_cut;
}

static void every_call_can_be_cut_and_all_after_it_fail(void)
{
    static const enum mni_crash_step steps[] = {
        MNI_CRASH_CREATE_FILE,   MNI_CRASH_WRITE,    MNI_CRASH_READ,     MNI_CRASH_SYNC,
        MNI_CRASH_WRITE_DURABLE, MNI_CRASH_ALLOCATE, MNI_CRASH_TRUNCATE, MNI_CRASH_SIZE,
        MNI_CRASH_MAP,           MNI_CRASH_LIST,     MNI_CRASH_RENAME,   MNI_CRASH_UNLINK,
        MNI_CRASH_DIR_SYNC,      MNI_CRASH_LOCK,     MNI_CRASH_OPEN_DIR, MNI_CRASH_LINK,
    };
    enum mni_crash_step step;

    for (uint64_t cut_at = 1; cut_at <= CHECK_COUNT(steps); cut_at++) {
        struct world w = world_new(cut_at);
        CHECK(run_all_steps(&w, cut_at, &step));
        CHECK_STR_EQ(mni_crash_step_name(step), mni_crash_step_name(steps[cut_at - 1]));
        restart(&w);
        CHECK(!mni_crash_env_is_cut(w.crash));
        CHECK_EQ(mni_crash_env_cut_step(w.crash), MNI_CRASH_N_STEPS);
        CHECK(exists(&w, "a") != exists(&w, "c"));
        world_free(&w);
    }
    struct world w = world_new(1);
    CHECK(!run_all_steps(&w, CHECK_COUNT(steps) + 1, &step));
    CHECK_EQ(step, MNI_CRASH_N_STEPS);
    world_free(&w);
}

static void cut_calls_may_have_happened_or_not(void)
{
    struct seen create_seen = {{0}};
    struct seen write_seen = {{0}};
    struct seen sync_seen = {{0}};
    struct seen path_seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        unsigned char data[2 * SECTOR];
        struct mni_dir *dir = NULL;
        struct mni_file *made = NULL;
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", 2 * SECTOR, 1);
        mni_crash_env_cut_at(w.crash, 1);
        CHECK_STATUS(mni_dir_open_file(w.dir, "b", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &made, NULL),
                     MN_ERR_IO);
        CHECK(made == NULL);
        mni_file_close(file);
        restart(&w);
        create_seen.n[exists(&w, "b")]++;

        file = reopen(&w, "a");
        memset(data, 2, sizeof data);
        mni_crash_env_cut_at(w.crash, 1);
        CHECK_STATUS(mni_file_write_durable(file, 0, data, sizeof data, NULL), MN_ERR_IO);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        write_seen.n[(byte_in(file, 0, SECTOR) - 1) | (byte_in(file, SECTOR, SECTOR) - 1) << 1]++;

        fill(file, 0, SECTOR, 3);
        mni_crash_env_cut_at(w.crash, 1);
        CHECK_STATUS(mni_file_sync(file, NULL), MN_ERR_IO);
        mni_file_close(file);
        restart(&w);
        sync_seen.n[byte_of(&w, "a") == 3]++;

        mni_crash_env_cut_at(w.crash, 1);
        CHECK_STATUS(mni_env_open_dir(mni_crash_env_base(w.crash), "/p", true, &dir, NULL),
                     MN_ERR_IO);
        restart(&w);
        mn_status st = mni_env_open_dir(mni_crash_env_base(w.crash), "/p", false, &dir, NULL);
        path_seen.n[st == MN_OK]++;
        mni_dir_close(dir);
        world_free(&w);
    }
    CHECK(saw_only(&create_seen, 3));
    CHECK(saw_only(&write_seen, 0xF));
    CHECK(saw_only(&sync_seen, 3));
    CHECK(saw_only(&path_seen, 3));
}

static void handles_of_an_earlier_life_are_dead(void)
{
    unsigned char data[SECTOR] = {0};
    size_t n_read = 0;
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", SECTOR, 1);
    struct mni_dir *dir = w.dir;

    mni_crash_env_restart(w.crash, false, 0);
    uint64_t n_calls = mni_crash_env_n_calls(w.crash);
    CHECK_STATUS(mni_file_read(file, 0, data, SECTOR, &n_read, NULL), MN_ERR_IO);
    CHECK_STATUS(mni_file_write(file, 0, data, SECTOR, NULL), MN_ERR_IO);
    CHECK_STATUS(mni_file_sync(file, NULL), MN_ERR_IO);
    CHECK_STATUS(mni_dir_unlink(dir, "a", NULL), MN_ERR_IO);
    CHECK_STATUS(mni_dir_lock(dir, MNI_LOCK_SHARED, NULL), MN_ERR_IO);
    CHECK_EQ(mni_crash_env_n_calls(w.crash), n_calls);
    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w.crash), "/store", false, &w.dir, NULL));
    CHECK_EQ(byte_of(&w, "a"), 1);
    mni_file_close(file);
    mni_dir_close(dir);
    CHECK_EQ(byte_of(&w, "a"), 1);
    world_free(&w);
}

static void a_map_is_a_copy_that_survives_the_power(void)
{
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", 2 * SECTOR, 1);
    struct mni_map *map = NULL;
    unsigned char ones[2 * SECTOR];

    memset(ones, 1, sizeof ones);
    CHECK_OK(mni_file_map(file, &map, NULL));
    fill(file, 0, SECTOR, 2);
    mni_map_will_read(map, 0, map->n_bytes);
    mni_file_close(file);
    restart(&w);
    CHECK_EQ(map->n_bytes, sizeof ones);
    CHECK_EQ((uintptr_t)map->bytes % 4096, 0);
    CHECK_MEM_EQ(map->bytes, ones, sizeof ones);
    mni_map_close(map);
    world_free(&w);
}

static void restart_forgets_cut_and_failure_that_did_not_come(void)
{
    struct world w = world_new(1);

    mni_crash_env_cut_at(w.crash, 1000);
    mni_crash_env_fail_sync_at(w.crash, 1);
    restart(&w);
    CHECK_OK(mni_dir_sync(w.dir, NULL));
    for (int i = 0; i < 1100; i++)
        CHECK(!exists(&w, "a"));
    world_free(&w);
}

/* Masks and seeds -------------------------------------------------------------------------------
 */

static void masks_enumerate_every_outcome(void)
{
    enum { N_BITS = 6 };
    bool seen[1 << N_BITS] = {false};
    unsigned n_distinct = 0;

    for (uint64_t mask = 0; mask < 1 << N_BITS; mask++) {
        struct world w = world_new(1);
        struct mni_file *file = durable_file(&w, "a", 3 * SECTOR, 0);
        fill(file, 0, SECTOR, 1);          /* bit 1 */
        fill(file, 0, SECTOR, 2);          /* bit 2 */
        fill(file, 2 * SECTOR, SECTOR, 1); /* bit 3 */
        fill(file, 3 * SECTOR, 1, 0);      /* bit 4, and bit 0 its length */
        mni_file_close(file);
        mni_file_close(create(&w, "b")); /* bit 5 */
        CHECK_EQ(mni_crash_env_n_pending(w.crash), N_BITS);
        restart_with(&w, true, mask);
        file = reopen(&w, "a");
        int first = byte_in(file, 0, SECTOR);
        CHECK_EQ(first, (mask >> 2 & 1) != 0 ? 2 : (mask >> 1 & 1) != 0 ? 1 : 0);
        CHECK_EQ(byte_in(file, 2 * SECTOR, SECTOR), mask >> 3 & 1);
        CHECK_EQ(size_of(file), 3 * SECTOR + (mask & 1));
        CHECK_EQ(exists(&w, "b"), mask >> 5 & 1);
        unsigned outcome = (unsigned)first << 4 | (unsigned)byte_in(file, 2 * SECTOR, 1) << 3 |
                           (unsigned)(size_of(file) & 1) << 2 | (unsigned)exists(&w, "b") << 1;
        n_distinct += !seen[outcome];
        seen[outcome] = true;
        mni_file_close(file);
        world_free(&w);
    }
    CHECK_EQ(n_distinct, 3 * 2 * 2 * 2);
}

/* A random history with crashes; returns a digest of all that it read. */
static uint64_t random_history(uint64_t seed)
{
    uint64_t random = seed;
    uint64_t digest = 0;
    struct world w = world_new(seed);

    for (unsigned i = 0; i < 200; i++) {
        char name[2] = {(char)('a' + check_below(&random, 4)), '\0'};
        struct mni_file *file = NULL;
        unsigned char data[3000];
        size_t n_read = 0;
        uint64_t drawn = 0;
        unsigned flags = MNI_OPEN_WRITE | (exists(&w, name) ? 0 : MNI_OPEN_CREATE);
        CHECK_OK(mni_dir_open_file(w.dir, name, flags, &file, NULL));
        CHECK_OK(mni_file_read(file, 0, data, sizeof data, &n_read, NULL));
        for (size_t k = 0; k < n_read; k++)
            digest = digest * 31 + data[k];
        digest = digest * 31 + size_of(file);
        fill(file, check_below(&random, 5000), check_below(&random, 5000), (int)i);
        if (check_below(&random, 4) == 0)
            CHECK_OK(mni_file_truncate(file, check_below(&random, 9000), NULL));
        if (check_below(&random, 10) == 0)
            mni_crash_env_fail_sync_at(w.crash, 1);
        if (check_below(&random, 3) == 0)
            digest = digest * 31 + (uint64_t)mni_file_sync(file, NULL);
        if (check_below(&random, 3) == 0)
            CHECK_OK(mni_dir_rename(w.dir, name, "b", NULL));
        if (check_below(&random, 3) == 0)
            digest = digest * 31 + (uint64_t)mni_dir_sync(w.dir, NULL);
        CHECK_OK(mni_env_random(mni_crash_env_base(w.crash), &drawn, sizeof drawn, NULL));
        digest = digest * 31 + drawn + (uint64_t)mni_env_wall_us(mni_crash_env_base(w.crash));
        mni_file_close(file);
        if (check_below(&random, 8) == 0)
            restart(&w);
    }
    world_free(&w);
    return digest;
}

static void equal_seeds_and_calls_give_equal_disks(void)
{
    uint64_t random = check_seed();

    for (unsigned i = 0; i < 20; i++) {
        uint64_t seed = check_random(&random);
        uint64_t digest = random_history(seed);
        CHECK(random_history(seed) == digest);
        CHECK(random_history(seed + 1) != digest);
    }
}

/* The rest --------------------------------------------------------------------------------------
 */

static void locks_conflict_and_end_with_close_or_restart(void)
{
    struct mni_env *env;
    struct mni_dir *a;
    struct mni_dir *b;
    struct world w = world_new(1);

    env = mni_crash_env_base(w.crash);
    CHECK_OK(mni_env_open_dir(env, "/store", true, &a, NULL));
    CHECK_OK(mni_env_open_dir(env, "/store", true, &b, NULL));
    CHECK_OK(mni_dir_lock(a, MNI_LOCK_SHARED, NULL));
    CHECK_OK(mni_dir_lock(b, MNI_LOCK_SHARED, NULL));
    CHECK_STATUS(mni_dir_lock(b, MNI_LOCK_EXCLUSIVE, NULL), MN_ERR_IN_USE);
    mni_dir_close(a);
    CHECK_OK(mni_dir_lock(b, MNI_LOCK_EXCLUSIVE, NULL));
    CHECK_OK(mni_env_open_dir(env, "/store", true, &a, NULL));
    CHECK_STATUS(mni_dir_lock(a, MNI_LOCK_SHARED, NULL), MN_ERR_IN_USE);
    CHECK_STATUS(mni_dir_lock(a, MNI_LOCK_EXCLUSIVE, NULL), MN_ERR_IN_USE);
    mni_dir_close(a);
    restart(&w);
    CHECK_OK(mni_dir_lock(w.dir, MNI_LOCK_EXCLUSIVE, NULL));
    mni_dir_close(b); /* of the earlier life: drops nothing of this one */
    CHECK_OK(mni_env_open_dir(env, "/store", true, &a, NULL));
    CHECK_STATUS(mni_dir_lock(a, MNI_LOCK_SHARED, NULL), MN_ERR_IN_USE);
    mni_dir_close(a);
    world_free(&w);
}

static void clocks_move_by_themselves_and_when_told(void)
{
    struct world w = world_new(1);
    struct mni_env *env = mni_crash_env_base(w.crash);
    int64_t wall = mni_env_wall_us(env);
    int64_t mono = mni_env_mono_us(env);

    CHECK_EQ(mni_env_wall_us(env), wall + 2);
    CHECK_EQ(mni_env_mono_us(env), mono + 2);
    mni_crash_env_advance_us(w.crash, 1000);
    CHECK_EQ(mni_env_wall_us(env), wall + 1004);
    CHECK_EQ(mni_env_mono_us(env), mono + 1004);
    mni_crash_env_set_wall_us(w.crash, 77);
    CHECK_EQ(mni_env_wall_us(env), 78);
    CHECK_EQ(mni_env_mono_us(env), mono + 1006);
    CHECK(!mni_env_has_threads(env));
    world_free(&w);
}

static void disk_does_not_count_as_memory_of_the_library(void)
{
    mni_mem_fail_at(0);
    (void)random_history(1);
    CHECK_EQ(mni_mem_calls(), 0);
}

static void large_reserved_files_work(void)
{
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", 10, 1);

    CHECK_OK(mni_file_allocate(file, 64 << 20, NULL));
    fill(file, 40 << 20, SECTOR, 2);
    CHECK_OK(mni_file_sync(file, NULL));
    mni_file_close(file);
    restart(&w);
    file = reopen(&w, "a");
    CHECK_EQ(size_of(file), 64 << 20);
    CHECK_EQ(byte_in(file, 40 << 20, SECTOR), 2);
    CHECK_EQ(byte_in(file, (40 << 20) + SECTOR, SECTOR), 0);
    CHECK_STATUS(mni_file_allocate(file, UINT64_C(1) << 50, NULL), MN_ERR_NO_SPACE);
    mni_file_close(file);
    CHECK_OK(mni_dir_unlink(w.dir, "a", NULL));
    CHECK_OK(mni_dir_sync(w.dir, NULL));
    file = create(&w, "b"); /* in the memory of the other one */
    CHECK_OK(mni_file_allocate(file, 8192, NULL));
    CHECK_EQ(byte_in(file, 0, 8192), 0);
    mni_file_close(file);
    world_free(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_call_can_be_cut_and_all_after_it_fail),
        CHECK_TEST(cut_calls_may_have_happened_or_not),
        CHECK_TEST(handles_of_an_earlier_life_are_dead),
        CHECK_TEST(a_map_is_a_copy_that_survives_the_power),
        CHECK_TEST(restart_forgets_cut_and_failure_that_did_not_come),
        CHECK_TEST(masks_enumerate_every_outcome),
        CHECK_TEST(equal_seeds_and_calls_give_equal_disks),
        CHECK_TEST(locks_conflict_and_end_with_close_or_restart),
        CHECK_TEST(clocks_move_by_themselves_and_when_told),
        CHECK_TEST(disk_does_not_count_as_memory_of_the_library),
        CHECK_TEST(large_reserved_files_work),
    };
    return check_run("io.crash", tests, CHECK_COUNT(tests), argc, argv);
}
