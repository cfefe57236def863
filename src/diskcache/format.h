/*
 * format.h - byte offsets of values and of the seal: docs/format/diskcache.md.
 */
#ifndef MNI_DISKCACHE_FORMAT_H
#define MNI_DISKCACHE_FORMAT_H

#include <assert.h>
#include <stdint.h>

/* Before every value in RocksDB; the id follows, then the value. */
enum {
    VALUE_OFF_CRC = 0,      /* u32: CRC-32C of the number (u64), and of all from byte 4 on */
    VALUE_OFF_ID_BYTES = 4, /* u16 */
    VALUE_OFF_RESERVED = 6, /* u16: 0 */
    VALUE_OFF_SERIAL = 8,   /* u64: of the namespace */
    VALUE_HEADER_BYTES = 16,
};
static_assert(VALUE_OFF_SERIAL + 8 == VALUE_HEADER_BYTES, "header of a value");

#define SEAL_MAGIC UINT64_C(0x4C41455343444E4D) /* "MNDCSEAL" */
enum { SEAL_VERSION = 1 };

enum {
    SEAL_OFF_MAGIC = 0,            /* u64 */
    SEAL_OFF_VERSION = 8,          /* u32 */
    SEAL_OFF_FILES = 12,           /* u32: number of files */
    SEAL_OFF_SPACES = 16,          /* u32: number of namespaces */
    SEAL_OFF_RESERVED = 20,        /* u32: 0 */
    SEAL_OFF_ENTRIES = 24,         /* u64: number of entries */
    SEAL_OFF_NEXT_NUMBER = 32,     /* u64: greater than that of any value */
    SEAL_OFF_NEXT_SERIAL = 40,     /* u64 */
    SEAL_OFF_CLOCK = 48,           /* i64: the newest time that was seen */
    SEAL_OFF_MANIFEST_NUMBER = 56, /* u64: in the name of RocksDB's manifest */
    SEAL_OFF_MANIFEST_BYTES = 64,  /* u64: its length */
    SEAL_OFF_MANIFEST_HASH = 72,   /* u64: XXH3-64 of it */
    SEAL_OFF_BODY_BYTES = 80,      /* u64: of all that follows the header */
    SEAL_OFF_BODY_CRC = 88,        /* u32: CRC-32C of that */
    SEAL_OFF_CRC = 92,             /* u32: CRC-32C of bytes 0 to 91 */
    SEAL_HEADER_BYTES = 96,
};
static_assert(SEAL_OFF_CRC + 4 == SEAL_HEADER_BYTES, "header of the seal");

/* A file of RocksDB, by ascending numbers of values. */
enum {
    SEAL_FILE_OFF_NUMBER = 0,     /* u64: in its name */
    SEAL_FILE_OFF_BYTES = 8,      /* u64: its length */
    SEAL_FILE_OFF_TAIL_HASH = 16, /* u64: XXH3-64 of its last 4 KiB, or of all of it */
    SEAL_FILE_OFF_FIRST = 24,     /* u64: number of its first value */
    SEAL_FILE_OFF_LAST = 32,      /* u64 */
    SEAL_FILE_BYTES = 40,
    SEAL_TAIL_BYTES = 4096,
};

/* A namespace; its name follows. */
enum {
    SEAL_SPACE_OFF_SERIAL = 0,     /* u64 */
    SEAL_SPACE_OFF_NAME_BYTES = 8, /* u16 */
    SEAL_SPACE_HEADER_BYTES = 10,
};

/* An entry, by ascending numbers. */
enum {
    SEAL_ENTRY_OFF_HASH = 0,          /* 16 bytes: XXH3-128 of serial (u64) and id */
    SEAL_ENTRY_OFF_NUMBER = 16,       /* u64 */
    SEAL_ENTRY_OFF_CREATED = 24,      /* i64 */
    SEAL_ENTRY_OFF_EXPIRES = 32,      /* i64; the greatest: never */
    SEAL_ENTRY_OFF_VALUE_BYTES = 40,  /* u32 */
    SEAL_ENTRY_OFF_ACCESS_COUNT = 44, /* u32 */
    SEAL_ENTRY_OFF_SPACE = 48,        /* u32: index of the namespace */
    SEAL_ENTRY_OFF_ID_BYTES = 52,     /* u16 */
    SEAL_ENTRY_OFF_HEAT = 54,         /* u8 */
    SEAL_ENTRY_OFF_RESERVED = 55,     /* u8: 0 */
    SEAL_ENTRY_BYTES = 56,
};

#endif
