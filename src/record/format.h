/*
 * format.h - offsets of an encoded record; the spec is docs/format/record.md.
 */
#ifndef MNI_RECORD_FORMAT_H
#define MNI_RECORD_FORMAT_H

#include <assert.h>

enum {
    RECORD_OFF_BYTES = 0,           /* u32, whole record, a multiple of 8 */
    RECORD_OFF_TYPE = 4,            /* u8, enum mni_record_type */
    RECORD_OFF_ELEMENT_TYPE = 5,    /* u8, enum mni_element_type */
    RECORD_OFF_FIELDS = 6,          /* u8, enum mni_record_field */
    RECORD_OFF_CLEARS = 7,          /* u8, enum mni_record_field; 0 but in a patch */
    RECORD_OFF_COLLECTION = 8,      /* u64 */
    RECORD_OFF_DIMS = 16,           /* u32 */
    RECORD_OFF_METADATA_BYTES = 20, /* u32 */
    RECORD_OFF_PAYLOAD_BYTES = 24,  /* u32 */
    RECORD_OFF_KEY_BYTES = 28,      /* u16 */
    RECORD_OFF_RESERVED = 30,       /* u16, zero */
    RECORD_HEADER_BYTES = 32,
    /* then, each only if its bit is set: i64 event time, i64 expiry, u64 hits, 32 bytes second
     * key; then vector, key, metadata, payload, zeroes up to a multiple of 8 */
};
static_assert(RECORD_OFF_RESERVED + 2 == RECORD_HEADER_BYTES, "record header layout");

#endif
