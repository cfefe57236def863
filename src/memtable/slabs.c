/*
 * slabs.c - memory for versions and entries, in slabs of equal blocks.
 *
 * Owns:    the regions.
 * Threads: any.
 * Fails:   NULL when the kernel has no memory.
 */
#include "memtable/slabs_private.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/pages.h"

enum {
    SLABS_PER_REGION = MNI_PAGES_BYTES / SLAB_BYTES,
    ALL_SLABS_FREE = (1 << SLABS_PER_REGION) - 1,
    SLAB_MAGIC = 0x534c4142,
};

struct slab_region {
    struct slab_region *next;
    struct slab_region *previous;
    unsigned char *pages; /* owned */
    uint32_t free_slabs;  /* a bit each */
};

/* A block that is free. */
struct free_block {
    struct free_block *next;
};

/* At the start of each slab in use. */
struct slab {
    uint32_t magic;
    uint32_t class_index;
    uint32_t block_bytes;
    uint32_t n_used;
    uint32_t n_blocks;
    uint32_t n_touched; /* blocks that were ever given out: those behind are free too */
    struct free_block *free;
    struct slab *next; /* in the class's list, while it has a free block */
    struct slab *previous;
    struct slab_region *region; /* borrowed */
    uint64_t reserved;
};
static_assert(sizeof(struct slab) == 64, "blocks of lines are aligned to lines");

static uint32_t class_of(size_t n_bytes)
{
    const size_t n_fine = (SLAB_FINE_MAX - SLAB_BLOCK_BYTES_MIN) / SLAB_FINE_BYTES;

    if (n_bytes <= SLAB_LINE_BYTES)
        return 0;
    if (n_bytes <= SLAB_FINE_MAX)
        return (uint32_t)(1 +
                          (n_bytes - SLAB_BLOCK_BYTES_MIN + SLAB_FINE_BYTES - 1) / SLAB_FINE_BYTES);
    return (uint32_t)(1 + n_fine +
                      (n_bytes - SLAB_FINE_MAX + SLAB_COARSE_BYTES - 1) / SLAB_COARSE_BYTES);
}

static uint32_t bytes_of(uint32_t class_index)
{
    const uint32_t n_fine = (SLAB_FINE_MAX - SLAB_BLOCK_BYTES_MIN) / SLAB_FINE_BYTES;

    if (class_index == 0)
        return SLAB_LINE_BYTES;
    if (class_index <= 1 + n_fine)
        return SLAB_BLOCK_BYTES_MIN + (class_index - 1) * SLAB_FINE_BYTES;
    return SLAB_FINE_MAX + (class_index - 1 - n_fine) * SLAB_COARSE_BYTES;
}

void mni_slabs_init(struct slab_pool *pool)
{
    for (size_t i = 0; i < SLAB_N_CLASSES; i++) {
        mni_mutex_init(&pool->classes[i].lock);
        pool->classes[i].partial = NULL;
    }
    mni_mutex_init(&pool->lock);
    pool->regions = NULL;
    pool->full = NULL;
    pool->n_regions = 0;
    atomic_init(&pool->n_mapped, 0);
    pool->stock = NULL;
    pool->wants_stock = false;
    pool->on_want = NULL;
    pool->on_want_context = NULL;
}

static void free_region(struct slab_pool *pool, struct slab_region *region)
{
    if (region == NULL)
        return;
    atomic_fetch_sub_explicit(&pool->n_mapped, 1, memory_order_relaxed);
    mni_pages_free(region->pages);
    mni_free(region);
}

static void free_regions(struct slab_pool *pool, struct slab_region *region)
{
    while (region != NULL) {
        struct slab_region *next = region->next;
        free_region(pool, region);
        region = next;
    }
}

void mni_slabs_done(struct slab_pool *pool)
{
    free_regions(pool, pool->regions);
    free_regions(pool, pool->full);
    free_region(pool, pool->stock);
    for (size_t i = 0; i < SLAB_N_CLASSES; i++)
        mni_mutex_done(&pool->classes[i].lock);
    mni_mutex_done(&pool->lock);
}

/* Regions ---------- */

static struct slab_region *new_region(struct slab_pool *pool, bool huge)
{
    struct slab_region *region = mni_alloc_zero(sizeof *region);

    if (region == NULL)
        return NULL;
    region->pages = mni_pages_new(huge);
    if (region->pages == NULL) {
        mni_free(region);
        return NULL;
    }
    region->free_slabs = ALL_SLABS_FREE;
    atomic_fetch_add_explicit(&pool->n_mapped, 1, memory_order_relaxed);
    return region;
}

static void link_region(struct slab_region **list, struct slab_region *region)
{
    region->previous = NULL;
    region->next = *list;
    if (region->next != NULL)
        region->next->previous = region;
    *list = region;
}

static void unlink_region(struct slab_region **list, struct slab_region *region)
{
    if (region->previous != NULL)
        region->previous->next = region->next;
    else
        *list = region->next;
    if (region->next != NULL)
        region->next->previous = region->previous;
}

/* A region with a free slab. */
static struct slab_region *usable_region(struct slab_pool *pool)
{
    struct slab_region *region = pool->regions;

    if (region != NULL)
        return region;
    region = pool->stock;
    pool->stock = NULL;
    if (region == NULL)
        region = new_region(pool, pool->n_regions >= STOCK_FROM_REGIONS);
    if (region == NULL)
        return NULL;
    link_region(&pool->regions, region);
    pool->n_regions++;
    if (pool->n_regions >= STOCK_FROM_REGIONS && !pool->wants_stock) {
        pool->wants_stock = true;
        if (pool->on_want != NULL)
            pool->on_want(pool->on_want_context);
    }
    return region;
}

static struct slab *take_slab(struct slab_pool *pool)
{
    struct slab *slab = NULL;

    mni_mutex_lock(&pool->lock);
    struct slab_region *region = usable_region(pool);
    if (region != NULL) {
        unsigned index = (unsigned)__builtin_ctz(region->free_slabs);
        region->free_slabs &= region->free_slabs - 1;
        if (region->free_slabs == 0) {
            unlink_region(&pool->regions, region);
            link_region(&pool->full, region);
        }
        slab = (struct slab *)(void *)(region->pages + (size_t)index * SLAB_BYTES);
        slab->region = region;
    }
    mni_mutex_unlock(&pool->lock);
    return slab;
}

static void give_slab(struct slab_pool *pool, struct slab *slab)
{
    struct slab_region *region = slab->region;
    size_t offset = (size_t)((unsigned char *)slab - region->pages);

    slab->magic = 0;
    mni_mutex_lock(&pool->lock);
    unlink_region(region->free_slabs == 0 ? &pool->full : &pool->regions, region);
    region->free_slabs |= 1U << (offset / SLAB_BYTES);
    if (region->free_slabs == ALL_SLABS_FREE) {
        free_region(pool, region);
        pool->n_regions--;
    } else {
        link_region(&pool->regions, region);
    }
    mni_mutex_unlock(&pool->lock);
}

size_t mni_slabs_memory_bytes(const struct slab_pool *pool)
{
    return atomic_load_explicit(&pool->n_mapped, memory_order_relaxed) *
           (MNI_PAGES_BYTES + sizeof(struct slab_region));
}

void mni_slabs_stock(struct slab_pool *pool)
{
    mni_mutex_lock(&pool->lock);
    bool wanted = pool->wants_stock && pool->stock == NULL;
    mni_mutex_unlock(&pool->lock);
    if (!wanted)
        return;
    struct slab_region *region = new_region(pool, true);
    if (region != NULL)
        mni_pages_touch(region->pages);
    mni_mutex_lock(&pool->lock);
    pool->wants_stock = false;
    if (pool->stock == NULL) {
        pool->stock = region;
        region = NULL;
    }
    mni_mutex_unlock(&pool->lock);
    free_region(pool, region);
}

/* Blocks ---------- */

static void link_slab(struct slab_class *class, struct slab *slab)
{
    slab->previous = NULL;
    slab->next = class->partial;
    if (slab->next != NULL)
        slab->next->previous = slab;
    class->partial = slab;
}

static void unlink_slab(struct slab_class *class, struct slab *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        class->partial = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
}

static struct slab *new_slab(struct slab_pool *pool, uint32_t class_index)
{
    struct slab *slab = take_slab(pool);

    if (slab == NULL)
        return NULL;
    slab->magic = SLAB_MAGIC;
    slab->class_index = class_index;
    slab->block_bytes = bytes_of(class_index);
    slab->n_used = 0;
    slab->n_blocks = (uint32_t)((SLAB_BYTES - sizeof *slab) / slab->block_bytes);
    slab->n_touched = 0;
    slab->free = NULL;
    return slab;
}

void *mni_slabs_alloc(struct slab_pool *pool, size_t n_bytes)
{
    void *block = NULL;

    MNI_CHECK(mni_slabs_serves(n_bytes));
    uint32_t class_index = class_of(n_bytes);
    struct slab_class *class = &pool->classes[class_index];
    mni_mutex_lock(&class->lock);
    struct slab *slab = class->partial;
    if (slab == NULL) {
        slab = new_slab(pool, class_index);
        if (slab == NULL)
            goto out;
        link_slab(class, slab);
    }
    MNI_CHECK(slab->magic == SLAB_MAGIC && slab->n_used < slab->n_blocks);
    if (slab->free != NULL) {
        block = slab->free;
        slab->free = slab->free->next;
    } else {
        block = (unsigned char *)(slab + 1) + (size_t)slab->n_touched * slab->block_bytes;
        slab->n_touched++;
    }
    slab->n_used++;
    if (slab->n_used == slab->n_blocks)
        unlink_slab(class, slab);
out:
    mni_mutex_unlock(&class->lock);
    return block;
}

void mni_slabs_free(struct slab_pool *pool, void *block)
{
    struct slab *slab = (struct slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
    struct free_block *freed = block;

    MNI_CHECK(slab->magic == SLAB_MAGIC);
    struct slab_class *class = &pool->classes[slab->class_index];
    mni_mutex_lock(&class->lock);
    if (slab->n_used == slab->n_blocks)
        link_slab(class, slab);
    freed->next = slab->free;
    slab->free = freed;
    slab->n_used--;
    /* An empty slab goes back, but for the last one: the next record would ask for it again. */
    bool is_spare = slab->n_used == 0 && (slab->next != NULL || slab->previous != NULL);
    if (is_spare)
        unlink_slab(class, slab);
    mni_mutex_unlock(&class->lock);
    if (is_spare)
        give_slab(pool, slab);
}
