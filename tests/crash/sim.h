/*
 * sim.h - one history of the crash simulator: a disk, a random generator, and how it fails.
 *
 * A history lives on one simulated disk for several generations: open, work, lose power at some
 * disk call, come back with some of what was pending, open again, compare with the model. It is a
 * function of its seed alone.
 */
#ifndef TESTS_CRASH_SIM_H
#define TESTS_CRASH_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/crash.h"
#include "mneme/status.h"

/* What the engine or the log was doing when the power went. */
enum sim_deed {
    DEED_OPEN, /* of a store or log that is not there yet */
    DEED_RECOVER,
    DEED_CLOSE,
    DEED_READ_ONLY,
    DEED_PUT,
    DEED_PUT_BATCH,
    DEED_PUT_IF_ABSENT,
    DEED_PUT_IF_LSN,
    DEED_DELETE,
    DEED_DELETE_BATCH,
    DEED_TOUCH,
    DEED_COMMIT,
    DEED_CREATE,
    DEED_ENSURE,
    DEED_DROP,
    DEED_GROUP,
    DEED_FLUSH,
    DEED_ROTATE,
    DEED_SWEEP,
    DEED_TICK,
    DEED_CHECKPOINT,
    DEED_PURGE,
    DEED_CONFIG,
    DEED_POINTS,
    DEED_CACHE,
    DEED_LOG_OPEN,
    DEED_LOG_RECOVER,
    DEED_LOG_CLOSE,
    DEED_LOG_APPEND,
    DEED_LOG_GROUP,
    DEED_LOG_FLUSH,
    DEED_LOG_ROTATE,
    DEED_LOG_TICK,
    DEED_LOG_CHECKPOINT,
    DEED_LOG_TRIM,
    DEED_LOG_CURSOR,
    N_DEEDS,
};

const char *sim_deed_name(enum sim_deed deed);

/* Sums over all histories. */
struct sim_tally {
    uint64_t n_histories;
    uint64_t n_cuts;
    uint64_t n_calls; /* of the disk */
    uint64_t cuts_of_step[MNI_CRASH_N_STEPS];
    uint64_t cuts_of_deed[N_DEEDS];
};

struct sim {
    uint64_t seed;
    uint64_t random; /* state of the generator */
    struct mni_crash_env *crash;
    struct mni_env *env; /* of `crash` */
    struct sim_tally *tally;
    const char *scenario; /* of the exhaustive mode, else NULL */
    bool traces;
    enum sim_deed deed; /* what is going on */

    /* The exhaustive mode: which call is cut, and what of the pending changes survives. */
    bool is_scripted;
    uint64_t cut_at; /* 0 = never */
    bool use_mask;
    uint64_t mask;
    bool was_cut;
    size_t n_pending; /* when it was cut */
};

/* The history that runs, for whoever has to say so when the process ends badly; or NULL. */
extern const struct sim *sim_running;

/* Begins a history on a new disk. */
void sim_begin(struct sim *sim, uint64_t seed, struct sim_tally *tally, bool traces);
void sim_end(struct sim *sim);

uint64_t sim_random(struct sim *sim);
static inline uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return sim_random(sim) % bound;
}
static inline bool sim_one_in(struct sim *sim, uint64_t n)
{
    return sim_below(sim, n) == 0;
}

/* Turns the power off, if it is not off yet, and on again. */
void sim_restart(struct sim *sim);

/* Prints what was expected, and how to see it again; ends the process with status 1. */
_Noreturn void sim_fail(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line of the story, when it is asked for. */
void sim_tell(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The two kinds of history. */
void sim_store_history(struct sim *sim);
void sim_log_history(struct sim *sim);

/* Every call of small scenarios cut; returns the exit code. */
int sim_exhaustive(const char *only, bool traces);

#endif
