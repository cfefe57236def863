/*
 * model.c - the naive state of a store.
 */
#include "model.h"

#include <stdlib.h>

#include "base/check.h"

enum { POOL_BYTES = 64 << 10, PAYLOAD_BYTES_MAX = 6200, N_METADATA = 8, LONG_ID_BYTES = 700 };

static unsigned char pool[POOL_BYTES + PAYLOAD_BYTES_MAX];
static float vectors[4096 + DIMS_MAX];

static void fill_pools(void)
{
    static bool is_filled;
    uint64_t state = 1;

    if (is_filled)
        return;
    for (size_t i = 0; i < sizeof pool; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
        pool[i] = (unsigned char)(state >> 56);
    }
    memcpy(vectors, pool + 1, sizeof vectors); /* any bit pattern, NaN included */
    is_filled = true;
}

struct mn_slice model_space_name(unsigned space)
{
    static const struct mn_slice names[N_SPACES] = {{"a", 1}, {"a\0b", 3}, {"a:b", 3}};

    return names[space];
}

struct mn_slice model_id(unsigned id)
{
    static char long_id[LONG_ID_BYTES];
    static const struct mn_slice ids[N_IDS] = {
        {"\0", 1}, {"0", 1}, {"0/1", 3}, {"0:1", 3}, {"1", 1}, {"a", 1}, {"a:b", 3},
    };

    if (id < N_IDS - 1)
        return ids[id];
    memset(long_id, 'z', sizeof long_id);
    return (struct mn_slice){long_id, sizeof long_id};
}

static size_t payload_bytes(uint32_t value)
{
    switch (value % 8) {
    case 0:
    case 1:
        return 0;
    case 2:
    case 3:
    case 4:
        return 1 + value / 8 % 200;
    case 5:
    case 6:
        return 200 + value / 8 % 1300;
    default:
        return 1500 + value / 8 % (PAYLOAD_BYTES_MAX - 1500);
    }
}

void model_content(uint32_t value, struct model_content *content_out)
{
    static const char *const metadata[N_METADATA] = {
        "",
        "",
        "{}",
        "{\"a\":1}",
        "{\"name\":\"\\u00e9\"}",
        "{\"a\":[1,2,{\"b\":null}]}",
        "{\"long\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
        " { \"spaces\" : true } ",
    };
    uint32_t mixed = value * UINT32_C(2654435761);

    fill_pools();
    *content_out = (struct model_content){
        .metadata = mn_str(metadata[mixed >> 8 & (N_METADATA - 1)]),
        .payload = {pool + mixed % POOL_BYTES, payload_bytes(value)},
        .vector = vectors + (mixed >> 16) % 4096,
        .has_event_time = (mixed >> 12 & 1) != 0,
    };
    if (content_out->has_event_time)
        content_out->event_time_us = (int64_t)mixed - INT32_MAX;
}

bool model_is_live(const struct model_record *record, int64_t now_us)
{
    if (!record->is_there)
        return false;
    MNI_CHECK(!record->expiry.is_set || now_us < record->expiry.least_us ||
              now_us >= record->expiry.most_us);
    return !record->expiry.is_set || now_us < record->expiry.least_us;
}

enum model_answer model_changed_after(const struct model_record *record, uint64_t lsn)
{
    if (record->newest_lsn > lsn)
        return MODEL_YES;
    return record->maybe_lsn > lsn ? MODEL_MAYBE : MODEL_NO;
}

static void make_space(struct model_state *state, struct model_space *space, uint32_t n_dims,
                       uint64_t lsn)
{
    if (!space->exists)
        *space = (struct model_space){
            .exists = true,
            .number = ++state->next_number,
            .created_lsn = lsn,
        };
    if (space->dimension == 0)
        space->dimension = n_dims;
}

/* What a delete leaves, and what a sweep leaves of a record that is not live. */
static void remove_record(struct model_record *r, uint64_t lsn, int64_t now_us)
{
    if (model_is_live(r, now_us))
        *r = (struct model_record){.newest_lsn = lsn};
    else
        *r = (struct model_record){.newest_lsn = r->newest_lsn, .maybe_lsn = lsn};
}

static void sweep(struct model_state *state, uint64_t lsn, int64_t now_us)
{
    for (unsigned s = 0; s < N_SPACES; s++) {
        for (unsigned i = 0; i < N_IDS; i++) {
            struct model_record *r = &state->spaces[s].records[i];
            if (!model_is_live(r, now_us))
                remove_record(r, lsn, now_us);
        }
    }
}

static bool is_of_track(const struct model_effect *e)
{
    return e->kind >= EFFECT_MAKE_TRACK && e->kind <= EFFECT_DELETE_POINT;
}

static bool is_of_cache(const struct model_effect *e)
{
    return e->kind >= EFFECT_STORE_ANSWER;
}

static void apply_to_house(struct model_house *house, const struct model_effect *e, uint64_t lsn)
{
    struct model_entry *answer = &house->answers[e->id];

    if (e->kind == EFFECT_STORE_ANSWER) {
        house->exists = true;
        *answer =
            (struct model_entry){.is_there = true, .value = e->value, .nth = e->n_dims, .lsn = lsn};
    } else if (e->kind == EFFECT_DELETE_ANSWER) {
        *answer = (struct model_entry){0};
    } else if (e->kind == EFFECT_DROP_HOUSE) {
        *house = (struct model_house){0};
    } else if (e->kind == EFFECT_SET_BUDGET) {
        house->exists = true;
        house->has_budget = e->id != 0;
        house->entries_max = e->value;
    }
}

static void put_point(struct model_point *point, bool has_history, uint32_t value, uint64_t lsn)
{
    point->is_there = true;
    if (has_history && point->lsn != 0 && point->lsn != lsn) { /* else it has put it already */
        point->n_versions++;
        memmove(point->versions + 1, point->versions, (N_VERSIONS - 1) * sizeof point->versions[0]);
        point->versions[0] = (struct model_version){point->value, point->lsn, lsn};
    }
    point->value = value;
    point->lsn = lsn;
}

/* What a commit leaves of a track that keeps only the newest points. */
static void cut_track(struct model_track *track)
{
    for (unsigned e = 0; e < N_ENTITIES; e++) {
        unsigned n = 0;
        for (unsigned t = N_TIMES; t-- > 0;) {
            struct model_point *point = &track->points[e * N_TIMES + t];
            n += point->is_there;
            if (n > KEPT_POINTS)
                *point = (struct model_point){0};
        }
    }
}

static void apply_to_track(struct model_track *track, const struct model_effect *e, uint64_t lsn)
{
    struct model_point *point = &track->points[e->id];

    if (e->kind == EFFECT_MAKE_TRACK && !track->exists)
        *track = (struct model_track){.exists = true, .created_lsn = lsn};
    else if (e->kind == EFFECT_DROP_TRACK)
        *track = (struct model_track){0};
    else if (e->kind == EFFECT_PUT_POINT && track->exists)
        put_point(point, e->space == TRACK_KEPT, e->value, lsn);
    else if (e->kind == EFFECT_DELETE_POINT)
        *point = (struct model_point){0};
}

void model_apply_effect(struct model_state *state, const struct model_effect *e, uint64_t lsn,
                        int64_t now_us)
{
    if (is_of_track(e)) {
        apply_to_track(&state->tracks[e->space], e, lsn);
        return;
    }
    if (is_of_cache(e)) {
        apply_to_house(&state->houses[e->space], e, lsn);
        return;
    }
    struct model_space *space = &state->spaces[e->space];
    struct model_record *r = &space->records[e->id];

    switch (e->kind) {
    case EFFECT_PUT:
        make_space(state, space, e->n_dims, lsn);
        *r = (struct model_record){
            .is_there = true,
            .value = e->value,
            .n_dims = e->n_dims,
            .expiry = e->expiry,
            .lsn = lsn,
            .newest_lsn = lsn,
        };
        break;
    case EFFECT_DELETE:
        remove_record(r, lsn, now_us);
        break;
    case EFFECT_TOUCH:
        if (!(r->is_there && r->lsn == lsn) && !model_is_live(r, now_us))
            break; /* a record of this very commit takes it in any case */
        r->expiry = e->expiry;
        r->newest_lsn = lsn;
        break;
    case EFFECT_MAKE:
        make_space(state, space, e->n_dims, lsn);
        break;
    case EFFECT_DROP:
        *space = (struct model_space){0};
        break;
    case EFFECT_SWEEP:
        sweep(state, lsn, now_us);
        break;
    default:
        break;
    }
}

void model_apply(struct model_state *state, const struct model_commit *commit)
{
    for (size_t i = 0; i < commit->n_effects; i++)
        model_apply_effect(state, &commit->effects[i], commit->lsn, commit->now_us);
    cut_track(&state->tracks[TRACK_KEPT]);
    state->lsn = commit->lsn;
}

bool model_changes_catalogue(const struct model_state *state, const struct model_commit *commit)
{
    for (size_t i = 0; i < commit->n_effects; i++) {
        const struct model_effect *e = &commit->effects[i];
        if (is_of_track(e) && e->kind <= EFFECT_DROP_TRACK &&
            state->tracks[e->space].exists == (e->kind == EFFECT_DROP_TRACK))
            return true;
        if (is_of_track(e) || is_of_cache(e))
            continue;
        const struct model_space *space = &state->spaces[e->space];
        if (e->kind == EFFECT_DROP && space->exists)
            return true;
        if ((e->kind == EFFECT_PUT || e->kind == EFFECT_MAKE) &&
            (!space->exists || (space->dimension == 0 && e->n_dims != 0)))
            return true;
    }
    return false;
}

bool model_changes_anything(const struct model_state *state, const struct model_commit *commit)
{
    if (model_changes_catalogue(state, commit))
        return true;
    for (size_t i = 0; i < commit->n_effects; i++) {
        const struct model_effect *e = &commit->effects[i];
        if (e->kind == EFFECT_PUT || e->kind == EFFECT_SWEEP || is_of_cache(e))
            return true;
        if (is_of_track(e) && e->kind >= EFFECT_PUT_POINT && state->tracks[e->space].exists)
            return true;
        if ((e->kind == EFFECT_DELETE || e->kind == EFFECT_TOUCH) && state->spaces[e->space].exists)
            return true;
    }
    return false;
}
