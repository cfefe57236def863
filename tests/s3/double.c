/*
 * double.c - speaks to the control port of the double, and opens stores on it.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   by ending the running test.
 */
#include "double.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

enum { REQUEST_BYTES = 8192, ANSWER_BYTES = 1 << 16 };

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL)
        CHECK_STR_EQ(name, "set by tests/s3/with_double.py");
    return value;
}

static int connected(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons((uint16_t)atoi(variable("MNEME_DOUBLE_CONTROL_PORT")));
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Sends one request and reads the body of its answer, which must be 200. */
static void ask(const char *method, const char *page, const char *content,
                char body_out[ANSWER_BYTES])
{
    static char answer[ANSWER_BYTES];
    char request[REQUEST_BYTES];
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", method,
                     page, strlen(content), content);
    size_t n_read = 0;
    int fd = connected();

    CHECK(n > 0 && (size_t)n < sizeof request);
    CHECK_EQ(write(fd, request, (size_t)n), n);
    for (;;) {
        CHECK(n_read < sizeof answer - 1);
        ssize_t n_got = read(fd, answer + n_read, sizeof answer - 1 - n_read);
        CHECK(n_got >= 0);
        if (n_got == 0)
            break;
        n_read += (size_t)n_got;
    }
    close(fd);
    answer[n_read] = '\0';
    const char *body = strstr(answer, "\r\n\r\n");
    CHECK(body != NULL);
    if (strncmp(answer + strcspn(answer, " "), " 200", 4) != 0)
        CHECK_STR_EQ(body + 4, "accepted by the double");
    memcpy(body_out, body + 4, strlen(body + 4) + 1);
}

static void post(const char *page, const char *content)
{
    static char body[ANSWER_BYTES];
    char text[REQUEST_BYTES];
    size_t n = strlen(content);

    CHECK(n < sizeof text);
    for (size_t i = 0; i <= n; i++)
        text[i] = content[i] == '\'' ? '"' : content[i];
    ask("POST", page, text, body);
}

static uint64_t number(const char *page)
{
    static char body[ANSWER_BYTES];

    ask("GET", page, "", body);
    return strtoull(body, NULL, 10);
}

void double_reset(void)
{
    post("/reset", "");
}

void double_plan(const char *faults)
{
    post("/faults", faults);
}

uint64_t double_n_faults(void)
{
    return number("/faults");
}

void double_set(const char *settings)
{
    post("/settings", settings);
}

uint64_t double_count(const char *fields)
{
    char page[REQUEST_BYTES];

    CHECK((size_t)snprintf(page, sizeof page, "/count?%s", fields) < sizeof page);
    return number(page);
}

size_t double_gaps(const char *fields, uint64_t gaps_out[DOUBLE_GAPS_MAX])
{
    static char body[ANSWER_BYTES];
    char page[REQUEST_BYTES];
    size_t n = 0;

    CHECK((size_t)snprintf(page, sizeof page, "/gaps?%s", fields) < sizeof page);
    ask("GET", page, "", body);
    for (char *line = body; *line != '\0' && n < DOUBLE_GAPS_MAX; n++) {
        gaps_out[n] = strtoull(line, &line, 10);
        line += strspn(line, "\n");
    }
    return n;
}

struct mn_object_s3_options double_options(void)
{
    return (struct mn_object_s3_options){
        .size = sizeof(struct mn_object_s3_options),
        .bucket = "bucket",
        .endpoint = variable("AWS_ENDPOINT_URL"),
        .region = "us-east-1",
        .access_key = variable("AWS_ACCESS_KEY_ID"),
        .secret_key = variable("AWS_SECRET_ACCESS_KEY"),
        .n_tries_max = 4,
    };
}

mn_object_store *double_open_with(const struct mn_object_s3_options *options)
{
    struct mn_error err = {0};
    mn_object_store *store = NULL;

    CHECK_OK_ERR(mn_object_open_s3(options, &store, &err), &err);
    return store;
}

mn_object_store *double_open(void)
{
    struct mn_object_s3_options options = double_options();

    return double_open_with(&options);
}

void double_close(mn_object_store *store)
{
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

void double_holds(const char *key, const char *text)
{
    mn_object_store *store = double_open();
    struct mn_error err = {0};
    struct mn_slice data;

    CHECK_OK_ERR(mn_object_get(store, mn_str(key), 0, &data, NULL, &err), &err);
    CHECK_EQ(data.n_bytes, strlen(text));
    CHECK_MEM_EQ(data.data, text, data.n_bytes);
    mn_object_free(data);
    double_close(store);
}

void double_lacks(const char *key)
{
    mn_object_store *store = double_open();
    struct mn_object_info info;

    CHECK_STATUS(mn_object_head(store, mn_str(key), &info, NULL), MN_NOT_FOUND);
    double_close(store);
}

void double_put(mn_object_store *store, const char *key, const char *text)
{
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_put(store, mn_str(key), mn_str(text), NULL, NULL, &err), &err);
}

void double_says_no_secret(const struct mn_error *err)
{
    CHECK(err->message[0] != '\0');
    CHECK(strstr(err->message, variable("AWS_ACCESS_KEY_ID")) == NULL);
    CHECK(strstr(err->message, variable("AWS_SECRET_ACCESS_KEY")) == NULL);
    CHECK(strstr(err->message, "AWS4") == NULL);
}
