/*
 * cmd_trajectory.c - temporal drift, changes.
 *
 * Owns:    the points being looked at.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>
#include <math.h>

#include "base/mem.h"
#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "points.h"
#include "talk.h"
#include "json/json.h"

enum { TOP_DEFAULT = 10 };

/* JSON has no infinity, but numbers that are read as it, and nothing for NaN but null. */
static void write_number(struct mni_json_writer *w, const char *key, double value)
{
    mni_json_write_key(w, key);
    if (isnan(value))
        mni_json_write_null(w);
    else if (isinf(value))
        mni_json_write_raw(w, mn_str(value > 0 ? "1e999" : "-1e999"));
    else
        mni_json_write_double(w, value);
}

/* A float as its own digits, not as those of the double that it is. */
static void write_element(struct mni_json_writer *w, const char *key, float value)
{
    if (!isfinite(value)) {
        write_number(w, key, (double)value);
        return;
    }
    mni_json_write_key(w, key);
    mni_json_write_float(w, value);
}

/* Drift -----------------------------------------------------------------------------------------
 */

static bool print_drift(struct cli *cli, const struct mn_point_view *from,
                        const struct mn_point_view *to, const struct mn_drift *drift,
                        const struct mn_drift_dimension *moved, size_t n_moved)
{
    struct mni_json_writer *w = out_begin(&cli->out);

    mni_json_write_key(w, "entity");
    mni_json_write_u64_string(w, from->entity);
    mni_json_write_key(w, "from_us");
    mni_json_write_i64(w, from->time_us);
    mni_json_write_key(w, "to_us");
    mni_json_write_i64(w, to->time_us);
    write_number(w, "cosine", drift->cosine);
    write_number(w, "l2", drift->l2);
    mni_json_write_key(w, "moved");
    mni_json_write_array_begin(w);
    for (size_t i = 0; i < n_moved; i++) {
        mni_json_write_object_begin(w);
        mni_json_write_key(w, "dimension");
        mni_json_write_u64(w, moved[i].dimension);
        write_element(w, "from", moved[i].from);
        write_element(w, "to", moved[i].to);
        write_number(w, "change", moved[i].change);
        mni_json_write_object_end(w);
    }
    mni_json_write_array_end(w);
    return out_end(&cli->out);
}

static int compare(struct cli *cli, const struct mn_point_view *from,
                   const struct mn_point_view *to, uint64_t top)
{
    size_t n_moved = top < from->n_dims ? (size_t)top : from->n_dims;
    struct mn_drift_dimension *moved = mni_alloc_array(n_moved + 1, sizeof *moved);
    struct mn_drift drift = {0};
    struct mn_error err = {0};

    if (moved == NULL) {
        say("out of memory");
        return EXIT_CODE_FAILURE;
    }
    mn_status st = mn_trajectory_drift(from->vector, to->vector, from->n_dims, &drift,
                                       n_moved == 0 ? NULL : moved, n_moved, &err);
    int code = st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err);
    if (st == MN_OK)
        (void)print_drift(cli, from, to, &drift, moved, n_moved);
    mni_free(moved);
    return code;
}

static int drift(struct cli *cli, mn_store *store, const struct subject *subject, int64_t from_us,
                 int64_t to_us, uint64_t top)
{
    struct mn_point_view from = {0};
    struct mn_point_view to = {0};
    struct mn_error err = {0};
    int code = EXIT_CODE_OK;

    mn_status st = mn_temporal_as_of(store, subject->space, subject->entity, from_us, &from, &err);
    if (st == MN_OK)
        st = mn_temporal_as_of(store, subject->space, subject->entity, to_us, &to, &err);
    if (st == MN_OK)
        code = compare(cli, &from, &to, top);
    else
        code = space_say_status(cli, st, &err);
    mn_point_release(&from);
    mn_point_release(&to);
    return code;
}

int run_temporal_drift(struct cli *cli)
{
    struct subject subject = {0};
    mn_store *store = NULL;
    int64_t from_us = 0;
    int64_t to_us = 0;
    uint64_t top;

    if (!args_number(&cli->args, OPTION_TOP, 0, MN_DIMENSIONS_MAX, TOP_DEFAULT, &top))
        return EXIT_CODE_USAGE;
    int code = subject_take(cli, &subject);
    if (code == EXIT_CODE_OK)
        code = space_take_time(cli, cli->args.words[2], &from_us);
    if (code == EXIT_CODE_OK)
        code = space_take_time(cli, cli->args.words[3], &to_us);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code == EXIT_CODE_OK)
        code = space_require(cli, store, &subject.word, &subject.space);
    if (code == EXIT_CODE_OK)
        code = drift(cli, store, &subject, from_us, to_us, top);
    return cli_close(cli, store, code);
}

/* Changes ---------------------------------------------------------------------------------------
 */

static void print_changes(struct cli *cli, const struct points *points, const size_t *changes,
                          const struct mn_changes *result)
{
    const int64_t *times_us = (const int64_t *)(const void *)points->times.data;

    for (size_t i = 0; i < result->n_changes; i++) {
        struct mni_json_writer *w = out_begin(&cli->out);
        mni_json_write_key(w, "time_us");
        mni_json_write_i64(w, times_us[changes[i]]);
        mni_json_write_key(w, "point");
        mni_json_write_u64(w, changes[i]);
        if (!out_end(&cli->out))
            return;
    }
    if (!cli_has(cli, OPTION_STATS))
        return;
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "stats");
    mni_json_write_object_begin(w);
    mni_json_write_key(w, "points");
    mni_json_write_u64(w, points->n_points);
    mni_json_write_key(w, "changes");
    mni_json_write_u64(w, result->n_changes);
    write_number(w, "penalty", result->penalty);
    write_number(w, "noise", result->noise);
    write_number(w, "cost", result->cost);
    mni_json_write_object_end(w);
    (void)out_end(&cli->out);
}

static int find_changes(struct cli *cli, const struct points *points,
                        const struct mn_changes_options *options)
{
    struct mn_trajectory trajectory = points_trajectory(points);
    size_t *changes = mni_alloc_array(points->n_points + 1, sizeof *changes);
    struct mn_changes result = {0};
    struct mn_error err = {0};

    if (changes == NULL) {
        say("out of memory");
        return EXIT_CODE_FAILURE;
    }
    mn_status st =
        mn_trajectory_changes(&trajectory, options, changes, points->n_points, &result, &err);
    int code = st == MN_OK ? EXIT_CODE_OK : cli_say_status(cli, st, &err);
    if (st == MN_OK)
        print_changes(cli, points, changes, &result);
    mni_free(changes);
    return code;
}

static int changes(struct cli *cli, mn_store *store, const struct subject *subject, int64_t from_us,
                   int64_t to_us, const struct mn_changes_options *options)
{
    struct points points = {0};
    struct mn_error err = {0};
    int code;

    mn_status st = points_read(store, subject, from_us, to_us, false, &points, &err);
    if (st == MN_OK)
        code = find_changes(cli, &points, options);
    else
        code = space_say_status(cli, st, &err);
    points_done(&points);
    return code;
}

static int take_changes_options(const struct cli *cli, struct mn_changes_options *options)
{
    const char *penalty = cli->args.values[OPTION_PENALTY];
    uint64_t min_points;

    *options = (struct mn_changes_options){.size = sizeof *options};
    if (!args_number(&cli->args, OPTION_MIN_LENGTH, 1, SIZE_MAX, 0, &min_points))
        return EXIT_CODE_USAGE;
    options->min_points = (size_t)min_points;
    if (penalty == NULL)
        return EXIT_CODE_OK;
    options->has_penalty = true;
    if (mni_json_parse_double(mn_str(penalty), &options->penalty) && options->penalty >= 0)
        return EXIT_CODE_OK;
    return args_refuse(cli->args.command, "--penalty takes a number, 0 or more, not \"%s\"",
                       penalty);
}

int run_temporal_changes(struct cli *cli)
{
    struct mn_changes_options options;
    struct subject subject = {0};
    mn_store *store = NULL;
    int64_t from_us = 0;
    int64_t to_us = 0;
    int code = take_changes_options(cli, &options);

    if (code == EXIT_CODE_OK)
        code = subject_take(cli, &subject);
    if (code == EXIT_CODE_OK)
        code = space_take_interval(cli, &from_us, &to_us);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code == EXIT_CODE_OK)
        code = space_require(cli, store, &subject.word, &subject.space);
    if (code == EXIT_CODE_OK)
        code = changes(cli, store, &subject, from_us, to_us, &options);
    return cli_close(cli, store, code);
}
