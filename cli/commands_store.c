/*
 * commands_store.c - the commands for the store as a whole, and what --help says about each.
 *
 * Owns:    nothing; everything is constant.
 * Threads: any.
 * Fails:   never.
 */
#include "commands_tables.h"

#include <stddef.h>

#define POOL_HELP "  --from DIR        of the pool or export in DIR; needs no store\n"

const struct command store_commands[] = {
    {
        .name = "checkpoint",
        .usage = "",
        .about = "write everything into segments and trim the log",
        .help = "Prints {\"checkpoint_lsn\":L}: all commits up to L lie in segments, files with\n"
                "indexes of their own. Opening the store afterwards has little to replay, and\n"
                "what lies in segments is not held in memory. A checkpoint that is cut off,\n"
                "by Ctrl-C too, changes nothing.\n",
        .example = "mneme -d memory checkpoint",
        .opens_store = true,
        .run = run_checkpoint,
    },
    {
        .name = "flush",
        .usage = "",
        .about = "make everything acknowledged durable",
        .help = "Prints {\"durable_lsn\":L}.\n",
        .example = "mneme -d memory flush",
        .opens_store = true,
        .run = run_flush,
    },
    {
        .name = "stats",
        .usage = "[--table] [--human]",
        .about = "print the numbers of the store",
        .help = "One JSON object. Counts of syncs, groups, commits and written bytes begin when\n"
                "the store is opened, by this command that is. segment_dead_rows of the\n"
                "segment_rows were overwritten, deleted or dropped since.\n\n" PEOPLE_HELP,
        .example = "mneme -d memory stats --human",
        .options = PEOPLE_OPTIONS,
        .opens_store = true,
        .only_reads = true,
        .run = run_stats,
    },
    {
        .name = "verify",
        .usage = "[--table] [--human]",
        .about = "read every byte of the store and check it",
        .help =
            "Prints a report and exits 4 when something is damaged; each damaged file is named\n"
            "on stderr, and the others are read all the same. A torn tail, which a crash leaves\n"
            "and opening cuts, is no damage, except with --recovery strict. Records are\n"
            "operations in the log: overwritten versions, deletes and namespaces count too;\n"
            "segment_rows are those in segments.\n\n" PEOPLE_HELP,
        .example = "mneme -d memory verify",
        .options = PEOPLE_OPTIONS,
        .opens_store = true,
        .run = run_verify,
    },
    {
        .name = "salvage",
        .usage = "SRC DST",
        .about = "recover what is left of a damaged store into a new one",
        .help =
            "SRC is the directory of the damaged store; nothing in it is changed. DST is missing\n"
            "or empty. Each damage is named on standard error, with what it cost. Prints\n"
            "{\"damaged\",\"namespaces\",\"records\",\"unsure_records\",\"lost_records\",\n"
            "\"lost_names\",\"damages\",\"last_lsn\"} and exits 4 when anything was damaged.\n"
            "Unsure records may have been deleted or overwritten before. A namespace whose\n"
            "name is lost is called lost-N.\n",
        .example = "mneme salvage memory rescued",
        .n_words_min = 2,
        .n_words_max = 2,
        .run = run_salvage,
    },
    {
        .name = "snapshot create",
        .usage = "[--description T] [--incremental | --parent ID]\n"
                 "                    [--to DIR [--compress] [--without-metadata]]",
        .about = "make a snapshot of everything in the store",
        .help =
            "Prints what snapshot show prints. The snapshot lies in the store's pool, the setting\n"
            "snapshot_dir, by default DIR.snapshots beside the store; its files are second names\n"
            "of the store's own where the file system has such. The oldest ones beyond\n"
            "max_snapshots go.\n\n"
            "  --description T   a text that is kept with it\n"
            "  --incremental     against the newest one there that fits; exits 3 without one\n"
            "  --parent ID       against this one\n"
            "  --to DIR          an export: a pool in another directory, which stands alone\n"
            "  --compress        of an export: its files are compressed\n"
            "  --without-metadata\n"
            "                    of an export: no byte of metadata and payloads is in it\n",
        .example = "mneme -d memory snapshot create --description 'before the import'",
        .options = TAKES(OPTION_DESCRIPTION) | TAKES(OPTION_INCREMENTAL) | TAKES(OPTION_PARENT) |
                   TAKES(OPTION_TO) | TAKES(OPTION_COMPRESS) | TAKES(OPTION_WITHOUT_METADATA),
        .opens_store = true,
        .run = run_snapshot_create,
    },
    {
        .name = "snapshot list",
        .usage = "[--from DIR] [--table] [--human]",
        .about = "list the snapshots, the newest first",
        .help = "One line each, as snapshot show prints them, by LSN.\n\n" POOL_HELP PEOPLE_HELP,
        .example = "mneme -d memory snapshot list --table",
        .options = TAKES(OPTION_FROM) | PEOPLE_OPTIONS,
        .opens_store = true,
        .takes_pool = true,
        .run = run_snapshot_list,
    },
    {
        .name = "snapshot show",
        .usage = "ID [--from DIR]",
        .about = "print what is known of a snapshot",
        .help = "One JSON object: id, type (full or incremental), parent_id, created_at,\n"
                "description, lsn and lsn_time of the newest commit in it, records,\n"
                "namespaces with their counts and dimensions, bytes of its files,\n"
                "own_bytes of those that its parent does not have, shared_bytes of the\n"
                "others, stored_bytes as they are stored, files, compressed,\n"
                "without_metadata, format_version, digest, store_id.\n\n" POOL_HELP,
        .example = "mneme -d memory snapshot show 000000000000002a91b2c3d4e5f60718",
        .options = TAKES(OPTION_FROM),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .takes_pool = true,
        .run = run_snapshot_show,
    },
    {
        .name = "snapshot exists",
        .usage = "ID [--from DIR]",
        .about = "tell whether a snapshot is there",
        .help = "Prints {\"exists\":true} and exits 0, or false and exits 3.\n\n" POOL_HELP,
        .example = "mneme -d memory snapshot exists 000000000000002a91b2c3d4e5f60718",
        .options = TAKES(OPTION_FROM),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .takes_pool = true,
        .run = run_snapshot_exists,
    },
    {
        .name = "snapshot verify",
        .usage = "ID [--from DIR]",
        .about = "read every byte of a snapshot and check it",
        .help = "Prints {\"id\",\"damaged\",\"files\",\"bytes\"} and exits 4 when something is\n"
                "damaged; each damage is named on standard error. The snapshots that it was\n"
                "made against are checked, too, as far as they are there.\n\n" POOL_HELP,
        .example = "mneme -d memory snapshot verify 000000000000002a91b2c3d4e5f60718",
        .options = TAKES(OPTION_FROM),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .takes_pool = true,
        .run = run_snapshot_verify,
    },
    {
        .name = "snapshot delete",
        .usage = "ID [--from DIR]",
        .about = "remove a snapshot",
        .help = "Prints {\"deleted\":true,\"freed_bytes\":N}; where there is none, false, and\n"
                "exits 3. Those that were made against it stay whole.\n\n" POOL_HELP,
        .example = "mneme -d memory snapshot delete 000000000000002a91b2c3d4e5f60718",
        .options = TAKES(OPTION_FROM),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .takes_pool = true,
        .run = run_snapshot_delete,
    },
    {
        .name = "snapshot prune",
        .usage = "--keep N [--from DIR]",
        .about = "remove all snapshots but the newest",
        .help = "Of the store; with --from, of each store that has some there. Prints\n"
                "{\"deleted\":N,\"freed_bytes\":N}. Damaged ones are passed over.\n\n"
                "  --keep N          how many of them to keep, 1 or more\n" POOL_HELP,
        .example = "mneme -d memory snapshot prune --keep 3",
        .options = TAKES(OPTION_KEEP) | TAKES(OPTION_FROM),
        .opens_store = true,
        .takes_pool = true,
        .run = run_snapshot_prune,
    },
    {
        .name = "snapshot restore",
        .usage = "ID --into DIR | --replace [--namespace A[:B]] [--dry-run]\n"
                 "                    [--from DIR]\n"
                 "       mneme snapshot restore --at-lsn L | --at-time T --into DIR\n"
                 "                    [--archive DIR] [--from DIR]",
        .about = "bring back what a snapshot holds, or any moment",
        .help =
            "Verifies all of the snapshot first, and changes nothing if it is damaged. Prints\n"
            "{\"snapshot_id\",\"namespaces_restored\",\"records_restored\"}; what has\n"
            "expired since does not come back. The store must not be in use.\n\n"
            "  --into DIR        a new store, in a directory that is missing or empty\n"
            "  --replace         the store of -d; nothing in it that is newer survives\n"
            "  --namespace A[:B] only namespace A, called B there; with --replace into the store\n"
            "                    of -d beside the others, where B must not exist. A colon in a\n"
            "                    name is written \\:, a backslash \\\\\n"
            "  --dry-run         says what would be restored; changes nothing\n"
            "  --at-lsn L        the store as it was after the commit with LSN L: the newest\n"
            "                    snapshot before it, and the log from there\n"
            "  --at-time T       the same at a time, as 2026-11-21T08:30:00Z or with +01:00\n"
            "  --archive DIR     where the log was kept; else the store's archive_dir\n" POOL_HELP,
        .example = "mneme -d memory snapshot restore 000000000000002a91b2c3d4e5f60718 --into old",
        .options = TAKES(OPTION_INTO) | TAKES(OPTION_REPLACE) | TAKES(OPTION_NAMESPACE) |
                   TAKES(OPTION_DRY_RUN) | TAKES(OPTION_FROM) | TAKES(OPTION_AT_LSN) |
                   TAKES(OPTION_AT_TIME) | TAKES(OPTION_ARCHIVE),
        .n_words_min = 0,
        .n_words_max = 1,
        .opens_store = true,
        .takes_pool = true,
        .run = run_snapshot_restore,
    },
    {
        .name = "config get",
        .usage = "KEY",
        .about = "print a setting of the store",
        .help = "Prints {\"key\",\"value\"}; exits 3 where no setting has this name.\n",
        .example = "mneme -d memory config get sync",
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .only_reads = true,
        .run = run_config_get,
    },
    {
        .name = "config set",
        .usage = "KEY VALUE",
        .about = "change a setting of the store",
        .help = "Durable when it returns; prints {\"key\",\"value\"} as it is now. Settings of\n"
                "the log take effect the next time the store is opened.\n",
        .example = "mneme -d memory config set sync manual",
        .n_words_min = 2,
        .n_words_max = 2,
        .opens_store = true,
        .run = run_config_set,
    },
    {
        .name = "config list",
        .usage = "",
        .about = "print all settings of the store",
        .help = "One line each: {\"key\",\"value\"}.\n",
        .example = "mneme -d memory config list",
        .opens_store = true,
        .only_reads = true,
        .run = run_config_list,
    },
    {
        .name = "wal stats",
        .usage = "[--table] [--human]",
        .about = "print the numbers of the write-ahead log",
        .help =
            "One JSON object: current_lsn, checkpoint_lsn, files, current_file_bytes,\n"
            "current_file_records, records_since_checkpoint. Records are operations, deletes and\n"
            "overwritten versions included.\n\n" PEOPLE_HELP,
        .example = "mneme -d memory wal stats",
        .options = PEOPLE_OPTIONS,
        .opens_store = true,
        .run = run_wal_stats,
    },
    {
        .name = "wal dump",
        .usage = "[--from LSN]",
        .about = "print the operations in the write-ahead log",
        .help =
            "One line an operation. Collection \"0\" is the catalogue of namespaces. A torn tail\n"
            "is left out.\n\n"
            "  --from LSN        only commits from this one on\n",
        .example = "mneme -d memory wal dump --from 100",
        .options = TAKES(OPTION_FROM),
        .opens_store = true,
        .run = run_wal_dump,
    },
    {
        .name = "completion",
        .usage = "bash|zsh|fish",
        .about = "print the completion script for a shell",
        .help = "Source it, or install it where the shell looks for such scripts.\n",
        .example = "source <(mneme completion bash)",
        .n_words_min = 1,
        .n_words_max = 1,
        .run = run_completion,
    },
    {.name = NULL},
};
