/*
 * format.h - offsets in a segment file; the spec is docs/format/segment.md.
 */
#ifndef MNI_SEGMENT_FORMAT_H
#define MNI_SEGMENT_FORMAT_H

#include <assert.h>

#define SEG_HEADER_MAGIC "MNEMESEG"
#define SEG_FOOTER_MAGIC "MNEMESFT"
#define SEG_END_MAGIC "MNEMEEND"

enum {
    SEG_VERSION = 1,
    SEG_MAGIC_BYTES = 8,
    SEG_ID_BYTES = 16,
    SEG_BLOCK_BYTES = 16384, /* also what columns are aligned to */
    SEG_PAGE_BYTES = 4096,   /* what checksums and footer are aligned to */
};

enum {
    SEG_HEADER_OFF_VERSION = 8,   /* u32 */
    SEG_HEADER_OFF_RESERVED = 12, /* u32, zero */
    SEG_HEADER_OFF_ID = 16,
    SEG_HEADER_OFF_CRC = 32, /* u32, of the bytes before it */
    SEG_HEADER_BYTES = 36,
};
static_assert(SEG_HEADER_OFF_ID + SEG_ID_BYTES == SEG_HEADER_OFF_CRC, "header layout");

enum {
    SEG_FOOTER_OFF_VERSION = 8,            /* u32 */
    SEG_FOOTER_OFF_COLUMNS = 12,           /* u32 */
    SEG_FOOTER_OFF_ID = 16,                /* 16 bytes */
    SEG_FOOTER_OFF_FILE_BYTES = 32,        /* u64 */
    SEG_FOOTER_OFF_CHECKSUMS = 40,         /* u64, offset */
    SEG_FOOTER_OFF_ROWS = 48,              /* u64 */
    SEG_FOOTER_OFF_KEYS = 56,              /* u64 */
    SEG_FOOTER_OFF_SECOND_KEYS = 64,       /* u64 */
    SEG_FOOTER_OFF_GROUPS = 72,            /* u64 */
    SEG_FOOTER_OFF_EXPIRING = 80,          /* u64 */
    SEG_FOOTER_OFF_MIN_LSN = 88,           /* u64 */
    SEG_FOOTER_OFF_MAX_LSN = 96,           /* u64 */
    SEG_FOOTER_OFF_MIN_EXPIRY = 104,       /* i64 */
    SEG_FOOTER_OFF_FIRST_COLLECTION = 112, /* u64 */
    SEG_FOOTER_OFF_LAST_COLLECTION = 120,  /* u64 */
    SEG_FOOTER_OFF_FIRST_KEY_BYTES = 128,  /* u16 */
    SEG_FOOTER_OFF_LAST_KEY_BYTES = 130,   /* u16 */
    SEG_FOOTER_OFF_CHECKSUM_BLOCKS = 132,  /* u32 */
    SEG_FOOTER_OFF_RESERVED = 136,         /* 24 bytes, zero */
    SEG_FOOTER_FIXED_BYTES = 160,
    /* then the directory, a u32 per block of the checksums, first key, last key, zeroes, tail */
    SEG_TAIL_OFF_BYTES = 8, /* u32, of the footer */
    SEG_TAIL_OFF_CRC = 12,  /* u32, of the footer before it */
    SEG_TAIL_BYTES = 16,
    SEG_COLUMNS_MAX = 64,
};
static_assert(SEG_FOOTER_OFF_RESERVED + 24 == SEG_FOOTER_FIXED_BYTES, "footer layout");

enum {
    SEG_ENTRY_OFF_TYPE = 0,      /* u16 */
    SEG_ENTRY_OFF_CODEC = 2,     /* u16 */
    SEG_ENTRY_OFF_FLAGS = 4,     /* u32 */
    SEG_ENTRY_OFF_OFFSET = 8,    /* u64 */
    SEG_ENTRY_OFF_BYTES = 16,    /* u64 */
    SEG_ENTRY_OFF_RESERVED = 24, /* u64, zero */
    SEG_ENTRY_BYTES = 32,
    SEG_ENTRY_REQUIRED = 1 << 0,
    SEG_CODEC_PLAIN = 0,
};
static_assert(SEG_ENTRY_OFF_RESERVED + 8 == SEG_ENTRY_BYTES, "directory layout");

enum seg_column {
    SEG_VECTORS = 1,
    SEG_ROWS = 2, /* row headers */
    SEG_BLOBS = 3,
    SEG_PAYLOADS = 4, /* large ones */
    SEG_KEY_PRINTS = 5,
    SEG_KEY_ROWS = 6,
    SEG_SECOND_PRINTS = 7,
    SEG_SECOND_ROWS = 8,
    SEG_GROUPS = 9,
    SEG_VECTOR_ROWS = 10,
    SEG_EXPIRY = 11,
    SEG_CODES = 12, /* optional, as the next */
    SEG_SIGNS = 13,
    SEG_SPACES = 14, /* optional likewise */
    SEG_ENTITIES = 15,
    SEG_TIMES = 16,
    SEG_DIFFERENCES = 17, /* required where they are */
    SEG_PLACES = 18,      /* of the vectors of groups with differences */
    SEG_N_COLUMNS = 19,   /* the types, and none */
};

enum {
    SEG_ROW_OFF_LSN = 0,             /* u64 */
    SEG_ROW_OFF_RECORD_LSN = 8,      /* u64 */
    SEG_ROW_OFF_EVENT_TIME = 16,     /* i64 */
    SEG_ROW_OFF_EXPIRY = 24,         /* i64 */
    SEG_ROW_OFF_BLOB = 32,           /* u48 */
    SEG_ROW_OFF_DIMS = 38,           /* u16, less 1 */
    SEG_ROW_OFF_COLLECTION = 40,     /* u64 */
    SEG_ROW_OFF_KEY_BYTES = 48,      /* u16 */
    SEG_ROW_OFF_FLAGS = 50,          /* u16 */
    SEG_ROW_OFF_METADATA_BYTES = 52, /* u32 */
    SEG_ROW_OFF_PAYLOAD_BYTES = 56,  /* u32 */
    SEG_ROW_OFF_VECTOR = 60,         /* u32, in units of 2 bytes; of a difference, its place */
    SEG_ROW_BYTES = 64,
    SEG_ROW_BLOB_BITS = 48,
};
static_assert(SEG_ROW_OFF_VECTOR + 4 == SEG_ROW_BYTES, "row layout");
#define SEG_NO_VECTOR UINT32_MAX

/* The first four are enum mni_record_field. */
enum {
    SEG_ROW_FIELDS = 0x0f,
    SEG_ROW_LARGE = 1 << 4,
    SEG_ROW_OLDER = 1 << 5,
    SEG_ROW_DIFFERENCE = 1 << 6,
    SEG_ROW_ELEMENT_SHIFT = 8,
    SEG_ROW_ELEMENT_MASK = 3 << SEG_ROW_ELEMENT_SHIFT,
    SEG_ROW_ALL_FLAGS = SEG_ROW_FIELDS | SEG_ROW_LARGE | SEG_ROW_OLDER | SEG_ROW_DIFFERENCE |
                        SEG_ROW_ELEMENT_MASK,
};

enum {
    SEG_GROUP_OFF_COLLECTION = 0,      /* u64 */
    SEG_GROUP_OFF_VECTORS_OFFSET = 8,  /* u64; with differences, the first place */
    SEG_GROUP_OFF_ROWS_OFFSET = 16,    /* u64, in SEG_VECTOR_ROWS */
    SEG_GROUP_OFF_FIRST_ROW = 24,      /* u32 */
    SEG_GROUP_OFF_ROWS = 28,           /* u32 */
    SEG_GROUP_OFF_KEYS = 32,           /* u32 */
    SEG_GROUP_OFF_VECTORS = 36,        /* u32 */
    SEG_GROUP_OFF_DIMS = 40,           /* u32 */
    SEG_GROUP_OFF_ELEMENT_TYPE = 44,   /* u8 */
    SEG_GROUP_OFF_FLAGS = 45,          /* u8 */
    SEG_GROUP_OFF_KEYFRAME_EVERY = 46, /* u16, zero without differences */
    SEG_GROUP_OFF_MIN_EXPIRY = 48,     /* i64 */
    SEG_GROUP_OFF_CODES = 56,          /* u32, in SEG_CODES, in units of 64 bytes */
    SEG_GROUP_OFF_SIGNS = 60,          /* u32, in SEG_SIGNS, in units of 8 bytes */
    SEG_GROUP_BYTES = 64,
    SEG_GROUP_HAS_ROWS = 1 << 0,
    SEG_GROUP_NO_CODES = 1 << 1,
    SEG_GROUP_HAS_DIFFERENCES = 1 << 2,
    SEG_GROUP_ALL_FLAGS = SEG_GROUP_HAS_ROWS | SEG_GROUP_NO_CODES | SEG_GROUP_HAS_DIFFERENCES,
};
static_assert(SEG_GROUP_OFF_SIGNS + 4 == SEG_GROUP_BYTES, "group layout");

/* Of m <= 64 vectors of n dimensions: m scales, m rests, m lengths, then quads of codes. */
enum {
    SEG_CODE_BLOCK_VECTORS = 64,
    SEG_CODE_HEAD_BYTES = 12, /* of a vector: three f32 */
    SEG_CODES_UNIT_BYTES = 64,
    SEG_SIGNS_UNIT_BYTES = 8,
};

enum {
    SEG_SPACE_OFF_COLLECTION = 0,   /* u64 */
    SEG_SPACE_OFF_FIRST_ENTITY = 8, /* u32, in SEG_ENTITIES */
    SEG_SPACE_OFF_ENTITIES = 12,    /* u32 */
    SEG_SPACE_OFF_FIRST_TIME = 16,  /* u32, in SEG_TIMES */
    SEG_SPACE_OFF_FIRST_ROW = 20,   /* u32 */
    SEG_SPACE_OFF_ROWS = 24,        /* u32 */
    SEG_SPACE_OFF_RESERVED = 28,    /* u32, zero */
    SEG_SPACE_BYTES = 32,
    SEG_ENTITY_OFF_ENTITY = 0,     /* u64 */
    SEG_ENTITY_OFF_FIRST_TIME = 8, /* i64 */
    SEG_ENTITY_OFF_LAST_TIME = 16, /* i64 */
    SEG_ENTITY_OFF_FIRST_ROW = 24, /* u32 */
    SEG_ENTITY_OFF_ROWS = 28,      /* u32 */
    SEG_ENTITY_BYTES = 32,
    SEG_TIME_BYTES = 8,
};

/* A vector of a group with differences. Its difference begins where that of the place before ends;
 * a keyframe has none. */
enum {
    SEG_PLACE_OFF_KEYFRAME = 0, /* u32, in SEG_VECTORS, in units of 2 bytes */
    SEG_PLACE_OFF_END = 4,      /* u32, in SEG_DIFFERENCES */
    SEG_PLACE_BYTES = 8,
};

enum {
    SEG_BUCKET_SLOTS = 16,
    SEG_PRINTS_BYTES = SEG_BUCKET_SLOTS * 2, /* of a bucket */
    SEG_SLOT_OFF_ROW = 0,                    /* u32 */
    SEG_SLOT_OFF_LINE = 4,                   /* u32, blob offset in units of 64 bytes */
    SEG_SLOT_BYTES = 8,
    SEG_SLOTS_BYTES = SEG_BUCKET_SLOTS * SEG_SLOT_BYTES, /* of a bucket */
    SEG_LINE_BYTES = 64,
    SEG_VECTOR_ALIGN = 64, /* of a group's vectors */
    SEG_PAYLOAD_ALIGN = 64,
    SEG_SMALL_PAYLOAD_BYTES_MAX = 4096,
    SEG_BLOCKS_PER_CHECKSUM_BLOCK = SEG_BLOCK_BYTES / 4,
};
static_assert(SEG_SLOT_OFF_LINE + 4 == SEG_SLOT_BYTES, "slot layout");
#define SEG_VECTORS_BYTES_MAX ((uint64_t)(SEG_NO_VECTOR - 1) * 2)

#endif
