/*
 * entry_out.c - an entry of the cache becomes a line.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   when stdout does.
 */
#include "entry_out.h"

#include "base/utf8.h"
#include "exact_key.h"
#include "kernel/kernel.h"

enum { PIECE_ELEMENTS = 256 };

static void write_names(struct mni_json_writer *w, const struct mn_semcache_handle *handle)
{
    char text[KEY_TEXT_BYTES];

    mni_json_write_key(w, "id");
    mni_json_write_u64_string(w, handle->id);
    if (handle->key != NULL) {
        mni_json_write_key(w, "key");
        mni_json_write_string(w, mn_str(exact_key_format(handle->key, text)));
    }
    mni_json_write_key(w, "context");
    mni_json_write_u64_string(w, handle->context);
    mni_json_write_key(w, "model");
    mni_json_write_string(w, handle->model);
}

static void write_embedding(struct mni_json_writer *w, const struct mn_semcache_handle *handle)
{
    float piece[PIECE_ELEMENTS];

    mni_json_write_key(w, "embedding");
    mni_json_write_array_begin(w);
    for (uint32_t at = 0; at < handle->n_dims; at += PIECE_ELEMENTS) {
        uint32_t n = handle->n_dims - at < PIECE_ELEMENTS ? handle->n_dims - at : PIECE_ELEMENTS;
        mni_f16_to_f32(handle->embedding + at, n, piece);
        for (uint32_t i = 0; i < n; i++)
            mni_json_write_float(w, piece[i]);
    }
    mni_json_write_array_end(w);
}

static void write_payload(struct mni_json_writer *w, struct mn_slice payload)
{
    if (mni_utf8_is_valid(payload.data, payload.n_bytes)) {
        mni_json_write_key(w, "payload");
        mni_json_write_string(w, payload);
    } else {
        mni_json_write_key(w, "payload_base64");
        mni_json_write_base64(w, payload);
    }
}

static void write_figures(struct mni_json_writer *w, const struct mn_semcache_handle *handle)
{
    mni_json_write_key(w, "event_time_us");
    mni_json_write_i64(w, handle->event_time_us);
    if ((handle->fields & MN_HAS_EXPIRES_AT) != 0) {
        mni_json_write_key(w, "expires_at_us");
        mni_json_write_i64(w, handle->expires_at_us);
    }
    mni_json_write_key(w, "hits");
    mni_json_write_u64(w, handle->hits);
    mni_json_write_key(w, "last_hit_us");
    mni_json_write_i64(w, handle->last_hit_us);
    mni_json_write_key(w, "lsn");
    mni_json_write_u64(w, handle->lsn);
}

void entry_out_keys(struct mni_json_writer *writer, const struct mn_semcache_handle *handle,
                    bool has_embedding)
{
    write_names(writer, handle);
    if (has_embedding && handle->n_dims > 0)
        write_embedding(writer, handle);
    write_payload(writer, handle->payload);
    write_figures(writer, handle);
}

bool entry_out_summary(struct out *out, const struct mn_semcache_handle *handle)
{
    struct mni_json_writer *w = out_begin(out);

    write_names(w, handle);
    mni_json_write_key(w, "n_dims");
    mni_json_write_u64(w, handle->n_dims);
    mni_json_write_key(w, "payload_bytes");
    mni_json_write_u64(w, handle->payload.n_bytes);
    write_figures(w, handle);
    return out_end(out);
}
