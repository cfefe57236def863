/*
 * mneme_fill.c - filling a store of Mneme.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   by ending the program with a message.
 */
#include "mneme_fill.h"

#include <stdlib.h>

static const char namespace_name[] = "bench";

struct mn_slice mneme_namespace(void)
{
    return (struct mn_slice){namespace_name, sizeof namespace_name - 1};
}

void mneme_must(mn_status st, const char *what, const struct mn_error *err)
{
    if (st != MN_OK)
        bench_die("mneme: %s: %s: %s", what, mn_status_name(st), err->message);
}

void mneme_stop_checkpoints(mn_store *store)
{
    struct mn_error err;

    mneme_must(mn_config_set(store, "checkpoint_bytes", "1099511627776", &err), "set", &err);
    mneme_must(mn_config_set(store, "memory_bytes_max", "1099511627776", &err), "set", &err);
    mneme_must(mn_config_set(store, "checkpoint_interval_ms", "86400000", &err), "set", &err);
}

void mneme_put_range(mn_store *store, const struct mneme_fill *fill)
{
    struct mn_write_options options = {.size = sizeof options, .ack = fill->ack};
    struct mn_record *batch = bench_alloc(fill->records_per_commit * sizeof *batch);
    char(*ids)[BENCH_ID_BYTES] = bench_alloc(fill->records_per_commit * sizeof *ids);
    struct mn_error err;

    for (size_t done = 0; done < fill->n_records;) {
        size_t n_left = fill->n_records - done;
        size_t n = n_left < fill->records_per_commit ? n_left : fill->records_per_commit;
        uint64_t n_stored = 0;

        for (size_t i = 0; i < n; i++) {
            uint64_t index = fill->first_index + done + i;
            bench_id(index, ids[i]);
            batch[i].id.data = ids[i];
            batch[i].id.n_bytes = sizeof ids[i];
            batch[i].vector = fill->vectors + index % fill->n_vectors * fill->n_dims;
            batch[i].n_dims = fill->n_dims;
        }
        mneme_must(
            mn_put_batch(store, mneme_namespace(), batch, n, &options, &n_stored, NULL, &err),
            "put_batch", &err);
        if (n_stored != n)
            bench_die("mneme: put_batch stored %zu of %zu", (size_t)n_stored, n);
        done += n;
    }
    free(ids);
    free(batch);
}
