/*
 * names.c - names of segments and their liveness files.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "manifest/manifest_private.h"

enum { HEX_DIGITS = 2 * MNI_MANIFEST_ID_BYTES, GENERATION_DIGITS_MAX = 20 };
static_assert(HEX_DIGITS + 1 + GENERATION_DIGITS_MAX + 5 < MNI_NAME_BYTES_MAX, "names fit");

void mni_manifest_segment_id(uint64_t incarnation, uint64_t counter,
                             unsigned char id_out[MNI_MANIFEST_ID_BYTES])
{
    for (int i = 0; i < 8; i++) {
        id_out[i] = (unsigned char)(incarnation >> (56 - 8 * i));
        id_out[8 + i] = (unsigned char)(counter >> (56 - 8 * i));
    }
}

static void put_hex(const unsigned char *id, char *out)
{
    for (size_t i = 0; i < MNI_MANIFEST_ID_BYTES; i++) {
        out[2 * i] = "0123456789abcdef"[id[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
}

void mni_manifest_segment_name(const unsigned char *id, char name_out[MNI_NAME_BYTES_MAX])
{
    put_hex(id, name_out);
    memcpy(name_out + HEX_DIGITS, ".seg", 5);
}

void mni_manifest_live_name(const unsigned char *id, uint64_t generation,
                            char name_out[MNI_NAME_BYTES_MAX])
{
    put_hex(id, name_out);
    (void)snprintf(name_out + HEX_DIGITS, MNI_NAME_BYTES_MAX - HEX_DIGITS, ".%" PRIu64 ".live",
                   generation);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads the one spelling that mni_manifest_live_name gives a generation. NULL: it is none. */
static const char *parse_generation(const char *at, uint64_t *generation_out)
{
    uint64_t generation = 0;

    if (*at < '1' || *at > '9')
        return NULL;
    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (generation > (UINT64_MAX - digit) / 10)
            return NULL;
        generation = generation * 10 + digit;
    }
    *generation_out = generation;
    return at;
}

bool mni_manifest_parse_name(const char *name, unsigned char id_out[MNI_MANIFEST_ID_BYTES],
                             uint64_t *generation_out)
{
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    uint64_t generation = 0;

    for (size_t i = 0; i < MNI_MANIFEST_ID_BYTES; i++) {
        int high = hex_value(name[2 * i]);
        int low = high < 0 ? -1 : hex_value(name[2 * i + 1]);
        if (low < 0)
            return false;
        id[i] = (unsigned char)(high << 4 | low);
    }
    const char *rest = name + HEX_DIGITS;
    if (strcmp(rest, ".seg") != 0) {
        if (*rest != '.')
            return false;
        rest = parse_generation(rest + 1, &generation);
        if (rest == NULL || strcmp(rest, ".live") != 0)
            return false;
    }
    memcpy(id_out, id, sizeof id);
    *generation_out = generation;
    return true;
}
