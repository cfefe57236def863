/*
 * string.c - checks strings and resolves their escapes.
 *
 * Owns:    nothing; writes into buffers of the caller.
 * Threads: any.
 * Fails:   on what RFC 8259 does not derive, and on lone surrogates, which no UTF-8 can hold.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/utf8.h"
#include "json/json_private.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Sets the high bit of the lowest byte that is zero, and maybe of bytes above it. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - EACH_BYTE) & ~word & HIGH_BITS;
}

const unsigned char *mni_json_skip_plain(const unsigned char *p, const unsigned char *end,
                                         bool *is_ascii_out)
{
    uint64_t seen = 0;

    while (end - p >= 8) {
        uint64_t word = mni_get_u64(p);
        uint64_t stops = zero_bytes(word ^ (EACH_BYTE * '"')) |
                         zero_bytes(word ^ (EACH_BYTE * '\\')) |
                         ((word - EACH_BYTE * 0x20) & ~word & HIGH_BITS);
        /* The bytes past a stop are not this string's; checking UTF-8 in vain does no harm. */
        seen |= word;
        if (stops != 0) {
            p += (unsigned)__builtin_ctzll(stops) / 8;
            goto out;
        }
        p += 8;
    }
    for (; p != end && *p != '"' && *p != '\\' && *p >= 0x20; p++)
        seen |= *p;
out:
    if ((seen & HIGH_BITS) != 0)
        *is_ascii_out = false;
    return p;
}

/* Four hexadecimal digits at `p`, or -1. */
static int32_t scan_hex4(const unsigned char *p, const unsigned char *end)
{
    int32_t value = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p[i];
        unsigned char lower = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* `p` follows "\u". */
static const unsigned char *scan_unicode_escape(const unsigned char *p, const unsigned char *end,
                                                uint32_t *code_out, const char **problem_out)
{
    int32_t code = scan_hex4(p, end);

    if (code < 0) {
        *problem_out = "expected four hexadecimal digits after '\\u'";
        return p;
    }
    *code_out = (uint32_t)code;
    if (code < 0xD800 || code > 0xDFFF)
        return p + 4;
    int32_t low = -1;
    if (code < 0xDC00 && end - p >= 6 && p[4] == '\\' && p[5] == 'u')
        low = scan_hex4(p + 6, end);
    if (low < 0xDC00 || low > 0xDFFF) {
        *problem_out = "a surrogate without its other half";
        return p - 2;
    }
    *code_out = 0x10000 + (((uint32_t)code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    return p + 10;
}

/* The escape whose backslash is at `p`; returns where it ends or the place of the problem. */
static const unsigned char *scan_escape(const unsigned char *p, const unsigned char *end,
                                        uint32_t *code_out, const char **problem_out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char codes[] = "\"\\/\b\f\n\r\t";

    if (end - p < 2) {
        *problem_out = "expected an escape after '\\'";
        return end;
    }
    if (p[1] == 'u')
        return scan_unicode_escape(p + 2, end, code_out, problem_out);
    const char *letter = p[1] == '\0' ? NULL : strchr(letters, p[1]);
    if (letter == NULL) {
        *problem_out = "no such escape";
        return p;
    }
    *code_out = (unsigned char)codes[letter - letters];
    return p + 2;
}

const unsigned char *mni_json_scan_string(const unsigned char *p, const unsigned char *end,
                                          bool *has_escapes_out, const char **problem_out)
{
    const unsigned char *begin = p + 1;
    const char *problem = NULL;
    bool has_escapes = false;
    bool is_ascii = true;

    MNI_CHECK(p != end && *p == '"');
    p = mni_json_skip_plain(begin, end, &is_ascii);
    while (p != end && *p == '\\') {
        uint32_t code;
        has_escapes = true;
        p = scan_escape(p, end, &code, &problem);
        if (problem != NULL)
            goto out;
        p = mni_json_skip_plain(p, end, &is_ascii);
    }
    if (p == end)
        problem = "expected '\"' at the end of a string";
    else if (*p != '"')
        problem = "a control character must be escaped";
out:
    if (!is_ascii) {
        size_t n_valid = mni_utf8_valid_prefix(begin, (size_t)(p - begin));
        if (n_valid != (size_t)(p - begin)) {
            *problem_out = "not UTF-8";
            return begin + n_valid;
        }
    }
    if (problem != NULL) {
        *problem_out = problem;
        return p;
    }
    *has_escapes_out = has_escapes;
    return p + 1;
}

static size_t encode_utf8(uint32_t code, unsigned char out[4])
{
    if (code < 0x80) {
        out[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (unsigned char)(0xC0 | code >> 6);
        out[1] = (unsigned char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (unsigned char)(0xE0 | code >> 12);
        out[1] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (unsigned char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (unsigned char)(0xF0 | code >> 18);
    out[1] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (unsigned char)(0x80 | (code & 0x3F));
    return 4;
}

/* What is left of a token's text. */
struct rest {
    const unsigned char *p;
    const unsigned char *end;
    unsigned char character[4]; /* that an escape stands for */
};

static struct rest rest_of(const struct mni_json_token *token)
{
    const unsigned char *raw = token->raw.data;

    MNI_CHECK(token->type == MNI_JSON_KEY || token->type == MNI_JSON_STRING);
    MNI_CHECK(token->raw.n_bytes >= 2);
    return (struct rest){.p = raw + 1, .end = raw + token->raw.n_bytes - 1};
}

/* The next part of the text: what stands between escapes, or one escape's character. Empty at the
 * end. */
static struct mn_slice next_part(struct rest *rest)
{
    const unsigned char *begin = rest->p;
    const char *problem = NULL;
    uint32_t code = 0;

    if (begin == rest->end)
        return (struct mn_slice){0};
    if (*begin != '\\') {
        rest->p = memchr(begin, '\\', (size_t)(rest->end - begin));
        if (rest->p == NULL)
            rest->p = rest->end;
        return (struct mn_slice){begin, (size_t)(rest->p - begin)};
    }
    rest->p = scan_escape(begin, rest->end, &code, &problem);
    MNI_CHECK(problem == NULL);
    return (struct mn_slice){rest->character, encode_utf8(code, rest->character)};
}

bool mni_json_token_equals(const struct mni_json_token *token, struct mn_slice text)
{
    struct rest rest = rest_of(token);
    const unsigned char *expected = text.data;
    size_t n_left = text.n_bytes;

    if (!token->has_escapes && n_left != token->raw.n_bytes - 2)
        return false;
    for (;;) {
        struct mn_slice part = next_part(&rest);
        if (part.n_bytes == 0)
            return n_left == 0;
        if (part.n_bytes > n_left || memcmp(part.data, expected, part.n_bytes) != 0)
            return false;
        expected += part.n_bytes;
        n_left -= part.n_bytes;
    }
}

mn_status mni_json_token_unescape(const struct mni_json_token *token, void *out, size_t capacity,
                                  size_t *n_bytes_out)
{
    struct rest rest = rest_of(token);
    unsigned char *at = out;
    size_t n_bytes = 0;

    for (;;) {
        struct mn_slice part = next_part(&rest);
        if (part.n_bytes == 0)
            break;
        if (part.n_bytes > capacity - n_bytes)
            return MN_ERR_LIMIT;
        memcpy(at + n_bytes, part.data, part.n_bytes);
        n_bytes += part.n_bytes;
    }
    *n_bytes_out = n_bytes;
    return MN_OK;
}

mn_status mni_json_token_text(const struct mni_json_token *token, struct mni_buf *scratch,
                              struct mn_slice *text_out)
{
    const unsigned char *raw = token->raw.data;
    mn_status st;

    if (!token->has_escapes) {
        *text_out = (struct mn_slice){raw + 1, token->raw.n_bytes - 2};
        return MN_OK;
    }
    mni_buf_reset(scratch);
    st = mni_buf_reserve(scratch, token->raw.n_bytes);
    if (st != MN_OK)
        return st;
    st = mni_json_token_unescape(token, scratch->data, scratch->capacity_bytes, &scratch->n_bytes);
    MNI_CHECK(st == MN_OK);
    *text_out = (struct mn_slice){scratch->data, scratch->n_bytes};
    return MN_OK;
}
