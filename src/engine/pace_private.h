/*
 * pace_private.h - how quickly the background may write beside commits.
 *
 * The log's leader says how long each sync took. While nothing is written in the background, that
 * makes the quiet time; beside it, syncs are compared with the quiet time, and the background's
 * rate follows.
 */
#ifndef MNI_ENGINE_PACE_PRIVATE_H
#define MNI_ENGINE_PACE_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pace {
    /* Written by the log's leader, read by anyone. */
    atomic_int_fast64_t quiet_ns;       /* what a sync takes, about in the middle; 0: not known */
    atomic_int_fast64_t last_sync_us;   /* monotonic: when the newest one ended; 0: none did */
    atomic_int_fast64_t n_percent_over; /* beside the background, since it last looked: by how much
                                         syncs were longer than what is allowed, negative for less;
                                         in percent of the quiet time */

    atomic_int_fast64_t busy_until_us; /* monotonic: the background has written just now */

    /* The background's, under `checkpoint_lock`. */
    int64_t seen_us;     /* of `last_sync_us` */
    double bytes_per_us; /* 0: not begun */
};

/* A sync ended at `now_us`. The leader's. */
void pace_note_sync(struct pace *pace, int64_t took_us, int64_t now_us);
/* Whether nobody has synced for a while. Any thread. */
bool pace_is_quiet(struct pace *pace, int64_t now_us);
/* Before `n_bytes` are written in the background at `now_us`: for how long to wait first, so that
 * syncs are seldom slow. 0: nobody has synced since the last call. */
int64_t pace_wait_us(struct pace *pace, uint64_t n_bytes, int64_t now_us);

#endif
