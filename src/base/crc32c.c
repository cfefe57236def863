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
