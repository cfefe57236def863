/*
 * semcache_calls_test.c - every allocation and every call to the disk fails once, in all that a
 * cache of answers does: the answer is an error or right, the cache is as it was before or after,
 * and what is tried again works.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/mem.h"
#include "check.h"
#include "io/crash.h"
#include "io/fault.h"
#include "mneme/mneme.h"

enum { IMAGE_BYTES = 4096, N_DIMS = 70, N_IDS_MAX = 64, N_TENANTS_MAX = 8 };

/* What the cache holds, as text. */
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
};

struct deed {
    const char *name;
    mn_status (*act)(struct world *w);
    void (*prepare)(struct world *w); /* behind the first entries; NULL: nothing */
    bool is_first;                    /* call of the cache since the store was opened */
    bool has_steps;                   /* commits: it may have been done in part */
};

/* Entries ---------- */

struct key {
    unsigned char bytes[MN_SEMCACHE_KEY_BYTES];
};

static struct key key_of(uint64_t number)
{
    struct key key = {{0}};

    memcpy(key.bytes + 3, &number, sizeof number);
    return key;
}

/* Days apart, and later than any hit: what goes to make room is the same each time. */
static int64_t event_time_us(uint64_t id)
{
    return INT64_MAX / 2 + (int64_t)(id % 64) * 86400000000;
}

static mn_status store_entry(struct world *w, uint64_t tenant, uint64_t id, uint64_t key_number,
                             const char *payload, bool shows)
{
    const struct key key = key_of(key_number);
    const float embedding[N_DIMS] = {1, (float)(key_number % 64), -1};
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID | MN_HAS_EVENT_TIME,
                                            .id = id,
                                            .event_time_us = event_time_us(id),
                                            .key = key.bytes,
                                            .model = mn_str("m"),
                                            .embedding = embedding,
                                            .n_dims = N_DIMS,
                                            .payload = mn_str(payload)};
    struct mn_semcache_handle handle;
    mn_status st =
        mn_semcache_store(w->store, tenant, &entry, NULL, shows ? &handle : NULL, &w->err);

    if (shows) {
        CHECK((st == MN_OK) == (handle.pin != NULL));
        if (st == MN_OK)
            CHECK_MEM_EQ(handle.payload.data, payload, strlen(payload));
        mn_semcache_release(&handle);
    }
    return st;
}

static void have(struct world *w, uint64_t tenant, uint64_t id, const char *payload)
{
    CHECK_OK_ERR(store_entry(w, tenant, id, id, payload, false), &w->err);
}

/* Images ---------- */

static void add(struct image *image, const char *format, ...) MN_PRINTF(2, 3);
static void add(struct image *image, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    image->n += (size_t)vsnprintf(image->text + image->n, IMAGE_BYTES - image->n, format, args);
    va_end(args);
    CHECK(image->n < IMAGE_BYTES);
}

static uint64_t number_of(const unsigned char *key)
{
    uint64_t number;

    memcpy(&number, key + 3, sizeof number);
    return number;
}

/* An entry is its id, its key and its payload; by the key it is found too. */
static uint64_t add_entry(struct world *w, uint64_t tenant, uint64_t id, struct image *image)
{
    struct mn_semcache_handle h;
    struct mn_semcache_handle by_key;

    CHECK_OK_ERR(mn_semcache_peek(w->store, tenant, id, &h, &w->err), &w->err);
    uint64_t n_bytes = h.payload.n_bytes + h.model.n_bytes + 2 * (uint64_t)h.n_dims;
    CHECK(h.tenant == tenant && h.id == id && h.n_dims == N_DIMS);
    add(image, " %" PRIu64 "=%.*s", id, (int)h.payload.n_bytes, (const char *)h.payload.data);
    if (h.key != NULL) {
        add(image, "/%" PRIu64, number_of(h.key));
        n_bytes += MN_SEMCACHE_KEY_BYTES;
        CHECK_OK_ERR(mn_semcache_load_exact(w->store, tenant, h.key, &by_key, &w->err), &w->err);
        CHECK(by_key.id == id && by_key.lsn == h.lsn);
        mn_semcache_release(&by_key);
    }
    mn_semcache_release(&h);
    return n_bytes;
}

/* The numbers of a tenant are those of its entries. */
static void add_tenant(struct world *w, uint64_t tenant, struct image *image,
                       struct mn_semcache_stats *sums)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    struct mn_semcache_budget budget;
    uint64_t ids[N_IDS_MAX];
    uint64_t n_bytes = 0;
    bool is_own = false;
    size_t n = 0;

    CHECK_OK_ERR(mn_semcache_list_entries(w->store, tenant, 0, ids, N_IDS_MAX, &n, &w->err),
                 &w->err);
    CHECK_OK_ERR(mn_semcache_get_budget(w->store, tenant, &budget, &is_own, &w->err), &w->err);
    add(image, "tenant %" PRIu64 " %d %" PRIu64 ":", tenant, is_own, budget.entries_max);
    for (size_t i = 0; i < n; i++)
        n_bytes += add_entry(w, tenant, ids[i], image);
    add(image, "\n");
    CHECK_OK_ERR(mn_semcache_tenant_stats(w->store, tenant, &stats, &w->err), &w->err);
    CHECK_EQ(stats.n_entries, n);
    CHECK_EQ(stats.logical_bytes, n_bytes);
    sums->n_tenants++;
    sums->n_entries += n;
    sums->logical_bytes += n_bytes;
    sums->allocated_bytes += stats.allocated_bytes;
}

static struct image image_of(struct world *w)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    struct mn_semcache_stats sums = {.size = sizeof sums};
    uint64_t tenants[N_TENANTS_MAX];
    struct image image = {.n = 0};
    size_t n = 0;

    CHECK_OK_ERR(mn_semcache_list_tenants(w->store, 0, tenants, N_TENANTS_MAX, &n, &w->err),
                 &w->err);
    for (size_t i = 0; i < n; i++)
        add_tenant(w, tenants[i], &image, &sums);
    CHECK_OK_ERR(mn_semcache_get_stats(w->store, &stats, &w->err), &w->err);
    CHECK_EQ(stats.n_tenants, sums.n_tenants);
    CHECK_EQ(stats.n_entries, sums.n_entries);
    CHECK_EQ(stats.logical_bytes, sums.logical_bytes);
    CHECK_EQ(stats.allocated_bytes, sums.allocated_bytes);
    return image;
}

static bool is_image(struct world *w, const struct image *image)
{
    struct image now = image_of(w);

    return now.n == image->n && memcmp(now.text, image->text, now.n) == 0;
}

/* What is done ---------- */

static mn_status act_first(struct world *w)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    mn_status st = mn_semcache_get_stats(w->store, &stats, &w->err);

    CHECK_EQ(stats.n_entries, st == MN_OK ? 7 : 0);
    return st;
}

static mn_status act_store(struct world *w)
{
    return store_entry(w, 1, 9, 9, "new;", true);
}

static mn_status act_store_in_new(struct world *w)
{
    return store_entry(w, 99, 9, 9, "new;", true);
}

static mn_status act_overwrite(struct world *w)
{
    return store_entry(w, 1, 2, 2, "other;", true);
}

static mn_status act_move_key(struct world *w)
{
    return store_entry(w, 1, 3, 1, "moved;", true);
}

static mn_status act_store_in_full(struct world *w)
{
    return store_entry(w, 2, 9, 9, "evicts;", true);
}

static mn_status act_store_conditional(struct world *w)
{
    const struct mn_semcache_store_options o = {.size = sizeof o, .mode = MN_SEMCACHE_IF_ABSENT};
    const struct key key = key_of(30);
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID,
                                            .id = 30,
                                            .key = key.bytes,
                                            .n_dims = N_DIMS,
                                            .embedding = (const float[N_DIMS]){2},
                                            .payload = mn_str("absent;")};
    struct mn_semcache_handle handle;
    mn_status st = mn_semcache_store(w->store, 1, &entry, &o, &handle, &w->err);

    mn_semcache_release(&handle);
    return st;
}

static mn_status act_stream(struct world *w)
{
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID,
                                            .id = 40,
                                            .model = mn_str("m"),
                                            .n_dims = N_DIMS,
                                            .embedding = (const float[N_DIMS]){2}};
    mn_semcache_stream *stream = NULL;
    struct mn_semcache_handle handle;
    mn_status st = mn_semcache_begin(w->store, 1, &entry, NULL, &stream, &w->err);

    CHECK((st == MN_OK) == (stream != NULL));
    for (int i = 0; i < 3 && st == MN_OK; i++)
        st = mn_semcache_append(stream, mn_str("piece;"), &w->err);
    if (st != MN_OK) {
        mn_semcache_abort(stream);
        return st;
    }
    st = mn_semcache_commit(stream, &handle, &w->err);
    CHECK((st == MN_OK) == (handle.pin != NULL));
    mn_semcache_release(&handle);
    return st;
}

static mn_status act_load(struct world *w)
{
    struct mn_semcache_handle handle;
    struct mn_semcache_handle again;
    bool exists = false;
    mn_status st = mn_semcache_load(w->store, 1, 2, &handle, &w->err);

    CHECK((st == MN_OK) == (handle.pin != NULL));
    if (st == MN_OK) {
        CHECK_MEM_EQ(handle.payload.data, "two;", 4);
        st = mn_semcache_retain(&handle, &again, &w->err);
        CHECK((st == MN_OK) == (again.pin != NULL));
        mn_semcache_release(&again);
    }
    mn_semcache_release(&handle);
    if (st == MN_OK)
        st = mn_semcache_load_exact(w->store, 2, key_of(5).bytes, &handle, &w->err);
    CHECK((st == MN_OK) == (handle.pin != NULL));
    mn_semcache_release(&handle);
    if (st == MN_OK)
        st = mn_semcache_exists(w->store, 1, 1, &exists, &w->err);
    CHECK(st != MN_OK || exists);
    return st;
}

static mn_status try_open(struct world *w)
{
    struct mn_options o = {
        .size = sizeof o, .create = true, .no_background = true, .wal_file_bytes = 64 << 10};

    return mni_api_store_open(w->env, "/s", &o, &w->store, &w->err);
}

/* What may not be read is not absent. */
static mn_status act_open_and_load(struct world *w)
{
    mni_api_store_abandon(w->store);
    w->store = NULL;
    mn_status st = try_open(w);

    return st == MN_OK ? act_load(w) : st;
}

static bool is_second(void *context, const struct mn_semcache_handle *handle, float score)
{
    int *n = context;

    CHECK(score > 0.9F && handle->pin != NULL);
    return (*n)++ > 0;
}

static mn_status act_look_up(struct world *w)
{
    const float embedding[N_DIMS] = {1, 2, -1};
    const struct key key = key_of(77);
    int n_asked = 0;
    const struct mn_semcache_query query = {.size = sizeof query,
                                            .key = key.bytes,
                                            .n_dims = N_DIMS,
                                            .embedding = embedding,
                                            .model = mn_str("m"),
                                            .min_similarity = 0.8F,
                                            .verify = is_second,
                                            .verify_context = &n_asked};
    struct mn_semcache_result result = {.size = sizeof result};
    mn_status st = mn_semcache_lookup(w->store, 1, &query, &result, &w->err);

    CHECK((st == MN_OK) == (result.handle.pin != NULL));
    if (st == MN_OK)
        CHECK(result.kind == MN_SEMCACHE_VERIFIED && result.n_rejected == 1);
    mn_semcache_release(&result.handle);
    return st;
}

static mn_status act_delete(struct world *w)
{
    return mn_semcache_delete(w->store, 1, 2, NULL, NULL, &w->err);
}

static mn_status invalidate(struct world *w, uint32_t fields)
{
    const struct key key = key_of(2);
    const struct mn_semcache_filter filter = {
        .size = sizeof filter, .fields = fields, .key = key.bytes, .model = mn_str("m")};
    uint64_t n = 9;
    mn_status st = mn_semcache_invalidate(w->store, 1, &filter, NULL, &n, &w->err);

    CHECK_EQ(n, st != MN_OK ? 0 : fields == MN_SEMCACHE_BY_KEY ? 1 : 4);
    return st;
}

static mn_status act_invalidate(struct world *w)
{
    return invalidate(w, MN_SEMCACHE_BY_MODEL);
}

static mn_status act_invalidate_key(struct world *w)
{
    return invalidate(w, MN_SEMCACHE_BY_KEY);
}

static mn_status act_drop(struct world *w)
{
    bool existed = false;
    mn_status st = mn_semcache_drop_tenant(w->store, 1, NULL, &existed, NULL, &w->err);

    CHECK_EQ(existed, st == MN_OK);
    return st;
}

static mn_status act_clean_up(struct world *w)
{
    uint64_t n = 9;

    return mn_semcache_cleanup(w->store, NULL, &n, &w->err);
}

static mn_status act_set_budget(struct world *w)
{
    const struct mn_semcache_budget budget = {.entries_max = 2};

    return mn_semcache_set_budget(w->store, 1, &budget, NULL, &w->err);
}

static mn_status act_clear_budget(struct world *w)
{
    return mn_semcache_set_budget(w->store, 2, NULL, NULL, &w->err);
}

static mn_status act_list(struct world *w)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    struct mn_semcache_budget budget;
    uint64_t ids[5];
    size_t n = 0;
    mn_status st = mn_semcache_list_entries(w->store, 1, 2, ids, 2, &n, &w->err);

    if (st == MN_OK)
        CHECK(n == 2 && ids[0] == 2 && ids[1] == 3);
    if (st == MN_OK)
        st = mn_semcache_list_tenants(w->store, 0, ids, 5, &n, &w->err);
    if (st == MN_OK)
        CHECK(n == 2 && ids[1] == 2);
    if (st == MN_OK)
        st = mn_semcache_tenant_stats(w->store, 2, &stats, &w->err);
    if (st == MN_OK)
        CHECK_EQ(stats.n_entries, 3);
    return st == MN_OK ? mn_semcache_get_budget(w->store, 2, &budget, NULL, &w->err) : st;
}

static mn_status act_checkpoint(struct world *w)
{
    return mn_checkpoint(w->store, &w->err);
}

static mn_status act_close(struct world *w)
{
    mn_store *store = w->store;

    w->store = NULL;
    return mn_close(store, &w->err);
}

/* What was there before ---------- */

static void have_segment(struct world *w)
{
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
}

/* What a checkpoint that failed leaves behind: a table that takes no writes. */
static void have_frozen_table(struct world *w)
{
    mni_fault_env_fail_at(w->fault, 1, EIO, true);
    CHECK_STATUS(mn_checkpoint(w->store, &w->err), MN_ERR_IO);
    mni_fault_env_fail_at(w->fault, 0, 0, false);
}

/* Hits of an entry in a segment and of one in the buffer. */
static void have_hits(struct world *w)
{
    have_segment(w);
    have(w, 1, 2, "two again;");
    CHECK_OK_ERR(act_look_up(w), &w->err);
    for (uint64_t id = 1; id < 3; id++) {
        struct mn_semcache_handle handle;
        CHECK_OK_ERR(mn_semcache_load(w->store, 1, id, &handle, &w->err), &w->err);
        mn_semcache_release(&handle);
    }
}

static void have_empty_tenants(struct world *w)
{
    for (uint64_t tenant = 50; tenant < 53; tenant++) {
        have(w, tenant, 1, "goes;");
        CHECK_OK_ERR(mn_semcache_delete(w->store, tenant, 1, NULL, NULL, &w->err), &w->err);
    }
}

static const struct place {
    const char *name;
    void (*prepare)(struct world *w);
} places[] = {
    {"", NULL},
    {", in a segment", have_segment},
    {", in a frozen table", have_frozen_table},
};

static const struct deed deeds[] = {
    {"the first call", act_first, NULL, .is_first = true},
    {"store", act_store, NULL, .is_first = false},
    {"store in a new tenant", act_store_in_new, NULL, .is_first = false},
    {"overwrite", act_overwrite, NULL, .is_first = false},
    {"move a key", act_move_key, NULL, .is_first = false},
    {"store in a full tenant", act_store_in_full, NULL, .is_first = false},
    {"store what is absent", act_store_conditional, NULL, .is_first = false},
    {"stream", act_stream, NULL, .is_first = false},
    {"load", act_load, NULL, .is_first = false},
    {"load first", act_load, NULL, .is_first = true},
    {"store first", act_store, NULL, .is_first = true},
    {"open and load", act_open_and_load, NULL, .is_first = false},
    {"look up", act_look_up, NULL, .is_first = false},
    {"delete", act_delete, NULL, .is_first = false},
    {"invalidate", act_invalidate, NULL, .is_first = false},
    {"invalidate a key", act_invalidate_key, NULL, .is_first = false},
    {"drop a tenant", act_drop, NULL, .is_first = false},
    {"clean up", act_clean_up, have_empty_tenants, .has_steps = true},
    {"set a budget", act_set_budget, NULL, .has_steps = true},
    {"clear a budget", act_clear_budget, NULL, .is_first = false},
    {"list", act_list, NULL, .is_first = false},
    {"checkpoint", act_checkpoint, NULL, .is_first = false},
    {"checkpoint hits", act_checkpoint, have_hits, .is_first = false},
    {"close", act_close, have_hits, .is_first = false},
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
    const struct mn_semcache_budget budget = {.entries_max = 3};

    *w = (struct world){0};
    CHECK_OK(mni_crash_env_new(1, &w->crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(w->crash), &w->fault));
    w->env = mni_fault_env_base(w->fault);
    CHECK_OK_ERR(try_open(w), &w->err);
    have(w, 1, 1, "one;");
    have(w, 1, 2, "two;");
    have(w, 1, 3, "three;");
    have(w, 1, UINT64_MAX, "last;");
    CHECK_OK_ERR(mn_semcache_set_budget(w->store, 2, &budget, NULL, &w->err), &w->err);
    for (uint64_t id = 4; id < 7; id++)
        have(w, 2, id, "full;");
    if (deed->prepare != NULL)
        deed->prepare(w);
    if (deed->is_first)
        reopen(w);
}

static void end(struct world *w)
{
    if (w->store != NULL)
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

static void stop_faults(struct world *w)
{
    mni_mem_fail_at(0);
    mni_fault_env_fail_at(w->fault, 0, 0, false);
}

/* What the deed does when nothing fails, and how often it could. */
static struct images count_points(const struct deed *deed, const struct fault *fault)
{
    static struct images images;
    struct deed seen = *deed;
    struct world w;

    seen.is_first = false;
    begin(&w, &seen);
    images.before = image_of(&w);
    end(&w);
    begin(&w, deed);
    start_fault(&w, fault, UINT32_MAX);
    CHECK_OK_ERR(deed->act(&w), &w.err);
    images.n_points = fault->of_memory ? mni_mem_calls() : mni_fault_env_n_calls(w.fault);
    stop_faults(&w);
    if (w.store == NULL)
        CHECK_OK_ERR(try_open(&w), &w.err);
    images.after = image_of(&w);
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
    else if (fault->os_errno == EACCES)
        CHECK(st == MN_ERR_ACCESS || st == MN_ERR_POISONED);
    else
        CHECK(st == MN_ERR_IO || st == MN_ERR_POISONED);
    CHECK(w->err.message[0] != '\0');
}

static bool is_poisoned(struct world *w)
{
    struct mn_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_stats(w->store, &stats, NULL));
    return stats.is_poisoned;
}

static bool is_either(struct world *w, const struct deed *deed, const struct images *images,
                      mn_status st)
{
    if (is_image(w, &images->after) || deed->has_steps)
        return true;
    return st != MN_OK && is_image(w, &images->before);
}

/* Of what is done twice, the second one may find that it was done. */
static void try_again(struct world *w, const struct deed *deed, const struct images *images)
{
    if (deed->act != act_clean_up || !is_image(w, &images->after))
        CHECK_OK_ERR(deed->act(w), &w->err);
    CHECK(is_image(w, &images->after));
}

static void check_state(struct world *w, const struct deed *deed, const struct images *images,
                        mn_status st)
{
    if (w->store != NULL) {
        CHECK(is_image(w, st == MN_OK ? &images->after : &images->before) ||
              (deed->has_steps && st != MN_OK));
        if (st == MN_ERR_NOMEM)
            CHECK(!is_poisoned(w));
        /* A checkpoint says when the store has to be opened again for the next one. */
        if (st != MN_OK && !is_poisoned(w) && deed->act != act_checkpoint)
            try_again(w, deed, images);
        else if (deed->prepare == have_hits && !is_poisoned(w) &&
                 mn_checkpoint(w->store, &w->err) == MN_OK) {
            struct mn_semcache_handle handle;
            reopen(w);
            CHECK_OK_ERR(mn_semcache_peek(w->store, 1, 1, &handle, &w->err), &w->err);
            CHECK(handle.hits > 0);
            mn_semcache_release(&handle);
        }
        mni_api_store_abandon(w->store);
        w->store = NULL;
    }
    CHECK_OK_ERR(try_open(w), &w->err);
    CHECK(is_either(w, deed, images, st));
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
    CHECK(is_either(w, deed, images, st));
    reopen(w);
    CHECK(is_either(w, deed, images, st));
}

/* Does the deed while the `n`-th point fails. */
static void run(const struct deed *deed, const struct fault *fault, const struct images *images,
                uint64_t n)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct world w;

    begin(&w, deed);
    start_fault(&w, fault, n);
    mn_status st = deed->act(&w);
    bool was_hit = fault->of_memory ? mni_mem_fail_was_hit() : mni_fault_env_was_hit(w.fault);
    stop_faults(&w);
    CHECK(was_hit);
    if (st != MN_OK)
        check_failure(&w, fault, st);
    check_state(&w, deed, images, st);
    end(&w);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
}

static void run_all(const struct fault *fault)
{
    uint64_t n_points = 0;

    for (size_t i = 0; i < CHECK_COUNT(deeds) * CHECK_COUNT(places); i++) {
        struct deed deed = deeds[i / CHECK_COUNT(places)];
        const struct place *place = &places[i % CHECK_COUNT(places)];
        if (place->prepare != NULL && deed.prepare != NULL)
            continue;
        if (place->prepare != NULL)
            deed.prepare = place->prepare;
        struct images images = count_points(&deed, fault);
        if (getenv("MNEME_VERBOSE") != NULL)
            (void)fprintf(stderr, "%s%s: %" PRIu64 " points\n", deed.name, place->name,
                          images.n_points);
        for (uint64_t n = 1; n <= images.n_points; n++)
            run(&deed, fault, &images, n);
        n_points += images.n_points;
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

static void any_call_may_be_denied(void)
{
    run_all(&(struct fault){.os_errno = EACCES});
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_allocation_may_fail),
        CHECK_TEST(any_call_may_fail),
        CHECK_TEST(any_call_and_all_after_it_may_fail),
        CHECK_TEST(the_disk_may_be_full_at_any_call),
        CHECK_TEST(any_call_may_be_denied),
    };

    return check_run("fault.semcache_calls", tests, CHECK_COUNT(tests), argc, argv);
}
