/*
 * version.c - versions of records.
 *
 * Owns:    the memory of a version until its last reference goes.
 * Threads: any; the counts are atomic, the rest is set before a version is linked in.
 * Fails:   MN_ERR_NOMEM.
 */
#include "base/bytes.h"
#include "memtable/memtable_private.h"

enum { PREFETCH_LINES = 4 };

static size_t body_bytes(const struct mni_version *version)
{
    return (size_t)(version->shape >> VERSION_FLAG_BITS) * MNI_RECORD_ALIGN;
}

static struct patched_version *as_patched(struct mni_version *version)
{
    MNI_CHECK(version_has(version, VERSION_PATCHED));
    return (struct patched_version *)version;
}

static const struct patched_version *as_const_patched(const struct mni_version *version)
{
    MNI_CHECK(version_has(version, VERSION_PATCHED));
    return (const struct patched_version *)version;
}

mn_status mni_version_new(struct mni_pool *pool, size_t record_bytes,
                          struct mni_version **version_out)
{
    size_t units = mni_align_up(record_bytes, MNI_RECORD_ALIGN) / MNI_RECORD_ALIGN;

    MNI_CHECK(sizeof(struct mni_version) + record_bytes >= sizeof(struct patched_version));
    MNI_CHECK(units >> (32 - VERSION_FLAG_BITS) == 0);
    *version_out = NULL;
    struct mni_version *version =
        mni_pool_alloc_block(pool, sizeof *version + units * MNI_RECORD_ALIGN);
    if (version == NULL)
        return MN_ERR_NOMEM;
    version->older = NULL;
    version->lsn = 0;
    version->pool = pool;
    atomic_init(&version->n_refs, 1);
    version->shape = (uint32_t)units << VERSION_FLAG_BITS;
    *version_out = version;
    return MN_OK;
}

void mni_version_ref(struct mni_version *version)
{
    unsigned before = atomic_fetch_add_explicit(&version->n_refs, 1, memory_order_relaxed);

    MNI_CHECK(before > 0);
}

void mni_version_unref(struct mni_version *version)
{
    while (version != NULL) {
        unsigned before = atomic_fetch_sub_explicit(&version->n_refs, 1, memory_order_acq_rel);
        MNI_CHECK(before > 0);
        if (before > 1)
            return;
        struct mni_version *base = version_has(version, VERSION_PATCHED) ? as_patched(version)->base
                                                                         : NULL;
        mni_pool_dealloc_block(version->pool, version, mni_version_memory_bytes(version));
        version = base;
    }
}

unsigned char *mni_version_bytes(struct mni_version *version)
{
    if (version_has(version, VERSION_PATCHED))
        version = as_patched(version)->base;
    return (unsigned char *)version + sizeof *version;
}

const unsigned char *mni_version_record(const struct mni_version *version)
{
    if (version_has(version, VERSION_PATCHED))
        version = as_const_patched(version)->base;
    return (const unsigned char *)version + sizeof *version;
}

struct mn_slice mni_version_key(const struct mni_version *version)
{
    return mni_record_key(mni_version_record(version));
}

uint64_t mni_version_lsn(const struct mni_version *version)
{
    return version->lsn;
}

uint64_t mni_version_record_lsn(const struct mni_version *version)
{
    return version_has(version, VERSION_PATCHED) ? as_const_patched(version)->base->lsn
                                                 : version->lsn;
}

bool mni_version_expiry(const struct mni_version *version, int64_t *expires_at_us_out)
{
    if (!version_has(version, VERSION_EXPIRES))
        return false;
    if (version_has(version, VERSION_PATCHED)) {
        *expires_at_us_out = as_const_patched(version)->expires_at_us;
        return true;
    }
    return mni_record_expiry(mni_version_record(version), expires_at_us_out);
}

bool mni_version_hits(const struct mni_version *version, uint64_t *hits_out)
{
    if (version_has(version, VERSION_PATCHED)) {
        const struct patched_version *patched = as_const_patched(version);
        if ((patched->fields & MNI_FIELD_HITS) == 0)
            return false;
        *hits_out = patched->hits;
        return true;
    }
    struct mni_record record;
    mni_record_view(mni_version_record(version), &record);
    if ((record.fields & MNI_FIELD_HITS) == 0)
        return false;
    *hits_out = record.hits;
    return true;
}

size_t mni_version_memory_bytes(const struct mni_version *version)
{
    return sizeof *version + body_bytes(version);
}

size_t mni_version_held_bytes(const struct mni_version *version)
{
    size_t n_bytes = mni_version_memory_bytes(version);

    if (version_has(version, VERSION_PATCHED))
        n_bytes += mni_version_memory_bytes(as_const_patched(version)->base);
    return n_bytes;
}

bool mni_version_pin(struct mni_version *version)
{
    return pins_add(&version->pool->pins, (int64_t)mni_version_held_bytes(version));
}

void mni_version_unpin(struct mni_version *version)
{
    pins_subtract(&version->pool->pins, (int64_t)mni_version_held_bytes(version));
    mni_version_unref(version);
}

void mni_version_classify(struct mni_version *version, const struct mni_record *record)
{
    MNI_CHECK(!version_has(version, VERSION_PATCHED));
    MNI_CHECK(mni_record_encoded_bytes(record) <= body_bytes(version));
    version->shape &= ~(uint32_t)VERSION_ALL_FLAGS;
    if (record->type == MNI_RECORD_DELETE)
        version->shape |= VERSION_TOMBSTONE;
    if (record->type == MNI_RECORD_PATCH)
        version->shape |= VERSION_PATCH;
    if ((record->fields & MNI_FIELD_EXPIRY) != 0)
        version->shape |= VERSION_EXPIRES;
}

void mni_version_become_patched(struct mni_version *version, struct mni_version *head)
{
    struct mni_record patch;
    struct patched_version next = {0};
    int64_t expires_at_us;

    MNI_CHECK(version_has(version, VERSION_PATCH));
    MNI_CHECK(!version_has(head, VERSION_TOMBSTONE));
    mni_record_view(mni_version_record(version), &patch);
    next.base = version_has(head, VERSION_PATCHED) ? as_patched(head)->base : head;
    if (mni_version_hits(head, &next.hits))
        next.fields |= MNI_FIELD_HITS;
    if (mni_version_expiry(head, &expires_at_us)) {
        next.fields |= MNI_FIELD_EXPIRY;
        next.expires_at_us = expires_at_us;
    }
    next.fields = (next.fields & ~patch.clears) | patch.fields;
    if ((patch.fields & MNI_FIELD_HITS) != 0)
        next.hits = patch.hits;
    if ((patch.fields & MNI_FIELD_EXPIRY) != 0)
        next.expires_at_us = patch.expires_at_us;

    /* From here on the encoded patch is overwritten. */
    version->shape &= ~(uint32_t)VERSION_ALL_FLAGS;
    version->shape |= VERSION_PATCHED;
    if ((next.fields & MNI_FIELD_EXPIRY) != 0)
        version->shape |= VERSION_EXPIRES;
    struct patched_version *patched = as_patched(version);
    patched->base = next.base;
    patched->expires_at_us = next.expires_at_us;
    patched->hits = next.hits;
    patched->fields = next.fields;
    mni_version_ref(next.base);
}

/* The processor goes on by itself once it sees where this leads. */
void mni_version_prefetch(const struct mni_version *version)
{
    const char *bytes = (const char *)version;

    for (size_t at = 0; at < (size_t)PREFETCH_LINES * CACHE_LINE_BYTES; at += CACHE_LINE_BYTES)
        __builtin_prefetch(bytes + at);
}
