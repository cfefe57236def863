/*
 * space.c - what the catalogue says of spaces: their numbers, names, and other fields.
 *
 * Owns:    nothing; the rows lie where all records lie.
 * Format:  docs/format/catalogue.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT for a row that no writer wrote; MN_ERR_UNSUPPORTED for a field of a newer
 *          one.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/batch_private.h"

enum {
    FIELD_OFF_NUMBER = 0, /* u16 */
    FIELD_OFF_BYTES = 2,  /* u16, of what follows */
    FIELD_HEAD_BYTES = 4,

    FIELD_OPTIONAL = 1 << 15, /* of the number: whoever does not know it may pass over it */
    FIELD_NAME = 1,
    FIELD_KEYFRAME_EVERY = 2, /* u32 */
    FIELD_KEEP_US = 3,        /* i64 */
    FIELD_KEEP_POINTS = 4,    /* u64 */
    FIELD_HISTORY_US = 5,     /* i64 */
    FIELD_UNTRIMMED = 6,      /* nothing */
    FIELD_KNOWN_FROM = 7,     /* u64 */
    FIELDS_KNOWN = 7,         /* the numbers up to here */
};
static_assert(FIELD_HEAD_BYTES + MN_SPACE_NAME_BYTES_MAX <= SPACE_FIELDS_BYTES_MAX, "a name fits");

/* Keys ---------- */

struct mn_slice mni_space_key(uint32_t space, unsigned char room[MNI_SPACE_KEY_BYTES])
{
    for (unsigned i = 0; i < MNI_SPACE_KEY_BYTES; i++)
        room[i] = (unsigned char)(space >> (24 - 8 * i));
    return (struct mn_slice){room, MNI_SPACE_KEY_BYTES};
}

uint32_t mni_space_of_key(const unsigned char key[MNI_SPACE_KEY_BYTES])
{
    return (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
}

/* Fields ---------- */

struct mn_slice space_fields_of(const struct mni_record *row)
{
    MNI_CHECK(row->payload.n_bytes >= CATALOGUE_ROW_BYTES);
    return (struct mn_slice){(const unsigned char *)row->payload.data + CATALOGUE_ROW_BYTES,
                             row->payload.n_bytes - CATALOGUE_ROW_BYTES};
}

static mn_status take_name(struct space_fields *fields, struct mn_slice content,
                           struct mn_error *err)
{
    if (content.n_bytes == 0 || content.n_bytes > MN_SPACE_NAME_BYTES_MAX ||
        !mni_utf8_is_valid(content.data, content.n_bytes))
        return mni_fail(err, MN_ERR_CORRUPT, "the name of a space is none");
    fields->name = content;
    return MN_OK;
}

/* What a field says that is a number of 8 bytes; one that says 0 is not written. */
static mn_status take_number(struct mn_slice content, bool is_signed, uint64_t *number_out,
                             struct mn_error *err)
{
    uint64_t number = content.n_bytes == 8 ? mni_get_u64(content.data) : 0;

    if (number == 0 || (is_signed && number > INT64_MAX))
        return mni_fail(err, MN_ERR_CORRUPT, "a setting of a space says something impossible");
    *number_out = number;
    return MN_OK;
}

static mn_status take_field(struct space_fields *fields, unsigned number, struct mn_slice content,
                            struct mn_error *err)
{
    uint64_t value = 0;
    mn_status st = MN_OK;

    switch (number) {
    case FIELD_NAME:
        return take_name(fields, content, err);
    case FIELD_KEYFRAME_EVERY:
        value = content.n_bytes == 4 ? mni_get_u32(content.data) : 0;
        if (value < MN_KEYFRAME_EVERY_MIN || value > MN_KEYFRAME_EVERY_MAX)
            return mni_fail(err, MN_ERR_CORRUPT, "keyframes of a space are impossibly far apart");
        fields->settings.keyframe_every = (uint32_t)value;
        return MN_OK;
    case FIELD_KEEP_US:
        st = take_number(content, true, &value, err);
        fields->settings.keep_us = (int64_t)value;
        return st;
    case FIELD_KEEP_POINTS:
        st = take_number(content, false, &value, err);
        fields->settings.keep_points = value;
        return st;
    case FIELD_HISTORY_US:
        st = take_number(content, true, &value, err);
        fields->settings.history_us = (int64_t)value;
        return st;
    case FIELD_UNTRIMMED:
        fields->is_untrimmed = true;
        return content.n_bytes == 0
                   ? MN_OK
                   : mni_fail(err, MN_ERR_CORRUPT, "a field of a space has an impossible length");
    case FIELD_KNOWN_FROM:
        return take_number(content, true, &fields->known_from_lsn, err);
    default:
        return (number & FIELD_OPTIONAL) != 0
                   ? MN_OK
                   : mni_fail(err, MN_ERR_UNSUPPORTED, "field %u of a space is not known", number);
    }
}

mn_status space_fields_decode(struct mn_slice bytes, struct space_fields *fields_out,
                              struct mn_error *err)
{
    const unsigned char *p = bytes.data;
    size_t left = bytes.n_bytes;
    struct space_fields fields = {0};
    unsigned least = 0;
    mn_status st = MN_OK;

    if (left > SPACE_FIELDS_BYTES_MAX)
        return mni_fail(err, MN_ERR_CORRUPT, "a space with %zu bytes of fields", left);
    while (left > 0 && st == MN_OK) {
        if (left < FIELD_HEAD_BYTES)
            return mni_fail(err, MN_ERR_CORRUPT, "a field of a space is cut off");
        unsigned number = mni_get_u16(p + FIELD_OFF_NUMBER);
        size_t n_bytes = mni_get_u16(p + FIELD_OFF_BYTES);
        unsigned rank = number & ~(unsigned)FIELD_OPTIONAL;
        p += FIELD_HEAD_BYTES;
        left -= FIELD_HEAD_BYTES;
        if (n_bytes > left || rank <= least)
            return mni_fail(err, MN_ERR_CORRUPT, "fields of a space are cut off or out of order");
        least = rank;
        st = take_field(&fields, number, (struct mn_slice){p, n_bytes}, err);
        p += n_bytes;
        left -= n_bytes;
    }
    if (st == MN_OK)
        *fields_out = fields;
    return st;
}

/* Fields while they are written, one behind the other. */
struct field_writer {
    unsigned char *out; /* borrowed, of SPACE_FIELDS_BYTES_MAX */
    size_t n_bytes;     /* may be more than there is room for */
};

static void put_field(struct field_writer *w, unsigned number, struct mn_slice content)
{
    size_t begin = w->n_bytes;

    MNI_CHECK(content.n_bytes <= UINT16_MAX);
    w->n_bytes += FIELD_HEAD_BYTES + content.n_bytes;
    if (w->n_bytes > SPACE_FIELDS_BYTES_MAX)
        return;
    mni_put_u16(w->out + begin + FIELD_OFF_NUMBER, (uint16_t)number);
    mni_put_u16(w->out + begin + FIELD_OFF_BYTES, (uint16_t)content.n_bytes);
    if (content.n_bytes > 0)
        memcpy(w->out + begin + FIELD_HEAD_BYTES, content.data, content.n_bytes);
}

static void put_number(struct field_writer *w, unsigned field, uint64_t value, size_t n_bytes)
{
    unsigned char bytes[8];

    mni_put_u64(bytes, value);
    if (value != 0)
        put_field(w, field, (struct mn_slice){bytes, n_bytes});
}

mn_status space_fields_encode(const struct space_fields *fields, struct mn_slice before,
                              unsigned char out[SPACE_FIELDS_BYTES_MAX], size_t *n_bytes_out,
                              struct mn_error *err)
{
    struct field_writer w = {.out = out};
    const unsigned char *p = before.data;
    size_t left = before.n_bytes;

    MNI_CHECK(fields->name.n_bytes <= MN_SPACE_NAME_BYTES_MAX);
    if (fields->name.n_bytes > 0)
        put_field(&w, FIELD_NAME, fields->name);
    put_number(&w, FIELD_KEYFRAME_EVERY, fields->settings.keyframe_every, 4);
    put_number(&w, FIELD_KEEP_US, (uint64_t)fields->settings.keep_us, 8);
    put_number(&w, FIELD_KEEP_POINTS, fields->settings.keep_points, 8);
    put_number(&w, FIELD_HISTORY_US, (uint64_t)fields->settings.history_us, 8);
    if (fields->is_untrimmed)
        put_field(&w, FIELD_UNTRIMMED, (struct mn_slice){0});
    put_number(&w, FIELD_KNOWN_FROM, fields->known_from_lsn, 8);
    while (left > 0) { /* it was decoded, so the lengths fit */
        unsigned number = mni_get_u16(p + FIELD_OFF_NUMBER);
        size_t n_bytes = mni_get_u16(p + FIELD_OFF_BYTES);
        MNI_CHECK(left >= FIELD_HEAD_BYTES + n_bytes);
        if ((number & ~(unsigned)FIELD_OPTIONAL) > FIELDS_KNOWN)
            put_field(&w, number, (struct mn_slice){p + FIELD_HEAD_BYTES, n_bytes});
        p += FIELD_HEAD_BYTES + n_bytes;
        left -= FIELD_HEAD_BYTES + n_bytes;
    }
    if (w.n_bytes > SPACE_FIELDS_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a space with %zu bytes of fields", w.n_bytes);
    *n_bytes_out = w.n_bytes;
    return MN_OK;
}

mn_status space_name_decode(const struct mni_record *row, uint32_t *space_out, struct mn_error *err)
{
    if (row->payload.n_bytes != 8 || mni_get_u64(row->payload.data) > UINT32_MAX)
        return mni_fail(err, MN_ERR_CORRUPT, "the name of a space is that of none");
    *space_out = (uint32_t)mni_get_u64(row->payload.data);
    return MN_OK;
}

/* In batches ---------- */

/* Room for the fields of the row that is to be written. */
static mn_status make_fields(struct batch_collection *c, struct mn_error *err)
{
    if (c->fields == NULL)
        c->fields = mni_alloc(SPACE_FIELDS_BYTES_MAX);
    return c->fields != NULL ? MN_OK : mni_fail(err, MN_ERR_NOMEM, "the fields of a space");
}

mn_status mni_batch_create_space(struct mni_batch *batch, uint32_t space, uint32_t dimension,
                                 struct mn_slice name, const struct mni_space_settings *settings,
                                 size_t *index_out, struct mn_error *err)
{
    unsigned char room[MNI_SPACE_KEY_BYTES];
    const struct space_fields fields = {
        .name = name,
        .settings = *settings,
        .is_untrimmed = batch->is_salvage && settings->keep_points != 0,
    };
    size_t other_index;
    mn_status st = mni_batch_collection(batch, MNI_KIND_SPACE, mni_space_key(space, room), true,
                                        index_out, err);

    MNI_CHECK(dimension >= 1 && dimension <= MN_DIMENSIONS_MAX);
    if (st != MN_OK)
        return st;
    struct batch_collection *c = &batch->collections[*index_out];
    if (c->fields == NULL) {
        st = make_fields(c, err);
        if (st == MN_OK)
            st = space_fields_encode(&fields, (struct mn_slice){0}, c->fields, &c->fields_bytes,
                                     err);
        c->dimension = dimension;
        batch->is_stale = true; /* the first look knew nothing to compare with */
    }
    if (st == MN_OK && settings->history_us != 0)
        st = mni_batch_collection(batch, MNI_KIND_HISTORY, mni_space_key(space, room), true,
                                  &other_index, err);
    if (st != MN_OK || name.n_bytes == 0)
        return st;
    st = mni_batch_collection(batch, MNI_KIND_SPACE_NAME, name, true, &other_index, err);
    if (st == MN_OK)
        batch->collections[other_index].space = space;
    return st;
}

mn_status mni_batch_drop_space(struct mni_batch *batch, uint32_t space, size_t *index_out,
                               struct mn_error *err)
{
    unsigned char room[MNI_SPACE_KEY_BYTES];
    struct mn_slice name = mni_space_key(space, room);
    size_t history_index;
    mn_status st = mni_batch_collection(batch, MNI_KIND_SPACE, name, false, index_out, err);

    if (st != MN_OK)
        return st;
    mni_batch_drop(batch, *index_out);
    st = mni_batch_collection(batch, MNI_KIND_HISTORY, name, false, &history_index, err);
    if (st == MN_OK)
        mni_batch_drop(batch, history_index);
    return st;
}

/* A history comes and goes with the setting. */
static mn_status alter_history(struct mni_batch *batch, struct mn_slice space, bool is_on,
                               struct mn_error *err)
{
    size_t index;
    mn_status st = mni_batch_collection(batch, MNI_KIND_HISTORY, space, is_on, &index, err);

    if (st == MN_OK && !is_on)
        mni_batch_drop(batch, index);
    return st;
}

mn_status mni_batch_alter_space(struct mni_batch *batch, uint32_t space, unsigned changes,
                                const struct mni_space_settings *settings, size_t *index_out,
                                struct mn_error *err)
{
    unsigned char room[MNI_SPACE_KEY_BYTES];
    mn_status st = mni_batch_collection(batch, MNI_KIND_SPACE, mni_space_key(space, room), false,
                                        index_out, err);

    MNI_CHECK((changes & ~(unsigned)(MNI_SPACE_ALL_CHANGES | SPACE_TRIMMED | SPACE_KNOWN_FROM)) ==
              0);
    if (st != MN_OK)
        return st;
    struct batch_collection *c = &batch->collections[*index_out];
    MNI_CHECK(c->fields == NULL);
    c->must_exist = true;
    c->changes = changes;
    c->altered = *settings;
    batch->is_stale = true; /* the first look knew nothing to change */
    st = make_fields(c, err);
    if (st == MN_OK && (changes & MNI_SPACE_HISTORY_US) != 0)
        st = alter_history(batch, mni_space_key(space, room), settings->history_us != 0, err);
    return st;
}

bool space_is_same(const struct mni_space_settings *a, const struct mni_space_settings *b)
{
    return a->keyframe_every == b->keyframe_every && a->keep_points == b->keep_points &&
           a->keep_us == b->keep_us && a->history_us == b->history_us;
}

bool space_is_kept(const struct mni_space_settings *settings)
{
    return settings->keep_points != 0 || settings->keep_us != 0 || settings->history_us != 0;
}

/* What follows for the fields that are no settings. */
static void alter_state(const struct batch_collection *c, const struct space_fields *old,
                        struct space_fields *fields)
{
    uint64_t keep_points = fields->settings.keep_points;

    if (keep_points == 0 || (c->changes & SPACE_TRIMMED) != 0)
        fields->is_untrimmed = false;
    else if (old->settings.keep_points == 0 || keep_points < old->settings.keep_points)
        fields->is_untrimmed = true;
    fields->known_from_lsn = 0; /* if there is history, it begins with this commit */
    if (fields->settings.history_us != 0 && old->settings.history_us != 0)
        fields->known_from_lsn = c->known.known_from_lsn;
    if ((c->changes & SPACE_KNOWN_FROM) != 0 && c->altered_known_from_lsn > fields->known_from_lsn)
        fields->known_from_lsn = c->altered_known_from_lsn;
}

/* The row of a space that is altered, by the latest look. */
static mn_status alter_fields(struct batch_collection *c, struct space_fields fields,
                              struct mn_slice before, struct mn_error *err)
{
    const struct space_fields old = fields;

    if ((c->changes & MNI_SPACE_KEYFRAME_EVERY) != 0)
        fields.settings.keyframe_every = c->altered.keyframe_every;
    if ((c->changes & MNI_SPACE_KEEP_US) != 0)
        fields.settings.keep_us = c->altered.keep_us;
    if ((c->changes & MNI_SPACE_KEEP_POINTS) != 0)
        fields.settings.keep_points = c->altered.keep_points;
    if ((c->changes & MNI_SPACE_HISTORY_US) != 0)
        fields.settings.history_us = c->altered.history_us;
    alter_state(c, &old, &fields);
    c->is_like = space_is_same(&fields.settings, &old.settings) &&
                 fields.is_untrimmed == old.is_untrimmed &&
                 fields.known_from_lsn == c->known.known_from_lsn;
    return space_fields_encode(&fields, before, c->fields, &c->fields_bytes, err);
}

/* Whether a space is as one is to be made. */
static mn_status compare_fields(struct batch_collection *c, const struct space_fields *fields,
                                struct mn_error *err)
{
    struct space_fields wanted = {0};
    mn_status st = space_fields_decode((struct mn_slice){c->fields, c->fields_bytes}, &wanted, err);

    c->has_name_like = wanted.name.n_bytes == fields->name.n_bytes &&
                       (wanted.name.n_bytes == 0 ||
                        memcmp(wanted.name.data, fields->name.data, wanted.name.n_bytes) == 0);
    c->is_like = c->has_name_like && space_is_same(&wanted.settings, &fields->settings);
    return st;
}

mn_status batch_take_fields(struct batch_collection *c, const struct mni_record *row,
                            struct mn_error *err)
{
    struct mn_slice bytes = space_fields_of(row);
    struct space_fields fields;
    mn_status st = space_fields_decode(bytes, &fields, err);

    if (st == MN_OK && c->changes != 0)
        st = alter_fields(c, fields, bytes, err);
    else if (st == MN_OK && c->fields != NULL)
        st = compare_fields(c, &fields, err);
    if (st != MN_OK)
        return st;
    mni_free(c->name);
    c->name = NULL;
    c->name_bytes = 0;
    if (!c->drops || fields.name.n_bytes == 0)
        return MN_OK;
    c->name = mni_alloc(1 + fields.name.n_bytes);
    if (c->name == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a name of %zu bytes", fields.name.n_bytes);
    c->name[0] = MNI_KIND_SPACE_NAME;
    memcpy(c->name + 1, fields.name.data, fields.name.n_bytes);
    c->name_bytes = 1 + fields.name.n_bytes;
    return MN_OK;
}

/* Looking ---------- */

mn_status mni_engine_space(struct mni_engine *engine, uint32_t space, struct mni_space *space_out,
                           struct mn_error *err)
{
    unsigned char number[MNI_SPACE_KEY_BYTES];
    unsigned char room[1 + MN_NAMESPACE_BYTES_MAX];
    struct mni_found found;
    struct space_fields fields;
    mn_status st = engine_find_now(
        engine, 0, catalogue_key(MNI_KIND_SPACE, mni_space_key(space, number), room), &found, err);

    if (st != MN_OK)
        return st;
    st = catalogue_row_decode(&found.record, found.record_lsn, &space_out->collection, err);
    if (st == MN_OK)
        st = space_fields_decode(space_fields_of(&found.record), &fields, err);
    if (st == MN_OK) {
        space_out->name_bytes = fields.name.n_bytes;
        if (fields.name.n_bytes > 0)
            memcpy(space_out->name, fields.name.data, fields.name.n_bytes);
    }
    mni_pin_release(found.pin);
    return st;
}

mn_status mni_engine_find_space(struct mni_engine *engine, struct mn_slice name,
                                uint32_t *space_out, struct mn_error *err)
{
    unsigned char room[1 + MN_NAMESPACE_BYTES_MAX];
    struct mni_found found;
    mn_status st =
        engine_find_now(engine, 0, catalogue_key(MNI_KIND_SPACE_NAME, name, room), &found, err);

    if (st != MN_OK)
        return st;
    st = space_name_decode(&found.record, space_out, err);
    mni_pin_release(found.pin);
    return st;
}

static void take_space(void *out, size_t index, const unsigned char *name)
{
    uint32_t *spaces_out = out;

    spaces_out[index] = mni_space_of_key(name);
}

mn_status mni_engine_list_spaces(struct mni_engine *engine, uint32_t from, uint32_t *spaces_out,
                                 size_t n_max, size_t *n_out, struct mn_error *err)
{
    unsigned char number[MNI_SPACE_KEY_BYTES];
    struct mn_slice after = {0};

    if (from > 0)
        after = mni_space_key(from - 1, number);
    return catalogue_list(engine, MNI_KIND_SPACE, after, take_space, spaces_out, n_max, n_out, err);
}

static int compare_layouts(const void *a, const void *b)
{
    const struct space_layout *left = a;
    const struct space_layout *right = b;

    return left->collection < right->collection ? -1 : left->collection > right->collection;
}

/* One more item at the end, for which there may be no room yet. */
static mn_status add_layout(struct space_layout **layouts, size_t *n, size_t *capacity,
                            const struct mni_collection *c, struct mn_error *err)
{
    if (*n == *capacity) {
        size_t more = *capacity == 0 ? 16 : *capacity * 2;
        struct space_layout *larger = mni_realloc(*layouts, more * sizeof *larger);
        if (larger == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "the list of spaces");
        *layouts = larger;
        *capacity = more;
    }
    (*layouts)[(*n)++] = (struct space_layout){c->number, c->settings.keyframe_every};
    return MN_OK;
}

mn_status engine_list_layouts(struct mni_engine *engine, uint64_t lsn,
                              struct space_layout **layouts_out, size_t *n_out,
                              struct mn_error *err)
{
    static const unsigned char kind = MNI_KIND_SPACE;
    const struct mni_walk_options spaces = {.prefix = {&kind, 1}};
    struct space_layout *layouts = NULL;
    struct mni_walk *walk = NULL;
    struct mni_found found;
    struct mni_collection c;
    size_t capacity = 0;
    size_t n = 0;
    mn_status st = engine_walk_open_at(engine, lsn, &spaces, &walk, err);

    if (st == MN_OK)
        st = mni_walk_start(walk, 0, err);
    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, err);
        if (st == MN_OK)
            st = catalogue_decode_found(&found, &c, err);
        if (st == MN_OK)
            st = add_layout(&layouts, &n, &capacity, &c, err);
    }
    mni_walk_close(walk);
    if (st != MN_END) {
        mni_free(layouts);
        return st;
    }
    if (n > 0)
        qsort(layouts, n, sizeof *layouts, compare_layouts);
    *layouts_out = layouts;
    *n_out = n;
    return MN_OK;
}

/* Counting ---------- */

mn_status space_count_rows(struct mni_engine *engine, struct mn_error *err)
{
    static const unsigned char first = MNI_KIND_SPACE; /* all keys of the kind are longer */
    const struct mni_walk_options options = {.after = {&first, 1}};
    struct mni_walk *walk = NULL;
    struct mni_found found;

    if (engine->counter.lsn == 0 && engine->counter.next_number == 1)
        return MN_OK; /* there was never a collection */
    mn_status st = mni_walk_open(engine, &options, &walk, err);
    if (st == MN_OK)
        st = mni_walk_start(walk, 0, err);
    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, err);
        if (st != MN_OK)
            break;
        unsigned char kind = *(const unsigned char *)found.record.key.data;
        engine->n_spaces += kind == MNI_KIND_SPACE;
        engine->n_space_extras += kind == MNI_KIND_SPACE_NAME || kind == MNI_KIND_HISTORY;
        engine->n_tenants += kind == MNI_KIND_TENANT;
        mni_pin_release(found.pin);
    }
    mni_walk_close(walk);
    return st == MN_END ? MN_OK : st;
}

void space_count_change(struct mni_engine *engine, const struct batch_collection *c)
{
    unsigned char kind = c->key != NULL ? c->key[0] : 0;
    bool is_made = !c->existed && c->creates && !c->drops;
    bool is_gone = c->existed && c->drops;

    if (kind == MNI_KIND_SPACE) {
        engine->n_spaces += is_made;
        engine->n_spaces -= is_gone;
        engine->n_space_extras -= is_gone && c->name_bytes > 0;
    } else if (kind == MNI_KIND_SPACE_NAME || kind == MNI_KIND_HISTORY) {
        engine->n_space_extras += is_made;
        engine->n_space_extras -= is_gone;
    } else if (kind == MNI_KIND_TENANT) {
        engine->n_tenants += is_made;
        engine->n_tenants -= is_gone;
    }
}
