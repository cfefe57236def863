/*
 * read.c - finding records: the newest ones, and those that a view sees.
 *
 * Owns:    nothing; what is found is pinned for the caller.
 * Threads: any. The lock is held while the table is looked at.
 * Fails:   MN_NOT_FOUND.
 */
#include "base/check.h"
#include "engine/engine_private.h"

void mni_pin_release(void *pin)
{
    if (pin != NULL)
        mni_version_unpin(pin);
}

void engine_found_version(struct mni_version *version, struct mni_found *found_out)
{
    struct mni_record *r = &found_out->record;

    mni_record_view(mni_version_bytes(version), r);
    r->fields &= ~(uint32_t)MNI_FIELD_EXPIRY;
    r->expires_at_us = 0;
    if (mni_version_expiry(version, &r->expires_at_us))
        r->fields |= MNI_FIELD_EXPIRY;
    found_out->record_lsn = mni_version_record_lsn(version);
    found_out->pin = version;
}

/* The clock is read only for a record that expires. */
static bool has_expired(struct mni_engine *engine, const struct mni_version *version)
{
    int64_t expires_at_us;

    return mni_version_expiry(version, &expires_at_us) &&
           expires_at_us <= mni_engine_now_us(engine);
}

mn_status mni_engine_get(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                         struct mn_slice key, struct mni_found *found_out)
{
    struct mni_view_point view = {.now_us = INT64_MIN};
    struct mni_version *version = NULL;
    struct mni_collection c = {0};

    engine_read_lock(engine);
    view.lsn = mni_engine_visible_lsn(engine);
    if (catalogue_find_now(engine, kind, name, &c))
        version = mni_memtable_find(engine->table, c.number, key, view);
    if (version != NULL && has_expired(engine, version))
        version = NULL;
    if (version != NULL)
        mni_version_pin(version);
    engine_unlock(engine);
    if (version == NULL) {
        *found_out = (struct mni_found){.record.collection = c.number};
        return MN_NOT_FOUND;
    }
    engine_found_version(version, found_out);
    return MN_OK;
}

mn_status mni_engine_get_many(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                              const struct mn_slice *keys, size_t n_keys, mni_found_fn *each,
                              void *context)
{
    struct mni_collection c;

    engine_read_lock(engine);
    struct mni_view_point view = engine_view_now(engine);
    bool has_collection = catalogue_find_now(engine, kind, name, &c);
    for (size_t i = 0; i < n_keys && has_collection; i++) {
        struct mni_version *version = mni_memtable_find(engine->table, c.number, keys[i], view);
        struct mni_found found;
        if (version == NULL)
            continue;
        mni_version_pin(version);
        engine_found_version(version, &found);
        each(context, i, &found);
    }
    engine_unlock(engine);
    return has_collection ? MN_OK : MN_NOT_FOUND;
}

bool mni_engine_collection(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                           struct mni_collection *collection_out)
{
    engine_read_lock(engine);
    bool found = catalogue_find_now(engine, kind, name, collection_out);
    engine_unlock(engine);
    return found;
}

mn_status mni_engine_count(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                           uint64_t *n_records_out)
{
    struct mni_collection c;

    mni_engine_lapse(engine);
    engine_read_lock(engine);
    bool found = catalogue_find_now(engine, kind, name, &c);
    *n_records_out = found ? mni_memtable_count(engine->table, c.number) : 0;
    engine_unlock(engine);
    return found ? MN_OK : MN_NOT_FOUND;
}

uint64_t mni_engine_count_of(struct mni_engine *engine, uint64_t collection)
{
    mni_engine_lapse(engine);
    engine_read_lock(engine);
    uint64_t n = mni_memtable_count(engine->table, collection);
    engine_unlock(engine);
    return n;
}

bool mni_view_collection(struct mni_view *view, enum mni_kind kind, struct mn_slice name,
                         struct mni_collection *collection_out)
{
    engine_read_lock(view->engine);
    bool found = catalogue_find(view->engine, kind, name, view->point, collection_out);
    engine_unlock(view->engine);
    return found;
}

mn_status mni_view_get(struct mni_view *view, uint64_t collection, struct mn_slice key,
                       struct mni_found *found_out)
{
    engine_read_lock(view->engine);
    struct mni_version *version =
        mni_memtable_find(view->engine->table, collection, key, view->point);
    if (version != NULL)
        mni_version_pin(version);
    engine_unlock(view->engine);
    if (version == NULL)
        return MN_NOT_FOUND;
    engine_found_version(version, found_out);
    return MN_OK;
}
