/*
 * drain.c - what is in use outlives its file: it is moved before the oldest generation goes.
 *
 * When the bound comes near, the entries of the oldest generation are looked through, a few with
 * every put. Those that were got most often since they were last written are written again, up to
 * a part of the generation; their heat is halved, so that they stay only if they are got again.
 *
 * Owns:    `drain`.
 * Threads: the caller holds write_lock.
 * Fails:   with what RocksDB answers to a write; a value that cannot be read is dropped.
 */
#include "base/check.h"
#include "diskcache/diskcache_private.h"

enum {
    WORK_FACTOR = 2,      /* bytes of entries looked at, per byte put, at least */
    HURRY_FACTOR = 4,     /* times what is left to be looked at, per byte that is free */
    MOVE_PERCENT = 75,    /* of a generation, at most */
    MOVES_PER_WRITE = 16, /* values of one write */
    SLACK_BUFFERS = 4,    /* dead bytes without a bound, in buffers, that are not worth the work */
};

struct move {
    uint32_t entry;
    uint64_t from; /* number */
    uint64_t to;
};

struct moves {
    struct move items[MOVES_PER_WRITE];
    uint32_t n;
};

/* The least heat at which the entries that have it fit into the part that may be moved. */
static uint32_t heat_for(const struct dc_index *x, const struct dc_generation *g,
                         uint64_t bytes_max)
{
    uint64_t bytes[DC_HEAT_MAX + 1] = {0};
    uint64_t sum = 0;
    uint32_t heat = DC_HEAT_MAX + 1;

    for (uint32_t e = g->head; e != DC_NO_ENTRY; e = dc_entry_at(x, e)->generation_next) {
        const struct dc_entry *entry = dc_entry_at(x, e);
        bytes[entry->heat] += dc_space_of_value(entry->id_bytes, entry->value_bytes);
    }
    while (heat > 1 && sum + bytes[heat - 1] <= bytes_max)
        sum += bytes[--heat];
    /* Of the next heat there are too many: some of them go along, as far as the bytes reach. */
    return heat > 1 ? heat - 1 : heat;
}

/* Without a bound nothing is evicted, but what is dead takes space. */
static bool is_mostly_dead(const struct mni_diskcache *c)
{
    const struct dc_index *x = &c->index;
    uint64_t written = 0;

    for (uint32_t i = 0; i < x->n_generations; i++)
        written += x->generations[i]->bytes_max;
    return written > 2 * (x->value_bytes + x->n_entries * DC_VALUE_OVERHEAD_BYTES) +
                         SLACK_BUFFERS * c->buffer_bytes;
}

/* Begins with the oldest generation, when it is time. */
static void begin(struct mni_diskcache *c)
{
    struct dc_index *x = &c->index;
    struct dc_generation *g = x->generations[0];

    if (!g->is_file || x->n_generations < 2)
        return;
    mni_rwlock_write(&c->index_lock);
    uint64_t live = g->value_bytes + g->n_entries * DC_VALUE_OVERHEAD_BYTES;
    if (c->max_bytes == UINT64_MAX) {
        if (is_mostly_dead(c))
            c->drain = (struct dc_drain){
                .first = g->first, .move_bytes = UINT64_MAX, .is_collection = true};
    } else if (dc_space_used(c) + c->buffer_bytes + live > c->max_bytes) {
        c->drain = (struct dc_drain){
            .first = g->first,
            .move_bytes = live / 100 * MOVE_PERCENT,
            .heat_min = heat_for(x, g, live / 100 * MOVE_PERCENT),
        };
    }
    if (c->drain.first != 0)
        g->cursor = g->head;
    mni_rwlock_unlock(&c->index_lock);
}

/* RocksDB has the copies: the index points to them now. */
static mn_status finish_moves(struct mni_diskcache *c, struct moves *moves, struct mn_error *err)
{
    struct dc_index *x = &c->index;
    mn_status st = moves->n == 0 ? MN_OK : dc_rocks_write(c->rocks, err);

    if (st != MN_OK)
        return st;
    mni_rwlock_write(&c->index_lock);
    for (uint32_t i = 0; i < moves->n; i++) {
        const struct move *m = &moves->items[i];
        struct dc_entry *entry = dc_entry_at(x, m->entry);
        /* It may have expired meanwhile. */
        if (entry->number != m->from)
            continue;
        entry->heat /= 2;
        dc_entry_move(x, m->entry, m->to);
        c->counts.n_moved++;
    }
    mni_rwlock_unlock(&c->index_lock);
    moves->n = 0;
    return MN_OK;
}

/* How much is to be looked at now, so that all is before the free space is used up: by what is put,
 * and by what is moved. A file may be smaller than what it holds, when that could be compressed. */
static void owe(struct mni_diskcache *c, const struct dc_generation *g, uint64_t put_bytes)
{
    mni_rwlock_write(&c->index_lock);
    uint64_t left = g->value_bytes + g->n_entries * DC_VALUE_OVERHEAD_BYTES;
    uint64_t used = dc_space_used(c);
    uint64_t n_free = used < c->max_bytes ? c->max_bytes - used : 1;
    mni_rwlock_unlock(&c->index_lock);
    if (put_bytes >= n_free || left / n_free >= left)
        c->drain.debt_bytes = left;
    else
        c->drain.debt_bytes += put_bytes * (WORK_FACTOR + HURRY_FACTOR * left / n_free);
}

/* Finds the next entry that is to be moved. False: there is none within a step, or enough was
 * looked at. `is_through_out` tells whether all of the generation was. */
static bool next_to_move(struct mni_diskcache *c, struct dc_generation *g, uint32_t *e_out,
                         struct dc_entry *entry_out, uint64_t *serial_out, bool *is_through_out)
{
    const struct dc_index *x = &c->index;
    bool is_found = false;

    mni_rwlock_write(&c->index_lock);
    for (uint32_t i = 0;
         i < DC_STEP && !is_found && c->drain.debt_bytes > 0 && g->cursor != DC_NO_ENTRY; i++) {
        const struct dc_entry *entry = dc_entry_at(x, g->cursor);
        const struct dc_space *s = x->spaces[entry->space];
        uint64_t bytes = dc_space_of_value(entry->id_bytes, entry->value_bytes);

        c->drain.debt_bytes -= bytes < c->drain.debt_bytes ? bytes : c->drain.debt_bytes;
        is_found = !s->is_cleared && entry->heat >= c->drain.heat_min &&
                   bytes <= c->drain.move_bytes && entry->expires_at_us > c->now_us;
        if (is_found) {
            *e_out = g->cursor;
            *entry_out = *entry;
            *serial_out = s->serial;
        }
        g->cursor = entry->generation_next;
    }
    *is_through_out = g->cursor == DC_NO_ENTRY;
    dc_unlock_step(c);
    return is_found;
}

/* Puts a copy where the newest values go. */
static mn_status move_one(struct mni_diskcache *c, uint32_t e, const struct dc_entry *entry,
                          uint64_t serial, struct moves *moves, struct mn_error *err)
{
    uint64_t bytes = dc_space_of_value(entry->id_bytes, entry->value_bytes);
    const struct dc_generation *newest = dc_generation_newest(&c->index);
    struct mn_slice id;
    struct mn_slice value;
    struct mn_error why;
    void *pin;
    mn_status st = MN_OK;

    if (newest->bytes_max > 0 && newest->bytes_max + bytes > c->buffer_bytes) {
        st = finish_moves(c, moves, err);
        if (st == MN_OK)
            st = dc_space_end_generation(c, false, err);
    }
    if (st != MN_OK)
        return st;
    if (!dc_space_has_room(c, bytes, 0)) {
        c->drain.move_bytes = 0;
        return MN_OK;
    }
    if (dc_value_get(c, entry, serial, NULL, &pin, &id, &value, &why) != MN_OK) {
        dc_lose(c, entry, &why);
        return MN_OK;
    }
    if (c->drain.move_bytes != UINT64_MAX)
        c->drain.move_bytes -= bytes;
    uint64_t number = dc_space_take(c, bytes);
    dc_value_put(c, number, serial, id, value);
    dc_rocks_free(pin);
    moves->items[moves->n++] = (struct move){e, entry->number, number};
    return moves->n == MOVES_PER_WRITE ? finish_moves(c, moves, err) : MN_OK;
}

mn_status dc_drain_step(struct mni_diskcache *c, uint64_t put_bytes, struct mn_error *err)
{
    struct dc_generation *g = c->index.generations[0];
    struct moves moves = {.n = 0};
    struct dc_entry entry;
    uint64_t serial = 0;
    uint32_t e = 0;
    bool is_through = false;
    mn_status st = MN_OK;

    if (c->drain.first == 0)
        begin(c);
    if (c->drain.first == 0)
        return MN_OK;
    MNI_CHECK(c->drain.first == g->first);
    owe(c, g, put_bytes);
    do {
        if (next_to_move(c, g, &e, &entry, &serial, &is_through))
            st = move_one(c, e, &entry, serial, &moves, err);
    } while (st == MN_OK && c->drain.debt_bytes > 0 && !is_through);
    if (st == MN_OK)
        st = finish_moves(c, &moves, err);
    if (st == MN_OK && is_through && c->drain.is_collection)
        st = dc_space_drop_oldest(c, err);
    return st;
}
