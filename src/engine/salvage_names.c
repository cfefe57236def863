/*
 * salvage_names.c - which collections a damaged store had, and what they are called.
 *
 * Records know the number of their collection only. Where the row of the catalogue is lost that
 * gives it a name, the records are worth more than the name: they get one that says so. Keys of
 * points are 16 bytes that hardly ever are UTF-8, which ids always are. Entries of a cache of
 * answers say themselves whose they are.
 *
 * Owns:    the names.
 * Threads: one.
 * Fails:   MN_ERR_NOMEM.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "engine/salvage_private.h"

enum { /* docs/format/catalogue.md */
       ENTRY_KEY_BYTES = 8,
       ENTRY_METADATA_MIN = 16, /* the tenant first */
       ENTRY_METADATA_MAX = 16 + 256,
};

mn_status salvage_names_new(struct salvage *s, struct mn_error *err)
{
    s->by_number = mni_alloc_zero(NAME_CHAINS * sizeof(struct salvage_name *));
    s->by_key = mni_alloc_zero(NAME_CHAINS * sizeof(struct salvage_name *));
    return s->by_number != NULL && s->by_key != NULL
               ? MN_OK
               : mni_fail(err, MN_ERR_NOMEM, "the list of collections");
}

void salvage_names_free(struct salvage *s)
{
    for (size_t i = 0; s->by_number != NULL && i < NAME_CHAINS; i++) {
        while (s->by_number[i] != NULL) {
            struct salvage_name *next = s->by_number[i]->next_of_number;
            mni_free(s->by_number[i]->space_name);
            mni_free(s->by_number[i]);
            s->by_number[i] = next;
        }
    }
    mni_free(s->by_number);
    mni_free(s->by_key);
}

static struct salvage_name **chain_of_number(struct salvage *s, uint64_t number)
{
    return &s->by_number[number % NAME_CHAINS];
}

static struct salvage_name **chain_of_key(struct salvage *s, struct mn_slice key)
{
    return &s->by_key[mni_hash(key.data, key.n_bytes, 0) % NAME_CHAINS];
}

static bool is_called(const struct salvage_name *n, struct mn_slice key)
{
    return n->key_bytes == key.n_bytes && memcmp(n->key, key.data, key.n_bytes) == 0;
}

static struct salvage_name *find_number(struct salvage *s, uint64_t number)
{
    struct salvage_name *n = *chain_of_number(s, number);

    while (n != NULL && n->number != number)
        n = n->next_of_number;
    return n;
}

static void set_key(struct salvage *s, struct salvage_name *n, struct mn_slice key)
{
    struct salvage_name **chain = chain_of_key(s, key);

    MNI_CHECK(key.n_bytes >= 2 && key.n_bytes <= sizeof n->key);
    memcpy(n->key, key.data, key.n_bytes);
    n->key_bytes = key.n_bytes;
    n->next_of_key = *chain;
    *chain = n;
}

static void forget_key(struct salvage *s, struct salvage_name *n)
{
    struct salvage_name **link = chain_of_key(s, (struct mn_slice){n->key, n->key_bytes});

    while (*link != n)
        link = &(*link)->next_of_key;
    *link = n->next_of_key;
    n->key_bytes = 0;
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

/* Notes what a row says of a space. */
static mn_status take_fields(struct salvage_name *n, const struct mni_record *row,
                             struct mn_error *err)
{
    struct space_fields fields;
    mn_status st = space_fields_decode(space_fields_of(row), &fields, err);

    if (st != MN_OK)
        return st;
    mni_free(n->space_name);
    n->space_name = NULL;
    n->space_name_bytes = 0;
    n->settings = fields.settings;
    if (fields.name.n_bytes == 0)
        return MN_OK;
    n->space_name = mni_alloc(fields.name.n_bytes);
    if (n->space_name == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "the list of collections");
    memcpy(n->space_name, fields.name.data, fields.name.n_bytes);
    n->space_name_bytes = fields.name.n_bytes;
    return MN_OK;
}

mn_status salvage_name_seen(struct salvage *s, const struct mni_record *row,
                            const struct mni_collection *c, uint64_t lsn, bool is_dead,
                            struct mn_error *err)
{
    struct salvage_name *n = find_number(s, c->number);

    if (n == NULL)
        n = add_number(s, c->number);
    if (n == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "the list of collections");
    if (n->key_bytes > 0 && lsn < n->lsn)
        return MN_OK;
    /* One and the same row may stand in two files, of which one knows that it died. */
    is_dead = is_dead || (n->key_bytes > 0 && lsn == n->lsn && n->is_dead);
    if (n->key_bytes > 0)
        forget_key(s, n);
    set_key(s, n, row->key);
    n->lsn = lsn;
    n->dimension = c->dimension;
    n->is_dead = is_dead;
    n->is_space = n->key[0] == MNI_KIND_SPACE;
    n->is_history = n->key[0] == MNI_KIND_HISTORY;
    return n->is_space ? take_fields(n, row, err) : MN_OK;
}

void salvage_name_dropped(struct salvage *s, struct mn_slice key, uint64_t lsn)
{
    for (struct salvage_name *n = *chain_of_key(s, key); n != NULL; n = n->next_of_key)
        if (is_called(n, key) && n->lsn < lsn)
            n->is_gone = true;
}

/* Of several collections of one name the newest has it: the others were dropped before. */
static bool has_successor(struct salvage *s, const struct salvage_name *n)
{
    struct mn_slice key = {n->key, n->key_bytes};

    for (const struct salvage_name *other = *chain_of_key(s, key); other != NULL;
         other = other->next_of_key)
        if (other != n && is_called(other, key) && other->lsn > n->lsn)
            return true;
    return false;
}

static void lose_space_name(struct salvage *s, struct salvage_name *n)
{
    struct mn_slice name = {.data = n->space_name, .n_bytes = n->space_name_bytes};
    char text[MNI_QUOTED_NAME_BYTES];

    salvage_damage(s, "the catalogue",
                   "space %" PRIu32 " is left without a name: a later one has %s",
                   mni_space_of_key(n->key + 1), mni_quote(name, text, sizeof text));
    n->space_name_bytes = 0;
}

/* Of several spaces of one name the newest has it: of the others it is not known that they were
 * dropped. `chains` are those of names. */
static void claim_space_name(struct salvage *s, struct salvage_name **chains,
                             struct salvage_name *n)
{
    struct salvage_name **chain =
        &chains[mni_hash(n->space_name, n->space_name_bytes, 0) % NAME_CHAINS];

    for (struct salvage_name *other = *chain; other != NULL; other = other->next_of_space_name) {
        if (other->space_name_bytes != n->space_name_bytes ||
            memcmp(other->space_name, n->space_name, n->space_name_bytes) != 0)
            continue;
        lose_space_name(s, other->lsn > n->lsn ? n : other);
        if (n->space_name_bytes == 0)
            return;
    }
    n->next_of_space_name = *chain;
    *chain = n;
}

static mn_status settle_space_names(struct salvage *s, struct mn_error *err)
{
    struct salvage_name **chains = mni_alloc_zero(NAME_CHAINS * sizeof(struct salvage_name *));

    if (chains == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "the list of collections");
    for (size_t i = 0; i < NAME_CHAINS; i++)
        for (struct salvage_name *n = s->by_number[i]; n != NULL; n = n->next_of_number)
            if (n->key_bytes > 0 && n->space_name_bytes > 0)
                claim_space_name(s, chains, n);
    mni_free(chains);
    return MN_OK;
}

mn_status salvage_names_settle(struct salvage *s, struct mn_error *err)
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
                forget_key(s, n);
    return settle_space_names(s, err);
}

bool salvage_is_wanted(struct salvage *s, uint64_t number)
{
    const struct salvage_name *n = find_number(s, number);
    bool is_all_known = (s->manifest.number != 0 || s->n_sources == 0) &&
                        s->is_every_segment_open && s->is_catalogue_whole && s->is_log_whole;

    if (number == 0)
        return false;
    return n != NULL ? !n->is_gone && !n->is_history : !is_all_known;
}

static bool is_taken(struct salvage *s, struct mn_slice key)
{
    for (const struct salvage_name *n = *chain_of_key(s, key); n != NULL; n = n->next_of_key)
        if (is_called(n, key))
            return true;
    return false;
}

/* A key that no other collection has, for a space or a namespace called `lost-<number>`. */
static void invent_key(struct salvage *s, struct salvage_name *n)
{
    unsigned char room[64];
    char text[48];
    struct mn_slice key;
    unsigned i = 1;

    do {
        (void)snprintf(text, sizeof text, i == 1 ? "lost-%" PRIu64 : "lost-%" PRIu64 "-%u",
                       n->number, i);
        room[0] = n->is_space ? MNI_KIND_SPACE : MNI_KIND_NAMESPACE;
        key = n->is_space ? mni_space_key(UINT32_MAX - (i - 1), room + 1) : mn_str(text);
        if (!n->is_space)
            memcpy(room + 1, text, key.n_bytes);
        key = (struct mn_slice){room, 1 + key.n_bytes};
        i++;
    } while (is_taken(s, key));
    set_key(s, n, key);
    s->report->n_lost_names++;
    if (n->is_space)
        salvage_damage(s, "the catalogue",
                       "number and name of a space are lost (of collection %" PRIu64
                       "); its points are in space %" PRIu32,
                       n->number, mni_space_of_key(n->key + 1));
    else
        salvage_damage(s, "the catalogue",
                       "the name of namespace %" PRIu64 " is lost; its records are in \"%s\"",
                       n->number, text);
}

static bool is_of_point(const struct mni_record *r)
{
    return r->key.n_bytes == MNI_POINT_KEY_BYTES && !mni_utf8_is_valid(r->key.data, r->key.n_bytes);
}

/* A version of a point, of a history whose row is lost. */
static bool is_of_version(const struct mni_record *r)
{
    return r->key.n_bytes == MNI_HISTORY_KEY_BYTES &&
           !mni_utf8_is_valid(r->key.data, r->key.n_bytes);
}

/* Whether an entry of a tenant, which has no name there, says whose it is. */
static bool is_of_tenant(const struct mni_record *r, uint64_t *tenant_out)
{
    const struct mn_slice m = r->metadata;

    if (r->type != MNI_RECORD_UPSERT || r->key.n_bytes != ENTRY_KEY_BYTES ||
        (r->fields & MNI_FIELD_EVENT_TIME) == 0 || r->element_type == MNI_ELEMENT_F32 ||
        m.n_bytes < ENTRY_METADATA_MIN || m.n_bytes > ENTRY_METADATA_MAX)
        return false;
    /* Metadata of others are text. */
    if (r->element_type == MNI_ELEMENT_NONE && (r->fields & MNI_FIELD_SECOND_KEY) == 0 &&
        memchr(m.data, 0, m.n_bytes) == NULL && mni_utf8_is_valid(m.data, m.n_bytes))
        return false;
    *tenant_out = mni_get_u64(m.data);
    return true;
}

/* Gives a collection back to the tenant that its entries name, but where another one is known to be
 * that: this one was dropped then, or comes from damage. */
static void claim_tenant(struct salvage *s, struct salvage_name *n, uint64_t tenant)
{
    unsigned char room[1 + MNI_TENANT_KEY_BYTES] = {MNI_KIND_TENANT};
    struct mn_slice key = {room, 1 + mni_tenant_key(tenant, room + 1).n_bytes};

    if (n->key_bytes > 0)
        forget_key(s, n);
    n->is_left_out = is_taken(s, key);
    if (!n->is_left_out)
        set_key(s, n, key);
    n->is_lost = !n->is_left_out;
    n->dimension = 0;
    if (n->is_left_out)
        salvage_damage(s, "the catalogue",
                       "the row of collection %" PRIu64 " is lost; its entries are left out, for "
                       "another one is known to be tenant %" PRIu64,
                       n->number, tenant);
    else
        salvage_damage(s, "the catalogue", "the row of tenant %" PRIu64 " is lost", tenant);
}

/* A name for a collection that has none. */
static void find_key(struct salvage *s, const struct mni_record *r, struct salvage_name *n)
{
    uint64_t tenant = 0;

    if (is_of_tenant(r, &tenant)) {
        claim_tenant(s, n, tenant);
        return;
    }
    n->dimension = 0;
    n->space_name_bytes = 0;
    n->is_lost = true;
    invent_key(s, n);
}

mn_status salvage_name_of(struct salvage *s, const struct mni_record *r,
                          const struct salvage_name **name_out, struct mn_error *err)
{
    struct salvage_name *n = find_number(s, r->collection);

    uint64_t tenant = 0;

    MNI_CHECK(n == NULL || !n->is_gone);
    *name_out = NULL;
    if (n == NULL && r->type != MNI_RECORD_UPSERT)
        return MN_OK;
    if (n == NULL) {
        n = add_number(s, r->collection);
        if (n == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "the list of collections");
        n->is_space = is_of_point(r);
        n->is_history = is_of_version(r);
    }
    bool is_nameless = n->key_bytes == 0 && !n->is_history && !n->is_left_out;
    if (is_nameless && r->type != MNI_RECORD_UPSERT)
        return MN_OK;
    if (is_nameless)
        find_key(s, r, n);
    /* The budget of a tenant, which comes before some entries, could be any namespace's. */
    else if (n->is_lost && n->key[0] == MNI_KIND_NAMESPACE && is_of_tenant(r, &tenant))
        claim_tenant(s, n, tenant);
    if (n->is_space && n->dimension == 0)
        n->dimension = r->n_dims;
    *name_out = n;
    return MN_OK;
}
