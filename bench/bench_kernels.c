/* Times each kernel of each level on one thread, at the shapes of ERNIE-4.5-0.3B, beside what the
 * machine can do at most: `bench_kernels [level]...`. Each figure is the best of several runs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "kernels.h"
#include "system.h"

enum { BIG = 256 << 20 }; /* bytes; more than the caches hold */

static unsigned char *big;
static float *x, *y, *scores;
static volatile float sink;

/* Peaks. */

enum { PEAK_ROUNDS = 2000000, PEAK_CHAINS = 12 };

#if defined(__GNUC__) && defined(__x86_64__)

#include <immintrin.h>

__attribute__((target("avx512f"), noinline)) static double fma_avx512(void)
{
    __m512 a[PEAK_CHAINS], b = _mm512_set1_ps(0.5f);
    for (int i = 0; i < PEAK_CHAINS; i++)
        a[i] = _mm512_set1_ps((float)i);
    for (int n = 0; n < PEAK_ROUNDS; n++) {
        __asm__ volatile("" : "+v"(b));
        a[0] = _mm512_fmadd_ps(a[0], b, b), a[1] = _mm512_fmadd_ps(a[1], b, b);
        a[2] = _mm512_fmadd_ps(a[2], b, b), a[3] = _mm512_fmadd_ps(a[3], b, b);
        a[4] = _mm512_fmadd_ps(a[4], b, b), a[5] = _mm512_fmadd_ps(a[5], b, b);
        a[6] = _mm512_fmadd_ps(a[6], b, b), a[7] = _mm512_fmadd_ps(a[7], b, b);
        a[8] = _mm512_fmadd_ps(a[8], b, b), a[9] = _mm512_fmadd_ps(a[9], b, b);
        a[10] = _mm512_fmadd_ps(a[10], b, b), a[11] = _mm512_fmadd_ps(a[11], b, b);
    }
    for (int i = 0; i < PEAK_CHAINS; i++)
        sink += _mm512_cvtss_f32(a[i]);
    return 32.0 * PEAK_CHAINS * PEAK_ROUNDS;
}

__attribute__((target("avx2,fma"), noinline)) static double fma_avx2(void)
{
    __m256 a[PEAK_CHAINS], b = _mm256_set1_ps(0.5f);
    for (int i = 0; i < PEAK_CHAINS; i++)
        a[i] = _mm256_set1_ps((float)i);
    for (int n = 0; n < PEAK_ROUNDS; n++) {
        __asm__ volatile("" : "+x"(b));
        a[0] = _mm256_fmadd_ps(a[0], b, b), a[1] = _mm256_fmadd_ps(a[1], b, b);
        a[2] = _mm256_fmadd_ps(a[2], b, b), a[3] = _mm256_fmadd_ps(a[3], b, b);
        a[4] = _mm256_fmadd_ps(a[4], b, b), a[5] = _mm256_fmadd_ps(a[5], b, b);
        a[6] = _mm256_fmadd_ps(a[6], b, b), a[7] = _mm256_fmadd_ps(a[7], b, b);
        a[8] = _mm256_fmadd_ps(a[8], b, b), a[9] = _mm256_fmadd_ps(a[9], b, b);
        a[10] = _mm256_fmadd_ps(a[10], b, b), a[11] = _mm256_fmadd_ps(a[11], b, b);
    }
    for (int i = 0; i < PEAK_CHAINS; i++)
        sink += _mm256_cvtss_f32(a[i]);
    return 16.0 * PEAK_CHAINS * PEAK_ROUNDS;
}

static double fma_operations(const char *level)
{
    return strcmp(level, "avx512") == 0 ? fma_avx512()
           : strcmp(level, "avx2") == 0 ? fma_avx2()
                                        : 0.0;
}

#elif defined(__aarch64__)

#include <arm_neon.h>

static double fma_operations(const char *level)
{
    float32x4_t a[2 * PEAK_CHAINS], b = vdupq_n_f32(0.5f);
    if (strcmp(level, "neon") != 0)
        return 0.0;
    for (int i = 0; i < 2 * PEAK_CHAINS; i++)
        a[i] = vdupq_n_f32((float)i);
    for (int n = 0; n < PEAK_ROUNDS; n++) {
        __asm__ volatile("" : "+w"(b));
        _Pragma("GCC unroll 24") for (int i = 0; i < 2 * PEAK_CHAINS; i++) a[i] =
            vfmaq_f32(b, a[i], b);
    }
    for (int i = 0; i < 2 * PEAK_CHAINS; i++)
        sink += vgetq_lane_f32(a[i], 0);
    return 8.0 * 2 * PEAK_CHAINS * PEAK_ROUNDS;
}

#else

static double fma_operations(const char *level)
{
    (void)level;
    return 0.0;
}

#endif

static double peak_gflops(const char *level)
{
    double best = 0.0;
    for (int i = 0; i < 10; i++) {
        const double start = ink_system_seconds(), operations = fma_operations(level);
        const double rate = operations / (ink_system_seconds() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

static double peak_read_gbs(void)
{
    double best = 0.0;
    for (int i = 0; i < 5; i++) {
        const double start = ink_system_seconds();
        uint64_t sum[8] = {0};
        for (size_t k = 0; k < BIG; k += sizeof sum) {
            uint64_t line[8];
            memcpy(line, big + k, sizeof line);
            sum[0] ^= line[0], sum[1] ^= line[1], sum[2] ^= line[2], sum[3] ^= line[3];
            sum[4] ^= line[4], sum[5] ^= line[5], sum[6] ^= line[6], sum[7] ^= line[7];
        }
        sink += (float)(sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7]);
        const double rate = BIG / (ink_system_seconds() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

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

static struct ink_kv_view cache_of(const struct job *j)
{
    return (struct ink_kv_view){.k = big, .v = big + (size_t)j->n * 128 * sizeof(float)};
}

static void run_attend_f32(const struct job *j)
{
    j->k->attend_f32(y, x, j->rows, cache_of(j), j->n, 128, 0.088f, scores);
}

static void run_attend_f16(const struct job *j)
{
    j->k->attend_f16(y, x, j->rows, cache_of(j), j->n, 128, 0.088f, scores);
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
    printf("  %-34s %11.2f us %8.1f GFLOP/s %8.1f GB/s\n", name, s * 1e6, operations / s * 1e-9,
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

static void report_attention(const struct ink_kernels *k, int n_pos)
{
    const struct job job = {.k = k, .n = n_pos, .rows = 8};
    const double operations = 4.0 * 8 * 128 * n_pos;
    char name[64];
    snprintf(name, sizeof name, "attend_f32 8 heads, %d positions", n_pos);
    report(name, run_attend_f32, job, operations, 2.0 * 128 * 4 * n_pos);
    snprintf(name, sizeof name, "attend_f16 8 heads, %d positions", n_pos);
    report(name, run_attend_f16, job, operations, 2.0 * 128 * 2 * n_pos);
}

static void report_level(const struct ink_kernels *k)
{
    const double peak = peak_gflops(k->name);
    printf("%s: peak of its multiply-adds %.1f GFLOP/s%s\n", k->name, peak,
           peak > 0.0 ? "" : " (not measured)");
    report_matmuls(k, "f32", k->matmul_f32, 4);
    report_matmuls(k, "bf16", k->matmul_bf16, 2);
    report_matmuls(k, "f16", k->matmul_f16, 2);
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
    scores = new_at_line((size_t)16 * INK_ATTENTION_BLOCK * sizeof *scores);
    if (!big || !x || !y || !scores)
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
    printf("%s, one thread; memory read %.1f GB/s\n", ink_cpu_name(name, sizeof name),
           peak_read_gbs());
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
