/*
 * sketch.c - how often keys were asked for lately: a count-min sketch that ages.
 *
 * Owns:    its words.
 * Threads: the cache's lock is held.
 * Fails:   init and grow, when there is no memory.
 *
 * A key has four counters of four bits, in four pairs of words of one line; its estimate is the
 * smallest of them. There is a word for each entry of the cache; after ten times as many keys all
 * counters are halved.
 */
#include "ramcache/ramcache_private.h"

enum {
    WORDS_PER_LINE = 8,
    ADDED_PER_WORD = 10,
    /* What counts towards the age of a sketch: a key that is at the top count counts less, or a few
     * of them would make all others old; but it counts, or what is not asked for any more would
     * never get old beside them. */
    GROWN = 4,
    AT_TOP = 1,
};

uint64_t mni_ramcache_sketch_charge(uint64_t n_words)
{
    return mni_ramcache_charge(n_words * sizeof(uint64_t)) + LINE_BYTES;
}

static void set_size(struct sketch *sketch, uint64_t n_words)
{
    sketch->n_words = n_words;
    sketch->n_added_max = n_words * ADDED_PER_WORD * GROWN;
}

bool mni_ramcache_sketch_init(struct sketch *sketch, uint64_t n_words)
{
    MNI_CHECK(n_words >= WORDS_PER_LINE && (n_words & (n_words - 1)) == 0);
    *sketch = (struct sketch){.words = mni_alloc_aligned(LINE_BYTES, n_words * sizeof(uint64_t))};
    if (sketch->words == NULL)
        return false;
    memset(sketch->words, 0, n_words * sizeof(uint64_t));
    set_size(sketch, n_words);
    return true;
}

void mni_ramcache_sketch_done(struct sketch *sketch)
{
    mni_free(sketch->words);
    sketch->words = NULL;
}

bool mni_ramcache_sketch_grow(struct sketch *sketch)
{
    struct sketch larger;

    if (!mni_ramcache_sketch_init(&larger, sketch->n_words * 2))
        return false;
    /* One more bit chooses the line: both lines know what the one knew. */
    memcpy(larger.words, sketch->words, sketch->n_words * sizeof(uint64_t));
    memcpy(larger.words + sketch->n_words, sketch->words, sketch->n_words * sizeof(uint64_t));
    larger.n_added = sketch->n_added;
    mni_ramcache_sketch_done(sketch);
    *sketch = larger;
    return true;
}

/* Another mix of the hash than the table's. */
static uint64_t spread(uint64_t hash)
{
    hash = (hash ^ (hash >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 32)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 29);
}

static uint64_t *line_of(const struct sketch *sketch, uint64_t spread_hash)
{
    return sketch->words + (spread_hash & (sketch->n_words / WORDS_PER_LINE - 1)) * WORDS_PER_LINE;
}

/* Of the `i`-th counter: five bits choose one of 16 counters in one of two words. */
static unsigned shift_of(uint64_t bits, unsigned i)
{
    return (unsigned)(bits >> (8 * i) & 15) * 4;
}

static unsigned word_of(uint64_t bits, unsigned i)
{
    return 2 * i + (unsigned)(bits >> (8 * i + 4) & 1);
}

void mni_ramcache_sketch_prefetch(const struct sketch *sketch, uint64_t hash)
{
    __builtin_prefetch(line_of(sketch, spread(hash)));
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

static void halve(struct sketch *sketch)
{
    for (uint64_t i = 0; i < sketch->n_words; i++)
        sketch->words[i] = sketch->words[i] >> 1 & UINT64_C(0x7777777777777777);
    sketch->n_added /= 2;
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
    if (sketch->n_added >= sketch->n_added_max)
        halve(sketch);
}
