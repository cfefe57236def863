/*
 * roster_threads_test.c - threads that hit, scan and walk beside one that changes entries and one
 * that takes hits. Run under ThreadSanitizer too.
 */
#include "roster_fixture.h"

#include <stdatomic.h>

#include "io/thread.h"

enum { N_READERS = 3, N_STEPS = 6000, N_KEPT = 8, N_PASSING = 300, N_SCANS_MIN = 20 };

struct shared {
    struct mni_rwlock lock;
    struct roster *roster;
    atomic_bool is_over; /* the writer is through */
};

struct worker {
    struct mni_thread thread;
    struct shared *shared;
    uint64_t random;
    uint64_t n_wrong;
    uint64_t n_hits[N_KEPT];
};

static struct roster_spec random_spec(uint64_t *random, uint64_t id, uint64_t signs[2])
{
    struct roster_spec spec = spec_of(id);

    signs[0] = check_random(random);
    signs[1] = check_random(random);
    spec.model = mn_str("m");
    spec.context = check_below(random, 3);
    spec.signs = signs;
    spec.n_dims = 128;
    return spec;
}

/* Entries below N_KEPT stay. */
static void hit_one(struct worker *worker, const struct tenant *tenant)
{
    uint64_t id = check_below(&worker->random, N_KEPT + N_PASSING);
    struct entry *entry = roster_find(tenant, id);

    worker->n_wrong += entry == NULL ? id < N_KEPT : entry->id != id;
    if (entry == NULL)
        return;
    roster_hit(worker->shared->roster, entry, (int64_t)check_below(&worker->random, 1000000000));
    if (id < N_KEPT)
        worker->n_hits[id]++;
}

/* All are nearer than the most that can differ: those that stay are among so many. */
static void scan_all(struct worker *worker)
{
    const uint64_t signs[2] = {check_random(&worker->random), 0};
    struct roster_near best[N_KEPT + 3 * N_PASSING];
    unsigned n_seen[N_KEPT] = {0};
    struct roster_scan scan = {.tenant = 1,
                               .signs = signs,
                               .n_dims = 128,
                               .best = best,
                               .n_best = sizeof best / sizeof best[0]};
    bool goes_on = true;

    while (goes_on) {
        mni_rwlock_read(&worker->shared->lock);
        goes_on = roster_scan_on(worker->shared->roster, &scan, 100);
        mni_rwlock_unlock(&worker->shared->lock);
    }
    for (size_t i = 0; i < scan.n; i++)
        if (best[i].id < N_KEPT)
            n_seen[best[i].id]++;
    for (unsigned i = 0; i < N_KEPT; i++)
        worker->n_wrong += scan.n < scan.n_best && n_seen[i] != 1;
}

static void walk_all(struct worker *worker)
{
    struct entry *entries[20];
    unsigned n_seen[N_KEPT] = {0};
    uint64_t cursor = 0;
    size_t n = 1;

    while (n > 0) {
        mni_rwlock_read(&worker->shared->lock);
        n = roster_walk(roster_tenant(worker->shared->roster, 1), &cursor, entries, 20);
        for (size_t i = 0; i < n; i++)
            if (entries[i]->id < N_KEPT)
                n_seen[entries[i]->id]++;
        mni_rwlock_unlock(&worker->shared->lock);
    }
    for (unsigned i = 0; i < N_KEPT; i++)
        worker->n_wrong += n_seen[i] != 1;
}

static void run_reader(void *context)
{
    struct worker *worker = context;
    struct shared *shared = worker->shared;

    for (uint64_t i = 0; i < N_SCANS_MIN || !atomic_load(&shared->is_over); i++) {
        for (int j = 0; j < 20; j++) {
            mni_rwlock_read(&shared->lock);
            hit_one(worker, roster_tenant(shared->roster, 1));
            mni_rwlock_unlock(&shared->lock);
        }
        scan_all(worker);
        walk_all(worker);
    }
}

static void change_one(struct worker *worker)
{
    struct roster *roster = worker->shared->roster;
    struct tenant *tenant = roster_tenant(roster, 1);
    uint64_t id = N_KEPT + check_below(&worker->random, N_PASSING);
    struct entry *entry = roster_find(tenant, id);
    uint64_t signs[2];

    if (entry != NULL) {
        roster_leave(roster, entry);
        if (check_below(&worker->random, 2) == 0)
            roster_stay(roster, entry);
        else
            roster_remove(roster, entry);
        return;
    }
    struct roster_spec spec = random_spec(&worker->random, id, signs);
    if (roster_reserve(roster, tenant, &spec, &entry) != MN_OK) {
        worker->n_wrong++;
        return;
    }
    if (check_below(&worker->random, 5) == 0)
        roster_cancel(roster, entry);
    else
        roster_publish(roster, entry);
}

static void run_writer(void *context)
{
    struct worker *worker = context;

    for (int i = 0; i < N_STEPS; i++) {
        mni_rwlock_write(&worker->shared->lock);
        change_one(worker);
        worker->n_wrong += roster_victim(worker->shared->roster, NULL) == NULL;
        mni_rwlock_unlock(&worker->shared->lock);
    }
    atomic_store(&worker->shared->is_over, true);
}

static void run_taker(void *context)
{
    struct worker *worker = context;
    struct roster_hits hits[10];

    while (!atomic_load(&worker->shared->is_over)) {
        mni_rwlock_write(&worker->shared->lock);
        size_t n = roster_take_hits(worker->shared->roster, hits, 10);
        if (check_below(&worker->random, 4) == 0)
            roster_give_hits_back(worker->shared->roster, hits, n);
        mni_rwlock_unlock(&worker->shared->lock);
        mni_rwlock_yield(&worker->shared->lock);
    }
}

static void readers_and_writers_get_along(void)
{
    struct shared shared = {.roster = new_roster()};
    struct tenant *tenant = new_tenant(shared.roster, 1);
    struct worker workers[N_READERS + 2] = {0};
    struct mn_error err;
    uint64_t random = check_seed();

    mni_rwlock_init(&shared.lock);
    for (uint64_t id = 0; id < N_KEPT; id++) {
        uint64_t signs[2];
        (void)there(shared.roster, tenant, random_spec(&random, id, signs));
    }
    for (size_t i = 0; i < CHECK_COUNT(workers); i++) {
        workers[i].shared = &shared;
        workers[i].random = check_random(&random);
        CHECK_OK_ERR(mni_thread_start(&workers[i].thread,
                                      i == 0   ? run_writer
                                      : i == 1 ? run_taker
                                               : run_reader,
                                      &workers[i], &err),
                     &err);
    }
    for (size_t i = 0; i < CHECK_COUNT(workers); i++)
        mni_thread_join(&workers[i].thread);
    for (uint64_t id = 0; id < N_KEPT; id++) {
        uint64_t n_hits = 0;
        for (size_t i = 0; i < CHECK_COUNT(workers); i++)
            n_hits += workers[i].n_hits[id];
        CHECK_EQ(roster_find(tenant, id)->n_hits, n_hits);
    }
    for (size_t i = 0; i < CHECK_COUNT(workers); i++)
        CHECK_EQ(workers[i].n_wrong, 0);
    roster_free(shared.roster);
    mni_rwlock_done(&shared.lock);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {CHECK_TEST(readers_and_writers_get_along)};
    return check_run("semcache.roster_threads", tests, CHECK_COUNT(tests), argc, argv);
}
