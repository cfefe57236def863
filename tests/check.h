/*
 * check.h - how tests look here: functions without arguments whose names are behaviours.
 *
 *     static void torn_tail_is_dropped(void) { CHECK_EQ(replay_count(), 2); }
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const struct check_test tests[] = {CHECK_TEST(torn_tail_is_dropped)};
 *         return check_run("wal.recovery", tests, sizeof tests / sizeof tests[0], argc, argv);
 *     }
 *
 * A failed check ends its test. Never check inside a thread: hand the result to the main one. An
 * argument on the command line runs only the tests whose name contains it.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mneme/status.h"

struct check_test {
    const char *name;
    void (*run)(void);
};

/* clang-format off */
#define CHECK_TEST(function) {#function, function}
/* clang-format on */
#define CHECK_COUNT(array) (sizeof(array) / sizeof((array)[0]))

int check_run(const char *suite, const struct check_test *tests, size_t n_tests, int argc,
              char **argv);

/* A seed for random tests: the environment variable MNEME_SEED, else a new one. Printed when the
 * running test fails. */
uint64_t check_seed(void);

/* A random number generator (splitmix64) for tests. */
uint64_t check_random(uint64_t *state);
static inline uint64_t check_below(uint64_t *state, uint64_t bound)
{
    return check_random(state) % bound;
}

/* A new empty directory below $TMPDIR or /tmp; removed with all it holds when the process ends
 * well. The string stays valid until then. */
const char *check_temp_dir(void);

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQ(actual, expected)                                                                 \
    check_equal((intmax_t)(actual), (intmax_t)(expected), #actual, __FILE__, __LINE__)
#define CHECK_STATUS(actual, expected)                                                             \
    check_status((actual), (expected), NULL, #actual, __FILE__, __LINE__)
#define CHECK_OK(actual) check_status((actual), MN_OK, NULL, #actual, __FILE__, __LINE__)
#define CHECK_OK_ERR(actual, err) check_status((actual), MN_OK, (err), #actual, __FILE__, __LINE__)
#define CHECK_STR_EQ(actual, expected) check_string((actual), (expected), __FILE__, __LINE__)
#define CHECK_STR_HAS(text, part) check_contains((text), (part), __FILE__, __LINE__)
#define CHECK_MEM_EQ(actual, expected, n)                                                          \
    check_memory((actual), (expected), (n), __FILE__, __LINE__)

/* Ends the running test as one that could not be run here; the report says why. */
void check_skip(const char *why);

void check_that(bool condition, const char *text, const char *file, int line);
void check_equal(intmax_t actual, intmax_t expected, const char *text, const char *file, int line);
void check_status(mn_status actual, mn_status expected, const struct mn_error *err,
                  const char *text, const char *file, int line);
void check_string(const char *actual, const char *expected, const char *file, int line);
void check_contains(const char *text, const char *part, const char *file, int line);
void check_memory(const void *actual, const void *expected, size_t n, const char *file, int line);

#endif
