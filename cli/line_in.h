/*
 * line_in.h - a line of JSON, an object with known keys, read value by value.
 *
 *     st = line_in_begin(&line, text, err);
 *     while (st == MN_OK && (st = line_in_next(&line, &fields, &field)) == MN_OK)
 *         st = line_in_text(&line, "id", &id);
 *     ... MN_END: all of it was read
 *
 * An error, MN_ERR_INVALID, MN_ERR_LIMIT or MN_ERR_NOMEM, comes with a message that names the key,
 * not the line; the caller knows the line. `name` is what the message calls the value.
 */
#ifndef CLI_LINE_IN_H
#define CLI_LINE_IN_H

#include "base/buf.h"
#include "batch.h"
#include "json/json.h"

/* Its memory is used again for each line. Zero-initialised is valid. */
struct line_in {
    struct mni_buf text;             /* strings with their escapes resolved */
    struct mni_buf numbers;          /* elements of a vector */
    struct mni_json_scanner scanner; /* of the line that was begun */
    struct mn_error *err;            /* borrowed from line_in_begin */
};

void line_in_done(struct line_in *line);

/* Steps into the object that `text` is. */
MN_MUST_USE mn_status line_in_begin(struct line_in *line, struct mn_slice text,
                                    struct mn_error *err);

/* The next key: which of `fields`. Any other one is refused, and so is one that comes twice. MN_END
 * behind the last, when nothing follows. */
MN_MUST_USE mn_status line_in_next(struct line_in *line, struct mni_json_fields *fields,
                                   size_t *field_out);

/* Steps over a value that is null. */
MN_MUST_USE mn_status line_in_skip_null(struct line_in *line, bool *was_null_out);

/* Refuses the next value unless it is of this type. */
MN_MUST_USE mn_status line_in_expect(struct line_in *line, enum mni_json_type wanted,
                                     const char *name);

/* The text of a string: valid until the next value is read. */
MN_MUST_USE mn_status line_in_text(struct line_in *line, const char *name,
                                   struct mn_slice *text_out);

/* A number of 64 bits, or a string of its digits: not every reader of JSON keeps such a number. */
MN_MUST_USE mn_status line_in_u64(struct line_in *line, const char *name, uint64_t *value_out);
MN_MUST_USE mn_status line_in_i64(struct line_in *line, const char *name, int64_t *value_out);

/* Seconds, as microseconds. */
MN_MUST_USE mn_status line_in_seconds(struct line_in *line, const char *name, bool may_be_negative,
                                      int64_t *us_out);

/* An array of numbers, or the same as little-endian floats in base64. The elements are allocated in
 * `batch`, 1 to MN_DIMENSIONS_MAX of them. */
MN_MUST_USE mn_status line_in_vector(struct line_in *line, struct batch *batch, const char *name,
                                     const float **vector_out, uint32_t *n_dims_out);
MN_MUST_USE mn_status line_in_vector_base64(struct line_in *line, struct batch *batch,
                                            const char *name, const float **vector_out,
                                            uint32_t *n_dims_out);

/* The bytes of a payload that is given in base64, allocated in `batch`. */
MN_MUST_USE mn_status line_in_payload(struct line_in *line, struct batch *batch, const char *name,
                                      struct mn_slice *payload_out);

/* Copies bytes into `batch`. */
MN_MUST_USE mn_status line_in_copy(struct line_in *line, struct batch *batch, struct mn_slice bytes,
                                   struct mn_slice *copy_out);

#endif
