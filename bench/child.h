/*
 * child.h - a measurement in a process of its own, which may end as badly as it likes.
 */
#ifndef MNEME_BENCH_CHILD_H
#define MNEME_BENCH_CHILD_H

#include <stdbool.h>
#include <stddef.h>

enum bench_child_flags {
    BENCH_ONE_CORE = 1 << 0,  /* the child and all its threads share one core */
    BENCH_KILL_SELF = 1 << 1, /* the child ends by SIGKILL: nothing is closed */
};

/* Calls `run` in a new process and returns what it returned. */
double bench_in_child(double (*run)(void *context), void *context, unsigned flags);

/* Holds this process, and what it starts, on the highest core that it may use. */
void bench_stay_on_one_core(void);

/* Memory, zeroed, that a child and this process see alike: for results of more than one number. */
void *bench_shared_new(size_t n_bytes);
void bench_shared_free(void *memory, size_t n_bytes);

/* Resident memory of this process in bytes: all of it, and what is no part of a file. */
double bench_resident_bytes(void);
double bench_anonymous_bytes(void);

/* Bytes that this process has sent to the device, or will when its pages are written back. */
double bench_written_bytes(void);

#endif
