/*
 * cmd_cache_put.c - cache put: entries from lines, or one whose payload is streamed.
 *
 * Owns:    the line being stored, or the stream.
 * Threads: the main one.
 * Fails:   the first bad line ends it; what was acknowledged before it stands.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "entry_in.h"
#include "exit_codes.h"
#include "ingest.h"
#include "input.h"
#include "query_in.h"
#include "seconds.h"
#include "stop.h"
#include "talk.h"
#include "tenant.h"

enum { CHUNK_BYTES = 64 << 10 };

struct putting {
    struct cli *cli;
    mn_store *store;
    uint64_t tenant;
    struct mn_semcache_store_options options;
    /* of lines */
    struct lines lines;
    struct line_in in;
    struct batch batch; /* the bytes of one line */
    /* of a stream */
    struct mn_semcache_entry entry;
    struct key_option key;
    struct query_in embedding;
};

/* Tells what became of an entry: {"id","lsn"}, or {"id","exists":true}. Of one that does not fit
 * into the memory for views only the id that it was given is known. */
static int acknowledge(struct putting *p, mn_status status, const struct mn_semcache_entry *entry,
                       const struct mn_semcache_handle *handle)
{
    bool has_id = (entry->fields & MN_HAS_ENTRY_ID) != 0;
    struct mni_json_writer *w = out_begin(&p->cli->out);

    mni_json_write_key(w, "id");
    if (handle->pin != NULL || has_id)
        mni_json_write_u64_string(w, handle->pin != NULL ? handle->id : entry->id);
    else
        mni_json_write_null(w);
    mni_json_write_key(w, status == MN_EXISTS ? "exists" : "lsn");
    if (status == MN_EXISTS)
        mni_json_write_bool(w, true);
    else if (handle->pin != NULL)
        mni_json_write_u64(w, handle->lsn);
    else
        mni_json_write_null(w);
    /* Nobody hears the next acknowledgement when this one could not be told. */
    return out_end(&p->cli->out) && out_flush(&p->cli->out) ? EXIT_CODE_OK : EXIT_CODE_FAILURE;
}

/* Lines -----------------------------------------------------------------------------------------
 */

static int refuse_line(const struct putting *p, const char *text)
{
    say("-:%" PRIu64 ": %s", p->lines.line_number, text);
    return EXIT_CODE_FAILURE;
}

static int say_stored(const struct putting *p, mn_status status, const struct mn_error *err)
{
    if (status == MN_CHANGED)
        return refuse_line(p, "the entry does not have expected_lsn");
    if (status == MN_ERR_INVALID || status == MN_ERR_LIMIT || status == MN_ERR_DIMENSION)
        return refuse_line(p, status_text(status, err));
    return cli_say_status(p->cli, status, err);
}

static int store_line(struct putting *p, struct mn_slice text)
{
    struct mn_semcache_store_options options = p->options;
    struct mn_semcache_handle handle = {0};
    struct mn_error err = {0};
    struct entry_line line;

    mn_status st = entry_in_line(&p->in, &p->batch, text, &line, &err);
    if (st == MN_OK && line.has_expected_lsn && options.mode == MN_SEMCACHE_IF_ABSENT)
        return refuse_line(p, "expected_lsn and --if-absent exclude each other");
    if (st != MN_OK)
        return refuse_line(p, status_text(st, &err));
    if (line.has_request) {
        st = mn_semcache_key(p->tenant, line.entry.model, line.request, line.key, &err);
        line.entry.key = line.key;
    }
    if (line.has_expected_lsn) {
        options.mode = MN_SEMCACHE_IF_LSN;
        options.expected_lsn = line.expected_lsn;
    }
    if (st == MN_OK)
        st = mn_semcache_store(p->store, p->tenant, &line.entry, &options, &handle, &err);
    if (st != MN_OK && st != MN_EXISTS)
        return say_stored(p, st, &err);
    int code = acknowledge(p, st, &line.entry, &handle);
    mn_semcache_release(&handle);
    return code;
}

static int store_lines(struct putting *p)
{
    struct mn_error err = {0};
    struct mn_slice text;
    int code = EXIT_CODE_OK;

    while (code == EXIT_CODE_OK) {
        mn_status st = stop_asked() ? MN_ERR_CANCELLED : lines_next(&p->lines, &text, &err);
        if (st == MN_END)
            break;
        if (st == MN_OK)
            code = store_line(p, text);
        else if (st == MN_ERR_CANCELLED)
            code = EXIT_CODE_STOPPED;
        else if (st == MN_ERR_LIMIT)
            code = refuse_line(p, status_text(st, &err));
        else
            code = cli_say_status(p->cli, st, &err);
        batch_reset(&p->batch);
    }
    if (code == EXIT_CODE_STOPPED)
        say("stopped; what was acknowledged is stored, nothing else");
    return code;
}

/* A stream --------------------------------------------------------------------------------------
 */

static int take_entry(struct putting *p)
{
    struct cli *cli = p->cli;
    struct mn_semcache_entry *entry = &p->entry;
    const char *ttl = cli->args.values[OPTION_TTL];

    if (cli_has(cli, OPTION_STREAM) && cli_has(cli, OPTION_PAYLOAD_FILE))
        return args_refuse(cli->args.command, "--stream and --payload-file exclude each other");
    if (!args_number(&cli->args, OPTION_ID, 0, UINT64_MAX, 0, &entry->id) ||
        !args_number(&cli->args, OPTION_CONTEXT, 0, UINT64_MAX, 0, &entry->context))
        return EXIT_CODE_USAGE;
    if (ttl != NULL && !seconds_parse_duration(ttl, &entry->ttl_us))
        return args_refuse(cli->args.command,
                           "--ttl takes a duration, as 90, 30m, 12h, 7d or 2w, not \"%s\"", ttl);
    entry->fields |= cli_has(cli, OPTION_ID) ? MN_HAS_ENTRY_ID : 0;
    entry->fields |= ttl != NULL ? MN_HAS_TTL : 0;
    entry->model = cli_value(cli, OPTION_MODEL);
    int code = tenant_take_key(cli, p->tenant, &p->key);
    if (code == EXIT_CODE_OK)
        code = query_in_take_embedding(cli, &p->embedding);
    entry->key = p->key.is_given ? p->key.bytes : NULL;
    entry->embedding = p->embedding.vector;
    entry->n_dims = p->embedding.n_dims;
    return code;
}

/* Appends all that the file has. */
static mn_status append_all(mn_semcache_stream *stream, int fd, struct mn_error *err)
{
    unsigned char chunk[CHUNK_BYTES];
    size_t n_bytes = 0;
    mn_status st;

    do {
        st = input_read(fd, chunk, sizeof chunk, &n_bytes, err);
        if (st == MN_OK)
            st = mn_semcache_append(stream, (struct mn_slice){.data = chunk, .n_bytes = n_bytes},
                                    err);
    } while (st == MN_OK && n_bytes > 0);
    /* Ctrl-C also ends whoever writes into the pipe: what came may not be all. */
    return st == MN_OK && stop_asked() ? MN_ERR_CANCELLED : st;
}

static int store_stream(struct putting *p, int fd)
{
    struct mn_semcache_handle handle = {0};
    mn_semcache_stream *stream = NULL;
    struct mn_error err = {0};

    mn_status st = mn_semcache_begin(p->store, p->tenant, &p->entry, &p->options, &stream, &err);
    if (st == MN_OK)
        st = append_all(stream, fd, &err);
    if (st == MN_OK)
        st = mn_semcache_commit(stream, &handle, &err);
    else
        mn_semcache_abort(stream);
    if (st == MN_ERR_CANCELLED) {
        say("stopped; nothing is stored");
        return EXIT_CODE_STOPPED;
    }
    if (st != MN_OK && st != MN_EXISTS)
        return cli_say_status(p->cli, st, &err);
    int code = acknowledge(p, st, &p->entry, &handle);
    mn_semcache_release(&handle);
    return code;
}

static int put_stream(struct putting *p)
{
    const char *path = p->cli->args.values[OPTION_PAYLOAD_FILE];
    int fd = STDIN_FILENO;
    int code = take_entry(p);

    if (code != EXIT_CODE_OK)
        return code;
    if (path != NULL && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        say("%s: cannot open: %s", path, strerror(errno));
        return EXIT_CODE_FAILURE;
    }
    code = cli_open(p->cli, OPEN_CREATE, &p->store);
    if (code == EXIT_CODE_OK)
        code = store_stream(p, fd);
    if (path != NULL)
        (void)close(fd);
    return code;
}

/* Running ---------------------------------------------------------------------------------------
 */

/* What only an entry that is streamed takes; lines have it themselves. */
static int refuse_without_stream(const struct cli *cli)
{
    static const enum option options[] = {OPTION_ID,        OPTION_KEY,           OPTION_REQUEST,
                                          OPTION_MODEL,     OPTION_TTL,           OPTION_CONTEXT,
                                          OPTION_EMBEDDING, OPTION_EMBEDDING_FILE};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (cli_has(cli, options[i]))
            return args_refuse(cli->args.command, "%s goes with --stream or --payload-file",
                               option_name(options[i]));
    }
    return EXIT_CODE_OK;
}

static int put_lines(struct putting *p)
{
    int code = refuse_without_stream(p->cli);

    if (code == EXIT_CODE_OK)
        code = cli_open(p->cli, OPEN_CREATE, &p->store);
    return code == EXIT_CODE_OK ? store_lines(p) : code;
}

int run_cache_put(struct cli *cli)
{
    struct putting p = {.cli = cli, .options = {.size = sizeof p.options}};
    int code = tenant_take(cli, &p.tenant);

    if (code == EXIT_CODE_OK && !ingest_take_ack(cli, &p.options.ack))
        code = EXIT_CODE_USAGE;
    if (code != EXIT_CODE_OK)
        return code;
    if (cli_has(cli, OPTION_IF_ABSENT))
        p.options.mode = MN_SEMCACHE_IF_ABSENT;
    lines_init(&p.lines, STDIN_FILENO);
    if (cli_has(cli, OPTION_STREAM) || cli_has(cli, OPTION_PAYLOAD_FILE))
        code = put_stream(&p);
    else
        code = put_lines(&p);
    lines_done(&p.lines);
    line_in_done(&p.in);
    batch_done(&p.batch);
    query_in_done(&p.embedding);
    return cli_close(cli, p.store, code);
}
