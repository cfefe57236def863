/*
 * ingest.h - lines become records, batches of them become commits, each is acknowledged.
 */
#ifndef CLI_INGEST_H
#define CLI_INGEST_H

#include "batch.h"
#include "cli.h"
#include "lines.h"
#include "npy.h"
#include "record_in.h"

enum line_format { LINE_FORMAT_FLAT, LINE_FORMAT_PUT };

/* One run of put or import. Begin with INGEST_INIT, set what is asked for, then ingest_run. */
struct ingest {
    struct cli *cli;       /* borrowed */
    struct mn_slice name;  /* of the namespace */
    const char *what;      /* "put", for the progress line */
    const char *file_name; /* of the lines, for errors; "-" for stdin */
    const char *npy_name;  /* of the vectors, for errors */
    enum line_format format;
    struct mn_slice id_field; /* LINE_FORMAT_FLAT */
    uint64_t batch_records;   /* UINT64_MAX: all lines are one batch */
    mn_ack ack;
    bool has_progress;
    struct npy npy; /* owned; fd -1: vectors are in the lines, if anywhere */
    struct lines lines;
    /* state */
    mn_store *store; /* owned */
    struct batch batch;
    struct record_in in;
    uint64_t n_rows; /* lines taken */
    uint64_t n_acks; /* batches acknowledged */
};

#define INGEST_INIT                                                                                \
    {                                                                                              \
        .npy = {.fd = -1 }                                                                         \
    }

/* Opens the store, takes all lines, closes the store. Returns the exit code. */
int ingest_run(struct ingest *ingest);

void ingest_done(struct ingest *ingest); /* frees; the descriptor of the lines is the caller's */

#endif
