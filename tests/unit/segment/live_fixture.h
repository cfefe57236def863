/* What the tests of liveness share: a naive model, and a simulated disk. */
#ifndef TESTS_SEGMENT_LIVE_FIXTURE_H
#define TESTS_SEGMENT_LIVE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "check.h"
#include "io/crash.h"
#include "io/fault.h"
#include "segment/live_private.h"

/* The model: all that ever happened to each row. */
struct model_row {
    uint64_t death_lsn; /* 0: alive */
    bool is_lapsed;
    size_t n_patches;
    struct mni_patch *patches; /* as they were given, oldest first */
};

struct model {
    uint32_t n_rows;
    struct model_row *rows;
};

static inline struct model model_new(uint32_t n_rows)
{
    struct model m = {n_rows, calloc(n_rows, sizeof(struct model_row))};

    CHECK(m.rows != NULL);
    return m;
}

static inline void model_free(struct model *m)
{
    for (uint32_t i = 0; i < m->n_rows; i++)
        free(m->rows[i].patches);
    free(m->rows);
}

static inline void model_patch(struct model *m, uint32_t row, const struct mni_patch *patch)
{
    struct model_row *r = &m->rows[row];

    r->patches = realloc(r->patches, (r->n_patches + 1) * sizeof *patch);
    CHECK(r->patches != NULL);
    r->patches[r->n_patches++] = *patch;
}

/* What patches above `after` and up to `lsn` make of a row; lsn 0: nothing. */
static inline struct mni_patch model_patch_at(const struct model *m, uint32_t row, uint64_t lsn)
{
    const struct model_row *r = &m->rows[row];
    struct mni_patch sum = {0};

    for (size_t i = 0; i < r->n_patches && r->patches[i].lsn <= lsn; i++) {
        const struct mni_patch *p = &r->patches[i];
        for (unsigned bit = MNI_FIELD_EXPIRY; bit <= MNI_FIELD_HITS; bit *= 2) {
            if (((p->fields | p->clears) & bit) == 0)
                continue;
            sum.fields = (sum.fields & ~bit) | (p->fields & bit);
            sum.clears = (sum.clears & ~bit) | (p->clears & bit);
            if (bit == MNI_FIELD_EXPIRY)
                sum.expires_at_us = (p->fields & bit) != 0 ? p->expires_at_us : 0;
            else
                sum.hits = (p->fields & bit) != 0 ? p->hits : 0;
        }
        sum.lsn = p->lsn;
    }
    return sum;
}

static inline bool model_is_visible(const struct model *m, uint32_t row, uint64_t lsn)
{
    return m->rows[row].death_lsn == 0 || m->rows[row].death_lsn > lsn;
}

static inline bool model_is_live(const struct model *m, uint32_t row)
{
    return m->rows[row].death_lsn == 0 && !m->rows[row].is_lapsed;
}

static inline bool same_patch(const struct mni_patch *a, const struct mni_patch *b)
{
    return a->lsn == b->lsn && a->fields == b->fields && a->clears == b->clears &&
           a->expires_at_us == b->expires_at_us && a->hits == b->hits;
}

/* A view at `lsn` sees the same in both. */
static inline void check_view(const struct mni_liveness *live, const struct model *m, uint64_t lsn)
{
    for (uint32_t row = 0; row < m->n_rows; row++) {
        struct mni_patch patch = {0};
        struct mni_patch expected = model_patch_at(m, row, lsn);
        bool is_visible = mni_liveness_is_visible(live, row, lsn);
        CHECK_EQ(is_visible, model_is_visible(m, row, lsn));
        if (!is_visible)
            continue;
        CHECK_EQ(mni_liveness_find_patch(live, row, lsn, &patch), expected.lsn != 0);
        CHECK(same_patch(&patch, &expected));
    }
}

static inline struct mni_patch random_patch(uint64_t *seed, uint64_t lsn)
{
    struct mni_patch patch = {.lsn = lsn};
    uint64_t kind = 1 + check_below(seed, 8);

    for (unsigned bit = MNI_FIELD_EXPIRY; bit <= MNI_FIELD_HITS; bit *= 2) {
        if (kind % 3 == 1)
            patch.fields |= bit;
        else if (kind % 3 == 2)
            patch.clears |= bit;
        kind /= 3;
    }
    if ((patch.fields & MNI_FIELD_EXPIRY) != 0)
        patch.expires_at_us = (int64_t)check_random(seed);
    if ((patch.fields & MNI_FIELD_HITS) != 0)
        patch.hits = check_random(seed);
    return patch;
}

/* Both together ----------*/

static inline void kill(struct mni_liveness *live, struct model *m, uint32_t row, uint64_t lsn)
{
    CHECK_OK(mni_liveness_reserve(live, 1, 0));
    mni_liveness_kill(live, row, lsn);
    if (m != NULL)
        m->rows[row].death_lsn = lsn;
}

static inline void patch(struct mni_liveness *live, struct model *m, uint32_t row,
                         const struct mni_patch *patch, uint64_t floor_lsn)
{
    CHECK_OK(mni_liveness_reserve(live, 0, 1));
    mni_liveness_patch(live, row, patch, floor_lsn);
    if (m != NULL)
        model_patch(m, row, patch);
}

/* A disk that can fail calls, with one directory. */
struct world {
    struct mni_crash_env *crash;
    struct mni_fault_env *fault;
    struct mni_dir *dir;
    struct mn_error err;
};

static inline struct world world_new(uint64_t seed)
{
    struct world w = {0};

    CHECK_OK(mni_crash_env_new(seed, &w.crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(w.crash), &w.fault));
    CHECK_OK(mni_env_open_dir(mni_fault_env_base(w.fault), "/s", true, &w.dir, NULL));
    return w;
}

static inline void world_free(struct world *w)
{
    mni_dir_close(w->dir);
    mni_fault_env_free(w->fault);
    mni_crash_env_free(w->crash);
}

#endif
