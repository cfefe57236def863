/*
 * npy_test.c - NumPy files, whole and damaged.
 */
#include "npy.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "npy_out.h"

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

/* How many files lie where `path` does. */
static int n_files(void)
{
    char folder[sizeof path];
    int n = 0;

    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    DIR *dir = opendir(folder);

    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    CHECK_EQ(closedir(dir), 0);
    return n;
}

/* Bits that arithmetic would not keep: signalling NaN, denormals, negative zero. */
static float odd_float(uint64_t i)
{
    static const uint32_t bits[] = {0x7F800001, 0xFFFFFFFF, 1, 0x80000000, 0x807FFFFF, 0x3F800000};
    uint32_t odd = bits[i % CHECK_COUNT(bits)];
    float value;

    memcpy(&value, &odd, sizeof value);
    return value;
}

static void what_is_written_is_read(void)
{
    enum { DIMS_MAX = 5000, ROWS = 60 }; /* more than one piece, of a row and of the file */
    static const uint32_t dims[] = {1, 2, 1023, 1024, 1025, DIMS_MAX};
    static float row[DIMS_MAX];
    static float read_row[DIMS_MAX];
    struct mn_error err;
    struct npy npy;
    struct npy_out out;

    (void)snprintf(path, sizeof path, "%s/written.npy", check_temp_dir());
    for (size_t d = 0; d < CHECK_COUNT(dims); d++) {
        CHECK_OK_ERR(npy_out_begin(&out, path, dims[d], &err), &err);
        for (uint64_t i = 0; i < ROWS; i++) {
            CHECK_EQ(out.n_rows, i);
            for (uint32_t j = 0; j < dims[d]; j++)
                row[j] = odd_float(i * 7 + j);
            CHECK_OK_ERR(npy_out_row(&out, row, dims[d], &err), &err);
        }
        CHECK_STATUS(npy_out_row(&out, row, dims[d] + 1, &err), MN_ERR_DIMENSION);
        CHECK_OK_ERR(npy_out_commit(&out, &err), &err);
        CHECK_OK_ERR(npy_open(path, &npy, &err), &err);
        CHECK_EQ(npy.n_rows, ROWS);
        CHECK_EQ(npy.n_dims, dims[d]);
        CHECK_EQ(npy.data_offset % 64, 0);
        for (uint64_t i = 0; i < ROWS; i++) {
            for (uint32_t j = 0; j < dims[d]; j++)
                row[j] = odd_float(i * 7 + j);
            CHECK_OK_ERR(npy_read_row(&npy, i, read_row, &err), &err);
            CHECK_MEM_EQ(read_row, row, dims[d] * sizeof *row);
        }
        npy_close(&npy);
    }
    CHECK_EQ(unlink(path), 0);
}

static void a_file_without_rows_tells_the_dimension(void)
{
    static const uint32_t dims[] = {0, 1, 65536};
    struct mn_error err;
    struct npy npy;
    struct npy_out out;

    (void)snprintf(path, sizeof path, "%s/empty.npy", check_temp_dir());
    for (size_t d = 0; d < CHECK_COUNT(dims); d++) {
        CHECK_OK_ERR(npy_out_begin(&out, path, dims[d], &err), &err);
        CHECK_OK_ERR(npy_out_commit(&out, &err), &err);
        CHECK_OK_ERR(npy_open(path, &npy, &err), &err);
        CHECK_EQ(npy.n_rows, 0);
        CHECK_EQ(npy.n_dims, dims[d]);
        npy_close(&npy);
    }
    CHECK_EQ(unlink(path), 0);
}

static void nothing_is_there_before_the_end_and_nothing_else_after_it(void)
{
    struct mn_error err;
    struct npy npy;
    struct npy_out out = {0};
    unsigned char bytes[256];
    int n_before;

    npy_out_abandon(&out);
    write_file(bytes, make_file(bytes));
    n_before = n_files();
    CHECK_OK_ERR(npy_out_begin(&out, path, 2, &err), &err);
    CHECK_EQ(n_files(), n_before + 1);
    CHECK_OK_ERR(npy_out_row(&out, rows[1], 2, &err), &err);
    npy_out_abandon(&out);
    npy_out_abandon(&out);
    CHECK_EQ(n_files(), n_before);
    CHECK_OK_ERR(npy_open(path, &npy, &err), &err);
    CHECK_EQ(npy.n_rows, 3);
    npy_close(&npy);

    CHECK_OK_ERR(npy_out_begin(&out, path, 2, &err), &err);
    CHECK_OK_ERR(npy_out_row(&out, rows[1], 2, &err), &err);
    CHECK_OK_ERR(npy_out_commit(&out, &err), &err);
    npy_out_abandon(&out);
    CHECK_EQ(n_files(), n_before);
    CHECK_OK_ERR(npy_open(path, &npy, &err), &err);
    CHECK_EQ(npy.n_rows, 1);
    npy_close(&npy);

    CHECK_STATUS(npy_out_begin(&out, "/", 2, &err), MN_ERR_INVALID);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(rows_are_read_in_any_order),
        CHECK_TEST(every_truncation_is_refused),
        CHECK_TEST(a_changed_header_is_refused_or_fits_the_file),
        CHECK_TEST(what_is_written_is_read),
        CHECK_TEST(a_file_without_rows_tells_the_dimension),
        CHECK_TEST(nothing_is_there_before_the_end_and_nothing_else_after_it),
    };
    return check_run("cli.npy", tests, CHECK_COUNT(tests), argc, argv);
}
