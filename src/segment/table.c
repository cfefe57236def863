/*
 * table.c - builds a hash table of a segment in memory: 12.5 bytes per entry.
 *
 * Owns:    the two columns of the table until they are written.
 * Format:  docs/format/segment.md
 * Threads: one at a time.
 * Fails:   when memory is short, and for more entries than were announced.
 */
#include "base/mem.h"
#include "segment/segment_private.h"

static unsigned char *new_column(uint64_t n_bytes)
{
    size_t n_whole = (size_t)mni_align_up(n_bytes, SEG_BLOCK_BYTES);
    unsigned char *column = mni_alloc_aligned(MNI_DIRECT_ALIGN, n_whole);

    if (column != NULL)
        memset(column, 0, n_whole);
    return column;
}

mn_status mni_table_init(struct table *table, uint64_t n_entries_max)
{
    *table =
        (struct table){.n_buckets = n_buckets_for(n_entries_max), .n_entries_max = n_entries_max};
    if (n_entries_max == 0)
        return MN_OK;
    table->prints = new_column(table->n_buckets * SEG_PRINTS_BYTES);
    table->rows = new_column(table->n_buckets * SEG_SLOTS_BYTES);
    if (table->prints != NULL && table->rows != NULL)
        return MN_OK;
    mni_table_done(table);
    return MN_ERR_NOMEM;
}

void mni_table_done(struct table *table)
{
    mni_free(table->prints);
    mni_free(table->rows);
    table->prints = NULL;
    table->rows = NULL;
}

bool mni_table_add(struct table *table, uint64_t hash, uint32_t row, uint64_t blob_offset)
{
    if (table->n_entries == table->n_entries_max)
        return false;
    uint64_t bucket = home_bucket(hash, table->n_buckets);
    for (;;) { /* ends: a fifth of the slots stays free */
        unsigned char *prints = table->prints + bucket * SEG_PRINTS_BYTES;
        for (size_t slot = 0; slot < SEG_BUCKET_SLOTS; slot++) {
            if (mni_get_u16(prints + 2 * slot) != 0)
                continue;
            mni_put_u16(prints + 2 * slot, fingerprint(hash));
            unsigned char *at = table->rows + bucket * SEG_SLOTS_BYTES + slot * SEG_SLOT_BYTES;
            mni_put_u32(at + SEG_SLOT_OFF_ROW, row);
            mni_put_u32(at + SEG_SLOT_OFF_LINE, (uint32_t)(blob_offset / SEG_LINE_BYTES));
            table->n_entries++;
            return true;
        }
        bucket = bucket + 1 == table->n_buckets ? 0 : bucket + 1;
    }
}
