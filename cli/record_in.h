/*
 * record_in.h - a line of JSON becomes a record.
 */
#ifndef CLI_RECORD_IN_H
#define CLI_RECORD_IN_H

#include "line_in.h"

/* What a line says about the row of a .npy file that holds its vector, under "vector_row". */
enum row_kind {
    ROW_NOT_SAID,
    ROW_NONE, /* null: it has no vector there */
    ROW_SAID,
};

/* Memory that is used again for each line. Zero-initialised is valid. */
struct record_in {
    struct line_in line;
    /* of the line read last */
    enum row_kind row_kind;
    uint64_t row_index;
};

void record_in_done(struct record_in *in);

/* Reads a line as `put` takes it. The record's bytes are allocated in `batch`, to which it is not
 * added. MN_ERR_INVALID, MN_ERR_LIMIT: the message says what is wrong with the line. */
MN_MUST_USE mn_status record_in_put(struct record_in *in, struct batch *batch, struct mn_slice line,
                                    struct mn_record *record_out, struct mn_error *err);

/* Reads a line as `temporal put` takes it. Of the record, `id` is the entity, a uint64_t as it lies
 * in memory, and `event_time_us` the time; a vector is there. */
MN_MUST_USE mn_status record_in_point(struct record_in *in, struct batch *batch,
                                      struct mn_slice line, struct mn_record *record_out,
                                      struct mn_error *err);

/* Reads nothing but what the line says about its row. The rest may be wrong in any way. */
MN_MUST_USE mn_status record_in_row(struct record_in *in, struct mn_slice line,
                                    struct mn_error *err);

/* Reads a line whose field `id_field` is the id; all others become the metadata, byte for byte and
 * in their order. */
MN_MUST_USE mn_status record_in_flat(struct record_in *in, struct batch *batch,
                                     struct mn_slice line, struct mn_slice id_field,
                                     struct mn_record *record_out, struct mn_error *err);

#endif
