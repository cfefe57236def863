/*
 * best_test.c - the best results, against sorting all of them.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "check.h"
#include "search/search.h"

enum { N_MAX = 500 };

static int by_position(void *context, const struct mni_hit *a, const struct mni_hit *b)
{
    (void)context;
    return (a->position > b->position) - (a->position < b->position);
}

static int by_rank(const void *one, const void *other)
{
    const struct mni_hit *a = one;
    const struct mni_hit *b = other;

    return a->score != b->score ? (a->score < b->score) - (a->score > b->score)
                                : by_position(NULL, a, b);
}

static void the_best_are_kept_in_order(void)
{
    uint64_t seed = check_seed();
    struct mni_hit all[N_MAX];

    for (size_t round = 0; round < 500; round++) {
        size_t n = check_below(&seed, N_MAX);
        size_t k = 1 + check_below(&seed, 60);
        float least = round % 3 == 0 ? 3 : -INFINITY;
        size_t n_right = 0;
        struct mni_best best;

        CHECK_OK(mni_best_init(&best, k, least, by_position, NULL, NULL));
        for (size_t i = 0; i < n; i++) {
            all[i] = (struct mni_hit){.score = (float)check_below(&seed, 12),
                                      .position = check_random(&seed)};
            if (check_below(&seed, 20) == 0)
                all[i].score = NAN;
            mni_best_add(&best, &all[i]);
            if (!isnan(all[i].score) && all[i].score >= least)
                all[n_right++] = all[i];
        }
        qsort(all, n_right, sizeof all[0], by_rank);
        mni_best_sort(&best);
        CHECK_EQ(best.n, n_right < k ? n_right : k);
        for (size_t i = 0; i < best.n; i++)
            CHECK(best.hits[i].score == all[i].score && best.hits[i].position == all[i].position);
        CHECK(best.least == (best.n == k ? all[k - 1].score : least));
        mni_best_done(&best);
    }
}

static void memory_may_be_short(void)
{
    struct mni_best best;

    mni_mem_fail_at(1);
    CHECK_STATUS(mni_best_init(&best, 3, 0, by_position, NULL, NULL), MN_ERR_NOMEM);
    mni_mem_fail_at(0);
    mni_best_done(&best);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_best_are_kept_in_order),
        CHECK_TEST(memory_may_be_short),
    };

    return check_run("search.best", tests, CHECK_COUNT(tests), argc, argv);
}
