/*
 * keeper.c - the log's background thread: timed syncs, and a spare file made before it is needed.
 *
 * Files that the log has given back are spares too, and better ones: they were written once.
 *
 * Owns:    the spare files, until a rotation takes them.
 * Threads: one of its own; `keeper_lock` guards what it shares.
 * Fails:   a sync that fails poisons the log like any other; a spare that cannot be made is made by
 *          the rotation itself, which reports why it cannot.
 */
#include "base/check.h"
#include "wal/wal_private.h"

enum {
    ZEROES_PER_BYTE = 2, /* how much faster zeroes are written than the log grows */
    ZEROES_AHEAD_BYTES = 2 * MNI_WAL_ZERO_CHUNK_BYTES,
    ZEROES_NAP_US = 5000,
};

bool wal_take_spare(struct mni_wal *wal, struct wal_spare *spare_out)
{
    mni_mutex_lock(&wal->keeper_lock);
    bool found = wal->n_spares > 0;
    if (found)
        *spare_out = wal->spares[--wal->n_spares];
    mni_mutex_unlock(&wal->keeper_lock);
    return found;
}

unsigned wal_count_spares(struct mni_wal *wal)
{
    mni_mutex_lock(&wal->keeper_lock);
    unsigned n = wal->n_spares;
    mni_mutex_unlock(&wal->keeper_lock);
    return n;
}

bool wal_offer_spare(struct mni_wal *wal, const struct wal_spare *spare)
{
    mni_mutex_lock(&wal->keeper_lock);
    bool taken = wal->n_spares < WAL_SPARES_MAX;
    if (taken) {
        wal->spares[wal->n_spares++] = *spare;
        wal->wants_spare = false;
    }
    mni_mutex_unlock(&wal->keeper_lock);
    return taken;
}

void wal_keeper_want_spare(struct mni_wal *wal, bool zeroed)
{
    if (wal->config.no_background)
        return;
    mni_mutex_lock(&wal->keeper_lock);
    wal->wants_spare = wal->n_spares == 0;
    wal->wants_zeroes = zeroed;
    mni_cond_signal(&wal->keeper_wakes);
    mni_mutex_unlock(&wal->keeper_lock);
}

/* Syncs when the time has come and something waits for it. Returns after how many microseconds to
 * look again, so that nothing waits longer than an interval. */
static int64_t work_sync(struct mni_wal *wal)
{
    const int64_t interval_us = (int64_t)wal->config.sync_interval_ms * 1000;
    int64_t look_again_us = interval_us;
    struct mni_commit role;

    if (wal->config.sync != MN_SYNC_EVERY_MS)
        return interval_us;
    mni_wal_enter(wal, &role);
    if (wal->newest_lsn > wal->synced_lsn && !atomic_load(&wal->is_poisoned)) {
        /* What is not synced was committed after the last sync. */
        int64_t left_us = wal->last_sync_us + interval_us - mni_env_mono_us(wal->config.env);
        if (left_us > 0) {
            look_again_us = left_us;
        } else {
            mn_status st = wal_writer_put_out(wal, MN_ACK_DISK, NULL);
            MNI_CHECK(st == MN_OK || atomic_load(&wal->is_poisoned));
        }
    }
    mni_wal_leave(wal);
    return look_again_us;
}

/* Zeroes are written past the page cache where that is possible: nobody will read them. */
static mn_status open_spare(struct mni_wal *wal, const char *name, struct mni_file **file_out)
{
    const unsigned flags = MNI_OPEN_WRITE | MNI_OPEN_CREATE;
    mn_status st =
        mni_dir_open_file(wal->config.dir, name, flags | MNI_OPEN_DIRECT, file_out, NULL);

    if (st == MN_ERR_UNSUPPORTED)
        st = mni_dir_open_file(wal->config.dir, name, flags, file_out, NULL);
    return st;
}

/* Commits share the disk with the zeroes, which are needed when the newest file is full. So they
 * are written as that fills up, and at once while nobody commits. False: no more are needed. */
static bool wait_to_zero(struct mni_wal *wal, uint64_t n_zeroed)
{
    uint64_t filled_before = UINT64_MAX;

    mni_mutex_lock(&wal->keeper_lock);
    while (wal->has_keeper && !wal->keeper_stops && wal->n_spares == 0) {
        uint64_t filled = atomic_load_explicit(&wal->filled_bytes, memory_order_relaxed);
        if (n_zeroed <= filled * ZEROES_PER_BYTE + ZEROES_AHEAD_BYTES || filled == filled_before)
            break;
        filled_before = filled;
        (void)mni_cond_wait_for(&wal->keeper_wakes, &wal->keeper_lock, ZEROES_NAP_US);
    }
    bool is_needed = !wal->keeper_stops && wal->n_spares == 0;
    mni_mutex_unlock(&wal->keeper_lock);
    return is_needed;
}

/* A timed sync that becomes due meanwhile does not wait until all is written. */
static mn_status zero_spare(struct mni_wal *wal, struct mni_file *file)
{
    uint64_t file_bytes = wal->config.file_bytes;
    mn_status st = MN_OK;

    for (uint64_t from = 0; from < file_bytes && st == MN_OK; from += MNI_WAL_ZERO_CHUNK_BYTES) {
        uint64_t left = file_bytes - from;
        uint64_t n = left < MNI_WAL_ZERO_CHUNK_BYTES ? left : MNI_WAL_ZERO_CHUNK_BYTES;
        if (!wait_to_zero(wal, from + n))
            return MN_ERR_CANCELLED;
        st = wal_write_zeroes(file, from, from + n, NULL);
        (void)work_sync(wal);
    }
    return st;
}

/* Makes a file under a name that opening removes: its space reserved, and zeroed if asked. */
static mn_status make_spare(struct mni_wal *wal, const char *name, bool *zeroed)
{
    struct mni_file *file = NULL;
    mn_status st = open_spare(wal, name, &file);

    if (st == MN_EXISTS) { /* left by an attempt that could not remove it */
        st = mni_dir_unlink(wal->config.dir, name, NULL);
        if (st == MN_OK)
            st = open_spare(wal, name, &file);
    }
    if (st != MN_OK)
        return st;
    st = mni_file_allocate(file, wal->config.file_bytes, NULL);
    if (st == MN_ERR_UNSUPPORTED) {
        *zeroed = true;
        st = MN_OK;
    }
    if (st == MN_OK && *zeroed)
        st = zero_spare(wal, file);
    if (st == MN_OK)
        st = mni_file_sync(file, NULL);
    mni_file_close(file);
    if (st != MN_OK)
        mni_ignore(mni_dir_unlink(wal->config.dir, name, NULL));
    return st;
}

static void work_spare(struct mni_wal *wal)
{
    struct wal_spare spare = {.name = WAL_MADE_SPARE_NAME, .file_bytes = wal->config.file_bytes};

    mni_mutex_lock(&wal->keeper_lock);
    bool wanted = wal->wants_spare && wal->n_spares == 0;
    bool zeroed = wal->wants_zeroes || wal_file_is_written_whole(wal->config.file_bytes);
    mni_mutex_unlock(&wal->keeper_lock);
    if (!wanted)
        return;
    mn_status st = make_spare(wal, spare.name, &zeroed);
    spare.zeroed_to = zeroed ? wal->config.file_bytes : HEADER_BYTES;
    mni_mutex_lock(&wal->keeper_lock);
    wal->wants_spare = false;
    mni_mutex_unlock(&wal->keeper_lock);
    if (st == MN_OK && !wal_offer_spare(wal, &spare))
        mni_ignore(mni_dir_unlink(wal->config.dir, spare.name, NULL));
}

int64_t wal_keeper_work(struct mni_wal *wal)
{
    (void)work_sync(wal);
    work_spare(wal); /* may take long */
    return work_sync(wal);
}

void mni_wal_tick(struct mni_wal *wal)
{
    if (!wal->config.read_only)
        (void)wal_keeper_work(wal);
}

static void keep(void *context)
{
    struct mni_wal *wal = context;
    bool is_timed = wal->config.sync == MN_SYNC_EVERY_MS;
    int64_t look_again_us = (int64_t)wal->config.sync_interval_ms * 1000;

    mni_mutex_lock(&wal->keeper_lock);
    while (!wal->keeper_stops) {
        /* A spare may have been wished for while this thread worked and did not wait. */
        if (!wal->wants_spare && is_timed)
            (void)mni_cond_wait_for(&wal->keeper_wakes, &wal->keeper_lock, look_again_us);
        else if (!wal->wants_spare)
            mni_cond_wait(&wal->keeper_wakes, &wal->keeper_lock);
        if (wal->keeper_stops)
            break;
        mni_mutex_unlock(&wal->keeper_lock);
        look_again_us = wal_keeper_work(wal);
        mni_mutex_lock(&wal->keeper_lock);
    }
    mni_mutex_unlock(&wal->keeper_lock);
}

mn_status wal_keeper_start(struct mni_wal *wal, struct mn_error *err)
{
    if (wal->config.read_only || wal->config.no_background || !mni_env_has_threads(wal->config.env))
        return MN_OK;
    mn_status st = mni_thread_start(&wal->keeper, keep, wal, err);
    wal->has_keeper = st == MN_OK;
    return st;
}

void wal_keeper_stop(struct mni_wal *wal)
{
    if (!wal->has_keeper)
        return;
    mni_mutex_lock(&wal->keeper_lock);
    wal->keeper_stops = true;
    mni_cond_signal(&wal->keeper_wakes);
    mni_mutex_unlock(&wal->keeper_lock);
    mni_thread_join(&wal->keeper);
    wal->has_keeper = false;
}
