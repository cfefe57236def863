/*
 * record.h - an env that passes calls on and keeps a trace of them, for tests of order and cost.
 */
#ifndef MNI_IO_RECORD_H
#define MNI_IO_RECORD_H

#include "io/env.h"

struct mni_record_env;

/* `below` is borrowed and outlives this env. */
MN_MUST_USE mn_status mni_record_env_new(struct mni_env *below, struct mni_record_env **env_out);
void mni_record_env_free(struct mni_record_env *env);
struct mni_env *mni_record_env_base(struct mni_record_env *env);

/* The trace since the last reset, one call a line: verb, name (of a path its last component),
 * arguments, and "ok" or the name of the status. Clocks and random numbers are left out.
 *     open_dir NAME [create]                      list NAME
 *     open NAME [write] [create] [direct]         sync_dir NAME
 *     read | write | write_durable NAME OFFSET N  lock NAME shared | exclusive
 *     sync NAME                                   rename FROM TO
 *     allocate | truncate NAME N                  unlink NAME
 *     size | map NAME                             close | unmap | close_dir NAME
 *     will_read NAME OFFSET N                     move TO from FROM
 *     link NAME from FROM                         remove_dir NAME
 * For example
 *     write 00000000000000000001.wal 4096 512 ok
 *     sync 00000000000000000001.wal ok
 * NUL-terminated; borrowed until the next call. Thread-safe to record, one reader at a time. */
const char *mni_record_env_trace(struct mni_record_env *env);
void mni_record_env_reset(struct mni_record_env *env);

#endif
