/*
 * get.c - reading the disk cache.
 *
 * Owns:    nothing.
 * Threads: any number at once; files stay while they are read.
 * Fails:   walks with MN_ERR_NOMEM; a value that cannot be read is none.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "diskcache/diskcache_private.h"

/* Looks an entry up and counts the access, as if it went well. False: there is none. */
static bool find_for_get(struct mni_diskcache *c, struct mn_slice name, struct mn_slice id,
                         struct dc_entry *entry_out, uint64_t *serial_out)
{
    struct dc_space *s = NULL;

    mni_rwlock_write(&c->index_lock);
    uint32_t e = dc_find(c, name, id, &s);
    if (e == DC_NO_ENTRY) {
        c->counts.n_misses++;
        if (s != NULL)
            s->n_misses++;
    } else {
        struct dc_entry *entry = dc_entry_at(&c->index, e);
        c->counts.n_hits++;
        s->n_hits++;
        if (entry->access_count < UINT32_MAX)
            entry->access_count++;
        if (entry->heat < DC_HEAT_MAX)
            entry->heat++;
        *entry_out = *entry;
        *serial_out = s->serial;
    }
    mni_rwlock_unlock(&c->index_lock);
    return e != DC_NO_ENTRY;
}

/* It was no hit after all. */
static void count_as_miss(struct mni_diskcache *c, struct mn_slice name, uint64_t serial)
{
    mni_rwlock_write(&c->index_lock);
    struct dc_space *s = dc_space_find(&c->index, name);
    c->counts.n_hits--;
    c->counts.n_misses++;
    if (s != NULL && s->serial == serial) {
        s->n_hits--;
        s->n_misses++;
    }
    mni_rwlock_unlock(&c->index_lock);
}

mn_status mni_diskcache_get(struct mni_diskcache *c, struct mn_slice name, struct mn_slice id,
                            struct mn_diskcache_value *value_out)
{
    struct dc_entry entry;
    struct mn_slice stored_id;
    struct mn_slice value = {0};
    struct mn_error why;
    uint64_t serial = 0;
    void *pin = NULL;
    mn_status st = MN_NOT_FOUND;

    MNI_CHECK(c->magic == DC_MAGIC);
    *value_out = (struct mn_diskcache_value){0};
    mni_rwlock_read(&c->files_lock);
    bool is_there = find_for_get(c, name, id, &entry, &serial);
    if (is_there)
        st = dc_value_get(c, &entry, serial, &id, &pin, &stored_id, &value, &why);
    mni_rwlock_unlock(&c->files_lock);
    if (!is_there)
        return MN_NOT_FOUND;
    if (st != MN_OK) {
        count_as_miss(c, name, serial);
        if (st != MN_ERR_NOMEM)
            dc_lose(c, &entry, &why);
        return MN_NOT_FOUND;
    }
    *value_out = (struct mn_diskcache_value){
        .value = value,
        .created_at_us = entry.created_at_us,
        .has_expires_at = entry.expires_at_us != DC_NEVER,
        .expires_at_us = entry.expires_at_us == DC_NEVER ? 0 : entry.expires_at_us,
        .access_count = entry.access_count,
        .pin = pin,
    };
    return MN_OK;
}

void mni_diskcache_value_release(struct mn_diskcache_value *value)
{
    if (value == NULL)
        return;
    dc_rocks_free(value->pin);
    *value = (struct mn_diskcache_value){0};
}

mn_status mni_diskcache_info(struct mni_diskcache *c, struct mn_slice name, struct mn_slice id,
                             struct mn_diskcache_info *info_out)
{
    struct dc_space *s = NULL;

    MNI_CHECK(c->magic == DC_MAGIC);
    mni_rwlock_write(&c->index_lock);
    uint32_t e = dc_find(c, name, id, &s);
    if (e != DC_NO_ENTRY) {
        const struct dc_entry *entry = dc_entry_at(&c->index, e);
        info_out->value_bytes = entry->value_bytes;
        info_out->created_at_us = entry->created_at_us;
        info_out->has_expires_at = entry->expires_at_us != DC_NEVER;
        info_out->expires_at_us = info_out->has_expires_at ? entry->expires_at_us : 0;
        info_out->access_count = entry->access_count;
    }
    mni_rwlock_unlock(&c->index_lock);
    return e == DC_NO_ENTRY ? MN_NOT_FOUND : MN_OK;
}

/* Walking ----------*/

/* An entry that was there when the walk began. */
struct step {
    uint64_t number; /* by which they are ordered: as they lie on disk */
    uint64_t hash;
    uint32_t entry;
};

static int compare_steps(const void *a, const void *b)
{
    const struct step *x = a;
    const struct step *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

/* All entries of a namespace; `n_max` are there in `steps`. Returns how many there are. */
static uint64_t list_steps(struct mni_diskcache *c, struct mn_slice name, struct step *steps,
                           uint64_t n_max, uint64_t *serial_out)
{
    (void)dc_lock_now(c);
    const struct dc_space *s = dc_space_find(&c->index, name);
    uint64_t n = s == NULL ? 0 : s->n_entries;
    if (s != NULL && n <= n_max) {
        uint64_t i = 0;
        *serial_out = s->serial;
        for (uint32_t e = s->head; e != DC_NO_ENTRY; e = dc_entry_at(&c->index, e)->space_next) {
            const struct dc_entry *entry = dc_entry_at(&c->index, e);
            steps[i++] = (struct step){entry->number, entry->hash[0], e};
        }
        MNI_CHECK(i == n);
    }
    mni_rwlock_unlock(&c->index_lock);
    return n;
}

static mn_status collect(struct mni_diskcache *c, struct mn_slice name, struct step **steps_out,
                         uint64_t *n_out, uint64_t *serial_out, struct mn_error *err)
{
    struct step *steps = NULL;
    uint64_t n_max = 0;

    for (;;) {
        uint64_t n = list_steps(c, name, steps, n_max, serial_out);
        *n_out = n;
        if (n <= n_max)
            break;
        /* Others may put meanwhile. */
        n_max = n + n / 8;
        mni_free(steps);
        steps = mni_alloc_array(n_max, sizeof(struct step));
        if (steps == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "walk through the cache");
    }
    if (*n_out > 0)
        qsort(steps, *n_out, sizeof *steps, compare_steps);
    *steps_out = steps;
    return MN_OK;
}

/* The entry as it is now, wherever it was moved. */
static bool find_step(struct mni_diskcache *c, const struct step *step, uint64_t serial,
                      struct dc_entry *entry_out)
{
    bool is_there = false;

    mni_rwlock_write(&c->index_lock);
    if (step->entry < c->index.n_slots_used) {
        const struct dc_entry *entry = dc_entry_at(&c->index, step->entry);
        const struct dc_space *s = entry->number == 0 ? NULL : c->index.spaces[entry->space];
        is_there = s != NULL && !entry->is_ghost && !s->is_cleared && s->serial == serial &&
                   entry->hash[0] == step->hash &&
                   (entry->expires_at_us == DC_NEVER || entry->expires_at_us > dc_clock(c));
        if (is_there)
            *entry_out = *entry;
    }
    mni_rwlock_unlock(&c->index_lock);
    return is_there;
}

static mn_status show(struct mni_diskcache *c, const struct step *step, uint64_t serial,
                      mn_diskcache_each_fn *each, void *context, struct mn_error *err)
{
    struct mn_diskcache_entry shown = {0};
    struct dc_entry entry;
    struct mn_error why;
    void *pin = NULL;
    mn_status st = MN_OK;

    mni_rwlock_read(&c->files_lock);
    bool is_there = find_step(c, step, serial, &entry);
    if (is_there)
        st = dc_value_get(c, &entry, serial, NULL, &pin, &shown.id, &shown.value, &why);
    mni_rwlock_unlock(&c->files_lock);
    if (!is_there)
        return MN_OK;
    if (st == MN_ERR_NOMEM)
        return mni_fail(err, st, "%.400s", why.message);
    if (st != MN_OK) {
        dc_lose(c, &entry, &why);
        return MN_OK;
    }
    shown.created_at_us = entry.created_at_us;
    shown.has_expires_at = entry.expires_at_us != DC_NEVER;
    shown.expires_at_us = shown.has_expires_at ? entry.expires_at_us : 0;
    shown.access_count = entry.access_count;
    st = each(context, &shown);
    dc_rocks_free(pin);
    return st;
}

mn_status mni_diskcache_each(struct mni_diskcache *c, struct mn_slice name,
                             mn_diskcache_each_fn *each, void *context, struct mn_error *err)
{
    struct step *steps = NULL;
    uint64_t serial = 0;
    uint64_t n = 0;

    MNI_CHECK(c->magic == DC_MAGIC);
    mn_status st = collect(c, name, &steps, &n, &serial, err);
    for (uint64_t i = 0; i < n && st == MN_OK; i++)
        st = show(c, &steps[i], serial, each, context, err);
    mni_free(steps);
    return st;
}

/* Numbers ----------*/

void mni_diskcache_stats(struct mni_diskcache *c, struct mn_diskcache_stats *stats_out)
{
    MNI_CHECK(c->magic == DC_MAGIC);
    /* What is due goes before files_lock is taken: whoever wants that for writing would keep all
     * readers waiting meanwhile. */
    (void)dc_lock_now(c);
    mni_rwlock_unlock(&c->index_lock);
    mni_rwlock_read(&c->files_lock);
    (void)dc_lock_now(c);
    *stats_out = c->counts;
    stats_out->n_entries = c->index.n_entries;
    stats_out->value_bytes = c->index.value_bytes;
    stats_out->n_namespaces = c->index.n_names_used;
    stats_out->max_bytes = c->max_bytes == UINT64_MAX ? 0 : c->max_bytes;
    stats_out->disk_bytes = c->rocks == NULL ? 0 : dc_space_used(c);
    stats_out->index_bytes = c->index.table_bytes;
    stats_out->is_off = c->rocks == NULL;
    mni_rwlock_unlock(&c->index_lock);
    mni_rwlock_unlock(&c->files_lock);
}

mn_status mni_diskcache_space_stats(struct mni_diskcache *c, struct mn_slice name,
                                    struct mn_diskcache_namespace_stats *stats_out)
{
    mn_status st = MN_NOT_FOUND;

    MNI_CHECK(c->magic == DC_MAGIC);
    (void)dc_lock_now(c);
    const struct dc_space *s = dc_space_find(&c->index, name);
    if (s != NULL && s->n_entries > 0) {
        stats_out->n_entries = s->n_entries;
        stats_out->value_bytes = s->value_bytes;
        stats_out->n_puts = s->n_puts;
        stats_out->n_hits = s->n_hits;
        stats_out->n_misses = s->n_misses;
        stats_out->n_errors = s->n_errors;
        stats_out->n_expired = s->n_expired;
        stats_out->n_evicted = s->n_evicted;
        st = MN_OK;
    }
    mni_rwlock_unlock(&c->index_lock);
    return st;
}

struct listed {
    struct mn_slice name; /* into `text` */
    uint64_t n_entries;
};

static int compare_listed(const void *a, const void *b)
{
    return mni_key_compare(((const struct listed *)a)->name, ((const struct listed *)b)->name);
}

/* Copies the names, as far as there is room. Returns whether there was. */
static bool copy_names(struct mni_diskcache *c, struct listed *listed, char *text, uint64_t *n,
                       uint64_t *n_bytes)
{
    (void)dc_lock_now(c);
    bool is_enough = c->index.n_names <= *n && c->index.name_bytes <= *n_bytes;
    *n = c->index.n_names;
    *n_bytes = c->index.name_bytes;
    if (is_enough) {
        *n = 0;
        for (uint32_t i = 0; i < c->index.n_spaces; i++) {
            const struct dc_space *s = c->index.spaces[i];
            if (s == NULL || s->is_cleared || s->n_entries == 0)
                continue;
            memcpy(text, s->name, s->name_bytes);
            listed[(*n)++] = (struct listed){{text, s->name_bytes}, s->n_entries};
            text += s->name_bytes;
        }
    }
    mni_rwlock_unlock(&c->index_lock);
    return is_enough;
}

mn_status mni_diskcache_names(struct mni_diskcache *c, mn_diskcache_name_fn *each, void *context,
                              struct mn_error *err)
{
    struct listed *listed = NULL;
    char *text = NULL;
    uint64_t n = 0;
    uint64_t n_bytes = 0;
    mn_status st = MN_OK;

    MNI_CHECK(c->magic == DC_MAGIC);
    while (st == MN_OK && !copy_names(c, listed, text, &n, &n_bytes)) {
        mni_free(listed);
        mni_free(text);
        listed = mni_alloc_array(n, sizeof(struct listed));
        text = mni_alloc(n_bytes);
        if (listed == NULL || text == NULL)
            st = mni_fail(err, MN_ERR_NOMEM, "names of the cache");
    }
    if (st == MN_OK && n > 0)
        qsort(listed, n, sizeof *listed, compare_listed);
    for (uint64_t i = 0; i < n && st == MN_OK; i++)
        st = each(context, listed[i].name, listed[i].n_entries);
    mni_free(listed);
    mni_free(text);
    return st;
}

void mni_diskcache_note(struct mni_diskcache *c, char text_out[MN_ERROR_MESSAGE_BYTES])
{
    MNI_CHECK(c->magic == DC_MAGIC);
    mni_rwlock_write(&c->index_lock);
    memcpy(text_out, c->note, sizeof c->note);
    mni_rwlock_unlock(&c->index_lock);
}
