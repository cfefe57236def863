/*
 * name.c - names of segment files.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any.
 * Fails:   never; a name that is none is told.
 */
#include "segment/segment_private.h"

enum { DIGITS = 2 * MNI_SEGMENT_ID_BYTES };
static const char suffix[] = ".seg";
static_assert(DIGITS + sizeof suffix == MNI_SEGMENT_NAME_BYTES, "name layout");

void mni_segment_name(const struct mni_segment_id *id, char name_out[MNI_SEGMENT_NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < MNI_SEGMENT_ID_BYTES; i++) {
        name_out[2 * i] = digits[id->bytes[i] >> 4];
        name_out[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    memcpy(name_out + DIGITS, suffix, sizeof suffix);
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mni_segment_parse_name(const char *name, struct mni_segment_id *id_out)
{
    struct mni_segment_id id;

    if (strlen(name) != MNI_SEGMENT_NAME_BYTES - 1 || strcmp(name + DIGITS, suffix) != 0)
        return false;
    for (size_t i = 0; i < MNI_SEGMENT_ID_BYTES; i++) {
        int high = digit_value(name[2 * i]);
        int low = digit_value(name[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (unsigned char)(high << 4 | low);
    }
    *id_out = id;
    return true;
}
