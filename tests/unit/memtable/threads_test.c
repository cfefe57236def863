/* Readers beside the leader: what they see is whole, and pins hold while everything changes. */
#include "fixture.h"

#include <stdio.h>

#include "base/mem.h"
#include "io/thread.h"

enum { N_KEYS = 200, N_COMMITS = 4000, N_READERS = 3, N_DIMS = 32 };

struct shared {
    struct mni_rwlock lock;
    struct mni_memtable *table;
    atomic_uint_fast64_t lsn;
    atomic_bool is_over;
    atomic_uint n_wrong;
    atomic_uint_fast64_t n_seen;
};

/* Every element of a record's vector is the LSN that wrote it. */
static bool is_whole(struct mni_version *version)
{
    struct mni_record record;
    float elements[N_DIMS];

    mni_record_view(mni_version_bytes(version), &record);
    if (record.n_dims != N_DIMS)
        return false;
    memcpy(elements, record.vector, sizeof elements);
    for (size_t i = 0; i < N_DIMS; i++) {
        if (elements[i] != (float)mni_version_record_lsn(version))
            return false;
    }
    return true;
}

static struct mn_slice name_key(char *text, size_t n_text, uint64_t key)
{
    snprintf(text, n_text, "memory-%03u", (unsigned)key);
    return mn_str(text);
}

static void read_all_the_time(void *context)
{
    struct shared *shared = context;
    struct mni_version *held[8];
    struct mni_version *versions[16];
    char text[32];
    uint64_t random = 17;
    size_t n_held = 0;

    while (!atomic_load(&shared->is_over)) {
        struct mni_view_point view = {.lsn = atomic_load(&shared->lsn), .now_us = 0};
        struct mn_slice key = name_key(text, sizeof text, check_below(&random, N_KEYS));
        struct mni_ordering ordering = {.has_begun = false};
        for (bool is_ordered = false; !is_ordered;) {
            mni_rwlock_write(&shared->lock);
            is_ordered = mni_memtable_order(shared->table, 1, view.lsn, &ordering);
            mni_rwlock_unlock(&shared->lock);
        }
        mni_rwlock_read(&shared->lock);
        struct mni_version *version = mni_memtable_find(shared->table, 1, key, view);
        if (version != NULL)
            pin(version);
        const struct mni_key_range range = {.reverse = check_below(&random, 2) == 0};
        size_t n = mni_memtable_scan(shared->table, 1, key, &range, view, versions, 16);
        struct mni_memtable_stats stats;
        mni_memtable_get_stats(shared->table, &stats);
        mni_rwlock_unlock(&shared->lock);
        bool is_wrong = stats.n_records > N_KEYS;
        if (check_below(&random, 8) == 0) { /* may run while the leader prepares */
            mni_rwlock_write(&shared->lock);
            mni_memtable_lapse(shared->table, (int64_t)view.lsn);
            mni_rwlock_unlock(&shared->lock);
        }
        for (size_t i = 0; i < n; i++) {
            is_wrong |= !is_whole(versions[i]) || mni_version_lsn(versions[i]) > view.lsn;
            mni_version_unref(versions[i]);
        }
        if (version != NULL) {
            atomic_fetch_add(&shared->n_seen, 1);
            if (n_held == 8) {
                is_wrong |= !is_whole(held[--n_held]); /* pinned a while ago */
                unpin(held[n_held]);
            }
            held[n_held++] = version;
        }
        if (is_wrong)
            atomic_fetch_add(&shared->n_wrong, 1);
    }
    while (n_held > 0)
        unpin(held[--n_held]);
}

static struct mni_version *encoded(uint64_t kind, struct mn_slice key, uint64_t lsn)
{
    float elements[N_DIMS];
    struct mni_record record = {.type = MNI_RECORD_UPSERT,
                                .element_type = MNI_ELEMENT_F32,
                                .collection = 1,
                                .key = key,
                                .vector = elements,
                                .n_dims = N_DIMS};
    struct mni_version *version = NULL;

    for (size_t i = 0; i < N_DIMS; i++)
        elements[i] = (float)lsn;
    if (kind != 0)
        record = (struct mni_record){.type = kind == 1 ? MNI_RECORD_DELETE : MNI_RECORD_PATCH,
                                     .collection = 1,
                                     .key = key,
                                     .fields = kind == 1 ? 0 : MNI_FIELD_EXPIRY,
                                     .expires_at_us = (int64_t)lsn + 20};
    CHECK_OK(mni_version_new(pool, mni_record_encoded_bytes(&record), &version));
    mni_record_encode(&record, mni_version_bytes(version));
    return version;
}

static void readers_see_whole_records_beside_the_leader(void)
{
    static struct shared shared;
    struct mni_thread readers[N_READERS];
    uint64_t n_blocks = mni_mem_live_blocks();
    uint64_t random = check_seed();
    char text[32];

    shared = (struct shared){0};
    mni_rwlock_init(&shared.lock);
    CHECK_OK(mni_pool_new(&pool));
    CHECK_OK(mni_memtable_new(pool, &shared.table));
    for (size_t i = 0; i < N_READERS; i++)
        CHECK_OK(mni_thread_start(&readers[i], read_all_the_time, &shared, NULL));
    for (uint64_t lsn = 1; lsn <= N_COMMITS || atomic_load(&shared.n_seen) < 1000; lsn++) {
        struct mni_change changes[4];
        for (size_t i = 0; i < 4; i++) {
            struct mn_slice key = name_key(text, sizeof text, check_below(&random, N_KEYS));
            uint64_t kind = check_below(&random, 5);
            mni_change_init(&changes[i], encoded(kind > 2 ? 0 : kind, key, lsn));
        }
        CHECK_OK(mni_memtable_prepare(shared.table, changes, 4));
        uint64_t oldest = check_below(&random, 2) == 0 ? UINT64_MAX : lsn - 1;
        mni_rwlock_write(&shared.lock);
        mni_memtable_apply(shared.table, changes, 4, lsn, 0, oldest);
        if (lsn % 8 == 0)
            mni_memtable_collect(shared.table, lsn, 20);
        mni_rwlock_unlock(&shared.lock);
        atomic_store(&shared.lsn, lsn);
    }
    atomic_store(&shared.is_over, true);
    for (size_t i = 0; i < N_READERS; i++)
        mni_thread_join(&readers[i]);
    CHECK_EQ(atomic_load(&shared.n_wrong), 0);
    CHECK_EQ(mni_pool_pinned_bytes(pool), 0);
    mni_memtable_free(shared.table);
    mni_pool_free(pool);
    mni_rwlock_done(&shared.lock);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(readers_see_whole_records_beside_the_leader),
    };

    return check_run("memtable.threads", tests, CHECK_COUNT(tests), argc, argv);
}
