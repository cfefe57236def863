/*
 * snapshot_fuzz.c - any bytes as a snapshot's file in a pool: it loads or is refused; what loads
 * can be verified and given back, and is written the same.
 *
 * Bit 0 of byte 0 of an input puts magic, sizes, digest and checksum right, so that what lies
 * behind them is reached; bit 1 does the same for the manifest in it, where one is found.
 *
 * Owns:    a simulated disk per input. Threads: one. Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "io/crash.h"
#include "snapshot/snapshot_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum {
    PUT_RIGHT = 1,
    PUT_MANIFEST_RIGHT = 2,
    /* of a manifest's header: offsets as in docs/format/manifest.md */
    MANIFEST_HEADER_BYTES = 128,
    MANIFEST_OFF_LSN = 40,
    MANIFEST_OFF_CONTENT_CRC = 120,
    MANIFEST_OFF_CRC = 124,
};

static const struct mni_snapshot_id the_id = {{0, 0, 0, 0, 0, 0, 3, 0xe8, 1, 2, 3, 4, 5, 6, 7, 8}};

static void write_file(struct mni_dir *dir, const unsigned char *bytes, size_t n)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mni_file *file = NULL;

    pool_snapshot_name(&the_id, "", name);
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL);
    MNI_CHECK(st == MN_OK);
    if (n > 0)
        st = mni_file_write(file, 0, bytes, n, NULL);
    MNI_CHECK(st == MN_OK);
    mni_file_close(file);
}

/* Finds the section of the manifest as a reader would. */
static void put_manifest_right(unsigned char *bytes, size_t n)
{
    size_t at = HEADER_BYTES;

    while (n - at >= SECTION_HEADER_BYTES) {
        unsigned type = mni_get_u16(bytes + at + SECTION_OFF_TYPE);
        uint64_t content = mni_get_u64(bytes + at + SECTION_OFF_BYTES);
        at += SECTION_HEADER_BYTES;
        if (content > n - at || mni_align_up(content, SECTION_ALIGN) > n - at)
            return;
        if (type == SECTION_MANIFEST && content >= MANIFEST_HEADER_BYTES) {
            unsigned char *m = bytes + at;
            mni_put_u64(m + MANIFEST_OFF_LSN, mni_snapshot_id_lsn(&the_id));
            mni_put_u32(m + MANIFEST_OFF_CONTENT_CRC,
                        mni_crc32c(0, m + MANIFEST_HEADER_BYTES, content - MANIFEST_HEADER_BYTES));
            mni_put_u32(m + MANIFEST_OFF_CRC, mni_crc32c(0, m, MANIFEST_OFF_CRC));
            return;
        }
        at += mni_align_up(content, SECTION_ALIGN);
    }
}

static void put_right(unsigned char *bytes, size_t n, bool and_manifest)
{
    unsigned char digest[MNI_SNAPSHOT_DIGEST_BYTES];

    if (n < HEADER_BYTES)
        return;
    if (and_manifest)
        put_manifest_right(bytes, n);
    memcpy(bytes + HEADER_OFF_MAGIC, SNAPSHOT_MAGIC, 8);
    mni_put_u32(bytes + HEADER_OFF_VERSION, SNAPSHOT_VERSION);
    memcpy(bytes + HEADER_OFF_ID, &the_id, sizeof the_id);
    mni_put_u64(bytes + HEADER_OFF_LSN, mni_snapshot_id_lsn(&the_id));
    mni_put_u64(bytes + HEADER_OFF_FILE_BYTES, n);
    memset(bytes + HEADER_OFF_DIGEST, 0, HEADER_BYTES - HEADER_OFF_DIGEST);
    snapshot_digest(bytes, n, digest);
    memcpy(bytes + HEADER_OFF_DIGEST, digest, sizeof digest);
    mni_put_u32(bytes + HEADER_OFF_CRC, mni_crc32c(0, bytes, HEADER_OFF_CRC));
}

static void check_loaded(struct mni_pool_dir *pool, struct mni_dir *seg,
                         struct mni_snapshot *snapshot)
{
    unsigned char *bytes = NULL;
    struct mni_snapshot again;
    struct mn_error err = {0};
    uint64_t n = 0;

    mn_status st = mni_pool_verify(pool, snapshot, NULL, NULL, NULL, &err);
    MNI_CHECK(st == (snapshot->n_files == 0 ? MN_OK : MN_ERR_CORRUPT));
    st = mni_pool_give(pool, snapshot, seg, NULL, &err);
    MNI_CHECK(st == (snapshot->n_files == 0 ? MN_OK : MN_ERR_CORRUPT));
    st = snapshot_encode(snapshot, &bytes, &n, &err);
    MNI_CHECK(st == MN_OK);
    st = snapshot_decode(bytes, n, &again, &err);
    MNI_CHECK(st == MN_OK);
    MNI_CHECK(again.n_bytes == snapshot->n_bytes && again.n_records == snapshot->n_records);
    MNI_CHECK(again.n_collections == snapshot->n_collections);
    MNI_CHECK(again.n_timelines == snapshot->n_timelines);
    mni_snapshot_done(&again);
    mni_free(bytes);
    mni_snapshot_done(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct mni_crash_env *crash = NULL;
    struct mni_pool_dir *pool = NULL;
    struct mni_dir *seg = NULL;
    struct mni_snapshot snapshot;
    struct mn_error err = {0};

    if (n_bytes == 0)
        return 0;
    mn_status st = mni_crash_env_new(1, &crash);
    MNI_CHECK(st == MN_OK);
    st = mni_pool_open(mni_crash_env_base(crash), "pool", true, &pool, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_env_open_dir(mni_crash_env_base(crash), "seg", true, &seg, NULL);
    MNI_CHECK(st == MN_OK);
    unsigned char *bytes = malloc(n_bytes);
    MNI_CHECK(bytes != NULL);
    memcpy(bytes, data + 1, n_bytes - 1);
    if ((data[0] & PUT_RIGHT) != 0)
        put_right(bytes, n_bytes - 1, (data[0] & PUT_MANIFEST_RIGHT) != 0);
    write_file(pool->dir, bytes, n_bytes - 1);
    free(bytes);
    st = mni_pool_lock(pool, MNI_POOL_REMOVE, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_pool_load(pool, &the_id, &snapshot, &err);
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
    MNI_CHECK(st == MN_OK || err.message[0] != '\0');
    if (st == MN_OK)
        check_loaded(pool, seg, &snapshot);
    st = mni_pool_remove(pool, &the_id, NULL, &err);
    MNI_CHECK(st == MN_OK);
    mni_dir_close(seg);
    mni_pool_close(pool);
    mni_crash_env_free(crash);
    return 0;
}
