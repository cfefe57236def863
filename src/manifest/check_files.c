/*
 * check_files.c - whether the files that a manifest names are there, at the length it says.
 *
 * Owns:    nothing.
 * Threads: any number, on different manifests and directories.
 * Fails:   MN_ERR_CORRUPT names the files that are absent, shorter or longer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "manifest/manifest_private.h"

/* What was found, as one line of text. */
struct findings {
    struct mni_dir *dir;
    char text[MN_ERROR_MESSAGE_BYTES - 64];
    size_t n_text;
    uint64_t n_named; /* files that the text names */
    uint64_t n_files;
};

static void note(struct findings *f, const char *name, uint64_t expected, bool is_absent,
                 uint64_t actual)
{
    size_t room = sizeof f->text - f->n_text;
    const char *comma = f->n_files == 0 ? "" : ", ";
    int n;

    if (is_absent)
        n = snprintf(f->text + f->n_text, room, "%sseg/%s is absent", comma, name);
    else
        n = snprintf(f->text + f->n_text, room,
                     "%sseg/%s is too %s (%" PRIu64 " bytes, not %" PRIu64 ")", comma, name,
                     actual < expected ? "short" : "long", actual, expected);
    MNI_CHECK(n > 0);
    /* The ones that fit are the first ones, without gaps. */
    if (f->n_named == f->n_files && (size_t)n < room) {
        f->n_text += (size_t)n;
        f->n_named++;
    } else {
        f->text[f->n_text] = '\0';
    }
    f->n_files++;
}

static mn_status check_file(struct findings *f, const char *name, uint64_t expected,
                            struct mn_error *err)
{
    struct mni_file *file = NULL;
    uint64_t actual = 0;

    mn_status st = mni_dir_open_file(f->dir, name, MNI_OPEN_READ, &file, err);
    if (st == MN_NOT_FOUND) {
        note(f, name, expected, true, 0);
        return MN_OK;
    }
    if (st == MN_OK)
        st = mni_file_size(file, &actual, err);
    mni_file_close(file);
    if (st == MN_OK && actual != expected)
        note(f, name, expected, false, actual);
    return st;
}

mn_status mni_manifest_check_files(struct mni_dir *seg_dir, const struct mni_manifest *manifest,
                                   struct mn_error *err)
{
    struct findings f = {.dir = seg_dir};
    char name[MNI_NAME_BYTES_MAX];

    for (size_t i = 0; i < manifest->n_segments; i++) {
        const struct mni_manifest_segment *segment = &manifest->segments[i];
        mni_manifest_segment_name(segment->id, name);
        mn_status st = check_file(&f, name, segment->file_bytes, err);
        for (size_t j = 0; st == MN_OK && j < segment->n_lives; j++) {
            const struct mni_manifest_live *live = &manifest->lives[segment->first_live + j];
            mni_manifest_live_name(segment->id, live->generation, name);
            st = check_file(&f, name, live->file_bytes, err);
        }
        if (st != MN_OK)
            return st;
    }
    if (f.n_files == 0)
        return MN_OK;
    if (f.n_files == f.n_named)
        return mni_fail(err, MN_ERR_CORRUPT, "%s", f.text);
    return mni_fail(err, MN_ERR_CORRUPT, "%s, and %" PRIu64 " more files", f.text,
                    f.n_files - f.n_named);
}
