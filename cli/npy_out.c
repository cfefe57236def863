/*
 * npy_out.c - writes vectors into a NumPy file: format 1.0, '<f4', C order, 2-D.
 *
 * Owns:    the file, until it is committed or abandoned.
 * Threads: the main one.
 * Fails:   as whole_file.h; the caller abandons the file then.
 */
#include "npy_out.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/status.h"

/*
 * The number of rows is known at the end, so the header has the same size for any: enough for 64
 * bits, and a multiple of 64, as the format asks, so that mapped rows are aligned.
 *
 *     0  magic "\x93NUMPY"
 *     6  version 1, 0
 *     8  u16, length of the text
 *    10  the text: a Python dictionary, spaces, a line break
 */
enum {
    HEADER_OFF_VERSION = 6,
    HEADER_OFF_TEXT_BYTES = 8,
    HEADER_OFF_TEXT = 10,
    HEADER_BYTES = 128,
    PIECE_ELEMENTS = 1024,
};

mn_status npy_out_begin(struct npy_out *npy, const char *path, uint32_t n_dims,
                        struct mn_error *err)
{
    static const unsigned char room[HEADER_BYTES]; /* no file of the format before its end */

    *npy = (struct npy_out){.n_dims = n_dims};
    mn_status st = whole_file_begin(&npy->file, path, err);
    if (st == MN_OK)
        st = whole_file_append(&npy->file, room, sizeof room, err);
    if (st != MN_OK)
        npy_out_abandon(npy);
    return st;
}

mn_status npy_out_row(struct npy_out *npy, const float *vector, uint32_t n_dims,
                      struct mn_error *err)
{
    unsigned char piece[PIECE_ELEMENTS * sizeof(uint32_t)];
    uint32_t bits;

    if (n_dims != npy->n_dims)
        return mni_fail(err, MN_ERR_DIMENSION, "vector has %u dimensions, those before have %u",
                        n_dims, npy->n_dims);
    for (uint32_t at = 0; at < n_dims;) {
        uint32_t n = n_dims - at < PIECE_ELEMENTS ? n_dims - at : PIECE_ELEMENTS;
        for (uint32_t i = 0; i < n; i++) {
            memcpy(&bits, &vector[at + i], sizeof bits);
            mni_put_u32(piece + i * sizeof bits, bits);
        }
        mn_status st = whole_file_append(&npy->file, piece, n * sizeof bits, err);
        if (st != MN_OK)
            return st;
        at += n;
    }
    npy->n_rows++;
    return MN_OK;
}

mn_status npy_out_commit(struct npy_out *npy, struct mn_error *err)
{
    unsigned char header[HEADER_BYTES] = "\x93NUMPY";
    char *text = (char *)header + HEADER_OFF_TEXT;
    int text_bytes = HEADER_BYTES - HEADER_OFF_TEXT;

    header[HEADER_OFF_VERSION] = 1;
    mni_put_u16(header + HEADER_OFF_TEXT_BYTES, (uint16_t)text_bytes);
    int n = snprintf(text, (size_t)text_bytes,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %u), }",
                     (unsigned long long)npy->n_rows, npy->n_dims);
    MNI_CHECK(n > 0 && n < text_bytes);
    memset(text + n, ' ', (size_t)(text_bytes - n));
    text[text_bytes - 1] = '\n';
    mn_status st = whole_file_patch(&npy->file, 0, header, sizeof header, err);
    if (st == MN_OK)
        return whole_file_commit(&npy->file, err);
    npy_out_abandon(npy);
    return st;
}

void npy_out_abandon(struct npy_out *npy)
{
    whole_file_abandon(&npy->file);
}
