/*
 * hash.h - hashes in memory and in files: XXH3. 64 bits of keys, 128 bits as digests of content.
 */
#ifndef MNI_BASE_HASH_H
#define MNI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 of `n` bytes with `seed`. Stable over versions and machines. Any thread. */
uint64_t mni_hash(const void *data, size_t n, uint64_t seed);

enum { MNI_HASH128_BYTES = 16 };
/* XXH3-128 of `n` bytes, big-endian as in its canonical form. Stable likewise. Any thread. */
void mni_hash128(const void *data, size_t n, unsigned char hash_out[MNI_HASH128_BYTES]);

#endif
