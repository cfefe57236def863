/*
 * crc32c.h - CRC-32C (Castagnoli polynomial), by ISA-L.
 */
#ifndef MNI_BASE_CRC32C_H
#define MNI_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C of `n` bytes. `crc` is 0 to begin with, or the result for the bytes before these: the
 * value for "123456789" is 0xE3069283, in one call or in several. Any thread. */
uint32_t mni_crc32c(uint32_t crc, const void *data, size_t n);

/* CRC-32C of two pieces, one behind the other, of which the latter has `n_second` bytes. */
uint32_t mni_crc32c_join(uint32_t first, uint32_t second, uint64_t n_second);

#endif
