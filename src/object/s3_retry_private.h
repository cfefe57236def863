/*
 * s3_retry_private.h - what an answer means, whether the request is tried again, and when.
 */
#ifndef MNI_OBJECT_S3_RETRY_PRIVATE_H
#define MNI_OBJECT_S3_RETRY_PRIVATE_H

#include "object/s3_http_private.h"

enum mni_s3_again {
    MNI_S3_FINAL,     /* another try would end the same */
    MNI_S3_AGAIN,     /* try again */
    MNI_S3_SLOWER,    /* try again, and spare the server */
    MNI_S3_SET_CLOCK, /* try again once, with the server's time */
};

struct mni_s3_verdict {
    mn_status status; /* what the call answers when no other try follows; MN_OK: a 2xx */
    enum mni_s3_again again;
    bool is_bad_body; /* truncated, wrong, or not what was asked */
    bool is_in_doubt; /* the request may have been carried out */
};

/* `fault` is what stood in the body; its code is empty when nothing did. */
struct mni_s3_verdict mni_s3_judge(const struct mni_s3_reply *reply,
                                   const struct mni_s3_fault *fault);
/* An answer with neither a header nor a body that only object stores send. */
bool mni_s3_is_foreign(const struct mni_s3_reply *reply, const struct mni_s3_fault *fault);
/* For an answer of 200 that is an error, or is not what it must be (`fault` is then empty). */
struct mni_s3_verdict mni_s3_judge_body(const struct mni_s3_fault *fault);

/* Microseconds to wait before try `n_tries + 1`: a random part of a bound that doubles. `random` is
 * any 64 random bits. */
int64_t mni_s3_backoff_us(unsigned n_tries, enum mni_s3_again again, uint64_t random);

/* How many tries a store may add to its requests when many of them fail: every one takes tokens,
 * which success gives back. */
struct mni_s3_budget {
    atomic_int n_tokens;
};
void mni_s3_budget_init(struct mni_s3_budget *budget);
/* Takes tokens for another try; 0: there are none left, do not try. */
int mni_s3_budget_take(struct mni_s3_budget *budget, enum mni_s3_again again);
/* After success: `n_taken` is what the last try took, 0 when the first succeeded. */
void mni_s3_budget_give(struct mni_s3_budget *budget, int n_taken);

#endif
