/*
 * crash.h - an in-memory disk that can lose power at any call.
 *
 * The model, after what ext4, xfs and NVMe drives really do:
 *
 *   - A write goes to the page cache as 512-byte sectors. Until a sync of the file succeeds, or for
 *     `write_durable` until that call returns, each dirty sector reaches the disk or not, in any
 *     combination. A sector is never torn. A sector written several times since the last sync may
 *     hold what any of these writes left, or the durable content.
 *   - A file's length that was not synced may be the durable one or any later one; a write that
 *     makes a file longer passes through the length at each 4096-byte boundary. Space gained by a
 *     durable length without durable content reads as zeroes. Truncation takes its bytes away
 *     together with its length: no crash brings them back in a file that grew again.
 *   - `write_durable` makes the sectors it touches durable and nothing else. As it syncs no
 *     metadata, a range outside of space that was written and synced before (by this power cycle or
 *     an earlier one; reserved space is not written space) fails an MNI_CHECK.
 *   - New names, removed names and renames belong to their directory and stay pending until its
 *     sync succeeds. After a crash any prefix of a directory's pending changes has happened; a
 *     rename is old or new, never both names gone. Directories are independent of each other. A
 *     file or directory without a durable name vanishes with all it holds, synced or not.
 *   - A move between directories is a change of each: the new name belongs to the one, that the old
 *     one is gone to the other. A removed directory may come back, with what its own syncs left.
 *   - A failed sync leaves the pages marked clean: reading still shows the data, later syncs
 *     succeed without writing those sectors, and a crash may lose them, until they are written
 *     again. A length that was pending then is lost likewise, until the next write, allocation or
 *     truncation. The same for directories: each change that was pending may or may not survive a
 *     crash, on its own, for ever. Later changes that are synced hold: a file goes by the newest of
 *     its names that survived, and a newer file takes a name from an older one.
 *   - Cutting inside a call: the call may have happened, not at all, or (writes, syncs) in any
 *     part. The call returns MN_ERR_IO in each case.
 *
 * After the cut every call to the disk fails with MN_ERR_IO and changes nothing, until
 * mni_crash_env_restart. Clock and random numbers are no disk and go on.
 *
 * Deterministic: equal seeds and equal calls give equal disks, clocks and random numbers.
 *
 * Paths of mni_env_open_dir are names in a flat map, compared byte by byte. Creating one is durable
 * when the call returns.
 *
 * Breaking a contract of env.h (alignment of direct transfers, bad names, writing through a handle
 * for reading) fails an MNI_CHECK rather than the call, so that no test can miss it.
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
    MNI_CRASH_MAP,
    MNI_CRASH_LINK,
    MNI_CRASH_CLONE,
    MNI_CRASH_LIST,
    MNI_CRASH_RENAME,
    MNI_CRASH_UNLINK,
    MNI_CRASH_DIR_SYNC,
    MNI_CRASH_LOCK,
    MNI_CRASH_N_STEPS,
};

struct mni_crash_env;

/* MN_ERR_NOMEM only. A disk that runs out of memory later ends the process. */
MN_MUST_USE mn_status mni_crash_env_new(uint64_t seed, struct mni_crash_env **env_out);
void mni_crash_env_free(struct mni_crash_env *env); /* all its handles are closed before */
struct mni_env *mni_crash_env_base(struct mni_crash_env *env);

/* Cuts the power at the `n`-th disk call from now (1 = the next); 0 = not. */
void mni_crash_env_cut_at(struct mni_crash_env *env, uint64_t n);
bool mni_crash_env_is_cut(const struct mni_crash_env *env);
/* The call that was cut; MNI_CRASH_N_STEPS when none was since the last restart. */
enum mni_crash_step mni_crash_env_cut_step(const struct mni_crash_env *env);
const char *mni_crash_step_name(enum mni_crash_step step); /* "write_durable"; static */

/* Makes the `n`-th sync (of a file or directory) or durable write from now fail with EIO; 0 = none.
 * Syncs that fail because the power is off do not count. */
void mni_crash_env_fail_sync_at(struct mni_crash_env *env, uint64_t n);

/*
 * Number of choices a crash now would make, of two outcomes each. In order:
 *
 *     each file, in the order of creation:
 *         each pending length, oldest first       the newest that is chosen holds, else the durable
 *         each dirty sector, ascending:
 *             each write to it, oldest first      the newest that is chosen holds, else the durable
 *     each directory, in the order of creation:
 *         each pending change, oldest first       happens if it and all before it are chosen;
 *                                                 after a failed sync: if it is chosen
 *     each path, in the order of creation, whose mni_env_open_dir was cut
 */
size_t mni_crash_env_n_pending(const struct mni_crash_env *env);

/* Turns the power off and on: the choices are made at random, or by the bits of `mask` when
 * `use_mask` is set (first choice = lowest bit, 1 = chosen; at most 64 may be pending then). Locks
 * are gone, and so are the calls of cut_at and fail_sync_at. Handles opened before stay dead:
 * closing them is all one may do, other calls return MN_ERR_IO and count as no call. */
void mni_crash_env_restart(struct mni_crash_env *env, bool use_mask, uint64_t mask);

/* Disk calls so far, the one that was cut included, those without power not. */
uint64_t mni_crash_env_n_calls(const struct mni_crash_env *env);

/* Both clocks start at fixed times and move 1 us per reading of either. */
void mni_crash_env_advance_us(struct mni_crash_env *env, int64_t us); /* moves both; us >= 0 */
void mni_crash_env_set_wall_us(struct mni_crash_env *env, int64_t wall_us);

#endif
