/*
 * commands_tables.h - the tables that all commands are in, and what their help has in common.
 */
#ifndef CLI_COMMANDS_TABLES_H
#define CLI_COMMANDS_TABLES_H

#include "commands.h"

/* Each ends with a command that has no name. */
extern const struct command cache_commands[];
extern const struct command store_commands[];

#define PEOPLE_OPTIONS (TAKES(OPTION_TABLE) | TAKES(OPTION_HUMAN))
#define PEOPLE_HELP                                                                                \
    "  --table           aligned columns for people\n"                                             \
    "  --human           the same, with numbers as people write them\n"

#endif
