/*
 * search_peer.c - another search, in a process of its own.
 *
 * Owns:    the processes, and the pipes to them.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#define _GNU_SOURCE /* pipe2 */
#include "search_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "child.h"

enum { ARGUMENTS_MAX = 16, NUMBER_BYTES = 24 };

struct search_peer {
    const char *name;
    pid_t process;
    FILE *to;
    FILE *from;
};

static void run_process(const struct search_peer_start *start, int in, int out)
{
    const char *arguments[ARGUMENTS_MAX] = {NULL};
    char n_dims[NUMBER_BYTES], n_results[NUMBER_BYTES], n_threads[NUMBER_BYTES];
    size_t n = 0;

    snprintf(n_dims, sizeof n_dims, "%u", start->n_dims);
    snprintf(n_results, sizeof n_results, "%d", SEARCH_RESULTS);
    snprintf(n_threads, sizeof n_threads, "%u", start->n_threads);
    const char *const more[] = {start->vectors_path, start->queries_path, n_dims,
                                n_results,           n_threads,           start->dir};
    while (start->command[n] != NULL && n < ARGUMENTS_MAX / 2) {
        arguments[n] = start->command[n];
        n++;
    }
    memcpy(arguments + n, more, sizeof more);
    if (start->n_threads == 1)
        bench_stay_on_one_core();
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        bench_die("cannot connect %s: %s", start->name, strerror(errno));
    /* exec changes none of them, its type is older than const */
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    printf("absent cannot run %s: %s\n", arguments[0], strerror(errno));
    fflush(stdout);
    _exit(1);
}

static struct search_peer *start_process(const struct search_peer_start *start)
{
    struct search_peer *peer = bench_alloc(sizeof *peer);
    int in[2], out[2];

    fflush(NULL); /* or the child would print it a second time */
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        bench_die("cannot make a pipe: %s", strerror(errno));
    peer->name = start->name;
    peer->process = fork();
    if (peer->process < 0)
        bench_die("cannot fork: %s", strerror(errno));
    if (peer->process == 0)
        run_process(start, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    peer->to = fdopen(in[1], "w");
    peer->from = fdopen(out[0], "r");
    if (peer->to == NULL || peer->from == NULL)
        bench_die("cannot talk to %s: %s", start->name, strerror(errno));
    return peer;
}

/* Returns how the process ended. */
static int end_process(struct search_peer *peer)
{
    int status = 0;

    fclose(peer->to);
    fclose(peer->from);
    if (waitpid(peer->process, &status, 0) != peer->process)
        bench_die("cannot wait for %s: %s", peer->name, strerror(errno));
    free(peer);
    return status;
}

struct search_peer *search_peer_open(const struct search_peer_start *start)
{
    static const char absent[] = "absent ";
    char line[1024];

    signal(SIGPIPE, SIG_IGN); /* the answer that is missing then is noticed */
    struct search_peer *peer = start_process(start);
    if (fgets(line, sizeof line, peer->from) == NULL)
        bench_die("%s has ended before it was ready", start->name);
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "ready") == 0)
        return peer;
    if (strncmp(line, absent, sizeof absent - 1) != 0)
        bench_die("%s says: %s", start->name, line);
    fprintf(stderr, "%s is left out: %s\n", start->name, line + sizeof absent - 1);
    (void)end_process(peer);
    return NULL;
}

void search_peer_close(struct search_peer *peer)
{
    if (peer == NULL)
        return;
    const char *name = peer->name;
    if (end_process(peer) != 0)
        bench_die("%s has failed", name);
}

double search_peer_run(struct search_peer *peer, size_t first_query, size_t n_queries, size_t each,
                       size_t *rows_out)
{
    double seconds = 0;
    size_t row = 0;

    fprintf(peer->to, "%zu %zu %zu\n", first_query, n_queries, each);
    if (fflush(peer->to) != 0 || fscanf(peer->from, "%lf", &seconds) != 1)
        bench_die("%s has failed", peer->name);
    for (size_t i = 0; i < n_queries * SEARCH_RESULTS; i++) {
        if (fscanf(peer->from, "%zu", &row) != 1)
            bench_die("%s: there are results missing", peer->name);
        if (rows_out != NULL)
            rows_out[i] = row;
    }
    return seconds;
}
