/* manifest_test.c - manifests in memory: building, checking, finding; and their names. */
#include "fixture.h"

static void what_was_added_is_there(void)
{
    struct mni_manifest m = sample(3);

    CHECK_EQ(m.n_runs, 2);
    CHECK_EQ(m.runs[1].first_segment, 2);
    CHECK_EQ(m.n_segments, 3);
    CHECK_EQ(m.n_lives, 3);
    CHECK_MEM_EQ(m.segments[0].first.key.data, "apple", 5);
    CHECK_MEM_EQ(m.segments[2].last.key.data, "zucchini", 8);
    CHECK_EQ(m.segments[2].first_live, 1);
    CHECK_EQ(m.segments[2].n_lives, 2);
    CHECK(mni_manifest_memory_bytes(&m) > 0);
    mni_manifest_done(&m);
    CHECK_EQ(mni_manifest_memory_bytes(&m), 0);
    mni_manifest_done(&m);
    mni_manifest_done(NULL);
}

static void keys_stay_while_the_manifest_grows(void)
{
    struct mni_manifest m = sample_facts(1);
    struct mni_manifest copy = sample_facts(1);
    char first[16];
    char last[16];

    CHECK_OK(mni_manifest_add_run(&m));
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(first, sizeof first, "k%06u", i);
        (void)snprintf(last, sizeof last, "k%06uz", i);
        add(&m, i + 1, first, last);
    }
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(last, sizeof last, "k%06uz", i);
        CHECK_EQ(m.segments[i].last.key.n_bytes, 8);
        CHECK_MEM_EQ(m.segments[i].last.key.data, last, 8);
    }
    CHECK_OK(mni_manifest_validate(&m, NULL));
    for (unsigned i = 0; i < 5000; i++)
        CHECK(mni_manifest_find(&m, m.segments[i].id) == &m.segments[i]);

    CHECK_OK(mni_manifest_add_run(&copy));
    for (size_t i = 0; i < m.n_segments; i++)
        CHECK_OK(mni_manifest_add_segment(&copy, &m.segments[i]));
    CHECK(same_manifest(&m, &copy));
    mni_manifest_done(&m);
    CHECK_MEM_EQ(copy.segments[4999].first.key.data, "k004999", 7);
    mni_manifest_done(&copy);
}

static void files_are_found_by_name(void)
{
    struct mni_manifest m = sample(3);
    char name[MNI_NAME_BYTES_MAX];
    unsigned char id[MNI_MANIFEST_ID_BYTES];

    CHECK_OK(mni_manifest_validate(&m, NULL));
    mni_manifest_segment_id(m.incarnation, 5, id);
    CHECK(mni_manifest_find(&m, id) == &m.segments[1]);
    CHECK(mni_manifest_has_name(&m, "01020304050607080000000000000005.seg"));
    CHECK(mni_manifest_has_name(&m, "01020304050607080000000000000005.2.live"));
    CHECK(!mni_manifest_has_name(&m, "01020304050607080000000000000005.1.live"));
    CHECK(!mni_manifest_has_name(&m, "01020304050607080000000000000001.1.live"));
    CHECK(!mni_manifest_has_name(&m, "01020304050607080000000000000006.seg"));
    CHECK(!mni_manifest_has_name(&m, "something else"));
    mni_manifest_live_name(m.segments[2].id, m.lives[2].generation, name);
    CHECK_STR_EQ(name, "01020304050607080000000000000009.12345678901234567890.live");
    CHECK(mni_manifest_has_name(&m, name));
    mni_manifest_segment_id(m.incarnation + 1, 5, id);
    CHECK(mni_manifest_find(&m, id) == NULL);
    mni_manifest_done(&m);
}

static void only_our_names_are_names(void)
{
    static const char *const others[] = {
        "",
        ".seg",
        "0102030405060708000000000000000.seg",
        "010203040506070800000000000000055.seg",
        "0102030405060708000000000000000A.seg",
        "01020304050607080000000000000005",
        "01020304050607080000000000000005.",
        "01020304050607080000000000000005.seg2",
        "01020304050607080000000000000005.live",
        "01020304050607080000000000000005..live",
        "01020304050607080000000000000005.0.live",
        "01020304050607080000000000000005.01.live",
        "01020304050607080000000000000005.-1.live",
        "01020304050607080000000000000005.1.liv",
        "01020304050607080000000000000005.1.live.tmp",
        "01020304050607080000000000000005.18446744073709551616.live",
    };
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    uint64_t generation;

    for (size_t i = 0; i < CHECK_COUNT(others); i++)
        CHECK(!mni_manifest_parse_name(others[i], id, &generation));
    CHECK(mni_manifest_parse_name("ff0203040506070800000000000000f5.seg", id, &generation));
    CHECK_EQ(generation, 0);
    CHECK_EQ(id[0], 0xff);
    CHECK_EQ(id[15], 0xf5);
    CHECK(mni_manifest_parse_name("ff0203040506070800000000000000f5.18446744073709551615.live", id,
                                  &generation));
    CHECK(generation == UINT64_MAX);
}

/* Contradictions ----------*/

typedef void break_fn(struct mni_manifest *m);

static void refuses(break_fn *do_break, const char *message)
{
    struct mni_manifest m = sample(3);
    struct mn_error err;

    CHECK_OK(mni_manifest_validate(&m, NULL));
    do_break(&m);
    CHECK_STATUS(mni_manifest_validate(&m, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, message);
    mni_manifest_done(&m);
}

static void number_0(struct mni_manifest *m)
{
    m->number = 0;
}
static void next_0(struct mni_manifest *m)
{
    m->next_segment = 0;
}
static void handed_out_less(struct mni_manifest *m)
{
    m->lsn_handed_out = m->lsn - 1;
}
static void last_time_less(struct mni_manifest *m)
{
    m->last_time_us = m->time_us - 1;
}
static void no_rows(struct mni_manifest *m)
{
    m->segments[1].n_rows = 0;
}
static void too_many_rows(struct mni_manifest *m)
{
    m->segments[1].n_rows = MNI_MANIFEST_ROWS_MAX + 1;
}
static void lsn_0(struct mni_manifest *m)
{
    m->segments[1].lsn_min = 0;
}
static void lsns_reversed(struct mni_manifest *m)
{
    m->segments[1].lsn_min = m->segments[1].lsn_max + 1;
}
static void lsn_above(struct mni_manifest *m)
{
    m->segments[1].lsn_max = m->lsn + 1;
}
static void footer_empty(struct mni_manifest *m)
{
    m->segments[1].footer_bytes = 0;
}
static void footer_outside(struct mni_manifest *m)
{
    m->segments[1].footer_offset = UINT64_MAX;
}
static void footer_behind_end(struct mni_manifest *m)
{
    m->segments[1].footer_bytes = 1006;
}
static void key_empty(struct mni_manifest *m)
{
    m->segments[1].first.key.n_bytes = 0;
}
static void keys_reversed(struct mni_manifest *m)
{
    m->segments[1].last.collection = 6;
}
static void one_row_of_two_keys(struct mni_manifest *m)
{
    m->segments[1].n_rows = 1;
}
static void counter_0(struct mni_manifest *m)
{
    mni_manifest_segment_id(1, 0, m->segments[1].id);
}
static void counter_of_the_future(struct mni_manifest *m)
{
    m->next_segment = 9;
}
static void same_generation(struct mni_manifest *m)
{
    m->lives[2].generation = 3;
}
static void generation_0(struct mni_manifest *m)
{
    m->lives[0].generation = 0;
}
static void live_empty(struct mni_manifest *m)
{
    m->lives[0].file_bytes = 0;
}
static void empty_run(struct mni_manifest *m)
{
    CHECK_OK(mni_manifest_add_run(m));
}
static void overlap(struct mni_manifest *m)
{
    m->segments[1].first.key.n_bytes = 3; /* "fig", the last key of the one before */
}
static void disorder(struct mni_manifest *m)
{
    add(m, 10, "a", "b");
}
static void twice(struct mni_manifest *m)
{
    CHECK_OK(mni_manifest_add_run(m));
    add(m, 5, "x", "y");
}

static void contradictions_are_refused(void)
{
    refuses(number_0, "number 0");
    refuses(next_0, "next segment");
    refuses(handed_out_less, "LSN 1000");
    refuses(last_time_less, "1700000000000000");
    refuses(no_rows, "0000000000000005.seg: its number of rows");
    refuses(too_many_rows, "number of rows");
    refuses(lsn_0, "LSNs");
    refuses(lsns_reversed, "LSNs");
    refuses(lsn_above, "above the manifest's LSN");
    refuses(footer_empty, "footer");
    refuses(footer_outside, "footer");
    refuses(footer_behind_end, "footer");
    refuses(key_empty, "length");
    refuses(keys_reversed, "contradict");
    refuses(one_row_of_two_keys, "contradict");
    refuses(counter_0, "number is 0");
    refuses(counter_of_the_future, "handed out");
    refuses(same_generation, "out of order");
    refuses(generation_0, "out of order");
    refuses(live_empty, "empty");
    refuses(empty_run, "run without");
    refuses(overlap, "overlaps");
    refuses(disorder, "out of order");
    refuses(twice, "0000000000000005.seg stands in it twice");
}

static void what_is_unusual_passes(void)
{
    struct mni_manifest m = sample_facts(UINT64_MAX);

    CHECK_OK(mni_manifest_validate(&m, NULL)); /* no segments at all */
    m.lsn = 0;
    m.lsn_handed_out = 0;
    m.time_us = 0;
    CHECK_OK(mni_manifest_validate(&m, NULL)); /* nothing was ever committed */
    mni_manifest_done(&m);

    m = sample(1);
    m.segments[0].n_rows = MNI_MANIFEST_ROWS_MAX;
    m.segments[1].n_rows = 1;
    m.segments[1].last = m.segments[1].first;
    mni_manifest_segment_id(m.incarnation - 1, 60000, m.segments[2].id); /* of before a restore */
    m.next_segment = 6;
    CHECK_OK(mni_manifest_validate(&m, NULL));
    mni_manifest_done(&m);
}

static void short_memory_leaves_it_as_it_was(void)
{
    struct mni_manifest_segment s = sample_segment(5, "b", "c");
    struct mni_manifest_live live = {1, 2, 3};
    uint64_t live_blocks = mni_mem_live_blocks();

    for (uint64_t n = 1;; n++) {
        struct mni_manifest m = sample_facts(1);
        mni_mem_fail_at(n);
        mn_status st = mni_manifest_add_run(&m);
        if (st == MN_OK)
            st = mni_manifest_add_segment(&m, &s);
        if (st == MN_OK)
            st = mni_manifest_add_live(&m, &live);
        if (st == MN_OK)
            st = mni_manifest_validate(&m, NULL);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        CHECK_EQ(m.n_segments, m.n_runs == 0 ? 0 : m.runs[0].n_segments);
        if (m.n_segments == 0 && m.n_runs == 1)
            CHECK_OK(mni_manifest_add_segment(&m, &s));
        if (m.n_segments == 1)
            CHECK_OK(mni_manifest_validate(&m, NULL));
        mni_manifest_done(&m);
        if (!was_hit)
            break;
    }
    CHECK_EQ(mni_mem_live_blocks(), live_blocks);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_was_added_is_there),
        CHECK_TEST(keys_stay_while_the_manifest_grows),
        CHECK_TEST(files_are_found_by_name),
        CHECK_TEST(only_our_names_are_names),
        CHECK_TEST(contradictions_are_refused),
        CHECK_TEST(what_is_unusual_passes),
        CHECK_TEST(short_memory_leaves_it_as_it_was),
    };
    return check_run("manifest.manifest", tests, CHECK_COUNT(tests), argc, argv);
}
