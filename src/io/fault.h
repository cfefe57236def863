/*
 * fault.h - an env that passes calls on to another one and fails the N-th.
 */
#ifndef MNI_IO_FAULT_H
#define MNI_IO_FAULT_H

#include "io/env.h"

struct mni_fault_env;

/* `below` is borrowed and outlives this env. */
MN_MUST_USE mn_status mni_fault_env_new(struct mni_env *below, struct mni_fault_env **env_out);
void mni_fault_env_free(struct mni_fault_env *env);
struct mni_env *mni_fault_env_base(struct mni_fault_env *env);

/* The `n`-th call from now (1 = the next; 0 = none) fails with `os_errno`. When `keep_failing` is
 * set, all calls after it that change the disk fail too: creating, writing, syncing, allocating,
 * truncating, renaming, unlinking. A write that fails has written a prefix: half of the bytes,
 * rounded down to whole sectors. All else that fails has done nothing. Closing never fails and does
 * not count; neither do clock and random. The status is the one the real env gives for this errno:
 * also MN_ERR_UNSUPPORTED for EOPNOTSUPP of allocate and EINVAL of a direct open, and MN_ERR_IN_USE
 * for EWOULDBLOCK of lock. Set it while no call runs. */
void mni_fault_env_fail_at(struct mni_fault_env *env, uint64_t n, int os_errno, bool keep_failing);
bool mni_fault_env_was_hit(const struct mni_fault_env *env);
uint64_t mni_fault_env_n_calls(const struct mni_fault_env *env); /* since the last fail_at */

/* A slow disk: all calls that change it take so much longer from now on. */
void mni_fault_env_slow_down(struct mni_fault_env *env, unsigned us);

#endif
