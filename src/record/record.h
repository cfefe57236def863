/*
 * record.h - the one codec of a record: the same bytes stand in the log, in the buffer and, later,
 * in exports of rows. The layout is docs/format/record.md.
 *
 * An encoded record is one operation on one key: an upsert carries the whole record, a delete only
 * the key, a patch the fields that change. It begins with its own length and is padded with zeroes
 * to a multiple of 8 bytes. Laid at an address that is a multiple of 8, its vector is aligned to 8.
 */
#ifndef MNI_RECORD_RECORD_H
#define MNI_RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "mneme/types.h"

enum mni_record_type {
    MNI_RECORD_UPSERT = 1,
    MNI_RECORD_DELETE = 2,
    MNI_RECORD_PATCH = 3,
};

enum mni_element_type {
    MNI_ELEMENT_NONE = 0, /* no vector */
    MNI_ELEMENT_F32 = 1,
    MNI_ELEMENT_F16 = 2,
};

/* Optional fields of an upsert. In a patch: the fields that it sets; a field that stands in
 * `clears` but not in `fields` is removed. */
enum mni_record_field {
    MNI_FIELD_EVENT_TIME = 1 << 0,
    MNI_FIELD_EXPIRY = 1 << 1,
    MNI_FIELD_HITS = 1 << 2,
    MNI_FIELD_SECOND_KEY = 1 << 3,
};

enum { MNI_SECOND_KEY_BYTES = 32, MNI_RECORD_ALIGN = 8 };

/* A record outside of its encoding. All pointers are borrowed: from the caller when encoding, from
 * the encoded bytes after decoding. */
struct mni_record {
    enum mni_record_type type;
    enum mni_element_type element_type;
    uint32_t fields; /* enum mni_record_field */
    uint32_t clears; /* patch only */
    uint64_t collection;
    struct mn_slice key; /* 1 to MN_ID_BYTES_MAX + 1 bytes: views may put a kind before an id */
    const void *vector;  /* n_dims elements, little-endian in the encoding */
    uint32_t n_dims;
    struct mn_slice metadata;
    struct mn_slice payload;
    int64_t event_time_us;
    int64_t expires_at_us;
    uint64_t hits;
    const unsigned char *second_key; /* MNI_SECOND_KEY_BYTES */
};

/* Bytes that the record takes when encoded: at most a little over 64 MiB. The record keeps the
 * limits of limits.h; the caller has checked that. */
size_t mni_record_encoded_bytes(const struct mni_record *record);

/* Writes exactly mni_record_encoded_bytes(record) bytes. */
void mni_record_encode(const struct mni_record *record, void *out);

/*
 * Reads the record at the start of `bytes`. Everything is validated: lengths against
 * `n_available` and the limits, unknown bits, padding. MN_ERR_CORRUPT says what is wrong.
 * `bytes` is a multiple of 8 in memory. Sets `n_used_out` (may be NULL) to the record's length.
 */
MN_MUST_USE mn_status mni_record_decode(const void *bytes, size_t n_available,
                                        struct mni_record *record_out, size_t *n_used_out,
                                        struct mn_error *err);

/* The same for bytes that mni_record_encode wrote or mni_record_decode accepted in this process:
 * validates nothing. */
void mni_record_view(const void *bytes, struct mni_record *record_out);

/* Single fields of such bytes, for those who look at one of very many records. */
uint64_t mni_record_collection(const void *bytes);
struct mn_slice mni_record_key(const void *bytes);
bool mni_record_expiry(const void *bytes, int64_t *expires_at_us_out); /* false: it has none */
/* Changes the collection of an encoded record, and tells its length. */
void mni_record_set_collection(void *bytes, uint64_t collection);
size_t mni_record_bytes(const void *bytes);

/* The key of a point in a space: the entity, then its time, big-endian, so that the order of keys
 * is that of entities, and of the times of each (docs/format/catalogue.md). */
enum { MNI_POINT_KEY_BYTES = 16 };
struct mni_point_key {
    unsigned char bytes[MNI_POINT_KEY_BYTES];
};
struct mni_point_key mni_point_key(uint64_t entity, int64_t time_us);
/* False: it is not a point's key. */
bool mni_point_key_read(struct mn_slice key, uint64_t *entity_out, int64_t *time_us_out);
/* The next key, or the one before. False: there is none. */
bool mni_point_key_next(struct mni_point_key *key);
bool mni_point_key_back(struct mni_point_key *key);

/* The hash of a key, or of a second key, in its collection: the same in memory and in files, for
 * ever (docs/format/segment.md). All 64 bits are good. Any thread. */
uint64_t mni_key_hash(uint64_t collection, struct mn_slice key);

#endif
