/*
 * entry_in.h - a line of JSON becomes an entry of the cache.
 */
#ifndef CLI_ENTRY_IN_H
#define CLI_ENTRY_IN_H

#include "line_in.h"
#include "mneme/semcache.h"

/* What a line says. Not to be moved: the entry may point to its key. */
struct entry_line {
    struct mn_semcache_entry entry; /* its bytes lie in the batch */
    unsigned char key[MN_SEMCACHE_KEY_BYTES];
    bool has_request;
    struct mn_slice request; /* of which the key is to be made; in the batch */
    bool has_expected_lsn;
    uint64_t expected_lsn;
};

/* Reads a line as `cache put` takes it. MN_ERR_INVALID, MN_ERR_LIMIT: the message says what is
 * wrong with the line. */
MN_MUST_USE mn_status entry_in_line(struct line_in *line, struct batch *batch, struct mn_slice text,
                                    struct entry_line *entry_out, struct mn_error *err);

#endif
