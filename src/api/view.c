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

void api_view_set(struct mn_view *view, const struct mni_found *found)
{
    const struct mni_record *r = &found->record;

    view->id = r->key;
    view->vector = r->vector;
    view->n_dims = r->n_dims;
    view->fields = (r->fields & MNI_FIELD_EVENT_TIME) != 0 ? MN_HAS_EVENT_TIME : 0;
    view->metadata = r->metadata;
    view->payload = r->payload;
    view->event_time_us = r->event_time_us;
    view->lsn = found->record_lsn;
    view->pin = found->pin;
    view->expires_at_us = r->expires_at_us;
    if ((r->fields & MNI_FIELD_EXPIRY) != 0)
        view->fields |= MN_HAS_EXPIRES_AT;
}

void mn_view_release(struct mn_view *view)
{
    if (view == NULL)
        return;
    mni_pin_release(view->pin);
    api_view_clear(view);
}
