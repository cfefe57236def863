/*
 * walk.c - the records of a collection in key order.
 *
 * Owns:    each walk its read view, and a few versions read ahead.
 * Threads: one per walk.
 * Fails:   MN_ERR_NOMEM when it is opened.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum { AHEAD_FIRST = 8, AHEAD_MAX = 64 }; /* a short walk should not pay for a long one */

struct mni_walk {
    struct mni_view view;
    uint64_t collection;
    unsigned char *prefix; /* owned */
    size_t prefix_bytes;
    unsigned char after[1 + MN_ID_BYTES_MAX];
    size_t after_bytes;                   /* 0: from the first */
    struct mni_version *ahead[AHEAD_MAX]; /* pinned */
    size_t n_ahead;
    size_t next;
    bool is_last; /* nothing is left in the table behind these */
};

mn_status mni_walk_open(struct mni_engine *engine, struct mn_slice after, struct mn_slice prefix,
                        struct mni_walk **walk_out, struct mn_error *err)
{
    struct mni_walk *walk = mni_alloc_zero(sizeof *walk);

    if (walk == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    MNI_CHECK(after.n_bytes <= sizeof walk->after);
    if (prefix.n_bytes > 0) {
        walk->prefix = mni_alloc(prefix.n_bytes);
        if (walk->prefix == NULL) {
            mni_free(walk);
            return mni_fail(err, MN_ERR_NOMEM, "iterator");
        }
        memcpy(walk->prefix, prefix.data, prefix.n_bytes);
        walk->prefix_bytes = prefix.n_bytes;
    }
    if (after.n_bytes > 0)
        memcpy(walk->after, after.data, after.n_bytes);
    walk->after_bytes = after.n_bytes;
    mni_view_open(engine, &walk->view);
    *walk_out = walk;
    return MN_OK;
}

struct mni_view *mni_walk_view(struct mni_walk *walk)
{
    return &walk->view;
}

void mni_walk_set_collection(struct mni_walk *walk, uint64_t collection)
{
    walk->collection = collection;
}

static void read_ahead(struct mni_walk *walk)
{
    struct mni_engine *engine = walk->view.engine;
    struct mn_slice after = {walk->after_bytes > 0 ? walk->after : NULL, walk->after_bytes};
    struct mn_slice prefix = {walk->prefix, walk->prefix_bytes};
    size_t want = walk->n_ahead == 0 ? AHEAD_FIRST : AHEAD_MAX;

    engine_read_lock(engine);
    walk->n_ahead = mni_memtable_scan(engine->table, walk->collection, after, prefix,
                                      walk->view.point, walk->ahead, want);
    engine_unlock(engine);
    walk->is_last = walk->n_ahead < want;
    walk->next = 0;
    if (walk->n_ahead == 0)
        return;
    struct mni_record r;
    mni_record_view(mni_version_bytes(walk->ahead[walk->n_ahead - 1]), &r);
    memcpy(walk->after, r.key.data, r.key.n_bytes);
    walk->after_bytes = r.key.n_bytes;
}

mn_status mni_walk_next(struct mni_walk *walk, struct mni_found *found_out)
{
    if (walk->next == walk->n_ahead) {
        if (walk->is_last)
            return MN_END;
        read_ahead(walk);
        if (walk->n_ahead == 0)
            return MN_END;
    }
    engine_found_version(walk->ahead[walk->next++], found_out);
    return MN_OK;
}

void mni_walk_close(struct mni_walk *walk)
{
    if (walk == NULL)
        return;
    while (walk->next < walk->n_ahead)
        mni_version_unpin(walk->ahead[walk->next++]);
    mni_view_close(&walk->view);
    mni_free(walk->prefix);
    mni_free(walk);
}
