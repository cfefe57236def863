/*
 * change.c - changes: prepared before a commit is logged, applied after it.
 *
 * Owns:    what prepared changes have reserved, until they are applied or cancelled.
 * Threads: the leader; applying under the write lock.
 * Fails:   only preparing, with MN_ERR_NOMEM.
 */
#include "memtable/memtable_private.h"

/* When and against what the changes of one commit are applied. */
struct commit {
    uint64_t lsn;
    int64_t now_us;
    uint64_t oldest_view_lsn;
};

void mni_change_init(struct mni_change *change, struct mni_version *version)
{
    struct mni_record record;

    *change = (struct mni_change){.version = version};
    mni_record_view(mni_version_bytes(version), &record);
    mni_version_classify(version, &record);
    change->hash = mni_key_hash(record.collection, record.key);
}

uint64_t mni_change_collection(const struct mni_change *change)
{
    return mni_record_collection(mni_version_record(change->version));
}

struct mn_slice mni_change_key(const struct mni_change *change)
{
    return mni_version_key(change->version);
}

void mni_memtable_prefetch(struct mni_memtable *table, const struct mni_change *changes,
                           size_t n_changes)
{
    for (size_t i = 0; i < n_changes; i++)
        __builtin_prefetch(buckets_at(&table->entries, changes[i].hash));
    for (size_t i = 0; i < n_changes; i++)
        __builtin_prefetch(*buckets_at(&table->entries, changes[i].hash));
}

static bool is_upsert(const struct mni_version *version)
{
    return !version_has(version, VERSION_TOMBSTONE) && !version_has(version, VERSION_PATCH);
}

/* One level, and with a chance of one in four each, one more. */
static unsigned random_height(struct mni_memtable *table)
{
    uint64_t x = table->random_state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    table->random_state = x;
    uint64_t bits = x >> 16 | UINT64_C(1) << (2 * (HEIGHT_MAX - 1));
    return 1 + (unsigned)__builtin_ctzll(bits) / 2;
}

/* Whether it may become the first change of a key that the table knows. */
static bool may_insert(const struct mni_change *change)
{
    return is_upsert(change->version) || change->keeps;
}

/* What a change reserves is one node: that of one that may insert becomes the entry of a new
 * key, or else, as the others' does, the item that keeps the version it supersedes. */
static size_t node_bytes(const struct mni_change *change)
{
    return may_insert(change) ? entry_bytes(change->entry->link.height) : sizeof(struct superseded);
}

static void free_node(struct mni_memtable *table, struct mni_change *change)
{
    if (change->entry != NULL)
        mni_pool_dealloc_block(table->pool, change->entry, node_bytes(change));
    change->entry = NULL;
}

static mn_status new_node(struct mni_memtable *table, struct mni_change *change)
{
    if (!may_insert(change)) {
        change->entry = mni_pool_alloc_block(table->pool, sizeof(struct superseded));
        return change->entry == NULL ? MN_ERR_NOMEM : MN_OK;
    }
    unsigned height = random_height(table);
    change->entry = mni_pool_alloc_block(table->pool, entry_bytes(height));
    if (change->entry == NULL)
        return MN_ERR_NOMEM;
    change->entry->link.height = height & (UINT32_MAX >> HASH_BITS);
    return MN_OK;
}

static mn_status prepare_one(struct mni_memtable *table, struct mni_change *change)
{
    struct mni_rows *rows = NULL;
    mn_status st = MN_OK;

    MNI_CHECK(change->version != NULL && change->version->pool == table->pool);
    MNI_CHECK(change->entry == NULL && change->rows == NULL);
    st = new_node(table, change);
    if (st != MN_OK)
        return st;
    if (may_insert(change)) {
        st = mni_rows_reserve(table, mni_change_collection(change), &rows);
        if (st != MN_OK)
            goto out;
    }
    if (version_has(change->version, VERSION_EXPIRES)) {
        st = mni_expiry_reserve(table);
        if (st != MN_OK)
            goto out;
    }
    change->rows = rows;
    rows = NULL;
out:
    if (rows != NULL)
        mni_rows_release(table, rows);
    if (st != MN_OK)
        free_node(table, change);
    return st;
}

/* Gives back what prepare_one reserved. */
static void release_one(struct mni_memtable *table, struct mni_change *change)
{
    if (change->entry == NULL)
        return;
    if (version_has(change->version, VERSION_EXPIRES)) {
        MNI_CHECK(table->expiry.n_reserved > 0);
        table->expiry.n_reserved--;
    }
    if (change->rows != NULL)
        mni_rows_release(table, change->rows);
    change->rows = NULL;
    free_node(table, change);
}

mn_status mni_memtable_prepare(struct mni_memtable *table, struct mni_change *changes,
                               size_t n_changes)
{
    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    for (size_t i = 0; i < n_changes; i++) {
        mn_status st = prepare_one(table, &changes[i]);
        if (st == MN_OK)
            continue;
        while (i > 0)
            release_one(table, &changes[--i]);
        return st;
    }
    return MN_OK;
}

void mni_memtable_cancel(struct mni_memtable *table, struct mni_change *changes, size_t n_changes)
{
    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    for (size_t i = 0; i < n_changes; i++) {
        release_one(table, &changes[i]);
        mni_version_unref(changes[i].version);
        changes[i].version = NULL;
    }
}

static bool same_expiry(const struct mni_version *a, const struct mni_version *b)
{
    int64_t a_us = 0;
    int64_t b_us = 0;

    return mni_version_expiry(a, &a_us) == mni_version_expiry(b, &b_us) && a_us == b_us;
}

/* Puts the change's version on top of an entry's chain. Uses up the change's node and version. */
static void supersede(struct mni_memtable *table, struct mni_entry *entry,
                      struct mni_change *change, const struct commit *commit)
{
    struct mni_version *version = change->version;
    struct mni_version *old = entry->head;
    size_t n_node_bytes = node_bytes(change);

    MNI_CHECK(old->lsn <= commit->lsn);
    if (version_has(version, VERSION_PATCH))
        mni_version_become_patched(version, old);
    version->lsn = commit->lsn;
    bool counts_the_same = !version_has(version, VERSION_TOMBSTONE) &&
                           entry_is_live(table, entry) && same_expiry(version, old);
    if (!counts_the_same)
        mni_entry_count_out(table, entry);
    mni_entry_set_head(entry, version);
    change->version = NULL;
    if (!counts_the_same)
        mni_entry_count_in(table, entry, commit->now_us);

    /* No view lies between two versions of one commit. */
    bool is_needed = commit->oldest_view_lsn < commit->lsn && old->lsn < commit->lsn;
    if (!is_needed && old->older == NULL && !version_has(version, VERSION_TOMBSTONE)) {
        mni_version_unref(old);
        mni_pool_dealloc_block(table->pool, change->entry, n_node_bytes);
    } else {
        version->older = old;
        mni_superseded_push(table, change->entry, n_node_bytes, entry, version);
    }
    change->entry = NULL;
}

static void insert(struct mni_memtable *table, struct mni_change *change,
                   const struct commit *commit)
{
    struct mni_entry *entry = change->entry;

    entry->link.hash = change->hash & ((1U << HASH_BITS) - 1);
    entry->link.expiry_place = EXPIRY_PLACE_NONE;
    entry->rows = change->rows;
    change->version->lsn = commit->lsn;
    mni_entry_set_head(entry, change->version);
    mni_buckets_insert(&table->entries, table, &entry->link);
    mni_order_add(entry->rows, entry, commit->lsn);
    mni_entry_count_in(table, entry, commit->now_us);
    change->entry = NULL;
    change->version = NULL;
}

static void apply_delete(struct mni_memtable *table, struct mni_entry *entry,
                         struct mni_change *change, const struct commit *commit)
{
    if (commit->oldest_view_lsn >= commit->lsn && entry->head->older == NULL)
        mni_entry_remove(table, entry);
    else
        supersede(table, entry, change, commit);
}

static void apply_one(struct mni_memtable *table, struct mni_change *change,
                      const struct commit *commit)
{
    struct mni_entry *entry = mni_memtable_entry(table, change->hash, mni_change_collection(change),
                                                 mni_change_key(change));
    struct mni_rows *rows = change->rows;

    MNI_CHECK(change->entry != NULL);
    /* The slot that was reserved is free for what follows. */
    if (version_has(change->version, VERSION_EXPIRES)) {
        MNI_CHECK(table->expiry.n_reserved > 0);
        table->expiry.n_reserved--;
    }
    change->existed = entry != NULL && entry_is_live(table, entry);
    if (is_upsert(change->version)) {
        change->changed = true;
        mni_rows_link(table, rows);
        if (entry == NULL)
            insert(table, change, commit);
        else
            supersede(table, entry, change, commit);
    } else if (version_has(change->version, VERSION_PATCH)) {
        /* Whether the record was live was judged before the commit was logged. What is in the log
         * happens, whatever has lapsed meanwhile: replay knows nothing of that. */
        change->changed = entry != NULL && !version_has(entry->head, VERSION_TOMBSTONE);
        if (change->changed)
            supersede(table, entry, change, commit);
    } else {
        change->changed = entry != NULL && !version_has(entry->head, VERSION_TOMBSTONE);
        if (change->changed) {
            apply_delete(table, entry, change, commit);
        } else if (entry == NULL && change->keeps) {
            mni_rows_link(table, rows);
            insert(table, change, commit);
        }
    }
    if (change->version != NULL) { /* not taken into the table */
        free_node(table, change);
        mni_version_unref(change->version);
        change->version = NULL;
    }
    change->rows = NULL;
    if (rows != NULL)
        mni_rows_release(table, rows);
}

void mni_memtable_apply(struct mni_memtable *table, struct mni_change *changes, size_t n_changes,
                        uint64_t lsn, int64_t now_us, uint64_t oldest_view_lsn)
{
    struct commit commit = {.lsn = lsn, .now_us = now_us, .oldest_view_lsn = oldest_view_lsn};

    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    MNI_CHECK(lsn > 0);
    mni_memtable_lapse(table, now_us);
    for (size_t i = 0; i < n_changes; i++)
        apply_one(table, &changes[i], &commit);
}
