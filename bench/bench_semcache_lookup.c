/*
 * bench_semcache_lookup.c - looking up by meaning: how long it takes, and what it misses.
 *
 * Every answer of a look-up is compared with the nearest one of all, by cosines of the embeddings
 * as they were before they were stored.
 *
 * Owns:    the directory of a store.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "answers_mneme.h"
#include "answers_truth.h"
#include "bench_semcache.h"
#include "child.h"
#include "mneme_fill.h"

enum {
    N_QUERIES = 1000, /* that have an answer, and as many that have none */
    N_WARM_UP = 100,
    DENSE_CENTRES = 100,
    NAME_BYTES = 40,
};

enum { LOOKUP_MEDIAN, LOOKUP_P99, LOOKUP_FAR_MEDIAN, LOOKUP_FAR_P99 };

static const double min_similarity = 0.8;
static const double paraphrase_cosine = 0.9;
static const double far_cosine = 0.6;
static const double tolerance = 0.001; /* binary16 */

static const char dir_name[] = "semcache-lookup";

/* Answers that lie closer to each other or less close. */
struct subject {
    const char *suffix; /* of the names of cases */
    const char *title;
    size_t n_centres;
    double nearness;
    bool is_wanted; /* has targets */
};

static const struct subject subjects[] = {
    {"", "", SEMCACHE_CENTRES, SEMCACHE_NEARNESS, true},
    {"-dense", ", 1,000 near each", DENSE_CENTRES, 0.9, false},
};
enum { N_SUBJECTS = sizeof subjects / sizeof *subjects };

struct queries {
    float *near; /* owned; N_QUERIES vectors, about the same as an answer's question */
    float *far;  /* owned */
    float *near_best;
    uint64_t *ids;  /* owned; of all answers */
    double *recall; /* owned, shared with children: percent */
};

struct found {
    enum mn_semcache_kind kind;
    uint64_t id;
    float score;
    double seconds;
};

static struct found look_up(mn_store *store, const float *vector)
{
    struct mn_semcache_query query = {.size = sizeof query,
                                      .n_dims = ANSWERS_DIMS,
                                      .embedding = vector,
                                      .min_similarity = (float)min_similarity};
    struct mn_semcache_result result = {.size = sizeof result};
    struct mn_error err;
    double start = bench_now();

    mneme_must(mn_semcache_lookup(store, ANSWERS_TENANT, &query, &result, &err), "lookup", &err);
    struct found found = {.kind = result.kind, .id = result.handle.id, .score = result.score};
    mn_semcache_release(&result.handle);
    found.seconds = bench_now() - start;
    return found;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Looks up all, and gives median and 99th percentile in microseconds. */
static void look_up_all(mn_store *store, const float *vectors, struct found *found,
                        double *median_out, double *p99_out)
{
    double seconds[N_QUERIES];

    for (size_t i = 0; i < N_QUERIES; i++) {
        found[i] = look_up(store, vectors + i * ANSWERS_DIMS);
        seconds[i] = found[i].seconds;
    }
    qsort(seconds, N_QUERIES, sizeof *seconds, compare_doubles);
    *median_out = seconds[N_QUERIES / 2] * 1e6;
    *p99_out = seconds[N_QUERIES / 100 * 99] * 1e6;
}

static double cosine_of(const struct queries *queries, const struct answers *answers, uint64_t id,
                        const float *vector)
{
    for (size_t i = 0; i < answers->n; i++) {
        if (queries->ids[i] == id)
            return (double)answers_cosine(answers->embeddings + i * ANSWERS_DIMS, vector);
    }
    bench_die("mneme: there is no answer with this id");
}

/* Percent of the questions whose nearest answer is above the threshold, and was found. */
static double recall_of(const struct queries *queries, const struct answers *answers,
                        const struct found *found)
{
    size_t n_there = 0, n_found = 0;

    for (size_t i = 0; i < N_QUERIES; i++) {
        double best = (double)queries->near_best[i];
        bool is_there = best >= min_similarity + tolerance;
        n_there += is_there;
        if (found[i].kind != MN_SEMCACHE_SEMANTIC)
            continue;
        double cosine = cosine_of(queries, answers, found[i].id, queries->near + i * ANSWERS_DIMS);
        if (fabs(cosine - (double)found[i].score) > tolerance)
            bench_die("mneme: a score is %f, the cosine is %f", (double)found[i].score, cosine);
        if (cosine < min_similarity - tolerance)
            bench_die("mneme: an answer at %f is below the threshold", cosine);
        n_found += is_there && cosine >= best - tolerance;
    }
    return 100.0 * (double)n_found / (double)n_there;
}

static void look_up_round(const struct semcache_rounds *rounds,
                          double figures_out[SEMCACHE_FIGURES_MAX])
{
    const struct queries *queries = rounds->context;
    const struct answers *answers = rounds->data->answers;
    struct found *found = bench_alloc(N_QUERIES * sizeof *found);
    mn_store *store = answers_mneme_open(rounds->path, 0);

    answers_mneme_read(store, answers->n);
    for (size_t i = 0; i < N_WARM_UP; i++)
        (void)look_up(store, queries->near + i * ANSWERS_DIMS);
    look_up_all(store, queries->near, found, &figures_out[LOOKUP_MEDIAN], &figures_out[LOOKUP_P99]);
    *queries->recall = recall_of(queries, answers, found);
    look_up_all(store, queries->far, found, &figures_out[LOOKUP_FAR_MEDIAN],
                &figures_out[LOOKUP_FAR_P99]);
    for (size_t i = 0; i < N_QUERIES; i++) {
        if (found[i].kind != MN_SEMCACHE_MISS)
            bench_die("mneme: there is an answer where there should be none");
    }
    answers_mneme_close(store);
    free(found);
}

static void make_queries(const struct answers *answers, struct queries *queries_out)
{
    float *far_best = bench_alloc(N_QUERIES * sizeof *far_best);
    uint64_t state = 29;

    *queries_out = (struct queries){
        .near = bench_alloc((size_t)N_QUERIES * ANSWERS_DIMS * sizeof(float)),
        .far = bench_alloc((size_t)N_QUERIES * ANSWERS_DIMS * sizeof(float)),
        .near_best = bench_alloc(N_QUERIES * sizeof(float)),
        .ids = bench_alloc(answers->n * sizeof(uint64_t)),
        .recall = bench_shared_new(sizeof(double)),
    };
    for (size_t i = 0; i < N_QUERIES; i++) {
        answers_near(answers, bench_random(&state) % answers->n, paraphrase_cosine, &state,
                     queries_out->near + i * ANSWERS_DIMS);
        answers_near(answers, bench_random(&state) % answers->n, far_cosine, &state,
                     queries_out->far + i * ANSWERS_DIMS);
    }
    for (size_t i = 0; i < answers->n; i++)
        queries_out->ids[i] = answers_name(i).id;
    answers_best(answers, queries_out->near, N_QUERIES, queries_out->near_best);
    answers_best(answers, queries_out->far, N_QUERIES, far_best);
    for (size_t i = 0; i < N_QUERIES; i++) {
        if ((double)far_best[i] >= min_similarity - tolerance)
            bench_die("a question that should be far from all answers is not");
    }
    free(far_best);
}

static void free_queries(struct queries *queries)
{
    free(queries->near);
    free(queries->far);
    free(queries->near_best);
    free(queries->ids);
    bench_shared_free(queries->recall, sizeof(double));
}

/* The rounds have been measured with the times, or are now. */
static double measure_recall(const struct bench_options *options,
                             const struct bench_contender *self, void *state)
{
    const struct semcache_asked *asked = self->context;
    const struct queries *queries = asked->rounds->context;

    if (asked->rounds->n_rounds == 0)
        (void)semcache_measure(options, self, state);
    return *queries->recall;
}

static void run_times(const struct subject *subject, struct semcache_rounds *rounds,
                      const char *name, const char *title, unsigned first_figure, bool is_wanted)
{
    static const struct bench_target target = {
        .of = "mneme", .bound = 2000, .is_upper_bound = true};
    char full_name[NAME_BYTES], full_title[2 * NAME_BYTES];
    const struct semcache_asked near = {rounds, first_figure};
    const struct semcache_asked far = {rounds, first_figure + LOOKUP_FAR_MEDIAN};
    const struct bench_contender contenders[] = {
        {.name = "mneme",
         .settings = "defaults (50 candidates, 5 refined); min_similarity 0.8; questions at about "
                     "0.9 from a stored one",
         .context = &near,
         .measure = semcache_measure},
        {.name = "mneme-far",
         .settings = "questions at about 0.6 from a stored one: all are misses",
         .context = &far,
         .measure = semcache_measure},
    };

    snprintf(full_name, sizeof full_name, "%s%s", name, subject->suffix);
    snprintf(full_title, sizeof full_title, "%s%s", title, subject->title);
    bench_run(rounds->data->options, &(struct bench_case){.name = full_name,
                                                          .title = full_title,
                                                          .unit = "us",
                                                          .contenders = contenders,
                                                          .n_contenders = 2,
                                                          .targets = &target,
                                                          .n_targets = is_wanted ? 1 : 0});
}

static void run_recall(const struct subject *subject, struct semcache_rounds *rounds)
{
    static const struct bench_target target = {.of = "mneme", .bound = 99};
    char name[NAME_BYTES], title[2 * NAME_BYTES];
    const struct semcache_asked asked = {rounds, LOOKUP_MEDIAN};
    const struct bench_contender contender = {
        .name = "mneme",
        .settings = "the nearest of all answers is found, where it is above 0.8",
        .context = &asked,
        .measure = measure_recall};

    snprintf(name, sizeof name, "semcache-recall%s", subject->suffix);
    snprintf(title, sizeof title, "nearest answers that are found%s", subject->title);
    bench_run(rounds->data->options, &(struct bench_case){.name = name,
                                                          .title = title,
                                                          .unit = "%",
                                                          .contenders = &contender,
                                                          .n_contenders = 1,
                                                          .targets = &target,
                                                          .n_targets = subject->is_wanted ? 1 : 0});
}

static bool is_wanted(const struct bench_options *options, const struct subject *subject)
{
    static const char *const names[] = {"semcache-lookup", "semcache-lookup-p99",
                                        "semcache-recall"};
    char name[NAME_BYTES];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s%s", names[i], subject->suffix);
        if (bench_wants_case(options, name))
            return true;
    }
    return false;
}

void run_lookups(const struct bench_options *options)
{
    for (size_t i = 0; i < N_SUBJECTS; i++) {
        const struct subject *subject = &subjects[i];
        if (!is_wanted(options, subject))
            continue;
        struct queries queries;
        struct semcache_data data = {
            .options = options,
            .answers = answers_new(bench_scaled(options, SEMCACHE_ANSWERS), subject->n_centres,
                                   subject->nearness),
        };
        struct semcache_rounds rounds = {
            .data = &data, .peer = &answers_mneme, .run = look_up_round, .context = &queries};
        make_queries(data.answers, &queries);
        semcache_rounds_init(&rounds);
        semcache_fill(&rounds, dir_name);
        run_times(subject, &rounds, "semcache-lookup", "median of a look-up by meaning",
                  LOOKUP_MEDIAN, subject->is_wanted);
        run_times(subject, &rounds, "semcache-lookup-p99", "99th percentile of a look-up",
                  LOOKUP_P99, false);
        run_recall(subject, &rounds);
        semcache_rounds_done(&rounds);
        bench_dir_remove(options, dir_name);
        free_queries(&queries);
        answers_free(data.answers);
    }
}
