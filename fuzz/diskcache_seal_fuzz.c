/*
 * diskcache_seal_fuzz.c - any bytes as the seal of a disk cache: refused, or a sound index.
 *
 * Bit 0 of byte 0 of an input takes the rest as a seal and puts magic, version, length and
 * checksums right, so that what lies behind them is reached.
 *
 * Owns:    an index per input.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "diskcache/diskcache_private.h"
#include "diskcache/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void put_right(unsigned char *bytes, size_t n)
{
    mni_put_u64(bytes + SEAL_OFF_MAGIC, SEAL_MAGIC);
    mni_put_u32(bytes + SEAL_OFF_VERSION, SEAL_VERSION);
    mni_put_u32(bytes + SEAL_OFF_RESERVED, 0);
    mni_put_u64(bytes + SEAL_OFF_BODY_BYTES, n - SEAL_HEADER_BYTES);
    mni_put_u32(bytes + SEAL_OFF_BODY_CRC,
                mni_crc32c(0, bytes + SEAL_HEADER_BYTES, n - SEAL_HEADER_BYTES));
    mni_put_u32(bytes + SEAL_OFF_CRC, mni_crc32c(0, bytes, SEAL_OFF_CRC));
}

/* Every entry is found, and taken out again nothing is left. */
static void check_index(struct dc_index *x)
{
    for (uint32_t e = 0; e < x->n_slots_used; e++) {
        MNI_CHECK(dc_entry_find(x, dc_entry_at(x, e)->hash) == e);
        MNI_CHECK(dc_generation_of(x, dc_entry_at(x, e)->number)->n_entries > 0);
    }
    for (uint32_t e = 0; e < x->n_slots_used; e++)
        dc_entry_remove(x, e);
    MNI_CHECK(x->n_entries == 0);
    MNI_CHECK(x->n_names == 0);
    MNI_CHECK(x->n_heap == 0);
    MNI_CHECK(x->value_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct dc_seal seal;
    struct dc_index x;

    if (n_bytes < 1)
        return 0;
    size_t n = n_bytes - 1;
    unsigned char *bytes = malloc(n + 1);
    MNI_CHECK(bytes != NULL);
    memcpy(bytes, data + 1, n);
    if ((data[0] & 1) != 0 && n >= SEAL_HEADER_BYTES)
        put_right(bytes, n);
    dc_index_init(&x, 1);
    if (dc_seal_decode((struct mn_slice){bytes, n}, &seal, &x, NULL) == MN_OK)
        check_index(&x);
    dc_seal_done(&seal);
    dc_index_reset(&x);
    free(bytes);
    return 0;
}
