/*
 * store_history.c - a random life of a store: what is done, and when the power goes.
 */
#include "world.h"

#define SECOND_US INT64_C(1000000)

enum { DEEDS_MAX = 60, GENERATIONS_MAX = 12, CUT_SPAN = 70, LONG_CUT_SPAN = 600, MEMBERS_MAX = 6 };

static mn_ack random_ack(struct sim *sim)
{
    static const mn_ack acks[] = {
        MN_ACK_DEFAULT, MN_ACK_DEFAULT, MN_ACK_NONE, MN_ACK_OS, MN_ACK_DISK,
    };

    return acks[sim_below(sim, sizeof acks / sizeof acks[0])];
}

static uint32_t random_dims(struct world *w, unsigned space)
{
    static const uint32_t dims[] = {1, 3, DIMS_MAX};
    uint32_t have = w->state.spaces[space].dimension;

    if (sim_one_in(w->sim, 3))
        return 0;
    if (have != 0 && !sim_one_in(w->sim, 24))
        return have;
    return dims[sim_below(w->sim, sizeof dims / sizeof dims[0])];
}

static void random_expiry(struct sim *sim, struct wish *wish)
{
    static const int64_t moments[] = {INT64_MIN, -1, 0, 1, INT64_MAX};

    switch (sim_below(sim, 12)) {
    case 0:
    case 1:
    case 2:
        wish->expiry = WISH_EXPIRES_IN;
        wish->when_us = (int64_t)sim_below(sim, 8) * SECOND_US;
        break;
    case 3:
    case 4:
        wish->expiry = WISH_TTL;
        wish->when_us = (int64_t)sim_below(sim, 8) * SECOND_US;
        break;
    case 5:
        wish->expiry = WISH_EXPIRES_AT;
        wish->when_us = moments[sim_below(sim, sizeof moments / sizeof moments[0])];
        break;
    default:
        wish->expiry = WISH_NO_EXPIRY;
        break;
    }
}

static struct wish random_wish(struct world *w, unsigned space, enum model_effect_kind kind)
{
    struct sim *sim = w->sim;
    struct wish wish = {
        .kind = kind,
        .space = (uint8_t)space,
        .id = (uint8_t)sim_below(sim, N_IDS),
        .value = (uint32_t)sim_random(sim),
    };

    if (kind == EFFECT_PUT)
        wish.n_dims = random_dims(w, space);
    if (kind != EFFECT_DELETE)
        random_expiry(sim, &wish);
    if (kind == EFFECT_TOUCH)
        wish.condition = MNI_IF_LIVE;
    return wish;
}

static unsigned random_space(struct sim *sim)
{
    return sim_one_in(sim, 2) ? 0 : (unsigned)sim_below(sim, N_SPACES);
}

static void put_some(struct world *w)
{
    struct wish wish = random_wish(w, random_space(w->sim), EFFECT_PUT);

    if (sim_one_in(w->sim, 4)) {
        wish.condition = sim_one_in(w->sim, 2) ? MNI_IF_ABSENT : MNI_IF_LSN;
        wish.wants_wrong_lsn = sim_one_in(w->sim, 4);
    }
    world_write(w, &wish, 1, random_ack(w->sim));
}

static void write_batch(struct world *w, enum model_effect_kind kind)
{
    struct wish wishes[WISHES_MAX];
    size_t n = 2 + sim_below(w->sim, 5);
    unsigned space = random_space(w->sim);

    for (size_t i = 0; i < n; i++) {
        wishes[i] = random_wish(w, space, kind);
        if (i > 0 && wishes[i].n_dims != 0 && !sim_one_in(w->sim, 24))
            wishes[i].n_dims = wishes[0].n_dims;
        if (i > 1)
            wishes[i].value -= wishes[i].value % 8; /* not too many large ones */
    }
    world_write(w, wishes, n, random_ack(w->sim));
}

static void write_one(struct world *w, enum model_effect_kind kind)
{
    struct wish wish = random_wish(w, random_space(w->sim), kind);

    world_write(w, &wish, 1, random_ack(w->sim));
}

static void submit_group(struct world *w)
{
    static const enum model_effect_kind kinds[] = {
        EFFECT_PUT, EFFECT_PUT, EFFECT_PUT, EFFECT_DELETE, EFFECT_TOUCH,
    };
    static const enum mni_condition conditions[] = {
        MNI_ALWAYS, MNI_ALWAYS, MNI_ALWAYS, MNI_IF_ABSENT, MNI_IF_LSN,
    };
    struct wish_member members[MEMBERS_MAX] = {0};
    struct sim *sim = w->sim;
    size_t n = 2 + sim_below(sim, MEMBERS_MAX - 1);

    for (size_t i = 0; i < n; i++) {
        struct wish_member *m = &members[i];
        m->is_flush = sim_one_in(sim, 10);
        m->is_txn = !m->is_flush && sim_one_in(sim, 5);
        m->ack = random_ack(sim);
        m->n_wishes = m->is_flush ? 0 : 1 + sim_below(sim, sim_one_in(sim, 3) ? 4 : 1);
        for (size_t j = 0; j < m->n_wishes; j++) {
            /* A transaction touches only what it saw, which is judged elsewhere. */
            m->wishes[j] =
                random_wish(w, random_space(sim), kinds[sim_below(sim, m->is_txn ? 4 : 5)]);
            if (m->wishes[j].expiry == WISH_TTL)
                m->wishes[j].expiry = WISH_EXPIRES_IN;
            /* As mn_touch does: what is logged happens, so it must be judged before. */
            if (m->wishes[j].kind == EFFECT_TOUCH)
                m->wishes[j].condition = MNI_IF_LIVE;
            if (m->is_txn || m->wishes[j].kind != EFFECT_PUT)
                continue;
            m->wishes[j].condition = conditions[sim_below(sim, 5)];
            m->wishes[j].wants_wrong_lsn = sim_one_in(sim, 4);
        }
    }
    world_group(w, members, n);
}

static void work_on_txn(struct world *w)
{
    static const enum model_effect_kind kinds[] = {
        EFFECT_PUT,
        EFFECT_PUT,
        EFFECT_DELETE,
        EFFECT_TOUCH,
    };
    struct sim *sim = w->sim;
    unsigned slot = (unsigned)sim_below(sim, N_TXNS);
    unsigned space = random_space(sim);
    unsigned id = (unsigned)sim_below(sim, N_IDS);

    if (w->txns[slot].txn == NULL) {
        world_txn_begin(w, slot);
        return;
    }
    switch (sim_below(sim, 8)) {
    case 0:
    case 1:
        world_txn_commit(w, slot, random_ack(sim));
        break;
    case 2:
        world_txn_rollback(w, slot);
        break;
    default:
        for (size_t i = 1 + sim_below(sim, 2); i > 0; i--) {
            struct wish wish = random_wish(w, space, kinds[sim_below(sim, 4)]);
            if (wish.when_us == 0)
                wish.when_us = SECOND_US; /* not the very moment of the transaction's view */
            world_txn_write(w, slot, &wish);
        }
        world_txn_read(w, slot, space, id);
        break;
    }
}

static void make_or_drop(struct world *w)
{
    struct sim *sim = w->sim;
    unsigned space = random_space(sim);

    if (sim_one_in(sim, 3))
        world_drop(w, space);
    else
        world_create(w, space, random_dims(w, space), sim_one_in(sim, 2));
}

static void move_clock(struct world *w)
{
    struct sim *sim = w->sim;

    if (sim_one_in(sim, 6)) {
        int64_t back_us = (int64_t)sim_below(sim, 5) * SECOND_US;
        sim_tell(sim, "clock goes back %d s", (int)(back_us / SECOND_US));
        mni_crash_env_set_wall_us(sim->crash, mni_env_wall_us(sim->env) - back_us);
        return;
    }
    mni_crash_env_advance_us(sim->crash, (int64_t)sim_below(sim, 3 * SECOND_US));
}

/* Its syncs fail more often than those of others: they are few. */
static void checkpoint(struct world *w)
{
    struct sim *sim = w->sim;

    if (world_is_up(w) && sim_one_in(sim, 8)) {
        mni_crash_env_fail_sync_at(sim->crash, 1 + sim_below(sim, 10));
        w->sync_may_fail = true;
    }
    world_checkpoint(w);
}

static void purge(struct world *w)
{
    uint8_t ids[WISHES_MAX];
    size_t n = sim_one_in(w->sim, 4) ? 0 : 1 + sim_below(w->sim, 4);

    for (size_t i = 0; i < n; i++)
        ids[i] = (uint8_t)sim_below(w->sim, N_IDS);
    world_purge(w, random_space(w->sim), ids, n);
}

static void keep_house(struct world *w)
{
    struct sim *sim = w->sim;

    switch (sim_below(sim, 16)) {
    case 0:
        world_flush(w);
        break;
    case 1:
        world_rotate(w);
        break;
    case 2:
    case 3:
        world_sweep(w);
        break;
    case 4:
        world_tick(w);
        break;
    case 5:
        world_wait_for_sync(w);
        break;
    case 6:
        world_configure(w, 1 + sim_below(sim, 4));
        break;
    case 7:
        /* A poisoned store fails to close without a sync, and would leave this one to the next. */
        if (world_is_up(w) && sim_one_in(sim, 2)) {
            sim_tell(sim, "a sync will fail");
            mni_crash_env_fail_sync_at(sim->crash, 1 + sim_below(sim, 6));
            w->sync_may_fail = true;
        }
        break;
    case 8:
    case 9:
    case 10:
        checkpoint(w);
        break;
    case 11:
        purge(w);
        break;
    default:
        move_clock(w);
        break;
    }
}

/* Reads that last. */
static void read_on(struct world *w)
{
    struct sim *sim = w->sim;

    if (sim_one_in(sim, 2))
        world_hold(w, (unsigned)sim_below(sim, N_HOLDS), random_space(sim),
                   (unsigned)sim_below(sim, N_IDS));
    else
        world_walk(w, (unsigned)sim_below(sim, N_WALKS), random_space(sim));
}

static void do_something(struct world *w)
{
    struct sim *sim = w->sim;

    if (w->has_points && sim_one_in(sim, 3))
        world_points(w, random_ack(sim));
    if (w->has_cache && !sim_one_in(sim, 3))
        world_cache(w, random_ack(sim));
    switch (sim_below(sim, 24)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        put_some(w);
        break;
    case 6:
    case 7:
        write_batch(w, EFFECT_PUT);
        break;
    case 8:
        write_one(w, EFFECT_DELETE);
        break;
    case 9:
        write_batch(w, EFFECT_DELETE);
        break;
    case 10:
    case 11:
        write_one(w, EFFECT_TOUCH);
        break;
    case 12:
    case 13:
    case 14:
        submit_group(w);
        break;
    case 15:
        make_or_drop(w);
        break;
    case 16:
    case 17:
    case 18:
    case 19:
        work_on_txn(w);
        break;
    default:
        keep_house(w);
        break;
    }
    if (sim_one_in(sim, 4))
        world_read(w, random_space(sim), (unsigned)sim_below(sim, N_IDS));
    if (sim_one_in(sim, 6))
        read_on(w);
    if (sim_one_in(sim, 24))
        world_compare(w);
}

static void choose_options(struct world *w)
{
    static const uint64_t file_bytes[] = {12288, 12288, 16384, 24576, 65536};
    struct sim *sim = w->sim;

    w->options = (struct mn_options){
        .create = sim_one_in(sim, 2),
        .no_background = sim_one_in(sim, 2),
        .sync = (mn_sync_policy)sim_below(sim, MN_SYNC_MANUAL + 1),
        .sync_every_commits = 1 + (uint32_t)sim_below(sim, 6),
        .sync_interval_ms = 1 + (uint32_t)sim_below(sim, 500),
        .wal_file_bytes = file_bytes[sim_below(sim, sizeof file_bytes / sizeof file_bytes[0])],
    };
    /* One, several or many segments for a checkpoint. */
    w->segment_bytes_max = sim_one_in(sim, 2) ? 0 : 1 + sim_below(sim, 100000);
    if (w->options.sync == MN_SYNC_DEFAULT)
        w->options.sync = MN_SYNC_EVERY_WRITE;
}

/* Opens until it works; the power may go again and again meanwhile. */
static void open_at_last(struct world *w)
{
    struct sim *sim = w->sim;

    for (;;) {
        if (sim_one_in(sim, 24)) {
            mni_crash_env_fail_sync_at(sim->crash, 1 + sim_below(sim, 8));
            w->sync_may_fail = true;
        }
        if ((!sim_one_in(sim, 16) || world_look(w)) && world_open(w))
            return;
        if (mni_crash_env_is_cut(sim->crash) || sim_one_in(sim, 2))
            world_lose_power(w);
        if (sim_one_in(sim, 3))
            mni_crash_env_cut_at(sim->crash, 1 + sim_below(sim, 40));
    }
}

static void end_generation(struct world *w)
{
    struct sim *sim = w->sim;

    if (w->is_poisoned || mni_crash_env_is_cut(sim->crash) || sim_one_in(sim, 8))
        world_compare(w); /* what failed is not visible */
    if (!mni_crash_env_is_cut(sim->crash) && sim_one_in(sim, 2)) {
        if (sim_one_in(sim, 2))
            world_close(w);
        else
            world_abandon(w);
        if (!mni_crash_env_is_cut(sim->crash) && sim_one_in(sim, 2))
            return;
    }
    world_lose_power(w);
}

void sim_store_history(struct sim *sim)
{
    struct world w;

    world_init(&w, sim);
    w.has_points = sim->seed % 8 == 2 || sim->seed % 8 == 5;
    w.has_cache = sim->seed % 16 == 4 || sim->seed % 16 == 6 || sim->seed % 16 == 9;
    for (size_t n = 1 + sim_below(sim, GENERATIONS_MAX); n > 0; n--) {
        choose_options(&w);
        if (sim_one_in(sim, 4))
            mni_crash_env_cut_at(sim->crash, 1 + sim_below(sim, CUT_SPAN));
        open_at_last(&w);
        /* Some generations live long enough for several checkpoints. */
        mni_crash_env_cut_at(sim->crash,
                             1 + sim_below(sim, sim_one_in(sim, 4) ? LONG_CUT_SPAN : CUT_SPAN));
        if (sim_one_in(sim, 8))
            checkpoint(&w); /* of what the log gave back */
        size_t n_deeds = 1 + sim_below(sim, DEEDS_MAX);
        for (size_t i = 0; i < n_deeds && world_is_up(&w) && w.n_commits < COMMITS_MAX / 2; i++)
            do_something(&w);
        end_generation(&w);
    }
    mni_crash_env_cut_at(sim->crash, 0);
    open_at_last(&w);
    world_close(&w);
}
