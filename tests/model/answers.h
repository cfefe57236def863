/*
 * answers.h - what a cache of answers should hold, beside the rest of the model: a few tenants, ids
 * and keys, the same ones in all of them; and which entries make room.
 *
 * Embeddings are made of small whole numbers, so that their cosines are exact up to the last step,
 * and no rounding decides which of two is nearer.
 */
#ifndef TESTS_MODEL_ANSWERS_H
#define TESTS_MODEL_ANSWERS_H

#include <math.h>

#include "record/record.h"
#include "world.h"

enum {
    N_FIXED_IDS = 7,
    INDEX_BYTES = 384, /* that the index takes for an entry, but for its signs */
};

static const uint64_t house_numbers[N_HOUSES] = {0, 5, UINT64_MAX}; /* ascending */

/* Those about 0x62 << 56 lie beside a budget in the store. */
static const uint64_t fixed_ids[N_FIXED_IDS] = {
    0,
    1,
    UINT64_C(0x61ffffffffffffff),
    UINT64_C(0x6200000000000000),
    UINT64_C(1) << 63,
    UINT64_MAX - 1,
    UINT64_MAX,
};

static const uint64_t contexts[N_CONTEXTS] = {0, 1, UINT64_MAX};

static inline struct mn_slice tag_of(unsigned i)
{
    static const struct mn_slice tags[N_TAGS] = {{"", 0}, {"m", 1}, {"m\0", 2}};

    return tags[i];
}

/* They differ in one byte. */
static inline const unsigned char *key_of(unsigned i)
{
    static unsigned char keys[N_KEYS][MN_SEMCACHE_KEY_BYTES];

    keys[i][i % 2 == 0 ? 0 : MN_SEMCACHE_KEY_BYTES - 1] = (unsigned char)i;
    return keys[i];
}

/* What an answer contains ---------- */

static inline unsigned char payload_byte(const struct answer *a, size_t i)
{
    return (unsigned char)(a->seed >> (i % 8) * 8);
}

static inline void make_embedding(const struct answer *a, int numbers[ANSWER_DIMS_MAX])
{
    uint64_t random = a->seed % 2 == 0 ? a->seed : a->seed % 16; /* some are alike */
    bool is_zero = check_below(&random, 20) == 0;

    for (uint32_t i = 0; i < a->n_dims; i++)
        numbers[i] = is_zero ? 0 : (int)check_below(&random, 9) - 4;
}

/* As floats that become these numbers when they are rounded. */
static inline void make_floats(const struct answer *a, float floats[ANSWER_DIMS_MAX])
{
    int numbers[ANSWER_DIMS_MAX];

    make_embedding(a, numbers);
    for (uint32_t i = 0; i < a->n_dims; i++)
        floats[i] = (float)numbers[i] * (1 + 0x1p-13F);
}

static inline uint16_t half_of(int number)
{
    static const uint16_t halves[] = {0, 0x3c00, 0x4000, 0x4200, 0x4400};

    return number < 0 ? halves[-number] | 0x8000 : halves[number];
}

static inline bool answers_at(const struct answer *a, int64_t now_us)
{
    return a->is_there && (!a->has_expiry || a->expires_at_us > now_us);
}

static inline uint64_t logical_bytes(const struct answer *a)
{
    return (a->has_key ? MN_SEMCACHE_KEY_BYTES : 0U) + tag_of(a->tag).n_bytes +
           (uint64_t)a->n_dims * 2 + a->payload_bytes;
}

static inline uint64_t allocated_bytes(const struct answer *a)
{
    static const char room[BYTES_MAX * 2];
    const struct mni_record record = {
        .type = MNI_RECORD_UPSERT,
        .element_type = a->n_dims > 0 ? MNI_ELEMENT_F16 : MNI_ELEMENT_NONE,
        .fields = MNI_FIELD_EVENT_TIME | (a->has_expiry ? MNI_FIELD_EXPIRY : 0U) |
                  (a->has_key ? MNI_FIELD_SECOND_KEY : 0U),
        .key = {room, 8},
        .vector = room,
        .n_dims = a->n_dims,
        .metadata = {room, 16 + tag_of(a->tag).n_bytes},
        .payload = {room, a->payload_bytes},
        .event_time_us = a->event_time_us,
        .expires_at_us = a->expires_at_us,
        .second_key = (const unsigned char *)room,
    };

    return mni_record_encoded_bytes(&record) + INDEX_BYTES + (a->n_dims + 63) / 64 * 8;
}

static inline double value_of(const struct answer *a)
{
    double event_days = (double)a->event_time_us / (86400.0 * 1e6);
    double hit_days = (double)(a->last_hit_us / SECOND_US) / 86400.0;

    return log2(1 + (double)a->hits) + fmax(event_days, hit_days) -
           log2((double)allocated_bytes(a));
}

static inline void check_answer(const struct mn_semcache_handle *h, unsigned house,
                                const struct answer *a)
{
    int numbers[ANSWER_DIMS_MAX];
    struct mn_slice tag = tag_of(a->tag);

    make_embedding(a, numbers);
    CHECK(h->pin != NULL);
    CHECK_EQ(h->tenant, house_numbers[house]);
    CHECK_EQ(h->id, a->id);
    CHECK_EQ(h->lsn, a->lsn);
    CHECK_EQ(h->context, contexts[a->context]);
    CHECK((h->key != NULL) == a->has_key);
    if (a->has_key)
        CHECK_MEM_EQ(h->key, key_of(a->key), MN_SEMCACHE_KEY_BYTES);
    CHECK_EQ(h->model.n_bytes, tag.n_bytes);
    if (tag.n_bytes > 0)
        CHECK_MEM_EQ(h->model.data, tag.data, tag.n_bytes);
    CHECK_EQ(h->n_dims, a->n_dims);
    CHECK((h->embedding != NULL) == (a->n_dims > 0));
    for (uint32_t i = 0; i < a->n_dims; i++)
        CHECK_EQ(h->embedding[i], half_of(numbers[i]));
    CHECK_EQ(h->payload.n_bytes, a->payload_bytes);
    for (size_t i = 0; i < a->payload_bytes; i++)
        if (((const unsigned char *)h->payload.data)[i] != payload_byte(a, i))
            CHECK_EQ(i, a->payload_bytes);
    CHECK_EQ(h->fields, a->has_expiry ? MN_HAS_EXPIRES_AT : 0);
    CHECK_EQ(h->expires_at_us, a->has_expiry ? a->expires_at_us : 0);
    CHECK_EQ(h->event_time_us, a->event_time_us);
}

static inline void check_hits(const struct mn_semcache_handle *h, const struct answer *a)
{
    CHECK_EQ(h->hits, a->hits);
    CHECK_EQ(h->last_hit_us, a->last_hit_us);
}

static inline void check_no_answer(const struct mn_semcache_handle *h)
{
    const struct mn_semcache_handle clear = {0};

    CHECK_MEM_EQ(h, &clear, sizeof clear);
}

/* Tenants ---------- */

/* The one with an id, expired or not. NULL: there is none. */
static inline struct answer *answer_of(struct house *house, uint64_t id)
{
    for (unsigned i = 0; i < N_ANSWERS; i++)
        if (house->answers[i].is_there && house->answers[i].id == id)
            return &house->answers[i];
    return NULL;
}

static inline struct answer *shown_answer(struct house *house, uint64_t id, int64_t now_us)
{
    struct answer *a = answer_of(house, id);

    return a != NULL && answers_at(a, now_us) ? a : NULL;
}

static inline struct answer *keyed_answer(struct house *house, unsigned key, int64_t now_us)
{
    for (unsigned i = 0; i < N_ANSWERS; i++) {
        struct answer *a = &house->answers[i];
        if (answers_at(a, now_us) && a->has_key && a->key == key)
            return a;
    }
    return NULL;
}

struct house_sums {
    uint64_t n_entries;
    uint64_t logical;
    uint64_t bytes;
};

/* `fresh` counts, expired or not. */
static inline struct house_sums sums_of(const struct house *house, const struct answer *fresh,
                                        int64_t now_us)
{
    struct house_sums sums = {0};

    for (unsigned i = 0; i < N_ANSWERS; i++) {
        const struct answer *a = &house->answers[i];
        if (a != fresh && !answers_at(a, now_us))
            continue;
        sums.n_entries++;
        sums.logical += logical_bytes(a);
        sums.bytes += allocated_bytes(a);
    }
    return sums;
}

static inline struct house_sums sums_of_all(const struct state *state, const struct answer *fresh,
                                            int64_t now_us)
{
    struct house_sums all = {0};

    for (unsigned t = 0; t < N_HOUSES; t++) {
        struct house_sums sums = sums_of(&state->houses[t], fresh, now_us);
        all.n_entries += sums.n_entries;
        all.logical += sums.logical;
        all.bytes += sums.bytes;
    }
    return all;
}

/* Budgets ---------- */

static inline bool is_beyond(struct house_sums sums, struct mn_semcache_budget budget)
{
    return (budget.bytes_max != 0 && sums.bytes > budget.bytes_max) ||
           (budget.entries_max != 0 && sums.n_entries > budget.entries_max);
}

static inline struct mn_semcache_budget budget_of(const struct world *w, unsigned t)
{
    const struct house *house = &w->now.houses[t];

    return house->has_budget ? house->budget : w->budget_of_each;
}

static inline bool house_is_full(const struct world *w, unsigned t, const struct answer *fresh)
{
    return is_beyond(sums_of(&w->now.houses[t], fresh, w->now_us), budget_of(w, t));
}

static inline bool cache_is_full(const struct world *w, const struct answer *fresh)
{
    return is_beyond(sums_of_all(&w->now, fresh, w->now_us), w->budget_of_all);
}

static inline bool goes_first(const struct answer *a, const struct answer *b)
{
    double value = value_of(a);
    double other = value_of(b);

    return value != other ? value < other : a->id < b->id; /* tenants come ascending */
}

/* The least one of a tenant, or of all (N_HOUSES), but for the one that needs the room. */
static inline struct answer *least_answer(struct world *w, unsigned house,
                                          const struct answer *fresh, unsigned *house_out)
{
    struct answer *least = NULL;

    for (unsigned t = 0; t < N_HOUSES; t++) {
        for (unsigned i = 0; i < N_ANSWERS; i++) {
            struct answer *a = &w->now.houses[t].answers[i];
            if ((house != N_HOUSES && t != house) || a == fresh || !answers_at(a, w->now_us) ||
                (least != NULL && !goes_first(a, least)))
                continue;
            least = a;
            *house_out = t;
        }
    }
    return least;
}

/* What goes until a tenant and the whole are within their bounds. */
static inline unsigned evict(struct world *w, unsigned house, const struct answer *fresh)
{
    unsigned n = 0;
    unsigned t = 0;

    for (;; n++) {
        bool is_one = house_is_full(w, house, fresh);
        if (!is_one && !cache_is_full(w, fresh))
            return n;
        struct answer *victim = least_answer(w, is_one ? house : N_HOUSES, fresh, &t);
        CHECK(victim != NULL);
        if (victim == NULL)
            return n;
        *victim = (struct answer){0};
        w->counts[t].n_evictions++;
        w->counts[N_HOUSES].n_evictions++;
    }
}

static inline void make_house(struct world *w, unsigned t)
{
    struct house *house = &w->now.houses[t];

    if (house->exists)
        return;
    house->exists = true;
    w->counts[t] = (struct mn_semcache_stats){0};
}

static inline void empty_house(struct world *w, unsigned t)
{
    w->now.houses[t] = (struct house){0};
    w->counts[t] = (struct mn_semcache_stats){0};
}

/* The store ---------- */

/* Entries that the store counts, and budgets. */
static inline uint64_t count_answers(const struct state *state, int64_t now_us)
{
    uint64_t n = 0;

    for (unsigned t = 0; t < N_HOUSES; t++) {
        n += state->houses[t].has_budget;
        for (unsigned i = 0; i < N_ANSWERS; i++)
            n += answers_at(&state->houses[t].answers[i], now_us);
    }
    return n;
}

static inline uint64_t count_all_answers(const struct state *state)
{
    uint64_t n = 0;

    for (unsigned t = 0; t < N_HOUSES; t++) {
        n += state->houses[t].has_budget;
        for (unsigned i = 0; i < N_ANSWERS; i++)
            n += state->houses[t].answers[i].is_there;
    }
    return n;
}

/* The last call made a checkpoint: hits were written before it, as a commit ahead of `n_after`
 * others. */
static inline void write_down_hits(struct world *w, unsigned n_after)
{
    uint64_t lsn = newest_lsn(w) - n_after;
    bool is_dirty = false;

    for (unsigned t = 0; t < N_HOUSES; t++)
        for (unsigned i = 0; i < N_ANSWERS; i++) {
            struct answer *a = &w->now.houses[t].answers[i];
            if (!answers_at(a, w->now_us))
                continue;
            is_dirty = is_dirty || a->hits != a->stored_hits;
            a->stored_hits = a->hits;
            a->stored_hit_us = a->last_hit_us;
        }
    if (is_dirty)
        committed(w, lsn, MN_ACK_NONE);
    else if (n_after == 0)
        CHECK_EQ(lsn, w->now.lsn);
}

/* Hits that were not written are lost. */
static inline void forget_hits(struct state *state)
{
    for (unsigned t = 0; t < N_HOUSES; t++)
        for (unsigned i = 0; i < N_ANSWERS; i++) {
            struct answer *a = &state->houses[t].answers[i];
            a->hits = a->stored_hits;
            a->last_hit_us = a->stored_hit_us;
        }
}

/* The index is made by the first call. */
static inline void open_cache(struct world *w)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};

    memset(w->counts, 0, sizeof w->counts);
    forget_hits(&w->now);
    settle(w);
    CHECK_OK(CALLED(w, mn_semcache_get_stats(w->store, &stats, call(w))));
    CHECK_EQ(newest_lsn(w), w->now.lsn);
}

#endif
