/* check_files_test.c - missing, short and long files of a manifest are named. */
#include <errno.h>

#include "fixture.h"

static const char seg_1[] = "01020304050607080000000000000001.seg";
static const char seg_5[] = "01020304050607080000000000000005.seg";
static const char live_5[] = "01020304050607080000000000000005.2.live";

/* All files of the sample, at their lengths. */
static struct world with_files(const struct mni_manifest *m)
{
    static const unsigned char zeroes[200000];
    struct world w = world_new(1);
    char name[MNI_NAME_BYTES_MAX];

    for (size_t i = 0; i < m->n_segments; i++) {
        const struct mni_manifest_segment *s = &m->segments[i];
        mni_manifest_segment_name(s->id, name);
        put_file(&w, name, zeroes, s->file_bytes);
        for (size_t j = 0; j < s->n_lives; j++) {
            const struct mni_manifest_live *live = &m->lives[s->first_live + j];
            mni_manifest_live_name(s->id, live->generation, name);
            put_file(&w, name, zeroes, live->file_bytes);
        }
    }
    return w;
}

static void files_that_differ_are_named(void)
{
    struct mni_manifest m = sample(3);
    struct world w = with_files(&m);

    CHECK_OK_ERR(mni_manifest_check_files(w.dir, &m, &w.err), &w.err);
    put_file(&w, "another", "x", 1);
    CHECK_OK_ERR(mni_manifest_check_files(w.dir, &m, &w.err), &w.err);

    CHECK_OK(mni_dir_unlink(w.dir, seg_1, NULL));
    CHECK_STATUS(mni_manifest_check_files(w.dir, &m, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_EQ(w.err.message, "seg/01020304050607080000000000000001.seg is absent");

    put_file(&w, live_5, "short", 5);
    CHECK_STATUS(mni_manifest_check_files(w.dir, &m, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_EQ(w.err.message, "seg/01020304050607080000000000000001.seg is absent, "
                                "seg/01020304050607080000000000000005.2.live is too short "
                                "(5 bytes, not 502)");
    m.segments[1].file_bytes--;
    CHECK_STATUS(mni_manifest_check_files(w.dir, &m, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w.err.message, seg_5);
    CHECK_STR_HAS(w.err.message, "is too long (100005 bytes, not 100004)");
    CHECK_STATUS(mni_manifest_check_files(w.dir, &m, NULL), MN_ERR_CORRUPT);
    mni_manifest_done(&m);
    world_free(&w);
}

static void of_many_files_the_number_is_told(void)
{
    struct mni_manifest m = sample_facts(1);
    struct world w = world_new(1);

    for (unsigned i = 0; i < 100; i++) {
        CHECK_OK(mni_manifest_add_run(&m));
        add(&m, i + 1, "a", "b");
    }
    CHECK_STATUS(mni_manifest_check_files(w.dir, &m, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w.err.message, seg_1);
    CHECK_STR_HAS(w.err.message, " is absent, and 92 more files");
    mni_manifest_done(&m);
    world_free(&w);
}

static void a_file_that_cannot_be_asked_is_an_error(void)
{
    struct mni_manifest m = sample(3);
    struct world w = with_files(&m);

    for (uint64_t n = 1;; n++) {
        mni_fault_env_fail_at(w.fault, n, EIO, false);
        mn_status st = mni_manifest_check_files(w.dir, &m, &w.err);
        bool was_hit = mni_fault_env_was_hit(w.fault);
        mni_fault_env_fail_at(w.fault, 0, 0, false);
        CHECK_STATUS(st, was_hit ? MN_ERR_IO : MN_OK);
        if (!was_hit)
            break;
        CHECK(n <= 12);
    }
    mni_manifest_done(&m);
    world_free(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(files_that_differ_are_named),
        CHECK_TEST(of_many_files_the_number_is_told),
        CHECK_TEST(a_file_that_cannot_be_asked_is_an_error),
    };
    return check_run("manifest.check_files", tests, CHECK_COUNT(tests), argc, argv);
}
