/*
 * prints_private.h - looks for a fingerprint among the 16 of a bucket.
 *
 * Every way of doing it gives the same answer; the last one here is the one that is used.
 */
#ifndef MNI_SEGMENT_PRINTS_PRIVATE_H
#define MNI_SEGMENT_PRINTS_PRIVATE_H

#include "base/bytes.h"
#include "segment/format.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static_assert(SEG_PRINTS_BYTES == 32 && SEG_BUCKET_SLOTS == 16, "two registers of eight");

/* A bit for each slot whose fingerprint is `print`: four at a time, by arithmetic on whole words in
 * which no lane carries into the next. */
static inline uint32_t prints_match_words(const unsigned char *prints, uint16_t print)
{
    const uint64_t ones = UINT64_C(0x0001000100010001);
    const uint64_t low = UINT64_C(0x7fff7fff7fff7fff);
    /* Multiplying brings the lanes' top bits, 16 apart, side by side to the top. */
    const uint64_t gather = UINT64_C(0x0000200040008001);
    uint32_t slots = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t differs = mni_get_u64(prints + (size_t)8 * i) ^ (ones * print);
        uint64_t equal = ~(((differs & low) + low) | differs | low);
        slots |= (uint32_t)(((equal >> 15) * gather) >> 45 & 15) << (4 * i);
    }
    return slots;
}

#ifdef __SSE2__
/* The same, all at once. */
static inline uint32_t prints_match_sse2(const unsigned char *prints, uint16_t print)
{
    __m128i wanted = _mm_set1_epi16((short)print);
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)prints);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(prints + SEG_PRINTS_BYTES / 2));
    __m128i equal = _mm_packs_epi16(_mm_cmpeq_epi16(low, wanted), _mm_cmpeq_epi16(high, wanted));

    return (uint32_t)_mm_movemask_epi8(equal);
}
#endif

static inline uint32_t prints_match(const unsigned char *prints, uint16_t print)
{
#ifdef __SSE2__
    return prints_match_sse2(prints, print);
#else
    return prints_match_words(prints, print);
#endif
}

#endif
