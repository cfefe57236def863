/* Tests of src/json/base64.c. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "json/json.h"

static void the_vectors_of_the_rfc_hold(void)
{
    static const struct {
        const char *bytes;
        const char *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xFB\xFF\xFE", "+//+"}};

    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        size_t n = strlen(cases[i].bytes);
        char text[16] = "";
        unsigned char bytes[16];
        size_t n_bytes = 99;
        CHECK_EQ(mni_base64_encoded_bytes(n), strlen(cases[i].text));
        mni_base64_encode(cases[i].bytes, n, text);
        CHECK_STR_EQ(text, cases[i].text);
        CHECK_OK(mni_base64_decode(mn_str(text), bytes, n, &n_bytes, NULL));
        CHECK_EQ(n_bytes, n);
        CHECK_MEM_EQ(bytes, cases[i].bytes, n);
        if (n > 0)
            CHECK_STATUS(mni_base64_decode(mn_str(text), bytes, n - 1, &n_bytes, NULL),
                         MN_ERR_LIMIT);
    }
}

static void what_no_encoder_writes_is_refused(void)
{
    static const char *const bad[] = {
        "Z",        "Zg",         "Zg=",
        "Zg===",    "=",          "==",
        "===",      "====",       "Z===",
        "Zm9v=",    "Zm9vYg",     "Zg==Zg==",
        "Zm8=Zm8=", "Z=g=",       "=Zg=",
        "Zg=v",     "Zh==",       "Zm9=",
        "Zm9/YmF=", "Zm 9",       " Zm9v",
        "Zm9v\n",   "Zm\n9v",     "Zm-v",
        "Zm_v",     "Zm.v",       "Zm9v\x80\x80\x80\x80",
        "Zm9*",     "\xC3\xA9Zm", "Zm9v====",
    };

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        unsigned char bytes[16];
        size_t n_bytes;
        struct mn_error err = {0};
        CHECK_STATUS(mni_base64_decode(mn_str(bad[i]), bytes, sizeof bytes, &n_bytes, &err),
                     MN_ERR_INVALID);
        CHECK_STR_HAS(err.message, "base64: ");
    }
}

static void a_bad_character_is_named_by_its_offset(void)
{
    struct mn_error err = {0};
    unsigned char bytes[16];
    size_t n_bytes;

    CHECK_STATUS(mni_base64_decode(mn_str("Zm9vY!Fy"), bytes, 16, &n_bytes, &err), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "at character 5");
}

static void random_bytes_come_back(void)
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 2000; round++) {
        unsigned char bytes[200];
        char text[268];
        size_t n = check_below(&seed, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)check_random(&seed);
        size_t n_chars = mni_base64_encoded_bytes(n);
        mni_base64_encode(bytes, n, text);
        unsigned char *back = malloc(n == 0 ? 1 : n);
        size_t n_back = 0;
        CHECK(back != NULL);
        CHECK(n <= mni_base64_decoded_bytes_max(n_chars));
        CHECK_OK(mni_base64_decode((struct mn_slice){text, n_chars}, back, n, &n_back, NULL));
        CHECK_EQ(n_back, n);
        CHECK_MEM_EQ(back, bytes, n);
        free(back);
    }
}

/* Each text decodes to other bytes, so whatever is accepted encodes to itself. */
static void whatever_is_accepted_encodes_to_itself(void)
{
    static const char chars[] = "AZaz09+/=Qg-";
    uint64_t seed = check_seed();
    int n_accepted = 0;

    for (int round = 0; round < 200000; round++) {
        char text[8];
        char again[8];
        unsigned char bytes[6];
        size_t n_bytes = 0;
        size_t n = check_below(&seed, 2) == 0 ? 4 : 8;
        for (size_t i = 0; i < n; i++)
            text[i] = chars[check_below(&seed, sizeof chars - 1)];
        if (mni_base64_decode((struct mn_slice){text, n}, bytes, 6, &n_bytes, NULL) != MN_OK)
            continue;
        n_accepted++;
        CHECK_EQ(mni_base64_encoded_bytes(n_bytes), n);
        mni_base64_encode(bytes, n_bytes, again);
        CHECK_MEM_EQ(again, text, n);
    }
    CHECK(n_accepted > 1000);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_vectors_of_the_rfc_hold),
        CHECK_TEST(what_no_encoder_writes_is_refused),
        CHECK_TEST(a_bad_character_is_named_by_its_offset),
        CHECK_TEST(random_bytes_come_back),
        CHECK_TEST(whatever_is_accepted_encodes_to_itself),
    };

    return check_run("json.base64", tests, CHECK_COUNT(tests), argc, argv);
}
