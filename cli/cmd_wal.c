/*
 * cmd_wal.c - wal dump: what the log of the store holds.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>

#include "base/utf8.h"
#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "seconds.h"
#include "talk.h"

static void write_sizes(struct mni_json_writer *w, const struct mn_log_entry *entry)
{
    mni_json_write_key(w, "dimension");
    mni_json_write_u64(w, entry->n_dims);
    mni_json_write_key(w, "metadata_bytes");
    mni_json_write_u64(w, entry->metadata_bytes);
    mni_json_write_key(w, "payload_bytes");
    mni_json_write_u64(w, entry->payload_bytes);
}

struct dump {
    struct cli *cli;
    uint64_t from_lsn;
    bool has_begun;
};

/* What a checkpoint covers the log gives back. */
static void say_where_it_begins(const struct dump *d, uint64_t first_lsn)
{
    if (d->from_lsn > 0 && first_lsn > d->from_lsn)
        say("the log begins at LSN %" PRIu64 "; what was before it was given back", first_lsn);
}

static mn_status print_entry(void *context, const struct mn_log_entry *entry)
{
    struct dump *d = context;
    struct cli *cli = d->cli;

    if (!d->has_begun)
        say_where_it_begins(d, entry->lsn);
    d->has_begun = true;
    if (entry->lsn < d->from_lsn)
        return MN_OK;
    struct mni_json_writer *w = out_begin(&cli->out);
    char text[SECONDS_TEXT_BYTES];

    mni_json_write_key(w, "lsn");
    mni_json_write_u64(w, entry->lsn);
    mni_json_write_key(w, "commit_time_us");
    mni_json_write_i64(w, entry->commit_time_us);
    mni_json_write_key(w, "index_in_commit");
    mni_json_write_u64(w, entry->index_in_commit);
    mni_json_write_key(w, "n_in_commit");
    mni_json_write_u64(w, entry->n_in_commit);
    mni_json_write_key(w, "type");
    mni_json_write_string(w, mn_str(entry->type));
    mni_json_write_key(w, "collection");
    mni_json_write_u64_string(w, entry->collection);
    /* Keys of the catalogue are ours and need not be text. */
    if (mni_utf8_is_valid(entry->key.data, entry->key.n_bytes)) {
        mni_json_write_key(w, "key");
        mni_json_write_string(w, entry->key);
    } else {
        mni_json_write_key(w, "key_base64");
        mni_json_write_base64(w, entry->key);
    }
    write_sizes(w, entry);
    if (entry->has_expires_at) {
        mni_json_write_key(w, "expires_at");
        mni_json_write_raw(w, seconds_format(entry->expires_at_us, text));
    }
    return out_end(&cli->out) ? MN_OK : MN_END;
}

int run_wal_dump(struct cli *cli)
{
    struct mn_error err = {0};
    struct dump d = {.cli = cli};
    int code = EXIT_CODE_OK;

    if (!args_number(&cli->args, OPTION_FROM, 0, UINT64_MAX, 0, &d.from_lsn))
        return EXIT_CODE_USAGE;
    mn_status st = mn_log_dump(cli->dir, 0, print_entry, &d, &err);
    /* MN_END: print_entry could not write, and has said so. */
    if (st != MN_OK && st != MN_END)
        code = cli_say_status(cli, st, &err);
    return cli_close(cli, NULL, code);
}
