/*
 * crash_content.c - the bytes of a file of the simulated disk, and what they were.
 *
 * Owns:    the content of files, and the pool of what sectors held before.
 * Threads: one at a time.
 * Fails:   ends the process when memory is short.
 *
 * A file keeps its current bytes in one piece. Each change of a sector that is not durable yet
 * keeps the bytes from before it, so that a crash can step back, and a sync only forgets:
 *
 *     bytes    | sector 0 | sector 1 | sector 2 | sector 3 |
 *     newest                  |                     |
 *                             v                     v
 *                        older bytes          durable bytes
 *                             |
 *                             v
 *                       durable bytes
 */
#include "io/crash_private.h"

#include <string.h>

enum {
    SECTOR_BYTES = MNI_SECTOR_BYTES,
    PAGE_BYTES = 4096,
    FIRST_CAPACITY_BYTES = 8192,
    POOLED_CAPACITY_BYTES_MAX = 1 << 20, /* larger buffers are freed, as clearing them costs more */
    CHANGES_PER_CHUNK = 64,
};

/* One change of a sector that is not durable, and what the sector held before. */
struct mni_crash_change {
    struct mni_crash_change *older; /* a chain; in the pool the next free one */
    uint32_t cut_by;  /* of a truncation: 1 + the index of its length in `lengths`; else 0 */
    bool was_written; /* `is_written` before the change */
    unsigned char before[SECTOR_BYTES];
};

struct mni_crash_chunk {
    struct mni_crash_chunk *next; /* owned */
    struct mni_crash_change changes[CHANGES_PER_CHUNK];
};

void mni_crash_pool_done(struct mni_crash_pool *pool)
{
    for (struct mni_crash_chunk *next, *chunk = pool->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    pool->chunks = NULL;
    pool->free_changes = NULL;
}

static struct mni_crash_change *take_change(struct mni_crash_pool *pool)
{
    if (pool->free_changes == NULL) {
        struct mni_crash_chunk *chunk = mni_crash_must(malloc(sizeof *chunk));
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        for (size_t i = 0; i < CHANGES_PER_CHUNK; i++) {
            chunk->changes[i].older = pool->free_changes;
            pool->free_changes = &chunk->changes[i];
        }
    }
    struct mni_crash_change *change = pool->free_changes;
    pool->free_changes = change->older;
    return change;
}

/* What the sector holds now becomes durable. */
static void drop_changes(struct mni_crash_pool *pool, struct mni_crash_content *content, size_t s)
{
    struct mni_crash_sector *sector = &content->sectors[s];
    struct mni_crash_change *oldest = sector->newest;

    if (oldest == NULL)
        return;
    while (oldest->older != NULL)
        oldest = oldest->older;
    oldest->older = pool->free_changes;
    pool->free_changes = sector->newest;
    sector->newest = NULL;
    sector->n_writes = 0;
    sector->is_lost = false;
    sector->has_cut = false;
    content->dirty[s / 64] &= ~(UINT64_C(1) << (s % 64));
    content->n_dirty--;
}

/* To be called before the bytes of the sector change. */
static void keep_sector(struct mni_crash_pool *pool, struct mni_crash_content *content, size_t s,
                        uint32_t cut_by)
{
    struct mni_crash_sector *sector = &content->sectors[s];
    struct mni_crash_change *change = take_change(pool);

    memcpy(change->before, content->bytes + s * SECTOR_BYTES, SECTOR_BYTES);
    change->was_written = sector->is_written;
    change->cut_by = cut_by;
    change->older = sector->newest;
    if (sector->newest == NULL) {
        content->dirty[s / 64] |= UINT64_C(1) << (s % 64);
        content->n_dirty++;
    }
    sector->newest = change;
    sector->is_lost = false;
    if (cut_by == 0)
        sector->n_writes++;
    else
        sector->has_cut = true;
}

/* The first dirty sector from `s` on, or SIZE_MAX. */
static size_t next_dirty(const struct mni_crash_content *content, size_t s)
{
    size_t n_words = content->capacity_bytes / SECTOR_BYTES / 64 + 1;

    if (content->n_dirty == 0)
        return SIZE_MAX;
    for (size_t w = s / 64; w < n_words; w++) {
        uint64_t bits = content->dirty[w];
        if (w == s / 64)
            bits &= ~UINT64_C(0) << (s % 64);
        if (bits != 0)
            return w * 64 + (size_t)__builtin_ctzll(bits);
    }
    return SIZE_MAX;
}

/* Grows into memory fresh from calloc, so that reserved space of large files costs no pages. */
static void *grow_zeroed(void *old, size_t old_bytes, size_t new_bytes)
{
    void *moved = mni_crash_must(calloc(1, new_bytes));

    if (old_bytes > 0)
        memcpy(moved, old, old_bytes);
    free(old);
    return moved;
}

static void make_room(struct mni_crash_content *content, uint64_t n_bytes)
{
    size_t old = content->capacity_bytes;
    size_t capacity = old == 0 ? FIRST_CAPACITY_BYTES : old;
    size_t n_old = old / SECTOR_BYTES;

    if (n_bytes <= old)
        return;
    while (capacity < n_bytes)
        capacity *= 2;
    size_t n = capacity / SECTOR_BYTES;
    size_t dirty_bytes = old == 0 ? 0 : (n_old / 64 + 1) * sizeof(uint64_t);
    content->bytes = grow_zeroed(content->bytes, content->touched, capacity);
    content->sectors = grow_zeroed(content->sectors, n_old * sizeof(struct mni_crash_sector),
                                   n * sizeof(struct mni_crash_sector));
    content->dirty = grow_zeroed(content->dirty, dirty_bytes, (n / 64 + 1) * sizeof(uint64_t));
    content->capacity_bytes = capacity;
}

static void push_length(struct mni_crash_content *content, uint64_t n_bytes)
{
    content->lengths = mni_crash_grow(content->lengths, content->n_lengths,
                                      &content->lengths_capacity, sizeof *content->lengths);
    content->lengths[content->n_lengths++] = n_bytes;
    content->n_bytes = n_bytes;
}

void mni_crash_content_write(struct mni_crash_content *content, struct mni_crash_pool *pool,
                             uint64_t offset, const void *data, size_t n)
{
    uint64_t end = offset + n;
    uint64_t grown_from = offset > content->n_bytes ? offset : content->n_bytes;

    if (n == 0)
        return;
    make_room(content, end);
    for (size_t s = (size_t)(offset / SECTOR_BYTES); s * SECTOR_BYTES < end; s++) {
        keep_sector(pool, content, s, 0);
        content->sectors[s].is_written = true;
    }
    memcpy(content->bytes + offset, data, n);
    if (end > content->touched)
        content->touched = end;
    for (uint64_t page = (grown_from / PAGE_BYTES + 1) * PAGE_BYTES; page < end; page += PAGE_BYTES)
        push_length(content, page);
    if (end > content->n_bytes)
        push_length(content, end);
    content->length_is_lost = false;
}

static void cut_content(struct mni_crash_pool *pool, struct mni_crash_content *content,
                        uint64_t n_bytes)
{
    uint64_t end = content->n_bytes < content->touched ? content->n_bytes : content->touched;

    push_length(content, n_bytes);
    if (end <= n_bytes)
        return;
    for (size_t s = (size_t)(n_bytes / SECTOR_BYTES); s * SECTOR_BYTES < end; s++) {
        keep_sector(pool, content, s, (uint32_t)content->n_lengths);
        if (s * SECTOR_BYTES >= n_bytes)
            content->sectors[s].is_written = false;
    }
    memset(content->bytes + n_bytes, 0, (size_t)(end - n_bytes));
}

void mni_crash_content_resize(struct mni_crash_content *content, struct mni_crash_pool *pool,
                              uint64_t n_bytes)
{
    if (n_bytes < content->n_bytes) {
        cut_content(pool, content, n_bytes);
    } else if (n_bytes > content->n_bytes) {
        make_room(content, n_bytes);
        push_length(content, n_bytes);
    }
    content->length_is_lost = false;
}

void mni_crash_content_sync(struct mni_crash_content *content, struct mni_crash_pool *pool)
{
    for (size_t s = next_dirty(content, 0); s != SIZE_MAX; s = next_dirty(content, s + 1)) {
        if (!content->sectors[s].is_lost)
            drop_changes(pool, content, s);
    }
    if (!content->length_is_lost) {
        content->n_lengths = 0;
        content->durable_bytes = content->n_bytes;
    }
}

/* What a failed sync of sectors `first` to `last` does. A sector that a truncation cleared stays
 * dirty: its zeroes belong to the length, which is lost on its own. */
static void lose_sectors(struct mni_crash_content *content, size_t first, size_t last)
{
    for (size_t s = next_dirty(content, first); s <= last && s != SIZE_MAX;
         s = next_dirty(content, s + 1))
        content->sectors[s].is_lost = !content->sectors[s].has_cut;
}

void mni_crash_content_fail_sync(struct mni_crash_content *content)
{
    lose_sectors(content, 0, SIZE_MAX - 1);
    content->length_is_lost = content->n_lengths > 0;
}

void mni_crash_content_sync_range(struct mni_crash_content *content, struct mni_crash_pool *pool,
                                  uint64_t offset, size_t n)
{
    for (size_t s = (size_t)(offset / SECTOR_BYTES); s * SECTOR_BYTES < offset + n; s++)
        drop_changes(pool, content, s);
}

void mni_crash_content_fail_sync_range(struct mni_crash_content *content, uint64_t offset, size_t n)
{
    lose_sectors(content, (size_t)(offset / SECTOR_BYTES),
                 (size_t)((offset + n - 1) / SECTOR_BYTES));
}

static bool was_durably_written(const struct mni_crash_sector *sector)
{
    const struct mni_crash_change *change = sector->newest;

    if (change == NULL)
        return sector->is_written;
    while (change->older != NULL)
        change = change->older;
    return change->was_written;
}

bool mni_crash_content_is_settled(const struct mni_crash_content *content, uint64_t offset,
                                  size_t n)
{
    uint64_t end = offset + n;

    if (end > content->durable_bytes)
        return false;
    for (size_t i = 0; i < content->n_lengths; i++) {
        if (end > content->lengths[i])
            return false;
    }
    for (size_t s = (size_t)(offset / SECTOR_BYTES); s * SECTOR_BYTES < end; s++) {
        if (!was_durably_written(&content->sectors[s]))
            return false;
    }
    return true;
}

size_t mni_crash_content_n_pending(const struct mni_crash_content *content)
{
    size_t n = content->n_lengths;

    for (size_t s = next_dirty(content, 0); s != SIZE_MAX; s = next_dirty(content, s + 1))
        n += content->sectors[s].n_writes;
    return n;
}

/* Walks back from the newest change to the one that holds. A truncation holds exactly when its
 * length, or a later one, does; `length_choice` counts lengths as choose_version does. */
static void resolve_sector(struct mni_crash_pool *pool, struct mni_crash_choices *choices,
                           struct mni_crash_content *content, size_t s, size_t length_choice)
{
    struct mni_crash_sector *sector = &content->sectors[s];
    size_t chosen = mni_crash_choose_version(choices, sector->n_writes);
    size_t i = sector->n_writes;
    const struct mni_crash_change *undo = NULL; /* the oldest change that has not happened */

    for (const struct mni_crash_change *c = sector->newest; c != NULL; c = c->older) {
        bool happened = c->cut_by != 0 ? c->cut_by <= length_choice : i == chosen;
        if (happened)
            break;
        if (c->cut_by == 0)
            i--;
        undo = c;
    }
    if (undo != NULL) {
        memcpy(content->bytes + s * SECTOR_BYTES, undo->before, SECTOR_BYTES);
        sector->is_written = undo->was_written;
    }
    drop_changes(pool, content, s);
}

void mni_crash_content_resolve(struct mni_crash_content *content, struct mni_crash_pool *pool,
                               struct mni_crash_choices *choices)
{
    if (content->n_lengths == 0 && content->n_dirty == 0)
        return;
    mni_crash_choose_odds(choices);
    size_t choice = mni_crash_choose_version(choices, content->n_lengths);
    uint64_t n_bytes = choice == 0 ? content->durable_bytes : content->lengths[choice - 1];
    for (size_t s = next_dirty(content, 0); s != SIZE_MAX; s = next_dirty(content, s + 1))
        resolve_sector(pool, choices, content, s, choice);
    for (size_t s = (size_t)((n_bytes + SECTOR_BYTES - 1) / SECTOR_BYTES);
         s * SECTOR_BYTES < content->touched; s++)
        content->sectors[s].is_written = false;
    if (content->touched > n_bytes) {
        memset(content->bytes + n_bytes, 0, (size_t)(content->touched - n_bytes));
        content->touched = n_bytes;
    }
    content->n_bytes = n_bytes;
    content->durable_bytes = n_bytes;
    content->n_lengths = 0;
    content->length_is_lost = false;
}

static void free_buffers(struct mni_crash_content *content)
{
    free(content->bytes);
    free(content->sectors);
    free(content->dirty);
    content->bytes = NULL;
    content->sectors = NULL;
    content->dirty = NULL;
    content->capacity_bytes = 0;
}

void mni_crash_content_reset(struct mni_crash_content *content, struct mni_crash_pool *pool)
{
    size_t n_touched = (size_t)((content->touched + SECTOR_BYTES - 1) / SECTOR_BYTES);

    for (size_t s = next_dirty(content, 0); s != SIZE_MAX; s = next_dirty(content, s + 1))
        drop_changes(pool, content, s);
    if (content->capacity_bytes > POOLED_CAPACITY_BYTES_MAX) {
        free_buffers(content);
    } else if (n_touched > 0) {
        memset(content->bytes, 0, (size_t)content->touched);
        memset(content->sectors, 0, n_touched * sizeof content->sectors[0]);
    }
    content->touched = 0;
    content->n_bytes = 0;
    content->durable_bytes = 0;
    content->n_lengths = 0;
    content->length_is_lost = false;
}

void mni_crash_content_done(struct mni_crash_content *content, struct mni_crash_pool *pool)
{
    mni_crash_content_reset(content, pool);
    free_buffers(content);
    free(content->lengths);
    content->lengths = NULL;
    content->lengths_capacity = 0;
}
