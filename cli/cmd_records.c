/*
 * cmd_records.c - export, get, delete, list.
 *
 * Owns:    views, until they are printed.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "npy_out.h"
#include "record_out.h"
#include "stop.h"
#include "talk.h"

static bool take_vectors(struct cli *cli, enum vectors *vectors_out)
{
    int choice;

    if (!args_choice(&cli->args, OPTION_VECTORS, vectors_choices, VECTORS_JSON, &choice))
        return false;
    *vectors_out = (enum vectors)choice;
    return true;
}

static int out_of_memory(void)
{
    say("out of memory");
    return EXIT_CODE_FAILURE;
}

/* Walking ---------------------------------------------------------------------------------------
 */

struct walk;

/* Prints one record; false ends the walk. */
typedef bool print_fn(struct cli *cli, const struct mn_view *view, struct walk *walk);

struct walk {
    print_fn *print;
    enum vectors vectors;
    struct npy_out npy; /* VECTORS_IN_FILE */
    uint64_t limit;
    struct mn_iter_options options;
    uint64_t n_expected; /* for the progress line; 0: not known */
    bool has_progress;
    bool is_whole; /* result: all that can be read was printed */
};

static int walk(struct cli *cli, mn_store *store, struct walk *walk)
{
    struct mn_error err = {0};
    struct mn_view view = {0};
    mn_iter *iter = NULL;
    uint64_t n_printed = 0;
    uint64_t n_damaged = 0;
    bool is_fine = true;

    mn_status st = mn_iter_open(store, cli_word(cli, 0), &walk->options, &iter, &err);
    if (st == MN_NOT_FOUND)
        return say_no_namespace(cli_word(cli, 0));
    while (st == MN_OK && n_printed < walk->limit) {
        st = mn_iter_next(iter, &view, &err);
        if (st == MN_ERR_CORRUPT) { /* what lies behind it may be read */
            say_damaged(cli, (struct mn_slice){0}, &err, &n_damaged);
            st = MN_OK;
            continue;
        }
        if (st != MN_OK)
            break;
        is_fine = walk->print(cli, &view, walk);
        mn_view_release(&view);
        if (!is_fine)
            break;
        n_printed++;
        if (walk->has_progress)
            progress_show("export", n_printed, walk->n_expected);
    }
    mn_iter_close(iter);
    int code = damaged_code(n_damaged);
    bool is_over = st == MN_OK || st == MN_END;
    walk->is_whole = is_over && is_fine;
    return is_over ? code : worse_code(code, cli_say_status(cli, st, &err));
}

static bool take_walk_options(struct cli *cli, struct walk *walk)
{
    walk->options.size = sizeof walk->options;
    walk->options.after = cli_value(cli, OPTION_AFTER);
    walk->options.prefix = cli_value(cli, OPTION_PREFIX);
    walk->options.until = cli_value(cli, OPTION_UNTIL);
    walk->options.reverse = cli->args.values[OPTION_REVERSE] != NULL;
    return args_number(&cli->args, OPTION_LIMIT, 0, UINT64_MAX, UINT64_MAX, &walk->limit);
}

/* Exporting -------------------------------------------------------------------------------------
 */

static int say_file(const struct cli *cli, mn_status status, const struct mn_error *err)
{
    say("%s: %s", cli->args.values[OPTION_VECTORS_FILE], status_text(status, err));
    return EXIT_CODE_FAILURE;
}

static bool print_line(struct cli *cli, const struct mn_view *view, struct walk *walk)
{
    struct mn_error err = {0};
    uint64_t row_index = walk->npy.n_rows;
    mn_status st = MN_OK;

    if (walk->vectors == VECTORS_IN_FILE && view->n_dims > 0)
        st = npy_out_row(&walk->npy, view->vector, view->n_dims, &err);
    if (st != MN_OK) {
        (void)say_file(cli, st, &err);
        return false;
    }
    return record_out_line(&cli->out, view, walk->vectors, row_index);
}

/* Exports with the vectors in a file of their own. It appears when all lines were handed over, so
 * that lines and vectors always belong together. */
static int export_with_file(struct cli *cli, mn_store *store, struct walk *export)
{
    const char *path = cli->args.values[OPTION_VECTORS_FILE];
    struct mn_error err = {0};
    char not_written[2048];
    uint32_t n_dims = 0;

    mn_status st = mn_dimension(store, cli_word(cli, 0), &n_dims, &err);
    if (st == MN_NOT_FOUND)
        return say_no_namespace(cli_word(cli, 0));
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    if (whole_file_is_below(path, cli->dir)) {
        say("%s: is in the directory of the store", path);
        return EXIT_CODE_FAILURE;
    }
    (void)snprintf(not_written, sizeof not_written, "%.2000s is not written", path);
    stop_says(not_written);
    st = npy_out_begin(&export->npy, path, n_dims, &err);
    if (st != MN_OK)
        return say_file(cli, st, &err);
    int code = walk(cli, store, export);
    if (!export->is_whole || !out_flush(&cli->out)) {
        npy_out_abandon(&export->npy);
        return worse_code(code, EXIT_CODE_FAILURE);
    }
    progress_clear();
    st = npy_out_commit(&export->npy, &err);
    return st == MN_OK ? code : worse_code(say_file(cli, st, &err), code);
}

static bool take_export_options(struct cli *cli, struct walk *export)
{
    const char *path = cli->args.values[OPTION_VECTORS_FILE];

    if (!take_walk_options(cli, export) || !take_vectors(cli, &export->vectors))
        return false;
    if (path == NULL)
        return true;
    if (cli_has(cli, OPTION_VECTORS)) {
        (void)args_refuse(cli->args.command, "--vectors and --vectors-file exclude each other");
        return false;
    }
    if (path[0] == '\0' || strcmp(path, "-") == 0) {
        (void)args_refuse(cli->args.command, "--vectors-file takes a file, not standard output");
        return false;
    }
    export->vectors = VECTORS_IN_FILE;
    return true;
}

int run_export(struct cli *cli)
{
    struct walk export = {.print = print_line};
    mn_store *store = NULL;
    uint64_t n_records = 0;

    if (!take_export_options(cli, &export))
        return EXIT_CODE_USAGE;
    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    /* Lines on the same terminal tell the progress themselves. */
    export.has_progress = isatty(STDOUT_FILENO) == 0;
    if (export.options.after.n_bytes == 0 && export.options.until.n_bytes == 0 &&
        mn_count(store, cli_word(cli, 0), &n_records, NULL) == MN_OK)
        export.n_expected = n_records < export.limit ? n_records : export.limit;
    code = export.vectors == VECTORS_IN_FILE ? export_with_file(cli, store, &export)
                                             : walk(cli, store, &export);
    return cli_close(cli, store, code);
}

static bool print_id(struct cli *cli, const struct mn_view *view, struct walk *walk)
{
    char text[QUOTED_BYTES];

    (void)walk;
    if (cli_is_for_people(cli))
        return out_text(&cli->out, "%s", quoted(view->id, text));
    record_out_id(out_begin(&cli->out), view->id);
    return out_end(&cli->out);
}

int run_list(struct cli *cli)
{
    struct walk list = {.print = print_id};
    mn_store *store = NULL;

    if (!take_walk_options(cli, &list))
        return EXIT_CODE_USAGE;
    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli_is_for_people(cli))
        (void)out_heading(&cli->out, "ID");
    return cli_close(cli, store, walk(cli, store, &list));
}

/* By id -----------------------------------------------------------------------------------------
 */

/* The ids on the command line. NULL: out of memory. Free with mni_free. */
static struct mn_slice *new_ids(const struct cli *cli, size_t n_ids)
{
    struct mn_slice *ids = mni_alloc_array(n_ids, sizeof *ids);

    for (size_t i = 0; ids != NULL && i < n_ids; i++)
        ids[i] = cli_word(cli, (int)i + 1);
    return ids;
}

/* One by one, so that what is damaged keeps nothing else back. Readers keep writers out, so all are
 * of one moment. */
static int get_each(struct cli *cli, mn_store *store, const struct mn_slice *ids, size_t n_ids,
                    enum vectors vectors)
{
    struct mn_error err = {0};
    struct mn_view view = {0};
    uint64_t n_damaged = 0;
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < n_ids; i++) {
        mn_status st = mn_get(store, cli_word(cli, 0), ids[i], &view, &err);
        if (st == MN_OK)
            (void)record_out_line(&cli->out, &view, vectors, 0);
        else if (st == MN_NOT_FOUND)
            code = worse_code(code, say_no_record(cli_word(cli, 0), ids[i]));
        else if (st == MN_ERR_CORRUPT)
            say_damaged(cli, ids[i], &err, &n_damaged);
        else
            return cli_say_status(cli, st, &err);
        mn_view_release(&view);
    }
    return worse_code(code, damaged_code(n_damaged));
}

static int get(struct cli *cli, mn_store *store, const struct mn_slice *ids, struct mn_view *views,
               size_t n_ids, enum vectors vectors)
{
    struct mn_error err = {0};
    int code = EXIT_CODE_OK;

    mn_status st = mn_get_batch(store, cli_word(cli, 0), ids, n_ids, views, NULL, &err);
    if (st == MN_NOT_FOUND)
        return say_no_namespace(cli_word(cli, 0));
    if (st == MN_ERR_CORRUPT)
        return get_each(cli, store, ids, n_ids, vectors);
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    for (size_t i = 0; i < n_ids; i++) {
        if (views[i].pin == NULL)
            code = say_no_record(cli_word(cli, 0), ids[i]);
        else
            (void)record_out_line(&cli->out, &views[i], vectors, 0);
        mn_view_release(&views[i]);
    }
    return code;
}

int run_get(struct cli *cli)
{
    size_t n_ids = (size_t)cli->args.n_words - 1;
    enum vectors vectors;
    mn_store *store = NULL;

    if (!take_vectors(cli, &vectors))
        return EXIT_CODE_USAGE;
    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    struct mn_slice *ids = new_ids(cli, n_ids);
    struct mn_view *views = mni_alloc_zero(n_ids * sizeof *views);
    if (ids == NULL || views == NULL)
        code = out_of_memory();
    else
        code = get(cli, store, ids, views, n_ids, vectors);
    mni_free(ids);
    mni_free(views);
    return cli_close(cli, store, code);
}

static int delete_ids(struct cli *cli, mn_store *store, const struct mn_slice *ids, bool *existed,
                      size_t n_ids)
{
    struct mn_error err = {0};
    uint64_t n_deleted = 0;
    uint64_t lsn = 0;
    int code = EXIT_CODE_OK;

    mn_status st =
        mn_delete_batch(store, cli_word(cli, 0), ids, n_ids, NULL, existed, &n_deleted, &lsn, &err);
    if (st != MN_OK && st != MN_NOT_FOUND)
        return cli_say_status(cli, st, &err);
    (void)out_deleted(&cli->out, n_deleted, lsn);
    bool has_namespace = false;
    st = mn_namespace_exists(store, cli_word(cli, 0), &has_namespace, &err);
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    if (!has_namespace)
        return say_no_namespace(cli_word(cli, 0));
    for (size_t i = 0; i < n_ids; i++) {
        if (!existed[i])
            code = say_no_record(cli_word(cli, 0), ids[i]);
    }
    return code;
}

int run_delete(struct cli *cli)
{
    size_t n_ids = (size_t)cli->args.n_words - 1;
    mn_store *store = NULL;

    int code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    struct mn_slice *ids = new_ids(cli, n_ids);
    bool *existed = mni_alloc_zero(n_ids * sizeof *existed);
    if (ids == NULL || existed == NULL)
        code = out_of_memory();
    else
        code = delete_ids(cli, store, ids, existed, n_ids);
    mni_free(ids);
    mni_free(existed);
    return cli_close(cli, store, code);
}
