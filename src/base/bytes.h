/*
 * bytes.h - little-endian integers in byte buffers, and small arithmetic on sizes.
 *
 * Formats are written and read field by field with these; no struct is ever laid over bytes.
 */
#ifndef MNI_BASE_BYTES_H
#define MNI_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MNI_LE16(v) (v)
#define MNI_LE32(v) (v)
#define MNI_LE64(v) (v)
#else
#define MNI_LE16(v) __builtin_bswap16(v)
#define MNI_LE32(v) __builtin_bswap32(v)
#define MNI_LE64(v) __builtin_bswap64(v)
#endif

static inline uint16_t mni_get_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return (uint16_t)MNI_LE16(v);
}

static inline uint32_t mni_get_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return MNI_LE32(v);
}

static inline uint64_t mni_get_u64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return MNI_LE64(v);
}

static inline int64_t mni_get_i64(const void *p)
{
    return (int64_t)mni_get_u64(p);
}

static inline void mni_put_u16(void *p, uint16_t v)
{
    v = (uint16_t)MNI_LE16(v);
    memcpy(p, &v, sizeof v);
}

static inline void mni_put_u32(void *p, uint32_t v)
{
    v = MNI_LE32(v);
    memcpy(p, &v, sizeof v);
}

static inline void mni_put_u64(void *p, uint64_t v)
{
    v = MNI_LE64(v);
    memcpy(p, &v, sizeof v);
}

static inline void mni_put_i64(void *p, int64_t v)
{
    mni_put_u64(p, (uint64_t)v);
}

/* Rounds up to a multiple of `alignment`, a power of two. The caller knows that it fits. */
static inline uint64_t mni_align_up(uint64_t n, uint64_t alignment)
{
    return (n + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t mni_align_down(uint64_t n, uint64_t alignment)
{
    return n & ~(alignment - 1);
}

static inline bool mni_is_zero(const void *p, size_t n)
{
    const unsigned char *b = p;

    if (n == 0)
        return true;
    return b[0] == 0 && memcmp(b, b + 1, n - 1) == 0;
}

#endif
