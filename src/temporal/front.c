/*
 * front.c - the points at which the last segment may begin.
 *
 * Owns:    for each of them the sums of what lies before it.
 * Threads: one at a time.
 * Fails:   when memory is short, or the caller wants no more of it.
 *
 * Few starts are compared with each point; bounds rule the others out. They rest on this, for
 * s <= a <= t, with n_s points from s to a, n from a to t, and means of both:
 *
 *     C(s, t) = C(s, a) + C(a, t) + n_s n / (n_s + n) * |mean(s, a) - mean(a, t)|^2
 *
 * So the cost of a segment never falls when points are added, and what a start cost at an earlier
 * time, plus what came since costs by itself, is never more than what it costs now. Starts are kept
 * in groups. A group has an anchor, the time `a` at which all of its starts were compared, and for
 * that time a centre: the mean from one of them on. The others' means are near to it, the nearer
 * the longer ago they began; how far, is kept. So one look at the centre bounds the third term for
 * all of them:
 *
 *     |mean(s, a) - mean(a, t)|  >=  |centre - mean(a, t)| - |centre - mean(s, a)|
 *
 * To spare most groups even that, bounds of all groups are made for one time, the mark, every 64
 * points; until the next one the cost of what came since the mark is added to all alike.
 *
 * A start that costs more than a new start at t is never the best for a segment that ends
 * min_points or more behind t: the segment could be split at t (Killick, Fearnhead, Eckley, 2012).
 * From then on it is gone.
 */
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "kernel/kernel.h"
#include "temporal/temporal_private.h"

enum {
    GROUP_POINTS = 64, /* from one mark to the next */
    BLOCK_MEMBERS = 64,
    MEMBERS_MIN = 64, /* room for so many at first; a multiple of a block */
};

struct mni_temporal_group {
    size_t n;
    size_t n_compared; /* since the anchor */
    struct mni_temporal_moment anchor;
    double *centre;
    double least; /* at_anchor of all */
    double least_points;
    double most_off;
    struct mni_temporal_start starts[GROUP_POINTS];
    double at_least[GROUP_POINTS];  /* what they cost when they were last compared */
    double at_anchor[GROUP_POINTS]; /* what they cost there */
    double n_points[GROUP_POINTS];  /* from them to the anchor */
    double off[GROUP_POINTS];       /* how far their means are from the centre */
    size_t gone_from[GROUP_POINTS]; /* number of points; SIZE_MAX: not known */
    double sums[];                  /* of the starts, of the anchor, and the centre */
};

/* A group with an anchor: what is looked at for each point, side by side. */
struct mni_temporal_member {
    struct mni_temporal_group *group; /* owned */
    size_t gone_from;
    double bound;    /* all of its starts cost that or more, */
    size_t bound_at; /* at this number of points */
};

static void copy_moment(const struct mni_temporal_front *front,
                        const struct mni_temporal_moment *from, struct mni_temporal_moment *to)
{
    to->n = from->n;
    to->square = from->square;
    memcpy(to->sum, from->sum, front->n_dims * sizeof *to->sum);
}

/* Cost of a segment of whose points so much is known: how their sums differ, squared. */
static double cost_of(const struct mni_temporal_moment *from, const struct mni_temporal_moment *to,
                      double difference)
{
    double cost = to->square - from->square - difference / (double)(to->n - from->n);

    return cost > 0 ? cost : 0; /* below only by what was rounded */
}

static double segment_cost(struct mni_temporal_front *front, const struct mni_temporal_moment *from,
                           const struct mni_temporal_moment *to)
{
    double difference;

    if (from->n == to->n)
        return 0;
    front->pace->n_additions += front->n_dims;
    mni_kernels()->l2_f64(to->sum, from->sum, 1, front->n_dims, &difference);
    return cost_of(from, to, difference);
}

/* Sets `front->scratch` to the mean of a segment, and returns how far that is from a point. */
static double distance_of_mean(struct mni_temporal_front *front,
                               const struct mni_temporal_moment *from,
                               const struct mni_temporal_moment *to, const double *point)
{
    double share = 1 / (double)(to->n - from->n);
    double square;

    for (size_t d = 0; d < front->n_dims; d++)
        front->scratch[d] = (to->sum[d] - from->sum[d]) * share;
    front->pace->n_additions += 2 * front->n_dims;
    mni_kernels()->l2_f64(point, front->scratch, 1, front->n_dims, &square);
    return sqrt(square);
}

/* Life ----------------------------------------------------------------------------------------- */

mn_status mni_temporal_front_init(struct mni_temporal_front *front, size_t n_points, size_t n_dims,
                                  size_t min_points, double penalty, struct mni_temporal_pace *pace,
                                  struct mn_error *err)
{
    *front = (struct mni_temporal_front){
        .n_dims = n_dims,
        .min_points = min_points,
        .group_points = n_points < GROUP_POINTS ? n_points : GROUP_POINTS,
        .penalty = penalty,
        .pace = pace,
    };
    MNI_CHECK(n_points > 0 && min_points > 0);
    front->vectors = mni_alloc_zero(3 * n_dims * sizeof *front->vectors);
    if (front->vectors == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "sums of %zu dimensions", n_dims);
    front->mark.sum = front->vectors;
    front->best.before.sum = front->vectors + n_dims;
    front->scratch = front->vectors + 2 * n_dims;
    return MN_OK;
}

void mni_temporal_front_done(struct mni_temporal_front *front)
{
    for (size_t i = 0; i < front->n_members; i++)
        mni_free(front->members[i].group);
    mni_free(front->open);
    mni_free(front->members);
    mni_free(front->block_bounds);
    mni_free(front->vectors);
    *front = (struct mni_temporal_front){0};
}

/* Makes room for one more member. */
static mn_status grow(struct mni_temporal_front *front, struct mn_error *err)
{
    size_t n_max = front->n_members_max == 0 ? MEMBERS_MIN : 2 * front->n_members_max;

    if (front->n_members < front->n_members_max)
        return MN_OK;
    struct mni_temporal_member *members =
        mni_realloc(front->members, n_max * sizeof *front->members);
    if (members == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "%zu groups of points", n_max);
    front->members = members;
    double *bounds =
        mni_realloc(front->block_bounds, n_max / BLOCK_MEMBERS * sizeof *front->block_bounds);
    if (bounds == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "bounds of %zu groups", n_max);
    front->block_bounds = bounds;
    front->n_members_max = n_max;
    return MN_OK;
}

static mn_status open_group(struct mni_temporal_front *front, struct mn_error *err)
{
    size_t n_rows = front->group_points + 2;
    /* at most 66 * 65,536 * 8 bytes */
    struct mni_temporal_group *group =
        mni_alloc(sizeof *group + n_rows * front->n_dims * sizeof *group->sums);

    if (group == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "sums of %zu points", n_rows);
    group->n = group->n_compared = 0;
    group->anchor.n = 0;
    group->anchor.sum = group->sums + front->group_points * front->n_dims;
    group->centre = group->anchor.sum + front->n_dims;
    front->open = group;
    return MN_OK;
}

mn_status mni_temporal_front_add(struct mni_temporal_front *front,
                                 const struct mni_temporal_moment *now, double so_far,
                                 struct mn_error *err)
{
    mn_status st = front->open == NULL ? open_group(front, err) : MN_OK;

    if (st != MN_OK)
        return st;
    struct mni_temporal_group *group = front->open;
    size_t i = group->n++;
    MNI_CHECK(i < front->group_points);
    group->starts[i].so_far = so_far;
    group->starts[i].before.sum = group->sums + i * front->n_dims;
    copy_moment(front, now, &group->starts[i].before);
    group->at_least[i] = so_far;
    group->gone_from[i] = SIZE_MAX;
    return MN_OK;
}

/* Anchors -------------------------------------------------------------------------------------- */

/* What costs that much cannot be the best for segments that end min_points behind `now`. */
static void drop_if_high(const struct mni_temporal_front *front,
                         const struct mni_temporal_moment *now, double cost, size_t *gone_from)
{
    if (cost > front->best_cost + front->penalty && *gone_from == SIZE_MAX)
        *gone_from = now->n + front->min_points;
}

/* Leaves out what is gone. */
static void pack(const struct mni_temporal_front *front, struct mni_temporal_group *group, size_t n)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < group->n; i++) {
        if (group->gone_from[i] <= n)
            continue;
        if (n_kept < i) {
            group->starts[n_kept].so_far = group->starts[i].so_far;
            copy_moment(front, &group->starts[i].before, &group->starts[n_kept].before);
            group->gone_from[n_kept] = group->gone_from[i];
        }
        n_kept++;
    }
    group->n = n_kept;
}

/* Compares all starts of a group, each of which has a point at least, so that `now` is its anchor.
 * False: all of them are gone. */
static bool drop_anchor(struct mni_temporal_front *front, struct mni_temporal_group *group,
                        const struct mni_temporal_moment *now)
{
    double differences[GROUP_POINTS];

    pack(front, group, now->n);
    if (group->n == 0)
        return false;
    const struct mni_temporal_moment *middle = &group->starts[group->n / 2].before;
    memset(group->centre, 0, front->n_dims * sizeof *group->centre);
    (void)distance_of_mean(front, middle, now, group->centre);
    memcpy(group->centre, front->scratch, front->n_dims * sizeof *group->centre);

    front->pace->n_additions += group->n * front->n_dims;
    mni_kernels()->l2_f64(now->sum, group->sums, group->n, front->n_dims, differences);
    group->least = INFINITY;
    group->most_off = 0;
    for (size_t i = 0; i < group->n; i++) {
        const struct mni_temporal_start *start = &group->starts[i];
        double cost = start->so_far + cost_of(&start->before, now, differences[i]);

        group->at_anchor[i] = group->at_least[i] = cost;
        group->n_points[i] = (double)(now->n - start->before.n);
        group->off[i] = distance_of_mean(front, &start->before, now, group->centre);
        group->least = fmin(group->least, cost);
        group->most_off = fmax(group->most_off, group->off[i]);
        drop_if_high(front, now, cost, &group->gone_from[i]);
    }
    group->least_points = group->n_points[group->n - 1];
    copy_moment(front, now, &group->anchor);
    group->n_compared = 0;
    return true;
}

/* What came since the anchor of a group. */
struct since {
    double n;
    double cost;
    double distance; /* of its mean from the centre */
};

static struct since since_anchor(struct mni_temporal_front *front,
                                 const struct mni_temporal_group *group,
                                 const struct mni_temporal_moment *now)
{
    if (group->anchor.n == now->n)
        return (struct since){0};
    return (struct since){
        .n = (double)(now->n - group->anchor.n),
        .cost = segment_cost(front, &group->anchor, now),
        .distance = distance_of_mean(front, &group->anchor, now, group->centre),
    };
}

/* What a start costs at least, that cost `at_anchor` for `n` points whose mean is `off` the centre
 * by so much. */
static double bound_of(const struct since *since, double at_anchor, double n, double off)
{
    double apart = since->distance > off ? since->distance - off : 0;

    return at_anchor + since->cost + n * since->n / (n + since->n) * apart * apart;
}

static void tighten(struct mni_temporal_member *member, const struct since *since)
{
    const struct mni_temporal_group *group = member->group;
    double bound = bound_of(since, group->least, group->least_points, group->most_off);

    if (bound > member->bound)
        member->bound = bound;
}

static void anchor_member(struct mni_temporal_front *front, struct mni_temporal_member *member,
                          const struct mni_temporal_moment *now)
{
    bool is_alive = drop_anchor(front, member->group, now);

    member->bound = is_alive ? member->group->least : INFINITY;
    member->bound_at = now->n;
    if (!is_alive)
        member->gone_from = 0;
}

/* Comparing ------------------------------------------------------------------------------------ */

static void set_best(struct mni_temporal_front *front, const struct mni_temporal_start *start,
                     double cost)
{
    front->best_cost = cost;
    front->best.so_far = start->so_far;
    copy_moment(front, &start->before, &front->best.before);
}

/* `since` is NULL when there is no anchor. */
static void look_into(struct mni_temporal_front *front, struct mni_temporal_group *group,
                      const struct mni_temporal_moment *now, const struct since *since)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct mni_temporal_start *start = &group->starts[i];
        double least = group->at_least[i];

        if (now->n - start->before.n < front->min_points)
            break;
        if (group->gone_from[i] <= now->n || start->before.n == front->best.before.n)
            continue;
        if (since != NULL)
            least = fmax(least,
                         bound_of(since, group->at_anchor[i], group->n_points[i], group->off[i]));
        if (least < front->best_cost) {
            least = start->so_far + segment_cost(front, &start->before, now);
            group->at_least[i] = least;
            group->n_compared++;
            if (least < front->best_cost)
                set_best(front, start, least);
        }
        drop_if_high(front, now, least, &group->gone_from[i]);
    }
}

static void look_at(struct mni_temporal_front *front, struct mni_temporal_member *member,
                    const struct mni_temporal_moment *now, double since_mark)
{
    struct mni_temporal_group *group = member->group;
    double least = member->bound + (member->bound_at <= front->mark.n ? since_mark : 0);

    if (least >= front->best_cost)
        return;
    struct since since = since_anchor(front, group, now);
    member->bound = least;
    member->bound_at = now->n;
    tighten(member, &since);
    drop_if_high(front, now, member->bound, &member->gone_from);
    if (member->bound >= front->best_cost)
        return;
    look_into(front, group, now, &since);
    if (group->n_compared > group->n)
        anchor_member(front, member, now);
}

/* Marks ---------------------------------------------------------------------------------------- */

/* Of each block of members the least bound. */
static void bound_blocks(struct mni_temporal_front *front)
{
    for (size_t i = 0; i < front->n_members; i++) {
        double *bound = &front->block_bounds[i / BLOCK_MEMBERS];

        *bound = i % BLOCK_MEMBERS == 0 ? front->members[i].bound
                                        : fmin(*bound, front->members[i].bound);
    }
}

/* Makes all bounds for `now`, and frees what is gone. Bounds that are high enough for long are not
 * made as high as they could be. */
static mn_status set_mark(struct mni_temporal_front *front, const struct mni_temporal_moment *now,
                          double since_mark, struct mn_error *err)
{
    double enough = front->best_cost + front->penalty / 2;
    size_t n_kept = 0;
    mn_status st = front->open == NULL ? MN_OK : grow(front, err);

    if (st != MN_OK)
        return st;
    if (front->open != NULL) {
        struct mni_temporal_member *member = &front->members[front->n_members++];

        *member = (struct mni_temporal_member){.group = front->open, .gone_from = SIZE_MAX};
        front->open = NULL;
        anchor_member(front, member, now);
    }
    for (size_t i = 0; i < front->n_members; i++) {
        struct mni_temporal_member *m = &front->members[i];

        m->bound += m->bound_at <= front->mark.n ? since_mark : 0;
        if (m->bound < enough && m->gone_from > now->n && m->bound_at < now->n) {
            struct since since = since_anchor(front, m->group, now);
            tighten(m, &since);
        }
        m->bound_at = now->n;
        drop_if_high(front, now, m->bound, &m->gone_from);
        if (m->gone_from <= now->n)
            mni_free(m->group);
        else
            front->members[n_kept++] = *m;
    }
    front->n_members = n_kept;
    bound_blocks(front);
    copy_moment(front, now, &front->mark);
    return MN_OK;
}

mn_status mni_temporal_front_search(struct mni_temporal_front *front,
                                    const struct mni_temporal_moment *now, struct mn_error *err)
{
    double since_mark = segment_cost(front, &front->mark, now);
    size_t n_blocks = (front->n_members + BLOCK_MEMBERS - 1) / BLOCK_MEMBERS;
    mn_status st = MN_OK;

    MNI_CHECK(now->n - front->best.before.n >= front->min_points);
    front->best_cost = front->best.so_far + segment_cost(front, &front->best.before, now);
    if (front->open != NULL)
        look_into(front, front->open, now, NULL);
    for (size_t b = n_blocks; b > 0; b--) {
        size_t first = (b - 1) * BLOCK_MEMBERS;

        if (front->block_bounds[b - 1] + since_mark >= front->best_cost)
            continue;
        for (size_t i = first; i < front->n_members && i < first + BLOCK_MEMBERS; i++)
            look_at(front, &front->members[i], now, since_mark);
    }
    if (now->n - front->mark.n >= GROUP_POINTS)
        st = set_mark(front, now, since_mark, err);
    return st == MN_OK ? mni_temporal_pace(front->pace, n_blocks, err) : st;
}
