/*
 * bench_temporal.c - points over time, beside the same points the plain way in RocksDB.
 *
 * The points of one shape at a time, in one order, are stored by both sides, which are opened in
 * child processes only. What the last round of storing left behind, or a plain load where storing
 * is not asked for, is brought into the form it has at rest; then both sides' answers are compared,
 * and reads are measured. One process a round gives the figures of all ways of reading.
 *
 * Owns:    the directories of both sides.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include "bench_temporal.h"

#include <stdio.h>
#include <stdlib.h>

#include "child.h"
#include "points_reads.h"

enum {
    N_ENTITIES = 1000,
    N_SIDES = 2,
    N_READERS = 3,
    N_COMPARED = 2000,
    N_RANGES = 10000,
    N_READS = 200000,
};

struct shape {
    const char *name;  /* the end of the cases' names */
    const char *title; /* for people */
    size_t n_points;
    size_t n_dims;
    bool is_shuffled;
};

/* A way of reading that is reported. */
struct reading {
    enum reads_kind kind;
    const char *name;
    const char *title;
    double wanted;    /* times RocksDB; 0: reported only */
    size_t n_readers; /* the last one has nothing of its own to show in some */
};

static const struct points_peer *const sides[N_SIDES] = {&points_mneme, &points_rocksdb};
static const struct points_peer *const readers[N_READERS] = {&points_mneme, &points_rocksdb,
                                                             &points_rocksdb_kept};

/* The directory that both ways of reading RocksDB share. */
static const char *dir_of(const struct points_peer *peer)
{
    return peer == &points_mneme ? "temporal-mneme" : "temporal-rocksdb";
}

/* What a child needs to know. */
struct job {
    char paths[N_SIDES][BENCH_PATH_BYTES];
    const struct points_peer *peer;
    const char *path; /* one of `paths` */
    const struct points *points;
    size_t n_ranges;
    size_t n_reads;
};

/* All about one shape. */
struct dataset {
    const struct bench_options *options;
    const struct shape *shape;
    struct points *points; /* owned */
    struct job *job;       /* owned */
    bool is_filled[N_SIDES];
};

/* The rounds of a reader. Who asks for a figure that has not been measured has it measured. */
struct rounds {
    struct dataset *dataset;
    const struct points_peer *peer;
    double (*figures)[N_READS_KINDS]; /* owned, shared with children; one a round */
    unsigned n_rounds;
    unsigned n_told[N_READS_KINDS];
};

/* Context of a contender of one case. */
struct asked {
    struct rounds *rounds;
    enum reads_kind kind;
};

static size_t side_of(const struct points_peer *peer)
{
    return peer == &points_mneme ? 0 : 1;
}

static struct temporal_names names_of(const char *stem, const char *what, const struct shape *shape)
{
    struct temporal_names names;

    snprintf(names.name, sizeof names.name, "temporal-%s-%s", stem, shape->name);
    snprintf(names.title, sizeof names.title, "%s, %s", what, shape->title);
    return names;
}

/* Storing ---------------------------------------------------------------------------------------
 */

void temporal_put_all(const struct points_peer *peer, void *db, const struct points *points,
                      bool is_durable)
{
    size_t n_points = points->n_entities * points->n_each;

    for (size_t done = 0; done < n_points; done += POINTS_BATCH) {
        size_t left = n_points - done;
        peer->put(db, done, left < POINTS_BATCH ? left : POINTS_BATCH, is_durable);
    }
    peer->settle(db);
}

static double put_durably(void *context)
{
    const struct job *job = context;
    size_t n_points = job->points->n_entities * job->points->n_each;

    bench_warm_memory(n_points * job->points->n_dims * sizeof(float));
    void *db = job->peer->open(job->path, job->points);
    double start = bench_now();
    temporal_put_all(job->peer, db, job->points, true);
    double elapsed = bench_now() - start;
    job->peer->close(db);
    return (double)n_points / elapsed;
}

static double load(void *context)
{
    const struct job *job = context;
    void *db = job->peer->open(job->path, job->points);

    temporal_put_all(job->peer, db, job->points, false);
    job->peer->close(db);
    return 0;
}

static double rest(void *context)
{
    const struct job *job = context;
    void *db = job->peer->open(job->path, job->points);

    job->peer->rest(db);
    job->peer->close(db);
    return 0;
}

/* The job, for one side. */
static struct job *job_for(struct dataset *d, const struct points_peer *peer)
{
    d->job->peer = peer;
    d->job->path = d->job->paths[side_of(peer)];
    return d->job;
}

static double measure_put(const struct bench_options *options, const struct bench_contender *self,
                          void *state)
{
    const struct rounds *rounds = self->context;
    struct dataset *d = rounds->dataset;
    size_t side = side_of(rounds->peer);

    (void)state;
    bench_dir_make(options, dir_of(rounds->peer), d->job->paths[side]);
    d->is_filled[side] = true;
    bench_settle(options);
    return bench_in_child(put_durably, job_for(d, rounds->peer), 0);
}

static void run_put(struct dataset *d)
{
    static const struct bench_target target = {.of = "mneme", .against = "rocksdb", .bound = 2.0};
    struct temporal_names names = names_of("put", "durable batches of 100", d->shape);
    struct bench_contender contenders[N_SIDES];
    struct rounds rounds[N_SIDES];

    for (size_t i = 0; i < N_SIDES; i++) {
        rounds[i] = (struct rounds){.dataset = d, .peer = sides[i]};
        contenders[i] = (struct bench_contender){.name = sides[i]->name,
                                                 .settings = sides[i]->settings,
                                                 .context = &rounds[i],
                                                 .measure = measure_put};
    }
    bench_run(d->options, &(struct bench_case){.name = names.name,
                                               .title = names.title,
                                               .unit = "points/s",
                                               .contenders = contenders,
                                               .n_contenders = N_SIDES,
                                               .targets = &target,
                                               .n_targets = 1});
}

/* Reading ---------------------------------------------------------------------------------------
 */

static double compare(void *context)
{
    const struct job *job = context;
    void *dbs[N_SIDES];

    for (size_t i = 0; i < N_SIDES; i++)
        dbs[i] = sides[i]->open(job->paths[i], job->points);
    reads_compare(sides[0], dbs[0], sides[1], dbs[1], job->points, N_COMPARED);
    for (size_t i = 0; i < N_SIDES; i++)
        sides[i]->close(dbs[i]);
    return 0;
}

/* Both sides hold all points, and at rest. */
static void make_ready(struct dataset *d)
{
    bool both = true;

    for (size_t i = 0; i < N_SIDES; i++) {
        if (!d->is_filled[i]) {
            bench_dir_make(d->options, dir_of(sides[i]), d->job->paths[i]);
            bench_in_child(load, job_for(d, sides[i]), 0);
            d->is_filled[i] = true;
        }
        bench_in_child(rest, job_for(d, sides[i]), 0);
        both = both && bench_wants_peer(d->options, sides[i]->name);
    }
    if (both)
        bench_in_child(compare, d->job, 0);
}

/* What a child fills. */
struct readings {
    const struct job *job;
    double *figures; /* of a round; shared */
};

static double read_all(void *context)
{
    const struct readings *r = context;
    const struct job *job = r->job;
    void *db = job->peer->open(job->path, job->points);
    struct reads_query *queries = reads_queries(job->points, job->n_reads, job->n_reads);

    reads_warm(job->peer, db, job->points);
    for (int kind = 0; kind < N_READS_KINDS; kind++) {
        size_t n = kind == READS_RANGE ? job->n_ranges : job->n_reads;
        r->figures[kind] =
            1 / reads_time(job->peer, db, job->points, (enum reads_kind)kind, queries, n);
    }
    free(queries);
    job->peer->close(db);
    return 0;
}

static double measure_read(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    const struct asked *asked = self->context;
    struct rounds *rounds = asked->rounds;
    unsigned round = rounds->n_told[asked->kind]++;

    (void)state;
    if (round == rounds->n_rounds) {
        struct readings readings = {.job = job_for(rounds->dataset, rounds->peer),
                                    .figures = rounds->figures[round]};
        bench_settle(options);
        bench_in_child(read_all, &readings, 0);
        rounds->n_rounds++;
    }
    return rounds->figures[round][asked->kind];
}

static const struct reading readings[] = {
    {READS_RANGE, "range", "range of 100 points, every vector", 3.0, 3},
    {READS_AS_OF, "as-of", "the latest point until a time", 1.5, 3},
    {READS_NEXT_FROM, "next-from", "the first point from a time on", 0, 3},
    {READS_TIMELINE, "timeline", "timelines", 2.0, 2},
    {READS_GET, "get", "point reads", 0, 2},
};
enum { N_READINGS = sizeof readings / sizeof *readings };

static void run_reading(struct dataset *d, const struct reading *reading,
                        struct rounds rounds[N_READERS])
{
    struct temporal_names names = names_of(reading->name, reading->title, d->shape);
    const struct bench_target targets[] = {
        {.of = "mneme", .against = "rocksdb", .bound = reading->wanted},
        {.of = "mneme", .against = "rocksdb-kept", .bound = reading->wanted},
    };
    struct bench_contender contenders[N_READERS];
    struct asked asked[N_READERS];

    for (size_t i = 0; i < reading->n_readers; i++) {
        asked[i] = (struct asked){.rounds = &rounds[i], .kind = reading->kind};
        contenders[i] = (struct bench_contender){.name = readers[i]->name,
                                                 .settings = readers[i]->settings,
                                                 .context = &asked[i],
                                                 .measure = measure_read};
    }
    bench_run(d->options,
              &(struct bench_case){.name = names.name,
                                   .title = names.title,
                                   .unit = "reads/s",
                                   .contenders = contenders,
                                   .n_contenders = reading->n_readers,
                                   .targets = targets,
                                   .n_targets = reading->wanted > 0 ? reading->n_readers - 1 : 0});
}

static void run_readings(struct dataset *d)
{
    size_t figures_bytes = BENCH_ROUNDS_MAX * sizeof(double[N_READS_KINDS]);
    struct rounds rounds[N_READERS];
    bool is_wanted = false;

    for (size_t i = 0; i < N_READINGS; i++)
        is_wanted = is_wanted ||
                    bench_wants_case(d->options, names_of(readings[i].name, "", d->shape).name);
    if (!is_wanted)
        return;
    make_ready(d);
    for (size_t i = 0; i < N_READERS; i++)
        rounds[i] = (struct rounds){
            .dataset = d, .peer = readers[i], .figures = bench_shared_new(figures_bytes)};
    for (size_t i = 0; i < N_READINGS; i++)
        run_reading(d, &readings[i], rounds);
    for (size_t i = 0; i < N_READERS; i++)
        bench_shared_free(rounds[i].figures, figures_bytes);
}

static void run_shape(const struct bench_options *options, const struct shape *shape)
{
    size_t n_each = bench_scaled(options, shape->n_points / N_ENTITIES);
    struct dataset d = {
        .options = options,
        .shape = shape,
        .points = points_new(N_ENTITIES, n_each, shape->n_dims, shape->is_shuffled),
        .job = bench_alloc(sizeof *d.job),
    };

    d.job->points = d.points;
    d.job->n_ranges = bench_scaled(options, N_RANGES);
    d.job->n_reads = bench_scaled(options, N_READS);
    run_put(&d);
    run_readings(&d);
    for (size_t i = 0; i < N_SIDES; i++)
        bench_dir_remove(options, dir_of(sides[i]));
    points_free(d.points);
    free(d.job);
}

int main(int argc, char **argv)
{
    static const struct shape shapes[] = {
        {"128", "1,000,000 x 128 in order", 1000000, 128, false},
        {"128-shuffled", "1,000,000 x 128 shuffled", 1000000, 128, true},
        {"768", "100,000 x 768 in order", 100000, 768, false},
        {"768-shuffled", "100,000 x 768 shuffled", 100000, 768, true},
    };
    struct bench_options options;

    bench_parse(argc, argv, &options);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        run_shape(&options, &shapes[i]);
    run_cost(&options);
    run_delta(&options);
    return 0;
}
