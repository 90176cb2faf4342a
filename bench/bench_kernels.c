/* Times each kernel of each level on one thread, at the shapes of ERNIE-4.5-0.3B, beside what the
 * machine can do at most: `bench_kernels [level]...`. Each figure is the best of several runs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "kernels.h"
#include "measure.h"
#include "system.h"

enum { BIG = 256 << 20 }; /* bytes; more than the caches hold */
enum { head_dim = 128 };

static unsigned char *big, *quantised;
static float *x, *y, *scores;

/* Kernels. A case is a closure: what to run, and what it costs. */

typedef void matmul_fn(float *, size_t, const float *, size_t, int, const void *, int, int);

struct job {
    const struct ink_kernels *k;
    matmul_fn *matmul;
    int n, rows, cols;
};

static void run_matmul(const struct job *j)
{
    j->matmul(y, (size_t)j->rows, x, (size_t)j->cols, j->n, big, j->rows, j->cols);
}

static void run_quantize_q8(const struct job *j)
{
    j->k->quantize_q8(quantised, x, j->cols, 0, j->cols);
}

/* The activations are quantised before the clock starts: another line tells what that takes. */
static void run_matmul_q8(const struct job *j)
{
    j->k->matmul_q8(y, (size_t)j->rows, quantised, ink_q8_row_bytes(j->cols, j->k->q8_value_bytes),
                    j->n, big, j->rows, j->cols, NULL);
}

typedef void attend_fn(float *, const struct ink_attention *, int, float *);

/* One token's heads: spans, merged, and the end of it. */
static void attend(const struct job *j, attend_fn *span)
{
    const size_t positions = ((size_t)j->n + 31) / 32 * 32;
    const struct ink_attention a = {
        .kv = {.k = big,
               .v = big + positions * head_dim * sizeof(float),
               .k_scales = x,
               .v_scales = x},
        .q = x,
        .out = y,
        .row_stride = (size_t)j->rows * head_dim,
        .n_rows = 1,
        .n_heads = j->rows,
        .n_pos = j->n,
        .head_dim = head_dim,
        .scale = 0.088f,
    };
    const size_t floats = ink_attention_partial_floats(j->rows, head_dim);
    float *partial = y + a.row_stride, *later = partial + floats;
    span(partial, &a, 0, scores);
    for (int begin = INK_ATTENTION_SPAN; begin < j->n; begin += INK_ATTENTION_SPAN) {
        span(later, &a, begin, scores);
        j->k->attend_merge(partial, later, j->rows, head_dim);
    }
    j->k->attend_finish(&a, partial);
}

static void run_attend_f32(const struct job *j)
{
    attend(j, j->k->attend_f32);
}

static void run_attend_f16(const struct job *j)
{
    attend(j, j->k->attend_f16);
}

static void run_attend_q8(const struct job *j)
{
    attend(j, j->k->attend_q8);
}

static void run_add_low_rank(const struct job *j)
{
    j->k->add_low_rank(y, (size_t)j->cols, x, (size_t)j->rows, j->n, (const float *)(void *)big,
                       j->rows, j->cols);
}

static void run_rmsnorm(const struct job *j)
{
    j->k->rmsnorm(y, x, x, j->n, 1e-5f);
}

static void run_swiglu(const struct job *j)
{
    j->k->swiglu(y, x, x, j->n);
}

static void run_rope_interleaved(const struct job *j)
{
    j->k->rope_interleaved(y, x, x + 64, j->n);
}

static void run_f16_from_f32(const struct job *j)
{
    j->k->f16_from_f32((uint16_t *)(void *)y, x, (size_t)j->n);
}

/* Seconds of one call: the best of several batches of calls that take 20 ms or so. */
static double seconds(void (*run)(const struct job *), const struct job *job)
{
    run(job);
    double start = ink_system_seconds(), best = 1e9;
    run(job);
    const double once = ink_system_seconds() - start + 1e-9;
    const int calls = once > 0.02 ? 1 : (int)(0.02 / once) + 1;
    for (int batch = 0; batch < (once > 0.5 ? 1 : 7); batch++) {
        start = ink_system_seconds();
        for (int i = 0; i < calls; i++)
            run(job);
        const double each = (ink_system_seconds() - start) / calls;
        best = each < best ? each : best;
    }
    return best;
}

static void report(const char *name, void (*run)(const struct job *), struct job job,
                   double operations, double bytes)
{
    const double s = seconds(run, &job);
    printf("  %-34s %11.2f us %8.1f GOP/s %8.1f GB/s\n", name, s * 1e6, operations / s * 1e-9,
           bytes / s * 1e-9);
    fflush(stdout);
}

static void report_matmul(const struct ink_kernels *k, const char *type, matmul_fn *matmul,
                          int size, int n, int rows, int cols)
{
    char name[64];
    snprintf(name, sizeof name, "matmul_%s n=%d %dx%d", type, n, rows, cols);
    const double weights = (double)rows * cols;
    report(name, run_matmul, (struct job){k, matmul, n, rows, cols}, 2.0 * n * weights,
           weights * size);
}

static void report_matmuls(const struct ink_kernels *k, const char *type, matmul_fn *matmul,
                           int size)
{
    const int scale = strcmp(k->name, "c") == 0 ? 16 : 1;
    report_matmul(k, type, matmul, size, 1, 131072 / size * 2 / scale, 1024); /* from memory */
    report_matmul(k, type, matmul, size, 1, 43008 / size * 2 / scale, 3072);
    report_matmul(k, type, matmul, size, 1, 512 / scale, 1024 / size); /* from the L2 cache */
    report_matmul(k, type, matmul, size, 4, 131072 / size * 2 / scale, 1024);
    report_matmul(k, type, matmul, size, 512 / scale, 3072, 1024);
    report_matmul(k, type, matmul, size, 512 / scale, 1024, 3072);
}

static void report_matmul_q8(const struct ink_kernels *k, int n, int rows, int cols)
{
    const struct job job = {.k = k, .n = n, .rows = rows, .cols = cols};
    const double weights = (double)rows * cols;
    char name[64];
    for (int i = 0; i < n; i++)
        k->quantize_q8(quantised + (size_t)i * ink_q8_row_bytes(cols, k->q8_value_bytes),
                       x + (size_t)i * (size_t)cols, cols, 0, cols);
    snprintf(name, sizeof name, "matmul_q8 n=%d %dx%d", n, rows, cols);
    report(name, run_matmul_q8, job, 2.0 * n * weights, weights * 34 / 32);
}

static void report_matmuls_q8(const struct ink_kernels *k)
{
    const int scale = strcmp(k->name, "c") == 0 ? 16 : 1;
    report("quantize_q8 1024", run_quantize_q8, (struct job){.k = k, .cols = 1024}, 0.0,
           4.0 * 1024);
    report_matmul_q8(k, 1, 131072 / scale, 1024); /* from memory */
    report_matmul_q8(k, 1, 43008 / scale, 3072);
    report_matmul_q8(k, 1, 512, 1024); /* from the L2 cache */
    report_matmul_q8(k, 4, 131072 / scale, 1024);
    report_matmul_q8(k, 8, 131072 / scale, 1024);
    report_matmul_q8(k, 512 / scale, 3072, 1024);
    report_matmul_q8(k, 512 / scale, 1024, 3072);
}

/* rows: the adapter's rank */
static void report_low_rank(const struct ink_kernels *k, int n, int rank, int cols)
{
    const struct job job = {.k = k, .n = n, .rows = rank, .cols = cols};
    char name[64];
    snprintf(name, sizeof name, "add_low_rank n=%d rank %d to %d", n, rank, cols);
    report(name, run_add_low_rank, job, 2.0 * n * rank * cols, 4.0 * rank * cols);
}

static void report_attention(const struct ink_kernels *k, int n_pos)
{
    const struct job job = {.k = k, .n = n_pos, .rows = 8};
    const double operations = 4.0 * 8 * 128 * n_pos;
    char name[64];
    snprintf(name, sizeof name, "attend_f32 8 heads, %d positions", n_pos);
    report(name, run_attend_f32, job, operations, 2.0 * 128 * 4 * n_pos);
    snprintf(name, sizeof name, "attend_f16 8 heads, %d positions", n_pos);
    report(name, run_attend_f16, job, operations, 2.0 * 128 * 2 * n_pos);
    snprintf(name, sizeof name, "attend_q8 8 heads, %d positions", n_pos);
    report(name, run_attend_q8, job, operations, 2.0 * (128 + 4) * n_pos);
}

static void report_level(const struct ink_kernels *k)
{
    struct ink_meter *meter = ink_meter_new(1, k->name);
    const struct ink_peak *peak = ink_peak_find(k->name);
    if (meter)
        printf("%s: memory read %.1f GB/s, peaks %.1f GFLOP/s (%s), %.1f int8 GOP/s (%s)\n",
               k->name, ink_meter_bandwidth(meter) * 1e-9, ink_meter_peak(meter, &peak->f32) * 1e-9,
               peak->f32.instruction, ink_meter_peak(meter, &peak->int8) * 1e-9,
               peak->int8.instruction);
    ink_meter_close(meter);
    report_matmuls(k, "f32", k->matmul_f32, 4);
    report_matmuls(k, "bf16", k->matmul_bf16, 2);
    report_matmuls(k, "f16", k->matmul_f16, 2);
    report_matmuls_q8(k);
    report_low_rank(k, 1, 16, 3072);
    report_low_rank(k, 256, 16, 3072);
    report_low_rank(k, 256, 64, 1024);
    report_attention(k, 100);
    report_attention(k, 512);
    report_attention(k, 8192);
    report("rmsnorm 1024", run_rmsnorm, (struct job){.k = k, .n = 1024}, 4.0 * 1024, 12.0 * 1024);
    report("swiglu 3072", run_swiglu, (struct job){.k = k, .n = 3072}, 0.0, 12.0 * 3072);
    report("rope_interleaved 128", run_rope_interleaved, (struct job){.k = k, .n = 128}, 6.0 * 64,
           12.0 * 128);
    report("f16_from_f32 4096", run_f16_from_f32, (struct job){.k = k, .n = 4096}, 0.0, 6.0 * 4096);
}

/* Memory at the start of a cache line: elsewhere many a vector lies across two. Never freed. */
static void *new_at_line(size_t bytes)
{
    char *p = malloc(bytes + 63);
    return p ? p + (64 - (uintptr_t)p % 64) % 64 : NULL;
}

/* Small normal numbers in every type: 0x2e.. is 0.1 or so as f16, 2e-10 as bf16 and f32. */
static int prepare(void)
{
    big = new_at_line(BIG);
    x = new_at_line((size_t)512 * 3072 * sizeof *x);
    y = new_at_line((size_t)512 * 3072 * sizeof *y);
    scores = new_at_line((size_t)INK_ATTENTION_QUERIES * INK_ATTENTION_BLOCK * sizeof *scores);
    quantised = new_at_line(512 * ink_q8_row_bytes(3072, 2));
    if (!big || !x || !y || !scores || !quantised)
        return -1;
    for (size_t i = 0; i < BIG; i++)
        big[i] = i % 2 ? 0x2e : (unsigned char)(i * 2654435761u >> 20);
    for (size_t i = 0; i < (size_t)512 * 3072; i++)
        x[i] = (float)(i % 1000) * 1e-3f - 0.3f;
    memset(y, 0, (size_t)512 * 3072 * sizeof *y);
    return 0;
}

int main(int argc, char **argv)
{
    char name[64];
    if (prepare() != 0) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        return 1;
    }
    printf("%s, one thread\n", ink_cpu_name(name, sizeof name));
    for (int i = 1; i < argc; i++)
        if (!ink_kernels_find(argv[i])) {
            fprintf(stderr, "bench_kernels: no level %s here\n", argv[i]);
            return 1;
        }
    const struct ink_kernels *k;
    if (argc > 1)
        for (int i = 1; i < argc; i++)
            report_level(ink_kernels_find(argv[i]));
    else
        for (int i = 0; (k = ink_kernels_at(i)) != NULL; i++)
            report_level(k);
    return 0;
}
