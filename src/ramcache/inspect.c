/*
 * inspect.c - looks at everything in a cache, for tests.
 *
 * Owns:    nothing.
 * Threads: no other call runs.
 * Fails:   by ending the process.
 */
#include "ramcache/ramcache_private.h"

struct sums {
    uint64_t n_entries;
    uint64_t n_negative;
    uint64_t n_linked;
    uint64_t entry_bytes;
    uint64_t n_expiring;
};

static void check_table(struct mni_ramcache *cache, struct shard *shard, struct sums *sums)
{
    uint32_t n_used = 0;

    for (uint32_t i = 0; i <= mask_of(shard); i++) {
        unsigned n_in_bucket = 0;
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
            struct bucket *bucket = &buckets_of(shard)[i];
            struct entry *entry = bucket->entries[slot];
            MNI_CHECK((entry == NULL) == (bucket->tags[slot] == 0));
            if (entry == NULL)
                continue;
            n_in_bucket++;
            MNI_CHECK(shard_of(cache, entry->hash) == shard);
            MNI_CHECK((atomic_load(&entry->refs) & REF_TABLE) != 0);
            MNI_CHECK(entry->queue != QUEUE_NONE);
            bool is_dead = space_is_dead(entry->space);
            sums->n_entries += !is_dead && !entry->is_negative;
            sums->n_negative += !is_dead && entry->is_negative;
            sums->n_linked++;
            sums->entry_bytes += charge_of_entry(entry);
            sums->n_expiring += entry->has_expiry;
        }
        MNI_CHECK(n_in_bucket == buckets_of(shard)[i].n_used);
        n_used += n_in_bucket;
    }
    MNI_CHECK(n_used == shard->n_used);
}

static void check_queues(struct mni_ramcache *cache, const struct sums *sums)
{
    uint64_t n_all = 0;

    for (int i = 0; i < N_QUEUES; i++) {
        const struct queue *queue = &cache->queues[i];
        uint64_t n = 0, n_bytes = 0;
        for (struct link *at = queue->entries.next; at != &queue->entries; at = at->next) {
            MNI_CHECK(entry_of_queue(at)->queue == i && at->next->prev == at);
            n_bytes += charge_of_entry(entry_of_queue(at));
            n++;
        }
        MNI_CHECK(n == queue->n_entries && n_bytes == queue->bytes);
        n_all += n;
    }
    MNI_CHECK(n_all == sums->n_linked);
}

static uint64_t check_spaces(struct mni_ramcache *cache, struct link *ring, bool is_dead,
                             uint64_t *n_named)
{
    uint64_t n_all = 0;

    for (struct link *at = ring->next; at != ring; at = at->next) {
        struct space *space = CONTAINER(struct space, in_cache, at);
        uint64_t n = 0, n_negative = 0, n_bytes = 0, n_expiring = 0;
        MNI_CHECK(space_is_dead(space) == is_dead);
        for (struct link *e = space->entries.next; e != &space->entries; e = e->next) {
            struct entry *entry = entry_of_space(e);
            MNI_CHECK(entry->space == space);
            n_negative += entry->is_negative;
            n += !entry->is_negative;
            n_expiring += !entry->is_negative && entry->has_expiry;
            n_bytes += entry->is_negative ? 0 : charge_of_entry(entry);
        }
        MNI_CHECK(n == space->n_entries && n_negative == space->n_negative);
        *n_named += n > 0;
        MNI_CHECK(n_bytes == space->bytes && n_expiring == space->n_expiring);
        MNI_CHECK(space->n_users > 0 ||
                  link_is_alone(&space->entries) == !link_is_alone(&space->empties));
        n_all += n + n_negative;
    }
    MNI_CHECK(cache->walkers.next == &cache->walkers);
    return n_all;
}

static void check_heap(struct mni_ramcache *cache, const struct sums *sums)
{
    struct expiry_node *node = cache->heap;
    uint64_t n = 0;

    MNI_CHECK(node == NULL || node->parent == NULL);
    /* Without a stack: down to the left, else up to where there is a right one. */
    while (node != NULL) {
        n++;
        for (int i = 0; i < 2; i++) {
            struct expiry_node *child = i == 0 ? node->left : node->right;
            MNI_CHECK(child == NULL || (child->parent == node && child->due_us >= node->due_us));
        }
        unsigned left = node->left == NULL ? 0 : entry_of_expiry(node->left)->heap_rank;
        unsigned right = node->right == NULL ? 0 : entry_of_expiry(node->right)->heap_rank;
        MNI_CHECK(left >= right && entry_of_expiry(node)->heap_rank == right + 1);
        if (node->left != NULL) {
            node = node->left;
            continue;
        }
        MNI_CHECK(node->right == NULL);
        struct expiry_node *from = NULL;
        do {
            from = node;
            node = node->parent;
        } while (node != NULL && (from == node->right || node->right == NULL));
        if (node != NULL)
            node = node->right;
    }
    MNI_CHECK(n == sums->n_expiring);
}

void mni_ramcache_check(struct mni_ramcache *cache)
{
    struct sums sums = {0};

    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        check_table(cache, &cache->shards[i], &sums);
    check_queues(cache, &sums);
    MNI_CHECK(sums.n_entries == cache->n_entries && sums.n_negative == cache->n_negative);
    MNI_CHECK(sums.entry_bytes == cache->entry_bytes);
    uint64_t n_named = 0, n_gone = 0;
    uint64_t n_alive = check_spaces(cache, &cache->spaces, false, &n_named);
    uint64_t n_dead = check_spaces(cache, &cache->dead_spaces, true, &n_gone);
    MNI_CHECK(n_named == cache->n_namespaces);
    MNI_CHECK(n_alive + n_dead == sums.n_linked);
    check_heap(cache, &sums);
    MNI_CHECK(cache->queues[QUEUE_NEGATIVE].n_entries <= cache->config.n_negative_max);
    MNI_CHECK(cache->queues[QUEUE_NEGATIVE].bytes <= cache->config.negative_bytes_max);
    MNI_CHECK(cache->n_entries == cache->n_kept - cache->n_overwritten - cache->n_deleted -
                                      cache->n_cleared - cache->n_expired - cache->n_evicted);
    MNI_CHECK(used_bytes(cache) <= cache->config.max_bytes);
    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        MNI_CHECK(cache->shards[i].detached_bytes <= cache->shards[i].pinned_bytes);
}
