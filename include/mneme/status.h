/*
 * status.h - what every call of Mneme answers.
 *
 * Zero is success. A positive value is an answer, not a fault (there is no such record, the
 * iteration is over). A negative value is an error; nothing has changed unless the function says
 * otherwise. Values are never reused for another meaning.
 */
#ifndef MNEME_STATUS_H
#define MNEME_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MN_API __attribute__((visibility("default")))
#define MN_MUST_USE __attribute__((warn_unused_result))
#define MN_PRINTF(format_index, first_index)                                                       \
    __attribute__((format(printf, format_index, first_index)))
#else
#define MN_API
#define MN_MUST_USE
#define MN_PRINTF(format_index, first_index)
#endif

typedef enum mn_status {
    MN_OK = 0,

    MN_NOT_FOUND = 1, /* no such record, namespace, file or setting */
    MN_END = 2,       /* the iteration is over */
    MN_EXISTS = 3,    /* put-if-absent: the record is there already */
    MN_CHANGED = 4,   /* put-if-LSN: the record is missing or carries another LSN */

    MN_ERR_INVALID = -1,      /* an argument or an input breaks a stated rule */
    MN_ERR_NOMEM = -2,        /* an allocation failed */
    MN_ERR_IO = -3,           /* the operating system reported an error; see os_errno */
    MN_ERR_NO_SPACE = -4,     /* the file system or a quota is full */
    MN_ERR_CORRUPT = -5,      /* stored bytes are damaged, missing or contradict each other */
    MN_ERR_IN_USE = -6,       /* another handle or process holds the store */
    MN_ERR_LIMIT = -7,        /* larger than a limit in limits.h */
    MN_ERR_DIMENSION = -8,    /* the vector does not have the namespace's number of dimensions */
    MN_ERR_CONFLICT = -9,     /* another commit changed what this transaction writes */
    MN_ERR_READ_ONLY = -10,   /* the store was opened for reading, or its file system is */
    MN_ERR_POISONED = -11,    /* a write or sync of the log failed; reopen the store to write */
    MN_ERR_NO_STORE = -12,    /* the directory holds no store */
    MN_ERR_FORKED = -13,      /* the handle was opened by another process and used after fork */
    MN_ERR_BUSY = -14,        /* views, iterators, searches, transactions or cursors are open */
    MN_ERR_UNSUPPORTED = -15, /* written by a newer version, or not built in */
    MN_ERR_ACCESS = -16,      /* the operating system denied access */
    MN_ERR_CANCELLED = -17,   /* stopped because the caller asked for it */
    MN_ERR_BUDGET = -18,      /* beyond a budget of the store: memory_bytes_max, pinned_bytes_max */
    MN_ERR_TIMEOUT = -19,     /* the deadline passed; whether a write happened is unknown */
    MN_ERR_REMOTE = -20,      /* the object store cannot be reached, or answers errors only */
} mn_status;

enum { MN_ERROR_MESSAGE_BYTES = 512 };

/*
 * Details of a failure, in storage of the caller; pass NULL where they are not wanted. Filled only
 * when a call returns something other than MN_OK; the first error of a call wins. `message` is
 * UTF-8, NUL-terminated, one line, without a trailing newline or full stop.
 */
struct mn_error {
    mn_status status;
    int os_errno; /* errno of the system call that failed, or 0 */
    char message[MN_ERROR_MESSAGE_BYTES];
};

/* Returns the name of a status ("MN_ERR_IO"), or "MN_?" for a number that is none. Never NULL; the
 * string is static. Any thread. */
MN_API const char *mn_status_name(mn_status status);

#ifdef __cplusplus
}
#endif
#endif
