/*
 * expiry.c - what expires, the earliest first: a leftist heap whose nodes lie before their entries.
 *
 * Owns:    nothing; takes no memory.
 * Threads: the cache's lock is held.
 * Fails:   never.
 *
 * The rank of a node is the number of nodes on its way down to the right. On the left it is never
 * lower, so ways to the right are short (log n), and all work is done along them.
 */
#include "ramcache/ramcache_private.h"

static unsigned rank_of(struct expiry_node *node)
{
    return node == NULL ? 0 : entry_of_expiry(node)->heap_rank;
}

/* Puts the children in order and sets the rank. True: the rank has changed. */
static bool settle(struct expiry_node *node)
{
    if (rank_of(node->left) < rank_of(node->right)) {
        struct expiry_node *left = node->left;
        node->left = node->right;
        node->right = left;
    }
    uint8_t rank = (uint8_t)(rank_of(node->right) + 1);
    if (entry_of_expiry(node)->heap_rank == rank)
        return false;
    entry_of_expiry(node)->heap_rank = rank;
    return true;
}

/* Joins two heaps along their right sides, then settles the way back up. */
static struct expiry_node *merge(struct expiry_node *a, struct expiry_node *b)
{
    struct expiry_node *root = NULL;
    struct expiry_node *last = NULL; /* the lowest one joined so far */

    while (a != NULL || b != NULL) {
        struct expiry_node **least = b == NULL || (a != NULL && a->due_us <= b->due_us) ? &a : &b;
        struct expiry_node *node = *least;
        if ((a == NULL || b == NULL) && last != NULL) {
            /* The rest goes on as it is. */
            last->right = node;
            node->parent = last;
            break;
        }
        if (a == NULL || b == NULL) {
            node->parent = NULL;
            return node;
        }
        *least = node->right;
        node->parent = last;
        if (last != NULL)
            last->right = node;
        else
            root = node;
        node->right = NULL;
        last = node;
    }
    for (; last != NULL; last = last->parent)
        (void)settle(last);
    return root;
}

void mni_ramcache_heap_add(struct mni_ramcache *cache, struct entry *entry)
{
    struct expiry_node *node = expiry_of(entry);

    node->left = node->right = node->parent = NULL;
    entry->heap_rank = 1;
    cache->heap = merge(cache->heap, node);
}

void mni_ramcache_heap_remove(struct mni_ramcache *cache, struct entry *entry)
{
    struct expiry_node *node = expiry_of(entry);
    struct expiry_node *parent = node->parent;
    struct expiry_node *rest;

    if (node->left != NULL)
        node->left->parent = NULL;
    if (node->right != NULL)
        node->right->parent = NULL;
    rest = merge(node->left, node->right);
    MNI_CHECK(parent != NULL || cache->heap == node);
    if (rest != NULL)
        rest->parent = parent;
    if (parent == NULL)
        cache->heap = rest;
    else if (parent->left == node)
        parent->left = rest;
    else
        parent->right = rest;
    /* Ranks above change only as long as they get lower. */
    while (parent != NULL && settle(parent))
        parent = parent->parent;
    node->left = node->right = node->parent = NULL;
}
