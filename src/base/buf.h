/*
 * buf.h - a growable byte buffer.
 */
#ifndef MNI_BASE_BUF_H
#define MNI_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Zero-initialised is empty and valid. Grows by doubling up to what is asked. */
struct mni_buf {
    unsigned char *data; /* owned */
    size_t n_bytes;
    size_t capacity_bytes;
};

void mni_buf_done(struct mni_buf *buf);  /* frees the memory; leaves an empty buffer */
void mni_buf_reset(struct mni_buf *buf); /* empties it and keeps the memory */

/* Makes room for `n` more bytes. MN_ERR_NOMEM leaves the buffer as it was. */
MN_MUST_USE mn_status mni_buf_reserve(struct mni_buf *buf, size_t n);

/* Appends bytes; MN_ERR_NOMEM leaves the buffer as it was. */
MN_MUST_USE mn_status mni_buf_append(struct mni_buf *buf, const void *data, size_t n);

#endif
