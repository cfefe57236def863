/*
 * peer_rocksdb.h - what only RocksDB is asked for: checkpoints and backups.
 *
 * `db` is a database that one of its peers opened. A failure ends the program.
 */
#ifndef MNEME_BENCH_PEER_ROCKSDB_H
#define MNEME_BENCH_PEER_ROCKSDB_H

/* Writes out the buffer, then makes `dir` of links; it must not be there. */
void rocks_checkpoint(void *db, const char *dir);

/* Backups in one directory, which share their tables. */
struct rocks_backups;
struct rocks_backups *rocks_backups_open(const char *dir);
void rocks_backups_close(struct rocks_backups *backups);

/* Synced, as is the default; the log is copied with it, not written out. */
void rocks_backup(struct rocks_backups *backups, void *db);
/* The newest one into `dir`; checked on the way, and not synced. */
void rocks_restore(struct rocks_backups *backups, const char *dir);

#endif
