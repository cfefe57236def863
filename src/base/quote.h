/*
 * quote.h - names and ids as messages show them.
 */
#ifndef MNI_BASE_QUOTE_H
#define MNI_BASE_QUOTE_H

#include <stddef.h>

#include "mneme/types.h"

/* A name or id in quotes, with control characters, U+0000 too, and bytes that are no UTF-8 escaped.
 * What does not fit is cut, with "..." in its place. Writes `text`, ended by a NUL, and returns
 * it. */
enum { MNI_QUOTE_BYTES_MIN = 17, MNI_QUOTED_NAME_BYTES = 100 };
const char *mni_quote(struct mn_slice name, char *text, size_t text_bytes);

#endif
