/* Tests of a store's files: what opening leaves alone, and what is counted. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../api/short.h"

enum { PATH_BYTES = 600, N_NAMESPACES = 200 };

static struct mn_error err;

static const char *path_of(const char *base, const char *name, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/%s", base, name);
    return path;
}

static bool exists(const char *base, const char *name)
{
    char path[PATH_BYTES];
    struct stat s;

    return stat(path_of(base, name, path), &s) == 0;
}

static void make_file(const char *base, const char *name)
{
    char path[PATH_BYTES];
    FILE *f = fopen(path_of(base, name, path), "wb");

    CHECK(f != NULL && fclose(f) == 0);
}

/* Visits the files of a directory whose names begin so. */
static uint64_t for_each(const char *base, const char *folder, const char *prefix,
                         uint64_t (*each)(const char *path))
{
    char dir[PATH_BYTES];
    char path[PATH_BYTES * 2];
    uint64_t sum = 0;
    DIR *d = opendir(path_of(base, folder, dir));

    CHECK(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        sum += each(path);
    }
    CHECK(closedir(d) == 0);
    return sum;
}

static uint64_t size_of(const char *path)
{
    struct stat s;

    CHECK(stat(path, &s) == 0);
    return (uint64_t)s.st_size;
}

static uint64_t inode_and_times(const char *path)
{
    struct stat s;

    CHECK(stat(path, &s) == 0);
    return (uint64_t)s.st_ino * 31 + (uint64_t)s.st_mtim.tv_nsec + (uint64_t)s.st_size;
}

static uint64_t remove_it(const char *path)
{
    CHECK(unlink(path) == 0);
    return 1;
}

static mn_store *store_with_a_checkpoint(const char *path)
{
    mn_store *store = opened(path);

    for (int i = 0; i < 10; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "%d", i);
        (void)put(store, mn_str("n"), mn_str(id), "payload");
    }
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    return store;
}

static void a_store_without_its_manifest_is_refused_as_it_is(void)
{
    char path[PATH_BYTES];
    mn_store *store = store_with_a_checkpoint(path_of(check_temp_dir(), "s", path));

    (void)put(store, mn_str("n"), mn_str("later"), "payload");
    mni_api_store_abandon(store); /* its log is not closed: opening writes its tail anew */
    CHECK(for_each(path, ".", "MANIFEST-", remove_it) > 0);
    uint64_t before = for_each(path, "wal", "", inode_and_times);
    CHECK_STATUS(try_open(path, false, false, &err), MN_ERR_CORRUPT);
    CHECK_EQ(for_each(path, "wal", "", inode_and_times), before);
}

static void only_orphans_are_removed(void)
{
    static const char *const foreign[] = {"seg/notes.txt", "seg/backup.seg",
                                          "seg/0123456789abcdef0123456789ABCDEF.seg"};
    static const char *const orphans[] = {"seg/0123456789abcdef0123456789abcdef.seg",
                                          "seg/0123456789abcdef0123456789abcdef.7.live"};
    char path[PATH_BYTES];
    mn_store *store = store_with_a_checkpoint(path_of(check_temp_dir(), "s", path));

    closed(store);
    for (size_t i = 0; i < CHECK_COUNT(foreign); i++)
        make_file(path, foreign[i]);
    for (size_t i = 0; i < CHECK_COUNT(orphans); i++)
        make_file(path, orphans[i]);
    store = opened(path);
    (void)put(store, mn_str("n"), mn_str("later"), "payload");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    closed(store);
    for (size_t i = 0; i < CHECK_COUNT(foreign); i++)
        CHECK(exists(path, foreign[i]));
    for (size_t i = 0; i < CHECK_COUNT(orphans); i++)
        CHECK(!exists(path, orphans[i]));
}

static void the_bytes_of_all_files_of_segments_are_counted(void)
{
    char path[PATH_BYTES];
    mn_store *store = store_with_a_checkpoint(path_of(check_temp_dir(), "s", path));

    CHECK_EQ(stats_of(store).segment_bytes, for_each(path, "seg", "", size_of));
    CHECK_OK(mn_delete(store, mn_str("n"), mn_str("1"), NULL, NULL, NULL, &err));
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    uint64_t n = for_each(path, "seg", "", size_of);
    CHECK_EQ(stats_of(store).segment_bytes, n);
    closed(store);
    store = opened(path);
    CHECK_EQ(stats_of(store).segment_bytes, n);
    closed(store);
}

static void a_transaction_may_write_to_many_namespaces(void)
{
    struct mn_record record = {.payload = mn_str("payload")};
    char path[PATH_BYTES];
    mn_store *store = opened(path_of(check_temp_dir(), "s", path));
    mn_txn *txn = NULL;
    char name[16];

    CHECK_OK_ERR(mn_txn_begin(store, &txn, &err), &err);
    for (int i = 0; i < 3 * N_NAMESPACES; i++) {
        (void)snprintf(name, sizeof name, "n%d", i % N_NAMESPACES);
        record.id = mn_str(i < 2 * N_NAMESPACES ? "a" : "b");
        CHECK_OK_ERR(mn_txn_put(txn, mn_str(name), &record, &err), &err);
    }
    CHECK_OK_ERR(mn_txn_commit(txn, NULL, NULL, &err), &err);
    CHECK_EQ(stats_of(store).n_namespaces, N_NAMESPACES);
    for (int i = 0; i < N_NAMESPACES; i++) {
        uint64_t n = 0;
        (void)snprintf(name, sizeof name, "n%d", i);
        CHECK_OK(mn_count(store, mn_str(name), &n, &err));
        CHECK_EQ(n, 2);
    }
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_store_without_its_manifest_is_refused_as_it_is),
        CHECK_TEST(only_orphans_are_removed),
        CHECK_TEST(the_bytes_of_all_files_of_segments_are_counted),
        CHECK_TEST(a_transaction_may_write_to_many_namespaces),
    };

    return check_run("engine.files", tests, CHECK_COUNT(tests), argc, argv);
}
