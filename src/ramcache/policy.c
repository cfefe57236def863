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
    LARGE_ONE_IN = 32,   /* a newcomer that is larger than this part is judged before it comes in */
    CANDIDATES_MAX = 16, /* of a put: a window that is too large gets smaller bit by bit */
    COMPARED_MAX = 1024, /* victims that a candidate is compared with */
};
static const double PROTECTED_SHARE = 0.8;

void mni_ramcache_policy_init(struct mni_ramcache *cache)
{
    for (int i = 0; i < N_QUEUES; i++)
        link_init(&cache->queues[i].entries);
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

/* How many held entries one call may still pass over, in each queue on its own: where one is full
 * of them there may be others in the next. */
struct looks {
    uint64_t n[N_QUEUES];
};

static struct looks looks_of(uint64_t n)
{
    struct looks looks;

    for (int i = 0; i < N_QUEUES; i++)
        looks.n[i] = n;
    return looks;
}

/* The oldest entry that nobody holds. Those that are passed over become new, so that the next look
 * does not meet them again, and leave the window. */
static struct entry *oldest_free(struct mni_ramcache *cache, enum queue_id id, struct looks *looks)
{
    struct queue *queue = &cache->queues[id];
    uint64_t n_left = queue->n_entries;

    for (; n_left > 0 && looks->n[id] > 0; n_left--) {
        struct entry *entry = oldest(queue);
        if (entry == NULL || !is_pinned(entry))
            return entry;
        move_to(cache, entry, id == QUEUE_WINDOW ? QUEUE_PROBATION : id);
        looks->n[id]--;
    }
    return NULL;
}

/* What entries of the three queues may take. */
static uint64_t capacity(struct mni_ramcache *cache)
{
    uint64_t used = used_bytes(cache) + cache->queues[QUEUE_NEGATIVE].bytes;
    uint64_t others = used > cache->entry_bytes ? used - cache->entry_bytes : 0;

    return others < cache->config.max_bytes ? cache->config.max_bytes - others : 0;
}

/* The shares of it. */
static uint64_t window_max(struct mni_ramcache *cache)
{
    return (uint64_t)((double)capacity(cache) * mni_ramcache_tuner_share(&cache->tuner));
}

static uint64_t main_max(struct mni_ramcache *cache)
{
    return capacity(cache) - window_max(cache);
}

static uint64_t main_bytes(const struct mni_ramcache *cache)
{
    return cache->queues[QUEUE_PROBATION].bytes + cache->queues[QUEUE_PROTECTED].bytes;
}

/* Accesses ----------*/

static void balance_protected(struct mni_ramcache *cache)
{
    struct queue *queue = &cache->queues[QUEUE_PROTECTED];
    uint64_t bytes_max = (uint64_t)((double)main_max(cache) * PROTECTED_SHARE);

    for (int n = 0; n < CANDIDATES_MAX && queue->bytes > bytes_max; n++)
        move_to(cache, entry_of_queue(queue->entries.prev), QUEUE_PROBATION);
}

static void note_access(struct mni_ramcache *cache, struct entry *entry)
{
    mni_ramcache_sketch_add(&cache->sketch, entry->hash);
    mni_ramcache_tuner_follow(&cache->tuner, &cache->sketch, entry->hash, charge_of_entry(entry),
                              capacity(cache), cache->n_entries);
}

void mni_ramcache_policy_drain(struct mni_ramcache *cache, struct shard *shard)
{
    if (shard->n_records == 0)
        return;
    for (uint32_t i = 0; i < shard->n_records; i++)
        if (shard->records[i] != NULL)
            mni_ramcache_sketch_prefetch(&cache->sketch, shard->records[i]->hash);
    for (uint32_t i = 0; i < shard->n_records; i++) {
        struct entry *entry = shard->records[i];
        if (entry == NULL)
            continue;
        entry->n_records--;
        entry->space->n_hits++;
        note_access(cache, entry);
        move_to(cache, entry, entry->queue == QUEUE_PROBATION ? QUEUE_PROTECTED : entry->queue);
    }
    shard->n_records = 0;
    balance_protected(cache);
}

void mni_ramcache_policy_entered(struct mni_ramcache *cache, struct entry *entry,
                                 enum queue_id queue)
{
    enter_queue(cache, entry, entry->is_negative ? QUEUE_NEGATIVE : queue);
    if (!entry->is_negative)
        note_access(cache, entry);
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

enum verdict { IS_MUCH_LESS, IS_NO_MORE, IS_MORE };

/* Compares what a key is worth with the oldest entries of the main part that make `n_bytes` of room
 * together; where they are very many, the first ones speak for all. */
static enum verdict compare(struct mni_ramcache *cache, uint64_t hash, uint64_t n_bytes)
{
    static const enum queue_id order[] = {QUEUE_PROBATION, QUEUE_PROTECTED};
    unsigned count = mni_ramcache_sketch_count(&cache->sketch, hash);
    unsigned much = 2 * count + 1;
    unsigned sum = 0;
    unsigned n_left = COMPARED_MAX;
    uint64_t found_bytes = 0;

    for (int i = 0; i < 2; i++) {
        struct link *head = &cache->queues[order[i]].entries;
        unsigned n_looks = PINNED_LOOKS_MAX;
        for (struct link *at = head->prev;
             at != head && found_bytes < n_bytes && sum <= much && n_looks > 0 && n_left > 0;
             at = at->prev) {
            struct entry *victim = entry_of_queue(at);
            if (is_pinned(victim)) {
                n_looks--;
                continue;
            }
            found_bytes += charge_of_entry(victim);
            sum += mni_ramcache_sketch_count(&cache->sketch, victim->hash);
            n_left--;
        }
    }
    if (n_left == 0 && found_bytes < n_bytes) {
        sum = (unsigned)((double)sum * (double)n_bytes / (double)found_bytes);
        found_bytes = n_bytes;
    }
    if (sum < count && found_bytes >= n_bytes)
        return IS_MORE;
    return sum <= much ? IS_NO_MORE : IS_MUCH_LESS;
}

/* Evicts the oldest of the main part until so much more fits into it, or they are held, or it has
 * been enough for one call: what the main part has too much is the first to go for others. */
static void evict_main(struct mni_ramcache *cache, uint64_t n_bytes, struct looks *looks)
{
    for (int n = 0; n < HOLD_MAX / CANDIDATES_MAX && main_bytes(cache) > 0 &&
                    main_bytes(cache) + n_bytes > main_max(cache);
         n++) {
        struct entry *victim = oldest_free(cache, QUEUE_PROBATION, looks);
        if (victim == NULL)
            victim = oldest_free(cache, QUEUE_PROTECTED, looks);
        if (victim == NULL)
            return;
        mni_ramcache_unlink(cache, victim, LEAVE_EVICTED);
    }
}

/* The window is full: its oldest entry gets into the main part, or goes. Then a victim that was
 * much more becomes new, so that it does not keep the next ones out as well; one that was worth
 * about the same stays, so that a loop larger than the cache does not go round in it. */
static void judge(struct mni_ramcache *cache, struct entry *candidate, struct looks *looks)
{
    uint64_t n_bytes = charge_of_entry(candidate);
    uint64_t wanted = main_bytes(cache) + n_bytes;
    uint64_t max = main_max(cache);
    enum verdict verdict = wanted <= max ? IS_MORE : compare(cache, candidate->hash, wanted - max);

    if (verdict != IS_MORE) {
        struct entry *victim = oldest_free(cache, QUEUE_PROBATION, looks);
        mni_ramcache_unlink(cache, candidate, LEAVE_EVICTED);
        if (verdict == IS_MUCH_LESS && victim != NULL)
            move_to(cache, victim, QUEUE_PROBATION);
        return;
    }
    /* First the victims: the candidate must not be one of them. */
    evict_main(cache, n_bytes, looks);
    move_to(cache, candidate, QUEUE_PROBATION);
}

/* What goes without a contest: the oldest of the main part, then of the window, then what is
 * remembered as absent, then names of empty namespaces. */
static bool evict_any(struct mni_ramcache *cache, struct looks *looks)
{
    static const enum queue_id order[] = {QUEUE_PROBATION, QUEUE_PROTECTED, QUEUE_WINDOW,
                                          QUEUE_NEGATIVE};

    for (int i = 0; i < 4; i++) {
        struct entry *victim = oldest_free(cache, order[i], looks);
        if (victim != NULL) {
            mni_ramcache_unlink(cache, victim, LEAVE_EVICTED);
            return true;
        }
    }
    return mni_ramcache_space_drop_empty(cache);
}

/* Makes the window small enough for a newcomer. */
static void make_way(struct mni_ramcache *cache, uint64_t n_bytes)
{
    struct looks looks = looks_of(PINNED_LOOKS_MAX);

    for (int n = 0; n < CANDIDATES_MAX; n++) {
        if (cache->queues[QUEUE_WINDOW].bytes + n_bytes <= window_max(cache))
            return;
        struct entry *candidate = oldest_free(cache, QUEUE_WINDOW, &looks);
        if (candidate == NULL)
            return;
        judge(cache, candidate, &looks);
    }
}

/* Whether there would be room if all went that may go. */
static bool can_fit(struct mni_ramcache *cache, uint64_t n_bytes)
{
    uint64_t missing = missing_bytes(cache, n_bytes);

    return missing == 0 || missing <= mni_ramcache_evictable_bytes(cache) + cache->empties_bytes;
}

static uint64_t n_linked(const struct mni_ramcache *cache)
{
    uint64_t n = 0;

    for (int i = 0; i < N_QUEUES; i++)
        n += cache->queues[i].n_entries;
    return n;
}

/* Room that is being made. */
struct making {
    uint64_t n_left;  /* bytes that are still to be taken */
    uint64_t n_taken; /* when the lock was given up, so that nobody else has them */
    bool may_yield;
    unsigned n_gone; /* entries, under this hold of the lock */
};

/* Lets others in after so many entries have gone or were passed over. */
static void pause_after(struct mni_ramcache *cache, struct making *making, unsigned n)
{
    making->n_gone += n;
    if (!making->may_yield || making->n_gone < HOLD_MAX)
        return;
    making->n_gone = 0;
    uint64_t n_free = cache->config.max_bytes - used_bytes(cache);
    uint64_t n_bytes = n_free < making->n_left ? n_free : making->n_left;
    mni_ramcache_take(cache, n_bytes);
    making->n_left -= n_bytes;
    making->n_taken += n_bytes;
    cache->pending_bytes += making->n_left;
    (void)mni_ramcache_yield(cache);
    cache->pending_bytes -= making->n_left;
}

/* Evicts until the rest fits. Where the first looks met held entries only, but others are there,
 * all are looked at. */
static bool evict(struct mni_ramcache *cache, struct making *making)
{
    struct looks looks = looks_of(PINNED_LOOKS_MAX);
    uint64_t n_more = 0; /* looks that are left after these */
    bool is_long = false;

    while (missing_bytes(cache, making->n_left) > 0) {
        if (evict_any(cache, &looks)) {
            pause_after(cache, making, 1);
            continue;
        }
        if (!is_long && !can_fit(cache, making->n_left))
            return false;
        if (!is_long)
            n_more = n_linked(cache);
        is_long = true;
        if (n_more == 0)
            return false;
        uint64_t n = n_more < PINNED_LOOKS_MAX ? n_more : PINNED_LOOKS_MAX;
        looks = looks_of(n);
        n_more -= n;
        pause_after(cache, making, HOLD_MAX);
    }
    return true;
}

static bool is_worth_it(struct mni_ramcache *cache, const struct making *making, uint64_t hash)
{
    uint64_t missing = missing_bytes(cache, making->n_left);

    return missing == 0 || compare(cache, hash, missing) == IS_MORE;
}

static enum room make_room(struct mni_ramcache *cache, struct making *making,
                           const uint64_t *key_hash, bool may_reject, int64_t now_us)
{
    uint64_t n_bytes = making->n_left;

    while (missing_bytes(cache, making->n_left) > 0 && mni_ramcache_reclaim(cache, now_us, 1) > 0)
        pause_after(cache, making, 1);
    /* What cannot succeed evicts nothing. Asking costs a line of each shard. Entries also leave
     * alone what others are making room for; a table comes first, or small entries would find it
     * full. */
    uint64_t n_pending = key_hash != NULL ? cache->pending_bytes : 0;
    if (n_bytes >= UNLOCKED_COPY_MIN && !can_fit(cache, making->n_left + n_pending))
        return ROOM_NONE;
    /* Too large to be tried in the window: it is judged at once. */
    uint64_t capacity_bytes = capacity(cache) + making->n_taken;
    bool is_large = may_reject && n_bytes > capacity_bytes / LARGE_ONE_IN &&
                    n_bytes > window_max(cache);
    if (is_large && !is_worth_it(cache, making, *key_hash)) {
        mni_ramcache_sketch_add(&cache->sketch, *key_hash);
        return ROOM_REJECTED;
    }
    if (key_hash != NULL && !is_large)
        make_way(cache, n_bytes);
    return evict(cache, making) ? ROOM_MADE : ROOM_NONE;
}

enum room mni_ramcache_make_room(struct mni_ramcache *cache, uint64_t n_bytes,
                                 const uint64_t *key_hash, unsigned how, int64_t now_us)
{
    struct making making = {.n_left = n_bytes, .may_yield = (how & MAY_YIELD) != 0};

    if (n_bytes > cache->config.max_bytes)
        return ROOM_NONE;
    enum room room = make_room(cache, &making, key_hash, (how & MAY_REJECT) != 0, now_us);
    if (room == ROOM_MADE)
        mni_ramcache_take(cache, making.n_left);
    else
        mni_ramcache_give_back(cache, making.n_taken);
    return room;
}
