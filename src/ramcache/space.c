/*
 * space.c - namespaces: found by name, kept while they have entries and some time after.
 *
 * Owns:    the spaces; the array of names is the cache's.
 * Threads: the cache's lock is held, and names_lock to change who is in the array; a look-up that
 *          found nothing has names_lock alone.
 * Fails:   space_get: MN_ERR_NOMEM, MN_NOT_FOUND where there is no room.
 */
#include "ramcache/ramcache_private.h"

enum { EMPTIES_SHARE = 64 }; /* spaces without entries take up to 1/64 of the cache */

static uint64_t charge_of_space(const struct space *space)
{
    return mni_ramcache_charge(sizeof *space + space->name_bytes);
}

static struct space *find(const struct mni_ramcache *cache, const struct key *key)
{
    struct space *space = cache->names[key->name_hash & (cache->n_names_slots - 1)];

    while (space != NULL &&
           (space->hash != key->name_hash || space->name_bytes != key->name.n_bytes ||
            memcmp(space->name, key->name.data, key->name.n_bytes) != 0))
        space = space->chained;
    return space;
}

struct space *mni_ramcache_space_find(struct mni_ramcache *cache, const struct key *key)
{
    return find(cache, key);
}

void mni_ramcache_space_missed(struct mni_ramcache *cache, const struct key *key, int n)
{
    mni_rwlock_read(&cache->names_lock);
    struct space *space = find(cache, key);
    if (space != NULL)
        atomic_fetch_add_explicit(&space->n_misses, (uint64_t)(int64_t)n, memory_order_relaxed);
    mni_rwlock_unlock(&cache->names_lock);
}

/* Twice as many slots, where there is memory and room for them; chains get longer otherwise. */
static void grow_names(struct mni_ramcache *cache)
{
    uint32_t n_slots = cache->n_names_slots * 2;
    size_t n_bytes = n_slots * sizeof(struct space *);
    uint64_t charge = mni_ramcache_charge(n_bytes);

    if (mni_ramcache_make_room(cache, charge, NULL, 0, mni_ramcache_now(cache)) != ROOM_MADE)
        return;
    struct space **names = mni_alloc_zero(n_bytes);
    if (names == NULL) {
        mni_ramcache_give_back(cache, charge);
        return;
    }
    struct space **old = cache->names;
    uint32_t n_old = cache->n_names_slots;
    mni_rwlock_write(&cache->names_lock);
    for (uint32_t i = 0; i < n_old; i++) {
        while (old[i] != NULL) {
            struct space *space = old[i];
            struct space **slot = &names[space->hash & (n_slots - 1)];
            old[i] = space->chained;
            space->chained = *slot;
            *slot = space;
        }
    }
    cache->names = names;
    cache->n_names_slots = n_slots;
    mni_rwlock_unlock(&cache->names_lock);
    mni_free(old);
    mni_ramcache_give_back(cache, mni_ramcache_charge(n_old * sizeof(struct space *)));
}

mn_status mni_ramcache_space_get(struct mni_ramcache *cache, const struct key *key,
                                 struct space **space_out)
{
    size_t n_bytes = sizeof(struct space) + key->name.n_bytes;
    uint64_t charge = mni_ramcache_charge(n_bytes);

    *space_out = find(cache, key);
    if (*space_out != NULL)
        return MN_OK;
    if (cache->n_names >= cache->n_names_slots)
        grow_names(cache);
    if (mni_ramcache_make_room(cache, charge, NULL, 0, mni_ramcache_now(cache)) != ROOM_MADE)
        return MN_NOT_FOUND;
    struct space *space = mni_alloc_zero(n_bytes);
    if (space == NULL) {
        mni_ramcache_give_back(cache, charge);
        return MN_ERR_NOMEM;
    }
    space->hash = key->name_hash;
    space->name_bytes = (uint16_t)key->name.n_bytes;
    memcpy(space->name, key->name.data, key->name.n_bytes);
    link_init(&space->entries);
    link_init(&space->empties);
    link_after(cache->spaces.prev, &space->in_cache);
    struct space **slot = &cache->names[space->hash & (cache->n_names_slots - 1)];
    mni_rwlock_write(&cache->names_lock);
    space->chained = *slot;
    *slot = space;
    mni_rwlock_unlock(&cache->names_lock);
    cache->n_names++;
    /* As one that is used and left: it is empty, and may be dropped. */
    mni_ramcache_space_use(cache, space);
    mni_ramcache_space_unuse(cache, space);
    *space_out = space;
    return MN_OK;
}

/* Takes its name away. */
static void unname(struct mni_ramcache *cache, struct space *space)
{
    struct space **slot = &cache->names[space->hash & (cache->n_names_slots - 1)];

    mni_rwlock_write(&cache->names_lock);
    while (*slot != space)
        slot = &(*slot)->chained;
    *slot = space->chained;
    mni_rwlock_unlock(&cache->names_lock);
    cache->n_names--;
}

static void free_space(struct mni_ramcache *cache, struct space *space)
{
    MNI_CHECK(link_is_alone(&space->entries) && space->n_users == 0);
    link_remove(&space->in_cache);
    mni_ramcache_give_back(cache, charge_of_space(space));
    mni_free(space);
}

static bool is_idle(const struct space *space)
{
    return space->n_users == 0 && link_is_alone(&space->entries);
}

static void leave_empties(struct mni_ramcache *cache, struct space *space)
{
    if (link_is_alone(&space->empties))
        return;
    link_remove(&space->empties);
    cache->empties_bytes -= charge_of_space(space);
}

bool mni_ramcache_space_drop_empty(struct mni_ramcache *cache)
{
    if (link_is_alone(&cache->empties))
        return false;
    struct space *space = CONTAINER(struct space, empties, cache->empties.next);
    leave_empties(cache, space);
    unname(cache, space);
    free_space(cache, space);
    return true;
}

/* After its last entry or user has gone. */
static void settle(struct mni_ramcache *cache, struct space *space)
{
    if (!is_idle(space))
        return;
    if (space_is_dead(space)) {
        free_space(cache, space);
        return;
    }
    link_after(cache->empties.prev, &space->empties);
    cache->empties_bytes += charge_of_space(space);
}

static void trim_empties(struct mni_ramcache *cache)
{
    while (cache->empties_bytes > cache->config.max_bytes / EMPTIES_SHARE)
        if (!mni_ramcache_space_drop_empty(cache))
            break;
}

void mni_ramcache_space_use(struct mni_ramcache *cache, struct space *space)
{
    leave_empties(cache, space);
    space->n_users++;
}

void mni_ramcache_space_unuse(struct mni_ramcache *cache, struct space *space)
{
    MNI_CHECK(space->n_users > 0);
    space->n_users--;
    settle(cache, space);
}

void mni_ramcache_space_entered(struct mni_ramcache *cache, struct space *space)
{
    leave_empties(cache, space);
}

void mni_ramcache_space_left(struct mni_ramcache *cache, struct space *space)
{
    settle(cache, space);
    trim_empties(cache);
}

void mni_ramcache_space_kill(struct mni_ramcache *cache, struct space *space)
{
    leave_empties(cache, space);
    unname(cache, space);
    atomic_store_explicit(&space->is_dead, true, memory_order_release);
    link_remove(&space->in_cache);
    link_after(cache->dead_spaces.prev, &space->in_cache);
    if (is_idle(space))
        free_space(cache, space);
}

bool mni_ramcache_is_walker(struct mni_ramcache *cache, const struct link *link)
{
    for (struct link *at = cache->walkers.next; at != &cache->walkers; at = at->next)
        if (&CONTAINER(struct walker, in_cache, at)->at == link ||
            &CONTAINER(struct walker, in_cache, at)->end == link)
            return true;
    return false;
}
