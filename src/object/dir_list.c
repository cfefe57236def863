/*
 * dir_list.c - lists objects in the order of their keys.
 *
 * Owns:    what it found, and the entries of the directories that it is in.
 * Format:  docs/format/object.md, "Names": why the order is right
 * Threads: any; what others put and delete meanwhile is seen or not.
 * Fails:   MN_ERR_NOMEM, and as the disk does. What has gone when it is looked at was deleted.
 *
 * A page costs a look at the names in the directories that it goes through, and one into each file
 * that it shows. A prefix is gone to without looking at what is beside it. Of a directory only the
 * next entries are kept, so that a page takes no more memory where there are millions. The names
 * are looked at once more when these turn out too few: empty directories show nothing.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "object/dir_private.h"

enum {
    HANDLES_MAX = 16, /* of the innermost directories of the way; others are opened again */
    KEPT_MAX = MN_OBJECT_PAGE_ENTRIES_MAX + 100, /* of a directory, when it has twice as many */
    FRAMES_MAX = MN_OBJECT_KEY_BYTES_MAX + 1,
};

/* A directory on the way from the outermost to where the walk is. */
struct frame {
    struct mni_dir *dir;    /* owned; NULL: to be opened again */
    struct mni_buf entries; /* struct dir_entry, in order */
    size_t n;
    size_t at;              /* the next one; the one before is gone into */
    bool was_cut;           /* the directory has more behind the last one */
    struct dir_entry floor; /* only what comes behind it is looked for; of no bytes: all */
    size_t path_bytes;      /* of the keys in here, what is common */
};

struct walk {
    struct dir_store *store;
    struct mn_slice prefix;
    struct mn_slice after;
    size_t n_max;

    struct frame *frames; /* owned */
    size_t n_frames;
    size_t capacity;
    unsigned char path[MN_OBJECT_KEY_BYTES_MAX + MNI_NAME_BYTES_MAX];

    struct mn_object_entry *found; /* owned; with the offset of a key in `keys` for its data */
    size_t n_found;
    struct mni_buf keys;
};

/* Directories ----------*/

static struct frame *top(struct walk *walk)
{
    return &walk->frames[walk->n_frames - 1];
}

static struct dir_entry *entry_at(struct frame *frame, size_t i)
{
    return &((struct dir_entry *)frame->entries.data)[i];
}

static void pop(struct walk *walk)
{
    struct frame *frame = top(walk);

    mni_dir_close(frame->dir);
    mni_buf_done(&frame->entries);
    walk->n_frames--;
}

static mn_status open_entry(struct mni_dir *dir, const struct dir_entry *entry,
                            struct mni_dir **dir_out, struct mn_error *err)
{
    struct dir_step step;

    dir_next_step((struct mn_slice){entry->bytes, entry->n_bytes}, &step);
    MNI_CHECK(step.kind == entry->kind);
    return mni_dir_open_dir(dir, step.name, false, dir_out, err);
}

/* Opens the innermost directory anew, by the way that leads there. */
static mn_status open_again(struct walk *walk, struct mn_error *err)
{
    struct mni_dir *at = NULL;
    mn_status st = mni_dir_open_dir(walk->store->root, "objects", false, &at, err);

    for (size_t i = 0; i + 1 < walk->n_frames && st == MN_OK; i++) {
        struct frame *frame = &walk->frames[i];
        struct mni_dir *next = NULL;
        st = open_entry(at, entry_at(frame, frame->at - 1), &next, err);
        mni_dir_close(at);
        at = next;
    }
    if (st == MN_OK)
        top(walk)->dir = at;
    return st;
}

/* Entries ----------*/

/* Whether the entry is, or may hold, a key that is asked for. */
static bool is_wanted(struct walk *walk, const struct frame *frame, const struct dir_entry *entry)
{
    memcpy(walk->path + frame->path_bytes, entry->bytes, entry->n_bytes);
    struct mn_slice path = {walk->path, frame->path_bytes + entry->n_bytes};

    if (path.n_bytes > MN_OBJECT_KEY_BYTES_MAX)
        return false; /* made by somebody else */
    if (entry->kind == DIR_LEAF)
        return mni_begins_with(path, walk->prefix) && mni_key_compare(path, walk->after) > 0;
    if (!mni_begins_with(path, walk->prefix) && !mni_begins_with(walk->prefix, path))
        return false;
    return mni_key_compare(path, walk->after) > 0 || mni_begins_with(walk->after, path);
}

static int compare_entries(const void *a, const void *b)
{
    const struct dir_entry *x = a;
    const struct dir_entry *y = b;

    return mni_key_compare((struct mn_slice){x->bytes, x->n_bytes},
                           (struct mn_slice){y->bytes, y->n_bytes});
}

static void sort(struct frame *frame)
{
    if (frame->n > 1)
        qsort(frame->entries.data, frame->n, sizeof(struct dir_entry), compare_entries);
}

static void cut(struct frame *frame)
{
    MNI_CHECK(frame->n >= KEPT_MAX);
    sort(frame);
    frame->n = KEPT_MAX;
    frame->entries.n_bytes = KEPT_MAX * sizeof(struct dir_entry);
    frame->was_cut = true;
}

static mn_status add_entry(struct walk *walk, const struct dir_entry *entry, struct mn_error *err)
{
    struct frame *frame = top(walk);

    if (compare_entries(entry, &frame->floor) <= 0 && frame->floor.n_bytes > 0)
        return MN_OK;
    if (!is_wanted(walk, frame, entry))
        return MN_OK;
    /* The first ones are in order since the last cut. */
    if (frame->was_cut && compare_entries(entry, entry_at(frame, KEPT_MAX - 1)) > 0)
        return MN_OK;
    if (mni_buf_append(&frame->entries, entry, sizeof *entry) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "%zu entries of a directory", frame->n);
    frame->n++;
    if (frame->n == 2 * (size_t)KEPT_MAX)
        cut(frame);
    return MN_OK;
}

static mn_status note_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct dir_entry entry;

    return dir_read_name(name, is_dir, &entry) ? add_entry(context, &entry, err) : MN_OK;
}

/* Fills the innermost frame. Where the prefix leads into one directory, only that one counts. */
static mn_status load(struct walk *walk, struct mn_error *err)
{
    struct frame *frame = top(walk);

    if (walk->prefix.n_bytes > frame->path_bytes) {
        struct mn_slice rest = {(const unsigned char *)walk->prefix.data + frame->path_bytes,
                                walk->prefix.n_bytes - frame->path_bytes};
        struct dir_entry only;
        struct dir_step step;
        dir_next_step(rest, &step);
        if (step.kind != DIR_LEAF) {
            only.kind = step.kind;
            only.n_bytes = step.n_bytes;
            memcpy(only.bytes, rest.data, step.n_bytes);
            return add_entry(walk, &only, err);
        }
    }
    mn_status st = mni_dir_list(frame->dir, note_entry, walk, err);
    if (st != MN_OK)
        return st;
    if (frame->was_cut)
        cut(frame);
    sort(frame);
    return MN_OK;
}

/* Goes on behind the entries that were kept. */
static mn_status load_more(struct walk *walk, struct mn_error *err)
{
    struct frame *frame = top(walk);

    frame->floor = *entry_at(frame, frame->n - 1);
    mni_buf_reset(&frame->entries);
    frame->n = 0;
    frame->at = 0;
    frame->was_cut = false;
    return load(walk, err);
}

/* Goes into a directory, which is the caller's no more. */
static mn_status push(struct walk *walk, struct mni_dir *dir, size_t path_bytes,
                      struct mn_error *err)
{
    if (walk->n_frames == walk->capacity) {
        size_t capacity = walk->capacity == 0 ? 8 : walk->capacity * 2;
        struct frame *frames = mni_realloc(walk->frames, capacity * sizeof *frames);
        if (frames == NULL) {
            mni_dir_close(dir);
            return mni_fail(err, MN_ERR_NOMEM, "%zu directories", capacity);
        }
        walk->frames = frames;
        walk->capacity = capacity;
    }
    MNI_CHECK(walk->n_frames < FRAMES_MAX);
    walk->frames[walk->n_frames++] = (struct frame){.dir = dir, .path_bytes = path_bytes};
    if (walk->n_frames > HANDLES_MAX) {
        struct frame *far = &walk->frames[walk->n_frames - 1 - HANDLES_MAX];
        mni_dir_close(far->dir);
        far->dir = NULL;
    }
    return load(walk, err);
}

/* Objects ----------*/

static bool is_key(const unsigned char *path, size_t n)
{
    return n > 0 && n <= MN_OBJECT_KEY_BYTES_MAX && memchr(path, 0, n) == NULL &&
           mni_utf8_is_valid(path, n);
}

/* Whether the key in `path` comes behind the one that was found before, or behind `after`. */
static bool is_behind_last(const struct walk *walk, size_t key_bytes)
{
    struct mn_slice last = walk->after;

    if (walk->n_found > 0) {
        last.n_bytes = walk->found[walk->n_found - 1].key.n_bytes;
        last.data = walk->keys.data + walk->keys.n_bytes - last.n_bytes;
    }
    return mni_key_compare((struct mn_slice){walk->path, key_bytes}, last) > 0;
}

/* The directory is open, the key in `path`. */
static mn_status add_object(struct walk *walk, const struct dir_entry *entry, size_t key_bytes,
                            struct mn_error *err)
{
    struct mn_object_entry *found = &walk->found[walk->n_found];
    struct mn_object_info info = {0};
    struct dir_step step;

    MNI_CHECK(walk->n_found <= walk->n_max);
    /* A directory that others change while it is read may show a name twice. */
    if (!is_key(walk->path, key_bytes) || !is_behind_last(walk, key_bytes))
        return MN_OK;
    dir_next_step((struct mn_slice){entry->bytes, entry->n_bytes}, &step);
    mn_status st = dir_file_info(top(walk)->dir, step.name, &info, err);
    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st != MN_OK && st != MN_ERR_CORRUPT && st != MN_ERR_UNSUPPORTED)
        return st; /* a damaged one is shown, so that somebody misses it */
    if (mni_buf_append(&walk->keys, walk->path, key_bytes) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a page of keys");
    *found = (struct mn_object_entry){
        .key = {NULL, key_bytes}, .n_bytes = info.n_bytes, .modified_us = info.modified_us};
    memcpy(found->etag, info.etag, sizeof found->etag);
    walk->n_found++;
    return MN_OK;
}

static mn_status take_step(struct walk *walk, struct mn_error *err)
{
    struct frame *frame = top(walk);
    mn_status st = MN_OK;

    MNI_CHECK(frame->at <= frame->n);
    if (frame->at == frame->n && !frame->was_cut) {
        pop(walk);
        return MN_OK;
    }
    if (frame->dir == NULL)
        st = open_again(walk, err);
    if (st == MN_OK && frame->at == frame->n)
        st = load_more(walk, err);
    if (st == MN_NOT_FOUND)
        pop(walk); /* it went, with all that was in it */
    if (st != MN_OK)
        return st == MN_NOT_FOUND ? MN_OK : st;
    if (frame->at == frame->n)
        return MN_OK;
    const struct dir_entry entry = *entry_at(frame, frame->at++);
    size_t path_bytes = frame->path_bytes + entry.n_bytes;
    memcpy(walk->path + frame->path_bytes, entry.bytes, entry.n_bytes);
    if (entry.kind == DIR_LEAF)
        return add_object(walk, &entry, path_bytes, err);
    struct mni_dir *dir = NULL;
    st = open_entry(frame->dir, &entry, &dir, err);
    if (st == MN_OK)
        st = push(walk, dir, path_bytes, err);
    return st == MN_NOT_FOUND ? MN_OK : st;
}

static mn_status make_page(const struct walk *walk, struct mn_object_page **page_out,
                           struct mn_error *err)
{
    size_t n = walk->n_found < walk->n_max ? walk->n_found : walk->n_max;
    size_t keys_bytes = 0;
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        keys_bytes += walk->found[i].key.n_bytes;
    mn_status st = mni_object_page_new(n, keys_bytes, page_out, err);
    for (size_t i = 0; st == MN_OK && i < n; i++) {
        struct mn_object_entry entry = walk->found[i];
        entry.key.data = walk->keys.data + at;
        at += entry.key.n_bytes;
        mni_object_page_add(*page_out, &entry);
    }
    if (st == MN_OK)
        (*page_out)->is_last = walk->n_found <= walk->n_max;
    return st;
}

/* One object more than the page has tells whether it is the last. */
mn_status dir_list(struct dir_store *store, struct mn_slice prefix, struct mn_slice after,
                   size_t n_entries_max, struct mn_object_page **page_out, struct mn_error *err)
{
    struct walk walk = {.store = store, .prefix = prefix, .after = after, .n_max = n_entries_max};
    struct mni_dir *dir = NULL;
    mn_status st = MN_OK;

    walk.found = mni_alloc_array(n_entries_max + 1, sizeof *walk.found);
    if (walk.found == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a page of %zu objects", n_entries_max);
    /* By name, so that it shows when it was removed. */
    st = mni_dir_open_dir(store->root, "objects", false, &dir, err);
    if (st == MN_OK)
        st = push(&walk, dir, 0, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_IO, "the directory of objects was removed");
    while (st == MN_OK && walk.n_frames > 0 && walk.n_found <= n_entries_max)
        st = take_step(&walk, err);
    if (st == MN_OK)
        st = make_page(&walk, page_out, err);
    while (walk.n_frames > 0)
        pop(&walk);
    mni_free(walk.frames);
    mni_free(walk.found);
    mni_buf_done(&walk.keys);
    return st;
}
