/*
 * main.c - the mneme command: from the command line to the exit code.
 *
 * Owns:    the run.
 * Threads: the main one; the library may have more.
 * Fails:   with an exit code of exit_codes.h and a message on stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "help.h"
#include "stop.h"
#include "talk.h"

/* A file of the store must never get the number of a standard stream that was closed. Whoever reads
 * or writes such a stream gets an error, as if it were still closed. */
static bool fill_standard_streams(void)
{
    static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", flags[fd]) != fd)
            return false;
    }
    return true;
}

static int find_store(struct cli *cli)
{
    static const char *const choices[] = {"tail", "strict", NULL};
    const struct args *args = &cli->args;
    int choice;

    cli->snapshot = args->values[OPTION_SNAPSHOT];
    if (cli->snapshot != NULL && !args->command->only_reads)
        return args_refuse(args->command, "this command does not read a snapshot");
    if (!args->command->opens_store)
        return EXIT_CODE_OK;
    cli->dir = args->values[OPTION_DIR];
    if (cli->dir == NULL)
        cli->dir = getenv("MNEME_DIR");
    if (cli->dir != NULL && cli->dir[0] == '\0')
        cli->dir = NULL;
    if (cli->dir == NULL && !(args->command->takes_pool && args->values[OPTION_FROM] != NULL))
        return args_refuse(args->command, "which store? Give -d DIR or set MNEME_DIR");
    if (!args_choice(args, OPTION_RECOVERY, choices, 0, &choice))
        return EXIT_CODE_USAGE;
    cli->recovery = choice == 0 ? MN_RECOVERY_TAIL : MN_RECOVERY_STRICT;
    return EXIT_CODE_OK;
}

static int run(struct cli *cli)
{
    if (cli->args.values[OPTION_HELP] != NULL) {
        help_print(cli);
        return cli_close(cli, NULL, EXIT_CODE_OK);
    }
    if (cli->args.values[OPTION_VERSION] != NULL) {
        (void)out_text(&cli->out, "mneme %s", mn_version());
        return cli_close(cli, NULL, EXIT_CODE_OK);
    }
    int code = find_store(cli);
    if (code == EXIT_CODE_OK)
        code = cli_check_names(cli);
    if (code == EXIT_CODE_OK)
        code = cli->args.command->run(cli);
    /* Some commands print after the store is closed. */
    return cli_close(cli, NULL, code);
}

int main(int argc, char **argv)
{
    struct cli cli = {0};

    if (!fill_standard_streams() || !stop_init()) {
        say("cannot start: %s", strerror(errno));
        return EXIT_CODE_FAILURE;
    }
    if (!args_parse(argc, argv, &cli.args))
        return EXIT_CODE_USAGE;
    int code = run(&cli);
    out_done(&cli.out);
    return code;
}
