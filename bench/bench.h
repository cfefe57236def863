/*
 * bench.h - what the benchmarks share: options, alternating rounds, medians, the report.
 *
 * A benchmark has cases ("durable commits, 1 writer"), a case has contenders (Mneme, its peers, a
 * bare loop that does the least the machine allows). Every round measures every contender once, in
 * turn: A B C A B C ..., so that what else the machine does falls on all of them alike. The median
 * of the rounds counts.
 *
 * Results go to standard output, one JSON object a line; a table for people goes to standard error.
 * A benchmark that cannot go on says why and exits with 1: there is nothing to save.
 */
#ifndef MNEME_BENCH_BENCH_H
#define MNEME_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_DIMENSIONS = 768,
    BENCH_ID_BYTES = 16,
    BENCH_ROUNDS_MAX = 99,
    BENCH_CONTENDERS_MAX = 8,
    BENCH_PATH_BYTES = 4096,
};

struct bench_options {
    const char *dir;   /* where the data goes; on the disk that is to be measured */
    const char *other; /* a directory on another file system, where copies go to */
    const char *peers; /* names between commas, or NULL for all */
    const char *cases; /* likewise */
    unsigned n_rounds;
    unsigned scale_percent; /* how much of the full amount of work */
};

/* One side of a comparison. `prepare` and `finish` may be NULL; what `prepare` returns is handed to
 * the others. All three get the contender itself. */
struct bench_contender {
    const char *name;
    const char *settings; /* how it is configured, for the report */
    const void *context;  /* for the benchmark's own use */
    void *(*prepare)(const struct bench_options *options, const struct bench_contender *self);
    double (*measure)(const struct bench_options *options, const struct bench_contender *self,
                      void *state);
    void (*finish)(const struct bench_options *options, const struct bench_contender *self,
                   void *state);
};

/* What a case wants to reach: the ratio of two medians, or one median where `against` is NULL. */
struct bench_target {
    const char *of;
    const char *against;
    double bound;
    bool is_upper_bound;
};

struct bench_case {
    const char *name;  /* "commit-1": for machines */
    const char *title; /* for people */
    const char *unit;
    const struct bench_contender *contenders;
    size_t n_contenders;
    const struct bench_target *targets;
    size_t n_targets;
};

/* Reads --dir, --other, --peer, --case, --rounds, --scale; answers --help. Makes the directory
 * `dir`. */
void bench_parse(int argc, char **argv, struct bench_options *options_out);

/* Measures all contenders that --peer names and reports. Does nothing where --case names only other
 * cases. */
void bench_run(const struct bench_options *options, const struct bench_case *bench_case);

/* Whether --case names this case, and --peer this contender. Without the option all are wanted. */
bool bench_wants_case(const struct bench_options *options, const char *name);
bool bench_wants_peer(const struct bench_options *options, const char *name);

/* Full amount of work, scaled by --scale, at least 1. */
size_t bench_scaled(const struct bench_options *options, size_t n);

/* Ends the program with a message. */
void bench_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *bench_alloc(size_t n_bytes);

/* Seconds on the monotonic clock. */
double bench_now(void);

/* A pseudo-random sequence that is the same in every run. */
uint64_t bench_random(uint64_t *state);

/* Id of the `index`-th record: 16 hexadecimal digits, unique, in no order. No NUL. */
void bench_id(uint64_t index, char id_out[BENCH_ID_BYTES]);

/* Vectors of `n_dims` random floats in [-1, 1): `n_vectors` of them, one after the other. To be
 * freed. */
float *bench_vectors(size_t n_vectors, size_t n_dims);

/* `dir`/mneme-bench-`name`, emptied, or removed. */
void bench_dir_make(const struct bench_options *options, const char *name,
                    char path_out[BENCH_PATH_BYTES]);
void bench_dir_remove(const struct bench_options *options, const char *name);

/* Writes back what earlier measurements left in the page cache of the directory's file system. */
void bench_settle(const struct bench_options *options);

/*
 * Takes so much memory from the machine and gives it back. A virtual machine may get its memory
 * from the host page by page, when it is first touched, and lose it again when it is free; that
 * takes longer than most of what is measured here, and varies. What was free a moment ago comes
 * without that.
 */
void bench_warm_memory(size_t n_bytes);

#endif
