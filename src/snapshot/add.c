/*
 * add.c - makes a state of a store a snapshot in a pool; and gives its files back to a store.
 *
 * Owns:    nothing between calls.
 * Format:  docs/format/snapshot.md
 * Threads: one adder at a time, which the lock sees to.
 * Fails:   leaves nothing visible, and gives space back as far as that can be.
 */
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "snapshot/snapshot_private.h"

/* Parents ----------*/

bool mni_snapshot_is_like(const struct mni_snapshot *snapshot, const struct mni_snapshot *other)
{
    return ((snapshot->flags ^ other->flags) & MNI_SNAPSHOT_WITHOUT_METADATA) == 0;
}

bool mni_snapshot_follows(const struct mni_snapshot *snapshot, const struct mni_snapshot *parent)
{
    const struct mni_timeline *ours = snapshot->timelines;
    const struct mni_timeline *theirs = parent->timelines;
    size_t n = parent->n_timelines;

    if (memcmp(snapshot->manifest.store_id, parent->manifest.store_id, MNI_MANIFEST_ID_BYTES) != 0)
        return false;
    if (!mni_snapshot_is_like(snapshot, parent))
        return false;
    if (parent->manifest.lsn > snapshot->manifest.lsn || n > snapshot->n_timelines)
        return false;
    for (size_t i = 0; i < n; i++)
        if (ours[i].incarnation != theirs[i].incarnation ||
            ours[i].began_lsn != theirs[i].began_lsn || ours[i].from_lsn != theirs[i].from_lsn)
            return false;
    /* What came behind the state that the next timeline began from is no past of it. */
    return n == snapshot->n_timelines || parent->manifest.lsn <= ours[n].from_lsn;
}

/* The files that the parent holds, too. */
static bool holds(const struct mni_snapshot *parent, const struct pool_file *file)
{
    const struct mni_manifest *m = &parent->manifest;
    const struct mni_manifest_segment *s = mni_manifest_find(m, file->segment_id);

    if (s == NULL)
        return false;
    if (file->generation == 0)
        return s->footer_crc == file->crc && s->file_bytes == file->file_bytes;
    for (size_t i = 0; i < s->n_lives; i++) {
        const struct mni_manifest_live *live = &m->lives[s->first_live + i];
        if (live->generation == file->generation)
            return live->crc == file->crc && live->file_bytes == file->file_bytes;
    }
    return false;
}

static mn_status check_parent(const struct mni_snapshot *s, const struct mni_snapshot *parent,
                              struct mn_error *err)
{
    bool is_full = mni_snapshot_id_is_zero(&s->parent);

    if (is_full != (parent == NULL) || is_full == ((s->flags & MNI_SNAPSHOT_INCREMENTAL) != 0))
        return mni_fail(err, MN_ERR_INVALID, "an incremental snapshot has a parent, others none");
    if (parent == NULL)
        return MN_OK;
    if (memcmp(&s->parent, &parent->id, sizeof s->parent) != 0 || !mni_snapshot_follows(s, parent))
        return mni_fail(err, MN_ERR_INVALID,
                        "the parent is of another store, or of another timeline or later LSN, or "
                        "one of the two is without metadata");
    return MN_OK;
}

static mn_status sum_up(struct mni_snapshot *s, const struct mni_snapshot *parent,
                        struct mn_error *err)
{
    struct file_cursor cursor = {0};
    struct pool_file file;

    s->n_records = s->n_bytes = s->own_bytes = s->n_files = s->n_own_files = s->stored_bytes = 0;
    memset(s->parent_digest, 0, sizeof s->parent_digest);
    s->parent_lsn = 0;
    if (parent != NULL) {
        memcpy(s->parent_digest, parent->digest, sizeof s->parent_digest);
        s->parent_lsn = parent->manifest.lsn;
    }
    for (size_t i = 0; i < s->n_collections; i++)
        if (__builtin_add_overflow(s->n_records, s->collections[i].n_records, &s->n_records))
            return mni_fail(err, MN_ERR_INVALID, "more records than can be counted");
    while (snapshot_next_file(s, &cursor, &file)) {
        bool is_own = parent == NULL || !holds(parent, &file);
        if (__builtin_add_overflow(s->n_bytes, file.file_bytes, &s->n_bytes))
            return mni_fail(err, MN_ERR_INVALID, "more bytes than can be counted");
        s->n_files++;
        s->own_bytes += is_own ? file.file_bytes : 0;
        s->n_own_files += is_own;
    }
    return MN_OK;
}

/* Adding ----------*/

/* Writes the file of the snapshot under its passing name, whole and durable. */
static mn_status write_new(struct mni_pool_dir *pool, const char *name, const unsigned char *bytes,
                           uint64_t n, struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_unlink(pool->dir, name, err);

    if (st == MN_OK || st == MN_NOT_FOUND)
        st = mni_dir_open_file(pool->dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, err);
    if (st != MN_OK)
        return pool_as_error(st, err);
    st = mni_file_write(file, 0, bytes, n, err);
    if (st == MN_OK && !MNI_PLANTED("pool_snapshot_not_synced"))
        st = mni_file_sync(file, err);
    mni_file_close(file);
    if (st != MN_OK)
        mni_ignore(mni_dir_unlink(pool->dir, name, NULL));
    return pool_as_error(st, err);
}

static mn_status check_is_new(struct mni_pool_dir *pool, const char *name, struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(pool->dir, name, MNI_OPEN_READ, &file, err);

    mni_file_close(file);
    if (st == MN_NOT_FOUND)
        return MN_OK;
    return st == MN_OK ? mni_fail(err, MN_EXISTS, "%s is there already", name) : st;
}

/* `is_in_doubt_out`: the snapshot may be there in spite of an error. */
static mn_status publish(struct mni_pool_dir *pool, struct mni_snapshot *s, bool *is_in_doubt_out,
                         struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    char new_name[MNI_NAME_BYTES_MAX];
    unsigned char *bytes = NULL;
    uint64_t n = 0;

    pool_snapshot_name(&s->id, "", name);
    pool_snapshot_name(&s->id, pool_new_suffix, new_name);
    mn_status st = snapshot_encode(s, &bytes, &n, err);
    if (st == MN_OK)
        st = write_new(pool, new_name, bytes, n, err);
    mni_free(bytes);
    if (st != MN_OK)
        return st;
    st = mni_dir_rename(pool->dir, new_name, name, err);
    /* An I/O error may come after the change, all others come before it. */
    *is_in_doubt_out = st == MN_ERR_IO;
    if (st != MN_OK) {
        mni_ignore(mni_dir_unlink(pool->dir, new_name, NULL));
        return pool_as_error(st, err);
    }
    if (!MNI_PLANTED("pool_name_not_synced"))
        st = pool_as_error(mni_dir_sync(pool->dir, err), err);
    *is_in_doubt_out = st != MN_OK;
    return st;
}

static mn_status new_stored(struct mni_snapshot *s, struct mn_error *err)
{
    mni_free(s->stored);
    s->stored = NULL;
    if ((s->flags & MNI_SNAPSHOT_COMPRESSED) == 0)
        return MN_OK;
    s->stored = mni_alloc_zero(s->manifest.n_segments * sizeof *s->stored);
    return s->stored == NULL ? mni_fail(err, MN_ERR_NOMEM, "sizes of files") : MN_OK;
}

static void sum_stored(struct mni_snapshot *s)
{
    struct file_cursor cursor = {0};
    struct pool_file file;

    while (snapshot_next_file(s, &cursor, &file))
        s->stored_bytes += file.stored_bytes;
}

/* The files come into the pool; what they are is summed up. */
static mn_status bring_files(struct carry *carry, struct mni_snapshot *s,
                             const struct mni_snapshot *parent, const struct mni_manifest *source,
                             struct mn_error *err)
{
    mn_status st;

    if ((s->flags & MNI_SNAPSHOT_WITHOUT_METADATA) == 0) {
        st = sum_up(s, parent, err);
        return st == MN_OK ? carry_all(carry, err) : st;
    }
    st = bare_all(carry, s, source, parent, err);
    if (st != MN_OK)
        return st;
    if (s->timelines == source->timelines)
        s->timelines = s->manifest.timelines;
    st = sum_up(s, parent, err);
    if (st != MN_OK)
        carry_undo(carry);
    return st;
}

/* Which of the two manifests stays: that of what was added, or the one that came. */
static void choose_manifest(struct mni_snapshot *s, struct mni_manifest *source, bool is_added)
{
    if ((s->flags & MNI_SNAPSHOT_WITHOUT_METADATA) == 0)
        return;
    if (is_added) {
        mni_manifest_done(source);
        return;
    }
    if (s->timelines == s->manifest.timelines)
        s->timelines = source->timelines;
    mni_manifest_done(&s->manifest);
    s->manifest = *source;
}

mn_status mni_pool_add(struct mni_pool_dir *pool, struct mni_snapshot *snapshot,
                       const struct mni_snapshot *parent, struct mni_dir *seg_dir,
                       const struct mni_progress *progress, struct mn_error *err)
{
    struct carry carry = {.snapshot = snapshot,
                          .from = seg_dir,
                          .to = pool->files,
                          .is_to_pool = true,
                          .progress = progress};
    struct mni_manifest source = snapshot->manifest;
    char name[MNI_NAME_BYTES_MAX];
    bool is_in_doubt = false;

    MNI_CHECK(pool->is_locked && pool->lock != MNI_POOL_READ);
    mn_status st = check_parent(snapshot, parent, err);
    if (st == MN_OK)
        st = new_stored(snapshot, err);
    pool_snapshot_name(&snapshot->id, "", name);
    if (st == MN_OK)
        st = check_is_new(pool, name, err);
    if (st != MN_OK)
        return st;
    carry.stored = snapshot->stored;
    if (MNI_PLANTED("pool_published_first")) {
        st = sum_up(snapshot, parent, err);
        if (st == MN_OK)
            st = publish(pool, snapshot, &is_in_doubt, err);
        if (st == MN_OK)
            st = carry_all(&carry, err);
        carry_done(&carry);
        return st;
    }
    st = bring_files(&carry, snapshot, parent, &source, err);
    if (st == MN_OK) {
        sum_stored(snapshot);
        st = publish(pool, snapshot, &is_in_doubt, err);
        if (st != MN_OK && !is_in_doubt)
            carry_undo(&carry);
    }
    carry_done(&carry);
    choose_manifest(snapshot, &source, st == MN_OK);
    return st;
}

/* Giving back ----------*/

mn_status mni_pool_give(struct mni_pool_dir *pool, const struct mni_snapshot *snapshot,
                        struct mni_dir *seg_dir, const struct mni_progress *progress,
                        struct mn_error *err)
{
    struct carry carry = {
        .snapshot = snapshot, .from = pool->files, .to = seg_dir, .progress = progress};

    MNI_CHECK(pool->is_locked);
    mn_status st = carry_all(&carry, err);
    carry_done(&carry);
    return st;
}
