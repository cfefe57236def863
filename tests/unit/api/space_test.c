/* Tests of the settings of spaces. */
#include <inttypes.h>

#include "api/store_private.h"
#include "base/mem.h"
#include "engine/engine_private.h"
#include "points.h"

static uint64_t alter(uint32_t space, const struct mn_space_changes *changes)
{
    struct mn_space_changes c = *changes;
    uint64_t lsn = 7;

    c.size = sizeof c;
    CHECK_OK_ERR(mn_temporal_alter_space(store, space, &c, NULL, &lsn, &err), &err);
    return lsn;
}

static mn_status try_alter(uint32_t space, const struct mn_space_changes *changes)
{
    struct mn_space_changes c = *changes;

    c.size = sizeof c;
    return mn_temporal_alter_space(store, space, &c, NULL, NULL, &err);
}

static void the_settings_of_a_space_are_part_of_what_it_is(void)
{
    struct mn_space_options o = {.size = sizeof o,
                                 .n_dims = N_DIMS,
                                 .name = mn_str("me"),
                                 .keyframe_every = 1000,
                                 .keep_us = INT64_MAX,
                                 .keep_points = UINT64_MAX};
    bool created = false;

    begin();
    CHECK_OK_ERR(mn_temporal_create_space(store, 7, &o, NULL, &created, NULL, &err), &err);
    CHECK(created);
    for (int i = 0; i < 3; i++) {
        struct mn_space_info info = info_of(7);
        CHECK_EQ(info.keyframe_every, 1000);
        CHECK_EQ(info.keep_us, INT64_MAX);
        CHECK_EQ(info.keep_points, UINT64_MAX);
        CHECK_EQ(info.history_us, 0);
        CHECK_OK_ERR(mn_temporal_create_space(store, 7, &o, NULL, &created, NULL, &err), &err);
        CHECK(!created);
        if (i == 1)
            checkpoint();
        reopen();
    }
    o.keep_points--;
    CHECK_STATUS(mn_temporal_create_space(store, 7, &o, NULL, NULL, NULL, &err), MN_EXISTS);
    CHECK_STR_EQ(err.message, "space 7 exists and has other settings");
    o.keep_points++;
    o.keyframe_every = 0;
    CHECK_STATUS(mn_temporal_create_space(store, 7, &o, NULL, NULL, NULL, &err), MN_EXISTS);
    closed(store);
}

static void what_is_altered_stays_and_the_rest_is_as_it_was(void)
{
    const struct mn_space_changes frames = {.fields = MN_SPACE_KEYFRAME_EVERY,
                                            .keyframe_every = MN_KEYFRAME_EVERY_DEFAULT,
                                            .keep_us = 5};
    const struct mn_space_changes keep = {
        .fields = MN_SPACE_KEEP_US | MN_SPACE_KEEP_POINTS, .keep_us = INT64_MAX, .keep_points = 40};
    const struct mn_space_changes all = {.fields = MN_SPACE_KEYFRAME_EVERY};

    begin_with(7);
    (void)put_at(7, 1, 1);
    uint64_t created_lsn = info_of(7).created_lsn;
    CHECK_EQ(alter(7, &frames), 3);
    CHECK_EQ(alter(7, &frames), 0); /* it is so */
    CHECK_EQ(info_of(7).keep_us, 0);
    CHECK_EQ(alter(7, &keep), 4);
    for (int i = 0; i < 2; i++) {
        struct mn_space_info info = info_of(7);
        CHECK_EQ(info.keyframe_every, 10);
        CHECK_EQ(info.keep_us, INT64_MAX);
        CHECK_EQ(info.keep_points, 40);
        CHECK_EQ(info.created_lsn, created_lsn);
        CHECK_EQ(info.n_dims, N_DIMS);
        CHECK_EQ(info.n_points, 1);
        checkpoint();
        reopen();
    }
    struct mn_timeline timeline;
    CHECK_OK_ERR(mn_temporal_timeline(store, 7, 1, &timeline, &err), &err);
    CHECK_EQ(timeline.keyframe_every, 10);
    CHECK(alter(7, &all) > 0);
    CHECK_OK_ERR(mn_temporal_timeline(store, 7, 1, &timeline, &err), &err);
    CHECK_EQ(timeline.keyframe_every, 0);
    CHECK_EQ(info_of(7).keep_points, 40);
    closed(store);
}

static void wrong_settings_are_refused(void)
{
    static const struct mn_space_changes bad[] = {
        {.fields = 0},
        {.fields = 16},
        {.fields = MN_SPACE_KEYFRAME_EVERY, .keyframe_every = 1},
        {.fields = MN_SPACE_KEYFRAME_EVERY, .keyframe_every = 1001},
        {.fields = MN_SPACE_KEEP_US, .keep_us = -1},
        {.fields = MN_SPACE_KEEP_US, .keep_us = INT64_MIN},
        {.fields = MN_SPACE_HISTORY_US, .history_us = -1},
    };
    struct mn_space_options o = {.size = sizeof o, .n_dims = N_DIMS, .keyframe_every = 1};
    const struct mn_space_changes good = {.fields = MN_SPACE_KEEP_US, .keep_us = 1};

    begin_with(7);
    for (size_t i = 0; i < CHECK_COUNT(bad); i++)
        CHECK_STATUS(try_alter(7, &bad[i]), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_alter_space(store, 7, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_alter_space(store, 7, &good, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_temporal_alter_space(NULL, 7, &good, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(try_alter(8, &good), MN_NOT_FOUND);
    CHECK_STR_EQ(err.message, "there is no space 8");
    CHECK_STATUS(mn_temporal_create_space(store, 8, &o, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    o.keyframe_every = 0;
    o.keep_us = -1;
    CHECK_STATUS(mn_temporal_create_space(store, 8, &o, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_EQ(info_of(7).keep_us, 0);
    closed(store);
}

static void layouts_are_those_of_all_spaces(void)
{
    const struct mn_space_changes frames = {.fields = MN_SPACE_KEYFRAME_EVERY,
                                            .keyframe_every = 500};
    struct space_layout *layouts = NULL;
    size_t n = 9;

    begin();
    CHECK_OK_ERR(engine_list_layouts(store->engine, UINT64_MAX, &layouts, &n, &err), &err);
    CHECK_EQ(n, 0);
    mni_free(layouts);
    CHECK(make(9, "", N_DIMS));
    put(store, mn_str("beside"), mn_str("it"), "x");
    CHECK(make(8, "eight", N_DIMS));
    CHECK(alter(8, &frames) > 0);
    for (int i = 0; i < 3; i++) {
        CHECK_OK_ERR(engine_list_layouts(store->engine, UINT64_MAX, &layouts, &n, &err), &err);
        CHECK_EQ(n, 2);
        CHECK(layouts[0].collection == 1 && layouts[0].keyframe_every == 0);
        CHECK(layouts[1].collection == 3 && layouts[1].keyframe_every == 500);
        mni_free(layouts);
        checkpoint();
        reopen();
    }
    for (uint32_t space = 100; space < 150; space++)
        CHECK(make(space, "", 1));
    CHECK_OK_ERR(engine_list_layouts(store->engine, UINT64_MAX, &layouts, &n, &err), &err);
    CHECK_EQ(n, 52);
    for (size_t i = 1; i < n; i++)
        CHECK(layouts[i - 1].collection < layouts[i].collection);
    mni_free(layouts);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_settings_of_a_space_are_part_of_what_it_is),
        CHECK_TEST(what_is_altered_stays_and_the_rest_is_as_it_was),
        CHECK_TEST(wrong_settings_are_refused),
        CHECK_TEST(layouts_are_those_of_all_spaces),
    };

    return check_run("api.space", tests, CHECK_COUNT(tests), argc, argv);
}
