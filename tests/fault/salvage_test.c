/*
 * salvage_test.c - salvage of a store of which something is damaged, missing or unreadable: bytes
 * flipped and files cut or removed one by one, every allocation and every call failing once.
 *
 * Whatever happens to the damaged store, what comes back was written by somebody, and what does not
 * come back was reported.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "check.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "io/fault.h"
#include "mneme/mneme.h"

enum {
    N_IDS = 40,
    N_DIMS = 3,
    N_MANY = 2500,
    N_ENTRIES = 900, /* of each tenant; more than a log file holds */
    N_TENANTS = 2,
    FILES_MAX = 32,
    FLIPS_PER_FILE = 700,
    WAL_FILE_BYTES = 64 << 10,
};

struct world {
    struct mni_crash_env *crash;
    struct mni_fault_env *fault;
    struct mni_env *env; /* of the calls: fails on demand */
    int n_made;          /* stores that were salvaged into */
    struct mn_error err;
};

/* The versions that a record has had: 1, 2, ...; the last one may be a delete. */
static int newest_version(int id)
{
    return id % 8 == 0 ? 2 : id % 10 == 9 ? 3 : 1;
}

static bool is_deleted(int id)
{
    return id % 7 == 3;
}

static void put(mn_store *store, const char *name, int id, int version)
{
    float vector[N_DIMS] = {(float)id, (float)version, -0.0F};
    char text[8];
    char metadata[32];

    (void)snprintf(text, sizeof text, "id%02d", id);
    (void)snprintf(metadata, sizeof metadata, "{\"v\":%d}", version);
    struct mn_record r = {.id = mn_str(text),
                          .vector = vector,
                          .n_dims = N_DIMS,
                          .fields = MN_HAS_EVENT_TIME,
                          .event_time_us = -id,
                          .metadata = mn_str(metadata),
                          .payload = {"some payload", (size_t)id % 12}};
    CHECK_OK(mn_put(store, mn_str(name), &r, NULL, NULL, NULL));
}

static void change(mn_store *store, int id, bool deletes)
{
    char text[8];

    (void)snprintf(text, sizeof text, "id%02d", id);
    if (deletes)
        CHECK_OK(mn_delete(store, mn_str("n"), mn_str(text), NULL, NULL, NULL, NULL));
    else
        CHECK_OK(mn_touch(store, mn_str("n"), mn_str(text), MN_HAS_EXPIRES_AT, INT64_MAX, NULL,
                          NULL, NULL));
}

/* Two checkpoints, of which the second leaves deaths and patches behind, and a log behind them. So
 * few rows die that no merge begins. */
static void make_store(struct world *w)
{
    struct mn_options o = {.size = sizeof o, .create = true, .wal_file_bytes = WAL_FILE_BYTES};
    mn_store *store = NULL;

    CHECK_OK(mni_api_store_open(mni_crash_env_base(w->crash), "/s", &o, &store, NULL));
    CHECK_OK(mn_config_set(store, "wal_file_bytes", "65536", NULL));
    for (int i = 0; i < N_IDS; i++)
        put(store, "n", i, 1);
    put(store, "dropped", 5, 1);
    put(store, "other", 5, 1);
    CHECK_OK(mn_checkpoint(store, NULL));
    for (int i = 0; i < N_IDS; i += 8)
        put(store, "n", i, 2);
    for (int i = 3; i < N_IDS / 2; i += 7)
        change(store, i, true);
    change(store, 1, false);
    CHECK_OK(mn_namespace_drop(store, mn_str("dropped"), NULL, NULL));
    CHECK_OK(mn_checkpoint(store, NULL));
    for (int i = 9; i < N_IDS; i += 10)
        put(store, "n", i, newest_version(i));
    for (int i = 24; i < N_IDS; i += 7)
        change(store, i, true);
    change(store, 2, false);
    CHECK_OK(mn_close(store, NULL));
}

static void begin_with(struct world *w, void (*make)(struct world *w))
{
    *w = (struct world){0};
    CHECK_OK(mni_crash_env_new(1, &w->crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(w->crash), &w->fault));
    w->env = mni_fault_env_base(w->fault);
    make(w);
}

static void begin(struct world *w)
{
    begin_with(w, make_store);
}

static void end(struct world *w)
{
    mni_fault_env_free(w->fault);
    mni_crash_env_free(w->crash);
}

/* Judging ---------- */

struct found {
    bool is_there[N_IDS];
    int version[N_IDS];
    int n_records;
    int n_stale;    /* records that were overwritten, deleted or dropped, touches aside */
    bool is_exact;  /* as if nothing had happened */
    bool is_newest; /* no record is a version that a segment has a newer one of */
};

static void look_at(const struct mn_view *view, struct found *found)
{
    int id = 0;
    int version = 0;
    char metadata[32] = "";
    char text[16] = "";

    CHECK(view->id.n_bytes == 4 && view->metadata.n_bytes < sizeof metadata);
    memcpy(text, view->id.data, 4);
    memcpy(metadata, view->metadata.data, view->metadata.n_bytes);
    CHECK(sscanf(text, "id%d", &id) == 1 && id >= 0 && id < N_IDS);
    CHECK(sscanf(metadata, "{\"v\":%d}", &version) == 1);
    CHECK(version == 1 || version == newest_version(id));
    const float vector[N_DIMS] = {(float)id, (float)version, -0.0F};
    CHECK_EQ(view->n_dims, N_DIMS);
    CHECK_MEM_EQ(view->vector, vector, sizeof vector);
    CHECK_EQ(view->event_time_us, -id);
    CHECK_EQ(view->payload.n_bytes, id % 12);
    CHECK((view->fields & MN_HAS_EXPIRES_AT) == 0 || id == 1 || id == 2);
    found->is_exact = found->is_exact && !is_deleted(id) && version == newest_version(id) &&
                      ((view->fields & MN_HAS_EXPIRES_AT) != 0) == (id == 1 || id == 2);
    found->is_newest = found->is_newest && (id % 8 != 0 || version == 2);
    found->n_stale += is_deleted(id) || version != newest_version(id);
    found->n_records++;
}

static bool is_called(struct mn_slice name, const char *text)
{
    return name.n_bytes == strlen(text) && memcmp(name.data, text, name.n_bytes) == 0;
}

/* Everything in the new store is a record that was there once. */
static struct found look_into(struct world *w, const char *path)
{
    struct mn_options o = {.size = sizeof o, .wal_file_bytes = WAL_FILE_BYTES};
    struct found found = {.is_exact = true, .is_newest = true};
    mn_namespace_iter *names = NULL;
    struct mn_namespace_info info;
    mn_store *store = NULL;
    int n_expected = 1;
    bool has_n = false;

    CHECK_OK_ERR(mni_api_store_open(mni_crash_env_base(w->crash), path, &o, &store, &w->err),
                 &w->err);
    CHECK_OK(mn_namespace_iter_open(store, (struct mn_slice){0}, &names, NULL));
    while (mn_namespace_iter_next(names, &info, NULL) == MN_OK) {
        struct mn_view view;
        mn_iter *iter = NULL;
        bool is_lost = info.name.n_bytes > 5 && memcmp(info.name.data, "lost-", 5) == 0;
        found.is_exact = found.is_exact && !is_lost;
        has_n = has_n || info.name.n_bytes == 1;
        bool was_dropped = is_called(info.name, "dropped");
        found.is_exact = found.is_exact && !was_dropped;
        CHECK(is_lost || was_dropped || is_called(info.name, "n") || is_called(info.name, "other"));
        CHECK_OK(mn_iter_open(store, info.name, NULL, &iter, NULL));
        while (mn_iter_next(iter, &view, NULL) == MN_OK) {
            found.n_stale += was_dropped;
            look_at(&view, &found);
            mn_view_release(&view);
        }
        mn_iter_close(iter);
    }
    mn_namespace_iter_close(names);
    for (int i = 0; i < N_IDS; i++)
        n_expected += !is_deleted(i);
    found.is_exact = found.is_exact && has_n && found.n_records == n_expected;
    CHECK_OK(mn_close(store, NULL));
    return found;
}

static mn_status salvage(struct world *w, char path[16], struct mn_salvage_report *report)
{
    (void)snprintf(path, 16, "/to%d", w->n_made++);
    *report = (struct mn_salvage_report){.size = sizeof *report};
    return mni_api_salvage(w->env, "/s", path, NULL, report, &w->err);
}

/* Salvages what is damaged; returns whether everything came back. What verify finds is reported. */
static bool judge(struct world *w)
{
    struct mn_verify_report verified = {.size = sizeof verified};
    struct mn_salvage_report report;
    char path[16];

    CHECK_OK_ERR(salvage(w, path, &report), &w->err);
    if (mni_engine_verify(mni_crash_env_base(w->crash), "/s", &verified, &w->err) != MN_OK)
        CHECK(report.n_damages > 0);
    struct found found = look_into(w, path);
    CHECK_EQ(report.n_records, found.n_records);
    CHECK(found.is_exact || report.n_damages > 0);
    CHECK(report.n_unsure_records >= (uint64_t)found.n_stale);
    CHECK(report.n_unsure_records <= report.n_records);
    return found.is_exact;
}

/* Damage ---------- */

struct file_list {
    int n;
    const char *dir;
    struct {
        const char *dir;
        char name[MNI_NAME_BYTES_MAX];
    } files[FILES_MAX];
};

static mn_status note_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct file_list *list = context;

    (void)err;
    if (is_dir)
        return MN_OK;
    CHECK(list->n < FILES_MAX);
    list->files[list->n].dir = list->dir;
    (void)snprintf(list->files[list->n++].name, MNI_NAME_BYTES_MAX, "%s", name);
    return MN_OK;
}

/* The directory of the damaged store, or the one in it of this name. */
static struct mni_dir *open_dir(struct world *w, const char *name)
{
    struct mni_dir *dir = NULL;
    struct mni_dir *inner = NULL;

    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w->crash), "/s", false, &dir, NULL));
    if (name[0] == '\0')
        return dir;
    CHECK_OK(mni_dir_open_dir(dir, name, false, &inner, NULL));
    mni_dir_close(dir);
    return inner;
}

static struct file_list list_files(struct world *w)
{
    static const char *const dirs[] = {"", "seg", "wal"};
    struct file_list list = {0};

    for (size_t i = 0; i < CHECK_COUNT(dirs); i++) {
        struct mni_dir *dir = open_dir(w, dirs[i]);
        list.dir = dirs[i];
        CHECK_OK(mni_dir_list(dir, note_file, &list, NULL));
        mni_dir_close(dir);
    }
    return list;
}

static struct mni_file *open_file(struct world *w, const struct file_list *list, int i)
{
    struct mni_dir *dir = open_dir(w, list->files[i].dir);
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_file(dir, list->files[i].name, MNI_OPEN_WRITE, &file, NULL));
    mni_dir_close(dir);
    return file;
}

static uint64_t size_of(struct world *w, const struct file_list *list, int i)
{
    struct mni_file *file = open_file(w, list, i);
    uint64_t n = 0;

    CHECK_OK(mni_file_size(file, &n, NULL));
    mni_file_close(file);
    return n;
}

static void flip(struct world *w, const struct file_list *list, int i, uint64_t offset)
{
    struct mni_file *file = open_file(w, list, i);
    unsigned char byte = 0;
    size_t n_read = 0;

    CHECK_OK(mni_file_read(file, offset, &byte, 1, &n_read, NULL));
    CHECK_EQ(n_read, 1);
    byte ^= 0x41;
    CHECK_OK(mni_file_write(file, offset, &byte, 1, NULL));
    mni_file_close(file);
}

static void an_undamaged_store_comes_back_whole(void)
{
    struct mn_salvage_report report;
    struct world w;
    char path[16];

    begin(&w);
    CHECK_OK_ERR(salvage(&w, path, &report), &w.err);
    CHECK(look_into(&w, path).is_exact);
    CHECK_EQ(report.n_damages, 0);
    CHECK_EQ(report.n_unsure_records, 0);
    CHECK_EQ(report.n_namespaces, 2);
    CHECK_STATUS(mni_api_salvage(w.env, "/s", path, NULL, NULL, &w.err), MN_ERR_INVALID);
    CHECK_STATUS(mni_api_salvage(w.env, "/s", "/s", NULL, NULL, &w.err), MN_ERR_INVALID);
    CHECK_STATUS(mni_api_salvage(w.env, "/none", "/to", NULL, NULL, &w.err), MN_ERR_NO_STORE);
    end(&w);
}

/* A new world now and then, for the stores that were made take space. */
static void start_over(struct world *w)
{
    if (w->n_made < 40)
        return;
    end(w);
    begin(w);
}

static void any_byte_may_be_flipped(void)
{
    uint64_t seed = check_seed();
    int n_exact = 0;
    int n_less = 0;
    struct world w;

    begin(&w);
    struct file_list list = list_files(&w);
    for (int i = 0; i < list.n; i++) {
        uint64_t n = size_of(&w, &list, i);
        uint64_t stride = n / FLIPS_PER_FILE + 1;
        bool is_made_large = strcmp(list.files[i].name, "STORE") == 0;
        if (is_made_large)
            stride = n / 3; /* without its settings the new log is of the usual size */
        for (uint64_t at = check_below(&seed, stride); at < n; at += stride) {
            flip(&w, &list, i, at);
            bool is_exact = judge(&w);
            n_exact += is_exact;
            n_less += !is_exact;
            flip(&w, &list, i, at);
            start_over(&w);
        }
    }
    CHECK(n_exact > 0 && n_less > 0);
    end(&w);
}

static void any_file_may_be_cut_or_missing(void)
{
    struct world w;

    begin(&w);
    struct file_list list = list_files(&w);
    for (int i = 0; i < list.n; i++) {
        for (uint64_t part = 0; part < 4; part++) {
            struct mni_file *file = open_file(&w, &list, i);
            uint64_t n = 0;
            CHECK_OK(mni_file_size(file, &n, NULL));
            CHECK_OK(mni_file_truncate(file, n * part / 4 + (part == 3 ? n / 8 : 0), NULL));
            mni_file_close(file);
            (void)judge(&w);
            end(&w);
            begin(&w);
        }
        struct mni_dir *dir = open_dir(&w, list.files[i].dir);
        CHECK_OK(mni_dir_unlink(dir, list.files[i].name, NULL));
        mni_dir_close(dir);
        (void)judge(&w);
        end(&w);
        begin(&w);
    }
    end(&w);
}

/* Without the log too, of several versions the newest counts, by their LSNs alone. */
static void without_liveness_overwritten_versions_do_not_come_back(void)
{
    struct mn_salvage_report report;
    struct world w;
    char path[16];
    int n_lives = 0;

    begin(&w);
    struct file_list list = list_files(&w);
    for (int i = 0; i < list.n; i++) {
        bool is_live = strstr(list.files[i].name, ".live") != NULL;
        n_lives += is_live;
        if (!is_live && strncmp(list.files[i].name, "MANIFEST", 8) != 0 &&
            strcmp(list.files[i].dir, "wal") != 0)
            continue;
        struct mni_dir *dir = open_dir(&w, list.files[i].dir);
        CHECK_OK(mni_dir_unlink(dir, list.files[i].name, NULL));
        mni_dir_close(dir);
    }
    CHECK(n_lives > 0);
    CHECK_OK_ERR(salvage(&w, path, &report), &w.err);
    struct found found = look_into(&w, path);
    CHECK(found.is_newest && !found.is_exact);
    CHECK_EQ(report.n_unsure_records, found.n_records); /* nothing was written twice */
    end(&w);
}

/* Failing calls ---------- */

static void any_allocation_may_fail(void)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    bool was_hit = true;
    uint64_t n_failed = 0;
    struct world w;

    begin(&w);
    for (uint64_t n = 1; was_hit; n++) {
        struct mn_salvage_report report;
        char path[16];
        uint64_t n_open = mni_mem_live_blocks();
        mni_mem_fail_at(n);
        mn_status st = salvage(&w, path, &report);
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_EQ(mni_mem_live_blocks(), n_open);
        CHECK(st == MN_OK || st == MN_ERR_NOMEM);
        CHECK(st == MN_OK || was_hit);
        if (st == MN_OK)
            CHECK(look_into(&w, path).is_exact || report.n_damages > 0);
        n_failed += st != MN_OK;
        start_over(&w);
    }
    CHECK(n_failed > 50);
    end(&w);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
}

/* So many records that their copies reach the disk in several steps. Returns how many there are. */
static uint64_t put_many(struct world *w)
{
    struct mn_options o = {.size = sizeof o, .wal_file_bytes = WAL_FILE_BYTES};
    struct mn_stats stats = {.size = sizeof stats};
    mn_store *store = NULL;

    CHECK_OK(mni_api_store_open(mni_crash_env_base(w->crash), "/s", &o, &store, NULL));
    for (int i = 0; i < N_MANY; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "many%d", i);
        const struct mn_record r = {.id = mn_str(text), .metadata = mn_str("{\"many\":true}")};
        CHECK_OK(mn_put(store, mn_str("many"), &r, NULL, NULL, NULL));
    }
    CHECK_OK(mn_stats(store, &stats, NULL));
    CHECK_OK(mn_close(store, NULL));
    return stats.n_records;
}

/* Nothing reaches the disk any more, as when the process ends: what is there by then is no store,
 * until it is a whole one. */
static void what_is_cut_off_is_no_store(void)
{
    bool was_hit = true;
    uint64_t n_refused = 0;
    uint64_t n_records;
    struct world w;

    begin(&w);
    n_records = put_many(&w);
    for (uint64_t n = 1; was_hit; n++) {
        struct mn_options o = {.size = sizeof o, .wal_file_bytes = WAL_FILE_BYTES};
        struct mn_salvage_report report;
        struct mn_stats stats = {.size = sizeof stats};
        mn_store *store = NULL;
        char path[16];
        mni_fault_env_fail_at(w.fault, n, EIO, true);
        mni_ignore(salvage(&w, path, &report));
        was_hit = mni_fault_env_was_hit(w.fault);
        mni_fault_env_fail_at(w.fault, 0, 0, false);
        mn_status st = mni_api_store_open(mni_crash_env_base(w.crash), path, &o, &store, NULL);
        n_refused += st != MN_OK;
        if (st == MN_OK) {
            CHECK_OK(mn_stats(store, &stats, NULL));
            CHECK_OK(mn_close(store, NULL));
            CHECK(stats.n_records == 0 || stats.n_records == n_records);
        }
        if (w.n_made == 40) {
            start_over(&w);
            CHECK_EQ(put_many(&w), n_records);
        }
    }
    CHECK(n_refused > 20);
    end(&w);
}

static void any_call_may_fail(void)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    bool was_hit = true;
    uint64_t n_failed = 0;
    uint64_t n_damaged = 0;
    struct world w;

    begin(&w);
    for (uint64_t n = 1; was_hit; n++) {
        struct mn_salvage_report report;
        char path[16];
        uint64_t n_open = mni_mem_live_blocks();
        mni_fault_env_fail_at(w.fault, n, EIO, false);
        mn_status st = salvage(&w, path, &report);
        was_hit = mni_fault_env_was_hit(w.fault);
        mni_fault_env_fail_at(w.fault, 0, 0, false);
        CHECK_EQ(mni_mem_live_blocks(), n_open);
        if (st == MN_OK)
            CHECK(look_into(&w, path).is_exact || report.n_damages > 0);
        n_failed += st != MN_OK;
        n_damaged += st == MN_OK && report.n_damages > 0;
        start_over(&w);
    }
    CHECK(n_failed > 10 && n_damaged > 5);
    end(&w);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
}

/* Tenants ---------- */

static struct mn_slice answer_of(uint64_t tenant, uint64_t id, char room[32])
{
    (void)snprintf(room, 32, "%d of %d", (int)id, (int)tenant);
    return mn_str(room);
}

static void add_entry(struct mni_batch *batch, size_t index, uint64_t tenant, uint64_t id)
{
    static const uint16_t halves[] = {0x3c00, 0xbc00, 0x7e01};
    unsigned char key[MNI_TENANT_KEY_BYTES];
    unsigned char metadata[16 + 3] = "................gpt";
    char text[32];
    struct mni_record r = {.type = MNI_RECORD_UPSERT,
                           .element_type = MNI_ELEMENT_F16,
                           .fields = MNI_FIELD_EVENT_TIME,
                           .key = mni_tenant_key(id, key),
                           .vector = halves,
                           .n_dims = 3,
                           .metadata = {metadata, sizeof metadata},
                           .payload = answer_of(tenant, id, text)};

    mni_put_u64(metadata, tenant);
    mni_put_u64(metadata + 8, 0);
    CHECK_OK(mni_batch_add(batch, index, &r, MNI_ALWAYS, 0, NULL, NULL));
}

static void write_tenant(mn_store *store, uint64_t tenant, int round)
{
    const unsigned char budget[16] = {1};
    unsigned char name[MNI_TENANT_KEY_BYTES];
    unsigned char key[MNI_TENANT_KEY_BYTES];
    struct mni_record r = {
        .type = MNI_RECORD_UPSERT, .key = mn_str("b"), .payload = {budget, sizeof budget}};
    struct mni_batch *batch = NULL;
    size_t index;

    CHECK_OK(mni_batch_new(mni_api_store_engine(store), NULL, &batch));
    CHECK_OK(mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, name), true,
                                  &index, NULL));
    CHECK_OK(mni_batch_add(batch, index, &r, MNI_ALWAYS, 0, NULL, NULL));
    for (uint64_t id = 0; id < N_ENTRIES; id++) {
        if (round == 0 || id % 3 == 0) {
            add_entry(batch, index, tenant, id);
        } else if (id % 3 == 1) {
            r = (struct mni_record){.type = MNI_RECORD_PATCH,
                                    .fields = MNI_FIELD_HITS,
                                    .key = mni_tenant_key(id, key),
                                    .hits = 5};
            CHECK_OK(mni_batch_add(batch, index, &r, MNI_IF_LIVE, 0, NULL, NULL));
        }
    }
    CHECK_OK(mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, NULL));
    mni_batch_free(batch);
}

/* Both have the same ids, in a segment and in the log. */
static void make_tenants(struct world *w)
{
    struct mn_options o = {.size = sizeof o, .create = true, .wal_file_bytes = WAL_FILE_BYTES};
    mn_store *store = NULL;

    CHECK_OK(mni_api_store_open(mni_crash_env_base(w->crash), "/s", &o, &store, NULL));
    CHECK_OK(mn_config_set(store, "wal_file_bytes", "65536", NULL));
    for (int round = 0; round < 2; round++) {
        for (uint64_t tenant = 1; tenant <= N_TENANTS; tenant++)
            write_tenant(store, tenant, round);
        if (round == 0)
            CHECK_OK(mn_checkpoint(store, NULL));
    }
    CHECK_OK(mn_close(store, NULL));
}

/* How many of its entries a tenant has; each is its own. */
static uint64_t look_into_tenant(mn_store *store, uint64_t tenant)
{
    const struct mni_walk_options all = {.reverse = false};
    unsigned char name[MNI_TENANT_KEY_BYTES];
    struct mni_walk *walk = NULL;
    struct mni_collection c;
    struct mni_found found;
    uint64_t n = 0;

    CHECK(tenant >= 1 && tenant <= N_TENANTS);
    CHECK_OK(mni_walk_open(mni_api_store_engine(store), &all, &walk, NULL));
    CHECK_OK(mni_view_collection(mni_walk_view(walk), MNI_KIND_TENANT, mni_tenant_key(tenant, name),
                                 &c, NULL));
    CHECK_OK(mni_walk_start(walk, c.number, NULL));
    while (mni_walk_next(walk, &found, NULL) == MN_OK) {
        const struct mni_record *r = &found.record;
        char text[32];
        if (r->key.n_bytes == MNI_TENANT_KEY_BYTES) {
            struct mn_slice answer = answer_of(tenant, mni_tenant_of_key(r->key.data), text);
            CHECK_EQ(r->payload.n_bytes, answer.n_bytes);
            CHECK_MEM_EQ(r->payload.data, answer.data, answer.n_bytes);
            CHECK(mni_get_u64(r->metadata.data) == tenant);
            CHECK_EQ(r->element_type, MNI_ELEMENT_F16);
            n++;
        }
        mni_pin_release(found.pin);
    }
    mni_walk_close(walk);
    return n;
}

/* Only budgets may have come to be in namespaces. */
static void look_into_namespaces(mn_store *store)
{
    mn_namespace_iter *names = NULL;
    struct mn_namespace_info info;

    CHECK_OK(mn_namespace_iter_open(store, (struct mn_slice){0}, &names, NULL));
    while (mn_namespace_iter_next(names, &info, NULL) == MN_OK) {
        struct mn_view view;
        CHECK_EQ(info.n_records, 1);
        CHECK_OK(mn_get(store, info.name, mn_str("b"), &view, NULL));
        mn_view_release(&view);
    }
    mn_namespace_iter_close(names);
}

/* Returns how many entries came back. */
static uint64_t judge_tenants(struct world *w)
{
    struct mn_options o = {.size = sizeof o, .wal_file_bytes = WAL_FILE_BYTES};
    struct mn_salvage_report report;
    mn_store *store = NULL;
    uint64_t tenants[N_TENANTS + 1];
    uint64_t n_entries = 0;
    size_t n = 0;
    char path[16];

    CHECK_OK_ERR(salvage(w, path, &report), &w->err);
    CHECK_OK(mni_api_store_open(mni_crash_env_base(w->crash), path, &o, &store, NULL));
    CHECK_OK(
        mni_engine_list_tenants(mni_api_store_engine(store), 0, tenants, N_TENANTS + 1, &n, NULL));
    for (size_t i = 0; i < n; i++)
        n_entries += look_into_tenant(store, tenants[i]);
    look_into_namespaces(store);
    CHECK_OK(mn_close(store, NULL));
    CHECK(n_entries == (uint64_t)N_ENTRIES * N_TENANTS || report.n_damages > 0);
    return n_entries;
}

static void no_entry_becomes_another_tenants(void)
{
    uint64_t seed = check_seed();
    uint64_t n_less = 0;
    uint64_t n_tries = 0;
    struct world w;

    begin_with(&w, make_tenants);
    CHECK_EQ(judge_tenants(&w), N_ENTRIES * N_TENANTS);
    struct file_list list = list_files(&w);
    for (int i = 0; i < list.n; i++) {
        uint64_t n = size_of(&w, &list, i);
        uint64_t stride = n / 100 + 1;
        for (uint64_t at = check_below(&seed, stride); at < n; at += stride) {
            flip(&w, &list, i, at);
            n_less += judge_tenants(&w) < (uint64_t)N_ENTRIES * N_TENANTS;
            n_tries++;
            flip(&w, &list, i, at);
            if (w.n_made < 20)
                continue;
            end(&w);
            begin_with(&w, make_tenants);
        }
    }
    CHECK(n_less > 0 && n_less < n_tries);
    end(&w);
}

/* And with it the rows that say whose they are. */
static void any_file_with_tenants_may_be_missing(void)
{
    struct world w;

    begin_with(&w, make_tenants);
    struct file_list list = list_files(&w);
    for (int i = 0; i < list.n; i++) {
        struct mni_dir *dir = open_dir(&w, list.files[i].dir);
        CHECK_OK(mni_dir_unlink(dir, list.files[i].name, NULL));
        mni_dir_close(dir);
        (void)judge_tenants(&w);
        end(&w);
        begin_with(&w, make_tenants);
    }
    end(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(an_undamaged_store_comes_back_whole),
        CHECK_TEST(any_byte_may_be_flipped),
        CHECK_TEST(without_liveness_overwritten_versions_do_not_come_back),
        CHECK_TEST(any_file_may_be_cut_or_missing),
        CHECK_TEST(any_allocation_may_fail),
        CHECK_TEST(any_call_may_fail),
        CHECK_TEST(what_is_cut_off_is_no_store),
        CHECK_TEST(no_entry_becomes_another_tenants),
        CHECK_TEST(any_file_with_tenants_may_be_missing),
    };

    return check_run("fault.salvage", tests, CHECK_COUNT(tests), argc, argv);
}
