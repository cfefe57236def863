/*
 * cmd_namespace.c - create, drop, namespaces, exists, dimension, count.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "numbers.h"
#include "stop.h"
#include "talk.h"

static int create(struct cli *cli, mn_store *store, uint32_t dimension)
{
    struct mn_namespace_settings settings = {.size = sizeof settings, .dimension = dimension};
    struct mn_error err = {0};

    mn_status st = mn_namespace_create(store, cli_word(cli, 0), &settings, &err);
    bool was_created = st == MN_OK;
    /* One that exists must agree with what is asked for. */
    if (st == MN_EXISTS)
        st = mn_namespace_ensure(store, cli_word(cli, 0), &settings, &err);
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    (void)out_bool(&cli->out, "created", was_created);
    return EXIT_CODE_OK;
}

int run_create(struct cli *cli)
{
    mn_store *store = NULL;
    uint64_t dimension;

    if (!args_number(&cli->args, OPTION_DIMENSION, 1, MN_DIMENSIONS_MAX, 0, &dimension))
        return EXIT_CODE_USAGE;
    int code = cli_open(cli, OPEN_CREATE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    return cli_close(cli, store, create(cli, store, (uint32_t)dimension));
}

int run_drop(struct cli *cli)
{
    mn_store *store = NULL;
    struct mn_error err = {0};
    bool existed = false;

    int code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_namespace_drop(store, cli_word(cli, 0), &existed, &err);
    if (st != MN_OK && st != MN_NOT_FOUND) {
        code = cli_say_status(cli, st, &err);
    } else {
        existed = existed && st == MN_OK;
        (void)out_bool(&cli->out, "dropped", existed);
        code = existed ? EXIT_CODE_OK : say_no_namespace(cli_word(cli, 0));
    }
    return cli_close(cli, store, code);
}

static bool print_namespace(struct cli *cli, const struct mn_namespace_info *info)
{
    if (cli_is_for_people(cli)) {
        char name[QUOTED_BYTES];
        char dimension[NUMBER_TEXT_BYTES];
        char count[NUMBER_TEXT_BYTES];
        bool is_human = cli_has(cli, OPTION_HUMAN);
        (void)number_text(info->dimension, is_human, dimension);
        return out_text(&cli->out, "%10s  %14s  %s", info->dimension == 0 ? "-" : dimension,
                        number_text(info->n_records, is_human, count), quoted(info->name, name));
    }
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "namespace");
    mni_json_write_string(w, info->name);
    mni_json_write_key(w, "dimension");
    if (info->dimension == 0)
        mni_json_write_null(w);
    else
        mni_json_write_u64(w, info->dimension);
    mni_json_write_key(w, "count");
    mni_json_write_u64(w, info->n_records);
    return out_end(&cli->out);
}

int run_namespaces(struct cli *cli)
{
    mn_store *store = NULL;
    mn_namespace_iter *iter = NULL;
    struct mn_namespace_info info;
    struct mn_error err = {0};

    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli_is_for_people(cli))
        (void)out_heading(&cli->out, "%10s  %14s  %s", "DIMENSION", "RECORDS", "NAMESPACE");
    mn_status st = mn_namespace_iter_open(store, (struct mn_slice){0}, &iter, &err);
    while (st == MN_OK) {
        st = mn_namespace_iter_next(iter, &info, &err);
        if (st == MN_OK && !print_namespace(cli, &info))
            break;
    }
    if (st != MN_OK && st != MN_END)
        code = cli_say_status(cli, st, &err);
    mn_namespace_iter_close(iter);
    return cli_close(cli, store, code);
}

int run_exists(struct cli *cli)
{
    mn_store *store = NULL;
    struct mn_error err = {0};
    bool exists = false;
    mn_status st;

    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli->args.n_words == 1)
        st = mn_namespace_exists(store, cli_word(cli, 0), &exists, &err);
    else
        st = mn_exists(store, cli_word(cli, 0), cli_word(cli, 1), &exists, &err);
    if (st == MN_OK || st == MN_NOT_FOUND) {
        (void)out_bool(&cli->out, "exists", exists);
        code = exists ? EXIT_CODE_OK : EXIT_CODE_NOT_FOUND;
    } else {
        code = cli_say_status(cli, st, &err);
    }
    return cli_close(cli, store, code);
}

int run_dimension(struct cli *cli)
{
    mn_store *store = NULL;
    struct mn_error err = {0};
    uint32_t dimension = 0;

    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_dimension(store, cli_word(cli, 0), &dimension, &err);
    if (st == MN_NOT_FOUND) {
        code = say_no_namespace(cli_word(cli, 0));
    } else if (st != MN_OK) {
        code = cli_say_status(cli, st, &err);
    } else {
        struct mni_json_writer *w = out_begin(&cli->out);
        mni_json_write_key(w, "dimension");
        if (dimension == 0)
            mni_json_write_null(w);
        else
            mni_json_write_u64(w, dimension);
        (void)out_end(&cli->out);
    }
    return cli_close(cli, store, code);
}

static void print_count(struct cli *cli, uint64_t n_records)
{
    if (cli_is_for_people(cli)) {
        char count[NUMBER_TEXT_BYTES];
        if (cli_has(cli, OPTION_TABLE))
            (void)out_heading(&cli->out, "%14s", "RECORDS");
        (void)out_text(&cli->out, cli_has(cli, OPTION_TABLE) ? "%14s" : "%s records",
                       number_text(n_records, cli_has(cli, OPTION_HUMAN), count));
        return;
    }
    (void)out_number(&cli->out, "count", n_records);
}

int run_count(struct cli *cli)
{
    mn_store *store = NULL;
    struct mn_error err = {0};
    uint64_t n_records = 0;

    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_count(store, cli_word(cli, 0), &n_records, &err);
    if (st == MN_NOT_FOUND)
        code = say_no_namespace(cli_word(cli, 0));
    else if (st != MN_OK)
        code = cli_say_status(cli, st, &err);
    else
        print_count(cli, n_records);
    return cli_close(cli, store, code);
}
