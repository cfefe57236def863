/*
 * point_key.c - keys of points, in the order of entities and times.
 *
 * Owns:    nothing.
 * Format:  docs/format/catalogue.md
 * Threads: any.
 * Fails:   never; a key of another length is none.
 */
#include "base/bytes.h"
#include "record/record.h"

static void put_big(unsigned char *out, uint64_t v)
{
    mni_put_u64(out, __builtin_bswap64(v));
}

static uint64_t get_big(const unsigned char *bytes)
{
    return __builtin_bswap64(mni_get_u64(bytes));
}

/* So that times below 0 come first. */
static const uint64_t sign = UINT64_C(1) << 63;

struct mni_point_key mni_point_key(uint64_t entity, int64_t time_us)
{
    struct mni_point_key key;

    put_big(key.bytes, entity);
    put_big(key.bytes + 8, (uint64_t)time_us ^ sign);
    return key;
}

bool mni_point_key_read(struct mn_slice key, uint64_t *entity_out, int64_t *time_us_out)
{
    const unsigned char *bytes = key.data;

    if (key.n_bytes != MNI_POINT_KEY_BYTES)
        return false;
    *entity_out = get_big(bytes);
    *time_us_out = (int64_t)(get_big(bytes + 8) ^ sign);
    return true;
}

bool mni_point_key_next(struct mni_point_key *key)
{
    for (int i = MNI_POINT_KEY_BYTES - 1; i >= 0; i--)
        if (++key->bytes[i] != 0)
            return true;
    return false;
}

bool mni_point_key_back(struct mni_point_key *key)
{
    for (int i = MNI_POINT_KEY_BYTES - 1; i >= 0; i--)
        if (key->bytes[i]-- != 0)
            return true;
    return false;
}
