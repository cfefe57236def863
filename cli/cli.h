/*
 * cli.h - what all commands share.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "args.h"
#include "mneme/mneme.h"
#include "out.h"

/* One run of the command. */
struct cli {
    struct args args;
    struct out out;
    const char *dir;      /* of the store; borrowed from argv or the environment */
    const char *snapshot; /* id of the one that is read instead, or NULL; likewise */
    mn_recovery recovery;
};

enum open_mode {
    OPEN_READ,   /* writes nothing; refused beside a writer */
    OPEN_WRITE,  /* the store must exist */
    OPEN_CREATE, /* made where the directory is missing or empty */
};

/* Opens the store. EXIT_CODE_OK sets `store_out`; another code comes with its message said. */
int cli_open(struct cli *cli, enum open_mode mode, mn_store **store_out);

/* Closes the store, flushes stdout and returns the exit code: `code`, or the first failure of
 * these. NULL is fine. */
int cli_close(struct cli *cli, mn_store *store, int code);

/* The i-th word after the command. */
static inline struct mn_slice cli_word(const struct cli *cli, int word_index)
{
    return mn_str(cli->args.words[word_index]);
}

static inline bool cli_has(const struct cli *cli, enum option option)
{
    return cli->args.values[option] != NULL;
}

/* An option's value, empty where it is absent. */
static inline struct mn_slice cli_value(const struct cli *cli, enum option option)
{
    return cli_has(cli, option) ? mn_str(cli->args.values[option]) : (struct mn_slice){0};
}

/* Whether people rather than programs are to read stdout. */
static inline bool cli_is_for_people(const struct cli *cli)
{
    return cli_has(cli, OPTION_TABLE) || cli_has(cli, OPTION_HUMAN);
}

/* Of two codes the one to exit with: the first that is not 0, and damage above "not found". */
int worse_code(int first, int second);

/* Says what a failed call answered, and of which store where it is not about an argument. Returns
 * the exit code for it. */
int cli_say_status(const struct cli *cli, mn_status status, const struct mn_error *err);

/* Checks the name of a namespace and the ids that were given as words, or by --id, before any store
 * is looked for or made. Returns an exit code; what is wrong was said. */
int cli_check_names(const struct cli *cli);

/* Takes the word, a number of 64 bits, which `what` calls as the usage does. Says what is wrong and
 * returns an exit code. */
int cli_take_u64(const struct cli *cli, int word_index, const char *what, uint64_t *number_out);

/* Says that there is no such namespace, or no such record in it. Returns EXIT_CODE_NOT_FOUND. */
int say_no_namespace(struct mn_slice name);
int say_no_record(struct mn_slice name, struct mn_slice id);

/* Says what cannot be read, the first few times; `*n_damaged` counts. `id` may be empty. */
void say_damaged(const struct cli *cli, struct mn_slice id, const struct mn_error *err,
                 uint64_t *n_damaged);

/* The exit code of a command that went on behind so many damages. */
int damaged_code(uint64_t n_damaged);

#endif
