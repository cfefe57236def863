/*
 * scan.c - the vectors of a namespace where they lie.
 *
 * Owns:    the engine's scans, each with one reader.
 * Threads: one per scan.
 * Fails:   once it is open only where a segment is damaged or cannot be read.
 */
#include "mneme/scan.h"
#include "api/store_private.h"
#include "base/mem.h"

struct mn_scan {
    struct mni_engine *engine;      /* borrowed */
    struct mni_scan *scan;          /* owned */
    struct mni_scan_reader *reader; /* owned */
};

void mn_scan_close(mn_scan *scan)
{
    /* A fork's copy is left alone: a lock may be held for ever by a thread that it has not got. */
    if (scan == NULL || mni_engine_check(scan->engine, NULL) != MN_OK)
        return;
    mni_scan_reader_free(scan->reader);
    mni_scan_close(scan->scan);
    mni_free(scan);
}

static mn_status open_scan(struct mn_scan *scan, struct mn_slice name, size_t n_vectors_max,
                           struct mn_error *err)
{
    struct mni_collection c;
    mn_status st = mni_scan_open(scan->engine, &scan->scan, err);

    if (st != MN_OK)
        return st;
    st = mni_view_collection(mni_scan_view(scan->scan), MNI_KIND_NAMESPACE, name, &c, err);
    if (st == MN_NOT_FOUND)
        return api_no_namespace(name, err);
    if (st == MN_OK)
        st = mni_scan_start(scan->scan, c.number, NULL, err);
    if (st == MN_OK)
        st = mni_scan_reader_new(scan->scan, n_vectors_max, &scan->reader, err);
    return st;
}

mn_status mn_scan_open(mn_store *store, struct mn_slice name, const struct mn_scan_options *options,
                       mn_scan **scan_out, struct mn_error *err)
{
    struct mn_scan_options o;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st == MN_OK && scan_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the scan");
    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_scan_options", err);
    if (st != MN_OK)
        return st;
    struct mn_scan *scan = mni_alloc_zero(sizeof *scan);
    if (scan == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a scan");
    scan->engine = store->engine;
    st = open_scan(scan, name, o.chunk_vectors_max, err);
    if (st != MN_OK) {
        mn_scan_close(scan);
        return st;
    }
    *scan_out = scan;
    return MN_OK;
}

mn_status mn_scan_next(mn_scan *scan, struct mn_scan_chunk *chunk_out, struct mn_error *err)
{
    struct mni_scan_chunk chunk;

    if (scan == NULL || chunk_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no scan, or no place for the chunk");
    *chunk_out = (struct mn_scan_chunk){0};
    mn_status st = mni_engine_check(scan->engine, err);
    if (st == MN_OK)
        st = mni_scan_next(scan->reader, &chunk, err);
    if (st == MN_END)
        return mni_fail(err, st, "there are no more vectors");
    if (st != MN_OK)
        return st;
    if (chunk.element_type != MNI_ELEMENT_F32)
        return mni_fail(err, MN_ERR_CORRUPT, "a segment has vectors that no namespace holds");
    chunk_out->vectors = chunk.vectors;
    chunk_out->n_vectors = chunk.n_vectors;
    chunk_out->n_dims = chunk.n_dims;
    return MN_OK;
}

mn_status mn_scan_view(mn_scan *scan, size_t index, struct mn_view *view_out, struct mn_error *err)
{
    struct mni_found found;

    if (scan == NULL || view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no scan, or no place for the view");
    mn_status st = mni_engine_check(scan->engine, err);
    if (st != MN_OK)
        return st;
    api_view_clear(view_out);
    st = mni_scan_found(scan->reader, index, &found, err);
    if (st == MN_OK)
        st = mni_found_pin(scan->engine, &found, err);
    if (st == MN_OK)
        api_view_set(view_out, &found);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_INVALID, "the chunk has no such vector") : st;
}
