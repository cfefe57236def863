/*
 * salvage.c - reads what is left of a damaged log: every commit whose checksums hold.
 *
 * Recovery refuses damage, because it cannot go on as if nothing were lost. Here what is lost is
 * reported, and the reading goes on behind it. A torn tail is none of it: the writes that it holds
 * were never acknowledged.
 *
 * Owns:    the list of files, while it runs.
 * Format:  docs/format/wal.md
 * Threads: one; nobody writes the log.
 * Fails:   MN_ERR_NOMEM; damage and failed reads are reported and passed over.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "wal/wal_private.h"

struct salvaged_file {
    uint64_t first_lsn;
    struct wal_header header;
    bool has_header;
    bool is_cut; /* shorter than its header says */
};

struct salvage {
    const struct mni_wal_salvage *config;
    struct salvaged_file *files; /* owned */
    size_t n_files;
    size_t capacity;
    struct wal_closed closed;
};

static void report(const struct salvage *s, const char *name, const char *format, ...)
    MN_PRINTF(3, 4);
static void report(const struct salvage *s, const char *name, const char *format, ...)
{
    char file[WAL_NAME_BYTES + 4];
    char what[MN_ERROR_MESSAGE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    (void)snprintf(file, sizeof file, "wal/%s", name);
    s->config->damage(s->config->context, file, what);
}

static void tell_absent(const struct salvage *s, uint64_t first_lsn, uint64_t last_lsn)
{
    if (s->config->absent != NULL && first_lsn <= last_lsn)
        s->config->absent(s->config->context, first_lsn, last_lsn);
}

/* The greatest LSN that can be in a file, or be lost with what is missing behind it. */
static uint64_t last_lsn_of(const struct salvage *s, size_t index)
{
    return index + 1 < s->n_files ? s->files[index + 1].first_lsn - 1 : UINT64_MAX;
}

static mn_status note_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct salvage *s = context;
    uint64_t first_lsn;

    if (is_dir || !wal_file_name_parse(name, &first_lsn))
        return MN_OK;
    if (s->n_files == s->capacity) {
        size_t capacity = s->capacity == 0 ? 16 : s->capacity * 2;
        struct salvaged_file *files = mni_realloc(s->files, capacity * sizeof *files);
        if (files == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "list of log files");
        s->files = files;
        s->capacity = capacity;
    }
    s->files[s->n_files++] = (struct salvaged_file){.first_lsn = first_lsn};
    return MN_OK;
}

static int compare_files(const void *a, const void *b)
{
    const struct salvaged_file *x = a;
    const struct salvaged_file *y = b;

    return (x->first_lsn > y->first_lsn) - (x->first_lsn < y->first_lsn);
}

/* Without its header a file's frames cannot be told from other bytes. */
static void read_header(const struct salvage *s, struct salvaged_file *file)
{
    char name[WAL_NAME_BYTES];
    unsigned char bytes[HEADER_BYTES];
    struct mni_file *handle = NULL;
    struct mn_error err = {0};
    size_t n_read = 0;
    uint64_t size = 0;

    wal_file_name(file->first_lsn, name);
    mn_status st = mni_dir_open_file(s->config->dir, name, MNI_OPEN_READ, &handle, &err);
    if (st == MN_OK)
        st = mni_file_size(handle, &size, &err);
    if (st == MN_OK)
        st = mni_file_read(handle, 0, bytes, sizeof bytes, &n_read, &err);
    mni_file_close(handle);
    if (st == MN_OK && n_read < sizeof bytes)
        st = mni_fail(&err, MN_ERR_CORRUPT, "it is cut off inside its header");
    if (st == MN_OK)
        st = wal_header_decode(bytes, name, &file->header, &err);
    if (st == MN_OK && file->header.first_lsn != file->first_lsn)
        st = mni_fail(&err, MN_ERR_CORRUPT, "its header is that of another file");
    if (st == MN_OK && (file->header.flags & HEADER_FLAG_ALONE) != 0)
        st = mni_fail(&err, MN_ERR_CORRUPT, "it belongs to no store");
    if (st == MN_OK && s->config->store_id != NULL &&
        memcmp(file->header.store_id, s->config->store_id, MNI_STORE_ID_BYTES) != 0)
        st = mni_fail(&err, MN_ERR_CORRUPT, "it belongs to another store");
    if (st != MN_OK) {
        report(s, name, "nothing can be read: %s", err.message);
        return;
    }
    file->has_header = true;
    file->is_cut = size < file->header.file_bytes;
    if (size != file->header.file_bytes)
        report(s, name, "it has %" PRIu64 " bytes, not %" PRIu64, size, file->header.file_bytes);
}

/* What the file that follows says of this one, if that can be known. */
static const struct wal_header *header_behind(const struct salvage *s, size_t index)
{
    const struct wal_header *h = &s->files[index].header;

    if (index + 1 == s->n_files || !s->files[index + 1].has_header)
        return NULL;
    const struct wal_header *next = &s->files[index + 1].header;
    return next->prev_salt == h->salt && next->prev_first_lsn == h->first_lsn ? next : NULL;
}

/* How far the frames of a file must reach, 0 where that is not known. */
static uint64_t known_end(const struct salvage *s, size_t index)
{
    const struct wal_header *next = header_behind(s, index);

    if (next != NULL)
        return next->prev_end;
    return s->closed.is_there && s->closed.salt == s->files[index].header.salt ? s->closed.end : 0;
}

/* Whether a place where no valid frame begins is damage, and no end. */
static mn_status judge_stop(const struct salvage *s, size_t index, struct wal_scan *scan,
                            bool *is_damage_out, struct mn_error *err)
{
    uint64_t end = known_end(s, index);
    struct wal_beyond beyond;

    if (end != 0) {
        *is_damage_out = scan->offset < end;
        return MN_OK;
    }
    *is_damage_out = false;
    mn_status st = wal_scan_beyond(scan, &beyond, err);
    if (st == MN_OK)
        *is_damage_out = beyond.synced_end > scan->offset;
    return st;
}

static mn_status take(const struct salvage *s, const struct wal_frame *f,
                      const unsigned char *payload, struct mn_error *err)
{
    const struct mni_wal_entry entry = {
        .lsn = f->lsn,
        .time_us = f->time_us,
        .n_records = f->n_records,
        .payload = {payload, f->frame_bytes - FRAME_HEADER_BYTES},
    };

    return f->type == FRAME_COMMIT ? s->config->each(s->config->context, &entry, err) : MN_OK;
}

/* Passes over damage. MN_END: there was none, or nothing is left behind it. */
static mn_status pass_over(const struct salvage *s, size_t index, struct wal_scan *scan,
                           bool is_lying, struct mn_error *err)
{
    uint64_t offset = scan->offset;
    uint64_t lsn = scan->last_lsn;
    bool is_damage = is_lying;
    mn_status st = is_lying ? MN_OK : judge_stop(s, index, scan, &is_damage, err);

    if (st != MN_OK || !is_damage)
        return st == MN_OK ? MN_END : st;
    st = wal_scan_skip_damage(scan, err);
    if (st == MN_OK)
        report(s, scan->name,
               "damaged at offset %" PRIu64 ": of the commits with LSNs %" PRIu64 " to %" PRIu64
               " some are lost",
               offset, lsn + 1, scan->last_lsn);
    else if (st == MN_END)
        report(s, scan->name,
               "damaged at offset %" PRIu64 ": commits above LSN %" PRIu64 " are lost", offset,
               lsn);
    if (st == MN_OK || st == MN_END)
        tell_absent(s, lsn + 1, st == MN_OK ? scan->last_lsn : last_lsn_of(s, index));
    return st;
}

static mn_status read_frames(const struct salvage *s, size_t index, struct wal_scan *scan,
                             bool *is_rotated_out, struct mn_error *err)
{
    for (;;) {
        struct wal_frame f;
        const unsigned char *payload;
        struct mn_error why;
        uint64_t end = known_end(s, index);
        if (end != 0 && scan->offset >= end && header_behind(s, index) != NULL)
            return MN_OK;
        mn_status st = wal_scan_next(scan, &f, &payload, &why);
        if (st == MN_OK) {
            *is_rotated_out = f.type == FRAME_ROTATED;
            st = take(s, &f, payload, err);
            if (st != MN_OK)
                return st;
            continue;
        }
        if (st == MN_END || st == MN_ERR_CORRUPT)
            st = pass_over(s, index, scan, st == MN_ERR_CORRUPT, &why);
        if (st == MN_END)
            return MN_OK;
        if (st == MN_ERR_NOMEM)
            return mni_fail(err, st, "%s", why.message);
        if (st != MN_OK) {
            report(s, scan->name, "commits above LSN %" PRIu64 " cannot be read: %s",
                   scan->last_lsn, why.message);
            tell_absent(s, scan->last_lsn + 1, last_lsn_of(s, index));
            return MN_OK;
        }
    }
}

static void check_files_before(const struct salvage *s, size_t index)
{
    const struct wal_header *h = &s->files[index].header;
    const struct salvaged_file *before = index > 0 ? &s->files[index - 1] : NULL;
    char name[WAL_NAME_BYTES];

    if (h->sequence != 1 &&
        (before == NULL || (before->has_header && before->first_lsn != h->prev_first_lsn)))
        tell_absent(s, before == NULL ? 1 : before->first_lsn, h->first_lsn - 1);
    if (h->sequence == 1 || h->prev_last_lsn <= s->config->have_lsn ||
        h->prev_last_lsn <= h->checkpoint_lsn)
        return;
    if (before != NULL && (!before->has_header || before->first_lsn == h->prev_first_lsn))
        return; /* it is there, or was reported */
    wal_file_name(h->first_lsn, name);
    report(s, name, "the log file before it is missing, with LSNs up to %" PRIu64,
           h->prev_last_lsn);
}

static mn_status read_file(const struct salvage *s, size_t index, struct mn_error *err)
{
    const struct salvaged_file *file = &s->files[index];
    char name[WAL_NAME_BYTES];
    struct mni_file *handle = NULL;
    struct wal_scan scan;
    struct mn_error why;
    bool is_rotated = false;

    if (!file->has_header) {
        tell_absent(s, file->first_lsn, last_lsn_of(s, index));
        return MN_OK;
    }
    check_files_before(s, index);
    wal_file_name(file->first_lsn, name);
    mn_status st = mni_dir_open_file(s->config->dir, name, MNI_OPEN_READ, &handle, &why);
    if (st != MN_OK) {
        report(s, name, "nothing can be read: %s", why.message);
        tell_absent(s, file->first_lsn, last_lsn_of(s, index));
        return MN_OK;
    }
    wal_scan_init(&scan, handle, name, &file->header);
    st = read_frames(s, index, &scan, &is_rotated, err);
    if (st == MN_OK && is_rotated && index + 1 == s->n_files)
        report(s, name, "the log file that follows is missing, with LSNs above %" PRIu64,
               scan.last_lsn);
    if (st == MN_OK && ((is_rotated && index + 1 == s->n_files) || (!is_rotated && file->is_cut)))
        tell_absent(s, scan.last_lsn + 1, last_lsn_of(s, index));
    wal_scan_done(&scan);
    mni_file_close(handle);
    return st;
}

mn_status mni_wal_salvage(const struct mni_wal_salvage *config, struct mn_error *err)
{
    struct salvage s = {.config = config};
    struct mn_error why = {0};
    mn_status st = mni_dir_list(config->dir, note_file, &s, &why);

    if (st == MN_ERR_NOMEM) {
        mni_free(s.files);
        return mni_fail(err, st, "%s", why.message);
    }
    if (st != MN_OK)
        report(&s, "", "the directory cannot be read: %s", why.message);
    else if (s.n_files == 0)
        report(&s, "", "all log files are missing");
    if (st != MN_OK || s.n_files == 0)
        tell_absent(&s, 1, UINT64_MAX);
    if (s.n_files > 0)
        qsort(s.files, s.n_files, sizeof *s.files, compare_files);
    mni_ignore(wal_closed_read(config->dir, &s.closed, NULL));
    for (size_t i = 0; i < s.n_files; i++)
        read_header(&s, &s.files[i]);
    st = MN_OK;
    for (size_t i = 0; i < s.n_files && st == MN_OK; i++)
        st = read_file(&s, i, err);
    mni_free(s.files);
    return st;
}
