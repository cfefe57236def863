/*
 * ramcache.c - making and freeing a cache; putting, getting and deleting.
 *
 * Owns:    the cache with its shards and what is in them.
 * Threads: any; free when no other call runs.
 * Fails:   MN_ERR_NOMEM; MN_ERR_BUSY to free what is pinned; MN_ERR_INVALID for too small a cache.
 */
#include "ramcache/ramcache_private.h"

#include "base/hash.h"

enum { WORDS_PER_ENTRY = 2, NAMES_SLOTS_MIN = 16, SHARD_CACHE_BYTES = 8 << 10 };

/* Life ------------------------------------------------------------------------------------------
 */

uint64_t mni_ramcache_bytes_min(uint32_t n_shards)
{
    return (uint64_t)n_shards * SHARD_CACHE_BYTES + (32 << 10);
}

static uint64_t charge_of_shards(uint32_t n_shards)
{
    return mni_ramcache_charge((uint64_t)n_shards * sizeof(struct shard)) + LINE_BYTES;
}

static uint64_t charge_of_names(uint32_t n_slots)
{
    return mni_ramcache_charge((uint64_t)n_slots * sizeof(struct space *));
}

/* Words of the sketch for as many of the smallest entries as fit. */
static uint64_t sketch_words_max(const struct mni_ramcache *cache)
{
    return cache->config.max_bytes / mni_ramcache_entry_charge(1, 0, false) * WORDS_PER_ENTRY;
}

static void free_parts(struct mni_ramcache *cache)
{
    for (uint32_t i = 0; cache->shards != NULL && i <= cache->shard_mask; i++) {
        mni_free(buckets_of(&cache->shards[i]));
    }
    mni_free(cache->shards);
    mni_free(cache->names);
    mni_ramcache_sketch_done(&cache->sketch);
    mni_ramcache_tuner_done(&cache->tuner);
    mni_rwlock_done(&cache->names_lock);
    mni_mutex_done(&cache->lock);
    mni_free(cache);
}

static mn_status make_parts(struct mni_ramcache *cache)
{
    uint32_t n_shards = cache->config.n_shards;
    struct shard *shards = mni_alloc_aligned(LINE_BYTES, n_shards * sizeof *shards);

    if (shards == NULL)
        return MN_ERR_NOMEM;
    memset(shards, 0, n_shards * sizeof *shards);
    cache->shards = shards;
    mni_ramcache_take(cache, charge_of_shards(n_shards));
    for (uint32_t i = 0; i < n_shards; i++) {
        struct bucket *buckets = mni_ramcache_table_new(BUCKETS_MIN);
        if (buckets == NULL)
            return MN_ERR_NOMEM;
        set_buckets(&shards[i], buckets, BUCKETS_MIN);
        mni_ramcache_take(cache, mni_ramcache_table_charge(BUCKETS_MIN));
    }
    cache->n_names_slots = NAMES_SLOTS_MIN;
    cache->names = mni_alloc_zero(NAMES_SLOTS_MIN * sizeof *cache->names);
    if (cache->names == NULL || !mni_ramcache_sketch_init(&cache->sketch, sketch_words_max(cache)))
        return MN_ERR_NOMEM;
    uint32_t n_nodes = mni_ramcache_tuner_nodes(cache->config.max_bytes);
    if (!mni_ramcache_tuner_init(&cache->tuner, n_nodes))
        return MN_ERR_NOMEM;
    if (n_nodes > 0)
        mni_ramcache_take(cache, mni_ramcache_tuner_charge(n_nodes));
    mni_ramcache_take(cache, charge_of_names(NAMES_SLOTS_MIN));
    mni_ramcache_take(cache, mni_ramcache_sketch_charge(sketch_words_max(cache)));
    return MN_OK;
}

mn_status mni_ramcache_new(const struct mni_ramcache_config *config,
                           struct mni_ramcache **cache_out, struct mn_error *err)
{
    MNI_CHECK(config->n_shards > 0 && (config->n_shards & (config->n_shards - 1)) == 0);
    MNI_CHECK(config->max_bytes >= mni_ramcache_bytes_min(config->n_shards));
    struct mni_ramcache *cache = mni_alloc_aligned(LINE_BYTES, sizeof *cache);
    if (cache == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "cache");
    memset(cache, 0, sizeof *cache);
    cache->config = *config;
    cache->shard_mask = config->n_shards - 1;
    cache->entry_bytes_max = config->max_bytes / 2;
    mni_ramcache_clock_init(cache);
    mni_mutex_init(&cache->lock);
    mni_rwlock_init(&cache->names_lock);
    link_init(&cache->spaces);
    link_init(&cache->dead_spaces);
    link_init(&cache->empties);
    link_init(&cache->walkers);
    mni_ramcache_policy_init(cache);
    mni_ramcache_take(cache, config->owner_bytes + mni_ramcache_charge(sizeof *cache) + LINE_BYTES);
    if (make_parts(cache) != MN_OK) {
        free_parts(cache);
        return mni_fail(err, MN_ERR_NOMEM, "parts of the cache");
    }
    *cache_out = cache;
    return MN_OK;
}

static void remove_all(struct mni_ramcache *cache)
{
    mni_ramcache_lock(cache);
    for (int i = 0; i < N_QUEUES; i++)
        while (!link_is_alone(&cache->queues[i].entries))
            mni_ramcache_unlink(cache, entry_of_queue(cache->queues[i].entries.next),
                                LEAVE_CLEARED);
    while (mni_ramcache_space_drop_empty(cache))
        continue;
    MNI_CHECK(link_is_alone(&cache->spaces) && link_is_alone(&cache->dead_spaces));
    mni_ramcache_unlock(cache);
}

mn_status mni_ramcache_free(struct mni_ramcache *cache, struct mn_error *err)
{
    if (cache == NULL)
        return MN_OK;
    uint64_t n_bytes = mni_ramcache_pinned_bytes(cache);
    if (n_bytes > 0)
        return mni_fail(err, MN_ERR_BUSY, "values of %llu bytes are held",
                        (unsigned long long)n_bytes);
    mni_ramcache_lock(cache);
    bool is_used = cache->loads != NULL || !link_is_alone(&cache->walkers);
    mni_ramcache_unlock(cache);
    if (is_used)
        return mni_fail(err, MN_ERR_BUSY, "a load or a walk is under way");
    remove_all(cache);
    free_parts(cache);
    return MN_OK;
}

/* Looking up ------------------------------------------------------------------------------------
 */

struct key mni_ramcache_key(const struct mni_ramcache *cache, struct mn_slice name,
                            struct mn_slice id)
{
    uint64_t name_hash = mni_hash(name.data, name.n_bytes, cache->config.hash_seed);

    return (struct key){
        .name = name,
        .id = id,
        .name_hash = name_hash,
        .hash = mni_hash(id.data, id.n_bytes, name_hash),
    };
}

void mni_ramcache_show(struct mni_ramcache *cache, struct entry *entry,
                       struct mn_ramcache_value *value_out)
{
    *value_out = (struct mn_ramcache_value){
        .value = {value_of(entry), entry->value_bytes},
        .created_at_us = entry->created_at_us,
        .has_expires_at = entry->has_expiry,
        .expires_at_us = entry->has_expiry ? expiry_of(entry)->expires_at_us : 0,
        .cache = cache->config.owner,
        .pin = entry,
    };
}

static enum found find(struct mni_ramcache *cache, struct shard *shard, const struct key *key,
                       struct entry **entry_out)
{
    struct entry *entry = mni_ramcache_table_find(shard, key);

    *entry_out = entry;
    if (entry == NULL || mni_ramcache_is_expired(cache, entry))
        return FOUND_NOTHING;
    return entry->is_negative ? FOUND_NEGATIVE : FOUND_VALUE;
}

/* Notes an access for the policy, and tells it of what was noted if it is free. */
static void note_access(struct mni_ramcache *cache, struct shard *shard, struct entry *entry)
{
    if (entry->access_count < UINT32_MAX)
        entry->access_count++;
    entry->n_records++;
    shard->records[shard->n_records++] = entry;
    if (shard->n_records < RECORDS_MIN ||
        (shard->n_records < shard->n_used / RECORDS_ONE_IN && shard->n_records < RECORDS_MAX) ||
        !mni_mutex_try_lock(&cache->lock))
        return;
    mni_ramcache_policy_drain(cache, shard);
    mni_ramcache_unlock(cache);
}

/* Waits for the policy. Somebody else may have told it meanwhile. */
static void lock_and_drain(struct mni_ramcache *cache, struct shard *shard)
{
    mni_ramcache_lock(cache);
    mni_latch_lock(&shard->lock);
    mni_ramcache_policy_drain(cache, shard);
    mni_latch_unlock(&shard->lock);
    mni_ramcache_unlock(cache);
}

enum found mni_ramcache_look_up(struct mni_ramcache *cache, const struct key *key,
                                struct mn_ramcache_value *value_out)
{
    struct shard *shard = shard_of(cache, key->hash);
    struct entry *entry = NULL;

    __builtin_prefetch(&buckets_of(shard)[(uint32_t)key->hash & mask_of(shard)]);
    mni_latch_lock(&shard->lock);
    while (shard->n_records == RECORDS_MAX) {
        mni_latch_unlock(&shard->lock);
        lock_and_drain(cache, shard);
        mni_latch_lock(&shard->lock);
    }
    enum found found = find(cache, shard, key, &entry);
    if (found == FOUND_VALUE) {
        shard->n_hits++;
        mni_ramcache_pin(cache, entry, 1);
        note_access(cache, shard, entry);
        mni_ramcache_show(cache, entry, value_out);
        value_out->access_count = entry->access_count;
    } else {
        *value_out = (struct mn_ramcache_value){0};
        if (found == FOUND_NEGATIVE)
            shard->n_negative_hits++;
        else
            shard->n_misses++;
    }
    mni_latch_unlock(&shard->lock);
    if (found == FOUND_NOTHING)
        mni_ramcache_space_missed(cache, key, 1);
    return found;
}

enum found mni_ramcache_peek(struct mni_ramcache *cache, const struct key *key,
                             struct mn_ramcache_value *value_out)
{
    struct shard *shard = shard_of(cache, key->hash);
    struct entry *entry = NULL;

    mni_latch_lock(&shard->lock);
    enum found found = find(cache, shard, key, &entry);
    if (found == FOUND_VALUE) {
        mni_ramcache_pin(cache, entry, 1);
        mni_ramcache_show(cache, entry, value_out);
        value_out->access_count = entry->access_count;
    } else {
        *value_out = (struct mn_ramcache_value){0};
    }
    mni_latch_unlock(&shard->lock);
    return found;
}

mn_status mni_ramcache_get(struct mni_ramcache *cache, struct mn_slice name, struct mn_slice id,
                           struct mn_ramcache_value *value_out)
{
    const struct key key = mni_ramcache_key(cache, name, id);

    return mni_ramcache_look_up(cache, &key, value_out) == FOUND_VALUE ? MN_OK : MN_NOT_FOUND;
}

void mni_ramcache_uncount_miss(struct mni_ramcache *cache, struct mn_slice name, struct mn_slice id)
{
    const struct key key = mni_ramcache_key(cache, name, id);
    struct shard *shard = shard_of(cache, key.hash);

    mni_latch_lock(&shard->lock);
    shard->n_misses--;
    mni_latch_unlock(&shard->lock);
    mni_ramcache_space_missed(cache, &key, -1);
}

mn_status mni_ramcache_info(struct mni_ramcache *cache, struct mn_slice name, struct mn_slice id,
                            struct mn_ramcache_info *info_out)
{
    const struct key key = mni_ramcache_key(cache, name, id);
    struct shard *shard = shard_of(cache, key.hash);
    struct entry *entry = NULL;

    mni_latch_lock(&shard->lock);
    enum found found = find(cache, shard, &key, &entry);
    if (found == FOUND_VALUE) {
        info_out->value_bytes = entry->value_bytes;
        info_out->memory_bytes = charge_of_entry(entry);
        info_out->access_count = entry->access_count;
        info_out->created_at_us = entry->created_at_us;
        info_out->has_expires_at = entry->has_expiry;
        info_out->expires_at_us = entry->has_expiry ? expiry_of(entry)->expires_at_us : 0;
    }
    mni_latch_unlock(&shard->lock);
    return found == FOUND_VALUE ? MN_OK : MN_NOT_FOUND;
}

/* Putting ---------------------------------------------------------------------------------------
 */

/* Makes the table of a shard larger where it is nearly full, or smaller where it is nearly empty.
 * That may fail, as long as a slot is free. */
static void fit_table(struct mni_ramcache *cache, struct shard *shard, unsigned how, int64_t now_us)
{
    uint32_t n_buckets = mask_of(shard) + 1;
    uint32_t n_slots = table_slots(shard);
    uint32_t n_wanted = n_buckets;

    if (shard->n_used + 1 > n_slots / 5 * 4)
        n_wanted = n_buckets * 2;
    else if (n_buckets > BUCKETS_MIN && shard->n_used < n_slots / 16)
        n_wanted = n_buckets / 2;
    if (n_wanted == n_buckets || n_wanted == 0)
        return;
    uint64_t charge = mni_ramcache_table_charge(n_wanted);
    if (mni_ramcache_make_room(cache, charge, NULL, how, now_us) != ROOM_MADE)
        return;
    /* Another thread may have done the same while room was made. */
    bool is_wanted = mask_of(shard) + 1 == n_buckets;
    struct bucket *buckets = is_wanted ? mni_ramcache_table_new(n_wanted) : NULL;
    if (buckets == NULL) {
        mni_ramcache_give_back(cache, charge);
        return;
    }
    mni_latch_lock(&shard->lock);
    buckets = mni_ramcache_table_move(shard, buckets, n_wanted);
    mni_latch_unlock(&shard->lock);
    mni_free(buckets);
    mni_ramcache_give_back(cache, mni_ramcache_table_charge(n_buckets));
}

/* As many words of the sketch as entries want, as far as one more part makes them. */
static void fit_sketch(struct mni_ramcache *cache, int64_t now_us)
{
    uint64_t charge = mni_ramcache_sketch_part_charge(sketch_words_max(cache));

    if (cache->n_entries * WORDS_PER_ENTRY <= cache->sketch.n_words ||
        !mni_ramcache_sketch_can_grow(&cache->sketch))
        return;
    if (mni_ramcache_make_room(cache, charge, NULL, MAY_YIELD, now_us) != ROOM_MADE)
        return;
    /* Others may have made it as large as it can be while room was made. */
    if (!mni_ramcache_sketch_can_grow(&cache->sketch) || !mni_ramcache_sketch_grow(&cache->sketch))
        mni_ramcache_give_back(cache, charge);
}

void mni_ramcache_fit(struct mni_ramcache *cache, const struct key *key, int64_t now_us)
{
    fit_table(cache, shard_of(cache, key->hash), MAY_YIELD, now_us);
    fit_sketch(cache, now_us);
}

mn_status mni_ramcache_finish(struct mni_ramcache *cache, const struct key *key,
                              struct space *space, struct entry *entry, int64_t now_us)
{
    struct shard *shard = shard_of(cache, key->hash);
    enum queue_id queue = QUEUE_WINDOW;

    /* Who came in since the table was made to fit may have filled it. */
    if (shard->n_used == table_slots(shard))
        fit_table(cache, shard, 0, now_us);
    mni_latch_lock(&shard->lock);
    mni_ramcache_policy_drain(cache, shard);
    struct entry *old = mni_ramcache_table_find(shard, key);
    if (old == NULL && shard->n_used == table_slots(shard)) {
        mni_latch_unlock(&shard->lock);
        mni_ramcache_entry_unref(cache, entry);
        return MN_NOT_FOUND;
    }
    if (old != NULL) {
        if (!old->is_negative)
            queue = old->queue;
        mni_ramcache_unlink_locked(cache, shard, old,
                                   is_due(old, now_us) ? LEAVE_EXPIRED : LEAVE_OVERWRITTEN);
    }
    entry->created_at_us = mni_env_wall_us(cache->config.env);
    mni_ramcache_link(cache, shard, space, entry);
    mni_ramcache_policy_entered(cache, entry, queue);
    mni_latch_unlock(&shard->lock);
    return MN_OK;
}

/* Removes what a key has. Returns whether that was a value. */
static bool remove_key(struct mni_ramcache *cache, const struct key *key, int64_t now_us,
                       enum leave why)
{
    struct shard *shard = shard_of(cache, key->hash);
    bool existed = false;

    mni_latch_lock(&shard->lock);
    struct entry *entry = mni_ramcache_table_find(shard, key);
    if (entry != NULL) {
        bool was_due = is_due(entry, now_us);
        existed = !was_due && !entry->is_negative;
        mni_ramcache_unlink_locked(cache, shard, entry, was_due ? LEAVE_EXPIRED : why);
    }
    mni_latch_unlock(&shard->lock);
    return existed;
}

/* One put under way. */
struct put {
    struct key key;
    struct mn_slice value;
    struct mni_ramcache_expiry expiry;
    uint32_t batch;
    int64_t now_us;
    uint64_t charge;
    struct space *space; /* in use */
};

static bool is_large(const struct put *put)
{
    return put->value.n_bytes >= UNLOCKED_COPY_MIN;
}

/* Makes room and takes it, and may give the lock up meanwhile. MN_NOT_FOUND: the value is not kept.
 */
static mn_status begin_put(struct mni_ramcache *cache, struct put *put)
{
    mni_ramcache_loads_are_stale(cache, &put->key);
    (void)mni_ramcache_reclaim(cache, put->now_us, RECLAIM_PER_PUT);
    if (put->expiry.is_set && put->expiry.due_us <= put->now_us) {
        /* It comes and goes at once. */
        cache->n_kept++;
        cache->n_expired++;
        return MN_NOT_FOUND;
    }
    if (put->charge > cache->entry_bytes_max) {
        cache->n_refused++;
        return MN_NOT_FOUND;
    }
    mni_ramcache_fit(cache, &put->key, put->now_us);
    mn_status st = mni_ramcache_space_get(cache, &put->key, &put->space);
    if (st == MN_NOT_FOUND)
        cache->n_refused++;
    if (st != MN_OK)
        return st;
    mni_ramcache_space_use(cache, put->space);
    unsigned how = MAY_REJECT | (is_large(put) ? MAY_YIELD : 0);
    enum room room = mni_ramcache_make_room(cache, put->charge, &put->key.hash, how, put->now_us);
    if (room == ROOM_MADE)
        return MN_OK;
    if (room == ROOM_REJECTED)
        cache->n_rejected++;
    else
        cache->n_refused++;
    mni_ramcache_space_unuse(cache, put->space);
    return MN_NOT_FOUND;
}

/* Links the entry. MN_NOT_FOUND: it is not kept. The namespace may have been cleared while the lock
 * was given up; the put is the later one then. */
static mn_status end_put(struct mni_ramcache *cache, struct put *put, struct entry *entry)
{
    mn_status st = MN_OK;

    if (space_is_dead(put->space)) {
        mni_ramcache_space_unuse(cache, put->space);
        st = mni_ramcache_space_get(cache, &put->key, &put->space);
        if (st != MN_OK) {
            mni_ramcache_entry_unref(cache, entry);
            cache->n_refused += st == MN_NOT_FOUND;
            return st;
        }
        mni_ramcache_space_use(cache, put->space);
    }
    st = mni_ramcache_finish(cache, &put->key, put->space, entry, put->now_us);
    cache->n_refused += st == MN_NOT_FOUND;
    mni_ramcache_space_unuse(cache, put->space);
    return st;
}

static struct entry *make_entry(const struct put *put)
{
    struct entry *entry = mni_ramcache_entry_new(&put->key, put->value.n_bytes, put->expiry);

    if (entry == NULL)
        return NULL;
    entry->batch = put->batch;
    if (put->value.n_bytes > 0)
        memcpy(value_of(entry), put->value.data, put->value.n_bytes);
    return entry;
}

static mn_status put_locked(struct mni_ramcache *cache, struct put *put)
{
    mn_status st = begin_put(cache, put);

    if (st != MN_OK)
        return st;
    if (is_large(put))
        mni_ramcache_unlock(cache);
    struct entry *entry = make_entry(put);
    if (is_large(put))
        mni_ramcache_lock(cache);
    if (entry == NULL) {
        mni_ramcache_give_back(cache, put->charge);
        mni_ramcache_space_unuse(cache, put->space);
        return MN_ERR_NOMEM;
    }
    return end_put(cache, put, entry);
}

mn_status mni_ramcache_put(struct mni_ramcache *cache, struct mn_slice name, struct mn_slice id,
                           struct mn_slice value, struct mni_ramcache_expiry expiry, uint32_t batch,
                           bool *kept_out, struct mn_error *err)
{
    struct put put = {
        .key = mni_ramcache_key(cache, name, id),
        .value = value,
        .expiry = expiry,
        .batch = batch,
        .now_us = mni_ramcache_now(cache),
        .charge = value.n_bytes > cache->config.max_bytes
                      ? UINT64_MAX
                      : mni_ramcache_entry_charge(id.n_bytes, value.n_bytes, expiry.is_set),
    };

    mni_ramcache_lock(cache);
    mni_ramcache_sketch_prefetch(&cache->sketch, put.key.hash);
    mn_status st = put_locked(cache, &put);
    /* Also those that have begun while the lock was given up: the put ends now, or fails now. */
    mni_ramcache_loads_are_stale(cache, &put.key);
    *kept_out = st == MN_OK;
    /* The old value must not be shown in the place of one that was not kept. */
    if (st == MN_NOT_FOUND)
        (void)remove_key(cache, &put.key, put.now_us, LEAVE_OVERWRITTEN);
    mni_ramcache_unlock(cache);
    return st == MN_ERR_NOMEM ? mni_fail(err, st, "a value of %zu bytes", value.n_bytes) : MN_OK;
}

bool mni_ramcache_count_of_batch(struct mni_ramcache *cache, struct mn_slice name,
                                 struct mn_slice id, uint32_t batch)
{
    const struct key key = mni_ramcache_key(cache, name, id);
    struct shard *shard = shard_of(cache, key.hash);
    struct entry *entry = NULL;

    mni_latch_lock(&shard->lock);
    bool is_counted = find(cache, shard, &key, &entry) == FOUND_VALUE && entry->batch == batch;
    if (is_counted)
        entry->batch = 0;
    mni_latch_unlock(&shard->lock);
    return is_counted;
}

uint32_t mni_ramcache_batch(struct mni_ramcache *cache)
{
    mni_ramcache_lock(cache);
    cache->last_batch++;
    cache->last_batch += cache->last_batch == 0;
    uint32_t batch = cache->last_batch;
    mni_ramcache_unlock(cache);
    return batch;
}

/* Deleting --------------------------------------------------------------------------------------
 */

bool mni_ramcache_delete(struct mni_ramcache *cache, struct mn_slice name, struct mn_slice id)
{
    const struct key key = mni_ramcache_key(cache, name, id);

    mni_ramcache_lock(cache);
    mni_ramcache_loads_are_stale(cache, &key);
    int64_t now_us = mni_ramcache_now(cache);
    bool existed = remove_key(cache, &key, now_us, LEAVE_DELETED);
    mni_ramcache_unlock(cache);
    return existed;
}

uint64_t mni_ramcache_clear(struct mni_ramcache *cache, struct mn_slice name)
{
    const struct key key = {
        .name = name, .name_hash = mni_hash(name.data, name.n_bytes, cache->config.hash_seed)};
    uint64_t n = 0;

    mni_ramcache_lock(cache);
    struct space *space = mni_ramcache_space_find(cache, &key);
    if (space != NULL && space->n_expiring > 0) {
        /* What has expired does not count. The sweep lets others in. */
        (void)mni_ramcache_sweep_all(cache);
        space = mni_ramcache_space_find(cache, &key);
    }
    mni_ramcache_loads_are_stale(cache, &key);
    if (space != NULL) {
        n = space->n_entries;
        cache->n_entries -= n;
        cache->n_namespaces -= n > 0;
        cache->n_cleared += n;
        cache->n_negative -= space->n_negative;
        mni_ramcache_space_kill(cache, space);
    }
    mni_ramcache_unlock(cache);
    return n;
}

/* Numbers ---------------------------------------------------------------------------------------
 */

void mni_ramcache_stats(struct mni_ramcache *cache, struct mn_ramcache_stats *s)
{
    mni_ramcache_lock(cache);
    (void)mni_ramcache_sweep_all(cache);
    *s = (struct mn_ramcache_stats){
        .size = s->size,
        .max_bytes = cache->config.max_bytes,
        .bytes = used_bytes(cache),
        .pinned_bytes = mni_ramcache_pinned_bytes(cache),
        .n_entries = cache->n_entries,
        .n_negative = cache->n_negative,
        .n_namespaces = cache->n_namespaces,
        .n_puts = cache->n_kept,
        .n_overwritten = cache->n_overwritten,
        .n_deleted = cache->n_deleted,
        .n_cleared = cache->n_cleared,
        .n_expired = cache->n_expired,
        .n_evicted = cache->n_evicted,
        .n_rejected = cache->n_rejected,
        .n_refused = cache->n_refused,
        .n_loads = cache->n_loads,
        .n_load_errors = cache->n_load_errors,
    };
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        struct shard *shard = &cache->shards[i];
        mni_latch_lock(&shard->lock);
        s->n_hits += shard->n_hits;
        s->n_misses += shard->n_misses;
        s->n_negative_hits += shard->n_negative_hits;
        mni_latch_unlock(&shard->lock);
    }
    mni_ramcache_unlock(cache);
}
