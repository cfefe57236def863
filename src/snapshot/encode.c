/*
 * encode.c - a snapshot as the bytes of its file.
 *
 * Owns:    nothing.
 * Format:  docs/format/snapshot.md
 * Threads: any.
 * Fails:   MN_ERR_INVALID for a snapshot that would not be read back, MN_ERR_LIMIT for one that is
 *          too large.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "snapshot/snapshot_private.h"

/* What is written, and the manifest in it. */
struct source {
    const struct mni_snapshot *snapshot;
    unsigned char *manifest; /* owned */
    uint64_t manifest_bytes;
};

static uint64_t collections_bytes(const struct mni_snapshot *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->n_collections; i++)
        n += COLLECTION_BYTES + mni_align_up(s->collections[i].name.n_bytes, SECTION_ALIGN);
    return n;
}

static uint64_t content_bytes(const struct source *source, unsigned type)
{
    const struct mni_snapshot *s = source->snapshot;

    switch (type) {
    case SECTION_FACTS:
        return FACTS_BYTES;
    case SECTION_DESCRIPTION:
        return s->description.n_bytes;
    case SECTION_STORE:
        return MNI_SNAPSHOT_STORE_BYTES;
    case SECTION_MANIFEST:
        return source->manifest_bytes;
    case SECTION_COLLECTIONS:
        return collections_bytes(s);
    case SECTION_HISTORY:
        return (uint64_t)s->n_timelines * TIMELINE_BYTES;
    default:
        return (uint64_t)s->manifest.n_segments * STORED_BYTES;
    }
}

static void put_facts(const struct mni_snapshot *s, unsigned char *p)
{
    memcpy(p + FACTS_OFF_PARENT_DIGEST, s->parent_digest, MNI_SNAPSHOT_DIGEST_BYTES);
    mni_put_u64(p + FACTS_OFF_RECORDS, s->n_records);
    mni_put_u64(p + FACTS_OFF_BYTES, s->n_bytes);
    mni_put_u64(p + FACTS_OFF_OWN_BYTES, s->own_bytes);
    mni_put_u64(p + FACTS_OFF_FILES, s->n_files);
    mni_put_u64(p + FACTS_OFF_OWN_FILES, s->n_own_files);
    mni_put_u64(p + FACTS_OFF_PARENT_LSN, s->parent_lsn);
}

static void put_collections(const struct mni_snapshot *s, unsigned char *p)
{
    for (size_t i = 0; i < s->n_collections; i++) {
        const struct mni_snapshot_collection *c = &s->collections[i];
        mni_put_u64(p + COLLECTION_OFF_NUMBER, c->number);
        mni_put_u32(p + COLLECTION_OFF_KIND, c->kind);
        mni_put_u32(p + COLLECTION_OFF_DIMENSION, c->dimension);
        mni_put_u64(p + COLLECTION_OFF_RECORDS, c->n_records);
        mni_put_u32(p + COLLECTION_OFF_NAME_BYTES, (uint32_t)c->name.n_bytes);
        memcpy(p + COLLECTION_BYTES, c->name.data, c->name.n_bytes);
        p += COLLECTION_BYTES + mni_align_up(c->name.n_bytes, SECTION_ALIGN);
    }
}

static void put_content(const struct source *source, unsigned type, unsigned char *p)
{
    const struct mni_snapshot *s = source->snapshot;

    switch (type) {
    case SECTION_FACTS:
        put_facts(s, p);
        break;
    case SECTION_DESCRIPTION:
        if (s->description.n_bytes > 0)
            memcpy(p, s->description.data, s->description.n_bytes);
        break;
    case SECTION_STORE:
        memcpy(p, s->store, MNI_SNAPSHOT_STORE_BYTES);
        break;
    case SECTION_MANIFEST:
        memcpy(p, source->manifest, source->manifest_bytes);
        break;
    case SECTION_COLLECTIONS:
        put_collections(s, p);
        break;
    case SECTION_HISTORY:
        for (size_t i = 0; i < s->n_timelines; i++, p += TIMELINE_BYTES) {
            mni_put_u64(p + TIMELINE_OFF_INCARNATION, s->timelines[i].incarnation);
            mni_put_u64(p + TIMELINE_OFF_BEGAN, s->timelines[i].began_lsn);
            mni_put_u64(p + TIMELINE_OFF_FROM, s->timelines[i].from_lsn);
        }
        break;
    default:
        for (size_t i = 0; i < s->manifest.n_segments; i++)
            mni_put_u64(p + i * STORED_BYTES, s->stored[i]);
    }
}

void snapshot_digest(const unsigned char *bytes, uint64_t n,
                     unsigned char digest_out[MNI_SNAPSHOT_DIGEST_BYTES])
{
    static_assert((int)MNI_SNAPSHOT_DIGEST_BYTES == (int)MNI_HASH128_BYTES, "digest");
    mni_hash128(bytes, n, digest_out);
}

static void put_header(const struct mni_snapshot *s, unsigned char *p, uint64_t file_bytes,
                       uint32_t n_sections)
{
    memcpy(p + HEADER_OFF_MAGIC, SNAPSHOT_MAGIC, 8);
    mni_put_u32(p + HEADER_OFF_VERSION, SNAPSHOT_VERSION);
    mni_put_u32(p + HEADER_OFF_FLAGS, s->flags);
    memcpy(p + HEADER_OFF_ID, s->id.bytes, MNI_SNAPSHOT_ID_BYTES);
    memcpy(p + HEADER_OFF_STORE_ID, s->manifest.store_id, MNI_MANIFEST_ID_BYTES);
    memcpy(p + HEADER_OFF_PARENT, s->parent.bytes, MNI_SNAPSHOT_ID_BYTES);
    mni_put_u64(p + HEADER_OFF_LSN, s->manifest.lsn);
    mni_put_i64(p + HEADER_OFF_TIME, s->manifest.time_us);
    mni_put_i64(p + HEADER_OFF_CREATED, s->created_us);
    mni_put_u64(p + HEADER_OFF_FILE_BYTES, file_bytes);
    mni_put_u32(p + HEADER_OFF_SECTIONS, n_sections);
}

static void put_all(const struct source *source, unsigned char *bytes, uint64_t n)
{
    const struct mni_snapshot *s = source->snapshot;
    unsigned end = (s->flags & MNI_SNAPSHOT_COMPRESSED) != 0 ? SECTION_KNOWN_END : SECTION_STORED;
    unsigned char *p = bytes + HEADER_BYTES;

    memset(bytes, 0, n);
    put_header(s, bytes, n, end - SECTION_FACTS);
    for (unsigned type = SECTION_FACTS; type < end; type++) {
        uint64_t content = content_bytes(source, type);
        mni_put_u16(p + SECTION_OFF_TYPE, (uint16_t)type);
        mni_put_u16(p + SECTION_OFF_FLAGS, SECTION_REQUIRED);
        mni_put_u64(p + SECTION_OFF_BYTES, content);
        put_content(source, type, p + SECTION_HEADER_BYTES);
        p += SECTION_HEADER_BYTES + mni_align_up(content, SECTION_ALIGN);
    }
    MNI_CHECK((uint64_t)(p - bytes) == n);
}

/* What is written is what is read: whatever a reader would reject is refused here. */
static mn_status check_readable(const unsigned char *bytes, uint64_t n, struct mn_error *err)
{
    struct mni_snapshot again;
    unsigned char *copy = mni_alloc(n);

    if (copy == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "%" PRIu64 " bytes of a snapshot", n);
    memcpy(copy, bytes, n);
    mn_status st = snapshot_decode(copy, n, &again, err);
    mni_free(copy);
    mni_snapshot_done(&again);
    if (st != MN_ERR_CORRUPT && st != MN_ERR_UNSUPPORTED)
        return st;
    mni_error_prefix(err, "this is no snapshot");
    if (err != NULL)
        err->status = MN_ERR_INVALID;
    return MN_ERR_INVALID;
}

/* Lengths that do not fit their fields. */
static mn_status check_lengths(const struct mni_snapshot *s, struct mn_error *err)
{
    if (s->description.n_bytes > MNI_SNAPSHOT_DESCRIPTION_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a description of %zu bytes; at most %d",
                        s->description.n_bytes, MNI_SNAPSHOT_DESCRIPTION_BYTES_MAX);
    for (size_t i = 0; i < s->n_collections; i++)
        if (s->collections[i].name.n_bytes > MN_NAMESPACE_BYTES_MAX)
            return mni_fail(err, MN_ERR_INVALID, "a collection's name has %zu bytes",
                            s->collections[i].name.n_bytes);
    return MN_OK;
}

mn_status snapshot_encode(struct mni_snapshot *snapshot, unsigned char **bytes_out,
                          uint64_t *n_bytes_out, struct mn_error *err)
{
    struct source source = {.snapshot = snapshot};
    bool is_compressed = (snapshot->flags & MNI_SNAPSHOT_COMPRESSED) != 0;
    unsigned char *bytes = NULL;
    unsigned end = is_compressed ? SECTION_KNOWN_END : SECTION_STORED;
    uint64_t n = HEADER_BYTES;

    MNI_CHECK(!is_compressed || snapshot->stored != NULL);
    mn_status st = check_lengths(snapshot, err);
    if (st == MN_OK)
        st =
            mni_manifest_encode(&snapshot->manifest, &source.manifest, &source.manifest_bytes, err);
    if (st != MN_OK)
        return st;
    for (unsigned type = SECTION_FACTS; type < end; type++)
        n += SECTION_HEADER_BYTES + mni_align_up(content_bytes(&source, type), SECTION_ALIGN);
    if (n > SNAPSHOT_FILE_BYTES_MAX)
        st = mni_fail(err, MN_ERR_LIMIT, "a snapshot of %" PRIu64 " bytes; at most %" PRIu64, n,
                      SNAPSHOT_FILE_BYTES_MAX);
    else if ((bytes = mni_alloc(n)) == NULL)
        st = mni_fail(err, MN_ERR_NOMEM, "%" PRIu64 " bytes of a snapshot", n);
    if (st != MN_OK)
        goto out;
    put_all(&source, bytes, n);
    snapshot_digest(bytes, n, snapshot->digest);
    memcpy(bytes + HEADER_OFF_DIGEST, snapshot->digest, MNI_SNAPSHOT_DIGEST_BYTES);
    mni_put_u32(bytes + HEADER_OFF_CRC, mni_crc32c(0, bytes, HEADER_OFF_CRC));
    st = check_readable(bytes, n, err);
    if (st != MN_OK)
        goto out;
    *bytes_out = bytes;
    *n_bytes_out = n;
    bytes = NULL;
out:
    mni_free(bytes);
    mni_free(source.manifest);
    return st;
}
