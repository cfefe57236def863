/* Tests of looking answers up by key and by meaning. */
#include <math.h>

#include "answers.h"
#include "io/thread.h"

/* A vector between two others: at 0 the first, at 1 the second. */
static void between(uint64_t a, uint64_t b, float at, float *out)
{
    float other[N_DIMS];

    embed(a, out);
    embed(b, other);
    for (int i = 0; i < N_DIMS; i++)
        out[i] = (1 - at) * out[i] + at * other[i];
}

static double cosine(const float *a, const float *b)
{
    double dot = 0;
    double aa = 0;
    double bb = 0;

    for (int i = 0; i < N_DIMS; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

static void store_at(uint64_t tenant, uint64_t id, const float *embedding, const char *model,
                     uint64_t context)
{
    const struct key key = key_of(id);
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID,
                                            .id = id,
                                            .key = key.bytes,
                                            .embedding = embedding,
                                            .n_dims = embedding != NULL ? N_DIMS : 0,
                                            .model = mn_str(model),
                                            .context = context,
                                            .payload = mn_str("answer")};
    CHECK_OK_ERR(try_store(tenant, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
}

static struct mn_semcache_query by_meaning(const float *embedding, float least)
{
    return (struct mn_semcache_query){.size = sizeof(struct mn_semcache_query),
                                      .embedding = embedding,
                                      .n_dims = N_DIMS,
                                      .min_similarity = least};
}

/* The handle is released: what is left says what it was. */
static struct mn_semcache_result look(uint64_t tenant, const struct mn_semcache_query *query)
{
    struct mn_semcache_result result = {.size = sizeof result};

    CHECK_OK_ERR(mn_semcache_lookup(store, tenant, query, &result, &err), &err);
    CHECK((result.kind == MN_SEMCACHE_MISS) == (result.handle.pin == NULL));
    CHECK((result.kind == MN_SEMCACHE_MISS) == (result.reason != MN_SEMCACHE_NONE));
    uint64_t id = result.handle.id;
    if (result.handle.pin != NULL)
        CHECK(is_text(&result.handle, "answer") && result.handle.tenant == tenant);
    mn_semcache_release(&result.handle);
    result.handle.id = id;
    return result;
}

static void the_nearest_above_the_threshold_is_found(void)
{
    float embedding[N_DIMS];
    float query[N_DIMS];

    begin();
    for (uint64_t id = 0; id < 300; id++) {
        embed(id, embedding);
        store_at(1, id, embedding, "", 0);
        if (id == 150)
            checkpoint();
    }
    for (int round = 0; round < 2; round++) {
        for (uint64_t id = 0; id < 300; id += 7) {
            between(id, id + 1000, 0.2F, query);
            embed(id, embedding);
            double expected = cosine(query, embedding);
            CHECK(expected > 0.9);
            struct mn_semcache_query q = by_meaning(query, 0.8F);
            struct mn_semcache_result r = look(1, &q);
            CHECK_EQ(r.kind, MN_SEMCACHE_SEMANTIC);
            CHECK_EQ(r.handle.id, id);
            CHECK(fabs((double)r.score - expected) < 1e-3);
            CHECK(r.n_scanned == 300 && r.n_candidates == 50 && r.n_similar == 1);
            q.min_similarity = (float)expected + 0.001F;
            r = look(1, &q);
            CHECK(r.kind == MN_SEMCACHE_MISS && r.reason == MN_SEMCACHE_BELOW);
            CHECK(fabs((double)r.score - expected) < 1e-3);
            CHECK_EQ(r.n_similar, 0);
        }
        reopen();
    }
    struct mn_semcache_query q = by_meaning(query, 0.01F);
    q.n_candidates = 300;
    q.n_refined = 300;
    struct mn_semcache_result r = look(1, &q);
    CHECK(r.n_candidates == 300 && r.n_similar > 50);
    closed(store);
}

static void a_scope_is_not_left_unless_asked(void)
{
    float embedding[N_DIMS];
    float near[N_DIMS];

    embed(1, embedding);
    between(1, 2, 0.1F, near);
    begin();
    store_at(1, 1, embedding, "a", 0);
    store_at(1, 2, near, "b", 0);
    store_at(1, 3, near, "b", 5);
    store_at(2, 4, embedding, "b", 0);
    for (int round = 0; round < 2; round++) {
        const struct key key = key_of(1);
        struct mn_semcache_query q = by_meaning(embedding, 0.9F);
        q.key = key.bytes;
        q.model = mn_str("b");
        struct mn_semcache_result r = look(1, &q); /* the key's entry is of another model */
        CHECK(r.kind == MN_SEMCACHE_SEMANTIC && r.handle.id == 2 && r.n_scanned == 1);
        q.context = 5;
        CHECK_EQ(look(1, &q).handle.id, 3);
        q.context = 6;
        r = look(1, &q);
        CHECK(r.kind == MN_SEMCACHE_MISS && r.reason == MN_SEMCACHE_NO_SCOPE && r.n_scanned == 0);
        q.fields = MN_SEMCACHE_ANY_CONTEXT;
        r = look(1, &q);
        CHECK(r.kind == MN_SEMCACHE_SEMANTIC && r.handle.id == 2 && r.n_scanned == 2);
        q.fields = MN_SEMCACHE_ANY_CONTEXT | MN_SEMCACHE_ANY_MODEL;
        r = look(1, &q);
        CHECK(r.kind == MN_SEMCACHE_EXACT && r.handle.id == 1 && r.score == 1);
        q.key = NULL;
        r = look(1, &q);
        CHECK(r.kind == MN_SEMCACHE_SEMANTIC && r.handle.id == 1 && r.n_scanned == 3);
        CHECK_EQ(look(2, &q).handle.id, 4);
        r = look(3, &q);
        CHECK(r.kind == MN_SEMCACHE_MISS && r.reason == MN_SEMCACHE_NO_SCOPE);
        q.fields = MN_SEMCACHE_ANY_MODEL;
        q.context = 5;
        CHECK_EQ(look(1, &q).handle.id, 3);
        checkpoint();
        reopen();
    }
    closed(store);
}

struct judge {
    uint64_t agrees_to;
    uint64_t asked[8];
    size_t n_asked;
    float last_score;
};

static bool judge(void *context, const struct mn_semcache_handle *handle, float score)
{
    struct judge *j = context;

    CHECK(handle->pin != NULL && is_text(handle, "answer"));
    CHECK(j->n_asked < 8 && score <= j->last_score);
    j->last_score = score;
    j->asked[j->n_asked++] = handle->id;
    return handle->id == j->agrees_to;
}

static void the_caller_decides(void)
{
    float embedding[N_DIMS];
    struct judge j = {.agrees_to = 3, .last_score = 2};

    begin();
    for (uint64_t id = 0; id < 8; id++) {
        between(1, 2, 0.02F * (float)id, embedding);
        store_at(1, id, embedding, "", 0);
    }
    embed(1, embedding);
    struct mn_semcache_query q = by_meaning(embedding, 0.5F);
    q.verify = judge;
    q.verify_context = &j;
    struct mn_semcache_result r = look(1, &q);
    CHECK(r.kind == MN_SEMCACHE_VERIFIED && r.handle.id == 3 && r.n_rejected == 3);
    CHECK(j.n_asked == 4 && j.asked[0] == 0 && j.asked[1] == 1 && j.asked[2] == 2);
    j = (struct judge){.agrees_to = 7, .last_score = 2};
    r = look(1, &q); /* only the best five are shown */
    CHECK(r.kind == MN_SEMCACHE_MISS && r.reason == MN_SEMCACHE_REJECTED);
    CHECK(r.n_rejected == 5 && r.n_similar == 8);
    const struct key key = key_of(6);
    q.key = key.bytes;
    j.n_asked = 0;
    CHECK_EQ(look(1, &q).kind, MN_SEMCACHE_EXACT); /* is not asked about */
    CHECK_EQ(j.n_asked, 0);
    CHECK_EQ(cache_stats().n_hits_verified, 1);
    CHECK_EQ(cache_stats().n_misses, 1);
    closed(store);
}

static void equal_scores_go_by_id(void)
{
    float embedding[N_DIMS];

    embed(5, embedding);
    begin();
    for (uint64_t id = 40; id-- > 10;)
        store_at(1, id, embedding, "", 0);
    const struct mn_semcache_query q = by_meaning(embedding, 0.99F);
    CHECK_EQ(look(1, &q).handle.id, 10);
    CHECK_OK(mn_semcache_delete(store, 1, 10, NULL, NULL, &err));
    CHECK_EQ(look(1, &q).handle.id, 11);
    closed(store);
}

static void entries_without_embedding_are_found_by_key_alone(void)
{
    float embedding[N_DIMS];
    const struct key key = key_of(1);

    embed(1, embedding);
    begin();
    store_at(1, 1, NULL, "", 0);
    struct mn_semcache_query q = by_meaning(embedding, 0.5F);
    struct mn_semcache_result r = look(1, &q);
    CHECK(r.kind == MN_SEMCACHE_MISS && r.reason == MN_SEMCACHE_NO_EMBEDDING);
    q.key = key.bytes;
    CHECK_EQ(look(1, &q).kind, MN_SEMCACHE_EXACT);
    q.n_dims = 0;
    CHECK_EQ(look(1, &q).kind, MN_SEMCACHE_EXACT);
    const struct key other = key_of(2);
    q.key = other.bytes;
    r = look(1, &q);
    CHECK(r.kind == MN_SEMCACHE_MISS && r.reason == MN_SEMCACHE_NO_EMBEDDING);
    const float zeroes[N_DIMS] = {0};
    store_at(1, 2, zeroes, "", 0); /* has no direction: nothing is like it */
    q = by_meaning(embedding, 0.000001F);
    r = look(1, &q);
    CHECK(r.kind == MN_SEMCACHE_MISS && r.reason == MN_SEMCACHE_BELOW && r.score == 0);
    closed(store);
}

static void refuse(const struct mn_semcache_query *query, mn_status status, const char *why)
{
    struct mn_semcache_result result = {.size = sizeof result};

    CHECK_STATUS(mn_semcache_lookup(store, 1, query, &result, &err), status);
    CHECK_STR_HAS(err.message, why);
    CHECK(result.handle.pin == NULL);
}

static void bad_queries_are_refused(void)
{
    float embedding[N_DIMS + 1] = {0};
    struct mn_semcache_query q = by_meaning(embedding, 0.5F);

    begin();
    refuse(&q, MN_ERR_INVALID, "no direction");
    embed(1, embedding);
    store_at(1, 1, embedding, "", 0);
    q.min_similarity = 0;
    refuse(&q, MN_ERR_INVALID, "min_similarity is 0");
    q.min_similarity = 1.01F;
    refuse(&q, MN_ERR_INVALID, "min_similarity is 1.01");
    q.min_similarity = NAN;
    refuse(&q, MN_ERR_INVALID, "min_similarity is");
    q.min_similarity = 0.5F;
    embedding[3] = NAN;
    refuse(&q, MN_ERR_INVALID, "element 3 of the embedding is not a number");
    embedding[3] = INFINITY;
    refuse(&q, MN_ERR_INVALID, "element 3 of the embedding is infinite");
    embedding[3] = 1;
    q.n_dims = N_DIMS + 1;
    refuse(&q, MN_ERR_DIMENSION, "71 dimensions, embeddings of the tenant have 70");
    q.n_dims = N_DIMS;
    q.n_refined = 51;
    refuse(&q, MN_ERR_INVALID, "51 to be refined of 50 candidates");
    q.n_candidates = MN_SEMCACHE_CANDIDATES_MAX + 1;
    refuse(&q, MN_ERR_LIMIT, "65537 candidates");
    q = by_meaning(NULL, 0.5F);
    refuse(&q, MN_ERR_INVALID, "no address");
    q.n_dims = 0;
    refuse(&q, MN_ERR_INVALID, "neither a key nor an embedding");
    q.fields = 4;
    refuse(&q, MN_ERR_INVALID, "unknown fields");
    q = by_meaning(embedding, 0.5F);
    struct mn_semcache_result result = {0};
    CHECK_STATUS(mn_semcache_lookup(store, 1, &q, &result, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_semcache_lookup(store, 1, NULL, &result, &err), MN_ERR_INVALID);
    closed(store);
}

static void what_was_removed_is_not_found_again(void)
{
    float embedding[N_DIMS];
    struct mn_semcache_query q = by_meaning(embedding, 0.9F);
    const struct mn_semcache_filter all = {.size = sizeof all, .fields = MN_SEMCACHE_ALL};

    embed(1, embedding);
    begin();
    store_at(1, 1, embedding, "", 0);
    CHECK_EQ(look(1, &q).kind, MN_SEMCACHE_SEMANTIC);
    CHECK_OK(mn_semcache_delete(store, 1, 1, NULL, NULL, &err));
    CHECK_EQ(look(1, &q).reason, MN_SEMCACHE_NO_SCOPE);
    store_at(1, 1, embedding, "", 0);
    CHECK_OK(mn_semcache_invalidate(store, 1, &all, NULL, NULL, &err));
    CHECK_EQ(look(1, &q).reason, MN_SEMCACHE_NO_SCOPE);
    store_at(1, 1, embedding, "", 0);
    CHECK_OK(mn_semcache_drop_tenant(store, 1, NULL, NULL, NULL, &err));
    CHECK_EQ(look(1, &q).reason, MN_SEMCACHE_NO_SCOPE);
    store_at(1, 1, embedding, "", 0);
    float other[N_DIMS];
    embed(2, other);
    store_at(1, 1, other, "", 0); /* it means something else now */
    CHECK_EQ(look(1, &q).reason, MN_SEMCACHE_BELOW);
    reopen();
    CHECK_EQ(look(1, &q).reason, MN_SEMCACHE_BELOW);
    closed(store);
}

static void hits_are_counted_and_written(void)
{
    float embedding[N_DIMS];
    struct mn_semcache_handle handle;
    const struct key key = key_of(1);

    embed(1, embedding);
    begin();
    store_at(1, 1, embedding, "", 0);
    struct mn_semcache_query q = by_meaning(embedding, 0.9F);
    (void)look(1, &q);
    q.key = key.bytes;
    (void)look(1, &q);
    CHECK_OK(mn_semcache_load(store, 1, 1, &handle, &err));
    CHECK_EQ(handle.hits, 2);
    mn_semcache_release(&handle);
    struct mn_semcache_stats stats = cache_stats();
    CHECK(stats.n_hits_semantic == 1 && stats.n_hits_exact == 1 && stats.n_hits_id == 1);
    for (int round = 0; round < 3; round++) {
        if (round != 1)
            checkpoint();
        reopen();
        CHECK_OK(mn_semcache_load(store, 1, 1, &handle, &err));
        CHECK_EQ(handle.hits, 3 + round);
        CHECK(handle.last_hit_us > 0);
        mn_semcache_release(&handle);
    }
    store_at(1, 1, embedding, "", 0); /* a new answer begins anew */
    CHECK_OK(mn_semcache_peek(store, 1, 1, &handle, &err));
    CHECK_EQ(handle.hits, 0);
    mn_semcache_release(&handle);
    closed(store);
}

static bool sees_hits(void *context, const struct mn_semcache_handle *handle, float score)
{
    uint64_t *hits = context;

    *hits = handle->hits;
    return score > 0;
}

static void who_decides_sees_hits_that_are_not_written(void)
{
    float embedding[N_DIMS] = {1};
    uint64_t hits = 99;

    begin();
    store_at(1, 1, embedding, "", 0);
    struct mn_semcache_query q = by_meaning(embedding, 0.9F);
    q.verify = sees_hits;
    q.verify_context = &hits;
    for (uint64_t i = 0; i < 3; i++) {
        (void)look(1, &q);
        CHECK_EQ(hits, i);
    }
    closed(store);
}

static void the_first_embedding_decides_until_the_tenant_goes(void)
{
    const struct mn_semcache_filter all = {.size = sizeof all, .fields = MN_SEMCACHE_ALL};
    float embedding[N_DIMS] = {1};
    struct mn_semcache_entry entry = {
        .fields = MN_HAS_ENTRY_ID, .id = 2, .embedding = embedding, .n_dims = 3};

    begin();
    store_at(1, 1, embedding, "", 0);
    CHECK_OK(mn_semcache_invalidate(store, 1, &all, NULL, NULL, &err));
    for (int round = 0; round < 2; round++) {
        struct mn_semcache_query q = by_meaning(embedding, 0.9F);
        CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_DIMENSION);
        CHECK_STR_HAS(err.message, "tenant 1, entry 2: embedding has 3 dimensions");
        CHECK(look(1, &q).reason == MN_SEMCACHE_NO_SCOPE);
        q.n_dims = 3;
        refuse(&q, MN_ERR_DIMENSION, "3 dimensions, embeddings of the tenant have 70");
        reopen();
    }
    CHECK_OK(mn_semcache_drop_tenant(store, 1, NULL, NULL, NULL, &err));
    CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    closed(store);
}

static void scores_do_not_depend_on_lengths(void)
{
    static const float lengths[] = {1e-42F, 1e-30F, 1, 1e19F, 3e38F};
    float embedding[N_DIMS];
    float query[N_DIMS];

    embed(1, embedding);
    begin();
    store_at(1, 1, embedding, "", 0);
    for (size_t i = 0; i < CHECK_COUNT(lengths); i++) {
        for (int j = 0; j < N_DIMS; j++)
            query[j] = (embedding[j] > 0 ? 1 : -1) * lengths[i];
        float signs[N_DIMS];
        for (int j = 0; j < N_DIMS; j++)
            signs[j] = embedding[j] > 0 ? 1 : -1;
        const struct mn_semcache_query q = by_meaning(query, 0.5F);
        struct mn_semcache_result r = look(1, &q);
        CHECK_EQ(r.kind, MN_SEMCACHE_SEMANTIC);
        CHECK(fabs((double)r.score - cosine(signs, embedding)) < 1e-3);
    }
    closed(store);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        CHECK_TEST(the_nearest_above_the_threshold_is_found),
        CHECK_TEST(a_scope_is_not_left_unless_asked),
        CHECK_TEST(the_caller_decides),
        CHECK_TEST(equal_scores_go_by_id),
        CHECK_TEST(entries_without_embedding_are_found_by_key_alone),
        CHECK_TEST(bad_queries_are_refused),
        CHECK_TEST(what_was_removed_is_not_found_again),
        CHECK_TEST(hits_are_counted_and_written),
        CHECK_TEST(scores_do_not_depend_on_lengths),
        CHECK_TEST(who_decides_sees_hits_that_are_not_written),
        CHECK_TEST(the_first_embedding_decides_until_the_tenant_goes),
    };

    return check_run("api.semcache_lookup", tests, CHECK_COUNT(tests), argc, argv);
}
