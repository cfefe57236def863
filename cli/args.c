/*
 * args.c - the command line: global options, the command, its options and its words.
 *
 * Owns:    nothing; points into argv.
 * Threads: the main one.
 * Fails:   says what is wrong on stderr; the caller exits with EXIT_CODE_USAGE.
 */
#include "args.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "commands.h"
#include "exit_codes.h"
#include "talk.h"

static const struct {
    const char *name;
    bool has_value;
} option_specs[N_OPTIONS] = {
    [OPTION_DIR] = {"-d", true},
    [OPTION_RECOVERY] = {"--recovery", true},
    [OPTION_SNAPSHOT] = {"--snapshot", true},
    [OPTION_HELP] = {"--help", false},
    [OPTION_VERSION] = {"--version", false},
    [OPTION_DIMENSION] = {"--dimension", true},
    [OPTION_BATCH] = {"--batch", true},
    [OPTION_ACK] = {"--ack", true},
    [OPTION_ROWS] = {"--rows", true},
    [OPTION_VECTORS] = {"--vectors", true},
    [OPTION_VECTORS_FILE] = {"--vectors-file", true},
    [OPTION_FORMAT] = {"--format", true},
    [OPTION_ID_FIELD] = {"--id-field", true},
    [OPTION_LIMIT] = {"--limit", true},
    [OPTION_AFTER] = {"--after", true},
    [OPTION_PREFIX] = {"--prefix", true},
    [OPTION_UNTIL] = {"--until", true},
    [OPTION_REVERSE] = {"--reverse", false},
    [OPTION_FROM] = {"--from", true},
    [OPTION_ALL] = {"--all", false},
    [OPTION_TABLE] = {"--table", false},
    [OPTION_HUMAN] = {"--human", false},
    [OPTION_DESCRIPTION] = {"--description", true},
    [OPTION_INCREMENTAL] = {"--incremental", false},
    [OPTION_PARENT] = {"--parent", true},
    [OPTION_TO] = {"--to", true},
    [OPTION_COMPRESS] = {"--compress", false},
    [OPTION_WITHOUT_METADATA] = {"--without-metadata", false},
    [OPTION_KEEP] = {"--keep", true},
    [OPTION_INTO] = {"--into", true},
    [OPTION_REPLACE] = {"--replace", false},
    [OPTION_NAMESPACE] = {"--namespace", true},
    [OPTION_DRY_RUN] = {"--dry-run", false},
    [OPTION_AT_LSN] = {"--at-lsn", true},
    [OPTION_AT_TIME] = {"--at-time", true},
    [OPTION_ARCHIVE] = {"--archive", true},
    [OPTION_VECTOR] = {"--vector", true},
    [OPTION_VECTOR_FILE] = {"--vector-file", true},
    [OPTION_ID] = {"--id", true},
    [OPTION_K] = {"-k", true},
    [OPTION_METRIC] = {"--metric", true},
    [OPTION_FILTER] = {"--filter", true},
    [OPTION_MIN_SCORE] = {"--min-score", true},
    [OPTION_OFFSET] = {"--offset", true},
    [OPTION_THREADS] = {"--threads", true},
    [OPTION_FULL_SCAN] = {"--full-scan", false},
    [OPTION_TIMEOUT] = {"--timeout", true},
    [OPTION_STATS] = {"--stats", false},
    [OPTION_NAME] = {"--name", true},
    [OPTION_DESCENDING] = {"--descending", false},
    [OPTION_TOP] = {"--top", true},
    [OPTION_PENALTY] = {"--penalty", true},
    [OPTION_MIN_LENGTH] = {"--min-length", true},
    [OPTION_AT] = {"--at", true},
    [OPTION_ALPHA] = {"--alpha", true},
    [OPTION_HALF_LIFE] = {"--half-life", true},
    [OPTION_AROUND] = {"--around", true},
    [OPTION_SVG] = {"--svg", true},
    [OPTION_KEEP_POINTS] = {"--keep-points", true},
    [OPTION_HISTORY] = {"--history", true},
    [OPTION_KEYFRAME_EVERY] = {"--keyframe-every", true},
    [OPTION_KNOWN_AT] = {"--known-at", true},
    [OPTION_IF_ABSENT] = {"--if-absent", false},
    [OPTION_STREAM] = {"--stream", false},
    [OPTION_PAYLOAD_FILE] = {"--payload-file", true},
    [OPTION_KEY] = {"--key", true},
    [OPTION_REQUEST] = {"--request", true},
    [OPTION_MODEL] = {"--model", true},
    [OPTION_ANY_MODEL] = {"--any-model", false},
    [OPTION_CONTEXT] = {"--context", true},
    [OPTION_ANY_CONTEXT] = {"--any-context", false},
    [OPTION_TTL] = {"--ttl", true},
    [OPTION_EMBEDDING] = {"--embedding", true},
    [OPTION_WITH_EMBEDDING] = {"--embedding", false},
    [OPTION_EMBEDDING_FILE] = {"--embedding-file", true},
    [OPTION_RAW] = {"--raw", false},
    [OPTION_PEEK] = {"--peek", false},
    [OPTION_MIN_SIMILARITY] = {"--min-similarity", true},
    [OPTION_CANDIDATES] = {"--candidates", true},
    [OPTION_REFINED] = {"--refined", true},
    [OPTION_OLDER_THAN] = {"--older-than", true},
    [OPTION_BEFORE] = {"--before", true},
    [OPTION_BYTES] = {"--bytes", true},
    [OPTION_ENTRIES] = {"--entries", true},
    [OPTION_DEFAULT] = {"--default", false},
};

#define GLOBAL_OPTIONS                                                                             \
    (TAKES(OPTION_DIR) | TAKES(OPTION_RECOVERY) | TAKES(OPTION_SNAPSHOT) | TAKES(OPTION_HELP) |    \
     TAKES(OPTION_VERSION))

const char *option_name(enum option option)
{
    MNI_CHECK(option < N_OPTIONS);
    return option_specs[option].name;
}

int args_refuse(const struct command *command, const char *format, ...)
{
    char what[1024];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(what, sizeof what, format, list);
    va_end(list);
    if (command == NULL) {
        say("%s", what);
        (void)fprintf(stderr, "usage: mneme [-d DIR] [--] COMMAND ...; see mneme --help\n");
    } else {
        say("%s: %s", command->name, what);
        (void)fprintf(stderr, "usage: mneme %s%s%s; see mneme %s --help\n", command->name,
                      command->usage[0] == '\0' ? "" : " ", command->usage, command->name);
    }
    return EXIT_CODE_USAGE;
}

/* Finds the option of `allowed` that `text` names, up to its '='. N_OPTIONS: none. */
static enum option find_option(const char *text, option_set allowed, const char **value_out)
{
    size_t n = strcspn(text, "=");

    *value_out = text[n] == '=' ? text + n + 1 : NULL;
    if (strcmp(text, "-h") == 0)
        return OPTION_HELP;
    for (int i = 0; i < N_OPTIONS; i++) {
        if ((allowed & TAKES(i)) != 0 && strlen(option_specs[i].name) == n &&
            strncmp(text, option_specs[i].name, n) == 0)
            return (enum option)i;
    }
    return N_OPTIONS;
}

/* Takes the option at argv[*at], and its value, and moves `at` behind them. */
static bool take_option(int argc, char **argv, int *at, option_set allowed, struct args *args)
{
    const char *text = argv[*at];
    const char *value = NULL;
    char short_option[3] = {0};

    if ((text[1] == 'd' || text[1] == 'k') && text[2] != '\0') { /* -dDIR, -k5 */
        memcpy(short_option, text, 2);
        value = text + 2;
        text = short_option;
    }
    const char *attached = NULL;
    enum option option = find_option(text, allowed | GLOBAL_OPTIONS, &attached);
    if (option == N_OPTIONS) {
        (void)args_refuse(args->command, "unknown option %.*s", (int)strcspn(text, "="), text);
        return false;
    }
    if (value == NULL)
        value = attached;
    *at += 1;
    if (!option_specs[option].has_value) {
        if (value != NULL) {
            (void)args_refuse(args->command, "%s takes no value", option_name(option));
            return false;
        }
        value = "";
    } else if (value == NULL) {
        if (*at >= argc) {
            (void)args_refuse(args->command, "%s needs a value", option_name(option));
            return false;
        }
        value = argv[*at];
        *at += 1;
    }
    args->values[option] = value;
    return true;
}

/* What looks like a number below zero is a word. */
static bool is_option(const char *text)
{
    return text[0] == '-' && text[1] != '\0' && (text[1] < '0' || text[1] > '9');
}

/* Finds the command that begins at argv[*at], one word or two, and moves `at` behind it. */
static bool take_command(int argc, char **argv, int *at, struct args *args)
{
    const char *first = argv[*at];
    const char *second = *at + 1 < argc ? argv[*at + 1] : NULL;

    args->command = command_find(first, NULL);
    if (args->command != NULL) {
        *at += 1;
        return true;
    }
    if (!command_is_group(first)) {
        (void)args_refuse(NULL, "unknown command \"%s\"", first);
        return false;
    }
    if (second != NULL && !is_option(second)) {
        args->command = command_find(first, second);
        if (args->command == NULL)
            (void)args_refuse(NULL, "unknown command \"%s %s\"; see mneme %s --help", first, second,
                              first);
        *at += 2;
        return args->command != NULL;
    }
    args->group = first;
    *at += 1;
    return true;
}

static bool check_words(const struct args *args)
{
    const struct command *command = args->command;

    if (args->values[OPTION_HELP] != NULL || args->values[OPTION_VERSION] != NULL)
        return true;
    if (command == NULL) {
        if (args->group != NULL)
            (void)args_refuse(NULL, "\"%s\" is not complete; see mneme %s --help", args->group,
                              args->group);
        else
            (void)args_refuse(NULL, "which command?");
        return false;
    }
    if (args->n_words < command->n_words_min) {
        const char *word = command->usage; /* begins with the words, in their order */
        for (int i = 0; i < args->n_words; i++)
            word = strchr(word, ' ') + 1;
        (void)args_refuse(command, "%.*s is missing", (int)strcspn(word, " ."), word);
        return false;
    }
    if (command->n_words_max != WORDS_ANY && args->n_words > command->n_words_max) {
        (void)args_refuse(command, "one word too many: \"%s\"", args->words[command->n_words_max]);
        return false;
    }
    return true;
}

bool args_parse(int argc, char **argv, struct args *args_out)
{
    int at = 1;

    *args_out = (struct args){0};
    while (at < argc && is_option(argv[at])) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (!take_option(argc, argv, &at, 0, args_out))
            return false;
    }
    if (at < argc && !take_command(argc, argv, &at, args_out))
        return false;

    option_set allowed = args_out->command == NULL ? 0 : args_out->command->options;
    bool options_are_over = false;
    args_out->words = argv + at;
    while (at < argc) {
        if (!options_are_over && strcmp(argv[at], "--") == 0) {
            options_are_over = true;
            at++;
        } else if (!options_are_over && is_option(argv[at])) {
            if (!take_option(argc, argv, &at, allowed, args_out))
                return false;
        } else {
            args_out->words[args_out->n_words++] = argv[at++];
        }
    }
    return check_words(args_out);
}

static bool parse_number(const char *text, uint64_t *number_out)
{
    uint64_t number = 0;

    if (text[0] == '\0')
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
            return false;
    }
    *number_out = number;
    return true;
}

bool args_number(const struct args *args, enum option option, uint64_t min, uint64_t max,
                 uint64_t otherwise, uint64_t *number_out)
{
    const char *text = args->values[option];
    uint64_t number = otherwise;

    if (text != NULL && (!parse_number(text, &number) || number < min || number > max)) {
        (void)args_refuse(args->command, "%s takes a number from %llu to %llu, not \"%s\"",
                          option_name(option), (unsigned long long)min, (unsigned long long)max,
                          text);
        return false;
    }
    *number_out = number;
    return true;
}

bool args_choice(const struct args *args, enum option option, const char *const *choices,
                 int otherwise, int *choice_out)
{
    const char *text = args->values[option];
    char all[128] = "";

    if (text == NULL) {
        *choice_out = otherwise;
        return true;
    }
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *choice_out = i;
            return true;
        }
        size_t n = strlen(all);
        (void)snprintf(all + n, sizeof all - n, "%s%s", i == 0 ? "" : ", ", choices[i]);
    }
    (void)args_refuse(args->command, "%s takes one of %s, not \"%s\"", option_name(option), all,
                      text);
    return false;
}
