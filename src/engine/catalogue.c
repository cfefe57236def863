/*
 * catalogue.c - collection 0: which collections there are.
 *
 * Owns:    the cache of names; the rows lie where all records lie.
 * Format:  docs/format/catalogue.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT for a row that no writer wrote.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum {
    ROW_OFF_NUMBER = 0,      /* u64 */
    ROW_OFF_CREATED_LSN = 8, /* u64, 0 = the LSN of the row's own commit */
    ROW_OFF_DIMENSION = 16,  /* u32, 0 = not known yet */
    ROW_OFF_RESERVED = 20,   /* u32, zero */
};
static_assert(ROW_OFF_RESERVED + 4 == CATALOGUE_ROW_BYTES, "catalogue row layout");

void catalogue_row_encode(const struct mni_collection *c, unsigned char out[CATALOGUE_ROW_BYTES])
{
    mni_put_u64(out + ROW_OFF_NUMBER, c->number);
    mni_put_u64(out + ROW_OFF_CREATED_LSN, c->created_lsn);
    mni_put_u32(out + ROW_OFF_DIMENSION, c->dimension);
    mni_put_u32(out + ROW_OFF_RESERVED, 0);
}

static enum mni_kind kind_of(struct mn_slice key)
{
    return *(const unsigned char *)key.data;
}

bool catalogue_is_collection(struct mn_slice key)
{
    return kind_of(key) == MNI_KIND_NAMESPACE || kind_of(key) == MNI_KIND_SPACE ||
           kind_of(key) == MNI_KIND_HISTORY || kind_of(key) == MNI_KIND_TENANT;
}

mn_status catalogue_row_decode(const struct mni_record *row, uint64_t lsn,
                               struct mni_collection *collection_out, struct mn_error *err)
{
    const unsigned char *b = row->payload.data;
    size_t n_bytes = row->payload.n_bytes;
    bool is_space = kind_of(row->key) == MNI_KIND_SPACE;
    struct space_fields fields;

    if (n_bytes < CATALOGUE_ROW_BYTES || (!is_space && n_bytes != CATALOGUE_ROW_BYTES))
        return mni_fail(err, MN_ERR_CORRUPT, "catalogue row of %zu bytes", n_bytes);
    collection_out->number = mni_get_u64(b + ROW_OFF_NUMBER);
    collection_out->created_lsn = mni_get_u64(b + ROW_OFF_CREATED_LSN);
    collection_out->dimension = mni_get_u32(b + ROW_OFF_DIMENSION);
    if (collection_out->number == 0 || collection_out->dimension > MN_DIMENSIONS_MAX ||
        (is_space && collection_out->dimension == 0) || mni_get_u32(b + ROW_OFF_RESERVED) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "catalogue row says something impossible");
    if (collection_out->created_lsn == 0)
        collection_out->created_lsn = lsn;
    collection_out->settings = (struct mni_space_settings){0};
    collection_out->is_untrimmed = false;
    collection_out->known_from_lsn = 0;
    if (!is_space)
        return MN_OK;
    mn_status st = space_fields_decode(space_fields_of(row), &fields, err);
    if (st != MN_OK)
        return st;
    collection_out->settings = fields.settings;
    collection_out->is_untrimmed = fields.is_untrimmed;
    collection_out->known_from_lsn = fields.known_from_lsn;
    if (fields.settings.history_us != 0 && fields.known_from_lsn == 0)
        collection_out->known_from_lsn = lsn;
    return MN_OK;
}

struct mn_slice catalogue_counter_key(void)
{
    static const unsigned char key[] = {MNI_KIND_COUNTER, 'n', 'e', 'x', 't'};

    return (struct mn_slice){key, sizeof key};
}

struct mn_slice catalogue_key(enum mni_kind kind, struct mn_slice name,
                              unsigned char room[1 + MN_NAMESPACE_BYTES_MAX])
{
    MNI_CHECK(name.n_bytes >= 1 && name.n_bytes <= MN_NAMESPACE_BYTES_MAX);
    room[0] = (unsigned char)kind;
    memcpy(room + 1, name.data, name.n_bytes);
    return (struct mn_slice){room, 1 + name.n_bytes};
}

mn_status catalogue_decode_found(const struct mni_found *found,
                                 struct mni_collection *collection_out, struct mn_error *err)
{
    mn_status st = catalogue_row_decode(&found->record, found->record_lsn, collection_out, err);

    mni_pin_release(found->pin);
    return st;
}

/* Names seen lately ----------
 *
 * Entries are immutable. Readers add them under the read lock; a commit that changes the
 * catalogue removes all of them under the write lock, when no reader can hold one. */

struct known_name {
    struct mni_collection collection;
    size_t key_bytes;
    unsigned char key[]; /* kind, name */
};

static _Atomic(struct known_name *) *name_slot(struct mni_engine *engine, enum mni_kind kind,
                                               struct mn_slice name)
{
    return &engine->known_names[mni_hash(name.data, name.n_bytes, (uint64_t)kind) % KNOWN_NAMES];
}

static void remember_name(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                          const struct mni_collection *collection)
{
    _Atomic(struct known_name *) *slot = name_slot(engine, kind, name);
    struct known_name *expected = NULL;
    struct known_name *known = mni_alloc(sizeof *known + 1 + name.n_bytes);

    if (known == NULL)
        return; /* it is found in the table again */
    known->collection = *collection;
    known->key_bytes = 1 + name.n_bytes;
    known->key[0] = (unsigned char)kind;
    memcpy(known->key + 1, name.data, name.n_bytes);
    if (!atomic_compare_exchange_strong(slot, &expected, known))
        mni_free(known);
    else
        atomic_fetch_add_explicit(&engine->budget.name_bytes, sizeof *known + known->key_bytes,
                                  memory_order_relaxed);
}

bool catalogue_knows(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                     struct mni_collection *collection_out)
{
    const struct known_name *known =
        atomic_load_explicit(name_slot(engine, kind, name), memory_order_acquire);

    if (known == NULL || known->key_bytes != 1 + name.n_bytes ||
        known->key[0] != (unsigned char)kind ||
        memcmp(known->key + 1, name.data, name.n_bytes) != 0)
        return false;
    *collection_out = known->collection;
    return true;
}

mn_status mni_engine_collection(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                                struct mni_collection *collection_out, struct mn_error *err)
{
    unsigned char room[1 + MN_NAMESPACE_BYTES_MAX];
    struct mni_found found;

    engine_read_lock(engine);
    bool is_known = catalogue_knows(engine, kind, name, collection_out);
    uint64_t n_changes = engine->n_catalogue_changes;
    engine_unlock(engine);
    if (is_known)
        return MN_OK;
    mn_status st = engine_find_now(engine, 0, catalogue_key(kind, name, room), &found, err);
    if (st == MN_OK)
        st = catalogue_decode_found(&found, collection_out, err);
    if (st != MN_OK)
        return st;
    engine_read_lock(engine);
    if (engine->n_catalogue_changes == n_changes)
        remember_name(engine, kind, name, collection_out);
    engine_unlock(engine);
    return MN_OK;
}

mn_status mni_view_collection(struct mni_view *view, enum mni_kind kind, struct mn_slice name,
                              struct mni_collection *collection_out, struct mn_error *err)
{
    unsigned char room[1 + MN_NAMESPACE_BYTES_MAX];
    struct mni_engine *engine = view->engine;
    struct mni_found found;

    engine_read_lock(engine);
    bool is_known = engine->n_catalogue_changes == view->n_catalogue_changes &&
                    catalogue_knows(engine, kind, name, collection_out);
    engine_unlock(engine);
    if (is_known)
        return MN_OK;
    mn_status st = mni_view_get(view, 0, catalogue_key(kind, name, room), &found, err);

    if (st == MN_OK)
        st = catalogue_decode_found(&found, collection_out, err);
    if (st != MN_OK)
        return st;
    engine_read_lock(engine);
    if (engine->n_catalogue_changes == view->n_catalogue_changes)
        remember_name(engine, kind, name, collection_out);
    engine_unlock(engine);
    return MN_OK;
}

void catalogue_forget_names(struct mni_engine *engine)
{
    engine->n_catalogue_changes++;
    for (size_t i = 0; i < KNOWN_NAMES; i++)
        mni_free(atomic_exchange(&engine->known_names[i], NULL));
    atomic_store(&engine->budget.name_bytes, 0);
}

mn_status catalogue_list(struct mni_engine *engine, enum mni_kind kind, struct mn_slice after,
                         take_name_fn *take, void *out, size_t n_max, size_t *n_out,
                         struct mn_error *err)
{
    const unsigned char prefix = (unsigned char)kind;
    unsigned char room[1 + MN_NAMESPACE_BYTES_MAX];
    struct mni_walk_options options = {.prefix = {&prefix, 1}};
    struct mni_walk *walk = NULL;
    struct mni_found found;
    size_t n = 0;

    if (after.data != NULL)
        options.after = catalogue_key(kind, after, room);
    mn_status st = mni_walk_open(engine, &options, &walk, err);
    if (st == MN_OK)
        st = mni_walk_start(walk, 0, err);
    while (st == MN_OK && n < n_max) {
        st = mni_walk_next(walk, &found, err);
        if (st != MN_OK)
            break;
        take(out, n++, (const unsigned char *)found.record.key.data + 1);
        mni_pin_release(found.pin);
    }
    mni_walk_close(walk);
    if (st == MN_END)
        st = MN_OK;
    if (st == MN_OK)
        *n_out = n;
    return st;
}

/* The counter ---------- */

mn_status catalogue_counter_decode(struct mn_slice payload, uint64_t *next_number_out,
                                   struct mn_error *err)
{
    /* half of all numbers are never given out, so that the counter never comes round to 0 */
    if (payload.n_bytes != 8 || mni_get_i64(payload.data) <= 0)
        return mni_fail(err, MN_ERR_CORRUPT, "collection counter");
    *next_number_out = mni_get_u64(payload.data);
    return MN_OK;
}

mn_status catalogue_load_counter(struct mni_engine *engine, struct mn_error *err)
{
    struct mni_found found;
    mn_status st = engine_find_now(engine, 0, catalogue_counter_key(), &found, err);

    engine->counter = (struct counter){.next_number = 1};
    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st != MN_OK)
        return st;
    st = catalogue_counter_decode(found.record.payload, &engine->counter.next_number, err);
    engine->counter.lsn = found.lsn;
    mni_pin_release(found.pin);
    return st;
}
