/*
 * notes.c - a small program over libmneme: a batch, reading without copying, a walk, a transaction.
 *
 * cc notes.c $(pkg-config --cflags --libs mneme) && ./a.out
 *
 * Makes the store ./notes-store where there is none.
 */
#include <mneme/mneme.h>

#include <inttypes.h>
#include <stdio.h>

/* Several records as one commit: after a crash all of them are there, or none. */
static mn_status put_notes(mn_store *store, struct mn_error *err)
{
    static const float tea[] = {0.25F, 0.5F, 1.0F};
    static const float coffee[] = {1.0F, 0.0F, -1.0F};
    struct mn_record notes[] = {
        {
            .id = mn_str("tea"),
            .vector = tea,
            .n_dims = 3,
            .metadata = mn_str("{\"topic\":\"drinks\",\"cups\":1}"),
        },
        {
            .id = mn_str("coffee"),
            .vector = coffee,
            .n_dims = 3,
            .metadata = mn_str("{\"topic\":\"drinks\",\"cups\":2}"),
        },
        {
            .id = mn_str("meeting"),
            .payload = mn_str("bring the slides"),
            .fields = MN_HAS_TTL,
            .ttl_us = INT64_C(3600) * 1000000, /* gone in an hour */
        },
    };
    uint64_t n_stored = 0;
    uint64_t lsn = 0;

    mn_status st = mn_put_batch(store, mn_str("notes"), notes, 3, NULL, &n_stored, &lsn, err);
    if (st == MN_OK)
        printf("%" PRIu64 " notes synced to disk by commit %" PRIu64 "\n", n_stored, lsn);
    return st;
}

/* A view points into the store's memory. What it shows does not change until it is released,
 * whatever happens to the record meanwhile. */
static mn_status read_note(mn_store *store, struct mn_error *err)
{
    struct mn_view view = {0};

    mn_status st = mn_get(store, mn_str("notes"), mn_str("tea"), &view, err);
    if (st != MN_OK)
        return st;
    printf("tea: %" PRIu32 " dimensions, the first is %g, metadata %.*s\n", view.n_dims,
           (double)view.vector[0], (int)view.metadata.n_bytes, (const char *)view.metadata.data);
    mn_view_release(&view);

    st = mn_get(store, mn_str("notes"), mn_str("milk"), &view, err);
    if (st == MN_NOT_FOUND) { /* an answer, not an error */
        printf("milk: no such note\n");
        st = MN_OK;
    }
    mn_view_release(&view); /* releasing an empty view does nothing */
    return st;
}

/* A walk shows one moment, in the order of the ids' bytes. */
static mn_status list_notes(mn_store *store, struct mn_error *err)
{
    struct mn_view view = {0};
    mn_iter *iter = NULL;

    mn_status st = mn_iter_open(store, mn_str("notes"), NULL, &iter, err);
    if (st != MN_OK)
        return st;
    while ((st = mn_iter_next(iter, &view, err)) == MN_OK) {
        printf("  %.*s\n", (int)view.id.n_bytes, (const char *)view.id.data);
        mn_view_release(&view);
    }
    mn_iter_close(iter);
    return st == MN_END ? MN_OK : st;
}

/* Moves a note to another namespace. Nobody ever sees it in both, or in none. Where another thread
 * changed the note first, commit answers MN_ERR_CONFLICT and nothing has happened: try again. */
static mn_status archive_note(mn_store *store, struct mn_slice id, struct mn_error *err)
{
    struct mn_view view = {0};
    mn_txn *txn = NULL;

    mn_status st = mn_txn_begin(store, &txn, err);
    if (st != MN_OK)
        return st;
    st = mn_txn_get(txn, mn_str("notes"), id, &view, err);
    if (st == MN_OK) {
        struct mn_record copy = {
            .id = view.id,
            .vector = view.vector,
            .n_dims = view.n_dims,
            .metadata = view.metadata,
            .payload = view.payload,
        };
        st = mn_txn_put(txn, mn_str("archive"), &copy, err);
    }
    if (st == MN_OK)
        st = mn_txn_delete(txn, mn_str("notes"), id, NULL, err);
    mn_view_release(&view);
    if (st != MN_OK) {
        mn_txn_rollback(txn);
        return st;
    }
    return mn_txn_commit(txn, NULL, NULL, err); /* ends the transaction, whatever it answers */
}

int main(void)
{
    struct mn_options options = {.size = sizeof options, .create = true};
    struct mn_error err = {0};
    mn_store *store = NULL;
    uint64_t n_notes = 0;

    mn_status st = mn_open("notes-store", &options, &store, &err);
    if (st == MN_OK)
        st = put_notes(store, &err);
    if (st == MN_OK)
        st = read_note(store, &err);
    if (st == MN_OK)
        st = list_notes(store, &err);
    if (st == MN_OK)
        st = archive_note(store, mn_str("coffee"), &err);
    if (st == MN_OK)
        st = mn_count(store, mn_str("notes"), &n_notes, &err);
    if (st == MN_OK)
        printf("%" PRIu64 " notes are left\n", n_notes);
    if (st != MN_OK)
        fprintf(stderr, "%s: %s\n", mn_status_name(st), err.message);

    if (mn_close(store, &err) != MN_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return st == MN_OK ? 0 : 1;
}
