/*
 * map.c - maps files for reading, in large pages while what is mapped fits well into memory.
 *
 * A read at a random place waits for the processor to find its page first: with pages of 4 KiB
 * that is most of the wait, with large ones it is next to nothing. But a large page is read from
 * the disk as a whole: where memory cannot hold all that is mapped, each record would cost
 * megabytes, time and again. There maps have small pages, and only what is announced is read.
 *
 * Owns:    each map its address range, and a reference to the share that it is counted in.
 * Threads: any.
 * Fails:   when the kernel refuses a map; without large pages small ones are used.
 */
#define _GNU_SOURCE
#include "io/map_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"

enum {
    PAGE_BYTES = 4096, /* hints begin at a multiple of it; larger pages refuse some, no harm */
    SHARE = 2,         /* one in so many bytes of memory may be mapped in large pages */
    NUMBER_BYTES = 32,
};

struct mni_map_share {
    atomic_uint n_refs;
    uint64_t most;                      /* bytes that may be mapped in large pages */
    atomic_uint_fast64_t n_large_bytes; /* that are */
};

struct posix_map {
    struct mni_map base;
    struct mni_map_share *share; /* one reference */
    bool is_large;
};

/* What a file of the kernel says, UINT64_MAX when it says nothing. */
static uint64_t read_number(const char *path)
{
    char text[NUMBER_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return UINT64_MAX;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0 || text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    text[n] = '\0';
    return strtoull(text, NULL, 10);
}

/* Of the machine, or of the container that this process is in. */
static uint64_t memory_bytes(void)
{
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    long n_pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t least = n_pages > 0 && page_bytes > 0 ? (uint64_t)n_pages * (uint64_t)page_bytes : 0;

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        uint64_t limit = read_number(limits[i]);
        least = limit < least ? limit : least;
    }
    return least;
}

struct mni_map_share *mni_map_share_new(void)
{
    struct mni_map_share *share = mni_alloc_zero(sizeof *share);

    if (share == NULL)
        return NULL;
    atomic_init(&share->n_refs, 1);
    atomic_init(&share->n_large_bytes, 0);
    share->most = memory_bytes() / SHARE;
    return share;
}

void mni_map_share_ref(struct mni_map_share *share)
{
    (void)atomic_fetch_add_explicit(&share->n_refs, 1, memory_order_relaxed);
}

void mni_map_share_unref(struct mni_map_share *share)
{
    if (share != NULL && atomic_fetch_sub_explicit(&share->n_refs, 1, memory_order_acq_rel) == 1)
        mni_free(share);
}

/* Takes `n_bytes` of those that may be mapped in large pages, if there are so many left. */
static bool take_large(struct mni_map_share *share, uint64_t n_bytes)
{
    uint64_t n = atomic_load(&share->n_large_bytes);

    do {
        if (n_bytes > share->most || n > share->most - n_bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&share->n_large_bytes, &n, n + n_bytes));
    return true;
}

/* Whoever touches a large page has all of it read, and needs no hint. */
static void map_will_read(struct mni_map *map, uint64_t offset, uint64_t n)
{
    if (((struct posix_map *)map)->is_large || offset >= map->n_bytes)
        return;
    uint64_t from = mni_align_down(offset, PAGE_BYTES);
    uint64_t to = n < map->n_bytes - offset ? offset + n : map->n_bytes;
    /* The call wants a pointer without const and changes nothing. A hint cannot fail. */
    (void)madvise((void *)((uintptr_t)map->bytes + from), (size_t)(to - from), MADV_WILLNEED);
}

static void map_close(struct mni_map *base)
{
    struct posix_map *map = (struct posix_map *)base;

    if (base->n_bytes > 0)
        (void)munmap((void *)(uintptr_t)base->bytes, (size_t)base->n_bytes);
    if (map->is_large)
        (void)atomic_fetch_sub(&map->share->n_large_bytes, base->n_bytes);
    mni_map_share_unref(map->share);
    mni_free(map);
}

mn_status mni_map_new(struct mni_map_share *share, int fd, const char *name, uint64_t n_bytes,
                      struct mni_map **map_out, struct mn_error *err)
{
    static const struct mni_map_ops ops = {.will_read = map_will_read, .close = map_close};
    struct posix_map *map = mni_alloc_zero(sizeof *map);

    if (map == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "map of %s", name);
    map->base.ops = &ops;
    map->base.n_bytes = n_bytes;
    if (n_bytes > 0) { /* the kernel calls an empty map EINVAL */
        void *start = mmap(NULL, (size_t)n_bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (start == MAP_FAILED) {
            int os_errno = errno;
            mni_free(map);
            return mni_fail_os(err, os_errno, "map %s", name);
        }
        map->base.bytes = start;
        /* Before anything is touched: a file that is in memory in small pages stays so. */
        map->is_large = take_large(share, n_bytes);
        if (map->is_large && madvise(start, (size_t)n_bytes, MADV_HUGEPAGE) != 0) {
            map->is_large = false; /* the kernel has none */
            (void)atomic_fetch_sub(&share->n_large_bytes, n_bytes);
        }
        if (!map->is_large)
            (void)madvise(start, (size_t)n_bytes, MADV_RANDOM);
    }
    mni_map_share_ref(share);
    map->share = share;
    *map_out = &map->base;
    return MN_OK;
}
