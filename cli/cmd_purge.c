/*
 * cmd_purge.c - purge: records, or a namespace, out of every file.
 *
 * Owns:    nothing.
 * Threads: one.
 * Fails:   exit codes as in mneme(1).
 */
#include "base/mem.h"
#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "stop.h"
#include "talk.h"

enum { SNAPSHOTS_MAX = 4096, LOGS_MAX = 4096 }; /* that are named */

static void print_receipt(struct cli *cli, const struct mn_purge_receipt *receipt)
{
    const struct {
        const char *key;
        uint64_t value;
    } figures[] = {
        {"purged", receipt->n_records},
        {"lsn", receipt->lsn},
        {"log_files_removed", receipt->n_log_files},
        {"runs_rewritten", receipt->n_runs},
        {"files_pending", receipt->n_pinned},
    };
    struct mni_json_writer *w = out_begin(&cli->out);

    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        mni_json_write_key(w, figures[i].key);
        mni_json_write_u64(w, figures[i].value);
    }
    mni_json_write_key(w, "snapshots");
    mni_json_write_array_begin(w);
    for (uint64_t i = 0; i < receipt->n_snapshots && i < receipt->snapshot_ids_max; i++)
        mni_json_write_string(w, mn_str(receipt->snapshot_ids[i]));
    mni_json_write_array_end(w);
    mni_json_write_key(w, "archived_logs");
    mni_json_write_array_begin(w);
    for (uint64_t i = 0; i < receipt->n_archived_logs && i < receipt->archived_logs_max; i++)
        mni_json_write_string(w, mn_str(receipt->archived_logs[i]));
    mni_json_write_array_end(w);
    (void)out_end(&cli->out);
}

/* The list ends before all are named. */
static void say_more(const char *what, uint64_t n, uint64_t n_named)
{
    if (n > n_named)
        say("%llu %s hold copies, of which %llu are named", (unsigned long long)n, what,
            (unsigned long long)n_named);
}

static int purge(struct cli *cli, mn_store *store)
{
    size_t n_ids = (size_t)cli->args.n_words - 1;
    struct mn_purge_receipt receipt = {
        .size = sizeof receipt, .snapshot_ids_max = SNAPSHOTS_MAX, .archived_logs_max = LOGS_MAX};
    struct mn_error err = {0};
    mn_status st;

    receipt.snapshot_ids = mni_alloc_array(SNAPSHOTS_MAX, sizeof *receipt.snapshot_ids);
    receipt.archived_logs = mni_alloc_array(LOGS_MAX, sizeof *receipt.archived_logs);
    if (receipt.snapshot_ids == NULL || receipt.archived_logs == NULL) {
        mni_free(receipt.snapshot_ids);
        mni_free(receipt.archived_logs);
        return cli_say_status(cli, MN_ERR_NOMEM, &err);
    }

    progress_say("purge: writing anew what holds the records");
    stop_at_once(); /* purging again goes on where it was */
    if (cli_has(cli, OPTION_ALL)) {
        st = mn_purge_namespace(store, cli_word(cli, 0), &receipt, &err);
    } else {
        struct mn_slice *ids = mni_alloc_array(n_ids, sizeof *ids);
        for (size_t i = 0; i < n_ids && ids != NULL; i++)
            ids[i] = cli_word(cli, 1 + (int)i);
        st = ids == NULL ? MN_ERR_NOMEM
                         : mn_purge(store, cli_word(cli, 0), ids, n_ids, &receipt, &err);
        mni_free(ids);
    }
    stop_gently();
    progress_clear();
    if (st == MN_OK) {
        print_receipt(cli, &receipt);
        say_more("snapshots", receipt.n_snapshots, receipt.snapshot_ids_max);
        say_more("archived logs", receipt.n_archived_logs, receipt.archived_logs_max);
    }
    mni_free(receipt.snapshot_ids);
    mni_free(receipt.archived_logs);
    return st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err);
}

int run_purge(struct cli *cli)
{
    mn_store *store = NULL;
    bool has_ids = cli->args.n_words > 1;

    if (has_ids == cli_has(cli, OPTION_ALL))
        return args_refuse(cli->args.command, "%s",
                           has_ids ? "ids and --all exclude each other"
                                   : "name ids, or --all for the whole namespace");
    int code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    return cli_close(cli, store, purge(cli, store));
}
