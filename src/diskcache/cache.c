/*
 * cache.c - opening and closing the disk cache, and beginning anew after whatever went wrong.
 *
 * Owns:    the handle, the directory and RocksDB's handle.
 * Format:  docs/format/diskcache.md
 * Threads: open and close: one; the rest as the locks of struct mni_diskcache say.
 * Fails:   opening fails for what the caller did wrong and for a directory that is not there; all
 *          else leaves a cache that is empty, or off.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "diskcache/diskcache_private.h"

enum {
    FAILURES_MAX = 3,         /* rebuilds in a row */
    STABLE_US = 60 * 1000000, /* a cache that held so long was a good one */
    RETRY_US_MIN = 1000000,
    RETRY_DOUBLINGS_MAX = 6,
    OPEN_FILES_MAX = 512,
};

void dc_note(struct mni_diskcache *c, const char *format, ...)
{
    va_list arguments;

    mni_rwlock_write(&c->index_lock);
    va_start(arguments, format);
    (void)vsnprintf(c->note, sizeof c->note, format, arguments);
    va_end(arguments);
    mni_rwlock_unlock(&c->index_lock);
}

/* Time and entries ----------*/

int64_t dc_clock(struct mni_diskcache *c)
{
    int64_t wall_us = mni_env_wall_us(c->env);
    int64_t mono_us = mni_env_mono_us(c->env);

    /* While the wall clock is behind of where it was, time passes all the same. */
    if (wall_us >= c->now_us)
        c->now_us = wall_us;
    else if (__builtin_add_overflow(c->now_us, mono_us - c->mono_us, &c->now_us) ||
             c->now_us == DC_NEVER)
        c->now_us = DC_NEVER - 1;
    c->mono_us = mono_us;
    return c->now_us;
}

void dc_expire(struct mni_diskcache *c, uint32_t e)
{
    struct dc_space *s = c->index.spaces[dc_entry_at(&c->index, e)->space];

    if (!s->is_cleared) {
        c->counts.n_expired++;
        s->n_expired++;
    }
    dc_entry_remove(&c->index, e);
}

bool dc_expire_some(struct mni_diskcache *c, int64_t now_us, uint32_t n)
{
    uint32_t e = dc_index_soonest(&c->index);

    for (uint32_t i = 0; e != DC_NO_ENTRY && dc_entry_at(&c->index, e)->expires_at_us <= now_us;
         i++) {
        if (i == n)
            return true;
        dc_expire(c, e);
        e = dc_index_soonest(&c->index);
    }
    return false;
}

void dc_unlock_step(struct mni_diskcache *c)
{
    mni_rwlock_unlock(&c->index_lock);
    mni_rwlock_yield(&c->index_lock);
}

int64_t dc_lock_now(struct mni_diskcache *c)
{
    mni_rwlock_write(&c->index_lock);
    int64_t now_us = dc_clock(c);
    while (dc_expire_some(c, now_us, DC_STEP)) {
        dc_unlock_step(c);
        mni_rwlock_write(&c->index_lock);
        now_us = dc_clock(c);
    }
    return now_us;
}

uint32_t dc_find(struct mni_diskcache *c, struct mn_slice name, struct mn_slice id,
                 struct dc_space **space_out)
{
    uint64_t hash[2];

    *space_out = dc_space_find(&c->index, name);
    if (*space_out == NULL)
        return DC_NO_ENTRY;
    dc_entry_hash((*space_out)->serial, id, hash);
    uint32_t e = dc_entry_find(&c->index, hash);
    if (e != DC_NO_ENTRY && dc_entry_at(&c->index, e)->expires_at_us != DC_NEVER &&
        dc_entry_at(&c->index, e)->expires_at_us <= dc_clock(c)) {
        dc_expire(c, e);
        /* The namespace may have gone with it. */
        *space_out = dc_space_find(&c->index, name);
        e = DC_NO_ENTRY;
    }
    return e;
}

void dc_lose(struct mni_diskcache *c, const struct dc_entry *entry, const struct mn_error *why)
{
    mni_rwlock_write(&c->index_lock);
    uint32_t e = dc_entry_find(&c->index, entry->hash);
    c->counts.n_errors++;
    if (e != DC_NO_ENTRY && dc_entry_at(&c->index, e)->number == entry->number) {
        struct dc_space *s = c->index.spaces[dc_entry_at(&c->index, e)->space];
        if (!s->is_cleared) {
            s->n_errors++;
            c->counts.n_lost++;
        }
        dc_entry_remove(&c->index, e);
    }
    mni_rwlock_unlock(&c->index_lock);
    dc_note(c, "an entry was dropped: %.400s", why->message);
}

/* Beginning ----------*/

static mn_status open_rocks(struct mni_diskcache *c, struct dc_rocks **rocks_out,
                            struct mn_error *err)
{
    char path[MNI_PATH_BYTES_MAX + sizeof DC_ROCKS_NAME + 1];
    struct dc_rocks_config config = {
        .path = path,
        .compress = c->compress,
        .n_buffers = c->n_buffers,
        .buffer_bytes = c->buffer_bytes,
        .manifest_bytes_max = c->manifest_bytes_max,
        .n_open_files_max = OPEN_FILES_MAX,
    };

    (void)snprintf(path, sizeof path, "%s/%s", c->path, DC_ROCKS_NAME);
    mn_status st = dc_place_probe(c->dir, err);
    return st == MN_OK ? dc_rocks_open(&config, rocks_out, err) : st;
}

static mn_status begin_generation(struct mni_diskcache *c, struct mn_error *err)
{
    mni_rwlock_write(&c->index_lock);
    mn_status st = dc_generation_begin(&c->index, c->next_number, err);
    mni_rwlock_unlock(&c->index_lock);
    return st;
}

/* An empty cache in a directory that is ours. */
static mn_status begin_empty(struct mni_diskcache *c, struct dc_rocks **rocks_out,
                             struct mn_error *err)
{
    struct mni_dir *rocks = NULL;

    mn_status st = dc_seal_break(c, err);
    if (st == MN_OK)
        st = dc_place_clear(c->dir, err);
    if (st == MN_OK)
        st = dc_place_rocks(c->dir, true, &rocks, err);
    mni_dir_close(rocks);
    if (st == MN_OK)
        st = mni_dir_sync(c->dir, err);
    if (st == MN_OK)
        st = open_rocks(c, rocks_out, err);
    if (st == MN_OK)
        st = begin_generation(c, err);
    return st;
}

static void set_rocks(struct mni_diskcache *c, struct dc_rocks *rocks)
{
    mni_rwlock_write(&c->files_lock);
    c->rocks = rocks;
    mni_rwlock_unlock(&c->files_lock);
}

static void forget_all(struct mni_diskcache *c)
{
    struct dc_rocks *rocks = c->rocks;

    set_rocks(c, NULL);
    dc_rocks_close(rocks);
    (void)dc_lock_now(c);
    c->counts.n_lost += c->index.n_entries;
    dc_index_reset(&c->index);
    c->generation_bytes = 0;
    mni_rwlock_unlock(&c->index_lock);
    c->drain = (struct dc_drain){0};
    c->is_sealed = false;
}

/* Whatever failed: again after a second, and later and later while that goes on. */
static void go_off(struct mni_diskcache *c, const char *failure)
{
    uint32_t n_doublings = c->n_failures > 0 ? c->n_failures - 1 : 0;

    if (n_doublings > RETRY_DOUBLINGS_MAX)
        n_doublings = RETRY_DOUBLINGS_MAX;
    forget_all(c);
    c->retry_at_us = mni_env_mono_us(c->env) + ((int64_t)RETRY_US_MIN << n_doublings);
    dc_note(c, "the cache is off: %.200s; %.200s", c->off_why, failure);
}

static void count_failure(struct mni_diskcache *c)
{
    int64_t now_us = mni_env_mono_us(c->env);
    /* The time when it was off does not count for it. */
    int64_t since_us = c->retry_at_us > c->failed_at_us ? c->retry_at_us : c->failed_at_us;

    if (now_us - since_us >= STABLE_US)
        c->n_failures = 0;
    c->n_failures++;
    c->failed_at_us = now_us;
}

static mn_status begin_again(struct mni_diskcache *c, struct mn_error *err)
{
    struct dc_rocks *rocks = NULL;

    forget_all(c);
    /* The path may be another directory by now; RocksDB goes by the path. */
    mni_dir_close(c->dir);
    c->dir = NULL;
    mn_status st = dc_place_open(c->env, c->path, &c->dir, err);
    if (st == MN_OK)
        st = begin_empty(c, &rocks, err);
    if (st != MN_OK) {
        dc_rocks_close(rocks);
        return st;
    }
    set_rocks(c, rocks);
    mni_rwlock_write(&c->index_lock);
    c->counts.n_rebuilds++;
    mni_rwlock_unlock(&c->index_lock);
    dc_note(c, "the cache was rebuilt: %.400s", c->off_why);
    return MN_OK;
}

void dc_rebuild(struct mni_diskcache *c, const char *why)
{
    struct mn_error failure;

    (void)snprintf(c->off_why, sizeof c->off_why, "%s", why);
    count_failure(c);
    if (c->n_failures > FAILURES_MAX)
        go_off(c, "it has failed too often");
    else if (begin_again(c, &failure) != MN_OK)
        go_off(c, failure.message);
}

bool dc_is_on(struct mni_diskcache *c)
{
    struct mn_error failure;

    if (c->rocks == NULL && mni_env_mono_us(c->env) >= c->retry_at_us &&
        begin_again(c, &failure) != MN_OK) {
        count_failure(c);
        go_off(c, failure.message);
    }
    return c->rocks != NULL;
}

/* Opening ----------*/

/* What the seal tells of is what RocksDB has. */
static mn_status check_generations(struct mni_diskcache *c, struct mn_error *err)
{
    const struct dc_index *x = &c->index;

    for (uint32_t i = 0; i < x->n_generations; i++)
        x->generations[i]->level = -1;
    dc_space_refresh(c);
    for (uint32_t i = 0; i < x->n_generations; i++)
        if (x->generations[i]->level < 0)
            return mni_fail(err, MN_ERR_CORRUPT, "RocksDB does not have a file that was sealed");
    return MN_OK;
}

/* A cache that was sealed. The seal goes before RocksDB changes anything. */
static mn_status begin_warm(struct mni_diskcache *c, struct mn_error *err)
{
    mn_status st = dc_seal_read(c, err);

    /* Also one that cannot be read now may be read later. */
    c->may_have_seal = st != MN_NOT_FOUND;
    if (st != MN_OK)
        return st;
    c->counts.n_found = c->index.n_entries;
    mni_ignore(mni_dir_unlink(c->dir, DC_SEAL_TEMP_NAME, NULL));
    st = dc_seal_break(c, err);
    if (st == MN_OK)
        st = open_rocks(c, &c->rocks, err);
    if (st == MN_OK)
        st = check_generations(c, err);
    if (st == MN_OK)
        st = begin_generation(c, err);
    if (st == MN_OK) {
        (void)dc_lock_now(c);
        mni_rwlock_unlock(&c->index_lock);
        st = dc_space_keep(c, err);
    }
    return st;
}

struct content {
    bool is_any;
};

static mn_status note_content(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct content *content = context;

    (void)name;
    (void)is_dir;
    (void)err;
    content->is_any = true;
    return MN_OK;
}

static mn_status begin(struct mni_diskcache *c, struct mn_error *err)
{
    struct content content = {false};
    struct mn_error why;

    mn_status st = mni_dir_list(c->dir, note_content, &content, err);
    if (st != MN_OK)
        return st;
    if (!content.is_any) {
        st = begin_empty(c, &c->rocks, &why);
        if (st != MN_OK) {
            (void)snprintf(c->off_why, sizeof c->off_why, "it cannot be made");
            count_failure(c);
            go_off(c, why.message);
        }
        return st == MN_ERR_NOMEM ? mni_fail(err, st, "%.400s", why.message) : MN_OK;
    }
    st = begin_warm(c, &why);
    if (st == MN_NOT_FOUND)
        dc_rebuild(c, "it was not closed");
    else if (st != MN_OK)
        dc_rebuild(c, why.message);
    return MN_OK;
}

static mn_status init(struct mni_diskcache *c, const struct mni_diskcache_config *config,
                      struct mn_error *err)
{
    uint64_t first_serial = 0;

    mn_status st = dc_space_plan(c, config->write_buffer_bytes, config->write_buffer_count, err);
    if (st == MN_OK)
        st = mni_env_random(c->env, &first_serial, sizeof first_serial, err);
    if (st != MN_OK)
        return st;
    dc_index_init(&c->index, first_serial);
    st = dc_place_open(c->env, config->path, &c->dir, err);
    if (st == MN_OK)
        st = mni_env_real_path(c->env, config->path, c->path, err);
    return st == MN_OK ? begin(c, err) : st;
}

mn_status mni_diskcache_open(const struct mni_diskcache_config *config,
                             struct mni_diskcache **cache_out, struct mn_error *err)
{
    struct mni_diskcache *c;

    *cache_out = NULL;
    mn_status st = dc_rocks_check(err);
    if (st != MN_OK)
        return st;
    c = mni_alloc_zero(sizeof *c);
    if (c == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of the cache");
    c->magic = DC_MAGIC;
    c->env = config->env;
    c->max_bytes = config->max_bytes == 0 ? UINT64_MAX : config->max_bytes;
    c->compress = config->compress;
    c->next_number = 1;
    mni_mutex_init(&c->write_lock);
    mni_rwlock_init(&c->index_lock);
    mni_rwlock_init(&c->files_lock);
    st = init(c, config, err);
    if (st != MN_OK) {
        mni_diskcache_abandon(c);
        return st;
    }
    *cache_out = c;
    return MN_OK;
}

/* Closing ----------*/

bool mni_diskcache_flush(struct mni_diskcache *c)
{
    struct mn_error why;

    MNI_CHECK(c->magic == DC_MAGIC);
    mni_mutex_lock(&c->write_lock);
    if (c->rocks != NULL && !c->is_sealed) {
        mn_status st = dc_space_end_generation(c, true, &why);
        if (st == MN_OK)
            st = dc_space_limit_files(c, &why);
        if (st == MN_ERR_NOMEM)
            dc_note(c, "the cache could not be flushed: %.400s", why.message);
        else if (st != MN_OK)
            dc_rebuild(c, why.message);
        else if (dc_seal_write(c, &why) != MN_OK)
            dc_note(c, "the cache could not be sealed: %.400s", why.message);
    }
    bool is_sealed = c->is_sealed;
    mni_mutex_unlock(&c->write_lock);
    return is_sealed;
}

void mni_diskcache_abandon(struct mni_diskcache *c)
{
    if (c == NULL)
        return;
    MNI_CHECK(c->magic == DC_MAGIC);
    dc_rocks_close(c->rocks);
    dc_index_reset(&c->index);
    mni_dir_close(c->dir);
    mni_rwlock_done(&c->files_lock);
    mni_rwlock_done(&c->index_lock);
    mni_mutex_done(&c->write_lock);
    c->magic = 0;
    mni_free(c);
}

void mni_diskcache_close(struct mni_diskcache *c)
{
    struct mn_error why;

    if (c == NULL)
        return;
    MNI_CHECK(c->magic == DC_MAGIC);
    /* What was got since the last seal counts too. */
    if (c->rocks != NULL && dc_space_end_generation(c, true, &why) == MN_OK &&
        dc_space_limit_files(c, &why) == MN_OK) {
        dc_rocks_close(c->rocks);
        c->rocks = NULL;
        if (dc_seal_break(c, &why) == MN_OK)
            mni_ignore(dc_seal_write(c, &why));
    } else if (c->owes_seal) {
        dc_seal_void_off(c);
    }
    mni_diskcache_abandon(c);
}
