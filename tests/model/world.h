/*
 * world.h - a store in a simulated world, beside the model of what it should hold.
 */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include "base/utf8.h"
#include "model.h"

enum {
    N_HELD = 12,
    N_WALKS = 3,
    N_SCANS = 2,
    N_RANGES = 2,
    N_TXNS = 3,
    N_KEPT = 6, /* fewer than max_snapshots */
    N_HANDLES = 8,
    N_STREAMS = 3,
    SECOND_US = 1000000,
    CALL_US_MAX = 2000, /* no call reads the clock more often: each reading moves it by 1 us */
};

struct held_view {
    struct mn_view view; /* pin NULL: free */
    unsigned id;
    struct content content;
    uint64_t lsn;
};

/* A walk, and what it has still to show. */
struct walk {
    mn_iter *iter; /* NULL: free */
    unsigned n_left;
    unsigned next;
    unsigned ids[N_IDS];
    struct slot slots[N_IDS];
};

/* A scan, and what it has still to give. */
struct scanning {
    mn_scan *scan; /* NULL: free */
    bool is_left[N_IDS];
    struct slot slots[N_IDS];
};

/* A range, and what it has still to show. */
struct ranging {
    mn_range *range; /* NULL: free */
    unsigned entity;
    unsigned n_left;
    unsigned next;
    unsigned times[N_TIMES];
    struct slot slots[N_TIMES];
};

enum own { OWN_NOTHING, OWN_PUT, OWN_DELETE, OWN_TOUCH };

struct own_slot {
    enum own kind;
    struct content content; /* of a put; of a touch its expiry */
};

struct own_space {
    bool is_looked_at;
    bool creates;
    uint64_t incarnation;     /* that it writes to; 0 = none yet */
    uint32_t known_dimension; /* as it was first looked at */
    uint32_t own_dimension;
    struct own_slot slots[N_IDS];
};

struct txn {
    mn_txn *txn; /* NULL: free */
    int64_t began_us;
    struct state snapshot;
    struct own_space spaces[N_NAMES];
};

/* A snapshot, and what it must show. */
struct kept {
    char id[MN_SNAPSHOT_ID_BYTES]; /* "": free */
    struct state state;
    unsigned past; /* the slots of those that are its past, and its own: a bit each */
};

/* An answer that is held. */
struct held_answer {
    struct mn_semcache_handle handle; /* pin NULL: free */
    unsigned house;
    struct answer answer; /* with the hits that the handle shows */
};

/* What a store of an answer asks for. */
struct asking {
    struct answer answer;
    bool has_id;
    bool has_ttl;
    bool has_event_time;
    int64_t ttl_us;
    int64_t asked_us; /* before the call that set the times */
    enum mn_semcache_mode mode;
    uint64_t expected_lsn;
    mn_ack ack;
};

struct streaming {
    mn_semcache_stream *stream; /* NULL: free */
    unsigned house;
    struct asking asking;
};

struct world {
    struct mni_crash_env *crash;
    mn_store *store;
    uint64_t random;
    struct mn_error err;
    int64_t now_us; /* of the engine, before the call */

    struct state now;
    struct state solid; /* survives the process */
    struct state later[N_PENDING_MAX];
    unsigned n_later;
    bool has_gap; /* opened after an unclean end: the next LSN is a later one */
    mn_sync_policy sync;
    uint64_t n_incarnations;

    struct held_view held[N_HELD];
    struct walk walks[N_WALKS];
    struct scanning scans[N_SCANS];
    struct ranging ranges[N_RANGES];
    struct txn txns[N_TXNS];
    struct kept kept[N_KEPT];
    unsigned past; /* the slots of snapshots that are the store's past */
    unsigned n_others;

    bool has_budgets;                         /* of the cache, that are ever reached */
    struct mn_semcache_budget budget_of_each; /* the settings */
    struct mn_semcache_budget budget_of_all;
    struct mn_semcache_stats counts[N_HOUSES + 1]; /* the last one: of all */
    struct held_answer answers[N_HANDLES];
    struct streaming streams[N_STREAMS];
};

static inline unsigned below(struct world *w, unsigned bound)
{
    return (unsigned)check_below(&w->random, bound);
}

static inline bool one_in(struct world *w, unsigned n)
{
    return below(w, n) == 0;
}

static inline int64_t engine_now(struct world *w)
{
    int64_t now_us = mni_engine_now_us(mni_api_store_engine(w->store));

    CHECK(now_us >= w->now_us);
    return now_us;
}

static inline bool is_close(int64_t expires_at_us, int64_t now_us)
{
    return expires_at_us > now_us && expires_at_us - CALL_US_MAX <= now_us;
}

/* Whether points of a time are about to be too old. */
static inline bool is_getting_old(const struct track *track, unsigned t, int64_t now_us)
{
    int64_t until_us;

    return track->keep_us != 0 && !__builtin_add_overflow(time_of(t), track->keep_us, &until_us) &&
           until_us < INT64_MAX && is_close(until_us + 1, now_us);
}

/* Whether something in a state is about to expire, or to be too old. */
static inline bool has_close(const struct state *state, int64_t now_us)
{
    bool is_one = false;

    for (unsigned n = 0; n < N_NAMES; n++)
        for (unsigned i = 0; i < N_IDS; i++) {
            const struct slot *s = &state->spaces[n].slots[i];
            is_one = is_one || (s->is_there && s->content.has_expiry &&
                                is_close(s->content.expires_at_us, now_us));
        }
    for (unsigned i = 0; i < N_HOUSES * N_ANSWERS; i++) {
        const struct answer *a = &state->houses[i / N_ANSWERS].answers[i % N_ANSWERS];
        is_one = is_one || (a->is_there && a->has_expiry && is_close(a->expires_at_us, now_us));
    }
    for (unsigned n = 0; n < N_TRACKS; n++)
        for (unsigned t = 0; t < N_TIMES; t++)
            is_one = is_one || is_getting_old(&state->tracks[n], t, now_us);
    for (unsigned n = 0; n < N_TRACKS; n++)
        for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++) {
            const struct slot *s = &state->tracks[n].points[i / N_TIMES][i % N_TIMES];
            const struct past *past = &state->tracks[n].pasts[i / N_TIMES][i % N_TIMES];
            is_one = is_one || (s->is_there && s->content.has_expiry &&
                                is_close(s->content.expires_at_us, now_us));
            for (unsigned j = 0; j < past->n; j++)
                is_one = is_one || (past->versions[j].content.has_expiry &&
                                    is_close(past->versions[j].content.expires_at_us, now_us));
        }
    return is_one;
}

/* Reads the clock, at a moment when nothing is about to expire, and no second to end. */
static inline void settle(struct world *w)
{
    for (bool again = true; again;) {
        w->now_us = engine_now(w);
        again = has_close(&w->now, w->now_us) || w->now_us % SECOND_US >= SECOND_US - CALL_US_MAX;
        if (again)
            mni_crash_env_advance_us(w->crash, 2 * CALL_US_MAX);
    }
}

/* Before and after each call: details come with failures, and only with them. */
static inline struct mn_error *call(struct world *w)
{
    w->err = (struct mn_error){.os_errno = 4711};
    return &w->err;
}

static inline mn_status answered(struct world *w, mn_status st)
{
    size_t n = strnlen(w->err.message, sizeof w->err.message);

    if (st == MN_OK) {
        CHECK_EQ(w->err.os_errno, 4711);
        return st;
    }
    if (st == MN_END)
        return st;
    CHECK_EQ(w->err.status, st);
    CHECK(n > 0 && n < sizeof w->err.message);
    CHECK_EQ(mni_utf8_valid_prefix(w->err.message, n), n);
    for (size_t i = 0; i < n; i++)
        CHECK((unsigned char)w->err.message[i] >= 0x20 && w->err.message[i] != 0x7f);
    return st;
}

#define CALLED(w, expression) answered((w), (expression))

/* The model's state is one commit further; `ack` is what the call asked for. */
static inline void committed(struct world *w, uint64_t lsn, mn_ack ack)
{
    if (w->has_gap)
        CHECK(lsn > w->now.lsn);
    else
        CHECK_EQ(lsn, w->now.lsn + 1);
    w->has_gap = false;
    w->now.lsn = lsn;
    if (ack == MN_ACK_NONE && w->n_later < N_PENDING_MAX) {
        w->later[w->n_later++] = w->now;
        return;
    }
    if (ack == MN_ACK_NONE)
        CHECK_OK(mn_flush(w->store, NULL));
    w->solid = w->now;
    w->n_later = 0;
}

/* LSN of the commit that a call without an LSN among its answers has made. */
static inline uint64_t newest_lsn(struct world *w)
{
    struct mn_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_stats(w->store, &stats, NULL));
    return stats.current_lsn;
}

static inline uint64_t count_visible(const struct world *w, unsigned n)
{
    uint64_t n_records = 0;

    for (unsigned i = 0; i < N_IDS; i++)
        n_records += is_visible(&w->now.spaces[n].slots[i], w->now_us);
    return n_records;
}

static inline void make_space(struct world *w, unsigned n)
{
    struct space *s = &w->now.spaces[n];

    if (s->exists)
        return;
    *s = (struct space){.exists = true, .incarnation = ++w->n_incarnations};
    s->created_lsn = UINT64_MAX; /* until the commit has an LSN */
}

static inline void finish_space(struct world *w, unsigned n, uint64_t lsn)
{
    if (w->now.spaces[n].created_lsn == UINT64_MAX)
        w->now.spaces[n].created_lsn = lsn;
}

static inline void store_in(struct space *s, unsigned id, const struct content *c, uint64_t lsn)
{
    s->slots[id] = (struct slot){.is_there = true, .content = *c, .lsn = lsn, .change_lsn = lsn};
    if (s->dimension == 0)
        s->dimension = c->n_dims;
}

/* txn_ops.h, walk_ops.h, scan_ops.h, snapshot_ops.h, temporal_ops.h, past_ops.h, model_test.c,
 * answers.h and cache_ops.h have the operations. */

#endif
