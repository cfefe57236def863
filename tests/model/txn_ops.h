/*
 * txn_ops.h - transactions of the store beside those of the model: snapshots and overlays.
 */
#ifndef TESTS_MODEL_TXN_OPS_H
#define TESTS_MODEL_TXN_OPS_H

#include "world.h"

static inline struct content random_content(struct world *w, unsigned name)
{
    struct content c = {.seed = check_random(&w->random)};

    if (one_in(w, 2))
        c.n_dims = one_in(w, 20) ? 1 + below(w, DIMS_MAX) : 3 + name;
    if (one_in(w, 3)) {
        c.has_expiry = true;
        switch (below(w, 6)) {
        case 0:
            c.expires_at_us = 0;
            break;
        case 1:
            c.expires_at_us = one_in(w, 2) ? INT64_MIN : INT64_MAX;
            break;
        default:
            c.expires_at_us = w->now_us + (1 + (int64_t)below(w, 6)) * SECOND_US;
        }
    }
    if (one_in(w, 3)) {
        c.has_event_time = true;
        c.event_time_us = one_in(w, 4) ? INT64_MIN : (int64_t)check_random(&w->random);
    }
    return c;
}

static inline struct txn *txn_of(struct world *w, unsigned i)
{
    struct txn *t = &w->txns[i];

    if (t->txn != NULL)
        return t;
    *t = (struct txn){.snapshot = w->now, .began_us = w->now_us};
    CHECK_OK(CALLED(w, mn_txn_begin(w->store, &t->txn, call(w))));
    return t;
}

static inline bool txn_sees_below(const struct txn *t, unsigned name, unsigned id)
{
    return t->snapshot.spaces[name].exists &&
           is_visible(&t->snapshot.spaces[name].slots[id], t->began_us);
}

/* What the transaction should read. */
static inline bool txn_sees(const struct txn *t, unsigned name, unsigned id, struct content *c,
                            uint64_t *lsn)
{
    const struct own_slot *own = &t->spaces[name].slots[id];
    const struct slot *s = &t->snapshot.spaces[name].slots[id];

    *c = s->content;
    *lsn = s->lsn;
    if (own->kind == OWN_NOTHING)
        return txn_sees_below(t, name, id);
    if (own->kind == OWN_DELETE ||
        (own->content.has_expiry && own->content.expires_at_us <= t->began_us))
        return false;
    if (own->kind == OWN_TOUCH) {
        c->has_expiry = own->content.has_expiry;
        c->expires_at_us = own->content.expires_at_us;
        return txn_sees_below(t, name, id);
    }
    *c = own->content;
    *lsn = 0;
    return true;
}

static inline void txn_read(struct world *w, struct txn *t, unsigned name, unsigned id)
{
    struct mn_view view = {.n_dims = 77};
    struct content c;
    uint64_t lsn;
    bool exists = one_in(w, 2);
    bool sees = txn_sees(t, name, id, &c, &lsn);

    mn_status st = CALLED(w, mn_txn_get(t->txn, name_of(name), id_of(id), &view, call(w)));
    CHECK_STATUS(st, sees ? MN_OK : MN_NOT_FOUND);
    if (sees)
        check_view(&view, id_of(id), &c, lsn);
    else
        check_cleared(&view);
    mn_view_release(&view);
    CHECK_OK(CALLED(w, mn_txn_exists(t->txn, name_of(name), id_of(id), &exists, call(w))));
    CHECK_EQ(exists, sees);
}

static inline struct own_space *look_at(struct world *w, struct txn *t, unsigned name)
{
    struct own_space *own = &t->spaces[name];
    const struct space *seen = &t->snapshot.spaces[name];
    const struct space *latest = &w->now.spaces[name];

    if (own->is_looked_at)
        return own;
    own->is_looked_at = true;
    own->known_dimension = latest->exists ? latest->dimension : 0;
    own->incarnation = seen->exists ? seen->incarnation : latest->exists ? latest->incarnation : 0;
    return own;
}

static inline void txn_put(struct world *w, struct txn *t, unsigned name, unsigned id)
{
    struct content c = random_content(w, name);
    struct own_space before = t->spaces[name];
    struct own_space *own = look_at(w, t, name);
    struct made m;
    uint32_t dimension = own->known_dimension != 0 ? own->known_dimension : own->own_dimension;
    bool fits = c.n_dims == 0 || dimension == 0 || c.n_dims == dimension;
    bool has_ttl = one_in(w, 6);

    make_content(&c, id_of(id), &m);
    if (has_ttl) {
        m.record.fields = (m.record.fields & ~(uint32_t)MN_HAS_EXPIRES_AT) | MN_HAS_TTL;
        m.record.ttl_us = (1 + (int64_t)below(w, 5)) * SECOND_US;
    }
    mn_status st = CALLED(w, mn_txn_put(t->txn, name_of(name), &m.record, call(w)));
    CHECK_STATUS(st, fits ? MN_OK : MN_ERR_DIMENSION);
    if (!fits) {
        *own = before;
        return;
    }
    if (has_ttl) {
        struct mn_view view;
        c.has_expiry = true;
        CHECK_OK(mn_txn_get(t->txn, name_of(name), id_of(id), &view, NULL));
        c.expires_at_us = view.expires_at_us;
        CHECK(c.expires_at_us >= w->now_us + m.record.ttl_us &&
              c.expires_at_us <= w->now_us + m.record.ttl_us + CALL_US_MAX);
        mn_view_release(&view);
    }
    own->creates = true;
    own->slots[id] = (struct own_slot){.kind = OWN_PUT, .content = c};
    if (own->own_dimension == 0)
        own->own_dimension = c.n_dims;
}

static inline void txn_delete(struct world *w, struct txn *t, unsigned name, unsigned id)
{
    struct content c;
    uint64_t lsn;
    bool existed = one_in(w, 2);
    bool sees = txn_sees(t, name, id, &c, &lsn);
    struct own_space *own = look_at(w, t, name);

    CHECK_OK(CALLED(w, mn_txn_delete(t->txn, name_of(name), id_of(id), &existed, call(w))));
    CHECK_EQ(existed, sees);
    own->slots[id] = (struct own_slot){.kind = OWN_DELETE};
}

static inline void txn_touch(struct world *w, struct txn *t, unsigned name, unsigned id)
{
    struct content c;
    uint64_t lsn;
    bool sees = txn_sees(t, name, id, &c, &lsn);
    bool has_expiry = one_in(w, 2);
    int64_t when_us = w->now_us + ((int64_t)below(w, 8) - 2) * SECOND_US;

    mn_status st = CALLED(w, mn_txn_touch(t->txn, name_of(name), id_of(id),
                                          has_expiry ? MN_HAS_EXPIRES_AT : 0, when_us, call(w)));
    CHECK_STATUS(st, sees ? MN_OK : MN_NOT_FOUND);
    if (!sees)
        return;
    struct own_slot *own = &look_at(w, t, name)->slots[id];
    if (own->kind != OWN_PUT)
        own->kind = OWN_TOUCH;
    own->content.has_expiry = has_expiry;
    own->content.expires_at_us = has_expiry ? when_us : 0;
}

struct verdict {
    bool is_conflict;
    bool is_dimension;
    bool does_anything;
};

static inline struct verdict judge_txn(const struct world *w, const struct txn *t)
{
    struct verdict v = {0};

    for (unsigned n = 0; n < N_NAMES; n++) {
        const struct own_space *own = &t->spaces[n];
        const struct space *now = &w->now.spaces[n];
        bool writes = own->creates;
        for (unsigned i = 0; i < N_IDS; i++) {
            if (own->slots[i].kind == OWN_NOTHING)
                continue;
            writes = true;
            v.is_conflict |= now->exists && now->slots[i].change_lsn > t->snapshot.lsn;
            v.is_conflict |= own->slots[i].kind == OWN_TOUCH && now->exists &&
                             !is_visible(&now->slots[i], w->now_us);
        }
        if (!writes)
            continue;
        v.is_conflict |= own->incarnation != 0 &&
                         (!now->exists || now->incarnation != own->incarnation);
        v.is_dimension |= now->exists && now->dimension != 0 && own->own_dimension != 0 &&
                          now->dimension != own->own_dimension;
        v.does_anything |= now->exists || own->creates;
    }
    return v;
}

static inline void apply_txn(struct world *w, const struct txn *t, uint64_t lsn)
{
    for (unsigned n = 0; n < N_NAMES; n++) {
        const struct own_space *own = &t->spaces[n];
        struct space *s = &w->now.spaces[n];
        if (own->creates)
            make_space(w, n);
        for (unsigned i = 0; i < N_IDS && s->exists; i++) {
            const struct own_slot *mine = &own->slots[i];
            struct slot *slot = &s->slots[i];
            if (mine->kind == OWN_PUT)
                store_in(s, i, &mine->content, lsn);
            else if (mine->kind == OWN_DELETE && slot->is_there)
                *slot = (struct slot){.change_lsn = lsn};
            else if (mine->kind == OWN_TOUCH && is_visible(slot, w->now_us)) {
                slot->content.has_expiry = mine->content.has_expiry;
                slot->content.expires_at_us = mine->content.expires_at_us;
                slot->change_lsn = lsn;
            }
        }
        if (s->exists && s->dimension == 0)
            s->dimension = own->own_dimension;
        finish_space(w, n, lsn);
    }
}

static inline void txn_end(struct world *w, struct txn *t)
{
    struct mn_write_options options = {.size = sizeof options, .ack = (mn_ack)below(w, 4)};
    struct verdict v = judge_txn(w, t);
    uint64_t lsn = 99;

    if (one_in(w, 4)) {
        mn_txn_rollback(t->txn);
        t->txn = NULL;
        return;
    }
    mn_status st = CALLED(w, mn_txn_commit(t->txn, &options, &lsn, call(w)));
    t->txn = NULL;
    if (v.is_conflict && v.is_dimension)
        CHECK(st == MN_ERR_CONFLICT || st == MN_ERR_DIMENSION);
    else
        CHECK_STATUS(st, v.is_conflict    ? MN_ERR_CONFLICT
                         : v.is_dimension ? MN_ERR_DIMENSION
                                          : MN_OK);
    if (st != MN_OK)
        return;
    if (!v.does_anything) {
        CHECK_EQ(lsn, 0);
        return;
    }
    apply_txn(w, t, lsn);
    committed(w, lsn, options.ack);
}

static inline void txn_step(struct world *w)
{
    struct txn *t = txn_of(w, below(w, N_TXNS));
    unsigned name = below(w, N_NAMES);
    unsigned id = below(w, N_IDS);

    switch (below(w, 8)) {
    case 0:
    case 1:
    case 2:
        txn_put(w, t, name, id);
        break;
    case 3:
        txn_delete(w, t, name, id);
        break;
    case 4:
        txn_touch(w, t, name, id);
        break;
    case 5:
        txn_end(w, t);
        return;
    default:
        break;
    }
    txn_read(w, t, name, id);
}

#endif
