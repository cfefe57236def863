/*
 * tenant.h - the words of the commands for the cache: a tenant, an entry, an exact key.
 */
#ifndef CLI_TENANT_H
#define CLI_TENANT_H

#include "cli.h"
#include "mneme/semcache.h"

/* Takes the first word. Needs no store, as all that takes a word. Each says what is wrong and
 * returns an exit code. */
int tenant_take(const struct cli *cli, uint64_t *tenant_out);

/* What --key gives, or --request with --model makes. */
struct key_option {
    bool is_given;
    unsigned char bytes[MN_SEMCACHE_KEY_BYTES];
};
int tenant_take_key(const struct cli *cli, uint64_t tenant, struct key_option *key_out);

/* How a command that counts a hit opens the store: hits are written, unless --peek was given or a
 * snapshot is read. */
enum open_mode tenant_open_mode(const struct cli *cli);

/* Each says that it is not there, and returns EXIT_CODE_NOT_FOUND. */
int tenant_say_none(uint64_t tenant);
int tenant_say_no_entry(uint64_t tenant, uint64_t id);

#endif
