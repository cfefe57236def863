/*
 * bench_snapshots.c - making snapshots and restoring them, beside RocksDB's checkpoints and
 * backups.
 *
 * Owns:    one database at a time, in a child process.
 * Threads: one, and those of the stores.
 * Fails:   by ending the program with a message.
 *
 * Snapshots in the pool are links, as RocksDB's checkpoints are; exports go to another file system
 * and are copies, as RocksDB's backups are. Before something is copied it is dropped from the page
 * cache.
 */
#include "bench_snapshots.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "child.h"
#include "disk.h"
#include "mneme_fill.h"
#include "peer.h"
#include "peer_rocksdb.h"

enum {
    BATCH_RECORDS = 100,
    CHANGED_PART = 100, /* one of so many */
    REST_SECONDS = 1,
    RECORD_BYTES = BENCH_ID_BYTES + SNAPSHOTS_DIMENSIONS * sizeof(float),
};

enum figure {
    FIGURE_CREATE_MS,
    FIGURE_CREATE_MB,
    FIGURE_EXPORT_MS,
    FIGURE_EXPORT_MB,
    FIGURE_AGAIN_MS,
    FIGURE_AGAIN_MB,
    FIGURE_OWN_PERCENT,
    FIGURE_LINK_MS,
    FIGURE_RESTORE_RATE,
    FIGURE_COPY_RATE,
    N_FIGURES,
};
static_assert((int)N_FIGURES <= (int)SNAPSHOTS_FIGURES_MAX, "they fit");

/* One run, shared with the children that do it. */
struct job {
    const struct bench_options *options;
    char dir[BENCH_PATH_BYTES];   /* on the disk */
    char other[BENCH_PATH_BYTES]; /* on the other file system */
    char store[BENCH_PATH_BYTES];
    char export[BENCH_PATH_BYTES];
    char made[BENCH_PATH_BYTES];     /* pool or checkpoint */
    char restored[BENCH_PATH_BYTES]; /* whatever comes back */
    struct mn_snapshot_info in_pool; /* the newest; its description means nothing here */
    struct mn_snapshot_info exported;
    double figures[N_FIGURES];
};

void snapshots_path(const char *base, const char *name, char path_out[BENCH_PATH_BYTES])
{
    int n = snprintf(path_out, BENCH_PATH_BYTES, "%s/%s", base, name);
    if (n < 0 || n >= BENCH_PATH_BYTES)
        bench_die("the path %s is too long", base);
}

double snapshots_tell(const struct bench_options *options, const struct bench_contender *self,
                      void *state)
{
    const struct asked *asked = self->context;
    struct runs *runs = asked->runs;
    unsigned round = runs->n_told[asked->figure]++;

    (void)state;
    if (round == runs->n_rounds) {
        runs->run(options, runs, runs->figures[round]);
        runs->n_rounds++;
    }
    return runs->figures[round][asked->figure];
}

/* Until the stores have tidied up behind what was stored, and the disk holds it all. */
static void let_rest(const struct bench_options *options)
{
    bench_settle(options);
    nanosleep(&(struct timespec){.tv_sec = REST_SECONDS}, NULL);
    bench_settle(options);
}

/* Mneme -----------------------------------------------------------------------------------------
 */

void snapshots_put(mn_store *store, uint64_t first_index, size_t n_records, const float *vectors)
{
    struct mn_error err;

    mneme_put_range(store, &(const struct mneme_fill){.first_index = first_index,
                                                      .n_records = n_records,
                                                      .records_per_commit = BATCH_RECORDS,
                                                      .vectors = vectors,
                                                      .n_vectors = SNAPSHOTS_POOL_VECTORS,
                                                      .n_dims = SNAPSHOTS_DIMENSIONS,
                                                      .ack = MN_ACK_OS});
    mneme_must(mn_flush(store, &err), "flush", &err);
}

mn_store *snapshots_new_store(const struct bench_options *options, const char *path,
                              const float *vectors)
{
    struct mn_options open_options = {.size = sizeof open_options, .create = true};
    mn_store *store = NULL;
    struct mn_error err;

    mneme_must(mn_open(path, &open_options, &store, &err), "open", &err);
    snapshots_put(store, 0, bench_scaled(options, SNAPSHOTS_RECORDS), vectors);
    mneme_must(mn_checkpoint(store, &err), "checkpoint", &err);
    return store;
}

double snapshots_create(mn_store *store, const char *to, bool is_incremental,
                        struct mn_snapshot_info *info_out)
{
    struct mn_snapshot_options options = {
        .size = sizeof options, .to = to, .incremental = is_incremental};
    mn_snapshot *snapshot = NULL;
    struct mn_error err;

    double start = bench_now();
    mneme_must(mn_snapshot_create(store, &options, &snapshot, &err), "snapshot", &err);
    double elapsed = bench_now() - start;
    info_out->size = sizeof *info_out;
    mneme_must(mn_snapshot_get_info(snapshot, info_out, &err), "info", &err);
    mn_snapshot_free(snapshot);
    return elapsed;
}

/* The number of the `i`-th record that is changed. */
static uint64_t changed_index(const struct bench_options *options, uint64_t *random)
{
    return bench_random(random) % bench_scaled(options, SNAPSHOTS_RECORDS);
}

static uint64_t n_runs(mn_store *store)
{
    struct mn_stats stats = {.size = sizeof stats};
    struct mn_error err;

    mneme_must(mn_stats(store, &stats, &err), "stats", &err);
    return stats.n_runs;
}

static void change_mneme(const struct job *job, mn_store *store, const float *vectors)
{
    size_t n = bench_scaled(job->options, SNAPSHOTS_RECORDS) / CHANGED_PART;
    uint64_t random = 7;

    /* The vectors are others than before: the pool of them is handed over from its second on. */
    for (size_t i = 0; i < n; i++)
        snapshots_put(store, changed_index(job->options, &random), 1,
                      vectors + SNAPSHOTS_DIMENSIONS);
}

static double make_mneme(void *context)
{
    struct job *job = context;
    float *vectors = bench_vectors(SNAPSHOTS_POOL_VECTORS + 1, SNAPSHOTS_DIMENSIONS);
    struct mn_error err;

    bench_warm_memory(bench_scaled(job->options, SNAPSHOTS_RECORDS) * RECORD_BYTES);
    mn_store *store = snapshots_new_store(job->options, job->store, vectors);
    let_rest(job->options);
    job->figures[FIGURE_CREATE_MS] = snapshots_create(store, NULL, false, &job->in_pool) * 1e3;
    job->figures[FIGURE_CREATE_MB] = disk_bytes(job->made) / 1e6;

    disk_cache_drop(job->store);
    job->figures[FIGURE_EXPORT_MS] =
        snapshots_create(store, job->export, false, &job->exported) * 1e3;
    double export_bytes = disk_bytes(job->export);
    job->figures[FIGURE_EXPORT_MB] = export_bytes / 1e6;

    uint64_t n_runs_before = n_runs(store);
    change_mneme(job, store, vectors);
    let_rest(job->options);
    job->figures[FIGURE_AGAIN_MS] =
        snapshots_create(store, job->export, true, &job->exported) * 1e3;
    job->figures[FIGURE_AGAIN_MB] = (disk_bytes(job->export) - export_bytes) / 1e6;
    (void)snapshots_create(store, NULL, true, &job->in_pool);
    job->figures[FIGURE_OWN_PERCENT] =
        (double)job->in_pool.own_bytes / (double)job->in_pool.n_bytes * 100;
    if (n_runs(store) != n_runs_before + 1)
        fprintf(stderr, "bench: a merge ran between the two snapshots, and added to the second\n");
    mneme_must(mn_close(store, &err), "close", &err);
    free(vectors);
    return 0;
}

static double restore(const char *pool, const char *id, const char *into)
{
    struct mn_restore_options options = {.size = sizeof options, .into = into};
    mn_snapshots *snapshots = NULL;
    struct mn_error err;

    double start = bench_now();
    mneme_must(mn_snapshots_open(pool, &snapshots, &err), "open snapshots", &err);
    mneme_must(mn_snapshot_restore(snapshots, id, &options, NULL, &err), "restore", &err);
    mn_snapshots_close(snapshots);
    return bench_now() - start;
}

static double restore_linked(void *context)
{
    const struct job *job = context;
    return restore(job->made, job->in_pool.id, job->restored);
}

static double restore_copied(void *context)
{
    const struct job *job = context;
    return restore(job->export, job->exported.id, job->restored);
}

/* Bytes a second. */
static double copy_plainly(void *context)
{
    const struct job *job = context;
    char files[BENCH_PATH_BYTES];

    snapshots_path(job->export, "files", files);
    if (mkdir(job->restored, 0777) != 0)
        bench_die("cannot make %s: %s", job->restored, strerror(errno));
    double start = bench_now();
    double n_bytes = disk_copy(files, job->restored);
    return n_bytes / (bench_now() - start);
}

static void clear_restored(const struct bench_options *options)
{
    bench_dir_remove(options, "restored");
    bench_settle(options);
}

static void run_mneme(const struct bench_options *options, struct job *job)
{
    snapshots_path(job->dir, "store.snapshots", job->made);
    bench_in_child(make_mneme, job, 0);
    bench_settle(options);

    disk_cache_fill(job->made);
    job->figures[FIGURE_LINK_MS] = bench_in_child(restore_linked, job, 0) * 1e3;
    clear_restored(options);

    disk_cache_drop(job->export);
    job->figures[FIGURE_RESTORE_RATE] =
        (double)job->exported.n_bytes / bench_in_child(restore_copied, job, 0) / 1e6;
    clear_restored(options);

    disk_cache_drop(job->export);
    job->figures[FIGURE_COPY_RATE] = bench_in_child(copy_plainly, job, 0) / 1e6;
    clear_restored(options);
}

/* RocksDB ---------------------------------------------------------------------------------------
 */

static double timed_backup(struct rocks_backups *backups, void *db)
{
    double start = bench_now();
    rocks_backup(backups, db);
    return bench_now() - start;
}

static void change_rocks(const struct job *job, void *db, const float *vectors)
{
    size_t n = bench_scaled(job->options, SNAPSHOTS_RECORDS) / CHANGED_PART;
    uint64_t random = 7;

    for (size_t i = 0; i < n; i++) {
        uint64_t index = changed_index(job->options, &random);
        peer_rocksdb_levels.put(
            db, index, vectors + (index % SNAPSHOTS_POOL_VECTORS + 1) * SNAPSHOTS_DIMENSIONS);
    }
}

static double make_rocks(void *context)
{
    struct job *job = context;
    float *vectors = bench_vectors(SNAPSHOTS_POOL_VECTORS + 1, SNAPSHOTS_DIMENSIONS);
    struct bench_records records = {.n_records = bench_scaled(job->options, SNAPSHOTS_RECORDS),
                                    .vectors = vectors,
                                    .n_vectors = SNAPSHOTS_POOL_VECTORS,
                                    .n_dims = SNAPSHOTS_DIMENSIONS};
    struct bench_use use = {.n_records = records.n_records, .n_dims = SNAPSHOTS_DIMENSIONS};

    bench_warm_memory(records.n_records * RECORD_BYTES);
    void *db = peer_rocksdb_levels.open(job->store, &use);
    peer_rocksdb_levels.load(db, &records);
    peer_rocksdb_levels.settle(db);
    let_rest(job->options);
    double start = bench_now();
    rocks_checkpoint(db, job->made);
    job->figures[FIGURE_CREATE_MS] = (bench_now() - start) * 1e3;
    job->figures[FIGURE_CREATE_MB] = disk_bytes(job->made) / 1e6;

    struct rocks_backups *backups = rocks_backups_open(job->export);
    disk_cache_drop(job->store);
    job->figures[FIGURE_EXPORT_MS] = timed_backup(backups, db) * 1e3;
    double export_bytes = disk_bytes(job->export);
    job->figures[FIGURE_EXPORT_MB] = export_bytes / 1e6;

    change_rocks(job, db, vectors);
    let_rest(job->options);
    job->figures[FIGURE_AGAIN_MS] = timed_backup(backups, db) * 1e3;
    job->figures[FIGURE_AGAIN_MB] = (disk_bytes(job->export) - export_bytes) / 1e6;
    rocks_backups_close(backups);
    peer_rocksdb_levels.close(db);
    free(vectors);
    return 0;
}

/* Bytes a second; until they are durable, as they are after Mneme's. */
static double restore_backup(void *context)
{
    const struct job *job = context;
    struct rocks_backups *backups = rocks_backups_open(job->export);

    double start = bench_now();
    rocks_restore(backups, job->restored);
    bench_settle(job->options);
    double elapsed = bench_now() - start;
    rocks_backups_close(backups);
    return disk_bytes(job->restored) / elapsed;
}

static void run_rocks(const struct bench_options *options, struct job *job)
{
    snapshots_path(job->dir, "made", job->made);
    bench_in_child(make_rocks, job, 0);
    bench_settle(options);

    disk_cache_drop(job->export);
    job->figures[FIGURE_RESTORE_RATE] = bench_in_child(restore_backup, job, 0) / 1e6;
    clear_restored(options);
}

/* Cases -----------------------------------------------------------------------------------------
 */

static void run(const struct bench_options *options, const struct runs *self, double *figures_out)
{
    void (*const *run_one)(const struct bench_options *, struct job *) = self->context;
    struct bench_options other = *options;
    struct job *job = bench_shared_new(sizeof *job);

    other.dir = options->other;
    job->options = options;
    bench_dir_make(options, "snapshots", job->dir);
    bench_dir_make(&other, "snapshots", job->other);
    bench_dir_make(options, "restored", job->restored);
    bench_dir_remove(options, "restored");
    snapshots_path(job->dir, "store", job->store);
    snapshots_path(job->other, "export", job->export);
    bench_settle(options);
    (*run_one)(options, job);
    bench_dir_remove(options, "snapshots");
    bench_dir_remove(&other, "snapshots");
    memcpy(figures_out, job->figures, sizeof job->figures);
    bench_shared_free(job, sizeof *job);
}

/* A case, without its contenders. */
struct question {
    struct bench_case shape;
    enum figure figure;
    bool asks_rocksdb;
    bool asks_copy;
};

#define AT_MOST(of_, against_, bound_)                                                             \
    {                                                                                              \
        .of = (of_), .against = (against_), .bound = (bound_), .is_upper_bound = true              \
    }

static const struct bench_target as_fast_and_100_ms[] = {AT_MOST("mneme", NULL, 100),
                                                         AT_MOST("mneme", "rocksdb", 1)};
static const struct bench_target no_more[] = {AT_MOST("mneme", "rocksdb", 1)};
static const struct bench_target three_percent[] = {AT_MOST("mneme", NULL, 3)};
static const struct bench_target one_second[] = {AT_MOST("mneme", NULL, 1000)};
static const struct bench_target rate_of_copy[] = {
    {.of = "mneme", .against = "bare-copy", .bound = 0.7}};

static const struct question questions[] = {
    {{.name = "snapshot",
      .title = "a snapshot in the pool, beside a checkpoint of RocksDB",
      .unit = "ms",
      .targets = as_fast_and_100_ms,
      .n_targets = 2},
     .figure = FIGURE_CREATE_MS,
     .asks_rocksdb = true},
    {{.name = "snapshot-bytes",
      .title = "files of that snapshot",
      .unit = "MB",
      .targets = no_more,
      .n_targets = 1},
     .figure = FIGURE_CREATE_MB,
     .asks_rocksdb = true},
    {{.name = "snapshot-own",
      .title = "own bytes of an incremental snapshot, 1 % changed",
      .unit = "% of all",
      .targets = three_percent,
      .n_targets = 1},
     .figure = FIGURE_OWN_PERCENT},
    {{.name = "export",
      .title = "an export by copy, beside a backup of RocksDB",
      .unit = "ms",
      .targets = no_more,
      .n_targets = 1},
     .figure = FIGURE_EXPORT_MS,
     .asks_rocksdb = true},
    {{.name = "export-bytes",
      .title = "files of that export",
      .unit = "MB",
      .targets = no_more,
      .n_targets = 1},
     .figure = FIGURE_EXPORT_MB,
     .asks_rocksdb = true},
    {{.name = "export-again",
      .title = "an incremental export, 1 % changed",
      .unit = "ms",
      .targets = no_more,
      .n_targets = 1},
     .figure = FIGURE_AGAIN_MS,
     .asks_rocksdb = true},
    {{.name = "export-again-bytes",
      .title = "what that export added",
      .unit = "MB",
      .targets = no_more,
      .n_targets = 1},
     .figure = FIGURE_AGAIN_MB,
     .asks_rocksdb = true},
    {{.name = "restore-link",
      .title = "restoring by link, in the page cache",
      .unit = "ms",
      .targets = one_second,
      .n_targets = 1},
     .figure = FIGURE_LINK_MS},
    {{.name = "restore-copy",
      .title = "restoring an export by copy",
      .unit = "MB/s",
      .targets = rate_of_copy,
      .n_targets = 1},
     .figure = FIGURE_RESTORE_RATE,
     .asks_rocksdb = true,
     .asks_copy = true},
};

static void ask(const struct bench_options *options, const struct question *question,
                struct runs *mneme, struct runs *rocks)
{
    struct asked own = {mneme, question->figure};
    struct asked peer = {rocks, question->figure};
    struct asked copy = {mneme, FIGURE_COPY_RATE};
    struct bench_contender contenders[3] = {
        {.name = "mneme",
         .settings = "defaults; full ones after mn_checkpoint, incremental ones with the changes "
                     "still in the buffer; a restore verifies all files first",
         .context = &own,
         .measure = snapshots_tell}};
    struct bench_case filled = question->shape;

    filled.contenders = contenders;
    filled.n_contenders = 1;
    if (question->asks_rocksdb)
        contenders[filled.n_contenders++] = (struct bench_contender){
            .name = "rocksdb",
            .settings = "no compression; write buffers 64 MiB; full ones after a compaction of all "
                        "and a flush; backups with their defaults: synced, the log is copied",
            .context = &peer,
            .measure = snapshots_tell};
    if (question->asks_copy)
        contenders[filled.n_contenders++] =
            (struct bench_contender){.name = "bare-copy",
                                     .settings = "read, pwrite and fdatasync of the same files",
                                     .context = &copy,
                                     .measure = snapshots_tell};
    bench_run(options, &filled);
}

int main(int argc, char **argv)
{
    static void (*const own)(const struct bench_options *, struct job *) = run_mneme;
    static void (*const peer)(const struct bench_options *, struct job *) = run_rocks;
    struct bench_options options;
    struct runs *mneme = bench_alloc(sizeof *mneme);
    struct runs *rocks = bench_alloc(sizeof *rocks);

    bench_parse(argc, argv, &options);
    if (disk_is_same(options.dir, options.other))
        bench_die("--other %s lies on the file system of --dir: exports there would be links",
                  options.other);
    *mneme = (struct runs){.run = run, .context = &own};
    *rocks = (struct runs){.run = run, .context = &peer};
    run_stalls(&options);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        ask(&options, &questions[i], mneme, rocks);
    free(mneme);
    free(rocks);
    return 0;
}
