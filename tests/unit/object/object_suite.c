/*
 * object_suite.c - objects: putting, getting, conditions, ranges, threads.
 */
#include "suite_private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"

const struct object_factory *suite_factory;
mn_object_store *suite_store;
struct mn_error suite_err;

#define OK(call) CHECK_OK_ERR(call, &suite_err)

/* Words ----------*/

void suite_begin(void)
{
    suite_store = suite_factory->open_fresh(suite_factory->context);
    CHECK(suite_store != NULL);
}

void suite_end(void)
{
    mn_object_store *store = suite_store;

    suite_store = NULL;
    OK(mn_object_close(store, &suite_err));
}

size_t suite_key_bytes_max(void)
{
    return suite_factory->key_bytes_max != 0 ? suite_factory->key_bytes_max
                                             : MN_OBJECT_KEY_BYTES_MAX;
}

bool suite_is_key_fit(struct mn_slice key)
{
    return suite_factory->is_key_fit == NULL ||
           suite_factory->is_key_fit(suite_factory->context, key);
}

void suite_put(struct mn_slice key, struct mn_slice data)
{
    OK(mn_object_put(suite_store, key, data, NULL, NULL, &suite_err));
}

void suite_put_text(const char *key, const char *text)
{
    suite_put(mn_str(key), mn_str(text));
}

void suite_expect(struct mn_slice key, struct mn_slice data)
{
    struct mn_slice got = {NULL, 0};
    struct mn_object_info info;

    OK(mn_object_get(suite_store, key, 0, &got, &info, &suite_err));
    CHECK_EQ(got.n_bytes, data.n_bytes);
    if (data.n_bytes > 0)
        CHECK_MEM_EQ(got.data, data.data, data.n_bytes);
    CHECK_EQ(info.n_bytes, data.n_bytes);
    if (info.has_crc32c)
        CHECK_EQ(info.crc32c, mni_crc32c(0, data.data, data.n_bytes));
    mn_object_free(got);
}

void suite_expect_text(const char *key, const char *text)
{
    suite_expect(mn_str(key), mn_str(text));
}

void suite_expect_none(const char *key)
{
    struct mn_slice got = {NULL, 0};
    struct mn_object_info info;

    CHECK_STATUS(mn_object_get(suite_store, mn_str(key), 0, &got, &info, &suite_err), MN_NOT_FOUND);
    CHECK_STATUS(mn_object_head(suite_store, mn_str(key), &info, &suite_err), MN_NOT_FOUND);
}

void suite_delete(struct mn_slice key)
{
    OK(mn_object_delete(suite_store, key, &suite_err));
}

unsigned char *suite_bytes(size_t n, uint64_t seed)
{
    unsigned char *bytes = malloc(n + 8);

    CHECK(bytes != NULL);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t random = check_random(&seed);
        memcpy(bytes + i, &random, 8);
    }
    return bytes;
}

/* Objects ----------*/

static void objects_come_back_and_go(void)
{
    struct mn_object_info put_info;
    struct mn_object_info info;

    suite_begin();
    suite_expect_none("a");
    OK(mn_object_put(suite_store, mn_str("a"), mn_str("one"), NULL, &put_info, &suite_err));
    suite_expect_text("a", "one");
    OK(mn_object_head(suite_store, mn_str("a"), &info, &suite_err));
    CHECK_EQ(info.n_bytes, 3);
    CHECK_STR_EQ(info.etag, put_info.etag);
    CHECK(info.etag[0] != '\0');
    CHECK(info.modified_us > INT64_C(1700000000000000));
    if (suite_factory->has_crc32c_always)
        CHECK(info.has_crc32c && put_info.has_crc32c);
    if (info.has_crc32c)
        CHECK_EQ(info.crc32c, mni_crc32c(0, "one", 3));
    suite_delete(mn_str("a"));
    suite_expect_none("a");
    suite_delete(mn_str("a"));
    suite_delete(mn_str("never/there"));
    suite_end();
}

static void another_put_replaces_all(void)
{
    struct mn_object_info first;
    struct mn_object_info second;

    suite_begin();
    OK(mn_object_put(suite_store, mn_str("a"), mn_str("a long one"), NULL, &first, &suite_err));
    OK(mn_object_put(suite_store, mn_str("a"), mn_str("short"), NULL, &second, &suite_err));
    CHECK(strcmp(first.etag, second.etag) != 0);
    suite_expect_text("a", "short");
    suite_put_text("a", "");
    suite_expect_text("a", "");
    suite_put_text("a", "something again");
    suite_expect_text("a", "something again");
    suite_end();
}

static void objects_of_every_size_come_back(void)
{
    static const size_t small[] = {0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 65536, 1 << 20};

    suite_begin();
    for (size_t i = 0; i < CHECK_COUNT(small); i++) {
        unsigned char *bytes = suite_bytes(small[i], i);
        suite_put(mn_str("a"), (struct mn_slice){bytes, small[i]});
        suite_expect(mn_str("a"), (struct mn_slice){bytes, small[i]});
        free(bytes);
    }
    for (int more = -1; more <= 1 && suite_factory->part_bytes != 0; more++) {
        size_t n = (size_t)suite_factory->part_bytes + (size_t)more;
        unsigned char *bytes = suite_bytes(n, n);
        suite_put(mn_str("large"), (struct mn_slice){bytes, n});
        suite_expect(mn_str("large"), (struct mn_slice){bytes, n});
        free(bytes);
    }
    suite_end();
}

static void get_refuses_what_is_larger_than_asked_for(void)
{
    struct mn_slice got = {NULL, 0};

    suite_begin();
    suite_put_text("a", "12345");
    CHECK_STATUS(mn_object_get(suite_store, mn_str("a"), 4, &got, NULL, &suite_err), MN_ERR_LIMIT);
    OK(mn_object_get(suite_store, mn_str("a"), 5, &got, NULL, &suite_err));
    CHECK_MEM_EQ(got.data, "12345", 5);
    mn_object_free(got);
    suite_end();
}

static void errors_name_object_and_store(void)
{
    struct mn_slice got = {NULL, 0};

    suite_begin();
    CHECK_STATUS(mn_object_get(suite_store, mn_str("a\n\"b"), 0, &got, NULL, &suite_err),
                 MN_NOT_FOUND);
    CHECK_EQ(suite_err.status, MN_NOT_FOUND);
    CHECK_STR_HAS(suite_err.message, "object \"a\\x0A\\\"b\" in ");
    suite_end();
}

/* Conditions ----------*/

static mn_status put_if(const char *text, const struct mn_object_condition *condition,
                        struct mn_object_info *info_out)
{
    return mn_object_put(suite_store, mn_str("a"), mn_str(text), condition, info_out, &suite_err);
}

static void puts_hold_to_their_condition(void)
{
    const struct mn_object_condition if_absent = {.if_absent = true};
    const struct mn_object_condition if_other = {.if_match = "0123456789abcdef"};
    struct mn_object_info first;
    struct mn_object_info second;

    if (suite_factory->has_no_conditions)
        check_skip("conditions do not hold here");
    suite_begin();
    CHECK_STATUS(put_if("0", &if_other, NULL), MN_CHANGED);
    suite_expect_none("a");
    OK(put_if("1", &if_absent, &first));
    suite_expect_text("a", "1");
    CHECK_STATUS(put_if("2", &if_absent, NULL), MN_EXISTS);
    CHECK_STATUS(put_if("2", &if_other, NULL), MN_CHANGED);
    suite_expect_text("a", "1");
    const struct mn_object_condition if_first = {.if_match = first.etag};
    OK(put_if("2", &if_first, &second));
    suite_expect_text("a", "2");
    CHECK_STATUS(put_if("3", &if_first, NULL), MN_CHANGED);
    suite_expect_text("a", "2");
    suite_delete(mn_str("a"));
    const struct mn_object_condition if_second = {.if_match = second.etag};
    CHECK_STATUS(put_if("3", &if_second, NULL), MN_CHANGED);
    suite_expect_none("a");
    OK(put_if("4", &if_absent, NULL));
    suite_expect_text("a", "4");
    suite_end();
}

static void conditions_are_found_to_hold(void)
{
    struct mn_object_page *page = NULL;

    suite_begin();
    CHECK_OK_ERR(mn_object_check_conditions(suite_store, &suite_err), &suite_err);
    OK(mn_object_list(suite_store, mn_str(""), mn_str(""), 0, &page, &suite_err));
    CHECK_EQ(page->n_entries, 0);
    mn_object_page_free(page);
    suite_end();
}

enum { RACERS = 8 };

struct racer {
    pthread_t thread;
    unsigned id;
    unsigned n_rounds;
    unsigned n_won;
    unsigned n_wrong;
};

static pthread_barrier_t race_barrier;

static void *race_to_be_first(void *context)
{
    struct racer *racer = context;
    const struct mn_object_condition if_absent = {.if_absent = true};

    for (unsigned i = 0; i < racer->n_rounds; i++) {
        char key[32];
        char text[32];
        (void)snprintf(key, sizeof key, "race/%u", i);
        (void)snprintf(text, sizeof text, "%u", racer->id);
        (void)pthread_barrier_wait(&race_barrier);
        mn_status st =
            mn_object_put(suite_store, mn_str(key), mn_str(text), &if_absent, NULL, NULL);
        racer->n_won += st == MN_OK;
        racer->n_wrong += st != MN_OK && st != MN_EXISTS;
    }
    return NULL;
}

static void of_many_first_puts_one_wins(void)
{
    struct racer racers[RACERS] = {{0}};
    unsigned n_rounds = suite_factory->is_slow ? 10 : 50;
    unsigned n_won = 0;

    if (suite_factory->has_no_conditions)
        check_skip("conditions do not hold here");
    suite_begin();
    CHECK_EQ(pthread_barrier_init(&race_barrier, NULL, RACERS), 0);
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i].id = i;
        racers[i].n_rounds = n_rounds;
        CHECK_EQ(pthread_create(&racers[i].thread, NULL, race_to_be_first, &racers[i]), 0);
    }
    for (unsigned i = 0; i < RACERS; i++)
        CHECK_EQ(pthread_join(racers[i].thread, NULL), 0);
    CHECK_EQ(pthread_barrier_destroy(&race_barrier), 0);
    for (unsigned i = 0; i < RACERS; i++) {
        CHECK_EQ(racers[i].n_wrong, 0);
        n_won += racers[i].n_won;
    }
    CHECK_EQ(n_won, n_rounds);
    suite_end();
}

/* Counts in an object: read, and put what follows over what was read. */
static void *count_up(void *context)
{
    struct racer *racer = context;

    for (unsigned tries = 0; racer->n_won < racer->n_rounds && tries < 100000; tries++) {
        struct mn_slice data = {NULL, 0};
        struct mn_object_info info;
        char text[32] = "";
        mn_status st = mn_object_get(suite_store, mn_str("count"), 16, &data, &info, NULL);
        if (st != MN_OK) {
            racer->n_wrong++;
            break;
        }
        memcpy(text, data.data, data.n_bytes);
        mn_object_free(data);
        (void)snprintf(text, sizeof text, "%d", atoi(text) + 1);
        const struct mn_object_condition if_same = {.if_match = info.etag};
        st = mn_object_put(suite_store, mn_str("count"), mn_str(text), &if_same, NULL, NULL);
        racer->n_won += st == MN_OK;
        racer->n_wrong += st != MN_OK && st != MN_CHANGED;
    }
    return NULL;
}

static void puts_over_an_etag_lose_nothing(void)
{
    struct racer racers[4] = {{0}};
    unsigned n_rounds = suite_factory->is_slow ? 5 : 40;
    char text[32];

    if (suite_factory->has_no_conditions)
        check_skip("conditions do not hold here");
    suite_begin();
    suite_put_text("count", "0");
    for (unsigned i = 0; i < CHECK_COUNT(racers); i++) {
        racers[i].n_rounds = n_rounds;
        CHECK_EQ(pthread_create(&racers[i].thread, NULL, count_up, &racers[i]), 0);
    }
    for (unsigned i = 0; i < CHECK_COUNT(racers); i++)
        CHECK_EQ(pthread_join(racers[i].thread, NULL), 0);
    for (unsigned i = 0; i < CHECK_COUNT(racers); i++) {
        CHECK_EQ(racers[i].n_wrong, 0);
        CHECK_EQ(racers[i].n_won, n_rounds);
    }
    (void)snprintf(text, sizeof text, "%u", n_rounds * (unsigned)CHECK_COUNT(racers));
    suite_expect_text("count", text);
    suite_end();
}

/* Ranges ----------*/

static void a_range_is_what_stands_there(void)
{
    static const struct {
        uint64_t offset;
        uint64_t n;
        uint64_t n_read;
    } cases[] = {{0, 1, 1}, {0, 10, 10}, {3, 4, 4}, {9, 1, 1}, {9, 5, 1}, {0, 100, 10}, {5, 5, 5}};

    suite_begin();
    suite_put_text("a", "0123456789");
    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        char data[100];
        struct mn_object_range range = {
            .key = mn_str("a"), .offset = cases[i].offset, .n_bytes = cases[i].n, .data_out = data};
        OK(mn_object_get_ranges(suite_store, &range, 1, &suite_err));
        CHECK_STATUS(range.status, MN_OK);
        CHECK_EQ(range.n_read, cases[i].n_read);
        CHECK_MEM_EQ(data, "0123456789" + cases[i].offset, cases[i].n_read);
    }
    suite_end();
}

static void ranges_that_cannot_be_read_say_why(void)
{
    char data[8][16];
    struct mn_object_info info;

    suite_begin();
    OK(mn_object_put(suite_store, mn_str("a"), mn_str("0123456789"), NULL, &info, &suite_err));
    suite_put_text("empty", "");
    struct mn_object_range ranges[] = {
        {.key = mn_str("a"), .offset = 2, .n_bytes = 3, .data_out = data[0]},
        {.key = mn_str("none"), .offset = 0, .n_bytes = 3, .data_out = data[1]},
        {.key = mn_str("a"),
         .offset = 4,
         .n_bytes = 3,
         .data_out = data[2],
         .has_crc32c = true,
         .crc32c = mni_crc32c(0, "456", 3)},
        {.key = mn_str("a"),
         .offset = 4,
         .n_bytes = 3,
         .data_out = data[3],
         .has_crc32c = true,
         .crc32c = 1},
        {.key = mn_str("a"), .offset = 10, .n_bytes = 1, .data_out = data[4]},
        {.key = mn_str("empty"), .offset = 0, .n_bytes = 1, .data_out = data[5]},
        {.key = mn_str("a"),
         .offset = 0,
         .n_bytes = 2,
         .data_out = data[6],
         .if_match = "0123456789abcdef"},
        {.key = mn_str("a"), .offset = 0, .n_bytes = 2, .data_out = data[7], .if_match = info.etag},
    };
    static const mn_status expected[] = {MN_OK,          MN_NOT_FOUND,   MN_OK,      MN_ERR_CORRUPT,
                                         MN_ERR_INVALID, MN_ERR_INVALID, MN_CHANGED, MN_OK};
    CHECK_STATUS(mn_object_get_ranges(suite_store, ranges, CHECK_COUNT(ranges), &suite_err),
                 MN_NOT_FOUND);
    CHECK_STR_HAS(suite_err.message, "none");
    for (size_t i = 0; i < CHECK_COUNT(ranges); i++)
        CHECK_STATUS(ranges[i].status, expected[i]);
    CHECK_MEM_EQ(data[0], "234", 3);
    CHECK_MEM_EQ(data[2], "456", 3);
    CHECK_MEM_EQ(data[7], "01", 2);
    suite_end();
}

/* What is wrong with one range, as arguments go, keeps no other from being read. */
static void ranges_that_are_refused_leave_others_alone(void)
{
    char long_key[MN_OBJECT_KEY_BYTES_MAX + 1];
    char data[9][4] = {{0}};

    memset(long_key, 'k', sizeof long_key);
    suite_begin();
    suite_put_text("a", "0123456789");
    struct mn_object_range ranges[] = {
        {.key = mn_str("a"), .offset = 2, .n_bytes = 3, .data_out = data[0]},
        {.key = mn_str("a"), .offset = UINT64_MAX, .n_bytes = 3, .data_out = data[1]},
        {.key = mn_str("a"), .offset = (uint64_t)INT64_MAX - 1, .n_bytes = 3, .data_out = data[2]},
        {.key = mn_str("a"), .offset = (uint64_t)INT64_MAX, .n_bytes = 1, .data_out = data[3]},
        {.key = mn_str("a"), .offset = 3, .n_bytes = 3, .data_out = data[4]},
        {.key = mn_str(""), .offset = 0, .n_bytes = 3, .data_out = data[5]},
        {.key = {long_key, sizeof long_key}, .n_bytes = 3, .data_out = data[6]},
        {.key = mn_str("a"), .offset = 0, .n_bytes = 3, .data_out = NULL},
        {.key = mn_str("a"), .offset = 4, .n_bytes = 3, .data_out = data[8]},
        {.key = mn_str("a"), .offset = 0, .n_bytes = 0, .data_out = data[7]},
    };
    static const mn_status expected[] = {MN_OK, MN_ERR_INVALID, MN_ERR_INVALID, MN_ERR_INVALID,
                                         MN_OK, MN_ERR_INVALID, MN_ERR_LIMIT,   MN_ERR_INVALID,
                                         MN_OK, MN_ERR_INVALID};
    for (size_t i = 0; i < CHECK_COUNT(ranges); i++) {
        ranges[i].status = MN_CHANGED;
        ranges[i].n_read = 99;
    }
    CHECK_STATUS(mn_object_get_ranges(suite_store, ranges, CHECK_COUNT(ranges), &suite_err),
                 MN_ERR_INVALID);
    for (size_t i = 0; i < CHECK_COUNT(ranges); i++) {
        CHECK_STATUS(ranges[i].status, expected[i]);
        CHECK_EQ(ranges[i].n_read, expected[i] == MN_OK ? 3 : 0);
    }
    CHECK_MEM_EQ(data[0], "234", 3);
    CHECK_MEM_EQ(data[4], "345", 3);
    CHECK_MEM_EQ(data[8], "456", 3);
    CHECK_STATUS(mn_object_get_ranges(suite_store, ranges + 6, 2, &suite_err), MN_ERR_LIMIT);
    CHECK_STATUS(mn_object_get_ranges(NULL, ranges, 1, &suite_err), MN_ERR_INVALID);
    CHECK_STATUS(ranges[0].status, MN_ERR_INVALID);
    suite_end();
}

static void many_ranges_are_read_at_once(void)
{
    enum { N = 64, EACH = 1000, OBJECT = 100000 };
    struct mn_object_range ranges[N];
    unsigned char *bytes = suite_bytes(OBJECT, 7);
    unsigned char *read = malloc((size_t)N * EACH);

    CHECK(read != NULL);
    suite_begin();
    suite_put(mn_str("a"), (struct mn_slice){bytes, OBJECT});
    for (size_t i = 0; i < N; i++)
        ranges[i] = (struct mn_object_range){.key = mn_str("a"),
                                             .offset = i * 997 % (OBJECT - EACH),
                                             .n_bytes = EACH,
                                             .data_out = read + i * EACH};
    OK(mn_object_get_ranges(suite_store, ranges, N, &suite_err));
    for (size_t i = 0; i < N; i++) {
        CHECK_EQ(ranges[i].n_read, EACH);
        CHECK_MEM_EQ(read + i * EACH, bytes + ranges[i].offset, EACH);
    }
    OK(mn_object_get_ranges(suite_store, NULL, 0, &suite_err));
    free(read);
    free(bytes);
    suite_end();
}

/* Arguments ----------*/

static mn_status put_key(const void *data, size_t n)
{
    return mn_object_put(suite_store, (struct mn_slice){data, n}, mn_str("x"), NULL, NULL,
                         &suite_err);
}

static void wrong_arguments_are_refused(void)
{
    const struct mn_object_condition both = {.if_absent = true, .if_match = "x"};
    const struct mn_object_condition empty_etag = {.if_match = ""};
    const struct mn_object_condition quoted_etag = {.if_match = "\"x\""};
    char long_key[MN_OBJECT_KEY_BYTES_MAX + 1];
    struct mn_object_range range = {.key = mn_str("a"), .n_bytes = 1, .data_out = long_key};
    struct mn_object_page *page = NULL;
    struct mn_object_stats stats = {.size = 0};
    struct mn_slice data;

    memset(long_key, 'k', sizeof long_key);
    suite_begin();
    CHECK_STATUS(put_key("", 0), MN_ERR_INVALID);
    CHECK_STATUS(put_key(NULL, 3), MN_ERR_INVALID);
    CHECK_STATUS(put_key("a\0b", 3), MN_ERR_INVALID);
    CHECK_STATUS(put_key("a\xff", 2), MN_ERR_INVALID);
    CHECK_STATUS(put_key("a\xed\xa0\x80", 4), MN_ERR_INVALID);
    CHECK_STATUS(put_key(long_key, sizeof long_key), MN_ERR_LIMIT);
    CHECK_STATUS(put_if("x", &both, NULL), MN_ERR_INVALID);
    CHECK_STATUS(put_if("x", &empty_etag, NULL), MN_ERR_INVALID);
    CHECK_STATUS(put_if("x", &quoted_etag, NULL), MN_ERR_INVALID);
    CHECK_STATUS(
        mn_object_put(suite_store, mn_str("a"), (struct mn_slice){NULL, 1}, NULL, NULL, &suite_err),
        MN_ERR_INVALID);
    CHECK_STATUS(mn_object_put(NULL, mn_str("a"), mn_str(""), NULL, NULL, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_get(suite_store, mn_str("a"), 0, NULL, NULL, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_get(suite_store, mn_str(""), 0, &data, NULL, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_head(suite_store, mn_str("a"), NULL, &suite_err), MN_ERR_INVALID);
    CHECK_STATUS(mn_object_get_ranges(suite_store, NULL, 1, &suite_err), MN_ERR_INVALID);
    range.n_bytes = 0;
    CHECK_STATUS(mn_object_get_ranges(suite_store, &range, 1, &suite_err), MN_ERR_INVALID);
    range.n_bytes = 2;
    range.offset = UINT64_MAX - 1;
    CHECK_STATUS(mn_object_get_ranges(suite_store, &range, 1, &suite_err), MN_ERR_INVALID);
    CHECK_STATUS(mn_object_list(suite_store, mn_str(""), mn_str(""), 1001, &page, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_list(suite_store, mn_str("\xff"), mn_str(""), 1, &page, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_list(suite_store, mn_str(""), mn_str(""), 1, NULL, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_uploads(suite_store, mn_str(""), NULL, NULL, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_stats(suite_store, &stats, &suite_err), MN_ERR_INVALID);
    CHECK(page == NULL);
    OK(mn_object_close(NULL, &suite_err));
    mn_object_page_free(NULL);
    mn_object_upload_leave(NULL);
    suite_end();
}

static void numbers_count_requests_and_bytes(void)
{
    struct mn_object_stats before = {.size = sizeof before};
    struct mn_object_stats after = {.size = sizeof after};

    suite_begin();
    OK(mn_object_stats(suite_store, &before, &suite_err));
    suite_put_text("a", "0123456789");
    suite_expect_text("a", "0123456789");
    OK(mn_object_stats(suite_store, &after, &suite_err));
    CHECK(after.n_requests >= before.n_requests + 2);
    CHECK(after.bytes_sent >= before.bytes_sent + 10);
    CHECK(after.bytes_received >= before.bytes_received + 10);
    CHECK_EQ(after.n_failures, before.n_failures);
    suite_end();
}

/* Threads ----------*/

/* Objects that only one thread writes, and one that all do: what is read of it is whole. */
static mn_status mix_once(struct racer *racer, uint64_t *random)
{
    char key[64];
    char text[64];
    char common[64];
    struct mn_slice data = {NULL, 0};
    uint64_t number = check_below(random, 1000);
    mn_status st;

    (void)snprintf(key, sizeof key, "own/%u/%u", racer->id, (unsigned)check_below(random, 4));
    (void)snprintf(text, sizeof text, "%u", (unsigned)number);
    memset(common, (int)('a' + racer->id), sizeof common);
    st = mn_object_put(suite_store, mn_str(key), mn_str(text), NULL, NULL, NULL);
    if (st == MN_OK)
        st = mn_object_put(suite_store, mn_str("common"),
                           (struct mn_slice){common, 1 + (size_t)check_below(random, 63)}, NULL,
                           NULL, NULL);
    if (st == MN_OK)
        st = mn_object_get(suite_store, mn_str(key), 0, &data, NULL, NULL);
    if (st != MN_OK)
        return st;
    racer->n_wrong += data.n_bytes != strlen(text) || memcmp(data.data, text, data.n_bytes) != 0;
    mn_object_free(data);
    st = mn_object_get(suite_store, mn_str("common"), 0, &data, NULL, NULL);
    for (size_t i = 1; st == MN_OK && i < data.n_bytes; i++)
        racer->n_wrong += ((const char *)data.data)[i] != ((const char *)data.data)[0];
    if (st == MN_OK)
        mn_object_free(data);
    return st == MN_OK ? mn_object_delete(suite_store, mn_str(key), NULL) : st;
}

static void *mix(void *context)
{
    struct racer *racer = context;
    uint64_t random = racer->id;

    for (unsigned i = 0; i < racer->n_rounds; i++) {
        struct mn_object_page *page = NULL;
        racer->n_wrong += mix_once(racer, &random) != MN_OK;
        racer->n_wrong +=
            mn_object_list(suite_store, mn_str("own/"), mn_str(""), 10, &page, NULL) != MN_OK;
        mn_object_page_free(page);
    }
    return NULL;
}

static void threads_use_a_store_at_once(void)
{
    struct racer racers[RACERS] = {{0}};
    struct mn_object_page *page = NULL;

    suite_begin();
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i].id = i;
        racers[i].n_rounds = suite_factory->is_slow ? 10 : 40;
        CHECK_EQ(pthread_create(&racers[i].thread, NULL, mix, &racers[i]), 0);
    }
    for (unsigned i = 0; i < RACERS; i++)
        CHECK_EQ(pthread_join(racers[i].thread, NULL), 0);
    for (unsigned i = 0; i < RACERS; i++)
        CHECK_EQ(racers[i].n_wrong, 0);
    OK(mn_object_list(suite_store, mn_str(""), mn_str(""), 0, &page, &suite_err));
    CHECK_EQ(page->n_entries, 1);
    mn_object_page_free(page);
    suite_end();
}

int object_suite_run(const struct object_factory *factory, int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(objects_come_back_and_go),
        CHECK_TEST(another_put_replaces_all),
        CHECK_TEST(objects_of_every_size_come_back),
        CHECK_TEST(get_refuses_what_is_larger_than_asked_for),
        CHECK_TEST(errors_name_object_and_store),
        CHECK_TEST(puts_hold_to_their_condition),
        CHECK_TEST(conditions_are_found_to_hold),
        CHECK_TEST(of_many_first_puts_one_wins),
        CHECK_TEST(puts_over_an_etag_lose_nothing),
        CHECK_TEST(a_range_is_what_stands_there),
        CHECK_TEST(ranges_that_cannot_be_read_say_why),
        CHECK_TEST(ranges_that_are_refused_leave_others_alone),
        CHECK_TEST(many_ranges_are_read_at_once),
        CHECK_TEST(wrong_arguments_are_refused),
        CHECK_TEST(numbers_count_requests_and_bytes),
        CHECK_TEST(threads_use_a_store_at_once),
        CHECK_TEST(keys_of_every_byte_come_back),
        CHECK_TEST(awkward_keys_come_back_and_are_listed_in_order),
        CHECK_TEST(listing_is_in_the_order_of_bytes),
        CHECK_TEST(listing_begins_after_any_key),
        CHECK_TEST(prefixes_are_bytes_and_not_folders),
        CHECK_TEST(every_page_size_gives_the_same_keys),
        CHECK_TEST(more_objects_than_a_page_are_listed),
        CHECK_TEST(listing_shows_at_once_what_was_put_and_deleted),
        CHECK_TEST(listing_tells_sizes_and_etags),
        CHECK_TEST(random_histories_are_like_a_naive_model),
        CHECK_TEST(uploads_put_parts_together_in_order),
        CHECK_TEST(uploads_take_a_part_again),
        CHECK_TEST(uploads_keep_the_checksum_that_was_known),
        CHECK_TEST(uploads_of_something_else_are_refused),
        CHECK_TEST(uploads_with_missing_parts_are_refused),
        CHECK_TEST(uploads_with_small_parts_are_refused),
        CHECK_TEST(uploads_are_resumed_by_their_id),
        CHECK_TEST(uploads_that_are_over_are_not_found),
        CHECK_TEST(uploads_are_listed_until_they_are_over),
        CHECK_TEST(uploads_complete_under_a_condition),
        CHECK_TEST(uploads_take_parts_from_many_threads),
        CHECK_TEST(open_uploads_keep_the_store_open),
    };

    suite_factory = factory;
    return check_run(factory->suite, tests, CHECK_COUNT(tests), argc, argv);
}
