/*
 * semcache_damage_test.c - one byte of a segment that holds entries of a cache of answers is wrong:
 * each answer is right, or says that there is damage. Never is anything shown that was not stored,
 * and never is an entry said to be absent which may lie in the damaged part.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"
#include "check.h"
#include "io/crash.h"
#include "mneme/mneme.h"

enum {
    N_TENANTS = 2,
    N_IDS = 18,
    N_IN_LOG = 2, /* the last ones */
    N_DIMS = 16,
    N_BYTES_MAX = 6000,
    N_FILES_MAX = 8,
    STRIDE = 7,
};

struct segment_file {
    char name[MNI_NAME_BYTES_MAX];
    unsigned char *bytes; /* owned */
    size_t n;
};

struct world {
    struct mni_crash_env *crash;
    struct mni_env *env;
    struct mni_dir *dir;
    struct segment_file files[N_FILES_MAX];
    size_t n_files;
    mn_store *store;
    struct mn_error err;
};

struct tally {
    uint64_t n_refused; /* stores that could not be opened, or not indexed */
    uint64_t n_read;
    uint64_t n_unreadable;
    uint64_t n_passed_over; /* by lookups */
    uint64_t n_whole;       /* stores where all was read */
};

/* What is stored ---------- */

struct key {
    unsigned char bytes[MN_SEMCACHE_KEY_BYTES];
};

static struct key key_of(uint64_t number)
{
    struct key key = {{0}};

    memset(key.bytes, (int)number + 1, sizeof key.bytes);
    return key;
}

static struct mn_slice payload_of(uint64_t tenant, uint64_t id)
{
    static char text[N_BYTES_MAX];
    size_t n = id % 4 == 0 ? N_BYTES_MAX : 200 * (size_t)(id + 1);

    memset(text, 'a' + (int)(id % 26), sizeof text);
    (void)snprintf(text, sizeof text, "%" PRIu64 " of %" PRIu64, id, tenant);
    return (struct mn_slice){text, n};
}

/* Each far from all others. */
static void embed(uint64_t id, float *embedding)
{
    for (uint64_t i = 0; i < N_DIMS; i++)
        embedding[i] = i == id % N_DIMS ? 1 : id >= N_DIMS ? -0.2F : 0.1F;
}

static mn_status store_one(struct world *w, uint64_t tenant, uint64_t id)
{
    const struct key key = key_of(id);
    float embedding[N_DIMS];

    embed(id, embedding);
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID,
                                            .id = id,
                                            .key = key.bytes,
                                            .embedding = embedding,
                                            .n_dims = N_DIMS,
                                            .payload = payload_of(tenant, id)};
    return mn_semcache_store(w->store, tenant, &entry, NULL, NULL, &w->err);
}

static mn_status open_store(struct world *w, bool read_only)
{
    const struct mn_options o = {.size = sizeof o,
                                 .create = !read_only,
                                 .read_only = read_only,
                                 .no_background = true,
                                 .wal_file_bytes = 64 << 10};

    return mni_api_store_open(w->env, "/s", &o, &w->store, &w->err);
}

static void fill(struct world *w)
{
    const struct mn_semcache_budget budget = {.entries_max = 1000};

    for (uint64_t id = 0; id < N_IDS; id++) {
        for (uint64_t tenant = 0; tenant < N_TENANTS; tenant++)
            CHECK_OK_ERR(store_one(w, tenant, id), &w->err);
        if (id == N_IDS / 2)
            CHECK_OK_ERR(mn_semcache_set_budget(w->store, 0, &budget, NULL, &w->err), &w->err);
        if (id == N_IDS / 2 || id == N_IDS - N_IN_LOG - 1)
            CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
    }
}

/* Files ---------- */

static mn_status note_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct world *w = context;
    size_t n = strlen(name);

    (void)err;
    if (is_dir || n < 4 || strcmp(name + n - 4, ".seg") != 0)
        return MN_OK;
    CHECK(w->n_files < N_FILES_MAX);
    (void)snprintf(w->files[w->n_files++].name, MNI_NAME_BYTES_MAX, "%s", name);
    return MN_OK;
}

static void read_whole(struct world *w, struct segment_file *f)
{
    struct mni_file *file = NULL;
    uint64_t n = 0;

    CHECK_OK(mni_dir_open_file(w->dir, f->name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_size(file, &n, NULL));
    f->bytes = malloc(n);
    CHECK(f->bytes != NULL);
    CHECK_OK(mni_file_read(file, 0, f->bytes, n, &f->n, NULL));
    CHECK_EQ(f->n, n);
    mni_file_close(file);
}

static void write_byte(struct world *w, const struct segment_file *f, size_t at, unsigned char byte)
{
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_file(w->dir, f->name, MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_write(file, at, &byte, 1, NULL));
    mni_file_close(file);
}

static void begin(struct world *w)
{
    *w = (struct world){0};
    CHECK_OK(mni_crash_env_new(5, &w->crash));
    w->env = mni_crash_env_base(w->crash);
    CHECK_OK_ERR(open_store(w, false), &w->err);
    fill(w);
    CHECK_OK(mn_close(w->store, NULL));
    struct mni_dir *dir = NULL;
    CHECK_OK(mni_env_open_dir(w->env, "/s", false, &dir, NULL));
    CHECK_OK(mni_dir_open_dir(dir, "seg", false, &w->dir, NULL));
    mni_dir_close(dir);
    CHECK_OK(mni_dir_list(w->dir, note_file, w, NULL));
    for (size_t i = 0; i < w->n_files; i++)
        read_whole(w, &w->files[i]);
}

static void end(struct world *w)
{
    for (size_t i = 0; i < w->n_files; i++)
        free(w->files[i].bytes);
    mni_dir_close(w->dir);
    mni_crash_env_free(w->crash);
}

/* Judging ---------- */

static void check_told(const struct world *w, mn_status st)
{
    CHECK_STATUS(st, MN_ERR_CORRUPT);
    CHECK_STATUS(w->err.status, MN_ERR_CORRUPT);
    CHECK(w->err.message[0] != '\0');
}

/* What is shown is what was stored. */
static void check_handle(const struct mn_semcache_handle *h, uint64_t tenant, uint64_t id)
{
    const struct mn_slice payload = payload_of(tenant, id);
    const struct key key = key_of(id);

    CHECK(h->tenant == tenant && h->id == id && h->key != NULL && h->n_dims == N_DIMS);
    CHECK_MEM_EQ(h->key, key.bytes, sizeof key);
    CHECK_EQ(h->payload.n_bytes, payload.n_bytes);
    CHECK_MEM_EQ(h->payload.data, payload.data, payload.n_bytes);
}

static bool judge_handle(struct world *w, mn_status st, struct mn_semcache_handle *h,
                         uint64_t tenant, uint64_t id)
{
    if (st == MN_OK) {
        check_handle(h, tenant, id);
        mn_semcache_release(h);
        return true;
    }
    CHECK(h->pin == NULL && h->payload.data == NULL);
    CHECK(id < N_IDS - N_IN_LOG); /* what is in the log is there */
    check_told(w, st);
    return false;
}

static struct mn_semcache_result look_up(struct world *w, uint64_t tenant, uint64_t id, bool by_key)
{
    const struct key key = key_of(id);
    float embedding[N_DIMS];

    embed(id, embedding);
    const struct mn_semcache_query query = {.size = sizeof query,
                                            .key = by_key ? key.bytes : NULL,
                                            .embedding = embedding,
                                            .n_dims = N_DIMS,
                                            .min_similarity = 0.99F};
    struct mn_semcache_result result = {.size = sizeof result};
    CHECK_OK_ERR(mn_semcache_lookup(w->store, tenant, &query, &result, &w->err), &w->err);
    if (result.kind != MN_SEMCACHE_MISS)
        check_handle(&result.handle, tenant, id);
    else
        CHECK(result.handle.pin == NULL);
    mn_semcache_release(&result.handle);
    return result;
}

/* Returns how many of a tenant cannot be read. `is_known_out`: the index has all of them. */
static uint64_t judge_tenant(struct world *w, uint64_t tenant, bool *is_known_out,
                             struct tally *tally)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    uint64_t n_unreadable = 0;
    uint64_t n_errors = 0;

    for (uint64_t id = 0; id < N_IDS; id++) {
        struct mn_semcache_handle h;
        mn_status st = mn_semcache_load(w->store, tenant, id, &h, &w->err);
        bool is_good = judge_handle(w, st, &h, tenant, id);
        st = mn_semcache_load_exact(w->store, tenant, key_of(id).bytes, &h, &w->err);
        bool is_exact = judge_handle(w, st, &h, tenant, id);
        CHECK(is_good || !is_exact);
        struct mn_semcache_result by_key = look_up(w, tenant, id, true);
        CHECK(is_exact ? by_key.kind == MN_SEMCACHE_EXACT : by_key.n_damaged > 0);
        struct mn_semcache_result by_meaning = look_up(w, tenant, id, false);
        CHECK(!is_exact || by_meaning.kind == MN_SEMCACHE_SEMANTIC);
        n_unreadable += !is_exact;
        n_errors += !is_good + !is_exact + by_key.n_damaged + by_meaning.n_damaged;
        tally->n_passed_over += by_key.n_damaged + by_meaning.n_damaged;
    }
    CHECK_OK_ERR(mn_semcache_tenant_stats(w->store, tenant, &stats, &w->err), &w->err);
    /* Where the table of hashes is damaged, the index knows more than can be found. */
    CHECK(stats.n_entries >= N_IDS - n_unreadable && stats.n_entries <= N_IDS);
    CHECK_EQ(stats.n_errors, n_errors);
    *is_known_out = stats.n_entries == N_IDS;
    tally->n_unreadable += n_unreadable;
    tally->n_read += N_IDS - n_unreadable;
    return n_unreadable;
}

/* A key that nobody stored may be that of an entry which the index does not know. */
static void judge_absent(struct world *w, uint64_t tenant, bool is_known)
{
    struct mn_semcache_handle h;
    uint64_t ids[2 * N_IDS];
    size_t n = 0;
    mn_status st = mn_semcache_load_exact(w->store, tenant, key_of(N_IDS).bytes, &h, &w->err);

    CHECK(st == MN_NOT_FOUND || st == MN_ERR_CORRUPT);
    CHECK(is_known || st == MN_ERR_CORRUPT);
    st = mn_semcache_load(w->store, tenant, N_IDS, &h, &w->err);
    CHECK(st == MN_NOT_FOUND || st == MN_ERR_CORRUPT);
    st = mn_semcache_list_entries(w->store, tenant, 0, ids, 2 * N_IDS, &n, &w->err);
    if (st != MN_OK) {
        check_told(w, st);
        return;
    }
    CHECK_EQ(n, N_IDS);
    for (uint64_t id = 0; id < N_IDS; id++)
        CHECK_EQ(ids[id], id);
}

static bool open_and_index(struct world *w, bool read_only, struct tally *tally)
{
    struct mn_semcache_stats stats = {.size = sizeof stats};
    mn_status st = open_store(w, read_only);

    if (st == MN_OK) {
        st = mn_semcache_get_stats(w->store, &stats, &w->err);
        if (st != MN_OK)
            CHECK_OK(mn_close(w->store, NULL));
    }
    if (st == MN_OK)
        return true;
    CHECK(st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
    tally->n_refused++;
    return false;
}

static void judge_reads(struct world *w, struct tally *tally)
{
    uint64_t n_unreadable = 0;

    if (!open_and_index(w, true, tally))
        return;
    for (uint64_t tenant = 0; tenant < N_TENANTS; tenant++) {
        bool is_known = false;
        n_unreadable += judge_tenant(w, tenant, &is_known, tally);
        judge_absent(w, tenant, is_known);
    }
    CHECK_OK(mn_close(w->store, NULL));
    tally->n_whole += n_unreadable == 0;
}

static mn_status overwrite(struct world *w, uint64_t tenant, uint64_t id)
{
    mn_status st = store_one(w, tenant, id);
    struct mn_semcache_handle h;

    if (st != MN_OK) {
        check_told(w, st);
        return st;
    }
    st = mn_semcache_load_exact(w->store, tenant, key_of(id).bytes, &h, &w->err);
    CHECK_OK_ERR(st, &w->err);
    check_handle(&h, tenant, id);
    mn_semcache_release(&h);
    return st;
}

static void judge_writes(struct world *w, struct tally *tally)
{
    struct mn_semcache_handle h;
    bool existed = false;

    if (!open_and_index(w, false, tally))
        return;
    for (uint64_t id = 0; id < N_IDS; id++) {
        if (id % 2 == 0) {
            mn_status st = mn_semcache_delete(w->store, 0, id, NULL, NULL, &w->err);
            if (st != MN_OK)
                check_told(w, st);
            else
                CHECK(mn_semcache_load(w->store, 0, id, &h, NULL) != MN_OK);
        } else {
            (void)overwrite(w, 0, id);
        }
    }
    mn_status st = mn_semcache_drop_tenant(w->store, 1, NULL, &existed, NULL, &w->err);
    if (st != MN_OK) {
        check_told(w, st);
    } else {
        CHECK(existed);
        for (uint64_t id = 0; id < N_IDS; id++) {
            CHECK_STATUS(mn_semcache_load(w->store, 1, id, &h, &w->err), MN_NOT_FOUND);
            CHECK_STATUS(mn_semcache_load_exact(w->store, 1, key_of(id).bytes, &h, &w->err),
                         MN_NOT_FOUND);
        }
        CHECK_OK_ERR(overwrite(w, 1, 3), &w->err);
    }
    mni_api_store_abandon(w->store);
}

/* Most of a segment is payload, or zeroes: some of that is enough. */
static bool is_tried(const struct segment_file *f, size_t at)
{
    bool is_dull = at >= 8 && memcmp(f->bytes + at - 8, f->bytes + at - 7, 8) == 0;

    return at % (is_dull ? 40 * STRIDE + 1 : STRIDE) == 0;
}

static void any_byte_of_a_segment_may_be_wrong(void)
{
    uint64_t random = check_seed();
    uint64_t n_blocks = mni_mem_live_blocks();
    struct tally tally = {0};
    uint64_t n_tried = 0;
    struct world w;

    begin(&w);
    CHECK(w.n_files == 2);
    judge_reads(&w, &tally);
    CHECK(tally.n_whole == 1 && tally.n_unreadable == 0 && tally.n_passed_over == 0);
    for (size_t k = 0; k < w.n_files; k++) {
        const struct segment_file *f = &w.files[k];
        for (size_t at = 0; at < f->n; at++) {
            if (!is_tried(f, at))
                continue;
            write_byte(&w, f, at, f->bytes[at] ^ (unsigned char)(1U << check_below(&random, 8)));
            judge_reads(&w, &tally);
            write_byte(&w, f, at, f->bytes[at]);
            n_tried++;
        }
    }
    if (getenv("MNEME_VERBOSE") != NULL)
        (void)fprintf(stderr,
                      "%" PRIu64 " tried, %" PRIu64 " refused, %" PRIu64 " whole, %" PRIu64
                      " read, %" PRIu64 " unreadable, %" PRIu64 " passed over\n",
                      n_tried, tally.n_refused, tally.n_whole, tally.n_read, tally.n_unreadable,
                      tally.n_passed_over);
    CHECK(tally.n_unreadable > 100 && tally.n_read > tally.n_unreadable);
    end(&w);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
}

/* Each in a new world: what is written stays. */
static void what_is_written_over_damage_is_there(void)
{
    uint64_t random = check_seed();
    struct tally tally = {0};
    uint64_t n_tried = 0;

    for (size_t k = 0; k < 2; k++) {
        size_t n = 1;
        for (size_t at = 0; at < n; at += STRIDE * 40 + 1) {
            struct world w;
            begin(&w);
            const struct segment_file *f = &w.files[k];
            n = f->n;
            write_byte(&w, f, at, f->bytes[at] ^ (unsigned char)(1U << check_below(&random, 8)));
            judge_writes(&w, &tally);
            end(&w);
            n_tried++;
        }
    }
    CHECK(tally.n_refused < n_tried);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_byte_of_a_segment_may_be_wrong),
        CHECK_TEST(what_is_written_over_damage_is_there),
    };

    return check_run("fault.semcache_damage", tests, CHECK_COUNT(tests), argc, argv);
}
