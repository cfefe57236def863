/*
 * live.c - the liveness of a segment in memory.
 *
 * Owns:    bits, remembered deaths and patches of each.
 * Threads: readers share, a writer is alone; the lock is the caller's.
 * Fails:   only reserving, with MN_ERR_NOMEM.
 */
#include "base/mem.h"
#include "segment/live_private.h"

enum {
    NODES_MIN = 16,
    SEEK_STEPS_MAX = 512, /* each a look-up, or 64 rows */
};

void mni_liveness_init(struct mni_liveness *live, uint32_t n_rows)
{
    MNI_CHECK(n_rows <= MNI_SEGMENT_ROWS_MAX);
    *live = (struct mni_liveness){.n_rows = n_rows};
}

void mni_liveness_done(struct mni_liveness *live)
{
    if (live == NULL)
        return;
    mni_free(live->dead);
    mni_free(live->lapsed);
    mni_free(live->nodes);
    live_map_done(&live->deaths);
    live_map_done(&live->patches);
    *live = (struct mni_liveness){0};
}

size_t mni_liveness_memory_bytes(const struct mni_liveness *live)
{
    size_t bits_bytes = live_words(live->n_rows) * sizeof(uint64_t);

    return (live->dead == NULL ? 0 : bits_bytes) + (live->lapsed == NULL ? 0 : bits_bytes) +
           live->nodes_capacity * sizeof *live->nodes + live_map_memory_bytes(&live->deaths) +
           live_map_memory_bytes(&live->patches);
}

/* Reserving ----------*/

static mn_status need_bits(const struct mni_liveness *live, uint64_t **bits)
{
    if (*bits == NULL)
        *bits = mni_alloc_zero(live_words(live->n_rows) * sizeof **bits);
    return *bits == NULL ? MN_ERR_NOMEM : MN_OK;
}

mn_status live_reserve_dead(struct mni_liveness *live)
{
    return need_bits(live, &live->dead);
}

/* Room for `n` more nodes than are reserved; as many nodes are reserved as rows in the map. */
static mn_status reserve_nodes(struct mni_liveness *live, size_t n)
{
    size_t need = live->n_nodes - live->n_free_nodes + live->patches.n_reserved;

    if (n > UINT32_MAX - 1 - need)
        return MN_ERR_NOMEM;
    need += n;
    if (need <= live->nodes_capacity)
        return MN_OK;
    size_t capacity = live->nodes_capacity < NODES_MIN ? NODES_MIN : live->nodes_capacity;
    while (capacity < need)
        capacity += capacity / 2;
    void *nodes = mni_realloc(live->nodes, capacity * sizeof *live->nodes);
    if (nodes == NULL)
        return MN_ERR_NOMEM;
    live->nodes = nodes;
    live->nodes_capacity = capacity;
    return MN_OK;
}

mn_status mni_liveness_reserve(struct mni_liveness *live, size_t n_deaths, size_t n_patches)
{
    mn_status st = MN_OK;

    if (n_deaths > 0) {
        st = live_reserve_dead(live);
        if (st == MN_OK)
            st = live_map_reserve(&live->deaths, n_deaths);
        if (st != MN_OK)
            return st;
    }
    if (n_patches > 0) {
        st = reserve_nodes(live, n_patches);
        if (st == MN_OK)
            st = live_map_reserve(&live->patches, n_patches);
        if (st != MN_OK)
            live->deaths.n_reserved -= n_deaths;
    }
    return st;
}

void mni_liveness_unreserve(struct mni_liveness *live, size_t n_deaths, size_t n_patches)
{
    MNI_CHECK(live->deaths.n_reserved >= n_deaths);
    MNI_CHECK(live->patches.n_reserved >= n_patches);
    live->deaths.n_reserved -= n_deaths;
    live->patches.n_reserved -= n_patches;
}

mn_status mni_liveness_reserve_lapsed(struct mni_liveness *live)
{
    return need_bits(live, &live->lapsed);
}

/* Deaths and lapses ----------*/

void live_bury(struct mni_liveness *live, uint32_t row)
{
    MNI_CHECK(row < live->n_rows);
    MNI_CHECK(!mni_live_bit(live->dead, row));
    live_set_bit(live->dead, row);
    live->n_dead++;
    if (live->lapsed != NULL && mni_live_bit(live->lapsed, row)) {
        live_clear_bit(live->lapsed, row);
        live->n_lapsed--;
    }
}

void mni_liveness_kill(struct mni_liveness *live, uint32_t row, uint64_t lsn)
{
    MNI_CHECK(lsn > 0);
    MNI_CHECK(live->deaths.n_reserved > 0);
    live_bury(live, row);
    if (live->deaths.n == 0 || lsn < live->oldest_death_lsn)
        live->oldest_death_lsn = lsn;
    if (live->deaths.n == 0 || lsn > live->newest_death_lsn)
        live->newest_death_lsn = lsn;
    live_map_add(&live->deaths, row, lsn);
}

void mni_liveness_lapse(struct mni_liveness *live, uint32_t row)
{
    MNI_CHECK(live->lapsed != NULL);
    MNI_CHECK(row < live->n_rows);
    if (!mni_liveness_is_live_now(live, row))
        return;
    live_set_bit(live->lapsed, row);
    live->n_lapsed++;
}

bool mni_liveness_died_after(const struct mni_liveness *live, uint32_t row, uint64_t view_lsn)
{
    if (live->newest_death_lsn <= view_lsn)
        return false;
    const uint64_t *lsn = live_map_find(&live->deaths, row);
    return lsn != NULL && *lsn > view_lsn;
}

/* Patches ----------*/

static struct mni_live_node *node_of(const struct mni_liveness *live, uint64_t link)
{
    MNI_DEBUG_CHECK(link > 0 && link <= live->n_nodes);
    return link == 0 ? NULL : &live->nodes[link - 1];
}

const struct mni_live_node *live_node_at(const struct mni_liveness *live, uint32_t row,
                                         uint64_t view_lsn)
{
    const uint64_t *head = live_map_find(&live->patches, row);
    const struct mni_live_node *node = head == NULL ? NULL : node_of(live, *head);

    while (node != NULL && node->lsn > view_lsn)
        node = node->older == 0 ? NULL : node_of(live, node->older);
    return node;
}

bool mni_liveness_find_patch(const struct mni_liveness *live, uint32_t row, uint64_t view_lsn,
                             struct mni_patch *patch_out)
{
    const struct mni_live_node *node = live_node_at(live, row, view_lsn);

    if (node == NULL)
        return false;
    *patch_out = (struct mni_patch){.lsn = node->lsn,
                                    .fields = node->fields,
                                    .clears = node->clears,
                                    .expires_at_us = node->expires_at_us,
                                    .hits = node->hits};
    return true;
}

/* An unused node, as link. */
static uint32_t take_node(struct mni_liveness *live)
{
    uint32_t link = live->free_node;

    if (link != 0) {
        live->free_node = live->nodes[link - 1].older;
        live->n_free_nodes--;
        return link;
    }
    MNI_CHECK(live->n_nodes < live->nodes_capacity);
    return (uint32_t)++live->n_nodes;
}

/* Frees a node and all below it. */
static void free_nodes(struct mni_liveness *live, uint32_t link)
{
    while (link != 0) {
        uint32_t older = live->nodes[link - 1].older;
        live->nodes[link - 1].older = live->free_node;
        live->free_node = link;
        live->n_free_nodes++;
        link = older;
    }
}

void live_add_node(struct mni_liveness *live, uint32_t row, const struct mni_patch *patch,
                   bool at_the_end)
{
    uint64_t *head = live_map_find(&live->patches, row);

    MNI_CHECK(live->patches.n_reserved > 0);
    uint32_t link = take_node(live);
    live->nodes[link - 1] = (struct mni_live_node){.lsn = patch->lsn,
                                                   .expires_at_us = patch->expires_at_us,
                                                   .hits = patch->hits,
                                                   .fields = (uint8_t)patch->fields,
                                                   .clears = (uint8_t)patch->clears};
    if (head == NULL) {
        live_map_add(&live->patches, row, link);
        return;
    }
    live->patches.n_reserved--;
    if (!at_the_end) {
        live->nodes[link - 1].older = (uint32_t)*head;
        *head = link;
        return;
    }
    struct mni_live_node *last = node_of(live, *head);
    while (last->older != 0)
        last = node_of(live, last->older);
    last->older = link;
}

void live_trim_nodes(struct mni_liveness *live, uint32_t row, uint64_t floor_lsn)
{
    const struct mni_live_node *node = live_node_at(live, row, floor_lsn);

    if (node == NULL)
        return;
    free_nodes(live, node->older);
    live->nodes[node - live->nodes].older = 0;
}

void mni_liveness_patch(struct mni_liveness *live, uint32_t row, const struct mni_patch *patch,
                        uint64_t floor_lsn)
{
    struct mni_patch sum = *patch;

    MNI_CHECK(row < live->n_rows);
    MNI_CHECK(live->dead == NULL || !mni_live_bit(live->dead, row));
    MNI_CHECK(patch->lsn > 0 && live->patches.n_reserved > 0);
    MNI_CHECK(((patch->fields | patch->clears) & ~(unsigned)LIVE_PATCH_FIELDS) == 0);
    MNI_CHECK((patch->fields & patch->clears) == 0);
    if ((sum.fields & MNI_FIELD_EXPIRY) == 0)
        sum.expires_at_us = 0;
    if ((sum.fields & MNI_FIELD_HITS) == 0)
        sum.hits = 0;
    const uint64_t *head = live_map_find(&live->patches, row);
    struct mni_live_node *newest = head == NULL ? NULL : node_of(live, *head);
    if (newest != NULL) {
        uint32_t changed = patch->fields | patch->clears;
        MNI_CHECK(newest->lsn <= patch->lsn);
        sum.fields |= newest->fields & ~changed;
        sum.clears |= newest->clears & ~changed;
        if ((changed & MNI_FIELD_EXPIRY) == 0)
            sum.expires_at_us = newest->expires_at_us;
        if ((changed & MNI_FIELD_HITS) == 0)
            sum.hits = newest->hits;
    }
    if (newest != NULL && newest->lsn == patch->lsn) { /* no view lies between */
        newest->fields = (uint8_t)sum.fields;
        newest->clears = (uint8_t)sum.clears;
        newest->expires_at_us = sum.expires_at_us;
        newest->hits = sum.hits;
        live->patches.n_reserved--;
    } else {
        live_add_node(live, row, &sum, false);
    }
    if (live->forgotten_lsn < floor_lsn && newest != NULL)
        live->forgotten_lsn = floor_lsn;
    live_trim_nodes(live, row, floor_lsn);
}

/* Forgetting ----------*/

static void forget_deaths(struct mni_liveness *live, uint64_t lsn)
{
    struct mni_live_map *deaths = &live->deaths;
    uint64_t oldest = UINT64_MAX;
    uint64_t newest = 0;

    if (deaths->n == 0 || live->oldest_death_lsn > lsn)
        return;
    for (size_t i = 0; i < deaths->capacity; i++) {
        while (deaths->rows[i] != LIVE_MAP_FREE && deaths->values[i] <= lsn)
            live_map_remove_slot(deaths, i);
        if (deaths->rows[i] == LIVE_MAP_FREE)
            continue;
        oldest = deaths->values[i] < oldest ? deaths->values[i] : oldest;
        newest = deaths->values[i] > newest ? deaths->values[i] : newest;
    }
    live->oldest_death_lsn = oldest;
    live->newest_death_lsn = newest;
    live_map_shrink(deaths);
}

/* Rows that no view sees need no patches, the others none below the one that the lowest sees. */
static void forget_patches(struct mni_liveness *live, uint64_t lsn)
{
    struct mni_live_map *patches = &live->patches;

    for (size_t i = 0; i < patches->capacity; i++) {
        while (patches->rows[i] != LIVE_MAP_FREE &&
               !mni_liveness_is_visible(live, patches->rows[i], lsn)) {
            free_nodes(live, (uint32_t)patches->values[i]);
            live_map_remove_slot(patches, i);
        }
        if (patches->rows[i] != LIVE_MAP_FREE)
            live_trim_nodes(live, patches->rows[i], lsn);
    }
    live_map_shrink(patches);
    if (live->n_free_nodes == live->n_nodes && patches->n_reserved == 0) {
        mni_free(live->nodes);
        live->nodes = NULL;
        live->n_nodes = live->nodes_capacity = live->n_free_nodes = 0;
        live->free_node = 0;
    }
}

void mni_liveness_raise_floor(struct mni_liveness *live, uint64_t lsn)
{
    if (live->forgotten_lsn < lsn)
        live->forgotten_lsn = lsn;
    if (live->patches.capacity > 0)
        forget_patches(live, lsn);
    forget_deaths(live, lsn < live->persisted_lsn ? lsn : live->persisted_lsn);
}

void mni_liveness_persisted(struct mni_liveness *live, uint64_t generation, uint64_t lsn)
{
    MNI_CHECK(generation >= live->generation);
    MNI_CHECK(lsn >= live->persisted_lsn);
    live->generation = generation;
    live->persisted_lsn = lsn;
}

/* Walking ----------*/

static uint64_t gone_word(const struct mni_liveness *live, size_t word)
{
    return (live->dead == NULL ? 0 : live->dead[word]) |
           (live->lapsed == NULL ? 0 : live->lapsed[word]);
}

uint64_t mni_liveness_count(const struct mni_liveness *live, uint32_t from, uint32_t to)
{
    MNI_CHECK(from <= to && to <= live->n_rows);
    uint64_t n = to - from;
    if (n == 0 || (live->n_dead == 0 && live->n_lapsed == 0))
        return n;
    size_t first = from / 64;
    size_t last = (to - 1) / 64;
    uint64_t first_mask = UINT64_MAX << (from % 64);
    uint64_t last_mask = UINT64_MAX >> (63 - (to - 1) % 64);
    if (first == last)
        return n - (uint64_t)__builtin_popcountll(gone_word(live, first) & first_mask & last_mask);
    n -= (uint64_t)__builtin_popcountll(gone_word(live, first) & first_mask);
    for (size_t word = first + 1; word < last; word++)
        n -= (uint64_t)__builtin_popcountll(gone_word(live, word));
    return n - (uint64_t)__builtin_popcountll(gone_word(live, last) & last_mask);
}

uint32_t mni_liveness_next_live(const struct mni_liveness *live, uint32_t from)
{
    if (from >= live->n_rows || (live->n_dead == 0 && live->n_lapsed == 0))
        return from < live->n_rows ? from : live->n_rows;
    uint64_t alive = ~gone_word(live, from / 64) & UINT64_MAX << (from % 64);
    for (size_t word = from / 64;;) {
        if (alive != 0) {
            uint64_t row = word * 64 + (unsigned)__builtin_ctzll(alive);
            return row < live->n_rows ? (uint32_t)row : live->n_rows;
        }
        if (++word == live_words(live->n_rows))
            return live->n_rows;
        alive = ~gone_word(live, word);
    }
}

uint32_t mni_liveness_last_live(const struct mni_liveness *live, uint32_t to)
{
    MNI_CHECK(to <= live->n_rows);
    if (to == 0)
        return live->n_rows;
    size_t word = (to - 1) / 64;
    uint64_t alive = ~gone_word(live, word) & UINT64_MAX >> (63 - (to - 1) % 64);
    for (; alive == 0 && word > 0; alive = ~gone_word(live, word))
        word--;
    return alive == 0 ? live->n_rows
                      : (uint32_t)(word * 64 + 63U - (unsigned)__builtin_clzll(alive));
}

/* How many of `n_dead` rows side by side are passed in one step, `n_left` being left of a word. It
 * is one, where some death is newer than the view. */
static uint32_t dead_run(const struct mni_liveness *live, int n_dead, uint32_t n_left,
                         uint64_t view_lsn)
{
    if (live->newest_death_lsn > view_lsn)
        return 1;
    return (uint32_t)n_dead < n_left ? (uint32_t)n_dead : n_left;
}

bool mni_liveness_seek_visible(const struct mni_liveness *live, uint32_t to, uint64_t view_lsn,
                               uint32_t *row)
{
    uint32_t at = *row;

    MNI_CHECK(to <= live->n_rows);
    for (int n = 0; at < to && n < SEEK_STEPS_MAX; n++) {
        if (mni_liveness_is_visible(live, at, view_lsn)) {
            *row = at;
            return true;
        }
        uint64_t alive = ~(live->dead[at / 64] >> (at % 64));
        at += dead_run(live, alive == 0 ? 64 : __builtin_ctzll(alive), 64 - at % 64, view_lsn);
    }
    *row = at < to ? at : to;
    return false;
}

bool mni_liveness_seek_visible_back(const struct mni_liveness *live, uint32_t from,
                                    uint64_t view_lsn, uint32_t *end)
{
    uint32_t at = *end;

    MNI_CHECK(at <= live->n_rows);
    for (int n = 0; at > from && n < SEEK_STEPS_MAX; n++) {
        uint32_t row = at - 1;
        if (mni_liveness_is_visible(live, row, view_lsn)) {
            *end = at;
            return true;
        }
        uint64_t alive = ~(live->dead[row / 64] << (63 - row % 64));
        at -= dead_run(live, alive == 0 ? 64 : __builtin_clzll(alive), row % 64 + 1, view_lsn);
    }
    *end = at > from ? at : from;
    return false;
}

uint32_t mni_liveness_next_visible(const struct mni_liveness *live, uint32_t from,
                                   uint64_t view_lsn)
{
    uint32_t row = from < live->n_rows ? from : live->n_rows;

    while (row < live->n_rows && !mni_liveness_seek_visible(live, live->n_rows, view_lsn, &row)) {
    }
    return row;
}

uint32_t live_next_bit(const uint64_t *bits, uint32_t n_rows, uint32_t from)
{
    if (from >= n_rows)
        return n_rows;
    uint64_t word = bits[from / 64] & UINT64_MAX << (from % 64);
    for (size_t i = from / 64;;) {
        if (word != 0)
            return (uint32_t)(i * 64 + (unsigned)__builtin_ctzll(word));
        if (++i == live_words(n_rows))
            return n_rows;
        word = bits[i];
    }
}

bool mni_liveness_unlapse(struct mni_liveness *live, uint32_t row)
{
    if (live->lapsed == NULL || !mni_live_bit(live->lapsed, row))
        return false;
    live_clear_bit(live->lapsed, row);
    live->n_lapsed--;
    return true;
}

uint64_t mni_liveness_count_lapsed(const struct mni_liveness *live, uint32_t from, uint32_t to)
{
    uint64_t n = 0;

    if (live->n_lapsed == 0)
        return 0;
    for (uint32_t row = mni_liveness_next_lapsed(live, from); row < to;
         row = mni_liveness_next_lapsed(live, row + 1))
        n++;
    return n;
}

uint32_t mni_liveness_next_lapsed(const struct mni_liveness *live, uint32_t from)
{
    if (live->n_lapsed == 0 || from >= live->n_rows)
        return live->n_rows;
    uint64_t bits = live->lapsed[from / 64] & (UINT64_MAX << (from % 64));
    for (uint32_t word = from / 64; word <= (live->n_rows - 1) / 64;) {
        if (bits != 0)
            return word * 64 + (uint32_t)__builtin_ctzll(bits);
        if (++word <= (live->n_rows - 1) / 64)
            bits = live->lapsed[word];
    }
    return live->n_rows;
}

static uint64_t bits_64(const uint64_t *bits, uint32_t n_rows, uint32_t row)
{
    if (bits == NULL || row >= n_rows)
        return 0;
    size_t word = row / 64;
    unsigned shift = row % 64;
    uint64_t low = bits[word] >> shift;
    if (shift == 0 || word + 1 == live_words(n_rows))
        return low;
    return low | bits[word + 1] << (64 - shift);
}

uint64_t mni_liveness_dead_64(const struct mni_liveness *live, uint32_t row)
{
    return bits_64(live->dead, live->n_rows, row);
}

uint64_t mni_liveness_lapsed_64(const struct mni_liveness *live, uint32_t row)
{
    return live->n_lapsed == 0 ? 0 : bits_64(live->lapsed, live->n_rows, row);
}
