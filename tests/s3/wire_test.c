/*
 * wire_test.c - below HTTP: names that are not resolved, bodies that go out slowly, the number of
 * connections, and what a program that is started inherits.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "double.h"
#include "io/thread.h"

static void sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&time, NULL);
}

/* Names ---------- */

static atomic_bool may_resolve;
static atomic_uint n_resolving;

/* In the place of the C library's, which libcurl calls in a thread: one name is never resolved
 * until the test says so. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list_out)
{
    typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (name != NULL && strcmp(name, "slow.invalid") == 0) {
        atomic_fetch_add(&n_resolving, 1);
        /* So long that who waits for it does not pass, and the test ends all the same. */
        for (unsigned i = 0; i < 6000 && !atomic_load(&may_resolve); i++)
            sleep_ms(10);
        atomic_fetch_sub(&n_resolving, 1);
        return EAI_AGAIN;
    }
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    resolver *next = NULL;
    memcpy(&next, &symbol, sizeof next);
    return next(name, service, hints, list_out);
}

static void names_that_are_not_resolved_hold_up_nothing(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_object_info info;
    struct mn_error err = {0};

    atomic_store(&may_resolve, false);
    options.endpoint = "http://slow.invalid";
    options.allow_http = true;
    options.timeout_ms = 300;
    mn_object_store *store = double_open_with(&options);
    CHECK_STATUS(mn_object_head(store, mn_str("k"), &info, &err), MN_ERR_TIMEOUT);
    CHECK_EQ(atomic_load(&n_resolving), 1); /* the call ended first */
    double_close(store);
    CHECK_EQ(atomic_load(&n_resolving), 1);
    atomic_store(&may_resolve, true);
    while (atomic_load(&n_resolving) > 0)
        sleep_ms(1);
}

/* Slow bodies ---------- */

enum { SLOW_BODY_BYTES = 8 << 20, IDLE_MS = 3000, STEP_MS = 50, N_STEPS = 100 };

struct slow_server {
    struct mni_thread thread;
    int listener;
    unsigned n_bodies;
};

/* Reads the body in small steps for longer than a silent request is waited for, and then the rest:
 * all the time less than what libcurl and the kernel hold is under way. */
static void serve_slowly(void *context)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n";
    static char bytes[64 << 10];
    struct slow_server *server = context;
    int s = accept(server->listener, NULL, NULL);
    ssize_t n = 1;

    for (unsigned i = 0; i < server->n_bodies && n > 0; i++) {
        unsigned n_steps = 0;
        size_t n_left = SLOW_BODY_BYTES + 100; /* and the headers, of which this is less */
        for (; n_left > 0 && (n = read(s, bytes, n_steps < N_STEPS ? 4096 : sizeof bytes)) > 0;
             n_steps++) {
            if (n_steps == 0) {
                const char *end = memmem(bytes, (size_t)n, "\r\n\r\n", 4);
                n_left = SLOW_BODY_BYTES + (end == NULL ? 0 : (size_t)(end + 4 - bytes));
            }
            n_left -= (size_t)n < n_left ? (size_t)n : n_left;
            if (n_steps < N_STEPS)
                sleep_ms(STEP_MS);
        }
        if (n > 0)
            n = write(s, answer, sizeof answer - 1);
    }
    close(s);
}

/* On a new connection, and on one that was used before. */
static void a_slow_upload_is_not_silent(void)
{
    struct mn_object_s3_options options = double_options();
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct slow_server server = {.listener = socket(AF_INET, SOCK_STREAM, 0), .n_bodies = 2};
    struct mn_object_stats stats = {.size = sizeof stats};
    struct mn_error err = {0};
    socklen_t n_bytes = sizeof address;
    int buffer_bytes = 4096;
    char endpoint[64];
    char *body = calloc(1, SLOW_BODY_BYTES);

    CHECK(server.listener >= 0 && body != NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(setsockopt(server.listener, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes) ==
          0);
    CHECK(bind(server.listener, (struct sockaddr *)&address, n_bytes) == 0);
    CHECK(listen(server.listener, 1) == 0);
    CHECK(getsockname(server.listener, (struct sockaddr *)&address, &n_bytes) == 0);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", ntohs(address.sin_port));
    CHECK_OK(mni_thread_start(&server.thread, serve_slowly, &server, NULL));
    options.endpoint = endpoint;
    options.idle_timeout_ms = IDLE_MS;
    options.n_tries_max = 1;
    mn_object_store *store = double_open_with(&options);
    for (unsigned i = 0; i < server.n_bodies; i++)
        CHECK_OK_ERR(mn_object_put(store, mn_str("k"), (struct mn_slice){body, SLOW_BODY_BYTES},
                                   NULL, NULL, &err),
                     &err);
    CHECK_OK(mn_object_stats(store, &stats, NULL));
    CHECK_EQ(stats.n_connections, 1);
    mni_thread_join(&server.thread);
    double_close(store);
    close(server.listener);
    free(body);
}

/* Connections ---------- */

enum { N_CONNECTIONS_MAX = 8 };

struct connections {
    unsigned n;
    unsigned n_inherited;
};

/* Of this process, to the double. */
static struct connections count_connections(void)
{
    unsigned long port = strtoul(getenv("MNEME_DOUBLE_PORT"), NULL, 10);
    struct connections connections = {0};
    DIR *dir = opendir("/proc/self/fd");

    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct sockaddr_in peer = {0};
        socklen_t n_bytes = sizeof peer;
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (entry->d_name[0] == '.' || getpeername(fd, (struct sockaddr *)&peer, &n_bytes) != 0 ||
            peer.sin_family != AF_INET || ntohs(peer.sin_port) != port)
            continue;
        connections.n++;
        connections.n_inherited += (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
    }
    closedir(dir);
    return connections;
}

static void read_one(void *context)
{
    struct mn_slice data;

    if (mn_object_get(context, mn_str("k"), 0, &data, NULL, NULL) == MN_OK)
        mn_object_free(data);
}

static void read_ranges(mn_object_store *store)
{
    struct mn_object_range ranges[N_CONNECTIONS_MAX];
    char got[N_CONNECTIONS_MAX][3];
    struct mn_error err = {0};

    for (unsigned i = 0; i < N_CONNECTIONS_MAX; i++)
        ranges[i] = (struct mn_object_range){.key = mn_str("k"), .n_bytes = 3, .data_out = got[i]};
    CHECK_OK_ERR(mn_object_get_ranges(store, ranges, N_CONNECTIONS_MAX, &err), &err);
}

static mn_object_store *open_with(uint32_t n_connections_max)
{
    struct mn_object_s3_options options = double_options();

    double_reset();
    options.n_connections_max = n_connections_max;
    mn_object_store *store = double_open_with(&options);
    double_put(store, "k", "one");
    double_plan("{'operation': 'GetObject', 'n': -1, 'do': 'delay', 'ms': 100}");
    return store;
}

static void there_are_no_more_connections_than_there_may_be(void)
{
    mn_object_store *store = open_with(N_CONNECTIONS_MAX);
    struct mni_thread threads[N_CONNECTIONS_MAX];

    for (unsigned round = 0; round < 3; round++) {
        read_ranges(store);
        CHECK_EQ(count_connections().n, N_CONNECTIONS_MAX);
        for (unsigned i = 0; i < N_CONNECTIONS_MAX; i++)
            CHECK_OK(mni_thread_start(&threads[i], read_one, store, NULL));
        for (unsigned i = 0; i < N_CONNECTIONS_MAX; i++)
            mni_thread_join(&threads[i]);
        CHECK(count_connections().n <= N_CONNECTIONS_MAX);
    }
    double_close(store);
    CHECK_EQ(count_connections().n, 0);
}

/* Calls of one request and calls of many, in turn, each on connections of their own. */
static void connections_are_kept_for_calls_of_their_size(void)
{
    mn_object_store *store = open_with(2 * N_CONNECTIONS_MAX);
    struct mn_object_stats stats = {.size = sizeof stats};

    for (unsigned round = 0; round < 3; round++) {
        read_ranges(store);
        read_one(store);
    }
    CHECK_OK(mn_object_stats(store, &stats, NULL));
    CHECK(stats.n_connections <= N_CONNECTIONS_MAX + 1);
    double_close(store);
}

static void no_connection_is_inherited(void)
{
    mn_object_store *store = open_with(N_CONNECTIONS_MAX);

    read_ranges(store);
    CHECK_EQ(count_connections().n, N_CONNECTIONS_MAX);
    CHECK_EQ(count_connections().n_inherited, 0);
    double_close(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(names_that_are_not_resolved_hold_up_nothing),
        CHECK_TEST(a_slow_upload_is_not_silent),
        CHECK_TEST(there_are_no_more_connections_than_there_may_be),
        CHECK_TEST(connections_are_kept_for_calls_of_their_size),
        CHECK_TEST(no_connection_is_inherited),
    };
    return check_run("s3.wire", tests, CHECK_COUNT(tests), argc, argv);
}
