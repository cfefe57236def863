/*
 * entry_out.h - an entry of the cache becomes a line.
 */
#ifndef CLI_ENTRY_OUT_H
#define CLI_ENTRY_OUT_H

#include "mneme/semcache.h"
#include "out.h"

/* Writes the keys of a line that `cache put` takes, into an object that was begun: the payload as
 * text where it is UTF-8. */
void entry_out_keys(struct mni_json_writer *writer, const struct mn_semcache_handle *handle,
                    bool has_embedding);

/* Writes a line that tells the sizes of embedding and payload instead. False as out.h says. */
bool entry_out_summary(struct out *out, const struct mn_semcache_handle *handle);

#endif
