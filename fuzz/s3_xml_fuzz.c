/*
 * s3_xml_fuzz.c - any bytes as the answer of an S3 server.
 *
 * Owns:    nothing between inputs.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <string.h>

#include "base/check.h"
#include "object/s3_xml_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Walks over all tokens: they lie in the text, one behind the other, and nest. */
static mn_status walk(struct mn_slice text)
{
    struct mni_s3_xml xml;
    struct mni_s3_xml_token token;
    const char *begin = text.data;
    unsigned depth = 0;
    mn_status st;

    mni_s3_xml_init(&xml, text);
    while ((st = mni_s3_xml_next(&xml, &token)) == MN_OK) {
        const char *at = token.text.data;
        MNI_CHECK(at >= begin && at + token.text.n_bytes <= begin + text.n_bytes);
        MNI_CHECK(token.text.n_bytes > 0);
        if (token.type == MNI_S3_XML_BEGIN)
            depth++;
        MNI_CHECK(depth > 0 && depth <= MNI_S3_XML_DEPTH_MAX);
        if (token.type == MNI_S3_XML_END)
            depth--;
    }
    MNI_CHECK(st == MN_END ? depth == 0 : st == MN_ERR_CORRUPT);
    return st;
}

static void check_listing(mn_status st, struct mni_s3_listing *listing, bool is_uploads)
{
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT);
    for (size_t i = 0; st == MN_OK && i < listing->n_items; i++) {
        const struct mni_s3_listed *item = &listing->items[i];
        MNI_CHECK(item->key <= listing->keys.n_bytes);
        MNI_CHECK(item->key_bytes <= listing->keys.n_bytes - item->key);
        if (is_uploads)
            MNI_CHECK(memchr(listing->keys.data + item->upload_id, '\0',
                             listing->keys.n_bytes - item->upload_id) != NULL);
        else
            MNI_CHECK(item->etag[0] != '\0');
    }
    mni_s3_listing_done(listing);
}

static mn_status check_part(void *context, uint32_t number, uint64_t n_bytes, const char *etag)
{
    (void)context;
    (void)n_bytes;
    MNI_CHECK(number >= 1 && number <= MN_OBJECT_PARTS_MAX);
    MNI_CHECK(etag[0] != '\0');
    return MN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct mn_slice text = {n_bytes == 0 ? (const void *)"" : data, n_bytes};
    struct mni_s3_listing listing = {0};
    struct mni_s3_fault fault;
    char id[MNI_S3_UPLOAD_ID_BYTES];
    char etag[MN_OBJECT_ETAG_BYTES];
    uint32_t marker;
    unsigned n_meanings = 0;

    mn_status walked = walk(text);
    n_meanings += mni_s3_read_fault(text, NULL, &fault);
    mn_status st = mni_s3_read_objects(text, &listing);
    n_meanings += st == MN_OK;
    check_listing(st, &listing, false);
    st = mni_s3_read_uploads(text, &listing);
    n_meanings += st == MN_OK;
    check_listing(st, &listing, true);
    n_meanings += mni_s3_read_parts(text, check_part, NULL, &marker) == MN_OK;
    n_meanings += mni_s3_read_initiated(text, id) == MN_OK;
    n_meanings += mni_s3_read_completed(text, etag) == MN_OK;
    /* The root says which one it is, and what is not well-formed is none. */
    MNI_CHECK(n_meanings <= (walked == MN_END ? 1U : 0U));
    return 0;
}
