/*
 * s3_xml_private.h - the XML that S3 servers answer with.
 *
 * The reader knows what those answers use: elements, attributes, text, the predefined and the
 * numeric entities, comments, one declaration. A document type, CDATA and other instructions are
 * refused, and so is all that is not well-formed. What it reads comes from the network.
 */
#ifndef MNI_OBJECT_S3_XML_PRIVATE_H
#define MNI_OBJECT_S3_XML_PRIVATE_H

#include "base/buf.h"
#include "mneme/types.h"

/* Reading ---------------------------------------------------------------------------------------
 */

enum { MNI_S3_XML_DEPTH_MAX = 16 };

enum mni_s3_xml_type { MNI_S3_XML_BEGIN, MNI_S3_XML_TEXT, MNI_S3_XML_END };

struct mni_s3_xml {
    const char *at;
    const char *end;
    unsigned depth;
    bool is_begun;                               /* the root was seen */
    struct mn_slice names[MNI_S3_XML_DEPTH_MAX]; /* of the open elements, prefixes included */
    bool is_empty_element;                       /* its end is still to be told */
};

struct mni_s3_xml_token {
    enum mni_s3_xml_type type;
    struct mn_slice text; /* BEGIN: the name without a prefix; TEXT: raw, with its entities */
};

/* The text outlives the reader and all tokens. */
void mni_s3_xml_init(struct mni_s3_xml *xml, struct mn_slice text);
/* MN_OK, MN_END after the end of the root, MN_ERR_CORRUPT. */
MN_MUST_USE mn_status mni_s3_xml_next(struct mni_s3_xml *xml, struct mni_s3_xml_token *token_out);
/* After BEGIN: reads the text of an element that has no others inside, up to its END. */
MN_MUST_USE mn_status mni_s3_xml_read_text(struct mni_s3_xml *xml, struct mni_buf *text_out);
/* After BEGIN: passes over the element, up to its END. */
MN_MUST_USE mn_status mni_s3_xml_skip(struct mni_s3_xml *xml);

/* Answers ---------------------------------------------------------------------------------------
 *
 * Each answers MN_ERR_CORRUPT when the text is not the answer that is meant, an <Error> included,
 * and MN_ERR_NOMEM. Outputs are set only on success.
 */

enum {
    MNI_S3_CODE_BYTES = 64,
    MNI_S3_MESSAGE_BYTES = 256,
    MNI_S3_UPLOAD_ID_BYTES = 1024,
};

struct mni_s3_fault {
    char code[MNI_S3_CODE_BYTES];       /* "NoSuchKey"; empty: the answer has none */
    char message[MNI_S3_MESSAGE_BYTES]; /* cut where it is too long */
    char region[MNI_S3_CODE_BYTES];     /* where the bucket is, when the server says so */
};

/* What is left out of a fault: a field that it is in is empty. */
struct mni_s3_unsaid {
    bool (*is_in)(const void *context, struct mn_slice text);
    const void *context;
};

/* Reads <Error>; false when the text is something else. `unsaid` may be NULL. */
bool mni_s3_read_fault(struct mn_slice text, const struct mni_s3_unsaid *unsaid,
                       struct mni_s3_fault *fault_out);

/* An object or an upload. Keys stand in `keys`, decoded. */
struct mni_s3_listed {
    size_t key; /* offset */
    size_t key_bytes;
    uint64_t n_bytes;
    int64_t modified_us; /* or begun */
    char etag[MN_OBJECT_ETAG_BYTES];
    size_t upload_id; /* offset in `keys`, NUL-terminated */
};

struct mni_s3_listing {
    struct mni_s3_listed *items; /* owned */
    size_t n_items;
    struct mni_buf keys;
    bool is_truncated;
    /* Of uploads: where the next page begins. */
    struct mni_buf key_marker;
    char upload_marker[MNI_S3_UPLOAD_ID_BYTES];
};

void mni_s3_listing_done(struct mni_s3_listing *listing);
MN_MUST_USE mn_status mni_s3_read_objects(struct mn_slice text, struct mni_s3_listing *listing_out);
MN_MUST_USE mn_status mni_s3_read_uploads(struct mn_slice text, struct mni_s3_listing *listing_out);

typedef mn_status mni_s3_part_fn(void *context, uint32_t number, uint64_t n_bytes,
                                 const char *etag);
/* Calls `each` for each part; `next_marker_out` is 0 after the last page. */
MN_MUST_USE mn_status mni_s3_read_parts(struct mn_slice text, mni_s3_part_fn *each, void *context,
                                        uint32_t *next_marker_out);
MN_MUST_USE mn_status mni_s3_read_initiated(struct mn_slice text,
                                            char upload_id_out[MNI_S3_UPLOAD_ID_BYTES]);
/* The ETag is empty when the answer has none, as Ceph's. */
MN_MUST_USE mn_status mni_s3_read_completed(struct mn_slice text,
                                            char etag_out[MN_OBJECT_ETAG_BYTES]);
/* Copies an ETag without its quotes; false when it is empty, too long or has odd characters. */
bool mni_s3_copy_etag(struct mn_slice text, char etag_out[MN_OBJECT_ETAG_BYTES]);
/* The whole text as a decimal number. */
bool mni_s3_parse_u64(struct mn_slice text, uint64_t *value_out);

#endif
