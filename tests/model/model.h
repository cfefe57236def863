/*
 * model.h - what a store should hold, kept in the simplest way there is.
 *
 * A few namespaces and a few ids, a few spaces, entities and times, all of them odd; a record is a
 * line of an array, and a read view is a copy of the whole. What a record contains follows from one
 * number.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "check.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "mneme/mneme.h"

enum {
    N_NAMES = 5,
    N_IDS = 20,
    DIMS_MAX = 20, /* from 16 on, segments are searched by codes */
    BYTES_MAX = 3000,
    N_TRACKS = 3,
    N_TRACK_NAMES = 3, /* that no name is one of */
    N_ENTITIES = 4,
    N_TIMES = 8,
    N_VERSIONS = 6,     /* of a point that are remembered */
    N_PENDING_MAX = 16, /* commits acknowledged at `none` that are remembered one by one */
    N_HOUSES = 3,       /* tenants of the cache */
    N_ANSWERS = 16,     /* entries of each */
    N_KEYS = 4,
    N_TAGS = 3, /* of models */
    N_CONTEXTS = 3,
    ANSWER_DIMS_MAX = 70, /* more than a word of signs */
};

struct content {
    uint64_t seed;
    uint32_t n_dims;
    bool has_expiry;
    int64_t expires_at_us;
    bool has_event_time;
    int64_t event_time_us;
};

struct slot {
    bool is_there; /* expired or not */
    struct content content;
    uint64_t lsn;        /* of the put */
    uint64_t change_lsn; /* of the last put, touch or delete that had an effect */
};

struct space {
    bool exists;
    uint32_t dimension;
    uint64_t created_lsn;
    uint64_t incarnation; /* counts drops: another number, another namespace */
    struct slot slots[N_IDS];
};

/* What a point was before it was replaced. */
struct version {
    struct content content;
    uint64_t birth_lsn;
    uint64_t death_lsn;
};

struct past {
    unsigned n;
    struct version versions[N_VERSIONS];
};

/* A space of points. */
struct track {
    bool exists;
    uint32_t dimension;
    unsigned name;
    uint64_t created_lsn;
    uint32_t keyframe_every;
    uint64_t keep_points;
    int64_t keep_us;
    bool has_history;
    uint64_t known_from_lsn;
    struct slot points[N_ENTITIES][N_TIMES];
    struct past pasts[N_ENTITIES][N_TIMES];
};

/* An entry of the cache. */
struct answer {
    bool is_there; /* expired or not */
    bool has_key;
    bool has_expiry;
    uint8_t key; /* these three: which one */
    uint8_t tag;
    uint8_t context;
    uint32_t n_dims;
    uint64_t id;
    uint64_t lsn;
    uint64_t seed; /* of embedding and payload */
    size_t payload_bytes;
    int64_t expires_at_us;
    int64_t event_time_us;
    uint64_t hits;
    int64_t last_hit_us;  /* to the second */
    uint64_t stored_hits; /* what the store has of them */
    int64_t stored_hit_us;
};

/* A tenant of the cache. */
struct house {
    bool exists;
    bool has_budget; /* of its own */
    uint32_t n_dims; /* of all its embeddings, those that went too */
    struct mn_semcache_budget budget;
    struct answer answers[N_ANSWERS];
};

struct state {
    uint64_t lsn;
    struct space spaces[N_NAMES];
    struct track tracks[N_TRACKS];
    struct house houses[N_HOUSES];
};

/* All four ascend. */
static inline uint32_t track_of(unsigned i)
{
    static const uint32_t spaces[N_TRACKS] = {0, 256, UINT32_MAX};
    return spaces[i];
}

static inline uint64_t entity_of(unsigned i)
{
    static const uint64_t entities[N_ENTITIES] = {0, 1, UINT64_C(1) << 63, UINT64_MAX};
    return entities[i];
}

static inline int64_t time_of(unsigned i)
{
    static const int64_t times[N_TIMES] = {INT64_MIN, INT64_MIN + 1, -256,     -1, 0,
                                           1,         255,           INT64_MAX};
    return times[i];
}

static inline struct mn_slice track_name(unsigned i)
{
    static const struct mn_slice names[N_TRACK_NAMES] = {{"", 0}, {"a", 1}, {"a\0b", 3}};
    return names[i];
}

/* In the order of their bytes too. */
static inline struct mn_slice name_of(unsigned i)
{
    static const struct mn_slice names[N_NAMES] = {
        {"../x", 4}, {"a", 1}, {"a\0b", 3}, {"a:b", 3}, {"\xf4\x8f\xbf\xbf", 4},
    };
    return names[i];
}

/* In the order of their bytes, so that an index is a rank. */
static inline struct mn_slice id_of(unsigned i)
{
    static char longest[MN_ID_BYTES_MAX];
    static const struct mn_slice ids[N_IDS] = {
        {"\0", 1},
        {"\0\0", 2},
        {" ", 1},
        {"/", 1},
        {"0", 1},
        {":", 1},
        {"a", 1},
        {"a\0", 2},
        {"a\0b", 3},
        {"a/", 2},
        {"a:b", 3},
        {"aa", 2},
        {"b", 1},
        {"b:c", 3},
        {longest, MN_ID_BYTES_MAX},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xc3\xa9", 2},
        {"\xef\xbf\xbf", 3},
        {"\xf4\x8f\xbf\xbf", 4},
    };
    memset(longest, 'c', sizeof longest);
    return ids[i];
}

static inline bool is_unexpired(const struct content *c, int64_t now_us)
{
    return !c->has_expiry || c->expires_at_us > now_us;
}

static inline bool is_visible(const struct slot *s, int64_t now_us)
{
    return s->is_there && is_unexpired(&s->content, now_us);
}

/* Versions that are there, those of points that have expired among them. */
static inline uint64_t count_versions(const struct track *track, int64_t now_us)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++) {
        const struct past *past = &track->pasts[i / N_TIMES][i % N_TIMES];
        for (unsigned j = 0; j < past->n; j++)
            n += is_unexpired(&past->versions[j].content, now_us);
    }
    return n;
}

/* Whether a point is there, and not too old. */
static inline bool is_shown(const struct track *track, unsigned e, unsigned t, int64_t now_us)
{
    int64_t horizon_us;

    if (track->keep_us == 0 || __builtin_sub_overflow(now_us, track->keep_us, &horizon_us))
        horizon_us = INT64_MIN;
    return is_visible(&track->points[e][t], now_us) && time_of(t) >= horizon_us;
}

static inline uint64_t count_points(const struct track *track, int64_t now_us)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++)
        n += is_shown(track, i / N_TIMES, i % N_TIMES, now_us);
    return n;
}

/* The records that a space is made of: points that are too old and not swept yet, and versions. */
static inline uint64_t count_records(const struct track *track, int64_t now_us)
{
    uint64_t n = count_versions(track, now_us);

    for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++)
        n += is_visible(&track->points[i / N_TIMES][i % N_TIMES], now_us);
    return n;
}

/* Everything a record holds, made from its number. */
struct made {
    struct mn_record record;
    uint32_t bits[DIMS_MAX];
    float vector[DIMS_MAX];
    char metadata[64];
    unsigned char payload[BYTES_MAX];
};

static inline void make_content(const struct content *c, struct mn_slice id, struct made *m)
{
    static const uint32_t odd[] = {0x7fc00001, 0xffffffff, 0x80000000, 0x00000001,
                                   0x7f800001, 0xff800000, 0x3f800000, 0x00000000};
    uint64_t random = c->seed;
    size_t payload_bytes = 0;

    bool is_plain = check_below(&random, 3) > 0; /* else any bits, NaN among them */
    for (uint32_t i = 0; i < c->n_dims; i++) {
        m->bits[i] = check_below(&random, 2) == 0 ? odd[check_below(&random, 8)]
                                                  : (uint32_t)check_random(&random);
        m->vector[i] = (float)((int)(m->bits[i] % 9) - 4);
        if (is_plain)
            memcpy(&m->bits[i], &m->vector[i], sizeof m->bits[i]);
        else
            memcpy(&m->vector[i], &m->bits[i], sizeof m->bits[i]);
    }
    m->metadata[0] = '\0';
    if (check_below(&random, 2) == 0)
        (void)snprintf(m->metadata, sizeof m->metadata, "{ \"n\" : %llu, \"\\u0000\":[-0.0]}",
                       (unsigned long long)check_random(&random));
    if (check_below(&random, 3) != 0)
        payload_bytes = check_below(&random, check_below(&random, 8) == 0 ? BYTES_MAX : 40);
    for (size_t i = 0; i < payload_bytes; i++)
        m->payload[i] = (unsigned char)(c->seed >> (i % 8) * 8);
    m->record = (struct mn_record){
        .id = id,
        .vector = c->n_dims > 0 ? m->vector : NULL,
        .n_dims = c->n_dims,
        .metadata = mn_str(m->metadata),
        .payload = {m->payload, payload_bytes},
    };
    if (c->has_expiry) {
        m->record.fields |= MN_HAS_EXPIRES_AT;
        m->record.expires_at_us = c->expires_at_us;
    }
    if (c->has_event_time) {
        m->record.fields |= MN_HAS_EVENT_TIME;
        m->record.event_time_us = c->event_time_us;
    }
}

static inline void check_view(const struct mn_view *view, struct mn_slice id,
                              const struct content *c, uint64_t lsn)
{
    struct made m;

    make_content(c, id, &m);
    CHECK(view->pin != NULL);
    CHECK_EQ(view->id.n_bytes, id.n_bytes);
    CHECK_MEM_EQ(view->id.data, id.data, id.n_bytes);
    CHECK_EQ(view->n_dims, c->n_dims);
    CHECK((view->vector == NULL) == (c->n_dims == 0));
    if (c->n_dims > 0)
        CHECK_MEM_EQ(view->vector, m.bits, c->n_dims * sizeof(float));
    CHECK_EQ(view->metadata.n_bytes, m.record.metadata.n_bytes);
    if (view->metadata.n_bytes > 0)
        CHECK_MEM_EQ(view->metadata.data, m.metadata, view->metadata.n_bytes);
    CHECK_EQ(view->payload.n_bytes, m.record.payload.n_bytes);
    if (view->payload.n_bytes > 0)
        CHECK_MEM_EQ(view->payload.data, m.payload, view->payload.n_bytes);
    CHECK_EQ(view->fields, m.record.fields);
    if (c->has_expiry)
        CHECK_EQ(view->expires_at_us, c->expires_at_us);
    if (c->has_event_time)
        CHECK_EQ(view->event_time_us, c->event_time_us);
    CHECK_EQ(view->lsn, lsn);
}

static inline void check_cleared(const struct mn_view *view)
{
    CHECK(view->pin == NULL && view->vector == NULL);
    CHECK(view->id.n_bytes == 0 && view->metadata.n_bytes == 0 && view->payload.n_bytes == 0);
}

#endif
