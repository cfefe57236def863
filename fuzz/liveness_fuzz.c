/*
 * liveness_fuzz.c - any bytes as a chain of two liveness files: they are read or refused, and what
 * was read is written the same.
 *
 * Byte 0 of an input: bit 0 puts header fields that must fit and checksums right, so that what lies
 * behind them is reached; bit 1 makes two files of the rest, divided by byte 1 (in 256ths). Byte 2
 * times 8, plus 1, is the number of rows.
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
#include "segment/live_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { PUT_RIGHT = 1, TWO_FILES = 2, PREFIX_BYTES = 3 };

/* What a manifest would say of these bytes. */
static struct mni_live_info info_of(const unsigned char *bytes, size_t n)
{
    struct mni_live_info info = {.file_bytes = n};

    if (n < LIVE_HEADER_BYTES + LIVE_TRAILER_BYTES)
        return info;
    memcpy(info.id.bytes, bytes + LIVE_OFF_ID, MNI_SEGMENT_ID_BYTES);
    info.generation = mni_get_u64(bytes + LIVE_OFF_GENERATION);
    info.crc = mni_get_u32(bytes + n - 4);
    return info;
}

static void put_right(unsigned char *bytes, size_t n, uint32_t n_rows, uint64_t previous)
{
    if (n < LIVE_HEADER_BYTES + LIVE_TRAILER_BYTES)
        return;
    memcpy(bytes, LIVE_MAGIC, 8);
    mni_put_u32(bytes + LIVE_OFF_VERSION, LIVE_VERSION);
    mni_put_u16(bytes + LIVE_OFF_KIND, previous == 0 ? LIVE_FULL : LIVE_DELTA);
    memset(bytes + LIVE_OFF_ID, 7, MNI_SEGMENT_ID_BYTES);
    mni_put_u64(bytes + LIVE_OFF_GENERATION, previous + 1);
    mni_put_u64(bytes + LIVE_OFF_PREVIOUS, previous);
    mni_put_u32(bytes + LIVE_OFF_ROWS, n_rows);
    memset(bytes + LIVE_OFF_RESERVED, 0, LIVE_HEADER_BYTES - LIVE_OFF_RESERVED);
    mni_put_u32(bytes + n - 4, mni_crc32c(0, bytes, n - 4));
}

static mn_status read_file(struct mni_dir *dir, const char *name, const unsigned char *bytes,
                           size_t n, struct mni_liveness *live)
{
    struct mni_live_info info = info_of(bytes, n);
    struct mni_file *file = NULL;
    struct mn_error err = {0};

    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL);
    if (st == MN_OK && n > 0)
        st = mni_file_write(file, 0, bytes, n, NULL);
    MNI_CHECK(st == MN_OK);
    mni_file_close(file);
    st = mni_live_read(dir, name, &info, live, &err);
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
    MNI_CHECK(st == MN_OK || err.message[0] != '\0');
    return st;
}

/* All that it says can be read. */
static void walk(const struct mni_liveness *live)
{
    uint32_t n_dead = 0;
    uint32_t n_patched = 0;

    for (uint32_t row = 0; row < live->n_rows; row++) {
        struct mni_patch patch;
        bool is_visible = mni_liveness_is_visible(live, row, live->persisted_lsn);
        bool is_patched = mni_liveness_find_patch(live, row, live->persisted_lsn, &patch);
        MNI_CHECK(is_visible == mni_liveness_is_live_now(live, row));
        MNI_CHECK(is_visible || !is_patched);
        MNI_CHECK(!is_patched || patch.lsn <= live->persisted_lsn);
        n_dead += !is_visible;
        n_patched += is_patched;
    }
    MNI_CHECK(n_dead == live->n_dead);
    MNI_CHECK(n_patched == live->patches.n);
    MNI_CHECK(mni_liveness_count(live, 0, live->n_rows) == live->n_rows - n_dead);
}

/* The whole state, written and read again, is the same. */
static void write_again(struct mni_dir *dir, const struct mni_liveness *live)
{
    struct mni_live_state state;
    struct mni_live_state again;
    struct mni_live_info info = {.crc = 0};
    struct mni_liveness loaded;
    const struct mni_segment_id id = {{0}};

    mn_status st =
        mni_liveness_export(live, MNI_LIVE_EXPORT_FULL, live->persisted_lsn, &state, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_live_write(dir, "again", &id, 1, &state, &info, NULL);
    MNI_CHECK(st == MN_OK);
    mni_liveness_init(&loaded, live->n_rows);
    st = mni_live_read(dir, "again", &info, &loaded, NULL);
    MNI_CHECK(st == MN_OK);
    walk(&loaded);
    st = mni_liveness_export(&loaded, MNI_LIVE_EXPORT_FULL, live->persisted_lsn, &again, NULL);
    MNI_CHECK(st == MN_OK);
    MNI_CHECK(again.n_dead == state.n_dead && again.n_patches == state.n_patches);
    MNI_CHECK((again.rows == NULL) == (state.rows == NULL));
    MNI_CHECK(state.rows == NULL ||
              memcmp(again.rows, state.rows, state.n_deaths * sizeof *state.rows) == 0);
    MNI_CHECK(state.bits == NULL ||
              memcmp(again.bits, state.bits, live_words(live->n_rows) * sizeof *state.bits) == 0);
    mni_live_state_done(&again);
    mni_live_state_done(&state);
    mni_liveness_done(&loaded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct mni_crash_env *crash = NULL;
    struct mni_dir *dir = NULL;
    struct mni_liveness live;

    if (n_bytes < PREFIX_BYTES)
        return 0;
    size_t n = n_bytes - PREFIX_BYTES;
    unsigned char *bytes = malloc(n == 0 ? 1 : n);
    MNI_CHECK(bytes != NULL);
    memcpy(bytes, data + PREFIX_BYTES, n);
    uint32_t n_rows = 1 + data[2] * 8U;
    size_t n_first = (data[0] & TWO_FILES) != 0 ? n * data[1] / 256 : n;
    if ((data[0] & PUT_RIGHT) != 0) {
        put_right(bytes, n_first, n_rows, 0);
        put_right(bytes + n_first, n - n_first, n_rows, 1);
    }
    mn_status st = mni_crash_env_new(1, &crash);
    MNI_CHECK(st == MN_OK);
    st = mni_env_open_dir(mni_crash_env_base(crash), "/s", true, &dir, NULL);
    MNI_CHECK(st == MN_OK);
    mni_liveness_init(&live, n_rows);
    st = read_file(dir, "first", bytes, n_first, &live);
    if (st == MN_OK && (data[0] & TWO_FILES) != 0)
        mni_ignore(read_file(dir, "second", bytes + n_first, n - n_first, &live));
    walk(&live);
    if (st == MN_OK)
        write_again(dir, &live);
    mni_liveness_done(&live);
    mni_dir_close(dir);
    mni_crash_env_free(crash);
    free(bytes);
    return 0;
}
