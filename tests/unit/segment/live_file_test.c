/* live_file_test.c - liveness files: written, read, damaged, chained. */
#include <errno.h>

#include "live_fixture.h"

enum { FILE_BYTES_MAX = 1 << 16 };

static const struct mni_segment_id id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static const char name[] = "a.1.live";

static size_t get_file(struct world *w, const char *file_name, unsigned char *bytes)
{
    struct mni_file *file = NULL;
    size_t n = 0;

    CHECK_OK(mni_dir_open_file(w->dir, file_name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_read(file, 0, bytes, FILE_BYTES_MAX, &n, NULL));
    mni_file_close(file);
    return n;
}

static void put_file(struct world *w, const char *file_name, const void *bytes, size_t n)
{
    struct mni_file *file = NULL;

    mni_ignore(mni_dir_unlink(w->dir, file_name, NULL));
    CHECK_OK(mni_dir_open_file(w->dir, file_name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
    if (n > 0)
        CHECK_OK(mni_file_write(file, 0, bytes, n, NULL));
    mni_file_close(file);
}

/* Writes the state at `lsn` as the next generation. */
static struct mni_live_info save(struct world *w, struct mni_liveness *live, const char *file_name,
                                 unsigned flags, uint64_t lsn)
{
    struct mni_live_state state;
    struct mni_live_info info = {.crc = 0};
    uint64_t generation = live->generation + 3;

    CHECK_OK(mni_liveness_export(live, flags, lsn, &state, NULL));
    CHECK_OK_ERR(mni_live_write(w->dir, file_name, &id, generation, &state, &info, &w->err),
                 &w->err);
    CHECK_EQ(info.generation, generation);
    CHECK_EQ(info.file_bytes, mni_live_file_bytes(&state));
    mni_live_state_done(&state);
    mni_liveness_persisted(live, generation, lsn);
    return info;
}

/* 200 rows of which 3, 64 and 199 die and 5 and 7 are patched, up to LSN 20; and more after it. */
static struct mni_liveness sample(void)
{
    struct mni_liveness live;
    struct mni_patch expiry = {.lsn = 12, .fields = MNI_FIELD_EXPIRY, .expires_at_us = 1234567};
    struct mni_patch both = {
        .lsn = 20, .fields = MNI_FIELD_HITS, .clears = MNI_FIELD_EXPIRY, .hits = 77};
    struct mni_patch later = {.lsn = 21, .fields = MNI_FIELD_HITS, .hits = 78};

    mni_liveness_init(&live, 200);
    patch(&live, NULL, 3, &expiry, 0);
    patch(&live, NULL, 5, &expiry, 0);
    patch(&live, NULL, 7, &expiry, 0);
    patch(&live, NULL, 7, &both, 0);
    patch(&live, NULL, 9, &expiry, 0);
    kill(&live, NULL, 199, 11);
    kill(&live, NULL, 64, 19);
    kill(&live, NULL, 3, 20);
    patch(&live, NULL, 7, &later, 0);
    patch(&live, NULL, 8, &later, 0);
    kill(&live, NULL, 9, 22);
    kill(&live, NULL, 100, 23);
    return live;
}

static void check_is_sample(const struct mni_liveness *live)
{
    struct mni_patch p;

    CHECK_EQ(live->n_dead, 3);
    for (uint32_t row = 0; row < 200; row++) {
        bool is_dead = row == 3 || row == 64 || row == 199;
        bool is_patched = row == 5 || row == 7 || row == 9;
        CHECK_EQ(mni_liveness_is_visible(live, row, 20), !is_dead);
        CHECK_EQ(mni_liveness_find_patch(live, row, 20, &p), is_patched);
    }
    CHECK(mni_liveness_find_patch(live, 7, 20, &p));
    CHECK_EQ(p.lsn, 20);
    CHECK_EQ(p.fields, MNI_FIELD_HITS);
    CHECK_EQ(p.clears, MNI_FIELD_EXPIRY);
    CHECK_EQ(p.hits, 77);
    CHECK_EQ(p.expires_at_us, 0);
    CHECK(mni_liveness_find_patch(live, 5, 20, &p));
    CHECK_EQ(p.lsn, 12);
    CHECK_EQ(p.expires_at_us, 1234567);
    CHECK_EQ(live->persisted_lsn, 20);
}

static void later_effects_are_left_out(void)
{
    struct world w = world_new(1);
    struct mni_liveness live = sample();
    struct mni_liveness loaded;
    struct mni_live_info info = save(&w, &live, name, 0, 20);

    mni_liveness_init(&loaded, 200);
    CHECK_OK_ERR(mni_live_read(w.dir, name, &info, &loaded, &w.err), &w.err);
    check_is_sample(&loaded);
    CHECK_EQ(loaded.generation, 3);
    mni_liveness_done(&loaded);
    mni_liveness_done(&live);
    world_free(&w);
}

static void deltas_follow_each_other(void)
{
    struct world w = world_new(1);
    struct mni_liveness live = sample();
    struct mni_liveness loaded;
    struct mni_patch p;
    struct mni_live_info first = save(&w, &live, name, 0, 20);
    struct mni_live_info second = save(&w, &live, "b", MNI_LIVE_EXPORT_LSNS, 30);

    CHECK_EQ(second.file_bytes, 96 + 8 + 16 + 2 * 32 + 8);
    mni_liveness_init(&loaded, 200);
    CHECK_STATUS(mni_live_read(w.dir, "b", &second, &loaded, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w.err.message, "does not follow");
    CHECK_OK(mni_live_read(w.dir, name, &first, &loaded, NULL));
    CHECK_STATUS(mni_live_read(w.dir, name, &first, &loaded, &w.err), MN_ERR_CORRUPT);
    CHECK_OK_ERR(mni_live_read(w.dir, "b", &second, &loaded, &w.err), &w.err);
    CHECK_EQ(loaded.n_dead, 5);
    CHECK(!mni_liveness_is_visible(&loaded, 100, 30));
    CHECK(mni_liveness_find_patch(&loaded, 7, 30, &p));
    CHECK_EQ(p.hits, 78);
    CHECK_EQ(p.clears, MNI_FIELD_EXPIRY);
    CHECK(mni_liveness_find_patch(&loaded, 5, 30, &p));
    CHECK_EQ(loaded.patches.n, 3); /* that of the row which died has gone */
    CHECK_EQ(loaded.generation, 6);
    CHECK_EQ(loaded.persisted_lsn, 30);
    mni_liveness_done(&loaded);

    struct mni_live_state state;
    CHECK_OK(mni_liveness_export(&live, 0, 40, &state, NULL));
    CHECK(mni_live_state_is_empty(&state));
    CHECK_EQ(state.n_dead, 5);
    mni_live_state_done(&state);
    CHECK_OK(mni_liveness_export(&live, MNI_LIVE_EXPORT_FULL, 40, &state, NULL));
    CHECK(!mni_live_state_is_empty(&state));
    CHECK_EQ(state.n_deaths, 5);
    CHECK_EQ(state.previous, 0);
    mni_live_state_done(&state);
    mni_live_state_done(NULL);
    mni_liveness_done(&live);
    world_free(&w);
}

static void many_deaths_are_bits(void)
{
    struct world w = world_new(1);
    struct mni_liveness live;
    struct mni_liveness loaded;

    mni_liveness_init(&live, 6400);
    for (uint32_t row = 0; row < 6400; row += 2)
        kill(&live, NULL, row, row + 1);
    struct mni_live_info info = save(&w, &live, name, 0, 400); /* 200 deaths: as small as a list */
    CHECK_EQ(info.file_bytes, 96 + 800 + 8);
    struct mni_live_info next = save(&w, &live, "b", 0, 6400);
    CHECK_EQ(next.file_bytes, 96 + 800 + 8);
    mni_liveness_init(&loaded, 6400);
    CHECK_OK(mni_live_read(w.dir, name, &info, &loaded, NULL));
    CHECK_EQ(loaded.n_dead, 200);
    CHECK_OK_ERR(mni_live_read(w.dir, "b", &next, &loaded, &w.err), &w.err);
    for (uint32_t row = 0; row < 6400; row++)
        CHECK_EQ(mni_liveness_is_visible(&loaded, row, 6400), row % 2 != 0);
    mni_liveness_done(&loaded);
    mni_liveness_done(&live);
    world_free(&w);
}

static void every_flipped_bit_and_every_length_is_seen(void)
{
    static unsigned char bytes[FILE_BYTES_MAX];
    struct world w = world_new(1);
    struct mni_liveness live = sample();
    struct mni_liveness loaded;
    struct mni_live_info info = save(&w, &live, name, MNI_LIVE_EXPORT_LSNS, 20);
    size_t n = get_file(&w, name, bytes);

    CHECK_EQ(n, info.file_bytes);
    mni_liveness_init(&loaded, 200);
    for (size_t i = 0; i < n * 8; i++) {
        bytes[i / 8] ^= (unsigned char)(1 << i % 8);
        put_file(&w, name, bytes, n);
        CHECK_STATUS(mni_live_read(w.dir, name, &info, &loaded, &w.err), MN_ERR_CORRUPT);
        CHECK_STR_HAS(w.err.message, name);
        bytes[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    for (size_t i = 0; i < n; i++) {
        put_file(&w, name, bytes, i);
        CHECK_STATUS(mni_live_read(w.dir, name, &info, &loaded, &w.err), MN_ERR_CORRUPT);
        CHECK_STR_HAS(w.err.message, "bytes, not");
    }
    put_file(&w, name, bytes, n + 1);
    CHECK_STATUS(mni_live_read(w.dir, name, &info, &loaded, NULL), MN_ERR_CORRUPT);
    CHECK_STATUS(mni_live_read(w.dir, "missing", &info, &loaded, NULL), MN_NOT_FOUND);
    CHECK_EQ(mni_liveness_memory_bytes(&loaded), 0);
    put_file(&w, name, bytes, n);
    CHECK_OK(mni_live_read(w.dir, name, &info, &loaded, NULL));
    check_is_sample(&loaded);
    mni_liveness_done(&loaded);
    mni_liveness_done(&live);
    world_free(&w);
}

/* Of another segment, another generation, other rows, or simply not the one that is meant. */
static void only_the_expected_file_is_read(void)
{
    struct world w = world_new(1);
    struct mni_liveness live = sample();
    struct mni_liveness loaded;
    const struct mni_live_info info = save(&w, &live, name, 0, 20);
    struct mni_live_info other = info;

    mni_liveness_init(&loaded, 200);
    other.id.bytes[15]++;
    CHECK_STATUS(mni_live_read(w.dir, name, &other, &loaded, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w.err.message, "another segment");
    other = info;
    other.generation++;
    CHECK_STATUS(mni_live_read(w.dir, name, &other, &loaded, &w.err), MN_ERR_CORRUPT);
    other = info;
    other.crc++;
    CHECK_STATUS(mni_live_read(w.dir, name, &other, &loaded, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w.err.message, "another file");
    mni_liveness_init(&loaded, 201);
    CHECK_STATUS(mni_live_read(w.dir, name, &info, &loaded, &w.err), MN_ERR_CORRUPT);
    mni_liveness_done(&loaded);
    mni_liveness_done(&live);
    world_free(&w);
}

/* Right checksums over nonsense ----------*/

static unsigned char image[FILE_BYTES_MAX];
static size_t image_bytes;
static struct mni_live_info image_info;

static void refuses(struct world *w, size_t offset, unsigned size, uint64_t value,
                    mn_status expected, const char *message)
{
    unsigned char bytes[FILE_BYTES_MAX];
    struct mni_liveness loaded;
    struct mni_live_info info = image_info;

    memcpy(bytes, image, image_bytes);
    for (unsigned i = 0; i < size; i++)
        bytes[offset + i] = (unsigned char)(value >> 8 * i);
    info.crc = mni_crc32c(0, bytes, image_bytes - 4);
    mni_put_u32(bytes + image_bytes - 4, info.crc);
    put_file(w, name, bytes, image_bytes);
    mni_liveness_init(&loaded, 200);
    CHECK_STATUS(mni_live_read(w->dir, name, &info, &loaded, &w->err), expected);
    CHECK_STR_HAS(w->err.message, message);
    CHECK_EQ(mni_liveness_memory_bytes(&loaded), 0);
    mni_liveness_done(&loaded);
}

static void nonsense_under_a_right_checksum_is_refused(void)
{
    enum { DEATHS = 96, LSNS = DEATHS + 16, PATCHES = LSNS + 24, TRAILER = PATCHES + 96 };
    struct world w = world_new(1);
    struct mni_liveness live = sample();

    image_info = save(&w, &live, name, MNI_LIVE_EXPORT_LSNS, 20);
    image_bytes = get_file(&w, name, image);
    CHECK_EQ(image_bytes, TRAILER + 8);
    refuses(&w, LIVE_OFF_VERSION, 4, 2, MN_ERR_UNSUPPORTED, "version 2");
    refuses(&w, LIVE_OFF_KIND, 2, LIVE_DELTA, MN_ERR_CORRUPT, "header");
    refuses(&w, LIVE_OFF_KIND, 2, 3, MN_ERR_CORRUPT, "header");
    refuses(&w, LIVE_OFF_FLAGS, 2, 2, MN_ERR_CORRUPT, "header");
    refuses(&w, LIVE_OFF_FLAGS, 2, 0, MN_ERR_CORRUPT, "length");
    refuses(&w, LIVE_OFF_PREVIOUS, 8, 1, MN_ERR_CORRUPT, "header");
    refuses(&w, LIVE_OFF_RESERVED + 23, 1, 1, MN_ERR_CORRUPT, "header");
    refuses(&w, LIVE_OFF_ROWS, 4, 199, MN_ERR_CORRUPT, "another segment");
    refuses(&w, LIVE_OFF_DEAD, 4, 4, MN_ERR_CORRUPT, "follow");
    refuses(&w, LIVE_OFF_DEATHS, 4, 4, MN_ERR_CORRUPT, "follow");
    refuses(&w, LIVE_OFF_DEAD, 8, UINT64_MAX, MN_ERR_CORRUPT, "follow");
    refuses(&w, LIVE_OFF_DEAD, 8, 0, MN_ERR_CORRUPT, "header");
    refuses(&w, LIVE_OFF_DEAD, 8, 4 | UINT64_C(4) << 32, MN_ERR_CORRUPT, "length");
    refuses(&w, LIVE_OFF_PATCHES, 4, 4, MN_ERR_CORRUPT, "length");
    refuses(&w, LIVE_OFF_PATCHES, 4, UINT32_MAX, MN_ERR_CORRUPT, "follow");
    refuses(&w, DEATHS, 4, 64, MN_ERR_CORRUPT, "out of order");
    refuses(&w, DEATHS + 8, 4, 200, MN_ERR_CORRUPT, "range");
    refuses(&w, DEATHS + 8, 4, UINT32_MAX, MN_ERR_CORRUPT, "another number");
    refuses(&w, DEATHS + 12, 4, 1, MN_ERR_CORRUPT, "padding");
    refuses(&w, LSNS + 8, 8, 21, MN_ERR_CORRUPT, "later");
    refuses(&w, PATCHES, 4, 7, MN_ERR_CORRUPT, "patches are out of order");
    refuses(&w, PATCHES + 64, 4, 200, MN_ERR_CORRUPT, "range");
    refuses(&w, PATCHES + 64, 4, 64, MN_ERR_CORRUPT, "dead row");
    refuses(&w, PATCHES + LIVE_PATCH_OFF_FIELDS, 1, 0, MN_ERR_CORRUPT, "no patch");
    refuses(&w, PATCHES + LIVE_PATCH_OFF_FIELDS, 1, MNI_FIELD_HITS, MN_ERR_CORRUPT, "no patch");
    refuses(&w, PATCHES + LIVE_PATCH_OFF_FIELDS, 1, MNI_FIELD_EXPIRY | 1, MN_ERR_CORRUPT, "no");
    refuses(&w, PATCHES + LIVE_PATCH_OFF_CLEARS, 1, MNI_FIELD_EXPIRY, MN_ERR_CORRUPT, "no patch");
    refuses(&w, PATCHES + LIVE_PATCH_OFF_RESERVED, 1, 1, MN_ERR_CORRUPT, "no patch");
    refuses(&w, PATCHES + LIVE_PATCH_OFF_LSN, 8, 0, MN_ERR_CORRUPT, "no patch");
    refuses(&w, PATCHES + LIVE_PATCH_OFF_LSN, 8, 21, MN_ERR_CORRUPT, "no patch");
    refuses(&w, PATCHES + LIVE_PATCH_OFF_HITS, 8, 1, MN_ERR_CORRUPT, "no patch");
    refuses(&w, TRAILER, 4, 1, MN_ERR_CORRUPT, "length");
    mni_liveness_done(&live);
    world_free(&w);
}

static void a_delta_must_fit_what_came_before(void)
{
    static unsigned char bytes[FILE_BYTES_MAX];
    struct world w = world_new(1);
    struct mni_liveness live = sample();
    struct mni_live_info first = save(&w, &live, name, 0, 20);
    struct mni_live_info second = save(&w, &live, "b", 0, 30);
    static const struct {
        size_t offset;
        unsigned char value;
        const char *message;
    } changes[] = {
        {LIVE_OFF_LSN, 19, "does not follow"},      {LIVE_OFF_PREVIOUS, 2, "does not follow"},
        {LIVE_OFF_DEAD, 6, "does not follow"},      {96, 3, "died before"},
        {96 + 8 + LIVE_PATCH_OFF_LSN, 20, "older"}, {96 + 8 + 32, 64, "dead row"},
    };

    size_t n = get_file(&w, "b", bytes);
    for (size_t i = 0; i < CHECK_COUNT(changes); i++) {
        struct mni_liveness loaded;
        unsigned char before = bytes[changes[i].offset];
        bytes[changes[i].offset] = changes[i].value;
        second.crc = mni_crc32c(0, bytes, n - 4);
        mni_put_u32(bytes + n - 4, second.crc);
        put_file(&w, "b", bytes, n);
        mni_liveness_init(&loaded, 200);
        CHECK_OK(mni_live_read(w.dir, name, &first, &loaded, NULL));
        CHECK_STATUS(mni_live_read(w.dir, "b", &second, &loaded, &w.err), MN_ERR_CORRUPT);
        CHECK_STR_HAS(w.err.message, changes[i].message);
        check_is_sample(&loaded);
        mni_liveness_done(&loaded);
        bytes[changes[i].offset] = before;
    }
    mni_liveness_done(&live);
    world_free(&w);
}

/* Failures ----------*/

static void any_call_may_fail(void)
{
    struct world w = world_new(1);
    struct mni_liveness live = sample();
    struct mni_live_state state;
    struct mni_live_info info = {.crc = 0};
    bool was_hit = true;

    CHECK_OK(mni_liveness_export(&live, 0, 20, &state, NULL));
    for (uint64_t n = 1; was_hit; n++) {
        struct mni_file *file = NULL;
        mni_fault_env_fail_at(w.fault, n, ENOSPC, false);
        mn_status st = mni_live_write(w.dir, name, &id, 3, &state, &info, &w.err);
        was_hit = mni_fault_env_was_hit(w.fault);
        mni_fault_env_fail_at(w.fault, 0, 0, false);
        CHECK_STATUS(st, was_hit ? MN_ERR_NO_SPACE : MN_OK);
        if (was_hit)
            CHECK_STATUS(mni_dir_open_file(w.dir, name, MNI_OPEN_READ, &file, NULL), MN_NOT_FOUND);
    }
    CHECK_STATUS(mni_live_write(w.dir, name, &id, 3, &state, &info, &w.err), MN_EXISTS);
    mni_live_state_done(&state);
    was_hit = true;
    for (uint64_t n = 1; was_hit; n++) {
        struct mni_liveness loaded;
        mni_liveness_init(&loaded, 200);
        mni_fault_env_fail_at(w.fault, n, EIO, false);
        mn_status st = mni_live_read(w.dir, name, &info, &loaded, &w.err);
        was_hit = mni_fault_env_was_hit(w.fault);
        mni_fault_env_fail_at(w.fault, 0, 0, false);
        CHECK_STATUS(st, was_hit ? MN_ERR_IO : MN_OK);
        if (st == MN_OK)
            check_is_sample(&loaded);
        else
            CHECK_EQ(mni_liveness_memory_bytes(&loaded), 0);
        mni_liveness_done(&loaded);
    }
    mni_liveness_done(&live);
    world_free(&w);
}

static void any_allocation_may_fail(void)
{
    struct world w = world_new(1);
    struct mni_liveness live = sample();
    struct mni_live_state state;
    struct mni_live_info info = {.crc = 0};
    uint64_t live_blocks = mni_mem_live_blocks();
    bool was_hit = true;

    for (uint64_t n = 1; was_hit; n++) {
        mni_mem_fail_at(n);
        mn_status st = mni_liveness_export(&live, MNI_LIVE_EXPORT_LSNS, 20, &state, &w.err);
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        CHECK(st == MN_OK || mni_mem_live_blocks() == live_blocks);
    }
    mni_mem_fail_at(1);
    CHECK_STATUS(mni_live_write(w.dir, name, &id, 3, &state, &info, &w.err), MN_ERR_NOMEM);
    mni_mem_fail_at(0);
    CHECK_OK(mni_live_write(w.dir, name, &id, 3, &state, &info, &w.err));
    mni_live_state_done(&state);
    CHECK_EQ(mni_mem_live_blocks(), live_blocks);
    was_hit = true;
    for (uint64_t n = 1; was_hit; n++) {
        struct mni_liveness loaded;
        mni_liveness_init(&loaded, 200);
        mni_mem_fail_at(n);
        mn_status st = mni_live_read(w.dir, name, &info, &loaded, &w.err);
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        CHECK_EQ(loaded.n_dead, was_hit ? 0 : 3);
        mni_liveness_done(&loaded);
        CHECK_EQ(mni_mem_live_blocks(), live_blocks);
    }
    mni_liveness_done(&live);
    world_free(&w);
}

static void what_was_written_survives_a_power_cut(void)
{
    struct world w = world_new(7);
    struct mni_liveness live = sample();
    struct mni_liveness loaded;
    struct mni_live_info info = save(&w, &live, name, 0, 20);

    CHECK_OK(mni_dir_sync(w.dir, NULL));
    mni_crash_env_restart(w.crash, true, 0);
    mni_dir_close(w.dir);
    CHECK_OK(mni_env_open_dir(mni_fault_env_base(w.fault), "/s", false, &w.dir, NULL));
    mni_liveness_init(&loaded, 200);
    CHECK_OK_ERR(mni_live_read(w.dir, name, &info, &loaded, &w.err), &w.err);
    check_is_sample(&loaded);
    mni_liveness_done(&loaded);
    mni_liveness_done(&live);
    world_free(&w);
}

/* Random chains ----------*/

struct chain {
    struct mni_live_info infos[64];
    size_t n;
};

/* All files of a chain, read into an empty liveness, say what the model says at `lsn`. */
static void check_chain(struct world *w, const struct chain *chain, const struct model *m,
                        uint64_t lsn)
{
    struct mni_liveness loaded;
    uint32_t n_dead = 0;

    mni_liveness_init(&loaded, m->n_rows);
    for (size_t i = 0; i < chain->n; i++) {
        char file_name[32];
        (void)snprintf(file_name, sizeof file_name, "%u.live",
                       (unsigned)chain->infos[i].generation);
        CHECK_OK_ERR(mni_live_read(w->dir, file_name, &chain->infos[i], &loaded, &w->err), &w->err);
    }
    check_view(&loaded, m, lsn);
    for (uint32_t row = 0; row < m->n_rows; row++)
        n_dead += !model_is_visible(m, row, lsn);
    CHECK_EQ(loaded.n_dead, n_dead);
    mni_liveness_done(&loaded);
}

static void change(struct mni_liveness *live, struct model *m, uint64_t lsn, uint64_t floor_lsn,
                   uint64_t *seed)
{
    uint32_t row = (uint32_t)check_below(seed, m->n_rows);

    if (m->rows[row].death_lsn != 0)
        return;
    if (check_below(seed, 2) == 0) {
        kill(live, m, row, lsn);
    } else {
        struct mni_patch p = random_patch(seed, lsn);
        patch(live, m, row, &p, floor_lsn);
    }
}

static void one_chain(uint64_t *seed)
{
    uint32_t n_rows = 1 + (uint32_t)check_below(seed, 400);
    struct model m = model_new(n_rows);
    struct world w = world_new(1);
    struct mni_liveness live;
    struct chain chain = {.n = 0};
    uint64_t saved = 0;

    mni_liveness_init(&live, n_rows);
    for (uint64_t lsn = 1; lsn < 300; lsn++) {
        change(&live, &m, lsn, saved, seed);
        if (check_below(seed, 12) != 0 || chain.n == CHECK_COUNT(chain.infos))
            continue;
        uint64_t at = saved + check_below(seed, lsn - saved + 1);
        unsigned flags = check_below(seed, 5) == 0 ? MNI_LIVE_EXPORT_FULL : 0;
        struct mni_live_state state;
        flags |= check_below(seed, 2) == 0 ? MNI_LIVE_EXPORT_LSNS : 0;
        CHECK_OK(mni_liveness_export(&live, flags, at, &state, NULL));
        if (!mni_live_state_is_empty(&state)) {
            char file_name[32];
            uint64_t generation = live.generation + 1 + check_below(seed, 3);
            (void)snprintf(file_name, sizeof file_name, "%u.live", (unsigned)generation);
            chain.n = state.previous == 0 ? 0 : chain.n;
            CHECK_OK(mni_live_write(w.dir, file_name, &id, generation, &state,
                                    &chain.infos[chain.n++], &w.err));
            mni_liveness_persisted(&live, generation, at);
        } else if ((flags & MNI_LIVE_EXPORT_FULL) == 0) {
            mni_liveness_persisted(&live, live.generation, at);
        }
        mni_live_state_done(&state);
        check_chain(&w, &chain, &m, live.persisted_lsn);
        saved = live.persisted_lsn;
        mni_liveness_raise_floor(&live, saved);
    }
    mni_liveness_done(&live);
    model_free(&m);
    world_free(&w);
}

static void random_chains_look_like_the_model(void)
{
    uint64_t seed = check_seed();

    for (int i = 0; i < 100; i++)
        one_chain(&seed);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(later_effects_are_left_out),
        CHECK_TEST(deltas_follow_each_other),
        CHECK_TEST(many_deaths_are_bits),
        CHECK_TEST(every_flipped_bit_and_every_length_is_seen),
        CHECK_TEST(only_the_expected_file_is_read),
        CHECK_TEST(nonsense_under_a_right_checksum_is_refused),
        CHECK_TEST(a_delta_must_fit_what_came_before),
        CHECK_TEST(any_call_may_fail),
        CHECK_TEST(any_allocation_may_fail),
        CHECK_TEST(what_was_written_survives_a_power_cut),
        CHECK_TEST(random_chains_look_like_the_model),
    };
    return check_run("segment.live_file", tests, CHECK_COUNT(tests), argc, argv);
}
