/*
 * format.h - offsets of a manifest; the spec is docs/format/manifest.md.
 */
#ifndef MNI_MANIFEST_FORMAT_H
#define MNI_MANIFEST_FORMAT_H

#include <assert.h>
#include <stdint.h>

#define MANIFEST_MAGIC "MNEMEMAN"

enum {
    MANIFEST_VERSION = 1,
    COPY_ALIGN = 4096,
    N_COPIES = 2,

    HEADER_OFF_MAGIC = 0,          /* 8 bytes */
    HEADER_OFF_VERSION = 8,        /* u32 */
    HEADER_OFF_COPY = 12,          /* u32, 0 or 1 */
    HEADER_OFF_STORE_ID = 16,      /* 16 bytes */
    HEADER_OFF_NUMBER = 32,        /* u64 */
    HEADER_OFF_LSN = 40,           /* u64 */
    HEADER_OFF_TIME = 48,          /* i64 */
    HEADER_OFF_COPY_BYTES = 56,    /* u64, a multiple of COPY_ALIGN */
    HEADER_OFF_SECTION_BYTES = 64, /* u64 */
    HEADER_OFF_SECTIONS = 72,      /* u32 */
    HEADER_OFF_RESERVED = 76,      /* zeroes */
    HEADER_OFF_BODY_CRC = 120,     /* u32, of bytes HEADER_BYTES to the end of the copy */
    HEADER_OFF_CRC = 124,          /* u32, of bytes 0 to 123 */
    HEADER_BYTES = 128,

    SECTION_OFF_TYPE = 0,     /* u16 */
    SECTION_OFF_FLAGS = 2,    /* u16 */
    SECTION_OFF_RESERVED = 4, /* u32 */
    SECTION_OFF_BYTES = 8,    /* u64, of what follows, without padding */
    SECTION_HEADER_BYTES = 16,
    SECTION_ALIGN = 8,

    FACTS_OFF_LSN_HANDED_OUT = 0, /* u64 */
    FACTS_OFF_LAST_TIME = 8,      /* i64 */
    FACTS_OFF_INCARNATION = 16,   /* u64 */
    FACTS_OFF_NEXT_SEGMENT = 24,  /* u64 */
    FACTS_BYTES = 32,

    RUN_BYTES = 4, /* u32, number of segments */

    SEGMENT_OFF_ID = 0,                /* 16 bytes */
    SEGMENT_OFF_FILE_BYTES = 16,       /* u64 */
    SEGMENT_OFF_FOOTER_OFFSET = 24,    /* u64 */
    SEGMENT_OFF_FOOTER_BYTES = 32,     /* u32 */
    SEGMENT_OFF_FOOTER_CRC = 36,       /* u32 */
    SEGMENT_OFF_LSN_MIN = 40,          /* u64 */
    SEGMENT_OFF_LSN_MAX = 48,          /* u64 */
    SEGMENT_OFF_FIRST_COLLECTION = 56, /* u64 */
    SEGMENT_OFF_LAST_COLLECTION = 64,  /* u64 */
    SEGMENT_OFF_ROWS = 72,             /* u32 */
    SEGMENT_OFF_LIVES = 76,            /* u32 */
    SEGMENT_OFF_FIRST_KEY_BYTES = 80,  /* u16 */
    SEGMENT_OFF_LAST_KEY_BYTES = 82,   /* u16 */
    SEGMENT_OFF_RESERVED = 84,         /* u32 */
    SEGMENT_BYTES = 88,

    LIVE_OFF_GENERATION = 0, /* u64 */
    LIVE_OFF_FILE_BYTES = 8, /* u64 */
    LIVE_OFF_CRC = 16,       /* u32 */
    LIVE_OFF_RESERVED = 20,  /* u32 */
    LIVE_BYTES = 24,

    TIMELINE_OFF_INCARNATION = 0, /* u64 */
    TIMELINE_OFF_BEGAN = 8,       /* u64, LSN */
    TIMELINE_OFF_FROM = 16,       /* u64, LSN */
    TIMELINE_BYTES = 24,
};
static_assert(HEADER_OFF_CRC + 4 == HEADER_BYTES, "manifest header layout");
static_assert(SECTION_OFF_BYTES + 8 == SECTION_HEADER_BYTES, "section layout");
static_assert(FACTS_OFF_NEXT_SEGMENT + 8 == FACTS_BYTES, "facts layout");
static_assert(SEGMENT_OFF_RESERVED + 4 == SEGMENT_BYTES, "segment layout");
static_assert(LIVE_OFF_RESERVED + 4 == LIVE_BYTES, "liveness layout");

/* More than 200,000 segments with the longest keys. */
#define COPY_BYTES_MAX (UINT64_C(1) << 29)

enum section_type {
    SECTION_FACTS = 1,
    SECTION_RUNS = 2,
    SECTION_SEGMENTS = 3,
    SECTION_LIVES = 4,
    SECTION_KEYS = 5,
    SECTION_HISTORY = 6, /* may be missing */
    SECTION_KNOWN_END = 7,
};

enum { SECTION_REQUIRED = 1 }; /* flags */

#endif
