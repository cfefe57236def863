/*
 * dump.c - shows what the log of a store holds.
 *
 * Owns:    nothing.
 * Threads: one per call.
 * Fails:   as opening for reading does.
 */
#include "api/store_private.h"
#include "io/posix.h"
#include "mneme/wal.h"

struct dump {
    uint64_t from_lsn;
    mn_log_dump_fn *each;
    void *context;
    mn_status answer; /* what ended it from outside; MN_OK: nothing */
};

static const char *type_name(enum mni_record_type type)
{
    switch (type) {
    case MNI_RECORD_UPSERT:
        return "upsert";
    case MNI_RECORD_DELETE:
        return "delete";
    case MNI_RECORD_PATCH:
        return "patch";
    }
    return "unknown";
}

static mn_status dump_commit(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct dump *d = context;
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;

    if (entry->lsn < d->from_lsn)
        return MN_OK;
    for (uint32_t i = 0; left > 0; i++) {
        struct mni_record r;
        size_t used;
        mn_status st = mni_record_decode(p, left, &r, &used, err);
        if (st != MN_OK)
            return st;
        struct mn_log_entry e = {
            .lsn = entry->lsn,
            .commit_time_us = entry->time_us,
            .index_in_commit = i,
            .n_in_commit = entry->n_records,
            .type = type_name(r.type),
            .collection = r.collection,
            .key = r.key,
            .n_dims = r.n_dims,
            .metadata_bytes = r.metadata.n_bytes,
            .payload_bytes = r.payload.n_bytes,
            .has_expires_at = (r.fields & MNI_FIELD_EXPIRY) != 0,
            .expires_at_us = r.expires_at_us,
        };
        d->answer = d->each(d->context, &e);
        if (d->answer != MN_OK)
            return mni_fail(err, MN_ERR_CANCELLED, "stopped by the caller");
        p += used;
        left -= used;
    }
    return MN_OK;
}

mn_status mn_log_dump(const char *path, uint64_t from_lsn, mn_log_dump_fn *each, void *context,
                      struct mn_error *err)
{
    struct dump d = {.from_lsn = from_lsn, .each = each, .context = context};
    struct mn_error details = {0};

    if (path == NULL || each == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no path, or no callback");
    mn_status st = mni_engine_read_log(mni_posix_env(), path, MN_RECOVERY_TAIL, dump_commit, &d,
                                       NULL, &details);
    /* A status of the caller may be one that opening a log has a meaning for. */
    if (st != MN_OK && d.answer != MN_OK) {
        st = d.answer;
        details.status = st;
    }
    return api_answer(st, &details, err);
}
