/*
 * census.c - counts the live records of each collection as the newest root has them.
 *
 * Everything up to the root's LSN lies in segments. A part's rows are counted by group; those that
 * were dead at that LSN are taken off, and those whose expiry is due.
 *
 * Owns:    the lists while it counts.
 * Threads: the one that holds `checkpoint_lock`. Commits go on.
 * Fails:   MN_ERR_NOMEM, and as reading segments does.
 */
#include "engine/census_private.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

void census_done(struct census *census)
{
    mni_free(census->collections);
    mni_free(census->by_number);
    mni_buf_done(&census->names);
    *census = (struct census){0};
}

/* Names ---------- */

static mn_status add_collection(struct census *census, const struct mni_found *found,
                                const struct mni_collection *c)
{
    struct mn_slice name = {(const unsigned char *)found->record.key.data + 1,
                            found->record.key.n_bytes - 1};

    if (census->n_collections == census->capacity) {
        size_t capacity = census->capacity == 0 ? 16 : census->capacity * 2;
        struct mni_snapshot_collection *moved =
            mni_realloc(census->collections, capacity * sizeof *moved);
        if (moved == NULL)
            return MN_ERR_NOMEM;
        census->collections = moved;
        census->capacity = capacity;
    }
    mn_status st = mni_buf_append(&census->names, name.data, name.n_bytes);
    if (st == MN_OK)
        census->collections[census->n_collections++] = (struct mni_snapshot_collection){
            .number = c->number,
            .kind = *(const unsigned char *)found->record.key.data,
            .dimension = c->dimension,
            .name = {NULL, name.n_bytes},
        };
    return st;
}

static int compare_numbers(const void *a, const void *b)
{
    const struct census_number *x = a;
    const struct census_number *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

/* The names have come to rest. */
static mn_status settle(struct census *census)
{
    size_t n = census->n_collections;
    const unsigned char *at = census->names.data;

    census->by_number = mni_alloc_array(n + 1, sizeof *census->by_number);
    if (census->by_number == NULL)
        return MN_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        census->collections[i].name.data = at;
        at += census->collections[i].name.n_bytes;
        census->by_number[i] = (struct census_number){census->collections[i].number, i};
    }
    if (n > 1)
        qsort(census->by_number, n, sizeof *census->by_number, compare_numbers);
    return MN_OK;
}

static mn_status list(struct mni_engine *engine, struct census *census, struct mn_error *err)
{
    static const unsigned char behind = BEHIND_COLLECTIONS;
    const struct mni_walk_options collections = {.until = {&behind, 1}};
    struct mni_walk *walk = NULL;
    struct mni_found found;
    struct mni_collection c;
    mn_status st = engine_walk_open_at(engine, engine->manifest.lsn, &collections, &walk, err);

    if (st == MN_OK)
        st = mni_walk_start(walk, 0, err);
    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, err);
        if (st != MN_OK)
            break;
        bool is_one = catalogue_is_collection(found.record.key);
        if (is_one)
            st = catalogue_row_decode(&found.record, found.record_lsn, &c, err);
        if (st == MN_OK && is_one && add_collection(census, &found, &c) != MN_OK)
            st = mni_fail(err, MN_ERR_NOMEM, "the list of collections");
        mni_pin_release(found.pin);
    }
    mni_walk_close(walk);
    if (st != MN_END)
        return st;
    return settle(census) == MN_OK ? MN_OK : mni_fail(err, MN_ERR_NOMEM, "the list of collections");
}

static struct mni_snapshot_collection *find(const struct census *census, uint64_t number)
{
    size_t low = 0;
    size_t high = census->n_collections;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (census->by_number[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == census->n_collections || census->by_number[low].number != number)
        return NULL;
    return &census->collections[census->by_number[low].index];
}

/* Rows ---------- */

/* A part as the root has it. */
struct tally {
    struct census *census;
    struct mni_segment *segment;
    struct mni_live_state state;
    uint64_t *gone; /* owned: a bit per row that does not count */
    int64_t now_us;
};

static bool is_gone(const struct tally *t, uint64_t row)
{
    return (t->gone[row / 64] >> (row % 64) & 1) != 0;
}

static void set_gone(struct tally *t, uint64_t row)
{
    t->gone[row / 64] |= UINT64_C(1) << (row % 64);
}

static mn_status take_deaths(struct tally *t)
{
    size_t n_words = ((size_t)t->state.n_rows + 63) / 64;

    t->gone = mni_alloc_zero((n_words + 1) * sizeof *t->gone);
    if (t->gone == NULL)
        return MN_ERR_NOMEM;
    if (t->state.bits != NULL)
        memcpy(t->gone, t->state.bits, n_words * sizeof *t->gone);
    for (uint32_t i = 0; i < t->state.n_deaths && t->state.rows != NULL; i++)
        set_gone(t, t->state.rows[i]);
    return MN_OK;
}

/* Whether the row's expiry is no longer that of the segment. */
static bool has_new_expiry(const struct tally *t, uint32_t row)
{
    uint32_t low = 0;
    uint32_t high = t->state.n_patches;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->state.patches[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == t->state.n_patches || t->state.patches[low].row != row)
        return false;
    const struct mni_patch *patch = &t->state.patches[low].patch;
    return ((patch->fields | patch->clears) & MNI_FIELD_EXPIRY) != 0;
}

static mn_status take_expired(struct tally *t, struct mn_error *err)
{
    uint64_t n_expiring = mni_segment_get_info(t->segment)->n_expiring;

    for (uint64_t i = 0; i < n_expiring; i++) {
        struct mni_segment_row head;
        uint32_t row;
        mn_status st = mni_segment_expiring_row(t->segment, i, &row, err);
        if (st == MN_OK)
            st = mni_segment_row_head(t->segment, row, &head, err);
        if (st != MN_OK)
            return st;
        if (head.record.expires_at_us > t->now_us)
            break;
        if (!has_new_expiry(t, row))
            set_gone(t, row);
    }
    for (uint32_t i = 0; i < t->state.n_patches; i++) {
        const struct mni_patch *patch = &t->state.patches[i].patch;
        if ((patch->fields & MNI_FIELD_EXPIRY) != 0 && patch->expires_at_us <= t->now_us)
            set_gone(t, t->state.patches[i].row);
    }
    return MN_OK;
}

static uint64_t count_left(const struct tally *t, uint64_t from, uint64_t to)
{
    uint64_t n = 0;

    while (from < to) {
        if (from % 64 == 0 && to - from >= 64) {
            n += 64 - (uint64_t)__builtin_popcountll(t->gone[from / 64]);
            from += 64;
        } else {
            n += !is_gone(t, from);
            from++;
        }
    }
    return n;
}

static mn_status add_groups(struct tally *t, struct mn_error *err)
{
    uint64_t n_groups = mni_segment_get_info(t->segment)->n_groups;

    for (uint64_t i = 0; i < n_groups; i++) {
        struct mni_segment_group group;
        mn_status st = mni_segment_group(t->segment, i, &group, err);
        if (st != MN_OK)
            return st;
        struct mni_snapshot_collection *c = find(t->census, group.collection);
        if (c == NULL)
            continue; /* the catalogue, or one that was dropped */
        uint64_t n = count_left(t, group.first_row, (uint64_t)group.first_row + group.n_rows);
        c->n_records += n;
        t->census->n_records += n;
    }
    return MN_OK;
}

static mn_status add_part(struct mni_engine *engine, struct part *part, int64_t now_us,
                          struct census *census, struct mn_error *err)
{
    struct tally t = {.census = census, .segment = part->segment, .now_us = now_us};

    engine_read_lock(engine);
    mn_status st =
        mni_liveness_export(&part->live, MNI_LIVE_EXPORT_FULL, engine->manifest.lsn, &t.state, err);
    engine_unlock(engine);
    if (st != MN_OK)
        return st;
    if (take_deaths(&t) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a count");
    if (st == MN_OK)
        st = take_expired(&t, err);
    if (st == MN_OK)
        st = add_groups(&t, err);
    mni_live_state_done(&t.state);
    mni_free(t.gone);
    return st;
}

mn_status census_take(struct mni_engine *engine, int64_t now_us, struct census *census_out,
                      struct mn_error *err)
{
    struct census census = {0};
    struct mni_view view;

    /* Keeps what the root's moment needs. */
    engine_view_open_at(engine, &view, engine->manifest.lsn);
    const struct part_set *set = view.state->parts;
    mn_status st = list(engine, &census, err);
    for (size_t i = 0; i < set->n_parts && st == MN_OK; i++)
        st = add_part(engine, set->parts[i], now_us, &census, err);
    mni_view_close(&view);
    if (st != MN_OK) {
        census_done(&census);
        return st;
    }
    *census_out = census;
    return MN_OK;
}
