/*
 * crash_choice.c - what a crash of the simulated disk keeps.
 *
 * Owns:    nothing.
 * Threads: one at a time.
 * Fails:   never; more choices than a mask has bits are a bug of the caller.
 */
#include "io/crash_private.h"

enum { ODDS_ALWAYS = 256 };

uint64_t mni_crash_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void mni_crash_choose_odds(struct mni_crash_choices *choices)
{
    static const unsigned odds[] = {0, 32, 128, 224, ODDS_ALWAYS};

    choices->odds = odds[mni_crash_random(&choices->random) % (sizeof odds / sizeof odds[0])];
}

static bool next_mask_bit(struct mni_crash_choices *choices)
{
    size_t i = choices->n_mask_bits_used++;

    MNI_CHECK(i < MNI_CRASH_MASK_BITS);
    return (choices->mask >> i & 1) != 0;
}

static size_t choose_at_random(struct mni_crash_choices *choices, size_t n)
{
    if (n == 0 || choices->odds == 0)
        return 0;
    if (choices->odds == ODDS_ALWAYS)
        return n;
    uint64_t r = mni_crash_random(&choices->random);
    if ((r & 255) >= choices->odds)
        return 0;
    return 1 + (size_t)((r >> 8) % n);
}

size_t mni_crash_choose_version(struct mni_crash_choices *choices, size_t n)
{
    size_t chosen = 0;

    if (!choices->use_mask)
        return choose_at_random(choices, n);
    for (size_t i = 1; i <= n; i++) {
        if (next_mask_bit(choices))
            chosen = i;
    }
    return chosen;
}

size_t mni_crash_choose_prefix(struct mni_crash_choices *choices, size_t n)
{
    size_t chosen = 0;

    if (!choices->use_mask)
        return choose_at_random(choices, n);
    for (size_t i = 0; i < n; i++) {
        if (next_mask_bit(choices) && chosen == i)
            chosen = i + 1;
    }
    return chosen;
}
