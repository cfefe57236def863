/* Tests of the cache of answers over damaged files, and over records that no writer wrote. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "answers.h"
#include "base/bytes.h"
#include "engine/engine.h"

enum { N_ENTRIES = 40, PAYLOAD_BYTES = 3000, LARGE_BYTES = 9000, A = 1, B = 2 };

/* Damaging files ---------- */

/* Large payloads do not lie beside keys. */
static bool is_large(uint64_t id)
{
    return id % 10 == 7;
}

static const char *payload_of(uint64_t tenant, uint64_t id)
{
    static char text[LARGE_BYTES + 1];

    memset(text, 'a' + (int)(id % 26), LARGE_BYTES);
    text[is_large(id) ? LARGE_BYTES : PAYLOAD_BYTES] = '\0';
    (void)snprintf(text, sizeof text, "answer %" PRIu64 " of %" PRIu64 ";", id, tenant);
    text[strlen(text)] = ' ';
    return text;
}

static void fill(void)
{
    for (uint64_t id = 0; id < N_ENTRIES; id++) {
        store_full(A, id, payload_of(A, id));
        store_full(B, id, payload_of(B, id));
    }
}

/* Flips a byte at the place where these are, in the files of segments; it is there once. */
static void damage(const void *wanted, size_t n_wanted, size_t at)
{
    static unsigned char bytes[4 << 20];
    char name[1024];
    int n_places = 0;

    (void)snprintf(name, sizeof name, "%s/seg", path);
    DIR *dir = opendir(name);
    CHECK(dir != NULL);
    for (struct dirent *file; (file = readdir(dir)) != NULL;) {
        if (strstr(file->d_name, ".seg") == NULL)
            continue;
        (void)snprintf(name, sizeof name, "%s/seg/%s", path, file->d_name);
        int fd = open(name, O_RDWR);
        CHECK(fd >= 0);
        ssize_t n = pread(fd, bytes, sizeof bytes, 0);
        CHECK(n > 0 && n < (ssize_t)sizeof bytes);
        for (size_t i = 0; i + n_wanted <= (size_t)n; i++) {
            if (memcmp(bytes + i, wanted, n_wanted) != 0)
                continue;
            unsigned char byte = bytes[i + at] ^ 4;
            CHECK_EQ(pwrite(fd, &byte, 1, (off_t)(i + at)), 1);
            n_places++;
        }
        CHECK_EQ(close(fd), 0);
    }
    CHECK_EQ(closedir(dir), 0);
    CHECK_EQ(n_places, 1);
}

static void damage_payload(uint64_t tenant, uint64_t id)
{
    damage(payload_of(tenant, id), 30, 25);
}

static void damage_key(uint64_t id) /* which both tenants' entries have */
{
    unsigned char wanted[MN_SEMCACHE_KEY_BYTES + 8];

    memcpy(wanted, key_of(id).bytes, MN_SEMCACHE_KEY_BYTES);
    for (int i = 0; i < 8; i++)
        wanted[MN_SEMCACHE_KEY_BYTES + i] = (unsigned char)(id >> (56 - 8 * i));
    damage(wanted, sizeof wanted, 5);
}

/* Reading ---------- */

static mn_status load(uint64_t tenant, uint64_t id)
{
    struct mn_semcache_handle handle;
    mn_status st = mn_semcache_load(store, tenant, id, &handle, &err);

    CHECK((st == MN_OK) == (handle.pin != NULL));
    CHECK(st == MN_OK || handle.payload.data == NULL);
    if (st == MN_OK && handle.payload.n_bytes >= PAYLOAD_BYTES)
        CHECK(is_text(&handle, payload_of(tenant, id)));
    mn_semcache_release(&handle);
    return st;
}

static mn_status load_exact(uint64_t tenant, uint64_t number)
{
    const struct key key = key_of(number);
    struct mn_semcache_handle handle;
    mn_status st = mn_semcache_load_exact(store, tenant, key.bytes, &handle, &err);

    CHECK((st == MN_OK) == (handle.pin != NULL));
    CHECK(st == MN_OK || handle.payload.data == NULL);
    if (st == MN_OK)
        CHECK_MEM_EQ(handle.key, key.bytes, sizeof key);
    mn_semcache_release(&handle);
    return st;
}

static struct mn_semcache_result look_up(uint64_t tenant, uint64_t id, bool by_key)
{
    const struct key key = key_of(id);
    float embedding[N_DIMS];

    embed(id, embedding);
    const struct mn_semcache_query query = {.size = sizeof query,
                                            .key = by_key ? key.bytes : NULL,
                                            .embedding = embedding,
                                            .n_dims = N_DIMS,
                                            .min_similarity = 0.95F};
    struct mn_semcache_result result = {.size = sizeof result};
    CHECK_OK_ERR(mn_semcache_lookup(store, tenant, &query, &result, &err), &err);
    if (result.kind != MN_SEMCACHE_MISS)
        CHECK(result.handle.id == id && is_text(&result.handle, payload_of(tenant, id)));
    else
        CHECK(result.handle.pin == NULL && result.handle.payload.data == NULL);
    mn_semcache_release(&result.handle);
    return result;
}

static void check_corrupt(mn_status st, uint64_t tenant)
{
    char part[40];

    CHECK_STATUS(st, MN_ERR_CORRUPT);
    CHECK_EQ(err.status, MN_ERR_CORRUPT);
    (void)snprintf(part, sizeof part, "tenant %" PRIu64, tenant);
    CHECK_STR_HAS(err.message, part);
    CHECK_STR_HAS(err.message, path);
}

/* Damage behind an index that knows the entries ---------- */

static void a_damaged_payload_is_never_shown(void)
{
    enum { BAD = 7 };
    uint64_t n_bad = 0;

    begin();
    fill();
    checkpoint();
    damage_payload(A, BAD);
    check_corrupt(load(A, BAD), A);
    CHECK_STR_HAS(err.message, "entry 7");
    check_corrupt(load_exact(A, BAD), A);
    CHECK_EQ(cache_stats().n_errors, 2);
    CHECK_EQ(tenant_stats(A).n_errors, 2);
    struct mn_semcache_result result = look_up(A, BAD, true);
    CHECK(result.kind == MN_SEMCACHE_MISS && result.reason == MN_SEMCACHE_DAMAGED);
    CHECK(result.n_damaged >= 2); /* by the key, and among the candidates */
    CHECK_EQ(cache_stats().n_errors, 2 + result.n_damaged);
    result = look_up(A, BAD, false);
    CHECK(result.kind == MN_SEMCACHE_MISS && result.reason == MN_SEMCACHE_DAMAGED);
    for (uint64_t id = 0; id < N_ENTRIES; id++) {
        bool is_bad = load(A, id) != MN_OK; /* those in the same block are, too */
        if (is_bad)
            check_corrupt(err.status, A);
        CHECK_STATUS(load_exact(A, id), is_bad ? MN_ERR_CORRUPT : MN_OK);
        CHECK_EQ(look_up(A, id, true).kind, is_bad ? MN_SEMCACHE_MISS : MN_SEMCACHE_EXACT);
        CHECK_EQ(look_up(A, id, false).kind, is_bad ? MN_SEMCACHE_MISS : MN_SEMCACHE_SEMANTIC);
        CHECK_OK(load(B, id));
        n_bad += is_bad;
    }
    CHECK(n_bad >= 1 && n_bad < N_ENTRIES / 2);
    check_gone(A, N_ENTRIES);
    check_no_key(A, N_ENTRIES);
    CHECK_EQ(tenant_stats(B).n_errors, 0);
    closed(store);
}

static mn_status overwrite(uint64_t tenant, uint64_t id)
{
    const struct key key = key_of(id);
    const struct mn_semcache_entry entry = {
        .fields = MN_HAS_ENTRY_ID, .id = id, .key = key.bytes, .payload = mn_str("anew")};

    return try_store(tenant, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL);
}

static void what_is_damaged_can_be_removed_and_replaced(void)
{
    for (int round = 0; round < 2; round++) {
        begin();
        fill();
        checkpoint();
        damage_payload(A, 7);
        damage_payload(A, 27);
        if (round == 1)
            reopen();
        check_corrupt(load(A, 7), A);
        CHECK_OK_ERR(mn_semcache_delete(store, A, 7, NULL, NULL, &err), &err);
        /* As long as its row is there, nobody can tell whose that is. */
        CHECK(load(A, 7) != MN_OK);
        CHECK(load_exact(A, 7) != MN_OK);
        CHECK_STATUS(mn_semcache_delete(store, A, 7, NULL, NULL, &err), MN_NOT_FOUND);
        check_corrupt(load(A, 27), A);
        CHECK_OK_ERR(overwrite(A, 27), &err);
        check_loads(A, 27, "anew");
        check_exact(A, 27, 27, "anew");
        reopen();
        CHECK(load(A, 7) != MN_OK);
        CHECK(load_exact(A, 7) != MN_OK);
        check_exact(A, 27, 27, "anew");
        closed(store);
    }
}

/* Whose key lies in a damaged part is not known: it is neither replaced nor said to be gone. */
static void what_may_be_another_one_goes_with_its_tenant(void)
{
    for (int round = 0; round < 2; round++) {
        begin();
        fill();
        checkpoint();
        damage_payload(A, 9);
        if (round == 1)
            reopen();
        uint64_t n_entries = tenant_stats(A).n_entries;
        check_corrupt(load(A, 9), A);
        check_corrupt(mn_semcache_delete(store, A, 9, NULL, NULL, &err), A);
        check_corrupt(overwrite(A, 9), A);
        check_corrupt(load(A, 9), A);
        CHECK_EQ(tenant_stats(A).n_entries, n_entries);
        CHECK_OK_ERR(overwrite(A, 1000), &err);
        check_exact(A, 1000, 1000, "anew");
        CHECK_OK_ERR(mn_semcache_drop_tenant(store, A, NULL, NULL, NULL, &err), &err);
        check_gone(A, 9);
        check_no_key(A, 9);
        CHECK_OK_ERR(overwrite(A, 9), &err);
        check_exact(A, 9, 9, "anew");
        CHECK_OK(load(B, 9));
        reopen();
        check_exact(A, 9, 9, "anew");
        check_no_key(A, 8);
        CHECK_EQ(tenant_stats(A).n_entries, 1);
        CHECK_OK(load(B, 9));
        closed(store);
    }
}

/* What is to make room lies in a damaged part, with its key. */
static void room_is_made_beside_damage(void)
{
    const struct mn_semcache_budget budget = {.entries_max = N_ENTRIES};

    for (int round = 0; round < 2; round++) {
        begin();
        fill();
        CHECK_OK_ERR(mn_semcache_set_budget(store, A, &budget, NULL, &err), &err);
        checkpoint();
        damage_payload(A, 6);
        damage_payload(A, 20);
        if (round == 1)
            reopen();
        for (uint64_t id = 100; id < 100 + N_ENTRIES; id++) {
            CHECK_OK_ERR(overwrite(A, id), &err);
            check_exact(A, id, id, "anew");
            CHECK(tenant_stats(A).n_entries <= N_ENTRIES);
        }
        const struct mn_semcache_budget small = {.entries_max = 3};
        CHECK_OK_ERR(mn_semcache_set_budget(store, A, &small, NULL, &err), &err);
        CHECK_EQ(tenant_stats(A).n_entries, 3);
        check_corrupt(load(A, 6), A);
        CHECK_STATUS(load_exact(A, 6), MN_ERR_CORRUPT);
        closed(store);
    }
}

/* An index that is built over damage ---------- */

static void damage_stays_in_its_tenant(void)
{
    uint64_t ids[2 * N_ENTRIES];
    uint64_t n_bad = 0;
    size_t n = 0;

    begin();
    fill();
    checkpoint();
    damage_payload(A, 9);
    reopen();
    for (uint64_t id = 0; id < N_ENTRIES; id++) {
        mn_status st = load(A, id);
        CHECK(st == MN_OK || st == MN_ERR_CORRUPT);
        CHECK_STATUS(load_exact(A, id), st);
        struct mn_semcache_result result = look_up(A, id, true);
        CHECK_EQ(result.kind, st == MN_OK ? MN_SEMCACHE_EXACT : MN_SEMCACHE_MISS);
        CHECK_EQ(result.n_damaged, st == MN_OK ? 0 : 1);
        CHECK_EQ(result.reason, st == MN_OK ? MN_SEMCACHE_NONE : MN_SEMCACHE_DAMAGED);
        CHECK_OK(load(B, id));
        CHECK_OK(load_exact(B, id));
        n_bad += st != MN_OK;
    }
    CHECK(n_bad >= 1 && n_bad < N_ENTRIES / 2);
    CHECK_EQ(tenant_stats(A).n_entries, N_ENTRIES - n_bad);
    CHECK_EQ(tenant_stats(A).n_errors, 3 * n_bad);
    CHECK_EQ(tenant_stats(B).n_errors, 0);
    /* It may be one of those that cannot be read. */
    check_corrupt(load_exact(A, 1000), A);
    CHECK_STATUS(load_exact(B, 1000), MN_NOT_FOUND);
    CHECK_STATUS(load(A, 1000), MN_NOT_FOUND);
    CHECK_STATUS(mn_semcache_list_entries(store, A, 0, ids, 2 * N_ENTRIES, &n, &err),
                 MN_ERR_CORRUPT);
    CHECK_OK(mn_semcache_list_entries(store, B, 0, ids, 2 * N_ENTRIES, &n, &err));
    CHECK_EQ(n, N_ENTRIES);
    const struct mn_semcache_entry entry = {.payload = mn_str("x")};
    CHECK_OK_ERR(try_store(A, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    uint64_t n_dropped = 9;
    CHECK_OK(mn_semcache_cleanup(store, NULL, &n_dropped, &err));
    CHECK_EQ(n_dropped, 0);
    closed(store);
}

static void a_damaged_key_is_told(void)
{
    begin();
    for (uint64_t id = 0; id < N_ENTRIES; id++)
        store_full(A, id, payload_of(A, id));
    store_full(B, 5, payload_of(B, 5));
    closed(store);
    store = opened(path);
    checkpoint();
    damage_key(11);
    for (int round = 0; round < 2; round++) {
        check_corrupt(load_exact(A, 11), A);
        mn_status st = load(A, 11);
        CHECK(st == MN_ERR_CORRUPT);
        CHECK_OK(load_exact(B, 5));
        CHECK(load_exact(A, 39) == MN_OK);
        reopen();
    }
    closed(store);
}

/* Records that no writer wrote ---------- */

enum forgery {
    OF_ANOTHER_TENANT,
    SHORT_METADATA,
    LONG_METADATA,
    NO_METADATA,
    BAD_MODEL,
    FLOAT_VECTOR,
    NO_EVENT_TIME,
    SHORT_KEY,
    LONG_KEY,
    OTHER_KEY,
    SHORT_BUDGET,
    LONG_BUDGET,
    BUDGET_WITH_METADATA,
    N_FORGERIES,
};

static bool has_id(enum forgery forgery)
{
    return forgery < SHORT_KEY;
}

static void write_record(uint64_t tenant, const struct mni_record *record)
{
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct mni_batch *batch = NULL;
    size_t index = 0;

    CHECK_OK(mni_batch_new(mni_api_store_engine(store), NULL, &batch));
    CHECK_OK(mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, name), true,
                                  &index, &err));
    CHECK_OK_ERR(mni_batch_add(batch, index, record, MNI_ALWAYS, 0, NULL, &err), &err);
    CHECK_OK_ERR(mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &err), &err);
    mni_batch_free(batch);
}

/* As record 9 of a tenant with this number. */
static void forge(enum forgery forgery)
{
    static const float floats[N_DIMS] = {1};
    static const uint16_t halves[N_DIMS] = {0x3c00};
    static const unsigned char key[9] = {0, 0, 0, 0, 0, 0, 0, 9, 1};
    const struct key second_key = key_of(9);
    unsigned char metadata[400] = {0};
    struct mni_record r = {.type = MNI_RECORD_UPSERT,
                           .element_type = MNI_ELEMENT_F16,
                           .fields = MNI_FIELD_EVENT_TIME | MNI_FIELD_SECOND_KEY,
                           .key = {key, 8},
                           .vector = halves,
                           .n_dims = N_DIMS,
                           .metadata = {metadata, 18},
                           .payload = mn_str("forged"),
                           .second_key = second_key.bytes};

    mni_put_u64(metadata, forgery == OF_ANOTHER_TENANT ? 77 : forgery);
    r.fields &= ~(forgery == NO_EVENT_TIME ? (uint32_t)MNI_FIELD_EVENT_TIME : 0);
    r.metadata.n_bytes = forgery == SHORT_METADATA  ? 15
                         : forgery == LONG_METADATA ? 16 + 257
                         : forgery == NO_METADATA   ? 0
                                                    : 18;
    metadata[17] = forgery == BAD_MODEL ? 0xff : 0;
    if (forgery == FLOAT_VECTOR) {
        r.element_type = MNI_ELEMENT_F32;
        r.vector = floats;
    }
    if (forgery == SHORT_KEY || forgery == LONG_KEY)
        r.key.n_bytes = forgery == SHORT_KEY ? 7 : 9;
    if (forgery == OTHER_KEY)
        r.key = mn_str("a");
    if (forgery >= SHORT_BUDGET && forgery <= BUDGET_WITH_METADATA)
        r = (struct mni_record){.type = MNI_RECORD_UPSERT,
                                .key = mn_str("b"),
                                .payload = {metadata, forgery == SHORT_BUDGET  ? 15
                                                      : forgery == LONG_BUDGET ? 17
                                                                               : 16},
                                .metadata = {metadata, forgery == BUDGET_WITH_METADATA}};
    write_record(forgery, &r);
}

/* Beside a vector of another type no vector can be. */
static void store_good(enum forgery forgery)
{
    const struct key key = key_of(1);
    const struct mn_semcache_entry entry = {
        .fields = MN_HAS_ENTRY_ID, .id = 1, .key = key.bytes, .payload = mn_str("good")};

    if (forgery != FLOAT_VECTOR)
        store_full(forgery, 1, "good");
    else
        CHECK_OK_ERR(try_store(forgery, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
}

static void check_forged(enum forgery forgery, bool is_known)
{
    uint64_t ids[9];
    size_t n = 0;

    check_loads(forgery, 1, "good");
    check_exact(forgery, 1, 1, "good");
    if (has_id(forgery))
        check_corrupt(load(forgery, 9), forgery);
    else
        check_gone(forgery, 9);
    if (is_known)
        check_corrupt(load_exact(forgery, 9), forgery);
    else
        check_no_key(forgery, 9);
    check_loads(100, 1, "good");
    check_no_key(100, 9);
    CHECK_OK_ERR(mn_semcache_list_entries(store, forgery, 0, ids, 9, &n, &err), &err);
    CHECK_EQ(n, has_id(forgery) ? 2 : 1);
    struct mn_semcache_result result = {.size = sizeof result};
    const struct mn_semcache_query query = {.size = sizeof query,
                                            .n_dims = N_DIMS,
                                            .embedding = (const float[N_DIMS]){1},
                                            .min_similarity = 0.01F};
    CHECK_OK_ERR(mn_semcache_lookup(store, forgery, &query, &result, &err), &err);
    CHECK(result.kind == MN_SEMCACHE_MISS || result.handle.id == 1);
    mn_semcache_release(&result.handle);
}

static void forged_records_are_damage(void)
{
    begin();
    store_full(100, 1, "good");
    for (unsigned i = 0; i < N_FORGERIES; i++) {
        store_good(i);
        forge(i);
        check_forged(i, false);
    }
    for (int round = 0; round < 2; round++) {
        reopen();
        for (unsigned i = 0; i < N_FORGERIES; i++) {
            CHECK_EQ(tenant_stats(i).n_entries, 1);
            check_forged(i, true);
            uint64_t n_errors = tenant_stats(i).n_errors - 1U - has_id(i);
            CHECK(n_errors <= 1); /* a look-up that found nothing tells of it, too */
        }
        CHECK_EQ(tenant_stats(100).n_errors, 0);
        checkpoint();
    }
    for (unsigned i = 0; i < N_FORGERIES; i++) {
        mn_status st = mn_semcache_delete(store, i, 9, NULL, NULL, &err);
        CHECK_STATUS(st, has_id(i) ? MN_OK : MN_NOT_FOUND);
        check_gone(i, 9);
        check_loads(i, 1, "good");
    }
    reopen();
    for (unsigned i = 0; i < N_FORGERIES; i++) {
        if (has_id(i))
            check_no_key(i, 9);
        CHECK_OK_ERR(overwrite(i, 9), &err);
        check_exact(i, 9, 9, "anew");
        CHECK_OK_ERR(mn_semcache_drop_tenant(store, i, NULL, NULL, NULL, &err), &err);
        check_gone(i, 1);
        check_no_key(i, 9);
    }
    check_exact(100, 1, 1, "good");
    closed(store);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        CHECK_TEST(a_damaged_payload_is_never_shown),
        CHECK_TEST(what_is_damaged_can_be_removed_and_replaced),
        CHECK_TEST(what_may_be_another_one_goes_with_its_tenant),
        CHECK_TEST(room_is_made_beside_damage),
        CHECK_TEST(damage_stays_in_its_tenant),
        CHECK_TEST(a_damaged_key_is_told),
        CHECK_TEST(forged_records_are_damage),
    };

    return check_run("api.semcache_damage", tests, CHECK_COUNT(tests), argc, argv);
}
