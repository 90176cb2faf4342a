/* The kernels of bf16 at every level that this CPU can run, against their definition in kernels.h.
 */
#include "kernel_support.h"

#include "quant.h"

/* Pairs of bf16: as one that has no such instruction would multiply them. */
static float dot_of_pairs(float a, float b, float sum)
{
    const uint32_t p = bits_of(a), q = bits_of(b);
    sum = fma1(float_of(p & 0xffff0000u), float_of(q & 0xffff0000u), sum);
    return fma1(float_of(p << 16), float_of(q << 16), sum);
}

/* n pairs of normal numbers: levels differ in others. */
static void fill_pairs(float *x, size_t n)
{
    float all[2];
    for (size_t i = 0; i < n; i++) {
        uint16_t pair[2];
        fill_floats(all, 2, KIND_UNIT);
        for (int j = 0; j < 2; j++)
            pair[j] = bf16_of_f32(all[j]);
        memcpy(&x[i], pair, sizeof pair);
    }
}

/* As check_gemm, and a begins in the middle of a pair's place. */
static void check_gemm_bf16(int m, int panels, int k, int turned, int adds)
{
    const size_t ldc = (size_t)panels * 16 + 3, panel = (size_t)k * 16 + 16;
    const size_t a_row = turned ? 1 : (size_t)k + 2, a_col = turned ? (size_t)m + 1 : 1;
    const size_t n_a = (size_t)m * ((size_t)k + 2) + (size_t)k * ((size_t)m + 1);
    const size_t n_b = (size_t)panels * panel, n_c = (size_t)m * ldc;
    float *a = input(0, n_a * sizeof *a, 2), *b = input(1, n_b * sizeof *b, 0);
    float *c = input(2, n_c * sizeof *c, 0), *pairs = malloc(n_a * sizeof *pairs);
    assert_non_null(pairs);
    fill_pairs(pairs, n_a);
    memcpy(a, pairs, n_a * sizeof *a);
    fill_pairs(b, n_b);
    fill_floats(c, n_c, KIND_UNIT);
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new(n_c * sizeof *c), want = output_new(n_c * sizeof *c);
        memcpy(got.data, c, n_c * sizeof *c);
        memcpy(want.data, c, n_c * sizeof *c);
        level->gemm_bf16(got.data, ldc, a, a_row, a_col, b, panel, m, panels, k, adds, NULL);
        for (int i = 0; i < m * panels * 16; i++) {
            const size_t row = (size_t)(i / (panels * 16)), col = (size_t)(i % (panels * 16));
            float *sum = (float *)want.data + row * ldc + col;
            *sum = adds ? *sum : 0.0f;
            for (size_t p = 0; p < (size_t)k; p++)
                *sum = dot_of_pairs(pairs[row * a_row + p * a_col],
                                    b[col / 16 * panel + p * 16 + col % 16], *sum);
        }
        assert_same(level->name, &got, &want);
        free(want.base);
    }
    free(pairs);
}

static bool keeps_denormals(const struct ink_kernels *level)
{
    return !level->has_bf16;
}

/* Of x [rows, cols]; every kind of number where the level's bits are the definition's. */
static void check_gemm_pack_bf16(int rows, int cols, enum kind kind)
{
    const size_t n_panels = ((size_t)cols + 15) / 16, n_steps = ((size_t)rows + 1) / 2;
    const size_t ldx = (size_t)cols + 5, panel = n_steps * 16 + 3, n = n_panels * panel;
    const size_t n_x = (size_t)(rows - 1) * ldx + (size_t)cols;
    float *x = input(0, n_x * sizeof *x, 0);
    fill_floats(x, n_x, kind);
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new(n * sizeof *x), want = output_new(n * sizeof *x);
        memset(got.data, 0, n * sizeof *x);
        memset(want.data, 0, n * sizeof *x);
        level->gemm_pack_bf16(got.data, panel, x, ldx, rows, cols);
        for (size_t i = 0; i < (size_t)rows; i++) {
            for (size_t j = 0; j < (size_t)cols; j++) {
                const uint16_t value = bf16_of_f32(x[i * ldx + j]);
                const size_t at = j / 16 * panel + i / 2 * 16 + j % 16;
                memcpy((char *)want.data + at * sizeof *x + i % 2 * 2, &value, sizeof value);
            }
        }
        if (kind == KIND_UNIT || keeps_denormals(level))
            assert_same(level->name, &got, &want);
        else
            free(got.base);
        free(want.base);
    }
}

static void check_bf16_from_f32(int n, enum kind kind)
{
    float *x = input(0, (size_t)n * sizeof *x, 0);
    fill_floats(x, (size_t)n, kind);
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new((size_t)n * 2), want = output_new((size_t)n * 2);
        level->bf16_from_f32(got.data, x, (size_t)n);
        for (int i = 0; i < n; i++) {
            const uint16_t value = ink_bf16_from_f32(x[i]);
            memcpy((char *)want.data + 2 * i, &value, sizeof value);
        }
        assert_canaries(&got);
        if (kind == KIND_UNIT || keeps_denormals(level))
            assert_memory_equal(got.data, want.data, (size_t)n * 2);
        free(got.base), free(want.base);
    }
}

static void products_of_pairs(void **state)
{
    (void)state;
    for (int m = 1; m <= 25; m++)
        check_gemm_bf16(m, 1 + m % 3, m % 7 * 5, m % 2 == 0, m % 4 < 2);
    check_gemm_bf16(24, 3, 70, 1, 0);
    check_gemm_bf16(17, 4, 33, 0, 1);
}

static void pairs_of_rows(void **state)
{
    (void)state;
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++) {
        for (int rows = 1; rows < 6; rows++) {
            for (int cols = 1; cols < 40; cols += 3)
                check_gemm_pack_bf16(rows, cols, kind);
        }
        check_gemm_pack_bf16(128, 256, kind);
    }
}

static void rounding(void **state)
{
    (void)state;
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++) {
        for (int n = 1; n < 70; n++)
            check_bf16_from_f32(n, kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_pairs),
        cmocka_unit_test(pairs_of_rows),
        cmocka_unit_test(rounding),
    };
    return cmocka_run_group_tests_name("kernels_bf16", tests, NULL, NULL);
}
