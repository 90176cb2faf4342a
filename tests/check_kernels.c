/* Every level against the C level, bit for bit; the C level against formulas in double. */
#include "kernel_support.h"

static void levels_are_found_by_name(void **state)
{
    (void)state;
    char name[64];
    print_message("# cpu: %s; levels:", ink_cpu_name(name, sizeof name));
    const struct ink_kernels *last = NULL;
    FOR_EACH_LEVEL(level, 0)
    {
        print_message(" %s", level->name);
        assert_ptr_equal(ink_kernels_find(level->name), level);
        last = level;
    }
    print_message("\n");
    assert_ptr_equal(ink_kernels_at(0), ink_kernels_c());
    assert_ptr_equal(ink_kernels_find(NULL), last);
    assert_ptr_equal(ink_kernels_find("auto"), last);
    assert_null(ink_kernels_find("sse9"));
    assert_null(ink_kernels_at(-1));
    char cut[4];
    assert_true(strlen(ink_cpu_name(cut, sizeof cut)) < sizeof cut);
    assert_string_equal(ink_cpu_name(cut, 1), "");
}

/* fma1 is the base of the definition; where the CPU lacks the instruction it is emulated. */
static void fma_rounds_once(void **state)
{
    (void)state;
    assert_true(same_float(fma1(0x1.000002p0f, 0x1.000002p0f, -0x1.000004p0f), 0x1p-46f));
    /* Rounded to double first, these become ties and go to the even neighbour. */
    const float a = 0x1.000002p-12f, b = 0x1.fffffcp-13f;
    assert_true(same_float(fma1(a, b, 0x1.000002p0f), 0x1.000002p0f));
    assert_true(same_float(fma1(-a, b / 2, 0x1.fffffep-1f), 0x1.fffffep-1f));
    assert_true(same_float(fma1(a, -b, -0x1.000002p0f), -0x1.000002p0f));
    assert_true(same_float(fma1(-0x1p-100f, 0x1p-100f, 1.0f), 1.0f));
    assert_true(same_float(fma1(-0x1p-100f, 0x1p-100f, 0x1p-126f), 0x1p-126f));
    assert_true(same_float(fma1(0x1p-75f, 0x1p-75f, 0x1p-149f), 0x1p-148f)); /* a tie, to even */
    assert_true(same_float(fma1(0x1.fffffep-76f, 0x1p-75f, 0x1p-149f), 0x1p-149f));
    assert_true(same_float(fma1(FLT_MAX, 2.0f, -FLT_MAX), FLT_MAX));
    assert_true(same_float(fma1(FLT_MAX, 2.0f, -INFINITY), -INFINITY));
    assert_true(isnan(fma1(INFINITY, 1.0f, -INFINITY)) && isnan(fma1(0.0f, INFINITY, 1.0f)));
    assert_true(same_float(fma1(-1.0f, 0.0f, -0.0f), -0.0f));
    assert_true(same_float(fma1(1.0f, 1.0f, -1.0f), 0.0f));
}

/* Matmul. */

typedef void matmul_fn(float *, size_t, const float *, size_t, int, const void *, int, int);

static matmul_fn *matmul_of(const struct ink_kernels *level, enum type type)
{
    return type == TYPE_F32    ? level->matmul_f32
           : type == TYPE_BF16 ? level->matmul_bf16
                               : level->matmul_f16;
}

static void matmul_matches_formula(const float *y, size_t ldy, const float *x, size_t ldx, int n,
                                   const unsigned char *w, int rows, int cols, enum type type)
{
    for (int t = 0; t < n; t++)
        for (int r = 0; r < rows; r++) {
            double sum = 0.0, size = 0.0;
            for (int c = 0; c < cols; c++) {
                const double a = value_of_type(w, (size_t)r * (size_t)cols + (size_t)c, type) *
                                 (double)x[(size_t)t * ldx + (size_t)c];
                sum += a;
                size += fabs(a);
            }
            const double error = fabs((double)y[(size_t)t * ldy + (size_t)r] - sum);
            assert_true(error <= size * (cols / 16 + 6) * 0x1p-24);
        }
}

static void check_matmul(int n, int rows, int cols, enum type type, enum kind kind)
{
    const size_t ldx = (size_t)cols + (size_t)random_int(0, 3);
    const size_t ldy = (size_t)rows + (size_t)random_int(0, 3);
    const size_t w_count = (size_t)rows * (size_t)cols,
                 x_count = (size_t)(n - 1) * ldx + (size_t)cols;
    unsigned char *w = input(0, w_count * type_size(type), random_int(0, 1) ? 0 : 3);
    float *x = input(1, x_count * sizeof *x, 0);
    fill_type(w, w_count, kind, type);
    fill_floats(x, x_count, kind);

    const size_t y_bytes = ((size_t)(n - 1) * ldy + (size_t)rows) * sizeof(float);
    struct output want = output_new(y_bytes);
    matmul_of(ink_kernels_c(), type)(want.data, ldy, x, ldx, n, w, rows, cols);
    assert_canaries(&want);
    if (kind == KIND_UNIT)
        matmul_matches_formula(want.data, ldy, x, ldx, n, w, rows, cols, type);
    FOR_EACH_LEVEL(level, 1)
    {
        struct output got = output_new(y_bytes);
        matmul_of(level, type)(got.data, ldy, x, ldx, n, w, rows, cols);
        assert_same(level->name, &got, &want);
    }
    free(want.base);
}

static void matmul_is_the_same_at_every_level(void **state)
{
    (void)state;
    int turn = 0;
    for (int cols = 1; cols <= 70; cols++)
        for (enum type type = TYPE_F32; type <= TYPE_F16; type++)
            for (enum kind kind = KIND_UNIT; kind < KINDS; kind++, turn++)
                check_matmul(1 + turn % 9, 1 + turn % 40, cols, type, kind);
    for (enum type type = TYPE_F32; type <= TYPE_F16; type++) {
        check_matmul(1, 21, 1023, type, KIND_UNIT);
        check_matmul(9, 7, 1024, type, KIND_WIDE);
        check_matmul(7, 40, 3072, type, KIND_UNIT); /* more rows than one cache block */
        check_matmul(1, 9, 3072, type, KIND_EXTREME);
    }
    for (int n = 1; n <= 9; n++)
        for (int rows = 1; rows <= 40; rows++)
            check_matmul(n, rows, 33, rows % 3, KIND_UNIT);
}

/* Any cut of tokens and rows gives the bits of one call. */
static void matmul_does_not_depend_on_the_split(void **state)
{
    (void)state;
    enum { N = 13, ROWS = 37, COLS = 83 };
    for (enum type type = TYPE_F32; type <= TYPE_F16; type++)
        FOR_EACH_LEVEL(level, 0)
        {
            matmul_fn *multiply = matmul_of(level, type);
            const size_t row_bytes = COLS * type_size(type);
            unsigned char *w = input(0, ROWS * row_bytes, 0);
            float *x = input(1, N * COLS * sizeof *x, 0);
            fill_type(w, ROWS * COLS, KIND_WIDE, type);
            fill_floats(x, N * COLS, KIND_WIDE);
            struct output want = output_new(N * ROWS * sizeof(float));
            multiply(want.data, ROWS, x, COLS, N, w, ROWS, COLS);
            for (int round = 0; round < 20; round++) {
                struct output got = output_new(N * ROWS * sizeof(float));
                for (int t = 0, n; t < N; t += n) {
                    n = round == 0 ? 1 : random_int(1, N - t);
                    for (int r = 0, rows; r < ROWS; r += rows) {
                        rows = round == 1 ? 1 : random_int(1, ROWS - r);
                        multiply((float *)got.data + t * ROWS + r, ROWS, x + t * COLS, COLS, n,
                                 w + (size_t)r * row_bytes, rows, COLS);
                    }
                }
                assert_same(level->name, &got, &want);
            }
            free(want.base);
        }
}

/* What an adapter adds: the formula, in the order that kernels.h says, then every level. */
static void check_add_low_rank(int n, int rank, int cols, enum kind kind)
{
    const size_t ldx = (size_t)rank + (size_t)random_int(0, 5);
    const size_t ldy = (size_t)cols + (size_t)random_int(0, 5);
    const size_t n_x = (size_t)(n - 1) * ldx + (size_t)rank;
    const size_t n_b = ((size_t)cols + 15) / 16 * 16 * (size_t)rank;
    const size_t n_y = (size_t)(n - 1) * ldy + (size_t)cols;
    float *x = input(0, n_x * sizeof *x, 0), *b = input(1, n_b * sizeof *b, 0);
    fill_floats(x, n_x, kind);
    fill_floats(b, n_b, kind);
    struct output old = output_new(n_y * sizeof(float)), want = output_new(n_y * sizeof(float));
    fill_floats(old.data, n_y, kind);
    memcpy(want.data, old.data, n_y * sizeof(float));
    for (int t = 0; t < n; t++)
        for (int i = 0; i < cols; i++) {
            float sum = 0.0f;
            for (int k = 0; k < rank; k++)
                sum =
                    fma1(x[(size_t)t * ldx + (size_t)k], b[(i / 16 * rank + k) * 16 + i % 16], sum);
            ((float *)want.data)[(size_t)t * ldy + (size_t)i] += sum;
        }
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new(n_y * sizeof(float));
        memcpy(got.data, old.data, n_y * sizeof(float));
        level->add_low_rank(got.data, ldy, x, ldx, n, b, rank, cols);
        assert_same(level->name, &got, &want);
    }
    free(old.base);
    free(want.base);
}

static void add_low_rank_is_the_same_at_every_level(void **state)
{
    (void)state;
    int turn = 0;
    for (int cols = 1; cols <= 70; cols++)
        for (enum kind kind = KIND_UNIT; kind < KINDS; kind++, turn++)
            check_add_low_rank(1 + turn % 9, 1 + turn % 20, cols, kind);
    for (int n = 1; n <= 9; n++)
        for (int rank = 1; rank <= 9; rank++)
            check_add_low_rank(n, rank, 150, KIND_UNIT);
    check_add_low_rank(1, 64, 1024, KIND_WIDE);
    check_add_low_rank(7, 64, 1000, KIND_UNIT); /* more columns than one block */
}

/* RMSNorm, SwiGLU, RoPE. */

static void check_rmsnorm(int n, enum kind kind)
{
    const size_t bytes = (size_t)n * sizeof(float);
    float *x = input(0, bytes, 0), *gain = input(1, bytes, 0);
    fill_floats(x, (size_t)n, kind);
    fill_floats(gain, (size_t)n, KIND_UNIT);
    struct output want = output_new(bytes);
    ink_kernels_c()->rmsnorm(want.data, x, gain, n, 1e-5f);
    assert_canaries(&want);
    if (kind == KIND_UNIT || kind == KIND_TINY) {
        double squares = 0.0;
        for (int i = 0; i < n; i++)
            squares += (double)x[i] * (double)x[i];
        for (int i = 0; i < n; i++) {
            const double y = (double)x[i] / sqrt(squares / n + (double)1e-5f) * (double)gain[i];
            assert_true(fabs((double)((float *)want.data)[i] - y) <=
                        fabs(y) * (n / 16 + 10) * 0x1p-24 + 0x1p-148);
        }
    }
    FOR_EACH_LEVEL(level, 1)
    {
        struct output got = output_new(bytes), in_place = output_new(bytes);
        level->rmsnorm(got.data, x, gain, n, 1e-5f);
        assert_same(level->name, &got, &want);
        memcpy(in_place.data, x, bytes);
        level->rmsnorm(in_place.data, in_place.data, gain, n, 1e-5f);
        assert_same(level->name, &in_place, &want);
    }
    free(want.base);
}

static void rmsnorm_is_the_same_at_every_level(void **state)
{
    (void)state;
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++) {
        for (int n = 1; n <= 70; n++)
            check_rmsnorm(n, kind);
        check_rmsnorm(1023, kind);
        check_rmsnorm(1024, kind);
        check_rmsnorm(3072, kind);
    }
}

static void check_swiglu(int n, enum kind kind)
{
    const size_t bytes = (size_t)n * sizeof(float);
    float *gate = input(0, bytes, 0), *up = input(1, bytes, 0);
    fill_floats(gate, (size_t)n, kind);
    fill_floats(up, (size_t)n, kind);
    struct output want = output_new(bytes);
    ink_kernels_c()->swiglu(want.data, gate, up, n);
    assert_canaries(&want);
    for (int i = 0; i < n && (kind == KIND_UNIT || kind == KIND_WIDE); i++) {
        const double g = (double)gate[i], y = g / (1.0 + exp(-g)) * (double)up[i];
        if (g > -87.0)
            assert_true(fabs((double)((float *)want.data)[i] - y) <= fabs(y) * 0x1p-21 + 0x1p-148);
        else /* exp(-gate) has reached infinity, or nearly */
            assert_true(fabs((double)((float *)want.data)[i]) <= 1e-30);
    }
    FOR_EACH_LEVEL(level, 1)
    {
        struct output got = output_new(bytes), a = output_new(bytes), b = output_new(bytes);
        level->swiglu(got.data, gate, up, n);
        assert_same(level->name, &got, &want);
        memcpy(a.data, gate, bytes);
        level->swiglu(a.data, a.data, up, n);
        assert_same(level->name, &a, &want);
        memcpy(b.data, up, bytes);
        level->swiglu(b.data, gate, b.data, n);
        assert_same(level->name, &b, &want);
    }
    free(want.base);
}

static void swiglu_is_the_same_at_every_level(void **state)
{
    (void)state;
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++) {
        for (int n = 1; n <= 70; n++)
            check_swiglu(n, kind);
        check_swiglu(3072, kind);
    }
}

static void swiglu_saturates(void **state)
{
    (void)state;
    const float gate[] = {INFINITY, 1000.0f, 89.0f, -89.0f,    -1000.0f,
                          -FLT_MAX, 0.0f,    -0.0f, -INFINITY, NAN};
    const float want[] = {INFINITY, 2000.0f, 178.0f, -0.0f, -0.0f, -0.0f, 0.0f, -0.0f, NAN, NAN};
    float up[10], y[10];
    for (int i = 0; i < 10; i++)
        up[i] = 2.0f;
    FOR_EACH_LEVEL(level, 0)
    {
        level->swiglu(y, gate, up, 10);
        for (int i = 0; i < 10; i++)
            assert_true(same_float(y[i], want[i]));
    }
}

static void check_exp_below(int n, enum kind kind)
{
    const size_t bytes = (size_t)n * sizeof(float);
    float *x = input(0, bytes, 0);
    fill_floats(x, (size_t)n, kind);
    struct output want = output_new(bytes);
    ink_kernels_c()->exp_below(want.data, x, 0.75f, (size_t)n);
    assert_canaries(&want);
    for (int i = 0; i < n && kind == KIND_UNIT; i++) {
        const double y = exp((double)(x[i] - 0.75f));
        assert_true(fabs((double)((float *)want.data)[i] - y) <= y * 0x1p-22);
    }
    FOR_EACH_LEVEL(level, 1)
    {
        struct output got = output_new(bytes), in_place = output_new(bytes);
        level->exp_below(got.data, x, 0.75f, (size_t)n);
        assert_same(level->name, &got, &want);
        memcpy(in_place.data, x, bytes);
        level->exp_below(in_place.data, in_place.data, 0.75f, (size_t)n);
        assert_same(level->name, &in_place, &want);
    }
    free(want.base);
}

static void exp_below_is_the_same_at_every_level(void **state)
{
    (void)state;
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++) {
        for (int n = 1; n <= 70; n++)
            check_exp_below(n, kind);
        check_exp_below(3072, kind);
    }
}

static void check_training(int n, enum kind kind)
{
    static const struct ink_adamw by = {0.5f, 0.99f, 0.9f, 0.1f, 0.999f, 0.001f, 1e-3f, 1e-9f};
    const size_t bytes = (size_t)n * sizeof(float);
    float *in[4];
    struct output want[3];
    for (int i = 0; i < 4; i++) {
        in[i] = input(i, bytes, 0);
        fill_floats(in[i], (size_t)n, kind);
    }
    for (int i = 0; i < n && kind == KIND_UNIT; i++)
        in[2][i] = fabsf(in[2][i]); /* squares */
    for (int i = 0; i < 3; i++) {
        want[i] = output_new(bytes);
        memcpy(want[i].data, in[i], bytes);
    }
    ink_kernels_c()->adamw(want[0].data, want[1].data, want[2].data, in[3], (size_t)n, &by);
    const float sum = ink_kernels_c()->sum_squares(in[3], (size_t)n);
    double squares = 0;
    for (int i = 0; i < n && kind == KIND_UNIT; i++) {
        const double g = 0.5 * (double)in[3][i], m = 0.9 * (double)in[1][i] + 0.1 * g;
        const double v = 0.999 * (double)in[2][i] + 0.001 * g * g;
        const double p = 0.99 * (double)in[0][i] - 1e-3 * m / (sqrt(v) + 1e-9);
        assert_true(fabs((double)((float *)want[0].data)[i] - p) <= 1e-5 * fabs(p) + 1e-6);
        squares += (double)in[3][i] * (double)in[3][i];
    }
    assert_true(kind != KIND_UNIT || fabs((double)sum - squares) <= 1e-5 * squares);
    FOR_EACH_LEVEL(level, 1)
    {
        struct output got[3];
        for (int i = 0; i < 3; i++) {
            got[i] = output_new(bytes);
            memcpy(got[i].data, in[i], bytes);
        }
        level->adamw(got[0].data, got[1].data, got[2].data, in[3], (size_t)n, &by);
        for (int i = 0; i < 3; i++)
            assert_same(level->name, &got[i], &want[i]);
        const float again = level->sum_squares(in[3], (size_t)n);
        assert_true(again == sum || (isnan(again) && isnan(sum)));
    }
    for (int i = 0; i < 3; i++)
        free(want[i].base);
}

/* a [m, k] by rows or by columns, panels a gap apart, c wider than its panels. */
static void check_gemm(int m, int panels, int k, int turned, int adds, enum kind kind)
{
    const size_t ldc = (size_t)panels * 16 + 3, panel = (size_t)k * 16 + 16;
    const size_t a_row = turned ? 1 : (size_t)k + 2, a_col = turned ? (size_t)m + 1 : 1;
    const size_t n_a = (size_t)m * ((size_t)k + 2) + (size_t)k * ((size_t)m + 1);
    const size_t n_b = (size_t)panels * panel, n_c = (size_t)m * ldc;
    float *a = input(0, n_a * sizeof *a, 0), *b = input(1, n_b * sizeof *b, 0);
    float *c = input(2, n_c * sizeof *c, 0);
    fill_floats(a, n_a, kind);
    fill_floats(b, n_b, kind);
    fill_floats(c, n_c, kind);
    const struct ink_fetch ahead = {{a, b, c}, 3, 2, 64, 8};
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new(n_c * sizeof *c), want = output_new(n_c * sizeof *c);
        memcpy(got.data, c, n_c * sizeof *c);
        memcpy(want.data, c, n_c * sizeof *c);
        level->gemm(got.data, ldc, a, a_row, a_col, b, panel, m, panels, k, adds,
                    m % 2 ? &ahead : NULL);
        for (int i = 0; i < m * panels * 16; i++) {
            const size_t row = (size_t)(i / (panels * 16)), col = (size_t)(i % (panels * 16));
            float *sum = (float *)want.data + row * ldc + col;
            *sum = adds ? *sum : 0.0f;
            for (size_t p = 0; p < (size_t)k; p++)
                *sum =
                    fma1(a[row * a_row + p * a_col], b[col / 16 * panel + p * 16 + col % 16], *sum);
        }
        assert_same(level->name, &got, &want);
        free(want.base);
    }
}

static void check_gemm_pack(int rows, int panels)
{
    const size_t ldx = (size_t)panels * 16 + 5, panel = (size_t)rows * 16 + 3;
    const size_t n_x = (size_t)rows * ldx, n = (size_t)panels * panel;
    float *x = input(0, n_x * sizeof *x, 0);
    fill_floats(x, n_x, KIND_UNIT);
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new(n * sizeof *x), want = output_new(n * sizeof *x);
        memset(got.data, 0, n * sizeof *x);
        memset(want.data, 0, n * sizeof *x);
        level->gemm_pack(got.data, panel, x, ldx, rows, panels);
        for (size_t i = 0; i < (size_t)(rows * panels * 16); i++) {
            const size_t row = i / (size_t)(panels * 16), col = i % (size_t)(panels * 16);
            ((float *)want.data)[col / 16 * panel + row * 16 + col % 16] = x[row * ldx + col];
        }
        assert_same(level->name, &got, &want);
        free(want.base);
    }
}

static void check_turn(int rows, int cols, int adds)
{
    const size_t ldx = (size_t)cols + 3, ldy = (size_t)rows + 1;
    const size_t n_x = (size_t)rows * ldx, n = (size_t)cols * ldy;
    float *x = input(0, n_x * sizeof *x, 0), *y = input(1, n * sizeof *y, 0);
    fill_floats(x, n_x, KIND_UNIT);
    fill_floats(y, n, KIND_UNIT);
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new(n * sizeof *x), want = output_new(n * sizeof *x);
        memcpy(got.data, y, n * sizeof *y);
        memcpy(want.data, y, n * sizeof *y);
        level->turn(got.data, ldy, x, ldx, rows, cols, adds);
        for (size_t i = 0; i < (size_t)rows; i++) {
            for (size_t j = 0; j < (size_t)cols; j++) {
                float *to = (float *)want.data + j * ldy + i;
                *to = adds ? *to + x[i * ldx + j] : x[i * ldx + j];
            }
        }
        assert_same(level->name, &got, &want);
        free(want.base);
    }
}

static void matrices_are_turned(void **state)
{
    (void)state;
    for (int rows = 1; rows < 14; rows++) {
        for (int cols = 1; cols < 14; cols++)
            check_turn(rows, cols, (rows + cols) % 2);
    }
    check_turn(192, 80, 0);
}

static void gemm_is_the_definition_at_every_level(void **state)
{
    (void)state;
    check_gemm_pack(1, 1);
    check_gemm_pack(9, 3);
    check_gemm_pack(128, 16);
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++) {
        for (int m = 1; m <= 25; m++)
            check_gemm(m, 1 + m % 3, m % 7 * 5, m % 2 == 0, m % 4 < 2, kind);
        check_gemm(24, 3, 70, 1, 0, kind);
        check_gemm(17, 4, 33, 0, 1, kind);
    }
}

static void training_is_the_same_at_every_level(void **state)
{
    (void)state;
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++) {
        for (int n = 16; n <= 80; n += 16)
            check_training(n, kind);
        check_training(4096, kind);
    }
}

static void check_rope(int head_dim, int half, enum kind kind)
{
    const size_t bytes = (size_t)head_dim * sizeof(float);
    float *x = input(0, bytes, 0), *cs = input(1, bytes / 2, 0), *sn = input(2, bytes / 2, 0);
    float *y = input(3, bytes, 0); /* in place at a page's end */
    fill_floats(x, (size_t)head_dim, kind);
    fill_floats(cs, (size_t)head_dim / 2, kind == KIND_EXTREME ? kind : KIND_UNIT);
    fill_floats(sn, (size_t)head_dim / 2, kind == KIND_EXTREME ? kind : KIND_UNIT);
    struct output want = output_new(bytes);
    memcpy(want.data, x, bytes);
    const struct ink_kernels *c = ink_kernels_c();
    (half ? c->rope_half : c->rope_interleaved)(want.data, cs, sn, head_dim);
    assert_canaries(&want);
    for (int j = 0; j < head_dim / 2 && kind != KIND_EXTREME; j++) {
        const int ia = half ? j : 2 * j, ib = half ? j + head_dim / 2 : 2 * j + 1;
        const double a = (double)x[ia], b = (double)x[ib];
        const double bound = (fabs(a) + fabs(b)) * 0x1p-22 + 0x1p-148;
        const float *w = want.data;
        assert_true(fabs((double)w[ia] - (a * (double)cs[j] - b * (double)sn[j])) <= bound ||
                    isinf(w[ia]));
        assert_true(fabs((double)w[ib] - (b * (double)cs[j] + a * (double)sn[j])) <= bound ||
                    isinf(w[ib]));
    }
    FOR_EACH_LEVEL(level, 1)
    {
        memcpy(y, x, bytes);
        (half ? level->rope_half : level->rope_interleaved)(y, cs, sn, head_dim);
        struct output got = output_new(bytes);
        memcpy(got.data, y, bytes);
        assert_same(level->name, &got, &want);
    }
    free(want.base);
}

static void rope_is_the_same_at_every_level(void **state)
{
    (void)state;
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++)
        for (int head_dim = 2; head_dim <= 130; head_dim += 2) {
            check_rope(head_dim, 0, kind);
            check_rope(head_dim, 1, kind);
        }
}

/* Conversions. */

static void every_half_widens(void **state)
{
    (void)state;
    enum { N = 65536 };
    uint16_t *x = input(0, N * sizeof *x, 1);
    for (unsigned i = 0; i < N; i++)
        memcpy((char *)x + 2 * i, &(uint16_t){(uint16_t)i}, 2);
    FOR_EACH_LEVEL(level, 0)
    {
        struct output f16 = output_new(N * sizeof(float)), bf16 = output_new(N * sizeof(float));
        level->f32_from_f16(f16.data, x, N);
        level->f32_from_bf16(bf16.data, x, N);
        assert_canaries(&f16);
        assert_canaries(&bf16);
        for (unsigned i = 0; i < N; i++) {
            assert_true(same_float(((float *)f16.data)[i], (float)value_of_f16((uint16_t)i)));
            assert_true(same_float(((float *)bf16.data)[i], float_of(i << 16)));
        }
        free(f16.base);
        free(bf16.base);
    }
    for (size_t n = 0; n <= 35; n++)
        FOR_EACH_LEVEL(level, 0)
        {
            uint16_t *end = input(1, n * sizeof *end, 0);
            for (size_t i = 0; i < n; i++)
                end[i] = (uint16_t)(0x3c00 + i);
            struct output got = output_new(n * sizeof(float));
            level->f32_from_f16(got.data, end, n);
            assert_canaries(&got);
            for (size_t i = 0; i < n; i++)
                assert_true(same_float(((float *)got.data)[i], (float)value_of_f16(end[i])));
            level->f32_from_bf16(got.data, end, n);
            assert_canaries(&got);
            free(got.base);
        }
}

/* The nearest f16, ties to even, from the definition. */
static uint16_t nearest_f16(float f)
{
    const uint16_t sign = signbit(f) ? 0x8000 : 0;
    const double size = fabs((double)f);
    if (isnan(f))
        return 0x7e00;
    if (size >= 65520.0)
        return sign | 0x7c00;
    int exponent = size == 0.0 ? -14 : ilogb(size);
    if (exponent < -14)
        exponent = -14;
    const int steps = (int)rint(ldexp(size, 10 - exponent)); /* of 2^(exponent - 10); 0 to 2048 */
    return (uint16_t)(sign | (steps + ((exponent + 14) << 10)));
}

static int same_half(uint16_t a, uint16_t b)
{
    return a == b || ((a & 0x7fffu) > 0x7c00u && (b & 0x7fffu) > 0x7c00u);
}

static void check_narrowing(const float *x, size_t n)
{
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new(n * sizeof(uint16_t));
        level->f16_from_f32(got.data, x, n);
        assert_canaries(&got);
        for (size_t i = 0; i < n; i++)
            if (!same_half(((uint16_t *)got.data)[i], nearest_f16(x[i])))
                fail_msg("%s: %a narrows to %04x, should be %04x", level->name, (double)x[i],
                         ((uint16_t *)got.data)[i], nearest_f16(x[i]));
        free(got.base);
    }
}

static void floats_narrow_to_the_nearest_half(void **state)
{
    (void)state;
    float *x = input(0, 1024 * sizeof *x, 0);
    for (uint32_t high = 0; high < 512; high++) { /* every sign and exponent */
        for (uint32_t i = 0; i < 1024; i++)
            x[i] = float_of(high << 23 | (i < 8 ? i : random_bits() >> 9));
        check_narrowing(x, 1024);
    }
    for (uint32_t h = 0; h < 0x7c00; h += 256) { /* each half, each tie, and their neighbours */
        for (uint32_t i = 0; i < 256; i++) {
            const float low = (float)value_of_f16((uint16_t)(h + i));
            const float tie = h + i == 0x7bff
                                  ? 65520.0f
                                  : low / 2 + (float)value_of_f16((uint16_t)(h + i + 1)) / 2;
            x[4 * i] = low;
            x[4 * i + 1] = tie;
            x[4 * i + 2] = -float_of(bits_of(tie) + 1);
            x[4 * i + 3] = float_of(bits_of(tie) - 1);
        }
        check_narrowing(x, 1024);
    }
    for (size_t n = 0; n <= 35; n++)
        check_narrowing(x + 1024 - n, n);
}

/* exp, as the C level computes it; the tests above carry it to every level. */

static float exp1(float x)
{
    return ink_exp(v_set1(x)).p[0].f[0];
}

static double error_in_ulps(float got, double want)
{
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1.0, exponent - 24 > -149 ? exponent - 24 : -149);
}

static void exp_is_accurate(void **state)
{
    (void)state;
    double worst = 0.0;
    float x[16], y[16];
    for (uint32_t u = 0; u < 0x42b20000u; u += 16 * 1361) /* 0 to 89 */
        for (uint32_t sign = 0; sign < 2; sign++) {
            for (uint32_t i = 0; i < 16; i++)
                x[i] = float_of(sign << 31 | (u + i * 1361));
            v_store(y, ink_exp(v_load(x)));
            for (int i = 0; i < 16; i++)
                if (x[i] > -87.33f && x[i] <= 88.72f)
                    worst = fmax(worst, error_in_ulps(y[i], exp((double)x[i])));
        }
    print_message("# exp: at most %.3f ulp\n", worst);
    assert_true(worst < 1.1);
}

static void exp_has_exact_ends(void **state)
{
    (void)state;
    assert_true(exp1(0.0f) == 1.0f && exp1(-0.0f) == 1.0f);
    assert_true(same_float(exp1(-INFINITY), 0.0f) && same_float(exp1(-FLT_MAX), 0.0f));
    assert_true(same_float(exp1(-87.33f), 0.0f) && exp1(-87.32999f) >= FLT_MIN);
    assert_true(exp1(INFINITY) == INFINITY && exp1(FLT_MAX) == INFINITY);
    assert_true(exp1(88.7201f) == INFINITY && exp1(88.72f) < INFINITY && exp1(88.72f) > 3e38f);
    assert_true(isnan(exp1(NAN)) && isnan(exp1(-NAN)) && isnan(exp1(float_of(0x7f800001u))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_found_by_name),
        cmocka_unit_test(fma_rounds_once),
        cmocka_unit_test(exp_is_accurate),
        cmocka_unit_test(exp_has_exact_ends),
        cmocka_unit_test(every_half_widens),
        cmocka_unit_test(floats_narrow_to_the_nearest_half),
        cmocka_unit_test(matmul_is_the_same_at_every_level),
        cmocka_unit_test(matmul_does_not_depend_on_the_split),
        cmocka_unit_test(add_low_rank_is_the_same_at_every_level),
        cmocka_unit_test(rmsnorm_is_the_same_at_every_level),
        cmocka_unit_test(swiglu_is_the_same_at_every_level),
        cmocka_unit_test(swiglu_saturates),
        cmocka_unit_test(exp_below_is_the_same_at_every_level),
        cmocka_unit_test(rope_is_the_same_at_every_level),
        cmocka_unit_test(training_is_the_same_at_every_level),
        cmocka_unit_test(gemm_is_the_definition_at_every_level),
        cmocka_unit_test(matrices_are_turned),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
