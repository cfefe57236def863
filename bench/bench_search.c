/*
 * bench_search.c - the nearest vectors: how near reading memory a full scan is, how much faster
 * codes are, and what other flat searches need.
 *
 * Owns:    one store at a time, its vectors in memory, and the peers' processes.
 * Threads: one; searches may start another.
 * Fails:   by ending the program with a message: also when two ways of searching differ.
 *
 * All vectors lie in files of the store, which the page cache has and the process has mapped. Each
 * way of searching is checked before it is measured, and warmed by that.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "memory_read.h"
#include "mneme/search.h"
#include "mneme_fill.h"
#include "search_data.h"
#include "search_peer.h"

enum {
    QUERIES_FULL = 16, /* of one measurement; more would only take longer */
    QUERIES_PEER = 8,
    QUERIES_AT_ONCE = 64,
    PASSES = 16, /* over memory */
    RECORDS_PER_COMMIT = 1000,
    SMALL_RECORDS = 1000,
    SMALL_DIMENSIONS = 128,
    SMALL_SEARCHES = 10000,
};

/* A data set, where it lies. */
struct subject {
    const struct bench_options *options;
    struct search_data data;
    mn_store *store; /* owned */
    char store_path[BENCH_PATH_BYTES];
    char files_path[BENCH_PATH_BYTES]; /* what peers need */
    char vectors_path[BENCH_PATH_BYTES + 16];
    char queries_path[BENCH_PATH_BYTES + 16];
    const float *mapped; /* owned: the file of vectors */
};

/* A way of searching: context of a contender. */
struct way {
    const struct subject *subject;
    struct search_peer *peer; /* NULL: Mneme itself */
    unsigned n_threads;
    size_t n_queries;
    size_t n_each; /* queries of one call */
    bool is_full_scan;
};

struct answer {
    float score;
    size_t id_bytes;
    char id[SEARCH_ID_BYTES_MAX];
};

/* Mneme ------------------------------------------------------------------------------------------
 */

static mn_store *create_store(const char *path)
{
    struct mn_options options = {.size = sizeof options, .create = true};
    struct mn_error err;
    mn_store *store = NULL;

    mneme_must(mn_open(path, &options, &store, &err), "open", &err);
    return store;
}

static void close_store(mn_store *store)
{
    struct mn_error err;

    mneme_must(mn_close(store, &err), "close", &err);
}

static void checkpoint(mn_store *store)
{
    struct mn_error err;

    mneme_must(mn_checkpoint(store, &err), "checkpoint", &err);
}

static void put_all(mn_store *store, const struct search_data *data)
{
    struct mn_write_options options = {.size = sizeof options, .ack = MN_ACK_OS};
    struct mn_record *batch = bench_alloc(RECORDS_PER_COMMIT * sizeof *batch);
    char(*ids)[SEARCH_ID_BYTES_MAX] = bench_alloc(RECORDS_PER_COMMIT * sizeof *ids);
    struct mn_error err;

    for (size_t done = 0; done < data->n_records;) {
        size_t n = 0;
        uint64_t n_stored = 0;
        for (; n < RECORDS_PER_COMMIT && done + n < data->n_records; n++) {
            batch[n].id.n_bytes = search_data_id(data, done + n, ids[n]);
            batch[n].id.data = ids[n];
            batch[n].vector = data->vectors + (done + n) * data->n_dims;
            batch[n].n_dims = data->n_dims;
        }
        mneme_must(
            mn_put_batch(store, mneme_namespace(), batch, n, &options, &n_stored, NULL, &err),
            "put_batch", &err);
        done += n;
    }
    free(ids);
    free(batch);
}

/* Searches for `n_each` queries from number `first` on. `answers` is room for as many times
 * SEARCH_RESULTS, or NULL. Adds to `stats_io`, unless NULL. */
static void search_at_once(const struct way *way, mn_store *store, const struct search_data *data,
                           size_t first, struct answer *answers, struct mn_search_stats *stats_io)
{
    struct mn_search_options options = {
        .size = sizeof options, .n_threads = way->n_threads, .full_scan = way->is_full_scan};
    struct mn_search_stats stats = {.size = sizeof stats};
    mn_search *search = NULL;
    struct mn_search_hit hit;
    struct mn_error err;
    mn_status st;
    size_t n = 0;

    mneme_must(mn_search_open(store, mneme_namespace(), data->queries + first * data->n_dims,
                              way->n_each, data->n_dims, SEARCH_RESULTS, &options, &search, &err),
               "search", &err);
    while ((st = mn_search_next(search, &hit, &err)) == MN_OK) {
        if (answers != NULL) {
            answers[n].score = hit.score;
            answers[n].id_bytes = hit.view.id.n_bytes;
            memcpy(answers[n].id, hit.view.id.data, hit.view.id.n_bytes);
        }
        n++;
        mn_view_release(&hit.view);
    }
    if (st != MN_END)
        mneme_must(st, "next", &err);
    if (n != way->n_each * SEARCH_RESULTS)
        bench_die("mneme: %zu results of %zu", n, way->n_each * SEARCH_RESULTS);
    if (stats_io != NULL) {
        mneme_must(mn_search_stats(search, &stats, &err), "stats", &err);
        stats_io->n_scanned += stats.n_scanned * way->n_each;
        stats_io->n_refined += stats.n_refined;
        stats_io->n_fallback += stats.n_fallback * way->n_each;
        stats_io->n_threads = stats.n_threads;
    }
    mn_search_close(search);
}

static double seconds_of_mneme(const struct way *way)
{
    double start = bench_now();

    for (size_t i = 0; i < way->n_queries; i += way->n_each)
        search_at_once(way, way->subject->store, &way->subject->data, i, NULL, NULL);
    return bench_now() - start;
}

/* Agreement --------------------------------------------------------------------------------------
 */

static struct answer *answers_of(const struct way *way, struct mn_search_stats *stats_io)
{
    struct answer *answers = bench_alloc((size_t)SEARCH_QUERIES * SEARCH_RESULTS * sizeof *answers);

    for (size_t i = 0; i < SEARCH_QUERIES; i += way->n_each)
        search_at_once(way, way->subject->store, &way->subject->data, i,
                       answers + i * SEARCH_RESULTS, stats_io);
    return answers;
}

static bool is_id(const struct answer *answer, const char *id, size_t n)
{
    return answer->id_bytes == n && memcmp(answer->id, id, n) == 0;
}

static void check_equal(const char *what, const struct answer *expected,
                        const struct answer *answers)
{
    for (size_t i = 0; i < (size_t)SEARCH_QUERIES * SEARCH_RESULTS; i++) {
        const struct answer *e = &expected[i];
        if (!is_id(&answers[i], e->id, e->id_bytes) ||
            memcmp(&answers[i].score, &e->score, sizeof e->score) != 0)
            bench_die("%s: result %zu of query %zu is not that of the full scan", what,
                      i % SEARCH_RESULTS, i / SEARCH_RESULTS);
    }
}

/* All queries, by codes, full scan, and many at once. Returns what the full scan finds. */
static struct answer *check_mneme(const struct subject *subject, unsigned n_threads)
{
    const struct way full = {
        .subject = subject, .n_threads = n_threads, .n_each = 1, .is_full_scan = true};
    struct way codes = {.subject = subject, .n_threads = n_threads, .n_each = 1};
    struct mn_search_stats stats = {.size = sizeof stats};
    struct answer *expected = answers_of(&full, NULL);
    struct answer *answers = answers_of(&codes, &stats);

    check_equal("search through codes", expected, answers);
    free(answers);
    codes.n_each = QUERIES_AT_ONCE;
    answers = answers_of(&codes, NULL);
    check_equal("many queries at once", expected, answers);
    free(answers);
    fprintf(stderr,
            "search in %s: %d queries agree with the full scan in all ids and bits of scores; "
            "%.2f %% were compared whole, codes were not used for %.2f %%; %u thread(s)\n",
            subject->data.title, SEARCH_QUERIES,
            100.0 * (double)stats.n_refined / (double)stats.n_scanned,
            100.0 * (double)stats.n_fallback / (double)stats.n_scanned, stats.n_threads);
    return expected;
}

/* Other searches round otherwise: where their row is another one, it has to be about as near. */
static void check_peer(const char *name, const struct subject *subject, struct search_peer *peer,
                       const struct answer *expected)
{
    const double tie = 1e-5;
    size_t rows[QUERIES_PEER * SEARCH_RESULTS];
    char id[SEARCH_ID_BYTES_MAX];
    size_t n_ties = 0;

    search_peer_run(peer, 0, QUERIES_PEER, 1, rows);
    for (size_t i = 0; i < QUERIES_PEER * SEARCH_RESULTS; i++) {
        if (rows[i] >= subject->data.n_records)
            bench_die("%s: there is no row %zu", name, rows[i]);
        if (is_id(&expected[i], id, search_data_id(&subject->data, rows[i], id)))
            continue;
        double score = search_data_cosine(&subject->data, rows[i], i / SEARCH_RESULTS);
        if (!(fabs(score - (double)expected[i].score) < tie))
            bench_die("%s: result %zu of query %zu has score %.7f, mneme's has %.7f", name,
                      i % SEARCH_RESULTS, i / SEARCH_RESULTS, score, (double)expected[i].score);
        n_ties++;
    }
    fprintf(stderr, "%s finds the same; another one of about the same score: %zu of %d times\n",
            name, n_ties, QUERIES_PEER * SEARCH_RESULTS);
}

/* Subjects ---------------------------------------------------------------------------------------
 */

static void map_vectors(struct subject *subject)
{
    size_t n_bytes = subject->data.n_records * subject->data.n_dims * sizeof(float);
    int fd = open(subject->vectors_path, O_RDONLY | O_CLOEXEC);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, fd, 0);

    if (mapped == MAP_FAILED)
        bench_die("cannot map %s", subject->vectors_path);
    close(fd);
    subject->mapped = mapped;
}

/* Takes the data. */
static struct subject *new_subject(const struct bench_options *options, struct search_data data)
{
    struct subject *subject = bench_alloc(sizeof *subject);

    subject->options = options;
    subject->data = data;
    bench_dir_make(options, "search", subject->store_path);
    bench_dir_make(options, "search-files", subject->files_path);
    snprintf(subject->vectors_path, sizeof subject->vectors_path, "%s/vectors.f32",
             subject->files_path);
    snprintf(subject->queries_path, sizeof subject->queries_path, "%s/queries.f32",
             subject->files_path);
    search_data_write_units(subject->vectors_path, data.vectors, data.n_records, data.n_dims);
    search_data_write_units(subject->queries_path, data.queries, SEARCH_QUERIES, data.n_dims);
    map_vectors(subject);
    subject->store = create_store(subject->store_path);
    put_all(subject->store, &subject->data);
    checkpoint(subject->store);
    bench_settle(options);
    return subject;
}

static void free_subject(struct subject *subject)
{
    const struct bench_options *options = subject->options;
    const struct search_data *data = &subject->data;

    close_store(subject->store);
    munmap((void *)(uintptr_t)subject->mapped, data->n_records * data->n_dims * sizeof(float));
    search_data_free(&subject->data);
    free(subject);
    bench_dir_remove(options, "search");
    bench_dir_remove(options, "search-files");
}

/* Beside this program, or below where it lies. */
static void own_path(const char *name, char path_out[BENCH_PATH_BYTES])
{
    char self[BENCH_PATH_BYTES / 2] = {0};

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        bench_die("cannot find this program");
    *strrchr(self, '/') = '\0';
    snprintf(path_out, BENCH_PATH_BYTES, "%s/%s", self, name);
}

/* The full scan and memory -----------------------------------------------------------------------
 */

static double vector_bytes(const struct subject *subject)
{
    return (double)(subject->data.n_records * subject->data.n_dims * sizeof(float));
}

static double measure_full(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    const struct way *way = self->context;

    (void)options;
    (void)state;
    return (double)way->n_queries * vector_bytes(way->subject) / seconds_of_mneme(way) / 1e6;
}

static double measure_memory(const struct bench_options *options,
                             const struct bench_contender *self, void *state)
{
    const struct way *way = self->context;
    const struct subject *subject = way->subject;
    size_t n = subject->data.n_records * subject->data.n_dims;
    bool is_mapped = strcmp(self->name, "mapped-read") == 0;
    double seconds = memory_read_seconds(is_mapped ? subject->mapped : subject->data.vectors, n,
                                         way->n_threads, PASSES);

    (void)options;
    (void)state;
    return PASSES * vector_bytes(subject) / seconds / 1e6;
}

static void run_full(const struct subject *subject, const char *name, const char *title,
                     unsigned n_threads)
{
    const struct bench_target target = {
        .of = "mneme", .against = "memory-read", .bound = n_threads == 1 ? 0.9 : 0.75};
    const struct way way = {.subject = subject,
                            .n_threads = n_threads,
                            .n_queries = QUERIES_FULL,
                            .n_each = 1,
                            .is_full_scan = true};
    const struct bench_contender contenders[] = {
        {.name = "mneme",
         .settings = "full_scan; bytes of the vectors; one query at a time",
         .context = &way,
         .measure = measure_full},
        {.name = "memory-read",
         .settings = "adding up as many floats in memory, as many threads, the widest loads",
         .context = &way,
         .measure = measure_memory},
        {.name = "mapped-read",
         .settings = "the same in a mapped file that the page cache has",
         .context = &way,
         .measure = measure_memory},
    };

    bench_run(subject->options, &(struct bench_case){.name = name,
                                                     .title = title,
                                                     .unit = "MB/s",
                                                     .contenders = contenders,
                                                     .n_contenders = 3,
                                                     .targets = &target,
                                                     .n_targets = 1});
}

/* Searches ---------------------------------------------------------------------------------------
 */

static double measure_rate(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    const struct way *way = self->context;
    double seconds = way->peer == NULL
                         ? seconds_of_mneme(way)
                         : search_peer_run(way->peer, 0, way->n_queries, way->n_each, NULL);

    (void)options;
    (void)state;
    return (double)way->n_queries / seconds;
}

/* The contenders of a case; those that are peers and not on this machine are left out. */
struct field {
    const struct subject *subject;
    const struct answer *expected;
    unsigned n_threads;
    size_t n;
    struct way ways[BENCH_CONTENDERS_MAX];
    struct bench_contender contenders[BENCH_CONTENDERS_MAX];
    struct search_peer *peers[BENCH_CONTENDERS_MAX]; /* owned; some NULL */
    size_t n_peers;
};

static void add(struct field *field, const char *name, const char *settings, struct way way)
{
    size_t i = field->n++;

    way.subject = field->subject;
    way.n_threads = field->n_threads;
    field->ways[i] = way;
    field->contenders[i] = (struct bench_contender){
        .name = name, .settings = settings, .context = &field->ways[i], .measure = measure_rate};
}

static struct search_peer *add_peer(struct field *field, const char *name, const char *settings,
                                    const char *const *command)
{
    const struct subject *subject = field->subject;
    char dir[BENCH_PATH_BYTES + 64];

    if (!bench_wants_peer(subject->options, name))
        return NULL;
    snprintf(dir, sizeof dir, "%s/%s", subject->files_path, name);
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        bench_die("cannot make %s: %s", dir, strerror(errno));
    struct search_peer *peer =
        search_peer_open(&(struct search_peer_start){.name = name,
                                                     .command = command,
                                                     .vectors_path = subject->vectors_path,
                                                     .queries_path = subject->queries_path,
                                                     .dir = dir,
                                                     .n_dims = subject->data.n_dims,
                                                     .n_threads = field->n_threads});
    if (peer == NULL)
        return NULL;
    field->peers[field->n_peers++] = peer;
    check_peer(name, subject, peer, field->expected);
    add(field, name, settings, (struct way){.peer = peer, .n_queries = QUERIES_PEER, .n_each = 1});
    return peer;
}

static void add_peers(struct field *field)
{
    char faiss[BENCH_PATH_BYTES], lancedb[BENCH_PATH_BYTES], modules[BENCH_PATH_BYTES];
    char sqlite_vec[BENCH_PATH_BYTES], extension[BENCH_PATH_BYTES];

    own_path("peer_faiss", faiss);
    own_path("peer_lancedb.mjs", lancedb);
    own_path("peer_sqlite_vec", sqlite_vec);
    own_path("fetched/node_modules", modules);
    own_path("fetched/node_modules/sqlite-vec-linux-x64/vec0.so", extension);
    struct search_peer *peer =
        add_peer(field, "faiss",
                 "IndexFlatIP of Debian's libfaiss, a generic build without AVX; vectors of length "
                 "1; one query at a time, for which it uses one thread",
                 (const char *const[]){faiss, NULL});
    if (peer != NULL)
        add(field, "faiss-64", "the same, 64 queries in one call: by way of BLAS",
            (struct way){.peer = peer, .n_queries = QUERIES_AT_ONCE, .n_each = QUERIES_AT_ONCE});
    add_peer(field, "lancedb",
             "npm @lancedb/lancedb, no index; dot product of vectors of length 1; from Node, one "
             "query at a time",
             (const char *const[]){"node", lancedb, modules, NULL});
    add_peer(field, "sqlite-vec",
             "npm sqlite-vec, vec0 of float, its distance of vectors of length 1; SQLite with a "
             "cache of 2 GiB; one thread, one query at a time",
             (const char *const[]){sqlite_vec, extension, NULL});
}

static void run_searches(const struct subject *subject, const char *name, const char *title,
                         unsigned n_threads, const struct answer *expected)
{
    const struct bench_target targets[] = {
        {.of = "mneme", .against = "mneme-full", .bound = 2.5},
        {.of = "mneme-64", .against = "mneme", .bound = 4},
        {.of = "mneme", .against = "faiss", .bound = 12},
        {.of = "mneme", .against = "lancedb", .bound = 3},
        {.of = "mneme", .against = "sqlite-vec", .bound = 3},
    };
    struct field *field = bench_alloc(sizeof *field);

    *field = (struct field){.subject = subject, .expected = expected, .n_threads = n_threads};
    add(field, "mneme",
        "defaults; mn_search_open, its results, mn_search_close; cosine, 10 results",
        (struct way){.n_queries = SEARCH_QUERIES, .n_each = 1});
    add(field, "mneme-full", "the same with full_scan",
        (struct way){.n_queries = QUERIES_FULL, .n_each = 1, .is_full_scan = true});
    add(field, "mneme-64", "64 queries in one call",
        (struct way){.n_queries = SEARCH_QUERIES, .n_each = QUERIES_AT_ONCE});
    add_peers(field);
    /* sqlite-vec has one thread. Beside two of Mneme it is reported only. */
    bench_run(subject->options, &(struct bench_case){.name = name,
                                                     .title = title,
                                                     .unit = "queries/s",
                                                     .contenders = field->contenders,
                                                     .n_contenders = field->n,
                                                     .targets = targets,
                                                     .n_targets = n_threads == 1 ? 5 : 4});
    for (size_t i = 0; i < field->n_peers; i++)
        search_peer_close(field->peers[i]);
    free(field);
}

/* One data set, one or two threads ----------------------------------------------------------------
 */

struct names {
    char full[64];
    char full_title[256];
    char search[64];
    char search_title[256];
};

static struct names names_of(const char *data_name, const char *data_title, unsigned n_threads)
{
    const char *threads = n_threads == 1 ? "1 thread" : "2 threads";
    struct names names;

    snprintf(names.full, sizeof names.full, "search-full-%s-%u", data_name, n_threads);
    snprintf(names.search, sizeof names.search, "search-%s-%u", data_name, n_threads);
    snprintf(names.full_title, sizeof names.full_title, "full scan of %s, %s", data_title, threads);
    snprintf(names.search_title, sizeof names.search_title, "search in %s, %s", data_title,
             threads);
    return names;
}

static bool is_wanted(const struct bench_options *options, const char *name, unsigned n_threads)
{
    struct names names = names_of(name, "", n_threads);

    return bench_wants_case(options, names.full) || bench_wants_case(options, names.search);
}

/* Takes the data. */
static void run_data(const struct bench_options *options, struct search_data data)
{
    struct subject *subject = new_subject(options, data);

    for (unsigned n_threads = 1; n_threads <= 2; n_threads++) {
        struct names names = names_of(data.name, data.title, n_threads);
        if (!is_wanted(options, data.name, n_threads))
            continue;
        struct answer *expected = check_mneme(subject, n_threads);
        if (bench_wants_case(options, names.full))
            run_full(subject, names.full, names.full_title, n_threads);
        if (bench_wants_case(options, names.search))
            run_searches(subject, names.search, names.search_title, n_threads, expected);
        free(expected);
    }
    free_subject(subject);
}

static bool is_data_wanted(const struct bench_options *options, const char *name)
{
    return is_wanted(options, name, 1) || is_wanted(options, name, 2);
}

static void run_clustered(const struct bench_options *options, const char *name, const char *title,
                          size_t n_records, uint32_t n_dims)
{
    if (is_data_wanted(options, name))
        run_data(options,
                 search_data_clustered(name, title, bench_scaled(options, n_records), n_dims));
}

static void run_words(const struct bench_options *options)
{
    struct search_data data;
    char dir[BENCH_PATH_BYTES];

    if (!is_data_wanted(options, "glove"))
        return;
    own_path("fetched", dir);
    if (search_data_words(dir, "glove", "341,479 word vectors of 100 dimensions", options, &data))
        run_data(options, data);
    else
        fprintf(stderr, "search in word vectors is left out: bench/fetch has not left them in %s\n",
                dir);
}

/* A small namespace ------------------------------------------------------------------------------
 */

struct small {
    struct search_data data;
    mn_store *store;
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double measure_small(const struct bench_options *options, const struct bench_contender *self,
                            void *state)
{
    const struct way way = {.n_each = 1};
    const struct small *small = state;
    size_t n = bench_scaled(options, SMALL_SEARCHES);
    double *seconds = bench_alloc(n * sizeof *seconds);

    (void)self;
    for (size_t i = 0; i < n; i++) {
        double start = bench_now();
        search_at_once(&way, small->store, &small->data, i % SEARCH_QUERIES, NULL, NULL);
        seconds[i] = bench_now() - start;
    }
    qsort(seconds, n, sizeof *seconds, compare_doubles);
    double median = seconds[n / 2];
    free(seconds);
    return median * 1e6;
}

static void *prepare_small(const struct bench_options *options, const struct bench_contender *self)
{
    struct small *small = bench_alloc(sizeof *small);
    char dir_name[64];
    char path[BENCH_PATH_BYTES];

    snprintf(dir_name, sizeof dir_name, "search-small-%s", self->name);
    bench_dir_make(options, dir_name, path);
    small->data = search_data_clustered("small", "", SMALL_RECORDS, SMALL_DIMENSIONS);
    small->store = create_store(path);
    put_all(small->store, &small->data);
    if (strcmp(self->name, "mneme") == 0)
        checkpoint(small->store);
    return small;
}

static void finish_small(const struct bench_options *options, const struct bench_contender *self,
                         void *state)
{
    struct small *small = state;
    char dir_name[64];

    close_store(small->store);
    search_data_free(&small->data);
    free(small);
    snprintf(dir_name, sizeof dir_name, "search-small-%s", self->name);
    bench_dir_remove(options, dir_name);
}

static void run_small(const struct bench_options *options)
{
    static const struct bench_target target = {.of = "mneme", .bound = 50, .is_upper_bound = true};
    const struct bench_contender contenders[] = {
        {.name = "mneme",
         .settings = "defaults, after a checkpoint; mn_search_open, its results, mn_search_close",
         .prepare = prepare_small,
         .measure = measure_small,
         .finish = finish_small},
        {.name = "mneme-buffer",
         .settings = "the same before the checkpoint",
         .prepare = prepare_small,
         .measure = measure_small,
         .finish = finish_small},
    };

    bench_run(options, &(struct bench_case){.name = "search-small",
                                            .title = "search in 1,000 records of 128 dimensions",
                                            .unit = "us",
                                            .contenders = contenders,
                                            .n_contenders = 2,
                                            .targets = &target,
                                            .n_targets = 1});
}

int main(int argc, char **argv)
{
    struct bench_options options;

    bench_parse(argc, argv, &options);
    run_words(&options);
    run_clustered(&options, "128", "1,000,000 clustered vectors of 128 dimensions", 1000000, 128);
    run_clustered(&options, "768", "300,000 clustered vectors of 768 dimensions", 300000, 768);
    run_small(&options);
    return 0;
}
