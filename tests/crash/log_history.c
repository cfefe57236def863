/*
 * log_history.c - a random life of a log on its own.
 */
#include "log.h"

enum { DEEDS_MAX = 60, GENERATIONS_MAX = 12, CUT_SPAN = 60 };

static mn_ack random_ack(struct sim *sim)
{
    static const mn_ack acks[] = {
        MN_ACK_DEFAULT, MN_ACK_DEFAULT, MN_ACK_NONE, MN_ACK_OS, MN_ACK_DISK,
    };

    return acks[sim_below(sim, sizeof acks / sizeof acks[0])];
}

static void append(struct log_world *l)
{
    uint32_t n = sim_one_in(l->sim, 2) ? 1 : 1 + (uint32_t)sim_below(l->sim, LOG_RECORDS_MAX);

    log_append(l, n, (uint32_t)sim_random(l->sim), random_ack(l->sim));
}

static void append_group(struct log_world *l)
{
    struct log_member members[LOG_MEMBERS_MAX] = {0};
    size_t n = 2 + sim_below(l->sim, LOG_MEMBERS_MAX - 1);

    for (size_t i = 0; i < n; i++) {
        members[i].is_flush = sim_one_in(l->sim, 10);
        members[i].n_records = 1 + (uint32_t)sim_below(l->sim, 2);
        members[i].value = (uint32_t)sim_random(l->sim);
        members[i].ack = random_ack(l->sim);
    }
    log_group(l, members, n);
}

static void do_something(struct log_world *l)
{
    struct sim *sim = l->sim;

    switch (sim_below(sim, 20)) {
    case 0:
    case 1:
        append_group(l);
        break;
    case 2:
    case 3:
        log_checkpoint(l, sim_below(sim, 1 + sim_below(sim, 4)));
        break;
    case 4:
    case 5:
        log_trim(l);
        break;
    case 6:
        log_rotate(l);
        break;
    case 7:
        log_walk(l);
        break;
    case 8:
        log_flush(l);
        break;
    case 9:
        mni_crash_env_advance_us(sim->crash, (int64_t)sim_below(sim, 1000000));
        log_tick(l);
        break;
    case 10:
        if (log_is_up(l) && sim_one_in(sim, 2)) {
            sim_tell(sim, "a sync will fail");
            mni_crash_env_fail_sync_at(sim->crash, 1 + sim_below(sim, 6));
            l->sync_may_fail = true;
        }
        break;
    default:
        append(l);
        break;
    }
}

static void choose_config(struct log_world *l)
{
    static const uint64_t file_bytes[] = {12288, 12288, 12288, 16384, 24576};
    struct sim *sim = l->sim;

    l->config = (struct mni_wal_config){
        .no_background = sim_one_in(sim, 2),
        .sync = (mn_sync_policy)(MN_SYNC_EVERY_WRITE + (int)sim_below(sim, 4)),
        .sync_every_commits = 1 + (uint32_t)sim_below(sim, 6),
        .sync_interval_ms = 1 + (uint32_t)sim_below(sim, 500),
        .file_bytes = file_bytes[sim_below(sim, sizeof file_bytes / sizeof file_bytes[0])],
    };
}

static void open_at_last(struct log_world *l)
{
    struct sim *sim = l->sim;

    for (;;) {
        if (sim_one_in(sim, 24)) {
            mni_crash_env_fail_sync_at(sim->crash, 1 + sim_below(sim, 5));
            l->sync_may_fail = true;
        }
        if (log_open(l))
            return;
        if (mni_crash_env_is_cut(sim->crash) || sim_one_in(sim, 2))
            log_lose_power(l);
        if (sim_one_in(sim, 3))
            mni_crash_env_cut_at(sim->crash, 1 + sim_below(sim, 30));
    }
}

static void end_generation(struct log_world *l)
{
    struct sim *sim = l->sim;

    if (!mni_crash_env_is_cut(sim->crash) && sim_one_in(sim, 2)) {
        if (sim_one_in(sim, 2))
            log_close(l);
        else
            log_abandon(l);
        if (!mni_crash_env_is_cut(sim->crash) && sim_one_in(sim, 2))
            return;
    }
    log_lose_power(l);
}

void sim_log_history(struct sim *sim)
{
    static struct log_world l;

    log_init(&l, sim);
    for (size_t n = 1 + sim_below(sim, GENERATIONS_MAX); n > 0; n--) {
        choose_config(&l);
        if (sim_one_in(sim, 4))
            mni_crash_env_cut_at(sim->crash, 1 + sim_below(sim, CUT_SPAN));
        open_at_last(&l);
        mni_crash_env_cut_at(sim->crash, 1 + sim_below(sim, CUT_SPAN));
        size_t n_deeds = 1 + sim_below(sim, DEEDS_MAX);
        for (size_t i = 0; i < n_deeds && log_is_up(&l); i++) {
            if (l.n_commits > LOG_COMMITS_MAX / 2)
                log_checkpoint(&l, 0);
            else
                do_something(&l);
        }
        end_generation(&l);
    }
    mni_crash_env_cut_at(sim->crash, 0);
    open_at_last(&l);
    log_close(&l);
}
