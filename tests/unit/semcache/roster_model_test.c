/*
 * roster_model_test.c - a roster beside an array of all that should be in it.
 *
 * Some tenants have the same few ids and keys. Walks and scans go on in slices while everything
 * changes, and must show what was there all the time exactly once.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "semcache/roster.h"

enum {
    N_TENANTS = 4,
    N_IDS = 40,
    N_KEYS = 30,
    N_MODELS = 3,
    N_CONTEXTS = 3,
    N_KNOWN_MAX = 500,
    N_WORDS_MAX = 3,
    N_SEEN_MAX = 4000,
    N_BEST_MAX = 12,
};

struct known { /* an entry as it should be */
    struct entry *entry;
    unsigned tenant;
    uint64_t id;
    uint64_t lsn;
    int64_t time_us;
    int64_t expires_at_us;
    uint64_t logical_bytes;
    uint64_t record_bytes;
    int key; /* -1: none */
    unsigned model;
    uint64_t context;
    bool has_signs;
    uint64_t signs[N_WORDS_MAX];
    enum entry_state state;
    uint64_t there_since; /* step */
    uint32_t n_hits;
    uint32_t last_hit_s;
    bool is_dirty;
};

struct walk {
    bool runs;
    unsigned tenant;
    uint64_t since;
    uint64_t cursor;
    uint64_t seen[N_SEEN_MAX]; /* LSNs */
    size_t n_seen;
};

struct search {
    bool runs;
    unsigned tenant;
    uint64_t since;
    struct roster_scan scan;
    struct mn_slice model;
    uint64_t context;
    uint64_t signs[N_WORDS_MAX];
    struct roster_near best[N_BEST_MAX];
};

struct world {
    struct roster *roster;
    uint64_t random;
    uint64_t step;
    bool has_tenant[N_TENANTS];
    uint32_t n_dims[N_TENANTS];
    struct known known[N_KNOWN_MAX];
    size_t n_known;
    struct walk walks[2];
    struct search searches[3];
};

static const uint64_t numbers[N_TENANTS] = {0, 7, 8, UINT64_MAX};
static const char *const models[N_MODELS] = {"", "gpt", "gpu"};
static const uint32_t sizes[] = {1, 64, 70, 130};

static uint64_t below(struct world *w, uint64_t bound)
{
    return check_below(&w->random, bound);
}

static uint64_t some_id(struct world *w)
{
    uint64_t i = below(w, N_IDS);

    return i < N_IDS / 2 ? i : UINT64_MAX - (i - N_IDS / 2);
}

static void key_of(int number, unsigned char key[MN_SEMCACHE_KEY_BYTES])
{
    memset(key, 'k', MN_SEMCACHE_KEY_BYTES);
    key[number % MN_SEMCACHE_KEY_BYTES] = (unsigned char)number;
}

static struct tenant *tenant_of(struct world *w, unsigned tenant)
{
    return roster_tenant(w->roster, numbers[tenant]);
}

/* Few bits, so that many are as near as each other. */
static void random_signs(struct world *w, uint32_t n_dims, uint64_t signs[N_WORDS_MAX])
{
    memset(signs, 0, N_WORDS_MAX * sizeof *signs);
    for (uint32_t i = 0; i < n_dims; i++)
        if (below(w, 12) == 0)
            signs[i / 64] |= UINT64_C(1) << (i % 64);
}

static uint32_t differing(const uint64_t *a, const uint64_t *b)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < N_WORDS_MAX; i++)
        n += (uint32_t)__builtin_popcountll(a[i] ^ b[i]);
    return n;
}

static void forget(struct world *w, struct known *k)
{
    *k = w->known[--w->n_known];
}

static uint32_t dims_now(const struct world *w, unsigned tenant)
{
    for (size_t i = 0; i < w->n_known; i++)
        if (w->known[i].tenant == tenant && w->known[i].has_signs)
            return w->n_dims[tenant];
    return 0;
}

/* Any entry in one of the states that `states` has a bit for. */
static struct known *some_known(struct world *w, unsigned states)
{
    size_t first = w->n_known == 0 ? 0 : below(w, w->n_known);

    for (size_t i = 0; i < w->n_known; i++) {
        struct known *k = &w->known[(first + i) % w->n_known];
        if ((states & 1U << k->state) != 0)
            return k;
    }
    return NULL;
}

/* Steps ---------- */

static void add_tenant(struct world *w)
{
    unsigned t = (unsigned)below(w, N_TENANTS);
    struct tenant *before = tenant_of(w, t);
    struct tenant *tenant = NULL;

    CHECK_OK(roster_add_tenant(w->roster, numbers[t], &tenant));
    CHECK(tenant != NULL && tenant->number == numbers[t]);
    CHECK(before == NULL || before == tenant);
    w->has_tenant[t] = true;
}

static void drop_tenant(struct world *w)
{
    unsigned t = (unsigned)below(w, N_TENANTS);

    if (!w->has_tenant[t] || below(w, 20) != 0)
        return;
    for (size_t i = w->n_known; i-- > 0;) {
        struct known *k = &w->known[i];
        if (k->tenant != t)
            continue;
        if (k->state == ENTRY_PENDING)
            roster_cancel(w->roster, k->entry);
        else if (k->state == ENTRY_LEAVING)
            roster_remove(w->roster, k->entry);
        forget(w, k);
    }
    roster_drop_tenant(w->roster, tenant_of(w, t));
    w->has_tenant[t] = false;
    if (below(w, 2) == 0)
        CHECK(roster_clear_dropped(w->roster, 2) <= 2);
}

static void reserve(struct world *w)
{
    struct known *k = &w->known[w->n_known];
    unsigned t = (unsigned)below(w, N_TENANTS);
    unsigned char key[MN_SEMCACHE_KEY_BYTES];

    if (!w->has_tenant[t] || w->n_known == N_KNOWN_MAX)
        return;
    *k = (struct known){.tenant = t, .id = some_id(w), .lsn = w->step};
    k->time_us = (int64_t)below(w, 4) * 86400000000;
    k->expires_at_us = below(w, 2) == 0 ? INT64_MAX : (int64_t)below(w, 1000);
    k->logical_bytes = below(w, 1000);
    k->record_bytes = below(w, 3) * 1000;
    k->key = (int)below(w, N_KEYS + 10);
    k->key = k->key < N_KEYS ? k->key : -1;
    k->model = (unsigned)below(w, N_MODELS);
    k->context = below(w, N_CONTEXTS);
    k->has_signs = below(w, 4) != 0;
    if (dims_now(w, t) == 0)
        w->n_dims[t] = sizes[below(w, CHECK_COUNT(sizes))];
    random_signs(w, w->n_dims[t], k->signs);
    if (k->key >= 0)
        key_of(k->key, key);
    struct roster_spec spec = {.id = k->id,
                               .lsn = k->lsn,
                               .time_us = k->time_us,
                               .expires_at_us = k->expires_at_us,
                               .logical_bytes = k->logical_bytes,
                               .record_bytes = k->record_bytes,
                               .key = k->key >= 0 ? key : NULL,
                               .context = k->context,
                               .model = mn_str(models[k->model]),
                               .signs = k->has_signs ? k->signs : NULL,
                               .n_dims = k->has_signs ? w->n_dims[t] : 0};
    CHECK_OK(roster_reserve(w->roster, tenant_of(w, t), &spec, &k->entry));
    w->n_known++;
    CHECK_EQ(k->entry->bytes, k->record_bytes + roster_overhead_bytes(spec.n_dims));
    spec.n_dims = w->n_dims[t] + 1;
    struct entry *none = NULL;
    if (k->has_signs)
        CHECK_STATUS(roster_reserve(w->roster, tenant_of(w, t), &spec, &none), MN_ERR_DIMENSION);
}

static void publish(struct world *w)
{
    struct known *k = some_known(w, 1U << ENTRY_PENDING);

    if (k == NULL)
        return;
    uint64_t lsn = k->lsn;
    for (size_t i = w->n_known; i-- > 0;) {
        struct known *old = &w->known[i];
        if (old->tenant != k->tenant || old->state == ENTRY_PENDING ||
            (old->id != k->id && (old->key != k->key || k->key < 0)))
            continue;
        if (old->state == ENTRY_THERE)
            roster_leave(w->roster, old->entry);
        roster_remove(w->roster, old->entry);
        forget(w, old);
        for (k = w->known; k->lsn != lsn; k++)
            continue;
        i = w->n_known;
    }
    roster_publish(w->roster, k->entry);
    k->state = ENTRY_THERE;
    k->there_since = w->step;
}

static void cancel(struct world *w)
{
    struct known *k = some_known(w, 1U << ENTRY_PENDING);

    if (k == NULL || below(w, 3) != 0)
        return;
    roster_cancel(w->roster, k->entry);
    forget(w, k);
}

static void leave(struct world *w)
{
    struct known *k = some_known(w, 1U << ENTRY_THERE);

    if (k == NULL)
        return;
    roster_leave(w->roster, k->entry);
    k->state = ENTRY_LEAVING;
}

static void stay_or_remove(struct world *w)
{
    struct known *k = some_known(w, 1U << ENTRY_LEAVING);

    if (k == NULL)
        return;
    if (below(w, 2) == 0) {
        roster_stay(w->roster, k->entry);
        k->state = ENTRY_THERE;
        k->there_since = w->step;
    } else {
        roster_remove(w->roster, k->entry);
        forget(w, k);
    }
}

static void hit(struct world *w)
{
    struct known *k = some_known(w, 1U << ENTRY_THERE | 1U << ENTRY_LEAVING);
    int64_t now_s = (int64_t)below(w, 6) * 86400 - 5;

    if (k == NULL)
        return;
    if (below(w, 50) == 0)
        k->n_hits = UINT32_MAX - 1;
    atomic_store(&k->entry->n_hits, k->n_hits);
    roster_hit(w->roster, k->entry, now_s * 1000000);
    k->n_hits += k->n_hits < UINT32_MAX;
    if (now_s > (int64_t)k->last_hit_s)
        k->last_hit_s = (uint32_t)now_s;
    k->is_dirty = true;
}

static size_t count_dirty(const struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n_known; i++)
        n += w->known[i].is_dirty && w->known[i].state == ENTRY_THERE;
    return n;
}

static void take_hits(struct world *w)
{
    struct roster_hits hits[16];
    size_t n_max = 1 + below(w, CHECK_COUNT(hits));
    size_t n_dirty = count_dirty(w);
    bool gives_back = below(w, 2) == 0;

    size_t n = roster_take_hits(w->roster, hits, n_max);
    CHECK_EQ(n, n_dirty < n_max ? n_dirty : n_max);
    for (size_t i = 0; i < n; i++) {
        struct known *k = w->known;
        while (k->lsn != hits[i].lsn)
            CHECK(++k < w->known + w->n_known);
        CHECK(k->is_dirty && k->state == ENTRY_THERE);
        CHECK_EQ(numbers[k->tenant], hits[i].tenant);
        CHECK_EQ(k->id, hits[i].id);
        CHECK_EQ(k->n_hits, hits[i].n_hits);
        CHECK_EQ(k->last_hit_s, hits[i].last_hit_s);
        k->is_dirty = gives_back && i % 3 != 0;
        hits[i].lsn += i % 3 == 0; /* then it is another one by now */
    }
    if (gives_back)
        roster_give_hits_back(w->roster, hits, n);
}

/* Whether `a` expires before `b`, or is worth less. */
static bool goes_before(const struct known *a, const struct known *b, bool by_expiry)
{
    if (by_expiry && a->expires_at_us != b->expires_at_us)
        return a->expires_at_us < b->expires_at_us;
    if (!by_expiry && roster_value(a->entry) != roster_value(b->entry))
        return roster_value(a->entry) < roster_value(b->entry);
    return a->id != b->id ? a->id < b->id : a->tenant < b->tenant;
}

static struct known *first_there(struct world *w, bool by_expiry, unsigned tenant)
{
    struct known *first = NULL;

    for (size_t i = 0; i < w->n_known; i++) {
        struct known *k = &w->known[i];
        if (k->state == ENTRY_THERE && (tenant == N_TENANTS || k->tenant == tenant) &&
            (first == NULL || goes_before(k, first, by_expiry)))
            first = k;
    }
    return first;
}

static void lapse(struct world *w)
{
    int64_t now_us = below(w, 30) == 0 ? INT64_MAX - 1 : (int64_t)below(w, 200);
    size_t n_max = below(w, 4);
    size_t n = roster_lapse(w->roster, now_us, n_max);

    CHECK(n <= n_max);
    for (size_t i = 0; i <= n && i < n_max; i++) {
        struct known *k = first_there(w, true, N_TENANTS);
        bool lapses = k != NULL && k->expires_at_us <= now_us;
        CHECK_EQ(lapses, i < n);
        if (lapses)
            forget(w, k);
    }
}

static void victim(struct world *w)
{
    unsigned t = (unsigned)below(w, N_TENANTS + 1);

    if (t < N_TENANTS && !w->has_tenant[t])
        return;
    struct known *k = first_there(w, false, t);
    struct entry *entry = roster_victim(w->roster, t == N_TENANTS ? NULL : tenant_of(w, t));
    CHECK(entry == (k == NULL ? NULL : k->entry));
    if (entry == NULL || below(w, 2) == 0)
        return;
    roster_remove(w->roster, entry);
    forget(w, k);
}

/* Walks and scans ---------- */

static size_t times_seen(const struct walk *walk, uint64_t lsn)
{
    size_t n = 0;

    for (size_t i = 0; i < walk->n_seen; i++)
        n += walk->seen[i] == lsn;
    return n;
}

static void end_walk(struct world *w, struct walk *walk)
{
    walk->runs = false;
    for (size_t i = 0; i < w->n_known; i++) {
        const struct known *k = &w->known[i];
        if (k->tenant == walk->tenant && k->state == ENTRY_THERE && k->there_since < walk->since)
            CHECK_EQ(times_seen(walk, k->lsn), 1);
    }
}

static void walk_on(struct world *w, struct walk *walk)
{
    struct entry *entries[7];

    if (!walk->runs) {
        walk->tenant = (unsigned)below(w, N_TENANTS);
        walk->since = w->step;
        walk->cursor = 0;
        walk->n_seen = 0;
        walk->runs = w->has_tenant[walk->tenant];
        return;
    }
    const struct tenant *tenant = tenant_of(w, walk->tenant);
    if (tenant == NULL) {
        walk->runs = false;
        return;
    }
    size_t n = roster_walk(tenant, &walk->cursor, entries, 1 + below(w, CHECK_COUNT(entries)));
    for (size_t i = 0; i < n; i++) {
        CHECK(entries[i]->state != ENTRY_PENDING && entries[i]->tenant == tenant);
        CHECK(walk->n_seen < N_SEEN_MAX);
        walk->seen[walk->n_seen++] = entries[i]->lsn;
    }
    if (n == 0)
        end_walk(w, walk);
}

static bool is_nearer(const struct roster_near *a, const struct roster_near *b)
{
    return a->n_differing != b->n_differing ? a->n_differing < b->n_differing : a->id < b->id;
}

static bool is_in_scope(const struct search *s, const struct known *k)
{
    const struct mn_slice model = mn_str(models[k->model]);
    bool is = k->tenant == s->tenant && k->state != ENTRY_PENDING &&
              k->expires_at_us > s->scan.now_us &&
              (s->scan.context == NULL || s->context == k->context) &&
              (s->scan.model == NULL || (model.n_bytes == s->model.n_bytes &&
                                         memcmp(model.data, s->model.data, model.n_bytes) == 0));

    if (k->tenant == s->tenant)
        CHECK_EQ(roster_in_scope(k->entry, s->scan.model, s->scan.context),
                 (s->scan.context == NULL || s->context == k->context) &&
                     (s->scan.model == NULL ||
                      strcmp(models[k->model], (const char *)s->model.data) == 0));
    return is;
}

static void begin_search(struct world *w, struct search *s)
{
    *s = (struct search){.runs = true, .tenant = (unsigned)below(w, N_TENANTS), .since = w->step};
    s->model = mn_str(models[below(w, N_MODELS)]);
    s->context = below(w, N_CONTEXTS);
    random_signs(w, w->n_dims[s->tenant], s->signs);
    s->scan = (struct roster_scan){.tenant = numbers[s->tenant],
                                   .model = below(w, 2) == 0 ? &s->model : NULL,
                                   .context = below(w, 2) == 0 ? &s->context : NULL,
                                   .signs = s->signs,
                                   .n_dims = w->n_dims[s->tenant],
                                   .now_us = (int64_t)below(w, 500),
                                   .best = s->best,
                                   .n_best = 1 + below(w, N_BEST_MAX)};
}

/* What was there all the time is among the best, or the worst of these is nearer. */
static void check_search(struct world *w, const struct search *s, bool is_exact)
{
    size_t n_in = 0, n_coded = 0;

    for (size_t i = 1; i < s->scan.n; i++)
        CHECK(!is_nearer(&s->best[i], &s->best[i - 1]));
    for (size_t i = 0; i < w->n_known; i++) {
        const struct known *k = &w->known[i];
        if (!is_in_scope(s, k))
            continue;
        n_in++;
        if (is_exact || (k->state == ENTRY_THERE && k->there_since < s->since))
            CHECK(s->scan.saw_scope);
        if (!k->has_signs || s->scan.n_dims != w->n_dims[s->tenant])
            continue;
        n_coded++;
        if (!is_exact && (k->state != ENTRY_THERE || k->there_since >= s->since))
            continue;
        const struct roster_near near = {k->id, k->lsn, differing(k->signs, s->signs)};
        size_t n = 0;
        for (size_t j = 0; j < s->scan.n; j++)
            n += s->best[j].lsn == k->lsn && s->best[j].n_differing == near.n_differing &&
                 s->best[j].id == k->id;
        CHECK(n == 1 || (n == 0 && s->scan.n == s->scan.n_best &&
                         !is_nearer(&near, &s->best[s->scan.n - 1])));
    }
    if (!is_exact)
        return;
    CHECK_EQ(s->scan.saw_scope, n_in > 0);
    CHECK_EQ(s->scan.n, n_coded < s->scan.n_best ? n_coded : s->scan.n_best);
}

static void search_on(struct world *w, struct search *s)
{
    if (!s->runs) {
        begin_search(w, s);
        if (below(w, 3) != 0)
            return;
        while (roster_scan_on(w->roster, &s->scan, 1 + below(w, 40)))
            continue;
        check_search(w, s, true);
        s->runs = false;
        return;
    }
    if (roster_scan_on(w->roster, &s->scan, 1 + below(w, 40)))
        return;
    check_search(w, s, false);
    s->runs = false;
}

/* Comparing ---------- */

static void check_sums(struct world *w)
{
    struct roster_sums all = {0}, sums[N_TENANTS] = {0};

    for (size_t i = 0; i < w->n_known; i++) {
        const struct known *k = &w->known[i];
        struct roster_sums *both[2] = {&all, &sums[k->tenant]};
        for (int j = 0; j < 2 && k->state != ENTRY_LEAVING; j++) {
            both[j]->n_entries++;
            both[j]->logical_bytes += k->logical_bytes;
            both[j]->bytes +=
                k->record_bytes + roster_overhead_bytes(k->has_signs ? w->n_dims[k->tenant] : 0);
        }
    }
    const struct roster_sums actual = roster_get_sums(w->roster);
    CHECK_MEM_EQ(&actual, &all, sizeof all);
    for (unsigned t = 0; t < N_TENANTS; t++) {
        const struct tenant *tenant = tenant_of(w, t);
        CHECK_EQ(tenant != NULL, w->has_tenant[t]);
        if (tenant != NULL)
            CHECK_MEM_EQ(&tenant->sums, &sums[t], sizeof all);
        if (tenant != NULL)
            CHECK_EQ(tenant->n_dims, dims_now(w, t));
    }
}

static void check_finds(struct world *w)
{
    unsigned char key[MN_SEMCACHE_KEY_BYTES];

    for (unsigned t = 0; t < N_TENANTS; t++) {
        const struct tenant *tenant = tenant_of(w, t);
        struct entry *by_id[N_IDS] = {NULL}, *by_key[N_KEYS] = {NULL};
        for (size_t i = 0; i < w->n_known; i++) {
            const struct known *k = &w->known[i];
            if (k->tenant != t || k->state == ENTRY_PENDING)
                continue;
            by_id[k->id < N_IDS / 2 ? k->id : UINT64_MAX - k->id + N_IDS / 2] = k->entry;
            if (k->key >= 0)
                by_key[k->key] = k->entry;
            CHECK_EQ(k->entry->n_hits, k->n_hits);
            CHECK_EQ(k->entry->last_hit_s, k->last_hit_s);
        }
        for (unsigned i = 0; i < N_IDS && tenant != NULL; i++) {
            uint64_t id = i < N_IDS / 2 ? i : UINT64_MAX - (i - N_IDS / 2);
            CHECK(roster_find(tenant, id) == by_id[i]);
        }
        for (int i = 0; i < N_KEYS && tenant != NULL; i++) {
            key_of(i, key);
            CHECK(roster_find_key(tenant, key) == by_key[i]);
        }
    }
}

static void check_tenants(struct world *w)
{
    unsigned t = 0;

    for (const struct tenant *tenant = roster_next_tenant(w->roster, 0); tenant != NULL;
         tenant = roster_next_tenant(w->roster, tenant->number + 1)) {
        while (t < N_TENANTS && !w->has_tenant[t])
            t++;
        CHECK(t < N_TENANTS);
        CHECK_EQ(tenant->number, numbers[t++]);
        if (tenant->number == UINT64_MAX)
            break;
    }
    while (t < N_TENANTS && !w->has_tenant[t])
        t++;
    CHECK_EQ(t, N_TENANTS);
}

static void one_step(struct world *w)
{
    static void (*const steps[])(struct world *) = {
        add_tenant, drop_tenant, reserve,        reserve, reserve, publish,   publish, publish,
        cancel,     leave,       stay_or_remove, hit,     hit,     take_hits, victim,  lapse};

    w->step++;
    steps[below(w, CHECK_COUNT(steps))](w);
    for (size_t i = 0; i < CHECK_COUNT(w->walks); i++)
        if (below(w, 4) == 0)
            walk_on(w, &w->walks[i]);
    for (size_t i = 0; i < CHECK_COUNT(w->searches); i++)
        if (below(w, 4) == 0)
            search_on(w, &w->searches[i]);
}

static void run_seed(uint64_t seed, unsigned n_steps)
{
    uint64_t n_live = mni_mem_live_blocks();
    struct world *w = calloc(1, sizeof *w);

    CHECK(w != NULL);
    w->random = seed;
    CHECK_OK(roster_new(&w->roster));
    for (unsigned i = 0; i < n_steps; i++) {
        one_step(w);
        check_sums(w);
        if (i % 16 == 0) {
            check_finds(w);
            check_tenants(w);
        }
    }
    roster_free(w->roster);
    free(w);
    CHECK_EQ(mni_mem_live_blocks(), n_live);
}

static void roster_is_as_the_model_says(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        run_seed(seed, 20000);
}

static void roster_is_as_the_model_says_with_a_new_seed(void)
{
    run_seed(check_seed(), 20000);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(roster_is_as_the_model_says),
        CHECK_TEST(roster_is_as_the_model_says_with_a_new_seed),
    };
    return check_run("semcache.roster_model", tests, CHECK_COUNT(tests), argc, argv);
}
