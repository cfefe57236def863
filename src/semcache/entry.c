/*
 * entry.c - entries as records, and back (docs/format/catalogue.md).
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT, where a record is not the entry that it was read as.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "kernel/kernel.h"
#include "record/record.h"
#include "semcache/cache_private.h"

bool mni_semcache_round(const float *embedding, uint32_t n_dims, uint16_t *halves_out,
                        size_t *n_fit_out)
{
    return mni_f16_from_f32(embedding, n_dims, halves_out, n_fit_out);
}

struct entry_key entry_key(uint64_t id)
{
    struct entry_key key;

    for (int i = 0; i < ENTRY_KEY_BYTES; i++)
        key.bytes[i] = (unsigned char)(id >> (8 * (ENTRY_KEY_BYTES - 1 - i)));
    return key;
}

struct mn_slice entry_key_slice(const struct entry_key *key)
{
    return (struct mn_slice){key->bytes, sizeof key->bytes};
}

uint64_t entry_id_of_key(struct mn_slice key)
{
    const unsigned char *bytes = key.data;
    uint64_t id = 0;

    for (int i = 0; i < ENTRY_KEY_BYTES; i++)
        id = id << 8 | bytes[i];
    return id;
}

uint64_t hits_pack(uint32_t n_hits, uint32_t last_hit_s)
{
    return (uint64_t)last_hit_s << 32 | n_hits;
}

uint32_t hits_count(uint64_t packed)
{
    return (uint32_t)packed;
}

uint32_t hits_last_s(uint64_t packed)
{
    return (uint32_t)(packed >> 32);
}

void entry_to_record(const struct mni_semcache_entry *entry, uint64_t tenant, uint64_t id,
                     struct entry_room *room, struct mni_record *record_out)
{
    room->key = entry_key(id);
    mni_put_u64(room->head, tenant);
    mni_put_u64(room->head + 8, entry->context);
    if (entry->model.n_bytes > 0)
        memcpy(room->head + HEAD_BYTES, entry->model.data, entry->model.n_bytes);
    *record_out = (struct mni_record){
        .type = MNI_RECORD_UPSERT,
        .element_type = entry->n_dims > 0 ? MNI_ELEMENT_F16 : MNI_ELEMENT_NONE,
        .fields = MNI_FIELD_EVENT_TIME | (entry->has_expiry ? MNI_FIELD_EXPIRY : 0U) |
                  (entry->key != NULL ? MNI_FIELD_SECOND_KEY : 0U),
        .key = entry_key_slice(&room->key),
        .vector = entry->embedding,
        .n_dims = entry->n_dims,
        .metadata = {room->head, HEAD_BYTES + entry->model.n_bytes},
        .payload = entry->payload,
        .event_time_us = entry->event_time_us,
        .expires_at_us = entry->expires_at_us,
        .second_key = entry->key,
    };
}

/* What other programs may have put into the store. */
static bool is_entry(const struct mni_record *r)
{
    return r->key.n_bytes == ENTRY_KEY_BYTES && r->metadata.n_bytes >= HEAD_BYTES &&
           r->metadata.n_bytes <= HEAD_BYTES + MN_SEMCACHE_MODEL_BYTES_MAX &&
           (r->fields & MNI_FIELD_EVENT_TIME) != 0 &&
           (r->n_dims == 0 || r->element_type == MNI_ELEMENT_F16) &&
           mni_utf8_is_valid((const char *)r->metadata.data + HEAD_BYTES,
                             r->metadata.n_bytes - HEAD_BYTES);
}

mn_status entry_of_found(const struct mni_found *found, uint64_t tenant,
                         struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    const struct mni_record *r = &found->record;
    const unsigned char *head = r->metadata.data;
    bool has_hits = (r->fields & MNI_FIELD_HITS) != 0;
    bool expires = (r->fields & MNI_FIELD_EXPIRY) != 0;

    if (!is_entry(r))
        return mni_fail(err, MN_ERR_CORRUPT, "the record is not one of an entry");
    if (mni_get_u64(head) != tenant)
        return mni_fail(err, MN_ERR_CORRUPT, "the record is one of tenant %" PRIu64,
                        mni_get_u64(head));
    *handle_out = (struct mn_semcache_handle){
        .tenant = tenant,
        .id = entry_id_of_key(r->key),
        .context = mni_get_u64(head + 8),
        .lsn = found->record_lsn,
        .key = (r->fields & MNI_FIELD_SECOND_KEY) != 0 ? r->second_key : NULL,
        .model = {head + HEAD_BYTES, r->metadata.n_bytes - HEAD_BYTES},
        .payload = r->payload,
        .embedding = r->n_dims > 0 ? r->vector : NULL,
        .n_dims = r->n_dims,
        .fields = expires ? MN_HAS_EXPIRES_AT : 0,
        .event_time_us = r->event_time_us,
        .expires_at_us = expires ? r->expires_at_us : 0,
        .hits = has_hits ? hits_count(r->hits) : 0,
        .last_hit_us = has_hits ? (int64_t)hits_last_s(r->hits) * 1000000 : 0,
    };
    return MN_OK;
}

uint64_t entry_logical_bytes(const struct mn_semcache_handle *handle)
{
    return (handle->key != NULL ? MN_SEMCACHE_KEY_BYTES : 0) + handle->model.n_bytes +
           (uint64_t)handle->n_dims * sizeof *handle->embedding + handle->payload.n_bytes;
}
