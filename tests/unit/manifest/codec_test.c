/* codec_test.c - one copy of a manifest as bytes, for who keeps it elsewhere. */
#include "fixture.h"

static void a_copy_comes_back_as_it_was(void)
{
    struct mni_manifest m = sample(7);
    struct mni_manifest back;
    unsigned char *bytes = NULL;
    struct mn_error err;
    uint64_t n = 0;

    CHECK_OK_ERR(mni_manifest_encode(&m, &bytes, &n, &err), &err);
    CHECK_OK_ERR(mni_manifest_decode(bytes, n, &back, &err), &err);
    CHECK(same_manifest(&m, &back));
    CHECK(mni_manifest_find(&back, m.segments[1].id) == &back.segments[1]);
    mni_manifest_done(&back);
    mni_manifest_done(&m);
    mni_free(bytes);
}

static void what_contradicts_itself_is_not_encoded(void)
{
    struct mni_manifest m = sample(0);
    unsigned char *bytes = NULL;
    uint64_t n = 0;

    CHECK_STATUS(mni_manifest_encode(&m, &bytes, &n, NULL), MN_ERR_CORRUPT);
    CHECK(bytes == NULL);
    mni_manifest_done(&m);
}

static void other_bytes_are_refused(void)
{
    struct mni_manifest m = sample(7);
    struct mni_manifest back;
    unsigned char *bytes = NULL;
    struct mn_error err;
    uint64_t n = 0;

    CHECK_OK(mni_manifest_encode(&m, &bytes, &n, NULL));
    for (uint64_t i = 0; i < n; i++) {
        bytes[i] ^= 0x20;
        CHECK_STATUS(mni_manifest_decode(bytes, n, &back, &err), MN_ERR_CORRUPT);
        CHECK_EQ(back.n_segments, 0);
        bytes[i] ^= 0x20;
    }
    for (uint64_t shorter = 0; shorter < n; shorter++)
        CHECK_STATUS(mni_manifest_decode(bytes, shorter, &back, &err), MN_ERR_CORRUPT);
    manifest_set_copy(bytes, 1); /* the second copy is none that is kept alone */
    CHECK_STATUS(mni_manifest_decode(bytes, n, &back, &err), MN_ERR_CORRUPT);
    mni_manifest_done(&m);
    mni_free(bytes);
}

static void memory_may_be_short_anywhere(void)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    mn_status st = MN_ERR_NOMEM;

    for (uint64_t i = 1; st != MN_OK; i++) {
        struct mni_manifest m = sample(7);
        struct mni_manifest back = {0};
        unsigned char *bytes = NULL;
        uint64_t n = 0;
        mni_mem_fail_at(i);
        st = mni_manifest_encode(&m, &bytes, &n, NULL);
        if (st == MN_OK)
            st = mni_manifest_decode(bytes, n, &back, NULL);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        mni_manifest_done(&back);
        mni_manifest_done(&m);
        mni_free(bytes);
        CHECK_EQ(mni_mem_live_blocks(), n_blocks);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_copy_comes_back_as_it_was),
        CHECK_TEST(what_contradicts_itself_is_not_encoded),
        CHECK_TEST(other_bytes_are_refused),
        CHECK_TEST(memory_may_be_short_anywhere),
    };

    return check_run("manifest.codec", tests, CHECK_COUNT(tests), argc, argv);
}
