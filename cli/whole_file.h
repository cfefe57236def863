/*
 * whole_file.h - an output file that is there whole or not at all.
 *
 * It is written under a temporary name beside its place and takes that place at the end: a file
 * that was there stays as it is until then. Ctrl-C removes what is not finished.
 *
 *     whole_file_begin -> whole_file_append ... -> whole_file_commit
 *                         whole_file_patch      -> whole_file_abandon
 *
 * An error names what is wrong, not the file.
 */
#ifndef CLI_WHOLE_FILE_H
#define CLI_WHOLE_FILE_H

#include <stdbool.h>

#include "base/buf.h"

/* Zero-initialised holds nothing and may be abandoned. One of them at a time: Ctrl-C removes the
 * file of one. */
struct whole_file {
    bool is_made; /* under its temporary name */
    bool is_open;
    int fd;                 /* owned */
    char *target_path;      /* owned; where it will be */
    char *temporary_path;   /* owned */
    struct mni_buf pending; /* appended and not yet written */
    uint64_t written_bytes;
};

/* Whether a file at `path` would lie in `folder` or deeper, links followed. */
bool whole_file_is_below(const char *path, const char *folder);

/* Begins a file that is to be at `path`, where nothing is or a regular file, which may be a link's
 * target. */
MN_MUST_USE mn_status whole_file_begin(struct whole_file *file, const char *path,
                                       struct mn_error *err);

MN_MUST_USE mn_status whole_file_append(struct whole_file *file, const void *data, size_t n_bytes,
                                        struct mn_error *err);

/* Writes over bytes that were appended. */
MN_MUST_USE mn_status whole_file_patch(struct whole_file *file, uint64_t offset, const void *data,
                                       size_t n_bytes, struct mn_error *err);

/* Syncs it and puts it in its place. Nothing is left to abandon, also after an error. When it is in
 * its place Ctrl-C ends nothing any more, so that nobody is told that it is missing. */
MN_MUST_USE mn_status whole_file_commit(struct whole_file *file, struct mn_error *err);

/* Removes what was written, if anything. */
void whole_file_abandon(struct whole_file *file);

#endif
