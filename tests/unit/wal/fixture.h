/*
 * fixture.h - a log on a simulated disk, and what it must hold.
 *
 * Each commit carries a number, its tag, from which all its bytes follow. The history knows the
 * tags in the order of the log, how many of them were promised to survive a crash, and how many at
 * its end were answered with an error: those may be there or not. What recovery shows must be a
 * prefix of that with at least the promised ones.
 */
#ifndef TESTS_UNIT_WAL_FIXTURE_H
#define TESTS_UNIT_WAL_FIXTURE_H

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "io/crash.h"
#include "io/fault.h"
#include "io/record.h"
#include "wal/format.h"
#include "wal/wal.h"

enum { COMMITS_MAX = 20000, TAG_BYTES = 16, PATTERN_BYTES = 2 << 20 };

struct happened {
    uint64_t tag;
    uint64_t lsn; /* 0 = not known */
    int64_t time_us;
    uint32_t n_records;
};

struct world {
    struct mni_crash_env *crash;
    struct mni_env *env; /* the crash env, or one around it */
    struct mni_wal_config config;
    struct mni_wal *wal; /* NULL = closed */
    struct mn_error err;

    struct happened *history; /* owned */
    size_t n_history;
    size_t n_promised; /* of them, survive a crash */
    size_t n_unsure;   /* at the end */
    size_t n_trimmed;  /* at the beginning, no longer in the log */
    uint64_t checkpoint_lsn;
    uint64_t lsn_max; /* handed out ever */
    uint64_t next_tag;

    struct happened *seen; /* owned; by the last opening */
    size_t n_seen;
    unsigned char *bytes; /* owned; scratch */
};

static inline void fill_pattern(unsigned char *bytes, size_t n_bytes, uint64_t tag)
{
    mni_put_u64(bytes, tag);
    mni_put_u64(bytes + 8, n_bytes);
    for (size_t i = TAG_BYTES; i < n_bytes; i += 8)
        mni_put_u64(bytes + i, tag * UINT64_C(0x9E3779B97F4A7C15) + i);
}

static inline bool is_pattern(const unsigned char *bytes, size_t n_bytes)
{
    if (n_bytes < TAG_BYTES || mni_get_u64(bytes + 8) != n_bytes)
        return false;
    uint64_t tag = mni_get_u64(bytes);
    for (size_t i = TAG_BYTES; i < n_bytes; i += 8)
        if (mni_get_u64(bytes + i) != tag * UINT64_C(0x9E3779B97F4A7C15) + i)
            return false;
    return true;
}

/* A commit of wrong bytes is shown as tag 0, which no commit has. */
static inline struct happened happened_of(const struct mni_wal_entry *entry)
{
    const unsigned char *p = entry->payload.data;

    return (struct happened){
        .tag = is_pattern(p, entry->payload.n_bytes) ? mni_get_u64(p) : 0,
        .lsn = entry->lsn,
        .time_us = entry->time_us,
        .n_records = entry->n_records,
    };
}

static inline mn_status note_seen(void *context, const struct mni_wal_entry *entry,
                                  struct mn_error *err)
{
    struct world *w = context;

    (void)err;
    if (w->n_seen < COMMITS_MAX)
        w->seen[w->n_seen++] = happened_of(entry);
    return MN_OK;
}

static inline void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){0};
    CHECK_OK(mni_crash_env_new(seed, &w->crash));
    w->env = mni_crash_env_base(w->crash);
    w->history = calloc(COMMITS_MAX, sizeof *w->history);
    w->seen = calloc(COMMITS_MAX, sizeof *w->seen);
    w->bytes = malloc(PATTERN_BYTES);
    CHECK(w->history != NULL && w->seen != NULL && w->bytes != NULL);
    w->next_tag = 1;
    w->config = (struct mni_wal_config){
        .any_store_id = true,
        .create = true,
        .file_bytes = 16384,
        .replay = note_seen,
    };
}

static inline void world_done(struct world *w)
{
    mni_wal_abandon(w->wal);
    mni_crash_env_free(w->crash);
    free(w->history);
    free(w->seen);
    free(w->bytes);
}

/* Opens the log; on an error `w->wal` is NULL. */
static inline mn_status try_open(struct world *w)
{
    struct mni_wal_config config = w->config;

    w->wal = NULL;
    w->n_seen = 0;
    config.env = w->env;
    config.replay_context = w;
    mn_status st = mni_env_open_dir(w->env, "log", true, &config.dir, &w->err);
    if (st == MN_OK)
        st = mni_dir_lock(config.dir, MNI_LOCK_EXCLUSIVE, &w->err);
    if (st == MN_OK)
        st = mni_wal_open(&config, &w->wal, &w->err);
    if (st != MN_OK)
        mni_dir_close(config.dir);
    return st;
}

/* What was seen is a prefix of the history, with all that was promised; from now on it is the
 * history, and promised: recovery syncs what it shows. */
static inline void check_seen(struct world *w)
{
    size_t first = 0;

    CHECK(w->n_trimmed <= w->n_promised);
    if (w->n_seen > 0)
        while (first < w->n_history && w->history[first].tag != w->seen[0].tag)
            first++;
    else
        first = w->n_history < w->n_promised ? w->n_history : w->n_promised;
    /* What is missing at the beginning was trimmed, and trimming needs a checkpoint. */
    for (size_t i = 0; i < first; i++)
        CHECK(w->history[i].lsn != 0 && w->history[i].lsn <= w->checkpoint_lsn);
    CHECK(first + w->n_seen >= w->n_promised);
    CHECK(first + w->n_seen <= w->n_history);
    for (size_t i = 0; i < w->n_seen; i++) {
        const struct happened *h = &w->history[first + i];
        CHECK_EQ(w->seen[i].tag, h->tag);
        CHECK_EQ(w->seen[i].n_records, h->n_records);
        if (h->lsn != 0)
            CHECK_EQ(w->seen[i].lsn, h->lsn);
        if (i > 0)
            CHECK(w->seen[i].lsn > w->seen[i - 1].lsn);
    }
    memmove(w->history + first, w->seen, w->n_seen * sizeof *w->seen);
    w->n_history = first + w->n_seen;
    w->n_promised = w->n_history;
    w->n_unsure = 0;
    if (first > w->n_trimmed)
        w->n_trimmed = first;
}

static inline void open_log(struct world *w)
{
    CHECK_OK_ERR(try_open(w), &w->err);
    check_seen(w);
}

static inline void note_attempt(struct world *w, const struct mni_commit *commit, uint64_t tag)
{
    CHECK(w->n_history < COMMITS_MAX);
    w->history[w->n_history++] = (struct happened){.tag = tag,
                                                   .lsn = commit->status == MN_OK ? commit->lsn : 0,
                                                   .n_records = commit->n_records};
    if (commit->status != MN_OK) {
        w->n_unsure++;
        return;
    }
    CHECK_EQ(w->n_unsure, 0);
    CHECK(commit->lsn > w->lsn_max);
    w->lsn_max = commit->lsn;
    struct mni_wal_stats stats;
    mni_wal_get_stats(w->wal, &stats);
    if (stats.durable_lsn >= commit->lsn)
        w->n_promised = w->n_history;
    else
        CHECK(commit->ack != MN_ACK_DISK);
}

/* Commits `n_bytes` (a multiple of 8, at least 16) as `n_records` records. */
static inline mn_status commit_as(struct world *w, size_t n_bytes, uint32_t n_records, mn_ack ack)
{
    struct mni_commit commit;
    uint64_t tag = w->next_tag++;

    CHECK(n_bytes <= PATTERN_BYTES);
    fill_pattern(w->bytes, n_bytes, tag);
    struct mn_slice part = {w->bytes, n_bytes};
    w->err = (struct mn_error){0};
    CHECK_OK(mni_commit_init(&commit, &part, 1, n_records, ack, NULL, &w->err));
    mn_status st = mni_wal_commit(w->wal, &commit);
    note_attempt(w, &commit, tag);
    return st;
}

static inline void commit(struct world *w, size_t n_bytes, mn_ack ack)
{
    CHECK_OK_ERR(commit_as(w, n_bytes, 1, ack), &w->err);
}

static inline void close_log(struct world *w)
{
    struct mni_wal *wal = w->wal;

    w->wal = NULL;
    CHECK_OK_ERR(mni_wal_close(wal, &w->err), &w->err);
    w->n_promised = w->n_history;
}

/* The process ends; the machine stays. */
static inline void abandon(struct world *w)
{
    mni_wal_abandon(w->wal);
    w->wal = NULL;
}

/* Power off and on. */
static inline void crash(struct world *w)
{
    abandon(w);
    mni_crash_env_restart(w->crash, false, 0);
}

static inline struct mni_wal_stats stats_of(struct world *w)
{
    struct mni_wal_stats stats;

    mni_wal_get_stats(w->wal, &stats);
    return stats;
}

static inline void checkpoint(struct world *w, uint64_t lsn)
{
    CHECK_OK_ERR(mni_wal_checkpoint(w->wal, lsn, &w->err), &w->err);
    if (lsn > w->checkpoint_lsn)
        w->checkpoint_lsn = lsn;
    if (stats_of(w).durable_lsn >= w->lsn_max)
        w->n_promised = w->n_history;
}

/* Number of commits that a cursor from `from_lsn` on shows; checks each against the history. */
static inline size_t count_by_cursor(struct world *w, uint64_t from_lsn)
{
    struct mni_wal_cursor *cursor = NULL;
    struct mni_wal_entry entry;
    size_t n = 0;
    size_t at = 0;
    mn_status st;

    CHECK_OK_ERR(mni_wal_cursor_open(w->wal, from_lsn, &cursor, &w->err), &w->err);
    while ((st = mni_wal_cursor_next(cursor, &entry, &w->err)) == MN_OK) {
        while (at < w->n_history && w->history[at].lsn < entry.lsn)
            at++;
        CHECK(at < w->n_history);
        CHECK_EQ(w->history[at].lsn, entry.lsn);
        CHECK_EQ(happened_of(&entry).tag, w->history[at].tag);
        n++;
    }
    mni_wal_cursor_close(cursor);
    CHECK_STATUS(st, MN_END);
    return n;
}

/* Files of the directory ----------*/

enum { NAMES_MAX = 400 };

struct names {
    size_t n;
    char names[NAMES_MAX][MNI_NAME_BYTES_MAX];
};

static inline mn_status note_name(void *context, const char *name, bool is_dir,
                                  struct mn_error *err)
{
    struct names *names = context;

    (void)is_dir;
    (void)err;
    CHECK(names->n < NAMES_MAX);
    (void)snprintf(names->names[names->n++], MNI_NAME_BYTES_MAX, "%s", name);
    return MN_OK;
}

static inline int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The log's files by name, oldest first; spare and unfinished ones too, the note of a clean close
 * not. */
static inline struct names list_files(struct world *w)
{
    struct mni_dir *dir;
    struct names names = {0};

    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w->crash), "log", false, &dir, NULL));
    CHECK_OK(mni_dir_list(dir, note_name, &names, NULL));
    mni_dir_close(dir);
    qsort(names.names, names.n, sizeof names.names[0], compare_names);
    if (names.n > 0 && strcmp(names.names[names.n - 1], "CLOSED") == 0)
        names.n--; /* capitals sort behind digits */
    return names;
}

/* A whole file; free() it. */
static inline unsigned char *read_file(struct world *w, const char *name, size_t *n_bytes_out)
{
    struct mni_dir *dir;
    struct mni_file *file;
    uint64_t n_bytes = 0;

    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w->crash), "log", false, &dir, NULL));
    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_size(file, &n_bytes, NULL));
    unsigned char *bytes = malloc(n_bytes + 1);
    CHECK(bytes != NULL);
    CHECK_OK(mni_file_read(file, 0, bytes, n_bytes, n_bytes_out, NULL));
    mni_file_close(file);
    mni_dir_close(dir);
    return bytes;
}

/* Puts a file there in place of what has the name. */
static inline void write_file(struct world *w, const char *name, const void *bytes, size_t n_bytes)
{
    struct mni_dir *dir;
    struct mni_file *file;

    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w->crash), "log", true, &dir, NULL));
    mn_status st = mni_dir_unlink(dir, name, NULL);
    CHECK(st == MN_OK || st == MN_NOT_FOUND);
    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
    if (n_bytes > 0)
        CHECK_OK(mni_file_write(file, 0, bytes, n_bytes, NULL));
    CHECK_OK(mni_file_sync(file, NULL));
    CHECK_OK(mni_dir_sync(dir, NULL));
    mni_file_close(file);
    mni_dir_close(dir);
}

static inline void remove_file(struct world *w, const char *name)
{
    struct mni_dir *dir;

    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w->crash), "log", false, &dir, NULL));
    CHECK_OK(mni_dir_unlink(dir, name, NULL));
    CHECK_OK(mni_dir_sync(dir, NULL));
    mni_dir_close(dir);
}

#endif
