/* What the tests of manifests share: samples, and a simulated disk to keep them on. */
#ifndef TESTS_MANIFEST_FIXTURE_H
#define TESTS_MANIFEST_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "check.h"
#include "io/crash.h"
#include "io/fault.h"
#include "manifest/manifest_private.h"

enum { FILE_BYTES_MAX = 1 << 20 };

/* Everything but runs. */
static inline struct mni_manifest sample_facts(uint64_t number)
{
    struct mni_manifest m = {.number = number,
                             .lsn = 1000,
                             .time_us = 1700000000000000,
                             .lsn_handed_out = 1200,
                             .last_time_us = 1700000000000009,
                             .incarnation = 0x0102030405060708,
                             .next_segment = 50000};

    for (unsigned i = 0; i < MNI_MANIFEST_ID_BYTES; i++)
        m.store_id[i] = (unsigned char)(0xa0 + i);
    return m;
}

/* Segment `counter` with keys `first` to `last` of collection 7. */
static inline struct mni_manifest_segment sample_segment(uint64_t counter, const char *first,
                                                         const char *last)
{
    struct mni_manifest_segment s = {
        .file_bytes = 100000 + counter,
        .footer_offset = 99000,
        .footer_bytes = 1000,
        .footer_crc = 0xc0ffee00 + (uint32_t)counter,
        .n_rows = 40,
        .lsn_min = 3,
        .lsn_max = 900,
        .first = {7, {first, strlen(first)}},
        .last = {7, {last, strlen(last)}},
    };

    mni_manifest_segment_id(0x0102030405060708, counter, s.id);
    return s;
}

static inline void add(struct mni_manifest *m, uint64_t counter, const char *first,
                       const char *last)
{
    struct mni_manifest_segment s = sample_segment(counter, first, last);

    CHECK_OK(mni_manifest_add_segment(m, &s));
}

static inline void add_live(struct mni_manifest *m, uint64_t generation)
{
    struct mni_manifest_live live = {generation, 500 + generation % 1000,
                                     0xd00d + (uint32_t)generation};

    CHECK_OK(mni_manifest_add_live(m, &live));
}

/* Two runs, of two segments and of one, with 0, 1 and 2 generations. */
static inline struct mni_manifest sample(uint64_t number)
{
    struct mni_manifest m = sample_facts(number);

    CHECK_OK(mni_manifest_add_run(&m));
    add(&m, 1, "apple", "fig");
    add(&m, 5, "fig tree", "lime");
    add_live(&m, 2);
    CHECK_OK(mni_manifest_add_run(&m));
    add(&m, 9, "banana", "zucchini");
    add_live(&m, 3);
    add_live(&m, 12345678901234567890u);
    return m;
}

static inline bool same_bound(const struct mni_manifest_bound *a,
                              const struct mni_manifest_bound *b)
{
    return a->collection == b->collection && a->key.n_bytes == b->key.n_bytes &&
           memcmp(a->key.data, b->key.data, a->key.n_bytes) == 0;
}

static inline bool same_segment(const struct mni_manifest_segment *a,
                                const struct mni_manifest_segment *b)
{
    return memcmp(a->id, b->id, sizeof a->id) == 0 && a->file_bytes == b->file_bytes &&
           a->footer_offset == b->footer_offset && a->footer_bytes == b->footer_bytes &&
           a->footer_crc == b->footer_crc && a->n_rows == b->n_rows && a->lsn_min == b->lsn_min &&
           a->lsn_max == b->lsn_max && same_bound(&a->first, &b->first) &&
           same_bound(&a->last, &b->last) && a->first_live == b->first_live &&
           a->n_lives == b->n_lives;
}

static inline bool same_manifest(const struct mni_manifest *a, const struct mni_manifest *b)
{
    if (a->number != b->number || memcmp(a->store_id, b->store_id, sizeof a->store_id) != 0 ||
        a->lsn != b->lsn || a->time_us != b->time_us || a->lsn_handed_out != b->lsn_handed_out ||
        a->last_time_us != b->last_time_us || a->incarnation != b->incarnation ||
        a->next_segment != b->next_segment || a->n_runs != b->n_runs ||
        a->n_segments != b->n_segments || a->n_lives != b->n_lives)
        return false;
    for (size_t i = 0; i < a->n_runs; i++)
        if (a->runs[i].first_segment != b->runs[i].first_segment ||
            a->runs[i].n_segments != b->runs[i].n_segments)
            return false;
    for (size_t i = 0; i < a->n_segments; i++)
        if (!same_segment(&a->segments[i], &b->segments[i]))
            return false;
    for (size_t i = 0; i < a->n_lives; i++)
        if (a->lives[i].generation != b->lives[i].generation ||
            a->lives[i].file_bytes != b->lives[i].file_bytes || a->lives[i].crc != b->lives[i].crc)
            return false;
    return true;
}

/* A disk that can fail calls, with one directory. */
struct world {
    struct mni_crash_env *crash;
    struct mni_fault_env *fault;
    struct mni_dir *dir;
    struct mn_error err;
};

static inline void world_open(struct world *w)
{
    CHECK_OK(mni_env_open_dir(mni_fault_env_base(w->fault), "/s", true, &w->dir, NULL));
}

static inline struct world world_new(uint64_t seed)
{
    struct world w = {0};

    CHECK_OK(mni_crash_env_new(seed, &w.crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(w.crash), &w.fault));
    world_open(&w);
    return w;
}

static inline void world_free(struct world *w)
{
    mni_dir_close(w->dir);
    mni_fault_env_free(w->fault);
    mni_crash_env_free(w->crash);
}

static inline void put_file(struct world *w, const char *name, const void *bytes, size_t n)
{
    struct mni_file *file = NULL;

    mni_ignore(mni_dir_unlink(w->dir, name, NULL));
    CHECK_OK(mni_dir_open_file(w->dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
    if (n > 0)
        CHECK_OK(mni_file_write(file, 0, bytes, n, NULL));
    mni_file_close(file);
}

static inline size_t get_file(struct world *w, const char *name, unsigned char *bytes, size_t n_max)
{
    struct mni_file *file = NULL;
    size_t n = 0;

    CHECK_OK(mni_dir_open_file(w->dir, name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_read(file, 0, bytes, n_max, &n, NULL));
    mni_file_close(file);
    return n;
}

static inline mn_status count_name(void *context, const char *name, bool is_dir,
                                   struct mn_error *err)
{
    (void)name;
    (void)is_dir;
    (void)err;
    ++*(size_t *)context;
    return MN_OK;
}

static inline size_t n_names(struct world *w)
{
    size_t n = 0;

    CHECK_OK(mni_dir_list(w->dir, count_name, &n, NULL));
    return n;
}

static inline void publish(struct world *w, struct mni_manifest *m)
{
    bool is_in_doubt = true;

    CHECK_OK_ERR(mni_manifest_publish(w->dir, m, &is_in_doubt, &w->err), &w->err);
    CHECK(!is_in_doubt);
}

static inline mn_status load(struct world *w, struct mni_manifest *m, bool *is_damaged)
{
    w->err.message[0] = '\0';
    return mni_manifest_load(w->dir, NULL, m, is_damaged, &w->err);
}

#endif
