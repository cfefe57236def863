/*
 * carry.c - the files of a snapshot, from a store to a pool or back: linked, else cloned, else
 * copied.
 *
 * Owns:    a mark per file that it made.
 * Format:  docs/format/snapshot.md
 * Threads: one at a time per directory that is written to.
 * Fails:   takes away again what it made, as far as that can be.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "snapshot/snapshot_private.h"

enum { LABEL_BYTES = MNI_NAME_BYTES_MAX + 8 };

mn_status pool_as_error(mn_status st, struct mn_error *err)
{
    if (st <= MN_OK)
        return st;
    if (err != NULL)
        err->status = MN_ERR_IO;
    return MN_ERR_IO;
}

/* A file on its way. */
struct item {
    struct pool_file file;
    char from_name[MNI_NAME_BYTES_MAX];
    char to_name[MNI_NAME_BYTES_MAX];
    char from_label[LABEL_BYTES];
    char to_label[LABEL_BYTES];
    uint64_t from_bytes; /* 0: not known */
    uint64_t to_bytes;
    bool may_be_direct; /* both lengths are multiples of what that takes, and it pays */
};

static void item_init(const struct carry *carry, struct item *item)
{
    bool is_segment = item->file.generation == 0;
    uint64_t stored = item->file.stored_bytes;

    if (carry->is_to_pool) {
        pool_file_store_name(&item->file, item->from_name);
        pool_file_name(&item->file, item->to_name);
    } else {
        pool_file_name(&item->file, item->from_name);
        pool_file_store_name(&item->file, item->to_name);
    }
    (void)snprintf(item->from_label, LABEL_BYTES, "%s/%s", carry->is_to_pool ? "seg" : "files",
                   item->from_name);
    (void)snprintf(item->to_label, LABEL_BYTES, "%s/%s", carry->is_to_pool ? "files" : "seg",
                   item->to_name);
    item->from_bytes = carry->is_to_pool ? item->file.file_bytes : stored;
    item->to_bytes = carry->is_to_pool ? stored : item->file.file_bytes;
    item->may_be_direct = is_segment;
}

mn_status pool_find_file(struct mni_dir *files, const char *name, const char *label,
                         uint64_t *n_bytes, struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(files, name, MNI_OPEN_READ, &file, err);

    mni_file_close(file);
    if (st != MN_OK)
        return st;
    st = passage_open(files, name, label, false, n_bytes, &file, err);
    mni_file_close(file);
    return st;
}

/* Copying ----------*/

static mn_status new_target(const struct carry *carry, bool is_direct, struct mni_file **file_out,
                            struct mn_error *err)
{
    unsigned flags = MNI_OPEN_WRITE | MNI_OPEN_CREATE;
    mn_status st = mni_dir_unlink(carry->to, pool_copying_name, err);

    if (st != MN_OK && st != MN_NOT_FOUND)
        return st;
    st = MN_ERR_UNSUPPORTED;
    if (is_direct)
        st =
            mni_dir_open_file(carry->to, pool_copying_name, flags | MNI_OPEN_DIRECT, file_out, err);
    if (st == MN_ERR_UNSUPPORTED)
        st = mni_dir_open_file(carry->to, pool_copying_name, flags, file_out, err);
    return pool_as_error(st, err);
}

static mn_status fill_target(struct carry *carry, struct item *item, struct mni_file *from,
                             struct mni_file *to, struct mn_error *err)
{
    struct passage passage = {
        .file = &item->file,
        .label = item->from_label,
        .from = from,
        .is_from_compressed = item->file.is_compressed && !carry->is_to_pool,
        .from_bytes = item->from_bytes,
        .to = to,
        .is_to_compressed = item->file.is_compressed && carry->is_to_pool,
        .progress = carry->progress,
        .n_done_before = carry->n_done,
        .n_total = carry->n_total,
    };
    mn_status st = MN_ERR_UNSUPPORTED;

    if (!item->file.is_compressed)
        st = pool_as_error(mni_file_clone(to, from, err), err);
    if (st == MN_ERR_UNSUPPORTED && !passage.is_to_compressed)
        st = mni_file_allocate(to, item->file.file_bytes, err);
    else if (st == MN_OK)
        return MN_OK;
    if (st != MN_OK && st != MN_ERR_UNSUPPORTED)
        return pool_as_error(st, err);
    st = passage_run(&passage, err);
    item->to_bytes = passage.to_bytes;
    return st;
}

static mn_status copy(struct carry *carry, struct item *item, bool *was_made, struct mn_error *err)
{
    bool is_compressed = item->file.is_compressed;
    /* What comes out of a pool has just been verified, and lies in the page cache if it fits. */
    bool is_from_direct = item->may_be_direct && carry->is_to_pool;
    struct mni_file *from = NULL;
    struct mni_file *to = NULL;

    mn_status st = passage_open(carry->from, item->from_name, item->from_label, is_from_direct,
                                &item->from_bytes, &from, err);
    if (st != MN_OK)
        return st;
    st = new_target(carry, item->may_be_direct && !(is_compressed && carry->is_to_pool), &to, err);
    if (st == MN_OK)
        st = fill_target(carry, item, from, to, err);
    if (st == MN_OK && !MNI_PLANTED("pool_copy_not_synced"))
        st = pool_as_error(mni_file_sync(to, err), err);
    mni_file_close(from);
    if (st == MN_OK) {
        *was_made = true; /* also when the answer is an error that came after the change */
        st = pool_as_error(mni_dir_rename(carry->to, pool_copying_name, item->to_name, err), err);
    }
    if (st != MN_OK && to != NULL)
        mni_ignore(mni_dir_unlink(carry->to, pool_copying_name, NULL));
    mni_file_close(to);
    return st;
}

mn_status carry_compress(struct carry *carry, struct pool_file *file, const char *from_name,
                         bool *was_made, struct mn_error *err)
{
    struct carry here = *carry;
    struct item item = {.file = *file};

    MNI_CHECK(file->is_compressed && carry->is_to_pool);
    here.from = carry->to;
    item_init(&here, &item);
    (void)snprintf(item.from_name, sizeof item.from_name, "%s", from_name);
    (void)snprintf(item.from_label, LABEL_BYTES, "files/%s", from_name);
    mn_status st = copy(&here, &item, was_made, err);
    file->stored_bytes = item.to_bytes;
    return st;
}

/* Linking ----------*/

/* What is there now has the right length. */
static mn_status check_target(const struct carry *carry, struct item *item, const char *label,
                              struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st =
        passage_open(carry->to, item->to_name, label, false, &item->to_bytes, &file, err);

    mni_file_close(file);
    return st;
}

/* Nothing was found: the file, or the directory that it should go to? */
static mn_status explain_not_found(const struct carry *carry, const struct item *item,
                                   struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(carry->from, item->from_name, MNI_OPEN_READ, &file, err);

    mni_file_close(file);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_CORRUPT, "%s is missing", item->from_label);
    return st == MN_OK ? mni_fail(err, MN_ERR_IO, "%s: its directory has gone", item->to_label)
                       : st;
}

/* MN_ERR_UNSUPPORTED: it has to be copied. */
static mn_status link_file(struct carry *carry, struct item *item, bool *was_made,
                           struct mn_error *err)
{
    mn_status st = mni_dir_link(carry->to, item->to_name, carry->from, item->from_name, err);

    if (st == MN_EXISTS)
        return check_target(carry, item, item->to_label, err);
    if (st == MN_NOT_FOUND)
        return explain_not_found(carry, item, err);
    if (st == MN_OK) {
        *was_made = true;
        return check_target(carry, item, item->from_label, err);
    }
    return st;
}

static mn_status carry_item(struct carry *carry, struct item *item, bool *was_made,
                            struct mn_error *err)
{
    mn_status st = MN_ERR_UNSUPPORTED;

    if (!item->file.is_compressed) {
        st = link_file(carry, item, was_made, err);
        if (st != MN_ERR_UNSUPPORTED)
            return pool_as_error(st, err);
    }
    st = pool_find_file(carry->to, item->to_name, item->to_label, &item->to_bytes, err);
    return st == MN_NOT_FOUND ? copy(carry, item, was_made, err) : st;
}

/* All ----------*/

void carry_undo(struct carry *carry)
{
    struct file_cursor cursor = {0};
    char name[MNI_NAME_BYTES_MAX];
    struct pool_file file;

    for (size_t i = 0; snapshot_next_file(carry->snapshot, &cursor, &file); i++) {
        if (!carry->made[i] && !MNI_PLANTED("pool_undo_takes_all"))
            continue;
        if (carry->is_to_pool)
            pool_file_name(&file, name);
        else
            pool_file_store_name(&file, name);
        mni_ignore(mni_dir_unlink(carry->to, name, NULL));
    }
}

void carry_done(struct carry *carry)
{
    mni_free(carry->made);
    carry->made = NULL;
}

/* Counts, and makes room for the marks. */
static mn_status begin(struct carry *carry, struct mn_error *err)
{
    struct file_cursor cursor = {0};
    struct pool_file file;
    size_t n = 0;

    for (; snapshot_next_file(carry->snapshot, &cursor, &file); n++)
        carry->n_total += file.file_bytes;
    carry->made = mni_alloc_zero(n * sizeof *carry->made);
    return carry->made == NULL ? mni_fail(err, MN_ERR_NOMEM, "marks of %zu files", n) : MN_OK;
}

static mn_status tell(const struct carry *carry, struct mn_error *err)
{
    const struct mni_progress *progress = carry->progress;

    if (progress == NULL || progress->each == NULL)
        return MN_OK;
    return progress->each(progress->context, carry->n_done, carry->n_total, err);
}

mn_status carry_all(struct carry *carry, struct mn_error *err)
{
    struct file_cursor cursor = {0};
    struct item item;
    mn_status st = begin(carry, err);

    if (st != MN_OK)
        return st;
    for (size_t i = 0; st == MN_OK && snapshot_next_file(carry->snapshot, &cursor, &item.file);
         i++) {
        item_init(carry, &item);
        st = carry_item(carry, &item, &carry->made[i], err);
        carry->n_done += item.file.file_bytes;
        if (st == MN_OK && carry->stored != NULL && item.file.generation == 0)
            carry->stored[cursor.segment] = item.to_bytes;
        if (st == MN_OK)
            st = tell(carry, err);
    }
    if (st == MN_OK && !MNI_PLANTED("pool_files_not_synced"))
        st = pool_as_error(mni_dir_sync(carry->to, err), err);
    if (st != MN_OK)
        carry_undo(carry);
    return st;
}
