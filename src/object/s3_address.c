/*
 * s3_address.c - from endpoint and bucket to the host and path that requests go to.
 *
 * Owns:    the strings of an address.
 * Threads: any.
 * Fails:   MN_ERR_INVALID for an endpoint or a bucket that cannot be, MN_ERR_NOMEM.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "object/s3_settings_private.h"

enum { HOST_BYTES_MAX = 300 }; /* of an endpoint: a name of DNS has at most 253, and a port */

struct endpoint {
    bool is_https;
    char host[HOST_BYTES_MAX]; /* in lower case; brackets of an IPv6 address included */
    unsigned port;             /* 0: the usual one */
};

void mni_s3_address_done(struct mni_s3_address *address)
{
    mni_free(address->origin);
    mni_free(address->host);
    mni_free(address->root);
    *address = (struct mni_s3_address){0};
}

static mn_status refuse(const char *endpoint, const char *why, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_INVALID, "endpoint %s: %s", endpoint, why);
}

static mn_status refuse_rest(const char *endpoint, const char *rest, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_INVALID,
                    "endpoint %s: \"%s\" does not belong to it: it is a scheme, a host and a port",
                    endpoint, rest);
}

/* Schemes may be written in either case. */
static bool has_scheme(const char *text, const char *scheme)
{
    for (size_t i = 0; scheme[i] != '\0'; i++)
        if ((text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]) != scheme[i])
            return false;
    return true;
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* Of "host", "127.0.0.1" or "[::1]", what is before the port. */
static size_t host_bytes_of(const char *host)
{
    size_t n = 0;

    if (host[0] == '[') {
        n = 1 + strspn(host + 1, "0123456789abcdef:.");
        return host[n] == ']' && n > 2 ? n + 1 : 0;
    }
    while (is_host_char(host[n]))
        n++;
    return n;
}

static mn_status parse_endpoint(const char *text, struct endpoint *endpoint_out,
                                struct mn_error *err)
{
    struct endpoint e = {0};
    const char *at = text;

    /* Before anything of it stands in a message. */
    if (strchr(text, '@') != NULL)
        return mni_fail(err, MN_ERR_INVALID, "the endpoint may not hold a user or a password");
    if (has_scheme(text, "https://")) {
        e.is_https = true;
        at += 8;
    } else if (has_scheme(text, "http://")) {
        at += 7;
    } else {
        return refuse(text, "it begins with https:// (or http://)", err);
    }
    size_t n = strlen(at);
    if (n > 0 && at[n - 1] == '/')
        n--;
    if (n >= sizeof e.host)
        return refuse(text, "too long", err);
    for (size_t i = 0; i < n; i++)
        e.host[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] + 32) : at[i];
    size_t host_bytes = host_bytes_of(e.host);
    if (strchr("/?#", e.host[host_bytes]) != NULL && host_bytes < n)
        return refuse_rest(text, at + host_bytes, err);
    if (host_bytes == 0)
        return refuse(text, "it names no host", err);
    if (host_bytes < n && e.host[host_bytes] != ':')
        return refuse(text, "the host's name has letters, digits, \"-\", \"_\" and \".\"", err);
    if (host_bytes < n) {
        const char *digits = e.host + host_bytes + 1;
        size_t n_digits = strspn(digits, "0123456789");
        if (n_digits > 0 && digits[n_digits] != '\0' && strchr("/?#", digits[n_digits]) != NULL)
            return refuse_rest(text, at + host_bytes + 1 + n_digits, err);
        if (n_digits == 0 || n_digits > 5 || digits[n_digits] != '\0')
            return refuse(text, "the port is a number", err);
        for (size_t i = 0; i < n_digits; i++)
            e.port = e.port * 10 + (unsigned)(digits[i] - '0');
        if (e.port == 0 || e.port > 65535)
            return refuse(text, "a port is 1 to 65535", err);
        if (e.port == (e.is_https ? 443U : 80U))
            e.port = 0;
    }
    e.host[host_bytes] = '\0';
    *endpoint_out = e;
    return MN_OK;
}

/* Four numbers: else "127.example.org" would pass for this machine. */
static bool is_ipv4(const char *host)
{
    unsigned n_parts = 0;

    for (;;) {
        size_t n = strspn(host, "0123456789");
        if (n == 0 || n > 3 || ++n_parts > 4)
            return false;
        host += n;
        if (*host == '\0')
            return n_parts == 4;
        if (*host++ != '.')
            return false;
    }
}

static bool is_loopback(const char *host)
{
    static const char tail[] = ".localhost";
    size_t n = strlen(host);

    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    if (n > sizeof tail - 1 && strcmp(host + n - (sizeof tail - 1), tail) == 0)
        return true;
    return is_ipv4(host) && strncmp(host, "127.", 4) == 0;
}

static mn_status check_bucket(const char *bucket, struct mn_error *err)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    size_t n = bucket == NULL ? 0 : strlen(bucket);

    if (n == 0)
        return mni_fail(err, MN_ERR_INVALID, "a bucket must be named");
    if (n < 3 || n > 255 || strspn(bucket, legal) != n || strspn(bucket, ".-_") > 0)
        return mni_fail(err, MN_ERR_INVALID,
                        "bucket %.255s: 3 to 255 letters, digits, \"-\", \"_\" and \".\", the "
                        "first a letter or a digit",
                        bucket);
    return MN_OK;
}

/* Whether the bucket may stand in a host's name: one label of DNS, or a certificate for "*.host"
 * would not cover it. */
static bool is_label(const char *bucket)
{
    size_t n = strlen(bucket);

    return n <= 63 && strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           bucket[n - 1] != '-';
}

static bool is_in_host(const struct mn_object_s3_options *options, bool is_aws,
                       const struct endpoint *endpoint)
{
    if (!is_label(options->bucket) || is_ipv4(endpoint->host) || endpoint->host[0] == '[')
        return false;
    if (options->addressing == MN_OBJECT_ADDRESSING_DEFAULT)
        return is_aws;
    return options->addressing == MN_OBJECT_ADDRESSING_HOST;
}

static char *format(const char *a, const char *b, const char *c, const char *d)
{
    size_t n = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
    char *text = mni_alloc(n);

    if (text != NULL)
        (void)snprintf(text, n, "%s%s%s%s", a, b, c, d);
    return text;
}

/* AWS by its regional name, so that it never redirects. China has a domain of its own. */
static void aws_endpoint(const char *region, struct endpoint *endpoint_out)
{
    *endpoint_out = (struct endpoint){.is_https = true};
    (void)snprintf(endpoint_out->host, sizeof endpoint_out->host, "s3.%s.amazonaws.com%s", region,
                   strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

mn_status mni_s3_address_init(const struct mni_s3_settings *settings,
                              const struct mn_object_s3_options *options,
                              struct mni_s3_address *address_out, struct mn_error *err)
{
    struct mni_s3_address address = {0};
    struct endpoint endpoint;
    bool is_aws = settings->endpoint == NULL;
    char port[8] = "";

    mn_status st = check_bucket(options->bucket, err);
    if (st != MN_OK)
        return st;
    if (is_aws && strlen(settings->region) > 64)
        return mni_fail(err, MN_ERR_INVALID, "the region's name is too long");
    if (is_aws)
        aws_endpoint(settings->region, &endpoint);
    else
        st = parse_endpoint(settings->endpoint, &endpoint, err);
    if (st != MN_OK)
        return st;
    address.is_https = endpoint.is_https;
    address.is_loopback = is_loopback(endpoint.host);
    if (!address.is_https && !address.is_loopback && !options->allow_http)
        return refuse(settings->endpoint,
                      "without TLS only to this machine (allow_http permits more)", err);
    bool in_host = is_in_host(options, is_aws, &endpoint);
    if (options->addressing == MN_OBJECT_ADDRESSING_HOST && !in_host &&
        strchr(options->bucket, '.') == NULL)
        return mni_fail(err, MN_ERR_INVALID,
                        "bucket %s cannot stand before the host %s: use path addressing",
                        options->bucket, endpoint.host);

    if (endpoint.port != 0)
        (void)snprintf(port, sizeof port, ":%u", endpoint.port);
    address.host = format(in_host ? options->bucket : "", in_host ? "." : "", endpoint.host, port);
    address.root = format("/", in_host ? "" : options->bucket, in_host ? "" : "/", "");
    if (address.host != NULL)
        address.origin = format(address.is_https ? "https://" : "http://", address.host, "", "");
    if (address.host == NULL || address.root == NULL || address.origin == NULL) {
        mni_s3_address_done(&address);
        return mni_fail(err, MN_ERR_NOMEM, "an address");
    }
    *address_out = address;
    return MN_OK;
}
