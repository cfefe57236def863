/*
 * suite_private.h - short words that the files of the suite share.
 */
#ifndef TESTS_OBJECT_SUITE_PRIVATE_H
#define TESTS_OBJECT_SUITE_PRIVATE_H

#include "check.h"
#include "object_suite.h"

/* Of the test that runs. */
extern const struct object_factory *suite_factory;
extern mn_object_store *suite_store;
extern struct mn_error suite_err;

/* Opens a fresh store at the beginning of a test, and closes it at the end. */
void suite_begin(void);
void suite_end(void);

size_t suite_key_bytes_max(void);
bool suite_is_key_fit(struct mn_slice key);

void suite_put(struct mn_slice key, struct mn_slice data);
void suite_put_text(const char *key, const char *text);
void suite_expect(struct mn_slice key, struct mn_slice data);
void suite_expect_text(const char *key, const char *text);
void suite_expect_none(const char *key);
void suite_delete(struct mn_slice key);

/* `n` bytes that differ from those of another seed. The caller frees them. */
unsigned char *suite_bytes(size_t n, uint64_t seed);

/* The keys that are listed below the prefix, in pages of this size (0 = the largest), are these. */
void suite_expect_keys(const char *prefix, const char *after, size_t page,
                       const struct mn_slice *keys, size_t n_keys);

/* Sorts keys by their bytes. */
void suite_sort(struct mn_slice *keys, size_t n_keys);

/* Tests of the other files. */
void keys_of_every_byte_come_back(void);
void awkward_keys_come_back_and_are_listed_in_order(void);
void listing_is_in_the_order_of_bytes(void);
void listing_begins_after_any_key(void);
void prefixes_are_bytes_and_not_folders(void);
void every_page_size_gives_the_same_keys(void);
void more_objects_than_a_page_are_listed(void);
void listing_shows_at_once_what_was_put_and_deleted(void);
void listing_tells_sizes_and_etags(void);
void random_histories_are_like_a_naive_model(void);
void uploads_put_parts_together_in_order(void);
void uploads_take_a_part_again(void);
void uploads_keep_the_checksum_that_was_known(void);
void uploads_of_something_else_are_refused(void);
void uploads_with_missing_parts_are_refused(void);
void uploads_with_small_parts_are_refused(void);
void uploads_are_resumed_by_their_id(void);
void uploads_that_are_over_are_not_found(void);
void uploads_are_listed_until_they_are_over(void);
void uploads_complete_under_a_condition(void);
void uploads_take_parts_from_many_threads(void);
void open_uploads_keep_the_store_open(void);

#endif
