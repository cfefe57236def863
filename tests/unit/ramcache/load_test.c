/* Tests of loading: one load per key, its errors, what is newer than it, "there is none". */
#include "fixture.h"

#include "io/thread.h"

/* What a loader does, and how often it was called. */
struct source {
    mn_ramcache *cache;
    atomic_uint n_calls;
    mn_status answer;
    const char *value;
    int64_t ttl_us;
    void (*meanwhile)(struct source *source);
    atomic_uint may_go; /* 0: the loader waits */
    atomic_bool waits;
};

static mn_status load(void *context, mn_ramcache_load *load, struct mn_slice name,
                      struct mn_slice id, struct mn_error *e)
{
    struct source *source = context;

    atomic_fetch_add(&source->n_calls, 1);
    (void)name;
    (void)id;
    if (source->waits)
        while (atomic_load(&source->may_go) == 0)
            mni_word_wait(&source->may_go, 0);
    if (source->meanwhile != NULL)
        source->meanwhile(source);
    if (source->answer != MN_OK)
        return mni_fail(e, source->answer, "the source says so");
    if (source->value == NULL)
        return MN_OK;
    const struct mn_ramcache_item item = {
        .value = mn_str(source->value), .has_ttl = source->ttl_us > 0, .ttl_us = source->ttl_us};
    return mn_ramcache_load_value(load, &item, e);
}

static mn_status ask(struct source *source, const char *id, struct mn_ramcache_value *value)
{
    return mn_ramcache_get_or_load(source->cache, mn_str("n"), mn_str(id), load, source, value,
                                   &err);
}

static void what_is_missing_is_loaded_and_kept(void)
{
    struct source source = {.cache = cache_of(1 << 20), .value = "loaded"};
    struct mn_ramcache_value value;

    for (int i = 0; i < 3; i++) {
        CHECK_OK(ask(&source, "x", &value));
        CHECK_EQ(value.value.n_bytes, 6);
        CHECK_MEM_EQ(value.value.data, "loaded", 6);
        mn_ramcache_value_release(&value);
    }
    CHECK_EQ(source.n_calls, 1);
    struct mn_ramcache_stats s = stats_of(source.cache);
    CHECK(s.n_loads == 1 && s.n_misses == 1 && s.n_hits == 2 && s.n_puts == 1);
    /* A value that expires is loaded again. */
    source.ttl_us = 100;
    CHECK_OK(ask(&source, "y", &value));
    CHECK(value.has_expires_at);
    mn_ramcache_value_release(&value);
    atomic_fetch_add(&wall_us, 100);
    CHECK_OK(ask(&source, "y", &value));
    mn_ramcache_value_release(&value);
    CHECK_EQ(source.n_calls, 3);
    free_cache(source.cache);
}

static void errors_are_passed_on_and_not_kept(void)
{
    struct source source = {.cache = cache_of(1 << 20), .answer = MN_ERR_REMOTE};
    struct mn_ramcache_value value;

    CHECK_STATUS(ask(&source, "x", &value), MN_ERR_REMOTE);
    CHECK_STR_HAS(err.message, "the source says so");
    CHECK_STATUS(ask(&source, "x", &value), MN_ERR_REMOTE);
    CHECK_EQ(source.n_calls, 2);
    CHECK_EQ(stats_of(source.cache).n_load_errors, 2);
    source.answer = MN_OK;
    CHECK_STATUS(ask(&source, "x", &value), MN_ERR_INVALID); /* it gives no value */
    CHECK(!has(source.cache, "n", "x"));
    free_cache(source.cache);
}

static void what_is_not_there_is_remembered(void)
{
    struct source source = {.answer = MN_NOT_FOUND};
    struct mn_ramcache_value value;

    source.cache =
        new_cache((struct mn_ramcache_options){.max_bytes = 1 << 20, .negative_ttl_us = 1000});
    CHECK_STATUS(ask(&source, "x", &value), MN_NOT_FOUND);
    CHECK_STATUS(ask(&source, "x", &value), MN_NOT_FOUND);
    CHECK_STATUS(mn_ramcache_get(source.cache, mn_str("n"), mn_str("x"), &value, &err),
                 MN_NOT_FOUND);
    CHECK_EQ(source.n_calls, 1);
    struct mn_ramcache_stats s = stats_of(source.cache);
    CHECK(s.n_negative == 1 && s.n_negative_hits == 2 && s.n_misses == 1 && s.n_entries == 0);
    CHECK(!has(source.cache, "n", "x") && !drop(source.cache, "n", "x"));
    CHECK_STATUS(ask(&source, "x", &value), MN_NOT_FOUND);
    CHECK_EQ(source.n_calls, 2);
    atomic_fetch_add(&wall_us, 1000);
    CHECK_STATUS(ask(&source, "x", &value), MN_NOT_FOUND);
    CHECK_EQ(source.n_calls, 3);
    CHECK(put(source.cache, "n", "x", "there now"));
    CHECK_STR_EQ(text_of(source.cache, "n", "x"), "there now");
    CHECK_STATUS(ask(&source, "y", &value), MN_NOT_FOUND);
    CHECK_EQ(clear(source.cache, "n"), 1);
    CHECK_STATUS(ask(&source, "y", &value), MN_NOT_FOUND);
    CHECK_EQ(source.n_calls, 5);
    free_cache(source.cache);
}

static void what_is_remembered_as_absent_is_bounded(void)
{
    struct source source = {.answer = MN_NOT_FOUND};
    struct mn_ramcache_value value;

    source.cache = new_cache((struct mn_ramcache_options){
        .max_bytes = 1 << 20, .n_negative_max = 100, .negative_bytes_max = 20000});
    for (int i = 0; i < 1000; i++) {
        char id[400];
        (void)snprintf(id, sizeof id, "%0*d", i < 500 ? 10 : 300, i);
        CHECK_STATUS(ask(&source, id, &value), MN_NOT_FOUND);
        struct mn_ramcache_stats s = stats_of(source.cache);
        CHECK(s.n_negative <= 100 && s.n_negative > 0);
        look_inside(source.cache);
    }
    CHECK(stats_of(source.cache).n_negative < 60); /* by bytes */
    free_cache(source.cache);
    source.cache = new_cache((struct mn_ramcache_options){.negative_ttl_us = -1});
    CHECK_STATUS(ask(&source, "x", &value), MN_NOT_FOUND);
    CHECK_EQ(stats_of(source.cache).n_negative, 0);
    free_cache(source.cache);
}

static void delete_meanwhile(struct source *source)
{
    (void)drop(source->cache, "n", "x");
}

static void put_meanwhile(struct source *source)
{
    CHECK(put(source->cache, "n", "x", "newer"));
}

static void clear_meanwhile(struct source *source)
{
    (void)clear(source->cache, "n");
}

static void put_and_delete_meanwhile(struct source *source)
{
    put_meanwhile(source);
    delete_meanwhile(source);
}

static void what_happens_during_a_load_is_newer(void)
{
    static void (*const deeds[])(struct source *) = {delete_meanwhile, clear_meanwhile,
                                                     put_and_delete_meanwhile, put_meanwhile};
    struct source source = {.cache = cache_of(1 << 20)};
    struct mn_ramcache_value value;

    for (size_t i = 0; i < CHECK_COUNT(deeds); i++) {
        source.meanwhile = deeds[i];
        source.answer = MN_OK;
        source.value = "older";
        CHECK_OK(ask(&source, "x", &value));
        CHECK_MEM_EQ(value.value.data, "older", 5);
        CHECK_STR_EQ(text_of(source.cache, "n", "x"), i == 3 ? "newer" : "-");
        mn_ramcache_value_release(&value);
        (void)drop(source.cache, "n", "x");
        /* That there was none is older, too. */
        source.answer = MN_NOT_FOUND;
        CHECK_STATUS(ask(&source, "x", &value), MN_NOT_FOUND);
        CHECK_EQ(stats_of(source.cache).n_negative, 0);
        CHECK_STR_EQ(text_of(source.cache, "n", "x"), i == 3 ? "newer" : "-");
        (void)drop(source.cache, "n", "x");
    }
    free_cache(source.cache);
}

static void load_another(struct source *source)
{
    struct source other = {.cache = source->cache, .value = "other"};
    struct mn_ramcache_value value;

    CHECK_OK(ask(&other, "y", &value));
    mn_ramcache_value_release(&value);
}

static void load_the_same(struct source *source)
{
    struct mn_ramcache_value value;

    source->meanwhile = NULL;
    CHECK_STATUS(ask(source, "x", &value), MN_ERR_INVALID);
}

static void a_loader_may_load_other_keys_only(void)
{
    struct source source = {.cache = cache_of(1 << 20), .value = "1", .meanwhile = load_another};
    struct mn_ramcache_value value;

    CHECK_OK(ask(&source, "x", &value));
    mn_ramcache_value_release(&value);
    CHECK_STR_EQ(text_of(source.cache, "n", "y"), "other");
    CHECK(drop(source.cache, "n", "x"));
    source.meanwhile = load_the_same;
    CHECK_OK(ask(&source, "x", &value));
    mn_ramcache_value_release(&value);
    CHECK_EQ(source.n_calls, 2);
    free_cache(source.cache);
}

static mn_status load_too_much(void *context, mn_ramcache_load *load, struct mn_slice name,
                               struct mn_slice id, struct mn_error *e)
{
    void *data;

    (void)name;
    (void)id;
    mn_status st = mn_ramcache_load_room(load, *(size_t *)context, NULL, &data, e);
    if (st == MN_OK) {
        memset(data, 'x', *(size_t *)context);
        CHECK_STATUS(mn_ramcache_load_room(load, 1, NULL, &data, e), MN_ERR_INVALID);
    }
    return st;
}

static void what_finds_no_room_is_an_error(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_value value, held, small;
    size_t n_bytes = 1 << 20;

    CHECK_STATUS(mn_ramcache_get_or_load(cache, mn_str("n"), mn_str("x"), load_too_much, &n_bytes,
                                         &value, &err),
                 MN_ERR_BUDGET);
    n_bytes = 500000;
    CHECK_OK(mn_ramcache_get_or_load(cache, mn_str("n"), mn_str("x"), load_too_much, &n_bytes,
                                     &held, &err));
    n_bytes = 100000;
    CHECK_OK(mn_ramcache_get_or_load(cache, mn_str("n"), mn_str("z"), load_too_much, &n_bytes,
                                     &small, &err));
    n_bytes = 500000;
    CHECK_STATUS(mn_ramcache_get_or_load(cache, mn_str("n"), mn_str("y"), load_too_much, &n_bytes,
                                         &value, &err),
                 MN_ERR_BUDGET);
    CHECK(has(cache, "n", "x"));
    mn_ramcache_value_release(&held);
    CHECK_OK(mn_ramcache_get_or_load(cache, mn_str("n"), mn_str("y"), load_too_much, &n_bytes,
                                     &value, &err));
    mn_ramcache_value_release(&value);
    mn_ramcache_value_release(&small);
    CHECK(!has(cache, "n", "x"));
    free_cache(cache);
}

static void free_within(struct source *source)
{
    CHECK_STATUS(mn_ramcache_free(source->cache, &err), MN_ERR_BUSY);
}

static void a_cache_is_not_freed_within_a_loader(void)
{
    struct source source = {.cache = cache_of(1 << 20), .value = "1", .meanwhile = free_within};
    struct mn_ramcache_value value;

    CHECK_OK(ask(&source, "x", &value));
    mn_ramcache_value_release(&value);
    free_cache(source.cache);
}

static void loaded_values_tell_what_others_tell(void)
{
    struct source source = {.cache = cache_of(1 << 20), .value = "1"};
    struct mn_ramcache_value value;

    CHECK_OK(ask(&source, "x", &value));
    CHECK_EQ(value.access_count, 1);
    mn_ramcache_value_release(&value);
    CHECK_OK(ask(&source, "x", &value));
    CHECK_EQ(value.access_count, 2);
    mn_ramcache_value_release(&value);
    source.meanwhile = clear_meanwhile;
    CHECK_OK(ask(&source, "y", &value));
    CHECK_EQ(value.created_at_us, atomic_load(&wall_us));
    CHECK_EQ(value.access_count, 1);
    mn_ramcache_value_release(&value);
    free_cache(source.cache);
}

static mn_status load_expired(void *context, mn_ramcache_load *load, struct mn_slice name,
                              struct mn_slice id, struct mn_error *e)
{
    const struct mn_ramcache_item item = {.value = mn_str("1"), .has_ttl = true};

    (void)context;
    (void)name;
    (void)id;
    return mn_ramcache_load_value(load, &item, e);
}

static void what_is_loaded_expired_is_counted(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_value value;

    CHECK_OK(
        mn_ramcache_get_or_load(cache, mn_str("n"), mn_str("x"), load_expired, NULL, &value, &err));
    CHECK_MEM_EQ(value.value.data, "1", 1);
    mn_ramcache_value_release(&value);
    struct mn_ramcache_stats s = stats_of(cache);
    CHECK(s.n_puts == 1 && s.n_expired == 1 && s.n_entries == 0);
    free_cache(cache);
}

/* Many threads ----------*/

enum { N_READERS = 64, N_READS_EACH = 157 };

struct reader {
    struct mni_thread thread;
    struct source *source;
    const char *id;
    atomic_uint *n_right;
};

static void read_often(void *context)
{
    struct reader *reader = context;
    struct mn_ramcache_value value;

    for (int i = 0; i < N_READS_EACH; i++) {
        mn_status st = mn_ramcache_get_or_load(reader->source->cache, mn_str("n"),
                                               mn_str(reader->id), load, reader->source, &value,
                                               NULL);
        bool is_right = st == MN_OK && value.value.n_bytes == 6 &&
                        memcmp(value.value.data, "loaded", 6) == 0;
        if (st == MN_OK)
            mn_ramcache_value_release(&value);
        atomic_fetch_add(reader->n_right, is_right);
    }
}

static void many_readers_make_one_fetch(void)
{
    static struct reader readers[N_READERS];
    struct source source = {.cache = cache_of(1 << 20), .value = "loaded", .waits = true};
    atomic_uint n_right = 0;

    for (int i = 0; i < N_READERS; i++) {
        readers[i] = (struct reader){.source = &source, .id = "x", .n_right = &n_right};
        CHECK_OK(mni_thread_start(&readers[i].thread, read_often, &readers[i], &err));
    }
    /* All but the loader wait, or have not begun: both are looked for in the end. */
    while (stats_of(source.cache).n_misses < N_READERS)
        continue;
    atomic_store(&source.may_go, 1);
    mni_word_wake_all(&source.may_go);
    for (int i = 0; i < N_READERS; i++)
        mni_thread_join(&readers[i].thread);
    CHECK_EQ(n_right, N_READERS * N_READS_EACH);
    CHECK_EQ(source.n_calls, 1);
    CHECK_EQ(stats_of(source.cache).n_misses, N_READERS);
    CHECK_EQ(stats_of(source.cache).pinned_bytes, 0);
    free_cache(source.cache);
}

static void ask_once(void *context)
{
    struct reader *reader = context;
    struct mn_ramcache_value value;
    mn_status st = mn_ramcache_get_or_load(reader->source->cache, mn_str("n"), mn_str(reader->id),
                                           load, reader->source, &value, NULL);

    atomic_fetch_add(reader->n_right, st == MN_ERR_REMOTE);
    if (st == MN_OK)
        mn_ramcache_value_release(&value);
}

static void an_error_goes_to_all_who_wait(void)
{
    struct reader readers[8];
    struct source source = {.cache = cache_of(1 << 20), .answer = MN_ERR_REMOTE, .waits = true};
    atomic_uint n_right = 0;

    for (int i = 0; i < 8; i++) {
        readers[i] = (struct reader){.source = &source, .id = "x", .n_right = &n_right};
        CHECK_OK(mni_thread_start(&readers[i].thread, ask_once, &readers[i], &err));
    }
    while (stats_of(source.cache).n_misses < 8)
        continue;
    atomic_store(&source.may_go, 1);
    mni_word_wake_all(&source.may_go);
    for (int i = 0; i < 8; i++)
        mni_thread_join(&readers[i].thread);
    CHECK_EQ(n_right, 8);
    CHECK_EQ(stats_of(source.cache).n_load_errors, source.n_calls);
    free_cache(source.cache);
}

/* Two loaders, each of which asks for the other's key once both run. */
struct crossed {
    mn_ramcache *cache;
    atomic_uint n_running;
    atomic_uint n_refused;
    atomic_uint n_loaded;
};

static mn_status load_crossed(void *context, mn_ramcache_load *load, struct mn_slice name,
                              struct mn_slice id, struct mn_error *e)
{
    struct crossed *crossed = context;
    struct mn_ramcache_value value;
    bool is_a = *(const char *)id.data == 'a';
    const struct mn_ramcache_item item = {.value = mn_str("v")};

    atomic_fetch_add(&crossed->n_running, 1);
    mni_word_wake_all(&crossed->n_running);
    while (atomic_load(&crossed->n_running) < 2)
        mni_word_wait(&crossed->n_running, 1);
    mn_status st = mn_ramcache_get_or_load(crossed->cache, name, mn_str(is_a ? "b" : "a"),
                                           load_crossed, crossed, &value, NULL);
    atomic_fetch_add(&crossed->n_refused, st == MN_ERR_INVALID);
    atomic_fetch_add(&crossed->n_loaded, st == MN_OK);
    if (st == MN_OK)
        mn_ramcache_value_release(&value);
    return mn_ramcache_load_value(load, &item, e);
}

struct crosser {
    struct mni_thread thread;
    struct crossed *crossed;
    const char *id;
    mn_status st;
};

static void cross(void *context)
{
    struct crosser *crosser = context;
    struct mn_ramcache_value value;

    crosser->st = mn_ramcache_get_or_load(crosser->crossed->cache, mn_str("n"), mn_str(crosser->id),
                                          load_crossed, crosser->crossed, &value, NULL);
    if (crosser->st == MN_OK)
        mn_ramcache_value_release(&value);
}

static void loaders_that_wait_for_each_other_are_refused(void)
{
    struct crossed crossed = {.cache = cache_of(1 << 20)};
    struct crosser crossers[2] = {{.crossed = &crossed, .id = "a"},
                                  {.crossed = &crossed, .id = "b"}};

    for (int i = 0; i < 2; i++)
        CHECK_OK(mni_thread_start(&crossers[i].thread, cross, &crossers[i], &err));
    for (int i = 0; i < 2; i++)
        mni_thread_join(&crossers[i].thread);
    CHECK_OK(crossers[0].st);
    CHECK_OK(crossers[1].st);
    CHECK_EQ(crossed.n_refused, 1);
    CHECK_EQ(crossed.n_loaded, 1);
    free_cache(crossed.cache);
}

static void who_comes_after_a_delete_does_not_get_the_old_load(void)
{
    struct source old = {.cache = cache_of(1 << 20), .value = "old", .waits = true};
    struct source new = {.cache = old.cache, .value = "new"};
    atomic_uint n_right = 0;
    struct reader reader = {.source = &old, .id = "x", .n_right = &n_right};
    struct mn_ramcache_value value;

    CHECK_OK(mni_thread_start(&reader.thread, ask_once, &reader, &err));
    while (atomic_load(&old.n_calls) == 0)
        continue;
    (void)drop(old.cache, "n", "x");
    CHECK_OK(ask(&new, "x", &value));
    CHECK_MEM_EQ(value.value.data, "new", 3);
    mn_ramcache_value_release(&value);
    atomic_store(&old.may_go, 1);
    mni_word_wake_all(&old.may_go);
    mni_thread_join(&reader.thread);
    CHECK_STR_EQ(text_of(old.cache, "n", "x"), "new");
    free_cache(old.cache);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_missing_is_loaded_and_kept),
        CHECK_TEST(errors_are_passed_on_and_not_kept),
        CHECK_TEST(what_is_not_there_is_remembered),
        CHECK_TEST(what_is_remembered_as_absent_is_bounded),
        CHECK_TEST(what_happens_during_a_load_is_newer),
        CHECK_TEST(a_loader_may_load_other_keys_only),
        CHECK_TEST(what_finds_no_room_is_an_error),
        CHECK_TEST(a_cache_is_not_freed_within_a_loader),
        CHECK_TEST(loaded_values_tell_what_others_tell),
        CHECK_TEST(what_is_loaded_expired_is_counted),
        CHECK_TEST(many_readers_make_one_fetch),
        CHECK_TEST(an_error_goes_to_all_who_wait),
        CHECK_TEST(loaders_that_wait_for_each_other_are_refused),
        CHECK_TEST(who_comes_after_a_delete_does_not_get_the_old_load),
    };
    return check_run("ramcache.load", tests, CHECK_COUNT(tests), argc, argv);
}
