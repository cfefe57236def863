/*
 * dir_file.c - the file of an object: its content, and what follows it.
 *
 * Owns:    files that are being written, until they are done.
 * Format:  docs/format/object.md, "A file"
 * Threads: any, on different files.
 * Fails:   MN_ERR_CORRUPT for a file that is not what was written; MN_ERR_UNSUPPORTED for one of a
 *          newer version. A file that failed while it was written is removed.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "object/dir_private.h"
#include "object/format.h"

/* Writing ----------*/

mn_status dir_temp_init(struct dir_store *store, struct dir_temp *temp, struct mn_error *err)
{
    MNI_CHECK(!store->is_read_only);
    memset(temp, 0, sizeof *temp);
    mn_status st = mni_hash128_stream_new(&temp->hash, err);
    if (st != MN_OK)
        return st;
    (void)snprintf(temp->name, sizeof temp->name, "%016" PRIx64,
                   (uint64_t)atomic_fetch_add(&store->n_temps, 1));
    st = mni_dir_open_file(store->mine, temp->name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &temp->file,
                           err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_IO, "the directory for temporary files was removed");
    return st;
}

mn_status dir_temp_add(struct dir_temp *temp, const void *data, size_t n, struct mn_error *err)
{
    MNI_CHECK(temp->file != NULL);
    if (n == 0)
        return MN_OK;
    mn_status st = mni_file_write(temp->file, temp->n_bytes, data, n, err);
    if (st != MN_OK)
        return st;
    temp->crc32c = mni_crc32c(temp->crc32c, data, n);
    mni_hash128_stream_add(temp->hash, data, n);
    temp->n_bytes += n;
    return MN_OK;
}

mn_status dir_temp_finish(struct dir_store *store, struct dir_temp *temp,
                          struct mn_object_info *info_out, struct mn_error *err)
{
    unsigned char footer[OBJECT_FOOTER_BYTES] = {0};
    struct mn_object_info info = {.n_bytes = temp->n_bytes,
                                  .modified_us = mni_env_wall_us(store->env),
                                  .has_crc32c = true,
                                  .crc32c = temp->crc32c};

    MNI_CHECK(temp->file != NULL); /* it is finished once */
    memcpy(footer + OBJECT_OFF_MAGIC, OBJECT_MAGIC, OBJECT_MAGIC_BYTES);
    mni_put_u32(footer + OBJECT_OFF_VERSION, OBJECT_VERSION);
    mni_put_u64(footer + OBJECT_OFF_BYTES, info.n_bytes);
    mni_put_i64(footer + OBJECT_OFF_MODIFIED, info.modified_us);
    mni_hash128_stream_tell(temp->hash, footer + OBJECT_OFF_HASH);
    mni_put_u32(footer + OBJECT_OFF_CONTENT, info.crc32c);
    mni_put_u32(footer + OBJECT_OFF_CRC, mni_crc32c(0, footer, OBJECT_OFF_CRC));
    mni_object_make_etag(footer + OBJECT_OFF_HASH, info.etag);
    mn_status st = mni_file_write(temp->file, temp->n_bytes, footer, sizeof footer, err);
    if (st == MN_OK)
        st = mni_file_sync(temp->file, err);
    temp->is_synced = st == MN_OK;
    if (st == MN_OK && info_out != NULL)
        *info_out = info;
    mni_file_close(temp->file);
    temp->file = NULL;
    return st;
}

void dir_temp_done(struct dir_store *store, struct dir_temp *temp)
{
    mni_file_close(temp->file);
    if (temp->name[0] != '\0')
        mni_ignore(mni_dir_unlink(store->mine, temp->name, NULL));
    mni_hash128_stream_free(temp->hash);
    memset(temp, 0, sizeof *temp);
}

mn_status dir_temp_write(struct dir_store *store, struct mn_slice data, struct dir_temp *temp,
                         struct mn_object_info *info_out, struct mn_error *err)
{
    mn_status st = dir_temp_init(store, temp, err);

    if (st == MN_OK)
        st = dir_temp_add(temp, data.data, data.n_bytes, err);
    if (st == MN_OK)
        st = dir_temp_finish(store, temp, info_out, err);
    return st;
}

/* Reading ----------*/

static mn_status read_footer(struct mni_file *file, struct mn_object_info *info_out,
                             struct mn_error *err)
{
    unsigned char footer[OBJECT_FOOTER_BYTES];
    uint64_t file_bytes;
    size_t n_read = 0;
    mn_status st = mni_file_size(file, &file_bytes, err);

    if (st != MN_OK)
        return st;
    if (file_bytes < sizeof footer)
        return mni_fail(err, MN_ERR_CORRUPT, "a file of %" PRIu64 " bytes", file_bytes);
    st = mni_file_read(file, file_bytes - sizeof footer, footer, sizeof footer, &n_read, err);
    if (st != MN_OK)
        return st;
    if (n_read < sizeof footer ||
        memcmp(footer + OBJECT_OFF_MAGIC, OBJECT_MAGIC, OBJECT_MAGIC_BYTES) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "the file does not end like one of an object");
    if (mni_get_u32(footer + OBJECT_OFF_CRC) != mni_crc32c(0, footer, OBJECT_OFF_CRC))
        return mni_fail(err, MN_ERR_CORRUPT, "what follows the content fails its checksum");
    uint32_t version = mni_get_u32(footer + OBJECT_OFF_VERSION);
    if (version > OBJECT_VERSION)
        return mni_fail(err, MN_ERR_UNSUPPORTED, "a file of version %u", version);
    if (version != OBJECT_VERSION || mni_get_u32(footer + OBJECT_OFF_RESERVED) != 0 ||
        mni_get_u64(footer + OBJECT_OFF_RESERVED2) != 0 ||
        mni_get_u64(footer + OBJECT_OFF_BYTES) != file_bytes - sizeof footer)
        return mni_fail(err, MN_ERR_CORRUPT, "what follows the content makes no sense");
    memset(info_out, 0, sizeof *info_out);
    info_out->n_bytes = file_bytes - sizeof footer;
    info_out->modified_us = mni_get_i64(footer + OBJECT_OFF_MODIFIED);
    info_out->has_crc32c = true;
    info_out->crc32c = mni_get_u32(footer + OBJECT_OFF_CONTENT);
    mni_object_make_etag(footer + OBJECT_OFF_HASH, info_out->etag);
    return MN_OK;
}

mn_status dir_file_open(struct mni_dir *dir, const char *name, struct mni_file **file_out,
                        struct mn_object_info *info_out, struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);

    if (st != MN_OK)
        return st;
    st = read_footer(file, info_out, err);
    if (st != MN_OK) {
        mni_file_close(file);
        return st;
    }
    *file_out = file;
    return MN_OK;
}

mn_status dir_file_info(struct mni_dir *dir, const char *name, struct mn_object_info *info_out,
                        struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = dir_file_open(dir, name, &file, info_out, err);

    mni_file_close(file);
    return st;
}

mn_status dir_file_read(struct mni_file *file, const struct mn_object_info *info,
                        uint64_t n_bytes_max, struct mn_slice *data_out, struct mn_error *err)
{
    size_t n_read = 0;

    MNI_CHECK(info->has_crc32c);
    if (info->n_bytes > n_bytes_max)
        return mni_fail(err, MN_ERR_LIMIT, "%" PRIu64 " bytes; at most %" PRIu64, info->n_bytes,
                        n_bytes_max);
    void *data = mni_alloc((size_t)info->n_bytes);
    if (data == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an object of %" PRIu64 " bytes", info->n_bytes);
    mn_status st = mni_file_read(file, 0, data, (size_t)info->n_bytes, &n_read, err);
    if (st == MN_OK && (n_read < info->n_bytes || mni_crc32c(0, data, n_read) != info->crc32c))
        st = mni_fail(err, MN_ERR_CORRUPT, "the content fails its checksum");
    if (st != MN_OK) {
        mni_free(data);
        return st;
    }
    *data_out = (struct mn_slice){data, n_read};
    return MN_OK;
}
