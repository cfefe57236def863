/*
 * batch.c - gathering and encoding what a commit will do.
 *
 * Owns:    the encoded records until they are applied.
 * Threads: one per batch.
 * Fails:   a refused operation leaves the batch as it was.
 */
#include "engine/batch_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/plant.h"
#include "base/quote.h"

enum { NAMES_FROM = 16 }; /* collections that have a table of names */

mn_status mni_batch_new(struct mni_engine *engine, struct mni_view *snapshot,
                        struct mni_batch **batch_out)
{
    struct mni_batch *batch = mni_alloc_zero(sizeof *batch);

    if (batch == NULL)
        return MN_ERR_NOMEM;
    batch->engine = engine;
    batch->snapshot = snapshot;
    batch_take_state(batch);
    *batch_out = batch;
    return MN_OK;
}

bool batch_take_state(struct mni_batch *batch)
{
    struct mni_engine *engine = batch->engine;
    struct state *old = batch->state;

    engine_read_lock(engine);
    batch->state = engine->state;
    if (batch->state != old)
        state_ref(batch->state);
    engine_unlock(engine);
    if (batch->state == old)
        return false;
    state_unref(old);
    return true;
}

/* The state keeps tables that waiting is to free. */
void batch_drop_state(struct mni_batch *batch)
{
    state_unref(batch->state);
    batch->state = NULL;
    batch->is_stale = true;
}

/* Takes memory for an operation, and waits for it. */
static mn_status reserve_memory(struct mni_batch *batch, size_t n_bytes, bool is_put,
                                struct mn_error *err)
{
    if (budget_try(batch->engine, n_bytes, is_put))
        return MN_OK;
    if (batch->never_waits)
        return budget_refuse(batch->engine, n_bytes, err);
    batch_drop_state(batch);
    mn_status st = engine_take_memory(batch->engine, n_bytes, is_put, err);
    batch_take_state(batch);
    return st;
}

void mni_batch_never_wait(struct mni_batch *batch)
{
    batch->never_waits = true;
}

void mni_batch_free(struct mni_batch *batch)
{
    if (batch == NULL)
        return;
    batch_release_locks(batch);
    budget_give_back(batch->engine, batch->reserved_bytes);
    for (size_t i = 0; i < batch->n_ops; i++)
        mni_version_unref(batch->ops[i].version);
    for (size_t i = 0; i < batch->n_collections; i++) {
        mni_free(batch->collections[i].key);
        mni_free(batch->collections[i].fields);
        mni_free(batch->collections[i].name);
        mni_free(batch->collections[i].drop_node);
        part_free_dropped(&batch->collections[i].dropped_rows);
    }
    state_unref(batch->state);
    mni_free(batch->places);
    mni_free(batch->collections);
    mni_free(batch->names);
    mni_free(batch->ops);
    mni_free(batch->slots);
    mni_free(batch->changes);
    mni_free(batch->change_ops);
    mni_free(batch->parts);
    mni_free(batch);
}

/* The newest version of a key in the tables that were looked at. Read lock held. */
static struct mni_version *find_version(const struct state *state, struct mn_slice key)
{
    const struct mni_view_point newest = {.lsn = UINT64_MAX, .now_us = MNI_NO_CLOCK};
    struct mni_version *version = mni_memtable_find(state->active->memtable, 0, key, newest);

    if (version == NULL && state->frozen != NULL)
        version = mni_memtable_find(state->frozen->memtable, 0, key, newest);
    return version;
}

/* What a row says that was found; releases its pin. */
static mn_status take_row(struct batch_collection *c, const struct mni_found *found,
                          struct mn_error *err)
{
    mn_status st;

    if (c->key[0] == MNI_KIND_SPACE_NAME) {
        uint32_t space = 0;
        st = space_name_decode(&found->record, &space, err);
        c->known.number = 1 + (uint64_t)space;
    } else {
        st = catalogue_row_decode(&found->record, found->record_lsn, &c->known, err);
    }
    if (st == MN_OK && c->key[0] == MNI_KIND_SPACE)
        st = batch_take_fields(c, &found->record, err);
    mni_pin_release(found->pin);
    return st;
}

/* One look. `again_out`: its row was replaced while it was read. */
static mn_status look_up_once(struct mni_batch *batch, struct batch_collection *c, bool *again_out,
                              struct mn_error *err)
{
    struct mni_engine *engine = batch->engine;
    struct mni_found found;
    struct mn_slice key = {c->key, c->key_bytes};

    *again_out = false;
    c->known = (struct mni_collection){0};
    c->place = (struct place){0};
    engine_read_lock(engine);
    c->row_lsn = place_newest_lsn(engine, 0, key, NULL);
    struct mni_version *version = find_version(batch->state, key);
    if (version != NULL)
        mni_version_ref(version);
    engine_unlock(engine);
    if (version != NULL) {
        engine_found_version(version, &found);
        return take_row(c, &found, err);
    }
    if (batch->state->parts->n_parts == 0)
        return MN_OK;
    mn_status st = place_find(engine, batch->state->parts, 0, key, &c->place, err);
    if (st != MN_OK || c->place.part == NULL)
        return st;
    MNI_TEST_POINT("look_up");
    engine_read_lock(engine);
    c->row_lsn = place_newest_lsn(engine, 0, key, &c->place);
    engine_unlock(engine);
    st = engine_read_row(engine, c->place.part, c->place.row, UINT64_MAX, &found, err);
    if (st == MN_OK)
        return take_row(c, &found, err);
    *again_out = st == MN_NOT_FOUND;
    return *again_out ? MN_OK : st;
}

mn_status batch_look_up(struct mni_batch *batch, struct batch_collection *c, struct mn_error *err)
{
    bool again = c->key != NULL;
    mn_status st = MN_OK;

    while (again && st == MN_OK)
        st = look_up_once(batch, c, &again, err);
    return st;
}

/* A transaction writes to the collection that its view shows, or to one that came later. */
static mn_status number_in_snapshot(const struct mni_batch *batch, enum mni_kind kind,
                                    struct mn_slice name, uint64_t *number, struct mn_error *err)
{
    struct mni_collection seen = {0};

    if (batch->snapshot == NULL)
        return MN_OK;
    mn_status st = mni_view_collection(batch->snapshot, kind, name, &seen, err);
    if (st == MN_OK)
        *number = seen.number;
    return st == MN_NOT_FOUND ? MN_OK : st;
}

/* Room for one more collection, or NULL with `err` filled. */
static struct batch_collection *next_collection(struct mni_batch *batch, struct mn_error *err)
{
    struct batch_collection *c =
        mni_realloc(batch->collections, (batch->n_collections + 1) * sizeof *c);

    if (c == NULL) {
        mni_ignore(
            mni_fail(err, MN_ERR_NOMEM, "a batch of %zu collections", batch->n_collections + 1));
        return NULL;
    }
    batch->collections = c;
    return c + batch->n_collections;
}

mn_status batch_collection_by_number(struct mni_batch *batch, uint64_t number, size_t *index_out,
                                     struct mn_error *err)
{
    struct batch_collection *c;

    for (size_t i = batch->n_collections; i-- > 0;) {
        c = &batch->collections[i];
        if (c->key != NULL || c->known.number != number)
            continue;
        *index_out = i;
        return MN_OK;
    }
    c = next_collection(batch, err);
    if (c == NULL)
        return MN_ERR_NOMEM;
    *c = (struct batch_collection){.known.number = number};
    *index_out = batch->n_collections++;
    return MN_OK;
}

static bool is_named(const struct batch_collection *c, enum mni_kind kind, struct mn_slice name)
{
    return c->key != NULL && c->key_bytes == 1 + name.n_bytes && c->key[0] == (unsigned char)kind &&
           (name.n_bytes == 0 || memcmp(c->key + 1, name.data, name.n_bytes) == 0);
}

bool mni_batch_has_collection(const struct mni_batch *batch, enum mni_kind kind,
                              struct mn_slice name, size_t *index_out)
{
    if (batch->n_names > 0) {
        uint64_t at = mni_key_hash((uint64_t)kind, name);
        for (; batch->names[at & (batch->n_names - 1)] != 0; at++) {
            size_t i = batch->names[at & (batch->n_names - 1)] - 1;
            if (i >= batch->n_collections || !is_named(&batch->collections[i], kind, name))
                continue;
            *index_out = i;
            return true;
        }
        return false;
    }
    for (size_t i = batch->n_collections; i-- > 0;) {
        if (!is_named(&batch->collections[i], kind, name))
            continue;
        *index_out = i;
        return true;
    }
    return false;
}

static void add_name(struct mni_batch *batch, const struct batch_collection *c, size_t index)
{
    struct mn_slice name = {c->key + 1, c->key_bytes - 1};
    uint64_t at = mni_key_hash(c->key[0], name);

    while (batch->names[at & (batch->n_names - 1)] != 0)
        at++;
    batch->names[at & (batch->n_names - 1)] = (uint32_t)index + 1;
    batch->n_named++;
}

/* The name of the collection that comes next goes into the table of names, once there are many. */
static mn_status note_name(struct mni_batch *batch)
{
    size_t index = batch->n_collections;

    if (index + 1 < NAMES_FROM && batch->n_names == 0)
        return MN_OK;
    if (batch->n_named >= batch->n_names / 2) {
        size_t n_names = NAMES_FROM * 4;
        while (n_names < (index + 1) * 4)
            n_names *= 2;
        uint32_t *names = mni_alloc_zero(n_names * sizeof *names);
        if (names == NULL)
            return MN_ERR_NOMEM;
        mni_free(batch->names);
        batch->names = names;
        batch->n_names = n_names;
        batch->n_named = 0;
        for (size_t i = 0; i < index; i++)
            if (batch->collections[i].key != NULL)
                add_name(batch, &batch->collections[i], i);
    }
    add_name(batch, &batch->collections[index], index);
    return MN_OK;
}

mn_status mni_batch_collection(struct mni_batch *batch, enum mni_kind kind, struct mn_slice name,
                               bool creates, size_t *index_out, struct mn_error *err)
{
    size_t key_bytes = 1 + name.n_bytes;
    struct batch_collection *c;

    if (mni_batch_has_collection(batch, kind, name, index_out)) {
        c = &batch->collections[*index_out];
        c->creates = c->creates || creates;
        return MN_OK;
    }
    c = next_collection(batch, err);
    if (c == NULL)
        return MN_ERR_NOMEM;
    if (batch_take_state(batch))
        batch->is_stale = true;
    *c = (struct batch_collection){.key_bytes = key_bytes, .creates = creates};
    c->key = mni_alloc(key_bytes);
    if (c->key == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a name of %zu bytes", name.n_bytes);
    c->key[0] = (unsigned char)kind;
    memcpy(c->key + 1, name.data, name.n_bytes);
    mn_status st = batch_look_up(batch, c, err);
    c->first_number = c->known.number;
    if (st == MN_OK)
        st = number_in_snapshot(batch, kind, name, &c->first_number, err);
    if (st == MN_OK && note_name(batch) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a batch of %zu collections", batch->n_collections + 1);
    if (st != MN_OK) {
        mni_free(c->key);
        return st;
    }
    *index_out = batch->n_collections++;
    return MN_OK;
}

void mni_batch_forget_collection(struct mni_batch *batch, size_t index)
{
    MNI_CHECK(index + 1 == batch->n_collections);
    batch->n_collections = index;
    mni_free(batch->collections[index].key);
    MNI_CHECK(batch->collections[index].fields == NULL && batch->collections[index].name == NULL);
}

const char *batch_label(const struct batch_collection *c, char room[LABEL_BYTES])
{
    const struct mn_slice name = {.data = c->key + 1, .n_bytes = c->key_bytes - 1};
    char text[MNI_QUOTED_NAME_BYTES];

    if (c->key[0] == MNI_KIND_SPACE || c->key[0] == MNI_KIND_HISTORY)
        (void)snprintf(room, LABEL_BYTES, "%sspace %" PRIu32,
                       c->key[0] == MNI_KIND_HISTORY ? "history of " : "",
                       mni_space_of_key(c->key + 1));
    else if (c->key[0] == MNI_KIND_TENANT)
        (void)snprintf(room, LABEL_BYTES, "tenant %" PRIu64, mni_tenant_of_key(c->key + 1));
    else
        (void)snprintf(room, LABEL_BYTES, "namespace %s", mni_quote(name, text, sizeof text));
    return room;
}

mn_status mni_batch_create(struct mni_batch *batch, size_t collection_index, uint32_t dimension,
                           bool must_be_new, struct mn_error *err)
{
    struct batch_collection *c = &batch->collections[collection_index];

    MNI_CHECK(dimension <= MN_DIMENSIONS_MAX);
    if (c->dimension != 0 && dimension != 0 && c->dimension != dimension)
        return mni_fail(err, MN_ERR_DIMENSION, "two dimensions, %" PRIu32 " and %" PRIu32,
                        c->dimension, dimension);
    c->creates = true;
    c->must_be_new = must_be_new;
    if (dimension != 0)
        c->dimension = dimension;
    return MN_OK;
}

void mni_batch_drop(struct mni_batch *batch, size_t collection_index)
{
    struct batch_collection *c = &batch->collections[collection_index];

    c->drops = true;
    if (c->key[0] == MNI_KIND_SPACE)
        batch->is_stale = true; /* the first look noted no name */
}

void batch_require_as(struct mni_batch *batch, size_t index, const struct mni_collection *seen)
{
    struct batch_collection *c = &batch->collections[index];

    c->must_exist = true;
    c->has_seen = c->key != NULL && c->key[0] == MNI_KIND_SPACE && seen->number != 0;
    c->seen = seen->settings;
    c->seen_number = seen->number;
}

struct mni_space_settings mni_batch_settings(const struct mni_batch *batch, size_t index)
{
    MNI_CHECK(index < batch->n_collections);
    return batch->collections[index].seen;
}

uint32_t mni_batch_require(struct mni_batch *batch, size_t collection_index)
{
    struct batch_collection *c = &batch->collections[collection_index];

    batch_require_as(batch, collection_index, &c->known);
    return c->known.number != 0 ? c->known.dimension : 0;
}

/* Operations by key ---------- */

static uint64_t op_hash(size_t collection_index, struct mn_slice key)
{
    uint64_t hash = mni_hash(key.data, key.n_bytes, collection_index);
    return hash == 0 ? 1 : hash;
}

static bool op_is(const struct batch_op *op, uint64_t hash, size_t collection_index,
                  struct mn_slice key)
{
    struct mni_record record;

    if (op->hash != hash || op->collection_index != collection_index)
        return false;
    mni_record_view(mni_version_bytes(op->version), &record);
    return record.key.n_bytes == key.n_bytes && memcmp(record.key.data, key.data, key.n_bytes) == 0;
}

/* Index of the operation on a key, n_ops when there is none. */
static size_t find_op(const struct mni_batch *batch, uint64_t hash, size_t collection_index,
                      struct mn_slice key)
{
    if (batch->n_slots == 0) {
        if (batch->n_ops == 1 && op_is(&batch->ops[0], hash, collection_index, key))
            return 0;
        return batch->n_ops;
    }
    for (size_t i = hash & (batch->n_slots - 1); batch->slots[i] != 0;
         i = (i + 1) & (batch->n_slots - 1)) {
        size_t op_index = batch->slots[i] - 1;
        if (op_is(&batch->ops[op_index], hash, collection_index, key))
            return op_index;
    }
    return batch->n_ops;
}

static void set_slot(struct mni_batch *batch, size_t op_index)
{
    size_t i = batch->ops[op_index].hash & (batch->n_slots - 1);

    while (batch->slots[i] != 0)
        i = (i + 1) & (batch->n_slots - 1);
    batch->slots[i] = (uint32_t)op_index + 1;
}

/* Room for one more operation: at most half of the slots are used. */
static mn_status reserve_op(struct mni_batch *batch)
{
    if (batch->n_ops == batch->ops_capacity) {
        size_t capacity = batch->ops_capacity == 0 ? 1 : batch->ops_capacity * 2;
        struct batch_op *ops = mni_realloc(batch->ops, capacity * sizeof *ops);
        if (ops == NULL)
            return MN_ERR_NOMEM;
        batch->ops = ops;
        batch->ops_capacity = capacity;
    }
    if (batch->n_ops == 0 || (batch->n_ops + 1) * 2 <= batch->n_slots)
        return MN_OK;
    size_t n_slots = batch->n_slots == 0 ? 16 : batch->n_slots * 2;
    uint32_t *slots = mni_alloc_zero(n_slots * sizeof *slots);
    if (slots == NULL)
        return MN_ERR_NOMEM;
    mni_free(batch->slots);
    batch->slots = slots;
    batch->n_slots = n_slots;
    for (size_t i = 0; i < batch->n_ops; i++)
        set_slot(batch, i);
    return MN_OK;
}

static mn_status check_dimension(const struct batch_collection *c, const struct mni_record *record,
                                 struct mn_error *err)
{
    uint32_t dimension = c->known.dimension != 0 ? c->known.dimension : c->dimension;
    char label[LABEL_BYTES];

    if (record->n_dims == 0 || dimension == 0 || record->n_dims == dimension)
        return MN_OK;
    if (c->known.dimension != 0)
        return mni_fail(err, MN_ERR_DIMENSION, "vector has %" PRIu32 " dimensions, %s has %" PRIu32,
                        record->n_dims, batch_label(c, label), dimension);
    return mni_fail(err, MN_ERR_DIMENSION,
                    "vector has %" PRIu32 " dimensions, an earlier one of this batch has %" PRIu32,
                    record->n_dims, dimension);
}

mn_status mni_batch_add(struct mni_batch *batch, size_t collection_index,
                        const struct mni_record *record, enum mni_condition condition,
                        uint64_t condition_lsn, size_t *op_index_out, struct mn_error *err)
{
    struct batch_collection *c = &batch->collections[collection_index];
    size_t n_bytes = mni_record_encoded_bytes(record);
    struct mni_version *version = NULL;

    MNI_CHECK(collection_index < batch->n_collections);
    mn_status st = check_dimension(c, record, err);
    if (st != MN_OK)
        return st;
    if (batch->n_bytes + n_bytes > MN_BATCH_BYTES_MAX || batch->n_ops >= MN_BATCH_RECORDS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "the batch has more than %d MiB or %d records",
                        MN_BATCH_BYTES_MAX >> 20, MN_BATCH_RECORDS_MAX);
    st = reserve_memory(batch, n_bytes + OP_BYTES, record->type == MNI_RECORD_UPSERT, err);
    if (st != MN_OK)
        return st;
    batch->reserved_bytes += OP_BYTES;
    if (reserve_op(batch) != MN_OK ||
        mni_version_new(batch->engine->pool, n_bytes, &version) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a record of %zu bytes", n_bytes);
    budget_give_back(batch->engine, n_bytes); /* what was made of it counts itself */
    if (st != MN_OK)
        return st;
    mni_record_encode(record, mni_version_bytes(version));
    uint64_t hash = op_hash(collection_index, record->key);
    size_t op_index = find_op(batch, hash, collection_index, record->key);
    struct batch_op *op = &batch->ops[op_index];
    bool is_new = op_index == batch->n_ops;
    if (!is_new) {
        batch->n_bytes -= mni_record_bytes(mni_version_bytes(op->version));
        mni_version_unref(op->version);
    } else {
        batch->n_ops++;
    }
    *op = (struct batch_op){
        .version = version,
        .collection_index = collection_index,
        .condition = condition,
        .condition_lsn = condition_lsn,
        .hash = hash,
    };
    if (is_new && batch->n_slots > 0)
        set_slot(batch, op_index);
    batch->n_bytes += n_bytes;
    batch->has_puts = batch->has_puts || record->type == MNI_RECORD_UPSERT;
    if (record->n_dims > 0 && c->dimension == 0)
        c->dimension = record->n_dims;
    if (op_index_out != NULL)
        *op_index_out = op_index;
    return MN_OK;
}

size_t mni_batch_n_ops(const struct mni_batch *batch)
{
    return batch->n_ops;
}

struct mni_version *mni_batch_find(const struct mni_batch *batch, size_t collection_index,
                                   struct mn_slice key)
{
    size_t i = find_op(batch, op_hash(collection_index, key), collection_index, key);

    return i < batch->n_ops ? batch->ops[i].version : NULL;
}

bool mni_batch_existed(const struct mni_batch *batch, size_t op_index)
{
    MNI_CHECK(op_index < batch->n_ops);
    return batch->ops[op_index].existed;
}

bool mni_batch_collection_existed(const struct mni_batch *batch, size_t collection_index)
{
    MNI_CHECK(collection_index < batch->n_collections);
    return batch->collections[collection_index].existed;
}

void mni_batch_found(struct mni_batch *batch, size_t op_index, struct mni_found *found_out)
{
    MNI_CHECK(op_index < batch->n_ops);
    struct mni_version *version = batch->ops[op_index].version;
    /* The table has it as it is here: versions do not change. */
    engine_found_version(version, found_out);
    MNI_CHECK(found_out->record.type == MNI_RECORD_UPSERT);
    MNI_CHECK(found_out->lsn != 0);
    mni_version_ref(version);
}
