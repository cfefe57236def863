/*
 * delta_fuzz.c - any bytes at the decoder of differences: what it accepts is a vector, and the
 * difference that is written of it gives the same one.
 *
 * Owns:    nothing between inputs.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "segment/delta.h"

enum { DIMS_MAX = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* The first byte says how many elements, those of the base are next; the rest is the difference. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes < 1 || n_bytes < 1 + (size_t)(1 + data[0] % DIMS_MAX) * 4)
        return 0;
    uint32_t n_dims = 1 + data[0] % DIMS_MAX;
    size_t vector_bytes = (size_t)n_dims * 4;
    size_t n = n_bytes - 1 - vector_bytes;
    /* A block of exactly that size, so that the sanitizer sees any byte read beyond. */
    unsigned char *bytes = malloc(n == 0 ? 1 : n);
    unsigned char *vector = malloc(vector_bytes);
    unsigned char *again = malloc(vector_bytes);
    unsigned char *encoded = malloc(mni_delta_bytes_max(n_dims));

    MNI_CHECK(bytes != NULL && vector != NULL && again != NULL && encoded != NULL);
    memcpy(bytes, data + 1 + vector_bytes, n);
    if (mni_delta_decode(data + 1, n_dims, bytes, n, vector)) {
        size_t n_encoded = mni_delta_encode(data + 1, vector, n_dims, encoded);
        MNI_CHECK(n_encoded <= mni_delta_bytes_max(n_dims));
        MNI_CHECK(n_encoded == mni_delta_bytes(data + 1, vector, n_dims));
        MNI_CHECK(mni_delta_decode(data + 1, n_dims, encoded, n_encoded, again));
        MNI_CHECK(memcmp(vector, again, vector_bytes) == 0);
    }
    free(bytes);
    free(vector);
    free(again);
    free(encoded);
    return 0;
}
