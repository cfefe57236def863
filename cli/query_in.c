/*
 * query_in.c - the vector that a search begins with.
 *
 * Owns:    the vector.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include "query_in.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "exit_codes.h"
#include "npy.h"
#include "seconds.h"
#include "talk.h"
#include "json/json.h"

/* More than the one level of an array of numbers, so that a deeper one is not called too deep. */
enum { VECTOR_DEPTH_MAX = 8 };

void query_in_done(struct query_in *query)
{
    mni_free(query->vector);
    *query = (struct query_in){0};
}

static bool reserve(struct query_in *query, size_t n_dims)
{
    query->vector = mni_alloc_array(n_dims, sizeof *query->vector);
    if (query->vector == NULL)
        say("out of memory");
    return query->vector != NULL;
}

/* Nothing is near to a vector with NaN or infinity. `whose` begins the sentence. */
static int check_finite(const struct query_in *query, const char *whose)
{
    for (uint32_t i = 0; i < query->n_dims; i++) {
        if (!isfinite(query->vector[i])) {
            say("%s: element %u, counted from 0, is %s; a search takes finite numbers", whose,
                (unsigned)i, isnan(query->vector[i]) ? "NaN" : "infinite");
            return EXIT_CODE_FAILURE;
        }
    }
    return EXIT_CODE_OK;
}

static int take_json(const struct cli *cli, enum option option, struct query_in *query)
{
    const struct command *command = cli->args.command;
    const char *name = option_name(option);
    struct mni_json_scanner scanner;
    enum mni_json_type type;
    struct mn_error err = {0};
    size_t n_dims = 0;

    if (!reserve(query, MN_DIMENSIONS_MAX))
        return EXIT_CODE_FAILURE;
    mni_json_scanner_init(&scanner, cli_value(cli, option), VECTOR_DEPTH_MAX, &err);
    mn_status st = mni_json_peek(&scanner, &type);
    if (st == MN_OK && type != MNI_JSON_ARRAY)
        return args_refuse(command, "%s takes an array of numbers, such as [0.5,-1]", name);
    if (st == MN_OK)
        st = mni_json_read_floats(&scanner, query->vector, MN_DIMENSIONS_MAX, &n_dims);
    if (st == MN_OK)
        st = mni_json_finish(&scanner);
    if (st == MN_ERR_LIMIT)
        return args_refuse(command, "%s has more than %d dimensions", name, MN_DIMENSIONS_MAX);
    if (st != MN_OK)
        return args_refuse(command, "%s: %s", name, status_text(st, &err));
    if (n_dims == 0)
        return args_refuse(command, "%s is empty", name);
    query->n_dims = (uint32_t)n_dims;
    return EXIT_CODE_OK;
}

/* Reads a row of the open file at `path`. */
static int take_row(const char *path, struct npy *npy, uint64_t row_index, struct query_in *query)
{
    struct mn_error err = {0};
    char whose[4096];

    if (row_index >= npy->n_rows) {
        say("%s: there is no row %llu; it has %llu, counted from 0", path,
            (unsigned long long)row_index, (unsigned long long)npy->n_rows);
        return EXIT_CODE_FAILURE;
    }
    if (!reserve(query, npy->n_dims))
        return EXIT_CODE_FAILURE;
    mn_status st = npy_read_row(npy, row_index, query->vector, &err);
    if (st != MN_OK) {
        say("%s: %s", path, status_text(st, &err));
        return EXIT_CODE_FAILURE;
    }
    query->n_dims = npy->n_dims;
    (void)snprintf(whose, sizeof whose, "%.4000s: row %llu", path, (unsigned long long)row_index);
    return check_finite(query, whose);
}

/* The number of the row stands behind the last colon. */
static int take_file(const struct cli *cli, enum option option, struct query_in *query)
{
    const char *text = cli->args.values[option];
    const char *colon = strrchr(text, ':');
    struct npy npy = {.fd = -1};
    struct mn_error err = {0};
    uint64_t row_index = 0;

    if (colon == NULL || colon == text || !mni_json_parse_u64(mn_str(colon + 1), &row_index))
        return args_refuse(cli->args.command,
                           "%s takes F.npy:ROW, the row counted from 0, not \"%s\"",
                           option_name(option), text);
    size_t n_bytes = (size_t)(colon - text);
    char *path = mni_alloc(n_bytes + 1);
    if (path == NULL) {
        say("out of memory");
        return EXIT_CODE_FAILURE;
    }
    memcpy(path, text, n_bytes);
    path[n_bytes] = '\0';
    int code = EXIT_CODE_FAILURE;
    mn_status st = npy_open(path, &npy, &err);
    if (st == MN_OK)
        code = take_row(path, &npy, row_index, query);
    else
        say("%s: %s", path, status_text(st, &err));
    npy_close(&npy);
    mni_free(path);
    return code;
}

int query_in_take(const struct cli *cli, struct query_in *query)
{
    int n_given =
        cli_has(cli, OPTION_VECTOR) + cli_has(cli, OPTION_VECTOR_FILE) + cli_has(cli, OPTION_ID);
    bool takes_id = (cli->args.command->options & TAKES(OPTION_ID)) != 0;

    if (n_given == 0)
        return args_refuse(cli->args.command, "which vector? Give --vector%s",
                           takes_id ? ", --vector-file or --id" : " or --vector-file");
    if (n_given > 1)
        return args_refuse(cli->args.command, "--vector%s exclude each other",
                           takes_id ? ", --vector-file and --id" : " and --vector-file");
    if (cli_has(cli, OPTION_VECTOR))
        return take_json(cli, OPTION_VECTOR, query);
    return cli_has(cli, OPTION_VECTOR_FILE) ? take_file(cli, OPTION_VECTOR_FILE, query)
                                            : EXIT_CODE_OK;
}

int query_in_take_embedding(const struct cli *cli, struct query_in *query)
{
    if (cli_has(cli, OPTION_EMBEDDING) && cli_has(cli, OPTION_EMBEDDING_FILE))
        return args_refuse(cli->args.command,
                           "--embedding and --embedding-file exclude each other");
    if (cli_has(cli, OPTION_EMBEDDING))
        return take_json(cli, OPTION_EMBEDDING, query);
    return cli_has(cli, OPTION_EMBEDDING_FILE) ? take_file(cli, OPTION_EMBEDDING_FILE, query)
                                               : EXIT_CODE_OK;
}

int query_in_take_timeout(const struct cli *cli, int64_t *timeout_us_out)
{
    const char *text = cli->args.values[OPTION_TIMEOUT];
    double seconds;

    *timeout_us_out = 0;
    if (text == NULL)
        return EXIT_CODE_OK;
    if (!mni_json_parse_double(mn_str(text), &seconds) || !(seconds > 0) ||
        !seconds_parse(mn_str(text), timeout_us_out))
        return args_refuse(cli->args.command,
                           "--timeout takes seconds, more than 0, as 2 or 0.5, not \"%s\"", text);
    if (*timeout_us_out == 0)
        *timeout_us_out = 1; /* 0 is none */
    return EXIT_CODE_OK;
}

int query_in_say_timeout(const struct cli *cli)
{
    say("the search did not end within %s seconds", cli->args.values[OPTION_TIMEOUT]);
    return EXIT_CODE_FAILURE;
}

static int copy_vector(const struct mn_view *view, struct query_in *query)
{
    char text[QUOTED_BYTES];
    char whose[QUOTED_BYTES + 64];

    (void)snprintf(whose, sizeof whose, "record %s", quoted(view->id, text));
    if (view->n_dims == 0) {
        say("%s has no vector", whose);
        return EXIT_CODE_FAILURE;
    }
    if (!reserve(query, view->n_dims))
        return EXIT_CODE_FAILURE;
    memcpy(query->vector, view->vector, view->n_dims * sizeof *query->vector);
    query->n_dims = view->n_dims;
    return check_finite(query, whose);
}

int query_in_take_record(const struct cli *cli, mn_store *store, struct query_in *query)
{
    struct mn_slice name = cli_word(cli, 0);
    struct mn_slice id = cli_value(cli, OPTION_ID);
    struct mn_view view = {0};
    struct mn_error err = {0};
    bool has_namespace = false;

    mn_status st = mn_namespace_exists(store, name, &has_namespace, &err);
    if (st == MN_OK && !has_namespace)
        return say_no_namespace(name);
    if (st == MN_OK)
        st = mn_get(store, name, id, &view, &err);
    if (st == MN_NOT_FOUND)
        return say_no_record(name, id);
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    int code = copy_vector(&view, query);
    mn_view_release(&view);
    return code;
}
