/*
 * s3_doubt.c - what became of a write, one of whose tries may have been carried out unanswered.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   MN_ERR_REMOTE where nobody can tell. Puts, completions and deletes follow this one rule:
 *          MN_OK when what is there is provably theirs, else, in doubt, an error that leaves open
 *          whether they happened. Without doubt, an answer means what it says.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "object/s3_private.h"

bool s3_is_worth_a_look(mn_status st, bool is_in_doubt)
{
    if (st == MN_CHANGED || st == MN_NOT_FOUND)
        return true;
    return is_in_doubt && st != MN_OK && st != MN_ERR_CANCELLED;
}

mn_status s3_look(struct s3_call *call, struct mn_slice key, const struct s3_mark *mark,
                  struct mn_object_info *info_out, bool *is_ours_out)
{
    struct mni_s3_reply reply = {0};

    MNI_CHECK(mark->write_id != NULL && mark->etag != NULL);
    *is_ours_out = false;
    mn_status st = s3_head(call, key, &reply, NULL);
    if (st == MN_OK) {
        s3_info_of(&reply, info_out);
        if (mark->write_id[0] != '\0')
            *is_ours_out = strcmp(reply.write_id, mark->write_id) == 0;
        else
            *is_ours_out = mark->etag[0] != '\0' && strcmp(reply.etag, mark->etag) == 0;
    }
    mni_s3_reply_done(&reply);
    return st;
}

mn_status s3_settle(mn_status st, bool is_in_doubt, struct mn_error *err)
{
    struct mn_error last = {0};

    if (!is_in_doubt || st == MN_OK)
        return st;
    if (err != NULL)
        last = *err;
    /* These leave it open themselves. */
    if (st == MN_ERR_REMOTE || st == MN_ERR_TIMEOUT || st == MN_ERR_CANCELLED ||
        st == MN_ERR_CORRUPT)
        return st;
    return mni_fail(err, MN_ERR_REMOTE,
                    "whether it has happened is unknown, an answer was lost; then: %.400s",
                    last.message);
}
