/* Tests of walks, both ways, over more rows than are looked at together, and of counting. */
#include "../api/short.h"
#include "engine/engine.h"
#include "io/crash.h"

enum { N = 500 };

static struct mn_error err;

static struct mn_slice key(int i)
{
    static char text[8];

    (void)snprintf(text, sizeof text, "%05d", i);
    return mn_str(text);
}

static void remove_some(mn_store *store, int first, int end)
{
    for (int i = first; i < end; i++)
        CHECK_OK(mn_delete(store, mn_str("n"), key(i), NULL, NULL, NULL, NULL));
}

static mn_iter *walk_of(mn_store *store, bool reverse)
{
    struct mn_iter_options o = {.size = sizeof o, .reverse = reverse};
    mn_iter *iter = NULL;

    CHECK_OK_ERR(mn_iter_open(store, mn_str("n"), &o, &iter, &err), &err);
    return iter;
}

/* All but those in [gap, gap_end), of which there may be none. */
static void check_walk(mn_iter *iter, bool reverse, int gap, int gap_end)
{
    struct mn_view view;

    for (int n = 0; n < N; n++) {
        int i = reverse ? N - 1 - n : n;
        if (i >= gap && i < gap_end)
            continue;
        CHECK_OK_ERR(mn_iter_next(iter, &view, &err), &err);
        CHECK_MEM_EQ(view.id.data, key(i).data, 5);
        CHECK_EQ(view.fields, i % 100 == 63 ? MN_HAS_EXPIRES_AT : 0);
        mn_view_release(&view);
    }
    CHECK_STATUS(mn_iter_next(iter, &view, &err), MN_END);
    mn_iter_close(iter);
}

static void dead_stretches_are_passed_and_later_deaths_are_not(void)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        struct mn_options o = {.size = sizeof o, .create = true, .no_background = true};
        struct mni_crash_env *crash = NULL;
        mn_store *store = NULL;
        CHECK_OK(mni_crash_env_new(1, &crash));
        CHECK_OK(mni_api_store_open(mni_crash_env_base(crash), "/s", &o, &store, &err));
        for (int i = 0; i < N; i++)
            (void)put(store, mn_str("n"), key(i), "x");
        CHECK_OK(mn_checkpoint(store, &err));
        for (int i = 63; i < N; i += 100)
            CHECK_OK(mn_touch(store, mn_str("n"), key(i), MN_HAS_EXPIRES_AT, INT64_MAX, NULL, NULL,
                              &err));
        mn_iter *first = walk_of(store, reverse != 0);
        remove_some(store, 70, 330);
        mn_iter *second = walk_of(store, reverse != 0);
        remove_some(store, 0, 70);
        remove_some(store, 330, N);
        check_walk(first, reverse != 0, 0, 0);
        check_walk(second, reverse != 0, 70, 330);
        check_walk(walk_of(store, reverse != 0), reverse != 0, 0, N);
        closed(store);
        mni_crash_env_free(crash);
    }
}

/* Counting ---------- */

/* Records 0 to N - 1: the first 300 in a segment, the others not. */
static mn_store *store_with_records(struct mni_crash_env **crash_out)
{
    struct mn_options o = {.size = sizeof o, .create = true, .no_background = true};
    mn_store *store = NULL;

    CHECK_OK(mni_crash_env_new(1, crash_out));
    CHECK_OK(mni_api_store_open(mni_crash_env_base(*crash_out), "/s", &o, &store, &err));
    for (int i = 0; i < N; i++) {
        (void)put(store, mn_str("n"), key(i), "x");
        if (i == 299)
            CHECK_OK(mn_checkpoint(store, &err));
    }
    return store;
}

static struct mni_walk *engine_walk(mn_store *store)
{
    const struct mni_walk_options all = {.reverse = false};
    struct mni_collection c;
    struct mni_walk *walk = NULL;

    CHECK_OK(mni_walk_open(mni_api_store_engine(store), &all, &walk, &err));
    CHECK_OK(mni_view_collection(mni_walk_view(walk), MNI_KIND_NAMESPACE, mn_str("n"), &c, &err));
    CHECK_OK(mni_walk_start(walk, c.number, &err));
    return walk;
}

static void check_count(struct mni_walk *walk, const char *prefix, uint64_t expected)
{
    const struct mni_walk_options options = {.prefix = mn_str(prefix)};
    uint64_t n = 0;

    CHECK_OK_ERR(mni_walk_again(walk, &options, &err), &err);
    CHECK_OK_ERR(mni_walk_count(walk, &n, &err), &err);
    CHECK_EQ(n, expected);
}

static void a_count_is_that_of_the_view(void)
{
    struct mni_crash_env *crash = NULL;
    mn_store *store = store_with_records(&crash);
    struct mni_walk *before = engine_walk(store);

    remove_some(store, 10, 80);
    remove_some(store, 420, 430);
    CHECK_OK(mn_checkpoint(store, &err));
    struct mni_walk *between = engine_walk(store);
    (void)put(store, mn_str("n"), key(50), "again");
    remove_some(store, 90, 200);
    struct mni_walk *after = engine_walk(store);
    check_count(before, "", N);
    check_count(before, "000", 100);
    check_count(between, "", N - 80);
    check_count(between, "000", 30);
    check_count(between, "004", 90);
    check_count(after, "", N - 80 + 1 - 110);
    check_count(after, "0000", 10);
    check_count(after, "0005", 1);
    check_count(after, "1", 0);
    check_count(before, "", N); /* as often as one likes */
    mni_walk_close(before);
    mni_walk_close(between);
    mni_walk_close(after);
    closed(store);
    mni_crash_env_free(crash);
}

static void rows_beyond_one_lock_are_counted(void)
{
    struct mni_crash_env *crash = NULL;
    mn_store *store = store_with_records(&crash);

    for (int i = N; i < 2500; i++)
        (void)put(store, mn_str("n"), key(i), "x");
    CHECK_OK(mn_checkpoint(store, &err));
    struct mni_walk *before = engine_walk(store);
    remove_some(store, 1000, 1100);
    remove_some(store, 2040, 2060);
    remove_some(store, 2499, 2500);
    struct mni_walk *after = engine_walk(store);
    check_count(before, "", 2500);
    check_count(after, "", 2500 - 100 - 20 - 1);
    check_count(after, "01", 900);
    check_count(after, "02", 500 - 20 - 1);
    mni_walk_close(before);
    mni_walk_close(after);
    closed(store);
    mni_crash_env_free(crash);
}

static void what_has_expired_is_not_counted(void)
{
    struct mni_crash_env *crash = NULL;
    mn_store *store = store_with_records(&crash);
    struct mni_walk *before = engine_walk(store);

    for (int i = 0; i < N; i += 10)
        CHECK_OK(mn_touch(store, mn_str("n"), key(i), MN_HAS_EXPIRES_AT, 0, NULL, NULL, &err));
    CHECK_OK(mn_touch(store, mn_str("n"), key(5), MN_HAS_EXPIRES_AT, INT64_MAX, NULL, NULL, &err));
    for (int i = 0; i < 2; i++) {
        struct mni_walk *after = engine_walk(store);
        check_count(after, "", N - N / 10);
        check_count(after, "000", 90);
        check_count(after, "004", 90);
        mni_walk_close(after);
        check_count(before, "", N);
        if (i == 0)
            CHECK_OK(mn_checkpoint(store, &err));
    }
    mni_walk_close(before);
    closed(store);
    mni_crash_env_free(crash);
}

static void a_walk_that_begins_anew_shows_the_same_moment(void)
{
    static const char *const prefixes[] = {"00299", "00300", "00450", "00000"};
    struct mni_crash_env *crash = NULL;
    mn_store *store = store_with_records(&crash);
    struct mni_walk *walk = engine_walk(store);
    struct mni_found found;

    for (int i = 0; i < 3; i++) { /* some is read ahead */
        CHECK_OK(mni_walk_next(walk, &found, &err));
        mni_pin_release(found.pin);
    }
    remove_some(store, 0, N);
    CHECK_OK(mn_checkpoint(store, &err));
    for (size_t i = 0; i < CHECK_COUNT(prefixes); i++) {
        const struct mni_walk_options one = {.prefix = mn_str(prefixes[i]), .reverse = i % 2 == 1};
        CHECK_OK_ERR(mni_walk_again(walk, &one, &err), &err);
        CHECK_OK_ERR(mni_walk_next(walk, &found, &err), &err);
        CHECK_MEM_EQ(found.record.key.data, prefixes[i], 5);
        mni_pin_release(found.pin);
        CHECK_STATUS(mni_walk_next(walk, &found, &err), MN_END);
    }
    mni_walk_close(walk);
    closed(store);
    mni_crash_env_free(crash);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(dead_stretches_are_passed_and_later_deaths_are_not),
        CHECK_TEST(a_count_is_that_of_the_view),
        CHECK_TEST(rows_beyond_one_lock_are_counted),
        CHECK_TEST(what_has_expired_is_not_counted),
        CHECK_TEST(a_walk_that_begins_anew_shows_the_same_moment),
    };

    return check_run("engine.walk", tests, CHECK_COUNT(tests), argc, argv);
}
