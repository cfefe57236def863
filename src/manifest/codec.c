/*
 * codec.c - a manifest as bytes, and back.
 *
 * Owns:    nothing.
 * Format:  docs/format/manifest.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT for bytes that are no manifest, MN_ERR_UNSUPPORTED for those of a newer
 *          version.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "manifest/manifest_private.h"

/* Encoding ----------*/

static uint64_t content_bytes(const struct mni_manifest *m, unsigned type)
{
    switch (type) {
    case SECTION_FACTS:
        return FACTS_BYTES;
    case SECTION_RUNS:
        return (uint64_t)m->n_runs * RUN_BYTES;
    case SECTION_SEGMENTS:
        return (uint64_t)m->n_segments * SEGMENT_BYTES;
    case SECTION_LIVES:
        return (uint64_t)m->n_lives * LIVE_BYTES;
    case SECTION_HISTORY:
        return (uint64_t)m->n_timelines * TIMELINE_BYTES;
    default:
        return m->keys.n_bytes;
    }
}

/* A store without a history is one from before it had a checkpoint. */
static bool is_written(const struct mni_manifest *m, unsigned type)
{
    return type != SECTION_HISTORY || m->n_timelines > 0;
}

static uint64_t all_section_bytes(const struct mni_manifest *m)
{
    uint64_t n = 0;

    for (unsigned type = SECTION_FACTS; type < SECTION_KNOWN_END; type++)
        if (is_written(m, type))
            n += SECTION_HEADER_BYTES + mni_align_up(content_bytes(m, type), SECTION_ALIGN);
    return n;
}

mn_status manifest_copy_bytes(const struct mni_manifest *m, uint64_t *copy_bytes_out,
                              struct mn_error *err)
{
    uint64_t n = mni_align_up(HEADER_BYTES + all_section_bytes(m), COPY_ALIGN);

    if (n > COPY_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a manifest of %" PRIu64 " bytes; at most %" PRIu64, n,
                        COPY_BYTES_MAX);
    *copy_bytes_out = n;
    return MN_OK;
}

static void encode_segment(const struct mni_manifest_segment *s, unsigned char *p)
{
    memcpy(p + SEGMENT_OFF_ID, s->id, MNI_MANIFEST_ID_BYTES);
    mni_put_u64(p + SEGMENT_OFF_FILE_BYTES, s->file_bytes);
    mni_put_u64(p + SEGMENT_OFF_FOOTER_OFFSET, s->footer_offset);
    mni_put_u32(p + SEGMENT_OFF_FOOTER_BYTES, s->footer_bytes);
    mni_put_u32(p + SEGMENT_OFF_FOOTER_CRC, s->footer_crc);
    mni_put_u64(p + SEGMENT_OFF_LSN_MIN, s->lsn_min);
    mni_put_u64(p + SEGMENT_OFF_LSN_MAX, s->lsn_max);
    mni_put_u64(p + SEGMENT_OFF_FIRST_COLLECTION, s->first.collection);
    mni_put_u64(p + SEGMENT_OFF_LAST_COLLECTION, s->last.collection);
    mni_put_u32(p + SEGMENT_OFF_ROWS, s->n_rows);
    mni_put_u32(p + SEGMENT_OFF_LIVES, (uint32_t)s->n_lives);
    mni_put_u16(p + SEGMENT_OFF_FIRST_KEY_BYTES, (uint16_t)s->first.key.n_bytes);
    mni_put_u16(p + SEGMENT_OFF_LAST_KEY_BYTES, (uint16_t)s->last.key.n_bytes);
}

static void encode_content(const struct mni_manifest *m, unsigned type, unsigned char *p)
{
    switch (type) {
    case SECTION_FACTS:
        mni_put_u64(p + FACTS_OFF_LSN_HANDED_OUT, m->lsn_handed_out);
        mni_put_i64(p + FACTS_OFF_LAST_TIME, m->last_time_us);
        mni_put_u64(p + FACTS_OFF_INCARNATION, m->incarnation);
        mni_put_u64(p + FACTS_OFF_NEXT_SEGMENT, m->next_segment);
        break;
    case SECTION_RUNS:
        for (size_t i = 0; i < m->n_runs; i++)
            mni_put_u32(p + i * RUN_BYTES, (uint32_t)m->runs[i].n_segments);
        break;
    case SECTION_SEGMENTS:
        for (size_t i = 0; i < m->n_segments; i++)
            encode_segment(&m->segments[i], p + i * SEGMENT_BYTES);
        break;
    case SECTION_LIVES:
        for (size_t i = 0; i < m->n_lives; i++) {
            mni_put_u64(p + i * LIVE_BYTES + LIVE_OFF_GENERATION, m->lives[i].generation);
            mni_put_u64(p + i * LIVE_BYTES + LIVE_OFF_FILE_BYTES, m->lives[i].file_bytes);
            mni_put_u32(p + i * LIVE_BYTES + LIVE_OFF_CRC, m->lives[i].crc);
        }
        break;
    case SECTION_HISTORY:
        for (size_t i = 0; i < m->n_timelines; i++) {
            unsigned char *at = p + i * TIMELINE_BYTES;
            mni_put_u64(at + TIMELINE_OFF_INCARNATION, m->timelines[i].incarnation);
            mni_put_u64(at + TIMELINE_OFF_BEGAN, m->timelines[i].began_lsn);
            mni_put_u64(at + TIMELINE_OFF_FROM, m->timelines[i].from_lsn);
        }
        break;
    default:
        if (m->keys.n_bytes > 0)
            memcpy(p, m->keys.data, m->keys.n_bytes);
    }
}

void manifest_set_copy(unsigned char *bytes, unsigned copy)
{
    MNI_CHECK(copy < N_COPIES);
    mni_put_u32(bytes + HEADER_OFF_COPY, copy);
    mni_put_u32(bytes + HEADER_OFF_CRC, mni_crc32c(0, bytes, HEADER_OFF_CRC));
}

void manifest_encode(const struct mni_manifest *m, unsigned char *bytes, uint64_t copy_bytes)
{
    unsigned char *p = bytes + HEADER_BYTES;
    uint32_t n_sections = 0;

    memset(bytes, 0, copy_bytes);
    for (unsigned type = SECTION_FACTS; type < SECTION_KNOWN_END; type++) {
        if (!is_written(m, type))
            continue;
        n_sections++;
        uint64_t n = content_bytes(m, type);
        mni_put_u16(p + SECTION_OFF_TYPE, (uint16_t)type);
        mni_put_u16(p + SECTION_OFF_FLAGS, SECTION_REQUIRED);
        mni_put_u64(p + SECTION_OFF_BYTES, n);
        encode_content(m, type, p + SECTION_HEADER_BYTES);
        p += SECTION_HEADER_BYTES + mni_align_up(n, SECTION_ALIGN);
    }
    memcpy(bytes + HEADER_OFF_MAGIC, MANIFEST_MAGIC, 8);
    mni_put_u32(bytes + HEADER_OFF_VERSION, MANIFEST_VERSION);
    memcpy(bytes + HEADER_OFF_STORE_ID, m->store_id, MNI_MANIFEST_ID_BYTES);
    mni_put_u64(bytes + HEADER_OFF_NUMBER, m->number);
    mni_put_u64(bytes + HEADER_OFF_LSN, m->lsn);
    mni_put_i64(bytes + HEADER_OFF_TIME, m->time_us);
    mni_put_u64(bytes + HEADER_OFF_COPY_BYTES, copy_bytes);
    mni_put_u64(bytes + HEADER_OFF_SECTION_BYTES, (uint64_t)(p - bytes) - HEADER_BYTES);
    mni_put_u32(bytes + HEADER_OFF_SECTIONS, n_sections);
    mni_put_u32(bytes + HEADER_OFF_BODY_CRC,
                mni_crc32c(0, bytes + HEADER_BYTES, copy_bytes - HEADER_BYTES));
    manifest_set_copy(bytes, 0);
}

mn_status mni_manifest_encode(struct mni_manifest *manifest, unsigned char **bytes_out,
                              uint64_t *n_bytes_out, struct mn_error *err)
{
    uint64_t copy_bytes = 0;
    mn_status st = mni_manifest_validate(manifest, err);

    if (st == MN_OK)
        st = manifest_copy_bytes(manifest, &copy_bytes, err);
    if (st != MN_OK)
        return st;
    unsigned char *bytes = mni_alloc(copy_bytes);
    if (bytes == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "%" PRIu64 " bytes of a manifest", copy_bytes);
    manifest_encode(manifest, bytes, copy_bytes);
    *bytes_out = bytes;
    *n_bytes_out = copy_bytes;
    return MN_OK;
}

/* Decoding ----------*/

mn_status manifest_header_decode(const unsigned char *bytes, struct manifest_header *header_out,
                                 struct mn_error *err)
{
    struct manifest_header h;

    if (memcmp(bytes + HEADER_OFF_MAGIC, MANIFEST_MAGIC, 8) != 0 ||
        mni_get_u32(bytes + HEADER_OFF_CRC) != mni_crc32c(0, bytes, HEADER_OFF_CRC))
        return mni_fail(err, MN_ERR_CORRUPT, "the header is damaged");
    if (mni_get_u32(bytes + HEADER_OFF_VERSION) != MANIFEST_VERSION)
        return mni_fail(err, MN_ERR_UNSUPPORTED,
                        "format version %" PRIu32 ", this program reads version %d",
                        mni_get_u32(bytes + HEADER_OFF_VERSION), MANIFEST_VERSION);
    h.copy = mni_get_u32(bytes + HEADER_OFF_COPY);
    memcpy(h.store_id, bytes + HEADER_OFF_STORE_ID, MNI_MANIFEST_ID_BYTES);
    h.number = mni_get_u64(bytes + HEADER_OFF_NUMBER);
    h.lsn = mni_get_u64(bytes + HEADER_OFF_LSN);
    h.time_us = mni_get_i64(bytes + HEADER_OFF_TIME);
    h.copy_bytes = mni_get_u64(bytes + HEADER_OFF_COPY_BYTES);
    h.section_bytes = mni_get_u64(bytes + HEADER_OFF_SECTION_BYTES);
    h.n_sections = mni_get_u32(bytes + HEADER_OFF_SECTIONS);
    h.body_crc = mni_get_u32(bytes + HEADER_OFF_BODY_CRC);
    if (!mni_is_zero(bytes + HEADER_OFF_RESERVED, HEADER_OFF_BODY_CRC - HEADER_OFF_RESERVED))
        return mni_fail(err, MN_ERR_CORRUPT, "reserved bytes of the header are not zero");
    if (h.copy >= N_COPIES || h.section_bytes > COPY_BYTES_MAX - HEADER_BYTES ||
        h.copy_bytes != mni_align_up(HEADER_BYTES + h.section_bytes, COPY_ALIGN))
        return mni_fail(err, MN_ERR_CORRUPT, "the header's sizes contradict each other");
    *header_out = h;
    return MN_OK;
}

struct sections {
    const unsigned char *content[SECTION_KNOWN_END];
    uint64_t n_bytes[SECTION_KNOWN_END];
};

/* Takes the section at `*offset` and steps over it. */
static mn_status take_section(const unsigned char *bytes, uint64_t n_bytes, uint64_t *offset,
                              unsigned last_type, struct sections *sections, struct mn_error *err)
{
    const unsigned char *p = bytes + *offset;
    uint64_t n_left = n_bytes - *offset;

    if (n_left < SECTION_HEADER_BYTES)
        return mni_fail(err, MN_ERR_CORRUPT, "a section is cut off");
    n_left -= SECTION_HEADER_BYTES;
    unsigned type = mni_get_u16(p + SECTION_OFF_TYPE);
    unsigned flags = mni_get_u16(p + SECTION_OFF_FLAGS);
    uint64_t n = mni_get_u64(p + SECTION_OFF_BYTES);
    if (n > n_left || mni_align_up(n, SECTION_ALIGN) > n_left)
        return mni_fail(err, MN_ERR_CORRUPT, "section %u is cut off", type);
    if (type <= last_type || flags > SECTION_REQUIRED || mni_get_u32(p + SECTION_OFF_RESERVED) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "the header of section %u is wrong", type);
    uint64_t padded = mni_align_up(n, SECTION_ALIGN);
    if (!mni_is_zero(p + SECTION_HEADER_BYTES + n, padded - n))
        return mni_fail(err, MN_ERR_CORRUPT, "the padding of section %u is not zero", type);
    if (type < SECTION_KNOWN_END) {
        if (flags != SECTION_REQUIRED)
            return mni_fail(err, MN_ERR_CORRUPT, "the header of section %u is wrong", type);
        sections->content[type] = p + SECTION_HEADER_BYTES;
        sections->n_bytes[type] = n;
    } else if ((flags & SECTION_REQUIRED) != 0) {
        return mni_fail(err, MN_ERR_UNSUPPORTED, "section %u is of a newer version", type);
    }
    *offset += SECTION_HEADER_BYTES + padded;
    return MN_OK;
}

static mn_status find_sections(const struct manifest_header *header, const unsigned char *bytes,
                               struct sections *sections, struct mn_error *err)
{
    uint64_t offset = 0;
    unsigned last_type = 0;

    *sections = (struct sections){0};
    for (uint32_t i = 0; i < header->n_sections; i++) {
        uint64_t begin = offset;
        mn_status st =
            take_section(bytes, header->section_bytes, &offset, last_type, sections, err);
        if (st != MN_OK)
            return st;
        last_type = mni_get_u16(bytes + begin + SECTION_OFF_TYPE);
    }
    uint64_t end = header->copy_bytes - HEADER_BYTES;
    if (offset != header->section_bytes || !mni_is_zero(bytes + offset, end - offset))
        return mni_fail(err, MN_ERR_CORRUPT, "something stands behind the sections");
    for (unsigned type = SECTION_FACTS; type < SECTION_KNOWN_END; type++)
        if (sections->content[type] == NULL && type != SECTION_HISTORY)
            return mni_fail(err, MN_ERR_CORRUPT, "section %u is missing", type);
    if (sections->n_bytes[SECTION_FACTS] != FACTS_BYTES ||
        sections->n_bytes[SECTION_RUNS] % RUN_BYTES != 0 ||
        sections->n_bytes[SECTION_SEGMENTS] % SEGMENT_BYTES != 0 ||
        sections->n_bytes[SECTION_LIVES] % LIVE_BYTES != 0 ||
        sections->n_bytes[SECTION_HISTORY] % TIMELINE_BYTES != 0 ||
        (sections->content[SECTION_HISTORY] != NULL && sections->n_bytes[SECTION_HISTORY] == 0))
        return mni_fail(err, MN_ERR_CORRUPT, "a section has a wrong length");
    return MN_OK;
}

/* How far the arrays of segments, generations and keys have been used. */
struct position {
    uint64_t segment;
    uint64_t live;
    uint64_t key;
};

static mn_status decode_lives(const struct sections *sections, struct position *at, uint32_t n,
                              struct mni_manifest *m, struct mn_error *err)
{
    if (n > sections->n_bytes[SECTION_LIVES] / LIVE_BYTES - at->live)
        return mni_fail(err, MN_ERR_CORRUPT, "fewer liveness files than segments say");
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *p = sections->content[SECTION_LIVES] + at->live++ * LIVE_BYTES;
        struct mni_manifest_live live = {.generation = mni_get_u64(p + LIVE_OFF_GENERATION),
                                         .file_bytes = mni_get_u64(p + LIVE_OFF_FILE_BYTES),
                                         .crc = mni_get_u32(p + LIVE_OFF_CRC)};
        if (mni_get_u32(p + LIVE_OFF_RESERVED) != 0)
            return mni_fail(err, MN_ERR_CORRUPT, "reserved bytes are not zero");
        if (mni_manifest_add_live(m, &live) != MN_OK)
            return mni_fail(err, MN_ERR_NOMEM, "liveness files");
    }
    return MN_OK;
}

static mn_status decode_segment(const struct sections *sections, struct position *at,
                                struct mni_manifest *m, struct mn_error *err)
{
    const unsigned char *p = sections->content[SECTION_SEGMENTS] + at->segment++ * SEGMENT_BYTES;
    const unsigned char *keys = sections->content[SECTION_KEYS] + at->key;
    uint64_t n_left = sections->n_bytes[SECTION_KEYS] - at->key;
    size_t first_bytes = mni_get_u16(p + SEGMENT_OFF_FIRST_KEY_BYTES);
    size_t last_bytes = mni_get_u16(p + SEGMENT_OFF_LAST_KEY_BYTES);

    if (first_bytes == 0 || first_bytes > MNI_MANIFEST_KEY_BYTES_MAX || last_bytes == 0 ||
        last_bytes > MNI_MANIFEST_KEY_BYTES_MAX)
        return mni_fail(err, MN_ERR_CORRUPT, "a key has a wrong length");
    if (first_bytes + last_bytes > n_left)
        return mni_fail(err, MN_ERR_CORRUPT, "fewer bytes of keys than segments say");
    if (mni_get_u32(p + SEGMENT_OFF_RESERVED) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "reserved bytes are not zero");
    struct mni_manifest_segment s = {
        .file_bytes = mni_get_u64(p + SEGMENT_OFF_FILE_BYTES),
        .footer_offset = mni_get_u64(p + SEGMENT_OFF_FOOTER_OFFSET),
        .footer_bytes = mni_get_u32(p + SEGMENT_OFF_FOOTER_BYTES),
        .footer_crc = mni_get_u32(p + SEGMENT_OFF_FOOTER_CRC),
        .n_rows = mni_get_u32(p + SEGMENT_OFF_ROWS),
        .lsn_min = mni_get_u64(p + SEGMENT_OFF_LSN_MIN),
        .lsn_max = mni_get_u64(p + SEGMENT_OFF_LSN_MAX),
        .first = {mni_get_u64(p + SEGMENT_OFF_FIRST_COLLECTION), {keys, first_bytes}},
        .last = {mni_get_u64(p + SEGMENT_OFF_LAST_COLLECTION), {keys + first_bytes, last_bytes}},
    };
    memcpy(s.id, p + SEGMENT_OFF_ID, MNI_MANIFEST_ID_BYTES);
    if (mni_manifest_add_segment(m, &s) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "segments");
    at->key += first_bytes + last_bytes;
    return decode_lives(sections, at, mni_get_u32(p + SEGMENT_OFF_LIVES), m, err);
}

static mn_status decode_runs(const struct sections *sections, struct mni_manifest *m,
                             struct mn_error *err)
{
    uint64_t n_runs = sections->n_bytes[SECTION_RUNS] / RUN_BYTES;
    uint64_t n_segments = sections->n_bytes[SECTION_SEGMENTS] / SEGMENT_BYTES;
    struct position at = {0};

    for (uint64_t i = 0; i < n_runs; i++) {
        uint32_t n = mni_get_u32(sections->content[SECTION_RUNS] + i * RUN_BYTES);
        if (n == 0 || n > n_segments - at.segment)
            return mni_fail(err, MN_ERR_CORRUPT, "the segments of a run are not there");
        if (mni_manifest_add_run(m) != MN_OK)
            return mni_fail(err, MN_ERR_NOMEM, "runs");
        for (uint32_t j = 0; j < n; j++) {
            mn_status st = decode_segment(sections, &at, m, err);
            if (st != MN_OK)
                return st;
        }
    }
    if (at.segment != n_segments || at.live * LIVE_BYTES != sections->n_bytes[SECTION_LIVES] ||
        at.key != sections->n_bytes[SECTION_KEYS])
        return mni_fail(err, MN_ERR_CORRUPT, "segments, liveness files or keys that no run has");
    return MN_OK;
}

static mn_status decode_history(const struct sections *sections, struct mni_manifest *m,
                                struct mn_error *err)
{
    uint64_t n = sections->n_bytes[SECTION_HISTORY] / TIMELINE_BYTES;

    if (n > MNI_MANIFEST_TIMELINES_MAX)
        return mni_fail(err, MN_ERR_CORRUPT, "%" PRIu64 " timelines", n);
    if (n == 0)
        return MN_OK;
    m->timelines = mni_alloc_array((size_t)n, sizeof *m->timelines);
    if (m->timelines == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "%" PRIu64 " timelines", n);
    for (m->n_timelines = 0; m->n_timelines < n; m->n_timelines++) {
        const unsigned char *p =
            sections->content[SECTION_HISTORY] + m->n_timelines * TIMELINE_BYTES;
        m->timelines[m->n_timelines] =
            (struct mni_timeline){.incarnation = mni_get_u64(p + TIMELINE_OFF_INCARNATION),
                                  .began_lsn = mni_get_u64(p + TIMELINE_OFF_BEGAN),
                                  .from_lsn = mni_get_u64(p + TIMELINE_OFF_FROM)};
    }
    return MN_OK;
}

mn_status manifest_decode(const struct manifest_header *header, const unsigned char *bytes,
                          struct mni_manifest *m, struct mn_error *err)
{
    struct sections sections;

    MNI_CHECK(m->n_runs == 0 && m->n_segments == 0);
    mn_status st = find_sections(header, bytes, &sections, err);
    if (st != MN_OK)
        return st;
    const unsigned char *facts = sections.content[SECTION_FACTS];
    m->number = header->number;
    memcpy(m->store_id, header->store_id, MNI_MANIFEST_ID_BYTES);
    m->lsn = header->lsn;
    m->time_us = header->time_us;
    m->lsn_handed_out = mni_get_u64(facts + FACTS_OFF_LSN_HANDED_OUT);
    m->last_time_us = mni_get_i64(facts + FACTS_OFF_LAST_TIME);
    m->incarnation = mni_get_u64(facts + FACTS_OFF_INCARNATION);
    m->next_segment = mni_get_u64(facts + FACTS_OFF_NEXT_SEGMENT);
    st = decode_history(&sections, m, err);
    if (st == MN_OK)
        st = decode_runs(&sections, m, err);
    return st == MN_OK ? mni_manifest_validate(m, err) : st;
}

mn_status mni_manifest_decode(const unsigned char *bytes, uint64_t n,
                              struct mni_manifest *manifest_out, struct mn_error *err)
{
    struct mni_manifest manifest = {0};
    struct manifest_header header;

    *manifest_out = manifest;
    if (n < HEADER_BYTES)
        return mni_fail(err, MN_ERR_CORRUPT, "it is too short");
    mn_status st = manifest_header_decode(bytes, &header, err);
    if (st != MN_OK)
        return st;
    if (header.copy != 0 || header.copy_bytes != n)
        return mni_fail(err, MN_ERR_CORRUPT, "it has a wrong length");
    if (mni_crc32c(0, bytes + HEADER_BYTES, n - HEADER_BYTES) != header.body_crc)
        return mni_fail(err, MN_ERR_CORRUPT, "the checksum does not match");
    st = manifest_decode(&header, bytes + HEADER_BYTES, &manifest, err);
    if (st != MN_OK) {
        mni_manifest_done(&manifest);
        return st;
    }
    *manifest_out = manifest;
    return MN_OK;
}
