/*
 * cmd_completion.c - completion: prints what a shell sources to complete this command's words.
 *
 * Owns:    nothing; the scripts are in the executable.
 * Threads: the main one.
 * Fails:   for a shell it does not know.
 */
#include <stddef.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "completion_scripts.h"
#include "exit_codes.h"

int run_completion(struct cli *cli)
{
    const char *shell = cli->args.words[0];

    for (size_t i = 0; i < sizeof completion_scripts / sizeof completion_scripts[0]; i++) {
        if (strcmp(shell, completion_scripts[i].shell) != 0)
            continue;
        for (const char *const *line = completion_scripts[i].lines; *line != NULL; line++)
            (void)out_text(&cli->out, "%s", *line);
        return cli_close(cli, NULL, EXIT_CODE_OK);
    }
    return args_refuse(cli->args.command, "\"%s\" is none of bash, zsh, fish", shell);
}
