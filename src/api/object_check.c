/*
 * object_check.c - finds out whether an object store keeps the conditions of puts.
 *
 * Owns:    one object while it runs.
 * Threads: any; names are random.
 * Fails:   MN_ERR_UNSUPPORTED when a condition was not kept; what a request answers is passed on.
 */
#include <stdio.h>

#include "api/object_private.h"

enum { NAME_BYTES = 64 };

/* One put that must answer `expected`. */
struct trial {
    const char *what;
    const struct mn_object_condition condition;
    mn_status expected;
};

static mn_status refuse(mn_status got, const char *what, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_UNSUPPORTED, "the store does not keep conditions: %s answered %s",
                    what, mn_status_name(got));
}

/* Answers of which the trial learns something; all else is passed on. */
static bool is_answer(mn_status st)
{
    return st == MN_OK || st == MN_EXISTS || st == MN_CHANGED;
}

static mn_status try_puts(mn_object_store *store, struct mn_slice key, struct mn_error *err)
{
    struct mn_object_info info = {0};
    const struct trial before = {
        "a put over no ETag", {.if_match = "0123456789abcdef"}, MN_CHANGED};
    mn_status st = mn_object_put(store, key, mn_str("0"), &before.condition, NULL, err);

    if (is_answer(st) && st != before.expected)
        return refuse(st, before.what, err);
    if (!is_answer(st))
        return st;
    st = mn_object_put(store, key, mn_str("1"), &(struct mn_object_condition){.if_absent = true},
                       &info, err);
    if (st != MN_OK)
        return is_answer(st) ? refuse(st, "a put where there was none", err) : st;
    const struct trial trials[] = {
        {"a put where there was one", {.if_absent = true}, MN_EXISTS},
        {"a put over another ETag", {.if_match = "0123456789abcdef"}, MN_CHANGED},
        {"a put over the right ETag", {.if_match = info.etag}, MN_OK},
        {"a second put over the ETag before", {.if_match = info.etag}, MN_CHANGED},
    };
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        char text[2] = {(char)('2' + i), '\0'};
        st = mn_object_put(store, key, mn_str(text), &trials[i].condition, NULL, err);
        if (is_answer(st) && st != trials[i].expected)
            return refuse(st, trials[i].what, err);
        if (!is_answer(st))
            return st;
    }
    return MN_OK;
}

/* What conditions refused must not have been written all the same. */
static mn_status check_content(mn_object_store *store, struct mn_slice key, struct mn_error *err)
{
    struct mn_slice data = {NULL, 0};
    mn_status st = mn_object_get(store, key, 1, &data, NULL, err);

    if (st != MN_OK)
        return st;
    if (data.n_bytes != 1 || memcmp(data.data, "4", 1) != 0)
        st = mni_fail(err, MN_ERR_UNSUPPORTED, "the store wrote what a condition had it refuse");
    mn_object_free(data);
    return st;
}

mn_status mn_object_check_conditions(mn_object_store *store, struct mn_error *err)
{
    char name[NAME_BYTES];
    uint64_t random[2];
    mn_status st = api_object_check(store, err);

    if (st == MN_OK)
        st = mni_env_random(store->env, random, sizeof random, err);
    if (st != MN_OK)
        return st;
    (void)snprintf(name, sizeof name, ".mneme-conditions-%016llx%016llx",
                   (unsigned long long)random[0], (unsigned long long)random[1]);
    st = try_puts(store, mn_str(name), err);
    if (st == MN_OK)
        st = check_content(store, mn_str(name), err);
    if (st == MN_OK)
        st = mn_object_delete(store, mn_str(name), err);
    if (st != MN_OK)
        store->store->ops->discard(store->store, mn_str(name));
    return st;
}
