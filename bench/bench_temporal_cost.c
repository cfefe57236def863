/*
 * bench_temporal_cost.c - what a read costs that has more and more points of its entity beside it.
 *
 * Each store holds one entity, whose points came shuffled. The same 8 places are read again and
 * again, so that what they touch lies in the processor's caches whatever the number of points is.
 *
 * Owns:    the directories of the stores.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench_temporal.h"
#include "child.h"
#include "points_reads.h"

enum {
    N_SIZES = 5,
    N_DIMS = 128,
    N_PLACES = 8,
    N_READS = 200000,
    RANGE_PART = 20, /* fewer ranges than other reads */
};

static const size_t sizes[N_SIZES] = {100, 1000, 10000, 100000, 1000000};

struct size {
    char name[24]; /* "mneme-100" */
    char path[BENCH_PATH_BYTES];
    struct points *points; /* owned */
    size_t n_reads;
    double (*figures)[N_READS_KINDS]; /* owned, shared with children; one a round */
    unsigned n_rounds;
    unsigned n_told[N_READS_KINDS];
};

/* Context of a contender of one case. */
struct asked {
    struct size *size;
    enum reads_kind kind;
};

static double load(void *context)
{
    struct size *size = context;
    void *db = points_mneme.open(size->path, size->points);

    temporal_put_all(&points_mneme, db, size->points, false);
    points_mneme.close(db);
    return 0;
}

static double read_all(void *context)
{
    const struct size *size = context;
    void *db = points_mneme.open(size->path, size->points);
    struct reads_query *queries = reads_queries(size->points, size->n_reads, N_PLACES);

    reads_warm(&points_mneme, db, size->points);
    for (int kind = 0; kind < N_READS_KINDS; kind++) {
        size_t n = kind == READS_RANGE ? size->n_reads / RANGE_PART + 1 : size->n_reads;
        size->figures[size->n_rounds][kind] =
            reads_time(&points_mneme, db, size->points, (enum reads_kind)kind, queries, n) * 1e9;
    }
    free(queries);
    points_mneme.close(db);
    return 0;
}

static double measure(const struct bench_options *options, const struct bench_contender *self,
                      void *state)
{
    const struct asked *asked = self->context;
    struct size *size = asked->size;
    unsigned round = size->n_told[asked->kind]++;

    (void)state;
    if (round == size->n_rounds) {
        bench_settle(options);
        bench_in_child(read_all, size, 0);
        size->n_rounds++;
    }
    return size->figures[round][asked->kind];
}

static void run_kind(const struct bench_options *options, struct size all[N_SIZES],
                     enum reads_kind kind, const struct bench_case *bench_case)
{
    static const struct bench_target target = {
        .of = "mneme-1000000", .against = "mneme-100", .bound = 2.0, .is_upper_bound = true};
    struct bench_case filled = *bench_case;
    struct bench_contender contenders[N_SIZES];
    struct asked asked[N_SIZES];

    for (size_t i = 0; i < N_SIZES; i++) {
        asked[i] = (struct asked){.size = &all[i], .kind = kind};
        contenders[i] = (struct bench_contender){.name = all[i].name,
                                                 .settings = "so many points of one entity",
                                                 .context = &asked[i],
                                                 .measure = measure};
    }
    filled.unit = "ns";
    filled.contenders = contenders;
    filled.n_contenders = N_SIZES;
    filled.targets = &target;
    filled.n_targets = 1;
    bench_run(options, &filled);
}

static void begin_size(const struct bench_options *options, struct size *size, size_t n_points)
{
    char dir[48];

    snprintf(size->name, sizeof size->name, "mneme-%zu", n_points);
    snprintf(dir, sizeof dir, "temporal-%s", size->name);
    bench_dir_make(options, dir, size->path);
    size->points = points_new(1, bench_scaled(options, n_points), N_DIMS, true);
    size->n_reads = bench_scaled(options, N_READS);
    size->figures = bench_shared_new(BENCH_ROUNDS_MAX * sizeof *size->figures);
    bench_in_child(load, size, 0);
}

static void end_size(const struct bench_options *options, struct size *size)
{
    char dir[48];

    snprintf(dir, sizeof dir, "temporal-%s", size->name);
    bench_dir_remove(options, dir);
    points_free(size->points);
    bench_shared_free(size->figures, BENCH_ROUNDS_MAX * sizeof *size->figures);
}

void run_cost(const struct bench_options *options)
{
    static const struct bench_case cases[N_READS_KINDS] = {
        [READS_RANGE] = {.name = "temporal-cost-range", .title = "a range of 100 points"},
        [READS_AS_OF] = {.name = "temporal-cost-as-of", .title = "the latest point until a time"},
        [READS_NEXT_FROM] = {.name = "temporal-cost-next-from",
                             .title = "the first point from a time on"},
        [READS_GET] = {.name = "temporal-cost-get", .title = "a point read"},
        [READS_TIMELINE] = {.name = "temporal-cost-timeline", .title = "a timeline"},
        [READS_LATEST] = {.name = "temporal-cost-latest", .title = "the latest point"},
    };
    struct size all[N_SIZES] = {0};
    bool is_wanted = false;

    for (int kind = 0; kind < N_READS_KINDS; kind++)
        is_wanted = is_wanted || bench_wants_case(options, cases[kind].name);
    if (!is_wanted)
        return;
    for (size_t i = 0; i < N_SIZES; i++)
        begin_size(options, &all[i], sizes[i]);
    for (int kind = 0; kind < N_READS_KINDS; kind++)
        run_kind(options, all, (enum reads_kind)kind, &cases[kind]);
    for (size_t i = 0; i < N_SIZES; i++)
        end_size(options, &all[i]);
}
