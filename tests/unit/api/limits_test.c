/* Tests of what a store refuses: limits at their border and one above, texts, options. */
#include "base/mem.h"
#include "short.h"

static mn_store *store;
static struct mn_error err;

static mn_status put_record(struct mn_slice name, struct mn_record record)
{
    return mn_put(store, name, &record, NULL, NULL, &err);
}

static mn_status put_id(struct mn_slice id)
{
    return put_record(mn_str("n"), (struct mn_record){.id = id});
}

static mn_status put_metadata(struct mn_slice metadata)
{
    return put_record(mn_str("n"), (struct mn_record){.id = mn_str("m"), .metadata = metadata});
}

static void nothing_was_stored(void)
{
    CHECK_EQ(stats_of(store).current_lsn, 0);
    CHECK_EQ(stats_of(store).n_namespaces, 0);
}

static void begin(void)
{
    store = opened(check_temp_dir());
}

static void end(void)
{
    closed(store);
    store = NULL;
}

static void ids_and_names_have_1_to_1024_bytes(void)
{
    char text[1025];

    memset(text, 'x', sizeof text);
    begin();
    CHECK_STATUS(put_id(bytes(text, 1025)), MN_ERR_LIMIT);
    CHECK_STR_HAS(err.message, "1025");
    CHECK_STATUS(put_id(bytes(text, 0)), MN_ERR_INVALID);
    CHECK_STATUS(put_id(bytes(NULL, 3)), MN_ERR_INVALID);
    struct mn_record record = {.id = mn_str("a")};
    CHECK_STATUS(put_record(bytes(text, 1025), record), MN_ERR_LIMIT);
    CHECK_STATUS(put_record(bytes(text, 0), record), MN_ERR_INVALID);
    CHECK_STATUS(mn_namespace_create(store, bytes(text, 1025), NULL, &err), MN_ERR_LIMIT);
    nothing_was_stored();
    record.id = bytes(text, 1024);
    CHECK_OK_ERR(put_record(bytes(text, 1024), record), &err);
    record.id = bytes(text, 1);
    CHECK_OK_ERR(put_record(bytes(text, 1), record), &err);
    bool exists = false;
    CHECK_OK(mn_exists(store, bytes(text, 1024), bytes(text, 1024), &exists, &err));
    CHECK(exists);
    end();
}

static void text_that_is_no_utf8_is_refused_at_its_byte(void)
{
    begin();
    CHECK_STATUS(put_id(bytes("abc\xff", 4)), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "byte 3");
    CHECK_STATUS(put_id(bytes("a\xed\xa0\x80", 4)), MN_ERR_INVALID); /* a surrogate */
    CHECK_STR_HAS(err.message, "byte 1");
    CHECK_STATUS(put_id(bytes("\xc0\x80", 2)), MN_ERR_INVALID);         /* overlong */
    CHECK_STATUS(put_id(bytes("\xf4\x90\x80\x80", 4)), MN_ERR_INVALID); /* above U+10FFFF */
    CHECK_STATUS(put_id(bytes("\xe2\x82", 2)), MN_ERR_INVALID);         /* cut off */
    CHECK_STATUS(put_record(bytes("n\x80", 2), (struct mn_record){.id = mn_str("a")}),
                 MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "name");
    nothing_was_stored();
    end();
}

static void metadata_is_an_object_of_at_most_a_mebibyte(void)
{
    size_t n = 1 << 20;
    char *text = malloc(n + 1);

    CHECK(text != NULL);
    memset(text, ' ', n + 1);
    text[0] = '{';
    text[n - 1] = '}';
    begin();
    CHECK_STATUS(put_metadata(bytes(text, n + 1)), MN_ERR_LIMIT);
    CHECK_STR_HAS(err.message, "1048577");
    CHECK_STATUS(put_metadata(mn_str("[1]")), MN_ERR_INVALID);
    CHECK_STATUS(put_metadata(mn_str("{} x")), MN_ERR_INVALID);
    CHECK_STATUS(put_metadata(mn_str("{\"a\":01}")), MN_ERR_INVALID);
    CHECK_STATUS(put_metadata(mn_str("{\"a\":NaN}")), MN_ERR_INVALID);
    CHECK_STATUS(put_metadata(mn_str(" ")), MN_ERR_INVALID);
    CHECK_STATUS(put_metadata(mn_str("{\"a\":\"\xff\"}")), MN_ERR_INVALID);
    CHECK_STATUS(put_metadata(bytes(NULL, 2)), MN_ERR_INVALID);
    nothing_was_stored();
    CHECK_OK_ERR(put_metadata(bytes(text, n)), &err);
    struct mn_view view;
    CHECK_OK(mn_get(store, mn_str("n"), mn_str("m"), &view, &err));
    CHECK_EQ(view.metadata.n_bytes, n);
    CHECK_MEM_EQ(view.metadata.data, text, n);
    mn_view_release(&view);
    free(text);
    end();
}

static mn_status put_nested(int depth)
{
    char text[1024];
    int n = 0;

    n += snprintf(text + n, sizeof text - (size_t)n, "{\"a\":");
    for (int i = 1; i < depth; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "[");
    for (int i = 1; i < depth; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "]");
    (void)snprintf(text + n, sizeof text - (size_t)n, depth == 1 ? "1}" : "}");
    return put_metadata(mn_str(text));
}

static void metadata_is_at_most_64_deep(void)
{
    begin();
    CHECK_STATUS(put_nested(65), MN_ERR_LIMIT);
    CHECK_STR_HAS(err.message, "64");
    nothing_was_stored();
    CHECK_OK_ERR(put_nested(64), &err);
    CHECK_OK_ERR(put_nested(1), &err);
    end();
}

static void payloads_have_up_to_64_mebibytes(void)
{
    size_t n = 64 << 20;
    char *data = malloc(n + 1);
    struct mn_record record = {.id = mn_str("p"), .payload = {data, n + 1}};
    struct mn_view view;

    CHECK(data != NULL);
    memset(data, 7, n + 1);
    begin();
    CHECK_STATUS(put_record(mn_str("n"), record), MN_ERR_LIMIT);
    CHECK_STR_HAS(err.message, "67108865");
    nothing_was_stored();
    record.payload.n_bytes = n;
    CHECK_OK_ERR(put_record(mn_str("n"), record), &err);
    CHECK_OK(mn_get(store, mn_str("n"), mn_str("p"), &view, &err));
    CHECK_EQ(view.payload.n_bytes, n);
    CHECK_MEM_EQ(view.payload.data, data, n);
    mn_view_release(&view);
    free(data);
    end();
}

static void vectors_have_up_to_65536_elements(void)
{
    float *vector = calloc(65537, sizeof *vector);
    struct mn_record record = {.id = mn_str("v"), .vector = vector, .n_dims = 65537};
    struct mn_namespace_settings settings = {.size = sizeof settings, .dimension = 65537};

    CHECK(vector != NULL);
    begin();
    CHECK_STATUS(put_record(mn_str("n"), record), MN_ERR_LIMIT);
    CHECK_STATUS(mn_namespace_create(store, mn_str("n"), &settings, &err), MN_ERR_LIMIT);
    record.vector = NULL;
    record.n_dims = 1;
    CHECK_STATUS(put_record(mn_str("n"), record), MN_ERR_INVALID);
    nothing_was_stored();
    record.vector = vector;
    record.n_dims = 65536;
    CHECK_OK_ERR(put_record(mn_str("n"), record), &err);
    settings.dimension = 65536;
    CHECK_OK(mn_namespace_ensure(store, mn_str("n"), &settings, &err));
    free(vector);
    end();
}

static void a_batch_above_256_mebibytes_is_refused_before_it_is_copied(void)
{
    enum { N = 5 };
    char *data = malloc(64 << 20);
    struct mn_record records[N];
    uint64_t n_stored = 99;

    CHECK(data != NULL);
    memset(data, 1, 64 << 20);
    begin();
    for (int i = 0; i < N; i++)
        records[i] =
            (struct mn_record){.id = bytes(&"abcde"[i], 1), .payload = {data, (64 << 20) - 4096}};
    uint64_t before = stats_of(store).memory_bytes;
    mni_mem_fail_at(0);
    CHECK_STATUS(mn_put_batch(store, mn_str("n"), records, N, NULL, &n_stored, NULL, &err),
                 MN_ERR_LIMIT);
    CHECK(mni_mem_calls() < 10);
    CHECK_STR_HAS(err.message, "record 4");
    CHECK_STR_HAS(err.message, "256 MiB");
    CHECK_EQ(n_stored, 99);
    CHECK_EQ(stats_of(store).memory_bytes, before);
    nothing_was_stored();
    mn_txn *txn = NULL;
    CHECK_OK(mn_txn_begin(store, &txn, &err));
    for (int i = 0; i < 4; i++)
        CHECK_OK_ERR(mn_txn_put(txn, mn_str("n"), &records[i], &err), &err);
    CHECK_STATUS(mn_txn_put(txn, mn_str("n"), &records[4], &err), MN_ERR_LIMIT);
    CHECK_STATUS(mn_txn_put(txn, mn_str("other"), &records[4], &err), MN_ERR_LIMIT);
    bool exists = true;
    CHECK_OK(mn_txn_exists(txn, mn_str("n"), records[4].id, &exists, &err));
    CHECK(!exists);
    CHECK_OK_ERR(mn_txn_commit(txn, NULL, NULL, &err), &err);
    uint64_t n_records = 0;
    CHECK_OK(mn_count(store, mn_str("n"), &n_records, &err));
    CHECK_EQ(n_records, 4);
    CHECK_STATUS(mn_count(store, mn_str("other"), &n_records, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_delete_batch(store, mn_str("n"), (struct mn_slice[]){mn_str("a")},
                                 (size_t)MN_BATCH_RECORDS_MAX + 1, NULL, NULL, NULL, NULL, &err),
                 MN_ERR_LIMIT);
    free(data);
    end();
}

static void one_bad_record_refuses_its_batch_by_index(void)
{
    float vector[3] = {1, 2, 3};
    struct mn_record records[3] = {
        {.id = mn_str("a"), .vector = vector, .n_dims = 3},
        {.id = mn_str("b")},
        {.id = mn_str("c"), .vector = vector, .n_dims = 2},
    };

    begin();
    CHECK_STATUS(mn_put_batch(store, mn_str("n"), records, 3, NULL, NULL, NULL, &err),
                 MN_ERR_DIMENSION);
    CHECK_STR_HAS(err.message, "record 2");
    records[2].n_dims = 3;
    records[1].ttl_us = -1;
    records[1].fields = MN_HAS_TTL;
    CHECK_STATUS(mn_put_batch(store, mn_str("n"), records, 3, NULL, NULL, NULL, &err),
                 MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "record 1");
    records[1].fields = 1 << 30;
    CHECK_STATUS(mn_put_batch(store, mn_str("n"), records, 3, NULL, NULL, NULL, &err),
                 MN_ERR_INVALID);
    nothing_was_stored();
    records[1].fields = MN_HAS_TTL | MN_HAS_EXPIRES_AT; /* the expiry wins, whatever the ttl */
    records[1].expires_at_us = INT64_MAX;
    CHECK_OK_ERR(mn_put_batch(store, mn_str("n"), records, 3, NULL, NULL, NULL, &err), &err);
    end();
}

static void structs_say_their_size(void)
{
    struct {
        struct mn_write_options options;
        uint64_t more;
    } newer = {.options = {.size = sizeof newer}};
    struct mn_record record = {.id = mn_str("a")};
    struct mn_options no_size = {.create = true};
    struct mn_stats stats = {0};
    mn_store *other = NULL;

    begin();
    CHECK_STATUS(mn_open(check_temp_dir(), &no_size, &other, &err), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "size");
    CHECK_STATUS(mn_stats(store, &stats, &err), MN_ERR_INVALID);
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, &newer.options, NULL, &err), &err);
    newer.more = 1;
    CHECK_STATUS(mn_put(store, mn_str("n"), &record, &newer.options, NULL, &err),
                 MN_ERR_UNSUPPORTED);
    newer.options.size = 1;
    CHECK_STATUS(mn_put(store, mn_str("n"), &record, &newer.options, NULL, &err), MN_ERR_INVALID);
    newer.options.size = sizeof(size_t); /* an older program without any field */
    newer.options.ack = (mn_ack)77;
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &record, &newer.options, NULL, &err), &err);
    newer.options.size = sizeof newer.options;
    CHECK_STATUS(mn_put(store, mn_str("n"), &record, &newer.options, NULL, &err), MN_ERR_INVALID);
    stats.size = 2 * sizeof(uint64_t);
    stats.durable_lsn = 4711;
    CHECK_OK(mn_stats(store, &stats, &err));
    CHECK_EQ(stats.current_lsn, 2);
    CHECK_EQ(stats.durable_lsn, 4711);
    end();
}

static void missing_places_for_answers_are_refused(void)
{
    struct mn_slice n = mn_str("n");
    struct mn_slice id = mn_str("a");
    struct mn_view view;

    begin();
    (void)put(store, n, id, "x");
    CHECK_STATUS(mn_get(store, n, id, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_get_batch(store, n, &id, 1, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_get_batch(store, n, NULL, 1, &view, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_exists(store, n, id, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_count(store, n, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_dimension(store, n, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_namespace_exists(store, n, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_iter_open(store, n, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_namespace_iter_open(store, bytes(NULL, 0), NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_txn_begin(store, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_config_get(store, "sync", NULL, 64, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_config_get(store, NULL, NULL, 64, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_config_set(store, "sync", NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_stats(store, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_put(store, n, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_put_batch(store, n, NULL, 1, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_delete_batch(store, n, NULL, 1, NULL, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_open(NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_verify(NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_flush(NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_txn_commit(NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_OK(mn_close(NULL, &err));
    mn_txn_rollback(NULL);
    mn_iter_close(NULL);
    mn_namespace_iter_close(NULL);
    mn_view_release(NULL);
    end();
}

static void what_may_be_missing_may(void)
{
    struct mn_slice n = mn_str("n");
    struct mn_slice id = mn_str("a");
    struct mn_record record = {.id = id};
    struct mn_view view;

    begin();
    CHECK_OK(mn_put(store, n, &record, NULL, NULL, NULL));
    CHECK_OK(mn_put_batch(store, n, &record, 1, NULL, NULL, NULL, NULL));
    CHECK_OK(mn_put_batch(store, n, NULL, 0, NULL, NULL, NULL, NULL));
    CHECK_OK(mn_get_batch(store, n, &id, 1, &view, NULL, NULL));
    mn_view_release(&view);
    CHECK_OK(mn_get_batch(store, n, NULL, 0, NULL, NULL, NULL));
    CHECK_OK(mn_delete(store, n, id, NULL, NULL, NULL, NULL));
    CHECK_OK(mn_delete_batch(store, n, &id, 1, NULL, NULL, NULL, NULL, NULL));
    CHECK_OK(mn_delete_batch(store, n, NULL, 0, NULL, NULL, NULL, NULL, NULL));
    CHECK_OK(mn_sweep(store, NULL, NULL));
    CHECK_OK(mn_namespace_drop(store, n, NULL, NULL));
    end();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(ids_and_names_have_1_to_1024_bytes),
        CHECK_TEST(text_that_is_no_utf8_is_refused_at_its_byte),
        CHECK_TEST(metadata_is_an_object_of_at_most_a_mebibyte),
        CHECK_TEST(metadata_is_at_most_64_deep),
        CHECK_TEST(payloads_have_up_to_64_mebibytes),
        CHECK_TEST(vectors_have_up_to_65536_elements),
        CHECK_TEST(a_batch_above_256_mebibytes_is_refused_before_it_is_copied),
        CHECK_TEST(one_bad_record_refuses_its_batch_by_index),
        CHECK_TEST(structs_say_their_size),
        CHECK_TEST(missing_places_for_answers_are_refused),
        CHECK_TEST(what_may_be_missing_may),
    };

    return check_run("api.limits", tests, CHECK_COUNT(tests), argc, argv);
}
