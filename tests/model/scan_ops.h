/*
 * scan_ops.h - scans beside the model: each vector once, of the moment at which a scan was opened.
 */
#ifndef TESTS_MODEL_SCAN_OPS_H
#define TESTS_MODEL_SCAN_OPS_H

#include "walk_ops.h"

static inline void open_scan(struct world *w, struct scanning *scan)
{
    unsigned name = below(w, N_NAMES);
    const struct space *space = &w->now.spaces[name];
    struct mn_scan_options o = {.size = sizeof o, .chunk_vectors_max = below(w, 4)};

    *scan = (struct scanning){.scan = NULL};
    for (unsigned id = 0; id < N_IDS; id++) {
        const struct slot *s = &space->slots[id];
        scan->is_left[id] = is_visible(s, w->now_us) && s->content.n_dims > 0;
        scan->slots[id] = *s;
    }
    mn_status st = CALLED(
        w, mn_scan_open(w->store, name_of(name), one_in(w, 3) ? NULL : &o, &scan->scan, call(w)));
    CHECK_STATUS(st, space->exists ? MN_OK : MN_NOT_FOUND);
}

static inline void close_scan(struct scanning *scan)
{
    mn_scan_close(scan->scan);
    scan->scan = NULL;
}

static inline unsigned number_of(struct mn_slice id)
{
    unsigned i = 0;

    while (i < N_IDS &&
           (id_of(i).n_bytes != id.n_bytes || memcmp(id_of(i).data, id.data, id.n_bytes) != 0))
        i++;
    CHECK(i < N_IDS);
    return i;
}

static inline void scan_on(struct world *w, struct scanning *scan)
{
    struct mn_scan_chunk chunk = {.n_vectors = 77};
    struct mn_view view = {.n_dims = 77};
    mn_status st = CALLED(w, mn_scan_next(scan->scan, &chunk, call(w)));

    CHECK_STATUS(mn_scan_view(scan->scan, chunk.n_vectors, &view, NULL), MN_ERR_INVALID);
    check_cleared(&view);
    if (st != MN_OK) {
        CHECK_STATUS(st, MN_END);
        CHECK(chunk.vectors == NULL && chunk.n_vectors == 0);
        for (unsigned id = 0; id < N_IDS; id++)
            CHECK(!scan->is_left[id]);
        CHECK_STATUS(mn_scan_next(scan->scan, &chunk, NULL), MN_END);
        close_scan(scan);
        return;
    }
    CHECK(chunk.n_vectors > 0);
    for (size_t i = 0; i < chunk.n_vectors; i++) {
        CHECK_OK(CALLED(w, mn_scan_view(scan->scan, i, &view, call(w))));
        unsigned id = number_of(view.id);
        const struct slot *s = &scan->slots[id];
        CHECK(scan->is_left[id]);
        scan->is_left[id] = false;
        check_view(&view, id_of(id), &s->content, s->lsn);
        CHECK_EQ(chunk.n_dims, view.n_dims);
        CHECK(chunk.vectors + i * chunk.n_dims == view.vector);
        hold(w, &view, id, s);
    }
}

static inline void scan_step(struct world *w)
{
    struct scanning *scan = &w->scans[below(w, N_SCANS)];

    if (scan->scan == NULL)
        open_scan(w, scan);
    else if (one_in(w, 20))
        close_scan(scan);
    for (unsigned n = below(w, 8); n > 0 && scan->scan != NULL; n--)
        scan_on(w, scan);
}

#endif
