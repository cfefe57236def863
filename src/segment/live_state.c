/*
 * live_state.c - the state of a liveness at an LSN, copied out so that it can be written without a
 * lock.
 *
 * Owns:    the arrays of each state.
 * Threads: the copy is made under the shared lock; a state belongs to one thread.
 * Fails:   MN_ERR_NOMEM, with nothing kept.
 */
#include <string.h>

#include "base/mem.h"
#include "segment/live_private.h"

void mni_live_state_done(struct mni_live_state *state)
{
    if (state == NULL)
        return;
    mni_free(state->rows);
    mni_free(state->bits);
    mni_free(state->death_lsns);
    mni_free(state->patches);
    *state = (struct mni_live_state){0};
}

bool mni_live_state_is_empty(const struct mni_live_state *state)
{
    return state->n_deaths == 0 && state->n_patches == 0;
}

/* Puts the rows that die in the state into `bits`, and counts them. */
static void gather_deaths(const struct mni_liveness *live, struct mni_live_state *state,
                          uint64_t *bits)
{
    const struct mni_live_map *deaths = &live->deaths;
    bool is_full = state->previous == 0;

    if (is_full && live->dead != NULL)
        memcpy(bits, live->dead, live_words(live->n_rows) * sizeof *bits);
    state->n_dead = live->n_dead;
    for (size_t i = 0; i < deaths->capacity; i++) {
        if (deaths->rows[i] == LIVE_MAP_FREE)
            continue;
        if (deaths->values[i] > state->lsn) {
            state->n_dead--;
            if (is_full)
                live_clear_bit(bits, deaths->rows[i]);
        } else if (!is_full && deaths->values[i] > live->persisted_lsn) {
            live_set_bit(bits, deaths->rows[i]);
            state->n_deaths++;
        }
    }
    if (is_full)
        state->n_deaths = state->n_dead;
}

/* Takes over `*bits` if that is how the rows are kept. */
static mn_status keep_deaths(const struct mni_liveness *live, struct mni_live_state *state,
                             uint64_t **bits, bool with_lsns)
{
    uint32_t n = 0;

    if (state->n_deaths == 0)
        return MN_OK;
    bool as_list = live_as_list(state->n_rows, state->n_deaths);
    if (as_list) {
        state->rows = mni_alloc_array(state->n_deaths, sizeof *state->rows);
        if (state->rows == NULL)
            return MN_ERR_NOMEM;
    }
    if (with_lsns) {
        state->death_lsns = mni_alloc_array(state->n_deaths, sizeof *state->death_lsns);
        if (state->death_lsns == NULL)
            return MN_ERR_NOMEM;
    }
    for (uint32_t row = live_next_bit(*bits, state->n_rows, 0); row < state->n_rows;
         row = live_next_bit(*bits, state->n_rows, row + 1)) {
        const uint64_t *lsn = with_lsns ? live_map_find(&live->deaths, row) : NULL;
        if (as_list)
            state->rows[n] = row;
        if (with_lsns)
            state->death_lsns[n] = lsn == NULL ? 0 : *lsn;
        n++;
    }
    MNI_CHECK(n == state->n_deaths);
    if (!as_list) {
        state->bits = *bits;
        *bits = NULL;
    }
    return MN_OK;
}

/* Whether a row's patch belongs into the state. */
static bool is_patched(const struct mni_liveness *live, const struct mni_live_state *state,
                       uint32_t row)
{
    const struct mni_live_node *node = live_node_at(live, row, state->lsn);

    return node != NULL && mni_liveness_is_visible(live, row, state->lsn) &&
           (state->previous == 0 || node->lsn > live->persisted_lsn);
}

/* `bits` is all zero and scratch. */
static mn_status keep_patches(const struct mni_liveness *live, struct mni_live_state *state,
                              uint64_t *bits)
{
    const struct mni_live_map *patches = &live->patches;
    uint32_t n = 0;
    uint32_t n_kept = 0;

    for (size_t i = 0; i < patches->capacity; i++) {
        if (patches->rows[i] == LIVE_MAP_FREE || !is_patched(live, state, patches->rows[i]))
            continue;
        live_set_bit(bits, patches->rows[i]);
        n++;
    }
    if (n == 0)
        return MN_OK;
    state->patches = mni_alloc_array(n, sizeof *state->patches);
    if (state->patches == NULL)
        return MN_ERR_NOMEM;
    for (uint32_t row = live_next_bit(bits, state->n_rows, 0); row < state->n_rows;
         row = live_next_bit(bits, state->n_rows, row + 1)) {
        struct mni_row_patch *kept = &state->patches[n_kept++];
        kept->row = row;
        bool found = mni_liveness_find_patch(live, row, state->lsn, &kept->patch);
        MNI_CHECK(found);
    }
    MNI_CHECK(n_kept == n);
    state->n_patches = n;
    return MN_OK;
}

mn_status mni_liveness_export(const struct mni_liveness *live, unsigned flags, uint64_t lsn,
                              struct mni_live_state *state_out, struct mn_error *err)
{
    struct mni_live_state state = {.lsn = lsn, .n_rows = live->n_rows};
    uint64_t *death_bits = NULL;
    uint64_t *patch_bits = NULL;
    size_t n_words = live_words(live->n_rows);
    mn_status st = MN_ERR_NOMEM;

    MNI_CHECK(lsn >= live->forgotten_lsn);
    MNI_CHECK(lsn >= live->persisted_lsn);
    *state_out = (struct mni_live_state){0};
    if ((flags & MNI_LIVE_EXPORT_FULL) == 0)
        state.previous = live->generation;
    if (live->dead != NULL) {
        death_bits = mni_alloc_zero(n_words * sizeof *death_bits);
        if (death_bits == NULL)
            goto out;
        gather_deaths(live, &state, death_bits);
        st = keep_deaths(live, &state, &death_bits, (flags & MNI_LIVE_EXPORT_LSNS) != 0);
        if (st != MN_OK)
            goto out;
    }
    st = MN_OK;
    if (live->patches.n > 0) {
        patch_bits = mni_alloc_zero(n_words * sizeof *patch_bits);
        st = patch_bits == NULL ? MN_ERR_NOMEM : keep_patches(live, &state, patch_bits);
    }
out:
    mni_free(death_bits);
    mni_free(patch_bits);
    if (st != MN_OK) {
        mni_live_state_done(&state);
        return mni_fail(err, st, "state of the liveness of %u rows", (unsigned)live->n_rows);
    }
    *state_out = state;
    return MN_OK;
}
