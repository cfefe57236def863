/*
 * file.c - manifests on disk: publishing the next, finding and reading the newest, removing others.
 *
 * Owns:    nothing between calls.
 * Format:  docs/format/manifest.md
 * Threads: one at a time per directory.
 * Fails:   a failed publish leaves the old manifest valid, or says that it cannot know.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/plant.h"
#include "manifest/manifest_private.h"

enum { PREFIX_BYTES = 9, NUMBER_DIGITS = 20 };
static const char prefix[] = "MANIFEST-";
static const char new_suffix[] = ".new";
static_assert(sizeof prefix == PREFIX_BYTES + 1, "prefix");

static void manifest_name(uint64_t number, const char *suffix, char name_out[MNI_NAME_BYTES_MAX])
{
    (void)snprintf(name_out, MNI_NAME_BYTES_MAX, "%s%020" PRIu64 "%s", prefix, number, suffix);
}

void mni_manifest_name(uint64_t number, char name_out[MNI_NAME_BYTES_MAX])
{
    manifest_name(number, "", name_out);
}

/* The number in a manifest's name, 0 when the name is no such. */
static uint64_t parse_name(const char *name, bool *is_new_out)
{
    uint64_t number = 0;

    if (strncmp(name, prefix, PREFIX_BYTES) != 0)
        return 0;
    const char *at = name + PREFIX_BYTES;
    for (int i = 0; i < NUMBER_DIGITS; i++) {
        unsigned digit = (unsigned)(unsigned char)*at++ - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    *is_new_out = strcmp(at, new_suffix) == 0;
    return *at == '\0' || *is_new_out ? number : 0;
}

/* Answers of the environment that are not errors would be taken for answers of ours. */
static mn_status as_error(mn_status st, struct mn_error *err)
{
    if (st <= MN_OK)
        return st;
    if (err != NULL)
        err->status = MN_ERR_IO;
    return MN_ERR_IO;
}

/* Publishing ----------*/

static mn_status write_copies(struct mni_dir *dir, const char *name, unsigned char *bytes,
                              uint64_t copy_bytes, struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_unlink(dir, name, err);

    if (st == MN_OK || st == MN_NOT_FOUND)
        st = mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, err);
    if (st != MN_OK)
        return as_error(st, err);
    for (unsigned copy = 0; st == MN_OK && copy < N_COPIES; copy++) {
        manifest_set_copy(bytes, copy);
        st = mni_file_write(file, copy * copy_bytes, bytes, copy_bytes, err);
    }
    if (st == MN_OK && !MNI_PLANTED("manifest_not_synced"))
        st = mni_file_sync(file, err);
    mni_file_close(file);
    if (st != MN_OK)
        mni_ignore(mni_dir_unlink(dir, name, NULL));
    return as_error(st, err);
}

/* MN_OK: the name is free. */
static mn_status check_name_is_free(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);

    mni_file_close(file);
    if (st == MN_NOT_FOUND)
        return MN_OK;
    return st == MN_OK ? mni_fail(err, MN_EXISTS, "%s is there already", name) : st;
}

mn_status mni_manifest_publish(struct mni_dir *dir, struct mni_manifest *manifest,
                               bool *is_in_doubt_out, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    char new_name[MNI_NAME_BYTES_MAX];
    unsigned char *bytes = NULL;
    uint64_t copy_bytes = 0;

    *is_in_doubt_out = false;
    manifest_name(manifest->number, "", name);
    manifest_name(manifest->number, new_suffix, new_name);
    mn_status st = mni_manifest_validate(manifest, err);
    if (st == MN_OK)
        st = manifest_copy_bytes(manifest, &copy_bytes, err);
    if (st == MN_OK)
        st = check_name_is_free(dir, name, err);
    if (st != MN_OK)
        goto out;
    bytes = mni_alloc(copy_bytes);
    if (bytes == NULL) {
        st = mni_fail(err, MN_ERR_NOMEM, "%s", name);
        goto out;
    }
    manifest_encode(manifest, bytes, copy_bytes);
    st = write_copies(dir, new_name, bytes, copy_bytes, err);
    if (st != MN_OK)
        goto out;
    st = as_error(mni_dir_rename(dir, new_name, name, err), err);
    if (st != MN_OK) {
        /* An I/O error may come after the change, all others come before it. */
        *is_in_doubt_out = st == MN_ERR_IO;
        mni_ignore(mni_dir_unlink(dir, new_name, NULL));
        goto out;
    }
    if (!MNI_PLANTED("manifest_name_not_synced"))
        st = as_error(mni_dir_sync(dir, err), err);
    *is_in_doubt_out = st != MN_OK;
out:
    mni_free(bytes);
    return st;
}

/* Loading ----------*/

/* A manifest's file while it is read. */
struct source {
    struct mni_file *file;
    const char *name;
    uint64_t number;
    const unsigned char *store_id; /* NULL: any */
    uint64_t file_bytes;
    unsigned char *bytes; /* owned; of a copy, behind its header */
    uint64_t capacity_bytes;
};

static mn_status read_exactly(struct source *source, uint64_t offset, void *out, size_t n,
                              struct mn_error *err)
{
    size_t n_read = 0;
    mn_status st = mni_file_read(source->file, offset, out, n, &n_read, err);

    if (st != MN_OK)
        return as_error(st, err);
    return n_read == n ? MN_OK : mni_fail(err, MN_ERR_CORRUPT, "it is too short");
}

/* Reads one copy and checks its sums; its sections are in source->bytes afterwards. */
static mn_status read_copy(struct source *source, unsigned copy, uint64_t offset,
                           struct manifest_header *header, struct mn_error *err)
{
    unsigned char header_bytes[HEADER_BYTES];

    if (offset > source->file_bytes || source->file_bytes - offset < HEADER_BYTES)
        return mni_fail(err, MN_ERR_CORRUPT, "it is too short");
    mn_status st = read_exactly(source, offset, header_bytes, HEADER_BYTES, err);
    if (st == MN_OK)
        st = manifest_header_decode(header_bytes, header, err);
    if (st != MN_OK)
        return st;
    if (header->copy != copy || header->copy_bytes > source->file_bytes - offset)
        return mni_fail(err, MN_ERR_CORRUPT, "it is too short, or its copies changed places");
    if (header->number != source->number)
        return mni_fail(err, MN_ERR_CORRUPT, "it is number %" PRIu64, header->number);
    if (source->store_id != NULL &&
        memcmp(header->store_id, source->store_id, MNI_MANIFEST_ID_BYTES) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "it belongs to another store");
    uint64_t n = header->copy_bytes - HEADER_BYTES;
    if (n > source->capacity_bytes) {
        mni_free(source->bytes);
        source->capacity_bytes = 0;
        source->bytes = mni_alloc(n);
        if (source->bytes == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "%" PRIu64 " bytes", n);
        source->capacity_bytes = n;
    }
    st = read_exactly(source, offset + HEADER_BYTES, source->bytes, n, err);
    if (st == MN_OK && mni_crc32c(0, source->bytes, n) != header->body_crc)
        st = mni_fail(err, MN_ERR_CORRUPT, "the checksum does not match");
    return st;
}

/* Whether the other copy may stand in. */
static bool is_damage(mn_status st)
{
    return st == MN_ERR_CORRUPT || st == MN_ERR_IO;
}

static bool same_header(const struct manifest_header *a, const struct manifest_header *b)
{
    return memcmp(a->store_id, b->store_id, MNI_MANIFEST_ID_BYTES) == 0 && a->lsn == b->lsn &&
           a->time_us == b->time_us && a->copy_bytes == b->copy_bytes &&
           a->section_bytes == b->section_bytes && a->n_sections == b->n_sections &&
           a->body_crc == b->body_crc;
}

/* Reads the second copy where it stands when nothing is known from the first. */
static mn_status read_second(struct source *source, struct manifest_header *header,
                             struct mn_error *err)
{
    uint64_t offset = source->file_bytes / N_COPIES;
    mn_status st = read_copy(source, 1, offset, header, err);

    if (st == MN_OK && header->copy_bytes != offset)
        st = mni_fail(err, MN_ERR_CORRUPT, "it has a wrong length");
    return st;
}

static mn_status read_source(struct source *source, struct mni_manifest *manifest,
                             bool *is_damaged_out, struct mn_error *err)
{
    struct manifest_header first;
    struct manifest_header second;
    struct mn_error second_err;

    mn_status st = as_error(mni_file_size(source->file, &source->file_bytes, err), err);
    if (st != MN_OK)
        return st;
    st = read_copy(source, 0, 0, &first, err);
    if (is_damage(st)) {
        mn_status second_st = read_second(source, &second, &second_err);
        if (is_damage(second_st))
            return st;
        if (second_st != MN_OK && err != NULL)
            *err = second_err;
        *is_damaged_out = true;
        return second_st == MN_OK ? manifest_decode(&second, source->bytes, manifest, err)
                                  : second_st;
    }
    if (st == MN_OK)
        st = manifest_decode(&first, source->bytes, manifest, err);
    if (st != MN_OK)
        return st;
    st = read_copy(source, 1, first.copy_bytes, &second, &second_err);
    if (st == MN_OK && !same_header(&first, &second))
        return mni_fail(err, MN_ERR_CORRUPT, "its two copies differ");
    *is_damaged_out = st != MN_OK || source->file_bytes != N_COPIES * first.copy_bytes;
    if (st == MN_OK || is_damage(st))
        return MN_OK;
    if (err != NULL)
        *err = second_err;
    return st;
}

static mn_status find_newest(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    uint64_t *newest = context;
    bool is_new = false;
    uint64_t number = parse_name(name, &is_new);

    (void)is_dir;
    (void)err;
    if (!is_new && number > *newest)
        *newest = number;
    return MN_OK;
}

mn_status mni_manifest_newest(struct mni_dir *dir, uint64_t *number_out, struct mn_error *err)
{
    *number_out = 0;
    return as_error(mni_dir_list(dir, find_newest, number_out, err), err);
}

mn_status mni_manifest_load(struct mni_dir *dir, const unsigned char *store_id,
                            struct mni_manifest *manifest_out, bool *is_damaged_out,
                            struct mn_error *err)
{
    struct source source = {.store_id = store_id};
    struct mni_manifest manifest = {0};
    char name[MNI_NAME_BYTES_MAX];
    bool is_damaged = false;

    *manifest_out = manifest;
    *is_damaged_out = false;
    mn_status st = as_error(mni_dir_list(dir, find_newest, &source.number, err), err);
    if (st != MN_OK)
        return st;
    if (source.number == 0)
        return mni_fail(err, MN_NOT_FOUND, "no manifest");
    manifest_name(source.number, "", name);
    st = as_error(mni_dir_open_file(dir, name, MNI_OPEN_READ, &source.file, err), err);
    if (st != MN_OK)
        return st;
    st = read_source(&source, &manifest, &is_damaged, err);
    mni_file_close(source.file);
    mni_free(source.bytes);
    if (st != MN_OK) {
        mni_error_prefix(err, "%s", name);
        mni_manifest_done(&manifest);
        return st;
    }
    *manifest_out = manifest;
    *is_damaged_out = is_damaged;
    return MN_OK;
}

/* Removing ----------*/

enum { BATCH = 64 };

struct removable {
    uint64_t below;
    size_t n;
    struct {
        uint64_t number;
        bool is_new;
    } found[BATCH];
};

static mn_status find_removable(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct removable *removable = context;
    bool is_new = false;
    uint64_t number = parse_name(name, &is_new);

    (void)is_dir;
    (void)err;
    if (number == 0 || (!is_new && number >= removable->below) || removable->n == BATCH)
        return MN_OK;
    removable->found[removable->n].number = number;
    removable->found[removable->n++].is_new = is_new;
    return MN_OK;
}

struct older {
    uint64_t below;
    bool is_there;
};

static mn_status find_older(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct older *older = context;
    bool is_new = false;
    uint64_t number = parse_name(name, &is_new);

    (void)is_dir;
    (void)err;
    older->is_there = older->is_there || (!is_new && number != 0 && number < older->below);
    return MN_OK;
}

mn_status mni_manifest_has_older(struct mni_dir *dir, uint64_t number, bool *has_out,
                                 struct mn_error *err)
{
    struct older older = {.below = number};
    mn_status st = as_error(mni_dir_list(dir, find_older, &older, err), err);

    *has_out = older.is_there;
    return st;
}

mn_status mni_manifest_remove_older(struct mni_dir *dir, uint64_t number, struct mn_error *err)
{
    struct removable removable;

    do {
        removable.below = number;
        removable.n = 0;
        mn_status st = as_error(mni_dir_list(dir, find_removable, &removable, err), err);
        for (size_t i = 0; st == MN_OK && i < removable.n; i++) {
            char name[MNI_NAME_BYTES_MAX];
            manifest_name(removable.found[i].number, removable.found[i].is_new ? new_suffix : "",
                          name);
            st = mni_dir_unlink(dir, name, err);
            if (st == MN_NOT_FOUND)
                st = MN_OK;
        }
        if (st != MN_OK)
            return as_error(st, err);
    } while (removable.n == BATCH);
    return MN_OK;
}
