/*
 * restore.c - restoring snapshots.
 *
 * Owns:    nothing.
 * Threads: one per target.
 * Fails:   as snapshot.h says.
 */
#include "api/snapshot_private.h"

static bool is_moment(const struct mn_restore_options *o)
{
    return o->at_lsn != 0 || o->at_time_us != 0;
}

static mn_status check_options(const struct mn_restore_options *o, struct mn_error *err)
{
    const char *target = o->into != NULL ? o->into : o->replace;
    mn_status st = MN_OK;

    if ((o->into == NULL) == (o->replace == NULL) || target[0] == '\0')
        return mni_fail(err, MN_ERR_INVALID, "either `into` or `replace` names the target");
    if (o->at_lsn != 0 && o->at_time_us != 0)
        return mni_fail(err, MN_ERR_INVALID, "an LSN and a time are two moments");
    if (is_moment(o) && (o->into == NULL || o->name.n_bytes > 0 || o->dry_run))
        return mni_fail(err, MN_ERR_INVALID, "a moment is restored as a whole, into a new store");
    if (o->rename.n_bytes > 0 && o->name.n_bytes == 0)
        return mni_fail(err, MN_ERR_INVALID, "a new name is for one namespace that is named");
    if (o->name.n_bytes > 0)
        st = api_check_name(o->name, err);
    if (st == MN_OK && o->rename.n_bytes > 0)
        st = api_check_name(o->rename, err);
    return st;
}

mn_status mn_snapshot_restore(mn_snapshots *snapshots, const char *id,
                              const struct mn_restore_options *options,
                              struct mn_restore_report *report_out, struct mn_error *err)
{
    struct mn_restore_options o;
    struct mni_snapshot_id parsed = {0};
    struct mni_restore_report done = {0};
    struct mni_pool_dir *pool = NULL;
    struct mn_error details = {0};
    mn_status st = snapshots != NULL ? MN_OK : mni_fail(err, MN_ERR_INVALID, "no pool is given");

    if (st == MN_OK && report_out != NULL &&
        (report_out->size < sizeof(size_t) || report_out->size > 4096))
        st = mni_fail(err, MN_ERR_INVALID, "mn_restore_report.size is not set");
    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_restore_options", err);
    if (st == MN_OK)
        st = check_options(&o, err);
    if (st == MN_OK && id != NULL && is_moment(&o))
        st = mni_fail(err, MN_ERR_INVALID, "an id and a moment are given; one of them is meant");
    if (st == MN_OK && !is_moment(&o))
        st = api_parse_id(id, &parsed, err);
    if (st != MN_OK)
        return st;
    st = api_lock_pool(snapshots, MNI_POOL_READ, &pool, &details);
    if (st != MN_OK)
        return api_answer(st, &details, err);
    struct api_progress progress = {.each = o.progress, .context = o.context};
    const struct mni_restore_request request = {
        .pool = pool,
        .id = parsed,
        .path = o.into != NULL ? o.into : o.replace,
        .replaces = o.replace != NULL,
        .name = o.name,
        .rename = o.rename.n_bytes > 0 ? o.rename : o.name,
        .is_dry_run = o.dry_run,
        .at_lsn = o.at_lsn,
        .at_time_us = o.at_time_us,
        .of = snapshots->store_path,
        .archive = o.archive,
        .progress = api_progress(&progress),
    };
    st = mni_engine_restore(snapshots->env, &request, &done, &details);
    mni_pool_close(pool);
    if (st == MN_OK && report_out != NULL) {
        struct mn_restore_report report = {
            .size = report_out->size,
            .n_namespaces = done.n_namespaces,
            .n_records = done.n_records,
            .lsn = done.lsn,
            .has_no_metadata = done.has_no_metadata,
        };
        mni_snapshot_id_format(&done.id, report.snapshot_id);
        memcpy(report_out, &report, report.size < sizeof report ? report.size : sizeof report);
    }
    return api_progress_end(&progress, st, &details, err);
}
