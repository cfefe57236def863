/*
 * diskcache_damage_test.c - whatever happens to the files of a disk cache: what is got is what was
 * put, or nothing; calls go on working; nothing crashes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/bytes.h"
#include "diskcache/kit.h"

enum { N_IDS = 60, VALUE_BYTES = 500, MAX_BYTES = 4 << 20, FILES_MAX = 32, DENSE_BYTES = 400 };

/* A cache that was closed, as bytes. */
struct file {
    char name[64]; /* from the cache's directory on */
    unsigned char *bytes;
    size_t n_bytes;
};

static struct file files[FILES_MAX];
static size_t n_files;

static size_t make_value(unsigned char *value, uint64_t id, uint64_t turn)
{
    uint64_t state = id * 1000003 + turn;
    size_t n = 8 + id % VALUE_BYTES;

    for (size_t i = 0; i < n; i++)
        value[i] = (unsigned char)check_random(&state);
    return n;
}

static const char *id_text(uint64_t id)
{
    static char text[16];

    (void)snprintf(text, sizeof text, "id%d", (int)id);
    return text;
}

static bool put_id(mn_diskcache *cache, uint64_t id, uint64_t turn)
{
    unsigned char value[VALUE_BYTES + 8];

    return kit_put_bytes(cache, "space", id_text(id), value, make_value(value, id, turn));
}

/* How many of the ids have their value of this turn; no other value is ever right. */
static uint64_t count_right(mn_diskcache *cache, uint64_t turn)
{
    uint64_t n_right = 0;

    for (uint64_t id = 0; id < N_IDS; id++) {
        unsigned char value[VALUE_BYTES + 8];
        size_t n = make_value(value, id, turn);
        struct mn_diskcache_value got;
        mn_status st = mn_diskcache_get(cache, mn_str("space"), mn_str(id_text(id)), &got, NULL);
        CHECK(st == MN_OK || st == MN_NOT_FOUND);
        if (st != MN_OK)
            continue;
        CHECK_EQ(got.value.n_bytes, n);
        CHECK_MEM_EQ(got.value.data, value, n);
        mn_diskcache_value_release(&got);
        n_right++;
    }
    return n_right;
}

static void read_file(const char *path, const char *name)
{
    struct file *f = &files[n_files++];
    FILE *stream = fopen(kit_path(path, name), "rb");
    struct stat st;

    CHECK(stream != NULL);
    CHECK(n_files <= FILES_MAX);
    CHECK_EQ(fstat(fileno(stream), &st), 0);
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    f->n_bytes = (size_t)st.st_size;
    f->bytes = malloc(f->n_bytes + 1);
    CHECK_EQ(fread(f->bytes, 1, f->n_bytes, stream), f->n_bytes);
    CHECK_EQ(fclose(stream), 0);
}

static void read_files(const char *path)
{
    DIR *dir = opendir(kit_path(path, "mneme-cache.db"));

    CHECK(dir != NULL);
    read_file(path, "mneme-cache.seal");
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        if (e->d_name[0] != '.')
            read_file(path, kit_path("mneme-cache.db", e->d_name));
    CHECK_EQ(closedir(dir), 0);
}

/* Makes the cache once: two files of values, one of which was not the last. */
static void make_files(void)
{
    const char *path = kit_place("cache");

    if (n_files > 0)
        return;
    mn_diskcache *cache = kit_open(path, MAX_BYTES);
    for (uint64_t id = 0; id < N_IDS; id++) {
        CHECK(put_id(cache, id, 1));
        if (id == N_IDS / 2)
            CHECK_OK(mn_diskcache_flush(cache, NULL, NULL));
    }
    kit_close(cache);
    read_files(path);
}

static void write_file(const char *path, const struct file *f, size_t n_bytes)
{
    int fd = open(kit_path(path, f->name), O_CREAT | O_WRONLY | O_TRUNC, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, f->bytes, n_bytes), n_bytes);
    CHECK_EQ(close(fd), 0);
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);

    if (dir == NULL)
        return;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char below[1024];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        if (unlink(below) != 0)
            remove_tree(below);
    }
    CHECK_EQ(closedir(dir), 0);
    CHECK_EQ(rmdir(path), 0);
}

/* The cache as it was closed; `skip` is left out. */
static void lay_out(const char *path, const struct file *skip)
{
    remove_tree(path);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(mkdir(kit_path(path, "mneme-cache.db"), 0700), 0);
    for (size_t i = 0; i < n_files; i++)
        if (&files[i] != skip)
            write_file(path, &files[i], files[i].n_bytes);
}

static void check_works(mn_diskcache *cache)
{
    for (uint64_t id = 0; id < N_IDS; id += 7)
        CHECK(put_id(cache, id, 1));
    CHECK(count_right(cache, 1) >= N_IDS / 7);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK(kit_adds_up(&s));
    CHECK(!s.is_off);
}

/* Returns whether it was rebuilt, or something else was lost. */
static bool open_damaged(const char *path)
{
    char note[MN_ERROR_MESSAGE_BYTES];
    mn_diskcache *cache = kit_open(path, MAX_BYTES);
    uint64_t n_right = count_right(cache, 1);
    struct mn_diskcache_stats s = kit_stats(cache);

    CHECK_OK(mn_diskcache_note(cache, note, NULL));
    CHECK_EQ(note[0] != '\0', n_right < N_IDS);
    CHECK_EQ(s.n_rebuilds > 0 || s.n_errors > 0, n_right < N_IDS);
    CHECK(s.n_rebuilds == 0 || n_right == 0);
    check_works(cache);
    kit_close(cache);
    CHECK(kit_weigh(path) <= MAX_BYTES);
    return n_right < N_IDS;
}

/* RocksDB reads these; the others it only writes. */
static bool matters(const struct file *f)
{
    return strstr(f->name, ".sst") != NULL || strstr(f->name, "MANIFEST") != NULL ||
           strstr(f->name, "CURRENT") != NULL || strstr(f->name, ".seal") != NULL;
}

static void every_file_may_be_missing(void)
{
    const char *path = kit_place("cache");

    make_files();
    lay_out(path, NULL);
    CHECK(!open_damaged(path));
    for (size_t i = 0; i < n_files; i++) {
        lay_out(path, &files[i]);
        CHECK_EQ(open_damaged(path), matters(&files[i]));
    }
    lay_out(path, NULL);
    char rocks[600];
    (void)snprintf(rocks, sizeof rocks, "%s/mneme-cache.db", path);
    remove_tree(rocks);
    CHECK(open_damaged(path));
}

/* Every length of a short file; of a longer one those near its ends, and some between. */
static void every_file_may_be_cut(void)
{
    const char *path = kit_place("cache");
    uint64_t seed = check_seed();

    make_files();
    for (size_t i = 0; i < n_files; i++) {
        const struct file *f = &files[i];
        size_t n_step = matters(f) ? 1 : 997;
        for (size_t n = 0; n < f->n_bytes; n += n_step) {
            if (n >= DENSE_BYTES / 2 && n + DENSE_BYTES / 2 < f->n_bytes &&
                f->n_bytes > DENSE_BYTES)
                n += 1 + check_below(&seed, f->n_bytes / 8);
            if (n >= f->n_bytes)
                break;
            lay_out(path, NULL);
            write_file(path, f, n);
            CHECK_EQ(open_damaged(path), matters(f));
        }
    }
}

/* A seal that has grown to more than memory could hold. */
static void a_seal_may_be_of_any_length(void)
{
    const char *path = kit_place("cache");

    make_files();
    lay_out(path, NULL);
    if (truncate(kit_path(path, "mneme-cache.seal"), (off_t)1 << 40) != 0)
        check_skip("the file system has no files of a terabyte");
    mn_diskcache *cache = kit_open(path, MAX_BYTES);
    char note[MN_ERROR_MESSAGE_BYTES];
    CHECK_OK(mn_diskcache_note(cache, note, NULL));
    CHECK_STR_HAS(note, "its length is wrong");
    check_works(cache);
    kit_close(cache);
}

static void any_bit_may_be_wrong(void)
{
    const char *path = kit_place("cache");
    uint64_t seed = check_seed();
    int n_lost = 0;

    make_files();
    for (int i = 0; i < 300; i++) {
        struct file *f = &files[check_below(&seed, n_files)];
        if (f->n_bytes == 0)
            continue;
        size_t at = check_below(&seed, f->n_bytes);
        unsigned char bit = (unsigned char)(1 << check_below(&seed, 8));
        f->bytes[at] ^= bit;
        lay_out(path, NULL);
        n_lost += open_damaged(path);
        f->bytes[at] ^= bit;
    }
    CHECK(n_lost > 20);
}

/* Files of another cache that was sealed as well. */
static void a_manifest_that_is_not_the_sealed_one_means_rebuild(void)
{
    const char *path = kit_place("cache");

    make_files();
    lay_out(path, NULL);
    mn_diskcache *cache = kit_open(path, MAX_BYTES);
    CHECK(put_id(cache, 0, 2));
    kit_close(cache);
    /* The old seal beside the new files. */
    write_file(path, &files[0], files[0].n_bytes);
    CHECK_STR_EQ(files[0].name, "mneme-cache.seal");
    CHECK(open_damaged(path));
}

/* Under an open cache ----------*/

static void files_may_change_under_an_open_cache(void)
{
    const char *path = kit_place("cache");
    uint64_t seed = check_seed();

    make_files();
    for (int i = 0; i < 40; i++) {
        lay_out(path, NULL);
        mn_diskcache *cache = kit_open(path, MAX_BYTES);
        for (size_t k = 0; k < n_files; k++)
            if (strstr(files[k].name, ".sst") != NULL) {
                size_t n = check_below(&seed, files[k].n_bytes);
                if (i % 2 == 0)
                    CHECK_EQ(truncate(kit_path(path, files[k].name), (off_t)n), 0);
                else
                    files[k].bytes[n] ^= 0x10;
                if (i % 2 == 1) {
                    write_file(path, &files[k], files[k].n_bytes);
                    files[k].bytes[n] ^= 0x10;
                }
            }
        uint64_t n_right = count_right(cache, 1);
        struct mn_diskcache_stats s = kit_stats(cache);
        CHECK_EQ(s.n_errors, N_IDS - n_right);
        CHECK_EQ(s.n_lost, N_IDS - n_right);
        CHECK_EQ(s.n_misses, N_IDS - n_right);
        check_works(cache);
        kit_close(cache);
    }
}

/* Writes until it is kept again, or not to be hoped for. */
static bool puts_get_through(mn_diskcache *cache)
{
    static unsigned char noise[100000];
    uint64_t seed = check_seed();
    bool kept = false;

    for (int i = 0; i < 60; i++) {
        char id[16];
        for (size_t k = 0; k < sizeof noise; k += 8)
            mni_put_u64(noise + k, check_random(&seed));
        (void)snprintf(id, sizeof id, "noise%d", i);
        kept = kit_put_bytes(cache, "noise", id, noise, sizeof noise);
        (void)count_right(cache, 1);
    }
    return kept;
}

static void the_directory_may_be_removed(void)
{
    const char *path = kit_place("cache");

    make_files();
    lay_out(path, NULL);
    mn_diskcache *cache = kit_open(path, MAX_BYTES);
    remove_tree(path);
    CHECK(puts_get_through(cache));
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK(s.n_rebuilds > 0);
    CHECK(kit_adds_up(&s));
    check_works(cache);
    cache = kit_again(cache, path, MAX_BYTES);
    CHECK_EQ(kit_stats(cache).n_rebuilds, 0);
    kit_close(cache);
    CHECK(kit_weigh(path) <= MAX_BYTES);

    /* Its parent too: it cannot come back. */
    const char *parent = kit_place("parent");
    char below[600];
    (void)snprintf(below, sizeof below, "%s/cache", parent);
    CHECK_EQ(mkdir(parent, 0700), 0);
    cache = kit_open(below, MAX_BYTES);
    CHECK(put_id(cache, 1, 1));
    remove_tree(parent);
    CHECK(!puts_get_through(cache));
    s = kit_stats(cache);
    CHECK(s.is_off);
    CHECK_EQ(s.n_entries, 0);
    CHECK(kit_adds_up(&s));
    char note[MN_ERROR_MESSAGE_BYTES];
    CHECK_OK(mn_diskcache_note(cache, note, NULL));
    CHECK_STR_HAS(note, "off");
    kit_close(cache);
}

/* Another cache, or something else, in its place is not touched. */
static void what_stands_in_its_place_is_left_alone(void)
{
    const char *path = kit_place("cache");
    const char *aside = kit_place("aside");

    mn_diskcache *cache = kit_open(path, MAX_BYTES);
    CHECK_EQ(rename(path, aside), 0);
    CHECK_EQ(mkdir(path, 0700), 0);
    int fd = open(kit_path(path, "mine"), O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
    (void)puts_get_through(cache);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK(kit_adds_up(&s));
    kit_close(cache);
    CHECK_EQ(access(kit_path(path, "mine"), F_OK), 0);
}

/* A disk that takes nothing more: files of RocksDB cannot grow. */
static void a_full_disk_is_no_error(void)
{
    const char *path = kit_place("cache");
    struct rlimit before;
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    make_files();
    for (rlim_t n = 0; n < 100000; n += 9000) {
        lay_out(path, NULL);
        mn_diskcache *cache = kit_open(path, MAX_BYTES);
        limit = before;
        limit.rlim_cur = n;
        CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
        (void)puts_get_through(cache);
        struct mn_diskcache_stats s = kit_stats(cache);
        CHECK_OK(mn_diskcache_flush(cache, NULL, NULL));
        CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
        CHECK(kit_adds_up(&s));
        CHECK(s.n_rebuilds > 0 || s.is_off);
        kit_close(cache);
        cache = kit_open(path, MAX_BYTES);
        (void)count_right(cache, 1);
        check_works(cache);
        kit_close(cache);
    }
}

/* A file system of 2 MiB under a cache of 4 MiB. */
static void a_file_system_that_is_full_is_no_error(void)
{
    const char *path = kit_place("small");

    CHECK_EQ(mkdir(path, 0700), 0);
    if (mount("none", path, "tmpfs", 0, "size=2m") != 0)
        check_skip("no file system can be mounted");
    mn_diskcache *cache = kit_open(kit_path(path, "cache"), MAX_BYTES);
    /* It begins anew a few times, and is off then. */
    bool is_off_when_full = false;
    for (int i = 0; i < 6; i++) {
        (void)puts_get_through(cache);
        is_off_when_full = is_off_when_full || kit_stats(cache).is_off;
    }
    struct mn_diskcache_stats s = kit_stats(cache);
    bool adds_up = kit_adds_up(&s);
    uint64_t n_rebuilds = s.n_rebuilds;
    char note[MN_ERROR_MESSAGE_BYTES];
    CHECK_OK(mn_diskcache_note(cache, note, NULL));
    /* There is room: it is on again after the longest time that it gives itself, a minute. */
    const struct timespec nap = {.tv_nsec = 100000000};
    bool has_room = mount("none", path, "tmpfs", MS_REMOUNT, "size=64m") == 0;
    bool is_on_again = !has_room;
    for (int i = 0; i < 900 && !is_on_again; i++) {
        (void)nanosleep(&nap, NULL);
        is_on_again = kit_put(cache, "a", "b", "c");
    }
    kit_close(cache);
    /* Nothing at all can be written. */
    bool is_read_only = mount("none", path, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL) == 0;
    bool is_off = true;
    if (is_read_only) {
        cache = kit_open(kit_path(path, "cache"), MAX_BYTES);
        (void)puts_get_through(cache);
        is_off = kit_stats(cache).is_off;
        kit_close(cache);
    }
    CHECK_EQ(umount(path), 0);
    CHECK(adds_up);
    CHECK(n_rebuilds > 0);
    CHECK(n_rebuilds <= 10);
    CHECK(is_off_when_full);
    CHECK_STR_HAS(note, "No space");
    CHECK(is_on_again);
    CHECK(is_off);
}

/* Somebody who may read the directory and not write in it. */
static int child_main(const char *path)
{
    const struct mn_diskcache_options o = {.size = sizeof o, .path = path, .max_bytes = MAX_BYTES};
    const struct mn_diskcache_item item = {.id = mn_str("id1"), .value = mn_str("x")};
    struct mn_diskcache_stats s = {.size = sizeof s};
    struct mn_diskcache_value got;
    mn_diskcache *cache = NULL;
    bool kept = true;

    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 77;
    if (mn_diskcache_open(&o, &cache, NULL) != MN_OK ||
        mn_diskcache_put(cache, mn_str("space"), &item, &kept, NULL) != MN_OK || kept ||
        mn_diskcache_get(cache, mn_str("space"), mn_str("id1"), &got, NULL) != MN_NOT_FOUND ||
        mn_diskcache_stats(cache, &s, NULL) != MN_OK || !s.is_off || s.n_misses != 1)
        return 1;
    return mn_diskcache_close(cache, NULL) == MN_OK ? 0 : 1;
}

static void a_read_only_directory_is_no_error(void)
{
    const char *root = check_temp_dir();
    char path[600];
    int how = 0;

    (void)snprintf(path, sizeof path, "%s/cache", root);
    if (geteuid() != 0)
        check_skip("only root can become somebody else");
    make_files();
    lay_out(path, NULL);
    CHECK_EQ(chmod(path, 0755), 0);
    CHECK_EQ(chmod(kit_path(path, "mneme-cache.db"), 0755), 0);
    for (size_t i = 0; i < n_files; i++)
        CHECK_EQ(chmod(kit_path(path, files[i].name), 0644), 0);
    CHECK_EQ(chmod(root, 0755), 0);
    CHECK_EQ(chmod(kit_path(root, ".."), 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "child", "--child", path, (char *)NULL);
        _exit(2);
    }
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK(WIFEXITED(how));
    CHECK_EQ(WEXITSTATUS(how), 0);
    /* Nothing was lost for those who may write. */
    CHECK(!open_damaged(path));
}

/* The owner of a directory that cannot be written for a while: what is put or deleted meanwhile
 * does not come back. `from_flush`: it was open and sealed before. */
static bool survives_read_only(const char *path, bool from_flush)
{
    mn_diskcache *cache = kit_open(path, MAX_BYTES);
    const char *const ids[] = {"put", "deleted", "early"};

    for (int i = 0; i < 3; i++)
        CHECK(kit_put(cache, "a", ids[i], "1"));
    CHECK(kit_put(cache, "b", "cleared", "1"));
    if (from_flush)
        CHECK_OK(mn_diskcache_flush(cache, NULL, NULL));
    else
        kit_close(cache);
    CHECK_EQ(chmod(path, 0555), 0);
    if (!from_flush)
        cache = kit_open(path, MAX_BYTES);
    CHECK_EQ(kit_stats(cache).is_off, !from_flush);
    CHECK_OK(mn_diskcache_delete(cache, mn_str("a"), mn_str("early"), NULL, NULL));
    CHECK_EQ(chmod(path, 0755), 0);
    bool kept = kit_put(cache, "a", "put", "2");
    CHECK_OK(mn_diskcache_delete(cache, mn_str("a"), mn_str("deleted"), NULL, NULL));
    CHECK_OK(mn_diskcache_clear_namespace(cache, mn_str("b"), NULL, NULL));
    cache = kit_again(cache, path, MAX_BYTES);
    bool is_right = kit_has(cache, "a", "put", NULL) || (kept && kit_has(cache, "a", "put", "2"));
    is_right = is_right && kit_has(cache, "a", "deleted", NULL);
    is_right = is_right && kit_has(cache, "a", "early", NULL);
    is_right = is_right && kit_has(cache, "b", "cleared", NULL);
    kit_close(cache);
    return is_right;
}

static int owner_main(const char *path)
{
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 77;
    if (!survives_read_only(kit_path(path, "closed"), false))
        return 1;
    return survives_read_only(kit_path(path, "flushed"), true) ? 0 : 2;
}

static void what_changed_on_a_read_only_directory_stays_changed(void)
{
    char root[512];
    int how = 0;

    if (geteuid() != 0)
        check_skip("only root can become somebody else");
    (void)snprintf(root, sizeof root, "%s", check_temp_dir());
    CHECK_EQ(chmod(root, 0755), 0);
    CHECK_EQ(chmod(kit_path(root, ".."), 0755), 0);
    CHECK_EQ(mkdir(kit_path(root, "owned"), 0755), 0);
    CHECK_EQ(chown(kit_path(root, "owned"), 65534, 65534), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "child", "--owner", kit_path(root, "owned"), (char *)NULL);
        _exit(3);
    }
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK(WIFEXITED(how));
    CHECK_EQ(WEXITSTATUS(how), 0);
}

/* Little memory, and values that take much of it. */
static int large_main(const char *path)
{
    const struct rlimit limit = {(rlim_t)1500 << 20, (rlim_t)1500 << 20};
    const struct mn_diskcache_item small = {.id = mn_str("small"), .value = mn_str("x")};
    static unsigned char noise[1 << 20];
    uint64_t seed = 1;
    mn_diskcache *cache = kit_open(path, 0);

    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 77;
    for (size_t k = 0; k < sizeof noise; k += 8)
        mni_put_u64(noise + k, check_random(&seed));
    for (size_t n = (size_t)100 << 20; n <= (size_t)500 << 20; n += (size_t)100 << 20) {
        struct mn_diskcache_value got;
        unsigned char *value = malloc(n);
        if (value == NULL)
            break;
        for (size_t at = 0; at < n; at += sizeof noise)
            memcpy(value + at, noise, sizeof noise);
        const struct mn_diskcache_item large = {.id = mn_str("large"), .value = {value, n}};
        mn_status st = mn_diskcache_put(cache, mn_str("a"), &large, NULL, NULL);
        free(value);
        if (st != MN_OK && st != MN_ERR_NOMEM)
            return 2;
        if (mn_diskcache_flush(cache, NULL, NULL) != MN_OK)
            return 3;
        st = mn_diskcache_get(cache, mn_str("a"), mn_str("large"), &got, NULL);
        if (st != MN_OK && st != MN_NOT_FOUND)
            return 4;
        mn_diskcache_value_release(&got);
    }
    if (mn_diskcache_put(cache, mn_str("a"), &small, NULL, NULL) != MN_OK)
        return 5;
    kit_close(cache);
    return 0;
}

static void values_that_memory_has_no_room_for_are_refused(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    check_skip("a sanitizer takes more address space than is given here");
#else
    const char *path = kit_place("cache");
    int how = 0;

    pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "child", "--large", path, (char *)NULL);
        _exit(1);
    }
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK(WIFEXITED(how));
    CHECK_EQ(WEXITSTATUS(how), 0);
#endif
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_file_may_be_missing),
        CHECK_TEST(every_file_may_be_cut),
        CHECK_TEST(a_seal_may_be_of_any_length),
        CHECK_TEST(any_bit_may_be_wrong),
        CHECK_TEST(a_manifest_that_is_not_the_sealed_one_means_rebuild),
        CHECK_TEST(files_may_change_under_an_open_cache),
        CHECK_TEST(the_directory_may_be_removed),
        CHECK_TEST(what_stands_in_its_place_is_left_alone),
        CHECK_TEST(a_full_disk_is_no_error),
        CHECK_TEST(a_file_system_that_is_full_is_no_error),
        CHECK_TEST(a_read_only_directory_is_no_error),
        CHECK_TEST(values_that_memory_has_no_room_for_are_refused),
        CHECK_TEST(what_changed_on_a_read_only_directory_stays_changed),
    };
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return child_main(argv[2]);
    if (argc == 3 && strcmp(argv[1], "--owner") == 0)
        return owner_main(argv[2]);
    if (argc == 3 && strcmp(argv[1], "--large") == 0)
        return large_main(argv[2]);
    /* A thousand caches are opened here, with some syncs each; what they make durable is not what
     * is looked at. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    return check_run("fault.diskcache_damage", tests, CHECK_COUNT(tests), argc, argv);
}
