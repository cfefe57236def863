/*
 * crc32c.c - CRC-32C over buffers of any size.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>

/* ISA-L takes an int for the length. */
enum { CHUNK_BYTES_MAX = 1 << 30 };

uint32_t mni_crc32c(uint32_t crc, const void *data, size_t n)
{
    const unsigned char *p = data;
    uint32_t state = ~crc;

    while (n > 0) {
        size_t chunk = n < CHUNK_BYTES_MAX ? n : CHUNK_BYTES_MAX;
        /* ISA-L declares its input without const and only reads it. */
        state = crc32_iscsi((unsigned char *)(uintptr_t)p, (int)chunk, state);
        p += chunk;
        n -= chunk;
    }
    return ~state;
}

/* Of polynomials over GF(2), modulo the one of CRC-32C. The highest bit stands for x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if ((a & bit) != 0)
            product ^= b;
        b = (b & 1) != 0 ? b >> 1 ^ UINT32_C(0x82F63B78) : b >> 1;
    }
    return product;
}

uint32_t mni_crc32c_join(uint32_t first, uint32_t second, uint64_t n_second)
{
    uint32_t square = UINT32_C(1) << 23; /* x^8, then its squares */

    /* Each byte that follows multiplies what was before by x^8. */
    for (; n_second > 0; n_second >>= 1) {
        if ((n_second & 1) != 0)
            first = multiply(first, square);
        square = multiply(square, square);
    }
    return first ^ second;
}
