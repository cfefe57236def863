/*
 * bench.c - options, alternating rounds, medians, the report.
 *
 * Owns:    nothing that outlives a call.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#define _GNU_SOURCE /* nftw, syncfs, madvise */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_DEFAULT = 5, OPEN_DIRS_MAX = 16, TOUCH_BYTES = 4096 };

struct result {
    bool is_measured;
    double median;
    double values[BENCH_ROUNDS_MAX];
};

void bench_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *bench_alloc(size_t n_bytes)
{
    void *memory = calloc(1, n_bytes);
    if (memory == NULL)
        bench_die("out of memory: %zu bytes", n_bytes);
    return memory;
}

double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* SplitMix64: each input gives another output, so ids made from it are unique. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t bench_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(*state);
}

void bench_id(uint64_t index, char id_out[BENCH_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t x = mix(index + 1);

    for (size_t i = 0; i < BENCH_ID_BYTES; i++)
        id_out[i] = digits[(x >> (4 * i)) & 15];
}

float *bench_vectors(size_t n_vectors, size_t n_dims)
{
    float *vectors = bench_alloc(n_vectors * n_dims * sizeof *vectors);
    uint64_t state = 42;

    for (size_t i = 0; i < n_vectors * n_dims; i++)
        vectors[i] = (float)((double)(bench_random(&state) >> 11) * 0x1p-52 - 1.0);
    return vectors;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info;
    (void)type;
    (void)position;
    return remove(path);
}

static void dir_path(const struct bench_options *options, const char *name,
                     char path_out[BENCH_PATH_BYTES])
{
    int n = snprintf(path_out, BENCH_PATH_BYTES, "%s/mneme-bench-%s", options->dir, name);
    if (n < 0 || n >= BENCH_PATH_BYTES)
        bench_die("the path %s is too long", options->dir);
}

void bench_dir_remove(const struct bench_options *options, const char *name)
{
    char path[BENCH_PATH_BYTES];

    dir_path(options, name, path);
    if (nftw(path, remove_entry, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        bench_die("cannot remove %s: %s", path, strerror(errno));
}

void bench_dir_make(const struct bench_options *options, const char *name,
                    char path_out[BENCH_PATH_BYTES])
{
    bench_dir_remove(options, name);
    dir_path(options, name, path_out);
    if (mkdir(path_out, 0777) != 0)
        bench_die("cannot make %s: %s", path_out, strerror(errno));
}

void bench_settle(const struct bench_options *options)
{
    int fd = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) != 0)
        bench_die("cannot sync %s: %s", options->dir, strerror(errno));
    close(fd);
}

void bench_warm_memory(size_t n_bytes)
{
    char *memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        bench_die("out of memory: %zu bytes", n_bytes);
    (void)madvise(memory, n_bytes, MADV_HUGEPAGE); /* only makes it faster */
    for (size_t at = 0; at < n_bytes; at += TOUCH_BYTES)
        memory[at] = 1;
    munmap(memory, n_bytes);
}

size_t bench_scaled(const struct bench_options *options, size_t n)
{
    size_t scaled = n * options->scale_percent / 100;
    return scaled > 0 ? scaled : 1;
}

static unsigned parse_number(const char *option, const char *text, unsigned max)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > max)
        bench_die("%s wants a number from 1 to %u, not '%s'", option, max, text);
    return (unsigned)value;
}

static void print_help(const char *program)
{
    printf("usage: %s [--dir DIR] [--other DIR] [--peer NAMES] [--case NAMES] [--rounds N]\n"
           "       [--scale PERCENT]\n"
           "\n"
           "  --dir DIR       where the data goes (default ./bench-data)\n"
           "  --other DIR     on another file system, for copies (default /dev/shm)\n"
           "  --peer NAMES    measure only these, mneme included only when named\n"
           "  --case NAMES    only these cases, named as in the results\n"
           "                  (several names: with commas between them)\n"
           "  --rounds N      rounds of A B C ..., 1 to %d (default %d); the median counts\n"
           "  --scale PERCENT how much of the full amount of work, 1 to 100 (default 100)\n"
           "\n"
           "JSON on standard output, one object a line; a table on standard error.\n",
           program, BENCH_ROUNDS_MAX, ROUNDS_DEFAULT);
}

void bench_parse(int argc, char **argv, struct bench_options *options_out)
{
    struct bench_options options = {
        .dir = "bench-data",
        .other = "/dev/shm",
        .n_rounds = ROUNDS_DEFAULT,
        .scale_percent = 100,
    };

    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--help") == 0) {
            print_help(argv[0]);
            exit(0);
        }
        if (i + 1 >= argc)
            bench_die("%s: unknown, or its value is missing; see --help", option);
        const char *value = argv[++i];
        if (strcmp(option, "--dir") == 0)
            options.dir = value;
        else if (strcmp(option, "--other") == 0)
            options.other = value;
        else if (strcmp(option, "--peer") == 0)
            options.peers = value;
        else if (strcmp(option, "--case") == 0)
            options.cases = value;
        else if (strcmp(option, "--rounds") == 0)
            options.n_rounds = parse_number(option, value, BENCH_ROUNDS_MAX);
        else if (strcmp(option, "--scale") == 0)
            options.scale_percent = parse_number(option, value, 100);
        else
            bench_die("%s: unknown; see --help", option);
    }
    if (mkdir(options.dir, 0777) != 0 && errno != EEXIST)
        bench_die("cannot make %s: %s", options.dir, strerror(errno));
    *options_out = options;
}

/* Whether a list of --peer or --case has this name. Without a list all are wanted. */
static bool is_selected(const char *names, const char *name)
{
    size_t n = strlen(name);

    if (names == NULL)
        return true;
    for (const char *p = names; p != NULL; p = strchr(p, ',')) {
        if (*p == ',')
            p++;
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    }
    return false;
}

bool bench_wants_case(const struct bench_options *options, const char *name)
{
    return is_selected(options->cases, name);
}

bool bench_wants_peer(const struct bench_options *options, const char *name)
{
    return is_selected(options->peers, name);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void set_median(struct result *result, unsigned n_rounds)
{
    double sorted[BENCH_ROUNDS_MAX];

    memcpy(sorted, result->values, n_rounds * sizeof *sorted);
    qsort(sorted, n_rounds, sizeof *sorted, compare_doubles);
    result->median = n_rounds % 2 == 1 ? sorted[n_rounds / 2]
                                       : (sorted[n_rounds / 2 - 1] + sorted[n_rounds / 2]) / 2;
}

static void print_bounds(const struct result *result, unsigned n_rounds)
{
    double min = result->values[0];
    double max = result->values[0];

    for (unsigned i = 1; i < n_rounds; i++) {
        min = result->values[i] < min ? result->values[i] : min;
        max = result->values[i] > max ? result->values[i] : max;
    }
    fprintf(stderr, "%12.1f - %.1f", min, max);
}

static void report_contender(const struct bench_options *options, const struct bench_case *c,
                             const struct bench_contender *contender, const struct result *result,
                             const struct result *own)
{
    fprintf(stderr, "  %-16s %14.1f ", contender->name, result->median);
    if (own != NULL && own != result)
        fprintf(stderr, "%9.2fx ", own->median / result->median);
    else
        fprintf(stderr, "%10s ", "");
    print_bounds(result, options->n_rounds);
    fputc('\n', stderr);

    printf("{\"case\":\"%s\",\"contender\":\"%s\",\"unit\":\"%s\",\"median\":%.3f,\"rounds\":[",
           c->name, contender->name, c->unit, result->median);
    for (unsigned i = 0; i < options->n_rounds; i++)
        printf("%s%.3f", i > 0 ? "," : "", result->values[i]);
    printf("],\"scale_percent\":%u,\"settings\":\"%s\"}\n", options->scale_percent,
           contender->settings);
}

static const struct result *find_result(const struct bench_case *c, const struct result *results,
                                        const char *name)
{
    for (size_t i = 0; i < c->n_contenders; i++) {
        if (strcmp(c->contenders[i].name, name) == 0)
            return results[i].is_measured ? &results[i] : NULL;
    }
    return NULL;
}

static void report_target(const struct bench_case *c, const struct result *results,
                          const struct bench_target *target)
{
    const struct result *of = find_result(c, results, target->of);
    const struct result *against =
        target->against != NULL ? find_result(c, results, target->against) : NULL;
    double measured = 0;
    bool is_reached = false;

    if (of == NULL || (target->against != NULL && against == NULL))
        return;
    measured = against != NULL ? of->median / against->median : of->median;
    is_reached = target->is_upper_bound ? measured <= target->bound : measured >= target->bound;

    fprintf(stderr, "  %s%s%s: %.2f, wanted at %s %.2f: %s\n", target->of,
            against != NULL ? " / " : "", against != NULL ? target->against : "", measured,
            target->is_upper_bound ? "most" : "least", target->bound,
            is_reached ? "reached" : "MISSED");
    printf("{\"case\":\"%s\",\"target\":\"%s%s%s\",\"wanted\":\"%s\",\"bound\":%.2f,"
           "\"measured\":%.3f,\"reached\":%s}\n",
           c->name, target->of, against != NULL ? "/" : "", against != NULL ? target->against : "",
           target->is_upper_bound ? "at most" : "at least", target->bound, measured,
           is_reached ? "true" : "false");
}

static void report(const struct bench_options *options, const struct bench_case *c,
                   const struct result *results)
{
    const struct result *own = find_result(c, results, "mneme");

    fprintf(stderr, "%s [%s], median of %u rounds", c->title, c->unit, options->n_rounds);
    if (options->scale_percent != 100)
        fprintf(stderr, ", %u %% of the work", options->scale_percent);
    fprintf(stderr, "\n  %-16s %14s %10s %12s\n", "", "median", "mneme/this", "min - max");
    for (size_t i = 0; i < c->n_contenders; i++) {
        if (results[i].is_measured)
            report_contender(options, c, &c->contenders[i], &results[i], own);
    }
    for (size_t i = 0; i < c->n_targets; i++)
        report_target(c, results, &c->targets[i]);
    for (size_t i = 0; i < c->n_contenders; i++) {
        if (results[i].is_measured)
            fprintf(stderr, "    %s: %s\n", c->contenders[i].name, c->contenders[i].settings);
    }
    fputc('\n', stderr);
    fflush(stdout);
}

void bench_run(const struct bench_options *options, const struct bench_case *bench_case)
{
    const struct bench_contender *contenders = bench_case->contenders;
    size_t n = bench_case->n_contenders;
    struct result results[BENCH_CONTENDERS_MAX];
    void *states[BENCH_CONTENDERS_MAX] = {NULL};

    if (!is_selected(options->cases, bench_case->name))
        return;
    if (n > BENCH_CONTENDERS_MAX)
        bench_die("%s has too many contenders", bench_case->name);
    memset(results, 0, sizeof results);
    for (size_t i = 0; i < n; i++) {
        results[i].is_measured = is_selected(options->peers, contenders[i].name);
        if (results[i].is_measured && contenders[i].prepare != NULL)
            states[i] = contenders[i].prepare(options, &contenders[i]);
    }
    for (unsigned round = 0; round < options->n_rounds; round++) {
        for (size_t i = 0; i < n; i++) {
            if (results[i].is_measured)
                results[i].values[round] =
                    contenders[i].measure(options, &contenders[i], states[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (!results[i].is_measured)
            continue;
        if (contenders[i].finish != NULL)
            contenders[i].finish(options, &contenders[i], states[i]);
        set_median(&results[i], options->n_rounds);
    }
    report(options, bench_case, results);
}
