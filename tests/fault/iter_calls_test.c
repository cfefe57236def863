/*
 * iter_calls_test.c - every allocation fails once in walks over segments and the buffer, in both
 * directions, in scans and in searches: they say so, and show the same records when they are asked
 * again.
 */
#include <stdio.h>

#include "api/api.h"
#include "base/mem.h"
#include "check.h"
#include "io/crash.h"
#include "mneme/mneme.h"

enum { N_IDS = 60, N_DIMS = 16, N_QUERIES = 2 };

static void put_numbers(mn_store *store, int first, int step)
{
    for (int i = first; i < N_IDS; i += step) {
        char id[4];
        (void)snprintf(id, sizeof id, "%03d", i);
        const float vector[N_DIMS] = {(float)i, 1};
        struct mn_record r = {
            .id = {id, 3}, .vector = vector, .n_dims = N_DIMS, .payload = mn_str("some bytes")};
        CHECK_OK(mn_put(store, mn_str("n"), &r, NULL, NULL, NULL));
    }
}

/* Two segments, the buffer, and patches of rows; 010 to 019 are deleted. */
static mn_store *open_filled(struct mni_crash_env *crash)
{
    struct mn_options o = {.size = sizeof o, .create = true, .no_background = true};
    mn_store *store = NULL;

    CHECK_OK(mni_api_store_open(mni_crash_env_base(crash), "/s", &o, &store, NULL));
    put_numbers(store, 0, 3);
    CHECK_OK(mn_checkpoint(store, NULL));
    put_numbers(store, 1, 3);
    CHECK_OK(mn_checkpoint(store, NULL));
    put_numbers(store, 2, 3);
    for (int i = 10; i < 20; i++) {
        char id[4];
        (void)snprintf(id, sizeof id, "%03d", i);
        CHECK_OK(mn_delete(store, mn_str("n"), (struct mn_slice){id, 3}, NULL, NULL, NULL, NULL));
        id[1]++;
        CHECK_OK(mn_touch(store, mn_str("n"), (struct mn_slice){id, 3}, MN_HAS_EXPIRES_AT,
                          INT64_MAX, NULL, NULL, NULL));
    }
    return store;
}

/* 005 to 054 without those deleted. */
static void walk(mn_store *store, bool reverse, uint64_t *n_failed)
{
    struct mn_iter_options o = {.size = sizeof o,
                                .prefix = mn_str("0"),
                                .after = mn_str(reverse ? "055" : "004"),
                                .until = mn_str(reverse ? "004" : "055"),
                                .reverse = reverse};
    struct mn_view view;
    mn_iter *iter = NULL;
    struct mn_error err;
    int expected = reverse ? 54 : 5;
    mn_status st;

    while ((st = mn_iter_open(store, mn_str("n"), &o, &iter, &err)) == MN_ERR_NOMEM)
        (*n_failed)++;
    CHECK_OK_ERR(st, &err);
    while ((st = mn_iter_next(iter, &view, &err)) == MN_OK || st == MN_ERR_NOMEM) {
        if (st == MN_ERR_NOMEM) {
            CHECK(view.pin == NULL);
            (*n_failed)++;
            continue;
        }
        char id[4];
        (void)snprintf(id, sizeof id, "%03d", expected);
        CHECK_MEM_EQ(view.id.data, id, 3);
        CHECK_EQ(view.fields, expected >= 20 && expected < 30 ? MN_HAS_EXPIRES_AT : 0);
        mn_view_release(&view);
        expected += reverse ? -1 : 1;
        if (expected >= 10 && expected < 20)
            expected = reverse ? 9 : 20;
    }
    CHECK_STATUS(st, MN_END);
    CHECK_EQ(expected, reverse ? 4 : 55);
    mn_iter_close(iter);
}

static void scan(mn_store *store, bool ids, uint64_t *n_failed)
{
    struct mn_scan_chunk chunk;
    struct mn_error err;
    mn_scan *scan = NULL;
    size_t n = 0;
    mn_status st;

    while ((st = mn_scan_open(store, mn_str("n"), NULL, &scan, &err)) == MN_ERR_NOMEM)
        (*n_failed)++;
    CHECK_OK_ERR(st, &err);
    while ((st = mn_scan_next(scan, &chunk, &err)) == MN_OK)
        for (size_t i = 0; i < chunk.n_vectors; i++, n++) {
            struct mn_view view;
            char id[4];
            if (!ids)
                continue;
            CHECK_OK_ERR(mn_scan_view(scan, i, &view, &err), &err);
            (void)snprintf(id, sizeof id, "%03d", (int)chunk.vectors[i * N_DIMS]);
            CHECK_MEM_EQ(view.id.data, id, 3);
            mn_view_release(&view);
        }
    CHECK_STATUS(st, MN_END);
    CHECK_EQ(n, N_IDS - 10);
    mn_scan_close(scan);
}

static void search(mn_store *store, uint64_t *n_failed)
{
    const float queries[N_QUERIES * N_DIMS] = {0.5F, 1, 1};
    struct mn_search_hit hit;
    struct mn_error err;
    mn_search *search = NULL;
    size_t n = 0;
    mn_status st;

    while ((st = mn_search_open(store, mn_str("n"), queries, N_QUERIES, N_DIMS, N_IDS, NULL,
                                &search, &err)) == MN_ERR_NOMEM)
        (*n_failed)++;
    CHECK_OK_ERR(st, &err);
    while ((st = mn_search_next(search, &hit, &err)) == MN_OK || st == MN_ERR_NOMEM) {
        if (st == MN_ERR_NOMEM) {
            CHECK(hit.view.pin == NULL);
            (*n_failed)++;
            continue;
        }
        n++;
        mn_view_release(&hit.view);
    }
    CHECK_STATUS(st, MN_END);
    CHECK_EQ(n, N_QUERIES * (N_IDS - 10));
    mn_search_close(search);
}

static void any_allocation_of_a_walk_scan_or_search_may_fail(void)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct mni_crash_env *crash = NULL;
    uint64_t n_failed = 0;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = open_filled(crash);
    uint64_t n_records;
    /* From now on it remembers the name, in memory of its own. */
    CHECK_OK(mn_count(store, mn_str("n"), &n_records, NULL));
    for (int way = 0; way < 5; way++) {
        bool was_hit = true;
        uint64_t n_before = n_failed;
        for (uint64_t n = 1; was_hit; n++) {
            uint64_t n_open = mni_mem_live_blocks();
            mni_mem_fail_at(n);
            if (way < 2)
                walk(store, way == 1, &n_failed);
            else if (way < 4)
                scan(store, way == 3, &n_failed);
            else
                search(store, &n_failed);
            was_hit = mni_mem_fail_was_hit();
            mni_mem_fail_at(0);
            CHECK_EQ(mni_mem_live_blocks(), n_open);
        }
        CHECK(n_failed > n_before + 1);
    }
    CHECK_OK(mn_close(store, NULL));
    mni_crash_env_free(crash);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_allocation_of_a_walk_scan_or_search_may_fail),
    };

    return check_run("fault.iter_calls", tests, CHECK_COUNT(tests), argc, argv);
}
