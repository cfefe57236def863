/*
 * records.h - writing and reading records of a namespace.
 */
#ifndef MNEME_RECORDS_H
#define MNEME_RECORDS_H

#include "mneme/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which optional fields of a record are set. Vector, metadata and payload say it by their size. */
enum mn_record_fields {
    MN_HAS_EXPIRES_AT = 1 << 0,
    MN_HAS_TTL = 1 << 1, /* input only; MN_HAS_EXPIRES_AT wins over it */
    MN_HAS_EVENT_TIME = 1 << 2,
};

/* A record to write. All zero but the id is a valid record. */
struct mn_record {
    struct mn_slice id;       /* UTF-8, 1 to 1,024 bytes; any character */
    const float *vector;      /* n_dims elements; every bit pattern is kept, NaN included */
    uint32_t n_dims;          /* 0 = no vector; else the namespace's dimension */
    uint32_t fields;          /* enum mn_record_fields */
    struct mn_slice metadata; /* empty, or a JSON object (RFC 8259), kept byte for byte */
    struct mn_slice payload;  /* any bytes, up to 64 MiB */
    int64_t expires_at_us;    /* Unix time in microseconds; 0 or past: expired at once */
    int64_t ttl_us;           /* microseconds from now, 0 or more; 0: expired at once */
    int64_t event_time_us;    /* Unix time in microseconds, any sign */
};

/* A record that was read. All pointers stay valid and unchanged until mn_view_release, whatever
 * happens to the record meanwhile; nothing is copied. The vector is aligned for float, not more. */
struct mn_view {
    struct mn_slice id;
    const float *vector; /* NULL when n_dims is 0 */
    uint32_t n_dims;
    uint32_t fields; /* MN_HAS_EXPIRES_AT, MN_HAS_EVENT_TIME */
    struct mn_slice metadata;
    struct mn_slice payload;
    int64_t expires_at_us;
    int64_t event_time_us;
    uint64_t lsn; /* of the commit that wrote the record; a touch does not change it */
    void *pin;    /* NULL: holds nothing */
};

/* Gives a view back and clears it. A cleared view and NULL are fine. Any thread. */
MN_API void mn_view_release(struct mn_view *view);

/* How to write. NULL is the default; otherwise set `size` to sizeof(struct mn_write_options), all
 * else may be zero. */
struct mn_write_options {
    size_t size;
    mn_ack ack;
};

/*
 * Stores a record, replacing the one with the same id. Sets `lsn_out` (may be NULL).
 * MN_ERR_DIMENSION: the vector's size is not the namespace's. MN_ERR_LIMIT: something is larger
 * than limits.h allows. Both name what.
 */
MN_API MN_MUST_USE mn_status mn_put(mn_store *store, struct mn_slice name,
                                    const struct mn_record *record,
                                    const struct mn_write_options *options, uint64_t *lsn_out,
                                    struct mn_error *err);

/*
 * Stores all records or none, as one commit. Where an id comes twice, the last one wins.
 * `n_stored_out` (may be NULL) is the number of distinct ids. An error names the record by its
 * index from 0. No records is fine: nothing happens, LSN and count are 0.
 */
MN_API MN_MUST_USE mn_status mn_put_batch(mn_store *store, struct mn_slice name,
                                          const struct mn_record *records, size_t n_records,
                                          const struct mn_write_options *options,
                                          uint64_t *n_stored_out, uint64_t *lsn_out,
                                          struct mn_error *err);

/* Stores the record if no live one has its id, else MN_EXISTS and nothing happens. Of several
 * callers at once exactly one stores. */
MN_API MN_MUST_USE mn_status mn_put_if_absent(mn_store *store, struct mn_slice name,
                                              const struct mn_record *record,
                                              const struct mn_write_options *options,
                                              uint64_t *lsn_out, struct mn_error *err);

/* Stores the record if the live one with its id carries `expected_lsn`, else MN_CHANGED and nothing
 * happens: compare-and-set. */
MN_API MN_MUST_USE mn_status mn_put_if_lsn(mn_store *store, struct mn_slice name,
                                           const struct mn_record *record, uint64_t expected_lsn,
                                           const struct mn_write_options *options,
                                           uint64_t *lsn_out, struct mn_error *err);

/* Removes a record. `existed_out` (may be NULL) tells whether there was a live one. A delete is a
 * commit also where there was none, so that the answer has its place in the order and is as durable
 * as asked. Without such a namespace nothing is written, and the LSN is 0. */
MN_API MN_MUST_USE mn_status mn_delete(mn_store *store, struct mn_slice name, struct mn_slice id,
                                       const struct mn_write_options *options, bool *existed_out,
                                       uint64_t *lsn_out, struct mn_error *err);

/* Removes all of them as one commit, as mn_delete does. `n_existed_out` (may be NULL): how many
 * live records went; an id that comes twice counts once. `existed_out` (may be NULL): per id,
 * whether it was there. */
MN_API MN_MUST_USE mn_status mn_delete_batch(mn_store *store, struct mn_slice name,
                                             const struct mn_slice *ids, size_t n_ids,
                                             const struct mn_write_options *options,
                                             bool *existed_out, uint64_t *n_existed_out,
                                             uint64_t *lsn_out, struct mn_error *err);

/* Sets or removes the expiry of a live record without writing the rest again. `fields` is
 * MN_HAS_EXPIRES_AT (`when_us` is a Unix time), MN_HAS_TTL (`when_us` counts from now) or 0 (never
 * expires; `when_us` is ignored). MN_NOT_FOUND: no live record has this id. */
MN_API MN_MUST_USE mn_status mn_touch(mn_store *store, struct mn_slice name, struct mn_slice id,
                                      uint32_t fields, int64_t when_us,
                                      const struct mn_write_options *options, uint64_t *lsn_out,
                                      struct mn_error *err);

/* Reads a record. MN_OK sets `view_out`, to be released. MN_NOT_FOUND (no such namespace, or no
 * live record) clears it. MN_ERR_BUDGET clears it too: views and iterators hold what
 * `pinned_bytes_max` (docs/guide/settings.md) allows; release some. No write waits for a view. */
MN_API MN_MUST_USE mn_status mn_get(mn_store *store, struct mn_slice name, struct mn_slice id,
                                    struct mn_view *view_out, struct mn_error *err);

/* Reads many records from one moment: views_out[i] belongs to ids[i], and is cleared (pin NULL)
 * where there is none. `n_found_out` may be NULL. MN_NOT_FOUND: no such namespace; all views are
 * cleared. MN_ERR_BUDGET as of mn_get. After an error no view holds anything. */
MN_API MN_MUST_USE mn_status mn_get_batch(mn_store *store, struct mn_slice name,
                                          const struct mn_slice *ids, size_t n_ids,
                                          struct mn_view *views_out, size_t *n_found_out,
                                          struct mn_error *err);

/* Tells whether a live record has this id. A namespace that does not exist holds none. */
MN_API MN_MUST_USE mn_status mn_exists(mn_store *store, struct mn_slice name, struct mn_slice id,
                                       bool *exists_out, struct mn_error *err);

/*
 * Walks the records of a namespace in the order of their ids' bytes, or backward. The walk shows
 * one moment: the one at which it was opened. To go on later, or after a restart, open a new one
 * with the same options and `after` set to the last id seen.
 */
typedef struct mn_iter mn_iter;

/* NULL is the default; otherwise set `size` to sizeof(struct mn_iter_options), all else may be
 * zero. */
struct mn_iter_options {
    size_t size;
    struct mn_slice after;  /* only ids greater than this, or with `reverse` smaller; empty = all */
    struct mn_slice prefix; /* only ids that begin with these bytes; empty = all */
    struct mn_slice until;  /* only ids smaller than this, or with `reverse` greater; empty = all */
    bool reverse;           /* from the greatest id to the smallest */
};

/* MN_NOT_FOUND: no such namespace. `options` may be NULL. Close with mn_iter_close. */
MN_API MN_MUST_USE mn_status mn_iter_open(mn_store *store, struct mn_slice name,
                                          const struct mn_iter_options *options, mn_iter **iter_out,
                                          struct mn_error *err);
/* MN_OK: sets `view_out`, which the caller releases and which may outlive the iterator.
 * MN_END after the last, and clears it. MN_ERR_CORRUPT: the next record lies in a damaged file,
 * which `err` names; the call after that goes on behind it. MN_ERR_BUDGET as of mn_get: the call
 * after that returns the same record. */
MN_API MN_MUST_USE mn_status mn_iter_next(mn_iter *iter, struct mn_view *view_out,
                                          struct mn_error *err);
MN_API void mn_iter_close(mn_iter *iter);

#ifdef __cplusplus
}
#endif
#endif
