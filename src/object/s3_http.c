/*
 * s3_http.c - HTTP by libcurl, the one file that includes it.
 *
 * Owns:    the lanes with their connections.
 * Threads: any; a lane belongs to one thread while it is taken.
 * Fails:   into the reply: how a request ended is data for whoever decides about another try.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "io/socket.h"
#include "io/thread.h"
#include "object/s3_reply_private.h"

enum {
    READ_BUFFER_BYTES = 256 << 10,
    WRITE_BUFFER_BYTES = 256 << 10,
    LARGE_BODY_BYTES = 64 << 10, /* from here on the large buffers are worth their memory */
    SOCKETS_PER_SLOT = 4,        /* libcurl may try two addresses at once, beside what is idle */
};

struct slot {
    CURL *easy;                /* owned; made when it is first used */
    struct curl_slist *header; /* owned while it is busy */
    bool is_busy;
    struct mni_s3_body body;
    size_t n_sent_bytes; /* of the request's body */
    unsigned n_sent;     /* times that the request was sent: libcurl may do so twice */
    uint64_t n_moves;    /* counts up when a byte moves */
    uint64_t n_moves_seen;
    curl_off_t n_given_seen; /* bytes that the kernel has taken */
    uint32_t n_queued_seen;  /* of these, the ones that the server has not taken yet */
    int64_t moved_us;        /* when one of the three was last seen to have changed */
    char error[CURL_ERROR_SIZE];
};

struct mni_s3_lane {
    struct mni_s3_http *http; /* borrowed; outlives the lane */
    struct mni_s3_lane *next; /* of the idle ones; the most recent first */
    CURLM *multi;             /* owned */
    unsigned n_slots;         /* taken now, those included that were yielded */
    unsigned n_yielded;
    unsigned n_given_back; /* of those; the others' connections are still open */
    unsigned n_slots_max;  /* at any time */
    int *sockets;          /* owned; of the connections that are open */
    unsigned n_connections;
    struct slot slots[]; /* n_connections_max of the store */
};

struct mni_s3_http {
    struct mni_env *env; /* borrowed; outlives this, as the next two */
    const struct mni_s3_address *address;
    const struct mni_s3_settings *settings;
    unsigned n_connections_max;
    uint32_t idle_timeout_ms;
    struct mni_mutex lock;
    struct mni_cond cond; /* a slot has become free */
    unsigned n_taken;
    atomic_uint n_waiting;    /* for a slot; changed under the lock */
    struct mni_s3_lane *idle; /* owned */
    atomic_uint_fast64_t n_connections_made;
};

/* Initialising libcurl ---------------------------------------------------------------------------
 */

enum { CURL_UNTOUCHED, CURL_BUSY, CURL_READY };

/* Once in the process, and never undone: the program or another library may use libcurl too. */
static bool init_curl(void)
{
    static atomic_uint state;
    unsigned seen = CURL_UNTOUCHED;

    if (atomic_load(&state) == CURL_READY)
        return true;
    while (!atomic_compare_exchange_strong(&state, &seen, CURL_BUSY)) {
        if (seen == CURL_READY)
            return true;
        mni_word_wait(&state, CURL_BUSY);
        seen = CURL_UNTOUCHED;
    }
    bool is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    atomic_store(&state, is_ready ? CURL_READY : CURL_UNTOUCHED);
    mni_word_wake_all(&state);
    return is_ready;
}

/* Lanes ------------------------------------------------------------------------------------------
 */

static void free_lane(struct mni_s3_lane *lane)
{
    if (lane == NULL)
        return;
    for (unsigned i = 0; i < lane->n_slots_max; i++) {
        MNI_CHECK(!lane->slots[i].is_busy);
        curl_easy_cleanup(lane->slots[i].easy);
    }
    (void)curl_multi_cleanup(lane->multi);
    mni_free(lane->sockets);
    mni_free(lane);
}

static struct mni_s3_lane *new_lane(struct mni_s3_http *http)
{
    struct mni_s3_lane *lane =
        mni_alloc_zero(sizeof *lane + http->n_connections_max * sizeof lane->slots[0]);

    if (lane == NULL)
        return NULL;
    lane->http = http;
    lane->sockets = mni_alloc_array(http->n_connections_max, SOCKETS_PER_SLOT * sizeof(int));
    lane->multi = curl_multi_init();
    if (lane->sockets == NULL || lane->multi == NULL) {
        free_lane(lane);
        return NULL;
    }
    return lane;
}

/* Under the lock: takes the idle lane with the most connections of those that have no more than
 * will be used, since others may open the rest; NULL when there is none. */
static struct mni_s3_lane *pop_best(struct mni_s3_http *http, unsigned n_slots)
{
    struct mni_s3_lane **best = NULL;

    for (struct mni_s3_lane **at = &http->idle; *at != NULL; at = &(*at)->next)
        if ((*at)->n_connections <= n_slots &&
            (best == NULL || (*at)->n_connections > (*best)->n_connections))
            best = at;
    if (best == NULL)
        return NULL;
    struct mni_s3_lane *lane = *best;
    *best = lane->next;
    return lane;
}

/* Under the lock: cuts off the idle lanes, the oldest ones, whose connections there is no room for
 * beside those that are under way. */
static struct mni_s3_lane *cut_surplus(struct mni_s3_http *http)
{
    unsigned n = http->n_taken;
    struct mni_s3_lane **at = &http->idle;

    while (*at != NULL && n + (*at)->n_connections <= http->n_connections_max) {
        n += (*at)->n_connections;
        at = &(*at)->next;
    }
    struct mni_s3_lane *surplus = *at;
    *at = NULL;
    return surplus;
}

static void free_lanes(struct mni_s3_lane *lane)
{
    while (lane != NULL) {
        struct mni_s3_lane *next = lane->next;
        free_lane(lane);
        lane = next;
    }
}

mn_status mni_s3_patience_check(const struct mni_s3_patience *patience, struct mn_error *err)
{
    if (patience->is_cancelled != NULL && patience->is_cancelled(patience->context))
        return mni_fail(err, MN_ERR_CANCELLED, "cancelled by the caller");
    if (mni_env_mono_us(patience->env) >= patience->deadline_us)
        return mni_fail(err, MN_ERR_TIMEOUT, "the deadline of the call has passed");
    return MN_OK;
}

static void give_back(struct mni_s3_http *http, unsigned n_slots)
{
    mni_mutex_lock(&http->lock);
    MNI_CHECK(n_slots <= http->n_taken);
    http->n_taken -= n_slots;
    mni_cond_broadcast(&http->cond);
    mni_mutex_unlock(&http->lock);
}

/* Each time that a connection becomes idle, closes one, while there are more than this. */
static void limit_connections(struct mni_s3_lane *lane, unsigned n_max)
{
    (void)curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, (long)n_max);
}

mn_status mni_s3_lane_take(struct mni_s3_http *http, unsigned n_wanted,
                           const struct mni_s3_patience *patience, struct mni_s3_lane **lane_out,
                           struct mn_error *err)
{
    struct mni_s3_lane *lane = NULL;
    struct mni_s3_lane *surplus = NULL;
    unsigned n_slots = 0;
    mn_status st = mni_s3_patience_check(patience, err);

    MNI_CHECK(n_wanted > 0);
    mni_mutex_lock(&http->lock);
    atomic_fetch_add(&http->n_waiting, 1);
    while (st == MN_OK && http->n_taken == http->n_connections_max) {
        (void)mni_cond_wait_for(&http->cond, &http->lock, MNI_S3_WAIT_US);
        /* What the caller is asked may take locks of its own. */
        mni_mutex_unlock(&http->lock);
        st = mni_s3_patience_check(patience, err);
        mni_mutex_lock(&http->lock);
    }
    atomic_fetch_sub(&http->n_waiting, 1);
    if (st == MN_OK) {
        unsigned n_free = http->n_connections_max - http->n_taken;
        n_slots = n_wanted < n_free ? n_wanted : n_free;
        http->n_taken += n_slots;
        lane = pop_best(http, n_slots);
        surplus = cut_surplus(http);
    }
    mni_mutex_unlock(&http->lock);
    free_lanes(surplus);
    if (st != MN_OK)
        return st;
    if (lane == NULL)
        lane = new_lane(http);
    if (lane == NULL) {
        give_back(http, n_slots);
        return mni_fail(err, MN_ERR_NOMEM, "a connection");
    }
    lane->next = NULL;
    lane->n_slots = n_slots;
    lane->n_yielded = 0;
    lane->n_given_back = 0;
    limit_connections(lane, http->n_connections_max);
    if (lane->n_slots_max < n_slots)
        lane->n_slots_max = n_slots;
    *lane_out = lane;
    return MN_OK;
}

unsigned mni_s3_lane_slots(const struct mni_s3_lane *lane)
{
    return lane->n_slots;
}

/* Gives those that were yielded back as far as their connections are closed. */
static void give_back_yielded(struct mni_s3_lane *lane)
{
    unsigned n_before = lane->n_given_back;

    while (lane->n_given_back < lane->n_yielded &&
           lane->n_connections < lane->n_slots - lane->n_given_back)
        lane->n_given_back++;
    if (lane->n_given_back > n_before)
        give_back(lane->http, lane->n_given_back - n_before);
}

bool mni_s3_lane_yield(struct mni_s3_lane *lane, unsigned slot)
{
    struct mni_s3_http *http = lane->http;

    MNI_CHECK(slot < lane->n_slots);
    MNI_CHECK(!lane->slots[slot].is_busy);
    if (atomic_load_explicit(&http->n_waiting, memory_order_relaxed) == 0 ||
        lane->n_yielded + 1 >= lane->n_slots)
        return false;
    lane->n_yielded++;
    limit_connections(lane, lane->n_slots - lane->n_yielded);
    give_back_yielded(lane);
    return true;
}

void mni_s3_lane_give(struct mni_s3_lane *lane)
{
    if (lane == NULL)
        return;
    struct mni_s3_http *http = lane->http;
    unsigned n_slots = lane->n_slots - lane->n_given_back;
    for (unsigned i = 0; i < lane->n_slots; i++)
        mni_s3_lane_stop(lane, i);
    mni_mutex_lock(&http->lock);
    lane->n_slots = 0;
    lane->next = http->idle;
    http->idle = lane;
    MNI_CHECK(n_slots <= http->n_taken);
    http->n_taken -= n_slots;
    mni_cond_broadcast(&http->cond);
    mni_mutex_unlock(&http->lock);
}

/* A request -------------------------------------------------------------------------------------
 */

static size_t on_header(char *data, size_t size, size_t n, void *context)
{
    struct slot *slot = context;

    slot->n_moves++;
    mni_s3_reply_header(slot->body.reply, (struct mn_slice){data, size * n});
    return size * n;
}

/* Anything but the number of bytes ends the transfer with CURLE_WRITE_ERROR. */
static size_t on_body(char *data, size_t size, size_t n, void *context)
{
    struct slot *slot = context;

    slot->n_moves++;
    if (!mni_s3_body_take(&slot->body, data, size * n))
        return size * n == 0 ? 1 : 0;
    return size * n;
}

static size_t on_send(char *data, size_t size, size_t n, void *context)
{
    struct slot *slot = context;
    struct mn_slice body = slot->body.transfer->request.body;
    size_t left = body.n_bytes - slot->n_sent_bytes;
    size_t n_bytes = size * n < left ? size * n : left;

    slot->n_moves++;
    memcpy(data, (const char *)body.data + slot->n_sent_bytes, n_bytes);
    slot->n_sent_bytes += n_bytes;
    return n_bytes;
}

/* libcurl sends a request again, without saying so, when a kept connection turns out to be closed
 * before an answer. Only its log tells: what goes out is counted where it begins with a method. */
static int on_log(CURL *easy, curl_infotype type, char *data, size_t n, void *context)
{
    struct slot *slot = context;
    const char *method = slot->body.transfer->request.method;
    size_t method_bytes = strlen(method);

    (void)easy;
    if (type == CURLINFO_HEADER_OUT && n > method_bytes + 1 &&
        memcmp(data, method, method_bytes) == 0 && memcmp(data + method_bytes, " /", 2) == 0)
        slot->n_sent++;
    return 0;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct slot *slot = context;

    if (origin != SEEK_SET || offset < 0 ||
        (uint64_t)offset > slot->body.transfer->request.body.n_bytes)
        return CURL_SEEKFUNC_FAIL;
    slot->n_sent_bytes = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* Programs that are started do not inherit it. */
static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct mni_s3_lane *lane = context;

    (void)purpose;
    if (lane->n_connections == lane->http->n_connections_max * SOCKETS_PER_SLOT)
        return CURL_SOCKET_BAD;
    int s = mni_socket_open(address->family, address->socktype, address->protocol);
    if (s < 0)
        return CURL_SOCKET_BAD;
    lane->sockets[lane->n_connections++] = s;
    return s;
}

static int on_close(void *context, curl_socket_t s)
{
    struct mni_s3_lane *lane = context;

    for (unsigned i = 0; i < lane->n_connections; i++)
        if (lane->sockets[i] == s) {
            lane->sockets[i] = lane->sockets[--lane->n_connections];
            break;
        }
    return mni_socket_close(s);
}

static bool add_header(struct slot *slot, const char *text)
{
    struct curl_slist *longer = curl_slist_append(slot->header, text);

    if (longer == NULL)
        return false;
    slot->header = longer;
    return true;
}

/* The signed lines "name:value\n" as they are, the signature, and what libcurl is not to add. */
static bool add_headers(struct slot *slot, const struct mni_s3_request *request)
{
    struct mni_buf line = {0};
    const char *at = (const char *)request->headers.data;
    const char *end = at + request->headers.n_bytes;
    bool is_good = add_header(slot, "Expect:") && add_header(slot, "Accept:");

    while (is_good && at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        MNI_CHECK(line_end != NULL);
        mni_buf_reset(&line);
        is_good = mni_buf_append(&line, at, (size_t)(line_end - at)) == MN_OK &&
                  mni_buf_append(&line, "", 1) == MN_OK &&
                  add_header(slot, (const char *)line.data);
        at = line_end + 1;
    }
    mni_buf_reset(&line);
    static const char name[] = "authorization: ";
    is_good = is_good && mni_buf_append(&line, name, sizeof name - 1) == MN_OK &&
              mni_buf_append(&line, request->authorization.data, request->authorization.n_bytes) ==
                  MN_OK &&
              mni_buf_append(&line, "", 1) == MN_OK && add_header(slot, (const char *)line.data);
    mni_buf_done(&line);
    return is_good;
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK)                                                                      \
            code = curl_easy_setopt(easy, option, value);                                          \
    } while (0)

static CURLcode set_method(CURL *easy, const struct mni_s3_transfer *transfer)
{
    const struct mni_s3_request *request = &transfer->request;
    curl_off_t n_bytes = (curl_off_t)request->body.n_bytes;
    CURLcode code = CURLE_OK;

    if (strcmp(request->method, "PUT") == 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, n_bytes);
        if (n_bytes >= LARGE_BODY_BYTES)
            SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)WRITE_BUFFER_BYTES);
    } else if (strcmp(request->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, n_bytes);
        SET(CURLOPT_POSTFIELDS, n_bytes == 0 ? (const char *)"" : request->body.data);
    } else if (strcmp(request->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "DELETE") == 0) {
        SET(CURLOPT_CUSTOMREQUEST, "DELETE");
    } else {
        MNI_CHECK(strcmp(request->method, "GET") == 0);
        SET(CURLOPT_HTTPGET, 1L);
    }
    if (transfer->sink != MNI_S3_TO_TEXT && transfer->room_bytes >= LARGE_BODY_BYTES)
        SET(CURLOPT_BUFFERSIZE, (long)READ_BUFFER_BYTES);
    return code;
}

/* Where to, and what is not to happen: no other protocol, no redirect followed, no signal, no
 * certificate unchecked, no proxy but one that sees only TLS. */
static CURLcode set_safety(CURL *easy, const struct mni_s3_http *http)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_PROTOCOLS_STR, http->address->is_https ? "https" : "http");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (http->settings->ca_file != NULL) {
        SET(CURLOPT_CAINFO, http->settings->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (!http->address->is_https || http->address->is_loopback)
        SET(CURLOPT_PROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->idle_timeout_ms);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* who gives a request up does not wait for its name's resolver */
#endif
    return code;
}

static CURLcode set_callbacks(CURL *easy, struct mni_s3_lane *lane, struct slot *slot)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_HTTPHEADER, slot->header);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, slot);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, slot);
    SET(CURLOPT_READFUNCTION, on_send);
    SET(CURLOPT_READDATA, slot);
    SET(CURLOPT_SEEKFUNCTION, on_seek);
    SET(CURLOPT_SEEKDATA, slot);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, lane);
    SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
    SET(CURLOPT_CLOSESOCKETDATA, lane);
    SET(CURLOPT_DEBUGFUNCTION, on_log);
    SET(CURLOPT_DEBUGDATA, slot);
    SET(CURLOPT_VERBOSE, 1L);
    SET(CURLOPT_ERRORBUFFER, slot->error);
    SET(CURLOPT_USERAGENT, "mneme/" MNEME_VERSION);
    SET(CURLOPT_PRIVATE, slot);
    return code;
}

#undef SET

static CURLcode set_url(CURL *easy, const struct mni_s3_http *http,
                        const struct mni_s3_request *request)
{
    struct mni_buf url = {0};
    const char *origin = http->address->origin;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    if (mni_buf_append(&url, origin, strlen(origin)) == MN_OK &&
        mni_buf_append(&url, request->path.data, request->path.n_bytes) == MN_OK &&
        mni_buf_append(&url, "?", request->query.n_bytes > 0 ? 1 : 0) == MN_OK &&
        mni_buf_append(&url, request->query.data, request->query.n_bytes) == MN_OK &&
        mni_buf_append(&url, "", 1) == MN_OK)
        code = curl_easy_setopt(easy, CURLOPT_URL, (const char *)url.data);
    mni_buf_done(&url);
    return code;
}

static void free_slot(struct slot *slot)
{
    slot->is_busy = false;
    curl_slist_free_all(slot->header);
    slot->header = NULL;
}

/* What a transfer that failed has left in its handle is not for the next one: libcurl refuses
 * options then. */
static void renew_handle(struct slot *slot)
{
    curl_easy_cleanup(slot->easy);
    slot->easy = NULL;
}

mn_status mni_s3_lane_start(struct mni_s3_lane *lane, unsigned slot_index,
                            const struct mni_s3_transfer *transfer, struct mni_s3_reply *reply)
{
    struct mni_s3_http *http = lane->http;
    struct slot *slot = &lane->slots[slot_index];
    CURLcode code = CURLE_OUT_OF_MEMORY;

    MNI_CHECK(slot_index < lane->n_slots);
    MNI_CHECK(!slot->is_busy);
    mni_s3_reply_reset(reply);
    if (slot->easy == NULL)
        slot->easy = curl_easy_init();
    if (slot->easy == NULL)
        return MN_ERR_NOMEM;
    curl_easy_reset(slot->easy);
    slot->body = (struct mni_s3_body){.transfer = transfer, .reply = reply};
    slot->n_sent_bytes = 0;
    slot->n_sent = 0;
    slot->n_moves = 0;
    slot->n_moves_seen = 0;
    slot->n_given_seen = 0;
    slot->n_queued_seen = 0;
    slot->moved_us = mni_env_mono_us(http->env);
    slot->error[0] = '\0';
    if (add_headers(slot, &transfer->request))
        code = set_url(slot->easy, http, &transfer->request);
    if (code == CURLE_OK)
        code = set_safety(slot->easy, http);
    if (code == CURLE_OK)
        code = set_method(slot->easy, transfer);
    if (code == CURLE_OK)
        code = set_callbacks(slot->easy, lane, slot);
    /* Options fail when memory is short; all else about them is fixed. */
    if (code != CURLE_OK || curl_multi_add_handle(lane->multi, slot->easy) != CURLM_OK) {
        free_slot(slot);
        return MN_ERR_NOMEM;
    }
    slot->is_busy = true;
    return MN_OK;
}

void mni_s3_lane_stop(struct mni_s3_lane *lane, unsigned slot_index)
{
    struct slot *slot = &lane->slots[slot_index];

    if (!slot->is_busy)
        return;
    (void)curl_multi_remove_handle(lane->multi, slot->easy);
    renew_handle(slot);
    free_slot(slot);
}

/* The end ---------------------------------------------------------------------------------------
 */

static enum mni_s3_end end_of(CURLcode code, const struct slot *slot)
{
    bool has_answer = slot->body.reply->status != 0;

    switch (code) {
    case CURLE_OK:
        return MNI_S3_ANSWERED;
    case CURLE_WRITE_ERROR:
        return slot->body.is_enough ? MNI_S3_ANSWERED : slot->body.refused;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_OPERATION_TIMEDOUT: /* of connecting: there is no other limit */
        return MNI_S3_UNREACHED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return MNI_S3_UNTRUSTED;
    case CURLE_UNSUPPORTED_PROTOCOL: /* of what came: ours are fixed */
        return MNI_S3_NO_HTTP;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
        return MNI_S3_MISSET;
    case CURLE_OUT_OF_MEMORY:
        return MNI_S3_NO_MEMORY;
    case CURLE_PARTIAL_FILE:
        return MNI_S3_CUT;
    case CURLE_WEIRD_SERVER_REPLY:
        return MNI_S3_WRONG;
    default:
        return has_answer ? MNI_S3_CUT : MNI_S3_BROKEN;
    }
}

/* What went wrong, and whether the endpoint's scheme may be the reason. */
static void describe(CURLcode code, const struct mni_s3_lane *lane, const struct slot *slot,
                     bool is_new_connection)
{
    struct mni_s3_reply *reply = slot->body.reply;
    bool is_https = lane->http->address->is_https;
    const char *hint = "";

    if (is_https && code == CURLE_SSL_CONNECT_ERROR)
        hint = " (if the server has no TLS, the endpoint begins with http://)";
    else if (!is_https && (code == CURLE_UNSUPPORTED_PROTOCOL ||
                           (is_new_connection && reply->status == 0 &&
                            (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR))))
        hint = " (if the server wants TLS, the endpoint begins with https://)";
    (void)snprintf(reply->detail, sizeof reply->detail, "%s%.150s%s",
                   reply->end == MNI_S3_NO_HTTP ? "the server does not speak HTTP: " : "",
                   slot->error[0] != '\0' ? slot->error : curl_easy_strerror(code), hint);
}

static void end_slot(struct mni_s3_lane *lane, struct slot *slot, CURLcode code)
{
    struct mni_s3_reply *reply = slot->body.reply;
    long n_made = 0;

    (void)curl_easy_getinfo(slot->easy, CURLINFO_NUM_CONNECTS, &n_made);
    (void)curl_multi_remove_handle(lane->multi, slot->easy);
    atomic_fetch_add(&lane->http->n_connections_made, (uint64_t)(n_made > 0 ? n_made : 0));
    /* A body without bytes has not begun yet. */
    if (code == CURLE_OK && !mni_s3_body_begin(&slot->body))
        code = CURLE_WRITE_ERROR;
    reply->n_sent = slot->n_sent;
    reply->end = end_of(code, slot);
    if (reply->end == MNI_S3_ANSWERED && slot->body.left_bytes > 0)
        reply->end = MNI_S3_CUT;
    if (reply->end != MNI_S3_ANSWERED && reply->detail[0] == '\0')
        describe(code, lane, slot, n_made > 0);
    if (code != CURLE_OK)
        renew_handle(slot);
    free_slot(slot);
    give_back_yielded(lane);
}

/* Bytes that the server has not taken yet. While a request is under way libcurl does not tell its
 * socket, only the port. */
static uint32_t count_queued(const struct mni_s3_lane *lane, const struct slot *slot)
{
    long port = 0;

    if (curl_easy_getinfo(slot->easy, CURLINFO_LOCAL_PORT, &port) != CURLE_OK || port <= 0)
        return 0;
    for (unsigned i = 0; i < lane->n_connections; i++)
        if (mni_socket_port(lane->sockets[i]) == port)
            return mni_socket_queued_bytes(lane->sockets[i]);
    return 0;
}

/* Whether a byte has moved since this was asked last. Of a body that goes out the kernel takes a
 * lot at once, so what it has not got rid of is looked at too. */
static bool has_moved(const struct mni_s3_lane *lane, struct slot *slot)
{
    curl_off_t n_given = 0;

    if (slot->n_moves != slot->n_moves_seen) {
        slot->n_moves_seen = slot->n_moves;
        return true;
    }
    if (slot->body.transfer->request.body.n_bytes == 0)
        return false;
    (void)curl_easy_getinfo(slot->easy, CURLINFO_SIZE_UPLOAD_T, &n_given);
    uint32_t n_queued = count_queued(lane, slot);
    if (n_given == slot->n_given_seen && n_queued == slot->n_queued_seen)
        return false;
    slot->n_given_seen = n_given;
    slot->n_queued_seen = n_queued;
    return true;
}

/* Ends a request on which nothing has moved for too long. */
static bool end_idle(struct mni_s3_lane *lane, unsigned *slot_out)
{
    struct mni_s3_http *http = lane->http;
    int64_t now_us = mni_env_mono_us(http->env);

    for (unsigned i = 0; i < lane->n_slots; i++) {
        struct slot *slot = &lane->slots[i];
        if (!slot->is_busy)
            continue;
        if (has_moved(lane, slot)) {
            slot->moved_us = now_us;
        } else if (now_us - slot->moved_us >= (int64_t)http->idle_timeout_ms * 1000) {
            struct mni_s3_reply *reply = slot->body.reply;
            mni_s3_lane_stop(lane, i);
            reply->end = MNI_S3_IDLE;
            reply->n_sent = slot->n_sent;
            (void)snprintf(reply->detail, sizeof reply->detail, "no byte moved for %u ms",
                           (unsigned)http->idle_timeout_ms);
            *slot_out = i;
            return true;
        }
    }
    return false;
}

static bool end_next(struct mni_s3_lane *lane, unsigned *slot_out)
{
    CURLMsg *message;
    int n_left = 0;

    while ((message = curl_multi_info_read(lane->multi, &n_left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        char *private = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        struct slot *slot = (struct slot *)(void *)private;
        MNI_CHECK(slot != NULL && slot->is_busy);
        end_slot(lane, slot, code);
        *slot_out = (unsigned)(slot - lane->slots);
        return true;
    }
    return false;
}

bool mni_s3_lane_wait(struct mni_s3_lane *lane, int64_t timeout_us, unsigned *slot_out)
{
    int n_running = 0;

    if (end_next(lane, slot_out))
        return true;
    (void)curl_multi_perform(lane->multi, &n_running);
    if (end_next(lane, slot_out) || end_idle(lane, slot_out))
        return true;
    if (timeout_us <= 0)
        return false;
    if (timeout_us > MNI_S3_WAIT_US)
        timeout_us = MNI_S3_WAIT_US;
    (void)curl_multi_poll(lane->multi, NULL, 0, (int)((timeout_us + 999) / 1000), NULL);
    (void)curl_multi_perform(lane->multi, &n_running);
    return end_next(lane, slot_out);
}

/* Life cycle -------------------------------------------------------------------------------------
 */

mn_status mni_s3_http_open(struct mni_env *env, const struct mni_s3_address *address,
                           const struct mni_s3_settings *settings, uint32_t n_connections_max,
                           uint32_t idle_timeout_ms, struct mni_s3_http **http_out,
                           struct mn_error *err)
{
    MNI_CHECK(n_connections_max >= 1 && n_connections_max <= MN_OBJECT_CONNECTIONS_MAX);
    if (!init_curl())
        return mni_fail(err, MN_ERR_NOMEM, "libcurl could not be initialised");
    struct mni_s3_http *http = mni_alloc_zero(sizeof *http);
    if (http == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "connections");
    http->env = env;
    http->address = address;
    http->settings = settings;
    http->n_connections_max = n_connections_max;
    http->idle_timeout_ms = idle_timeout_ms;
    mni_mutex_init(&http->lock);
    mni_cond_init(&http->cond);
    *http_out = http;
    return MN_OK;
}

void mni_s3_http_close(struct mni_s3_http *http)
{
    if (http == NULL)
        return;
    MNI_CHECK(http->n_taken == 0);
    free_lanes(http->idle);
    mni_cond_done(&http->cond);
    mni_mutex_done(&http->lock);
    mni_free(http);
}

uint64_t mni_s3_http_connections(struct mni_s3_http *http)
{
    return atomic_load(&http->n_connections_made);
}
