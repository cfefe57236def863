/*
 * crash_private.h - the parts of the simulated disk of crash.h.
 *
 *     crash_choice.c    random numbers, and what a crash keeps
 *     crash_content.c   the bytes of a file, and what they were
 *     crash_tree.c      inodes, directories, and the restart
 *     crash.c           handles, power, clock
 *
 * Memory comes from malloc, not from base/mem.h: the disk stands for the outside world, whose
 * needs must not shift the calls that an allocation fault loop counts. When it is short the
 * process ends.
 */
#ifndef MNI_IO_CRASH_PRIVATE_H
#define MNI_IO_CRASH_PRIVATE_H

#include <stdlib.h>

#include "base/check.h"
#include "io/crash.h"

static inline void *mni_crash_must(void *memory)
{
    MNI_CHECK(memory != NULL);
    return memory;
}

/* Returns `items` with room for one more than `n`. */
static inline void *mni_crash_grow(void *items, size_t n, size_t *capacity, size_t item_bytes)
{
    if (n < *capacity)
        return items;
    *capacity = *capacity == 0 ? 8 : *capacity * 2;
    return mni_crash_must(realloc(items, *capacity * item_bytes));
}

/* What a crash keeps ----------------------------------------------------------------------------
 */

enum { MNI_CRASH_MASK_BITS = 64 };

struct mni_crash_choices {
    uint64_t random; /* state of the generator */
    bool use_mask;   /* of the restart that runs, as are the next three */
    uint64_t mask;
    size_t n_mask_bits_used;
    unsigned odds; /* of 256 that something pending has happened */
};

uint64_t mni_crash_random(uint64_t *state); /* splitmix64 */

/* Draws new odds. Files and directories that lose all or nothing are as telling as those that lose
 * a part, so these are among them. */
void mni_crash_choose_odds(struct mni_crash_choices *choices);

/* Which of `n` versions holds: 1 to n, or 0 for the durable one. */
size_t mni_crash_choose_version(struct mni_crash_choices *choices, size_t n);

/* How many of `n` changes, in their order, have happened. */
size_t mni_crash_choose_prefix(struct mni_crash_choices *choices, size_t n);

/* Content of files ------------------------------------------------------------------------------
 */

struct mni_crash_change; /* of a sector */
struct mni_crash_chunk;

/* Zero-initialised is empty and valid. */
struct mni_crash_pool {
    struct mni_crash_chunk *chunks; /* owned */
    struct mni_crash_change *free_changes;
};

void mni_crash_pool_done(struct mni_crash_pool *pool); /* all changes are gone or never used */

struct mni_crash_sector {
    struct mni_crash_change *newest; /* from the pool; NULL when the sector is durable */
    uint32_t n_writes;               /* in the chain, truncations not counted */
    bool is_written;                 /* not just reserved or skipped */
    bool is_lost;                    /* a sync failed since it was changed: no sync writes it */
    bool has_cut;                    /* the chain holds a truncation; never together with is_lost */
};

/* Zero-initialised is empty and valid. Offsets and lengths are at most MNI_CRASH_FILE_BYTES_MAX. */
struct mni_crash_content {
    unsigned char *bytes;             /* owned; zero from the length on and from `touched` on */
    struct mni_crash_sector *sectors; /* owned; one for each sector of the capacity */
    uint64_t *dirty;                  /* owned; bitmap of the sectors that have changes */
    size_t capacity_bytes;
    size_t n_dirty;
    uint64_t n_bytes;
    uint64_t touched; /* no byte from here on was ever written */
    uint64_t durable_bytes;
    uint64_t *lengths; /* owned; lengths since the durable one, oldest first */
    size_t n_lengths;
    size_t lengths_capacity;
    bool length_is_lost; /* a sync failed since the file was changed */
};

#define MNI_CRASH_FILE_BYTES_MAX (UINT64_C(1) << 32)

void mni_crash_content_done(struct mni_crash_content *content, struct mni_crash_pool *pool);
void mni_crash_content_reset(struct mni_crash_content *content, struct mni_crash_pool *pool);

void mni_crash_content_write(struct mni_crash_content *content, struct mni_crash_pool *pool,
                             uint64_t offset, const void *data, size_t n);
void mni_crash_content_resize(struct mni_crash_content *content, struct mni_crash_pool *pool,
                              uint64_t n_bytes);
void mni_crash_content_sync(struct mni_crash_content *content, struct mni_crash_pool *pool);
void mni_crash_content_fail_sync(struct mni_crash_content *content);

/* Whether no crash can take the range away, so that writing there needs no metadata. */
bool mni_crash_content_is_settled(const struct mni_crash_content *content, uint64_t offset,
                                  size_t n);
/* The two ends of a durable write of n > 0 bytes. */
void mni_crash_content_sync_range(struct mni_crash_content *content, struct mni_crash_pool *pool,
                                  uint64_t offset, size_t n);
void mni_crash_content_fail_sync_range(struct mni_crash_content *content, uint64_t offset,
                                       size_t n);

size_t mni_crash_content_n_pending(const struct mni_crash_content *content);
/* Makes the choices of a crash; what is left is durable. */
void mni_crash_content_resolve(struct mni_crash_content *content, struct mni_crash_pool *pool,
                               struct mni_crash_choices *choices);

/* Inodes and directories ------------------------------------------------------------------------
 */

struct mni_crash_entry {
    struct mni_crash_inode *inode; /* shared */
    char name[MNI_NAME_BYTES_MAX];
};

struct mni_crash_entries {
    struct mni_crash_entry *items; /* owned */
    size_t n;
    size_t capacity;
};

struct mni_crash_inode {
    struct mni_crash_inode *next; /* in order of creation, parents first; or the next free one */
    struct mni_crash_inode *prev;
    size_t n_refs; /* by entries, changes, roots and live handles */
    bool is_dir;
    bool is_removed; /* a directory that has no name any more: nothing can be made in it */
    struct mni_crash_content content; /* of a file */
    struct mni_crash_entries durable; /* of a directory */
    struct mni_crash_entries now;
    struct mni_crash_move *moves; /* owned; pending or lost, and durable ones after a lost one */
    size_t n_moves;
    size_t moves_capacity;
    size_t n_shared_locks;
    bool is_locked; /* exclusively */
};

struct mni_crash_root {
    struct mni_crash_root *next;   /* owned */
    struct mni_crash_inode *inode; /* shared */
    bool is_pending;               /* the call that made it was cut */
    char path[];
};

/* Zero-initialised is empty and valid, but for the state of the generator. */
struct mni_crash_disk {
    struct mni_crash_pool pool;
    struct mni_crash_choices choices;
    struct mni_crash_inode *first; /* owned list */
    struct mni_crash_inode *last;
    struct mni_crash_inode *free_inodes; /* owned; with their buffers, all clear */
    struct mni_crash_root *roots;        /* owned list, oldest first */
    bool is_restarting;                  /* inodes without reference wait for the sweep */
};

void mni_crash_disk_done(struct mni_crash_disk *disk);
size_t mni_crash_disk_n_pending(const struct mni_crash_disk *disk);
/* Makes the choices of a crash, which `choices` was prepared for, and drops locks and the
 * references of all handles. */
void mni_crash_disk_restart(struct mni_crash_disk *disk);

struct mni_crash_root *mni_crash_root_find(const struct mni_crash_disk *disk, const char *path);
struct mni_crash_root *mni_crash_root_new(struct mni_crash_disk *disk, const char *path,
                                          bool is_pending);

struct mni_crash_inode *mni_crash_inode_new(struct mni_crash_disk *disk, bool is_dir);
void mni_crash_inode_unref(struct mni_crash_disk *disk, struct mni_crash_inode *inode);

/* The inode that has the name now, or NULL. */
struct mni_crash_inode *mni_crash_dir_find(const struct mni_crash_inode *dir, const char *name);
/* Says where `inode` is from now on: at `name` in `dir`, or nowhere when it is NULL. */
void mni_crash_dir_move(struct mni_crash_disk *disk, struct mni_crash_inode *dir,
                        struct mni_crash_inode *inode, const char *name);
void mni_crash_dir_sync(struct mni_crash_disk *disk, struct mni_crash_inode *dir);
void mni_crash_dir_fail_sync(struct mni_crash_inode *dir);

#endif
