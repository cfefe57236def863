/*
 * answers_mneme.h - answers in a semantic cache, for what is measured of Mneme alone.
 */
#ifndef MNEME_BENCH_ANSWERS_MNEME_H
#define MNEME_BENCH_ANSWERS_MNEME_H

#include "answers.h"
#include "mneme/mneme.h"
#include "mneme/semcache.h"

/* `pinned_bytes_max` 0: the default. */
mn_store *answers_mneme_open(const char *dir, uint64_t pinned_bytes_max);
void answers_mneme_close(mn_store *store);
/* The smallest call there is. The first one builds the index. */
void answers_mneme_first_call(mn_store *store);
/* Reads the first `n` answers. */
void answers_mneme_read(mn_store *store, size_t n);
/* Holds the first `n` answers, which the caller releases. */
void answers_mneme_pin(mn_store *store, size_t n, struct mn_semcache_handle *handles_out);

#endif
