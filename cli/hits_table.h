/*
 * hits_table.h - the results of a search, of records or of points, as a table for people.
 *
 *     hits_table_add ... -> hits_table_print -> hits_table_done
 *
 * Lines fit the terminal: long ids and texts are cut, and end in an ellipsis then.
 */
#ifndef CLI_HITS_TABLE_H
#define CLI_HITS_TABLE_H

#include "base/buf.h"
#include "mneme/records.h"
#include "out.h"

/* A result. Nothing is kept of it but texts. */
struct hit_text {
    uint64_t rank; /* above those before */
    double score;
    const char *id;
    const char *time; /* of a point; NULL: of a record */
    struct mn_slice metadata;
};

/* Zero-initialised is empty. All results are records, or all are points. */
struct hits_table {
    bool is_of_points;
    struct mni_buf rows;    /* of struct row, in hits_table.c */
    struct mni_buf text;    /* ids and beginnings of metadata, one behind the other */
    struct mni_buf scratch; /* a string with its escapes resolved */
};

/* MN_ERR_NOMEM leaves the table as it was. */
MN_MUST_USE mn_status hits_table_add(struct hits_table *table, const struct hit_text *hit);

/* Columns of the terminal that stdout is; else what COLUMNS says in the environment, or 100. */
unsigned hits_table_columns(void);

/* Prints all of it. False as out.h says. */
bool hits_table_print(struct hits_table *table, struct out *out, unsigned n_columns);

void hits_table_done(struct hits_table *table);

#endif
