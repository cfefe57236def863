/*
 * posix.h - the real world: Linux system calls.
 */
#ifndef MNI_IO_POSIX_H
#define MNI_IO_POSIX_H

#include "io/env.h"

/* The one instance; immutable, never freed. */
struct mni_env *mni_posix_env(void);

#endif
