/*
 * iter.c - walking namespaces, and the records of one.
 *
 * Owns:    the engine's walks.
 * Threads: one per walk.
 * Fails:   once it is open only where a segment is damaged or cannot be read.
 */
#include "api/store_private.h"
#include "base/check.h"
#include "base/mem.h"

struct mn_iter {
    struct mni_engine *engine; /* borrowed */
    struct mni_walk *walk;     /* owned */
};

static mn_status new_walk(mn_store *store, const struct mni_walk_options *options,
                          struct mn_iter **iter_out, struct mn_error *err)
{
    struct mn_iter *iter = mni_alloc_zero(sizeof *iter);

    if (iter == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    iter->engine = store->engine;
    mn_status st = mni_walk_open(store->engine, options, &iter->walk, err);
    if (st != MN_OK) {
        mni_free(iter);
        return st;
    }
    *iter_out = iter;
    return MN_OK;
}

void mn_iter_close(mn_iter *iter)
{
    /* A fork's copy is left alone: a lock may be held for ever by a thread that it has not got. */
    if (iter == NULL || mni_engine_check(iter->engine, NULL) != MN_OK)
        return;
    mni_walk_close(iter->walk);
    mni_free(iter);
}

static mn_status check_bound(struct mn_slice bound, const char *what, struct mn_error *err)
{
    if (bound.n_bytes > MN_ID_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "%s is longer than an id can be", what);
    if (bound.n_bytes > 0 && bound.data == NULL)
        return mni_fail(err, MN_ERR_INVALID, "%s has bytes and no address", what);
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
        st = check_bound(o.after, "after", err);
    if (st == MN_OK)
        st = check_bound(o.prefix, "prefix", err);
    if (st == MN_OK)
        st = check_bound(o.until, "until", err);
    if (st != MN_OK)
        return st;
    const struct mni_walk_options walk = {
        .after = o.after,
        .until = o.until,
        .prefix = o.prefix,
        .reverse = o.reverse,
        .counts = true,
    };
    st = new_walk(store, &walk, &iter, err);
    if (st != MN_OK)
        return st;
    st = mni_view_collection(mni_walk_view(iter->walk), MNI_KIND_NAMESPACE, name, &c, err);
    if (st != MN_OK) {
        mn_iter_close(iter);
        return st == MN_NOT_FOUND ? api_no_namespace(name, err) : st;
    }
    st = mni_walk_start(iter->walk, c.number, err);
    if (st != MN_OK) {
        mn_iter_close(iter);
        return st;
    }
    *iter_out = iter;
    return MN_OK;
}

mn_status mn_iter_next(mn_iter *iter, struct mn_view *view_out, struct mn_error *err)
{
    struct mni_found found;

    if (iter == NULL || view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no iterator, or no place for the view");
    mn_status st = mni_engine_check(iter->engine, err);
    if (st != MN_OK)
        return st;
    st = mni_walk_next(iter->walk, &found, err);
    if (st == MN_OK) {
        api_view_set(view_out, &found);
        return MN_OK;
    }
    api_view_clear(view_out);
    return st == MN_END ? mni_fail(err, st, "there are no more records") : st;
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
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && iter_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the iterator");
    if (st == MN_OK)
        st = check_bound(after, "after", err);
    if (st != MN_OK)
        return st;
    mn_namespace_iter *iter = mni_alloc_zero(sizeof *iter);
    if (iter == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    key[0] = kind;
    if (after.n_bytes > 0)
        memcpy(key + 1, after.data, after.n_bytes);
    const struct mni_walk_options names = {
        .after = {key, after.n_bytes > 0 ? 1 + after.n_bytes : 0}, .prefix = {&kind, 1}};
    st = new_walk(store, &names, &iter->rows, err);
    if (st == MN_OK)
        st = mni_walk_start(iter->rows->walk, 0, err);
    if (st != MN_OK) {
        mn_iter_close(iter->rows);
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
    struct mni_found row;

    if (iter == NULL || info_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no iterator, or no place for what it finds");
    mn_status st = mni_engine_check(iter->rows->engine, err);
    if (st == MN_OK)
        st = mni_walk_next(iter->rows->walk, &row, err);
    if (st != MN_OK)
        return st == MN_END ? mni_fail(err, st, "there are no more namespaces") : st;
    size_t name_bytes = row.record.key.n_bytes - 1;
    memcpy(iter->name, (const unsigned char *)row.record.key.data + 1, name_bytes);
    mni_pin_release(row.pin);
    struct mn_slice name = {iter->name, name_bytes};
    uint64_t n_records = 0;
    st = mni_view_collection(mni_walk_view(iter->rows->walk), MNI_KIND_NAMESPACE, name, &c, err);
    if (st == MN_OK)
        st = mni_engine_count_of(iter->rows->engine, c.number, &n_records, err);
    MNI_CHECK(st != MN_NOT_FOUND);
    if (st != MN_OK)
        return st;
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
    if (iter == NULL || mni_engine_check(iter->rows->engine, NULL) != MN_OK)
        return;
    mn_iter_close(iter->rows);
    mni_free(iter);
}
