/*
 * names.c - ids of snapshots, names of the files in a pool, and the files of a snapshot in order.
 *
 * Owns:    nothing.
 * Format:  docs/format/snapshot.md
 * Threads: any.
 * Fails:   never; what is no name is told.
 */
#include <string.h>

#include "base/check.h"
#include "snapshot/snapshot_private.h"

enum {
    ID_DIGITS = 2 * MNI_MANIFEST_ID_BYTES,
    GENERATION_DIGITS = 16,
    CRC_DIGITS = 8,
};
/* <id>.<generation>.<checksum>.live is the longest of all. */
static_assert(ID_DIGITS + 1 + GENERATION_DIGITS + 1 + CRC_DIGITS + 5 < MNI_NAME_BYTES_MAX, "names");
static_assert((int)ID_DIGITS == 2 * (int)MNI_SNAPSHOT_ID_BYTES, "ids of both have one length");

const char pool_new_suffix[] = ".new";
const char pool_copying_name[] = "copying.new";
const char pool_rewriting_name[] = "rewriting.new";
static const char snapshot_suffix[] = ".snapshot";

/* Hexadecimal digits ----------*/

static char *put_bytes(char *at, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

static char *put_number(char *at, uint64_t number, size_t n_digits)
{
    for (size_t i = n_digits; i > 0; i--, number >>= 4)
        at[i - 1] = "0123456789abcdef"[number & 15];
    return at + n_digits;
}

static char *put_text(char *at, const char *text)
{
    size_t n = strlen(text);

    memcpy(at, text, n + 1);
    return at + n;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL: these are no digits. */
static const char *get_bytes(const char *at, unsigned char *bytes_out, size_t n)
{
    for (size_t i = 0; i < n; i++, at += 2) {
        int high = digit_value(at[0]);
        int low = high < 0 ? -1 : digit_value(at[1]);
        if (low < 0)
            return NULL;
        bytes_out[i] = (unsigned char)(high << 4 | low);
    }
    return at;
}

static const char *get_number(const char *at, uint64_t *number_out, size_t n_digits)
{
    *number_out = 0;
    for (size_t i = 0; i < n_digits; i++, at++) {
        int value = digit_value(*at);
        if (value < 0)
            return NULL;
        *number_out = *number_out << 4 | (unsigned)value;
    }
    return at;
}

/* Ids ----------*/

mn_status mni_snapshot_id_new(struct mni_env *env, uint64_t lsn, struct mni_snapshot_id *id_out,
                              struct mn_error *err)
{
    struct mni_snapshot_id id;

    for (int i = 0; i < 8; i++)
        id.bytes[i] = (unsigned char)(lsn >> (56 - 8 * i));
    mn_status st = mni_env_random(env, id.bytes + 8, 8, err);
    if (st == MN_OK)
        *id_out = id;
    return st;
}

void mni_snapshot_id_format(const struct mni_snapshot_id *id,
                            char text_out[MNI_SNAPSHOT_ID_TEXT_BYTES])
{
    *put_bytes(text_out, id->bytes, MNI_SNAPSHOT_ID_BYTES) = '\0';
}

bool mni_snapshot_id_parse(struct mn_slice text, struct mni_snapshot_id *id_out)
{
    struct mni_snapshot_id id;

    if (text.n_bytes != ID_DIGITS || get_bytes(text.data, id.bytes, sizeof id.bytes) == NULL)
        return false;
    *id_out = id;
    return true;
}

bool mni_snapshot_id_is_zero(const struct mni_snapshot_id *id)
{
    static const struct mni_snapshot_id zero;

    return memcmp(id, &zero, sizeof zero) == 0;
}

uint64_t mni_snapshot_id_lsn(const struct mni_snapshot_id *id)
{
    uint64_t lsn = 0;

    for (int i = 0; i < 8; i++)
        lsn = lsn << 8 | id->bytes[i];
    return lsn;
}

void pool_snapshot_name(const struct mni_snapshot_id *id, const char *suffix,
                        char name_out[MNI_NAME_BYTES_MAX])
{
    char *at = put_bytes(name_out, id->bytes, MNI_SNAPSHOT_ID_BYTES);

    (void)put_text(put_text(at, snapshot_suffix), suffix);
}

bool pool_parse_snapshot_name(const char *name, struct mni_snapshot_id *id_out, bool *is_new_out)
{
    const char *rest = get_bytes(name, id_out->bytes, MNI_SNAPSHOT_ID_BYTES);

    if (rest == NULL || strncmp(rest, snapshot_suffix, sizeof snapshot_suffix - 1) != 0)
        return false;
    rest += sizeof snapshot_suffix - 1;
    *is_new_out = strcmp(rest, pool_new_suffix) == 0;
    return *rest == '\0' || *is_new_out;
}

/* Files ----------*/

void pool_file_name(const struct pool_file *file, char name_out[MNI_NAME_BYTES_MAX])
{
    char *at = put_bytes(name_out, file->segment_id, sizeof file->segment_id);

    *at++ = '.';
    if (file->generation != 0) {
        at = put_number(at, file->generation, GENERATION_DIGITS);
        *at++ = '.';
    }
    at = put_number(at, file->crc, CRC_DIGITS);
    at = put_text(at, file->generation != 0 ? ".live" : ".seg");
    if (file->is_compressed)
        (void)put_text(at, ".zst");
}

void pool_file_store_name(const struct pool_file *file, char name_out[MNI_NAME_BYTES_MAX])
{
    if (file->generation == 0)
        mni_manifest_segment_name(file->segment_id, name_out);
    else
        mni_manifest_live_name(file->segment_id, file->generation, name_out);
}

bool pool_file_parse(const char *name, struct pool_file *file_out)
{
    struct pool_file file = {0};
    uint64_t crc = 0;
    const char *at = get_bytes(name, file.segment_id, sizeof file.segment_id);

    if (at == NULL || *at++ != '.')
        return false;
    bool is_segment = strlen(at) > CRC_DIGITS && at[CRC_DIGITS] == '.';
    if (!is_segment) {
        at = get_number(at, &file.generation, GENERATION_DIGITS);
        if (at == NULL || file.generation == 0 || *at++ != '.')
            return false;
    }
    at = get_number(at, &crc, CRC_DIGITS);
    if (at == NULL)
        return false;
    file.crc = (uint32_t)crc;
    file.is_compressed = is_segment && strcmp(at, ".seg.zst") == 0;
    if (strcmp(at, is_segment ? ".seg" : ".live") != 0 && !file.is_compressed)
        return false;
    *file_out = file;
    return true;
}

int pool_file_compare(const void *one, const void *other)
{
    const struct pool_file *a = one;
    const struct pool_file *b = other;
    int order = memcmp(a->segment_id, b->segment_id, sizeof a->segment_id);

    if (order != 0)
        return order;
    if (a->generation != b->generation)
        return a->generation < b->generation ? -1 : 1;
    if (a->crc != b->crc)
        return a->crc < b->crc ? -1 : 1;
    return (int)a->is_compressed - (int)b->is_compressed;
}

bool snapshot_next_file(const struct mni_snapshot *snapshot, struct file_cursor *cursor,
                        struct pool_file *file_out)
{
    const struct mni_manifest *m = &snapshot->manifest;

    if (cursor->is_inside && cursor->n_lives == m->segments[cursor->segment].n_lives) {
        cursor->segment++;
        cursor->n_lives = 0;
        cursor->is_inside = false;
    }
    if (cursor->segment == m->n_segments)
        return false;
    const struct mni_manifest_segment *s = &m->segments[cursor->segment];
    *file_out = (struct pool_file){.n_rows = s->n_rows};
    memcpy(file_out->segment_id, s->id, sizeof s->id);
    if (!cursor->is_inside) {
        cursor->is_inside = true;
        file_out->is_compressed = (snapshot->flags & MNI_SNAPSHOT_COMPRESSED) != 0;
        file_out->crc = s->footer_crc;
        file_out->footer_bytes = s->footer_bytes;
        file_out->file_bytes = s->file_bytes;
        file_out->stored_bytes = s->file_bytes;
        if (file_out->is_compressed)
            file_out->stored_bytes = snapshot->stored == NULL ? 0
                                                              : snapshot->stored[cursor->segment];
        return true;
    }
    const struct mni_manifest_live *live = &m->lives[s->first_live + cursor->n_lives++];
    file_out->generation = live->generation;
    file_out->crc = live->crc;
    file_out->file_bytes = live->file_bytes;
    file_out->stored_bytes = live->file_bytes;
    return true;
}
