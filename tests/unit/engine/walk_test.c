/* Tests of walks over more rows than are looked at together, in both directions. */
#include "../api/short.h"
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

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(dead_stretches_are_passed_and_later_deaths_are_not),
    };

    return check_run("engine.walk", tests, CHECK_COUNT(tests), argc, argv);
}
