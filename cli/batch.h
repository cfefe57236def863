/*
 * batch.h - records being gathered for one commit, with the memory they point to.
 */
#ifndef CLI_BATCH_H
#define CLI_BATCH_H

#include "mneme/records.h"

struct batch_chunk;

/* Zero-initialised is empty and valid. */
struct batch {
    struct mn_record *records; /* owned */
    uint64_t *line_numbers;    /* owned; where each record came from */
    size_t n_records;
    size_t capacity;
    uint64_t n_bytes;           /* of ids, vectors, metadata and payloads */
    struct batch_chunk *chunks; /* owned */
};

void batch_done(struct batch *batch);
void batch_reset(struct batch *batch);

/* Memory that lives until the batch is reset, aligned for any type. NULL: none left. */
void *batch_alloc(struct batch *batch, size_t n_bytes);

/* Adds a record whose slices and vector live as long as the batch. MN_ERR_LIMIT: the batch would be
 * larger than one commit may be. */
MN_MUST_USE mn_status batch_add(struct batch *batch, const struct mn_record *record,
                                uint64_t line_number, struct mn_error *err);

#endif
