/*
 * bench_semcache.c - the cache of answers, beside a file per answer and beside Redis.
 *
 * All stores are opened in child processes only. For loads each side is filled once, or in each
 * process where it keeps nothing; one process a round gives the figures of all ways of loading.
 *
 * Owns:    the directories of all sides.
 * Threads: one, and those that store in a child.
 * Fails:   by ending the program with a message.
 */
#include "bench_semcache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "redis.h"

enum {
    N_WRITERS = 16,
    N_WARM_UP = 20 * N_WRITERS,
    STORE_SECONDS_MAX = 10, /* a slow way gets through fewer answers */
    N_LOADS = 200000,
    LOAD_SECONDS_MIN = 1, /* they are made again until then */
    N_STORERS = 3,
    N_LOADERS = 4,
    WARM_MEMORY_BYTES = 1 << 30,
    DIR_NAME_BYTES = 32,
};

/* Redis comes last in both, since it may not be there. */
static const struct answers_peer *const storers[N_STORERS] = {&answers_mneme, &answers_files,
                                                              &answers_redis_fsync};
static const struct answers_peer *const loaders[N_LOADERS] = {&answers_mneme, &answers_files,
                                                              &answers_bare, &answers_redis};

void semcache_rounds_init(struct semcache_rounds *rounds)
{
    rounds->figures = bench_shared_new(BENCH_ROUNDS_MAX * sizeof *rounds->figures);
}

void semcache_rounds_done(struct semcache_rounds *rounds)
{
    bench_shared_free(rounds->figures, BENCH_ROUNDS_MAX * sizeof *rounds->figures);
}

static double run_round(void *context)
{
    struct semcache_rounds *rounds = context;

    rounds->run(rounds, rounds->figures[rounds->n_rounds]);
    return 0;
}

double semcache_measure(const struct bench_options *options, const struct bench_contender *self,
                        void *state)
{
    const struct semcache_asked *asked = self->context;
    struct semcache_rounds *rounds = asked->rounds;
    unsigned round = rounds->n_told[asked->figure]++;

    (void)state;
    if (round == rounds->n_rounds) {
        bench_settle(options);
        bench_in_child(run_round, rounds, rounds->flags);
        rounds->n_rounds++;
    }
    return rounds->figures[round][asked->figure];
}

static double fill(void *context)
{
    const struct semcache_rounds *rounds = context;
    void *db = rounds->peer->open(rounds->path, rounds->data->answers);

    rounds->peer->fill(db);
    rounds->peer->close(db);
    return 0;
}

void semcache_fill(struct semcache_rounds *rounds, const char *dir_name)
{
    bench_dir_make(rounds->data->options, dir_name, rounds->path);
    if (!rounds->peer->is_volatile)
        bench_in_child(fill, rounds, 0);
}

/* Storing ---------------------------------------------------------------------------------------
 */

static const char store_dir[] = "semcache-store";

struct storing {
    const struct semcache_data *data;
    const struct answers_peer *peer;
    char path[BENCH_PATH_BYTES];
};

struct writers {
    const struct answers_peer *peer;
    void *db;
    size_t n_answers;
    double deadline;
    atomic_size_t n_taken;
    atomic_size_t n_stored;
    pthread_barrier_t go;
};

/* Answers are taken in turn, until all are or the time is up. */
static size_t store_some(struct writers *w, void *session, size_t end, double deadline)
{
    size_t n = 0;

    while (bench_now() < deadline) {
        size_t index = atomic_fetch_add(&w->n_taken, 1);
        if (index >= end)
            break;
        w->peer->store(session, index);
        n++;
    }
    return n;
}

static void *run_writer(void *context)
{
    struct writers *w = context;
    void *session = w->peer->session_open(w->db);
    size_t n_warm_up = N_WARM_UP < w->n_answers ? N_WARM_UP : w->n_answers / 2;

    (void)store_some(w, session, n_warm_up, bench_now() + STORE_SECONDS_MAX);
    pthread_barrier_wait(&w->go); /* all are warm */
    pthread_barrier_wait(&w->go); /* the clock runs */
    atomic_fetch_add(&w->n_stored, store_some(w, session, w->n_answers, w->deadline));
    w->peer->session_close(session);
    return NULL;
}

static double store_all(void *context)
{
    const struct storing *storing = context;
    const struct answers *answers = storing->data->answers;
    void *db = storing->peer->open(storing->path, answers);
    struct writers w = {.peer = storing->peer, .db = db, .n_answers = answers->n};
    pthread_t threads[N_WRITERS];

    storing->peer->warm(db, false);
    bench_warm_memory(WARM_MEMORY_BYTES);
    pthread_barrier_init(&w.go, NULL, N_WRITERS + 1);
    for (size_t i = 0; i < N_WRITERS; i++) {
        if (pthread_create(&threads[i], NULL, run_writer, &w) != 0)
            bench_die("cannot start a thread");
    }
    pthread_barrier_wait(&w.go);
    double start = bench_now();
    w.deadline = start + STORE_SECONDS_MAX;
    pthread_barrier_wait(&w.go);
    for (size_t i = 0; i < N_WRITERS; i++)
        pthread_join(threads[i], NULL);
    double elapsed = bench_now() - start;
    pthread_barrier_destroy(&w.go);
    storing->peer->close(db);
    return (double)atomic_load(&w.n_stored) / elapsed;
}

static double measure_store(const struct bench_options *options, const struct bench_contender *self,
                            void *state)
{
    struct storing *storing = (struct storing *)(uintptr_t)self->context;

    (void)state;
    bench_dir_make(options, store_dir, storing->path);
    bench_settle(options);
    double rate = bench_in_child(store_all, storing, 0);
    bench_dir_remove(options, store_dir);
    return rate;
}

static void run_store(const struct semcache_data *data)
{
    static const struct bench_target target = {.of = "mneme", .against = "files", .bound = 10.0};
    struct bench_contender contenders[N_STORERS];
    struct storing storing[N_STORERS];

    for (size_t i = 0; i < N_STORERS; i++) {
        storing[i] = (struct storing){.data = data, .peer = storers[i]};
        contenders[i] = (struct bench_contender){.name = storers[i]->name,
                                                 .settings = storers[i]->settings,
                                                 .context = &storing[i],
                                                 .measure = measure_store};
    }
    bench_run(data->options, &(struct bench_case){
                                 .name = "semcache-store",
                                 .title = "durable stores of 4 KiB and 512 dimensions, 16 writers",
                                 .unit = "answers/s",
                                 .contenders = contenders,
                                 .n_contenders = data->has_redis ? N_STORERS : N_STORERS - 1,
                                 .targets = &target,
                                 .n_targets = 1});
}

/* Loading ---------------------------------------------------------------------------------------
 */

struct load_case {
    const char *name;
    const char *title;
    enum answers_way way;
    bool all;
    bool is_wanted; /* has targets */
};

static const struct load_case load_cases[] = {
    {"semcache-load-id", "warm loads by id, every line of 4 KiB looked at", ANSWERS_BY_ID, true,
     true},
    {"semcache-load-key", "warm loads by exact key, every line of 4 KiB looked at", ANSWERS_BY_KEY,
     true, true},
    {"semcache-first-id", "warm loads by id, the first byte looked at", ANSWERS_BY_ID, false,
     false},
    {"semcache-first-key", "warm loads by exact key, the first byte looked at", ANSWERS_BY_KEY,
     false, false},
};
enum { N_LOAD_CASES = sizeof load_cases / sizeof *load_cases };
_Static_assert(N_LOAD_CASES <= (size_t)SEMCACHE_FIGURES_MAX, "a round has a figure for each");

static struct answers_name *random_names(const struct answers *answers, size_t n)
{
    struct answers_name *names = bench_alloc(n * sizeof *names);
    uint64_t state = 23;

    for (size_t i = 0; i < n; i++)
        names[i] = answers_name(bench_random(&state) % answers->n);
    return names;
}

static double time_loads(const struct semcache_rounds *rounds, void *session,
                         const struct answers_name *names, size_t n, const struct load_case *how)
{
    const struct answers_peer *peer = rounds->peer;
    uint64_t sum = 0, expected = 0;
    size_t n_times = 0;
    double elapsed;
    double start = bench_now();

    do {
        for (size_t i = 0; i < n; i++)
            sum += peer->load(session, &names[i], how->way, how->all);
        n_times++;
        elapsed = bench_now() - start;
    } while (elapsed < LOAD_SECONDS_MIN);
    for (size_t i = 0; i < n; i++)
        expected += answers_see(answers_payload(rounds->data->answers, names[i].index),
                                ANSWERS_PAYLOAD_BYTES, how->all);
    if (sum != n_times * expected)
        bench_die("%s gives other bytes than were stored", peer->name);
    return (double)(n_times * n) / elapsed;
}

static void load_all(const struct semcache_rounds *rounds, double figures_out[SEMCACHE_FIGURES_MAX])
{
    const struct answers_peer *peer = rounds->peer;
    const struct answers *answers = rounds->data->answers;
    size_t n_loads = bench_scaled(rounds->data->options, N_LOADS);
    struct answers_name *names = random_names(answers, n_loads);
    void *db = peer->open(rounds->path, answers);

    if (peer->is_volatile)
        peer->fill(db);
    peer->warm(db, true);
    void *session = peer->session_open(db);
    for (size_t i = 0; i < N_LOAD_CASES; i++) {
        const struct load_case *how = &load_cases[i];
        if (peer->has_one_way && how->way == ANSWERS_BY_KEY)
            figures_out[i] = figures_out[i - 1];
        else
            figures_out[i] = time_loads(rounds, session, names, n_loads, how);
    }
    peer->session_close(session);
    peer->close(db);
    free(names);
}

static void run_load(const struct semcache_data *data, size_t figure,
                     struct semcache_rounds rounds[N_LOADERS])
{
    static const struct bench_target targets[] = {
        {.of = "mneme", .against = "files", .bound = 20.0},
        {.of = "mneme", .against = "redis", .bound = 20.0},
    };
    const struct load_case *how = &load_cases[figure];
    struct bench_contender contenders[N_LOADERS];
    struct semcache_asked asked[N_LOADERS];

    for (size_t i = 0; i < N_LOADERS; i++) {
        asked[i] = (struct semcache_asked){.rounds = &rounds[i], .figure = (unsigned)figure};
        contenders[i] = (struct bench_contender){.name = rounds[i].peer->name,
                                                 .settings = rounds[i].peer->settings,
                                                 .context = &asked[i],
                                                 .measure = semcache_measure};
    }
    bench_run(data->options,
              &(struct bench_case){.name = how->name,
                                   .title = how->title,
                                   .unit = "loads/s",
                                   .contenders = contenders,
                                   .n_contenders = data->has_redis ? N_LOADERS : N_LOADERS - 1,
                                   .targets = targets,
                                   .n_targets = how->is_wanted ? 2 : 0});
}

static const char *dir_name(const struct answers_peer *peer, char name_out[DIR_NAME_BYTES])
{
    snprintf(name_out, DIR_NAME_BYTES, "semcache-%s", peer->name);
    return name_out;
}

static void fill_loaders(struct semcache_rounds rounds[N_LOADERS])
{
    const struct bench_options *options = rounds[0].data->options;
    char name[DIR_NAME_BYTES];
    bool has_loads = false;

    for (size_t i = 0; i < N_LOAD_CASES; i++)
        has_loads = has_loads || bench_wants_case(options, load_cases[i].name);
    for (size_t i = 0; i < N_LOADERS; i++) {
        bool is_wanted = has_loads || (i == 0 && pins_are_wanted(options));
        if (is_wanted && bench_wants_peer(options, loaders[i]->name))
            semcache_fill(&rounds[i], dir_name(loaders[i], name));
    }
}

/* Loads, and what is measured of Mneme alone in the store that was filled for them. */
static void run_filled(const struct semcache_data *data)
{
    const struct bench_options *options = data->options;
    struct semcache_rounds rounds[N_LOADERS];
    char name[DIR_NAME_BYTES];

    for (size_t i = 0; i < N_LOADERS; i++) {
        rounds[i] = (struct semcache_rounds){
            .data = data, .peer = loaders[i], .run = load_all, .flags = BENCH_ONE_CORE};
        semcache_rounds_init(&rounds[i]);
    }
    fill_loaders(rounds);
    bool has_mneme = rounds[0].path[0] != '\0';
    if (has_mneme)
        run_opens(data, rounds[0].path);
    for (size_t i = 0; i < N_LOAD_CASES; i++)
        run_load(data, i, rounds);
    if (has_mneme)
        run_pins(data, rounds[0].path);
    for (size_t i = 0; i < N_LOADERS; i++) {
        bench_dir_remove(options, dir_name(loaders[i], name));
        semcache_rounds_done(&rounds[i]);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options;

    bench_parse(argc, argv, &options);
    struct semcache_data data = {.options = &options, .has_redis = redis_is_there()};
    if (!data.has_redis)
        fprintf(stderr, "redis is left out: there is no program redis-server\n\n");
    data.answers =
        answers_new(bench_scaled(&options, SEMCACHE_ANSWERS), SEMCACHE_CENTRES, SEMCACHE_NEARNESS);
    run_store(&data);
    run_filled(&data);
    answers_free(data.answers);
    if (bench_wants_peer(&options, answers_mneme.name))
        run_lookups(&options);
    return 0;
}
