/*
 * npy_test.c - NumPy files, whole and damaged.
 */
#include "npy.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static const char header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
static const float rows[3][2] = {{1, 2}, {3, 4}, {5, 6}};
static char path[600];

/* A whole file of three rows in `bytes`; returns its size. */
static size_t make_file(unsigned char *bytes)
{
    size_t n = sizeof header - 1;
    const unsigned char prefix[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)n, 0};

    memcpy(bytes, prefix, sizeof prefix);
    memcpy(bytes + sizeof prefix, header, n);
    memcpy(bytes + sizeof prefix + n, rows, sizeof rows);
    return sizeof prefix + n + sizeof rows;
}

static void write_file(const unsigned char *bytes, size_t n)
{
    (void)snprintf(path, sizeof path, "%s/v.npy", check_temp_dir());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes, n), n);
    CHECK_EQ(close(fd), 0);
}

static void rows_are_read_in_any_order(void)
{
    unsigned char bytes[256];
    struct mn_error err;
    struct npy npy;
    float row[2];

    write_file(bytes, make_file(bytes));
    CHECK_OK_ERR(npy_open(path, &npy, &err), &err);
    CHECK_EQ(npy.n_rows, 3);
    CHECK_EQ(npy.n_dims, 2);
    for (int i = 2; i >= 0; i--) {
        CHECK_OK_ERR(npy_read_row(&npy, (uint64_t)i, row, &err), &err);
        CHECK_MEM_EQ(row, rows[i], sizeof row);
    }
    npy_close(&npy);
    npy_close(&npy);
}

static void every_truncation_is_refused(void)
{
    unsigned char bytes[256];
    struct mn_error err;
    struct npy npy;
    size_t n = make_file(bytes);

    for (size_t kept = 0; kept < n; kept++) {
        write_file(bytes, kept);
        CHECK_STATUS(npy_open(path, &npy, &err), MN_ERR_INVALID);
        CHECK(err.message[0] != '\0');
    }
}

static void a_changed_header_is_refused_or_fits_the_file(void)
{
    unsigned char bytes[256];
    unsigned char changed[256];
    struct mn_error err;
    struct npy npy;
    float row[2 * 3];
    size_t n = make_file(bytes);
    int n_refused = 0;

    for (size_t at = 0; at < n - sizeof rows; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(changed, bytes, n);
            changed[at] ^= (unsigned char)(1U << bit);
            write_file(changed, n);
            if (npy_open(path, &npy, &err) != MN_OK) {
                CHECK(err.message[0] != '\0');
                n_refused++;
                continue;
            }
            CHECK(npy.n_rows * npy.n_dims == 6);
            CHECK_OK_ERR(npy_read_row(&npy, npy.n_rows - 1, row, &err), &err);
            npy_close(&npy);
        }
    }
    CHECK(n_refused > 400);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(rows_are_read_in_any_order),
        CHECK_TEST(every_truncation_is_refused),
        CHECK_TEST(a_changed_header_is_refused_or_fits_the_file),
    };
    return check_run("cli.npy", tests, CHECK_COUNT(tests), argc, argv);
}
