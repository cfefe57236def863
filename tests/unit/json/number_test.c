/* Tests of src/json/number.c: exact integers; floats and doubles as the C library rounds them. */
#include "check.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

static struct mn_slice span(const char *text)
{
    return mn_str(text);
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t bits_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The same as strtof and strtod, or refused where those overflow. */
static void check_like_strtod(const char *text)
{
    float f = 0;
    double d = 0;
    float expected_f = strtof(text, NULL);
    double expected_d = strtod(text, NULL);
    bool ok_f = mni_json_parse_float(span(text), &f);
    bool ok_d = mni_json_parse_double(span(text), &d);

    if (ok_f != (bool)isfinite(expected_f) ||
        (ok_f && bits_of_float(f) != bits_of_float(expected_f)) ||
        ok_d != (bool)isfinite(expected_d) ||
        (ok_d && bits_of_double(d) != bits_of_double(expected_d)))
        (void)fprintf(stderr, "%s: %a and %a, not %a and %a\n", text, (double)f, d,
                      (double)expected_f, expected_d);
    CHECK_EQ(ok_f, isfinite(expected_f) != 0);
    CHECK_EQ(ok_d, isfinite(expected_d) != 0);
    if (ok_f)
        CHECK_EQ(bits_of_float(f), bits_of_float(expected_f));
    if (ok_d)
        CHECK(bits_of_double(d) == bits_of_double(expected_d));
}

static void integers_are_exact_up_to_their_borders(void)
{
    static const struct {
        const char *text;
        bool is_u64;
        uint64_t u;
        bool is_i64;
        int64_t i;
    } cases[] = {
        {"0", true, 0, true, 0},
        {"-0", false, 0, true, 0},
        {"1", true, 1, true, 1},
        {"-1", false, 0, true, -1},
        {"9007199254740993", true, 9007199254740993, true, 9007199254740993},
        {"9223372036854775807", true, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", true, (uint64_t)INT64_MAX + 1, false, 0},
        {"-9223372036854775807", false, 0, true, -INT64_MAX},
        {"-9223372036854775808", false, 0, true, INT64_MIN},
        {"-9223372036854775809", false, 0, false, 0},
        {"18446744073709551614", true, UINT64_MAX - 1, false, 0},
        {"18446744073709551615", true, UINT64_MAX, false, 0},
        {"18446744073709551616", false, 0, false, 0},
        {"18446744073709551620", false, 0, false, 0},
        {"20000000000000000000", false, 0, false, 0},
        {"99999999999999999999", false, 0, false, 0},
        {"100000000000000000000", false, 0, false, 0},
        {"-99999999999999999999", false, 0, false, 0},
        {"36893488147419103232", false, 0, false, 0},
        {"340282366920938463463374607431768211456", false, 0, false, 0},
        {"1.0", false, 0, false, 0},
        {"1e2", false, 0, false, 0},
        {"1E0", false, 0, false, 0},
        {"", false, 0, false, 0},
        {"-", false, 0, false, 0},
        {"+1", false, 0, false, 0},
        {" 1", false, 0, false, 0},
        {"1 ", false, 0, false, 0},
        {"01", false, 0, false, 0},
        {"1x", false, 0, false, 0},
        {"0x1", false, 0, false, 0},
        {"\"1\"", false, 0, false, 0},
    };

    for (size_t k = 0; k < CHECK_COUNT(cases); k++) {
        uint64_t u = 77;
        int64_t i = 77;
        CHECK_EQ(mni_json_parse_u64(span(cases[k].text), &u), cases[k].is_u64);
        CHECK(u == (cases[k].is_u64 ? cases[k].u : 77));
        CHECK_EQ(mni_json_parse_i64(span(cases[k].text), &i), cases[k].is_i64);
        CHECK(i == (cases[k].is_i64 ? cases[k].i : 77));
    }
}

static void random_integers_read_back(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 100000; round++) {
        char text[32];
        uint64_t u = 0;
        int64_t i = 0;
        uint64_t value = check_random(&seed) >> check_below(&seed, 64);
        (void)snprintf(text, sizeof text, "%" PRIu64, value);
        CHECK(mni_json_parse_u64(span(text), &u) && u == value);
        (void)snprintf(text, sizeof text, "%" PRId64, (int64_t)value);
        CHECK(mni_json_parse_i64(span(text), &i) && i == (int64_t)value);
    }
}

static void chosen_decimals_round_like_strtod(void)
{
    /* clang-format off */
    static const char *const cases[] = {
        "0", "-0", "0.0", "-0.0e5", "0e999999999999999999999", "1", "0.1", "1e-5", "3.4028235e38",
        "3.40282346638528859811704183484516925440e+38", /* FLT_MAX */
        "340282356779733661637539395458142568447",      /* just below the halfway point above it */
        "340282356779733661637539395458142568448",      /* that halfway point: overflows */
        "340282356779733661637539395458142568449", "3.4028236e38", "1e39", "-1e39", "1e308",
        "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1e309",
        "1e400", "-1e400", "1e99999999999999999999", "1e-99999999999999999999", "1.1754944e-38",
        "1.1754943e-38", "1.17549429e-38", "1.17549435082228750797e-38", "1e-45", "1.4e-45",
        "7.006492321624085e-46", "7.006492321624086e-46", "7.00649232162408535461864791644958e-46",
        "7.00649232162408535461864791644959e-46", "7e-46", "1e-46", "2.1019476964872256e-45",
        "5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072011e-308",
        "2.2250738585072014e-308", "16777216", "16777217", "16777217.0000000000000000000001",
        "16777216.9999999999999999999", "16777218", "16777219", "33554434.0", "33554433",
        "9007199254740992", "9007199254740993", "9007199254740993.00000000000000000000000000001",
        "9007199254740992.99999999999999999999", "1.00000005960464477539062500000000",
        "1.00000005960464477539062500000001", "1.00000005960464477539062499999999",
        "1.000000178813934326171875", "1.0000001788139343261718749999999999999999999999999999",
        "0.000000000000000000000000000000000000000000000000000000000000000000000001e72",
        "100000000000000000000000000000000000000000000000000000000000000000000000e-71",
        "8.5e22", "1e22", "1e23", "123456789012345678901234567890e-20", "4.35", "0.3", "2.675",
        "99999999999999999999e-5", "9.9999999999999999999e-5", "0.99999999999999999999",
        "0.9999999999999999999", "9999999999999999999", "9.999999999999999999e1",
        "184467440737095516160e-20",
        "18446744073709551616e-9", "1.8446744073709551616", "0.18446744073709551616",
        "6.0221407599999999e23", "1.448997445238699", "9.5367431640625e-7", "0.5000000298023224",
    };
    /* clang-format on */

    for (size_t i = 0; i < CHECK_COUNT(cases); i++)
        check_like_strtod(cases[i]);
}

static void random_decimals_round_like_strtod(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 1000000; round++) {
        char text[80];
        int n = 0;
        unsigned n_digits = 1 + (unsigned)check_below(&seed, check_below(&seed, 4) == 0 ? 40 : 18);
        unsigned n_before = 1 + (unsigned)check_below(&seed, n_digits);
        if (check_below(&seed, 2) == 0)
            text[n++] = '-';
        bool is_small = check_below(&seed, 2) == 0;
        if (is_small) {
            n_before = 1;
            text[n++] = '0';
        }
        for (unsigned i = is_small ? 1 : 0; i < n_digits; i++) {
            if (i == n_before)
                text[n++] = '.';
            text[n++] = (char)('0' + check_below(&seed, 9) + (i == 0 ? 1 : 0));
        }
        text[n] = '\0';
        if (check_below(&seed, 2) == 0)
            (void)snprintf(text + n, sizeof text - (size_t)n, "e%d",
                           (int)check_below(&seed, 100) - 55);
        check_like_strtod(text);
    }
}

/* Every float, its neighbour and the exact point halfway between them; that point with one unit
 * of its last place more and less. */
static void points_halfway_between_floats_round_like_strtod(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 60000; round++) {
        uint32_t bits = (uint32_t)check_below(&seed, 0x7F7FFFFF);
        if (round % 4 == 0)
            bits &= 0x007FFFFF; /* subnormal */
        double low = (double)float_of_bits(bits);
        double high = (double)float_of_bits(bits + 1);
        char text[256];
        /* Halfway points need at most 150 places after the first digit to be exact. */
        int n = snprintf(text, sizeof text, "%.160e", low / 2 + high / 2);
        check_like_strtod(text);
        char *e = strchr(text, 'e');
        CHECK(n > 0 && e != NULL);
        e[-1] = '1';
        check_like_strtod(text);
        (void)snprintf(text, sizeof text, "%.17e", low / 2 + high / 2);
        check_like_strtod(text);
        (void)snprintf(text, sizeof text, "%.*e", (int)check_below(&seed, 24), low);
        check_like_strtod(text);
    }
}

static void points_halfway_between_doubles_round_like_strtod(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 20000; round++) {
        uint64_t mantissa = (UINT64_C(1) << 53) + (check_random(&seed) >> 11);
        char text[64];
        /* An odd number of 54 bits lies between two doubles. */
        (void)snprintf(text, sizeof text, "%" PRIu64, mantissa | 1);
        check_like_strtod(text);
        (void)snprintf(text, sizeof text, "%" PRIu64 ".%s1", mantissa | 1, "0000000000000000");
        check_like_strtod(text);
    }
}

static void thousands_of_digits_are_not_forgotten(void)
{
    /* 2^-149 / 2 has its last digit at place 150: zeros, then a digit, far behind it. */
    static char text[6000];
    int n = snprintf(text, sizeof text, "%.160f", ldexp(1.0, -150));

    check_like_strtod(text);
    memset(text + n, '0', 4000);
    text[n + 4000] = '\0';
    check_like_strtod(text);
    text[n + 3999] = '1';
    check_like_strtod(text);

    memset(text, '0', 5000);
    (void)memcpy(text, "0.", 2);
    text[4999] = '7';
    (void)snprintf(text + 5000, 16, "e4999");
    check_like_strtod(text);
    memset(text, '9', 5000);
    (void)snprintf(text + 5000, 16, "e-5000");
    check_like_strtod(text);
}

static void every_float_bit_pattern_reads_back_from_nine_digits(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 300000; round++) {
        uint32_t bits = (uint32_t)check_random(&seed);
        float value = float_of_bits(bits);
        char text[32];
        float back = 0;
        if (!isfinite(value))
            continue;
        (void)snprintf(text, sizeof text, "%.8e", (double)value);
        CHECK(mni_json_parse_float(span(text), &back));
        CHECK_EQ(bits_of_float(back), bits);
        (void)snprintf(text, sizeof text, "%.17g", (double)value);
        CHECK(mni_json_parse_float(span(text), &back));
        CHECK_EQ(bits_of_float(back), bits);
    }
}

static void the_locale_does_not_matter(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR", "C.UTF-8"};
    float f = 0;
    double d = 0;

    for (size_t i = 0; i < CHECK_COUNT(names); i++) {
        if (setlocale(LC_ALL, names[i]) == NULL)
            continue;
        CHECK(mni_json_parse_float(span("1.5"), &f) && f == 1.5F);
        CHECK(mni_json_parse_float(span("16777217.5"), &f) && f == 16777218.0F);
        CHECK(mni_json_parse_double(span("1.25e-30"), &d) && d == 1.25e-30);
        CHECK(!mni_json_parse_double(span("1,5"), &d));
    }
    CHECK(setlocale(LC_ALL, "C") != NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(integers_are_exact_up_to_their_borders),
        CHECK_TEST(random_integers_read_back),
        CHECK_TEST(chosen_decimals_round_like_strtod),
        CHECK_TEST(random_decimals_round_like_strtod),
        CHECK_TEST(points_halfway_between_floats_round_like_strtod),
        CHECK_TEST(points_halfway_between_doubles_round_like_strtod),
        CHECK_TEST(thousands_of_digits_are_not_forgotten),
        CHECK_TEST(every_float_bit_pattern_reads_back_from_nine_digits),
        CHECK_TEST(the_locale_does_not_matter),
    };

    return check_run("json.number", tests, CHECK_COUNT(tests), argc, argv);
}
