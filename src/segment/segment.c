/*
 * segment.c - the life of an open segment.
 *
 * Owns:    the source, and what the footer says.
 * Threads: any; the last reference closes.
 * Fails:   when the file is damaged, or another one than expected.
 */
#include "base/mem.h"
#include "segment/segment_private.h"

static uint64_t n_words(const struct layout *layout)
{
    return (layout_n_blocks(layout) + layout->n_checksum_blocks + BITS_PER_WORD - 1) /
           BITS_PER_WORD;
}

/* Leaves the source alone. */
static void free_segment(struct mni_segment *s)
{
    mni_free(s->verified);
    mni_free(s->checksum_crcs);
    mni_free(s->keys);
    s->magic = 0;
    mni_free(s);
}

mn_status mni_segment_get_raw(struct mni_segment *segment, uint64_t offset, size_t n,
                              struct span *span_out, struct mn_error *err)
{
    struct mni_source *source = segment->source;

    MNI_CHECK(n > 0 && n <= source->n_bytes && offset <= source->n_bytes - n);
    if (source->map == NULL)
        return source->ops->get(source, offset, n, &span_out->bytes, &span_out->pin, err);
    *span_out = (struct span){source->map + offset, NULL};
    return MN_OK;
}

mn_status mni_segment_open_source(struct mni_source *source, const struct mni_segment_id *id,
                                  const struct mni_segment_info *expected,
                                  struct mni_segment **segment_out, struct mn_error *err)
{
    struct mni_segment *s = mni_alloc_zero(sizeof *s);

    *segment_out = NULL;
    if (s == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of a segment");
    s->magic = SEGMENT_MAGIC;
    s->source = source;
    s->map = source->map;
    mni_segment_name(id, s->label);
    atomic_init(&s->n_refs, 1);
    atomic_init(&s->doomed_in, NULL);
    mn_status st = mni_segment_read_footer(s, id, expected, err);
    if (st == MN_OK) {
        if (s->map != NULL && s->n_key_buckets > 0) {
            s->key_prints = s->map + s->layout.columns[SEG_KEY_PRINTS].offset;
            s->key_rows = s->map + s->layout.columns[SEG_KEY_ROWS].offset;
        }
        size_t n = (size_t)n_words(&s->layout);
        s->verified = mni_alloc_array(n, sizeof s->verified[0]);
        for (size_t i = 0; s->verified != NULL && i < n; i++)
            atomic_init(&s->verified[i], 0);
        if (s->verified == NULL)
            st = mni_fail(err, MN_ERR_NOMEM, "block marks of segment %s", s->label);
    }
    if (st != MN_OK) {
        free_segment(s);
        return st;
    }
    *segment_out = s;
    return MN_OK;
}

mn_status mni_segment_open(struct mni_dir *dir, const struct mni_segment_id *id,
                           const struct mni_segment_info *expected,
                           struct mni_segment **segment_out, struct mn_error *err)
{
    char name[MNI_SEGMENT_NAME_BYTES];
    struct mni_source *source;

    *segment_out = NULL;
    mni_segment_name(id, name);
    mn_status st = mni_segment_map_file(dir, name, &source, err);
    if (st != MN_OK)
        return st;
    st = mni_segment_open_source(source, id, expected, segment_out, err);
    if (st != MN_OK)
        source->ops->close(source);
    return st;
}

void mni_segment_ref(struct mni_segment *segment)
{
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    unsigned before = atomic_fetch_add_explicit(&segment->n_refs, 1, memory_order_relaxed);
    MNI_CHECK(before > 0);
}

void mni_segment_unref(struct mni_segment *segment)
{
    if (segment == NULL)
        return;
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    unsigned before = atomic_fetch_sub_explicit(&segment->n_refs, 1, memory_order_acq_rel);
    MNI_CHECK(before > 0);
    if (before > 1)
        return;
    struct mni_dir *dir = atomic_load(&segment->doomed_in);
    segment->source->ops->close(segment->source);
    if (dir != NULL)
        mni_ignore(mni_dir_unlink(dir, segment->label, NULL));
    free_segment(segment);
}

void mni_segment_doom(struct mni_segment *segment, struct mni_dir *dir)
{
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    atomic_store(&segment->doomed_in, dir);
}

const struct mni_segment_info *mni_segment_get_info(const struct mni_segment *segment)
{
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    return &segment->info;
}

const char *mni_segment_label(const struct mni_segment *segment)
{
    return segment->label;
}

void mni_segment_get_bounds(const struct mni_segment *segment,
                            struct mni_segment_bounds *bounds_out)
{
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    *bounds_out = segment->bounds;
}

uint64_t mni_segment_memory_bytes(const struct mni_segment *segment)
{
    const struct mni_segment *s = segment;

    return sizeof *s + n_words(&s->layout) * sizeof s->verified[0] +
           s->layout.n_checksum_blocks * sizeof s->checksum_crcs[0] + s->bounds.first_key.n_bytes +
           s->bounds.last_key.n_bytes;
}
