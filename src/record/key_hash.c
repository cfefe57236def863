/*
 * key_hash.c - the hash of a key in its collection.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any.
 * Fails:   never.
 */
#include "base/hash.h"
#include "record/record.h"

#define SEED_FACTOR UINT64_C(0x9e3779b97f4a7c15)

uint64_t mni_key_hash(uint64_t collection, struct mn_slice key)
{
    return mni_hash(key.data, key.n_bytes, collection * SEED_FACTOR);
}
