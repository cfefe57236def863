/*
 * search_peer.h - another search, in a process of its own.
 *
 * The process is started with the arguments
 *
 *     VECTORS QUERIES N_DIMS N_RESULTS N_THREADS DIR
 *
 * VECTORS and QUERIES are files of floats, scaled to length 1; DIR is an empty directory of its
 * own, or the one that it left the time before. When it is ready it writes a line "ready", or
 * "absent" and why. Then it reads lines "FIRST COUNT EACH": it searches for COUNT queries from
 * number FIRST on, EACH of them in one call, and answers with a line of the seconds that this took
 * and, for each query, a line of the numbers of its best rows. It ends at the end of its input.
 */
#ifndef MNEME_BENCH_SEARCH_PEER_H
#define MNEME_BENCH_SEARCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEARCH_RESULTS = 10 };

struct search_peer;

struct search_peer_start {
    const char *name;
    const char *const *command; /* program and first arguments, NULL behind them */
    const char *vectors_path;
    const char *queries_path;
    const char *dir;
    uint32_t n_dims;
    unsigned n_threads; /* with 1 the process is held on one core */
};

/* Returns NULL after saying why, when there is no such peer on this machine. */
struct search_peer *search_peer_open(const struct search_peer_start *start);
void search_peer_close(struct search_peer *peer); /* NULL is fine */

/* Returns the seconds. `rows_out` is room for n_queries * SEARCH_RESULTS, or NULL. */
double search_peer_run(struct search_peer *peer, size_t first_query, size_t n_queries, size_t each,
                       size_t *rows_out);

#endif
