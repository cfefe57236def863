/*
 * bare.c - segments written anew without metadata and payloads, and the liveness files of them.
 *
 * Owns:    nothing between calls.
 * Format:  docs/format/segment.md, docs/format/liveness.md
 * Threads: one at a time per target.
 * Fails:   when the source is damaged, and as writing files does; then no file is left, if it can.
 */
#include "segment/bare.h"

#include <inttypes.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/plant.h"
#include "segment/live_private.h"
#include "segment/segment_private.h"
#include "segment/sums.h"

enum {
    ROWS_BETWEEN_CALLS = 4096,    /* of `each`, where nothing is written */
    ROWS_READ_AHEAD = 1 << 15,    /* told to the source at once */
    LIVE_CHUNK_BYTES = 256 << 10, /* read at once of a liveness file */
};
static_assert((int)LIVE_CHUNK_BYTES > (int)LIVE_HEADER_BYTES, "the header lies in one chunk");
static_assert(LIVE_TRAILER_OFF_CRC + 4 == LIVE_TRAILER_BYTES, "a liveness file ends in its sum");

/* Segments ----------*/

struct copying {
    struct mni_segment *source;
    const struct mni_bare_target *target;
    struct mni_segment_plan *plan;     /* owned */
    struct mni_segment_writer *writer; /* owned */
    uint64_t n_bytes;                  /* of the copy; 0: not known yet */
    uint64_t n_bytes_done;
};

static mn_status tell(const struct copying *c, struct mn_error *err)
{
    const struct mni_bare_target *t = c->target;

    return t->each == NULL ? MN_OK : t->each(t->context, c->n_bytes_done, c->n_bytes, err);
}

/* What is left out is not even read. */
static void make_bare(struct row_head *head)
{
    if (head->collection == MNI_BARE_KEPT_COLLECTION || MNI_PLANTED("bare_keeps_all"))
        return;
    if ((head->flags & SEG_ROW_LARGE) != 0) {
        head->blob_offset += 8; /* the payload's offset */
        head->flags &= ~(uint32_t)SEG_ROW_LARGE;
    }
    head->metadata_bytes = 0;
    head->payload_bytes = 0;
}

/* Behind good checksums rows may be out of order all the same; plan and writer rely on it. */
static mn_status check_order(const struct previous_row *previous, uint32_t index,
                             const struct mni_segment_row *row, struct mni_segment *source,
                             struct mn_error *err)
{
    const struct mni_record *r = &row->record;
    bool is_good = index == 0 || r->collection > previous->collection;

    if (!is_good && r->collection == previous->collection) {
        int order = mni_key_compare((struct mn_slice){previous->key, previous->key_bytes}, r->key);
        is_good = order < 0 || (order == 0 && row->lsn < previous->lsn);
    }
    return is_good ? MN_OK
                   : mni_fail(err, MN_ERR_CORRUPT, "segment %s: row %" PRIu32 " is out of order",
                              source->label, index);
}

static mn_status plan_row(struct copying *c, const struct mni_segment_row *row,
                          struct mn_error *err)
{
    mn_status st = mni_segment_plan_add(c->plan, row, err);

    return st == MN_END ? mni_fail(err, MN_ERR_LIMIT, "segment %s: a copy would be too large",
                                   c->source->label)
                        : st;
}

/* One pass over all rows. */
static mn_status pass(struct copying *c,
                      mn_status (*take)(struct copying *c, const struct mni_segment_row *row,
                                        struct mn_error *err),
                      struct previous_row *previous, struct mn_error *err)
{
    uint64_t n = c->source->info.n_rows;
    mn_status st = MN_OK;

    for (uint64_t i = 0; i < n && st == MN_OK; i++) {
        struct mni_segment_row row;
        struct row_head head;
        if (i % ROWS_READ_AHEAD == 0)
            mni_segment_will_read_rows(c->source, i,
                                       n - i < ROWS_READ_AHEAD ? n - i : ROWS_READ_AHEAD);
        if (i % ROWS_BETWEEN_CALLS == 0)
            st = tell(c, err);
        if (st == MN_OK)
            st = mni_segment_head(c->source, (uint32_t)i, &head, err);
        if (st != MN_OK)
            return st;
        make_bare(&head);
        st = mni_segment_row_of_head(c->source, &head, &row, err);
        if (st != MN_OK)
            return st;
        st = check_order(previous, (uint32_t)i, &row, c->source, err);
        if (st == MN_OK)
            st = take(c, &row, err);
        if (st == MN_OK)
            mni_segment_note_row(previous, &row);
        mni_segment_row_done(c->source, &row);
    }
    return st;
}

static mn_status write_row(struct copying *c, const struct mni_segment_row *row,
                           struct mn_error *err)
{
    return mni_segment_writer_add(c->writer, row, err);
}

static mn_status pace(void *context, uint64_t n_bytes, struct mn_error *err)
{
    struct copying *c = context;
    mn_status st = tell(c, err);

    c->n_bytes_done += n_bytes;
    return st;
}

static mn_status write_copy(struct copying *c, struct previous_row *previous,
                            struct mni_segment_info *info_out, struct mn_error *err)
{
    const struct mni_segment_writer_config config = {
        .dir = c->target->dir,
        .name = c->target->name,
        .id = c->target->id,
        .plan = c->plan,
        .pace = pace,
        .pace_context = c,
    };

    c->n_bytes = mni_segment_plan_file_bytes(c->plan);
    mn_status st = mni_segment_writer_new(&config, &c->writer, err);
    if (st != MN_OK)
        return st;
    st = pass(c, write_row, previous, err);
    if (st == MN_OK)
        st = mni_segment_writer_finish(c->writer, info_out, err);
    if (st != MN_OK)
        mni_segment_writer_abandon(c->writer);
    return st;
}

/* The collections of points of the source, for its copy. */
static mn_status list_points(struct mni_segment *source, struct mni_segment_points *points_out,
                             struct mn_error *err)
{
    uint64_t n = mni_segment_n_spaces(source);
    uint64_t *collections = mni_alloc_array((size_t)n + 1, sizeof *collections);
    uint32_t *every = mni_alloc_array((size_t)n + 1, sizeof *every);
    struct mni_segment_group group;
    struct mni_segment_space space;
    mn_status st = MN_OK;

    *points_out = (struct mni_segment_points){collections, every, (size_t)n};
    if (collections == NULL || every == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "copying segment %s", source->label);
    for (uint64_t i = 0; i < n && st == MN_OK; i++) {
        st = mni_segment_space(source, i, &space, err);
        if (st == MN_OK)
            st = mni_segment_find_group(source, space.collection, &group, err);
        if (st == MN_NOT_FOUND)
            st = mni_fail(err, MN_ERR_CORRUPT, "segment %s: a space has no rows", source->label);
        if (st != MN_OK)
            break;
        collections[i] = space.collection;
        every[i] = group.keyframe_every;
    }
    return st;
}

mn_status mni_bare_write(struct mni_segment *source, const struct mni_bare_target *target,
                         struct mni_segment_info *info_out, struct mn_error *err)
{
    struct copying c = {.source = source, .target = target};
    struct mni_segment_points points = {0};
    struct previous_row *previous = mni_alloc_zero(sizeof *previous);

    MNI_CHECK(source->magic == SEGMENT_MAGIC);
    if (previous == NULL || mni_segment_plan_new(UINT64_MAX, &c.plan) != MN_OK) {
        mni_free(previous);
        return mni_fail(err, MN_ERR_NOMEM, "copying segment %s", source->label);
    }
    mn_status st = list_points(source, &points, err);
    mni_segment_plan_set_points(c.plan, &points);
    if (st == MN_OK)
        st = pass(&c, plan_row, previous, err);
    if (st == MN_OK)
        st = write_copy(&c, previous, info_out, err);
    mni_segment_plan_free(c.plan);
    mni_free(points.collections);
    mni_free(points.keyframe_every);
    mni_free(previous);
    return st;
}

mn_status mni_bare_check(struct mni_segment *segment, struct mn_error *err)
{
    struct row_head head;
    mn_status st = MN_OK;

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    for (uint64_t i = 0; i < segment->info.n_rows && st == MN_OK; i++) {
        st = mni_segment_head(segment, (uint32_t)i, &head, err);
        if (st == MN_OK && head.collection != MNI_BARE_KEPT_COLLECTION &&
            (head.metadata_bytes > 0 || head.payload_bytes > 0))
            st = mni_fail(err, MN_ERR_CORRUPT,
                          "segment %s: row %" PRIu64 " has metadata or a payload, which were to be "
                          "left out",
                          segment->label, i);
    }
    return st;
}

/* Liveness files ----------*/

/* A file on its way. */
struct live_flow {
    struct mni_file *from;
    struct mni_file *to;
    const struct mni_segment_id *id;
    unsigned char *chunk; /* owned */
    struct mni_sums sums;
    uint32_t crc; /* of the copy */
};

/* Gives a chunk that begins at `at` the id and the checksum of the copy. */
static void change(struct live_flow *flow, uint64_t at, size_t n)
{
    uint64_t end = flow->sums.file_bytes - 4; /* where the checksum stands */
    uint64_t n_covered = at >= end ? 0 : end - at;
    unsigned char crc[4];

    if (at == 0)
        memcpy(flow->chunk + LIVE_OFF_ID, flow->id->bytes, sizeof flow->id->bytes);
    if (n_covered > n)
        n_covered = n;
    flow->crc = mni_crc32c(flow->crc, flow->chunk, (size_t)n_covered);
    mni_put_u32(crc, flow->crc);
    for (size_t i = (size_t)n_covered; i < n; i++)
        flow->chunk[i] = crc[at + i - end];
}

static mn_status copy_live(struct live_flow *flow, const struct mni_bare_target *target,
                           struct mn_error *err)
{
    uint64_t n_bytes = flow->sums.file_bytes;
    mn_status st = MN_OK;

    for (uint64_t at = 0; at < n_bytes && st == MN_OK;) {
        size_t n_wanted = n_bytes - at < LIVE_CHUNK_BYTES ? (size_t)(n_bytes - at)
                                                          : (size_t)LIVE_CHUNK_BYTES;
        size_t n = 0;
        if (target->each != NULL)
            st = target->each(target->context, at, n_bytes, err);
        if (st == MN_OK)
            st = mni_file_read(flow->from, at, flow->chunk, n_wanted, &n, err);
        if (st == MN_OK && n != n_wanted)
            st = mni_fail(err, MN_ERR_CORRUPT, "%s has become shorter", flow->sums.label);
        if (st == MN_OK)
            st = mni_sums_add(&flow->sums, flow->chunk, n, err);
        if (st != MN_OK)
            return st;
        change(flow, at, n);
        st = mni_file_write(flow->to, at, flow->chunk, n, err);
        at += n;
    }
    if (st == MN_OK)
        st = mni_sums_end(&flow->sums, err);
    return st == MN_OK && !MNI_PLANTED("bare_live_not_synced") ? mni_file_sync(flow->to, err) : st;
}

static mn_status open_live(struct live_flow *flow, struct mni_dir *from_dir, const char *from_name,
                           const struct mni_live_info *expected, struct mn_error *err)
{
    uint64_t n = 0;
    mn_status st = mni_dir_open_file(from_dir, from_name, MNI_OPEN_READ, &flow->from, err);

    if (st == MN_OK)
        st = mni_file_size(flow->from, &n, err);
    if (st == MN_OK && n != expected->file_bytes)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s has %" PRIu64 " bytes, not %" PRIu64, from_name, n,
                      expected->file_bytes);
    if (st == MN_OK)
        st = mni_sums_begin_live(&flow->sums, expected, from_name, err);
    if (st != MN_OK)
        return st;
    flow->chunk = mni_alloc(LIVE_CHUNK_BYTES);
    return flow->chunk == NULL ? mni_fail(err, MN_ERR_NOMEM, "buffer for %s", from_name) : MN_OK;
}

mn_status mni_bare_write_live(struct mni_dir *from_dir, const char *from_name,
                              const struct mni_live_info *expected,
                              const struct mni_bare_target *target, struct mni_live_info *info_out,
                              struct mn_error *err)
{
    struct live_flow flow = {.id = &target->id};
    bool is_made = false;
    mn_status st = open_live(&flow, from_dir, from_name, expected, err);

    if (st == MN_OK)
        st = mni_dir_open_file(target->dir, target->name, MNI_OPEN_WRITE | MNI_OPEN_CREATE,
                               &flow.to, err);
    is_made = flow.to != NULL;
    if (st == MN_OK)
        st = copy_live(&flow, target, err);
    mni_file_close(flow.from);
    mni_file_close(flow.to);
    if (st != MN_OK && is_made)
        mni_ignore(mni_dir_unlink(target->dir, target->name, NULL));
    mni_sums_done(&flow.sums);
    mni_free(flow.chunk);
    if (st != MN_OK)
        return st;
    *info_out = *expected;
    info_out->id = target->id;
    info_out->crc = flow.crc;
    return MN_OK;
}
