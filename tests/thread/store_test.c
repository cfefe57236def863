/*
 * store_test.c - many threads on one store: nothing is lost, torn or seen too early.
 *
 * Counters are changed by compare-and-set and by transactions, and end exact; of several that put
 * if absent one wins; batches and transactions are seen as a whole or not at all. Checkpoints and
 * merges go on meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "check.h"
#include "engine/engine.h"
#include "io/fault.h"
#include "io/posix.h"
#include "io/thread.h"
#include "mneme/mneme.h"

enum {
    N_WRITERS = 8,
    N_READERS = 8,
    N_ROUNDS = 200,
    N_COUNTERS = 3,
    N_PRIZES = 40,
    BATCH = 12,
    N_DIMS = 16,
    CHECKPOINTS_MAX = 40,
};

struct shared {
    mn_store *store;
    atomic_bool stops;
    atomic_int n_wins[N_PRIZES];
    atomic_int n_counted[N_COUNTERS];
    atomic_int n_transfers;
    atomic_int n_checkpoints;
};

struct worker {
    struct mni_thread thread;
    struct shared *shared;
    unsigned index;
    uint64_t random;
    const char *failure; /* the first thing that went wrong; NULL = nothing */
    mn_status status;
    unsigned n_acked;
};

static bool must(struct worker *w, bool holds, mn_status st, const char *what)
{
    if (!holds && w->failure == NULL) {
        w->failure = what;
        w->status = st;
    }
    return holds;
}

#define MUST(w, condition, st) must(w, condition, st, #condition)

static struct mn_write_options some_ack(struct worker *w)
{
    return (struct mn_write_options){.size = sizeof(struct mn_write_options),
                                     .ack = check_below(&w->random, 8) == 0
                                                ? MN_ACK_DISK
                                                : (mn_ack)(1 + check_below(&w->random, 2))};
}

static struct mn_record number_record(const char *id, const int64_t *value)
{
    return (struct mn_record){.id = mn_str(id), .payload = {value, sizeof *value}};
}

static int64_t number_in(const struct mn_view *view)
{
    int64_t value = 0;

    memcpy(&value, view->payload.data, sizeof value);
    return value;
}

/* Adds one to a counter: compare-and-set until nobody was faster. */
static void count_up(struct worker *w, unsigned counter)
{
    struct mn_write_options options = some_ack(w);
    char id[16];

    (void)snprintf(id, sizeof id, "c%u", counter);
    for (;;) {
        struct mn_view view;
        mn_status st = mn_get(w->shared->store, mn_str("counters"), mn_str(id), &view, NULL);
        if (!MUST(w, st == MN_OK, st))
            return;
        int64_t value = number_in(&view) + 1;
        struct mn_record r = number_record(id, &value);
        st =
            mn_put_if_lsn(w->shared->store, mn_str("counters"), &r, view.lsn, &options, NULL, NULL);
        mn_view_release(&view);
        if (st == MN_OK)
            break;
        if (!MUST(w, st == MN_CHANGED, st))
            return;
    }
    (void)atomic_fetch_add(&w->shared->n_counted[counter], 1);
}

/* Moves a random amount from one account to another, in two namespaces. The sum stays 0. */
static void transfer(struct worker *w)
{
    struct mn_write_options options = some_ack(w);
    int64_t amount = (int64_t)check_below(&w->random, 100);
    mn_status st;

    do {
        mn_txn *txn = NULL;
        st = mn_txn_begin(w->shared->store, &txn, NULL);
        if (!MUST(w, st == MN_OK, st))
            return;
        for (int side = 0; side < 2 && st == MN_OK; side++) {
            struct mn_slice name = mn_str(side == 0 ? "left" : "right");
            struct mn_view view;
            st = mn_txn_get(txn, name, mn_str("sum"), &view, NULL);
            if (!MUST(w, st == MN_OK, st))
                break;
            int64_t value = number_in(&view) + (side == 0 ? amount : -amount);
            struct mn_record r = number_record("sum", &value);
            st = mn_txn_put(txn, name, &r, NULL);
            mn_view_release(&view);
        }
        if (!MUST(w, st == MN_OK, st)) {
            mn_txn_rollback(txn);
            return;
        }
        st = mn_txn_commit(txn, &options, NULL, NULL);
    } while (st == MN_ERR_CONFLICT);
    (void)MUST(w, st == MN_OK, st);
    (void)atomic_fetch_add(&w->shared->n_transfers, 1);
}

/* All records of a batch carry one number; a reader never sees two. */
static void put_batch(struct worker *w)
{
    static const char ids[BATCH] = "abcdefghijkl";
    struct mn_write_options options = some_ack(w);
    struct mn_record records[BATCH];
    int64_t value = (int64_t)check_random(&w->random);

    const float vector[N_DIMS] = {(float)(value % 1000), 1};
    for (int i = 0; i < BATCH; i++)
        records[i] = (struct mn_record){.id = {&ids[i], 1},
                                        .vector = vector,
                                        .n_dims = N_DIMS,
                                        .payload = {&value, sizeof value}};
    mn_status st =
        mn_put_batch(w->shared->store, mn_str("batch"), records, BATCH, &options, NULL, NULL, NULL);
    (void)MUST(w, st == MN_OK, st);
}

static void race_for_a_prize(struct worker *w, unsigned prize)
{
    struct mn_write_options options = some_ack(w);
    int64_t value = w->index;
    char id[16];

    (void)snprintf(id, sizeof id, "p%u", prize);
    struct mn_record r = number_record(id, &value);
    mn_status st = mn_put_if_absent(w->shared->store, mn_str("prizes"), &r, &options, NULL, NULL);
    if (MUST(w, st == MN_OK || st == MN_EXISTS, st) && st == MN_OK)
        (void)atomic_fetch_add(&w->shared->n_wins[prize], 1);
}

/* Namespaces come and go, with records that expire meanwhile. */
static void come_and_go(struct worker *w)
{
    struct mn_slice name = mn_str(check_below(&w->random, 2) == 0 ? "here" : "there");
    struct mn_write_options options = some_ack(w);
    const char id = (char)('0' + w->index);
    struct mn_record r = {
        .id = {&id, 1}, .fields = MN_HAS_TTL, .ttl_us = (int64_t)check_below(&w->random, 2000)};
    struct mn_slice any = mn_str("any");
    mn_status st;

    switch (check_below(&w->random, 6)) {
    case 0:
        st = mn_namespace_drop(w->shared->store, name, NULL, NULL);
        break;
    case 1:
        st = mn_namespace_ensure(w->shared->store, name, NULL, NULL);
        break;
    case 2:
        st = mn_sweep(w->shared->store, NULL, NULL);
        break;
    case 3:
        st = mn_touch(w->shared->store, name, r.id, MN_HAS_TTL, 500, &options, NULL, NULL);
        (void)MUST(w, st == MN_OK || st == MN_NOT_FOUND, st);
        return;
    case 4:
        st = mn_delete(w->shared->store, name, any, &options, NULL, NULL, NULL);
        break;
    default:
        st = mn_put(w->shared->store, name, &r, &options, NULL, NULL);
    }
    (void)MUST(w, st == MN_OK, st);
}

static void write_all(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < N_ROUNDS && w->failure == NULL; i++) {
        count_up(w, (unsigned)check_below(&w->random, N_COUNTERS));
        transfer(w);
        put_batch(w);
        race_for_a_prize(w, i % N_PRIZES);
        come_and_go(w);
        come_and_go(w);
    }
}

/* Reading ---------- */

static void read_batch(struct worker *w)
{
    struct mn_slice ids[BATCH];
    struct mn_view views[BATCH];
    size_t n_found = 0;

    for (int i = 0; i < BATCH; i++)
        ids[i] = (struct mn_slice){&"abcdefghijkl"[i], 1};
    mn_status st =
        mn_get_batch(w->shared->store, mn_str("batch"), ids, BATCH, views, &n_found, NULL);
    if (!MUST(w, st == MN_OK && n_found == BATCH, st))
        return;
    for (int i = 0; i < BATCH; i++) {
        (void)MUST(w, number_in(&views[i]) == number_in(&views[0]), st);
        (void)MUST(w, views[i].lsn == views[0].lsn, st);
    }
    for (int i = 0; i < BATCH; i++)
        mn_view_release(&views[i]);
}

static void walk_batch(struct worker *w)
{
    mn_iter *iter = NULL;
    struct mn_view view;
    uint64_t lsn = 0;
    int n = 0;
    mn_status st = mn_iter_open(w->shared->store, mn_str("batch"), NULL, &iter, NULL);

    if (!MUST(w, st == MN_OK, st))
        return;
    while ((st = mn_iter_next(iter, &view, NULL)) == MN_OK) {
        (void)MUST(w, n == 0 || view.lsn == lsn, st);
        lsn = view.lsn;
        n++;
        mn_view_release(&view);
    }
    (void)MUST(w, st == MN_END && n == BATCH, st);
    mn_iter_close(iter);
}

static void scan_batch(struct worker *w)
{
    mn_scan *scan = NULL;
    struct mn_scan_chunk chunk;
    float first = 0;
    size_t n = 0;
    mn_status st = mn_scan_open(w->shared->store, mn_str("batch"), NULL, &scan, NULL);

    if (!MUST(w, st == MN_OK, st))
        return;
    while ((st = mn_scan_next(scan, &chunk, NULL)) == MN_OK)
        for (size_t i = 0; i < chunk.n_vectors; i++, n++) {
            struct mn_view view;
            first = n == 0 ? chunk.vectors[i * N_DIMS] : first;
            (void)MUST(w, chunk.vectors[i * N_DIMS] == first, st);
            st = mn_scan_view(scan, i, &view, NULL);
            if (!MUST(w, st == MN_OK && view.vector[0] == first, st))
                break;
            mn_view_release(&view);
        }
    (void)MUST(w, st == MN_END && n == BATCH, st);
    mn_scan_close(scan);
}

/* The records of a batch have one vector, so all score alike, and stand in the order of ids. */
static void search_batch(struct worker *w)
{
    const float query[N_DIMS] = {1, 2};
    const struct mn_search_options o = {.size = sizeof o,
                                        .metric = MN_METRIC_L2,
                                        .n_threads = 1 + (unsigned)check_below(&w->random, 2)};
    mn_search *search = NULL;
    struct mn_search_hit hit;
    float first = 0;
    uint64_t lsn = 0;
    size_t n = 0;
    mn_status st = mn_search_open(w->shared->store, mn_str("batch"), query, 1, N_DIMS,
                                  2 * (size_t)BATCH, &o, &search, NULL);

    if (!MUST(w, st == MN_OK, st))
        return;
    while ((st = mn_search_next(search, &hit, NULL)) == MN_OK) {
        first = n == 0 ? hit.score : first;
        lsn = n == 0 ? hit.view.lsn : lsn;
        (void)MUST(w, hit.score == first && hit.view.lsn == lsn, st);
        (void)MUST(w, *(const char *)hit.view.id.data == "abcdefghijkl"[n % BATCH], st);
        n++;
        mn_view_release(&hit.view);
    }
    (void)MUST(w, st == MN_END && n == BATCH, st);
    mn_search_close(search);
}

static void read_accounts(struct worker *w)
{
    mn_txn *txn = NULL;
    struct mn_view left;
    struct mn_view right;
    mn_status st = mn_txn_begin(w->shared->store, &txn, NULL);

    if (!MUST(w, st == MN_OK, st))
        return;
    st = mn_txn_get(txn, mn_str("left"), mn_str("sum"), &left, NULL);
    (void)MUST(w, st == MN_OK, st);
    st = mn_txn_get(txn, mn_str("right"), mn_str("sum"), &right, NULL);
    (void)MUST(w, st == MN_OK, st);
    (void)MUST(w, number_in(&left) + number_in(&right) == 0, st);
    mn_txn_rollback(txn);
    mn_view_release(&left);
    mn_view_release(&right);
}

static void walk_the_rest(struct worker *w)
{
    mn_namespace_iter *names = NULL;
    struct mn_namespace_info info;
    struct mn_stats stats = {.size = sizeof stats};
    mn_iter *iter = NULL;
    struct mn_view view;
    mn_status st = mn_namespace_iter_open(w->shared->store, (struct mn_slice){0}, &names, NULL);

    if (!MUST(w, st == MN_OK, st))
        return;
    while (mn_namespace_iter_next(names, &info, NULL) == MN_OK)
        continue;
    mn_namespace_iter_close(names);
    st = mn_iter_open(w->shared->store, mn_str("here"), NULL, &iter, NULL);
    (void)MUST(w, st == MN_OK || st == MN_NOT_FOUND, st);
    while (st == MN_OK && (st = mn_iter_next(iter, &view, NULL)) == MN_OK) {
        (void)MUST(w, view.id.n_bytes == 1, st);
        mn_view_release(&view);
    }
    mn_iter_close(iter);
    st = mn_stats(w->shared->store, &stats, NULL);
    (void)MUST(w, st == MN_OK && stats.n_namespaces >= 5 && stats.n_namespaces <= 7, st);
    (void)MUST(w, stats.durable_lsn <= stats.current_lsn, st);
}

/* A record that is held while it is overwritten, written to a segment and merged away. */
struct held {
    struct mn_view view;
    int64_t value;
};

static void hold_on(struct worker *w, struct held *held)
{
    if (held->view.pin != NULL)
        (void)MUST(w, number_in(&held->view) == held->value, MN_OK);
    if (held->view.pin != NULL && check_below(&w->random, 8) != 0)
        return;
    mn_view_release(&held->view);
    mn_status st = mn_get(w->shared->store, mn_str("batch"), mn_str("a"), &held->view, NULL);
    if (MUST(w, st == MN_OK, st))
        held->value = number_in(&held->view);
}

static void read_all(void *context)
{
    struct worker *w = context;
    struct held held = {0};

    while (!atomic_load(&w->shared->stops) && w->failure == NULL) {
        hold_on(w, &held);
        read_batch(w);
        walk_batch(w);
        scan_batch(w);
        search_batch(w);
        read_accounts(w);
        walk_the_rest(w);
    }
    mn_view_release(&held.view);
}

/* Each of them merges too, when there is something to merge. */
static void checkpoint_all(void *context)
{
    struct worker *w = context;

    for (int i = 0; i < CHECKPOINTS_MAX && !atomic_load(&w->shared->stops); i++) {
        mn_status st = mn_checkpoint(w->shared->store, NULL);
        (void)MUST(w, st == MN_OK, st);
        (void)atomic_fetch_add(&w->shared->n_checkpoints, 1);
    }
}

/* ---------- */

static void start(struct worker *w, struct shared *shared, unsigned index, uint64_t seed,
                  void (*run)(void *))
{
    *w = (struct worker){.shared = shared, .index = index, .random = seed + index};
    CHECK_OK(mni_thread_start(&w->thread, run, w, NULL));
}

static void end(struct worker *w)
{
    mni_thread_join(&w->thread);
    if (w->failure != NULL)
        (void)fprintf(stderr, "thread %u: %s (%s)\n", w->index, w->failure,
                      mn_status_name(w->status));
}

static int64_t number_at(mn_store *store, const char *name, const char *id)
{
    struct mn_view view;

    CHECK_OK(mn_get(store, mn_str(name), mn_str(id), &view, NULL));
    int64_t value = number_in(&view);
    mn_view_release(&view);
    return value;
}

static void check_sums(struct shared *shared)
{
    uint64_t n_prizes = 0;

    for (unsigned i = 0; i < N_COUNTERS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%u", i);
        CHECK_EQ(number_at(shared->store, "counters", id), atomic_load(&shared->n_counted[i]));
    }
    for (unsigned i = 0; i < N_PRIZES; i++)
        CHECK_EQ(atomic_load(&shared->n_wins[i]), 1);
    CHECK_OK(mn_count(shared->store, mn_str("prizes"), &n_prizes, NULL));
    CHECK_EQ(n_prizes, N_PRIZES);
    CHECK_EQ(number_at(shared->store, "left", "sum"), -number_at(shared->store, "right", "sum"));
    CHECK_EQ(atomic_load(&shared->n_transfers), N_WRITERS * N_ROUNDS);
}

static mn_store *open_store(const char *path)
{
    struct mn_options options = {
        .size = sizeof options, .create = true, .wal_file_bytes = 64 << 10};
    struct mn_error err;
    mn_store *store = NULL;

    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    return store;
}

static void prepare(struct shared *shared)
{
    struct worker first = {.shared = shared};
    int64_t zero = 0;

    CHECK_OK(mn_config_set(shared->store, "sweep_interval_ms", "10", NULL));
    for (int i = 0; i < N_COUNTERS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%d", i);
        struct mn_record r = number_record(id, &zero);
        CHECK_OK(mn_put(shared->store, mn_str("counters"), &r, NULL, NULL, NULL));
    }
    struct mn_record sum = number_record("sum", &zero);
    CHECK_OK(mn_put(shared->store, mn_str("left"), &sum, NULL, NULL, NULL));
    CHECK_OK(mn_put(shared->store, mn_str("right"), &sum, NULL, NULL, NULL));
    CHECK_OK(mn_namespace_create(shared->store, mn_str("prizes"), NULL, NULL));
    put_batch(&first);
    CHECK(first.failure == NULL);
}

static void many_threads_lose_and_tear_nothing(void)
{
    static struct shared shared;
    static struct worker workers[N_WRITERS + N_READERS + 1];
    const char *path = check_temp_dir();
    uint64_t seed = check_seed();
    bool all_well = true;

    shared.store = open_store(path);
    mni_engine_limit_segments(mni_api_store_engine(shared.store), 32 << 10);
    prepare(&shared);
    for (unsigned i = 0; i < N_WRITERS + N_READERS; i++)
        start(&workers[i], &shared, i, seed, i < N_WRITERS ? write_all : read_all);
    start(&workers[N_WRITERS + N_READERS], &shared, N_WRITERS + N_READERS, seed, checkpoint_all);
    for (unsigned i = 0; i < N_WRITERS + N_READERS + 1; i++) {
        if (i == N_WRITERS)
            atomic_store(&shared.stops, true);
        end(&workers[i]);
        all_well = all_well && workers[i].failure == NULL;
    }
    CHECK(all_well);
    CHECK(atomic_load(&shared.n_checkpoints) > 1);
    check_sums(&shared);
    if (getenv("MNEME_VERBOSE") != NULL)
        (void)fprintf(stderr, "%d checkpoints\n", atomic_load(&shared.n_checkpoints));
    CHECK_OK(mn_close(shared.store, NULL));
    shared.store = open_store(path);
    check_sums(&shared);
    CHECK_OK(mn_close(shared.store, NULL));
}

/* A log that fails ---------- */

static void write_until_it_fails(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; w->status == MN_OK; i++) {
        int64_t value = i;
        char id[32];
        (void)snprintf(id, sizeof id, "%u-%u", w->index, i);
        struct mn_record r = number_record(id, &value);
        w->status = mn_put(w->shared->store, mn_str("n"), &r, NULL, NULL, NULL);
        if (w->status == MN_OK)
            w->n_acked++;
    }
}

static void check_acked(mn_store *store, const struct worker *workers)
{
    for (unsigned i = 0; i < N_WRITERS; i++)
        for (unsigned k = 0; k < workers[i].n_acked; k++) {
            char id[32];
            (void)snprintf(id, sizeof id, "%u-%u", i, k);
            CHECK_EQ(number_at(store, "n", id), k);
        }
}

static void a_log_that_fails_answers_everybody_with_an_error(void)
{
    static struct worker workers[N_WRITERS];
    struct mn_options options = {.size = sizeof options, .create = true};
    struct mni_fault_env *fault = NULL;
    uint64_t seed = check_seed();

    CHECK_OK(mni_fault_env_new(mni_posix_env(), &fault));
    for (int round = 0; round < 20; round++) {
        struct shared shared = {0};
        const char *path = check_temp_dir();
        uint64_t n_acked = 0;
        uint64_t n_records = 0;
        options.wal_file_bytes = 64 << 10;
        CHECK_OK(
            mni_api_store_open(mni_fault_env_base(fault), path, &options, &shared.store, NULL));
        mni_fault_env_fail_at(fault, 1 + check_below(&seed, 100), EIO, true);
        for (unsigned i = 0; i < N_WRITERS; i++)
            start(&workers[i], &shared, i, seed, write_until_it_fails);
        for (unsigned i = 0; i < N_WRITERS; i++)
            mni_thread_join(&workers[i].thread);
        mni_fault_env_fail_at(fault, 0, 0, false);
        for (unsigned i = 0; i < N_WRITERS; i++) {
            CHECK(workers[i].status == MN_ERR_IO || workers[i].status == MN_ERR_POISONED);
            n_acked += workers[i].n_acked;
        }
        check_acked(shared.store, workers);
        mn_status st = mn_count(shared.store, mn_str("n"), &n_records, NULL);
        CHECK(st == MN_OK || n_acked == 0);
        CHECK_EQ(n_records, n_acked);
        mni_api_store_abandon(shared.store);
        shared.store = open_store(path);
        check_acked(shared.store, workers);
        CHECK_OK(mn_close(shared.store, NULL));
    }
    mni_fault_env_free(fault);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(many_threads_lose_and_tear_nothing),
        CHECK_TEST(a_log_that_fails_answers_everybody_with_an_error),
    };

    return check_run("thread.store", tests, CHECK_COUNT(tests), argc, argv);
}
