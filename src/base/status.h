/*
 * status.h - how a room reports an error.
 */
#ifndef MNI_BASE_STATUS_H
#define MNI_BASE_STATUS_H

#include "mneme/status.h"

/* Fills `err` (which may be NULL) and returns `status`, so that failing is one statement. */
MN_MUST_USE mn_status mni_fail(struct mn_error *err, mn_status status, const char *format, ...)
    MN_PRINTF(3, 4);

/* The same for a failed system call: picks the status from `os_errno` and appends its text. */
MN_MUST_USE mn_status mni_fail_os(struct mn_error *err, int os_errno, const char *format, ...)
    MN_PRINTF(3, 4);

/* For a failure that changes nothing: cleaning up after another one. */
static inline void mni_ignore(mn_status status)
{
    (void)status;
}

/* Puts "prefix: " before the message of an error that is on its way up. */
void mni_error_prefix(struct mn_error *err, const char *format, ...) MN_PRINTF(2, 3);

#endif
