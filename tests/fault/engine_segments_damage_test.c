/*
 * engine_segments_damage_test.c - one byte of a store's segments, liveness files, manifest or STORE
 * is wrong, or a file is too short, too long, missing or another one.
 *
 * The store is refused, or each answer is right or says which file is damaged: never a wrong one,
 * never that a record is absent which may lie in the damaged part. What lies elsewhere is there.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "check.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "mneme/mneme.h"

enum {
    N_KEYS = 64,
    N_FIRST = 40,
    N_DIMS = 16,
    FILES_MAX = 16,
    STRIDE = 509,
    VERIFY_STRIDE = 7,
    VALUE_BYTES = 32,
    LONG_VALUE_BYTES = 3000, /* so that records lie in many blocks */
};

struct damaged_file {
    bool is_in_seg;
    char name[MNI_NAME_BYTES_MAX];
    unsigned char *bytes; /* owned */
    size_t n;
};

struct world {
    struct mni_crash_env *crash;
    struct mni_env *env;
    struct mni_dir *dir;
    struct mni_dir *seg;
    struct damaged_file files[FILES_MAX];
    size_t n_files;
    struct mn_error err;
};

struct tally {
    uint64_t n_refused;
    uint64_t n_whole;
    uint64_t n_partly;
    uint64_t n_read;
    uint64_t n_unreadable;
};

static mn_status open_store(struct world *w, bool read_only, mn_store **store_out)
{
    struct mn_options o = {.size = sizeof o,
                           .create = !read_only,
                           .read_only = read_only,
                           .no_background = true,
                           .wal_file_bytes = 64 << 10};

    return mni_api_store_open(w->env, "/s", &o, store_out, &w->err);
}

/* What should be there ---------- */

static struct mn_slice key(int i)
{
    static char text[N_KEYS + 1][4];

    (void)snprintf(text[i], sizeof text[i], "k%02d", i);
    return (struct mn_slice){text[i], 3};
}

/* What the record holds, NULL: it is not there. Three parts of its life: the first checkpoint, the
 * second one, and what is in the log alone. */
static const char *value_of(int i)
{
    static char text[VALUE_BYTES];
    int part = 1;

    if (i == 3 || i == 4 || i == 8 || i == 63)
        return NULL;
    if (i >= N_FIRST || i == 7)
        part = 2;
    if (i == 60 || i == 41)
        part = 3;
    (void)snprintf(text, sizeof text, "value %d of part %d", i, part);
    return text;
}

/* Long ones end in zeroes. */
static struct mn_slice payload_of(int i, const char *value)
{
    static char text[LONG_VALUE_BYTES];

    memset(text, 0, sizeof text);
    (void)snprintf(text, sizeof text, "%s", value);
    return (struct mn_slice){text, i % 4 == 0 ? sizeof text : strlen(value)};
}

static bool expires(int i)
{
    return i == 5 || i == 6 || i == 9;
}

static void put_key(struct world *w, mn_store *store, int i, const char *value)
{
    const float vector[N_DIMS] = {(float)i, 1};
    struct mn_record r = {.id = key(i),
                          .payload = payload_of(i, value),
                          .vector = vector,
                          .n_dims = N_DIMS,
                          .fields = i == 5 ? MN_HAS_EXPIRES_AT : 0,
                          .expires_at_us = INT64_MAX};

    CHECK_OK_ERR(mn_put(store, mn_str("n"), &r, NULL, NULL, &w->err), &w->err);
}

static void remove_key(struct world *w, mn_store *store, int i)
{
    CHECK_OK_ERR(mn_delete(store, mn_str("n"), key(i), NULL, NULL, NULL, &w->err), &w->err);
}

static void touch_key(struct world *w, mn_store *store, int i)
{
    CHECK_OK_ERR(
        mn_touch(store, mn_str("n"), key(i), MN_HAS_EXPIRES_AT, INT64_MAX, NULL, NULL, &w->err),
        &w->err);
}

static void fill(struct world *w, mn_store *store)
{
    char early[VALUE_BYTES];

    for (int i = 0; i < N_FIRST; i++) {
        (void)snprintf(early, sizeof early, "value %d of part 1", i);
        put_key(w, store, i, early);
    }
    CHECK_OK_ERR(mn_checkpoint(store, &w->err), &w->err);
    for (int i = N_FIRST; i < 60; i++)
        put_key(w, store, i, value_of(i));
    put_key(w, store, 41, "value 41 of part 2");
    put_key(w, store, 61, value_of(61));
    put_key(w, store, 62, value_of(62));
    remove_key(w, store, 3);
    remove_key(w, store, 4);
    touch_key(w, store, 6);
    put_key(w, store, 7, value_of(7));
    CHECK_OK_ERR(mn_checkpoint(store, &w->err), &w->err);
    put_key(w, store, 60, value_of(60));
    put_key(w, store, 41, value_of(41));
    remove_key(w, store, 8);
    touch_key(w, store, 9);
}

/* Files ---------- */

static struct mni_dir *dir_of(const struct world *w, const struct damaged_file *f)
{
    return f->is_in_seg ? w->seg : w->dir;
}

static mn_status note_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct world *w = context;
    struct damaged_file *f = &w->files[w->n_files];

    (void)err;
    if (is_dir)
        return MN_OK;
    CHECK(w->n_files < FILES_MAX);
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    f->is_in_seg = w->seg != NULL;
    w->n_files++;
    return MN_OK;
}

static void read_whole(struct world *w, struct damaged_file *f)
{
    struct mni_file *file = NULL;
    uint64_t n = 0;

    CHECK_OK(mni_dir_open_file(dir_of(w, f), f->name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_size(file, &n, NULL));
    f->bytes = malloc(n);
    CHECK(f->bytes != NULL);
    CHECK_OK(mni_file_read(file, 0, f->bytes, n, &f->n, NULL));
    CHECK_EQ(f->n, n);
    mni_file_close(file);
}

static void write_at(struct world *w, const struct damaged_file *f, size_t at, const void *bytes,
                     size_t n)
{
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_file(dir_of(w, f), f->name, MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_write(file, at, bytes, n, NULL));
    mni_file_close(file);
}

static void cut_to(struct world *w, const struct damaged_file *f, size_t n)
{
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_file(dir_of(w, f), f->name, MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_truncate(file, n, NULL));
    mni_file_close(file);
}

static void begin(struct world *w)
{
    mn_store *store = NULL;

    *w = (struct world){0};
    CHECK_OK(mni_crash_env_new(7, &w->crash));
    w->env = mni_crash_env_base(w->crash);
    CHECK_OK_ERR(open_store(w, false, &store), &w->err);
    fill(w, store);
    CHECK_OK(mn_close(store, NULL));
    CHECK_OK(mni_env_open_dir(w->env, "/s", false, &w->dir, NULL));
    CHECK_OK(mni_dir_list(w->dir, note_file, w, NULL));
    CHECK_OK(mni_dir_open_dir(w->dir, "seg", false, &w->seg, NULL));
    CHECK_OK(mni_dir_list(w->seg, note_file, w, NULL));
    for (size_t i = 0; i < w->n_files; i++)
        read_whole(w, &w->files[i]);
}

static void end(struct world *w)
{
    for (size_t i = 0; i < w->n_files; i++)
        free(w->files[i].bytes);
    mni_dir_close(w->seg);
    mni_dir_close(w->dir);
    mni_crash_env_free(w->crash);
}

/* Judging ---------- */

static void check_told(const struct world *w, const struct damaged_file *f, mn_status st)
{
    if (st == MN_ERR_UNSUPPORTED)
        return; /* a version that is newer by the flip */
    CHECK_STATUS(st, MN_ERR_CORRUPT);
    CHECK_STR_HAS(w->err.message, f->name);
}

static void check_view(const struct mn_view *view, int i)
{
    CHECK(value_of(i) != NULL);
    struct mn_slice expected = payload_of(i, value_of(i));
    CHECK_EQ(view->payload.n_bytes, expected.n_bytes);
    CHECK_MEM_EQ(view->payload.data, expected.data, expected.n_bytes);
    CHECK_EQ(view->n_dims, N_DIMS);
    CHECK(view->vector[0] == (float)i && view->vector[1] == 1);
    CHECK_EQ(view->fields, expires(i) ? MN_HAS_EXPIRES_AT : 0);
}

static void get_all(struct world *w, const struct damaged_file *f, mn_store *store,
                    struct tally *tally)
{
    for (int i = 0; i < N_KEYS; i++) {
        struct mn_view view;
        mn_status st = mn_get(store, mn_str("n"), key(i), &view, &w->err);
        if (st == MN_OK) {
            check_view(&view, i);
            mn_view_release(&view);
            tally->n_read++;
        } else if (st == MN_NOT_FOUND) {
            CHECK(value_of(i) == NULL);
        } else {
            CHECK(i != 60 && i != 41); /* these are in the log */
            check_told(w, f, st);
            tally->n_unreadable++;
        }
    }
}

static void walk_all(struct world *w, const struct damaged_file *f, mn_store *store)
{
    mn_iter *iter = NULL;
    struct mn_view view;
    int i = 0;
    mn_status st = mn_iter_open(store, mn_str("n"), NULL, &iter, &w->err);

    while (st == MN_OK && (st = mn_iter_next(iter, &view, &w->err)) == MN_OK) {
        while (i < N_KEYS && value_of(i) == NULL)
            i++;
        CHECK(i < N_KEYS);
        CHECK_MEM_EQ(view.id.data, key(i).data, 3);
        check_view(&view, i);
        mn_view_release(&view);
        i++;
    }
    mn_iter_close(iter);
    if (st != MN_END) {
        check_told(w, f, st);
        return;
    }
    while (i < N_KEYS && value_of(i) == NULL)
        i++;
    CHECK_EQ(i, N_KEYS);
}

/* Each vector is there, or is told to be in a damaged place. */
static void scan_all(struct world *w, const struct damaged_file *f, mn_store *store)
{
    bool was_given[N_KEYS] = {false};
    struct mn_scan_chunk chunk;
    mn_scan *scan = NULL;
    int n_told = 0;
    mn_status st = mn_scan_open(store, mn_str("n"), NULL, &scan, &w->err);

    if (st != MN_OK) {
        check_told(w, f, st);
        return;
    }
    while ((st = mn_scan_next(scan, &chunk, &w->err)) != MN_END) {
        if (st != MN_OK) {
            check_told(w, f, st);
            n_told++;
        }
        for (size_t k = 0; k < chunk.n_vectors; k++) {
            struct mn_view view;
            int i = (int)chunk.vectors[N_DIMS * k];
            CHECK(i >= 0 && i < N_KEYS && value_of(i) != NULL && !was_given[i]);
            CHECK(chunk.vectors[N_DIMS * k + 1] == 1);
            was_given[i] = true;
            st = mn_scan_view(scan, k, &view, &w->err);
            if (st == MN_OK)
                check_view(&view, i);
            else
                check_told(w, f, st);
            mn_view_release(&view);
        }
    }
    mn_scan_close(scan);
    for (int i = 0; i < N_KEYS; i++)
        n_told -= value_of(i) != NULL && !was_given[i];
    CHECK_EQ(n_told, 0);
}

/* The results are those of the undamaged store, or a search says that there is damage; if it passes
 * over damage, what it finds is right, and what it does not find it counts. */
static void search_all(struct world *w, const struct damaged_file *f, mn_store *store,
                       mn_metric metric, bool skips)
{
    const float query[N_DIMS] = {1};
    const struct mn_search_options o = {.size = sizeof o, .metric = metric, .skip_damaged = skips};
    struct mn_search_stats stats = {.size = sizeof stats};
    mn_search *search = NULL;
    struct mn_search_hit hit;
    int i = N_KEYS;
    int n_absent = 0;
    mn_status st =
        mn_search_open(store, mn_str("n"), query, 1, N_DIMS, N_KEYS, &o, &search, &w->err);

    if (st != MN_OK) {
        check_told(w, f, st);
        return;
    }
    while ((st = mn_search_next(search, &hit, &w->err)) != MN_END) {
        if (st != MN_OK) {
            CHECK(!skips);
            check_told(w, f, st);
            break;
        }
        for (i--; i > (int)hit.view.vector[0]; i--)
            n_absent += value_of(i) != NULL;
        CHECK(i == (int)hit.view.vector[0] && value_of(i) != NULL);
        CHECK(fabs(hit.score - i / (metric == MN_METRIC_DOT ? 1 : sqrt(i * i + 1.0))) < 1e-6);
        check_view(&hit.view, i);
        mn_view_release(&hit.view);
    }
    while (st == MN_END && i > 0)
        n_absent += value_of(--i) != NULL;
    CHECK_OK_ERR(mn_search_stats(search, &stats, &w->err), &w->err);
    CHECK(skips || (stats.n_damaged == 0 && n_absent == 0));
    CHECK(n_absent == 0 || stats.n_damaged > 0);
    mn_search_close(search);
}

/* The same where all scores are equal, so that keys decide what is among the results. */
static void search_equals(struct world *w, const struct damaged_file *f, mn_store *store,
                          bool skips)
{
    enum { LIMIT = 30 }; /* some of each part are left out */
    const float query[N_DIMS] = {0, 1};
    const struct mn_search_options o = {
        .size = sizeof o, .metric = MN_METRIC_DOT, .skip_damaged = skips};
    struct mn_search_stats stats = {.size = sizeof stats};
    mn_search *search = NULL;
    struct mn_search_hit hit;
    int i = 0;
    int n_absent = 0;
    mn_status st =
        mn_search_open(store, mn_str("n"), query, 1, N_DIMS, LIMIT, &o, &search, &w->err);

    if (st != MN_OK) {
        check_told(w, f, st);
        return;
    }
    while ((st = mn_search_next(search, &hit, &w->err)) == MN_OK) {
        for (; i < (int)hit.view.vector[0]; i++)
            n_absent += value_of(i) != NULL;
        CHECK(hit.score == 1 && i == (int)hit.view.vector[0]);
        check_view(&hit.view, i++);
        mn_view_release(&hit.view);
    }
    if (st != MN_END) {
        CHECK(!skips);
        check_told(w, f, st);
    }
    CHECK_OK_ERR(mn_search_stats(search, &stats, &w->err), &w->err);
    CHECK(skips ? stats.n_results <= LIMIT : stats.n_results == LIMIT);
    CHECK(n_absent == 0 || (skips && stats.n_damaged > 0));
    mn_search_close(search);
}

static void count_all(struct world *w, const struct damaged_file *f, mn_store *store)
{
    struct mn_stats stats = {.size = sizeof stats};
    uint64_t n = 0;
    mn_status st = mn_count(store, mn_str("n"), &n, &w->err);

    if (st == MN_OK)
        CHECK_EQ(n, N_KEYS - 4);
    else
        check_told(w, f, st);
    st = mn_stats(store, &stats, &w->err);
    if (st == MN_OK)
        CHECK_EQ(stats.n_records, N_KEYS - 4);
    else
        check_told(w, f, st);
}

/* Opens the store as it is, and reads all of it. */
static void judge(struct world *w, const struct damaged_file *f, struct tally *tally)
{
    mn_store *store = NULL;
    uint64_t n_unreadable = tally->n_unreadable;
    mn_status st = open_store(w, true, &store);

    if (st != MN_OK) {
        check_told(w, f, st);
        tally->n_refused++;
        return;
    }
    get_all(w, f, store, tally);
    walk_all(w, f, store);
    scan_all(w, f, store);
    for (int skips = 0; skips < 2; skips++) {
        search_all(w, f, store, MN_METRIC_DOT, skips);
        search_all(w, f, store, MN_METRIC_COSINE, skips);
    }
    search_equals(w, f, store, false);
    search_equals(w, f, store, true);
    count_all(w, f, store);
    CHECK_OK(mn_close(store, NULL));
    tally->n_whole += n_unreadable == tally->n_unreadable;
    tally->n_partly += n_unreadable != tally->n_unreadable;
}

static void show(const struct damaged_file *f, const struct tally *t)
{
    if (getenv("MNEME_VERBOSE") != NULL)
        (void)fprintf(stderr, "%s, %zu bytes: %llu refused, %llu whole, %llu partly\n", f->name,
                      f->n, (unsigned long long)t->n_refused, (unsigned long long)t->n_whole,
                      (unsigned long long)t->n_partly);
}

static bool has_end(const struct damaged_file *f, const char *end)
{
    return strlen(f->name) > strlen(end) &&
           strcmp(f->name + strlen(f->name) - strlen(end), end) == 0;
}

/* Long stretches of zeroes are tried here and there. */
static bool is_tried(const struct damaged_file *f, size_t at)
{
    size_t from = at < 8 ? 0 : at - 8;
    size_t to = at + 8 < f->n ? at + 8 : f->n;

    for (size_t i = from; i < to; i++)
        if (f->bytes[i] != 0)
            return true;
    return at % STRIDE == 0;
}

/* Verifying reads everything, so it finds all that differs. */
static void check_verified(struct world *w, const struct damaged_file *f)
{
    struct mn_verify_report report = {.size = sizeof report};
    mn_status st = mni_engine_verify(w->env, "/s", &report, &w->err);

    CHECK(st != MN_OK);
    check_told(w, f, st);
    if (st == MN_ERR_CORRUPT)
        CHECK_EQ(report.n_damaged_files, 1);
}

static void any_byte_may_be_wrong(void)
{
    uint64_t random = check_seed();
    struct tally of_segments = {0};
    struct world w;
    size_t n_segments = 0;
    size_t n_lives = 0;

    begin(&w);
    for (size_t k = 0; k < w.n_files; k++) {
        const struct damaged_file *f = &w.files[k];
        struct tally tally = {0};
        for (size_t at = 0; at < f->n; at++) {
            if (!is_tried(f, at))
                continue;
            unsigned char byte = f->bytes[at] ^ (unsigned char)(1U << check_below(&random, 8));
            write_at(&w, f, at, &byte, 1);
            judge(&w, f, has_end(f, ".seg") ? &of_segments : &tally);
            if (at % VERIFY_STRIDE == 0)
                check_verified(&w, f);
            write_at(&w, f, at, &f->bytes[at], 1);
        }
        show(f, has_end(f, ".seg") ? &of_segments : &tally);
        n_segments += has_end(f, ".seg");
        n_lives += has_end(f, ".live");
        if (has_end(f, ".live"))
            CHECK(tally.n_whole == 0 && tally.n_partly == 0 && tally.n_refused > 0);
        CHECK_EQ(tally.n_partly, 0);
    }
    struct tally none = {0};
    judge(&w, &w.files[0], &none);
    CHECK(none.n_whole == 1 && none.n_unreadable == 0);
    CHECK(n_segments == 2 && n_lives == 1);
    CHECK(of_segments.n_partly > 100 && of_segments.n_refused > 100);
    CHECK(of_segments.n_read > of_segments.n_unreadable);
    end(&w);
}

static void any_file_may_be_short_long_or_missing(void)
{
    struct world w;

    begin(&w);
    for (size_t k = 0; k < w.n_files; k++) {
        const struct damaged_file *f = &w.files[k];
        struct tally tally = {0};
        bool is_of_manifest = f->is_in_seg;
        uint64_t n_tried = 0;
        for (size_t n = 0; n<f->n; n += f->n - n> 64 ? 61 : 1, n_tried++) {
            cut_to(&w, f, n);
            judge(&w, f, &tally);
            write_at(&w, f, n, f->bytes + n, f->n - n);
        }
        show(f, &tally);
        if (is_of_manifest)
            CHECK_EQ(tally.n_refused, n_tried);
        write_at(&w, f, f->n, "", 1);
        judge(&w, f, &tally);
        if (is_of_manifest)
            CHECK_EQ(tally.n_refused, n_tried + 1);
        cut_to(&w, f, f->n);
    }
    for (size_t k = 0; k < w.n_files; k++) {
        struct mni_file *file = NULL;
        const struct damaged_file *f = &w.files[k];
        struct tally tally = {0};
        if (!f->is_in_seg)
            continue;
        CHECK_OK(mni_dir_unlink(w.seg, f->name, NULL));
        judge(&w, f, &tally);
        CHECK_EQ(tally.n_refused, 1);
        CHECK_OK(mni_dir_open_file(w.seg, f->name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
        CHECK_OK(mni_file_write(file, 0, f->bytes, f->n, NULL));
        mni_file_close(file);
        judge(&w, f, &tally);
        CHECK_EQ(tally.n_whole, 1);
    }
    end(&w);
}

/* A file of the right length that is another one, whole in itself. */
static void a_file_may_be_another_one(void)
{
    struct world w;
    struct damaged_file *segments[2] = {NULL, NULL};
    struct tally tally = {0};

    begin(&w);
    for (size_t k = 0; k < w.n_files; k++)
        if (has_end(&w.files[k], ".seg"))
            segments[segments[0] != NULL] = &w.files[k];
    CHECK(segments[1] != NULL);
    for (int i = 0; i < 2; i++) {
        struct damaged_file *f = segments[i];
        struct damaged_file *other = segments[1 - i];
        cut_to(&w, f, 0);
        write_at(&w, f, 0, other->bytes, other->n);
        judge(&w, f, &tally);
        cut_to(&w, f, 0);
        write_at(&w, f, 0, f->bytes, f->n);
    }
    CHECK_EQ(tally.n_refused, 2);
    end(&w);
}

/* Writing ---------- */

/* Writes what touches every record, then checkpoints, which merges. Nothing is taken for absent,
 * and what was written holds. */
static void write_all(struct world *w, const struct damaged_file *f, mn_store *store)
{
    struct mn_view view;

    for (int i = 0; i < N_KEYS; i++) {
        bool existed = false;
        mn_status st =
            mn_touch(store, mn_str("n"), key(i), MN_HAS_EXPIRES_AT, INT64_MAX, NULL, NULL, &w->err);
        if (st != MN_OK && st != MN_NOT_FOUND)
            check_told(w, f, st);
        else
            CHECK_EQ(st == MN_OK, value_of(i) != NULL);
        if (i % 2 == 1)
            continue;
        st = mn_delete(store, mn_str("n"), key(i), NULL, &existed, NULL, &w->err);
        if (st != MN_OK)
            check_told(w, f, st);
        else
            CHECK_EQ(existed, value_of(i) != NULL);
    }
    put_key(w, store, 63, "more");
    mn_status st = mn_checkpoint(store, &w->err);
    if (st != MN_OK)
        check_told(w, f, st);
    CHECK_OK_ERR(mn_get(store, mn_str("n"), key(63), &view, &w->err), &w->err);
    CHECK_MEM_EQ(view.payload.data, "more", 4);
    mn_view_release(&view);
    for (int i = 1; i < N_KEYS - 2; i += 2) {
        st = mn_get(store, mn_str("n"), key(i), &view, &w->err);
        if (st != MN_OK && st != MN_NOT_FOUND)
            check_told(w, f, st);
        else
            CHECK_EQ(st == MN_OK, value_of(i) != NULL);
        mn_view_release(&view);
    }
}

static void a_damaged_store_that_is_written_loses_nothing_more(void)
{
    uint64_t random = check_seed();
    uint64_t n_written = 0;

    for (int round = 0; round < 400; round++) {
        struct world w;
        mn_store *store = NULL;
        begin(&w);
        struct damaged_file *f = &w.files[check_below(&random, w.n_files)];
        size_t at;
        do
            at = (size_t)check_below(&random, f->n);
        while (!is_tried(f, at));
        unsigned char byte = f->bytes[at] ^ (unsigned char)(1U << check_below(&random, 8));
        write_at(&w, f, at, &byte, 1);
        mn_status st = open_store(&w, false, &store);
        if (st == MN_OK) {
            write_all(&w, f, store);
            mni_api_store_abandon(store);
            n_written++;
        } else {
            check_told(&w, f, st);
        }
        end(&w);
    }
    CHECK(n_written > 20);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_byte_may_be_wrong),
        CHECK_TEST(any_file_may_be_short_long_or_missing),
        CHECK_TEST(a_file_may_be_another_one),
        CHECK_TEST(a_damaged_store_that_is_written_loses_nothing_more),
    };

    return check_run("fault.engine_segments_damage", tests, CHECK_COUNT(tests), argc, argv);
}
