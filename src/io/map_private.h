/*
 * map_private.h - maps of files, for posix.c.
 */
#ifndef MNI_IO_MAP_PRIVATE_H
#define MNI_IO_MAP_PRIVATE_H

#include "io/env.h"

/* Maps `n_bytes` of an open file for reading; `name` is for messages. */
MN_MUST_USE mn_status mni_map_new(int fd, const char *name, uint64_t n_bytes,
                                  struct mni_map **map_out, struct mn_error *err);

#endif
