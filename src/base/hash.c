/*
 * hash.c - XXH3 by the xxhash library's header.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 */
#include "base/hash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t mni_hash(const void *data, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, n, seed);
}

void mni_hash128(const void *data, size_t n, unsigned char hash_out[MNI_HASH128_BYTES])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, n));
    memcpy(hash_out, canonical.digest, MNI_HASH128_BYTES);
}
