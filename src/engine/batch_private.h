/*
 * batch_private.h - the inside of a batch, for batch.c, commit.c and sweep.c.
 */
#ifndef MNI_ENGINE_BATCH_PRIVATE_H
#define MNI_ENGINE_BATCH_PRIVATE_H

#include "engine/engine_private.h"

struct batch_collection {
    unsigned char *key; /* owned: kind, name; NULL: known by its number alone */
    size_t key_bytes;
    struct mni_collection known; /* by the latest look; number 0 = it does not exist */
    uint64_t row_lsn;            /* newest change of its row, by the latest look */
    uint64_t first_number;       /* as a transaction's view shows it, else by the first look */
    uint32_t dimension;          /* wanted: by a vector in this batch or by a create; 0 = none */
    bool creates;
    bool must_be_new;
    bool drops;
    bool existed;              /* when it was committed */
    struct dropped *drop_node; /* owned until published */
};

struct batch_op {
    struct mni_version *version; /* owned: an encoded record */
    size_t collection_index;
    enum mni_condition condition;
    uint64_t condition_lsn;
    uint64_t hash; /* of collection index and key */
    bool existed;
};

struct mni_batch {
    struct mni_engine *engine; /* borrowed */
    bool is_transaction;
    uint64_t snapshot_lsn;                /* of the transaction's view */
    struct batch_collection *collections; /* owned */
    size_t n_collections;
    struct batch_op *ops; /* owned */
    size_t n_ops;
    size_t ops_capacity;
    uint32_t *slots; /* owned: op index + 1 by hash, 0 = free; from the second op on */
    size_t n_slots;
    size_t n_bytes; /* encoded records */

    /* While it is submitted: changes of the catalogue first, then those of the operations. */
    struct mni_change *changes; /* owned */
    uint32_t *change_ops;       /* owned: op index of each change */
    struct mn_slice *parts;     /* owned */
    size_t n_changes;
    size_t n_catalogue_changes;
    uint64_t counter_row_lsn;
    bool checks_counter;
    bool is_stale; /* submitted before: the catalogue may have changed */
    bool is_applied;
    bool is_abandoned;
    struct mni_commit commit;
    struct mn_error *err; /* borrowed from the caller of submit */
};

/* Looks all collections up again; read lock taken inside. */
void batch_look_up(struct mni_batch *batch, struct batch_collection *collection);

/* A collection by its number alone, whatever the catalogue says meanwhile. */
MN_MUST_USE mn_status batch_collection_by_number(struct mni_batch *batch, uint64_t number,
                                                 size_t *index_out, struct mn_error *err);

#endif
