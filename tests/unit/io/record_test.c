/* Tests of the recording env, on real directories. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/fault.h"
#include "io/posix.h"
#include "io/record.h"
#include "io/thread.h"

static struct mn_error err;

static mn_status ignore_entry(void *context, const char *name, bool is_dir, struct mn_error *error)
{
    (void)context;
    (void)name;
    (void)is_dir;
    (void)error;
    return MN_OK;
}

static struct mni_record_env *new_env(struct mni_env *below)
{
    struct mni_record_env *env = NULL;
    CHECK_OK(mni_record_env_new(below, &env));
    CHECK_STR_EQ(mni_record_env_trace(env), "");
    return env;
}

/* A directory "store" in a new place. */
static struct mni_dir *open_store(struct mni_record_env *env)
{
    struct mni_dir *dir = NULL;
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/store", check_temp_dir());
    CHECK_OK_ERR(mni_env_open_dir(mni_record_env_base(env), path, true, &dir, &err), &err);
    return dir;
}

static void every_call_has_its_line_in_order(void)
{
    struct mni_record_env *env = new_env(mni_posix_env());
    struct mni_dir *dir = open_store(env);
    struct mni_dir *inner = NULL;
    struct mni_dir *empty = NULL;
    struct mni_file *file = NULL;
    struct mni_map *map = NULL;
    char data[100] = {0};
    size_t n_read;
    uint64_t n_bytes = 0;

    CHECK_OK(mni_dir_lock(dir, MNI_LOCK_SHARED, &err));
    CHECK_OK(mni_dir_open_dir(dir, "wal", true, &inner, &err));
    CHECK_OK(mni_dir_sync(dir, &err));
    CHECK_OK(mni_dir_open_file(inner, "1.wal", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err));
    CHECK_OK(mni_file_allocate(file, 8192, &err));
    CHECK_OK(mni_file_write(file, 4096, data, 100, &err));
    CHECK_OK(mni_file_sync(file, &err));
    CHECK_OK(mni_file_write_durable(file, 0, data, 10, &err));
    CHECK_OK(mni_file_read(file, 8190, data, 100, &n_read, &err));
    CHECK_EQ(n_read, 2);
    CHECK_OK(mni_file_truncate(file, 5, &err));
    CHECK_OK(mni_file_size(file, &n_bytes, &err));
    CHECK_EQ(n_bytes, 5);
    CHECK_OK(mni_file_map(file, &map, &err));
    CHECK_MEM_EQ(map->bytes, data, 5);
    mni_file_close(file);
    mni_map_will_read(map, 1, 4);
    mni_map_close(map);
    CHECK_OK(mni_dir_rename(inner, "1.wal", "2.wal", &err));
    CHECK_OK(mni_dir_list(inner, ignore_entry, NULL, &err));
    CHECK_OK(mni_dir_link(dir, "3.wal", inner, "2.wal", &err));
    CHECK_OK(mni_dir_unlink(inner, "2.wal", &err));
    CHECK_OK(mni_dir_open_dir(dir, "empty", true, &empty, &err));
    CHECK_OK(mni_dir_lock(empty, MNI_LOCK_EXCLUSIVE, &err));
    CHECK_OK(mni_dir_move(inner, "4.wal", dir, "3.wal", &err));
    CHECK_OK(mni_dir_remove_dir(dir, "empty", &err));
    mni_dir_close(empty);
    mni_dir_close(inner);
    mni_dir_close(dir);
    CHECK_STR_EQ(mni_record_env_trace(env), "open_dir store create ok\n"
                                            "lock store shared ok\n"
                                            "open_dir wal create ok\n"
                                            "sync_dir store ok\n"
                                            "open 1.wal write create ok\n"
                                            "allocate 1.wal 8192 ok\n"
                                            "write 1.wal 4096 100 ok\n"
                                            "sync 1.wal ok\n"
                                            "write_durable 1.wal 0 10 ok\n"
                                            "read 1.wal 8190 100 ok\n"
                                            "truncate 1.wal 5 ok\n"
                                            "size 1.wal ok\n"
                                            "map 1.wal ok\n"
                                            "close 1.wal ok\n"
                                            "will_read 1.wal 1 4 ok\n"
                                            "unmap 1.wal ok\n"
                                            "rename 1.wal 2.wal ok\n"
                                            "list wal ok\n"
                                            "link 3.wal from 2.wal ok\n"
                                            "unlink 2.wal ok\n"
                                            "open_dir empty create ok\n"
                                            "lock empty exclusive ok\n"
                                            "move 4.wal from 3.wal ok\n"
                                            "remove_dir empty ok\n"
                                            "close_dir empty ok\n"
                                            "close_dir wal ok\n"
                                            "close_dir store ok\n");
    mni_record_env_free(env);
}

static void a_failed_call_carries_its_status_and_opens_nothing(void)
{
    struct mni_fault_env *fault = NULL;
    CHECK_OK(mni_fault_env_new(mni_posix_env(), &fault));
    struct mni_record_env *env = new_env(mni_fault_env_base(fault));
    struct mni_dir *dir = open_store(env);
    struct mni_dir *inner = NULL;
    struct mni_file *file = NULL;

    mni_record_env_reset(env);
    CHECK_STR_EQ(mni_record_env_trace(env), "");
    mni_fault_env_fail_at(fault, 3, ENOSPC, false);
    CHECK_STATUS(mni_dir_open_file(dir, "a", MNI_OPEN_READ | MNI_OPEN_DIRECT, &file, &err),
                 MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_open_dir(dir, "wal", false, &inner, &err), MN_NOT_FOUND);
    CHECK(file == NULL && inner == NULL);
    CHECK_STATUS(mni_dir_sync(dir, &err), MN_ERR_NO_SPACE);
    CHECK_EQ(err.os_errno, ENOSPC);
    CHECK_STR_EQ(mni_record_env_trace(env), "open a direct MN_NOT_FOUND\n"
                                            "open_dir wal MN_NOT_FOUND\n"
                                            "sync_dir store MN_ERR_NO_SPACE\n");
    mni_dir_close(dir);
    mni_record_env_free(env);
    mni_fault_env_free(fault);
}

static void its_memory_is_not_the_librarys(void)
{
    mni_mem_fail_at(0);
    struct mni_dir *dir = NULL;
    CHECK_OK(mni_env_open_dir(mni_posix_env(), check_temp_dir(), true, &dir, &err));
    mni_dir_close(dir);
    uint64_t n_plain = mni_mem_calls();

    mni_mem_fail_at(0);
    struct mni_record_env *env = new_env(mni_posix_env());
    mni_dir_close(open_store(env));
    CHECK_EQ(mni_mem_calls(), n_plain);
    mni_record_env_free(env);
}

static void clock_and_random_numbers_pass_unrecorded(void)
{
    struct mni_record_env *record = new_env(mni_posix_env());
    struct mni_env *env = mni_record_env_base(record);
    unsigned char data[16];

    CHECK(mni_env_wall_us(env) > 0);
    CHECK(mni_env_mono_us(env) >= 0);
    CHECK_OK(mni_env_random(env, data, sizeof data, &err));
    CHECK(mni_env_has_threads(env));
    CHECK_STR_EQ(mni_record_env_trace(record), "");
    mni_record_env_free(record);
    mni_record_env_free(NULL);
}

enum { N_THREADS = 4, N_WRITES = 1000 };

struct worker {
    struct mni_thread thread;
    struct mni_file *file;
    int n_failed;
};

static void write_often(void *context)
{
    struct worker *w = context;

    for (uint64_t i = 0; i < N_WRITES; i++)
        w->n_failed += mni_file_write(w->file, i, "x", 1, NULL) != MN_OK;
}

/* Each thread has its own file: within one, the lines come in the order of the calls. */
static void lines_of_many_threads_are_whole_and_in_order(void)
{
    struct mni_record_env *env = new_env(mni_posix_env());
    struct mni_dir *dir = open_store(env);
    struct worker workers[N_THREADS] = {0};
    unsigned next[N_THREADS] = {0};
    char name[2] = "a";

    for (size_t i = 0; i < N_THREADS; i++) {
        name[0] = (char)('a' + i);
        mn_status st =
            mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &workers[i].file, &err);
        CHECK_OK_ERR(st, &err);
    }
    mni_record_env_reset(env);
    for (size_t i = 0; i < N_THREADS; i++)
        CHECK_OK(mni_thread_start(&workers[i].thread, write_often, &workers[i], &err));
    for (size_t i = 0; i < N_THREADS; i++)
        mni_thread_join(&workers[i].thread);

    unsigned n_lines = 0;
    for (const char *line = mni_record_env_trace(env); *line != '\0'; n_lines++) {
        char file;
        unsigned offset;
        int n_chars = 0;
        CHECK_EQ(sscanf(line, "write %c %u 1 ok%n", &file, &offset, &n_chars), 2);
        CHECK(file >= 'a' && file < 'a' + N_THREADS);
        CHECK_EQ(offset, next[file - 'a']++);
        CHECK_EQ(line[n_chars], '\n');
        line += n_chars + 1;
    }
    CHECK_EQ(n_lines, N_THREADS * N_WRITES);
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_EQ(workers[i].n_failed, 0);
        mni_file_close(workers[i].file);
    }
    mni_dir_close(dir);
    mni_record_env_free(env);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_call_has_its_line_in_order),
        CHECK_TEST(a_failed_call_carries_its_status_and_opens_nothing),
        CHECK_TEST(its_memory_is_not_the_librarys),
        CHECK_TEST(clock_and_random_numbers_pass_unrecorded),
        CHECK_TEST(lines_of_many_threads_are_whole_and_in_order),
    };
    return check_run("io.record", tests, CHECK_COUNT(tests), argc, argv);
}
