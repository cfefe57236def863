/*
 * half_test.c - halves to floats and back, for every half and around every border.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "kernel/kernel.h"

static float widened(uint16_t half)
{
    float f;

    mni_f16_to_f32(&half, 1, &f);
    return f;
}

/* Of a float that fits, infinities and NaN among them. */
static uint16_t narrowed(float f)
{
    uint16_t half;
    size_t n_fit;

    CHECK(mni_f16_from_f32(&f, 1, &half, &n_fit));
    return half;
}

static void every_half_is_the_number_it_stands_for(void)
{
    for (unsigned h = 0; h < 0x10000; h++) {
        double sign = h & 0x8000 ? -1 : 1;
        unsigned exponent = h >> 10 & 31;
        double fraction = h & 0x3FF;
        float f = widened((uint16_t)h);

        if (exponent == 31 && fraction != 0)
            CHECK(isnan(f));
        else if (exponent == 31)
            CHECK(isinf(f) && (f < 0) == (sign < 0));
        else if (exponent == 0)
            CHECK(f == sign * ldexp(fraction, -24));
        else
            CHECK(f == sign * ldexp(1024 + fraction, (int)exponent - 25));
        CHECK_EQ(signbit(f) != 0, sign < 0);
    }
}

static void every_half_comes_back(void)
{
    for (unsigned h = 0; h < 0x10000; h++) {
        float f = widened((uint16_t)h);

        if (isnan(f))
            CHECK(isnan(widened(narrowed(f))));
        else
            CHECK_EQ(narrowed(f), h);
    }
}

/* Between two halves that are neighbours: the nearer one, in the middle the even one. */
static void floats_go_to_the_nearest_half(void)
{
    for (unsigned h = 0; h < 0x7BFF; h++) {
        float low = widened((uint16_t)h);
        float high = widened((uint16_t)(h + 1));
        float middle = (float)(((double)low + (double)high) / 2);

        CHECK_EQ(narrowed(middle), h % 2 == 0 ? h : h + 1);
        CHECK_EQ(narrowed(nextafterf(middle, low)), h);
        CHECK_EQ(narrowed(nextafterf(middle, high)), h + 1);
        CHECK_EQ(narrowed(-middle), (h % 2 == 0 ? h : h + 1) | 0x8000);
    }
    CHECK_EQ(narrowed(1e-30F), 0);
    CHECK_EQ(narrowed(-1e-45F), 0x8000);
}

static void floats_that_are_too_large_are_told(void)
{
    float floats[] = {1, 65504, 65519.996F, INFINITY, -65520, 1e38F};
    uint16_t halves[6];
    size_t n_fit;

    CHECK(!mni_f16_from_f32(floats, 6, halves, &n_fit));
    CHECK_EQ(n_fit, 4);
    CHECK_EQ(halves[2], 0x7BFF);
    CHECK_EQ(halves[3], 0x7C00);
    CHECK_EQ(halves[4], 0xFC00);
    CHECK(mni_f16_from_f32(floats, 4, halves, &n_fit));
    CHECK_EQ(n_fit, 4);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_half_is_the_number_it_stands_for),
        CHECK_TEST(every_half_comes_back),
        CHECK_TEST(floats_go_to_the_nearest_half),
        CHECK_TEST(floats_that_are_too_large_are_told),
    };

    return check_run("kernel.half", tests, CHECK_COUNT(tests), argc, argv);
}
