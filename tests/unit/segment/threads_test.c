/* Many threads read one segment that nobody has read before; also under the thread sanitizer. */
#include "segment/fixture.h"

#include "io/thread.h"

enum { THREADS = 4, READS = 4000 };

struct reader {
    struct mni_thread thread;
    struct mni_segment *segment; /* one reference */
    const struct rows *rows;
    uint64_t random;
    uint64_t n_wrong;
};

static bool is_right(struct reader *r, const struct mni_segment_row *expected, uint32_t number)
{
    struct mni_segment_row row;

    if (mni_segment_row(r->segment, number, &row, NULL) != MN_OK)
        return false;
    bool is_same =
        row.lsn == expected->lsn && row.record.key.n_bytes == expected->record.key.n_bytes &&
        memcmp(row.record.key.data, expected->record.key.data, row.record.key.n_bytes) == 0 &&
        row.record.n_dims == expected->record.n_dims;
    mni_segment_row_done(r->segment, &row);
    return is_same;
}

static void read_rows(void *context)
{
    struct reader *r = context;

    for (int i = 0; i < READS; i++) {
        uint32_t at = (uint32_t)check_below(&r->random, r->rows->n);
        const struct mni_segment_row *expected = &r->rows->items[at];
        const struct mni_record *record = &expected->record;
        uint64_t hash = mni_key_hash(record->collection, record->key);
        uint64_t bound = 0;
        uint32_t found = 0;
        mni_segment_ref(r->segment);
        const struct mni_segment *segment = r->segment;
        mni_segments_prefetch(&segment, 1, hash);
        if (mni_segments_seek(&segment, 1, hash) != 1 ||
            mni_segment_find(r->segment, hash, record->collection, record->key, &found, NULL) !=
                MN_OK ||
            mni_segment_lower_bound(r->segment, record->collection, record->key, &bound, NULL) !=
                MN_OK ||
            bound != found || found > at || !is_right(r, expected, at) ||
            !is_right(r, &r->rows->items[found], found))
            r->n_wrong++;
        mni_segment_unref(r->segment);
    }
    if (r->random % 2 == 0 && mni_segment_verify(r->segment, NULL, NULL, NULL) != MN_OK)
        r->n_wrong++;
    mni_segment_unref(r->segment);
}

static void threads_share_a_segment_and_the_last_one_removes_it(void)
{
    uint64_t random = check_seed();
    struct rows rows = random_rows(&random, (struct rows_options){.n = 5000, .n_collections = 9});
    struct reader readers[THREADS];
    struct disk d = disk_new();
    struct mni_segment_id id = id_of(1);

    (void)write_segment(&d, &rows, 1);
    struct mni_segment *segment = open_segment(&d, 1);
    for (size_t i = 0; i < THREADS; i++) {
        readers[i] =
            (struct reader){.segment = segment, .rows = &rows, .random = check_random(&random)};
        mni_segment_ref(segment);
        CHECK_OK(mni_thread_start(&readers[i].thread, read_rows, &readers[i], NULL));
    }
    mni_segment_doom(segment, d.dir);
    mni_segment_unref(segment);
    for (size_t i = 0; i < THREADS; i++)
        mni_thread_join(&readers[i].thread);
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(readers[i].n_wrong, 0);
    CHECK_STATUS(mni_segment_open(d.dir, &id, NULL, &segment, NULL), MN_NOT_FOUND);
    rows_free(&rows);
    disk_free(&d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(threads_share_a_segment_and_the_last_one_removes_it),
    };

    return check_run("segment.threads", tests, CHECK_COUNT(tests), argc, argv);
}
