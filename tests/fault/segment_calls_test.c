/*
 * Every call to the world and every allocation fails once while a segment is written, opened and
 * read: the deed answers with an error or succeeds, nothing leaks, and nothing half-written is
 * taken for a segment.
 */
#include "segment/fixture.h"

#include <errno.h>

static struct rows some_rows(void)
{
    uint64_t random = 7;
    struct rows_options options = {.n = 120, .n_collections = 5, .large_bytes = 20000};

    return random_rows(&random, options);
}

/* Plans, writes, opens, reads and verifies; every status is the caller's to judge. */
static mn_status do_all(struct disk *d, const struct rows *rows)
{
    struct mni_segment_id id = id_of(1);
    struct mni_segment_plan *plan = NULL;
    struct mni_segment *segment = NULL;
    struct mni_segment_info info;

    mn_status st = mni_segment_plan_new(0, &plan);
    for (size_t i = 0; i < rows->n && st == MN_OK; i++)
        st = mni_segment_plan_add(plan, &rows->items[i], &d->err);
    struct mni_segment_writer_config config = {.dir = d->dir, .id = id, .plan = plan};
    if (st == MN_OK)
        st = try_write(d, &config, rows->items, rows->n, &info);
    mni_segment_plan_free(plan);
    if (st == MN_OK)
        st = mni_segment_open(d->dir, &id, &info, &segment, &d->err);
    if (st == MN_OK)
        check_segment(segment, rows);
    mni_segment_unref(segment);
    return st;
}

/* What a writer leaves behind is no segment, or the whole one. */
static void check_what_is_there(struct disk *d, const struct rows *rows, mn_status done)
{
    struct mni_segment_id id = id_of(1);
    struct mni_segment *segment = NULL;
    mn_status st = mni_segment_open(d->dir, &id, NULL, &segment, NULL);

    if (st == MN_OK)
        check_segment(segment, rows);
    else
        CHECK(done != MN_OK && (st == MN_NOT_FOUND || st == MN_ERR_CORRUPT));
    mni_segment_unref(segment);
}

static void every_allocation_can_fail(void)
{
    struct rows rows = some_rows();
    uint64_t n_blocks = mni_mem_live_blocks();
    mn_status st = MN_ERR_NOMEM;
    uint64_t n;

    for (n = 1; st != MN_OK; n++) {
        struct disk d = disk_new();
        mni_mem_fail_at(n);
        st = do_all(&d, &rows);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_EQ(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        check_what_is_there(&d, &rows, st);
        disk_free(&d);
        CHECK_EQ(mni_mem_live_blocks(), n_blocks);
        CHECK(n < 1000);
    }
    CHECK(n > 20); /* buffers, tables, handles */
    rows_free(&rows);
}

static void fail_every_call(int os_errno, bool keep_failing, mn_status expected)
{
    struct rows rows = some_rows();
    uint64_t n_blocks = mni_mem_live_blocks();
    bool was_hit = true;
    uint64_t n;

    for (n = 1; was_hit; n++) {
        struct disk d = disk_new();
        mni_fault_env_fail_at(d.fault, n, os_errno, keep_failing);
        mn_status st = do_all(&d, &rows);
        was_hit = mni_fault_env_was_hit(d.fault);
        mni_fault_env_fail_at(d.fault, 0, 0, false);
        CHECK_STATUS(st, was_hit ? expected : MN_OK);
        check_what_is_there(&d, &rows, st);
        disk_free(&d);
        CHECK_EQ(mni_mem_live_blocks(), n_blocks);
        CHECK(n < 1000);
    }
    CHECK(n > 15); /* create, allocate, columns, ends, sync, open, map */
    rows_free(&rows);
}

static void every_call_can_fail(void)
{
    fail_every_call(EIO, false, MN_ERR_IO);
}

static void the_disk_can_be_full_from_any_call_on(void)
{
    fail_every_call(ENOSPC, true, MN_ERR_NO_SPACE);
}

/* Without direct transfers, and without reserving space, a segment is written all the same. */
static void file_systems_that_can_do_less_are_enough(void)
{
    static const int missing[] = {EINVAL, EOPNOTSUPP};

    for (uint64_t i = 0; i < 2; i++) {
        struct rows rows = some_rows();
        struct disk d = disk_new();
        mni_fault_env_fail_at(d.fault, i + 1, missing[i], false);
        CHECK_OK_ERR(do_all(&d, &rows), &d.err);
        CHECK(mni_fault_env_was_hit(d.fault));
        disk_free(&d);
        rows_free(&rows);
    }
}

/* The power goes at every call: what is there after is no segment, or the whole one; and when
 * finishing succeeded and the directory was synced, it is the whole one. */
static void no_crash_leaves_a_part_that_passes_for_a_segment(void)
{
    struct rows rows = some_rows();
    bool was_cut = true;

    for (uint64_t n = 1; was_cut; n++) {
        struct disk d = disk_new();
        mni_crash_env_cut_at(d.crash, n);
        mn_status st = do_all(&d, &rows);
        if (st == MN_OK)
            st = mni_dir_sync(d.dir, NULL);
        was_cut = mni_crash_env_is_cut(d.crash);
        CHECK_EQ(st != MN_OK, was_cut);
        mni_dir_close(d.dir);
        mni_crash_env_restart(d.crash, false, 0);
        disk_open_dir(&d);
        check_what_is_there(&d, &rows, st);
        disk_free(&d);
        CHECK(n < 1000);
    }
    rows_free(&rows);
}

struct pacing {
    uint64_t n_calls;
    uint64_t n_bytes;
    uint64_t stop_at;
};

static mn_status pace(void *context, uint64_t n_bytes, struct mn_error *err)
{
    struct pacing *p = context;

    p->n_bytes += n_bytes;
    if (++p->n_calls == p->stop_at)
        return mni_fail(err, MN_ERR_CANCELLED, "enough");
    return MN_OK;
}

static void pacing_sees_every_write_and_can_stop_each(void)
{
    struct rows rows = some_rows();
    struct mni_segment_plan *plan = plan_all(&rows);
    uint64_t n_blocks = mni_mem_live_blocks();
    mn_status st = MN_ERR_CANCELLED;

    for (uint64_t n = 1; st != MN_OK; n++) {
        struct disk d = disk_new();
        struct pacing pacing = {.stop_at = n};
        struct mni_segment_writer_config config = {
            .dir = d.dir, .id = id_of(1), .plan = plan, .pace = pace, .pace_context = &pacing};
        struct mni_segment_info info;
        st = try_write(&d, &config, rows.items, rows.n, &info);
        CHECK_STATUS(st, pacing.n_calls < n ? MN_OK : MN_ERR_CANCELLED);
        if (st == MN_OK) {
            CHECK(pacing.n_bytes <= info.file_bytes);
            CHECK(pacing.n_bytes > info.file_bytes / 2);
        }
        check_what_is_there(&d, &rows, st);
        disk_free(&d);
        CHECK(n < 1000);
    }
    mni_segment_plan_free(plan);
    rows_free(&rows);
    CHECK(n_blocks > mni_mem_live_blocks());
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_allocation_can_fail),
        CHECK_TEST(every_call_can_fail),
        CHECK_TEST(the_disk_can_be_full_from_any_call_on),
        CHECK_TEST(file_systems_that_can_do_less_are_enough),
        CHECK_TEST(no_crash_leaves_a_part_that_passes_for_a_segment),
        CHECK_TEST(pacing_sees_every_write_and_can_stop_each),
    };

    return check_run("fault.segment_calls", tests, CHECK_COUNT(tests), argc, argv);
}
