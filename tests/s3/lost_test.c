/*
 * lost_test.c - answers that never come: what was done is recognised as done, and nothing else.
 *
 * A put whose answer is lost may have happened, before or after somebody else's. MN_EXISTS and
 * MN_CHANGED are about others only; a put that another one came before must not pass for done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "double.h"
#include "io/thread.h"

enum {
    N_WRITERS = 6,
    N_PRIZES = 12,
    N_LOST = 8,
    IDLE_MS = 300,
};

/* Ways to lose the answer of a request that was done. */
static const char *const LOST[] = {
    "'do': 'close', 'applies': true",
    "'do': 'close', 'applies': true, 'reset': true",
    "'do': 'stall', 'applies': true",
    "'do': 'status', 'status': 500, 'applies': true",
    "'do': 'status', 'status': 503, 'code': 'SlowDown', 'applies': true",
    "'do': 'error_body', 'applies': true",
};

/* The same without having done anything. */
static const char *const FAILED[] = {
    "'do': 'close'",
    "'do': 'stall'",
    "'do': 'status', 'status': 500",
    "'do': 'error_body'",
};

static void plan(const char *operation, const char *way, int n)
{
    char text[256];

    snprintf(text, sizeof text, "{'operation': '%s', 'n': %d, %s}", operation, n, way);
    double_plan(text);
}

/* Gives a request up soon, where it stalls. */
static mn_object_store *impatient(void)
{
    struct mn_object_s3_options options = double_options();

    options.idle_timeout_ms = IDLE_MS;
    return double_open_with(&options);
}

static mn_status put(mn_object_store *store, const char *key, const char *text,
                     const struct mn_object_condition *condition, struct mn_object_info *info_out,
                     struct mn_error *err)
{
    return mn_object_put(store, mn_str(key), mn_str(text), condition, info_out, err);
}

static void a_put_without_an_answer_is_done(void)
{
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(LOST); i++) {
        double_reset();
        mn_object_store *store = impatient();
        plan("PutObject", LOST[i], 1);
        CHECK_OK_ERR(put(store, "k", "one", NULL, NULL, &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        double_holds("k", "one");
        double_close(store);
    }
}

static void a_put_that_failed_is_done_again(void)
{
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(FAILED); i++) {
        double_reset();
        mn_object_store *store = impatient();
        plan("PutObject", FAILED[i], 2);
        CHECK_OK_ERR(put(store, "k", "one", NULL, NULL, &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        double_holds("k", "one");
        double_close(store);
    }
}

/* The retry finds the object there, and it is this put's own. */
static void a_put_if_absent_recognises_itself(void)
{
    struct mn_object_condition condition = {.if_absent = true};
    struct mn_object_info info;
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(LOST); i++) {
        double_reset();
        mn_object_store *store = impatient();
        plan("PutObject", LOST[i], 1);
        CHECK_OK_ERR(put(store, "k", "one", &condition, &info, &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        CHECK_EQ(info.n_bytes, 3);
        CHECK(info.etag[0] != '\0');
        double_holds("k", "one");
        CHECK_STATUS(put(store, "k", "one", &condition, NULL, NULL), MN_EXISTS);
        double_close(store);
    }
}

static void a_put_if_match_recognises_itself(void)
{
    struct mn_object_info first;
    struct mn_object_info second;
    struct mn_object_info head;
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(LOST); i++) {
        double_reset();
        mn_object_store *store = impatient();
        CHECK_OK_ERR(put(store, "k", "one", NULL, &first, &err), &err);
        struct mn_object_condition condition = {.if_match = first.etag};
        plan("PutObject", LOST[i], 1);
        CHECK_OK_ERR(put(store, "k", "two", &condition, &second, &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        double_holds("k", "two");
        CHECK_OK_ERR(mn_object_head(store, mn_str("k"), &head, &err), &err);
        CHECK_STR_EQ(second.etag, head.etag);
        CHECK_STATUS(put(store, "k", "three", &condition, NULL, NULL), MN_CHANGED);
        double_close(store);
    }
}

/* This put never happened: what is there is another's, also when it says the same. But it may have
 * happened, and the other one behind it; only a put without doubt can tell. */
static void what_another_has_put_is_not_taken_for_ones_own(void)
{
    struct mn_object_condition condition = {.if_absent = true};

    for (size_t i = 0; i < CHECK_COUNT(FAILED); i++) {
        double_reset();
        mn_object_store *other = double_open();
        mn_object_store *store = impatient();
        double_put(other, "k", "same");
        plan("PutObject", FAILED[i], 1);
        CHECK_STATUS(put(store, "k", "same", &condition, NULL, NULL), MN_ERR_REMOTE);
        plan("PutObject", FAILED[i], 1);
        CHECK_STATUS(put(store, "k", "else", &condition, NULL, NULL), MN_ERR_REMOTE);
        CHECK_STATUS(put(store, "k", "else", &condition, NULL, NULL), MN_EXISTS);
        double_holds("k", "same");
        double_close(store);
        double_close(other);
    }
}

/* Whether this put happened before the other one cannot be told. */
static void a_change_by_another_is_not_taken_for_ones_own(void)
{
    struct mn_object_info first;
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(FAILED); i++) {
        double_reset();
        mn_object_store *other = double_open();
        mn_object_store *store = impatient();
        CHECK_OK_ERR(put(other, "k", "one", NULL, &first, &err), &err);
        struct mn_object_condition condition = {.if_match = first.etag};
        double_put(other, "k", "two");
        plan("PutObject", FAILED[i], 1);
        CHECK_STATUS(put(store, "k", "two", &condition, NULL, &err), MN_ERR_REMOTE);
        CHECK_STATUS(put(store, "k", "two", &condition, NULL, NULL), MN_CHANGED);
        double_holds("k", "two");
        double_close(store);
        double_close(other);
    }
}

/* So Ceph answers a put over an ETag that another one came before: it has not happened. */
static void a_race_lost_on_ceph_is_told_apart(void)
{
    struct mn_object_info first;
    struct mn_error err = {0};

    double_reset();
    mn_object_store *store = double_open();
    CHECK_OK_ERR(put(store, "k", "one", NULL, &first, &err), &err);
    struct mn_object_condition condition = {.if_match = first.etag};
    double_put(store, "k", "two");
    plan("PutObject", "'do': 'status', 'status': 500, 'code': 'UnknownError'", 1);
    CHECK_STATUS(put(store, "k", "three", &condition, NULL, NULL), MN_CHANGED);
    double_holds("k", "two");
    double_close(store);
}

struct follower {
    struct mni_thread thread;
    mn_object_store *store;
    bool deletes;
    mn_status status;
};

/* As soon as the object says "two", it says "three", or is gone. */
static void follow(void *context)
{
    struct follower *f = context;
    struct mn_object_info info;

    do {
        f->status = mn_object_head(f->store, mn_str("k"), &info, NULL);
    } while (f->status == MN_OK && info.n_bytes == 3);
    struct mn_object_condition condition = {.if_match = info.etag};
    if (f->status == MN_OK && f->deletes)
        f->status = mn_object_delete(f->store, mn_str("k"), NULL);
    else if (f->status == MN_OK)
        f->status = put(f->store, "k", "three!", &condition, NULL, NULL);
}

/*
 * The put happened, its answer was lost, and another has changed the object since. MN_CHANGED would
 * say that the put did not happen, and whoever counts up by puts over ETags would count twice.
 */
static void a_put_that_another_followed_does_not_pass_for_undone(void)
{
    struct mn_object_info first;
    struct mn_error err = {0};

    for (unsigned i = 0; i < 2; i++) {
        double_reset();
        mn_object_store *store = impatient();
        CHECK_OK_ERR(put(store, "k", "one", NULL, &first, &err), &err);
        struct mn_object_condition condition = {.if_match = first.etag};
        struct follower follower = {.store = double_open(), .deletes = i == 1};
        plan("PutObject", "'do': 'stall', 'applies': true", 1);
        CHECK_OK(mni_thread_start(&follower.thread, follow, &follower, NULL));
        mn_status st = put(store, "k", "two two", &condition, NULL, &err);
        mni_thread_join(&follower.thread);
        CHECK_STATUS(follower.status, MN_OK);
        CHECK(st == MN_OK || st == MN_ERR_REMOTE);
        if (i == 0)
            double_holds("k", "three!");
        else
            double_lacks("k");
        double_close(follower.store);
        double_close(store);
    }
}

/* The put happened; every further request fails. Nobody can know. */
static void what_stays_unknown_is_an_error(void)
{
    struct mn_object_condition condition = {.if_absent = true};
    double_reset();
    mn_object_store *store = double_open();
    struct mn_error err = {0};

    plan("PutObject", LOST[0], 1);
    double_plan("{'n': -1, 'do': 'close'}");
    CHECK_STATUS(put(store, "k", "one", &condition, NULL, &err), MN_ERR_REMOTE);
    double_says_no_secret(&err);
    CHECK_STR_HAS(err.message, "k");
    double_close(store);
    double_reset();
}

static void a_delete_without_an_answer_is_done(void)
{
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(LOST); i++) {
        double_reset();
        mn_object_store *store = impatient();
        double_put(store, "k", "one");
        plan("DeleteObject", LOST[i], 1);
        CHECK_OK_ERR(mn_object_delete(store, mn_str("k"), &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        double_lacks("k");
        double_close(store);
    }
}

static void reads_are_asked_again(void)
{
    struct mn_object_info info;
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(FAILED); i++) {
        double_reset();
        mn_object_store *store = impatient();
        struct mn_object_page *page;
        struct mn_slice data;
        double_put(store, "k", "one");
        double_plan("{'operation': 'HeadObject', 'do': 'status', 'status': 500}");
        CHECK_OK_ERR(mn_object_head(store, mn_str("k"), &info, &err), &err);
        plan("GetObject", FAILED[i], 2);
        CHECK_OK_ERR(mn_object_get(store, mn_str("k"), 0, &data, NULL, &err), &err);
        mn_object_free(data);
        plan("ListObjectsV2", FAILED[i], 2);
        CHECK_OK_ERR(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), &err);
        CHECK_EQ(page->n_entries, 1);
        mn_object_page_free(page);
        CHECK_EQ(double_n_faults(), 0);
        double_close(store);
    }
}

/* Doubt that stays ---------- */

/* What the object looks like from here on: another's, gone, or not to be seen. */
static const char *const LOOKS[] = {
    "{'operation': 'HeadObject', 'n': -1, 'do': 'headers',"
    " 'headers': {'x-amz-meta-mneme-write': null}}",
    "{'operation': 'HeadObject', 'n': -1, 'do': 'status', 'status': 404, 'code': 'NoSuchKey'}",
    "{'operation': 'HeadObject', 'n': -1, 'do': 'status', 'status': 403, 'code': 'AccessDenied'}",
    "{'operation': 'HeadObject', 'n': -1, 'do': 'status', 'status': 500}",
};

/* What the try behind the lost one is answered; the first is what the condition says. */
static const char *const REFUSALS[] = {
    NULL,
    "{'operation': 'PutObject', 'do': 'status', 'status': 403, 'code': 'ExpiredToken'}",
    "{'operation': 'PutObject', 'do': 'status', 'status': 404, 'code': 'NoSuchBucket'}",
    "{'operation': 'PutObject', 'do': 'status', 'status': 507, 'code': ''}",
};

/* The put happened and its answer was lost: no other answer tells that it did not. */
static void doubt_outlasts_every_other_answer(void)
{
    for (size_t refusal = 0; refusal < CHECK_COUNT(REFUSALS); refusal++) {
        for (size_t look = 0; look < CHECK_COUNT(LOOKS); look++) {
            for (unsigned kind = 0; kind < 3; kind++) {
                struct mn_object_condition condition = {.if_absent = kind == 1};
                struct mn_object_info first;
                struct mn_error err = {0};
                if (kind == 0 && REFUSALS[refusal] == NULL)
                    continue;
                double_reset();
                mn_object_store *store = double_open();
                if (kind == 2) {
                    CHECK_OK_ERR(put(store, "k", "one", NULL, &first, &err), &err);
                    condition.if_match = first.etag;
                }
                plan("PutObject", LOST[0], 1);
                if (REFUSALS[refusal] != NULL)
                    double_plan(REFUSALS[refusal]);
                double_plan(LOOKS[look]);
                CHECK_STATUS(put(store, "k", "two", kind == 0 ? NULL : &condition, NULL, &err),
                             MN_ERR_REMOTE);
                CHECK_EQ(double_n_faults(), 0);
                double_says_no_secret(&err);
                if (refusal == 1)
                    CHECK_STR_HAS(err.message, "ExpiredToken");
                double_close(store);
            }
        }
    }
    double_reset();
}

static void a_delete_in_doubt_is_not_refused(void)
{
    static const char *const refusals[] = {
        "{'operation': 'DeleteObject', 'do': 'status', 'status': 403, 'code': 'ExpiredToken'}",
        "{'operation': 'DeleteObject', 'do': 'status', 'status': 412, 'code': ''}",
    };
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(refusals); i++) {
        double_reset();
        mn_object_store *store = double_open();
        double_put(store, "k", "one");
        plan("DeleteObject", LOST[0], 1);
        double_plan(refusals[i]);
        CHECK_STATUS(mn_object_delete(store, mn_str("k"), &err), MN_ERR_REMOTE);
        double_says_no_secret(&err);
        double_close(store);
    }
}

/* The put went out over a kept connection, which then ended; a new one could not be made. */
static void a_put_before_an_unreachable_server_is_in_doubt(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_object_info first;
    struct mn_error err = {0};
    char endpoint[64];

    for (size_t i = 0; i < 2; i++) {
        double_reset();
        snprintf(endpoint, sizeof endpoint, "https://localhost:%s",
                 getenv("MNEME_DOUBLE_TLS_PORT"));
        options.endpoint = endpoint;
        options.ca_file = getenv("MNEME_DOUBLE_CA_FILE");
        mn_object_store *store = double_open_with(&options);
        CHECK_OK_ERR(put(store, "k", "one", NULL, &first, &err), &err);
        struct mn_object_condition condition = {.if_match = first.etag};
        double_plan("{'operation': 'PutObject', 'do': 'close', 'applies': true, 'hang_ups': 1}");
        if (i == 1)
            double_plan(LOOKS[0]);
        mn_status expected = i == 0 ? MN_OK : MN_ERR_REMOTE;
        CHECK_STATUS(put(store, "k", "two", &condition, NULL, &err), expected);
        CHECK_EQ(double_n_faults(), 0);
        CHECK_EQ(double_count("operation=PutObject"), 3);
        double_close(store);
    }
    double_reset();
}

/* Nobody sent a condition that could be refused. */
static void a_refusal_that_nobody_asked_for_is_an_error(void)
{
    static const char *const plans[] = {
        "{'do': 'status', 'status': 412, 'code': 'PreconditionFailed'}",
        "{'do': 'status', 'status': 412, 'code': ''}",
        "{'do': 'status', 'status': 304, 'code': ''}",
    };
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(plans); i++) {
        struct mn_object_info info;
        struct mn_slice data;
        double_reset();
        mn_object_store *store = double_open();
        double_put(store, "k", "one");
        double_plan(plans[i]);
        CHECK_STATUS(put(store, "k", "two", NULL, NULL, &err), MN_ERR_REMOTE);
        double_plan(plans[i]);
        CHECK_STATUS(mn_object_head(store, mn_str("k"), &info, &err), MN_ERR_REMOTE);
        double_plan(plans[i]);
        CHECK_STATUS(mn_object_get(store, mn_str("k"), 0, &data, NULL, &err), MN_ERR_REMOTE);
        double_plan(plans[i]);
        CHECK_STATUS(mn_object_delete(store, mn_str("k"), &err), MN_ERR_REMOTE);
        double_holds("k", "one");
        double_close(store);
    }
}

/* Whether the ETag or its quotes were refused, only the object tells: MN_CHANGED would be false. */
static void a_refusal_over_quotes_is_not_a_change(void)
{
    struct mn_object_info first;
    struct mn_error err = {0};

    double_reset();
    double_set("{'if_match_form': 'bare'}");
    mn_object_store *store = double_open();
    CHECK_OK_ERR(put(store, "k", "one", NULL, &first, &err), &err);
    struct mn_object_condition condition = {.if_match = first.etag};
    double_plan("{'operation': 'HeadObject', 'n': 4, 'do': 'status', 'status': 500}");
    CHECK_STATUS(put(store, "k", "two", &condition, NULL, &err), MN_ERR_REMOTE);
    double_holds("k", "one");
    CHECK_OK_ERR(put(store, "k", "two", &condition, NULL, &err), &err);
    /* From here on the form is known, and a refusal is one. */
    double_plan(LOOKS[3]);
    CHECK_STATUS(put(store, "k", "three", &condition, NULL, &err), MN_CHANGED);
    double_close(store);
    double_reset();
}

static bool three_have_come(void *context)
{
    (void)context;
    return double_count("operation=GetObject") >= 3;
}

/* The first is absent and two are never answered; the call is cancelled before the rest. */
static void ranges_that_were_never_asked_say_why(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_object_range ranges[6];
    struct mn_error err = {0};
    char into[6];

    double_reset();
    options.n_connections_max = 2;
    options.is_cancelled = three_have_come;
    mn_object_store *store = double_open_with(&options);
    double_put(store, "k", "one");
    double_plan("{'operation': 'GetObject', 'key': 'k', 'n': -1, 'do': 'stall'}");
    for (size_t i = 0; i < CHECK_COUNT(ranges); i++)
        ranges[i] = (struct mn_object_range){
            .key = mn_str(i == 0 ? "absent" : "k"), .n_bytes = 1, .data_out = &into[i]};
    CHECK_STATUS(mn_object_get_ranges(store, ranges, CHECK_COUNT(ranges), &err), MN_NOT_FOUND);
    CHECK_STATUS(ranges[0].status, MN_NOT_FOUND);
    for (size_t i = 1; i < CHECK_COUNT(ranges); i++) {
        CHECK_STATUS(ranges[i].status, MN_ERR_CANCELLED);
        CHECK_EQ(ranges[i].n_read, 0);
    }
    /* And when the call is cancelled before it begins. */
    CHECK_STATUS(mn_object_get_ranges(store, ranges, CHECK_COUNT(ranges), &err), MN_ERR_CANCELLED);
    for (size_t i = 0; i < CHECK_COUNT(ranges); i++)
        CHECK_STATUS(ranges[i].status, MN_ERR_CANCELLED);
    double_close(store);
    double_reset();
}

/* Two writers ---------- */

/* The other writer, who puts while the first waits for an answer that does not come. */
struct rival {
    mn_object_store *store;
    const struct mn_object_condition *condition;
    uint64_t n_puts_before;
    bool has_put;
    mn_status status;
};

static bool let_the_rival_put(void *context)
{
    struct rival *rival = context;

    if (rival->store == NULL || rival->has_put ||
        double_count("operation=PutObject") <= rival->n_puts_before)
        return false;
    rival->has_put = true;
    rival->status = put(rival->store, "k", "rival", rival->condition, NULL, NULL);
    return false;
}

/*
 * Both puts were sent under the same condition, and both answers are lost. The one whose put the
 * server took learns that; the other learns that nobody can tell, and at its next put for certain.
 */
static void race_without_answers(bool is_first_done, const char *way, bool is_if_match)
{
    struct rival rival = {.status = MN_END};
    struct mn_object_s3_options options = double_options();
    struct mn_object_condition condition = {.if_absent = !is_if_match};
    struct mn_object_info info;
    struct mn_error err = {0};

    double_reset();
    options.idle_timeout_ms = IDLE_MS;
    options.is_cancelled = let_the_rival_put;
    options.cancel_context = &rival;
    mn_object_store *store = double_open_with(&options);
    if (is_if_match) {
        CHECK_OK_ERR(put(store, "k", "start", NULL, &info, &err), &err);
        condition.if_match = info.etag;
    }
    rival.n_puts_before = is_if_match;
    rival.condition = &condition;
    rival.store = impatient();
    plan("PutObject", is_first_done ? "'do': 'stall', 'applies': true" : "'do': 'stall'", 1);
    plan("PutObject", way, 1);
    mn_status st = put(store, "k", "first", &condition, NULL, &err);
    CHECK(rival.has_put);
    CHECK_EQ(double_n_faults(), 0);
    CHECK_STATUS(st, is_first_done ? MN_OK : MN_ERR_REMOTE);
    CHECK_STATUS(rival.status, is_first_done ? MN_ERR_REMOTE : MN_OK);
    double_holds("k", is_first_done ? "first" : "rival");
    mn_status refused = is_if_match ? MN_CHANGED : MN_EXISTS;
    CHECK_STATUS(put(store, "k", "again", &condition, NULL, NULL), refused);
    CHECK_STATUS(put(rival.store, "k", "again", &condition, NULL, NULL), refused);
    double_holds("k", is_first_done ? "first" : "rival");
    double_close(rival.store);
    double_close(store);
}

static void of_two_without_answers_one_wins_and_knows(void)
{
    /* Each way for both outcomes, and for both conditions. */
    for (size_t i = 0; i < CHECK_COUNT(LOST); i++) {
        race_without_answers(true, LOST[i], i % 2 == 0);
        race_without_answers(false, LOST[i], i % 2 != 0);
    }
}

struct writer {
    struct mni_thread thread;
    mn_object_store *store;
    const struct mn_object_info *starts; /* of what is there before; NULL: nothing is */
    unsigned number;
    mn_status statuses[N_PRIZES];
};

static void race(void *context)
{
    struct writer *w = context;
    char key[16];

    for (unsigned i = 0; i < N_PRIZES; i++) {
        struct mn_object_condition condition = {
            .if_absent = w->starts == NULL,
            .if_match = w->starts == NULL ? NULL : w->starts[i].etag,
        };
        snprintf(key, sizeof key, "prize-%u", i);
        w->statuses[i] = mn_object_put(w->store, mn_str(key),
                                       (struct mn_slice){&w->number, sizeof w->number}, &condition,
                                       NULL, NULL);
    }
}

/* Each prize goes to exactly one, and it is the one who believes so, whatever gets lost. Who lost
 * an answer and the race cannot tell the two apart. */
static void run_race(const struct mn_object_info *starts)
{
    struct writer writers[N_WRITERS];
    mn_status lost = starts == NULL ? MN_EXISTS : MN_CHANGED;
    struct mn_error err = {0};
    unsigned n_unknown = 0;

    for (unsigned i = 0; i < N_LOST; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "{'operation': 'PutObject', 'key': 'prize-', 'skip': %u, 'do': 'close',"
                 " 'applies': %s}",
                 i * 5, i % 2 == 0 ? "true" : "false");
        double_plan(text);
    }
    for (unsigned i = 0; i < N_WRITERS; i++) {
        writers[i].number = i;
        writers[i].starts = starts;
        writers[i].store = double_open();
        CHECK_OK(mni_thread_start(&writers[i].thread, race, &writers[i], NULL));
    }
    for (unsigned i = 0; i < N_WRITERS; i++)
        mni_thread_join(&writers[i].thread);
    for (unsigned k = 0; k < N_PRIZES; k++) {
        unsigned n_winners = 0;
        for (unsigned i = 0; i < N_WRITERS; i++) {
            mn_status st = writers[i].statuses[k];
            CHECK(st == MN_OK || st == lost || st == MN_ERR_REMOTE);
            n_unknown += st == MN_ERR_REMOTE;
            if (st != MN_OK)
                continue;
            char key[16];
            struct mn_slice data;
            n_winners++;
            snprintf(key, sizeof key, "prize-%u", k);
            CHECK_OK_ERR(mn_object_get(writers[i].store, mn_str(key), 0, &data, NULL, &err), &err);
            CHECK_MEM_EQ(data.data, &writers[i].number, sizeof writers[i].number);
            mn_object_free(data);
        }
        CHECK_EQ(n_winners, 1);
    }
    CHECK_EQ(double_n_faults(), 0);
    CHECK(n_unknown <= N_LOST);
    for (unsigned i = 0; i < N_WRITERS; i++)
        double_close(writers[i].store);
}

static void of_writers_who_put_if_absent_one_wins(void)
{
    double_reset();
    run_race(NULL);
}

static void of_writers_who_put_if_match_one_wins(void)
{
    struct mn_object_info starts[N_PRIZES];
    struct mn_error err = {0};
    char key[16];

    double_reset();
    mn_object_store *store = double_open();
    for (unsigned i = 0; i < N_PRIZES; i++) {
        snprintf(key, sizeof key, "prize-%u", i);
        CHECK_OK_ERR(put(store, key, "start", NULL, &starts[i], &err), &err);
    }
    double_close(store);
    run_race(starts);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_put_without_an_answer_is_done),
        CHECK_TEST(a_put_that_failed_is_done_again),
        CHECK_TEST(a_put_if_absent_recognises_itself),
        CHECK_TEST(a_put_if_match_recognises_itself),
        CHECK_TEST(what_another_has_put_is_not_taken_for_ones_own),
        CHECK_TEST(a_change_by_another_is_not_taken_for_ones_own),
        CHECK_TEST(a_race_lost_on_ceph_is_told_apart),
        CHECK_TEST(a_put_that_another_followed_does_not_pass_for_undone),
        CHECK_TEST(what_stays_unknown_is_an_error),
        CHECK_TEST(a_delete_without_an_answer_is_done),
        CHECK_TEST(reads_are_asked_again),
        CHECK_TEST(doubt_outlasts_every_other_answer),
        CHECK_TEST(a_delete_in_doubt_is_not_refused),
        CHECK_TEST(a_put_before_an_unreachable_server_is_in_doubt),
        CHECK_TEST(a_refusal_that_nobody_asked_for_is_an_error),
        CHECK_TEST(a_refusal_over_quotes_is_not_a_change),
        CHECK_TEST(ranges_that_were_never_asked_say_why),
        CHECK_TEST(of_two_without_answers_one_wins_and_knows),
        CHECK_TEST(of_writers_who_put_if_absent_one_wins),
        CHECK_TEST(of_writers_who_put_if_match_one_wins),
    };
    return check_run("s3.lost", tests, CHECK_COUNT(tests), argc, argv);
}
