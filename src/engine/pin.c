/*
 * pin.c - pins: what keeps a found record where it is, and what it counts.
 *
 * A pin is a tagged address, so that whoever releases it needs nothing else:
 *
 *     a version    address | counts
 *     a part       address | size of the record << 1 | 1      (parts lie at multiples of 4096)
 *     a decoded vector, and the part that the rest of its record lies in
 *                  address | 4
 *
 * A read finds records with pins that count nothing. What is given to a user is counted by
 * mni_found_pin, within `pinned_bytes_max`; the engine's own walks and look-ups are not.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   MN_ERR_BUDGET, where a pin does not fit.
 */
#include <inttypes.h>

#include "base/check.h"
#include "engine/engine_private.h"

enum {
    SIZE_UNIT_BYTES = 32, /* sizes are rounded up to it, and to 1/128 of themselves */
    SIZE_MANTISSA_BITS = 7,
    SIZE_EXPONENT_BITS = 4,
    SIZE_STEPS = 1 << SIZE_MANTISSA_BITS,
    SIZE_CODE_MAX = (1 << (SIZE_MANTISSA_BITS + SIZE_EXPONENT_BITS)) - 1,
};
static_assert(2 * SIZE_CODE_MAX + 1 < PART_ALIGN, "a size and the tag fit below an address");

static const uintptr_t part_bit = 1;
static const uintptr_t counts_bit = 2; /* of a version */
static const uintptr_t decoded_bit = 4;

/* In the spare bytes before a decoded vector. */
struct decoded {
    struct part *part; /* one reference */
    size_t n_counted;
};
static_assert(sizeof(struct decoded) <= (size_t)MNI_SEGMENT_SPARE_BYTES, "it fits before a vector");

/* Sizes as codes: the bits behind the first one, and how many of those that follow are left out.
 */
static uintptr_t size_encode(size_t n_bytes)
{
    uint64_t units = (n_bytes + SIZE_UNIT_BYTES - 1) / SIZE_UNIT_BYTES;
    unsigned exponent = 0;

    if (units < SIZE_STEPS)
        return (uintptr_t)units;
    while (units >= (uint64_t)2 * SIZE_STEPS) {
        units = (units + 1) / 2;
        exponent++;
    }
    uintptr_t code = (uintptr_t)(exponent + 1) * SIZE_STEPS + (uintptr_t)(units - SIZE_STEPS);
    MNI_CHECK(code <= SIZE_CODE_MAX);
    return code;
}

static size_t size_decode(uintptr_t code)
{
    uintptr_t exponent = code / SIZE_STEPS;
    uintptr_t units = code % SIZE_STEPS;

    if (exponent > 0)
        units = (units + SIZE_STEPS) << (exponent - 1);
    return units * SIZE_UNIT_BYTES;
}

void *pin_of_part(struct part *part)
{
    MNI_CHECK((uintptr_t)part % PART_ALIGN == 0);
    return (void *)((uintptr_t)part | part_bit);
}

void *pin_of_decoded(struct part *part, void *buffer)
{
    *(struct decoded *)buffer = (struct decoded){.part = part};
    return (void *)((uintptr_t)buffer | decoded_bit);
}

static void release_decoded(struct decoded *decoded)
{
    if (decoded->n_counted > 0)
        mni_pool_unpin_bytes(decoded->part->pool, decoded->n_counted);
    part_unref(decoded->part);
    mni_segment_decoded_free(decoded);
}

static void release_part(uintptr_t bits)
{
    struct part *part = (struct part *)(bits & ~(uintptr_t)(PART_ALIGN - 1));
    size_t n_bytes = size_decode((bits & (PART_ALIGN - 1)) >> 1);

    if (n_bytes > 0)
        mni_pool_unpin_bytes(part->pool, n_bytes);
    part_unref(part);
}

void mni_pin_release(void *pin)
{
    uintptr_t bits = (uintptr_t)pin;

    if ((bits & part_bit) != 0)
        release_part(bits);
    else if ((bits & counts_bit) != 0)
        mni_version_unpin((struct mni_version *)(bits & ~counts_bit));
    else if ((bits & decoded_bit) != 0)
        release_decoded((struct decoded *)(bits & ~decoded_bit));
    else if (pin != NULL)
        mni_version_unref(pin);
}

/* Of a version whose bytes were counted. */
static void *pin_counted(struct mni_version *version)
{
    return (void *)((uintptr_t)version | counts_bit);
}

static mn_status pin_refuse(struct mni_engine *engine, size_t n_bytes, struct mn_error *err)
{
    uint64_t max = atomic_load(&engine->pinned_bytes_max);

    return mni_fail(err, MN_ERR_BUDGET,
                    "views hold %" PRIu64 " bytes, and %zu more are beyond pinned_bytes_max, "
                    "%" PRIu64 "; release some",
                    mni_pool_pinned_bytes(engine->pool), n_bytes, max);
}

static size_t record_bytes(const struct mni_record *r)
{
    size_t vector_bytes = (size_t)r->n_dims * (r->element_type == MNI_ELEMENT_F16 ? 2 : 4);

    return r->key.n_bytes + vector_bytes + r->metadata.n_bytes + r->payload.n_bytes;
}

static mn_status count_decoded(struct mni_engine *engine, struct mni_found *found,
                               struct mn_error *err)
{
    struct decoded *decoded = (struct decoded *)((uintptr_t)found->pin & ~decoded_bit);
    size_t n_bytes = record_bytes(&found->record);

    if (decoded->n_counted > 0)
        return MN_OK; /* it counts already */
    if (!mni_pool_pin_bytes(engine->pool, n_bytes))
        return pin_refuse(engine, n_bytes, err);
    decoded->n_counted = n_bytes;
    return MN_OK;
}

static mn_status count_part(struct mni_engine *engine, struct mni_found *found,
                            struct mn_error *err)
{
    uintptr_t bits = (uintptr_t)found->pin;

    if ((bits & (PART_ALIGN - 1)) != part_bit)
        return MN_OK; /* it counts already */
    uintptr_t code = size_encode(record_bytes(&found->record));
    if (!mni_pool_pin_bytes(engine->pool, size_decode(code)))
        return pin_refuse(engine, size_decode(code), err);
    found->pin = (void *)(bits | code << 1);
    return MN_OK;
}

mn_status pin_count(struct mni_engine *engine, struct mni_found *found, struct mn_error *err)
{
    uintptr_t bits = (uintptr_t)found->pin;

    if ((bits & part_bit) != 0)
        return count_part(engine, found, err);
    if ((bits & counts_bit) != 0)
        return MN_OK;
    if ((bits & decoded_bit) != 0)
        return count_decoded(engine, found, err);
    if (!mni_version_pin(found->pin))
        return pin_refuse(engine, mni_version_held_bytes(found->pin), err);
    found->pin = pin_counted(found->pin);
    return MN_OK;
}

mn_status mni_pin_again(void *pin, void **pin_out, struct mn_error *err)
{
    uintptr_t bits = (uintptr_t)pin;
    bool fits = true;
    size_t n_bytes = 0;

    MNI_CHECK(pin != NULL);
    if ((bits & part_bit) != 0) {
        struct part *part = (struct part *)(bits & ~(uintptr_t)(PART_ALIGN - 1));
        n_bytes = size_decode((bits & (PART_ALIGN - 1)) >> 1);
        fits = n_bytes == 0 || mni_pool_pin_bytes(part->pool, n_bytes);
        if (fits)
            part_ref(part);
    } else {
        struct mni_version *version = (struct mni_version *)(bits & ~counts_bit);
        MNI_CHECK((bits & decoded_bit) == 0);
        n_bytes = mni_version_held_bytes(version);
        fits = (bits & counts_bit) == 0 || mni_version_pin(version);
        if (fits)
            mni_version_ref(version);
    }
    if (!fits)
        return mni_fail(err, MN_ERR_BUDGET,
                        "%zu bytes more are beyond pinned_bytes_max; release some", n_bytes);
    *pin_out = pin;
    return MN_OK;
}

uint64_t mni_pin_serial(void *pin)
{
    uintptr_t bits = (uintptr_t)pin;

    return (bits & part_bit) != 0 ? ((struct part *)(bits & ~(uintptr_t)(PART_ALIGN - 1)))->serial
                                  : 0;
}

void *mni_engine_pin_serial(struct mni_engine *engine, uint64_t serial)
{
    struct part *found = NULL;

    engine_read_lock(engine);
    const struct part_set *set = engine->state->parts;
    for (size_t i = 0; i < set->n_parts && found == NULL; i++)
        if (set->parts[i]->serial == serial)
            found = set->parts[i];
    if (found != NULL)
        part_ref(found);
    engine_unlock(engine);
    return found != NULL ? pin_of_part(found) : NULL;
}

/* Not inlined: most found records are versions and fit. */
__attribute__((noinline)) static mn_status pin_or_release(struct mni_engine *engine,
                                                          struct mni_found *found,
                                                          struct mn_error *err)
{
    mn_status st = pin_count(engine, found, err);

    if (st != MN_OK) {
        mni_pin_release(found->pin);
        found->pin = NULL;
    }
    return st;
}

mn_status mni_found_pin(struct mni_engine *engine, struct mni_found *found, struct mn_error *err)
{
    if (((uintptr_t)found->pin & (part_bit | counts_bit | decoded_bit)) != 0 ||
        !mni_version_pin(found->pin))
        return pin_or_release(engine, found, err);
    found->pin = pin_counted(found->pin);
    return MN_OK;
}
