/*
 * tenant.c - the words of the commands for the cache: a tenant, an entry, an exact key.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include "tenant.h"

#include <inttypes.h>

#include "exact_key.h"
#include "exit_codes.h"
#include "talk.h"

int tenant_take(const struct cli *cli, uint64_t *tenant_out)
{
    return cli_take_u64(cli, 0, "TENANT", tenant_out);
}

int tenant_take_key(const struct cli *cli, uint64_t tenant, struct key_option *key_out)
{
    struct mn_error err = {0};

    *key_out =
        (struct key_option){.is_given = cli_has(cli, OPTION_KEY) || cli_has(cli, OPTION_REQUEST)};
    if (cli_has(cli, OPTION_KEY) && cli_has(cli, OPTION_REQUEST))
        return args_refuse(cli->args.command, "--key and --request exclude each other");
    if (cli_has(cli, OPTION_KEY) && !exact_key_parse(cli_value(cli, OPTION_KEY), key_out->bytes))
        return args_refuse(cli->args.command, "--key takes %d hexadecimal digits, not \"%s\"",
                           KEY_TEXT_BYTES - 1, cli->args.values[OPTION_KEY]);
    if (!cli_has(cli, OPTION_REQUEST))
        return EXIT_CODE_OK;
    mn_status st = mn_semcache_key(tenant, cli_value(cli, OPTION_MODEL),
                                   cli_value(cli, OPTION_REQUEST), key_out->bytes, &err);
    return st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err);
}

enum open_mode tenant_open_mode(const struct cli *cli)
{
    return cli_has(cli, OPTION_PEEK) || cli->snapshot != NULL ? OPEN_READ : OPEN_WRITE;
}

int tenant_say_none(uint64_t tenant)
{
    say("no tenant %" PRIu64, tenant);
    return EXIT_CODE_NOT_FOUND;
}

int tenant_say_no_entry(uint64_t tenant, uint64_t id)
{
    say("no entry %" PRIu64 " of tenant %" PRIu64, id, tenant);
    return EXIT_CODE_NOT_FOUND;
}
