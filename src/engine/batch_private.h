/*
 * batch_private.h - the inside of a batch, for batch.c, commit.c and sweep.c.
 */
#ifndef MNI_ENGINE_BATCH_PRIVATE_H
#define MNI_ENGINE_BATCH_PRIVATE_H

#include "engine/engine_private.h"

/* Where in the parts of a state the record of a key lies, and what marking it needs. */
struct place {
    struct part *part; /* borrowed from the state; NULL: in none */
    uint32_t row;
    bool expires;
    bool is_reserved;
    bool is_patch;
    bool not_frozen; /* the frozen table of the state holds no record of the key */
    int64_t expires_at_us;
    uint64_t lsn; /* of the newest change that is folded into the row */
    uint64_t record_lsn;
    struct mni_change below; /* what marks the frozen table's record, if that holds one */
};

/* When a commit is applied. */
struct apply_at {
    uint64_t lsn;
    int64_t now_us;
    uint64_t oldest_view_lsn;
    uint64_t floor_lsn; /* of patches: no view and no checkpoint needs what is older */
};

/* Changes of a space's row that no user asks for, beside enum mni_space_change. */
enum { SPACE_TRIMMED = 1 << 8, SPACE_KNOWN_FROM = 1 << 9 };

struct batch_collection {
    unsigned char *key; /* owned: kind, name; NULL: known by its number alone */
    size_t key_bytes;
    struct mni_collection known; /* by the latest look; number 0 = it does not exist */
    uint64_t row_lsn;            /* newest change of its row, by the latest look */
    struct place place;          /* of its row, likewise */
    uint64_t first_number;       /* as a transaction's view shows it, else by the first look */
    uint32_t dimension;          /* wanted: by a vector in this batch or by a create; 0 = none */
    bool creates;
    bool must_be_new;
    bool must_exist;
    bool drops;
    unsigned char *fields; /* owned: of a space that is made or altered; NULL: it is not */
    size_t fields_bytes;
    bool has_name_like; /* there is a space with just this name, by the latest look */
    bool is_like;       /* and with just these settings */
    unsigned changes;   /* MNI_SPACE_..., SPACE_...: what is altered, to `altered` */
    struct mni_space_settings altered;
    uint64_t altered_row_lsn; /* else MN_ERR_CONFLICT: its row is of this LSN; 0: of any */
    uint64_t altered_known_from_lsn;
    bool has_seen; /* of a space: what is written depends on `seen` */
    struct mni_space_settings seen;
    uint64_t seen_number;
    unsigned char *name; /* owned: key of its name, of a space that is dropped, likewise */
    size_t name_bytes;
    uint32_t space; /* of a name of a space: whose it is to be; `known` has number + 1 for number */
    bool existed;   /* when it was committed */
    struct dropped *drop_node;         /* owned until published */
    struct dropped_rows *dropped_rows; /* likewise: a list */
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
    struct mni_engine *engine;            /* borrowed */
    struct state *state;                  /* one reference: the one that was looked at */
    struct mni_view *snapshot;            /* borrowed: the transaction's view; NULL: none */
    struct batch_collection *collections; /* owned */
    size_t n_collections;
    uint32_t
        *names; /* owned: collection index + 1 by hash of its key, 0 = free; when they are many */
    size_t n_names;       /* slots */
    size_t n_named;       /* that are not free; some may be of collections that were forgotten */
    struct batch_op *ops; /* owned */
    size_t n_ops;
    size_t ops_capacity;
    uint32_t *slots; /* owned: op index + 1 by hash, 0 = free; from the second op on */
    size_t n_slots;
    size_t n_bytes;          /* encoded records */
    uint64_t reserved_bytes; /* of the budget */
    uint64_t entity_locks;   /* that it holds, a bit each; see keep.c */
    bool has_puts;           /* then it waits for room; what makes room does not */
    bool is_salvage;         /* spaces that it makes may come to hold more points than they keep */
    bool never_waits;        /* it is the checkpoint's own */
    bool is_a_sweep;         /* under `sweep_lock`, so it does not wait for a checkpoint */

    /* While it is submitted: changes of the catalogue first, then those of the operations. */
    struct mni_change *changes; /* owned */
    uint32_t *change_ops;       /* owned: op index of each change */
    struct place *places;       /* owned: one per change; NULL: nothing lies below the table */
    struct mn_slice *parts;     /* owned */
    size_t n_changes;
    uint64_t table_bytes; /* that the changes will take */
    size_t n_catalogue_changes;
    bool checks_counter;  /* it makes collections */
    uint64_t counter_lsn; /* as it was when their numbers were taken */
    uint64_t next_number; /* behind them */
    bool is_stale;        /* state or catalogue may have changed since the look-ups */
    bool is_applied;
    bool is_abandoned;
    struct mni_commit commit;
    struct mn_error *err; /* borrowed from the caller of submit */
};

/* Goes over to the engine's state of now. True: it is another one. */
bool batch_take_state(struct mni_batch *batch);

/* Lets go of its state: before it waits. It takes the newest one when it goes on. */
void batch_drop_state(struct mni_batch *batch);

/* Looks a collection up again. */
MN_MUST_USE mn_status batch_look_up(struct mni_batch *batch, struct batch_collection *collection,
                                    struct mn_error *err);

/* A collection by its number alone, whatever the catalogue says meanwhile. */
MN_MUST_USE mn_status batch_collection_by_number(struct mni_batch *batch, uint64_t number,
                                                 size_t *index_out, struct mn_error *err);

/* Committing is MN_NOT_FOUND if the space does not exist, and MN_ERR_CONFLICT if its settings have
 * changed since it was seen so, or it is another one that keeps only some points. */
void batch_require_as(struct mni_batch *batch, size_t index, const struct mni_collection *seen);

/* What messages call it: `namespace "notes"`, `space 7`. */
enum { LABEL_BYTES = 128 };
const char *batch_label(const struct batch_collection *collection, char room[LABEL_BYTES]);

/* space.c ----------*/

/* Notes the fields of a space's row. */
MN_MUST_USE mn_status batch_take_fields(struct batch_collection *collection,
                                        const struct mni_record *row, struct mn_error *err);
/* What a commit did to a collection goes into the counts. Write lock held. */
void space_count_change(struct mni_engine *engine, const struct batch_collection *collection);

/* keep.c ----------*/

void batch_release_locks(struct mni_batch *batch);

/* history.c: mni_batch_note_history, of the operations from this one on. */
MN_MUST_USE mn_status history_note_from(struct mni_batch *batch, size_t index, size_t first_op,
                                        struct mn_error *err);

/* place.c ----------*/

/* Finds the row of a key that is not dead; no part if there is none. No lock is held. */
MN_MUST_USE mn_status place_find(struct mni_engine *engine, const struct part_set *set,
                                 uint64_t collection, struct mn_slice key, struct place *place_out,
                                 struct mn_error *err);
/* LSN of the newest change of a key, 0 when none is known; `place` may be NULL. Lock held. */
uint64_t place_newest_lsn(struct mni_engine *engine, uint64_t collection, struct mn_slice key,
                          const struct place *place);
/* LSN of the live record of a key, 0 when there is none. Either lock held. */
uint64_t place_live_lsn(struct mni_engine *engine, uint64_t collection, struct mn_slice key,
                        const struct place *place, struct mni_view_point view);
/* Makes sure that applying cannot fail. MN_ERR_NOMEM reserves nothing. */
MN_MUST_USE mn_status places_reserve(struct mni_engine *engine, struct place *places,
                                     const struct mni_change *changes, size_t n);
void places_cancel(struct mni_engine *engine, struct place *places, size_t n);
/* Applies a change where its key lies; uses up what was reserved. Write lock held. */
void place_apply(struct mni_engine *engine, struct mni_change *change, struct place *place,
                 const struct apply_at *at);

#endif
