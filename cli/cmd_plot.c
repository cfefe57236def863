/*
 * cmd_plot.c - temporal plot.
 *
 * Owns:    the points, their picture, and the file it goes to.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "exit_codes.h"
#include "hits_table.h"
#include "picture.h"
#include "stop.h"
#include "talk.h"

enum { SUBJECT_BYTES = QUOTED_BYTES + 64 };

/* What was asked for. */
struct request {
    struct subject subject;
    int64_t from_us;
    int64_t to_us;
    mn_metric metric;
};

static int take_request(const struct cli *cli, struct request *request)
{
    static const char *const metrics[] = {"cosine", "l2", NULL};
    int metric;

    if (!args_choice(&cli->args, OPTION_METRIC, metrics, 0, &metric))
        return EXIT_CODE_USAGE;
    if (cli_has(cli, OPTION_SVG) && cli->args.values[OPTION_SVG][0] == '\0')
        return args_refuse(cli->args.command, "--svg takes the name of a file, which is not empty");
    request->metric = metric == 0 ? MN_METRIC_COSINE : MN_METRIC_L2;
    int code = subject_take(cli, &request->subject);
    return code == EXIT_CODE_OK ? space_take_interval(cli, &request->from_us, &request->to_us)
                                : code;
}

/* Whether the terminal shows UTF-8, as the environment has it. */
static bool is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *locale = getenv(names[i]);
        if (locale != NULL && locale[0] != '\0')
            return strstr(locale, "UTF-8") != NULL || strstr(locale, "utf8") != NULL ||
                   strstr(locale, "UTF8") != NULL || strstr(locale, "utf-8") != NULL;
    }
    return false;
}

/* Drawing ---------------------------------------------------------------------------------------
 */

static int write_svg(struct cli *cli, const struct picture *picture)
{
    const char *path = cli->args.values[OPTION_SVG];
    struct whole_file file = {0};
    struct mn_error err = {0};
    char not_written[2048];

    if (whole_file_is_below(path, cli->dir)) {
        say("%s: is in the directory of the store", path);
        return EXIT_CODE_FAILURE;
    }
    (void)snprintf(not_written, sizeof not_written, "%.2000s is not written", path);
    stop_says(not_written);
    mn_status st = whole_file_begin(&file, path, &err);
    if (st == MN_OK)
        st = picture_write_svg(picture, &file, &err);
    if (st == MN_OK)
        st = whole_file_commit(&file, &err);
    else
        whole_file_abandon(&file);
    if (st != MN_OK) {
        say("%s: %s", path, status_text(st, &err));
        return EXIT_CODE_FAILURE;
    }
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "svg");
    mni_json_write_string(w, mn_str(path));
    mni_json_write_key(w, "points");
    mni_json_write_u64(w, picture->trajectory.n_points);
    (void)out_end(&cli->out);
    return EXIT_CODE_OK;
}

static int draw(struct cli *cli, struct picture *picture)
{
    struct mn_error err = {0};
    mn_status st = picture_make(picture, &err);
    int code = EXIT_CODE_OK;

    if (st != MN_OK)
        code = cli_say_status(cli, st, &err);
    else if (cli_has(cli, OPTION_SVG))
        code = write_svg(cli, picture);
    else
        (void)picture_print(picture, &cli->out, hits_table_columns(), is_utf8());
    picture_done(picture);
    return code;
}

/* space "moods", entity 42 */
static void name_subject(const struct subject *subject, char text[SUBJECT_BYTES])
{
    char name[QUOTED_BYTES];

    if (subject->word.is_number)
        (void)snprintf(name, sizeof name, "%" PRIu32, subject->space);
    else
        (void)quoted(subject->word.name, name);
    (void)snprintf(text, SUBJECT_BYTES, "space %s, entity %" PRIu64, name, subject->entity);
}

static int plot(struct cli *cli, mn_store *store, const struct request *request)
{
    struct points points = {0};
    struct mn_error err = {0};
    char subject[SUBJECT_BYTES];
    int code = EXIT_CODE_OK;
    mn_status st = points_read(store, &request->subject, request->from_us, request->to_us, true,
                               &points, &err);

    if (points.n_odd > 0)
        say("%zu point%s with NaN or infinite elements left out", points.n_odd,
            points.n_odd == 1 ? "" : "s");
    if (st != MN_OK) {
        code = space_say_status(cli, st, &err);
    } else if (points.n_points == 0) {
        say("entity %" PRIu64 " has no points to draw", request->subject.entity);
        code = EXIT_CODE_NOT_FOUND;
    } else {
        struct picture picture = {.subject = subject,
                                  .metric = request->metric,
                                  .trajectory = points_trajectory(&points)};
        name_subject(&request->subject, subject);
        code = draw(cli, &picture);
    }
    points_done(&points);
    return code;
}

int run_temporal_plot(struct cli *cli)
{
    struct request request = {0};
    mn_store *store = NULL;

    int code = take_request(cli, &request);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code == EXIT_CODE_OK)
        code = space_require(cli, store, &request.subject.word, &request.subject.space);
    if (code == EXIT_CODE_OK)
        code = plot(cli, store, &request);
    return cli_close(cli, store, code);
}
