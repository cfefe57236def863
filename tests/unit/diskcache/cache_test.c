/*
 * cache_test.c - what the disk cache promises, one thing at a time.
 */
#include <sys/wait.h>
#include <time.h>

#include "diskcache/kit.h"

enum { SMALL_BYTES = 4 << 20 };

static void what_was_put_is_got(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    struct mn_diskcache_value got;

    CHECK(kit_put(cache, "a", "1", "one"));
    CHECK(kit_put(cache, "a", "2", ""));
    CHECK(kit_has(cache, "a", "1", "one"));
    CHECK(kit_has(cache, "a", "2", ""));
    CHECK(kit_has(cache, "a", "3", NULL));
    CHECK(kit_has(cache, "b", "1", NULL));
    CHECK(kit_put(cache, "a", "1", "other"));
    CHECK(kit_has(cache, "a", "1", "other"));

    /* A value stays as it was got, also when the cache is closed. */
    CHECK_OK(mn_diskcache_get(cache, mn_str("a"), mn_str("1"), &got, NULL));
    CHECK_EQ(got.access_count, 2);
    CHECK(!got.has_expires_at);
    CHECK(got.created_at_us > 0);
    CHECK(kit_put(cache, "a", "1", "third"));
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_entries, 2);
    CHECK_EQ(s.n_puts, 4);
    CHECK_EQ(s.n_overwritten, 2);
    CHECK_EQ(s.n_hits, 4);
    CHECK_EQ(s.n_misses, 2);
    CHECK_EQ(s.value_bytes, 5);
    CHECK(kit_adds_up(&s));
    kit_close(cache);
    CHECK_MEM_EQ(got.value.data, "other", 5);
    mn_diskcache_value_release(&got);
    mn_diskcache_value_release(&got);
    mn_diskcache_value_release(NULL);
}

static void a_closed_cache_is_warm(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    char text[MN_ERROR_MESSAGE_BYTES];
    struct mn_diskcache_info before = {.size = sizeof before};
    struct mn_diskcache_info after = {.size = sizeof after};

    CHECK(kit_put(cache, "a", "1", "one"));
    CHECK(kit_put(cache, "b", "1", "of b"));
    CHECK(kit_has(cache, "a", "1", "one"));
    CHECK_OK(mn_diskcache_info(cache, mn_str("a"), mn_str("1"), &before, NULL));
    for (int i = 0; i < 3; i++) {
        cache = kit_again(cache, path, SMALL_BYTES);
        CHECK_OK(mn_diskcache_note(cache, text, NULL));
        CHECK_STR_EQ(text, "");
        struct mn_diskcache_stats s = kit_stats(cache);
        CHECK_EQ(s.n_rebuilds, 0);
        CHECK_EQ(s.n_found, 2);
        CHECK_EQ(s.n_entries, 2);
        CHECK(kit_adds_up(&s));
        CHECK_OK(mn_diskcache_info(cache, mn_str("a"), mn_str("1"), &after, NULL));
        CHECK_EQ(after.access_count, before.access_count);
        CHECK_EQ(after.created_at_us, before.created_at_us);
        CHECK_EQ(after.value_bytes, 3);
    }
    CHECK(kit_has(cache, "a", "1", "one"));
    CHECK(kit_has(cache, "b", "1", "of b"));
    kit_close(cache);
}

/* What another process does with a cache before it ends without closing it. */
static int child_main(const char *what, const char *path)
{
    const struct mn_diskcache_options options = {
        .size = sizeof options, .path = path, .max_bytes = SMALL_BYTES};
    const struct mn_diskcache_item item = {.id = mn_str("1"), .value = mn_str("one")};
    mn_diskcache *cache = NULL;
    bool sealed = true;

    if (mn_diskcache_open(&options, &cache, NULL) != MN_OK ||
        mn_diskcache_put(cache, mn_str("a"), &item, NULL, NULL) != MN_OK)
        return 1;
    if (strcmp(what, "put") != 0 && (mn_diskcache_flush(cache, &sealed, NULL) != MN_OK || !sealed))
        return 1;
    if (strcmp(what, "delete") == 0 &&
        mn_diskcache_delete(cache, mn_str("a"), mn_str("1"), NULL, NULL) != MN_OK)
        return 1;
    _exit(0);
}

/* RocksDB's threads do not survive a fork: the child becomes a program of its own. */
static void run_child(const char *what, const char *path)
{
    int how = 0;
    pid_t child = fork();

    if (child == 0) {
        (void)execl("/proc/self/exe", "child", "--child", what, path, (char *)NULL);
        _exit(2);
    }
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK_EQ(how, 0);
}

static void without_a_seal_it_is_empty_and_says_so(void)
{
    const char *path = kit_place("cache");
    char text[MN_ERROR_MESSAGE_BYTES];

    run_child("put", path);
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    CHECK(kit_has(cache, "a", "1", NULL));
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_rebuilds, 1);
    CHECK_EQ(s.n_entries, 0);
    CHECK_OK(mn_diskcache_note(cache, text, NULL));
    CHECK_STR_HAS(text, "not closed");
    kit_close(cache);
}

static void a_flushed_cache_is_warm_until_something_changes(void)
{
    for (int deletes = 0; deletes < 2; deletes++) {
        const char *path = kit_place(deletes == 0 ? "kept" : "deleted");
        run_child(deletes == 0 ? "flush" : "delete", path);
        mn_diskcache *cache = kit_open(path, SMALL_BYTES);
        CHECK(kit_has(cache, "a", "1", deletes == 0 ? "one" : NULL));
        CHECK_EQ(kit_stats(cache).n_rebuilds, deletes);
        kit_close(cache);
    }
}

static void deletes_tell_what_was_there(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    const struct mn_slice ids[] = {mn_str("1"), mn_str("2"), mn_str("1"), mn_str("9")};
    bool existed = true;
    uint64_t n = 0;

    CHECK_OK(mn_diskcache_delete(cache, mn_str("a"), mn_str("1"), &existed, NULL));
    CHECK(!existed);
    CHECK(kit_put(cache, "a", "1", "x"));
    CHECK(kit_put(cache, "a", "2", "x"));
    CHECK(kit_put(cache, "a", "3", "x"));
    CHECK_OK(mn_diskcache_delete_batch(cache, mn_str("a"), ids, 4, &n, NULL));
    CHECK_EQ(n, 2);
    CHECK_OK(mn_diskcache_delete(cache, mn_str("a"), mn_str("3"), &existed, NULL));
    CHECK(existed);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_entries, 0);
    CHECK_EQ(s.n_namespaces, 0);
    CHECK_EQ(s.n_deleted, 3);
    CHECK(kit_adds_up(&s));
    /* What was deleted does not come back. */
    cache = kit_again(cache, path, SMALL_BYTES);
    CHECK(kit_has(cache, "a", "1", NULL));
    kit_close(cache);
}

static void batches_count_distinct_ids_and_keep_positions(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    const struct mn_diskcache_item items[] = {
        {.id = mn_str("1"), .value = mn_str("early")},
        {.id = mn_str("2"), .value = mn_str("two")},
        {.id = mn_str("1"), .value = mn_str("late")},
        {.id = mn_str("3"), .value = mn_str("gone"), .has_ttl = true},
    };
    const struct mn_slice ids[] = {mn_str("2"), mn_str("9"), mn_str("1"), mn_str("2")};
    struct mn_diskcache_value got[4];
    uint64_t n_kept = 0;
    size_t n_found = 0;

    CHECK_OK(mn_diskcache_put_batch(cache, mn_str("a"), items, 4, &n_kept, NULL));
    CHECK_EQ(n_kept, 2);
    CHECK_OK(mn_diskcache_get_batch(cache, mn_str("a"), ids, 4, got, &n_found, NULL));
    CHECK_EQ(n_found, 3);
    CHECK_EQ(got[0].value.n_bytes, 3);
    CHECK(got[1].pin == NULL);
    CHECK_MEM_EQ(got[2].value.data, "late", 4);
    CHECK_EQ(got[3].value.n_bytes, 3);
    for (int i = 0; i < 4; i++)
        mn_diskcache_value_release(&got[i]);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_puts, 2);
    CHECK_EQ(s.n_not_kept, 1);
    CHECK(kit_adds_up(&s));
    CHECK_OK(mn_diskcache_put_batch(cache, mn_str("a"), NULL, 0, &n_kept, NULL));
    CHECK_EQ(n_kept, 0);
    kit_close(cache);
}

static void namespaces_have_exact_borders(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    const char *const names[] = {"a", "a:b", "a/b", "ab", "a\xc3\xa9"};
    uint64_t n = 0;
    bool contains = false;

    for (size_t i = 0; i < CHECK_COUNT(names); i++)
        for (int k = 0; k < 10; k++) {
            char id[16];
            (void)snprintf(id, sizeof id, "%s%d", k % 2 == 0 ? "b:" : "", k);
            CHECK(kit_put(cache, names[i], id, names[i]));
        }
    CHECK_OK(mn_diskcache_clear_namespace(cache, mn_str("a"), &n, NULL));
    CHECK_EQ(n, 10);
    CHECK_OK(mn_diskcache_clear_namespace(cache, mn_str("a"), &n, NULL));
    CHECK_EQ(n, 0);
    CHECK(kit_has(cache, "a", "1", NULL));
    for (size_t i = 1; i < CHECK_COUNT(names); i++)
        CHECK(kit_has(cache, names[i], "1", names[i]));
    /* The name can be used at once, and shows nothing old. */
    CHECK(kit_put(cache, "a", "1", "new"));
    CHECK(kit_has(cache, "a", "1", "new"));
    CHECK_OK(mn_diskcache_contains(cache, mn_str("a"), mn_str("3"), &contains, NULL));
    CHECK(!contains);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_entries, 41);
    CHECK_EQ(s.n_cleared, 10);
    CHECK_EQ(s.n_namespaces, 5);
    CHECK(kit_adds_up(&s));
    cache = kit_again(cache, path, SMALL_BYTES);
    CHECK(kit_has(cache, "a", "1", "new"));
    CHECK(kit_has(cache, "a", "3", NULL));
    CHECK_EQ(kit_stats(cache).n_entries, 41);
    kit_close(cache);
}

struct seen {
    char names[256];
    uint64_t n;
};

static mn_status see_name(void *context, struct mn_slice name, uint64_t n_entries)
{
    struct seen *seen = context;
    size_t n = strlen(seen->names);

    (void)snprintf(seen->names + n, sizeof seen->names - n, "%.*s=%d ", (int)name.n_bytes,
                   (const char *)name.data, (int)n_entries);
    return ++seen->n == 2 ? MN_ERR_CANCELLED : MN_OK;
}

static mn_status see_entry(void *context, const struct mn_diskcache_entry *entry)
{
    struct seen *seen = context;

    CHECK_EQ(entry->value.n_bytes, entry->id.n_bytes);
    CHECK_MEM_EQ(entry->value.data, entry->id.data, entry->id.n_bytes);
    seen->n++;
    return MN_OK;
}

static void walks_show_what_is_there(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    struct seen seen = {"", 0};

    for (int i = 0; i < 500; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        CHECK(kit_put(cache, "b", id, id));
    }
    CHECK(kit_put(cache, "a", "1", "1"));
    CHECK_STATUS(mn_diskcache_list_namespaces(cache, see_name, &seen, NULL), MN_ERR_CANCELLED);
    CHECK_STR_EQ(seen.names, "a=1 b=500 ");
    seen.n = 0;
    CHECK_OK(mn_diskcache_get_all(cache, mn_str("b"), see_entry, &seen, NULL));
    CHECK_EQ(seen.n, 500);
    seen.n = 0;
    CHECK_OK(mn_diskcache_get_all(cache, mn_str("c"), see_entry, &seen, NULL));
    CHECK_EQ(seen.n, 0);
    CHECK_EQ(kit_stats(cache).n_hits, 0);
    kit_close(cache);
}

static void namespaces_have_numbers_of_their_own(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    struct mn_diskcache_namespace_stats s = {.size = sizeof s};

    CHECK_STATUS(mn_diskcache_namespace_stats(cache, mn_str("a"), &s, NULL), MN_NOT_FOUND);
    CHECK(kit_put(cache, "a", "1", "one"));
    CHECK(kit_put(cache, "b", "1", "one"));
    CHECK(kit_has(cache, "a", "1", "one"));
    CHECK(kit_has(cache, "a", "2", NULL));
    CHECK_OK(mn_diskcache_namespace_stats(cache, mn_str("a"), &s, NULL));
    CHECK_EQ(s.n_entries, 1);
    CHECK_EQ(s.value_bytes, 3);
    CHECK_EQ(s.n_puts, 1);
    CHECK_EQ(s.n_hits, 1);
    CHECK_EQ(s.n_misses, 1);
    kit_close(cache);
}

static void expired_entries_are_gone_at_once(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    struct mn_diskcache_item item = {.id = mn_str("1"), .value = mn_str("x"), .has_ttl = true};
    struct mn_diskcache_info info = {.size = sizeof info};
    bool kept = true;

    CHECK(kit_put(cache, "a", "1", "old"));
    CHECK_OK(mn_diskcache_put(cache, mn_str("a"), &item, &kept, NULL));
    CHECK(!kept);
    CHECK(kit_has(cache, "a", "1", NULL));
    item.ttl_us = INT64_MAX;
    CHECK_OK(mn_diskcache_put(cache, mn_str("a"), &item, &kept, NULL));
    CHECK(kept);
    item.id = mn_str("2");
    item.ttl_us = 20000;
    CHECK_OK(mn_diskcache_put(cache, mn_str("a"), &item, &kept, NULL));
    item.id = mn_str("3");
    item.has_expires_at = true;
    item.expires_at_us = INT64_C(4000000000) * 1000000;
    CHECK_OK(mn_diskcache_put(cache, mn_str("a"), &item, &kept, NULL));
    while (mn_diskcache_info(cache, mn_str("a"), mn_str("2"), &info, NULL) == MN_OK)
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_expired, 1);
    CHECK_EQ(s.n_entries, 2);
    CHECK(kit_adds_up(&s));
    cache = kit_again(cache, path, SMALL_BYTES);
    CHECK(kit_has(cache, "a", "2", NULL));
    CHECK_OK(mn_diskcache_info(cache, mn_str("a"), mn_str("1"), &info, NULL));
    CHECK(!info.has_expires_at);
    CHECK_OK(mn_diskcache_info(cache, mn_str("a"), mn_str("3"), &info, NULL));
    CHECK(info.has_expires_at);
    CHECK_EQ(info.expires_at_us, INT64_C(4000000000) * 1000000);
    kit_close(cache);
}

static void what_is_too_large_is_not_kept_and_hides_nothing_old(void)
{
    static char large[2 << 20];
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);

    CHECK(kit_put(cache, "a", "1", "old"));
    CHECK(!kit_put_bytes(cache, "a", "1", large, sizeof large));
    CHECK(kit_has(cache, "a", "1", NULL));
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_not_kept, 1);
    CHECK_EQ(s.n_rebuilds, 0);
    CHECK(kit_adds_up(&s));
    CHECK(kit_put_bytes(cache, "a", "1", large, 600 << 10));
    CHECK(kit_put_bytes(cache, "a", "2", large, 600 << 10));
    kit_close(cache);
    CHECK(kit_weigh(path) <= SMALL_BYTES);
}

static void settings_that_do_not_fit_are_refused(void)
{
    const char *path = kit_place("cache");
    struct mn_diskcache_options o = {.size = sizeof o, .path = path};
    mn_diskcache *cache = NULL;
    struct mn_error err;

    o.max_bytes = SMALL_BYTES - 1;
    CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "max_bytes is 4194304 at least");
    o.max_bytes = SMALL_BYTES;
    o.write_buffer_bytes = 1 << 20;
    CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "a quarter of max_bytes");
    o.write_buffer_bytes = 1000;
    CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_ERR_INVALID);
    o.write_buffer_bytes = 0;
    o.write_buffer_count = 1;
    CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_ERR_INVALID);
    o.write_buffer_count = 17;
    CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_ERR_INVALID);
    o.write_buffer_count = 0;
    o.compression = (mn_diskcache_compression)7;
    CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_ERR_INVALID);
    o.compression = MN_DISKCACHE_COMPRESSION_NONE;
    o.size = 3;
    CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_ERR_INVALID);
    o.size = sizeof o;
    o.path = kit_place("missing/cache");
    CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_NOT_FOUND);
    CHECK(access(path, F_OK) != 0);
    CHECK(cache == NULL);
}

static void zero_is_the_default_and_can_mean_no_bound(void)
{
    const char *path = kit_place("cache");
    struct mn_diskcache_options o = {.size = sizeof o, .path = path};
    mn_diskcache *cache = NULL;

    CHECK_OK(mn_diskcache_open(&o, &cache, NULL));
    CHECK_EQ(kit_stats(cache).max_bytes, INT64_C(10) << 30);
    kit_close(cache);
    o.has_max_bytes = true;
    CHECK_OK(mn_diskcache_open(&o, &cache, NULL));
    CHECK_EQ(kit_stats(cache).max_bytes, 0);
    kit_close(cache);
}

static void only_one_handle_has_it(void)
{
    const char *path = kit_place("cache");
    struct mn_diskcache_options o = {.size = sizeof o, .path = path};
    mn_diskcache *cache = kit_open(path, SMALL_BYTES);
    mn_diskcache *second = NULL;

    CHECK(kit_put(cache, "a", "1", "one"));
    CHECK_STATUS(mn_diskcache_open(&o, &second, NULL), MN_ERR_IN_USE);
    CHECK(second == NULL);
    CHECK(kit_has(cache, "a", "1", "one"));
    kit_close(cache);
}

static void touch_file(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
}

static void a_directory_with_other_things_is_left_alone(void)
{
    const char *const foreign[] = {"notes.txt", "000012.sst", "CURRENT", "mneme-cache.db/mine"};

    for (size_t i = 0; i < CHECK_COUNT(foreign); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "dir%zu", i);
        const char *path = kit_place(name);
        struct mn_diskcache_options o = {.size = sizeof o, .path = path};
        mn_diskcache *cache = NULL;
        struct mn_error err;
        if (i == 3)
            kit_close(kit_open(path, SMALL_BYTES));
        else
            CHECK_EQ(mkdir(path, 0700), 0);
        touch_file(kit_path(path, foreign[i]));
        uint64_t before = kit_weigh(path);
        CHECK_STATUS(mn_diskcache_open(&o, &cache, &err), MN_ERR_NO_STORE);
        CHECK_STR_HAS(err.message, "which is of no cache");
        CHECK_EQ(access(kit_path(path, foreign[i]), F_OK), 0);
        CHECK_EQ(kit_weigh(path), before);
    }
    const char *path = kit_place("file");
    struct mn_diskcache_options o = {.size = sizeof o, .path = path};
    mn_diskcache *cache = NULL;
    touch_file(path);
    CHECK(mn_diskcache_open(&o, &cache, NULL) < 0);
}

static void wrong_arguments_are_refused(void)
{
    static char long_id[MN_ID_BYTES_MAX + 1];
    mn_diskcache *cache = kit_open(kit_place("cache"), SMALL_BYTES);
    struct mn_diskcache_item item = {.id = mn_str("1"), .value = {NULL, 3}};
    struct mn_diskcache_value got;
    struct mn_error err;
    bool contains;

    memset(long_id, 'x', sizeof long_id);
    const struct mn_slice too_long = {long_id, sizeof long_id};
    const struct mn_slice longest = {long_id, sizeof long_id - 1};
    CHECK_STATUS(mn_diskcache_put(cache, mn_str("a"), &item, NULL, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_diskcache_put(cache, mn_str("a"), NULL, NULL, NULL), MN_ERR_INVALID);
    item.value = mn_str("x");
    item.has_ttl = true;
    item.ttl_us = -1;
    CHECK_STATUS(mn_diskcache_put_batch(cache, mn_str("a"), &item, 1, NULL, &err), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "item 0: ");
    item.has_ttl = false;
    CHECK_STATUS(mn_diskcache_put(cache, mn_str(""), &item, NULL, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_diskcache_put(cache, too_long, &item, NULL, NULL), MN_ERR_LIMIT);
    CHECK_STATUS(mn_diskcache_get(cache, mn_str("\xff"), mn_str("1"), &got, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_diskcache_get(cache, mn_str("a"), too_long, &got, NULL), MN_ERR_LIMIT);
    CHECK_STATUS(mn_diskcache_get(NULL, mn_str("a"), mn_str("1"), &got, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_diskcache_contains(cache, mn_str("a"), mn_str(""), &contains, NULL),
                 MN_ERR_INVALID);
    CHECK_OK(mn_diskcache_close(NULL, NULL));

    /* The longest ones, and every character. */
    item.id = longest;
    CHECK_OK(mn_diskcache_put(cache, longest, &item, NULL, NULL));
    CHECK_OK(mn_diskcache_get(cache, longest, longest, &got, NULL));
    mn_diskcache_value_release(&got);
    item.id = (struct mn_slice){"a\0b", 3};
    CHECK_OK(mn_diskcache_put(cache, (struct mn_slice){"\0", 1}, &item, NULL, NULL));
    CHECK_OK(mn_diskcache_get(cache, (struct mn_slice){"\0", 1}, item.id, &got, NULL));
    mn_diskcache_value_release(&got);
    CHECK_STATUS(mn_diskcache_get(cache, (struct mn_slice){"\0", 1}, mn_str("a"), &got, NULL),
                 MN_NOT_FOUND);
    kit_close(cache);
}

static mn_status see_no_name(void *context, struct mn_slice name, uint64_t n_entries)
{
    (void)name;
    (void)n_entries;
    *(bool *)context = true;
    return MN_OK;
}

/* Whether every call on a handle of the parent is refused. A value is the child's own. */
static bool all_is_refused(mn_diskcache *cache, struct mn_diskcache_value *got_before)
{
    const struct mn_slice a = mn_str("a");
    const struct mn_diskcache_item item = {.id = a, .value = a};
    struct mn_diskcache_value got;
    struct mn_diskcache_info info = {.size = sizeof info};
    struct mn_diskcache_stats stats = {.size = sizeof stats};
    struct mn_diskcache_namespace_stats of_name = {.size = sizeof of_name};
    struct seen seen = {"", 0};
    char note[MN_ERROR_MESSAGE_BYTES];
    bool is_any = false;
    const mn_status answers[] = {
        mn_diskcache_put(cache, a, &item, NULL, NULL),
        mn_diskcache_put_batch(cache, a, &item, 1, NULL, NULL),
        mn_diskcache_get(cache, a, a, &got, NULL),
        mn_diskcache_get_batch(cache, a, &a, 1, &got, NULL, NULL),
        mn_diskcache_get_all(cache, a, see_entry, &seen, NULL),
        mn_diskcache_contains(cache, a, a, &is_any, NULL),
        mn_diskcache_info(cache, a, a, &info, NULL),
        mn_diskcache_delete(cache, a, a, NULL, NULL),
        mn_diskcache_delete_batch(cache, a, &a, 1, NULL, NULL),
        mn_diskcache_clear_namespace(cache, a, NULL, NULL),
        mn_diskcache_flush(cache, NULL, NULL),
        mn_diskcache_stats(cache, &stats, NULL),
        mn_diskcache_namespace_stats(cache, a, &of_name, NULL),
        mn_diskcache_list_namespaces(cache, see_no_name, &is_any, NULL),
        mn_diskcache_note(cache, note, NULL),
        mn_diskcache_close(cache, NULL),
    };
    bool is_right = !is_any && seen.n == 0;

    for (size_t i = 0; i < CHECK_COUNT(answers); i++)
        is_right = is_right && answers[i] == MN_ERR_FORKED;
    is_right = is_right && memcmp(got_before->value.data, "one", 3) == 0;
    mn_diskcache_value_release(got_before);
    return is_right;
}

static void a_forked_handle_is_refused(void)
{
    mn_diskcache *cache = kit_open(kit_place("cache"), SMALL_BYTES);
    struct mn_diskcache_options o = {.size = sizeof o, .path = kit_place("other")};
    struct mn_diskcache_value got;
    int how = 0;

    CHECK(kit_put(cache, "a", "1", "one"));
    CHECK_OK(mn_diskcache_get(cache, mn_str("a"), mn_str("1"), &got, NULL));
    pid_t child = fork();
    if (child == 0) {
        mn_diskcache *other = NULL;
        bool is_right = all_is_refused(cache, &got) &&
                        mn_diskcache_open(&o, &other, NULL) == MN_ERR_FORKED;
        _exit(is_right ? 0 : 1);
    }
    mn_diskcache_value_release(&got);
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK_EQ(how, 0);
    CHECK(kit_has(cache, "a", "1", "one"));
    kit_close(cache);
}

static void compression_off_means_none(void)
{
    static char zeroes[64 << 10];
    uint64_t bytes[2];

    for (int off = 0; off < 2; off++) {
        const char *path = kit_place(off == 1 ? "off" : "on");
        const struct mn_diskcache_options o = {
            .size = sizeof o,
            .path = path,
            .compression = off == 1 ? MN_DISKCACHE_COMPRESSION_NONE : MN_DISKCACHE_COMPRESSION_LZ4};
        mn_diskcache *cache = NULL;
        CHECK_OK(mn_diskcache_open(&o, &cache, NULL));
        for (int i = 0; i < 16; i++) {
            char id[8];
            (void)snprintf(id, sizeof id, "%d", i);
            CHECK(kit_put_bytes(cache, "a", id, zeroes, sizeof zeroes));
        }
        kit_close(cache);
        bytes[off] = kit_weigh(path);
    }
    CHECK(bytes[0] < 128 << 10);
    CHECK(bytes[1] > 16 * sizeof zeroes);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_was_put_is_got),
        CHECK_TEST(a_closed_cache_is_warm),
        CHECK_TEST(without_a_seal_it_is_empty_and_says_so),
        CHECK_TEST(a_flushed_cache_is_warm_until_something_changes),
        CHECK_TEST(deletes_tell_what_was_there),
        CHECK_TEST(batches_count_distinct_ids_and_keep_positions),
        CHECK_TEST(namespaces_have_exact_borders),
        CHECK_TEST(walks_show_what_is_there),
        CHECK_TEST(namespaces_have_numbers_of_their_own),
        CHECK_TEST(expired_entries_are_gone_at_once),
        CHECK_TEST(what_is_too_large_is_not_kept_and_hides_nothing_old),
        CHECK_TEST(settings_that_do_not_fit_are_refused),
        CHECK_TEST(zero_is_the_default_and_can_mean_no_bound),
        CHECK_TEST(only_one_handle_has_it),
        CHECK_TEST(a_directory_with_other_things_is_left_alone),
        CHECK_TEST(wrong_arguments_are_refused),
        CHECK_TEST(a_forked_handle_is_refused),
        CHECK_TEST(compression_off_means_none),
    };
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        return child_main(argv[2], argv[3]);
    return check_run("diskcache.cache", tests, CHECK_COUNT(tests), argc, argv);
}
