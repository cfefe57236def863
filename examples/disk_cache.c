/*
 * disk_cache.c - keeps what is slow to compute in a disk cache: the second time it is there.
 *
 * cc disk_cache.c $(pkg-config --cflags --libs mneme) && ./a.out
 *
 * Makes the directory ./cache where there is none; run it twice. Needs nothing of Mneme but
 * <mneme/diskcache.h>.
 */
#include <mneme/diskcache.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_NUMBERS = 12, TEXT_BYTES = 32 };

/* How many steps a number takes to 1: halved when even, else times three and one. */
static unsigned long count_steps(unsigned long n)
{
    unsigned long n_steps = 0;

    for (; n != 1; n_steps++)
        n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return n_steps;
}

/* Asks the cache first. What it does not have is computed and put. */
static mn_status look_up(mn_diskcache *cache, unsigned long n, unsigned long *n_steps_out,
                         struct mn_error *err)
{
    char id[TEXT_BYTES];
    char text[TEXT_BYTES];
    struct mn_diskcache_value got;

    (void)snprintf(id, sizeof id, "%lu", n);
    mn_status st = mn_diskcache_get(cache, mn_str("steps"), mn_str(id), &got, err);
    if (st == MN_OK) {
        (void)snprintf(text, sizeof text, "%.*s", (int)got.value.n_bytes,
                       (const char *)got.value.data);
        mn_diskcache_value_release(&got);
        *n_steps_out = strtoul(text, NULL, 10);
        return MN_OK;
    }
    if (st != MN_NOT_FOUND)
        return st;
    *n_steps_out = count_steps(n);
    (void)snprintf(text, sizeof text, "%lu", *n_steps_out);
    const struct mn_diskcache_item item = {
        .id = mn_str(id),
        .value = mn_str(text),
        .has_ttl = true,
        .ttl_us = INT64_C(86400) * 1000000, /* good for a day */
    };
    return mn_diskcache_put(cache, mn_str("steps"), &item, NULL, err);
}

static mn_status use(mn_diskcache *cache, struct mn_error *err)
{
    struct mn_diskcache_stats stats = {.size = sizeof stats};
    mn_status st = MN_OK;

    for (unsigned long n = 1; n <= N_NUMBERS && st == MN_OK; n++) {
        unsigned long n_steps = 0;
        st = look_up(cache, n, &n_steps, err);
        if (st == MN_OK)
            printf("%lu reaches 1 in %lu steps\n", n, n_steps);
    }
    if (st == MN_OK)
        st = mn_diskcache_stats(cache, &stats, err);
    if (st == MN_OK)
        printf("%" PRIu64 " were in the cache, %" PRIu64 " were computed\n", stats.n_hits,
               stats.n_misses);
    return st;
}

int main(void)
{
    mn_diskcache *cache = NULL;
    struct mn_error err;

    mn_status st = mn_diskcache_open(NULL, &cache, &err);
    if (st == MN_ERR_UNSUPPORTED) {
        printf("%s\n", err.message);
        return 0;
    }
    if (st == MN_OK)
        st = use(cache, &err);
    if (st != MN_OK)
        fprintf(stderr, "%s\n", err.message);
    /* Closed, it is warm the next time. */
    if (mn_diskcache_close(cache, st == MN_OK ? &err : NULL) != MN_OK)
        return 1;
    return st == MN_OK ? 0 : 1;
}
