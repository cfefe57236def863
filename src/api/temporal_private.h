/*
 * temporal_private.h - what writing and reading points share.
 */
#ifndef MNI_API_TEMPORAL_PRIVATE_H
#define MNI_API_TEMPORAL_PRIVATE_H

#include "api/store_private.h"
#include "mneme/temporal.h"

/* MN_NOT_FOUND, naming the space. */
MN_MUST_USE mn_status api_no_space(uint32_t space, struct mn_error *err);

/* Times of an entity, both ends included. */
struct api_span {
    uint64_t entity;
    int64_t from_us;
    int64_t to_us;
};
MN_MUST_USE mn_status api_check_span(const struct api_span *span, struct mn_error *err);

/* A walk over them, forward or back, at the newest moment. MN_NOT_FOUND: no such space. `counts`:
 * what it finds is for the user. */
struct mni_walk;
MN_MUST_USE mn_status api_walk_span(mn_store *store, uint32_t space, const struct api_span *span,
                                    bool reverse, bool counts, struct mni_walk **walk_out,
                                    struct mn_error *err);
/* The same walk again, over others. */
MN_MUST_USE mn_status api_walk_span_again(struct mni_walk *walk, const struct api_span *span,
                                          bool reverse, struct mn_error *err);

/* Whose point a record of a space is, and when. MN_ERR_CORRUPT: its key is none. */
MN_MUST_USE mn_status api_point_key(const struct mni_record *record, uint64_t *entity_out,
                                    int64_t *time_us_out, struct mn_error *err);

/* Shows what was found. The view takes the pin over, or it is released. */
MN_MUST_USE mn_status api_set_point(struct mn_point_view *view, const struct mni_found *found,
                                    struct mn_error *err);

#endif
