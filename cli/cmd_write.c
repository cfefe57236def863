/*
 * cmd_write.c - put and import.
 *
 * Owns:    the file of rows being imported.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "exit_codes.h"
#include "ingest.h"
#include "stop.h"
#include "talk.h"

/* Without --batch. Large records make smaller batches, so that memory has a bound and a commit has
 * room for them. */
enum { IMPORT_BATCH_RECORDS = 256, IMPORT_BATCH_BYTES = 16 << 20 };

static const char *const format_choices[] = {"flat", "put", NULL};

int run_put(struct cli *cli)
{
    struct ingest ingest = INGEST_INIT;

    ingest.cli = cli;
    ingest.name = cli_word(cli, 0);
    ingest.what = "put";
    ingest.file_name = "-";
    ingest.format = LINE_FORMAT_PUT;
    ingest.has_progress = isatty(STDIN_FILENO) == 0;
    lines_init(&ingest.lines, STDIN_FILENO);
    if (!ingest_take_ack(cli, &ingest.ack) ||
        !args_number(&cli->args, OPTION_BATCH, 1, MN_BATCH_RECORDS_MAX, UINT64_MAX,
                     &ingest.batch_records))
        return EXIT_CODE_USAGE;
    int code = ingest_run(&ingest);
    ingest_done(&ingest);
    return code;
}

/* Reads all lines for what they say about rows of the .npy file; says what is wrong. */
static int count_rows(struct ingest *ingest, uint64_t *n_rows_out)
{
    struct mn_error err = {0};
    struct mn_slice line;
    bool takes_row = true;
    mn_status st;

    *n_rows_out = 0;
    while ((st = lines_next(&ingest->lines, &line, &err)) == MN_OK) {
        if (ingest->format == LINE_FORMAT_PUT)
            st = record_in_row(&ingest->in, line, &err);
        if (st == MN_OK)
            st = ingest_takes_row(ingest, *n_rows_out, &takes_row, &err);
        if (st != MN_OK) {
            say("%s:%llu: %s", ingest->file_name, (unsigned long long)ingest->lines.line_number,
                status_text(st, &err));
            return EXIT_CODE_FAILURE;
        }
        ingest->n_lines_total++;
        *n_rows_out += takes_row;
    }
    if (st == MN_END && lseek(ingest->lines.fd, 0, SEEK_SET) == 0)
        return EXIT_CODE_OK;
    say("%s: %s", ingest->file_name, st == MN_END ? "cannot rewind" : status_text(st, &err));
    return EXIT_CODE_FAILURE;
}

/* Rows and vectors belong together by their position, so they are compared before anything is
 * stored, where the rows can be read twice. */
static int compare_counts(struct ingest *ingest)
{
    uint64_t n_rows;
    int fd = ingest->lines.fd;

    if (ingest->npy.fd < 0 || lseek(fd, 0, SEEK_CUR) != 0)
        return EXIT_CODE_OK;
    int code = count_rows(ingest, &n_rows);
    lines_done(&ingest->lines);
    lines_init(&ingest->lines, fd);
    if (code == EXIT_CODE_OK && n_rows != ingest->npy.n_rows)
        code = ingest_refuse_counts(ingest, ingest->n_lines_total, n_rows);
    return code;
}

static int import_rows(struct ingest *ingest)
{
    struct mn_error err = {0};

    if (ingest->npy_name != NULL) {
        mn_status st = npy_open(ingest->npy_name, &ingest->npy, &err);
        if (st != MN_OK) {
            say("%s: %s", ingest->npy_name, status_text(st, &err));
            return EXIT_CODE_FAILURE;
        }
    }
    int code = compare_counts(ingest);
    return code == EXIT_CODE_OK ? ingest_run(ingest) : code;
}

/* The file of vectors, and the format of the lines that goes with it. */
static int take_import_options(struct cli *cli, struct ingest *ingest)
{
    bool is_exported = cli_has(cli, OPTION_VECTORS_FILE);
    enum option option = is_exported ? OPTION_VECTORS_FILE : OPTION_VECTORS;
    int format;

    if (is_exported && cli_has(cli, OPTION_VECTORS))
        return args_refuse(cli->args.command, "--vectors and --vectors-file are the same");
    ingest->npy_name = cli->args.values[option];
    if (ingest->npy_name != NULL && strcmp(ingest->npy_name, "-") == 0)
        return args_refuse(cli->args.command, "%s takes a file, not standard input",
                           option_name(option));
    if (!ingest_take_ack(cli, &ingest->ack) ||
        !args_choice(&cli->args, OPTION_FORMAT, format_choices,
                     is_exported ? LINE_FORMAT_PUT : LINE_FORMAT_FLAT, &format) ||
        !args_number(&cli->args, OPTION_BATCH, 1, MN_BATCH_RECORDS_MAX, IMPORT_BATCH_RECORDS,
                     &ingest->batch_records))
        return EXIT_CODE_USAGE;
    if (!cli_has(cli, OPTION_BATCH))
        ingest->batch_bytes = IMPORT_BATCH_BYTES;
    ingest->format = (enum line_format)format;
    if (ingest->format == LINE_FORMAT_PUT && cli_has(cli, OPTION_ID_FIELD))
        return args_refuse(cli->args.command, "--id-field goes with --format flat only");
    return EXIT_CODE_OK;
}

int run_import(struct cli *cli)
{
    struct ingest ingest = INGEST_INIT;
    const char *rows_path = cli->args.values[OPTION_ROWS];

    ingest.cli = cli;
    ingest.name = cli_word(cli, 0);
    ingest.what = "import";
    ingest.id_field = cli_has(cli, OPTION_ID_FIELD) ? cli_value(cli, OPTION_ID_FIELD)
                                                    : mn_str("id");
    ingest.has_progress = true;
    if (rows_path == NULL)
        return args_refuse(cli->args.command, "--rows is missing");
    int code = take_import_options(cli, &ingest);
    if (code != EXIT_CODE_OK)
        return code;

    bool is_stdin = strcmp(rows_path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(rows_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        say("%s: cannot open: %s", rows_path, strerror(errno));
        return EXIT_CODE_FAILURE;
    }
    ingest.file_name = rows_path;
    lines_init(&ingest.lines, fd);
    code = import_rows(&ingest);
    ingest_done(&ingest);
    if (!is_stdin)
        (void)close(fd);
    return code;
}
