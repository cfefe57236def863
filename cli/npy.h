/*
 * npy.h - vectors in a NumPy file (formats 1.0 and 2.0): float32, little-endian, C order, 2-D.
 */
#ifndef CLI_NPY_H
#define CLI_NPY_H

#include "mneme/types.h"

struct npy {
    int fd; /* owned; -1: none */
    uint64_t n_rows;
    uint32_t n_dims;      /* may be 0 where n_rows is */
    uint64_t data_offset; /* of the first row in the file */
};

/* Opens the file and checks that it is whole. An error names what is wrong, not the file. */
MN_MUST_USE mn_status npy_open(const char *path, struct npy *npy_out, struct mn_error *err);
void npy_close(struct npy *npy);

/* Reads row `row_index`, less than n_rows, into `vector_out`, n_dims elements. */
MN_MUST_USE mn_status npy_read_row(struct npy *npy, uint64_t row_index, float *vector_out,
                                   struct mn_error *err);

#endif
