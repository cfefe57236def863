/*
 * sums.h - checks the bytes of a segment or of a liveness file as they pass by, in order.
 *
 * For who copies a file, or reads it from where it cannot be mapped: nothing is kept but the
 * checksums that are compared at the end. What passes is, to the byte, the file that was written
 * under the given checksum; what it means is not looked at.
 *
 *     mni_sums_begin_segment | mni_sums_begin_live     then _add until all has passed, then _end
 *
 * Threads: one at a time per struct.
 */
#ifndef MNI_SEGMENT_SUMS_H
#define MNI_SEGMENT_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "segment/live.h"
#include "segment/segment.h"

/* For this room, but for n_bytes and file_bytes. Zero-initialised may be ended. */
struct mni_sums {
    const char *label;   /* borrowed: the file's name in messages */
    uint64_t file_bytes; /* as expected */
    uint64_t n_bytes;    /* passed so far */
    uint32_t expected_crc;
    uint32_t crc; /* of the piece that is passing */

    bool is_segment;
    uint32_t id_crc;
    uint64_t checksums_offset;
    uint64_t footer_offset;
    uint64_t first_damaged; /* block; UINT64_MAX: none */
    struct mni_buf table;   /* owned: a u32 per block, as computed; then those of the checksums */
    struct mni_buf footer;  /* owned */
    unsigned char last[4];  /* the checksum at the end of a liveness file */
};

/* `expected` is what a manifest says: id, file_bytes, footer_bytes, footer_crc. MN_ERR_CORRUPT: no
 * segment has these lengths. */
MN_MUST_USE mn_status mni_sums_begin_segment(struct mni_sums *sums,
                                             const struct mni_segment_info *expected,
                                             const char *label, struct mn_error *err);
MN_MUST_USE mn_status mni_sums_begin_live(struct mni_sums *sums,
                                          const struct mni_live_info *expected, const char *label,
                                          struct mn_error *err);
/* MN_ERR_CORRUPT: these are more bytes than the file has. */
MN_MUST_USE mn_status mni_sums_add(struct mni_sums *sums, const void *data, size_t n,
                                   struct mn_error *err);
/* MN_ERR_CORRUPT, with the file's name: this was not the file, or damaged. */
MN_MUST_USE mn_status mni_sums_end(struct mni_sums *sums, struct mn_error *err);
void mni_sums_done(struct mni_sums *sums); /* frees; also without an end */

#endif
