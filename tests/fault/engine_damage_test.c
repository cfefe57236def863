/*
 * engine_damage_test.c - every byte of a store's log flipped, and every length it can be cut to.
 *
 * A store that was closed is whole or refused. One that ended badly may lose its very last commit,
 * whose damage cannot be told from a torn tail; anything else is refused. Verifying agrees.
 */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/mem.h"
#include "check.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "mneme/mneme.h"

enum { N_COMMITS = 6, FILE_BYTES = 64 << 10, TAIL_STRIDE = 509 };

struct world {
    struct mni_crash_env *crash;
    struct mni_env *env;
    struct mni_dir *wal;
    struct mni_file *file;
    uint64_t n_file_bytes;
    uint64_t n_used_bytes;
    struct mn_error err;
};

static mn_status open_store(struct world *w, mn_recovery recovery, mn_store **store_out)
{
    struct mn_options o = {
        .size = sizeof o, .create = true, .wal_file_bytes = FILE_BYTES, .recovery = recovery};

    return mni_api_store_open(w->env, "/s", &o, store_out, &w->err);
}

static mn_status note_log_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    (void)is_dir;
    (void)err;
    (void)snprintf(context, MNI_NAME_BYTES_MAX, "%s", name);
    return MN_OK;
}

/* Commit `i` puts records 0 to `i`, each saying `i`, so that a state says how many there were. */
static void begin(struct world *w, bool is_closed)
{
    char name[MNI_NAME_BYTES_MAX] = "";
    struct mni_dir *dir = NULL;
    mn_store *store = NULL;
    struct mn_stats stats = {.size = sizeof stats};

    *w = (struct world){0};
    CHECK_OK(mni_crash_env_new(3, &w->crash));
    w->env = mni_crash_env_base(w->crash);
    CHECK_OK_ERR(open_store(w, MN_RECOVERY_TAIL, &store), &w->err);
    for (int i = 0; i < N_COMMITS; i++) {
        struct mn_record records[N_COMMITS];
        char payload[40];
        int n = snprintf(payload, sizeof payload, "%d and some bytes more", i);
        for (int k = 0; k <= i; k++)
            records[k] = (struct mn_record){.id = {&"012345678"[k], 1},
                                            .payload = {payload, (size_t)n},
                                            .fields = k == 2 ? MN_HAS_EXPIRES_AT : 0,
                                            .expires_at_us = INT64_MAX};
        CHECK_OK_ERR(
            mn_put_batch(store, mn_str("n"), records, (size_t)i + 1, NULL, NULL, NULL, &w->err),
            &w->err);
    }
    CHECK_OK(mn_stats(store, &stats, NULL));
    if (is_closed)
        CHECK_OK(mn_close(store, NULL));
    else
        mni_api_store_abandon(store);
    w->n_used_bytes = stats.wal_current_file_bytes + (is_closed ? 512 : 0);
    CHECK_OK(mni_env_open_dir(w->env, "/s", false, &dir, NULL));
    CHECK_OK(mni_dir_open_dir(dir, "wal", false, &w->wal, NULL));
    mni_dir_close(dir);
    CHECK_OK(mni_dir_list(w->wal, note_log_file, name, NULL));
    CHECK_OK(mni_dir_open_file(w->wal, name, MNI_OPEN_WRITE, &w->file, NULL));
    CHECK_OK(mni_file_size(w->file, &w->n_file_bytes, NULL));
    CHECK(w->n_used_bytes < w->n_file_bytes);
}

static void end(struct world *w)
{
    mni_file_close(w->file);
    mni_dir_close(w->wal);
    mni_crash_env_free(w->crash);
}

/* How many commits the state is that of; fails when it is that of none. */
static int commits_in(mn_store *store)
{
    uint64_t n = 0;
    mn_status st = mn_count(store, mn_str("n"), &n, NULL);

    CHECK(st == MN_OK || st == MN_NOT_FOUND);
    CHECK(n <= N_COMMITS);
    for (uint64_t k = 0; k < n; k++) {
        struct mn_view view;
        char expected[40];
        int length = snprintf(expected, sizeof expected, "%d and some bytes more", (int)n - 1);
        CHECK_OK(mn_get(store, mn_str("n"), (struct mn_slice){&"012345678"[k], 1}, &view, NULL));
        CHECK_EQ(view.payload.n_bytes, length);
        CHECK_MEM_EQ(view.payload.data, expected, (size_t)length);
        CHECK_EQ(view.fields, k == 2 ? MN_HAS_EXPIRES_AT : 0);
        mn_view_release(&view);
    }
    return (int)n;
}

struct tally {
    uint64_t n_refused;
    uint64_t n_whole;
    uint64_t n_cut;
};

/* Opens what was damaged, in all ways, and judges the answers. */
static void judge(struct world *w, bool is_closed, struct tally *tally)
{
    struct mn_verify_report report = {.size = sizeof report};
    mn_store *store = NULL;

    mn_status verified = mni_engine_verify(w->env, "/s", &report, &w->err);
    mn_status strict = open_store(w, MN_RECOVERY_STRICT, &store);
    if (strict == MN_OK) {
        CHECK_EQ(commits_in(store), N_COMMITS);
        CHECK_OK(mn_close(store, NULL));
        store = NULL;
    } else {
        CHECK(strict == MN_ERR_CORRUPT || strict == MN_ERR_UNSUPPORTED);
        CHECK_STR_HAS(w->err.message, ".wal");
    }
    mn_status st = open_store(w, MN_RECOVERY_TAIL, &store);
    if (st != MN_OK) {
        CHECK(st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
        CHECK_STR_HAS(w->err.message, ".wal");
        CHECK(store == NULL && strict == st && verified == st);
        tally->n_refused++;
        return;
    }
    CHECK_OK(verified);
    int n = commits_in(store);
    if (is_closed)
        CHECK_EQ(n, N_COMMITS);
    else
        CHECK(n >= N_COMMITS - 1);
    CHECK(n == N_COMMITS || strict == MN_ERR_CORRUPT);
    tally->n_whole += n == N_COMMITS;
    tally->n_cut += n < N_COMMITS;
    CHECK_OK(mn_close(store, NULL));
}

static struct tally flip_all(bool is_closed)
{
    struct tally tally = {0};
    uint64_t n_used = 1;
    uint64_t n_all = 1;

    for (uint64_t at = 0; at < n_all; at += at < n_used ? 1 : TAIL_STRIDE) {
        struct world w;
        unsigned char byte = 0;
        size_t n_read = 0;
        begin(&w, is_closed);
        n_used = w.n_used_bytes;
        n_all = w.n_file_bytes;
        CHECK_OK(mni_file_read(w.file, at, &byte, 1, &n_read, NULL));
        byte ^= (unsigned char)(at % 5 == 0 ? 0xff : 1 << at % 8);
        CHECK_OK(mni_file_write(w.file, at, &byte, 1, NULL));
        judge(&w, is_closed, &tally);
        end(&w);
    }
    return tally;
}

static struct tally cut_all(bool is_closed)
{
    struct tally tally = {0};
    uint64_t n_used = 1;
    uint64_t n_all = 1;

    for (uint64_t n = 0; n < n_all; n += n < n_used ? 1 : TAIL_STRIDE) {
        struct world w;
        begin(&w, is_closed);
        n_used = w.n_used_bytes;
        n_all = w.n_file_bytes;
        CHECK_OK(mni_file_truncate(w.file, n, NULL));
        judge(&w, is_closed, &tally);
        end(&w);
    }
    return tally;
}

static void show(const char *what, const struct tally *tally)
{
    if (getenv("MNEME_VERBOSE") != NULL)
        (void)fprintf(stderr, "%s: %llu refused, %llu whole, %llu without the last commit\n", what,
                      (unsigned long long)tally->n_refused, (unsigned long long)tally->n_whole,
                      (unsigned long long)tally->n_cut);
}

static void a_flipped_byte_of_a_closed_store_is_refused_or_harmless(void)
{
    struct tally tally = flip_all(true);

    show("closed, flipped", &tally);
    CHECK(tally.n_refused > 500 && tally.n_whole > 0);
    CHECK_EQ(tally.n_cut, 0);
}

static void a_flipped_byte_after_a_crash_costs_the_last_commit_at_most(void)
{
    struct tally tally = flip_all(false);

    show("crashed, flipped", &tally);
    CHECK(tally.n_refused > 500 && tally.n_whole > 0 && tally.n_cut > 20);
}

static void a_closed_store_that_was_cut_short_is_refused(void)
{
    struct tally tally = cut_all(true);

    show("closed, cut", &tally);
    CHECK(tally.n_refused > 500);
    CHECK_EQ(tally.n_cut, 0);
}

static void a_crashed_store_that_was_cut_short_is_refused(void)
{
    struct tally tally = cut_all(false);

    show("crashed, cut", &tally);
    CHECK(tally.n_refused > 500);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_flipped_byte_of_a_closed_store_is_refused_or_harmless),
        CHECK_TEST(a_flipped_byte_after_a_crash_costs_the_last_commit_at_most),
        CHECK_TEST(a_closed_store_that_was_cut_short_is_refused),
        CHECK_TEST(a_crashed_store_that_was_cut_short_is_refused),
    };

    return check_run("fault.engine_damage", tests, CHECK_COUNT(tests), argc, argv);
}
