/*
 * txn.c - transactions: a read view, and a batch that only the transaction sees.
 *
 * Owns:    the view and the batch.
 * Threads: one at a time per transaction.
 * Fails:   committing is MN_ERR_CONFLICT when another commit was first.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/engine_private.h"

struct mni_txn {
    struct mni_engine *engine; /* borrowed; held open by the view */
    struct mni_view view;
    struct mni_batch *batch; /* owned */
};

mn_status mni_txn_begin(struct mni_engine *engine, struct mni_txn **txn_out, struct mn_error *err)
{
    struct mni_txn *txn = mni_alloc_zero(sizeof *txn);

    if (txn == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "transaction");
    txn->engine = engine;
    mni_view_open(engine, &txn->view);
    if (mni_batch_new(engine, &txn->view, &txn->batch) != MN_OK) {
        mni_view_close(&txn->view);
        mni_free(txn);
        return mni_fail(err, MN_ERR_NOMEM, "transaction");
    }
    *txn_out = txn;
    return MN_OK;
}

struct mni_batch *mni_txn_batch(struct mni_txn *txn)
{
    return txn->batch;
}

struct mni_engine *mni_txn_engine(struct mni_txn *txn)
{
    return txn->engine;
}

static struct mni_version *find_own(struct mni_txn *txn, enum mni_kind kind, struct mn_slice name,
                                    struct mn_slice key)
{
    size_t index;

    if (!mni_batch_has_collection(txn->batch, kind, name, &index))
        return NULL;
    return mni_batch_find(txn->batch, index, key);
}

/* A record that was there before, as the transaction's view shows it. */
static mn_status find_below(struct mni_txn *txn, enum mni_kind kind, struct mn_slice name,
                            struct mn_slice key, struct mni_found *found_out, struct mn_error *err)
{
    struct mni_collection c;
    mn_status st = mni_view_collection(&txn->view, kind, name, &c, err);

    return st == MN_OK ? mni_view_get(&txn->view, c.number, key, found_out, err) : st;
}

mn_status mni_txn_find(struct mni_txn *txn, enum mni_kind kind, struct mn_slice name,
                       struct mn_slice key, struct mni_txn_found *found_out, struct mn_error *err)
{
    struct mni_version *own = find_own(txn, kind, name, key);
    struct mni_record r;

    *found_out = (struct mni_txn_found){0};
    if (own == NULL)
        return find_below(txn, kind, name, key, &found_out->found, err);
    mni_record_view(mni_version_bytes(own), &r);
    if (r.type == MNI_RECORD_DELETE ||
        ((r.fields & MNI_FIELD_EXPIRY) != 0 && r.expires_at_us <= txn->view.point.now_us))
        return MN_NOT_FOUND;
    if (r.type == MNI_RECORD_UPSERT) {
        mni_version_ref(own);
        found_out->is_own = true;
        found_out->found = (struct mni_found){.record = r, .pin = own};
        return MN_OK;
    }
    mn_status st = find_below(txn, kind, name, key, &found_out->found, err);
    if (st != MN_OK)
        return st;
    struct mni_record *below = &found_out->found.record;
    found_out->is_touched = true;
    below->fields = (below->fields & ~(uint32_t)MNI_FIELD_EXPIRY) | (r.fields & MNI_FIELD_EXPIRY);
    below->expires_at_us = r.expires_at_us;
    return MN_OK;
}

mn_status mni_txn_commit(struct mni_txn *txn, mn_ack ack, uint64_t *lsn_out, struct mn_error *err)
{
    mn_status st = mni_batch_commit(txn->batch, ack, lsn_out, err);

    mni_batch_free(txn->batch);
    mni_view_close(&txn->view);
    mni_free(txn);
    return st;
}

void mni_txn_rollback(struct mni_txn *txn)
{
    if (txn == NULL)
        return;
    if (MNI_PLANTED("visible_rollback"))
        mni_ignore(mni_batch_commit(txn->batch, MN_ACK_DEFAULT, NULL, NULL));
    mni_batch_free(txn->batch);
    mni_view_close(&txn->view);
    mni_free(txn);
}
