/*
 * s3_xml.c - a small strict reader of XML.
 *
 * Owns:    nothing; tokens point into the text.
 * Threads: one at a time per reader.
 * Fails:   MN_ERR_CORRUPT at the first place that is not well-formed, or not understood.
 */
#include "object/s3_xml_private.h"

#include <string.h>

#include "base/check.h"
#include "base/utf8.h"

void mni_s3_xml_init(struct mni_s3_xml *xml, struct mn_slice text)
{
    *xml = (struct mni_s3_xml){.at = text.data, .end = (const char *)text.data + text.n_bytes};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

static size_t n_left(const struct mni_s3_xml *xml)
{
    return (size_t)(xml->end - xml->at);
}

static void skip_space(struct mni_s3_xml *xml)
{
    while (xml->at < xml->end && is_space(*xml->at))
        xml->at++;
}

static bool take(struct mni_s3_xml *xml, const char *text)
{
    size_t n = strlen(text);

    if (n_left(xml) < n || memcmp(xml->at, text, n) != 0)
        return false;
    xml->at += n;
    return true;
}

static bool skip_past(struct mni_s3_xml *xml, const char *text)
{
    while (xml->at < xml->end) {
        if (take(xml, text))
            return true;
        xml->at++;
    }
    return false;
}

static bool read_name(struct mni_s3_xml *xml, struct mn_slice *name_out)
{
    const char *begin = xml->at;

    while (xml->at < xml->end && is_name_char(*xml->at))
        xml->at++;
    *name_out = (struct mn_slice){begin, (size_t)(xml->at - begin)};
    return name_out->n_bytes > 0;
}

/* "prefix:name" -> "name" */
static struct mn_slice local_name(struct mn_slice name)
{
    const char *text = name.data;

    for (size_t i = name.n_bytes; i > 0; i--)
        if (text[i - 1] == ':')
            return (struct mn_slice){text + i, name.n_bytes - i};
    return name;
}

/* Attributes are passed over: S3 has none that matter. */
static bool skip_attributes(struct mni_s3_xml *xml)
{
    struct mn_slice name;

    for (;;) {
        bool is_apart = xml->at < xml->end && is_space(*xml->at);
        skip_space(xml);
        if (xml->at >= xml->end || *xml->at == '>' || *xml->at == '/')
            return xml->at < xml->end;
        if (!is_apart || !read_name(xml, &name))
            return false;
        skip_space(xml);
        if (!take(xml, "="))
            return false;
        skip_space(xml);
        if (xml->at >= xml->end || (*xml->at != '"' && *xml->at != '\''))
            return false;
        char quote = *xml->at++;
        while (xml->at < xml->end && *xml->at != quote && *xml->at != '<')
            xml->at++;
        if (xml->at >= xml->end || *xml->at != quote)
            return false;
        xml->at++;
    }
}

static bool begin_element(struct mni_s3_xml *xml, struct mni_s3_xml_token *token_out)
{
    struct mn_slice name;

    if ((xml->depth == 0 && xml->is_begun) || xml->depth == MNI_S3_XML_DEPTH_MAX)
        return false;
    if (!read_name(xml, &name) || !skip_attributes(xml))
        return false;
    if (take(xml, "/"))
        xml->is_empty_element = true;
    if (!take(xml, ">"))
        return false;
    xml->is_begun = true;
    xml->names[xml->depth++] = name;
    *token_out = (struct mni_s3_xml_token){MNI_S3_XML_BEGIN, local_name(name)};
    return token_out->text.n_bytes > 0;
}

static bool end_element(struct mni_s3_xml *xml, struct mni_s3_xml_token *token_out)
{
    struct mn_slice name;

    if (xml->depth == 0 || !read_name(xml, &name))
        return false;
    struct mn_slice open = xml->names[xml->depth - 1];
    if (name.n_bytes != open.n_bytes || memcmp(name.data, open.data, name.n_bytes) != 0)
        return false;
    skip_space(xml);
    if (!take(xml, ">"))
        return false;
    xml->depth--;
    *token_out = (struct mni_s3_xml_token){MNI_S3_XML_END, local_name(name)};
    return true;
}

mn_status mni_s3_xml_next(struct mni_s3_xml *xml, struct mni_s3_xml_token *token_out)
{
    MNI_CHECK(xml->depth <= MNI_S3_XML_DEPTH_MAX);
    if (xml->is_empty_element) {
        xml->is_empty_element = false;
        xml->depth--;
        *token_out = (struct mni_s3_xml_token){MNI_S3_XML_END, local_name(xml->names[xml->depth])};
        return MN_OK;
    }
    if (!xml->is_begun && xml->depth == 0) {
        (void)take(xml, "\xef\xbb\xbf"); /* a mark of UTF-8, which some servers write */
        skip_space(xml);                 /* AWS keeps a connection alive with spaces */
        if (take(xml, "<?xml") && !skip_past(xml, "?>"))
            return MN_ERR_CORRUPT;
    }
    for (;;) {
        if (xml->depth == 0)
            skip_space(xml);
        if (xml->at >= xml->end)
            return xml->depth == 0 && xml->is_begun ? MN_END : MN_ERR_CORRUPT;
        if (take(xml, "<!--")) {
            if (!skip_past(xml, "-->"))
                return MN_ERR_CORRUPT;
            continue;
        }
        if (take(xml, "</"))
            return end_element(xml, token_out) ? MN_OK : MN_ERR_CORRUPT;
        if (take(xml, "<"))
            return begin_element(xml, token_out) ? MN_OK : MN_ERR_CORRUPT;
        if (xml->depth == 0)
            return MN_ERR_CORRUPT;
        const char *begin = xml->at;
        while (xml->at < xml->end && *xml->at != '<')
            xml->at++;
        *token_out = (struct mni_s3_xml_token){MNI_S3_XML_TEXT, {begin, (size_t)(xml->at - begin)}};
        return MN_OK;
    }
}

/* Text -------------------------------------------------------------------------------------------
 */

/* The number of "#38" or "#x26"; 0 when it is none that may stand in XML. */
static uint32_t parse_number(const char *text, size_t n)
{
    uint32_t base = 10;
    uint32_t value = 0;
    size_t i = 1;

    if (n > 1 && text[1] == 'x') {
        base = 16;
        i = 2;
    }
    if (i >= n)
        return 0;
    for (; i < n; i++) {
        char c = text[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit >= base || value > 0x10ffff)
            return 0;
        value = value * base + digit;
    }
    return value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff) ? 0 : value;
}

static size_t put_utf8(uint32_t code, char text_out[4])
{
    if (code < 0x80) {
        text_out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        text_out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    text_out[0] = (char)(leads[n] | code);
    return n;
}

/* Appends what "&...;" stands for, and passes it. */
static mn_status append_entity(struct mni_buf *out, const char **at, const char *end)
{
    static const struct {
        const char *name;
        char c;
    } named[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    const char *name = *at + 1;
    const char *semicolon = memchr(name, ';', (size_t)(end - name));
    char text[4];

    if (semicolon == NULL)
        return MN_ERR_CORRUPT;
    size_t n = (size_t)(semicolon - name);
    *at = semicolon + 1;
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (n == strlen(named[i].name) && memcmp(name, named[i].name, n) == 0)
            return mni_buf_append(out, &named[i].c, 1);
    uint32_t code = n > 1 && n < 10 && name[0] == '#' ? parse_number(name, n) : 0;
    if (code == 0)
        return MN_ERR_CORRUPT;
    return mni_buf_append(out, text, put_utf8(code, text));
}

static mn_status append_text(struct mni_buf *out, struct mn_slice raw)
{
    const char *at = raw.data;
    const char *end = at + raw.n_bytes;
    mn_status st = MN_OK;

    if (!mni_utf8_is_valid(raw.data, raw.n_bytes))
        return MN_ERR_CORRUPT;
    while (st == MN_OK && at < end) {
        const char *entity = memchr(at, '&', (size_t)(end - at));
        const char *stop = entity == NULL ? end : entity;
        st = mni_buf_append(out, at, (size_t)(stop - at));
        at = stop;
        if (st == MN_OK && entity != NULL)
            st = append_entity(out, &at, end);
    }
    return st;
}

mn_status mni_s3_xml_read_text(struct mni_s3_xml *xml, struct mni_buf *text_out)
{
    struct mni_s3_xml_token token;
    mn_status st;

    mni_buf_reset(text_out);
    while ((st = mni_s3_xml_next(xml, &token)) == MN_OK && token.type == MNI_S3_XML_TEXT) {
        st = append_text(text_out, token.text);
        if (st != MN_OK)
            return st;
    }
    MNI_CHECK(st != MN_END);
    if (st != MN_OK)
        return st;
    return token.type == MNI_S3_XML_END ? MN_OK : MN_ERR_CORRUPT;
}

mn_status mni_s3_xml_skip(struct mni_s3_xml *xml)
{
    unsigned depth = xml->depth;
    struct mni_s3_xml_token token;
    mn_status st = MN_OK;

    MNI_CHECK(depth > 0);
    while (st == MN_OK && xml->depth >= depth)
        st = mni_s3_xml_next(xml, &token);
    MNI_CHECK(st != MN_END);
    return st;
}
