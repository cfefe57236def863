/* Tests of the budget of memory: it is kept; what does not fit is refused and leaves nothing. */
#include "../api/short.h"
#include "base/mem.h"
#include "io/fault.h"
#include "io/posix.h"
#include "io/thread.h"

enum {
    BUDGET = 64 << 20,
    PAYLOAD_BYTES = 8 << 10,
    N_WRITERS = 4,
    BATCH_MAX = 256,
    WRITES = 400, /* of each writer: together many times the budget's share of puts */
};

static struct mn_error err;
static char payload[1 << 20];

static struct mn_options small_budget(void)
{
    struct mn_options o = small_store();

    o.memory_bytes_max = BUDGET;
    o.sync = MN_SYNC_MANUAL;
    return o;
}

static mn_store *opened_in(struct mni_env *env, const char *path, const struct mn_options *o)
{
    mn_store *store = NULL;

    CHECK_OK_ERR(mni_api_store_open(env, path, o, &store, &err), &err);
    return store;
}

static mn_status put_payload(mn_store *store, uint64_t i, size_t n_bytes, struct mn_error *e)
{
    char id[24];

    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)i);
    struct mn_record record = {.id = mn_str(id), .payload = bytes(payload, n_bytes)};
    return mn_put(store, mn_str("n"), &record, NULL, NULL, e);
}

/* Writes until the budget is used up; returns how many records there are. */
static uint64_t fill(mn_store *store, size_t n_bytes)
{
    uint64_t n = 0;
    mn_status st = MN_OK;

    while (st == MN_OK && n * n_bytes <= BUDGET) {
        st = put_payload(store, n, n_bytes, &err);
        n += st == MN_OK;
    }
    CHECK_STATUS(st, MN_ERR_BUDGET);
    CHECK_STR_HAS(err.message, "memory_bytes_max");
    return n;
}

struct writer {
    struct mni_thread thread;
    mn_store *store;
    uint64_t random;
    unsigned number;
    size_t payload_bytes;
    size_t n_batch;
    mn_status status; /* the first that is none of the two */
    struct mn_error error;
};

static mn_status write_some(struct writer *w)
{
    char ids[BATCH_MAX][24];
    struct mn_record records[BATCH_MAX] = {0};
    struct mn_slice deleted[BATCH_MAX / 4];
    size_t n = 1 + check_below(&w->random, w->n_batch);

    for (size_t i = 0; i < n; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%u-%u", w->number,
                       (unsigned)check_below(&w->random, 20000));
        records[i] = (struct mn_record){
            .id = mn_str(ids[i]),
            .payload = bytes(payload, check_below(&w->random, w->payload_bytes))};
    }
    mn_status st = mn_put_batch(w->store, mn_str("n"), records, n, NULL, NULL, NULL, &w->error);
    for (size_t i = 0; i < w->n_batch / 4; i++)
        deleted[i] = records[i % n].id;
    if (st == MN_OK && check_below(&w->random, 4) == 0)
        st = mn_delete_batch(w->store, mn_str("n"), deleted, w->n_batch / 4, NULL, NULL, NULL, NULL,
                             &w->error);
    return st;
}

static void write_all(void *context)
{
    struct writer *w = context;

    for (int i = 0; i < WRITES && w->status == MN_OK; i++)
        w->status = write_some(w);
}

/* What the library has allocated at any time, all of it, stays below the budget. */
static void writers_keep_the_budget(struct mni_env *env, struct mni_fault_env *fault,
                                    size_t payload_bytes, const char *checkpoint_bytes)
{
    struct writer writers[N_WRITERS] = {0};
    const struct mn_options o = small_budget();
    uint64_t random = check_seed();
    uint64_t before = mni_mem_live_bytes();
    mn_store *store = opened_in(env, check_temp_dir(), &o);

    CHECK_OK(mn_config_set(store, "checkpoint_bytes", checkpoint_bytes, &err));
    mni_mem_reset_peak();
    if (fault != NULL)
        mni_fault_env_slow_down(fault, 2000);
    for (unsigned i = 0; i < N_WRITERS; i++) {
        writers[i].store = store;
        writers[i].number = i;
        writers[i].payload_bytes = payload_bytes;
        writers[i].n_batch = payload_bytes < 1000 ? BATCH_MAX : BATCH_MAX / 16;
        writers[i].random = check_below(&random, UINT32_MAX) + 1;
        CHECK_OK(mni_thread_start(&writers[i].thread, write_all, &writers[i], &err));
    }
    for (int i = 0; i < 200; i++) {
        struct mn_stats stats = stats_of(store);
        CHECK(stats.memory_bytes <= BUDGET);
        CHECK_EQ(stats.memory_bytes_max, BUDGET);
        CHECK(stats.memory_bytes >= stats.memory_buffer_bytes + stats.memory_segment_bytes +
                                        stats.memory_log_bytes + stats.memory_work_bytes);
    }
    for (unsigned i = 0; i < N_WRITERS; i++) {
        mni_thread_join(&writers[i].thread);
        CHECK_OK_ERR(writers[i].status, &writers[i].error);
    }
    if (fault != NULL)
        mni_fault_env_slow_down(fault, 0);
    uint64_t peak = mni_mem_peak_bytes() - before;
    CHECK(peak <= BUDGET);
    CHECK(peak > BUDGET / 8);
    CHECK(stats_of(store).manifest_number > 0);
    closed(store);
}

static void the_budget_is_kept_while_writers_write_and_the_disk_is_slow(void)
{
    struct mni_fault_env *fault = NULL;

    CHECK_OK(mni_fault_env_new(mni_posix_env(), &fault));
    writers_keep_the_budget(mni_fault_env_base(fault), fault, PAYLOAD_BYTES, "1099511627776");
    writers_keep_the_budget(mni_fault_env_base(fault), fault, 100, "1099511627776");
    writers_keep_the_budget(mni_posix_env(), NULL, PAYLOAD_BYTES, "67108864");
    mni_fault_env_free(fault);
}

static void what_does_not_fit_is_refused_and_leaves_nothing(void)
{
    struct mn_options o = small_budget();
    char id[] = "0";
    bool existed = false;

    o.no_background = true; /* nobody makes room */
    mn_store *store = opened_in(mni_posix_env(), check_temp_dir(), &o);
    uint64_t n = fill(store, PAYLOAD_BYTES);
    CHECK_STR_HAS(err.message, "a checkpoint is needed");
    struct mn_stats before = stats_of(store);
    CHECK_EQ(before.n_records, n);
    CHECK(before.memory_bytes <= BUDGET && before.memory_bytes > BUDGET / 2);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(put_payload(store, n + 1, PAYLOAD_BYTES, &err), MN_ERR_BUDGET);
    struct mn_record record = {.id = mn_str("x"), .payload = bytes(payload, PAYLOAD_BYTES)};
    CHECK_STATUS(mn_put(store, mn_str("other"), &record, NULL, NULL, &err), MN_ERR_BUDGET);
    struct mn_stats after = stats_of(store);
    CHECK_EQ(after.n_records, n);
    CHECK_EQ(after.n_namespaces, 1);
    CHECK_EQ(after.current_lsn, before.current_lsn);
    CHECK_EQ(after.memory_bytes, before.memory_bytes);
    /* What makes room is let through. */
    CHECK_OK_ERR(mn_delete(store, mn_str("n"), mn_str(id), NULL, &existed, NULL, &err), &err);
    CHECK(existed);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK_ERR(put_payload(store, n + 1, PAYLOAD_BYTES, &err), &err);
    CHECK_EQ(stats_of(store).n_records, n);
    closed(store);
}

static void a_record_larger_than_the_budget_is_refused(void)
{
    static char large[50 << 20];
    const struct mn_options o = small_budget();
    mn_store *store = opened_in(mni_posix_env(), check_temp_dir(), &o);
    struct mn_record record = {.id = mn_str("x"), .payload = bytes(large, sizeof large)};

    CHECK_STATUS(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), MN_ERR_BUDGET);
    record.payload.n_bytes = 40 << 20;
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), &err);
    closed(store);
}

/* A transaction keeps the tables that there were when it began; writers wait for no view. */
static void writers_beside_an_old_view_are_refused_until_it_is_closed(void)
{
    const struct mn_options o = small_budget();
    mn_store *store = opened_in(mni_posix_env(), check_temp_dir(), &o);
    struct mn_txn *txn = NULL;
    struct mn_view view;

    CHECK_OK(mn_config_set(store, "checkpoint_bytes", "1099511627776", &err));
    for (uint64_t i = 0; i < 1000; i++)
        CHECK_OK(put_payload(store, i, 20 << 10, &err));
    CHECK_OK(mn_txn_begin(store, &txn, &err));
    uint64_t n = fill(store, 32 << 10);
    CHECK_STR_HAS(err.message, "views");
    CHECK(stats_of(store).memory_bytes <= BUDGET);
    /* What the background's merge still gives back has room for a few more. */
    do
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    while (put_payload(store, n++, 32 << 10, &err) == MN_OK);
    uint64_t lsn = stats_of(store).current_lsn;
    CHECK_STATUS(put_payload(store, n, 32 << 10, &err), MN_ERR_BUDGET);
    CHECK_EQ(stats_of(store).current_lsn, lsn);
    CHECK_OK(mn_txn_get(txn, mn_str("n"), mn_str("0"), &view, &err));
    CHECK_EQ(view.payload.n_bytes, 20 << 10);
    mn_view_release(&view);
    mn_txn_rollback(txn);
    CHECK_OK_ERR(put_payload(store, n, 32 << 10, &err), &err);
    closed(store);
}

static void opening_a_full_store_keeps_the_budget(void)
{
    struct mn_options o = small_budget();
    const char *path = check_temp_dir();

    o.no_background = true;
    for (size_t n_bytes = 16; n_bytes <= PAYLOAD_BYTES; n_bytes *= 512) {
        mn_store *store = opened_in(mni_posix_env(), path, &o);
        uint64_t n = fill(store, n_bytes);
        closed(store);
        uint64_t before = mni_mem_live_bytes();
        mni_mem_reset_peak();
        store = opened_in(mni_posix_env(), path, &o);
        CHECK(mni_mem_peak_bytes() - before <= BUDGET);
        CHECK(stats_of(store).memory_bytes <= BUDGET);
        CHECK_EQ(stats_of(store).n_records, n);
        mni_mem_reset_peak();
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        CHECK(mni_mem_peak_bytes() - before <= BUDGET);
        CHECK_OK(mn_namespace_drop(store, mn_str("n"), NULL, &err));
        closed(store);
    }
}

static void records_alone_make_a_checkpoint(void)
{
    const struct mn_options o = small_budget();
    mn_store *store = opened_in(mni_posix_env(), check_temp_dir(), &o);

    CHECK_OK(mn_config_set(store, "checkpoint_records", "100", &err));
    for (uint64_t i = 0; stats_of(store).manifest_number == 0; i++) {
        CHECK_OK(put_payload(store, i % 1000, 1, &err));
        CHECK(i < 1000000);
    }
    closed(store);
}

static void options_out_of_range_are_refused(void)
{
    struct mn_options o = small_store();
    mn_store *store = NULL;
    const char *path = check_temp_dir();

    o.memory_bytes_max = (64 << 20) - 1;
    CHECK_STATUS(mn_open(path, &o, &store, &err), MN_ERR_INVALID);
    o.memory_bytes_max = 64 << 20;
    o.pinned_bytes_max = (1 << 20) - 1;
    CHECK_STATUS(mn_open(path, &o, &store, &err), MN_ERR_INVALID);
    o.pinned_bytes_max = 1 << 20;
    CHECK_OK(mn_open(path, &o, &store, &err));
    CHECK_EQ(stats_of(store).pinned_bytes_max, 1 << 20);
    CHECK_OK(mn_config_set(store, "memory_bytes_max", "100000000", &err));
    CHECK_EQ(stats_of(store).memory_bytes_max, 64 << 20); /* the option goes before */
    closed(store);
    store = opened(path);
    CHECK_EQ(stats_of(store).memory_bytes_max, 100000000);
    CHECK_OK(mn_config_set(store, "memory_bytes_max", "200000000", &err));
    CHECK_EQ(stats_of(store).memory_bytes_max, 200000000);
    closed(store);
}

/* The first read of a namespace notes its name, which counts too. */
static void remember_name(mn_store *store, struct mn_slice name)
{
    uint64_t n;

    CHECK_OK(mn_count(store, name, &n, NULL));
}

static void walks_and_scans_count_until_they_are_closed(void)
{
    enum { N = 100 };
    static mn_iter *iters[N];
    static mn_scan *scans[N];
    struct mn_options o = small_budget();
    mn_store *store = opened_in(mni_posix_env(), check_temp_dir(), &o);
    struct mn_view view;

    CHECK_OK(put_payload(store, 1, 10, &err));
    CHECK_OK(put_payload(store, 2, 10, &err));
    remember_name(store, mn_str("n"));
    uint64_t before = stats_of(store).memory_bytes;
    uint64_t work_before = stats_of(store).memory_work_bytes;
    for (int i = 0; i < N; i++) {
        CHECK_OK_ERR(mn_iter_open(store, mn_str("n"), NULL, &iters[i], &err), &err);
        CHECK_OK_ERR(mn_scan_open(store, mn_str("n"), NULL, &scans[i], &err), &err);
        CHECK_OK_ERR(mn_iter_next(iters[i], &view, &err), &err);
        mn_view_release(&view);
    }
    uint64_t taken = stats_of(store).memory_bytes - before;
    CHECK(taken > N * (8 << 10) && taken < N * (32 << 10));
    CHECK_EQ(stats_of(store).memory_work_bytes - work_before, taken);
    for (int i = 0; i < N; i++) {
        mn_iter_close(iters[i]);
        mn_scan_close(scans[i]);
    }
    CHECK_EQ(stats_of(store).memory_bytes, before);
    closed(store);
}

static mn_status search(mn_store *store, size_t n_queries, size_t limit, mn_search **search_out)
{
    static const float queries[MN_SEARCH_QUERIES_MAX] = {1};

    return mn_search_open(store, mn_str("v"), queries, n_queries, 1, limit, NULL, search_out, &err);
}

static void a_large_search_keeps_the_budget_and_a_small_one_always_fits(void)
{
    const float vector = 1;
    const struct mn_record record = {.id = mn_str("x"), .vector = &vector, .n_dims = 1};
    struct mn_options o = small_budget();
    mn_search *large = NULL;
    mn_search *small = NULL;

    o.no_background = true; /* nobody makes room */
    mn_store *store = opened_in(mni_posix_env(), check_temp_dir(), &o);
    CHECK_OK_ERR(mn_put(store, mn_str("v"), &record, NULL, NULL, &err), &err);
    remember_name(store, mn_str("v"));
    uint64_t before = stats_of(store).memory_bytes;
    CHECK_STATUS(search(store, 1024, 1024, &large), MN_ERR_BUDGET);
    CHECK_STR_HAS(err.message, "memory_bytes_max");
    CHECK(large == NULL);
    CHECK_EQ(stats_of(store).memory_bytes, before);
    CHECK_OK_ERR(search(store, 1024, 256, &large), &err);
    mn_search_close(large);
    CHECK_EQ(stats_of(store).memory_bytes, before);
    (void)fill(store, PAYLOAD_BYTES);
    CHECK_STATUS(search(store, 1024, 256, &large), MN_ERR_BUDGET);
    CHECK_OK_ERR(search(store, 64, 10, &small), &err);
    mn_search_close(small);
    CHECK(stats_of(store).memory_bytes <= BUDGET);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_budget_is_kept_while_writers_write_and_the_disk_is_slow),
        CHECK_TEST(what_does_not_fit_is_refused_and_leaves_nothing),
        CHECK_TEST(a_record_larger_than_the_budget_is_refused),
        CHECK_TEST(writers_beside_an_old_view_are_refused_until_it_is_closed),
        CHECK_TEST(opening_a_full_store_keeps_the_budget),
        CHECK_TEST(records_alone_make_a_checkpoint),
        CHECK_TEST(walks_and_scans_count_until_they_are_closed),
        CHECK_TEST(a_large_search_keeps_the_budget_and_a_small_one_always_fits),
        CHECK_TEST(options_out_of_range_are_refused),
    };

    return check_run("engine.budget", tests, CHECK_COUNT(tests), argc, argv);
}
