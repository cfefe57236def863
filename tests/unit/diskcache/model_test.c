/*
 * model_test.c - random operations against a naive model, with reopenings and a clock that is
 * turned forward and back. Without a bound nothing is evicted, so that every answer is known.
 */
#include <stdlib.h>

#include "api/api.h"
#include "diskcache/kit.h"
#include "io/posix.h"

enum { N_NAMES = 4, N_IDS = 40, STEPS = 12000, BATCH_MAX = 30 };

/* A world whose clock the test sets. */
static int64_t clock_us;

static int64_t read_clock(struct mni_env *env)
{
    (void)env;
    return clock_us;
}

static int64_t mono_us = 1;

static int64_t read_mono(struct mni_env *env)
{
    (void)env;
    return mono_us;
}

static struct mni_env *make_world(void)
{
    static struct mni_env_ops ops;
    static struct mni_env env;

    ops = *mni_posix_env()->ops;
    ops.wall_us = read_clock;
    ops.mono_us = read_mono;
    env.ops = &ops;
    return &env;
}

struct known {
    bool is_there;
    uint32_t turn;
    uint64_t n_gets;
    int64_t created_at_us;
    int64_t expires_at_us; /* INT64_MAX: never */
};

static struct known model[N_NAMES][N_IDS];
static int64_t model_now_us;
static mn_diskcache *cache;
static uint64_t seed;
static const char *path;

static struct mn_slice name_of(uint64_t n)
{
    static const char *const names[N_NAMES] = {"a", "a:b", "a\xc3\xbc", "b"};

    return mn_str(names[n]);
}

static struct mn_slice id_of(char text[8], uint64_t id)
{
    return (struct mn_slice){text, (size_t)snprintf(text, 8, "%d", (int)id)};
}

static struct mn_slice value_of(char text[64], uint64_t name, uint64_t id, uint32_t turn)
{
    return (struct mn_slice){text,
                             (size_t)snprintf(text, 64, "%d/%d/%d", (int)name, (int)id, (int)turn) %
                                 (turn % 7 == 0 ? 1 : 64)};
}

static void open_cache(void)
{
    const struct mn_diskcache_options o = {
        .size = sizeof o, .path = path, .has_max_bytes = true, .write_buffer_bytes = 64 << 10};

    CHECK_OK(mni_api_diskcache_open(make_world(), &o, &cache, NULL));
}

/* Time goes on, but never back. */
static void tick(void)
{
    clock_us += (int64_t)check_below(&seed, 100);
    if (check_below(&seed, 200) == 0)
        clock_us -= 5000;
    if (clock_us > model_now_us)
        model_now_us = clock_us;
    (void)kit_stats(cache); /* not every call asks for the time */
    for (int n = 0; n < N_NAMES; n++)
        for (int i = 0; i < N_IDS; i++)
            if (model[n][i].expires_at_us <= model_now_us)
                model[n][i].is_there = false;
}

static struct mn_diskcache_item random_item(uint64_t name, uint64_t id, uint32_t turn,
                                            char id_text[8], char value_text[64])
{
    struct mn_diskcache_item item = {.id = id_of(id_text, id),
                                     .value = value_of(value_text, name, id, turn)};

    item.has_ttl = check_below(&seed, 3) == 0;
    item.ttl_us = (int64_t)check_below(&seed, 4) * 5000;
    item.has_expires_at = check_below(&seed, 5) == 0;
    item.expires_at_us = model_now_us + (int64_t)check_below(&seed, 20000) - 1000;
    return item;
}

/* Returns whether it is kept. */
static bool model_put(uint64_t name, uint64_t id, uint32_t turn,
                      const struct mn_diskcache_item *item)
{
    int64_t expires = item->has_expires_at ? item->expires_at_us
                      : item->has_ttl      ? model_now_us + item->ttl_us
                                           : INT64_MAX;

    model[name][id] = (struct known){.is_there = expires > model_now_us,
                                     .turn = turn,
                                     .created_at_us = model_now_us,
                                     .expires_at_us = expires};
    return expires > model_now_us;
}

static void put_one(uint64_t name, uint32_t turn)
{
    char id_text[8];
    char value_text[64];
    uint64_t id = check_below(&seed, N_IDS);
    struct mn_diskcache_item item = random_item(name, id, turn, id_text, value_text);
    bool kept = false;

    CHECK_OK(mn_diskcache_put(cache, name_of(name), &item, &kept, NULL));
    CHECK_EQ(kept, model_put(name, id, turn, &item));
}

static void put_batch(uint64_t name, uint32_t turn)
{
    static char id_texts[BATCH_MAX][8];
    static char value_texts[BATCH_MAX][64];
    struct mn_diskcache_item items[BATCH_MAX];
    bool is_kept[N_IDS] = {false};
    size_t n = check_below(&seed, BATCH_MAX);
    uint64_t n_expected = 0;
    uint64_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t id = check_below(&seed, N_IDS);
        items[i] = random_item(name, id, turn, id_texts[i], value_texts[i]);
        is_kept[id] = model_put(name, id, turn, &items[i]);
    }
    for (size_t i = 0; i < N_IDS; i++)
        n_expected += is_kept[i];
    CHECK_OK(mn_diskcache_put_batch(cache, name_of(name), items, n, &n_kept, NULL));
    CHECK_EQ(n_kept, n_expected);
}

static void check_value(uint64_t name, uint64_t id, struct mn_diskcache_value *got)
{
    struct known *k = &model[name][id];
    char text[64];
    struct mn_slice value = value_of(text, name, id, k->turn);

    CHECK_EQ(got->pin != NULL, k->is_there);
    if (!k->is_there)
        return;
    CHECK_EQ(got->value.n_bytes, value.n_bytes);
    CHECK_MEM_EQ(got->value.data, value.data, value.n_bytes);
    CHECK_EQ(got->access_count, ++k->n_gets);
    CHECK_EQ(got->created_at_us, k->created_at_us);
    CHECK_EQ(got->has_expires_at, k->expires_at_us != INT64_MAX);
    mn_diskcache_value_release(got);
}

static void get_batch(uint64_t name)
{
    static char texts[BATCH_MAX][8];
    struct mn_slice ids[BATCH_MAX];
    uint64_t numbers[BATCH_MAX];
    struct mn_diskcache_value got[BATCH_MAX];
    size_t n = check_below(&seed, BATCH_MAX);
    size_t n_expected = 0;
    size_t n_found = 0;

    for (size_t i = 0; i < n; i++) {
        numbers[i] = check_below(&seed, N_IDS);
        ids[i] = id_of(texts[i], numbers[i]);
        n_expected += model[name][numbers[i]].is_there;
    }
    CHECK_OK(mn_diskcache_get_batch(cache, name_of(name), ids, n, got, &n_found, NULL));
    CHECK_EQ(n_found, n_expected);
    for (size_t i = 0; i < n; i++)
        check_value(name, numbers[i], &got[i]);
}

static void delete_some(uint64_t name)
{
    static char texts[BATCH_MAX][8];
    struct mn_slice ids[BATCH_MAX];
    size_t n = 1 + check_below(&seed, 5);
    uint64_t n_expected = 0;
    uint64_t n_existed = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t id = check_below(&seed, N_IDS);
        ids[i] = id_of(texts[i], id);
        n_expected += model[name][id].is_there;
        model[name][id].is_there = false;
    }
    CHECK_OK(mn_diskcache_delete_batch(cache, name_of(name), ids, n, &n_existed, NULL));
    CHECK_EQ(n_existed, n_expected);
}

static uint64_t model_count(uint64_t name)
{
    uint64_t n = 0;

    for (int i = 0; i < N_IDS; i++)
        n += model[name][i].is_there;
    return n;
}

static mn_status count_entry(void *context, const struct mn_diskcache_entry *entry)
{
    char text[8] = "";
    uint64_t *seen = context;

    CHECK(entry->id.n_bytes < sizeof text);
    memcpy(text, entry->id.data, entry->id.n_bytes);
    uint64_t id = strtoull(text, NULL, 10);
    CHECK(id < N_IDS);
    CHECK((seen[1] & UINT64_C(1) << id) == 0);
    seen[1] |= UINT64_C(1) << id;
    seen[0]++;
    return MN_OK;
}

static void walk(uint64_t name)
{
    uint64_t seen[2] = {0, 0};

    CHECK_OK(mn_diskcache_get_all(cache, name_of(name), count_entry, seen, NULL));
    CHECK_EQ(seen[0], model_count(name));
    for (uint64_t id = 0; id < N_IDS; id++)
        CHECK_EQ((seen[1] >> id) & 1, model[name][id].is_there);
}

static mn_status check_name(void *context, struct mn_slice name, uint64_t n_entries)
{
    uint64_t *n_names = context;

    for (uint64_t n = 0; n < N_NAMES; n++)
        if (name_of(n).n_bytes == name.n_bytes &&
            memcmp(name_of(n).data, name.data, name.n_bytes) == 0)
            CHECK_EQ(n_entries, model_count(n));
    (*n_names)++;
    return MN_OK;
}

static void check_all(void)
{
    struct mn_diskcache_stats s = kit_stats(cache);
    uint64_t n_entries = 0;
    uint64_t n_expected = 0;
    uint64_t n_names = 0;

    for (uint64_t n = 0; n < N_NAMES; n++) {
        n_entries += model_count(n);
        n_expected += model_count(n) > 0;
    }
    CHECK_EQ(s.n_entries, n_entries);
    CHECK_EQ(s.n_namespaces, n_expected);
    CHECK_EQ(s.n_evicted + s.n_lost + s.n_errors + s.n_rebuilds, 0);
    CHECK(kit_adds_up(&s));
    CHECK_OK(mn_diskcache_list_namespaces(cache, check_name, &n_names, NULL));
    CHECK_EQ(n_names, n_expected);
}

static void clear(uint64_t name)
{
    uint64_t n_removed = 0;

    CHECK_OK(mn_diskcache_clear_namespace(cache, name_of(name), &n_removed, NULL));
    CHECK_EQ(n_removed, model_count(name));
    for (int i = 0; i < N_IDS; i++)
        model[name][i].is_there = false;
}

static void step(uint32_t turn)
{
    uint64_t name = check_below(&seed, N_NAMES);
    uint64_t what = check_below(&seed, 1000);
    bool sealed = false;

    tick();
    if (what < 350)
        put_one(name, turn);
    else if (what < 450)
        put_batch(name, turn);
    else if (what < 850)
        get_batch(name);
    else if (what < 940)
        delete_some(name);
    else if (what < 960)
        walk(name);
    else if (what < 970)
        clear(name);
    else if (what < 985)
        check_all();
    else if (what < 990)
        CHECK_OK(mn_diskcache_flush(cache, &sealed, NULL));
    else if (what < 993) {
        /* The seal has the time, which goes on from there. */
        kit_close(cache);
        open_cache();
    }
}

static void answers_are_those_of_the_model(void)
{
    seed = check_seed();
    clock_us = model_now_us = INT64_C(1700000000) * 1000000;
    path = kit_place("cache");
    open_cache();
    for (uint32_t turn = 1; turn <= STEPS; turn++)
        step(turn);
    tick();
    check_all();
    kit_close(cache);
}

/* Time passes also while the wall clock is behind of where it was. */
static void a_time_to_live_ends_though_the_clock_went_back(void)
{
    struct mn_diskcache_item item = {
        .id = mn_str("x"), .value = mn_str("1"), .has_ttl = true, .ttl_us = 1000000};
    const struct mn_diskcache_options o = {
        .size = sizeof o, .path = kit_place("back"), .max_bytes = 4 << 20};
    mn_diskcache *c = NULL;

    clock_us = INT64_C(1700000000) * 1000000;
    CHECK_OK(mni_api_diskcache_open(make_world(), &o, &c, NULL));
    CHECK(kit_put(c, "a", "y", "1"));
    clock_us -= INT64_C(3600) * 1000000;
    mono_us += 10;
    CHECK_OK(mn_diskcache_put(c, mn_str("a"), &item, NULL, NULL));
    mono_us += 999999;
    clock_us += 999999;
    CHECK(kit_has(c, "a", "x", "1"));
    mono_us += 1;
    clock_us += 1;
    CHECK(kit_has(c, "a", "x", NULL));
    CHECK_EQ(kit_stats(c).n_expired, 1);
    kit_close(c);
}

static int64_t created_at(mn_diskcache *c, const char *id)
{
    struct mn_diskcache_info info = {.size = sizeof info};

    CHECK_OK(mn_diskcache_info(c, mn_str("a"), mn_str(id), &info, NULL));
    return info.created_at_us;
}

/* Also while it is closed. */
static void a_clock_that_was_set_back_brings_nothing_back(void)
{
    const int64_t hour_us = INT64_C(3600) * 1000000;
    const int64_t begin_us = INT64_C(1700000000) * 1000000;
    const struct mn_diskcache_options o = {
        .size = sizeof o, .path = kit_place("closed"), .max_bytes = 4 << 20};
    struct mn_diskcache_item item = {.value = mn_str("1"), .has_ttl = true, .ttl_us = hour_us};
    mn_diskcache *c = NULL;

    clock_us = begin_us;
    CHECK_OK(mni_api_diskcache_open(make_world(), &o, &c, NULL));
    item.id = mn_str("hour");
    CHECK_OK(mn_diskcache_put(c, mn_str("a"), &item, NULL, NULL));
    clock_us += hour_us - 1000;
    item.id = mn_str("later");
    CHECK_OK(mn_diskcache_put(c, mn_str("a"), &item, NULL, NULL));
    kit_close(c);

    /* Another boot, with a clock that is behind. */
    clock_us = begin_us - 24 * hour_us;
    mono_us = 5;
    CHECK_OK(mni_api_diskcache_open(make_world(), &o, &c, NULL));
    CHECK(kit_has(c, "a", "hour", "1"));
    item =
        (struct mn_diskcache_item){.id = mn_str("x"), .value = mn_str("1"), .has_expires_at = true};
    item.expires_at_us = begin_us;
    bool kept = true;
    CHECK_OK(mn_diskcache_put(c, mn_str("a"), &item, &kept, NULL));
    CHECK(!kept);
    mono_us += 999;
    CHECK(kit_put(c, "a", "new", "1"));
    CHECK_EQ(created_at(c, "later"), begin_us + hour_us - 1000);
    CHECK_EQ(created_at(c, "new"), begin_us + hour_us - 1);
    CHECK(kit_has(c, "a", "hour", "1"));
    mono_us += 1;
    CHECK(kit_has(c, "a", "hour", NULL));
    kit_close(c);

    /* Time stands still while it is closed, and the clock catches up. */
    CHECK_OK(mni_api_diskcache_open(make_world(), &o, &c, NULL));
    CHECK(kit_has(c, "a", "hour", NULL));
    CHECK(kit_has(c, "a", "later", "1"));
    clock_us = begin_us + 2 * hour_us;
    CHECK(kit_has(c, "a", "later", NULL));
    CHECK(kit_put(c, "a", "now", "1"));
    CHECK_EQ(created_at(c, "now"), clock_us);
    kit_close(c);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(answers_are_those_of_the_model),
        CHECK_TEST(a_time_to_live_ends_though_the_clock_went_back),
        CHECK_TEST(a_clock_that_was_set_back_brings_nothing_back),
    };

    return check_run("diskcache.model", tests, CHECK_COUNT(tests), argc, argv);
}
