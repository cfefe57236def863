/*
 * redis.c - a Redis server of one's own, and what it is asked, in its protocol RESP 2.
 *
 * Owns:    the server's process, the connections.
 * Threads: any, each with its own connection.
 * Fails:   by ending the program with a message.
 */
#define _GNU_SOURCE /* O_DIRECTORY, SOCK_CLOEXEC */
#include "redis.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum {
    HEAD_BYTES = 128,     /* of a command or an answer */
    BUFFER_BYTES = 65536, /* of a connection */
    START_SECONDS = 20,
    PAUSE_NS = 2000000,
    EXEC_FAILED = 127,
};

static const char program[] = "redis-server";
static const char socket_name[] = "redis.sock";

struct redis_server {
    pid_t process;
    int dir; /* a path of a socket may not be long: it is reached through here */
};

struct redis {
    int fd;
    char out[BUFFER_BYTES];
    char in[BUFFER_BYTES];
};

static void give_up_output(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0)
        _exit(EXEC_FAILED);
}

bool redis_is_there(void)
{
    int status = 0;
    pid_t child = fork();

    if (child < 0)
        bench_die("cannot fork: %s", strerror(errno));
    if (child == 0) {
        give_up_output();
        execlp(program, program, "--version", (char *)NULL);
        _exit(EXEC_FAILED);
    }
    if (waitpid(child, &status, 0) != child)
        bench_die("cannot wait: %s", strerror(errno));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void run_server(const char *dir, pid_t parent, bool is_durable, size_t bytes_max)
{
    char bytes[32];

    snprintf(bytes, sizeof bytes, "%zu", bytes_max);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || chdir(dir) != 0)
        _exit(EXEC_FAILED);
    give_up_output();
    execlp(program, program, "--port", "0", "--unixsocket", socket_name, "--unixsocketperm", "700",
           "--save", "", "--appendonly", is_durable ? "yes" : "no", "--appendfsync", "always",
           "--daemonize", "no", "--maxmemory", bytes, "--maxmemory-policy", "noeviction", "--dir",
           ".", (char *)NULL);
    _exit(EXEC_FAILED);
}

/* A connection, or -1 while nobody listens. */
static int try_to_connect(const struct redis_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        bench_die("cannot make a socket: %s", strerror(errno));
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", server->dir,
             socket_name);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void wait_until_ready(const struct redis_server *server)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    double deadline = bench_now() + START_SECONDS;

    for (;;) {
        int fd = try_to_connect(server);
        if (fd >= 0) {
            close(fd);
            return;
        }
        if (bench_now() > deadline || waitpid(server->process, NULL, WNOHANG) != 0)
            bench_die("%s does not start", program);
        nanosleep(&pause, NULL);
    }
}

struct redis_server *redis_start(const char *dir, bool is_durable, size_t bytes_max)
{
    struct redis_server *server = bench_alloc(sizeof *server);
    pid_t parent = getpid();

    fflush(NULL);
    signal(SIGPIPE, SIG_IGN); /* the answer that is missing then is noticed */
    server->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server->dir < 0)
        bench_die("cannot open %s: %s", dir, strerror(errno));
    server->process = fork();
    if (server->process < 0)
        bench_die("cannot fork: %s", strerror(errno));
    if (server->process == 0)
        run_server(dir, parent, is_durable, bytes_max);
    wait_until_ready(server);
    return server;
}

void redis_end(struct redis_server *server)
{
    if (kill(server->process, SIGTERM) != 0 || waitpid(server->process, NULL, 0) < 0)
        bench_die("cannot end %s: %s", program, strerror(errno));
    close(server->dir);
    free(server);
}

struct redis *redis_connect(const struct redis_server *server)
{
    struct redis *redis = bench_alloc(sizeof *redis);

    redis->fd = try_to_connect(server);
    if (redis->fd < 0)
        bench_die("cannot connect to %s: %s", program, strerror(errno));
    return redis;
}

void redis_disconnect(struct redis *redis)
{
    close(redis->fd);
    free(redis);
}

/* Commands --------------------------------------------------------------------------------------
 */

static size_t append(char *to, size_t at, struct redis_bytes bytes)
{
    int n = snprintf(to + at, HEAD_BYTES, "$%zu\r\n", bytes.n_bytes);

    at += (size_t)n;
    memcpy(to + at, bytes.data, bytes.n_bytes);
    memcpy(to + at + bytes.n_bytes, "\r\n", 2);
    return at + bytes.n_bytes + 2;
}

static void send_command(struct redis *redis, const char *head, struct redis_bytes key,
                         struct redis_bytes value)
{
    size_t n = strlen(head);
    size_t done = 0;

    if (key.n_bytes + value.n_bytes + 3 * HEAD_BYTES > sizeof redis->out)
        bench_die("a value is too large for the connection to %s", program);
    memcpy(redis->out, head, n);
    n = append(redis->out, n, key);
    if (value.data != NULL)
        n = append(redis->out, n, value);
    while (done < n) {
        ssize_t written = write(redis->fd, redis->out + done, n - done);
        if (written <= 0)
            bench_die("%s is gone: %s", program, strerror(errno));
        done += (size_t)written;
    }
}

/* Reads on until so many bytes are there. */
static size_t receive(struct redis *redis, size_t n, size_t wanted)
{
    if (wanted >= sizeof redis->in)
        bench_die("an answer of %s is too large", program);
    while (n < wanted) {
        ssize_t got = read(redis->fd, redis->in + n, sizeof redis->in - 1 - n);
        if (got <= 0)
            bench_die("%s is gone: %s", program, strerror(errno));
        n += (size_t)got;
    }
    redis->in[n] = '\0';
    return n;
}

void redis_set(struct redis *redis, struct redis_bytes key, struct redis_bytes value)
{
    static const char good[] = "+OK\r\n";

    send_command(redis, "*3\r\n$3\r\nSET\r\n", key, value);
    (void)receive(redis, 0, sizeof good - 1);
    if (memcmp(redis->in, good, sizeof good - 1) != 0)
        bench_die("%s says: %s", program, redis->in);
}

struct redis_bytes redis_get(struct redis *redis, struct redis_bytes key)
{
    char *end = NULL;

    send_command(redis, "*2\r\n$3\r\nGET\r\n", key, (struct redis_bytes){NULL, 0});
    size_t n = receive(redis, 0, 1);
    while ((end = memchr(redis->in, '\n', n)) == NULL)
        n = receive(redis, n, n + 1);
    long n_bytes = strtol(redis->in + 1, NULL, 10);
    if (redis->in[0] != '$' || n_bytes < 0)
        bench_die("%s says: %s", program, redis->in);
    size_t head_bytes = (size_t)(end + 1 - redis->in);
    (void)receive(redis, n, head_bytes + (size_t)n_bytes + 2);
    return (struct redis_bytes){end + 1, (size_t)n_bytes};
}
