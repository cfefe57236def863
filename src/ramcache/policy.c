/*
 * policy.c - who stays and who makes way: W-TinyLFU with a window that adapts.
 *
 * Owns:    nothing; the queues are the cache's.
 * Threads: the cache's lock is held; for drain also the shard's.
 * Fails:   make_room, when what is left is pinned or worth more.
 *
 * Newcomers enter the window. What leaves it when the cache is full is a candidate for the main
 * part: it gets in if it was asked for more often than all that it would push out together, and is
 * evicted otherwise. In the main part a hit moves an entry from probation to protected, and what
 * does not fit there moves back. docs/decisions/ram-cache-policy.md has the measurements.
 */
#include "ramcache/ramcache_private.h"

enum {
    CLIMB_PER_ENTRY = 10, /* look-ups per entry in a period of the climber */
    CLIMB_MIN = 4096,
    LUCKY_COUNT_MIN = 6, /* a candidate asked for so often may get in by luck, */
    LARGE_ONE_IN = 32,   /* a newcomer that is larger than this part is judged before it comes in */
    LUCKY_ONE_IN = 128,  /* so that keys chosen to collide with it cannot keep it out */
};
static const double PROTECTED_SHARE = 0.8;
static const double WINDOW_SHARE_FIRST = 0.01;
static const double WINDOW_SHARE_MIN = 0.01;
static const double WINDOW_SHARE_MAX = 0.8;
static const double STEP_FIRST = 0.0625;
static const double STEP_DECAY = 0.9;
static const double STEP_RESTART = 0.05; /* change of the hit ratio that says: another workload */

void mni_ramcache_policy_init(struct mni_ramcache *cache)
{
    for (int i = 0; i < N_QUEUES; i++)
        link_init(&cache->queues[i].entries);
    cache->climber = (struct climber){
        .previous_ratio = -1, .window_share = WINDOW_SHARE_FIRST, .step = STEP_FIRST};
    cache->random = cache->config.hash_seed | 1;
}

/* Queues ----------*/

static void enter_queue(struct mni_ramcache *cache, struct entry *entry, enum queue_id id)
{
    struct queue *queue = &cache->queues[id];

    link_after(&queue->entries, &entry->in_queue);
    queue->bytes += charge_of_entry(entry);
    queue->n_entries++;
    entry->queue = (uint8_t)id;
}

static void leave_queue(struct mni_ramcache *cache, struct entry *entry)
{
    struct queue *queue = &cache->queues[entry->queue];

    MNI_CHECK(entry->queue != QUEUE_NONE && queue->n_entries > 0);
    link_remove(&entry->in_queue);
    queue->bytes -= charge_of_entry(entry);
    queue->n_entries--;
    entry->queue = QUEUE_NONE;
}

static void move_to(struct mni_ramcache *cache, struct entry *entry, enum queue_id id)
{
    if (entry->queue == id) {
        struct link *head = &cache->queues[id].entries;
        if (head->next == &entry->in_queue)
            return;
        link_remove(&entry->in_queue);
        link_after(head, &entry->in_queue);
        return;
    }
    leave_queue(cache, entry);
    enter_queue(cache, entry, id);
}

static struct entry *oldest(const struct queue *queue)
{
    return queue->entries.prev == &queue->entries ? NULL : entry_of_queue(queue->entries.prev);
}

static bool is_pinned(const struct entry *entry)
{
    return (atomic_load_explicit(&entry->refs, memory_order_relaxed) & ~REF_TABLE) != 0;
}

/* The oldest entry that nobody holds. Those that are passed over become new, so that the next look
 * does not meet them again; `n_looks` bounds how many. */
static struct entry *oldest_free(struct mni_ramcache *cache, enum queue_id id, unsigned *n_looks)
{
    struct queue *queue = &cache->queues[id];
    uint64_t n_left = queue->n_entries;

    for (; n_left > 0 && *n_looks > 0; n_left--) {
        struct entry *entry = oldest(queue);
        if (!is_pinned(entry))
            return entry;
        move_to(cache, entry, id);
        (*n_looks)--;
    }
    return NULL;
}

/* What entries may take of the cache, and the shares of it. */
static uint64_t capacity(struct mni_ramcache *cache)
{
    uint64_t used = used_bytes(cache);
    uint64_t others = used > cache->entry_bytes ? used - cache->entry_bytes : 0;

    return others < cache->config.max_bytes ? cache->config.max_bytes - others : 0;
}

/* The room that newcomers may have. */
static uint64_t window_bytes_max(struct mni_ramcache *cache)
{
    return (uint64_t)((double)capacity(cache) * cache->climber.window_share);
}

/* The climber ----------*/

/* Hit ratios of two periods differ by chance. The window moves on only as long as that is better,
 * in steps that get smaller, and anew when the workload changes. */
static void climb(struct mni_ramcache *cache)
{
    struct climber *c = &cache->climber;
    uint64_t n = c->n_hits + c->n_misses;

    if (n < CLIMB_MIN || n < cache->n_entries * CLIMB_PER_ENTRY)
        return;
    double ratio = (double)c->n_hits / (double)n;
    double change = c->previous_ratio < 0 ? 0 : ratio - c->previous_ratio;
    double direction = c->step < 0 ? -1 : 1;
    if (change < 0)
        direction = -direction;
    double size = c->step < 0 ? -c->step : c->step;
    size = change >= STEP_RESTART || change <= -STEP_RESTART ? STEP_FIRST : size * STEP_DECAY;
    c->step = direction * size;
    c->previous_ratio = ratio;
    c->n_hits = c->n_misses = 0;
    double share = c->window_share + c->step;
    share = share < WINDOW_SHARE_MIN ? WINDOW_SHARE_MIN : share;
    c->window_share = share > WINDOW_SHARE_MAX ? WINDOW_SHARE_MAX : share;
}

/* Accesses ----------*/

static void balance_protected(struct mni_ramcache *cache)
{
    uint64_t cap = capacity(cache);
    uint64_t bytes_max = (uint64_t)((double)(cap - window_bytes_max(cache)) * PROTECTED_SHARE);

    while (cache->queues[QUEUE_PROTECTED].bytes > bytes_max &&
           cache->queues[QUEUE_PROTECTED].n_entries > 1)
        move_to(cache, oldest(&cache->queues[QUEUE_PROTECTED]), QUEUE_PROBATION);
}

/* What does not fit into the window goes on without a contest: there is room. */
static void balance_window(struct mni_ramcache *cache)
{
    uint64_t bytes_max = window_bytes_max(cache);

    while (cache->queues[QUEUE_WINDOW].bytes > bytes_max &&
           cache->queues[QUEUE_WINDOW].n_entries > 1)
        move_to(cache, oldest(&cache->queues[QUEUE_WINDOW]), QUEUE_PROBATION);
}

static void note_access(struct mni_ramcache *cache, struct entry *entry)
{
    entry->space->n_hits++;
    mni_ramcache_sketch_add(&cache->sketch, entry->hash);
    move_to(cache, entry, entry->queue == QUEUE_PROBATION ? QUEUE_PROTECTED : entry->queue);
}

void mni_ramcache_policy_drain(struct mni_ramcache *cache, struct shard *shard)
{
    for (uint32_t i = 0; i < shard->n_records; i++)
        if (shard->records[i] != NULL)
            mni_ramcache_sketch_prefetch(&cache->sketch, shard->records[i]->hash);
    for (uint32_t i = 0; i < shard->n_records; i++) {
        struct entry *entry = shard->records[i];
        if (entry == NULL)
            continue;
        entry->n_records--;
        note_access(cache, entry);
    }
    shard->n_records = 0;
    balance_protected(cache);
    cache->climber.n_hits += shard->n_hits - shard->n_hits_told;
    cache->climber.n_misses += shard->n_misses - shard->n_misses_told;
    shard->n_hits_told = shard->n_hits;
    shard->n_misses_told = shard->n_misses;
    climb(cache);
}

void mni_ramcache_policy_entered(struct mni_ramcache *cache, struct entry *entry,
                                 enum queue_id queue)
{
    if (entry->is_negative)
        queue = QUEUE_NEGATIVE;
    enter_queue(cache, entry, queue);
    if (queue != QUEUE_NEGATIVE)
        mni_ramcache_sketch_add(&cache->sketch, entry->hash);
    balance_window(cache);
    balance_protected(cache);
}

void mni_ramcache_policy_left(struct mni_ramcache *cache, struct entry *entry)
{
    leave_queue(cache, entry);
}

/* Making room ----------*/

static uint64_t missing_bytes(struct mni_ramcache *cache, uint64_t n_bytes)
{
    uint64_t used = used_bytes(cache);
    uint64_t max = cache->config.max_bytes;

    return used + n_bytes > max ? used + n_bytes - max : 0;
}

/* Whether a key is worth more than the oldest entries of the main part that make `n_bytes` of
 * room together. */
static bool is_worth_it(struct mni_ramcache *cache, uint64_t hash, uint64_t n_bytes)
{
    static const enum queue_id order[] = {QUEUE_PROBATION, QUEUE_PROTECTED};
    unsigned count = mni_ramcache_sketch_count(&cache->sketch, hash);
    unsigned sum = 0;
    uint64_t found_bytes = 0;
    unsigned n_looks = PINNED_LOOKS_MAX;

    for (int i = 0; i < 2; i++) {
        struct link *head = &cache->queues[order[i]].entries;
        for (struct link *at = head->prev; at != head && found_bytes < n_bytes; at = at->prev) {
            struct entry *victim = entry_of_queue(at);
            if (is_pinned(victim)) {
                if (n_looks-- == 0)
                    return false;
                continue;
            }
            found_bytes += charge_of_entry(victim);
            sum += mni_ramcache_sketch_count(&cache->sketch, victim->hash);
            if (sum >= count)
                break;
        }
        if (sum >= count)
            break;
    }
    if (count > sum)
        return found_bytes >= n_bytes;
    cache->random = cache->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return count >= LUCKY_COUNT_MIN && (cache->random >> 33) % LUCKY_ONE_IN == 0;
}

/* Evicts the oldest of the main part until nothing is missing. False: they are pinned. */
static bool evict_main(struct mni_ramcache *cache, uint64_t n_bytes, unsigned *n_looks)
{
    while (missing_bytes(cache, n_bytes) > 0) {
        struct entry *victim = oldest_free(cache, QUEUE_PROBATION, n_looks);
        if (victim == NULL)
            victim = oldest_free(cache, QUEUE_PROTECTED, n_looks);
        if (victim == NULL)
            return false;
        mni_ramcache_unlink(cache, victim, LEAVE_EVICTED);
    }
    return true;
}

/* The window is full: its oldest entry gets into the main part, or goes. */
static void judge_candidate(struct mni_ramcache *cache, struct entry *candidate, uint64_t n_bytes,
                            unsigned *n_looks)
{
    /* The place that it leaves in the window will be filled at the cost of the main part. */
    uint64_t cost_bytes = missing_bytes(cache, n_bytes);
    if (cost_bytes < charge_of_entry(candidate))
        cost_bytes = charge_of_entry(candidate);

    if (!is_worth_it(cache, candidate->hash, cost_bytes)) {
        mni_ramcache_unlink(cache, candidate, LEAVE_EVICTED);
        return;
    }
    /* First the victims: the candidate must not be one of them. */
    (void)evict_main(cache, n_bytes, n_looks);
    move_to(cache, candidate, QUEUE_PROBATION);
}

/* What goes without a contest, when the window has its share or less: the oldest of the main part,
 * then of the window, then what is remembered as absent, then names of empty namespaces. */
static bool evict_any(struct mni_ramcache *cache, unsigned *n_looks)
{
    static const enum queue_id order[] = {QUEUE_PROBATION, QUEUE_PROTECTED, QUEUE_WINDOW,
                                          QUEUE_NEGATIVE};

    for (int i = 0; i < 4; i++) {
        struct entry *victim = oldest_free(cache, order[i], n_looks);
        if (victim != NULL) {
            mni_ramcache_unlink(cache, victim, LEAVE_EVICTED);
            return true;
        }
    }
    return mni_ramcache_space_drop_empty(cache);
}

enum room mni_ramcache_make_room(struct mni_ramcache *cache, uint64_t n_bytes,
                                 const uint64_t *key_hash, int64_t now_us)
{
    unsigned n_looks = PINNED_LOOKS_MAX;

    if (n_bytes > cache->config.max_bytes)
        return ROOM_NONE;
    while (missing_bytes(cache, n_bytes) > 0) {
        if (mni_ramcache_reclaim(cache, now_us, 1) > 0)
            continue;
        uint64_t window_max = window_bytes_max(cache);
        if (key_hash != NULL && n_bytes > window_max && n_bytes > capacity(cache) / LARGE_ONE_IN) {
            /* Too large to be tried in the window. */
            bool is_worth = is_worth_it(cache, *key_hash, missing_bytes(cache, n_bytes));
            if (is_worth && evict_main(cache, n_bytes, &n_looks))
                break;
            mni_ramcache_sketch_add(&cache->sketch, *key_hash);
            return is_worth ? ROOM_NONE : ROOM_REJECTED;
        }
        struct entry *candidate = NULL;
        if (key_hash != NULL && cache->queues[QUEUE_WINDOW].bytes + n_bytes > window_max)
            candidate = oldest_free(cache, QUEUE_WINDOW, &n_looks);
        if (candidate != NULL)
            judge_candidate(cache, candidate, n_bytes, &n_looks);
        else if (!evict_any(cache, &n_looks))
            return ROOM_NONE;
    }
    mni_ramcache_take(cache, n_bytes);
    return ROOM_MADE;
}
