/*
 * short.h - short words for tests of a store's public face.
 */
#ifndef TESTS_UNIT_API_SHORT_H
#define TESTS_UNIT_API_SHORT_H

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "check.h"
#include "mneme/mneme.h"

static inline struct mn_slice bytes(const void *data, size_t n_bytes)
{
    return (struct mn_slice){data, n_bytes};
}

static inline struct mn_options small_store(void)
{
    return (struct mn_options){
        .size = sizeof(struct mn_options), .create = true, .wal_file_bytes = 1 << 20};
}

static inline mn_store *opened(const char *path)
{
    struct mn_options options = small_store();
    struct mn_error err;
    mn_store *store = NULL;

    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    return store;
}

static inline mn_status try_open(const char *path, bool create, bool read_only,
                                 struct mn_error *err)
{
    struct mn_options options = small_store();
    mn_store *store = NULL;

    options.create = create;
    options.read_only = read_only;
    mn_status st = mn_open(path, &options, &store, err);
    if (st == MN_OK)
        CHECK_OK(mn_close(store, NULL));
    else
        CHECK(store == NULL);
    return st;
}

static inline void closed(mn_store *store)
{
    struct mn_error err;

    CHECK_OK_ERR(mn_close(store, &err), &err);
}

static inline uint64_t put(mn_store *store, struct mn_slice name, struct mn_slice id,
                           const char *payload)
{
    struct mn_record record = {.id = id, .payload = mn_str(payload)};
    struct mn_error err;
    uint64_t lsn = 0;

    CHECK_OK_ERR(mn_put(store, name, &record, NULL, &lsn, &err), &err);
    return lsn;
}

/* Whether the record is there and holds this. */
static inline bool holds(mn_store *store, struct mn_slice name, struct mn_slice id,
                         const char *payload)
{
    struct mn_view view;

    mn_status st = mn_get(store, name, id, &view, NULL);
    CHECK(st == MN_OK || st == MN_NOT_FOUND);
    bool is_same = st == MN_OK && view.payload.n_bytes == strlen(payload) &&
                   memcmp(view.payload.data, payload, view.payload.n_bytes) == 0;
    mn_view_release(&view);
    return is_same;
}

static inline struct mn_stats stats_of(mn_store *store)
{
    struct mn_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_stats(store, &stats, NULL));
    return stats;
}

#endif
