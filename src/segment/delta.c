/*
 * delta.c - a vector as its exact difference to another one.
 *
 * The bits of a float, taken as an integer, are a step away from those of the next float. So the
 * difference of two elements is the difference of their bits: how many steps of the element's own
 * size lie between them. Where all elements move alike, those with small exponents move more
 * steps: their differences get more bits, as many as the base's exponents say.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md, "Differences"
 * Threads: any.
 * Fails:   bytes that are no difference are refused.
 */
#include "segment/delta.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"

enum {
    BLOCK = 64,        /* elements with one header */
    WIDTH_MAX = 24,    /* of the low bits, where they follow the exponents; above it all 32 */
    QUOTIENT_MAX = 8,  /* at it the high bits stand by themselves */
    HEADER_SAME = 0,   /* every element is that of the base */
    HEADER_FIXED = 1,  /* and up to HEADER_RAW: the width less 1 */
    HEADER_RAW = 33,   /* all 32 bits, and no quotients */
    HEADER_SCALED = 34 /* and above: the sum of width and exponent */
};

/* Of an element: 32 low bits or low and high ones, the quotient and its end. */
enum {
    ELEMENT_BITS_MAX = 32 + QUOTIENT_MAX + 1,
    BLOCK_BYTES_MAX = 1 + (BLOCK * ELEMENT_BITS_MAX + 7) / 8,
    SLACK_BYTES = 8, /* bits are read 64 at a time */
    AT_ONCE = 6,     /* quotients of one such word, whose last bits may be missing */
};
/* Behind the quotients of a word, and too far from the last for being its end. */
#define STOP_BIT (UINT64_C(1) << 62)
static_assert(AT_ONCE * (QUOTIENT_MAX + 1) <= 57, "so many bits are sure to be there");
static_assert(62 - (AT_ONCE - 1) * (QUOTIENT_MAX + 1) > QUOTIENT_MAX, "the stop bit is no end");

size_t mni_delta_bytes_max(uint32_t n_dims)
{
    /* The writer prefers all 32 bits to anything longer. */
    return ((size_t)n_dims + BLOCK - 1) / BLOCK + (size_t)n_dims * 4;
}

static unsigned exponent(uint32_t bits)
{
    return bits >> 23 & 0xff;
}

/* Small numbers of either sign as small numbers, and back. */
static uint32_t fold(uint32_t difference)
{
    return difference << 1 ^ (0 - (difference >> 31));
}

static uint32_t unfold(uint32_t folded)
{
    return folded >> 1 ^ (0 - (folded & 1));
}

/* Widths of the low bits, by the header. */
static void set_widths(unsigned header, const uint32_t *base, uint32_t n, uint32_t *widths_out)
{
    if (header < HEADER_SCALED) {
        for (uint32_t i = 0; i < n; i++)
            widths_out[i] = header - HEADER_FIXED;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        int32_t width = (int32_t)header - (int32_t)exponent(base[i]);
        width = width < 0 ? 0 : width;
        widths_out[i] = width > WIDTH_MAX ? 32 : (uint32_t)width;
    }
}

static void load(const void *vector, uint32_t first, uint32_t n, uint32_t *bits_out)
{
    const unsigned char *p = (const unsigned char *)vector + (size_t)first * 4;

    for (uint32_t i = 0; i < n; i++)
        bits_out[i] = mni_get_u32(p + (size_t)i * 4);
}

/* Choosing a header ---------- */

struct block {
    uint32_t n;
    uint32_t base[BLOCK];
    uint32_t folded[BLOCK]; /* differences */
    uint32_t widths[BLOCK]; /* under the header that was looked at last */
};

static void load_block(const void *base, const void *vector, uint32_t first, uint32_t n_dims,
                       struct block *b)
{
    uint32_t elements[BLOCK];

    b->n = n_dims - first < BLOCK ? n_dims - first : BLOCK;
    load(base, first, b->n, b->base);
    load(vector, first, b->n, elements);
    for (uint32_t i = 0; i < b->n; i++)
        b->folded[i] = fold(elements[i] - b->base[i]);
}

static uint32_t quotient(uint32_t folded, uint32_t width)
{
    return (uint32_t)((uint64_t)folded >> width);
}

/* Bits behind a header that is not HEADER_SAME. */
static uint32_t bits_under(struct block *b, unsigned header)
{
    uint32_t n_bits = 0;

    if (header == HEADER_RAW)
        return b->n * 32;
    set_widths(header, b->base, b->n, b->widths);
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t q = quotient(b->folded[i], b->widths[i]);
        n_bits += q < QUOTIENT_MAX ? b->widths[i] + q + 1 : (uint32_t)ELEMENT_BITS_MAX;
    }
    return n_bits;
}

struct choice {
    unsigned header;
    uint32_t n_bits;
};

/* Goes from a good guess to where both neighbours are worse. */
static void choose_near(struct block *b, unsigned guess, unsigned lowest, unsigned highest,
                        struct choice *best)
{
    guess = guess < lowest ? lowest : guess > highest ? highest : guess;
    struct choice here = {guess, bits_under(b, guess)};
    bool went_up = false;

    for (unsigned up = guess + 1; up <= highest; up++) {
        uint32_t n_bits = bits_under(b, up);
        if (n_bits >= here.n_bits)
            break;
        here = (struct choice){up, n_bits};
        went_up = true;
    }
    for (unsigned down = guess; down-- > lowest && !went_up;) {
        uint32_t n_bits = bits_under(b, down);
        if (n_bits >= here.n_bits)
            break;
        here = (struct choice){down, n_bits};
    }
    if (here.n_bits < best->n_bits)
        *best = here;
}

/* Deterministic: a plan counts what a writer will write. */
static struct choice choose(struct block *b)
{
    struct choice best = {HEADER_RAW, b->n * 32};
    uint32_t widths = 0;
    uint32_t scales = 0;
    uint32_t n_moved = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        if (b->folded[i] == 0)
            continue;
        uint32_t width = 32 - (uint32_t)__builtin_clz(b->folded[i]);
        n_moved++;
        widths += width;
        scales += width + exponent(b->base[i]);
    }
    if (n_moved == 0)
        return (struct choice){HEADER_SAME, 0};
    /* The best widths are about one less than the numbers have bits. */
    choose_near(b, HEADER_FIXED + widths / n_moved - 1, HEADER_FIXED, HEADER_RAW - 1, &best);
    choose_near(b, scales / n_moved - 1, HEADER_SCALED, UINT8_MAX, &best);
    return best;
}

static size_t bytes_of(struct choice choice)
{
    return 1 + (choice.n_bits + 7) / 8;
}

size_t mni_delta_bytes(const void *base, const void *vector, uint32_t n_dims)
{
    struct block b;
    size_t n_bytes = 0;

    MNI_CHECK(n_dims > 0);
    for (uint32_t first = 0; first < n_dims; first += BLOCK) {
        load_block(base, vector, first, n_dims, &b);
        n_bytes += bytes_of(choose(&b));
    }
    return n_bytes;
}

/* Writing ---------- */

struct bit_writer {
    unsigned char *at;
    uint64_t bits; /* those that are not written yet, the first one lowest */
    unsigned n_bits;
};

/* At most 32 bits. */
static void put_bits(struct bit_writer *w, uint64_t bits, unsigned n)
{
    w->bits |= bits << w->n_bits;
    w->n_bits += n;
    while (w->n_bits >= 8) {
        *w->at++ = (unsigned char)w->bits;
        w->bits >>= 8;
        w->n_bits -= 8;
    }
}

static void put_block(struct bit_writer *w, struct block *b, struct choice choice)
{
    set_widths(choice.header, b->base, b->n, b->widths);
    for (uint32_t i = 0; i < b->n; i++)
        put_bits(w, b->folded[i] & ((UINT64_C(1) << b->widths[i]) - 1), b->widths[i]);
    for (uint32_t i = 0; i < b->n && choice.header != HEADER_RAW; i++) {
        uint32_t q = quotient(b->folded[i], b->widths[i]);
        q = q < QUOTIENT_MAX ? q : QUOTIENT_MAX;
        put_bits(w, UINT64_C(1) << q, q + 1);
    }
    for (uint32_t i = 0; i < b->n && choice.header != HEADER_RAW; i++) {
        uint32_t q = quotient(b->folded[i], b->widths[i]);
        if (q >= QUOTIENT_MAX)
            put_bits(w, q, 32 - b->widths[i]);
    }
    if (w->n_bits > 0)
        put_bits(w, 0, 8 - w->n_bits);
}

size_t mni_delta_encode(const void *base, const void *vector, uint32_t n_dims,
                        unsigned char *bytes_out)
{
    struct bit_writer w = {.at = bytes_out};
    struct block b;

    MNI_CHECK(n_dims > 0);
    for (uint32_t first = 0; first < n_dims; first += BLOCK) {
        load_block(base, vector, first, n_dims, &b);
        struct choice choice = choose(&b);
        put_bits(&w, choice.header, 8);
        if (choice.header != HEADER_SAME)
            put_block(&w, &b, choice);
    }
    MNI_DEBUG_CHECK((size_t)(w.at - bytes_out) <= mni_delta_bytes_max(n_dims));
    return (size_t)(w.at - bytes_out);
}

/* Reading ---------- */

/* At least 57 bits from bit `at` on. */
static uint64_t bits_from(const unsigned char *bytes, uint32_t at)
{
    return mni_get_u64(bytes + at / 8) >> (at % 8);
}

/* Takes up low bits from one place and quotients, each as many zeroes as come before its one, from
 * another, side by side: neither waits for the other. `at_out` is the bit behind the quotients. */
static bool read_elements(const unsigned char *bytes, const uint32_t *widths, uint32_t n,
                          uint32_t *folded_out, uint32_t *at_out, uint64_t *escaped_out)
{
    uint32_t low_at = 8;
    uint32_t at = 8;
    uint64_t escaped = 0;
    uint64_t overflow = 0;

    for (uint32_t i = 0; i < n; i++)
        at += widths[i];
    for (uint32_t i = 0; i < n;) {
        uint32_t end = n - i < AT_ONCE ? n : i + AT_ONCE;
        uint64_t word = bits_from(bytes, at) | STOP_BIT;
        for (; i < end; i++) {
            uint64_t mask = (UINT64_C(1) << widths[i]) - 1;
            uint64_t folded = bits_from(bytes, low_at) & mask;
            uint32_t q = (uint32_t)__builtin_ctzll(word);
            low_at += widths[i];
            at += q + 1;
            word = word >> q >> 1;
            if (__builtin_expect(q >= QUOTIENT_MAX, 0)) {
                if (q > QUOTIENT_MAX)
                    return false;
                escaped |= UINT64_C(1) << i;
                q = 0;
            }
            folded |= (uint64_t)q << widths[i];
            overflow |= folded >> 32;
            folded_out[i] = (uint32_t)folded;
        }
    }
    *at_out = at;
    *escaped_out = escaped;
    return overflow == 0;
}

/* High bits that stand by themselves: a quotient of QUOTIENT_MAX or more. */
static bool read_escaped(const unsigned char *bytes, const uint32_t *widths, uint64_t escaped,
                         uint32_t *folded, uint32_t *at)
{
    for (; escaped != 0; escaped &= escaped - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(escaped);
        uint32_t n = 32 - widths[i];
        uint64_t high = bits_from(bytes, *at) & ((UINT64_C(1) << n) - 1);
        if (high < QUOTIENT_MAX)
            return false;
        folded[i] |= (uint32_t)(high << widths[i]);
        *at += n;
    }
    return true;
}

/* One block; `bytes` has BLOCK_BYTES_MAX and SLACK_BYTES to read. Returns its bytes, 0 if these are
 * none. */
static size_t decode_block(const uint32_t *base, uint32_t n, const unsigned char *bytes,
                           uint32_t *elements_out)
{
    uint32_t widths[BLOCK];
    uint32_t folded[BLOCK];
    uint64_t escaped = 0;
    uint32_t at = 0;
    unsigned header = bytes[0];

    if (header == HEADER_SAME) {
        memcpy(elements_out, base, n * sizeof *base);
        return 1;
    }
    if (header == HEADER_RAW) {
        load(bytes + 1, 0, n, folded);
        at = 8 + n * 32;
    } else {
        set_widths(header, base, n, widths);
        if (!read_elements(bytes, widths, n, folded, &at, &escaped) ||
            !read_escaped(bytes, widths, escaped, folded, &at) ||
            (at % 8 != 0 && bytes[at / 8] >> (at % 8) != 0))
            return 0;
    }
    for (uint32_t i = 0; i < n; i++)
        elements_out[i] = base[i] + unfold(folded[i]);
    return (at + 7) / 8;
}

bool mni_delta_decode(const void *base, uint32_t n_dims, const unsigned char *bytes, size_t n_bytes,
                      void *vector_out)
{
    unsigned char *out = vector_out;
    unsigned char tail[BLOCK_BYTES_MAX + SLACK_BYTES];
    uint32_t elements[BLOCK];
    uint32_t of_base[BLOCK];
    size_t at = 0;

    for (uint32_t first = 0; first < n_dims; first += BLOCK) {
        uint32_t n = n_dims - first < BLOCK ? n_dims - first : BLOCK;
        size_t n_left = n_bytes - at;
        const unsigned char *from = bytes + at;
        if (n_left < sizeof tail) {
            memset(tail, 0, sizeof tail);
            if (n_left == 0)
                return false;
            memcpy(tail, from, n_left);
            from = tail;
        }
        load(base, first, n, of_base);
        size_t n_used = decode_block(of_base, n, from, elements);
        if (n_used == 0 || n_used > n_left)
            return false;
        at += n_used;
        for (uint32_t i = 0; i < n; i++)
            mni_put_u32(out + ((size_t)first + i) * 4, elements[i]);
    }
    return at == n_bytes;
}
