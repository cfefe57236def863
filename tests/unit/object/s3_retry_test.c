/* Tests of what answers mean, of waiting between tries, and of the budget of tries. */
#include "check.h"

#include <string.h>

#include "object/s3_retry_private.h"

static struct mni_s3_verdict judge(int status, const char *code)
{
    struct mni_s3_reply reply = {.status = status};
    struct mni_s3_fault fault = {0};

    strcpy(fault.code, code);
    return mni_s3_judge(&reply, &fault);
}

static void answers_have_a_status_and_perhaps_another_try(void)
{
    static const struct {
        int status;
        const char *code;
        mn_status expected;
        enum mni_s3_again again;
    } cases[] = {
        {200, "", MN_OK, MNI_S3_FINAL},
        {204, "", MN_OK, MNI_S3_FINAL},
        {206, "", MN_OK, MNI_S3_FINAL},
        {301, "PermanentRedirect", MN_ERR_REMOTE, MNI_S3_FINAL},
        {307, "", MN_ERR_REMOTE, MNI_S3_FINAL},
        {400, "", MN_ERR_REMOTE, MNI_S3_FINAL},
        {400, "RequestTimeout", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {400, "ExpiredToken", MN_ERR_ACCESS, MNI_S3_FINAL},
        {400, "AuthorizationHeaderMalformed", MN_ERR_INVALID, MNI_S3_FINAL},
        {400, "KeyTooLongError", MN_ERR_LIMIT, MNI_S3_FINAL},
        {400, "EntityTooSmall", MN_ERR_INVALID, MNI_S3_FINAL},
        {400, "XAmzContentSHA256Mismatch", MN_ERR_CORRUPT, MNI_S3_AGAIN},
        {400, "BadDigest", MN_ERR_CORRUPT, MNI_S3_AGAIN},
        {401, "", MN_ERR_ACCESS, MNI_S3_FINAL},
        {403, "", MN_ERR_ACCESS, MNI_S3_FINAL},
        {403, "SignatureDoesNotMatch", MN_ERR_ACCESS, MNI_S3_FINAL},
        {403, "RequestTimeTooSkewed", MN_ERR_ACCESS, MNI_S3_SET_CLOCK},
        {403, "QuotaExceeded", MN_ERR_NO_SPACE, MNI_S3_FINAL},
        {404, "", MN_ERR_REMOTE, MNI_S3_FINAL},
        {404, "NoSuchKey", MN_NOT_FOUND, MNI_S3_FINAL},
        {404, "NoSuchUpload", MN_NOT_FOUND, MNI_S3_FINAL},
        {404, "NoSuchBucket", MN_ERR_NO_STORE, MNI_S3_FINAL},
        {405, "", MN_ERR_UNSUPPORTED, MNI_S3_FINAL},
        {408, "", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {409, "ConditionalRequestConflict", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {409, "OperationAborted", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {409, "", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {412, "PreconditionFailed", MN_CHANGED, MNI_S3_FINAL},
        {412, "", MN_CHANGED, MNI_S3_FINAL},
        {416, "InvalidRange", MN_ERR_INVALID, MNI_S3_FINAL},
        {429, "", MN_ERR_REMOTE, MNI_S3_SLOWER},
        {500, "InternalError", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {500, "", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {501, "NotImplemented", MN_ERR_UNSUPPORTED, MNI_S3_FINAL},
        {502, "", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {503, "SlowDown", MN_ERR_REMOTE, MNI_S3_SLOWER},
        {503, "", MN_ERR_REMOTE, MNI_S3_SLOWER},
        {504, "", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {507, "", MN_ERR_NO_SPACE, MNI_S3_FINAL},
        {599, "", MN_ERR_REMOTE, MNI_S3_AGAIN},
        {418, "Teapot", MN_ERR_REMOTE, MNI_S3_FINAL},
    };
    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        struct mni_s3_verdict verdict = judge(cases[i].status, cases[i].code);
        CHECK_STATUS(verdict.status, cases[i].expected);
        CHECK_EQ(verdict.again, cases[i].again);
    }
}

/* A 404 without anything of S3 in it is any web server's. */
static void a_404_is_believed_of_an_object_store_alone(void)
{
    struct mni_s3_reply reply = {.status = 404, .is_s3 = true};
    struct mni_s3_fault fault = {0};

    CHECK_STATUS(mni_s3_judge(&reply, &fault).status, MN_NOT_FOUND);
    CHECK(!mni_s3_is_foreign(&reply, &fault));
    reply.is_s3 = false;
    CHECK_STATUS(mni_s3_judge(&reply, &fault).status, MN_ERR_REMOTE);
    CHECK(mni_s3_is_foreign(&reply, &fault));
    strcpy(fault.code, "NoSuchThing");
    CHECK_STATUS(mni_s3_judge(&reply, &fault).status, MN_NOT_FOUND);
}

static void only_some_answers_leave_it_in_doubt(void)
{
    CHECK(!judge(200, "").is_in_doubt);
    CHECK(!judge(403, "").is_in_doubt);
    CHECK(!judge(409, "").is_in_doubt);
    CHECK(!judge(412, "").is_in_doubt);
    CHECK(!judge(429, "").is_in_doubt);
    CHECK(!judge(501, "NotImplemented").is_in_doubt);
    CHECK(!judge(507, "").is_in_doubt);
    CHECK(judge(500, "").is_in_doubt);
    CHECK(judge(503, "SlowDown").is_in_doubt);
    CHECK(judge(504, "").is_in_doubt);
}

static void connections_that_fail_are_tried_again(void)
{
    static const struct {
        enum mni_s3_end end;
        mn_status expected;
        enum mni_s3_again again;
        bool is_bad_body;
        unsigned n_sent;
        bool is_in_doubt;
    } cases[] = {
        {MNI_S3_UNREACHED, MN_ERR_REMOTE, MNI_S3_AGAIN, false, 0, false},
        {MNI_S3_UNREACHED, MN_ERR_REMOTE, MNI_S3_AGAIN, false, 1, true},
        {MNI_S3_BROKEN, MN_ERR_REMOTE, MNI_S3_AGAIN, false, 1, true},
        {MNI_S3_NO_HTTP, MN_ERR_REMOTE, MNI_S3_AGAIN, true, 1, true},
        {MNI_S3_IDLE, MN_ERR_REMOTE, MNI_S3_SLOWER, false, 0, false},
        {MNI_S3_IDLE, MN_ERR_REMOTE, MNI_S3_SLOWER, false, 1, true},
        {MNI_S3_CUT, MN_ERR_CORRUPT, MNI_S3_AGAIN, true, 1, true},
        {MNI_S3_WRONG, MN_ERR_CORRUPT, MNI_S3_AGAIN, true, 1, true},
        {MNI_S3_TOO_LARGE, MN_ERR_LIMIT, MNI_S3_FINAL, false, 1, true},
        {MNI_S3_UNTRUSTED, MN_ERR_REMOTE, MNI_S3_FINAL, false, 0, false},
        {MNI_S3_UNTRUSTED, MN_ERR_REMOTE, MNI_S3_FINAL, false, 1, true},
        {MNI_S3_MISSET, MN_ERR_INVALID, MNI_S3_FINAL, false, 0, false},
        {MNI_S3_NO_MEMORY, MN_ERR_NOMEM, MNI_S3_FINAL, false, 0, false},
        {MNI_S3_NO_MEMORY, MN_ERR_NOMEM, MNI_S3_FINAL, false, 1, true},
    };
    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        /* Whatever the status says: it is not a whole answer. */
        struct mni_s3_reply reply = {.end = cases[i].end, .status = 200, .n_sent = cases[i].n_sent};
        struct mni_s3_fault fault = {0};
        struct mni_s3_verdict verdict = mni_s3_judge(&reply, &fault);
        CHECK_STATUS(verdict.status, cases[i].expected);
        CHECK_EQ(verdict.again, cases[i].again);
        CHECK_EQ(verdict.is_bad_body, cases[i].is_bad_body);
        CHECK_EQ(verdict.is_in_doubt, cases[i].is_in_doubt);
    }
}

/* Only the words of the refusal had no room. */
static void a_refusal_without_memory_is_no_doubt(void)
{
    struct mni_s3_reply reply = {.end = MNI_S3_NO_MEMORY, .status = 412, .n_sent = 1};
    struct mni_s3_fault fault = {0};

    CHECK_STATUS(mni_s3_judge(&reply, &fault).status, MN_ERR_NOMEM);
    CHECK(!mni_s3_judge(&reply, &fault).is_in_doubt);
    reply.status = 500;
    CHECK(mni_s3_judge(&reply, &fault).is_in_doubt);
}

static void an_error_in_a_good_answer_is_judged_by_its_code(void)
{
    struct mni_s3_fault fault = {0};
    struct mni_s3_verdict verdict = mni_s3_judge_body(&fault);

    CHECK_STATUS(verdict.status, MN_ERR_CORRUPT);
    CHECK_EQ(verdict.again, MNI_S3_AGAIN);
    CHECK(verdict.is_bad_body && verdict.is_in_doubt);
    strcpy(fault.code, "InternalError");
    verdict = mni_s3_judge_body(&fault);
    CHECK_STATUS(verdict.status, MN_ERR_REMOTE);
    CHECK_EQ(verdict.again, MNI_S3_AGAIN);
    CHECK(verdict.is_bad_body && verdict.is_in_doubt);
    strcpy(fault.code, "SlowDown");
    CHECK_EQ(mni_s3_judge_body(&fault).again, MNI_S3_SLOWER);
    strcpy(fault.code, "PreconditionFailed");
    CHECK_STATUS(mni_s3_judge_body(&fault).status, MN_CHANGED);
    CHECK_EQ(mni_s3_judge_body(&fault).again, MNI_S3_FINAL);
    CHECK(!mni_s3_judge_body(&fault).is_in_doubt);
    strcpy(fault.code, "NeverHeardOf");
    CHECK_STATUS(mni_s3_judge_body(&fault).status, MN_ERR_REMOTE);
    CHECK_EQ(mni_s3_judge_body(&fault).again, MNI_S3_AGAIN);
}

/* A wait is any part of its bound, and the bound doubles up to its end. */
static void waits_are_spread_below_a_bound_that_doubles(void)
{
    uint64_t seed = check_seed();

    for (unsigned n_tries = 1; n_tries < 100; n_tries++) {
        for (int slower = 0; slower < 2; slower++) {
            enum mni_s3_again again = slower ? MNI_S3_SLOWER : MNI_S3_AGAIN;
            int64_t bound_us = slower ? 500000 : 100000;
            for (unsigned i = 1; i < n_tries && bound_us < 20000000; i++)
                bound_us *= 2;
            if (bound_us > 20000000)
                bound_us = 20000000;
            int64_t least_us = INT64_MAX;
            int64_t most_us = 0;
            for (int i = 0; i < 200; i++) {
                int64_t us = mni_s3_backoff_us(n_tries, again, check_random(&seed));
                least_us = us < least_us ? us : least_us;
                most_us = us > most_us ? us : most_us;
            }
            CHECK(least_us >= 0 && least_us < bound_us / 4);
            CHECK(most_us <= bound_us && most_us > bound_us / 4 * 3);
        }
    }
}

static void the_budget_ends_and_comes_back(void)
{
    struct mni_s3_budget budget;
    unsigned n = 0;

    mni_s3_budget_init(&budget);
    while (mni_s3_budget_take(&budget, MNI_S3_AGAIN) == 5)
        n++;
    CHECK_EQ(n, 100);
    CHECK_EQ(mni_s3_budget_take(&budget, MNI_S3_AGAIN), 0);
    for (int i = 0; i < 9; i++)
        mni_s3_budget_give(&budget, 0); /* a request that succeeded at once */
    CHECK_EQ(mni_s3_budget_take(&budget, MNI_S3_SLOWER), 0);
    mni_s3_budget_give(&budget, 0);
    CHECK_EQ(mni_s3_budget_take(&budget, MNI_S3_SLOWER), 10);
    mni_s3_budget_give(&budget, 10);
    CHECK_EQ(mni_s3_budget_take(&budget, MNI_S3_SLOWER), 10);
    for (int i = 0; i < 1000; i++)
        mni_s3_budget_give(&budget, 10);
    n = 0;
    while (mni_s3_budget_take(&budget, MNI_S3_SLOWER) == 10)
        n++;
    CHECK_EQ(n, 50); /* never more than at first */
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(answers_have_a_status_and_perhaps_another_try),
        CHECK_TEST(a_404_is_believed_of_an_object_store_alone),
        CHECK_TEST(only_some_answers_leave_it_in_doubt),
        CHECK_TEST(connections_that_fail_are_tried_again),
        CHECK_TEST(a_refusal_without_memory_is_no_doubt),
        CHECK_TEST(an_error_in_a_good_answer_is_judged_by_its_code),
        CHECK_TEST(waits_are_spread_below_a_bound_that_doubles),
        CHECK_TEST(the_budget_ends_and_comes_back),
    };
    return check_run("object.s3_retry", tests, CHECK_COUNT(tests), argc, argv);
}
