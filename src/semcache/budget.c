/*
 * budget.c - what bounds the cache, and making room.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   MN_ERR_NOMEM, and what commits fail with.
 *
 * What leaves to make room goes in the commit of what comes, so that the cache is within its
 * budgets as of every LSN. An entry that somebody else is changing is no victim; where nothing else
 * is left, whoever needs the room waits for the others to end.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "semcache/cache_private.h"

enum { ASIDE_MAX = 64, LAPSED_AT_ONCE = 256 };

/* Who let go of latches without having changed anything tells nobody. */
enum { SETTLE_WAIT_US = 10000 };

struct roster_limits cache_limits_of(const struct mni_semcache *cache, const struct tenant *tenant)
{
    struct mni_cache_limits limits;

    if (tenant->has_own_limits)
        return tenant->limits;
    mni_engine_cache_limits(cache->engine, &limits);
    return (struct roster_limits){limits.tenant_bytes_max, limits.tenant_entries_max};
}

static struct roster_limits limits_of_all(const struct mni_semcache *cache)
{
    struct mni_cache_limits limits;

    mni_engine_cache_limits(cache->engine, &limits);
    return (struct roster_limits){limits.bytes_max, limits.entries_max};
}

static bool is_over(const struct roster_sums *sums, const struct roster_limits *limits)
{
    return (limits->bytes_max != 0 && sums->bytes > limits->bytes_max) ||
           (limits->entries_max != 0 && sums->n_entries > limits->entries_max);
}

static struct roster_sums with_held(struct roster_sums sums, const struct roster_sums *held)
{
    sums.n_entries += held->n_entries;
    sums.bytes += held->bytes;
    return sums;
}

/* Victims that somebody else is changing: they stay. */
struct aside {
    struct entry *entries[ASIDE_MAX];
    size_t n;
};

static bool tenant_is_over(const struct mni_semcache *cache, const struct tenant *tenant,
                           const struct aside *aside)
{
    struct roster_sums sums = with_held(tenant->sums, &tenant->held);
    const struct roster_limits limits = cache_limits_of(cache, tenant);

    for (size_t i = 0; i < aside->n; i++) {
        if (aside->entries[i]->tenant != tenant)
            continue;
        sums.n_entries++;
        sums.bytes += aside->entries[i]->bytes;
    }
    return is_over(&sums, &limits);
}

static bool all_are_over(const struct mni_semcache *cache, const struct aside *aside)
{
    struct roster_sums sums = with_held(roster_get_sums(cache->roster), &cache->held);
    const struct roster_limits limits = limits_of_all(cache);

    for (size_t i = 0; i < aside->n; i++) {
        sums.n_entries++;
        sums.bytes += aside->entries[i]->bytes;
    }
    return is_over(&sums, &limits);
}

/* The next one of a tenant (NULL: of all), or aside with it. */
static mn_status take_victim(struct change *change, struct tenant *tenant, struct aside *aside)
{
    struct mni_semcache *cache = change->cache;

    if (change_expect(change, 1) != MN_OK)
        return MN_ERR_NOMEM;
    if (roster_lapse(cache->roster, mni_engine_now_us(cache->engine), LAPSED_AT_ONCE) > 0)
        return MN_OK;
    struct entry *victim = roster_victim(cache->roster, tenant);
    if (victim == NULL || aside->n == ASIDE_MAX)
        return MN_ERR_BUSY;
    size_t latch = latch_of_id(cache, victim->tenant->number, victim->id);
    if (!latch_has(&change->latches, latch) && !latch_try(cache, &change->latches, latch)) {
        roster_leave(cache->roster, victim);
        aside->entries[aside->n++] = victim;
        return MN_OK;
    }
    change_leave(change, victim);
    change->n_evicted++;
    return MN_OK;
}

mn_status cache_make_room(struct change *change, struct tenant *tenant, size_t n_max)
{
    struct mni_semcache *cache = change->cache;
    struct aside aside = {.n = 0};
    mn_status st = MN_OK;

    for (;;) {
        bool is_tenant = tenant != NULL && tenant_is_over(cache, tenant, &aside);
        if (!is_tenant && !all_are_over(cache, &aside))
            break;
        st = change->n_evicted < n_max ? take_victim(change, is_tenant ? tenant : NULL, &aside)
                                       : MN_END;
        if (st != MN_OK)
            break;
    }
    for (size_t i = 0; i < aside.n; i++)
        roster_stay(cache->roster, aside.entries[i]);
    return st;
}

/* One commit of evictions. MN_END: there is more to do. */
static mn_status evict_some(struct mni_semcache *cache, uint64_t number, mn_ack ack,
                            struct mn_error *err)
{
    struct change change;
    uint64_t n_settled = cache_settle_count(cache);

    change_init(&change, cache);
    mni_rwlock_write(&cache->roster_lock);
    mn_status room =
        cache_make_room(&change, roster_tenant(cache->roster, number), DELETES_AT_ONCE);
    if (room == MN_ERR_NOMEM)
        change_undo(&change);
    else
        change_hold(&change);
    mni_rwlock_unlock(&cache->roster_lock);
    mn_status st = room == MN_ERR_NOMEM ? mni_fail(err, room, "making room in the cache") : MN_OK;
    if (st == MN_OK && change.n_leaving > 0)
        st = change_commit(&change, ack, err);
    size_t n_leaving = change.n_leaving;
    if (st == MN_ERR_CORRUPT && change_forget_damaged(&change, change.n_leaving - change.n_evicted))
        st = MN_END;
    change_end(&change, st, 0);
    if (st == MN_OK && room == MN_ERR_BUSY && n_leaving == 0)
        cache_settle_wait(cache, n_settled);
    return st == MN_OK && room != MN_OK ? MN_END : st;
}

mn_status cache_make_room_at_last(struct mni_semcache *cache, uint64_t tenant, mn_ack ack,
                                  struct mn_error *err)
{
    const struct aside nobody = {.n = 0};
    mn_status st = MN_END;

    while (st == MN_END) {
        mni_rwlock_read(&cache->roster_lock);
        const struct tenant *t = roster_tenant(cache->roster, tenant);
        bool is_full = (t != NULL && tenant_is_over(cache, t, &nobody)) ||
                       all_are_over(cache, &nobody);
        mni_rwlock_unlock(&cache->roster_lock);
        st = is_full ? evict_some(cache, tenant, ack, err) : MN_OK;
    }
    return st;
}

mn_status cache_check_alone(const struct mni_semcache *cache, const struct tenant *tenant,
                            uint64_t bytes, struct mn_error *err)
{
    const struct roster_limits own = cache_limits_of(cache, tenant);
    const struct roster_limits all = limits_of_all(cache);
    uint64_t most = own.bytes_max;

    if (most == 0 || (all.bytes_max != 0 && all.bytes_max < most))
        most = all.bytes_max;
    if (most == 0 || bytes <= most)
        return MN_OK;
    return mni_fail(err, MN_ERR_LIMIT, "it takes %" PRIu64 " bytes, and the budget is %" PRIu64,
                    bytes, most);
}

/* Waiting for others ---------- */

uint64_t cache_settle_count(struct mni_semcache *cache)
{
    return atomic_load(&cache->n_settled);
}

void cache_settle_wait(struct mni_semcache *cache, uint64_t n_settled)
{
    mni_mutex_lock(&cache->settle_mutex);
    atomic_fetch_add(&cache->n_waiting, 1);
    if (atomic_load(&cache->n_settled) == n_settled)
        (void)mni_cond_wait_for(&cache->settled, &cache->settle_mutex, SETTLE_WAIT_US);
    atomic_fetch_sub(&cache->n_waiting, 1);
    mni_mutex_unlock(&cache->settle_mutex);
}

void cache_settle_tell(struct mni_semcache *cache)
{
    atomic_fetch_add(&cache->n_settled, 1);
    if (atomic_load(&cache->n_waiting) == 0)
        return;
    mni_mutex_lock(&cache->settle_mutex);
    mni_cond_broadcast(&cache->settled);
    mni_mutex_unlock(&cache->settle_mutex);
}

/* Budgets of tenants ---------- */

static mn_status commit_budget(struct mni_semcache *cache, uint64_t number,
                               const struct mn_semcache_budget *budget, mn_ack ack,
                               struct mn_error *err)
{
    unsigned char bytes[BUDGET_BYTES];
    struct mni_record record = {
        .type = budget != NULL ? MNI_RECORD_UPSERT : MNI_RECORD_DELETE,
        .key = {budget_key, BUDGET_KEY_BYTES},
    };
    struct mni_batch *batch = NULL;
    size_t index = 0;

    if (budget != NULL) {
        mni_put_u64(bytes, budget->bytes_max);
        mni_put_u64(bytes + 8, budget->entries_max);
        record.payload = (struct mn_slice){bytes, sizeof bytes};
    }
    mn_status st = cache_new_batch(cache, &batch, err);
    if (st == MN_OK)
        st = cache_name_tenant(batch, number, true, &index, err);
    if (st == MN_OK)
        st = mni_batch_create(batch, index, 0, false, err);
    if (st == MN_OK)
        st = mni_batch_add(batch, index, &record, MNI_ALWAYS, 0, NULL, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, ack, NULL, err);
    mni_batch_free(batch);
    return st;
}

/* Under the life lock, alone: two budgets at once are one behind the other, in the log and here. */
mn_status mni_semcache_set_budget(struct mni_semcache *cache, uint64_t number,
                                  const struct mn_semcache_budget *budget, mn_ack ack,
                                  struct mn_error *err)
{
    struct tenant *tenant = NULL;

    mni_rwlock_write(&cache->life);
    mni_rwlock_write(&cache->roster_lock);
    mn_status st = roster_add_tenant(cache->roster, number, &tenant);
    mni_rwlock_unlock(&cache->roster_lock);
    st = st == MN_OK ? commit_budget(cache, number, budget, ack, err)
                     : mni_fail(err, st, "a tenant");
    mni_rwlock_write(&cache->roster_lock);
    if (st == MN_OK) {
        if (!tenant->is_stored)
            cache_tenant_is_made(tenant);
        tenant->has_own_limits = budget != NULL;
        tenant->limits = (struct roster_limits){0};
    }
    if (st == MN_OK && budget != NULL)
        tenant->limits = (struct roster_limits){budget->bytes_max, budget->entries_max};
    mni_rwlock_unlock(&cache->roster_lock);
    if (st == MN_OK)
        st = cache_make_room_at_last(cache, number, ack, err);
    else
        cache_forget_tenant(cache, number);
    mni_rwlock_unlock(&cache->life);
    return st;
}

mn_status mni_semcache_get_budget(struct mni_semcache *cache, uint64_t number,
                                  struct mn_semcache_budget *budget_out, bool *is_own_out,
                                  struct mn_error *err)
{
    mni_rwlock_read(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, number);
    bool is_there = tenant != NULL && tenant->is_stored;
    if (is_there) {
        const struct roster_limits limits = cache_limits_of(cache, tenant);
        *budget_out = (struct mn_semcache_budget){limits.bytes_max, limits.entries_max};
        if (is_own_out != NULL)
            *is_own_out = tenant->has_own_limits;
    }
    mni_rwlock_unlock(&cache->roster_lock);
    return is_there ? MN_OK : mni_fail(err, MN_NOT_FOUND, "there is no such tenant");
}
