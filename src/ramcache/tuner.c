/*
 * tuner.c - how large the window should be: small simulations of other sizes say it.
 *
 * Owns:    one block with the nodes of all simulations.
 * Threads: the cache's lock is held.
 * Fails:   init, when there is no memory.
 *
 * A part of all keys, chosen by hash, is followed through four caches that only count, as much
 * smaller as the keys are fewer, each with its own share of window, up to all: LRU. What they hit
 * tells which share suits the workload (Waldspurger, Saemundsson, Ahmad, Park: Cache modeling and
 * optimization using miniature simulations, USENIX ATC 2017). They ask the sketch of the cache.
 */
#include "ramcache/ramcache_private.h"

enum {
    WINDOW,
    PROBATION,
    PROTECTED,
    N_LISTS, /* their heads are the first nodes */
    NOWHERE = N_LISTS,
    UNIT_BYTES = 16,
    NODES_MAX = 2048,
    NODES_MIN = 128,
    BYTES_ONE_IN = 32, /* the part of the cache that a tuner takes at most */
    PERIOD_PER_NODE = 4,
};

static const double SHARES[TUNER_SIMS] = {0.01, 0.1, 0.4, 1};
static const double PROTECTED_SHARE = 0.8;
/* How much better another share must be, in look-ups of those that count now. */
static const double MARGIN = 0.01;

struct node {
    uint64_t hash;
    uint32_t n_units;
    uint16_t newer;
    uint16_t older;
    uint16_t chained; /* of one slot; or of the free ones */
    uint8_t list;
};

struct tuner_sim {
    uint64_t n_units[N_LISTS];
    uint64_t n_hits; /* of this period */
    double score;    /* hits, older periods by half each */
    uint16_t free;   /* 0: none */
    struct node *nodes;
    uint16_t *slots;
};

static uint64_t sim_bytes(uint32_t n_nodes)
{
    return n_nodes * (sizeof(struct node) + sizeof(uint16_t));
}

uint32_t mni_ramcache_tuner_nodes(uint64_t max_bytes)
{
    uint32_t n = NODES_MAX;

    while (n >= NODES_MIN && sim_bytes(n) * TUNER_SIMS > max_bytes / BYTES_ONE_IN)
        n /= 2;
    return n >= NODES_MIN ? n : 0;
}

uint64_t mni_ramcache_tuner_charge(uint32_t n_nodes)
{
    return mni_ramcache_charge(TUNER_SIMS * (sizeof(struct tuner_sim) + sim_bytes(n_nodes)));
}

static void empty_sim(struct tuner_sim *sim, uint32_t n_nodes)
{
    memset(sim->n_units, 0, sizeof sim->n_units);
    memset(sim->slots, 0, n_nodes * sizeof *sim->slots);
    for (uint16_t i = 0; i < N_LISTS; i++)
        sim->nodes[i] = (struct node){.newer = i, .older = i, .list = NOWHERE};
    sim->free = 0;
    for (uint32_t i = n_nodes - 1; i >= N_LISTS; i--) {
        sim->nodes[i] = (struct node){.chained = sim->free, .list = NOWHERE};
        sim->free = (uint16_t)i;
    }
    sim->n_hits = 0;
    sim->score = 0;
}

static void empty_all(struct tuner *tuner)
{
    for (int i = 0; i < TUNER_SIMS; i++)
        empty_sim(&tuner->sims[i], tuner->n_nodes);
    tuner->n_accesses = 0;
    tuner->score = 0;
    tuner->is_warm = false;
}

bool mni_ramcache_tuner_init(struct tuner *tuner, uint32_t n_nodes)
{
    *tuner = (struct tuner){.n_nodes = n_nodes};
    if (n_nodes == 0)
        return true;
    tuner->sims = mni_alloc(TUNER_SIMS * (sizeof *tuner->sims + sim_bytes(n_nodes)));
    if (tuner->sims == NULL)
        return false;
    struct node *nodes = (struct node *)(void *)(tuner->sims + TUNER_SIMS);
    uint16_t *slots = (uint16_t *)(void *)(nodes + (size_t)TUNER_SIMS * n_nodes);
    for (uint32_t i = 0; i < TUNER_SIMS; i++) {
        tuner->sims[i].nodes = nodes + (size_t)i * n_nodes;
        tuner->sims[i].slots = slots + (size_t)i * n_nodes;
    }
    empty_all(tuner);
    return true;
}

void mni_ramcache_tuner_done(struct tuner *tuner)
{
    mni_free(tuner->sims);
    tuner->sims = NULL;
}

double mni_ramcache_tuner_share(const struct tuner *tuner)
{
    return SHARES[tuner->choice];
}

/* One simulation ----------*/

static void enter(struct tuner_sim *sim, uint16_t node, uint8_t list)
{
    struct node *nodes = sim->nodes;

    nodes[node].list = list;
    nodes[node].newer = list;
    nodes[node].older = nodes[list].older;
    nodes[nodes[list].older].newer = node;
    nodes[list].older = node;
    sim->n_units[list] += nodes[node].n_units;
}

static void leave(struct tuner_sim *sim, uint16_t node)
{
    struct node *nodes = sim->nodes;

    nodes[nodes[node].newer].older = nodes[node].older;
    nodes[nodes[node].older].newer = nodes[node].newer;
    sim->n_units[nodes[node].list] -= nodes[node].n_units;
    nodes[node].list = NOWHERE;
}

static void move(struct tuner_sim *sim, uint16_t node, uint8_t list)
{
    leave(sim, node);
    enter(sim, node, list);
}

/* The oldest of a list; 0 (no node of a key): it is empty. */
static uint16_t oldest(const struct tuner_sim *sim, uint8_t list)
{
    uint16_t node = sim->nodes[list].newer;

    return node < N_LISTS ? 0 : node;
}

static uint16_t *slot_of(const struct tuner *tuner, struct tuner_sim *sim, uint64_t hash)
{
    return &sim->slots[(hash >> 16) & (tuner->n_nodes - 1)];
}

static uint16_t find(const struct tuner *tuner, struct tuner_sim *sim, uint64_t hash)
{
    uint16_t node = *slot_of(tuner, sim, hash);

    while (node != 0 && sim->nodes[node].hash != hash)
        node = sim->nodes[node].chained;
    return node;
}

static void forget(const struct tuner *tuner, struct tuner_sim *sim, uint16_t node)
{
    uint16_t *slot = slot_of(tuner, sim, sim->nodes[node].hash);

    while (*slot != node)
        slot = &sim->nodes[*slot].chained;
    *slot = sim->nodes[node].chained;
    leave(sim, node);
    sim->nodes[node].chained = sim->free;
    sim->free = node;
}

static uint64_t main_units(const struct tuner_sim *sim)
{
    return sim->n_units[PROBATION] + sim->n_units[PROTECTED];
}

static uint16_t main_victim(const struct tuner_sim *sim)
{
    uint16_t node = oldest(sim, PROBATION);

    return node != 0 ? node : oldest(sim, PROTECTED);
}

/* What the oldest of the main part that make so much room are asked for, together. */
static unsigned victims_count(const struct tuner_sim *sim, const struct sketch *sketch,
                              uint64_t n_units, unsigned enough)
{
    uint8_t list = PROBATION;
    uint16_t at = PROBATION;
    uint64_t found = 0;
    unsigned sum = 0;

    while (found < n_units && sum <= enough) {
        at = sim->nodes[at].newer;
        if (at >= N_LISTS) {
            found += sim->nodes[at].n_units;
            sum += mni_ramcache_sketch_count(sketch, sim->nodes[at].hash);
        } else if (list == PROBATION) {
            list = PROTECTED;
            at = PROTECTED;
        } else {
            break;
        }
    }
    return sum;
}

static void judge(const struct tuner *tuner, struct tuner_sim *sim, const struct sketch *sketch,
                  uint16_t candidate, uint64_t main_max)
{
    uint64_t wanted = main_units(sim) + sim->nodes[candidate].n_units;

    if (wanted > main_max) {
        unsigned count = mni_ramcache_sketch_count(sketch, sim->nodes[candidate].hash);
        unsigned much = 2 * count + 1;
        unsigned sum = victims_count(sim, sketch, wanted - main_max, much);
        if (sum >= count) {
            forget(tuner, sim, candidate);
            if (sum > much && oldest(sim, PROBATION) != 0)
                move(sim, oldest(sim, PROBATION), PROBATION);
            return;
        }
        while (main_victim(sim) != 0 && main_units(sim) + sim->nodes[candidate].n_units > main_max)
            forget(tuner, sim, main_victim(sim));
    }
    move(sim, candidate, PROBATION);
}

/* One access of a key in one simulation. */
static void follow(const struct tuner *tuner, struct tuner_sim *sim, const struct sketch *sketch,
                   double share, uint64_t hash, uint32_t n_units)
{
    uint64_t window_max = (uint64_t)((double)tuner->capacity_units * share);
    uint64_t main_max = tuner->capacity_units - window_max;
    uint16_t node = find(tuner, sim, hash);

    if (node != 0) {
        sim->n_hits++;
        uint8_t list = sim->nodes[node].list;
        move(sim, node, list == WINDOW ? WINDOW : PROTECTED);
        while (sim->n_units[PROTECTED] > (uint64_t)((double)main_max * PROTECTED_SHARE))
            move(sim, oldest(sim, PROTECTED), PROBATION);
        return;
    }
    if (sim->free == 0)
        forget(tuner, sim, main_victim(sim) != 0 ? main_victim(sim) : oldest(sim, WINDOW));
    node = sim->free;
    sim->free = sim->nodes[node].chained;
    uint16_t *slot = slot_of(tuner, sim, hash);
    sim->nodes[node] = (struct node){.hash = hash, .n_units = n_units, .chained = *slot};
    *slot = node;
    enter(sim, node, WINDOW);
    while (sim->n_units[WINDOW] > window_max && oldest(sim, WINDOW) != 0 &&
           (oldest(sim, WINDOW) != node || n_units > tuner->capacity_units))
        judge(tuner, sim, sketch, oldest(sim, WINDOW), main_max);
}

/* Choosing ----------*/

static void choose(struct tuner *tuner)
{
    int best = 0;

    if (!tuner->is_warm) {
        /* The first period fills the simulations. */
        tuner->is_warm = true;
        for (int i = 0; i < TUNER_SIMS; i++)
            tuner->sims[i].n_hits = 0;
        tuner->n_accesses = 0;
        return;
    }
    for (int i = 0; i < TUNER_SIMS; i++) {
        struct tuner_sim *sim = &tuner->sims[i];
        sim->score = sim->score / 2 + (double)sim->n_hits;
        sim->n_hits = 0;
        if (sim->score > tuner->sims[best].score)
            best = i;
    }
    tuner->score = tuner->score / 2 + (double)tuner->n_accesses;
    tuner->n_accesses = 0;
    double lead = tuner->sims[best].score - tuner->sims[tuner->choice].score;
    /* Chance gives leads of the size of the root. */
    if (lead > tuner->score * MARGIN && lead * lead > tuner->score / 4)
        tuner->choice = best;
}

/* Follows half as many keys from now on. The simulations stay as full as they are. */
static void follow_fewer(struct tuner *tuner)
{
    tuner->shift++;
    tuner->skip_mask = (UINT64_C(1) << tuner->shift) - 1;
    for (int i = 0; i < TUNER_SIMS; i++) {
        struct tuner_sim *sim = &tuner->sims[i];
        for (uint32_t node = N_LISTS; node < tuner->n_nodes; node++)
            if (sim->nodes[node].list != NOWHERE && (sim->nodes[node].hash & tuner->skip_mask) != 0)
                forget(tuner, sim, (uint16_t)node);
    }
}

void mni_ramcache_tuner_follow(struct tuner *tuner, const struct sketch *sketch, uint64_t hash,
                               uint64_t charge, uint64_t capacity, uint64_t n_entries)
{
    if (tuner->n_nodes == 0 || (hash & tuner->skip_mask) != 0)
        return;
    /* As many keys as fit into three quarters of the nodes. */
    if (n_entries >> tuner->shift > tuner->n_nodes / 4 * 3) {
        follow_fewer(tuner);
        return;
    }
    tuner->capacity_units = (capacity >> tuner->shift) / UNIT_BYTES;
    for (int i = 0; i < TUNER_SIMS; i++)
        follow(tuner, &tuner->sims[i], sketch, SHARES[i], hash, (uint32_t)(charge / UNIT_BYTES));
    if (++tuner->n_accesses >= (uint64_t)tuner->n_nodes * PERIOD_PER_NODE)
        choose(tuner);
}
