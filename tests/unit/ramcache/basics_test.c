/* Tests of single calls of the cache in memory: what they answer, limits, borders, numbers. */
#include "fixture.h"

#include <sys/wait.h>
#include <unistd.h>

static void what_is_put_is_got(void)
{
    mn_ramcache *cache = cache_of(1 << 20);

    CHECK(put(cache, "a", "one", "1"));
    CHECK(put(cache, "a", "two", ""));
    CHECK_STR_EQ(text_of(cache, "a", "one"), "1");
    CHECK_STR_EQ(text_of(cache, "a", "two"), "");
    CHECK_STR_EQ(text_of(cache, "a", "three"), "-");
    CHECK_STR_EQ(text_of(cache, "b", "one"), "-");
    CHECK(put(cache, "a", "one", "another"));
    CHECK_STR_EQ(text_of(cache, "a", "one"), "another");
    CHECK(has(cache, "a", "two") && !has(cache, "a", "three"));
    free_cache(cache);
}

static void namespaces_have_borders(void)
{
    mn_ramcache *cache = cache_of(1 << 20);

    CHECK(put(cache, "a", "b:c", "1"));
    CHECK(put(cache, "a:b", "c", "2"));
    CHECK(put(cache, "a:", "bc", "3"));
    CHECK(put(cache, "aa", "x", "4"));
    CHECK_STR_EQ(text_of(cache, "a:b", "c"), "2");
    CHECK_EQ(clear(cache, "a"), 1);
    CHECK_EQ(clear(cache, "a"), 0);
    CHECK_EQ(clear(cache, ":"), 0);
    CHECK_STR_EQ(text_of(cache, "a", "b:c"), "-");
    CHECK_STR_EQ(text_of(cache, "a:b", "c"), "2");
    CHECK_STR_EQ(text_of(cache, "a:", "bc"), "3");
    CHECK_STR_EQ(text_of(cache, "aa", "x"), "4");
    CHECK(put(cache, "a", "new", "5"));
    CHECK_STR_EQ(text_of(cache, "a", "b:c"), "-");
    CHECK_EQ(clear(cache, "a"), 1);
    free_cache(cache);
}

static void any_character_may_stand_in_a_key(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    const struct mn_slice ids[] = {{"x\0y", 3}, {"x", 1}, {"x\0", 2}, {"/", 1}, {"\xc3\xa9", 2}};
    struct mn_ramcache_value value;

    for (size_t i = 0; i < CHECK_COUNT(ids); i++) {
        const struct mn_ramcache_item item = {.id = ids[i], .value = {&ids[i], sizeof ids[i]}};
        CHECK_OK(mn_ramcache_put(cache, (struct mn_slice){"n\0m", 3}, &item, NULL, &err));
    }
    for (size_t i = 0; i < CHECK_COUNT(ids); i++) {
        CHECK_OK(mn_ramcache_get(cache, (struct mn_slice){"n\0m", 3}, ids[i], &value, &err));
        CHECK_MEM_EQ(value.value.data, &ids[i], sizeof ids[i]);
        mn_ramcache_value_release(&value);
    }
    CHECK_STR_EQ(text_of(cache, "n", "x"), "-");
    free_cache(cache);
}

static void wrong_arguments_are_refused(void)
{
    static char long_text[1025];
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_value value;
    struct mn_ramcache_item item = {.id = mn_str("x")};
    struct mn_ramcache_stats stats = {0};
    mn_ramcache *none = NULL;
    bool b;

    memset(long_text, 'k', sizeof long_text);
    const struct mn_slice too_long = {long_text, 1025}, longest = {long_text, 1024};
    const struct mn_slice bad = {"a\xff", 2}, empty = {"", 0}, ok = mn_str("x");

    CHECK_STATUS(mn_ramcache_get(cache, ok, empty, &value, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_get(cache, empty, ok, &value, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_get(cache, ok, bad, &value, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_get(cache, bad, ok, &value, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_get(cache, ok, too_long, &value, &err), MN_ERR_LIMIT);
    CHECK_STATUS(mn_ramcache_get(cache, too_long, ok, &value, &err), MN_ERR_LIMIT);
    CHECK_STATUS(mn_ramcache_get(cache, longest, longest, &value, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_ramcache_get(cache, ok, ok, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_get(NULL, ok, ok, &value, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_contains(cache, ok, bad, &b, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_delete(cache, bad, ok, &b, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_clear_namespace(cache, empty, NULL, &err), MN_ERR_INVALID);
    item.value.n_bytes = 3;
    CHECK_STATUS(mn_ramcache_put(cache, ok, &item, &b, &err), MN_ERR_INVALID);
    item.value.data = "abc";
    item.has_ttl = true;
    item.ttl_us = -1;
    CHECK_STATUS(mn_ramcache_put(cache, ok, &item, &b, &err), MN_ERR_INVALID);
    item.has_ttl = false;
    item.id = longest;
    CHECK_OK(mn_ramcache_put(cache, longest, &item, &b, &err));
    CHECK_OK(mn_ramcache_get(cache, longest, longest, &value, &err));
    mn_ramcache_value_release(&value);
    CHECK_STATUS(mn_ramcache_stats(cache, &stats, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_ramcache_get_or_load(cache, ok, ok, NULL, NULL, &value, &err), MN_ERR_INVALID);
    struct mn_ramcache_options o = {.size = sizeof o, .max_bytes = 1000};
    CHECK_STATUS(mn_ramcache_new(&o, &none, &err), MN_ERR_INVALID);
    o = (struct mn_ramcache_options){.size = sizeof o, .n_shards = 3};
    CHECK_STATUS(mn_ramcache_new(&o, &none, &err), MN_ERR_INVALID);
    o = (struct mn_ramcache_options){.size = sizeof o, .max_bytes = 65536, .n_shards = 4};
    CHECK_STATUS(mn_ramcache_new(&o, &none, &err), MN_ERR_INVALID);
    o = (struct mn_ramcache_options){.size = 1};
    CHECK_STATUS(mn_ramcache_new(&o, &none, &err), MN_ERR_INVALID);
    CHECK(none == NULL);
    CHECK_OK(mn_ramcache_free(NULL, &err));
    mn_ramcache_value_release(NULL);
    free_cache(cache);
}

static void errors_clear_what_would_be_released(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    const struct mn_slice bad = {"a\xff", 2}, ids[] = {mn_str("x"), bad};
    struct mn_ramcache_value values[2];
    struct mn_ramcache_namespace_stats of = {.size = sizeof of};

    CHECK(put(cache, "n", "x", "1"));
    memset(values, 7, sizeof values);
    CHECK_STATUS(mn_ramcache_get(cache, mn_str("n"), bad, &values[0], &err), MN_ERR_INVALID);
    CHECK(values[0].pin == NULL);
    memset(values, 7, sizeof values);
    CHECK_STATUS(mn_ramcache_get_batch(cache, mn_str("n"), ids, 2, values, NULL, &err),
                 MN_ERR_INVALID);
    CHECK(values[0].pin == NULL && values[1].pin == NULL);
    memset(values, 7, sizeof values);
    CHECK_STATUS(mn_ramcache_get_or_load(cache, mn_str("n"), bad, NULL, NULL, &values[0], &err),
                 MN_ERR_INVALID);
    CHECK(values[0].pin == NULL);
    /* What was refused is no miss. */
    CHECK_EQ(stats_of(cache).n_misses, 0);
    CHECK_OK(mn_ramcache_namespace_stats(cache, mn_str("n"), &of, &err));
    CHECK_EQ(of.n_misses, 0);
    free_cache(cache);
}

static void a_batch_is_checked_before_it_begins(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_item items[] = {
        {.id = mn_str("a"), .value = mn_str("1")},
        {.id = mn_str("b"), .value = mn_str("2")},
        {.id = mn_str("a"), .value = mn_str("3")},
        {.id = {"\xff", 1}, .value = mn_str("4")},
    };
    uint64_t n = 77;

    CHECK_STATUS(mn_ramcache_put_batch(cache, mn_str("n"), items, 4, &n, &err), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "item 3");
    CHECK(!has(cache, "n", "a"));
    CHECK_EQ(n, 77);
    CHECK_OK(mn_ramcache_put_batch(cache, mn_str("n"), items, 3, &n, &err));
    CHECK_EQ(n, 2);
    CHECK_STR_EQ(text_of(cache, "n", "a"), "3");
    CHECK_OK(mn_ramcache_put_batch(cache, mn_str("n"), items, 3, &n, &err));
    CHECK_EQ(n, 2);
    CHECK_OK(mn_ramcache_put_batch(cache, mn_str("n"), NULL, 0, &n, &err));
    CHECK_EQ(n, 0);
    free_cache(cache);
}

static void batches_are_positional_and_counted(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    const struct mn_slice ids[] = {mn_str("x"), mn_str("none"), mn_str("y"), mn_str("x")};
    struct mn_ramcache_value values[4];
    size_t n_found = 0;
    uint64_t n = 0;

    CHECK(put(cache, "n", "x", "1") && put(cache, "n", "y", "2"));
    CHECK_OK(mn_ramcache_get_batch(cache, mn_str("n"), ids, 4, values, &n_found, &err));
    CHECK_EQ(n_found, 3);
    CHECK_MEM_EQ(values[0].value.data, "1", 1);
    CHECK(values[1].pin == NULL);
    CHECK_MEM_EQ(values[2].value.data, "2", 1);
    CHECK_MEM_EQ(values[3].value.data, "1", 1);
    CHECK(((uintptr_t)values[0].value.data & 15) == 0);
    for (size_t i = 0; i < 4; i++)
        mn_ramcache_value_release(&values[i]);
    CHECK_OK(mn_ramcache_delete_batch(cache, mn_str("n"), ids, 4, &n, &err));
    CHECK_EQ(n, 2);
    CHECK_EQ(stats_of(cache).n_entries, 0);
    free_cache(cache);
}

struct seen {
    unsigned n;
    unsigned sum;
    mn_ramcache *cache;
    unsigned stop_after;
};

static mn_status note_entry(void *context, const struct mn_ramcache_entry *entry)
{
    struct seen *seen = context;

    CHECK_EQ(entry->value.n_bytes, sizeof(unsigned));
    unsigned number;
    memcpy(&number, entry->value.data, sizeof number);
    seen->n++;
    seen->sum += number;
    /* Any call may be made from here: this one takes the entry away. */
    if (seen->cache != NULL)
        CHECK_OK(mn_ramcache_delete(seen->cache, mn_str("n"), entry->id, NULL, &err));
    return seen->n == seen->stop_after ? MN_END : MN_OK;
}

static void put_number(mn_ramcache *cache, const char *name, unsigned number)
{
    char id[16];

    (void)snprintf(id, sizeof id, "%u", number);
    CHECK(put_item(cache, name, id, (struct mn_slice){&number, sizeof number}, -1));
}

static void a_walk_shows_each_entry_once(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct seen seen = {0};

    for (unsigned i = 0; i < 200; i++) {
        put_number(cache, "n", i);
        put_number(cache, "other", 1000 + i);
    }
    CHECK_OK(mn_ramcache_get_all(cache, mn_str("n"), note_entry, &seen, &err));
    CHECK_EQ(seen.n, 200);
    CHECK_EQ(seen.sum, 199 * 200 / 2);
    seen = (struct seen){.stop_after = 77};
    CHECK_STATUS(mn_ramcache_get_all(cache, mn_str("n"), note_entry, &seen, &err), MN_END);
    CHECK_EQ(seen.n, 77);
    seen = (struct seen){.cache = cache};
    CHECK_OK(mn_ramcache_get_all(cache, mn_str("n"), note_entry, &seen, &err));
    CHECK_EQ(seen.n, 200);
    CHECK_EQ(stats_of(cache).n_entries, 200);
    seen = (struct seen){0};
    CHECK_OK(mn_ramcache_get_all(cache, mn_str("n"), note_entry, &seen, &err));
    CHECK_OK(mn_ramcache_get_all(cache, mn_str("none"), note_entry, &seen, &err));
    CHECK_EQ(seen.n, 0);
    free_cache(cache);
}

static mn_status clear_while_walking(void *context, const struct mn_ramcache_entry *entry)
{
    struct seen *seen = context;

    (void)entry;
    if (seen->n++ == 0) {
        CHECK_EQ(clear(seen->cache, "n"), 200);
        put_number(seen->cache, "n", 1);
    }
    return MN_OK;
}

static void a_walk_survives_a_clear(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct seen seen = {.cache = cache};

    for (unsigned i = 0; i < 200; i++)
        put_number(cache, "n", i);
    CHECK_OK(mn_ramcache_get_all(cache, mn_str("n"), clear_while_walking, &seen, &err));
    CHECK(seen.n < 200);
    CHECK_EQ(stats_of(cache).n_entries, 1);
    free_cache(cache);
}

static mn_status put_while_walking(void *context, const struct mn_ramcache_entry *entry)
{
    struct seen *seen = context;
    const struct mn_ramcache_item item = {.id = entry->id, .value = mn_str("again")};

    CHECK(entry->value.n_bytes != 5);
    CHECK(seen->n++ < 200);
    CHECK_OK(mn_ramcache_put(seen->cache, mn_str("n"), &item, NULL, &err));
    put_number(seen->cache, "n", 1000 + seen->n);
    return MN_OK;
}

static mn_status drop_all_while_walking(void *context, const struct mn_ramcache_entry *entry)
{
    struct seen *seen = context;

    (void)entry;
    seen->n++;
    for (unsigned i = 0; seen->n == 1 && i < 200; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%u", i);
        (void)drop(seen->cache, "n", id);
    }
    return MN_OK;
}

static mn_status renew_namespace(void *context, struct mn_slice name, uint64_t n_entries)
{
    struct seen *seen = context;

    (void)n_entries;
    CHECK(seen->n++ < 3);
    CHECK_OK(mn_ramcache_clear_namespace(seen->cache, name, NULL, &err));
    const struct mn_ramcache_item item = {.id = mn_str("x")};
    CHECK_OK(mn_ramcache_put(seen->cache, name, &item, NULL, &err));
    return MN_OK;
}

/* What its own callback does, a walk does not go after; nor does it show what that removed. */
static void a_walk_ends_whatever_is_put(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct seen seen = {.cache = cache};

    for (unsigned i = 0; i < 200; i++)
        put_number(cache, "n", i);
    CHECK_OK(mn_ramcache_get_all(cache, mn_str("n"), put_while_walking, &seen, &err));
    CHECK_EQ(seen.n, 200);
    CHECK_EQ(stats_of(cache).n_entries, 400);
    CHECK_EQ(clear(cache, "n"), 400);
    for (unsigned i = 0; i < 200; i++)
        put_number(cache, "n", i);
    seen.n = 0;
    CHECK_OK(mn_ramcache_get_all(cache, mn_str("n"), drop_all_while_walking, &seen, &err));
    CHECK_EQ(seen.n, 1);
    CHECK_EQ(stats_of(cache).n_entries, 0);
    CHECK(put(cache, "a", "x", "1") && put(cache, "b", "x", "1") && put(cache, "c", "x", "1"));
    seen.n = 0;
    CHECK_OK(mn_ramcache_list_namespaces(cache, renew_namespace, &seen, &err));
    CHECK_EQ(seen.n, 3);
    free_cache(cache);
}

/* What is in the cache in the end counts, once for each id. */
static void a_batch_counts_what_it_left(void)
{
    enum { N_ITEMS = 400 };
    static struct mn_ramcache_item items[N_ITEMS];
    static char ids[N_ITEMS][8], bytes[2 << 20];
    mn_ramcache *cache = cache_of(1 << 20);
    uint64_t n = 7;

    items[0] = items[1] = (struct mn_ramcache_item){.id = mn_str("x"), .value = mn_str("1")};
    items[1].value = (struct mn_slice){bytes, sizeof bytes};
    CHECK_OK(mn_ramcache_put_batch(cache, mn_str("n"), items, 2, &n, &err));
    CHECK(n == 0 && !has(cache, "n", "x"));
    items[1] = (struct mn_ramcache_item){.id = mn_str("x"), .has_ttl = true};
    CHECK_OK(mn_ramcache_put_batch(cache, mn_str("n"), items, 2, &n, &err));
    CHECK(n == 0 && !has(cache, "n", "x"));
    free_cache(cache);
    cache = cache_of(1 << 16);
    for (unsigned i = 0; i < N_ITEMS; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%u", i % 100);
        items[i] = (struct mn_ramcache_item){.id = mn_str(ids[i]), .value = {bytes, 500}};
    }
    CHECK_OK(mn_ramcache_put_batch(cache, mn_str("n"), items, N_ITEMS, &n, &err));
    CHECK(n > 10 && n < 100);
    CHECK_EQ(n, stats_of(cache).n_entries);
    free_cache(cache);
}

static mn_status note_namespace(void *context, struct mn_slice name, uint64_t n_entries)
{
    struct seen *seen = context;

    CHECK_EQ(name.n_bytes, 1);
    seen->n++;
    seen->sum += (unsigned)n_entries;
    if (seen->cache != NULL)
        CHECK_OK(mn_ramcache_clear_namespace(seen->cache, name, NULL, &err));
    return MN_OK;
}

static void namespaces_are_listed(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct seen seen = {0};

    for (unsigned i = 0; i < 10; i++)
        put_number(cache, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c", i);
    CHECK_OK(mn_ramcache_list_namespaces(cache, note_namespace, &seen, &err));
    CHECK_EQ(seen.n, 3);
    CHECK_EQ(seen.sum, 10);
    CHECK_EQ(stats_of(cache).n_namespaces, 3);
    CHECK(drop(cache, "b", "1") && drop(cache, "b", "4") && drop(cache, "b", "7"));
    seen = (struct seen){.cache = cache};
    CHECK_OK(mn_ramcache_list_namespaces(cache, note_namespace, &seen, &err));
    CHECK_EQ(seen.n, 2);
    CHECK_EQ(stats_of(cache).n_namespaces, 0);
    free_cache(cache);
}

static void numbers_are_counted(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_namespace_stats of = {.size = sizeof of};
    struct mn_ramcache_info info = {.size = sizeof info};

    CHECK(put(cache, "n", "x", "12345"));
    CHECK_STR_EQ(text_of(cache, "n", "x"), "12345");
    CHECK_STR_EQ(text_of(cache, "n", "x"), "12345");
    CHECK_STR_EQ(text_of(cache, "n", "y"), "-");
    CHECK_STR_EQ(text_of(cache, "m", "x"), "-");
    CHECK(has(cache, "n", "x"));
    CHECK_OK(mn_ramcache_info(cache, mn_str("n"), mn_str("x"), &info, &err));
    CHECK_EQ(info.value_bytes, 5);
    CHECK_EQ(info.access_count, 2);
    CHECK_EQ(info.created_at_us, atomic_load(&wall_us));
    CHECK(info.memory_bytes > 5 && !info.has_expires_at);
    CHECK_STATUS(mn_ramcache_info(cache, mn_str("n"), mn_str("y"), &info, &err), MN_NOT_FOUND);
    CHECK_OK(mn_ramcache_namespace_stats(cache, mn_str("n"), &of, &err));
    CHECK_EQ(of.n_hits, 2);
    CHECK_EQ(of.n_misses, 1);
    CHECK_EQ(of.n_entries, 1);
    CHECK_EQ(of.memory_bytes, info.memory_bytes);
    CHECK_STATUS(mn_ramcache_namespace_stats(cache, mn_str("m"), &of, &err), MN_NOT_FOUND);
    CHECK(put(cache, "n", "x", "2") && drop(cache, "n", "x") && !drop(cache, "n", "x"));
    struct mn_ramcache_stats s = stats_of(cache);
    CHECK(s.n_hits == 2 && s.n_misses == 2 && s.n_puts == 2 && s.n_overwritten == 1);
    CHECK(s.n_deleted == 1 && s.n_entries == 0 && s.pinned_bytes == 0);
    CHECK_OK(mn_ramcache_namespace_stats(cache, mn_str("n"), &of, &err));
    CHECK(of.n_entries == 0 && of.n_hits == 2);
    free_cache(cache);
}

static void a_value_may_take_half_of_the_cache(void)
{
    mn_ramcache *cache = cache_of(4 << 20);
    char *bytes = calloc(1, 4 << 20);
    struct mn_ramcache_value value;

    bytes[(2 << 20) - 5000] = 'x';
    CHECK(put_item(cache, "n", "x", (struct mn_slice){bytes, (2 << 20) - 4999}, -1));
    CHECK_OK(mn_ramcache_get(cache, mn_str("n"), mn_str("x"), &value, &err));
    CHECK_MEM_EQ(value.value.data, bytes, (2 << 20) - 4999);
    mn_ramcache_value_release(&value);
    /* What is too large takes the old value along: it is no longer right. */
    CHECK(!put_item(cache, "n", "x", (struct mn_slice){bytes, (2 << 20) + 1}, -1));
    CHECK(!has(cache, "n", "x"));
    CHECK(!put_item(cache, "n", "x", (struct mn_slice){bytes, SIZE_MAX - 100}, -1));
    CHECK_EQ(stats_of(cache).n_refused, 2);
    free_cache(cache);
    free(bytes);
}

static void two_caches_do_not_know_each_other(void)
{
    mn_ramcache *a = cache_of(1 << 20);
    mn_ramcache *b = cache_of(1 << 20);

    CHECK(put(a, "n", "x", "a"));
    CHECK(put(b, "n", "y", "b"));
    CHECK_STR_EQ(text_of(b, "n", "x"), "-");
    free_cache(a);
    CHECK_STR_EQ(text_of(b, "n", "y"), "b");
    free_cache(b);
}

static void a_child_of_fork_is_refused(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_value value, copy;

    CHECK(put(cache, "n", "x", "1"));
    CHECK_OK(mn_ramcache_get(cache, mn_str("n"), mn_str("x"), &value, &err));
    pid_t child = fork();
    if (child == 0) {
        bool is_refused = mn_ramcache_get(cache, mn_str("n"), mn_str("x"), &copy, &err) ==
                              MN_ERR_FORKED &&
                          mn_ramcache_free(cache, &err) == MN_ERR_FORKED;
        mn_ramcache_value_release(&value);
        _exit(is_refused ? 0 : 1);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mn_ramcache_value_release(&value);
    free_cache(cache);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_put_is_got),
        CHECK_TEST(namespaces_have_borders),
        CHECK_TEST(any_character_may_stand_in_a_key),
        CHECK_TEST(wrong_arguments_are_refused),
        CHECK_TEST(errors_clear_what_would_be_released),
        CHECK_TEST(a_batch_is_checked_before_it_begins),
        CHECK_TEST(batches_are_positional_and_counted),
        CHECK_TEST(a_walk_shows_each_entry_once),
        CHECK_TEST(a_walk_survives_a_clear),
        CHECK_TEST(a_walk_ends_whatever_is_put),
        CHECK_TEST(a_batch_counts_what_it_left),
        CHECK_TEST(namespaces_are_listed),
        CHECK_TEST(numbers_are_counted),
        CHECK_TEST(a_value_may_take_half_of_the_cache),
        CHECK_TEST(two_caches_do_not_know_each_other),
        CHECK_TEST(a_child_of_fork_is_refused),
    };
    return check_run("ramcache.basics", tests, CHECK_COUNT(tests), argc, argv);
}
