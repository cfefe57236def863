/*
 * crash_tree.c - inodes and directories of the simulated disk, and its restart.
 *
 * Owns:    all inodes and roots.
 * Threads: one at a time.
 * Fails:   ends the process when memory is short.
 *
 * A directory keeps its durable entries, its entries as they are now, and the moves that lead from
 * one to the other. Entries name inodes. An inode lives as long as an entry, a move, a root or a
 * handle refers to it; after a restart, as long as a root leads to it.
 */
#include "io/crash_private.h"

#include <string.h>

enum move_state { MOVE_PENDING, MOVE_LOST, MOVE_DURABLE };

/* A move says where an inode is from now on, not how it got there. So any subset of moves can be
 * applied in order, and no inode ends up with two names. */
struct mni_crash_move {
    struct mni_crash_inode *inode; /* shared */
    bool is_removal;
    enum move_state state; /* no pending one stands before another state */
    char name[MNI_NAME_BYTES_MAX];
};

struct mni_crash_inode *mni_crash_inode_new(struct mni_crash_disk *disk, bool is_dir)
{
    struct mni_crash_inode *inode = disk->free_inodes;

    if (inode != NULL)
        disk->free_inodes = inode->next;
    else
        inode = mni_crash_must(calloc(1, sizeof *inode));
    MNI_CHECK(inode->n_refs == 0);
    inode->is_dir = is_dir;
    inode->next = NULL;
    inode->prev = disk->last;
    if (disk->last != NULL)
        disk->last->next = inode;
    else
        disk->first = inode;
    disk->last = inode;
    return inode;
}

/* Forgets what a directory names without following it. */
static void inode_release(struct mni_crash_disk *disk, struct mni_crash_inode *inode)
{
    MNI_CHECK(inode->n_refs == 0);
    if (inode->prev != NULL)
        inode->prev->next = inode->next;
    else
        disk->first = inode->next;
    if (inode->next != NULL)
        inode->next->prev = inode->prev;
    else
        disk->last = inode->prev;
    mni_crash_content_reset(&inode->content, &disk->pool);
    inode->durable.n = 0;
    inode->now.n = 0;
    inode->n_moves = 0;
    inode->n_shared_locks = 0;
    inode->is_locked = false;
    inode->is_removed = false;
    inode->next = disk->free_inodes;
    disk->free_inodes = inode;
}

static void free_inodes(struct mni_crash_disk *disk, struct mni_crash_inode *inode)
{
    while (inode != NULL) {
        struct mni_crash_inode *next = inode->next;
        mni_crash_content_done(&inode->content, &disk->pool);
        free(inode->durable.items);
        free(inode->now.items);
        free(inode->moves);
        free(inode);
        inode = next;
    }
}

/* What a directory that goes for ever would still have held after a crash. */
static void let_go_of_entries(struct mni_crash_disk *disk, struct mni_crash_inode *dir)
{
    MNI_CHECK(dir->is_removed && dir->now.n == 0);
    for (size_t i = 0; i < dir->n_moves; i++)
        mni_crash_inode_unref(disk, dir->moves[i].inode);
    for (size_t i = 0; i < dir->durable.n; i++)
        mni_crash_inode_unref(disk, dir->durable.items[i].inode);
}

void mni_crash_inode_unref(struct mni_crash_disk *disk, struct mni_crash_inode *inode)
{
    MNI_CHECK(inode->n_refs > 0);
    if (--inode->n_refs > 0 || disk->is_restarting)
        return;
    if (inode->is_dir)
        let_go_of_entries(disk, inode);
    inode_release(disk, inode);
}

static struct mni_crash_entry *find_entry(const struct mni_crash_entries *entries, const char *name)
{
    for (size_t i = 0; i < entries->n; i++) {
        if (strcmp(entries->items[i].name, name) == 0)
            return &entries->items[i];
    }
    return NULL;
}

static void remove_entry(struct mni_crash_disk *disk, struct mni_crash_entries *entries,
                         struct mni_crash_entry *entry)
{
    struct mni_crash_inode *inode = entry->inode;

    *entry = entries->items[--entries->n];
    mni_crash_inode_unref(disk, inode);
}

static void apply_move(struct mni_crash_disk *disk, struct mni_crash_entries *entries,
                       const struct mni_crash_move *move)
{
    for (size_t i = 0; i < entries->n; i++) {
        if (entries->items[i].inode == move->inode) {
            remove_entry(disk, entries, &entries->items[i]);
            break;
        }
    }
    if (move->is_removal)
        return;
    struct mni_crash_entry *taken = find_entry(entries, move->name);
    if (taken != NULL)
        remove_entry(disk, entries, taken);
    entries->items =
        mni_crash_grow(entries->items, entries->n, &entries->capacity, sizeof *entries->items);
    struct mni_crash_entry *entry = &entries->items[entries->n++];
    memcpy(entry->name, move->name, sizeof entry->name);
    entry->inode = move->inode;
    entry->inode->n_refs++;
}

struct mni_crash_inode *mni_crash_dir_find(const struct mni_crash_inode *dir, const char *name)
{
    const struct mni_crash_entry *entry = find_entry(&dir->now, name);

    return entry != NULL ? entry->inode : NULL;
}

void mni_crash_dir_move(struct mni_crash_disk *disk, struct mni_crash_inode *dir,
                        struct mni_crash_inode *inode, const char *name)
{
    MNI_CHECK(dir->is_dir);
    dir->moves = mni_crash_grow(dir->moves, dir->n_moves, &dir->moves_capacity, sizeof *dir->moves);
    struct mni_crash_move *move = &dir->moves[dir->n_moves++];
    memset(move, 0, sizeof *move);
    move->inode = inode;
    inode->n_refs++;
    move->state = MOVE_PENDING;
    move->is_removal = name == NULL;
    if (name != NULL) {
        size_t n_name_bytes = strlen(name) + 1;
        MNI_CHECK(n_name_bytes <= sizeof move->name);
        memcpy(move->name, name, n_name_bytes);
    }
    apply_move(disk, &dir->now, move);
}

/* Brings the durable moves that no lost one stands before into the durable entries. */
static void fold_moves(struct mni_crash_disk *disk, struct mni_crash_inode *dir)
{
    size_t n = 0;

    while (n < dir->n_moves && dir->moves[n].state == MOVE_DURABLE)
        apply_move(disk, &dir->durable, &dir->moves[n++]);
    for (size_t i = 0; i < n; i++)
        mni_crash_inode_unref(disk, dir->moves[i].inode);
    dir->n_moves -= n;
    if (dir->n_moves > 0)
        memmove(dir->moves, dir->moves + n, dir->n_moves * sizeof *dir->moves);
}

static void settle_pending(struct mni_crash_inode *dir, enum move_state state)
{
    for (size_t i = 0; i < dir->n_moves; i++) {
        if (dir->moves[i].state == MOVE_PENDING)
            dir->moves[i].state = state;
    }
}

void mni_crash_dir_sync(struct mni_crash_disk *disk, struct mni_crash_inode *dir)
{
    settle_pending(dir, MOVE_DURABLE);
    fold_moves(disk, dir);
}

void mni_crash_dir_fail_sync(struct mni_crash_inode *dir)
{
    settle_pending(dir, MOVE_LOST);
}

static void resolve_dir(struct mni_crash_disk *disk, struct mni_crash_inode *dir)
{
    size_t n_done = 0;

    if (dir->n_moves == 0)
        return;
    mni_crash_choose_odds(&disk->choices);
    for (; n_done < dir->n_moves && dir->moves[n_done].state != MOVE_PENDING; n_done++) {
        const struct mni_crash_move *move = &dir->moves[n_done];
        if (move->state == MOVE_DURABLE || mni_crash_choose_prefix(&disk->choices, 1) == 1)
            apply_move(disk, &dir->durable, move);
    }
    size_t n_more = mni_crash_choose_prefix(&disk->choices, dir->n_moves - n_done);
    for (size_t i = 0; i < n_more; i++)
        apply_move(disk, &dir->durable, &dir->moves[n_done + i]);
    dir->n_moves = 0;
    dir->now.n = 0;
    for (size_t i = 0; i < dir->durable.n; i++) {
        dir->now.items =
            mni_crash_grow(dir->now.items, dir->now.n, &dir->now.capacity, sizeof *dir->now.items);
        dir->now.items[dir->now.n++] = dir->durable.items[i];
    }
}

struct mni_crash_root *mni_crash_root_find(const struct mni_crash_disk *disk, const char *path)
{
    struct mni_crash_root *root = disk->roots;

    while (root != NULL && strcmp(root->path, path) != 0)
        root = root->next;
    return root;
}

struct mni_crash_root *mni_crash_root_new(struct mni_crash_disk *disk, const char *path,
                                          bool is_pending)
{
    size_t n_path_bytes = strlen(path) + 1;
    struct mni_crash_root *root = mni_crash_must(calloc(1, sizeof *root + n_path_bytes));
    struct mni_crash_root **link = &disk->roots;

    memcpy(root->path, path, n_path_bytes);
    root->is_pending = is_pending;
    root->inode = mni_crash_inode_new(disk, true);
    root->inode->n_refs++;
    while (*link != NULL)
        link = &(*link)->next;
    *link = root;
    return root;
}

static void resolve_roots(struct mni_crash_disk *disk)
{
    struct mni_crash_root **link = &disk->roots;

    while (*link != NULL) {
        struct mni_crash_root *root = *link;
        bool happened = true;
        if (root->is_pending) {
            mni_crash_choose_odds(&disk->choices);
            happened = mni_crash_choose_prefix(&disk->choices, 1) == 1;
        }
        if (happened) {
            root->is_pending = false;
            link = &root->next;
        } else {
            *link = root->next;
            free(root);
        }
    }
}

/* Counts references anew, as those of dead handles are void, and releases what no root leads to.
 * One pass counts because a directory is older than the directories it holds. */
static void sweep(struct mni_crash_disk *disk)
{
    for (struct mni_crash_inode *inode = disk->first; inode != NULL; inode = inode->next)
        inode->n_refs = 0;
    for (struct mni_crash_root *root = disk->roots; root != NULL; root = root->next)
        root->inode->n_refs++;
    for (struct mni_crash_inode *inode = disk->first; inode != NULL; inode = inode->next)
        for (size_t i = 0; i < inode->durable.n && inode->n_refs > 0; i++)
            inode->durable.items[i].inode->n_refs += 2; /* durable and now */
    for (struct mni_crash_inode *next, *inode = disk->first; inode != NULL; inode = next) {
        next = inode->next;
        inode->n_shared_locks = 0;
        inode->is_locked = false;
        inode->is_removed = false; /* what is left has a name */
        if (inode->n_refs == 0)
            inode_release(disk, inode);
    }
}

void mni_crash_disk_restart(struct mni_crash_disk *disk)
{
    disk->is_restarting = true;
    for (struct mni_crash_inode *inode = disk->first; inode != NULL; inode = inode->next)
        mni_crash_content_resolve(&inode->content, &disk->pool, &disk->choices);
    for (struct mni_crash_inode *inode = disk->first; inode != NULL; inode = inode->next)
        resolve_dir(disk, inode);
    resolve_roots(disk);
    sweep(disk);
    disk->is_restarting = false;
}

size_t mni_crash_disk_n_pending(const struct mni_crash_disk *disk)
{
    size_t n = 0;

    for (const struct mni_crash_inode *inode = disk->first; inode != NULL; inode = inode->next) {
        n += mni_crash_content_n_pending(&inode->content);
        for (size_t i = 0; i < inode->n_moves; i++)
            n += inode->moves[i].state != MOVE_DURABLE;
    }
    for (const struct mni_crash_root *root = disk->roots; root != NULL; root = root->next)
        n += root->is_pending;
    return n;
}

void mni_crash_disk_done(struct mni_crash_disk *disk)
{
    free_inodes(disk, disk->first);
    free_inodes(disk, disk->free_inodes);
    disk->first = NULL;
    disk->last = NULL;
    disk->free_inodes = NULL;
    for (struct mni_crash_root *next, *root = disk->roots; root != NULL; root = next) {
        next = root->next;
        free(root);
    }
    disk->roots = NULL;
    mni_crash_pool_done(&disk->pool);
}
