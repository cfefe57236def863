/*
 * manifest_private.h - what the files of this room share.
 */
#ifndef MNI_MANIFEST_MANIFEST_PRIVATE_H
#define MNI_MANIFEST_MANIFEST_PRIVATE_H

#include "manifest/format.h"
#include "manifest/manifest.h"

/* What the header of a copy says. */
struct manifest_header {
    unsigned copy;
    unsigned char store_id[MNI_MANIFEST_ID_BYTES];
    uint64_t number;
    uint64_t lsn;
    int64_t time_us;
    uint64_t copy_bytes;
    uint64_t section_bytes;
    uint32_t n_sections;
    uint32_t body_crc;
};

/* Bytes of one copy; MN_ERR_LIMIT when it is too large. The manifest is valid. */
MN_MUST_USE mn_status manifest_copy_bytes(const struct mni_manifest *manifest,
                                          uint64_t *copy_bytes_out, struct mn_error *err);
/* Encodes copy 0 into manifest_copy_bytes() bytes. */
void manifest_encode(const struct mni_manifest *manifest, unsigned char *bytes,
                     uint64_t copy_bytes);
/* Makes copy `copy` of the bytes of another. */
void manifest_set_copy(unsigned char *bytes, unsigned copy);

/* MN_ERR_CORRUPT: damaged; MN_ERR_UNSUPPORTED: of a newer version. */
MN_MUST_USE mn_status manifest_header_decode(const unsigned char *bytes,
                                             struct manifest_header *header_out,
                                             struct mn_error *err);
/* Fills an empty manifest from the sections behind a header whose checksums were right. After an
 * error it may be half filled. */
MN_MUST_USE mn_status manifest_decode(const struct manifest_header *header,
                                      const unsigned char *sections, struct mni_manifest *manifest,
                                      struct mn_error *err);

#endif
