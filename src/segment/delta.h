/*
 * delta.h - a vector as its exact difference to another one.
 *
 * For vectors of f32 that differ a little: of what moves slowly, most bits repeat. Every bit
 * pattern comes back, NaN and infinities included. The bytes are described in
 * docs/format/segment.md, "Differences", the choice in docs/decisions/delta-storage.md.
 *
 * Vectors are little-endian f32 elements at any address.
 *
 * Threads: any.
 */
#ifndef MNI_SEGMENT_DELTA_H
#define MNI_SEGMENT_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that no difference of so many elements is longer than: a little more than the vector. */
size_t mni_delta_bytes_max(uint32_t n_dims);

/* Bytes that mni_delta_encode will write. `n_dims` > 0, as below. */
size_t mni_delta_bytes(const void *base, const void *vector, uint32_t n_dims);

/* Writes the difference that leads from `base` to `vector`; returns how many bytes that are.
 * `bytes_out` has room for mni_delta_bytes_max. */
size_t mni_delta_encode(const void *base, const void *vector, uint32_t n_dims,
                        unsigned char *bytes_out);

/* Makes the vector again. Reads nothing behind `n_bytes`. False: these are not the bytes of a
 * difference of so many elements; what `vector_out` holds then means nothing. */
bool mni_delta_decode(const void *base, uint32_t n_dims, const unsigned char *bytes, size_t n_bytes,
                      void *vector_out);

#endif
