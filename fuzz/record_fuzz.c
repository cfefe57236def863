/*
 * record_fuzz.c - any bytes at the record codec: what it accepts, it writes back byte for byte.
 *
 * Owns:    nothing between inputs.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* The single-field readers agree with the whole view. */
static void check_fields(const unsigned char *bytes, const struct mni_record *record)
{
    struct mn_slice key = mni_record_key(bytes);
    int64_t expires_at_us = 0;
    bool expires = mni_record_expiry(bytes, &expires_at_us);

    MNI_CHECK(mni_record_collection(bytes) == record->collection);
    MNI_CHECK(key.data == record->key.data && key.n_bytes == record->key.n_bytes);
    MNI_CHECK(expires == ((record->fields & MNI_FIELD_EXPIRY) != 0));
    MNI_CHECK(!expires || expires_at_us == record->expires_at_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    /* A block of exactly that size, aligned, so that the sanitizer sees any byte read beyond. */
    unsigned char *bytes = malloc(n_bytes == 0 ? 1 : n_bytes);
    struct mni_record record;
    size_t n_used = 0;

    MNI_CHECK(bytes != NULL);
    if (n_bytes > 0)
        memcpy(bytes, data, n_bytes);
    size_t at = 0;
    while (mni_record_decode(bytes + at, n_bytes - at, &record, &n_used, NULL) == MN_OK) {
        MNI_CHECK(n_used > 0 && n_used <= n_bytes - at);
        MNI_CHECK(mni_record_encoded_bytes(&record) == n_used);
        unsigned char *again = malloc(n_used);
        MNI_CHECK(again != NULL);
        mni_record_encode(&record, again);
        MNI_CHECK(memcmp(again, bytes + at, n_used) == 0);
        free(again);
        check_fields(bytes + at, &record);
        at += n_used;
    }
    free(bytes);
    return 0;
}
