/*
 * hash.c - XXH3 by the xxhash library's header.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t mni_hash(const void *data, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, n, seed);
}
