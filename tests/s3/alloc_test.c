/*
 * alloc_test.c - every allocation fails once, in all that is done with an S3 server: the answer is
 * right or MN_ERR_NOMEM, nothing leaks, and the next call works.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "double.h"

enum { FAILURES_MAX = 10000 };

struct world {
    mn_object_store *store;
    mn_object_upload *upload;
    struct mn_error err;
};

struct deed {
    const char *name;
    mn_status (*act)(struct world *w);
    void (*check)(struct world *w); /* after MN_OK, with memory; may be NULL */
};

static mn_status act_open(struct world *w)
{
    struct mn_object_s3_options options = double_options();
    mn_object_store *store = NULL;
    mn_status st = mn_object_open_s3(&options, &store, &w->err);

    if (st == MN_OK)
        CHECK_OK(mn_object_close(store, NULL));
    return st;
}

static mn_status act_put(struct world *w)
{
    struct mn_object_condition condition = {.if_absent = true};

    return mn_object_put(w->store, mn_str("new"), mn_str("two"), &condition, NULL, &w->err);
}

static void check_put(struct world *w)
{
    (void)w;
    double_holds("new", "two");
}

static mn_status act_get(struct world *w)
{
    struct mn_slice data;
    mn_status st = mn_object_get(w->store, mn_str("k"), 0, &data, NULL, &w->err);

    if (st == MN_OK) {
        CHECK_MEM_EQ(data.data, "one", 3);
        mn_object_free(data);
    }
    return st;
}

static mn_status act_get_ranges(struct world *w)
{
    char got[2];
    struct mn_object_range ranges[2] = {
        {.key = mn_str("k"), .n_bytes = 1, .data_out = &got[0]},
        {.key = mn_str("k"), .offset = 1, .n_bytes = 1, .data_out = &got[1]},
    };
    mn_status st = mn_object_get_ranges(w->store, ranges, 2, &w->err);

    for (unsigned i = 0; i < 2; i++) {
        CHECK(ranges[i].status == MN_OK || ranges[i].status == MN_ERR_NOMEM);
        if (ranges[i].status == MN_OK)
            CHECK_EQ(got[i], "one"[i]);
    }
    return st;
}

static mn_status act_head(struct world *w)
{
    struct mn_object_info info;
    mn_status st = mn_object_head(w->store, mn_str("k"), &info, &w->err);

    if (st == MN_OK)
        CHECK_EQ(info.n_bytes, 3);
    return st;
}

static mn_status act_list(struct world *w)
{
    struct mn_object_page *page;
    mn_status st = mn_object_list(w->store, mn_str("k"), mn_str(""), 0, &page, &w->err);

    if (st == MN_OK) {
        CHECK_EQ(page->n_entries, 1);
        mn_object_page_free(page);
    }
    return st;
}

static mn_status act_delete(struct world *w)
{
    return mn_object_delete(w->store, mn_str("k"), &w->err);
}

static void check_delete(struct world *w)
{
    (void)w;
    double_lacks("k");
}

static mn_status count(void *context, struct mn_slice key, const char *id, int64_t begun_us)
{
    (void)key;
    (void)id;
    (void)begun_us;
    (*(unsigned *)context)++;
    return MN_OK;
}

static mn_status act_upload(struct world *w)
{
    unsigned n = 0;
    mn_status st = mn_object_upload_begin(w->store, mn_str("u"), &w->upload, &w->err);

    if (st != MN_OK)
        w->upload = NULL;
    if (st == MN_OK)
        st = mn_object_upload_part(w->upload, 1, mn_str("part"), &w->err);
    if (st == MN_OK)
        st = mn_object_uploads(w->store, mn_str("u"), count, &n, &w->err);
    if (st == MN_OK)
        CHECK_EQ(n, 1);
    if (st == MN_OK) {
        st = mn_object_upload_complete(w->upload, NULL, NULL, &w->err);
        if (st == MN_OK)
            w->upload = NULL;
    }
    return st;
}

static void check_upload(struct world *w)
{
    (void)w;
    double_holds("u", "part");
}

static mn_status act_check_conditions(struct world *w)
{
    return mn_object_check_conditions(w->store, &w->err);
}

static const struct deed deeds[] = {
    {"open", act_open, NULL},
    {"put", act_put, check_put},
    {"get", act_get, NULL},
    {"get_ranges", act_get_ranges, NULL},
    {"head", act_head, NULL},
    {"list", act_list, NULL},
    {"delete", act_delete, check_delete},
    {"upload", act_upload, check_upload},
    {"check_conditions", act_check_conditions, NULL},
};

static void run_deed(const struct deed *deed)
{
    for (uint64_t n = 1; n < FAILURES_MAX; n++) {
        uint64_t n_blocks = mni_mem_live_blocks();
        struct world w = {.store = NULL};
        double_reset();
        w.store = double_open();
        double_put(w.store, "k", "one");
        mni_mem_fail_at(n);
        mn_status st = deed->act(&w);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        if (st != MN_OK && st != MN_ERR_NOMEM)
            (void)printf("    %s, allocation %llu\n", deed->name, (unsigned long long)n);
        CHECK(st == MN_OK || st == MN_ERR_NOMEM);
        if (st == MN_OK && deed->check != NULL)
            deed->check(&w);
        if (w.upload != NULL)
            CHECK_OK(mn_object_upload_abort(w.upload, NULL));
        double_put(w.store, "k", "one"); /* the store goes on */
        CHECK_OK(act_get(&w));
        double_close(w.store);
        CHECK_EQ(mni_mem_live_blocks(), n_blocks);
        if (!was_hit) {
            CHECK_OK(st);
            return;
        }
    }
    CHECK(!"it ends");
}

static void every_allocation_may_fail(void)
{
    for (size_t i = 0; i < CHECK_COUNT(deeds); i++)
        run_deed(&deeds[i]);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {CHECK_TEST(every_allocation_may_fail)};

    return check_run("s3.alloc", tests, CHECK_COUNT(tests), argc, argv);
}
