/* live_test.c - liveness in memory, against a model that remembers everything. */
#include "live_fixture.h"

/* The last visible row before `end`, n_rows if there is none. */
static uint32_t previous_visible(const struct mni_liveness *live, uint32_t end, uint64_t lsn)
{
    while (end > 0)
        if (mni_liveness_seek_visible_back(live, 0, lsn, &end))
            return end - 1;
    return live->n_rows;
}

static void all_rows_live_at_first(void)
{
    struct mni_liveness live;
    struct mni_patch p;

    mni_liveness_init(&live, 100);
    CHECK_EQ(mni_liveness_memory_bytes(&live), 0);
    CHECK(mni_liveness_is_visible(&live, 99, 0));
    CHECK(mni_liveness_is_live_now(&live, 0));
    CHECK(!mni_liveness_find_patch(&live, 5, UINT64_MAX, &p));
    CHECK_EQ(mni_liveness_count(&live, 0, 100), 100);
    CHECK_EQ(mni_liveness_count(&live, 7, 7), 0);
    CHECK_EQ(mni_liveness_next_live(&live, 17), 17);
    CHECK_EQ(mni_liveness_next_live(&live, 100), 100);
    CHECK_EQ(mni_liveness_last_live(&live, 100), 99);
    CHECK_EQ(mni_liveness_last_live(&live, 0), 100);
    CHECK_EQ(mni_liveness_next_visible(&live, 17, 3), 17);
    mni_liveness_raise_floor(&live, 1000);
    mni_liveness_done(&live);
    mni_liveness_done(&live);
    mni_liveness_done(NULL);
}

static void a_death_is_seen_from_its_lsn_on(void)
{
    struct mni_liveness live;

    mni_liveness_init(&live, 100);
    kill(&live, NULL, 64, 10);
    CHECK(mni_liveness_is_visible(&live, 64, 9));
    CHECK(!mni_liveness_is_visible(&live, 64, 10));
    CHECK(mni_liveness_is_visible(&live, 63, 10));
    CHECK(!mni_liveness_is_live_now(&live, 64));
    CHECK_EQ(live.n_dead, 1);
    CHECK_EQ(mni_liveness_count(&live, 0, 100), 99);
    CHECK_EQ(mni_liveness_next_live(&live, 64), 65);
    CHECK_EQ(mni_liveness_last_live(&live, 65), 63);
    CHECK_EQ(mni_liveness_last_live(&live, 66), 65);
    CHECK_EQ(mni_liveness_next_visible(&live, 64, 9), 64);
    CHECK_EQ(mni_liveness_next_visible(&live, 64, 10), 65);
    CHECK_EQ(previous_visible(&live, 65, 9), 64);
    CHECK_EQ(previous_visible(&live, 65, 10), 63);
    CHECK_EQ(previous_visible(&live, 0, 10), live.n_rows);
    CHECK_EQ(mni_liveness_dead_64(&live, 0), 0);
    CHECK_EQ(mni_liveness_dead_64(&live, 1), UINT64_C(1) << 63);
    CHECK_EQ(mni_liveness_dead_64(&live, 60), 1 << 4);
    CHECK_EQ(mni_liveness_dead_64(&live, 64), 1);
    CHECK_EQ(mni_liveness_dead_64(&live, 65), 0);
    CHECK_EQ(mni_liveness_lapsed_64(&live, 1), 0);
    mni_liveness_done(&live);
}

/* Of 100,000 rows all but one are dead, and one of them died after the view: each is a look-up. */
static void a_seek_looks_at_few_rows_and_stays_in_its_range(void)
{
    enum { N = 100000, PLACES = 1024 };
    struct mni_liveness live;
    uint32_t row = 0;
    uint32_t end = N;

    mni_liveness_init(&live, N);
    for (uint32_t i = 0; i < N; i++)
        if (i != N / 2)
            kill(&live, NULL, i, i == N - 1 ? 30 : 10);
    for (bool is_seen = false; !is_seen;) {
        uint32_t before = row;
        is_seen = mni_liveness_seek_visible(&live, N, 20, &row);
        CHECK(row - before <= PLACES);
        CHECK(is_seen || row > before);
    }
    CHECK_EQ(row, N / 2);
    row = 0;
    CHECK(!mni_liveness_seek_visible(&live, 100, 20, &row));
    CHECK_EQ(row, 100);
    CHECK(mni_liveness_seek_visible_back(&live, 0, 20, &end));
    CHECK_EQ(end, N); /* the row that died later */
    end = N - 1;
    while (!mni_liveness_seek_visible_back(&live, 0, 20, &end))
        CHECK(end > N / 2 && end < N - 1);
    CHECK_EQ(end, N / 2 + 1);
    end = 100;
    CHECK(!mni_liveness_seek_visible_back(&live, 5, 20, &end));
    CHECK_EQ(end, 5);
    CHECK_EQ(mni_liveness_next_visible(&live, 0, 20), N / 2);
    CHECK_EQ(mni_liveness_next_visible(&live, N / 2 + 1, 30), N);
    CHECK_EQ(previous_visible(&live, N, 30), N / 2);
    mni_liveness_done(&live);
}

static void deaths_are_remembered_until_they_are_in_a_file(void)
{
    struct mni_liveness live;

    mni_liveness_init(&live, 1000);
    for (uint32_t row = 0; row < 1000; row++)
        kill(&live, NULL, row, row + 1);
    size_t full = mni_liveness_memory_bytes(&live);
    mni_liveness_raise_floor(&live, 500);
    CHECK_EQ(live.deaths.n, 1000);
    mni_liveness_persisted(&live, 1, 990);
    mni_liveness_raise_floor(&live, 500);
    CHECK_EQ(live.deaths.n, 500);
    CHECK(mni_liveness_is_visible(&live, 600, 600));
    CHECK(!mni_liveness_is_visible(&live, 499, 500));
    mni_liveness_raise_floor(&live, 1000);
    CHECK_EQ(live.deaths.n, 10);
    CHECK(mni_liveness_memory_bytes(&live) < full / 8);
    CHECK_EQ(mni_liveness_count(&live, 0, 1000), 0);
    CHECK_EQ(mni_liveness_next_live(&live, 0), 1000);
    CHECK_EQ(mni_liveness_last_live(&live, 1000), 1000);
    CHECK_EQ(mni_liveness_last_live(&live, 130), 1000);
    mni_liveness_done(&live);
}

static void lapsed_rows_are_seen_and_not_counted(void)
{
    struct mni_liveness live;

    mni_liveness_init(&live, 130);
    CHECK_OK(mni_liveness_reserve_lapsed(&live));
    CHECK_OK(mni_liveness_reserve_lapsed(&live));
    mni_liveness_lapse(&live, 129);
    mni_liveness_lapse(&live, 129);
    mni_liveness_lapse(&live, 3);
    CHECK_EQ(live.n_lapsed, 2);
    CHECK(mni_liveness_is_visible(&live, 129, 7));
    CHECK(!mni_liveness_is_live_now(&live, 129));
    CHECK_EQ(mni_liveness_count(&live, 0, 130), 128);
    CHECK_EQ(mni_liveness_next_live(&live, 129), 130);
    CHECK_EQ(mni_liveness_last_live(&live, 130), 128);
    CHECK_EQ(mni_liveness_last_live(&live, 4), 2);
    kill(&live, NULL, 129, 5); /* swept */
    CHECK_EQ(live.n_lapsed, 1);
    CHECK_EQ(live.n_dead, 1);
    CHECK_EQ(mni_liveness_count(&live, 0, 130), 128);
    mni_liveness_lapse(&live, 129);
    CHECK_EQ(live.n_lapsed, 1);
    mni_liveness_done(&live);
}

static void patches_add_up(void)
{
    struct mni_liveness live;
    struct mni_patch set = {
        .lsn = 5, .fields = MNI_FIELD_EXPIRY | MNI_FIELD_HITS, .expires_at_us = 100, .hits = 1};
    struct mni_patch hit = {.lsn = 7, .fields = MNI_FIELD_HITS, .hits = 2};
    struct mni_patch keep = {.lsn = 7, .clears = MNI_FIELD_EXPIRY};
    struct mni_segment_row row = {.lsn = 3, .record = {.fields = MNI_FIELD_EVENT_TIME, .hits = 9}};
    struct mni_segment_row seen;

    mni_liveness_init(&live, 10);
    patch(&live, NULL, 4, &set, 0);
    patch(&live, NULL, 4, &hit, 0);
    patch(&live, NULL, 4, &keep, 0);
    seen = row;
    mni_liveness_apply_patch(&live, 4, 4, &seen);
    CHECK_EQ(seen.lsn, 3);
    CHECK_EQ(seen.record.hits, 9);
    mni_liveness_apply_patch(&live, 4, 6, &seen);
    CHECK_EQ(seen.lsn, 5);
    CHECK_EQ(seen.record.fields, MNI_FIELD_EVENT_TIME | MNI_FIELD_EXPIRY | MNI_FIELD_HITS);
    CHECK_EQ(seen.record.expires_at_us, 100);
    CHECK_EQ(seen.record.hits, 1);
    seen = row;
    mni_liveness_apply_patch(&live, 4, 7, &seen);
    CHECK_EQ(seen.lsn, 7);
    CHECK_EQ(seen.record.fields, MNI_FIELD_EVENT_TIME | MNI_FIELD_HITS);
    CHECK_EQ(seen.record.hits, 2);
    mni_liveness_done(&live);
}

static void patches_that_no_view_needs_go_at_once(void)
{
    struct mni_liveness live;

    mni_liveness_init(&live, 10);
    for (uint64_t lsn = 1; lsn <= 100000; lsn++) {
        struct mni_patch hit = {.lsn = lsn, .fields = MNI_FIELD_HITS, .hits = lsn};
        patch(&live, NULL, 4, &hit, lsn - 1);
    }
    CHECK(mni_liveness_memory_bytes(&live) < 1000);
    struct mni_patch seen;
    CHECK(mni_liveness_find_patch(&live, 4, 99999, &seen));
    CHECK_EQ(seen.hits, 99999);
    kill(&live, NULL, 4, 100001);
    mni_liveness_persisted(&live, 1, 100001);
    mni_liveness_raise_floor(&live, 100001);
    CHECK_EQ(mni_liveness_memory_bytes(&live), 8); /* the bits of dead rows */
    mni_liveness_done(&live);
}

static void what_is_reserved_cannot_fail(void)
{
    struct mni_liveness live;
    uint64_t live_blocks = mni_mem_live_blocks();

    mni_liveness_init(&live, 5000);
    CHECK_OK(mni_liveness_reserve(&live, 3000, 2500));
    CHECK_OK(mni_liveness_reserve(&live, 1000, 0));
    CHECK_OK(mni_liveness_reserve_lapsed(&live));
    mni_liveness_unreserve(&live, 500, 0);
    mni_mem_fail_at(1);
    for (uint32_t i = 0; i < 2500; i++) {
        struct mni_patch hit = {.lsn = i + 1, .fields = MNI_FIELD_HITS, .hits = i};
        mni_liveness_patch(&live, i < 1250 ? i : 0, &hit, 0);
    }
    for (uint32_t i = 0; i < 3500; i++)
        mni_liveness_kill(&live, i, 10000 + i);
    mni_liveness_lapse(&live, 4000);
    CHECK(!mni_mem_fail_was_hit());
    mni_mem_fail_at(0);
    CHECK_EQ(live.n_dead, 3500);
    CHECK_EQ(live.deaths.n_reserved, 0);
    CHECK_EQ(live.patches.n_reserved, 0);
    mni_liveness_done(&live);
    CHECK_EQ(mni_mem_live_blocks(), live_blocks);
}

static void short_memory_reserves_nothing(void)
{
    struct mni_liveness live;
    bool was_hit = true;

    mni_liveness_init(&live, 5000);
    for (uint64_t n = 1; was_hit; n++) {
        mni_mem_fail_at(n);
        mn_status st = mni_liveness_reserve(&live, 100, 200);
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        CHECK_EQ(live.deaths.n_reserved, was_hit ? 0 : 100);
        CHECK_EQ(live.patches.n_reserved, was_hit ? 0 : 200);
    }
    CHECK_STATUS(mni_liveness_reserve(&live, SIZE_MAX, 0), MN_ERR_NOMEM);
    CHECK_STATUS(mni_liveness_reserve(&live, 1, SIZE_MAX), MN_ERR_NOMEM);
    CHECK_EQ(live.deaths.n_reserved, 100);
    mni_liveness_done(&live);
}

/* Allocations as the test sees them are what is reported. */
static void memory_is_counted(void)
{
    struct mni_liveness live;

    mni_liveness_init(&live, 6400);
    CHECK_OK(mni_liveness_reserve(&live, 1, 0));
    CHECK_EQ(mni_liveness_memory_bytes(&live), 800 + 16 * 12);
    CHECK_OK(mni_liveness_reserve(&live, 12, 0));
    CHECK_EQ(mni_liveness_memory_bytes(&live), 800 + 32 * 12);
    CHECK_OK(mni_liveness_reserve(&live, 0, 1));
    CHECK_EQ(mni_liveness_memory_bytes(&live), 800 + 32 * 12 + 16 * 12 + 16 * 32);
    CHECK_OK(mni_liveness_reserve_lapsed(&live));
    CHECK_EQ(mni_liveness_memory_bytes(&live), 1600 + 32 * 12 + 16 * 12 + 16 * 32);
    mni_liveness_done(&live);
}

/* Random histories ----------*/

static void check_counts(const struct mni_liveness *live, const struct model *m, uint64_t *seed)
{
    uint32_t n_dead = 0;
    uint32_t n_lapsed = 0;

    for (uint32_t i = 0; i < m->n_rows; i++) {
        n_dead += m->rows[i].death_lsn != 0;
        n_lapsed += m->rows[i].death_lsn == 0 && m->rows[i].is_lapsed;
        CHECK_EQ(mni_liveness_is_live_now(live, i), model_is_live(m, i));
    }
    CHECK_EQ(live->n_dead, n_dead);
    CHECK_EQ(live->n_lapsed, n_lapsed);
    for (int i = 0; i < 20; i++) {
        uint32_t from = (uint32_t)check_below(seed, m->n_rows + 1);
        uint32_t to = from + (uint32_t)check_below(seed, m->n_rows - from + 1);
        uint64_t n = 0;
        uint32_t next = m->n_rows;
        for (uint32_t row = from; row < to; row++)
            n += model_is_live(m, row);
        for (uint32_t row = m->n_rows; row-- > from;)
            next = model_is_live(m, row) ? row : next;
        CHECK_EQ(mni_liveness_count(live, from, to), n);
        CHECK_EQ(mni_liveness_next_live(live, from), next);
    }
}

static void check_walk(const struct mni_liveness *live, const struct model *m, uint64_t lsn)
{
    uint32_t next = 0;

    for (uint32_t row = 0; row < m->n_rows; row++) {
        if (!model_is_visible(m, row, lsn))
            continue;
        CHECK_EQ(mni_liveness_next_visible(live, next, lsn), row);
        next = row + 1;
    }
    CHECK_EQ(mni_liveness_next_visible(live, next, lsn), m->n_rows);
    uint32_t end = m->n_rows;
    for (uint32_t row = m->n_rows; row-- > 0;) {
        if (!model_is_visible(m, row, lsn))
            continue;
        CHECK_EQ(previous_visible(live, end, lsn), row);
        end = row;
    }
    CHECK_EQ(previous_visible(live, end, lsn), m->n_rows);
}

static void one_history(uint64_t *seed)
{
    uint32_t n_rows = 1 + (uint32_t)check_below(seed, 300);
    struct model m = model_new(n_rows);
    struct mni_liveness live;
    uint64_t floor = 0;

    mni_liveness_init(&live, n_rows);
    CHECK_OK(mni_liveness_reserve_lapsed(&live));
    for (uint64_t lsn = 1; lsn < 400; lsn++) {
        for (uint64_t n = check_below(seed, 4); n > 0; n--) {
            uint32_t row = (uint32_t)check_below(seed, n_rows);
            uint64_t what = check_below(seed, 10);
            if (m.rows[row].death_lsn != 0)
                continue;
            if (what == 0) {
                mni_liveness_lapse(&live, row);
                m.rows[row].is_lapsed = true;
            } else if (what < 4) {
                kill(&live, &m, row, lsn);
            } else {
                struct mni_patch p = random_patch(seed, lsn);
                patch(&live, &m, row, &p, check_below(seed, 2) == 0 ? floor : 0);
            }
        }
        if (check_below(seed, 30) == 0)
            mni_liveness_persisted(&live, live.generation + 1, lsn);
        if (check_below(seed, 20) == 0) {
            floor += check_below(seed, lsn - floor + 1);
            mni_liveness_raise_floor(&live, floor);
        }
        if (check_below(seed, 20) == 0) {
            uint64_t view = floor + check_below(seed, lsn - floor + 1);
            check_view(&live, &m, view);
            check_walk(&live, &m, view);
            check_view(&live, &m, lsn);
            check_counts(&live, &m, seed);
        }
    }
    mni_liveness_done(&live);
    model_free(&m);
}

static void random_histories_look_like_the_model(void)
{
    uint64_t seed = check_seed();

    for (int i = 0; i < 150; i++)
        one_history(&seed);
}

/* Merging ----------*/

enum { TARGETS = 3 };

/* Where rows went: `to[row]` counts through the targets; UINT32_MAX: nowhere. */
struct targets {
    uint32_t *to;
    struct mni_liveness live[TARGETS];
    uint32_t n_rows_each;
};

static bool find_target(void *context, uint32_t row, struct mni_liveness **live_out,
                        uint32_t *row_out)
{
    struct targets *t = context;

    if (t->to[row] == UINT32_MAX)
        return false;
    *live_out = &t->live[t->to[row] / t->n_rows_each];
    *row_out = t->to[row] % t->n_rows_each;
    return true;
}

/* The merge as of `merge_lsn` dropped what was dead, lapsed or out of luck then. */
static struct targets targets_new(const struct model *m, uint64_t merge_lsn, uint64_t *seed)
{
    struct targets t = {.to = calloc(m->n_rows, sizeof(uint32_t)),
                        .n_rows_each = m->n_rows / TARGETS + 1};
    uint32_t n = 0;

    CHECK(t.to != NULL);
    for (uint32_t row = 0; row < m->n_rows; row++) {
        bool is_kept = model_is_visible(m, row, merge_lsn) && check_below(seed, 10) != 0;
        t.to[row] = is_kept ? n++ : UINT32_MAX;
    }
    for (int i = 0; i < TARGETS; i++)
        mni_liveness_init(&t.live[i], t.n_rows_each);
    return t;
}

/* Patches that the merge folded in are gone, later ones look the same. */
static void check_carried(struct targets *t, const struct model *m, uint64_t merge_lsn,
                          uint64_t last_lsn)
{
    uint64_t n_live = 0;
    uint64_t n_expected = (uint64_t)TARGETS * t->n_rows_each;

    for (uint32_t row = 0; row < m->n_rows; row++) {
        struct mni_liveness *live;
        uint32_t to;
        if (!find_target(t, row, &live, &to))
            continue;
        n_expected -= !model_is_live(m, row);
        CHECK_EQ(mni_liveness_is_live_now(live, to), model_is_live(m, row));
        for (uint64_t lsn = merge_lsn; lsn <= last_lsn; lsn++) {
            struct mni_patch seen = {0};
            struct mni_patch expected = model_patch_at(m, row, lsn);
            CHECK_EQ(mni_liveness_is_visible(live, to, lsn), model_is_visible(m, row, lsn));
            bool found = mni_liveness_find_patch(live, to, lsn, &seen);
            CHECK_EQ(found, expected.lsn > merge_lsn);
            CHECK(!found || same_patch(&seen, &expected));
        }
    }
    for (int i = 0; i < TARGETS; i++) {
        CHECK_EQ(t->live[i].deaths.n_reserved, 0);
        CHECK_EQ(t->live[i].patches.n_reserved, 0);
        n_live += mni_liveness_count(&t->live[i], 0, t->n_rows_each);
    }
    CHECK_EQ(n_live, n_expected);
}

static void targets_free(struct targets *t)
{
    for (int i = 0; i < TARGETS; i++)
        mni_liveness_done(&t->live[i]);
    free(t->to);
}

/* The part of a merge that carries what happened so far. */
static mn_status carry_once(const struct mni_liveness *live, uint64_t after_lsn, uint64_t *known,
                            size_t n_lapses_max, struct targets *t)
{
    struct mni_live_effects effects = {0};
    mn_status st = mni_liveness_collect(live, after_lsn, &effects);

    if (st == MN_OK)
        st = mni_liveness_carry(&effects, find_target, t);
    if (st == MN_OK)
        (void)mni_liveness_carry_lapses(live, known, n_lapses_max, find_target, t);
    mni_live_effects_done(&effects);
    return st;
}

static void happen(struct mni_liveness *live, struct model *m, uint64_t lsn, uint64_t *seed)
{
    uint32_t row = (uint32_t)check_below(seed, m->n_rows);
    struct mni_patch p = random_patch(seed, lsn);

    if (m->rows[row].death_lsn == 0 && check_below(seed, 3) == 0)
        kill(live, m, row, lsn);
    else if (m->rows[row].death_lsn == 0)
        patch(live, m, row, &p, 0);
    row = (uint32_t)check_below(seed, m->n_rows);
    if (check_below(seed, 4) == 0 && m->rows[row].death_lsn == 0) {
        mni_liveness_lapse(live, row);
        m->rows[row].is_lapsed = true;
    } else if (check_below(seed, 8) == 0 && m->rows[row].is_lapsed) {
        (void)mni_liveness_unlapse(live, row);
        m->rows[row].is_lapsed = false;
    }
}

static void one_merge(uint64_t *seed, bool fails)
{
    enum { MERGE_LSN = 60, LAST_LSN = 100 };
    uint32_t n_rows = 1 + (uint32_t)check_below(seed, 200);
    struct model m = model_new(n_rows);
    struct mni_liveness live;
    uint64_t known[4] = {0};
    uint64_t carried_lsn = MERGE_LSN;

    mni_liveness_init(&live, n_rows);
    CHECK_OK(mni_liveness_reserve_lapsed(&live));
    for (uint64_t lsn = 1; lsn <= MERGE_LSN; lsn++)
        happen(&live, &m, lsn, seed);
    uint64_t targets_seed = *seed;
    struct targets t = targets_new(&m, MERGE_LSN, seed);
    for (int i = 0; i < TARGETS; i++)
        CHECK_OK(mni_liveness_reserve_lapsed(&t.live[i]));
    for (uint64_t lsn = MERGE_LSN + 1; lsn <= LAST_LSN; lsn++) {
        happen(&live, &m, lsn, seed);
        if (check_below(seed, 10) != 0)
            continue;
        CHECK_OK(carry_once(&live, carried_lsn, known, check_below(seed, 5), &t));
        carried_lsn = lsn;
    }
    CHECK_OK(carry_once(&live, carried_lsn, known, SIZE_MAX, &t));
    check_carried(&t, &m, MERGE_LSN, LAST_LSN);
    targets_free(&t);
    bool was_hit = fails;
    for (uint64_t n = 1; was_hit; n++) {
        uint64_t none_known[4] = {0};
        uint64_t again = targets_seed;
        t = targets_new(&m, MERGE_LSN, &again);
        for (int i = 0; i < TARGETS; i++)
            CHECK_OK(mni_liveness_reserve_lapsed(&t.live[i]));
        mni_mem_fail_at(n);
        mn_status st = carry_once(&live, MERGE_LSN, none_known, SIZE_MAX, &t);
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        if (st == MN_OK)
            check_carried(&t, &m, MERGE_LSN, LAST_LSN);
        targets_free(&t);
    }
    mni_liveness_done(&live);
    model_free(&m);
}

static void a_merge_loses_nothing_that_happened_meanwhile(void)
{
    uint64_t seed = check_seed();

    for (int i = 0; i < 100; i++)
        one_merge(&seed, i % 4 == 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(all_rows_live_at_first),
        CHECK_TEST(a_death_is_seen_from_its_lsn_on),
        CHECK_TEST(a_seek_looks_at_few_rows_and_stays_in_its_range),
        CHECK_TEST(deaths_are_remembered_until_they_are_in_a_file),
        CHECK_TEST(lapsed_rows_are_seen_and_not_counted),
        CHECK_TEST(patches_add_up),
        CHECK_TEST(patches_that_no_view_needs_go_at_once),
        CHECK_TEST(what_is_reserved_cannot_fail),
        CHECK_TEST(short_memory_reserves_nothing),
        CHECK_TEST(memory_is_counted),
        CHECK_TEST(random_histories_look_like_the_model),
        CHECK_TEST(a_merge_loses_nothing_that_happened_meanwhile),
    };
    return check_run("segment.live", tests, CHECK_COUNT(tests), argc, argv);
}
