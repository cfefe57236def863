/*
 * salvage.c - recovering what is left of a damaged store.
 *
 * Owns:    nothing.
 * Threads: any; one per store.
 * Fails:   as store.h says.
 */
#include <string.h>

#include "api/api.h"
#include "api/store_private.h"
#include "io/posix.h"

mn_status mni_api_salvage(struct mni_env *env, const char *from, const char *to,
                          const struct mn_salvage_options *options,
                          struct mn_salvage_report *report_out, struct mn_error *err)
{
    struct mn_salvage_report report = {0};
    struct mn_salvage_options o;
    struct mn_error details = {0};

    if (from == NULL || from[0] == '\0' || to == NULL || to[0] == '\0')
        return mni_fail(err, MN_ERR_INVALID, "salvage needs two paths");
    if (report_out != NULL &&
        (report_out->size < sizeof report_out->size || report_out->size > 4096))
        return mni_fail(err, MN_ERR_INVALID, "mn_salvage_report.size is not set");
    mn_status st = api_copy_options(options, &o, sizeof o, "mn_salvage_options", err);
    if (st != MN_OK)
        return st;
    st = mni_engine_salvage(env, from, to, o.damage, o.context, &report, &details);
    if (report_out != NULL) {
        report.size = report_out->size;
        memcpy(report_out, &report, report.size < sizeof report ? report.size : sizeof report);
    }
    return api_answer(st, &details, err);
}

mn_status mn_salvage(const char *from, const char *to, const struct mn_salvage_options *options,
                     struct mn_salvage_report *report_out, struct mn_error *err)
{
    return mni_api_salvage(mni_posix_env(), from, to, options, report_out, err);
}
