/*
 * commands.h - the table of all commands.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "args.h"

/* The command of one word, or of two (`second` may be NULL). NULL: there is none. */
const struct command *command_find(const char *first, const char *second);

/* Whether two-word commands begin with this word. */
bool command_is_group(const char *first);

/* The i-th command, from 0; NULL past the last. */
const struct command *command_at(int command_index);

int run_create(struct cli *cli);
int run_drop(struct cli *cli);
int run_namespaces(struct cli *cli);
int run_exists(struct cli *cli);
int run_dimension(struct cli *cli);
int run_count(struct cli *cli);

int run_put(struct cli *cli);
int run_import(struct cli *cli);

int run_search(struct cli *cli);

int run_export(struct cli *cli);
int run_get(struct cli *cli);
int run_delete(struct cli *cli);
int run_purge(struct cli *cli);
int run_list(struct cli *cli);

int run_temporal_create(struct cli *cli);
int run_temporal_alter(struct cli *cli);
int run_temporal_drop(struct cli *cli);
int run_temporal_spaces(struct cli *cli);
int run_temporal_entities(struct cli *cli);
int run_temporal_put(struct cli *cli);
int run_temporal_get(struct cli *cli);
int run_temporal_asof(struct cli *cli);
int run_temporal_next(struct cli *cli);
int run_temporal_latest(struct cli *cli);
int run_temporal_range(struct cli *cli);
int run_temporal_timeline(struct cli *cli);
int run_temporal_delete(struct cli *cli);
int run_temporal_drift(struct cli *cli);
int run_temporal_changes(struct cli *cli);
int run_temporal_nearest(struct cli *cli);
int run_temporal_plot(struct cli *cli);

int run_cache_put(struct cli *cli);
int run_cache_get(struct cli *cli);
int run_cache_lookup(struct cli *cli);
int run_cache_exists(struct cli *cli);
int run_cache_list(struct cli *cli);
int run_cache_tenants(struct cli *cli);
int run_cache_delete(struct cli *cli);
int run_cache_drop(struct cli *cli);
int run_cache_invalidate(struct cli *cli);
int run_cache_cleanup(struct cli *cli);
int run_cache_budget(struct cli *cli);
int run_cache_stats(struct cli *cli);

int run_checkpoint(struct cli *cli);
int run_flush(struct cli *cli);
int run_stats(struct cli *cli);
int run_verify(struct cli *cli);
int run_salvage(struct cli *cli);
int run_config_get(struct cli *cli);
int run_config_set(struct cli *cli);
int run_config_list(struct cli *cli);
int run_wal_stats(struct cli *cli);
int run_wal_dump(struct cli *cli);

int run_snapshot_create(struct cli *cli);
int run_snapshot_list(struct cli *cli);
int run_snapshot_show(struct cli *cli);
int run_snapshot_exists(struct cli *cli);
int run_snapshot_verify(struct cli *cli);
int run_snapshot_delete(struct cli *cli);
int run_snapshot_prune(struct cli *cli);
int run_snapshot_restore(struct cli *cli);

int run_completion(struct cli *cli);

#endif
