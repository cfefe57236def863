/*
 * format.h - where bytes stand in the files of a directory of objects: docs/format/object.md.
 */
#ifndef MNI_OBJECT_FORMAT_H
#define MNI_OBJECT_FORMAT_H

#include <assert.h>

/* What follows the content. */
#define OBJECT_MAGIC "MNOBJECT"
enum {
    OBJECT_OFF_MAGIC = 0,      /* 8 bytes */
    OBJECT_OFF_VERSION = 8,    /* u32 */
    OBJECT_OFF_RESERVED = 12,  /* u32, 0 */
    OBJECT_OFF_BYTES = 16,     /* u64, of the content */
    OBJECT_OFF_MODIFIED = 24,  /* i64, Unix time in microseconds */
    OBJECT_OFF_HASH = 32,      /* 16 bytes, XXH3-128 of the content */
    OBJECT_OFF_CONTENT = 48,   /* u32, CRC-32C of the content */
    OBJECT_OFF_RESERVED2 = 52, /* 8 bytes, 0 */
    OBJECT_OFF_CRC = 60,       /* u32, CRC-32C of the bytes before */
    OBJECT_FOOTER_BYTES = 64,
    OBJECT_MAGIC_BYTES = 8,
    OBJECT_VERSION = 1,
};
static_assert(sizeof OBJECT_MAGIC - 1 == OBJECT_MAGIC_BYTES, "mark");
static_assert(OBJECT_OFF_CRC + 4 == OBJECT_FOOTER_BYTES, "footer layout");

/* The file MNEME-OBJECTS. */
#define MARK_MAGIC "MNOBJDIR"
enum {
    MARK_OFF_MAGIC = 0,   /* 8 bytes */
    MARK_OFF_VERSION = 8, /* u32 */
    MARK_OFF_CRC = 12,    /* u32, CRC-32C of the bytes before */
    MARK_BYTES = 16,
    MARK_VERSION = 1,
};
static_assert(sizeof MARK_MAGIC - 1 == OBJECT_MAGIC_BYTES, "mark");
static_assert(MARK_OFF_CRC + 4 == MARK_BYTES, "layout of the mark");

#endif
