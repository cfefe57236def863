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

enum { IMPORT_BATCH_RECORDS = 256 };

static const char *const ack_choices[] = {"none", "os", "disk", NULL};
static const mn_ack acks[] = {MN_ACK_NONE, MN_ACK_OS, MN_ACK_DISK};
static const char *const format_choices[] = {"flat", "put", NULL};

static bool take_ack(struct cli *cli, mn_ack *ack_out)
{
    int choice = -1;

    if (!args_choice(&cli->args, OPTION_ACK, ack_choices, -1, &choice))
        return false;
    *ack_out = choice < 0 ? MN_ACK_DEFAULT : acks[choice];
    return true;
}

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
    if (!take_ack(cli, &ingest.ack) ||
        !args_number(&cli->args, OPTION_BATCH, 1, MN_BATCH_RECORDS_MAX, UINT64_MAX,
                     &ingest.batch_records))
        return EXIT_CODE_USAGE;
    int code = ingest_run(&ingest);
    ingest_done(&ingest);
    return code;
}

/* Rows and vectors belong together by their position, so their numbers are compared before
 * anything is stored, where the rows can be read twice. */
static int compare_counts(struct ingest *ingest)
{
    struct mn_error err = {0};
    struct mn_slice line;
    uint64_t n_rows = 0;
    int fd = ingest->lines.fd;
    mn_status st;

    if (ingest->npy.fd < 0 || lseek(fd, 0, SEEK_CUR) != 0)
        return EXIT_CODE_OK;
    while ((st = lines_next(&ingest->lines, &line, &err)) == MN_OK)
        n_rows++;
    bool is_rewound = lseek(fd, 0, SEEK_SET) == 0;
    lines_done(&ingest->lines);
    lines_init(&ingest->lines, fd);
    if (st != MN_END || !is_rewound) {
        say("%s: %s", ingest->file_name, st == MN_END ? "cannot rewind" : status_text(st, &err));
        return EXIT_CODE_FAILURE;
    }
    if (n_rows != ingest->npy.n_rows) {
        say("%s has %llu rows, but %s has %llu", ingest->file_name, (unsigned long long)n_rows,
            ingest->npy_name, (unsigned long long)ingest->npy.n_rows);
        return EXIT_CODE_FAILURE;
    }
    return EXIT_CODE_OK;
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

int run_import(struct cli *cli)
{
    struct ingest ingest = INGEST_INIT;
    const char *rows_path = cli->args.values[OPTION_ROWS];
    int format;

    ingest.cli = cli;
    ingest.name = cli_word(cli, 0);
    ingest.what = "import";
    ingest.npy_name = cli->args.values[OPTION_VECTORS];
    ingest.id_field = cli_has(cli, OPTION_ID_FIELD) ? cli_value(cli, OPTION_ID_FIELD)
                                                    : mn_str("id");
    ingest.has_progress = true;
    if (rows_path == NULL)
        return args_refuse(cli->args.command, "--rows is missing");
    if (ingest.npy_name != NULL && strcmp(ingest.npy_name, "-") == 0)
        return args_refuse(cli->args.command, "--vectors takes a file, not standard input");
    if (!take_ack(cli, &ingest.ack) ||
        !args_choice(&cli->args, OPTION_FORMAT, format_choices, LINE_FORMAT_FLAT, &format) ||
        !args_number(&cli->args, OPTION_BATCH, 1, MN_BATCH_RECORDS_MAX, IMPORT_BATCH_RECORDS,
                     &ingest.batch_records))
        return EXIT_CODE_USAGE;
    ingest.format = (enum line_format)format;
    if (ingest.format == LINE_FORMAT_PUT && cli_has(cli, OPTION_ID_FIELD))
        return args_refuse(cli->args.command, "--id-field goes with --format flat only");

    bool is_stdin = strcmp(rows_path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(rows_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        say("%s: cannot open: %s", rows_path, strerror(errno));
        return EXIT_CODE_FAILURE;
    }
    ingest.file_name = rows_path;
    lines_init(&ingest.lines, fd);
    int code = import_rows(&ingest);
    ingest_done(&ingest);
    if (!is_stdin)
        (void)close(fd);
    return code;
}
