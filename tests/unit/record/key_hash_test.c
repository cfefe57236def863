/* The hash of keys stands in files: it never changes. */
#include "check.h"
#include "record/record.h"

static void known_keys_have_their_known_hashes(void)
{
    unsigned char second_key[MNI_SECOND_KEY_BYTES];

    for (size_t i = 0; i < sizeof second_key; i++)
        second_key[i] = (unsigned char)i;
    CHECK(mni_key_hash(0, mn_str("a")) == UINT64_C(0xe6c632b61e964e1f));
    CHECK(mni_key_hash(1, mn_str("a")) == UINT64_C(0x7b013ec73230c3a1));
    CHECK(mni_key_hash(7, mn_str("memory-1")) == UINT64_C(0xe1df196d84e3c8b5));
    CHECK(mni_key_hash(UINT64_MAX, (struct mn_slice){second_key, sizeof second_key}) ==
          UINT64_C(0x688af298482748b5));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {CHECK_TEST(known_keys_have_their_known_hashes)};

    return check_run("record.key_hash", tests, CHECK_COUNT(tests), argc, argv);
}
