/*
 * exact_key.h - the exact key of an entry of the cache, as 64 hexadecimal digits.
 */
#ifndef CLI_EXACT_KEY_H
#define CLI_EXACT_KEY_H

#include <stdbool.h>

#include "mneme/semcache.h"

enum { KEY_TEXT_BYTES = 2 * MN_SEMCACHE_KEY_BYTES + 1 };

/* False: they are not so many hexadecimal digits, of either case. */
bool exact_key_parse(struct mn_slice text, unsigned char key_out[MN_SEMCACHE_KEY_BYTES]);

/* In lower case, and a NUL. Writes into `text` and returns it. */
const char *exact_key_format(const unsigned char key[MN_SEMCACHE_KEY_BYTES],
                             char text[KEY_TEXT_BYTES]);

#endif
