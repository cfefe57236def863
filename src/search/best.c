/*
 * best.c - the k best results so far.
 *
 * Owns:    the results.
 * Threads: one at a time.
 * Fails:   when memory is short, at the beginning.
 */
#include <math.h>

#include "base/check.h"
#include "base/mem.h"
#include "search/search.h"

mn_status mni_best_init(struct mni_best *best, size_t n_max, float least, mni_hit_order_fn *order,
                        void *context, struct mn_error *err)
{
    MNI_CHECK(n_max > 0);
    *best =
        (struct mni_best){.n_max = n_max, .least = least, .order = order, .order_context = context};
    best->hits = mni_alloc_array(n_max, sizeof *best->hits);
    return best->hits == NULL ? mni_fail(err, MN_ERR_NOMEM, "room for %zu results", n_max) : MN_OK;
}

void mni_best_done(struct mni_best *best)
{
    mni_free(best->hits);
    *best = (struct mni_best){0};
}

/* Whether `a` is a better result than `b`. */
static bool is_better(const struct mni_best *best, const struct mni_hit *a, const struct mni_hit *b)
{
    return a->score != b->score ? a->score > b->score : best->order(best->order_context, a, b) < 0;
}

/* Puts a hit into the heap of `n` at `at` or below, where its place is. */
static void sift_down(struct mni_best *best, struct mni_hit hit, size_t at, size_t n)
{
    struct mni_hit *heap = best->hits;

    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && is_better(best, &heap[child], &heap[child + 1]);
        if (!is_better(best, &hit, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = hit;
}

static void sift_up(struct mni_best *best, struct mni_hit hit)
{
    struct mni_hit *heap = best->hits;
    size_t at = best->n++;

    for (; at > 0 && is_better(best, &heap[(at - 1) / 2], &hit); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = hit;
}

void mni_best_add(struct mni_best *best, const struct mni_hit *hit)
{
    if (isnan(hit->score) || hit->score < best->least)
        return;
    if (best->n < best->n_max)
        sift_up(best, *hit);
    else if (is_better(best, hit, &best->hits[0]))
        sift_down(best, *hit, 0, best->n);
    if (best->n == best->n_max)
        best->least = best->hits[0].score;
}

void mni_best_sort(struct mni_best *best)
{
    for (size_t end = best->n; end > 1; end--) {
        struct mni_hit last = best->hits[end - 1];

        best->hits[end - 1] = best->hits[0];
        sift_down(best, last, 0, end - 1);
    }
}
