/*
 * cmd_salvage.c - salvage: what is left of a damaged store, into a new one.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <stdio.h>

#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "stop.h"
#include "talk.h"

static void say_damage(void *context, const char *file, const char *what)
{
    const char *from = context;

    progress_clear();
    say("%s: %s: %s", from, file, what);
}

static void print_number(struct mni_json_writer *w, const char *key, uint64_t number)
{
    mni_json_write_key(w, key);
    mni_json_write_u64(w, number);
}

int run_salvage(struct cli *cli)
{
    char *const *words = cli->args.words;
    struct mn_salvage_report report = {.size = sizeof report};
    const struct mn_salvage_options options = {
        .size = sizeof options, .damage = say_damage, .context = words[0]};
    struct mn_error err = {0};
    char incomplete[2048];

    progress_say("salvage: reading what is left");
    /* The new store is worth nothing before the end. */
    (void)snprintf(incomplete, sizeof incomplete, "%.2000s is incomplete", words[1]);
    stop_says(incomplete);
    mn_status st = mn_salvage(words[0], words[1], &options, &report, &err);
    progress_clear();
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "damaged");
    mni_json_write_bool(w, report.n_damages > 0);
    print_number(w, "namespaces", report.n_namespaces);
    print_number(w, "records", report.n_records);
    print_number(w, "unsure_records", report.n_unsure_records);
    print_number(w, "lost_records", report.n_lost_records);
    print_number(w, "lost_names", report.n_lost_names);
    print_number(w, "damages", report.n_damages);
    print_number(w, "last_lsn", report.last_lsn);
    (void)out_end(&cli->out);
    return cli_close(cli, NULL, report.n_damages > 0 ? EXIT_CODE_DAMAGED : EXIT_CODE_OK);
}
