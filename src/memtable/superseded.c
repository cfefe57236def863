/*
 * superseded.c - versions that are no longer the newest, kept for older read views.
 *
 * Items are queued in the order of the LSNs that superseded, so those that may go are always at the
 * front, and of one key the oldest version goes first. Each `older` pointer of a chain has exactly
 * one item: a chain of one version is known to no item.
 *
 * Owns:    the queue.
 * Threads: under the write lock.
 * Fails:   never: items live in memory reserved by prepare.
 */
#include "memtable/memtable_private.h"

void mni_superseded_push(struct mni_memtable *table, void *node, size_t node_bytes,
                         struct mni_entry *entry, struct mni_version *newer)
{
    struct superseded *item = node;

    MNI_CHECK(node_bytes >= sizeof *item);
    MNI_CHECK(newer->older != NULL);
    *item = (struct superseded){.entry = entry, .newer = newer, .node_bytes = node_bytes};
    if (table->first_superseded == NULL)
        table->first_superseded = item;
    else
        table->last_superseded->next = item;
    table->last_superseded = item;
    table->n_superseded++;
}

static void drop_older(struct mni_memtable *table, struct mni_entry *entry,
                       struct mni_version *newer)
{
    struct mni_version *older = newer->older;

    MNI_CHECK(older != NULL);
    MNI_CHECK(older->older == NULL);
    newer->older = NULL;
    mni_version_unref(older);
    if (newer != entry->head)
        return;
    if (entry->rows == NULL) { /* reclaimed while items referred to it */
        mni_version_unref(entry->head);
        mni_entry_free(table, entry);
    } else if (version_has(newer, VERSION_TOMBSTONE)) {
        mni_entry_remove(table, entry);
    }
}

size_t mni_memtable_collect(struct mni_memtable *table, uint64_t oldest_view_lsn, size_t n_max)
{
    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    for (size_t n = 0; n < n_max; n++) {
        struct superseded *item = table->first_superseded;
        if (item == NULL || item->newer->lsn > oldest_view_lsn)
            break;
        table->first_superseded = item->next;
        if (item->next == NULL)
            table->last_superseded = NULL;
        table->n_superseded--;
        drop_older(table, item->entry, item->newer);
        mni_pool_dealloc_block(table->pool, item, item->node_bytes);
    }
    return table->n_superseded;
}

void mni_memtable_changed_after(struct mni_memtable *table, uint64_t lsn, mni_changed_fn *each,
                                void *context)
{
    struct superseded *item = table->first_superseded;

    for (; item != NULL; item = item->next) {
        struct mni_entry *entry = item->entry;
        if (item->newer->lsn <= lsn || entry->rows == NULL)
            continue;
        each(context, entry->rows->collection, entry_key(entry), entry->head,
             version_has(entry->head, VERSION_TOMBSTONE));
    }
}
