/*
 * exit_codes.h - what the command answers to the shell.
 */
#ifndef CLI_EXIT_CODES_H
#define CLI_EXIT_CODES_H

#include "mneme/status.h"

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILURE = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_NOT_FOUND = 3,
    EXIT_CODE_DAMAGED = 4, /* outranks EXIT_CODE_NOT_FOUND */
    EXIT_CODE_IN_USE = 5,
    EXIT_CODE_STOPPED = 130,
};

static inline int exit_code_of(mn_status status)
{
    switch (status) {
    case MN_OK:
        return EXIT_CODE_OK;
    case MN_NOT_FOUND:
    case MN_ERR_NO_STORE:
        return EXIT_CODE_NOT_FOUND;
    case MN_ERR_CORRUPT:
        return EXIT_CODE_DAMAGED;
    case MN_ERR_IN_USE:
        return EXIT_CODE_IN_USE;
    case MN_ERR_CANCELLED:
        return EXIT_CODE_STOPPED;
    default:
        return EXIT_CODE_FAILURE;
    }
}

#endif
