/*
 * s3_retry.c - the meaning of answers, waiting between tries, and the budget of tries.
 *
 * Owns:    nothing but the tokens of a budget.
 * Threads: any.
 * Fails:   never.
 */
#include "object/s3_retry_private.h"

#include <string.h>

#include "base/check.h"

/*
 * The numbers are those of the AWS SDKs' standard mode: 500 tokens, 5 for a try, 10 where the
 * server is slow or throttles, 1 for a request that succeeds at once, waits of at most 20 s from
 * 100 or 500 ms on with full jitter. See docs/internals/object-storage.md.
 */
enum {
    TOKENS_MAX = 500,
    TOKENS_AGAIN = 5,
    TOKENS_SLOWER = 10,
    TOKENS_SUCCESS = 1,
};
static const int64_t again_us = 100000;
static const int64_t slower_us = 500000;
static const int64_t backoff_us_max = 20000000;

/* Errors by their code, where the status alone does not say enough. */
static const struct {
    const char *code;
    mn_status status;
    enum mni_s3_again again;
    bool is_bad_body; /* also: what we sent did not arrive as it was */
} codes[] = {
    {"NoSuchKey", MN_NOT_FOUND, MNI_S3_FINAL, false},
    {"NoSuchUpload", MN_NOT_FOUND, MNI_S3_FINAL, false},
    {"NoSuchBucket", MN_ERR_NO_STORE, MNI_S3_FINAL, false},
    {"PreconditionFailed", MN_CHANGED, MNI_S3_FINAL, false},
    {"ConditionalRequestConflict", MN_ERR_REMOTE, MNI_S3_AGAIN, false},
    {"OperationAborted", MN_ERR_REMOTE, MNI_S3_AGAIN, false},
    {"InternalError", MN_ERR_REMOTE, MNI_S3_AGAIN, false},
    {"RequestTimeout", MN_ERR_REMOTE, MNI_S3_AGAIN, false},
    {"ServiceUnavailable", MN_ERR_REMOTE, MNI_S3_SLOWER, false},
    {"SlowDown", MN_ERR_REMOTE, MNI_S3_SLOWER, false},
    {"Busy", MN_ERR_REMOTE, MNI_S3_SLOWER, false},
    {"TooManyRequests", MN_ERR_REMOTE, MNI_S3_SLOWER, false},
    {"RequestLimitExceeded", MN_ERR_REMOTE, MNI_S3_SLOWER, false},
    {"Throttling", MN_ERR_REMOTE, MNI_S3_SLOWER, false},
    {"ThrottlingException", MN_ERR_REMOTE, MNI_S3_SLOWER, false},
    {"BandwidthLimitExceeded", MN_ERR_REMOTE, MNI_S3_SLOWER, false},
    {"RequestTimeTooSkewed", MN_ERR_ACCESS, MNI_S3_SET_CLOCK, false},
    {"BadDigest", MN_ERR_CORRUPT, MNI_S3_AGAIN, true},
    {"IncompleteBody", MN_ERR_CORRUPT, MNI_S3_AGAIN, true},
    {"XAmzContentSHA256Mismatch", MN_ERR_CORRUPT, MNI_S3_AGAIN, true},
    {"ExpiredToken", MN_ERR_ACCESS, MNI_S3_FINAL, false},
    {"InvalidToken", MN_ERR_ACCESS, MNI_S3_FINAL, false},
    {"AuthorizationHeaderMalformed", MN_ERR_INVALID, MNI_S3_FINAL, false},
    {"PermanentRedirect", MN_ERR_REMOTE, MNI_S3_FINAL, false},
    {"TemporaryRedirect", MN_ERR_REMOTE, MNI_S3_FINAL, false},
    {"IllegalLocationConstraintException", MN_ERR_REMOTE, MNI_S3_FINAL, false},
    {"InvalidRange", MN_ERR_INVALID, MNI_S3_FINAL, false},
    {"EntityTooSmall", MN_ERR_INVALID, MNI_S3_FINAL, false},
    {"InvalidPart", MN_ERR_INVALID, MNI_S3_FINAL, false},
    {"EntityTooLarge", MN_ERR_LIMIT, MNI_S3_FINAL, false},
    {"KeyTooLongError", MN_ERR_LIMIT, MNI_S3_FINAL, false},
    {"KeyTooLong", MN_ERR_LIMIT, MNI_S3_FINAL, false},
    {"QuotaExceeded", MN_ERR_NO_SPACE, MNI_S3_FINAL, false},
    {"XMinioStorageFull", MN_ERR_NO_SPACE, MNI_S3_FINAL, false},
    {"NotImplemented", MN_ERR_UNSUPPORTED, MNI_S3_FINAL, false},
    {"MethodNotAllowed", MN_ERR_UNSUPPORTED, MNI_S3_FINAL, false},
};

static bool find_code(const char *code, struct mni_s3_verdict *verdict_out)
{
    for (size_t i = 0; code[0] != '\0' && i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(code, codes[i].code) != 0)
            continue;
        *verdict_out = (struct mni_s3_verdict){.status = codes[i].status,
                                               .again = codes[i].again,
                                               .is_bad_body = codes[i].is_bad_body};
        return true;
    }
    return false;
}

static struct mni_s3_verdict judge_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return (struct mni_s3_verdict){.status = MN_ERR_ACCESS};
    case 404:
        return (struct mni_s3_verdict){.status = MN_NOT_FOUND};
    case 304:
    case 412:
        return (struct mni_s3_verdict){.status = MN_CHANGED};
    case 416:
        return (struct mni_s3_verdict){.status = MN_ERR_INVALID};
    case 405:
    case 501:
        return (struct mni_s3_verdict){.status = MN_ERR_UNSUPPORTED};
    case 413:
    case 414:
        return (struct mni_s3_verdict){.status = MN_ERR_LIMIT};
    case 507:
        return (struct mni_s3_verdict){.status = MN_ERR_NO_SPACE};
    case 408:
    case 409:
        return (struct mni_s3_verdict){.status = MN_ERR_REMOTE, .again = MNI_S3_AGAIN};
    case 429:
    case 503:
        return (struct mni_s3_verdict){.status = MN_ERR_REMOTE, .again = MNI_S3_SLOWER};
    default:
        return (struct mni_s3_verdict){.status = MN_ERR_REMOTE,
                                       .again = status >= 500 ? MNI_S3_AGAIN : MNI_S3_FINAL};
    }
}

static struct mni_s3_verdict judge_end(enum mni_s3_end end)
{
    switch (end) {
    case MNI_S3_UNREACHED:
        return (struct mni_s3_verdict){.status = MN_ERR_REMOTE, .again = MNI_S3_AGAIN};
    case MNI_S3_NO_HTTP: /* perhaps what an answer before has left on the connection */
        return (struct mni_s3_verdict){.status = MN_ERR_REMOTE,
                                       .again = MNI_S3_AGAIN,
                                       .is_bad_body = true,
                                       .is_in_doubt = true};
    case MNI_S3_BROKEN:
        return (struct mni_s3_verdict){
            .status = MN_ERR_REMOTE, .again = MNI_S3_AGAIN, .is_in_doubt = true};
    case MNI_S3_IDLE:
        return (struct mni_s3_verdict){.status = MN_ERR_REMOTE, .again = MNI_S3_SLOWER};
    case MNI_S3_CUT:
    case MNI_S3_WRONG:
        return (struct mni_s3_verdict){.status = MN_ERR_CORRUPT,
                                       .again = MNI_S3_AGAIN,
                                       .is_bad_body = true,
                                       .is_in_doubt = true};
    case MNI_S3_TOO_LARGE:
        return (struct mni_s3_verdict){.status = MN_ERR_LIMIT};
    case MNI_S3_UNTRUSTED:
        return (struct mni_s3_verdict){.status = MN_ERR_REMOTE};
    case MNI_S3_MISSET:
        return (struct mni_s3_verdict){.status = MN_ERR_INVALID};
    case MNI_S3_NO_MEMORY:
        return (struct mni_s3_verdict){.status = MN_ERR_NOMEM};
    case MNI_S3_ANSWERED:
        break;
    }
    MNI_CHECK(false); /* every end has a verdict */
    return (struct mni_s3_verdict){0};
}

bool mni_s3_is_foreign(const struct mni_s3_reply *reply, const struct mni_s3_fault *fault)
{
    return reply->end == MNI_S3_ANSWERED && !reply->is_s3 && fault->code[0] == '\0';
}

/* The server refused, there was no memory for why. */
static bool was_refused(const struct mni_s3_reply *reply)
{
    return reply->end == MNI_S3_NO_MEMORY && reply->status >= 400 && reply->status < 500;
}

struct mni_s3_verdict mni_s3_judge(const struct mni_s3_reply *reply,
                                   const struct mni_s3_fault *fault)
{
    struct mni_s3_verdict verdict = {0};

    if (reply->end != MNI_S3_ANSWERED) {
        verdict = judge_end(reply->end);
        /* What libcurl has sent over a kept connection may have been carried out, also when no
         * other connection could be made then; what was never sent was not. */
        if (!verdict.is_in_doubt)
            verdict.is_in_doubt = reply->n_sent > 0 && !was_refused(reply);
        return verdict;
    }
    if (reply->status >= 200 && reply->status < 300)
        return verdict;
    if (!find_code(fault->code, &verdict))
        verdict = judge_status(reply->status);
    /* Any web server says 404: only an object store knows that there is no object. */
    if (verdict.status == MN_NOT_FOUND && mni_s3_is_foreign(reply, fault))
        verdict.status = MN_ERR_REMOTE;
    /* A gateway may have lost what the server behind it has done; what would be answered again is a
     * refusal. With "UnknownError" Ceph 16 tells a put over an ETag that another one came first,
     * where others say 409. */
    verdict.is_in_doubt = (reply->status >= 500 || reply->status == 408) &&
                          verdict.again != MNI_S3_FINAL && strcmp(fault->code, "UnknownError") != 0;
    return verdict;
}

struct mni_s3_verdict mni_s3_judge_body(const struct mni_s3_fault *fault)
{
    struct mni_s3_verdict verdict = {.status = MN_ERR_REMOTE, .again = MNI_S3_AGAIN};

    if (fault->code[0] == '\0')
        verdict = (struct mni_s3_verdict){.status = MN_ERR_CORRUPT, .again = MNI_S3_AGAIN};
    else
        (void)find_code(fault->code, &verdict);
    verdict.is_bad_body = true;
    /* An error that would come again is the answer; only its status came too early. */
    verdict.is_in_doubt = verdict.again != MNI_S3_FINAL;
    return verdict;
}

int64_t mni_s3_backoff_us(unsigned n_tries, enum mni_s3_again again, uint64_t random)
{
    int64_t bound_us = again == MNI_S3_SLOWER ? slower_us : again_us;

    MNI_CHECK(again == MNI_S3_AGAIN || again == MNI_S3_SLOWER);

    for (unsigned i = 1; i < n_tries && bound_us < backoff_us_max; i++)
        bound_us *= 2;
    if (bound_us > backoff_us_max)
        bound_us = backoff_us_max;
    return (int64_t)(random % (uint64_t)(bound_us + 1));
}

/* The budget ------------------------------------------------------------------------------------
 */

void mni_s3_budget_init(struct mni_s3_budget *budget)
{
    atomic_init(&budget->n_tokens, TOKENS_MAX);
}

int mni_s3_budget_take(struct mni_s3_budget *budget, enum mni_s3_again again)
{
    int n = again == MNI_S3_SLOWER ? TOKENS_SLOWER : TOKENS_AGAIN;
    int left = atomic_load(&budget->n_tokens);

    do {
        if (left < n)
            return 0;
    } while (!atomic_compare_exchange_weak(&budget->n_tokens, &left, left - n));
    return n;
}

void mni_s3_budget_give(struct mni_s3_budget *budget, int n_taken)
{
    MNI_CHECK(n_taken >= 0);
    int n = n_taken > 0 ? n_taken : TOKENS_SUCCESS;
    int left = atomic_load(&budget->n_tokens);
    int more;

    do {
        more = left + n > TOKENS_MAX ? TOKENS_MAX : left + n;
    } while (!atomic_compare_exchange_weak(&budget->n_tokens, &left, more));
}
