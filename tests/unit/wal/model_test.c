/* A random run beside a model: numbers, order, cursors and what survives, after every step. */
#include "fixture.h"

#include "wal/wal_private.h"

enum { STEPS = 3000 };

/* What the log's own numbers must be. */
struct expected {
    uint64_t n_records;
    uint64_t n_after_checkpoint;
    uint64_t n_in_newest;
};

static struct expected expect(const struct world *w, uint64_t newest_first_lsn)
{
    struct expected e = {0};

    for (size_t i = w->n_trimmed; i < w->n_history; i++) {
        const struct happened *h = &w->history[i];
        e.n_records += h->n_records;
        e.n_after_checkpoint += h->lsn > w->checkpoint_lsn ? h->n_records : 0;
        e.n_in_newest += h->lsn >= newest_first_lsn ? h->n_records : 0;
    }
    return e;
}

/* Where the frames of a file end, read with nothing but the codec. */
static uint64_t end_of_frames(struct world *w, const char *name)
{
    size_t n_bytes;
    unsigned char *bytes = read_file(w, name, &n_bytes);
    struct wal_header header;
    struct wal_frame f;
    uint64_t offset = HEADER_BYTES;

    CHECK_OK(wal_header_decode(bytes, name, &header, NULL));
    while (offset + FRAME_HEADER_BYTES <= n_bytes &&
           wal_frame_decode(bytes + offset, header.salt, offset, &f))
        offset += f.frame_bytes;
    free(bytes);
    return offset;
}

static void check_numbers(struct world *w)
{
    struct mni_wal_stats stats = stats_of(w);
    struct names names = list_files(w);
    uint64_t n_files = 0;
    uint64_t first_lsn = 0;
    const char *newest = NULL;

    for (size_t i = 0; i < names.n; i++)
        if (wal_file_name_parse(names.names[i], &first_lsn)) {
            n_files++;
            newest = names.names[i];
        }
    CHECK(newest != NULL && wal_file_name_parse(newest, &first_lsn));
    struct expected e = expect(w, first_lsn);
    CHECK_EQ(stats.n_files, n_files);
    CHECK_EQ(stats.n_records, e.n_records);
    CHECK_EQ(stats.records_since_checkpoint, e.n_after_checkpoint);
    CHECK_EQ(stats.current_file_records, e.n_in_newest);
    CHECK_EQ(stats.checkpoint_lsn, w->checkpoint_lsn);
    uint64_t newest_lsn = w->n_history > 0 ? w->history[w->n_history - 1].lsn : 0;
    CHECK_EQ(stats.current_lsn, newest_lsn);
    CHECK(stats.durable_lsn <= newest_lsn);
    CHECK(!stats.is_poisoned);
    if (stats.durable_lsn == newest_lsn)
        CHECK_EQ(stats.current_file_bytes, end_of_frames(w, newest));
}

/* Forgets what was trimmed, as far as the log says. */
static void note_trim(struct world *w, uint64_t n_records)
{
    while (n_records > 0) {
        CHECK(w->n_trimmed < w->n_history);
        const struct happened *h = &w->history[w->n_trimmed++];
        CHECK(h->lsn <= w->checkpoint_lsn);
        CHECK(h->n_records <= n_records);
        n_records -= h->n_records;
    }
}

static uint64_t random_lsn(struct world *w, uint64_t *random)
{
    return w->n_history == 0 ? 0 : w->history[check_below(random, w->n_history)].lsn;
}

static size_t random_bytes(uint64_t *random)
{
    size_t bound = check_below(random, 50) == 0 ? 5000 : check_below(random, 5) == 0 ? 200 : 20;

    return TAG_BYTES + 8 * check_below(random, bound);
}

static void trim(struct world *w, uint64_t *random)
{
    uint64_t n_removed = 0;

    CHECK_OK_ERR(mni_wal_truncate(w->wal, random_lsn(w, random), &n_removed, &w->err), &w->err);
    note_trim(w, n_removed);
}

static void reopen(struct world *w, uint64_t *random)
{
    if (check_below(random, 2) == 0)
        close_log(w);
    else
        abandon(w);
    if (check_below(random, 2) == 0)
        mni_crash_env_restart(w->crash, false, 0);
    w->config.sync = (mn_sync_policy)check_below(random, 5);
    w->config.no_background = check_below(random, 2) == 0;
    open_log(w);
}

static void step(struct world *w, uint64_t *random)
{
    switch (check_below(random, 40)) {
    case 0:
        checkpoint(w, random_lsn(w, random));
        break;
    case 1:
        trim(w, random);
        break;
    case 2:
        CHECK_OK_ERR(mni_wal_rotate(w->wal, &w->err), &w->err);
        w->n_promised = stats_of(w).durable_lsn >= w->lsn_max ? w->n_history : w->n_promised;
        break;
    case 3:
        CHECK_OK_ERR(mni_wal_flush(w->wal, &w->err), &w->err);
        w->n_promised = w->n_history;
        break;
    case 4:
        reopen(w, random);
        break;
    case 5: {
        uint64_t from = w->n_trimmed < w->n_history ? w->history[w->n_trimmed].lsn : w->lsn_max + 1;
        CHECK_EQ(count_by_cursor(w, from), w->n_history - w->n_trimmed);
        break;
    }
    case 6:
        mni_crash_env_advance_us(w->crash, 200000);
        mni_wal_tick(w->wal);
        w->n_promised = stats_of(w).durable_lsn >= w->lsn_max ? w->n_history : w->n_promised;
        break;
    default:
        CHECK_OK_ERR(commit_as(w, random_bytes(random), 1 + (uint32_t)check_below(random, 5),
                               (mn_ack)check_below(random, 4)),
                     &w->err);
    }
}

static void numbers_and_content_are_exact_at_every_step(void)
{
    struct world w;
    uint64_t random = check_seed();
    world_init(&w, check_seed());
    open_log(&w);
    for (int i = 0; i < STEPS; i++) {
        step(&w, &random);
        check_numbers(&w);
    }
    world_done(&w);
}

/* What 'disk' promised was kept under each policy, while the power fails at any call. */
static void power_may_fail_at_any_call(void)
{
    struct world w;
    uint64_t random = check_seed();
    world_init(&w, check_seed());
    open_log(&w);
    for (int i = 0; i < 1500; i++) {
        mni_crash_env_cut_at(w.crash, 1 + check_below(&random, 30));
        while (!mni_crash_env_is_cut(w.crash)) {
            mn_status st = MN_OK;
            uint64_t n_removed = 0;
            switch (check_below(&random, 12)) {
            case 0: {
                uint64_t lsn = random_lsn(&w, &random);
                uint64_t before = w.checkpoint_lsn;
                if (lsn > w.checkpoint_lsn)
                    w.checkpoint_lsn = lsn; /* may be there or not */
                st = mni_wal_checkpoint(w.wal, lsn, &w.err);
                if (st != MN_OK && !mni_crash_env_is_cut(w.crash))
                    w.checkpoint_lsn = before;
                break;
            }
            case 1:
                st = mni_wal_truncate(w.wal, random_lsn(&w, &random), &n_removed, &w.err);
                if (st == MN_OK)
                    note_trim(&w, n_removed);
                break;
            case 2:
                st = mni_wal_flush(w.wal, &w.err);
                if (st == MN_OK)
                    w.n_promised = w.n_history;
                break;
            default:
                st = commit_as(&w, random_bytes(&random), 1, (mn_ack)check_below(&random, 4));
            }
            CHECK(st == MN_OK || mni_crash_env_is_cut(w.crash));
        }
        do {
            abandon(&w);
            mni_crash_env_restart(w.crash, false, 0);
            if (check_below(&random, 3) == 0)
                mni_crash_env_cut_at(w.crash, 1 + check_below(&random, 40));
            w.config.sync = (mn_sync_policy)check_below(&random, 5);
        } while (try_open(&w) != MN_OK && mni_crash_env_is_cut(w.crash));
        CHECK_OK_ERR(w.wal == NULL ? w.err.status : MN_OK, &w.err);
        check_seen(&w);
        w.checkpoint_lsn = stats_of(&w).checkpoint_lsn;
        mni_crash_env_cut_at(w.crash, 0);
    }
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(numbers_and_content_are_exact_at_every_step),
        CHECK_TEST(power_may_fail_at_any_call),
    };
    return check_run("wal.model", tests, CHECK_COUNT(tests), argc, argv);
}
