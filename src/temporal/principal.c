/*
 * principal.c - the directions in which a trajectory spreads most.
 *
 * Simultaneous iteration with a Rayleigh-Ritz step (Rutishauser: Simultaneous iteration method for
 * symmetric matrices, Numerische Mathematik 16, 1970) on the scatter matrix S = sum of x x^T of the
 * points less their mean, which is never made: a round goes over the points once and gives S V for
 * WIDTH orthonormal vectors V, and V^T S V, whose eigenvectors (by Jacobi's method, 1846) turn V
 * towards those of S. There are more vectors than results, so that results settle fast; where they
 * span the whole space the first round is the last one. All begins with fixed numbers, so the same
 * points always give the same results.
 *
 * Owns:    while it runs, the vectors.
 * Threads: any.
 * Fails:   when memory is short, before anything is written.
 */
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "temporal/temporal.h"

enum { WIDTH = 2 * MN_PRINCIPAL_MAX, ROUNDS_MAX = 50, SWEEPS_MAX = 60 };
static const double settled = 1e-9;  /* what is left of S v - s v, relative to the largest s */
static const double nothing = 1e-12; /* as much scatter, likewise, is none */
static const double parallel = 1e-13;

typedef double matrix[WIDTH][WIDTH];

struct iteration {
    const struct mn_trajectory *trajectory;
    size_t n_dims;
    double *mean;           /* owned with all that follows: n_dims */
    double *row;            /* n_dims: a point less the mean */
    double (*v)[WIDTH];     /* n_dims rows; a column each is a vector */
    double (*image)[WIDTH]; /* S times them */
    double scatter[WIDTH];  /* along each, descending */
    double total;           /* of all directions */
};

/* Small matrices ------------------------------------------------------------------------------- */

/* Turns rows and columns p and q so that a[p][q] becomes 0; `turns` gathers it. */
static void turn(matrix a, matrix turns, int p, int q)
{
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + hypot(theta, 1));
    double c = 1 / hypot(t, 1);
    double s = t * c;

    for (int i = 0; i < WIDTH; i++) {
        double ip = a[i][p];
        double iq = a[i][q];
        a[i][p] = c * ip - s * iq;
        a[i][q] = s * ip + c * iq;
        ip = turns[i][p];
        iq = turns[i][q];
        turns[i][p] = c * ip - s * iq;
        turns[i][q] = s * ip + c * iq;
    }
    for (int i = 0; i < WIDTH; i++) {
        double pi = a[p][i];
        double qi = a[q][i];
        a[p][i] = c * pi - s * qi;
        a[q][i] = s * pi + c * qi;
    }
    a[p][q] = a[q][p] = 0;
}

/* Makes a symmetric matrix diagonal. Its eigenvectors are the columns of `turns_out`. */
static void diagonalise(matrix a, matrix turns_out)
{
    bool is_diagonal = false;

    for (int i = 0; i < WIDTH; i++)
        for (int j = 0; j < WIDTH; j++)
            turns_out[i][j] = i == j;
    for (int sweep = 0; sweep < SWEEPS_MAX && !is_diagonal; sweep++) {
        is_diagonal = true;
        for (int p = 0; p < WIDTH; p++)
            for (int q = p + 1; q < WIDTH; q++) {
                if (fabs(a[p][q]) <= 0x1p-60 * (fabs(a[p][p]) + fabs(a[q][q])))
                    continue;
                turn(a, turns_out, p, q);
                is_diagonal = false;
            }
    }
}

/* Rounds --------------------------------------------------------------------------------------- */

static void take_row(struct iteration *it, size_t point)
{
    const float *x = mni_temporal_vector(it->trajectory, point);

    for (size_t d = 0; d < it->n_dims; d++)
        it->row[d] = (double)x[d] - it->mean[d];
}

static void project(const struct iteration *it, double y_out[WIDTH])
{
    double y[WIDTH] = {0};

    for (size_t d = 0; d < it->n_dims; d++)
        for (int j = 0; j < WIDTH; j++)
            y[j] += it->row[d] * it->v[d][j];
    memcpy(y_out, y, sizeof y);
}

static void multiply(struct iteration *it, matrix gram)
{
    double y[WIDTH];

    memset(it->image, 0, it->n_dims * sizeof *it->image);
    memset(gram, 0, sizeof(matrix));
    for (size_t i = 0; i < it->trajectory->n_points; i++) {
        take_row(it, i);
        project(it, y);
        for (size_t d = 0; d < it->n_dims; d++)
            for (int j = 0; j < WIDTH; j++)
                it->image[d][j] += it->row[d] * y[j];
        for (int p = 0; p < WIDTH; p++)
            for (int q = 0; q < WIDTH; q++)
                gram[p][q] += y[p] * y[q];
    }
}

/* Replaces each row r by r times the columns of `turns` in the order of `order`. */
static void turn_rows(double (*rows)[WIDTH], size_t n_rows, matrix turns, const int order[WIDTH])
{
    for (size_t d = 0; d < n_rows; d++) {
        double turned[WIDTH] = {0};
        for (int i = 0; i < WIDTH; i++)
            for (int j = 0; j < WIDTH; j++)
                turned[j] += rows[d][i] * turns[i][order[j]];
        memcpy(rows[d], turned, sizeof turned);
    }
}

/* The Ritz vectors of what multiply has set, those with the most scatter first. */
static void turn_to_scatter(struct iteration *it, matrix gram)
{
    matrix turns;
    int order[WIDTH];

    diagonalise(gram, turns);
    for (int i = 0; i < WIDTH; i++) {
        int at = i;
        for (; at > 0 && gram[order[at - 1]][order[at - 1]] < gram[i][i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (int i = 0; i < WIDTH; i++)
        it->scatter[i] = gram[order[i]][order[i]];
    turn_rows(it->v, it->n_dims, turns, order);
    turn_rows(it->image, it->n_dims, turns, order);
}

static bool is_settled(const struct iteration *it, size_t n_components)
{
    for (size_t j = 0; j < n_components; j++) {
        double square = 0;
        for (size_t d = 0; d < it->n_dims; d++) {
            double left = it->image[d][j] - it->scatter[j] * it->v[d][j];
            square += left * left;
        }
        if (sqrt(square) > settled * it->scatter[0])
            return false;
    }
    return true;
}

static double column_product(double (*rows)[WIDTH], size_t n_rows, int p, int q)
{
    double sum = 0;

    for (size_t d = 0; d < n_rows; d++)
        sum += rows[d][p] * rows[d][q];
    return sum;
}

/* Makes the columns orthonormal (Gram and Schmidt, twice). One that is a sum of those before it
 * becomes 0. */
static void make_orthonormal(double (*rows)[WIDTH], size_t n_rows)
{
    double longest = 0;

    for (int j = 0; j < WIDTH; j++)
        longest = fmax(longest, sqrt(column_product(rows, n_rows, j, j)));
    for (int j = 0; j < WIDTH; j++) {
        for (int i = 0; i < 2 * j; i++) {
            double share = column_product(rows, n_rows, i % j, j);
            for (size_t d = 0; d < n_rows; d++)
                rows[d][j] -= share * rows[d][i % j];
        }
        double length = sqrt(column_product(rows, n_rows, j, j));
        double scale = length > parallel * longest ? 1 / length : 0;
        for (size_t d = 0; d < n_rows; d++)
            rows[d][j] *= scale;
    }
}

/* The whole -------------------------------------------------------------------------------------
 */

/* From -1 to 1 (splitmix64). */
static double any_number(uint64_t index)
{
    uint64_t z = (index + 1) * UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
}

static void begin(struct iteration *it)
{
    const struct mn_trajectory *t = it->trajectory;

    for (size_t i = 0; i < t->n_points; i++) {
        const float *x = mni_temporal_vector(t, i);
        for (size_t d = 0; d < it->n_dims; d++)
            it->mean[d] += (double)x[d];
    }
    for (size_t d = 0; d < it->n_dims; d++)
        it->mean[d] /= (double)t->n_points;
    for (size_t i = 0; i < t->n_points; i++) {
        take_row(it, i);
        for (size_t d = 0; d < it->n_dims; d++)
            it->total += it->row[d] * it->row[d];
    }
    for (size_t d = 0; d < it->n_dims; d++)
        for (size_t j = 0; j < WIDTH; j++)
            it->v[d][j] = it->n_dims <= WIDTH ? d == j : any_number(d * WIDTH + j);
    make_orthonormal(it->v, it->n_dims);
}

static void run(struct iteration *it, size_t n_components)
{
    for (int round = 0;; round++) {
        matrix gram;
        multiply(it, gram);
        turn_to_scatter(it, gram);
        if (round == ROUNDS_MAX || is_settled(it, n_components))
            return;
        memcpy(it->v, it->image, it->n_dims * sizeof *it->v);
        make_orthonormal(it->v, it->n_dims);
    }
}

/* Of each vector the first of its largest elements becomes positive; what is none becomes 0. */
static void choose_signs(struct iteration *it, size_t n_components)
{
    for (size_t j = 0; j < n_components; j++) {
        double largest = 0;
        bool is_there = it->scatter[j] > nothing * it->scatter[0];
        for (size_t d = 0; d < it->n_dims; d++)
            if (fabs(it->v[d][j]) > fabs(largest))
                largest = it->v[d][j];
        for (size_t d = 0; d < it->n_dims; d++)
            it->v[d][j] = !is_there ? 0 : largest < 0 ? -it->v[d][j] : it->v[d][j];
        if (!is_there)
            it->scatter[j] = 0;
    }
}

static void give(struct iteration *it, const struct mni_principal *principal)
{
    size_t n = principal->n_components;
    double y[WIDTH];

    for (size_t i = 0; principal->coordinates_out != NULL && i < it->trajectory->n_points; i++) {
        take_row(it, i);
        project(it, y);
        memcpy(principal->coordinates_out + i * n, y, n * sizeof *y);
    }
    for (size_t j = 0; j < n; j++) {
        if (principal->shares_out != NULL)
            principal->shares_out[j] = it->total > 0 ? it->scatter[j] / it->total : 0;
        for (size_t d = 0; principal->axes_out != NULL && d < it->n_dims; d++)
            principal->axes_out[j * it->n_dims + d] = it->v[d][j];
    }
}

mn_status mni_temporal_principal(const struct mn_trajectory *t,
                                 const struct mni_principal *principal, struct mn_error *err)
{
    struct iteration it = {.trajectory = t, .n_dims = t->n_dims};
    size_t n_components = principal->n_components;

    MNI_CHECK(n_components > 0 && n_components <= MN_PRINCIPAL_MAX);
    double *memory = mni_alloc_zero(it.n_dims * (2 + 2 * WIDTH) * sizeof *memory);
    if (memory == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "vectors of %zu dimensions", it.n_dims);
    it.mean = memory;
    it.row = it.mean + it.n_dims;
    it.v = (double(*)[WIDTH])(it.row + it.n_dims);
    it.image = it.v + it.n_dims;
    if (t->n_points > 0) {
        begin(&it);
        run(&it, n_components);
    }
    choose_signs(&it, n_components);
    give(&it, principal);
    mni_free(memory);
    return MN_OK;
}
