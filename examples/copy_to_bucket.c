/*
 * copy_to_bucket.c - copies a directory to object storage.
 *
 * cc copy_to_bucket.c $(pkg-config --cflags --libs mneme) -pthread -o copy_to_bucket
 *
 *     copy_to_bucket [-j THREADS] [-n] [-q] DIRECTORY URL
 *
 *     URL      s3://BUCKET[/PREFIX], dir:PATH or mem:
 *     -j       so many files at once; 4
 *     -n       only says what it would copy; dir:PATH is made all the same
 *     -q       says nothing but errors
 *
 * What is there already, with the same size and CRC-32C, is left out. Files over 8 MiB go in parts;
 * they are read once more before, since an S3 server keeps a CRC-32C of such objects only when it
 * is known at the beginning. A file that is not through when the copy ends, by Ctrl-C or an error,
 * is sent from its beginning by the next run. Its parts are dropped, but for those of a program
 * that was killed: mn_object_uploads lists them. Exits 0 when all is there, 1 after an error, 130
 * after Ctrl-C.
 *
 * Without arguments it copies a few files that it makes, twice, to the directory ./copy-demo.
 */
#define _XOPEN_SOURCE 700
#include <mneme/mneme.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_BYTES ((size_t)8 << 20) /* at least 5 MiB; the parts of an upload number 10,000 */

enum { THREADS_MAX = 64, PATH_BYTES = 4096 };

struct file {
    char *path; /* owned; what follows the directory is the key */
    uint64_t n_bytes;
};

struct copy {
    mn_object_store *store;
    size_t n_root; /* of each path, the directory and its slash */
    bool is_dry;
    bool is_quiet;

    struct file *files; /* owned; not changed once the threads run */
    size_t n_files;
    uint64_t n_bytes;

    atomic_size_t next;
    atomic_bool has_failed;
    atomic_size_t n_copied;
    atomic_size_t n_there;
    atomic_uint_fast64_t bytes_done;
};

static volatile sig_atomic_t is_interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    is_interrupted = 1;
}

static bool must_stop(const struct copy *copy)
{
    return is_interrupted || atomic_load(&copy->has_failed);
}

/* The first error ends the copy; several threads may meet one. */
static bool fail(struct copy *copy, const char *what, const char *why)
{
    atomic_store(&copy->has_failed, true);
    fprintf(stderr, "%scopy_to_bucket: %s: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", what,
            why);
    return false;
}

static void show_progress(struct copy *copy)
{
    if (copy->is_quiet || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[K%zu of %zu files, %.1f of %.1f MiB",
            atomic_load(&copy->n_copied) + atomic_load(&copy->n_there), copy->n_files,
            (double)atomic_load(&copy->bytes_done) / (1 << 20), (double)copy->n_bytes / (1 << 20));
}

/* CRC-32C, a byte at a time: Mneme's own is faster, and this is faster than most networks. */
static uint32_t crc_table[256];

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82F63B78) : crc >> 1;
        crc_table[i] = crc;
    }
}

static uint32_t crc32c(uint32_t crc, const unsigned char *bytes, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++)
        crc = crc_table[(crc ^ bytes[i]) & 255] ^ crc >> 8;
    return ~crc;
}

/* Finding the files -----------------------------------------------------------------------------
 */

static bool add_file(struct copy *copy, const char *path, const struct stat *info)
{
    if (copy->n_files % 1024 == 0) {
        struct file *files = realloc(copy->files, (copy->n_files + 1024) * sizeof *files);
        if (files == NULL)
            return fail(copy, path, "out of memory");
        copy->files = files;
    }
    struct file *file = &copy->files[copy->n_files];
    file->path = strdup(path);
    if (file->path == NULL)
        return fail(copy, path, "out of memory");
    file->n_bytes = (uint64_t)info->st_size;
    copy->n_files++;
    copy->n_bytes += file->n_bytes;
    return true;
}

/* Links and devices are left out. */
static bool find_files(struct copy *copy, const char *path)
{
    DIR *dir = opendir(path);
    bool is_good = dir != NULL;

    if (dir == NULL)
        return fail(copy, path, strerror(errno));
    while (is_good && !must_stop(copy)) {
        char inner[PATH_BYTES];
        struct stat info;
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            is_good = errno == 0 || fail(copy, path, strerror(errno));
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int n = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof inner)
            is_good = fail(copy, path, "a path that is too long");
        else if (lstat(inner, &info) != 0)
            is_good = fail(copy, inner, strerror(errno));
        else if (S_ISDIR(info.st_mode))
            is_good = find_files(copy, inner);
        else if (S_ISREG(info.st_mode))
            is_good = add_file(copy, inner, &info);
    }
    closedir(dir);
    return is_good;
}

/* Copying one file ------------------------------------------------------------------------------
 */

/* A file that is being copied; each thread has one. */
struct source {
    struct copy *copy;
    const struct file *file;
    struct mn_slice key;
    FILE *stream;
    unsigned char *part; /* PART_BYTES */
    bool has_crc;
    uint32_t crc; /* of the file */
    struct mn_error err;
};

static bool fail_file(struct source *source, const char *why)
{
    return fail(source->copy, source->file->path, why);
}

static bool read_part(struct source *source, uint64_t offset, size_t n)
{
    if (fseeko(source->stream, (off_t)offset, SEEK_SET) != 0)
        return fail_file(source, strerror(errno));
    if (fread(source->part, 1, n, source->stream) != n)
        return fail_file(source, ferror(source->stream) ? strerror(errno)
                                                        : "it became shorter while it was copied");
    return true;
}

static bool sum_up(struct source *source)
{
    if (source->has_crc)
        return true;
    source->crc = 0;
    for (uint64_t at = 0; at < source->file->n_bytes; at += PART_BYTES) {
        uint64_t n_left = source->file->n_bytes - at;
        size_t n = n_left < PART_BYTES ? (size_t)n_left : PART_BYTES;
        if (must_stop(source->copy) || !read_part(source, at, n))
            return false;
        source->crc = crc32c(source->crc, source->part, n);
    }
    source->has_crc = true;
    return true;
}

/* Whether the object is there as the file is. A store that keeps no checksum says nothing. */
static bool is_there(struct source *source, bool *is_there_out)
{
    struct mn_object_info info;
    mn_status st = mn_object_head(source->copy->store, source->key, &info, &source->err);

    *is_there_out = false;
    if (st == MN_NOT_FOUND)
        return true;
    if (st != MN_OK)
        return fail_file(source, source->err.message);
    if (info.n_bytes != source->file->n_bytes || !info.has_crc32c)
        return true;
    if (!sum_up(source))
        return false;
    *is_there_out = source->crc == info.crc32c;
    return true;
}

static bool put_small(struct source *source)
{
    size_t n = (size_t)source->file->n_bytes;

    if (!read_part(source, 0, n))
        return false;
    struct mn_slice data = {source->part, n};
    if (mn_object_put(source->copy->store, source->key, data, NULL, NULL, &source->err) != MN_OK)
        return fail_file(source, source->err.message);
    atomic_fetch_add(&source->copy->bytes_done, n);
    return true;
}

static bool put_parts(struct source *source, mn_object_upload *upload)
{
    uint32_t number = 1;

    for (uint64_t at = 0; at < source->file->n_bytes; at += PART_BYTES, number++) {
        uint64_t n_left = source->file->n_bytes - at;
        size_t n = n_left < PART_BYTES ? (size_t)n_left : PART_BYTES;
        if (must_stop(source->copy))
            return false;
        if (!read_part(source, at, n))
            return false;
        struct mn_slice data = {source->part, n};
        if (mn_object_upload_part(upload, number, data, &source->err) != MN_OK)
            return fail_file(source, source->err.message);
        atomic_fetch_add(&source->copy->bytes_done, n);
        show_progress(source->copy);
    }
    return true;
}

static bool put_large(struct source *source)
{
    mn_object_upload *upload = NULL;

    if (source->file->n_bytes / PART_BYTES >= MN_OBJECT_PARTS_MAX)
        return fail_file(source, "too large for this program: make PART_BYTES larger");
    if (!sum_up(source))
        return false;
    if (mn_object_upload_begin_known(source->copy->store, source->key, source->crc, &upload,
                                     &source->err) != MN_OK)
        return fail_file(source, source->err.message);
    if (!put_parts(source, upload)) {
        if (mn_object_upload_abort(upload, &source->err) != MN_OK)
            (void)fail_file(source, source->err.message); /* its parts stay */
        return false;
    }
    mn_status st = mn_object_upload_complete(upload, NULL, NULL, &source->err);
    if (st == MN_OK)
        return true;
    if (st == MN_ERR_INVALID) { /* nothing was completed: the parts are not what was summed up */
        (void)fail_file(source, "it changed while it was copied");
        if (mn_object_upload_abort(upload, &source->err) != MN_OK)
            (void)fail_file(source, source->err.message); /* its parts stay */
        return false;
    }
    /* It may be under way all the same, so nothing is dropped. Other answers free the handle. */
    if (st < 0 || st == MN_NOT_FOUND)
        mn_object_upload_leave(upload);
    return fail_file(source, source->err.message);
}

static bool copy_file(struct source *source)
{
    struct copy *copy = source->copy;
    bool is_done = false;
    bool is_good = is_there(source, &is_done);

    if (!is_good)
        return false;
    if (is_done) {
        atomic_fetch_add(&copy->n_there, 1);
        atomic_fetch_add(&copy->bytes_done, source->file->n_bytes);
        return true;
    }
    if (copy->is_dry)
        printf("%s\n", source->file->path);
    else
        is_good = source->file->n_bytes <= PART_BYTES ? put_small(source) : put_large(source);
    if (is_good)
        atomic_fetch_add(&copy->n_copied, 1);
    return is_good;
}

/* Takes one file after the other until none is left, or until the copy must stop. */
static void *copy_files(void *context)
{
    struct copy *copy = context;
    struct source source = {.copy = copy, .part = malloc(PART_BYTES)};

    if (source.part == NULL)
        fail(copy, "copying", "out of memory");
    while (!must_stop(copy)) {
        size_t i = atomic_fetch_add(&copy->next, 1);
        if (i >= copy->n_files)
            break;
        source.file = &copy->files[i];
        source.key = mn_str(source.file->path + copy->n_root);
        source.has_crc = false;
        source.stream = fopen(source.file->path, "rb");
        if (source.stream == NULL) {
            fail_file(&source, strerror(errno));
            break;
        }
        (void)copy_file(&source);
        fclose(source.stream);
        show_progress(copy);
    }
    free(source.part);
    return NULL;
}

/* All of it -------------------------------------------------------------------------------------
 */

static void run_threads(struct copy *copy, unsigned n_threads)
{
    pthread_t threads[THREADS_MAX];
    unsigned n = 0;

    while (n < n_threads && n < copy->n_files &&
           pthread_create(&threads[n], NULL, copy_files, copy) == 0)
        n++;
    if (n == 0)
        (void)copy_files(copy);
    while (n > 0)
        (void)pthread_join(threads[--n], NULL);
}

static int finish(struct copy *copy)
{
    bool is_terminal = isatty(STDERR_FILENO) && !copy->is_quiet;

    if (is_interrupted)
        fprintf(stderr, "%scopy_to_bucket: interrupted; run it again for the rest\n",
                is_terminal ? "\r\033[K" : "");
    else if (!atomic_load(&copy->has_failed) && !copy->is_quiet)
        printf("%s%zu files %s, %zu were there\n", is_terminal ? "\r\033[K" : "",
               atomic_load(&copy->n_copied), copy->is_dry ? "to copy" : "copied",
               atomic_load(&copy->n_there));
    for (size_t i = 0; i < copy->n_files; i++)
        free(copy->files[i].path);
    free(copy->files);
    return is_interrupted ? 130 : atomic_load(&copy->has_failed) ? 1 : 0;
}

/* Whether a directory store lies in the directory that is copied, or is it: each copy would find
 * the one before. The store need not be there yet. */
static bool is_inside(const char *root, const char *url)
{
    char target[PATH_BYTES];
    char *real_root = realpath(root, NULL);
    char *real_target = NULL;
    bool is_in = false;

    if (strncmp(url, "dir:", 4) == 0 && strlen(url + 4) < sizeof target) {
        memcpy(target, url + 4, strlen(url + 4) + 1);
        real_target = realpath(target, NULL);
        if (real_target == NULL) {
            char *slash = strrchr(target, '/');

            *(slash == NULL || slash == target ? target + (slash == target) : slash) = '\0';
            real_target = realpath(target[0] == '\0' ? "." : target, NULL);
        }
    }
    if (real_root != NULL && real_target != NULL) {
        size_t n = strlen(real_root);

        is_in = strncmp(real_root, real_target, n) == 0 &&
                (n == 1 || real_target[n] == '/' || real_target[n] == '\0');
    }
    free(real_root);
    free(real_target);
    return is_in;
}

static int copy_directory(struct copy *copy, const char *directory, const char *url,
                          unsigned n_threads)
{
    struct mn_error err;
    char root[PATH_BYTES];
    size_t n = strlen(directory);

    if (n == 0 || n >= sizeof root) {
        fprintf(stderr, "copy_to_bucket: no path of a directory\n");
        return 1;
    }
    memcpy(root, directory, n + 1);
    while (n > 1 && root[n - 1] == '/')
        root[--n] = '\0';
    copy->n_root = n + 1;
    if (is_inside(root, url)) {
        fprintf(stderr, "copy_to_bucket: %s lies in %s, which is to be copied\n", url, directory);
        return 1;
    }
    if (mn_object_open(url, &copy->store, &err) != MN_OK) {
        fprintf(stderr, "copy_to_bucket: %s\n", err.message);
        return 1;
    }
    if (find_files(copy, root))
        run_threads(copy, n_threads);
    if (mn_object_close(copy->store, &err) != MN_OK)
        fail(copy, url, err.message);
    return finish(copy);
}

static bool make_demo_file(const char *path, size_t n)
{
    FILE *file = fopen(path, "wb");
    bool is_good = file != NULL;

    for (size_t i = 0; is_good && i < n; i++)
        is_good = fputc((int)(i * 31 % 251), file) != EOF;
    if (file != NULL)
        is_good = fclose(file) == 0 && is_good;
    return is_good;
}

/* The second copy finds everything there. */
static int demonstrate(void)
{
    int code = 0;

    if ((mkdir("copy-demo", 0700) != 0 && errno != EEXIST) ||
        (mkdir("copy-demo/files", 0700) != 0 && errno != EEXIST) ||
        !make_demo_file("copy-demo/files/small.txt", 100) ||
        !make_demo_file("copy-demo/files/empty", 0) ||
        !make_demo_file("copy-demo/files/in parts.bin", 2 * PART_BYTES + 1)) {
        perror("copy_to_bucket: ./copy-demo");
        return 1;
    }
    for (int i = 0; i < 2 && code == 0; i++) {
        struct copy copy = {0};
        code = copy_directory(&copy, "copy-demo/files", "dir:copy-demo/bucket", 2);
    }
    return code;
}

int main(int argc, char **argv)
{
    /* a second Ctrl-C ends the program at once, also where a server does not answer */
    struct sigaction action = {.sa_handler = interrupt,
                               .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    struct copy copy = {0};
    long n_threads = 4;
    int option;

    make_crc_table();
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (argc == 1)
        return demonstrate();
    while ((option = getopt(argc, argv, "j:nq")) != -1) {
        if (option == 'j')
            n_threads = strtol(optarg, NULL, 10);
        copy.is_dry = copy.is_dry || option == 'n';
        copy.is_quiet = copy.is_quiet || option == 'q';
        if (option == '?')
            return 2;
    }
    if (argc - optind != 2 || n_threads < 1 || n_threads > THREADS_MAX) {
        fprintf(stderr, "usage: %s [-j THREADS] [-n] [-q] DIRECTORY URL\n", argv[0]);
        return 2;
    }
    return copy_directory(&copy, argv[optind], argv[optind + 1], (unsigned)n_threads);
}
