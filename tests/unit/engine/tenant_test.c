/*
 * tenant_test.c - collections of a cache of answers: vectors of 16 bits, second keys, hits,
 * wherever they lie.
 */
#include "tenant_fixture.h"

/* Names ---------- */

static void numbers_of_tenants_are_listed_in_order(void)
{
    static const uint64_t numbers[] = {0,         1, 255, 256, UINT64_C(1) << 63, UINT64_MAX - 1,
                                       UINT64_MAX};
    enum { N = CHECK_COUNT(numbers) };
    uint64_t listed[N + 1];
    size_t n = 99;

    begin();
    CHECK_OK(mni_engine_list_tenants(store->engine, 0, listed, N, &n, &err));
    CHECK_EQ(n, 0);
    for (size_t i = N; i-- > 0;) {
        struct entry e = entry_of(numbers[i], 3);
        store_entry(numbers[i], &e);
    }
    for (int where = 0; where < 2; where++) {
        CHECK_OK(mni_engine_list_tenants(store->engine, 0, listed, N + 1, &n, &err));
        CHECK_EQ(n, N);
        CHECK_MEM_EQ(listed, numbers, sizeof numbers);
        CHECK_OK(mni_engine_list_tenants(store->engine, 2, listed, 2, &n, &err));
        CHECK(n == 2 && listed[0] == 255 && listed[1] == 256);
        CHECK_OK(mni_engine_list_tenants(store->engine, UINT64_MAX, listed, N, &n, &err));
        CHECK(n == 1 && listed[0] == UINT64_MAX);
        checkpoint();
    }
    end();
}

static void no_other_view_sees_tenants(void)
{
    struct entry entries[3];
    uint32_t spaces[4];
    size_t n = 9;

    begin();
    (void)put(store, mn_str("n"), mn_str("a"), "1");
    store_entries(a_tenant, entries, 3);
    store_entries(0, entries, 3);
    for (int round = 0; round < 4; round++) {
        CHECK_EQ(n_namespaces(), 1);
        CHECK_EQ(stats_of(store).n_spaces, 0);
        CHECK_EQ(stats_of(store).n_records, 7);
        CHECK_OK(mn_temporal_list_spaces(store, 0, spaces, 4, &n, &err));
        CHECK_EQ(n, 0);
        if (round == 1)
            checkpoint();
        reopen();
    }
    drop_tenant(a_tenant);
    CHECK_EQ(n_namespaces(), 1);
    CHECK_EQ(stats_of(store).n_records, 4);
    struct mni_found found;
    CHECK_STATUS(try_find(a_tenant, entries[0].id, &found), MN_NOT_FOUND);
    reopen();
    CHECK_EQ(n_namespaces(), 1);
    check_all(0, entries, 3, true);
    end();
}

static void messages_name_the_tenant(void)
{
    struct entry e = entry_of(7, 0);
    unsigned char room[MNI_TENANT_KEY_BYTES];

    begin();
    CHECK_STATUS(try_hit(7, 1, 1, MNI_IF_LIVE, 0, NULL), MN_NOT_FOUND);
    CHECK_STR_EQ(err.message, "there is no tenant 7");
    CHECK_STATUS(try_hit(7, 1, 1, MNI_IF_LSN, 5, NULL), MN_CHANGED);
    CHECK_STR_EQ(err.message, "there is no tenant 7");
    store_entry(7, &e);
    struct mni_record r = record_of(&e, room);
    r.n_dims = 2;
    CHECK_STATUS(try_write(7, &r, MNI_ALWAYS, 0, NULL), MN_ERR_DIMENSION);
    CHECK_STR_EQ(err.message, "vector has 2 dimensions, tenant 7 has 5");
    CHECK_STR_EQ(mni_engine_path(store->engine), "/s");
    end();
}

/* Where entries lie ---------- */

static void an_entry_is_the_same_wherever_it_lies(void)
{
    struct entry entries[N_ENTRIES];

    begin();
    store_entries(a_tenant, entries, N_ENTRIES);
    check_all(a_tenant, entries, N_ENTRIES, true); /* in the buffer */
    reopen();
    check_all(a_tenant, entries, N_ENTRIES, true); /* replayed */
    fail_checkpoint();
    check_all(a_tenant, entries, N_ENTRIES, true); /* in a frozen one */
    checkpoint();
    check_all(a_tenant, entries, N_ENTRIES, true); /* in a segment */
    for (int i = 0; i < N_ENTRIES / 2; i++)
        store_entry(a_tenant, &entries[i]);
    check_all(a_tenant, entries, N_ENTRIES, true);
    checkpoint(); /* and a merge, for half of the first segment is dead */
    CHECK_EQ(stats_of(store).segment_dead_rows, 0);
    check_all(a_tenant, entries, N_ENTRIES, true);
    reopen();
    check_all(a_tenant, entries, N_ENTRIES, true);
    struct mn_verify_report report = {.size = sizeof report};
    closed(store);
    CHECK_OK_ERR(mni_engine_verify(mni_fault_env_base(fault), "/s", &report, &err), &err);
    CHECK_EQ(report.n_damaged_files, 0);
    CHECK_OK_ERR(try_open_store(), &err);
    end();
}

static void hits_are_shown_wherever_they_lie(void)
{
    struct entry entries[N_ENTRIES];
    const uint64_t many = UINT64_MAX;

    begin();
    store_entries(a_tenant, entries, N_ENTRIES);
    hit(a_tenant, &entries[0], 1);
    hit(a_tenant, &entries[0], many); /* in the buffer, twice */
    hit(a_tenant, &entries[2], 7);
    check_all(a_tenant, entries, N_ENTRIES, true);
    fail_checkpoint();
    hit(a_tenant, &entries[3], 3); /* of a frozen one */
    hit(a_tenant, &entries[0], 5); /* which had some */
    check_all(a_tenant, entries, N_ENTRIES, true);
    reopen();
    check_all(a_tenant, entries, N_ENTRIES, true);
    fail_checkpoint();
    hit(a_tenant, &entries[4], 4);
    checkpoint();
    check_all(a_tenant, entries, N_ENTRIES, true);
    hit(a_tenant, &entries[5], 6); /* of a row */
    hit(a_tenant, &entries[4], many);
    check_all(a_tenant, entries, N_ENTRIES, true);
    reopen();
    check_all(a_tenant, entries, N_ENTRIES, true);
    checkpoint(); /* into liveness files */
    check_all(a_tenant, entries, N_ENTRIES, true);
    reopen();
    check_all(a_tenant, entries, N_ENTRIES, true);
    for (int i = 10; i < N_ENTRIES; i++)
        store_entry(a_tenant, &entries[i]);
    checkpoint(); /* merged */
    CHECK_EQ(stats_of(store).segment_dead_rows, 0);
    check_all(a_tenant, entries, N_ENTRIES, true);
    store_entry(a_tenant, &entries[4]); /* a new one has none */
    check_all(a_tenant, entries, N_ENTRIES, true);
    reopen();
    check_all(a_tenant, entries, N_ENTRIES, true);
    end();
}

static void hits_leave_the_record_as_it_is(void)
{
    struct entry e = entry_of(a_tenant, 4);
    unsigned char room[MNI_TENANT_KEY_BYTES];

    begin();
    for (int round = 0; round < 4; round++) {
        store_entry(a_tenant, &e);
        if (round == 1)
            checkpoint();
        if (round == 2)
            fail_checkpoint();
        hit(a_tenant, &e, 9);
        check_entry(a_tenant, &e, true);
        struct mni_record r = record_of(&e, room);
        CHECK(e.lsn > e.record_lsn);
        CHECK_STATUS(try_write(a_tenant, &r, MNI_IF_LSN, e.lsn, NULL), MN_CHANGED);
        CHECK_STATUS(try_hit(a_tenant, e.id, 10, MNI_IF_LSN, e.lsn, NULL), MN_CHANGED);
        CHECK_OK_ERR(try_hit(a_tenant, e.id, 10, MNI_IF_LSN, e.record_lsn, &e.lsn), &err);
        e.hits = 10;
        if (round == 3)
            checkpoint();
        check_entry(a_tenant, &e, true);
        CHECK_OK_ERR(try_write(a_tenant, &r, MNI_IF_LSN, e.record_lsn, &e.lsn), &err);
        e.record_lsn = e.lsn;
        e.hits = 0;
        check_entry(a_tenant, &e, true);
        CHECK_STATUS(try_hit(a_tenant, e.id + 1, 1, MNI_IF_LIVE, 0, NULL), MN_NOT_FOUND);
    }
    end();
}

/* With an expiry, which patches of hits leave, and which the sweep ends. */
static void entries_expire_and_are_swept(void)
{
    struct mni_found found;
    uint64_t n = 0;

    begin();
    mni_crash_env_set_wall_us(crash, 1000);
    for (int round = 0; round < 2; round++) {
        struct entry e = entry_of(a_tenant, 4);
        e.expires_at_us = 1000000000 * (round + 1);
        store_entry(a_tenant, &e);
        if (round == 1)
            checkpoint();
        hit(a_tenant, &e, 2);
        check_entry(a_tenant, &e, true);
        mni_crash_env_set_wall_us(crash, e.expires_at_us);
        CHECK_STATUS(try_find(a_tenant, e.id, &found), MN_NOT_FOUND);
        CHECK_STATUS(try_hit(a_tenant, e.id, 3, MNI_IF_LIVE, 0, NULL), MN_NOT_FOUND);
        CHECK_OK(mn_sweep(store, &n, &err));
        CHECK_EQ(n, 1);
        CHECK_EQ(stats_of(store).n_expired, 0);
    }
    end();
}

/* The record of a budget: a key of one byte, and a payload. */
static void a_budget_lies_beside_entries(void)
{
    unsigned char payload[16];
    struct mni_record budget = {
        .type = MNI_RECORD_UPSERT, .key = mn_str("b"), .payload = {payload, sizeof payload}};
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct entry entries[N_ENTRIES];
    struct mni_found found;

    begin();
    mni_put_u64(payload, 1000);
    mni_put_u64(payload + 8, 20);
    CHECK_OK_ERR(try_write(a_tenant, &budget, MNI_ALWAYS, 0, NULL), &err);
    store_entries(a_tenant, entries, N_ENTRIES);
    for (int round = 0; round < 3; round++) {
        CHECK_OK_ERR(mni_engine_get(store->engine, MNI_KIND_TENANT, mni_tenant_key(a_tenant, name),
                                    mn_str("b"), &found, &err),
                     &err);
        CHECK_EQ(found.record.n_dims, 0);
        CHECK_EQ(found.record.fields, 0);
        CHECK_MEM_EQ(found.record.payload.data, payload, sizeof payload);
        mni_pin_release(found.pin);
        for (int i = 0; i < N_ENTRIES; i++)
            check_entry(a_tenant, &entries[i], true);
        checkpoint();
        reopen();
    }
    end();
}

/* Whatever call the power goes at, what was acknowledged is there, and the rest is whole. */
static void power_may_go_at_any_call(void)
{
    bool is_cut = true;

    for (uint64_t n = 1; is_cut; n++) {
        struct entry entries[4];
        struct mni_found found;
        size_t n_acked = 0;
        mn_status st = MN_OK;
        begin_with(n);
        for (int i = 0; i < 4; i++)
            entries[i] = entry_of(a_tenant, i);
        store_entry(a_tenant, &entries[0]);
        mni_crash_env_cut_at(crash, n);
        for (n_acked = 1; n_acked < 4 && st == MN_OK; n_acked++) {
            unsigned char room[MNI_TENANT_KEY_BYTES];
            struct mni_record r = record_of(&entries[n_acked], room);
            st = try_write(a_tenant, &r, MNI_ALWAYS, 0, &entries[n_acked].lsn);
            entries[n_acked].record_lsn = entries[n_acked].lsn;
            if (st == MN_OK && n_acked == 1)
                st = mn_checkpoint(store, &err);
        }
        n_acked -= st != MN_OK;
        uint64_t lsn = 0;
        mn_status hit_st = try_hit(a_tenant, 0, 5, MNI_IF_LIVE, 0, &lsn);
        if (st == MN_OK && hit_st == MN_OK)
            st = mn_checkpoint(store, &err);
        is_cut = mni_crash_env_is_cut(crash);
        mni_api_store_abandon(store);
        mni_crash_env_cut_at(crash, 0);
        mni_crash_env_restart(crash, false, 0);
        CHECK_OK_ERR(try_open_store(), &err);
        CHECK_OK_ERR(try_find(a_tenant, 0, &found), &err);
        CHECK(hit_st != MN_OK || found.record.hits == 5);
        if (found.record.hits != 0) {
            entries[0].hits = found.record.hits;
            entries[0].lsn = found.lsn;
        }
        check_record(&found, &entries[0], true);
        mni_pin_release(found.pin);
        for (size_t i = 1; i < 4; i++) {
            mn_status there = try_find(a_tenant, entries[i].id, &found);
            CHECK(there == MN_OK || (there == MN_NOT_FOUND && i >= n_acked));
            if (there != MN_OK)
                continue;
            check_record(&found, &entries[i], i < n_acked);
            mni_pin_release(found.pin);
        }
        end();
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(numbers_of_tenants_are_listed_in_order),
        CHECK_TEST(no_other_view_sees_tenants),
        CHECK_TEST(messages_name_the_tenant),
        CHECK_TEST(an_entry_is_the_same_wherever_it_lies),
        CHECK_TEST(hits_are_shown_wherever_they_lie),
        CHECK_TEST(hits_leave_the_record_as_it_is),
        CHECK_TEST(entries_expire_and_are_swept),
        CHECK_TEST(a_budget_lies_beside_entries),
        CHECK_TEST(power_may_go_at_any_call),
    };

    return check_run("engine.tenant", tests, CHECK_COUNT(tests), argc, argv);
}
