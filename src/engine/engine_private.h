/*
 * engine_private.h - what the files of this room share.
 */
#ifndef MNI_ENGINE_ENGINE_PRIVATE_H
#define MNI_ENGINE_ENGINE_PRIVATE_H

#include <stdatomic.h>

#include "engine/budget_private.h"
#include "engine/engine.h"
#include "engine/pace_private.h"
#include "engine/state_private.h"
#include "io/thread.h"

enum {
    SETTING_VALUE_BYTES = 24,
    STORE_FILE_BYTES = 4096,
    GROUP_KEYS_MAX = 512, /* keys of a group that are remembered one by one */
    GROUP_SLOTS = 1024,
    COLLECT_PER_COMMIT = 64,  /* superseded versions dropped in passing */
    RECLAIM_PER_COMMIT = 256, /* keys of dropped collections removed in passing */
    TIDY_SLICE = 1024,        /* of either, by the background thread */
    TIDY_SLICES_MAX = 64,
    CATALOGUE_ROW_BYTES = 24, /* without a space's fields */
    SPACE_FIELDS_BYTES_MAX = 4096,
    BEHIND_COLLECTIONS = MNI_KIND_TENANT + 1, /* no key of a collection begins with it, or more */
    ENTITY_LOCKS = 64,
    KNOWN_NAMES = 256, /* slots of the cache of names */
    SWEEPER_NAP_US = 200000,
    STALL_FACTOR = 4, /* writers wait when so many times `checkpoint_bytes` are not in segments */
};

enum setting { /* indexes of the settings table */
               SETTING_SYNC,
               SETTING_SYNC_EVERY_COMMITS,
               SETTING_SYNC_INTERVAL_MS,
               SETTING_WAL_FILE_BYTES,
               SETTING_SWEEP_INTERVAL_MS,
               SETTING_SWEEP_BATCH_RECORDS,
               SETTING_SWEEP_TIME_CAP_MS,
               SETTING_CHECKPOINT_BYTES,
               SETTING_CHECKPOINT_INTERVAL_MS,
               SETTING_CHECKPOINT_RECORDS,
               SETTING_MEMORY_BYTES_MAX,
               SETTING_PINNED_BYTES_MAX,
               SETTING_MAX_SNAPSHOTS,
               SETTING_CACHE_BYTES_MAX,
               SETTING_CACHE_ENTRIES_MAX,
               SETTING_CACHE_TENANT_BYTES_MAX,
               SETTING_CACHE_TENANT_ENTRIES_MAX,
               N_SETTINGS,
};

enum text_setting { /* indexes of those that are texts */
                    TEXT_SNAPSHOT_DIR,
                    TEXT_ARCHIVE_DIR,
                    N_TEXTS,
};
enum { TEXT_BYTES_MAX = 960 };

/* What the file STORE holds. */
struct store_file {
    unsigned char store_id[MNI_STORE_ID_BYTES];
    int64_t created_us;
    uint64_t settings[N_SETTINGS];           /* each within its range */
    char texts[N_TEXTS][TEXT_BYTES_MAX + 1]; /* likewise; with a NUL */
};

/* A dropped collection whose records are still in the table. */
struct dropped {
    struct dropped *next;
    uint64_t collection;
    uint64_t lsn; /* of the drop */
};

/* The next collection number, and the LSN of the commit that said so; 0: none has. */
struct counter {
    uint64_t next_number;
    uint64_t lsn;
};

/* The keys that earlier members of the group write. */
struct group_keys {
    uint64_t slots[GROUP_SLOTS]; /* 0 = free */
    unsigned n_keys;
    bool is_full; /* too many: every key counts as written */
};

struct feed;
struct space_duties;

struct mni_engine {
    struct mni_env *env;               /* borrowed */
    char *path;                        /* owned: of the directory, from the root on */
    char *given_path;                  /* owned: as it was opened; NULL: by no path */
    struct mni_dir *dir;               /* owned; holds the lock */
    struct mni_wal *wal;               /* owned */
    struct mni_pool *pool;             /* owned */
    struct mni_memtable *table;        /* the active one of `state` */
    struct mni_fork_guard *fork_guard; /* owned */
    bool read_only;
    bool is_marked;                  /* a restore makes it */
    struct feed *feed;               /* borrowed; NULL: none */
    struct mni_pool_dir *shown_pool; /* owned; NULL: it is no snapshot that is read */
    struct mni_snapshot *shown;      /* owned, likewise */

    struct mni_rwlock lock; /* guards what follows, the tables, and the liveness of parts */
    struct state *state;    /* one reference */
    struct table *retired;  /* one reference each: frozen once; a view older than they is open */
    struct counter counter;
    uint64_t root_lsn;    /* of the newest manifest that readers have gone over to */
    uint64_t root_number; /* likewise; 0: there is none */
    uint64_t n_catalogue_changes;
    uint64_t n_spaces;       /* rows of the catalogue */
    uint64_t n_space_extras; /* likewise: names of spaces, and their histories */
    uint64_t n_tenants;      /* likewise */
    _Atomic(struct known_name *) known_names[KNOWN_NAMES]; /* owned; see catalogue.c */
    atomic_uint_fast64_t visible_lsn;                      /* changes under the write lock */
    atomic_int_fast64_t last_now_us;
    atomic_uint n_parts_alive;
    atomic_uint_fast64_t n_parts_made;

    struct mni_mutex views_lock; /* guards the list of open views */
    struct mni_view *oldest_view;
    struct mni_view *newest_view;

    /* Only the log's leader. */
    struct group_keys group_keys;
    struct dropped *dropped; /* owned list, oldest first */
    struct dropped **dropped_end;

    struct mni_mutex on_checkpoint_lock; /* one call at a time; guards what follows */
    mni_checkpoint_fn *on_checkpoint;    /* NULL: none */
    void *on_checkpoint_context;         /* borrowed, until it is taken back */

    struct mni_mutex checkpoint_lock; /* one checkpoint at a time; guards what follows */
    struct mni_manifest manifest;     /* the root; number 0: there is none yet */
    struct mni_dir *seg_dir;          /* owned; NULL: there is none yet */
    uint64_t incarnation;             /* of new segments' ids; 0: not chosen yet */
    uint64_t next_segment;
    uint64_t segment_bytes_max; /* 0: the default */
    uint64_t frozen_bytes;      /* of `unwritten_bytes`, those in the frozen table */
    bool reserve_was_there;     /* it was removed for the job at work; `reserve_lock` guards it */
    bool may_give_up;           /* the job at work is a merge that makes room for a checkpoint */
    unsigned n_given_up;        /* merges one after the other, about; the next ones are smaller */
    bool merges_emptiest;       /* the job at work is a merge that met a full disk */
    bool waste_stays;           /* the last merges left dead rows that are worth one */
    bool is_root_in_doubt;      /* a manifest may be the root that is not `manifest` */
    bool is_root_unsure; /* `manifest` is of an earlier process, which may have died before it was
                            durable: what the one before it needs stays */

    struct mni_mutex reserve_lock; /* guards the file RESERVE and its size */
    uint64_t reserve_bytes;        /* as far as it is known */

    struct mni_mutex snapshot_lock; /* one snapshot or purge at a time; guards the directory tmp */

    struct mni_mutex settings_lock; /* guards `store` */
    struct store_file store;

    struct mni_mutex sweep_lock;       /* one sweep at a time; guards what follows */
    struct space_duties *space_duties; /* owned; NULL: none were listed yet */

    struct mni_mutex entity_locks[ENTITY_LOCKS]; /* see keep.c */

    /* the thread of checkpoints and merges */
    struct mni_thread jobs_thread;
    struct mni_mutex jobs_lock; /* guards what is called jobs_..., and n_stalled */
    struct mni_cond jobs_wake;
    struct mni_cond jobs_done;
    atomic_bool has_jobs_thread;
    atomic_bool jobs_stop;
    bool jobs_wanted;
    bool jobs_needs_room;   /* a writer waits for it: a checkpoint, however little it writes */
    atomic_bool jobs_asked; /* since it began its last round */
    uint64_t n_jobs;        /* checkpoints of that thread, failed ones too */
    unsigned n_stalled;     /* writers that wait for a checkpoint */
    mn_status jobs_status;  /* of the last job */
    struct mn_error jobs_error;
    struct pace pace;
    atomic_int_fast64_t last_checkpoint_us;  /* monotonic */
    atomic_uint_fast64_t unwritten_bytes;    /* of records that are in no segment yet, as encoded */
    atomic_uint_fast64_t checkpoint_bytes;   /* the setting */
    atomic_uint_fast64_t checkpoint_records; /* the setting; UINT64_MAX: it is 0 */
    atomic_uint_fast64_t reserve_enough_for; /* so many of `unwritten_bytes` */
    atomic_bool reserve_is_outgrown;         /* there are more, and the jobs' thread was told */
    atomic_bool reserve_is_short;            /* there is no room for more */
    atomic_bool reserve_is_lent;             /* its space is for a job that goes on */
    struct budget budget;
    atomic_uint_fast64_t pinned_bytes_max;
    struct {
        atomic_uint_fast64_t bytes_max;
        atomic_uint_fast64_t entries_max;
        atomic_uint_fast64_t tenant_bytes_max;
        atomic_uint_fast64_t tenant_entries_max;
    } cache_limits;         /* the settings */
    uint64_t memory_option; /* go before the settings; 0: not given */
    uint64_t pinned_option;

    /* the background thread */
    struct mni_thread sweeper;
    struct mni_mutex sweeper_lock; /* guards sweeper_stops and wants_stock */
    struct mni_cond sweeper_wakes;
    bool has_sweeper;
    bool sweeper_stops;
    bool wants_stock;
    int64_t last_sweep_us; /* only that thread */
};

enum { KEY_BYTES_MAX = 1 + MN_ID_BYTES_MAX }; /* of a stored key: a kind or nothing, and an id */

/* view.c ----------*/

/* Readers share the engine's lock; what a commit changes changes under the write lock. Nobody
 * touches a file under it. */
void engine_read_lock(struct mni_engine *engine);
void engine_write_lock(struct mni_engine *engine);
void engine_unlock(struct mni_engine *engine);
/* Between two slices that need the write lock, without it: lets those have it who wait. */
void engine_yield(struct mni_engine *engine);
/* A view for one locked stretch of reading. */
struct mni_view_point engine_view_now(struct mni_engine *engine);
/* LSN of the oldest open view, UINT64_MAX when there is none. */
uint64_t engine_oldest_view_lsn(struct mni_engine *engine);
/* What happened to parts below it is needed neither by a view nor by the next root; at most
 * `lsn`. Either lock held. */
uint64_t engine_floor_lsn(struct mni_engine *engine, uint64_t lsn);

/* A view at an older LSN at which nothing was forgotten yet: the root's, or a frozen table's. */
void engine_view_open_at(struct mni_engine *engine, struct mni_view *view, uint64_t lsn);
/* Another view of the same moment, as long as the first one is open. */
void engine_view_copy(const struct mni_view *from, struct mni_view *view);

/* Has the keys of a table that a view at `lsn` can see put in order, which a scan of them needs.
 * No lock is held: others go on between two slices. `search` (may be NULL): whom it is for, and who
 * may end it: see engine_search_ask. */
MN_MUST_USE mn_status engine_order_table(struct mni_engine *engine, struct mni_memtable *table,
                                         uint64_t collection, uint64_t lsn,
                                         const struct mni_search *search, struct mn_error *err);

/* search.c ----------*/

/* Whether vectors of a started scan are decoded when they are read. */
bool engine_scan_decodes(const struct mni_scan *scan);
/* MN_ERR_CANCELLED, MN_ERR_TIMEOUT: the search is to end. */
MN_MUST_USE mn_status engine_search_ask(struct mni_engine *engine, const struct mni_search *search,
                                        struct mn_error *err);

/* load.c ----------*/

/* Opens what the manifest names, if there is one. */
MN_MUST_USE mn_status engine_load(struct mni_engine *engine, struct mn_error *err);
/* The same of the manifest that the engine has already, and its directory. */
MN_MUST_USE mn_status engine_load_parts(struct mni_engine *engine, struct mn_error *err);
/* Notes which rows of parts belong to no collection any more; once the log is replayed. */
MN_MUST_USE mn_status engine_note_dropped(struct mni_engine *engine, struct mn_error *err);
/* The numbers of all collections that exist at an LSN, ascending; the caller frees them. */
MN_MUST_USE mn_status engine_list_collections(struct mni_engine *engine, uint64_t lsn,
                                              uint64_t **numbers_out, size_t *n_out,
                                              struct mn_error *err);
/* Those whose records are points, and how they lie in segments, likewise. */
MN_MUST_USE mn_status engine_list_points(struct mni_engine *engine, uint64_t lsn,
                                         struct mni_segment_points *points_out,
                                         struct mn_error *err);
void engine_points_done(struct mni_segment_points *points);
/* Removes files of segments that the manifest does not name. */
MN_MUST_USE mn_status engine_remove_orphans(struct mni_engine *engine, struct mn_error *err);
/* Opens the directory of segments once. MN_NOT_FOUND, without `create`. */
MN_MUST_USE mn_status engine_open_seg_dir(struct mni_engine *engine, bool create,
                                          struct mn_error *err);

/* walk.c ----------*/

/* A walk of the same moment as another one, which is open. */
MN_MUST_USE mn_status engine_walk_open_beside(struct mni_walk *walk,
                                              const struct mni_walk_options *options,
                                              struct mni_walk **walk_out, struct mn_error *err);
/* A walk with a view as engine_view_open_at opens it. */
MN_MUST_USE mn_status engine_walk_open_at(struct mni_engine *engine, uint64_t lsn,
                                          const struct mni_walk_options *options,
                                          struct mni_walk **walk_out, struct mn_error *err);

/* output.c ----------*/

/* Chooses what ids of new segments begin with, once. */
MN_MUST_USE mn_status engine_choose_incarnation(struct mni_engine *engine, struct mn_error *err);

/* jobs.c ----------*/

MN_MUST_USE mn_status jobs_start(struct mni_engine *engine, struct mn_error *err);
void jobs_stop(struct mni_engine *engine);
/* What came into the table. Write lock held. */
struct written {
    uint64_t n_bytes;     /* as encoded */
    uint64_t table_bytes; /* of memory */
    uint64_t n_records;
};
void engine_count_unwritten(struct mni_engine *engine, const struct written *written);
/* Takes memory for an operation; waits for a checkpoint where that can make room. The caller holds
 * no state. MN_ERR_BUDGET: it cannot. Fails as the checkpoint did that should. */
MN_MUST_USE mn_status engine_take_memory(struct mni_engine *engine, uint64_t n_bytes, bool is_put,
                                         struct mn_error *err);
/* Before a write: waits while far too much is in no segment yet. Fails as the checkpoint did that
 * should make room. */
MN_MUST_USE mn_status engine_wait_for_room(struct mni_batch *batch, struct mn_error *err);

/* Whether a commit would not have to wait for room: MN_ERR_BUDGET, MN_ERR_NO_SPACE. */
MN_MUST_USE mn_status engine_has_room(struct mni_engine *engine, bool has_puts,
                                      struct mn_error *err);

/* The hook of the log that paces by its syncs. */
void engine_note_sync(void *context, int64_t took_us, int64_t now_us);
/* Whether writers wait for a checkpoint, or soon will. */
bool engine_must_hurry(struct mni_engine *engine);
/* Called before `n_bytes` are written in the background: waits when that would hinder commits. */
MN_MUST_USE mn_status engine_pace(void *context, uint64_t n_bytes, struct mn_error *err);
/* Waits as suits before so many bytes of files are given back. `checkpoint_lock` is held, as for
 * the next one. */
void engine_pace_free(void *context, uint64_t n_bytes);
/* Waits a little for those that still show what the state before held. True: no segment is mapped
 * but those of the state. */
bool engine_wait_for_unmapped(struct mni_engine *engine);

/* reserve.c ----------*/

/* Makes the reserve as large as what is in no segment yet asks for, and the next opening, unless it
 * is lent. Not by who holds the leader's role. */
void reserve_keep(struct mni_engine *engine);
/* The same, where it is known to be too small. */
void reserve_keep_up(struct mni_engine *engine);
/* Gives the space of the reserve in a store's directory back. False: there is none. */
bool reserve_remove(struct mni_dir *dir);
/* Gives its space to an opening of this engine that met a full disk. False: there is none. */
bool reserve_give_up(void *engine);
/* Frees space for a job that met a full disk: the reserve, which is lent; then log files that wait
 * to be used again, all but one; then most of that one. True: try again, and ask again.
 * `checkpoint_lock` is held, until reserve_restore, which is called whatever was freed, and
 * looks again whether puts have to be refused. */
bool reserve_make_room(struct mni_engine *engine);
void reserve_restore(struct mni_engine *engine);
/* Before a put. MN_ERR_NO_SPACE: no checkpoint could take more records. */
MN_MUST_USE mn_status reserve_admit(struct mni_engine *engine, struct mn_error *err);

/* merge.c ----------*/

/* The most memory that merging so many rows in so many parts and runs takes, besides that of the
 * writer (mni_segment_plan_memory_bytes). */
uint64_t engine_merge_memory_bytes(uint64_t n_rows, size_t n_parts, size_t n_runs);
/* Merges runs until there are few enough, none with many dead rows. `checkpoint_lock` is held. */
MN_MUST_USE mn_status engine_merge(struct mni_engine *engine, struct mn_error *err);
/* Whether a run has so much that is dead that a checkpoint and a merge pay at once. */
bool engine_is_wasteful(struct mni_engine *engine);

/* checkpoint.c ----------*/

/* MN_ERR_IO when nothing may be published until the store is opened again. */
MN_MUST_USE mn_status engine_check_root(const struct mni_engine *engine, struct mn_error *err);

/* Before a checkpoint, without any lock: whoever has something to write then does so. */
void engine_call_before_checkpoint(struct mni_engine *engine);

/* Lets go of retired tables that no view needs. */
void engine_drop_retired(struct mni_engine *engine);

/* pin.c ----------*/

/* For one reference of a part, which it takes over. */
void *pin_of_part(struct part *part);
/* Likewise, and the memory of a vector that was decoded from a row of the part. */
void *pin_of_decoded(struct part *part, void *buffer);
/* As mni_found_pin; after MN_ERR_BUDGET the pin is as it was. */
MN_MUST_USE mn_status pin_count(struct mni_engine *engine, struct mni_found *found,
                                struct mn_error *err);

/* read.c ----------*/

/* Shows a version; the pin is the caller's reference. */
void engine_found_version(struct mni_version *version, struct mni_found *found_out);
/* Reads a row as a view of this LSN sees it, and pins it. MN_NOT_FOUND: it is not visible.
 * Expiry is the caller's matter. No lock is held. */
MN_MUST_USE mn_status engine_read_row(struct mni_engine *engine, struct part *part, uint32_t row,
                                      uint64_t view_lsn, struct mni_found *found_out,
                                      struct mn_error *err);
/* The same of a row that the view is known to see. `patches_lsn`: the view's LSN, or 0 where the
 * row has no patches. */
enum row_content { ROW_WHOLE, ROW_WITHOUT_VECTOR };
MN_MUST_USE mn_status engine_read_seen_row(struct mni_engine *engine, struct part *part,
                                           uint32_t row, enum row_content content,
                                           uint64_t patches_lsn, struct mni_found *found_out,
                                           struct mn_error *err);
/* The newest live record of a key. No lock is held. */
MN_MUST_USE mn_status engine_find_now(struct mni_engine *engine, uint64_t collection,
                                      struct mn_slice key, struct mni_found *found_out,
                                      struct mn_error *err);

/* catalogue.c ----------*/

/* The key of a collection's row, in `room`. */
struct mn_slice catalogue_key(enum mni_kind kind, struct mn_slice name,
                              unsigned char room[1 + MN_NAMESPACE_BYTES_MAX]);
/* What a row says that was found; releases its pin. */
MN_MUST_USE mn_status catalogue_decode_found(const struct mni_found *found,
                                             struct mni_collection *collection_out,
                                             struct mn_error *err);
/* Looks into the cache of names. Read lock held. */
bool catalogue_knows(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                     struct mni_collection *collection_out);
/* The next number, 1 or more. */
MN_MUST_USE mn_status catalogue_counter_decode(struct mn_slice payload, uint64_t *next_number_out,
                                               struct mn_error *err);
/* Reads the counter of collection numbers; while opening, before the log is read and after. */
MN_MUST_USE mn_status catalogue_load_counter(struct mni_engine *engine, struct mn_error *err);

/* Encoded row of a collection. */
void catalogue_row_encode(const struct mni_collection *collection,
                          unsigned char out[CATALOGUE_ROW_BYTES]);
/* `lsn` is that of the row's record: a row that says created at 0 was created by it. The key is one
 * of a collection. */
MN_MUST_USE mn_status catalogue_row_decode(const struct mni_record *row, uint64_t lsn,
                                           struct mni_collection *collection_out,
                                           struct mn_error *err);
/* Whether a row of this key is a collection, and not a name or the counter. */
bool catalogue_is_collection(struct mn_slice key);
struct mn_slice catalogue_counter_key(void);
/* Gives the names of up to `n_max` collections of a kind, which are numbers, in their order: those
 * behind `after`, whose data may be NULL. */
typedef void take_name_fn(void *out, size_t index, const unsigned char *name);
MN_MUST_USE mn_status catalogue_list(struct mni_engine *engine, enum mni_kind kind,
                                     struct mn_slice after, take_name_fn *take, void *out,
                                     size_t n_max, size_t *n_out, struct mn_error *err);
/* Empties the cache of names: the catalogue changes. Write lock held, or nobody else is there. */
void catalogue_forget_names(struct mni_engine *engine);

/* space.c ----------*/

/* What is said of a space behind the fixed part of its row. */
struct space_fields {
    struct mn_slice name; /* empty: it has none */
    struct mni_space_settings settings;
    bool is_untrimmed;
    uint64_t known_from_lsn; /* 0: that of the row, if there is history */
};
/* The fields' bytes in a row that was decoded, and what they say. */
struct mn_slice space_fields_of(const struct mni_record *row);
MN_MUST_USE mn_status space_fields_decode(struct mn_slice bytes, struct space_fields *fields_out,
                                          struct mn_error *err);
/* `before` is what the row had, of which the fields stay that nobody knows here. MN_ERR_LIMIT. */
MN_MUST_USE mn_status space_fields_encode(const struct space_fields *fields, struct mn_slice before,
                                          unsigned char out[SPACE_FIELDS_BYTES_MAX],
                                          size_t *n_bytes_out, struct mn_error *err);
/* How the records of a space lie in segments. */
struct space_layout {
    uint64_t collection;
    uint32_t keyframe_every; /* 0: vectors are stored whole */
};
/* Of all spaces that there are at an LSN, which is as in engine_list_collections, in the order of
 * their collections. The caller frees them. */
MN_MUST_USE mn_status engine_list_layouts(struct mni_engine *engine, uint64_t lsn,
                                          struct space_layout **layouts_out, size_t *n_out,
                                          struct mn_error *err);
bool space_is_same(const struct mni_space_settings *a, const struct mni_space_settings *b);
/* Whether a space keeps neither every point nor just the newest version of each. */
bool space_is_kept(const struct mni_space_settings *settings);
/* Which space has the name that is the key of this row. */
MN_MUST_USE mn_status space_name_decode(const struct mni_record *row, uint32_t *space_out,
                                        struct mn_error *err);
/* Counts the rows of spaces and names; while opening. */
MN_MUST_USE mn_status space_count_rows(struct mni_engine *engine, struct mn_error *err);

/* history.c ----------*/

/* How far a sweep of a history came. */
struct history_cursor {
    struct mni_history_key after;
    bool has_after;
};
/* Deletes versions that died too long ago, one commit of them, and goes on. MN_END: that was all,
 * also where there is no history. MN_CHANGED: others are in the way. */
MN_MUST_USE mn_status history_trim_slice(struct mni_engine *engine, uint32_t space,
                                         struct history_cursor *cursor, uint64_t *n_removed,
                                         struct mn_error *err);

/* space_sweep.c ----------*/

/* Sweeps spaces whose time has come, until `end_us` (monotonic). `sweep_lock` is held. */
void spaces_sweep_due(struct mni_engine *engine, int64_t end_us, uint64_t *n_swept);
void spaces_forget_duties(struct mni_engine *engine);
/* Goes on with what an earlier process had begun, if it can; while opening. */
void spaces_finish_trims(struct mni_engine *engine);

/* commit.c ----------*/

enum mni_admit engine_admit(void *context, struct mni_commit *commit, bool is_first);
void engine_publish(void *context, struct mni_commit *first);
void engine_abandon_commit(void *context, struct mni_commit *commit);
/* Takes the dropped collection's records out of the counts and notes it for reclaiming. Write lock
 * held. `node` and `rows` are taken over. */
void engine_note_drop(struct mni_engine *engine, struct dropped *node, struct dropped_rows *rows,
                      uint64_t collection, uint64_t lsn);
/* Removes up to `n_max` keys of dropped collections that no view sees. Write lock held. */
void engine_reclaim(struct mni_engine *engine, uint64_t oldest_view_lsn, size_t n_max);

/* replay.c ----------*/

mn_status engine_replay(void *context, const struct mni_wal_entry *entry, struct mn_error *err);
/* Numbers of collections that the commits of a log name, one after the other. */
struct catalogue_numbers {
    uint64_t next;    /* what the counter says; 0: not known yet */
    uint64_t largest; /* of the rows of the commit that is read */
};

/* MN_ERR_CORRUPT for a record of collection 0 that no writer wrote. `numbers` may be NULL. */
MN_MUST_USE mn_status engine_check_catalogue_record(const struct mni_record *r, uint64_t lsn,
                                                    struct catalogue_numbers *numbers,
                                                    struct mn_error *err);
/* Behind the last record of a commit. The number of every row is below the counter, which never
 * goes back: otherwise the next collection would get the number of another, or of the catalogue. */
MN_MUST_USE mn_status engine_check_numbers(struct catalogue_numbers *numbers, struct mn_error *err);

/* inspect.c ----------*/

/* Reads the log of a store whose directory is open and locked, without changing anything. */
MN_MUST_USE mn_status engine_read_log(struct mni_env *env, struct mni_dir *dir,
                                      const struct store_file *store, mn_recovery recovery,
                                      mni_wal_replay_fn *each, void *context,
                                      struct mni_wal_stats *stats_out, struct mn_error *err);

/* settings.c ----------*/

/* Tells those who look at them often. `settings_lock` is held, or nobody else is there. */
void engine_use_settings(struct mni_engine *engine);
uint64_t setting_default(enum setting setting);
/* Every setting has its default. */
void settings_init(struct store_file *store);
bool setting_in_range(enum setting setting, uint64_t value);
/* Index of a setting by name, N_SETTINGS when there is none. */
enum setting setting_by_name(const char *key, size_t key_bytes);
void setting_format(enum setting setting, uint64_t value, char out[SETTING_VALUE_BYTES]);
MN_MUST_USE mn_status setting_parse(enum setting setting, const char *text, uint64_t *value_out,
                                    struct mn_error *err);
/* The same of texts; the default of each is empty. */
const char *text_setting_name(enum text_setting setting);
enum text_setting text_setting_by_name(const char *key, size_t key_bytes);
MN_MUST_USE mn_status text_setting_check(enum text_setting setting, struct mn_slice text,
                                         struct mn_error *err);

/* store_file.c ----------*/

/* The file's bytes, and back. MN_ERR_CORRUPT, MN_ERR_UNSUPPORTED. */
void store_file_encode(const struct store_file *store, unsigned char bytes[STORE_FILE_BYTES]);
MN_MUST_USE mn_status store_file_decode(const unsigned char bytes[STORE_FILE_BYTES],
                                        struct store_file *store_out, struct mn_error *err);
/* That of a store, also while somebody has it open. MN_ERR_NO_STORE. */
MN_MUST_USE mn_status store_file_of(struct mni_env *env, const char *path,
                                    struct store_file *store_out, struct mn_error *err);
/* Reads STORE. MN_NOT_FOUND: the directory has none. */
MN_MUST_USE mn_status store_file_read(struct mni_dir *dir, struct store_file *store_out,
                                      struct mn_error *err);
/* Writes it anew, durable when it returns. */
MN_MUST_USE mn_status store_file_write(struct mni_dir *dir, const struct store_file *store,
                                       struct mn_error *err);
/* Writes the one that goes with a manifest that is to come: STORE.<number>. It becomes STORE when
 * that manifest, or a later one, is there. */
MN_MUST_USE mn_status store_file_prepare(struct mni_dir *dir, const struct store_file *store,
                                         uint64_t manifest_number, struct mn_error *err);
/* Takes such a file that is found for STORE, if the newest manifest says so; otherwise it means
 * nothing and is removed. A reader changes no file. The directory is not synced. */
MN_MUST_USE mn_status store_file_settle(struct mni_dir *dir, uint64_t manifest_number,
                                        bool read_only, struct store_file *store,
                                        struct mn_error *err);

/* sweep.c ----------*/

MN_MUST_USE mn_status sweeper_start(struct mni_engine *engine, struct mn_error *err);
void sweeper_stop(struct mni_engine *engine);

/* open.c ----------*/

/* What the log gave back must be in the segments, and the log is never behind them, but right after
 * a restore: MN_ERR_CORRUPT, if it is not so. */
MN_MUST_USE mn_status engine_check_log(const struct mni_manifest *manifest, uint64_t checkpoint_lsn,
                                       uint64_t last_lsn, struct mn_error *err);

/* In a directory in which a restore makes a store: until it is gone, there is none. */
#define RESTORE_MARK "RESTORE"

/* Commits from elsewhere, with which a store that a restore makes is opened instead of its log's.
 */
struct feed {
    /* Replays them, by engine_replay. */
    mn_status (*run)(struct feed *feed, struct mn_error *err);
    /* Says in the manifest of such a commit which timelines lead to it. */
    mn_status (*add_history)(struct feed *feed, struct mni_manifest *manifest);
    void *context;
    struct mni_engine *engine; /* set when it is opened */
    uint64_t lsn;              /* set by `run`: of the newest one */
    int64_t time_us;
};

/* Opens a store that a restore makes, with its mark. `feed` may be NULL. */
MN_MUST_USE mn_status engine_open_marked(struct mni_env *env, const char *path,
                                         const struct mn_options *options, struct feed *feed,
                                         struct mni_engine **engine_out, struct mn_error *err);

/* A new one that has nothing yet. */
MN_MUST_USE mn_status engine_new(struct mni_env *env, bool read_only,
                                 struct mni_engine **engine_out, struct mn_error *err);

/* snapshot.c ----------*/

/* Removes what a snapshot that was cut off left in the directory tmp. */
MN_MUST_USE mn_status snapshot_clear_staged(struct mni_engine *engine, struct mn_error *err);

/* still.c ----------*/

/* What segments and a manifest show, without a log: to be read. Takes over the manifest and, if it
 * succeeds, the directory. */
MN_MUST_USE mn_status engine_open_still(struct mni_env *env, const struct store_file *store,
                                        struct mni_manifest *manifest, struct mni_dir *seg_dir,
                                        struct mni_engine **engine_out, struct mn_error *err);
/* The same of a loaded snapshot; it and the pool are borrowed. */
MN_MUST_USE mn_status engine_open_shown(struct mni_env *env, struct mni_pool_dir *pool,
                                        const struct mni_snapshot *shown,
                                        struct mni_engine **engine_out, struct mn_error *err);

/* open.c ----------*/

/* Opens and locks the directory, and reads STORE. MN_ERR_NO_STORE, MN_ERR_IN_USE. */
MN_MUST_USE mn_status engine_open_dir(struct mni_env *env, const char *path, bool create,
                                      bool read_only, struct mni_dir **dir_out,
                                      struct store_file *store_out, bool *is_new_out,
                                      struct mn_error *err);

#endif
