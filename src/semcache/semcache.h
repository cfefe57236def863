/*
 * semcache.h - a cache of answers over an engine: storing, loading, looking up by meaning, removing
 * and making room.
 *
 * Arguments were validated by the caller: sizes and limits, UTF-8, finite embeddings. Public types
 * are those of mneme/semcache.h. Messages say neither path, tenant nor entry: the caller does.
 *
 * Threads: any, but for opening and closing.
 */
#ifndef MNI_SEMCACHE_SEMCACHE_H
#define MNI_SEMCACHE_SEMCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/engine.h"
#include "mneme/semcache.h"

struct mni_semcache;

/* An embedding as it is stored. False: an element is too large, and so many before it fit. */
bool mni_semcache_round(const float *embedding, uint32_t n_dims, uint16_t *halves_out,
                        size_t *n_fit_out);
/* As mn_semcache_key. */
MN_MUST_USE mn_status mni_semcache_key(uint64_t tenant, struct mn_slice model,
                                       struct mn_slice request,
                                       unsigned char key_out[MN_SEMCACHE_KEY_BYTES],
                                       struct mn_error *err);

/* Reads all entries. One of an engine. The engine's checkpoints write hits from then on. */
MN_MUST_USE mn_status mni_semcache_open(struct mni_engine *engine, struct mni_semcache **cache_out,
                                        struct mn_error *err);
/* NULL is fine. After the engine was closed, or abandoned. */
void mni_semcache_close(struct mni_semcache *cache);

/* An entry to store. Pointers are borrowed for the call. */
struct mni_semcache_entry {
    bool has_id;
    bool has_expiry;
    uint64_t id;
    uint64_t context;
    const unsigned char *key; /* may be NULL */
    struct mn_slice model;
    const uint16_t *embedding;
    uint32_t n_dims;
    struct mn_slice payload;
    int64_t event_time_us;
    int64_t expires_at_us;
    enum mn_semcache_mode mode;
    uint64_t expected_lsn;
};
/* As mn_semcache_store. `id_out` (may be NULL) is set once it is known. */
MN_MUST_USE mn_status mni_semcache_store(struct mni_semcache *cache, uint64_t tenant,
                                         const struct mni_semcache_entry *entry, mn_ack ack,
                                         struct mn_semcache_handle *handle_out, uint64_t *id_out,
                                         struct mn_error *err);

enum mni_semcache_count { MNI_SEMCACHE_PEEK, MNI_SEMCACHE_COUNT };
/* These clear the handle when they fail. */
MN_MUST_USE mn_status mni_semcache_load(struct mni_semcache *cache, uint64_t tenant, uint64_t id,
                                        enum mni_semcache_count count,
                                        struct mn_semcache_handle *handle_out,
                                        struct mn_error *err);
MN_MUST_USE mn_status mni_semcache_load_exact(struct mni_semcache *cache, uint64_t tenant,
                                              const unsigned char *key,
                                              struct mn_semcache_handle *handle_out,
                                              struct mn_error *err);
MN_MUST_USE mn_status mni_semcache_exists(struct mni_semcache *cache, uint64_t tenant, uint64_t id,
                                          bool *exists_out, struct mn_error *err);
/* All fields of the query are set, those that may be 0 for a default too. */
MN_MUST_USE mn_status mni_semcache_lookup(struct mni_semcache *cache, uint64_t tenant,
                                          const struct mn_semcache_query *query,
                                          struct mn_semcache_result *result_out,
                                          struct mn_error *err);

MN_MUST_USE mn_status mni_semcache_delete(struct mni_semcache *cache, uint64_t tenant, uint64_t id,
                                          mn_ack ack, uint64_t *lsn_out, struct mn_error *err);
MN_MUST_USE mn_status mni_semcache_invalidate(struct mni_semcache *cache, uint64_t tenant,
                                              const struct mn_semcache_filter *filter, mn_ack ack,
                                              uint64_t *n_out, struct mn_error *err);
MN_MUST_USE mn_status mni_semcache_drop_tenant(struct mni_semcache *cache, uint64_t tenant,
                                               mn_ack ack, bool *existed_out, uint64_t *lsn_out,
                                               struct mn_error *err);
MN_MUST_USE mn_status mni_semcache_cleanup(struct mni_semcache *cache, mn_ack ack, uint64_t *n_out,
                                           struct mn_error *err);

MN_MUST_USE mn_status mni_semcache_list_entries(struct mni_semcache *cache, uint64_t tenant,
                                                uint64_t from, uint64_t *ids_out, size_t n_max,
                                                size_t *n_out, struct mn_error *err);

MN_MUST_USE mn_status mni_semcache_set_budget(struct mni_semcache *cache, uint64_t tenant,
                                              const struct mn_semcache_budget *budget, mn_ack ack,
                                              struct mn_error *err);
MN_MUST_USE mn_status mni_semcache_get_budget(struct mni_semcache *cache, uint64_t tenant,
                                              struct mn_semcache_budget *budget_out,
                                              bool *is_own_out, struct mn_error *err);
/* `tenant` NULL: of all. */
MN_MUST_USE mn_status mni_semcache_get_stats(struct mni_semcache *cache, const uint64_t *tenant,
                                             struct mn_semcache_stats *stats_out,
                                             struct mn_error *err);

#endif
