/*
 * bench_semcache_pins.c - what it takes to hold every answer at once, and to open the cache.
 *
 * Owns:    nothing; the store was filled before.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers_mneme.h"
#include "bench_semcache.h"
#include "child.h"

enum { PINS_MAPS, PINS_MAPS_MORE, PINS_FDS, PINS_FDS_MORE };
enum { OPEN_STORE, OPEN_INDEX, OPEN_INDEX_BYTES };

static const uint64_t pinned_bytes_max = UINT64_C(64) << 30;

static const char maps_name[] = "semcache-pins-maps";
static const char fds_name[] = "semcache-pins-fds";
static const char open_name[] = "semcache-open";
static const char memory_name[] = "semcache-memory";

static double count_maps(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    double n = 0;
    int c;

    if (file == NULL)
        bench_die("cannot read /proc/self/maps: %s", strerror(errno));
    while ((c = getc(file)) != EOF)
        n += c == '\n';
    fclose(file);
    return n;
}

static double count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = 0;

    if (dir == NULL)
        bench_die("cannot read /proc/self/fd: %s", strerror(errno));
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n - 1; /* the directory itself */
}

static uint64_t see_all(const struct mn_semcache_handle *handles, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += answers_see(handles[i].payload.data, handles[i].payload.n_bytes, true);
    return sum;
}

/* All have been read once before anything is counted. */
static void pin_all(const struct semcache_rounds *rounds, double figures_out[SEMCACHE_FIGURES_MAX])
{
    const struct answers *answers = rounds->data->answers;
    struct mn_semcache_handle *handles = bench_alloc(answers->n * sizeof *handles);
    mn_store *store = answers_mneme_open(rounds->path, pinned_bytes_max);
    uint64_t expected = 0;

    for (size_t i = 0; i < answers->n; i++)
        expected += answers_see(answers_payload(answers, i), ANSWERS_PAYLOAD_BYTES, true);
    answers_mneme_pin(store, answers->n, handles);
    if (see_all(handles, answers->n) != expected)
        bench_die("mneme gives other bytes than were stored");
    for (size_t i = 0; i < answers->n; i++)
        mn_semcache_release(&handles[i]);
    double maps = count_maps();
    double fds = count_fds();
    answers_mneme_pin(store, answers->n, handles);
    figures_out[PINS_MAPS] = count_maps();
    figures_out[PINS_FDS] = count_fds();
    figures_out[PINS_MAPS_MORE] = figures_out[PINS_MAPS] - maps;
    figures_out[PINS_FDS_MORE] = figures_out[PINS_FDS] - fds;
    if (see_all(handles, answers->n) != expected)
        bench_die("mneme gives other bytes than were stored");
    for (size_t i = 0; i < answers->n; i++)
        mn_semcache_release(&handles[i]);
    answers_mneme_close(store);
    free(handles);
}

static void open_all(const struct semcache_rounds *rounds, double figures_out[SEMCACHE_FIGURES_MAX])
{
    double start = bench_now();
    mn_store *store = answers_mneme_open(rounds->path, 0);
    double opened = bench_now();
    double bytes = bench_anonymous_bytes();
    double ready = bench_now();

    answers_mneme_first_call(store);
    figures_out[OPEN_STORE] = (opened - start) * 1e3;
    figures_out[OPEN_INDEX] = (bench_now() - ready) * 1e3;
    figures_out[OPEN_INDEX_BYTES] =
        (bench_anonymous_bytes() - bytes) / (double)rounds->data->answers->n;
    answers_mneme_close(store);
}

static struct bench_contender contender(const char *name, const char *settings,
                                        const struct semcache_asked *asked)
{
    return (struct bench_contender){
        .name = name, .settings = settings, .context = asked, .measure = semcache_measure};
}

static void run_pinning(const struct bench_options *options, struct semcache_rounds *rounds)
{
    static const char more[] = "pinned_bytes_max 64 GiB; more than before they were held";
    static const char all[] = "all that the program has then, its libraries among them";
    static const struct bench_target target = {.of = "mneme", .bound = 99, .is_upper_bound = true};
    struct semcache_asked asked[SEMCACHE_FIGURES_MAX];

    for (unsigned i = 0; i < SEMCACHE_FIGURES_MAX; i++)
        asked[i] = (struct semcache_asked){.rounds = rounds, .figure = i};
    const struct bench_contender maps[] = {
        contender("mneme", more, &asked[PINS_MAPS_MORE]),
        contender("mneme-in-all", all, &asked[PINS_MAPS]),
    };
    const struct bench_contender fds[] = {
        contender("mneme", more, &asked[PINS_FDS_MORE]),
        contender("mneme-in-all", all, &asked[PINS_FDS]),
    };
    bench_run(options, &(struct bench_case){.name = maps_name,
                                            .title = "maps, 100,000 answers held at once",
                                            .unit = "maps",
                                            .contenders = maps,
                                            .n_contenders = 2,
                                            .targets = &target,
                                            .n_targets = 1});
    bench_run(options, &(struct bench_case){.name = fds_name,
                                            .title = "descriptors, 100,000 answers held at once",
                                            .unit = "descriptors",
                                            .contenders = fds,
                                            .n_contenders = 2,
                                            .targets = &target,
                                            .n_targets = 1});
}

static void run_opening(const struct bench_options *options, struct semcache_rounds *rounds)
{
    struct semcache_asked asked[SEMCACHE_FIGURES_MAX];

    for (unsigned i = 0; i < SEMCACHE_FIGURES_MAX; i++)
        asked[i] = (struct semcache_asked){.rounds = rounds, .figure = i};
    const struct bench_contender times[] = {
        contender("mneme", "the first call after mn_open, which builds the index",
                  &asked[OPEN_INDEX]),
        contender("mneme-open", "mn_open", &asked[OPEN_STORE]),
    };
    const struct bench_contender bytes[] = {
        contender("mneme", "memory that is no part of a file, more after the first call",
                  &asked[OPEN_INDEX_BYTES]),
    };
    bench_run(options, &(struct bench_case){.name = open_name,
                                            .title = "opening 100,000 answers of 512 dimensions",
                                            .unit = "ms",
                                            .contenders = times,
                                            .n_contenders = 2});
    bench_run(options, &(struct bench_case){.name = memory_name,
                                            .title = "memory of the index, 512 dimensions",
                                            .unit = "bytes/answer",
                                            .contenders = bytes,
                                            .n_contenders = 1});
}

bool pins_are_wanted(const struct bench_options *options)
{
    return bench_wants_case(options, maps_name) || bench_wants_case(options, fds_name) ||
           bench_wants_case(options, open_name) || bench_wants_case(options, memory_name);
}

static struct semcache_rounds rounds_in(const struct semcache_data *data, const char *path,
                                        void (*run)(const struct semcache_rounds *rounds,
                                                    double figures_out[SEMCACHE_FIGURES_MAX]))
{
    struct semcache_rounds rounds = {.data = data, .peer = &answers_mneme, .run = run};

    snprintf(rounds.path, sizeof rounds.path, "%s", path);
    semcache_rounds_init(&rounds);
    return rounds;
}

void run_pins(const struct semcache_data *data, const char *path)
{
    struct semcache_rounds rounds = rounds_in(data, path, pin_all);

    run_pinning(data->options, &rounds);
    semcache_rounds_done(&rounds);
}

void run_opens(const struct semcache_data *data, const char *path)
{
    struct semcache_rounds rounds = rounds_in(data, path, open_all);

    run_opening(data->options, &rounds);
    semcache_rounds_done(&rounds);
}
