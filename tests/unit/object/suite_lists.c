/*
 * suite_lists.c - keys and listings.
 */
#include "suite_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compare.h"

#define OK(call) CHECK_OK_ERR(call, &suite_err)

static int compare_keys(const void *a, const void *b)
{
    return mni_key_compare(*(const struct mn_slice *)a, *(const struct mn_slice *)b);
}

void suite_sort(struct mn_slice *keys, size_t n_keys)
{
    qsort(keys, n_keys, sizeof *keys, compare_keys);
}

void suite_expect_keys(const char *prefix, const char *after, size_t page_size,
                       const struct mn_slice *keys, size_t n_keys)
{
    char last[MN_OBJECT_KEY_BYTES_MAX];
    struct mn_slice at = mn_str(after);
    bool is_last = false;
    size_t n = 0;

    while (!is_last) {
        struct mn_object_page *page = NULL;
        OK(mn_object_list(suite_store, mn_str(prefix), at, page_size, &page, &suite_err));
        CHECK(page->n_entries > 0 || page->is_last);
        CHECK(page_size == 0 || page->n_entries <= page_size);
        for (size_t i = 0; i < page->n_entries; i++, n++) {
            CHECK(n < n_keys);
            CHECK_EQ(page->entries[i].key.n_bytes, keys[n].n_bytes);
            CHECK_MEM_EQ(page->entries[i].key.data, keys[n].data, keys[n].n_bytes);
        }
        if (page->n_entries > 0) {
            at = page->entries[page->n_entries - 1].key;
            memcpy(last, at.data, at.n_bytes);
            at.data = last;
        }
        is_last = page->is_last;
        mn_object_page_free(page);
    }
    CHECK_EQ(n, n_keys);
}

/* Puts each key, with itself as the object. */
static void put_all(const struct mn_slice *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++)
        suite_put(keys[i], keys[i]);
}

static void expect_all(const struct mn_slice *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++)
        suite_expect(keys[i], keys[i]);
}

/* Puts all that fit, in another order; gets, lists and deletes them. Sorts `keys`. */
static void put_list_and_delete(struct mn_slice *keys, size_t n_keys)
{
    size_t n = 0;

    for (size_t i = 0; i < n_keys; i++)
        if (suite_is_key_fit(keys[i]))
            keys[n++] = keys[i];
    CHECK(n > 0);
    put_all(keys, n);
    suite_sort(keys, n);
    expect_all(keys, n);
    suite_expect_keys("", "", 0, keys, n);
    for (size_t i = 0; i < n; i += 2)
        suite_delete(keys[i]);
    for (size_t i = 0; i < n; i++) {
        struct mn_object_info info;
        mn_status st = mn_object_head(suite_store, keys[i], &info, &suite_err);
        CHECK_STATUS(st, i % 2 == 0 ? MN_NOT_FOUND : MN_OK);
    }
    for (size_t i = 1; i < n; i += 2)
        suite_delete(keys[i]);
    suite_expect_keys("", "", 0, NULL, 0);
}

void keys_of_every_byte_come_back(void)
{
    char texts[127 * 2][4];
    struct mn_slice keys[127 * 2];

    suite_begin();
    for (size_t i = 0; i < 127; i++) {
        memcpy(texts[i], (char[]){'k', (char)(i + 1), 'k'}, 3);
        keys[i] = (struct mn_slice){texts[i], 3};
        texts[127 + i][0] = (char)(i + 1);
        keys[127 + i] = (struct mn_slice){texts[127 + i], 1};
    }
    put_list_and_delete(keys, 127 * (suite_factory->is_slow ? 1 : 2));
    suite_end();
}

/* clang-format off */
static const char *const awkward[] = {
    " ", "  ", "a b", " a", "a ", "+", "a+b", "a%20b", "%", "%2F", "a?b=c&d", "a#b", "&amp;", "=",
    ";", "a;b", "'", "\"", "<a>", "]]>", "\\", "a\\b", "/", "//", "///", "/a", "a/", "a//",
    "a//b", ".", "..", "./", "../", "a/.", "a/..", "a/../b", "./a", "../a", ".../a", "a/./b",
    "...", "\r\n", "a\rb", "a\nb", "\t", "\x01", "\x1f", "\x7f", "a\x7f", "\xf0\x9f\x98\x80",
    "e\xcc\x81", "\xc3\xa9", "\xe2\x80\xa8", "\xef\xbf\xbd", "~", "*", "a*b", "$HOME", "`ls`",
    "a|b", "a:b", "C:\\x", "aux", "a@", "a+", "@", "@/@", "+/+", "%@", "-", "--help", "!", "(a)",
    "[a]", "{a}", "^", ",", "a,b", "A", "a", "B", "b", "z/Z", "Z/z",
    "\xc3\xbc/\xe6\xbc\xa2\xe5\xad\x97/\xf0\x9f\x98\x80", "uploads", "tmp/x", "?uploads",
    "a?uploadId=1&partNumber=2", "a&list-type=2", "%00", "%25", "a%", "a%2", "a%zz",
};
/* clang-format on */

void awkward_keys_come_back_and_are_listed_in_order(void)
{
    static char deep[MN_OBJECT_KEY_BYTES_MAX];
    static char longest[MN_OBJECT_KEY_BYTES_MAX];
    static char escaped[MN_OBJECT_KEY_BYTES_MAX];
    struct mn_slice keys[CHECK_COUNT(awkward) + 16];
    static char cuts[11][128];
    size_t n = 0;

    suite_begin();
    for (size_t i = 0; i < CHECK_COUNT(awkward); i++)
        keys[n++] = mn_str(awkward[i]);
    /* Around where names of files are cut. */
    for (size_t i = 0; i < CHECK_COUNT(cuts); i++) {
        memset(cuts[i], 'k', 56 + i);
        memcpy(cuts[i] + 56 + i, i % 3 == 0 ? "" : i % 3 == 1 ? "/x" : " y", i % 3 == 0 ? 0 : 2);
        keys[n++] = mn_str(cuts[i]);
    }
    size_t n_max = suite_key_bytes_max();
    memset(longest, 'k', n_max);
    keys[n++] = (struct mn_slice){longest, n_max};
    keys[n++] = (struct mn_slice){longest, n_max - 1};
    memset(escaped, ' ', n_max);
    keys[n++] = (struct mn_slice){escaped, n_max};
    for (size_t i = 0; i < n_max; i++)
        deep[i] = i % 8 == 7 ? '/' : 'd';
    keys[n++] = (struct mn_slice){deep, n_max};
    keys[n++] = (struct mn_slice){deep, n_max - 1};
    CHECK(n <= CHECK_COUNT(keys));
    put_list_and_delete(keys, n);
    suite_end();
}

static const char *const ordered[] = {"a",    "a!",    "a/",   "a/!", "a/b",
                                      "a/b/", "a/b/c", "a/bc", "a0",  "a\xc3\xa4",
                                      "aa",   "aa/x",  "ab",   "b",   "b/a"};

/* Under "p/", next to others. */
static size_t put_ordered(struct mn_slice *keys, char (*texts)[16])
{
    size_t n = 0;

    for (size_t i = 0; i < CHECK_COUNT(ordered); i++) {
        (void)snprintf(texts[i], 16, "p/%s", ordered[i]);
        keys[n++] = mn_str(texts[i]);
    }
    suite_sort(keys, n);
    put_all(keys, n);
    return n;
}

void listing_is_in_the_order_of_bytes(void)
{
    static const char *const expected[] = {"p/a",    "p/a!",    "p/a/",        "p/a/!", "p/a/b",
                                           "p/a/b/", "p/a/b/c", "p/a/bc",      "p/a0",  "p/aa",
                                           "p/aa/x", "p/ab",    "p/a\xc3\xa4", "p/b",   "p/b/a"};
    char texts[CHECK_COUNT(ordered)][16];
    struct mn_slice keys[CHECK_COUNT(ordered)];

    suite_begin();
    CHECK_EQ(put_ordered(keys, texts), CHECK_COUNT(expected));
    for (size_t i = 0; i < CHECK_COUNT(expected); i++)
        keys[i] = mn_str(expected[i]);
    suite_expect_keys("", "", 0, keys, CHECK_COUNT(expected));
    suite_end();
}

void listing_begins_after_any_key(void)
{
    char texts[CHECK_COUNT(ordered)][16];
    struct mn_slice keys[CHECK_COUNT(ordered)];
    static const char *const afters[] = {"p/a/a", "p/a/b0", "p", "q", "p/", "o", "p/a/b/c/d"};

    suite_begin();
    size_t n = put_ordered(keys, texts);
    for (size_t i = 0; i < n; i++)
        suite_expect_keys("", (const char *)keys[i].data, 0, keys + i + 1, n - i - 1);
    for (size_t i = 0; i < CHECK_COUNT(afters); i++) {
        size_t first = 0;
        while (first < n && mni_key_compare(keys[first], mn_str(afters[i])) <= 0)
            first++;
        suite_expect_keys("", afters[i], 0, keys + first, n - first);
    }
    suite_end();
}

void prefixes_are_bytes_and_not_folders(void)
{
    static const char *const prefixes[] = {"p",    "p/",    "p/a",  "p/a/",  "p/a/b", "p/a/b/",
                                           "p/aa", "p/aa/", "p/a!", "p/b",   "q",     "p/a/b/c",
                                           "p/a0", "p/c",   "/",    "p/a/x", "p//"};
    char texts[CHECK_COUNT(ordered)][16];
    struct mn_slice keys[CHECK_COUNT(ordered)];

    suite_begin();
    size_t n = put_ordered(keys, texts);
    for (size_t i = 0; i < CHECK_COUNT(prefixes); i++) {
        struct mn_slice some[CHECK_COUNT(ordered)];
        size_t n_some = 0;
        for (size_t k = 0; k < n; k++)
            if (strncmp((const char *)keys[k].data, prefixes[i], strlen(prefixes[i])) == 0)
                some[n_some++] = keys[k];
        suite_expect_keys(prefixes[i], "", 0, some, n_some);
        if (n_some > 1)
            suite_expect_keys(prefixes[i], (const char *)some[0].data, 2, some + 1, n_some - 1);
    }
    suite_end();
}

void every_page_size_gives_the_same_keys(void)
{
    char texts[CHECK_COUNT(ordered)][16];
    struct mn_slice keys[CHECK_COUNT(ordered)];

    suite_begin();
    size_t n = put_ordered(keys, texts);
    for (size_t size = 1; size <= n + 1; size++)
        suite_expect_keys("", "", size, keys, n);
    suite_end();
}

void more_objects_than_a_page_are_listed(void)
{
    enum { N = 2500 };
    static char texts[N][16];
    static struct mn_slice keys[N];

    if (suite_factory->is_slow)
        check_skip("too many requests for this store");
    suite_begin();
    for (size_t i = 0; i < N; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%zu/%zu", i % 13, i);
        keys[i] = mn_str(texts[i]);
    }
    put_all(keys, N);
    suite_sort(keys, N);
    suite_expect_keys("", "", 0, keys, N);
    suite_expect_keys("", "", 999, keys, N);
    suite_end();
}

void listing_shows_at_once_what_was_put_and_deleted(void)
{
    struct mn_slice keys[2] = {mn_str("a/1"), mn_str("a/2")};

    suite_begin();
    for (int i = 0; i < 5; i++) {
        suite_put(keys[0], keys[0]);
        suite_expect_keys("", "", 0, keys, 1);
        suite_put(keys[1], keys[1]);
        suite_expect_keys("a/", "", 1, keys, 2);
        suite_delete(keys[0]);
        suite_expect_keys("", "", 0, keys + 1, 1);
        suite_delete(keys[1]);
        suite_expect_keys("", "", 0, NULL, 0);
    }
    suite_end();
}

void listing_tells_sizes_and_etags(void)
{
    struct mn_object_page *page = NULL;
    struct mn_object_info info[2];

    suite_begin();
    OK(mn_object_put(suite_store, mn_str("a"), mn_str("one"), NULL, &info[0], &suite_err));
    OK(mn_object_put(suite_store, mn_str("b"), mn_str(""), NULL, &info[1], &suite_err));
    OK(mn_object_list(suite_store, mn_str(""), mn_str(""), 0, &page, &suite_err));
    CHECK_EQ(page->n_entries, 2);
    CHECK(page->is_last);
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(page->entries[i].n_bytes, i == 0 ? 3 : 0);
        CHECK_STR_EQ(page->entries[i].etag, info[i].etag);
        CHECK(page->entries[i].modified_us > INT64_C(1700000000000000));
    }
    mn_object_page_free(page);
    suite_end();
}

/* A naive model ----------*/

enum { MODEL_KEYS = 24 };

struct model {
    char keys[MODEL_KEYS][24]; /* in order */
    int numbers[MODEL_KEYS];   /* -1: there is none */
    struct mn_object_info infos[MODEL_KEYS];
};

static void make_keys(struct model *model)
{
    static const char *const parts[] = {"a", "b/c", "a/", "/", "..", " ", "b", "a/b/c"};
    struct mn_slice keys[MODEL_KEYS];
    char texts[MODEL_KEYS][24];

    for (size_t i = 0; i < MODEL_KEYS; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%s%zu", parts[i % CHECK_COUNT(parts)],
                       i / CHECK_COUNT(parts));
        keys[i] = mn_str(texts[i]);
    }
    suite_sort(keys, MODEL_KEYS);
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        memcpy(model->keys[i], keys[i].data, keys[i].n_bytes + 1);
        model->numbers[i] = -1;
    }
}

static void model_put(struct model *model, size_t k, int number, uint64_t way)
{
    bool is_there = model->numbers[k] >= 0;
    struct mn_object_condition condition = {0};
    mn_status expected = MN_OK;
    char text[16];

    if (suite_factory->has_no_conditions)
        way = 0;
    if (way == 1) {
        condition.if_absent = true;
        expected = is_there ? MN_EXISTS : MN_OK;
    } else if (way == 2) {
        condition.if_match = is_there ? model->infos[k].etag : "0123456789abcdef";
        expected = is_there ? MN_OK : MN_CHANGED;
    } else if (way == 3) {
        condition.if_match = "0123456789abcdef";
        expected = MN_CHANGED;
    }
    (void)snprintf(text, sizeof text, "%d", number);
    mn_status st = mn_object_put(suite_store, mn_str(model->keys[k]), mn_str(text),
                                 way == 0 ? NULL : &condition, &model->infos[k], &suite_err);
    CHECK_STATUS(st, expected);
    if (st == MN_OK)
        model->numbers[k] = number;
}

static void model_get(const struct model *model, size_t k)
{
    char text[16];

    if (model->numbers[k] < 0) {
        suite_expect_none(model->keys[k]);
        return;
    }
    (void)snprintf(text, sizeof text, "%d", model->numbers[k]);
    suite_expect_text(model->keys[k], text);
}

static void model_list(const struct model *model, const char *prefix, const char *after,
                       size_t page)
{
    struct mn_slice keys[MODEL_KEYS];
    size_t n = 0;

    for (size_t k = 0; k < MODEL_KEYS; k++)
        if (model->numbers[k] >= 0 && strncmp(model->keys[k], prefix, strlen(prefix)) == 0 &&
            mni_key_compare(mn_str(model->keys[k]), mn_str(after)) > 0)
            keys[n++] = mn_str(model->keys[k]);
    suite_expect_keys(prefix, after, page, keys, n);
}

void random_histories_are_like_a_naive_model(void)
{
    static const char *const prefixes[] = {"", "a", "a/", "/", "b/c", "x", "a/b"};
    uint64_t random = check_seed();
    int n_steps = suite_factory->is_slow ? 150 : 1500;
    struct model model = {.numbers = {0}};

    suite_begin();
    make_keys(&model);
    for (int i = 0; i < n_steps; i++) {
        size_t k = (size_t)check_below(&random, MODEL_KEYS);
        uint64_t deed = check_below(&random, 10);
        if (deed < 4) {
            model_put(&model, k, i, check_below(&random, 4));
        } else if (deed < 6) {
            suite_delete(mn_str(model.keys[k]));
            model.numbers[k] = -1;
        } else if (deed < 8) {
            model_get(&model, k);
        } else {
            model_list(&model, prefixes[check_below(&random, CHECK_COUNT(prefixes))],
                       deed == 8 ? "" : model.keys[k], (size_t)check_below(&random, 6));
        }
    }
    model_list(&model, "", "", 0);
    suite_end();
}
