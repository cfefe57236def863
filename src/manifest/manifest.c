/*
 * manifest.c - a manifest in memory: built piece by piece, and checked as a whole.
 *
 * Owns:    the arrays of each manifest.
 * Threads: one at a time per manifest; readers of a finished one are free.
 * Fails:   MN_ERR_NOMEM while building; MN_ERR_CORRUPT for what contradicts itself.
 */
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "manifest/manifest_private.h"

void mni_manifest_done(struct mni_manifest *manifest)
{
    if (manifest == NULL)
        return;
    mni_free(manifest->runs);
    mni_free(manifest->segments);
    mni_free(manifest->lives);
    mni_free(manifest->timelines);
    mni_free(manifest->index);
    mni_buf_done(&manifest->keys);
    *manifest = (struct mni_manifest){0};
}

size_t mni_manifest_memory_bytes(const struct mni_manifest *manifest)
{
    return manifest->runs_capacity * sizeof *manifest->runs +
           manifest->segments_capacity * sizeof *manifest->segments +
           manifest->lives_capacity * sizeof *manifest->lives +
           manifest->n_timelines * sizeof *manifest->timelines +
           manifest->index_capacity * sizeof *manifest->index + manifest->keys.capacity_bytes;
}

/* Room for one more item in an array that grows by doubling; NULL when memory is short. */
static void *grown(void *items, size_t n_items, size_t *capacity, size_t item_bytes)
{
    size_t more = n_items < 8 ? 8 : n_items * 2;

    if (n_items < *capacity)
        return items;
    if (more > SIZE_MAX / item_bytes)
        return NULL;
    void *moved = mni_realloc(items, more * item_bytes);
    if (moved != NULL)
        *capacity = more;
    return moved;
}

static void forget_index(struct mni_manifest *manifest)
{
    mni_free(manifest->index);
    manifest->index = NULL;
    manifest->index_capacity = 0;
}

mn_status mni_manifest_add_run(struct mni_manifest *manifest)
{
    void *runs =
        grown(manifest->runs, manifest->n_runs, &manifest->runs_capacity, sizeof *manifest->runs);

    if (runs == NULL)
        return MN_ERR_NOMEM;
    forget_index(manifest);
    manifest->runs = runs;
    manifest->runs[manifest->n_runs++] =
        (struct mni_manifest_run){.first_segment = manifest->n_segments};
    return MN_OK;
}

/* The keys have moved: each segment's stand one behind the other, in order. */
static void point_keys(struct mni_manifest *manifest)
{
    const unsigned char *at = manifest->keys.data;

    for (size_t i = 0; i < manifest->n_segments; i++) {
        struct mni_manifest_segment *segment = &manifest->segments[i];
        segment->first.key.data = at;
        at += segment->first.key.n_bytes;
        segment->last.key.data = at;
        at += segment->last.key.n_bytes;
    }
    MNI_CHECK(at == manifest->keys.data + manifest->keys.n_bytes);
}

static bool key_is_sized(struct mn_slice key)
{
    return key.n_bytes >= 1 && key.n_bytes <= MNI_MANIFEST_KEY_BYTES_MAX;
}

mn_status mni_manifest_add_segment(struct mni_manifest *manifest,
                                   const struct mni_manifest_segment *segment)
{
    struct mn_slice first = segment->first.key;
    struct mn_slice last = segment->last.key;

    MNI_CHECK(manifest->n_runs > 0);
    MNI_CHECK(key_is_sized(first));
    MNI_CHECK(key_is_sized(last));
    void *segments = grown(manifest->segments, manifest->n_segments, &manifest->segments_capacity,
                           sizeof *manifest->segments);
    if (segments == NULL)
        return MN_ERR_NOMEM;
    manifest->segments = segments;
    size_t capacity = manifest->keys.capacity_bytes;
    if (mni_buf_reserve(&manifest->keys, first.n_bytes + last.n_bytes) != MN_OK)
        return MN_ERR_NOMEM;
    if (manifest->keys.capacity_bytes != capacity)
        point_keys(manifest);
    struct mni_manifest_segment *added = &manifest->segments[manifest->n_segments];
    *added = *segment;
    added->first.key.data = manifest->keys.data + manifest->keys.n_bytes;
    mni_ignore(mni_buf_append(&manifest->keys, first.data, first.n_bytes));
    added->last.key.data = manifest->keys.data + manifest->keys.n_bytes;
    mni_ignore(mni_buf_append(&manifest->keys, last.data, last.n_bytes));
    added->first_live = manifest->n_lives;
    added->n_lives = 0;
    manifest->n_segments++;
    manifest->runs[manifest->n_runs - 1].n_segments++;
    forget_index(manifest);
    return MN_OK;
}

mn_status mni_manifest_add_live(struct mni_manifest *manifest, const struct mni_manifest_live *live)
{
    MNI_CHECK(manifest->n_segments > 0);
    void *lives = grown(manifest->lives, manifest->n_lives, &manifest->lives_capacity,
                        sizeof *manifest->lives);
    if (lives == NULL)
        return MN_ERR_NOMEM;
    manifest->lives = lives;
    manifest->lives[manifest->n_lives++] = *live;
    manifest->segments[manifest->n_segments - 1].n_lives++;
    return MN_OK;
}

mn_status mni_manifest_set_timelines(struct mni_manifest *manifest,
                                     const struct mni_timeline *timelines, size_t n)
{
    struct mni_timeline *copies = NULL;

    MNI_CHECK(n <= MNI_MANIFEST_TIMELINES_MAX);
    if (n > 0) {
        copies = mni_alloc_array(n, sizeof *copies);
        if (copies == NULL)
            return MN_ERR_NOMEM;
        memcpy(copies, timelines, n * sizeof *copies);
    }
    mni_free(manifest->timelines);
    manifest->timelines = copies;
    manifest->n_timelines = n;
    return MN_OK;
}

static mn_status copy_segment(const struct mni_manifest *m, const struct mni_manifest_segment *s,
                              struct mni_manifest *copy)
{
    mn_status st = mni_manifest_add_segment(copy, s);

    for (size_t i = 0; i < s->n_lives && st == MN_OK; i++)
        st = mni_manifest_add_live(copy, &m->lives[s->first_live + i]);
    return st;
}

mn_status mni_manifest_copy(const struct mni_manifest *m, struct mni_manifest *copy_out)
{
    struct mni_manifest copy = {
        .number = m->number,
        .lsn = m->lsn,
        .time_us = m->time_us,
        .lsn_handed_out = m->lsn_handed_out,
        .last_time_us = m->last_time_us,
        .incarnation = m->incarnation,
        .next_segment = m->next_segment,
    };

    memcpy(copy.store_id, m->store_id, sizeof copy.store_id);
    mn_status st = mni_manifest_set_timelines(&copy, m->timelines, m->n_timelines);
    for (size_t r = 0; r < m->n_runs && st == MN_OK; r++) {
        st = mni_manifest_add_run(&copy);
        for (size_t i = 0; i < m->runs[r].n_segments && st == MN_OK; i++)
            st = copy_segment(m, &m->segments[m->runs[r].first_segment + i], &copy);
    }
    if (st != MN_OK) {
        mni_manifest_done(&copy);
        return st;
    }
    *copy_out = copy;
    return MN_OK;
}

/* Finding by id ----------*/

/* The slot of an id: where it stands, or the free one where it would. */
static size_t index_slot(const struct mni_manifest *manifest, const unsigned char *id)
{
    size_t mask = manifest->index_capacity - 1;
    size_t slot = (size_t)mni_hash(id, MNI_MANIFEST_ID_BYTES, 0) & mask;

    while (manifest->index[slot] != 0 &&
           memcmp(manifest->segments[manifest->index[slot] - 1].id, id, MNI_MANIFEST_ID_BYTES) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static mn_status build_index(struct mni_manifest *manifest, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    size_t capacity = 8;

    forget_index(manifest);
    while (capacity < manifest->n_segments * 2)
        capacity *= 2;
    manifest->index = mni_alloc_array(capacity, sizeof *manifest->index);
    if (manifest->index == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "index of %zu segments", manifest->n_segments);
    memset(manifest->index, 0, capacity * sizeof *manifest->index);
    manifest->index_capacity = capacity;
    for (size_t i = 0; i < manifest->n_segments; i++) {
        size_t slot = index_slot(manifest, manifest->segments[i].id);
        if (manifest->index[slot] != 0) {
            mni_manifest_segment_name(manifest->segments[i].id, name);
            forget_index(manifest);
            return mni_fail(err, MN_ERR_CORRUPT, "%s stands in it twice", name);
        }
        manifest->index[slot] = (uint32_t)(i + 1);
    }
    return MN_OK;
}

const struct mni_manifest_segment *mni_manifest_find(const struct mni_manifest *manifest,
                                                     const unsigned char *id)
{
    MNI_CHECK(manifest->index != NULL);
    size_t slot = index_slot(manifest, id);
    return manifest->index[slot] == 0 ? NULL : &manifest->segments[manifest->index[slot] - 1];
}

bool mni_manifest_has_name(const struct mni_manifest *manifest, const char *name)
{
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    uint64_t generation = 0;

    if (!mni_manifest_parse_name(name, id, &generation))
        return false;
    const struct mni_manifest_segment *segment = mni_manifest_find(manifest, id);
    if (segment == NULL)
        return false;
    if (generation == 0)
        return true;
    for (size_t i = 0; i < segment->n_lives; i++)
        if (manifest->lives[segment->first_live + i].generation == generation)
            return true;
    return false;
}

/* Checking ----------*/

static int compare_bounds(const struct mni_manifest_bound *a, const struct mni_manifest_bound *b)
{
    size_t n = a->key.n_bytes < b->key.n_bytes ? a->key.n_bytes : b->key.n_bytes;

    if (a->collection != b->collection)
        return a->collection < b->collection ? -1 : 1;
    int order = memcmp(a->key.data, b->key.data, n);
    if (order != 0)
        return order;
    return (a->key.n_bytes > b->key.n_bytes) - (a->key.n_bytes < b->key.n_bytes);
}

static uint64_t get_u64_be(const unsigned char *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* What is wrong with a segment by itself; NULL: nothing. */
static const char *segment_fault(const struct mni_manifest *m,
                                 const struct mni_manifest_segment *segment)
{
    if (segment->n_rows == 0 || segment->n_rows > MNI_MANIFEST_ROWS_MAX)
        return "its number of rows is out of range";
    if (segment->lsn_min == 0 || segment->lsn_min > segment->lsn_max)
        return "its LSNs are out of order";
    if (segment->lsn_max > m->lsn)
        return "it holds commits above the manifest's LSN";
    if (segment->footer_bytes == 0 || segment->footer_offset > segment->file_bytes ||
        segment->footer_bytes > segment->file_bytes - segment->footer_offset)
        return "its footer does not lie in the file";
    if (!key_is_sized(segment->first.key) || !key_is_sized(segment->last.key))
        return "a key has a wrong length";
    int order = compare_bounds(&segment->first, &segment->last);
    if (order > 0 || (segment->n_rows == 1 && order != 0))
        return "its first and last key contradict each other";
    uint64_t counter = get_u64_be(segment->id + 8);
    if (counter == 0)
        return "its number is 0";
    if (get_u64_be(segment->id) == m->incarnation && counter >= m->next_segment)
        return "its number was not handed out yet";
    uint64_t last_generation = 0;
    for (size_t i = 0; i < segment->n_lives; i++) {
        const struct mni_manifest_live *live = &m->lives[segment->first_live + i];
        if (live->generation <= last_generation)
            return "its liveness files are out of order";
        if (live->file_bytes == 0)
            return "one of its liveness files is empty";
        last_generation = live->generation;
    }
    return NULL;
}

static mn_status validate_run(const struct mni_manifest *m, const struct mni_manifest_run *run,
                              struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];

    if (run->n_segments == 0)
        return mni_fail(err, MN_ERR_CORRUPT, "a run without segments");
    for (size_t i = 0; i < run->n_segments; i++) {
        const struct mni_manifest_segment *segment = &m->segments[run->first_segment + i];
        const char *fault = segment_fault(m, segment);
        if (fault == NULL && i > 0 && compare_bounds(&segment[-1].last, &segment->first) >= 0)
            fault = "it overlaps with the one before it, or is out of order";
        if (fault == NULL)
            continue;
        mni_manifest_segment_name(segment->id, name);
        return mni_fail(err, MN_ERR_CORRUPT, "%s: %s", name, fault);
    }
    return MN_OK;
}

/* What is wrong with the history; NULL: nothing. */
static const char *history_fault(const struct mni_manifest *m)
{
    if (m->n_timelines > MNI_MANIFEST_TIMELINES_MAX)
        return "too many timelines";
    for (size_t i = 0; i < m->n_timelines; i++) {
        const struct mni_timeline *t = &m->timelines[i];
        if (t->incarnation == 0)
            return "a timeline without a number";
        if (i == 0 && (t->began_lsn != 0 || t->from_lsn != 0))
            return "the first timeline began from another one";
        if (t->from_lsn > t->began_lsn || t->began_lsn > m->lsn)
            return "a timeline's LSNs are out of order";
        if (i > 0 && (t->began_lsn < t[-1].began_lsn || t->from_lsn < t[-1].began_lsn))
            return "timelines are out of order";
    }
    return NULL;
}

mn_status mni_manifest_validate(struct mni_manifest *m, struct mn_error *err)
{
    size_t n_segments = 0;

    if (m->number == 0)
        return mni_fail(err, MN_ERR_CORRUPT, "number 0");
    if (m->next_segment == 0)
        return mni_fail(err, MN_ERR_CORRUPT, "the next segment has number 0");
    if (m->lsn_handed_out < m->lsn || m->last_time_us < m->time_us)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "LSN %" PRIu64 " at %" PRId64 " us, but the last one is %" PRIu64
                        " at %" PRId64 " us",
                        m->lsn, m->time_us, m->lsn_handed_out, m->last_time_us);
    if (history_fault(m) != NULL)
        return mni_fail(err, MN_ERR_CORRUPT, "%s", history_fault(m));
    for (size_t i = 0; i < m->n_runs; i++) {
        MNI_CHECK(m->runs[i].first_segment == n_segments);
        mn_status st = validate_run(m, &m->runs[i], err);
        if (st != MN_OK)
            return st;
        n_segments += m->runs[i].n_segments;
    }
    MNI_CHECK(n_segments == m->n_segments);
    return build_index(m, err);
}
