/*
 * cmd_search.c - search.
 *
 * Owns:    the search, until its results are printed.
 * Threads: the main one; the library may have more, which ask whether to stop.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <math.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "hits_table.h"
#include "numbers.h"
#include "query_in.h"
#include "record_out.h"
#include "stop.h"
#include "talk.h"

enum { RESULTS_OTHERWISE = 10 };

/* What was asked for. */
struct request {
    struct query_in query;
    struct mn_search_options options;
    size_t limit;
    enum vectors vectors;
};

/* The command line ------------------------------------------------------------------------------
 */

/* What is printed as a score is one, infinite ones included. */
static bool read_score(const char *text, float *score_out)
{
    if (strcmp(text, "1e999") == 0)
        *score_out = INFINITY;
    else if (strcmp(text, "-1e999") == 0)
        *score_out = -INFINITY;
    else
        return mni_json_parse_float(mn_str(text), score_out);
    return true;
}

static int take_min_score(const struct cli *cli, struct mn_search_options *options)
{
    const char *text = cli->args.values[OPTION_MIN_SCORE];

    options->has_min_score = text != NULL;
    if (text != NULL && !read_score(text, &options->min_score))
        return args_refuse(cli->args.command, "--min-score takes a number, as 0.5, not \"%s\"",
                           text);
    return EXIT_CODE_OK;
}

static int take_numbers(const struct cli *cli, struct request *request)
{
    static const char *const metrics[] = {"cosine", "dot", "l2", NULL};
    static const mn_metric metric_of[] = {MN_METRIC_COSINE, MN_METRIC_DOT, MN_METRIC_L2};
    const struct args *args = &cli->args;
    uint64_t limit;
    uint64_t offset;
    uint64_t n_threads;
    int metric;
    int vectors;

    if (!args_number(args, OPTION_K, 1, MN_SEARCH_RESULTS_MAX, RESULTS_OTHERWISE, &limit) ||
        !args_number(args, OPTION_OFFSET, 0, MN_SEARCH_RESULTS_MAX - 1, 0, &offset) ||
        !args_number(args, OPTION_THREADS, 1, 2, 0, &n_threads) ||
        !args_choice(args, OPTION_METRIC, metrics, 0, &metric) ||
        !args_choice(args, OPTION_VECTORS, vectors_choices, VECTORS_NONE, &vectors))
        return EXIT_CODE_USAGE;
    if (limit + offset > MN_SEARCH_RESULTS_MAX)
        return args_refuse(args->command, "-k and --offset are together more than %d",
                           MN_SEARCH_RESULTS_MAX);
    request->limit = (size_t)limit;
    request->options.offset = (size_t)offset;
    request->options.n_threads = (unsigned)n_threads;
    request->options.metric = metric_of[metric];
    request->vectors = (enum vectors)vectors;
    return EXIT_CODE_OK;
}

static bool is_stopped(void *context)
{
    (void)context;
    return stop_asked();
}

/* All but the vector of --id, which needs the store. */
static int take_request(const struct cli *cli, struct request *request)
{
    request->options.size = sizeof request->options;
    request->options.full_scan = cli_has(cli, OPTION_FULL_SCAN);
    request->options.is_cancelled = is_stopped;
    if (cli_has(cli, OPTION_FILTER))
        return args_refuse(cli->args.command,
                           "there are no filters yet: a search looks at all records of NS");
    if (cli_has(cli, OPTION_VECTORS) && cli_is_for_people(cli))
        return args_refuse(cli->args.command, "a table has no vectors: leave --vectors out");
    int code = take_numbers(cli, request);
    if (code == EXIT_CODE_OK)
        code = take_min_score(cli, &request->options);
    if (code == EXIT_CODE_OK)
        code = query_in_take_timeout(cli, &request->options.timeout_us);
    return code == EXIT_CODE_OK ? query_in_take(cli, &request->query) : code;
}

/* Printing --------------------------------------------------------------------------------------
 */

static bool print_stats_for_people(struct cli *cli, const struct mn_search_stats *stats)
{
    bool is_human = cli_has(cli, OPTION_HUMAN);
    char results[NUMBER_TEXT_BYTES];
    char scanned[NUMBER_TEXT_BYTES];
    char refined[NUMBER_TEXT_BYTES];
    char bytes[NUMBER_TEXT_BYTES];

    return out_text(&cli->out, "\n%s results; %s vectors compared, %s refined; %s read in %.3f ms",
                    number_text(stats->n_results, is_human, results),
                    number_text(stats->n_scanned, is_human, scanned),
                    number_text(stats->n_refined, is_human, refined),
                    bytes_text(stats->bytes_read, bytes), (double)stats->duration_us / 1000);
}

static bool print_stats(struct cli *cli, const struct mn_search_stats *stats)
{
    const struct out_figure figures[] = {
        {"results", stats->n_results}, {"scanned", stats->n_scanned},
        {"refined", stats->n_refined}, {"fallback", stats->n_fallback},
        {"damaged", stats->n_damaged}, {"bytes_read", stats->bytes_read},
        {"threads", stats->n_threads}, {"duration_us", (uint64_t)stats->duration_us},
    };

    if (cli_is_for_people(cli))
        return print_stats_for_people(cli, stats);
    struct mni_json_writer *w = out_begin(&cli->out);
    mni_json_write_key(w, "stats");
    mni_json_write_object_begin(w);
    out_figures(w, figures, sizeof figures / sizeof figures[0]);
    mni_json_write_object_end(w);
    return out_end(&cli->out);
}

/* Prints a result, or adds it to the table. */
static bool print_hit(struct cli *cli, const struct request *request, struct hits_table *table,
                      uint64_t rank, const struct mn_search_hit *hit)
{
    char id[QUOTED_BYTES];
    const struct hit_text text = {.rank = rank,
                                  .score = (double)hit->score,
                                  .id = quoted(hit->view.id, id),
                                  .metadata = hit->view.metadata};

    if (!cli_is_for_people(cli))
        return record_out_hit(&cli->out, &hit->view, hit->score, request->vectors);
    bool is_added = hits_table_add(table, &text) == MN_OK;
    if (!is_added)
        say("out of memory");
    return is_added;
}

static int print_results(struct cli *cli, const struct request *request, mn_search *search)
{
    struct mn_search_stats stats = {.size = sizeof stats};
    struct hits_table table = {0};
    struct mn_search_hit hit;
    struct mn_error err = {0};
    uint64_t rank = request->options.offset;
    uint64_t n_damaged = 0;
    bool is_fine = true;
    mn_status st;

    do {
        st = mn_search_next(search, &hit, &err);
        rank++;                     /* of a damaged one too */
        if (st == MN_ERR_CORRUPT) { /* the results behind it may be read */
            say_damaged(cli, (struct mn_slice){0}, &err, &n_damaged);
            continue;
        }
        if (st != MN_OK)
            break;
        is_fine = print_hit(cli, request, &table, rank, &hit);
        mn_view_release(&hit.view);
    } while (is_fine);
    int code = damaged_code(n_damaged);
    if (st != MN_OK && st != MN_END)
        code = worse_code(code, cli_say_status(cli, st, &err));
    else if (is_fine && cli_is_for_people(cli))
        is_fine = hits_table_print(&table, &cli->out, hits_table_columns());
    hits_table_done(&table);
    if (is_fine && cli_has(cli, OPTION_STATS)) {
        st = mn_search_stats(search, &stats, &err);
        if (st == MN_OK)
            is_fine = print_stats(cli, &stats);
        else
            code = worse_code(code, cli_say_status(cli, st, &err));
    }
    return is_fine || cli->out.is_closed ? code : worse_code(code, EXIT_CODE_FAILURE);
}

/* Running ---------------------------------------------------------------------------------------
 */

static int search(struct cli *cli, mn_store *store, struct request *request)
{
    const struct query_in *query = &request->query;
    mn_search *found = NULL;
    struct mn_error err = {0};

    if (cli_has(cli, OPTION_ID)) {
        int code = query_in_take_record(cli, store, &request->query);
        if (code != EXIT_CODE_OK)
            return code;
    }
    stop_gently();
    mn_status st = mn_search_open(store, cli_word(cli, 0), query->vector, 1, query->n_dims,
                                  request->limit, &request->options, &found, &err);
    stop_at_once(); /* ends the process here if it was asked to */
    if (st == MN_NOT_FOUND)
        return say_no_namespace(cli_word(cli, 0));
    if (st == MN_ERR_TIMEOUT)
        return query_in_say_timeout(cli);
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    int code = print_results(cli, request, found);
    mn_search_close(found);
    return code;
}

int run_search(struct cli *cli)
{
    struct request request = {0};
    mn_store *store = NULL;

    int code = take_request(cli, &request);
    if (code == EXIT_CODE_OK)
        code = cli_open(cli, OPEN_READ, &store);
    if (code == EXIT_CODE_OK)
        code = cli_close(cli, store, search(cli, store, &request));
    query_in_done(&request.query);
    return code;
}
