/*
 * space.c - the words of the commands for points: a space, an entity, a time.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include "space.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/utf8.h"
#include "exit_codes.h"
#include "talk.h"
#include "times.h"
#include "json/json.h"

static bool is_all_digits(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

int space_take(const struct cli *cli, struct space_word *word_out)
{
    const char *text = cli->args.words[0];
    uint64_t number = 0;

    *word_out = (struct space_word){.name = mn_str(text), .is_number = is_all_digits(text)};
    if (word_out->is_number) {
        if (!mni_json_parse_u64(word_out->name, &number) || number > UINT32_MAX)
            return args_refuse(cli->args.command,
                               "SPACE is a name or a number from 0 to %" PRIu32 ", not \"%s\"",
                               UINT32_MAX, text);
        word_out->space = (uint32_t)number;
        return EXIT_CODE_OK;
    }
    size_t n_bytes = word_out->name.n_bytes;
    size_t n_valid = mni_utf8_valid_prefix(text, n_bytes);
    if (n_bytes == 0)
        say("name of the space is empty");
    else if (n_bytes > MN_SPACE_NAME_BYTES_MAX)
        say("name of the space has %zu bytes, the limit is %d", n_bytes, MN_SPACE_NAME_BYTES_MAX);
    else if (n_valid != n_bytes)
        say("name of the space is not UTF-8 at byte %zu", n_valid);
    else
        return EXIT_CODE_OK;
    return EXIT_CODE_FAILURE;
}

int space_take_entity(const struct cli *cli, int word_index, uint64_t *entity_out)
{
    return cli_take_u64(cli, word_index, "ENTITY", entity_out);
}

int space_take_time(const struct cli *cli, const char *text, int64_t *us_out)
{
    if (mni_json_parse_i64(mn_str(text), us_out) || time_parse_any(text, us_out))
        return EXIT_CODE_OK;
    return args_refuse(cli->args.command,
                       "a time is a whole number of microseconds, of 64 bits, or written as "
                       "2026-11-21T08:30:00Z, not \"%s\"",
                       text);
}

int space_take_interval(const struct cli *cli, int64_t *from_us_out, int64_t *to_us_out)
{
    int code = EXIT_CODE_OK;

    *from_us_out = INT64_MIN;
    *to_us_out = INT64_MAX;
    if (cli_has(cli, OPTION_FROM))
        code = space_take_time(cli, cli->args.values[OPTION_FROM], from_us_out);
    if (code == EXIT_CODE_OK && cli_has(cli, OPTION_TO))
        code = space_take_time(cli, cli->args.values[OPTION_TO], to_us_out);
    if (code == EXIT_CODE_OK && *from_us_out > *to_us_out)
        code = args_refuse(cli->args.command, "--from is behind --to");
    return code;
}

mn_status space_find(mn_store *store, const struct space_word *word, uint32_t *space_out,
                     struct mn_error *err)
{
    struct mn_space_info info = {.size = sizeof info};

    if (!word->is_number)
        return mn_temporal_find_space(store, word->name, space_out, err);
    mn_status st = mn_temporal_space(store, word->space, &info, err);
    if (st == MN_OK)
        *space_out = word->space;
    return st;
}

mn_status space_find_free(mn_store *store, uint32_t *space_out, struct mn_error *err)
{
    enum { PAGE_SPACES = 256 };
    uint32_t spaces[PAGE_SPACES];
    uint32_t space = 0;
    size_t n;

    do {
        mn_status st = mn_temporal_list_spaces(store, space, spaces, PAGE_SPACES, &n, err);
        if (st != MN_OK)
            return st;
        for (size_t i = 0; i < n && spaces[i] == space; i++) {
            if (space == UINT32_MAX)
                return mni_fail(err, MN_ERR_LIMIT, "every number has its space");
            space++;
        }
    } while (n == PAGE_SPACES && spaces[n - 1] == space - 1);
    *space_out = space;
    return MN_OK;
}

int space_say_none(const struct space_word *word)
{
    char text[QUOTED_BYTES];

    if (word->is_number)
        say("no space %" PRIu32, word->space);
    else
        say("no space %s", quoted(word->name, text));
    return EXIT_CODE_NOT_FOUND;
}

int space_require(const struct cli *cli, mn_store *store, const struct space_word *word,
                  uint32_t *space_out)
{
    struct mn_error err = {0};
    mn_status st = space_find(store, word, space_out, &err);

    if (st == MN_NOT_FOUND)
        return space_say_none(word);
    return st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err);
}

int space_say_status(const struct cli *cli, mn_status status, const struct mn_error *err)
{
    if (status != MN_NOT_FOUND)
        return cli_say_status(cli, status, err);
    say("%s", status_text(status, err));
    return EXIT_CODE_NOT_FOUND;
}
