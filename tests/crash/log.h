/*
 * log.h - a log on its own beside its model, which stands in for whatever keeps the data.
 *
 * The model persists its state at some LSN, marks that in the log, and trims. What comes back is
 * the persisted state and the commits that the log replays behind it.
 */
#ifndef TESTS_CRASH_LOG_H
#define TESTS_CRASH_LOG_H

#include "sim.h"
#include "wal/wal.h"

enum { LOG_COMMITS_MAX = 256, LOG_RECORDS_MAX = 5, LOG_DOUBTFUL_MAX = 8, LOG_MEMBERS_MAX = 6 };

struct log_commit {
    uint64_t lsn;
    uint32_t n_records;
    uint32_t values[LOG_RECORDS_MAX]; /* each stands for a record's bytes */
};

struct log_world {
    struct sim *sim;
    struct mni_wal *wal; /* NULL = not open */
    struct mni_wal_config config;
    bool was_made;

    uint64_t persisted_lsn;                     /* what the model has put in safety */
    uint64_t marked_lsn;                        /* and the log knows durably */
    struct log_commit commits[LOG_COMMITS_MAX]; /* those above, in the order of their LSNs */
    size_t n_commits;
    struct log_commit doubtful[LOG_DOUBTFUL_MAX];
    size_t n_doubtful;
    size_t n_since_open;
    uint64_t lsn;     /* of the newest commit that everybody sees */
    uint64_t log_lsn; /* the same in the log, which may have less than what is persisted */
    uint64_t durable_lsn;
    uint64_t kernel_lsn;
    uint64_t max_lsn;
    bool sync_may_fail;
    bool is_poisoned;

    /* while it is replayed or walked */
    size_t n_replayed; /* of `commits`, then of `doubtful` */
    size_t first_doubtful;
    uint64_t replayed_lsn;
};

void log_init(struct log_world *l, struct sim *sim);
bool log_open(struct log_world *l); /* false: the power went, or a sync failed; again */
void log_close(struct log_world *l);
void log_abandon(struct log_world *l);
void log_lose_power(struct log_world *l);
bool log_is_up(const struct log_world *l);

void log_append(struct log_world *l, uint32_t n_records, uint32_t value, mn_ack ack);
struct log_member {
    bool is_flush;
    uint32_t n_records;
    uint32_t value;
    mn_ack ack;
};
void log_group(struct log_world *l, const struct log_member *members, size_t n);
void log_flush(struct log_world *l);
void log_rotate(struct log_world *l);
void log_tick(struct log_world *l);
/* Persists the state at the `n`-th commit from the newest, and marks that. */
void log_checkpoint(struct log_world *l, size_t n);
void log_trim(struct log_world *l);
void log_walk(struct log_world *l);

#endif
