/*
 * txns.c - transactions that stay open while other things happen.
 */
#include <inttypes.h>
#include <string.h>

#include "world.h"

void world_txn_begin(struct world *w, unsigned slot)
{
    struct world_txn *t = &w->txns[slot];
    struct mn_error err = {0};

    if (!world_is_up(w) || t->txn != NULL)
        return;
    memset(t, 0, sizeof *t);
    t->now_us = world_settle_clock(w, &w->state);
    sim_tell(w->sim, "txn %u begins", slot);
    mn_status st = mn_txn_begin(w->store, &t->txn, &err);
    if (st != MN_OK)
        sim_fail(w->sim, "beginning a transaction: %s", err.message);
    t->snapshot_lsn = w->state.lsn;
    t->snapshot = w->state;
    t->view = w->state;
}

/* A transaction remembers what it knew of a namespace when it first wrote to it. */
static void mention(const struct world *w, struct world_txn *t, unsigned space)
{
    if (t->mentions[space])
        return;
    t->mentions[space] = true;
    t->known_dims[space] = w->state.spaces[space].dimension;
    t->numbers[space] = t->snapshot.spaces[space].exists ? t->snapshot.spaces[space].number
                        : w->state.spaces[space].exists  ? w->state.spaces[space].number
                                                         : 0;
}

static mn_status expected_of_write(const struct world *w, const struct world_txn *t,
                                   const struct wish *wish)
{
    uint32_t known = t->mentions[wish->space] ? t->known_dims[wish->space]
                                              : w->state.spaces[wish->space].dimension;

    if (wish->kind == EFFECT_TOUCH)
        return model_is_live(&t->view.spaces[wish->space].records[wish->id], t->now_us)
                   ? MN_OK
                   : MN_NOT_FOUND;
    if (wish->kind == EFFECT_DELETE || wish->n_dims == 0)
        return MN_OK;
    if (known == 0)
        known = t->wanted_dims[wish->space];
    return known == 0 || known == wish->n_dims ? MN_OK : MN_ERR_DIMENSION;
}

static mn_status do_write(const struct world_txn *t, const struct wish *wish,
                          const struct model_effect *e, bool *existed, struct mn_error *err)
{
    struct mn_slice name = model_space_name(wish->space);
    struct mn_record record = world_record(wish, e);

    if (wish->kind == EFFECT_PUT)
        return mn_txn_put(t->txn, name, &record, err);
    if (wish->kind == EFFECT_DELETE)
        return mn_txn_delete(t->txn, name, model_id(wish->id), existed, err);
    record.fields &= (uint32_t)MN_HAS_TTL | MN_HAS_EXPIRES_AT;
    return mn_txn_touch(t->txn, name, model_id(wish->id), record.fields,
                        record.fields == MN_HAS_TTL ? record.ttl_us : record.expires_at_us, err);
}

/* A record that is put and deleted again leaves nothing but its namespace. */
static void forget_writes(struct world_txn *t, const struct wish *wish)
{
    for (size_t i = 0; i < t->commit.n_effects; i++) {
        struct model_effect *e = &t->commit.effects[i];
        if (e->kind == EFFECT_PUT && e->space == wish->space && e->id == wish->id)
            e->kind = EFFECT_MAKE;
    }
}

/* Of several touches only the last is committed: an expiry that was taken back never comes due. */
static void forget_touches(struct world_txn *t, const struct wish *wish)
{
    size_t n = 0;

    for (size_t i = 0; i < t->commit.n_effects; i++) {
        const struct model_effect *e = &t->commit.effects[i];
        if (e->kind != EFFECT_TOUCH || e->space != wish->space || e->id != wish->id)
            t->commit.effects[n++] = *e;
    }
    t->commit.n_effects = n;
}

void world_txn_write(struct world *w, unsigned slot, const struct wish *wish)
{
    struct world_txn *t = &w->txns[slot];
    struct mn_error err = {0};
    bool existed = false;

    if (!world_is_up(w) || t->txn == NULL || t->commit.n_effects == EFFECTS_MAX)
        return;
    sim_tell(w->sim, "txn %u: kind %d space %u id %u value %" PRIu32 " expiry %d in %" PRId64, slot,
             (int)wish->kind, wish->space, wish->id, wish->value, (int)wish->expiry, wish->when_us);
    struct model_effect e = world_effect(wish, world_now(w));
    bool is_live = model_is_live(&t->view.spaces[wish->space].records[wish->id], t->now_us);
    mn_status expected = expected_of_write(w, t, wish);
    mn_status st = do_write(t, wish, &e, &existed, &err);
    if (st != expected)
        sim_fail(w->sim, "writing in a transaction: %s, expected %s: %s", mn_status_name(st),
                 mn_status_name(expected), err.message);
    if (wish->kind == EFFECT_DELETE && existed != is_live)
        sim_fail(w->sim, "a transaction's delete says that it did%s exist", existed ? "" : " not");
    if (st != MN_OK)
        return;
    world_know_most(&e, wish, world_now(w));
    if (wish->kind == EFFECT_PUT && wish->n_dims != 0 && t->wanted_dims[wish->space] == 0)
        t->wanted_dims[wish->space] = wish->n_dims;
    mention(w, t, wish->space);
    if (wish->kind == EFFECT_DELETE)
        forget_writes(t, wish);
    if (wish->kind == EFFECT_TOUCH)
        forget_touches(t, wish);
    t->commit.effects[t->commit.n_effects++] = e;
    model_apply_effect(&t->view, &e, 0, t->now_us);
}

void world_txn_read(struct world *w, unsigned slot, unsigned space, unsigned id)
{
    struct world_txn *t = &w->txns[slot];
    struct mn_view view;
    char why[WHY_BYTES];

    if (w->store == NULL || t->txn == NULL)
        return;
    struct model_record *r = &t->view.spaces[space].records[id];
    bool is_live = model_is_live(r, t->now_us);
    mn_status st = mn_txn_get(t->txn, model_space_name(space), model_id(id), &view, NULL);
    if (st != (is_live ? MN_OK : MN_NOT_FOUND))
        sim_fail(w->sim, "transaction %u reads space %u id %u: %s", slot, space, id,
                 mn_status_name(st));
    if (is_live && !world_view_is(&view, id, r, why))
        sim_fail(w->sim, "transaction %u reads space %u: %s", slot, space, why);
    mn_view_release(&view);
}

/* Whether what is left of this effect at the end is a touch of a record that was there before. */
static bool stays_a_touch(const struct world_txn *t, size_t index)
{
    const struct model_effect *e = &t->commit.effects[index];

    if (e->kind != EFFECT_TOUCH)
        return false;
    for (size_t i = 0; i < t->commit.n_effects; i++) {
        const struct model_effect *other = &t->commit.effects[i];
        if (i != index && other->kind != EFFECT_MAKE && other->kind != EFFECT_TOUCH &&
            other->space == e->space && other->id == e->id)
            return false;
    }
    return true;
}

static enum model_answer conflicts(const struct world *w, const struct world_txn *t)
{
    enum model_answer answer = MODEL_NO;

    for (unsigned s = 0; s < N_SPACES; s++)
        if (t->mentions[s] && t->numbers[s] != 0 &&
            (!w->state.spaces[s].exists || w->state.spaces[s].number != t->numbers[s]))
            return MODEL_YES;
    for (size_t i = 0; i < t->commit.n_effects; i++) {
        const struct model_effect *e = &t->commit.effects[i];
        enum model_answer changed = MODEL_NO;
        if (e->kind != EFFECT_MAKE)
            changed =
                model_changed_after(&w->state.spaces[e->space].records[e->id], t->snapshot_lsn);
        if (changed > answer)
            answer = changed;
        if (changed == MODEL_YES)
            sim_tell(w->sim, "space %u id %u was changed by a later one", e->space, e->id);
        if (stays_a_touch(t, i) &&
            !model_is_live(&w->state.spaces[e->space].records[e->id], t->commit.now_us)) {
            sim_tell(w->sim, "space %u id %u is live no more", e->space, e->id);
            answer = MODEL_YES;
        }
    }
    return answer;
}

static bool has_wrong_dimension(const struct world *w, const struct world_txn *t)
{
    for (unsigned s = 0; s < N_SPACES; s++)
        if (t->mentions[s] && w->state.spaces[s].dimension != 0 && t->wanted_dims[s] != 0 &&
            w->state.spaces[s].dimension != t->wanted_dims[s])
            return true;
    return false;
}

void world_txn_commit(struct world *w, unsigned slot, mn_ack ack)
{
    struct mn_write_options options = {.size = sizeof options, .ack = ack};
    struct world_txn *t = &w->txns[slot];
    struct mn_error err = {0};
    uint64_t lsn = 0;

    if (!world_is_up(w) || t->txn == NULL)
        return;
    w->sim->deed = DEED_COMMIT;
    t->commit.now_us = world_settle_clock(w, &w->state);
    enum model_answer is_late = conflicts(w, t);
    bool may_not_fit = has_wrong_dimension(w, t);
    sim_tell(w->sim, "txn %u commits %zu writes%s", slot, t->commit.n_effects,
             is_late == MODEL_YES ? ", in conflict" : "");
    mn_status st = mn_txn_commit(t->txn, &options, &lsn, &err);
    t->txn = NULL;
    if (st == MN_ERR_CONFLICT && is_late == MODEL_MAYBE)
        return;
    if (is_late == MODEL_YES || may_not_fit) {
        if (!(st == MN_ERR_CONFLICT && is_late != MODEL_NO) &&
            !(st == MN_ERR_DIMENSION && may_not_fit))
            sim_fail(w->sim, "committing a transaction in conflict: %s", mn_status_name(st));
        return;
    }
    world_answered(w, &t->commit, st, lsn, ack, &err);
}

void world_txn_rollback(struct world *w, unsigned slot)
{
    if (w->txns[slot].txn == NULL)
        return;
    sim_tell(w->sim, "txn %u rolls back", slot);
    mn_txn_rollback(w->txns[slot].txn);
    w->txns[slot].txn = NULL;
}
