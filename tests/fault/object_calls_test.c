/* Every call of the disk and every allocation may fail in a directory of objects: the call says so,
 * and the object is as before or as asked for. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"
#include "io/fault.h"
#include "io/posix.h"

static struct mn_error err;
static char dir[2048];

/* What the keys hold: "" for an empty object, NULL for none. */
struct state {
    const char *a;
    const char *b;
    unsigned n_uploads;
};

struct deed {
    const char *name;
    mn_status (*run)(mn_object_store *store, struct mn_error *e);
    struct state after; /* when it succeeds; before, "a" is there with "1" */
};

static const struct mn_object_condition if_absent = {.if_absent = true};

static mn_status put_new(mn_object_store *store, struct mn_error *e)
{
    return mn_object_put(store, mn_str("d/e/b"), mn_str("2"), NULL, NULL, e);
}

static mn_status put_over(mn_object_store *store, struct mn_error *e)
{
    return mn_object_put(store, mn_str("a"), mn_str("2"), NULL, NULL, e);
}

static mn_status put_absent(mn_object_store *store, struct mn_error *e)
{
    return mn_object_put(store, mn_str("d/e/b"), mn_str("2"), &if_absent, NULL, e);
}

static mn_status put_match(mn_object_store *store, struct mn_error *e)
{
    struct mn_object_info info;
    mn_status st = mn_object_head(store, mn_str("a"), &info, e);

    if (st != MN_OK)
        return st;
    const struct mn_object_condition if_same = {.if_match = info.etag};
    return mn_object_put(store, mn_str("a"), mn_str("2"), &if_same, NULL, e);
}

static mn_status put_refused(mn_object_store *store, struct mn_error *e)
{
    mn_status st = mn_object_put(store, mn_str("a"), mn_str("2"), &if_absent, NULL, e);

    return st == MN_EXISTS ? MN_OK : st == MN_OK ? MN_ERR_CORRUPT : st;
}

static mn_status delete (mn_object_store *store, struct mn_error *e)
{
    return mn_object_delete(store, mn_str("a"), e);
}

static mn_status read_all(mn_object_store *store, struct mn_error *e)
{
    struct mn_slice data = {NULL, 0};
    struct mn_object_page *page = NULL;
    char byte = 0;
    struct mn_object_range range = {.key = mn_str("a"), .n_bytes = 1, .data_out = &byte};
    mn_status st = mn_object_get(store, mn_str("a"), 0, &data, NULL, e);

    if (st != MN_OK)
        return st;
    bool is_right = data.n_bytes == 1 && memcmp(data.data, "1", 1) == 0;
    mn_object_free(data);
    st = mn_object_get_ranges(store, &range, 1, e);
    if (st == MN_OK)
        st = mn_object_list(store, mn_str(""), mn_str(""), 0, &page, e);
    if (st != MN_OK)
        return st;
    is_right = is_right && byte == '1' && page->n_entries == 1 && page->entries[0].n_bytes == 1;
    mn_object_page_free(page);
    return is_right ? MN_OK : MN_ERR_CORRUPT;
}

static mn_status note_id(void *context, struct mn_slice key, const char *upload_id,
                         int64_t begun_us)
{
    (void)key;
    (void)begun_us;
    (void)snprintf(context, 64, "%s", upload_id);
    return MN_OK;
}

/* Begins, leaves, finds, resumes and completes. */
static mn_status upload(mn_object_store *store, struct mn_error *e)
{
    mn_object_upload *up = NULL;
    char id[64] = "";
    mn_status st = mn_object_upload_begin(store, mn_str("d/e/b"), &up, e);

    if (st != MN_OK)
        return st;
    st = mn_object_upload_part(up, 1, mn_str("2"), e);
    mn_object_upload_leave(up);
    if (st == MN_OK)
        st = mn_object_uploads(store, mn_str("d"), note_id, id, e);
    if (st == MN_OK && id[0] == '\0')
        return MN_ERR_CORRUPT;
    if (st == MN_OK)
        st = mn_object_upload_resume(store, mn_str("d/e/b"), id, &up, e);
    if (st != MN_OK)
        return st;
    st = mn_object_upload_complete(up, &if_absent, NULL, e);
    if (st < 0)
        mn_object_upload_leave(up);
    return st;
}

static mn_status abort_upload(mn_object_store *store, struct mn_error *e)
{
    mn_object_upload *up = NULL;
    mn_status st = mn_object_upload_begin(store, mn_str("d/e/b"), &up, e);

    return st == MN_OK ? mn_object_upload_abort(up, e) : st;
}

static const struct deed deeds[] = {
    {"put_new", put_new, {"1", "2", 0}},          {"put_over", put_over, {"2", NULL, 0}},
    {"put_absent", put_absent, {"1", "2", 0}},    {"put_match", put_match, {"2", NULL, 0}},
    {"put_refused", put_refused, {"1", NULL, 0}}, {"delete", delete, {NULL, NULL, 0}},
    {"read_all", read_all, {"1", NULL, 0}},       {"upload", upload, {"1", "2", 0}},
    {"abort", abort_upload, {"1", NULL, 0}},
};

static void prepare(void)
{
    mn_object_store *store = NULL;

    (void)snprintf(dir, sizeof dir, "%s", check_temp_dir());
    CHECK_OK_ERR(mn_object_open_dir(dir, NULL, &store, &err), &err);
    CHECK_OK_ERR(mn_object_put(store, mn_str("a"), mn_str("1"), NULL, NULL, &err), &err);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

static bool holds(mn_object_store *store, const char *key, const char *text)
{
    struct mn_slice data = {NULL, 0};
    mn_status st = mn_object_get(store, mn_str(key), 0, &data, NULL, &err);

    CHECK(st == MN_OK || st == MN_NOT_FOUND);
    if (st == MN_NOT_FOUND)
        return text == NULL;
    bool is_same = text != NULL && data.n_bytes == strlen(text) &&
                   memcmp(data.data, text, data.n_bytes) == 0;
    mn_object_free(data);
    return is_same;
}

static mn_status count_upload(void *context, struct mn_slice key, const char *upload_id,
                              int64_t begun_us)
{
    (void)key;
    (void)upload_id;
    (void)begun_us;
    ++*(unsigned *)context;
    return MN_OK;
}

static bool is_state(mn_object_store *store, const struct state *state)
{
    return holds(store, "a", state->a) && holds(store, "d/e/b", state->b);
}

/* Afterwards, without faults: old or new, and new when it succeeded; and all goes on. */
static void check_after(const struct deed *deed, mn_status st)
{
    static const struct state before = {"1", NULL, 0};
    mn_object_store *store = NULL;
    unsigned n_uploads = 0;

    CHECK_OK_ERR(mn_object_open_dir(dir, NULL, &store, &err), &err);
    bool is_new = is_state(store, &deed->after);
    CHECK(is_new || (st != MN_OK && is_state(store, &before)));
    CHECK_OK_ERR(mn_object_uploads(store, mn_str(""), count_upload, &n_uploads, &err), &err);
    CHECK(n_uploads <= 1);
    if (st == MN_OK && deed->run != upload) /* whose end is for the next one to finish */
        CHECK_EQ(n_uploads, deed->after.n_uploads);
    CHECK_OK_ERR(mn_object_put(store, mn_str("d/e/b"), mn_str("3"), NULL, NULL, &err), &err);
    CHECK(holds(store, "d/e/b", "3"));
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

/* Opens, does it and closes, through a world that fails. */
static mn_status do_it(struct mni_env *env, const struct deed *deed)
{
    mn_object_store *store = NULL;
    mn_status st;

    memset(&err, 0, sizeof err);
    st = mni_api_object_open_dir(env, dir, NULL, &store, &err);
    if (st != MN_OK)
        return st;
    st = deed->run(store, &err);
    CHECK(st == MN_OK || (err.status == st && err.message[0] != '\0'));
    CHECK_OK(mn_object_close(store, NULL));
    return st;
}

static void fail_each_call(const struct deed *deed, bool keep_failing, int os_errno)
{
    struct mni_fault_env *fault = NULL;
    bool was_hit = true;
    unsigned n_errors = 0;

    CHECK_OK(mni_fault_env_new(mni_posix_env(), &fault));
    for (uint64_t n = 1; was_hit; n++) {
        prepare();
        uint64_t n_blocks = mni_mem_live_blocks();
        mni_fault_env_fail_at(fault, n, os_errno, keep_failing);
        mn_status st = do_it(mni_fault_env_base(fault), deed);
        was_hit = mni_fault_env_was_hit(fault);
        mni_fault_env_fail_at(fault, 0, 0, false);
        CHECK(st <= 0);
        CHECK(was_hit || st == MN_OK);
        CHECK_EQ(mni_mem_live_blocks(), n_blocks);
        n_errors += st != MN_OK;
        check_after(deed, st);
    }
    CHECK(n_errors > 3);
    mni_fault_env_free(fault);
}

static void any_call_of_the_disk_may_fail(void)
{
    for (size_t i = 0; i < CHECK_COUNT(deeds); i++)
        fail_each_call(&deeds[i], false, EIO);
}

static void the_disk_may_fail_for_good(void)
{
    for (size_t i = 0; i < CHECK_COUNT(deeds); i++)
        fail_each_call(&deeds[i], true, ENOSPC);
}

static void any_allocation_may_fail(void)
{
    for (size_t i = 0; i < CHECK_COUNT(deeds); i++) {
        bool was_hit = true;
        unsigned n_errors = 0;
        for (uint64_t n = 1; was_hit; n++) {
            prepare();
            uint64_t n_blocks = mni_mem_live_blocks();
            mni_mem_fail_at(n);
            mn_status st = do_it(mni_posix_env(), &deeds[i]);
            was_hit = mni_mem_fail_was_hit();
            mni_mem_fail_at(0);
            CHECK(st == MN_OK || st == MN_ERR_NOMEM);
            CHECK(was_hit || st == MN_OK);
            CHECK_EQ(mni_mem_live_blocks(), n_blocks);
            n_errors += st != MN_OK;
            check_after(&deeds[i], st);
        }
        CHECK(n_errors > 3);
    }
}

/* A store that was made half is made by whoever comes next. */
static void making_a_store_may_fail_at_any_call(void)
{
    struct mni_fault_env *fault = NULL;
    bool was_hit = true;
    unsigned n_errors = 0;

    CHECK_OK(mni_fault_env_new(mni_posix_env(), &fault));
    for (uint64_t n = 1; was_hit; n++) {
        for (unsigned keep_failing = 0; keep_failing < 2; keep_failing++) {
            mn_object_store *store = NULL;
            (void)snprintf(dir, sizeof dir, "%s/new", check_temp_dir());
            mni_fault_env_fail_at(fault, n, ENOSPC, keep_failing == 1);
            mn_status st =
                mni_api_object_open_dir(mni_fault_env_base(fault), dir, NULL, &store, &err);
            was_hit = mni_fault_env_was_hit(fault);
            mni_fault_env_fail_at(fault, 0, 0, false);
            CHECK(st == MN_OK || st == MN_ERR_NO_SPACE);
            n_errors += st != MN_OK;
            CHECK_OK(mn_object_close(store, NULL));
            CHECK_OK_ERR(mn_object_open_dir(dir, NULL, &store, &err), &err);
            CHECK_OK_ERR(mn_object_put(store, mn_str("a"), mn_str("1"), NULL, NULL, &err), &err);
            CHECK(holds(store, "a", "1"));
            CHECK_OK_ERR(mn_object_close(store, &err), &err);
        }
    }
    CHECK(n_errors > 20);
    mni_fault_env_free(fault);
}

/* Where there are no links, a put where there is none is done in another way. */
static void stores_work_without_links(void)
{
    struct mni_fault_env *fault = NULL;
    unsigned n_right = 0;

    CHECK_OK(mni_fault_env_new(mni_posix_env(), &fault));
    for (uint64_t n = 1;; n++) {
        prepare();
        mni_fault_env_fail_at(fault, n, EXDEV, false);
        mn_status st = do_it(mni_fault_env_base(fault), &deeds[2]);
        bool was_hit = mni_fault_env_was_hit(fault);
        mni_fault_env_fail_at(fault, 0, 0, false);
        n_right += was_hit && st == MN_OK;
        check_after(&deeds[2], st);
        if (!was_hit)
            break;
    }
    CHECK(n_right > 0);
    mni_fault_env_free(fault);
}

static void memory_takes_failed_allocations_too(void)
{
    for (size_t i = 0; i < CHECK_COUNT(deeds); i++) {
        bool was_hit = true;
        for (uint64_t n = 1; was_hit; n++) {
            mn_object_store *store = NULL;
            uint64_t n_blocks = mni_mem_live_blocks();
            mni_mem_fail_at(n);
            mn_status st = mn_object_open("mem:", &store, &err);
            if (st == MN_OK)
                st = mn_object_put(store, mn_str("a"), mn_str("1"), NULL, NULL, &err);
            bool is_prepared = st == MN_OK;
            if (st == MN_OK)
                st = deeds[i].run(store, &err);
            was_hit = mni_mem_fail_was_hit();
            mni_mem_fail_at(0);
            CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
            static const struct state before = {"1", NULL, 0};
            if (is_prepared)
                CHECK(is_state(store, was_hit ? &before : &deeds[i].after));
            CHECK_OK(mn_object_close(store, NULL));
            CHECK_EQ(mni_mem_live_blocks(), n_blocks);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_call_of_the_disk_may_fail), CHECK_TEST(the_disk_may_fail_for_good),
        CHECK_TEST(any_allocation_may_fail),       CHECK_TEST(making_a_store_may_fail_at_any_call),
        CHECK_TEST(stores_work_without_links),     CHECK_TEST(memory_takes_failed_allocations_too),
    };

    return check_run("fault.object_calls", tests, CHECK_COUNT(tests), argc, argv);
}
