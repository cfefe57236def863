/*
 * engine_calls_test.c - every allocation and every call to the disk fails once, in all that a store
 * does: the answer is an error or right, and the store is as it was before or after.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/mem.h"
#include "check.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "io/fault.h"
#include "mneme/mneme.h"
#include "segment/segment.h"

enum { IMAGE_BYTES = 4096 };

/* All that can be read of a store, as text. */
struct image {
    char text[IMAGE_BYTES];
    size_t n;
};

struct world {
    struct mni_crash_env *crash;
    struct mni_fault_env *fault;
    struct mni_env *env;
    mn_store *store;
    struct mn_error err;
    bool ends_closed;
};

struct deed {
    const char *name;
    bool begins_closed;
    bool begins_empty; /* no store yet */
    mn_status (*act)(struct world *w);
    void (*prepare)(struct world *w); /* behind the first records; NULL: nothing */
};

static struct mn_slice name_n(void)
{
    return mn_str("n");
}

static mn_status try_open(struct world *w)
{
    struct mn_options o = {.size = sizeof o, .create = true, .wal_file_bytes = 64 << 10};

    return mni_api_store_open(w->env, "/s", &o, &w->store, &w->err);
}

static void put(struct world *w, const char *name, const char *id, const char *payload,
                bool is_expired)
{
    struct mn_record r = {
        .id = mn_str(id), .payload = mn_str(payload), .fields = is_expired ? MN_HAS_TTL : 0};

    CHECK_OK_ERR(mn_put(w->store, mn_str(name), &r, NULL, NULL, &w->err), &w->err);
}

static void add(struct image *image, const char *format, ...) MN_PRINTF(2, 3);
static void add(struct image *image, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    image->n += (size_t)vsnprintf(image->text + image->n, IMAGE_BYTES - image->n, format, args);
    va_end(args);
    CHECK(image->n < IMAGE_BYTES);
}

/* A point is its entity, its time, and its payload. */
static void add_points(struct world *w, uint32_t space, struct image *image)
{
    uint64_t entities[8];
    size_t n = 0;

    CHECK_OK(mn_temporal_list_entities(w->store, space, 0, entities, 8, &n, NULL));
    for (size_t i = 0; i < n; i++) {
        mn_range *range = NULL;
        struct mn_point_view view;
        CHECK_OK(mn_temporal_range_open(w->store, space, entities[i], INT64_MIN, INT64_MAX, NULL,
                                        &range, NULL));
        while (mn_temporal_range_next(range, &view, NULL) == MN_OK) {
            add(image, " %llu@%lld=%.*s", (unsigned long long)view.entity, (long long)view.time_us,
                (int)view.payload.n_bytes, (const char *)view.payload.data);
            mn_point_release(&view);
        }
        mn_temporal_range_close(range);
    }
}

static void add_spaces(struct world *w, struct image *image)
{
    uint32_t spaces[8];
    uint32_t named = 0;
    size_t n = 0;

    CHECK_OK(mn_temporal_list_spaces(w->store, 0, spaces, 8, &n, NULL));
    for (size_t i = 0; i < n; i++) {
        struct mn_space_info info = {.size = sizeof info};
        CHECK_OK(mn_temporal_space(w->store, spaces[i], &info, NULL));
        add(image, "%u %.*s %u %llu %llu:", info.space, (int)info.name_bytes, info.name,
            info.n_dims, (unsigned long long)info.n_points,
            (unsigned long long)info.known_from_lsn);
        add_points(w, spaces[i], image);
        add(image, "\n");
    }
    if (mn_temporal_find_space(w->store, mn_str("named"), &named, NULL) == MN_OK)
        add(image, "%u is named\n", named);
}

/* An entry is its id, its payload, its hits, and how long its vector is. */
static void add_tenants(struct world *w, struct image *image)
{
    struct mni_engine *engine = mni_api_store_engine(w->store);
    const struct mni_walk_options all = {.reverse = false};
    uint64_t tenants[4];
    size_t n = 0;

    CHECK_OK(mni_engine_list_tenants(engine, 0, tenants, 4, &n, NULL));
    for (size_t i = 0; i < n; i++) {
        unsigned char name[MNI_TENANT_KEY_BYTES];
        struct mni_walk *walk = NULL;
        struct mni_collection c;
        struct mni_found found;
        CHECK_OK(mni_walk_open(engine, &all, &walk, NULL));
        CHECK_OK(mni_view_collection(mni_walk_view(walk), MNI_KIND_TENANT,
                                     mni_tenant_key(tenants[i], name), &c, NULL));
        CHECK_OK(mni_walk_start(walk, c.number, NULL));
        add(image, "tenant %llu:", (unsigned long long)tenants[i]);
        while (mni_walk_next(walk, &found, NULL) == MN_OK) {
            const struct mni_record *r = &found.record;
            add(image, " %llu=%.*s/%llu/%u", (unsigned long long)mni_tenant_of_key(r->key.data),
                (int)r->payload.n_bytes, (const char *)r->payload.data, (unsigned long long)r->hits,
                r->n_dims);
            mni_pin_release(found.pin);
        }
        mni_walk_close(walk);
        add(image, "\n");
    }
}

static struct image image_of(struct world *w)
{
    struct image image = {.n = 0};
    mn_namespace_iter *names = NULL;
    struct mn_namespace_info info;
    char value[64];

    CHECK_OK(mn_namespace_iter_open(w->store, (struct mn_slice){0}, &names, NULL));
    while (mn_namespace_iter_next(names, &info, NULL) == MN_OK) {
        mn_iter *iter = NULL;
        struct mn_view view;
        add(&image, "%.*s %u %llu:", (int)info.name.n_bytes, (const char *)info.name.data,
            info.dimension, (unsigned long long)info.n_records);
        CHECK_OK(mn_iter_open(w->store, info.name, NULL, &iter, NULL));
        while (mn_iter_next(iter, &view, NULL) == MN_OK) {
            int n = view.payload.n_bytes < 20 ? (int)view.payload.n_bytes : 20;
            add(&image, " %.*s=%.*s/%zu/%u", (int)view.id.n_bytes, (const char *)view.id.data, n,
                n == 0 ? "" : (const char *)view.payload.data, view.payload.n_bytes, view.fields);
            mn_view_release(&view);
        }
        mn_iter_close(iter);
        add(&image, "\n");
    }
    mn_namespace_iter_close(names);
    add_spaces(w, &image);
    add_tenants(w, &image);
    CHECK_OK(mn_config_get(w->store, "sweep_interval_ms", value, sizeof value, NULL));
    add(&image, "%s\n", value);
    return image;
}

static bool is_image(struct world *w, const struct image *image)
{
    struct image now = image_of(w);

    return now.n == image->n && memcmp(now.text, image->text, now.n) == 0;
}

/* What is done ---------- */

static mn_status act_put(struct world *w)
{
    struct mn_record r = {.id = mn_str("new"), .payload = mn_str("value;")};

    return mn_put(w->store, name_n(), &r, NULL, NULL, &w->err);
}

static mn_status act_put_into_new(struct world *w)
{
    float vector[2] = {1, 2};
    struct mn_record r = {.id = mn_str("first"), .vector = vector, .n_dims = 2};

    return mn_put(w->store, mn_str("fresh"), &r, NULL, NULL, &w->err);
}

static mn_status act_put_much(struct world *w)
{
    static char payload[100000] = "much;";
    struct mn_record r = {.id = mn_str("much"), .payload = {payload, sizeof payload}};

    return mn_put(w->store, name_n(), &r, NULL, NULL, &w->err);
}

static mn_status act_put_batch(struct world *w)
{
    struct mn_record records[40];

    for (int i = 0; i < 40; i++)
        records[i] = (struct mn_record){.id = {&"abcdefghijklmnopqrstuvwxyzabcdefghijklmn"[i], 1},
                                        .payload = mn_str("batch;"),
                                        .fields = i % 2 == 0 ? MN_HAS_EXPIRES_AT : 0,
                                        .expires_at_us = INT64_MAX};
    return mn_put_batch(w->store, name_n(), records, 40, NULL, NULL, NULL, &w->err);
}

static mn_status act_put_if_absent(struct world *w)
{
    struct mn_record r = {.id = mn_str("gone"), .payload = mn_str("again;")};

    return mn_put_if_absent(w->store, name_n(), &r, NULL, NULL, &w->err);
}

static mn_status act_txn(struct world *w)
{
    struct mn_record r = {.id = mn_str("t"), .payload = mn_str("txn;")};
    struct mn_view view;
    mn_txn *txn = NULL;
    bool existed = false;
    mn_status st = mn_txn_begin(w->store, &txn, &w->err);

    if (st == MN_OK)
        st = mn_txn_put(txn, name_n(), &r, &w->err);
    if (st == MN_OK)
        st = mn_txn_put(txn, mn_str("other"), &r, &w->err);
    if (st == MN_OK)
        st = mn_txn_delete(txn, name_n(), mn_str("a"), &existed, &w->err);
    if (st == MN_OK)
        st = mn_txn_touch(txn, name_n(), mn_str("b"), MN_HAS_TTL, INT64_MAX, &w->err);
    if (st == MN_OK)
        st = mn_txn_touch(txn, name_n(), mn_str("t"), MN_HAS_TTL, INT64_MAX, &w->err);
    if (st == MN_OK) {
        st = mn_txn_get(txn, name_n(), mn_str("t"), &view, &w->err);
        mn_view_release(&view);
    }
    if (st == MN_OK)
        return mn_txn_commit(txn, NULL, NULL, &w->err);
    mn_txn_rollback(txn);
    return st;
}

static mn_status act_delete(struct world *w)
{
    const struct mn_slice ids[] = {mn_str("a"), mn_str("?"), mn_str("c"), mn_str("a")};

    return mn_delete_batch(w->store, name_n(), ids, 4, NULL, NULL, NULL, NULL, &w->err);
}

static mn_status act_touch(struct world *w)
{
    return mn_touch(w->store, name_n(), mn_str("b"), MN_HAS_EXPIRES_AT, INT64_MAX, NULL, NULL,
                    &w->err);
}

/* Points ---------- */

static mn_status act_make_space(struct world *w)
{
    const struct mn_space_options options = {
        .size = sizeof options, .name = mn_str("named"), .n_dims = 2, .keyframe_every = 4};

    return mn_temporal_create_space(w->store, 7, &options, NULL, NULL, NULL, &w->err);
}

static mn_status put_points(struct world *w, int64_t first_us, const char *payload)
{
    const float vector[2] = {1, 2};
    struct mn_point points[20];

    for (int i = 0; i < 20; i++)
        points[i] = (struct mn_point){.entity = i % 2,
                                      .time_us = first_us + i,
                                      .vector = vector,
                                      .n_dims = 2,
                                      .payload = mn_str(payload)};
    return mn_temporal_put_batch(w->store, 7, points, 20, NULL, NULL, NULL, &w->err);
}

static mn_status act_put_points(struct world *w)
{
    return put_points(w, 5, "new;");
}

static void have_points(struct world *w)
{
    CHECK_OK_ERR(act_make_space(w), &w->err);
    CHECK_OK_ERR(put_points(w, 0, "old;"), &w->err);
}

static void have_points_in_a_segment(struct world *w)
{
    have_points(w);
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
    CHECK_OK_ERR(put_points(w, 10, "newer;"), &w->err);
}

static mn_status act_delete_points(struct world *w)
{
    uint64_t n_existed = 5;
    mn_status st = mn_temporal_delete_range(w->store, 7, 1, 4, 13, NULL, &n_existed, NULL, &w->err);

    CHECK_EQ(n_existed, 5);
    return st;
}

static mn_status act_drop_space(struct world *w)
{
    return mn_temporal_drop_space(w->store, 7, NULL, NULL, NULL, &w->err);
}

static mn_status read_range(struct world *w)
{
    const struct mn_range_options back = {.size = sizeof back, .descending = true};
    struct mn_point_view view;
    mn_range *range = NULL;
    mn_status st =
        mn_temporal_range_open(w->store, 7, 1, INT64_MIN, INT64_MAX, &back, &range, &w->err);

    while (st == MN_OK) {
        st = mn_temporal_range_next(range, &view, &w->err);
        mn_point_release(&view);
    }
    mn_temporal_range_close(range);
    return st == MN_END ? MN_OK : st;
}

static mn_status read_nearest(struct world *w)
{
    const struct mn_nearest_options options = {
        .size = sizeof options, .scope = MN_NEAREST_AS_OF, .at_us = 12};
    const float query[2] = {1, 2};
    struct mn_nearest_hit hit;
    mn_nearest *nearest = NULL;
    int n = 0;
    mn_status st = mn_temporal_nearest_open(w->store, 7, query, 2, 3, &options, &nearest, &w->err);

    CHECK((st == MN_OK) == (nearest != NULL));
    while (st == MN_OK) {
        st = mn_temporal_nearest_next(nearest, &hit, &w->err);
        CHECK((st == MN_OK) == (hit.view.pin != NULL));
        n += st == MN_OK;
        mn_point_release(&hit.view);
    }
    mn_temporal_nearest_close(nearest);
    CHECK(st != MN_END || n == 2);
    return st == MN_END ? MN_OK : st;
}

static mn_status act_read_points(struct world *w)
{
    struct mn_timeline timeline = {.n_points = 3};
    struct mn_point_view view = {.n_dims = 3};
    uint64_t entities[3];
    size_t n = 9;
    mn_status st = read_range(w);

    if (st == MN_OK)
        st = mn_temporal_as_of(w->store, 7, 1, 9, &view, &w->err);
    if (st == MN_OK)
        CHECK_EQ(view.time_us, 9);
    mn_point_release(&view);
    if (st == MN_OK)
        st = mn_temporal_list_entities(w->store, 7, 0, entities, 3, &n, &w->err);
    CHECK(st == MN_OK ? n == 2 : n == 9);
    if (st == MN_OK)
        st = mn_temporal_timeline(w->store, 7, 1, &timeline, &w->err);
    CHECK(st == MN_OK ? timeline.n_points >= 10 : timeline.n_points == 3);
    return st == MN_OK ? read_nearest(w) : st;
}

/* A space that keeps few points of each entity, and what they were. */
static void have_history(struct world *w)
{
    const struct mn_space_options options = {
        .size = sizeof options, .n_dims = 2, .keep_points = 8, .history_us = INT64_MAX};

    CHECK_OK_ERR(mn_temporal_create_space(w->store, 7, &options, NULL, NULL, NULL, &w->err),
                 &w->err);
    CHECK_OK_ERR(put_points(w, 0, "old;"), &w->err);
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
    CHECK_OK_ERR(put_points(w, 0, "newer;"), &w->err);
}

static mn_status act_end_history(struct world *w)
{
    const struct mn_space_changes changes = {
        .size = sizeof changes, .fields = MN_SPACE_HISTORY_US | MN_SPACE_KEYFRAME_EVERY};

    return mn_temporal_alter_space(w->store, 7, &changes, NULL, NULL, &w->err);
}

static mn_status act_look_back(struct world *w)
{
    struct mn_space_info info = {.size = sizeof info};
    struct mn_range_options then = {.size = sizeof then, .descending = true};
    struct mn_point_view view = {.n_dims = 3};
    mn_range *range = NULL;
    mn_status st = mn_temporal_space(w->store, 7, &info, &w->err);
    int n = 0;

    then.known_at = info.known_from_lsn + 1;
    if (st == MN_OK)
        st = mn_temporal_as_of_known(w->store, 7, 1, 17, then.known_at, &view, &w->err);
    if (st == MN_OK)
        CHECK(view.time_us == 17 && memcmp(view.payload.data, "old;", 4) == 0);
    mn_point_release(&view);
    if (st == MN_OK)
        st = mn_temporal_range_open(w->store, 7, 1, INT64_MIN, INT64_MAX, &then, &range, &w->err);
    while (st == MN_OK && (st = mn_temporal_range_next(range, &view, &w->err)) == MN_OK) {
        CHECK_MEM_EQ(view.payload.data, "old;", 4);
        mn_point_release(&view);
        n++;
    }
    mn_temporal_range_close(range);
    CHECK(st != MN_END || n == 8);
    return st == MN_END ? MN_OK : st;
}

static mn_status act_create(struct world *w)
{
    struct mn_namespace_settings settings = {.size = sizeof settings, .dimension = 5};

    return mn_namespace_create(w->store, mn_str("made"), &settings, &w->err);
}

static mn_status act_drop(struct world *w)
{
    return mn_namespace_drop(w->store, name_n(), NULL, &w->err);
}

static mn_status act_read(struct world *w)
{
    struct mn_iter_options options = {.size = sizeof options, .prefix = mn_str("b")};
    struct mn_slice ids[] = {mn_str("a"), mn_str("?")};
    struct mn_view views[2];
    mn_iter *iter = NULL;
    mn_namespace_iter *names = NULL;
    size_t n_found = 0;
    mn_status st = mn_get_batch(w->store, name_n(), ids, 2, views, &n_found, &w->err);

    if (st == MN_OK) {
        CHECK_EQ(n_found, 1);
        mn_view_release(&views[0]);
    }
    if (st == MN_OK)
        st = mn_iter_open(w->store, name_n(), &options, &iter, &w->err);
    if (st == MN_OK)
        st = mn_iter_next(iter, &views[0], &w->err);
    if (st == MN_OK) {
        CHECK(views[0].id.n_bytes == 1 && memcmp(views[0].id.data, "b", 1) == 0);
        mn_view_release(&views[0]);
    }
    mn_iter_close(iter);
    if (st == MN_OK)
        st = mn_namespace_iter_open(w->store, mn_str("a"), &names, &w->err);
    mn_namespace_iter_close(names);
    return st;
}

/* Every number that a store tells. */
static mn_status act_count(struct world *w)
{
    struct mn_stats stats = {.size = sizeof stats};
    uint64_t n = 0;
    mn_status st = mn_count(w->store, name_n(), &n, &w->err);

    if (st == MN_OK)
        CHECK_EQ(n, 3);
    if (st == MN_OK)
        st = mn_stats(w->store, &stats, &w->err);
    if (st == MN_OK)
        CHECK_EQ(stats.n_records, 4);
    return st;
}

static mn_status act_checkpoint(struct world *w)
{
    return mn_checkpoint(w->store, &w->err);
}

/* A record, a walk and a transaction stay as they were, whatever becomes of the checkpoint. */
static mn_status act_checkpoint_beside_readers(struct world *w)
{
    struct mn_view held;
    struct mn_view view;
    mn_iter *iter = NULL;
    mn_txn *txn = NULL;
    bool existed = false;
    mn_status st = mn_get(w->store, name_n(), mn_str("a"), &held, &w->err);

    if (st != MN_OK)
        return st;
    CHECK_MEM_EQ(held.payload.data, "1;", 2);
    st = mn_iter_open(w->store, name_n(), NULL, &iter, &w->err);
    if (st == MN_OK)
        st = mn_txn_begin(w->store, &txn, &w->err);
    if (st == MN_OK)
        st = mn_txn_delete(txn, name_n(), mn_str("b"), &existed, &w->err);
    if (st == MN_OK)
        st = mn_checkpoint(w->store, &w->err);
    if (iter != NULL && mn_iter_next(iter, &view, NULL) == MN_OK) {
        CHECK_MEM_EQ(view.payload.data, "1;", 2);
        mn_view_release(&view);
    }
    mn_iter_close(iter);
    mn_txn_rollback(txn);
    CHECK_MEM_EQ(held.payload.data, "1;", 2);
    mn_view_release(&held);
    return st;
}

static mn_status act_sweep(struct world *w)
{
    uint64_t n_swept = 0;
    mn_status st = mn_sweep(w->store, &n_swept, &w->err);

    if (st == MN_OK)
        CHECK_EQ(n_swept, 1);
    return st;
}

static mn_status act_configure(struct world *w)
{
    return mn_config_set(w->store, "sweep_interval_ms", "77", &w->err);
}

static mn_status act_flush(struct world *w)
{
    return mn_flush(w->store, &w->err);
}

static mn_status act_close(struct world *w)
{
    mn_store *store = w->store;

    w->store = NULL;
    w->ends_closed = true;
    return mn_close(store, &w->err);
}

/* What lies in a segment. */
static void put_in_segment(struct world *w)
{
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
}

/* All that can happen to a segment, not written down yet: the next checkpoint writes liveness, a
 * second segment, and what is left of the first anew. */
static void change_segment(struct world *w)
{
    put_in_segment(w);
    put(w, "n", "c", "7;", false);
    put(w, "n", "d", "8;", false);
    CHECK_OK_ERR(act_touch(w), &w->err);
    CHECK_OK_ERR(mn_delete(w->store, mn_str("m"), mn_str("x"), NULL, NULL, NULL, &w->err), &w->err);
}

/* The same with the file of liveness written. */
static void change_segments(struct world *w)
{
    for (int i = 0; i < 6; i++)
        put(w, "many", (const char *[]){"a", "b", "c", "d", "e", "f"}[i], "9;", false);
    put_in_segment(w);
    CHECK_OK_ERR(act_touch(w), &w->err);
    CHECK_OK_ERR(mn_delete(w->store, mn_str("many"), mn_str("f"), NULL, NULL, NULL, &w->err),
                 &w->err);
    put_in_segment(w);
    put(w, "n", "a", "1;", false);
}

static void drop_from_segment(struct world *w)
{
    put_in_segment(w);
    CHECK_OK_ERR(mn_namespace_drop(w->store, mn_str("m"), NULL, &w->err), &w->err);
    put(w, "m", "x", "5;", false);
}

/* What a checkpoint that failed leaves behind: a table that takes no writes. */
static void freeze_table(struct world *w)
{
    mni_fault_env_fail_at(w->fault, 1, EIO, true);
    CHECK_STATUS(mn_checkpoint(w->store, &w->err), MN_ERR_IO);
    mni_fault_env_fail_at(w->fault, 0, 0, false);
}

/* Where the records lie that deeds begin with. */
static const struct place {
    const char *name;
    void (*prepare)(struct world *w);
} places[] = {
    {"", NULL},
    {", in a segment", put_in_segment},
    {", in a frozen table", freeze_table},
};

/* Tenants ---------- */

static mn_status begin_batch(struct world *w, bool creates, struct mni_batch **batch_out,
                             size_t *index_out)
{
    unsigned char name[MNI_TENANT_KEY_BYTES];
    mn_status st = mni_batch_new(mni_api_store_engine(w->store), NULL, batch_out);

    if (st != MN_OK) {
        w->err.status = st;
        return st;
    }
    return mni_batch_collection(*batch_out, MNI_KIND_TENANT, mni_tenant_key(7, name), creates,
                                index_out, &w->err);
}

/* Gives out what was stored, with one more pin. */
static mn_status act_store_entry(struct world *w)
{
    static const uint16_t halves[] = {0x3c00, 0x7e01, 0x8000};
    static const unsigned char second_key[MNI_SECOND_KEY_BYTES] = "second";
    unsigned char room[MNI_TENANT_KEY_BYTES];
    const struct mni_record r = {.type = MNI_RECORD_UPSERT,
                                 .element_type = MNI_ELEMENT_F16,
                                 .fields = MNI_FIELD_EVENT_TIME | MNI_FIELD_SECOND_KEY,
                                 .key = mni_tenant_key(5, room),
                                 .vector = halves,
                                 .n_dims = 3,
                                 .payload = mn_str("stored;"),
                                 .second_key = second_key};
    struct mni_batch *batch = NULL;
    struct mni_found found;
    void *again = NULL;
    size_t index = 0;
    mn_status st = begin_batch(w, true, &batch, &index);

    if (st == MN_OK)
        st = mni_batch_add(batch, index, &r, MNI_ALWAYS, 0, NULL, &w->err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &w->err);
    if (st == MN_OK) {
        mni_batch_found(batch, 0, &found);
        CHECK_OK(mni_found_pin(mni_api_store_engine(w->store), &found, NULL));
        CHECK_OK(mni_pin_again(found.pin, &again, NULL));
        CHECK_MEM_EQ(found.record.vector, halves, sizeof halves);
        mni_pin_release(found.pin);
        mni_pin_release(again);
    }
    mni_batch_free(batch);
    return st;
}

static mn_status act_hit(struct world *w)
{
    unsigned char room[MNI_TENANT_KEY_BYTES];
    const struct mni_record r = {.type = MNI_RECORD_PATCH,
                                 .fields = MNI_FIELD_HITS,
                                 .key = mni_tenant_key(5, room),
                                 .hits = 9};
    struct mni_batch *batch = NULL;
    size_t index = 0;
    mn_status st = begin_batch(w, false, &batch, &index);

    if (batch != NULL)
        mni_batch_never_wait(batch);
    if (st == MN_OK)
        st = mni_batch_add(batch, index, &r, MNI_IF_LIVE, 0, NULL, &w->err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &w->err);
    mni_batch_free(batch);
    return st;
}

static mn_status act_drop_tenant(struct world *w)
{
    struct mni_batch *batch = NULL;
    size_t index = 0;
    mn_status st = begin_batch(w, false, &batch, &index);

    if (st == MN_OK) {
        mni_batch_drop(batch, index);
        st = mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &w->err);
    }
    mni_batch_free(batch);
    return st;
}

static mn_status act_list_tenants(struct world *w)
{
    uint64_t tenants[4];
    size_t n = 9;
    mn_status st =
        mni_engine_list_tenants(mni_api_store_engine(w->store), 0, tenants, 4, &n, &w->err);

    CHECK(st == MN_OK ? n == 1 && tenants[0] == 7 : n == 9);
    return st;
}

static void have_an_entry(struct world *w)
{
    CHECK_OK_ERR(act_store_entry(w), &w->err);
}

static void have_an_entry_in_a_segment(struct world *w)
{
    have_an_entry(w);
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
}

static void have_hits_in_a_segment(struct world *w)
{
    have_an_entry_in_a_segment(w);
    CHECK_OK_ERR(act_hit(w), &w->err);
}

static const struct deed deeds[] = {
    {"make a store", true, true, try_open, NULL},
    {"open a store", true, false, try_open, NULL},
    {"put", false, false, act_put, NULL},
    {"put into a new namespace", false, false, act_put_into_new, NULL},
    {"put more than a log file holds", false, false, act_put_much, NULL},
    {"put a batch", false, false, act_put_batch, NULL},
    {"put if absent", false, false, act_put_if_absent, NULL},
    {"commit a transaction", false, false, act_txn, NULL},
    {"delete", false, false, act_delete, NULL},
    {"touch", false, false, act_touch, NULL},
    {"create", false, false, act_create, NULL},
    {"drop", false, false, act_drop, NULL},
    {"read", false, false, act_read, NULL},
    {"sweep", false, false, act_sweep, NULL},
    {"configure", false, false, act_configure, NULL},
    {"flush", false, false, act_flush, NULL},
    {"count", false, false, act_count, NULL},
    {"checkpoint", false, false, act_checkpoint, NULL},
    {"checkpoint beside readers", false, false, act_checkpoint_beside_readers, NULL},
    {"checkpoint a changed segment", false, false, act_checkpoint, change_segment},
    {"checkpoint changed segments", false, false, act_checkpoint, change_segments},
    {"checkpoint a dropped namespace", false, false, act_checkpoint, drop_from_segment},
    {"open changed segments", true, false, try_open, change_segments},
    {"close", false, false, act_close, NULL},
    {"make a space", false, false, act_make_space, NULL},
    {"put points", false, false, act_put_points, have_points},
    {"put points over a segment's", false, false, act_put_points, have_points_in_a_segment},
    {"delete points", false, false, act_delete_points, have_points_in_a_segment},
    {"drop a space", false, false, act_drop_space, have_points_in_a_segment},
    {"read points", false, false, act_read_points, have_points_in_a_segment},
    {"put points in a space with history", false, false, act_put_points, have_history},
    {"delete points of a space with history", false, false, act_delete_points, have_history},
    {"end a history", false, false, act_end_history, have_history},
    {"look back", false, false, act_look_back, have_history},
    {"drop a space with history", false, false, act_drop_space, have_history},
    {"open a store with points", true, false, try_open, have_points_in_a_segment},
    {"store an entry", false, false, act_store_entry, NULL},
    {"store an entry over a segment's", false, false, act_store_entry, have_an_entry_in_a_segment},
    {"hit an entry", false, false, act_hit, have_an_entry},
    {"hit an entry in a segment", false, false, act_hit, have_an_entry_in_a_segment},
    {"checkpoint hits", false, false, act_checkpoint, have_hits_in_a_segment},
    {"open a store with hits", true, false, try_open, have_hits_in_a_segment},
    {"list tenants", false, false, act_list_tenants, have_an_entry_in_a_segment},
    {"drop a tenant", false, false, act_drop_tenant, have_an_entry_in_a_segment},
};

/* One run ---------- */

static void reopen(struct world *w)
{
    mni_api_store_abandon(w->store);
    w->store = NULL;
    CHECK_OK_ERR(try_open(w), &w->err);
}

static void begin(struct world *w, const struct deed *deed)
{
    *w = (struct world){0};
    CHECK_OK(mni_crash_env_new(1, &w->crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(w->crash), &w->fault));
    w->env = mni_fault_env_base(w->fault);
    if (deed->begins_empty)
        return;
    CHECK_OK_ERR(try_open(w), &w->err);
    put(w, "n", "a", "1;", false);
    put(w, "n", "b", "2;", false);
    put(w, "n", "c", "3;", false);
    put(w, "n", "gone", "4;", true);
    put(w, "m", "x", "5;", false);
    if (deed->prepare != NULL)
        deed->prepare(w);
    if (deed->begins_closed) {
        mni_api_store_abandon(w->store);
        w->store = NULL;
    }
}

static void end(struct world *w)
{
    CHECK_OK_ERR(mn_close(w->store, &w->err), &w->err);
    mni_fault_env_free(w->fault);
    mni_crash_env_free(w->crash);
}

struct fault {
    bool of_memory;
    bool keeps_failing;
    int os_errno;
};

struct images {
    struct image before;
    struct image after;
    uint64_t n_points; /* allocations or calls of the deed */
};

static void start_fault(struct world *w, const struct fault *fault, uint64_t n)
{
    if (fault->of_memory)
        mni_mem_fail_at(n);
    else
        mni_fault_env_fail_at(w->fault, n, fault->os_errno, fault->keeps_failing);
}

/* What the deed does when nothing fails, and how often it could. */
static struct images count_points(const struct deed *deed, const struct fault *fault)
{
    static struct images images;
    struct world w;

    begin(&w, deed);
    images.before.n = 0;
    if (w.store != NULL)
        images.before = image_of(&w);
    start_fault(&w, fault, UINT32_MAX);
    CHECK_OK_ERR(deed->act(&w), &w.err);
    images.n_points = fault->of_memory ? mni_mem_calls() : mni_fault_env_n_calls(w.fault);
    mni_mem_fail_at(0);
    if (w.store == NULL)
        CHECK_OK_ERR(try_open(&w), &w.err);
    images.after = image_of(&w);
    if (images.before.n == 0)
        images.before = images.after; /* opening shows what is there, or nothing yet */
    end(&w);
    return images;
}

static void check_failure(const struct world *w, const struct fault *fault, mn_status st)
{
    CHECK_STATUS(w->err.status, st);
    if (fault->of_memory)
        CHECK(st == MN_ERR_NOMEM);
    else if (fault->os_errno == ENOSPC)
        CHECK(st == MN_ERR_NO_SPACE || st == MN_ERR_POISONED);
    else
        CHECK(st == MN_ERR_IO || st == MN_ERR_POISONED);
}

/* After a failure, unless the store has to be opened again for it. */
static void try_checkpoint(struct world *w, const struct images *images, mn_status st)
{
    mn_status again = mn_checkpoint(w->store, &w->err);

    if (again != MN_OK) {
        CHECK(st != MN_OK && again == MN_ERR_IO);
        CHECK_STR_HAS(w->err.message, "open the store again");
    }
    CHECK(is_image(w, st == MN_OK ? &images->after : &images->before));
}

static void check_state(struct world *w, const struct images *images, mn_status st)
{
    struct mn_stats stats = {.size = sizeof stats};
    bool is_poisoned = false;

    if (w->store != NULL) {
        CHECK(is_image(w, st == MN_OK ? &images->after : &images->before));
        CHECK_OK(mn_stats(w->store, &stats, NULL));
        is_poisoned = stats.is_poisoned;
        if (st == MN_ERR_NOMEM)
            CHECK(!is_poisoned);
    }
    if (!is_poisoned && images->before.n > 8) { /* not a store just made */
        put(w, "n", "gone", "4;", true);
        try_checkpoint(w, images, st);
    }
    reopen(w);
    CHECK(is_image(w, &images->after) || (st != MN_OK && is_image(w, &images->before)));
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
    CHECK(is_image(w, &images->after) || (st != MN_OK && is_image(w, &images->before)));
    reopen(w);
    CHECK(is_image(w, &images->after) || (st != MN_OK && is_image(w, &images->before)));
}

/* Does the deed while the `n`-th point fails. */
static void run(const struct deed *deed, const struct fault *fault, const struct images *images,
                uint64_t n)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct world w;

    begin(&w, deed);
    uint64_t n_open = mni_mem_live_blocks();
    start_fault(&w, fault, n);
    mn_status st = deed->act(&w);
    bool was_hit = fault->of_memory ? mni_mem_fail_was_hit() : mni_fault_env_was_hit(w.fault);
    mni_mem_fail_at(0);
    mni_fault_env_fail_at(w.fault, 0, 0, false);
    CHECK(was_hit);
    if (st != MN_OK) {
        check_failure(&w, fault, st);
        if (deed->begins_closed) {
            CHECK(w.store == NULL);
            CHECK_EQ(mni_mem_live_blocks(), n_open);
        }
    }
    if (w.store == NULL)
        CHECK_OK_ERR(try_open(&w), &w.err);
    check_state(&w, images, st);
    end(&w);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
}

static void run_all(const struct fault *fault)
{
    uint64_t n_points = 0;

    for (size_t i = 0; i < CHECK_COUNT(deeds) * CHECK_COUNT(places); i++) {
        struct deed deed = deeds[i / CHECK_COUNT(places)];
        const struct place *place = &places[i % CHECK_COUNT(places)];
        if (place->prepare != NULL && (deed.prepare != NULL || deed.begins_empty))
            continue;
        if (place->prepare != NULL)
            deed.prepare = place->prepare;
        struct images images = count_points(&deed, fault);
        for (uint64_t n = 1; n <= images.n_points; n++)
            run(&deed, fault, &images, n);
        n_points += images.n_points;
        if (getenv("MNEME_VERBOSE") != NULL)
            (void)fprintf(stderr, "%s%s: %llu points\n", deed.name, place->name,
                          (unsigned long long)images.n_points);
    }
    CHECK(n_points > 50);
}

static void any_allocation_may_fail(void)
{
    run_all(&(struct fault){.of_memory = true});
}

static void any_call_may_fail(void)
{
    run_all(&(struct fault){.os_errno = EIO});
}

static void any_call_and_all_after_it_may_fail(void)
{
    run_all(&(struct fault){.os_errno = EIO, .keeps_failing = true});
}

static void the_disk_may_be_full_at_any_call(void)
{
    run_all(&(struct fault){.os_errno = ENOSPC, .keeps_failing = true});
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_allocation_may_fail),
        CHECK_TEST(any_call_may_fail),
        CHECK_TEST(any_call_and_all_after_it_may_fail),
        CHECK_TEST(the_disk_may_be_full_at_any_call),
    };

    mni_keyframes_forced = true; /* segments here are too small to become shorter by it */
    return check_run("fault.engine_calls", tests, CHECK_COUNT(tests), argc, argv);
}
