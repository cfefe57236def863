/*
 * model.h - what a store should hold: a naive state, and the commits that led to it.
 *
 * Times: an expiry that was given as a time to live is known to lie in a range until the record is
 * read. Whoever asks what has expired keeps the clock away from such ranges (world_settle_clock).
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mneme/types.h"

enum { N_SPACES = 3, N_IDS = 8, EFFECTS_MAX = 12, DIMS_MAX = 16 };
enum { N_TRACKS = 2, N_ENTITIES = 2, N_TIMES = 4, N_POINTS = N_ENTITIES * N_TIMES, POINT_DIMS = 3 };
/* The last track keeps so many points of an entity, and history; of a point so many versions are
 * remembered here. */
enum { N_HOUSES = 2, N_ANSWERS = 5 }; /* tenants of the cache, and entries of each */
enum { TRACK_KEPT = N_TRACKS - 1, KEPT_POINTS = 3, N_VERSIONS = 3 };

/* Names of namespaces and ids, each in the order of their bytes. */
struct mn_slice model_space_name(unsigned space);
struct mn_slice model_id(unsigned id);

/* The content that a number stands for. */
struct model_content {
    struct mn_slice metadata;
    struct mn_slice payload;
    const float *vector; /* DIMS_MAX elements */
    bool has_event_time;
    int64_t event_time_us;
};
void model_content(uint32_t value, struct model_content *content_out);

struct model_expiry {
    bool is_set;
    int64_t least_us;
    int64_t most_us;
    int64_t exact_us; /* as it was read; 0 = not yet. What is live goes by the bounds all the same:
                         a history that is done again knows no more. */
};

struct model_record {
    bool is_there; /* not deleted; it may have expired */
    uint32_t value;
    uint32_t n_dims;
    struct model_expiry expiry;
    uint64_t lsn;        /* of the commit that wrote it; 0 = the transaction that looks */
    uint64_t newest_lsn; /* of the commit that changed the key last */
    /* Of the last delete or sweep that met no live record. Whether it changed the key is not
     * known: a sweep may end early, and commits in doubt that nobody sees may have happened. */
    uint64_t maybe_lsn;
};

enum model_answer { MODEL_NO, MODEL_MAYBE, MODEL_YES };
/* Whether the key was changed by a commit above `lsn`. */
enum model_answer model_changed_after(const struct model_record *record, uint64_t lsn);

struct model_space {
    bool exists;
    uint32_t number; /* a new one each time it is made */
    uint32_t dimension;
    uint64_t created_lsn;
    struct model_record records[N_IDS];
};

/* A space of points, which do not expire. */
struct model_version {
    uint32_t value;
    uint64_t birth_lsn; /* 0: there is none */
    uint64_t death_lsn;
};

struct model_point {
    bool is_there;
    uint32_t value;
    uint64_t lsn;
    uint32_t n_versions;                       /* all that there are */
    struct model_version versions[N_VERSIONS]; /* the last ones first */
};

struct model_track {
    bool exists;
    uint64_t created_lsn;
    struct model_point points[N_POINTS]; /* by entity and time */
};

/* An entry of the cache, which does not expire. */
struct model_entry {
    bool is_there;
    uint32_t value;
    uint32_t nth; /* how many were stored before it: its event time */
    uint64_t lsn;
};

/* A tenant of the cache. */
struct model_house {
    bool exists;
    bool has_budget;
    uint32_t entries_max; /* 0: none */
    struct model_entry answers[N_ANSWERS];
};

struct model_state {
    uint64_t lsn;
    uint32_t next_number;
    struct model_space spaces[N_SPACES];
    struct model_track tracks[N_TRACKS];
    struct model_house houses[N_HOUSES];
};

enum model_effect_kind {
    EFFECT_PUT,    /* makes the namespace if it is missing */
    EFFECT_DELETE, /* of a record; nothing if the namespace is missing */
    EFFECT_TOUCH,  /* sets the expiry of a live record */
    EFFECT_MAKE,   /* a namespace, or its dimension */
    EFFECT_DROP,
    EFFECT_SWEEP,
    EFFECT_MAKE_TRACK, /* of these `space` is the number of the track, `id` that of the point */
    EFFECT_DROP_TRACK,
    EFFECT_PUT_POINT,
    EFFECT_DELETE_POINT,
    EFFECT_STORE_ANSWER, /* of these `space` is the tenant; here `n_dims` is the `nth` */
    EFFECT_DELETE_ANSWER,
    EFFECT_DROP_HOUSE,
    EFFECT_SET_BUDGET, /* `id`: whether it has one of its own, `value`: how many entries */
    EFFECT_HITS,       /* were written: nothing else has changed */
};

struct model_effect {
    enum model_effect_kind kind;
    uint8_t space;
    uint8_t id;
    uint32_t value;
    uint32_t n_dims;
    struct model_expiry expiry;
};

struct model_commit {
    uint64_t first_lsn; /* a sweep may be several commits; else the same as `lsn` */
    uint64_t lsn;
    int64_t now_us; /* the engine's clock */
    size_t n_effects;
    struct model_effect effects[EFFECTS_MAX];
};

void model_apply_effect(struct model_state *state, const struct model_effect *effect, uint64_t lsn,
                        int64_t now_us);
void model_apply(struct model_state *state, const struct model_commit *commit);
/* Whether applying would change the catalogue: make or drop a namespace, or give it a dimension. */
bool model_changes_catalogue(const struct model_state *state, const struct model_commit *commit);
/* Whether anything would be logged. */
bool model_changes_anything(const struct model_state *state, const struct model_commit *commit);

bool model_is_live(const struct model_record *record, int64_t now_us);

#endif
