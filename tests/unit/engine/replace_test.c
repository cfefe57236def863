/* Tests of restores in place of a store that is damaged, full, or of another past. */
#include "snapshot_fixture.h"

/* The log, or the manifest. */
static void a_damaged_store_is_replaced(void)
{
    static const char *const files[] = {"wal/00000000000000000001.wal",
                                        "MANIFEST-00000000000000000002"};

    for (size_t i = 0; i < CHECK_COUNT(files); i++) {
        struct place p = new_place();
        mn_store *store = opened(p.store);
        struct mn_snapshot_info info;
        char path[700];
        (void)put(store, mn_str("a"), mn_str("1"), "old");
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        (void)put(store, mn_str("a"), mn_str("2"), "old");
        create(store, NULL, &info);
        uint64_t newest = put(store, mn_str("a"), mn_str("1"), "new");
        closed(store);
        (void)snprintf(path, sizeof path, "%s/%s", p.store, files[i]);
        overwrite(path);
        CHECK_STATUS(try_open(p.store, false, false, &err), MN_ERR_CORRUPT);
        (void)restored(p.store, info.id, (struct mn_restore_options){.replace = p.store});
        store = opened(p.store);
        CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
        CHECK_EQ(count(store, "a"), 2);
        CHECK(put(store, mn_str("a"), mn_str("3"), "x") > newest);
        closed(store);
    }
}

struct names {
    char of[64][64];
    size_t n;
};

static int compare_names(const void *one, const void *other)
{
    return strcmp(one, other);
}

static struct names names_in(const char *store, const char *sub)
{
    struct names names = {.n = 0};
    char path[700];

    (void)snprintf(path, sizeof path, "%s/%s", store, sub);
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        CHECK(names.n < CHECK_COUNT(names.of));
        (void)snprintf(names.of[names.n++], sizeof names.of[0], "%.63s", e->d_name);
    }
    CHECK_EQ(closedir(dir), 0);
    qsort(names.of, names.n, sizeof names.of[0], compare_names);
    return names;
}

/* Removes what begins so. */
static void remove_all(const char *store, const char *prefix)
{
    const struct names names = names_in(store, ".");
    char path[700];

    for (size_t i = 0; i < names.n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", store, names.of[i]);
        if (strncmp(names.of[i], prefix, strlen(prefix)) == 0)
            CHECK_EQ(unlink(path), 0);
    }
}

static mn_status stop_at_call(void *context, uint64_t n_done, uint64_t n_total)
{
    int *n_left = context;

    (void)n_done;
    (void)n_total;
    return --*n_left == 0 ? MN_ERR_CANCELLED : MN_OK;
}

static void copy_file(const char *from, const char *to)
{
    char command[1500];

    (void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    CHECK_EQ(system(command), 0); /* NOLINT(cert-env33-c): paths of the test's own */
}

/* All that a salvage could read is there after a restore that did not come to its end. */
static void without_a_root_nothing_is_removed_before_the_end(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_restore_report report;
    struct mn_snapshot_info info;
    int n_calls = 0;

    (void)put(store, mn_str("a"), mn_str("1"), "old");
    (void)put(store, mn_str("a"), mn_str("2"), "old");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("2"), NULL, NULL, NULL, &err));
    create(store, NULL, &info);
    (void)put(store, mn_str("b"), mn_str("1"), "new");
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("1"), NULL, NULL, NULL, &err));
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    closed(store);
    remove_all(p.store, "MANIFEST");
    const struct names before = names_in(p.store, "seg");
    CHECK(before.n >= 2);
    mn_status st = MN_ERR_CANCELLED;
    while (st == MN_ERR_CANCELLED) {
        int n_left = ++n_calls;
        st = try_restore(p.store, info.id,
                         (struct mn_restore_options){
                             .replace = p.store, .progress = stop_at_call, .context = &n_left},
                         &report);
        if (st == MN_OK)
            break;
        CHECK_STATUS(st, MN_ERR_CANCELLED);
        const struct names after = names_in(p.store, "seg");
        CHECK_EQ(after.n, before.n);
        CHECK_MEM_EQ(after.of, before.of, before.n * sizeof before.of[0]);
    }
    CHECK_OK_ERR(st, &err);
    CHECK(n_calls > 3);
    store = opened(p.store);
    CHECK_EQ(count(store, "a"), 1);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
    closed(store);
}

/* A copy of the store that went another way has another liveness file of this name. */
static void without_a_root_other_liveness_stays(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_restore_report report;
    struct mn_snapshot_info info;
    char live[900];
    char moved[700];
    struct stat stat_before;
    struct stat stat_after;

    (void)put(store, mn_str("a"), mn_str("1"), "old");
    (void)put(store, mn_str("a"), mn_str("2"), "old");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK(mn_delete(store, mn_str("a"), mn_str("2"), NULL, NULL, NULL, &err));
    create(store, NULL, &info);
    closed(store);
    const struct names names = names_in(p.store, "seg");
    live[0] = '\0';
    for (size_t i = 0; i < names.n; i++)
        if (strstr(names.of[i], ".live") != NULL)
            (void)snprintf(live, sizeof live, "%s/seg/%s", p.store, names.of[i]);
    CHECK(live[0] != '\0');
    (void)snprintf(moved, sizeof moved, "%s/moved", p.dir);
    copy_file(live, moved);
    CHECK_EQ(unlink(live), 0); /* the snapshot has it under another name */
    overwrite(moved);
    CHECK_EQ(rename(moved, live), 0);
    CHECK_EQ(stat(live, &stat_before), 0);
    remove_all(p.store, "MANIFEST");
    CHECK_STATUS(
        try_restore(p.store, info.id, (struct mn_restore_options){.replace = p.store}, &report),
        MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "new directory");
    CHECK_EQ(stat(live, &stat_after), 0);
    CHECK_EQ(stat_before.st_ino, stat_after.st_ino);
    (void)restored(p.store, info.id, (struct mn_restore_options){.into = p.other});
}

/* Gives the files of one directory names in another one, which is made, or emptied, for it. */
static void link_all(const char *from, const char *to)
{
    const char *dirs[] = {to, from};

    CHECK(mkdir(to, 0700) == 0 || errno == EEXIST);
    for (int i = 0; i < 2; i++) {
        DIR *dir = opendir(dirs[i]);
        CHECK(dir != NULL);
        for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
            char name[800];
            char other[800];
            if (e->d_name[0] == '.')
                continue;
            (void)snprintf(name, sizeof name, "%s/%.255s", to, e->d_name);
            (void)snprintf(other, sizeof other, "%s/%.255s", from, e->d_name);
            CHECK_EQ(i == 0 ? unlink(name) : link(other, name), 0);
        }
        CHECK_EQ(closedir(dir), 0);
    }
}

/* A restore that was cut off before the log began anew leaves the one of before. */
static void the_log_of_a_past_that_was_left_does_not_count(void)
{
    struct place p = new_place();
    mn_store *store = opened(p.store);
    struct mn_snapshot_info info;
    char log[600];
    char before[600];

    (void)snprintf(log, sizeof log, "%s/wal", p.store);
    (void)snprintf(before, sizeof before, "%s/before", p.dir);
    (void)put(store, mn_str("a"), mn_str("1"), "old");
    create(store, NULL, &info);
    (void)put(store, mn_str("a"), mn_str("1"), "new");
    uint64_t newest = put(store, mn_str("a"), mn_str("2"), "new");
    closed(store);
    link_all(log, before);
    (void)restored(p.store, info.id, (struct mn_restore_options){.replace = p.store});
    link_all(before, log);
    struct mn_verify_report verified = {.size = sizeof verified};
    CHECK_OK_ERR(mn_verify(p.store, &verified, &err), &err);
    CHECK_OK_ERR(try_open(p.store, false, true, &err), &err);
    /* Also what salvage takes of all that the log has. */
    struct mn_salvage_report salvaged = {.size = sizeof salvaged};
    DIR *dir = NULL;
    char segments[600];
    (void)snprintf(segments, sizeof segments, "%s/seg", p.store);
    CHECK((dir = opendir(segments)) != NULL);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char name[900];
        (void)snprintf(name, sizeof name, "%s/%.255s", segments, e->d_name);
        if (strstr(e->d_name, ".seg") != NULL)
            CHECK_EQ(unlink(name), 0);
    }
    CHECK_EQ(closedir(dir), 0);
    CHECK_OK_ERR(mn_salvage(p.store, p.other, NULL, &salvaged, &err), &err);
    CHECK(salvaged.n_damages > 0);
    CHECK_EQ(salvaged.n_records, 0);
    /* And it goes on, above. */
    (void)restored(p.store, info.id, (struct mn_restore_options){.replace = p.store});
    store = opened(p.store);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
    CHECK_EQ(count(store, "a"), 1);
    CHECK(put(store, mn_str("a"), mn_str("2"), "x") > newest);
    closed(store);
}

static void fill_up(const char *path)
{
    static const char zeroes[4096];
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL);
    CHECK_EQ(setvbuf(file, NULL, _IONBF, 0), 0);
    while (fwrite(zeroes, sizeof zeroes, 1, file) == 1)
        continue;
    CHECK_EQ(errno, ENOSPC);
    CHECK_EQ(fclose(file), 0);
}

/* The reserve is for what is written of the store that goes. */
static void a_store_on_a_full_disk_is_replaced(void)
{
    char disk[512];
    char path[600];
    char ballast[600];
    struct mn_snapshot_info info;
    struct stat reserve;
    char reserve_path[700];

    (void)snprintf(disk, sizeof disk, "%s/disk", check_temp_dir());
    (void)snprintf(path, sizeof path, "%s/store", disk);
    (void)snprintf(ballast, sizeof ballast, "%s/ballast", disk);
    (void)snprintf(reserve_path, sizeof reserve_path, "%s/RESERVE", path);
    CHECK_EQ(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=32m") != 0)
        check_skip("this process may not mount a disk");
    mn_store *store = opened(path);
    (void)put(store, mn_str("a"), mn_str("1"), "old");
    create(store, NULL, &info);
    (void)put(store, mn_str("a"), mn_str("1"), "new");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    (void)put(store, mn_str("a"), mn_str("2"), "new");
    closed(store);
    CHECK_EQ(stat(reserve_path, &reserve), 0);
    fill_up(ballast);
    (void)restored(path, info.id, (struct mn_restore_options){.replace = path});
    CHECK(stat(reserve_path, &reserve) != 0);
    store = opened(path);
    CHECK(holds(store, mn_str("a"), mn_str("1"), "old"));
    CHECK_EQ(count(store, "a"), 1);
    closed(store);
    CHECK_EQ(umount(disk), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_damaged_store_is_replaced),
        CHECK_TEST(without_a_root_nothing_is_removed_before_the_end),
        CHECK_TEST(without_a_root_other_liveness_stays),
        CHECK_TEST(the_log_of_a_past_that_was_left_does_not_count),
        CHECK_TEST(a_store_on_a_full_disk_is_replaced),
    };

    return check_run("engine.replace", tests, CHECK_COUNT(tests), argc, argv);
}
