/*
 * seal_file.c - the file with the seal, and whether RocksDB's files are still those that it saw.
 *
 * Owns:    the file mneme-cache.seal.
 * Format:  docs/format/diskcache.md, "the seal"
 * Threads: the caller holds write_lock.
 * Fails:   with the status of the world below; a seal that cannot be read or does not fit is as
 *          good as none.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"
#include "diskcache/diskcache_private.h"
#include "diskcache/format.h"

enum { CURRENT_BYTES_MAX = 64, MANIFEST_READ_MAX = 64 << 20 };

/* Reads a file of at most `n_max` bytes into memory that the caller frees. */
static mn_status read_file(struct mni_dir *dir, const char *name, uint64_t n_max,
                           unsigned char **bytes_out, size_t *n_out, struct mn_error *err)
{
    struct mni_file *file = NULL;
    unsigned char *bytes = NULL;
    uint64_t n = 0;

    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);
    if (st == MN_OK)
        st = mni_file_size(file, &n, err);
    if (st == MN_OK && n > n_max)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s has %" PRIu64 " bytes", name, n);
    if (st == MN_OK) {
        bytes = mni_alloc(n + 1);
        st = bytes == NULL ? mni_fail(err, MN_ERR_NOMEM, "read %s", name)
                           : mni_file_read(file, 0, bytes, n, n_out, err);
    }
    if (st == MN_OK && *n_out != n)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s is shorter than it was", name);
    mni_file_close(file);
    if (st != MN_OK) {
        mni_free(bytes);
        return st;
    }
    *bytes_out = bytes;
    return MN_OK;
}

/* Which manifest RocksDB goes by, its length and its hash. */
static mn_status look_at_manifest(struct mni_dir *rocks, struct dc_seal *seal, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    unsigned char *bytes = NULL;
    size_t n = 0;
    int used = 0;

    mn_status st = read_file(rocks, "CURRENT", CURRENT_BYTES_MAX, &bytes, &n, err);
    if (st != MN_OK)
        return st;
    bytes[n] = '\0';
    if (sscanf((const char *)bytes, "MANIFEST-%20" SCNu64 "\n%n", &seal->manifest_number, &used) !=
            1 ||
        (size_t)used != n)
        st = mni_fail(err, MN_ERR_CORRUPT, "CURRENT names no manifest");
    mni_free(bytes);
    if (st != MN_OK)
        return st;
    dc_place_manifest_name(seal->manifest_number, name);
    st = read_file(rocks, name, MANIFEST_READ_MAX, &bytes, &n, err);
    if (st != MN_OK)
        return st;
    seal->manifest_bytes = n;
    seal->manifest_hash = mni_hash(bytes, n, 0);
    mni_free(bytes);
    return MN_OK;
}

/* The length of a file of values, and the hash of its end, by which all in it is found. */
static mn_status look_at_file(struct mni_dir *rocks, struct dc_seal_file *f, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    unsigned char tail[SEAL_TAIL_BYTES];
    struct mni_file *file = NULL;
    size_t n = 0;

    dc_place_file_name(f->file_number, name);
    mn_status st = mni_dir_open_file(rocks, name, MNI_OPEN_READ, &file, err);
    if (st == MN_OK)
        st = mni_file_size(file, &f->n_bytes, err);
    if (st == MN_OK) {
        uint64_t from = f->n_bytes < sizeof tail ? 0 : f->n_bytes - sizeof tail;
        st = mni_file_read(file, from, tail, sizeof tail, &n, err);
    }
    if (st == MN_OK)
        f->tail_hash = mni_hash(tail, n, 0);
    mni_file_close(file);
    return st;
}

/* Writing ----------*/

struct sealing {
    struct mni_diskcache *cache;
    struct mni_file *file;
};

/* Nobody waits for the disk in order to look something up. */
static mn_status write_some(void *context, uint64_t offset, const void *data, size_t n,
                            struct mn_error *err)
{
    struct sealing *s = context;

    dc_unlock_step(s->cache);
    mn_status st = mni_file_write(s->file, offset, data, n, err);
    mni_rwlock_write(&s->cache->index_lock);
    return st;
}

static mn_status list_files(const struct dc_index *x, struct mni_dir *rocks, struct dc_seal *seal,
                            struct mn_error *err)
{
    mn_status st = MN_OK;

    seal->files = mni_alloc_array((size_t)x->n_generations + 1, sizeof(struct dc_seal_file));
    if (seal->files == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "seal of the cache");
    for (uint32_t i = 0; i < x->n_generations && st == MN_OK; i++) {
        const struct dc_generation *g = x->generations[i];
        if (!g->is_file && g->n_entries == 0)
            continue;
        if (!g->is_file)
            return mni_fail(err, MN_ERR_IO, "RocksDB has not written all there is");
        struct dc_seal_file *f = &seal->files[seal->n_files++];
        *f = (struct dc_seal_file){
            .file_number = g->file_number, .first = g->first, .last = g->last};
        st = look_at_file(rocks, f, err);
        if (st == MN_OK && f->n_bytes != g->file_bytes)
            st = mni_fail(err, MN_ERR_CORRUPT, "a file of RocksDB has not its length");
    }
    return st;
}

/* With an index that is frozen. */
static mn_status write_seal(struct mni_diskcache *c, const struct dc_seal *seal,
                            struct mn_error *err)
{
    struct sealing s = {.cache = c};

    mn_status st = mni_dir_unlink(c->dir, DC_SEAL_TEMP_NAME, err);
    if (st == MN_OK || st == MN_NOT_FOUND)
        st = mni_dir_open_file(c->dir, DC_SEAL_TEMP_NAME, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &s.file,
                               err);
    if (st != MN_OK)
        return st;
    mni_rwlock_write(&c->index_lock);
    st = dc_seal_encode(seal, &c->index, write_some, &s, err);
    mni_rwlock_unlock(&c->index_lock);
    if (st == MN_OK)
        st = mni_file_sync(s.file, err);
    mni_file_close(s.file);
    if (st == MN_OK)
        st = mni_dir_sync(c->dir, err);
    c->may_have_seal = c->may_have_seal || st == MN_OK;
    if (st == MN_OK)
        st = mni_dir_rename(c->dir, DC_SEAL_TEMP_NAME, DC_SEAL_NAME, err);
    if (st == MN_OK)
        st = mni_dir_sync(c->dir, err);
    if (st != MN_OK) {
        mni_ignore(mni_dir_unlink(c->dir, DC_SEAL_TEMP_NAME, NULL));
        mni_ignore(dc_seal_break(c, NULL));
    }
    return st;
}

static void thaw(struct mni_diskcache *c)
{
    bool has_more = true;

    while (has_more) {
        mni_rwlock_write(&c->index_lock);
        has_more = dc_index_thaw(&c->index, DC_STEP);
        dc_unlock_step(c);
    }
}

mn_status dc_seal_write(struct mni_diskcache *c, struct mn_error *err)
{
    struct dc_seal seal = {.next_number = c->next_number, .next_serial = c->index.next_serial};
    struct mni_dir *rocks = NULL;

    /* What is removed from here on, because it is due or damaged, is in the seal all the same: as
     * if that had come after it. */
    seal.clock_us = dc_lock_now(c);
    dc_index_freeze(&c->index);
    mni_rwlock_unlock(&c->index_lock);
    mn_status st = dc_place_rocks(c->dir, false, &rocks, err);
    if (st == MN_OK)
        st = look_at_manifest(rocks, &seal, err);
    if (st == MN_OK)
        st = list_files(&c->index, rocks, &seal, err);
    if (st == MN_OK)
        st = write_seal(c, &seal, err);
    thaw(c);
    mni_dir_close(rocks);
    dc_seal_done(&seal);
    c->is_sealed = st == MN_OK;
    return st;
}

/* Reading ----------*/

static mn_status check_files(struct mni_dir *dir, const struct dc_seal *seal, struct mn_error *err)
{
    struct mni_dir *rocks = NULL;
    struct dc_seal found = {0};

    mn_status st = dc_place_rocks(dir, false, &rocks, err);
    if (st == MN_OK)
        st = look_at_manifest(rocks, &found, err);
    if (st == MN_OK && (found.manifest_number != seal->manifest_number ||
                        found.manifest_bytes != seal->manifest_bytes ||
                        found.manifest_hash != seal->manifest_hash))
        st = mni_fail(err, MN_ERR_CORRUPT, "RocksDB's manifest is not the one that was sealed");
    for (uint32_t i = 0; i < seal->n_files && st == MN_OK; i++) {
        struct dc_seal_file f = {.file_number = seal->files[i].file_number};
        st = look_at_file(rocks, &f, err);
        if (st == MN_OK &&
            (f.n_bytes != seal->files[i].n_bytes || f.tail_hash != seal->files[i].tail_hash))
            st = mni_fail(err, MN_ERR_CORRUPT, "file %06" PRIu64 ".sst is not as it was sealed",
                          f.file_number);
    }
    mni_dir_close(rocks);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_CORRUPT, "a file of RocksDB is missing") : st;
}

/* A file that has grown, or another one of this name, may be of any length: memory for all of it is
 * taken only when its header tells of so much. */
static mn_status check_header(struct mni_dir *dir, struct mn_error *err)
{
    unsigned char header[SEAL_HEADER_BYTES];
    struct mni_file *file = NULL;
    uint64_t n_bytes = 0;
    size_t n = 0;

    mn_status st = mni_dir_open_file(dir, DC_SEAL_NAME, MNI_OPEN_READ, &file, err);
    if (st == MN_OK)
        st = mni_file_size(file, &n_bytes, err);
    if (st == MN_OK)
        st = mni_file_read(file, 0, header, sizeof header, &n, err);
    mni_file_close(file);
    if (st == MN_OK && n < sizeof header)
        st = mni_fail(err, MN_ERR_CORRUPT, "seal of the cache: shorter than its header");
    return st == MN_OK ? dc_seal_check_header(header, n_bytes, err) : st;
}

mn_status dc_seal_read(struct mni_diskcache *c, struct mn_error *err)
{
    struct dc_seal seal = {0};
    unsigned char *bytes = NULL;
    size_t n = 0;

    mn_status st = check_header(c->dir, err);
    if (st == MN_OK)
        st = read_file(c->dir, DC_SEAL_NAME, SIZE_MAX / 2, &bytes, &n, err);
    if (st != MN_OK)
        return st;
    st = dc_seal_decode((struct mn_slice){bytes, n}, &seal, &c->index, err);
    mni_free(bytes);
    if (st == MN_OK)
        st = check_files(c->dir, &seal, err);
    if (st == MN_OK) {
        c->next_number = seal.next_number;
        /* Time does not go back while it is closed either. */
        c->now_us = seal.clock_us < DC_NEVER ? seal.clock_us : DC_NEVER - 1;
        c->mono_us = mni_env_mono_us(c->env);
        for (uint32_t i = 0; i < seal.n_files; i++)
            c->generation_bytes += seal.files[i].n_bytes + DC_FILE_RECORD_BYTES;
    } else {
        dc_index_reset(&c->index);
    }
    dc_seal_done(&seal);
    return st;
}

/* Breaking ----------*/

mn_status dc_seal_break(struct mni_diskcache *c, struct mn_error *err)
{
    mn_status st = mni_dir_unlink(c->dir, DC_SEAL_NAME, err);

    /* One that was unlinked before may not be gone durably. */
    if (st == MN_OK || st == MN_NOT_FOUND)
        st = mni_dir_sync(c->dir, err);
    if (st == MN_OK) {
        c->is_sealed = false;
        c->may_have_seal = false;
        c->owes_seal = false;
    }
    return st;
}

/* Who may not change the directory may still be allowed to write the file. */
static mn_status overwrite(struct mni_diskcache *c, struct mn_error *err)
{
    const unsigned char nothing[SEAL_HEADER_BYTES] = {0};
    struct mni_file *file = NULL;

    mn_status st = mni_dir_open_file(c->dir, DC_SEAL_NAME, MNI_OPEN_WRITE, &file, err);
    if (st == MN_OK)
        st = mni_file_write(file, 0, nothing, sizeof nothing, err);
    if (st == MN_OK)
        st = mni_file_sync(file, err);
    mni_file_close(file);
    return st;
}

mn_status dc_seal_void(struct mni_diskcache *c, struct mn_error *err)
{
    mn_status st = dc_seal_break(c, err);

    if (st != MN_OK && overwrite(c, NULL) == MN_OK) {
        c->is_sealed = false;
        c->may_have_seal = false;
        c->owes_seal = false;
        st = MN_OK;
    }
    c->owes_seal = st != MN_OK;
    return st;
}

void dc_seal_void_off(struct mni_diskcache *c)
{
    if (!c->may_have_seal)
        return;
    c->owes_seal = true;
    if (c->dir == NULL && dc_place_open(c->env, c->path, &c->dir, NULL) != MN_OK)
        return;
    mni_ignore(dc_seal_void(c, NULL));
}
