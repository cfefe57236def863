/*
 * seal.c - the index as bytes, with which a cache that was closed is warm again.
 *
 * Owns:    nothing.
 * Format:  docs/format/diskcache.md, "the seal"
 * Threads: the caller's lock.
 * Fails:   MN_ERR_CORRUPT for anything but a seal that was written whole; MN_ERR_UNSUPPORTED for
 *          one of another version.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "diskcache/diskcache_private.h"
#include "diskcache/format.h"

enum { PIECE_BYTES = 64 << 10 };

void dc_seal_done(struct dc_seal *seal)
{
    mni_free(seal->files);
    seal->files = NULL;
}

uint64_t dc_seal_bytes(const struct dc_index *x)
{
    return SEAL_HEADER_BYTES + (uint64_t)SEAL_FILE_BYTES * x->n_generations +
           (uint64_t)SEAL_SPACE_HEADER_BYTES * x->n_names + x->name_bytes +
           SEAL_ENTRY_BYTES * x->n_entries;
}

/* Encoding ----------*/

struct writer {
    dc_seal_sink_fn *sink;
    void *context;
    unsigned char *piece; /* owned */
    size_t n_bytes;       /* of the piece */
    uint64_t offset;
    uint32_t crc;
    uint32_t n_spaces; /* written by now; their number in the seal is that at which they were */
    uint64_t n_entries;
};

static mn_status write_piece(struct writer *w, struct mn_error *err)
{
    mn_status st = w->sink(w->context, w->offset, w->piece, w->n_bytes, err);

    w->crc = mni_crc32c(w->crc, w->piece, w->n_bytes);
    w->offset += w->n_bytes;
    w->n_bytes = 0;
    return st;
}

/* Room for `n` bytes, of which none is too large for a piece. */
static unsigned char *room(struct writer *w, size_t n, mn_status *st, struct mn_error *err)
{
    if (w->n_bytes + n > PIECE_BYTES)
        *st = write_piece(w, err);
    unsigned char *at = w->piece + w->n_bytes;
    w->n_bytes += n;
    memset(at, 0, n);
    return at;
}

static void put_entry(unsigned char *p, const struct dc_entry *e, uint32_t space)
{
    mni_put_u64(p + SEAL_ENTRY_OFF_HASH, e->hash[0]);
    mni_put_u64(p + SEAL_ENTRY_OFF_HASH + 8, e->hash[1]);
    mni_put_u64(p + SEAL_ENTRY_OFF_NUMBER, e->number);
    mni_put_i64(p + SEAL_ENTRY_OFF_CREATED, e->created_at_us);
    mni_put_i64(p + SEAL_ENTRY_OFF_EXPIRES, e->expires_at_us);
    mni_put_u32(p + SEAL_ENTRY_OFF_VALUE_BYTES, e->value_bytes);
    mni_put_u32(p + SEAL_ENTRY_OFF_ACCESS_COUNT, e->access_count);
    mni_put_u32(p + SEAL_ENTRY_OFF_SPACE, space);
    mni_put_u16(p + SEAL_ENTRY_OFF_ID_BYTES, e->id_bytes);
    p[SEAL_ENTRY_OFF_HEAT] = e->heat;
}

static mn_status write_entries(struct writer *w, const struct dc_index *x,
                               const uint32_t *space_numbers, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (uint32_t i = 0; i < x->n_generations; i++)
        for (uint32_t e = x->generations[i]->head; e != DC_NO_ENTRY && st == MN_OK;
             e = dc_entry_at(x, e)->generation_next) {
            const struct dc_entry *entry = dc_entry_at(x, e);
            if (x->spaces[entry->space]->is_cleared)
                continue;
            put_entry(room(w, SEAL_ENTRY_BYTES, &st, err), entry, space_numbers[entry->space]);
            w->n_entries++;
        }
    return st;
}

static mn_status write_body(struct writer *w, const struct dc_seal *seal, const struct dc_index *x,
                            uint32_t *space_numbers, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (uint32_t i = 0; i < seal->n_files && st == MN_OK; i++) {
        const struct dc_seal_file *f = &seal->files[i];
        unsigned char *p = room(w, SEAL_FILE_BYTES, &st, err);
        mni_put_u64(p + SEAL_FILE_OFF_NUMBER, f->file_number);
        mni_put_u64(p + SEAL_FILE_OFF_BYTES, f->n_bytes);
        mni_put_u64(p + SEAL_FILE_OFF_TAIL_HASH, f->tail_hash);
        mni_put_u64(p + SEAL_FILE_OFF_FIRST, f->first);
        mni_put_u64(p + SEAL_FILE_OFF_LAST, f->last);
    }
    for (uint32_t i = 0; i < x->n_spaces && st == MN_OK; i++) {
        const struct dc_space *s = x->spaces[i];
        if (s == NULL || s->is_cleared)
            continue;
        unsigned char *p = room(w, SEAL_SPACE_HEADER_BYTES + s->name_bytes, &st, err);
        mni_put_u64(p + SEAL_SPACE_OFF_SERIAL, s->serial);
        mni_put_u16(p + SEAL_SPACE_OFF_NAME_BYTES, (uint16_t)s->name_bytes);
        memcpy(p + SEAL_SPACE_HEADER_BYTES, s->name, s->name_bytes);
        space_numbers[i] = w->n_spaces++;
    }
    if (st == MN_OK)
        st = write_entries(w, x, space_numbers, err);
    return st == MN_OK ? write_piece(w, err) : st;
}

static mn_status write_header(const struct writer *w, const struct dc_seal *seal,
                              struct mn_error *err)
{
    unsigned char h[SEAL_HEADER_BYTES] = {0};

    mni_put_u64(h + SEAL_OFF_MAGIC, SEAL_MAGIC);
    mni_put_u32(h + SEAL_OFF_VERSION, SEAL_VERSION);
    mni_put_u32(h + SEAL_OFF_FILES, seal->n_files);
    mni_put_u32(h + SEAL_OFF_SPACES, w->n_spaces);
    mni_put_u64(h + SEAL_OFF_ENTRIES, w->n_entries);
    mni_put_u64(h + SEAL_OFF_NEXT_NUMBER, seal->next_number);
    mni_put_u64(h + SEAL_OFF_NEXT_SERIAL, seal->next_serial);
    mni_put_i64(h + SEAL_OFF_CLOCK, seal->clock_us);
    mni_put_u64(h + SEAL_OFF_MANIFEST_NUMBER, seal->manifest_number);
    mni_put_u64(h + SEAL_OFF_MANIFEST_BYTES, seal->manifest_bytes);
    mni_put_u64(h + SEAL_OFF_MANIFEST_HASH, seal->manifest_hash);
    mni_put_u64(h + SEAL_OFF_BODY_BYTES, w->offset - SEAL_HEADER_BYTES);
    mni_put_u32(h + SEAL_OFF_BODY_CRC, w->crc);
    mni_put_u32(h + SEAL_OFF_CRC, mni_crc32c(0, h, SEAL_OFF_CRC));
    return w->sink(w->context, 0, h, sizeof h, err);
}

mn_status dc_seal_encode(const struct dc_seal *seal, const struct dc_index *x,
                         dc_seal_sink_fn *sink, void *context, struct mn_error *err)
{
    struct writer w = {.sink = sink, .context = context, .offset = SEAL_HEADER_BYTES};
    uint32_t *space_numbers = mni_alloc_array((size_t)x->n_spaces + 1, sizeof(uint32_t));
    mn_status st;

    w.piece = mni_alloc(PIECE_BYTES);
    if (w.piece == NULL || space_numbers == NULL)
        st = mni_fail(err, MN_ERR_NOMEM, "seal of the cache");
    else
        st = write_body(&w, seal, x, space_numbers, err);
    if (st == MN_OK)
        st = write_header(&w, seal, err);
    mni_free(w.piece);
    mni_free(space_numbers);
    return st;
}

/* Decoding ----------*/

struct reader {
    const unsigned char *at;
    size_t n_left;
    uint32_t n_spaces;
    uint64_t n_entries;
    uint32_t *slots; /* owned: of each namespace, in the index */
};

static mn_status corrupt(struct mn_error *err, const char *what)
{
    return mni_fail(err, MN_ERR_CORRUPT, "seal of the cache: %s", what);
}

static const unsigned char *take(struct reader *r, size_t n)
{
    const unsigned char *p = r->at;

    if (r->n_left < n)
        return NULL;
    r->at += n;
    r->n_left -= n;
    return p;
}

mn_status dc_seal_check_header(const unsigned char *h, uint64_t n_bytes, struct mn_error *err)
{
    if (mni_get_u64(h + SEAL_OFF_MAGIC) != SEAL_MAGIC)
        return corrupt(err, "it does not begin as one");
    if (mni_get_u32(h + SEAL_OFF_CRC) != mni_crc32c(0, h, SEAL_OFF_CRC))
        return corrupt(err, "the checksum of its header is wrong");
    if (mni_get_u32(h + SEAL_OFF_VERSION) != SEAL_VERSION)
        return mni_fail(err, MN_ERR_UNSUPPORTED, "seal of the cache: of version %" PRIu32,
                        mni_get_u32(h + SEAL_OFF_VERSION));
    if (mni_get_u32(h + SEAL_OFF_RESERVED) != 0)
        return corrupt(err, "reserved bytes are set");
    if (mni_get_u64(h + SEAL_OFF_BODY_BYTES) != n_bytes - SEAL_HEADER_BYTES)
        return corrupt(err, "its length is wrong");
    return MN_OK;
}

static mn_status read_header(struct reader *r, struct mn_slice bytes, struct dc_seal *seal,
                             struct mn_error *err)
{
    const unsigned char *h = bytes.data;

    if (bytes.n_bytes < SEAL_HEADER_BYTES)
        return corrupt(err, "shorter than its header");
    mn_status st = dc_seal_check_header(h, bytes.n_bytes, err);
    if (st != MN_OK)
        return st;
    r->at = h + SEAL_HEADER_BYTES;
    r->n_left = bytes.n_bytes - SEAL_HEADER_BYTES;
    if (mni_get_u32(h + SEAL_OFF_BODY_CRC) != mni_crc32c(0, r->at, r->n_left))
        return corrupt(err, "its checksum is wrong");
    r->n_spaces = mni_get_u32(h + SEAL_OFF_SPACES);
    r->n_entries = mni_get_u64(h + SEAL_OFF_ENTRIES);
    seal->n_files = mni_get_u32(h + SEAL_OFF_FILES);
    seal->next_number = mni_get_u64(h + SEAL_OFF_NEXT_NUMBER);
    seal->next_serial = mni_get_u64(h + SEAL_OFF_NEXT_SERIAL);
    seal->clock_us = mni_get_i64(h + SEAL_OFF_CLOCK);
    seal->manifest_number = mni_get_u64(h + SEAL_OFF_MANIFEST_NUMBER);
    seal->manifest_bytes = mni_get_u64(h + SEAL_OFF_MANIFEST_BYTES);
    seal->manifest_hash = mni_get_u64(h + SEAL_OFF_MANIFEST_HASH);
    return MN_OK;
}

static mn_status read_files(struct reader *r, struct dc_seal *seal, struct dc_index *x,
                            struct mn_error *err)
{
    uint64_t next = 1;
    mn_status st = MN_OK;

    if (seal->n_files > r->n_left / SEAL_FILE_BYTES)
        return corrupt(err, "more files than it has room for");
    seal->files = mni_alloc_array((size_t)seal->n_files + 1, sizeof(struct dc_seal_file));
    if (seal->files == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "seal of the cache");
    for (uint32_t i = 0; i < seal->n_files && st == MN_OK; i++) {
        const unsigned char *p = take(r, SEAL_FILE_BYTES);
        struct dc_seal_file *f = &seal->files[i];
        *f = (struct dc_seal_file){
            .file_number = mni_get_u64(p + SEAL_FILE_OFF_NUMBER),
            .n_bytes = mni_get_u64(p + SEAL_FILE_OFF_BYTES),
            .tail_hash = mni_get_u64(p + SEAL_FILE_OFF_TAIL_HASH),
            .first = mni_get_u64(p + SEAL_FILE_OFF_FIRST),
            .last = mni_get_u64(p + SEAL_FILE_OFF_LAST),
        };
        if (f->first < next || f->last < f->first || f->last >= seal->next_number)
            return corrupt(err, "its files are not in order");
        next = f->last + 1;
        st = dc_generation_begin(x, f->first, err);
        if (st == MN_OK) {
            struct dc_generation *g = dc_generation_newest(x);
            g->last = f->last;
            g->bytes_max = g->file_bytes = f->n_bytes;
            g->file_number = f->file_number;
            g->is_file = true;
        }
    }
    return st;
}

static mn_status read_spaces(struct reader *r, const struct dc_seal *seal, struct dc_index *x,
                             struct mn_error *err)
{
    if (r->n_spaces > r->n_left / SEAL_SPACE_HEADER_BYTES)
        return corrupt(err, "more namespaces than it has room for");
    r->slots = mni_alloc_array((size_t)r->n_spaces + 1, sizeof(uint32_t));
    if (r->slots == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "seal of the cache");
    for (uint32_t i = 0; i < r->n_spaces; i++) {
        const unsigned char *p = take(r, SEAL_SPACE_HEADER_BYTES);
        size_t n = p == NULL ? 0 : mni_get_u16(p + SEAL_SPACE_OFF_NAME_BYTES);
        struct mn_slice name = {take(r, n), n};
        if (n == 0 || n > MN_NAMESPACE_BYTES_MAX || name.data == NULL)
            return corrupt(err, "the length of a name is wrong");
        uint64_t serial = mni_get_u64(p + SEAL_SPACE_OFF_SERIAL);
        if (!mni_utf8_is_valid(name.data, n) || dc_space_find(x, name) != NULL ||
            seal->next_serial - serial > UINT64_MAX / 2 || serial == seal->next_serial)
            return corrupt(err, "a namespace is wrong");
        struct dc_space *s = dc_space_add(x, name, serial);
        if (s == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "seal of the cache");
        r->slots[i] = s->slot;
    }
    return MN_OK;
}

static mn_status read_entry(const struct reader *r, const unsigned char *p, uint64_t *next_number,
                            struct dc_index *x, struct mn_error *err)
{
    uint32_t space = mni_get_u32(p + SEAL_ENTRY_OFF_SPACE);
    struct dc_entry e = {
        .hash = {mni_get_u64(p + SEAL_ENTRY_OFF_HASH), mni_get_u64(p + SEAL_ENTRY_OFF_HASH + 8)},
        .number = mni_get_u64(p + SEAL_ENTRY_OFF_NUMBER),
        .created_at_us = mni_get_i64(p + SEAL_ENTRY_OFF_CREATED),
        .expires_at_us = mni_get_i64(p + SEAL_ENTRY_OFF_EXPIRES),
        .value_bytes = mni_get_u32(p + SEAL_ENTRY_OFF_VALUE_BYTES),
        .access_count = mni_get_u32(p + SEAL_ENTRY_OFF_ACCESS_COUNT),
        .id_bytes = mni_get_u16(p + SEAL_ENTRY_OFF_ID_BYTES),
        .heat = p[SEAL_ENTRY_OFF_HEAT],
    };

    if (space >= r->n_spaces || e.number < *next_number || e.id_bytes == 0 ||
        e.id_bytes > MN_ID_BYTES_MAX || e.value_bytes > DC_VALUE_BYTES_MAX ||
        p[SEAL_ENTRY_OFF_RESERVED] != 0)
        return corrupt(err, "an entry is wrong");
    *next_number = e.number + 1;
    if (e.number < x->generations[0]->first || e.number > dc_generation_of(x, e.number)->last)
        return corrupt(err, "an entry lies in no file");
    e.space = r->slots[space];
    mn_status st = dc_index_reserve(x, 1, err);
    if (st != MN_OK)
        return st;
    if (dc_entry_find(x, e.hash) != DC_NO_ENTRY)
        return corrupt(err, "an entry comes twice");
    dc_entry_add(x, &e);
    return MN_OK;
}

static mn_status read_entries(struct reader *r, const struct dc_seal *seal, struct dc_index *x,
                              struct mn_error *err)
{
    uint64_t next_number = 1;
    mn_status st = MN_OK;

    if (r->n_left % SEAL_ENTRY_BYTES != 0 || r->n_left / SEAL_ENTRY_BYTES != r->n_entries)
        return corrupt(err, "the number of its entries is wrong");
    if (r->n_entries > 0 && seal->n_files == 0)
        return corrupt(err, "entries without a file");
    while (st == MN_OK && r->n_left > 0)
        st = read_entry(r, take(r, SEAL_ENTRY_BYTES), &next_number, x, err);
    for (uint32_t i = 0; st == MN_OK && i < r->n_spaces; i++)
        if (x->spaces[r->slots[i]]->n_entries == 0)
            return corrupt(err, "a namespace without entries");
    return st;
}

mn_status dc_seal_decode(struct mn_slice bytes, struct dc_seal *seal_out, struct dc_index *x,
                         struct mn_error *err)
{
    struct reader r = {0};

    MNI_CHECK(x->n_generations == 0);
    MNI_CHECK(x->n_entries == 0);
    *seal_out = (struct dc_seal){0};
    mn_status st = read_header(&r, bytes, seal_out, err);
    if (st == MN_OK)
        st = read_files(&r, seal_out, x, err);
    if (st == MN_OK)
        st = read_spaces(&r, seal_out, x, err);
    if (st == MN_OK)
        st = read_entries(&r, seal_out, x, err);
    mni_free(r.slots);
    if (st == MN_OK)
        x->next_serial = seal_out->next_serial;
    return st;
}
