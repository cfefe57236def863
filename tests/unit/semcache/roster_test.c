/* Tests of each call of the roster, of many entries, and of memory that is short. */
#include "roster_fixture.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static const unsigned char key_a[MN_SEMCACHE_KEY_BYTES] = {'a', 1};
static const unsigned char key_b[MN_SEMCACHE_KEY_BYTES] = {'a', 2};

/* Tenants ---------- */

static void tenants_are_found_and_go_in_order(void)
{
    static const uint64_t numbers[] = {9, 0, UINT64_MAX, 5};
    struct roster *roster = new_roster();
    struct tenant *tenants[4];

    CHECK(roster_tenant(roster, 0) == NULL);
    CHECK(roster_next_tenant(roster, 0) == NULL);
    for (int i = 0; i < 4; i++)
        tenants[i] = new_tenant(roster, numbers[i]);
    for (int i = 0; i < 4; i++) {
        CHECK(roster_tenant(roster, numbers[i]) == tenants[i]);
        CHECK(new_tenant(roster, numbers[i]) == tenants[i]);
        CHECK(roster_next_tenant(roster, numbers[i]) == tenants[i]);
    }
    CHECK(roster_next_tenant(roster, 1) == tenants[3]);
    CHECK(roster_next_tenant(roster, 10) == tenants[2]);
    roster_drop_tenant(roster, tenants[2]);
    CHECK(roster_next_tenant(roster, 10) == NULL);
    CHECK(roster_tenant(roster, UINT64_MAX) == NULL);
    roster_free(roster);
    roster_free(NULL);
}

static void dropped_tenant_is_gone_at_once(void)
{
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct tenant *other = new_tenant(roster, 2);
    struct roster_spec spec = spec_of(1);
    struct roster_hits hits;

    spec.expires_at_us = 5;
    for (spec.id = 0; spec.id < 100; spec.id++)
        roster_hit(roster, there(roster, tenant, spec), 0);
    spec = spec_of(7);
    struct entry *kept = there(roster, other, spec);
    uint64_t full_bytes = roster_memory_bytes(roster);
    roster_drop_tenant(roster, tenant);
    CHECK(roster_tenant(roster, 1) == NULL);
    CHECK_EQ(roster_get_sums(roster).n_entries, 1);
    CHECK_EQ(roster_get_sums(roster).bytes, kept->bytes);
    CHECK_EQ(roster_take_hits(roster, &hits, 1), 0);
    CHECK(roster_victim(roster, NULL) == kept);
    CHECK_EQ(roster_lapse(roster, 10, 100), 0);
    tenant = new_tenant(roster, 1);
    CHECK(roster_find(tenant, 1) == NULL);
    CHECK_EQ(tenant->n_dims, 0);
    while (roster_clear_dropped(roster, 7) > 0)
        continue;
    CHECK(roster_memory_bytes(roster) < full_bytes / 4);
    roster_free(roster);
}

/* States ---------- */

static void pending_entry_is_counted_and_found_by_nobody(void)
{
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct roster_spec spec = spec_of(UINT64_MAX);
    struct entry *entries[2];
    uint64_t cursor = 0;

    spec.key = key_a;
    spec.expires_at_us = 5;
    struct entry *entry = pending(roster, tenant, spec);
    CHECK_EQ(roster_get_sums(roster).n_entries, 1);
    CHECK_EQ(tenant->sums.bytes, 100 + roster_overhead_bytes(0));
    CHECK_EQ(tenant->sums.logical_bytes, 10);
    CHECK(roster_find(tenant, UINT64_MAX) == NULL);
    CHECK(roster_find_key(tenant, key_a) == NULL);
    CHECK(roster_victim(roster, NULL) == NULL);
    CHECK_EQ(roster_lapse(roster, 10, 10), 0);
    CHECK_EQ(roster_walk(tenant, &cursor, entries, 2), 0);
    roster_cancel(roster, entry);
    CHECK_EQ(roster_get_sums(roster).bytes, 0);
    CHECK_EQ(tenant->sums.n_entries, 0);
    CHECK(pending(roster, tenant, spec) != NULL);
    roster_free(roster); /* with the pending one */
}

static void leaving_entry_is_found_and_neither_counted_nor_chosen(void)
{
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct roster_spec spec = spec_of(0);

    spec.key = key_a;
    spec.expires_at_us = 5;
    struct entry *entry = there(roster, tenant, spec);
    CHECK(roster_victim(roster, tenant) == entry);
    roster_leave(roster, entry);
    CHECK(roster_find(tenant, 0) == entry);
    CHECK(roster_find_key(tenant, key_a) == entry);
    CHECK_EQ(tenant->sums.n_entries, 0);
    CHECK_EQ(roster_get_sums(roster).bytes, 0);
    CHECK(roster_victim(roster, tenant) == NULL);
    CHECK_EQ(roster_lapse(roster, 10, 10), 0);
    roster_stay(roster, entry);
    CHECK_EQ(tenant->sums.bytes, entry->bytes);
    CHECK(roster_victim(roster, NULL) == entry);
    roster_leave(roster, entry);
    roster_remove(roster, entry);
    CHECK(roster_find(tenant, 0) == NULL);
    CHECK(roster_find_key(tenant, key_a) == NULL);
    roster_free(roster);
}

static void new_entry_takes_the_place_of_one_that_leaves(void)
{
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct roster_spec spec = spec_of(4);

    spec.key = key_a;
    struct entry *old = there(roster, tenant, spec);
    spec.lsn = 2000;
    struct entry *new = pending(roster, tenant, spec);
    roster_leave(roster, old);
    CHECK(roster_find(tenant, 4) == old);
    roster_remove(roster, old);
    CHECK(roster_find(tenant, 4) == NULL);
    roster_publish(roster, new);
    CHECK(roster_find(tenant, 4) == new);
    CHECK(roster_find_key(tenant, key_a) == new);
    CHECK(roster_find_key(tenant, key_b) == NULL);
    CHECK_EQ(tenant->sums.n_entries, 1);
    roster_free(roster);
}

static void size_of_embeddings_is_that_of_the_first_until_the_last_is_gone(void)
{
    static const uint64_t signs[2] = {1, 1};
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct roster_spec spec = spec_of(1);
    struct entry *none = NULL;

    (void)there(roster, tenant, spec);
    spec = spec_of(2);
    spec.signs = signs;
    spec.n_dims = 64;
    struct entry *entry = pending(roster, tenant, spec);
    CHECK_EQ(tenant->n_dims, 64);
    spec.n_dims = 65;
    CHECK_STATUS(roster_reserve(roster, tenant, &spec, &none), MN_ERR_DIMENSION);
    CHECK(none == NULL);
    roster_cancel(roster, entry);
    CHECK_EQ(tenant->n_dims, 0);
    CHECK_EQ(there(roster, tenant, spec)->bytes, 100 + roster_overhead_bytes(65));
    CHECK_EQ(roster_overhead_bytes(65), roster_overhead_bytes(0) + 16);
    CHECK_EQ(tenant->n_dims, 65);
    roster_free(roster);
}

/* Hits and values ---------- */

static void hits_are_counted_to_the_most_and_time_does_not_go_back(void)
{
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct roster_spec spec = spec_of(3);

    spec.n_hits = UINT32_MAX - 1;
    spec.last_hit_s = 50;
    struct entry *entry = there(roster, tenant, spec);
    roster_hit(roster, entry, 49999999);
    CHECK_EQ(entry->n_hits, UINT32_MAX);
    CHECK_EQ(entry->last_hit_s, 50);
    roster_hit(roster, entry, 51999999);
    CHECK_EQ(entry->n_hits, UINT32_MAX);
    CHECK_EQ(entry->last_hit_s, 51);
    roster_hit(roster, entry, INT64_MIN);
    CHECK_EQ(entry->last_hit_s, 51);
    roster_hit(roster, entry, INT64_MAX);
    CHECK_EQ(entry->last_hit_s, UINT32_MAX);
    roster_free(roster);
}

static void hits_are_taken_once_and_given_back(void)
{
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 6);
    struct entry *entries[3];
    struct roster_hits hits[3];

    for (uint64_t i = 0; i < 3; i++)
        entries[i] = there(roster, tenant, spec_of(i));
    CHECK_EQ(roster_take_hits(roster, hits, 3), 0);
    for (int i = 0; i < 6; i++)
        roster_hit(roster, entries[2 - i % 3], 7000000);
    roster_leave(roster, entries[2]);
    CHECK_EQ(roster_take_hits(roster, hits, 1), 1);
    CHECK_EQ(hits[0].id, 1);
    CHECK_EQ(hits[0].tenant, 6);
    CHECK_EQ(hits[0].lsn, 1001);
    CHECK_EQ(hits[0].n_hits, 2);
    CHECK_EQ(hits[0].last_hit_s, 7);
    roster_give_hits_back(roster, hits, 1);
    hits[0].lsn++; /* another entry's: then nothing is given back */
    roster_stay(roster, entries[2]);
    CHECK_EQ(roster_take_hits(roster, hits, 3), 3);
    CHECK_EQ(roster_take_hits(roster, hits, 3), 0);
    hits[0].lsn++;
    hits[1].id = 77;
    hits[2].tenant = 7;
    roster_give_hits_back(roster, hits, 3);
    CHECK_EQ(roster_take_hits(roster, hits, 3), 0);
    roster_hit(roster, entries[0], 0);
    roster_remove(roster, entries[0]);
    CHECK_EQ(roster_take_hits(roster, hits, 3), 0);
    roster_free(roster);
}

static void value_is_that_of_the_header(void)
{
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct roster_spec spec = spec_of(1);

    spec.n_hits = 7;
    spec.last_hit_s = 102 * DAY_S + DAY_S / 2;
    spec.record_bytes = 4096 - roster_overhead_bytes(0);
    CHECK(roster_value(pending(roster, tenant, spec)) == 3 + 102.5 - 12);
    spec.last_hit_s = 3 * DAY_S;
    spec.n_hits = 0;
    CHECK(roster_value(pending(roster, tenant, spec)) == 0 + 100 - 12);
    roster_free(roster);
}

static void victim_is_worth_least_and_hits_save_it(void)
{
    struct roster *roster = new_roster();
    struct tenant *a = new_tenant(roster, 2), *b = new_tenant(roster, 1);
    struct roster_spec spec = spec_of(9);
    struct entry *a9 = there(roster, a, spec);
    struct entry *b9 = there(roster, b, spec);

    spec.id = 10;
    spec.record_bytes = 50;
    struct entry *a10 = there(roster, a, spec);
    CHECK(roster_victim(roster, NULL) == b9); /* of equal ones the smaller tenant */
    CHECK(roster_victim(roster, a) == a9);
    roster_hit(roster, b9, 0);
    CHECK(roster_victim(roster, NULL) == a9);
    roster_hit(roster, a9, 0);
    CHECK(roster_victim(roster, NULL) == a10);
    CHECK(roster_victim(roster, a) == a10);
    roster_hit(roster, a10, INT64_C(200) * DAY_S * 1000000);
    CHECK(roster_victim(roster, NULL) == b9);
    roster_remove(roster, b9);
    roster_remove(roster, a9);
    CHECK(roster_victim(roster, b) == NULL);
    CHECK(roster_victim(roster, NULL) == a10);
    roster_free(roster);
}

static void those_that_expired_lapse_in_order(void)
{
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);

    for (uint64_t i = 0; i < 10; i++) {
        struct roster_spec spec = spec_of(i);
        spec.expires_at_us = i == 9 ? INT64_MAX : (int64_t)(20 - i);
        (void)there(roster, tenant, spec);
    }
    CHECK_EQ(roster_lapse(roster, 11, 5), 0);
    CHECK_EQ(roster_lapse(roster, 12, 5), 1);
    CHECK(roster_find(tenant, 8) == NULL);
    CHECK_EQ(roster_lapse(roster, 20, 5), 5);
    CHECK(roster_find(tenant, 2) != NULL);
    CHECK_EQ(roster_lapse(roster, INT64_MAX - 1, 100), 3);
    CHECK_EQ(tenant->sums.n_entries, 1);
    roster_free(roster);
}

/* Scans ---------- */

static struct roster_scan scan_of(const uint64_t *signs, struct roster_near *best, size_t n_best)
{
    return (struct roster_scan){
        .tenant = 1, .signs = signs, .n_dims = 64, .best = best, .n_best = n_best};
}

static void scan_keeps_to_its_scope(void)
{
    static const uint64_t signs = 7;
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct roster_near best[9];

    for (uint64_t i = 0; i < 4; i++) {
        struct roster_spec spec = spec_of(i);
        spec.model = mn_str(i % 2 == 0 ? "m" : "mm");
        spec.context = i / 2;
        spec.signs = &signs;
        spec.n_dims = 64;
        (void)there(roster, tenant, spec);
    }
    for (unsigned i = 0; i < 16; i++) {
        struct mn_slice model = mn_str(i % 2 == 0 ? "m" : "mm");
        uint64_t context = i / 2 % 2;
        struct roster_scan scan = scan_of(&signs, best, 9);
        scan.model = (i & 4) != 0 ? NULL : &model;
        scan.context = (i & 8) != 0 ? NULL : &context;
        while (roster_scan_on(roster, &scan, 1))
            continue;
        CHECK(scan.saw_scope);
        CHECK_EQ(scan.n, (scan.model == NULL ? 2 : 1) * (scan.context == NULL ? 2 : 1));
        for (size_t j = 0; j < scan.n; j++)
            CHECK(roster_in_scope(roster_find(tenant, best[j].id), scan.model, scan.context));
    }
    roster_free(roster);
}

static void scan_tells_a_scope_without_embeddings_from_none(void)
{
    static const uint64_t signs = 7;
    const struct mn_slice model = mn_str("m");
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);
    struct roster_near best[2];
    struct roster_spec spec = spec_of(1);

    struct roster_scan scan = scan_of(&signs, best, 2);
    CHECK(!roster_scan_on(roster, &scan, 100));
    CHECK(!scan.saw_scope);
    spec.model = model;
    spec.expires_at_us = 100;
    struct entry *entry = pending(roster, tenant, spec);
    scan = scan_of(&signs, best, 2);
    CHECK(!roster_scan_on(roster, &scan, 100));
    CHECK(!scan.saw_scope);
    roster_publish(roster, entry);
    scan = scan_of(&signs, best, 2);
    scan.now_us = 100;
    CHECK(!roster_scan_on(roster, &scan, 100));
    CHECK(!scan.saw_scope);
    scan = scan_of(&signs, best, 2);
    scan.now_us = 99;
    scan.model = &model;
    CHECK(!roster_scan_on(roster, &scan, 100));
    CHECK(scan.saw_scope);
    CHECK_EQ(scan.n, 0);
    spec = spec_of(2); /* a query of another size sees the scope and compares nothing */
    spec.signs = &signs;
    spec.n_dims = 63;
    (void)there(roster, tenant, spec);
    roster_remove(roster, entry);
    scan = scan_of(&signs, best, 2);
    CHECK(!roster_scan_on(roster, &scan, 100));
    CHECK(scan.saw_scope);
    CHECK_EQ(scan.n_scanned, 0);
    scan.tenant = 2;
    scan.saw_scope = false;
    CHECK(!roster_scan_on(roster, &scan, 100));
    CHECK(!scan.saw_scope);
    roster_free(roster);
}

/* Many ---------- */

enum { N_MANY = 6000 };

static void signs_of_many(uint64_t id, uint64_t signs[2])
{
    uint64_t random = id;

    signs[0] = check_random(&random);
    signs[1] = check_random(&random);
}

static void put_many(struct roster *roster, struct tenant *tenant, uint64_t id)
{
    struct roster_spec spec = spec_of(id);
    unsigned char key[MN_SEMCACHE_KEY_BYTES] = {0};
    uint64_t signs[2];

    memcpy(key, &id, sizeof id);
    signs_of_many(id, signs);
    spec.key = key;
    spec.signs = signs;
    spec.n_dims = 128;
    spec.expires_at_us = (int64_t)(id * 7919 % N_MANY);
    (void)there(roster, tenant, spec);
}

static int by_distance(const void *a, const void *b)
{
    const struct roster_near *x = a, *y = b;

    if (x->n_differing != y->n_differing)
        return x->n_differing < y->n_differing ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void check_many_scan(const struct roster *roster, const struct tenant *tenant)
{
    enum { N_BEST = 700 };
    static struct roster_near expected[N_MANY], best[N_BEST];
    const uint64_t query[2] = {0x5555, 0xaaaa};
    size_t n = 0;
    struct roster_scan scan = scan_of(query, best, N_BEST);

    scan.n_dims = 128;
    scan.now_us = -1;
    for (uint64_t id = 0; id < N_MANY; id++) {
        uint64_t signs[2];
        const struct entry *entry = roster_find(tenant, id);
        if (entry == NULL)
            continue;
        signs_of_many(id, signs);
        expected[n++] = (struct roster_near){id, entry->lsn,
                                             (uint32_t)(__builtin_popcountll(signs[0] ^ query[0]) +
                                                        __builtin_popcountll(signs[1] ^ query[1]))};
    }
    qsort(expected, n, sizeof expected[0], by_distance);
    while (roster_scan_on(roster, &scan, 300))
        continue;
    CHECK_EQ(scan.n, n < N_BEST ? n : N_BEST);
    for (size_t i = 0; i < scan.n; i++) {
        CHECK_EQ(best[i].id, expected[i].id);
        CHECK_EQ(best[i].n_differing, expected[i].n_differing);
        CHECK_EQ(best[i].lsn, expected[i].lsn);
    }
}

static size_t count_walked(const struct tenant *tenant)
{
    struct entry *entries[100];
    uint64_t cursor = 0;
    size_t n_all = 0;

    for (size_t n; (n = roster_walk(tenant, &cursor, entries, 100)) > 0;)
        n_all += n;
    return n_all;
}

static void check_counted(const struct roster *roster, uint64_t live_before)
{
    uint64_t live = mni_mem_live_bytes() - live_before;
    uint64_t counted = roster_memory_bytes(roster);

    CHECK(counted >= live - live / 10);
    CHECK(counted <= live + live / 10);
}

static void many_come_and_go(void)
{
    uint64_t live_blocks = mni_mem_live_blocks(), live_bytes = mni_mem_live_bytes();
    struct roster *roster = new_roster();
    struct tenant *tenant = new_tenant(roster, 1);

    for (int round = 0; round < 2; round++) {
        for (uint64_t id = 0; id < N_MANY; id++)
            if (roster_find(tenant, id) == NULL)
                put_many(roster, tenant, id);
        CHECK_EQ(count_walked(tenant), N_MANY);
        check_many_scan(roster, tenant);
        check_counted(roster, live_bytes);
        CHECK(mni_mem_live_bytes() - live_bytes < N_MANY * roster_overhead_bytes(128));
        for (uint64_t id = 0; id < N_MANY; id++)
            if (id * 31 % 10 != 0)
                roster_remove(roster, roster_find(tenant, id));
        CHECK_EQ(count_walked(tenant), N_MANY / 10);
        check_many_scan(roster, tenant);
    }
    int64_t last = -1;
    for (int64_t now = 0; tenant->sums.n_entries > 0; now++)
        if (roster_lapse(roster, now, 10) > 0)
            last = now;
    CHECK(last < N_MANY);
    check_many_scan(roster, tenant);
    check_counted(roster, live_bytes);
    CHECK(roster_memory_bytes(roster) < 100000);
    roster_free(roster);
    CHECK_EQ(mni_mem_live_blocks(), live_blocks);
}

/* Memory that is short ---------- */

static const char *const model_names[] = {"x", "y", "z"};

static mn_status try_one(struct roster *roster, uint64_t i)
{
    const uint64_t signs[3] = {i, 0, i};
    struct tenant *tenant = NULL;
    struct roster_spec spec = spec_of(i);
    struct entry *entry = NULL;

    mn_status st = roster_add_tenant(roster, i % 3, &tenant);
    if (st != MN_OK)
        return st;
    spec.model = mn_str(model_names[i / 3 % 3]);
    spec.key = i % 5 == 0 ? NULL : key_a;
    spec.expires_at_us = i % 2 == 0 ? (int64_t)i : INT64_MAX;
    spec.signs = i % 4 == 0 ? NULL : signs;
    spec.n_dims = 192;
    st = roster_reserve(roster, tenant, &spec, &entry);
    if (st != MN_OK)
        return st;
    struct entry *old = spec.key == NULL ? NULL : roster_find_key(tenant, key_a);
    if (old != NULL)
        roster_remove(roster, old);
    roster_publish(roster, entry);
    return MN_OK;
}

/* Puts `n` entries into a roster where `n_before` were put without failures; the allocation
 * `fail_at` fails, and that is the end, or it goes on. False: there were not so many. */
static bool fail_once(uint64_t n_before, uint64_t n, uint64_t fail_at, bool goes_on)
{
    uint64_t n_live = mni_mem_live_blocks();
    struct roster *roster = new_roster();

    for (uint64_t i = 0; i < n_before; i++)
        CHECK_OK(try_one(roster, i * 5));
    mni_mem_fail_at(fail_at);
    for (uint64_t i = n_before; i < n_before + n; i++) {
        const struct roster_sums before = roster_get_sums(roster);
        mn_status st = try_one(roster, i * 5 + i % 2);
        if (st == MN_OK)
            continue;
        CHECK_STATUS(st, MN_ERR_NOMEM);
        const struct roster_sums after = roster_get_sums(roster);
        CHECK_MEM_EQ(&after, &before, sizeof after);
        if (!goes_on)
            break;
        CHECK_OK(try_one(roster, i * 5 + i % 2));
    }
    bool was_hit = mni_mem_fail_was_hit();
    mni_mem_fail_at(0);
    roster_free(roster);
    CHECK_EQ(mni_mem_live_blocks(), n_live);
    return was_hit;
}

static void without_memory_nothing_changes(void)
{
    struct roster *roster = NULL;

    mni_mem_fail_at(1);
    CHECK_STATUS(roster_new(&roster), MN_ERR_NOMEM);
    CHECK(roster == NULL);
    mni_mem_fail_at(0);
    for (int goes_on = 0; goes_on <= 1; goes_on++) {
        for (uint64_t i = 1; fail_once(0, 60, i, goes_on); i++)
            continue;
        /* Where arrays get their second and third chunk. */
        for (uint64_t i = 1; fail_once(1018, 12, i, goes_on); i++)
            continue;
        for (uint64_t i = 1; fail_once(3060, 18, i, goes_on); i++)
            continue;
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(tenants_are_found_and_go_in_order),
        CHECK_TEST(dropped_tenant_is_gone_at_once),
        CHECK_TEST(pending_entry_is_counted_and_found_by_nobody),
        CHECK_TEST(leaving_entry_is_found_and_neither_counted_nor_chosen),
        CHECK_TEST(new_entry_takes_the_place_of_one_that_leaves),
        CHECK_TEST(size_of_embeddings_is_that_of_the_first_until_the_last_is_gone),
        CHECK_TEST(hits_are_counted_to_the_most_and_time_does_not_go_back),
        CHECK_TEST(hits_are_taken_once_and_given_back),
        CHECK_TEST(value_is_that_of_the_header),
        CHECK_TEST(victim_is_worth_least_and_hits_save_it),
        CHECK_TEST(those_that_expired_lapse_in_order),
        CHECK_TEST(scan_keeps_to_its_scope),
        CHECK_TEST(scan_tells_a_scope_without_embeddings_from_none),
        CHECK_TEST(many_come_and_go),
        CHECK_TEST(without_memory_nothing_changes),
    };
    return check_run("semcache.roster", tests, CHECK_COUNT(tests), argc, argv);
}
