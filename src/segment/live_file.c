/*
 * live_file.c - liveness files: writing a state, and reading one back.
 *
 * Owns:    nothing between calls.
 * Format:  docs/format/liveness.md
 * Threads: any number, on different files.
 * Fails:   MN_ERR_CORRUPT for a file that is damaged or not the expected one; a file that could not
 *          be written whole is removed.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/plant.h"
#include "segment/live_private.h"

/* Where the parts of a file are. */
struct layout {
    uint64_t deaths;
    uint64_t lsns;
    uint64_t patches;
    uint64_t trailer;
    uint64_t end;
};

static struct layout layout_of(uint32_t n_rows, uint32_t n_deaths, bool has_lsns,
                               uint32_t n_patches)
{
    struct layout at = {.deaths = LIVE_HEADER_BYTES};

    at.lsns = at.deaths + (live_as_list(n_rows, n_deaths) ? mni_align_up(n_deaths * UINT64_C(4), 8)
                                                          : live_words(n_rows) * UINT64_C(8));
    at.patches = at.lsns + (has_lsns ? n_deaths * UINT64_C(8) : 0);
    at.trailer = at.patches + n_patches * (uint64_t)LIVE_PATCH_BYTES;
    at.end = at.trailer + LIVE_TRAILER_BYTES;
    return at;
}

uint64_t mni_live_file_bytes(const struct mni_live_state *state)
{
    return layout_of(state->n_rows, state->n_deaths, state->death_lsns != NULL, state->n_patches)
        .end;
}

/* Writing ----------*/

enum { BUFFER_BYTES = 64 << 10 };

/* Bytes on their way to the file. */
struct stream {
    struct mni_file *file;
    unsigned char *buffer; /* owned */
    size_t n_buffered;
    uint64_t offset; /* of the buffer's begin */
    uint32_t crc;
    mn_status st; /* the first failure; nothing is written after it */
    struct mn_error *err;
};

static void flush(struct stream *s)
{
    if (s->st == MN_OK && s->n_buffered > 0)
        s->st = mni_file_write(s->file, s->offset, s->buffer, s->n_buffered, s->err);
    s->offset += s->n_buffered;
    s->n_buffered = 0;
}

/* Room for `n` zeroes, a multiple of 4 and small, at the end of what is written. */
static unsigned char *extend(struct stream *s, size_t n)
{
    if (BUFFER_BYTES - s->n_buffered < n) {
        s->crc = mni_crc32c(s->crc, s->buffer, s->n_buffered);
        flush(s);
    }
    unsigned char *p = s->buffer + s->n_buffered;
    memset(p, 0, n);
    s->n_buffered += n;
    return p;
}

static void put_header(struct stream *s, const struct mni_segment_id *id, uint64_t generation,
                       const struct mni_live_state *state)
{
    unsigned char *p = extend(s, LIVE_HEADER_BYTES);

    memcpy(p + LIVE_OFF_MAGIC, LIVE_MAGIC, 8);
    mni_put_u32(p + LIVE_OFF_VERSION, LIVE_VERSION);
    mni_put_u16(p + LIVE_OFF_KIND, state->previous == 0 ? LIVE_FULL : LIVE_DELTA);
    mni_put_u16(p + LIVE_OFF_FLAGS, state->death_lsns == NULL ? 0 : LIVE_HAS_LSNS);
    memcpy(p + LIVE_OFF_ID, id->bytes, MNI_SEGMENT_ID_BYTES);
    mni_put_u64(p + LIVE_OFF_GENERATION, generation);
    mni_put_u64(p + LIVE_OFF_PREVIOUS, state->previous);
    mni_put_u64(p + LIVE_OFF_LSN, state->lsn);
    mni_put_u32(p + LIVE_OFF_ROWS, state->n_rows);
    mni_put_u32(p + LIVE_OFF_DEAD, state->n_dead);
    mni_put_u32(p + LIVE_OFF_DEATHS, state->n_deaths);
    mni_put_u32(p + LIVE_OFF_PATCHES, state->n_patches);
}

static void put_deaths(struct stream *s, const struct mni_live_state *state)
{
    if (state->bits != NULL) {
        for (size_t i = 0; i < live_words(state->n_rows); i++)
            mni_put_u64(extend(s, 8), state->bits[i]);
    } else {
        for (uint32_t i = 0; i < state->n_deaths; i++)
            mni_put_u32(extend(s, 4), state->rows[i]);
        if (state->n_deaths % 2 != 0)
            (void)extend(s, 4);
    }
    for (uint32_t i = 0; state->death_lsns != NULL && i < state->n_deaths; i++)
        mni_put_u64(extend(s, 8), state->death_lsns[i]);
}

static void put_patches(struct stream *s, const struct mni_live_state *state)
{
    for (uint32_t i = 0; i < state->n_patches; i++) {
        const struct mni_patch *patch = &state->patches[i].patch;
        unsigned char *p = extend(s, LIVE_PATCH_BYTES);
        mni_put_u32(p + LIVE_PATCH_OFF_ROW, state->patches[i].row);
        p[LIVE_PATCH_OFF_FIELDS] = (unsigned char)patch->fields;
        p[LIVE_PATCH_OFF_CLEARS] = (unsigned char)patch->clears;
        mni_put_u64(p + LIVE_PATCH_OFF_LSN, patch->lsn);
        mni_put_i64(p + LIVE_PATCH_OFF_EXPIRY, patch->expires_at_us);
        mni_put_u64(p + LIVE_PATCH_OFF_HITS, patch->hits);
    }
}

static mn_status put_all(struct stream *s, const struct mni_segment_id *id, uint64_t generation,
                         const struct mni_live_state *state)
{
    put_header(s, id, generation, state);
    put_deaths(s, state);
    put_patches(s, state);
    unsigned char *trailer = extend(s, LIVE_TRAILER_BYTES);
    s->crc =
        mni_crc32c(s->crc, s->buffer, s->n_buffered - LIVE_TRAILER_BYTES + LIVE_TRAILER_OFF_CRC);
    mni_put_u32(trailer + LIVE_TRAILER_OFF_CRC, s->crc);
    flush(s);
    if (s->st == MN_OK)
        s->st = MNI_PLANTED("liveness_not_synced") ? MN_OK : mni_file_sync(s->file, s->err);
    return s->st;
}

mn_status mni_live_write(struct mni_dir *dir, const char *name, const struct mni_segment_id *id,
                         uint64_t generation, const struct mni_live_state *state,
                         struct mni_live_info *info_out, struct mn_error *err)
{
    struct stream s = {.err = err};

    MNI_CHECK(generation > state->previous);
    s.buffer = mni_alloc(BUFFER_BYTES);
    if (s.buffer == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "%s", name);
    s.st = mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &s.file, err);
    if (s.st == MN_OK) {
        mn_status st = put_all(&s, id, generation, state);
        mni_file_close(s.file);
        if (st != MN_OK)
            mni_ignore(mni_dir_unlink(dir, name, NULL));
        else
            MNI_CHECK(s.offset == mni_live_file_bytes(state));
    }
    mni_free(s.buffer);
    if (s.st != MN_OK)
        return s.st;
    *info_out = (struct mni_live_info){
        .id = *id, .generation = generation, .file_bytes = s.offset, .crc = s.crc};
    return MN_OK;
}

/* Reading ----------*/

/* A file in memory, its checksum right. */
struct image {
    const char *name;
    unsigned char *bytes; /* owned */
    struct layout at;
    uint64_t generation;
    uint64_t previous;
    uint64_t lsn;
    uint32_t n_dead;
    uint32_t n_deaths;
    uint32_t n_patches;
    bool has_lsns;
    bool as_list;
};

static mn_status corrupt(const struct image *image, struct mn_error *err, const char *what)
{
    return mni_fail(err, MN_ERR_CORRUPT, "%s: %s", image->name, what);
}

static mn_status read_bytes(struct mni_dir *dir, struct image *image,
                            const struct mni_live_info *expected, uint32_t n_rows,
                            struct mn_error *err)
{
    uint64_t max = layout_of(n_rows, n_rows, true, n_rows).end;
    struct mni_file *file = NULL;
    uint64_t n = 0;
    size_t n_read = 0;

    mn_status st = mni_dir_open_file(dir, image->name, MNI_OPEN_READ, &file, err);
    if (st != MN_OK)
        return st;
    st = mni_file_size(file, &n, err);
    if (st == MN_OK &&
        (n != expected->file_bytes || n > max || n < LIVE_HEADER_BYTES + LIVE_TRAILER_BYTES))
        st = mni_fail(err, MN_ERR_CORRUPT, "%s has %" PRIu64 " bytes, not %" PRIu64, image->name, n,
                      expected->file_bytes);
    if (st == MN_OK) {
        image->bytes = mni_alloc(n);
        st = image->bytes == NULL ? mni_fail(err, MN_ERR_NOMEM, "%s", image->name)
                                  : mni_file_read(file, 0, image->bytes, n, &n_read, err);
    }
    mni_file_close(file);
    if (st != MN_OK)
        return st;
    uint32_t crc = mni_crc32c(0, image->bytes, n - LIVE_TRAILER_BYTES + LIVE_TRAILER_OFF_CRC);
    if (n_read != n || memcmp(image->bytes + LIVE_OFF_MAGIC, LIVE_MAGIC, 8) != 0 ||
        mni_get_u32(image->bytes + n - LIVE_TRAILER_BYTES + LIVE_TRAILER_OFF_CRC) != crc)
        return corrupt(image, err, "it is damaged");
    uint32_t version = mni_get_u32(image->bytes + LIVE_OFF_VERSION);
    if (version != LIVE_VERSION)
        return mni_fail(err, MN_ERR_UNSUPPORTED,
                        "%s: format version %" PRIu32 ", this program reads version %d",
                        image->name, version, LIVE_VERSION);
    if (crc != expected->crc)
        return corrupt(image, err, "it is another file than the manifest says");
    return MN_OK;
}

static mn_status decode_header(struct image *image, const struct mni_live_info *expected,
                               const struct mni_liveness *live, struct mn_error *err)
{
    const unsigned char *p = image->bytes;
    unsigned kind = mni_get_u16(p + LIVE_OFF_KIND);
    unsigned flags = mni_get_u16(p + LIVE_OFF_FLAGS);

    image->generation = mni_get_u64(p + LIVE_OFF_GENERATION);
    image->previous = mni_get_u64(p + LIVE_OFF_PREVIOUS);
    image->lsn = mni_get_u64(p + LIVE_OFF_LSN);
    image->n_dead = mni_get_u32(p + LIVE_OFF_DEAD);
    image->n_deaths = mni_get_u32(p + LIVE_OFF_DEATHS);
    image->n_patches = mni_get_u32(p + LIVE_OFF_PATCHES);
    image->has_lsns = (flags & LIVE_HAS_LSNS) != 0;
    if (memcmp(p + LIVE_OFF_ID, expected->id.bytes, MNI_SEGMENT_ID_BYTES) != 0 ||
        image->generation != expected->generation || mni_get_u32(p + LIVE_OFF_ROWS) != live->n_rows)
        return corrupt(image, err, "it belongs to another segment or generation");
    if (flags > LIVE_HAS_LSNS || (kind != LIVE_FULL && kind != LIVE_DELTA) ||
        (kind == LIVE_FULL) != (image->previous == 0) || image->generation <= image->previous ||
        !mni_is_zero(p + LIVE_OFF_RESERVED, LIVE_HEADER_BYTES - LIVE_OFF_RESERVED))
        return corrupt(image, err, "its header contradicts itself");
    if (image->previous != live->generation || image->lsn < live->persisted_lsn ||
        (uint64_t)live->n_dead + image->n_deaths != image->n_dead || image->n_dead > live->n_rows ||
        image->n_patches > live->n_rows)
        return corrupt(image, err, "it does not follow the generation before");
    if (image->has_lsns && image->n_deaths == 0)
        return corrupt(image, err, "its header contradicts itself");
    image->as_list = live_as_list(live->n_rows, image->n_deaths);
    image->at = layout_of(live->n_rows, image->n_deaths, image->has_lsns, image->n_patches);
    if (image->at.end != expected->file_bytes || mni_get_u32(p + image->at.trailer) != 0)
        return corrupt(image, err, "its numbers and its length contradict each other");
    return MN_OK;
}

/* The row of the next death after `*place`; UINT32_MAX when there is none left. */
static uint32_t next_death(const struct image *image, uint32_t n_rows, uint64_t *place)
{
    const unsigned char *deaths = image->bytes + image->at.deaths;

    if (image->as_list)
        return *place == image->n_deaths ? UINT32_MAX : mni_get_u32(deaths + 4 * (*place)++);
    while (*place < live_words(n_rows) * UINT64_C(64)) {
        uint64_t word = mni_get_u64(deaths + *place / 64 * 8) >> (*place % 64);
        if (word == 0) {
            *place = (*place / 64 + 1) * 64;
            continue;
        }
        *place += (unsigned)__builtin_ctzll(word);
        return (uint32_t)(*place)++;
    }
    return UINT32_MAX;
}

static uint64_t death_lsn(const struct image *image, uint32_t index)
{
    return image->has_lsns ? mni_get_u64(image->bytes + image->at.lsns + index * UINT64_C(8)) : 0;
}

static mn_status check_deaths(const struct image *image, const struct mni_liveness *live,
                              struct mn_error *err)
{
    uint64_t place = 0;
    uint64_t last = 0;
    uint32_t n = 0;

    for (uint32_t row = next_death(image, live->n_rows, &place); row != UINT32_MAX;
         row = next_death(image, live->n_rows, &place)) {
        if (row >= live->n_rows || (n > 0 && row <= last) || n == image->n_deaths)
            return corrupt(image, err, "its rows are out of order or range");
        if (live->dead != NULL && mni_live_bit(live->dead, row))
            return corrupt(image, err, "a row in it died before");
        if (death_lsn(image, n) > image->lsn)
            return corrupt(image, err, "a row in it dies later");
        last = row;
        n++;
    }
    if (n != image->n_deaths)
        return corrupt(image, err, "it has another number of rows than it says");
    uint64_t list_end = image->at.deaths + n * UINT64_C(4);
    if (image->as_list && !mni_is_zero(image->bytes + list_end, image->at.lsns - list_end))
        return corrupt(image, err, "padding is not zero");
    return MN_OK;
}

static uint32_t get_patch(const struct image *image, uint32_t index, struct mni_patch *patch_out)
{
    const unsigned char *p = image->bytes + image->at.patches + index * (uint64_t)LIVE_PATCH_BYTES;

    *patch_out = (struct mni_patch){.lsn = mni_get_u64(p + LIVE_PATCH_OFF_LSN),
                                    .fields = p[LIVE_PATCH_OFF_FIELDS],
                                    .clears = p[LIVE_PATCH_OFF_CLEARS],
                                    .expires_at_us = mni_get_i64(p + LIVE_PATCH_OFF_EXPIRY),
                                    .hits = mni_get_u64(p + LIVE_PATCH_OFF_HITS)};
    return mni_get_u32(p + LIVE_PATCH_OFF_ROW);
}

static bool is_patch_sane(const struct mni_patch *patch, uint64_t lsn_max)
{
    unsigned all = patch->fields | patch->clears;

    return all != 0 && (all & ~(unsigned)LIVE_PATCH_FIELDS) == 0 &&
           (patch->fields & patch->clears) == 0 && patch->lsn > 0 && patch->lsn <= lsn_max &&
           ((patch->fields & MNI_FIELD_EXPIRY) != 0 || patch->expires_at_us == 0) &&
           ((patch->fields & MNI_FIELD_HITS) != 0 || patch->hits == 0);
}

static mn_status check_patches(const struct image *image, const struct mni_liveness *live,
                               struct mn_error *err)
{
    uint32_t last = 0;

    for (uint32_t i = 0; i < image->n_patches; i++) {
        struct mni_patch patch;
        uint32_t row = get_patch(image, i, &patch);
        const unsigned char *p = image->bytes + image->at.patches + i * (uint64_t)LIVE_PATCH_BYTES;
        if (row >= live->n_rows || (i > 0 && row <= last))
            return corrupt(image, err, "its patches are out of order or range");
        if (!is_patch_sane(&patch, image->lsn) || mni_get_u16(p + LIVE_PATCH_OFF_RESERVED) != 0)
            return corrupt(image, err, "a patch in it is no patch");
        const struct mni_live_node *older = live_node_at(live, row, UINT64_MAX);
        if ((live->dead != NULL && mni_live_bit(live->dead, row)) ||
            (older != NULL && older->lsn >= patch.lsn))
            return corrupt(image, err, "a patch in it is of a dead row or an older state");
        last = row;
    }
    return MN_OK;
}

/* A patch of a row that the same file lets die. */
static mn_status check_dead_patches(const struct image *image, uint32_t n_rows,
                                    struct mn_error *err)
{
    uint64_t place = 0;
    uint32_t dead = next_death(image, n_rows, &place);

    for (uint32_t i = 0; i < image->n_patches; i++) {
        struct mni_patch patch;
        uint32_t row = get_patch(image, i, &patch);
        while (dead < row)
            dead = next_death(image, n_rows, &place);
        if (dead == row)
            return corrupt(image, err, "a patch in it is of a dead row or an older state");
    }
    return MN_OK;
}

/* Nobody has a view below the file's LSN: raising the floor drops what the file replaces. */
static void apply(const struct image *image, struct mni_liveness *live)
{
    uint64_t place = 0;

    for (uint32_t i = 0; i < image->n_deaths; i++)
        live_bury(live, next_death(image, live->n_rows, &place));
    for (uint32_t i = 0; i < image->n_patches; i++) {
        struct mni_patch patch;
        uint32_t row = get_patch(image, i, &patch);
        live_add_node(live, row, &patch, false);
    }
    mni_liveness_persisted(live, image->generation, image->lsn);
    mni_liveness_raise_floor(live, image->lsn);
}

mn_status mni_live_read(struct mni_dir *dir, const char *name, const struct mni_live_info *expected,
                        struct mni_liveness *live, struct mn_error *err)
{
    struct image image = {.name = name};

    MNI_CHECK(live->deaths.n == 0);
    mn_status st = read_bytes(dir, &image, expected, live->n_rows, err);
    if (st == MN_OK)
        st = decode_header(&image, expected, live, err);
    if (st == MN_OK)
        st = check_deaths(&image, live, err);
    if (st == MN_OK)
        st = check_patches(&image, live, err);
    if (st == MN_OK)
        st = check_dead_patches(&image, live->n_rows, err);
    if (st != MN_OK)
        goto out;
    if (image.n_deaths > 0)
        st = live_reserve_dead(live);
    if (st == MN_OK)
        st = mni_liveness_reserve(live, 0, image.n_patches);
    if (st == MN_OK)
        apply(&image, live);
    else
        st = mni_fail(err, st, "%s", name);
out:
    mni_free(image.bytes);
    return st;
}

mn_status mni_live_check(struct mni_dir *dir, const char *name,
                         const struct mni_live_info *expected, uint32_t n_rows,
                         struct mn_error *err)
{
    struct image image = {.name = name};
    mn_status st = read_bytes(dir, &image, expected, n_rows, err);

    mni_free(image.bytes);
    return st;
}
