/*
 * hash.h - the hash of keys in memory and in files: XXH3, 64 bits.
 */
#ifndef MNI_BASE_HASH_H
#define MNI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 of `n` bytes with `seed`. Stable over versions and machines. Any thread. */
uint64_t mni_hash(const void *data, size_t n, uint64_t seed);

#endif
