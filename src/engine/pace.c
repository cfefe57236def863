/*
 * pace.c - how quickly the background may write beside commits.
 *
 * Owns:    nothing.
 * Threads: the log's leader notes syncs; one job at a time asks.
 * Fails:   never.
 *
 * Each sync moves the rate: down when it took longer than ALLOWED_PERCENT of the quiet time, up
 * when it took less, by as much as it differs. Both balance where syncs take that long on average,
 * whatever the disk is. One that is far too long counts for no more than MOST_PERCENT, so that a
 * disk that hangs for a moment does not stop the background for a long time.
 */
#include "base/check.h"
#include "engine/pace_private.h"

enum {
    ALLOWED_PERCENT = 170,
    MOST_PERCENT = 2000,
    BUSY_US = 20000,         /* how long what was written is felt, about */
    QUIET_AFTER_US = 100000, /* without a sync; less may be one that the background holds up */
    QUIET_STEPS = 32,        /* the quiet time moves by this part of itself with each sync */
    ADAPT_STEPS = 1024,      /* likewise, when it seems to be wrong */
    CHANGE_PERCENT = 4000,   /* so much over what is allowed halves the rate */
};

#define RATE_FIRST 200.0 /* bytes per microsecond: MB/s */
#define RATE_MIN 16.0
#define RATE_MAX 4000.0

static void move(atomic_int_fast64_t *value, int64_t to, int64_t steps)
{
    int64_t now = atomic_load_explicit(value, memory_order_relaxed);

    if (now == 0)
        now = to;
    else
        now += (to > now ? 1 : -1) * (now / steps + 1);
    atomic_store_explicit(value, now > 0 ? now : 1, memory_order_relaxed);
}

void pace_note_sync(struct pace *pace, int64_t took_us, int64_t now_us)
{
    int64_t took_ns = took_us * 1000;
    int64_t quiet_ns = atomic_load_explicit(&pace->quiet_ns, memory_order_relaxed);

    MNI_CHECK(took_us >= 0);
    atomic_store_explicit(&pace->last_sync_us, now_us, memory_order_relaxed);
    if (now_us >= atomic_load_explicit(&pace->busy_until_us, memory_order_relaxed)) {
        move(&pace->quiet_ns, took_ns, QUIET_STEPS);
        return;
    }
    if (quiet_ns == 0)
        return;
    /* A disk that has become slower since it was quiet is found out in the end. */
    move(&pace->quiet_ns, took_ns, ADAPT_STEPS);
    int64_t most_ns = quiet_ns * MOST_PERCENT / 100;
    int64_t percent = (took_ns < most_ns ? took_ns : most_ns) * 100 / quiet_ns;
    atomic_fetch_add_explicit(&pace->n_percent_over, percent - ALLOWED_PERCENT,
                              memory_order_relaxed);
}

static void adapt(struct pace *pace)
{
    int64_t over = atomic_exchange_explicit(&pace->n_percent_over, 0, memory_order_relaxed);
    double by = (double)over / CHANGE_PERCENT;

    if (pace->bytes_per_us == 0)
        pace->bytes_per_us = RATE_FIRST;
    pace->bytes_per_us = by >= 0 ? pace->bytes_per_us / (1 + by) : pace->bytes_per_us * (1 - by);
    if (pace->bytes_per_us < RATE_MIN)
        pace->bytes_per_us = RATE_MIN;
    if (pace->bytes_per_us > RATE_MAX)
        pace->bytes_per_us = RATE_MAX;
}

bool pace_is_quiet(struct pace *pace, int64_t now_us)
{
    int64_t last_us = atomic_load_explicit(&pace->last_sync_us, memory_order_relaxed);

    return last_us == 0 || now_us - last_us > QUIET_AFTER_US;
}

int64_t pace_wait_us(struct pace *pace, uint64_t n_bytes, int64_t now_us)
{
    int64_t last_us = atomic_load_explicit(&pace->last_sync_us, memory_order_relaxed);
    bool is_quiet = last_us == pace->seen_us;

    pace->seen_us = last_us;
    adapt(pace);
    int64_t wait_us = is_quiet ? 0 : (int64_t)((double)n_bytes / pace->bytes_per_us);
    atomic_store_explicit(&pace->busy_until_us, now_us + wait_us + BUSY_US, memory_order_relaxed);
    return wait_us;
}
