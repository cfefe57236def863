/*
 * view.c - what a reader sees of a record, without copying it.
 *
 * Owns:    nothing; a view owns its pin.
 * Threads: one per view; releasing from any.
 * Fails:   never.
 */
#include "api/store_private.h"

void api_view_clear(struct mn_view *view)
{
    *view = (struct mn_view){0};
}

void api_view_set(struct mn_view *view, struct mni_version *version)
{
    struct mni_record r;

    mni_record_view(mni_version_bytes(version), &r);
    view->id = r.key;
    view->vector = r.vector;
    view->n_dims = r.n_dims;
    view->fields = (r.fields & MNI_FIELD_EVENT_TIME) != 0 ? MN_HAS_EVENT_TIME : 0;
    view->metadata = r.metadata;
    view->payload = r.payload;
    view->event_time_us = r.event_time_us;
    view->lsn = mni_version_record_lsn(version);
    view->pin = version;
    if (mni_version_expiry(version, &view->expires_at_us))
        view->fields |= MN_HAS_EXPIRES_AT;
    else
        view->expires_at_us = 0;
}

void mn_view_release(struct mn_view *view)
{
    if (view == NULL)
        return;
    if (view->pin != NULL)
        mni_version_unpin(view->pin);
    api_view_clear(view);
}
