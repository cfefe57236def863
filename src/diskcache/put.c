/*
 * put.c - storing and removing entries of the disk cache.
 *
 * Owns:    nothing.
 * Threads: any; one at a time gets write_lock.
 * Fails:   MN_ERR_NOMEM; a failure of the disk empties the cache, and what was to be stored is not
 *          kept.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "diskcache/diskcache_private.h"
#include "diskcache/format.h"

enum {
    WAITING_MAX = 64, /* values of one write to RocksDB */
    WAITING_BYTES_MAX = 1 << 20,
};

/* What RocksDB is about to get, and the index afterwards. */
struct batch {
    struct mni_diskcache *cache;
    struct mn_slice name;
    struct dc_space *space; /* held; NULL before the first one is stored */
    int64_t now_us;
    struct dc_entry waiting[WAITING_MAX];
    uint32_t n_waiting;
    uint64_t waiting_bytes;
    uint64_t n_kept;
    uint64_t n_refused;
    bool is_broken; /* the disk failed: the cache is to be rebuilt */
};

/* An item that is to be stored is the last one with its id. */
struct place {
    struct mn_slice id;
    size_t item;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    size_t n = x->id.n_bytes < y->id.n_bytes ? x->id.n_bytes : y->id.n_bytes;
    int order = memcmp(x->id.data, y->id.data, n);

    if (order == 0)
        order = (x->id.n_bytes > y->id.n_bytes) - (x->id.n_bytes < y->id.n_bytes);
    return order != 0 ? order : (x->item > y->item) - (x->item < y->item);
}

static bool is_same_id(struct mn_slice a, struct mn_slice b)
{
    return a.n_bytes == b.n_bytes && memcmp(a.data, b.data, a.n_bytes) == 0;
}

/* Marks the items that a later one replaces. */
static mn_status mark_replaced(const struct mn_diskcache_item *items, size_t n_items,
                               unsigned char *is_replaced, size_t *n_distinct, struct mn_error *err)
{
    struct place *places = mni_alloc_array(n_items, sizeof(struct place));

    if (places == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "batch of the cache");
    for (size_t i = 0; i < n_items; i++)
        places[i] = (struct place){items[i].id, i};
    qsort(places, n_items, sizeof places[0], compare_places);
    for (size_t i = 0; i + 1 < n_items; i++)
        if (is_same_id(places[i].id, places[i + 1].id)) {
            is_replaced[places[i].item] = 1;
            (*n_distinct)--;
        }
    mni_free(places);
    return MN_OK;
}

static int64_t expiry_of(const struct mn_diskcache_item *item, int64_t now_us)
{
    int64_t when = DC_NEVER;

    if (item->has_expires_at)
        return item->expires_at_us;
    if (item->has_ttl && __builtin_add_overflow(now_us, item->ttl_us, &when))
        when = DC_NEVER;
    return when;
}

/* An older entry with this id goes. Under index_lock. */
static void replace(struct mni_diskcache *c, const uint64_t hash[2], int64_t now_us)
{
    uint32_t e = dc_entry_find(&c->index, hash);

    if (e == DC_NO_ENTRY)
        return;
    if (dc_entry_at(&c->index, e)->expires_at_us <= now_us) {
        dc_expire(c, e);
        return;
    }
    dc_entry_remove(&c->index, e);
    c->counts.n_overwritten++;
}

/* RocksDB takes the values; then they are there for everyone. */
static mn_status publish(struct batch *b, struct mn_error *err)
{
    struct mni_diskcache *c = b->cache;
    uint64_t n_bytes = b->waiting_bytes;

    if (b->n_waiting == 0)
        return MN_OK;
    mn_status st = dc_rocks_write(c->rocks, err);
    if (st != MN_OK)
        return st;
    mni_rwlock_write(&c->index_lock);
    for (uint32_t i = 0; i < b->n_waiting; i++) {
        replace(c, b->waiting[i].hash, b->now_us);
        dc_entry_add(&c->index, &b->waiting[i]);
        b->space->n_puts++;
        c->counts.n_puts++;
    }
    mni_rwlock_unlock(&c->index_lock);
    b->n_kept += b->n_waiting;
    b->n_waiting = 0;
    b->waiting_bytes = 0;
    st = dc_drain_step(c, n_bytes, err);
    /* What is short of memory for draining is stored all the same. */
    return st == MN_ERR_NOMEM ? MN_OK : st;
}

/* A value that is not kept: what was there under its id is no longer true. */
static void refuse(struct batch *b, struct mn_slice id)
{
    struct mni_diskcache *c = b->cache;
    struct dc_space *s;

    mni_rwlock_write(&c->index_lock);
    c->counts.n_not_kept++;
    b->n_refused++;
    uint32_t e = dc_find(c, b->name, id, &s);
    if (e != DC_NO_ENTRY) {
        dc_entry_remove(&c->index, e);
        c->counts.n_overwritten++;
    }
    mni_rwlock_unlock(&c->index_lock);
}

/* Memory for the entries that wait and one more; the namespace is held until they are in. */
static mn_status prepare(struct batch *b, struct mn_error *err)
{
    struct mni_diskcache *c = b->cache;

    mni_rwlock_write(&c->index_lock);
    dc_index_tidy(&c->index, DC_TIDY_STEP);
    (void)dc_expire_some(c, b->now_us, DC_TIDY_STEP);
    mn_status st = dc_index_reserve(&c->index, b->n_waiting + 1, err);
    if (st == MN_OK && b->space == NULL) {
        b->space = dc_space_get(&c->index, b->name);
        if (b->space == NULL)
            st = mni_fail(err, MN_ERR_NOMEM, "namespace of the cache");
        else
            b->space->n_holds++;
    }
    mni_rwlock_unlock(&c->index_lock);
    return st;
}

/* After MN_ERR_NOMEM from here with `is_broken` not set nothing has changed. */
static mn_status put_one(struct batch *b, const struct mn_diskcache_item *item,
                         struct mn_error *err)
{
    struct mni_diskcache *c = b->cache;
    uint64_t value_bytes = dc_space_of_value(item->id.n_bytes, item->value.n_bytes);
    uint64_t seal_bytes = (uint64_t)SEAL_ENTRY_BYTES * (b->n_waiting + 1);
    struct dc_entry entry = {
        .created_at_us = b->now_us,
        .expires_at_us = expiry_of(item, b->now_us),
        .value_bytes = (uint32_t)item->value.n_bytes,
        .id_bytes = (uint16_t)item->id.n_bytes,
    };

    if (entry.expires_at_us <= b->now_us || item->value.n_bytes > c->value_bytes_max) {
        refuse(b, item->id);
        return MN_OK;
    }
    if (!dc_value_has_memory(item->value.n_bytes))
        return mni_fail(err, MN_ERR_NOMEM, "a value of %zu bytes", item->value.n_bytes);
    mn_status st = prepare(b, err);
    if (st != MN_OK)
        return st;
    b->is_broken = true;
    if (!dc_space_has_room(c, value_bytes, seal_bytes)) {
        st = publish(b, err);
        if (st == MN_OK)
            st = dc_space_make(c, value_bytes, seal_bytes, err);
    }
    b->is_broken = st != MN_ERR_NOMEM;
    if (st != MN_OK)
        return st;
    entry.number = dc_space_take(c, value_bytes);
    entry.space = b->space->slot;
    dc_entry_hash(b->space->serial, item->id, entry.hash);
    dc_value_put(c, entry.number, b->space->serial, item->id, item->value);
    b->waiting[b->n_waiting++] = entry;
    b->waiting_bytes += value_bytes;
    if (b->n_waiting == WAITING_MAX || b->waiting_bytes > WAITING_BYTES_MAX)
        st = publish(b, err);
    b->is_broken = st != MN_OK;
    return st;
}

/* Stores one item after the other, until the disk or memory fails. */
static mn_status put_all(struct batch *b, const struct mn_diskcache_item *items, size_t n_items,
                         const unsigned char *is_replaced, struct mn_error *err)
{
    struct mni_diskcache *c = b->cache;
    mn_status st = MN_OK;

    if (c->may_have_seal) {
        b->is_broken = true;
        st = dc_seal_void(c, err);
        b->is_broken = st != MN_OK;
    }
    mni_rwlock_write(&c->index_lock);
    b->now_us = dc_clock(c);
    (void)dc_expire_some(c, b->now_us, DC_STEP);
    mni_rwlock_unlock(&c->index_lock);
    for (size_t i = 0; i < n_items && st == MN_OK; i++)
        if (is_replaced == NULL || is_replaced[i] == 0)
            st = put_one(b, &items[i], err);
    if (!b->is_broken) {
        struct mn_error why;
        mn_status published = publish(b, &why);
        b->is_broken = published != MN_OK;
        if (b->is_broken)
            st = mni_fail(err, published, "%.400s", why.message);
    }
    return st;
}

/* Under write_lock. */
static mn_status put_batch(struct batch *b, const struct mn_diskcache_item *items, size_t n_items,
                           size_t n_distinct, const unsigned char *is_replaced,
                           struct mn_error *err)
{
    struct mni_diskcache *c = b->cache;
    struct mn_error why;
    mn_status st = MN_OK;

    if (c->rocks == NULL)
        dc_seal_void_off(c);
    if (dc_is_on(c))
        st = put_all(b, items, n_items, is_replaced, &why);
    uint64_t n_done = b->n_kept + b->n_refused;
    if (b->is_broken) {
        dc_rebuild(c, why.message);
        b->n_kept = 0;
        st = MN_OK;
    }
    mni_rwlock_write(&c->index_lock);
    if (b->space != NULL && !b->is_broken) {
        b->space->n_holds--;
        dc_space_release_unused(&c->index, b->space);
    }
    c->counts.n_not_kept += n_distinct - n_done;
    mni_rwlock_unlock(&c->index_lock);
    return st == MN_OK ? MN_OK : mni_fail(err, st, "%.400s", why.message);
}

mn_status mni_diskcache_put(struct mni_diskcache *c, struct mn_slice name,
                            const struct mn_diskcache_item *items, size_t n_items,
                            uint64_t *n_kept_out, struct mn_error *err)
{
    struct batch b = {.cache = c, .name = name};
    unsigned char *is_replaced = NULL;
    size_t n_distinct = n_items;
    mn_status st = MN_OK;

    MNI_CHECK(c->magic == DC_MAGIC);
    if (n_items > 1) {
        is_replaced = mni_alloc_zero(n_items);
        if (is_replaced == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "batch of the cache");
        st = mark_replaced(items, n_items, is_replaced, &n_distinct, err);
    }
    if (st == MN_OK) {
        mni_mutex_lock(&c->write_lock);
        st = put_batch(&b, items, n_items, n_distinct, is_replaced, err);
        mni_mutex_unlock(&c->write_lock);
    }
    mni_free(is_replaced);
    if (st == MN_OK)
        *n_kept_out = b.n_kept;
    return st;
}

/* Removing ----------*/

/* A seal must not stand that tells of what is removed. Which entries it has is not known while the
 * cache is off. */
static void void_seal(struct mni_diskcache *c, uint64_t n_removed)
{
    struct mn_error why;

    if (c->rocks == NULL)
        dc_seal_void_off(c);
    else if (n_removed > 0 && c->may_have_seal && dc_seal_void(c, &why) != MN_OK)
        dc_rebuild(c, why.message);
}

uint64_t mni_diskcache_delete(struct mni_diskcache *c, struct mn_slice name,
                              const struct mn_slice *ids, size_t n_ids)
{
    uint64_t n_existed = 0;
    struct dc_space *s;

    MNI_CHECK(c->magic == DC_MAGIC);
    mni_mutex_lock(&c->write_lock);
    mni_rwlock_write(&c->index_lock);
    for (size_t i = 0; i < n_ids; i++) {
        uint32_t e = dc_find(c, name, ids[i], &s);
        if (e == DC_NO_ENTRY)
            continue;
        n_existed++;
        dc_entry_remove(&c->index, e);
    }
    c->counts.n_deleted += n_existed;
    dc_index_tidy(&c->index, DC_TIDY_STEP);
    mni_rwlock_unlock(&c->index_lock);
    void_seal(c, n_existed);
    mni_mutex_unlock(&c->write_lock);
    return n_existed;
}

uint64_t mni_diskcache_clear(struct mni_diskcache *c, struct mn_slice name)
{
    uint64_t n_removed = 0;

    MNI_CHECK(c->magic == DC_MAGIC);
    mni_mutex_lock(&c->write_lock);
    (void)dc_lock_now(c);
    struct dc_space *s = dc_space_find(&c->index, name);
    if (s != NULL) {
        n_removed = s->n_entries;
        dc_space_clear(&c->index, s);
    }
    c->counts.n_cleared += n_removed;
    mni_rwlock_unlock(&c->index_lock);
    void_seal(c, n_removed);
    mni_mutex_unlock(&c->write_lock);
    return n_removed;
}
