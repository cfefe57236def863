/*
 * search_data.c - the vectors that searches are measured on, and what is searched for in them.
 *
 * Owns:    nothing that outlives a call but what a search_data holds.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include "search_data.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_DIMENSIONS = 100, N_CENTRES = 1000, UNIFORMS = 4 };

/* About normally distributed, with variance 1: the sum of four uniform numbers of 16 bits. */
static float random_normal(uint64_t *state)
{
    const double scale = 1.7320508 / 65536; /* each has variance 1/12 */
    uint64_t bits = bench_random(state);
    double sum = 0;

    for (int i = 0; i < UNIFORMS; i++)
        sum += (double)(bits >> (16 * i) & 0xffff);
    return (float)((sum - UNIFORMS / 2.0 * 65535) * scale);
}

static void fill_around(const float *centres, float *vectors, size_t n, uint32_t n_dims,
                        uint64_t *state)
{
    for (size_t i = 0; i < n; i++) {
        const float *centre = centres + bench_random(state) % N_CENTRES * n_dims;
        for (uint32_t d = 0; d < n_dims; d++)
            vectors[i * n_dims + d] = centre[d] + 0.5F * random_normal(state);
    }
}

struct search_data search_data_clustered(const char *name, const char *title, size_t n_records,
                                         uint32_t n_dims)
{
    struct search_data data = {
        .name = name, .title = title, .n_records = n_records, .n_dims = n_dims};
    float *centres = bench_alloc((size_t)N_CENTRES * n_dims * sizeof *centres);
    uint64_t state = 2026;

    data.vectors = bench_alloc(n_records * n_dims * sizeof *data.vectors);
    data.queries = bench_alloc((size_t)SEARCH_QUERIES * n_dims * sizeof *data.queries);
    for (size_t i = 0; i < (size_t)N_CENTRES * n_dims; i++)
        centres[i] = random_normal(&state);
    fill_around(centres, data.queries, SEARCH_QUERIES, n_dims, &state);
    fill_around(centres, data.vectors, n_records, n_dims, &state);
    free(centres);
    return data;
}

/* Words ------------------------------------------------------------------------------------------
 */

/* All of a file, with a NUL behind it; NULL where there is no such file. */
static char *read_file(const char *dir, const char *name, size_t *n_bytes_out)
{
    char path[BENCH_PATH_BYTES];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) != 0)
        bench_die("cannot read %s: %s", path, strerror(errno));
    size_t n_bytes = (size_t)ftell(file);
    char *bytes = bench_alloc(n_bytes + 1);
    rewind(file);
    if (fread(bytes, 1, n_bytes, file) != n_bytes)
        bench_die("cannot read %s: %s", path, strerror(errno));
    fclose(file);
    *n_bytes_out = n_bytes;
    return bytes;
}

static size_t *find_words(const char *words, size_t n_words)
{
    size_t *starts = bench_alloc((n_words + 1) * sizeof *starts);
    const char *at = words;

    for (size_t i = 0; i < n_words; i++) {
        const char *end = strchr(at, '\n');
        if (end == NULL || end == at || end - at > SEARCH_ID_BYTES_MAX)
            bench_die("word %zu is missing, empty or too long", i);
        at = end + 1;
        starts[i + 1] = (size_t)(at - words);
    }
    if (*at != '\0')
        bench_die("there are more words than vectors");
    return starts;
}

bool search_data_words(const char *dir, const char *name, const char *title,
                       const struct bench_options *options, struct search_data *data_out)
{
    struct search_data data = {.name = name, .title = title, .n_dims = WORD_DIMENSIONS};
    size_t row_bytes = data.n_dims * sizeof(float);
    size_t n_vector_bytes = 0;
    size_t n_word_bytes = 0;

    data.vectors = (float *)(void *)read_file(dir, "glove.f32", &n_vector_bytes);
    data.words = read_file(dir, "glove.words", &n_word_bytes);
    if (data.vectors == NULL || data.words == NULL) {
        free(data.vectors);
        free(data.words);
        return false;
    }
    if (n_vector_bytes % row_bytes != 0)
        bench_die("%s/glove.f32 has not vectors of %d floats", dir, WORD_DIMENSIONS);
    size_t n_words = n_vector_bytes / row_bytes;
    data.word_starts = find_words(data.words, n_words);
    data.n_records = bench_scaled(options, n_words);
    data.queries = bench_alloc(SEARCH_QUERIES * row_bytes);
    for (size_t i = 0; i < SEARCH_QUERIES; i++)
        memcpy(data.queries + i * data.n_dims,
               data.vectors + data.n_records * i / SEARCH_QUERIES * data.n_dims, row_bytes);
    *data_out = data;
    return true;
}

/* Both -------------------------------------------------------------------------------------------
 */

void search_data_free(struct search_data *data)
{
    free(data->vectors);
    free(data->queries);
    free(data->words);
    free(data->word_starts);
}

size_t search_data_id(const struct search_data *data, size_t index,
                      char id_out[SEARCH_ID_BYTES_MAX])
{
    if (data->words == NULL) {
        bench_id(index, id_out);
        return BENCH_ID_BYTES;
    }
    const size_t *starts = data->word_starts;
    size_t n = starts[index + 1] - 1 - starts[index];
    memcpy(id_out, data->words + starts[index], n);
    return n;
}

static double dot(const float *a, const float *b, uint32_t n_dims)
{
    double sum = 0;

    for (uint32_t i = 0; i < n_dims; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

void search_data_write_units(const char *path, const float *vectors, size_t n, uint32_t n_dims)
{
    float *unit = bench_alloc(n_dims * sizeof *unit);
    FILE *file = fopen(path, "wb");
    bool is_good = file != NULL;

    for (size_t i = 0; i < n && is_good; i++) {
        const float *vector = vectors + i * n_dims;
        double length = sqrt(dot(vector, vector, n_dims));
        for (uint32_t d = 0; d < n_dims; d++)
            unit[d] = length > 0 ? (float)(vector[d] / length) : 0;
        is_good = fwrite(unit, sizeof *unit, n_dims, file) == n_dims;
    }
    if (!is_good || fclose(file) != 0)
        bench_die("cannot write %s: %s", path, strerror(errno));
    free(unit);
}

double search_data_cosine(const struct search_data *data, size_t index, size_t query)
{
    const float *a = data->vectors + index * data->n_dims;
    const float *b = data->queries + query * data->n_dims;
    double lengths = sqrt(dot(a, a, data->n_dims)) * sqrt(dot(b, b, data->n_dims));

    return lengths > 0 ? dot(a, b, data->n_dims) / lengths : 0;
}
