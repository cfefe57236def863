/*
 * groups.c - several commits that the log works off together.
 */
#include <inttypes.h>
#include <string.h>

#include "world.h"

enum { MEMBERS_MAX = 6 };

struct member {
    const struct wish_member *wish;
    struct mni_txn *txn;     /* owned, or NULL; it owns the batch */
    struct mni_batch *batch; /* owned; NULL = a flush */
    struct mni_commit flush;
    bool is_submitted;
    bool is_nothing;    /* when it was submitted */
    bool wants_missing; /* a namespace whose drop may be forgotten meanwhile */
    struct model_commit commit;
    size_t n_kept; /* of its wishes: one for each key */
    struct wish kept[4];
    struct mn_error err;
    mn_status st;
    uint64_t lsn;
};

static struct mni_record engine_record(const struct wish *wish, const struct model_effect *e)
{
    struct model_content content;
    struct mni_record r = {
        .type = wish->kind == EFFECT_PUT      ? MNI_RECORD_UPSERT
                : wish->kind == EFFECT_DELETE ? MNI_RECORD_DELETE
                                              : MNI_RECORD_PATCH,
        .key = model_id(wish->id),
        .fields = e->expiry.is_set ? MNI_FIELD_EXPIRY : 0U,
        .expires_at_us = e->expiry.least_us,
    };

    if (wish->kind == EFFECT_TOUCH && !e->expiry.is_set)
        r.clears = MNI_FIELD_EXPIRY;
    if (wish->kind != EFFECT_PUT)
        return r;
    model_content(wish->value, &content);
    r.metadata = content.metadata;
    r.payload = content.payload;
    r.vector = content.vector;
    r.n_dims = wish->n_dims;
    r.element_type = wish->n_dims > 0 ? MNI_ELEMENT_F32 : MNI_ELEMENT_NONE;
    r.fields |= content.has_event_time ? MNI_FIELD_EVENT_TIME : 0U;
    r.event_time_us = content.event_time_us;
    return r;
}

/* A batch has one operation for each key, and an update needs its namespace. */
static void keep_wishes(const struct world *w, struct member *m)
{
    for (size_t i = 0; i < m->wish->n_wishes; i++) {
        const struct wish *wish = &m->wish->wishes[i];
        bool is_twice = false;
        for (size_t j = 0; j < m->n_kept; j++)
            is_twice = is_twice || (m->kept[j].space == wish->space && m->kept[j].id == wish->id);
        if (is_twice || ((wish->condition == MNI_IF_LSN || wish->condition == MNI_IF_LIVE) &&
                         !w->state.spaces[wish->space].exists))
            continue;
        m->kept[m->n_kept++] = *wish;
    }
}

static mn_status add_wish(struct world *w, struct member *m, const struct wish *wish)
{
    const struct model_record *r = &w->state.spaces[wish->space].records[wish->id];
    struct model_effect *e = &m->commit.effects[m->commit.n_effects++];
    size_t index;

    m->wants_missing = m->wants_missing || !w->state.spaces[wish->space].exists;
    sim_tell(w->sim, "  kind %d space %u id %u condition %d expiry %d in %" PRId64, (int)wish->kind,
             wish->space, wish->id, (int)wish->condition, (int)wish->expiry, wish->when_us);
    *e = world_effect(wish, m->commit.now_us);
    struct mni_record record = engine_record(wish, e);
    mn_status st = mni_batch_collection(m->batch, MNI_KIND_NAMESPACE, model_space_name(wish->space),
                                        wish->kind == EFFECT_PUT, &index, &m->err);
    if (st == MN_OK)
        st = mni_batch_add(m->batch, index, &record, wish->condition,
                           r->lsn + wish->wants_wrong_lsn, NULL, &m->err);
    return st;
}

static bool fits_dimensions(const struct world *w, const struct member *m)
{
    struct model_state state = w->state;

    for (size_t i = 0; i < m->commit.n_effects; i++) {
        const struct model_effect *e = &m->commit.effects[i];
        const uint32_t have = state.spaces[e->space].dimension;
        if (e->kind == EFFECT_PUT && e->n_dims != 0 && have != 0 && have != e->n_dims)
            return false;
        model_apply_effect(&state, e, 1, m->commit.now_us);
    }
    return true;
}

static void submit(struct world *w, struct member *m)
{
    if (m->wish->is_flush) {
        m->st = mni_commit_init(&m->flush, NULL, 0, 0, MN_ACK_DISK, NULL, &m->err);
        mni_wal_submit(w->wal, &m->flush);
        return;
    }
    if (m->wish->is_txn) {
        m->st = mni_txn_begin(w->engine, &m->txn, &m->err);
        m->batch = m->st == MN_OK ? mni_txn_batch(m->txn) : NULL;
    } else {
        m->st = mni_batch_new(w->engine, NULL, &m->batch);
    }
    for (size_t i = 0; i < m->n_kept && m->st == MN_OK; i++)
        m->st = add_wish(w, m, &m->kept[i]);
    if (m->st == MN_OK)
        m->st = mni_batch_submit(m->batch, m->wish->ack, &m->err);
    mn_status expected = fits_dimensions(w, m) ? MN_OK : MN_ERR_DIMENSION;
    if (m->st != expected)
        sim_fail(w->sim, "submitting: %s, expected %s: %s", mn_status_name(m->st),
                 mn_status_name(expected), m->err.message);
    m->is_submitted = m->st == MN_OK;
    m->is_nothing = !model_changes_anything(&w->state, &m->commit);
}

/* What the model says to a member whose turn it is. */
static mn_status judge(struct world *w, const struct member *m)
{
    for (size_t i = 0; i < m->n_kept; i++) {
        const struct wish *wish = &m->kept[i];
        const struct model_record *r = &w->state.spaces[wish->space].records[wish->id];
        bool is_live = model_is_live(r, m->commit.now_us);
        if (m->txn != NULL) {
            enum model_answer is_late = model_changed_after(r, w->base_of_group.lsn);
            if (is_late == MODEL_YES || (is_late == MODEL_MAYBE && m->st == MN_ERR_CONFLICT))
                return MN_ERR_CONFLICT;
        }
        if (wish->condition == MNI_IF_ABSENT && is_live)
            return MN_EXISTS;
        if (wish->condition == MNI_IF_LIVE && !is_live)
            return MN_NOT_FOUND;
        if (wish->condition == MNI_IF_LSN &&
            (!is_live || r->lsn != w->base_of_group.spaces[wish->space].records[wish->id].lsn +
                                       wish->wants_wrong_lsn))
            return MN_CHANGED;
    }
    return MN_OK;
}

static void finish_member(struct world *w, struct member *m, bool *catalogue_changed)
{
    if (m->wish->is_flush) {
        m->st = m->flush.status;
        if (m->st == MN_OK)
            world_is_durable(w);
        else
            world_failed(w, NULL, m->st, &m->err);
        return;
    }
    if (!m->is_submitted)
        return;
    m->st = mni_batch_finish(m->batch, &m->lsn);
    if (m->st == MN_ERR_BUSY) {
        if (!*catalogue_changed && !m->wants_missing)
            sim_fail(w->sim, "a member has to look again, and nothing changed the catalogue");
        return;
    }
    if (m->is_nothing) {
        if (m->st != MN_OK || m->lsn != 0)
            sim_fail(w->sim, "LSN %" PRIu64 " for a member that changes nothing", m->lsn);
        return;
    }
    mn_status expected = judge(w, m);
    if (m->st == MN_ERR_CONFLICT && expected == m->st)
        return;
    if (m->st < 0) {
        world_failed(w, &m->commit, m->st, &m->err);
    } else if (m->st != expected) {
        sim_fail(w->sim, "a member of a group: %s, expected %s", mn_status_name(m->st),
                 mn_status_name(expected));
    } else if (m->st == MN_OK) {
        w->n_doubtful = 0; /* LSNs go by the order of the queue: what failed before has none */
        bool changes = model_changes_catalogue(&w->state, &m->commit);
        world_answered(w, &m->commit, m->st, m->lsn, m->wish->ack, &m->err);
        *catalogue_changed = *catalogue_changed || changes;
    }
}

void world_group(struct world *w, const struct wish_member *members, size_t n)
{
    struct member work[MEMBERS_MAX];
    bool catalogue_changed = false;

    if (!world_is_up(w) || n > MEMBERS_MAX)
        return;
    w->sim->deed = DEED_GROUP;
    int64_t now_us = world_settle_clock(w, &w->state);
    w->base_of_group = w->state;
    memset(work, 0, sizeof work);
    for (size_t i = 0; i < n; i++) {
        struct member *m = &work[i];
        m->wish = &members[i];
        m->commit.now_us = now_us;
        keep_wishes(w, m);
        sim_tell(w->sim, "group member %zu: %s%zu records, ack %d", i,
                 m->wish->is_flush ? "flush, "
                 : m->wish->is_txn ? "txn, "
                                   : "",
                 m->n_kept, (int)m->wish->ack);
        submit(w, m);
    }
    mni_wal_lead_all(w->wal);
    for (size_t i = 0; i < n; i++)
        finish_member(w, &work[i], &catalogue_changed);
    for (size_t i = 0; i < n; i++) {
        if (work[i].txn == NULL)
            mni_batch_free(work[i].batch);
        mni_txn_rollback(work[i].txn);
    }
}
