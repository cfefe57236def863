/*
 * sim.c - what all histories share: the disk, random numbers, counting, failing.
 */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct sim *sim_running;

const char *sim_deed_name(enum sim_deed deed)
{
    static const char *const names[N_DEEDS] = {
        [DEED_OPEN] = "open",
        [DEED_RECOVER] = "recover",
        [DEED_CLOSE] = "close",
        [DEED_READ_ONLY] = "read_only",
        [DEED_PUT] = "put",
        [DEED_PUT_BATCH] = "put_batch",
        [DEED_PUT_IF_ABSENT] = "put_if_absent",
        [DEED_PUT_IF_LSN] = "put_if_lsn",
        [DEED_DELETE] = "delete",
        [DEED_DELETE_BATCH] = "delete_batch",
        [DEED_TOUCH] = "touch",
        [DEED_COMMIT] = "commit",
        [DEED_CREATE] = "create",
        [DEED_ENSURE] = "ensure",
        [DEED_DROP] = "drop",
        [DEED_GROUP] = "group",
        [DEED_FLUSH] = "flush",
        [DEED_ROTATE] = "rotate",
        [DEED_SWEEP] = "sweep",
        [DEED_TICK] = "tick",
        [DEED_CHECKPOINT] = "checkpoint",
        [DEED_PURGE] = "purge",
        [DEED_CONFIG] = "config",
        [DEED_POINTS] = "points",
        [DEED_CACHE] = "cache",
        [DEED_LOG_OPEN] = "log_open",
        [DEED_LOG_RECOVER] = "log_recover",
        [DEED_LOG_CLOSE] = "log_close",
        [DEED_LOG_APPEND] = "log_append",
        [DEED_LOG_GROUP] = "log_group",
        [DEED_LOG_FLUSH] = "log_flush",
        [DEED_LOG_ROTATE] = "log_rotate",
        [DEED_LOG_TICK] = "log_tick",
        [DEED_LOG_CHECKPOINT] = "log_checkpoint",
        [DEED_LOG_TRIM] = "log_trim",
        [DEED_LOG_CURSOR] = "log_cursor",
    };

    return names[deed];
}

void sim_begin(struct sim *sim, uint64_t seed, struct sim_tally *tally, bool traces)
{
    *sim = (struct sim){.seed = seed, .random = seed, .tally = tally, .traces = traces};
    if (mni_crash_env_new(sim_random(sim), &sim->crash) != MN_OK) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    sim->env = mni_crash_env_base(sim->crash);
    sim_running = sim;
    tally->n_histories++;
}

void sim_end(struct sim *sim)
{
    sim->tally->n_calls += mni_crash_env_n_calls(sim->crash);
    mni_crash_env_free(sim->crash);
    sim->crash = NULL;
    sim_running = NULL;
}

uint64_t sim_random(struct sim *sim)
{
    uint64_t z = (sim->random += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void sim_restart(struct sim *sim)
{
    bool was_cut = mni_crash_env_is_cut(sim->crash);
    enum mni_crash_step step = mni_crash_env_cut_step(sim->crash);

    if (was_cut) {
        sim->tally->n_cuts++;
        sim->tally->cuts_of_step[step]++;
        sim->tally->cuts_of_deed[sim->deed]++;
    }
    sim_tell(sim, "power off in %s, %s; %zu choices", sim_deed_name(sim->deed),
             mni_crash_step_name(step), mni_crash_env_n_pending(sim->crash));
    if (sim->is_scripted && was_cut && !sim->was_cut) {
        sim->was_cut = true;
        sim->n_pending = mni_crash_env_n_pending(sim->crash);
        mni_crash_env_restart(sim->crash, sim->use_mask && sim->n_pending <= 64, sim->mask);
        return;
    }
    mni_crash_env_restart(sim->crash, false, 0);
}

void sim_tell(const struct sim *sim, const char *format, ...)
{
    va_list arguments;

    if (!sim->traces)
        return;
    va_start(arguments, format);
    (void)printf("%6" PRIu64 "  ", mni_crash_env_n_calls(sim->crash));
    (void)vprintf(format, arguments);
    (void)printf("\n");
    (void)fflush(stdout);
    va_end(arguments);
}

void sim_fail(const struct sim *sim, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)printf("FAILED in %s after %" PRIu64 " disk calls: ", sim_deed_name(sim->deed),
                 mni_crash_env_n_calls(sim->crash));
    (void)vprintf(format, arguments);
    va_end(arguments);
    if (sim->scenario != NULL)
        (void)printf("\nagain: crash_sim --exhaustive %s (call %" PRIu64 " cut, survivors %#" PRIx64
                     ")\n",
                     sim->scenario, sim->cut_at, sim->mask);
    else
        (void)printf("\nagain: crash_sim --seed %" PRIu64 "\n", sim->seed);
    exit(1);
}
