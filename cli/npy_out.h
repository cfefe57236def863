/*
 * npy_out.h - writes vectors into a NumPy file: format 1.0, '<f4', C order, 2-D.
 */
#ifndef CLI_NPY_OUT_H
#define CLI_NPY_OUT_H

#include "mneme/types.h"
#include "whole_file.h"

/* Zero-initialised holds nothing and may be abandoned. */
struct npy_out {
    struct whole_file file;
    uint64_t n_rows;
    uint32_t n_dims;
};

/* Begins a file of vectors with `n_dims` elements; 0: there will be none. It appears with
 * npy_out_commit, until then what is at `path` stays. An error names what is wrong, not the file.
 */
MN_MUST_USE mn_status npy_out_begin(struct npy_out *npy, const char *path, uint32_t n_dims,
                                    struct mn_error *err);

/* Appends row npy->n_rows, bit for bit. */
MN_MUST_USE mn_status npy_out_row(struct npy_out *npy, const float *vector, uint32_t n_dims,
                                  struct mn_error *err);

/* Nothing is left to abandon, also after an error. */
MN_MUST_USE mn_status npy_out_commit(struct npy_out *npy, struct mn_error *err);

void npy_out_abandon(struct npy_out *npy);

#endif
