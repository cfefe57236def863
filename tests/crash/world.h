/*
 * world.h - a store on the simulated disk beside its model.
 *
 * Every deed is done to the store, its answer is compared with what the model expects, and then the
 * model does it too. Deeds that come after the power went, or after the log was poisoned, do
 * nothing; world_recover finds out where the store came back.
 */
#ifndef TESTS_CRASH_WORLD_H
#define TESTS_CRASH_WORLD_H

#include "api/api.h"
#include "engine/engine.h"
#include "mneme/mneme.h"
#include "model.h"
#include "sim.h"

enum {
    COMMITS_MAX = 96,
    DOUBTFUL_MAX = 8,
    N_TXNS = 2,
    N_HOLDS = 4,
    N_WALKS = 2,
    CONFIG_VALUES_MAX = 8,
    WISHES_MAX = 8,
    HITS_KNOWN = 1024,
    WHY_BYTES = 256
};

struct world_txn {
    mn_txn *txn; /* NULL = not open */
    int64_t now_us;
    uint64_t snapshot_lsn;
    struct model_state snapshot;
    struct model_state view; /* the snapshot with its own writes */
    struct model_commit commit;
    bool mentions[N_SPACES];        /* namespaces that it wrote to */
    uint32_t known_dims[N_SPACES];  /* when it mentioned them */
    uint32_t numbers[N_SPACES];     /* which one: that of the snapshot, or a later one; 0 = none */
    uint32_t wanted_dims[N_SPACES]; /* of its first vector */
};

/* A record that was read and not let go of. */
struct world_hold {
    struct mn_view view;
    bool is_held;
    uint8_t id;
    struct model_record record;
};

/* Hits of the entry of the cache that a commit stored. */
struct world_hits {
    uint64_t lsn;
    uint64_t n_made;
    uint64_t n_safe; /* a checkpoint wrote them */
};

/* An iterator, and the namespace as it was when it was opened. */
struct world_walk {
    mn_iter *iter; /* NULL = not open */
    int64_t now_us;
    unsigned next_id;
    struct model_space space;
};

struct world {
    struct sim *sim;
    mn_store *store; /* NULL = not open */
    struct mni_engine *engine;
    struct mni_wal *wal;
    struct mn_options options;
    bool was_made;   /* the store was open once */
    bool has_points; /* some histories are without, so that those of old seeds stay as they were */

    bool has_cache;                     /* likewise */
    uint64_t cache_entries_max;         /* the setting */
    uint32_t n_stored;                  /* answers */
    struct world_hits hits[HITS_KNOWN]; /* by LSN */

    struct model_state base;  /* what was recovered last */
    struct model_state state; /* what everybody sees */
    struct model_state base_of_group;
    struct model_commit commits[COMMITS_MAX]; /* since `base`, in the order of their LSNs */
    size_t n_commits;
    struct model_commit doubtful[DOUBTFUL_MAX]; /* failed, and may have happened: in this order */
    size_t n_doubtful;
    uint64_t durable_lsn; /* everything up to here survives a loss of power */
    uint64_t kernel_lsn;  /* and up to here the end of the process */
    uint64_t max_lsn;     /* the highest that anybody was told */
    struct world_txn txns[N_TXNS];
    uint64_t config_values[CONFIG_VALUES_MAX]; /* what the setting may be */
    size_t n_config_values;
    bool config_is_settled; /* a restart decided */
    bool sync_may_fail;     /* a sync was told to fail */
    bool is_poisoned;
    bool is_sealed;              /* closed cleanly: strict recovery is content */
    uint64_t checkpoint_lsn;     /* of the newest checkpoint: no point in time below it */
    uint64_t tried_lsn;          /* the same of one that failed; it may count, or not */
    bool checkpoints_may_refuse; /* one failed: the root of the segments may be in doubt */
    uint64_t segment_bytes_max;
    struct world_hold holds[N_HOLDS];
    struct world_walk walks[N_WALKS];
};

/* What to do to a record. */
enum wish_expiry { WISH_NO_EXPIRY, WISH_EXPIRES_IN, WISH_EXPIRES_AT, WISH_TTL };
struct wish {
    enum model_effect_kind kind; /* put, delete or touch */
    enum mni_condition condition;
    bool wants_wrong_lsn;
    uint8_t space;
    uint8_t id;
    uint32_t value;
    uint32_t n_dims;
    enum wish_expiry expiry;
    int64_t when_us; /* EXPIRES_IN: an exact moment, by the distance from now */
};

/* One of several commits that are submitted together. */
struct wish_member {
    bool is_flush;
    bool is_txn; /* a transaction that began before the group; its wishes have no condition */
    mn_ack ack;
    size_t n_wishes;
    struct wish wishes[4];
};

/* world.c: life ----------*/

void world_init(struct world *w, struct sim *sim);
/* Opens the store and compares. False: the power went, or a sync failed; open again. */
bool world_open(struct world *w);
/* Opens it for reading, compares, and closes it. False as above. */
bool world_look(struct world *w);
/* A clean close. The store is gone after it, whatever happened. */
void world_close(struct world *w);
/* The process ends. */
void world_abandon(struct world *w);
/* The power goes; the process with it. */
void world_lose_power(struct world *w);

bool world_is_up(const struct world *w);
/* Compares all that can be read. */
void world_compare(struct world *w);
/* Says why a deed may not have failed, or notes that it did. `commit` may be NULL. */
void world_failed(struct world *w, const struct model_commit *commit, mn_status st,
                  const struct mn_error *err);
/* A commit was answered; `err` belongs to its status. */
void world_answered(struct world *w, struct model_commit *commit, mn_status st, uint64_t lsn,
                    mn_ack ack, const struct mn_error *err);
/* Everything so far is as safe as this level says. */
void world_note_safety(struct world *w, mn_ack ack);
/* Everything so far is durable. */
void world_is_durable(struct world *w);
/* The engine's clock, moved so that nothing expires during a deed. */
int64_t world_settle_clock(struct world *w, const struct model_state *state);
int64_t world_now(struct world *w);
uint64_t world_lsn(const struct world *w);

/* compare.c ----------*/

/* Reads everything and compares; learns exact expiries. On a difference says which. */
bool world_shows(struct world *w, struct model_state *state, char why[WHY_BYTES]);
/* Compares one record that was read. */
bool world_view_is(const struct mn_view *view, unsigned id, struct model_record *record,
                   char why[WHY_BYTES]);

/* deeds.c ----------*/

void world_write(struct world *w, const struct wish *wishes, size_t n, mn_ack ack);
void world_create(struct world *w, unsigned space, uint32_t dimension, bool must_be_new);
void world_drop(struct world *w, unsigned space);
void world_flush(struct world *w);
void world_rotate(struct world *w);
void world_sweep(struct world *w);
void world_tick(struct world *w);
void world_checkpoint(struct world *w);
/* Of some ids, or of the whole namespace when there are none. */
void world_purge(struct world *w, unsigned space, const uint8_t *ids, size_t n);
void world_wait_for_sync(struct world *w);
void world_configure(struct world *w, uint64_t value);
void world_check_config(struct world *w);
void world_read(struct world *w, unsigned space, unsigned id);
void world_group(struct world *w, const struct wish_member *members, size_t n);

/* For deeds.c, points.c and txns.c. */
/* False: the deed cannot be done, the power went or the log is poisoned. */
bool world_begin(struct world *w, enum sim_deed deed, struct model_commit *commit);
/* The answer to a call that the model refuses. */
void world_expect_refusal(struct world *w, mn_status st, mn_status expected, mn_ack ack,
                          const struct mn_error *err);
struct model_effect world_effect(const struct wish *wish, int64_t now_us);
struct mn_record world_record(const struct wish *wish, const struct model_effect *effect);
void world_know_most(struct model_effect *effect, const struct wish *wish, int64_t now_us);

/* points.c ----------*/

/* Makes or drops a space, or puts, deletes or reads some of its points. */
void world_points(struct world *w, mn_ack ack);
/* Compares all spaces. */
bool world_shows_points(struct world *w, const struct model_state *state, char why[WHY_BYTES]);

/* cache.c ----------*/

/* Stores, removes or loads an answer, or bounds the cache. */
void world_cache(struct world *w, mn_ack ack);
/* Compares all tenants. */
bool world_shows_cache(struct world *w, const struct model_state *state, char why[WHY_BYTES]);
/* What the beginning of a checkpoint does, ahead of deeds that have another commit. */
void world_write_hits(struct world *w);
/* A checkpoint began by writing hits, as the commit `c`, or tried to. */
void world_hits_written(struct world *w, struct model_commit *c, const struct mn_error *err);
/* It succeeded. */
void world_hits_are_safe(struct world *w);
void world_learn_limit(struct world *w);

/* txns.c ----------*/

void world_txn_begin(struct world *w, unsigned slot);
void world_txn_write(struct world *w, unsigned slot, const struct wish *wish);
void world_txn_read(struct world *w, unsigned slot, unsigned space, unsigned id);
void world_txn_commit(struct world *w, unsigned slot, mn_ack ack);
void world_txn_rollback(struct world *w, unsigned slot);

/* holds.c: reading that goes on while other things happen ----------*/

/* Reads a record and keeps it, in place of what the slot held. */
void world_hold(struct world *w, unsigned slot, unsigned space, unsigned id);
/* One more step of a walk; opens it first, and closes it at its end. */
void world_walk(struct world *w, unsigned slot, unsigned space);
/* Compares what is still held, and lets go of everything. */
void world_let_go(struct world *w);

#endif
