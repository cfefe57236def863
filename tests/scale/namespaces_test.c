/* A hundred thousand namespaces of ten records: they load, open and serve in little memory. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "mneme/mneme.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define N_NAMESPACES 3000
#define HAS_OWN_MEMORY 0 /* what a sanitizer takes is not the library's */
#else
#define N_NAMESPACES 100000
#define HAS_OWN_MEMORY 1
#endif

enum { N_RECORDS = 10, N_DIMS_MAX = 128, RSS_MAX = 512 << 20, IDLE_BYTES_MAX = 64 };

static struct mn_error err;

/* Memory of this process that is not a file's. */
static uint64_t rss_anon(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib = 0;

    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
            break;
    (void)fclose(file);
    CHECK(kib > 0);
    return (uint64_t)kib * 1024;
}

static void check_rss(uint64_t before)
{
    if (HAS_OWN_MEMORY)
        CHECK(rss_anon() - before < RSS_MAX);
}

static struct mn_slice name_of(int i, char room[24])
{
    (void)snprintf(room, 24, "tenant-%06d", i);
    return mn_str(room);
}

static void load(mn_store *store, uint32_t n_dims, uint64_t rss_before)
{
    static float vector[N_DIMS_MAX];
    struct mn_write_options none = {.size = sizeof none, .ack = MN_ACK_NONE};
    char ids[N_RECORDS][8];
    char room[24];

    for (int i = 0; i < N_NAMESPACES; i++) {
        struct mn_record records[N_RECORDS] = {0};
        for (int r = 0; r < N_RECORDS; r++) {
            (void)snprintf(ids[r], sizeof ids[r], "rec-%d", r);
            records[r] =
                (struct mn_record){.id = mn_str(ids[r]), .vector = vector, .n_dims = n_dims};
        }
        vector[0] = (float)i;
        CHECK_OK_ERR(
            mn_put_batch(store, name_of(i, room), records, N_RECORDS, &none, NULL, NULL, &err),
            &err);
        if (i % 1000 == 0)
            check_rss(rss_before);
    }
}

static void check_served(mn_store *store)
{
    mn_namespace_iter *names = NULL;
    struct mn_namespace_info info;
    struct mn_view view;
    char room[24];
    uint64_t n = 0;
    int n_names = 0;

    for (int i = 0; i < N_NAMESPACES; i++) {
        CHECK_OK_ERR(mn_get(store, name_of(i, room), mn_str("rec-5"), &view, &err), &err);
        CHECK(view.vector[0] == (float)i);
        mn_view_release(&view);
        CHECK_OK_ERR(mn_count(store, name_of(i, room), &n, &err), &err);
        CHECK_EQ(n, N_RECORDS);
    }
    CHECK_OK_ERR(mn_namespace_iter_open(store, mn_str(""), &names, &err), &err);
    while (mn_namespace_iter_next(names, &info, &err) == MN_OK) {
        struct mn_slice name = name_of(n_names, room);
        CHECK(info.name.n_bytes == name.n_bytes &&
              memcmp(info.name.data, name.data, name.n_bytes) == 0);
        CHECK_EQ(info.n_records, N_RECORDS);
        n_names++;
    }
    mn_namespace_iter_close(names);
    CHECK_EQ(n_names, N_NAMESPACES);
}

static struct mn_stats stats_of(mn_store *store)
{
    struct mn_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_stats(store, &stats, &err));
    CHECK(stats.memory_bytes <= stats.memory_bytes_max);
    return stats;
}

static void check_store(uint32_t n_dims)
{
    const struct mn_options options = {.size = sizeof options, .create = true};
    const char *path = check_temp_dir();
    uint64_t before = rss_anon();
    mn_store *store = NULL;

    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    load(store, n_dims, before);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK_ERR(mn_close(store, &err), &err);

    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    struct mn_stats idle = stats_of(store);
    CHECK_EQ(idle.n_namespaces, N_NAMESPACES);
    CHECK_EQ(idle.n_records, (uint64_t)N_NAMESPACES * N_RECORDS);
    if (HAS_OWN_MEMORY) /* the log's buffers are for all of them together */
        CHECK(idle.memory_bytes < (uint64_t)N_NAMESPACES * IDLE_BYTES_MAX);
    check_rss(before);
    check_served(store);
    if (HAS_OWN_MEMORY)
        CHECK(stats_of(store).memory_bytes < (uint64_t)N_NAMESPACES * IDLE_BYTES_MAX);
    check_rss(before);
    CHECK_OK_ERR(mn_close(store, &err), &err);
}

static void a_hundred_thousand_namespaces_of_short_vectors_fit(void)
{
    check_store(16);
}

static void a_hundred_thousand_namespaces_of_long_vectors_fit(void)
{
    check_store(N_DIMS_MAX);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_hundred_thousand_namespaces_of_short_vectors_fit),
        CHECK_TEST(a_hundred_thousand_namespaces_of_long_vectors_fit),
    };

    return check_run("scale.namespaces", tests, CHECK_COUNT(tests), argc, argv);
}
