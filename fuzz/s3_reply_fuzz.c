/*
 * s3_reply_fuzz.c - any bytes as an answer over HTTP: headers, line by line as libcurl hands them
 * over, and the body in pieces of any size.
 *
 * Byte 0 of an input: bits 0 and 1 say where the body goes, bits 2 and 3 where the range begins.
 * Byte 1: the room for the body, in steps of 16 bytes. Byte 2: the range's beginning. Byte 3: the
 * size of the pieces. Then the headers up to an empty line, and the body.
 *
 * Owns:    one reply per input.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "object/s3_reply_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { HEAD_BYTES = 4, STEP_BYTES = 16 };

/* The beginnings of ranges: near, behind what a server may make us read past, at the end. */
static const uint64_t far[] = {0, 0, UINT64_C(64) << 20, INT64_MAX - 256};

struct outcome {
    bool is_text;
    bool is_enough;
    bool is_whole;
    enum mni_s3_end refused;
    uint64_t n_body_bytes;
    uint32_t crc32c;
};

/* A line in memory of its own, so that nothing behind it is read. */
static void take_line(struct mni_s3_reply *reply, const uint8_t *line, size_t n)
{
    char *copy = malloc(n + (n == 0));

    MNI_CHECK(copy != NULL);
    memcpy(copy, line, n);
    mni_s3_reply_header(reply, (struct mn_slice){copy, n});
    free(copy);
}

/* Returns where the body begins: behind an empty line, unless another answer follows there. */
static size_t take_headers(struct mni_s3_reply *reply, const uint8_t *data, size_t n)
{
    size_t at = 0;

    while (at < n) {
        const uint8_t *end = memchr(data + at, '\n', n - at);
        size_t line_bytes = end == NULL ? n - at : (size_t)(end - (data + at)) + 1;
        take_line(reply, data + at, line_bytes);
        bool is_empty = data[at] == '\n' || (line_bytes == 2 && data[at] == '\r');
        at += line_bytes;
        if (is_empty && (n - at < 5 || memcmp(data + at, "HTTP/", 5) != 0))
            break;
    }
    return at;
}

static void check_headers(const struct mni_s3_reply *reply)
{
    MNI_CHECK(reply->status >= 0 && reply->status <= 999);
    MNI_CHECK(memchr(reply->etag, '\0', sizeof reply->etag) != NULL);
    for (const char *at = reply->etag; *at != '\0'; at++)
        MNI_CHECK(*at > ' ' && *at < 0x7f && *at != '"');
    MNI_CHECK(memchr(reply->write_id, '\0', sizeof reply->write_id) != NULL);
    MNI_CHECK(memchr(reply->region, '\0', sizeof reply->region) != NULL);
    MNI_CHECK(memchr(reply->redirect, '\0', sizeof reply->redirect) != NULL);
    MNI_CHECK(strpbrk(reply->redirect, "?#@") == NULL); /* nothing that may be secret */
    MNI_CHECK(reply->retry_after_us >= 0);
    if (reply->has_range) {
        MNI_CHECK(reply->range_first <= reply->range_last);
        MNI_CHECK(reply->range_last < reply->range_total);
    }
}

static void check_body(const struct mni_s3_body *body, const unsigned char *room)
{
    const struct mni_s3_reply *reply = body->reply;
    const unsigned char *bytes = reply->memory != NULL ? reply->memory : room;

    MNI_CHECK(reply->text.n_bytes <= MNI_S3_TEXT_BYTES_MAX);
    MNI_CHECK(reply->n_body_bytes <= body->transfer->room_bytes);
    MNI_CHECK(reply->n_body_bytes == 0 || !body->is_text);
    MNI_CHECK(reply->n_body_bytes == 0 || reply->text.n_bytes == 0);
    MNI_CHECK(reply->memory == NULL || body->transfer->sink == MNI_S3_TO_MEMORY);
    MNI_CHECK(reply->body_crc32c == mni_crc32c(0, bytes, (size_t)reply->n_body_bytes));
    MNI_CHECK((body->refused != MNI_S3_ANSWERED) == (reply->detail[0] != '\0'));
    if (body->left_bytes == 0 && body->refused == MNI_S3_ANSWERED && reply->memory != NULL)
        MNI_CHECK(reply->n_body_bytes == reply->length_bytes);
}

/* Takes the answer in pieces of this size. */
static struct outcome take(const struct mni_s3_transfer *transfer, const uint8_t *data, size_t n,
                           size_t piece_bytes)
{
    struct mni_s3_reply reply = {0};
    struct mni_s3_body body = {.transfer = transfer, .reply = &reply};
    size_t at = take_headers(&reply, data, n);
    bool goes_on = true;

    check_headers(&reply);
    while (goes_on && at < n) {
        size_t n_left = n - at;
        size_t n_piece = n_left < piece_bytes ? n_left : piece_bytes;
        goes_on = mni_s3_body_take(&body, (const char *)data + at, n_piece);
        MNI_CHECK(goes_on || body.is_enough || body.refused != MNI_S3_ANSWERED);
        check_body(&body, transfer->into);
        at += n_piece;
    }
    bool is_good = mni_s3_body_begin(&body);
    MNI_CHECK(is_good == (body.refused == MNI_S3_ANSWERED));
    check_body(&body, transfer->into);
    struct outcome outcome = {
        .is_text = body.is_text,
        .is_enough = body.is_enough,
        .is_whole = is_good && body.left_bytes == 0,
        .refused = body.refused,
        .n_body_bytes = reply.n_body_bytes,
        .crc32c = body.is_text ? mni_crc32c(0, reply.text.data, reply.text.n_bytes)
                               : reply.body_crc32c,
    };
    mni_s3_reply_done(&reply);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const enum mni_s3_sink sinks[] = {MNI_S3_TO_TEXT, MNI_S3_TO_MEMORY, MNI_S3_TO_RANGE,
                                             MNI_S3_TO_RANGE};

    if (n_bytes < HEAD_BYTES)
        return 0;
    size_t room_bytes = ((size_t)data[1] + 1) * STEP_BYTES;
    struct mni_s3_transfer transfer = {
        .sink = sinks[data[0] & 3],
        .room_bytes = room_bytes,
        .offset = far[data[0] >> 2 & 3] + data[2],
        .into = malloc(room_bytes),
    };
    MNI_CHECK(transfer.into != NULL);
    const uint8_t *answer = data + HEAD_BYTES;
    size_t n = n_bytes - HEAD_BYTES;
    struct outcome in_pieces = take(&transfer, answer, n, (size_t)data[3] + 1);
    struct outcome at_once = take(&transfer, answer, n, n + 1);
    /* How the body is cut on its way changes nothing. */
    MNI_CHECK(in_pieces.refused == at_once.refused);
    MNI_CHECK(in_pieces.is_text == at_once.is_text);
    MNI_CHECK(in_pieces.is_enough == at_once.is_enough);
    if (at_once.refused == MNI_S3_ANSWERED) {
        MNI_CHECK(in_pieces.is_whole == at_once.is_whole);
        MNI_CHECK(in_pieces.n_body_bytes == at_once.n_body_bytes);
        MNI_CHECK(in_pieces.crc32c == at_once.crc32c);
    }
    free(transfer.into);
    return 0;
}
