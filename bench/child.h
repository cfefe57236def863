/*
 * child.h - a measurement in a process of its own, which may end as badly as it likes.
 */
#ifndef MNEME_BENCH_CHILD_H
#define MNEME_BENCH_CHILD_H

#include <stdbool.h>

enum bench_child_flags {
    BENCH_ONE_CORE = 1 << 0,  /* the child and all its threads share one core */
    BENCH_KILL_SELF = 1 << 1, /* the child ends by SIGKILL: nothing is closed */
};

/* Calls `run` in a new process and returns what it returned. */
double bench_in_child(double (*run)(void *context), void *context, unsigned flags);

/* Resident memory of this process in bytes. */
double bench_resident_bytes(void);

#endif
