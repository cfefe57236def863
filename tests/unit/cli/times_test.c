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
        CHECK_TEST(nonsense_is_refused),
    };

    return check_run("cli.times", tests, CHECK_COUNT(tests), argc, argv);
}
