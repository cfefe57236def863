/*
 * temporal.h - vectors of entities over time.
 *
 * A space holds points. A point belongs to an entity, a number that the caller gives, and to a
 * time; there is one point of an entity at a time, and putting another one there replaces it.
 * Points of an entity are its trajectory, in the order of their times.
 *
 *     space 7 ─┬─ entity 1: (t = -20, vector, metadata, payload), (t = 35, ...), ...
 *              └─ entity 2: ...
 *
 * Times are microseconds, of any sign and any epoch; nothing compares them with a clock but the
 * setting `keep_us` of a space. All 2^64 entities and all 2^64 times are valid.
 *
 * Everything said of records in records.h holds for points: commits, acks, expiry, pinned views,
 * MN_ERR_BUDGET, MN_ERR_CORRUPT. Threads: any, where a type does not say otherwise.
 */
#ifndef MNEME_TEMPORAL_H
#define MNEME_TEMPORAL_H

#include "mneme/limits.h"
#include "mneme/records.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Spaces -------------------------------------------------------------------------------------- */

/* A good distance of keyframes where vectors are to be stored as differences. */
enum { MN_KEYFRAME_EVERY_DEFAULT = 10 };

/*
 * How a space is made. Set `size` to sizeof(struct mn_space_options); all but `n_dims` may be zero.
 * With `keyframe_every` segments keep one vector in so many of an entity whole, and those behind it
 * as differences to it, where that takes less room; what is read is the same to the last bit, in
 * memory that the view holds. The ages are microseconds of the store's clock, which times of points
 * are compared with only where a space has `keep_us`.
 */
struct mn_space_options {
    size_t size;
    struct mn_slice name;    /* UTF-8, up to 1,024 bytes, of one space only; empty: none */
    uint32_t n_dims;         /* of each vector: 1 to 65,536 */
    uint32_t keyframe_every; /* points of an entity per whole vector, 2 to 1,000; 0: all are */
    int64_t keep_us;         /* points whose time is longer ago are gone; 0: none */
    uint64_t keep_points;    /* of each entity only so many stay, the newest; 0: all */
    int64_t history_us;      /* how long versions stay that a put replaced; 0: not at all */
};

/* What a space is. Set `size` before the call. */
struct mn_space_info {
    size_t size;
    uint32_t space;
    uint32_t n_dims;
    uint64_t n_points; /* live ones */
    uint64_t created_lsn;
    uint32_t keyframe_every; /* these as in struct mn_space_options */
    int64_t keep_us;
    uint64_t keep_points;
    int64_t history_us;
    uint64_t known_from_lsn; /* of history: the least LSN that can be asked for; 0: there is none */
    size_t name_bytes;       /* 0: it has none */
    char name[MN_SPACE_NAME_BYTES_MAX]; /* not ended by a NUL */
};

/*
 * Makes a space, `space` being any number. Where it is there already with the same name, dimension
 * and settings, nothing happens, `created_out` (may be NULL) is false, and the LSN is 0. MN_EXISTS:
 * it is there and differs, or another space has the name.
 */
MN_API MN_MUST_USE mn_status mn_temporal_create_space(mn_store *store, uint32_t space,
                                                      const struct mn_space_options *space_options,
                                                      const struct mn_write_options *options,
                                                      bool *created_out, uint64_t *lsn_out,
                                                      struct mn_error *err);

/* What changes of a space; the others stay as they are. Set `size` to sizeof(struct
 * mn_space_changes). */
enum mn_space_field {
    MN_SPACE_KEYFRAME_EVERY = 1,
    MN_SPACE_KEEP_US = 2,
    MN_SPACE_KEEP_POINTS = 4,
    MN_SPACE_HISTORY_US = 8,
};
struct mn_space_changes {
    size_t size;
    uint32_t fields; /* MN_SPACE_...: which of these count, 1 or more of them */
    uint32_t keyframe_every;
    int64_t keep_us;
    uint64_t keep_points;
    int64_t history_us;
};

/*
 * Changes a space, as one commit. Where all is so already nothing happens, and the LSN is 0.
 * MN_NOT_FOUND: no such space. Points are stored in another way from the next checkpoint or merge
 * on that writes them. What was too old stays gone when more is kept. When fewer points of an
 * entity are kept, the others are deleted by further commits before the call returns; readers may
 * see them until then. An error after the first of these commits leaves the rest to the sweep. With
 * a greater keep_us the points that are hidden already are deleted first; those that pass out of
 * the old interval while the call runs are shown again, if they lie in the new one.
 */
MN_API MN_MUST_USE mn_status mn_temporal_alter_space(mn_store *store, uint32_t space,
                                                     const struct mn_space_changes *changes,
                                                     const struct mn_write_options *options,
                                                     uint64_t *lsn_out, struct mn_error *err);

/* Deletes for good the points that the settings of a space hide already, as the background does
 * now and then: readers see no difference. `n_removed_out` (may be NULL): how many. MN_NOT_FOUND:
 * no such space. */
MN_API MN_MUST_USE mn_status mn_temporal_sweep_space(mn_store *store, uint32_t space,
                                                     uint64_t *n_removed_out, struct mn_error *err);

/* Removes a space and all its points. `existed_out` (may be NULL) tells whether there was one;
 * where there was none, nothing is written and the LSN is 0. */
MN_API MN_MUST_USE mn_status mn_temporal_drop_space(mn_store *store, uint32_t space,
                                                    const struct mn_write_options *options,
                                                    bool *existed_out, uint64_t *lsn_out,
                                                    struct mn_error *err);

/* MN_NOT_FOUND: no such space. */
MN_API MN_MUST_USE mn_status mn_temporal_space(mn_store *store, uint32_t space,
                                               struct mn_space_info *info_out,
                                               struct mn_error *err);

/* The space of that name. MN_NOT_FOUND. */
MN_API MN_MUST_USE mn_status mn_temporal_find_space(mn_store *store, struct mn_slice name,
                                                    uint32_t *space_out, struct mn_error *err);

/* The spaces with numbers from `from` on, ascending, `n_max` at most, which is 1 or more. To get
 * the next ones, ask from the last number plus 1, unless it is the greatest there is; fewer than
 * n_max: there are no more. */
MN_API MN_MUST_USE mn_status mn_temporal_list_spaces(mn_store *store, uint32_t from,
                                                     uint32_t *spaces_out, size_t n_max,
                                                     size_t *n_out, struct mn_error *err);

/* The entities that have live points, likewise. MN_NOT_FOUND: no such space. */
MN_API MN_MUST_USE mn_status mn_temporal_list_entities(mn_store *store, uint32_t space,
                                                       uint64_t from, uint64_t *entities_out,
                                                       size_t n_max, size_t *n_out,
                                                       struct mn_error *err);

/* Writing ------------------------------------------------------------------------------------- */

/* A point to write. */
struct mn_point {
    uint64_t entity;
    int64_t time_us;
    const float *vector; /* n_dims elements; every bit pattern is kept, NaN included */
    uint32_t n_dims;     /* that of the space */
    uint32_t fields;     /* MN_HAS_EXPIRES_AT, MN_HAS_TTL */
    struct mn_slice metadata;
    struct mn_slice payload;
    int64_t expires_at_us; /* as in struct mn_record */
    int64_t ttl_us;
};

/* Stores a point, replacing the one of its entity at its time. Where a space keeps only the newest
 * points, the oldest beyond them goes in the same commit, were it this one; where it keeps them for
 * a time only, one that is older is stored, and not shown. Sets `lsn_out` (may be NULL).
 * MN_NOT_FOUND: no such space. MN_ERR_DIMENSION, MN_ERR_LIMIT as of mn_put. */
MN_API MN_MUST_USE mn_status mn_temporal_put(mn_store *store, uint32_t space,
                                             const struct mn_point *point,
                                             const struct mn_write_options *options,
                                             uint64_t *lsn_out, struct mn_error *err);

/* Stores all points or none, as one commit. Where an entity has two at one time, the last one wins.
 * `n_stored_out` (may be NULL): how many different ones. An error names the point by its index from
 * 0. No points is fine: nothing happens, LSN and count are 0. */
MN_API MN_MUST_USE mn_status mn_temporal_put_batch(mn_store *store, uint32_t space,
                                                   const struct mn_point *points, size_t n_points,
                                                   const struct mn_write_options *options,
                                                   uint64_t *n_stored_out, uint64_t *lsn_out,
                                                   struct mn_error *err);

/* Removes the point of an entity at a time. `existed_out` (may be NULL): whether there was a live
 * one. As mn_delete: a commit with an LSN of its own also where there was none. MN_NOT_FOUND: no
 * such space. MN_ERR_LIMIT: history keeps more versions of the point than one commit can delete,
 * some millions. */
MN_API MN_MUST_USE mn_status mn_temporal_delete(mn_store *store, uint32_t space, uint64_t entity,
                                                int64_t time_us,
                                                const struct mn_write_options *options,
                                                bool *existed_out, uint64_t *lsn_out,
                                                struct mn_error *err);

/*
 * Removes the points that an entity has from `from_us` to `to_us`, both included, when the call
 * begins; mn_temporal_delete_entity all of them. What is put into the interval meanwhile stays,
 * also in the place of an older point. One commit: all or nothing. `n_existed_out` (may be NULL):
 * how many went. With none there nothing is written, and the LSN is 0. MN_NOT_FOUND: no such space.
 * MN_ERR_INVALID: from_us is greater than to_us. MN_ERR_LIMIT: more than one commit holds; delete
 * in parts.
 */
MN_API MN_MUST_USE mn_status mn_temporal_delete_range(mn_store *store, uint32_t space,
                                                      uint64_t entity, int64_t from_us,
                                                      int64_t to_us,
                                                      const struct mn_write_options *options,
                                                      uint64_t *n_existed_out, uint64_t *lsn_out,
                                                      struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_temporal_delete_entity(mn_store *store, uint32_t space,
                                                       uint64_t entity,
                                                       const struct mn_write_options *options,
                                                       uint64_t *n_existed_out, uint64_t *lsn_out,
                                                       struct mn_error *err);

/* Reading ------------------------------------------------------------------------------------- */

/* A point that was read. All pointers stay valid and unchanged until mn_point_release. */
struct mn_point_view {
    uint64_t entity;
    int64_t time_us;
    const float *vector; /* aligned for float, not more */
    uint32_t n_dims;
    uint32_t fields; /* MN_HAS_EXPIRES_AT */
    struct mn_slice metadata;
    struct mn_slice payload;
    int64_t expires_at_us;
    uint64_t lsn; /* of the commit that wrote the point */
    void *pin;    /* NULL: holds nothing */
};

/* Gives a view back and clears it. A cleared view and NULL are fine. */
MN_API void mn_point_release(struct mn_point_view *view);

/* The point at exactly this time. All four: MN_NOT_FOUND (no such space, or no such live point)
 * clears the view; MN_ERR_BUDGET clears it too. */
MN_API MN_MUST_USE mn_status mn_temporal_get(mn_store *store, uint32_t space, uint64_t entity,
                                             int64_t time_us, struct mn_point_view *view_out,
                                             struct mn_error *err);
/* The latest point at or before this time. */
MN_API MN_MUST_USE mn_status mn_temporal_as_of(mn_store *store, uint32_t space, uint64_t entity,
                                               int64_t time_us, struct mn_point_view *view_out,
                                               struct mn_error *err);
/* The first point at or after this time. */
MN_API MN_MUST_USE mn_status mn_temporal_next_from(mn_store *store, uint32_t space, uint64_t entity,
                                                   int64_t time_us, struct mn_point_view *view_out,
                                                   struct mn_error *err);
/* The last point of all. */
MN_API MN_MUST_USE mn_status mn_temporal_latest(mn_store *store, uint32_t space, uint64_t entity,
                                                struct mn_point_view *view_out,
                                                struct mn_error *err);

/*
 * As mn_temporal_as_of, of what was known when the commit of LSN `known_at` was done: later puts do
 * not count, and what they replaced does. Of points that are there now: those deleted or expired
 * since are gone with all their versions. An LSN of the future is now. MN_ERR_INVALID: `known_at`
 * is 0; the space has no history, or one that begins later, see `known_from_lsn` of its info.
 */
MN_API MN_MUST_USE mn_status mn_temporal_as_of_known(mn_store *store, uint32_t space,
                                                     uint64_t entity, int64_t time_us,
                                                     uint64_t known_at,
                                                     struct mn_point_view *view_out,
                                                     struct mn_error *err);

/* Exact at one moment. */
struct mn_timeline {
    uint64_t n_points;
    int64_t first_us;
    int64_t last_us;
    uint32_t keyframe_every; /* of the space */
};

/* MN_NOT_FOUND: no such space, or the entity has no live point. */
MN_API MN_MUST_USE mn_status mn_temporal_timeline(mn_store *store, uint32_t space, uint64_t entity,
                                                  struct mn_timeline *timeline_out,
                                                  struct mn_error *err);

/*
 * The points of an entity within an interval, ascending or descending:
 *
 *     mn_temporal_range_open -> mn_temporal_range_next ... MN_END -> mn_temporal_range_close
 *
 * It shows one moment: the one at which it was opened. It belongs to one thread at a time. The
 * cursor is the time of the last point seen: to go on later, or after a restart, open a new one of
 * the same interval with `has_after`.
 */
typedef struct mn_range mn_range;

/* NULL is the default; otherwise set `size` to sizeof(struct mn_range_options), all else may be
 * zero. */
struct mn_range_options {
    size_t size;
    bool descending;
    size_t limit;      /* points at most; 0: all */
    uint64_t known_at; /* as of mn_temporal_as_of_known; 0: what is known now */
    bool has_after;
    int64_t after_us;     /* only points behind this time, in the direction of the range */
    bool without_vectors; /* `vector` of the views is NULL, and nothing is decoded for it */
};

/* Both ends are included. MN_NOT_FOUND: no such space; an entity without points has an empty range.
 * MN_ERR_INVALID: from_us is greater than to_us; `known_at` as of mn_temporal_as_of_known. */
MN_API MN_MUST_USE mn_status mn_temporal_range_open(mn_store *store, uint32_t space,
                                                    uint64_t entity, int64_t from_us, int64_t to_us,
                                                    const struct mn_range_options *options,
                                                    mn_range **range_out, struct mn_error *err);
/* MN_OK: sets `view_out`, which the caller releases and which may outlive the range. MN_END behind
 * the last, and clears it. MN_ERR_CORRUPT, MN_ERR_BUDGET: as mn_iter_next. */
MN_API MN_MUST_USE mn_status mn_temporal_range_next(mn_range *range, struct mn_point_view *view_out,
                                                    struct mn_error *err);
MN_API void mn_temporal_range_close(mn_range *range); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
