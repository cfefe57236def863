/*
 * args.h - the command line: global options, the command, its options and its words.
 *
 * Options may stand before or after words; `--` ends them. Values are given as `--name VALUE` or
 * `--name=VALUE`.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* Every option there is. A command says which of them it takes. */
enum option {
    OPTION_DIR, /* the first five are global: before or after the command */
    OPTION_RECOVERY,
    OPTION_SNAPSHOT,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_DIMENSION,
    OPTION_BATCH,
    OPTION_ACK,
    OPTION_ROWS,
    OPTION_VECTORS,
    OPTION_VECTORS_FILE,
    OPTION_FORMAT,
    OPTION_ID_FIELD,
    OPTION_LIMIT,
    OPTION_AFTER,
    OPTION_PREFIX,
    OPTION_UNTIL,
    OPTION_REVERSE,
    OPTION_FROM,
    OPTION_ALL,
    OPTION_TABLE,
    OPTION_HUMAN,
    OPTION_DESCRIPTION,
    OPTION_INCREMENTAL,
    OPTION_PARENT,
    OPTION_TO,
    OPTION_COMPRESS,
    OPTION_WITHOUT_METADATA,
    OPTION_KEEP,
    OPTION_INTO,
    OPTION_REPLACE,
    OPTION_NAMESPACE,
    OPTION_DRY_RUN,
    OPTION_AT_LSN,
    OPTION_AT_TIME,
    OPTION_ARCHIVE,
    OPTION_VECTOR,
    OPTION_VECTOR_FILE,
    OPTION_ID,
    OPTION_K,
    OPTION_METRIC,
    OPTION_FILTER,
    OPTION_MIN_SCORE,
    OPTION_OFFSET,
    OPTION_THREADS,
    OPTION_FULL_SCAN,
    OPTION_TIMEOUT,
    OPTION_STATS,
    OPTION_NAME,
    OPTION_DESCENDING,
    OPTION_TOP,
    OPTION_PENALTY,
    OPTION_MIN_LENGTH,
    OPTION_AT,
    OPTION_ALPHA,
    OPTION_HALF_LIFE,
    OPTION_AROUND,
    OPTION_SVG,
    OPTION_KEEP_POINTS,
    OPTION_HISTORY,
    OPTION_KEYFRAME_EVERY,
    OPTION_KNOWN_AT,
    OPTION_IF_ABSENT,
    OPTION_STREAM,
    OPTION_PAYLOAD_FILE,
    OPTION_KEY,
    OPTION_REQUEST,
    OPTION_MODEL,
    OPTION_ANY_MODEL,
    OPTION_CONTEXT,
    OPTION_ANY_CONTEXT,
    OPTION_TTL,
    OPTION_EMBEDDING,      /* with a value */
    OPTION_WITH_EMBEDDING, /* the same name without one */
    OPTION_EMBEDDING_FILE,
    OPTION_RAW,
    OPTION_PEEK,
    OPTION_MIN_SIMILARITY,
    OPTION_CANDIDATES,
    OPTION_REFINED,
    OPTION_OLDER_THAN,
    OPTION_BEFORE,
    OPTION_BYTES,
    OPTION_ENTRIES,
    OPTION_DEFAULT,
    N_OPTIONS,
};

/* A bit for each of them. */
__extension__ typedef unsigned __int128 option_set;
static_assert(N_OPTIONS <= 128, "an option has its bit");
#define TAKES(option) ((option_set)1 << (option))

enum { WORDS_ANY = -1 };

struct cli;

/* One command, as it is parsed, run and explained. All strings are static. */
struct command {
    const char *name;  /* "put", or two words: "wal stats" */
    const char *usage; /* what follows the name */
    const char *about; /* one line */
    const char *help;  /* options and remarks; ends with a newline */
    const char *example;
    option_set options; /* TAKES(...) of those beyond the global ones */
    int n_words_min;
    int n_words_max;  /* or WORDS_ANY */
    bool takes_names; /* the first word names a namespace; all others are ids */
    bool opens_store; /* takes -d, MNEME_DIR and --recovery */
    bool only_reads;  /* takes --snapshot */
    bool takes_pool;  /* with --from it needs no store */
    int (*run)(struct cli *cli);
};

/* What was given. Pointers are into argv. */
struct args {
    const struct command *command; /* NULL: none, with --help or --version */
    const char *group;             /* "wal": help for a group of commands was asked for */
    const char *values[N_OPTIONS]; /* NULL: not given. Of an option without value: "" */
    char **words;                  /* owned by the caller's argv, reordered in place */
    int n_words;
};

/* Parses; on a usage error says what is wrong on stderr and returns false. */
bool args_parse(int argc, char **argv, struct args *args_out);

/* The number that an option gives, or `otherwise` where it is absent. False after saying that it is
 * no number from `min` to `max`. */
bool args_number(const struct args *args, enum option option, uint64_t min, uint64_t max,
                 uint64_t otherwise, uint64_t *number_out);

/* The index in `choices` (NULL-terminated) of an option's value, or `otherwise` where it is absent.
 * False after saying which choices there are. */
bool args_choice(const struct args *args, enum option option, const char *const *choices,
                 int otherwise, int *choice_out);

/* "--batch", as it is written. */
const char *option_name(enum option option);

/* Says what is wrong and how the command is used. Returns EXIT_CODE_USAGE. */
int args_refuse(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
