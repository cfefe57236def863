/*
 * hash.h - hashes in memory and in files: XXH3. 64 bits of keys, 128 bits as digests of content.
 */
#ifndef MNI_BASE_HASH_H
#define MNI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* XXH3-64 of `n` bytes with `seed`. Stable over versions and machines. Any thread. */
uint64_t mni_hash(const void *data, size_t n, uint64_t seed);

enum { MNI_HASH128_BYTES = 16 };
/* XXH3-128 of `n` bytes, big-endian as in its canonical form. Stable likewise. Any thread. */
void mni_hash128(const void *data, size_t n, unsigned char hash_out[MNI_HASH128_BYTES]);

/* The same of content that comes in pieces. */
struct mni_hash128_stream;
MN_MUST_USE mn_status mni_hash128_stream_new(struct mni_hash128_stream **stream_out,
                                             struct mn_error *err);
void mni_hash128_stream_free(struct mni_hash128_stream *stream); /* NULL is fine */
void mni_hash128_stream_add(struct mni_hash128_stream *stream, const void *data, size_t n);
/* Of all that was added so far. */
void mni_hash128_stream_tell(const struct mni_hash128_stream *stream,
                             unsigned char hash_out[MNI_HASH128_BYTES]);

#endif
