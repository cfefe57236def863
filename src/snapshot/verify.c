/*
 * verify.c - reads all of a snapshot, and the snapshots that it was made against.
 *
 * Owns:    nothing between calls.
 * Format:  docs/format/snapshot.md
 * Threads: one at a time per handle of a pool.
 * Fails:   MN_ERR_CORRUPT with the first damage, once all was read; anything else at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/plant.h"
#include "segment/bare.h"
#include "snapshot/snapshot_private.h"

struct verification {
    struct mni_pool_dir *pool;
    const struct mni_snapshot *snapshot;
    const struct mni_progress *progress; /* may be NULL */
    mni_damage_fn *damage;               /* may be NULL */
    void *context;
    bool is_cached;        /* reads through the page cache */
    struct mni_dir *shown; /* owned: the files by their names in a store; NULL: not needed */
    uint64_t n_bytes_done;
    mn_status status; /* of the first damage */
    struct mn_error first;
};

/* Takes in what became of a file. MN_OK: goes on, also where it is damaged. */
static mn_status note(struct verification *v, mn_status st, const struct mn_error *what,
                      struct mn_error *err)
{
    if (st == MN_OK)
        return MN_OK;
    if (st != MN_ERR_CORRUPT) {
        if (err != NULL)
            *err = *what;
        return st;
    }
    if (v->status == MN_OK) {
        v->status = st;
        v->first = *what;
    }
    if (v->damage != NULL)
        v->damage(v->context, what);
    return MN_OK;
}

/* Files ----------*/

static mn_status verify_file(struct verification *v, const struct pool_file *file,
                             struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    char label[MNI_NAME_BYTES_MAX + 8];
    uint64_t n = file->stored_bytes;
    struct mni_file *from = NULL;
    bool is_direct = file->generation == 0 && !file->is_compressed && !v->is_cached;

    pool_file_name(file, name);
    (void)snprintf(label, sizeof label, "files/%s", name);
    mn_status st = passage_open(v->pool->files, name, label, is_direct, &n, &from, err);
    if (st != MN_OK)
        return st;
    struct passage passage = {
        .file = file,
        .label = label,
        .from = from,
        .is_from_compressed = file->is_compressed,
        .from_bytes = n,
        .progress = v->progress,
        .n_done_before = v->n_bytes_done,
        .n_total = v->snapshot->n_bytes,
    };
    st = passage_run(&passage, err);
    mni_file_close(from);
    return st;
}

/* What a snapshot says that it has not, it must not have. */
static mn_status verify_bare(struct verification *v, const struct pool_file *file,
                             struct mn_error *err)
{
    struct mni_segment_info expected = {.file_bytes = file->file_bytes,
                                        .footer_bytes = file->footer_bytes,
                                        .footer_crc = file->crc};
    struct mni_segment *segment = NULL;

    if (v->shown == NULL || file->generation != 0)
        return MN_OK;
    memcpy(expected.id.bytes, file->segment_id, sizeof expected.id.bytes);
    mn_status st = mni_segment_open(v->shown, &expected.id, &expected, &segment, err);
    if (st == MN_OK)
        st = mni_bare_check(segment, err);
    mni_segment_unref(segment);
    return pool_as_error(st, err);
}

static mn_status verify_files(struct verification *v, struct mn_error *err)
{
    const unsigned kind = v->snapshot->flags &
                          (MNI_SNAPSHOT_WITHOUT_METADATA | MNI_SNAPSHOT_COMPRESSED);
    struct file_cursor cursor = {0};
    struct pool_file file;
    mn_status st = MN_OK;

    if (kind == MNI_SNAPSHOT_WITHOUT_METADATA)
        st = mni_pool_show(v->pool, v->snapshot, &v->shown, err);
    while (st == MN_OK && snapshot_next_file(v->snapshot, &cursor, &file)) {
        struct mn_error what = {0};
        mn_status found = verify_file(v, &file, &what);
        if (found == MN_OK)
            found = verify_bare(v, &file, &what);
        st = note(v, found, &what, err);
        v->n_bytes_done += file.file_bytes;
    }
    mni_dir_close(v->shown);
    return st;
}

/* The chain ----------*/

/* Its own file still says what the caller has. */
static mn_status verify_self(struct verification *v, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mni_snapshot again;
    mn_status st = mni_pool_load(v->pool, &v->snapshot->id, &again, err);

    pool_snapshot_name(&v->snapshot->id, "", name);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_CORRUPT, "%s is missing", name);
    if (st == MN_OK && memcmp(again.digest, v->snapshot->digest, sizeof again.digest) != 0)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s is another one than before", name);
    mni_snapshot_done(&again);
    return st;
}

static mn_status check_link(const struct mni_snapshot *child, const struct mni_snapshot *parent,
                            struct mn_error *err)
{
    char parent_name[MNI_NAME_BYTES_MAX];
    char name[MNI_NAME_BYTES_MAX];

    pool_snapshot_name(&parent->id, "", parent_name);
    pool_snapshot_name(&child->id, "", name);
    if (memcmp(child->parent_digest, parent->digest, sizeof parent->digest) != 0 &&
        !MNI_PLANTED("pool_parent_not_checked"))
        return mni_fail(err, MN_ERR_CORRUPT, "%s is not the snapshot that %s was made against",
                        parent_name, name);
    if (!mni_snapshot_follows(child, parent))
        return mni_fail(err, MN_ERR_CORRUPT,
                        "%s is of another store, timeline, kind or later LSN than %s, which names "
                        "it as its parent",
                        parent_name, name);
    return MN_OK;
}

static bool was_seen(const struct mni_buf *seen, const struct mni_snapshot_id *id)
{
    for (size_t i = 0; i < seen->n_bytes; i += sizeof *id)
        if (memcmp(seen->data + i, id, sizeof *id) == 0)
            return true;
    return false;
}

/* Loads the parent of `child`, if there is one, and checks it. `parent_out` is empty if not. */
static mn_status take_parent(struct verification *v, struct mni_buf *seen,
                             const struct mni_snapshot *child, struct mni_snapshot *parent_out,
                             struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];

    if (mni_buf_append(seen, &child->id, sizeof child->id) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "chain of snapshots");
    pool_snapshot_name(&child->id, "", name);
    if (was_seen(seen, &child->parent))
        return mni_fail(err, MN_ERR_CORRUPT, "%s: its parents lead back to themselves", name);
    mn_status st = mni_pool_load(v->pool, &child->parent, parent_out, err);
    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st == MN_OK)
        st = check_link(child, parent_out, err);
    if (st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED)
        mni_error_prefix(err, "a parent cannot be used; when it is deleted, this one stands alone");
    if (st != MN_OK)
        mni_snapshot_done(parent_out);
    return st;
}

static mn_status verify_chain(struct verification *v, struct mn_error *err)
{
    const struct mni_snapshot *child = v->snapshot;
    struct mni_snapshot last = {0};
    struct mni_buf seen = {0};
    mn_status st = MN_OK;

    while (st == MN_OK && !mni_snapshot_id_is_zero(&child->parent)) {
        struct mni_snapshot parent = {0};
        st = take_parent(v, &seen, child, &parent, err);
        mni_snapshot_done(&last);
        last = parent;
        child = &last;
    }
    mni_snapshot_done(&last);
    mni_buf_done(&seen);
    return st;
}

static mn_status verify(struct verification *v, struct mn_error *err)
{
    struct mn_error what = {0};

    MNI_CHECK(v->pool->is_locked);
    mn_status st = note(v, verify_self(v, &what), &what, err);
    if (st == MN_OK) {
        what = (struct mn_error){0};
        st = note(v, verify_chain(v, &what), &what, err);
    }
    if (st == MN_OK)
        st = verify_files(v, err);
    if (st == MN_OK && v->status != MN_OK) {
        st = v->status;
        if (err != NULL)
            *err = v->first;
    }
    return st;
}

mn_status mni_pool_verify(struct mni_pool_dir *pool, const struct mni_snapshot *snapshot,
                          const struct mni_progress *progress, mni_damage_fn *damage, void *context,
                          struct mn_error *err)
{
    struct verification v = {.pool = pool,
                             .snapshot = snapshot,
                             .progress = progress,
                             .damage = damage,
                             .context = context};

    return verify(&v, err);
}

mn_status mni_pool_verify_cached(struct mni_pool_dir *pool, const struct mni_snapshot *snapshot,
                                 const struct mni_progress *progress, struct mn_error *err)
{
    struct verification v = {
        .pool = pool, .snapshot = snapshot, .progress = progress, .is_cached = true};

    return verify(&v, err);
}
