/*
 * engine.h - a store: open, recover, commit, read views, expiry, settings, numbers.
 *
 * The engine knows collections of records by kind and name; the views above it (namespaces, and
 * spaces and tenants, whose name here is their number) add only names and rules. Everything is
 * written through a batch, also a single put: a batch is validated and encoded in its caller's
 * thread, judged under the log's leader role, logged as one commit, and then applied to the buffer
 * under its write lock, where all of it becomes visible in one step.
 *
 *     mni_batch_new -> mni_batch_collection -> mni_batch_put ... -> mni_batch_commit -> ..._free
 *
 * Phases of a batch: building -> submitted -> answered. Only building batches take operations.
 *
 * The catalogue is collection 0: one record per collection, whose key is the kind and the name and
 * whose payload is the collection's number and settings (docs/format/catalogue.md). A collection
 * that is not in the catalogue does not exist, whatever records carry its number.
 */
#ifndef MNI_ENGINE_ENGINE_H
#define MNI_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "io/env.h"
#include "memtable/memtable.h"
#include "mneme/store.h"
#include "record/record.h"
#include "search/search.h"
#include "snapshot/snapshot.h"
#include "wal/wal.h"

struct mni_engine;
struct state;

enum mni_kind { /* first byte of a catalogue key; never reused */
                MNI_KIND_NAMESPACE = 1,
                MNI_KIND_SPACE = 2,
                MNI_KIND_SPACE_NAME = 3, /* which space has a name; no collection */
                MNI_KIND_HISTORY = 4,    /* versions of a space's points; named as the space */
                MNI_KIND_TENANT = 5,     /* entries of a cache of answers; named by a number */
                MNI_KIND_COUNTER = 255,  /* the next collection number; no collection */
};

/* Life ----------*/

/* Opens the store in `path`; statuses as mn_open. `options` is valid and complete. */
MN_MUST_USE mn_status mni_engine_open(struct mni_env *env, const char *path,
                                      const struct mn_options *options,
                                      struct mni_engine **engine_out, struct mn_error *err);
/* As mn_close. First calls what mni_engine_on_checkpoint has set. */
MN_MUST_USE mn_status mni_engine_close(struct mni_engine *engine, struct mn_error *err);
/* Frees the engine as if the process had ended. For tests of recovery. */
void mni_engine_abandon(struct mni_engine *engine);

/* MN_ERR_FORKED in a child of the process that opened the engine. */
MN_MUST_USE mn_status mni_engine_check(const struct mni_engine *engine, struct mn_error *err);
bool mni_engine_is_read_only(const struct mni_engine *engine);
/* As it was given to open; of a snapshot that was opened, empty. Lives as long as the engine. */
const char *mni_engine_path(const struct mni_engine *engine);
/* The same of a snapshot that was opened: by the caller, who knows. */
MN_MUST_USE mn_status mni_engine_set_path(struct mni_engine *engine, const char *path,
                                          struct mn_error *err);
struct mni_wal *mni_engine_wal(struct mni_engine *engine);
/* The engine's clock: wall time in microseconds that never goes back, over restarts too. */
int64_t mni_engine_now_us(struct mni_engine *engine);
/* Monotonic, for measuring and deadlines. */
int64_t mni_engine_mono_us(const struct mni_engine *engine);

/* Collections ----------*/

/* How a space keeps its points; all zero of a namespace. As in struct mn_space_options. */
struct mni_space_settings {
    uint32_t keyframe_every;
    uint64_t keep_points;
    int64_t keep_us;
    int64_t history_us;
};

struct mni_collection {
    uint64_t number;
    uint32_t dimension; /* 0 = not known yet */
    uint64_t created_lsn;
    struct mni_space_settings settings;
    bool is_untrimmed;       /* entities may have more points than a space has come to keep */
    uint64_t known_from_lsn; /* of a space with history: what it can tell begins there; else 0 */
};

/* As of the newest commit. MN_NOT_FOUND. */
MN_MUST_USE mn_status mni_engine_collection(struct mni_engine *engine, enum mni_kind kind,
                                            struct mn_slice name,
                                            struct mni_collection *collection_out,
                                            struct mn_error *err);
/* The live records of a collection. MN_NOT_FOUND. */
MN_MUST_USE mn_status mni_engine_count(struct mni_engine *engine, enum mni_kind kind,
                                       struct mn_slice name, uint64_t *n_records_out,
                                       struct mn_error *err);
/* The same of a collection by its number; 0 for one that was dropped. */
MN_MUST_USE mn_status mni_engine_count_of(struct mni_engine *engine, uint64_t collection,
                                          uint64_t *n_records_out, struct mn_error *err);

/* Spaces ----------*/

/* The name of a space's collection is its number, big-endian. */
enum { MNI_SPACE_KEY_BYTES = 4 };
struct mn_slice mni_space_key(uint32_t space, unsigned char room[MNI_SPACE_KEY_BYTES]);
uint32_t mni_space_of_key(const unsigned char key[MNI_SPACE_KEY_BYTES]);

struct mni_space {
    struct mni_collection collection;
    size_t name_bytes; /* 0: it has no name */
    char name[MN_SPACE_NAME_BYTES_MAX];
};
/* As of the newest commit. MN_NOT_FOUND. */
MN_MUST_USE mn_status mni_engine_space(struct mni_engine *engine, uint32_t space,
                                       struct mni_space *space_out, struct mn_error *err);
MN_MUST_USE mn_status mni_engine_find_space(struct mni_engine *engine, struct mn_slice name,
                                            uint32_t *space_out, struct mn_error *err);
/* Up to `n_max` numbers from `from` on. */
MN_MUST_USE mn_status mni_engine_list_spaces(struct mni_engine *engine, uint32_t from,
                                             uint32_t *spaces_out, size_t n_max, size_t *n_out,
                                             struct mn_error *err);
/* A commit, as mn_temporal_alter_space, and what follows from it. */
MN_MUST_USE mn_status mni_engine_alter_space(struct mni_engine *engine, uint32_t space,
                                             unsigned changes,
                                             const struct mni_space_settings *settings, mn_ack ack,
                                             uint64_t *lsn_out, struct mn_error *err);
/* Points whose time is before this are not shown: INT64_MIN, all are. */
int64_t mni_space_horizon_us(const struct mni_space_settings *settings, int64_t now_us);
/* The live points that are shown. MN_NOT_FOUND. */
MN_MUST_USE mn_status mni_engine_count_points(struct mni_engine *engine, uint32_t space,
                                              uint64_t *n_out, struct mn_error *err);
/* Deletes what is not shown any more. `n_removed_out` may be NULL. MN_NOT_FOUND. */
MN_MUST_USE mn_status mni_engine_sweep_space(struct mni_engine *engine, uint32_t space,
                                             uint64_t *n_removed_out, struct mn_error *err);

/* The points of an entity from a time on, now: exact at one moment. */
struct mni_span {
    uint64_t n_points;
    int64_t first_us; /* where there is one */
    int64_t last_us;
};
/* MN_END: it cannot be told without walking over them. */
MN_MUST_USE mn_status mni_engine_span(struct mni_engine *engine, uint64_t collection,
                                      uint64_t entity, int64_t from_us, struct mni_span *span_out,
                                      struct mn_error *err);

/* Tenants ----------*/

/* The name of a tenant's collection is its number, big-endian. */
enum { MNI_TENANT_KEY_BYTES = 8 };
struct mn_slice mni_tenant_key(uint64_t tenant, unsigned char room[MNI_TENANT_KEY_BYTES]);
uint64_t mni_tenant_of_key(const unsigned char key[MNI_TENANT_KEY_BYTES]);
/* Up to `n_max` numbers from `from` on. */
MN_MUST_USE mn_status mni_engine_list_tenants(struct mni_engine *engine, uint64_t from,
                                              uint64_t *tenants_out, size_t n_max, size_t *n_out,
                                              struct mn_error *err);

/* Reading ----------*/

/* A record that a read found. What it points to stays, unchanged, until the pin is released. The
 * pin counts nothing until mni_found_pin has counted it. */
struct mni_found {
    struct mni_record record; /* with the expiry that the view sees */
    uint64_t lsn;             /* of the newest change that the view sees */
    uint64_t record_lsn;      /* of the commit that wrote it; later touches do not count */
    void *pin;
};

void mni_pin_release(void *pin); /* NULL is fine; any thread */
/* Before it is given to a user: counts the pin. MN_ERR_BUDGET releases it. */
MN_MUST_USE mn_status mni_found_pin(struct mni_engine *engine, struct mni_found *found,
                                    struct mn_error *err);
/* One more of a pin, which counts as much as that does. Not of a vector that was stored as a
 * difference, which only spaces have. MN_ERR_BUDGET. Any thread. */
MN_MUST_USE mn_status mni_pin_again(void *pin, void **pin_out, struct mn_error *err);
/* For whoever remembers where a record of a segment lies: a number of the file that a pin is of, 0
 * if it is of none, and another pin of that file, which counts nothing yet; NULL: the store is no
 * longer made of it, and the record may lie elsewhere. What was read there is unchanged else. */
uint64_t mni_pin_serial(void *pin);
void *mni_engine_pin_serial(struct mni_engine *engine, uint64_t serial);

/* The newest live record of a key. MN_NOT_FOUND: there is none; then the record's collection is
 * that of the name, 0 if the name has none. Name and key may be any bytes of lengths that names and
 * keys can have. */
MN_MUST_USE mn_status mni_engine_get(struct mni_engine *engine, enum mni_kind kind,
                                     struct mn_slice name, struct mn_slice key,
                                     struct mni_found *found_out, struct mn_error *err);

/* The same of a space's point, whose time is `time_us`. MN_NOT_FOUND also if it is too old. */
MN_MUST_USE mn_status mni_engine_get_point(struct mni_engine *engine, struct mn_slice space,
                                           struct mn_slice key, int64_t time_us,
                                           struct mni_found *found_out, struct mn_error *err);

/* Called with each record that is there, whose pin goes to it. */
typedef void mni_found_fn(void *context, size_t index, const struct mni_found *found);
/* Many at one moment. MN_NOT_FOUND: there is no such collection. */
MN_MUST_USE mn_status mni_engine_get_many(struct mni_engine *engine, enum mni_kind kind,
                                          struct mn_slice name, const struct mn_slice *keys,
                                          size_t n_keys, mni_found_fn *each, void *context,
                                          struct mn_error *err);

/* Batches ----------*/

enum mni_condition {
    MNI_ALWAYS = 0,
    MNI_IF_ABSENT,    /* else MN_EXISTS */
    MNI_IF_LSN,       /* the live record has this LSN, else MN_CHANGED */
    MNI_IF_LIVE,      /* there is a live record, else MN_NOT_FOUND */
    MNI_IF_UNCHANGED, /* the key's newest change has this LSN, else MN_CHANGED */
};

struct mni_batch;

/* `snapshot` is NULL, or the view of a transaction: then every key that the batch writes must not
 * have changed after it, else committing is MN_ERR_CONFLICT. The view stays open until then. */
struct mni_view;
MN_MUST_USE mn_status mni_batch_new(struct mni_engine *engine, struct mni_view *snapshot,
                                    struct mni_batch **batch_out);
void mni_batch_free(struct mni_batch *batch); /* NULL is fine */

/* Operations and the commit wait for no checkpoint: MN_ERR_BUDGET, MN_ERR_NO_SPACE where others
 * would. For the thread that makes one. */
void mni_batch_never_wait(struct mni_batch *batch);

/* Names a collection for the operations that follow; the same name again gives the same index.
 * With `creates`, committing makes it when it is missing. */
MN_MUST_USE mn_status mni_batch_collection(struct mni_batch *batch, enum mni_kind kind,
                                           struct mn_slice name, bool creates, size_t *index_out,
                                           struct mn_error *err);
/* Takes back the collection that was named last, before any operation on it. */
void mni_batch_forget_collection(struct mni_batch *batch, size_t index);
/* Whether the batch knows the collection already. */
bool mni_batch_has_collection(const struct mni_batch *batch, enum mni_kind kind,
                              struct mn_slice name, size_t *index_out);
/* What committing does to the collection itself. */
MN_MUST_USE mn_status mni_batch_create(struct mni_batch *batch, size_t collection_index,
                                       uint32_t dimension, bool must_be_new, struct mn_error *err);
void mni_batch_drop(struct mni_batch *batch, size_t collection_index);
/* Names a space for the operations that follow; committing makes it when it is missing, with this
 * name (may be empty). MN_EXISTS then: there is one that differs, or another one has the name. */
MN_MUST_USE mn_status mni_batch_create_space(struct mni_batch *batch, uint32_t space,
                                             uint32_t dimension, struct mn_slice name,
                                             const struct mni_space_settings *settings,
                                             size_t *index_out, struct mn_error *err);
/* Names a space that has to be there, and changes some of its settings, whatever the others are
 * when it is committed. The LSN is 0 if all of them are so already. */
enum mni_space_change {
    MNI_SPACE_KEYFRAME_EVERY = 1,
    MNI_SPACE_KEEP_US = 2,
    MNI_SPACE_KEEP_POINTS = 4,
    MNI_SPACE_HISTORY_US = 8,
    MNI_SPACE_ALL_CHANGES = 15,
};
MN_MUST_USE mn_status mni_batch_alter_space(struct mni_batch *batch, uint32_t space,
                                            unsigned changes,
                                            const struct mni_space_settings *settings,
                                            size_t *index_out, struct mn_error *err);
/* Committing is MN_NOT_FOUND if the collection does not exist, and MN_ERR_CONFLICT if it is a space
 * whose settings change meanwhile. Returns the dimension that it had when it was looked at: 0 if it
 * is not there, or not known. */
uint32_t mni_batch_require(struct mni_batch *batch, size_t collection_index);

/* Of a space that is required: how it was seen. */
struct mni_space_settings mni_batch_settings(const struct mni_batch *batch,
                                             size_t collection_index);

/* Adds an operation; one on the same key before it is replaced. `record->collection` is ignored.
 * MN_ERR_DIMENSION, MN_ERR_LIMIT, MN_ERR_NOMEM leave the batch as it was. `op_index_out` may be
 * NULL. */
MN_MUST_USE mn_status mni_batch_add(struct mni_batch *batch, size_t collection_index,
                                    const struct mni_record *record, enum mni_condition condition,
                                    uint64_t condition_lsn, size_t *op_index_out,
                                    struct mn_error *err);
size_t mni_batch_n_ops(const struct mni_batch *batch); /* distinct keys */
/* The batch's own operation on a key: its encoded record, or NULL. */
struct mni_version *mni_batch_find(const struct mni_batch *batch, size_t collection_index,
                                   struct mn_slice key);

/* Names a space, and its history, to be dropped. */
MN_MUST_USE mn_status mni_batch_drop_space(struct mni_batch *batch, uint32_t space,
                                           size_t *index_out, struct mn_error *err);
/* Where a space has a history: holds the lock of an entity until the batch is freed, by the same
 * thread. */
void mni_batch_hold_entity(struct mni_batch *batch, size_t collection_index, uint64_t entity);
/* After all operations on a space, of entities that are held: what follows for its history. */
MN_MUST_USE mn_status mni_batch_note_history(struct mni_batch *batch, size_t collection_index,
                                             struct mn_error *err);
/* After all operations on a space: adds what else its settings ask for. The batch holds locks of
 * entities until it is freed, by the same thread. */
MN_MUST_USE mn_status mni_batch_keep(struct mni_batch *batch, size_t collection_index,
                                     struct mn_error *err);

/* Commits. MN_OK sets `lsn_out` (may be NULL); an empty batch has LSN 0. May be called once. */
MN_MUST_USE mn_status mni_batch_commit(struct mni_batch *batch, mn_ack ack, uint64_t *lsn_out,
                                       struct mn_error *err);
/* The halves of it, for a world without threads: after mni_wal_lead_all, finish gives the answer.
 * MN_ERR_BUSY: the catalogue changed meanwhile, submit again. */
MN_MUST_USE mn_status mni_batch_submit(struct mni_batch *batch, mn_ack ack, struct mn_error *err);
MN_MUST_USE mn_status mni_batch_finish(struct mni_batch *batch, uint64_t *lsn_out);

/* After MN_OK: whether a live record had the key just before, and whether a drop or a create found
 * its collection. */
bool mni_batch_existed(const struct mni_batch *batch, size_t op_index);
bool mni_batch_collection_existed(const struct mni_batch *batch, size_t collection_index);
/* After MN_OK, of an upsert: the record as this commit stored it, whatever has become of the key
 * since. The pin goes to the caller. */
void mni_batch_found(struct mni_batch *batch, size_t op_index, struct mni_found *found_out);

/* Views ----------*/

/* A read view that stays: versions it may need are kept until it is closed. */
struct mni_view {
    struct mni_engine *engine;
    struct mni_view_point point;
    struct state *state; /* one reference */
    struct mni_view *older, *newer;
    uint64_t n_catalogue_changes; /* of the engine, when it was opened */
};
void mni_view_open(struct mni_engine *engine, struct mni_view *view);
void mni_view_close(struct mni_view *view);
/* The newest LSN that reads see. */
uint64_t mni_engine_visible_lsn(const struct mni_engine *engine);

/* What a view sees. MN_NOT_FOUND. */
MN_MUST_USE mn_status mni_view_collection(struct mni_view *view, enum mni_kind kind,
                                          struct mn_slice name,
                                          struct mni_collection *collection_out,
                                          struct mn_error *err);
MN_MUST_USE mn_status mni_view_get(struct mni_view *view, uint64_t collection, struct mn_slice key,
                                   struct mni_found *found_out, struct mn_error *err);

/*
 * Walks the live records of a collection in key order, or against it. The walk has a view of its
 * own and holds no place in the tables: it asks for what is behind the last key, a few at a time.
 * One thread at a time.
 */
struct mni_walk;
struct mni_walk_options {   /* all zero: everything, ascending */
    struct mn_slice after;  /* only keys behind this one, in the direction of the walk */
    struct mn_slice until;  /* only keys that come before this one, likewise */
    struct mn_slice prefix; /* only keys that begin with it */
    bool is_of_entity;      /* the bounds leave only points of `entity` */
    uint64_t entity;
    bool reverse;
    bool counts; /* what is found is counted as pinned */
};
/* The options are copied. */
MN_MUST_USE mn_status mni_walk_open(struct mni_engine *engine,
                                    const struct mni_walk_options *options,
                                    struct mni_walk **walk_out, struct mn_error *err);
struct mni_view *mni_walk_view(struct mni_walk *walk);
/* Before it is started: other options; those about pins stay as they were. */
void mni_walk_bound(struct mni_walk *walk, const struct mni_walk_options *options);
/* Before the first step: whose records they are. */
MN_MUST_USE mn_status mni_walk_start(struct mni_walk *walk, uint64_t collection,
                                     struct mn_error *err);
/* Begins anew with other options and the same view; those about pins stay as they were. */
MN_MUST_USE mn_status mni_walk_again(struct mni_walk *walk, const struct mni_walk_options *options,
                                     struct mn_error *err);
/* Its parts give records without their vectors: `vector` is NULL. Before the first step. */
void mni_walk_without_vectors(struct mni_walk *walk);
/* How many records there are. Instead of steps, forward; reads none where it need not. */
MN_MUST_USE mn_status mni_walk_count(struct mni_walk *walk, uint64_t *n_out, struct mn_error *err);
/* The pin goes to the caller. MN_END behind the last. MN_ERR_BUDGET: it may be asked again. */
MN_MUST_USE mn_status mni_walk_next(struct mni_walk *walk, struct mni_found *found_out,
                                    struct mn_error *err);
void mni_walk_close(struct mni_walk *walk); /* NULL is fine */

/* Keys of a space's history: the point's, and the LSN at which the version was written. */
enum { MNI_HISTORY_KEY_BYTES = MNI_POINT_KEY_BYTES + 8 };
struct mni_history_key {
    unsigned char bytes[MNI_HISTORY_KEY_BYTES];
};
struct mni_history_key mni_history_key(uint64_t entity, int64_t time_us, uint64_t birth_lsn);
bool mni_history_key_read(struct mn_slice key, uint64_t *entity_out, int64_t *time_us_out,
                          uint64_t *birth_lsn_out);

/* The points that were known at an LSN, among those of a walk, which is started and stays open.
 * `options` are the walk's, for keys of versions. The LSN is one that the history can tell of. */
struct mni_known;
MN_MUST_USE mn_status mni_known_open(struct mni_walk *points, uint32_t space, uint64_t collection,
                                     const struct mni_walk_options *options, uint64_t at_lsn,
                                     struct mni_known **known_out, struct mn_error *err);
/* In place of mni_walk_next, and as that. */
MN_MUST_USE mn_status mni_known_next(struct mni_known *known, struct mni_found *found_out,
                                     struct mn_error *err);
void mni_known_close(struct mni_known *known); /* NULL is fine */

/*
 * Scanning: the vectors of a collection where they lie, in no order. A scan has a view of its own,
 * and any number of readers, each of one thread, that share the work: what one of them is given no
 * other is.
 *
 *     mni_scan_open -> mni_scan_start -> mni_scan_reader_new, per thread -> mni_scan_next ...
 */
struct mni_scan;
struct mni_scan_reader;
struct mni_scan_chunk {
    const void *vectors; /* packed; stay until the reader's next chunk */
    uint32_t n_vectors;
    uint32_t n_dims;
    enum mni_element_type element_type;
};
MN_MUST_USE mn_status mni_scan_open(struct mni_engine *engine, struct mni_scan **scan_out,
                                    struct mn_error *err);
struct mni_view *mni_scan_view(struct mni_scan *scan);
/* Before the first reader: whose vectors they are. The buffer may have to be put in order for it,
 * which a search (NULL: it is for none) can end, as mni_search_run. */
struct mni_search;
MN_MUST_USE mn_status mni_scan_start(struct mni_scan *scan, uint64_t collection,
                                     const struct mni_search *search, struct mn_error *err);
void mni_scan_close(struct mni_scan *scan); /* NULL is fine; its readers are freed */

/* `n_vectors_max`: of a chunk; 0: as it likes. Any thread. */
MN_MUST_USE mn_status mni_scan_reader_new(struct mni_scan *scan, size_t n_vectors_max,
                                          struct mni_scan_reader **reader_out,
                                          struct mn_error *err);
void mni_scan_reader_free(struct mni_scan_reader *reader); /* NULL is fine */
/* MN_END: nothing is left that no reader has taken. MN_ERR_CORRUPT: the next vector lies in a
 * damaged part; asked again, the reader goes on behind it. */
MN_MUST_USE mn_status mni_scan_next(struct mni_scan_reader *reader,
                                    struct mni_scan_chunk *chunk_out, struct mn_error *err);
/* The record of a vector of the chunk that the reader was given last; the pin goes to the caller.
 * MN_NOT_FOUND: there is no such vector. */
MN_MUST_USE mn_status mni_scan_found(struct mni_scan_reader *reader, size_t index,
                                     struct mni_found *found_out, struct mn_error *err);

/*
 * Many vectors at once, those that the view does not see among them: for whoever can leave most of
 * them out before it looks at any. What is read of the segment is the caller's matter.
 */
struct mni_scan_window {
    struct mni_segment *segment; /* borrowed from the scan; NULL: they are versions of a table */
    const struct mni_segment_group *group;
    uint32_t source; /* number of the part, for mni_scan_read */
    uint32_t first;  /* of the group's vectors */
    uint32_t n;
    const uint64_t *seen;                /* a bit each: the view sees it */
    struct mni_version *const *versions; /* with and without vectors; the view sees them */
    uint64_t n_damaged;                  /* of the vectors: it cannot be told; not seen */
    struct mn_error damage;              /* the first of them */
};
/* In place of mni_scan_next. The window stays until the next call. MN_ERR_CORRUPT: which vectors
 * come next lies in a damaged part; asked again, the reader goes on behind it. */
MN_MUST_USE mn_status mni_scan_next_window(struct mni_scan_reader *reader,
                                           struct mni_scan_window *window_out,
                                           struct mn_error *err);
/* The record of a vector of a part that was in a window, and seen. The pin goes to the caller. */
MN_MUST_USE mn_status mni_scan_read(struct mni_scan *scan, uint32_t source, uint32_t vector,
                                    struct mni_found *found_out, struct mn_error *err);
/* Vectors of the collection in segments, dead ones too. */
uint64_t mni_scan_n_vectors(const struct mni_scan *scan);

/* Searching: the nearest vectors of a scan's view, exactly. */
struct mni_search {
    enum mni_metric metric;
    const float *vectors; /* one query behind the other */
    size_t n_queries;
    uint32_t n_dims;
    size_t n_best;                       /* of a query: results and those passed over */
    size_t n_skipped;                    /* the best of these, passed over; fewer than n_best */
    float least;                         /* scores below are no results; -INFINITY: all are */
    unsigned n_threads;                  /* 1 or 2, where there are threads; 0: as it likes */
    bool without_codes;                  /* compares every vector whole */
    bool skips_damaged;                  /* passes over what cannot be read, and counts it */
    int64_t deadline_us;                 /* monotonic; 0: none */
    bool (*is_cancelled)(void *context); /* may be NULL; any thread */
    void *cancel_context;
};
struct mni_search_stats {
    uint64_t n_scanned;  /* vectors that the view sees */
    uint64_t n_refined;  /* comparisons of a vector with a query that its code did not rule out */
    uint64_t n_fallback; /* vectors compared whole because codes ruled out too few before */
    uint64_t n_damaged;
    uint64_t bytes_read;
    unsigned n_threads;
};
struct mni_search_hit {
    size_t query; /* number */
    struct mni_hit hit;
};
struct mni_search_results {
    struct mni_search_hit *hits; /* owned: by query; its best first, equal ones by key */
    size_t n;
    struct mni_search_stats stats;
    uint64_t counted_bytes;
};
/* The scan was started and has no reader; it stays open as long as the results. MN_ERR_TIMEOUT,
 * MN_ERR_CANCELLED; MN_ERR_CORRUPT as mni_scan_next, or keys that decide between equal scores;
 * MN_ERR_BUDGET. */
MN_MUST_USE mn_status mni_search_run(struct mni_scan *scan, const struct mni_search *search,
                                     struct mni_search_results *results_out, struct mn_error *err);
/* The record of a result; its pin goes to the caller. */
MN_MUST_USE mn_status mni_search_read(struct mni_scan *scan, const struct mni_search_hit *hit,
                                      struct mni_found *found_out, struct mn_error *err);
void mni_search_results_done(struct mni_scan *scan, struct mni_search_results *results);

/*
 * The nearest points of a space within an interval of times, both ends included: of each entity
 * the one with the smallest distance, of equal ones the earliest; or its latest one alone.
 * Distances are as nearest.h tells; a point whose distance is NaN is left out.
 */
struct mni_nearest {
    enum mni_metric metric; /* cosine or l2 */
    const float *vector;
    uint32_t n_dims; /* those of the space */
    size_t n_best;
    int64_t from_us;
    int64_t to_us;
    bool is_latest_only;
    bool weighs_time; /* the next four count */
    double alpha;
    int64_t around_us;
    int64_t half_life_us;
    double l2_half;
    int64_t deadline_us;                 /* monotonic; 0: none */
    bool (*is_cancelled)(void *context); /* may be NULL */
    void *cancel_context;
};
struct mni_nearest_hit {
    uint64_t entity;
    int64_t time_us;
    double distance;
    double vector_distance;
    double decay;
};
struct mni_nearest_results {
    struct mni_nearest_hit *hits; /* owned: the nearest first, equal ones by entity */
    size_t n;
    struct {
        uint64_t n_entities; /* with a point that was compared */
        uint64_t n_points;   /* that were compared */
        uint64_t n_passed;   /* read, and not compared for their times */
    } stats;
    uint64_t counted_bytes;
};
/* The walk was opened and not started; it is used up, but for its view. Fails as mni_search_run. */
MN_MUST_USE mn_status mni_nearest_run(struct mni_walk *walk, uint64_t collection,
                                      const struct mni_nearest *about,
                                      struct mni_nearest_results *results_out,
                                      struct mn_error *err);
void mni_nearest_results_done(struct mni_engine *engine, struct mni_nearest_results *results);

/* Transactions ----------*/

struct mni_txn;
MN_MUST_USE mn_status mni_txn_begin(struct mni_engine *engine, struct mni_txn **txn_out,
                                    struct mn_error *err);
/* The batch that gathers the writes. */
struct mni_batch *mni_txn_batch(struct mni_txn *txn);
struct mni_engine *mni_txn_engine(struct mni_txn *txn);
/* The live record of a key as the transaction sees it; MN_NOT_FOUND. */
struct mni_txn_found {
    struct mni_found found; /* the pin goes to the caller */
    bool is_own;            /* it is a put of this transaction */
    bool is_touched;        /* this transaction touched it */
};
MN_MUST_USE mn_status mni_txn_find(struct mni_txn *txn, enum mni_kind kind, struct mn_slice name,
                                   struct mn_slice key, struct mni_txn_found *found_out,
                                   struct mn_error *err);
/* Both end the transaction. */
MN_MUST_USE mn_status mni_txn_commit(struct mni_txn *txn, mn_ack ack, uint64_t *lsn_out,
                                     struct mn_error *err);
void mni_txn_rollback(struct mni_txn *txn);

/* Checkpoints ----------*/

/* Writes everything up to the newest commit to segments and gives back the log that held it.
 * When it fails the store goes on as before, unless it says otherwise. */
MN_MUST_USE mn_status mni_engine_checkpoint(struct mni_engine *engine, struct mn_error *err);
/* Where a checkpoint begins another segment; 0: the default. Before the first one. */
void mni_engine_limit_segments(struct mni_engine *engine, uint64_t file_bytes_max);

/*
 * Has `call` called before every checkpoint that somebody asked for or that the background makes,
 * and before snapshots and purges, by their threads; and when the store is closed, unless it is
 * poisoned. It may commit, with batches that never wait, and must not wait for anybody who commits.
 * One call at a time. NULL takes it back, and waits for one that is under way. Not for a store that
 * is only read, where it is never called.
 */
typedef void mni_checkpoint_fn(void *context);
void mni_engine_on_checkpoint(struct mni_engine *engine, mni_checkpoint_fn *call, void *context);

struct mni_purge_receipt {
    uint64_t lsn;                      /* of the delete */
    uint64_t n_records;                /* that existed */
    uint64_t n_log_files;              /* removed */
    uint64_t n_runs;                   /* of segments that were written anew */
    uint64_t n_pinned;                 /* segments without a name that readers keep open */
    struct mni_snapshot_id *snapshots; /* owned by the caller: those of the pool that hold copies */
    size_t n_snapshots;
    char (*archived_logs)[MN_ARCHIVED_LOG_BYTES]; /* likewise: their names in the archive */
    size_t n_archived_logs;
};

/* As mn_purge; `keys` NULL is the whole collection. The receipt tells how far it came. */
MN_MUST_USE mn_status mni_engine_purge(struct mni_engine *engine, enum mni_kind kind,
                                       struct mn_slice name, const struct mn_slice *keys,
                                       size_t n_keys, struct mni_purge_receipt *receipt_out,
                                       struct mn_error *err);

/* Snapshots ----------*/

struct mni_snapshot_request {
    const char *pool; /* a directory; NULL: the store's own */
    struct mn_slice description;
    bool is_incremental;
    bool is_compressed;
    bool is_without_metadata;             /* only of an export */
    const struct mni_snapshot_id *parent; /* NULL: the newest one that fits */
    struct mni_progress progress;
};

/*
 * Makes a snapshot of everything up to the newest commit; commits and reads go on. MN_OK sets
 * `snapshot_out` to it as it was loaded again, for mni_snapshot_done. MN_NOT_FOUND: there is no
 * such parent. In the store's own pool the oldest snapshots of it beyond `max_snapshots` go, unless
 * somebody reads there.
 */
MN_MUST_USE mn_status mni_engine_snapshot(struct mni_engine *engine,
                                          const struct mni_snapshot_request *request,
                                          struct mni_snapshot *snapshot_out, struct mn_error *err);
/* Where the store keeps its snapshots. */
MN_MUST_USE mn_status mni_engine_pool_path(struct mni_engine *engine,
                                           char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err);
/* The same of a store that is not open here. MN_ERR_NO_STORE. */
MN_MUST_USE mn_status mni_store_pool_path(struct mni_env *env, const char *store_path,
                                          char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err);
/* The id of a store, also while somebody has it open. MN_ERR_NO_STORE. */
MN_MUST_USE mn_status mni_store_id(struct mni_env *env, const char *store_path,
                                   unsigned char id_out[MNI_STORE_ID_BYTES], struct mn_error *err);
/* Removes the oldest ones beyond `n_kept` of each store; MNI_POOL_REMOVE is held. `store_id` (may
 * be NULL): only of this one. One that cannot be read stays. */
MN_MUST_USE mn_status mni_snapshots_prune(struct mni_pool_dir *pool, const unsigned char *store_id,
                                          uint64_t n_kept, uint64_t *n_removed_out,
                                          uint64_t *freed_out, struct mn_error *err);

/* Opens a snapshot as a store that can only be read; of the options only the limits of memory and
 * pins count. MN_OK takes the pool over, which is under MNI_POOL_READ. MN_ERR_UNSUPPORTED: it is
 * compressed. */
MN_MUST_USE mn_status mni_engine_open_snapshot(struct mni_env *env, struct mni_pool_dir *pool,
                                               const struct mni_snapshot_id *id,
                                               const struct mn_options *options,
                                               struct mni_engine **engine_out,
                                               struct mn_error *err);

struct mni_restore_request {
    struct mni_pool_dir *pool; /* under MNI_POOL_READ */
    struct mni_snapshot_id id;
    const char *path;       /* of the target */
    bool replaces;          /* it is a store; otherwise missing or empty */
    struct mn_slice name;   /* of one namespace; empty: all */
    struct mn_slice rename; /* what it is called in the target */
    bool is_dry_run;
    /* One of these is a moment instead of an id, for a new store of all that there was; else 0. */
    uint64_t at_lsn;
    int64_t at_time_us;
    const char *of;      /* the store that it was, for its log and settings; NULL: it is gone */
    const char *archive; /* where its log was kept; NULL: as its settings say */
    struct mni_progress progress;
};

struct mni_restore_report {
    struct mni_snapshot_id id; /* that was restored, or where a moment began */
    uint64_t n_namespaces;
    uint64_t n_records;
    uint64_t lsn;
    bool has_no_metadata; /* the snapshot was made without */
};

/* As mn_snapshot_restore. */
MN_MUST_USE mn_status mni_engine_restore(struct mni_env *env,
                                         const struct mni_restore_request *request,
                                         struct mni_restore_report *report_out,
                                         struct mn_error *err);

/* Counting and sweeping ----------*/

/* Takes what has expired by now out of the counts: before mni_memtable_count. */
MN_MUST_USE mn_status mni_engine_lapse(struct mni_engine *engine, struct mn_error *err);
MN_MUST_USE mn_status mni_engine_sweep(struct mni_engine *engine, uint64_t *n_swept_out,
                                       struct mn_error *err);
/* What the background thread does from time to time: a sweep that is due, tidying. */
void mni_engine_tick(struct mni_engine *engine);
void mni_engine_get_stats(struct mni_engine *engine, struct mn_stats *stats);

/* Memory of others that counts within `memory_bytes_max`. MN_ERR_BUDGET at once. */
MN_MUST_USE mn_status mni_engine_reserve_memory(struct mni_engine *engine, size_t n_bytes,
                                                struct mn_error *err);
void mni_engine_release_memory(struct mni_engine *engine, size_t n_bytes);

/* Settings ----------*/

MN_MUST_USE mn_status mni_engine_setting(struct mni_engine *engine, const char *key,
                                         char *value_out, size_t value_bytes, struct mn_error *err);
MN_MUST_USE mn_status mni_engine_set(struct mni_engine *engine, const char *key, const char *value,
                                     struct mn_error *err);
const char *mni_setting_key(size_t index);
/* MN_ERR_INVALID: the setting, a number, cannot have this value. For an option that goes before
 * it. */
MN_MUST_USE mn_status mni_engine_check_setting(const char *key, uint64_t value,
                                               struct mn_error *err);
/* What the settings say of caches of answers, as of now; 0: no bound. Takes no lock. */
struct mni_cache_limits {
    uint64_t bytes_max;
    uint64_t entries_max;
    uint64_t tenant_bytes_max;
    uint64_t tenant_entries_max;
};
void mni_engine_cache_limits(struct mni_engine *engine, struct mni_cache_limits *limits_out);

/* Reading without serving ----------*/

/* As mn_verify. */
MN_MUST_USE mn_status mni_engine_verify(struct mni_env *env, const char *path,
                                        struct mn_verify_report *report_out, struct mn_error *err);
/* As mn_verify_each. */
MN_MUST_USE mn_status mni_engine_verify_each(struct mni_env *env, const char *path,
                                             mn_verify_fn *each, void *context,
                                             struct mn_verify_report *report_out,
                                             struct mn_error *err);
/* As mn_salvage. `report_out` is zeroed by the caller, and set as far as it goes when it fails. */
typedef void mni_salvage_damage_fn(void *context, const char *file, const char *what);
MN_MUST_USE mn_status mni_engine_salvage(struct mni_env *env, const char *from, const char *to,
                                         mni_salvage_damage_fn *damage, void *context,
                                         struct mn_salvage_report *report_out,
                                         struct mn_error *err);
/* Calls `each` with every commit of the store's log. `stats_out` (may be NULL) is set when it fails
 * too: see failed_out of struct mni_wal_config. */
MN_MUST_USE mn_status mni_engine_read_log(struct mni_env *env, const char *path,
                                          mn_recovery recovery, mni_wal_replay_fn *each,
                                          void *context, struct mni_wal_stats *stats_out,
                                          struct mn_error *err);

#endif
