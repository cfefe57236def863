/*
 * cli.c - what all commands share: opening and closing the store, exit codes.
 *
 * Owns:    nothing; the store belongs to the command that opened it.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/utf8.h"
#include "exit_codes.h"
#include "stop.h"
#include "talk.h"
#include "json/json.h"

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

int say_no_record(struct mn_slice name, struct mn_slice id)
{
    char id_text[QUOTED_BYTES];
    char name_text[QUOTED_BYTES];

    say("no record %s in %s", quoted(id, id_text), quoted(name, name_text));
    return EXIT_CODE_NOT_FOUND;
}

/* Whether the message tells of the directory `dir` already. */
static bool names_dir(const char *message, const char *dir)
{
    static const char *const leads[] = {"in ", "directory "};
    size_t n = strlen(dir);

    if (strncmp(message, dir, n) == 0 && (message[n] == ' ' || message[n] == ':'))
        return true;
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        size_t lead_bytes = strlen(leads[i]);
        for (const char *p = message; (p = strstr(p, leads[i])) != NULL; p++) {
            const char *word = p + lead_bytes;
            if (strncmp(word, dir, n) == 0 && (word[n] == '\0' || word[n] == ' ' || word[n] == ':'))
                return true;
        }
    }
    return false;
}

int cli_say_status(const struct cli *cli, mn_status status, const struct mn_error *err)
{
    const char *text = status_text(status, err);
    bool is_about_argument = status == MN_ERR_INVALID || status == MN_ERR_LIMIT ||
                             status == MN_ERR_DIMENSION || status == MN_ERR_NOMEM;

    if (is_about_argument || cli->dir == NULL || names_dir(text, cli->dir))
        say("%s", text);
    else
        say("%s: %s", cli->dir, text);
    return exit_code_of(status);
}

enum { DAMAGES_SAID_MAX = 20 };

void say_damaged(const struct cli *cli, struct mn_slice id, const struct mn_error *err,
                 uint64_t *n_damaged)
{
    char text[QUOTED_BYTES];

    if (++*n_damaged > DAMAGES_SAID_MAX)
        return;
    if (id.n_bytes > 0)
        say("%s: record %s: %s", cli->dir, quoted(id, text), status_text(MN_ERR_CORRUPT, err));
    else
        (void)cli_say_status(cli, MN_ERR_CORRUPT, err);
}

int damaged_code(uint64_t n_damaged)
{
    if (n_damaged > DAMAGES_SAID_MAX)
        say("%llu more could not be read", (unsigned long long)(n_damaged - DAMAGES_SAID_MAX));
    return n_damaged > 0 ? EXIT_CODE_DAMAGED : EXIT_CODE_OK;
}

int cli_take_u64(const struct cli *cli, int word_index, const char *what, uint64_t *number_out)
{
    const char *text = cli->args.words[word_index];

    if (mni_json_parse_u64(mn_str(text), number_out))
        return EXIT_CODE_OK;
    return args_refuse(cli->args.command, "%s is a number from 0 to %" PRIu64 ", not \"%s\"", what,
                       UINT64_MAX, text);
}

/* Says what is wrong with a name or an id, which `what` calls it. */
static int check_name(struct mn_slice name, size_t n_max, const char *what)
{
    size_t n_valid = mni_utf8_valid_prefix(name.data, name.n_bytes);

    if (name.n_bytes == 0)
        say("%s is empty", what);
    else if (name.n_bytes > n_max)
        say("%s has %zu bytes, the limit is %zu", what, name.n_bytes, n_max);
    else if (n_valid != name.n_bytes)
        say("%s is not UTF-8 at byte %zu", what, n_valid);
    else
        return EXIT_CODE_OK;
    return EXIT_CODE_FAILURE;
}

int cli_check_names(const struct cli *cli)
{
    int n_ids = cli->args.n_words - 1;
    char what[64] = "id";

    if (!cli->args.command->takes_names)
        return EXIT_CODE_OK;
    MNI_CHECK(n_ids >= 0);
    int code = check_name(cli_word(cli, 0), MN_NAMESPACE_BYTES_MAX, "name of the namespace");
    if (code == EXIT_CODE_OK && n_ids == 1 && cli_word(cli, 1).n_bytes == 0) {
        say("%s: the argument ID is empty", cli->args.command->name);
        return EXIT_CODE_FAILURE;
    }
    for (int i = 1; i <= n_ids && code == EXIT_CODE_OK; i++) {
        if (n_ids > 1)
            (void)snprintf(what, sizeof what, "id %d of %d", i, n_ids);
        code = check_name(cli_word(cli, i), MN_ID_BYTES_MAX, what);
    }
    if (code == EXIT_CODE_OK && cli_has(cli, OPTION_ID))
        code = check_name(cli_value(cli, OPTION_ID), MN_ID_BYTES_MAX, "id");
    return code;
}

/* Whether the directory in which `dir` is to be made is missing too. Then says so. */
static bool parent_is_missing(const char *dir)
{
    size_t n = strlen(dir);
    struct stat info;

    while (n > 0 && dir[n - 1] == '/')
        n--;
    while (n > 0 && dir[n - 1] != '/')
        n--;
    while (n > 1 && dir[n - 1] == '/')
        n--;
    char *parent = n == 0 ? NULL : strndup(dir, n);
    bool is_missing = parent != NULL && stat(parent, &info) != 0 && errno == ENOENT;
    if (is_missing)
        say("%s: the directory %s is missing", dir, parent);
    free(parent);
    return is_missing;
}

int cli_open(struct cli *cli, enum open_mode mode, mn_store **store_out)
{
    struct mn_options options = {
        .size = sizeof options,
        .create = mode == OPEN_CREATE,
        .read_only = mode == OPEN_READ,
        .no_background = mode == OPEN_READ,
        .recovery = cli->recovery,
        .snapshot_id = cli->snapshot,
    };
    struct mn_error err = {0};

    MNI_CHECK(cli->dir != NULL);
    MNI_CHECK(cli->snapshot == NULL || mode == OPEN_READ);
    if (mode != OPEN_READ)
        stop_gently();
    mn_status st = mn_open(cli->dir, &options, store_out, &err);
    if (st == MN_OK && stop_asked()) {
        say("stopped");
        return cli_close(cli, *store_out, EXIT_CODE_STOPPED);
    }
    if (st == MN_OK)
        return EXIT_CODE_OK;
    if (st == MN_ERR_INVALID && cli->snapshot != NULL)
        return args_refuse(cli->args.command, "%s", err.message);
    if (st == MN_ERR_NO_STORE && mode == OPEN_CREATE && parent_is_missing(cli->dir))
        return EXIT_CODE_NOT_FOUND;
    return cli_say_status(cli, st, &err);
}

int cli_close(struct cli *cli, mn_store *store, int code)
{
    struct mn_error err = {0};

    progress_clear();
    (void)out_flush(&cli->out);
    mn_status st = mn_close(store, &err);
    if (st != MN_OK)
        code = worse_code(code, cli_say_status(cli, st, &err));
    if (cli->out.has_failed && !cli->out.is_closed)
        code = worse_code(code, EXIT_CODE_FAILURE);
    return code;
}
