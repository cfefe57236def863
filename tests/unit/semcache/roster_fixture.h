/*
 * roster_fixture.h - what tests of the roster share: entries in one line.
 */
#ifndef TESTS_UNIT_SEMCACHE_ROSTER_FIXTURE_H
#define TESTS_UNIT_SEMCACHE_ROSTER_FIXTURE_H

#include <string.h>

#include "check.h"
#include "mneme/semcache.h"
#include "semcache/roster.h"

enum { DAY_S = 86400 };

static inline struct roster *new_roster(void)
{
    struct roster *roster = NULL;

    CHECK_OK(roster_new(&roster));
    return roster;
}

static inline struct tenant *new_tenant(struct roster *roster, uint64_t number)
{
    struct tenant *tenant = NULL;

    CHECK_OK(roster_add_tenant(roster, number, &tenant));
    return tenant;
}

/* Never expires, of day 100 since 1970, without key, model and embedding. */
static inline struct roster_spec spec_of(uint64_t id)
{
    return (struct roster_spec){.id = id,
                                .lsn = 1000 + id,
                                .time_us = INT64_C(100) * DAY_S * 1000000,
                                .expires_at_us = INT64_MAX,
                                .logical_bytes = 10,
                                .record_bytes = 100};
}

static inline struct entry *pending(struct roster *roster, struct tenant *tenant,
                                    struct roster_spec spec)
{
    struct entry *entry = NULL;

    CHECK_OK(roster_reserve(roster, tenant, &spec, &entry));
    return entry;
}

static inline struct entry *there(struct roster *roster, struct tenant *tenant,
                                  struct roster_spec spec)
{
    struct entry *entry = pending(roster, tenant, spec);

    roster_publish(roster, entry);
    return entry;
}

#endif
