/* Tests of src/json/print.c: the shortest digits, and the same bits again. */
#include "check.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json_private.h"

static void print_float(float value, char text[MNI_JSON_FLOAT_CHARS_MAX + 1])
{
    text[mni_json_print_float(value, text)] = '\0';
}

static void print_double(double value, char text[MNI_JSON_DOUBLE_CHARS_MAX + 1])
{
    text[mni_json_print_double(value, text)] = '\0';
}

/* Significant digits of a printed number, without zeros at the end. */
static size_t count_digits(const char *text)
{
    size_t n = 0;
    size_t n_kept = 0;

    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
            continue;
        n++;
        n_kept = *text == '0' ? n_kept : n;
    }
    return n_kept;
}

static void check_float(uint32_t bits)
{
    float value;
    float back = 0;
    char text[MNI_JSON_FLOAT_CHARS_MAX + 1];
    char naive[40];

    memcpy(&value, &bits, sizeof value);
    print_float(value, text);
    CHECK(mni_json_parse_float(mn_str(text), &back));
    CHECK_MEM_EQ(&back, &value, sizeof value);
    back = strtof(text, NULL);
    CHECK_MEM_EQ(&back, &value, sizeof value);
    int n = 1;
    do
        (void)snprintf(naive, sizeof naive, "%.*e", n - 1, (double)value);
    while (strtof(naive, NULL) != value && ++n <= 9);
    CHECK_EQ(count_digits(text), count_digits(naive));
    /* The same decimal, not only as many digits. */
    CHECK(strtod(text, NULL) == strtod(naive, NULL));
}

static void check_double(double value)
{
    char text[MNI_JSON_DOUBLE_CHARS_MAX + 1];
    char naive[40];
    double back = 0;
    int n = 1;

    print_double(value, text);
    CHECK(mni_json_parse_double(mn_str(text), &back));
    CHECK_MEM_EQ(&back, &value, sizeof value);
    do
        (void)snprintf(naive, sizeof naive, "%.*e", n - 1, value);
    while (strtod(naive, NULL) != value && ++n <= 17);
    CHECK_EQ(count_digits(text), count_digits(naive));
}

static void numbers_look_the_way_people_write_them(void)
{
    static const struct {
        float value;
        const char *text;
    } floats[] = {
        {0.0F, "0"},
        {-0.0F, "-0.0"},
        {1.0F, "1"},
        {-1.5F, "-1.5"},
        {0.1F, "0.1"},
        {0.3F, "0.3"},
        {100.0F, "100"},
        {16777216.0F, "16777216"},
        {0.001F, "0.001"},
        {1e-5F, "0.00001"},
        {1e-6F, "1e-6"},
        {1.5e-7F, "1.5e-7"},
        {1e15F, "1000000000000000"},
        {1e16F, "1e16"},
        {1.25e20F, "1.25e20"},
        {FLT_MAX, "3.4028235e38"},
        {FLT_MIN, "1.1754944e-38"},
        {FLT_TRUE_MIN, "1e-45"},
        {-3.25F, "-3.25"},
        {0.33333334F, "0.33333334"},
        {123456.79F, "123456.79"},
        {8388608.5F, "8388608"},
        {9.9999999e9F, "10000000000"},
        {0.5F, "0.5"},
        {2.0F, "2"},
        {0.0078125F, "0.0078125"},
    };
    static const struct {
        double value;
        const char *text;
    } doubles[] = {
        {0.0, "0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {1e15, "1000000000000000"},
        {1e16, "1e16"},
        {1e22, "1e22"},
        {1e23, "1e23"},
        {9007199254740993.0, "9007199254740992"},
        {DBL_MAX, "1.7976931348623157e308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {DBL_TRUE_MIN, "5e-324"},
        {-42.0, "-42"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1700000000.25, "1700000000.25"},
        {123456789012345680.0, "1.2345678901234568e17"},
        {-2.5e-9, "-2.5e-9"},
    };
    char text[MNI_JSON_DOUBLE_CHARS_MAX + 1];

    for (size_t i = 0; i < CHECK_COUNT(floats); i++) {
        print_float(floats[i].value, text);
        CHECK_STR_EQ(text, floats[i].text);
    }
    for (size_t i = 0; i < CHECK_COUNT(doubles); i++) {
        print_double(doubles[i].value, text);
        CHECK_STR_EQ(text, doubles[i].text);
    }
}

static void random_float_bit_patterns_are_shortest_and_read_back(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 300000; round++) {
        uint32_t bits = (uint32_t)check_random(&seed);
        if ((bits >> 23 & 0xFF) != 0xFF)
            check_float(bits);
    }
}

static void floats_of_embeddings_are_shortest_and_read_back(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 100000; round++) {
        float value = ((float)check_below(&seed, 1 << 24) / (float)(1 << 23) - 1.0F) * 0.2F;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        check_float(bits);
    }
}

static void every_power_of_two_and_its_neighbours_are_shortest(void)
{
    for (uint32_t exponent = 0; exponent < 255; exponent++) {
        uint32_t bits = exponent << 23;
        check_float(bits + 1);
        check_float(bits + 2);
        check_float(bits | 0x7FFFFF);
        check_float(bits | 0x80000000);
        if (exponent > 0)
            check_float(bits - 1);
    }
    for (uint32_t bits = 0; bits < 3000; bits++)
        check_float(bits); /* the smallest */
    for (int i = 0; i < 23; i++)
        check_float(UINT32_C(1) << i);
}

static void short_decimals_come_back_as_they_were(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 200000; round++) {
        char text[32];
        char printed[MNI_JSON_DOUBLE_CHARS_MAX + 1];
        /* Six digits survive in a float, fifteen in a double. */
        (void)snprintf(text, sizeof text, "0.%06u", 1 + (unsigned)check_below(&seed, 999999));
        for (size_t n = strlen(text); text[n - 1] == '0';)
            text[--n] = '\0';
        if (strncmp(text, "0.00000", 7) == 0)
            continue;
        print_float(strtof(text, NULL), printed);
        CHECK_STR_EQ(printed, text);
        print_double(strtod(text, NULL), printed);
        CHECK_STR_EQ(printed, text);
    }
}

static void integers_print_as_integers(void)
{
    for (uint32_t i = 0; i <= 70000; i++) {
        char text[MNI_JSON_FLOAT_CHARS_MAX + 1];
        char expected[16];
        print_float((float)i, text);
        (void)snprintf(expected, sizeof expected, "%u", i);
        CHECK_STR_EQ(text, expected);
    }
}

static void random_double_bit_patterns_are_shortest_and_read_back(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 30000; round++) {
        uint64_t bits = check_random(&seed);
        double value;
        if (round % 8 == 0)
            bits &= UINT64_C(0x800FFFFFFFFFFFFF); /* subnormal */
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_double(value);
    }
    for (int exponent = -1074; exponent < 1024; exponent++)
        check_double(ldexp(1.0, exponent));
    for (int i = -2000; i < 2000; i++)
        check_double(i / 8.0);
}

static void the_locale_does_not_matter(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR", "C.UTF-8"};
    char text[MNI_JSON_DOUBLE_CHARS_MAX + 1];

    for (size_t i = 0; i < CHECK_COUNT(names); i++) {
        if (setlocale(LC_ALL, names[i]) == NULL)
            continue;
        print_double(1.25, text);
        CHECK_STR_EQ(text, "1.25");
        print_float(FLT_TRUE_MIN * 3, text);
        CHECK_STR_EQ(text, "4e-45");
    }
    CHECK(setlocale(LC_ALL, "C") != NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(numbers_look_the_way_people_write_them),
        CHECK_TEST(random_float_bit_patterns_are_shortest_and_read_back),
        CHECK_TEST(floats_of_embeddings_are_shortest_and_read_back),
        CHECK_TEST(every_power_of_two_and_its_neighbours_are_shortest),
        CHECK_TEST(short_decimals_come_back_as_they_were),
        CHECK_TEST(integers_print_as_integers),
        CHECK_TEST(random_double_bit_patterns_are_shortest_and_read_back),
        CHECK_TEST(the_locale_does_not_matter),
    };

    return check_run("json.print", tests, CHECK_COUNT(tests), argc, argv);
}
