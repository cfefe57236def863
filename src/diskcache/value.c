/*
 * value.c - values as they lie in RocksDB: bound to their number, their namespace and their id.
 *
 * Owns:    nothing.
 * Format:  docs/format/diskcache.md, "values"
 * Threads: those of rocks.h.
 * Fails:   MN_ERR_CORRUPT for a value that is not the one that was put.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "diskcache/diskcache_private.h"
#include "diskcache/format.h"

enum {
    LARGE_BYTES = 1 << 20,
    COPIES = 4, /* in what is written, in a buffer, in a block, and that compressed */
    MARGIN_BYTES = 64 << 20,
};

bool dc_value_has_memory(uint64_t value_bytes)
{
    if (value_bytes < LARGE_BYTES)
        return true;
    void *memory = mni_alloc(COPIES * value_bytes + MARGIN_BYTES);
    bool is_there = memory != NULL;
    mni_free(memory);
    return is_there;
}

static uint32_t crc_of_number(uint64_t number)
{
    unsigned char bytes[8];

    mni_put_u64(bytes, number);
    return mni_crc32c(0, bytes, sizeof bytes);
}

void dc_value_put(struct mni_diskcache *c, uint64_t number, uint64_t serial, struct mn_slice id,
                  struct mn_slice value)
{
    unsigned char header[VALUE_HEADER_BYTES] = {0};

    mni_put_u16(header + VALUE_OFF_ID_BYTES, (uint16_t)id.n_bytes);
    mni_put_u64(header + VALUE_OFF_SERIAL, serial);
    uint32_t crc = mni_crc32c(crc_of_number(number), header + VALUE_OFF_ID_BYTES,
                              VALUE_HEADER_BYTES - VALUE_OFF_ID_BYTES);
    crc = mni_crc32c(crc, id.data, id.n_bytes);
    if (value.n_bytes > 0)
        crc = mni_crc32c(crc, value.data, value.n_bytes);
    mni_put_u32(header + VALUE_OFF_CRC, crc);
    dc_rocks_put(c->rocks, number, (struct mn_slice){header, sizeof header}, id, value);
}

static bool is_right(const struct dc_entry *entry, uint64_t serial, const struct mn_slice *id,
                     struct mn_slice stored)
{
    const unsigned char *p = stored.data;

    if (stored.n_bytes != (size_t)VALUE_HEADER_BYTES + entry->id_bytes + entry->value_bytes)
        return false;
    uint32_t crc = mni_crc32c(crc_of_number(entry->number), p + VALUE_OFF_ID_BYTES,
                              stored.n_bytes - VALUE_OFF_ID_BYTES);
    return crc == mni_get_u32(p + VALUE_OFF_CRC) &&
           mni_get_u16(p + VALUE_OFF_ID_BYTES) == entry->id_bytes &&
           mni_get_u64(p + VALUE_OFF_SERIAL) == serial &&
           (id == NULL || (id->n_bytes == entry->id_bytes &&
                           memcmp(p + VALUE_HEADER_BYTES, id->data, id->n_bytes) == 0));
}

mn_status dc_value_get(struct mni_diskcache *c, const struct dc_entry *entry, uint64_t serial,
                       const struct mn_slice *id, void **pin_out, struct mn_slice *id_out,
                       struct mn_slice *value_out, struct mn_error *err)
{
    struct mn_slice stored = {0};
    void *pin = NULL;

    *pin_out = NULL;
    if (c->rocks == NULL)
        return mni_fail(err, MN_ERR_IO, "the cache is off");
    if (!dc_value_has_memory(entry->value_bytes))
        return mni_fail(err, MN_ERR_NOMEM, "a value of %" PRIu32 " bytes", entry->value_bytes);
    mn_status st = dc_rocks_get(c->rocks, entry->number, &pin, &stored, err);
    if (st != MN_OK)
        return st;
    if (!is_right(entry, serial, id, stored)) {
        dc_rocks_free(pin);
        return mni_fail(err, MN_ERR_CORRUPT, "value %" PRIu64 " is not what was put",
                        entry->number);
    }
    const char *bytes = (const char *)stored.data + VALUE_HEADER_BYTES;
    *id_out = (struct mn_slice){bytes, entry->id_bytes};
    *value_out = (struct mn_slice){bytes + entry->id_bytes, entry->value_bytes};
    *pin_out = pin;
    return MN_OK;
}
