/*
 * salvage_names.c - which namespaces a damaged store had, and what they are called.
 *
 * Records know the number of their collection only. Where the row of the catalogue is lost that
 * gives it a name, the records are worth more than the name: they get one that says so.
 *
 * Owns:    the names.
 * Threads: one.
 * Fails:   MN_ERR_NOMEM.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/salvage_private.h"

mn_status salvage_names_new(struct salvage *s, struct mn_error *err)
{
    s->by_number = mni_alloc_zero(NAME_CHAINS * sizeof(struct salvage_name *));
    s->by_name = mni_alloc_zero(NAME_CHAINS * sizeof(struct salvage_name *));
    return s->by_number != NULL && s->by_name != NULL
               ? MN_OK
               : mni_fail(err, MN_ERR_NOMEM, "the list of namespaces");
}

void salvage_names_free(struct salvage *s)
{
    for (size_t i = 0; s->by_number != NULL && i < NAME_CHAINS; i++) {
        while (s->by_number[i] != NULL) {
            struct salvage_name *next = s->by_number[i]->next_of_number;
            mni_free(s->by_number[i]);
            s->by_number[i] = next;
        }
    }
    mni_free(s->by_number);
    mni_free(s->by_name);
}

static struct salvage_name **chain_of_number(struct salvage *s, uint64_t number)
{
    return &s->by_number[number % NAME_CHAINS];
}

static struct salvage_name **chain_of_name(struct salvage *s, struct mn_slice name)
{
    return &s->by_name[mni_hash(name.data, name.n_bytes, 0) % NAME_CHAINS];
}

static bool is_called(const struct salvage_name *n, struct mn_slice name)
{
    return n->name_bytes == name.n_bytes && memcmp(n->name, name.data, name.n_bytes) == 0;
}

static struct salvage_name *find_number(struct salvage *s, uint64_t number)
{
    struct salvage_name *n = *chain_of_number(s, number);

    while (n != NULL && n->number != number)
        n = n->next_of_number;
    return n;
}

static void set_name(struct salvage *s, struct salvage_name *n, struct mn_slice name)
{
    struct salvage_name **chain = chain_of_name(s, name);

    MNI_CHECK(name.n_bytes >= 1 && name.n_bytes <= sizeof n->name);
    memcpy(n->name, name.data, name.n_bytes);
    n->name_bytes = name.n_bytes;
    n->next_of_name = *chain;
    *chain = n;
}

static void forget_name(struct salvage *s, struct salvage_name *n)
{
    struct salvage_name **link = chain_of_name(s, (struct mn_slice){n->name, n->name_bytes});

    while (*link != n)
        link = &(*link)->next_of_name;
    *link = n->next_of_name;
    n->name_bytes = 0;
}

static struct salvage_name *add_number(struct salvage *s, uint64_t number)
{
    struct salvage_name **chain = chain_of_number(s, number);
    struct salvage_name *n = mni_alloc_zero(sizeof *n);

    if (n == NULL)
        return NULL;
    n->number = number;
    n->next_of_number = *chain;
    *chain = n;
    return n;
}

mn_status salvage_name_seen(struct salvage *s, struct mn_slice name, const struct mni_collection *c,
                            uint64_t lsn, bool is_dead, struct mn_error *err)
{
    struct salvage_name *n = find_number(s, c->number);

    if (n == NULL)
        n = add_number(s, c->number);
    if (n == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "the list of namespaces");
    if (n->name_bytes > 0 && lsn < n->lsn)
        return MN_OK;
    /* One and the same row may stand in two files, of which one knows that it died. */
    is_dead = is_dead || (n->name_bytes > 0 && lsn == n->lsn && n->is_dead);
    if (n->name_bytes > 0)
        forget_name(s, n);
    set_name(s, n, name);
    n->lsn = lsn;
    n->dimension = c->dimension;
    n->is_dead = is_dead;
    return MN_OK;
}

void salvage_name_dropped(struct salvage *s, struct mn_slice name, uint64_t lsn)
{
    for (struct salvage_name *n = *chain_of_name(s, name); n != NULL; n = n->next_of_name)
        if (is_called(n, name) && n->lsn < lsn)
            n->is_gone = true;
}

/* Of several collections of one name the newest has it: the others were dropped before. */
static bool has_successor(struct salvage *s, const struct salvage_name *n)
{
    struct mn_slice name = {n->name, n->name_bytes};

    for (const struct salvage_name *other = *chain_of_name(s, name); other != NULL;
         other = other->next_of_name)
        if (other != n && is_called(other, name) && other->lsn > n->lsn)
            return true;
    return false;
}

void salvage_names_settle(struct salvage *s)
{
    bool is_readable = s->is_every_segment_open && s->is_catalogue_whole;

    for (size_t i = 0; i < NAME_CHAINS; i++)
        for (struct salvage_name *n = s->by_number[i]; n != NULL; n = n->next_of_number)
            if (has_successor(s, n) || (n->is_dead && is_readable))
                n->is_gone = true;
    /* A row that died may have a successor that is lost: the name may be another one's. */
    for (size_t i = 0; i < NAME_CHAINS; i++)
        for (struct salvage_name *n = s->by_number[i]; n != NULL; n = n->next_of_number)
            if (n->is_dead || n->is_gone)
                forget_name(s, n);
}

bool salvage_is_wanted(struct salvage *s, uint64_t number)
{
    const struct salvage_name *n = find_number(s, number);
    bool is_all_known = (s->manifest.number != 0 || s->n_sources == 0) &&
                        s->is_every_segment_open && s->is_catalogue_whole && s->is_log_whole;

    if (number == 0)
        return false;
    return n != NULL ? !n->is_gone : !is_all_known;
}

static bool is_taken(struct salvage *s, struct mn_slice name)
{
    for (const struct salvage_name *n = *chain_of_name(s, name); n != NULL; n = n->next_of_name)
        if (is_called(n, name))
            return true;
    return false;
}

mn_status salvage_name_of(struct salvage *s, uint64_t number, const struct salvage_name **name_out,
                          struct mn_error *err)
{
    struct salvage_name *n = find_number(s, number);
    char text[64];

    MNI_CHECK(n == NULL || !n->is_gone);
    if (n == NULL)
        n = add_number(s, number);
    if (n == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "the list of namespaces");
    if (n->name_bytes == 0) {
        (void)snprintf(text, sizeof text, "lost-%" PRIu64, number);
        for (unsigned i = 2; is_taken(s, mn_str(text)); i++)
            (void)snprintf(text, sizeof text, "lost-%" PRIu64 "-%u", number, i);
        set_name(s, n, mn_str(text));
        n->dimension = 0;
        n->is_lost = true;
        s->report->n_lost_names++;
        salvage_damage(s, "the catalogue",
                       "the name of namespace %" PRIu64 " is lost; its records are in \"%s\"",
                       number, text);
    }
    *name_out = n;
    return MN_OK;
}
