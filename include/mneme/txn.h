/*
 * txn.h - transactions.
 *
 * A transaction reads the store as it was when it began, plus its own writes, and commits them in
 * one step: all or nothing, over any number of namespaces. Isolation is snapshot isolation: of two
 * transactions that write the same record the first to commit wins and the other gets
 * MN_ERR_CONFLICT. A transaction holds its writes in memory, at most 256 MiB.
 *
 * A transaction belongs to one thread at a time. Reads of a transaction see an expiry as it is due
 * at the moment the transaction began.
 */
#ifndef MNEME_TXN_H
#define MNEME_TXN_H

#include "mneme/records.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_txn mn_txn;

/* MN_OK sets `txn_out`; end it with mn_txn_commit or mn_txn_rollback. */
MN_API MN_MUST_USE mn_status mn_txn_begin(mn_store *store, mn_txn **txn_out, struct mn_error *err);

/* As mn_put, mn_delete, mn_touch, mn_get and mn_exists, within the transaction. A write that is
 * refused leaves the transaction as it was. */
MN_API MN_MUST_USE mn_status mn_txn_put(mn_txn *txn, struct mn_slice name,
                                        const struct mn_record *record, struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_txn_delete(mn_txn *txn, struct mn_slice name, struct mn_slice id,
                                           bool *existed_out, struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_txn_touch(mn_txn *txn, struct mn_slice name, struct mn_slice id,
                                          uint32_t fields, int64_t when_us, struct mn_error *err);
/* A view of the transaction's own write has lsn 0. Views are released like others and may outlive
 * the transaction. MN_ERR_BUDGET as of mn_get. */
MN_API MN_MUST_USE mn_status mn_txn_get(mn_txn *txn, struct mn_slice name, struct mn_slice id,
                                        struct mn_view *view_out, struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_txn_exists(mn_txn *txn, struct mn_slice name, struct mn_slice id,
                                           bool *exists_out, struct mn_error *err);

/*
 * Commits and frees the transaction, whatever it returns. MN_ERR_CONFLICT: another commit wrote a
 * record that this one wrote too, or dropped a namespace it wrote to; nothing happened.
 * MN_ERR_DIMENSION: another one gave a namespace another dimension meanwhile. A transaction without
 * writes commits with LSN 0.
 */
MN_API MN_MUST_USE mn_status mn_txn_commit(mn_txn *txn, const struct mn_write_options *options,
                                           uint64_t *lsn_out, struct mn_error *err);

/* Forgets the writes and frees the transaction. NULL is fine. */
MN_API void mn_txn_rollback(mn_txn *txn);

#ifdef __cplusplus
}
#endif
#endif
