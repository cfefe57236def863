/*
 * slabs_private.h - memory for many blocks of about one size: versions of records, and entries.
 *
 *     region, 2 MiB   [slab 0][slab 1] ... [slab 15]
 *     slab, 128 KiB   [head | block | block | block ... ]     blocks of one size class
 *
 * Why not malloc: a thread other than the main one grows its heap by a system call for each page,
 * and the first touch of fresh memory is slow, on virtual machines very slow. Here memory comes in
 * regions, and the next one can be made ready by another thread before it is needed.
 *
 * Threads: any; a class has a lock, and the regions have one.
 */
#ifndef MNI_MEMTABLE_SLABS_PRIVATE_H
#define MNI_MEMTABLE_SLABS_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/thread.h"

enum {
    SLAB_BYTES = 128 << 10,
    SLAB_LINE_BYTES = 64,      /* one class for all small blocks: a cache line each */
    SLAB_BLOCK_BYTES_MIN = 80, /* of the next class */
    SLAB_BLOCK_BYTES_MAX = 8192,
    SLAB_FINE_BYTES = 16, /* steps of classes up to 1,024 bytes */
    SLAB_FINE_MAX = 1024,
    SLAB_COARSE_BYTES = 128, /* and above */
    SLAB_N_CLASSES = 1 + (SLAB_FINE_MAX - SLAB_BLOCK_BYTES_MIN) / SLAB_FINE_BYTES + 1 +
                     (SLAB_BLOCK_BYTES_MAX - SLAB_FINE_MAX) / SLAB_COARSE_BYTES,
    STOCK_FROM_REGIONS = 2, /* so many in use before the next one is made ready ahead */
};

struct slab;
struct slab_region;

struct slab_class {
    struct mni_mutex lock;
    struct slab *partial; /* slabs with a free block, linked */
};

struct slab_pool {
    struct slab_class classes[SLAB_N_CLASSES];
    atomic_size_t n_mapped;      /* regions, used or not */
    struct mni_mutex lock;       /* guards what follows */
    struct slab_region *regions; /* owned, linked: those with a free slab */
    struct slab_region *full;    /* owned, linked: those without */
    size_t n_regions;
    struct slab_region *stock; /* owned: made ready, not in use */
    bool wants_stock;
    void (*on_want)(void *context); /* called when a stock is wanted; may be NULL */
    void *on_want_context;
};

void mni_slabs_init(struct slab_pool *pool);
void mni_slabs_done(struct slab_pool *pool); /* all blocks are given back, or forgotten */

static inline bool mni_slabs_serves(size_t n_bytes)
{
    return n_bytes <= SLAB_BLOCK_BYTES_MAX;
}

/* A block, 16-aligned, one of at most SLAB_LINE_BYTES 64-aligned; NULL when memory is short.
 * mni_slabs_serves(n_bytes) holds. */
void *mni_slabs_alloc(struct slab_pool *pool, size_t n_bytes);
void mni_slabs_free(struct slab_pool *pool, void *block);

/* Of all regions. A region counts as a whole: what was used once stays in memory. */
size_t mni_slabs_memory_bytes(const struct slab_pool *pool);

/* Makes the next region ready if one is wanted. */
void mni_slabs_stock(struct slab_pool *pool);

#endif
