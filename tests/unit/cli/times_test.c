/*
 * times_test.c - texts of RFC 3339 become microseconds; others are refused.
 *
 * The expected numbers are those of `date -u -d TEXT +%s`.
 */
#include "times.h"

#include "check.h"

static void is_time(const char *text, int64_t us)
{
    int64_t got = -1;

    CHECK(time_parse(text, &got));
    CHECK_EQ(got, us);
}

static void times_are_read(void)
{
    is_time("1970-01-01T00:00:00Z", 0);
    is_time("2026-11-21T08:30:00Z", 1795249800000000);
    is_time("2026-11-21t08:30:00z", 1795249800000000);
    is_time("2026-11-21 09:30:00+01:00", 1795249800000000);
    is_time("2026-11-20T22:00:00-10:30", 1795249800000000);
    is_time("2026-11-21T08:30:00.25Z", 1795249800250000);
    is_time("2026-11-21T08:30:00.1234567Z", 1795249800123456);
    is_time("2000-02-29T23:59:59Z", 951868799000000);
    is_time("2100-03-01T00:00:00Z", 4107542400000000);
    is_time("9999-12-31T23:59:59.999999Z", 253402300799999999);
    is_time("2016-12-31T23:59:60Z", 1483228800000000);
}

static void any_year_is_read_where_asked_for(void)
{
    int64_t us = 0;

    CHECK(time_parse_any("1969-12-31T23:59:59.5Z", &us));
    CHECK_EQ(us, -500000);
    CHECK(time_parse_any("1863-11-19T12:00:00Z", &us));
    CHECK_EQ(us, -3348734400000000);
    CHECK(time_parse_any("0001-01-01T00:00:00Z", &us));
    CHECK_EQ(us, -62135596800000000);
    CHECK(time_parse_any("2026-11-21T08:30:00Z", &us));
    CHECK_EQ(us, 1795249800000000);
    CHECK(!time_parse_any("0000-12-31T23:59:59Z", &us));
    CHECK(!time_parse_any("1863-11-31T12:00:00Z", &us));
}

static void writes(int64_t us, const char *expected)
{
    char text[TIME_TEXT_BYTES];
    int64_t back = 0;

    CHECK_STR_EQ(time_format(us, text), expected);
    CHECK(expected[4] != '-' || (time_parse_any(text, &back) && back == us));
}

static void times_are_written_as_they_are_read(void)
{
    uint64_t random = check_seed();

    writes(0, "1970-01-01T00:00:00Z");
    writes(1795249800000000, "2026-11-21T08:30:00Z");
    writes(1795249800250000, "2026-11-21T08:30:00.25Z");
    writes(-1, "1969-12-31T23:59:59.999999Z");
    writes(-3348734400000000, "1863-11-19T12:00:00Z");
    writes(951868799000000, "2000-02-29T23:59:59Z");
    writes(-62135596800000000, "0001-01-01T00:00:00Z");
    writes(-62135596800000001, "-62135596800000001");
    writes(253402300799999999, "9999-12-31T23:59:59.999999Z");
    writes(253402300800000000, "253402300800000000");
    writes(INT64_MIN, "-9223372036854775808");
    writes(INT64_MAX, "9223372036854775807");
    for (int i = 0; i < 20000; i++) {
        int64_t us = (int64_t)check_below(&random, 315537897600000000) - 62135596800000000;
        char text[TIME_TEXT_BYTES];
        int64_t back = us + 1;
        if (i % 2 == 0)
            us -= us % 86400000000;
        CHECK(time_parse_any(time_format(us, text), &back));
        CHECK_EQ(back, us);
    }
}

static void nonsense_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "2026-11-21",
        "2026-11-21T08:30:00",
        "2026-11-21T08:30Z",
        "2026-11-21T08:30:00.Z",
        "2026-11-21T08:30:00Z ",
        " 2026-11-21T08:30:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T08:60:00Z",
        "2026-11-21T08:30:61Z",
        "2026-11-21T08:30:00+24:00",
        "2026-11-21T08:30:00+0100",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "26-11-21T08:30:00Z",
        "+2026-11-21T08:30:00Z",
        "1795249800",
    };
    int64_t us;

    for (size_t i = 0; i < CHECK_COUNT(texts); i++)
        CHECK(!time_parse(texts[i], &us));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(times_are_read),
        CHECK_TEST(any_year_is_read_where_asked_for),
        CHECK_TEST(times_are_written_as_they_are_read),
        CHECK_TEST(nonsense_is_refused),
    };

    return check_run("cli.times", tests, CHECK_COUNT(tests), argc, argv);
}
