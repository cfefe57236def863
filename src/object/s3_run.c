/*
 * s3_run.c - carries out the requests of a call: signs, sends, judges, waits and tries again.
 *
 * Owns:    the transfers and replies of a run, while it lasts.
 * Threads: any; each run belongs to the thread that made the call.
 * Fails:   as the answers say, once tries, budget or deadline are used up; never names a secret.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "object/s3_private.h"

enum { CLEANUP_MS = 5000 };

/* A clock that is so far from the server's is taken for the reason of a 403 without a body. */
static const int64_t skew_us_max = INT64_C(240) * 1000000;

void s3_call_init(struct s3_call *call, struct s3_store *store)
{
    call->store = store;
    call->patience = (struct mni_s3_patience){
        .env = store->env,
        .deadline_us = mni_env_mono_us(store->env) + (int64_t)store->timeout_ms * 1000,
        .is_cancelled = store->is_cancelled,
        .context = store->cancel_context,
    };
}

void s3_call_init_cleanup(struct s3_call *call, struct s3_store *store)
{
    s3_call_init(call, store);
    call->patience.is_cancelled = NULL;
    if (store->timeout_ms > CLEANUP_MS)
        call->patience.deadline_us = mni_env_mono_us(store->env) + CLEANUP_MS * 1000;
}

/* Transfers --------------------------------------------------------------------------------------
 */

void s3_transfer_init(struct s3_store *store, struct mni_s3_transfer *transfer, const char *method,
                      const struct mn_slice *key)
{
    struct mni_s3_request *request = &transfer->request;

    *transfer = (struct mni_s3_transfer){.sink = MNI_S3_TO_TEXT};
    mni_s3_request_init(request, method);
    mni_s3_request_path(request, mn_str(store->address.root));
    if (key != NULL) {
        transfer->key_bytes = strlen(store->prefix) + key->n_bytes;
        mni_s3_request_path(request, mn_str(store->prefix));
        mni_s3_request_path(request, *key);
    } else if (request->path.n_bytes > 1 && !request->is_short_of_memory) {
        request->path.n_bytes--; /* "/bucket/" -> "/bucket" */
    }
    mni_s3_request_header(request, "host", mn_str(store->address.host));
    mni_s3_request_body(request, mn_str(""));
}

void s3_transfer_done(struct mni_s3_transfer *transfer)
{
    mni_s3_request_done(&transfer->request);
}

void s3_param_u64(struct mni_s3_transfer *transfer, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    mni_s3_request_param(&transfer->request, name, mn_str(text));
}

void s3_header_text(struct mni_s3_transfer *transfer, const char *name, const char *value)
{
    mni_s3_request_header(&transfer->request, name, mn_str(value));
}

void s3_header_condition(struct mni_s3_transfer *transfer, const char *name, const char *value)
{
    s3_header_text(transfer, name, value);
    transfer->is_conditional = true;
}

/* One request and its tries ---------------------------------------------------------------------
 */

enum place_state { PLACE_FREE, PLACE_WAITS, PLACE_FLIES, PLACE_YIELDED };

struct place {
    enum place_state state;
    bool is_used; /* has had an item */
    size_t item;
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply;
    int64_t next_us; /* of the next try, while it waits */
    unsigned n_tries;
    int n_tokens;       /* that the last try took */
    bool is_in_doubt;   /* one of the tries may have been carried out */
    bool has_set_clock; /* has been tried with the server's time */
    struct mn_error err;
};

struct run {
    struct s3_call *call;
    const struct s3_job *job;
    void *context;
    struct mni_s3_lane *lane;
    struct place *places;
    unsigned n_places;
    size_t next_item;
    size_t n_unfinished; /* places that are not free */
    bool has_failed;
    size_t failed_item; /* the first in order */
    mn_status failed_status;
    struct mn_error *err; /* about that one */
};

static void note_failure(struct run *run, size_t item, mn_status st, const struct mn_error *err)
{
    if (st == MN_OK || (run->has_failed && run->failed_item < item))
        return;
    run->has_failed = true;
    run->failed_item = item;
    run->failed_status = st;
    if (run->err != NULL)
        *run->err = *err;
}

static void finish(struct run *run, struct place *place, mn_status st)
{
    MNI_CHECK(run->n_unfinished > 0);
    MNI_CHECK(place->state == PLACE_WAITS || place->state == PLACE_FLIES);
    note_failure(run, place->item, st, &place->err);
    if (run->job->finish != NULL)
        run->job->finish(run->context, place->item, st, &place->reply, place->is_in_doubt);
    s3_transfer_done(&place->transfer);
    place->state = PLACE_FREE;
    run->n_unfinished--;
}

static bool is_secret_in(const void *context, struct mn_slice text)
{
    return mni_s3_signer_is_secret_in(context, text);
}

static void read_fault(const struct s3_store *store, struct mn_slice text,
                       struct mni_s3_fault *fault_out)
{
    struct mni_s3_unsaid secrets = {is_secret_in, store->signer};

    (void)mni_s3_read_fault(text, &secrets, fault_out);
}

/* What is probably wrong with the endpoint. */
static void hint(const struct s3_store *store, const struct mni_s3_reply *reply,
                 const struct mni_s3_fault *fault, char *text_out, size_t capacity)
{
    bool is_told = reply->redirect[0] != '\0' &&
                   !mni_s3_signer_is_secret_in(store->signer, mn_str(reply->redirect));

    if (reply->status >= 300 && reply->status < 400 && reply->status != 304)
        (void)snprintf(text_out, capacity,
                       "; it points to %s, and redirects are not followed: region or endpoint "
                       "are probably wrong",
                       is_told ? reply->redirect : "another place");
    else if (reply->status >= 400 && mni_s3_is_foreign(reply, fault))
        (void)snprintf(text_out, capacity,
                       "; that is no answer of an object store: is the endpoint %s one?",
                       store->address.origin);
}

/* What the server said, in a form for people. The fault holds no secret. */
static void describe(const struct s3_store *store, const struct place *place,
                     const struct mni_s3_fault *fault, char *text_out, size_t capacity)
{
    const struct mni_s3_reply *reply = &place->reply;
    const char *region = fault->region[0] != '\0' ? fault->region : reply->region;

    if (reply->detail[0] != '\0' && fault->code[0] == '\0') {
        (void)snprintf(text_out, capacity, "%s", reply->detail);
        return;
    }
    bool is_elsewhere = region[0] != '\0' && strcmp(region, store->settings.region) != 0 &&
                        !mni_s3_signer_is_secret_in(store->signer, mn_str(region));
    int n = snprintf(text_out, capacity, "HTTP %d%s%s%s%.200s%s%s", reply->status,
                     fault->code[0] != '\0' ? " " : "", fault->code,
                     fault->message[0] != '\0' ? ": " : "", fault->message,
                     is_elsewhere ? "; set the region to " : "", is_elsewhere ? region : "");
    if (n > 0 && (size_t)n < capacity)
        hint(store, reply, fault, text_out + n, capacity - (size_t)n);
}

static mn_status fail(struct run *run, struct place *place, mn_status st,
                      const struct mni_s3_fault *fault, const char *why)
{
    char text[MN_ERROR_MESSAGE_BYTES];

    describe(run->call->store, place, fault, text, sizeof text);
    if (place->n_tries > 1 || why[0] != '\0')
        return mni_fail(&place->err, st, "%.400s (%u tr%s%s%s)", text, place->n_tries,
                        place->n_tries == 1 ? "y" : "ies", why[0] != '\0' ? "; " : "", why);
    return mni_fail(&place->err, st, "%s", text);
}

/* Takes the server's time; false when it is not told, or was taken already. */
static bool set_clock(struct run *run, struct place *place)
{
    struct s3_store *store = run->call->store;

    if (place->reply.date_us == 0 || place->has_set_clock)
        return false;
    place->has_set_clock = true;
    atomic_store(&store->clock_offset_us, place->reply.date_us - mni_env_wall_us(store->env));
    return true;
}

/* An answer to HEAD has no body that would tell the code. */
static bool looks_skewed(struct run *run, const struct place *place,
                         const struct mni_s3_fault *fault)
{
    const struct mni_s3_reply *reply = &place->reply;
    struct s3_store *store = run->call->store;

    if (reply->end != MNI_S3_ANSWERED || reply->status != 403 || fault->code[0] != '\0' ||
        reply->date_us == 0)
        return false;
    int64_t ours_us = mni_env_wall_us(store->env) + atomic_load(&store->clock_offset_us);
    int64_t apart_us = reply->date_us - ours_us;
    return apart_us > skew_us_max || apart_us < -skew_us_max;
}

static uint64_t random_bits(struct s3_store *store)
{
    uint64_t bits = 0;

    /* Without random numbers the waits are those of the clock. */
    if (mni_env_random(store->env, &bits, sizeof bits, NULL) != MN_OK)
        bits = (uint64_t)mni_env_mono_us(store->env);
    return bits;
}

/* Puts the place to waiting for another try, or finishes it. */
static void try_again(struct run *run, struct place *place, struct mni_s3_verdict verdict,
                      const struct mni_s3_fault *fault)
{
    struct s3_store *store = run->call->store;
    int64_t now_us = mni_env_mono_us(store->env);
    int64_t wait_us = 0;

    MNI_CHECK(verdict.status != MN_OK); /* it is what the call answers when there is no other try */
    if (verdict.again == MNI_S3_SET_CLOCK) {
        if (!set_clock(run, place)) {
            finish(run, place, fail(run, place, verdict.status, fault, ""));
            return;
        }
    } else {
        if (place->n_tries >= store->n_tries_max) {
            finish(run, place, fail(run, place, verdict.status, fault, ""));
            return;
        }
        wait_us = mni_s3_backoff_us(place->n_tries, verdict.again, random_bits(store));
        if (place->reply.retry_after_us > wait_us)
            wait_us = place->reply.retry_after_us;
    }
    if (now_us + wait_us >= run->call->patience.deadline_us) {
        finish(run, place,
               fail(run, place, MN_ERR_TIMEOUT, fault, "another would be behind the deadline"));
        return;
    }
    if (verdict.again != MNI_S3_SET_CLOCK) {
        place->n_tokens = mni_s3_budget_take(&store->budget, verdict.again);
        if (place->n_tokens == 0) {
            finish(run, place,
                   fail(run, place, verdict.status, fault, "the budget of tries is used up"));
            return;
        }
    }
    atomic_fetch_add(&store->n_retries, 1);
    place->state = PLACE_WAITS;
    place->next_us = now_us + wait_us;
}

/* Judges what a try has brought. */
static void judge(struct run *run, struct place *place)
{
    struct s3_store *store = run->call->store;
    struct mni_s3_fault fault = {0};
    struct mni_s3_reply *reply = &place->reply;
    struct mn_slice text = {reply->text.n_bytes == 0 ? (const void *)"" : reply->text.data,
                            reply->text.n_bytes};

    MNI_CHECK(place->state == PLACE_FLIES);
    if (reply->end == MNI_S3_ANSWERED && (reply->status < 200 || reply->status > 299))
        read_fault(store, text, &fault);
    memcpy(reply->code, fault.code, sizeof reply->code);
    if (reply->n_sent > 1) { /* libcurl has found the connection closed, and tried again */
        place->is_in_doubt = true;
        atomic_fetch_add(&store->n_requests, reply->n_sent - 1);
        atomic_fetch_add(&store->n_retries, reply->n_sent - 1);
    }
    struct mni_s3_verdict verdict = mni_s3_judge(reply, &fault);
    if (looks_skewed(run, place, &fault) && !place->has_set_clock)
        verdict.again = MNI_S3_SET_CLOCK;
    if (verdict.status == MN_OK) {
        mn_status st = MN_OK;
        if (run->job->accept != NULL)
            st = run->job->accept(run->context, place->item, reply, &place->err);
        if (st == MN_ERR_CORRUPT) {
            read_fault(store, text, &fault);
            memcpy(reply->code, fault.code, sizeof reply->code);
            verdict = mni_s3_judge_body(&fault);
        } else {
            place->is_in_doubt |= st != MN_OK;
            if (st != MN_ERR_REMOTE)
                atomic_store(&store->has_bucket, true);
            mni_s3_budget_give(&store->budget, place->n_tries > 1 ? place->n_tokens : 0);
            finish(run, place, st);
            return;
        }
    }
    if (verdict.is_bad_body)
        atomic_fetch_add(&store->n_bad_bodies, 1);
    place->is_in_doubt |= verdict.is_in_doubt;
    if (verdict.again != MNI_S3_FINAL)
        try_again(run, place, verdict, &fault);
    else if (verdict.status == MN_CHANGED && !place->transfer.is_conditional)
        finish(run, place, fail(run, place, MN_ERR_REMOTE, &fault, "no condition was sent"));
    else
        finish(run, place, fail(run, place, verdict.status, &fault, ""));
}

static void start(struct run *run, unsigned index)
{
    struct s3_store *store = run->call->store;
    struct place *place = &run->places[index];
    int64_t time_us = mni_env_wall_us(store->env) + atomic_load(&store->clock_offset_us);

    MNI_CHECK(place->state == PLACE_WAITS);
    MNI_CHECK(place->n_tries <= store->n_tries_max); /* and one more with the server's time */
    mn_status st = mni_s3_sign(store->signer, &place->transfer.request, time_us);

    if (st == MN_OK)
        st = mni_s3_lane_start(run->lane, index, &place->transfer, &place->reply);
    if (st != MN_OK) {
        finish(run, place, mni_fail(&place->err, st, "a request"));
        return;
    }
    place->state = PLACE_FLIES;
    place->n_tries++;
    atomic_fetch_add(&store->n_requests, 1);
}

/* The run ----------------------------------------------------------------------------------------
 */

static bool is_over(const struct run *run)
{
    return run->next_item == run->job->n_items || (run->has_failed && run->job->stops);
}

static void begin_item(struct run *run, struct place *place)
{
    size_t item = run->next_item++;

    MNI_CHECK(place->state == PLACE_FREE);
    MNI_CHECK(item < run->job->n_items);
    place->item = item;
    place->is_used = true;
    place->n_tries = 0;
    place->n_tokens = 0;
    place->is_in_doubt = false;
    place->has_set_clock = false;
    place->next_us = 0;
    place->err = (struct mn_error){0};
    mni_s3_reply_reset(&place->reply);
    run->n_unfinished++;
    place->state = PLACE_WAITS;
    mn_status st = run->job->prepare(run->context, item, &place->transfer, &place->err);
    if (st == MN_OK && place->transfer.key_bytes > MN_OBJECT_KEY_BYTES_MAX)
        st = mni_fail(&place->err, MN_ERR_LIMIT, "with the store's prefix %zu bytes; at most %d",
                      place->transfer.key_bytes, MN_OBJECT_KEY_BYTES_MAX);
    if (st != MN_OK)
        finish(run, place, st);
}

/* Starts all that is due; returns how long it is until the next is. */
static int64_t start_due(struct run *run)
{
    int64_t now_us = mni_env_mono_us(run->call->store->env);
    int64_t next_us = INT64_MAX;

    for (unsigned i = 0; i < run->n_places; i++) {
        struct place *place = &run->places[i];
        if (place->state == PLACE_FREE && place->is_used && mni_s3_lane_yield(run->lane, i))
            place->state = PLACE_YIELDED;
        while (place->state == PLACE_FREE && !is_over(run))
            begin_item(run, place);
        if (place->state == PLACE_WAITS && place->next_us <= now_us)
            start(run, i);
        if (place->state == PLACE_WAITS && place->next_us < next_us)
            next_us = place->next_us;
    }
    return next_us == INT64_MAX ? MNI_S3_WAIT_US : next_us - now_us;
}

static bool any_flies(const struct run *run)
{
    for (unsigned i = 0; i < run->n_places; i++)
        if (run->places[i].state == PLACE_FLIES)
            return true;
    return false;
}

/* Nothing is under way and nothing is due. */
static void sleep_us(int64_t wait_us)
{
    struct mni_mutex lock;
    struct mni_cond never;

    mni_mutex_init(&lock);
    mni_cond_init(&never);
    mni_mutex_lock(&lock);
    (void)mni_cond_wait_for(&never, &lock, wait_us < MNI_S3_WAIT_US ? wait_us : MNI_S3_WAIT_US);
    mni_mutex_unlock(&lock);
    mni_cond_done(&never);
    mni_mutex_done(&lock);
}

mn_status s3_wait(struct s3_call *call, int64_t wait_us, struct mn_error *err)
{
    int64_t until_us = mni_env_mono_us(call->store->env) + wait_us;
    mn_status st = mni_s3_patience_check(&call->patience, err);

    while (st == MN_OK && (wait_us = until_us - mni_env_mono_us(call->store->env)) > 0) {
        sleep_us(wait_us);
        st = mni_s3_patience_check(&call->patience, err);
    }
    return st;
}

static void skip_rest(struct run *run, mn_status why, const struct mn_error *err)
{
    for (; run->next_item < run->job->n_items; run->next_item++) {
        note_failure(run, run->next_item, why, err);
        if (run->job->skip != NULL)
            run->job->skip(run->context, run->next_item, why);
    }
}

/* Patience is at an end: what is under way stays in doubt. */
static void give_up(struct run *run, mn_status why, const struct mn_error *err)
{
    for (unsigned i = 0; i < run->n_places; i++) {
        struct place *place = &run->places[i];
        if (place->state == PLACE_FREE || place->state == PLACE_YIELDED)
            continue;
        if (place->state == PLACE_FLIES) {
            mni_s3_lane_stop(run->lane, i);
            place->is_in_doubt = true;
        }
        place->err = *err;
        finish(run, place, why);
    }
    skip_rest(run, why, err);
}

static void run_all(struct run *run)
{
    struct mn_error err = {0};
    int64_t asked_us = mni_env_mono_us(run->call->store->env);

    while (!is_over(run) || run->n_unfinished > 0) {
        int64_t wait_us = start_due(run);
        unsigned index;
        if (run->n_unfinished == 0)
            continue;
        if (any_flies(run)) {
            if (mni_s3_lane_wait(run->lane, wait_us, &index))
                judge(run, &run->places[index]);
        } else {
            sleep_us(wait_us);
        }
        int64_t now_us = mni_env_mono_us(run->call->store->env);
        if (now_us - asked_us < MNI_S3_WAIT_US && now_us < run->call->patience.deadline_us)
            continue;
        asked_us = now_us;
        if (run->n_unfinished == 0 && is_over(run))
            break;
        mn_status st = mni_s3_patience_check(&run->call->patience, &err);
        if (st != MN_OK) {
            give_up(run, st, &err);
            return;
        }
    }
}

mn_status s3_run(struct s3_call *call, const struct s3_job *job, void *context,
                 struct mn_error *err)
{
    struct run run = {.call = call, .job = job, .context = context, .err = err};
    struct mn_error why = {0};
    unsigned n_wanted = job->n_side_by_side_max;

    MNI_CHECK(n_wanted > 0);
    if (job->n_items == 0)
        return MN_OK;
    if (n_wanted > job->n_items)
        n_wanted = (unsigned)job->n_items;
    mn_status st = mni_s3_lane_take(call->store->http, n_wanted, &call->patience, &run.lane, &why);
    if (st == MN_OK) {
        run.n_places = mni_s3_lane_slots(run.lane);
        run.places = mni_alloc_zero(run.n_places * sizeof run.places[0]);
        if (run.places == NULL)
            st = mni_fail(&why, MN_ERR_NOMEM, "requests");
    }
    if (st == MN_OK)
        run_all(&run);
    else
        skip_rest(&run, st, &why);
    MNI_CHECK(run.n_unfinished == 0); /* nothing under way is left to write into what is freed */
    MNI_CHECK(run.next_item == job->n_items || (run.has_failed && job->stops));
    mni_s3_lane_give(run.lane);
    if (run.places == NULL)
        return st;
    for (unsigned i = 0; i < run.n_places; i++)
        mni_s3_reply_done(&run.places[i].reply);
    mni_free(run.places);
    return run.has_failed ? run.failed_status : MN_OK;
}

/* One request ------------------------------------------------------------------------------------
 */

struct asked {
    struct mni_s3_transfer *transfer;
    struct mni_s3_reply *reply;
    mn_status (*accept)(void *context, size_t item, struct mni_s3_reply *reply,
                        struct mn_error *err);
    void *context;
    bool is_in_doubt;
};

static mn_status ask_prepare(void *context, size_t item, struct mni_s3_transfer *transfer,
                             struct mn_error *err)
{
    struct asked *asked = context;

    (void)item;
    (void)err;
    *transfer = *asked->transfer;
    mni_s3_request_init(&asked->transfer->request, transfer->request.method); /* taken over */
    return MN_OK;
}

static mn_status ask_accept(void *context, size_t item, struct mni_s3_reply *reply,
                            struct mn_error *err)
{
    struct asked *asked = context;

    return asked->accept == NULL ? MN_OK : asked->accept(asked->context, item, reply, err);
}

static void ask_finish(void *context, size_t item, mn_status st, struct mni_s3_reply *reply,
                       bool is_in_doubt)
{
    struct asked *asked = context;

    (void)item;
    (void)st;
    mni_s3_reply_done(asked->reply);
    *asked->reply = *reply;
    *reply = (struct mni_s3_reply){0};
    asked->is_in_doubt = is_in_doubt;
}

mn_status s3_ask(struct s3_call *call, struct mni_s3_transfer *transfer,
                 mn_status (*accept)(void *context, size_t item, struct mni_s3_reply *reply,
                                     struct mn_error *err),
                 void *context, struct mni_s3_reply *reply, bool *in_doubt_out,
                 struct mn_error *err)
{
    struct asked asked = {
        .transfer = transfer, .reply = reply, .accept = accept, .context = context};
    struct s3_job job = {
        .n_items = 1,
        .n_side_by_side_max = 1,
        .prepare = ask_prepare,
        .accept = ask_accept,
        .finish = ask_finish,
    };
    mn_status st = s3_run(call, &job, &asked, err);

    s3_transfer_done(transfer);
    if (in_doubt_out != NULL)
        *in_doubt_out = asked.is_in_doubt;
    return st;
}
