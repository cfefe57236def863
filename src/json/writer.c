/*
 * writer.c - appends JSON to a buffer.
 *
 * Owns:    nothing; the open containers are bits in the writer.
 * Threads: one at a time per writer.
 * Fails:   once; the failure stays in the writer and finish takes back what was written.
 */
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/utf8.h"
#include "json/json_private.h"

void mni_json_writer_init(struct mni_json_writer *writer, struct mni_buf *buf)
{
    writer->buf = buf;
    writer->start_bytes = buf->n_bytes;
    writer->status = MN_OK;
    writer->problem = NULL;
    writer->depth = 0;
    writer->wants_comma = false;
    writer->has_key = false;
}

mn_status mni_json_writer_finish(struct mni_json_writer *writer, struct mn_error *err)
{
    if (writer->status != MN_OK) {
        writer->buf->n_bytes = writer->start_bytes;
        return mni_fail(err, writer->status, "%s", writer->problem);
    }
    MNI_CHECK(writer->depth == 0);
    MNI_CHECK(writer->wants_comma);
    return MN_OK;
}

static void fail(struct mni_json_writer *writer, mn_status status, const char *problem)
{
    if (writer->status != MN_OK)
        return;
    writer->status = status;
    writer->problem = problem;
}

static bool reserve(struct mni_json_writer *writer, size_t n)
{
    if (writer->status != MN_OK)
        return false;
    if (mni_buf_reserve(writer->buf, n) == MN_OK)
        return true;
    fail(writer, MN_ERR_NOMEM, "no memory for JSON text");
    return false;
}

static void append(struct mni_json_writer *writer, const void *data, size_t n)
{
    if (!reserve(writer, n) || n == 0)
        return;
    memcpy(writer->buf->data + writer->buf->n_bytes, data, n);
    writer->buf->n_bytes += n;
}

static bool in_object(const struct mni_json_writer *writer)
{
    unsigned top = writer->depth - 1;

    return writer->depth > 0 && (writer->is_object[top / 64] >> (top % 64) & 1) != 0;
}

/* Puts the comma before an item; a key has put that of its value. */
static void begin_value(struct mni_json_writer *writer)
{
    if (writer->status != MN_OK)
        return;
    MNI_CHECK(writer->depth > 0 || !writer->wants_comma);
    MNI_CHECK(writer->has_key == in_object(writer));
    if (writer->wants_comma && !writer->has_key)
        append(writer, ",", 1);
    writer->has_key = false;
    writer->wants_comma = true;
}

static void begin_container(struct mni_json_writer *writer, bool is_object)
{
    begin_value(writer);
    if (writer->status != MN_OK)
        return;
    MNI_CHECK(writer->depth < MNI_JSON_DEPTH_MAX);
    unsigned top = writer->depth++;
    uint64_t bit = UINT64_C(1) << (top % 64);
    uint64_t before = top % 64 == 0 ? 0 : writer->is_object[top / 64];
    writer->is_object[top / 64] = is_object ? before | bit : before & ~bit;
    writer->wants_comma = false;
    append(writer, is_object ? "{" : "[", 1);
}

static void end_container(struct mni_json_writer *writer, bool is_object)
{
    if (writer->status != MN_OK)
        return;
    MNI_CHECK(writer->depth > 0);
    MNI_CHECK(!writer->has_key);
    MNI_CHECK(in_object(writer) == is_object);
    writer->depth--;
    writer->wants_comma = true;
    append(writer, is_object ? "}" : "]", 1);
}

void mni_json_write_object_begin(struct mni_json_writer *writer)
{
    begin_container(writer, true);
}

void mni_json_write_object_end(struct mni_json_writer *writer)
{
    end_container(writer, true);
}

void mni_json_write_array_begin(struct mni_json_writer *writer)
{
    begin_container(writer, false);
}

void mni_json_write_array_end(struct mni_json_writer *writer)
{
    end_container(writer, false);
}

/* What stands for a quote, a backslash or a control character. */
static size_t escape(unsigned char c, char out[6])
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };

    MNI_CHECK(c < sizeof letters);
    out[0] = '\\';
    if (letters[c] != '\0') {
        out[1] = letters[c];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static void append_quoted(struct mni_json_writer *writer, struct mn_slice text)
{
    const unsigned char *p = text.n_bytes == 0 ? (const unsigned char *)"" : text.data;
    const unsigned char *end = p + text.n_bytes;
    bool is_ascii = true;

    append(writer, "\"", 1);
    while (p != end && writer->status == MN_OK) {
        char escaped[6];
        const unsigned char *stop = mni_json_skip_plain(p, end, &is_ascii);
        append(writer, p, (size_t)(stop - p));
        p = stop;
        if (p != end)
            append(writer, escaped, escape(*p++, escaped));
    }
    append(writer, "\"", 1);
    if (!is_ascii && !mni_utf8_is_valid(text.data, text.n_bytes))
        fail(writer, MN_ERR_INVALID, "a text that is not UTF-8 cannot be JSON");
}

void mni_json_write_key_slice(struct mni_json_writer *writer, struct mn_slice key)
{
    if (writer->status != MN_OK)
        return;
    MNI_CHECK(in_object(writer));
    MNI_CHECK(!writer->has_key);
    if (writer->wants_comma)
        append(writer, ",", 1);
    writer->has_key = true;
    append_quoted(writer, key);
    append(writer, ":", 1);
}

void mni_json_write_key(struct mni_json_writer *writer, const char *key)
{
    mni_json_write_key_slice(writer, mn_str(key));
}

void mni_json_write_string(struct mni_json_writer *writer, struct mn_slice text)
{
    begin_value(writer);
    append_quoted(writer, text);
}

/* Decimal digits at the end of `digits`; returns the first. */
static char *print_u64(uint64_t value, char digits[20])
{
    char *p = digits + 20;

    do
        *--p = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    return p;
}

void mni_json_write_u64(struct mni_json_writer *writer, uint64_t value)
{
    char digits[20];
    char *first = print_u64(value, digits);

    begin_value(writer);
    append(writer, first, (size_t)(digits + sizeof digits - first));
}

void mni_json_write_i64(struct mni_json_writer *writer, int64_t value)
{
    char text[21];
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *first = print_u64(magnitude, text + 1);

    if (value < 0)
        *--first = '-';
    begin_value(writer);
    append(writer, first, (size_t)(text + sizeof text - first));
}

void mni_json_write_u64_string(struct mni_json_writer *writer, uint64_t value)
{
    char digits[20];
    char *first = print_u64(value, digits);

    mni_json_write_string(writer,
                          (struct mn_slice){first, (size_t)(digits + sizeof digits - first)});
}

void mni_json_write_bool(struct mni_json_writer *writer, bool value)
{
    begin_value(writer);
    append(writer, value ? "true" : "false", value ? 4 : 5);
}

void mni_json_write_null(struct mni_json_writer *writer)
{
    begin_value(writer);
    append(writer, "null", 4);
}

static const char not_finite[] = "NaN and infinity cannot be JSON";

void mni_json_write_float(struct mni_json_writer *writer, float value)
{
    begin_value(writer);
    if (!isfinite(value))
        fail(writer, MN_ERR_INVALID, not_finite);
    if (!reserve(writer, MNI_JSON_FLOAT_CHARS_MAX))
        return;
    struct mni_buf *buf = writer->buf;
    buf->n_bytes += mni_json_print_float(value, (char *)buf->data + buf->n_bytes);
}

void mni_json_write_double(struct mni_json_writer *writer, double value)
{
    begin_value(writer);
    if (!isfinite(value))
        fail(writer, MN_ERR_INVALID, not_finite);
    if (!reserve(writer, MNI_JSON_DOUBLE_CHARS_MAX))
        return;
    struct mni_buf *buf = writer->buf;
    buf->n_bytes += mni_json_print_double(value, (char *)buf->data + buf->n_bytes);
}

void mni_json_write_floats(struct mni_json_writer *writer, const float *values, size_t n)
{
    mni_json_write_array_begin(writer);
    for (size_t i = 0; i < n && writer->status == MN_OK; i++)
        mni_json_write_float(writer, values[i]);
    mni_json_write_array_end(writer);
}

void mni_json_write_raw(struct mni_json_writer *writer, struct mn_slice json)
{
    MNI_CHECK(json.n_bytes > 0);
    begin_value(writer);
    append(writer, json.data, json.n_bytes);
}

void mni_json_write_base64(struct mni_json_writer *writer, struct mn_slice bytes)
{
    size_t n = mni_base64_encoded_bytes(bytes.n_bytes);

    begin_value(writer);
    append(writer, "\"", 1);
    if (!reserve(writer, n))
        return;
    struct mni_buf *buf = writer->buf;
    mni_base64_encode(bytes.data, bytes.n_bytes, (char *)buf->data + buf->n_bytes);
    buf->n_bytes += n;
    append(writer, "\"", 1);
}

bool mni_json_floats_are_finite(const float *values, size_t n)
{
    bool are_finite = true;

    for (size_t i = 0; i < n; i++)
        are_finite &= isfinite(values[i]) != 0;
    return are_finite;
}
