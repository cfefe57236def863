/*
 * cache_ops.h - the cache of answers beside the model.
 */
#ifndef TESTS_MODEL_CACHE_OPS_H
#define TESTS_MODEL_CACHE_OPS_H

#include "answers.h"
#include "temporal_ops.h"

enum { CHUNK_BYTES_MAX = 900, STREAM_BYTES_MAX = 2 * BYTES_MAX };

static inline unsigned some_house(struct world *w)
{
    return below(w, N_HOUSES);
}

/* One that is there, or may be. */
static inline uint64_t some_id(struct world *w, const struct house *house)
{
    const struct answer *a = &house->answers[below(w, N_ANSWERS)];

    return a->is_there && one_in(w, 2) ? a->id : fixed_ids[below(w, N_FIXED_IDS)];
}

/* Counting ---------- */

enum { BY_ID = MN_SEMCACHE_MISS }; /* a kind of hit that lookups do not have */

static inline void count_kind(struct mn_semcache_stats *counts, unsigned kind)
{
    counts->n_hits_id += kind == BY_ID;
    counts->n_hits_exact += kind == MN_SEMCACHE_EXACT;
    counts->n_hits_semantic += kind == MN_SEMCACHE_SEMANTIC;
    counts->n_hits_verified += kind == MN_SEMCACHE_VERIFIED;
}

static inline void count_hit(struct world *w, unsigned t, unsigned kind, struct answer *a)
{
    int64_t now_us = w->now_us / SECOND_US * SECOND_US;

    count_kind(&w->counts[t], kind);
    count_kind(&w->counts[N_HOUSES], kind);
    a->hits++;
    if (now_us > a->last_hit_us)
        a->last_hit_us = now_us;
}

static inline void count_no_hit(struct world *w, unsigned t)
{
    w->counts[t].n_misses++;
    w->counts[N_HOUSES].n_misses++;
}

/* Handles ---------- */

static inline void let_answer_go(struct held_answer *held)
{
    if (held->handle.pin == NULL)
        return;
    check_answer(&held->handle, held->house, &held->answer);
    check_hits(&held->handle, &held->answer);
    mn_semcache_release(&held->handle);
    check_no_answer(&held->handle);
}

/* Keeps a handle, or gives it back; `a` has the hits that it should show. */
static inline void take_handle(struct world *w, struct mn_semcache_handle *handle, unsigned t,
                               const struct answer *a)
{
    struct held_answer *held = &w->answers[below(w, N_HANDLES)];

    check_answer(handle, t, a);
    check_hits(handle, a);
    if (one_in(w, 2)) {
        mn_semcache_release(handle);
        check_no_answer(handle);
        return;
    }
    let_answer_go(held);
    *held = (struct held_answer){.handle = *handle, .house = t, .answer = *a};
    if (one_in(w, 4)) {
        CHECK_OK(CALLED(w, mn_semcache_retain(handle, &held->handle, call(w))));
        mn_semcache_release(handle);
    }
}

/* Storing ---------- */

static inline void choose_times(struct world *w, struct asking *asking)
{
    struct answer *a = &asking->answer;

    asking->asked_us = w->now_us;
    if (one_in(w, 3)) {
        asking->has_event_time = true;
        a->event_time_us =
            one_in(w, 8) ? INT64_MIN : w->now_us - ((int64_t)below(w, 9) - 4) * 40000 * SECOND_US;
    }
    if (!one_in(w, 4))
        return;
    a->has_expiry = true;
    asking->has_ttl = one_in(w, 3);
    asking->ttl_us = (1 + (int64_t)below(w, 5)) * SECOND_US;
    a->expires_at_us = one_in(w, 8) ? INT64_MAX : w->now_us + (int64_t)below(w, 6) * SECOND_US;
}

static inline uint32_t some_answer_dims(struct world *w, unsigned t)
{
    static const uint32_t dims[N_HOUSES] = {3, 20, ANSWER_DIMS_MAX};
    uint32_t have = w->now.houses[t].n_dims;

    if (one_in(w, 3))
        return 0;
    if (have != 0 && !one_in(w, 30))
        return have;
    return dims[one_in(w, 3) ? below(w, N_HOUSES) : t];
}

static inline struct asking some_asking(struct world *w, unsigned t)
{
    const struct house *house = &w->now.houses[t];
    struct asking asking = {
        .answer =
            {
                .has_key = one_in(w, 2),
                .key = (uint8_t)below(w, N_KEYS),
                .tag = (uint8_t)below(w, N_TAGS),
                .context = (uint8_t)below(w, N_CONTEXTS),
                .n_dims = some_answer_dims(w, t),
                .seed = check_random(&w->random),
            },
        .has_id = !one_in(w, 3),
        .mode = one_in(w, 2) ? MN_SEMCACHE_OVERWRITE : (enum mn_semcache_mode)below(w, 3),
        .ack = (mn_ack)below(w, 4),
    };
    struct answer *a = &asking.answer;

    if (!one_in(w, 4))
        a->payload_bytes = below(w, one_in(w, 3) ? BYTES_MAX : 40);
    choose_times(w, &asking);
    a->id = some_id(w, house);
    if (asking.mode != MN_SEMCACHE_IF_LSN)
        return asking;
    asking.has_id = true;
    const struct answer *old = answer_of(&w->now.houses[t], a->id);
    asking.expected_lsn = old != NULL && !one_in(w, 4) ? old->lsn : w->now.lsn - below(w, 2);
    return asking;
}

struct asking_room {
    struct mn_semcache_entry entry;
    struct mn_semcache_store_options options;
    float floats[ANSWER_DIMS_MAX];
    unsigned char payload[STREAM_BYTES_MAX];
};

static inline void make_entry(const struct asking *asking, struct asking_room *room)
{
    const struct answer *a = &asking->answer;

    for (size_t i = 0; i < a->payload_bytes; i++)
        room->payload[i] = payload_byte(a, i);
    make_floats(a, room->floats);
    room->options = (struct mn_semcache_store_options){
        .size = sizeof room->options,
        .ack = asking->ack,
        .mode = asking->mode,
        .expected_lsn = asking->expected_lsn,
    };
    room->entry = (struct mn_semcache_entry){
        .fields = (asking->has_id ? MN_HAS_ENTRY_ID : 0U) |
                  (asking->has_event_time ? MN_HAS_EVENT_TIME : 0U),
        .n_dims = a->n_dims,
        .id = asking->has_id ? a->id : 77,
        .key = a->has_key ? key_of(a->key) : NULL,
        .context = contexts[a->context],
        .model = tag_of(a->tag),
        .embedding = room->floats,
        .payload = {room->payload, a->payload_bytes},
        .event_time_us = a->event_time_us,
        .expires_at_us = a->expires_at_us,
        .ttl_us = asking->ttl_us,
    };
    if (a->has_expiry)
        room->entry.fields |= asking->has_ttl ? MN_HAS_TTL : MN_HAS_EXPIRES_AT;
}

/* A call that stores first makes room, as a commit of its own, where a bound was lowered. */
static inline void made_room(struct world *w, bool has_evicted, mn_status st, mn_ack ack)
{
    if (has_evicted)
        committed(w, newest_lsn(w) - (st == MN_OK), ack);
}

/* Also sets the id, where the store has no choice. */
static inline mn_status expected_of_store(struct world *w, unsigned t, struct asking *asking)
{
    struct house *house = &w->now.houses[t];
    struct answer *a = &asking->answer;
    const struct answer *holder = a->has_key ? keyed_answer(house, a->key, w->now_us) : NULL;
    uint32_t n_dims = house->n_dims;
    const struct mn_semcache_budget each = budget_of(w, t);
    uint64_t most = each.bytes_max;

    if (!asking->has_id && holder != NULL) {
        asking->has_id = true;
        a->id = holder->id;
    }
    const struct answer *old = asking->has_id ? shown_answer(house, a->id, w->now_us) : NULL;
    if (asking->mode == MN_SEMCACHE_IF_ABSENT && (old != NULL || holder != NULL))
        return MN_EXISTS;
    if (asking->mode == MN_SEMCACHE_IF_LSN && (old == NULL || old->lsn != asking->expected_lsn))
        return MN_CHANGED;
    if (a->n_dims != 0 && n_dims != 0 && a->n_dims != n_dims)
        return MN_ERR_DIMENSION;
    if (most == 0 || (w->budget_of_all.bytes_max != 0 && w->budget_of_all.bytes_max < most))
        most = w->budget_of_all.bytes_max;
    return most != 0 && allocated_bytes(a) > most ? MN_ERR_LIMIT : MN_OK;
}

/* What only the store knew. */
static inline void learn_answer(struct world *w, unsigned t, const struct asking *asking,
                                const struct mn_semcache_handle *handle, struct answer *a)
{
    int64_t until_us = asking->asked_us + CALL_US_MAX;

    CHECK_EQ(handle->tenant, house_numbers[t]);
    if (!asking->has_event_time) {
        CHECK(handle->event_time_us >= asking->asked_us && handle->event_time_us <= until_us);
        a->event_time_us = handle->event_time_us;
    }
    if (a->has_expiry && asking->has_ttl) {
        CHECK(handle->expires_at_us >= asking->asked_us + asking->ttl_us &&
              handle->expires_at_us <= until_us + asking->ttl_us);
        a->expires_at_us = handle->expires_at_us;
    }
    if (!asking->has_id) {
        CHECK(shown_answer(&w->now.houses[t], handle->id, w->now_us) == NULL);
        a->id = handle->id;
    }
}

/* The store said yes: what was stored is there, and nothing that it took the place of. */
static inline void apply_store(struct world *w, unsigned t, const struct asking *asking,
                               struct mn_semcache_handle *handle)
{
    struct house *house = &w->now.houses[t];
    struct answer a = asking->answer;
    struct answer *holder = a.has_key ? keyed_answer(house, a.key, w->now_us) : NULL;

    learn_answer(w, t, asking, handle, &a);
    a.is_there = true;
    a.lsn = newest_lsn(w);
    make_house(w, t);
    struct answer *old = answer_of(house, a.id);
    if (old != NULL)
        *old = (struct answer){0};
    if (holder != NULL)
        *holder = (struct answer){0};
    struct answer *fresh = house->answers;
    while (fresh->is_there)
        fresh++;
    *fresh = a;
    if (a.n_dims > 0)
        house->n_dims = a.n_dims;
    (void)evict(w, t, fresh);
    committed(w, a.lsn, asking->ack);
    take_handle(w, handle, t, fresh);
}

static inline bool has_room_for(struct house *house, const struct asking *asking)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_ANSWERS; i++)
        n += house->answers[i].is_there;
    return n < N_ANSWERS || (asking->has_id && answer_of(house, asking->answer.id) != NULL);
}

static inline void store_answer(struct world *w)
{
    static struct asking_room room;
    unsigned t = some_house(w);
    struct asking asking = some_asking(w, t);
    struct mn_semcache_handle handle = {.id = 5};

    if (!has_room_for(&w->now.houses[t], &asking))
        return;
    make_entry(&asking, &room);
    bool has_evicted = evict(w, t, NULL) > 0;
    mn_status expected = expected_of_store(w, t, &asking);
    mn_status st = CALLED(w, mn_semcache_store(w->store, house_numbers[t], &room.entry,
                                               &room.options, &handle, call(w)));
    CHECK_STATUS(st, expected);
    made_room(w, has_evicted, st, asking.ack);
    if (getenv("TRACE") && st != expected)
        fprintf(stderr, "%s\n", w->err.message);
    if (st == MN_OK)
        apply_store(w, t, &asking, &handle);
    else
        check_no_answer(&handle);
}

static inline void begin_stream(struct world *w, struct streaming *s)
{
    static struct asking_room room;

    s->house = some_house(w);
    s->asking = some_asking(w, s->house);
    s->asking.answer.payload_bytes = 0;
    make_entry(&s->asking, &room);
    CHECK_OK(CALLED(w, mn_semcache_begin(w->store, house_numbers[s->house], &room.entry,
                                         &room.options, &s->stream, call(w))));
    memset(&room, 0x55, sizeof room); /* everything was copied */
}

static inline void append_chunk(struct world *w, struct streaming *s)
{
    unsigned char chunk[CHUNK_BYTES_MAX];
    struct answer *a = &s->asking.answer;
    size_t n = below(w, one_in(w, 2) ? 20 : CHUNK_BYTES_MAX);

    if (a->payload_bytes + n > STREAM_BYTES_MAX)
        return;
    for (size_t i = 0; i < n; i++)
        chunk[i] = payload_byte(a, a->payload_bytes + i);
    CHECK_OK(CALLED(w, mn_semcache_append(s->stream, (struct mn_slice){chunk, n}, call(w))));
    a->payload_bytes += n;
}

static inline void commit_stream(struct world *w, struct streaming *s)
{
    struct mn_semcache_handle handle = {.id = 5};
    unsigned t = s->house;

    if (!has_room_for(&w->now.houses[t], &s->asking)) {
        mn_semcache_abort(s->stream);
        s->stream = NULL;
        return;
    }
    bool has_evicted = evict(w, t, NULL) > 0;
    mn_status expected = expected_of_store(w, t, &s->asking);
    mn_status st = CALLED(w, mn_semcache_commit(s->stream, &handle, call(w)));
    s->stream = NULL;
    CHECK_STATUS(st, expected);
    made_room(w, has_evicted, st, s->asking.ack);
    if (st == MN_OK)
        apply_store(w, t, &s->asking, &handle);
    else
        check_no_answer(&handle);
}

static inline void stream_step(struct world *w)
{
    struct streaming *s = &w->streams[below(w, N_STREAMS)];

    if (s->stream == NULL) {
        begin_stream(w, s);
        return;
    }
    switch (below(w, 6)) {
    case 0:
    case 1:
        commit_stream(w, s);
        break;
    case 2:
        if (!one_in(w, 3))
            break;
        mn_semcache_abort(s->stream);
        s->stream = NULL;
        break;
    default:
        append_chunk(w, s);
    }
}

static inline void let_answers_go(struct world *w)
{
    for (unsigned i = 0; i < N_HANDLES; i++)
        let_answer_go(&w->answers[i]);
    for (unsigned i = 0; i < N_STREAMS; i++) {
        mn_semcache_abort(w->streams[i].stream);
        w->streams[i].stream = NULL;
    }
}

/* Loading ---------- */

static inline void load_answer(struct world *w)
{
    unsigned t = some_house(w);
    struct house *house = &w->now.houses[t];
    unsigned how = below(w, 3);
    unsigned key = below(w, N_KEYS);
    uint64_t id = some_id(w, house);
    uint64_t number = house_numbers[t];
    struct mn_semcache_handle handle = {.id = 5};
    bool exists = one_in(w, 2);
    struct answer *a = how == 2 ? keyed_answer(house, key, w->now_us)
                                : shown_answer(house, id, w->now_us);
    mn_status st = how == 0 ? mn_semcache_load(w->store, number, id, &handle, call(w))
                   : how == 1
                       ? mn_semcache_peek(w->store, number, id, &handle, call(w))
                       : mn_semcache_load_exact(w->store, number, key_of(key), &handle, call(w));

    CHECK_STATUS(CALLED(w, st), a != NULL ? MN_OK : MN_NOT_FOUND);
    if (a != NULL)
        take_handle(w, &handle, t, a);
    else
        check_no_answer(&handle);
    if (how != 1 && a != NULL)
        count_hit(w, t, how == 0 ? BY_ID : (unsigned)MN_SEMCACHE_EXACT, a);
    else if (how != 1)
        count_no_hit(w, t);
    CHECK_OK(CALLED(w, mn_semcache_exists(w->store, number, id, &exists, call(w))));
    CHECK_EQ(exists, shown_answer(house, id, w->now_us) != NULL);
}

/* Looking up ---------- */

/* What is asked for, and what should be found. */
struct looking {
    struct world *w;
    unsigned house;
    struct mn_semcache_query query;
    float embedding[ANSWER_DIMS_MAX];
    int numbers[ANSWER_DIMS_MAX];
    struct similar {
        struct answer *answer;
        float score;
    } similar[N_ANSWERS]; /* those at or above min_similarity, best first */
    unsigned n_similar;
    unsigned n_in_scope;
    unsigned n_compared;
    float best_score;
    unsigned n_asked;   /* by the callback */
    unsigned agrees_to; /* the so manieth */
};

static inline bool is_asked_for(const struct looking *l, const struct answer *a)
{
    const struct mn_semcache_query *q = &l->query;
    struct mn_slice tag = tag_of(a->tag);
    bool is_tag = (q->fields & MN_SEMCACHE_ANY_MODEL) != 0 ||
                  (q->model.n_bytes == tag.n_bytes &&
                   (tag.n_bytes == 0 || memcmp(q->model.data, tag.data, tag.n_bytes) == 0));

    return is_tag &&
           ((q->fields & MN_SEMCACHE_ANY_CONTEXT) != 0 || q->context == contexts[a->context]);
}

static inline float score_of_answer(const struct looking *l, const struct answer *a)
{
    int numbers[ANSWER_DIMS_MAX];
    int dot = 0;
    int square = 0;
    int square_of_query = 0;

    make_embedding(a, numbers);
    for (uint32_t i = 0; i < a->n_dims; i++) {
        dot += numbers[i] * l->numbers[i];
        square += numbers[i] * numbers[i];
        square_of_query += l->numbers[i] * l->numbers[i];
    }
    double length = sqrt((double)square) * (double)sqrtf((float)square_of_query);
    double score = length > 0 ? dot / length : 0;
    return (float)fmin(fmax(score, -1), 1);
}

static inline int by_likeness(const void *one, const void *other)
{
    const struct similar *a = one;
    const struct similar *b = other;

    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->answer->id > b->answer->id) - (a->answer->id < b->answer->id);
}

static inline void expect_similar(struct looking *l)
{
    struct house *house = &l->w->now.houses[l->house];

    for (unsigned i = 0; i < N_ANSWERS && l->query.n_dims > 0; i++) {
        struct answer *a = &house->answers[i];
        if (!answers_at(a, l->w->now_us) || !is_asked_for(l, a))
            continue;
        l->n_in_scope++;
        if (a->n_dims == 0)
            continue;
        float score = score_of_answer(l, a);
        if (l->n_compared++ == 0 || score > l->best_score)
            l->best_score = score;
        if (score >= l->query.min_similarity)
            l->similar[l->n_similar++] = (struct similar){a, score};
    }
    qsort(l->similar, l->n_similar, sizeof l->similar[0], by_likeness);
}

static bool agree(void *context, const struct mn_semcache_handle *handle, float score)
{
    struct looking *l = context;
    const struct similar *s = &l->similar[l->n_asked];

    CHECK(l->n_asked < l->n_similar);
    if (l->n_asked >= l->n_similar)
        return false;
    struct mn_semcache_handle held = *handle;
    held.pin = &held; /* a borrowed one may have none */
    check_answer(&held, l->house, s->answer);
    check_hits(&held, s->answer);
    CHECK(score == s->score);
    return l->n_asked++ == l->agrees_to;
}

static inline void choose_query(struct world *w, struct looking *l)
{
    static const float least[] = {1e-6F, 0.1F, 0.5F, 0.9F, 1};
    const struct house *house = &w->now.houses[l->house];
    struct mn_semcache_query *q = &l->query;
    unsigned tag = below(w, N_TAGS);
    uint32_t n_dims = house->n_dims;

    *q = (struct mn_semcache_query){
        .size = sizeof *q,
        .fields = below(w, 4),
        .key = one_in(w, 2) ? key_of(below(w, N_KEYS)) : NULL,
        .model = tag_of(tag),
        .context = contexts[below(w, N_CONTEXTS)],
    };
    if (q->key != NULL && one_in(w, 3))
        return;
    q->n_dims = n_dims == 0 || one_in(w, 30) ? 1 + below(w, ANSWER_DIMS_MAX) : n_dims;
    q->embedding = l->embedding;
    const struct answer like = {.n_dims = q->n_dims,
                                .seed = one_in(w, 2) ? house->answers[below(w, N_ANSWERS)].seed
                                                     : check_random(&w->random)};
    make_embedding(&like, l->numbers);
    bool is_zero = true;
    for (uint32_t i = 0; i < q->n_dims; i++)
        is_zero = is_zero && l->numbers[i] == 0;
    if (is_zero)
        l->numbers[q->n_dims - 1] = 1;
    for (uint32_t i = 0; i < q->n_dims; i++)
        l->embedding[i] = (float)l->numbers[i];
    q->min_similarity = least[below(w, CHECK_COUNT(least))];
    q->n_candidates = one_in(w, 2) ? 0 : N_ANSWERS;
    q->n_refined = one_in(w, 2) ? 0 : 1 + below(w, N_ANSWERS);
    if (one_in(w, 2)) {
        q->verify = agree;
        q->verify_context = l;
        l->agrees_to = below(w, 4);
    }
}

static inline enum mn_semcache_reason reason_of_miss(const struct looking *l, unsigned n_rejected)
{
    if (n_rejected > 0)
        return MN_SEMCACHE_REJECTED;
    if (l->query.n_dims > 0 && l->n_in_scope == 0)
        return MN_SEMCACHE_NO_SCOPE;
    return l->n_compared > 0 ? MN_SEMCACHE_BELOW : MN_SEMCACHE_NO_EMBEDDING;
}

static inline void check_found(struct world *w, struct looking *l, struct answer *exact,
                               struct mn_semcache_result *r)
{
    const struct mn_semcache_query *q = &l->query;
    unsigned n_refined = q->n_refined == 0 ? MN_SEMCACHE_REFINED_DEFAULT : q->n_refined;
    unsigned n_shown = l->n_similar < n_refined ? l->n_similar : n_refined;
    unsigned chosen = q->verify != NULL ? l->agrees_to : 0;
    struct answer *a = chosen < n_shown ? l->similar[chosen].answer : NULL;
    enum mn_semcache_kind kind = q->verify != NULL ? MN_SEMCACHE_VERIFIED : MN_SEMCACHE_SEMANTIC;
    float score = a != NULL ? l->similar[chosen].score : l->best_score;
    unsigned n_rejected = q->verify == NULL ? 0 : a != NULL ? chosen : n_shown;

    if (exact != NULL) {
        a = exact;
        kind = MN_SEMCACHE_EXACT;
        score = 1;
        CHECK_EQ(r->n_scanned, 0);
    } else {
        CHECK(r->n_scanned >= l->n_compared); /* places of those that went are compared, too */
        CHECK_EQ(r->n_candidates, l->n_compared);
        CHECK_EQ(r->n_similar, l->n_similar);
        CHECK_EQ(r->n_rejected, n_rejected);
    }
    CHECK_EQ(r->n_damaged, 0);
    CHECK_EQ(r->kind, a != NULL ? kind : MN_SEMCACHE_MISS);
    CHECK(r->score == score);
    CHECK_EQ(r->reason, a != NULL ? MN_SEMCACHE_NONE : reason_of_miss(l, n_rejected));
    if (a == NULL) {
        check_no_answer(&r->handle);
        count_no_hit(w, l->house);
        return;
    }
    take_handle(w, &r->handle, l->house, a);
    count_hit(w, l->house, kind, a);
}

static inline void look_up_answer(struct world *w)
{
    struct looking l = {.w = w, .house = some_house(w)};
    struct house *house = &w->now.houses[l.house];
    struct mn_semcache_result result = {.size = sizeof result, .score = 5};
    struct answer *exact = NULL;
    uint32_t n_dims = house->n_dims;

    choose_query(w, &l);
    for (unsigned key = 0; key < N_KEYS && l.query.key != NULL; key++)
        if (key_of(key) == l.query.key)
            exact = keyed_answer(house, key, w->now_us);
    if (exact != NULL && !is_asked_for(&l, exact))
        exact = NULL;
    bool fits = exact != NULL || l.query.n_dims == 0 || n_dims == 0 || n_dims == l.query.n_dims;
    if (fits)
        expect_similar(&l);
    mn_status st =
        CALLED(w, mn_semcache_lookup(w->store, house_numbers[l.house], &l.query, &result, call(w)));
    CHECK_STATUS(st, fits ? MN_OK : MN_ERR_DIMENSION);
    if (st == MN_OK)
        check_found(w, &l, exact, &result);
    else
        check_no_answer(&result.handle);
}

/* Removing ---------- */

static inline void delete_answer(struct world *w)
{
    unsigned t = some_house(w);
    uint64_t id = some_id(w, &w->now.houses[t]);
    struct answer *a = shown_answer(&w->now.houses[t], id, w->now_us);
    struct mn_write_options ack = any_ack(w);
    uint64_t lsn = 99;
    mn_status st =
        CALLED(w, mn_semcache_delete(w->store, house_numbers[t], id, &ack, &lsn, call(w)));

    CHECK_STATUS(st, a != NULL ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    *a = (struct answer){0};
    committed(w, lsn, ack.ack);
}

static inline bool matches_filter(const struct mn_semcache_filter *f, const struct answer *a)
{
    struct mn_slice tag = tag_of(a->tag);

    if ((f->fields & MN_SEMCACHE_BY_KEY) != 0 && (!a->has_key || key_of(a->key) != f->key))
        return false;
    if ((f->fields & MN_SEMCACHE_BY_CONTEXT) != 0 && contexts[a->context] != f->context)
        return false;
    if ((f->fields & MN_SEMCACHE_BY_MODEL) != 0 && tag.data != f->model.data)
        return false;
    return (f->fields & MN_SEMCACHE_BY_AGE) == 0 || a->event_time_us < f->before_us;
}

static inline void invalidate_answers(struct world *w)
{
    unsigned t = some_house(w);
    struct house *house = &w->now.houses[t];
    struct mn_write_options ack = any_ack(w);
    const struct mn_semcache_filter filter = {
        .size = sizeof filter,
        .fields = one_in(w, 8) ? MN_SEMCACHE_ALL : 1 + below(w, 15),
        .key = key_of(below(w, N_KEYS)),
        .context = contexts[below(w, N_CONTEXTS)],
        .model = tag_of(below(w, N_TAGS)),
        .before_us = w->now_us - (int64_t)below(w, 60) * SECOND_US,
    };
    uint64_t n = 99;
    uint64_t n_expected = 0;

    CHECK_OK(
        CALLED(w, mn_semcache_invalidate(w->store, house_numbers[t], &filter, &ack, &n, call(w))));
    for (unsigned i = 0; i < N_ANSWERS; i++) {
        struct answer *a = &house->answers[i];
        if (!answers_at(a, w->now_us) || !matches_filter(&filter, a))
            continue;
        *a = (struct answer){0};
        n_expected++;
    }
    CHECK_EQ(n, n_expected);
    if (n_expected > 0)
        committed(w, newest_lsn(w), ack.ack);
}

static inline void drop_house(struct world *w)
{
    unsigned t = some_house(w);
    struct mn_write_options ack = any_ack(w);
    bool existed = one_in(w, 2);
    uint64_t lsn = 99;

    CHECK_OK(CALLED(
        w, mn_semcache_drop_tenant(w->store, house_numbers[t], &ack, &existed, &lsn, call(w))));
    CHECK_EQ(existed, w->now.houses[t].exists);
    CHECK_EQ(lsn == 0, !existed);
    if (!existed)
        return;
    empty_house(w, t);
    committed(w, lsn, ack.ack);
}

static inline bool is_empty_house(const struct world *w, unsigned t)
{
    const struct house *house = &w->now.houses[t];

    return !house->has_budget && sums_of(house, NULL, w->now_us).n_entries == 0;
}

static inline void clean_up(struct world *w)
{
    struct mn_write_options ack = any_ack(w);
    uint64_t n = 99;
    uint64_t n_expected = 0;

    CHECK_OK(CALLED(w, mn_semcache_cleanup(w->store, &ack, &n, call(w))));
    for (unsigned t = 0; t < N_HOUSES; t++)
        n_expected += is_empty_house(w, t) && w->now.houses[t].exists;
    CHECK_EQ(n, n_expected);
    uint64_t lsn = newest_lsn(w) - n;
    for (unsigned t = 0; t < N_HOUSES; t++) {
        bool existed = w->now.houses[t].exists;
        if (!is_empty_house(w, t))
            continue;
        empty_house(w, t);
        if (existed)
            committed(w, ++lsn, ack.ack);
    }
}

/* Budgets ---------- */

static inline struct mn_semcache_budget some_budget(struct world *w)
{
    struct mn_semcache_budget budget = {0};

    if (one_in(w, 2))
        budget.bytes_max = w->has_budgets ? 400 + below(w, one_in(w, 3) ? 2000 : 12000)
                                          : UINT64_C(1) << 40;
    if (one_in(w, 2))
        budget.entries_max = w->has_budgets ? 1 + below(w, 9) : UINT64_C(1) << 40;
    return budget;
}

static inline void set_budget(struct world *w)
{
    unsigned t = some_house(w);
    struct house *house = &w->now.houses[t];
    struct mn_write_options ack = any_ack(w);
    struct mn_semcache_budget budget = some_budget(w);
    bool takes_back = one_in(w, 3);

    CHECK_OK(CALLED(w, mn_semcache_set_budget(w->store, house_numbers[t],
                                              takes_back ? NULL : &budget, &ack, call(w))));
    make_house(w, t);
    house->has_budget = !takes_back;
    house->budget = takes_back ? (struct mn_semcache_budget){0} : budget;
    uint64_t lsn = newest_lsn(w);
    bool evicts = house_is_full(w, t, NULL) || cache_is_full(w, NULL);
    committed(w, lsn - evicts, ack.ack);
    if (evict(w, t, NULL) > 0)
        committed(w, lsn, ack.ack);
}

static inline void set_number(struct world *w, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    CHECK_OK_ERR(mn_config_set(w->store, name, text, &w->err), &w->err);
}

static inline void set_budgets(struct world *w)
{
    set_number(w, "cache_bytes_max", w->budget_of_all.bytes_max);
    set_number(w, "cache_entries_max", w->budget_of_all.entries_max);
    set_number(w, "cache_tenant_bytes_max", w->budget_of_each.bytes_max);
    set_number(w, "cache_tenant_entries_max", w->budget_of_each.entries_max);
}

/* They bind from the next store on. */
static inline void change_settings(struct world *w)
{
    if (!w->has_budgets)
        return;
    w->budget_of_each = some_budget(w);
    w->budget_of_all = some_budget(w);
    w->budget_of_all.bytes_max *= 2;
    w->budget_of_all.entries_max *= 2;
    set_budgets(w);
}

/* Lists and numbers ---------- */

static inline int by_number(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one;
    uint64_t b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

static inline void list_answers(struct world *w)
{
    unsigned t = some_house(w);
    const struct house *house = &w->now.houses[t];
    uint64_t expected[N_ANSWERS + 1];
    uint64_t ids[N_ANSWERS + 1];
    uint64_t from = some_id(w, house);
    size_t n_max = 1 + below(w, N_ANSWERS + 1);
    size_t n_expected = 0;
    size_t n = 99;

    for (unsigned i = 0; i < N_ANSWERS; i++)
        if (answers_at(&house->answers[i], w->now_us) && house->answers[i].id >= from)
            expected[n_expected++] = house->answers[i].id;
    qsort(expected, n_expected, sizeof expected[0], by_number);
    mn_status st = CALLED(
        w, mn_semcache_list_entries(w->store, house_numbers[t], from, ids, n_max, &n, call(w)));
    CHECK_STATUS(st, house->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    CHECK_EQ(n, n_expected < n_max ? n_expected : n_max);
    CHECK_MEM_EQ(ids, expected, n * sizeof ids[0]);
}

static inline void list_houses(struct world *w)
{
    uint64_t numbers[N_HOUSES + 1];
    unsigned first = below(w, N_HOUSES);
    size_t n_max = 1 + below(w, N_HOUSES + 1);
    size_t n_expected = 0;
    size_t n = 99;

    CHECK_OK(CALLED(
        w, mn_semcache_list_tenants(w->store, house_numbers[first], numbers, n_max, &n, call(w))));
    for (unsigned t = first; t < N_HOUSES && n_expected < n_max; t++)
        if (w->now.houses[t].exists)
            CHECK(n_expected < n && numbers[n_expected++] == house_numbers[t]);
    CHECK_EQ(n, n_expected);
}

static inline void check_counts(const struct mn_semcache_stats *stats, struct house_sums sums,
                                const struct mn_semcache_stats *counts)
{
    CHECK_EQ(stats->n_entries, sums.n_entries);
    CHECK_EQ(stats->logical_bytes, sums.logical);
    CHECK_EQ(stats->allocated_bytes, sums.bytes);
    CHECK_EQ(stats->n_hits_id, counts->n_hits_id);
    CHECK_EQ(stats->n_hits_exact, counts->n_hits_exact);
    CHECK_EQ(stats->n_hits_semantic, counts->n_hits_semantic);
    CHECK_EQ(stats->n_hits_verified, counts->n_hits_verified);
    CHECK_EQ(stats->n_misses, counts->n_misses);
    CHECK_EQ(stats->n_evictions, counts->n_evictions);
    CHECK_EQ(stats->n_errors, 0);
}

static inline void check_cache(struct world *w)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    unsigned one = some_house(w);
    const struct house *house = &w->now.houses[one];
    struct mn_semcache_budget budget = {99, 99};
    bool is_own = one_in(w, 2);
    uint64_t n = 0;

    for (unsigned t = 0; t < N_HOUSES; t++)
        n += w->now.houses[t].exists;
    CHECK_OK(CALLED(w, mn_semcache_get_stats(w->store, &stats, call(w))));
    CHECK_EQ(stats.n_tenants, n);
    check_counts(&stats, sums_of_all(&w->now, NULL, w->now_us), &w->counts[N_HOUSES]);
    mn_status st =
        CALLED(w, mn_semcache_tenant_stats(w->store, house_numbers[one], &stats, call(w)));
    CHECK_STATUS(st, house->exists ? MN_OK : MN_NOT_FOUND);
    if (st == MN_OK)
        check_counts(&stats, sums_of(house, NULL, w->now_us), &w->counts[one]);
    st = CALLED(w, mn_semcache_get_budget(w->store, house_numbers[one], &budget, &is_own, call(w)));
    CHECK_STATUS(st, house->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    const struct mn_semcache_budget expected = budget_of(w, one);
    CHECK(is_own == house->has_budget);
    CHECK(budget.bytes_max == expected.bytes_max && budget.entries_max == expected.entries_max);
}

/* A store, or a snapshot, that should hold this state, and was not used yet. */
static inline void compare_answers(struct world *w, mn_store *store, struct state *state,
                                   int64_t now_us)
{
    for (unsigned t = 0; t < N_HOUSES; t++) {
        struct house *house = &state->houses[t];
        struct mn_semcache_budget budget = {99, 99};
        struct mn_semcache_handle h;
        bool is_own = false;
        mn_status st = mn_semcache_get_budget(store, house_numbers[t], &budget, &is_own, NULL);
        CHECK_STATUS(st, house->exists ? MN_OK : MN_NOT_FOUND);
        if (st == MN_OK)
            CHECK(is_own == house->has_budget);
        if (st == MN_OK && is_own)
            CHECK_MEM_EQ(&budget, &house->budget, sizeof budget);
        for (unsigned i = 0; i < N_ANSWERS; i++) {
            struct answer a = house->answers[i];
            if (!answers_at(&a, now_us))
                continue;
            CHECK_OK(mn_semcache_peek(store, house_numbers[t], a.id, &h, NULL));
            a.hits = a.stored_hits;
            a.last_hit_us = a.stored_hit_us;
            check_answer(&h, t, &a);
            check_hits(&h, &a);
            mn_semcache_release(&h);
        }
        for (unsigned key = 0; key < N_KEYS; key++) {
            struct answer *a = keyed_answer(house, key, now_us);
            CHECK_STATUS(mn_semcache_load_exact(store, house_numbers[t], key_of(key), &h, NULL),
                         a != NULL ? MN_OK : MN_NOT_FOUND);
            if (a != NULL)
                check_answer(&h, t, a);
            mn_semcache_release(&h);
            if (store == w->store && a != NULL)
                count_hit(w, t, MN_SEMCACHE_EXACT, a);
            else if (store == w->store)
                count_no_hit(w, t);
        }
    }
}

#endif
