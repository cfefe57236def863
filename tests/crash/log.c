/*
 * log.c - what one can do to a log, each deed beside the model's answer.
 */
#include "log.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

enum { BODY_BYTES_MAX = 6200, BODY_STEPS = 8 };

/* A record: u32 value, u32 bytes of body, the body. All of it follows from the value. */
struct bytes {
    _Alignas(8) unsigned char data[8 + BODY_BYTES_MAX];
};

static size_t body_bytes(uint32_t value)
{
    static const size_t spans[BODY_STEPS] = {8, 8, 200, 200, 200, 800, 2000, BODY_BYTES_MAX};

    return (value / BODY_STEPS % spans[value % BODY_STEPS]) & ~(size_t)7;
}

static size_t encode(uint32_t value, struct bytes *out)
{
    size_t n = body_bytes(value);
    uint64_t word = value;

    mni_put_u32(out->data, value);
    mni_put_u32(out->data + 4, (uint32_t)n);
    for (size_t i = 0; i < n; i += 8) {
        word = word * UINT64_C(6364136223846793005) + 1442695040888963407U;
        mni_put_u64(out->data + 8 + i, value % 16 == 0 ? 0 : word);
    }
    return 8 + n;
}

static struct log_commit commit_of(uint32_t n_records, uint32_t value)
{
    struct log_commit c = {.n_records = n_records};

    for (uint32_t i = 0; i < n_records; i++)
        c.values[i] = i == 0 ? value : value * (i + 3) & ~UINT32_C(4);
    return c;
}

bool log_is_up(const struct log_world *l)
{
    return l->wal != NULL && !l->is_poisoned && !mni_crash_env_is_cut(l->sim->crash);
}

static bool begin(struct log_world *l, enum sim_deed deed)
{
    if (!log_is_up(l))
        return false;
    l->sim->deed = deed;
    sim_tell(l->sim, "%s", sim_deed_name(deed));
    return true;
}

static void failed(struct log_world *l, const struct log_commit *commit, mn_status st,
                   const struct mn_error *err)
{
    struct mni_wal_stats stats;
    bool is_cut = mni_crash_env_is_cut(l->sim->crash);

    if (!is_cut && !l->sync_may_fail && !l->is_poisoned)
        sim_fail(l->sim, "%s: %s", mn_status_name(st), err->message);
    if (st != MN_ERR_IO && st != MN_ERR_POISONED)
        sim_fail(l->sim, "%s without power: %s", mn_status_name(st), err->message);
    sim_tell(l->sim, "  failed: %s", err->message);
    if (!is_cut)
        l->sync_may_fail = false;
    mni_wal_get_stats(l->wal, &stats);
    l->is_poisoned = stats.is_poisoned;
    if (!l->is_poisoned || st == MN_ERR_POISONED || commit == NULL)
        return; /* it did not happen */
    if (l->n_doubtful == LOG_DOUBTFUL_MAX)
        sim_fail(l->sim, "the simulator remembers too few doubtful commits");
    l->doubtful[l->n_doubtful++] = *commit;
}

static void all_is_durable(struct log_world *l)
{
    l->durable_lsn = l->lsn;
    l->kernel_lsn = l->lsn;
}

static void note_safety(struct log_world *l, mn_ack ack)
{
    size_t n = l->config.sync_every_commits;

    if (ack == MN_ACK_DEFAULT)
        ack = l->config.sync == MN_SYNC_EVERY_WRITE ? MN_ACK_DISK : MN_ACK_OS;
    if (ack >= MN_ACK_OS)
        l->kernel_lsn = l->lsn;
    if (ack >= MN_ACK_DISK)
        all_is_durable(l);
    if (l->config.sync == MN_SYNC_EVERY_N && l->n_since_open >= n &&
        l->commits[l->n_commits - n].lsn > l->durable_lsn)
        l->durable_lsn = l->commits[l->n_commits - n].lsn;
    if (l->kernel_lsn < l->durable_lsn)
        l->kernel_lsn = l->durable_lsn;
}

static void answered(struct log_world *l, struct log_commit *c, mn_status st, uint64_t lsn,
                     mn_ack ack, const struct mn_error *err)
{
    if (st != MN_OK) {
        failed(l, c, st, err);
        return;
    }
    if (lsn <= l->max_lsn)
        sim_fail(l->sim, "LSN %" PRIu64 " is given out after %" PRIu64, lsn, l->max_lsn);
    if (l->n_commits == LOG_COMMITS_MAX)
        sim_fail(l->sim, "the simulator remembers too few commits");
    c->lsn = lsn;
    l->n_doubtful = 0; /* LSNs go by the order of the queue: what failed before has none */
    l->commits[l->n_commits++] = *c;
    l->n_since_open++;
    l->lsn = lsn;
    l->log_lsn = lsn;
    l->max_lsn = lsn;
    note_safety(l, ack);
    sim_tell(l->sim, "  LSN %" PRIu64 ", durable %" PRIu64, lsn, l->durable_lsn);
}

/* Commits ---------- */

struct submitted {
    struct mni_commit commit;
    struct mn_slice parts[LOG_RECORDS_MAX];
    struct bytes bytes[LOG_RECORDS_MAX];
    struct log_commit model;
    struct mn_error err;
};

static void submit(struct log_world *l, const struct log_member *m, struct submitted *s)
{
    s->err = (struct mn_error){0};
    s->model = commit_of(m->is_flush ? 0 : m->n_records, m->value);
    for (uint32_t i = 0; i < s->model.n_records; i++)
        s->parts[i] = (struct mn_slice){s->bytes[i].data, encode(s->model.values[i], &s->bytes[i])};
    mn_status st = mni_commit_init(&s->commit, s->parts, s->model.n_records, s->model.n_records,
                                   m->is_flush ? MN_ACK_DISK : m->ack, NULL, &s->err);
    if (st != MN_OK)
        sim_fail(l->sim, "making a commit: %s", s->err.message);
    mni_wal_submit(l->wal, &s->commit);
}

static void work(struct log_world *l, const struct log_member *members, size_t n)
{
    static struct submitted all[LOG_MEMBERS_MAX];

    for (size_t i = 0; i < n; i++) {
        sim_tell(l->sim, "  %s%u records, value %u, ack %d", members[i].is_flush ? "flush, " : "",
                 members[i].n_records, members[i].value, (int)members[i].ack);
        submit(l, &members[i], &all[i]);
    }
    mni_wal_lead_all(l->wal);
    for (size_t i = 0; i < n; i++) {
        struct submitted *s = &all[i];
        if (!members[i].is_flush)
            answered(l, &s->model, s->commit.status, s->commit.lsn, members[i].ack, &s->err);
        else if (s->commit.status == MN_OK)
            all_is_durable(l);
        else
            failed(l, NULL, s->commit.status, &s->err);
    }
    if (mni_wal_visible_lsn(l->wal) != l->log_lsn)
        sim_fail(l->sim, "LSN %" PRIu64 " is visible, not %" PRIu64, mni_wal_visible_lsn(l->wal),
                 l->log_lsn);
}

void log_append(struct log_world *l, uint32_t n_records, uint32_t value, mn_ack ack)
{
    struct log_member m = {.n_records = n_records, .value = value, .ack = ack};

    if (begin(l, DEED_LOG_APPEND))
        work(l, &m, 1);
}

void log_group(struct log_world *l, const struct log_member *members, size_t n)
{
    if (begin(l, DEED_LOG_GROUP))
        work(l, members, n);
}

/* The rest ---------- */

static void note_sync(struct log_world *l, mn_status st, const struct mn_error *err)
{
    if (st == MN_OK)
        all_is_durable(l);
    else
        failed(l, NULL, st, err);
}

void log_flush(struct log_world *l)
{
    struct mn_error err = {0};

    if (begin(l, DEED_LOG_FLUSH))
        note_sync(l, mni_wal_flush(l->wal, &err), &err);
}

void log_rotate(struct log_world *l)
{
    struct mn_error err = {0};

    if (begin(l, DEED_LOG_ROTATE))
        note_sync(l, mni_wal_rotate(l->wal, &err), &err);
}

void log_tick(struct log_world *l)
{
    struct mni_wal_stats stats;
    struct mn_error err = {.message = "in the background"};

    if (!begin(l, DEED_LOG_TICK))
        return;
    mni_wal_tick(l->wal);
    mni_wal_get_stats(l->wal, &stats);
    if (stats.is_poisoned)
        failed(l, NULL, MN_ERR_IO, &err);
}

static void forget_until(struct log_world *l, uint64_t lsn)
{
    size_t n = 0;

    while (n < l->n_commits && l->commits[n].lsn <= lsn)
        n++;
    l->n_commits -= n;
    memmove(l->commits, l->commits + n, l->n_commits * sizeof l->commits[0]);
    if (l->n_since_open > l->n_commits)
        l->n_since_open = l->n_commits;
}

void log_checkpoint(struct log_world *l, size_t n)
{
    struct mni_wal_stats stats;
    struct mn_error err = {0};

    if (n >= l->n_commits || !begin(l, DEED_LOG_CHECKPOINT))
        return;
    uint64_t lsn = l->commits[l->n_commits - 1 - n].lsn;
    sim_tell(l->sim, "  persisted up to LSN %" PRIu64, lsn);
    l->persisted_lsn = lsn;
    forget_until(l, lsn);
    if (lsn > l->kernel_lsn)
        l->kernel_lsn = lsn;
    if (lsn > l->durable_lsn)
        l->durable_lsn = lsn;
    mn_status st = mni_wal_checkpoint(l->wal, lsn, &err);
    note_sync(l, st, &err);
    if (st != MN_OK)
        return;
    l->marked_lsn = lsn;
    mni_wal_get_stats(l->wal, &stats);
    if (stats.checkpoint_lsn != lsn)
        sim_fail(l->sim, "the checkpoint is LSN %" PRIu64 ", not %" PRIu64, stats.checkpoint_lsn,
                 lsn);
}

void log_trim(struct log_world *l)
{
    struct mni_wal_stats before;
    struct mni_wal_stats after;
    struct mn_error err = {0};
    uint64_t n_removed = 0;

    if (!begin(l, DEED_LOG_TRIM))
        return;
    mni_wal_get_stats(l->wal, &before);
    mn_status st = mni_wal_truncate(l->wal, UINT64_MAX, &n_removed, &err);
    if (st != MN_OK) {
        failed(l, NULL, st, &err);
        return;
    }
    mni_wal_get_stats(l->wal, &after);
    sim_tell(l->sim, "  removed %" PRIu64 " records, %" PRIu64 " files left", n_removed,
             after.n_files);
    if (before.n_records - after.n_records != n_removed)
        sim_fail(l->sim,
                 "trimming removed %" PRIu64 " of %" PRIu64 " records, %" PRIu64 " are left",
                 n_removed, before.n_records, after.n_records);
}

/* Reading ---------- */

static bool is_payload(const struct log_commit *c, const struct mni_wal_entry *entry)
{
    static struct bytes expected;
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;

    if (entry->n_records != c->n_records)
        return false;
    for (uint32_t i = 0; i < c->n_records; i++) {
        size_t n = encode(c->values[i], &expected);
        if (left < n || memcmp(p, expected.data, n) != 0)
            return false;
        p += n;
        left -= n;
    }
    return left == 0;
}

/* Commits that failed come back in their order; the first of them may have got no LSN. */
static bool take_doubtful(struct log_world *l, const struct mni_wal_entry *entry)
{
    size_t n = l->n_replayed - l->n_commits;

    if (n == 0 && l->n_doubtful > 1 && !is_payload(&l->doubtful[0], entry))
        l->first_doubtful = 1;
    n += l->first_doubtful;
    if (n >= l->n_doubtful || entry->lsn <= l->max_lsn || !is_payload(&l->doubtful[n], entry))
        return false;
    l->doubtful[n].lsn = entry->lsn;
    return true;
}

static mn_status replay(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct log_world *l = context;

    (void)err;
    if (entry->lsn <= l->replayed_lsn)
        sim_fail(l->sim, "LSN %" PRIu64 " is replayed after %" PRIu64, entry->lsn, l->replayed_lsn);
    l->replayed_lsn = entry->lsn;
    if (entry->lsn <= l->persisted_lsn)
        return MN_OK;
    if (l->n_replayed < l->n_commits) {
        const struct log_commit *c = &l->commits[l->n_replayed];
        if (entry->lsn != c->lsn || !is_payload(c, entry))
            sim_fail(l->sim, "LSN %" PRIu64 " is replayed, expected %" PRIu64 "%s", entry->lsn,
                     c->lsn, entry->lsn == c->lsn ? " with other bytes" : "");
    } else if (!take_doubtful(l, entry)) {
        sim_fail(l->sim, "LSN %" PRIu64 " is replayed, which nobody committed", entry->lsn);
    }
    l->n_replayed++;
    return MN_OK;
}

static void begin_replay(struct log_world *l)
{
    l->n_replayed = 0;
    l->first_doubtful = 0;
    l->replayed_lsn = 0;
}

void log_walk(struct log_world *l)
{
    struct mni_wal_cursor *cursor = NULL;
    struct mni_wal_entry entry;
    struct mn_error err = {0};

    if (!begin(l, DEED_LOG_CURSOR))
        return;
    begin_replay(l);
    mn_status st = mni_wal_cursor_open(l->wal, l->persisted_lsn + 1, &cursor, &err);
    while (st == MN_OK) {
        st = mni_wal_cursor_next(cursor, &entry, &err);
        if (st == MN_OK)
            (void)replay(l, &entry, NULL);
    }
    mni_wal_cursor_close(cursor);
    if (st != MN_END && !mni_crash_env_is_cut(l->sim->crash))
        sim_fail(l->sim, "walking the log: %s: %s", mn_status_name(st), err.message);
    if (st == MN_END && l->replayed_lsn < l->kernel_lsn && l->kernel_lsn > l->persisted_lsn)
        sim_fail(l->sim, "a cursor ends at LSN %" PRIu64 ", the kernel has %" PRIu64,
                 l->replayed_lsn, l->kernel_lsn);
}

/* Life ---------- */

void log_init(struct log_world *l, struct sim *sim)
{
    memset(l, 0, sizeof *l);
    l->sim = sim;
}

static void check_recovered(struct log_world *l)
{
    struct mni_wal_stats stats;
    uint64_t lsn = l->replayed_lsn > l->persisted_lsn ? l->replayed_lsn : l->persisted_lsn;
    uint64_t n_since = 0;

    sim_tell(l->sim, "recovered to LSN %" PRIu64, lsn);
    if (lsn < l->durable_lsn || lsn < l->kernel_lsn)
        sim_fail(l->sim,
                 "recovered to LSN %" PRIu64 ", but %" PRIu64 " was durable, the kernel had"
                 " %" PRIu64,
                 lsn, l->durable_lsn, l->kernel_lsn);
    for (size_t i = 0; i + l->n_commits < l->n_replayed; i++)
        l->commits[l->n_commits + i] = l->doubtful[l->first_doubtful + i];
    l->n_commits = l->n_replayed;
    l->n_doubtful = 0;
    l->n_since_open = 0;
    l->lsn = lsn;
    l->log_lsn = l->replayed_lsn;
    if (mni_wal_visible_lsn(l->wal) > l->log_lsn)
        l->log_lsn = mni_wal_visible_lsn(l->wal); /* what it knows of was trimmed */
    if (l->log_lsn > lsn)
        sim_fail(l->sim, "LSN %" PRIu64 " is visible, recovered was %" PRIu64, l->log_lsn, lsn);
    if (lsn > l->max_lsn)
        l->max_lsn = lsn;
    all_is_durable(l);
    mni_wal_get_stats(l->wal, &stats);
    if (stats.checkpoint_lsn < l->marked_lsn || stats.checkpoint_lsn > l->persisted_lsn)
        sim_fail(l->sim, "the checkpoint is LSN %" PRIu64 ", marked was %" PRIu64,
                 stats.checkpoint_lsn, l->marked_lsn);
    for (size_t i = 0; i < l->n_commits; i++)
        n_since += l->commits[i].n_records;
    if (stats.checkpoint_lsn == l->persisted_lsn && stats.records_since_checkpoint != n_since)
        sim_fail(l->sim, "%" PRIu64 " records since the checkpoint, not %" PRIu64,
                 stats.records_since_checkpoint, n_since);
}

bool log_open(struct log_world *l)
{
    struct mni_wal_config config = l->config;
    struct mn_error err = {0};
    struct mni_dir *dir = NULL;

    l->sim->deed = l->was_made ? DEED_LOG_RECOVER : DEED_LOG_OPEN;
    sim_tell(l->sim, "open log, sync policy %d, files of %d bytes", (int)config.sync,
             (int)config.file_bytes);
    begin_replay(l);
    mn_status st = mni_env_open_dir(l->sim->env, "log", !l->was_made, &dir, &err);
    if (st == MN_OK) {
        config.env = l->sim->env;
        config.dir = dir;
        config.is_alone = true;
        config.any_store_id = true;
        config.create = !l->was_made;
        config.replay = replay;
        config.replay_context = l;
        st = mni_wal_open(&config, &l->wal, &err);
        if (st != MN_OK)
            mni_dir_close(dir);
    }
    if (st == MN_OK) {
        l->was_made = true;
        check_recovered(l);
        return true;
    }
    l->wal = NULL;
    if (mni_crash_env_is_cut(l->sim->crash))
        return false;
    if (st != MN_ERR_IO || !l->sync_may_fail)
        sim_fail(l->sim, "opening: %s: %s", mn_status_name(st), err.message);
    l->sync_may_fail = false;
    if (!l->was_made) /* a half-made log is not to be trusted */
        sim_restart(l->sim);
    return false;
}

void log_abandon(struct log_world *l)
{
    mni_wal_abandon(l->wal);
    l->wal = NULL;
    l->is_poisoned = false;
}

void log_lose_power(struct log_world *l)
{
    log_abandon(l);
    sim_restart(l->sim);
    l->sync_may_fail = false;
    l->kernel_lsn = l->durable_lsn;
}

void log_close(struct log_world *l)
{
    struct mn_error err = {0};
    bool was_poisoned = l->is_poisoned;

    if (!mni_crash_env_is_cut(l->sim->crash))
        l->sim->deed = DEED_LOG_CLOSE;
    sim_tell(l->sim, "close log");
    mn_status st = mni_wal_close(l->wal, &err);
    bool is_cut = mni_crash_env_is_cut(l->sim->crash);
    l->wal = NULL;
    l->is_poisoned = false;
    if (st == MN_OK && was_poisoned)
        sim_fail(l->sim, "closing a poisoned log is fine");
    if (st != MN_OK && !was_poisoned && !is_cut && !l->sync_may_fail)
        sim_fail(l->sim, "closing: %s", err.message);
    if (st != MN_OK && !is_cut)
        l->sync_may_fail = false;
    if (st == MN_OK)
        all_is_durable(l);
}
