/*
 * catalogue.c - collection 0: which collections there are.
 *
 * Owns:    nothing; the rows lie in the table like all records.
 * Format:  docs/format/catalogue.md
 * Threads: readers hold the table's read lock.
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

mn_status catalogue_row_decode(struct mn_slice payload, uint64_t lsn,
                               struct mni_collection *collection_out, struct mn_error *err)
{
    const unsigned char *b = payload.data;

    if (payload.n_bytes != CATALOGUE_ROW_BYTES)
        return mni_fail(err, MN_ERR_CORRUPT, "catalogue row of %zu bytes", payload.n_bytes);
    collection_out->number = mni_get_u64(b + ROW_OFF_NUMBER);
    collection_out->created_lsn = mni_get_u64(b + ROW_OFF_CREATED_LSN);
    collection_out->dimension = mni_get_u32(b + ROW_OFF_DIMENSION);
    if (collection_out->number == 0 || collection_out->dimension > MN_DIMENSIONS_MAX ||
        mni_get_u32(b + ROW_OFF_RESERVED) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "catalogue row says something impossible");
    if (collection_out->created_lsn == 0)
        collection_out->created_lsn = lsn;
    return MN_OK;
}

struct mn_slice catalogue_counter_key(void)
{
    static const unsigned char key[] = {MNI_KIND_COUNTER, 'n', 'e', 'x', 't'};

    return (struct mn_slice){key, sizeof key};
}

bool catalogue_find(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                    struct mni_view_point view, struct mni_collection *collection_out)
{
    unsigned char key[1 + MN_NAMESPACE_BYTES_MAX];
    struct mni_record record;

    MNI_CHECK(name.n_bytes >= 1 && name.n_bytes <= MN_NAMESPACE_BYTES_MAX);
    key[0] = (unsigned char)kind;
    memcpy(key + 1, name.data, name.n_bytes);
    struct mni_version *version =
        mni_memtable_find(engine->table, 0, (struct mn_slice){key, 1 + name.n_bytes}, view);
    if (version == NULL)
        return false;
    mni_record_view(mni_version_bytes(version), &record);
    /* Rows are checked when they are replayed and made by this process otherwise. */
    mn_status st =
        catalogue_row_decode(record.payload, mni_version_lsn(version), collection_out, NULL);
    MNI_CHECK(st == MN_OK);
    return true;
}

/* Names seen lately ----------
 *
 * Entries are immutable. Readers add them under the table's read lock; a commit that changes the
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

static void remember_name(_Atomic(struct known_name *) *slot, enum mni_kind kind,
                          struct mn_slice name, const struct mni_collection *collection)
{
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
}

bool catalogue_find_now(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                        struct mni_collection *collection_out)
{
    struct mni_view_point view = {.lsn = mni_engine_visible_lsn(engine), .now_us = INT64_MIN};
    _Atomic(struct known_name *) *slot = name_slot(engine, kind, name);
    const struct known_name *known = atomic_load_explicit(slot, memory_order_acquire);

    if (known != NULL && known->key_bytes == 1 + name.n_bytes &&
        known->key[0] == (unsigned char)kind &&
        memcmp(known->key + 1, name.data, name.n_bytes) == 0) {
        *collection_out = known->collection;
        return true;
    }
    if (!catalogue_find(engine, kind, name, view, collection_out))
        return false;
    if (known == NULL)
        remember_name(slot, kind, name, collection_out);
    return true;
}

void catalogue_forget_names(struct mni_engine *engine)
{
    for (size_t i = 0; i < KNOWN_NAMES; i++)
        mni_free(atomic_exchange(&engine->known_names[i], NULL));
}

uint64_t catalogue_next_number(struct mni_engine *engine, struct mni_view_point view,
                               uint64_t *row_lsn_out)
{
    struct mni_record record;
    struct mni_version *version =
        mni_memtable_find(engine->table, 0, catalogue_counter_key(), view);

    *row_lsn_out = 0;
    if (version == NULL)
        return 1;
    *row_lsn_out = mni_version_lsn(version);
    mni_record_view(mni_version_bytes(version), &record);
    MNI_CHECK(record.payload.n_bytes == 8);
    return mni_get_u64(record.payload.data);
}
