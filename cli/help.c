/*
 * help.c - what --help prints.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   when stdout does.
 */
#include "help.h"

#include <string.h>

#include "commands.h"

static void print_example(struct cli *cli, const char *example)
{
    (void)out_text(&cli->out, "\nExample:\n  %s", example);
}

static void print_commands(struct cli *cli, const char *group)
{
    const struct command *command;
    size_t n = group == NULL ? 0 : strlen(group);

    for (int i = 0; (command = command_at(i)) != NULL; i++) {
        if (group == NULL || (strncmp(command->name, group, n) == 0 && command->name[n] == ' '))
            (void)out_text(&cli->out, "  %-17s  %s", command->name, command->about);
    }
}

static void print_command(struct cli *cli, const struct command *command)
{
    (void)out_text(&cli->out, "usage: mneme %s%s%s%s\n\n%s: %s\n",
                   command->opens_store ? "[-d DIR] " : "", command->name,
                   command->usage[0] == '\0' ? "" : " ", command->usage, command->name,
                   command->about);
    (void)out_raw(&cli->out, command->help, strlen(command->help));
    print_example(cli, command->example);
}

/* That of the group's first command which says most. */
static void print_group_example(struct cli *cli, const char *group)
{
    static const char *const second[][2] = {
        {"wal", "stats"}, {"temporal", "put"}, {"cache", "put"}, {NULL, "list"}};
    int i = 0;

    while (second[i][0] != NULL && strcmp(group, second[i][0]) != 0)
        i++;
    const struct command *command = command_find(group, second[i][1]);
    if (command != NULL)
        print_example(cli, command->example);
}

static void print_all(struct cli *cli)
{
    (void)out_text(&cli->out,
                   "usage: mneme [-d DIR] [--recovery tail|strict] [--] COMMAND ...\n\n"
                   "Mneme keeps vectors, metadata and payloads of AI agents, durably.\n\n"
                   "Commands:");
    print_commands(cli, NULL);
    (void)out_text(
        &cli->out,
        "\nOptions:\n"
        "  -d DIR            directory of the store; else the environment's MNEME_DIR\n"
        "  --snapshot ID     commands that only read, read this snapshot of the store\n"
        "  --recovery MODE   tail (default): a torn tail of the log is cut, other damage\n"
        "                    refuses; strict: any damage refuses\n"
        "  --help            this; after a command, help for the command\n"
        "  --version         print the version\n"
        "  --                no option follows; ids may then begin with a dash\n\n"
        "Data goes to standard output as JSON Lines, everything else to standard error.\n"
        "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 damaged, 5 store in use,\n"
        "130 stopped by Ctrl-C.");
    print_example(cli, "echo '{\"id\":\"n1\",\"vector\":[0.5,-1]}' | mneme -d memory put notes\n"
                       "  mneme -d memory get notes n1");
}

void help_print(struct cli *cli)
{
    const struct args *args = &cli->args;

    if (args->command != NULL) {
        print_command(cli, args->command);
    } else if (args->group != NULL) {
        (void)out_text(&cli->out, "usage: mneme [-d DIR] %s COMMAND ...\n\nCommands:", args->group);
        print_commands(cli, args->group);
        (void)out_text(&cli->out, "\nSee mneme %s COMMAND --help.", args->group);
        print_group_example(cli, args->group);
    } else {
        print_all(cli);
    }
}
