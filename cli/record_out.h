/*
 * record_out.h - a record, or a point, becomes a line that `put` takes.
 */
#ifndef CLI_RECORD_OUT_H
#define CLI_RECORD_OUT_H

#include "mneme/nearest.h"
#include "out.h"

/* How vectors are written. One with NaN or infinity is written as base64 instead of JSON. */
enum vectors {
    VECTORS_JSON,
    VECTORS_BASE64,
    VECTORS_NONE,
    VECTORS_IN_FILE, /* not a choice: the line tells the row of a .npy file */
};
extern const char *const vectors_choices[]; /* in the order of the enum; ends with NULL */

/* Writes the line. `vector_row` is that of the record, if it has a vector, for VECTORS_IN_FILE.
 * False as out.h says. */
bool record_out_line(struct out *out, const struct mn_view *view, enum vectors vectors,
                     uint64_t vector_row);

/* The same for a result of a search: its score comes behind the id. An infinite one is written as
 * 1e999, which is JSON, and infinity to those who read it. */
bool record_out_hit(struct out *out, const struct mn_view *view, float score, enum vectors vectors);

/* The same for a point, as `temporal put` takes it. */
bool record_out_point(struct out *out, const struct mn_point_view *view, enum vectors vectors);

/* The same for a point that a search found: its distance comes behind its time, and with
 * `has_parts` what that is made of. */
bool record_out_nearest(struct out *out, const struct mn_nearest_hit *hit, bool has_parts,
                        enum vectors vectors);

/* Writes `id` in quotes under "id"; also what a list consists of. */
void record_out_id(struct mni_json_writer *writer, struct mn_slice id);

#endif
