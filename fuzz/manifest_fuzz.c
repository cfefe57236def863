/*
 * manifest_fuzz.c - any bytes as a manifest: it loads or is refused, and what loads is written the
 * same.
 *
 * Bit 0 of byte 0 of an input takes the rest as one copy, puts its sizes and checksums right, so
 * that what lies behind them is reached, and writes it twice.
 *
 * Owns:    a simulated disk per input.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "io/crash.h"
#include "manifest/manifest_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { PUT_RIGHT = 1 };

static const char file_name[] = "MANIFEST-00000000000000000001";

static void write_file(struct mni_dir *dir, const unsigned char *bytes, size_t n)
{
    struct mni_file *file = NULL;

    mn_status st = mni_dir_open_file(dir, file_name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL);
    MNI_CHECK(st == MN_OK);
    if (n > 0)
        st = mni_file_write(file, 0, bytes, n, NULL);
    MNI_CHECK(st == MN_OK);
    mni_file_close(file);
}

/* Two copies of what stands in `data`; the caller frees them. */
static unsigned char *two_copies(const uint8_t *data, size_t n, size_t *n_out)
{
    size_t copy_bytes = (size_t)mni_align_up(n < HEADER_BYTES ? HEADER_BYTES : n, COPY_ALIGN);
    unsigned char *bytes = calloc(2, copy_bytes);

    MNI_CHECK(bytes != NULL);
    memcpy(bytes, data, n);
    memcpy(bytes + HEADER_OFF_MAGIC, MANIFEST_MAGIC, 8);
    mni_put_u32(bytes + HEADER_OFF_VERSION, MANIFEST_VERSION);
    mni_put_u64(bytes + HEADER_OFF_NUMBER, 1);
    mni_put_u64(bytes + HEADER_OFF_COPY_BYTES, copy_bytes);
    mni_put_u64(bytes + HEADER_OFF_SECTION_BYTES, n < HEADER_BYTES ? 0 : n - HEADER_BYTES);
    memset(bytes + HEADER_OFF_RESERVED, 0, HEADER_OFF_BODY_CRC - HEADER_OFF_RESERVED);
    mni_put_u32(bytes + HEADER_OFF_BODY_CRC,
                mni_crc32c(0, bytes + HEADER_BYTES, copy_bytes - HEADER_BYTES));
    manifest_set_copy(bytes, 0);
    memcpy(bytes + copy_bytes, bytes, copy_bytes);
    manifest_set_copy(bytes + copy_bytes, 1);
    *n_out = 2 * copy_bytes;
    return bytes;
}

/* All that it says can be read, and is said again by the manifest built from it. */
static void check_loaded(struct mni_dir *dir, const struct mni_manifest *m)
{
    struct mni_manifest again = *m;
    struct mni_manifest loaded;
    char name[MNI_NAME_BYTES_MAX];
    bool is_in_doubt;
    bool is_damaged;

    MNI_CHECK(m->number == 1);
    again.number = 2;
    again.runs = NULL;
    again.segments = NULL;
    again.lives = NULL;
    again.index = NULL;
    again.keys = (struct mni_buf){0};
    again.n_runs = again.n_segments = again.n_lives = 0;
    again.runs_capacity = again.segments_capacity = again.lives_capacity = again.index_capacity = 0;
    for (size_t i = 0; i < m->n_runs; i++) {
        mn_status st = mni_manifest_add_run(&again);
        MNI_CHECK(st == MN_OK);
        for (size_t j = 0; j < m->runs[i].n_segments; j++) {
            const struct mni_manifest_segment *s = &m->segments[m->runs[i].first_segment + j];
            MNI_CHECK(mni_manifest_find(m, s->id) == s);
            mni_manifest_segment_name(s->id, name);
            MNI_CHECK(mni_manifest_has_name(m, name));
            st = mni_manifest_add_segment(&again, s);
            MNI_CHECK(st == MN_OK);
            for (size_t k = 0; k < s->n_lives; k++) {
                st = mni_manifest_add_live(&again, &m->lives[s->first_live + k]);
                MNI_CHECK(st == MN_OK);
            }
        }
    }
    mn_status st = mni_manifest_publish(dir, &again, &is_in_doubt, NULL);
    MNI_CHECK(st == MN_OK && !is_in_doubt);
    st = mni_manifest_load(dir, m->store_id, &loaded, &is_damaged, NULL);
    MNI_CHECK(st == MN_OK && !is_damaged);
    MNI_CHECK(loaded.number == 2 && loaded.n_segments == m->n_segments);
    MNI_CHECK(loaded.keys.n_bytes == m->keys.n_bytes);
    MNI_CHECK(m->keys.n_bytes == 0 || memcmp(loaded.keys.data, m->keys.data, m->keys.n_bytes) == 0);
    if (m->n_segments > 0) {
        st = mni_manifest_check_files(dir, m, NULL);
        MNI_CHECK(st == MN_ERR_CORRUPT);
    }
    mni_manifest_done(&loaded);
    mni_manifest_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct mni_crash_env *crash = NULL;
    struct mni_dir *dir = NULL;
    struct mni_manifest m;
    struct mn_error err = {0};
    bool is_damaged;

    if (n_bytes == 0)
        return 0;
    mn_status st = mni_crash_env_new(1, &crash);
    MNI_CHECK(st == MN_OK);
    st = mni_env_open_dir(mni_crash_env_base(crash), "/s", true, &dir, NULL);
    MNI_CHECK(st == MN_OK);
    if ((data[0] & PUT_RIGHT) != 0) {
        size_t n = 0;
        unsigned char *bytes = two_copies(data + 1, n_bytes - 1, &n);
        write_file(dir, bytes, n);
        free(bytes);
    } else {
        write_file(dir, data + 1, n_bytes - 1);
    }
    st = mni_manifest_load(dir, NULL, &m, &is_damaged, &err);
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
    MNI_CHECK(st == MN_OK || err.message[0] != '\0');
    if (st == MN_OK)
        check_loaded(dir, &m);
    mni_manifest_done(&m);
    mni_dir_close(dir);
    mni_crash_env_free(crash);
    return 0;
}
