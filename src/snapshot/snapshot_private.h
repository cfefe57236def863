/*
 * snapshot_private.h - what the files of this room share.
 */
#ifndef MNI_SNAPSHOT_SNAPSHOT_PRIVATE_H
#define MNI_SNAPSHOT_SNAPSHOT_PRIVATE_H

#include "snapshot/format.h"
#include "snapshot/snapshot.h"

/* Answers of the environment that are not errors would be taken for answers of ours. */
mn_status pool_as_error(mn_status st, struct mn_error *err);

/* names.c: the files that a snapshot consists of ----------*/

/* One of them. */
struct pool_file {
    unsigned char segment_id[MNI_MANIFEST_ID_BYTES];
    uint64_t generation; /* 0: the segment itself */
    uint32_t crc;
    bool is_compressed; /* in the pool */
    /* What follows does not stand in its name. */
    uint32_t n_rows;
    uint32_t footer_bytes;
    uint64_t file_bytes;   /* not compressed */
    uint64_t stored_bytes; /* in the pool; 0: not known yet */
};

/* Where a walk over the files of a snapshot is; zero-initialised is before the first. */
struct file_cursor {
    size_t segment;
    size_t
        n_lives; /* of this segment, that were given; the segment itself was, too, if is_inside */
    bool is_inside;
};
/* The next file: each segment, then its liveness files. False: there is none left. */
bool snapshot_next_file(const struct mni_snapshot *snapshot, struct file_cursor *cursor,
                        struct pool_file *file_out);

/* Its names in `files/` of a pool and in `seg/` of a store. */
void pool_file_name(const struct pool_file *file, char name_out[MNI_NAME_BYTES_MAX]);
void pool_file_store_name(const struct pool_file *file, char name_out[MNI_NAME_BYTES_MAX]);
/* False: it is not the name of such a file. */
bool pool_file_parse(const char *name, struct pool_file *file_out);
/* In the order of their names' parts. */
int pool_file_compare(const void *one, const void *other);

/* "<id>.snapshot", or with a suffix. */
void pool_snapshot_name(const struct mni_snapshot_id *id, const char *suffix,
                        char name_out[MNI_NAME_BYTES_MAX]);
/* False: the name is none of a snapshot, nor of one that is being written. */
bool pool_parse_snapshot_name(const char *name, struct mni_snapshot_id *id_out, bool *is_new_out);
extern const char pool_new_suffix[];     /* of a snapshot that is being written */
extern const char pool_copying_name[];   /* of a file that is being copied */
extern const char pool_rewriting_name[]; /* of one that is being written anew */

/* The id of the copy of a segment without metadata. */
void pool_bare_id(const struct mni_manifest_segment *source, unsigned char *id_out);

/* codec.c ----------*/

/* The header, its checksum right and its sizes sane. */
struct snapshot_header {
    struct mni_snapshot_id id;
    struct mni_snapshot_id parent;
    unsigned flags;
    unsigned char store_id[MNI_MANIFEST_ID_BYTES];
    uint64_t lsn;
    int64_t time_us;
    int64_t created_us;
    uint64_t file_bytes;
    uint32_t n_sections;
    unsigned char digest[MNI_SNAPSHOT_DIGEST_BYTES];
};

/* From HEADER_BYTES bytes. */
MN_MUST_USE mn_status snapshot_header_decode(const unsigned char *bytes,
                                             struct snapshot_header *header_out,
                                             struct mn_error *err);
/* Reads a whole file of `n` bytes, which it changes. The snapshot is empty before and after an
 * error. */
MN_MUST_USE mn_status snapshot_decode(unsigned char *bytes, uint64_t n,
                                      struct mni_snapshot *snapshot_out, struct mn_error *err);

/* encode.c ----------*/

/* The file's bytes, the caller's to be freed; sets the digest. MN_ERR_INVALID: such a snapshot
 * would not be read back. MN_ERR_LIMIT: it is too large. */
MN_MUST_USE mn_status snapshot_encode(struct mni_snapshot *snapshot, unsigned char **bytes_out,
                                      uint64_t *n_bytes_out, struct mn_error *err);

/* Digest of a file in memory, whose digest and header checksum are zeroes. */
void snapshot_digest(const unsigned char *bytes, uint64_t n,
                     unsigned char digest_out[MNI_SNAPSHOT_DIGEST_BYTES]);

/* pool.c ----------*/

struct mni_pool_dir {
    struct mni_env *env;    /* borrowed */
    struct mni_dir *dir;    /* owned; carries the lock */
    struct mni_dir *files;  /* owned */
    struct mni_dir *adding; /* owned: a second handle of `files`, locked exclusively; or NULL */
    enum mni_pool_lock lock;
    bool is_locked;
};

/* passage.c: the bytes of one file, from one place to another ----------*/

enum { PASSAGE_CHUNK_BYTES = 1 << 20 };

struct passage {
    const struct pool_file *file;
    const char *label; /* the name of `from` in messages */
    struct mni_file *from;
    bool is_from_compressed;
    uint64_t from_bytes; /* length of `from` */
    struct mni_file *to; /* NULL: the bytes are only checked */
    bool is_to_compressed;
    uint64_t to_bytes;                   /* set: what was written */
    const struct mni_progress *progress; /* may be NULL */
    uint64_t n_done_before;              /* for `progress`: of other files */
    uint64_t n_total;
};

/* Reads all bytes, checks them, writes them. Syncs nothing. MN_ERR_CORRUPT: they are not those of
 * the file; what was written is worthless. */
MN_MUST_USE mn_status passage_run(struct passage *passage, struct mn_error *err);

/* Opens a file and checks its length, `n_bytes`; with `n_bytes` 0 sets it instead. MN_ERR_CORRUPT:
 * it is missing or has another length. `is_direct`: past the page cache, if that can be. */
MN_MUST_USE mn_status passage_open(struct mni_dir *dir, const char *name, const char *label,
                                   bool is_direct, uint64_t *n_bytes, struct mni_file **file_out,
                                   struct mn_error *err);

/* carry.c: the files of a snapshot, between a pool and a store ----------*/

struct carry {
    const struct mni_snapshot *snapshot;
    struct mni_dir *from;
    struct mni_dir *to;
    bool is_to_pool;
    const struct mni_progress *progress; /* may be NULL */
    uint64_t *stored;                    /* NULL, or set per segment: its bytes in the pool */
    /* For carry.c. */
    bool *made; /* owned: per file, whether it was not there before */
    uint64_t n_done;
    uint64_t n_total;
};

/* Gives all files their names in `to`, and syncs it. After a failure what it made has gone, if that
 * can be. Ends with carry_done in any case. */
MN_MUST_USE mn_status carry_all(struct carry *carry, struct mn_error *err);
/* Takes away again what was made. */
void carry_undo(struct carry *carry);
void carry_done(struct carry *carry);

/* Looks for a file of `files/`, and checks its length; with `n_bytes` 0 sets it instead.
 * MN_NOT_FOUND: it is not there. */
MN_MUST_USE mn_status pool_find_file(struct mni_dir *files, const char *name, const char *label,
                                     uint64_t *n_bytes, struct mn_error *err);
/* Makes the compressed `file` of what lies beside it in `to` under another name; sets its
 * stored_bytes. */
MN_MUST_USE mn_status carry_compress(struct carry *carry, struct pool_file *file,
                                     const char *from_name, bool *was_made, struct mn_error *err);

/* bare.c: the same without metadata, from a store to a pool ----------*/

/* Writes all files of `source`, the store's manifest, anew, and makes the manifest of
 * `carry->snapshot`, which is `snapshot`, one of them. `parent` may be NULL. After a failure it
 * says nothing that can be used. Ends with carry_done in any case. */
MN_MUST_USE mn_status bare_all(struct carry *carry, struct mni_snapshot *snapshot,
                               const struct mni_manifest *source, const struct mni_snapshot *parent,
                               struct mn_error *err);

#endif
