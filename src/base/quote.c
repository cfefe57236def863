/*
 * quote.c - names and ids as messages show them.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never; what does not fit is cut.
 */
#include "base/quote.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/utf8.h"

const char *mni_quote(struct mn_slice name, char *text, size_t text_bytes)
{
    const unsigned char *bytes = name.data;
    size_t n = 0;
    size_t i = 0;

    MNI_CHECK(text_bytes >= MNI_QUOTE_BYTES_MIN);
    text[n++] = '"';
    while (i < name.n_bytes && n < text_bytes - (MNI_QUOTE_BYTES_MIN - 1)) {
        size_t left = name.n_bytes - i;
        size_t char_bytes = 1;
        while (char_bytes < 4 && char_bytes < left && (bytes[i + char_bytes] & 0xC0) == 0x80)
            char_bytes++;
        bool is_c1 = bytes[i] == 0xC2 && char_bytes == 2 && bytes[i + 1] < 0xA0;
        if (bytes[i] == '"' || bytes[i] == '\\') {
            text[n++] = '\\';
            text[n++] = (char)bytes[i++];
        } else if (bytes[i] < 0x20 || bytes[i] == 0x7F || is_c1 ||
                   !mni_utf8_is_valid(bytes + i, char_bytes)) {
            n += (size_t)snprintf(text + n, text_bytes - n, "\\x%02X", bytes[i++]);
        } else {
            memcpy(text + n, bytes + i, char_bytes);
            n += char_bytes;
            i += char_bytes;
        }
    }
    (void)snprintf(text + n, text_bytes - n, i < name.n_bytes ? "...\"" : "\"");
    return text;
}
