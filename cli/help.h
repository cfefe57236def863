/*
 * help.h - what --help prints.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli.h"

/* Help for the command, the group of commands or, where neither is given, for all. */
void help_print(struct cli *cli);

#endif
