/* Tests of points beside the rest of a store: readers, purge, snapshots, salvage, budgets. */
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include "points.h"

/* Beside the rest of the store ---------- */

static void a_reader_writes_nothing_and_a_child_nothing_at_all(void)
{
    struct mn_options options = small_store();
    float vector[N_DIMS];
    struct mn_point point = point_of(5, 1, vector);
    struct mn_timeline timeline;
    mn_range *range;
    int status = 0;

    begin_with(7);
    (void)put_at(7, 5, 1);
    range = ranged(7, 5, 0, 1, false, 0);
    pid_t child = fork();
    if (child == 0) {
        struct mn_point_view view;
        bool is_refused = mn_temporal_range_next(range, &view, NULL) == MN_ERR_FORKED &&
                          mn_temporal_put(store, 7, &point, NULL, NULL, NULL) == MN_ERR_FORKED &&
                          mn_temporal_timeline(store, 7, 5, &timeline, NULL) == MN_ERR_FORKED;
        mn_temporal_range_close(range);
        _exit(is_refused ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    mn_temporal_range_close(range);
    closed(store);
    options.read_only = true;
    options.create = false;
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    CHECK_STATUS(mn_temporal_put(store, 7, &point, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_temporal_delete(store, 7, 5, 1, NULL, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_temporal_delete_entity(store, 7, 5, NULL, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_temporal_drop_space(store, 7, NULL, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(try_make(8, mn_str(""), 1), MN_ERR_READ_ONLY);
    check_timeline(7, 5, 1, 1, 1);
    CHECK_EQ(stats_of(store).n_spaces, 1);
    closed(store);
}

/* Two namespaces and three spaces of which one is empty, in log and segments. */
static void begin_mixed(void)
{
    begin();
    CHECK(make(7, "me", N_DIMS));
    put(store, mn_str("notes"), mn_str("a"), "tea");
    (void)put_at(7, 5, 1);
    checkpoint();
    CHECK(make(UINT32_MAX, "other", 4));
    CHECK(make(8, "", N_DIMS));
    put(store, mn_str("more"), mn_str("b"), "coffee");
    (void)put_at(7, 5, 2);
    (void)put_at(8, 6, INT64_MIN);
    (void)put_at(8, 6, INT64_MAX);
}

static void check_mixed(void)
{
    CHECK_EQ(called("me"), 7);
    CHECK_EQ(called("other"), UINT32_MAX);
    check_timeline(7, 5, 2, 1, 2);
    check_timeline(8, 6, 2, INT64_MIN, INT64_MAX);
    CHECK_EQ(info_of(UINT32_MAX).n_dims, 4);
    CHECK_EQ(info_of(UINT32_MAX).n_points, 0);
    CHECK_EQ(info_of(8).name_bytes, 0);
    CHECK(holds(store, mn_str("notes"), mn_str("a"), "tea"));
    CHECK(holds(store, mn_str("more"), mn_str("b"), "coffee"));
    CHECK_EQ(stats_of(store).n_spaces, 3);
    CHECK_EQ(stats_of(store).n_namespaces, 2);
    CHECK_EQ(stats_of(store).n_records, 6);
}

static unsigned count_namespaces(void)
{
    mn_namespace_iter *iter = NULL;
    struct mn_namespace_info info;
    unsigned n = 0;

    CHECK_OK(mn_namespace_iter_open(store, mn_str(""), &iter, &err));
    while (mn_namespace_iter_next(iter, &info, &err) == MN_OK)
        n++;
    mn_namespace_iter_close(iter);
    return n;
}

static void spaces_stay_when_the_store_is_opened_again(void)
{
    begin_mixed();
    CHECK_EQ(count_namespaces(), 2);
    for (int i = 0; i < 3; i++) {
        check_mixed();
        reopen();
        if (i == 1)
            checkpoint();
    }
    CHECK_STATUS(mn_namespace_exists(store, mn_str("me"), &(bool){false}, &err), MN_OK);
    CHECK_EQ(count_namespaces(), 2);
    closed(store);
    struct mn_verify_report report = {.size = sizeof report};
    CHECK_OK_ERR(mn_verify(path, &report, &err), &err);
}

static void points_survive_the_purge_of_what_lies_beside(void)
{
    struct mn_slice id = mn_str("a");

    begin_mixed();
    CHECK_OK_ERR(mn_purge(store, mn_str("notes"), &id, 1, NULL, &err), &err);
    put(store, mn_str("notes"), mn_str("a"), "tea");
    CHECK_OK_ERR(mn_purge_namespace(store, mn_str("more"), NULL, &err), &err);
    put(store, mn_str("more"), mn_str("b"), "coffee");
    check_mixed();
    reopen();
    check_mixed();
    closed(store);
}

/* Snapshots ---------- */

static void id_of_snapshot(const char *to, bool without_metadata, char id_out[MN_SNAPSHOT_ID_BYTES])
{
    const struct mn_snapshot_options options = {
        .size = sizeof options, .to = to, .without_metadata = without_metadata};
    struct mn_snapshot_info info = {.size = sizeof info};
    struct mn_snapshot_namespace namespace;
    mn_snapshot *snapshot = NULL;

    CHECK_OK_ERR(mn_snapshot_create(store, &options, &snapshot, &err), &err);
    CHECK_OK(mn_snapshot_get_info(snapshot, &info, &err));
    CHECK_EQ(info.n_namespaces, 2);
    CHECK_EQ(info.n_records, 6);
    CHECK_OK(mn_snapshot_get_namespace(snapshot, 1, &namespace, &err));
    CHECK_EQ(namespace.name.n_bytes, 5);
    CHECK_STATUS(mn_snapshot_get_namespace(snapshot, 2, &namespace, &err), MN_END);
    memcpy(id_out, info.id, MN_SNAPSHOT_ID_BYTES);
    mn_snapshot_free(snapshot);
}

static void restored(mn_snapshots *snapshots, const char *id, const char *to, const char *name,
                     struct mn_restore_report *report)
{
    const struct mn_restore_options options = {
        .size = sizeof options, .into = to, .name = mn_str(name)};

    *report = (struct mn_restore_report){.size = sizeof *report};
    CHECK_OK_ERR(mn_snapshot_restore(snapshots, id, &options, report, &err), &err);
    store = opened(to);
}

static void spaces_come_back_from_snapshots(void)
{
    char id[MN_SNAPSHOT_ID_BYTES];
    char to[600];
    struct mn_restore_report report;
    mn_snapshots *snapshots = NULL;

    begin_mixed();
    id_of_snapshot(NULL, false, id);
    CHECK_OK(mn_temporal_drop_space(store, 7, NULL, NULL, NULL, &err));
    closed(store);
    struct mn_options options = {.size = sizeof options, .snapshot_id = id};
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    check_mixed();
    closed(store);
    CHECK_OK(mn_snapshots_open_of(path, &snapshots, &err));
    (void)snprintf(to, sizeof to, "%s/all", check_temp_dir());
    restored(snapshots, id, to, "", &report);
    CHECK(report.n_namespaces == 2 && report.n_records == 6);
    check_mixed();
    closed(store);
    (void)snprintf(to, sizeof to, "%s/one", check_temp_dir());
    restored(snapshots, id, to, "notes", &report);
    CHECK(report.n_namespaces == 1 && report.n_records == 1);
    CHECK_EQ(stats_of(store).n_spaces, 0);
    CHECK(holds(store, mn_str("notes"), mn_str("a"), "tea"));
    closed(store);
    const struct mn_restore_options none = {
        .size = sizeof none, .into = "/nowhere", .name = mn_str("me")};
    CHECK_STATUS(mn_snapshot_restore(snapshots, id, &none, NULL, &err), MN_NOT_FOUND);
    mn_snapshots_close(snapshots);
}

static void an_export_without_metadata_keeps_spaces_and_vectors(void)
{
    char id[MN_SNAPSHOT_ID_BYTES];
    char to[600];
    char pool[600];
    struct mn_restore_report report;
    mn_snapshots *snapshots = NULL;

    begin_mixed();
    (void)snprintf(pool, sizeof pool, "%s/export", check_temp_dir());
    id_of_snapshot(pool, true, id);
    closed(store);
    CHECK_OK(mn_snapshots_open(pool, &snapshots, &err));
    (void)snprintf(to, sizeof to, "%s/bare", check_temp_dir());
    restored(snapshots, id, to, "", &report);
    CHECK_EQ(called("me"), 7);
    check_range(7, 5, INT64_MIN, INT64_MAX, (const int64_t[]){1, 2}, 2);
    closed(store);
    mn_snapshots_close(snapshots);
}

static void spaces_survive_a_salvage_with_their_names(void)
{
    char to[600];
    struct mn_salvage_report report = {.size = sizeof report};

    begin_mixed();
    CHECK(make(20, "gone", N_DIMS));
    (void)put_at(20, 1, 1);
    CHECK_OK(mn_temporal_drop_space(store, 20, NULL, NULL, NULL, &err));
    for (int i = 0; i < 2; i++) {
        if (i == 1)
            checkpoint();
        closed(store);
        (void)snprintf(to, sizeof to, "%s/salvaged%d", check_temp_dir(), i);
        CHECK_OK_ERR(mn_salvage(path, to, NULL, &report, &err), &err);
        CHECK_EQ(report.n_damages, 0);
        CHECK(report.n_namespaces == 2 && report.n_records == 6 && report.n_lost_names == 0);
        store = opened(to);
        check_mixed();
        closed(store);
        store = opened(path);
    }
    closed(store);
}

/* The path of the only segment that there is. */
static void path_of_segment(char name_out[1200])
{
    unsigned n = 0;

    (void)snprintf(name_out, 1200, "%s/seg", path);
    DIR *dir = opendir(name_out);
    CHECK(dir != NULL);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        if (strstr(e->d_name, ".seg") != NULL) {
            (void)snprintf(name_out, 1200, "%s/seg/%s", path, e->d_name);
            n++;
        }
    (void)closedir(dir);
    CHECK_EQ(n, 1);
}

/* The rows of the catalogue go with a segment and the log; later points lie in another segment. */
static void points_of_a_space_whose_row_is_lost_come_back_in_another(void)
{
    char to[600];
    char segment[1200];
    struct mn_salvage_report report = {.size = sizeof report};
    uint32_t spaces[4];
    size_t n = 0;

    begin();
    CHECK(make(7, "me", N_DIMS));
    put(store, mn_str("notes"), mn_str("a"), "tea");
    (void)put_at(7, 5, 1);
    checkpoint();
    closed(store);
    path_of_segment(segment);
    store = opened(path);
    (void)put_at(7, 5, 2);
    (void)put_at(7, 5, -3);
    put(store, mn_str("notes"), mn_str("b"), "coffee");
    checkpoint();
    closed(store);
    CHECK_EQ(remove(segment), 0);
    (void)snprintf(segment, sizeof segment, "%s/wal", path); /* which has it, too */
    (void)snprintf(to, sizeof to, "%s/aside", check_temp_dir());
    CHECK_EQ(rename(segment, to), 0);
    (void)snprintf(to, sizeof to, "%s/salvaged", check_temp_dir());
    CHECK_OK_ERR(mn_salvage(path, to, NULL, &report, &err), &err);
    CHECK_EQ(report.n_lost_names, 2);
    store = opened(to);
    CHECK_OK(mn_temporal_list_spaces(store, 0, spaces, 4, &n, &err));
    CHECK(n == 1 && spaces[0] == UINT32_MAX);
    CHECK_EQ(info_of(UINT32_MAX).name_bytes, 0);
    check_range(UINT32_MAX, 5, INT64_MIN, INT64_MAX, (const int64_t[]){-3, 2}, 2);
    CHECK_EQ(count_namespaces(), 1);
    CHECK_EQ(stats_of(store).n_records, 3);
    closed(store);
}

/* Budgets ---------- */

static void views_of_points_are_counted_as_pinned(void)
{
    enum { N = 40 };
    static unsigned char payload[64 << 10];
    struct mn_options options = small_store();
    struct mn_point_view views[N];
    float vector[N_DIMS];
    size_t n = 0;

    begin_with(7);
    closed(store);
    options.pinned_bytes_max = 1 << 20;
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    for (int i = 0; i < N; i++) {
        struct mn_point point = point_of(5, i, vector);
        point.payload = bytes(payload, sizeof payload);
        CHECK_OK_ERR(mn_temporal_put(store, 7, &point, NULL, NULL, &err), &err);
    }
    while (n < N && mn_temporal_as_of(store, 7, 5, (int64_t)n, &views[n], &err) == MN_OK)
        n++;
    CHECK(n > 10 && n < 17);
    CHECK_STATUS(err.status, MN_ERR_BUDGET);
    CHECK(is_clear(&views[n]));
    CHECK_STATUS(mn_temporal_get(store, 7, 5, 0, &views[n], &err), MN_ERR_BUDGET);
    CHECK(is_clear(&views[n]));
    mn_range *range = ranged(7, 5, 0, N, false, 0);
    CHECK_STATUS(mn_temporal_range_next(range, &views[n], &err), MN_ERR_BUDGET);
    CHECK(is_clear(&views[n]));
    check_timeline(7, 5, N, 0, N - 1); /* what shows nothing pins nothing */
    CHECK_OK(mn_temporal_delete_range(store, 7, 5, 1, N, NULL, NULL, NULL, &err));
    while (n > 0)
        mn_point_release(&views[--n]);
    CHECK_OK_ERR(mn_temporal_range_next(range, &views[0], &err), &err);
    CHECK_EQ(views[0].time_us, 0); /* none was passed over */
    mn_point_release(&views[0]);
    mn_temporal_range_close(range);
    CHECK_EQ(stats_of(store).pinned_bytes, 0);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_reader_writes_nothing_and_a_child_nothing_at_all),
        CHECK_TEST(spaces_stay_when_the_store_is_opened_again),
        CHECK_TEST(points_survive_the_purge_of_what_lies_beside),
        CHECK_TEST(spaces_come_back_from_snapshots),
        CHECK_TEST(an_export_without_metadata_keeps_spaces_and_vectors),
        CHECK_TEST(spaces_survive_a_salvage_with_their_names),
        CHECK_TEST(points_of_a_space_whose_row_is_lost_come_back_in_another),
        CHECK_TEST(views_of_points_are_counted_as_pinned),
    };

    return check_run("api.temporal_store", tests, CHECK_COUNT(tests), argc, argv);
}
