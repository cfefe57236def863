/*
 * cmd_store.c - checkpoint, flush, stats, verify, config.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "numbers.h"
#include "stop.h"
#include "talk.h"

/* A line of numbers, for programs or for people. */
struct figure {
    const char *key;
    enum { FIGURE_NUMBER, FIGURE_BYTES, FIGURE_BOOL } kind;
    uint64_t value;
};

static void print_figures(struct cli *cli, const struct figure *figures, size_t n_figures)
{
    bool is_human = cli_has(cli, OPTION_HUMAN);
    char text[NUMBER_TEXT_BYTES];

    if (cli_is_for_people(cli)) {
        for (size_t i = 0; i < n_figures; i++) {
            const struct figure *f = &figures[i];
            const char *value = f->kind == FIGURE_BOOL ? (f->value != 0 ? "yes" : "no")
                                : is_human && f->kind == FIGURE_BYTES
                                    ? bytes_text(f->value, text)
                                    : number_text(f->value, is_human, text);
            (void)out_text(&cli->out, "%-28s  %16s", f->key, value);
        }
        return;
    }
    struct mni_json_writer *w = out_begin(&cli->out);
    for (size_t i = 0; i < n_figures; i++) {
        mni_json_write_key(w, figures[i].key);
        if (figures[i].kind == FIGURE_BOOL)
            mni_json_write_bool(w, figures[i].value != 0);
        else
            mni_json_write_u64(w, figures[i].value);
    }
    (void)out_end(&cli->out);
}

/* Opens the store for reading and takes its numbers. */
static int read_stats(struct cli *cli, struct mn_stats *stats_out)
{
    mn_store *store = NULL;
    struct mn_error err = {0};

    *stats_out = (struct mn_stats){.size = sizeof *stats_out};
    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_stats(store, stats_out, &err);
    return cli_close(cli, store, st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err));
}

int run_stats(struct cli *cli)
{
    struct mn_stats s;

    int code = read_stats(cli, &s);
    if (code != EXIT_CODE_OK)
        return code;
    const struct figure figures[] = {
        {"current_lsn", FIGURE_NUMBER, s.current_lsn},
        {"durable_lsn", FIGURE_NUMBER, s.durable_lsn},
        {"checkpoint_lsn", FIGURE_NUMBER, s.checkpoint_lsn},
        {"namespaces", FIGURE_NUMBER, s.n_namespaces},
        {"spaces", FIGURE_NUMBER, s.n_spaces},
        {"records", FIGURE_NUMBER, s.n_records},
        {"expired", FIGURE_NUMBER, s.n_expired},
        {"memory_bytes", FIGURE_BYTES, s.memory_bytes},
        {"pinned_bytes", FIGURE_BYTES, s.pinned_bytes},
        {"wal_files", FIGURE_NUMBER, s.wal_files},
        {"wal_current_file_bytes", FIGURE_BYTES, s.wal_current_file_bytes},
        {"wal_current_file_records", FIGURE_NUMBER, s.wal_current_file_records},
        {"wal_records_since_checkpoint", FIGURE_NUMBER, s.wal_records_since_checkpoint},
        {"wal_syncs", FIGURE_NUMBER, s.wal_syncs},
        {"wal_groups", FIGURE_NUMBER, s.wal_groups},
        {"wal_commits", FIGURE_NUMBER, s.wal_commits},
        {"wal_bytes_written", FIGURE_BYTES, s.wal_bytes_written},
        {"wal_direct_io", FIGURE_BOOL, s.wal_direct_io},
        {"is_poisoned", FIGURE_BOOL, s.is_poisoned},
        {"segments", FIGURE_NUMBER, s.n_segments},
        {"runs", FIGURE_NUMBER, s.n_runs},
        {"segment_bytes", FIGURE_BYTES, s.segment_bytes},
        {"segment_rows", FIGURE_NUMBER, s.segment_rows},
        {"segment_dead_rows", FIGURE_NUMBER, s.segment_dead_rows},
        {"manifest_number", FIGURE_NUMBER, s.manifest_number},
        {"pinned_bytes_max", FIGURE_BYTES, s.pinned_bytes_max},
        {"memory_bytes_max", FIGURE_BYTES, s.memory_bytes_max},
        {"memory_buffer_bytes", FIGURE_BYTES, s.memory_buffer_bytes},
        {"memory_segment_bytes", FIGURE_BYTES, s.memory_segment_bytes},
        {"memory_log_bytes", FIGURE_BYTES, s.memory_log_bytes},
        {"memory_work_bytes", FIGURE_BYTES, s.memory_work_bytes},
    };
    print_figures(cli, figures, sizeof figures / sizeof figures[0]);
    return EXIT_CODE_OK;
}

int run_wal_stats(struct cli *cli)
{
    struct mn_stats s;

    int code = read_stats(cli, &s);
    if (code != EXIT_CODE_OK)
        return code;
    const struct figure figures[] = {
        {"current_lsn", FIGURE_NUMBER, s.current_lsn},
        {"checkpoint_lsn", FIGURE_NUMBER, s.checkpoint_lsn},
        {"files", FIGURE_NUMBER, s.wal_files},
        {"current_file_bytes", FIGURE_BYTES, s.wal_current_file_bytes},
        {"current_file_records", FIGURE_NUMBER, s.wal_current_file_records},
        {"records_since_checkpoint", FIGURE_NUMBER, s.wal_records_since_checkpoint},
    };
    print_figures(cli, figures, sizeof figures / sizeof figures[0]);
    return EXIT_CODE_OK;
}

static int acknowledge(struct cli *cli, mn_store *store, const char *key, uint64_t value,
                       mn_status st, const struct mn_error *err)
{
    const struct figure figure = {key, FIGURE_NUMBER, value};
    int code = EXIT_CODE_OK;

    progress_clear();
    if (st != MN_OK) {
        code = cli_say_status(cli, st, err);
    } else {
        print_figures(cli, &figure, 1);
        (void)out_flush(&cli->out);
    }
    return cli_close(cli, store, code);
}

int run_flush(struct cli *cli)
{
    struct mn_stats stats = {.size = sizeof stats};
    mn_store *store = NULL;
    struct mn_error err = {0};

    int code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_flush(store, &err);
    if (st == MN_OK)
        st = mn_stats(store, &stats, &err);
    return acknowledge(cli, store, "durable_lsn", stats.durable_lsn, st, &err);
}

/* Cutting a checkpoint off does no harm, so nobody has to wait for its end. */
int run_checkpoint(struct cli *cli)
{
    struct mn_stats stats = {.size = sizeof stats};
    mn_store *store = NULL;
    struct mn_error err = {0};

    int code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    progress_say("checkpoint: writing segments");
    stop_at_once();
    mn_status st = mn_checkpoint(store, &err);
    stop_gently();
    if (st == MN_OK)
        st = mn_stats(store, &stats, &err);
    return acknowledge(cli, store, "checkpoint_lsn", stats.checkpoint_lsn, st, &err);
}

static void print_report(struct cli *cli, const struct mn_verify_report *report, bool is_damaged)
{
    const struct figure figures[] = {
        {"damaged", FIGURE_BOOL, is_damaged},
        {"files", FIGURE_NUMBER, report->n_files},
        {"bytes", FIGURE_BYTES, report->n_bytes},
        {"commits", FIGURE_NUMBER, report->n_commits},
        {"records", FIGURE_NUMBER, report->n_records},
        {"last_lsn", FIGURE_NUMBER, report->last_lsn},
        {"torn_tail_bytes", FIGURE_BYTES, report->torn_tail_bytes},
        {"damaged_files", FIGURE_NUMBER, report->n_damaged_files},
        {"segments", FIGURE_NUMBER, report->n_segments},
        {"segment_rows", FIGURE_NUMBER, report->n_segment_rows},
    };
    print_figures(cli, figures, sizeof figures / sizeof figures[0]);
}

static mn_status show_verified(void *context, uint64_t n_bytes_done, uint64_t n_bytes_total,
                               const struct mn_error *damage)
{
    progress_show(n_bytes_total != 0 ? "verify: KiB of segments" : "verify: KiB of the log",
                  n_bytes_done / 1024, n_bytes_total / 1024);
    if (damage != NULL)
        (void)cli_say_status(context, damage->status, damage);
    return MN_OK;
}

int run_verify(struct cli *cli)
{
    struct mn_verify_report report = {.size = sizeof report};
    struct mn_error err = {0};

    mn_status st = mn_verify_each(cli->dir, show_verified, cli, &report, &err);
    progress_clear();
    if (st != MN_OK && st != MN_ERR_CORRUPT)
        return cli_say_status(cli, st, &err);
    int code = st == MN_OK ? EXIT_CODE_OK : EXIT_CODE_DAMAGED;
    if (st == MN_OK && cli->recovery == MN_RECOVERY_STRICT && report.torn_tail_bytes > 0) {
        (void)snprintf(err.message, sizeof err.message, "the log ends in a torn tail of %llu bytes",
                       (unsigned long long)report.torn_tail_bytes);
        code = cli_say_status(cli, MN_ERR_CORRUPT, &err);
    }
    print_report(cli, &report, code != EXIT_CODE_OK);
    return cli_close(cli, NULL, code);
}

/* Settings --------------------------------------------------------------------------------------
 */

static mn_status print_setting(struct cli *cli, mn_store *store, const char *key,
                               struct mn_error *err)
{
    char value[1024];

    mn_status st = mn_config_get(store, key, value, sizeof value, err);
    if (st != MN_OK)
        return st;
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "key");
    mni_json_write_string(w, mn_str(key));
    mni_json_write_key(w, "value");
    bool is_number = value[0] != '\0' && strspn(value, "0123456789") == strlen(value) &&
                     (value[0] != '0' || value[1] == '\0');
    if (is_number)
        mni_json_write_raw(w, mn_str(value));
    else
        mni_json_write_string(w, mn_str(value));
    (void)out_end(&cli->out);
    return MN_OK;
}

static int setting_code(struct cli *cli, mn_status st, const struct mn_error *err)
{
    char text[QUOTED_BYTES];

    if (st == MN_NOT_FOUND) {
        say("no setting %s; see mneme config list", quoted(cli_word(cli, 0), text));
        return EXIT_CODE_NOT_FOUND;
    }
    return st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, err);
}

int run_config_get(struct cli *cli)
{
    mn_store *store = NULL;
    struct mn_error err = {0};

    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = print_setting(cli, store, cli->args.words[0], &err);
    return cli_close(cli, store, setting_code(cli, st, &err));
}

int run_config_set(struct cli *cli)
{
    mn_store *store = NULL;
    struct mn_error err = {0};

    int code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_config_set(store, cli->args.words[0], cli->args.words[1], &err);
    if (st == MN_OK)
        st = print_setting(cli, store, cli->args.words[0], &err);
    return cli_close(cli, store, setting_code(cli, st, &err));
}

int run_config_list(struct cli *cli)
{
    mn_store *store = NULL;
    struct mn_error err = {0};
    mn_status st = MN_OK;
    const char *key;

    int code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    for (size_t i = 0; st == MN_OK && (key = mn_config_key(i)) != NULL; i++)
        st = print_setting(cli, store, key, &err);
    return cli_close(cli, store, st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err));
}
