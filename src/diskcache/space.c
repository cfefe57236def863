/*
 * space.c - the bound of bytes: what counts against it, generations, and eviction.
 *
 * A value's room is taken before it is given to RocksDB, at the most that it can become; when its
 * file is written, the file's length takes the place of that. The oldest file is removed whole.
 *
 * Owns:    the division of max_bytes; `generation_bytes`.
 * Threads: the caller holds write_lock.
 * Fails:   with what RocksDB answers; the caller then rebuilds the cache.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/check.h"
#include "diskcache/diskcache_private.h"

enum {
    OTHER_FILES_BYTES = 192 << 10, /* RocksDB's report twice, its options three times, a probe */
    MANIFEST_BYTES_MIN = 16 << 10,
    MANIFEST_BYTES_MAX = 4 << 20,
    MANIFEST_SHARE = 256,
    NEW_FILE_BYTES = DC_FILE_OVERHEAD_BYTES + DC_FILE_RECORD_BYTES,
    FILES_MIN = 400,     /* that are allowed, however large the buffers are */
    FILES_FACTOR = 8,    /* times as many as there are buffers in max_bytes */
    MERGE_FILES = 8,     /* that become one where none may go */
    MERGES_MAX = 2,      /* in one call */
    MOVE_DOWN_FILES = 8, /* of level 0 */
    BUFFER_COUNT_MAX = 16,
    NAP_US = 500,
    NAPS_MAX = 200, /* for a file to go, when no flush holds it */
};

mn_status dc_space_plan(struct mni_diskcache *c, uint64_t buffer_bytes, uint32_t n_buffers,
                        struct mn_error *err)
{
    c->n_buffers = n_buffers == 0 ? DC_BUFFER_COUNT_DEFAULT : n_buffers;
    if (c->n_buffers < 2 || c->n_buffers > BUFFER_COUNT_MAX)
        return mni_fail(err, MN_ERR_INVALID, "write_buffer_count is 2 to %d", BUFFER_COUNT_MAX);
    if (buffer_bytes != 0 &&
        (buffer_bytes < DC_BUFFER_BYTES_MIN || buffer_bytes > DC_VALUE_BYTES_MAX))
        return mni_fail(err, MN_ERR_INVALID, "write_buffer_bytes is 64 KiB to 1 GiB");
    if (c->max_bytes == UINT64_MAX) {
        c->manifest_bytes_max = MANIFEST_BYTES_MAX;
        c->buffer_bytes = buffer_bytes == 0 ? DC_BUFFER_BYTES_DEFAULT : buffer_bytes;
        c->value_bytes_max = DC_VALUE_BYTES_MAX;
        c->n_files_max = FILES_MIN;
        return MN_OK;
    }
    if (c->max_bytes < DC_MAX_BYTES_MIN)
        return mni_fail(err, MN_ERR_INVALID, "max_bytes is %d at least", DC_MAX_BYTES_MIN);
    uint64_t share = c->max_bytes / 4 / c->n_buffers;
    if (buffer_bytes > share)
        return mni_fail(err, MN_ERR_INVALID,
                        "%" PRIu32 " write buffers of %" PRIu64 " bytes are more than a quarter of"
                        " max_bytes, %" PRIu64,
                        c->n_buffers, buffer_bytes, c->max_bytes);

    c->buffer_bytes = buffer_bytes != 0 ? buffer_bytes : DC_BUFFER_BYTES_DEFAULT;
    if (buffer_bytes == 0 && c->buffer_bytes > c->max_bytes / DC_GENERATIONS_MIN)
        c->buffer_bytes = c->max_bytes / DC_GENERATIONS_MIN;
    if (buffer_bytes == 0 && c->buffer_bytes > share)
        c->buffer_bytes = share;
    c->manifest_bytes_max = c->max_bytes / MANIFEST_SHARE;
    if (c->manifest_bytes_max < MANIFEST_BYTES_MIN)
        c->manifest_bytes_max = MANIFEST_BYTES_MIN;
    if (c->manifest_bytes_max > MANIFEST_BYTES_MAX)
        c->manifest_bytes_max = MANIFEST_BYTES_MAX;
    /* When one is full the next is written beside it. */
    c->fixed_bytes = OTHER_FILES_BYTES + 2 * c->manifest_bytes_max;
    uint64_t n_files = c->max_bytes / c->buffer_bytes * FILES_FACTOR;
    n_files = n_files < FILES_MIN ? FILES_MIN : n_files;
    c->n_files_max = n_files > UINT32_MAX ? UINT32_MAX : (uint32_t)n_files;
    c->value_bytes_max = (c->max_bytes - c->fixed_bytes) / 4 - DC_FILE_OVERHEAD_BYTES;
    if (c->value_bytes_max > DC_VALUE_BYTES_MAX)
        c->value_bytes_max = DC_VALUE_BYTES_MAX;
    return MN_OK;
}

uint64_t dc_space_used(const struct mni_diskcache *c)
{
    return c->fixed_bytes + c->generation_bytes + dc_seal_bytes(&c->index);
}

/* Generations ----------*/

bool dc_space_has_room(struct mni_diskcache *c, uint64_t value_bytes, uint64_t seal_bytes)
{
    const struct dc_generation *g = dc_generation_newest(&c->index);
    uint64_t file_bytes = g->bytes_max == 0 ? NEW_FILE_BYTES : 0;

    if (g->bytes_max > 0 && g->bytes_max + value_bytes > c->buffer_bytes)
        return false;
    if (c->max_bytes == UINT64_MAX)
        return true;
    mni_rwlock_write(&c->index_lock);
    uint64_t used = dc_space_used(c);
    mni_rwlock_unlock(&c->index_lock);
    return used + file_bytes + value_bytes + seal_bytes <= c->max_bytes;
}

uint64_t dc_space_take(struct mni_diskcache *c, uint64_t value_bytes)
{
    mni_rwlock_write(&c->index_lock);
    struct dc_generation *g = dc_generation_newest(&c->index);
    if (g->bytes_max == 0)
        value_bytes += NEW_FILE_BYTES;
    g->bytes_max += value_bytes;
    c->generation_bytes += value_bytes;
    g->last = c->next_number;
    mni_rwlock_unlock(&c->index_lock);
    return c->next_number++;
}

mn_status dc_space_end_generation(struct mni_diskcache *c, bool wait, struct mn_error *err)
{
    bool is_empty = dc_generation_newest(&c->index)->bytes_max == 0;

    mni_rwlock_write(&c->index_lock);
    mn_status st = dc_generation_reserve(&c->index, err);
    mni_rwlock_unlock(&c->index_lock);
    if (st != MN_OK)
        return st;
    /* What was put before belongs to this generation's file. */
    st = dc_rocks_write(c->rocks, err);
    if (st == MN_OK && (wait || !is_empty))
        st = dc_rocks_flush(c->rocks, wait, err);
    if (st == MN_OK && !is_empty) {
        mni_rwlock_write(&c->index_lock);
        st = dc_generation_begin(&c->index, c->next_number, err);
        mni_rwlock_unlock(&c->index_lock);
    }
    if (st == MN_OK)
        dc_space_refresh(c);
    return st;
}

/* A file holds one generation or several, those that were waiting together. */
static void learn_file(void *context, const struct dc_rocks_file *file)
{
    struct mni_diskcache *c = context;
    struct dc_index *x = &c->index;
    uint32_t i = 0;
    uint32_t end = x->n_generations;
    uint32_t n = 0;

    while (i < end) {
        uint32_t middle = i + (end - i) / 2;
        if (x->generations[middle]->first < file->first)
            i = middle + 1;
        else
            end = middle;
    }
    if (i == x->n_generations || x->generations[i]->first != file->first)
        return;
    struct dc_generation *g = x->generations[i];
    g->level = file->level;
    if (g->is_file)
        return;
    while (i + n < x->n_generations && x->generations[i + n]->bytes_max > 0 &&
           x->generations[i + n]->last <= file->last)
        n++;
    MNI_CHECK(n > 0);
    dc_generation_join(x, i, n);
    c->generation_bytes -= g->bytes_max;
    c->generation_bytes += file->n_bytes + DC_FILE_RECORD_BYTES;
    g->file_bytes = file->n_bytes;
    g->file_number = file->file_number;
    g->is_file = true;
}

void dc_space_refresh(struct mni_diskcache *c)
{
    const struct dc_index *x = &c->index;
    uint64_t first = 0;
    uint64_t last = 0;
    uint32_t n = 0;

    mni_rwlock_write(&c->index_lock);
    dc_rocks_files(c->rocks, learn_file, c);
    for (uint32_t i = 0; i < x->n_generations; i++) {
        const struct dc_generation *g = x->generations[i];
        if (!g->is_file || g->level != 0)
            continue;
        first = n++ == 0 ? g->first : first;
        last = g->last;
    }
    mni_rwlock_unlock(&c->index_lock);
    if (n < MOVE_DOWN_FILES)
        return;
    dc_rocks_move_down(c->rocks, first, last);
    mni_rwlock_write(&c->index_lock);
    dc_rocks_files(c->rocks, learn_file, c);
    mni_rwlock_unlock(&c->index_lock);
}

/* Eviction ----------*/

/* In slices, so that nobody waits long for the index. */
static void evict_entries(struct mni_diskcache *c, const struct dc_generation *g)
{
    struct dc_index *x = &c->index;
    bool is_done = false;

    while (!is_done) {
        mni_rwlock_write(&c->index_lock);
        for (uint32_t i = 0; i < DC_STEP && g->head != DC_NO_ENTRY; i++) {
            struct dc_space *s = x->spaces[dc_entry_at(x, g->head)->space];
            if (dc_entry_at(x, g->head)->expires_at_us <= c->now_us) {
                dc_expire(c, g->head);
                continue;
            }
            if (!s->is_cleared) {
                c->counts.n_evicted++;
                s->n_evicted++;
            }
            dc_entry_remove(x, g->head);
        }
        is_done = g->head == DC_NO_ENTRY;
        dc_unlock_step(c);
    }
}

static void nap(void)
{
    struct mni_mutex lock;
    struct mni_cond never;

    mni_mutex_init(&lock);
    mni_cond_init(&never);
    mni_mutex_lock(&lock);
    (void)mni_cond_wait_for(&never, &lock, NAP_US);
    mni_mutex_unlock(&lock);
    mni_cond_done(&never);
    mni_mutex_done(&lock);
}

static mn_status look_for_file(struct mni_diskcache *c, uint64_t file_number, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mni_dir *rocks = NULL;
    struct mni_file *file = NULL;

    dc_place_file_name(file_number, name);
    mn_status st = dc_place_rocks(c->dir, false, &rocks, err);
    if (st == MN_OK)
        st = mni_dir_open_file(rocks, name, MNI_OPEN_READ, &file, err);
    mni_file_close(file);
    mni_dir_close(rocks);
    return st;
}

/* A file that was removed takes its space until the flushes that began before have ended. */
static mn_status await_space(struct mni_diskcache *c, uint64_t file_number, struct mn_error *err)
{
    int n_naps = 0;
    mn_status st = look_for_file(c, file_number, err);

    while (st == MN_OK && n_naps < NAPS_MAX) {
        n_naps += !dc_rocks_is_flushing(c->rocks);
        nap();
        st = look_for_file(c, file_number, err);
    }
    if (st == MN_OK)
        return mni_fail(err, MN_ERR_IO, "RocksDB does not remove its file %06" PRIu64 ".sst",
                        file_number);
    if (st == MN_ERR_NOMEM)
        return mni_fail(err, MN_ERR_IO, "no memory to look for a file");
    return st == MN_NOT_FOUND ? MN_OK : st;
}

/* Whoever reads the file has finished before it goes. */
static mn_status drop_generation(struct mni_diskcache *c, uint32_t i, struct mn_error *err)
{
    struct dc_generation *g = c->index.generations[i];

    MNI_CHECK(g->is_file);
    evict_entries(c, g);
    if (c->drain.first == g->first)
        c->drain = (struct dc_drain){0};
    mni_rwlock_write(&c->files_lock);
    mn_status st = dc_rocks_remove_file(c->rocks, g->file_number, err);
    mni_rwlock_unlock(&c->files_lock);
    if (st == MN_OK)
        st = await_space(c, g->file_number, err);
    if (st != MN_OK)
        return st;
    mni_rwlock_write(&c->index_lock);
    c->generation_bytes -= g->file_bytes + DC_FILE_RECORD_BYTES;
    dc_generation_drop(&c->index, i);
    mni_rwlock_unlock(&c->index_lock);
    return MN_OK;
}

static mn_status free_some(struct mni_diskcache *c, struct mn_error *err)
{
    const struct dc_index *x = &c->index;

    if (x->generations[0]->is_file)
        return drop_generation(c, 0, err);
    if (x->n_generations == 1 && x->generations[0]->bytes_max == 0)
        return mni_fail(err, MN_ERR_NO_SPACE, "there is no more room to make in the cache");
    return dc_space_end_generation(c, true, err);
}

mn_status dc_space_keep(struct mni_diskcache *c, struct mn_error *err)
{
    mn_status st = MN_OK;

    while (st == MN_OK && dc_space_used(c) > c->max_bytes)
        st = free_some(c, err);
    return st;
}

/* The files that take the least to be made one: the first of so many neighbours, or n_generations.
 * The one that is drained is left alone. */
static uint32_t cheapest_to_merge(const struct mni_diskcache *c)
{
    const struct dc_index *x = &c->index;
    uint64_t least = UINT64_MAX;
    uint64_t bytes = 0;
    uint32_t n = 0;
    uint32_t found = x->n_generations;

    for (uint32_t i = c->drain.first == 0 ? 0 : 1; i < x->n_generations; i++) {
        const struct dc_generation *g = x->generations[i];
        if (!g->is_file || g->level != 1) {
            n = 0;
            bytes = 0;
            continue;
        }
        bytes += g->file_bytes;
        if (++n > MERGE_FILES)
            bytes -= x->generations[i - MERGE_FILES]->file_bytes;
        if (n >= MERGE_FILES && bytes < least) {
            least = bytes;
            found = i + 1 - MERGE_FILES;
        }
    }
    return found;
}

struct merged {
    uint64_t first; /* numbers of values */
    uint64_t last;
    struct dc_rocks_file file;
    uint32_t n_files;
};

static void look_for_merged(void *context, const struct dc_rocks_file *file)
{
    struct merged *m = context;

    if (file->last < m->first || file->first > m->last)
        return;
    m->file = *file;
    m->n_files++;
}

/* Without a bound of bytes nothing goes, so some files become one. Whoever reads meanwhile reads
 * the old ones. False: there are none, or RocksDB has not done it; its next write tells then. */
static bool merge_some(struct mni_diskcache *c)
{
    struct dc_index *x = &c->index;
    uint32_t i = cheapest_to_merge(c);

    if (i == x->n_generations)
        return false;
    struct dc_generation *g = x->generations[i];
    struct merged m = {.first = g->first, .last = x->generations[i + MERGE_FILES - 1]->last};
    dc_rocks_merge(c->rocks, m.first, m.last);
    dc_rocks_files(c->rocks, look_for_merged, &m);
    if (m.n_files != 1)
        return false;
    mni_rwlock_write(&c->index_lock);
    for (uint32_t k = i; k < i + MERGE_FILES; k++)
        c->generation_bytes -= x->generations[k]->file_bytes + DC_FILE_RECORD_BYTES;
    dc_generation_join(x, i, MERGE_FILES);
    c->generation_bytes += m.file.n_bytes + DC_FILE_RECORD_BYTES;
    g->file_bytes = m.file.n_bytes;
    g->file_number = m.file.file_number;
    g->level = m.file.level;
    mni_rwlock_unlock(&c->index_lock);
    return true;
}

mn_status dc_space_limit_files(struct mni_diskcache *c, struct mn_error *err)
{
    const struct dc_index *x = &c->index;
    mn_status st = MN_OK;

    if (c->max_bytes == UINT64_MAX) {
        /* A cache that has far more, from before, loses them by and by. */
        for (int i = 0; i < MERGES_MAX && x->n_generations > c->n_files_max; i++)
            if (!merge_some(c))
                break;
        return MN_OK;
    }
    while (st == MN_OK && x->n_generations > c->n_files_max && x->generations[0]->is_file)
        st = drop_generation(c, 0, err);
    return st;
}

mn_status dc_space_make(struct mni_diskcache *c, uint64_t value_bytes, uint64_t seal_bytes,
                        struct mn_error *err)
{
    const struct dc_generation *g = dc_generation_newest(&c->index);
    mn_status st = MN_OK;

    if (g->bytes_max > 0 && g->bytes_max + value_bytes > c->buffer_bytes)
        st = dc_space_end_generation(c, false, err);
    if (st == MN_OK)
        st = dc_space_limit_files(c, err);
    /* What is written by now takes less than was reserved for it. */
    if (st == MN_OK && !dc_space_has_room(c, value_bytes, seal_bytes))
        dc_space_refresh(c);
    while (st == MN_OK && !dc_space_has_room(c, value_bytes, seal_bytes))
        st = free_some(c, err);
    return st;
}

mn_status dc_space_drop_oldest(struct mni_diskcache *c, struct mn_error *err)
{
    return drop_generation(c, 0, err);
}
