/*
 * purge_snapshots.c - which snapshots still hold what was erased from the store.
 *
 * Owns:    the list that the receipt takes over.
 * Threads: any. The pool is locked as by a reader.
 * Fails:   MN_ERR_NOMEM, and when the pool is there but cannot be opened or listed. A snapshot that
 *          cannot be read, or a pool that is in use, is no failure: what may hold copies counts.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/job_private.h"

enum { NUMBERS_MAX = 2 };

/* Which groups of a snapshot's segments are looked through. */
struct numbers {
    uint64_t own[NUMBERS_MAX]; /* that the collection has: now, and when the snapshot was made */
    size_t n_own;
    uint64_t *known; /* owned; in order: of all collections of the snapshot */
    size_t n_known;
};

static int compare_numbers(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one;
    uint64_t b = *(const uint64_t *)other;

    return a < b ? -1 : a > b;
}

static mn_status find_numbers(const struct erased *e, const struct mni_snapshot *s,
                              struct numbers *numbers)
{
    numbers->known = mni_alloc_array(s->n_collections + 1, sizeof *numbers->known);
    if (numbers->known == NULL)
        return MN_ERR_NOMEM;
    if (e->collection != 0)
        numbers->own[numbers->n_own++] = e->collection;
    for (size_t i = 0; i < s->n_collections; i++) {
        const struct mni_snapshot_collection *c = &s->collections[i];
        numbers->known[numbers->n_known++] = c->number;
        if (c->kind == (uint32_t)e->kind && c->name.n_bytes == e->name.n_bytes &&
            memcmp(c->name.data, e->name.data, c->name.n_bytes) == 0 &&
            c->number != e->collection && numbers->n_own < NUMBERS_MAX)
            numbers->own[numbers->n_own++] = c->number;
    }
    qsort(numbers->known, numbers->n_known, sizeof *numbers->known, compare_numbers);
    return MN_OK;
}

/* Rows of a number that no collection of the snapshot has are dead: what they belonged to was
 * dropped before, and may have had this name. */
static bool are_wanted(const struct numbers *numbers, uint64_t number)
{
    for (size_t i = 0; i < numbers->n_own; i++)
        if (numbers->own[i] == number)
            return true;
    return number != 0 && bsearch(&number, numbers->known, numbers->n_known, sizeof *numbers->known,
                                  compare_numbers) == NULL;
}

/* MN_OK: the group has a row of it. MN_NOT_FOUND. */
static mn_status find_in_group(const struct erased *e, struct mni_segment *segment, uint64_t number)
{
    uint32_t row;
    mn_status st = MN_NOT_FOUND;

    if (e->keys == NULL)
        return MN_OK;
    for (size_t i = 0; i < e->n_keys && st == MN_NOT_FOUND; i++)
        st = mni_segment_find(segment, mni_key_hash(number, e->keys[i]), number, e->keys[i], &row,
                              NULL);
    return st;
}

static mn_status find_in_groups(const struct erased *e, struct mni_segment *segment,
                                const struct numbers *numbers)
{
    uint64_t n_groups = mni_segment_get_info(segment)->n_groups;
    mn_status st = MN_NOT_FOUND;

    for (uint64_t i = 0; i < n_groups && st == MN_NOT_FOUND; i++) {
        struct mni_segment_group group;
        mn_status read = mni_segment_group(segment, i, &group, NULL);
        if (read != MN_OK)
            return read;
        if (are_wanted(numbers, group.collection))
            st = find_in_group(e, segment, group.collection);
    }
    return st;
}

static mn_status find_in_file(const struct erased *e, struct mni_dir *seg_dir,
                              const struct mni_manifest_segment *s, const struct numbers *numbers)
{
    struct mni_segment_info expected = {
        .file_bytes = s->file_bytes, .footer_bytes = s->footer_bytes, .footer_crc = s->footer_crc};
    struct mni_segment *segment = NULL;
    uint32_t row;

    memcpy(expected.id.bytes, s->id, sizeof expected.id.bytes);
    mn_status st = mni_segment_open(seg_dir, &expected.id, &expected, &segment, NULL);
    if (st != MN_OK)
        return st == MN_NOT_FOUND ? MN_ERR_CORRUPT : st;
    st = find_in_groups(e, segment, numbers);
    if (st == MN_NOT_FOUND && e->keys == NULL)
        st = mni_segment_find(segment, mni_key_hash(0, e->row_key), 0, e->row_key, &row, NULL);
    mni_segment_unref(segment);
    return st;
}

/* MN_NOT_FOUND: it certainly holds nothing. */
static mn_status find_in_snapshot(const struct erased *e, struct mni_pool_dir *pool,
                                  const struct mni_snapshot_id *id)
{
    struct mni_snapshot snapshot;
    struct mni_dir *seg_dir = NULL;
    struct numbers numbers = {.n_own = 0};
    mn_status st = mni_pool_load(pool, id, &snapshot, NULL);

    if (st != MN_OK)
        return st;
    const struct mni_manifest *m = &snapshot.manifest;
    st = find_numbers(e, &snapshot, &numbers);
    if (st == MN_OK)
        st = mni_pool_show(pool, &snapshot, &seg_dir, NULL);
    if (st == MN_OK)
        st = MN_NOT_FOUND;
    for (size_t i = 0; i < m->n_segments && st == MN_NOT_FOUND; i++)
        st = find_in_file(e, seg_dir, &m->segments[i], &numbers);
    mni_dir_close(seg_dir);
    mni_free(numbers.known);
    mni_snapshot_done(&snapshot);
    return st;
}

/* MN_OK with no pool: there is none. */
static mn_status open_pool(const struct erased *e, const char *path, struct mni_pool_dir **pool_out,
                           struct mn_error *err)
{
    mn_status st = mni_pool_open(e->engine->env, path, false, pool_out, err);

    /* MN_ERR_INVALID: the directory holds other things, and no snapshots. */
    return st == MN_NOT_FOUND || st == MN_ERR_INVALID ? MN_OK : st;
}

mn_status purge_find_snapshots(const struct erased *e, struct mni_purge_receipt *receipt,
                               struct mn_error *err)
{
    char path[MNI_PATH_BYTES_MAX];
    struct mni_pool_dir *pool = NULL;
    struct mn_error why = {0};
    size_t n = 0;
    mn_status st = mni_engine_pool_path(e->engine, path, &why);

    if (st == MN_OK)
        st = open_pool(e, path, &pool, &why);
    if (st == MN_OK && pool != NULL)
        st = mni_pool_list(pool, &receipt->snapshots, &n, &why);
    /* Where somebody removes some, those that are left may still hold it. */
    bool is_locked = n > 0 && mni_pool_lock(pool, MNI_POOL_READ, NULL) == MN_OK;
    for (size_t i = 0; i < n; i++)
        if (!is_locked || find_in_snapshot(e, pool, &receipt->snapshots[i]) != MN_NOT_FOUND)
            receipt->snapshots[receipt->n_snapshots++] = receipt->snapshots[i];
    mni_pool_close(pool);
    if (st == MN_OK)
        return MN_OK;
    /* Damage is for what cannot be erased. */
    return mni_fail(err, st == MN_ERR_CORRUPT ? MN_ERR_IO : st,
                    "the records are erased from the store, but which snapshots hold copies cannot "
                    "be found out: %s",
                    why.message);
}
