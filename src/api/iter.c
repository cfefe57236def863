/*
 * iter.c - walking namespaces, and the records of one.
 *
 * Owns:    each walk its read view, and a few versions read ahead.
 * Threads: one per walk.
 * Fails:   never once it is open.
 *
 * A walk holds no place in the table: it asks for the keys behind the last one, a few at a time,
 * and its view shows the same moment each time.
 */
#include "api/store_private.h"
#include "base/check.h"
#include "base/mem.h"

enum { AHEAD_MAX = 64 };

struct mn_iter {
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

static void read_ahead(struct mn_iter *iter)
{
    struct mni_memtable *table = mni_engine_table(iter->view.engine);
    struct mn_slice after = {iter->after_bytes > 0 ? iter->after : NULL, iter->after_bytes};
    struct mn_slice prefix = {iter->prefix, iter->prefix_bytes};
    /* A short walk should not pay for a long one. */
    size_t want = iter->n_ahead == 0 ? 8 : AHEAD_MAX;

    mni_engine_read_lock(iter->view.engine);
    iter->n_ahead = mni_memtable_scan(table, iter->collection, after, prefix, iter->view.point,
                                      iter->ahead, want);
    mni_engine_unlock(iter->view.engine);
    iter->is_last = iter->n_ahead < want;
    iter->next = 0;
    if (iter->n_ahead == 0)
        return;
    struct mni_record r;
    mni_record_view(mni_version_bytes(iter->ahead[iter->n_ahead - 1]), &r);
    memcpy(iter->after, r.key.data, r.key.n_bytes);
    iter->after_bytes = r.key.n_bytes;
}

/* The next version, whose pin goes to the caller; NULL behind the last. */
static struct mni_version *next_version(struct mn_iter *iter)
{
    if (iter->next == iter->n_ahead) {
        if (iter->is_last)
            return NULL;
        read_ahead(iter);
        if (iter->n_ahead == 0)
            return NULL;
    }
    return iter->ahead[iter->next++];
}

static mn_status new_walk(mn_store *store, struct mn_slice after, struct mn_slice prefix,
                          struct mn_iter **iter_out, struct mn_error *err)
{
    struct mn_iter *iter = mni_alloc_zero(sizeof *iter);

    if (iter == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    MNI_CHECK(after.n_bytes <= sizeof iter->after);
    if (prefix.n_bytes > 0) {
        iter->prefix = mni_alloc(prefix.n_bytes);
        if (iter->prefix == NULL) {
            mni_free(iter);
            return mni_fail(err, MN_ERR_NOMEM, "iterator");
        }
        memcpy(iter->prefix, prefix.data, prefix.n_bytes);
        iter->prefix_bytes = prefix.n_bytes;
    }
    if (after.n_bytes > 0)
        memcpy(iter->after, after.data, after.n_bytes);
    iter->after_bytes = after.n_bytes;
    mni_view_open(store->engine, &iter->view);
    *iter_out = iter;
    return MN_OK;
}

void mn_iter_close(mn_iter *iter)
{
    /* A fork's copy is left alone: a lock may be held for ever by a thread that it has not got. */
    if (iter == NULL || mni_engine_check(iter->view.engine, NULL) != MN_OK)
        return;
    while (iter->next < iter->n_ahead)
        mni_version_unpin(iter->ahead[iter->next++]);
    mni_view_close(&iter->view);
    mni_free(iter->prefix);
    mni_free(iter);
}

static mn_status check_bounds(struct mn_slice after, struct mn_slice prefix, struct mn_error *err)
{
    if (after.n_bytes > MN_ID_BYTES_MAX || prefix.n_bytes > MN_ID_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "after or prefix is longer than an id can be");
    if ((after.n_bytes > 0 && after.data == NULL) || (prefix.n_bytes > 0 && prefix.data == NULL))
        return mni_fail(err, MN_ERR_INVALID, "after or prefix has bytes and no address");
    return MN_OK;
}

mn_status mn_iter_open(mn_store *store, struct mn_slice name, const struct mn_iter_options *options,
                       mn_iter **iter_out, struct mn_error *err)
{
    struct mn_iter_options o;
    struct mni_collection c;
    struct mn_iter *iter = NULL;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st == MN_OK && iter_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the iterator");
    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_iter_options", err);
    if (st == MN_OK)
        st = check_bounds(o.after, o.prefix, err);
    if (st == MN_OK)
        st = new_walk(store, o.after, o.prefix, &iter, err);
    if (st != MN_OK)
        return st;
    mni_engine_read_lock(store->engine);
    bool found = mni_collection_find(store->engine, MNI_KIND_NAMESPACE, name, iter->view.point, &c);
    mni_engine_unlock(store->engine);
    if (!found) {
        mn_iter_close(iter);
        return api_no_namespace(name, err);
    }
    iter->collection = c.number;
    *iter_out = iter;
    return MN_OK;
}

mn_status mn_iter_next(mn_iter *iter, struct mn_view *view_out, struct mn_error *err)
{
    if (iter == NULL || view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no iterator, or no place for the view");
    mn_status st = mni_engine_check(iter->view.engine, err);
    if (st != MN_OK)
        return st;
    struct mni_version *version = next_version(iter);
    if (version == NULL) {
        api_view_clear(view_out);
        return mni_fail(err, MN_END, "there are no more records");
    }
    api_view_set(view_out, version);
    return MN_OK;
}

/* Namespaces are the records of collection 0 whose keys begin with their kind. */
struct mn_namespace_iter {
    struct mn_iter *rows;
    unsigned char name[MN_NAMESPACE_BYTES_MAX];
};

mn_status mn_namespace_iter_open(mn_store *store, struct mn_slice after,
                                 mn_namespace_iter **iter_out, struct mn_error *err)
{
    const unsigned char kind = MNI_KIND_NAMESPACE;
    unsigned char key[1 + MN_NAMESPACE_BYTES_MAX];
    struct mn_slice none = {NULL, 0};
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && iter_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the iterator");
    if (st == MN_OK)
        st = check_bounds(after, none, err);
    if (st != MN_OK)
        return st;
    mn_namespace_iter *iter = mni_alloc_zero(sizeof *iter);
    if (iter == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    key[0] = kind;
    if (after.n_bytes > 0)
        memcpy(key + 1, after.data, after.n_bytes);
    struct mn_slice from = {key, after.n_bytes > 0 ? 1 + after.n_bytes : 0};
    st = new_walk(store, from, (struct mn_slice){&kind, 1}, &iter->rows, err);
    if (st != MN_OK) {
        mni_free(iter);
        return st;
    }
    *iter_out = iter;
    return MN_OK;
}

mn_status mn_namespace_iter_next(mn_namespace_iter *iter, struct mn_namespace_info *info_out,
                                 struct mn_error *err)
{
    struct mni_collection c;
    struct mn_view row;

    if (iter == NULL || info_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no iterator, or no place for what it finds");
    mn_status st = mn_iter_next(iter->rows, &row, err);
    if (st != MN_OK)
        return st;
    struct mni_engine *engine = iter->rows->view.engine;
    size_t name_bytes = row.id.n_bytes - 1;
    memcpy(iter->name, (const unsigned char *)row.id.data + 1, name_bytes);
    mn_view_release(&row);
    struct mn_slice name = {iter->name, name_bytes};
    mni_engine_lapse(engine);
    mni_engine_read_lock(engine);
    bool found = mni_collection_find(engine, MNI_KIND_NAMESPACE, name, iter->rows->view.point, &c);
    uint64_t n_records = found ? mni_memtable_count(mni_engine_table(engine), c.number) : 0;
    mni_engine_unlock(engine);
    MNI_CHECK(found);
    *info_out = (struct mn_namespace_info){
        .name = name,
        .dimension = c.dimension,
        .n_records = n_records,
        .created_lsn = c.created_lsn,
    };
    return MN_OK;
}

void mn_namespace_iter_close(mn_namespace_iter *iter)
{
    if (iter == NULL || mni_engine_check(iter->rows->view.engine, NULL) != MN_OK)
        return;
    mn_iter_close(iter->rows);
    mni_free(iter);
}
