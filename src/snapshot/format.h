/*
 * format.h - offsets in a snapshot file; the spec is docs/format/snapshot.md.
 */
#ifndef MNI_SNAPSHOT_FORMAT_H
#define MNI_SNAPSHOT_FORMAT_H

#include <assert.h>
#include <stdint.h>

#define SNAPSHOT_MAGIC "MNEMESNP"

enum {
    SNAPSHOT_VERSION = 1,

    HEADER_OFF_MAGIC = 0,        /* 8 bytes */
    HEADER_OFF_VERSION = 8,      /* u32 */
    HEADER_OFF_FLAGS = 12,       /* u32, enum mni_snapshot_flags */
    HEADER_OFF_ID = 16,          /* 16 bytes */
    HEADER_OFF_STORE_ID = 32,    /* 16 bytes */
    HEADER_OFF_PARENT = 48,      /* 16 bytes */
    HEADER_OFF_LSN = 64,         /* u64 */
    HEADER_OFF_TIME = 72,        /* i64 */
    HEADER_OFF_CREATED = 80,     /* i64 */
    HEADER_OFF_FILE_BYTES = 88,  /* u64 */
    HEADER_OFF_SECTIONS = 96,    /* u32 */
    HEADER_OFF_RESERVED = 100,   /* u32, zero */
    HEADER_OFF_DIGEST = 104,     /* 16 bytes, of the file with this and the checksum as zeroes */
    HEADER_OFF_RESERVED_2 = 120, /* u32, zero */
    HEADER_OFF_CRC = 124,        /* u32, of bytes 0 to 123 */
    HEADER_BYTES = 128,

    SECTION_OFF_TYPE = 0,     /* u16 */
    SECTION_OFF_FLAGS = 2,    /* u16 */
    SECTION_OFF_RESERVED = 4, /* u32 */
    SECTION_OFF_BYTES = 8,    /* u64, of what follows, without padding */
    SECTION_HEADER_BYTES = 16,
    SECTION_ALIGN = 8,
    SECTION_REQUIRED = 1, /* flags */

    FACTS_OFF_PARENT_DIGEST = 0, /* 16 bytes */
    FACTS_OFF_RECORDS = 16,      /* u64, as all that follow */
    FACTS_OFF_BYTES = 24,
    FACTS_OFF_OWN_BYTES = 32,
    FACTS_OFF_FILES = 40,
    FACTS_OFF_OWN_FILES = 48,
    FACTS_OFF_PARENT_LSN = 56,
    FACTS_OFF_RESERVED = 64, /* zero */
    FACTS_BYTES = 72,

    COLLECTION_OFF_NUMBER = 0,      /* u64 */
    COLLECTION_OFF_KIND = 8,        /* u32 */
    COLLECTION_OFF_DIMENSION = 12,  /* u32 */
    COLLECTION_OFF_RECORDS = 16,    /* u64 */
    COLLECTION_OFF_NAME_BYTES = 24, /* u32 */
    COLLECTION_OFF_RESERVED = 28,   /* u32, zero */
    COLLECTION_BYTES = 32,          /* then the name, and zeroes up to a multiple of 8 */
    COLLECTION_KIND_NAMESPACE = 1,  /* as in the catalogue */
    COLLECTION_KIND_SPACE = 2,
    COLLECTION_KIND_HISTORY = 4,
    COLLECTION_KIND_TENANT = 5,
    COLLECTION_SPACE_NAME_BYTES = 4,  /* its number, of a space and of its history */
    COLLECTION_TENANT_NAME_BYTES = 8, /* its number */

    TIMELINE_OFF_INCARNATION = 0, /* u64 */
    TIMELINE_OFF_BEGAN = 8,       /* u64 */
    TIMELINE_OFF_FROM = 16,       /* u64 */
    TIMELINE_BYTES = 24,

    STORED_BYTES = 8, /* u64 */

    STORE_OFF_ID = 16, /* in the file STORE: 16 bytes */

    /* Of the hash that ids of copies without metadata are made of. Another one, should other copies
     * ever be made of the same segments. */
    BARE_ID_SEED = 1,
};
static_assert(HEADER_OFF_CRC + 4 == HEADER_BYTES, "snapshot header layout");
static_assert(FACTS_OFF_RESERVED + 8 == FACTS_BYTES, "facts layout");
static_assert(COLLECTION_OFF_RESERVED + 4 == COLLECTION_BYTES, "collection layout");
static_assert(TIMELINE_OFF_FROM + 8 == TIMELINE_BYTES, "timeline layout");

#define SNAPSHOT_FILE_BYTES_MAX (UINT64_C(1) << 30)

enum section_type {
    SECTION_FACTS = 1,
    SECTION_DESCRIPTION = 2,
    SECTION_STORE = 3,
    SECTION_MANIFEST = 4,
    SECTION_COLLECTIONS = 5,
    SECTION_HISTORY = 6,
    SECTION_STORED = 7, /* of compressed ones only */
    SECTION_KNOWN_END = 8,
};

#endif
