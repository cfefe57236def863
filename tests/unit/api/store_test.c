/* Tests of a store through its public face. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "mneme/mneme.h"

static mn_store *open_store(const char *path)
{
    struct mn_options options = {.size = sizeof options, .create = true, .wal_file_bytes = 1 << 20};
    struct mn_error err;
    mn_store *store = NULL;
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    return store;
}

static uint64_t put(mn_store *store, const char *name, const char *id, float value)
{
    float vector[3] = {value, 2, 3};
    struct mn_record record = {.id = mn_str(id),
                               .vector = vector,
                               .n_dims = 3,
                               .metadata = mn_str("{\"a\": 1}"),
                               .payload = mn_str("payload")};
    struct mn_error err;
    uint64_t lsn = 0;
    CHECK_OK_ERR(mn_put(store, mn_str(name), &record, NULL, &lsn, &err), &err);
    return lsn;
}

static void records_survive_closing(void)
{
    const char *path = check_temp_dir();
    struct mn_error err;
    struct mn_view view;
    uint64_t n = 0;
    uint32_t dimension = 0;
    mn_store *store = open_store(path);
    CHECK_EQ(put(store, "notes", "a", 1), 1);
    CHECK_EQ(put(store, "notes", "b", 5), 2);
    CHECK_EQ(put(store, "notes", "a", 7), 3);
    CHECK_OK(mn_close(store, &err));
    store = open_store(path);
    CHECK_OK(mn_count(store, mn_str("notes"), &n, &err));
    CHECK_EQ(n, 2);
    CHECK_OK(mn_dimension(store, mn_str("notes"), &dimension, &err));
    CHECK_EQ(dimension, 3);
    CHECK_OK(mn_get(store, mn_str("notes"), mn_str("a"), &view, &err));
    CHECK(view.vector[0] == 7 && view.lsn == 3 && view.n_dims == 3);
    CHECK_MEM_EQ(view.payload.data, "payload", 7);
    CHECK_MEM_EQ(view.metadata.data, "{\"a\": 1}", 8);
    bool existed = false;
    CHECK_OK(mn_delete(store, mn_str("notes"), mn_str("a"), NULL, &existed, NULL, &err));
    CHECK(existed);
    CHECK(view.vector[0] == 7);
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    mn_view_release(&view);
    CHECK_STATUS(mn_get(store, mn_str("notes"), mn_str("a"), &view, &err), MN_NOT_FOUND);
    CHECK_OK(mn_close(store, &err));
}

static void a_transaction_commits_or_conflicts(void)
{
    struct mn_error err;
    struct mn_view view;
    mn_txn *one;
    mn_txn *two;
    mn_store *store = open_store(check_temp_dir());
    (void)put(store, "n", "k", 1);
    CHECK_OK(mn_txn_begin(store, &one, &err));
    CHECK_OK(mn_txn_begin(store, &two, &err));
    struct mn_record record = {.id = mn_str("k"), .payload = mn_str("x")};
    CHECK_OK(mn_txn_put(one, mn_str("n"), &record, &err));
    CHECK_OK(mn_txn_put(two, mn_str("n"), &record, &err));
    CHECK_OK(mn_txn_get(one, mn_str("n"), mn_str("k"), &view, &err));
    CHECK_EQ(view.lsn, 0);
    mn_view_release(&view);
    CHECK_OK_ERR(mn_txn_commit(one, NULL, NULL, &err), &err);
    CHECK_STATUS(mn_txn_commit(two, NULL, NULL, &err), MN_ERR_CONFLICT);
    CHECK_OK(mn_close(store, &err));
}

static void a_dropped_namespace_shows_nothing_old(void)
{
    const char *path = check_temp_dir();
    struct mn_error err;
    uint64_t n = 9;
    bool existed = false;
    mn_store *store = open_store(path);
    for (int i = 0; i < 1000; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "%d", i);
        (void)put(store, "n", id, 1);
    }
    CHECK_OK(mn_namespace_drop(store, mn_str("n"), &existed, &err));
    CHECK(existed);
    CHECK_STATUS(mn_count(store, mn_str("n"), &n, &err), MN_NOT_FOUND);
    struct mn_namespace_settings settings = {.size = sizeof settings, .dimension = 3};
    CHECK_OK(mn_namespace_create(store, mn_str("n"), &settings, &err));
    CHECK_STATUS(mn_namespace_create(store, mn_str("n"), &settings, &err), MN_EXISTS);
    CHECK_OK(mn_count(store, mn_str("n"), &n, &err));
    CHECK_EQ(n, 0);
    (void)put(store, "n", "x", 1);
    CHECK_OK(mn_close(store, &err));
    store = open_store(path);
    CHECK_OK(mn_count(store, mn_str("n"), &n, &err));
    CHECK_EQ(n, 1);
    CHECK_OK(mn_close(store, &err));
}

static void expired_records_are_gone_at_once(void)
{
    struct mn_error err;
    struct mn_view view;
    uint64_t n = 9;
    mn_store *store = open_store(check_temp_dir());
    struct mn_record record = {.id = mn_str("k"), .fields = MN_HAS_TTL, .ttl_us = 0};
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
    CHECK_STATUS(mn_get(store, mn_str("n"), mn_str("k"), &view, &err), MN_NOT_FOUND);
    CHECK_OK(mn_count(store, mn_str("n"), &n, &err));
    CHECK_EQ(n, 0);
    CHECK_OK_ERR(mn_sweep(store, &n, &err), &err);
    CHECK_EQ(n, 1);
    record.ttl_us = 3600 * (int64_t)1000000;
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
    CHECK_OK(mn_count(store, mn_str("n"), &n, &err));
    CHECK_EQ(n, 1);
    CHECK_OK(mn_touch(store, mn_str("n"), mn_str("k"), MN_HAS_EXPIRES_AT, 5, NULL, NULL, &err));
    CHECK_STATUS(mn_get(store, mn_str("n"), mn_str("k"), &view, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_touch(store, mn_str("n"), mn_str("k"), 0, 0, NULL, NULL, &err), MN_NOT_FOUND);
    CHECK_OK(mn_close(store, &err));
}

static void iteration_is_in_order_and_resumes(void)
{
    struct mn_error err;
    struct mn_view view;
    mn_iter *iter;
    int n = 0;
    mn_store *store = open_store(check_temp_dir());
    for (int i = 0; i < 200; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "%03d", (i * 7) % 200);
        (void)put(store, "n", id, 1);
    }
    struct mn_iter_options options = {.size = sizeof options, .after = mn_str("099")};
    CHECK_OK(mn_iter_open(store, mn_str("n"), &options, &iter, &err));
    bool existed;
    CHECK_OK(mn_delete(store, mn_str("n"), mn_str("150"), NULL, &existed, NULL, &err));
    while (mn_iter_next(iter, &view, &err) == MN_OK) {
        char id[8];
        (void)snprintf(id, sizeof id, "%03d", 100 + n);
        CHECK_MEM_EQ(view.id.data, id, 3);
        mn_view_release(&view);
        n++;
    }
    CHECK_EQ(n, 100);
    mn_iter_close(iter);
    CHECK_OK(mn_close(store, &err));
}

static void put_numbers(mn_store *store, int first, int step, int end)
{
    for (int i = first; i < end; i += step) {
        char id[8];
        (void)snprintf(id, sizeof id, "%03d", i);
        (void)put(store, "n", id, 1);
    }
}

/* Walks to the end and says what it saw: how many, the first and the last, all in order. */
static int walk_numbers(mn_store *store, struct mn_iter_options options, int *first, int *last)
{
    struct mn_error err;
    struct mn_view view;
    mn_iter *iter;
    int n = 0;

    options.size = sizeof options;
    CHECK_OK_ERR(mn_iter_open(store, mn_str("n"), &options, &iter, &err), &err);
    while (mn_iter_next(iter, &view, &err) == MN_OK) {
        const char *id = view.id.data;
        int number = (id[0] - '0') * 100 + (id[1] - '0') * 10 + (id[2] - '0');
        CHECK(n == 0 || (options.reverse ? number < *last : number > *last));
        *first = n++ == 0 ? number : *first;
        *last = number;
        mn_view_release(&view);
    }
    CHECK_STATUS(err.status, MN_END);
    mn_iter_close(iter);
    return n;
}

static void ranges_are_walked_in_both_directions(void)
{
    struct mn_slice long_id = {"", MN_ID_BYTES_MAX + 1};
    struct mn_slice no_address = {NULL, 2};
    struct mn_error err;
    mn_iter *iter;
    int a = -1;
    int b = -1;
    mn_store *store = open_store(check_temp_dir());

    /* Rows of two segments, one of them with a hole, and of the buffer in between. */
    put_numbers(store, 0, 3, 300);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    put_numbers(store, 1, 3, 300);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    put_numbers(store, 2, 3, 300);
    for (int i = 0; i < 50; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "%03d", 200 + i);
        CHECK_OK(mn_delete(store, mn_str("n"), mn_str(id), NULL, NULL, NULL, &err));
    }
    CHECK_EQ(walk_numbers(store, (struct mn_iter_options){.reverse = true}, &a, &b), 250);
    CHECK(a == 299 && b == 0);
    struct mn_iter_options o = {.after = mn_str("100"), .until = mn_str("260")};
    CHECK_EQ(walk_numbers(store, o, &a, &b), 109);
    CHECK(a == 101 && b == 259);
    o = (struct mn_iter_options){.after = mn_str("260"), .until = mn_str("100"), .reverse = true};
    CHECK_EQ(walk_numbers(store, o, &a, &b), 109);
    CHECK(a == 259 && b == 101);
    o = (struct mn_iter_options){.prefix = mn_str("29"), .after = mn_str("295"), .reverse = true};
    CHECK_EQ(walk_numbers(store, o, &a, &b), 5);
    CHECK(a == 294 && b == 290);
    o = (struct mn_iter_options){.prefix = mn_str("1"), .until = mn_str("197"), .reverse = true};
    CHECK_EQ(walk_numbers(store, o, &a, &b), 2);
    o = (struct mn_iter_options){.after = mn_str("100"), .until = mn_str("100")};
    CHECK_EQ(walk_numbers(store, o, &a, &b), 0);

    o = (struct mn_iter_options){.size = sizeof o, .until = long_id};
    CHECK_STATUS(mn_iter_open(store, mn_str("n"), &o, &iter, &err), MN_ERR_LIMIT);
    o.until = no_address;
    CHECK_STATUS(mn_iter_open(store, mn_str("n"), &o, &iter, &err), MN_ERR_INVALID);
    /* A program of before knows neither. */
    o = (struct mn_iter_options){.size = offsetof(struct mn_iter_options, until),
                                 .until = no_address};
    CHECK_OK_ERR(mn_iter_open(store, mn_str("n"), &o, &iter, &err), &err);
    mn_iter_close(iter);
    CHECK_OK(mn_close(store, &err));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(records_survive_closing),
        CHECK_TEST(a_transaction_commits_or_conflicts),
        CHECK_TEST(a_dropped_namespace_shows_nothing_old),
        CHECK_TEST(expired_records_are_gone_at_once),
        CHECK_TEST(iteration_is_in_order_and_resumes),
        CHECK_TEST(ranges_are_walked_in_both_directions),
    };
    return check_run("api.store", tests, CHECK_COUNT(tests), argc, argv);
}
