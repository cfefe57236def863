/* Tests of what threads do at the same moment, made to happen rather than hoped for. */
#include "fixture.h"

#include <signal.h>
#include <sys/mman.h>

#include "io/thread.h"

enum { GUARDED_BYTES = 1 << 16 };

/* A loader that says when it runs, and waits until it may go on. */
struct source {
    struct mni_thread thread;
    mn_ramcache *cache;
    mn_status answer;
    atomic_uint may_begin;
    atomic_uint runs;
    atomic_uint may_go;
};

static mn_status load(void *context, mn_ramcache_load *load, struct mn_slice name,
                      struct mn_slice id, struct mn_error *e)
{
    struct source *source = context;
    const struct mn_ramcache_item item = {.value = mn_str("old")};

    (void)name;
    (void)id;
    atomic_store(&source->runs, 1);
    mni_word_wake_all(&source->runs);
    while (atomic_load(&source->may_go) == 0)
        mni_word_wait(&source->may_go, 0);
    return source->answer == MN_OK ? mn_ramcache_load_value(load, &item, e) : source->answer;
}

static void ask(void *context)
{
    struct source *source = context;
    struct mn_ramcache_value value;

    while (atomic_load(&source->may_begin) == 0)
        mni_word_wait(&source->may_begin, 0);
    CHECK_STATUS(mn_ramcache_get_or_load(source->cache, mn_str("n"), mn_str("x"), load, source,
                                         &value, NULL),
                 source->answer);
    if (source->answer == MN_OK)
        mn_ramcache_value_release(&value);
}

static void begin(struct source *source)
{
    atomic_store(&source->may_begin, 1);
    mni_word_wake_all(&source->may_begin);
    while (atomic_load(&source->runs) == 0)
        mni_word_wait(&source->runs, 0);
}

static void finish(struct source *source)
{
    atomic_store(&source->may_go, 1);
    mni_word_wake_all(&source->may_go);
    mni_thread_join(&source->thread);
}

/* Bytes whose first reader lets a load begin: the copy that a put makes of them is interrupted. */
static void *guarded_bytes;
static struct source *guard;

static void on_touch(int number)
{
    (void)number;
    if (mprotect(guarded_bytes, GUARDED_BYTES, PROT_READ | PROT_WRITE) != 0)
        abort();
    begin(guard);
}

static bool put_guarded(mn_ramcache *cache)
{
    struct sigaction on = {.sa_handler = on_touch}, before;

    guarded_bytes = aligned_alloc(GUARDED_BYTES, GUARDED_BYTES);
    memset(guarded_bytes, 'n', GUARDED_BYTES);
    CHECK_EQ(mprotect(guarded_bytes, GUARDED_BYTES, PROT_NONE), 0);
    CHECK_EQ(sigaction(SIGSEGV, &on, &before), 0);
    bool is_kept = put_item(cache, "n", "x", (struct mn_slice){guarded_bytes, GUARDED_BYTES}, -1);
    CHECK_EQ(sigaction(SIGSEGV, &before, NULL), 0);
    free(guarded_bytes);
    return is_kept;
}

static void a_load_that_begins_during_a_put_is_older(void)
{
    static const mn_status answers[] = {MN_OK, MN_NOT_FOUND};

    for (size_t i = 0; i < CHECK_COUNT(answers); i++) {
        struct source source = {.cache = cache_of(1 << 20), .answer = answers[i]};
        struct mn_ramcache_value value;
        guard = &source;
        CHECK_OK(mni_thread_start(&source.thread, ask, &source, &err));
        CHECK(put_guarded(source.cache));
        finish(&source);
        CHECK_OK(mn_ramcache_get(source.cache, mn_str("n"), mn_str("x"), &value, &err));
        CHECK_EQ(value.value.n_bytes, GUARDED_BYTES);
        mn_ramcache_value_release(&value);
        free_cache(source.cache);
    }
}

/* Loads `y`, and for that `x`. */
static mn_status load_over_x(void *context, mn_ramcache_load *load_of_y, struct mn_slice name,
                             struct mn_slice id, struct mn_error *e)
{
    struct source *source = context;
    struct mn_ramcache_value value;
    const struct mn_ramcache_item item = {.value = mn_str("y")};

    (void)id;
    mn_status st =
        mn_ramcache_get_or_load(source->cache, name, mn_str("x"), load, source, &value, e);
    if (st != MN_OK)
        return st;
    mn_ramcache_value_release(&value);
    return mn_ramcache_load_value(load_of_y, &item, e);
}

static void ask_for_y(void *context)
{
    struct source *source = context;
    struct mn_ramcache_value value;

    CHECK_OK_ERR(mn_ramcache_get_or_load(source->cache, mn_str("n"), mn_str("y"), load_over_x,
                                         source, &value, &err),
                 &err);
    mn_ramcache_value_release(&value);
}

static mn_status load_when_missed(void *context, mn_ramcache_load *load_of_x, struct mn_slice name,
                                  struct mn_slice id, struct mn_error *e)
{
    struct source *source = context;
    const struct mn_ramcache_item item = {.value = mn_str("x")};

    (void)name;
    (void)id;
    CHECK_OK(mni_thread_start(&source->thread, ask_for_y, source, e));
    /* `x` here, then `y` and `x` by the other thread, which waits now or will at once. */
    while (stats_of(source->cache).n_misses < 3)
        continue;
    return mn_ramcache_load_value(load_of_x, &item, e);
}

/* The other thread waits for `x` within its load of `y`, and may not have woken up yet when `y` is
 * asked for by the thread that has ended `x`. */
static void a_load_that_has_ended_makes_no_circle(void)
{
    for (int i = 0; i < 300; i++) {
        struct source source = {.cache = cache_of(1 << 17), .may_go = 1};
        struct mn_ramcache_value value;
        CHECK_OK_ERR(mn_ramcache_get_or_load(source.cache, mn_str("n"), mn_str("x"),
                                             load_when_missed, &source, &value, &err),
                     &err);
        mn_ramcache_value_release(&value);
        ask_for_y(&source);
        mni_thread_join(&source.thread);
        free_cache(source.cache);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_load_that_begins_during_a_put_is_older),
        CHECK_TEST(a_load_that_has_ended_makes_no_circle),
    };
    return check_run("ramcache.races", tests, CHECK_COUNT(tests), argc, argv);
}
