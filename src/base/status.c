/*
 * status.c - status names and error messages.
 *
 * Owns:    nothing; writes into the caller's struct mn_error.
 * Threads: any.
 * Fails:   never; a message that is too long is cut at a character border.
 */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

const char *mn_status_name(mn_status status)
{
    switch (status) {
#define NAME(s)                                                                                    \
    case s:                                                                                        \
        return #s;
        NAME(MN_OK)
        NAME(MN_NOT_FOUND)
        NAME(MN_END)
        NAME(MN_EXISTS)
        NAME(MN_CHANGED)
        NAME(MN_ERR_INVALID)
        NAME(MN_ERR_NOMEM)
        NAME(MN_ERR_IO)
        NAME(MN_ERR_NO_SPACE)
        NAME(MN_ERR_CORRUPT)
        NAME(MN_ERR_IN_USE)
        NAME(MN_ERR_LIMIT)
        NAME(MN_ERR_DIMENSION)
        NAME(MN_ERR_CONFLICT)
        NAME(MN_ERR_READ_ONLY)
        NAME(MN_ERR_POISONED)
        NAME(MN_ERR_NO_STORE)
        NAME(MN_ERR_FORKED)
        NAME(MN_ERR_BUSY)
        NAME(MN_ERR_UNSUPPORTED)
        NAME(MN_ERR_ACCESS)
        NAME(MN_ERR_CANCELLED)
        NAME(MN_ERR_BUDGET)
        NAME(MN_ERR_TIMEOUT)
        NAME(MN_ERR_REMOTE)
#undef NAME
    }
    return "MN_?";
}

/* Cuts an incomplete UTF-8 sequence that snprintf left at the end of a full buffer. */
static void trim_broken_tail(char *text)
{
    size_t n = strlen(text);
    size_t back = 0;

    while (back < n && back < 4 && ((unsigned char)text[n - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back == n)
        return;
    unsigned char lead = (unsigned char)text[n - 1 - back];
    size_t need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (need > back)
        text[n - 1 - back] = '\0';
}

/* A message is one line of UTF-8, whatever names of files and namespaces stand in it. */
static void scrub(char *text)
{
    size_t n;

    trim_broken_tail(text);
    n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        size_t end = i + mni_utf8_valid_prefix(text + i, n - i);
        for (; i < end; i++)
            if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
                text[i] = '?';
        if (i < n)
            text[i] = '?';
    }
}

static void set_message(struct mn_error *err, mn_status status, int os_errno, const char *format,
                        va_list args)
{
    err->status = status;
    err->os_errno = os_errno;
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    if (n < 0)
        err->message[0] = '\0';
    scrub(err->message);
}

mn_status mni_fail(struct mn_error *err, mn_status status, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        set_message(err, status, 0, format, args);
        va_end(args);
    }
    return status;
}

static mn_status status_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOMEM:
        return MN_ERR_NOMEM;
    case ENOSPC:
    case EDQUOT:
        return MN_ERR_NO_SPACE;
    case EACCES:
    case EPERM:
        return MN_ERR_ACCESS;
    case EROFS:
        return MN_ERR_READ_ONLY;
    case ENOENT:
        return MN_NOT_FOUND;
    case EEXIST:
        return MN_EXISTS;
    default:
        return MN_ERR_IO;
    }
}

mn_status mni_fail_os(struct mn_error *err, int os_errno, const char *format, ...)
{
    mn_status status = status_of_errno(os_errno);

    if (err != NULL) {
        char reason[128];
        va_list args;
        va_start(args, format);
        set_message(err, status, os_errno, format, args);
        va_end(args);
        if (strerror_r(os_errno, reason, sizeof reason) != 0)
            (void)snprintf(reason, sizeof reason, "error %d", os_errno);
        size_t n = strlen(err->message);
        (void)snprintf(err->message + n, sizeof err->message - n, ": %s", reason);
        scrub(err->message);
    }
    return status;
}

void mni_error_prefix(struct mn_error *err, const char *format, ...)
{
    char message[MN_ERROR_MESSAGE_BYTES];
    va_list args;

    if (err == NULL)
        return;
    va_start(args, format);
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof message)
        return;
    (void)snprintf(message + n, sizeof message - (size_t)n, ": %s", err->message);
    memcpy(err->message, message, sizeof message);
    scrub(err->message);
}
