/*
 * cache_private.h - what the files of the cache share.
 *
 * The store holds the truth; the roster says in memory what is in it. Whoever changes an entry
 * holds the latch of its id while the commit is under way and until the roster follows, and whoever
 * stores a key that of the key: so for a writer the roster is exact. Readers take no latch: they
 * ask the roster, read the store, and check that they got what they asked for; what was read in a
 * segment once is found there again.
 *
 * Lock order: life, latch of a key, latches of ids by their number, roster, engine. The lock of the
 * roster is held for moments, and never during a commit or a read of a file.
 */
#ifndef MNI_SEMCACHE_CACHE_PRIVATE_H
#define MNI_SEMCACHE_CACHE_PRIVATE_H

#include "io/thread.h"
#include "semcache/roster.h"
#include "semcache/semcache.h"

enum {
    N_LATCHES = 1024, /* of ids, and of keys */
    LATCH_WORDS = N_LATCHES / 64,
    DELETES_AT_ONCE = 4096, /* of one commit, about */
    ENTRY_KEY_BYTES = 8,
    BUDGET_KEY_BYTES = 1,
    BUDGET_BYTES = 16,
    HEAD_BYTES = 16, /* of metadata: tenant and context, before the model tag */
};

static const char budget_key[] = "b";

struct mni_semcache {
    struct mni_engine *engine;
    struct roster *roster;
    struct mni_rwlock roster_lock;
    struct mni_rwlock life; /* writers share it; whoever drops tenants has it alone */
    struct mni_latch keys[N_LATCHES];
    struct mni_latch ids[N_LATCHES];
    struct counts counts;    /* of all tenants, dropped ones too */
    struct roster_sums held; /* room that commits under way will give back; roster lock */
    uint64_t seed;           /* of the latches' numbers */

    /* For who needs room that others are about to make. */
    struct mni_mutex settle_mutex;
    struct mni_cond settled;
    _Atomic uint64_t n_settled; /* commits that have ended */
    atomic_uint n_waiting;
};

/* entry.c ---------- */

struct entry_key {
    unsigned char bytes[ENTRY_KEY_BYTES];
};
struct entry_key entry_key(uint64_t id);
struct mn_slice entry_key_slice(const struct entry_key *key);
uint64_t entry_id_of_key(struct mn_slice key); /* of ENTRY_KEY_BYTES */

struct entry_room { /* for what an encoded record points to */
    struct entry_key key;
    unsigned char head[HEAD_BYTES + MN_SEMCACHE_MODEL_BYTES_MAX];
};
/* The record of an entry; it points into `entry` and `room`. */
void entry_to_record(const struct mni_semcache_entry *entry, uint64_t tenant, uint64_t id,
                     struct entry_room *room, struct mni_record *record_out);
/* What was found as a handle, without the pin; hits as the record has them. MN_ERR_CORRUPT: it is
 * no entry of this tenant. */
MN_MUST_USE mn_status entry_of_found(const struct mni_found *found, uint64_t tenant,
                                     struct mn_semcache_handle *handle_out, struct mn_error *err);
uint64_t entry_logical_bytes(const struct mn_semcache_handle *handle);

uint64_t hits_pack(uint32_t n_hits, uint32_t last_hit_s);
uint32_t hits_count(uint64_t packed);
uint32_t hits_last_s(uint64_t packed);

/* latch.c: sets of latches of ids ---------- */

struct latch_set {
    uint64_t words[LATCH_WORDS];
};
size_t latch_of_id(const struct mni_semcache *cache, uint64_t tenant, uint64_t id);
size_t latch_of_key(const struct mni_semcache *cache, uint64_t tenant, const unsigned char *key);
void latch_add(struct latch_set *set, size_t latch);
bool latch_has(const struct latch_set *set, size_t latch);
void latch_lock_all(struct mni_semcache *cache, const struct latch_set *set);
/* False: somebody has it; else it is added to the set. */
bool latch_try(struct mni_semcache *cache, struct latch_set *set, size_t latch);
void latch_unlock_all(struct mni_semcache *cache, const struct latch_set *set);

/* change.c: a commit that removes entries, and may store one ---------- */

/*
 * Entries that a commit removes: they are LEAVING, and the latches of their ids are held. What
 * leaves is no longer counted, but nobody may use its room before the commit is in the log, behind
 * which another one could come to stand: so much of it as the fresh one does not take is held.
 */
struct change {
    struct mni_semcache *cache;
    struct latch_set latches; /* held */
    struct entry *fresh;      /* PENDING; or NULL */
    struct entry **leaving;   /* owned */
    size_t n_leaving;
    size_t n_evicted; /* the last ones of these went to make room */
    size_t capacity;
    bool holds; /* the room of what leaves */
};
void change_init(struct change *change, struct mni_semcache *cache);
/* Room for `n` more leaving ones, so that change_leave cannot fail. MN_ERR_NOMEM. */
MN_MUST_USE mn_status change_expect(struct change *change, size_t n);
/* Roster lock held for writing, for these three. */
void change_leave(struct change *change, struct entry *entry);
void change_hold(struct change *change); /* all that is to leave does so */
void change_undo(struct change *change); /* instead: no commit will come */
/* Deletes what leaves in a batch, in its tenants' collections. */
MN_MUST_USE mn_status change_add_deletes(struct change *change, struct mni_batch *batch,
                                         struct mn_error *err);
/* After a commit that failed as MN_ERR_CORRUPT: victims that cannot be read leave the roster, as if
 * it had been built now. False: there are none, and trying again is of no use. */
bool change_forget_damaged(struct change *change, size_t first);
/* A commit that only removes. */
MN_MUST_USE mn_status change_commit(struct change *change, mn_ack ack, struct mn_error *err);
/* The roster follows a commit, or its failure; the latches are let go; frees. `lsn` is that of the
 * fresh entry. */
void change_end(struct change *change, mn_status status, uint64_t lsn);

/* budget.c ---------- */

/* What bounds a tenant. Roster lock held. */
struct roster_limits cache_limits_of(const struct mni_semcache *cache, const struct tenant *tenant);
/* MN_ERR_LIMIT: an entry of this size is larger than a budget. Roster lock held. */
MN_MUST_USE mn_status cache_check_alone(const struct mni_semcache *cache,
                                        const struct tenant *tenant, uint64_t bytes,
                                        struct mn_error *err);
/*
 * Chooses victims until a tenant (may be NULL) and the whole are within their limits; roster lock
 * held for writing. MN_OK: they are. MN_END: not yet, with `n_max` victims. MN_ERR_BUSY: others
 * have to end first. MN_ERR_NOMEM.
 */
MN_MUST_USE mn_status cache_make_room(struct change *change, struct tenant *tenant, size_t n_max);
/* Commits evictions until there is room. No latch is held, the life lock is. */
MN_MUST_USE mn_status cache_make_room_at_last(struct mni_semcache *cache, uint64_t tenant,
                                              mn_ack ack, struct mn_error *err);
uint64_t cache_settle_count(struct mni_semcache *cache);
/* Until a commit ends that had not when `settle_count` was asked. */
void cache_settle_wait(struct mni_semcache *cache, uint64_t n_settled);
void cache_settle_tell(struct mni_semcache *cache);

/* cache.c ---------- */

/* A collection of a batch. */
MN_MUST_USE mn_status cache_name_tenant(struct mni_batch *batch, uint64_t tenant, bool creates,
                                        size_t *index_out, struct mn_error *err);
MN_MUST_USE mn_status cache_new_batch(struct mni_semcache *cache, struct mni_batch **batch_out,
                                      struct mn_error *err);
/* Answers without a commit: as safe as one would have been, for it waits for what it was judged by.
 * Returns `answer`, or why it cannot. */
MN_MUST_USE mn_status cache_answer(struct mni_semcache *cache, uint64_t tenant, mn_ack ack,
                                   mn_status answer, struct mn_error *err);
/* The store has it now: what was counted before does not count. */
void cache_tenant_is_made(struct tenant *tenant);
/* Of the tenant's embeddings, 0: it never had one. The store keeps to it when the last one went. */
uint32_t cache_dims_of(const struct tenant *tenant);
bool entry_has_expired(const struct entry *entry, int64_t now_us);
void cache_lapse(struct mni_semcache *cache); /* roster lock held for writing */
/* A tenant that the store does not know, and nobody is about to make. */
void cache_forget_tenant(struct mni_semcache *cache, uint64_t number);
/* One of the entries of a tenant that cannot be read is gone. */
void cache_forget_unreadable(struct mni_semcache *cache, uint64_t tenant);
/* Sign bits of an embedding, for mni_free; NULL where it has no dimensions. MN_ERR_NOMEM. */
MN_MUST_USE mn_status entry_signs(const uint16_t *halves, uint32_t n_dims, uint64_t **signs_out);

/* build.c: reads all entries. */
MN_MUST_USE mn_status cache_build(struct mni_semcache *cache, struct mn_error *err);

/* hits.c: the engine's call before a checkpoint; `context` is the cache. */
void cache_write_hits(void *context);

/* load.c: reads an entry; the pin, which does not count yet, goes to the handle. */
MN_MUST_USE mn_status cache_read_entry(struct mni_semcache *cache, uint64_t tenant, uint64_t id,
                                       struct mn_semcache_handle *handle_out, struct mn_error *err);
/* The same by key. */
MN_MUST_USE mn_status cache_read_exact(struct mni_semcache *cache, uint64_t tenant,
                                       const unsigned char *key,
                                       struct mn_semcache_handle *handle_out, struct mn_error *err);
static inline void handle_release(struct mn_semcache_handle *handle)
{
    mni_pin_release(handle->pin);
    *handle = (struct mn_semcache_handle){0};
}
/* Tells a handle the entry's hits so far, which the record may not have yet. */
void cache_tell_hits(struct mni_semcache *cache, struct mn_semcache_handle *handle);
enum hit_kind { HIT_ID, HIT_EXACT, HIT_SEMANTIC, HIT_VERIFIED };
/* Counts the pin, and then a hit, of which the handle is told; clears the handle if it fails. */
MN_MUST_USE mn_status cache_give_hit(struct mni_semcache *cache, enum hit_kind kind,
                                     struct mn_semcache_handle *handle, struct mn_error *err);
MN_MUST_USE mn_status cache_count_pin(struct mni_semcache *cache, struct mn_semcache_handle *handle,
                                      struct mn_error *err);
void cache_count_miss(struct mni_semcache *cache, uint64_t tenant);
void cache_count_error(struct mni_semcache *cache, uint64_t tenant);

#endif
