/*
 * codec.c - the bytes of a snapshot's file as a struct, and believes none of them.
 *
 * Owns:    nothing.
 * Format:  docs/format/snapshot.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT for bytes that are no snapshot, MN_ERR_UNSUPPORTED for those of a newer
 *          version.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "snapshot/snapshot_private.h"

enum {
    KNOWN_FLAGS = MNI_SNAPSHOT_INCREMENTAL | MNI_SNAPSHOT_WITHOUT_METADATA | MNI_SNAPSHOT_COMPRESSED
};

static mn_status bad(struct mn_error *err, const char *what)
{
    return mni_fail(err, MN_ERR_CORRUPT, "%s", what);
}

/* Life ----------*/

void mni_snapshot_done(struct mni_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    mni_manifest_done(&snapshot->manifest);
    mni_free(snapshot->stored);
    mni_free(snapshot->room);
    *snapshot = (struct mni_snapshot){0};
}

/* The header ----------*/

mn_status snapshot_header_decode(const unsigned char *bytes, struct snapshot_header *header_out,
                                 struct mn_error *err)
{
    struct snapshot_header h = {0};

    if (memcmp(bytes + HEADER_OFF_MAGIC, SNAPSHOT_MAGIC, 8) != 0 ||
        mni_get_u32(bytes + HEADER_OFF_CRC) != mni_crc32c(0, bytes, HEADER_OFF_CRC))
        return bad(err, "the header is damaged");
    if (mni_get_u32(bytes + HEADER_OFF_VERSION) != SNAPSHOT_VERSION)
        return mni_fail(err, MN_ERR_UNSUPPORTED,
                        "format version %" PRIu32 ", this program reads version %d",
                        mni_get_u32(bytes + HEADER_OFF_VERSION), SNAPSHOT_VERSION);
    h.flags = mni_get_u32(bytes + HEADER_OFF_FLAGS);
    if ((h.flags & ~(unsigned)KNOWN_FLAGS) != 0)
        return mni_fail(err, MN_ERR_UNSUPPORTED, "flags of a newer version (%u)", h.flags);
    memcpy(h.id.bytes, bytes + HEADER_OFF_ID, MNI_SNAPSHOT_ID_BYTES);
    memcpy(h.store_id, bytes + HEADER_OFF_STORE_ID, MNI_MANIFEST_ID_BYTES);
    memcpy(h.parent.bytes, bytes + HEADER_OFF_PARENT, MNI_SNAPSHOT_ID_BYTES);
    memcpy(h.digest, bytes + HEADER_OFF_DIGEST, MNI_SNAPSHOT_DIGEST_BYTES);
    h.lsn = mni_get_u64(bytes + HEADER_OFF_LSN);
    h.time_us = mni_get_i64(bytes + HEADER_OFF_TIME);
    h.created_us = mni_get_i64(bytes + HEADER_OFF_CREATED);
    h.file_bytes = mni_get_u64(bytes + HEADER_OFF_FILE_BYTES);
    h.n_sections = mni_get_u32(bytes + HEADER_OFF_SECTIONS);
    if (mni_get_u32(bytes + HEADER_OFF_RESERVED) != 0 ||
        mni_get_u32(bytes + HEADER_OFF_RESERVED_2) != 0)
        return bad(err, "reserved bytes of the header are not zero");
    if (h.file_bytes < HEADER_BYTES || h.file_bytes > SNAPSHOT_FILE_BYTES_MAX)
        return bad(err, "the header says an impossible length");
    if (mni_snapshot_id_lsn(&h.id) != h.lsn)
        return bad(err, "its id is of another LSN");
    if (mni_snapshot_id_is_zero(&h.parent) == ((h.flags & MNI_SNAPSHOT_INCREMENTAL) != 0) ||
        memcmp(&h.parent, &h.id, sizeof h.id) == 0)
        return bad(err, "its parent contradicts what it is");
    *header_out = h;
    return MN_OK;
}

/* Sections ----------*/

struct sections {
    struct mn_slice content[SECTION_KNOWN_END];
    bool is_there[SECTION_KNOWN_END];
};

static const unsigned char *bytes_of(const struct sections *sections, unsigned type)
{
    return sections->content[type].data;
}

/* Takes the section at `*offset` and steps over it. */
static mn_status take_section(const unsigned char *bytes, uint64_t n_bytes, uint64_t *offset,
                              unsigned *last_type, struct sections *sections, struct mn_error *err)
{
    const unsigned char *p = bytes + *offset;
    uint64_t n_left = n_bytes - *offset;

    if (n_left < SECTION_HEADER_BYTES)
        return bad(err, "a section is cut off");
    n_left -= SECTION_HEADER_BYTES;
    unsigned type = mni_get_u16(p + SECTION_OFF_TYPE);
    unsigned flags = mni_get_u16(p + SECTION_OFF_FLAGS);
    uint64_t n = mni_get_u64(p + SECTION_OFF_BYTES);
    if (n > n_left || mni_align_up(n, SECTION_ALIGN) > n_left)
        return mni_fail(err, MN_ERR_CORRUPT, "section %u is cut off", type);
    uint64_t padded = mni_align_up(n, SECTION_ALIGN);
    if (type <= *last_type || flags > SECTION_REQUIRED ||
        mni_get_u32(p + SECTION_OFF_RESERVED) != 0 ||
        !mni_is_zero(p + SECTION_HEADER_BYTES + n, padded - n) ||
        (type < SECTION_KNOWN_END && flags != SECTION_REQUIRED))
        return mni_fail(err, MN_ERR_CORRUPT, "the frame of section %u is wrong", type);
    if (type < SECTION_KNOWN_END) {
        sections->content[type] = (struct mn_slice){p + SECTION_HEADER_BYTES, (size_t)n};
        sections->is_there[type] = true;
    } else if ((flags & SECTION_REQUIRED) != 0) {
        return mni_fail(err, MN_ERR_UNSUPPORTED, "section %u is of a newer version", type);
    }
    *last_type = type;
    *offset += SECTION_HEADER_BYTES + padded;
    return MN_OK;
}

static mn_status find_sections(const struct snapshot_header *header, const unsigned char *bytes,
                               struct sections *sections, struct mn_error *err)
{
    bool is_compressed = (header->flags & MNI_SNAPSHOT_COMPRESSED) != 0;
    uint64_t offset = HEADER_BYTES;
    unsigned last_type = 0;

    *sections = (struct sections){0};
    for (uint32_t i = 0; i < header->n_sections; i++) {
        mn_status st = take_section(bytes, header->file_bytes, &offset, &last_type, sections, err);
        if (st != MN_OK)
            return st;
    }
    if (offset != header->file_bytes)
        return bad(err, "something stands behind the sections");
    for (unsigned type = SECTION_FACTS; type < SECTION_KNOWN_END; type++)
        if (sections->is_there[type] != (type != SECTION_STORED || is_compressed))
            return mni_fail(err, MN_ERR_CORRUPT, "section %u is %s", type,
                            sections->is_there[type] ? "there" : "missing");
    if (sections->content[SECTION_FACTS].n_bytes != FACTS_BYTES ||
        sections->content[SECTION_STORE].n_bytes != MNI_SNAPSHOT_STORE_BYTES ||
        sections->content[SECTION_DESCRIPTION].n_bytes > MNI_SNAPSHOT_DESCRIPTION_BYTES_MAX ||
        sections->content[SECTION_HISTORY].n_bytes % TIMELINE_BYTES != 0)
        return bad(err, "a section has a wrong length");
    return MN_OK;
}

/* What they hold ----------*/

static bool is_name_of_kind(uint32_t kind, const unsigned char *name, size_t n)
{
    switch (kind) {
    case COLLECTION_KIND_SPACE:
    case COLLECTION_KIND_HISTORY:
        return n == COLLECTION_SPACE_NAME_BYTES;
    case COLLECTION_KIND_TENANT:
        return n == COLLECTION_TENANT_NAME_BYTES;
    default:
        return mni_utf8_is_valid(name, n);
    }
}

/* Takes the collection at `*offset`. */
static mn_status take_collection(struct mn_slice content, size_t *offset,
                                 struct mni_snapshot_collection *c_out, struct mn_error *err)
{
    const unsigned char *p = (const unsigned char *)content.data + *offset;
    size_t n_left = content.n_bytes - *offset;

    if (n_left < COLLECTION_BYTES)
        return bad(err, "a collection is cut off");
    n_left -= COLLECTION_BYTES;
    size_t n = mni_get_u32(p + COLLECTION_OFF_NAME_BYTES);
    if (n == 0 || n > MN_NAMESPACE_BYTES_MAX || mni_align_up(n, SECTION_ALIGN) > n_left)
        return bad(err, "a collection's name has an impossible length");
    size_t padded = mni_align_up(n, SECTION_ALIGN);
    if (mni_get_u32(p + COLLECTION_OFF_RESERVED) != 0 ||
        !mni_is_zero(p + COLLECTION_BYTES + n, padded - n))
        return bad(err, "reserved bytes of a collection are not zero");
    uint32_t kind = mni_get_u32(p + COLLECTION_OFF_KIND);
    if (!is_name_of_kind(kind, p + COLLECTION_BYTES, n))
        return bad(err, "a collection's name is not UTF-8, or of a space or tenant not its number");
    *c_out = (struct mni_snapshot_collection){
        .number = mni_get_u64(p + COLLECTION_OFF_NUMBER),
        .kind = kind,
        .dimension = mni_get_u32(p + COLLECTION_OFF_DIMENSION),
        .n_records = mni_get_u64(p + COLLECTION_OFF_RECORDS),
        .name = {p + COLLECTION_BYTES, n},
    };
    *offset += COLLECTION_BYTES + padded;
    return MN_OK;
}

static int compare_collections(const struct mni_snapshot_collection *a,
                               const struct mni_snapshot_collection *b)
{
    size_t n = a->name.n_bytes < b->name.n_bytes ? a->name.n_bytes : b->name.n_bytes;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    int order = memcmp(a->name.data, b->name.data, n);
    return order != 0 ? order
                      : (a->name.n_bytes > b->name.n_bytes) - (a->name.n_bytes < b->name.n_bytes);
}

size_t mni_snapshot_n_namespaces(const struct mni_snapshot *snapshot)
{
    size_t n = 0;

    while (n < snapshot->n_collections &&
           snapshot->collections[n].kind == COLLECTION_KIND_NAMESPACE)
        n++;
    return n;
}

/* Their number, the bytes of all names, and their records. */
static mn_status check_collections(struct mn_slice content, size_t *n_out, size_t *name_bytes_out,
                                   uint64_t *n_records_out, struct mn_error *err)
{
    struct mni_snapshot_collection last = {0};
    size_t offset = 0;

    *n_out = 0;
    *name_bytes_out = 0;
    *n_records_out = 0;
    while (offset < content.n_bytes) {
        struct mni_snapshot_collection c;
        mn_status st = take_collection(content, &offset, &c, err);
        if (st != MN_OK)
            return st;
        if (*n_out > 0 && compare_collections(&last, &c) >= 0)
            return bad(err, "its collections are out of order");
        if (__builtin_add_overflow(*n_records_out, c.n_records, n_records_out))
            return bad(err, "its collections hold too many records");
        *name_bytes_out += c.name.n_bytes;
        (*n_out)++;
        last = c;
    }
    return MN_OK;
}

/* Moves everything of a variable length into one piece of memory. */
static mn_status keep_lists(const struct sections *sections, size_t n_collections,
                            size_t name_bytes, struct mni_snapshot *s, struct mn_error *err)
{
    struct mn_slice description = sections->content[SECTION_DESCRIPTION];
    const unsigned char *history = bytes_of(sections, SECTION_HISTORY);
    size_t n_timelines = sections->content[SECTION_HISTORY].n_bytes / TIMELINE_BYTES;
    size_t collections_bytes = n_collections * sizeof *s->collections;
    size_t timelines_bytes = n_timelines * sizeof *s->timelines;
    size_t offset = 0;

    unsigned char *room =
        mni_alloc(collections_bytes + timelines_bytes + description.n_bytes + name_bytes);
    if (room == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "%zu collections", n_collections);
    s->room = room;
    s->collections = s->room;
    s->n_collections = n_collections;
    s->timelines = (void *)(room + collections_bytes);
    s->n_timelines = n_timelines;
    unsigned char *text = room + collections_bytes + timelines_bytes;
    for (size_t i = 0; i < n_timelines; i++, history += TIMELINE_BYTES)
        s->timelines[i] = (struct mni_timeline){
            .incarnation = mni_get_u64(history + TIMELINE_OFF_INCARNATION),
            .began_lsn = mni_get_u64(history + TIMELINE_OFF_BEGAN),
            .from_lsn = mni_get_u64(history + TIMELINE_OFF_FROM),
        };
    if (description.n_bytes > 0)
        memcpy(text, description.data, description.n_bytes);
    s->description = (struct mn_slice){text, description.n_bytes};
    text += description.n_bytes;
    for (size_t i = 0; i < n_collections; i++) {
        struct mni_snapshot_collection *c = &s->collections[i];
        mn_status st = take_collection(sections->content[SECTION_COLLECTIONS], &offset, c, err);
        MNI_CHECK(st == MN_OK);
        memcpy(text, c->name.data, c->name.n_bytes);
        c->name.data = text;
        text += c->name.n_bytes;
    }
    return MN_OK;
}

static mn_status check_timelines(const struct mni_snapshot *s, struct mn_error *err)
{
    const struct mni_timeline *t = s->timelines;
    const struct mni_manifest *m = &s->manifest;
    bool is_that_of_manifest = m->n_timelines == 0
                                   ? s->n_timelines > 0 &&
                                         t[s->n_timelines - 1].incarnation == m->incarnation
                                   : s->n_timelines == m->n_timelines &&
                                         memcmp(t, m->timelines, s->n_timelines * sizeof *t) == 0;

    if (!is_that_of_manifest || t[0].began_lsn != 0 || t[0].from_lsn != 0)
        return bad(err, "its history begins or ends with something else than the store");
    for (size_t i = 1; i < s->n_timelines; i++)
        if (t[i].from_lsn > t[i].began_lsn || t[i].began_lsn < t[i - 1].began_lsn ||
            t[i].incarnation == t[i - 1].incarnation)
            return bad(err, "its history contradicts itself");
    return MN_OK;
}

static mn_status check_manifest(const struct snapshot_header *header, const struct mni_snapshot *s,
                                struct mn_error *err)
{
    const struct mni_manifest *m = &s->manifest;

    if (memcmp(m->store_id, header->store_id, MNI_MANIFEST_ID_BYTES) != 0 ||
        memcmp(s->store + STORE_OFF_ID, header->store_id, MNI_MANIFEST_ID_BYTES) != 0)
        return bad(err, "parts of it belong to another store");
    if (m->lsn != header->lsn || m->time_us != header->time_us)
        return bad(err, "its manifest is of another LSN or time");
    return MN_OK;
}

/* Sums over the files, and the sizes of those that are compressed. */
static mn_status check_files(const struct sections *sections, struct mni_snapshot *s,
                             struct mn_error *err)
{
    struct mn_slice sizes = sections->content[SECTION_STORED];
    struct file_cursor cursor = {0};
    struct pool_file file;
    uint64_t n_bytes = 0;
    uint64_t n_files = 0;

    if ((s->flags & MNI_SNAPSHOT_COMPRESSED) != 0) {
        if (sizes.n_bytes != (uint64_t)s->manifest.n_segments * STORED_BYTES)
            return bad(err, "it has another number of stored sizes than of segments");
        s->stored = mni_alloc(sizes.n_bytes);
        if (s->stored == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "sizes of files");
        for (size_t i = 0; i < s->manifest.n_segments; i++)
            s->stored[i] = mni_get_u64((const unsigned char *)sizes.data + i * STORED_BYTES);
    }
    while (snapshot_next_file(s, &cursor, &file)) {
        if (file.stored_bytes == 0)
            return bad(err, "a file has no bytes");
        if (__builtin_add_overflow(n_bytes, file.file_bytes, &n_bytes) ||
            __builtin_add_overflow(s->stored_bytes, file.stored_bytes, &s->stored_bytes))
            return bad(err, "its files have too many bytes");
        n_files++;
    }
    if (n_bytes != s->n_bytes || n_files != s->n_files)
        return bad(err, "its files do not add up");
    return MN_OK;
}

static mn_status check_facts(const struct snapshot_header *header, const unsigned char *facts,
                             struct mni_snapshot *s, struct mn_error *err)
{
    bool is_full = (header->flags & MNI_SNAPSHOT_INCREMENTAL) == 0;

    memcpy(s->parent_digest, facts + FACTS_OFF_PARENT_DIGEST, MNI_SNAPSHOT_DIGEST_BYTES);
    s->n_records = mni_get_u64(facts + FACTS_OFF_RECORDS);
    s->n_bytes = mni_get_u64(facts + FACTS_OFF_BYTES);
    s->own_bytes = mni_get_u64(facts + FACTS_OFF_OWN_BYTES);
    s->n_files = mni_get_u64(facts + FACTS_OFF_FILES);
    s->n_own_files = mni_get_u64(facts + FACTS_OFF_OWN_FILES);
    s->parent_lsn = mni_get_u64(facts + FACTS_OFF_PARENT_LSN);
    if (mni_get_u64(facts + FACTS_OFF_RESERVED) != 0)
        return bad(err, "reserved bytes are not zero");
    if (s->own_bytes > s->n_bytes || s->n_own_files > s->n_files)
        return bad(err, "more files are its own than it has");
    if (is_full && (s->own_bytes != s->n_bytes || s->n_own_files != s->n_files ||
                    s->parent_lsn != 0 || !mni_is_zero(s->parent_digest, sizeof s->parent_digest)))
        return bad(err, "it is full, and says something of a parent");
    if (!is_full &&
        (s->parent_lsn > header->lsn || s->parent_lsn != mni_snapshot_id_lsn(&header->parent)))
        return bad(err, "its parent is of another LSN");
    return MN_OK;
}

static mn_status decode_sections(const struct snapshot_header *header,
                                 const struct sections *sections, struct mni_snapshot *s,
                                 struct mn_error *err)
{
    struct mn_slice manifest = sections->content[SECTION_MANIFEST];
    struct mn_slice description = sections->content[SECTION_DESCRIPTION];
    uint64_t n_records = 0;
    size_t n_collections = 0;
    size_t name_bytes = 0;

    mn_status st = check_facts(header, bytes_of(sections, SECTION_FACTS), s, err);
    if (st == MN_OK && !mni_utf8_is_valid(description.data, description.n_bytes))
        st = bad(err, "its description is not UTF-8");
    if (st == MN_OK)
        st = check_collections(sections->content[SECTION_COLLECTIONS], &n_collections, &name_bytes,
                               &n_records, err);
    if (st == MN_OK && n_records != s->n_records)
        st = bad(err, "the records of its collections do not add up");
    if (st != MN_OK)
        return st;
    memcpy(s->store, bytes_of(sections, SECTION_STORE), MNI_SNAPSHOT_STORE_BYTES);
    st = mni_manifest_decode(manifest.data, manifest.n_bytes, &s->manifest, err);
    if (st != MN_OK) {
        mni_error_prefix(err, "its manifest");
        return st;
    }
    st = check_manifest(header, s, err);
    if (st == MN_OK)
        st = keep_lists(sections, n_collections, name_bytes, s, err);
    if (st == MN_OK)
        st = check_timelines(s, err);
    return st == MN_OK ? check_files(sections, s, err) : st;
}

mn_status snapshot_decode(unsigned char *bytes, uint64_t n, struct mni_snapshot *snapshot_out,
                          struct mn_error *err)
{
    unsigned char digest[MNI_SNAPSHOT_DIGEST_BYTES];
    struct mni_snapshot s = {0};
    struct snapshot_header header;
    struct sections sections;

    *snapshot_out = s;
    if (n < HEADER_BYTES)
        return bad(err, "it is too short");
    mn_status st = snapshot_header_decode(bytes, &header, err);
    if (st != MN_OK)
        return st;
    if (header.file_bytes != n)
        return mni_fail(err, MN_ERR_CORRUPT, "it has %" PRIu64 " bytes, not %" PRIu64, n,
                        header.file_bytes);
    memset(bytes + HEADER_OFF_DIGEST, 0, MNI_SNAPSHOT_DIGEST_BYTES);
    memset(bytes + HEADER_OFF_CRC, 0, HEADER_BYTES - HEADER_OFF_CRC);
    snapshot_digest(bytes, n, digest);
    if (memcmp(digest, header.digest, sizeof digest) != 0)
        return bad(err, "the digest does not match");
    st = find_sections(&header, bytes, &sections, err);
    if (st != MN_OK)
        return st;
    s.id = header.id;
    s.flags = header.flags;
    s.parent = header.parent;
    s.created_us = header.created_us;
    memcpy(s.digest, header.digest, sizeof s.digest);
    st = decode_sections(&header, &sections, &s, err);
    if (st != MN_OK) {
        mni_snapshot_done(&s);
        return st;
    }
    *snapshot_out = s;
    return MN_OK;
}
