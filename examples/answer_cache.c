/*
 * answer_cache.c - puts the cache of answers in front of a command that asks a model.
 *
 * cc answer_cache.c $(pkg-config --cflags --libs mneme) -o answer_cache
 *
 *     answer_cache DIR TENANT MODEL [--ttl SECONDS] -- COMMAND [ARGUMENT...]
 *
 * Reads the request from standard input. When it was asked before, of the same tenant and model,
 * the stored answer is printed. Otherwise COMMAND gets the request on its standard input; what it
 * prints is passed on as it comes and stored when it ends with 0, whole or not at all: an answer
 * that was cut off is never seen. Says "hit" or "miss" on standard error. Exits as COMMAND does.
 *
 * Where the cache cannot be used, say since another process has it open, the reason is said and
 * COMMAND is run all the same.
 *
 * Without arguments it asks `tr a-z A-Z` the same thing twice, with a cache in ./answers.
 */
#define _POSIX_C_SOURCE 200809L
#include <mneme/mneme.h>
#include <mneme/semcache.h>

#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { CHUNK_BYTES = 65536, EXIT_FAILURE_CODE = 1, EXIT_USAGE = 2, EXIT_NO_COMMAND = 127 };

struct call {
    const char *dir;
    uint64_t tenant;
    const char *model;
    int64_t ttl_us; /* 0: none */
    char **command; /* ends with NULL */
};

/* What cannot be cached is no reason not to answer. */
static void say(const char *what, const struct mn_error *err)
{
    (void)fprintf(stderr, "answer_cache: %s: %s\n", what, err->message);
}

static bool print(const void *data, size_t n_bytes)
{
    return fwrite(data, 1, n_bytes, stdout) == n_bytes && fflush(stdout) == 0;
}

/* Reads a file to its end. NULL: it cannot be read. */
static char *read_all(FILE *file, size_t *n_out)
{
    size_t capacity = CHUNK_BYTES;
    size_t n = 0;
    char *text = malloc(capacity);

    while (text != NULL) {
        size_t n_read = fread(text + n, 1, capacity - n, file);
        n += n_read;
        if (n < capacity && (feof(file) || ferror(file)))
            break;
        if (n == capacity) {
            char *larger = capacity > SIZE_MAX / 2 ? NULL : realloc(text, capacity *= 2);
            if (larger == NULL)
                free(text);
            text = larger;
        }
    }
    if (text != NULL && ferror(file)) {
        free(text);
        text = NULL;
    }
    *n_out = n;
    return text;
}

/* Starts the command with the request as its standard input, which is a file: whoever does not read
 * it keeps nobody waiting. Returns the end of its standard output, or -1. */
static int start(char **command, struct mn_slice request, pid_t *pid_out)
{
    posix_spawn_file_actions_t actions;
    int ends[2] = {-1, -1};
    FILE *input = tmpfile();
    int problem = 0;

    if (input == NULL || fwrite(request.data, 1, request.n_bytes, input) != request.n_bytes ||
        fflush(input) != 0 || fseek(input, 0, SEEK_SET) != 0 || pipe(ends) != 0 ||
        posix_spawn_file_actions_init(&actions) != 0) {
        problem = errno;
    } else {
        (void)posix_spawn_file_actions_adddup2(&actions, fileno(input), STDIN_FILENO);
        (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        (void)posix_spawn_file_actions_addclose(&actions, ends[0]);
        (void)posix_spawn_file_actions_addclose(&actions, ends[1]);
        problem = posix_spawnp(pid_out, command[0], &actions, NULL, command, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    if (input != NULL)
        (void)fclose(input);
    if (ends[1] >= 0)
        (void)close(ends[1]);
    if (problem == 0)
        return ends[0];
    if (ends[0] >= 0)
        (void)close(ends[0]);
    (void)fprintf(stderr, "answer_cache: cannot run %s: %s\n", command[0], strerror(problem));
    return -1;
}

/* Passes on what the command prints, and gathers it in the stream. A stream that takes no more is
 * given up, and the answer still passed on. False: nobody reads on. */
static bool pass_on(int fd, mn_semcache_stream **stream)
{
    char chunk[CHUNK_BYTES];
    struct mn_error err;
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        struct mn_slice piece = {.data = chunk, .n_bytes = (size_t)n};
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || !print(chunk, (size_t)n))
            return false;
        if (*stream != NULL && mn_semcache_append(*stream, piece, &err) != MN_OK) {
            say("not stored", &err);
            mn_semcache_abort(*stream);
            *stream = NULL;
        }
    }
    return true;
}

static int exit_code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs the command; its answer goes into the stream (NULL: nowhere), which ends. */
static int ask(const struct call *call, struct mn_slice request, mn_semcache_stream *stream)
{
    struct mn_error err;
    int status = 0;
    pid_t pid = 0;
    int fd = start(call->command, request, &pid);
    bool is_whole = fd >= 0 && pass_on(fd, &stream);

    if (fd >= 0)
        (void)close(fd);
    while (fd >= 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    int code = fd < 0 ? EXIT_NO_COMMAND : exit_code_of(status);
    if (stream != NULL && is_whole && code == 0) {
        if (mn_semcache_commit(stream, NULL, &err) != MN_OK)
            say("not stored", &err);
    } else {
        mn_semcache_abort(stream);
    }
    return code == 0 && !is_whole ? EXIT_FAILURE_CODE : code;
}

/* Prints the stored answer, if there is one. */
static bool answer(mn_store *store, const struct call *call, const unsigned char *key,
                   int *code_out)
{
    struct mn_semcache_handle handle;
    struct mn_error err;
    mn_status st = mn_semcache_load_exact(store, call->tenant, key, &handle, &err);

    if (st != MN_OK && st != MN_NOT_FOUND) /* a damaged answer is asked for anew */
        say("not read", &err);
    if (st != MN_OK)
        return false;
    (void)fputs("hit\n", stderr);
    *code_out = print(handle.payload.data, handle.payload.n_bytes) ? 0 : EXIT_FAILURE_CODE;
    mn_semcache_release(&handle);
    return true;
}

static int serve(const struct call *call, struct mn_slice request)
{
    struct mn_options options = {.size = sizeof options, .create = true};
    unsigned char key[MN_SEMCACHE_KEY_BYTES];
    struct mn_semcache_entry entry = {
        .fields = call->ttl_us > 0 ? MN_HAS_TTL : 0,
        .key = key,
        .model = mn_str(call->model),
        .ttl_us = call->ttl_us,
    };
    mn_semcache_stream *stream = NULL;
    mn_store *store = NULL;
    struct mn_error err;
    int code = 0;

    mn_status st = mn_semcache_key(call->tenant, entry.model, request, key, &err);
    if (st == MN_OK)
        st = mn_open(call->dir, &options, &store, &err);
    if (st == MN_OK && answer(store, call, key, &code))
        return mn_close(store, NULL) == MN_OK ? code : EXIT_FAILURE_CODE;
    (void)fputs("miss\n", stderr);
    if (st == MN_OK)
        st = mn_semcache_begin(store, call->tenant, &entry, NULL, &stream, &err);
    if (st != MN_OK)
        say("no cache", &err);
    code = ask(call, request, stream);
    if (mn_close(store, &err) != MN_OK)
        say("not closed", &err);
    return code;
}

static int demo(void)
{
    char *command[] = {(char[]){"tr"}, (char[]){"a-z"}, (char[]){"A-Z"}, NULL};
    struct call call = {.dir = "answers", .tenant = 7, .model = "tr", .command = command};
    int code = serve(&call, mn_str("what is tea?\n"));

    return code == 0 ? serve(&call, mn_str("what is tea?\n")) : code;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *number_out)
{
    char *end = NULL;

    errno = 0;
    *number_out = strtoumax(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *number_out <= max;
}

/* DIR TENANT MODEL [--ttl SECONDS] -- COMMAND [ARGUMENT...] */
static bool parse(char **words, struct call *call)
{
    uint64_t seconds;

    for (int i = 0; i < 4; i++) {
        if (words[i] == NULL)
            return false;
    }
    call->dir = words[0];
    call->model = words[2];
    if (!parse_number(words[1], UINT64_MAX, &call->tenant))
        return false;
    words += 3;
    if (strcmp(words[0], "--ttl") == 0) {
        if (words[1] == NULL || !parse_number(words[1], INT64_MAX / 1000000, &seconds) ||
            seconds == 0 || words[2] == NULL)
            return false;
        call->ttl_us = (int64_t)seconds * 1000000;
        words += 2;
    }
    if (strcmp(words[0], "--") != 0 || words[1] == NULL)
        return false;
    call->command = words + 1;
    return true;
}

int main(int argc, char **argv)
{
    struct call call = {0};
    size_t n_bytes = 0;

    if (argc == 1)
        return demo();
    if (!parse(argv + 1, &call)) {
        (void)fputs(
            "usage: answer_cache DIR TENANT MODEL [--ttl SECONDS] -- COMMAND [ARGUMENT...]\n",
            stderr);
        return EXIT_USAGE;
    }
    char *text = read_all(stdin, &n_bytes);
    if (text == NULL) {
        (void)fputs("answer_cache: cannot read the request\n", stderr);
        return EXIT_FAILURE_CODE;
    }
    int code = serve(&call, (struct mn_slice){.data = text, .n_bytes = n_bytes});
    free(text);
    return code;
}
