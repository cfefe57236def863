/*
 * map_private.h - maps of files, for posix.c.
 */
#ifndef MNI_IO_MAP_PRIVATE_H
#define MNI_IO_MAP_PRIVATE_H

#include "io/env.h"

/* How much of the files of one directory handle is mapped in large pages, and may be. NULL when
 * memory is short. Any thread. */
struct mni_map_share;
struct mni_map_share *mni_map_share_new(void);
void mni_map_share_ref(struct mni_map_share *share);
void mni_map_share_unref(struct mni_map_share *share); /* NULL is fine */

/* Maps `n_bytes` of an open file for reading; `name` is for messages. */
MN_MUST_USE mn_status mni_map_new(struct mni_map_share *share, int fd, const char *name,
                                  uint64_t n_bytes, struct mni_map **map_out, struct mn_error *err);

#endif
