/* Tests of the map of a merge, against arrays. */
#include <stdlib.h>

#include "base/mem.h"
#include "check.h"
#include "engine/merge_private.h"

enum { RUNS = 5, PARTS = 12 };

struct result_row {
    size_t part;
    uint32_t row;
};

/* Parts 0 to 11; run r has the parts from first[r] on. One part is in no run. */
struct fixture {
    struct merge_map map;
    size_t first[RUNS + 1];
    uint32_t n_rows[PARTS];
    struct result_row *rows; /* of the result */
    uint64_t n;
};

static mn_status fill(struct fixture *f, uint64_t *seed)
{
    size_t part[RUNS];
    uint32_t row[RUNS] = {0};

    f->n = 0;
    if (merge_map_init(&f->map, PARTS, RUNS) != MN_OK)
        return MN_ERR_NOMEM;
    for (size_t r = 0; r < RUNS; r++) {
        part[r] = f->first[r];
        for (size_t p = f->first[r]; p < f->first[r + 1]; p++)
            if (merge_map_add_part(&f->map, p, r, f->n_rows[p]) != MN_OK)
                return MN_ERR_NOMEM;
    }
    for (;;) {
        size_t r = check_below(seed, RUNS);
        for (size_t tried = 0; tried < RUNS && part[r] == f->first[r + 1]; tried++)
            r = (r + 1) % RUNS;
        if (part[r] == f->first[r + 1])
            break;
        if (row[r] == f->n_rows[part[r]]) {
            part[r]++;
            row[r] = 0;
        } else if (check_below(seed, 3) == 0) {
            row[r]++; /* it is not in the result */
        } else {
            if (merge_map_add(&f->map, part[r], row[r]) != MN_OK)
                return MN_ERR_NOMEM;
            f->rows[f->n++] = (struct result_row){part[r], row[r]++};
        }
    }
    merge_map_seal(&f->map);
    return MN_OK;
}

static struct fixture fixture_new(uint64_t *seed, uint32_t n_rows_max)
{
    struct fixture f = {0};
    uint64_t n = 0;

    for (size_t p = 0; p < PARTS; p++)
        n += f.n_rows[p] = 1 + (uint32_t)check_below(seed, n_rows_max);
    for (size_t r = 0; r < RUNS; r++)
        f.first[r + 1] = f.first[r] + 1 + check_below(seed, 2);
    f.rows = malloc(n * sizeof *f.rows);
    CHECK(f.rows != NULL);
    return f;
}

static void check_map(struct fixture *f)
{
    uint64_t n_found = 0;
    uint64_t index;

    CHECK_EQ(f->map.n_rows, f->n);
    for (uint64_t i = 0; i < f->n; i++) {
        size_t run = merge_map_run(&f->map, i);
        CHECK(f->rows[i].part >= f->first[run] && f->rows[i].part < f->first[run + 1]);
        CHECK(merge_map_find(&f->map, f->rows[i].part, f->rows[i].row, &index));
        CHECK_EQ(index, i);
    }
    for (size_t p = 0; p < PARTS; p++) {
        CHECK_EQ(merge_map_has_part(&f->map, p), p < f->first[RUNS]);
        for (uint32_t row = 0; merge_map_has_part(&f->map, p) && row < f->n_rows[p]; row++) {
            bool is_next = merge_map_next_row(&f->map, p, row) == row;
            CHECK_EQ(merge_map_find(&f->map, p, row, &index), is_next);
            n_found += is_next;
        }
    }
    CHECK_EQ(n_found, f->n);
}

static void every_row_is_found_where_it_has_gone(void)
{
    uint64_t seed = check_seed();

    for (int i = 0; i < 20; i++) {
        struct fixture f = fixture_new(&seed, i % 2 == 0 ? 100 : 3000);
        CHECK_OK(fill(&f, &seed));
        check_map(&f);
        merge_map_done(&f.map);
        free(f.rows);
    }
}

static void memory_may_end_at_any_allocation(void)
{
    uint64_t seed = check_seed();
    struct fixture f = fixture_new(&seed, 600);
    bool was_hit = true;

    for (uint64_t n = 1; was_hit; n++) {
        uint64_t again = seed;
        mni_mem_fail_at(n);
        mn_status st = fill(&f, &again);
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        merge_map_done(&f.map);
    }
    free(f.rows);
}

/* What a budget is told: near a byte and a quarter for each row. */
static void a_row_costs_little(void)
{
    CHECK(merge_map_bytes(100000000, 100, 9) < 125000000);
    CHECK(merge_map_bytes(1, 1, 1) < 4096);
}

/* Also when the list of blocks has just doubled. Blocks of six runs are as large as what the
 * allocator gives for them, so that it has its way only with what else there is. */
static void no_map_takes_more_than_the_budget_is_told(void)
{
    enum { N_RUNS = 6, ROUNDED_BYTES = (2 * PARTS + 2) * 24 };

    for (uint32_t n_blocks = 1; n_blocks <= 256; n_blocks *= 2) {
        const uint32_t n_rows = n_blocks * 1024 / PARTS + 1;
        struct merge_map map = {0};
        uint64_t before = mni_mem_live_bytes();
        mni_mem_reset_peak();
        CHECK_OK(merge_map_init(&map, PARTS, N_RUNS));
        for (size_t p = 0; p < PARTS; p++)
            CHECK_OK(merge_map_add_part(&map, p, p % N_RUNS, n_rows));
        for (uint32_t row = 0; row < n_rows; row++)
            for (size_t p = 0; p < PARTS; p++)
                CHECK_OK(merge_map_add(&map, p, row));
        CHECK(mni_mem_peak_bytes() - before <=
              merge_map_bytes(map.n_rows, PARTS, N_RUNS) + ROUNDED_BYTES);
        merge_map_done(&map);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_row_is_found_where_it_has_gone),
        CHECK_TEST(memory_may_end_at_any_allocation),
        CHECK_TEST(a_row_costs_little),
        CHECK_TEST(no_map_takes_more_than_the_budget_is_told),
    };

    return check_run("engine.merge_map", tests, CHECK_COUNT(tests), argc, argv);
}
