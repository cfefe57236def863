/* Tests of tenants in snapshots, in what is restored of them, and in what salvage finds. */
#include "tenant_fixture.h"

/* Copies ---------- */

static void put_tenants(struct entry *entries)
{
    struct entry others[3];

    (void)put(store, mn_str("n"), mn_str("a"), "1");
    store_entries(a_tenant, entries, N_ENTRIES);
    store_entries(UINT64_MAX, others, 3);
    checkpoint();
    hit(a_tenant, &entries[3], 8);
    hit(a_tenant, &entries[0], 9);
    checkpoint();
    store_entry(a_tenant, &entries[6]);
    hit(a_tenant, &entries[6], 10);
}

static void check_copy(const char *path, const struct mn_options *o, const struct entry *entries,
                       bool has_lsns)
{
    uint64_t tenants[4];
    size_t n = 0;

    CHECK_OK_ERR(mn_open(path, o, &store, &err), &err);
    check_all(a_tenant, entries, N_ENTRIES, has_lsns);
    CHECK_OK(mni_engine_list_tenants(store->engine, 0, tenants, 4, &n, &err));
    CHECK(n == 2 && tenants[0] == a_tenant && tenants[1] == UINT64_MAX);
    CHECK_EQ(n_namespaces(), 1);
    CHECK_EQ(stats_of(store).n_records, N_ENTRIES + 4);
    closed(store);
}

static void snapshots_have_tenants(void)
{
    struct place p = new_place();
    struct entry entries[N_ENTRIES];
    struct mn_snapshot_info info;
    struct mn_snapshot_options bare = {.size = sizeof bare, .without_metadata = true};
    char pool[600];

    store = opened(p.store);
    put_tenants(entries);
    create(store, NULL, &info);
    CHECK_EQ(info.n_namespaces, 1);
    CHECK_EQ(info.n_records, N_ENTRIES + 4);
    (void)snprintf(pool, sizeof pool, "%s/export", p.dir);
    bare.to = pool;
    struct mn_snapshot_info bare_info;
    create(store, &bare, &bare_info);
    CHECK_EQ(bare_info.n_records, N_ENTRIES + 4);
    store_entry(a_tenant, &(struct entry){.id = 5});
    closed(store);
    const struct mn_options shown = {.size = sizeof shown, .snapshot_id = info.id};
    check_copy(p.store, &shown, entries, true);
    struct mn_restore_report report =
        restored(p.store, info.id, (struct mn_restore_options){.into = p.other});
    CHECK_EQ(report.n_namespaces, 1);
    CHECK_EQ(report.n_records, N_ENTRIES + 4);
    check_copy(p.other, NULL, entries, true);
    report = restored(p.store, info.id, (struct mn_restore_options){.replace = p.store});
    CHECK_EQ(report.n_records, N_ENTRIES + 4);
    check_copy(p.store, NULL, entries, true);
}

static void one_namespace_is_restored_without_tenants(void)
{
    struct place p = new_place();
    struct entry entries[N_ENTRIES];
    struct mn_snapshot_info info;
    uint64_t tenant;
    size_t n = 9;

    store = opened(p.store);
    put_tenants(entries);
    create(store, NULL, &info);
    closed(store);
    struct mn_restore_report report = restored(
        p.store, info.id, (struct mn_restore_options){.into = p.other, .name = mn_str("n")});
    CHECK_EQ(report.n_records, 1);
    store = opened(p.other);
    CHECK_OK(mni_engine_list_tenants(store->engine, 0, &tenant, 1, &n, &err));
    CHECK_EQ(n, 0);
    CHECK_EQ(n_namespaces(), 1);
    closed(store);
}

static void a_moment_has_its_tenants(void)
{
    struct place p = new_place();
    struct entry entries[N_ENTRIES];
    struct mn_snapshot_info info;
    char archive[600];

    (void)snprintf(archive, sizeof archive, "%s/archive", p.dir);
    store = opened(p.store);
    CHECK_OK_ERR(mn_config_set(store, "archive_dir", archive, &err), &err);
    create(store, NULL, &info);
    put_tenants(entries);
    uint64_t lsn = stats_of(store).current_lsn;
    hit(a_tenant, &(struct entry){.id = 0}, 1000);
    checkpoint();
    closed(store);
    mn_snapshots *pool = pool_of(p.store);
    struct mn_restore_options o = {.size = sizeof o, .into = p.other, .at_lsn = lsn};
    struct mn_restore_report report = {.size = sizeof report};
    CHECK_OK_ERR(mn_snapshot_restore(pool, NULL, &o, &report, &err), &err);
    mn_snapshots_close(pool);
    check_copy(p.other, NULL, entries, true);
}

/* Salvage ---------- */

static void salvage(const struct place *p, struct mn_salvage_report *report)
{
    *report = (struct mn_salvage_report){.size = sizeof *report};
    CHECK_OK_ERR(mn_salvage(p->store, p->other, NULL, report, &err), &err);
}

static void tenants_are_salvaged(void)
{
    struct place p = new_place();
    struct entry entries[N_ENTRIES];
    struct mn_salvage_report report;

    store = opened(p.store);
    put_tenants(entries);
    closed(store);
    salvage(&p, &report);
    CHECK_EQ(report.n_damages, 0);
    CHECK_EQ(report.n_namespaces, 1);
    check_copy(p.other, NULL, entries, false);
}

static void segment_of(const struct place *p, char *path, size_t path_bytes)
{
    char dir[600];
    int n = 0;

    (void)snprintf(dir, sizeof dir, "%s/seg", p->store);
    DIR *d = opendir(dir);
    CHECK(d != NULL);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (strstr(e->d_name, ".seg") != NULL) {
            (void)snprintf(path, path_bytes, "%s/%s", dir, e->d_name);
            n++;
        }
    (void)closedir(d);
    CHECK_EQ(n, 1);
}

/* Damages the block in which the keys of the catalogue's rows lie. */
static void damage_catalogue(const struct place *p, uint64_t tenant)
{
    unsigned char key[1 + MNI_TENANT_KEY_BYTES] = {MNI_KIND_TENANT};
    static unsigned char bytes_of_file[4 << 20];
    char path[900];
    int n_damaged = 0;

    segment_of(p, path, sizeof path);
    (void)mni_tenant_key(tenant, key + 1);
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    size_t n = fread(bytes_of_file, 1, sizeof bytes_of_file, file);
    CHECK(n < sizeof bytes_of_file);
    for (size_t i = 0; i + sizeof key <= n; i++) {
        if (memcmp(bytes_of_file + i, key, sizeof key) != 0)
            continue;
        CHECK_EQ(fseek(file, (long)i, SEEK_SET), 0);
        CHECK_EQ(fputc(0xff, file), 0xff);
        n_damaged++;
    }
    CHECK(n_damaged > 0);
    CHECK_EQ(fclose(file), 0);
}

/* So many that their keys take several blocks, of which one lies with the catalogue's. */
static void entries_whose_row_is_lost_find_their_tenant(void)
{
    enum { N_MANY = 4000 };
    struct place p = new_place();
    struct mn_salvage_report report;
    struct mni_found found;
    uint64_t tenants[4];
    size_t n = 0;

    store = opened(p.store);
    CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
    for (int i = 0; i < N_MANY; i++) {
        struct entry e = entry_of(a_tenant, i % 7);
        e.id = (uint64_t)i;
        store_entry(a_tenant, &e);
    }
    checkpoint();
    closed(store);
    damage_catalogue(&p, a_tenant);
    salvage(&p, &report);
    CHECK(report.n_damages > 0);
    CHECK_EQ(report.n_lost_names, 0);
    store = opened(p.other);
    CHECK_OK(mni_engine_list_tenants(store->engine, 0, tenants, 4, &n, &err));
    CHECK_EQ(n, 1);
    CHECK(tenants[0] == a_tenant);
    CHECK_EQ(n_namespaces(), 0);
    CHECK(report.n_records > N_MANY / 2);
    CHECK_EQ(stats_of(store).n_records, report.n_records);
    struct entry last = entry_of(a_tenant, (N_MANY - 1) % 7);
    last.id = N_MANY - 1;
    check_entry(a_tenant, &last, false);
    CHECK_STATUS(try_find(1, 5, &found), MN_NOT_FOUND);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(snapshots_have_tenants),
        CHECK_TEST(one_namespace_is_restored_without_tenants),
        CHECK_TEST(a_moment_has_its_tenants),
        CHECK_TEST(tenants_are_salvaged),
        CHECK_TEST(entries_whose_row_is_lost_find_their_tenant),
    };

    return check_run("engine.tenant_copies", tests, CHECK_COUNT(tests), argc, argv);
}
