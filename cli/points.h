/*
 * points.h - the points of an entity, copied, as the functions of trajectory.h take them.
 */
#ifndef CLI_POINTS_H
#define CLI_POINTS_H

#include "base/buf.h"
#include "cli.h"
#include "space.h"

/* Whose points: the first two words of a command. */
struct subject {
    struct space_word word;
    uint32_t space;
    uint64_t entity;
};

/* Takes the words; the space is looked up later. Says what is wrong and returns an exit code. */
int subject_take(const struct cli *cli, struct subject *subject);

/* Zero-initialised is empty. */
struct points {
    struct mni_buf times;   /* int64_t */
    struct mni_buf vectors; /* float */
    size_t n_points;
    uint32_t n_dims;
    size_t n_odd; /* left out, as asked: they have NaN or infinite elements */
};

/* Reads those from one time to another, both included. */
MN_MUST_USE mn_status points_read(mn_store *store, const struct subject *subject, int64_t from_us,
                                  int64_t to_us, bool leaves_out_odd, struct points *points,
                                  struct mn_error *err);

/* Borrowed from the points. */
struct mn_trajectory points_trajectory(const struct points *points);

void points_done(struct points *points);

#endif
