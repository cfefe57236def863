/*
 * commands.c - the commands for records and points, and finding one of all.
 *
 * Owns:    nothing; everything is constant.
 * Threads: any.
 * Fails:   never.
 */
#include "commands_tables.h"

#include <stddef.h>
#include <string.h>

#define VECTORS_HELP                                                                               \
    "  --vectors FORM    json (default), base64 or none; a vector with NaN or\n"                   \
    "                    infinity always prints as vector_base64\n"
#define TIME_HELP                                                                                  \
    "\nA time is a whole number of microseconds, also below 0, or written as\n"                    \
    "2026-11-21T08:30:00Z or with +01:00, of the years 1 to 9999.\n\n"
#define INTERVAL_HELP                                                                              \
    "  --from T          from this time on, included\n"                                            \
    "  --to T            up to this time, included\n"
#define SETTINGS_OPTIONS                                                                           \
    (TAKES(OPTION_KEEP) | TAKES(OPTION_KEEP_POINTS) | TAKES(OPTION_HISTORY) |                      \
     TAKES(OPTION_KEYFRAME_EVERY))
#define SETTINGS_HELP                                                                              \
    "  --keep DURATION   points whose time is longer ago are gone: 90 (seconds), 30m,\n"           \
    "                    12h, 7d, 2w; 0 keeps them\n"                                              \
    "  --keep-points N   of each entity the newest N points stay; 0: all\n"                        \
    "  --history DURATION\n"                                                                       \
    "                    how long versions stay that were replaced; 0: not at all\n"               \
    "  --keyframe-every N\n"                                                                       \
    "                    store vectors as differences where that takes less room,\n"               \
    "                    and one of N (2 to 1000; 10 is good) whole; 0: all whole\n"
#define KNOWN_HELP "  --known-at LSN    of what was known then, in a space with history\n"
#define WALK_OPTIONS                                                                               \
    (TAKES(OPTION_LIMIT) | TAKES(OPTION_AFTER) | TAKES(OPTION_UNTIL) | TAKES(OPTION_REVERSE))
#define WALK_HELP                                                                                  \
    "  --limit N         at most N lines\n"                                                        \
    "  --after ID        only ids behind this one, in the order printed\n"                         \
    "  --until ID        only ids before this one, in the order printed\n"                         \
    "  --reverse         the last id first\n"

static const struct command commands[] = {
    {
        .name = "create",
        .usage = "NS [--dimension N]",
        .about = "make a namespace",
        .help = "Prints {\"created\":true}, or false when there is one already; one without a\n"
                "dimension then takes the one given. Makes the store too where DIR is missing or\n"
                "empty.\n\n"
                "  --dimension N     elements per vector, 1 to 65536; without it the first vector\n"
                "                    decides\n",
        .example = "mneme -d memory create notes --dimension 384",
        .options = TAKES(OPTION_DIMENSION),
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .run = run_create,
    },
    {
        .name = "drop",
        .usage = "NS",
        .about = "remove a namespace and all its records",
        .help =
            "Prints {\"dropped\":true}; where there is no such namespace, false, and exits 3.\n",
        .example = "mneme -d memory drop notes",
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .run = run_drop,
    },
    {
        .name = "namespaces",
        .usage = "[--table] [--human]",
        .about = "list the namespaces",
        .help =
            "One line each: {\"namespace\",\"dimension\",\"count\"}, in the order of their names'\n"
            "bytes. The dimension is null while there is no vector.\n\n" PEOPLE_HELP,
        .example = "mneme -d memory namespaces --table",
        .options = PEOPLE_OPTIONS,
        .opens_store = true,
        .only_reads = true,
        .run = run_namespaces,
    },
    {
        .name = "exists",
        .usage = "NS [ID]",
        .about = "tell whether a namespace or a record is there",
        .help = "Prints {\"exists\":true} and exits 0, or false and exits 3.\n",
        .example = "mneme -d memory exists notes n1 && echo yes",
        .n_words_min = 1,
        .n_words_max = 2,
        .takes_names = true,
        .opens_store = true,
        .only_reads = true,
        .run = run_exists,
    },
    {
        .name = "dimension",
        .usage = "NS",
        .about = "print the elements per vector of a namespace",
        .help = "Prints {\"dimension\":N}; null while there is no vector and none was declared.\n",
        .example = "mneme -d memory dimension notes",
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .only_reads = true,
        .run = run_dimension,
    },
    {
        .name = "count",
        .usage = "NS [--table] [--human]",
        .about = "print the number of live records",
        .help = "Prints {\"count\":N}. Expired records do not count.\n\n" PEOPLE_HELP,
        .example = "mneme -d memory count notes",
        .options = PEOPLE_OPTIONS,
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .only_reads = true,
        .run = run_count,
    },
    {
        .name = "put",
        .usage = "NS [--batch N] [--ack LEVEL]",
        .about = "store records from standard input",
        .help =
            "Each line of standard input is a record; blank lines, and a byte order mark before\n"
            "the first one, are skipped. Keys:\n\n"
            "  id                string, 1 to 1024 bytes; the only one that must be there\n"
            "  vector            array of numbers\n"
            "  vector_base64     the same as little-endian float32, in base64\n"
            "  metadata          object, kept byte for byte\n"
            "  metadata_text     the same as a string; wins over metadata\n"
            "  payload_base64    any bytes, in base64\n"
            "  ttl_seconds       seconds from now, 0 or more; 0 is expired at once\n"
            "  expires_at        Unix seconds; wins over ttl_seconds; past is expired at once\n"
            "  event_time_us     Unix time in microseconds\n"
            "  lsn               ignored, so that what export prints can be put\n\n"
            "null is the same as absent. Any other key is refused; so is vector_row, the row of a\n"
            "file that export --vectors-file wrote: import takes both.\n\n"
            "A batch is one commit: all of it is stored, or nothing. Each prints\n"
            "{\"count\":N,\"lsn\":L} as soon as it is as durable as asked. The first bad\n"
            "batch ends the command with 1; batches acknowledged before it stand. Ctrl-C\n"
            "stops after the current batch.\n\n"
            "  --batch N         commit after every N records; without it all of standard\n"
            "                    input is one batch of at most 256 MiB\n"
            "  --ack LEVEL       none (in memory), os (handed to the kernel) or disk (synced);\n"
            "                    default: what the store's sync policy says\n",
        .example = "echo '{\"id\":\"n1\",\"vector\":[0.5,-1]}' | mneme -d memory put notes",
        .options = TAKES(OPTION_BATCH) | TAKES(OPTION_ACK),
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .run = run_put,
    },
    {
        .name = "import",
        .usage =
            "NS --rows F.jsonl [--vectors F.npy | --vectors-file F.npy]\n"
            "                    [--format flat|put] [--id-field id] [--batch N] [--ack LEVEL]",
        .about = "store records from files",
        .help =
            "Acknowledges like put. A row and the vector at the same position belong together;\n"
            "their numbers must be equal. With rows from a pipe that shows at the end only, after\n"
            "earlier batches were stored.\n\n"
            "  --rows F.jsonl    one JSON object a line; - is standard input\n"
            "  --vectors F.npy   vectors: NumPy format 1.0 or 2.0, '<f4', C order, 2 axes; a file\n"
            "  --vectors-file F.npy\n"
            "                    the same, and --format put: what export --vectors-file wrote; a\n"
            "                    line's vector_row must be the next row, null: it has no vector\n"
            "  --format FORM     flat (default): all fields but the id become the metadata;\n"
            "                    put: lines as put takes them\n"
            "  --id-field NAME   flat: the field that holds the id, a string (default: id)\n"
            "  --batch N         records per commit (default: 256, fewer where they are large)\n"
            "  --ack LEVEL       none, os or disk, as for put\n",
        .example = "mneme -d memory import speeches --rows speeches.jsonl --vectors speeches.npy",
        .options = TAKES(OPTION_ROWS) | TAKES(OPTION_VECTORS) | TAKES(OPTION_VECTORS_FILE) |
                   TAKES(OPTION_FORMAT) | TAKES(OPTION_ID_FIELD) | TAKES(OPTION_BATCH) |
                   TAKES(OPTION_ACK),
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .run = run_import,
    },
    {
        .name = "export",
        .usage = "NS [--limit N] [--after ID] [--until ID] [--reverse]\n"
                 "                    [--vectors json|base64|none | --vectors-file F.npy]",
        .about = "print all records, as put takes them",
        .help = "One line a record, in the order of the ids' bytes, with its \"lsn\".\n\n" WALK_HELP
            VECTORS_HELP "  --vectors-file F.npy\n"
                "                    write the vectors into a NumPy file, which appears at the\n"
                "                    end, in place of an old one; lines tell their rows as\n"
                "                    \"vector_row\", null without a vector; import --vectors-file\n"
                "                    reads both\n",
        .example = "mneme -d memory export notes | mneme -d copy put notes --batch 1000",
        .options = WALK_OPTIONS | TAKES(OPTION_VECTORS) | TAKES(OPTION_VECTORS_FILE),
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .only_reads = true,
        .run = run_export,
    },
    {
        .name = "get",
        .usage = "NS ID... [--vectors json|base64|none]",
        .about = "print records by id",
        .help =
            "Lines as export prints them, in the order asked. Ids that are not there are named\n"
            "on standard error, and the command exits 3.\n\n" VECTORS_HELP,
        .example = "mneme -d memory get notes n1 n2 --vectors none",
        .options = TAKES(OPTION_VECTORS),
        .n_words_min = 2,
        .n_words_max = WORDS_ANY,
        .takes_names = true,
        .opens_store = true,
        .only_reads = true,
        .run = run_get,
    },
    {
        .name = "delete",
        .usage = "NS ID...",
        .about = "remove records by id",
        .help =
            "Removes them in one commit and prints {\"deleted\":N,\"lsn\":L}. Ids that were not\n"
            "there are named on standard error, and the command exits 3.\n",
        .example = "mneme -d memory delete notes n1 -- -n2",
        .n_words_min = 2,
        .n_words_max = WORDS_ANY,
        .takes_names = true,
        .opens_store = true,
        .run = run_delete,
    },
    {
        .name = "purge",
        .usage = "NS ID... | NS --all",
        .about = "erase records from every file of the store",
        .help = "Deletes the records and writes anew what holds copies of them, older versions\n"
                "included: no byte of them is left in a file of the store. Prints a receipt,\n"
                "{\"purged\":N,\"lsn\":L,\"log_files_removed\":N,\"runs_rewritten\":N,\n"
                "\"files_pending\":N,\"snapshots\":[ID...]}; pending files are gone and are kept\n"
                "open by readers; the snapshots of the store's pool that are named still hold\n"
                "copies. Ids that are not there are no error: older versions of them are\n"
                "erased.\n\n"
                "  --all             the whole namespace, its name included\n",
        .example = "mneme -d memory purge notes n1 n2",
        .options = TAKES(OPTION_ALL),
        .n_words_min = 1,
        .n_words_max = WORDS_ANY,
        .takes_names = true,
        .opens_store = true,
        .run = run_purge,
    },
    {
        .name = "list",
        .usage = "NS [--limit N] [--after ID] [--until ID] [--prefix P] [--reverse]\n"
                 "                    [--table] [--human]",
        .about = "print the ids of all records",
        .help = "One line each: {\"id\":\"n1\"}, in the order of the ids' bytes.\n\n" WALK_HELP
                "  --prefix P        only ids that begin with P\n" PEOPLE_HELP,
        .example = "mneme -d memory list notes --prefix 2024- --limit 10",
        .options = WALK_OPTIONS | TAKES(OPTION_PREFIX) | PEOPLE_OPTIONS,
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .only_reads = true,
        .run = run_list,
    },
    {
        .name = "search",
        .usage = "NS --vector JSON | --vector-file F.npy:ROW | --id ID\n"
                 "                    [-k N] [--metric cosine|dot|l2] [--min-score S]\n"
                 "                    [--offset N] [--vectors json|base64|none] [--threads N]\n"
                 "                    [--full-scan] [--timeout SECONDS] [--stats]\n"
                 "                    [--table] [--human]",
        .about = "print the records whose vectors are nearest",
        .help = "One line a record, the best first: as get prints it, with its \"score\" behind\n"
                "the id. Higher is nearer; equal scores are in the order of the ids' bytes. The\n"
                "answer is that of comparing every live vector.\n\n"
                "  --vector JSON     the vector to compare with, an array of numbers\n"
                "  --vector-file F.npy:ROW\n"
                "                    a row of a NumPy file, counted from 0\n"
                "  --id ID           the vector of this record, which is itself compared, too\n"
                "  -k N              at most N results, 1 to 65536 (default: 10)\n"
                "  --metric M        cosine (default); dot, the dot product; l2, the squared\n"
                "                    Euclidean distance, negated\n"
                "  --min-score S     only results with this score or a higher one\n"
                "  --offset N        passes over the N best\n"
                "  --vectors FORM    none (default), json or base64; a vector with NaN or\n"
                "                    infinity prints as vector_base64 instead of json\n"
                "  --threads N       at most N, 1 or 2; without it 2 where that is faster\n"
                "  --full-scan       compare every vector whole; the answer is the same\n"
                "  --timeout SECONDS end with 1 if it takes longer\n"
                "  --stats           a last line {\"stats\":{...}}: what the search did\n"
                "  --table           rank, score, id and the beginning of the metadata's\n"
                "                    \"text\", or of all metadata, for people\n"
                "  --human           the same, with numbers as people write them\n",
        .example = "mneme -d memory search speeches --id 1863_abraham_lincoln-008 -k 3 --table",
        .options = TAKES(OPTION_VECTOR) | TAKES(OPTION_VECTOR_FILE) | TAKES(OPTION_ID) |
                   TAKES(OPTION_K) | TAKES(OPTION_METRIC) | TAKES(OPTION_FILTER) |
                   TAKES(OPTION_MIN_SCORE) | TAKES(OPTION_OFFSET) | TAKES(OPTION_VECTORS) |
                   TAKES(OPTION_THREADS) | TAKES(OPTION_FULL_SCAN) | TAKES(OPTION_TIMEOUT) |
                   TAKES(OPTION_STATS) | PEOPLE_OPTIONS,
        .n_words_min = 1,
        .n_words_max = 1,
        .takes_names = true,
        .opens_store = true,
        .only_reads = true,
        .run = run_search,
    },
    {
        .name = "temporal create",
        .usage = "SPACE --dimension N [--name NAME]\n"
                 "                    [--keep DURATION] [--keep-points N]\n"
                 "                    [--history DURATION] [--keyframe-every N]",
        .about = "make a space for points over time",
        .help =
            "Prints {\"created\":true,\"space\":N}, or false when there is one already, whose\n"
            "dimension must agree, and of name and settings those that are given: what is not\n"
            "given is not compared, and stays. SPACE is a number, or a name: then the space\n"
            "gets the least number that is free. Makes the store too where DIR is missing or\n"
            "empty.\n\n"
            "  --dimension N     elements per vector, 1 to 65536\n"
            "  --name NAME       of a space given by its number; not digits alone\n" SETTINGS_HELP,
        .example = "mneme -d memory temporal create moods --dimension 384",
        .options = TAKES(OPTION_DIMENSION) | TAKES(OPTION_NAME) | SETTINGS_OPTIONS,
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .run = run_temporal_create,
    },
    {
        .name = "temporal alter",
        .usage = "SPACE [--keep DURATION] [--keep-points N]\n"
                 "                    [--history DURATION] [--keyframe-every N]",
        .about = "change what a space keeps",
        .help = "Prints {\"altered\":true,\"lsn\":L}, or false and 0 when all is so already. What\n"
                "is not given stays as it is. Points that were too old, or too many, stay gone.\n"
                "\n" SETTINGS_HELP,
        .example = "mneme -d memory temporal alter moods --keep 30d",
        .options = SETTINGS_OPTIONS,
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .run = run_temporal_alter,
    },
    {
        .name = "temporal drop",
        .usage = "SPACE",
        .about = "remove a space and all its points",
        .help = "Prints {\"dropped\":true}; where there is no such space, false, and exits 3.\n",
        .example = "mneme -d memory temporal drop moods",
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .run = run_temporal_drop,
    },
    {
        .name = "temporal spaces",
        .usage = "[--table] [--human]",
        .about = "list the spaces",
        .help =
            "One line each: {\"space\",\"name\",\"dimension\",\"count\"}, by their numbers. The\n"
            "name is null where there is none; the count is that of live points. Settings\n"
            "that are on follow: keep_us, keep_points, history_us with known_from_lsn, and\n"
            "keyframe_every.\n\n" PEOPLE_HELP,
        .example = "mneme -d memory temporal spaces --table",
        .options = PEOPLE_OPTIONS,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_spaces,
    },
    {
        .name = "temporal entities",
        .usage = "SPACE [--limit N] [--after E] [--table] [--human]",
        .about = "print the entities that have points",
        .help = "One line each: {\"entity\":\"42\"}, by their numbers.\n\n"
                "  --limit N         at most N lines\n"
                "  --after E         only entities above this one\n" PEOPLE_HELP,
        .example = "mneme -d memory temporal entities moods --limit 10",
        .options = TAKES(OPTION_LIMIT) | TAKES(OPTION_AFTER) | PEOPLE_OPTIONS,
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_entities,
    },
    {
        .name = "temporal put",
        .usage = "SPACE [--batch N] [--ack LEVEL]",
        .about = "store points from standard input",
        .help = "Each line of standard input is a point. Keys:\n\n"
                "  entity            integer from 0 to 2^64 - 1, or a string of its digits\n"
                "  time_us           integer of 64 bits: microseconds, of any epoch\n"
                "  vector            array of numbers, or vector_base64, as put takes it\n\n"
                "These must be there. metadata, metadata_text, payload_base64, ttl_seconds,\n"
                "expires_at and lsn are as for put; any other key is refused. An entity has one\n"
                "point at a time: another one there replaces it.\n\n"
                "A space that is not there is made by the first vector, as temporal create makes\n"
                "it. Batches are committed and acknowledged as those of put.\n\n"
                "  --batch N         commit after every N points; without it all of standard\n"
                "                    input is one batch of at most 256 MiB\n"
                "  --ack LEVEL       none, os or disk, as for put\n",
        .example = "echo '{\"entity\":42,\"time_us\":-20,\"vector\":[0.5,-1]}' |\n"
                   "  mneme -d memory temporal put moods",
        .options = TAKES(OPTION_BATCH) | TAKES(OPTION_ACK),
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .run = run_temporal_put,
    },
    {
        .name = "temporal get",
        .usage = "SPACE ENTITY TIME... [--vectors json|base64|none]",
        .about = "print the points of an entity at exactly these times",
        .help = "Lines that temporal put takes, with their lsn, in the order asked. Times without\n"
                "a point are named on standard error, and the command exits 3.\n" TIME_HELP
                    VECTORS_HELP,
        .example = "mneme -d memory temporal get moods 42 -20 1700000000000000",
        .options = TAKES(OPTION_VECTORS),
        .n_words_min = 3,
        .n_words_max = WORDS_ANY,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_get,
    },
    {
        .name = "temporal asof",
        .usage = "SPACE ENTITY TIME [--known-at LSN]\n"
                 "                    [--vectors json|base64|none]",
        .about = "print the latest point at or before a time",
        .help = "As temporal get prints it; exits 3 where there is none.\n" TIME_HELP KNOWN_HELP
            VECTORS_HELP,
        .example = "mneme -d memory temporal asof moods 42 2026-11-21T08:30:00Z",
        .options = TAKES(OPTION_VECTORS) | TAKES(OPTION_KNOWN_AT),
        .n_words_min = 3,
        .n_words_max = 3,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_asof,
    },
    {
        .name = "temporal next",
        .usage = "SPACE ENTITY TIME [--vectors json|base64|none]",
        .about = "print the first point at or after a time",
        .help = "As temporal get prints it; exits 3 where there is none.\n" TIME_HELP VECTORS_HELP,
        .example = "mneme -d memory temporal next moods 42 2026-11-21T08:30:00Z",
        .options = TAKES(OPTION_VECTORS),
        .n_words_min = 3,
        .n_words_max = 3,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_next,
    },
    {
        .name = "temporal latest",
        .usage = "SPACE ENTITY [--vectors json|base64|none]",
        .about = "print the last point of an entity",
        .help = "As temporal get prints it; exits 3 where there is none.\n\n" VECTORS_HELP,
        .example = "mneme -d memory temporal latest moods 42",
        .options = TAKES(OPTION_VECTORS),
        .n_words_min = 2,
        .n_words_max = 2,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_latest,
    },
    {
        .name = "temporal range",
        .usage = "SPACE ENTITY [--from T] [--to T] [--descending] [--after T]\n"
                 "                    [--limit N] [--known-at LSN] [--vectors json|base64|none]",
        .about = "print the points of an entity, in the order of their times",
        .help =
            "Lines that temporal put takes, with their lsn, all of one moment.\n\n" INTERVAL_HELP
            "  --descending      the last point first\n"
            "  --after T         go on behind T, the time of the last line seen\n"
            "  --limit N         at most N lines\n" KNOWN_HELP VECTORS_HELP,
        .example = "mneme -d memory temporal range moods 42 --from 2026-01-01T00:00:00Z",
        .options = TAKES(OPTION_FROM) | TAKES(OPTION_TO) | TAKES(OPTION_DESCENDING) |
                   TAKES(OPTION_AFTER) | TAKES(OPTION_LIMIT) | TAKES(OPTION_VECTORS) |
                   TAKES(OPTION_KNOWN_AT),
        .n_words_min = 2,
        .n_words_max = 2,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_range,
    },
    {
        .name = "temporal timeline",
        .usage = "SPACE ENTITY",
        .about = "print how many points an entity has, and since when",
        .help = "Prints {\"entity\",\"count\",\"first_us\",\"last_us\"}, with \"keyframe_every\"\n"
                "where the space has one; exits 3 where there are no points.\n",
        .example = "mneme -d memory temporal timeline moods 42",
        .n_words_min = 2,
        .n_words_max = 2,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_timeline,
    },
    {
        .name = "temporal delete",
        .usage = "SPACE ENTITY TIME... | SPACE ENTITY [--from T] [--to T]\n"
                 "                    | SPACE ENTITY --all",
        .about = "remove points of an entity",
        .help = "Prints {\"deleted\":N,\"lsn\":L}. Times without a point are named on standard\n"
                "error, and the command exits 3; so it does with --all where the entity has no\n"
                "points. Each of several times is a commit of its own, also where there is no\n"
                "point, and the lsn is that of the last one. An interval is one commit, or none\n"
                "and 0 where no point is in it.\n" TIME_HELP INTERVAL_HELP
                "  --all             all points of the entity\n",
        .example = "mneme -d memory temporal delete moods 42 --to 2020-01-01T00:00:00Z",
        .options = TAKES(OPTION_FROM) | TAKES(OPTION_TO) | TAKES(OPTION_ALL),
        .n_words_min = 2,
        .n_words_max = WORDS_ANY,
        .opens_store = true,
        .run = run_temporal_delete,
    },
    {
        .name = "temporal drift",
        .usage = "SPACE ENTITY T1 T2 [--top N]",
        .about = "tell how far an entity moved between two times",
        .help =
            "Compares the latest points at or before each of the times. Prints {\"entity\",\n"
            "\"from_us\",\"to_us\",\"cosine\",\"l2\",\"moved\":[{\"dimension\",\"from\",\"to\",\n"
            "\"change\"}...]}: the times of the points, the cosine distance, from 0 to 2, the\n"
            "Euclidean one, and the dimensions that moved most, counted from 0.\n"
            "NaN is null.\n" TIME_HELP "  --top N           at most N dimensions (default: 10)\n",
        .example = "mneme -d memory temporal drift moods 42 0 1700000000000000 --top 3",
        .options = TAKES(OPTION_TOP),
        .n_words_min = 4,
        .n_words_max = 4,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_drift,
    },
    {
        .name = "temporal changes",
        .usage = "SPACE ENTITY [--from T] [--to T] [--penalty P]\n"
                 "                    [--min-length N] [--stats]",
        .about = "find the times at which an entity changed its level",
        .help =
            "One line a change: {\"time_us\",\"point\"}, the first point of the new level and\n"
            "its number in the interval, from 0. It is the segmentation with the least sum of\n"
            "squared distances from the segments' means, plus a penalty for each\n"
            "change.\n\n" INTERVAL_HELP
            "  --penalty P       for each change, 0 or more; without it from the noise, by the\n"
            "                    Bayesian information criterion\n"
            "  --min-length N    points of a segment at least (default: 2)\n"
            "  --stats           a last line {\"stats\":{\"points\",\"changes\",\"penalty\",\n"
            "                    \"noise\",\"cost\"}}\n",
        .example = "mneme -d memory temporal changes moods 42 --stats",
        .options = TAKES(OPTION_FROM) | TAKES(OPTION_TO) | TAKES(OPTION_PENALTY) |
                   TAKES(OPTION_MIN_LENGTH) | TAKES(OPTION_STATS),
        .n_words_min = 2,
        .n_words_max = 2,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_changes,
    },
    {
        .name = "temporal nearest",
        .usage = "SPACE --vector JSON | --vector-file F.npy:ROW\n"
                 "                    [--at T | --from T --to T] [-k N] [--metric cosine|l2]\n"
                 "                    [--alpha X --half-life SECONDS [--around T]]\n"
                 "                    [--vectors json|base64|none] [--timeout SECONDS] [--stats]\n"
                 "                    [--table] [--human]",
        .about = "print the entities whose points are nearest to a vector",
        .help =
            "One line an entity, the nearest first: its point as temporal get prints it, with\n"
            "the \"distance\" behind the time. Equal distances are in the order of entities.\n"
            "Without a time the nearest point of each entity is taken.\n" TIME_HELP
            "  --vector JSON     the vector to compare with, an array of numbers\n"
            "  --vector-file F.npy:ROW\n"
            "                    a row of a NumPy file, counted from 0\n"
            "  --at T            the latest point of each entity at or before this time\n"
            "  --from T          the nearest point from this time on, included\n"
            "  --to T            and up to this time, included\n"
            "  -k N              at most N results, 1 to 65536 (default: 10)\n"
            "  --metric M        cosine (default), 1 less the cosine, from 0 to 2; l2, the\n"
            "                    Euclidean distance\n"
            "  --alpha X         the distance is X, from 0 to 1, of the vectors' distance, scaled\n"
            "                    to 0 to 1, and the rest of the \"decay\": 0 at the time of\n"
            "                    --around, 0.5 a half-life from there, and so on towards 1\n"
            "  --half-life SECONDS\n"
            "  --around T        (default: --at, or --to)\n"
            "  --vectors FORM    none (default), json or base64; a vector with NaN or\n"
            "                    infinity prints as vector_base64 instead of json\n"
            "  --timeout SECONDS end with 1 if it takes longer\n"
            "  --stats           a last line {\"stats\":{...}}: what the search did\n"
            "  --table           rank, distance, entity, time and the beginning of the\n"
            "                    metadata's \"text\", or of all metadata, for people\n"
            "  --human           the same, with numbers as people write them\n",
        .example = "mneme -d memory temporal nearest moods --vector [0.5,-1] --at 0 --table",
        .options = TAKES(OPTION_VECTOR) | TAKES(OPTION_VECTOR_FILE) | TAKES(OPTION_AT) |
                   TAKES(OPTION_FROM) | TAKES(OPTION_TO) | TAKES(OPTION_K) | TAKES(OPTION_METRIC) |
                   TAKES(OPTION_ALPHA) | TAKES(OPTION_HALF_LIFE) | TAKES(OPTION_AROUND) |
                   TAKES(OPTION_VECTORS) | TAKES(OPTION_TIMEOUT) | TAKES(OPTION_STATS) |
                   PEOPLE_OPTIONS,
        .n_words_min = 1,
        .n_words_max = 1,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_nearest,
    },
    {
        .name = "temporal plot",
        .usage = "SPACE ENTITY [--from T] [--to T] [--metric cosine|l2]\n"
                 "                    [--svg FILE]",
        .about = "draw the trajectory of an entity",
        .help =
            "Draws its points in the plane of their first two principal components, and how\n"
            "far each is from the first one, over time. Digits stand for the points, or the\n"
            "means of nine parts of them, in their order. Points with NaN or infinite\n"
            "elements are left out; exits 3 where there are no others.\n" TIME_HELP INTERVAL_HELP
            "  --metric M        of the distance: cosine (default) or l2\n"
            "  --svg FILE        an SVG picture instead; prints {\"svg\",\"points\"}\n",
        .example = "mneme -d memory temporal plot moods 42 --svg moods.svg",
        .options = TAKES(OPTION_FROM) | TAKES(OPTION_TO) | TAKES(OPTION_METRIC) | TAKES(OPTION_SVG),
        .n_words_min = 2,
        .n_words_max = 2,
        .opens_store = true,
        .only_reads = true,
        .run = run_temporal_plot,
    },
    {.name = NULL},
};

/* In the order of --help. */
static const struct command *const tables[] = {commands, cache_commands, store_commands};

enum { N_TABLES = sizeof tables / sizeof tables[0] };

const struct command *command_at(int command_index)
{
    for (int i = 0; i < N_TABLES; i++) {
        for (const struct command *c = tables[i]; c->name != NULL; c++) {
            if (command_index-- == 0)
                return c;
        }
    }
    return NULL;
}

const struct command *command_find(const char *first, const char *second)
{
    const struct command *command;
    size_t n = strlen(first);

    for (int i = 0; (command = command_at(i)) != NULL; i++) {
        const char *name = command->name;
        if (second == NULL ? strchr(first, ' ') == NULL && strcmp(name, first) == 0
                           : strncmp(name, first, n) == 0 && name[n] == ' ' &&
                                 strcmp(name + n + 1, second) == 0)
            return command;
    }
    return NULL;
}

bool command_is_group(const char *first)
{
    const struct command *command;
    size_t n = strlen(first);

    for (int i = 0; (command = command_at(i)) != NULL; i++) {
        if (n > 0 && strncmp(command->name, first, n) == 0 && command->name[n] == ' ')
            return true;
    }
    return false;
}
