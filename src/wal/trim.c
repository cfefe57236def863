/*
 * trim.c - checkpoint marks, and giving space back.
 *
 * Owns:    nothing.
 * Format:  docs/format/wal.md
 * Threads: any; each call takes the leader's role.
 * Fails:   a mark that cannot be made durable poisons the log; a file that cannot be removed stays
 *          and is removed by a later call.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/plant.h"
#include "wal/wal_private.h"

enum {
    TAKEN_AT_ONCE = 8,             /* files that leave the list in one hold of the role */
    SMALL_SPARE_BYTES = 512 << 10, /* what a full disk leaves of the last spare */
};

/* Records of commits above `lsn` in one file, by its frame headers. */
static mn_status count_in_file(struct mni_wal *wal, const struct wal_file *file, uint64_t lsn,
                               uint64_t *n_records_out, struct mn_error *err)
{
    char name[WAL_NAME_BYTES];
    struct mni_file *handle = NULL;
    struct wal_scan scan;
    uint64_t n = 0;

    mn_status st = wal_open_for_reading(wal, file->header.first_lsn, name, &handle, err);
    if (st != MN_OK)
        return st;
    wal_scan_init(&scan, handle, name, &file->header);
    while (st == MN_OK && scan.offset < file->end) {
        struct wal_frame f;
        st = wal_scan_next(&scan, &f, NULL, err);
        if (st == MN_OK && f.lsn > lsn)
            n += f.n_records;
    }
    if (st == MN_END)
        st = mni_fail(err, MN_ERR_CORRUPT, "wal/%s: damaged at offset %" PRIu64, name, scan.offset);
    wal_scan_done(&scan);
    mni_file_close(handle);
    *n_records_out = n;
    return st;
}

/* Records of commits above `lsn` in the whole log. What is counted lies in the files already. */
mn_status wal_count_records_after(struct mni_wal *wal, uint64_t lsn, uint64_t *n_records_out,
                                  struct mn_error *err)
{
    uint64_t n = 0;

    for (size_t i = 0; i < wal->n_files; i++) {
        const struct wal_file *file = &wal->files[i];
        uint64_t in_file = file->n_records;
        if (file->last_lsn <= lsn)
            continue;
        if (file->header.prev_last_lsn < lsn) {
            mn_status st = count_in_file(wal, file, lsn, &in_file, err);
            if (st != MN_OK)
                return st;
        }
        n += in_file;
    }
    *n_records_out = n;
    return MN_OK;
}

/* Whether a checkpoint mark goes into the newest file as it is. A mark that lets a file go may use
 * up the reserve, all but the seal's: the next file may have no space before that one is gone. */
static bool mark_fits(struct mni_wal *wal, uint64_t lsn)
{
    const struct wal_header *newest = &wal_current_file(wal)->header;
    uint64_t end = wal_writer_end(&wal->writer);

    if (wal_frame_fits(newest, end, MARK_BYTES))
        return true;
    return wal->n_files > 1 && wal->files[0].last_lsn <= lsn &&
           end + (uint64_t)2 * MARK_BYTES <= newest->file_bytes;
}

static mn_status mark_checkpoint(struct mni_wal *wal, uint64_t lsn, struct mn_error *err)
{
    uint64_t n_after = 0;
    mn_status st = MN_OK;

    if (lsn > wal->newest_lsn)
        return mni_fail(err, MN_ERR_INVALID,
                        "checkpoint at LSN %" PRIu64 ", the newest LSN is %" PRIu64, lsn,
                        wal->newest_lsn);
    if (lsn <= wal->checkpoint_lsn)
        return MN_OK;
    st = wal_writer_put_out(wal, MN_ACK_OS, err);
    if (st == MN_OK && lsn == wal->noted_lsn)
        n_after = wal->n_records_logged - wal->noted_records;
    else if (st == MN_OK)
        st = wal_count_records_after(wal, lsn, &n_after, err);
    if (st == MN_OK && !mark_fits(wal, lsn))
        st = wal_rotate_for(wal, MARK_BYTES, err);
    if (st == MN_OK)
        st = wal_writer_append_mark(wal, FRAME_CHECKPOINT, lsn, err);
    if (st == MN_OK)
        st = wal_writer_put_out(wal, MN_ACK_DISK, err);
    if (st != MN_OK)
        return st;
    wal_current_file(wal)->end = wal_writer_end(&wal->writer);
    wal->checkpoint_lsn = lsn;
    wal->records_since_checkpoint = n_after;
    return MN_OK;
}

void mni_wal_note_position(struct mni_wal *wal)
{
    wal->noted_lsn = wal->newest_lsn;
    wal->noted_records = wal->n_records_logged;
}

mn_status mni_wal_checkpoint(struct mni_wal *wal, uint64_t lsn, struct mn_error *err)
{
    struct mni_commit role;

    MNI_CHECK(!wal->config.read_only);
    mni_wal_enter(wal, &role);
    mn_status st = mark_checkpoint(wal, lsn, err);
    mni_wal_leave(wal);
    return st;
}

/* A file that left the list, under the name of a spare. */
struct given_back {
    struct wal_spare spare;
    bool may_recycle;
};

/* As long as a crash may give a spare its old name back, nothing may be written to it. One that
 * cannot be removed is a stray from here on. */
static bool discard_spares(struct mni_wal *wal, unsigned n_kept)
{
    struct wal_spare spare;
    bool had_more = false;

    while (wal_count_spares(wal) > n_kept && wal_take_spare(wal, &spare)) {
        if (mni_dir_unlink(wal->config.dir, spare.name, NULL) != MN_OK)
            atomic_store(&wal->has_strays, true);
        had_more = true;
    }
    return had_more;
}

/* Gives all but the beginning of a spare back. */
static mn_status shrink(struct mni_wal *wal, struct wal_spare *spare)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(wal->config.dir, spare->name, MNI_OPEN_WRITE, &file, NULL);

    if (st == MN_OK)
        st = mni_file_truncate(file, SMALL_SPARE_BYTES, NULL);
    if (st == MN_OK)
        st = wal_write_zeroes(file, HEADER_BYTES, SMALL_SPARE_BYTES, NULL);
    if (st == MN_OK)
        st = mni_file_sync(file, NULL);
    mni_file_close(file);
    spare->file_bytes = SMALL_SPARE_BYTES;
    spare->zeroed_to = SMALL_SPARE_BYTES;
    return st;
}

/* The last spare lets commits go on where nothing can be made anew, so a little of it stays. */
static bool shrink_last(struct mni_wal *wal)
{
    struct wal_spare spare;

    if (!wal_take_spare(wal, &spare))
        return false;
    bool is_large = spare.file_bytes > SMALL_SPARE_BYTES;
    mn_status st = is_large ? shrink(wal, &spare) : MN_OK;
    if ((st != MN_OK || !wal_offer_spare(wal, &spare)) &&
        mni_dir_unlink(wal->config.dir, spare.name, NULL) != MN_OK)
        atomic_store(&wal->has_strays, true);
    return is_large;
}

bool mni_wal_drop_spares(struct mni_wal *wal, bool is_last_too)
{
    MNI_CHECK(!wal->config.read_only);
    mni_mutex_lock(&wal->trim_lock);
    bool had_more = discard_spares(wal, 1) || (is_last_too && shrink_last(wal));
    mni_mutex_unlock(&wal->trim_lock);
    if (!had_more)
        return false;
    /* The file system may have to write that down before the space is free. */
    mni_ignore(mni_dir_sync(wal->config.dir, NULL));
    return true;
}

/* Strays ---------- */

struct strays {
    struct mni_wal *wal;
    struct mni_buf names; /* owned; WAL_NAME_BYTES each */
};

static bool is_in_use(struct mni_wal *wal, const char *name)
{
    bool found = strcmp(name, WAL_MADE_SPARE_NAME) == 0;

    mni_mutex_lock(&wal->keeper_lock);
    for (unsigned i = 0; i < wal->n_spares && !found; i++)
        found = strcmp(name, wal->spares[i].name) == 0;
    mni_mutex_unlock(&wal->keeper_lock);
    return found;
}

static mn_status note_stray(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct strays *strays = context;
    char entry[WAL_NAME_BYTES] = {0};

    if (is_dir || !wal_name_is_spare(name) || is_in_use(strays->wal, name))
        return MN_OK;
    (void)snprintf(entry, sizeof entry, "%s", name);
    if (mni_buf_append(&strays->names, entry, sizeof entry) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "list of log files");
    return MN_OK;
}

/* Removes files that left the list and did not go, as opening does: they hold what was logged.
 * `trim_lock` and the role are held, so that no file is on its way into or out of the spares. */
static mn_status remove_strays(struct mni_wal *wal, struct mn_error *err)
{
    struct strays strays = {.wal = wal};
    mn_status st = mni_dir_list(wal->config.dir, note_stray, &strays, err);

    for (size_t i = 0; i < strays.names.n_bytes; i += WAL_NAME_BYTES) {
        const char *name = (const char *)strays.names.data + i;
        mn_status removed = mni_dir_unlink(wal->config.dir, name, st == MN_OK ? err : NULL);
        if (st == MN_OK && removed != MN_NOT_FOUND)
            st = removed;
    }
    mni_buf_done(&strays.names);
    atomic_store(&wal->has_strays, st != MN_OK);
    return st;
}

/* Giving back ---------- */

/* Takes the oldest file out of the list, as one that opening removes. One that is gone already
 * needs nothing. What is erased is removed at once: a failure leaves it in the list. */
static mn_status take_oldest(struct mni_wal *wal, struct given_back *given, struct mn_error *err)
{
    const struct wal_file *file = &wal->files[0];
    char name[WAL_NAME_BYTES];
    mn_status st;

    *given = (struct given_back){.spare = {.file_bytes = file->header.file_bytes,
                                           .zeroed_to = file->zeroed_to,
                                           .is_recycled = true},
                                 .may_recycle = !wal->is_erasing &&
                                                file->header.file_bytes == wal->config.file_bytes &&
                                                !wal_is_being_read(wal, file->header.first_lsn)};
    wal_file_name(file->header.first_lsn, name);
    if (wal->is_erasing) {
        st = mni_dir_unlink(wal->config.dir, name, err);
    } else {
        (void)snprintf(given->spare.name, sizeof given->spare.name, "%020" PRIu64 ".spare",
                       file->header.first_lsn);
        st = mni_dir_rename(wal->config.dir, name, given->spare.name, err);
        if (st != MN_OK) /* which name it has is not known */
            atomic_store(&wal->has_strays, true);
    }
    if (st == MN_NOT_FOUND)
        given->spare.name[0] = '\0';
    else if (st != MN_OK)
        return st;
    wal->n_files--;
    memmove(wal->files, wal->files + 1, wal->n_files * sizeof *wal->files);
    return MN_OK;
}

/* Takes files with nothing above `lsn` out of the list, a few at a time. */
static mn_status take_old_files(struct mni_wal *wal, uint64_t lsn, struct given_back *given,
                                size_t *n_out, uint64_t *n_removed, struct mn_error *err)
{
    struct mni_commit role;
    mn_status st = MN_OK;

    *n_out = 0;
    mni_wal_enter(wal, &role);
    if (atomic_load(&wal->is_poisoned))
        st = wal_fail_poisoned(wal, err);
    if (lsn > wal->checkpoint_lsn)
        lsn = wal->checkpoint_lsn;
    size_t n_max = wal->is_erasing ? 1 : TAKEN_AT_ONCE; /* removing takes long */
    while (st == MN_OK && wal->n_files > 1 && *n_out < n_max) {
        uint64_t last_lsn = wal->files[0].last_lsn;
        uint64_t n_records = wal->files[0].n_records;
        if (MNI_PLANTED("trims_one_file_too_far"))
            last_lsn = wal->files[0].header.prev_last_lsn;
        if (last_lsn > lsn || (wal->keeps_files && !wal->files[0].is_kept))
            break;
        st = take_oldest(wal, &given[*n_out], err);
        if (st == MN_OK) {
            *n_removed += n_records;
            ++*n_out;
        }
    }
    mni_wal_leave(wal);
    return st;
}

static void free_step(void *context, uint64_t n_bytes)
{
    const struct mni_wal_hooks *hooks = context;

    if (hooks->freeing != NULL)
        hooks->freeing(hooks->context, n_bytes);
}

/* What left the list becomes spares, or goes. The role is not held: a file's blocks take their time
 * to go. */
static mn_status give_back(struct mni_wal *wal, const struct given_back *given, size_t n,
                           struct mn_error *err)
{
    mn_status st = mni_dir_sync(wal->config.dir, err);
    mn_status sync_st = st;

    for (size_t i = 0; i < n; i++) {
        const struct wal_spare *spare = &given[i].spare;
        if (spare->name[0] == '\0' ||
            (sync_st == MN_OK && given[i].may_recycle && wal_offer_spare(wal, spare)))
            continue;
        mn_status removed = mni_dir_remove(wal->config.dir, spare->name, free_step,
                                           &wal->config.hooks, st == MN_OK ? err : NULL);
        if (removed != MN_OK && removed != MN_NOT_FOUND)
            atomic_store(&wal->has_strays, true);
        if (st == MN_OK && removed != MN_NOT_FOUND)
            st = removed;
    }
    return st;
}

mn_status mni_wal_truncate(struct mni_wal *wal, uint64_t lsn, uint64_t *n_records_out,
                           struct mn_error *err)
{
    struct given_back given[TAKEN_AT_ONCE];
    struct mni_commit role;
    uint64_t n_removed = 0;
    size_t n = 1;
    mn_status st = MN_OK;

    MNI_CHECK(!wal->config.read_only);
    mni_mutex_lock(&wal->trim_lock);
    bool had_strays = atomic_load(&wal->has_strays);
    while (st == MN_OK && n > 0) {
        st = take_old_files(wal, lsn, given, &n, &n_removed, err);
        if (n == 0)
            break;
        mn_status given_st = give_back(wal, given, n, st == MN_OK ? err : NULL);
        st = st == MN_OK ? given_st : st;
    }
    if (st == MN_OK && had_strays) {
        mni_wal_enter(wal, &role);
        st = remove_strays(wal, err);
        mni_wal_leave(wal);
    }
    mni_mutex_unlock(&wal->trim_lock);
    if (st == MN_OK && n_records_out != NULL)
        *n_records_out = n_removed;
    return st;
}

mn_status mni_wal_rotate(struct mni_wal *wal, struct mn_error *err)
{
    struct mni_commit role;
    mn_status st = MN_OK;

    MNI_CHECK(!wal->config.read_only);
    mni_wal_enter(wal, &role);
    if (atomic_load(&wal->is_poisoned))
        st = wal_fail_poisoned(wal, err);
    else if (wal->newest_lsn > wal_current_file(wal)->header.prev_last_lsn &&
             wal->next_lsn > wal_current_file(wal)->header.first_lsn)
        st = wal_rotate_for(wal, MARK_BYTES, err);
    mni_wal_leave(wal);
    return st;
}

/* Erasing ---------- */

mn_status mni_wal_erase_begin(struct mni_wal *wal, struct mn_error *err)
{
    struct mni_commit role;
    mn_status st = MN_OK;

    MNI_CHECK(!wal->config.read_only);
    mni_mutex_lock(&wal->trim_lock);
    mni_wal_enter(wal, &role);
    MNI_CHECK(!wal->is_erasing);
    if (atomic_load(&wal->is_poisoned)) {
        st = wal_fail_poisoned(wal, err);
    } else {
        wal->is_erasing = true;
        (void)discard_spares(wal, 0);
        /* Of earlier failures too; the new file's name makes it durable. */
        st = remove_strays(wal, err);
        if (st == MN_OK)
            st = wal_rotate_for(wal, MARK_BYTES, err); /* one without commits is replaced */
        wal->is_erasing = st == MN_OK;
    }
    mni_wal_leave(wal);
    mni_mutex_unlock(&wal->trim_lock);
    return st;
}

void mni_wal_erase_end(struct mni_wal *wal)
{
    struct mni_commit role;

    mni_wal_enter(wal, &role);
    wal->is_erasing = false;
    mni_wal_leave(wal);
}
