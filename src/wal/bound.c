/*
 * bound.c - which LSNs a log may have handed out, whatever state it is in.
 *
 * Owns:    nothing.
 * Format:  docs/format/wal.md
 * Threads: any.
 * Fails:   as reading the directory does; damage only makes the answer larger.
 */
#include "wal/wal_private.h"

/* What is allowed for where a header does not tell. Nobody gets there by counting. */
#define UNKNOWN_LSNS (UINT64_C(1) << 40)

static mn_status find_newest(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    uint64_t *newest = context;
    uint64_t first_lsn;

    (void)err;
    if (!is_dir && wal_file_name_parse(name, &first_lsn) && first_lsn > *newest)
        *newest = first_lsn;
    return MN_OK;
}

static bool read_header(struct mni_dir *dir, uint64_t first_lsn, struct wal_header *header_out)
{
    unsigned char bytes[HEADER_BYTES];
    char name[WAL_NAME_BYTES];
    struct mni_file *file = NULL;
    size_t n_read = 0;

    wal_file_name(first_lsn, name);
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, NULL);
    if (st == MN_OK)
        st = mni_file_read(file, 0, bytes, sizeof bytes, &n_read, NULL);
    mni_file_close(file);
    return st == MN_OK && n_read == sizeof bytes &&
           wal_header_decode(bytes, name, header_out, NULL) == MN_OK &&
           header_out->first_lsn == first_lsn;
}

mn_status mni_wal_lsn_bound(struct mni_dir *dir, uint64_t *lsn_out, struct mn_error *err)
{
    struct wal_header header;
    struct wal_closed closed;
    uint64_t newest = 0;
    mn_status st = mni_dir_list(dir, find_newest, &newest, err);

    if (st != MN_OK)
        return st;
    *lsn_out = newest;
    if (newest == 0)
        return mni_fail(err, MN_NOT_FOUND, "there is no log file");
    if (newest > WAL_LSN_MAX / 2)
        return mni_fail(err, MN_ERR_LIMIT, "the log has used up its LSNs");
    bool has_header = read_header(dir, newest, &header);
    bool was_closed = wal_closed_read(dir, &closed, NULL) == MN_OK && closed.is_there &&
                      closed.next_lsn <= WAL_LSN_MAX / 2;
    *lsn_out = has_header ? header.lsn_ceiling : newest + UNKNOWN_LSNS;
    if (has_header && was_closed && closed.salt == header.salt &&
        closed.next_lsn <= header.lsn_ceiling)
        *lsn_out = closed.next_lsn - 1;
    /* The files may be older than that: copied back, say. */
    if (was_closed && closed.next_lsn > *lsn_out)
        *lsn_out = closed.next_lsn - 1;
    return MN_OK;
}
