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

enum line_format { LINE_FORMAT_FLAT, LINE_FORMAT_PUT, LINE_FORMAT_POINT };

struct ingest;

/* Stores the batch that was gathered, all of it or nothing. What is wrong with one record begins
 * with "record 3: " or "point 3: ", counted from 0. */
typedef mn_status ingest_store_fn(struct ingest *ingest, uint64_t *n_stored_out, uint64_t *lsn_out,
                                  struct mn_error *err);

/* One run of put, import or temporal put. Begin with INGEST_INIT, set what is asked for, then
 * ingest_run. */
struct ingest {
    struct cli *cli;       /* borrowed */
    struct mn_slice name;  /* of the namespace */
    const char *what;      /* "put", for the progress line */
    const char *file_name; /* of the lines, for errors; "-" for stdin */
    const char *npy_name;  /* of the vectors, for errors */
    enum line_format format;
    struct mn_slice id_field; /* LINE_FORMAT_FLAT */
    uint64_t batch_records;   /* UINT64_MAX: all lines are one batch */
    uint64_t batch_bytes;     /* a batch is committed as soon as it has as many */
    uint64_t n_lines_total;   /* for the progress line; 0: not known */
    mn_ack ack;
    bool has_progress;
    ingest_store_fn *store_batch; /* NULL: records, into the namespace */
    void *context;                /* for store_batch; borrowed */
    struct npy npy;               /* owned; fd -1: vectors are in the lines, if anywhere */
    struct lines lines;
    /* state */
    mn_store *store; /* owned */
    struct batch batch;
    struct record_in in;
    uint64_t n_lines; /* taken */
    uint64_t n_rows;  /* of the .npy file, taken */
    uint64_t n_acks;  /* batches acknowledged */
};

#define INGEST_INIT                                                                                \
    {                                                                                              \
        .npy = {.fd = -1}, .batch_bytes = UINT64_MAX                                               \
    }

/* Takes --ack. False after saying what is wrong. */
bool ingest_take_ack(const struct cli *cli, mn_ack *ack_out);

/* Whether the line that `in` has just read takes a row of the .npy file, of which `n_taken` are
 * taken: each line takes the next one, and where it says which, it must be that. A line may also
 * say that it takes none. */
MN_MUST_USE mn_status ingest_takes_row(const struct ingest *ingest, uint64_t n_taken,
                                       bool *takes_out, struct mn_error *err);

/* Says that the lines take `n_taken` rows, and the .npy file has another number of them. Returns an
 * exit code. `n_lines` is the number of lines. */
int ingest_refuse_counts(const struct ingest *ingest, uint64_t n_lines, uint64_t n_taken);

/* Opens the store, takes all lines, closes the store. Returns the exit code. */
int ingest_run(struct ingest *ingest);

void ingest_done(struct ingest *ingest); /* frees; the descriptor of the lines is the caller's */

#endif
