/*
 * signs.c - scopes, the sign codes of their entries, and the search among them.
 *
 * Owns:    scopes and codes.
 * Threads: a scan has the read side of the roster's lock, all else the write side.
 * Fails:   false when memory is short; then nothing has changed.
 *
 * Scopes have slots in their tenant, entries have slots in their scope, and what is there keeps its
 * slot: a scan goes on where it was. A slot that was given to another one meanwhile confuses
 * nobody: the new one was not there when the scan began.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kernel/kernel.h"
#include "semcache/roster_private.h"

enum {
    SCAN_BLOCK = 256, /* codes compared at once */
    SCOPE_COST = 16,  /* what going to the next scope takes, in codes */
};
static_assert(SHELF_CHUNK % SCAN_BLOCK == 0, "blocks lie within chunks");

/* Positions of a scan in a scope: first the slots with codes, then those without. */
static const uint64_t in_plain = UINT64_C(1) << 32;

struct scope {
    struct link link; /* in the tenant's map */
    uint64_t context;
    uint32_t slot;      /* in the tenant */
    uint32_t n_words;   /* of a code */
    struct slots coded; /* entries with an embedding, borrowed */
    struct shelf codes; /* by the same index */
    struct slots plain; /* those without */
    size_t n_model_bytes;
    unsigned char model[];
};

static uint32_t words_of(uint32_t n_dims)
{
    return (n_dims + MNI_SIGN_WORD_BITS - 1) / MNI_SIGN_WORD_BITS;
}

/* Scopes ---------- */

static struct scope *scope_of(const struct link *link)
{
    return (struct scope *)((uintptr_t)link - offsetof(struct scope, link));
}

static uint64_t hash_of(struct mn_slice model, uint64_t context, uint64_t seed)
{
    const uint64_t both[2] = {mni_hash(model.data, model.n_bytes, seed), context};

    return mni_hash(both, sizeof both, seed);
}

uint64_t roster_scope_hash(const struct link *link, uint64_t seed)
{
    const struct scope *scope = scope_of(link);

    return hash_of((struct mn_slice){scope->model, scope->n_model_bytes}, scope->context, seed);
}

static bool has_model(const struct scope *scope, struct mn_slice model)
{
    return scope->n_model_bytes == model.n_bytes &&
           (model.n_bytes == 0 || memcmp(scope->model, model.data, model.n_bytes) == 0);
}

static bool matches(const struct scope *scope, const struct mn_slice *model,
                    const uint64_t *context)
{
    return (context == NULL || scope->context == *context) &&
           (model == NULL || has_model(scope, *model));
}

bool roster_in_scope(const struct entry *entry, const struct mn_slice *model,
                     const uint64_t *context)
{
    return matches(entry->scope, model, context);
}

static struct scope *find_scope(const struct tenant *tenant, struct mn_slice model,
                                uint64_t context)
{
    struct link *link = map_chain(&tenant->scopes, hash_of(model, context, tenant->scopes.seed));

    while (link != NULL && !matches(scope_of(link), &model, &context))
        link = link->next;
    return link == NULL ? NULL : scope_of(link);
}

static uint64_t scope_bytes(size_t n_model_bytes)
{
    return block_bytes(sizeof(struct scope) + n_model_bytes);
}

static struct scope *add_scope(struct roster *roster, struct tenant *tenant, struct mn_slice model,
                               uint64_t context)
{
    struct scope *scope = NULL;
    uint32_t slot;

    if (!roster_slots_next(&tenant->scope_slots, &slot, &roster->memory_bytes) ||
        !roster_map_widen(&tenant->scopes, &roster->memory_bytes))
        return NULL;
    scope = mni_alloc_zero(sizeof *scope + model.n_bytes);
    if (scope == NULL)
        return NULL;
    roster->memory_bytes += scope_bytes(model.n_bytes);
    scope->context = context;
    slots_init(&scope->coded);
    slots_init(&scope->plain);
    scope->n_model_bytes = model.n_bytes;
    if (model.n_bytes > 0)
        memcpy(scope->model, model.data, model.n_bytes);
    scope->slot = roster_slots_take(&tenant->scope_slots, scope);
    roster_map_put(&tenant->scopes, &scope->link);
    return scope;
}

static void free_if_empty(struct roster *roster, struct tenant *tenant, struct scope *scope)
{
    if (scope->coded.n + scope->plain.n > 0)
        return;
    roster_map_remove(&tenant->scopes, &scope->link, &roster->memory_bytes);
    roster_slots_give(&tenant->scope_slots, scope->slot, &roster->memory_bytes);
    roster_shelf_done(&scope->coded.items, &roster->memory_bytes);
    roster_shelf_done(&scope->codes, &roster->memory_bytes);
    roster_shelf_done(&scope->plain.items, &roster->memory_bytes);
    roster->memory_bytes -= scope_bytes(scope->n_model_bytes);
    mni_free(scope);
}

/* Entries in them ---------- */

static bool add_code(struct roster *roster, struct scope *scope, struct entry *entry,
                     const struct roster_spec *spec)
{
    uint32_t n_words = words_of(spec->n_dims);
    uint32_t slot;

    if (scope->coded.n == 0) {
        MNI_CHECK(scope->codes.n_room == 0);
        scope->n_words = n_words;
        scope->codes.item_bytes = n_words * (uint32_t)sizeof(uint64_t);
    }
    MNI_CHECK(scope->n_words == n_words);
    if (!roster_slots_next(&scope->coded, &slot, &roster->memory_bytes) ||
        !roster_shelf_reserve(&scope->codes, slot + 1, &roster->memory_bytes))
        return false;
    memcpy(shelf_at(&scope->codes, slot), spec->signs, scope->codes.item_bytes);
    entry->scope_slot = roster_slots_take(&scope->coded, entry);
    return true;
}

static bool add_plain(struct roster *roster, struct scope *scope, struct entry *entry)
{
    uint32_t slot;

    if (!roster_slots_next(&scope->plain, &slot, &roster->memory_bytes))
        return false;
    entry->scope_slot = roster_slots_take(&scope->plain, entry);
    return true;
}

bool roster_scope_join(struct roster *roster, struct entry *entry, const struct roster_spec *spec)
{
    struct tenant *tenant = entry->tenant;
    struct scope *scope = find_scope(tenant, spec->model, spec->context);

    if (scope == NULL)
        scope = add_scope(roster, tenant, spec->model, spec->context);
    if (scope == NULL)
        return false;
    if (!(entry->has_signs ? add_code(roster, scope, entry, spec)
                           : add_plain(roster, scope, entry))) {
        if (scope->coded.n == 0) /* its size may be another one next time */
            roster_shelf_done(&scope->codes, &roster->memory_bytes);
        free_if_empty(roster, tenant, scope);
        return false;
    }
    entry->scope = scope;
    return true;
}

void roster_scope_part(struct roster *roster, struct entry *entry)
{
    struct scope *scope = entry->scope;

    roster_slots_give(entry->has_signs ? &scope->coded : &scope->plain, entry->scope_slot,
                      &roster->memory_bytes);
    if (scope->coded.n == 0)
        roster_shelf_done(&scope->codes, &roster->memory_bytes);
    entry->scope = NULL;
    free_if_empty(roster, entry->tenant, scope);
}

/* The best ---------- */

static bool is_worse(const struct roster_near *a, const struct roster_near *b)
{
    if (a->n_differing != b->n_differing)
        return a->n_differing > b->n_differing;
    return a->id != b->id ? a->id > b->id : a->lsn < b->lsn;
}

/* Puts `near` into the heap of `n`, the worst first, at `at` or below. */
static void sink(struct roster_near *best, struct roster_near near, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && is_worse(&best[child + 1], &best[child]);
        if (!is_worse(&best[child], &near))
            break;
        best[at] = best[child];
    }
    best[at] = near;
}

static void rise(struct roster_near *best, struct roster_near near, size_t at)
{
    for (; at > 0 && is_worse(&near, &best[(at - 1) / 2]); at = (at - 1) / 2)
        best[at] = best[(at - 1) / 2];
    best[at] = near;
}

static void add_near(struct roster_scan *scan, const struct entry *entry, uint32_t n_differing)
{
    const struct roster_near near = {entry->id, entry->lsn, n_differing};

    if (scan->n < scan->n_best)
        rise(scan->best, near, scan->n++);
    else if (is_worse(&scan->best[0], &near))
        sink(scan->best, near, 0, scan->n);
}

static void sort_best(struct roster_scan *scan)
{
    for (size_t end = scan->n; end > 1; end--) {
        struct roster_near last = scan->best[end - 1];

        scan->best[end - 1] = scan->best[0];
        sink(scan->best, last, 0, end - 1);
    }
}

/* The scan ---------- */

/* What is left of a slice: codes, or what takes about as long. It is looked at when something was
 * done, so that the smallest slice gets on. */
struct slice {
    size_t n_left;
    bool compares; /* the codes have the size of the query's */
};

static void spend(struct slice *slice, size_t n)
{
    slice->n_left = slice->n_left > n ? slice->n_left - n : 0;
}

static bool is_seen(const struct entry *entry, int64_t now_us)
{
    return entry != NULL && entry_is_found(entry) && entry->expires_at_us > now_us;
}

/* A block of codes. Only for those that may be among the best the entry is looked at. */
static void compare(const struct scope *scope, struct roster_scan *scan, uint32_t first, uint32_t n)
{
    uint32_t differing[SCAN_BLOCK];

    mni_kernels()->hamming(scan->signs, 1, shelf_at(&scope->codes, first), n, scope->n_words,
                           differing);
    scan->n_scanned += n;
    for (uint32_t i = 0; i < n; i++) {
        if (scan->n == scan->n_best && differing[i] > scan->best[0].n_differing)
            continue;
        const struct entry *entry = slots_at(&scope->coded, first + i);
        if (!is_seen(entry, scan->now_us))
            continue;
        scan->saw_scope = true;
        add_near(scan, entry, differing[i]);
    }
}

/* Looks for any entry in a block of slots. */
static void look(const struct slots *slots, struct roster_scan *scan, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n && !scan->saw_scope; i++)
        scan->saw_scope = is_seen(slots_at(slots, first + i), scan->now_us);
}

static bool scan_coded(const struct scope *scope, struct roster_scan *scan, struct slice *slice)
{
    while (scan->next_slot < scope->coded.n_used) {
        uint32_t first = (uint32_t)scan->next_slot;
        uint32_t n = SCAN_BLOCK - first % SCAN_BLOCK;
        if (!slice->compares && scan->saw_scope)
            break;
        if (n > scope->coded.n_used - first)
            n = scope->coded.n_used - first;
        if (slice->compares)
            compare(scope, scan, first, n);
        else
            look(&scope->coded, scan, first, n);
        spend(slice, n);
        scan->next_slot += n;
        if (slice->n_left == 0)
            return false;
    }
    scan->next_slot = in_plain;
    return true;
}

static bool scan_plain(const struct scope *scope, struct roster_scan *scan, struct slice *slice)
{
    while (!scan->saw_scope && scan->next_slot - in_plain < scope->plain.n_used) {
        uint32_t first = (uint32_t)(scan->next_slot - in_plain);
        uint32_t n = scope->plain.n_used - first;
        if (n > SCAN_BLOCK)
            n = SCAN_BLOCK;
        look(&scope->plain, scan, first, n);
        spend(slice, n);
        scan->next_slot += n;
        if (slice->n_left == 0)
            return false;
    }
    return true;
}

/* True: all of the scope is done. */
static bool scan_scope(const struct scope *scope, struct roster_scan *scan, struct slice *slice)
{
    if (scan->next_slot < in_plain && !scan_coded(scope, scan, slice))
        return false;
    if (!scan_plain(scope, scan, slice))
        return false;
    scan->next_slot = 0;
    return true;
}

/* All scopes that match, by slots. True: that was the last one. */
static bool scan_scopes(const struct tenant *tenant, struct roster_scan *scan, struct slice *slice)
{
    for (; scan->next_scope < tenant->scope_slots.n_used; scan->next_scope++) {
        const struct scope *scope = slots_at(&tenant->scope_slots, (uint32_t)scan->next_scope);
        if (slice->n_left == 0)
            return false;
        spend(slice, 1);
        if (scope == NULL || !matches(scope, scan->model, scan->context)) {
            scan->next_slot = 0;
            continue;
        }
        spend(slice, SCOPE_COST);
        if (!scan_scope(scope, scan, slice))
            return false;
    }
    return true;
}

bool roster_scan_on(const struct roster *roster, struct roster_scan *scan, size_t n_codes_max)
{
    const struct tenant *tenant = roster_tenant(roster, scan->tenant);
    struct slice slice = {.n_left = n_codes_max};
    bool is_done = true;

    MNI_CHECK(scan->n_best > 0);
    MNI_CHECK(n_codes_max > 0);
    if (tenant != NULL) {
        slice.compares = scan->signs != NULL && tenant->n_dims == scan->n_dims;
        if (scan->model != NULL && scan->context != NULL) {
            const struct scope *scope = find_scope(tenant, *scan->model, *scan->context);
            is_done = scope == NULL || scan_scope(scope, scan, &slice);
        } else {
            is_done = scan_scopes(tenant, scan, &slice);
        }
    }
    if (is_done)
        sort_best(scan);
    return !is_done;
}
