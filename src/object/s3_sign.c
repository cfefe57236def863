/*
 * s3_sign.c - AWS Signature Version 4 for S3, and the digests it is made of.
 *
 * Owns:    a copy of the credentials, wiped at the end, and the signing key of one day.
 * Threads: any; the key of the day stands under a lock of its own.
 * Fails:   MN_ERR_NOMEM; digests fail for no other reason.
 */
#include "object/s3_sign_private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    HEX_BYTES = 2 * MNI_S3_SHA256_BYTES + 1,
    DAY_BYTES = 8, /* of a stamp: "20130524" */
};

struct mni_s3_signer {
    char *access_key;    /* owned */
    char *secret;        /* owned: "AWS4" and the secret key */
    char *session_token; /* owned; NULL for none */
    char *region;        /* owned */
    struct mni_mutex lock;
    char day[DAY_BYTES + 1];                /* of `key`; empty for none */
    unsigned char key[MNI_S3_SHA256_BYTES]; /* derived for that day */
};

/* Digests ----------------------------------------------------------------------------------------
 */

void mni_s3_hex(const unsigned char *data, size_t n, char *text_out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        text_out[2 * i] = digits[data[i] >> 4];
        text_out[2 * i + 1] = digits[data[i] & 15];
    }
    text_out[2 * n] = '\0';
}

void mni_s3_wipe(void *data, size_t n)
{
    OPENSSL_cleanse(data, n);
}

bool mni_s3_md5(const void *data, size_t n, unsigned char md5_out[MNI_S3_MD5_BYTES])
{
    return EVP_Digest(data, n, md5_out, NULL, EVP_md5(), NULL) == 1;
}

static mn_status sha256_hex(const void *data, size_t n, char hex_out[HEX_BYTES])
{
    unsigned char digest[MNI_S3_SHA256_BYTES];

    if (EVP_Digest(data, n, digest, NULL, EVP_sha256(), NULL) != 1)
        return MN_ERR_NOMEM;
    mni_s3_hex(digest, sizeof digest, hex_out);
    return MN_OK;
}

static mn_status hmac(const void *key, size_t key_bytes, const void *data, size_t n,
                      unsigned char mac_out[MNI_S3_SHA256_BYTES])
{
    unsigned mac_bytes = 0;

    if (HMAC(EVP_sha256(), key, (int)key_bytes, data, n, mac_out, &mac_bytes) == NULL)
        return MN_ERR_NOMEM;
    MNI_CHECK(mac_bytes == MNI_S3_SHA256_BYTES);
    return MN_OK;
}

void mni_s3_request_body(struct mni_s3_request *request, struct mn_slice body)
{
    char hex[HEX_BYTES];

    request->body = body;
    if (sha256_hex(body.n_bytes > 0 ? body.data : "", body.n_bytes, hex) != MN_OK)
        request->is_short_of_memory = true;
    else
        mni_s3_request_header(request, "x-amz-content-sha256", mn_str(hex));
}

/* Life cycle -------------------------------------------------------------------------------------
 */

static char *join(const char *first, const char *second)
{
    size_t first_bytes = strlen(first);
    size_t second_bytes = strlen(second);
    char *text = mni_alloc(first_bytes + second_bytes + 1);

    if (text == NULL)
        return NULL;
    memcpy(text, first, first_bytes);
    memcpy(text + first_bytes, second, second_bytes + 1);
    return text;
}

mn_status mni_s3_signer_new(const char *access_key, const char *secret_key,
                            const char *session_token, const char *region,
                            struct mni_s3_signer **signer_out)
{
    struct mni_s3_signer *signer = mni_alloc_zero(sizeof *signer);

    *signer_out = NULL;
    if (signer == NULL)
        return MN_ERR_NOMEM;
    mni_mutex_init(&signer->lock);
    signer->access_key = join(access_key, "");
    signer->secret = join("AWS4", secret_key);
    signer->region = join(region, "");
    signer->session_token = session_token == NULL ? NULL : join(session_token, "");
    if (signer->access_key == NULL || signer->secret == NULL || signer->region == NULL ||
        (session_token != NULL && signer->session_token == NULL)) {
        mni_s3_signer_free(signer);
        return MN_ERR_NOMEM;
    }
    *signer_out = signer;
    return MN_OK;
}

static void free_secret(char *text)
{
    if (text != NULL)
        mni_s3_wipe(text, strlen(text));
    mni_free(text);
}

void mni_s3_signer_free(struct mni_s3_signer *signer)
{
    if (signer == NULL)
        return;
    free_secret(signer->access_key);
    free_secret(signer->secret);
    free_secret(signer->session_token);
    mni_free(signer->region);
    mni_mutex_done(&signer->lock);
    mni_s3_wipe(signer, sizeof *signer);
    mni_free(signer);
}

static bool has_text(struct mn_slice text, const char *part)
{
    size_t n = strlen(part);
    const char *at = text.data;

    for (size_t i = 0; n > 0 && i + n <= text.n_bytes; i++)
        if (memcmp(at + i, part, n) == 0)
            return true;
    return false;
}

bool mni_s3_signer_is_secret_in(const struct mni_s3_signer *signer, struct mn_slice text)
{
    return has_text(text, signer->access_key) || has_text(text, signer->secret + 4) ||
           (signer->session_token != NULL && has_text(text, signer->session_token));
}

/* Signing ----------------------------------------------------------------------------------------
 */

/* The key for a day: of all days the same is asked for again and again. */
static mn_status day_key(struct mni_s3_signer *signer, const char *day,
                         unsigned char key_out[MNI_S3_SHA256_BYTES])
{
    unsigned char key[MNI_S3_SHA256_BYTES];
    mn_status st = MN_OK;

    mni_mutex_lock(&signer->lock);
    if (memcmp(signer->day, day, DAY_BYTES) != 0) {
        st = hmac(signer->secret, strlen(signer->secret), day, DAY_BYTES, key);
        if (st == MN_OK)
            st = hmac(key, sizeof key, signer->region, strlen(signer->region), key);
        if (st == MN_OK)
            st = hmac(key, sizeof key, "s3", 2, key);
        if (st == MN_OK)
            st = hmac(key, sizeof key, "aws4_request", 12, key);
        if (st == MN_OK) {
            memcpy(signer->day, day, DAY_BYTES);
            memcpy(signer->key, key, sizeof key);
        }
        mni_s3_wipe(key, sizeof key);
    }
    if (st == MN_OK)
        memcpy(key_out, signer->key, MNI_S3_SHA256_BYTES);
    mni_mutex_unlock(&signer->lock);
    return st;
}

static void append(mn_status *st, struct mni_buf *buf, const void *data, size_t n)
{
    if (*st == MN_OK)
        *st = mni_buf_append(buf, data, n);
}

static void append_text(mn_status *st, struct mni_buf *buf, const char *text)
{
    append(st, buf, text, strlen(text));
}

/* "host;range;x-amz-date": the names of the lines. */
static void append_names(mn_status *st, struct mni_buf *buf, const struct mni_buf *headers)
{
    const char *at = (const char *)headers->data;
    const char *end = at + headers->n_bytes;
    const char *separator = "";

    while (at < end) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        MNI_CHECK(colon != NULL);
        append_text(st, buf, separator);
        append(st, buf, at, (size_t)(colon - at));
        separator = ";";
        const char *line_end = memchr(colon, '\n', (size_t)(end - colon));
        MNI_CHECK(line_end != NULL);
        at = line_end + 1;
    }
}

/* The value of the header x-amz-content-sha256, which every request has. */
static const char *payload_hash(const struct mni_buf *headers)
{
    static const char name[] = "\nx-amz-content-sha256:";
    enum { NAME_BYTES = sizeof name - 1 };
    const char *at = (const char *)headers->data;

    for (size_t i = 0; i + NAME_BYTES + HEX_BYTES - 1 <= headers->n_bytes; i++)
        if (memcmp(at + i, name, NAME_BYTES) == 0)
            return at + i + NAME_BYTES;
    MNI_CHECK(false); /* every request has the hash of its body */
    return NULL;
}

static mn_status hash_canonical(const struct mni_s3_request *request, char hex_out[HEX_BYTES])
{
    struct mni_buf text = {0};
    mn_status st = MN_OK;

    append_text(&st, &text, request->method);
    append_text(&st, &text, "\n");
    append(&st, &text, request->path.data, request->path.n_bytes);
    append_text(&st, &text, "\n");
    append(&st, &text, request->query.data, request->query.n_bytes);
    append_text(&st, &text, "\n");
    append(&st, &text, request->headers.data, request->headers.n_bytes);
    append_text(&st, &text, "\n");
    append_names(&st, &text, &request->headers);
    append_text(&st, &text, "\n");
    append(&st, &text, payload_hash(&request->headers), HEX_BYTES - 1);
    if (st == MN_OK)
        st = sha256_hex(text.data, text.n_bytes, hex_out);
    mni_buf_done(&text);
    return st;
}

mn_status mni_s3_sign(struct mni_s3_signer *signer, struct mni_s3_request *request, int64_t time_us)
{
    char stamp[MNI_S3_STAMP_BYTES];
    char hex[HEX_BYTES] = "";
    unsigned char key[MNI_S3_SHA256_BYTES] = {0};
    unsigned char mac[MNI_S3_SHA256_BYTES];
    struct mni_buf text = {0};
    struct mni_buf *out = &request->authorization;

    mni_s3_time_stamp(time_us, stamp);
    mni_s3_request_header(request, "x-amz-date", mn_str(stamp));
    if (signer->session_token != NULL)
        mni_s3_request_header(request, "x-amz-security-token", mn_str(signer->session_token));
    mn_status st = request->is_short_of_memory ? MN_ERR_NOMEM : hash_canonical(request, hex);

    append_text(&st, &text, "AWS4-HMAC-SHA256\n");
    append_text(&st, &text, stamp);
    append_text(&st, &text, "\n");
    size_t scope = text.n_bytes;
    append(&st, &text, stamp, DAY_BYTES);
    append_text(&st, &text, "/");
    append_text(&st, &text, signer->region);
    append_text(&st, &text, "/s3/aws4_request");
    size_t scope_bytes = text.n_bytes - scope;
    append_text(&st, &text, "\n");
    append_text(&st, &text, hex);
    if (st == MN_OK)
        st = day_key(signer, stamp, key);
    if (st == MN_OK)
        st = hmac(key, sizeof key, text.data, text.n_bytes, mac);
    mni_s3_wipe(key, sizeof key);
    if (st != MN_OK)
        goto out;
    mni_s3_hex(mac, sizeof mac, hex);

    mni_buf_reset(out);
    append_text(&st, out, "AWS4-HMAC-SHA256 Credential=");
    append_text(&st, out, signer->access_key);
    append_text(&st, out, "/");
    append(&st, out, text.data + scope, scope_bytes);
    append_text(&st, out, ",SignedHeaders=");
    append_names(&st, out, &request->headers);
    append_text(&st, out, ",Signature=");
    append_text(&st, out, hex);
out:
    mni_buf_done(&text);
    return st;
}
