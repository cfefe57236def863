/*
 * group.c - the queue of commits, the leader's role, and group commit.
 *
 * Owns:    the queue; each commit in it lives on the stack of the thread that waits for it.
 * Threads: any number join; one at a time leads. Whoever finds no leader becomes it; a leader works
 *          one group and passes the role to the head of the queue.
 * Fails:   an error of the log goes to every member of the group, followers included.
 *
 * States of a commit:  WAITING -> DONE            answered by a leader
 *                      WAITING -> LEADING -> DONE  it was the head of the queue: it leads
 */
#include "base/check.h"
#include "base/plant.h"
#include "wal/wal_private.h"

enum commit_state { WAITING, LEADING, DONE };

/* The members of the group that is being worked on. */
struct group {
    struct mni_commit *first; /* admitted with a frame or a flush, linked by next_in_group */
    struct mni_commit *last;
    mn_ack ack;
    size_t n_commits;
    uint64_t n_records;
    size_t n_bytes;
    int64_t time_us;
};

mn_status mni_commit_init(struct mni_commit *commit, const struct mn_slice *parts, size_t n_parts,
                          uint32_t n_records, mn_ack ack, void *owner, struct mn_error *err)
{
    size_t n_bytes = 0;
    uint32_t crc = 0;

    MNI_CHECK((n_parts == 0) == (n_records == 0));
    for (size_t i = 0; i < n_parts; i++) {
        MNI_CHECK(parts[i].n_bytes % FRAME_ALIGN == 0);
        n_bytes += parts[i].n_bytes;
        if (n_bytes > MNI_WAL_PAYLOAD_BYTES_MAX)
            return mni_fail(err, MN_ERR_LIMIT, "a commit has more than %d MiB",
                            MN_BATCH_BYTES_MAX >> 20);
        crc = wal_payload_crc(crc, parts[i].data,
                              wal_crc_covers(n_bytes - parts[i].n_bytes, parts[i].n_bytes));
    }
    MNI_CHECK((n_bytes == 0) == (n_records == 0));
    *commit = (struct mni_commit){
        .parts = parts,
        .n_parts = n_parts,
        .n_records = n_records,
        .ack = ack,
        .owner = owner,
        .err = err,
        .payload_bytes = n_bytes,
        .payload_crc = crc,
    };
    return MN_OK;
}

/* The queue ----------*/

/* Puts a commit at the end. True when nobody leads: the caller does, from now on. */
static bool join(struct mni_wal *wal, struct mni_commit *commit)
{
    commit->next = NULL;
    atomic_store_explicit(&commit->state, WAITING, memory_order_relaxed);
    mni_mutex_lock(&wal->queue_lock);
    if (wal->queue_tail == NULL)
        wal->queue_head = commit;
    else
        wal->queue_tail->next = commit;
    wal->queue_tail = commit;
    bool leads = !wal->is_led;
    wal->is_led = true;
    mni_mutex_unlock(&wal->queue_lock);
    return leads;
}

/* Takes members off the head: one exclusive commit alone, or all up to the next exclusive one. */
static struct mni_commit *take(struct mni_wal *wal)
{
    mni_mutex_lock(&wal->queue_lock);
    struct mni_commit *head = wal->queue_head;
    struct mni_commit *last = head;
    if (head != NULL) {
        while (!head->is_exclusive && last->next != NULL && !last->next->is_exclusive)
            last = last->next;
        wal->queue_head = last->next;
        if (wal->queue_head == NULL)
            wal->queue_tail = NULL;
        last->next = NULL;
    }
    mni_mutex_unlock(&wal->queue_lock);
    return head;
}

static void put_back(struct mni_wal *wal, struct mni_commit *head)
{
    struct mni_commit *last = head;

    if (head == NULL)
        return;
    while (last->next != NULL)
        last = last->next;
    mni_mutex_lock(&wal->queue_lock);
    last->next = wal->queue_head;
    wal->queue_head = head;
    if (wal->queue_tail == NULL)
        wal->queue_tail = last;
    mni_mutex_unlock(&wal->queue_lock);
}

/* After this the commit may be gone: its thread returns. */
static void set_state(struct mni_commit *commit, enum commit_state state)
{
    atomic_store_explicit(&commit->state, state, memory_order_release);
    mni_word_wake_one(&commit->state);
}

/* Gives the role to the head of the queue, or lays it down. */
static void pass_on(struct mni_wal *wal)
{
    mni_mutex_lock(&wal->queue_lock);
    struct mni_commit *head = wal->queue_head;
    if (head == NULL || !mni_env_has_threads(wal->config.env)) {
        wal->is_led = false;
        head = NULL;
    }
    mni_mutex_unlock(&wal->queue_lock);
    if (head != NULL)
        set_state(head, LEADING);
}

/* A group ----------*/

static mn_status refuse(struct mni_commit *commit, mn_status status)
{
    commit->status = status;
    commit->lsn = 0;
    return status;
}

static mn_ack wanted_ack(const struct mni_wal *wal, const struct mni_commit *commit)
{
    if (commit->ack != MN_ACK_DEFAULT)
        return commit->ack;
    return wal->config.sync == MN_SYNC_EVERY_WRITE ? MN_ACK_DISK : MN_ACK_OS;
}

static void add_member(const struct mni_wal *wal, struct group *g, struct mni_commit *commit)
{
    mn_ack ack = wanted_ack(wal, commit);

    commit->next_in_group = NULL;
    if (g->last == NULL)
        g->first = commit;
    else
        g->last->next_in_group = commit;
    g->last = commit;
    if (ack > g->ack)
        g->ack = ack;
}

/* Puts one frame with the newest LSN into the buffer: these parts of the commit. */
static mn_status log_frame(struct mni_wal *wal, struct group *g, const struct mn_slice *parts,
                           size_t n_parts, struct wal_frame *frame, struct mn_error *err)
{
    struct wal_file *file = wal_current_file(wal);
    unsigned char header[FRAME_HEADER_BYTES];

    frame->lsn = wal->next_lsn;
    frame->synced_end = wal->synced_end;
    frame->time_us = g->time_us;
    frame->frame_bytes = (uint32_t)wal_frame_bytes(frame->payload_bytes);
    frame->type = FRAME_COMMIT;
    MNI_CHECK(frame->lsn > wal->newest_lsn && frame->lsn <= file->header.lsn_ceiling);
    wal->next_lsn++;
    wal->newest_lsn = frame->lsn;
    wal->last_time_us = g->time_us;
    wal_frame_encode(frame, file->header.salt, wal_writer_end(&wal->writer), header);
    mn_status st = wal_writer_append(wal, header, sizeof header, err);
    for (size_t i = 0; i < n_parts && st == MN_OK; i++)
        st = wal_writer_append(wal, parts[i].data, parts[i].n_bytes, err);
    g->n_records += frame->n_records;
    g->n_bytes += frame->frame_bytes;
    return st;
}

/* What a faulty log would do: a commit of several records as two frames. */
static mn_status log_in_halves(struct mni_wal *wal, struct group *g, struct mni_commit *commit,
                               struct mn_error *err)
{
    size_t n_half = commit->n_parts / 2;
    struct wal_frame frames[2] = {{.n_records = (uint32_t)n_half},
                                  {.n_records = commit->n_records - (uint32_t)n_half}};

    for (size_t i = 0; i < commit->n_parts; i++) {
        struct wal_frame *f = &frames[i >= n_half];
        f->payload_crc =
            wal_payload_crc(f->payload_crc, commit->parts[i].data, commit->parts[i].n_bytes);
        f->payload_bytes += (uint32_t)commit->parts[i].n_bytes;
    }
    mn_status st = log_frame(wal, g, commit->parts, n_half, &frames[0], err);
    if (st == MN_OK)
        st = log_frame(wal, g, commit->parts + n_half, commit->n_parts - n_half, &frames[1], err);
    return st;
}

/* Gives the commit its LSN and puts its frame into the buffer. */
static mn_status log_commit(struct mni_wal *wal, struct group *g, struct mni_commit *commit,
                            struct mn_error *err)
{
    struct wal_frame frame = {
        .payload_bytes = (uint32_t)commit->payload_bytes,
        .payload_crc = commit->payload_crc,
        .n_records = commit->n_records,
    };
    mn_status st;

    if (commit->n_parts > 1 && commit->n_records > 1 && MNI_PLANTED("half_a_batch"))
        st = log_in_halves(wal, g, commit, err);
    else
        st = log_frame(wal, g, commit->parts, commit->n_parts, &frame, err);
    commit->lsn = wal->newest_lsn;
    commit->time_us = g->time_us;
    wal->commits_since_sync++;
    g->n_commits++;
    return st;
}

static bool has_room(const struct mni_wal *wal, const struct mni_commit *commit)
{
    const struct wal_header *h = &wal->files[wal->n_files - 1].header;

    return commit->n_records == 0 || (wal->next_lsn <= h->lsn_ceiling &&
                                      wal_frame_fits(h, wal_writer_end(&wal->writer),
                                                     wal_frame_bytes(commit->payload_bytes)));
}

static enum mni_admit admit(struct mni_wal *wal, struct mni_commit *commit, bool is_first)
{
    if (atomic_load(&wal->is_poisoned)) {
        (void)refuse(commit, wal_fail_poisoned(wal, commit->err));
        return MNI_REFUSE;
    }
    if (commit->n_records == 0 || wal->config.hooks.admit == NULL)
        return MNI_ADMIT;
    return wal->config.hooks.admit(wal->config.hooks.context, commit, is_first);
}

static void abandon(const struct mni_wal *wal, struct mni_commit *commit)
{
    if (commit->n_records > 0 && wal->config.hooks.abandon != NULL)
        wal->config.hooks.abandon(wal->config.hooks.context, commit);
}

/* Fills the group with commits from `head` on. Returns those that have to wait for the next one;
 * links those that were refused into `refused_out`. */
static struct mni_commit *gather(struct mni_wal *wal, struct group *g, struct mni_commit *head,
                                 struct mni_commit **refused_out, mn_status *status_out,
                                 struct mn_error *err)
{
    *status_out = MN_OK;
    while (head != NULL && *status_out == MN_OK) {
        struct mni_commit *commit = head;
        if (g->n_commits > 0 && (!has_room(wal, commit) || g->n_bytes > MNI_WAL_GROUP_BYTES_MAX))
            break;
        enum mni_admit verdict = admit(wal, commit, g->n_commits == 0);
        if (verdict == MNI_NEXT_GROUP) {
            MNI_CHECK(g->n_commits > 0);
            break;
        }
        head = commit->next;
        if (verdict != MNI_REFUSE && !has_room(wal, commit)) {
            struct mn_error why; /* also of what rotating can do without */
            mn_status st = wal_rotate_for(wal, wal_frame_bytes(commit->payload_bytes), &why);
            if (st != MN_OK) {
                if (commit->err != NULL)
                    *commit->err = why;
                abandon(wal, commit);
                (void)refuse(commit, st);
                verdict = MNI_REFUSE;
            }
        }
        if (verdict == MNI_REFUSE) {
            commit->next_in_group = *refused_out;
            *refused_out = commit;
            continue;
        }
        add_member(wal, g, commit);
        if (commit->n_records > 0)
            *status_out = log_commit(wal, g, commit, err);
        if (verdict == MNI_ADMIT_LAST)
            break;
    }
    return head;
}

static void answer_all(struct mni_wal *wal, struct group *g, mn_status st,
                       const struct mn_error *err)
{
    for (struct mni_commit *c = g->first; c != NULL; c = c->next_in_group) {
        c->status = st;
        if (st != MN_OK)
            abandon(wal, c);
        if (st != MN_OK && c->err != NULL)
            *c->err = *err;
        if (st != MN_OK && c != g->first && MNI_PLANTED("follower_acked_after_failed_sync"))
            c->status = MN_OK;
        if (c->n_records == 0)
            c->lsn = wal->newest_lsn;
    }
}

/* The numbers tell of commits that happened. All frames of a group are in one file. */
static void count_in(struct mni_wal *wal, const struct group *g)
{
    struct wal_file *file = wal_current_file(wal);

    file->n_records += g->n_records;
    file->last_lsn = wal->newest_lsn;
    file->end = wal_writer_end(&wal->writer);
    wal->records_since_checkpoint += g->n_records;
    wal->n_records_logged += g->n_records;
    wal->n_commits += g->n_commits;
    wal->n_groups++;
}

/* Members are woken after the role was passed on, so that the next group is on its way. */
static void wake_all(struct mni_commit *first, const struct mni_commit *self)
{
    while (first != NULL) {
        struct mni_commit *next = first->next_in_group;
        if (first != self)
            set_state(first, DONE);
        first = next;
    }
}

static void work_one_group(struct mni_wal *wal, const struct mni_commit *self)
{
    struct group g = {0};
    struct mni_commit *refused = NULL;
    struct mn_error err = {0};
    mn_status st;

    g.time_us = wal->config.hooks.now_us != NULL
                    ? wal->config.hooks.now_us(wal->config.hooks.context)
                    : mni_env_wall_us(wal->config.env);
    if (g.time_us < wal->last_time_us)
        g.time_us = wal->last_time_us;
    struct mni_commit *rest = gather(wal, &g, take(wal), &refused, &st, &err);
    if (st == MN_OK && g.first != NULL) {
        mn_ack ack = g.ack;
        if (wal->config.sync == MN_SYNC_EVERY_N &&
            wal->commits_since_sync >= wal->config.sync_every_commits)
            ack = MN_ACK_DISK;
        st = wal_writer_put_out(wal, ack, &err);
    }
    answer_all(wal, &g, st, &err);
    if (st == MN_OK && g.n_commits > 0) {
        count_in(wal, &g);
        if (wal->config.hooks.publish != NULL)
            wal->config.hooks.publish(wal->config.hooks.context, g.first);
        atomic_store(&wal->visible_time_us, wal->last_time_us);
        atomic_store(&wal->visible_lsn, wal->newest_lsn);
    }
    put_back(wal, rest);
    pass_on(wal);
    wake_all(g.first, self);
    wake_all(refused, self);
}

/* Doors ----------*/

/* Waits until the commit is answered or has the role. */
static enum commit_state await(struct mni_commit *commit)
{
    unsigned state;

    while ((state = atomic_load_explicit(&commit->state, memory_order_acquire)) == WAITING)
        mni_word_wait(&commit->state, WAITING);
    return (enum commit_state)state;
}

mn_status mni_wal_commit(struct mni_wal *wal, struct mni_commit *commit)
{
    MNI_CHECK(!wal->config.read_only);
    if (!mni_env_has_threads(wal->config.env)) {
        mni_wal_submit(wal, commit);
        mni_wal_lead_all(wal);
        return commit->status;
    }
    if (join(wal, commit) || await(commit) == LEADING)
        work_one_group(wal, commit);
    return commit->status;
}

void mni_wal_submit(struct mni_wal *wal, struct mni_commit *commit)
{
    MNI_CHECK(!mni_env_has_threads(wal->config.env));
    bool leads = join(wal, commit);
    MNI_CHECK(leads);
    wal->is_led = false;
}

void mni_wal_lead_all(struct mni_wal *wal)
{
    MNI_CHECK(!mni_env_has_threads(wal->config.env));
    while (wal->queue_head != NULL) {
        wal->is_led = true;
        work_one_group(wal, NULL);
    }
}

void mni_wal_enter(struct mni_wal *wal, struct mni_commit *role)
{
    if (!mni_env_has_threads(wal->config.env))
        mni_wal_lead_all(wal);
    *role = (struct mni_commit){.is_exclusive = true};
    if (!join(wal, role))
        (void)await(role);
    struct mni_commit *self = take(wal);
    MNI_CHECK(self == role);
}

void mni_wal_leave(struct mni_wal *wal)
{
    pass_on(wal);
}

mn_status mni_wal_flush(struct mni_wal *wal, struct mn_error *err)
{
    struct mni_commit commit;

    if (wal->config.read_only)
        return MN_OK;
    mn_status st = mni_commit_init(&commit, NULL, 0, 0, MN_ACK_DISK, NULL, err);
    return st == MN_OK ? mni_wal_commit(wal, &commit) : st;
}
