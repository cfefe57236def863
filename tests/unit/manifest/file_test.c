/* file_test.c - manifests on disk: published, loaded, damaged, cut off, removed. */
#include <errno.h>

#include "fixture.h"

static const char name_3[] = "MANIFEST-00000000000000000003";

static unsigned char bytes[FILE_BYTES_MAX];

/* A world with manifest 3 in `bytes` too; returns its length. */
static size_t with_manifest_3(struct world *w)
{
    struct mni_manifest m = sample(3);

    *w = world_new(1);
    publish(w, &m);
    mni_manifest_done(&m);
    size_t n = get_file(w, name_3, bytes, sizeof bytes);
    CHECK_EQ(n, 2 * 4096);
    return n;
}

static void check_is_sample(struct world *w, uint64_t number, bool expect_damaged)
{
    struct mni_manifest expected = sample(number);
    struct mni_manifest m;
    bool is_damaged = !expect_damaged;

    CHECK_OK_ERR(load(w, &m, &is_damaged), &w->err);
    CHECK(same_manifest(&m, &expected));
    CHECK_EQ(is_damaged, expect_damaged);
    CHECK(mni_manifest_find(&m, m.segments[1].id) == &m.segments[1]);
    mni_manifest_done(&m);
    mni_manifest_done(&expected);
}

static void check_refused(struct world *w, mn_status expected, const char *message)
{
    struct mni_manifest m;
    bool is_damaged;

    CHECK_STATUS(load(w, &m, &is_damaged), expected);
    CHECK_STR_HAS(w->err.message, message);
    CHECK_EQ(m.n_segments, 0);
    CHECK_EQ(m.number, 0);
}

static void what_is_published_is_loaded(void)
{
    struct world w = world_new(1);
    struct mni_manifest m = sample(3);

    check_refused(&w, MN_NOT_FOUND, "no manifest");
    publish(&w, &m);
    CHECK_EQ(n_names(&w), 1);
    check_is_sample(&w, 3, false);
    mni_manifest_done(&m);
    m = sample_facts(4);
    publish(&w, &m); /* an empty one is one too, and wins */
    mni_manifest_done(&m);
    bool is_damaged;
    CHECK_OK(load(&w, &m, &is_damaged));
    CHECK_EQ(m.number, 4);
    CHECK_EQ(m.n_segments, 0);
    mni_manifest_done(&m);
    world_free(&w);
}

static void the_history_comes_back(void)
{
    static const struct mni_timeline history[] = {{11, 0, 0}, {12, 500, 300}, {13, 900, 500}};
    static const struct mni_timeline wrong[][3] = {
        {{11, 1, 0}, {12, 500, 300}, {13, 900, 500}}, {{11, 0, 0}, {0, 500, 300}, {13, 900, 500}},
        {{11, 0, 0}, {12, 500, 501}, {13, 900, 500}}, {{11, 0, 0}, {12, 500, 300}, {13, 499, 499}},
        {{11, 0, 0}, {12, 500, 300}, {13, 900, 499}}, {{11, 0, 0}, {12, 500, 300}, {13, 1001, 900}},
    };
    struct world w = world_new(1);
    struct mni_manifest m = sample(3);
    struct mni_manifest copy = {0};
    bool is_damaged = true;

    CHECK_OK(mni_manifest_set_timelines(&m, history, 3));
    CHECK_OK(mni_manifest_copy(&m, &copy));
    CHECK(same_manifest(&m, &copy));
    publish(&w, &copy);
    mni_manifest_done(&copy);
    CHECK_OK_ERR(load(&w, &copy, &is_damaged), &w.err);
    CHECK(!is_damaged && same_manifest(&m, &copy));
    CHECK_EQ(copy.n_timelines, 3);
    CHECK_MEM_EQ(copy.timelines, history, sizeof history);
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++) {
        CHECK_OK(mni_manifest_set_timelines(&copy, wrong[i], 3));
        CHECK_STATUS(mni_manifest_validate(&copy, &w.err), MN_ERR_CORRUPT);
        CHECK_STR_HAS(w.err.message, "timeline");
    }
    mni_manifest_done(&copy);
    mni_manifest_done(&m);
    world_free(&w);
}

static void the_newest_number_wins(void)
{
    struct world w = world_new(1);
    static const uint64_t numbers[] = {3, 100, 20, 99};

    for (size_t i = 0; i < CHECK_COUNT(numbers); i++) {
        struct mni_manifest m = sample(numbers[i]);
        publish(&w, &m);
        mni_manifest_done(&m);
    }
    /* None of these is a manifest. */
    put_file(&w, "MANIFEST-00000000000000000101.new", "x", 1);
    put_file(&w, "MANIFEST-102", "x", 1);
    put_file(&w, "MANIFEST-000000000000000001030", "x", 1);
    put_file(&w, "MANIFEST-99999999999999999999", "x", 1);
    put_file(&w, "MANIFEST-00000000000000000000", "x", 1);
    put_file(&w, "manifest-00000000000000000105", "x", 1);
    check_is_sample(&w, 100, false);
    world_free(&w);
}

static void what_contradicts_itself_is_not_published(void)
{
    struct world w = world_new(1);
    struct mni_manifest m = sample(3);
    bool is_in_doubt = true;

    m.segments[1].n_rows = 0;
    CHECK_STATUS(mni_manifest_publish(w.dir, &m, &is_in_doubt, &w.err), MN_ERR_CORRUPT);
    CHECK(!is_in_doubt);
    CHECK_EQ(n_names(&w), 0);
    m.segments[1].n_rows = 1000;
    publish(&w, &m);
    CHECK_STATUS(mni_manifest_publish(w.dir, &m, &is_in_doubt, &w.err), MN_EXISTS);
    CHECK(!is_in_doubt);
    mni_manifest_done(&m);
    world_free(&w);
}

static void a_manifest_of_another_store_is_refused(void)
{
    struct world w;
    struct mni_manifest m;
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    bool is_damaged;

    (void)with_manifest_3(&w);
    memcpy(id, bytes + HEADER_OFF_STORE_ID, sizeof id);
    CHECK_OK(mni_manifest_load(w.dir, id, &m, &is_damaged, NULL));
    mni_manifest_done(&m);
    id[7] ^= 1;
    CHECK_STATUS(mni_manifest_load(w.dir, id, &m, &is_damaged, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w.err.message, "another store");
    world_free(&w);
}

static void one_copy_is_enough(void)
{
    struct world w;
    size_t n = with_manifest_3(&w);

    for (size_t i = 0; i < n; i += i % 4096 < 700 ? 1 : 61) {
        for (unsigned bit = 0; bit < 8; bit += 7) {
            bytes[i] ^= (unsigned char)(1 << bit);
            put_file(&w, name_3, bytes, n);
            check_is_sample(&w, 3, true);
            bytes[i] ^= (unsigned char)(1 << bit);
        }
    }
    memset(bytes, 0, 4096);
    put_file(&w, name_3, bytes, n);
    check_is_sample(&w, 3, true);
    world_free(&w);
}

static void two_damaged_copies_refuse_and_no_older_one_is_taken(void)
{
    struct world w;
    size_t n = with_manifest_3(&w);
    struct mni_manifest older = sample(2);

    publish(&w, &older);
    for (size_t i = 0; i < 4096; i += i < 700 ? 1 : 61) {
        bytes[i] ^= 0x20;
        bytes[4096 + (i * 7) % 4096] ^= 0x02;
        put_file(&w, name_3, bytes, n);
        check_refused(&w, MN_ERR_CORRUPT, name_3);
        bytes[i] ^= 0x20;
        bytes[4096 + (i * 7) % 4096] ^= 0x02;
    }
    put_file(&w, name_3, bytes, n);
    check_is_sample(&w, 3, false);
    mni_manifest_done(&older);
    world_free(&w);
}

static void any_other_length_is_seen(void)
{
    struct world w;
    size_t n = with_manifest_3(&w);

    for (size_t i = 0; i < n; i += i < 200 || n - i < 200 ? 1 : 97) {
        put_file(&w, name_3, bytes, i);
        if (i < 4096)
            check_refused(&w, MN_ERR_CORRUPT, name_3);
        else
            check_is_sample(&w, 3, true);
    }
    put_file(&w, name_3, bytes, n + 1);
    check_is_sample(&w, 3, true);
    world_free(&w);
}

/* The name says another number, the copies stand in each other's place, or say different things. */
static void copies_stand_where_they_belong(void)
{
    struct world w;
    size_t n = with_manifest_3(&w);
    unsigned char swapped[2 * 4096];

    put_file(&w, "MANIFEST-00000000000000000004", bytes, n);
    check_refused(&w, MN_ERR_CORRUPT, "it is number 3");
    CHECK_OK(mni_dir_unlink(w.dir, "MANIFEST-00000000000000000004", NULL));
    memcpy(swapped, bytes + 4096, 4096);
    memcpy(swapped + 4096, bytes, 4096);
    put_file(&w, name_3, swapped, n);
    check_refused(&w, MN_ERR_CORRUPT, "changed places");
    memcpy(swapped, bytes, n);
    mni_put_u64(swapped + 4096 + HEADER_OFF_LSN, 1001);
    manifest_set_copy(swapped + 4096, 1);
    put_file(&w, name_3, swapped, n);
    check_refused(&w, MN_ERR_CORRUPT, "differ");
    world_free(&w);
}

/* Right checksums over nonsense ----------*/

/* Puts the sums of both copies right and stores the file. */
static void put_summed(struct world *w, unsigned char *copy)
{
    unsigned char both[2 * 4096];

    mni_put_u32(copy + HEADER_OFF_BODY_CRC,
                mni_crc32c(0, copy + HEADER_BYTES, 4096 - HEADER_BYTES));
    for (unsigned i = 0; i < 2; i++) {
        manifest_set_copy(copy, i);
        memcpy(both + i * (size_t)4096, copy, 4096);
    }
    put_file(w, name_3, both, sizeof both);
}

static void refuses_u64(struct world *w, size_t offset, uint64_t value, mn_status expected,
                        const char *message)
{
    unsigned char copy[4096];

    memcpy(copy, bytes, sizeof copy);
    mni_put_u64(copy + offset, value);
    put_summed(w, copy);
    check_refused(w, expected, message);
}

static void nonsense_under_right_checksums_is_refused(void)
{
    enum {
        FACTS = HEADER_BYTES,
        RUNS = FACTS + 16 + FACTS_BYTES,
        SEGMENTS = RUNS + 16 + 8,
        LIVES = SEGMENTS + 16 + 3 * SEGMENT_BYTES,
        KEYS = LIVES + 16 + 3 * LIVE_BYTES,
        END = KEYS + 16 + 40,
    };
    struct world w;
    uint64_t first_run;

    (void)with_manifest_3(&w);
    CHECK_EQ(mni_get_u16(bytes + KEYS), SECTION_KEYS);
    CHECK_EQ(mni_get_u64(bytes + HEADER_OFF_SECTION_BYTES), END - HEADER_BYTES);
    first_run = mni_get_u64(bytes + RUNS + 16);
    refuses_u64(&w, HEADER_OFF_VERSION, 2, MN_ERR_UNSUPPORTED, "version 2");
    refuses_u64(&w, HEADER_OFF_COPY_BYTES, 8192, MN_ERR_CORRUPT, "sizes");
    refuses_u64(&w, HEADER_OFF_COPY_BYTES, UINT64_MAX, MN_ERR_CORRUPT, "sizes");
    refuses_u64(&w, HEADER_OFF_SECTION_BYTES, UINT64_MAX - 128, MN_ERR_CORRUPT, "sizes");
    refuses_u64(&w, HEADER_OFF_SECTIONS, 4, MN_ERR_CORRUPT, "behind the sections");
    refuses_u64(&w, HEADER_OFF_SECTIONS, 6, MN_ERR_CORRUPT, "section is cut off");
    refuses_u64(&w, HEADER_OFF_SECTIONS + 8, 1, MN_ERR_CORRUPT, "reserved");
    refuses_u64(&w, FACTS + 8, 24, MN_ERR_CORRUPT, "section");
    refuses_u64(&w, RUNS + 8, UINT64_MAX, MN_ERR_CORRUPT, "section 2 is cut off");
    refuses_u64(&w, RUNS + 8, UINT64_MAX - 7, MN_ERR_CORRUPT, "section 2 is cut off");
    refuses_u64(&w, RUNS, 1 | 1 << 16, MN_ERR_CORRUPT, "header of section 1");
    refuses_u64(&w, RUNS, 2, MN_ERR_CORRUPT, "header of section 2");
    refuses_u64(&w, RUNS, 2 | 3 << 16, MN_ERR_CORRUPT, "header of section 2");
    refuses_u64(&w, RUNS, 2 | 1 << 16 | UINT64_C(1) << 32, MN_ERR_CORRUPT, "header of section 2");
    refuses_u64(&w, KEYS, 7, MN_ERR_CORRUPT, "section 5 is missing");
    refuses_u64(&w, KEYS, 7 | 1 << 16, MN_ERR_UNSUPPORTED, "section 7");
    refuses_u64(&w, KEYS + 8, 33, MN_ERR_CORRUPT, "padding");
    refuses_u64(&w, RUNS + 16, first_run + 1, MN_ERR_CORRUPT, "segments of a run");
    refuses_u64(&w, RUNS + 16, 1 | UINT64_C(1) << 32, MN_ERR_CORRUPT, "no run has");
    refuses_u64(&w, RUNS + 16, UINT64_C(3) << 32, MN_ERR_CORRUPT, "segments of a run");
    refuses_u64(&w, SEGMENTS + 16 + SEGMENT_OFF_ROWS, 40 | UINT64_MAX << 32, MN_ERR_CORRUPT,
                "fewer liveness files");
    refuses_u64(&w, SEGMENTS + 16 + SEGMENT_OFF_FIRST_KEY_BYTES, 0xffff, MN_ERR_CORRUPT,
                "wrong length");
    refuses_u64(&w, SEGMENTS + 16 + SEGMENT_OFF_FIRST_KEY_BYTES, 1000 | 1000 << 16, MN_ERR_CORRUPT,
                "fewer bytes of keys");
    refuses_u64(&w, SEGMENTS + 16 + SEGMENT_OFF_FIRST_KEY_BYTES, 5, MN_ERR_CORRUPT, "wrong length");
    refuses_u64(&w, SEGMENTS + 16 + SEGMENT_OFF_LSN_MAX, 5000, MN_ERR_CORRUPT, "LSN");
    refuses_u64(&w, SEGMENTS + 16 + SEGMENT_OFF_LSN_MIN, 0, MN_ERR_CORRUPT, "LSN");
    refuses_u64(&w, LIVES + 16 + LIVE_OFF_CRC, UINT64_C(1) << 32, MN_ERR_CORRUPT, "reserved");
    refuses_u64(&w, LIVES + 16, 0, MN_ERR_CORRUPT, "out of order");
    refuses_u64(&w, END, 1, MN_ERR_CORRUPT, "behind the sections");
    refuses_u64(&w, 4088, 1, MN_ERR_CORRUPT, "behind the sections");
    world_free(&w);
}

static void unknown_sections_are_skipped_unless_required(void)
{
    struct world w;
    unsigned char copy[4096];

    (void)with_manifest_3(&w);
    for (unsigned flags = 0; flags < 2; flags++) {
        memcpy(copy, bytes, sizeof copy);
        uint64_t end = mni_get_u64(copy + HEADER_OFF_SECTION_BYTES);
        unsigned char *section = copy + HEADER_BYTES + end;
        mni_put_u16(section + SECTION_OFF_TYPE, 77);
        mni_put_u16(section + SECTION_OFF_FLAGS, (uint16_t)flags);
        mni_put_u64(section + SECTION_OFF_BYTES, 5);
        memcpy(section + SECTION_HEADER_BYTES, "later", 5);
        mni_put_u64(copy + HEADER_OFF_SECTION_BYTES, end + 24);
        mni_put_u32(copy + HEADER_OFF_SECTIONS, 6);
        put_summed(&w, copy);
        if (flags == 0)
            check_is_sample(&w, 3, false);
        else
            check_refused(&w, MN_ERR_UNSUPPORTED, "section 77");
    }
    world_free(&w);
}

/* Failures and power cuts ----------*/

static void older_ones_are_removed(void)
{
    struct world w = world_new(1);

    for (uint64_t n = 1; n <= 150; n++) {
        char name[MNI_NAME_BYTES_MAX];
        (void)snprintf(name, sizeof name, "MANIFEST-%020u%s", (unsigned)n,
                       n % 3 == 0 ? ".new" : "");
        put_file(&w, name, "x", 1);
    }
    put_file(&w, "STORE", "x", 1);
    put_file(&w, "MANIFEST-12", "x", 1);
    CHECK_OK_ERR(mni_manifest_remove_older(w.dir, 149, &w.err), &w.err);
    CHECK_EQ(n_names(&w), 3);
    CHECK_STATUS(mni_dir_unlink(w.dir, "MANIFEST-00000000000000000149", NULL), MN_OK);
    CHECK_STATUS(mni_dir_unlink(w.dir, "MANIFEST-12", NULL), MN_OK);
    CHECK_STATUS(mni_dir_unlink(w.dir, "STORE", NULL), MN_OK);
    world_free(&w);
}

/* Manifest 3 stands, 4 is published and 3 removed, with the n-th call to the disk failing. */
static bool publish_with_failure(uint64_t n, int os_errno, bool keep_failing)
{
    struct world w = world_new(1);
    struct mni_manifest m = sample(3);
    struct mni_manifest next = sample(4);
    bool is_in_doubt = false;

    publish(&w, &m);
    mni_fault_env_fail_at(w.fault, n, os_errno, keep_failing);
    mn_status st = mni_manifest_publish(w.dir, &next, &is_in_doubt, &w.err);
    mn_status removed = st;
    if (st == MN_OK)
        removed = mni_manifest_remove_older(w.dir, 4, &w.err);
    bool was_hit = mni_fault_env_was_hit(w.fault);
    mni_fault_env_fail_at(w.fault, 0, 0, false);
    CHECK_EQ(removed != MN_OK, was_hit);
    CHECK(removed <= MN_OK);
    CHECK(!was_hit || w.err.status == removed);
    mni_crash_env_restart(w.crash, false, 0);
    mni_dir_close(w.dir);
    world_open(&w);
    struct mni_manifest loaded;
    bool is_damaged = true;
    CHECK_OK_ERR(load(&w, &loaded, &is_damaged), &w.err);
    CHECK(!is_damaged);
    CHECK(same_manifest(&loaded, loaded.number == 3 ? &m : &next));
    if (!is_in_doubt)
        CHECK_EQ(loaded.number, st == MN_OK ? 4 : 3);
    if (!is_in_doubt && st != MN_OK) {
        publish(&w, &next); /* what failed can be done again */
        check_is_sample(&w, 4, false);
    }
    mni_manifest_done(&loaded);
    mni_manifest_done(&m);
    mni_manifest_done(&next);
    world_free(&w);
    return was_hit;
}

static void any_call_may_fail_while_publishing(void)
{
    uint64_t n_failed = 0;

    for (int keep = 0; keep < 2; keep++) {
        for (uint64_t n = 1; publish_with_failure(n, EIO, keep != 0); n++)
            n_failed++;
        for (uint64_t n = 1; publish_with_failure(n, ENOSPC, keep != 0); n++)
            n_failed++;
    }
    CHECK(n_failed >= 4 * 8);
}

static void any_cut_leaves_the_old_or_the_new(void)
{
    uint64_t seed = check_seed();
    unsigned n_seen[2] = {0};

    for (uint64_t n = 1;; n++) {
        bool was_cut = true;
        for (unsigned i = 0; was_cut && i < 40; i++) {
            struct world w = world_new(seed + i);
            struct mni_manifest m = sample(3);
            struct mni_manifest next = sample(4);
            struct mni_manifest loaded;
            bool is_in_doubt = false;
            bool is_damaged = true;
            publish(&w, &m);
            mni_crash_env_cut_at(w.crash, n);
            mn_status st = mni_manifest_publish(w.dir, &next, &is_in_doubt, NULL);
            if (st == MN_OK)
                mni_ignore(mni_manifest_remove_older(w.dir, 4, NULL));
            was_cut = mni_crash_env_is_cut(w.crash);
            mni_crash_env_restart(w.crash, false, 0);
            mni_dir_close(w.dir);
            world_open(&w);
            CHECK_OK_ERR(load(&w, &loaded, &is_damaged), &w.err);
            CHECK(!is_damaged);
            CHECK(same_manifest(&loaded, loaded.number == 3 ? &m : &next));
            CHECK(loaded.number == 4 || st != MN_OK);
            CHECK(loaded.number == 3 || st == MN_OK || is_in_doubt);
            n_seen[loaded.number - 3]++;
            mni_manifest_done(&loaded);
            /* The next attempt is not disturbed by what the cut one left. */
            struct mni_manifest third = sample(5);
            publish(&w, &third);
            CHECK_OK(mni_manifest_remove_older(w.dir, 5, NULL));
            CHECK_EQ(n_names(&w), 1);
            check_is_sample(&w, 5, false);
            mni_manifest_done(&third);
            mni_manifest_done(&m);
            mni_manifest_done(&next);
            world_free(&w);
        }
        if (!was_cut)
            break;
    }
    CHECK(n_seen[0] > 0);
    CHECK(n_seen[1] > 0);
}

static void any_call_may_fail_while_loading(void)
{
    struct world w;

    (void)with_manifest_3(&w);
    for (uint64_t n = 1;; n++) {
        struct mni_manifest m;
        bool is_damaged = false;
        mni_fault_env_fail_at(w.fault, n, EIO, false);
        mn_status st = load(&w, &m, &is_damaged);
        bool was_hit = mni_fault_env_was_hit(w.fault);
        mni_fault_env_fail_at(w.fault, 0, 0, false);
        if (st == MN_OK)
            CHECK_EQ(is_damaged, was_hit); /* a copy that cannot be read is a damaged one */
        else
            CHECK(st == MN_ERR_IO && w.err.status == MN_ERR_IO && was_hit);
        mni_manifest_done(&m);
        if (!was_hit)
            break;
    }
    world_free(&w);
}

static void any_allocation_may_fail(void)
{
    struct world w;
    struct mni_manifest next = sample(4);
    uint64_t live_blocks;

    (void)with_manifest_3(&w);
    live_blocks = mni_mem_live_blocks();
    for (uint64_t n = 1;; n++) {
        struct mni_manifest m;
        bool is_damaged;
        mni_mem_fail_at(n);
        mn_status st = load(&w, &m, &is_damaged);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        mni_manifest_done(&m);
        CHECK_EQ(mni_mem_live_blocks(), live_blocks);
        if (!was_hit)
            break;
    }
    for (uint64_t n = 1;; n++) {
        bool is_in_doubt = true;
        mni_mem_fail_at(n);
        mn_status st = mni_manifest_publish(w.dir, &next, &is_in_doubt, &w.err);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        CHECK(!is_in_doubt);
        CHECK_EQ(n_names(&w), was_hit ? 1 : 2);
        if (!was_hit)
            break;
    }
    mni_manifest_done(&next);
    world_free(&w);
}

static void many_segments_come_back(void)
{
    struct world w = world_new(1);
    struct mni_manifest m = sample_facts(9);
    struct mni_manifest loaded;
    uint64_t seed = check_seed();
    bool is_damaged;
    static char key[MNI_MANIFEST_KEY_BYTES_MAX + 1];

    m.next_segment = 100000;
    for (unsigned i = 0; i < 40000; i++) {
        if (i % 10000 == 0)
            CHECK_OK(mni_manifest_add_run(&m));
        struct mni_manifest_segment s = sample_segment(i + 1, "", "");
        memset(key, 'k', sizeof key);
        (void)snprintf(key, sizeof key, "%06u", i);
        s.first.key = (struct mn_slice){key, 7 + check_below(&seed, 20)};
        s.last.key = i % 100 == 0 ? (struct mn_slice){key, MNI_MANIFEST_KEY_BYTES_MAX}
                                  : (struct mn_slice){key, 30};
        CHECK_OK(mni_manifest_add_segment(&m, &s));
        for (uint64_t g = check_below(&seed, 3); g > 0; g--)
            add_live(&m, 4 - g);
    }
    publish(&w, &m);
    CHECK_OK_ERR(load(&w, &loaded, &is_damaged), &w.err);
    CHECK(same_manifest(&m, &loaded));
    mni_manifest_done(&loaded);
    mni_manifest_done(&m);
    world_free(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_published_is_loaded),
        CHECK_TEST(the_history_comes_back),
        CHECK_TEST(the_newest_number_wins),
        CHECK_TEST(what_contradicts_itself_is_not_published),
        CHECK_TEST(a_manifest_of_another_store_is_refused),
        CHECK_TEST(one_copy_is_enough),
        CHECK_TEST(two_damaged_copies_refuse_and_no_older_one_is_taken),
        CHECK_TEST(any_other_length_is_seen),
        CHECK_TEST(copies_stand_where_they_belong),
        CHECK_TEST(nonsense_under_right_checksums_is_refused),
        CHECK_TEST(unknown_sections_are_skipped_unless_required),
        CHECK_TEST(older_ones_are_removed),
        CHECK_TEST(any_call_may_fail_while_publishing),
        CHECK_TEST(any_cut_leaves_the_old_or_the_new),
        CHECK_TEST(any_call_may_fail_while_loading),
        CHECK_TEST(any_allocation_may_fail),
        CHECK_TEST(many_segments_come_back),
    };
    return check_run("manifest.file", tests, CHECK_COUNT(tests), argc, argv);
}
