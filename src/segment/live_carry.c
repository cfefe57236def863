/*
 * live_carry.c - what happened to rows while they were merged, carried over to where they are now.
 *
 * Owns:    what was collected, until it is done.
 * Threads: collecting and lapses under the lock of the rows that are left; the rows of the result
 *          are nobody else's yet.
 * Fails:   with MN_ERR_NOMEM; the result is of no use then.
 */
#include "base/mem.h"
#include "segment/live_private.h"

static size_t count_nodes(const struct mni_liveness *from, uint64_t link, uint64_t after_lsn)
{
    size_t n = 0;

    for (; link != 0 && from->nodes[link - 1].lsn > after_lsn; link = from->nodes[link - 1].older)
        n++;
    return n;
}

static mn_status collect_deaths(const struct mni_liveness *from, uint64_t after_lsn,
                                struct mni_live_effects *out)
{
    const struct mni_live_map *deaths = &from->deaths;

    if (deaths->n == 0 || from->newest_death_lsn <= after_lsn)
        return MN_OK;
    out->deaths = mni_alloc_array(deaths->n, sizeof *out->deaths);
    if (out->deaths == NULL)
        return MN_ERR_NOMEM;
    for (size_t i = 0; i < deaths->capacity; i++)
        if (deaths->rows[i] != LIVE_MAP_FREE && deaths->values[i] > after_lsn)
            out->deaths[out->n_deaths++] =
                (struct mni_live_death){.row = deaths->rows[i], .lsn = deaths->values[i]};
    return MN_OK;
}

static mn_status collect_patches(const struct mni_liveness *from, uint64_t after_lsn,
                                 struct mni_live_effects *out)
{
    const struct mni_live_map *patches = &from->patches;
    size_t n = from->n_nodes - from->n_free_nodes;

    if (n == 0)
        return MN_OK;
    out->patches = mni_alloc_array(n, sizeof *out->patches);
    if (out->patches == NULL)
        return MN_ERR_NOMEM;
    for (size_t i = 0; i < patches->capacity; i++) {
        if (patches->rows[i] == LIVE_MAP_FREE)
            continue;
        uint64_t link = patches->values[i];
        size_t n_of_row = count_nodes(from, link, after_lsn);
        for (size_t k = n_of_row; k > 0; k--, link = from->nodes[link - 1].older) {
            const struct mni_live_node *node = &from->nodes[link - 1];
            out->patches[out->n_patches + k - 1] =
                (struct mni_row_patch){.row = patches->rows[i],
                                       .patch = {.lsn = node->lsn,
                                                 .fields = node->fields,
                                                 .clears = node->clears,
                                                 .expires_at_us = node->expires_at_us,
                                                 .hits = node->hits}};
        }
        out->n_patches += n_of_row;
    }
    MNI_CHECK(out->n_patches <= n);
    return MN_OK;
}

mn_status mni_liveness_collect(const struct mni_liveness *from, uint64_t after_lsn,
                               struct mni_live_effects *effects_out)
{
    struct mni_live_effects effects = {0};
    mn_status st = collect_deaths(from, after_lsn, &effects);

    if (st == MN_OK)
        st = collect_patches(from, after_lsn, &effects);
    if (st != MN_OK) {
        mni_live_effects_done(&effects);
        return st;
    }
    *effects_out = effects;
    return MN_OK;
}

void mni_live_effects_done(struct mni_live_effects *effects)
{
    mni_free(effects->deaths);
    mni_free(effects->patches);
    *effects = (struct mni_live_effects){0};
}

mn_status mni_liveness_carry(const struct mni_live_effects *effects, mni_row_map_fn *map,
                             void *context)
{
    struct mni_liveness *live = NULL;
    uint32_t row = 0;

    for (size_t i = 0; i < effects->n_patches; i++) {
        if (!map(context, effects->patches[i].row, &live, &row))
            continue;
        MNI_CHECK(row < live->n_rows);
        if (mni_liveness_reserve(live, 0, 1) != MN_OK)
            return MN_ERR_NOMEM;
        live_add_node(live, row, &effects->patches[i].patch, false);
    }
    for (size_t i = 0; i < effects->n_deaths; i++) {
        if (!map(context, effects->deaths[i].row, &live, &row))
            continue;
        MNI_CHECK(row < live->n_rows);
        if (mni_liveness_reserve(live, 1, 0) != MN_OK)
            return MN_ERR_NOMEM;
        mni_liveness_kill(live, row, effects->deaths[i].lsn);
    }
    return MN_OK;
}

size_t mni_liveness_lapsed_words(const struct mni_liveness *from)
{
    return from->lapsed == NULL ? 0 : live_words(from->n_rows);
}

static void carry_lapse(const struct mni_liveness *from, uint32_t row, mni_row_map_fn *map,
                        void *context)
{
    struct mni_liveness *live = NULL;
    uint32_t to = 0;

    if (!map(context, row, &live, &to))
        return;
    if (mni_live_bit(from->lapsed, row))
        mni_liveness_lapse(live, to);
    else
        (void)mni_liveness_unlapse(live, to);
}

size_t mni_liveness_carry_lapses(const struct mni_liveness *from, uint64_t *known, size_t n_max,
                                 mni_row_map_fn *map, void *context)
{
    size_t n_words = mni_liveness_lapsed_words(from);
    size_t n = 0;

    for (size_t w = 0; w < n_words; w++) {
        while (n < n_max && known[w] != from->lapsed[w]) {
            uint64_t differs = known[w] ^ from->lapsed[w];
            uint64_t bit = differs & (~differs + 1);
            carry_lapse(from, (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bit)), map, context);
            known[w] ^= bit;
            n++;
        }
    }
    return n;
}
