/*
 * rocks.c - the one file that includes RocksDB.
 *
 * Owns:    the database handle and its options.
 * Format:  RocksDB's; docs/format/diskcache.md says what values look like
 * Threads: see rocks.h
 * Fails:   MN_ERR_IO with RocksDB's text; MN_ERR_UNSUPPORTED where it is not built in.
 */
#include "diskcache/rocks.h"

#include "base/check.h"
#include "base/mem.h"

#ifdef MNI_HAVE_ROCKSDB

#include <inttypes.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "io/thread.h"

enum {
    KEY_BYTES = 8,
    LOG_LEVEL_FATAL = 4,
    ARENA_BLOCK_BYTES_MIN = 16 << 10,
    ARENA_BLOCK_BYTES_MAX = 1 << 20,
    BATCH_KEEP_BYTES = 4 << 20,
    NEVER = 1 << 30,
    FORCE = 2, /* kForce of BottommostLevelCompaction */
};

struct dc_rocks {
    rocksdb_options_t *options;
    rocksdb_t *db;
    rocksdb_writeoptions_t *write_options;
    rocksdb_readoptions_t *read_options;
    rocksdb_flushoptions_t *flush_now;
    rocksdb_flushoptions_t *flush_later;
    rocksdb_writebatch_t *batch;
    uint64_t batch_bytes; /* of the values in it */
};

/* Big-endian, so that RocksDB's order of bytes is the order of the numbers. */
static void put_key(char key[KEY_BYTES], uint64_t number)
{
    for (int i = 0; i < KEY_BYTES; i++)
        key[i] = (char)(unsigned char)(number >> (56 - 8 * i));
}

static uint64_t get_key(const char *key, size_t n)
{
    uint64_t number = 0;

    for (size_t i = 0; i < n && i < KEY_BYTES; i++)
        number = number << 8 | (unsigned char)key[i];
    return number;
}

/* Takes over RocksDB's text. */
static mn_status check(char *text, const char *what, struct mn_error *err)
{
    if (text == NULL)
        return MN_OK;
    /* Of many lines perhaps, and with any bytes of a file's name. */
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7F)
            *c = '?';
    mn_status st = mni_fail(err, MN_ERR_IO, "RocksDB, %s: %.400s", what, text);
    rocksdb_free(text);
    return st;
}

/* Files move only when they are told to, and nothing is written that was not put: no log, no
 * statistics, a short report. */
static rocksdb_options_t *make_options(const struct dc_rocks_config *config)
{
    rocksdb_options_t *o = rocksdb_options_create();
    uint64_t arena_bytes = config->buffer_bytes / 8;

    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    rocksdb_options_set_num_levels(o, 2);
    rocksdb_options_set_disable_auto_compactions(o, 1);
    rocksdb_options_set_level0_file_num_compaction_trigger(o, NEVER);
    rocksdb_options_set_level0_slowdown_writes_trigger(o, NEVER);
    rocksdb_options_set_level0_stop_writes_trigger(o, NEVER);
    rocksdb_options_set_max_bytes_for_level_base(o, UINT64_C(1) << 60);
    rocksdb_options_set_target_file_size_base(o, UINT64_C(1) << 40);
    /* The cache says when a buffer is full, so that files begin where it wants. */
    rocksdb_options_set_write_buffer_size(o, (size_t)1 << 40);
    if (arena_bytes < ARENA_BLOCK_BYTES_MIN)
        arena_bytes = ARENA_BLOCK_BYTES_MIN;
    if (arena_bytes > ARENA_BLOCK_BYTES_MAX)
        arena_bytes = ARENA_BLOCK_BYTES_MAX;
    rocksdb_options_set_arena_block_size(o, arena_bytes);
    rocksdb_options_set_max_write_buffer_number(o, (int)config->n_buffers);
    /* While one file is synced the next is written. */
    rocksdb_options_set_max_background_flushes(o, (int)config->n_buffers - 1);
    rocksdb_options_set_max_background_compactions(o, 1);
    rocksdb_options_set_info_log_level(o, LOG_LEVEL_FATAL);
    rocksdb_options_set_keep_log_file_num(o, 1);
    rocksdb_options_set_max_manifest_file_size(o, config->manifest_bytes_max);
    rocksdb_options_set_manifest_preallocation_size(o, 4096);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_max_open_files(o, config->n_open_files_max);
    rocksdb_options_set_compression(o, config->compress ? rocksdb_lz4_compression
                                                        : rocksdb_no_compression);

    /* Without a cache of blocks a value that was got owns its bytes, and outlives the handle; what
     * is read often is in the system's cache. */
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_no_block_cache(t, 1);
    rocksdb_block_based_options_set_format_version(t, 5);
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_block_based_options_destroy(t);
    return o;
}

/* RocksDB has threads of its own, one set for the process, that a fork leaves behind: whatever
 * waits for them then waits for ever. The first opening leaves a guard, which stays. */
mn_status dc_rocks_check(struct mn_error *err)
{
    static _Atomic(struct mni_fork_guard *) first;
    struct mni_fork_guard *guard = atomic_load(&first);
    struct mni_fork_guard *none = NULL;
    mn_status st = MN_OK;

    if (guard == NULL) {
        st = mni_fork_guard_new(&guard, err);
        if (st == MN_OK && !atomic_compare_exchange_strong(&first, &none, guard)) {
            mni_fork_guard_free(guard);
            guard = none;
        }
    }
    if (st == MN_OK && mni_fork_guard_is_child(guard))
        return mni_fail(err, MN_ERR_FORKED,
                        "a cache was open in the process of which this one is a fork");
    return st;
}

mn_status dc_rocks_open(const struct dc_rocks_config *config, struct dc_rocks **rocks_out,
                        struct mn_error *err)
{
    char *text = NULL;
    struct dc_rocks *r = mni_alloc_zero(sizeof *r);

    *rocks_out = NULL;
    if (r == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of RocksDB");
    r->options = make_options(config);
    r->db = rocksdb_open(r->options, config->path, &text);
    mn_status st = check(text, "open", err);
    if (st != MN_OK) {
        dc_rocks_close(r);
        return st;
    }
    r->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(r->write_options, 1);
    r->read_options = rocksdb_readoptions_create();
    r->flush_now = rocksdb_flushoptions_create();
    r->flush_later = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(r->flush_later, 0);
    r->batch = rocksdb_writebatch_create();
    *rocks_out = r;
    return MN_OK;
}

void dc_rocks_close(struct dc_rocks *r)
{
    if (r == NULL)
        return;
    if (r->db != NULL) {
        rocksdb_writebatch_destroy(r->batch);
        rocksdb_flushoptions_destroy(r->flush_later);
        rocksdb_flushoptions_destroy(r->flush_now);
        rocksdb_readoptions_destroy(r->read_options);
        rocksdb_writeoptions_destroy(r->write_options);
        rocksdb_close(r->db);
    }
    rocksdb_options_destroy(r->options);
    mni_free(r);
}

void dc_rocks_put(struct dc_rocks *r, uint64_t number, struct mn_slice header, struct mn_slice id,
                  struct mn_slice value)
{
    char key[KEY_BYTES];
    const char *keys[] = {key};
    const size_t key_sizes[] = {KEY_BYTES};
    const char *parts[] = {header.data, id.data, value.n_bytes == 0 ? "" : value.data};
    const size_t sizes[] = {header.n_bytes, id.n_bytes, value.n_bytes};

    put_key(key, number);
    rocksdb_writebatch_putv(r->batch, 1, keys, key_sizes, 3, parts, sizes);
    r->batch_bytes += value.n_bytes;
}

mn_status dc_rocks_write(struct dc_rocks *r, struct mn_error *err)
{
    char *text = NULL;

    rocksdb_write(r->db, r->write_options, r->batch, &text);
    if (r->batch_bytes <= BATCH_KEEP_BYTES) {
        rocksdb_writebatch_clear(r->batch);
    } else {
        /* A cleared one keeps its memory. */
        rocksdb_writebatch_destroy(r->batch);
        r->batch = rocksdb_writebatch_create();
    }
    r->batch_bytes = 0;
    return check(text, "write", err);
}

mn_status dc_rocks_get(struct dc_rocks *r, uint64_t number, void **pin_out,
                       struct mn_slice *value_out, struct mn_error *err)
{
    char *text = NULL;
    char key[KEY_BYTES];

    put_key(key, number);
    rocksdb_pinnableslice_t *pin =
        rocksdb_get_pinned(r->db, r->read_options, key, KEY_BYTES, &text);
    mn_status st = check(text, "get", err);
    if (st != MN_OK) {
        if (pin != NULL)
            rocksdb_pinnableslice_destroy(pin);
        return st;
    }
    if (pin == NULL)
        return mni_fail(err, MN_NOT_FOUND, "value %" PRIu64 " is missing", number);
    value_out->data = rocksdb_pinnableslice_value(pin, &value_out->n_bytes);
    *pin_out = pin;
    return MN_OK;
}

void dc_rocks_free(void *pin)
{
    if (pin != NULL)
        rocksdb_pinnableslice_destroy(pin);
}

mn_status dc_rocks_flush(struct dc_rocks *r, bool wait, struct mn_error *err)
{
    char *text = NULL;

    rocksdb_flush(r->db, wait ? r->flush_now : r->flush_later, &text);
    return check(text, "flush", err);
}

void dc_rocks_files(struct dc_rocks *r, dc_rocks_file_fn *each, void *context)
{
    const rocksdb_livefiles_t *files = rocksdb_livefiles(r->db);
    int n = rocksdb_livefiles_count(files);

    for (int i = 0; i < n; i++) {
        size_t first_bytes;
        size_t last_bytes;
        const char *first = rocksdb_livefiles_smallestkey(files, i, &first_bytes);
        const char *last = rocksdb_livefiles_largestkey(files, i, &last_bytes);
        struct dc_rocks_file file = {
            .first = get_key(first, first_bytes),
            .last = get_key(last, last_bytes),
            .n_bytes = rocksdb_livefiles_size(files, i),
            .level = rocksdb_livefiles_level(files, i),
        };
        /* "/000012.sst" */
        if (sscanf(rocksdb_livefiles_name(files, i), "/%" SCNu64 ".sst", &file.file_number) == 1)
            each(context, &file);
    }
    rocksdb_livefiles_destroy(files);
}

void dc_rocks_move_down(struct dc_rocks *r, uint64_t first, uint64_t last)
{
    char first_key[KEY_BYTES];
    char last_key[KEY_BYTES];

    put_key(first_key, first);
    put_key(last_key, last);
    rocksdb_compact_range(r->db, first_key, KEY_BYTES, last_key, KEY_BYTES);
}

void dc_rocks_merge(struct dc_rocks *r, uint64_t first, uint64_t last)
{
    char first_key[KEY_BYTES];
    char last_key[KEY_BYTES];
    rocksdb_compactoptions_t *o = rocksdb_compactoptions_create();

    rocksdb_compactoptions_set_bottommost_level_compaction(o, FORCE);
    put_key(first_key, first);
    put_key(last_key, last);
    rocksdb_compact_range_opt(r->db, o, first_key, KEY_BYTES, last_key, KEY_BYTES);
    rocksdb_compactoptions_destroy(o);
}

struct sought {
    uint64_t file_number;
    bool is_there;
};

static void seek(void *context, const struct dc_rocks_file *file)
{
    struct sought *sought = context;

    sought->is_there = sought->is_there || file->file_number == sought->file_number;
}

mn_status dc_rocks_remove_file(struct dc_rocks *r, uint64_t file_number, struct mn_error *err)
{
    struct sought sought = {.file_number = file_number};
    char name[32];

    /* RocksDB removes it, or keeps it and tells nobody. */
    (void)snprintf(name, sizeof name, "/%06" PRIu64 ".sst", file_number);
    rocksdb_delete_file(r->db, name);
    dc_rocks_files(r, seek, &sought);
    if (sought.is_there)
        return mni_fail(err, MN_ERR_IO, "RocksDB does not remove its file %s", name + 1);
    return MN_OK;
}

bool dc_rocks_is_flushing(struct dc_rocks *r)
{
    uint64_t n = 0;

    return rocksdb_property_int(r->db, "rocksdb.num-running-flushes", &n) == 0 && n > 0;
}

#else

static mn_status no_rocks(struct mn_error *err)
{
    return mni_fail(err, MN_ERR_UNSUPPORTED,
                    "the disk cache needs RocksDB, without which this libmneme was built");
}

mn_status dc_rocks_check(struct mn_error *err)
{
    return no_rocks(err);
}

mn_status dc_rocks_open(const struct dc_rocks_config *config, struct dc_rocks **rocks_out,
                        struct mn_error *err)
{
    (void)config;
    *rocks_out = NULL;
    return no_rocks(err);
}

/* Nobody has a handle. */
void dc_rocks_close(struct dc_rocks *rocks)
{
    MNI_CHECK(rocks == NULL);
}

void dc_rocks_put(struct dc_rocks *rocks, uint64_t number, struct mn_slice header,
                  struct mn_slice id, struct mn_slice value)
{
    (void)rocks;
    (void)number;
    (void)header;
    (void)id;
    (void)value;
}

mn_status dc_rocks_write(struct dc_rocks *rocks, struct mn_error *err)
{
    (void)rocks;
    return no_rocks(err);
}

mn_status dc_rocks_get(struct dc_rocks *rocks, uint64_t number, void **pin_out,
                       struct mn_slice *value_out, struct mn_error *err)
{
    (void)rocks;
    (void)number;
    (void)pin_out;
    (void)value_out;
    return no_rocks(err);
}

void dc_rocks_free(void *pin)
{
    MNI_CHECK(pin == NULL);
}

mn_status dc_rocks_flush(struct dc_rocks *rocks, bool wait, struct mn_error *err)
{
    (void)rocks;
    (void)wait;
    return no_rocks(err);
}

void dc_rocks_files(struct dc_rocks *rocks, dc_rocks_file_fn *each, void *context)
{
    (void)rocks;
    (void)each;
    (void)context;
}

void dc_rocks_move_down(struct dc_rocks *rocks, uint64_t first, uint64_t last)
{
    (void)rocks;
    (void)first;
    (void)last;
}

void dc_rocks_merge(struct dc_rocks *rocks, uint64_t first, uint64_t last)
{
    (void)rocks;
    (void)first;
    (void)last;
}

mn_status dc_rocks_remove_file(struct dc_rocks *rocks, uint64_t file_number, struct mn_error *err)
{
    (void)rocks;
    (void)file_number;
    return no_rocks(err);
}

bool dc_rocks_is_flushing(struct dc_rocks *rocks)
{
    (void)rocks;
    return false;
}

#endif
