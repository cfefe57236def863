/*
 * sketch.c - how often keys were asked for lately: a count-min sketch that ages.
 *
 * Owns:    its parts.
 * Threads: the cache's lock is held.
 * Fails:   init and grow, when there is no memory.
 *
 * A key has four counters of four bits, in four pairs of words of one line; its estimate is the
 * smallest of them. After ten times as many keys as there are words all counters are halved.
 *
 * No call touches more than two parts, however large the sketch is. It grows by one part at a time,
 * which takes half of the keys of one that is there (linear hashing), and a part is halved when it
 * is looked at the next time.
 */
#include "ramcache/ramcache_private.h"

enum {
    WORDS_PER_LINE = 8,
    /* Of a part: as many parts as can be found in the fastest memory, but none that takes long. */
    WORDS_MIN = 256,
    WORDS_MAX = 8192,
    PARTS_WANTED = 512,
    ADDED_PER_WORD = 10,
    /* What counts towards the age of a sketch: a key that is at the top count counts less, or a few
     * of them would make all others old; but it counts, or what is not asked for any more would
     * never get old beside them. */
    GROWN = 4,
    AT_TOP = 1,
    COUNTER_BITS = 4,
};
/* Counters of four bits: the lowest bit of each. */
static const uint64_t ONES = UINT64_C(0x1111111111111111);

static uint64_t part_words(uint64_t n_words_max)
{
    uint64_t n = WORDS_MIN;

    while (n < WORDS_MAX && n * PARTS_WANTED < n_words_max)
        n *= 2;
    return n;
}

static uint64_t parts_max(uint64_t n_words_max)
{
    uint64_t n = part_words(n_words_max);

    return (n_words_max + n - 1) / n;
}

uint64_t mni_ramcache_sketch_part_charge(uint64_t n_words_max)
{
    return mni_ramcache_charge(part_words(n_words_max) * sizeof(uint64_t)) + LINE_BYTES;
}

uint64_t mni_ramcache_sketch_charge(uint64_t n_words_max)
{
    return mni_ramcache_charge(parts_max(n_words_max) * sizeof(struct sketch_part)) +
           mni_ramcache_sketch_part_charge(n_words_max);
}

static size_t part_bytes(const struct sketch *sketch)
{
    return sketch->part_words * sizeof(uint64_t);
}

static uint64_t *words_new(const struct sketch *sketch)
{
    return mni_alloc_aligned(LINE_BYTES, part_bytes(sketch));
}

/* With `n_parts` parts from now on. */
static void set_size(struct sketch *sketch, uint64_t n_parts)
{
    sketch->n_parts = n_parts;
    sketch->n_words = n_parts * sketch->part_words;
    sketch->n_added_max = sketch->n_words * ADDED_PER_WORD * GROWN;
    sketch->part_mask = 0;
    while (sketch->part_mask < n_parts - 1)
        sketch->part_mask = sketch->part_mask * 2 + 1;
}

bool mni_ramcache_sketch_init(struct sketch *sketch, uint64_t n_words_max)
{
    *sketch = (struct sketch){
        .n_parts_max = parts_max(n_words_max),
        .part_words = part_words(n_words_max),
        .part_shift = (unsigned)__builtin_ctzll(part_words(n_words_max) / WORDS_PER_LINE),
    };
    sketch->parts = mni_alloc(sketch->n_parts_max * sizeof *sketch->parts);
    if (sketch->parts == NULL)
        return false;
    sketch->parts[0] = (struct sketch_part){.words = words_new(sketch)};
    if (sketch->parts[0].words == NULL)
        return false;
    memset(sketch->parts[0].words, 0, part_bytes(sketch));
    set_size(sketch, 1);
    return true;
}

void mni_ramcache_sketch_done(struct sketch *sketch)
{
    for (uint64_t i = 0; i < sketch->n_parts; i++)
        mni_free(sketch->parts[i].words);
    mni_free(sketch->parts);
    *sketch = (struct sketch){0};
}

/* Halves a part as often as the sketch was halved since it was looked at last. */
static void catch_up(const struct sketch *sketch, struct sketch_part *part)
{
    uint64_t n = sketch->n_halvings - part->n_halvings;

    if (n == 0)
        return;
    part->n_halvings = sketch->n_halvings;
    if (n >= COUNTER_BITS) {
        memset(part->words, 0, part_bytes(sketch));
        return;
    }
    for (uint64_t i = 0; i < sketch->part_words; i++)
        part->words[i] = part->words[i] >> n & ONES * (15U >> n);
}

/* The part whose keys the last of `n_parts` shares: one more bit tells theirs apart. */
static struct sketch_part *parent_of_last(const struct sketch *sketch)
{
    return &sketch->parts[(sketch->n_parts - 1) & (sketch->part_mask >> 1)];
}

bool mni_ramcache_sketch_can_grow(const struct sketch *sketch)
{
    return sketch->n_parts < sketch->n_parts_max;
}

bool mni_ramcache_sketch_grow(struct sketch *sketch)
{
    uint64_t *words = words_new(sketch);

    if (words == NULL)
        return false;
    set_size(sketch, sketch->n_parts + 1);
    /* Both know what the one knew. */
    struct sketch_part *parent = parent_of_last(sketch);
    memcpy(words, parent->words, part_bytes(sketch));
    sketch->parts[sketch->n_parts - 1] =
        (struct sketch_part){.words = words, .n_halvings = parent->n_halvings};
    return true;
}

/* Another mix of the hash than the table's. */
static uint64_t spread(uint64_t hash)
{
    hash = (hash ^ (hash >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 32)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 29);
}

static struct sketch_part *part_of(const struct sketch *sketch, uint64_t spread_hash)
{
    uint64_t i = (uint32_t)spread_hash >> sketch->part_shift & sketch->part_mask;

    return &sketch->parts[i < sketch->n_parts ? i : i & (sketch->part_mask >> 1)];
}

static uint64_t *line_in(const struct sketch *sketch, const struct sketch_part *part,
                         uint64_t spread_hash)
{
    return part->words + (spread_hash * WORDS_PER_LINE & (sketch->part_words - 1));
}

static uint64_t *line_of(const struct sketch *sketch, uint64_t spread_hash)
{
    struct sketch_part *part = part_of(sketch, spread_hash);

    catch_up(sketch, part);
    return line_in(sketch, part, spread_hash);
}

/* Of the `i`-th counter: five bits choose one of 16 counters in one of two words. */
static unsigned shift_of(uint64_t bits, unsigned i)
{
    return (unsigned)(bits >> (8 * i) & 15) * COUNTER_BITS;
}

static unsigned word_of(uint64_t bits, unsigned i)
{
    return 2 * i + (unsigned)(bits >> (8 * i + 4) & 1);
}

void mni_ramcache_sketch_prefetch(const struct sketch *sketch, uint64_t hash)
{
    uint64_t x = spread(hash);

    __builtin_prefetch(line_in(sketch, part_of(sketch, x), x));
}

unsigned mni_ramcache_sketch_count(const struct sketch *sketch, uint64_t hash)
{
    uint64_t x = spread(hash);
    const uint64_t *line = line_of(sketch, x);
    unsigned least = 15;

    x >>= 32;
    for (unsigned i = 0; i < 4; i++) {
        unsigned count = (unsigned)(line[word_of(x, i)] >> shift_of(x, i) & 15);
        least = count < least ? count : least;
    }
    return least;
}

void mni_ramcache_sketch_add(struct sketch *sketch, uint64_t hash)
{
    uint64_t x = spread(hash);
    uint64_t *line = line_of(sketch, x);
    unsigned weight = AT_TOP;

    x >>= 32;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t *word = &line[word_of(x, i)];
        unsigned shift = shift_of(x, i);
        if ((*word >> shift & 15) < 15) {
            *word += UINT64_C(1) << shift;
            weight = GROWN;
        }
    }
    sketch->n_added += weight;
    if (sketch->n_added >= sketch->n_added_max) {
        sketch->n_halvings++;
        sketch->n_added /= 2;
    }
}
