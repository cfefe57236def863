/*
 * space.h - the words of the commands for points: a space, an entity, a time.
 */
#ifndef CLI_SPACE_H
#define CLI_SPACE_H

#include "cli.h"

/* A space as it was given. Decimal digits alone are a number, all else is a name. */
struct space_word {
    bool is_number;
    uint32_t space;       /* a number */
    struct mn_slice name; /* as it was written, a number too; borrowed from argv */
};

/* Takes the first word. Needs no store, as all that takes a word. Each says what is wrong and
 * returns an exit code. */
int space_take(const struct cli *cli, struct space_word *word_out);
int space_take_entity(const struct cli *cli, int word_index, uint64_t *entity_out);
/* A whole number of microseconds, or RFC 3339. */
int space_take_time(const struct cli *cli, const char *text, int64_t *us_out);
/* --from and --to; all times without them. Refuses an interval that is reversed. */
int space_take_interval(const struct cli *cli, int64_t *from_us_out, int64_t *to_us_out);

/* Looks it up. MN_NOT_FOUND, or what the store answered. */
MN_MUST_USE mn_status space_find(mn_store *store, const struct space_word *word,
                                 uint32_t *space_out, struct mn_error *err);

/* The least number that no space has. MN_ERR_LIMIT: they all have one. */
MN_MUST_USE mn_status space_find_free(mn_store *store, uint32_t *space_out, struct mn_error *err);

/* Says that there is no such space. Returns EXIT_CODE_NOT_FOUND. */
int space_say_none(const struct space_word *word);

/* Looks it up and says what is wrong. Returns an exit code. */
int space_require(const struct cli *cli, mn_store *store, const struct space_word *word,
                  uint32_t *space_out);

/* Says what a call about a space that is there answered. Returns the exit code. */
int space_say_status(const struct cli *cli, mn_status status, const struct mn_error *err);

#endif
