/*
 * store_private.h - what the files that face a store share: checks of arguments, and views.
 */
#ifndef MNI_API_STORE_PRIVATE_H
#define MNI_API_STORE_PRIVATE_H

#include "api/options.h"
#include "engine/engine.h"
#include "io/thread.h"
#include "mneme/records.h"
#include "mneme/store.h"
#include "mneme/txn.h"

struct mn_store {
    struct mni_engine *engine;             /* owned */
    struct mni_semcache *_Atomic semcache; /* owned; NULL until it is asked for */
    struct mni_mutex semcache_lock;        /* of who makes it */
    atomic_uint_fast64_t n_streams;        /* of answers, that have not ended */
};

/* validate.c: MN_ERR_INVALID or MN_ERR_LIMIT, with what and where ---------- */

/* MN_ERR_INVALID without a handle, MN_ERR_FORKED in a child. */
MN_MUST_USE mn_status api_check_store(const mn_store *store, struct mn_error *err);
MN_MUST_USE mn_status api_check_name(struct mn_slice name, struct mn_error *err);
MN_MUST_USE mn_status api_check_id(struct mn_slice id, struct mn_error *err);
MN_MUST_USE mn_status api_check_space_name(struct mn_slice name, struct mn_error *err);
MN_MUST_USE mn_status api_check_record(const struct mn_record *record, struct mn_error *err);
/* The same without its id. */
MN_MUST_USE mn_status api_check_content(const struct mn_record *record, struct mn_error *err);
MN_MUST_USE mn_status api_check_expiry(uint32_t fields, int64_t when_us, struct mn_error *err);
MN_MUST_USE mn_status api_ack(const struct mn_write_options *options, mn_ack *ack_out,
                              struct mn_error *err);

/* The moment that a time to live of `ttl_us` from `now_us` ends; the last one there is at most. */
int64_t api_expiry_of_ttl(int64_t now_us, int64_t ttl_us);
/* The record as the engine takes it; pointers are borrowed from `record`. */
struct mni_record api_engine_record(const struct mn_record *record, int64_t now_us);
/* The patch that a touch is; `when_us` as in mn_touch. */
struct mni_record api_touch_record(struct mn_slice id, uint32_t fields, int64_t when_us,
                                   int64_t now_us);

/* MN_NOT_FOUND, naming the namespace. */
MN_MUST_USE mn_status api_no_namespace(struct mn_slice name, struct mn_error *err);

/* For calls that meet failures on their way and answer MN_OK in the end: hands the details on only
 * when `status` is none. Returns `status`. */
static inline mn_status api_answer(mn_status status, const struct mn_error *details,
                                   struct mn_error *err)
{
    if (status != MN_OK && err != NULL)
        *err = *details;
    return status;
}

/* view.c ---------- */

/* Shows what was found; the view takes the pin over. */
void api_view_set(struct mn_view *view, const struct mni_found *found);
void api_view_clear(struct mn_view *view);

#endif
