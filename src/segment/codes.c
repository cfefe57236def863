/*
 * codes.c - the codes of a group's vectors: made while a segment is written, and read.
 *
 * Owns:    a block of codes until it is written.
 * Format:  docs/format/segment.md, "Codes"
 * Threads: writing: one at a time; reading: any.
 * Fails:   when memory does, and as streams and blocks do.
 */
#include <math.h>

#include "base/mem.h"
#include "kernel/kernel.h"
#include "segment/segment_private.h"

static_assert((int)MNI_SEGMENT_CODE_BLOCK_VECTORS == (int)SEG_CODE_BLOCK_VECTORS, "one block size");

enum { SCALES, RESTS, LENGTHS, N_HEADS };

/* Writing ---------- */

uint64_t mni_code_block_bytes(uint32_t n_dims_max)
{
    uint64_t n_codes = mni_row_code_bytes(n_dims_max);

    return n_codes == 0 ? 0
                        : n_codes * (SEG_CODE_BLOCK_VECTORS + 1) + n_dims_max * sizeof(float) +
                              sign_bytes(n_dims_max);
}

mn_status mni_code_block_init(struct code_block *block, uint32_t n_dims_max)
{
    size_t n_codes = mni_row_code_bytes(n_dims_max);

    if (n_dims_max == 0)
        return MN_OK;
    block->quads = mni_alloc_array(n_codes, SEG_CODE_BLOCK_VECTORS);
    block->codes = mni_alloc(n_codes);
    block->signs = mni_alloc(sign_bytes(n_dims_max));
    block->floats = mni_alloc_array(n_dims_max, sizeof *block->floats);
    if (block->quads == NULL || block->codes == NULL || block->signs == NULL ||
        block->floats == NULL)
        return MN_ERR_NOMEM;
    return MN_OK;
}

void mni_code_block_done(struct code_block *block)
{
    mni_free(block->quads);
    mni_free(block->codes);
    mni_free(block->signs);
    mni_free(block->floats);
    *block = (struct code_block){0};
}

static void put_f32(unsigned char *p, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    mni_put_u32(p, bits);
}

/* The vector of a record as floats that are aligned. */
static const float *widen(struct code_block *block, const struct mni_record *r)
{
    const unsigned char *bytes = r->vector;

    for (uint32_t i = 0; i < r->n_dims; i++) {
        if (r->element_type == MNI_ELEMENT_F16) {
            uint16_t half = mni_get_u16(bytes + (size_t)i * 2);
            mni_f16_to_f32(&half, 1, &block->floats[i]);
        } else {
            uint32_t bits = mni_get_u32(bytes + (size_t)i * 4);
            memcpy(&block->floats[i], &bits, sizeof bits);
        }
    }
    return block->floats;
}

/* The `i`th quad of the first of `n_vectors`. */
static int8_t *quad_of(const struct code_block *block, size_t i, size_t n_vectors)
{
    return block->quads + i * n_vectors * MNI_QUAD;
}

mn_status mni_code_block_add(struct code_block *block, const struct mni_record *record,
                             struct stream *codes, struct stream *signs, struct output *output,
                             struct mn_error *err)
{
    size_t n = record->n_dims;
    uint32_t at = block->n_vectors * 4; /* in heads, and among quads */
    const float *vector = widen(block, record);
    struct mni_code_scale scale;
    float square;

    MNI_CHECK(block->n_vectors == 0 || block->n_dims == n);
    block->n_dims = (uint32_t)n;
    mni_kernels()->dot_f32(vector, 1, vector, 1, n, &square);
    mni_quantise_row(vector, n, block->codes, &scale);
    for (size_t i = 0; i < mni_quads(n); i++)
        memcpy(quad_of(block, i, SEG_CODE_BLOCK_VECTORS) + at, block->codes + i * MNI_QUAD,
               MNI_QUAD);
    put_f32(block->heads[SCALES] + at, scale.scale);
    put_f32(block->heads[RESTS] + at, scale.rest);
    /* which NaN a kernel gives is not said, and what is written is the same everywhere */
    put_f32(block->heads[LENGTHS] + at, isnan(square) ? NAN : sqrtf(square));
    block->n_vectors++;
    mni_sign_bits(vector, n, block->signs);
    for (size_t i = 0; i < sign_bytes((uint32_t)n) / 8; i++)
        block->signs[i] = MNI_LE64(block->signs[i]);
    mn_status st = mni_stream_put(signs, output, block->signs, sign_bytes((uint32_t)n), err);
    if (st == MN_OK && block->n_vectors == SEG_CODE_BLOCK_VECTORS)
        st = mni_code_block_flush(block, codes, output, err);
    return st;
}

mn_status mni_code_block_flush(struct code_block *block, struct stream *codes,
                               struct output *output, struct mn_error *err)
{
    size_t n = block->n_vectors;
    size_t n_quads = mni_quads(block->n_dims);
    mn_status st = MN_OK;

    for (size_t i = 1; i < n_quads && n < SEG_CODE_BLOCK_VECTORS; i++) /* no gaps */
        memmove(quad_of(block, i, n), quad_of(block, i, SEG_CODE_BLOCK_VECTORS), n * MNI_QUAD);
    for (size_t i = 0; i < N_HEADS && st == MN_OK && n > 0; i++)
        st = mni_stream_put(codes, output, block->heads[i], n * 4, err);
    if (st == MN_OK && n > 0)
        st =
            mni_stream_put(codes, output, block->quads, n * mni_row_code_bytes(block->n_dims), err);
    block->n_vectors = 0;
    return st;
}

/* Reading ---------- */

mn_status mni_segment_code_block(struct mni_segment *segment, const struct mni_segment_group *group,
                                 uint32_t block, struct mni_segment_codes *codes_out,
                                 struct mn_error *err)
{
    uint64_t first = (uint64_t)block * SEG_CODE_BLOCK_VECTORS;
    size_t vector_bytes = code_bytes(group->n_dims);
    struct span span;

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    MNI_CHECK(group->has_codes && first < group->n_vectors);
    uint64_t n = group->n_vectors - first;
    n = n < SEG_CODE_BLOCK_VECTORS ? n : SEG_CODE_BLOCK_VECTORS;
    uint64_t offset =
        segment->layout.columns[SEG_CODES].offset + group->codes_offset + first * vector_bytes;
    mn_status st = fetch(segment, offset, (size_t)n * vector_bytes, &span, err);
    if (st != MN_OK)
        return st;
    const float *heads = (const float *)(const void *)span.bytes; /* at a multiple of 64 */
    *codes_out = (struct mni_segment_codes){
        .scales = heads,
        .rests = heads + n,
        .lengths = heads + 2 * n,
        .quads = (const int8_t *)(heads + 3 * n),
        .n_vectors = (uint32_t)n,
        .pin = span.pin,
    };
    return MN_OK;
}

mn_status mni_segment_signs(struct mni_segment *segment, const struct mni_segment_group *group,
                            uint32_t first, uint32_t n, const uint64_t **signs_out, void **pin_out,
                            struct mn_error *err)
{
    size_t vector_bytes = sign_bytes(group->n_dims);
    struct span span;

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    MNI_CHECK(group->has_codes && n > 0 && n <= group->n_vectors && first <= group->n_vectors - n);
    uint64_t offset =
        segment->layout.columns[SEG_SIGNS].offset + group->signs_offset + first * vector_bytes;
    mn_status st = fetch(segment, offset, n * vector_bytes, &span, err);
    if (st != MN_OK)
        return st;
    *signs_out = (const uint64_t *)(const void *)span.bytes;
    *pin_out = span.pin;
    return MN_OK;
}
