/* Power cuts at every call of histories on a directory of objects: what was acknowledged is there,
 * what was under way is old or new. MNEME_OBJECT_HISTORIES makes it longer. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "io/crash.h"

enum { KEYS = 5, VALUES_MAX = 16, NONE = -1, DEEDS = 10, ROUNDS = 4 };

static const char *const keys[KEYS] = {"a", "d/b", "d/e/c", "d/e/f/g", "a/"};
static struct mn_error err;

/* What each key may hold; one value when it is certain. */
struct key_state {
    int values[VALUES_MAX];
    unsigned n;
};

struct history {
    struct mni_crash_env *crash;
    mn_object_store *store;
    uint64_t random;
    int next_value;
    struct key_state states[KEYS];
    char upload_id[64];
    bool has_upload; /* acknowledged, with a part of one byte */
};

static bool may_hold(const struct key_state *state, int value)
{
    for (unsigned i = 0; i < state->n; i++)
        if (state->values[i] == value)
            return true;
    return false;
}

static void allow(struct key_state *state, int value)
{
    CHECK(state->n < VALUES_MAX);
    if (!may_hold(state, value))
        state->values[state->n++] = value;
}

static void set(struct key_state *state, int value)
{
    state->n = 0;
    allow(state, value);
}

static mn_status open_store(struct history *h)
{
    return mni_api_object_open_dir(mni_crash_env_base(h->crash), "/store", NULL, &h->store, &err);
}

static void close_store(struct history *h)
{
    CHECK_OK(mn_object_close(h->store, NULL));
    h->store = NULL;
}

/* NONE, or the number that the object holds. */
static int value_of(struct history *h, unsigned k)
{
    struct mn_slice data = {NULL, 0};
    char text[16] = "";
    mn_status st = mn_object_get(h->store, mn_str(keys[k]), 15, &data, NULL, &err);

    if (st == MN_NOT_FOUND)
        return NONE;
    CHECK_OK_ERR(st, &err);
    memcpy(text, data.data, data.n_bytes);
    mn_object_free(data);
    return atoi(text);
}

/* Deeds ----------*/

/* What a deed that did not fail, or that may have happened, does to a key. */
static void note(struct history *h, unsigned k, mn_status st, int value)
{
    struct key_state *state = &h->states[k];
    bool was_certain = state->n == 1;

    if (st == MN_OK && (value != NONE || was_certain))
        set(state, value);
    else if (st == MN_OK || st < 0)
        allow(state, value);
}

static mn_status put(struct history *h, unsigned k, const struct mn_object_condition *condition)
{
    char text[16];
    int value = h->next_value++;

    (void)snprintf(text, sizeof text, "%d", value);
    mn_status st = mn_object_put(h->store, mn_str(keys[k]), mn_str(text), condition, NULL, &err);
    if (condition != NULL && condition->if_absent && h->states[k].n == 1 && st >= 0)
        CHECK_STATUS(st, h->states[k].values[0] == NONE ? MN_OK : MN_EXISTS);
    note(h, k, st, value);
    return st;
}

static mn_status put_over_etag(struct history *h, unsigned k)
{
    struct mn_object_info info;
    mn_status st = mn_object_head(h->store, mn_str(keys[k]), &info, &err);

    if (st != MN_OK)
        return st;
    const struct mn_object_condition if_same = {.if_match = info.etag};
    st = put(h, k, &if_same);
    CHECK(st != MN_CHANGED);
    return st;
}

static mn_status upload(struct history *h, unsigned k)
{
    mn_object_upload *up = NULL;
    char text[16];
    int value = h->next_value++;
    mn_status st = mn_object_upload_begin(h->store, mn_str(keys[k]), &up, &err);

    if (st != MN_OK)
        return st;
    (void)snprintf(text, sizeof text, "%d", value);
    st = mn_object_upload_part(up, 1, mn_str(text), &err);
    if (st != MN_OK) {
        mn_object_upload_leave(up);
        return st;
    }
    st = mn_object_upload_complete(up, NULL, NULL, &err);
    if (st != MN_OK)
        mn_object_upload_leave(up);
    note(h, k, st, value);
    return st;
}

static mn_status begin_upload(struct history *h)
{
    mn_object_upload *up = NULL;
    mn_status st = mn_object_upload_begin(h->store, mn_str("u/v"), &up, &err);

    if (st != MN_OK)
        return st;
    st = mn_object_upload_part(up, 1, mn_str("x"), &err);
    (void)snprintf(h->upload_id, sizeof h->upload_id, "%s", mn_object_upload_id(up));
    h->has_upload = st == MN_OK;
    mn_object_upload_leave(up);
    return st;
}

static mn_status do_deed(struct history *h)
{
    static const struct mn_object_condition if_absent = {.if_absent = true};
    unsigned k = (unsigned)check_below(&h->random, KEYS);
    mn_status st;

    switch (check_below(&h->random, 8)) {
    case 0:
    case 1:
        return put(h, k, NULL);
    case 2:
        return put(h, k, &if_absent);
    case 3:
        return put_over_etag(h, k);
    case 4:
        return upload(h, k);
    case 5:
        return h->has_upload ? MN_OK : begin_upload(h);
    default:
        st = mn_object_delete(h->store, mn_str(keys[k]), &err);
        note(h, k, st, NONE);
        return st;
    }
}

/* Opens and does deeds until the power goes or the round is over. */
static void run_round(struct history *h)
{
    mn_status st = open_store(h);

    for (unsigned i = 0; i < DEEDS && st >= 0; i++) {
        st = do_deed(h);
        CHECK(st >= 0 || mni_crash_env_is_cut(h->crash) || st == MN_ERR_IO);
        if (st < 0 && !mni_crash_env_is_cut(h->crash))
            st = MN_OK; /* a sync failed, and the store goes on */
    }
    if (h->store != NULL)
        close_store(h);
}

static mn_status count_entry(struct history *h, size_t *n_out)
{
    struct mn_object_page *page = NULL;
    mn_status st = mn_object_list(h->store, mn_str(""), mn_str(""), 0, &page, &err);

    if (st == MN_OK)
        *n_out = page->n_entries;
    mn_object_page_free(page);
    return st;
}

static void check_upload(struct history *h)
{
    mn_object_upload *up = NULL;

    if (!h->has_upload)
        return;
    CHECK_OK_ERR(mn_object_upload_resume(h->store, mn_str("u/v"), h->upload_id, &up, &err), &err);
    CHECK_EQ(mn_object_upload_part_bytes(up, 1), 1);
    mn_object_upload_leave(up);
}

/* With the power back: each key holds what it may hold, and that is certain from now on. */
static void check_all(struct history *h)
{
    size_t n_listed = 0;
    size_t n_there = 0;

    CHECK_OK_ERR(open_store(h), &err);
    for (unsigned k = 0; k < KEYS; k++) {
        int value = value_of(h, k);
        CHECK(may_hold(&h->states[k], value));
        n_there += value != NONE;
        set(&h->states[k], value);
    }
    CHECK_OK_ERR(count_entry(h, &n_listed), &err);
    CHECK_EQ(n_listed, n_there);
    check_upload(h);
    close_store(h);
}

static struct history history_new(uint64_t seed)
{
    struct history h = {.random = seed, .next_value = 1};

    CHECK_OK(mni_crash_env_new(seed, &h.crash));
    for (unsigned k = 0; k < KEYS; k++)
        set(&h.states[k], NONE);
    return h;
}

/* The same history with the power cut at its n-th call, then some rounds cut anywhere. */
static bool run_history(uint64_t seed, uint64_t n)
{
    struct history h = history_new(seed);
    uint64_t random = seed ^ n << 32;
    bool was_cut = false;

    mni_crash_env_cut_at(h.crash, n);
    for (unsigned round = 0; round < ROUNDS; round++) {
        run_round(&h);
        if (round == 0)
            was_cut = mni_crash_env_is_cut(h.crash);
        mni_crash_env_restart(h.crash, false, 0);
        check_all(&h);
        mni_crash_env_restart(h.crash, false, 0);
        check_all(&h);
        mni_crash_env_cut_at(h.crash, 1 + check_below(&random, 200));
    }
    mni_crash_env_cut_at(h.crash, 0);
    mni_crash_env_free(h.crash);
    return was_cut;
}

static unsigned n_histories(unsigned n)
{
    const char *text = getenv("MNEME_OBJECT_HISTORIES");

    return text != NULL ? (unsigned)atoi(text) : n;
}

static void what_was_acknowledged_survives_any_cut(void)
{
    uint64_t random = check_seed();

    for (unsigned i = 0; i < n_histories(6); i++) {
        uint64_t seed = check_random(&random);
        uint64_t n = 1;
        while (run_history(seed, n))
            n++;
        CHECK(n > 30);
    }
}

/* A sync that fails leaves the key that it was about uncertain, and nothing else. */
static void a_failed_sync_harms_no_other_object(void)
{
    uint64_t random = check_seed();

    for (unsigned i = 0; i < n_histories(6) * 100; i++) {
        struct history h = history_new(check_random(&random));
        run_round(&h);
        for (unsigned round = 0; round < ROUNDS; round++) {
            mni_crash_env_fail_sync_at(h.crash, 1 + check_below(&random, 40));
            run_round(&h);
            mni_crash_env_restart(h.crash, false, 0);
            check_all(&h);
        }
        mni_crash_env_free(h.crash);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_was_acknowledged_survives_any_cut),
        CHECK_TEST(a_failed_sync_harms_no_other_object),
    };

    return check_run("fault.object_crash", tests, CHECK_COUNT(tests), argc, argv);
}
