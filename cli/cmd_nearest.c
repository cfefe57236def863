/*
 * cmd_nearest.c - temporal nearest.
 *
 * Owns:    the search, until its results are printed.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "hits_table.h"
#include "numbers.h"
#include "query_in.h"
#include "record_out.h"
#include "seconds.h"
#include "space.h"
#include "stop.h"
#include "talk.h"
#include "times.h"

enum { RESULTS_OTHERWISE = 10 };

/* What was asked for. */
struct request {
    struct space_word word;
    struct query_in query;
    struct mn_nearest_options options;
    size_t limit;
    enum vectors vectors;
};

/* The command line ------------------------------------------------------------------------------
 */

static int take_scope(const struct cli *cli, struct mn_nearest_options *o)
{
    if (!cli_has(cli, OPTION_AT)) {
        if (cli_has(cli, OPTION_FROM) || cli_has(cli, OPTION_TO))
            o->scope = MN_NEAREST_WITHIN;
        return space_take_interval(cli, &o->from_us, &o->to_us);
    }
    if (cli_has(cli, OPTION_FROM) || cli_has(cli, OPTION_TO))
        return args_refuse(cli->args.command, "--at and --from or --to exclude each other");
    o->scope = MN_NEAREST_AS_OF;
    return space_take_time(cli, cli->args.values[OPTION_AT], &o->at_us);
}

static int take_weights(const struct cli *cli, struct mn_nearest_options *o)
{
    const struct command *command = cli->args.command;
    const char *alpha = cli->args.values[OPTION_ALPHA];
    const char *half_life = cli->args.values[OPTION_HALF_LIFE];

    o->weighs_time = alpha != NULL || half_life != NULL;
    o->has_around = cli_has(cli, OPTION_AROUND);
    if (!o->weighs_time && o->has_around)
        return args_refuse(command, "--around counts with --alpha and --half-life only");
    if (!o->weighs_time)
        return EXIT_CODE_OK;
    if (alpha == NULL || half_life == NULL)
        return args_refuse(command, "--alpha and --half-life belong together");
    if (!mni_json_parse_double(mn_str(alpha), &o->alpha) || !(o->alpha >= 0 && o->alpha <= 1))
        return args_refuse(command, "--alpha takes a number from 0 to 1, not \"%s\"", alpha);
    if (!mni_json_parse_double(mn_str(half_life), &(double){0}) ||
        !seconds_parse(mn_str(half_life), &o->half_life_us) || o->half_life_us < 1)
        return args_refuse(
            command, "--half-life takes seconds, from 0.000001 to 9223372036854.775807, not \"%s\"",
            half_life);
    if (o->has_around)
        return space_take_time(cli, cli->args.values[OPTION_AROUND], &o->around_us);
    if (o->scope == MN_NEAREST_EVER || (o->scope == MN_NEAREST_WITHIN && !cli_has(cli, OPTION_TO)))
        return args_refuse(command, "near which time? Give --around, --at or --to");
    return EXIT_CODE_OK;
}

static bool is_stopped(void *context)
{
    (void)context;
    return stop_asked();
}

static int take_request(const struct cli *cli, struct request *request)
{
    static const char *const metrics[] = {"cosine", "l2", NULL};
    struct mn_nearest_options *o = &request->options;
    uint64_t limit;
    int metric;
    int vectors;

    o->size = sizeof *o;
    o->is_cancelled = is_stopped;
    if (cli_has(cli, OPTION_VECTORS) && cli_is_for_people(cli))
        return args_refuse(cli->args.command, "a table has no vectors: leave --vectors out");
    if (!args_number(&cli->args, OPTION_K, 1, MN_SEARCH_RESULTS_MAX, RESULTS_OTHERWISE, &limit) ||
        !args_choice(&cli->args, OPTION_METRIC, metrics, 0, &metric) ||
        !args_choice(&cli->args, OPTION_VECTORS, vectors_choices, VECTORS_NONE, &vectors))
        return EXIT_CODE_USAGE;
    request->limit = (size_t)limit;
    request->vectors = (enum vectors)vectors;
    o->metric = metric == 0 ? MN_METRIC_COSINE : MN_METRIC_L2;
    int code = take_scope(cli, o);
    if (code == EXIT_CODE_OK)
        code = take_weights(cli, o);
    if (code == EXIT_CODE_OK)
        code = query_in_take_timeout(cli, &o->timeout_us);
    if (code == EXIT_CODE_OK)
        code = space_take(cli, &request->word);
    return code == EXIT_CODE_OK ? query_in_take(cli, &request->query) : code;
}

/* Printing --------------------------------------------------------------------------------------
 */

static bool print_stats_for_people(struct cli *cli, const struct mn_nearest_stats *stats)
{
    bool is_human = cli_has(cli, OPTION_HUMAN);
    char results[NUMBER_TEXT_BYTES];
    char entities[NUMBER_TEXT_BYTES];
    char points[NUMBER_TEXT_BYTES];

    return out_text(&cli->out, "\n%s results; %s points of %s entities compared in %.3f ms",
                    number_text(stats->n_results, is_human, results),
                    number_text(stats->n_points, is_human, points),
                    number_text(stats->n_entities, is_human, entities),
                    (double)stats->duration_us / 1000);
}

static bool print_stats(struct cli *cli, const struct mn_nearest_stats *stats)
{
    const struct {
        const char *key;
        uint64_t value;
    } figures[] = {
        {"results", stats->n_results},
        {"entities", stats->n_entities},
        {"points", stats->n_points},
        {"passed", stats->n_passed},
        {"duration_us", (uint64_t)stats->duration_us}, /* of opening */
    };

    if (cli_is_for_people(cli))
        return print_stats_for_people(cli, stats);
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "stats");
    mni_json_write_object_begin(w);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        mni_json_write_key(w, figures[i].key);
        mni_json_write_u64(w, figures[i].value);
    }
    mni_json_write_object_end(w);
    return out_end(&cli->out);
}

/* Prints a result, or adds it to the table. */
static bool print_hit(struct cli *cli, const struct request *request, struct hits_table *table,
                      uint64_t rank, const struct mn_nearest_hit *hit)
{
    char entity[24];
    char time[TIME_TEXT_BYTES];
    const struct hit_text text = {.rank = rank,
                                  .score = hit->distance,
                                  .id = entity,
                                  .time = time_format(hit->view.time_us, time),
                                  .metadata = hit->view.metadata};

    if (!cli_is_for_people(cli))
        return record_out_nearest(&cli->out, hit, request->options.weighs_time, request->vectors);
    (void)snprintf(entity, sizeof entity, "%" PRIu64, hit->view.entity);
    bool is_added = hits_table_add(table, &text) == MN_OK;
    if (!is_added)
        say("out of memory");
    return is_added;
}

static int print_results(struct cli *cli, const struct request *request, mn_nearest *nearest)
{
    struct mn_nearest_stats stats = {.size = sizeof stats};
    struct hits_table table = {.is_of_points = true};
    struct mn_nearest_hit hit;
    struct mn_error err = {0};
    uint64_t rank = 0;
    uint64_t n_damaged = 0;
    bool is_fine = true;
    mn_status st;

    do {
        st = mn_temporal_nearest_next(nearest, &hit, &err);
        rank++;                     /* of a damaged one too */
        if (st == MN_ERR_CORRUPT) { /* the results behind it may be read */
            say_damaged(cli, (struct mn_slice){0}, &err, &n_damaged);
            continue;
        }
        if (st != MN_OK)
            break;
        is_fine = print_hit(cli, request, &table, rank, &hit);
        mn_point_release(&hit.view);
    } while (is_fine);
    int code = damaged_code(n_damaged);
    if (st != MN_OK && st != MN_END)
        code = worse_code(code, cli_say_status(cli, st, &err));
    else if (is_fine && cli_is_for_people(cli))
        is_fine = hits_table_print(&table, &cli->out, hits_table_columns());
    hits_table_done(&table);
    if (is_fine && cli_has(cli, OPTION_STATS)) {
        st = mn_temporal_nearest_stats(nearest, &stats, &err);
        if (st == MN_OK)
            is_fine = print_stats(cli, &stats);
        else
            code = worse_code(code, cli_say_status(cli, st, &err));
    }
    return is_fine || cli->out.is_closed ? code : worse_code(code, EXIT_CODE_FAILURE);
}

/* Running ---------------------------------------------------------------------------------------
 */

static int find(struct cli *cli, mn_store *store, uint32_t space, const struct request *request)
{
    const struct query_in *query = &request->query;
    mn_nearest *nearest = NULL;
    struct mn_error err = {0};

    stop_gently();
    mn_status st = mn_temporal_nearest_open(store, space, query->vector, query->n_dims,
                                            request->limit, &request->options, &nearest, &err);
    stop_at_once(); /* ends the process here if it was asked to */
    if (st == MN_ERR_TIMEOUT)
        return query_in_say_timeout(cli);
    if (st != MN_OK)
        return space_say_status(cli, st, &err);
    int code = print_results(cli, request, nearest);
    mn_temporal_nearest_close(nearest);
    return code;
}

int run_temporal_nearest(struct cli *cli)
{
    struct request request = {0};
    mn_store *store = NULL;
    uint32_t space = 0;

    int code = take_request(cli, &request);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code == EXIT_CODE_OK)
        code = space_require(cli, store, &request.word, &space);
    if (code == EXIT_CODE_OK)
        code = find(cli, store, space, &request);
    query_in_done(&request.query);
    return cli_close(cli, store, code);
}
