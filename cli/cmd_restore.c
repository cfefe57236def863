/*
 * cmd_restore.c - snapshot restore.
 *
 * Owns:    the names that it took apart.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <string.h>

#include "base/mem.h"
#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "snapshot_out.h"
#include "stop.h"
#include "talk.h"
#include "times.h"

/* Takes "A:B" apart into `room`, which is as long as the text; a backslash takes what is behind it
 * as it is. `second` is empty without a colon. False: there are two colons. */
static bool split_names(const char *text, char *room, struct mn_slice *first,
                        struct mn_slice *second)
{
    char *begin = room;
    char *at = room;
    bool has_second = false;

    for (; *text != '\0'; text++) {
        if (*text == ':') {
            if (has_second)
                return false;
            *first = (struct mn_slice){begin, (size_t)(at - begin)};
            begin = at;
            has_second = true;
            continue;
        }
        if (*text == '\\' && text[1] != '\0')
            text++;
        *at++ = *text;
    }
    *(has_second ? second : first) = (struct mn_slice){begin, (size_t)(at - begin)};
    return !has_second || second->n_bytes > 0;
}

static void print_report(struct cli *cli, const struct mn_restore_report *report, bool is_dry_run)
{
    struct mni_json_writer *w = out_begin(&cli->out);

    mni_json_write_key(w, "snapshot_id");
    mni_json_write_string(w, mn_str(report->snapshot_id));
    mni_json_write_key(w, "namespaces_restored");
    mni_json_write_u64(w, report->n_namespaces);
    mni_json_write_key(w, "records_restored");
    mni_json_write_u64(w, report->n_records);
    if (report->has_no_metadata) {
        mni_json_write_key(w, "without_metadata");
        mni_json_write_bool(w, true);
    }
    if (is_dry_run) {
        mni_json_write_key(w, "dry_run");
        mni_json_write_bool(w, true);
    }
    (void)out_end(&cli->out);
}

static int restore(struct cli *cli, const struct mn_restore_options *options)
{
    bool is_moment = options->at_lsn != 0 || options->at_time_us != 0;
    const char *id = is_moment ? NULL : cli->args.words[0];
    struct mn_restore_report report = {.size = sizeof report};
    mn_snapshots *pool = NULL;
    struct mn_error err = {0};

    int code = pool_open_for(cli, id != NULL ? id : "to begin with", &pool);
    if (code != EXIT_CODE_OK)
        return code;
    stop_gently();
    mn_status st = mn_snapshot_restore(pool, id, options, &report, &err);
    mn_snapshots_close(pool);
    progress_clear();
    if (st != MN_OK)
        return pool_say_status(cli, id, st, &err);
    if (report.has_no_metadata)
        say("the snapshot was made without metadata: no record of it has metadata or a payload");
    print_report(cli, &report, options->dry_run);
    return EXIT_CODE_OK;
}

/* --at-lsn and --at-time. False: what is wrong was said. */
static bool take_moment(struct cli *cli, struct mn_restore_options *options)
{
    const struct command *command = cli->args.command;
    const char *time = cli->args.values[OPTION_AT_TIME];
    bool has_lsn = cli_has(cli, OPTION_AT_LSN);

    options->archive = cli->args.values[OPTION_ARCHIVE];
    if (!has_lsn && time == NULL) {
        if (cli->args.n_words == 0)
            (void)args_refuse(command, "which snapshot? Give its id, or --at-lsn or --at-time");
        else if (options->archive != NULL)
            (void)args_refuse(command, "--archive is for --at-lsn and --at-time");
        else
            return true;
        return false;
    }
    if (cli->args.n_words > 0 || (has_lsn && time != NULL)) {
        (void)args_refuse(command, "an id, --at-lsn and --at-time exclude each other");
        return false;
    }
    if (cli_has(cli, OPTION_REPLACE) || cli_has(cli, OPTION_NAMESPACE) ||
        cli_has(cli, OPTION_DRY_RUN)) {
        (void)args_refuse(command, "a moment is restored as a whole, --into a new store");
        return false;
    }
    if (time != NULL && (!time_parse(time, &options->at_time_us) || options->at_time_us == 0)) {
        (void)args_refuse(command, "--at-time is \"%.60s\"; a time looks like 2026-11-21T08:30:00Z",
                          time);
        return false;
    }
    return args_number(&cli->args, OPTION_AT_LSN, 1, UINT64_MAX, 0, &options->at_lsn);
}

int run_snapshot_restore(struct cli *cli)
{
    static char what[] = "restore: KiB";
    const struct command *command = cli->args.command;
    const char *names = cli->args.values[OPTION_NAMESPACE];
    bool replaces = cli_has(cli, OPTION_REPLACE);
    struct mn_restore_options options = {
        .size = sizeof options,
        .into = cli->args.values[OPTION_INTO],
        .replace = replaces ? cli->dir : NULL,
        .dry_run = cli_has(cli, OPTION_DRY_RUN),
        .progress = snapshot_progress,
        .context = what,
    };

    if (!take_moment(cli, &options))
        return EXIT_CODE_USAGE;
    if ((options.into != NULL) == replaces)
        return args_refuse(command, "either --into DIR or --replace says where to");
    if (replaces && cli->dir == NULL)
        return args_refuse(command, "which store is to be replaced? Give -d DIR");
    if (names == NULL)
        return restore(cli, &options);
    char *room = mni_alloc(strlen(names) + 1);
    if (room == NULL)
        return cli_say_status(cli, MN_ERR_NOMEM, NULL);
    int code = split_names(names, room, &options.name, &options.rename) && options.name.n_bytes > 0
                   ? restore(cli, &options)
                   : args_refuse(command, "--namespace takes a name, or two with a colon between");
    mni_free(room);
    return code;
}
