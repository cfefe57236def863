/*
 * salvage_private.h - what salvage works with.
 *
 *     salvage.c          the run: what is read when, and the new store
 *     salvage_sources.c  the segments that are left, and which of their rows count
 *     salvage_names.c    the namespaces and spaces that records belong to
 */
#ifndef MNI_ENGINE_SALVAGE_PRIVATE_H
#define MNI_ENGINE_SALVAGE_PRIVATE_H

#include "engine/engine_private.h"

/* A segment of the damaged store. */
struct salvage_source {
    struct mni_segment *segment; /* one reference */
    struct mni_liveness live;
    bool is_live_known; /* false: some of its rows may be dead, or changed, without a trace */
    bool is_damaged;
    bool is_damage_told;
    struct mn_error damage; /* the first */
};

/* A namespace, a space or a tenant of the damaged store. */
struct salvage_name {
    struct salvage_name *next_of_number;
    struct salvage_name *next_of_key;
    struct salvage_name *next_of_space_name;
    uint64_t number;
    uint64_t lsn; /* of the newest row of the catalogue that gave it a name; 0: none was found */
    uint32_t dimension;
    bool is_dead; /* that row died, as a segment's liveness has it */
    bool is_gone; /* it was dropped */
    bool is_lost; /* its name is; then nothing tells whether it was dropped */
    bool is_space;
    bool is_history;  /* of a space: LSNs are given out anew, so it tells nothing any more */
    bool is_left_out; /* of a tenant that another collection is known for */
    char *space_name; /* owned */
    size_t space_name_bytes;
    struct mni_space_settings settings; /* of a space */
    size_t key_bytes;                   /* 0: it has none */
    unsigned char key[1 + MN_NAMESPACE_BYTES_MAX];
};

enum { NAME_CHAINS = 1 << 14 };

struct salvage {
    struct mni_env *env;
    struct mni_dir *dir;     /* owned; of the damaged store */
    struct mni_dir *seg_dir; /* owned; NULL: there is none */
    struct mni_dir *wal_dir; /* likewise */
    struct store_file store;
    bool has_store_file;
    struct mni_manifest manifest;   /* number 0: none could be read */
    uint64_t began_lsn;             /* commits up to here are of a past that a restore left */
    struct salvage_source *sources; /* owned */
    size_t n_sources;

    bool is_every_segment_open;
    bool is_catalogue_whole; /* every row of it in those segments was read */
    bool is_log_whole;
    bool is_second_pass;       /* of the log */
    uint64_t n_log_damages[2]; /* that its passes met */
    bool is_sure;              /* a row that is alive by its segment's liveness stands there only */

    /* Segments are damaged or missing: what the log still has of the time before the checkpoint
     * counts as well. */
    bool takes_whole_log;
    uint64_t n_lost_rows;
    uint64_t lost_min_lsn; /* no lost row is older; UINT64_MAX: none is lost */

    /* Behind `absent_lsn` every commit is in the log. */
    uint64_t absent_lsn;
    uint64_t absent_passed_lsn; /* up to here that was taken into account */
    bool is_checkpoint_passed;  /* by the second pass */
    uint64_t n_record_rows;     /* live records after the segments were read */
    uint64_t n_restored;        /* records that only the log had, up to the checkpoint */

    struct salvage_name **by_number; /* owned chains; each name is owned by this one */
    struct salvage_name **by_key;

    struct mni_engine *engine; /* owned; the new store */
    struct mni_batch *batch;   /* owned; NULL: none is begun */
    size_t batch_bytes;

    mni_salvage_damage_fn *damage;
    void *context;
    struct mn_salvage_report *report;
};

/* salvage.c ----------*/

/* Notes damage of a file. */
void salvage_damage(struct salvage *s, const char *file, const char *format, ...) MN_PRINTF(3, 4);
/* Rows of segments that cannot be read, none older than `min_lsn`: the log may have them. */
void salvage_lost_rows(struct salvage *s, uint64_t n, uint64_t min_lsn);
/* Whether a failure to read ends the run; all others are damage. */
static inline bool salvage_is_fatal(mn_status st)
{
    return st == MN_ERR_NOMEM || st == MN_ERR_CANCELLED;
}

/* salvage_sources.c ----------*/

/* Opens what the manifest names, or without one all that is there. */
MN_MUST_USE mn_status salvage_open_sources(struct salvage *s, struct mn_error *err);
void salvage_close_sources(struct salvage *s);
/* Called with each row that can be read; what it points to is valid during the call. */
typedef mn_status salvage_row_fn(struct salvage *s, size_t source_index, uint32_t row,
                                 const struct mni_segment_row *r, struct mn_error *err);
/* All rows of the catalogue, dead ones too. */
MN_MUST_USE mn_status salvage_catalogue_rows(struct salvage *s, salvage_row_fn *each,
                                             struct mn_error *err);
/* All rows of other collections that are not dead, and not superseded as far as that can be known,
 * in the state that patches left them in. */
MN_MUST_USE mn_status salvage_record_rows(struct salvage *s, salvage_row_fn *each,
                                          struct mn_error *err);
/* The LSN of the newest version of a key that a segment has, readable or dead; 0: none. */
MN_MUST_USE mn_status salvage_newest_lsn(struct salvage *s, uint64_t collection,
                                         struct mn_slice key, uint64_t *lsn_out,
                                         struct mn_error *err);

/* salvage_names.c ----------*/

MN_MUST_USE mn_status salvage_names_new(struct salvage *s, struct mn_error *err);
void salvage_names_free(struct salvage *s);
/* A row of a collection: key and value are valid. */
MN_MUST_USE mn_status salvage_name_seen(struct salvage *s, const struct mni_record *row,
                                        const struct mni_collection *c, uint64_t lsn, bool is_dead,
                                        struct mn_error *err);
void salvage_name_dropped(struct salvage *s, struct mn_slice key, uint64_t lsn);
/* Decides, once all rows were seen, which collections there are. */
MN_MUST_USE mn_status salvage_names_settle(struct salvage *s, struct mn_error *err);
/* Whether a collection's records are wanted: false for one that was dropped. */
bool salvage_is_wanted(struct salvage *s, uint64_t number);
/* The collection of a record that is wanted; gives it a name where that is lost. NULL: there is
 * none yet that the record could change. */
MN_MUST_USE mn_status salvage_name_of(struct salvage *s, const struct mni_record *r,
                                      const struct salvage_name **name_out, struct mn_error *err);

#endif
