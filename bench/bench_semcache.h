/*
 * bench_semcache.h - what the parts of bench_semcache share: a filled store, figures of children.
 */
#ifndef MNEME_BENCH_BENCH_SEMCACHE_H
#define MNEME_BENCH_BENCH_SEMCACHE_H

#include "answers.h"

enum {
    SEMCACHE_ANSWERS = 100000,
    SEMCACHE_CENTRES = 1000,
    SEMCACHE_FIGURES_MAX = 4,
};
#define SEMCACHE_NEARNESS 0.8

/* Answers, and where each peer has them. */
struct semcache_data {
    const struct bench_options *options;
    struct answers *answers; /* owned */
    bool has_redis;
};

/*
 * One child process a round gives several figures, each of which is a contender of a case of its
 * own. Who asks for one that has not been measured has the round measured.
 */
struct semcache_rounds {
    const struct semcache_data *data;
    const struct answers_peer *peer;
    char path[BENCH_PATH_BYTES]; /* of its directory */
    void (*run)(const struct semcache_rounds *rounds, double figures_out[SEMCACHE_FIGURES_MAX]);
    void *context;                           /* for `run` */
    unsigned flags;                          /* enum bench_child_flags */
    double (*figures)[SEMCACHE_FIGURES_MAX]; /* owned, shared with children; one a round */
    unsigned n_rounds;
    unsigned n_told[SEMCACHE_FIGURES_MAX];
};

/* Context of a contender of one case. */
struct semcache_asked {
    struct semcache_rounds *rounds;
    unsigned figure;
};

void semcache_rounds_init(struct semcache_rounds *rounds);
void semcache_rounds_done(struct semcache_rounds *rounds);
/* A contender's `measure`. */
double semcache_measure(const struct bench_options *options, const struct bench_contender *self,
                        void *state);

/* Empties the directory of a peer and stores all answers there, in a child. */
void semcache_fill(struct semcache_rounds *rounds, const char *dir_name);

/* Of answers that are stored in `path`: holding all of them; and opening, which wants a store that
 * has just been filled, since hits are in its log later. */
bool pins_are_wanted(const struct bench_options *options);
void run_pins(const struct semcache_data *data, const char *path);
void run_opens(const struct semcache_data *data, const char *path);
void run_lookups(const struct bench_options *options);

#endif
