/*
 * s3_request.c - builds a request to an S3 server in the form in which it is signed.
 *
 * Owns:    the buffers of each request.
 * Threads: one at a time per request.
 * Fails:   when memory is short, which the request remembers until it is signed.
 */
#include <string.h>

#include "base/check.h"
#include "object/s3_sign_private.h"

void mni_s3_request_init(struct mni_s3_request *request, const char *method)
{
    *request = (struct mni_s3_request){.method = method, .body = {"", 0}};
}

void mni_s3_request_done(struct mni_s3_request *request)
{
    mni_buf_done(&request->path);
    mni_buf_done(&request->query);
    mni_buf_done(&request->headers);
    mni_buf_done(&request->authorization);
}

static void append(struct mni_s3_request *request, struct mni_buf *buf, const void *data, size_t n)
{
    if (mni_buf_append(buf, data, n) != MN_OK)
        request->is_short_of_memory = true;
}

static bool is_unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static void append_encoded(struct mni_s3_request *request, struct mni_buf *buf,
                           struct mn_slice text, bool keeps_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *at = text.data;

    for (size_t i = 0; i < text.n_bytes; i++) {
        char code[3] = {'%', digits[at[i] >> 4], digits[at[i] & 15]};
        bool is_kept = is_unreserved(at[i]) || (keeps_slash && at[i] == '/');
        append(request, buf, is_kept ? (const void *)&at[i] : code, is_kept ? 1 : sizeof code);
    }
}

void mni_s3_request_path(struct mni_s3_request *request, struct mn_slice text)
{
    append_encoded(request, &request->path, text, true);
}

void mni_s3_request_param(struct mni_s3_request *request, const char *name, struct mn_slice value)
{
    struct mni_buf *query = &request->query;

    if (query->n_bytes > 0)
        append(request, query, "&", 1);
    append_encoded(request, query, mn_str(name), false);
    append(request, query, "=", 1);
    append_encoded(request, query, value, false);
}

/* Finds the line of a header or, where it is missing, the place for it. */
static bool find_line(const struct mni_buf *headers, const char *name, size_t *begin_out,
                      size_t *end_out)
{
    const char *text = (const char *)headers->data;
    size_t name_bytes = strlen(name);
    size_t at = 0;

    while (at < headers->n_bytes) {
        const char *line_end = memchr(text + at, '\n', headers->n_bytes - at);
        const char *colon = memchr(text + at, ':', headers->n_bytes - at);
        MNI_CHECK(line_end != NULL && colon != NULL && colon < line_end);
        size_t n = (size_t)(colon - (text + at));
        int order = memcmp(text + at, name, n < name_bytes ? n : name_bytes);
        if (order == 0 && n != name_bytes)
            order = n < name_bytes ? -1 : 1;
        *begin_out = at;
        *end_out = order == 0 ? (size_t)(line_end - text) + 1 : at;
        if (order >= 0)
            return order == 0;
        at = (size_t)(line_end - text) + 1;
    }
    *begin_out = at;
    *end_out = at;
    return false;
}

void mni_s3_request_header(struct mni_s3_request *request, const char *name, struct mn_slice value)
{
    struct mni_buf *headers = &request->headers;
    size_t name_bytes = strlen(name);
    size_t line_bytes = name_bytes + 1 + value.n_bytes + 1;
    size_t begin, end;

    if (mni_buf_reserve(headers, line_bytes) != MN_OK) {
        request->is_short_of_memory = true;
        return;
    }
    (void)find_line(headers, name, &begin, &end);
    memmove(headers->data + begin + line_bytes, headers->data + end, headers->n_bytes - end);
    headers->n_bytes = headers->n_bytes - (end - begin) + line_bytes;
    unsigned char *at = headers->data + begin;
    memcpy(at, name, name_bytes);
    at[name_bytes] = ':';
    if (value.n_bytes > 0)
        memcpy(at + name_bytes + 1, value.data, value.n_bytes);
    at[line_bytes - 1] = '\n';
}
