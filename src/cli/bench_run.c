#include "bench.h"
#include "progress.h"
#include "system.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST_TOKENS = 1024 };

/* What the runs of one test need. */
struct runner {
    struct ink_bench *b;
    struct ink_model *model;
    struct ink_meter *meter;
    struct ink_progress progress;
    int done;                      /* runs */
    int32_t *tokens;               /* [n_tokens]: what is read, always the same */
    int n_tokens;                  /* more than any test reads at once */
    struct ink_session **sessions; /* [most_batch] */
    struct ink_step *steps;        /* [most_batch] */
    float *logits;                 /* [most_batch, vocab_size] */
    int most_batch;
    double *values; /* [5, repeat]: seconds, rates, three ceilings */
};

/* -------------------------------------------------------------------------------- statistics */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ink_bench_median(double *values, int n)
{
    if (n < 1) {
        return (double)NAN;
    }
    qsort(values, (size_t)n, sizeof *values, compare);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

double ink_bench_deviation(const double *values, int n)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        sum += values[i];
    }
    for (int i = 0; i < n; i++) {
        squares += (values[i] - sum / n) * (values[i] - sum / n);
    }
    return n > 1 ? sqrt(squares / (n - 1)) : 0;
}

/* --------------------------------------------------------------------------------------- costs */

/* Keys and values of one position; int8 has a float for each head beside. */
static double cache_bytes(const struct ink_model_info *i, enum ink_kv_type type)
{
    const double head = type == INK_KV_F32   ? 4.0 * i->head_dim
                        : type == INK_KV_F16 ? 2.0 * i->head_dim
                                             : 1.0 * i->head_dim + 4;
    return 2 * head * i->n_kv_heads * i->n_layers;
}

/* Of a token, one of n of which one's logits are wanted: past keys and values the others do without
 * the last layer. A multiplication and its addition are two operations. */
static double operations(const struct ink_model_info *i, double n)
{
    const double hidden = i->hidden_size, head_dim = i->head_dim;
    const double keys_and_values = 4 * hidden * head_dim * i->n_kv_heads;
    const double rest = 4 * hidden * head_dim * i->n_heads + 6 * hidden * i->intermediate_size;
    const double head = 2 * hidden * i->vocab_size;
    return i->n_layers * keys_and_values + (i->n_layers - 1 + 1 / n) * rest + head / n;
}

/* The least time that a token can take on this machine is the longest of what its bytes and its
 * operations take; a prompt's tokens share the bytes. */
static void hold_against_ceilings(const struct runner *r, struct ink_bench_result *out)
{
    const struct ink_bench_test *t = out->test;
    const struct ink_model_info *i = r->b->info;
    const bool is_int8 = strcmp(i->arithmetic, "int8") == 0;
    const double peak = is_int8 ? out->ceilings.int8_operations : out->ceilings.f32_operations;
    const double positions = t->depth + (t->decode + 1) / 2.0; /* on average */
    out->operations_per_token = operations(i, t->prefill ? t->prefill : 1);
    out->bytes_per_token =
        t->prefill ? (double)NAN
                   : (double)i->token_bytes / t->batch + positions * cache_bytes(i, r->b->kv);
    const double reading = t->prefill ? 0 : out->bytes_per_token / out->ceilings.read_bytes;
    const double computing = out->operations_per_token / peak;
    out->limit = reading > computing ? "memory" : i->arithmetic;
    out->reached = (reading > computing ? reading : computing) * out->tokens_per_second;
}

/* ---------------------------------------------------------------------------------------- runs */

static int eval(struct runner *r, int n_steps, struct ink_error *error)
{
    return ink_eval(r->model, r->steps, n_steps, NULL, NULL, error);
}

static int read_tokens(struct runner *r, int session, int n, struct ink_error *error)
{
    const struct ink_step step = {.session = r->sessions[session],
                                  .tokens = r->tokens,
                                  .n_tokens = n,
                                  .n_logits = 1,
                                  .logits = r->logits};
    return ink_eval(r->model, &step, 1, NULL, NULL, error);
}

static int decode(struct runner *r, int batch, int n, struct ink_error *error)
{
    int status = INK_OK;
    for (int i = 0; i < n && status == INK_OK; i++) {
        for (int s = 0; s < batch; s++) {
            r->steps[s] = (struct ink_step){
                .session = r->sessions[s],
                .tokens = r->tokens + (i + 17 * s) % r->n_tokens,
                .n_tokens = 1,
                .n_logits = 1,
                .logits = r->logits + (size_t)s * (size_t)r->b->info->vocab_size,
            };
        }
        status = eval(r, batch, error);
    }
    return status;
}

/* One run of a test, or a short one to warm up; the sessions are then as before. */
static int run_once(struct runner *r, const struct ink_bench_test *t, int most, double *seconds,
                    struct ink_error *error)
{
    const int n = t->prefill ? t->prefill : t->decode;
    const double start = ink_system_seconds();
    int status = t->prefill ? read_tokens(r, 0, n < most ? n : most, error)
                            : decode(r, t->batch, n < most ? n : most, error);
    *seconds = ink_system_seconds() - start;
    for (int s = 0; s < t->batch; s++) {
        ink_session_truncate(r->sessions[s], t->depth);
    }
    return status;
}

static int open_sessions(struct runner *r, const struct ink_bench_test *t, struct ink_error *error)
{
    int status = INK_OK;
    for (int s = 0; s < t->batch && status == INK_OK; s++) {
        status = ink_session_open(&r->sessions[s], r->model, t->prefill + t->depth + t->decode,
                                  r->b->kv, error);
        if (status == INK_OK && t->depth > 0) {
            status = read_tokens(r, s, t->depth, error);
        }
    }
    return status;
}

static void close_sessions(struct runner *r)
{
    for (int s = 0; s < r->most_batch; s++) {
        ink_session_close(r->sessions[s]);
        r->sessions[s] = NULL;
    }
}

/* `repeat` runs, and the ceilings before each. */
static int measure(struct runner *r, struct ink_bench_result *out, struct ink_error *error)
{
    const int n = r->b->repeat;
    const struct ink_bench_test *t = out->test;
    const double tokens = t->prefill ? t->prefill : (double)t->decode * t->batch;
    double *seconds = r->values, *rates = seconds + n, *bytes = rates + n, *int8 = bytes + n,
           *f32 = int8 + n, ignored;
    int status = run_once(r, t, t->prefill ? 64 : 2, &ignored, error);
    for (int i = 0; i < n && status == INK_OK; i++) {
        ink_progress_show(&r->progress, (uint64_t)r->done++, (uint64_t)n * (uint64_t)r->b->n_tests);
        ink_meter_read(r->meter, &out->ceilings);
        bytes[i] = out->ceilings.read_bytes;
        int8[i] = out->ceilings.int8_operations;
        f32[i] = out->ceilings.f32_operations;
        status = run_once(r, t, INT32_MAX, &seconds[i], error);
        rates[i] = seconds[i] > 0 ? tokens / seconds[i] : 0;
    }
    if (status == INK_OK) {
        out->stddev = ink_bench_deviation(rates, n);
        out->seconds = ink_bench_median(seconds, n);
        out->tokens_per_second = ink_bench_median(rates, n);
        out->ceilings.read_bytes = ink_bench_median(bytes, n);
        out->ceilings.int8_operations = ink_bench_median(int8, n);
        out->ceilings.f32_operations = ink_bench_median(f32, n);
        hold_against_ceilings(r, out);
    }
    return status;
}

static int run_test(struct runner *r, int test, struct ink_error *error)
{
    struct ink_bench_result *out = &r->b->results[test];
    out->test = &r->b->tests[test];
    r->progress.label = out->test->name;
    int status = open_sessions(r, out->test, error);
    if (status == INK_OK) {
        status = measure(r, out, error);
    }
    close_sessions(r);
    return status;
}

/* -------------------------------------------------------------------------------------- memory */

static void close_runner(struct runner *r)
{
    ink_meter_close(r->meter);
    ink_free(r->tokens);
    ink_free(r->sessions);
    ink_free(r->steps);
    ink_free(r->logits);
    ink_free(r->values);
}

static int open_runner(struct runner *r, struct ink_error *error)
{
    const int vocab = r->b->info->vocab_size;
    r->n_tokens = FEWEST_TOKENS;
    r->most_batch = 1;
    for (int i = 0; i < r->b->n_tests; i++) {
        const struct ink_bench_test *t = &r->b->tests[i];
        const int longest = t->prefill > t->depth ? t->prefill : t->depth;
        r->n_tokens = longest > r->n_tokens ? longest : r->n_tokens;
        r->most_batch = t->batch > r->most_batch ? t->batch : r->most_batch;
    }
    const size_t n = (size_t)r->most_batch;
    r->tokens = ink_calloc((size_t)r->n_tokens, sizeof *r->tokens);
    r->sessions = ink_calloc(n, sizeof(struct ink_session *));
    r->steps = ink_calloc(n, sizeof *r->steps);
    r->logits = ink_calloc(n * (size_t)vocab, sizeof *r->logits);
    r->values = ink_calloc(5 * (size_t)r->b->repeat, sizeof *r->values);
    if (!r->tokens || !r->sessions || !r->steps || !r->logits || !r->values) {
        return ink_fail_memory(error, n * (size_t)vocab * sizeof *r->logits);
    }
    for (int i = 0; i < r->n_tokens; i++) {
        r->tokens[i] = (int32_t)((uint64_t)i * 7919u % (uint64_t)vocab);
    }
    return ink_meter_open(&r->meter, r->model, error);
}

/* The medians over all tests; of the machine alone where there are none. */
static void sum_up(struct runner *r)
{
    struct ink_bench *b = r->b;
    double bytes[INK_BENCH_MOST_TESTS], int8[INK_BENCH_MOST_TESTS], f32[INK_BENCH_MOST_TESTS];
    ink_meter_read(r->meter, &b->ceilings);
    snprintf(b->cpu, sizeof b->cpu, "%s", b->ceilings.cpu);
    b->ceilings.cpu = b->cpu;
    for (int i = 0; i < b->n_tests; i++) {
        bytes[i] = b->results[i].ceilings.read_bytes;
        int8[i] = b->results[i].ceilings.int8_operations;
        f32[i] = b->results[i].ceilings.f32_operations;
    }
    if (b->n_tests > 0) {
        b->ceilings.read_bytes = ink_bench_median(bytes, b->n_tests);
        b->ceilings.int8_operations = ink_bench_median(int8, b->n_tests);
        b->ceilings.f32_operations = ink_bench_median(f32, b->n_tests);
    }
}

int ink_bench_run(struct ink_bench *b, struct ink_model *model, struct ink_error *error)
{
    struct runner r = {.b = b, .model = model};
    int status = open_runner(&r, error);
    ink_progress_open(&r.progress, "", ink_text("runs"), 1);
    for (int i = 0; i < b->n_tests && status == INK_OK; i++) {
        status = run_test(&r, i, error);
    }
    if (status == INK_OK) {
        sum_up(&r);
    }
    ink_progress_close(&r.progress);
    close_runner(&r);
    return status;
}
