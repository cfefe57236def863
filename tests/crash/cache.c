/*
 * cache.c - a cache of answers, beside the model's answer.
 *
 * Event times lie far apart and far ahead of any hit: so the entries of least value are those that
 * were stored first, whatever their hits and sizes, and the model knows what goes to make room.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine_private.h"
#include "world.h"

#define DIFFERS(...) (snprintf(why, WHY_BYTES, __VA_ARGS__) < 0)

enum { N_KEYS = 3, EMBEDDING_DIMS = 5, CHUNKS_MAX = 4 };

static const uint64_t houses[N_HOUSES] = {3, UINT64_MAX};
static const uint64_t ids[N_ANSWERS] = {0, 1, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
static const int64_t first_us = INT64_C(4102444800000000); /* the year 2100 */
static const int64_t apart_us = INT64_C(1000) * 86400 * 1000000;

/* What a number stands for ---------- */

static unsigned key_index(uint32_t value) /* N_KEYS: none */
{
    return value / 8 % (N_KEYS + 1);
}

static const unsigned char *key_bytes(unsigned index)
{
    static unsigned char keys[N_KEYS][MN_SEMCACHE_KEY_BYTES];

    keys[index][MN_SEMCACHE_KEY_BYTES - 1] = (unsigned char)index;
    return keys[index];
}

static bool has_embedding(uint32_t value)
{
    return value % 3 > 0;
}

/* The first element is 0: none is like the query of world_shows_cache. */
static void make_embedding(uint32_t value, float embedding[EMBEDDING_DIMS])
{
    embedding[0] = 0;
    for (int i = 1; i < EMBEDDING_DIMS; i++)
        embedding[i] = (float)(value >> i & 7) + 1;
}

static int64_t event_time(uint32_t nth)
{
    return first_us + (int64_t)nth * apart_us;
}

struct entry_room {
    struct mn_semcache_entry entry;
    float embedding[EMBEDDING_DIMS];
};

static void make_entry(const struct model_effect *e, bool has_id, struct entry_room *room)
{
    struct model_content content;

    model_content(e->value, &content);
    make_embedding(e->value, room->embedding);
    room->entry = (struct mn_semcache_entry){
        .fields = MN_HAS_EVENT_TIME | (has_id ? MN_HAS_ENTRY_ID : 0U),
        .n_dims = has_embedding(e->value) ? EMBEDDING_DIMS : 0,
        .id = ids[e->id],
        .key = key_index(e->value) < N_KEYS ? key_bytes(key_index(e->value)) : NULL,
        .context = e->value % 2,
        .model = mn_str("m"),
        .embedding = room->embedding,
        .payload = content.payload,
        .event_time_us = event_time(e->n_dims),
    };
}

/* The model ---------- */

static unsigned holder_of(const struct model_house *house, unsigned key) /* N_ANSWERS: none */
{
    unsigned i = 0;

    while (i < N_ANSWERS && !(house->answers[i].is_there && key < N_KEYS &&
                              key_index(house->answers[i].value) == key))
        i++;
    return i;
}

static void add(struct model_commit *c, enum model_effect_kind kind, unsigned house, unsigned id,
                uint32_t value)
{
    c->effects[c->n_effects++] = (struct model_effect){
        .kind = kind, .space = (uint8_t)house, .id = (uint8_t)id, .value = value};
}

static uint64_t count_entries(const struct model_house *house)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < N_ANSWERS; i++)
        n += house->answers[i].is_there;
    return n;
}

static bool is_full(const struct model_state *state, unsigned house, uint64_t entries_max)
{
    uint64_t n = 0;

    if (house < N_HOUSES) {
        entries_max = state->houses[house].entries_max;
        n = count_entries(&state->houses[house]);
    } else {
        for (unsigned t = 0; t < N_HOUSES; t++)
            n += count_entries(&state->houses[t]);
    }
    return entries_max != 0 && n > entries_max;
}

/* Adds what has to go, when `state` is what there would be without. */
static void add_victims(const struct world *w, struct model_state *state, unsigned house,
                        const struct model_entry *fresh, struct model_commit *c)
{
    for (;;) {
        bool is_one = is_full(state, house, 0);
        struct model_entry *least = NULL;
        unsigned of = 0;
        if (!is_one && !is_full(state, N_HOUSES, w->cache_entries_max))
            return;
        for (unsigned i = 0; i < N_HOUSES * N_ANSWERS; i++) {
            struct model_entry *a = &state->houses[i / N_ANSWERS].answers[i % N_ANSWERS];
            if (!a->is_there || a == fresh || (is_one && i / N_ANSWERS != house) ||
                (least != NULL && a->nth > least->nth))
                continue;
            least = a;
            of = i;
        }
        if (least == NULL)
            sim_fail(w->sim, "the simulator finds no victim");
        add(c, EFFECT_DELETE_ANSWER, of / N_ANSWERS, of % N_ANSWERS, 0);
        *least = (struct model_entry){0};
    }
}

/* Commits and their answers ---------- */

/* Those of an entry that came back after a doubtful commit, or long ago, are not known. */
static struct world_hits *hits_of(struct world *w, uint64_t lsn)
{
    const uint64_t apart = 97; /* each recovery goes on 2^20 LSNs further */
    struct world_hits *hits = &w->hits[(lsn + (lsn >> 20) * apart) % HITS_KNOWN];

    if (hits->lsn != lsn)
        *hits = (struct world_hits){.lsn = lsn, .n_made = UINT32_MAX};
    return hits;
}

/* A call that made room first, as a commit of its own, and then did something: either may have
 * failed. The first one's effects were not refused. */
static void answered_in_two(struct world *w, struct model_commit *first,
                            struct model_commit *second, mn_status st, mn_status expected,
                            mn_ack ack, const struct mn_error *err)
{
    uint64_t lsn = world_lsn(w);
    bool is_seen = lsn > w->state.lsn;
    bool is_second = st == MN_OK && second->n_effects > 0;

    if (first->n_effects > 0 && !is_seen) {
        world_failed(w, first, st, err);
        return;
    }
    if (first->n_effects > 0)
        world_answered(w, first, MN_OK, lsn - is_second, st < 0 ? MN_ACK_NONE : ack, NULL);
    if (expected != MN_OK)
        world_expect_refusal(w, st, expected, ack, err);
    else
        world_answered(w, second, st, is_second ? lsn : 0, ack, err);
}

void world_write_hits(struct world *w)
{
    struct mn_error err = {.message = "writing hits"};
    struct mni_wal_stats stats;
    struct model_commit c;

    if (!w->has_cache || !world_begin(w, DEED_CACHE, &c))
        return;
    engine_call_before_checkpoint(w->engine);
    /* The sync that was to fail may have been one of these: closing would write the hits then. */
    if (w->sync_may_fail && world_lsn(w) == w->state.lsn)
        engine_call_before_checkpoint(w->engine);
    world_hits_written(w, &c, &err);
    mni_wal_get_stats(w->wal, &stats);
    if (stats.is_poisoned && !w->is_poisoned)
        world_failed(w, NULL, MN_ERR_IO, &err);
}

void world_hits_written(struct world *w, struct model_commit *c, const struct mn_error *err)
{
    struct mni_wal_stats stats;
    uint64_t lsn = world_lsn(w);

    if (!w->has_cache)
        return;
    add(c, EFFECT_HITS, 0, 0, 0);
    mni_wal_get_stats(w->wal, &stats);
    if (lsn > w->state.lsn)
        world_answered(w, c, MN_OK, lsn, MN_ACK_NONE, NULL);
    else if (stats.is_poisoned && !w->is_poisoned)
        world_failed(w, c, MN_ERR_IO, err); /* it may be the one that was cut */
}

void world_hits_are_safe(struct world *w)
{
    for (unsigned i = 0; w->has_cache && i < N_HOUSES * N_ANSWERS; i++) {
        const struct model_entry *a = &w->state.houses[i / N_ANSWERS].answers[i % N_ANSWERS];
        if (!a->is_there)
            continue;
        struct mn_semcache_handle h;
        if (mn_semcache_peek(w->store, houses[i / N_ANSWERS], ids[i % N_ANSWERS], &h, NULL) ==
            MN_OK)
            hits_of(w, a->lsn)->n_safe = h.hits;
        mn_semcache_release(&h);
    }
}

/* Storing ---------- */

/* What is to be stored, and how. */
struct storing {
    unsigned house;
    bool has_id;
    enum mn_semcache_mode mode;
    struct model_effect effect;
};

static struct storing choose_storing(struct world *w)
{
    uint32_t value = (uint32_t)sim_random(w->sim);

    value -= sim_one_in(w->sim, 2) ? value % 8 : 0; /* not too many large ones */
    return (struct storing){
        .house = (unsigned)sim_below(w->sim, N_HOUSES),
        .has_id = !sim_one_in(w->sim, 4),
        .mode = sim_one_in(w->sim, 3) ? MN_SEMCACHE_IF_ABSENT : MN_SEMCACHE_OVERWRITE,
        .effect =
            {
                .kind = EFFECT_STORE_ANSWER,
                .id = (uint8_t)sim_below(w->sim, N_ANSWERS),
                .value = value,
                .n_dims = ++w->n_stored,
            },
    };
}

/* The commits that it should become; the answer. */
static mn_status plan(struct world *w, struct storing *s, struct model_commit *first,
                      struct model_commit *second)
{
    struct model_state after = w->state;
    struct model_house *house = &after.houses[s->house];

    s->effect.space = (uint8_t)s->house;
    add_victims(w, &after, s->house, NULL, first);
    unsigned holder = holder_of(house, key_index(s->effect.value));
    if (!s->has_id && holder < N_ANSWERS)
        s->effect.id = (uint8_t)holder;
    else
        s->has_id = true; /* ids that the cache chooses are of no interest here */
    if (s->mode == MN_SEMCACHE_IF_ABSENT &&
        (house->answers[s->effect.id].is_there || holder < N_ANSWERS))
        return MN_EXISTS;
    second->effects[second->n_effects++] = s->effect;
    if (holder < N_ANSWERS && holder != s->effect.id)
        add(second, EFFECT_DELETE_ANSWER, s->house, holder, 0);
    for (size_t i = 0; i < second->n_effects; i++)
        model_apply_effect(&after, &second->effects[i], after.lsn + 1, 0);
    add_victims(w, &after, s->house, &house->answers[s->effect.id], second);
    return MN_OK;
}

static mn_status stream(struct world *w, unsigned house, struct mn_semcache_entry *entry,
                        const struct mn_semcache_store_options *options, struct mn_error *err)
{
    struct mn_slice payload = entry->payload;
    mn_semcache_stream *stream = NULL;

    entry->payload = (struct mn_slice){NULL, 0};
    mn_status st = mn_semcache_begin(w->store, houses[house], entry, options, &stream, err);
    if (st != MN_OK)
        sim_fail(w->sim, "beginning a stream: %s", mn_status_name(st));
    for (size_t at = 0, n; at < payload.n_bytes; at += n) {
        n = 1 + sim_below(w->sim, payload.n_bytes / CHUNKS_MAX + 1);
        if (n > payload.n_bytes - at)
            n = payload.n_bytes - at;
        st = mn_semcache_append(stream, (struct mn_slice){(const char *)payload.data + at, n}, err);
        if (st != MN_OK)
            sim_fail(w->sim, "a chunk of a stream: %s", mn_status_name(st));
    }
    if (!sim_one_in(w->sim, 8))
        return mn_semcache_commit(stream, NULL, err);
    mn_semcache_abort(stream);
    return MN_END; /* nothing happened */
}

static void store(struct world *w, mn_ack ack)
{
    struct model_commit first = {.now_us = world_now(w)};
    struct model_commit second = first;
    struct storing s = choose_storing(w);
    mn_status expected = plan(w, &s, &first, &second);
    const struct mn_semcache_store_options options = {
        .size = sizeof options, .ack = ack, .mode = s.mode};
    struct mn_error err = {0};
    struct entry_room room;
    mn_status st;

    make_entry(&s.effect, s.has_id, &room);
    sim_tell(w->sim, "store house %u answer %u value %" PRIu32 " key %u, %zu effects", s.house,
             s.effect.id, s.effect.value, key_index(s.effect.value), second.n_effects);
    if (sim_one_in(w->sim, 3))
        st = stream(w, s.house, &room.entry, &options, &err);
    else
        st = mn_semcache_store(w->store, houses[s.house], &room.entry, &options, NULL, &err);
    if (st == MN_END)
        return;
    answered_in_two(w, &first, &second, st, expected, ack, &err);
    if (st == MN_OK)
        hits_of(w, w->state.lsn)->n_made = 0;
}

/* Removing ---------- */

static void delete_one(struct world *w, unsigned house, struct model_commit *c,
                       const struct mn_write_options *options)
{
    struct mn_error err = {0};
    unsigned id = (unsigned)sim_below(w->sim, N_ANSWERS);
    uint64_t lsn = 0;

    sim_tell(w->sim, "delete house %u answer %u", house, id);
    mn_status st = mn_semcache_delete(w->store, houses[house], ids[id], options, &lsn, &err);
    if (!w->state.houses[house].answers[id].is_there) {
        world_expect_refusal(w, st, MN_NOT_FOUND, options->ack, &err);
        return;
    }
    add(c, EFFECT_DELETE_ANSWER, house, id, 0);
    world_answered(w, c, st, lsn, options->ack, &err);
}

static void invalidate(struct world *w, unsigned house, struct model_commit *c,
                       const struct mn_write_options *options)
{
    const struct model_entry *answers = w->state.houses[house].answers;
    const struct mn_semcache_filter filter = {
        .size = sizeof filter,
        .fields = sim_one_in(w->sim, 4) ? MN_SEMCACHE_ALL : MN_SEMCACHE_BY_CONTEXT,
        .context = sim_below(w->sim, 2),
    };
    struct mn_error err = {0};
    uint64_t n = 0;

    sim_tell(w->sim, "invalidate house %u", house);
    for (unsigned i = 0; i < N_ANSWERS; i++)
        if (answers[i].is_there &&
            (filter.fields == MN_SEMCACHE_ALL || answers[i].value % 2 == filter.context))
            add(c, EFFECT_DELETE_ANSWER, house, i, 0);
    mn_status st = mn_semcache_invalidate(w->store, houses[house], &filter, options, &n, &err);
    if (st == MN_OK && n != c->n_effects)
        sim_fail(w->sim, "invalidated %" PRIu64 " entries, not %zu", n, c->n_effects);
    world_answered(w, c, st, c->n_effects > 0 ? world_lsn(w) : 0, options->ack, &err);
}

static void drop_house(struct world *w, unsigned house, struct model_commit *c,
                       const struct mn_write_options *options)
{
    struct mn_error err = {0};
    bool existed = false;
    uint64_t lsn = 0;

    sim_tell(w->sim, "drop house %u", house);
    if (w->state.houses[house].exists)
        add(c, EFFECT_DROP_HOUSE, house, 0, 0);
    mn_status st = mn_semcache_drop_tenant(w->store, houses[house], options, &existed, &lsn, &err);
    if (st == MN_OK && existed != w->state.houses[house].exists)
        sim_fail(w->sim, "dropping says that a tenant did%s exist", existed ? "" : " not");
    world_answered(w, c, st, lsn, options->ack, &err);
}

static void set_budget(struct world *w, unsigned house, struct model_commit *c,
                       const struct mn_write_options *options)
{
    const struct mn_semcache_budget budget = {.entries_max = sim_below(w->sim, N_ANSWERS)};
    struct model_commit second = {.now_us = c->now_us};
    struct model_state after = w->state;
    bool takes_back = sim_one_in(w->sim, 4);
    struct mn_error err = {0};

    sim_tell(w->sim, "budget of house %u: %" PRIu64, house, budget.entries_max);
    add(c, EFFECT_SET_BUDGET, house, takes_back ? 0 : 1,
        takes_back ? 0 : (uint32_t)budget.entries_max);
    model_apply_effect(&after, &c->effects[0], after.lsn + 1, 0);
    add_victims(w, &after, house, NULL, &second);
    mn_status st =
        mn_semcache_set_budget(w->store, houses[house], takes_back ? NULL : &budget, options, &err);
    answered_in_two(w, c, &second, st, MN_OK, options->ack, &err);
}

/* Of all tenants; it binds from the next store on. */
static void limit_all(struct world *w)
{
    struct mn_error err = {0};
    char text[32];

    (void)snprintf(text, sizeof text, "%" PRIu64,
                   sim_one_in(w->sim, 3) ? 0 : 2 + sim_below(w->sim, 2 * N_ANSWERS - 2));
    sim_tell(w->sim, "limit the cache: %s", text);
    mn_status st = mn_config_set(w->store, "cache_entries_max", text, &err);
    world_learn_limit(w);
    if (st == MN_OK)
        return;
    if (st != MN_ERR_IO || (!mni_crash_env_is_cut(w->sim->crash) && !w->sync_may_fail))
        sim_fail(w->sim, "config: %s: %s", mn_status_name(st), err.message);
    w->sync_may_fail = false;
}

void world_learn_limit(struct world *w)
{
    struct mni_cache_limits limits;

    mni_engine_cache_limits(w->engine, &limits);
    w->cache_entries_max = limits.entries_max;
}

/* Reading ---------- */

static bool is_slice(struct mn_slice a, struct mn_slice b)
{
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.data, b.data, a.n_bytes) == 0);
}

static bool is_answer(struct world *w, const struct mn_semcache_handle *h, unsigned house,
                      unsigned id, const struct model_entry *a)
{
    const struct world_hits *hits = hits_of(w, a->lsn);
    const struct model_effect e = {.id = (uint8_t)id, .value = a->value, .n_dims = a->nth};
    struct entry_room room;

    make_entry(&e, true, &room);
    const struct mn_semcache_entry *expected = &room.entry;
    if (h->tenant != houses[house] || h->id != ids[id] || h->lsn != a->lsn ||
        h->context != expected->context || !is_slice(h->model, expected->model) ||
        !is_slice(h->payload, expected->payload) || h->n_dims != expected->n_dims ||
        h->event_time_us != expected->event_time_us || (h->key != NULL) != (expected->key != NULL))
        return false;
    if (h->key != NULL && memcmp(h->key, expected->key, MN_SEMCACHE_KEY_BYTES) != 0)
        return false;
    return h->hits <= hits->n_made && h->hits >= hits->n_safe;
}

static bool shows_answer(struct world *w, unsigned house, unsigned id, const struct model_entry *a,
                         char why[WHY_BYTES])
{
    struct mn_semcache_handle h;
    mn_status st = mn_semcache_peek(w->store, houses[house], ids[id], &h, NULL);
    bool is_same = st != MN_OK || is_answer(w, &h, house, id, a);
    uint64_t lsn = h.lsn;
    uint64_t n_hits = h.hits;

    mn_semcache_release(&h);
    if (st != (a->is_there ? MN_OK : MN_NOT_FOUND))
        return DIFFERS("house %u: answer %u: %s", house, id, mn_status_name(st));
    return is_same || DIFFERS("house %u: answer %u is another one, of LSN %" PRIu64 " (not %" PRIu64
                              ") with %" PRIu64 " hits",
                              house, id, lsn, a->lsn, n_hits);
}

static bool shows_key(struct world *w, unsigned house, unsigned key,
                      const struct model_house *model, char why[WHY_BYTES])
{
    unsigned holder = holder_of(model, key);
    struct mn_semcache_handle h;
    mn_status st = mn_semcache_load_exact(w->store, houses[house], key_bytes(key), &h, NULL);

    if (st == MN_OK)
        hits_of(w, h.lsn)->n_made++;
    bool is_same = st != MN_OK ||
                   (holder < N_ANSWERS && is_answer(w, &h, house, holder, &model->answers[holder]));
    mn_semcache_release(&h);
    if (st != (holder < N_ANSWERS ? MN_OK : MN_NOT_FOUND))
        return DIFFERS("house %u: key %u: %s", house, key, mn_status_name(st));
    return is_same || DIFFERS("house %u: key %u leads to another answer", house, key);
}

/* Nothing is like it, but all is compared. */
static bool compares_all(struct world *w, unsigned house, const struct model_house *model,
                         char why[WHY_BYTES])
{
    const float embedding[EMBEDDING_DIMS] = {1, 1, 1, 1, 1};
    const struct mn_semcache_query query = {
        .size = sizeof query,
        .fields = MN_SEMCACHE_ANY_MODEL | MN_SEMCACHE_ANY_CONTEXT,
        .n_dims = EMBEDDING_DIMS,
        .embedding = embedding,
        .min_similarity = 1,
    };
    struct mn_semcache_result result = {.size = sizeof result};
    uint32_t n = 0;

    for (unsigned i = 0; i < N_ANSWERS; i++)
        n += model->answers[i].is_there && has_embedding(model->answers[i].value);
    mn_status st = mn_semcache_lookup(w->store, houses[house], &query, &result, NULL);
    if (st != MN_OK || result.kind != MN_SEMCACHE_MISS || result.n_candidates != n)
        return DIFFERS("house %u: a lookup compares %" PRIu32 " answers, not %" PRIu32 ": %s",
                       house, result.n_candidates, n, mn_status_name(st));
    return true;
}

static bool shows_house(struct world *w, unsigned t, const struct model_house *house,
                        char why[WHY_BYTES])
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    struct mn_semcache_budget budget = {0};
    bool is_own = false;
    mn_status st = mn_semcache_tenant_stats(w->store, houses[t], &stats, NULL);

    if (st != (house->exists ? MN_OK : MN_NOT_FOUND))
        return DIFFERS("house %u: %s", t, mn_status_name(st));
    if (stats.n_entries != count_entries(house))
        return DIFFERS("house %u has %" PRIu64 " answers, not %" PRIu64, t, stats.n_entries,
                       count_entries(house));
    st = mn_semcache_get_budget(w->store, houses[t], &budget, &is_own, NULL);
    if (st == MN_OK && (is_own != house->has_budget || budget.entries_max != house->entries_max))
        return DIFFERS("house %u has %" PRIu64 " as its bound", t, budget.entries_max);
    for (unsigned i = 0; i < N_ANSWERS; i++)
        if (!shows_answer(w, t, i, &house->answers[i], why))
            return false;
    for (unsigned i = 0; i < N_KEYS; i++)
        if (!shows_key(w, t, i, house, why))
            return false;
    return compares_all(w, t, house, why);
}

bool world_shows_cache(struct world *w, const struct model_state *state, char why[WHY_BYTES])
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    uint64_t n_houses = 0;

    for (unsigned t = 0; t < N_HOUSES; t++) {
        n_houses += state->houses[t].exists;
        if (!shows_house(w, t, &state->houses[t], why))
            return false;
    }
    mn_status st = mn_semcache_get_stats(w->store, &stats, NULL);
    if (st != MN_OK || stats.n_tenants != n_houses || stats.n_errors != 0)
        return DIFFERS("the cache has %" PRIu64 " tenants and %" PRIu64 " errors", stats.n_tenants,
                       stats.n_errors);
    return true;
}

static void load(struct world *w)
{
    unsigned t = (unsigned)sim_below(w->sim, N_HOUSES);
    unsigned id = (unsigned)sim_below(w->sim, N_ANSWERS);
    const struct model_entry *a = &w->state.houses[t].answers[id];
    struct mn_semcache_handle h;
    mn_status st = mn_semcache_load(w->store, houses[t], ids[id], &h, NULL);

    if (st != (a->is_there ? MN_OK : MN_NOT_FOUND))
        sim_fail(w->sim, "loading answer %u of house %u: %s", id, t, mn_status_name(st));
    if (st == MN_OK && !is_answer(w, &h, t, id, a))
        sim_fail(w->sim, "loading answer %u of house %u: another one", id, t);
    if (st == MN_OK)
        hits_of(w, h.lsn)->n_made++;
    mn_semcache_release(&h);
}

void world_cache(struct world *w, mn_ack ack)
{
    const struct mn_write_options options = {.size = sizeof options, .ack = ack};
    unsigned house = (unsigned)sim_below(w->sim, N_HOUSES);
    unsigned pick = (unsigned)sim_below(w->sim, 24);
    struct model_commit c;
    char why[WHY_BYTES];

    if (!world_begin(w, DEED_CACHE, &c))
        return;
    if (pick == 0)
        drop_house(w, house, &c, &options);
    else if (pick <= 2)
        set_budget(w, house, &c, &options);
    else if (pick == 3)
        limit_all(w);
    else if (pick <= 5)
        delete_one(w, house, &c, &options);
    else if (pick == 6)
        invalidate(w, house, &c, &options);
    else if (pick <= 11)
        load(w);
    else
        store(w, ack);
    if (world_is_up(w) && sim_one_in(w->sim, 4) && !world_shows_cache(w, &w->state, why))
        sim_fail(w->sim, "%s", why);
}
