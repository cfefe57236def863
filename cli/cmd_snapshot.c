/*
 * cmd_snapshot.c - snapshot create, list, show, exists, verify, delete, prune.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "snapshot_out.h"
#include "stop.h"
#include "talk.h"

static void print_number(struct mni_json_writer *w, const char *key, uint64_t number)
{
    mni_json_write_key(w, key);
    mni_json_write_u64(w, number);
}

static void print_flag(struct mni_json_writer *w, const char *key, bool flag)
{
    mni_json_write_key(w, key);
    mni_json_write_bool(w, flag);
}

/* Creating ---------- */

static int say_creating(struct cli *cli, mn_status st, const struct mn_error *err)
{
    const char *parent = cli->args.values[OPTION_PARENT];

    if (st == MN_NOT_FOUND && parent == NULL) {
        progress_clear();
        say("%s", status_text(st, err));
        return EXIT_CODE_NOT_FOUND;
    }
    if (st == MN_ERR_INVALID && strstr(err->message, "is the store's own pool") != NULL) {
        progress_clear();
        return args_refuse(cli->args.command, "%s", err->message);
    }
    return pool_say_status(cli, parent != NULL ? parent : "", st, err);
}

int run_snapshot_create(struct cli *cli)
{
    static char what[] = "snapshot: KiB";
    const struct mn_snapshot_options options = {
        .size = sizeof options,
        .to = cli->args.values[OPTION_TO],
        .description = cli_value(cli, OPTION_DESCRIPTION),
        .incremental = cli_has(cli, OPTION_INCREMENTAL),
        .compress = cli_has(cli, OPTION_COMPRESS),
        .without_metadata = cli_has(cli, OPTION_WITHOUT_METADATA),
        .parent_id = cli->args.values[OPTION_PARENT],
        .progress = snapshot_progress,
        .context = what,
    };
    mn_snapshot *snapshot = NULL;
    mn_store *store = NULL;
    struct mn_error err = {0};

    if (options.incremental && options.parent_id != NULL)
        return args_refuse(cli->args.command, "--incremental and --parent exclude each other");
    if (options.compress && options.to == NULL)
        return args_refuse(cli->args.command, "--compress is for an export: name it with --to");
    if (options.without_metadata && options.to == NULL)
        return args_refuse(cli->args.command,
                           "--without-metadata is for an export: name it with --to");
    int code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    progress_say("snapshot: writing what is in no segment yet");
    mn_status st = mn_snapshot_create(store, &options, &snapshot, &err);
    progress_clear();
    if (st == MN_OK)
        st = snapshot_print(cli, snapshot, &err);
    mn_snapshot_free(snapshot);
    return cli_close(cli, store, st == MN_OK ? EXIT_CODE_OK : say_creating(cli, st, &err));
}

/* Looking ---------- */

static int print_one(struct cli *cli, mn_snapshots *pool, const char *id)
{
    mn_snapshot *snapshot = NULL;
    struct mn_error err = {0};

    mn_status st = mn_snapshot_show(pool, id, &snapshot, &err);
    if (st == MN_OK)
        st = snapshot_print(cli, snapshot, &err);
    mn_snapshot_free(snapshot);
    return st == MN_OK ? EXIT_CODE_OK : pool_say_status(cli, id, st, &err);
}

static int print_all(struct cli *cli, mn_snapshots *pool)
{
    mn_snapshot_iter *iter = NULL;
    char id[MN_SNAPSHOT_ID_BYTES];
    struct mn_error err = {0};
    int code = EXIT_CODE_OK;

    mn_status st = mn_snapshot_iter_open(pool, &iter, &err);
    while (st == MN_OK) {
        st = mn_snapshot_iter_next(iter, id, &err);
        if (st == MN_OK) {
            int one = print_one(cli, pool, id);
            /* One that has just been deleted is none. */
            code = one == EXIT_CODE_NOT_FOUND ? code : worse_code(code, one);
        }
    }
    mn_snapshot_iter_close(iter);
    return st == MN_END ? code : worse_code(code, pool_say_status(cli, "", st, &err));
}

int run_snapshot_list(struct cli *cli)
{
    mn_snapshots *pool = NULL;

    int code = pool_open(cli, &pool);
    if (code != EXIT_CODE_OK)
        return code;
    snapshot_print_heading(cli);
    if (pool != NULL)
        code = print_all(cli, pool);
    mn_snapshots_close(pool);
    return code;
}

int run_snapshot_show(struct cli *cli)
{
    const char *id = cli->args.words[0];
    mn_snapshots *pool = NULL;

    int code = pool_open_for(cli, id, &pool);
    if (code == EXIT_CODE_OK)
        code = print_one(cli, pool, id);
    mn_snapshots_close(pool);
    return code;
}

int run_snapshot_exists(struct cli *cli)
{
    const char *id = cli->args.words[0];
    mn_snapshots *pool = NULL;
    struct mn_error err = {0};
    bool exists = false;

    int code = pool_open(cli, &pool);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = pool == NULL ? MN_OK : mn_snapshot_exists(pool, id, &exists, &err);
    mn_snapshots_close(pool);
    if (st != MN_OK)
        return pool_say_status(cli, id, st, &err);
    print_flag(out_begin(&cli->out), "exists", exists);
    (void)out_end(&cli->out);
    return exists ? EXIT_CODE_OK : EXIT_CODE_NOT_FOUND;
}

/* Verifying ---------- */

struct verifying {
    struct cli *cli;
    bool is_damaged;
};

static mn_status show_verified(void *context, uint64_t n_bytes_done, uint64_t n_bytes_total)
{
    static char what[] = "verify: KiB";

    (void)context;
    return snapshot_progress(what, n_bytes_done, n_bytes_total);
}

static void say_damage(void *context, const struct mn_error *damage)
{
    struct verifying *v = context;

    v->is_damaged = true;
    progress_clear();
    say("%s", damage->message);
}

static int print_verified(struct cli *cli, mn_snapshots *pool, const char *id, bool is_damaged)
{
    struct mn_snapshot_info info = {.size = sizeof info};
    mn_snapshot *snapshot = NULL;

    if (mn_snapshot_show(pool, id, &snapshot, NULL) == MN_OK &&
        mn_snapshot_get_info(snapshot, &info, NULL) != MN_OK)
        info = (struct mn_snapshot_info){0};
    mn_snapshot_free(snapshot);
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "id");
    mni_json_write_string(w, mn_str(id));
    print_flag(w, "damaged", is_damaged);
    print_number(w, "files", info.n_files);
    print_number(w, "bytes", info.n_bytes);
    (void)out_end(&cli->out);
    return is_damaged ? EXIT_CODE_DAMAGED : EXIT_CODE_OK;
}

int run_snapshot_verify(struct cli *cli)
{
    const char *id = cli->args.words[0];
    struct verifying v = {.cli = cli};
    const struct mn_snapshot_verify_options options = {
        .size = sizeof options, .progress = show_verified, .damage = say_damage, .context = &v};
    mn_snapshots *pool = NULL;
    struct mn_error err = {0};

    int code = pool_open_for(cli, id, &pool);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_snapshot_verify(pool, id, &options, &err);
    progress_clear();
    if (st == MN_OK || st == MN_ERR_CORRUPT)
        code = print_verified(cli, pool, id, st != MN_OK);
    else
        code = pool_say_status(cli, id, st, &err);
    mn_snapshots_close(pool);
    return code;
}

/* Removing ---------- */

/* Snapshots have gone, but no file, because of one that cannot be read. */
static bool keeps_files(mn_status status)
{
    return status == MN_ERR_CORRUPT || status == MN_ERR_UNSUPPORTED;
}

int run_snapshot_delete(struct cli *cli)
{
    const char *id = cli->args.words[0];
    mn_snapshots *pool = NULL;
    struct mn_error err = {0};
    uint64_t freed = 0;

    int code = pool_open(cli, &pool);
    if (code != EXIT_CODE_OK)
        return code;
    stop_gently();
    mn_status st = pool == NULL ? MN_NOT_FOUND : mn_snapshot_delete(pool, id, &freed, &err);
    mn_snapshots_close(pool);
    if (st == MN_OK || st == MN_NOT_FOUND || keeps_files(st)) {
        struct mni_json_writer *w = out_begin(&cli->out);
        print_flag(w, "deleted", st != MN_NOT_FOUND);
        print_number(w, "freed_bytes", freed);
        (void)out_end(&cli->out);
    }
    return st == MN_OK ? EXIT_CODE_OK : pool_say_status(cli, id, st, &err);
}

int run_snapshot_prune(struct cli *cli)
{
    mn_snapshots *pool = NULL;
    struct mn_error err = {0};
    uint64_t n_kept = 0;
    uint64_t n_deleted = 0;
    uint64_t freed = 0;

    if (!cli_has(cli, OPTION_KEEP))
        return args_refuse(cli->args.command, "--keep N is missing");
    if (!args_number(&cli->args, OPTION_KEEP, 1, UINT64_MAX, 1, &n_kept))
        return EXIT_CODE_USAGE;
    int code = pool_open(cli, &pool);
    if (code != EXIT_CODE_OK)
        return code;
    stop_gently();
    mn_status st = pool == NULL ? MN_OK
                                : mn_snapshots_prune(pool, n_kept, &n_deleted, &freed, &err);
    mn_snapshots_close(pool);
    if (st == MN_OK || n_deleted > 0) {
        struct mni_json_writer *w = out_begin(&cli->out);
        print_number(w, "deleted", n_deleted);
        print_number(w, "freed_bytes", freed);
        (void)out_end(&cli->out);
    }
    return st == MN_OK ? EXIT_CODE_OK : pool_say_status(cli, "", st, &err);
}
