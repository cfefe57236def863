/*
 * txn.c - the public face of transactions.
 *
 * Owns:    the public handle.
 * Threads: one at a time per transaction.
 * Fails:   as txn.h says; a refused operation leaves the transaction as it was.
 */
#include "mneme/txn.h"

#include "api/store_private.h"
#include "base/check.h"
#include "base/mem.h"

struct mn_txn {
    struct mni_txn *txn; /* owned */
};

mn_status mn_txn_begin(mn_store *store, mn_txn **txn_out, struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && txn_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the transaction");
    if (st != MN_OK)
        return st;
    mn_txn *txn = mni_alloc_zero(sizeof *txn);
    if (txn == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "transaction");
    st = mni_txn_begin(store->engine, &txn->txn, err);
    if (st != MN_OK) {
        mni_free(txn);
        return st;
    }
    *txn_out = txn;
    return MN_OK;
}

static mn_status check(const mn_txn *txn, struct mn_slice name, struct mn_slice id,
                       struct mn_error *err)
{
    if (txn == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no transaction is given");
    mn_status st = mni_engine_check(mni_txn_engine(txn->txn), err);
    if (st == MN_OK)
        st = api_check_name(name, err);
    return st == MN_OK ? api_check_id(id, err) : st;
}

static mn_status add(mn_txn *txn, struct mn_slice name, const struct mni_record *r, bool creates,
                     enum mni_condition condition, struct mn_error *err)
{
    size_t index;
    struct mni_batch *batch = mni_txn_batch(txn->txn);

    if (mni_engine_is_read_only(mni_txn_engine(txn->txn)))
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    bool is_known = mni_batch_has_collection(batch, MNI_KIND_NAMESPACE, name, &index);
    mn_status st = mni_batch_collection(batch, MNI_KIND_NAMESPACE, name, false, &index, err);
    if (st != MN_OK)
        return st;
    st = mni_batch_add(batch, index, r, condition, 0, NULL, err);
    if (st != MN_OK && !is_known)
        mni_batch_forget_collection(batch, index);
    /* Not before: a put that is refused makes no namespace. */
    return st == MN_OK && creates ? mni_batch_create(batch, index, 0, false, err) : st;
}

mn_status mn_txn_put(mn_txn *txn, struct mn_slice name, const struct mn_record *record,
                     struct mn_error *err)
{
    if (record == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no record is given");
    mn_status st = check(txn, name, record->id, err);
    if (st == MN_OK)
        st = api_check_record(record, err);
    if (st != MN_OK)
        return st;
    int64_t now_us = mni_engine_now_us(mni_txn_engine(txn->txn));
    struct mni_record r = api_engine_record(record, now_us);
    return add(txn, name, &r, true, MNI_ALWAYS, err);
}

mn_status mn_txn_get(mn_txn *txn, struct mn_slice name, struct mn_slice id,
                     struct mn_view *view_out, struct mn_error *err)
{
    struct mni_txn_found found = {0};

    if (view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the view");
    api_view_clear(view_out);
    mn_status st = check(txn, name, id, err);
    if (st != MN_OK)
        return st;
    st = mni_txn_find(txn->txn, MNI_KIND_NAMESPACE, name, id, &found, err);
    if (st != MN_OK)
        return mni_fail(err, st, "there is no record with this id");
    st = mni_found_pin(mni_txn_engine(txn->txn), &found.found, err);
    if (st == MN_OK)
        api_view_set(view_out, &found.found);
    return st;
}

mn_status mn_txn_exists(mn_txn *txn, struct mn_slice name, struct mn_slice id, bool *exists_out,
                        struct mn_error *err)
{
    struct mni_txn_found found = {0};
    struct mn_error details;

    if (exists_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the answer");
    mn_status st = check(txn, name, id, &details);
    if (st == MN_OK)
        st = mni_txn_find(txn->txn, MNI_KIND_NAMESPACE, name, id, &found, &details);
    if (st < 0)
        return api_answer(st, &details, err);
    *exists_out = st == MN_OK;
    if (st == MN_OK)
        mni_pin_release(found.found.pin);
    return MN_OK;
}

mn_status mn_txn_delete(mn_txn *txn, struct mn_slice name, struct mn_slice id, bool *existed_out,
                        struct mn_error *err)
{
    struct mni_record r = {.type = MNI_RECORD_DELETE, .key = id};
    bool existed = false;
    mn_status st = mn_txn_exists(txn, name, id, &existed, err);

    if (st == MN_OK)
        st = add(txn, name, &r, false, MNI_ALWAYS, err);
    if (st == MN_OK && existed_out != NULL)
        *existed_out = existed;
    return st;
}

/* A put of this transaction takes the new expiry itself: a batch has one operation per key. */
static mn_status put_with_expiry(mn_txn *txn, struct mn_slice name, const struct mni_record *own,
                                 const struct mni_record *patch, struct mn_error *err)
{
    struct mni_record r = *own;

    r.fields &= ~(uint32_t)MNI_FIELD_EXPIRY;
    r.fields |= patch->fields & MNI_FIELD_EXPIRY;
    r.expires_at_us = patch->expires_at_us;
    return add(txn, name, &r, true, MNI_ALWAYS, err);
}

mn_status mn_txn_touch(mn_txn *txn, struct mn_slice name, struct mn_slice id, uint32_t fields,
                       int64_t when_us, struct mn_error *err)
{
    struct mni_txn_found found = {0};
    mn_status st = check(txn, name, id, err);

    if (st == MN_OK)
        st = api_check_expiry(fields, when_us, err);
    if (st != MN_OK)
        return st;
    st = mni_txn_find(txn->txn, MNI_KIND_NAMESPACE, name, id, &found, err);
    if (st != MN_OK)
        return mni_fail(err, st, "there is no record with this id");
    int64_t now_us = mni_engine_now_us(mni_txn_engine(txn->txn));
    struct mni_record patch = api_touch_record(id, fields, when_us, now_us);
    if (found.is_own)
        st = put_with_expiry(txn, name, &found.found.record, &patch, err);
    else
        st = add(txn, name, &patch, false, MNI_IF_LIVE, err);
    mni_pin_release(found.found.pin);
    return st;
}

mn_status mn_txn_commit(mn_txn *txn, const struct mn_write_options *options, uint64_t *lsn_out,
                        struct mn_error *err)
{
    mn_ack ack = MN_ACK_DEFAULT;

    if (txn == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no transaction is given");
    mn_status st = mni_engine_check(mni_txn_engine(txn->txn), err);
    if (st != MN_OK)
        return st;
    st = api_ack(options, &ack, err);
    if (st == MN_OK)
        st = mni_txn_commit(txn->txn, ack, lsn_out, err);
    else
        mni_txn_rollback(txn->txn);
    mni_free(txn);
    return st;
}

void mn_txn_rollback(mn_txn *txn)
{
    /* A fork's copy is left alone: a lock may be held for ever by a thread that it has not got. */
    if (txn == NULL || mni_engine_check(mni_txn_engine(txn->txn), NULL) != MN_OK)
        return;
    mni_txn_rollback(txn->txn);
    mni_free(txn);
}
