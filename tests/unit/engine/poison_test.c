/* Tests of a store whose log has failed, and of handles in a child after fork. */
#include <sys/wait.h>
#include <unistd.h>

#include "../api/short.h"
#include "io/crash.h"

static struct mn_error err;

static void a_poisoned_store_reads_on_and_writes_no_more(void)
{
    struct mni_crash_env *crash = NULL;
    struct mn_options options = small_store();
    struct mn_record record = {.id = mn_str("b")};
    struct mn_slice n = mn_str("n");
    struct mn_slice a = mn_str("a");
    mn_store *store = NULL;
    mn_txn *txn = NULL;
    bool existed = false;
    char value[64];

    CHECK_OK(mni_crash_env_new(1, &crash));
    struct mni_env *env = mni_crash_env_base(crash);
    CHECK_OK_ERR(mni_api_store_open(env, "/s", &options, &store, &err), &err);
    (void)put(store, n, a, "x");
    CHECK_OK(mn_txn_begin(store, &txn, &err));
    CHECK_OK(mn_txn_put(txn, n, &record, &err));
    mni_crash_env_fail_sync_at(crash, 1);
    CHECK_STATUS(mn_put(store, n, &record, NULL, NULL, &err), MN_ERR_IO);
    CHECK(stats_of(store).is_poisoned);
    CHECK_STATUS(mn_put(store, n, &record, NULL, NULL, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_put_if_absent(store, n, &record, NULL, NULL, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_delete(store, n, a, NULL, &existed, NULL, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_touch(store, n, a, 0, 0, NULL, NULL, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_namespace_create(store, mn_str("m"), NULL, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_namespace_drop(store, n, NULL, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_flush(store, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_txn_commit(txn, NULL, NULL, &err), MN_ERR_POISONED);
    struct mn_write_options none = {.size = sizeof none, .ack = MN_ACK_NONE};
    CHECK_STATUS(mn_put(store, n, &record, &none, NULL, &err), MN_ERR_POISONED);
    CHECK(holds(store, n, a, "x"));
    CHECK(!holds(store, n, mn_str("b"), ""));
    CHECK_EQ(stats_of(store).n_records, 1);
    CHECK_EQ(stats_of(store).current_lsn, 1);
    CHECK_OK(mn_txn_begin(store, &txn, &err));
    CHECK_OK(mn_txn_exists(txn, n, a, &existed, &err));
    CHECK_OK(mn_txn_commit(txn, NULL, NULL, &err));
    CHECK_OK(mn_config_get(store, "sync", value, sizeof value, &err));
    CHECK_STATUS(mn_close(store, &err), MN_ERR_POISONED);
    CHECK_OK_ERR(mni_api_store_open(env, "/s", &options, &store, &err), &err);
    CHECK(holds(store, n, a, "x"));
    (void)put(store, n, mn_str("b"), "y");
    closed(store);
    mni_crash_env_free(crash);
}

struct handles {
    mn_store *store;
    mn_txn *txn;
    mn_iter *iter;
    mn_namespace_iter *names;
    struct mn_view view;
};

/* In the child: the number of the first check that does not hold, 0 when all do. */
static int use_in_child(struct handles *h)
{
    struct mn_slice n = mn_str("n");
    struct mn_slice id = mn_str("a");
    struct mn_record record = {.id = id};
    struct mn_namespace_info info;
    struct mn_stats stats = {.size = sizeof stats};
    struct mn_view view;
    mn_txn *txn;
    mn_iter *iter;
    uint64_t count;
    uint32_t dimension;
    bool flag;
    char value[64];
    const mn_status answers[] = {
        mn_put(h->store, n, &record, NULL, NULL, NULL),
        mn_put_batch(h->store, n, &record, 1, NULL, NULL, NULL, NULL),
        mn_put_if_absent(h->store, n, &record, NULL, NULL, NULL),
        mn_put_if_lsn(h->store, n, &record, 1, NULL, NULL, NULL),
        mn_get(h->store, n, id, &view, NULL),
        mn_get_batch(h->store, n, &id, 1, &view, NULL, NULL),
        mn_exists(h->store, n, id, &flag, NULL),
        mn_delete(h->store, n, id, NULL, NULL, NULL, NULL),
        mn_touch(h->store, n, id, 0, 0, NULL, NULL, NULL),
        mn_count(h->store, n, &count, NULL),
        mn_dimension(h->store, n, &dimension, NULL),
        mn_namespace_create(h->store, n, NULL, NULL),
        mn_namespace_ensure(h->store, n, NULL, NULL),
        mn_namespace_drop(h->store, n, NULL, NULL),
        mn_namespace_exists(h->store, n, &flag, NULL),
        mn_config_get(h->store, "sync", value, sizeof value, NULL),
        mn_config_set(h->store, "sync", "manual", NULL),
        mn_sweep(h->store, NULL, NULL),
        mn_stats(h->store, &stats, NULL),
        mn_flush(h->store, NULL),
        mn_txn_begin(h->store, &txn, NULL),
        mn_iter_open(h->store, n, NULL, &iter, NULL),
        mn_iter_next(h->iter, &view, NULL),
        mn_namespace_iter_next(h->names, &info, NULL),
        mn_txn_put(h->txn, n, &record, NULL),
        mn_txn_get(h->txn, n, id, &view, NULL),
        mn_txn_exists(h->txn, n, id, &flag, NULL),
        mn_txn_delete(h->txn, n, id, NULL, NULL),
        mn_txn_touch(h->txn, n, id, 0, 0, NULL),
        mn_txn_commit(h->txn, NULL, NULL, NULL),
        mn_close(h->store, NULL),
    };

    for (size_t i = 0; i < CHECK_COUNT(answers); i++)
        if (answers[i] != MN_ERR_FORKED)
            return (int)i + 1;
    mn_iter_close(h->iter);
    mn_namespace_iter_close(h->names);
    mn_txn_rollback(h->txn);
    if (memcmp(h->view.payload.data, "x", 1) != 0)
        return 100;
    mn_view_release(&h->view);
    return 0;
}

static void every_handle_is_refused_after_fork(void)
{
    struct handles h = {.store = opened(check_temp_dir())};
    struct mn_slice n = mn_str("n");
    int status = -1;

    (void)put(h.store, n, mn_str("a"), "x");
    CHECK_OK(mn_txn_begin(h.store, &h.txn, &err));
    CHECK_OK(mn_iter_open(h.store, n, NULL, &h.iter, &err));
    CHECK_OK(mn_namespace_iter_open(h.store, bytes(NULL, 0), &h.names, &err));
    CHECK_OK(mn_get(h.store, n, mn_str("a"), &h.view, &err));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(use_in_child(&h));
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    struct mn_record record = {.id = mn_str("b")};
    CHECK_OK(mn_txn_put(h.txn, n, &record, &err));
    CHECK_OK(mn_txn_commit(h.txn, NULL, NULL, &err));
    mn_iter_close(h.iter);
    mn_namespace_iter_close(h.names);
    mn_view_release(&h.view);
    closed(h.store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_poisoned_store_reads_on_and_writes_no_more),
        CHECK_TEST(every_handle_is_refused_after_fork),
    };

    return check_run("engine.poison", tests, CHECK_COUNT(tests), argc, argv);
}
