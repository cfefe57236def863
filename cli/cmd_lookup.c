/*
 * cmd_lookup.c - cache lookup.
 *
 * Owns:    the embedding, and what was found until it is printed.
 * Threads: the main one.
 * Fails:   says why on stderr and returns an exit code.
 */
#include <inttypes.h>

#include "commands.h"
#include "entry_out.h"
#include "exit_codes.h"
#include "query_in.h"
#include "talk.h"
#include "tenant.h"

/* What is looked for. */
struct request {
    uint64_t tenant;
    struct key_option key;
    struct query_in embedding;
    struct mn_semcache_query query;
};

/* The command line ------------------------------------------------------------------------------
 */

static int take_scope(const struct cli *cli, struct mn_semcache_query *query)
{
    const struct command *command = cli->args.command;

    if (!args_number(&cli->args, OPTION_CONTEXT, 0, UINT64_MAX, 0, &query->context))
        return EXIT_CODE_USAGE;
    if (cli_has(cli, OPTION_CONTEXT) && cli_has(cli, OPTION_ANY_CONTEXT))
        return args_refuse(command, "--context and --any-context exclude each other");
    /* A key is made with the model, whatever the scope is. */
    if (cli_has(cli, OPTION_MODEL) && cli_has(cli, OPTION_ANY_MODEL) &&
        !cli_has(cli, OPTION_REQUEST))
        return args_refuse(command, "--model and --any-model exclude each other");
    query->model = cli_value(cli, OPTION_MODEL);
    query->fields |= cli_has(cli, OPTION_ANY_MODEL) ? MN_SEMCACHE_ANY_MODEL : 0;
    query->fields |= cli_has(cli, OPTION_ANY_CONTEXT) ? MN_SEMCACHE_ANY_CONTEXT : 0;
    return EXIT_CODE_OK;
}

static int take_similarity(const struct cli *cli, struct mn_semcache_query *query)
{
    const char *text = cli->args.values[OPTION_MIN_SIMILARITY];
    const struct command *command = cli->args.command;

    if (text == NULL)
        return args_refuse(command, "--min-similarity is missing");
    if (!mni_json_parse_float(mn_str(text), &query->min_similarity) ||
        !(query->min_similarity > 0 && query->min_similarity <= 1))
        return args_refuse(command, "--min-similarity takes a number above 0, up to 1, not \"%s\"",
                           text);
    return EXIT_CODE_OK;
}

static int take_numbers(const struct cli *cli, struct mn_semcache_query *query)
{
    uint64_t n_candidates;
    uint64_t n_refined;

    if (!args_number(&cli->args, OPTION_CANDIDATES, 1, MN_SEMCACHE_CANDIDATES_MAX,
                     MN_SEMCACHE_CANDIDATES_DEFAULT, &n_candidates) ||
        !args_number(&cli->args, OPTION_REFINED, 1, MN_SEMCACHE_CANDIDATES_MAX,
                     n_candidates < MN_SEMCACHE_REFINED_DEFAULT ? n_candidates
                                                                : MN_SEMCACHE_REFINED_DEFAULT,
                     &n_refined))
        return EXIT_CODE_USAGE;
    if (n_refined > n_candidates)
        return args_refuse(cli->args.command, "--refined is more than --candidates, %" PRIu64,
                           n_candidates);
    query->n_candidates = (uint32_t)n_candidates;
    query->n_refined = (uint32_t)n_refined;
    return EXIT_CODE_OK;
}

/* Options that say how embeddings are compared, where there is none. */
static int refuse_without_embedding(const struct cli *cli)
{
    static const enum option options[] = {OPTION_MIN_SIMILARITY, OPTION_CANDIDATES, OPTION_REFINED};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (cli_has(cli, options[i]))
            return args_refuse(cli->args.command, "%s goes with an embedding",
                               option_name(options[i]));
    }
    return EXIT_CODE_OK;
}

static int take_request(const struct cli *cli, struct request *r)
{
    struct mn_semcache_query *query = &r->query;
    int code = tenant_take(cli, &r->tenant);

    query->size = sizeof *query;
    if (code == EXIT_CODE_OK)
        code = take_scope(cli, query);
    if (code == EXIT_CODE_OK)
        code = tenant_take_key(cli, r->tenant, &r->key);
    if (code == EXIT_CODE_OK)
        code = query_in_take_embedding(cli, &r->embedding);
    if (code != EXIT_CODE_OK)
        return code;
    query->key = r->key.is_given ? r->key.bytes : NULL;
    query->embedding = r->embedding.vector;
    query->n_dims = r->embedding.n_dims;
    if (query->n_dims == 0 && query->key == NULL)
        return args_refuse(cli->args.command,
                           "what for? Give --key, --request, --embedding or --embedding-file");
    if (query->n_dims == 0)
        return refuse_without_embedding(cli);
    code = take_similarity(cli, query);
    return code == EXIT_CODE_OK ? take_numbers(cli, query) : code;
}

/* Printing --------------------------------------------------------------------------------------
 */

static const char *kind_text(enum mn_semcache_kind kind)
{
    switch (kind) {
    case MN_SEMCACHE_EXACT:
        return "exact";
    case MN_SEMCACHE_SEMANTIC:
        return "semantic";
    case MN_SEMCACHE_VERIFIED:
        return "verified";
    default:
        return "miss";
    }
}

static const char *reason_text(enum mn_semcache_reason reason)
{
    switch (reason) {
    case MN_SEMCACHE_NO_SCOPE:
        return "no_scope";
    case MN_SEMCACHE_NO_EMBEDDING:
        return "no_embedding";
    case MN_SEMCACHE_BELOW:
        return "below";
    case MN_SEMCACHE_REJECTED:
        return "rejected";
    case MN_SEMCACHE_DAMAGED:
        return "damaged";
    default:
        return "none";
    }
}

static bool print_result(struct cli *cli, const struct mn_semcache_result *result)
{
    struct mni_json_writer *w = out_begin(&cli->out);
    bool is_miss = result->kind == MN_SEMCACHE_MISS;

    mni_json_write_key(w, "kind");
    mni_json_write_string(w, mn_str(kind_text(result->kind)));
    if (is_miss) {
        mni_json_write_key(w, "reason");
        mni_json_write_string(w, mn_str(reason_text(result->reason)));
    }
    if (!is_miss || result->reason == MN_SEMCACHE_BELOW) {
        mni_json_write_key(w, "score");
        mni_json_write_float(w, result->score);
    }
    if (!is_miss)
        entry_out_keys(w, &result->handle, false);
    return out_end(&cli->out);
}

static bool print_stats(struct cli *cli, const struct mn_semcache_result *result)
{
    const struct out_figure figures[] = {
        {"scanned", result->n_scanned}, {"candidates", result->n_candidates},
        {"similar", result->n_similar}, {"rejected", result->n_rejected},
        {"damaged", result->n_damaged},
    };
    struct mni_json_writer *w = out_begin(&cli->out);

    mni_json_write_key(w, "stats");
    mni_json_write_object_begin(w);
    out_figures(w, figures, sizeof figures / sizeof figures[0]);
    mni_json_write_object_end(w);
    return out_end(&cli->out);
}

/* Running ---------------------------------------------------------------------------------------
 */

static int look_up(struct cli *cli, mn_store *store, const struct request *r)
{
    struct mn_semcache_result result = {.size = sizeof result};
    struct mn_error err = {0};

    mn_status st = mn_semcache_lookup(store, r->tenant, &r->query, &result, &err);
    if (st != MN_OK)
        return cli_say_status(cli, st, &err);
    int code = result.kind == MN_SEMCACHE_MISS ? EXIT_CODE_NOT_FOUND : EXIT_CODE_OK;
    if (result.n_damaged > 0) {
        say("%s: tenant %" PRIu64 ": %" PRIu32 " of the entries that were compared %s damaged",
            cli->dir, r->tenant, result.n_damaged, result.n_damaged == 1 ? "is" : "are");
        /* What was found serves, whatever else there is. */
        code = code == EXIT_CODE_OK ? EXIT_CODE_OK : EXIT_CODE_DAMAGED;
    }
    if (print_result(cli, &result) && cli_has(cli, OPTION_STATS))
        (void)print_stats(cli, &result);
    mn_semcache_release(&result.handle);
    return code;
}

int run_cache_lookup(struct cli *cli)
{
    struct request request = {0};
    mn_store *store = NULL;
    int code = take_request(cli, &request);

    if (code == EXIT_CODE_OK)
        code = cli_open(cli, tenant_open_mode(cli), &store);
    if (code == EXIT_CODE_OK)
        code = look_up(cli, store, &request);
    query_in_done(&request.embedding);
    return cli_close(cli, store, code);
}
