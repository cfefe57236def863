/*
 * ingest.c - lines become records, batches of them become commits, each is acknowledged.
 *
 * Owns:    the batch being gathered.
 * Threads: the main one.
 * Fails:   the first bad batch ends it; nothing of that batch is stored, all before it stands.
 */
#include "ingest.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "exit_codes.h"
#include "stop.h"
#include "talk.h"

bool ingest_take_ack(const struct cli *cli, mn_ack *ack_out)
{
    static const char *const choices[] = {"none", "os", "disk", NULL};
    static const mn_ack acks[] = {MN_ACK_NONE, MN_ACK_OS, MN_ACK_DISK};
    int choice = -1;

    if (!args_choice(&cli->args, OPTION_ACK, choices, -1, &choice))
        return false;
    *ack_out = choice < 0 ? MN_ACK_DEFAULT : acks[choice];
    return true;
}

void ingest_done(struct ingest *ingest)
{
    npy_close(&ingest->npy);
    lines_done(&ingest->lines);
    batch_done(&ingest->batch);
    record_in_done(&ingest->in);
}

/* Says what is wrong with a line. */
static int refuse_line(const struct ingest *in, uint64_t line_number, mn_status status,
                       const char *text)
{
    say("%s:%llu: %s", in->file_name, (unsigned long long)line_number, text);
    return exit_code_of(status) == EXIT_CODE_DAMAGED ? EXIT_CODE_DAMAGED : EXIT_CODE_FAILURE;
}

mn_status ingest_takes_row(const struct ingest *ingest, uint64_t n_taken, bool *takes_out,
                           struct mn_error *err)
{
    const struct record_in *in = &ingest->in;
    unsigned long long row_index = in->row_index;

    *takes_out = false;
    if (ingest->npy.fd < 0 && in->row_kind == ROW_SAID)
        return mni_fail(err, MN_ERR_INVALID,
                        "vector is row %llu of a .npy file, which only import --vectors takes",
                        row_index);
    if (ingest->npy.fd < 0 || in->row_kind == ROW_NONE)
        return MN_OK;
    if (in->row_kind == ROW_SAID && row_index != n_taken)
        return mni_fail(err, MN_ERR_INVALID,
                        "vector_row is %llu, but %llu comes next: lines are missing, doubled or in "
                        "another order",
                        row_index, (unsigned long long)n_taken);
    *takes_out = true;
    return MN_OK;
}

int ingest_refuse_counts(const struct ingest *ingest, uint64_t n_lines, uint64_t n_taken)
{
    say("%s has %llu rows%s, but %s has %llu", ingest->file_name, (unsigned long long)n_taken,
        n_lines == n_taken ? "" : " with a vector", ingest->npy_name,
        (unsigned long long)ingest->npy.n_rows);
    return EXIT_CODE_FAILURE;
}

/* Gives the record the row of the .npy file that belongs to its line. */
static mn_status attach_vector(struct ingest *in, struct mn_record *record, struct mn_error *err)
{
    bool takes_row;
    mn_status st = ingest_takes_row(in, in->n_rows, &takes_row, err);

    if (st != MN_OK || !takes_row)
        return st;
    if (record->n_dims != 0)
        return mni_fail(err, MN_ERR_INVALID, "line has a vector, and %s has one for it too",
                        in->npy_name);
    if (in->n_rows >= in->npy.n_rows)
        return mni_fail(err, MN_ERR_INVALID, "%s has only %llu rows", in->npy_name,
                        (unsigned long long)in->npy.n_rows);
    float *vector = batch_alloc(&in->batch, in->npy.n_dims * sizeof *vector);
    if (vector == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "out of memory");
    st = npy_read_row(&in->npy, in->n_rows, vector, err);
    if (st != MN_OK) {
        mni_error_prefix(err, "%s", in->npy_name);
        return st;
    }
    record->vector = vector;
    record->n_dims = in->npy.n_dims;
    in->n_rows++;
    return MN_OK;
}

static mn_status take_line(struct ingest *in, struct mn_slice line, struct mn_error *err)
{
    struct mn_record record;
    mn_status st;

    if (in->format == LINE_FORMAT_FLAT)
        st = record_in_flat(&in->in, &in->batch, line, in->id_field, &record, err);
    else if (in->format == LINE_FORMAT_POINT)
        st = record_in_point(&in->in, &in->batch, line, &record, err);
    else
        st = record_in_put(&in->in, &in->batch, line, &record, err);
    if (st == MN_OK)
        st = attach_vector(in, &record, err);
    if (st == MN_OK)
        st = batch_add(&in->batch, &record, in->lines.line_number, err);
    if (st == MN_OK)
        in->n_lines++;
    return st;
}

/* Fills the batch. `is_end_out`: no line is left after it. */
static int gather(struct ingest *in, bool *is_end_out)
{
    struct mn_error err = {0};
    struct mn_slice line;

    *is_end_out = false;
    while (in->batch.n_records < in->batch_records && in->batch.n_bytes < in->batch_bytes) {
        mn_status st = lines_next(&in->lines, &line, &err);
        if (st == MN_END) {
            *is_end_out = true;
            break;
        }
        if (st == MN_ERR_CANCELLED)
            return EXIT_CODE_STOPPED;
        if (st == MN_ERR_LIMIT)
            return refuse_line(in, in->lines.line_number, st, err.message);
        if (st != MN_OK) {
            say("%s: %s", in->file_name, status_text(st, &err));
            return EXIT_CODE_FAILURE;
        }
        st = take_line(in, line, &err);
        if (st != MN_OK)
            return refuse_line(in, in->lines.line_number, st, status_text(st, &err));
        if (in->has_progress)
            progress_show(in->what, in->n_lines, in->n_lines_total);
    }
    if (*is_end_out && in->npy.fd >= 0 && in->n_rows != in->npy.n_rows)
        return ingest_refuse_counts(in, in->n_lines, in->n_rows);
    return EXIT_CODE_OK;
}

/* Says what the library answered to the batch: of which line, where it names a record. */
static int refuse_batch(const struct ingest *in, mn_status status, const struct mn_error *err)
{
    static const char *const prefixes[] = {"record ", "point "};
    const char *text = status_text(status, err);

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);
        char *after = NULL;
        if (strncmp(text, prefixes[i], n) != 0)
            continue;
        unsigned long long record_index = strtoull(text + n, &after, 10);
        if (strncmp(after, ": ", 2) == 0 && record_index < in->batch.n_records)
            return refuse_line(in, in->batch.line_numbers[record_index], status, after + 2);
    }
    if (status == MN_ERR_LIMIT || status == MN_ERR_INVALID || status == MN_ERR_DIMENSION)
        return refuse_line(in, in->lines.line_number, status, text);
    return cli_say_status(in->cli, status, err);
}

static mn_status store_records(struct ingest *in, uint64_t *n_stored_out, uint64_t *lsn_out,
                               struct mn_error *err)
{
    struct mn_write_options options = {.size = sizeof options, .ack = in->ack};

    return mn_put_batch(in->store, in->name, in->batch.records, in->batch.n_records, &options,
                        n_stored_out, lsn_out, err);
}

static int commit(struct ingest *in)
{
    ingest_store_fn *store_batch = in->store_batch == NULL ? store_records : in->store_batch;
    struct mn_error err = {0};
    uint64_t n_stored = 0;
    uint64_t lsn = 0;

    mn_status st = store_batch(in, &n_stored, &lsn, &err);
    if (st != MN_OK)
        return refuse_batch(in, st, &err);
    batch_reset(&in->batch);
    in->n_acks++;
    struct mni_json_writer *w = out_begin(&in->cli->out);
    mni_json_write_key(w, "count");
    mni_json_write_u64(w, n_stored);
    mni_json_write_key(w, "lsn");
    mni_json_write_u64(w, lsn);
    /* Nobody hears the next acknowledgement when this one could not be told. */
    return out_end(&in->cli->out) && out_flush(&in->cli->out) ? EXIT_CODE_OK : EXIT_CODE_FAILURE;
}

static int take_all(struct ingest *in)
{
    bool is_end = false;

    while (!is_end) {
        int code = gather(in, &is_end);
        if (code == EXIT_CODE_OK && (in->batch.n_records > 0 || (is_end && in->n_acks == 0)))
            code = commit(in);
        if (code == EXIT_CODE_OK && stop_asked())
            code = EXIT_CODE_STOPPED;
        if (code == EXIT_CODE_STOPPED)
            say("stopped; what was acknowledged is stored, nothing else");
        if (code != EXIT_CODE_OK)
            return code;
    }
    return EXIT_CODE_OK;
}

/* A .npy file without rows holds no vector that would be refused, and yet tells a dimension. */
static int check_dimension(struct ingest *in)
{
    uint32_t n_dims = 0;
    char text[QUOTED_BYTES];

    if (in->npy.fd < 0 || in->npy.n_rows > 0 || in->npy.n_dims == 0)
        return EXIT_CODE_OK;
    mn_status st = mn_dimension(in->store, in->name, &n_dims, NULL);
    if (st != MN_OK || n_dims == 0 || n_dims == in->npy.n_dims)
        return EXIT_CODE_OK;
    say("%s: vectors have %u dimensions, namespace %s has %u", in->npy_name, in->npy.n_dims,
        quoted(in->name, text), n_dims);
    return EXIT_CODE_FAILURE;
}

/* After such a file the namespace that was exported is there, also where it has no records. */
static int declare_dimension(struct ingest *in)
{
    struct mn_namespace_settings settings = {.size = sizeof settings, .dimension = in->npy.n_dims};
    struct mn_error err = {0};

    if (in->npy.fd < 0 || in->npy.n_rows > 0)
        return EXIT_CODE_OK;
    mn_status st = mn_namespace_ensure(in->store, in->name, &settings, &err);
    return st == MN_OK ? EXIT_CODE_OK : cli_say_status(in->cli, st, &err);
}

int ingest_run(struct ingest *ingest)
{
    int code = cli_open(ingest->cli, OPEN_CREATE, &ingest->store);

    if (code != EXIT_CODE_OK)
        return code;
    code = check_dimension(ingest);
    if (code == EXIT_CODE_OK)
        code = take_all(ingest);
    if (code == EXIT_CODE_OK)
        code = declare_dimension(ingest);
    return cli_close(ingest->cli, ingest->store, code);
}
