/*
 * main.c - crash_sim: random histories for a time, one history again, or all cuts of small ones.
 *
 *     crash_sim [--seconds N] [--from SEED]   N seconds, 0 = until stopped
 *     crash_sim --seed N [--trace]            one history
 *     crash_sim --seeds FILE                  those of a file first
 *     crash_sim --exhaustive [SCENARIO]       every call cut
 *
 * Exit codes: 0 nothing found, 1 found something (the seed is printed), 2 wrong use.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "segment/segment.h"
#include "sim.h"

enum { CUTS_FOR_ALL_KINDS = 50000 }; /* in a shorter run a rare one may be missing by chance */

struct arguments {
    uint64_t seconds;
    uint64_t from;
    const char *seeds_path;
    const char *scenario; /* "" = all */
    bool is_exhaustive;
    bool has_seed;
    uint64_t seed;
    bool traces;
};

static volatile sig_atomic_t is_stopped;

static void stop(int signal)
{
    (void)signal;
    is_stopped = 1;
}

static void append(char *text, size_t *n, const char *more)
{
    while (*more != '\0')
        text[(*n)++] = *more++;
}

/* A check of the library that fails is something found. Only calls that a handler may make. */
static void found(int signal)
{
    char text[256];
    char digits[24];
    size_t n = 0;
    size_t n_digits = sizeof digits - 1;
    uint64_t seed = sim_running != NULL ? sim_running->seed : 0;
    const char *scenario = sim_running != NULL ? sim_running->scenario : NULL;

    append(text, &n, signal == SIGABRT ? "\nFAILED: a check" : "\nFAILED: a bad address");
    append(text, &n, "\nagain: crash_sim ");
    append(text, &n, scenario != NULL ? "--exhaustive " : "--seed ");
    digits[n_digits] = '\0';
    do {
        digits[--n_digits] = (char)('0' + seed % 10);
        seed /= 10;
    } while (seed > 0);
    append(text, &n, scenario != NULL ? scenario : digits + n_digits);
    append(text, &n, "\n");
    (void)!write(STDOUT_FILENO, text, n);
    _exit(1);
}

static void run_seed(uint64_t seed, struct sim_tally *tally, bool traces)
{
    struct sim sim;

    sim_begin(&sim, seed, tally, traces);
    if (seed % 4 == 3)
        sim_log_history(&sim);
    else
        sim_store_history(&sim);
    sim_end(&sim);
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Prints the sums. Returns the number of kinds that were never cut and should be. */
static unsigned report(const struct sim_tally *tally, double seconds)
{
    unsigned n_missing = 0;

    printf("%" PRIu64 " cuts in %" PRIu64 " histories of %.0f disk calls, %.1f s: %.0f cuts/s\n",
           tally->n_cuts, tally->n_histories,
           (double)tally->n_calls / (double)(tally->n_histories + (tally->n_histories == 0)),
           seconds, (double)tally->n_cuts / seconds);
    printf("cuts by disk call:");
    for (int i = 0; i < MNI_CRASH_N_STEPS; i++) {
        printf(" %s %" PRIu64, mni_crash_step_name((enum mni_crash_step)i), tally->cuts_of_step[i]);
        /* Nothing in the library makes a file shorter. */
        /* Files get second names only for snapshots: pool.c and restore.c cut these. */
        bool is_of_pools = i == MNI_CRASH_LINK || i == MNI_CRASH_CLONE;
        n_missing += tally->cuts_of_step[i] == 0 && i != MNI_CRASH_TRUNCATE && !is_of_pools;
    }
    printf("\ncuts by deed:");
    for (int i = 0; i < N_DEEDS; i++) {
        printf(" %s %" PRIu64, sim_deed_name((enum sim_deed)i), tally->cuts_of_deed[i]);
        n_missing += tally->cuts_of_deed[i] == 0;
    }
    printf("\n");
    return n_missing;
}

static int run_for(const struct arguments *a, struct sim_tally *tally)
{
    double began = now_s();
    double cpu_began = (double)clock() / CLOCKS_PER_SEC;

    printf("seeds from %" PRIu64 "\n", a->from);
    (void)fflush(stdout);
    for (uint64_t seed = a->from; !is_stopped; seed++) {
        if (a->seconds > 0 && now_s() - began >= (double)a->seconds)
            break;
        run_seed(seed, tally, a->traces);
    }
    unsigned n_missing = report(tally, (double)clock() / CLOCKS_PER_SEC - cpu_began);
    if (n_missing > 0 && tally->n_cuts >= CUTS_FOR_ALL_KINDS) {
        printf("FAILED: %u kinds of call or deed were never cut\n", n_missing);
        return 1;
    }
    return 0;
}

/* Seeds of histories that once found something, one a line; what follows is a note. */
static int run_file(const char *path, struct sim_tally *tally)
{
    char line[256];
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        perror(path);
        return 2;
    }
    while (fgets(line, sizeof line, file) != NULL)
        if (line[0] >= '0' && line[0] <= '9')
            run_seed(strtoull(line, NULL, 10), tally, false);
    (void)fclose(file);
    printf("%" PRIu64 " histories of %s pass\n", tally->n_histories, path);
    return 0;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--trace") == 0) {
            a->traces = true;
        } else if (strcmp(argv[i], "--exhaustive") == 0) {
            a->is_exhaustive = true;
            if (value != NULL && value[0] != '-')
                a->scenario = argv[++i];
        } else if (value == NULL) {
            return false;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            a->seconds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--from") == 0) {
            a->from = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            a->seed = strtoull(argv[++i], NULL, 10);
            a->has_seed = true;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            a->seeds_path = argv[++i];
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct sim_tally tally = {0};
    struct timespec t;
    int code = 0;

    mni_keyframes_forced = true; /* segments here are too small to become shorter by it */
    (void)clock_gettime(CLOCK_REALTIME, &t);
    struct arguments a = {
        .seconds = 10,
        .from = ((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000) * 1000,
        .scenario = "",
    };
    if (!parse(argc, argv, &a)) {
        fputs("usage: crash_sim [--seconds N] [--from SEED] [--seeds FILE] [--seed N] [--trace]"
              " [--exhaustive [SCENARIO]]\n",
              stderr);
        return 2;
    }
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    (void)signal(SIGABRT, found);
    (void)signal(SIGSEGV, found);
    if (a.is_exhaustive)
        return sim_exhaustive(a.scenario, a.traces);
    if (a.has_seed) {
        run_seed(a.seed, &tally, a.traces);
        printf("history %" PRIu64 " passes, with %" PRIu64 " cuts\n", a.seed, tally.n_cuts);
        return 0;
    }
    if (a.seeds_path != NULL)
        code = run_file(a.seeds_path, &tally);
    return code == 0 ? run_for(&a, &tally) : code;
}
