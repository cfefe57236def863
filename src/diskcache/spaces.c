/*
 * spaces.c - the namespaces of the index.
 *
 * Owns:    the table of names.
 * Threads: the caller's lock.
 * Fails:   NULL when memory is short.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "diskcache/index_private.h"

enum { NAME_BUCKETS_MIN = 16, SPACES_MIN = 16 };

static struct dc_space **name_bucket(const struct dc_index *x, uint64_t hash)
{
    return &x->names[hash & (x->n_name_buckets - 1)];
}

struct dc_space *dc_space_find(const struct dc_index *x, struct mn_slice name)
{
    uint64_t hash = mni_hash(name.data, name.n_bytes, 0);

    if (x->n_names == 0)
        return NULL;
    struct dc_space *s = *name_bucket(x, hash);
    while (s != NULL && (s->name_hash != hash || s->name_bytes != name.n_bytes ||
                         memcmp(s->name, name.data, name.n_bytes) != 0))
        s = s->chain;
    return s;
}

static bool grow_names(struct dc_index *x)
{
    uint32_t n = x->n_name_buckets == 0 ? NAME_BUCKETS_MIN : x->n_name_buckets * 2;
    struct dc_space **old = x->names;
    uint32_t n_old = x->n_name_buckets;
    struct dc_space **grown = mni_alloc_zero(n * sizeof(struct dc_space *));

    if (grown == NULL)
        return false;
    x->names = grown;
    x->n_name_buckets = n;
    x->table_bytes += (n - n_old) * sizeof(struct dc_space *);
    for (uint32_t i = 0; i < n_old; i++)
        while (old[i] != NULL) {
            struct dc_space *s = old[i];
            old[i] = s->chain;
            s->chain = *name_bucket(x, s->name_hash);
            *name_bucket(x, s->name_hash) = s;
        }
    mni_free(old);
    return true;
}

/* A slot of the array that is free, or UINT32_MAX. */
static uint32_t take_slot(struct dc_index *x)
{
    while (x->free_space < x->n_spaces && x->spaces[x->free_space] != NULL)
        x->free_space++;
    if (x->free_space < x->n_spaces)
        return x->free_space;
    if (x->n_spaces == x->space_capacity) {
        uint32_t n = x->space_capacity == 0 ? SPACES_MIN : x->space_capacity * 2;
        struct dc_space **grown = mni_realloc(x->spaces, n * sizeof(struct dc_space *));
        if (grown == NULL)
            return UINT32_MAX;
        x->table_bytes += (n - x->space_capacity) * sizeof(struct dc_space *);
        x->spaces = grown;
        x->space_capacity = n;
    }
    x->spaces[x->n_spaces] = NULL;
    return x->n_spaces++;
}

struct dc_space *dc_space_add(struct dc_index *x, struct mn_slice name, uint64_t serial)
{
    if (x->n_names == x->n_name_buckets && !grow_names(x))
        return NULL;
    struct dc_space *s = mni_alloc_zero(sizeof *s);
    if (s == NULL)
        return NULL;
    s->name = mni_alloc(name.n_bytes);
    s->slot = s->name == NULL ? UINT32_MAX : take_slot(x);
    if (s->slot == UINT32_MAX) {
        mni_free(s->name);
        mni_free(s);
        return NULL;
    }
    memcpy(s->name, name.data, name.n_bytes);
    s->name_bytes = name.n_bytes;
    s->name_hash = mni_hash(name.data, name.n_bytes, 0);
    s->serial = serial;
    s->head = s->tail = DC_NO_ENTRY;
    s->chain = *name_bucket(x, s->name_hash);
    *name_bucket(x, s->name_hash) = s;
    x->spaces[s->slot] = s;
    x->n_names++;
    x->name_bytes += name.n_bytes;
    x->table_bytes += sizeof *s + name.n_bytes;
    return s;
}

struct dc_space *dc_space_get(struct dc_index *x, struct mn_slice name)
{
    struct dc_space *s = dc_space_find(x, name);

    if (s == NULL) {
        s = dc_space_add(x, name, x->next_serial);
        if (s != NULL)
            x->next_serial++;
    }
    return s;
}

static void leave_names(struct dc_index *x, struct dc_space *space)
{
    struct dc_space **at = name_bucket(x, space->name_hash);

    while (*at != space)
        at = &(*at)->chain;
    *at = space->chain;
    space->chain = NULL;
    x->n_names--;
    x->name_bytes -= space->name_bytes;
}

void dc_space_release_unused(struct dc_index *x, struct dc_space *space)
{
    if (space->head != DC_NO_ENTRY || space->n_holds > 0)
        return;
    MNI_CHECK(space->n_entries == 0);
    if (!space->is_cleared) {
        leave_names(x, space);
    } else {
        struct dc_space **at = &x->cleared;
        while (*at != space)
            at = &(*at)->chain;
        *at = space->chain;
    }
    x->spaces[space->slot] = NULL;
    if (space->slot < x->free_space)
        x->free_space = space->slot;
    x->table_bytes -= sizeof *space + space->name_bytes;
    mni_free(space->name);
    mni_free(space);
}

void dc_space_clear(struct dc_index *x, struct dc_space *space)
{
    MNI_CHECK(!space->is_cleared);
    MNI_CHECK(space->n_holds == 0);
    leave_names(x, space);
    x->n_names_used -= space->n_entries > 0;
    x->n_entries -= space->n_entries;
    x->value_bytes -= space->value_bytes;
    space->n_entries = 0;
    space->value_bytes = 0;
    space->is_cleared = true;
    space->chain = x->cleared;
    x->cleared = space;
    dc_space_release_unused(x, space);
}

void dc_index_tidy(struct dc_index *x, uint32_t n)
{
    /* The last entry takes its namespace along. */
    for (uint32_t i = 0; i < n && x->cleared != NULL; i++)
        dc_entry_remove(x, x->cleared->head);
}
