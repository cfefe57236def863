/*
 * snapshot_out.c - snapshots: finding their pool, and printing them.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include "snapshot_out.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "exit_codes.h"
#include "numbers.h"
#include "stop.h"
#include "talk.h"

/* Pools ---------- */

int pool_open(struct cli *cli, mn_snapshots **pool_out)
{
    const char *from = cli->args.values[OPTION_FROM];
    struct mn_error err = {0};

    *pool_out = NULL;
    mn_status st = from != NULL ? mn_snapshots_open(from, pool_out, &err)
                                : mn_snapshots_open_of(cli->dir, pool_out, &err);
    if (st == MN_OK || (st == MN_NOT_FOUND && from == NULL))
        return EXIT_CODE_OK;
    if (from != NULL) { /* the message names the directory */
        say("%s", status_text(st, &err));
        return exit_code_of(st);
    }
    return cli_say_status(cli, st, &err);
}

int pool_open_for(struct cli *cli, const char *id, mn_snapshots **pool_out)
{
    int code = pool_open(cli, pool_out);

    if (code == EXIT_CODE_OK && *pool_out == NULL) {
        say("no snapshot %s: the store has none", id);
        code = EXIT_CODE_NOT_FOUND;
    }
    return code;
}

/* Whether it can be an id: 32 hexadecimal digits, as they are printed. */
static bool is_id(const char *text)
{
    size_t n = strlen(text);

    return n == MN_SNAPSHOT_ID_BYTES - 1 && strspn(text, "0123456789abcdef") == n;
}

int pool_say_status(struct cli *cli, const char *id, mn_status status, const struct mn_error *err)
{
    char text[QUOTED_BYTES];

    progress_clear();
    if (status == MN_NOT_FOUND && (id == NULL || cli_has(cli, OPTION_NAMESPACE))) {
        say("%s", status_text(status, err));
        return EXIT_CODE_NOT_FOUND;
    }
    if (status == MN_NOT_FOUND) {
        say("no snapshot %s", quoted(mn_str(id), text));
        return EXIT_CODE_NOT_FOUND;
    }
    if (status == MN_ERR_CANCELLED) {
        say("stopped");
        return EXIT_CODE_STOPPED;
    }
    if (status == MN_ERR_INVALID && id != NULL && id[0] != '\0' && !is_id(id))
        return args_refuse(cli->args.command, "%s", err->message);
    say("%s", status_text(status, err));
    return exit_code_of(status);
}

mn_status snapshot_progress(void *context, uint64_t n_bytes_done, uint64_t n_bytes_total)
{
    progress_show(context, n_bytes_done / 1024, n_bytes_total / 1024);
    return stop_asked() ? MN_ERR_CANCELLED : MN_OK;
}

/* Printing ---------- */

enum { TIME_TEXT_BYTES = 48 };

/* "2024-05-01T12:00:00.123456Z"; empty beyond the years that have such a text. */
static const char *time_text(int64_t us, char text[TIME_TEXT_BYTES])
{
    int64_t rest = us % 1000000;
    time_t seconds = (time_t)(us / 1000000 - (rest < 0));
    struct tm parts;

    text[0] = '\0';
    if (gmtime_r(&seconds, &parts) == NULL || parts.tm_year + 1900 < 0 ||
        parts.tm_year + 1900 > 9999)
        return text;
    (void)snprintf(text, TIME_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
                   parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                   parts.tm_min, parts.tm_sec, (int)(rest < 0 ? rest + 1000000 : rest));
    return text;
}

static void write_text(struct mni_json_writer *w, const char *key, const char *text)
{
    mni_json_write_key(w, key);
    if (text[0] != '\0')
        mni_json_write_string(w, mn_str(text));
    else
        mni_json_write_null(w);
}

static void write_number(struct mni_json_writer *w, const char *key, uint64_t number)
{
    mni_json_write_key(w, key);
    mni_json_write_u64(w, number);
}

static mn_status write_namespaces(struct mni_json_writer *w, const mn_snapshot *snapshot,
                                  struct mn_error *err)
{
    struct mn_snapshot_namespace ns;
    mn_status st = MN_OK;

    mni_json_write_key(w, "namespaces");
    mni_json_write_array_begin(w);
    for (uint64_t i = 0; (st = mn_snapshot_get_namespace(snapshot, i, &ns, err)) == MN_OK; i++) {
        mni_json_write_object_begin(w);
        mni_json_write_key(w, "namespace");
        mni_json_write_string(w, ns.name);
        mni_json_write_key(w, "dimension");
        if (ns.dimension == 0)
            mni_json_write_null(w);
        else
            mni_json_write_u64(w, ns.dimension);
        write_number(w, "count", ns.n_records);
        mni_json_write_object_end(w);
    }
    mni_json_write_array_end(w);
    return st == MN_END ? MN_OK : st;
}

static mn_status print_line(struct cli *cli, const mn_snapshot *snapshot,
                            const struct mn_snapshot_info *info, struct mn_error *err)
{
    char text[TIME_TEXT_BYTES];
    struct mni_json_writer *w = out_begin(&cli->out);

    write_text(w, "id", info->id);
    write_text(w, "type", info->is_incremental ? "incremental" : "full");
    write_text(w, "parent_id", info->parent_id);
    write_text(w, "created_at", time_text(info->created_at_us, text));
    mni_json_write_key(w, "description");
    mni_json_write_string(w, info->description);
    write_number(w, "lsn", info->lsn);
    write_text(w, "lsn_time", time_text(info->lsn_time_us, text));
    write_number(w, "records", info->n_records);
    mn_status st = write_namespaces(w, snapshot, err);
    write_number(w, "files", info->n_files);
    write_number(w, "bytes", info->n_bytes);
    write_number(w, "own_bytes", info->own_bytes);
    write_number(w, "shared_bytes", info->shared_bytes);
    write_number(w, "stored_bytes", info->stored_bytes);
    mni_json_write_key(w, "compressed");
    mni_json_write_bool(w, info->is_compressed);
    if (info->is_compressed && info->stored_bytes > 0) {
        mni_json_write_key(w, "compression_ratio");
        mni_json_write_double(w, (double)(info->n_bytes * 100 / info->stored_bytes) / 100);
    }
    mni_json_write_key(w, "without_metadata");
    mni_json_write_bool(w, info->has_no_metadata);
    write_number(w, "format_version", info->format_version);
    write_text(w, "digest", info->digest);
    write_text(w, "store_id", info->store_id);
    (void)out_end(&cli->out);
    return st;
}

void snapshot_print_heading(struct cli *cli)
{
    if (cli_is_for_people(cli))
        (void)out_heading(&cli->out, "%-32s  %-20s  %-11s  %14s  %16s  %16s  %s", "ID", "CREATED",
                          "TYPE", "RECORDS", "BYTES", "OWN BYTES", "DESCRIPTION");
}

mn_status snapshot_print(struct cli *cli, const mn_snapshot *snapshot, struct mn_error *err)
{
    struct mn_snapshot_info info = {.size = sizeof info};
    char numbers[3][NUMBER_TEXT_BYTES];
    char description[QUOTED_BYTES];
    char time[TIME_TEXT_BYTES];
    bool is_human = cli_has(cli, OPTION_HUMAN);

    mn_status st = mn_snapshot_get_info(snapshot, &info, err);
    if (st != MN_OK || !cli_is_for_people(cli))
        return st == MN_OK ? print_line(cli, snapshot, &info, err) : st;
    (void)time_text(info.created_at_us, time);
    if (strlen(time) > 20)
        (void)snprintf(time + 19, 2, "Z");
    (void)out_text(&cli->out, "%-32s  %-20s  %-11s  %14s  %16s  %16s  %s%s%s", info.id, time,
                   info.is_incremental ? "incremental" : "full",
                   number_text(info.n_records, is_human, numbers[0]),
                   is_human ? bytes_text(info.n_bytes, numbers[1])
                            : number_text(info.n_bytes, false, numbers[1]),
                   is_human ? bytes_text(info.own_bytes, numbers[2])
                            : number_text(info.own_bytes, false, numbers[2]),
                   info.has_no_metadata ? "(without metadata)" : "",
                   info.has_no_metadata && info.description.n_bytes > 0 ? " " : "",
                   info.description.n_bytes > 0 ? quoted(info.description, description) : "");
    return MN_OK;
}
