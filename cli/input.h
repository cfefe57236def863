/*
 * input.h - reads what a file or a pipe has, as soon as it has something.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stddef.h>

#include "mneme/types.h"

/* Waits for bytes and reads at most `capacity` of them; none at the end. MN_ERR_CANCELLED: the
 * process was asked to stop meanwhile. MN_ERR_IO. */
MN_MUST_USE mn_status input_read(int fd, void *bytes_out, size_t capacity, size_t *n_bytes_out,
                                 struct mn_error *err);

#endif
