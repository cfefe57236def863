/*
 * semcache.h - a cache of answers of language models, found exactly or by meaning.
 *
 * A tenant, any number of 64 bits, holds entries. An entry is an answer (the payload) and what it
 * is found by: its id, an exact key of 256 bits, an embedding of the question. No call sees more
 * than one tenant, but those that say so. Within a tenant, entries of one model tag and one context
 * are a scope, which lookups do not leave unless they are asked to.
 *
 *     tenant 7 ─┬─ scope ("gpt", context 0) ─┬─ entry 1: key, embedding, payload
 *               │                            └─ entry 2: ...
 *               └─ scope ("gpt", context 9) ─── entry 3: ...
 *
 * Entries are records of the store: what records.h says of commits, acks, expiry and
 * MN_ERR_CORRUPT holds. They are found by an index in memory, which the first call of this header
 * builds by reading all entries once, and which takes about 380 bytes for each and an eighth of a
 * byte for each dimension; budgets count it.
 *
 * An entry in a damaged part of the store can be replaced and removed where its id can be read;
 * else these are MN_ERR_CORRUPT, too. Its tenant can still be dropped.
 *
 * Messages name the path of the store, and tenant and entry where there are such, but for those
 * about arguments.
 *
 * Threads: any, where a type does not say otherwise.
 */
#ifndef MNEME_SEMCACHE_H
#define MNEME_SEMCACHE_H

#include "mneme/limits.h"
#include "mneme/records.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MN_SEMCACHE_KEY_BYTES = 32,
    MN_SEMCACHE_MODEL_BYTES_MAX = 256,
    MN_SEMCACHE_CANDIDATES_DEFAULT = 50,
    MN_SEMCACHE_CANDIDATES_MAX = 65536,
    MN_SEMCACHE_REFINED_DEFAULT = 5,
};

/*
 * The exact key of a request, for callers that have none of their own: the SHA-256 (FIPS 180-4) of
 * a fixed label, the tenant, the model tag and the request's bytes, each with its length, so that
 * no two different ones run together. What makes two requests the same, say sorted JSON without
 * spaces, is up to the caller. MN_ERR_UNSUPPORTED: this library was built without OpenSSL.
 */
MN_API MN_MUST_USE mn_status mn_semcache_key(uint64_t tenant, struct mn_slice model,
                                             struct mn_slice request,
                                             unsigned char key_out[MN_SEMCACHE_KEY_BYTES],
                                             struct mn_error *err);

/* Entries ------------------------------------------------------------------------------------- */

/* Which optional fields of an entry are set, besides those of enum mn_record_fields. */
enum mn_semcache_fields {
    MN_HAS_ENTRY_ID = 1 << 8,
};

/* An entry to store. All zero is an empty answer without a key, with an id that is assigned. */
struct mn_semcache_entry {
    uint32_t fields; /* MN_HAS_ENTRY_ID, MN_HAS_EXPIRES_AT, MN_HAS_TTL, MN_HAS_EVENT_TIME */
    uint32_t n_dims; /* of the embedding, one number in a tenant; 0 = it has none */
    uint64_t id;     /* any, 0 and 2^64 - 1 too */
    const unsigned char *key; /* MN_SEMCACHE_KEY_BYTES, of one entry of the tenant; NULL = none */
    uint64_t context;         /* a hash of what else the answer depends on */
    struct mn_slice model;    /* UTF-8, up to 256 bytes; may be empty */
    const float *embedding;   /* stored as IEEE 754 binary16: finite, within +-65519, and the
                                 largest at least 2^-14, or all 0: nothing is like that */
    struct mn_slice payload;  /* any bytes, up to 64 MiB */
    int64_t event_time_us;    /* of the answer; without MN_HAS_EVENT_TIME it is the store's clock */
    int64_t expires_at_us;    /* as in struct mn_record */
    int64_t ttl_us;
};

/* An entry that is there. All pointers stay valid and unchanged until mn_semcache_release, whatever
 * happens to the entry meanwhile; nothing is copied. Tenant and key were checked, and the checksums
 * of what lies in segments when it was first read since the store was opened. */
struct mn_semcache_handle {
    uint64_t tenant;
    uint64_t id;
    uint64_t context;
    uint64_t lsn;             /* of the commit that stored it; hits do not change it */
    const unsigned char *key; /* MN_SEMCACHE_KEY_BYTES; NULL = none */
    struct mn_slice model;
    struct mn_slice payload;
    const uint16_t *embedding; /* binary16, in the machine's byte order; aligned for uint16_t */
    uint32_t n_dims;
    uint32_t fields; /* MN_HAS_EXPIRES_AT */
    int64_t event_time_us;
    int64_t expires_at_us;
    uint64_t hits;       /* before this one, 2^32 - 1 at most */
    int64_t last_hit_us; /* to the second; 0: never */
    void *pin;           /* NULL: holds nothing */
};

/* One reference more: releasing as often as there are references gives the entry back.
 * MN_ERR_BUDGET. */
MN_API MN_MUST_USE mn_status mn_semcache_retain(const struct mn_semcache_handle *handle,
                                                struct mn_semcache_handle *handle_out,
                                                struct mn_error *err);
/* Gives a handle back and clears it. A cleared handle and NULL are fine. Any thread, before the
 * store is closed. */
MN_API void mn_semcache_release(struct mn_semcache_handle *handle);

/* Storing ------------------------------------------------------------------------------------- */

enum mn_semcache_mode {
    MN_SEMCACHE_OVERWRITE = 0,
    MN_SEMCACHE_IF_ABSENT, /* no entry has the id, nor the key: else MN_EXISTS */
    MN_SEMCACHE_IF_LSN,    /* the entry with the id has this LSN: else MN_CHANGED */
};

/* NULL is the default; otherwise set `size` to sizeof(struct mn_semcache_store_options), all else
 * may be zero. */
struct mn_semcache_store_options {
    size_t size;
    mn_ack ack;
    enum mn_semcache_mode mode;
    uint64_t expected_lsn; /* for MN_SEMCACHE_IF_LSN, which needs an id */
};

/*
 * Stores an entry as one commit. Without an id it takes the place of the entry with its key; if
 * there is none, it gets an id that no entry of the tenant has. An entry with another id and the
 * same key goes in the same commit, and so do entries that have to make room (see Budgets).
 * `handle_out` (may be NULL) is set to the entry, to be released; when it does not fit into
 * `pinned_bytes_max`, the entry is stored all the same, and the handle cleared.
 *
 * MN_ERR_DIMENSION: embeddings of the tenant have another size, which its first one decided until
 * the tenant is dropped. MN_ERR_LIMIT: something is larger than limits.h allows, or the entry alone
 * is larger than a budget. MN_ERR_INVALID: an element of the embedding does not fit into a
 * binary16. Then nothing has changed.
 */
MN_API MN_MUST_USE mn_status mn_semcache_store(mn_store *store, uint64_t tenant,
                                               const struct mn_semcache_entry *entry,
                                               const struct mn_semcache_store_options *options,
                                               struct mn_semcache_handle *handle_out,
                                               struct mn_error *err);

/* An answer that arrives in pieces. Nobody sees it until it is committed; until then it is in
 * memory, within `memory_bytes_max`. One thread at a time; ended before the store is closed. */
typedef struct mn_semcache_stream mn_semcache_stream;

/* The payload of `entry` is empty; everything else is copied. */
MN_API MN_MUST_USE mn_status mn_semcache_begin(mn_store *store, uint64_t tenant,
                                               const struct mn_semcache_entry *entry,
                                               const struct mn_semcache_store_options *options,
                                               mn_semcache_stream **stream_out,
                                               struct mn_error *err);
/* MN_ERR_LIMIT (more than 64 MiB), MN_ERR_BUDGET, MN_ERR_NOMEM: nothing of the chunk is added. */
MN_API MN_MUST_USE mn_status mn_semcache_append(mn_semcache_stream *stream, struct mn_slice chunk,
                                                struct mn_error *err);
/* As mn_semcache_store, with all chunks as payload; takes memory for them once more. The stream
 * ends, whatever the answer is. */
MN_API MN_MUST_USE mn_status mn_semcache_commit(mn_semcache_stream *stream,
                                                struct mn_semcache_handle *handle_out,
                                                struct mn_error *err);
MN_API void mn_semcache_abort(mn_semcache_stream *stream); /* NULL is fine */

/* Loading ------------------------------------------------------------------------------------- */

/*
 * The entry with an id, or with an exact key. MN_OK sets `handle_out`, to be released, and counts a
 * hit of the entry. MN_NOT_FOUND: there is none, or it has expired. MN_ERR_CORRUPT: it lies in a
 * damaged part, or the key may do so; nothing of it is shown. MN_ERR_BUDGET: as of mn_get. Any
 * failure clears the handle.
 */
MN_API MN_MUST_USE mn_status mn_semcache_load(mn_store *store, uint64_t tenant, uint64_t id,
                                              struct mn_semcache_handle *handle_out,
                                              struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_semcache_load_exact(mn_store *store, uint64_t tenant,
                                                    const unsigned char key[MN_SEMCACHE_KEY_BYTES],
                                                    struct mn_semcache_handle *handle_out,
                                                    struct mn_error *err);
/* As mn_semcache_load, and counts nothing. */
MN_API MN_MUST_USE mn_status mn_semcache_peek(mn_store *store, uint64_t tenant, uint64_t id,
                                              struct mn_semcache_handle *handle_out,
                                              struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_semcache_exists(mn_store *store, uint64_t tenant, uint64_t id,
                                                bool *exists_out, struct mn_error *err);

/* Looking up ---------------------------------------------------------------------------------- */

enum mn_semcache_kind {
    MN_SEMCACHE_MISS = 0,
    MN_SEMCACHE_EXACT,    /* by the key */
    MN_SEMCACHE_SEMANTIC, /* by the embedding */
    MN_SEMCACHE_VERIFIED, /* by the embedding, and the callback agreed */
};

enum mn_semcache_reason { /* why it is a miss */
                          MN_SEMCACHE_NONE = 0,
                          MN_SEMCACHE_NO_SCOPE,     /* no entry is in scope */
                          MN_SEMCACHE_NO_EMBEDDING, /* none in scope has one, or none was given */
                          MN_SEMCACHE_BELOW,        /* the best one is below min_similarity */
                          MN_SEMCACHE_REJECTED,     /* the callback agreed to none */
                          MN_SEMCACHE_DAMAGED,      /* what could have been one is damaged */
};

enum mn_semcache_query_fields {
    MN_SEMCACHE_ANY_MODEL = 1,
    MN_SEMCACHE_ANY_CONTEXT = 2,
};

/* Decides whether a stored answer serves. The handle is borrowed for the call. Called by the thread
 * that looks up, which holds no lock. */
typedef bool mn_semcache_verify_fn(void *context, const struct mn_semcache_handle *handle,
                                   float score);

/* What to look for: a key, an embedding, or both. Set `size`. */
struct mn_semcache_query {
    size_t size;
    uint32_t fields;          /* enum mn_semcache_query_fields */
    uint32_t n_dims;          /* of the embedding: those of the tenant's entries */
    const unsigned char *key; /* NULL = none */
    const float *embedding;   /* finite, with an element that is not 0 */
    struct mn_slice model;    /* the scope */
    uint64_t context;
    float min_similarity;          /* required with an embedding: above 0, to 1 */
    uint32_t n_candidates;         /* by sign codes, up to 65,536; 0 = 50 */
    uint32_t n_refined;            /* by cosine, at most n_candidates; 0 = 5 */
    mn_semcache_verify_fn *verify; /* may be NULL */
    void *verify_context;
};

/* What was found. Set `size` before the call. */
struct mn_semcache_result {
    size_t size;
    enum mn_semcache_kind kind;
    enum mn_semcache_reason reason;   /* of a miss */
    float score;                      /* cosine; 1 of an exact hit; of a miss the best one, or 0 */
    struct mn_semcache_handle handle; /* cleared by a miss; to be released */
    uint64_t n_scanned;               /* sign codes that were compared */
    uint32_t n_candidates;            /* embeddings that were compared */
    uint32_t n_similar;               /* of these, at or above min_similarity */
    uint32_t n_rejected;              /* by the callback */
    uint32_t n_damaged;               /* passed over: they cannot be read; at least 1 of a miss
                                         in a tenant where some could not be read before */
};

/*
 * Looks for an entry in scope: first the one with the key; then those whose embedding is nearest.
 * Sign codes, one bit for each dimension, choose n_candidates; the cosines of these with their
 * stored embeddings choose the n_refined best at or above min_similarity, equal ones by id; the
 * callback is asked for one after the other, best first, until it agrees; without one, the best is
 * the answer. The true nearest may be missed where more than n_candidates have more signs in common
 * with the query: codes are worth little where embeddings have most of their signs in common, so
 * centre them (subtract their mean). An exact hit is not shown to the callback.
 *
 * MN_OK: also for a miss. Damage is a miss that is counted. A hit counts for its entry.
 * MN_ERR_DIMENSION, MN_ERR_INVALID, MN_ERR_BUDGET.
 */
MN_API MN_MUST_USE mn_status mn_semcache_lookup(mn_store *store, uint64_t tenant,
                                                const struct mn_semcache_query *query,
                                                struct mn_semcache_result *result_out,
                                                struct mn_error *err);

/* Removing ------------------------------------------------------------------------------------ */

/* Removes an entry. MN_NOT_FOUND: there is none; then nothing is written. */
MN_API MN_MUST_USE mn_status mn_semcache_delete(mn_store *store, uint64_t tenant, uint64_t id,
                                                const struct mn_write_options *options,
                                                uint64_t *lsn_out, struct mn_error *err);

enum mn_semcache_filter_fields {
    MN_SEMCACHE_BY_KEY = 1,
    MN_SEMCACHE_BY_CONTEXT = 2,
    MN_SEMCACHE_BY_MODEL = 4,
    MN_SEMCACHE_BY_AGE = 8,
    MN_SEMCACHE_ALL = 16, /* alone */
};

/* Which entries: those for which all that `fields` names holds. Set `size`. */
struct mn_semcache_filter {
    size_t size;
    uint32_t fields; /* 1 or more of enum mn_semcache_filter_fields */
    const unsigned char *key;
    uint64_t context;
    struct mn_slice model;
    int64_t before_us; /* BY_AGE: event times before this */
};

/*
 * Removes the entries of a tenant that match and were there when the call began, in commits of some
 * thousands; what is stored meanwhile may stay. MN_ERR_CORRUPT: some are damaged and stay, and all
 * others went. `n_out` (may be NULL): how many went, also when it
 * fails halfway. A tenant that is not there has none.
 */
MN_API MN_MUST_USE mn_status mn_semcache_invalidate(mn_store *store, uint64_t tenant,
                                                    const struct mn_semcache_filter *filter,
                                                    const struct mn_write_options *options,
                                                    uint64_t *n_out, struct mn_error *err);

/* Removes a tenant with all its entries and its budget, as one small commit. `existed_out` (may be
 * NULL). Where there was none, nothing is written and the LSN is 0. */
MN_API MN_MUST_USE mn_status mn_semcache_drop_tenant(mn_store *store, uint64_t tenant,
                                                     const struct mn_write_options *options,
                                                     bool *existed_out, uint64_t *lsn_out,
                                                     struct mn_error *err);

/* Removes the tenants that have no entry and no budget of their own. `n_out` (may be NULL). */
MN_API MN_MUST_USE mn_status mn_semcache_cleanup(mn_store *store,
                                                 const struct mn_write_options *options,
                                                 uint64_t *n_out, struct mn_error *err);

/* Listing ------------------------------------------------------------------------------------- */

/* The ids from `from` on, ascending, `n_max` at most, which is 1 or more. To get the next ones, ask
 * from the last id plus 1, unless it is the greatest there is; fewer than n_max: there are no more.
 * MN_NOT_FOUND: no such tenant. MN_ERR_CORRUPT: some are damaged and passed over, the others are
 * listed all the same. */
MN_API MN_MUST_USE mn_status mn_semcache_list_entries(mn_store *store, uint64_t tenant,
                                                      uint64_t from, uint64_t *ids_out,
                                                      size_t n_max, size_t *n_out,
                                                      struct mn_error *err);
/* The tenants, likewise, those without entries too. */
MN_API MN_MUST_USE mn_status mn_semcache_list_tenants(mn_store *store, uint64_t from,
                                                      uint64_t *tenants_out, size_t n_max,
                                                      size_t *n_out, struct mn_error *err);

/* Budgets -------------------------------------------------------------------------------------
 *
 * The settings `cache_bytes_max` and `cache_entries_max` bound all tenants together,
 * `cache_tenant_bytes_max` and `cache_tenant_entries_max` each of those without a budget of its
 * own; 0 is no bound. Bytes are the allocated ones of struct mn_semcache_stats. No store leaves
 * the cache above a bound, and nothing is seen above one; a setting that is lowered holds from the
 * next store on. To make room, what has expired goes first, then entries of the least
 * value:
 *
 *     log2(1 + hits) + (the later of event time and last hit) / 1 day - log2(allocated bytes)
 *
 * where a hit less weighs as much as some time longer unused or as many bytes more. Handles of
 * what went stay valid.
 */

struct mn_semcache_budget {
    uint64_t bytes_max;   /* 0: none */
    uint64_t entries_max; /* 0: none */
};

/* Gives a tenant, which is made if it is not there, a budget of its own, or with NULL that of the
 * settings again; entries beyond it go before the call returns. It lasts until the tenant is
 * dropped. */
MN_API MN_MUST_USE mn_status mn_semcache_set_budget(mn_store *store, uint64_t tenant,
                                                    const struct mn_semcache_budget *budget,
                                                    const struct mn_write_options *options,
                                                    struct mn_error *err);
/* What bounds a tenant now. `is_own_out` (may be NULL): it has its own. MN_NOT_FOUND. */
MN_API MN_MUST_USE mn_status mn_semcache_get_budget(mn_store *store, uint64_t tenant,
                                                    struct mn_semcache_budget *budget_out,
                                                    bool *is_own_out, struct mn_error *err);

/* Numbers -------------------------------------------------------------------------------------
 *
 * Exact when nothing else runs. Hits, misses, evictions and errors count from the opening of the
 * store on; a tenant's from when it was made or read since. A call of load or lookup counts once.
 */
struct mn_semcache_stats {
    size_t size;              /* set before the call */
    uint64_t n_tenants;       /* of one tenant 1 */
    uint64_t n_entries;       /* not expired */
    uint64_t logical_bytes;   /* keys, model tags, embeddings and payloads of these */
    uint64_t allocated_bytes; /* their records as log and buffer hold them, and the index */
    uint64_t n_hits_id;       /* by mn_semcache_load */
    uint64_t n_hits_exact;
    uint64_t n_hits_semantic;
    uint64_t n_hits_verified;
    uint64_t n_misses;
    uint64_t n_evictions; /* to make room; what has expired is not among them */
    uint64_t n_errors;    /* entries that lookups passed over, and loads refused, as damaged */
};
MN_API MN_MUST_USE mn_status mn_semcache_get_stats(mn_store *store, struct mn_semcache_stats *stats,
                                                   struct mn_error *err);
/* MN_NOT_FOUND: no such tenant. */
MN_API MN_MUST_USE mn_status mn_semcache_tenant_stats(mn_store *store, uint64_t tenant,
                                                      struct mn_semcache_stats *stats,
                                                      struct mn_error *err);
/* The directory of the store, as it was given to mn_open. Lives as long as the store. */
MN_API const char *mn_semcache_path(const mn_store *store);

#ifdef __cplusplus
}
#endif
#endif
