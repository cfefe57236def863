/*
 * npy.c - vectors in a NumPy file (formats 1.0 and 2.0).
 *
 * Owns:    the open file.
 * Threads: the main one.
 * Fails:   MN_ERR_INVALID for a file that is something else, naming what it found.
 */
#include "npy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/status.h"
#include "mneme/limits.h"
#include "talk.h"

/* magic (6), version (2), length of the text (u16 in 1.0, u32 in 2.0), the text, the rows. */
enum { PREFIX_BYTES = 8, HEADER_TEXT_BYTES_MAX = 64 << 10 };

/* The header's text: a Python dictionary such as
 * {'descr': '<f4', 'fortran_order': False, 'shape': (1398, 512), } */
struct header {
    const char *at;
    const char *end;
    struct mn_slice descr;
    bool is_fortran;
    uint64_t shape[2];
    unsigned n_axes;
    unsigned seen; /* bits: descr, fortran_order, shape */
};

static mn_status malformed(struct mn_error *err)
{
    return mni_fail(err, MN_ERR_INVALID, "header of the .npy file is malformed");
}

static void skip_space(struct header *h)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n' || *h->at == '\t'))
        h->at++;
}

static bool take(struct header *h, const char *word)
{
    size_t n = strlen(word);

    skip_space(h);
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, word, n) != 0)
        return false;
    h->at += n;
    return true;
}

static bool take_quoted(struct header *h, struct mn_slice *text_out)
{
    skip_space(h);
    if (h->at == h->end || (*h->at != '\'' && *h->at != '"'))
        return false;
    char quote = *h->at++;
    const char *close = memchr(h->at, quote, (size_t)(h->end - h->at));
    if (close == NULL)
        return false;
    *text_out = (struct mn_slice){.data = h->at, .n_bytes = (size_t)(close - h->at)};
    h->at = close + 1;
    return true;
}

static bool take_number(struct header *h, uint64_t *number_out)
{
    uint64_t number = 0;

    skip_space(h);
    const char *begin = h->at;
    for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*h->at - '0'), &number))
            return false;
    }
    *number_out = number;
    return h->at > begin;
}

static bool take_shape(struct header *h)
{
    uint64_t extent;

    if (!take(h, "("))
        return false;
    while (!take(h, ")")) {
        if (!take_number(h, &extent))
            return false;
        if (h->n_axes < 2)
            h->shape[h->n_axes] = extent;
        h->n_axes++;
        if (!take(h, ",")) {
            if (!take(h, ")"))
                return false;
            break;
        }
    }
    return true;
}

static mn_status take_item(struct header *h, struct mn_error *err)
{
    struct mn_slice key;

    if (!take_quoted(h, &key) || !take(h, ":"))
        return malformed(err);
    if (key.n_bytes == 5 && memcmp(key.data, "descr", 5) == 0) {
        if (take(h, "["))
            return mni_fail(err, MN_ERR_INVALID,
                            "elements are structures; only '<f4' (float32, little-endian) is read");
        h->seen |= 1;
        return take_quoted(h, &h->descr) ? MN_OK : malformed(err);
    }
    if (key.n_bytes == 13 && memcmp(key.data, "fortran_order", 13) == 0) {
        h->seen |= 2;
        h->is_fortran = take(h, "True");
        return h->is_fortran || take(h, "False") ? MN_OK : malformed(err);
    }
    if (key.n_bytes == 5 && memcmp(key.data, "shape", 5) == 0) {
        h->seen |= 4;
        h->n_axes = 0;
        return take_shape(h) ? MN_OK : malformed(err);
    }
    return malformed(err);
}

static mn_status parse_header(const char *text, size_t n_bytes, struct header *h,
                              struct mn_error *err)
{
    *h = (struct header){.at = text, .end = text + n_bytes};
    if (!take(h, "{"))
        return malformed(err);
    while (!take(h, "}")) {
        mn_status st = take_item(h, err);
        if (st != MN_OK)
            return st;
        if (!take(h, ",")) {
            if (!take(h, "}"))
                return malformed(err);
            break;
        }
    }
    skip_space(h);
    return h->at == h->end && h->seen == 7 ? MN_OK : malformed(err);
}

static mn_status judge_header(const struct header *h, struct npy *npy, struct mn_error *err)
{
    char text[QUOTED_BYTES];

    if (h->descr.n_bytes != 3 || memcmp(h->descr.data, "<f4", 3) != 0)
        return mni_fail(err, MN_ERR_INVALID,
                        "elements are %s; only \"<f4\" (float32, little-endian) is read",
                        quoted(h->descr, text));
    if (h->is_fortran)
        return mni_fail(err, MN_ERR_INVALID, "rows are in Fortran order; only C order is read");
    if (h->n_axes != 2)
        return mni_fail(err, MN_ERR_INVALID, "array has %u axes; 2 are needed: rows and elements",
                        h->n_axes);
    if (h->shape[0] == 0 && h->shape[1] == 0)
        return MN_OK; /* what a namespace without vectors is exported as */
    if (h->shape[1] == 0 || h->shape[1] > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "vectors have %llu dimensions; 1 to %d are possible",
                        (unsigned long long)h->shape[1], MN_DIMENSIONS_MAX);
    npy->n_rows = h->shape[0];
    npy->n_dims = (uint32_t)h->shape[1];
    return MN_OK;
}

static mn_status read_at(int fd, uint64_t offset, void *data, size_t n_bytes, struct mn_error *err)
{
    size_t n_done = 0;

    while (n_done < n_bytes) {
        ssize_t n =
            pread(fd, (unsigned char *)data + n_done, n_bytes - n_done, (off_t)(offset + n_done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mni_fail_os(err, errno, "cannot read");
        if (n == 0)
            return mni_fail(err, MN_ERR_INVALID, "file ends too early");
        n_done += (size_t)n;
    }
    return MN_OK;
}

static mn_status read_header(struct npy *npy, struct mn_error *err)
{
    char text[HEADER_TEXT_BYTES_MAX];
    unsigned char prefix[PREFIX_BYTES + 4] = {0};
    struct header h;
    mn_status st = read_at(npy->fd, 0, prefix, sizeof prefix, err);

    if (st == MN_ERR_INVALID || (st == MN_OK && memcmp(prefix, "\x93NUMPY", 6) != 0))
        return mni_fail(err, MN_ERR_INVALID, "not a .npy file");
    if (st != MN_OK)
        return st;
    if ((prefix[6] != 1 && prefix[6] != 2) || prefix[7] != 0)
        return mni_fail(err, MN_ERR_UNSUPPORTED, ".npy format %d.%d is not read; 1.0 and 2.0 are",
                        prefix[6], prefix[7]);
    size_t length_bytes = prefix[6] == 1 ? 2 : 4;
    size_t n_bytes = prefix[6] == 1 ? mni_get_u16(prefix + PREFIX_BYTES)
                                    : mni_get_u32(prefix + PREFIX_BYTES);
    if (n_bytes > sizeof text)
        return malformed(err);
    st = read_at(npy->fd, PREFIX_BYTES + length_bytes, text, n_bytes, err);
    if (st == MN_OK)
        st = parse_header(text, n_bytes, &h, err);
    if (st == MN_OK)
        st = judge_header(&h, npy, err);
    npy->data_offset = PREFIX_BYTES + length_bytes + n_bytes;
    return st;
}

static mn_status check_size(const struct npy *npy, struct mn_error *err)
{
    struct stat stat_buf;
    uint64_t want;

    if (fstat(npy->fd, &stat_buf) != 0)
        return mni_fail_os(err, errno, "cannot read");
    if (__builtin_mul_overflow(npy->n_rows, npy->n_dims * (uint64_t)sizeof(float), &want) ||
        __builtin_add_overflow(want, npy->data_offset, &want) || want != (uint64_t)stat_buf.st_size)
        return mni_fail(err, MN_ERR_INVALID,
                        "file has %lld bytes, which does not fit its header (%llu rows of %u)",
                        (long long)stat_buf.st_size, (unsigned long long)npy->n_rows, npy->n_dims);
    return MN_OK;
}

mn_status npy_open(const char *path, struct npy *npy_out, struct mn_error *err)
{
    struct npy npy = {.fd = open(path, O_RDONLY | O_CLOEXEC)};

    if (npy.fd < 0)
        return mni_fail_os(err, errno, "cannot open");
    mn_status st = read_header(&npy, err);
    if (st == MN_OK)
        st = check_size(&npy, err);
    if (st != MN_OK)
        npy_close(&npy);
    else
        *npy_out = npy;
    return st;
}

void npy_close(struct npy *npy)
{
    if (npy->fd >= 0)
        (void)close(npy->fd);
    npy->fd = -1;
}

mn_status npy_read_row(struct npy *npy, uint64_t row_index, float *vector_out, struct mn_error *err)
{
    size_t row_bytes = npy->n_dims * sizeof *vector_out;
    unsigned char *bytes = (unsigned char *)vector_out;

    MNI_CHECK(row_index < npy->n_rows);
    mn_status st =
        read_at(npy->fd, npy->data_offset + row_index * row_bytes, bytes, row_bytes, err);
    for (size_t at = 0; st == MN_OK && at < row_bytes; at += sizeof(uint32_t)) {
        uint32_t bits = mni_get_u32(bytes + at);
        memcpy(bytes + at, &bits, sizeof bits);
    }
    return st;
}
