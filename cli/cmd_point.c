/*
 * cmd_point.c - temporal put, get, asof, next, latest, range, delete.
 *
 * Owns:    the points of a batch, views until they are printed.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/status.h"
#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "ingest.h"
#include "record_out.h"
#include "space.h"
#include "stop.h"
#include "talk.h"

/* Putting ---------------------------------------------------------------------------------------
 */

/* Where the points go. */
struct target {
    struct space_word word;
    bool is_known; /* the rest is set */
    uint32_t space;
    uint32_t n_dims;
};

static mn_status look_up(mn_store *store, struct target *target, struct mn_error *err)
{
    struct mn_space_info info = {.size = sizeof info};
    mn_status st = space_find(store, &target->word, &target->space, err);

    if (st == MN_OK)
        st = mn_temporal_space(store, target->space, &info, err);
    if (st != MN_OK)
        return st;
    target->n_dims = info.n_dims;
    target->is_known = true;
    return MN_OK;
}

/* As a namespace is, a space is made by the first vector. */
static mn_status make_space(mn_store *store, struct target *target, struct mn_error *err)
{
    struct mn_space_options options = {.size = sizeof options, .n_dims = target->n_dims};
    mn_status st = MN_OK;

    target->space = target->word.space;
    if (!target->word.is_number) {
        options.name = target->word.name;
        st = space_find_free(store, &target->space, err);
    }
    if (st == MN_OK)
        st = mn_temporal_create_space(store, target->space, &options, NULL, NULL, NULL, err);
    target->is_known = st == MN_OK;
    return st;
}

static mn_status check_dimensions(const struct batch *batch, const struct target *target,
                                  struct mn_error *err)
{
    for (size_t i = 0; i < batch->n_records; i++) {
        if (batch->records[i].n_dims != target->n_dims)
            return mni_fail(err, MN_ERR_DIMENSION,
                            "point %zu: the space has %" PRIu32 " dimensions, the vector has "
                            "%" PRIu32,
                            i, target->n_dims, batch->records[i].n_dims);
    }
    return MN_OK;
}

static mn_status put_points(struct ingest *in, uint32_t space, uint64_t *n_stored_out,
                            uint64_t *lsn_out, struct mn_error *err)
{
    struct mn_write_options options = {.size = sizeof options, .ack = in->ack};
    const struct batch *batch = &in->batch;
    struct mn_point *points = mni_alloc_array(batch->n_records, sizeof *points);

    if (points == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < batch->n_records; i++) {
        const struct mn_record *record = &batch->records[i];
        points[i] = (struct mn_point){
            .time_us = record->event_time_us,
            .vector = record->vector,
            .n_dims = record->n_dims,
            .fields = record->fields & (MN_HAS_EXPIRES_AT | MN_HAS_TTL),
            .metadata = record->metadata,
            .payload = record->payload,
            .expires_at_us = record->expires_at_us,
            .ttl_us = record->ttl_us,
        };
        memcpy(&points[i].entity, record->id.data, sizeof points[i].entity);
    }
    mn_status st = mn_temporal_put_batch(in->store, space, points, batch->n_records, &options,
                                         n_stored_out, lsn_out, err);
    mni_free(points);
    return st;
}

static mn_status store_points(struct ingest *in, uint64_t *n_stored_out, uint64_t *lsn_out,
                              struct mn_error *err)
{
    struct target *target = in->context;
    bool is_new = false;
    mn_status st = MN_OK;

    *n_stored_out = 0;
    *lsn_out = 0;
    if (in->batch.n_records == 0)
        return MN_OK;
    if (!target->is_known)
        st = look_up(in->store, target, err);
    if (st == MN_NOT_FOUND) {
        is_new = true;
        target->n_dims = in->batch.records[0].n_dims;
        st = MN_OK;
    }
    if (st == MN_OK)
        st = check_dimensions(&in->batch, target, err);
    if (st == MN_OK && is_new)
        st = make_space(in->store, target, err);
    if (st != MN_OK)
        return st;
    st = put_points(in, target->space, n_stored_out, lsn_out, err);
    /* A batch that is refused leaves nothing behind. */
    if (st != MN_OK && is_new)
        (void)!mn_temporal_drop_space(in->store, target->space, NULL, NULL, NULL, NULL);
    return st;
}

int run_temporal_put(struct cli *cli)
{
    struct ingest ingest = INGEST_INIT;
    struct target target = {0};
    int code = space_take(cli, &target.word);

    if (code != EXIT_CODE_OK)
        return code;
    ingest.cli = cli;
    ingest.what = "put";
    ingest.file_name = "-";
    ingest.format = LINE_FORMAT_POINT;
    ingest.store_batch = store_points;
    ingest.context = &target;
    ingest.has_progress = isatty(STDIN_FILENO) == 0;
    lines_init(&ingest.lines, STDIN_FILENO);
    if (!ingest_take_ack(cli, &ingest.ack) ||
        !args_number(&cli->args, OPTION_BATCH, 1, MN_BATCH_RECORDS_MAX, UINT64_MAX,
                     &ingest.batch_records))
        return EXIT_CODE_USAGE;
    code = ingest_run(&ingest);
    ingest_done(&ingest);
    return code;
}

/* Reading ---------------------------------------------------------------------------------------
 */

/* What a command for the points of an entity was given. */
struct request {
    struct space_word word;
    uint32_t space;
    uint64_t entity;
    int64_t *times_us; /* owned; the words behind the entity */
    size_t n_times;
    enum vectors vectors;
    int64_t from_us;
    int64_t to_us;
    uint64_t known_at; /* 0: what is known now */
    mn_store *store;   /* owned */
};

static int take_request(struct cli *cli, struct request *request)
{
    int choice;
    int code = space_take(cli, &request->word);

    if (code == EXIT_CODE_OK)
        code = space_take_entity(cli, 1, &request->entity);
    if (code == EXIT_CODE_OK)
        code = space_take_interval(cli, &request->from_us, &request->to_us);
    if (code == EXIT_CODE_OK &&
        !args_choice(&cli->args, OPTION_VECTORS, vectors_choices, VECTORS_JSON, &choice))
        code = EXIT_CODE_USAGE;
    if (code == EXIT_CODE_OK &&
        !args_number(&cli->args, OPTION_KNOWN_AT, 1, UINT64_MAX, 0, &request->known_at))
        code = EXIT_CODE_USAGE;
    if (code != EXIT_CODE_OK)
        return code;
    request->vectors = (enum vectors)choice;
    request->n_times = (size_t)cli->args.n_words - 2;
    request->times_us = mni_alloc_array(request->n_times + 1, sizeof *request->times_us);
    if (request->times_us == NULL) {
        say("out of memory");
        return EXIT_CODE_FAILURE;
    }
    for (size_t i = 0; i < request->n_times && code == EXIT_CODE_OK; i++)
        code = space_take_time(cli, cli->args.words[i + 2], &request->times_us[i]);
    return code;
}

/* Takes all words, opens the store, finds the space; says what is wrong. close_request follows. */
static int open_request(struct cli *cli, enum open_mode mode, struct request *request)
{
    int code = take_request(cli, request);

    if (code == EXIT_CODE_OK)
        code = cli_open(cli, mode, &request->store);
    if (code == EXIT_CODE_OK)
        code = space_require(cli, request->store, &request->word, &request->space);
    return code;
}

static int close_request(struct cli *cli, struct request *request, int code)
{
    mni_free(request->times_us);
    return cli_close(cli, request->store, code);
}

typedef mn_status read_fn(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                          struct mn_point_view *view_out, struct mn_error *err);

static mn_status read_latest(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                             struct mn_point_view *view_out, struct mn_error *err)
{
    (void)time_us;
    return mn_temporal_latest(store, space, entity, view_out, err);
}

/* `read` is one for which the command takes --known-at, if that was given. */
static mn_status read_one(const struct request *r, read_fn *read, int64_t time_us,
                          struct mn_point_view *view_out, struct mn_error *err)
{
    if (r->known_at != 0)
        return mn_temporal_as_of_known(r->store, r->space, r->entity, time_us, r->known_at,
                                       view_out, err);
    return read(r->store, r->space, r->entity, time_us, view_out, err);
}

/* One by one, so that what is missing or damaged keeps nothing else back. Readers keep writers out,
 * so all are of one moment. */
static int read_each(struct cli *cli, const struct request *request, read_fn *read)
{
    struct mn_point_view view = {0};
    struct mn_error err = {0};
    uint64_t n_damaged = 0;
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < request->n_times; i++) {
        mn_status st = read_one(request, read, request->times_us[i], &view, &err);
        if (st == MN_OK)
            (void)record_out_point(&cli->out, &view, request->vectors);
        else if (st == MN_ERR_CORRUPT)
            say_damaged(cli, (struct mn_slice){0}, &err, &n_damaged);
        else if (st == MN_NOT_FOUND)
            code = worse_code(code, space_say_status(cli, st, &err));
        else
            return cli_say_status(cli, st, &err);
        mn_point_release(&view);
    }
    return worse_code(code, damaged_code(n_damaged));
}

static int run_read(struct cli *cli, read_fn *read)
{
    struct request request = {0};
    int code = open_request(cli, OPEN_READ, &request);

    if (read == read_latest)
        request.n_times = 1;
    if (code == EXIT_CODE_OK)
        code = read_each(cli, &request, read);
    return close_request(cli, &request, code);
}

int run_temporal_get(struct cli *cli)
{
    return run_read(cli, mn_temporal_get);
}

int run_temporal_asof(struct cli *cli)
{
    return run_read(cli, mn_temporal_as_of);
}

int run_temporal_next(struct cli *cli)
{
    return run_read(cli, mn_temporal_next_from);
}

int run_temporal_latest(struct cli *cli)
{
    return run_read(cli, read_latest);
}

/* How many points the range has at most, for the progress line; 0: not known. */
static uint64_t expect_points(const struct request *request, uint64_t limit)
{
    struct mn_timeline timeline;

    if (request->from_us != INT64_MIN || request->to_us != INT64_MAX ||
        mn_temporal_timeline(request->store, request->space, request->entity, &timeline, NULL) !=
            MN_OK)
        return 0;
    return timeline.n_points < limit ? timeline.n_points : limit;
}

static int take_after(const struct cli *cli, int64_t *after_us_out)
{
    if (!cli_has(cli, OPTION_AFTER))
        return EXIT_CODE_OK;
    return space_take_time(cli, cli->args.values[OPTION_AFTER], after_us_out);
}

static int print_range(struct cli *cli, const struct request *request, uint64_t limit)
{
    struct mn_range_options options = {.size = sizeof options,
                                       .descending = cli_has(cli, OPTION_DESCENDING),
                                       .known_at = request->known_at,
                                       .has_after = cli_has(cli, OPTION_AFTER),
                                       .without_vectors = request->vectors == VECTORS_NONE};
    struct mn_point_view view = {0};
    struct mn_error err = {0};
    mn_range *range = NULL;
    uint64_t n_printed = 0;
    uint64_t n_damaged = 0;
    /* Lines on the same terminal tell the progress themselves. */
    bool has_progress = isatty(STDOUT_FILENO) == 0;
    uint64_t n_expected = expect_points(request, limit);
    bool is_fine = true;

    int usage = take_after(cli, &options.after_us);
    if (usage != EXIT_CODE_OK)
        return usage;
    mn_status st = mn_temporal_range_open(request->store, request->space, request->entity,
                                          request->from_us, request->to_us, &options, &range, &err);
    while (st == MN_OK && n_printed < limit && is_fine) {
        st = mn_temporal_range_next(range, &view, &err);
        if (st == MN_ERR_CORRUPT) { /* what lies behind it may be read */
            say_damaged(cli, (struct mn_slice){0}, &err, &n_damaged);
            st = MN_OK;
            continue;
        }
        if (st != MN_OK)
            break;
        is_fine = record_out_point(&cli->out, &view, request->vectors);
        mn_point_release(&view);
        n_printed++;
        if (has_progress)
            progress_show("range", n_printed, n_expected);
    }
    mn_temporal_range_close(range);
    int code = damaged_code(n_damaged);
    return st == MN_OK || st == MN_END ? code : worse_code(code, space_say_status(cli, st, &err));
}

int run_temporal_range(struct cli *cli)
{
    struct request request = {0};
    uint64_t limit;

    if (!args_number(&cli->args, OPTION_LIMIT, 0, UINT64_MAX, UINT64_MAX, &limit))
        return EXIT_CODE_USAGE;
    int code = open_request(cli, OPEN_READ, &request);
    if (code == EXIT_CODE_OK)
        code = print_range(cli, &request, limit);
    return close_request(cli, &request, code);
}

/* Deleting --------------------------------------------------------------------------------------
 */

/* Each is a commit of its own; after Ctrl-C the rest stay. */
static int delete_times(struct cli *cli, const struct request *request)
{
    struct mn_error err = {0};
    uint64_t n_deleted = 0;
    uint64_t last_lsn = 0;
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < request->n_times; i++) {
        uint64_t lsn = 0;
        bool existed = false;
        if (stop_asked()) {
            say("stopped; the points at the first %zu times are deleted", i);
            code = EXIT_CODE_STOPPED;
            break;
        }
        mn_status st = mn_temporal_delete(request->store, request->space, request->entity,
                                          request->times_us[i], NULL, &existed, &lsn, &err);
        if (st != MN_OK && st != MN_NOT_FOUND) {
            code = cli_say_status(cli, st, &err);
            break;
        }
        n_deleted += existed;
        if (st == MN_OK) /* a delete that finds nothing is a commit too */
            last_lsn = lsn;
        if (!existed) {
            say("entity %" PRIu64 " has no point at %" PRId64 " us", request->entity,
                request->times_us[i]);
            code = EXIT_CODE_NOT_FOUND;
        }
    }
    (void)out_deleted(&cli->out, n_deleted, last_lsn);
    return code;
}

static int delete_interval(struct cli *cli, const struct request *request)
{
    bool is_all = cli_has(cli, OPTION_ALL);
    struct mn_error err = {0};
    uint64_t n_deleted = 0;
    uint64_t lsn = 0;
    mn_status st;

    if (is_all)
        st = mn_temporal_delete_entity(request->store, request->space, request->entity, NULL,
                                       &n_deleted, &lsn, &err);
    else
        st = mn_temporal_delete_range(request->store, request->space, request->entity,
                                      request->from_us, request->to_us, NULL, &n_deleted, &lsn,
                                      &err);
    if (st != MN_OK)
        return space_say_status(cli, st, &err);
    (void)out_deleted(&cli->out, n_deleted, lsn);
    if (!is_all || n_deleted > 0)
        return EXIT_CODE_OK;
    say("entity %" PRIu64 " has no points", request->entity);
    return EXIT_CODE_NOT_FOUND;
}

int run_temporal_delete(struct cli *cli)
{
    struct request request = {0};
    bool has_interval = cli_has(cli, OPTION_FROM) || cli_has(cli, OPTION_TO);
    int n_ways = (cli->args.n_words > 2) + has_interval + cli_has(cli, OPTION_ALL);

    if (n_ways != 1)
        return args_refuse(cli->args.command,
                           n_ways == 0 ? "which points? Give times, --from and --to, or --all"
                                       : "times, --from and --to, and --all exclude each other");
    int code = open_request(cli, OPEN_WRITE, &request);
    if (code == EXIT_CODE_OK && request.n_times > 0)
        code = delete_times(cli, &request);
    else if (code == EXIT_CODE_OK)
        code = delete_interval(cli, &request);
    return close_request(cli, &request, code);
}
