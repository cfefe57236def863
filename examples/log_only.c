/*
 * log_only.c - the write-ahead log alone: a counter that survives crashes.
 *
 * cc log_only.c $(pkg-config --cflags --libs mneme) && ./a.out
 *
 * A program that keeps its data itself takes only the log from Mneme. The data here is one number,
 * kept in memory and now and then in the file ./counter; each change of it is a record in the log
 * ./counter-log. Start it several times: the number goes on where it was.
 */
#define _POSIX_C_SOURCE 200809L /* fileno and fsync, also with -std=c17 */

#include <mneme/wal.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N_STEPS = 25, CHECKPOINT_RECORDS = 10 };

struct counter {
    uint64_t value;
    uint64_t lsn; /* newest change that `value` holds */
};

/* Saves the number durably, with the LSN that it stands at: a new file, synced, then renamed. (A
 * program for more than a demonstration would sync the directory as well.) */
static mn_status save(const struct counter *counter)
{
    FILE *file = fopen("counter.new", "w");

    if (file == NULL)
        return MN_ERR_IO;
    int n = fprintf(file, "%" PRIu64 " %" PRIu64 "\n", counter->value, counter->lsn);
    int is_synced = n > 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int is_closed = fclose(file) == 0;
    if (!is_synced || !is_closed || rename("counter.new", "counter") != 0)
        return MN_ERR_IO;
    return MN_OK;
}

static void load(struct counter *counter)
{
    FILE *file = fopen("counter", "r");

    if (file == NULL)
        return;
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &counter->value, &counter->lsn) != 2)
        *counter = (struct counter){0};
    fclose(file);
}

/* The log asks for this after every CHECKPOINT_RECORDS records, from within the append. The record
 * that is being appended is not counted yet, so it is not called safe: it stays in the log. */
static mn_status checkpoint(void *context, uint64_t newest_lsn, uint64_t *safe_lsn_out)
{
    const struct counter *counter = context;
    mn_status st = save(counter);

    (void)newest_lsn;
    if (st == MN_OK)
        *safe_lsn_out = counter->lsn;
    return st;
}

/* Called for every record after the last checkpoint, in order. */
static mn_status replay(void *context, const struct mn_wal_record *record)
{
    struct counter *counter = context;
    uint64_t step;

    if (record->lsn <= counter->lsn) /* the saved number holds it already */
        return MN_OK;
    if (record->data.n_bytes != sizeof step)
        return MN_ERR_CORRUPT;
    memcpy(&step, record->data.data, sizeof step);
    counter->value += step;
    counter->lsn = record->lsn;
    return MN_OK;
}

/* First the log, then the number: what was not logged has not happened. */
static mn_status add(struct counter *counter, mn_wal *wal, uint64_t step, struct mn_error *err)
{
    uint64_t lsn = 0;

    mn_status st =
        mn_wal_append(wal, (struct mn_slice){&step, sizeof step}, MN_ACK_DISK, &lsn, err);
    if (st == MN_OK) {
        counter->value += step;
        counter->lsn = lsn;
    }
    return st;
}

/* Saves the number now, and gives the log's space back by hand. */
static mn_status save_and_truncate(const struct counter *counter, mn_wal *wal, struct mn_error *err)
{
    uint64_t n_removed = 0;

    mn_status st = save(counter);
    if (st == MN_OK)
        st = mn_wal_checkpoint(wal, counter->lsn, err);
    if (st == MN_OK)
        st = mn_wal_truncate(wal, counter->lsn, &n_removed, err);
    if (st == MN_OK)
        printf("saved; whole log files removed held %" PRIu64 " records\n", n_removed);
    return st;
}

int main(void)
{
    struct counter counter = {0};
    struct mn_wal_options options = {
        .size = sizeof options,
        .create = true,
        .file_bytes = 64 << 10, /* space comes back a whole file at a time */
        .checkpoint_threshold_records = CHECKPOINT_RECORDS,
        .checkpoint = checkpoint,
        .checkpoint_context = &counter,
    };
    struct mn_error err = {0};
    mn_wal *wal = NULL;

    load(&counter);
    mn_status st = mn_wal_open("counter-log", &options, &wal, &err);
    if (st == MN_OK)
        st = mn_wal_recover(wal, replay, &counter, &err);
    if (st == MN_OK)
        printf("recovered: %" PRIu64 "\n", counter.value);
    for (uint64_t step = 1; step <= N_STEPS && st == MN_OK; step++)
        st = add(&counter, wal, step, &err);
    if (st == MN_OK)
        printf("counted to %" PRIu64 " in commit %" PRIu64 "\n", counter.value, counter.lsn);
    if (st == MN_OK)
        st = save_and_truncate(&counter, wal, &err);
    if (st != MN_OK)
        fprintf(stderr, "%s: %s\n", mn_status_name(st), err.message);

    if (mn_wal_close(wal, &err) != MN_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return st == MN_OK ? 0 : 1;
}
