/*
 * cmd_tenant.c - cache tenants, drop, invalidate, cleanup, budget, stats.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>
#include <time.h>

#include "commands.h"
#include "exit_codes.h"
#include "seconds.h"
#include "space.h"
#include "talk.h"
#include "tenant.h"

enum { PAGE_TENANTS = 1024 };

/* Numbers ---------------------------------------------------------------------------------------
 */

static void write_sizes(struct mni_json_writer *w, const struct mn_semcache_stats *stats)
{
    mni_json_write_key(w, "entries");
    mni_json_write_u64(w, stats->n_entries);
    mni_json_write_key(w, "logical_bytes");
    mni_json_write_u64(w, stats->logical_bytes);
    mni_json_write_key(w, "allocated_bytes");
    mni_json_write_u64(w, stats->allocated_bytes);
}

static void write_tenant(struct mni_json_writer *w, uint64_t tenant)
{
    mni_json_write_key(w, "tenant");
    mni_json_write_u64_string(w, tenant);
}

static int print_tenant(struct cli *cli, mn_store *store, uint64_t tenant)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    struct mn_error err = {0};

    mn_status st = mn_semcache_tenant_stats(store, tenant, &stats, &err);
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    struct mni_json_writer *w = out_begin(&cli->out);
    write_tenant(w, tenant);
    write_sizes(w, &stats);
    (void)out_end(&cli->out);
    return EXIT_CODE_OK;
}

static int print_tenants(struct cli *cli, mn_store *store)
{
    uint64_t tenants[PAGE_TENANTS];
    struct mn_error err = {0};
    uint64_t from = 0;
    size_t n = PAGE_TENANTS;
    int code = EXIT_CODE_OK;

    while (n == PAGE_TENANTS && code == EXIT_CODE_OK) {
        mn_status st = mn_semcache_list_tenants(store, from, tenants, PAGE_TENANTS, &n, &err);
        if (st != MN_OK)
            return cli_say_status(cli, st, &err);
        for (size_t i = 0; i < n && code == EXIT_CODE_OK && !cli->out.has_failed; i++)
            code = print_tenant(cli, store, tenants[i]);
        if (n == 0 || tenants[n - 1] == UINT64_MAX || cli->out.has_failed)
            break;
        from = tenants[n - 1] + 1;
    }
    return code;
}

int run_cache_tenants(struct cli *cli)
{
    mn_store *store = NULL;
    int code = cli_open(cli, OPEN_READ, &store);

    if (code == EXIT_CODE_OK)
        code = print_tenants(cli, store);
    return cli_close(cli, store, code);
}

static void print_stats(struct cli *cli, const struct mn_semcache_stats *stats,
                        const uint64_t *tenant)
{
    const struct out_figure figures[] = {
        {"hits_id", stats->n_hits_id},
        {"hits_exact", stats->n_hits_exact},
        {"hits_semantic", stats->n_hits_semantic},
        {"hits_verified", stats->n_hits_verified},
        {"misses", stats->n_misses},
        {"evictions", stats->n_evictions},
        {"errors", stats->n_errors},
    };
    struct mni_json_writer *w = out_begin(&cli->out);

    if (tenant != NULL) {
        write_tenant(w, *tenant);
    } else {
        mni_json_write_key(w, "tenants");
        mni_json_write_u64(w, stats->n_tenants);
    }
    write_sizes(w, stats);
    out_figures(w, figures, sizeof figures / sizeof figures[0]);
    (void)out_end(&cli->out);
}

int run_cache_stats(struct cli *cli)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    bool has_tenant = cli->args.n_words > 0;
    struct mn_error err = {0};
    mn_store *store = NULL;
    uint64_t tenant = 0;
    int code = has_tenant ? tenant_take(cli, &tenant) : EXIT_CODE_OK;

    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = has_tenant ? mn_semcache_tenant_stats(store, tenant, &stats, &err)
                              : mn_semcache_get_stats(store, &stats, &err);
    if (st == MN_OK)
        print_stats(cli, &stats, has_tenant ? &tenant : NULL);
    else
        code = st == MN_NOT_FOUND ? tenant_say_none(tenant) : cli_say_status(cli, st, &err);
    return cli_close(cli, store, code);
}

/* Removing --------------------------------------------------------------------------------------
 */

int run_cache_drop(struct cli *cli)
{
    struct mn_error err = {0};
    mn_store *store = NULL;
    bool existed = false;
    uint64_t tenant;
    int code = tenant_take(cli, &tenant);

    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_semcache_drop_tenant(store, tenant, NULL, &existed, NULL, &err);
    if (st != MN_OK && st != MN_NOT_FOUND)
        return cli_close(cli, store, cli_say_status(cli, st, &err));
    existed = existed && st == MN_OK;
    (void)out_bool(&cli->out, "dropped", existed);
    return cli_close(cli, store, existed ? EXIT_CODE_OK : tenant_say_none(tenant));
}

/* The event times that --before or --older-than means. */
static int take_age(const struct cli *cli, struct mn_semcache_filter *filter)
{
    const char *text = cli->args.values[OPTION_OLDER_THAN];
    struct timespec now = {0};
    int64_t age_us = 0;

    if (cli_has(cli, OPTION_BEFORE) && text != NULL)
        return args_refuse(cli->args.command, "--before and --older-than exclude each other");
    if (!cli_has(cli, OPTION_BEFORE) && text == NULL)
        return EXIT_CODE_OK;
    filter->fields |= MN_SEMCACHE_BY_AGE;
    if (cli_has(cli, OPTION_BEFORE))
        return space_take_time(cli, cli->args.values[OPTION_BEFORE], &filter->before_us);
    if (!seconds_parse_duration(text, &age_us))
        return args_refuse(cli->args.command,
                           "--older-than takes a duration, as 90, 30m, 12h, 7d or 2w, not \"%s\"",
                           text);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    filter->before_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - age_us;
    return EXIT_CODE_OK;
}

static int take_filter(const struct cli *cli, struct key_option *key,
                       struct mn_semcache_filter *filter)
{
    uint64_t tenant = 0; /* of no use: there is no --request here */

    if (!args_number(&cli->args, OPTION_CONTEXT, 0, UINT64_MAX, 0, &filter->context))
        return EXIT_CODE_USAGE;
    filter->model = cli_value(cli, OPTION_MODEL);
    filter->fields |= cli_has(cli, OPTION_CONTEXT) ? MN_SEMCACHE_BY_CONTEXT : 0;
    filter->fields |= cli_has(cli, OPTION_MODEL) ? MN_SEMCACHE_BY_MODEL : 0;
    filter->fields |= cli_has(cli, OPTION_KEY) ? MN_SEMCACHE_BY_KEY : 0;
    int code = tenant_take_key(cli, tenant, key);
    filter->key = key->is_given ? key->bytes : NULL;
    if (code == EXIT_CODE_OK)
        code = take_age(cli, filter);
    if (code != EXIT_CODE_OK)
        return code;
    if (cli_has(cli, OPTION_ALL) && filter->fields != 0)
        return args_refuse(cli->args.command, "--all stands alone");
    filter->fields |= cli_has(cli, OPTION_ALL) ? MN_SEMCACHE_ALL : 0;
    if (filter->fields == 0)
        return args_refuse(cli->args.command, "which entries? Give --key, --context, --model, "
                                              "--older-than, --before or --all");
    return EXIT_CODE_OK;
}

int run_cache_invalidate(struct cli *cli)
{
    struct mn_semcache_filter filter = {.size = sizeof filter};
    struct key_option key;
    struct mn_error err = {0};
    mn_store *store = NULL;
    uint64_t n = 0;
    uint64_t tenant;
    int code = tenant_take(cli, &tenant);

    if (code == EXIT_CODE_OK)
        code = take_filter(cli, &key, &filter);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_semcache_invalidate(store, tenant, &filter, NULL, &n, &err);
    (void)out_number(&cli->out, "count", n);
    return cli_close(cli, store, st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err));
}

int run_cache_cleanup(struct cli *cli)
{
    struct mn_error err = {0};
    mn_store *store = NULL;
    uint64_t n = 0;
    int code = cli_open(cli, OPEN_WRITE, &store);

    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_semcache_cleanup(store, NULL, &n, &err);
    if (st == MN_OK)
        (void)out_number(&cli->out, "count", n);
    return cli_close(cli, store, st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err));
}

/* Budgets ---------------------------------------------------------------------------------------
 */

static bool changes_budget(const struct cli *cli)
{
    return cli_has(cli, OPTION_BYTES) || cli_has(cli, OPTION_ENTRIES) ||
           cli_has(cli, OPTION_DEFAULT);
}

/* What is not given stays as it is, in a budget of its own. */
static mn_status set_budget(struct cli *cli, mn_store *store, uint64_t tenant,
                            const struct mn_semcache_budget *given, struct mn_error *err)
{
    struct mn_semcache_budget budget = {0};
    bool is_own = false;

    if (cli_has(cli, OPTION_DEFAULT))
        return mn_semcache_set_budget(store, tenant, NULL, NULL, err);
    mn_status st = mn_semcache_get_budget(store, tenant, &budget, &is_own, err);
    if (st != MN_OK && st != MN_NOT_FOUND)
        return st;
    if (!is_own)
        budget = (struct mn_semcache_budget){0};
    if (cli_has(cli, OPTION_BYTES))
        budget.bytes_max = given->bytes_max;
    if (cli_has(cli, OPTION_ENTRIES))
        budget.entries_max = given->entries_max;
    return mn_semcache_set_budget(store, tenant, &budget, NULL, err);
}

static int print_budget(struct cli *cli, mn_store *store, uint64_t tenant)
{
    struct mn_semcache_budget budget = {0};
    struct mn_error err = {0};
    bool is_own = false;

    mn_status st = mn_semcache_get_budget(store, tenant, &budget, &is_own, &err);
    if (st != MN_OK)
        return st == MN_NOT_FOUND ? tenant_say_none(tenant) : cli_say_status(cli, st, &err);
    struct mni_json_writer *w = out_begin(&cli->out);
    write_tenant(w, tenant);
    mni_json_write_key(w, "bytes_max");
    mni_json_write_u64(w, budget.bytes_max);
    mni_json_write_key(w, "entries_max");
    mni_json_write_u64(w, budget.entries_max);
    mni_json_write_key(w, "own");
    mni_json_write_bool(w, is_own);
    (void)out_end(&cli->out);
    return EXIT_CODE_OK;
}

int run_cache_budget(struct cli *cli)
{
    struct mn_semcache_budget given = {0};
    bool is_change = changes_budget(cli);
    struct mn_error err = {0};
    mn_store *store = NULL;
    uint64_t tenant;
    int code = tenant_take(cli, &tenant);

    if (code != EXIT_CODE_OK)
        return code;
    if (!args_number(&cli->args, OPTION_BYTES, 0, UINT64_MAX, 0, &given.bytes_max) ||
        !args_number(&cli->args, OPTION_ENTRIES, 0, UINT64_MAX, 0, &given.entries_max))
        return EXIT_CODE_USAGE;
    if (cli_has(cli, OPTION_DEFAULT) &&
        (cli_has(cli, OPTION_BYTES) || cli_has(cli, OPTION_ENTRIES)))
        return args_refuse(cli->args.command, "--default stands alone");
    code = cli_open(cli, is_change ? OPEN_WRITE : OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = is_change ? set_budget(cli, store, tenant, &given, &err) : MN_OK;
    code = st == MN_OK ? print_budget(cli, store, tenant) : cli_say_status(cli, st, &err);
    return cli_close(cli, store, code);
}
