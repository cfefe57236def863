/*
 * object_private.h - what the files that face object storage share.
 */
#ifndef MNI_API_OBJECT_PRIVATE_H
#define MNI_API_OBJECT_PRIVATE_H

#include <stdatomic.h>

#include "io/thread.h"
#include "object/object.h"

enum { OBJECT_LABEL_BYTES = 224 };

struct mn_object_store {
    struct mni_object_store *store; /* owned */
    struct mni_env *env;            /* borrowed; outlives the store */
    struct mni_fork_guard *guard;   /* owned */
    atomic_uint n_uploads;          /* open handles */
    char label[OBJECT_LABEL_BYTES]; /* which store, for messages */
};

/* MN_ERR_INVALID without a handle, MN_ERR_FORKED in a child. */
MN_MUST_USE mn_status api_object_check(const mn_object_store *store, struct mn_error *err);
MN_MUST_USE mn_status api_object_check_key(struct mn_slice key, struct mn_error *err);
/* `condition` may be NULL. */
MN_MUST_USE mn_status api_object_check_condition(const struct mn_object_condition *condition,
                                                 struct mn_error *err);
MN_MUST_USE mn_status api_object_check_prefix(struct mn_slice prefix, const char *what,
                                              struct mn_error *err);

/* Passes a status on. When it is not MN_OK, puts before the message, which is there, which object
 * of which store it is about. */
MN_MUST_USE mn_status api_object_name(const mn_object_store *store, struct mn_slice key,
                                      mn_status st, struct mn_error *err);

#endif
