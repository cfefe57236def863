/*
 * check.c - the test macros, on cmocka.
 *
 * Owns:    the temporary directory and the seed of the process.
 * Threads: the main one only.
 * Fails:   a failed check ends the running test.
 */
#define _XOPEN_SOURCE 700
#include "check.h"

#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t seed;
static bool seed_was_used;
static char temp_root[512];

/* The names given out; they live until all tests have run. */
struct temp_dir {
    struct temp_dir *next;
    char path[600];
};
static struct temp_dir *temp_dirs;

static void say_seed(void)
{
    if (seed_was_used)
        print_error("    run again with MNEME_SEED=%" PRIu64 "\n", seed);
}

static void fail_at(const char *file, int line)
{
    say_seed();
    _fail(file, line);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void run_one(void **state)
{
    const struct check_test *test = *state;
    test->run();
}

int check_run(const char *suite, const struct check_test *tests, size_t n_tests, int argc,
              char **argv)
{
    struct CMUnitTest *units = calloc(n_tests, sizeof *units);
    size_t n = 0;

    if (units == NULL)
        return 1;
    for (size_t i = 0; i < n_tests; i++) {
        if (argc > 1 && strstr(tests[i].name, argv[1]) == NULL)
            continue;
        units[n].name = tests[i].name;
        units[n].test_func = run_one;
        units[n].initial_state = (void *)(uintptr_t)&tests[i];
        n++;
    }
    int n_failed = _cmocka_run_group_tests(suite, units, n, NULL, NULL);
    free(units);
    if (temp_root[0] != '\0' && n_failed == 0)
        (void)nftw(temp_root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    while (temp_dirs != NULL) {
        struct temp_dir *next = temp_dirs->next;
        free(temp_dirs);
        temp_dirs = next;
    }
    return n_failed == 0 ? 0 : 1;
}

uint64_t check_seed(void)
{
    if (!seed_was_used) {
        const char *text = getenv("MNEME_SEED");
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        seed = text != NULL ? strtoull(text, NULL, 10)
                            : (uint64_t)now.tv_sec * 1000003U + (uint64_t)now.tv_nsec;
        seed_was_used = true;
    }
    return seed;
}

uint64_t check_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

const char *check_temp_dir(void)
{
    static unsigned n_dirs;
    const char *base = getenv("TMPDIR");

    if (temp_root[0] == '\0') {
        (void)snprintf(temp_root, sizeof temp_root, "%s/mneme-test-XXXXXX",
                       base != NULL ? base : "/tmp");
        if (mkdtemp(temp_root) == NULL) {
            print_error("cannot make %s\n", temp_root);
            exit(1);
        }
    }
    struct temp_dir *dir = malloc(sizeof *dir);
    if (dir == NULL)
        exit(1);
    (void)snprintf(dir->path, sizeof dir->path, "%s/%u", temp_root, n_dirs++);
    if (mkdir(dir->path, 0700) != 0)
        exit(1);
    dir->next = temp_dirs;
    temp_dirs = dir;
    return dir->path;
}

void check_skip(const char *why)
{
    print_message("    skipped: %s\n", why);
    skip();
}

void check_that(bool condition, const char *text, const char *file, int line)
{
    if (condition)
        return;
    print_error("    not true: %s\n", text);
    fail_at(file, line);
}

void check_equal(intmax_t actual, intmax_t expected, const char *text, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("    %s is %" PRIdMAX ", expected %" PRIdMAX "\n", text, actual, expected);
    fail_at(file, line);
}

void check_status(mn_status actual, mn_status expected, const struct mn_error *err,
                  const char *text, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("    %s is %s, expected %s%s%s\n", text, mn_status_name(actual),
                mn_status_name(expected), err != NULL ? ": " : "", err != NULL ? err->message : "");
    fail_at(file, line);
}

void check_string(const char *actual, const char *expected, const char *file, int line)
{
    if (strcmp(actual, expected) == 0)
        return;
    print_error("    text is     \"%s\"\n    expected is \"%s\"\n", actual, expected);
    fail_at(file, line);
}

void check_contains(const char *text, const char *part, const char *file, int line)
{
    if (strstr(text, part) != NULL)
        return;
    print_error("    \"%s\" does not contain \"%s\"\n", text, part);
    fail_at(file, line);
}

void check_memory(const void *actual, const void *expected, size_t n, const char *file, int line)
{
    if (n == 0 || memcmp(actual, expected, n) == 0)
        return;
    print_error("    %zu bytes differ\n", n);
    fail_at(file, line);
}
