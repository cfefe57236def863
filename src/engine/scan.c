/*
 * scan.c - the vectors of a collection where they lie, many at a time.
 *
 * What is live is found out for a window of vectors at once: from the bits of dead and lapsed rows,
 * under one hold of the lock. A row's header is read only where those do not tell what the view
 * sees: of a row that lapsed or died, if its view may have been before that.
 *
 * Owns:    a scan its view; a reader what it was given last.
 * Threads: one per reader; the scan's lock guards how far they all have come.
 * Fails:   MN_ERR_NOMEM, and as reading segments does. A reader that failed may be asked again; it
 *          goes on behind a vector that is damaged, and tries any other once more.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum {
    WINDOW_VECTORS = 2048,
    WINDOW_BYTES = 1 << 20, /* stays in the second level of cache */
    WORDS = WINDOW_VECTORS / 64,
    VERSIONS = 64,
};

/* The vectors of the collection in a part. */
struct source {
    struct part *part; /* borrowed from the view's state */
    struct mni_segment_group group;
    uint32_t window;     /* vectors to take at once */
    bool may_be_expired; /* the segment has rows that the view may see as expired */
    bool is_lapse_known; /* those of them that nothing changed since are lapsed */
};

struct mni_scan {
    struct mni_view view;
    uint64_t collection;
    struct source *sources; /* owned; NULL before it is started */
    size_t n_sources;
    uint64_t counted_bytes; /* of its memory, in the budget */

    struct mni_mutex lock; /* guards what follows */
    size_t source;         /* the one whose vectors are given out now */
    uint32_t vector;       /* the first one that was not */
    int n_tables_done;
    size_t key_bytes; /* of the last key that was taken from the table; 0: none was */
    unsigned char key[KEY_BYTES_MAX];
};

struct mni_scan_reader {
    struct mni_scan *scan; /* borrowed */
    uint32_t chunk_max;

    /* Vectors of a part that are this reader's: those behind the window. */
    const struct source *source; /* borrowed from the scan */
    uint32_t next;
    uint32_t end;

    /* The window: vectors that were looked at, from `first` on. A bit for each. */
    uint32_t first;
    uint32_t n;
    uint32_t at;                   /* those before were given */
    uint64_t seen[WORDS];          /* by the view */
    uint64_t doubtful[WORDS];      /* of these, those whose headers could not be read */
    uint32_t rows[WINDOW_VECTORS]; /* where the segment has rows without vectors */

    struct mni_version *versions[VERSIONS]; /* one reference each, from a table */
    size_t n_versions;
    size_t next_version;

    /* What was given last. */
    struct mni_version *version; /* a reference; NULL: it is in the part */
    void *pin;                   /* of the segment */
    uint64_t decoded_bytes;      /* of vectors that it holds, in the budget */
    uint32_t chunk_first;        /* in the window */
    uint32_t n_chunk;            /* 0: nothing */
};

/* The scan ---------- */

static void count_memory(struct mni_scan *scan, uint64_t n_bytes)
{
    scan->counted_bytes += n_bytes;
    budget_walk_add(scan->view.engine, n_bytes);
}

mn_status mni_scan_open(struct mni_engine *engine, struct mni_scan **scan_out, struct mn_error *err)
{
    struct mni_scan *scan = mni_alloc_zero(sizeof *scan);

    if (scan == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a scan");
    mni_mutex_init(&scan->lock);
    mni_view_open(engine, &scan->view);
    count_memory(scan, sizeof *scan);
    *scan_out = scan;
    return MN_OK;
}

struct mni_view *mni_scan_view(struct mni_scan *scan)
{
    return &scan->view;
}

void mni_scan_close(struct mni_scan *scan)
{
    if (scan == NULL)
        return;
    budget_walk_subtract(scan->view.engine, scan->counted_bytes);
    mni_view_close(&scan->view);
    mni_mutex_done(&scan->lock);
    mni_free(scan->sources);
    mni_free(scan);
}

static mn_status add_source(struct mni_scan *scan, struct part *part, struct mn_error *err)
{
    struct source *s = &scan->sources[scan->n_sources];
    int64_t now_us = scan->view.point.now_us;
    mn_status st = mni_segment_find_group(part->segment, scan->collection, &s->group, err);

    if (st != MN_OK)
        return st == MN_NOT_FOUND ? MN_OK : st;
    if (s->group.n_vectors == 0)
        return MN_OK;
    uint64_t window =
        WINDOW_BYTES / ((uint64_t)s->group.n_dims *
                        (s->group.element_type == MNI_ELEMENT_F16 ? 2 : sizeof(float)));
    s->window = window < 1 ? 1 : window < WINDOW_VECTORS ? (uint32_t)window : WINDOW_VECTORS;
    if (s->group.has_codes) /* no block of codes is parted between readers */
        s->window = (s->window + MNI_SEGMENT_CODE_BLOCK_VECTORS - 1) /
                    MNI_SEGMENT_CODE_BLOCK_VECTORS * MNI_SEGMENT_CODE_BLOCK_VECTORS;
    s->part = part;
    s->may_be_expired = s->group.min_expiry_us <= now_us;
    /* Where damage keeps the rows that are due from being found, each row is asked. */
    s->is_lapse_known = !s->may_be_expired ||
                        part_lapse(scan->view.engine, part, now_us, NULL) == MN_OK;
    scan->n_sources++;
    return MN_OK;
}

mn_status mni_scan_start(struct mni_scan *scan, uint64_t collection,
                         const struct mni_search *search, struct mn_error *err)
{
    const struct state *state = scan->view.state;
    const struct part_set *set = state->parts;
    struct mni_engine *engine = scan->view.engine;
    uint64_t lsn = scan->view.point.lsn;

    MNI_CHECK(scan->sources == NULL);
    scan->collection = collection;
    mn_status st =
        engine_order_table(engine, state->active->memtable, collection, lsn, search, err);
    if (st == MN_OK && state->frozen != NULL)
        st = engine_order_table(engine, state->frozen->memtable, collection, lsn, search, err);
    if (st != MN_OK)
        return st;
    scan->sources = mni_alloc_zero((set->n_parts + 1) * sizeof *scan->sources);
    if (scan->sources == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a scan");
    count_memory(scan, (set->n_parts + 1) * sizeof *scan->sources);
    for (size_t i = 0; i < set->n_parts && st == MN_OK; i++)
        st = add_source(scan, set->parts[i], err);
    return st;
}

/* Taking work ---------- */

/* Under the scan's lock. */
static bool take_vectors(struct mni_scan *scan, struct mni_scan_reader *r)
{
    if (scan->source == scan->n_sources)
        return false;
    const struct source *s = &scan->sources[scan->source];
    uint32_t n_left = s->group.n_vectors - scan->vector;
    r->source = s;
    r->next = scan->vector;
    r->end = r->next + (n_left < s->window ? n_left : s->window);
    r->n = r->at = 0;
    scan->vector = r->end;
    if (r->end == s->group.n_vectors) {
        scan->source++;
        scan->vector = 0;
    }
    return true;
}

/* Likewise. */
static bool take_versions(struct mni_scan *scan, struct mni_scan_reader *r)
{
    const struct state *state = scan->view.state;
    const struct mni_key_range all = {0};
    const struct table *tables[] = {state->active, state->frozen};

    for (; scan->n_tables_done < 2; scan->n_tables_done++, scan->key_bytes = 0) {
        const struct table *table = tables[scan->n_tables_done];
        if (table == NULL)
            continue;
        struct mn_slice after = {scan->key_bytes > 0 ? scan->key : NULL, scan->key_bytes};
        engine_read_lock(scan->view.engine);
        r->n_versions = mni_memtable_scan(table->memtable, scan->collection, after, &all,
                                          scan->view.point, r->versions, VERSIONS);
        engine_unlock(scan->view.engine);
        r->next_version = 0;
        if (r->n_versions == 0)
            continue;
        struct mn_slice key = mni_record_key(mni_version_bytes(r->versions[r->n_versions - 1]));
        MNI_CHECK(key.n_bytes <= sizeof scan->key);
        memcpy(scan->key, key.data, key.n_bytes);
        scan->key_bytes = key.n_bytes;
        return true;
    }
    return false;
}

static bool take_work(struct mni_scan_reader *r)
{
    struct mni_scan *scan = r->scan;

    mni_mutex_lock(&scan->lock);
    bool has_work = take_vectors(scan, r) || take_versions(scan, r);
    mni_mutex_unlock(&scan->lock);
    return has_work;
}

/* Looking at a window ---------- */

static uint32_t row_of(const struct mni_scan_reader *r, uint32_t index)
{
    const struct mni_segment_group *group = &r->source->group;

    return group->has_rows ? r->rows[index] : group->first_row + r->first + index;
}

/* Reads which rows the next vectors belong to, as many as are readable. */
static mn_status read_rows(struct mni_scan_reader *r, uint32_t *n, struct mn_error *err)
{
    const struct source *s = r->source;

    for (uint32_t i = 0; i < *n && s->group.has_rows; i++) {
        mn_status st = mni_segment_vector_row(s->part->segment, &s->group, r->next + i, &r->rows[i],
                                              i == 0 ? err : NULL);
        if (st != MN_OK && i == 0)
            return st;
        if (st != MN_OK)
            *n = i;
    }
    return MN_OK;
}

/* Dead and lapsed rows among up to 64 vectors. The read lock is held, as below. */
static void gather(const struct mni_scan_reader *r, uint32_t from, uint32_t n, uint64_t *dead_out,
                   uint64_t *lapsed_out)
{
    const struct mni_liveness *live = &r->source->part->live;

    if (!r->source->group.has_rows) {
        *dead_out = mni_liveness_dead_64(live, row_of(r, from));
        *lapsed_out = mni_liveness_lapsed_64(live, row_of(r, from));
        return;
    }
    *dead_out = *lapsed_out = 0;
    for (uint32_t i = 0; i < n; i++) {
        *dead_out |= (mni_liveness_dead_64(live, row_of(r, from + i)) & 1) << i;
        *lapsed_out |= (mni_liveness_lapsed_64(live, row_of(r, from + i)) & 1) << i;
    }
}

/* What patches say of a row's expiry goes before what the segment says. */
static void look_at_patch(const struct mni_scan_reader *r, uint32_t row, uint64_t bit,
                          uint64_t *seen, uint64_t *doubtful)
{
    const struct mni_liveness *live = &r->source->part->live;
    const struct mni_view_point *point = &r->scan->view.point;
    struct mni_patch patch;

    if (!mni_liveness_find_patch(live, row, UINT64_MAX, &patch) ||
        ((patch.fields | patch.clears) & MNI_FIELD_EXPIRY) == 0)
        return;
    *doubtful &= ~bit;
    if (!mni_liveness_find_patch(live, row, point->lsn, &patch) ||
        ((patch.fields | patch.clears) & MNI_FIELD_EXPIRY) == 0)
        *doubtful |= r->source->may_be_expired ? bit : 0; /* the view does not see the patch */
    else if ((patch.fields & MNI_FIELD_EXPIRY) != 0 && patch.expires_at_us <= point->now_us)
        *seen &= ~bit;
}

static void look_at_64(struct mni_scan_reader *r, uint32_t from)
{
    const struct source *s = r->source;
    const struct mni_liveness *live = &s->part->live;
    uint32_t n = r->n - from < 64 ? r->n - from : 64;
    uint64_t all = UINT64_MAX >> (64 - n);
    uint64_t dead;
    uint64_t doubtful;

    gather(r, from, n, &dead, &doubtful);
    uint64_t seen = all & ~dead;
    for (uint64_t left = all & dead; left != 0; left &= left - 1)
        if (mni_liveness_died_after(live, row_of(r, from + (uint32_t)__builtin_ctzll(left)),
                                    r->scan->view.point.lsn))
            seen |= left & -left;
    if (!s->may_be_expired)
        doubtful = 0;
    else if (s->is_lapse_known)
        doubtful |= dead; /* the dead are not lapsed */
    else
        doubtful = all;
    for (uint64_t left = live->patches.n > 0 ? seen : 0; left != 0; left &= left - 1)
        look_at_patch(r, row_of(r, from + (uint32_t)__builtin_ctzll(left)), left & -left, &seen,
                      &doubtful);
    r->seen[from / 64] = seen;
    r->doubtful[from / 64] = doubtful & seen;
}

/* Asks the header of a row whether it has expired. */
static mn_status ask_header(struct mni_scan_reader *r, uint32_t index, struct mn_error *err)
{
    struct mni_segment_row head;
    uint64_t bit = UINT64_C(1) << (index % 64);
    mn_status st = mni_segment_row_head(r->source->part->segment, row_of(r, index), &head, err);

    if (st != MN_OK)
        return st;
    r->doubtful[index / 64] &= ~bit;
    if ((head.record.fields & MNI_FIELD_EXPIRY) != 0 &&
        head.record.expires_at_us <= r->scan->view.point.now_us)
        r->seen[index / 64] &= ~bit;
    return MN_OK;
}

/* The first bit at or behind `from` that is as asked, `to` if there is none before it. */
static uint32_t next_bit(const uint64_t *bits, bool is_set, uint32_t from, uint32_t to)
{
    uint64_t flip = is_set ? 0 : UINT64_MAX;

    while (from < to) {
        uint64_t word = (bits[from / 64] ^ flip) >> (from % 64);
        if (word != 0) {
            from += (uint32_t)__builtin_ctzll(word);
            return from < to ? from : to;
        }
        from += 64 - from % 64;
    }
    return to;
}

/* Moves the window over the next vectors. */
static mn_status look(struct mni_scan_reader *r, struct mn_error *err)
{
    uint32_t n = r->end - r->next;

    r->n = r->at = 0;
    mn_status st = read_rows(r, &n, err);
    if (st != MN_OK) {
        r->next += st == MN_ERR_CORRUPT;
        return st;
    }
    r->first = r->next;
    r->n = n;
    r->next += n;
    engine_read_lock(r->scan->view.engine);
    for (uint32_t i = 0; i < n; i += 64)
        look_at_64(r, i);
    engine_unlock(r->scan->view.engine);
    for (uint32_t i = 0; (i = next_bit(r->doubtful, true, i, n)) < n; i++)
        if (ask_header(r, i, NULL) != MN_OK)
            continue; /* it is asked again when its turn comes */
    return MN_OK;
}

/* Chunks ---------- */

static void give_back(struct mni_scan_reader *r)
{
    if (r->n_chunk == 0)
        return;
    if (r->version != NULL)
        mni_version_unref(r->version);
    else
        mni_segment_release(r->source->part->segment, r->pin);
    budget_walk_subtract(r->scan->view.engine, r->decoded_bytes);
    r->decoded_bytes = 0;
    r->version = NULL;
    r->n_chunk = 0;
}

/* Of the seen vectors side by side from `at` on, those before damage. */
static mn_status give_vectors(struct mni_scan_reader *r, struct mni_scan_chunk *chunk,
                              struct mn_error *err)
{
    const struct source *s = r->source;
    uint32_t end = r->n - r->at < r->chunk_max ? r->n : r->at + r->chunk_max;

    end = next_bit(r->seen, false, r->at, end);
    end = next_bit(r->doubtful, true, r->at, end);
    for (uint32_t n = end - r->at;; n /= 2) {
        mn_status st = mni_segment_vectors(s->part->segment, &s->group, r->first + r->at, n,
                                           &chunk->vectors, &r->pin, n == 1 ? err : NULL);
        if (st != MN_OK && n > 1)
            continue;
        if (st != MN_OK) {
            r->at += st == MN_ERR_CORRUPT;
            return st;
        }
        chunk->n_vectors = n;
        chunk->n_dims = s->group.n_dims;
        chunk->element_type = s->group.element_type;
        if (s->group.has_differences) {
            r->decoded_bytes = (uint64_t)n * s->group.n_dims * sizeof(float);
            budget_walk_add(r->scan->view.engine, r->decoded_bytes);
        }
        r->chunk_first = r->at;
        r->n_chunk = n;
        r->at += n;
        return MN_OK;
    }
}

/* MN_END: the window and the vectors behind it are used up. */
static mn_status next_of_part(struct mni_scan_reader *r, struct mni_scan_chunk *chunk,
                              struct mn_error *err)
{
    for (;;) {
        r->at = next_bit(r->seen, true, r->at, r->n);
        if (r->at < r->n && (r->doubtful[r->at / 64] >> (r->at % 64) & 1) == 0)
            return give_vectors(r, chunk, err);
        mn_status st = MN_OK;
        if (r->at < r->n) {
            st = ask_header(r, r->at, err);
            r->at += st == MN_ERR_CORRUPT;
        } else if (r->next < r->end) {
            st = look(r, err);
        } else {
            return MN_END;
        }
        if (st != MN_OK)
            return st;
    }
}

/* MN_END: the versions are used up. */
static mn_status next_of_table(struct mni_scan_reader *r, struct mni_scan_chunk *chunk)
{
    while (r->next_version < r->n_versions) {
        struct mni_version *version = r->versions[r->next_version++];
        struct mni_record record;
        mni_record_view(mni_version_bytes(version), &record);
        if (record.n_dims == 0) {
            mni_version_unref(version);
            continue;
        }
        chunk->vectors = record.vector;
        chunk->n_vectors = 1;
        chunk->n_dims = record.n_dims;
        chunk->element_type = record.element_type;
        r->version = version;
        r->n_chunk = 1;
        return MN_OK;
    }
    return MN_END;
}

mn_status mni_scan_next(struct mni_scan_reader *reader, struct mni_scan_chunk *chunk_out,
                        struct mn_error *err)
{
    struct mni_scan_reader *r = reader;

    MNI_CHECK(r->scan->sources != NULL);
    give_back(r);
    do {
        mn_status st = next_of_part(r, chunk_out, err);
        if (st == MN_END)
            st = next_of_table(r, chunk_out);
        if (st != MN_END)
            return st;
    } while (take_work(r));
    return MN_END;
}

/* Windows ---------- */

/* Headers that could not be read are tried once more, for the error. What is not damage fails. */
static mn_status settle_doubts(struct mni_scan_reader *r, struct mni_scan_window *w,
                               struct mn_error *err)
{
    for (uint32_t i = 0; (i = next_bit(r->doubtful, true, i, r->n)) < r->n; i++) {
        struct mn_error why = {0};
        mn_status st = ask_header(r, i, &why);

        if (st == MN_OK)
            continue;
        if (st != MN_ERR_CORRUPT) {
            if (err != NULL)
                *err = why;
            return st;
        }
        r->doubtful[i / 64] &= ~(UINT64_C(1) << (i % 64));
        r->seen[i / 64] &= ~(UINT64_C(1) << (i % 64));
        if (w->n_damaged++ == 0)
            w->damage = why;
    }
    return MN_OK;
}

static mn_status window_of_part(struct mni_scan_reader *r, struct mni_scan_window *w,
                                struct mn_error *err)
{
    const struct source *s = r->source;
    mn_status st = look(r, err);

    if (st != MN_OK)
        return st;
    *w = (struct mni_scan_window){
        .segment = s->part->segment,
        .group = &s->group,
        .source = (uint32_t)(s - r->scan->sources),
        .first = r->first,
        .n = r->n,
        .seen = r->seen,
    };
    st = settle_doubts(r, w, err);
    if (st != MN_OK)
        r->next = r->first; /* the window is looked at once more when it is asked for again */
    return st;
}

static void drop_versions(struct mni_scan_reader *r)
{
    while (r->next_version < r->n_versions)
        mni_version_unref(r->versions[r->next_version++]);
    r->n_versions = 0;
    r->next_version = 0;
}

mn_status mni_scan_next_window(struct mni_scan_reader *reader, struct mni_scan_window *window_out,
                               struct mn_error *err)
{
    struct mni_scan_reader *r = reader;

    MNI_CHECK(r->scan->sources != NULL);
    drop_versions(r);
    do {
        if (r->next < r->end)
            return window_of_part(r, window_out, err);
        if (r->n_versions > 0) {
            *window_out =
                (struct mni_scan_window){.n = (uint32_t)r->n_versions, .versions = r->versions};
            return MN_OK;
        }
    } while (take_work(r));
    return MN_END;
}

mn_status mni_scan_read(struct mni_scan *scan, uint32_t source, uint32_t vector,
                        struct mni_found *found_out, struct mn_error *err)
{
    const struct mni_view *view = &scan->view;
    uint32_t row;

    MNI_CHECK(source < scan->n_sources);
    struct part *part = scan->sources[source].part;
    mn_status st =
        mni_segment_vector_row(part->segment, &scan->sources[source].group, vector, &row, err);
    if (st == MN_OK)
        st = engine_read_row(view->engine, part, row, view->point.lsn, found_out, err);
    MNI_CHECK(st != MN_NOT_FOUND); /* what a view sees it goes on seeing */
    return st;
}

bool engine_scan_decodes(const struct mni_scan *scan)
{
    for (size_t i = 0; i < scan->n_sources; i++)
        if (scan->sources[i].group.has_differences)
            return true;
    return false;
}

uint64_t mni_scan_n_vectors(const struct mni_scan *scan)
{
    uint64_t n = 0;

    for (size_t i = 0; i < scan->n_sources; i++)
        n += scan->sources[i].group.n_vectors;
    return n;
}

mn_status mni_scan_found(struct mni_scan_reader *reader, size_t index, struct mni_found *found_out,
                         struct mn_error *err)
{
    struct mni_scan_reader *r = reader;
    const struct mni_view *view = &r->scan->view;

    if (index >= r->n_chunk)
        return MN_NOT_FOUND;
    if (r->version != NULL) {
        mni_version_ref(r->version);
        engine_found_version(r->version, found_out);
        return MN_OK;
    }
    uint32_t row = row_of(r, r->chunk_first + (uint32_t)index);
    mn_status st =
        engine_read_row(view->engine, r->source->part, row, view->point.lsn, found_out, err);
    MNI_CHECK(st != MN_NOT_FOUND); /* what a view sees it goes on seeing */
    return st;
}

mn_status mni_scan_reader_new(struct mni_scan *scan, size_t n_vectors_max,
                              struct mni_scan_reader **reader_out, struct mn_error *err)
{
    struct mni_scan_reader *r = mni_alloc_zero(sizeof *r);

    if (r == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a scan");
    r->scan = scan;
    budget_walk_add(scan->view.engine, sizeof *r);
    r->chunk_max = n_vectors_max == 0 || n_vectors_max > WINDOW_VECTORS ? WINDOW_VECTORS
                                                                        : (uint32_t)n_vectors_max;
    *reader_out = r;
    return MN_OK;
}

void mni_scan_reader_free(struct mni_scan_reader *reader)
{
    if (reader == NULL)
        return;
    give_back(reader);
    drop_versions(reader);
    budget_walk_subtract(reader->scan->view.engine, sizeof *reader);
    mni_free(reader);
}
