/*
 * commands_cache.c - the commands for the cache of answers, and what --help says about each.
 *
 * Owns:    nothing; everything is constant.
 * Threads: any.
 * Fails:   never.
 */
#include "commands_tables.h"

#include <stddef.h>

#define KEY_HELP                                                                                   \
    "  --key HEX         the exact key, 64 hexadecimal digits\n"                                   \
    "  --request TEXT    the key is made of tenant, model and this text, byte for byte\n"
#define EMBEDDING_HELP                                                                             \
    "  --embedding JSON  of the question, an array of numbers\n"                                   \
    "  --embedding-file F.npy:ROW\n"                                                               \
    "                    a row of a NumPy file, counted from 0\n"
#define PEEK_HELP                                                                                  \
    "  --peek            count no hit: the store is only read, as others may at once\n"

const struct command cache_commands[] = {
    {
        .name = "cache put",
        .usage = "TENANT [--if-absent] [--ack LEVEL]\n"
                 "                    [--stream | --payload-file FILE] [--id ID]\n"
                 "                    [--key HEX | --request TEXT] [--model M] [--context C]\n"
                 "                    [--embedding JSON | --embedding-file F.npy:ROW]\n"
                 "                    [--ttl DURATION]",
        .about = "store answers from standard input",
        .help =
            "Each line of standard input is an answer with what it is found by, and a commit\n"
            "of its own. Keys; a payload must be there:\n\n"
            "  payload           the answer, a string; or payload_base64, any bytes\n"
            "  id                integer from 0 to 2^64 - 1, or its digits in a string;\n"
            "                    without one it is assigned, or that of the entry with the key\n"
            "  key               64 hexadecimal digits; no two entries of a tenant have the\n"
            "                    same: the older one goes\n"
            "  request           text of which the key is made, with tenant and model\n"
            "  context           integer as the id: what else the answer depends on (0)\n"
            "  model             text, at most 256 bytes (empty)\n"
            "  embedding         array of numbers; or embedding_base64, little-endian float32\n"
            "  ttl_seconds       or expires_at, Unix seconds, or expires_at_us\n"
            "  event_time_us     Unix time in microseconds (now)\n"
            "  expected_lsn      store only over the entry that has this LSN; else exits 1\n"
            "  lsn, hits, last_hit_us\n"
            "                    ignored, so that what cache get prints can be put\n\n"
            "Prints {\"id\",\"lsn\"} as soon as an entry is as durable as asked. The first bad\n"
            "line ends the command with 1. With --stream the command line says all but the\n"
            "payload, which is read to the end of standard input; before, nobody sees any of\n"
            "it, and after Ctrl-C nothing is stored.\n\n"
            "  --if-absent       leave an entry with the id or the key as it is, and print\n"
            "                    {\"id\",\"exists\":true}\n"
            "  --ack LEVEL       none, os or disk, as for put\n"
            "  --stream          one entry; standard input is its payload\n"
            "  --payload-file FILE\n"
            "                    the same with the payload in a file\n"
            "  --id ID           as above, of the one entry; so are the others\n" KEY_HELP
            "  --model M\n"
            "  --context C\n" EMBEDDING_HELP
            "  --ttl DURATION    90 (seconds), 30m, 12h, 7d or 2w\n",
        .example = "echo '{\"request\":\"2+2?\",\"model\":\"m1\",\"payload\":\"4\"}' | "
                   "mneme -d memory cache put 7",
        .options = TAKES(OPTION_IF_ABSENT) | TAKES(OPTION_ACK) | TAKES(OPTION_STREAM) |
                   TAKES(OPTION_PAYLOAD_FILE) | TAKES(OPTION_ID) | TAKES(OPTION_KEY) |
                   TAKES(OPTION_REQUEST) | TAKES(OPTION_MODEL) | TAKES(OPTION_CONTEXT) |
                   TAKES(OPTION_EMBEDDING) | TAKES(OPTION_EMBEDDING_FILE) | TAKES(OPTION_TTL),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .run = run_cache_put,
    },
    {
        .name = "cache get",
        .usage = "TENANT ID... | TENANT --key HEX | TENANT --request TEXT [--model M]\n"
                 "                    [--embedding] [--raw] [--peek]",
        .about = "print answers by id or exact key, and count the hits",
        .help =
            "Lines that cache put takes, in the order asked, with \"hits\" before this one,\n"
            "\"last_hit_us\" and \"lsn\". The payload prints as \"payload\" where it is UTF-8,\n"
            "else as \"payload_base64\". Ids that are not there are named on standard error, and\n"
            "the command exits 3; so it does where no entry has the key.\n\n" KEY_HELP
            "  --model M         of the request (empty)\n"
            "  --embedding       print the embedding, too\n"
            "  --raw             write the bytes of the one payload and nothing else\n" PEEK_HELP,
        .example = "mneme -d memory cache get 7 --request '2+2?' --model m1 --raw",
        .options = TAKES(OPTION_KEY) | TAKES(OPTION_REQUEST) | TAKES(OPTION_MODEL) |
                   TAKES(OPTION_WITH_EMBEDDING) | TAKES(OPTION_RAW) | TAKES(OPTION_PEEK),
        .n_words_min = 1,
        .n_words_max = WORDS_ANY,
        .opens_store = true,
        .only_reads = true,
        .run = run_cache_get,
    },
    {
        .name = "cache lookup",
        .usage = "TENANT [--key HEX | --request TEXT]\n"
                 "                    [--embedding JSON | --embedding-file F.npy:ROW\n"
                 "                     --min-similarity S [--candidates N] [--refined N]]\n"
                 "                    [--model M | --any-model] [--context C | --any-context]\n"
                 "                    [--stats] [--peek]",
        .about = "look for an answer, exactly and then by meaning",
        .help =
            "Prints {\"kind\",\"score\",...} with the keys of cache get: the kind is exact where\n"
            "an entry in scope has the key, else semantic for the one whose embedding is\n"
            "nearest; the score is the cosine. Without one it prints {\"kind\":\"miss\",\n"
            "\"reason\"} and exits 3: no_scope, no_embedding, below (with the best \"score\") or\n"
            "damaged, which exits 4. In scope: entries of one model and context.\n\n" KEY_HELP
                EMBEDDING_HELP "  --min-similarity S\n"
            "                    the cosine that is enough, above 0, to 1; required\n"
            "  --candidates N    compare as many embeddings as have most signs in common with\n"
            "                    this one, 1 to 65536 (default: 50)\n"
            "  --refined N       of these keep N at most (default: 5)\n"
            "  --model M         (empty)\n"
            "  --any-model       of all models; a request's key is made with --model still\n"
            "  --context C       (0)\n"
            "  --any-context\n"
            "  --stats           a last line {\"stats\":{\"scanned\",\"candidates\",\"similar\",\n"
            "                    \"rejected\",\"damaged\"}}\n" PEEK_HELP,
        .example = "mneme -d memory cache lookup 7 --embedding '[0.5,-1]' --min-similarity 0.9",
        .options = TAKES(OPTION_KEY) | TAKES(OPTION_REQUEST) | TAKES(OPTION_EMBEDDING) |
                   TAKES(OPTION_EMBEDDING_FILE) | TAKES(OPTION_MIN_SIMILARITY) |
                   TAKES(OPTION_CANDIDATES) | TAKES(OPTION_REFINED) | TAKES(OPTION_MODEL) |
                   TAKES(OPTION_ANY_MODEL) | TAKES(OPTION_CONTEXT) | TAKES(OPTION_ANY_CONTEXT) |
                   TAKES(OPTION_STATS) | TAKES(OPTION_PEEK),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .only_reads = true,
        .run = run_cache_lookup,
    },
    {
        .name = "cache exists",
        .usage = "TENANT ID",
        .about = "tell whether an answer is there",
        .help = "Prints {\"exists\":true} and exits 0, or false and exits 3.\n",
        .example = "mneme -d memory cache exists 7 42 && echo yes",
        .n_words_min = 2,
        .n_words_max = 2,
        .opens_store = true,
        .only_reads = true,
        .run = run_cache_exists,
    },
    {
        .name = "cache list",
        .usage = "TENANT [--limit N] [--after ID]",
        .about = "print what is known of the answers of a tenant",
        .help = "One line each, by their ids: {\"id\",\"key\",\"context\",\"model\",\"n_dims\",\n"
                "\"payload_bytes\",\"event_time_us\",\"expires_at_us\",\"hits\",\"last_hit_us\",\n"
                "\"lsn\"}; key and expires_at_us where there are such. Counts no hit.\n\n"
                "  --limit N         at most N lines\n"
                "  --after ID        only ids above this one\n",
        .example = "mneme -d memory cache list 7 --limit 10",
        .options = TAKES(OPTION_LIMIT) | TAKES(OPTION_AFTER),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .only_reads = true,
        .run = run_cache_list,
    },
    {
        .name = "cache tenants",
        .usage = "",
        .about = "list the tenants",
        .help = "One line each, by their numbers, those without entries too: {\"tenant\",\n"
                "\"entries\",\"logical_bytes\",\"allocated_bytes\"}.\n",
        .example = "mneme -d memory cache tenants",
        .opens_store = true,
        .only_reads = true,
        .run = run_cache_tenants,
    },
    {
        .name = "cache delete",
        .usage = "TENANT ID...",
        .about = "remove answers by id",
        .help = "Prints {\"deleted\":N,\"lsn\":L}; each is a commit of its own. Ids that were not\n"
                "there are named on standard error, and the command exits 3.\n",
        .example = "mneme -d memory cache delete 7 42",
        .n_words_min = 2,
        .n_words_max = WORDS_ANY,
        .opens_store = true,
        .run = run_cache_delete,
    },
    {
        .name = "cache drop",
        .usage = "TENANT",
        .about = "remove a tenant, its answers and its budget",
        .help = "Prints {\"dropped\":true}; where there is no such tenant, false, and exits 3.\n",
        .example = "mneme -d memory cache drop 7",
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .run = run_cache_drop,
    },
    {
        .name = "cache invalidate",
        .usage = "TENANT [--key HEX] [--context C] [--model M]\n"
                 "                    [--older-than DURATION | --before T] | TENANT --all",
        .about = "remove the answers for which all of this holds",
        .help = "Prints {\"count\":N}, how many went. A tenant that is not there has none.\n\n"
                "  --key HEX         the exact key, 64 hexadecimal digits\n"
                "  --context C\n"
                "  --model M\n"
                "  --older-than DURATION\n"
                "                    the event time is longer ago: 90 (seconds), 30m, 12h, 7d, 2w\n"
                "  --before T        the event time is before this: microseconds, or as\n"
                "                    2026-11-21T08:30:00Z\n"
                "  --all             all of the tenant\n",
        .example = "mneme -d memory cache invalidate 7 --model m1 --older-than 30d",
        .options = TAKES(OPTION_KEY) | TAKES(OPTION_CONTEXT) | TAKES(OPTION_MODEL) |
                   TAKES(OPTION_OLDER_THAN) | TAKES(OPTION_BEFORE) | TAKES(OPTION_ALL),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .run = run_cache_invalidate,
    },
    {
        .name = "cache cleanup",
        .usage = "",
        .about = "remove tenants that have neither answers nor a budget",
        .help = "Prints {\"count\":N}.\n",
        .example = "mneme -d memory cache cleanup",
        .opens_store = true,
        .run = run_cache_cleanup,
    },
    {
        .name = "cache budget",
        .usage = "TENANT [--bytes N] [--entries N] | TENANT --default",
        .about = "print or change what bounds a tenant",
        .help = "Prints {\"tenant\",\"bytes_max\",\"entries_max\",\"own\"}; 0 is no bound. What\n"
                "exceeds a new budget goes at once: what has expired, then the least valuable.\n\n"
                "  --bytes N         a budget of its own, of allocated bytes; makes the tenant\n"
                "  --entries N       likewise; one of the two that is not given stays, or is 0\n"
                "  --default         that of the settings cache_tenant_bytes_max and\n"
                "                    cache_tenant_entries_max again\n",
        .example = "mneme -d memory cache budget 7 --bytes 1000000000",
        .options = TAKES(OPTION_BYTES) | TAKES(OPTION_ENTRIES) | TAKES(OPTION_DEFAULT),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .run = run_cache_budget,
    },
    {
        .name = "cache stats",
        .usage = "[TENANT]",
        .about = "print the numbers of the cache, or of a tenant",
        .help = "One JSON object: tenants (or tenant), entries, logical_bytes, allocated_bytes,\n"
                "hits_id, hits_exact, hits_semantic, hits_verified, misses, evictions, errors.\n"
                "Hits, misses, evictions and errors begin when the store is opened, by this\n"
                "command that is; those of a program are in its own.\n",
        .example = "mneme -d memory cache stats",
        .n_words_max = 1,
        .opens_store = true,
        .only_reads = true,
        .run = run_cache_stats,
    },
    {.name = NULL},
};
