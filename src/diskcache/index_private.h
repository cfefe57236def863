/*
 * index_private.h - which entries there are: all in memory, so that counts are exact without disk.
 *
 *     namespace --> its entries, in the order in which they were stored
 *     hash of (serial of the namespace, id) --> entry --> number --> value in RocksDB
 *     generation (a range of numbers, one file) --> its entries
 *     heap of entries by expiry
 *
 * A namespace that is cleared leaves the table of names at once; its entries, which nobody finds
 * any more, are taken apart later in small steps. A name that is used again gets a new serial, so
 * that old entries and old values on disk are none of its.
 *
 * Memory: 80 bytes per entry, 4 to 8 for its place in the table, 4 if it expires.
 *
 * Threads: the caller's lock.
 */
#ifndef MNI_DISKCACHE_INDEX_PRIVATE_H
#define MNI_DISKCACHE_INDEX_PRIVATE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "mneme/types.h"

enum {
    DC_CHUNK_ENTRIES = 4096,
    DC_SHARDS = 64, /* of the table, so that growing never takes long */
    DC_HEAT_MAX = 255,
};
#define DC_NO_ENTRY UINT32_MAX
#define DC_NEVER INT64_MAX

struct dc_entry {
    uint64_t hash[2];
    uint64_t number; /* of its value; 0: this is no entry */
    int64_t created_at_us;
    int64_t expires_at_us; /* DC_NEVER */
    uint32_t value_bytes;
    uint32_t access_count;
    uint32_t space; /* index of the namespace */
    uint32_t chain; /* next of its bucket; of free ones: next free one */
    uint32_t space_prev, space_next;
    uint32_t generation_prev, generation_next;
    uint32_t heap_slot; /* DC_NO_ENTRY: not in the heap */
    uint16_t id_bytes;
    uint8_t heat;  /* gets since it was last written; halved when it is moved */
    bool is_ghost; /* removed, but for its place in its generation */
};
static_assert(sizeof(struct dc_entry) == 80, "memory of an entry");

/* A namespace. */
struct dc_space {
    char *name; /* owned */
    size_t name_bytes;
    uint64_t name_hash;
    struct dc_space *chain; /* of its bucket of names; of cleared ones: the next to take apart */
    uint64_t serial;
    uint32_t slot;       /* in dc_index.spaces */
    uint32_t head, tail; /* entries, oldest first */
    uint32_t n_holds;    /* it stays without entries too */
    bool is_cleared;
    uint64_t n_entries;
    uint64_t value_bytes;
    uint64_t n_puts;
    uint64_t n_hits;
    uint64_t n_misses;
    uint64_t n_errors;
    uint64_t n_expired;
    uint64_t n_evicted;
};

/* Values with a range of numbers: what one file holds, or will hold. */
struct dc_generation {
    uint64_t first;
    uint64_t last;        /* inclusive */
    uint64_t bytes_max;   /* what its file may become */
    uint64_t file_bytes;  /* of the file; valid when is_file */
    uint64_t file_number; /* likewise */
    uint64_t value_bytes; /* of its entries */
    uint64_t n_entries;
    uint32_t head, tail; /* entries, by number */
    uint32_t cursor;     /* the next one that draining looks at */
    int level;
    bool is_file;
};

struct dc_shard {
    uint32_t *buckets; /* owned; a power of two of them */
    uint32_t n_buckets;
    uint32_t n_entries;
};

struct dc_index {
    struct dc_entry **chunks; /* owned, each and the array */
    uint32_t n_chunks;
    uint32_t chunk_capacity;
    uint32_t n_slots_used; /* of the chunks, from the beginning */
    uint32_t free_head;
    struct dc_shard shards[DC_SHARDS];

    uint32_t *heap; /* owned; the soonest first */
    uint32_t n_heap;
    uint32_t heap_capacity;

    struct dc_space **spaces; /* owned, those that are not NULL */
    uint32_t n_spaces;        /* slots */
    uint32_t space_capacity;
    uint32_t free_space;     /* no slot before this one is free */
    struct dc_space **names; /* buckets, owned; a power of two of them */
    uint32_t n_names;
    uint32_t n_names_used; /* of them, those with entries */
    uint32_t n_name_buckets;
    struct dc_space *cleared; /* to be taken apart */
    uint64_t next_serial;
    uint64_t name_bytes; /* of all names */

    struct dc_generation **generations; /* owned; oldest first; the last one is being written */
    uint32_t n_generations;
    uint32_t generation_capacity;
    struct dc_generation *spare; /* owned; the next one, or NULL */

    bool is_frozen;
    uint32_t ghosts; /* entries that were removed while it was; by `chain` */

    uint64_t n_entries;   /* of namespaces that are not cleared */
    uint64_t value_bytes; /* likewise */
    uint64_t table_bytes; /* memory of all of this */
};

void dc_index_init(struct dc_index *x, uint64_t first_serial);
/* Frees everything and leaves an empty index, whose serials go on. */
void dc_index_reset(struct dc_index *x);

static inline struct dc_entry *dc_entry_at(const struct dc_index *x, uint32_t e)
{
    return &x->chunks[e / DC_CHUNK_ENTRIES][e % DC_CHUNK_ENTRIES];
}

/* Namespaces ----------*/

/* NULL: none of this name has entries. */
struct dc_space *dc_space_find(const struct dc_index *x, struct mn_slice name);
/* The same, and makes one; NULL when memory is short. */
struct dc_space *dc_space_get(struct dc_index *x, struct mn_slice name);
/* The same with a serial that was given before; nobody has this name. */
struct dc_space *dc_space_add(struct dc_index *x, struct mn_slice name, uint64_t serial);
/* Frees one that has no entries and is not held; else does nothing. */
void dc_space_release_unused(struct dc_index *x, struct dc_space *space);
/* Takes the name from its entries, which are gone for everyone but dc_index_tidy. */
void dc_space_clear(struct dc_index *x, struct dc_space *space);
/* Takes up to `n` entries of cleared namespaces apart. */
void dc_index_tidy(struct dc_index *x, uint32_t n);

/* Entries ----------*/

void dc_entry_hash(uint64_t serial, struct mn_slice id, uint64_t hash_out[2]);
uint32_t dc_entry_find(const struct dc_index *x, const uint64_t hash[2]);
/* So many more can be added without memory that is not there yet. */
MN_MUST_USE mn_status dc_index_reserve(struct dc_index *x, uint32_t n, struct mn_error *err);
/* Adds an entry to the newest generation; nobody has this hash. `space`, `number`, times and sizes
 * are the caller's to fill in `from`; room was reserved. */
void dc_entry_add(struct dc_index *x, const struct dc_entry *from);
/* Takes it out of everything, its namespace too when that has no more entries and is not held. */
void dc_entry_remove(struct dc_index *x, uint32_t e);
/* Gives it a new number, of the newest generation. */
void dc_entry_move(struct dc_index *x, uint32_t e, uint64_t number);

/* From here until it thaws nothing is added or moved, and an entry that is removed stays in its
 * generation, its namespace too: so all entries that there are now can be gone through in several
 * holds of the lock. Counts and look-ups know nothing of it. */
void dc_index_freeze(struct dc_index *x);
/* Ends that, and takes up to `n` of the entries apart that were removed meanwhile; whether there
 * are more: to be called again before anything is added or moved. */
bool dc_index_thaw(struct dc_index *x, uint32_t n);

/* The entry that expires first; DC_NO_ENTRY: none does. */
static inline uint32_t dc_index_soonest(const struct dc_index *x)
{
    return x->n_heap == 0 ? DC_NO_ENTRY : x->heap[0];
}

/* Generations ----------*/

/* Beginning a new one does not fail after this. */
MN_MUST_USE mn_status dc_generation_reserve(struct dc_index *x, struct mn_error *err);
/* Begins a new one; its first number is greater than all so far. */
MN_MUST_USE mn_status dc_generation_begin(struct dc_index *x, uint64_t first, struct mn_error *err);
/* The generation of a number. */
struct dc_generation *dc_generation_of(const struct dc_index *x, uint64_t number);
static inline struct dc_generation *dc_generation_newest(const struct dc_index *x)
{
    return x->generations[x->n_generations - 1];
}
/* Joins generations [i, i + n) to one. */
void dc_generation_join(struct dc_index *x, uint32_t i, uint32_t n);
/* Forgets one without entries. */
void dc_generation_drop(struct dc_index *x, uint32_t i);

#endif
