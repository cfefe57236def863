/*
 * disk.h - the files below a directory: what they take up, whether they lie in the page cache, and
 * copying them as plainly as can be.
 */
#ifndef MNEME_BENCH_DISK_H
#define MNEME_BENCH_DISK_H

#include <stdbool.h>

/* What the files take up on the disk. */
double disk_bytes(const char *dir);

/* Reads all files into the page cache; or drops them from it, written back. */
void disk_cache_fill(const char *dir);
void disk_cache_drop(const char *dir);

/* Copies the files of a directory, not those of directories in it, into an empty one: read, pwrite,
 * one fdatasync per file. Returns their bytes. */
double disk_copy(const char *from, const char *to);

bool disk_is_same(const char *one_dir, const char *other_dir);

#endif
