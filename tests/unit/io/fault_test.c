/* Tests of the fault-injecting env, on real directories. */
#include "check.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/fault.h"
#include "io/posix.h"
#include "io/thread.h"

enum {
    BLOCK = MNI_DIRECT_ALIGN,
    N_SCRIPT_CALLS = 21,         /* what run_script calls, */
    N_SCRIPT_CALLS_CHANGING = 16 /* and how many of them change the disk */
};

static struct mn_error err;

static struct mni_fault_env *new_env(void)
{
    struct mni_fault_env *env = NULL;
    CHECK_OK(mni_fault_env_new(mni_posix_env(), &env));
    return env;
}

static mn_status ignore_entry(void *context, const char *name, bool is_dir, struct mn_error *error)
{
    (void)context;
    (void)name;
    (void)is_dir;
    (void)error;
    return MN_OK;
}

struct script {
    bool goes_on; /* after a failure, with the handles it could get before */
    int n_failed;
    mn_status first;       /* failure */
    struct mn_error error; /* of it */
};

/* Notes a result and tells whether to go on. */
static bool goes_on(struct script *s, mn_status st)
{
    if (st != MN_OK && s->n_failed++ == 0) {
        s->first = st;
        s->error = err;
    }
    return st == MN_OK || s->goes_on;
}

static void use_file(struct script *s, struct mni_dir *outer, struct mni_dir *dir,
                     struct mni_file *file)
{
    char data[8] = "abcdefg";
    struct mni_map *map = NULL;
    size_t n_read;
    uint64_t n_bytes;

    if (goes_on(s, mni_file_allocate(file, 4096, &err)) &&
        goes_on(s, mni_file_write(file, 0, data, sizeof data, &err)) &&
        goes_on(s, mni_file_sync(file, &err)) &&
        goes_on(s, mni_file_write_durable(file, 0, data, sizeof data, &err)) &&
        goes_on(s, mni_file_read(file, 0, data, sizeof data, &n_read, &err)) &&
        goes_on(s, mni_file_size(file, &n_bytes, &err)) &&
        goes_on(s, mni_file_map(file, &map, &err)) &&
        goes_on(s, mni_file_truncate(file, 8, &err)) &&
        goes_on(s, mni_dir_rename(dir, "a", "b", &err)) && goes_on(s, mni_dir_sync(dir, &err)) &&
        goes_on(s, mni_dir_list(dir, ignore_entry, NULL, &err)) &&
        goes_on(s, mni_dir_link(outer, "c", dir, "b", &err)) &&
        goes_on(s, mni_dir_unlink(outer, "c", &err)) &&
        goes_on(s, mni_dir_move(outer, "d", dir, "b", &err)) &&
        goes_on(s, mni_dir_unlink(outer, "d", &err)))
        (void)goes_on(s, mni_dir_sync(dir, &err));
    mni_map_close(map);
}

/* Every call there is. */
static void run_script(struct script *s, struct mni_env *env, const char *path)
{
    struct mni_dir *dir = NULL;
    struct mni_dir *inner = NULL;
    struct mni_file *file = NULL;

    if (goes_on(s, mni_env_open_dir(env, path, true, &dir, &err)) &&
        goes_on(s, mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, &err)) &&
        goes_on(s, mni_dir_open_dir(dir, "wal", true, &inner, &err)) &&
        goes_on(s, mni_dir_open_file(inner, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err)))
        use_file(s, dir, inner, file);
    if (file != NULL && (s->goes_on || s->n_failed == 0))
        (void)goes_on(s, mni_dir_remove_dir(dir, "wal", &err));
    mni_file_close(file);
    mni_dir_close(inner);
    mni_dir_close(dir);
}

static void every_call_fails_once_with_the_errno_asked_for(void)
{
    struct mni_fault_env *env = new_env();

    for (uint64_t n = 1; n <= N_SCRIPT_CALLS + 1; n++) {
        struct script s = {0};
        mni_fault_env_fail_at(env, n, n % 2 == 0 ? EIO : ENOSPC, false);
        run_script(&s, mni_fault_env_base(env), check_temp_dir());
        bool is_over = n == N_SCRIPT_CALLS + 1;
        CHECK_EQ(mni_fault_env_was_hit(env), !is_over);
        CHECK_EQ(mni_fault_env_n_calls(env), is_over ? N_SCRIPT_CALLS : n);
        CHECK_EQ(s.n_failed, is_over ? 0 : 1);
        if (!is_over) {
            CHECK_STATUS(s.first, n % 2 == 0 ? MN_ERR_IO : MN_ERR_NO_SPACE);
            CHECK_EQ(s.error.os_errno, n % 2 == 0 ? EIO : ENOSPC);
            CHECK_EQ(s.error.status, s.first);
            CHECK(s.error.message[0] != '\0');
        }
    }
    mni_fault_env_free(env);
}

/* From the fifth call on, the file is open and a script that goes on makes all its calls. */
static void one_fault_leaves_the_calls_after_it_alone(void)
{
    struct mni_fault_env *env = new_env();

    for (uint64_t n = 5; n <= N_SCRIPT_CALLS; n++) {
        struct script s = {.goes_on = true};
        mni_fault_env_fail_at(env, n, EIO, false);
        run_script(&s, mni_fault_env_base(env), check_temp_dir());
        CHECK_EQ(mni_fault_env_n_calls(env), N_SCRIPT_CALLS);
        /* The 13th is the rename: without it there is no "b" to link and to move, and "wal" does
         * not get empty. The 16th is the link, the 18th the move. */
        CHECK_EQ(s.n_failed, n == 13 ? 6 : n == 16 ? 2 : n == 18 ? 3 : 1);
    }
    mni_fault_env_free(env);
}

static void a_lasting_fault_spares_what_only_reads(void)
{
    struct mni_fault_env *env = new_env();
    struct script s = {.goes_on = true};

    mni_fault_env_fail_at(env, 5, EIO, true); /* allocate */
    run_script(&s, mni_fault_env_base(env), check_temp_dir());
    CHECK_EQ(mni_fault_env_n_calls(env), N_SCRIPT_CALLS);
    CHECK_EQ(s.n_failed, N_SCRIPT_CALLS_CHANGING - 3); /* all but three that opened */

    struct script read_first = {.goes_on = true};
    mni_fault_env_fail_at(env, 9, EIO, true); /* read: fails because it is the one named */
    run_script(&read_first, mni_fault_env_base(env), check_temp_dir());
    CHECK_EQ(read_first.n_failed, 1 + 9);
    mni_fault_env_free(env);
}

static void a_lasting_fault_refuses_to_create_and_lets_open(void)
{
    struct mni_fault_env *env = new_env();
    const char *path = check_temp_dir();
    struct mni_dir *dir = NULL;
    struct mni_dir *inner = NULL;
    struct mni_file *file = NULL;

    CHECK_OK(mni_env_open_dir(mni_fault_env_base(env), path, false, &dir, &err));
    mni_fault_env_fail_at(env, 1, EROFS, true);
    CHECK_STATUS(mni_dir_sync(dir, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mni_dir_open_file(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err),
                 MN_ERR_READ_ONLY);
    CHECK_STR_HAS(err.message, "open a");
    CHECK_STATUS(mni_dir_open_dir(dir, "wal", true, &inner, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mni_dir_open_dir(dir, "wal", false, &inner, &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_open_file(dir, "a", MNI_OPEN_WRITE, &file, &err), MN_NOT_FOUND);
    mni_fault_env_fail_at(env, 0, 0, false);
    CHECK_OK(mni_dir_sync(dir, &err));
    CHECK(!mni_fault_env_was_hit(env));
    mni_dir_close(dir);
    mni_fault_env_free(env);
}

/* Torn writes ------------------------------------------------------------------------------------
 */

/* Fails a write of `n` bytes of 'N' at `offset` into `2 * n + offset` bytes of 'O', and returns how
 * many leading bytes are new. Checks that all others are not. */
static size_t n_new_after_failed_write(unsigned flags, bool is_durable, uint64_t offset, size_t n)
{
    struct mni_fault_env *env = new_env();
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;
    size_t n_all = (size_t)offset + 2 * n;
    char *data = aligned_alloc(BLOCK, (n_all + BLOCK - 1) / BLOCK * BLOCK);
    size_t n_read;

    CHECK(data != NULL);
    CHECK_OK(mni_env_open_dir(mni_fault_env_base(env), check_temp_dir(), false, &dir, &err));
    mn_status st =
        mni_dir_open_file(dir, "a", flags | MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err);
    CHECK_OK_ERR(st, &err);
    memset(data, 'O', n_all);
    CHECK_OK_ERR(mni_file_write(file, 0, data, n_all, &err), &err);
    memset(data, 'N', n);
    mni_fault_env_fail_at(env, 1, EIO, false);
    st = is_durable ? mni_file_write_durable(file, offset, data, n, &err)
                    : mni_file_write(file, offset, data, n, &err);
    CHECK_STATUS(st, MN_ERR_IO);
    CHECK_STR_HAS(err.message, "write a at ");
    CHECK_OK_ERR(mni_file_read(file, 0, data, n_all, &n_read, &err), &err);
    CHECK_EQ(n_read, n_all);
    size_t n_new = 0;
    while (offset + n_new < n_all && data[offset + n_new] == 'N')
        n_new++;
    for (size_t i = 0; i < n_all; i++)
        CHECK_EQ(data[i], i >= offset && i < offset + n_new ? 'N' : 'O');
    free(data);
    mni_file_close(file);
    mni_dir_close(dir);
    mni_fault_env_free(env);
    return n_new;
}

static void a_failed_write_has_written_half_of_its_sectors(void)
{
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(n_new_after_failed_write(0, i == 1, 0, 4096), 2048);
        CHECK_EQ(n_new_after_failed_write(0, i == 1, 100, 1000), 0);
        CHECK_EQ(n_new_after_failed_write(0, i == 1, 512, 1536), 512);
        CHECK_EQ(n_new_after_failed_write(0, i == 1, 0, 5000), 2048);
    }
}

static void a_failed_direct_write_is_torn_inside_a_block(void)
{
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;

    CHECK_OK(mni_env_open_dir(mni_posix_env(), check_temp_dir(), false, &dir, &err));
    mn_status st = mni_dir_open_file(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE | MNI_OPEN_DIRECT,
                                     &file, &err);
    mni_file_close(file);
    mni_dir_close(dir);
    if (st == MN_ERR_UNSUPPORTED) {
        printf("    skipped: torn direct writes: no direct transfers in this directory\n");
        return;
    }
    CHECK_OK_ERR(st, &err);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(n_new_after_failed_write(MNI_OPEN_DIRECT, i == 1, 0, BLOCK), BLOCK / 2);
        CHECK_EQ(n_new_after_failed_write(MNI_OPEN_DIRECT, i == 1, BLOCK, 2 * BLOCK), BLOCK);
        CHECK_EQ(n_new_after_failed_write(MNI_OPEN_DIRECT, i == 1, BLOCK, 3 * BLOCK),
                 BLOCK + BLOCK / 2);
    }
}

/* Statuses, memory, threads ----------------------------------------------------------------------
 */

static void statuses_are_those_of_the_real_env(void)
{
    struct mni_fault_env *env = new_env();
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;

    CHECK_OK(mni_env_open_dir(mni_fault_env_base(env), check_temp_dir(), false, &dir, &err));
    mni_fault_env_fail_at(env, 1, EWOULDBLOCK, false);
    CHECK_STATUS(mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, &err), MN_ERR_IN_USE);
    mni_fault_env_fail_at(env, 1, ENOLCK, false);
    CHECK_STATUS(mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, &err), MN_ERR_IO);
    CHECK_EQ(err.os_errno, ENOLCK);
    unsigned create = MNI_OPEN_WRITE | MNI_OPEN_CREATE;
    mni_fault_env_fail_at(env, 1, EINVAL, false);
    CHECK_STATUS(mni_dir_open_file(dir, "a", create | MNI_OPEN_DIRECT, &file, &err),
                 MN_ERR_UNSUPPORTED);
    CHECK_OK(mni_dir_open_file(dir, "a", create, &file, &err)); /* it was not made before */
    mni_fault_env_fail_at(env, 1, EOPNOTSUPP, false);
    CHECK_STATUS(mni_file_allocate(file, 4096, &err), MN_ERR_UNSUPPORTED);
    mni_file_close(file);
    mni_dir_close(dir);
    mni_fault_env_free(env);
}

static void its_memory_is_not_the_librarys(void)
{
    struct script plain = {0}, wrapped = {0};

    mni_mem_fail_at(0);
    run_script(&plain, mni_posix_env(), check_temp_dir());
    uint64_t n_plain = mni_mem_calls();
    mni_mem_fail_at(0);
    struct mni_fault_env *env = new_env();
    run_script(&wrapped, mni_fault_env_base(env), check_temp_dir());
    CHECK_EQ(mni_mem_calls(), n_plain);
    CHECK_EQ(plain.n_failed + wrapped.n_failed, 0);
    mni_fault_env_free(env);
}

static void clock_and_random_numbers_pass_and_do_not_count(void)
{
    struct mni_fault_env *fault = new_env();
    struct mni_env *env = mni_fault_env_base(fault);
    unsigned char data[16];

    mni_fault_env_fail_at(fault, 1, EIO, true);
    CHECK(mni_env_wall_us(env) > 0);
    CHECK(mni_env_mono_us(env) >= 0);
    CHECK_OK(mni_env_random(env, data, sizeof data, &err));
    CHECK(mni_env_has_threads(env));
    CHECK_EQ(mni_fault_env_n_calls(fault), 0);
    mni_fault_env_free(fault);
    mni_fault_env_free(NULL);
}

enum { N_THREADS = 4, N_CALLS_PER_THREAD = 25000 };

struct worker {
    struct mni_thread thread;
    struct mni_file *file;
    int n_failed;
};

/* The cheapest call there is, so that the counter is what the threads meet at. */
static void ask_sizes(void *context)
{
    struct worker *w = context;
    uint64_t n_bytes;

    for (int i = 0; i < N_CALLS_PER_THREAD; i++)
        w->n_failed += mni_file_size(w->file, &n_bytes, NULL) == MN_ERR_IO;
}

static void of_many_threads_one_call_fails(void)
{
    struct mni_fault_env *env = new_env();
    struct mni_dir *dir = NULL;
    struct worker workers[N_THREADS] = {0};
    char name[2] = "a";
    int n_failed = 0;

    CHECK_OK(mni_env_open_dir(mni_fault_env_base(env), check_temp_dir(), false, &dir, &err));
    for (size_t i = 0; i < N_THREADS; i++) {
        name[0] = (char)('a' + i);
        mn_status st =
            mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &workers[i].file, &err);
        CHECK_OK_ERR(st, &err);
    }
    mni_fault_env_fail_at(env, 12345, EIO, false);
    for (size_t i = 0; i < N_THREADS; i++)
        CHECK_OK(mni_thread_start(&workers[i].thread, ask_sizes, &workers[i], &err));
    for (size_t i = 0; i < N_THREADS; i++) {
        mni_thread_join(&workers[i].thread);
        mni_file_close(workers[i].file);
        n_failed += workers[i].n_failed;
    }
    CHECK_EQ(n_failed, 1);
    CHECK_EQ(mni_fault_env_n_calls(env), N_THREADS * N_CALLS_PER_THREAD);
    CHECK(mni_fault_env_was_hit(env));
    mni_dir_close(dir);
    mni_fault_env_free(env);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_call_fails_once_with_the_errno_asked_for),
        CHECK_TEST(one_fault_leaves_the_calls_after_it_alone),
        CHECK_TEST(a_lasting_fault_spares_what_only_reads),
        CHECK_TEST(a_lasting_fault_refuses_to_create_and_lets_open),
        CHECK_TEST(a_failed_write_has_written_half_of_its_sectors),
        CHECK_TEST(a_failed_direct_write_is_torn_inside_a_block),
        CHECK_TEST(statuses_are_those_of_the_real_env),
        CHECK_TEST(its_memory_is_not_the_librarys),
        CHECK_TEST(clock_and_random_numbers_pass_and_do_not_count),
        CHECK_TEST(of_many_threads_one_call_fails),
    };
    return check_run("io.fault", tests, CHECK_COUNT(tests), argc, argv);
}
