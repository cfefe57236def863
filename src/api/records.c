/*
 * records.c - putting, getting, deleting and touching records of a namespace.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   as records.h says; a refused write has changed nothing.
 */
#include "mneme/records.h"

#include "api/store_private.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/quote.h"

mn_status api_no_namespace(struct mn_slice name, struct mn_error *err)
{
    char text[MNI_QUOTED_NAME_BYTES];

    return mni_fail(err, MN_NOT_FOUND, "there is no namespace %s",
                    mni_quote(name, text, sizeof text));
}

/* Writing ---------- */

/* A write while it is put together. */
struct write {
    struct mni_batch *batch; /* owned */
    size_t collection_index;
    mn_ack ack;
    int64_t now_us;
};

static mn_status begin_write(mn_store *store, struct mn_slice name, bool creates,
                             const struct mn_write_options *options, struct write *w,
                             struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    *w = (struct write){0};
    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st == MN_OK)
        st = api_ack(options, &w->ack, err);
    if (st != MN_OK)
        return st;
    if (mni_engine_is_read_only(store->engine))
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    st = mni_batch_new(store->engine, NULL, &w->batch);
    if (st != MN_OK)
        return mni_fail(err, st, "a batch");
    w->now_us = mni_engine_now_us(store->engine);
    return mni_batch_collection(w->batch, MNI_KIND_NAMESPACE, name, creates, &w->collection_index,
                                err);
}

static mn_status put_one(mn_store *store, struct mn_slice name, const struct mn_record *record,
                         enum mni_condition condition, uint64_t condition_lsn,
                         const struct mn_write_options *options, uint64_t *lsn_out,
                         struct mn_error *err)
{
    struct write w = {0};
    mn_status st = record == NULL ? mni_fail(err, MN_ERR_INVALID, "no record is given") : MN_OK;

    if (st == MN_OK)
        st = api_check_record(record, err);
    if (st == MN_OK)
        st = begin_write(store, name, condition != MNI_IF_LSN, options, &w, err);
    if (st == MN_OK) {
        struct mni_record r = api_engine_record(record, w.now_us);
        st = mni_batch_add(w.batch, w.collection_index, &r, condition, condition_lsn, NULL, err);
    }
    if (st == MN_OK)
        st = mni_batch_commit(w.batch, w.ack, lsn_out, err);
    mni_batch_free(w.batch);
    return st;
}

mn_status mn_put(mn_store *store, struct mn_slice name, const struct mn_record *record,
                 const struct mn_write_options *options, uint64_t *lsn_out, struct mn_error *err)
{
    return put_one(store, name, record, MNI_ALWAYS, 0, options, lsn_out, err);
}

mn_status mn_put_if_absent(mn_store *store, struct mn_slice name, const struct mn_record *record,
                           const struct mn_write_options *options, uint64_t *lsn_out,
                           struct mn_error *err)
{
    return put_one(store, name, record, MNI_IF_ABSENT, 0, options, lsn_out, err);
}

mn_status mn_put_if_lsn(mn_store *store, struct mn_slice name, const struct mn_record *record,
                        uint64_t expected_lsn, const struct mn_write_options *options,
                        uint64_t *lsn_out, struct mn_error *err)
{
    return put_one(store, name, record, MNI_IF_LSN, expected_lsn, options, lsn_out, err);
}

/* All of a batch, its size too, before any of it is copied. */
static mn_status check_batch(const struct mn_record *records, size_t n_records, int64_t now_us,
                             struct mn_error *err)
{
    uint64_t n_bytes = 0;

    for (size_t i = 0; i < n_records; i++) {
        mn_status st = api_check_record(&records[i], err);
        if (st == MN_OK) {
            struct mni_record r = api_engine_record(&records[i], now_us);
            n_bytes += mni_record_encoded_bytes(&r);
            if (n_bytes > MN_BATCH_BYTES_MAX || i >= MN_BATCH_RECORDS_MAX)
                st = mni_fail(err, MN_ERR_LIMIT, "the batch has more than %d MiB or %d records",
                              MN_BATCH_BYTES_MAX >> 20, MN_BATCH_RECORDS_MAX);
        }
        if (st != MN_OK) {
            mni_error_prefix(err, "record %zu", i);
            return st;
        }
    }
    return MN_OK;
}

mn_status mn_put_batch(mn_store *store, struct mn_slice name, const struct mn_record *records,
                       size_t n_records, const struct mn_write_options *options,
                       uint64_t *n_stored_out, uint64_t *lsn_out, struct mn_error *err)
{
    struct write w = {0};
    mn_status st = records == NULL && n_records > 0
                       ? mni_fail(err, MN_ERR_INVALID, "no records are given")
                       : MN_OK;

    if (st == MN_OK)
        st = begin_write(store, name, n_records > 0, options, &w, err);
    if (st == MN_OK)
        st = check_batch(records, n_records, w.now_us, err);
    for (size_t i = 0; i < n_records && st == MN_OK; i++) {
        struct mni_record r = api_engine_record(&records[i], w.now_us);
        st = mni_batch_add(w.batch, w.collection_index, &r, MNI_ALWAYS, 0, NULL, err);
        if (st != MN_OK)
            mni_error_prefix(err, "record %zu", i);
    }
    if (st == MN_OK && n_records > 0)
        st = mni_batch_commit(w.batch, w.ack, lsn_out, err);
    else if (st == MN_OK && lsn_out != NULL)
        *lsn_out = 0;
    if (st == MN_OK && n_stored_out != NULL)
        *n_stored_out = mni_batch_n_ops(w.batch);
    mni_batch_free(w.batch);
    return st;
}

static mn_status add_deletes(struct write *w, const struct mn_slice *ids, size_t n_ids,
                             size_t *op_indexes, struct mn_error *err)
{
    for (size_t i = 0; i < n_ids; i++) {
        mn_status st = api_check_id(ids[i], err);
        if (st == MN_OK) {
            struct mni_record r = {.type = MNI_RECORD_DELETE, .key = ids[i]};
            st = mni_batch_add(w->batch, w->collection_index, &r, MNI_ALWAYS, 0, &op_indexes[i],
                               err);
        }
        if (st != MN_OK) {
            if (n_ids > 1)
                mni_error_prefix(err, "id %zu", i);
            return st;
        }
    }
    return MN_OK;
}

mn_status mn_delete_batch(mn_store *store, struct mn_slice name, const struct mn_slice *ids,
                          size_t n_ids, const struct mn_write_options *options, bool *existed_out,
                          uint64_t *n_existed_out, uint64_t *lsn_out, struct mn_error *err)
{
    struct write w = {0};
    size_t *op_indexes = NULL;
    uint64_t n_existed = 0;
    mn_status st = begin_write(store, name, false, options, &w, err);

    if (st == MN_OK && ids == NULL && n_ids > 0)
        st = mni_fail(err, MN_ERR_INVALID, "no ids are given");
    if (st == MN_OK && n_ids > MN_BATCH_RECORDS_MAX)
        st = mni_fail(err, MN_ERR_LIMIT, "%zu ids, the limit is %d", n_ids, MN_BATCH_RECORDS_MAX);
    if (st == MN_OK) {
        op_indexes = mni_alloc_array(n_ids, sizeof *op_indexes);
        if (op_indexes == NULL)
            st = mni_fail(err, MN_ERR_NOMEM, "%zu ids", n_ids);
    }
    if (st == MN_OK)
        st = add_deletes(&w, ids, n_ids, op_indexes, err);
    if (st == MN_OK)
        st = mni_batch_commit(w.batch, w.ack, lsn_out, err);
    if (st == MN_OK) {
        for (size_t i = 0; i < mni_batch_n_ops(w.batch); i++)
            n_existed += mni_batch_existed(w.batch, i);
        for (size_t i = 0; i < n_ids && existed_out != NULL; i++)
            existed_out[i] = mni_batch_existed(w.batch, op_indexes[i]);
        if (n_existed_out != NULL)
            *n_existed_out = n_existed;
    }
    mni_free(op_indexes);
    mni_batch_free(w.batch);
    return st;
}

mn_status mn_delete(mn_store *store, struct mn_slice name, struct mn_slice id,
                    const struct mn_write_options *options, bool *existed_out, uint64_t *lsn_out,
                    struct mn_error *err)
{
    return mn_delete_batch(store, name, &id, 1, options, existed_out, NULL, lsn_out, err);
}

mn_status mn_touch(mn_store *store, struct mn_slice name, struct mn_slice id, uint32_t fields,
                   int64_t when_us, const struct mn_write_options *options, uint64_t *lsn_out,
                   struct mn_error *err)
{
    struct write w = {0};
    mn_status st = api_check_id(id, err);

    if (st == MN_OK)
        st = api_check_expiry(fields, when_us, err);
    if (st == MN_OK)
        st = begin_write(store, name, false, options, &w, err);
    if (st == MN_OK) {
        struct mni_record r = api_touch_record(id, fields, when_us, w.now_us);
        st = mni_batch_add(w.batch, w.collection_index, &r, MNI_IF_LIVE, 0, NULL, err);
    }
    if (st == MN_OK)
        st = mni_batch_commit(w.batch, w.ack, lsn_out, err);
    mni_batch_free(w.batch);
    return st;
}

/* Reading ---------- */

struct batch_read {
    struct mni_engine *engine; /* borrowed */
    struct mn_view *views;
    size_t n_found;
    struct mn_error *err; /* borrowed */
    mn_status status;     /* of the first that could not be pinned */
};

static void show_found(void *context, size_t index, const struct mni_found *found)
{
    struct batch_read *read = context;
    struct mni_found shown = *found;

    if (read->status != MN_OK) {
        mni_pin_release(shown.pin);
        return;
    }
    read->status = mni_found_pin(read->engine, &shown, read->err);
    if (read->status != MN_OK)
        return;
    api_view_set(&read->views[index], &shown);
    read->n_found++;
}

mn_status mn_get_batch(mn_store *store, struct mn_slice name, const struct mn_slice *ids,
                       size_t n_ids, struct mn_view *views_out, size_t *n_found_out,
                       struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    if (n_ids > 0 && (ids == NULL || views_out == NULL))
        return mni_fail(err, MN_ERR_INVALID, "no ids, or no place for the views");
    for (size_t i = 0; i < n_ids; i++)
        api_view_clear(&views_out[i]);
    if (st == MN_OK)
        st = api_check_name(name, err);
    for (size_t i = 0; i < n_ids && st == MN_OK; i++) {
        st = api_check_id(ids[i], err);
        if (st != MN_OK)
            mni_error_prefix(err, "id %zu", i);
    }
    if (st != MN_OK)
        return st;
    struct batch_read read = {.engine = store->engine, .views = views_out, .err = err};
    st = mni_engine_get_many(store->engine, MNI_KIND_NAMESPACE, name, ids, n_ids, show_found, &read,
                             err);
    if (st == MN_NOT_FOUND)
        return api_no_namespace(name, err);
    if (st == MN_OK)
        st = read.status;
    for (size_t i = 0; i < n_ids && st != MN_OK; i++)
        mn_view_release(&views_out[i]);
    if (st == MN_OK && n_found_out != NULL)
        *n_found_out = read.n_found;
    return st;
}

/* Whether these can be a name and an id, as far as can be told without reading them. */
static bool may_be_name_and_id(struct mn_slice name, struct mn_slice id)
{
    return name.data != NULL && name.n_bytes >= 1 && name.n_bytes <= MN_NAMESPACE_BYTES_MAX &&
           id.data != NULL && id.n_bytes >= 1 && id.n_bytes <= MN_ID_BYTES_MAX;
}

/* The live record of an id, pinned. What is there under a name and an id proves that they are well
 * formed, so they are checked only when nothing is. */
static mn_status find_pinned(mn_store *store, struct mn_slice name, struct mn_slice id,
                             struct mni_found *found_out, struct mn_error *err)
{
    mn_status st = api_check_store(store, err);
    mn_status answer = MN_NOT_FOUND;

    if (st != MN_OK)
        return st;
    if (may_be_name_and_id(name, id))
        answer = mni_engine_get(store->engine, MNI_KIND_NAMESPACE, name, id, found_out, err);
    if (answer != MN_NOT_FOUND)
        return answer;
    st = api_check_name(name, err);
    if (st == MN_OK)
        st = api_check_id(id, err);
    if (st != MN_OK)
        return st;
    return found_out->record.collection == 0
               ? api_no_namespace(name, err)
               : mni_fail(err, MN_NOT_FOUND, "there is no record with this id");
}

mn_status mn_get(mn_store *store, struct mn_slice name, struct mn_slice id,
                 struct mn_view *view_out, struct mn_error *err)
{
    struct mni_found found;

    if (view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the view");
    mn_status st = find_pinned(store, name, id, &found, err);
    if (st == MN_OK)
        st = mni_found_pin(store->engine, &found, err);
    if (st == MN_OK)
        api_view_set(view_out, &found);
    else
        api_view_clear(view_out);
    return st;
}

mn_status mn_exists(mn_store *store, struct mn_slice name, struct mn_slice id, bool *exists_out,
                    struct mn_error *err)
{
    struct mni_found found;
    struct mn_error details;

    if (exists_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the answer");
    mn_status st = find_pinned(store, name, id, &found, &details);
    if (st < 0)
        return api_answer(st, &details, err);
    *exists_out = st == MN_OK;
    if (st == MN_OK)
        mni_pin_release(found.pin);
    return MN_OK;
}
