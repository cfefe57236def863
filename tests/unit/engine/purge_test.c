/*
 * purge_test.c - after a purge no file of the store holds a byte of what was purged.
 *
 * The store lies on a simulated disk, so that every byte of every file can be looked at, log files
 * that wait to be used again and what lies behind their ends included.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "check.h"
#include "io/crash.h"
#include "io/fault.h"
#include "mneme/mneme.h"

enum { N_OTHERS = 300, N_DIMS = 8 };

struct world {
    struct mni_crash_env *crash;
    mn_store *store;
    struct mn_error err;
};

static void open_store(struct world *w)
{
    struct mn_options o = {.size = sizeof o, .create = true, .wal_file_bytes = 64 << 10};

    CHECK_OK_ERR(mni_api_store_open(mni_crash_env_base(w->crash), "/s", &o, &w->store, &w->err),
                 &w->err);
}

static struct world new_world(void)
{
    struct world w = {0};

    CHECK_OK(mni_crash_env_new(check_seed(), &w.crash));
    open_store(&w);
    return w;
}

static void done(struct world *w)
{
    CHECK_OK_ERR(mn_close(w->store, &w->err), &w->err);
    mni_crash_env_free(w->crash);
}

/* Every canary is four bytes or more that stand nowhere else. */
static const char canary_id[] = "canary-id-\xc3\xa9";
static const char canary_metadata[] = "{\"canary\":\"metadata of the canary\"}";
static const char canary_payload[] = "payload of the canary";
static const float canary_vector[N_DIMS] = {1.5e-3F, 77.25F, -8.125e9F, 3.0F,
                                            5.0F,    7.0F,   9.0F,      11.0F};

static void put_canary(struct world *w, const char *name)
{
    struct mn_record r = {.id = mn_str(canary_id),
                          .vector = canary_vector,
                          .n_dims = N_DIMS,
                          .metadata = mn_str(canary_metadata),
                          .payload = mn_str(canary_payload)};

    CHECK_OK_ERR(mn_put(w->store, mn_str(name), &r, NULL, NULL, &w->err), &w->err);
}

static void put_others(struct world *w, const char *name)
{
    float vector[N_DIMS] = {0};
    char id[32];

    for (int i = 0; i < N_OTHERS; i++) {
        vector[0] = (float)i;
        (void)snprintf(id, sizeof id, "other-%d", i);
        struct mn_record r = {.id = mn_str(id), .vector = vector, .n_dims = N_DIMS};
        CHECK_OK_ERR(mn_put(w->store, mn_str(name), &r, NULL, NULL, &w->err), &w->err);
    }
}

/* Looking at every byte ---------- */

struct search {
    struct mni_dir *dir;
    const void *bytes;
    size_t n_bytes;
    size_t n_hits;
    size_t n_files;
};

static bool contains(const unsigned char *text, size_t n, const void *bytes, size_t n_bytes)
{
    for (size_t i = 0; i + n_bytes <= n; i++)
        if (memcmp(text + i, bytes, n_bytes) == 0)
            return true;
    return false;
}

static mn_status search_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    static unsigned char content[8 << 20];
    struct search *s = context;
    struct mni_file *file = NULL;
    size_t n = 0;

    if (is_dir) {
        struct search inner = *s;
        CHECK_OK(mni_dir_open_dir(s->dir, name, false, &inner.dir, err));
        CHECK_OK(mni_dir_list(inner.dir, search_entry, &inner, err));
        mni_dir_close(inner.dir);
        s->n_hits = inner.n_hits;
        s->n_files = inner.n_files;
        return MN_OK;
    }
    CHECK_OK(mni_dir_open_file(s->dir, name, MNI_OPEN_READ, &file, err));
    CHECK_OK(mni_file_read(file, 0, content, sizeof content, &n, err));
    CHECK(n < sizeof content);
    mni_file_close(file);
    s->n_files++;
    s->n_hits += contains(content, n, s->bytes, s->n_bytes);
    s->n_hits += contains((const unsigned char *)name, strlen(name), s->bytes, s->n_bytes);
    return MN_OK;
}

/* Files that hold these bytes. */
static size_t count_files_with(struct world *w, const void *bytes, size_t n_bytes)
{
    struct search s = {.bytes = bytes, .n_bytes = n_bytes};

    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w->crash), "/s", false, &s.dir, NULL));
    CHECK_OK(mni_dir_list(s.dir, search_entry, &s, NULL));
    mni_dir_close(s.dir);
    CHECK(s.n_files >= 2);
    return s.n_hits;
}

static size_t count_canaries(struct world *w)
{
    return count_files_with(w, canary_id, strlen(canary_id)) +
           count_files_with(w, canary_metadata, strlen(canary_metadata)) +
           count_files_with(w, canary_payload, strlen(canary_payload)) +
           count_files_with(w, canary_vector, sizeof canary_vector);
}

static void purge_canary(struct world *w, const char *name, struct mn_purge_receipt *receipt)
{
    struct mn_slice id = mn_str(canary_id);

    CHECK_OK_ERR(mn_purge(w->store, mn_str(name), &id, 1, receipt, &w->err), &w->err);
    CHECK_EQ(count_canaries(w), 0);
}

/* Tests ---------- */

static void a_purge_erases_what_only_the_log_holds(void)
{
    struct world w = new_world();
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    uint64_t n = 0;

    put_others(&w, "n");
    put_canary(&w, "n");
    CHECK(count_canaries(&w) >= 4);
    purge_canary(&w, "n", &receipt);
    CHECK_EQ(receipt.n_records, 1);
    CHECK(receipt.lsn > N_OTHERS);
    CHECK(receipt.n_log_files >= 1);
    CHECK_EQ(receipt.n_pinned, 0);
    CHECK_OK(mn_count(w.store, mn_str("n"), &n, NULL));
    CHECK_EQ(n, N_OTHERS);
    done(&w);
}

static void a_purge_erases_dead_versions_in_all_segments(void)
{
    struct world w = new_world();
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    uint64_t n = 0;
    bool existed = false;

    for (int i = 0; i < 3; i++) {
        put_others(&w, "n");
        put_canary(&w, "n");
        CHECK_OK(mn_checkpoint(w.store, &w.err));
    }
    CHECK_OK(mn_delete(w.store, mn_str("n"), mn_str(canary_id), NULL, &existed, NULL, NULL));
    CHECK(existed);
    purge_canary(&w, "n", &receipt);
    CHECK_EQ(receipt.n_records, 0); /* it was deleted before */
    CHECK(receipt.n_runs >= 1);
    CHECK_OK(mn_close(w.store, NULL));
    open_store(&w);
    CHECK_OK(mn_count(w.store, mn_str("n"), &n, NULL));
    CHECK_EQ(n, N_OTHERS);
    CHECK_EQ(count_canaries(&w), 0);
    done(&w);
}

static void log_files_that_wait_to_be_used_again_are_erased_too(void)
{
    struct world w = new_world();
    struct mn_purge_receipt receipt = {.size = sizeof receipt};

    for (int i = 0; i < 12; i++) {
        put_canary(&w, "n");
        put_others(&w, "n"); /* fills a log file and more */
        if (i % 4 == 3)
            CHECK_OK(mn_checkpoint(w.store, &w.err));
    }
    purge_canary(&w, "n", &receipt);
    purge_canary(&w, "n", &receipt); /* nothing is left to do */
    put_others(&w, "n");
    CHECK_EQ(count_canaries(&w), 0);
    done(&w);
}

static void a_namespace_goes_with_its_name(void)
{
    struct world w = new_world();
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    static const char name[] = "canary-namespace";
    bool exists = true;
    uint64_t n = 0;

    put_others(&w, "n");
    put_others(&w, name);
    put_canary(&w, name);
    CHECK_OK(mn_checkpoint(w.store, &w.err));
    put_canary(&w, "n");
    put_canary(&w, name);
    CHECK_OK_ERR(mn_purge_namespace(w.store, mn_str(name), &receipt, &w.err), &w.err);
    CHECK_EQ(receipt.n_records, N_OTHERS + 1);
    CHECK_EQ(count_files_with(&w, name, strlen(name)), 0);
    CHECK(count_canaries(&w) >= 4); /* those of the other namespace */
    CHECK_OK(mn_namespace_exists(w.store, mn_str(name), &exists, NULL));
    CHECK(!exists);
    purge_canary(&w, "n", &receipt);
    CHECK_OK(mn_count(w.store, mn_str("n"), &n, NULL));
    CHECK_EQ(n, N_OTHERS);
    done(&w);
}

static void a_view_keeps_its_record_and_the_receipt_says_so(void)
{
    struct world w = new_world();
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    struct mn_view view;

    put_others(&w, "n");
    put_canary(&w, "n");
    CHECK_OK(mn_checkpoint(w.store, &w.err));
    CHECK_OK(mn_get(w.store, mn_str("n"), mn_str(canary_id), &view, NULL));
    purge_canary(&w, "n", &receipt);
    CHECK_EQ(receipt.n_pinned, 1);
    CHECK_EQ(view.n_dims, N_DIMS);
    CHECK_MEM_EQ(view.vector, canary_vector, sizeof canary_vector);
    CHECK_STATUS(mn_close(w.store, NULL), MN_ERR_BUSY);
    mn_view_release(&view);
    purge_canary(&w, "n", &receipt);
    CHECK_EQ(receipt.n_pinned, 0);
    done(&w);
}

static void bad_arguments_change_nothing(void)
{
    struct world w = new_world();
    struct mn_slice empty = mn_str("");
    struct mn_slice id = mn_str("x");
    struct mn_purge_receipt unset = {0};

    CHECK_STATUS(mn_purge(w.store, mn_str("none"), &id, 1, NULL, &w.err), MN_NOT_FOUND);
    put_canary(&w, "n");
    CHECK_STATUS(mn_purge(w.store, mn_str("n"), &empty, 1, NULL, &w.err), MN_ERR_INVALID);
    CHECK_STATUS(mn_purge(w.store, mn_str("n"), NULL, 1, NULL, &w.err), MN_ERR_INVALID);
    CHECK_STATUS(mn_purge(w.store, mn_str("n"), &id, 1, &unset, &w.err), MN_ERR_INVALID);
    CHECK(count_canaries(&w) >= 4);
    done(&w);
}

/* A namespace that was dropped before, and made again, had the record too. */
static void what_was_dropped_before_is_erased_too(void)
{
    for (int again = 0; again < 2; again++) {
        struct world w = new_world();
        struct mn_purge_receipt receipt = {.size = sizeof receipt};
        struct mn_record other = {.id = mn_str("o")};
        put_others(&w, "m");
        put_canary(&w, "n");
        CHECK_OK_ERR(mn_checkpoint(w.store, &w.err), &w.err);
        CHECK_OK(mn_namespace_drop(w.store, mn_str("n"), NULL, &w.err));
        if (again != 0) {
            CHECK_OK(mn_put(w.store, mn_str("n"), &other, NULL, NULL, &w.err));
            purge_canary(&w, "n", &receipt);
        } else {
            CHECK_STATUS(mn_purge_namespace(w.store, mn_str("n"), &receipt, &w.err), MN_NOT_FOUND);
            CHECK_EQ(count_canaries(&w), 0);
        }
        done(&w);
    }
}

static void what_is_purged_stays_gone_after_a_power_cut(void)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w = {0};
        struct mn_purge_receipt receipt = {.size = sizeof receipt};
        CHECK_OK(mni_crash_env_new(seed, &w.crash));
        open_store(&w);
        put_others(&w, "n");
        put_canary(&w, "n");
        CHECK_OK_ERR(mn_checkpoint(w.store, &w.err), &w.err);
        purge_canary(&w, "n", &receipt);
        mni_crash_env_cut_at(w.crash, 1);
        CHECK(mn_flush(w.store, NULL) <= MN_OK);
        mni_api_store_abandon(w.store);
        mni_crash_env_restart(w.crash, false, 0);
        CHECK_EQ(count_canaries(&w), 0);
        open_store(&w);
        CHECK_EQ(count_canaries(&w), 0);
        done(&w);
    }
}

static void put_large_others(struct world *w)
{
    static char payload[50000];
    char id[32];

    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof id, "large-%d", i);
        struct mn_record r = {.id = mn_str(id), .payload = {payload, sizeof payload}};
        CHECK_OK_ERR(mn_put(w->store, mn_str("n"), &r, NULL, NULL, &w->err), &w->err);
    }
}

/* Whichever call of a checkpoint and a purge failed once: a purge that succeeds has erased all. */
static void what_failed_to_go_before_is_erased_too(void)
{
    struct mn_slice id = mn_str(canary_id);
    bool was_hit = true;
    size_t n_failed = 0;
    size_t n_erased = 0;

    for (uint64_t n = 1; was_hit; n++) {
        struct mn_purge_receipt receipt = {.size = sizeof receipt};
        struct mni_fault_env *fault = NULL;
        struct mn_options o = {.size = sizeof o, .create = true, .wal_file_bytes = 64 << 10};
        struct world w = {0};
        CHECK_OK(mni_crash_env_new(check_seed(), &w.crash));
        CHECK_OK(mni_fault_env_new(mni_crash_env_base(w.crash), &fault));
        CHECK_OK(mni_api_store_open(mni_fault_env_base(fault), "/s", &o, &w.store, &w.err));
        put_canary(&w, "n");
        put_large_others(&w);
        mni_fault_env_fail_at(fault, n, EIO, false);
        n_failed += mn_checkpoint(w.store, &w.err) != MN_OK;
        mn_status st = mn_purge(w.store, mn_str("n"), &id, 1, &receipt, &w.err);
        was_hit = mni_fault_env_was_hit(fault);
        mni_fault_env_fail_at(fault, 0, 0, false);
        if (st == MN_OK) {
            CHECK_EQ(count_canaries(&w), 0);
            n_erased += was_hit;
        }
        mni_api_store_abandon(w.store);
        mni_fault_env_free(fault);
        mni_crash_env_free(w.crash);
    }
    CHECK(n_failed > 10 && n_erased > 10);
}

/* A damaged segment ---------- */

enum { N_LARGE = 60, LARGE_BYTES = 3000, N_DAMAGED = 30 };

static void put_large(struct world *w, const char *name)
{
    char payload[LARGE_BYTES];
    char id[32];

    for (int i = 0; i < N_LARGE; i++) {
        memset(payload, '.', sizeof payload);
        (void)snprintf(id, sizeof id, "large-%02d", i);
        /* In the middle, so that it shares no block with another namespace's records. */
        (void)snprintf(payload + LARGE_BYTES / 2, 64, "payload %02d of %s", i, name);
        struct mn_record r = {.id = mn_str(id), .payload = {payload, sizeof payload}};
        CHECK_OK_ERR(mn_put(w->store, mn_str(name), &r, NULL, NULL, &w->err), &w->err);
    }
}

static mn_status flip_in_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    static unsigned char content[8 << 20];
    struct search *s = context;
    struct mni_file *file = NULL;
    size_t n = 0;

    CHECK(!is_dir);
    CHECK_OK(mni_dir_open_file(s->dir, name, MNI_OPEN_READ, &file, err));
    CHECK_OK(mni_file_read(file, 0, content, sizeof content, &n, err));
    mni_file_close(file);
    for (size_t i = 0; i + s->n_bytes <= n; i++) {
        if (memcmp(content + i, s->bytes, s->n_bytes) != 0)
            continue;
        unsigned char flipped = content[i] ^ 1;
        CHECK_OK(mni_dir_open_file(s->dir, name, MNI_OPEN_WRITE, &file, err));
        CHECK_OK(mni_file_write(file, i, &flipped, 1, err));
        mni_file_close(file);
        s->n_hits++;
    }
    return MN_OK;
}

/* Damages the record N_DAMAGED of a namespace in its segment, while the store is closed. */
static void damage(struct world *w, const char *name)
{
    char text[64];
    struct search s = {.bytes = text};
    struct mni_dir *dir = NULL;

    s.n_bytes = (size_t)snprintf(text, sizeof text, "payload %02d of %s", N_DAMAGED, name);
    CHECK_OK_ERR(mn_checkpoint(w->store, &w->err), &w->err);
    CHECK_OK_ERR(mn_close(w->store, &w->err), &w->err);
    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w->crash), "/s", false, &dir, NULL));
    CHECK_OK(mni_dir_open_dir(dir, "seg", false, &s.dir, NULL));
    CHECK_OK(mni_dir_list(s.dir, flip_in_file, &s, NULL));
    mni_dir_close(s.dir);
    mni_dir_close(dir);
    CHECK_EQ(s.n_hits, 1);
    open_store(w);
}

static void a_namespace_is_purged_though_its_own_records_are_damaged(void)
{
    struct world w = new_world();
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    static const char text[] = "of doomed";
    uint64_t n = 0;

    put_large(&w, "kept");
    put_large(&w, "doomed");
    put_large(&w, "kept too");
    damage(&w, "doomed");
    CHECK(count_files_with(&w, text, strlen(text)) > 0);
    CHECK_OK_ERR(mn_purge_namespace(w.store, mn_str("doomed"), &receipt, &w.err), &w.err);
    CHECK_EQ(receipt.n_records, N_LARGE);
    CHECK_EQ(count_files_with(&w, text, strlen(text)), 0);
    CHECK_OK(mn_count(w.store, mn_str("kept"), &n, NULL));
    CHECK_EQ(n, N_LARGE);
    CHECK_OK(mn_count(w.store, mn_str("kept too"), &n, NULL));
    CHECK_EQ(n, N_LARGE);
    done(&w);
}

/* A dead row goes unread, however damaged; a live one keeps its segment, and the error says so. */
static void a_purge_beside_a_damaged_record_says_what_helps(void)
{
    struct world w = new_world();
    struct mn_slice id = mn_str("large-00");
    bool existed = false;

    put_large(&w, "n");
    damage(&w, "n");
    CHECK_STATUS(mn_purge(w.store, mn_str("n"), &id, 1, NULL, &w.err), MN_ERR_CORRUPT);
    CHECK(strstr(w.err.message, "purging again does not help, salvaging") != NULL);
    CHECK(strstr(w.err.message, "damaged") != NULL);
    CHECK_OK(mn_delete(w.store, mn_str("n"), id, NULL, &existed, NULL, NULL));
    CHECK(!existed);
    done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_purge_erases_what_only_the_log_holds),
        CHECK_TEST(a_purge_erases_dead_versions_in_all_segments),
        CHECK_TEST(log_files_that_wait_to_be_used_again_are_erased_too),
        CHECK_TEST(a_namespace_goes_with_its_name),
        CHECK_TEST(a_view_keeps_its_record_and_the_receipt_says_so),
        CHECK_TEST(what_was_dropped_before_is_erased_too),
        CHECK_TEST(what_is_purged_stays_gone_after_a_power_cut),
        CHECK_TEST(a_namespace_is_purged_though_its_own_records_are_damaged),
        CHECK_TEST(a_purge_beside_a_damaged_record_says_what_helps),
        CHECK_TEST(what_failed_to_go_before_is_erased_too),
        CHECK_TEST(bad_arguments_change_nothing),
    };

    return check_run("engine.purge", tests, CHECK_COUNT(tests), argc, argv);
}
