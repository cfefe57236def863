/* keyframes_test.c - vectors stored as differences are those that were written, bit for bit. */
#include "fixture.h"

#include "segment/bare.h"
#include "segment/delta.h"

enum { A_NAMESPACE = 1, FIRST_SPACE = 5, SECOND_SPACE = 6, A_PLAIN_SPACE = 7, LAST_NAMESPACE = 9 };

static uint64_t the_spaces[] = {2, FIRST_SPACE, SECOND_SPACE, A_PLAIN_SPACE, 40};

/* The last one is that of another space. */
static struct mni_segment_points points_with(uint32_t *every)
{
    return (struct mni_segment_points){
        .collections = the_spaces,
        .keyframe_every = every,
        .n_collections = CHECK_COUNT(the_spaces),
    };
}

/* Trajectories with what goes wrong: jumps, points without a vector, several versions, floats that
 * no number is. */
struct kind {
    uint32_t n_dims;
    double step;
    size_t n_entities;
    size_t n_points; /* of each */
    bool has_oddities;
    bool jumps_always;
};

static const struct kind slow = {
    .n_dims = 100, .step = 0.001, .n_entities = 5, .n_points = 80, .has_oddities = true};

static void add_point(struct rows *rows, uint64_t collection, uint64_t entity, int64_t time_us,
                      uint64_t lsn, const float *vector, uint32_t n_dims)
{
    struct mni_point_key key = mni_point_key(entity, time_us);
    struct mni_segment_row row = {
        .record = {.type = MNI_RECORD_UPSERT,
                   .collection = collection,
                   .key = {key.bytes, sizeof key.bytes},
                   .vector = vector,
                   .n_dims = n_dims,
                   .element_type = n_dims > 0 ? MNI_ELEMENT_F32 : MNI_ELEMENT_NONE,
                   .metadata = {"{}", 2}},
        .lsn = lsn,
        .record_lsn = 1,
    };

    rows_add(rows, &row);
}

static double noise(uint64_t *random)
{
    double sum = 0;

    for (int i = 0; i < 4; i++)
        sum += (double)(check_random(random) >> 11) * 0x1p-53 - 0.5;
    return sum;
}

static void move(uint64_t *random, const struct kind *kind, float *vector)
{
    static const uint32_t odd[] = {0x80000000, 0x7f800000, 0xff800000, 0x7fc00001, 0xffffffff, 1};
    bool jumps = kind->jumps_always || (kind->has_oddities && check_below(random, 30) == 0);

    for (uint32_t i = 0; i < kind->n_dims; i++) {
        vector[i] =
            (float)((jumps ? 0 : (double)vector[i]) + (jumps ? 1 : kind->step) * noise(random));
        if (kind->has_oddities && check_below(random, 400) == 0)
            mni_put_u32(&vector[i], odd[check_below(random, CHECK_COUNT(odd))]);
    }
}

static void add_space(struct rows *rows, uint64_t *random, uint64_t collection,
                      const struct kind *kind)
{
    float *vector = calloc(kind->n_dims, sizeof *vector);

    CHECK(vector != NULL);
    for (size_t e = 0; e < kind->n_entities; e++) {
        struct kind first = *kind;
        first.step = 1;
        memset(vector, 0, kind->n_dims * sizeof *vector);
        move(random, &first, vector);
        size_t n = e == 0 && kind->n_entities > 1 ? 1 : kind->n_points;
        for (size_t i = 0; i < n; i++) {
            bool is_odd = kind->has_oddities;
            size_t n_versions = is_odd && check_below(random, 10) == 0 ? 3 : 1;
            for (size_t v = 0; v < n_versions; v++) {
                bool has_none = is_odd && check_below(random, 50) == 0;
                move(random, kind, vector);
                add_point(rows, collection, e * 7, (int64_t)i - 10, 1 + v, vector,
                          has_none ? 0 : kind->n_dims);
            }
        }
    }
    free(vector);
}

static struct rows rows_of(uint64_t *random, const struct kind *kind, uint32_t *every)
{
    static const uint64_t collections[] = {A_NAMESPACE, FIRST_SPACE, SECOND_SPACE, A_PLAIN_SPACE,
                                           LAST_NAMESPACE};
    struct rows rows = {.points = points_with(every)};

    for (size_t i = 0; i < CHECK_COUNT(collections); i++)
        add_space(&rows, random, collections[i], kind);
    rows_sort(&rows);
    return rows;
}

/* Each distance of keyframes in the two spaces; in the third whole vectors are wanted. */
static void set_every(uint32_t *every, uint32_t n)
{
    for (size_t i = 0; i < CHECK_COUNT(the_spaces); i++)
        every[i] = the_spaces[i] == A_PLAIN_SPACE ? 0 : n;
}

static uint64_t file_bytes_of(const struct rows *rows)
{
    struct mni_segment_plan *plan = plan_all(rows);
    uint64_t n_bytes = mni_segment_plan_file_bytes(plan);

    mni_segment_plan_free(plan);
    return n_bytes;
}

/* How many keyframes the rows of a group take, and that no two are too far from each other. */
static void check_distances(struct mni_segment *segment, const struct rows *rows,
                            const struct mni_segment_group *group)
{
    uint32_t n_behind = 0;
    uint64_t entity_before = 0;
    bool is_first = true;
    uint64_t n_differences = 0;

    for (uint32_t i = 0; i < group->n_rows; i++) {
        struct row_head head;
        uint64_t entity = 0;
        int64_t time_us = 0;
        CHECK_OK(mni_segment_head(segment, group->first_row + i, &head, NULL));
        CHECK(mni_point_key_read(rows->items[group->first_row + i].record.key, &entity, &time_us));
        if (head.n_dims == 0)
            continue;
        bool is_difference = (head.flags & SEG_ROW_DIFFERENCE) != 0;
        CHECK(!is_difference || (!is_first && entity == entity_before));
        n_behind = is_difference ? n_behind + 1 : 0;
        n_differences += is_difference;
        CHECK(n_behind < group->keyframe_every);
        entity_before = entity;
        is_first = false;
    }
    CHECK(n_differences > 0);
}

static void check_group(struct mni_segment *segment, const struct rows *rows, uint64_t collection,
                        uint32_t every)
{
    struct mni_segment_group group;

    CHECK_OK(mni_segment_find_group(segment, collection, &group, NULL));
    CHECK_EQ(group.has_differences, every > 0);
    CHECK_EQ(group.keyframe_every, every);
    if (every > 0)
        check_distances(segment, rows, &group);
}

/* Any piece of a group's vectors, as a scan asks for them. */
static void check_pieces(struct mni_segment *segment, const struct rows *rows, uint64_t collection,
                         uint64_t *random)
{
    struct mni_segment_group group;

    CHECK_OK(mni_segment_find_group(segment, collection, &group, NULL));
    for (size_t round = 0; round < 50; round++) {
        uint32_t n = 1 + (uint32_t)check_below(random, group.n_vectors < 70 ? group.n_vectors : 70);
        uint32_t first = (uint32_t)check_below(random, group.n_vectors - n + 1);
        const void *vectors = NULL;
        void *pin = NULL;
        CHECK_OK(mni_segment_vectors(segment, &group, first, n, &vectors, &pin, NULL));
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = 0;
            CHECK_OK(mni_segment_vector_row(segment, &group, first + i, &row, NULL));
            CHECK_MEM_EQ((const float *)vectors + (size_t)i * group.n_dims,
                         rows->items[row].record.vector, (size_t)group.n_dims * 4);
        }
        mni_segment_release(segment, pin);
    }
}

static void check_unmapped(struct disk *d, const struct rows *rows, uint64_t *random)
{
    struct mni_segment_id id = id_of(1);
    struct mni_segment *segment = NULL;
    struct memory_source source;
    size_t n;
    unsigned char *bytes = read_file(d, 1, &n);

    memory_source_init(&source, bytes, n, false);
    CHECK_OK(mni_segment_open_source(&source.base, &id, NULL, &segment, NULL));
    check_segment(segment, rows);
    check_pieces(segment, rows, FIRST_SPACE, random);
    CHECK_EQ(source.n_pins, 0);
    mni_segment_unref(segment);
    free(bytes);
}

static void vectors_come_back_whatever_the_distance(void)
{
    static const uint32_t distances[] = {2, 3, 10, 1000, UINT16_MAX};
    uint64_t random = check_seed();

    for (size_t i = 0; i < CHECK_COUNT(distances); i++) {
        uint32_t every[CHECK_COUNT(the_spaces)];
        set_every(every, distances[i]);
        struct rows rows = rows_of(&random, &slow, every);
        struct disk d = disk_new();
        (void)write_segment(&d, &rows, 1);
        struct mni_segment *segment = open_segment(&d, 1);
        check_segment(segment, &rows);
        check_group(segment, &rows, FIRST_SPACE, distances[i]);
        check_group(segment, &rows, SECOND_SPACE, distances[i]);
        check_group(segment, &rows, A_NAMESPACE, 0);
        check_group(segment, &rows, A_PLAIN_SPACE, 0);
        check_group(segment, &rows, LAST_NAMESPACE, 0);
        check_pieces(segment, &rows, FIRST_SPACE, &random);
        check_pieces(segment, &rows, LAST_NAMESPACE, &random);
        check_unmapped(&d, &rows, &random);
        mni_segment_unref(segment);
        rows_free(&rows);
        disk_free(&d);
    }
}

static void all_dimensions_come_back(void)
{
    static const uint32_t dims[] = {1, 2, 63, 64, 65, 768, 4096};
    uint64_t random = check_seed();

    for (size_t i = 0; i < CHECK_COUNT(dims); i++) {
        struct kind kind = slow;
        uint32_t every[CHECK_COUNT(the_spaces)];
        set_every(every, 10);
        kind.n_dims = dims[i];
        kind.n_entities = 2;
        kind.n_points = dims[i] > 1000 ? 25 : 60;
        struct rows rows = rows_of(&random, &kind, every);
        struct disk d = disk_new();
        (void)write_segment(&d, &rows, 1);
        struct mni_segment *segment = open_segment(&d, 1);
        check_segment(segment, &rows);
        mni_segment_unref(segment);
        rows_free(&rows);
        disk_free(&d);
    }
}

static void slow_trajectories_take_less(void)
{
    const struct kind kind = {.n_dims = 128, .step = 0.001, .n_entities = 10, .n_points = 400};
    uint64_t random = check_seed();
    uint32_t every[CHECK_COUNT(the_spaces)];

    set_every(every, 10);
    struct rows rows = {.points = points_with(every)};
    add_space(&rows, &random, FIRST_SPACE, &kind);
    rows_sort(&rows);
    uint64_t n_with = file_bytes_of(&rows);
    rows.points.keyframe_every = NULL;
    uint64_t n_without = file_bytes_of(&rows);
    CHECK(n_without - n_with > rows.n * 128 * 4 * 30 / 100);
    rows_free(&rows);
}

/* The file is that of a plan that was never asked. */
static void check_same_file(const struct rows *rows)
{
    struct disk d = disk_new();
    struct rows unasked = *rows;
    size_t n[2];

    unasked.points.keyframe_every = NULL;
    (void)write_segment(&d, rows, 1);
    unsigned char *asked_bytes = read_file(&d, 1, &n[0]);
    disk_free(&d);
    d = disk_new();
    (void)write_segment(&d, &unasked, 1);
    unsigned char *bytes = read_file(&d, 1, &n[1]);
    CHECK_EQ(n[0], n[1]);
    CHECK_MEM_EQ(asked_bytes, bytes, n[0]);
    free(asked_bytes);
    free(bytes);
    disk_free(&d);
}

static void what_would_not_be_shorter_is_whole(void)
{
    static const struct kind kinds[] = {
        {.n_dims = 64, .jumps_always = true, .n_entities = 3, .n_points = 100},
        {.n_dims = 64, .step = 0.001, .n_entities = 200, .n_points = 1},  /* nothing to lean on */
        {.n_dims = 1, .step = 0.001, .n_entities = 3, .n_points = 1000},  /* places take more */
        {.n_dims = 128, .step = 0.0001, .n_entities = 2, .n_points = 60}, /* columns take more */
    };
    uint64_t random = check_seed();

    for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
        uint32_t every[CHECK_COUNT(the_spaces)];
        set_every(every, 10);
        struct rows rows = {.points = points_with(every)};
        add_space(&rows, &random, FIRST_SPACE, &kinds[i]);
        rows_sort(&rows);
        check_same_file(&rows);
        rows_free(&rows);
    }
}

/* One group moves slowly, one jumps. */
static void each_group_is_stored_as_is_shorter(void)
{
    const struct kind fast = {.n_dims = 64, .jumps_always = true, .n_entities = 3, .n_points = 100};
    uint64_t random = check_seed();

    for (int which = 0; which < 2; which++) {
        uint32_t every[CHECK_COUNT(the_spaces)];
        set_every(every, 10);
        struct rows rows = {.points = points_with(every)};
        struct disk d = disk_new();
        add_space(&rows, &random, FIRST_SPACE, which == 0 ? &slow : &fast);
        add_space(&rows, &random, SECOND_SPACE, which == 0 ? &fast : &slow);
        rows_sort(&rows);
        (void)write_segment(&d, &rows, 1);
        struct mni_segment *segment = open_segment(&d, 1);
        check_segment(segment, &rows);
        check_group(segment, &rows, FIRST_SPACE, which == 0 ? 10 : 0);
        check_group(segment, &rows, SECOND_SPACE, which == 0 ? 0 : 10);
        mni_segment_unref(segment);
        rows_free(&rows);
        disk_free(&d);
    }
}

static void halves_are_whole(void)
{
    uint64_t random = check_seed();
    uint32_t every[CHECK_COUNT(the_spaces)];
    uint16_t halves[200] = {0};

    set_every(every, 10);
    struct rows rows = {.points = points_with(every)};
    for (int64_t i = 0; i < 500; i++) {
        halves[check_below(&random, CHECK_COUNT(halves))]++;
        add_point(&rows, FIRST_SPACE, 1, i, 1, (const float *)(const void *)halves, 100);
        rows.items[rows.n - 1].record.n_dims = 200;
        rows.items[rows.n - 1].record.element_type = MNI_ELEMENT_F16;
    }
    rows_sort(&rows);
    check_same_file(&rows);
    rows_free(&rows);
}

static void a_bare_copy_has_differences_too(void)
{
    uint64_t random = check_seed();
    uint32_t every[CHECK_COUNT(the_spaces)];
    struct mni_bare_target target = {.name = "copy.new", .id = id_of(2)};
    char name[MNI_SEGMENT_NAME_BYTES];
    struct mni_segment_info info;
    struct disk d = disk_new();

    set_every(every, 17);
    struct rows rows = rows_of(&random, &slow, every);
    (void)write_segment(&d, &rows, 1);
    struct mni_segment *segment = open_segment(&d, 1);
    target.dir = d.dir;
    CHECK_OK_ERR(mni_bare_write(segment, &target, &info, &d.err), &d.err);
    mni_segment_name(&target.id, name);
    CHECK_OK(mni_dir_rename(d.dir, target.name, name, NULL));
    struct mni_segment *copy = open_segment(&d, 2);
    check_group(copy, &rows, FIRST_SPACE, 17);
    check_group(copy, &rows, A_PLAIN_SPACE, 0);
    check_pieces(copy, &rows, FIRST_SPACE, &random);
    check_pieces(copy, &rows, SECOND_SPACE, &random);
    mni_segment_unref(segment);
    mni_segment_unref(copy);
    rows_free(&rows);
    disk_free(&d);
}

/* Where a plan ends, the next one begins with a keyframe. */
static void segments_decode_by_themselves(void)
{
    uint64_t random = check_seed();
    uint32_t every[CHECK_COUNT(the_spaces)];
    struct mni_segment_plan *plan = NULL;
    struct disk d = disk_new();
    size_t n_files = 0;

    set_every(every, 1000);
    struct rows rows = rows_of(&random, &slow, every);
    CHECK_OK(mni_segment_plan_new(300000, &plan));
    mni_segment_plan_set_points(plan, &rows.points);
    for (size_t first = 0; first < rows.n;) {
        mn_status st = MN_OK;
        mni_segment_plan_reset(plan);
        while (st == MN_OK && first + mni_segment_plan_n_rows(plan) < rows.n)
            st = mni_segment_plan_add(plan, &rows.items[first + mni_segment_plan_n_rows(plan)],
                                      NULL);
        CHECK(st == MN_OK || st == MN_END);
        struct rows part = {.items = rows.items + first,
                            .n = (size_t)mni_segment_plan_n_rows(plan),
                            .points = rows.points};
        struct mni_segment_writer_config config = {
            .dir = d.dir, .id = id_of((unsigned char)++n_files), .plan = plan};
        struct mni_segment_info info;
        CHECK_OK_ERR(try_write(&d, &config, part.items, part.n, &info), &d.err);
        CHECK_EQ(info.file_bytes, mni_segment_plan_file_bytes(plan));
        struct mni_segment *segment = open_segment(&d, (unsigned char)n_files);
        check_segment(segment, &part);
        mni_segment_unref(segment);
        first += part.n;
    }
    CHECK(n_files > 2);
    mni_segment_plan_free(plan);
    rows_free(&rows);
    disk_free(&d);
}

static void damage_is_told_and_takes_few_vectors(void)
{
    uint64_t random = check_seed();
    uint32_t every[CHECK_COUNT(the_spaces)];
    struct disk d = disk_new();
    struct mni_segment_id id = id_of(1);
    size_t n;

    set_every(every, 10);
    struct rows rows = rows_of(&random, &slow, every);
    (void)write_segment(&d, &rows, 1);
    unsigned char *original = read_file(&d, 1, &n);
    for (size_t round = 0; round < 12; round++) {
        static const unsigned columns[] = {SEG_VECTORS, SEG_DIFFERENCES, SEG_PLACES};
        unsigned column = columns[round % 3];
        unsigned char *bytes = aligned_alloc(64, n);
        struct memory_source source;
        struct audit a = {.rows = &rows, .may_be_damaged = true};
        CHECK(bytes != NULL);
        memcpy(bytes, original, n);
        column_of(bytes, n, column)[check_below(&random, 2000)] ^=
            (unsigned char)(1 + check_below(&random, 255));
        memory_source_init(&source, bytes, n, round % 2 == 0);
        CHECK_OK(mni_segment_open_source(&source.base, &id, NULL, &a.segment, NULL));
        audit_all(&a);
        CHECK(a.n_damaged > 0);
        CHECK_STATUS(mni_segment_verify(a.segment, NULL, NULL, NULL), MN_ERR_CORRUPT);
        mni_segment_unref(a.segment);
        free(bytes);
    }
    free(original);
    rows_free(&rows);
    disk_free(&d);
}

/* The row of the second place, which is a difference. */
static mn_status read_second(struct mni_segment *segment, const struct rows *rows,
                             struct mn_error *err)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        struct row_head head;
        struct mni_segment_row row;
        mn_status st = mni_segment_head(segment, i, &head, err);
        if (st != MN_OK)
            return st;
        if ((head.flags & SEG_ROW_DIFFERENCE) == 0)
            continue;
        st = mni_segment_row(segment, i, &row, err);
        if (st == MN_OK)
            mni_segment_row_done(segment, &row);
        return st;
    }
    return MN_NOT_FOUND;
}

static void nonsense_is_told(void)
{
    static const struct {
        unsigned column;
        size_t offset;
        uint32_t value;
    } edits[] = {
        {SEG_PLACES, SEG_PLACE_BYTES + SEG_PLACE_OFF_KEYFRAME, UINT32_MAX},
        {SEG_PLACES, SEG_PLACE_BYTES + SEG_PLACE_OFF_KEYFRAME, 1},
        {SEG_PLACES, SEG_PLACE_BYTES + SEG_PLACE_OFF_END, UINT32_MAX},
        {SEG_PLACES, SEG_PLACE_BYTES + SEG_PLACE_OFF_END, 3},
        {SEG_PLACES, SEG_PLACE_OFF_END, UINT32_MAX},
        {SEG_DIFFERENCES, 0, 0},
    };
    const struct kind kind = {.n_dims = 128, .step = 0.001, .n_entities = 1, .n_points = 300};
    uint64_t random = check_seed();
    uint32_t every[CHECK_COUNT(the_spaces)];
    struct disk d = disk_new();
    struct mni_segment_id id = id_of(1);
    size_t n;

    set_every(every, 10);
    struct rows rows = {.points = points_with(every)};
    add_space(&rows, &random, FIRST_SPACE, &kind);
    rows_sort(&rows);
    (void)write_segment(&d, &rows, 1);
    unsigned char *original = read_file(&d, 1, &n);
    for (size_t i = 0; i < CHECK_COUNT(edits); i++) {
        unsigned char *bytes = copy_bytes(original, n);
        struct memory_source source;
        struct mni_segment *segment = NULL;
        mni_put_u32(column_of(bytes, n, edits[i].column) + edits[i].offset, edits[i].value);
        put_right(bytes, n);
        memory_source_init(&source, bytes, n, true);
        CHECK_OK(mni_segment_open_source(&source.base, &id, NULL, &segment, NULL));
        CHECK_STATUS(read_second(segment, &rows, NULL), MN_ERR_CORRUPT);
        mni_segment_unref(segment);
        free(bytes);
    }
    free(original);
    rows_free(&rows);
    disk_free(&d);
}

static void every_allocation_may_fail(void)
{
    uint64_t random = check_seed();
    uint32_t every[CHECK_COUNT(the_spaces)];
    struct disk d = disk_new();
    struct mni_segment_group group;

    set_every(every, 10);
    struct rows rows = rows_of(&random, &slow, every);
    (void)write_segment(&d, &rows, 1);
    struct mni_segment *segment = open_segment(&d, 1);
    CHECK_OK(mni_segment_find_group(segment, FIRST_SPACE, &group, NULL));
    const void *vectors = NULL;
    void *pin = NULL;
    mni_mem_fail_at(1);
    CHECK_STATUS(mni_segment_vectors(segment, &group, 1, 3, &vectors, &pin, NULL), MN_ERR_NOMEM);
    mni_mem_fail_at(1);
    CHECK_STATUS(read_second(segment, &rows, NULL), MN_ERR_NOMEM);
    mni_mem_fail_at(0);
    mni_segment_unref(segment);
    rows_free(&rows);
    disk_free(&d);
}

/* Who takes a decoded vector has it for himself. */
static void decoded_vectors_can_be_taken(void)
{
    uint64_t random = check_seed();
    uint32_t every[CHECK_COUNT(the_spaces)];
    struct disk d = disk_new();
    size_t n_taken = 0;

    set_every(every, 10);
    struct rows rows = rows_of(&random, &slow, every);
    (void)write_segment(&d, &rows, 1);
    struct mni_segment *segment = open_segment(&d, 1);
    for (uint32_t i = 0; i < rows.n; i++) {
        struct mni_segment_row row;
        CHECK_OK(mni_segment_row(segment, i, &row, NULL));
        void *buffer = mni_segment_row_take(&row);
        mni_segment_row_done(segment, &row);
        if (buffer == NULL)
            continue;
        memset(buffer, 0xff, MNI_SEGMENT_SPARE_BYTES);
        CHECK_MEM_EQ(row.record.vector, rows.items[i].record.vector, slow.n_dims * 4);
        mni_segment_decoded_free(buffer);
        n_taken++;
    }
    CHECK(n_taken > 0);
    mni_segment_unref(segment);
    rows_free(&rows);
    disk_free(&d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(vectors_come_back_whatever_the_distance),
        CHECK_TEST(all_dimensions_come_back),
        CHECK_TEST(slow_trajectories_take_less),
        CHECK_TEST(what_would_not_be_shorter_is_whole),
        CHECK_TEST(each_group_is_stored_as_is_shorter),
        CHECK_TEST(halves_are_whole),
        CHECK_TEST(a_bare_copy_has_differences_too),
        CHECK_TEST(segments_decode_by_themselves),
        CHECK_TEST(damage_is_told_and_takes_few_vectors),
        CHECK_TEST(nonsense_is_told),
        CHECK_TEST(every_allocation_may_fail),
        CHECK_TEST(decoded_vectors_can_be_taken),
    };

    return check_run("segment.keyframes", tests, CHECK_COUNT(tests), argc, argv);
}
