/*
 * record_out.c - a record, or a point, becomes a line that `put` takes.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   when stdout does.
 */
#include "record_out.h"

#include <math.h>
#include <string.h>

#include "seconds.h"

const char *const vectors_choices[] = {"json", "base64", "none", NULL};

/* Little-endian elements, on any machine. */
static void write_base64(struct mni_json_writer *w, const float *vector, uint32_t n_dims)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "vectors are taken as they lie in memory: swap their bytes here on this machine"
#endif
    struct mn_slice bytes = {.data = vector, .n_bytes = (size_t)n_dims * sizeof *vector};
    mni_json_write_base64(w, bytes);
}

static void write_vector(struct mni_json_writer *w, const struct mn_view *view,
                         enum vectors vectors)
{
    if (view->n_dims == 0 || vectors == VECTORS_NONE)
        return;
    if (vectors == VECTORS_JSON && mni_json_floats_are_finite(view->vector, view->n_dims)) {
        mni_json_write_key(w, "vector");
        mni_json_write_floats(w, view->vector, view->n_dims);
    } else {
        mni_json_write_key(w, "vector_base64");
        write_base64(w, view->vector, view->n_dims);
    }
}

void record_out_id(struct mni_json_writer *writer, struct mn_slice id)
{
    mni_json_write_key(writer, "id");
    mni_json_write_string(writer, id);
}

static void write_vector_row(struct mni_json_writer *w, const struct mn_view *view,
                             uint64_t vector_row)
{
    mni_json_write_key(w, "vector_row");
    if (view->n_dims == 0)
        mni_json_write_null(w);
    else
        mni_json_write_u64(w, vector_row);
}

/* Whether a line can hold the object as it is: nothing stands around it, no line break in it. */
static bool fits_a_line(struct mn_slice object)
{
    const char *text = object.data;
    size_t n = object.n_bytes;

    return text[0] == '{' && text[n - 1] == '}' && memchr(text, '\n', n) == NULL &&
           memchr(text, '\r', n) == NULL;
}

/* Metadata is kept byte for byte. Where a line cannot hold it so, its text follows as a string. */
static void write_metadata(struct mni_json_writer *w, struct mn_slice metadata)
{
    if (metadata.n_bytes == 0)
        return;
    mni_json_write_key(w, "metadata");
    mni_json_write_raw(w, metadata);
    if (!fits_a_line(metadata)) {
        mni_json_write_key(w, "metadata_text");
        mni_json_write_string(w, metadata);
    }
}

/* What comes behind the vector. */
static void write_rest(struct mni_json_writer *w, const struct mn_view *view)
{
    char text[SECONDS_TEXT_BYTES];

    write_metadata(w, view->metadata);
    if (view->payload.n_bytes > 0) {
        mni_json_write_key(w, "payload_base64");
        mni_json_write_base64(w, view->payload);
    }
    if ((view->fields & MN_HAS_EXPIRES_AT) != 0) {
        mni_json_write_key(w, "expires_at");
        mni_json_write_raw(w, seconds_format(view->expires_at_us, text));
    }
    if ((view->fields & MN_HAS_EVENT_TIME) != 0) {
        mni_json_write_key(w, "event_time_us");
        mni_json_write_i64(w, view->event_time_us);
    }
    mni_json_write_key(w, "lsn");
    mni_json_write_u64(w, view->lsn);
}

bool record_out_line(struct out *out, const struct mn_view *view, enum vectors vectors,
                     uint64_t vector_row)
{
    struct mni_json_writer *w = out_begin(out);

    record_out_id(w, view->id);
    if (vectors == VECTORS_IN_FILE)
        write_vector_row(w, view, vector_row);
    else
        write_vector(w, view, vectors);
    write_rest(w, view);
    return out_end(out);
}

bool record_out_hit(struct out *out, const struct mn_view *view, float score, enum vectors vectors)
{
    struct mni_json_writer *w = out_begin(out);

    record_out_id(w, view->id);
    mni_json_write_key(w, "score");
    if (isinf(score))
        mni_json_write_raw(w, mn_str(score > 0 ? "1e999" : "-1e999"));
    else
        mni_json_write_float(w, score);
    write_vector(w, view, vectors);
    write_rest(w, view);
    return out_end(out);
}

/* Whose point it is, and when. Begins the line. */
static struct mni_json_writer *begin_point(struct out *out, const struct mn_point_view *view)
{
    struct mni_json_writer *w = out_begin(out);

    mni_json_write_key(w, "entity");
    mni_json_write_u64_string(w, view->entity);
    mni_json_write_key(w, "time_us");
    mni_json_write_i64(w, view->time_us);
    return w;
}

/* Ends the line. */
static bool end_point(struct out *out, const struct mn_point_view *view, enum vectors vectors)
{
    const struct mn_view content = {.vector = view->vector,
                                    .n_dims = view->n_dims,
                                    .fields = view->fields,
                                    .metadata = view->metadata,
                                    .payload = view->payload,
                                    .expires_at_us = view->expires_at_us,
                                    .lsn = view->lsn};

    write_vector(&out->writer, &content, vectors);
    write_rest(&out->writer, &content);
    return out_end(out);
}

bool record_out_point(struct out *out, const struct mn_point_view *view, enum vectors vectors)
{
    (void)begin_point(out, view);
    return end_point(out, view, vectors);
}

static void write_distance(struct mni_json_writer *w, const char *key, double distance)
{
    mni_json_write_key(w, key);
    if (isinf(distance))
        mni_json_write_raw(w, mn_str("1e999"));
    else
        mni_json_write_double(w, distance);
}

bool record_out_nearest(struct out *out, const struct mn_nearest_hit *hit, bool has_parts,
                        enum vectors vectors)
{
    struct mni_json_writer *w = begin_point(out, &hit->view);

    write_distance(w, "distance", hit->distance);
    if (has_parts) {
        write_distance(w, "vector_distance", hit->vector_distance);
        write_distance(w, "decay", hit->decay);
    }
    return end_point(out, &hit->view, vectors);
}
