/*
 * s3_http_private.h - requests over HTTP, several side by side in one thread.
 *
 *     lane take -> (start -> wait ... | stop) for each of its slots, again and again, until it is
 *     yielded -> lane give
 *
 * A lane belongs to one call while it is taken, and keeps its connections for the next one. All
 * lanes of a store together have no more connections than the store may have.
 */
#ifndef MNI_OBJECT_S3_HTTP_PRIVATE_H
#define MNI_OBJECT_S3_HTTP_PRIVATE_H

#include <stdatomic.h>

#include "io/env.h"
#include "object/s3_settings_private.h"
#include "object/s3_sign_private.h"
#include "object/s3_xml_private.h"

enum {
    MNI_S3_DETAIL_BYTES = 240,
    MNI_S3_REDIRECT_BYTES = 128,
    MNI_S3_WRITE_ID_BYTES = 33, /* 128 bits in hexadecimal, and NUL */
    MNI_S3_TEXT_BYTES_MAX = 8 << 20,
    MNI_S3_WAIT_US = 100000, /* between two questions whether the call is cancelled */
};

#define MNI_S3_META_CRC32C "x-amz-meta-mneme-crc32c"
#define MNI_S3_META_WRITE "x-amz-meta-mneme-write"

/* Where the body of an answer goes. That of an error always goes to the text. */
enum mni_s3_sink {
    MNI_S3_TO_TEXT,
    MNI_S3_TO_MEMORY, /* of a 200: into memory that is made for it, at most `room_bytes` */
    MNI_S3_TO_RANGE,  /* of a 206, or the part of a 200: into `into` */
};

struct mni_s3_transfer {
    struct mni_s3_request request;
    enum mni_s3_sink sink;
    unsigned char *into; /* borrowed */
    uint64_t room_bytes;
    uint64_t offset;     /* of the range */
    size_t key_bytes;    /* with the store's prefix; 0: no key */
    bool is_conditional; /* If-Match or If-None-Match is sent: 412 and 304 are to be expected */
};

enum mni_s3_end {
    MNI_S3_ANSWERED,  /* a whole answer came */
    MNI_S3_UNREACHED, /* no connection was made, or not another one behind one that ended */
    MNI_S3_BROKEN,    /* the connection ended before an answer */
    MNI_S3_IDLE,      /* nothing moved for too long */
    MNI_S3_CUT,       /* the connection ended inside the answer */
    MNI_S3_WRONG,     /* an answer that cannot be one to this request */
    MNI_S3_NO_HTTP,   /* what came is not HTTP */
    MNI_S3_TOO_LARGE, /* the object has more bytes than there may be */
    MNI_S3_UNTRUSTED, /* the server's certificate was refused */
    MNI_S3_MISSET,    /* a setting that libcurl refuses */
    MNI_S3_NO_MEMORY,
};

struct mni_s3_reply {
    enum mni_s3_end end;
    char detail[MNI_S3_DETAIL_BYTES]; /* of an end that is not ANSWERED */
    int status;                       /* 0: no answer has begun */
    char code[MNI_S3_CODE_BYTES];     /* of the error in the body, once judged; empty: none */
    unsigned n_sent;                  /* times that the request was sent */

    /* Headers. */
    bool has_length;
    uint64_t length_bytes;
    bool has_range; /* of Content-Range */
    uint64_t range_first, range_last, range_total;
    char etag[MN_OBJECT_ETAG_BYTES]; /* empty: none */
    int64_t modified_us;             /* 0: not told, as for the next */
    int64_t date_us;
    int64_t retry_after_us;
    bool has_crc32c; /* what the object's metadata says */
    uint32_t crc32c;
    char write_id[MNI_S3_WRITE_ID_BYTES];
    char region[MNI_S3_CODE_BYTES];
    bool is_s3;                           /* has a header that only object stores send */
    char redirect[MNI_S3_REDIRECT_BYTES]; /* scheme and host that it points to */

    /* The body. */
    struct mni_buf text;
    unsigned char *memory; /* owned; NULL: none */
    uint64_t n_body_bytes; /* that went to memory or range */
    uint32_t body_crc32c;  /* of these */
    bool is_behind_end;    /* a 200 to a range that begins behind the object's end */
};

void mni_s3_reply_reset(struct mni_s3_reply *reply); /* keeps the memory of `text` */
void mni_s3_reply_done(struct mni_s3_reply *reply);

/* The end of patience: asked between waits. */
struct mni_s3_patience {
    struct mni_env *env;
    int64_t deadline_us; /* of the monotonic clock */
    bool (*is_cancelled)(void *context);
    void *context;
};
/* MN_OK, MN_ERR_CANCELLED, MN_ERR_TIMEOUT. */
MN_MUST_USE mn_status mni_s3_patience_check(const struct mni_s3_patience *patience,
                                            struct mn_error *err);

struct mni_s3_http;
struct mni_s3_lane;

/* `address` and `settings` are borrowed until close. */
MN_MUST_USE mn_status mni_s3_http_open(struct mni_env *env, const struct mni_s3_address *address,
                                       const struct mni_s3_settings *settings,
                                       uint32_t n_connections_max, uint32_t idle_timeout_ms,
                                       struct mni_s3_http **http_out, struct mn_error *err);
void mni_s3_http_close(struct mni_s3_http *http);
uint64_t mni_s3_http_connections(struct mni_s3_http *http); /* made so far */

/* Waits until one request may be under way, and takes room for up to `n_wanted` of them. */
MN_MUST_USE mn_status mni_s3_lane_take(struct mni_s3_http *http, unsigned n_wanted,
                                       const struct mni_s3_patience *patience,
                                       struct mni_s3_lane **lane_out, struct mn_error *err);
unsigned mni_s3_lane_slots(const struct mni_s3_lane *lane);
/* Starts a signed request on a free slot. Both are borrowed until it ends. MN_ERR_NOMEM. */
MN_MUST_USE mn_status mni_s3_lane_start(struct mni_s3_lane *lane, unsigned slot,
                                        const struct mni_s3_transfer *transfer,
                                        struct mni_s3_reply *reply);
/* Moves bytes until a request has ended, at most so long. False: none has. */
bool mni_s3_lane_wait(struct mni_s3_lane *lane, int64_t timeout_us, unsigned *slot_out);
void mni_s3_lane_stop(struct mni_s3_lane *lane, unsigned slot); /* also one that is free */
/* Where others wait for a connection, gives a free slot of several back, which is then out of use
 * until the lane is given: false when nobody waits, or it is the last one. */
bool mni_s3_lane_yield(struct mni_s3_lane *lane, unsigned slot);
void mni_s3_lane_give(struct mni_s3_lane *lane);

#endif
