/* Tests of group commit: who shares a sync, what each ack level and policy costs, who learns of a
 * failure. */
#include "fixture.h"

enum { MEMBERS_MAX = 24 };

/* What the log did to its world, read from a trace. */
struct deeds {
    size_t n_writes;
    size_t n_syncs; /* syncs of files, and durable writes */
    size_t n_dir_syncs;
    size_t n_renames;
};

struct dirty {
    char name[MNI_NAME_BYTES_MAX];
    bool is_dirty;
};

static bool *dirt_of(struct dirty *files, const char *name)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        if (files[i].name[0] == '\0')
            (void)snprintf(files[i].name, sizeof files[i].name, "%s", name);
        if (strcmp(files[i].name, name) == 0)
            return &files[i].is_dirty;
    }
    CHECK(false);
    return NULL;
}

/*
 * Walks a trace and checks the order that durability needs: what is renamed was synced; no frame is
 * written to a file before the directory knows its name; with `all_durable`, nothing is left
 * unsynced at the end.
 */
static struct deeds read_trace(const char *trace, bool all_durable)
{
    struct deeds deeds = {0};
    struct dirty files[NAMES_MAX] = {0};
    bool dir_is_dirty = false;
    char line[256];

    while (*trace != '\0') {
        char verb[32] = "", name[64] = "", other[64] = "";
        size_t n = strcspn(trace, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)n, trace);
        trace += n + (trace[n] == '\n');
        (void)sscanf(line, "%31s %63s %63s", verb, name, other);
        bool is_frame = strstr(name, ".wal") != NULL;
        if (strcmp(verb, "write") == 0) {
            deeds.n_writes++;
            CHECK(!is_frame || !dir_is_dirty);
            *dirt_of(files, name) = true;
        } else if (strcmp(verb, "write_durable") == 0) {
            deeds.n_writes++;
            deeds.n_syncs++;
            CHECK(!is_frame || !dir_is_dirty);
        } else if (strcmp(verb, "sync") == 0) {
            deeds.n_syncs++;
            *dirt_of(files, name) = false;
        } else if (strcmp(verb, "rename") == 0) {
            deeds.n_renames++;
            CHECK(strstr(name, ".new") == NULL || !*dirt_of(files, name));
            dir_is_dirty = true;
        } else if (strcmp(verb, "sync_dir") == 0) {
            deeds.n_dir_syncs++;
            dir_is_dirty = false;
        }
    }
    for (size_t i = 0; i < NAMES_MAX && all_durable; i++)
        CHECK(!files[i].is_dirty || strstr(files[i].name, ".wal") == NULL);
    CHECK(!all_durable || !dir_is_dirty);
    return deeds;
}

static struct mni_record_env *add_recorder(struct world *w)
{
    struct mni_record_env *record;

    CHECK_OK(mni_record_env_new(w->env, &record));
    w->env = mni_record_env_base(record);
    return record;
}

static void done_with_recorder(struct world *w, struct mni_record_env *record)
{
    mni_wal_abandon(w->wal);
    w->wal = NULL;
    mni_record_env_free(record);
    world_done(w);
}

static struct deeds deeds_since(struct mni_record_env *record, bool all_durable)
{
    struct deeds deeds = read_trace(mni_record_env_trace(record), all_durable);

    mni_record_env_reset(record);
    return deeds;
}

static void disk_means_that_the_sync_came_before_the_answer(void)
{
    static const mn_sync_policy policies[] = {MN_SYNC_EVERY_WRITE, MN_SYNC_EVERY_N,
                                              MN_SYNC_EVERY_MS, MN_SYNC_MANUAL};
    for (size_t i = 0; i < CHECK_COUNT(policies); i++) {
        struct world w;
        world_init(&w, 1);
        struct mni_record_env *record = add_recorder(&w);
        w.config.sync = policies[i];
        open_log(&w);
        (void)deeds_since(record, true);
        for (size_t n = 16; n < 3000; n += 104) {
            commit(&w, n, MN_ACK_DISK);
            CHECK(deeds_since(record, true).n_syncs >= 1);
            commit(&w, n, MN_ACK_OS);
            commit(&w, n, MN_ACK_NONE);
            commit(&w, n, MN_ACK_DISK);
            CHECK(deeds_since(record, true).n_syncs >= 1);
            CHECK_EQ(stats_of(&w).durable_lsn, stats_of(&w).current_lsn);
        }
        CHECK(stats_of(&w).n_files > 3);
        checkpoint(&w, 60);
        (void)deeds_since(record, true);
        CHECK_OK(mni_wal_truncate(w.wal, 60, NULL, NULL));
        CHECK_EQ(deeds_since(record, true).n_dir_syncs, 1);
        close_log(&w);
        (void)deeds_since(record, true);
        open_log(&w);
        (void)deeds_since(record, true);
        done_with_recorder(&w, record);
    }
}

static void each_ack_level_costs_what_it_says(void)
{
    static const mn_sync_policy policies[] = {MN_SYNC_DEFAULT, MN_SYNC_EVERY_WRITE,
                                              MN_SYNC_EVERY_MS, MN_SYNC_MANUAL};
    for (size_t i = 0; i < CHECK_COUNT(policies); i++) {
        bool is_every_write = i < 2;
        struct world w;
        world_init(&w, 2);
        struct mni_record_env *record = add_recorder(&w);
        w.config.sync = policies[i];
        open_log(&w);
        (void)deeds_since(record, true);
        commit(&w, 16, MN_ACK_NONE);
        struct deeds none = deeds_since(record, true);
        CHECK_EQ(none.n_writes + none.n_syncs, 0);
        commit(&w, 16, MN_ACK_OS);
        struct deeds os = deeds_since(record, false);
        CHECK_EQ(os.n_writes, 1);
        CHECK_EQ(os.n_syncs, 0);
        commit(&w, 16, MN_ACK_DISK);
        CHECK_EQ(deeds_since(record, false).n_syncs, 1);
        commit(&w, 16, MN_ACK_DEFAULT);
        struct deeds by_default = deeds_since(record, is_every_write);
        CHECK_EQ(by_default.n_writes, 1);
        CHECK_EQ(by_default.n_syncs, is_every_write ? 1 : 0);
        done_with_recorder(&w, record);
    }
}

static void every_n_syncs_exactly_every_n(void)
{
    struct world w;
    world_init(&w, 3);
    w.config.sync = MN_SYNC_EVERY_N;
    w.config.sync_every_commits = 7;
    w.config.file_bytes = 1 << 20;
    open_log(&w);
    for (uint64_t i = 1; i <= 70; i++) {
        commit(&w, 16, i % 2 == 0 ? MN_ACK_DEFAULT : MN_ACK_NONE);
        CHECK_EQ(stats_of(&w).n_syncs, i / 7);
        CHECK_EQ(stats_of(&w).durable_lsn, i - i % 7);
    }
    commit(&w, 16, MN_ACK_DISK); /* begins the count anew */
    CHECK_EQ(stats_of(&w).n_syncs, 11);
    for (uint64_t i = 1; i <= 14; i++) {
        commit(&w, 16, MN_ACK_DEFAULT);
        CHECK_EQ(stats_of(&w).n_syncs, 11 + i / 7);
    }
    world_done(&w);
}

static void every_ms_syncs_when_the_time_has_come(void)
{
    struct world w;
    world_init(&w, 4);
    w.config.sync = MN_SYNC_EVERY_MS;
    w.config.sync_interval_ms = 50;
    w.config.file_bytes = 1 << 20;
    open_log(&w);
    for (uint64_t round = 1; round <= 5; round++) {
        commit(&w, 16, MN_ACK_DISK);
        CHECK_EQ(stats_of(&w).n_syncs, 2 * round - 1);
        commit(&w, 16, MN_ACK_DEFAULT);
        commit(&w, 16, MN_ACK_NONE);
        mni_crash_env_advance_us(w.crash, 40000);
        mni_wal_tick(w.wal);
        CHECK_EQ(stats_of(&w).n_syncs, 2 * round - 1);
        mni_crash_env_advance_us(w.crash, 11000);
        mni_wal_tick(w.wal);
        CHECK_EQ(stats_of(&w).n_syncs, 2 * round);
        CHECK_EQ(stats_of(&w).durable_lsn, 3 * round);
        w.n_promised = w.n_history;
        mni_crash_env_advance_us(w.crash, 200000);
        mni_wal_tick(w.wal); /* nothing is waiting */
        CHECK_EQ(stats_of(&w).n_syncs, 2 * round);
    }
    crash(&w);
    open_log(&w);
    CHECK_EQ(w.n_seen, 15);
    world_done(&w);
}

static void manual_syncs_only_when_asked(void)
{
    struct world w;
    world_init(&w, 5);
    w.config.sync = MN_SYNC_MANUAL;
    open_log(&w);
    for (int i = 0; i < 50; i++)
        commit(&w, 16, MN_ACK_DEFAULT);
    mni_crash_env_advance_us(w.crash, 10000000);
    mni_wal_tick(w.wal);
    CHECK_EQ(stats_of(&w).n_syncs, 0);
    CHECK_OK(mni_wal_flush(w.wal, NULL));
    CHECK_EQ(stats_of(&w).n_syncs, 1);
    CHECK_EQ(stats_of(&w).durable_lsn, 50);
    CHECK_OK(mni_wal_flush(w.wal, NULL)); /* nothing to do */
    CHECK_EQ(stats_of(&w).n_syncs, 1);
    commit(&w, 16, MN_ACK_DEFAULT);
    checkpoint(&w, 3);
    CHECK_EQ(stats_of(&w).durable_lsn, 51);
    commit(&w, 16, MN_ACK_DEFAULT);
    CHECK_OK(mni_wal_rotate(w.wal, NULL));
    CHECK_EQ(stats_of(&w).durable_lsn, 52);
    commit(&w, 16, MN_ACK_NONE);
    close_log(&w);
    mni_crash_env_restart(w.crash, false, 0);
    open_log(&w);
    CHECK_EQ(w.n_seen, 53);
    world_done(&w);
}

/* Groups ----------*/

struct member {
    struct mni_commit commit;
    struct mn_slice part;
    struct mn_error err;
    unsigned char bytes[64];
};

static void submit(struct world *w, struct member *m, mn_ack ack)
{
    m->part = (struct mn_slice){m->bytes, sizeof m->bytes};
    fill_pattern(m->bytes, sizeof m->bytes, w->next_tag++);
    CHECK_OK(mni_commit_init(&m->commit, &m->part, 1, 1, ack, m, &m->err));
    mni_wal_submit(w->wal, &m->commit);
}

static void a_group_shares_one_write_and_one_sync(void)
{
    struct world w;
    struct member members[MEMBERS_MAX];
    world_init(&w, 6);
    struct mni_record_env *record = add_recorder(&w);
    w.config.sync = MN_SYNC_MANUAL;
    open_log(&w);
    for (int ack = MN_ACK_NONE; ack <= MN_ACK_DISK; ack++) {
        (void)deeds_since(record, false);
        uint64_t before = stats_of(&w).current_lsn;
        for (size_t i = 0; i < MEMBERS_MAX; i++)
            submit(&w, &members[i], i == 5 ? (mn_ack)ack : MN_ACK_NONE);
        mni_wal_lead_all(w.wal);
        struct deeds deeds = deeds_since(record, ack == MN_ACK_DISK);
        CHECK_EQ(deeds.n_writes, ack == MN_ACK_NONE ? 0 : 1);
        CHECK_EQ(deeds.n_syncs, ack == MN_ACK_DISK ? 1 : 0);
        for (size_t i = 0; i < MEMBERS_MAX; i++) {
            CHECK_OK(members[i].commit.status);
            CHECK_EQ(members[i].commit.lsn, before + 1 + i);
            note_attempt(&w, &members[i].commit, mni_get_u64(members[i].bytes));
        }
    }
    CHECK_EQ(stats_of(&w).n_groups, 3);
    CHECK_EQ(stats_of(&w).n_commits, 3 * MEMBERS_MAX);
    CHECK_EQ(count_by_cursor(&w, 1), 3 * MEMBERS_MAX);
    abandon(&w);
    mni_crash_env_restart(w.crash, false, 0);
    open_log(&w);
    CHECK_EQ(w.n_seen, 3 * MEMBERS_MAX);
    done_with_recorder(&w, record);
}

static void a_group_that_failed_is_in_no_number(void)
{
    for (int is_late = 0; is_late < 2; is_late++) {
        struct world w;
        struct member members[MEMBERS_MAX];
        world_init(&w, 13);
        w.config.sync = MN_SYNC_MANUAL;
        open_log(&w);
        for (int i = 0; i < 5; i++)
            CHECK_OK(commit_as(&w, 64, 3, i == 4 ? MN_ACK_DISK : MN_ACK_NONE));
        checkpoint(&w, 2);
        struct mni_wal_stats before = stats_of(&w);
        CHECK_EQ(before.n_records, 15);
        CHECK_EQ(before.records_since_checkpoint, 9);
        /* A write that fails and a sync that does: the power is off, or one sync fails. */
        if (is_late)
            mni_crash_env_fail_sync_at(w.crash, 1);
        else
            mni_crash_env_cut_at(w.crash, 1);
        for (size_t i = 0; i < MEMBERS_MAX; i++)
            submit(&w, &members[i], MN_ACK_DISK);
        mni_wal_lead_all(w.wal);
        CHECK_STATUS(members[0].commit.status, MN_ERR_IO);
        CHECK_STATUS(members[MEMBERS_MAX - 1].commit.status, MN_ERR_IO);
        struct mni_wal_stats after = stats_of(&w);
        CHECK(after.is_poisoned);
        CHECK_EQ(after.current_lsn, before.current_lsn);
        CHECK_EQ(after.durable_lsn, before.durable_lsn);
        CHECK_EQ(after.n_records, before.n_records);
        CHECK_EQ(after.records_since_checkpoint, before.records_since_checkpoint);
        CHECK_EQ(after.current_file_records, before.current_file_records);
        CHECK_EQ(after.current_file_bytes, before.current_file_bytes);
        CHECK_EQ(after.n_commits, before.n_commits);
        CHECK_EQ(after.n_groups, before.n_groups);
        world_done(&w);
    }
}

static void a_failed_sync_is_an_error_to_every_member(void)
{
    struct world w;
    struct member members[MEMBERS_MAX];
    struct mni_commit flush;
    world_init(&w, 7);
    open_log(&w);
    commit(&w, 64, MN_ACK_DISK);
    mni_crash_env_fail_sync_at(w.crash, 1);
    for (size_t i = 0; i < MEMBERS_MAX; i++)
        submit(&w, &members[i], i % 2 == 0 ? MN_ACK_DISK : MN_ACK_NONE);
    CHECK_OK(mni_commit_init(&flush, NULL, 0, 0, MN_ACK_DISK, NULL, NULL));
    mni_wal_submit(w.wal, &flush);
    mni_wal_lead_all(w.wal);
    CHECK_STATUS(flush.status, MN_ERR_IO);
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        CHECK_STATUS(members[i].commit.status, MN_ERR_IO);
        CHECK_STATUS(members[i].err.status, MN_ERR_IO);
        CHECK_STR_EQ(members[i].err.message, members[0].err.message);
        note_attempt(&w, &members[i].commit, mni_get_u64(members[i].bytes));
    }
    CHECK_EQ(mni_wal_visible_lsn(w.wal), 1);
    CHECK_EQ(count_by_cursor(&w, 1), 1);
    submit(&w, &members[0], MN_ACK_DEFAULT);
    submit(&w, &members[1], MN_ACK_NONE);
    mni_wal_lead_all(w.wal);
    CHECK_STATUS(members[0].commit.status, MN_ERR_POISONED);
    CHECK_STATUS(members[1].commit.status, MN_ERR_POISONED);
    CHECK_STR_HAS(members[1].err.message, "open it again");
    CHECK(members[1].err.os_errno != 0);
    uint64_t n_calls = mni_crash_env_n_calls(w.crash);
    mni_wal_tick(w.wal);
    CHECK_EQ(mni_crash_env_n_calls(w.crash), n_calls); /* never tried again */
    crash(&w);
    open_log(&w);
    commit(&w, 64, MN_ACK_DISK);
    world_done(&w);
}

struct judge {
    uint64_t last_published;
    size_t n_published;
    size_t n_groups;
    enum mni_admit verdicts[MEMBERS_MAX];
    size_t n_asked;
    size_t n_asked_first;
    size_t n_abandoned;
};

static enum mni_admit judge_commit(void *context, struct mni_commit *commit, bool is_first)
{
    struct judge *judge = context;
    enum mni_admit verdict = judge->verdicts[judge->n_asked++];

    CHECK_EQ(commit->lsn, 0);
    judge->n_asked_first += is_first;
    if (verdict == MNI_REFUSE)
        commit->status = mni_fail(commit->err, MN_CHANGED, "refused by the judge");
    return verdict;
}

static void publish(void *context, struct mni_commit *first)
{
    struct judge *judge = context;

    judge->n_groups++;
    for (struct mni_commit *c = first; c != NULL; c = c->next_in_group) {
        if (c->n_records == 0)
            continue;
        CHECK(c->lsn > judge->last_published);
        CHECK(c->time_us > 0);
        judge->last_published = c->lsn;
        judge->n_published++;
    }
}

static void hooks_judge_before_and_publish_in_order(void)
{
    struct world w;
    struct member members[6];
    struct judge judge = {.verdicts = {MNI_ADMIT, MNI_REFUSE, MNI_NEXT_GROUP, MNI_ADMIT,
                                       MNI_ADMIT_LAST, MNI_ADMIT, MNI_ADMIT}};
    world_init(&w, 8);
    w.config.hooks =
        (struct mni_wal_hooks){.context = &judge, .admit = judge_commit, .publish = publish};
    open_log(&w);
    for (size_t i = 0; i < CHECK_COUNT(members); i++)
        submit(&w, &members[i], MN_ACK_DISK);
    mni_wal_lead_all(w.wal);
    CHECK_EQ(judge.n_asked, 7);
    CHECK_EQ(judge.n_asked_first, 3);
    CHECK_EQ(judge.n_groups, 3); /* 0 | 2 3 | 4 5 */
    CHECK_EQ(judge.n_published, 5);
    CHECK_STATUS(members[1].commit.status, MN_CHANGED);
    CHECK_EQ(members[1].commit.lsn, 0);
    uint64_t lsn = 0;
    for (size_t i = 0; i < CHECK_COUNT(members); i++)
        if (i != 1)
            CHECK_EQ(members[i].commit.lsn, ++lsn);
    CHECK_EQ(stats_of(&w).n_groups, 3);
    world_done(&w);
}

static void count_abandoned(void *context, struct mni_commit *commit)
{
    struct judge *judge = context;

    CHECK(commit->n_records > 0);
    judge->n_abandoned++;
}

static void what_was_admitted_and_failed_is_abandoned_once(void)
{
    struct world w;
    struct member members[6];
    struct mni_commit flush;
    struct judge judge = {.verdicts = {MNI_ADMIT, MNI_REFUSE}};
    for (size_t i = 2; i < CHECK_COUNT(judge.verdicts); i++)
        judge.verdicts[i] = MNI_ADMIT;
    world_init(&w, 12);
    w.config.hooks = (struct mni_wal_hooks){
        .context = &judge, .admit = judge_commit, .publish = publish, .abandon = count_abandoned};
    open_log(&w);
    mni_crash_env_fail_sync_at(w.crash, 1);
    for (size_t i = 0; i < CHECK_COUNT(members); i++)
        submit(&w, &members[i], MN_ACK_DISK);
    CHECK_OK(mni_commit_init(&flush, NULL, 0, 0, MN_ACK_DISK, NULL, NULL));
    mni_wal_submit(w.wal, &flush);
    mni_wal_lead_all(w.wal);
    CHECK_EQ(judge.n_abandoned, 5); /* not the refused one, not the flush */
    CHECK_EQ(judge.n_published, 0);
    submit(&w, &members[0], MN_ACK_DISK);
    mni_wal_lead_all(w.wal);
    CHECK_STATUS(members[0].commit.status, MN_ERR_POISONED);
    CHECK_EQ(judge.n_asked, 6); /* a poisoned log admits nothing */
    CHECK_EQ(judge.n_abandoned, 5);
    world_done(&w);
}

/* A second sync succeeds without writing what the first one lost. */
static void a_failed_sync_is_never_tried_again(void)
{
    for (uint64_t n = 1; n <= 3; n++) {
        struct world w;
        world_init(&w, 13);
        w.config.sync = MN_SYNC_MANUAL;
        open_log(&w);
        commit(&w, 64, MN_ACK_OS);
        mni_crash_env_fail_sync_at(w.crash, 1);
        if (n == 1)
            CHECK_STATUS(commit_as(&w, 64, 1, MN_ACK_DISK), MN_ERR_IO);
        else if (n == 2)
            CHECK_STATUS(mni_wal_flush(w.wal, &w.err), MN_ERR_IO);
        else
            CHECK_STATUS(mni_wal_rotate(w.wal, &w.err), MN_ERR_IO);
        CHECK_STATUS(mni_wal_flush(w.wal, &w.err), MN_ERR_POISONED);
        CHECK_EQ(stats_of(&w).durable_lsn, 0);
        crash(&w);
        open_log(&w);
        world_done(&w);
    }
}

static void a_group_ends_at_its_size(void)
{
    struct world w;
    enum { N = 12, BYTES = 1 << 20 };
    struct mni_commit commits[N];
    struct mn_slice parts[N];
    unsigned char *bytes = malloc(N * (size_t)BYTES);
    CHECK(bytes != NULL);
    world_init(&w, 9);
    w.config.file_bytes = 64 << 20;
    open_log(&w);
    for (size_t i = 0; i < N; i++) {
        fill_pattern(bytes + i * BYTES, BYTES, i + 1);
        parts[i] = (struct mn_slice){bytes + i * BYTES, BYTES};
        CHECK_OK(mni_commit_init(&commits[i], &parts[i], 1, 1, MN_ACK_DISK, NULL, NULL));
        mni_wal_submit(w.wal, &commits[i]);
    }
    mni_wal_lead_all(w.wal);
    for (size_t i = 0; i < N; i++)
        CHECK_EQ(commits[i].lsn, i + 1);
    CHECK(stats_of(&w).n_groups >= 3 && stats_of(&w).n_groups <= 4);
    close_log(&w);
    w.n_promised = 0;
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_EQ(w.n_seen, N);
    for (size_t i = 0; i < N; i++)
        CHECK_EQ(w.seen[i].tag, i + 1);
    free(bytes);
    world_done(&w);
}

static void lsns_beyond_the_reserved_ones_begin_a_file(void)
{
    struct world w;
    world_init(&w, 10);
    w.config.file_bytes = 128 << 20;
    w.config.sync = MN_SYNC_MANUAL;
    CHECK_OK_ERR(try_open(&w), &w.err);
    unsigned char bytes[TAG_BYTES];
    struct mn_slice part = {bytes, sizeof bytes};
    struct mni_commit commit;
    fill_pattern(bytes, sizeof bytes, 1);
    const uint64_t n = MNI_WAL_LSN_RESERVE + 10;
    for (uint64_t i = 1; i <= n; i++) {
        CHECK_OK(mni_commit_init(&commit, &part, 1, 1, MN_ACK_NONE, NULL, NULL));
        CHECK_OK(mni_wal_commit(w.wal, &commit));
        CHECK_EQ(commit.lsn, i);
    }
    CHECK_EQ(stats_of(&w).n_files, 2);
    crash(&w);
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_OK(mni_commit_init(&commit, &part, 1, 1, MN_ACK_NONE, NULL, NULL));
    CHECK_OK(mni_wal_commit(w.wal, &commit));
    CHECK(commit.lsn > n);
    world_done(&w);
}

static void time_never_goes_back(void)
{
    struct world w;
    world_init(&w, 11);
    open_log(&w);
    int64_t last_us = 0;
    for (int i = 0; i < 20; i++) {
        mni_crash_env_set_wall_us(w.crash, i % 2 == 0 ? 2000000000000000 + i : 5000 * i);
        commit(&w, 16, MN_ACK_DISK);
        CHECK(mni_wal_last_time_us(w.wal) >= last_us);
        last_us = mni_wal_last_time_us(w.wal);
        if (i % 7 == 6) {
            crash(&w);
            mni_crash_env_set_wall_us(w.crash, 77);
            open_log(&w);
            CHECK_EQ(mni_wal_last_time_us(w.wal), last_us);
        }
    }
    for (size_t i = 1; i < w.n_seen; i++)
        CHECK(w.seen[i].time_us >= w.seen[i - 1].time_us);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(disk_means_that_the_sync_came_before_the_answer),
        CHECK_TEST(each_ack_level_costs_what_it_says),
        CHECK_TEST(every_n_syncs_exactly_every_n),
        CHECK_TEST(every_ms_syncs_when_the_time_has_come),
        CHECK_TEST(manual_syncs_only_when_asked),
        CHECK_TEST(a_group_shares_one_write_and_one_sync),
        CHECK_TEST(a_group_that_failed_is_in_no_number),
        CHECK_TEST(a_failed_sync_is_an_error_to_every_member),
        CHECK_TEST(hooks_judge_before_and_publish_in_order),
        CHECK_TEST(what_was_admitted_and_failed_is_abandoned_once),
        CHECK_TEST(a_failed_sync_is_never_tried_again),
        CHECK_TEST(a_group_ends_at_its_size),
        CHECK_TEST(lsns_beyond_the_reserved_ones_begin_a_file),
        CHECK_TEST(time_never_goes_back),
    };
    return check_run("wal.group", tests, CHECK_COUNT(tests), argc, argv);
}
