/*
 * crash.h - an in-memory disk that can lose power at any call.
 *
 * The model, after what ext4, xfs and NVMe drives really do:
 *
 *   - A write goes to the page cache as 512-byte sectors. Until a sync of the file succeeds, or for
 *     `write_durable` until that call returns, each dirty sector reaches the disk or not, in any
 *     combination. A sector is never torn. A sector written twice since the last sync may hold the
 *     older, the newer, or the durable content.
 *   - A file's length that was not synced may be the durable one or any later one. Space gained by
 *     a durable length without durable content reads as zeroes.
 *   - New names, removed names and renames belong to their directory and stay pending until its
 *     sync succeeds. After a crash any prefix of a directory's pending changes has happened; a
 *     rename is old or new, never both names gone.
 *   - A failed sync leaves the pages marked clean: reading still shows the data, later syncs
 *     succeed without writing those sectors, and a crash may lose them, until they are written
 *     again. The same for directories.
 *   - Cutting inside a call: the call may have happened, not at all, or (writes, syncs) in any
 *     part.
 *
 * After the cut every call fails with MN_ERR_IO and changes nothing, until mni_crash_env_restart.
 * Deterministic: equal seeds and equal calls give equal disks.
 *
 * Threads: one at a time; mni_env_has_threads answers false.
 */
#ifndef MNI_IO_CRASH_H
#define MNI_IO_CRASH_H

#include "io/env.h"

/* The kinds of call that can be cut. */
enum mni_crash_step {
    MNI_CRASH_OPEN_FILE,
    MNI_CRASH_CREATE_FILE,
    MNI_CRASH_OPEN_DIR,
    MNI_CRASH_READ,
    MNI_CRASH_WRITE,
    MNI_CRASH_WRITE_DURABLE,
    MNI_CRASH_SYNC,
    MNI_CRASH_ALLOCATE,
    MNI_CRASH_TRUNCATE,
    MNI_CRASH_SIZE,
    MNI_CRASH_LIST,
    MNI_CRASH_RENAME,
    MNI_CRASH_UNLINK,
    MNI_CRASH_DIR_SYNC,
    MNI_CRASH_LOCK,
    MNI_CRASH_N_STEPS,
};

struct mni_crash_env;

MN_MUST_USE mn_status mni_crash_env_new(uint64_t seed, struct mni_crash_env **env_out);
void mni_crash_env_free(struct mni_crash_env *env); /* all its handles are closed before */
struct mni_env *mni_crash_env_base(struct mni_crash_env *env);

/* Cuts the power at the `n`-th disk call from now (1 = the next); 0 = not. */
void mni_crash_env_cut_at(struct mni_crash_env *env, uint64_t n);
bool mni_crash_env_is_cut(const struct mni_crash_env *env);
enum mni_crash_step mni_crash_env_cut_step(const struct mni_crash_env *env);
const char *mni_crash_step_name(enum mni_crash_step step);

/* Makes the `n`-th sync (of a file or directory) or durable write from now fail with EIO. */
void mni_crash_env_fail_sync_at(struct mni_crash_env *env, uint64_t n);

/* Number of choices (dirty sectors and pending directory changes) that a crash now would make. */
size_t mni_crash_env_n_pending(const struct mni_crash_env *env);

/* Turns the power off and on: pending choices are made at random, or by the bits of `mask` in a
 * fixed order (first choice = lowest bit) when `use_mask` is set. Locks are gone. Handles opened
 * before stay dead: closing them is all one may do. */
void mni_crash_env_restart(struct mni_crash_env *env, bool use_mask, uint64_t mask);

uint64_t mni_crash_env_n_calls(const struct mni_crash_env *env);      /* disk calls so far */
void mni_crash_env_advance_us(struct mni_crash_env *env, int64_t us); /* moves both clocks */
void mni_crash_env_set_wall_us(struct mni_crash_env *env, int64_t wall_us);

#endif
