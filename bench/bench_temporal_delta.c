/*
 * bench_temporal_delta.c - vectors as differences to the ones before: how much smaller the files
 * get, and what reading them takes.
 *
 * Entities move slowly, each point by a small part of the vector's length. Two stores hold the same
 * points, one of them as differences; before anything is said of them all bits of all points are
 * compared, and what is read by time.
 *
 * Owns:    the directories of both stores.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench_temporal.h"
#include "child.h"
#include "disk.h"
#include "points_reads.h"

enum { N_ENTITIES = 100, N_STORES = 2, N_COMPARED = 2000, N_RANGES = 20000 };

struct walk {
    size_t n_each;
    size_t n_dims;
    double step; /* in lengths of a vector */
};

struct stores {
    char paths[N_STORES][BENCH_PATH_BYTES];
    struct points *points; /* owned */
    size_t which;
    size_t n_ranges;
};

static const struct points_peer *const peers[N_STORES] = {&points_mneme, &points_mneme_delta};
static const char *const dirs[N_STORES] = {"temporal-whole", "temporal-delta"};

static double load(void *context)
{
    const struct stores *stores = context;
    const struct points_peer *peer = peers[stores->which];
    void *db = peer->open(stores->paths[stores->which], stores->points);

    temporal_put_all(peer, db, stores->points, false);
    peer->close(db);
    return 0;
}

static double compare(void *context)
{
    const struct stores *stores = context;
    const struct points *points = stores->points;
    void *dbs[N_STORES];

    for (size_t i = 0; i < N_STORES; i++)
        dbs[i] = peers[i]->open(stores->paths[i], points);
    for (size_t entity = 0; entity < points->n_entities; entity++) {
        struct points_seen seen[N_STORES];
        for (size_t i = 0; i < N_STORES; i++) {
            seen[i] = (struct points_seen){.take = POINTS_TAKE_BITS, .n_dims = points->n_dims};
            peers[i]->range(dbs[i], points_entity(entity), INT64_MIN, INT64_MAX, &seen[i]);
        }
        if (seen[0].n_points != points->n_each || seen[1].n_points != points->n_each ||
            seen[0].times != seen[1].times || seen[0].sum != seen[1].sum)
            bench_die("mneme: differences are not exact, entity %zu", entity);
    }
    reads_compare(peers[0], dbs[0], peers[1], dbs[1], points, N_COMPARED);
    for (size_t i = 0; i < N_STORES; i++)
        peers[i]->close(dbs[i]);
    return 0;
}

static struct stores *new_stores(const struct bench_options *options, const struct walk *walk)
{
    struct stores *stores = bench_alloc(sizeof *stores);

    stores->points =
        points_new_walks(N_ENTITIES, bench_scaled(options, walk->n_each), walk->n_dims, walk->step);
    stores->n_ranges = bench_scaled(options, N_RANGES);
    for (stores->which = 0; stores->which < N_STORES; stores->which++) {
        bench_dir_make(options, dirs[stores->which], stores->paths[stores->which]);
        bench_in_child(load, stores, 0);
    }
    bench_in_child(compare, stores, 0);
    return stores;
}

static void free_stores(const struct bench_options *options, struct stores *stores)
{
    for (size_t i = 0; i < N_STORES; i++)
        bench_dir_remove(options, dirs[i]);
    points_free(stores->points);
    free(stores);
}

/* Bytes of a store's segments; the log is empty, and as long as it always is. */
static double segment_bytes(const char *path)
{
    char dir[BENCH_PATH_BYTES + 4];

    snprintf(dir, sizeof dir, "%s/seg", path);
    return disk_bytes(dir);
}

static double measure_saved(const struct bench_options *options, const struct bench_contender *self,
                            void *state)
{
    struct stores *stores = new_stores(options, self->context);
    double saved = 100 - 100 * segment_bytes(stores->paths[1]) / segment_bytes(stores->paths[0]);

    (void)state;
    free_stores(options, stores);
    return saved;
}

static double read_ranges(void *context)
{
    const struct stores *stores = context;
    const struct points_peer *peer = peers[stores->which];
    void *db = peer->open(stores->paths[stores->which], stores->points);
    struct reads_query *queries = reads_queries(stores->points, stores->n_ranges, stores->n_ranges);

    reads_warm(peer, db, stores->points);
    double seconds = reads_time(peer, db, stores->points, READS_RANGE, queries, stores->n_ranges);
    free(queries);
    peer->close(db);
    return 1 / seconds;
}

static double measure_range(const struct bench_options *options, const struct bench_contender *self,
                            void *state)
{
    struct stores *stores = *(struct stores *const *)self->context;

    (void)options;
    (void)state;
    stores->which = self->settings == peers[1]->settings;
    return bench_in_child(read_ranges, stores, 0);
}

static const struct walk slow_128 = {1000, 128, 0.001};
static const struct walk slow_768 = {200, 768, 0.001};
static const struct walk fast_128 = {1000, 128, 0.01};
static const struct walk fast_768 = {200, 768, 0.01};

static void run_saved(const struct bench_options *options)
{
#define WALK(name, walk, settings)                                                                 \
    {                                                                                              \
        name, settings, walk, NULL, measure_saved, NULL                                            \
    }
    static const struct bench_contender contenders[] = {
        WALK("mneme-128", &slow_128, "keyframe_every 10; steps of 0.1 % of the length"),
        WALK("mneme-768", &slow_768, "keyframe_every 10; steps of 0.1 % of the length"),
        WALK("mneme-128-faster", &fast_128, "keyframe_every 10; steps of 1 %"),
        WALK("mneme-768-faster", &fast_768, "keyframe_every 10; steps of 1 %"),
    };
    static const struct bench_target targets[] = {
        {.of = "mneme-128", .bound = 30},
        {.of = "mneme-768", .bound = 30},
    };

    bench_run(options, &(struct bench_case){
                           .name = "temporal-delta-saved",
                           .title = "saved by differences, of the segments' bytes",
                           .unit = "%",
                           .contenders = contenders,
                           .n_contenders = sizeof contenders / sizeof *contenders,
                           .targets = targets,
                           .n_targets = sizeof targets / sizeof *targets,
                       });
}

static void run_range(const struct bench_options *options)
{
    struct bench_contender contenders[N_STORES];
    struct stores *stores;

    if (!bench_wants_case(options, "temporal-delta-range"))
        return;
    stores = new_stores(options, &slow_128);
    for (size_t i = 0; i < N_STORES; i++)
        contenders[i] = (struct bench_contender){.name = peers[i]->name,
                                                 .settings = peers[i]->settings,
                                                 .context = &stores,
                                                 .measure = measure_range};
    bench_run(options, &(struct bench_case){.name = "temporal-delta-range",
                                            .title = "range of 100 points that move slowly",
                                            .unit = "reads/s",
                                            .contenders = contenders,
                                            .n_contenders = N_STORES});
    free_stores(options, stores);
}

void run_delta(const struct bench_options *options)
{
    run_saved(options);
    run_range(options);
}
