/*
 * options.h - structs of options whose first field is their size.
 */
#ifndef MNI_API_OPTIONS_H
#define MNI_API_OPTIONS_H

#include <stddef.h>

#include "base/status.h"

/* Copies a struct of options as far as the caller's version has it; the rest is zero. `from` may be
 * NULL; `what` is the name of the struct. */
MN_MUST_USE mn_status api_copy_options(const void *from, void *to, size_t to_bytes,
                                       const char *what, struct mn_error *err);

#endif
