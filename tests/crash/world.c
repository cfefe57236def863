/*
 * world.c - opening, losing and recovering a store, and what the model knows of its safety.
 */
#include "world.h"

#include <inttypes.h>
#include <string.h>

enum { CLOCK_MARGIN_US = 2000, SWEEP_LSNS_MAX = N_SPACES * N_IDS };

void world_init(struct world *w, struct sim *sim)
{
    memset(w, 0, sizeof *w);
    w->sim = sim;
    w->config_values[0] = 1000;
    w->n_config_values = 1;
}

bool world_is_up(const struct world *w)
{
    return w->store != NULL && !w->is_poisoned && !mni_crash_env_is_cut(w->sim->crash);
}

uint64_t world_lsn(const struct world *w)
{
    return mni_wal_visible_lsn(w->wal);
}

int64_t world_now(struct world *w)
{
    return mni_engine_now_us(w->engine);
}

/* How far to move the clock for what expires too soon: 0 = nothing does. */
static int64_t too_soon(const struct model_state *state, int64_t now_us, int64_t margin_us)
{
    int64_t most_us = 0;

    for (unsigned s = 0; s < N_SPACES; s++) {
        for (unsigned i = 0; i < N_IDS; i++) {
            const struct model_record *r = &state->spaces[s].records[i];
            if (r->is_there && r->expiry.is_set && r->expiry.least_us <= now_us + margin_us &&
                r->expiry.most_us > now_us && r->expiry.most_us > most_us)
                most_us = r->expiry.most_us;
        }
    }
    return most_us;
}

int64_t world_settle_clock(struct world *w, const struct model_state *state)
{
    for (;;) {
        int64_t now_us = world_now(w);
        int64_t wall_us = mni_env_wall_us(w->sim->env);
        int64_t margin_us = wall_us + CLOCK_MARGIN_US < now_us ? 0 : CLOCK_MARGIN_US;
        int64_t until_us = too_soon(state, now_us, margin_us);
        if (until_us == 0)
            return now_us;
        mni_crash_env_advance_us(w->sim->crash, until_us - wall_us);
    }
}

/* Safety ---------- */

void world_is_durable(struct world *w)
{
    w->durable_lsn = w->state.lsn;
    w->kernel_lsn = w->state.lsn;
}

void world_note_safety(struct world *w, mn_ack ack)
{
    mn_sync_policy sync = w->options.sync;
    size_t n = w->options.sync_every_commits;

    if (ack == MN_ACK_DEFAULT)
        ack = sync == MN_SYNC_EVERY_WRITE ? MN_ACK_DISK : MN_ACK_OS;
    if (ack >= MN_ACK_OS)
        w->kernel_lsn = w->state.lsn;
    if (ack >= MN_ACK_DISK)
        world_is_durable(w);
    /* At most N - 1 commits of this policy are not synced. */
    if (sync == MN_SYNC_EVERY_N && w->n_commits >= n &&
        w->commits[w->n_commits - n].lsn > w->durable_lsn)
        w->durable_lsn = w->commits[w->n_commits - n].lsn;
    if (w->kernel_lsn < w->durable_lsn)
        w->kernel_lsn = w->durable_lsn;
}

void world_failed(struct world *w, const struct model_commit *commit, mn_status st,
                  const struct mn_error *err)
{
    struct mni_wal_stats stats;
    bool is_cut = mni_crash_env_is_cut(w->sim->crash);

    if (!is_cut && !w->sync_may_fail && !w->is_poisoned)
        sim_fail(w->sim, "%s: %s", mn_status_name(st), err->message);
    if (st != MN_ERR_IO && st != MN_ERR_POISONED)
        sim_fail(w->sim, "%s without power: %s", mn_status_name(st), err->message);
    sim_tell(w->sim, "  failed: %s", err->message);
    if (!is_cut)
        w->sync_may_fail = false;
    mni_wal_get_stats(w->wal, &stats);
    w->is_poisoned = stats.is_poisoned;
    if (!w->is_poisoned || st == MN_ERR_POISONED || commit == NULL)
        return; /* it did not happen */
    if (w->n_doubtful == DOUBTFUL_MAX)
        sim_fail(w->sim, "the simulator remembers too few doubtful commits");
    w->doubtful[w->n_doubtful++] = *commit;
}

void world_answered(struct world *w, struct model_commit *commit, mn_status st, uint64_t lsn,
                    mn_ack ack, const struct mn_error *err)
{
    if (st != MN_OK) {
        world_failed(w, commit, st, err);
        return;
    }
    if (!model_changes_anything(&w->state, commit)) {
        if (lsn != 0)
            sim_fail(w->sim, "LSN %" PRIu64 " for a commit that changes nothing", lsn);
        if (commit->n_effects > 0)
            world_note_safety(w, ack); /* the answer waited for what it was judged by */
        return;
    }
    if (w->n_doubtful > 0)
        sim_fail(w->sim, "LSN %" PRIu64 " was acknowledged after a failed one", lsn);
    if (lsn <= w->max_lsn)
        sim_fail(w->sim, "LSN %" PRIu64 " is given out after %" PRIu64, lsn, w->max_lsn);
    if (w->n_commits == COMMITS_MAX)
        sim_fail(w->sim, "the simulator remembers too few commits");
    commit->lsn = lsn;
    if (commit->first_lsn == 0)
        commit->first_lsn = lsn;
    model_apply(&w->state, commit);
    w->commits[w->n_commits++] = *commit;
    w->max_lsn = lsn;
    world_note_safety(w, ack);
    sim_tell(w->sim, "  LSN %" PRIu64 ", durable %" PRIu64, lsn, w->durable_lsn);
}

/* Recovery ---------- */

/* Commits that failed, `n` from the `first` on, at the LSNs that end with the recovered one. */
static bool is_doubtful_run(struct world *w, const struct model_state *known, size_t first,
                            size_t n, uint64_t lsn, struct model_state *state_out)
{
    char why[WHY_BYTES];

    *state_out = *known;
    if (lsn < n || lsn - (n - 1) <= w->max_lsn)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct model_commit commit = w->doubtful[first + i];
        commit.lsn = lsn - (n - 1) + i;
        model_apply(state_out, &commit);
    }
    return world_shows(w, state_out, why);
}

/* Any prefix of those in doubt; the first of them got no LSN if its failure did not end the log. */
static bool is_doubtful_prefix(struct world *w, const struct model_state *known, uint64_t lsn,
                               struct model_state *state_out)
{
    for (size_t first = 0; first < 2 && first < w->n_doubtful; first++)
        for (size_t n = 1; first + n <= w->n_doubtful; n++)
            if (is_doubtful_run(w, known, first, n, lsn, state_out))
                return true;
    return false;
}

/* A sweep shows nothing, whether it happened or not, in one commit or several. */
static bool may_be_sweep(const struct world *w, uint64_t lsn)
{
    return w->n_doubtful == 1 && w->doubtful[0].effects[0].kind == EFFECT_SWEEP &&
           lsn > w->max_lsn && lsn - w->max_lsn <= UINT64_C(2) << 20;
}

/* A sweep that came as far as this LSN. */
static void apply_up_to(struct model_state *state, const struct model_commit *sweep, uint64_t lsn)
{
    struct model_commit part = *sweep;

    part.lsn = lsn;
    model_apply(state, &part);
}

/* The state at the recovered LSN. */
static void find_prefix(struct world *w, uint64_t lsn, struct model_state *state_out)
{
    struct model_state *s = state_out;
    struct model_state known;

    *s = w->base;
    for (size_t i = 0; i < w->n_commits && s->lsn < lsn; i++) {
        const struct model_commit *c = &w->commits[i];
        if (c->first_lsn <= lsn && lsn < c->lsn)
            apply_up_to(s, c, lsn);
        else if (c->lsn <= lsn)
            model_apply(s, c);
    }
    if (s->lsn == lsn)
        return;
    if (s->lsn != w->state.lsn)
        sim_fail(w->sim, "recovered to LSN %" PRIu64 ", which no commit has", lsn);
    known = *s;
    if (is_doubtful_prefix(w, &known, lsn, s))
        return;
    *s = known;
    if (!may_be_sweep(w, lsn))
        sim_fail(w->sim,
                 "recovered to LSN %" PRIu64 ", last known is %" PRIu64
                 "; no prefix of %zu commits in doubt gives this state",
                 lsn, known.lsn, w->n_doubtful);
    apply_up_to(s, &w->doubtful[0], lsn);
}

/* Compares what came back with the prefix that its LSN names. */
static void compare_recovered(struct world *w, struct model_state *state_out, uint64_t stop_lsn)
{
    char why[WHY_BYTES];
    uint64_t lsn = world_lsn(w);

    sim_tell(w->sim, "recovered to LSN %" PRIu64, lsn);
    if (stop_lsn != 0 && lsn != stop_lsn)
        sim_fail(w->sim, "stopped at LSN %" PRIu64 ", not %" PRIu64, lsn, stop_lsn);
    if (stop_lsn == 0 && lsn < w->durable_lsn)
        sim_fail(w->sim, "recovered to LSN %" PRIu64 ", but %" PRIu64 " was durable", lsn,
                 w->durable_lsn);
    if (stop_lsn == 0 && lsn < w->kernel_lsn)
        sim_fail(w->sim, "recovered to LSN %" PRIu64 ", but the kernel had %" PRIu64, lsn,
                 w->kernel_lsn);
    find_prefix(w, lsn, state_out);
    if (!world_shows(w, state_out, why))
        sim_fail(w->sim, "recovered to LSN %" PRIu64 ": %s", lsn, why);
}

static void forget_handle(struct world *w)
{
    w->store = NULL;
    w->engine = NULL;
    w->wal = NULL;
    w->is_poisoned = false;
    w->checkpoints_may_refuse = false;
    memset(w->txns, 0, sizeof w->txns);
}

/* A point in time that a loss of power cannot take away, if there is one: else 0. */
static uint64_t choose_stop(struct world *w)
{
    size_t n = 0;

    while (n < w->n_commits && w->commits[n].lsn <= w->durable_lsn)
        n++;
    if (n == 0 || sim_one_in(w->sim, 2))
        return 0;
    return w->commits[sim_below(w->sim, n)].lsn;
}

/* False also when it is refused as of this LSN. */
static bool open_store(struct world *w, bool read_only, uint64_t stop_lsn, bool *is_refused)
{
    struct mn_error err = {0};
    struct mn_options options = w->options;

    options.size = sizeof options;
    options.create = !w->was_made || options.create;
    options.read_only = read_only;
    options.stop_lsn = stop_lsn;
    if (stop_lsn != 0)
        options.recovery = MN_RECOVERY_POINT_IN_TIME;
    else if (w->is_sealed)
        options.recovery = MN_RECOVERY_STRICT;
    mn_status st = mni_engine_open(w->sim->env, "store", &options, &w->engine, &err);
    if (st == MN_OK)
        st = mni_api_store_of_engine(w->engine, &w->store);
    if (st == MN_OK) {
        w->wal = mni_engine_wal(w->engine);
        mni_engine_limit_segments(w->engine, w->segment_bytes_max);
        return true;
    }
    forget_handle(w);
    if (mni_crash_env_is_cut(w->sim->crash))
        return false;
    if (st == MN_ERR_INVALID && stop_lsn != 0 && stop_lsn < w->tried_lsn) {
        sim_tell(w->sim, "refused: %s", err.message);
        *is_refused = true;
        return false;
    }
    if (st != MN_ERR_IO || !w->sync_may_fail)
        sim_fail(w->sim, "opening: %s: %s", mn_status_name(st), err.message);
    sim_tell(w->sim, "a sync failed while opening");
    w->sync_may_fail = false;
    /* A half-made store whose directory entries are in doubt for ever is not to be trusted. */
    if (!w->was_made)
        sim_restart(w->sim);
    return false;
}

bool world_open(struct world *w)
{
    struct model_state recovered;
    bool is_refused = false;

    w->sim->deed = w->was_made ? DEED_RECOVER : DEED_OPEN;
    sim_tell(w->sim, "open, sync policy %d, files of %d bytes", (int)w->options.sync,
             (int)w->options.wal_file_bytes);
    if (!open_store(w, false, 0, &is_refused))
        return false;
    w->was_made = true;
    w->is_sealed = false;
    compare_recovered(w, &recovered, 0);
    w->base = recovered;
    w->state = recovered;
    w->n_commits = 0;
    w->n_doubtful = 0;
    if (recovered.lsn > w->max_lsn)
        w->max_lsn = recovered.lsn;
    world_is_durable(w);
    world_check_config(w);
    world_learn_limit(w);
    return true;
}

bool world_look(struct world *w)
{
    struct model_state recovered;
    bool is_refused = false;

    if (!w->was_made)
        return true;
    w->sim->deed = DEED_READ_ONLY;
    uint64_t stop_lsn = choose_stop(w);
    sim_tell(w->sim, "open for reading, up to LSN %" PRIu64, stop_lsn);
    size_t n_pending = mni_crash_env_n_pending(w->sim->crash);
    if (!open_store(w, true, stop_lsn, &is_refused))
        return is_refused;
    if (stop_lsn != 0 && stop_lsn < w->checkpoint_lsn)
        sim_fail(w->sim, "opened as of an LSN before that of a checkpoint");
    compare_recovered(w, &recovered, stop_lsn);
    mn_status st = mn_close(w->store, NULL);
    forget_handle(w);
    if (st != MN_OK || n_pending != mni_crash_env_n_pending(w->sim->crash))
        sim_fail(w->sim, "a store that was read was written too, or did not close");
    return true;
}

/* Nothing may be open when the store goes. */
static void end_reading(struct world *w)
{
    world_let_go(w);
    for (unsigned i = 0; i < N_TXNS; i++)
        world_txn_rollback(w, i);
}

void world_abandon(struct world *w)
{
    end_reading(w);
    mni_api_store_abandon(w->store);
    forget_handle(w);
}

void world_lose_power(struct world *w)
{
    world_abandon(w);
    sim_restart(w->sim);
    w->sync_may_fail = false;
    w->kernel_lsn = w->durable_lsn;
    w->config_is_settled = true;
}

void world_close(struct world *w)
{
    struct mn_error err = {0};

    world_write_hits(w);
    bool was_poisoned = w->is_poisoned;
    end_reading(w);
    if (!mni_crash_env_is_cut(w->sim->crash))
        w->sim->deed = DEED_CLOSE;
    sim_tell(w->sim, "close");
    mn_status st = mn_close(w->store, &err);
    bool is_cut = mni_crash_env_is_cut(w->sim->crash);
    if (st == MN_OK && was_poisoned)
        sim_fail(w->sim, "closing a poisoned store is fine");
    if (st != MN_OK && !was_poisoned && !is_cut && !w->sync_may_fail)
        sim_fail(w->sim, "closing: %s", err.message);
    if (st != MN_OK && !is_cut)
        w->sync_may_fail = false;
    forget_handle(w);
    w->is_sealed = st == MN_OK;
    if (st == MN_OK)
        world_is_durable(w);
}

void world_compare(struct world *w)
{
    char why[WHY_BYTES];

    if (w->store != NULL && !world_shows(w, &w->state, why))
        sim_fail(w->sim, "reading: %s", why);
}
