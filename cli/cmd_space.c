/*
 * cmd_space.c - temporal create, alter, drop, spaces, entities, timeline.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>

#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "numbers.h"
#include "seconds.h"
#include "space.h"
#include "talk.h"
#include "json/json.h"

enum { PAGE_NUMBERS = 1024 };

/* Of the table of spaces. */
#define SPACE_LINE "%10s  %9s  %14s  %7s  %11s  %7s  %8s  %s"

/* Making and removing ---------------------------------------------------------------------------
 */

static int take_duration(const struct cli *cli, enum option option, uint32_t field,
                         struct mn_space_changes *c, int64_t *us_out)
{
    const char *text = cli->args.values[option];

    if (text == NULL)
        return EXIT_CODE_OK;
    c->fields |= field;
    if (seconds_parse_duration(text, us_out))
        return EXIT_CODE_OK;
    return args_refuse(cli->args.command,
                       "%s takes a duration, as 90, 30m, 12h, 7d or 2w; 0 is none; not \"%s\"",
                       option_name(option), text);
}

/* The settings of a space that the command line gives. */
static int take_settings(const struct cli *cli, struct mn_space_changes *c)
{
    uint64_t every = 0;

    *c = (struct mn_space_changes){.size = sizeof *c};
    if (!args_number(&cli->args, OPTION_KEYFRAME_EVERY, 0, MN_KEYFRAME_EVERY_MAX, 0, &every) ||
        !args_number(&cli->args, OPTION_KEEP_POINTS, 0, UINT64_MAX, 0, &c->keep_points))
        return EXIT_CODE_USAGE;
    if (every == 1)
        return args_refuse(cli->args.command, "--keyframe-every takes 0, or %d to %d",
                           MN_KEYFRAME_EVERY_MIN, MN_KEYFRAME_EVERY_MAX);
    c->keyframe_every = (uint32_t)every;
    c->fields |= cli_has(cli, OPTION_KEYFRAME_EVERY) ? MN_SPACE_KEYFRAME_EVERY : 0;
    c->fields |= cli_has(cli, OPTION_KEEP_POINTS) ? MN_SPACE_KEEP_POINTS : 0;
    int code = take_duration(cli, OPTION_KEEP, MN_SPACE_KEEP_US, c, &c->keep_us);
    if (code == EXIT_CODE_OK)
        code = take_duration(cli, OPTION_HISTORY, MN_SPACE_HISTORY_US, c, &c->history_us);
    return code;
}

/* What is not given is as it is in `found`. */
static void fill_settings(struct mn_space_options *o, const struct mn_space_changes *c,
                          const struct mn_space_info *found)
{
    bool has_every = (c->fields & MN_SPACE_KEYFRAME_EVERY) != 0;
    bool has_points = (c->fields & MN_SPACE_KEEP_POINTS) != 0;

    o->keyframe_every = has_every ? c->keyframe_every : found->keyframe_every;
    o->keep_points = has_points ? c->keep_points : found->keep_points;
    o->keep_us = (c->fields & MN_SPACE_KEEP_US) != 0 ? c->keep_us : found->keep_us;
    o->history_us = (c->fields & MN_SPACE_HISTORY_US) != 0 ? c->history_us : found->history_us;
}

/* What the command line says. A space that is there keeps its name, and its settings, where none
 * are given. */
static mn_status choose(mn_store *store, const struct space_word *word, struct mn_slice name,
                        struct mn_space_info *found, uint32_t *space_out,
                        struct mn_space_options *options, struct mn_error *err)
{
    mn_status st = space_find(store, word, space_out, err);

    options->name = word->is_number ? name : word->name;
    if (st == MN_NOT_FOUND && word->is_number) {
        *space_out = word->space;
        return MN_OK;
    }
    if (st == MN_NOT_FOUND)
        return space_find_free(store, space_out, err);
    if (st == MN_OK)
        st = mn_temporal_space(store, *space_out, found, err);
    if (st == MN_OK && word->is_number && name.n_bytes == 0)
        options->name = (struct mn_slice){.data = found->name, .n_bytes = found->name_bytes};
    return st;
}

static int create(struct cli *cli, mn_store *store, const struct space_word *word, uint32_t n_dims,
                  const struct mn_space_changes *changes)
{
    struct mn_space_options options = {.size = sizeof options, .n_dims = n_dims};
    struct mn_space_info found = {.size = sizeof found};
    struct mn_error err = {0};
    bool was_created = false;
    uint32_t space = 0;

    mn_status st = choose(store, word, cli_value(cli, OPTION_NAME), &found, &space, &options, &err);
    fill_settings(&options, changes, &found);
    if (st == MN_OK)
        st = mn_temporal_create_space(store, space, &options, NULL, &was_created, NULL, &err);
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "created");
    mni_json_write_bool(w, was_created);
    mni_json_write_key(w, "space");
    mni_json_write_u64(w, space);
    (void)out_end(&cli->out);
    return EXIT_CODE_OK;
}

/* A name that could not be told from a number would never be found. */
static int check_name_option(const struct cli *cli, const struct space_word *word)
{
    struct mn_slice name = cli_value(cli, OPTION_NAME);
    const char *text = name.data;
    bool is_number = true;

    if (!cli_has(cli, OPTION_NAME))
        return EXIT_CODE_OK;
    if (!word->is_number)
        return args_refuse(cli->args.command, "--name goes with the number of a space");
    for (size_t i = 0; i < name.n_bytes; i++)
        is_number = is_number && text[i] >= '0' && text[i] <= '9';
    if (is_number)
        return args_refuse(cli->args.command, "--name takes a name with something but digits");
    return EXIT_CODE_OK;
}

int run_temporal_create(struct cli *cli)
{
    struct mn_space_changes changes;
    struct space_word word;
    mn_store *store = NULL;
    uint64_t n_dims;

    if (!cli_has(cli, OPTION_DIMENSION))
        return args_refuse(cli->args.command, "--dimension is missing");
    if (!args_number(&cli->args, OPTION_DIMENSION, 1, MN_DIMENSIONS_MAX, 0, &n_dims))
        return EXIT_CODE_USAGE;
    int code = space_take(cli, &word);
    if (code == EXIT_CODE_OK)
        code = check_name_option(cli, &word);
    if (code == EXIT_CODE_OK)
        code = take_settings(cli, &changes);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_CREATE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    return cli_close(cli, store, create(cli, store, &word, (uint32_t)n_dims, &changes));
}

static int alter(struct cli *cli, mn_store *store, const struct space_word *word,
                 const struct mn_space_changes *changes)
{
    struct mn_error err = {0};
    uint64_t lsn = 0;
    uint32_t space = 0;
    int code = space_require(cli, store, word, &space);

    if (code != EXIT_CODE_OK)
        return code;
    mn_status st = mn_temporal_alter_space(store, space, changes, NULL, &lsn, &err);
    if (st != MN_OK)
        return space_say_status(cli, st, &err);
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "altered");
    mni_json_write_bool(w, lsn != 0);
    mni_json_write_key(w, "lsn");
    mni_json_write_u64(w, lsn);
    (void)out_end(&cli->out);
    return EXIT_CODE_OK;
}

int run_temporal_alter(struct cli *cli)
{
    struct mn_space_changes changes;
    struct space_word word;
    mn_store *store = NULL;
    int code = space_take(cli, &word);

    if (code == EXIT_CODE_OK)
        code = take_settings(cli, &changes);
    if (code == EXIT_CODE_OK && changes.fields == 0)
        code = args_refuse(cli->args.command, "nothing says what to alter");
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    return cli_close(cli, store, alter(cli, store, &word, &changes));
}

static int drop(struct cli *cli, mn_store *store, const struct space_word *word)
{
    struct mn_error err = {0};
    bool existed = false;
    uint32_t space = 0;

    mn_status st = space_find(store, word, &space, &err);
    if (st == MN_OK)
        st = mn_temporal_drop_space(store, space, NULL, &existed, NULL, &err);
    if (st != MN_OK && st != MN_NOT_FOUND)
        return cli_say_status(cli, st, &err);
    existed = existed && st == MN_OK;
    (void)out_bool(&cli->out, "dropped", existed);
    return existed ? EXIT_CODE_OK : space_say_none(word);
}

int run_temporal_drop(struct cli *cli)
{
    struct space_word word;
    mn_store *store = NULL;
    int code = space_take(cli, &word);

    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_WRITE, &store);
    if (code != EXIT_CODE_OK)
        return code;
    return cli_close(cli, store, drop(cli, store, &word));
}

/* Listing ---------------------------------------------------------------------------------------
 */

/* Those that are on. */
static void print_settings(struct mni_json_writer *w, const struct mn_space_info *info)
{
    const struct {
        const char *name;
        uint64_t value;
    } settings[] = {
        {"keep_us", (uint64_t)info->keep_us},       {"keep_points", info->keep_points},
        {"history_us", (uint64_t)info->history_us}, {"known_from_lsn", info->known_from_lsn},
        {"keyframe_every", info->keyframe_every},
    };

    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (settings[i].value == 0)
            continue;
        mni_json_write_key(w, settings[i].name);
        mni_json_write_u64(w, settings[i].value);
    }
}

/* A setting that is off is a dash. */
static const char *count_text(uint64_t count, bool is_human, char text[NUMBER_TEXT_BYTES])
{
    return count == 0 ? "-" : number_text(count, is_human, text);
}

static const char *age_text(int64_t us, char text[DURATION_TEXT_BYTES])
{
    return us == 0 ? "-" : seconds_format_duration(us, text);
}

static bool print_space_for_people(struct cli *cli, const struct mn_space_info *info)
{
    struct mn_slice name = {.data = info->name, .n_bytes = info->name_bytes};
    bool is_human = cli_has(cli, OPTION_HUMAN);
    char text[QUOTED_BYTES];
    char space[NUMBER_TEXT_BYTES];
    char n_dims[NUMBER_TEXT_BYTES];
    char n_points[NUMBER_TEXT_BYTES];
    char keep[DURATION_TEXT_BYTES];
    char keep_points[NUMBER_TEXT_BYTES];
    char history[DURATION_TEXT_BYTES];
    char every[NUMBER_TEXT_BYTES];

    return out_text(&cli->out, SPACE_LINE, number_text(info->space, false, space),
                    number_text(info->n_dims, is_human, n_dims),
                    number_text(info->n_points, is_human, n_points), age_text(info->keep_us, keep),
                    count_text(info->keep_points, is_human, keep_points),
                    age_text(info->history_us, history),
                    count_text(info->keyframe_every, is_human, every),
                    name.n_bytes == 0 ? "-" : quoted(name, text));
}

static bool print_space(struct cli *cli, const struct mn_space_info *info)
{
    struct mn_slice name = {.data = info->name, .n_bytes = info->name_bytes};

    if (cli_is_for_people(cli))
        return print_space_for_people(cli, info);
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "space");
    mni_json_write_u64(w, info->space);
    mni_json_write_key(w, "name");
    if (name.n_bytes == 0)
        mni_json_write_null(w);
    else
        mni_json_write_string(w, name);
    mni_json_write_key(w, "dimension");
    mni_json_write_u64(w, info->n_dims);
    mni_json_write_key(w, "count");
    mni_json_write_u64(w, info->n_points);
    print_settings(w, info);
    return out_end(&cli->out);
}

static int print_spaces(struct cli *cli, mn_store *store)
{
    struct mn_space_info info = {.size = sizeof info};
    uint32_t spaces[PAGE_NUMBERS];
    struct mn_error err = {0};
    uint32_t from = 0;
    size_t n = PAGE_NUMBERS;

    while (n == PAGE_NUMBERS) {
        mn_status st = mn_temporal_list_spaces(store, from, spaces, PAGE_NUMBERS, &n, &err);
        for (size_t i = 0; i < n && st == MN_OK; i++) {
            st = mn_temporal_space(store, spaces[i], &info, &err);
            if (st == MN_OK && !print_space(cli, &info))
                return EXIT_CODE_OK;
        }
        if (st != MN_OK)
            return cli_say_status(cli, st, &err);
        if (n > 0 && spaces[n - 1] == UINT32_MAX)
            break;
        from = n > 0 ? spaces[n - 1] + 1 : 0;
    }
    return EXIT_CODE_OK;
}

int run_temporal_spaces(struct cli *cli)
{
    mn_store *store = NULL;
    int code = cli_open(cli, OPEN_READ, &store);

    if (code != EXIT_CODE_OK)
        return code;
    if (cli_is_for_people(cli))
        (void)out_heading(&cli->out, SPACE_LINE, "SPACE", "DIMENSION", "POINTS", "KEEP",
                          "KEEP-POINTS", "HISTORY", "KEYFRAME", "NAME");
    return cli_close(cli, store, print_spaces(cli, store));
}

static bool print_entity(struct cli *cli, uint64_t entity)
{
    if (cli_is_for_people(cli))
        return out_text(&cli->out, "%20" PRIu64, entity);
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "entity");
    mni_json_write_u64_string(w, entity);
    return out_end(&cli->out);
}

static int print_entities(struct cli *cli, mn_store *store, uint32_t space, uint64_t from,
                          uint64_t limit)
{
    uint64_t entities[PAGE_NUMBERS];
    struct mn_error err = {0};
    size_t n = 0;

    while (limit > 0) {
        size_t n_max = limit < PAGE_NUMBERS ? (size_t)limit : PAGE_NUMBERS;
        mn_status st = mn_temporal_list_entities(store, space, from, entities, n_max, &n, &err);
        if (st != MN_OK)
            return space_say_status(cli, st, &err);
        for (size_t i = 0; i < n; i++) {
            if (!print_entity(cli, entities[i]))
                return EXIT_CODE_OK;
        }
        if (n < n_max || entities[n - 1] == UINT64_MAX)
            break;
        from = entities[n - 1] + 1;
        limit -= n;
    }
    return EXIT_CODE_OK;
}

int run_temporal_entities(struct cli *cli)
{
    struct space_word word;
    mn_store *store = NULL;
    uint64_t limit;
    uint64_t after;
    uint32_t space = 0;

    if (!args_number(&cli->args, OPTION_LIMIT, 0, UINT64_MAX, UINT64_MAX, &limit) ||
        !args_number(&cli->args, OPTION_AFTER, 0, UINT64_MAX, 0, &after))
        return EXIT_CODE_USAGE;
    int code = space_take(cli, &word);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    code = space_require(cli, store, &word, &space);
    if (code == EXIT_CODE_OK && cli_is_for_people(cli))
        (void)out_heading(&cli->out, "%20s", "ENTITY");
    if (cli_has(cli, OPTION_AFTER) && after == UINT64_MAX)
        limit = 0;
    if (code == EXIT_CODE_OK)
        code = print_entities(cli, store, space, cli_has(cli, OPTION_AFTER) ? after + 1 : 0, limit);
    return cli_close(cli, store, code);
}

int run_temporal_timeline(struct cli *cli)
{
    struct mn_timeline timeline = {0};
    struct space_word word;
    struct mn_error err = {0};
    mn_store *store = NULL;
    uint64_t entity = 0;
    uint32_t space = 0;
    int code = space_take(cli, &word);

    if (code == EXIT_CODE_OK)
        code = space_take_entity(cli, 1, &entity);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code != EXIT_CODE_OK)
        return code;
    code = space_require(cli, store, &word, &space);
    if (code != EXIT_CODE_OK)
        return cli_close(cli, store, code);
    mn_status st = mn_temporal_timeline(store, space, entity, &timeline, &err);
    if (st != MN_OK)
        return cli_close(cli, store, space_say_status(cli, st, &err));
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "entity");
    mni_json_write_u64_string(w, entity);
    mni_json_write_key(w, "count");
    mni_json_write_u64(w, timeline.n_points);
    mni_json_write_key(w, "first_us");
    mni_json_write_i64(w, timeline.first_us);
    mni_json_write_key(w, "last_us");
    mni_json_write_i64(w, timeline.last_us);
    if (timeline.keyframe_every != 0) {
        mni_json_write_key(w, "keyframe_every");
        mni_json_write_u64(w, timeline.keyframe_every);
    }
    (void)out_end(&cli->out);
    return cli_close(cli, store, EXIT_CODE_OK);
}
