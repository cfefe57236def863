/*
 * tenant_seams_test.c - what the view of tenants asks of the engine: what a batch stored, more
 * pins, commits from a checkpoint's own thread, memory, limits.
 */
#include "tenant_fixture.h"

/* What was stored ---------- */

static struct mni_batch *batch_of(uint64_t tenant, size_t *index_out)
{
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct mni_batch *batch = NULL;

    CHECK_OK(mni_batch_new(store->engine, NULL, &batch));
    CHECK_OK(mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, name), true,
                                  index_out, &err));
    return batch;
}

static void a_batch_gives_out_what_it_stored(void)
{
    struct entry e = entry_of(a_tenant, 4);
    struct entry other = e;
    unsigned char room[MNI_TENANT_KEY_BYTES];
    struct mni_found found;
    size_t index;
    size_t op_index = 9;

    begin();
    for (int round = 0; round < 3; round++) {
        e.expires_at_us = round == 1 ? INT64_MAX : 0;
        struct mni_record r = record_of(&e, room);
        struct mni_batch *batch = batch_of(a_tenant, &index);
        CHECK_OK(mni_batch_add(batch, index, &r, MNI_ALWAYS, 0, &op_index, &err));
        CHECK_OK_ERR(mni_batch_commit(batch, MN_ACK_DEFAULT, &e.lsn, &err), &err);
        e.record_lsn = e.lsn;
        (void)snprintf(other.payload, sizeof other.payload, "another");
        store_entry(a_tenant, &other); /* meanwhile */
        hit(a_tenant, &other, 3);
        if (round == 2)
            drop_tenant(a_tenant);
        mni_batch_found(batch, op_index, &found);
        mni_batch_free(batch);
        checkpoint();
        check_record(&found, &e, true);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        CHECK_OK(mni_found_pin(store->engine, &found, &err));
        CHECK(stats_of(store).pinned_bytes > 0);
        CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
        check_record(&found, &e, true);
        mni_pin_release(found.pin);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
    }
    end();
}

/* Pins ---------- */

static void a_pin_again_counts_as_much(void)
{
    struct entry entries[N_ENTRIES];
    void *again = NULL;
    struct mni_found found;

    begin();
    store_entries(a_tenant, entries, N_ENTRIES);
    for (int round = 0; round < 3; round++) {
        CHECK_OK(try_find(a_tenant, entries[4].id, &found));
        CHECK_OK(mni_pin_again(found.pin, &again, &err)); /* counts nothing */
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        mni_pin_release(again);
        CHECK_OK(mni_found_pin(store->engine, &found, &err));
        uint64_t once = stats_of(store).pinned_bytes;
        CHECK(once > 0);
        CHECK_OK(mni_pin_again(found.pin, &again, &err));
        CHECK_EQ(stats_of(store).pinned_bytes, 2 * once);
        store_entry(a_tenant, &(struct entry){.id = entries[4].id});
        checkpoint();
        mni_pin_release(found.pin);
        check_record(&found, &entries[4], true); /* the other one holds it */
        CHECK_EQ(stats_of(store).pinned_bytes, once);
        mni_pin_release(again);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        store_entry(a_tenant, &entries[4]);
        if (round == 0)
            checkpoint();
        if (round == 1)
            hit(a_tenant, &entries[4], 2); /* a patched version */
    }
    end();
}

static void pins_are_refused_beyond_the_budget(void)
{
    enum { PAYLOAD_BYTES = 100000, N_MAX = 100 };
    static char payload[PAYLOAD_BYTES];
    unsigned char room[MNI_TENANT_KEY_BYTES];
    void *pins[N_MAX];
    struct mni_found found;

    begin();
    CHECK_OK_ERR(mn_config_set(store, "pinned_bytes_max", "1048576", &err), &err);
    struct entry e = entry_of(a_tenant, 4);
    struct mni_record r = record_of(&e, room);
    r.payload = (struct mn_slice){payload, sizeof payload};
    CHECK_OK_ERR(try_write(a_tenant, &r, MNI_ALWAYS, 0, NULL), &err);
    for (int round = 0; round < 2; round++) {
        size_t n = 0;
        CHECK_OK(try_find(a_tenant, e.id, &found));
        CHECK_OK(mni_found_pin(store->engine, &found, &err));
        mn_status st = MN_OK;
        while (st == MN_OK && n < N_MAX) {
            st = mni_pin_again(found.pin, &pins[n], &err);
            n += st == MN_OK;
        }
        CHECK_STATUS(st, MN_ERR_BUDGET);
        CHECK_STR_HAS(err.message, "pinned_bytes_max");
        CHECK_EQ(n, 9);
        CHECK(stats_of(store).pinned_bytes <= 1048576);
        while (n > 0)
            mni_pin_release(pins[--n]);
        mni_pin_release(found.pin);
        CHECK_EQ(stats_of(store).pinned_bytes, 0);
        checkpoint();
    }
    end();
}

/* Checkpoints ---------- */

struct caller {
    unsigned n_calls;
    bool writes;
    mn_status status;
    struct entry *entry;
};

/* Commits as the view will: from the checkpoint's own thread. */
static void write_hits(void *context)
{
    struct caller *caller = context;
    unsigned char room[MNI_TENANT_KEY_BYTES];
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct mni_batch *batch = NULL;
    struct mn_error why;
    size_t index;

    caller->n_calls++;
    if (!caller->writes)
        return;
    struct mni_record r = {.type = MNI_RECORD_PATCH,
                           .fields = MNI_FIELD_HITS,
                           .key = mni_tenant_key(caller->entry->id, room),
                           .hits = caller->entry->hits + 1};
    mn_status st = mni_batch_new(store->engine, NULL, &batch);
    if (st == MN_OK) {
        mni_batch_never_wait(batch);
        st = mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(a_tenant, name), false,
                                  &index, &why);
    }
    if (st == MN_OK)
        st = mni_batch_add(batch, index, &r, MNI_IF_LIVE, 0, NULL, &why);
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_NONE, &caller->entry->lsn, &why);
    mni_batch_free(batch);
    caller->entry->hits += st == MN_OK;
    if (caller->status == MN_OK)
        caller->status = st;
}

static void whoever_asked_is_called_before_checkpoints(void)
{
    struct place p = new_place();
    struct entry e = entry_of(a_tenant, 4);
    struct caller caller = {.writes = true, .entry = &e};
    struct mni_purge_receipt receipt = {0};
    struct mn_snapshot_info info;
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct mn_options quiet = {.size = sizeof quiet, .create = true, .no_background = true};

    CHECK_OK_ERR(mn_open(p.store, &quiet, &store, &err), &err);
    store_entry(a_tenant, &e);
    mni_engine_on_checkpoint(store->engine, write_hits, &caller);
    checkpoint();
    CHECK_EQ(caller.n_calls, 1);
    CHECK_EQ(stats_of(store).checkpoint_lsn, e.lsn); /* with what was written then */
    check_entry(a_tenant, &e, true);
    create(store, NULL, &info);
    CHECK_EQ(caller.n_calls, 2);
    CHECK_EQ(stats_of(store).checkpoint_lsn, e.lsn);
    CHECK_STATUS(mni_engine_purge(store->engine, MNI_KIND_TENANT, mni_tenant_key(9, name), NULL, 0,
                                  &receipt, &err),
                 MN_NOT_FOUND);
    mni_free(receipt.snapshots);
    CHECK_EQ(caller.n_calls, 3);
    mni_engine_on_checkpoint(store->engine, NULL, NULL);
    checkpoint();
    CHECK_EQ(caller.n_calls, 3);
    mni_engine_on_checkpoint(store->engine, write_hits, &caller);
    closed(store);
    CHECK_EQ(caller.n_calls, 4);
    CHECK_STATUS(caller.status, MN_OK);
    CHECK_EQ(e.hits, 4);
    CHECK_OK_ERR(mn_open(p.store, &quiet, &store, &err), &err);
    check_entry(a_tenant, &e, true);
    closed(store);
}

static void a_poisoned_store_calls_nobody_when_it_is_closed(void)
{
    struct entry e = entry_of(a_tenant, 4);
    struct caller caller = {.writes = true, .entry = &e};

    begin();
    store_entry(a_tenant, &e);
    mni_engine_on_checkpoint(store->engine, write_hits, &caller);
    mni_fault_env_fail_at(fault, 1, EIO, false);
    CHECK(try_hit(a_tenant, e.id, 2, MNI_ALWAYS, 0, NULL) != MN_OK);
    mni_fault_env_fail_at(fault, 0, 0, false);
    CHECK(stats_of(store).is_poisoned);
    mni_ignore(mn_close(store, &err));
    CHECK_EQ(caller.n_calls, 0);
    mni_fault_env_free(fault);
    mni_crash_env_free(crash);
}

/* The background's thread, which is the one that makes room: it waits for nothing. */
static void the_background_calls_too(void)
{
    struct place p = new_place();
    struct entry e = entry_of(a_tenant, 4);
    struct caller caller = {.writes = true, .entry = &e};

    store = opened(p.store);
    CHECK_OK_ERR(mn_config_set(store, "checkpoint_interval_ms", "100", &err), &err);
    store_entry(a_tenant, &e);
    mni_engine_on_checkpoint(store->engine, write_hits, &caller);
    while (stats_of(store).checkpoint_lsn == 0) {
        const struct timespec nap = {.tv_nsec = 1000000};
        (void)nanosleep(&nap, NULL);
    }
    mni_engine_on_checkpoint(store->engine, NULL, NULL); /* and waits for it */
    CHECK(caller.n_calls > 0);
    CHECK_STATUS(caller.status, MN_OK);
    check_entry(a_tenant, &e, true);
    CHECK_EQ(e.hits, caller.n_calls);
    closed(store);
}

/* Stores entries, and keeps pins of some of them, until it is told to stop. */
struct storer {
    struct mni_thread thread;
    uint64_t tenant;
    atomic_bool stops;
    atomic_uint n_stored;
    mn_status status;
};

static mn_status store_one(uint64_t tenant, uint64_t id, struct mni_found *found_out)
{
    static const char payload[1000];
    unsigned char name[MNI_TENANT_KEY_BYTES];
    unsigned char key[MNI_TENANT_KEY_BYTES];
    struct entry e = entry_of(tenant, 4);
    struct mni_record r = record_of(&e, key);
    struct mni_batch *batch = NULL;
    struct mn_error why;
    size_t index;
    size_t op_index = 0;
    mn_status st = mni_batch_new(store->engine, NULL, &batch);

    r.key = mni_tenant_key(id, key);
    r.payload = (struct mn_slice){payload, sizeof payload};
    if (st == MN_OK)
        st = mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, name), true,
                                  &index, &why);
    if (st == MN_OK)
        st = mni_batch_add(batch, index, &r, MNI_ALWAYS, 0, &op_index, &why);
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_NONE, NULL, &why);
    if (st == MN_OK)
        mni_batch_found(batch, op_index, found_out);
    mni_batch_free(batch);
    return st;
}

static void run_storer(void *context)
{
    struct storer *storer = context;
    uint64_t id = 0;
    void *again = NULL;

    while (storer->status == MN_OK && !atomic_load(&storer->stops)) {
        struct mni_found found;
        storer->status = store_one(storer->tenant, id++ % 16, &found);
        if (storer->status != MN_OK)
            break;
        storer->status = mni_found_pin(store->engine, &found, NULL);
        mni_pin_release(again);
        again = NULL;
        if (storer->status == MN_OK)
            storer->status = mni_pin_again(found.pin, &again, NULL);
        mni_pin_release(found.pin);
        atomic_fetch_add(&storer->n_stored, 1);
    }
    mni_pin_release(again);
    atomic_fetch_add(&storer->n_stored, 1000000); /* nobody waits for more */
}

/* Writers that wait for checkpoints, and commits of those. */
static void writers_go_on_beside_commits_of_checkpoints(void)
{
    struct place p = new_place();
    struct entry e = entry_of(a_tenant, 5);
    struct caller caller = {.writes = true, .entry = &e};
    struct storer storers[2] = {{.tenant = a_tenant}, {.tenant = 9}};

    store = opened(p.store);
    CHECK_OK_ERR(mn_config_set(store, "checkpoint_bytes", "65536", &err), &err);
    store_entry(a_tenant, &e);
    mni_engine_on_checkpoint(store->engine, write_hits, &caller);
    for (int i = 0; i < 2; i++)
        CHECK_OK(mni_thread_start(&storers[i].thread, run_storer, &storers[i], &err));
    for (int i = 0; i < 20 || atomic_load(&storers[0].n_stored) < 500; i++) {
        checkpoint();
        (void)stats_of(store);
    }
    mni_engine_on_checkpoint(store->engine, NULL, NULL);
    uint64_t n_hits = e.hits;
    mni_engine_on_checkpoint(store->engine, write_hits, &caller);
    for (int i = 0; i < 2; i++) {
        atomic_store(&storers[i].stops, true);
        mni_thread_join(&storers[i].thread);
        CHECK_STATUS(storers[i].status, MN_OK);
    }
    closed(store);
    CHECK_STATUS(caller.status, MN_OK);
    CHECK(n_hits > 0 && e.hits > n_hits);
    CHECK_EQ(caller.n_calls, e.hits);
    store = opened(p.store);
    check_entry(a_tenant, &e, true);
    closed(store);
}

static void a_batch_that_never_waits_is_refused_instead(void)
{
    struct entry e = entry_of(a_tenant, 4);
    unsigned char room[MNI_TENANT_KEY_BYTES];
    struct mni_engine *engine;
    size_t index;

    begin();
    store_entry(a_tenant, &e);
    struct mni_record put_record = record_of(&e, room);
    const struct mni_record patch = {
        .type = MNI_RECORD_PATCH, .fields = MNI_FIELD_HITS, .key = put_record.key, .hits = 1};
    engine = store->engine;
    atomic_store(&engine->has_jobs_thread, true); /* which never answers */
    for (int round = 0; round < 4; round++) {
        static const mn_status answers[] = {MN_ERR_BUDGET, MN_ERR_NO_SPACE, MN_ERR_NO_SPACE,
                                            MN_ERR_BUDGET};
        struct mni_batch *batch = batch_of(a_tenant, &index);
        mni_batch_never_wait(batch);
        if (round == 3) {
            budget_walk_add(engine, UINT64_C(1) << 40);
            CHECK_STATUS(mni_batch_add(batch, index, &put_record, MNI_ALWAYS, 0, NULL, &err),
                         MN_ERR_BUDGET);
            CHECK_STATUS(mni_batch_add(batch, index, &patch, MNI_ALWAYS, 0, NULL, &err),
                         MN_ERR_BUDGET);
            budget_walk_subtract(engine, UINT64_C(1) << 40);
            mni_batch_free(batch);
            break;
        }
        CHECK_OK(mni_batch_add(batch, index, &put_record, MNI_ALWAYS, 0, NULL, &err));
        if (round == 0)
            atomic_fetch_add(&engine->unwritten_bytes, UINT64_C(1) << 40);
        atomic_store(&engine->reserve_is_lent, round == 1);
        atomic_store(&engine->reserve_is_short, round == 2);
        CHECK_STATUS(mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &err), answers[round]);
        mni_batch_free(batch);
        batch = batch_of(a_tenant, &index); /* hits go on */
        mni_batch_never_wait(batch);
        CHECK_OK(mni_batch_add(batch, index, &patch, MNI_IF_LIVE, 0, NULL, &err));
        CHECK_OK_ERR(mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &err), &err);
        mni_batch_free(batch);
        if (round == 0)
            atomic_fetch_sub(&engine->unwritten_bytes, UINT64_C(1) << 40);
        atomic_store(&engine->reserve_is_lent, false);
        atomic_store(&engine->reserve_is_short, false);
    }
    atomic_store(&engine->has_jobs_thread, false);
    end();
}

/* On a full disk others make a checkpoint, and wait for a lock that its thread may have. */
static void a_batch_that_never_waits_makes_no_checkpoint(void)
{
    struct entry e = entry_of(a_tenant, 4);
    uint64_t n = 0;
    mn_status st = MN_OK;

    begin();
    store_entry(a_tenant, &e);
    for (; st == MN_OK; n++) { /* up to the end of a log file */
        unsigned char room[MNI_TENANT_KEY_BYTES];
        const struct mni_record patch = {.type = MNI_RECORD_PATCH,
                                         .fields = MNI_FIELD_HITS,
                                         .key = mni_tenant_key(e.id, room),
                                         .hits = n + 1};
        size_t index;
        struct mni_batch *batch = batch_of(a_tenant, &index);
        mni_batch_never_wait(batch);
        CHECK_OK(mni_batch_add(batch, index, &patch, MNI_IF_LIVE, 0, NULL, &err));
        mni_fault_env_fail_at(fault, 1, ENOSPC, true);
        bool was_logged = mni_fault_env_n_calls(fault) == 0;
        st = mni_batch_commit(batch, MN_ACK_NONE, NULL, &err);
        mni_fault_env_fail_at(fault, 0, 0, false);
        mni_batch_free(batch);
        CHECK(was_logged);
    }
    CHECK_EQ(stats_of(store).checkpoint_lsn, 0);
    mni_ignore(mn_close(store, &err));
    mni_fault_env_free(fault);
    mni_crash_env_free(crash);
}

/* Memory and settings ---------- */

static void memory_of_others_counts(void)
{
    begin();
    CHECK_OK_ERR(mn_config_set(store, "memory_bytes_max", "67108864", &err), &err);
    uint64_t before = stats_of(store).memory_bytes;
    CHECK_OK(mni_engine_reserve_memory(store->engine, 1 << 20, &err));
    CHECK_EQ(stats_of(store).memory_bytes, before + (1 << 20));
    CHECK_STATUS(mni_engine_reserve_memory(store->engine, 64 << 20, &err), MN_ERR_BUDGET);
    CHECK_STR_HAS(err.message, "memory_bytes_max");
    CHECK_EQ(stats_of(store).memory_bytes, before + (1 << 20));
    size_t n = 0;
    while (mni_engine_reserve_memory(store->engine, 100000, &err) == MN_OK) /* small ones too */
        n++;
    CHECK(n > 100 && stats_of(store).memory_bytes < 64 << 20);
    mni_engine_release_memory(store->engine, (1 << 20) + n * 100000);
    CHECK_EQ(stats_of(store).memory_bytes, before);
    end();
}

static void limits_of_caches_are_settings(void)
{
    struct mni_cache_limits limits;

    begin();
    mni_engine_cache_limits(store->engine, &limits);
    CHECK(limits.bytes_max == 0 && limits.entries_max == 0 && limits.tenant_bytes_max == 0 &&
          limits.tenant_entries_max == 0);
    CHECK_OK_ERR(mn_config_set(store, "cache_bytes_max", "1099511627776", &err), &err);
    CHECK_OK_ERR(mn_config_set(store, "cache_entries_max", "2", &err), &err);
    CHECK_OK_ERR(mn_config_set(store, "cache_tenant_bytes_max", "3", &err), &err);
    CHECK_OK_ERR(mn_config_set(store, "cache_tenant_entries_max", "4", &err), &err);
    for (int round = 0; round < 2; round++) {
        mni_engine_cache_limits(store->engine, &limits);
        CHECK(limits.bytes_max == UINT64_C(1) << 40 && limits.entries_max == 2 &&
              limits.tenant_bytes_max == 3 && limits.tenant_entries_max == 4);
        reopen();
    }
    end();
}

/* Each byte of a purged entry's is gone from the store's files. */
static void a_purge_takes_hits_too(void)
{
    struct place p = new_place();
    struct entry e = entry_of(a_tenant, 4);
    struct caller caller = {.writes = true, .entry = &e};
    struct mni_purge_receipt receipt = {0};
    unsigned char name[MNI_TENANT_KEY_BYTES];
    unsigned char key[MNI_TENANT_KEY_BYTES];
    struct mni_found found;

    store = opened(p.store);
    store_entry(a_tenant, &e);
    checkpoint();
    mni_engine_on_checkpoint(store->engine, write_hits, &caller);
    const struct mn_slice keys[] = {mni_tenant_key(e.id, key)};
    CHECK_OK_ERR(mni_engine_purge(store->engine, MNI_KIND_TENANT, mni_tenant_key(a_tenant, name),
                                  keys, 1, &receipt, &err),
                 &err);
    CHECK_EQ(receipt.n_records, 1);
    CHECK_STATUS(caller.status, MN_OK);
    CHECK_STATUS(try_find(a_tenant, e.id, &found), MN_NOT_FOUND);
    mni_engine_on_checkpoint(store->engine, NULL, NULL);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_batch_gives_out_what_it_stored),
        CHECK_TEST(a_pin_again_counts_as_much),
        CHECK_TEST(pins_are_refused_beyond_the_budget),
        CHECK_TEST(whoever_asked_is_called_before_checkpoints),
        CHECK_TEST(a_poisoned_store_calls_nobody_when_it_is_closed),
        CHECK_TEST(the_background_calls_too),
        CHECK_TEST(writers_go_on_beside_commits_of_checkpoints),
        CHECK_TEST(a_batch_that_never_waits_is_refused_instead),
        CHECK_TEST(a_batch_that_never_waits_makes_no_checkpoint),
        CHECK_TEST(memory_of_others_counts),
        CHECK_TEST(limits_of_caches_are_settings),
        CHECK_TEST(a_purge_takes_hits_too),
    };

    return check_run("engine.tenant_seams", tests, CHECK_COUNT(tests), argc, argv);
}
