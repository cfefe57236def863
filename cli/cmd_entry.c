/*
 * cmd_entry.c - cache get, exists, list, delete.
 *
 * Owns:    handles, until they are printed.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "commands.h"
#include "entry_out.h"
#include "exit_codes.h"
#include "stop.h"
#include "talk.h"
#include "tenant.h"

/* Ids -------------------------------------------------------------------------------------------
 */

/* The tenant and the ids behind it. */
struct request {
    uint64_t tenant;
    uint64_t *ids; /* owned */
    size_t n_ids;
    struct key_option key;
};

static int take_ids(const struct cli *cli, struct request *request)
{
    int code = tenant_take(cli, &request->tenant);

    request->n_ids = (size_t)cli->args.n_words - 1;
    request->ids = mni_alloc_array(request->n_ids + 1, sizeof *request->ids);
    if (code == EXIT_CODE_OK && request->ids == NULL) {
        say("out of memory");
        return EXIT_CODE_FAILURE;
    }
    for (size_t i = 0; i < request->n_ids && code == EXIT_CODE_OK; i++)
        code = cli_take_u64(cli, (int)i + 1, "ID", &request->ids[i]);
    return code;
}

static void request_done(struct request *request)
{
    mni_free(request->ids);
}

/* Says what a call about an entry answered. Damage is counted, so that what comes behind it is
 * asked for all the same. */
static int say_entry(const struct cli *cli, mn_status status, const struct mn_error *err,
                     uint64_t *n_damaged)
{
    if (status != MN_ERR_CORRUPT)
        return cli_say_status(cli, status, err);
    say_damaged(cli, (struct mn_slice){0}, err, n_damaged);
    return EXIT_CODE_OK;
}

/* Getting ---------------------------------------------------------------------------------------
 */

static bool print_entry(struct cli *cli, const struct mn_semcache_handle *handle)
{
    if (cli_has(cli, OPTION_RAW))
        return out_raw(&cli->out, handle->payload.data, handle->payload.n_bytes);
    entry_out_keys(out_begin(&cli->out), handle, cli_has(cli, OPTION_WITH_EMBEDDING));
    return out_end(&cli->out);
}

/* One by one, so that what is missing or damaged keeps nothing else back. */
static int get_ids(struct cli *cli, mn_store *store, const struct request *request)
{
    bool is_peek = tenant_open_mode(cli) == OPEN_READ;
    struct mn_semcache_handle handle = {0};
    uint64_t n_damaged = 0;
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < request->n_ids; i++) {
        struct mn_error err = {0};
        uint64_t id = request->ids[i];
        mn_status st = is_peek ? mn_semcache_peek(store, request->tenant, id, &handle, &err)
                               : mn_semcache_load(store, request->tenant, id, &handle, &err);
        if (st == MN_OK)
            (void)print_entry(cli, &handle);
        else if (st == MN_NOT_FOUND)
            code = worse_code(code, tenant_say_no_entry(request->tenant, id));
        else
            code = worse_code(code, say_entry(cli, st, &err, &n_damaged));
        mn_semcache_release(&handle);
        if (code != EXIT_CODE_OK && code != EXIT_CODE_NOT_FOUND)
            break;
    }
    return worse_code(code, damaged_code(n_damaged));
}

static int get_key(struct cli *cli, mn_store *store, const struct request *request)
{
    struct mn_semcache_handle handle = {0};
    struct mn_error err = {0};

    mn_status st =
        mn_semcache_load_exact(store, request->tenant, request->key.bytes, &handle, &err);
    if (st == MN_NOT_FOUND) {
        say("no entry of tenant %" PRIu64 " has this key", request->tenant);
        return EXIT_CODE_NOT_FOUND;
    }
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    (void)print_entry(cli, &handle);
    mn_semcache_release(&handle);
    return EXIT_CODE_OK;
}

static int take_get(const struct cli *cli, struct request *request)
{
    const struct command *command = cli->args.command;
    int code = take_ids(cli, request);

    if (code == EXIT_CODE_OK)
        code = tenant_take_key(cli, request->tenant, &request->key);
    if (code != EXIT_CODE_OK)
        return code;
    if ((request->n_ids > 0) == request->key.is_given)
        return args_refuse(command, request->key.is_given
                                        ? "ids, and --key or --request, exclude each other"
                                        : "which entry? Give ids, --key or --request");
    if (cli_has(cli, OPTION_MODEL) && !cli_has(cli, OPTION_REQUEST))
        return args_refuse(command, "--model goes with --request");
    if (cli_has(cli, OPTION_RAW) && request->n_ids > 1)
        return args_refuse(command, "--raw writes one entry");
    if (cli_has(cli, OPTION_RAW) && cli_has(cli, OPTION_WITH_EMBEDDING))
        return args_refuse(command, "--raw and --embedding exclude each other");
    return EXIT_CODE_OK;
}

int run_cache_get(struct cli *cli)
{
    struct request request = {0};
    mn_store *store = NULL;
    int code = take_get(cli, &request);

    if (code == EXIT_CODE_OK)
        code = cli_open(cli, tenant_open_mode(cli), &store);
    if (code == EXIT_CODE_OK)
        code = request.key.is_given ? get_key(cli, store, &request) : get_ids(cli, store, &request);
    request_done(&request);
    return cli_close(cli, store, code);
}

int run_cache_exists(struct cli *cli)
{
    struct request request = {0};
    struct mn_error err = {0};
    mn_store *store = NULL;
    bool exists = false;
    int code = take_ids(cli, &request);

    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code == EXIT_CODE_OK) {
        mn_status st = mn_semcache_exists(store, request.tenant, request.ids[0], &exists, &err);
        if (st != MN_OK && st != MN_NOT_FOUND) {
            code = cli_say_status(cli, st, &err);
        } else {
            (void)out_bool(&cli->out, "exists", exists);
            code = exists ? EXIT_CODE_OK : EXIT_CODE_NOT_FOUND;
        }
    }
    request_done(&request);
    return cli_close(cli, store, code);
}

/* Listing ---------------------------------------------------------------------------------------
 */

enum { PAGE_IDS = 1024 };

/* Prints the entries of a page; `limit` is what is left to print. */
static int list_page(struct cli *cli, mn_store *store, uint64_t tenant, const uint64_t *ids,
                     size_t n_ids, uint64_t *limit, uint64_t *n_damaged)
{
    struct mn_semcache_handle handle = {0};
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i<n_ids && * limit> 0 && code == EXIT_CODE_OK; i++) {
        struct mn_error err = {0};
        mn_status st = mn_semcache_peek(store, tenant, ids[i], &handle, &err);
        if (st == MN_OK && !entry_out_summary(&cli->out, &handle))
            *limit = 1; /* nobody reads on */
        if (st == MN_OK)
            *limit -= 1;
        else if (st != MN_NOT_FOUND) /* it has just expired */
            code = say_entry(cli, st, &err, n_damaged);
        mn_semcache_release(&handle);
    }
    return code;
}

static int list(struct cli *cli, mn_store *store, uint64_t tenant, uint64_t from, uint64_t limit)
{
    uint64_t ids[PAGE_IDS];
    struct mn_error err = {0};
    uint64_t n_damaged = 0;
    size_t n = PAGE_IDS;
    int code = EXIT_CODE_OK;
    int damage = EXIT_CODE_OK;

    while (n == PAGE_IDS && code == EXIT_CODE_OK) {
        mn_status st = mn_semcache_list_entries(store, tenant, from, ids, PAGE_IDS, &n, &err);
        if (st == MN_ERR_CORRUPT) /* the others are listed */
            damage = cli_say_status(cli, st, &err);
        else if (st != MN_OK)
            return st == MN_NOT_FOUND ? tenant_say_none(tenant) : cli_say_status(cli, st, &err);
        code = list_page(cli, store, tenant, ids, n, &limit, &n_damaged);
        if (limit == 0 || n == 0 || ids[n - 1] == UINT64_MAX)
            break;
        from = ids[n - 1] + 1;
    }
    return worse_code(worse_code(code, damage), damaged_code(n_damaged));
}

int run_cache_list(struct cli *cli)
{
    mn_store *store = NULL;
    uint64_t tenant;
    uint64_t limit;
    uint64_t after;

    if (!args_number(&cli->args, OPTION_LIMIT, 0, UINT64_MAX, UINT64_MAX, &limit) ||
        !args_number(&cli->args, OPTION_AFTER, 0, UINT64_MAX, 0, &after))
        return EXIT_CODE_USAGE;
    int code = tenant_take(cli, &tenant);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    bool has_after = cli_has(cli, OPTION_AFTER);
    if (has_after && after == UINT64_MAX)
        limit = 0;
    return cli_close(cli, store, list(cli, store, tenant, has_after ? after + 1 : 0, limit));
}

/* Deleting --------------------------------------------------------------------------------------
 */

/* Each is a commit of its own; after Ctrl-C the rest stay. */
static int delete_ids(struct cli *cli, mn_store *store, const struct request *request)
{
    uint64_t n_deleted = 0;
    uint64_t last_lsn = 0;
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < request->n_ids; i++) {
        struct mn_error err = {0};
        uint64_t lsn = 0;
        if (stop_asked()) {
            say("stopped; the first %zu of the ids are deleted", i);
            code = EXIT_CODE_STOPPED;
            break;
        }
        mn_status st =
            mn_semcache_delete(store, request->tenant, request->ids[i], NULL, &lsn, &err);
        if (st == MN_NOT_FOUND) {
            code = tenant_say_no_entry(request->tenant, request->ids[i]);
        } else if (st != MN_OK) {
            code = cli_say_status(cli, st, &err);
            break;
        } else {
            n_deleted++;
            last_lsn = lsn;
        }
    }
    (void)out_deleted(&cli->out, n_deleted, last_lsn);
    return code;
}

int run_cache_delete(struct cli *cli)
{
    struct request request = {0};
    mn_store *store = NULL;
    int code = take_ids(cli, &request);

    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_WRITE, &store);
    if (code == EXIT_CODE_OK)
        code = delete_ids(cli, store, &request);
    request_done(&request);
    return cli_close(cli, store, code);
}
