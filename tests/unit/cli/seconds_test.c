/*
 * seconds_test.c - seconds as text are microseconds, exactly.
 */
#include "seconds.h"

#include <string.h>

#include "check.h"

static int64_t us_of(const char *text)
{
    int64_t us = INT64_MIN + 1;

    CHECK(seconds_parse(mn_str(text), &us));
    return us;
}

static bool is_refused(const char *text)
{
    int64_t us;

    return !seconds_parse(mn_str(text), &us);
}

static void numbers_of_every_form_are_read(void)
{
    CHECK_EQ(us_of("0"), 0);
    CHECK_EQ(us_of("-0"), 0);
    CHECK_EQ(us_of("0.0e99"), 0);
    CHECK_EQ(us_of("1"), 1000000);
    CHECK_EQ(us_of("-1.5"), -1500000);
    CHECK_EQ(us_of("0.000001"), 1);
    CHECK_EQ(us_of("1700000000.123456"), 1700000000123456);
    CHECK_EQ(us_of("1.7e9"), 1700000000000000);
    CHECK_EQ(us_of("17E+8"), 1700000000000000);
    CHECK_EQ(us_of("1700000000000000000e-9"), 1700000000000000);
    CHECK_EQ(us_of("0.00000000017e19"), 1700000000000000);
    CHECK_EQ(us_of("100000000000000000000000000000e-29"), 1000000);
}

static void halves_round_away_from_zero(void)
{
    CHECK_EQ(us_of("0.0000005"), 1);
    CHECK_EQ(us_of("0.00000049999999999999999999"), 0);
    CHECK_EQ(us_of("-0.0000005"), -1);
    CHECK_EQ(us_of("5e-7"), 1);
    CHECK_EQ(us_of("5e-8"), 0);
    CHECK_EQ(us_of("9e-99999999999999999999"), 0);
    CHECK_EQ(us_of("1.9999999"), 2000000);
}

static void the_ends_of_the_range_are_exact(void)
{
    CHECK_EQ(us_of("9223372036854.775807"), INT64_MAX);
    CHECK_EQ(us_of("-9223372036854.775808"), INT64_MIN);
    CHECK(is_refused("9223372036854.775808"));
    CHECK(is_refused("9223372036854.7758075"));
    CHECK(is_refused("-9223372036854.775809"));
    CHECK(is_refused("1e14"));
    CHECK(is_refused("1e99999999999999999999"));
    CHECK(is_refused("99999999999999999999999999"));
}

static void what_rounds_to_zero_may_be_negative(void)
{
    static const char *const below[] = {"-1", "-0.0000001", "-1e-400", "-1e400", "-00.01"};
    static const char *const others[] = {"0", "-0", "-0.0", "-0e5", "-0.00E-3", "1", "1e-400"};

    for (size_t i = 0; i < CHECK_COUNT(below); i++)
        CHECK(seconds_is_negative(mn_str(below[i])));
    for (size_t i = 0; i < CHECK_COUNT(others); i++)
        CHECK(!seconds_is_negative(mn_str(others[i])));
}

static void what_is_written_reads_back(void)
{
    static const int64_t fixed[] = {0, 1, -1, 10, 999999, 1000000, -1000000, INT64_MAX, INT64_MIN};
    uint64_t random = check_seed();
    char text[SECONDS_TEXT_BYTES];

    for (size_t i = 0; i < 100000; i++) {
        int64_t us = i < CHECK_COUNT(fixed) ? fixed[i] : (int64_t)check_random(&random);
        if (i % 2 == 1 && i >= CHECK_COUNT(fixed))
            us >>= check_below(&random, 64);
        int64_t back;
        CHECK(seconds_parse(seconds_format(us, text), &back));
        CHECK_EQ(back, us);
    }
}

static void no_digit_is_written_that_says_nothing(void)
{
    char text[SECONDS_TEXT_BYTES];
    struct mn_slice slice = seconds_format(1500000, text);

    CHECK_EQ(slice.n_bytes, 3);
    CHECK_MEM_EQ(slice.data, "1.5", 3);
    slice = seconds_format(-2000000, text);
    CHECK_EQ(slice.n_bytes, 2);
    CHECK_MEM_EQ(slice.data, "-2", 2);
}

static void durations_are_written_in_the_greatest_unit_that_fits(void)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {604800000000, "1w"},
        {86400000000, "1d"},
        {2 * 604800000000 + 86400000000, "15d"},
        {5400000000, "90m"},
        {7200000000, "2h"},
        {1500000, "1.5s"},
        {1, "0.000001s"},
        {INT64_MAX, "9223372036854.775807s"},
    };
    char text[DURATION_TEXT_BYTES];
    int64_t back;

    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        CHECK_STR_EQ(seconds_format_duration(cases[i].us, text), cases[i].text);
        CHECK(seconds_parse_duration(text, &back));
        CHECK_EQ(back, cases[i].us);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(numbers_of_every_form_are_read),
        CHECK_TEST(halves_round_away_from_zero),
        CHECK_TEST(what_rounds_to_zero_may_be_negative),
        CHECK_TEST(the_ends_of_the_range_are_exact),
        CHECK_TEST(what_is_written_reads_back),
        CHECK_TEST(no_digit_is_written_that_says_nothing),
        CHECK_TEST(durations_are_written_in_the_greatest_unit_that_fits),
    };
    return check_run("cli.seconds", tests, CHECK_COUNT(tests), argc, argv);
}
