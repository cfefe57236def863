/*
 * passage.c - the bytes of one file from one place to another, checked on the way; compressed or
 * decompressed, where one of the two places holds it so.
 *
 * Owns:    a buffer on each side, while it runs.
 * Format:  docs/format/snapshot.md
 * Threads: one at a time per file.
 * Fails:   MN_ERR_CORRUPT names the file that the bytes come from.
 */
#include <inttypes.h>
#include <string.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "segment/sums.h"
#include "snapshot/snapshot_private.h"

enum {
    COMPRESSION_LEVEL = 3,
    WINDOW_LOG = 21,     /* what is written: 2 MiB */
    WINDOW_LOG_MAX = 23, /* what is read: bounds the memory that a frame may ask for */
};
static_assert(PASSAGE_CHUNK_BYTES % MNI_DIRECT_ALIGN == 0, "chunks can be transferred directly");

/* While it runs. */
struct flow {
    struct passage *passage;
    size_t chunk_bytes;    /* of both buffers: no more than the file has */
    unsigned char *bytes;  /* owned: a chunk, not compressed */
    unsigned char *packed; /* owned: compressed; NULL where neither side is */
    ZSTD_CCtx *compressor; /* owned, likewise */
    ZSTD_DCtx *decompressor;
    ZSTD_inBuffer input; /* what is left in `packed` of what was read */
    bool is_frame_over;
    uint64_t n_read; /* of passage->from */
    struct mni_sums sums;
};

/* Reading ----------*/

static mn_status read_from(struct flow *flow, unsigned char *to, size_t *n, struct mn_error *err)
{
    struct passage *p = flow->passage;
    uint64_t n_left = p->from_bytes - flow->n_read;
    size_t n_wanted = n_left < flow->chunk_bytes ? (size_t)n_left : flow->chunk_bytes;

    *n = 0;
    if (n_wanted == 0)
        return MN_OK;
    mn_status st = mni_file_read(p->from, flow->n_read, to, n_wanted, n, err);
    if (st == MN_OK && *n != n_wanted)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s has become shorter", p->label);
    flow->n_read += *n;
    return pool_as_error(st, err);
}

/* The content of the frame must be as long as the file was, before any of it is unpacked. */
static mn_status check_frame(struct flow *flow, struct mn_error *err)
{
    unsigned long long n = ZSTD_getFrameContentSize(flow->packed, flow->input.size);

    if (n == flow->passage->file->file_bytes)
        return MN_OK;
    return mni_fail(err, MN_ERR_CORRUPT, "%s does not begin as it must", flow->passage->label);
}

static mn_status refill(struct flow *flow, struct mn_error *err)
{
    bool is_first = flow->n_read == 0;
    size_t n = 0;
    mn_status st = read_from(flow, flow->packed, &n, err);

    flow->input = (ZSTD_inBuffer){.src = flow->packed, .size = n};
    return st == MN_OK && is_first ? check_frame(flow, err) : st;
}

/* Unpacks up to `n_max` bytes; less only at the end of the frame. */
static mn_status unpack(struct flow *flow, unsigned char *to, size_t n_max, size_t *n_out,
                        struct mn_error *err)
{
    const char *label = flow->passage->label;
    ZSTD_outBuffer output = {.dst = to, .size = n_max};

    while (!flow->is_frame_over && output.pos < output.size) {
        if (flow->input.pos == flow->input.size) {
            mn_status st = refill(flow, err);
            if (st != MN_OK)
                return st;
        }
        bool is_dry = flow->input.size == 0;
        size_t before = output.pos;
        size_t left = ZSTD_decompressStream(flow->decompressor, &output, &flow->input);
        if (ZSTD_isError(left))
            return mni_fail(err, MN_ERR_CORRUPT, "%s is damaged: %s", label,
                            ZSTD_getErrorName(left));
        flow->is_frame_over = left == 0;
        if (is_dry && left != 0 && output.pos == before)
            return mni_fail(err, MN_ERR_CORRUPT, "%s is cut off", label);
    }
    bool is_all_read = flow->input.pos == flow->input.size &&
                       flow->n_read == flow->passage->from_bytes;
    if (flow->is_frame_over && !is_all_read)
        return mni_fail(err, MN_ERR_CORRUPT, "%s: something stands behind its end", label);
    *n_out = output.pos;
    return MN_OK;
}

/* All content is there: reads the end of the frame, which may have its checksum still to come. */
static mn_status end_frame(struct flow *flow, struct mn_error *err)
{
    unsigned char more;
    size_t n = 0;

    if (!flow->passage->is_from_compressed || flow->is_frame_over)
        return MN_OK;
    mn_status st = unpack(flow, &more, sizeof more, &n, err);
    if (st == MN_OK && n > 0)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s is longer than it says", flow->passage->label);
    return st;
}

/* Writing ----------*/

static mn_status write_packed(struct flow *flow, size_t n, bool is_last, struct mn_error *err)
{
    struct passage *p = flow->passage;
    ZSTD_inBuffer input = {.src = flow->bytes, .size = n};
    size_t left = 1;

    while (input.pos < input.size || (is_last && left != 0)) {
        ZSTD_outBuffer output = {.dst = flow->packed, .size = flow->chunk_bytes};
        left = ZSTD_compressStream2(flow->compressor, &output, &input,
                                    is_last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return mni_fail(err, MN_ERR_NOMEM, "compressing %s: %s", p->label,
                            ZSTD_getErrorName(left));
        mn_status st = output.pos == 0
                           ? MN_OK
                           : mni_file_write(p->to, p->to_bytes, flow->packed, output.pos, err);
        if (st != MN_OK)
            return pool_as_error(st, err);
        p->to_bytes += output.pos;
    }
    return MN_OK;
}

static mn_status write_to(struct flow *flow, size_t n, bool is_last, struct mn_error *err)
{
    struct passage *p = flow->passage;

    if (p->to == NULL)
        return MN_OK;
    if (p->is_to_compressed)
        return write_packed(flow, n, is_last, err);
    mn_status st = n == 0 ? MN_OK : mni_file_write(p->to, p->to_bytes, flow->bytes, n, err);
    p->to_bytes += n;
    return pool_as_error(st, err);
}

/* All of it ----------*/

static mn_status begin_sums(struct flow *flow, struct mn_error *err)
{
    const struct pool_file *file = flow->passage->file;

    if (file->generation != 0) {
        struct mni_live_info expected = {
            .generation = file->generation, .file_bytes = file->file_bytes, .crc = file->crc};
        return mni_sums_begin_live(&flow->sums, &expected, flow->passage->label, err);
    }
    struct mni_segment_info expected = {.file_bytes = file->file_bytes,
                                        .footer_bytes = file->footer_bytes,
                                        .footer_crc = file->crc};
    memcpy(expected.id.bytes, file->segment_id, sizeof expected.id.bytes);
    return mni_sums_begin_segment(&flow->sums, &expected, flow->passage->label, err);
}

static bool is_set(size_t zstd_result)
{
    return !ZSTD_isError(zstd_result);
}

static bool compressor_init(struct flow *flow)
{
    ZSTD_CCtx *c = flow->compressor = ZSTD_createCCtx();

    return c != NULL &&
           is_set(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, COMPRESSION_LEVEL)) &&
           is_set(ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, WINDOW_LOG)) &&
           is_set(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)) &&
           is_set(ZSTD_CCtx_setPledgedSrcSize(c, flow->passage->file->file_bytes));
}

static bool decompressor_init(struct flow *flow)
{
    ZSTD_DCtx *d = flow->decompressor = ZSTD_createDCtx();

    return d != NULL && is_set(ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX));
}

static mn_status flow_init(struct flow *flow, struct mn_error *err)
{
    struct passage *p = flow->passage;
    bool is_packed = p->is_from_compressed || p->is_to_compressed;

    MNI_CHECK(!p->is_from_compressed || !p->is_to_compressed);
    flow->chunk_bytes = p->file->file_bytes < PASSAGE_CHUNK_BYTES
                            ? (size_t)mni_align_up(p->file->file_bytes, MNI_DIRECT_ALIGN)
                            : (size_t)PASSAGE_CHUNK_BYTES;
    flow->bytes = mni_alloc_aligned(MNI_DIRECT_ALIGN, flow->chunk_bytes);
    if (is_packed)
        flow->packed = mni_alloc(flow->chunk_bytes);
    if (flow->bytes == NULL || (is_packed && flow->packed == NULL) ||
        (p->is_to_compressed && !compressor_init(flow)) ||
        (p->is_from_compressed && !decompressor_init(flow)))
        return mni_fail(err, MN_ERR_NOMEM, "buffers for %s", p->label);
    return begin_sums(flow, err);
}

static void flow_done(struct flow *flow)
{
    mni_sums_done(&flow->sums);
    ZSTD_freeCCtx(flow->compressor);
    ZSTD_freeDCtx(flow->decompressor);
    mni_free(flow->packed);
    mni_free(flow->bytes);
}

static mn_status step(struct flow *flow, struct mn_error *err)
{
    struct passage *p = flow->passage;
    size_t n = 0;

    mn_status st = p->is_from_compressed ? unpack(flow, flow->bytes, flow->chunk_bytes, &n, err)
                                         : read_from(flow, flow->bytes, &n, err);
    if (st == MN_OK)
        st = mni_sums_add(&flow->sums, flow->bytes, n, err);
    if (st == MN_OK && n == 0 && flow->sums.n_bytes < flow->sums.file_bytes)
        st = mni_sums_end(&flow->sums, err); /* which says that it is too short */
    bool is_last = flow->sums.n_bytes == flow->sums.file_bytes;
    if (st == MN_OK && is_last)
        st = end_frame(flow, err);
    if (st == MN_OK && is_last && !MNI_PLANTED("pool_copy_not_checked"))
        st = mni_sums_end(&flow->sums, err);
    if (st == MN_OK)
        st = write_to(flow, n, is_last, err);
    if (st == MN_OK && p->progress != NULL && p->progress->each != NULL)
        st = p->progress->each(p->progress->context, p->n_done_before + flow->sums.n_bytes,
                               p->n_total, err);
    return st;
}

mn_status passage_run(struct passage *passage, struct mn_error *err)
{
    struct flow flow = {.passage = passage};

    passage->to_bytes = 0;
    mn_status st = flow_init(&flow, err);
    while (st == MN_OK && flow.sums.n_bytes < flow.sums.file_bytes)
        st = step(&flow, err);
    flow_done(&flow);
    return st;
}

/* Opening ----------*/

mn_status passage_open(struct mni_dir *dir, const char *name, const char *label, bool is_direct,
                       uint64_t *n_bytes, struct mni_file **file_out, struct mn_error *err)
{
    struct mni_file *file = NULL;
    uint64_t n = 0;
    mn_status st = MN_ERR_UNSUPPORTED;

    *file_out = NULL;
    if (is_direct)
        st = mni_dir_open_file(dir, name, MNI_OPEN_READ | MNI_OPEN_DIRECT, &file, err);
    if (st == MN_ERR_UNSUPPORTED)
        st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_CORRUPT, "%s is missing", label);
    if (st == MN_OK)
        st = mni_file_size(file, &n, err);
    if (st == MN_OK && n == 0)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s is empty", label);
    if (st == MN_OK && *n_bytes != 0 && n != *n_bytes)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s has %" PRIu64 " bytes, not %" PRIu64, label, n,
                      *n_bytes);
    if (st != MN_OK) {
        mni_file_close(file);
        return pool_as_error(st, err);
    }
    *n_bytes = n;
    *file_out = file;
    return MN_OK;
}
