/*
 * cli.c - what all commands share: opening and closing the store, exit codes.
 *
 * Owns:    nothing; the store belongs to the command that opened it.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include "cli.h"

#include "base/check.h"
#include "exit_codes.h"
#include "stop.h"
#include "talk.h"

int worse_code(int first, int second)
{
    if (first == EXIT_CODE_OK || (first == EXIT_CODE_NOT_FOUND && second == EXIT_CODE_DAMAGED))
        return second;
    return first;
}

int say_no_namespace(struct mn_slice name)
{
    char text[QUOTED_BYTES];

    say("no namespace %s", quoted(name, text));
    return EXIT_CODE_NOT_FOUND;
}

int cli_open(struct cli *cli, enum open_mode mode, mn_store **store_out)
{
    struct mn_options options = {
        .size = sizeof options,
        .create = mode == OPEN_CREATE,
        .read_only = mode == OPEN_READ,
        .no_background = mode == OPEN_READ,
        .recovery = cli->recovery,
    };
    struct mn_error err = {0};

    MNI_CHECK(cli->dir != NULL);
    if (mode != OPEN_READ)
        stop_gently();
    mn_status st = mn_open(cli->dir, &options, store_out, &err);
    if (st == MN_OK && stop_asked()) {
        say("stopped");
        return cli_close(cli, *store_out, EXIT_CODE_STOPPED);
    }
    if (st == MN_OK)
        return EXIT_CODE_OK;
    if (st == MN_ERR_NO_STORE && err.message[0] == '\0') {
        say("no store in %s", cli->dir);
        return EXIT_CODE_NOT_FOUND;
    }
    return say_status(st, &err);
}

int cli_close(struct cli *cli, mn_store *store, int code)
{
    struct mn_error err = {0};

    progress_clear();
    (void)out_flush(&cli->out);
    mn_status st = mn_close(store, &err);
    if (st != MN_OK)
        code = worse_code(code, say_status(st, &err));
    if (cli->out.has_failed && !cli->out.is_closed)
        code = worse_code(code, EXIT_CODE_FAILURE);
    return code;
}
