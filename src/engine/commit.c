/*
 * commit.c - from a batch to a commit: look up, judge, log, apply.
 *
 * Owns:    nothing; works on batches.
 * Threads: submit and finish run in the batch's thread; admit, publish and abandon in the log's
 *          leader, one group at a time.
 * Fails:   a commit that is refused or that the log fails has changed nothing.
 *
 * A batch looks its collections up before it is logged, so that numbers and dimensions stand in the
 * encoded records and the checksum is computed outside of the leader's role. The leader only checks
 * that those rows of the catalogue are still the newest; if not, the batch starts over.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/quote.h"
#include "engine/job_private.h"

enum { LOOK_UPS_AT_ONCE = 64 };

/* The answer of a leader that found the catalogue changed; never leaves this room but from
 * mni_batch_finish. */
static const mn_status look_again = MN_ERR_BUSY;

/* Submitting ---------- */

static bool writes_row(const struct batch_collection *c)
{
    if (c->key == NULL)
        return false;
    if (c->known.number == 0)
        return c->creates && !c->drops;
    return c->drops || (c->dimension != 0 && c->known.dimension == 0) ||
           (c->changes != 0 && !c->is_like);
}

/* A name that is to be a space's. */
static mn_status judge_name(const struct batch_collection *c, struct mn_error *err)
{
    const struct mn_slice name = {.data = c->key + 1, .n_bytes = c->key_bytes - 1};
    char text[MNI_QUOTED_NAME_BYTES];

    if (c->known.number == 0 || c->known.number == 1 + (uint64_t)c->space)
        return MN_OK;
    return mni_fail(err, MN_EXISTS, "space %" PRIu64 " has the name %s", c->known.number - 1,
                    mni_quote(name, text, sizeof text));
}

/* What a batch writes to a space may depend on what the space keeps. */
static bool is_as_seen(const struct batch_collection *c)
{
    return space_is_same(&c->seen, &c->known.settings) &&
           (!space_is_kept(&c->seen) || c->seen_number == c->known.number);
}

static mn_status judge_collection(const struct mni_batch *batch, const struct batch_collection *c,
                                  struct mn_error *err)
{
    if (c->key == NULL)
        return MN_OK;
    if (c->key[0] == MNI_KIND_SPACE_NAME)
        return judge_name(c, err);
    char label[LABEL_BYTES];
    if (c->must_be_new && c->known.number != 0)
        return mni_fail(err, MN_EXISTS, "%s exists", batch_label(c, label));
    if (batch->snapshot != NULL && c->first_number != 0 && c->known.number != c->first_number)
        return mni_fail(err, MN_ERR_CONFLICT, "%s was dropped meanwhile", batch_label(c, label));
    if (c->must_exist && c->known.number == 0)
        return mni_fail(err, MN_NOT_FOUND, "there is no %s", batch_label(c, label));
    bool is_other = c->altered_row_lsn != 0 && c->altered_row_lsn != c->row_lsn;
    if (is_other || (c->has_seen && !is_as_seen(c)))
        return mni_fail(err, MN_ERR_CONFLICT, "%s was altered meanwhile", batch_label(c, label));
    bool is_there = c->fields != NULL && c->changes == 0 && c->known.number != 0;
    if (is_there && c->known.dimension != c->dimension)
        return mni_fail(err, MN_EXISTS, "%s exists and has %" PRIu32 " dimensions",
                        batch_label(c, label), c->known.dimension);
    if (is_there && !c->is_like)
        return mni_fail(err, MN_EXISTS, "%s exists and has %s", batch_label(c, label),
                        c->has_name_like ? "other settings" : "another name");
    if (c->known.dimension != 0 && c->dimension != 0 && c->known.dimension != c->dimension)
        return mni_fail(err, MN_ERR_DIMENSION, "%s%" PRIu32 " dimensions, %s has %" PRIu32,
                        batch->n_ops > 0 ? "vector has " : "", c->dimension, batch_label(c, label),
                        c->known.dimension);
    return MN_OK;
}

static bool is_delete(const struct mni_change *change)
{
    struct mni_record r;

    mni_record_view(mni_version_bytes(change->version), &r);
    return r.type == MNI_RECORD_DELETE;
}

static void add_change(struct mni_batch *batch, struct mni_version *version, uint32_t op_index)
{
    unsigned char *bytes = mni_version_bytes(version);

    batch->change_ops[batch->n_changes] = op_index;
    batch->parts[batch->n_changes] = (struct mn_slice){bytes, mni_record_bytes(bytes)};
    mni_change_init(&batch->changes[batch->n_changes], version);
    batch->n_changes++;
    batch->table_bytes += mni_version_memory_bytes(version) + KEY_BYTES;
}

static mn_status add_catalogue_change(struct mni_batch *batch, const struct mni_record *record,
                                      struct mn_error *err)
{
    struct mni_version *version = NULL;

    if (mni_version_new(batch->engine->pool, mni_record_encoded_bytes(record), &version) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "catalogue row");
    mni_record_encode(record, mni_version_bytes(version));
    add_change(batch, version, UINT32_MAX);
    return MN_OK;
}

/* Says which space has a name, or that none has it any more. */
static mn_status add_name(struct mni_batch *batch, struct mn_slice key, bool is_gone,
                          uint32_t space, struct mn_error *err)
{
    unsigned char number[8];
    struct mni_record record = {.type = is_gone ? MNI_RECORD_DELETE : MNI_RECORD_UPSERT,
                                .key = key};

    mni_put_u64(number, space);
    if (!is_gone)
        record.payload = (struct mn_slice){number, sizeof number};
    return add_catalogue_change(batch, &record, err);
}

static mn_status add_row(struct mni_batch *batch, struct batch_collection *c, uint64_t new_number,
                         struct mn_error *err)
{
    unsigned char row[CATALOGUE_ROW_BYTES + SPACE_FIELDS_BYTES_MAX];
    struct mni_collection collection = c->known;
    struct mni_record record = {
        .type = c->drops ? MNI_RECORD_DELETE : MNI_RECORD_UPSERT,
        .key = {c->key, c->key_bytes},
    };

    if (c->drops && c->drop_node == NULL) {
        c->drop_node = mni_alloc_zero(sizeof *c->drop_node);
        if (c->drop_node == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "dropping a collection");
    }
    if (!c->drops) {
        if (c->known.number == 0)
            collection.number = new_number;
        if (collection.dimension == 0)
            collection.dimension = c->dimension;
        catalogue_row_encode(&collection, row);
        if (c->fields_bytes > 0)
            memcpy(row + CATALOGUE_ROW_BYTES, c->fields, c->fields_bytes);
        record.payload = (struct mn_slice){row, CATALOGUE_ROW_BYTES + c->fields_bytes};
        c->known.number = collection.number;
    }
    mn_status st = add_catalogue_change(batch, &record, err);
    /* It stands as long as the space does: nobody need look. */
    if (st == MN_OK && c->drops && c->name_bytes > 0)
        st = add_name(batch, (struct mn_slice){c->name, c->name_bytes}, true, 0, err);
    return st;
}

/* Rows of the catalogue that this commit writes, and the counter of numbers if it makes any. */
static mn_status add_rows(struct mni_batch *batch, struct mn_error *err)
{
    uint64_t next = 0;
    mn_status st = MN_OK;

    batch->checks_counter = false;
    for (size_t i = 0; i < batch->n_collections && st == MN_OK; i++) {
        struct batch_collection *c = &batch->collections[i];
        c->existed = c->known.number != 0;
        if (!writes_row(c))
            continue;
        if (c->key[0] == MNI_KIND_SPACE_NAME) {
            st = add_name(batch, (struct mn_slice){c->key, c->key_bytes}, false, c->space, err);
            continue;
        }
        if (!c->existed && next == 0) {
            engine_read_lock(batch->engine);
            next = batch->engine->counter.next_number;
            batch->counter_lsn = batch->engine->counter.lsn;
            engine_unlock(batch->engine);
            batch->checks_counter = true;
        }
        st = add_row(batch, c, next, err);
        if (!c->existed)
            next++;
    }
    if (st != MN_OK || !batch->checks_counter)
        return st;
    unsigned char bytes[8];
    batch->next_number = next;
    mni_put_u64(bytes, next);
    struct mni_record record = {
        .type = MNI_RECORD_UPSERT,
        .key = catalogue_counter_key(),
        .payload = {bytes, sizeof bytes},
    };
    return add_catalogue_change(batch, &record, err);
}

static mn_status reserve_changes(struct mni_batch *batch, struct mn_error *err)
{
    size_t n = batch->n_ops + 2 * batch->n_collections + 1; /* rows, names, the counter */

    if (batch->changes != NULL)
        return MN_OK;
    batch->changes = mni_alloc_zero(n * sizeof *batch->changes);
    batch->change_ops = mni_alloc_array(n, sizeof *batch->change_ops);
    batch->parts = mni_alloc_array(n, sizeof *batch->parts);
    if (batch->changes == NULL || batch->change_ops == NULL || batch->parts == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a batch of %zu records", batch->n_ops);
    return MN_OK;
}

/* Lets go of changes that will not be applied, for another try. */
static void forget_changes(struct mni_batch *batch)
{
    if (!batch->is_abandoned && !batch->is_applied)
        for (size_t i = 0; i < batch->n_changes; i++)
            mni_version_unref(batch->changes[i].version);
    if (batch->n_changes > 0)
        memset(batch->changes, 0, batch->n_changes * sizeof *batch->changes);
    batch->n_changes = 0;
    batch->table_bytes = 0;
    batch->n_catalogue_changes = 0;
    mni_free(batch->places);
    batch->places = NULL;
}

/* Asks the tables for some changes. What they need of the memory is fetched for all of them at
 * once. */
static void look_in_tables(struct mni_batch *batch, size_t first, size_t n, bool is_above_out[])
{
    struct mni_engine *engine = batch->engine;
    struct mni_memtable *active = batch->state->active->memtable;
    struct mni_memtable *frozen = batch->state->frozen != NULL ? batch->state->frozen->memtable
                                                               : NULL;

    engine_read_lock(engine);
    mni_memtable_prefetch(active, &batch->changes[first], n);
    if (frozen != NULL)
        mni_memtable_prefetch(frozen, &batch->changes[first], n);
    for (size_t i = 0; i < n; i++) {
        const struct mni_change *change = &batch->changes[first + i];
        uint64_t collection = mni_change_collection(change);
        struct mn_slice key = mni_change_key(change);
        bool is_active = mni_memtable_holds(active, change->hash, collection, key);
        bool is_frozen = frozen != NULL &&
                         mni_memtable_holds(frozen, change->hash, collection, key);
        batch->places[first + i].not_frozen = !is_frozen;
        is_above_out[i] = is_active || is_frozen;
    }
    engine_unlock(engine);
}

/* Finds what some changes supersede below the table. */
static mn_status find_some_places(struct mni_batch *batch, size_t first, size_t n,
                                  struct mn_error *err)
{
    const struct part_set *set = batch->state->parts;
    bool is_above[LOOK_UPS_AT_ONCE];
    mn_status st = MN_OK;

    look_in_tables(batch, first, n, is_above);
    for (size_t i = 0; i < n && st == MN_OK && set->n_parts > 0; i++) {
        struct mni_change *change = &batch->changes[first + i];
        struct place *place = &batch->places[first + i];
        bool not_frozen = place->not_frozen;
        if (i + 1 < n)
            set_prefetch(set, change[1].hash);
        if (!is_above[i])
            st = place_find(batch->engine, set, mni_change_collection(change),
                            mni_change_key(change), place, err);
        place->not_frozen = not_frozen;
        change->keeps = place->part != NULL && is_delete(change);
    }
    return st;
}

static mn_status find_places(struct mni_batch *batch, struct mn_error *err)
{
    const struct state *state = batch->state;
    mn_status st = MN_OK;

    if (state->frozen == NULL && state->parts->n_parts == 0)
        return MN_OK;
    batch->places = mni_alloc_zero(batch->n_changes * sizeof *batch->places);
    if (batch->places == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a batch of %zu records", batch->n_changes);
    for (size_t first = 0; first < batch->n_changes && st == MN_OK; first += LOOK_UPS_AT_ONCE) {
        size_t n = batch->n_changes - first;
        st = find_some_places(batch, first, n < LOOK_UPS_AT_ONCE ? n : LOOK_UPS_AT_ONCE, err);
    }
    return st;
}

/* The rows that a dropped collection has in parts. */
static mn_status find_dropped_rows(struct mni_batch *batch, struct batch_collection *c,
                                   struct mn_error *err)
{
    const struct part_set *set = batch->state->parts;

    mn_status st = MN_OK;

    part_free_dropped(&c->dropped_rows);
    if (!c->drops || c->known.number == 0)
        return MN_OK;
    for (size_t i = 0; i < set->n_parts && st == MN_OK; i++)
        st = part_find_dropped(set->parts[i], c->known.number, &c->dropped_rows, err);
    return st;
}

/* What an operation on a collection that does not exist answers: nothing is to be done. */
static mn_status judge_gone(const struct batch_collection *c, const struct batch_op *op,
                            struct mn_error *err)
{
    char label[LABEL_BYTES];

    switch (op->condition) {
    case MNI_ALWAYS:
    case MNI_IF_ABSENT:
        return MN_OK;
    case MNI_IF_LIVE:
        return mni_fail(err, MN_NOT_FOUND, "there is no %s", batch_label(c, label));
    case MNI_IF_LSN:
    case MNI_IF_UNCHANGED:
        return mni_fail(err, MN_CHANGED, "there is no %s", batch_label(c, label));
    }
    return MN_OK;
}

static mn_status add_ops(struct mni_batch *batch, struct mn_error *err)
{
    for (size_t i = 0; i < batch->n_ops; i++) {
        struct batch_op *op = &batch->ops[i];
        const struct batch_collection *c = &batch->collections[op->collection_index];
        op->existed = false;
        if (c->known.number == 0) {
            mn_status st = judge_gone(c, op, err);
            if (st != MN_OK)
                return st;
            continue;
        }
        mni_record_set_collection(mni_version_bytes(op->version), c->known.number);
        mni_version_ref(op->version);
        add_change(batch, op->version, (uint32_t)i);
    }
    return MN_OK;
}

/* Turns the batch into a commit of the log. */
static mn_status prepare(struct mni_batch *batch, mn_ack ack, struct mn_error *err)
{
    mn_status st = MN_OK;

    MNI_CHECK(!batch->is_applied && batch->n_changes == 0);
    batch->err = err;
    bool is_stale = batch_take_state(batch) || batch->is_stale || batch->snapshot != NULL;
    for (size_t i = 0; i < batch->n_collections && st == MN_OK; i++) {
        if (is_stale) /* its looks may be long ago, or at another state */
            st = batch_look_up(batch, &batch->collections[i], err);
        if (st == MN_OK)
            st = judge_collection(batch, &batch->collections[i], err);
        if (st == MN_OK)
            st = find_dropped_rows(batch, &batch->collections[i], err);
    }
    if (st == MN_OK)
        st = reserve_changes(batch, err);
    if (st == MN_OK)
        st = add_rows(batch, err);
    batch->n_catalogue_changes = batch->n_changes;
    if (st == MN_OK)
        st = add_ops(batch, err);
    if (st == MN_OK)
        st = find_places(batch, err);
    if (st == MN_OK)
        st = mni_commit_init(&batch->commit, batch->parts, batch->n_changes,
                             (uint32_t)batch->n_changes, ack, batch, err);
    if (st != MN_OK)
        forget_changes(batch);
    return st;
}

mn_status mni_batch_submit(struct mni_batch *batch, mn_ack ack, struct mn_error *err)
{
    if (batch->engine->read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    mn_status st = prepare(batch, ack, err);
    if (st == MN_OK && batch->n_changes > 0)
        mni_wal_submit(batch->engine->wal, &batch->commit);
    return st;
}

mn_status mni_batch_finish(struct mni_batch *batch, uint64_t *lsn_out)
{
    mn_status st = batch->commit.status;

    if (st == MN_OK && batch->n_changes > 0) {
        MNI_CHECK(batch->is_applied);
        for (size_t i = 0; i < batch->n_changes; i++)
            if (batch->change_ops[i] != UINT32_MAX)
                batch->ops[batch->change_ops[i]].existed = batch->changes[i].existed;
    }
    forget_changes(batch);
    batch->is_abandoned = false;
    batch->is_stale = true;
    if (st == MN_OK && lsn_out != NULL)
        *lsn_out = batch->commit.lsn;
    return st;
}

/* An answer is as durable as a commit would have been: it waits for what it was judged by. */
static mn_status answer_without_commit(struct mni_batch *batch, mn_ack ack, mn_status answer,
                                       struct mn_error *err)
{
    struct mni_commit commit;
    mn_status st = mni_commit_init(&commit, NULL, 0, 0, ack, NULL, err);

    if (st == MN_OK)
        st = mni_wal_commit(batch->engine->wal, &commit);
    return st == MN_OK ? answer : st;
}

/* Prepares and logs until a leader finds that nothing looked up has changed. */
static mn_status commit_once(struct mni_batch *batch, mn_ack ack, uint64_t *lsn_out,
                             struct mn_error *err)
{
    for (;;) {
        mn_status st = prepare(batch, ack, err);
        if (st == MN_OK && batch->n_changes == 0) {
            st = answer_without_commit(batch, ack, MN_OK, err);
            if (st == MN_OK && lsn_out != NULL)
                *lsn_out = 0;
            return st;
        }
        if (st == MN_OK) {
            mn_status logged = mni_wal_commit(batch->engine->wal, &batch->commit);
            st = mni_batch_finish(batch, lsn_out);
            MNI_CHECK(st == logged);
        }
        if (st > MN_OK)
            return answer_without_commit(batch, ack, st, err);
        if (st != look_again)
            return st;
    }
}

/* The log has no room for its next file. A checkpoint gives its files back; until another one
 * lets the newest go too, the commit has what is lent for them. Puts wait meanwhile, so that they
 * do not take it. `checkpoint_lock` is held. */
static mn_status commit_beside_checkpoints(struct mni_batch *batch, mn_ack ack, uint64_t *lsn_out,
                                           struct mn_error *err)
{
    struct mni_engine *engine = batch->engine;

    (void)reserve_make_room(engine);
    mn_status st = engine_checkpoint_now(engine, err);
    if (st == MN_OK)
        st = commit_once(batch, ack, lsn_out, err);
    while (st == MN_ERR_NO_SPACE && reserve_make_room(engine))
        st = commit_once(batch, ack, lsn_out, err);
    batch_drop_state(batch);
    if (st == MN_OK)
        mni_ignore(engine_checkpoint_now(engine, NULL));
    reserve_restore(engine);
    return st;
}

/* What takes away goes on when the disk is full. */
static mn_status commit_on_full_disk(struct mni_batch *batch, mn_ack ack, uint64_t *lsn_out,
                                     struct mn_error *err)
{
    struct mni_engine *engine = batch->engine;

    batch_drop_state(batch); /* it keeps files */
    mni_mutex_lock(&engine->checkpoint_lock);
    mn_status st = commit_once(batch, ack, lsn_out, err); /* another one may have made room */
    batch_drop_state(batch);
    if (st == MN_ERR_NO_SPACE)
        st = commit_beside_checkpoints(batch, ack, lsn_out, err);
    mni_mutex_unlock(&engine->checkpoint_lock);
    return st;
}

mn_status mni_batch_commit(struct mni_batch *batch, mn_ack ack, uint64_t *lsn_out,
                           struct mn_error *err)
{
    if (batch->n_collections == 0) {
        if (lsn_out != NULL)
            *lsn_out = 0;
        return MN_OK;
    }
    if (batch->engine->read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    if (batch->never_waits) {
        mn_status room = engine_has_room(batch->engine, batch->has_puts, err);
        if (room != MN_OK)
            return room;
    } else if (batch->has_puts) {
        if (atomic_load_explicit(&batch->engine->reserve_is_lent, memory_order_relaxed))
            batch_drop_state(batch); /* it will wait for a whole checkpoint */
        mn_status room = reserve_admit(batch->engine, err);
        if (room == MN_OK)
            room = engine_wait_for_room(batch, err);
        if (room != MN_OK)
            return room;
    }
    mn_status st = commit_once(batch, ack, lsn_out, err);
    if (st == MN_ERR_NO_SPACE && !batch->has_puts && !batch->is_a_sweep && !batch->never_waits)
        st = commit_on_full_disk(batch, ack, lsn_out, err);
    return st;
}

/* Judging, in the leader ---------- */

static void group_keys_reset(struct group_keys *keys)
{
    if (keys->n_keys > 0)
        memset(keys->slots, 0, sizeof keys->slots);
    keys->n_keys = 0;
    keys->is_full = false;
}

static bool group_keys_has(const struct group_keys *keys, uint64_t hash)
{
    hash |= hash == 0;
    if (keys->is_full)
        return true;
    for (size_t i = hash % GROUP_SLOTS; keys->slots[i] != 0; i = (i + 1) % GROUP_SLOTS)
        if (keys->slots[i] == hash)
            return true;
    return false;
}

static void group_keys_add(struct group_keys *keys, uint64_t hash)
{
    hash |= hash == 0;
    if (keys->is_full || group_keys_has(keys, hash))
        return;
    if (keys->n_keys == GROUP_KEYS_MAX) {
        keys->is_full = true;
        return;
    }
    size_t i = hash % GROUP_SLOTS;
    while (keys->slots[i] != 0)
        i = (i + 1) % GROUP_SLOTS;
    keys->slots[i] = hash;
    keys->n_keys++;
}

static mn_status judge_condition(struct mni_engine *engine, const struct batch_op *op,
                                 const struct mni_change *change, const struct place *place,
                                 struct mn_error *err)
{
    uint64_t collection = mni_change_collection(change);
    struct mn_slice key = mni_change_key(change);

    if (op->condition == MNI_ALWAYS)
        return MN_OK;
    if (op->condition == MNI_IF_UNCHANGED)
        return place_newest_lsn(engine, collection, key, place) == op->condition_lsn
                   ? MN_OK
                   : mni_fail(err, MN_CHANGED, "the record was changed meanwhile");
    uint64_t live_lsn = place_live_lsn(engine, collection, key, place, engine_view_now(engine));
    if (op->condition == MNI_IF_ABSENT && live_lsn != 0)
        return mni_fail(err, MN_EXISTS, "there is a record with this id");
    if (op->condition == MNI_IF_LIVE && live_lsn == 0)
        return mni_fail(err, MN_NOT_FOUND, "there is no record with this id");
    if (op->condition == MNI_IF_LSN && (live_lsn == 0 || live_lsn != op->condition_lsn))
        return mni_fail(err, MN_CHANGED, "the record is not the one of LSN %" PRIu64,
                        op->condition_lsn);
    return MN_OK;
}

/* Whether state and catalogue are still what the batch saw. */
static bool is_unchanged(struct mni_engine *engine, const struct mni_batch *batch)
{
    if (batch->state != engine->state)
        return false;
    for (size_t i = 0; i < batch->n_collections; i++) {
        const struct batch_collection *c = &batch->collections[i];
        struct mn_slice key = {c->key, c->key_bytes};
        if (c->key != NULL && place_newest_lsn(engine, 0, key, &c->place) != c->row_lsn)
            return false;
    }
    return !batch->checks_counter || engine->counter.lsn == batch->counter_lsn;
}

static mn_status judge_batch(struct mni_engine *engine, const struct mni_batch *batch)
{
    if (!is_unchanged(engine, batch))
        return look_again;
    for (size_t i = batch->n_catalogue_changes; i < batch->n_changes; i++) {
        const struct mni_change *change = &batch->changes[i];
        const struct place *place = batch->places != NULL ? &batch->places[i] : NULL;
        mn_status st =
            judge_condition(engine, &batch->ops[batch->change_ops[i]], change, place, batch->err);
        if (st == MN_NOT_FOUND && batch->snapshot != NULL)
            return mni_fail(batch->err, MN_ERR_CONFLICT,
                            "a record that this transaction touches is there no more");
        if (st != MN_OK)
            return st;
        if (batch->snapshot == NULL)
            continue;
        uint64_t newest =
            place_newest_lsn(engine, mni_change_collection(change), mni_change_key(change), place);
        if (newest > batch->snapshot->point.lsn)
            return mni_fail(batch->err, MN_ERR_CONFLICT,
                            "LSN %" PRIu64 " wrote a record that this transaction writes too",
                            newest);
    }
    return MN_OK;
}

static bool depends_on_group(const struct mni_engine *engine, const struct mni_batch *batch)
{
    for (size_t i = batch->n_catalogue_changes; i < batch->n_changes; i++) {
        const struct batch_op *op = &batch->ops[batch->change_ops[i]];
        if ((op->condition != MNI_ALWAYS || batch->snapshot != NULL) &&
            group_keys_has(&engine->group_keys, batch->changes[i].hash))
            return true;
    }
    return false;
}

enum mni_admit engine_admit(void *context, struct mni_commit *commit, bool is_first)
{
    struct mni_engine *engine = context;
    struct mni_batch *batch = commit->owner;

    if (is_first)
        group_keys_reset(&engine->group_keys);
    else if (depends_on_group(engine, batch))
        return MNI_NEXT_GROUP;
    engine_read_lock(engine);
    commit->status = judge_batch(engine, batch);
    engine_unlock(engine);
    if (commit->status != MN_OK)
        return MNI_REFUSE;
    mn_status st = mni_memtable_prepare(engine->table, batch->changes, batch->n_changes);
    if (st == MN_OK && batch->places != NULL) {
        st = places_reserve(engine, batch->places, batch->changes, batch->n_changes);
        if (st != MN_OK) {
            mni_memtable_cancel(engine->table, batch->changes, batch->n_changes);
            batch->is_abandoned = true;
        }
    }
    if (st != MN_OK) {
        commit->status =
            mni_fail(batch->err, MN_ERR_NOMEM, "room for %zu records", batch->n_changes);
        return MNI_REFUSE;
    }
    for (size_t i = 0; i < batch->n_changes; i++)
        group_keys_add(&engine->group_keys, batch->changes[i].hash);
    return batch->n_catalogue_changes > 0 ? MNI_ADMIT_LAST : MNI_ADMIT;
}

void engine_abandon_commit(void *context, struct mni_commit *commit)
{
    struct mni_engine *engine = context;
    struct mni_batch *batch = commit->owner;

    if (batch->places != NULL)
        places_cancel(engine, batch->places, batch->n_changes);
    mni_memtable_cancel(engine->table, batch->changes, batch->n_changes);
    batch->is_abandoned = true;
}

/* Publishing, in the leader ---------- */

void engine_note_drop(struct mni_engine *engine, struct dropped *node, struct dropped_rows *rows,
                      uint64_t collection, uint64_t lsn)
{
    mni_memtable_drop(engine->table, collection);
    if (engine->state->frozen != NULL)
        mni_memtable_drop(engine->state->frozen->memtable, collection);
    part_link_dropped(&rows);
    *node = (struct dropped){.collection = collection, .lsn = lsn};
    *engine->dropped_end = node;
    engine->dropped_end = &node->next;
}

void engine_reclaim(struct mni_engine *engine, uint64_t oldest_view_lsn, size_t n_max)
{
    struct dropped *node = engine->dropped;

    /* A frozen table goes as a whole. */
    if (node == NULL || oldest_view_lsn < node->lsn)
        return;
    if (!mni_memtable_reclaim(engine->table, node->collection, n_max))
        return;
    engine->dropped = node->next;
    if (engine->dropped == NULL)
        engine->dropped_end = &engine->dropped;
    mni_free(node);
}

static void apply_batch(struct mni_engine *engine, struct mni_batch *batch,
                        uint64_t oldest_view_lsn)
{
    struct apply_at at = {
        .lsn = batch->commit.lsn,
        .now_us = batch->commit.time_us,
        .oldest_view_lsn = oldest_view_lsn,
        .floor_lsn = engine_floor_lsn(engine, batch->commit.lsn),
    };

    if (batch->places == NULL) {
        mni_memtable_apply(engine->table, batch->changes, batch->n_changes, at.lsn, at.now_us,
                           oldest_view_lsn);
        return;
    }
    for (size_t i = 0; i < batch->n_changes; i++)
        place_apply(engine, &batch->changes[i], &batch->places[i], &at);
}

static void publish_batch(struct mni_engine *engine, struct mni_batch *batch,
                          uint64_t oldest_view_lsn)
{
    apply_batch(engine, batch, oldest_view_lsn);
    const struct written written = {.n_bytes = batch->commit.payload_bytes,
                                    .table_bytes = batch->table_bytes,
                                    .n_records = batch->n_changes};
    engine_count_unwritten(engine, &written);
    batch->is_applied = true;
    if (batch->n_catalogue_changes > 0)
        catalogue_forget_names(engine);
    if (batch->checks_counter)
        engine->counter =
            (struct counter){.next_number = batch->next_number, .lsn = batch->commit.lsn};
    for (size_t i = 0; i < batch->n_collections; i++) {
        struct batch_collection *c = &batch->collections[i];
        if (batch->n_catalogue_changes > 0)
            space_count_change(engine, c);
        if (!c->drops || !c->existed) /* an earlier try may have found one */
            continue;
        engine_note_drop(engine, c->drop_node, c->dropped_rows, c->known.number, batch->commit.lsn);
        c->drop_node = NULL;
        c->dropped_rows = NULL;
    }
}

void engine_publish(void *context, struct mni_commit *first)
{
    struct mni_engine *engine = context;
    uint64_t lsn = 0;

    engine_write_lock(engine);
    uint64_t oldest_view_lsn = engine_oldest_view_lsn(engine);
    for (struct mni_commit *c = first; c != NULL; c = c->next_in_group) {
        if (c->n_records == 0)
            continue;
        publish_batch(engine, c->owner, oldest_view_lsn);
        lsn = c->lsn;
    }
    (void)mni_memtable_collect(engine->table, oldest_view_lsn, COLLECT_PER_COMMIT);
    engine_reclaim(engine, oldest_view_lsn, RECLAIM_PER_COMMIT);
    atomic_store(&engine->visible_lsn, lsn);
    engine_unlock(engine);
}
