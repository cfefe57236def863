/*
 * semcache_private.h - what the files of the cache's public calls share.
 */
#ifndef MNI_API_SEMCACHE_PRIVATE_H
#define MNI_API_SEMCACHE_PRIVATE_H

#include "api/store_private.h"
#include "mneme/semcache.h"
#include "semcache/semcache.h"

/* The cache of a store; the first call makes it. MN_ERR_INVALID without a handle, MN_ERR_FORKED. */
MN_MUST_USE mn_status api_semcache(mn_store *store, struct mni_semcache **cache_out,
                                   struct mn_error *err);
/* The same where entries are to change. MN_ERR_READ_ONLY. */
MN_MUST_USE mn_status api_semcache_to_write(mn_store *store, struct mni_semcache **cache_out,
                                            struct mn_error *err);

/* What a message is about. */
struct api_about {
    const mn_store *store;
    uint64_t tenant;
    bool has_entry;
    uint64_t entry;
};
/* Hands the details of a failure on, with path, tenant and entry before them. Returns `status`. */
mn_status api_semcache_answer(const struct api_about *about, mn_status status,
                              const struct mn_error *details, struct mn_error *err);

/* An entry that was checked, with its embedding as halves. */
struct api_entry {
    struct mni_semcache_entry entry;
    uint16_t *halves; /* owned */
    mn_ack ack;
};
MN_MUST_USE mn_status api_check_entry(mn_store *store, const struct mn_semcache_entry *entry,
                                      const struct mn_semcache_store_options *options,
                                      struct api_entry *entry_out, struct mn_error *err);
MN_MUST_USE mn_status api_check_model(struct mn_slice model, struct mn_error *err);
/* Stores what was checked; the handle may be NULL. */
MN_MUST_USE mn_status api_store_entry(mn_store *store, uint64_t tenant,
                                      const struct api_entry *entry,
                                      struct mn_semcache_handle *handle_out, struct mn_error *err);

#endif
