/*
 * snapshot.c - creating snapshots, and what is known of one.
 *
 * Owns:    the handle of a snapshot.
 * Threads: any.
 * Fails:   as snapshot.h says.
 */
#include "mneme/snapshot.h"

#include <stdio.h>

#include "api/snapshot_private.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"

/* Helpers ---------- */

static mn_status tell(void *context, uint64_t n_bytes_done, uint64_t n_bytes_total,
                      struct mn_error *err)
{
    struct api_progress *p = context;

    if (p->answer == MN_OK)
        p->answer = p->each(p->context, n_bytes_done, n_bytes_total);
    /* What the caller answers may have a meaning for those in between, so it does not go their
     * way. */
    return p->answer == MN_OK ? MN_OK : mni_fail(err, MN_ERR_CANCELLED, "stopped by the caller");
}

struct mni_progress api_progress(struct api_progress *progress)
{
    return (struct mni_progress){.each = progress->each != NULL ? tell : NULL, .context = progress};
}

mn_status api_progress_end(const struct api_progress *progress, mn_status status,
                           struct mn_error *details, struct mn_error *err)
{
    if (status == MN_ERR_CANCELLED && progress->answer != MN_OK)
        status = details->status = progress->answer;
    return api_answer(status, details, err);
}

mn_status api_parse_id(const char *text, struct mni_snapshot_id *id_out, struct mn_error *err)
{
    if (text == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no snapshot is named");
    if (!mni_snapshot_id_parse(mn_str(text), id_out))
        return mni_fail(err, MN_ERR_INVALID,
                        "\"%.60s\" is no id of a snapshot: 32 hexadecimal digits", text);
    return MN_OK;
}

mn_status api_snapshot_new(struct mni_snapshot *inner, mn_snapshot **snapshot_out,
                           struct mn_error *err)
{
    mn_snapshot *snapshot = mni_alloc_zero(sizeof *snapshot);

    if (snapshot == NULL) {
        mni_snapshot_done(inner);
        return mni_fail(err, MN_ERR_NOMEM, "handle of a snapshot");
    }
    snapshot->inner = *inner;
    *snapshot_out = snapshot;
    return MN_OK;
}

/* What is known of one ---------- */

void mn_snapshot_free(mn_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    mni_snapshot_done(&snapshot->inner);
    mni_free(snapshot);
}

static void write_hex(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

mn_status mn_snapshot_get_info(const mn_snapshot *snapshot, struct mn_snapshot_info *info_out,
                               struct mn_error *err)
{
    struct mn_snapshot_info info = {.format_version = 1};

    if (snapshot == NULL || info_out == NULL || info_out->size < sizeof(size_t) ||
        info_out->size > 4096)
        return mni_fail(err, MN_ERR_INVALID, "no snapshot, or mn_snapshot_info.size is not set");
    const struct mni_snapshot *s = &snapshot->inner;
    info.size = info_out->size;
    mni_snapshot_id_format(&s->id, info.id);
    if (!mni_snapshot_id_is_zero(&s->parent))
        mni_snapshot_id_format(&s->parent, info.parent_id);
    info.is_incremental = (s->flags & MNI_SNAPSHOT_INCREMENTAL) != 0;
    info.is_compressed = (s->flags & MNI_SNAPSHOT_COMPRESSED) != 0;
    info.has_no_metadata = (s->flags & MNI_SNAPSHOT_WITHOUT_METADATA) != 0;
    info.created_at_us = s->created_us;
    info.lsn = s->manifest.lsn;
    info.lsn_time_us = s->manifest.time_us;
    info.n_namespaces = mni_snapshot_n_namespaces(s);
    info.n_records = s->n_records;
    info.n_files = s->n_files;
    info.n_bytes = s->n_bytes;
    info.own_bytes = s->own_bytes;
    info.shared_bytes = s->n_bytes - s->own_bytes;
    info.stored_bytes = s->stored_bytes;
    info.description = s->description;
    info.n_timelines = s->n_timelines;
    write_hex(s->digest, sizeof s->digest, info.digest);
    write_hex(s->manifest.store_id, sizeof s->manifest.store_id, info.store_id);
    memcpy(info_out, &info, info.size < sizeof info ? info.size : sizeof info);
    return MN_OK;
}

mn_status mn_snapshot_get_namespace(const mn_snapshot *snapshot, uint64_t index,
                                    struct mn_snapshot_namespace *namespace_out,
                                    struct mn_error *err)
{
    if (snapshot == NULL || namespace_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no snapshot, or no place for the answer");
    if (index >= mni_snapshot_n_namespaces(&snapshot->inner))
        return MN_END;
    const struct mni_snapshot_collection *c = &snapshot->inner.collections[index];
    *namespace_out = (struct mn_snapshot_namespace){
        .name = c->name, .dimension = c->dimension, .n_records = c->n_records};
    return MN_OK;
}

/* Creating ---------- */

static mn_status check_options(const struct mn_snapshot_options *o, struct mn_error *err)
{
    const struct mn_slice d = o->description;

    if (o->to != NULL && o->to[0] == '\0')
        return mni_fail(err, MN_ERR_INVALID, "the directory to export to has no name");
    if (o->compress && o->to == NULL)
        return mni_fail(err, MN_ERR_INVALID, "only an export can be compressed");
    if (o->without_metadata && o->to == NULL)
        return mni_fail(err, MN_ERR_INVALID, "only an export can be without metadata");
    if (d.n_bytes > MN_SNAPSHOT_DESCRIPTION_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "the description has %zu bytes, the limit is %d",
                        d.n_bytes, MN_SNAPSHOT_DESCRIPTION_BYTES_MAX);
    if (d.n_bytes > 0 && (d.data == NULL || mni_utf8_valid_prefix(d.data, d.n_bytes) != d.n_bytes))
        return mni_fail(err, MN_ERR_INVALID, "the description is not UTF-8");
    return MN_OK;
}

mn_status mn_snapshot_create(mn_store *store, const struct mn_snapshot_options *options,
                             mn_snapshot **snapshot_out, struct mn_error *err)
{
    struct mn_snapshot_options o;
    struct mni_snapshot inner;
    struct mni_snapshot_id parent;
    struct mn_error details = {0};
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_snapshot_options", err);
    if (st == MN_OK)
        st = check_options(&o, err);
    if (st == MN_OK && o.parent_id != NULL)
        st = api_parse_id(o.parent_id, &parent, err);
    if (st != MN_OK)
        return st;
    struct api_progress progress = {.each = o.progress, .context = o.context};
    const struct mni_snapshot_request request = {
        .pool = o.to,
        .description = o.description,
        .is_incremental = o.incremental,
        .is_compressed = o.compress,
        .is_without_metadata = o.without_metadata,
        .parent = o.parent_id != NULL ? &parent : NULL,
        .progress = api_progress(&progress),
    };
    st = mni_engine_snapshot(store->engine, &request, &inner, &details);
    if (st == MN_OK && snapshot_out != NULL)
        return api_snapshot_new(&inner, snapshot_out, err);
    mni_snapshot_done(&inner);
    return api_progress_end(&progress, st, &details, err);
}
