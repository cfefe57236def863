/*
 * api.h - the public functions in a world of the caller's choice, for tests.
 *
 * What programs use is include/mneme/; it runs in the real world (io/posix.h).
 */
#ifndef MNI_API_API_H
#define MNI_API_API_H

#include "io/env.h"
#include "mneme/diskcache.h"
#include "mneme/object.h"
#include "mneme/ramcache.h"
#include "mneme/snapshot.h"
#include "mneme/store.h"
#include "mneme/wal.h"

/* mn_open in this world, which is borrowed and outlives the store. */
MN_MUST_USE mn_status mni_api_store_open(struct mni_env *env, const char *path,
                                         const struct mn_options *options, mn_store **store_out,
                                         struct mn_error *err);

/* mn_salvage in this world. */
MN_MUST_USE mn_status mni_api_salvage(struct mni_env *env, const char *from, const char *to,
                                      const struct mn_salvage_options *options,
                                      struct mn_salvage_report *report_out, struct mn_error *err);

/* mn_snapshots_open and mn_snapshots_open_of in this world, which outlives the handle. */
MN_MUST_USE mn_status mni_api_snapshots_open(struct mni_env *env, const char *path,
                                             mn_snapshots **snapshots_out, struct mn_error *err);
MN_MUST_USE mn_status mni_api_snapshots_open_of(struct mni_env *env, const char *store_path,
                                                mn_snapshots **snapshots_out, struct mn_error *err);

/* Makes a handle of an engine that was opened with options that mn_open refuses, such as smaller
 * log files. MN_OK takes the engine over. */
struct mni_engine;
MN_MUST_USE mn_status mni_api_store_of_engine(struct mni_engine *engine, mn_store **store_out);

/* Frees the handle as if the process had ended: nothing is synced or sealed. NULL is fine. */
void mni_api_store_abandon(mn_store *store);

/* The engine below a handle; borrowed. */
struct mni_engine *mni_api_store_engine(mn_store *store);

/* mn_diskcache_open in this world, which is borrowed and outlives the cache; RocksDB lives in the
 * real one. */
MN_MUST_USE mn_status mni_api_diskcache_open(struct mni_env *env,
                                             const struct mn_diskcache_options *options,
                                             mn_diskcache **cache_out, struct mn_error *err);

/* Frees the handle as if the process had ended: nothing is sealed. NULL is fine. */
void mni_api_diskcache_abandon(mn_diskcache *cache);

/* mn_wal_open in this world, which is borrowed and outlives the log. */
MN_MUST_USE mn_status mni_api_wal_open(struct mni_env *env, const char *path,
                                       const struct mn_wal_options *options, mn_wal **wal_out,
                                       struct mn_error *err);

/* Frees the handle as if the process had ended: nothing is synced or sealed. NULL is fine. */
void mni_api_wal_abandon(mn_wal *wal);

/* A handle of a back end that the caller opened, and that it closes; in any case. `label` names the
 * store in messages. */
struct mni_object_store;
MN_MUST_USE mn_status mni_api_object_new(struct mni_env *env, struct mni_object_store *store,
                                         const char *label, mn_object_store **store_out,
                                         struct mn_error *err);

/* mn_object_open_dir in this world, which is borrowed and outlives the store. */
MN_MUST_USE mn_status mni_api_object_open_dir(struct mni_env *env, const char *path,
                                              const struct mn_object_dir_options *options,
                                              mn_object_store **store_out, struct mn_error *err);

/* The log below a handle; borrowed. */
struct mni_wal;
struct mni_wal *mni_api_wal_log(mn_wal *wal);

/* mn_ramcache_new in this world, which is borrowed and outlives the cache. */
MN_MUST_USE mn_status mni_api_ramcache_new(struct mni_env *env,
                                           const struct mn_ramcache_options *options,
                                           mn_ramcache **cache_out, struct mn_error *err);

/* The cache below a handle; borrowed. */
struct mni_ramcache;
struct mni_ramcache *mni_api_ramcache_inside(mn_ramcache *cache);

#endif
