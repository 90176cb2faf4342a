/* The products of training against loops over their definition: bit for bit, for shapes that are no
 * multiple of anything, all kinds of weights, in float32 and bf16, and any number of threads, with
 * no more scratch than was asked for. */
#include "support.h"

#include "../src/kernels.h"
#include "../src/quant.h"
#include "../src/train/gemm.h"

#include <math.h>
#include <stdatomic.h>

static uint32_t state_of_random = 1;

static uint32_t random_bits(void)
{
    state_of_random = state_of_random * 1664525u + 1013904223u;
    return state_of_random >> 8;
}

static float random_value(void)
{
    return (float)((double)random_bits() / (1 << 23) - 1);
}

static float *random_values(size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = random_value();
    }
    return x;
}

static float *copy_of(const float *x, size_t n)
{
    float *copy = malloc((n + 1) * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, x, n * sizeof *x);
    return copy;
}

/* ------------------------------------------------------------------------------------- weights */

struct weights {
    struct ink_gemm_matrix matrix;
    void *data;
    float *values; /* the same as float32 */
};

/* Rows of any type: bytes at random, but for scales, which are near 1/64. */
static void make_weights(struct weights *w, int rows, int cols, enum ink_type type, bool as_values)
{
    const struct ink_type_facts *facts = ink_type_facts(type);
    const size_t n = (size_t)rows * (size_t)cols;
    const size_t n_blocks = n / (size_t)facts->block_values, size = (size_t)facts->block_bytes;
    unsigned char *bytes = malloc(n_blocks * size);
    assert_non_null(bytes);
    for (size_t i = 0; i < n_blocks; i++) {
        unsigned char *block = bytes + i * size;
        for (size_t j = 0; j < size; j++) {
            block[j] = (unsigned char)random_bits();
        }
        const uint16_t scale = ink_f16_from_f32(random_value() / 64);
        const float value = random_value();
        if (facts->block_values == 1) {
            ink_narrow(block, &value, type, 1);
        } else if (type == INK_TYPE_Q6_K) {
            memcpy(block + size - sizeof scale, &scale, sizeof scale);
        } else {
            memcpy(block, &scale, sizeof scale);
        }
        if (type == INK_TYPE_Q4_K) {
            memcpy(block + sizeof scale, &scale, sizeof scale);
        }
    }
    w->data = bytes;
    w->values = malloc(n * sizeof *w->values);
    assert_non_null(w->values);
    ink_dequantize(w->values, bytes, type, n);
    w->matrix = (struct ink_gemm_matrix){.rows = rows, .cols = cols, .data = bytes, .type = type};
    if (as_values) {
        w->matrix.values = w->values;
    }
}

static void free_weights(struct weights *w)
{
    free(w->data);
    free(w->values);
}

/* --------------------------------------------------------------------------------- the definition
 */

static float in_bf16(float x)
{
    return ink_f32_from_bf16(ink_bf16_from_f32(x));
}

/* In bf16 the second of a pair comes first. */
static float chain(const float *a, size_t a_step, const float *b, size_t b_step, int n,
                   bool is_bf16)
{
    float sum = 0;
    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)(is_bf16 && (i ^ 1) < n ? i ^ 1 : i);
        const float x = a[at * a_step], y = b[at * b_step];
        sum = is_bf16 ? fmaf(in_bf16(x), in_bf16(y), sum) : fmaf(x, y, sum);
    }
    return sum;
}

struct shape {
    int t, n, k;
    bool is_bf16;
};

static void forward(float *y, const float *x, const float *w, struct shape s, bool adds)
{
    const size_t n = (size_t)s.n, k = (size_t)s.k;
    for (size_t i = 0; i < (size_t)s.t; i++) {
        for (size_t j = 0; j < n; j++) {
            const float sum = chain(w + j * k, 1, x + i * k, 1, s.k, s.is_bf16);
            y[i * n + j] = adds ? y[i * n + j] + sum : sum;
        }
    }
}

static void input(float *dx, const float *dy, const float *w, struct shape s, bool adds)
{
    const size_t n = (size_t)s.n, k = (size_t)s.k;
    for (size_t i = 0; i < (size_t)s.t; i++) {
        for (size_t j = 0; j < k; j++) {
            const float sum = chain(dy + i * n, 1, w + j, k, s.n, s.is_bf16);
            dx[i * k + j] = adds ? dx[i * k + j] + sum : sum;
        }
    }
}

/* t up to INK_GEMM_TOKENS */
static void weight(float *dw, const float *dy, const float *x, struct shape s, bool adds)
{
    const size_t n = (size_t)s.n, k = (size_t)s.k;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < k; j++) {
            const float sum = chain(dy + i, n, x + j, k, s.t, s.is_bf16);
            dw[i * k + j] = adds ? dw[i * k + j] + sum : sum;
        }
    }
}

/* -------------------------------------------------------------------------------- with the lanes
 */

struct job {
    const struct ink_kernels *kernels;
    const struct weights *w;
    struct shape shape;
    bool adds;
    int lanes;
    const float *x, *dy;
    float *y, *y2, *dx, *dw; /* y2: the same again, in one call */
    atomic_int *seen;        /* [n]: how many values of each row were taken */
    atomic_int after[2];     /* values of y, and of dx, of which `after` was told */
    atomic_bool bad;         /* lanes are not where a test may end */
};

static void take(void *context, const struct ink_gemm_piece *p, float *gradient, size_t ld)
{
    struct job *job = context;
    if (p->n_rows < 1 || p->n_rows > INK_GEMM_ROWS || ld < (size_t)p->n_cols) {
        job->bad = true;
    }
    for (int i = 0; i < p->n_rows; i++) {
        job->seen[p->row + i] += p->n_cols;
        for (int j = 0; j < p->n_cols; j++) {
            job->bad = job->bad || gradient[(size_t)i * ld + (size_t)j] != 0.0f;
        }
    }
}

static void count_after(void *context, const struct ink_gemm_part *p)
{
    *(atomic_int *)context += p->n_tokens * p->n_cols;
}

static void run_lane(void *context, struct ink_team *team, int index, int count)
{
    struct job *job = context;
    const struct shape s = job->shape;
    const struct ink_gemm_matrix *w = &job->w->matrix;
    const struct ink_gemm_user zeros = {NULL, take, job};
    const struct ink_gemm_map maps[] = {{job->y, w, {count_after, &job->after[0]}},
                                        {job->y2, w, {NULL, NULL}}};
    const struct ink_gemm_product products[] = {{job->dy, w, {count_after, &job->after[1]}},
                                                {job->dy, w, {NULL, NULL}}};
    const size_t n_scratch = ink_gemm_scratch(s.k);
    float *scratch = malloc((n_scratch + 1) * sizeof *scratch);
    if (!scratch) {
        abort();
    }
    memset(scratch, 0xff, n_scratch * sizeof *scratch); /* NaN */
    scratch[n_scratch] = 7;
    const struct ink_train_lane l = {team, index, count, scratch};
    const struct ink_gemm_math math = {job->kernels, s.is_bf16};
    ink_gemm_forward(&l, &math, maps, 2, job->x, s.t, job->adds);
    ink_gemm_input(&l, &math, job->dx, products, 2, s.t, job->adds);
    ink_gemm_weight(&l, &math, job->dw, job->dy, job->x, s.t, s.n, s.k, job->adds);
    ink_gemm_weight_pieces(&l, &math, job->dy, job->x, 0, s.n, s.k, &zeros);
    if (scratch[n_scratch] != 7) {
        job->bad = true;
    }
    free(scratch);
}

static void run_lanes(struct job *job)
{
    job->after[0] = job->after[1] = 0;
    ink_threads_run(job->lanes, run_lane, job);
    assert_false(job->bad);
    assert_int_equal(job->after[0], job->shape.t * job->shape.n);
    assert_int_equal(job->after[1], job->shape.t * job->shape.k);
}

static void assert_same(const char *what, const struct job *job, const float *got,
                        const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(got + i, want + i, sizeof *got) != 0) {
            fail_msg("%s, %s%s, %s%s, t %d, n %d, k %d, %d lanes: %.9g at %llu, not %.9g",
                     job->kernels->name, what, job->shape.is_bf16 ? " in bf16" : "",
                     job->w->matrix.values ? "values of " : "",
                     ink_type_facts(job->w->matrix.type)->name, job->shape.t, job->shape.n,
                     job->shape.k, job->lanes, (double)got[i], (unsigned long long)i,
                     (double)want[i]);
        }
    }
}

static void check_shape(struct shape s, enum ink_type type, bool as_values, bool adds)
{
    static const int lanes[] = {1, 2, 3, 16};
    const size_t n_x = (size_t)s.t * (size_t)s.k, n_y = (size_t)s.t * (size_t)s.n;
    const size_t n_w = (size_t)s.n * (size_t)s.k;
    struct weights w;
    make_weights(&w, s.n, s.k, type, as_values);
    float *x = random_values(n_x), *dy = random_values(n_y);
    float *y = random_values(n_y), *dx = random_values(n_x), *dw = random_values(n_w);
    float *want_y = copy_of(y, n_y), *want_dx = copy_of(dx, n_x), *want_dw = copy_of(dw, n_w);
    atomic_int *seen = calloc((size_t)s.n, sizeof *seen);
    assert_non_null(seen);
    forward(want_y, x, w.values, s, adds);
    input(want_dx, dy, w.values, s, adds);
    input(want_dx, dy, w.values, s, true);
    if (s.t <= INK_GEMM_TOKENS) {
        weight(want_dw, dy, x, s, adds);
    }
    struct job job = {.w = &w, .shape = s, .adds = adds, .x = x, .dy = dy, .seen = seen};
    job.kernels = ink_kernels_find(NULL);
    for (size_t i = 0; i < INK_COUNT(lanes); i++) {
        job.lanes = lanes[i];
        job.y = copy_of(y, n_y);
        job.y2 = copy_of(y, n_y);
        job.dx = copy_of(dx, n_x);
        job.dw = copy_of(dw, n_w);
        run_lanes(&job);
        assert_same("forward", &job, job.y, want_y, n_y);
        assert_same("forward, second", &job, job.y2, want_y, n_y);
        assert_same("input", &job, job.dx, want_dx, n_x);
        if (s.t > INK_GEMM_TOKENS && i == 0) {
            memcpy(want_dw, job.dw, n_w * sizeof *want_dw); /* in blocks of their own */
        }
        assert_same("weight", &job, job.dw, want_dw, n_w);
        for (int row = 0; row < s.n; row++) {
            assert_int_equal(seen[row], ((int)i + 1) * s.k);
        }
        free(job.y);
        free(job.y2);
        free(job.dx);
        free(job.dw);
    }
    free(x), free(dy), free(y), free(dx), free(dw);
    free(want_y), free(want_dx), free(want_dw), free(seen);
    free_weights(&w);
}

static int one_of(const int *list, size_t n)
{
    return list[random_bits() % n];
}

static void test_shapes(void **state)
{
    static const int tokens[] = {1, 2, 15, 16, 17, 31, 255, 256, 257, 300, 520};
    static const int rows[] = {1, 2, 15, 16, 23, 24, 25, 49, 257};
    static const int odd[] = {1, 3, 15, 16, 17, 255, 256, 257, 511, 512, 513, 530};
    static const int by_32[] = {32, 96, 224, 256, 288, 512, 544, 800};
    static const int by_256[] = {256, 512, 768};
    static const struct {
        enum ink_type type;
        const int *widths;
        size_t n;
        bool as_values;
    } kinds[] = {
        {INK_TYPE_F32, odd, INK_COUNT(odd), true},
        {INK_TYPE_F32, odd, INK_COUNT(odd), false},
        {INK_TYPE_BF16, odd, INK_COUNT(odd), false},
        {INK_TYPE_F16, odd, INK_COUNT(odd), false},
        {INK_TYPE_Q8_0, by_32, INK_COUNT(by_32), false},
        {INK_TYPE_Q4_0, by_32, INK_COUNT(by_32), false},
        {INK_TYPE_Q4_K, by_256, INK_COUNT(by_256), false},
        {INK_TYPE_Q6_K, by_256, INK_COUNT(by_256), false},
    };
    (void)state;
    for (size_t i = 0; i < INK_COUNT(kinds); i++) {
        for (int j = 0; j < 20; j++) {
            struct shape s = {one_of(tokens, INK_COUNT(tokens)), one_of(rows, INK_COUNT(rows)),
                              one_of(kinds[i].widths, kinds[i].n), j % 4 >= 2};
            if (s.n == 257 && s.t > 31) {
                s.t = 31; /* for the test's time */
            }
            check_shape(s, kinds[i].type, kinds[i].as_values, j % 2 == 1);
        }
    }
}

/* Several blocks of columns, between which no lane waits. */
static void test_wide(void **state)
{
    (void)state;
    check_shape((struct shape){9, 49, 2100, false}, INK_TYPE_F32, true, true);
    check_shape((struct shape){3, 70, 3072, false}, INK_TYPE_Q8_0, false, false);
    check_shape((struct shape){9, 49, 2100, true}, INK_TYPE_F32, true, true);
    check_shape((struct shape){9, 49, 2100, true}, INK_TYPE_BF16, false, false);
}

struct many {
    float *dw;
    const float *dy, *x;
    struct shape shape;
};

static void run_many(void *context, struct ink_team *team, int index, int count)
{
    const struct many *m = context;
    const struct shape s = m->shape;
    float *scratch = malloc(ink_gemm_scratch(s.k) * sizeof *scratch);
    const struct ink_train_lane l = {team, index, count, scratch};
    const struct ink_gemm_math math = {ink_kernels_find(NULL), s.is_bf16};
    ink_gemm_weight(&l, &math, m->dw, m->dy, m->x, s.t, s.n, s.k, false);
    free(scratch);
}

/* Past INK_GEMM_TOKENS gradients are sums of such products, whose bits no number of lanes changes:
 * how near are they to the definition? */
static void check_many_tokens(bool is_bf16)
{
    const struct shape s = {700, 30, 40, is_bf16};
    const size_t n_w = (size_t)s.n * (size_t)s.k;
    float *x = random_values((size_t)s.t * (size_t)s.k);
    float *dy = random_values((size_t)s.t * (size_t)s.n);
    float *got = random_values(n_w), *want = random_values(n_w);
    struct many many = {got, dy, x, s};
    weight(want, dy, x, s, false);
    ink_threads_run(1, run_many, &many);
    for (size_t i = 0; i < n_w; i++) {
        assert_true(fabsf(got[i] - want[i]) <= 1e-4f);
    }
    free(x), free(dy), free(got), free(want);
}

static void test_many_tokens(void **state)
{
    (void)state;
    check_many_tokens(false);
    check_many_tokens(true);
}

/* --------------------------------------------------------------------------------- small products
 */

static void check_small(int m, int n, int k, bool a_turned, bool b_turned, bool adds)
{
    const size_t lda = (size_t)(a_turned ? m : k) + 3, ldb = (size_t)(b_turned ? k : n) + 1;
    const size_t ldc = (size_t)n + 2, n_c = (size_t)m * ldc;
    const float by = 0.37f;
    float *a = random_values((size_t)(a_turned ? k : m) * lda);
    float *b = random_values((size_t)(b_turned ? n : k) * ldb);
    float *c = random_values(n_c), *want = copy_of(c, n_c);
    ink_gemm(ink_kernels_find(NULL), c, ldc, by, a, lda, a_turned, b, ldb, b_turned, m, n, k, adds);
    for (size_t i = 0; i < (size_t)m; i++) {
        for (size_t j = 0; j < (size_t)n; j++) {
            float sum = adds ? want[i * ldc + j] : 0.0f;
            for (size_t p = 0; p < (size_t)k; p++) {
                const float by_b = by * (b_turned ? b[j * ldb + p] : b[p * ldb + j]);
                sum = fmaf(a_turned ? a[p * lda + i] : a[i * lda + p], by_b, sum);
            }
            want[i * ldc + j] = sum;
        }
    }
    if (memcmp(c, want, n_c * sizeof *c) != 0) {
        fail_msg("%d x %d x %d, turned %d %d, adds %d", m, n, k, a_turned, b_turned, adds);
    }
    free(a), free(b), free(c), free(want);
}

static void test_small(void **state)
{
    static const int sizes[] = {1, 2, 7, 15, 16, 17, 24, 25, 33, 64, 255, 256, 257};
    (void)state;
    for (int i = 0; i < 200; i++) {
        const int m = one_of(sizes, INK_COUNT(sizes)), n = one_of(sizes, INK_COUNT(sizes));
        check_small(m, n, m * n > 10000 ? 33 : one_of(sizes, INK_COUNT(sizes)), i & 1, i & 2,
                    i & 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_many_tokens),
        cmocka_unit_test(test_small),
    };
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}
