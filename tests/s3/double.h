/*
 * double.h - the double, from the side of a test program that with_double.py started.
 *
 * Failures end the running test; never from a thread.
 */
#ifndef TESTS_S3_DOUBLE_H
#define TESTS_S3_DOUBLE_H

#include <stddef.h>
#include <stdint.h>

#include "mneme/object.h"

enum { DOUBLE_GAPS_MAX = 64 };

/* An empty bucket, no faults, nothing seen, settings as at the start. */
void double_reset(void);

/* Plans faults, as tests/s3/faults.py describes them: JSON with ' for ". */
void double_plan(const char *faults);

/* How many planned faults are still to happen. */
uint64_t double_n_faults(void);

/* Changes settings of the double: JSON with ' for ". */
void double_set(const char *settings);

/* How many requests came, of those that `fields` selects: "operation=PutObject&key=a", or "". */
uint64_t double_count(const char *fields);

/* Milliseconds between them; returns how many. */
size_t double_gaps(const char *fields, uint64_t gaps_out[DOUBLE_GAPS_MAX]);

/* A way to the bucket, with all that it takes, and few tries. Strings are valid for ever. */
struct mn_object_s3_options double_options(void);

/* A store with these options, or with double_options(). */
mn_object_store *double_open_with(const struct mn_object_s3_options *options);
mn_object_store *double_open(void);
void double_close(mn_object_store *store);

/* The content is `text`, in the eyes of a client that begins anew. */
void double_holds(const char *key, const char *text);
void double_lacks(const char *key);

/* Puts and expects MN_OK. */
void double_put(mn_object_store *store, const char *key, const char *text);

/* An error that says something, and nothing that is secret. */
void double_says_no_secret(const struct mn_error *err);

#endif
