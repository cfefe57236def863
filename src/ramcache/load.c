/*
 * load.c - one load per key, however many threads miss it.
 *
 * Owns:    the loads under way; each its value until the last one who waits has it.
 * Threads: any; loads are listed under the cache's lock, and loaders run without a lock.
 * Fails:   as include/mneme/ramcache.h says of mn_ramcache_get_or_load.
 *
 * A load is told to those who wait by its word `is_done`: what stands in it does not change
 * afterwards, and each of them has a pin and a reference already.
 */
#include "ramcache/ramcache_private.h"

struct mn_ramcache_load {
    struct mni_ramcache *cache;
    struct mn_ramcache_load *next;      /* in the cache's list */
    struct key key;                     /* its bytes stand behind */
    const void *owner;                  /* the thread that loads */
    struct mn_ramcache_load *waits_for; /* of the owner, from within the loader */
    bool is_stale;                      /* the key was put, deleted or cleared since */
    bool is_rejected;                   /* too large for how seldom it is asked for */
    bool has_ended;                     /* who waits goes on, or will soon */
    unsigned n_waiters;
    atomic_uint n_users; /* the owner, and who waits */
    atomic_uint is_done;
    mn_status status;
    bool has_expiry;
    struct entry *value; /* with REF_TABLE of the owner; its room is taken */
    struct mn_error error;
};

/* Its address tells threads apart. */
static _Thread_local char this_thread;

static uint64_t charge_of_load(const struct key *key)
{
    return mni_ramcache_charge(sizeof(mn_ramcache_load) + key->name.n_bytes + key->id.n_bytes);
}

static bool is_same_key(const struct key *a, const struct key *b)
{
    return a->hash == b->hash && a->name.n_bytes == b->name.n_bytes &&
           a->id.n_bytes == b->id.n_bytes &&
           memcmp(a->name.data, b->name.data, a->name.n_bytes) == 0 &&
           memcmp(a->id.data, b->id.data, a->id.n_bytes) == 0;
}

void mni_ramcache_loads_are_stale(struct mni_ramcache *cache, const struct key *key)
{
    for (mn_ramcache_load *load = cache->loads; load != NULL; load = load->next) {
        if (key->id.n_bytes > 0
                ? is_same_key(&load->key, key)
                : load->key.name.n_bytes == key->name.n_bytes &&
                      memcmp(load->key.name.data, key->name.data, key->name.n_bytes) == 0)
            load->is_stale = true;
    }
}

/* The load that a thread waits for within one of its own; NULL: it waits for none. */
static mn_ramcache_load *awaited_by(struct mni_ramcache *cache, const void *owner)
{
    mn_ramcache_load *load = cache->loads;

    while (load != NULL && (load->owner != owner || load->waits_for == NULL))
        load = load->next;
    /* One that has ended is waited for until the thread wakes up, which nothing keeps it from. */
    return load == NULL || load->waits_for->has_ended ? NULL : load->waits_for;
}

/* Whether the thread that runs `load` waits, over others or not, for this one. */
static bool is_circle(struct mni_ramcache *cache, const mn_ramcache_load *load)
{
    while (load != NULL) {
        if (load->owner == &this_thread)
            return true;
        load = awaited_by(cache, load->owner);
    }
    return false;
}

static void leave_load(struct mni_ramcache *cache, mn_ramcache_load *load)
{
    if (atomic_fetch_sub_explicit(&load->n_users, 1, memory_order_acq_rel) > 1)
        return;
    uint64_t charge = charge_of_load(&load->key);
    mni_free(load);
    mni_ramcache_give_back(cache, charge);
}

/* What a load has come to, for one of those who have a pin of it. */
static mn_status take_result(struct mni_ramcache *cache, mn_ramcache_load *load,
                             struct mn_ramcache_value *value_out, struct mn_error *err)
{
    mn_status st = load->status;

    if (st == MN_OK) {
        struct shard *shard = shard_of(cache, load->value->hash);
        mni_ramcache_show(cache, load->value, value_out);
        mni_latch_lock(&shard->lock);
        if (load->value->access_count < UINT32_MAX)
            load->value->access_count++;
        value_out->access_count = load->value->access_count;
        mni_latch_unlock(&shard->lock);
    } else if (err != NULL) {
        *err = load->error;
    }
    leave_load(cache, load);
    return st;
}

/* Waits for the load of another thread. The cache's lock is given up. */
static mn_status wait_for(struct mni_ramcache *cache, mn_ramcache_load *load,
                          struct mn_ramcache_value *value_out, struct mn_error *err)
{
    if (is_circle(cache, load)) {
        mni_ramcache_unlock(cache);
        return mni_fail(err, MN_ERR_INVALID, "a loader asks for a key that waits for its own");
    }
    /* Only the newest own load can wait: the loaders of older ones are further up the stack. */
    mn_ramcache_load *own = cache->loads;
    while (own != NULL && own->owner != &this_thread)
        own = own->next;
    if (own != NULL)
        own->waits_for = load;
    load->n_waiters++;
    atomic_fetch_add_explicit(&load->n_users, 1, memory_order_relaxed);
    mni_ramcache_unlock(cache);
    while (atomic_load_explicit(&load->is_done, memory_order_acquire) == 0)
        mni_word_wait(&load->is_done, 0);
    if (own != NULL) {
        mni_ramcache_lock(cache);
        own->waits_for = NULL;
        mni_ramcache_unlock(cache);
    }
    return take_result(cache, load, value_out, err);
}

/* Lists a new load. The cache's lock is held. */
static mn_status begin(struct mni_ramcache *cache, const struct key *key,
                       mn_ramcache_load **load_out, struct mn_error *err)
{
    uint64_t charge = charge_of_load(key);

    if (mni_ramcache_make_room(cache, charge, NULL, 0, mni_ramcache_now(cache)) != ROOM_MADE)
        return mni_fail(err, MN_ERR_BUDGET, "no room for a load beside what is held");
    mn_ramcache_load *load = mni_alloc_zero(sizeof *load + key->name.n_bytes + key->id.n_bytes);
    if (load == NULL) {
        mni_ramcache_give_back(cache, charge);
        return mni_fail(err, MN_ERR_NOMEM, "load of a value");
    }
    unsigned char *bytes = (unsigned char *)(load + 1);
    memcpy(bytes, key->name.data, key->name.n_bytes);
    memcpy(bytes + key->name.n_bytes, key->id.data, key->id.n_bytes);
    load->cache = cache;
    load->key = *key;
    load->key.name.data = bytes;
    load->key.id.data = bytes + key->name.n_bytes;
    load->owner = &this_thread;
    atomic_init(&load->n_users, 1);
    load->next = cache->loads;
    cache->loads = load;
    cache->n_loads++;
    *load_out = load;
    return MN_OK;
}

/* Keeps the value of a load that is still the newest word on its key. */
static void keep_value(struct mni_ramcache *cache, mn_ramcache_load *load, int64_t now_us)
{
    struct entry *entry = load->value;
    struct space *space = NULL;

    entry->created_at_us = mni_env_wall_us(cache->config.env);
    bool is_kept = !load->is_stale && !load->is_rejected && !is_due(entry, now_us);
    if (load->is_rejected) {
        cache->n_rejected++;
    } else if (!load->is_stale && !is_kept) {
        /* It comes and goes at once. */
        cache->n_kept++;
        cache->n_expired++;
    }
    if (is_kept && mni_ramcache_space_get(cache, &load->key, &space) != MN_OK) {
        cache->n_refused++;
        is_kept = false;
    }
    if (!is_kept) {
        mni_ramcache_entry_unref(cache, entry);
        return;
    }
    mni_ramcache_space_use(cache, space);
    if (mni_ramcache_finish(cache, &load->key, space, entry, now_us) != MN_OK)
        cache->n_refused++;
    mni_ramcache_space_unuse(cache, space);
}

static uint64_t negative_charge(const struct key *key)
{
    return mni_ramcache_entry_charge(key->id.n_bytes, 0, true);
}

/* Remembers that there is none, as far as the bounds of that go. */
static void keep_negative(struct mni_ramcache *cache, mn_ramcache_load *load, int64_t now_us)
{
    const struct mni_ramcache_config *config = &cache->config;
    struct queue *queue = &cache->queues[QUEUE_NEGATIVE];
    uint64_t charge = negative_charge(&load->key);
    struct space *space = NULL;

    if (load->is_stale || config->negative_ttl_us < 0 || charge > config->negative_bytes_max ||
        config->n_negative_max == 0)
        return;
    while (queue->n_entries >= config->n_negative_max ||
           queue->bytes + charge > config->negative_bytes_max)
        mni_ramcache_unlink(cache, entry_of_queue(queue->entries.prev), LEAVE_EVICTED);
    struct mni_ramcache_expiry expiry = mni_ramcache_expiry_after(cache, config->negative_ttl_us);
    if (mni_ramcache_space_get(cache, &load->key, &space) != MN_OK)
        return;
    mni_ramcache_space_use(cache, space);
    if (mni_ramcache_make_room(cache, charge, NULL, 0, now_us) == ROOM_MADE) {
        struct entry *entry = mni_ramcache_entry_new(&load->key, 0, expiry);
        if (entry == NULL) {
            mni_ramcache_give_back(cache, charge);
        } else {
            entry->is_negative = true;
            mni_ignore(mni_ramcache_finish(cache, &load->key, space, entry, now_us));
        }
    }
    mni_ramcache_space_unuse(cache, space);
}

static void unlist(struct mni_ramcache *cache, mn_ramcache_load *load)
{
    mn_ramcache_load **at = &cache->loads;

    while (*at != load)
        at = &(*at)->next;
    *at = load->next;
}

/* The loader has returned. */
static void end(struct mni_ramcache *cache, mn_ramcache_load *load)
{
    int64_t now_us = mni_ramcache_now(cache);

    mni_ramcache_lock(cache);
    if (load->status == MN_OK || load->status == MN_NOT_FOUND)
        mni_ramcache_fit(cache, &load->key, now_us);
    unlist(cache, load);
    load->has_ended = true;
    if (load->status != MN_OK && load->value != NULL) {
        mni_ramcache_entry_unref(cache, load->value);
        load->value = NULL;
    }
    if (load->status == MN_OK) {
        /* First the pins: once it is linked, it can be evicted. */
        mni_ramcache_pin(cache, load->value, load->n_waiters + 1);
        keep_value(cache, load, now_us);
    } else if (load->status == MN_NOT_FOUND) {
        keep_negative(cache, load, now_us);
    } else {
        cache->n_load_errors++;
    }
    mni_ramcache_unlock(cache);
    atomic_store_explicit(&load->is_done, 1, memory_order_release);
    mni_word_wake_all(&load->is_done);
}

static mn_status run(struct mni_ramcache *cache, mn_ramcache_load *load,
                     mn_ramcache_load_fn *function, void *context,
                     struct mn_ramcache_value *value_out, struct mn_error *err)
{
    load->status = function(context, load, load->key.name, load->key.id, &load->error);
    if (load->status == MN_OK && load->value == NULL)
        load->status = mni_fail(&load->error, MN_ERR_INVALID, "the loader gave no value");
    load->error.status = load->status;
    load->error.message[MN_ERROR_MESSAGE_BYTES - 1] = '\0';
    end(cache, load);
    return take_result(cache, load, value_out, err);
}

mn_status mni_ramcache_get_or_load(struct mni_ramcache *cache, struct mn_slice name,
                                   struct mn_slice id, mn_ramcache_load_fn *function, void *context,
                                   struct mn_ramcache_value *value_out, struct mn_error *err)
{
    const struct key key = mni_ramcache_key(cache, name, id);
    enum found found = mni_ramcache_look_up(cache, &key, value_out);
    mn_ramcache_load *load = NULL;

    if (found == FOUND_VALUE)
        return MN_OK;
    if (found == FOUND_NEGATIVE)
        return mni_fail(err, MN_NOT_FOUND, "a loader said so not long ago");
    mni_ramcache_lock(cache);
    for (load = cache->loads; load != NULL; load = load->next) {
        bool is_own = load->owner == &this_thread;
        if (is_same_key(&load->key, &key) && (is_own || !load->is_stale))
            return wait_for(cache, load, value_out, err);
    }
    /* It may have come since it was missed; then no second load is made. */
    found = mni_ramcache_peek(cache, &key, value_out);
    mn_status st = MN_OK;
    if (found == FOUND_NOTHING)
        st = begin(cache, &key, &load, err);
    mni_ramcache_unlock(cache);
    if (found == FOUND_VALUE)
        return MN_OK;
    if (found == FOUND_NEGATIVE)
        return mni_fail(err, MN_NOT_FOUND, "a loader said so not long ago");
    return st == MN_OK ? run(cache, load, function, context, value_out, err) : st;
}

struct mni_ramcache *mni_ramcache_of_load(const mn_ramcache_load *load)
{
    return load->cache;
}

/* A large one that is not worth what it pushes out needs its room all the same: somebody waits
 * for it; but it gives that back as soon as nobody holds it. */
static bool make_room_of_value(struct mni_ramcache *cache, mn_ramcache_load *load, uint64_t charge)
{
    int64_t now_us = mni_ramcache_now(cache);
    enum room room =
        mni_ramcache_make_room(cache, charge, &load->key.hash, MAY_YIELD | MAY_REJECT, now_us);

    if (room != ROOM_REJECTED)
        return room == ROOM_MADE;
    load->is_rejected = true;
    room = mni_ramcache_make_room(cache, charge, &load->key.hash, MAY_YIELD, now_us);
    return room == ROOM_MADE;
}

mn_status mni_ramcache_load_room(mn_ramcache_load *load, size_t n_bytes,
                                 struct mni_ramcache_expiry expiry, void **data_out,
                                 struct mn_error *err)
{
    struct mni_ramcache *cache = load->cache;
    uint64_t charge = mni_ramcache_entry_charge(load->key.id.n_bytes, n_bytes, expiry.is_set);

    if (load->value != NULL)
        return mni_fail(err, MN_ERR_INVALID, "the load has its room already");
    mni_ramcache_lock(cache);
    bool is_made = n_bytes <= cache->entry_bytes_max && charge <= cache->entry_bytes_max &&
                   make_room_of_value(cache, load, charge);
    if (!is_made)
        cache->n_refused++;
    mni_ramcache_unlock(cache);
    if (!is_made)
        return mni_fail(err, MN_ERR_BUDGET, "no room for a value of %zu bytes", n_bytes);
    load->value = mni_ramcache_entry_new(&load->key, n_bytes, expiry);
    if (load->value == NULL) {
        mni_ramcache_give_back(cache, charge);
        return mni_fail(err, MN_ERR_NOMEM, "a value of %zu bytes", n_bytes);
    }
    *data_out = value_of(load->value);
    return MN_OK;
}
