/*
 * input.c - reads what a file or a pipe has, as soon as it has something.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   with a message that does not name the file; the caller knows it.
 */
#include "input.h"

#include <errno.h>
#include <unistd.h>

#include "base/status.h"
#include "stop.h"

mn_status input_read(int fd, void *bytes_out, size_t capacity, size_t *n_bytes_out,
                     struct mn_error *err)
{
    for (;;) {
        if (!stop_wait_input(fd))
            return mni_fail(err, MN_ERR_CANCELLED, "stopped");
        ssize_t n = read(fd, bytes_out, capacity);
        if (n >= 0) {
            *n_bytes_out = (size_t)n;
            return MN_OK;
        }
        if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
            return mni_fail_os(err, errno, "cannot read");
    }
}
