/*
 * archive_private.h - the archive of a store's log, for those that keep it and those that read it.
 */
#ifndef MNI_ENGINE_ARCHIVE_PRIVATE_H
#define MNI_ENGINE_ARCHIVE_PRIVATE_H

#include "engine/engine_private.h"

/* The timeline that a manifest belongs to. */
uint64_t archive_timeline(const struct mni_manifest *manifest);
/* The directory of a timeline in an archive: "<store id>-<incarnation>". */
void archive_name(const unsigned char *store_id, uint64_t incarnation,
                  char name_out[MNI_NAME_BYTES_MAX]);

/* Where the log is kept; empty: nowhere. */
void engine_archive_path(struct mni_engine *engine, char path_out[TEXT_BYTES_MAX + 1]);
/* Whether the log of a store is to be kept. */
bool engine_archives(struct mni_engine *engine);
/* Keeps all files of the log but the newest, if they are to be kept; before that none goes.
 * `checkpoint_lock` is held. */
MN_MUST_USE mn_status engine_archive_log(struct mni_engine *engine, struct mn_error *err);
/* The same of a store that nobody has open, the newest file included. The manifest's number is 0
 * where it cannot be read. */
MN_MUST_USE mn_status archive_all(struct mni_env *env, const char *path,
                                  const unsigned char *store_id,
                                  const struct mni_manifest *manifest, struct mni_dir *wal_dir,
                                  struct mn_error *err);

/* Says in the archive that the manifest's timeline has begun: without the store itself, nothing
 * else tells that the one before it was left. */
MN_MUST_USE mn_status archive_begin(struct mni_env *env, const char *path,
                                    const struct mni_manifest *manifest, struct mn_error *err);

/* MN_NOT_FOUND: nothing of this timeline was kept. */
MN_MUST_USE mn_status archive_open_timeline(struct mni_dir *archive, const unsigned char *store_id,
                                            uint64_t incarnation, struct mni_dir **dir_out,
                                            struct mn_error *err);
/* Called with each directory of a timeline; what is not MN_OK ends it. */
typedef mn_status archive_timeline_fn(void *context, const char *name, struct mni_dir *dir,
                                      struct mn_error *err);
MN_MUST_USE mn_status archive_each_timeline(struct mni_dir *archive, const unsigned char *store_id,
                                            archive_timeline_fn *fn, void *context,
                                            struct mn_error *err);
/* Which timelines lead to the newest one that something was kept of; empty: there was no restore.
 */
MN_MUST_USE mn_status archive_newest_history(struct mni_dir *archive, const unsigned char *store_id,
                                             struct mni_manifest *newest_out, struct mn_error *err);

#endif
