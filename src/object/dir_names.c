/*
 * dir_names.c - keys of objects as names of directories and files, and back.
 *
 * Owns:    nothing.
 * Format:  docs/format/object.md, "Names"
 * Threads: any.
 * Fails:   a name that is not exactly what its key has is none of ours.
 */
#include "object/dir_private.h"

#include "base/check.h"

/* From here on a name is cut: one byte more may take three characters, and the mark one. */
enum { CUT_CHARS = 60 };
static_assert(CUT_CHARS + 2 + 1 < MNI_NAME_BYTES_MAX, "a cut name and its mark are a name");

static const char MARK_LEAF = '@';
static const char MARK_MORE = '+';
static const char NOTHING = '%'; /* an empty component */

static bool is_plain(unsigned char byte, bool is_first)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || (byte == '.' && !is_first);
}

static size_t put_byte(char *name, size_t n, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";

    if (is_plain(byte, n == 0)) {
        name[n++] = (char)byte;
        return n;
    }
    name[n++] = '%';
    name[n++] = digits[byte >> 4];
    name[n++] = digits[byte & 15];
    return n;
}

void dir_next_step(struct mn_slice rest, struct dir_step *step_out)
{
    const unsigned char *bytes = rest.data;
    size_t n = 0;
    size_t i = 0;

    while (i < rest.n_bytes && bytes[i] != '/' && n < CUT_CHARS)
        n = put_byte(step_out->name, n, bytes[i++]);
    step_out->n_bytes = i;
    if (n >= CUT_CHARS) {
        step_out->kind = DIR_MORE;
        step_out->name[n++] = MARK_MORE;
    } else {
        bool is_folder = i < rest.n_bytes;
        step_out->kind = is_folder ? DIR_FOLDER : DIR_LEAF;
        step_out->n_bytes += is_folder;
        if (n == 0)
            step_out->name[n++] = NOTHING;
        if (!is_folder)
            step_out->name[n++] = MARK_LEAF;
    }
    MNI_CHECK(n < MNI_NAME_BYTES_MAX);
    step_out->name[n] = '\0';
}

/* 16 for what is no digit. */
static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/* Whether it is written as we write it is seen by writing it again. */
bool dir_read_name(const char *name, bool is_dir, struct dir_entry *entry_out)
{
    struct dir_step again;
    size_t n = strnlen(name, MNI_NAME_BYTES_MAX);

    if (n == 0 || n == MNI_NAME_BYTES_MAX)
        return false;
    bool has_mark = name[n - 1] == MARK_LEAF || name[n - 1] == MARK_MORE;
    entry_out->kind = !has_mark ? DIR_FOLDER : name[n - 1] == MARK_LEAF ? DIR_LEAF : DIR_MORE;
    entry_out->n_bytes = 0;
    size_t n_text = n - has_mark;
    bool is_nothing = n_text == 1 && name[0] == NOTHING;
    for (size_t i = 0; i < n_text && !is_nothing; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (byte == '%') {
            unsigned high = i + 2 < n_text ? digit_of(name[i + 1]) : 16;
            unsigned low = i + 2 < n_text ? digit_of(name[i + 2]) : 16;
            if (high > 15 || low > 15)
                return false;
            byte = (unsigned char)(high << 4 | low);
            i += 2;
        }
        entry_out->bytes[entry_out->n_bytes++] = byte;
    }
    if (entry_out->kind == DIR_FOLDER)
        entry_out->bytes[entry_out->n_bytes++] = '/';
    dir_next_step((struct mn_slice){entry_out->bytes, entry_out->n_bytes}, &again);
    return is_dir == (entry_out->kind != DIR_LEAF) && again.kind == entry_out->kind &&
           again.n_bytes == entry_out->n_bytes && strcmp(again.name, name) == 0;
}
