/*
 * batch.c - records being gathered for one commit, with the memory they point to.
 *
 * Owns:    the records' bytes, in chunks that never move.
 * Threads: the main one.
 * Fails:   MN_ERR_NOMEM; MN_ERR_LIMIT as soon as one commit could not hold the batch.
 */
#include "batch.h"

#include <stdalign.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"

enum { CHUNK_BYTES = 1 << 20, FIRST_CAPACITY = 256 };

struct batch_chunk {
    struct batch_chunk *next;
    size_t capacity_bytes;
    size_t n_bytes;
    alignas(max_align_t) unsigned char data[];
};

static void free_chunks(struct batch_chunk *chunk)
{
    while (chunk != NULL) {
        struct batch_chunk *next = chunk->next;
        mni_free(chunk);
        chunk = next;
    }
}

void batch_done(struct batch *batch)
{
    mni_free(batch->records);
    mni_free(batch->line_numbers);
    free_chunks(batch->chunks);
    *batch = (struct batch){0};
}

void batch_reset(struct batch *batch)
{
    batch->n_records = 0;
    batch->n_bytes = 0;
    if (batch->chunks != NULL) {
        free_chunks(batch->chunks->next);
        batch->chunks->next = NULL;
        batch->chunks->n_bytes = 0;
    }
}

void *batch_alloc(struct batch *batch, size_t n_bytes)
{
    struct batch_chunk *chunk = batch->chunks;

    if (n_bytes > SIZE_MAX / 2)
        return NULL;
    n_bytes = (size_t)mni_align_up(n_bytes, alignof(max_align_t));
    if (chunk == NULL || n_bytes > chunk->capacity_bytes - chunk->n_bytes) {
        size_t capacity_bytes = n_bytes > CHUNK_BYTES ? n_bytes : CHUNK_BYTES;
        chunk = mni_alloc(sizeof *chunk + capacity_bytes);
        if (chunk == NULL)
            return NULL;
        chunk->next = batch->chunks;
        chunk->capacity_bytes = capacity_bytes;
        chunk->n_bytes = 0;
        batch->chunks = chunk;
    }
    void *memory = chunk->data + chunk->n_bytes;
    chunk->n_bytes += n_bytes;
    return memory;
}

static mn_status grow(struct batch *batch)
{
    size_t capacity = batch->capacity == 0 ? FIRST_CAPACITY : batch->capacity * 2;
    struct mn_record *records = mni_realloc(batch->records, capacity * sizeof *records);

    if (records == NULL)
        return MN_ERR_NOMEM;
    batch->records = records;
    uint64_t *line_numbers = mni_realloc(batch->line_numbers, capacity * sizeof *line_numbers);
    if (line_numbers == NULL)
        return MN_ERR_NOMEM;
    batch->line_numbers = line_numbers;
    batch->capacity = capacity;
    return MN_OK;
}

mn_status batch_add(struct batch *batch, const struct mn_record *record, uint64_t line_number,
                    struct mn_error *err)
{
    MNI_CHECK(batch->n_records <= batch->capacity);
    uint64_t n_bytes = batch->n_bytes + record->id.n_bytes + record->metadata.n_bytes +
                       record->payload.n_bytes + (uint64_t)record->n_dims * sizeof(float);

    if (n_bytes > MN_BATCH_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT,
                        "batch is larger than %d bytes, the most that one commit takes; "
                        "--batch N makes smaller ones",
                        MN_BATCH_BYTES_MAX);
    if (batch->n_records == MN_BATCH_RECORDS_MAX)
        return mni_fail(err, MN_ERR_LIMIT,
                        "batch has more than %d records, the most that one commit takes; "
                        "--batch N makes smaller ones",
                        MN_BATCH_RECORDS_MAX);
    if (batch->n_records == batch->capacity && grow(batch) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "out of memory");
    batch->records[batch->n_records] = *record;
    batch->line_numbers[batch->n_records] = line_number;
    batch->n_records++;
    batch->n_bytes = n_bytes;
    return MN_OK;
}
