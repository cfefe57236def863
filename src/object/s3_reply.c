/*
 * s3_reply.c - what an S3 server answered: headers as they come, and what becomes of the body.
 *
 * Owns:    the text and the memory of a reply.
 * Threads: one at a time per reply.
 * Fails:   a header that cannot be read counts as absent.
 */
#include "object/s3_reply_private.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

enum { WASTE_BYTES_MAX = 64 << 20 }; /* read past when a server ignores a range */

void mni_s3_reply_reset(struct mni_s3_reply *reply)
{
    struct mni_buf text = reply->text;

    mni_free(reply->memory);
    mni_buf_reset(&text);
    *reply = (struct mni_s3_reply){.text = text};
}

void mni_s3_reply_done(struct mni_s3_reply *reply)
{
    mni_free(reply->memory);
    mni_buf_done(&reply->text);
    *reply = (struct mni_s3_reply){0};
}

/* Headers ----------------------------------------------------------------------------------------
 */

static bool is_name(struct mn_slice text, const char *name)
{
    const char *at = text.data;

    if (text.n_bytes != strlen(name))
        return false;
    for (size_t i = 0; i < text.n_bytes; i++)
        if ((at[i] >= 'A' && at[i] <= 'Z' ? at[i] + 32 : at[i]) != name[i])
            return false;
    return true;
}

/* "bytes 0-9/443" */
static void read_range(struct mn_slice value, struct mni_s3_reply *reply)
{
    static const char unit[] = "bytes ";
    const char *at = value.data;
    size_t n = value.n_bytes;

    if (n < sizeof unit - 1 || memcmp(at, unit, sizeof unit - 1) != 0)
        return;
    at += sizeof unit - 1;
    n -= sizeof unit - 1;
    const char *dash = memchr(at, '-', n);
    const char *slash = memchr(at, '/', n);
    if (dash == NULL || slash == NULL || slash < dash)
        return;
    struct mn_slice first = {at, (size_t)(dash - at)};
    struct mn_slice last = {dash + 1, (size_t)(slash - dash - 1)};
    struct mn_slice total = {slash + 1, n - (size_t)(slash + 1 - at)};
    reply->has_range = mni_s3_parse_u64(first, &reply->range_first) &&
                       mni_s3_parse_u64(last, &reply->range_last) &&
                       mni_s3_parse_u64(total, &reply->range_total) &&
                       reply->range_first <= reply->range_last &&
                       reply->range_last < reply->range_total;
}

static void read_crc(struct mn_slice value, struct mni_s3_reply *reply)
{
    const char *at = value.data;
    uint32_t crc = 0;

    if (value.n_bytes != 8)
        return;
    for (size_t i = 0; i < 8; i++) {
        char c = at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return;
        crc = crc << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    reply->has_crc32c = true;
    reply->crc32c = crc;
}

static void copy(struct mn_slice value, char *out, size_t capacity)
{
    if (value.n_bytes >= capacity)
        return;
    memcpy(out, value.data, value.n_bytes);
    out[value.n_bytes] = '\0';
}

/* "https://host/path?query": scheme and host alone, since the rest may be signed. */
static void read_location(struct mn_slice value, struct mni_s3_reply *reply)
{
    const char *at = value.data;
    size_t n = 0;
    unsigned n_slashes = 0;

    while (n < value.n_bytes && at[n] > ' ' && at[n] < 0x7F && at[n] != '?' && at[n] != '#') {
        n_slashes += at[n] == '/';
        if (n_slashes == 3)
            break;
        n++;
    }
    if (memchr(at, '@', n) == NULL)
        copy((struct mn_slice){at, n}, reply->redirect, sizeof reply->redirect);
}

/* What all object stores that speak S3 send with every answer, or nearly so. */
static bool is_of_s3(struct mn_slice name)
{
    static const char *const beginnings[] = {"x-amz-", "x-goog-", "x-guploader-", "x-minio-"};

    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        size_t n = strlen(beginnings[i]);
        if (name.n_bytes > n && is_name((struct mn_slice){name.data, n}, beginnings[i]))
            return true;
    }
    return false;
}

/* Seconds, or a time. */
static void read_retry_after(struct mn_slice value, struct mni_s3_reply *reply)
{
    uint64_t seconds;
    int64_t time_us;

    if (mni_s3_parse_u64(value, &seconds) && seconds < 1000000)
        reply->retry_after_us = (int64_t)seconds * 1000000;
    else if (mni_s3_time_parse_http(value, &time_us) && time_us > reply->date_us &&
             reply->date_us > 0)
        reply->retry_after_us = time_us - reply->date_us;
}

/* "HTTP/1.1 200 OK": a new answer begins, perhaps after one that was only for the time being. */
static void read_status(struct mn_slice line, struct mni_s3_reply *reply)
{
    const char *at = line.data;
    const char *space = memchr(at, ' ', line.n_bytes);
    uint64_t status = 0;

    mni_s3_reply_reset(reply);
    if (space != NULL && (size_t)(at + line.n_bytes - space) >= 4)
        (void)mni_s3_parse_u64((struct mn_slice){space + 1, 3}, &status);
    reply->status = (int)status;
}

void mni_s3_reply_header(struct mni_s3_reply *reply, struct mn_slice line)
{
    const char *at = line.data;

    while (line.n_bytes > 0 && (at[line.n_bytes - 1] == '\n' || at[line.n_bytes - 1] == '\r' ||
                                at[line.n_bytes - 1] == ' ' || at[line.n_bytes - 1] == '\t'))
        line.n_bytes--;
    if (line.n_bytes > 5 && memcmp(at, "HTTP/", 5) == 0) {
        read_status(line, reply);
        return;
    }
    const char *colon = memchr(at, ':', line.n_bytes);
    if (colon == NULL)
        return;
    struct mn_slice name = {at, (size_t)(colon - at)};
    struct mn_slice value = {colon + 1, line.n_bytes - name.n_bytes - 1};
    while (value.n_bytes > 0 && *(const char *)value.data == ' ')
        value = (struct mn_slice){(const char *)value.data + 1, value.n_bytes - 1};

    reply->is_s3 |= is_of_s3(name);
    if (is_name(name, "content-length"))
        reply->has_length = mni_s3_parse_u64(value, &reply->length_bytes);
    else if (is_name(name, "content-range"))
        read_range(value, reply);
    else if (is_name(name, "etag"))
        (void)mni_s3_copy_etag(value, reply->etag);
    else if (is_name(name, "last-modified"))
        (void)mni_s3_time_parse_http(value, &reply->modified_us);
    else if (is_name(name, "date"))
        (void)mni_s3_time_parse_http(value, &reply->date_us);
    else if (is_name(name, "location"))
        read_location(value, reply);
    else if (is_name(name, "retry-after"))
        read_retry_after(value, reply);
    else if (is_name(name, MNI_S3_META_CRC32C))
        read_crc(value, reply);
    else if (is_name(name, MNI_S3_META_WRITE))
        copy(value, reply->write_id, sizeof reply->write_id);
    else if (is_name(name, "x-amz-bucket-region"))
        copy(value, reply->region, sizeof reply->region);
}

/* The body ---------------------------------------------------------------------------------------
 */

static bool refuse(struct mni_s3_body *body, enum mni_s3_end end, const char *why)
{
    body->refused = end;
    (void)snprintf(body->reply->detail, sizeof body->reply->detail, "%s", why);
    return false;
}

static bool begin_memory(struct mni_s3_body *body)
{
    struct mni_s3_reply *reply = body->reply;

    if (!reply->has_length)
        return refuse(body, MNI_S3_WRONG, "the answer does not say how long it is");
    if (reply->length_bytes > body->transfer->room_bytes)
        return refuse(body, MNI_S3_TOO_LARGE, "the object is larger than what is to be read");
    reply->memory = mni_alloc((size_t)reply->length_bytes);
    if (reply->memory == NULL)
        return refuse(body, MNI_S3_NO_MEMORY, "memory for the answer");
    body->into = reply->memory;
    body->left_bytes = reply->length_bytes;
    return true;
}

static bool begin_range(struct mni_s3_body *body)
{
    const struct mni_s3_transfer *transfer = body->transfer;
    struct mni_s3_reply *reply = body->reply;

    if (!reply->has_range || reply->range_first != transfer->offset)
        return refuse(body, MNI_S3_WRONG, "the answer holds another range");
    uint64_t n_there = reply->range_total - transfer->offset;
    uint64_t n_expected = n_there < transfer->room_bytes ? n_there : transfer->room_bytes;
    if (reply->range_last - reply->range_first + 1 != n_expected)
        return refuse(body, MNI_S3_WRONG, "the answer holds a range of another length");
    body->into = transfer->into;
    body->left_bytes = n_expected;
    return true;
}

/* The server has ignored the range: what is before it is read past. */
static bool begin_whole_as_range(struct mni_s3_body *body)
{
    const struct mni_s3_transfer *transfer = body->transfer;
    struct mni_s3_reply *reply = body->reply;

    if (!reply->has_length || reply->etag[0] == '\0')
        return refuse(body, MNI_S3_WRONG, "the answer is neither a range nor an object");
    if (transfer->offset >= reply->length_bytes) {
        reply->is_behind_end = true;
        body->is_enough = true;
        return true;
    }
    if (transfer->offset > WASTE_BYTES_MAX)
        return refuse(body, MNI_S3_WRONG, "the server ignores ranges");
    uint64_t n_there = reply->length_bytes - transfer->offset;
    body->skip_bytes = transfer->offset;
    body->into = transfer->into;
    body->left_bytes = n_there < transfer->room_bytes ? n_there : transfer->room_bytes;
    body->may_be_cut = true;
    return true;
}

bool mni_s3_body_begin(struct mni_s3_body *body)
{
    enum mni_s3_sink sink = body->transfer->sink;
    int status = body->reply->status;

    if (body->is_begun)
        return body->refused == MNI_S3_ANSWERED;
    body->is_begun = true;
    if (sink == MNI_S3_TO_MEMORY && status == 200)
        return begin_memory(body);
    if (sink == MNI_S3_TO_RANGE && status == 206)
        return begin_range(body);
    if (sink == MNI_S3_TO_RANGE && status == 200)
        return begin_whole_as_range(body);
    body->is_text = true;
    return true;
}

static bool take_text(struct mni_s3_body *body, const char *data, size_t n)
{
    struct mni_buf *text = &body->reply->text;

    if (n > MNI_S3_TEXT_BYTES_MAX - text->n_bytes)
        return refuse(body, MNI_S3_WRONG, "the answer is too long");
    if (mni_buf_append(text, data, n) != MN_OK)
        return refuse(body, MNI_S3_NO_MEMORY, "memory for the answer");
    return true;
}

bool mni_s3_body_take(struct mni_s3_body *body, const char *data, size_t n)
{
    struct mni_s3_reply *reply = body->reply;

    if (!mni_s3_body_begin(body) || body->is_enough)
        return false;
    if (body->is_text)
        return take_text(body, data, n);
    size_t skipped = body->skip_bytes < n ? (size_t)body->skip_bytes : n;
    body->skip_bytes -= skipped;
    data += skipped;
    n -= skipped;
    if (n > body->left_bytes) {
        if (!body->may_be_cut)
            return refuse(body, MNI_S3_WRONG, "the answer is longer than it says");
        n = (size_t)body->left_bytes;
    }
    /* Checked while it is in the caches of the processor. */
    memcpy(body->into, data, n);
    reply->body_crc32c = mni_crc32c(reply->body_crc32c, body->into, n);
    body->into += n;
    body->left_bytes -= n;
    reply->n_body_bytes += n;
    if (body->left_bytes == 0 && body->may_be_cut)
        body->is_enough = true;
    return true;
}
