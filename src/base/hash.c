/*
 * hash.c - XXH3 by the xxhash library's header.
 *
 * Owns:    the state of a stream.
 * Threads: any; a stream is one thread's.
 * Fails:   MN_ERR_NOMEM.
 */
#include "base/hash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/mem.h"

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

struct mni_hash128_stream {
    XXH3_state_t state;
};

mn_status mni_hash128_stream_new(struct mni_hash128_stream **stream_out, struct mn_error *err)
{
    struct mni_hash128_stream *stream =
        mni_alloc_aligned(_Alignof(struct mni_hash128_stream), sizeof *stream);

    if (stream == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "state of a hash");
    memset(stream, 0, sizeof *stream);
    XXH_errorcode failed = XXH3_128bits_reset(&stream->state);
    MNI_CHECK(failed == XXH_OK);
    *stream_out = stream;
    return MN_OK;
}

void mni_hash128_stream_free(struct mni_hash128_stream *stream)
{
    mni_free(stream);
}

void mni_hash128_stream_add(struct mni_hash128_stream *stream, const void *data, size_t n)
{
    if (n == 0)
        return;
    XXH_errorcode failed = XXH3_128bits_update(&stream->state, data, n);
    MNI_CHECK(failed == XXH_OK);
}

void mni_hash128_stream_tell(const struct mni_hash128_stream *stream,
                             unsigned char hash_out[MNI_HASH128_BYTES])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&stream->state));
    memcpy(hash_out, canonical.digest, MNI_HASH128_BYTES);
}
