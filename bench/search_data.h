/*
 * search_data.h - the vectors that searches are measured on, and what is searched for in them.
 */
#ifndef MNEME_BENCH_SEARCH_DATA_H
#define MNEME_BENCH_SEARCH_DATA_H

#include "bench.h"

enum {
    SEARCH_QUERIES = 128,
    SEARCH_ID_BYTES_MAX = 512,
};

struct search_data {
    const char *name;  /* a part of the cases' names */
    const char *title; /* for people */
    size_t n_records;
    uint32_t n_dims;
    float *vectors; /* owned */
    float *queries; /* owned: SEARCH_QUERIES of them */
    char *words;    /* owned: ids with newlines between them; NULL: those of bench_id */
    size_t *word_starts;
};

/* Vectors around 1,000 centres, at half the distance that these have from 0, in no order. Queries
 * come from around the same centres. Equal in every run. */
struct search_data search_data_clustered(const char *name, const char *title, size_t n_records,
                                         uint32_t n_dims);

/*
 * Word vectors, as bench/fetch leaves them in a directory: "glove.f32" and "glove.words", the most
 * common words first. Queries are the vectors of words among them, at even distances. Returns false
 * when they are not there.
 */
bool search_data_words(const char *dir, const char *name, const char *title,
                       const struct bench_options *options, struct search_data *data_out);

void search_data_free(struct search_data *data);

/* The id of a record; returns its length. */
size_t search_data_id(const struct search_data *data, size_t index,
                      char id_out[SEARCH_ID_BYTES_MAX]);

/* Writes vectors that are scaled to length 1 to a file, one behind the other; those of length 0 as
 * they are. */
void search_data_write_units(const char *path, const float *vectors, size_t n, uint32_t n_dims);

/* Cosine of a record and a query, as exactly as can be. */
double search_data_cosine(const struct search_data *data, size_t index, size_t query);

#endif
