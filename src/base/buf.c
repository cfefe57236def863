/*
 * buf.c - a growable byte buffer.
 *
 * Owns:    the bytes of each buffer.
 * Threads: one at a time per buffer.
 * Fails:   MN_ERR_NOMEM, with the buffer unchanged.
 */
#include "base/buf.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_CAPACITY_BYTES = 256 };

void mni_buf_done(struct mni_buf *buf)
{
    if (buf == NULL)
        return;
    mni_free(buf->data);
    *buf = (struct mni_buf){0};
}

void mni_buf_reset(struct mni_buf *buf)
{
    buf->n_bytes = 0;
}

mn_status mni_buf_reserve(struct mni_buf *buf, size_t n)
{
    size_t need;

    MNI_CHECK(buf->n_bytes <= buf->capacity_bytes);
    if (n <= buf->capacity_bytes - buf->n_bytes)
        return MN_OK;
    if (__builtin_add_overflow(buf->n_bytes, n, &need))
        return MN_ERR_NOMEM;
    size_t capacity = buf->capacity_bytes < FIRST_CAPACITY_BYTES ? FIRST_CAPACITY_BYTES
                                                                 : buf->capacity_bytes;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    unsigned char *data = mni_realloc(buf->data, capacity);
    if (data == NULL)
        return MN_ERR_NOMEM;
    buf->data = data;
    buf->capacity_bytes = capacity;
    return MN_OK;
}

mn_status mni_buf_append(struct mni_buf *buf, const void *data, size_t n)
{
    mn_status st = mni_buf_reserve(buf, n);

    if (st != MN_OK || n == 0)
        return st;
    memcpy(buf->data + buf->n_bytes, data, n);
    buf->n_bytes += n;
    return MN_OK;
}
