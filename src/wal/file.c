/*
 * file.c - makes log files and goes on from one to the next.
 *
 * Owns:    nothing; hands the open file to the writer.
 * Format:  docs/format/wal.md
 * Threads: the leader, or whoever opens the log.
 * Fails:   what fails before the new file has its name leaves the log as it was; what fails after
 *          that poisons the log.
 *
 * The step list of a rotation; a crash between any two is repaired by opening:
 *
 *     1 sync the old file            its frames are durable, its end is known
 *     2 make the new file: header    it names the old file's salt and end
 *     3 rename it to its name, sync the directory
 *     4 seal the old file, sync      from here on a missing new file is noticed
 *     5 write frames to the new file
 *
 * A file that holds no commit yet, only marks, would give its name to the next one. It is replaced:
 * the new file takes its place in the chain, and its header the checkpoint.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "wal/wal_private.h"

enum {
    ZEROES_BYTES = 1 << 20,
    SMALL_FILE_BYTES = 256 << 10, /* room for commits in a file that is made when space is short */
};

mn_status wal_write_zeroes(struct mni_file *file, uint64_t from, uint64_t to, struct mn_error *err)
{
    /* Never written to. Allocating here could fail while LSNs are handed out already. */
    static unsigned char zeroes[ZEROES_BYTES] __attribute__((aligned(4096)));
    mn_status st = MN_OK;
    size_t chunk = ZEROES_BYTES;

    while (from < to && st == MN_OK) {
        if (chunk > to - from)
            chunk = (size_t)(to - from);
        st = mni_file_write(file, from, zeroes, chunk, err);
        from += chunk;
    }
    return st;
}

mn_status wal_random_salt(struct mni_wal *wal, uint64_t *salt_out, struct mn_error *err)
{
    return mni_env_random(wal->config.env, salt_out, sizeof *salt_out, err);
}

/* Opens with direct I/O where every write is synced and the file system has it: such a write goes
 * to the device in one step. Other policies gain from the page cache. */
mn_status wal_open_for_writing(struct mni_wal *wal, const char *name, unsigned flags,
                               struct mni_file **file_out, struct mn_error *err)
{
    mn_sync_policy sync = wal->config.sync;

    if (sync == MN_SYNC_EVERY_WRITE) {
        mn_status st = mni_dir_open_file(wal->config.dir, name,
                                         flags | MNI_OPEN_WRITE | MNI_OPEN_DIRECT, file_out, err);
        if (st == MN_OK)
            wal->writer.block_bytes = MNI_DIRECT_ALIGN;
        if (st != MN_ERR_UNSUPPORTED)
            return st;
    }
    wal->writer.block_bytes = 1;
    return mni_dir_open_file(wal->config.dir, name, flags | MNI_OPEN_WRITE, file_out, err);
}

mn_status wal_open_for_reading(struct mni_wal *wal, uint64_t first_lsn,
                               char name_out[WAL_NAME_BYTES], struct mni_file **file_out,
                               struct mn_error *err)
{
    wal_file_name(first_lsn, name_out);
    mn_status st = mni_dir_open_file(wal->config.dir, name_out, MNI_OPEN_READ, file_out, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_CORRUPT, "wal/%s: is gone; somebody else removed it", name_out);
    return st;
}

static mn_status write_header(struct mni_file *file, const struct wal_header *header,
                              struct mn_error *err)
{
    unsigned char *block = mni_alloc_aligned(MNI_DIRECT_ALIGN, HEADER_BYTES);

    if (block == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "log file header");
    wal_header_encode(header, block);
    mn_status st = mni_file_write(file, 0, block, HEADER_BYTES, err);
    mni_free(block);
    return st;
}

/* Reserves the file's space; without help from the file system, by writing it. */
static mn_status reserve_space(struct mni_file *file, uint64_t file_bytes, uint64_t *zeroed_to_out,
                               struct mn_error *err)
{
    uint64_t zeroed_to = file_bytes;
    mn_status st = mni_file_allocate(file, file_bytes, err);

    if (st == MN_OK && !wal_file_is_written_whole(file_bytes))
        zeroed_to = MNI_WAL_ZERO_CHUNK_BYTES;
    else if (st != MN_OK && st != MN_ERR_UNSUPPORTED)
        return st;
    *zeroed_to_out = zeroed_to;
    return wal_write_zeroes(file, HEADER_BYTES, zeroed_to, err);
}

mn_status wal_file_make(struct mni_wal *wal, const char *name, const struct wal_header *header,
                        struct mni_file **file_out, uint64_t *zeroed_to_out, struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st;

    /* A file of this name can only be left from an attempt that was cut off. */
    st = mni_dir_unlink(wal->config.dir, name, err);
    if (st != MN_OK && st != MN_NOT_FOUND)
        return st;
    st = wal_open_for_writing(wal, name, MNI_OPEN_CREATE, &file, err);
    if (st != MN_OK)
        return st;
    st = reserve_space(file, header->file_bytes, zeroed_to_out, err);
    if (st == MN_OK && MNI_PLANTED("rename_before_sync"))
        st = mni_file_sync(file, err);
    if (st == MN_OK)
        st = write_header(file, header, err);
    if (st == MN_OK && !MNI_PLANTED("rename_before_sync"))
        st = mni_file_sync(file, err);
    if (st != MN_OK) {
        mni_file_close(file);
        mni_ignore(mni_dir_unlink(wal->config.dir, name, NULL));
        return st;
    }
    *file_out = file;
    return MN_OK;
}

mn_status wal_file_make_fitting(struct mni_wal *wal, const char *name, struct wal_header *header,
                                uint64_t need_bytes, struct mni_file **file_out,
                                uint64_t *zeroed_to_out, struct mn_error *err)
{
    uint64_t small_bytes = mni_align_up(need_bytes + SMALL_FILE_BYTES, MNI_DIRECT_ALIGN);
    mn_status st = wal_file_make(wal, name, header, file_out, zeroed_to_out, err);

    if (st != MN_ERR_NO_SPACE || small_bytes >= header->file_bytes)
        return st;
    header->file_bytes = small_bytes;
    return wal_file_make(wal, name, header, file_out, zeroed_to_out, err);
}

/* Gives the spare file a new life under this header. */
static mn_status make_of_spare(struct mni_wal *wal, const char *name,
                               const struct wal_header *header, struct mni_file **file_out,
                               struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = wal_open_for_writing(wal, name, 0, &file, err);

    if (st != MN_OK)
        return st;
    st = write_header(file, header, err);
    if (st == MN_OK && !MNI_PLANTED("rename_before_sync"))
        st = mni_file_sync(file, err);
    if (st != MN_OK) {
        mni_file_close(file);
        return st;
    }
    *file_out = file;
    return MN_OK;
}

mn_status wal_files_reserve(struct mni_wal *wal)
{
    if (wal->n_files < wal->files_capacity)
        return MN_OK;
    size_t capacity = wal->files_capacity == 0 ? 8 : wal->files_capacity * 2;
    struct wal_file *files = mni_realloc(wal->files, capacity * sizeof *files);
    if (files == NULL)
        return MN_ERR_NOMEM;
    wal->files = files;
    wal->files_capacity = capacity;
    return MN_OK;
}

/* Size of the smallest file that holds such a frame. */
static uint64_t bytes_needed(size_t frame_bytes)
{
    return mni_align_up(HEADER_BYTES + (uint64_t)frame_bytes + WAL_MARKS_BYTES, MNI_DIRECT_ALIGN);
}

/* What the new file's header says; in place of the newest file if that holds no commit. */
static mn_status header_of_next(struct mni_wal *wal, bool replaces, size_t frame_bytes,
                                struct wal_header *h, struct mn_error *err)
{
    const struct wal_file *old = wal_current_file(wal);
    uint64_t need = bytes_needed(frame_bytes);

    *h = old->header;
    if (!replaces) {
        h->sequence = old->header.sequence + 1;
        h->first_lsn = wal->next_lsn;
        h->prev_first_lsn = old->header.first_lsn;
        h->prev_salt = old->header.salt;
        h->prev_end = wal_writer_end(&wal->writer);
        h->prev_last_lsn = wal->newest_lsn;
    }
    h->flags &= HEADER_FLAG_ALONE;
    h->lsn_ceiling = wal->next_lsn + MNI_WAL_LSN_RESERVE;
    h->file_bytes = need > wal->config.file_bytes ? need : wal->config.file_bytes;
    h->checkpoint_lsn = wal->checkpoint_lsn;
    h->time_us = wal->last_time_us;
    return wal_random_salt(wal, &h->salt, err);
}

/* A spare that is too small for what comes makes room for a file that is not. */
static bool take_fitting_spare(struct mni_wal *wal, uint64_t need_bytes,
                               struct wal_spare *spare_out)
{
    if (!wal_take_spare(wal, spare_out))
        return false;
    if (spare_out->file_bytes >= need_bytes)
        return true;
    mni_ignore(mni_dir_unlink(wal->config.dir, spare_out->name, NULL));
    return false;
}

/* Steps 2 and 3. Sets `*is_named_out` once the new file may have its name. */
static mn_status make_next(struct mni_wal *wal, struct wal_header *h, size_t frame_bytes,
                           struct mni_file **file_out, uint64_t *zeroed_to_out, bool *is_named_out,
                           struct mn_error *err)
{
    char name[WAL_NAME_BYTES];
    struct wal_spare spare;
    mn_status st;

    if (h->file_bytes == wal->config.file_bytes &&
        take_fitting_spare(wal, bytes_needed(frame_bytes), &spare)) {
        if (spare.is_recycled)
            h->flags |= HEADER_FLAG_RECYCLED;
        h->file_bytes = spare.file_bytes;
        *zeroed_to_out = spare.zeroed_to;
        st = make_of_spare(wal, spare.name, h, file_out, err);
        if (st != MN_OK && mni_dir_unlink(wal->config.dir, spare.name, NULL) != MN_OK)
            atomic_store(&wal->has_strays, true);
    } else {
        (void)snprintf(spare.name, sizeof spare.name, "%020" PRIu64 ".new", h->first_lsn);
        st = wal_file_make_fitting(wal, spare.name, h, bytes_needed(frame_bytes), file_out,
                                   zeroed_to_out, err);
    }
    if (st != MN_OK)
        return st;
    wal_file_name(h->first_lsn, name);
    *is_named_out = true;
    st = mni_dir_rename(wal->config.dir, spare.name, name, err);
    if (st == MN_OK && !MNI_PLANTED("no_directory_sync"))
        st = mni_dir_sync(wal->config.dir, err);
    return st;
}

/* Leaves the old file and goes on in the new one. */
static void switch_to(struct mni_wal *wal, bool replaces, const struct wal_header *header,
                      struct mni_file *file, uint64_t zeroed_to, size_t block_bytes)
{
    /* Large writes gain nothing from zeroes, see write_buffer. */
    uint64_t n_groups = wal->n_groups - wal->groups_before_file + 1;
    bool writes_are_small = wal_current_file(wal)->end / n_groups < WAL_UNZEROED_BYTES_MIN;

    wal_current_file(wal)->zeroed_to = mni_align_down(wal->writer.zeroed_to, MNI_DIRECT_ALIGN);
    if (replaces)
        wal->n_files--;
    mni_file_close(wal->writer.file);
    wal->writer.file = NULL;
    wal->writer.block_bytes = block_bytes;
    wal->files[wal->n_files++] =
        (struct wal_file){.header = *header, .end = HEADER_BYTES, .last_lsn = wal->newest_lsn};
    wal_writer_attach(wal, file, HEADER_BYTES, zeroed_to);
    wal_keeper_want_spare(wal, writes_are_small);
    wal->groups_before_file = wal->n_groups;
}

static mn_status rotate(struct mni_wal *wal, size_t frame_bytes, struct mn_error *err)
{
    struct wal_header header;
    struct mni_file *file = NULL;
    uint64_t zeroed_to = 0;
    bool is_named = false;
    bool replaces = wal->next_lsn == wal_current_file(wal)->header.first_lsn;
    mn_status st;

    if (wal_files_reserve(wal) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "list of log files");
    size_t old_block_bytes = wal->writer.block_bytes;
    st = wal_writer_put_out(wal, MN_ACK_DISK, err);
    if (st != MN_OK)
        return st;
    st = header_of_next(wal, replaces, frame_bytes, &header, err);
    if (st != MN_OK)
        return st;
    wal_current_file(wal)->end = wal_writer_end(&wal->writer);
    wal_current_file(wal)->last_lsn = wal->newest_lsn;
    st = make_next(wal, &header, frame_bytes, &file, &zeroed_to, &is_named, err);
    size_t new_block_bytes = wal->writer.block_bytes;
    wal->writer.block_bytes = old_block_bytes;
    if (st == MN_OK && !replaces) {
        st = wal_writer_append_mark(wal, FRAME_ROTATED, wal->next_lsn, err);
        if (st == MN_OK)
            st = wal_writer_put_out(wal, MN_ACK_DISK, err);
    }
    if (st != MN_OK) {
        mni_file_close(file);
        return is_named ? wal_poison(wal, st, err) : st;
    }
    switch_to(wal, replaces, &header, file, zeroed_to, new_block_bytes);
    return MN_OK;
}

mn_status wal_rotate_for(struct mni_wal *wal, size_t frame_bytes, struct mn_error *err)
{
    mn_status st = rotate(wal, frame_bytes, err);

    /* A directory that was removed under us is "not found": for whoever commits, a failure. */
    if (st == MN_NOT_FOUND || st == MN_EXISTS) {
        st = MN_ERR_IO;
        if (err != NULL)
            err->status = st;
    }
    return st;
}
