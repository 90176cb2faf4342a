/* The int8 kernels of every level against a plain reading of their definition in kernels.h, bit for
 * bit. */
#include "kernel_support.h"

#include "pack.h"
#include "quant.h"

enum { MAX_COLS = 512, MAX_ROWS = 80, MAX_TOKENS = 20 };

/* One block of activations by the definition: returns d. */
static float reference_block(int *q, const float *x)
{
    uint32_t most = 0;
    for (int i = 0; i < INK_Q8_BLOCK; i++) {
        const uint32_t bits = bits_of(x[i]) & 0x7fffffffu;
        most = bits > most ? bits : most;
        q[i] = 0;
    }
    if (most >= bits_of(INFINITY))
        return NAN;
    const float m = float_of(most);
    if (m < 0x1p-100f)
        return 0.0f;
    for (int i = 0; i < INK_Q8_BLOCK; i++)
        q[i] = (int)nearbyintf(x[i] * (127.0f / m));
    return m * (1.0f / 127.0f);
}

/* w: Q8_0 blocks of one row. */
static float reference_dot(const float *x, const unsigned char *w, int cols)
{
    float sum = 0.0f;
    for (int b = 0; b < cols / INK_Q8_BLOCK; b++, w += 2 + INK_Q8_BLOCK) {
        int q[INK_Q8_BLOCK], dot = 0;
        const float d = reference_block(q, x + b * INK_Q8_BLOCK);
        for (int i = 0; i < INK_Q8_BLOCK; i++)
            dot += q[i] * (signed char)w[2 + i];
        const float dw = ink_f32_from_f16((uint16_t)(w[0] | w[1] << 8));
        sum = fmaf((float)dot * dw, d, sum);
    }
    return sum;
}

static void fill_weights(unsigned char *w, int rows, int cols, enum kind kind)
{
    for (int b = 0; b < rows * (cols / INK_Q8_BLOCK); b++, w += 2 + INK_Q8_BLOCK) {
        const uint16_t scale = random_half(kind, TYPE_F16);
        w[0] = (unsigned char)(scale & 255);
        w[1] = (unsigned char)(scale >> 8);
        for (int i = 0; i < INK_Q8_BLOCK; i++) /* all values, -128 too; runs of the extremes */
            w[2 + i] =
                (unsigned char)(kind == KIND_HUGE ? 128u - random_bits() % 2 : random_bits());
    }
}

/* w: `rows` rows of Q8_0 blocks, as they are in a file. Returns groups that end where memory does.
 */
static unsigned char *pack(const struct ink_kernels *level, const unsigned char *w, int rows,
                           int cols)
{
    const size_t row_bytes = (size_t)(cols / INK_Q8_BLOCK) * (INK_Q8_BLOCK + 2);
    const size_t group_bytes = ink_q8_group_bytes(cols);
    const int n_groups = (rows + INK_Q8_GROUP - 1) / INK_Q8_GROUP;
    unsigned char *packed = input(0, group_bytes * (size_t)n_groups, 0);
    for (int r = 0; r < rows; r += INK_Q8_GROUP)
        ink_pack_q8_0(level, packed + group_bytes * (size_t)(r / INK_Q8_GROUP),
                      w + row_bytes * (size_t)r, row_bytes,
                      rows - r < INK_Q8_GROUP ? rows - r : INK_Q8_GROUP, cols);
    return packed;
}

static void check_level(const struct ink_kernels *level, const float *x, int n,
                        const unsigned char *w, int rows, int cols, const struct output *want)
{
    const unsigned char *packed = pack(level, w, rows, cols);
    /* Quantised rows end where memory does; what lies between them is not touched. */
    const size_t row = ink_q8_row_bytes(cols, level->q8_value_bytes), ldx = row + 16;
    unsigned char *q = input(1, ldx * (size_t)n - 16, 0);
    memset(q, 0x5a, ldx * (size_t)n - 16);
    for (int t = 0; t < n; t++) {
        const int middle = cols / 64 * 32;
        level->quantize_q8(q + ldx * (size_t)t, x + t * cols, cols, middle, cols);
        level->quantize_q8(q + ldx * (size_t)t, x + t * cols, cols, 0, middle);
        for (size_t i = row; t + 1 < n && i < ldx; i++)
            assert_int_equal(q[ldx * (size_t)t + i], 0x5a);
    }
    struct output got = output_new(want->bytes);
    level->matmul_q8(got.data, (size_t)rows + 3, q, ldx, n, packed, rows, cols, NULL);
    char what[128];
    snprintf(what, sizeof what, "%s: %d tokens, %d x %d", level->name, n, rows, cols);
    assert_same(what, &got, want);
}

static void check_matmul(int n, int rows, int cols, enum kind kind)
{
    static unsigned char w[MAX_ROWS * MAX_COLS / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2)];
    const size_t row_bytes = (size_t)(cols / INK_Q8_BLOCK) * (INK_Q8_BLOCK + 2);
    fill_weights(w, rows, cols, kind);
    float *x = input(2, (size_t)(n * cols) * sizeof *x, 0);
    fill_floats(x, (size_t)(n * cols), kind);
    const size_t ldy = (size_t)rows + 3;
    struct output want = output_new(((size_t)(n - 1) * ldy + (size_t)rows) * sizeof *x);
    for (int t = 0; t < n; t++)
        for (int r = 0; r < rows; r++)
            ((float *)want.data)[(size_t)t * ldy + (size_t)r] =
                reference_dot(x + t * cols, w + row_bytes * (size_t)r, cols);
    FOR_EACH_LEVEL(level, 0)
    check_level(level, x, n, w, rows, cols, &want);
    free(want.base);
}

static void products_are_the_definition_at_every_level(void **state)
{
    (void)state;
    for (int n = 1; n <= MAX_TOKENS; n++) {
        for (int k = 0; k < KINDS; k++) {
            check_matmul(n, random_int(1, MAX_ROWS), 32 * random_int(1, 8), (enum kind)k);
            check_matmul(n, 16 * random_int(1, 5), 32 * random_int(1, 8), (enum kind)k);
        }
    }
    for (int rows = 1; rows <= 49; rows++)
        check_matmul(random_int(1, 9), rows, 64, KIND_UNIT);
    check_matmul(3, 33, MAX_COLS, KIND_UNIT);
}

/* Blocks whose largest value is near a limit of the definition. */
static void activations_at_the_limits(void **state)
{
    (void)state;
    static const float largest[] = {0.0f,       0x1p-149f, 0x1.fffffep-101f, 0x1p-100f, FLT_MIN,
                                    0x1.8p-99f, 1.0f,      FLT_MAX,          INFINITY,  NAN};
    for (size_t k = 0; k < sizeof largest / sizeof *largest; k++) {
        float x[2 * INK_Q8_BLOCK];
        unsigned char w[2 * (INK_Q8_BLOCK + 2)];
        for (int i = 0; i < 2 * INK_Q8_BLOCK; i++)
            x[i] = random_float(KIND_UNIT) * (isfinite(largest[k]) ? largest[k] : 1.0f);
        x[7] = x[40] = -largest[k];
        fill_weights(w, 1, 2 * INK_Q8_BLOCK, KIND_UNIT);
        struct output want = output_new(sizeof(float));
        *(float *)want.data = reference_dot(x, w, 2 * INK_Q8_BLOCK);
        FOR_EACH_LEVEL(level, 0)
        check_level(level, x, 1, w, 1, 2 * INK_Q8_BLOCK, &want);
        free(want.base);
    }
}

/* Every activation 127 or -127, every weight an extreme: no partial sum may saturate. */
static void no_sum_saturates(void **state)
{
    (void)state;
    enum { n_patterns = 4, row_bytes = 2 + INK_Q8_BLOCK };
    static const int values[] = {-128, 127, -127};
    float x[n_patterns * INK_Q8_BLOCK];
    unsigned char w[INK_Q8_GROUP * row_bytes];
    for (int i = 0; i < INK_Q8_BLOCK; i++) {
        x[i] = 3;
        x[INK_Q8_BLOCK + i] = -3;
        x[2 * INK_Q8_BLOCK + i] = i % 2 ? 3 : -3;
        x[3 * INK_Q8_BLOCK + i] = random_bits() % 2 ? 3 : -3;
    }
    for (int r = 0; r < INK_Q8_GROUP; r++) {
        w[r * row_bytes] = 0;
        w[r * row_bytes + 1] = 0x3c; /* a scale of 1 */
        for (int i = 0; i < INK_Q8_BLOCK; i++)
            w[r * row_bytes + 2 + i] = (unsigned char)values[r < 3    ? r
                                                             : r == 3 ? i % 2
                                                                      : (int)(random_bits() % 3)];
    }
    const size_t ldy = INK_Q8_GROUP + 3;
    struct output want = output_new(((n_patterns - 1) * ldy + INK_Q8_GROUP) * sizeof *x);
    for (int t = 0; t < n_patterns; t++)
        for (int r = 0; r < INK_Q8_GROUP; r++)
            ((float *)want.data)[(size_t)t * ldy + (size_t)r] =
                reference_dot(x + t * INK_Q8_BLOCK, w + r * row_bytes, INK_Q8_BLOCK);
    FOR_EACH_LEVEL(level, 0)
    check_level(level, x, n_patterns, w, INK_Q8_GROUP, INK_Q8_BLOCK, &want);
    free(want.base);
}

/* Halves and odd numbers of halves round to even, whatever the sign. */
static void ties_round_to_even(void **state)
{
    (void)state;
    float x[INK_Q8_BLOCK] = {127.0f};
    for (int i = 1; i < INK_Q8_BLOCK; i++)
        x[i] = (float)i - 15.5f;
    int q[INK_Q8_BLOCK];
    assert_true(reference_block(q, x) == 127.0f * (1.0f / 127.0f));
    for (int i = 1; i < INK_Q8_BLOCK; i++)
        assert_int_equal(q[i] % 2, 0);
    unsigned char w[INK_Q8_BLOCK + 2] = {0x00, 0x3c}; /* a scale of 1 */
    for (int i = 0; i < INK_Q8_BLOCK; i++) {
        memset(w + 2, 0, INK_Q8_BLOCK);
        w[2 + i] = 1;
        struct output want = output_new(sizeof(float));
        *(float *)want.data = (float)q[i] * (127.0f * (1.0f / 127.0f));
        FOR_EACH_LEVEL(level, 0)
        check_level(level, x, 1, w, 1, INK_Q8_BLOCK, &want);
        free(want.base);
    }
}

/* Loading rounds weights as quantising a file does. */
static void weights_round_as_in_a_file(void **state)
{
    (void)state;
    enum { N = 4 * INK_Q8_BLOCK, BYTES = N / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2) };
    for (int round = 0; round < 2000; round++) {
        float *x = input(2, N * sizeof *x, 0);
        fill_floats(x, N, (enum kind)(round % KINDS));
        for (int i = 0; i < N && round % 7 == 6; i++) /* ties */
            x[i] = i % INK_Q8_BLOCK ? (float)random_int(-254, 254) / 2.0f : 127.0f;
        unsigned char want[BYTES];
        ink_quantize_q8_0(want, x, N);
        FOR_EACH_LEVEL(level, 0)
        {
            struct output got = output_new(BYTES);
            level->round_q8(got.data, x, N);
            assert_canaries(&got);
            for (int i = 0; i < BYTES; i++) /* the sign and payload of a NaN scale may differ */
                if (((unsigned char *)got.data)[i] != want[i] && i % (INK_Q8_BLOCK + 2) >= 2)
                    fail_msg("%s: round %d, byte %d is %d, should be %d", level->name, round, i,
                             ((unsigned char *)got.data)[i], want[i]);
            for (int b = 0; b < BYTES; b += INK_Q8_BLOCK + 2) {
                uint16_t g, w;
                memcpy(&g, (unsigned char *)got.data + b, sizeof g);
                memcpy(&w, want + b, sizeof w);
                assert_true(g == w || ((g & 0x7fff) > 0x7c00 && (w & 0x7fff) > 0x7c00));
            }
            free(got.base);
        }
    }
}

static void blocks_widen_to_their_products(void **state)
{
    (void)state;
    enum { BLOCKS = 3, N = BLOCKS * INK_Q8_BLOCK, BYTES = BLOCKS * (INK_Q8_BLOCK + 2) };
    for (int round = 0; round < 500; round++) {
        unsigned char x[BYTES];
        for (int i = 0; i < BYTES; i++)
            x[i] = (unsigned char)random_int(0, 255);
        FOR_EACH_LEVEL(level, 0)
        {
            struct output got = output_new(N * sizeof(float));
            level->f32_from_q8_0(got.data, x, N);
            assert_canaries(&got);
            for (int i = 0; i < N; i++) {
                const unsigned char *block = x + i / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2);
                const float d = ink_f32_from_f16((uint16_t)(block[0] | block[1] << 8));
                const float want = (float)(signed char)block[2 + i % INK_Q8_BLOCK] * d;
                assert_true(same_float(((float *)got.data)[i], want) ||
                            (isnan(want) && isnan(((float *)got.data)[i])));
            }
            free(got.base);
        }
    }
}

static void packing_can_be_undone(void **state)
{
    (void)state;
    enum { COLS = 96, ROWS = 13 };
    unsigned char w[ROWS * COLS / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2)];
    unsigned char packed[INK_Q8_GROUP * COLS / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2)];
    const size_t row_bytes = COLS / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2);
    fill_weights(w, ROWS, COLS, KIND_UNIT);
    FOR_EACH_LEVEL(level, 0)
    {
        ink_pack_q8_0(level, packed, w, row_bytes, ROWS, COLS);
        for (int r = 0; r < INK_Q8_GROUP; r++) {
            float got[COLS], want[COLS] = {0};
            if (r < ROWS)
                ink_dequantize(want, w + row_bytes * (size_t)r, INK_TYPE_Q8_0, COLS);
            ink_unpack_q8_row(level, got, packed, r, COLS);
            for (int i = 0; i < COLS; i++)
                assert_true(got[i] == want[i]);
        }
    }
}

/* A group in two planes. */
struct planes {
    unsigned char *data;
    float rest[INK_Q8_GROUP];
};

static struct planes split(const struct ink_kernels *level, const unsigned char *packed, int cols)
{
    /* the next group's upper plane is asked for, so these may end where memory does */
    struct planes p = {.data = input(1, ink_q8_group_bytes(cols), 0)};
    int32_t *scratch = malloc(2 * INK_Q8_GROUP * (size_t)(cols / INK_Q8_BLOCK) * sizeof *scratch);
    ink_split_q8(level, p.data, p.rest, scratch, packed, cols);
    free(scratch);
    return p;
}

static void planes_are_the_group(void **state)
{
    (void)state;
    enum { COLS = 256, BYTES = INK_Q8_GROUP * COLS / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2) };
    static unsigned char w[BYTES];
    for (int round = 0; round < 40; round++) {
        fill_weights(w, INK_Q8_GROUP, COLS, round % 2 ? KIND_UNIT : KIND_HUGE);
        FOR_EACH_LEVEL(level, 0)
        {
            const unsigned char *packed = pack(level, w, INK_Q8_GROUP, COLS);
            const struct planes planes = split(level, packed, COLS);
            struct output joined = output_new(BYTES);
            level->join_q8(joined.data, planes.data, COLS);
            assert_canaries(&joined);
            assert_memory_equal(joined.data, packed, BYTES);
            free(joined.base);
        }
    }
}

/* |a| of the int8 row made of x */
static double quantized_length(const float *x, int cols)
{
    double squares = 0.0;
    for (int b = 0; b < cols / INK_Q8_BLOCK; b++) {
        int q[INK_Q8_BLOCK];
        const double d = (double)reference_block(q, x + b * INK_Q8_BLOCK);
        for (int i = 0; i < INK_Q8_BLOCK; i++)
            squares += d * d * q[i] * q[i];
    }
    return sqrt(squares);
}

/* Products of n tokens with the upper plane, which differ from the whole ones by no more than the
 * bound. */
static void check_screened(const struct ink_kernels *level, const float *x, int n,
                           const unsigned char *w, int cols)
{
    const size_t ldx = ink_q8_row_bytes(cols, level->q8_value_bytes), ldy = INK_Q8_GROUP + 3;
    const size_t row_bytes = (size_t)(cols / INK_Q8_BLOCK) * (INK_Q8_BLOCK + 2);
    const struct planes planes = split(level, pack(level, w, INK_Q8_GROUP, cols), cols);
    unsigned char *q = input(2, ldx * (size_t)n, 0), *scratch = malloc(ink_q8_group_bytes(cols));
    struct output got = output_new(((size_t)(n - 1) * ldy + INK_Q8_GROUP) * sizeof *x);
    for (int t = 0; t < n; t++)
        level->quantize_q8(q + ldx * (size_t)t, x + t * cols, cols, 0, cols);
    level->screen_q8(got.data, ldy, q, ldx, n, planes.data, cols, scratch);
    assert_canaries(&got);
    for (int t = 0; t < n; t++) {
        const double length = quantized_length(x + t * cols, cols);
        for (int r = 0; r < INK_Q8_GROUP; r++) {
            const float part = ((float *)got.data)[(size_t)t * ldy + (size_t)r];
            const float whole = reference_dot(x + t * cols, w + row_bytes * (size_t)r, cols);
            assert_true(fabs((double)whole - (double)part) <= (double)planes.rest[r] * length);
        }
    }
    free(got.base);
    free(scratch);
}

/* All of each difference in one direction, and starts that are rounded as far as can be. */
static void bounds_are_never_passed(void **state)
{
    (void)state;
    enum { COLS = 256, BYTES = INK_Q8_GROUP * COLS / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2) };
    static unsigned char w[BYTES];
    for (int round = 0; round < 16; round++) {
        const float sign = round % 2 ? 1.0f : -1.0f;
        float x[COLS];
        for (int i = 0; i < COLS; i++)
            x[i] = i % INK_Q8_BLOCK < 8 ? -sign : sign;
        for (int i = 0; i < BYTES; i++) {
            const int at = i % (2 + INK_Q8_BLOCK) - 2;
            w[i] = at < -1  ? 0
                   : at < 0 ? 0x3c /* a scale of 1 */
                            : (unsigned char)(8 * random_int(0, 31) + (x[at] * sign > 0 ? 0 : 7));
        }
        FOR_EACH_LEVEL(level, 0)
        check_screened(level, x, 1, w, COLS);
    }
}

static void screened_products_are_the_upper_planes(void **state)
{
    (void)state;
    enum { COLS = 256, BYTES = INK_Q8_GROUP * COLS / INK_Q8_BLOCK * (INK_Q8_BLOCK + 2) };
    static unsigned char w[BYTES];
    static float x[MAX_TOKENS * COLS];
    for (int n = 1; n <= MAX_TOKENS; n++) {
        for (int round = 0; round < 6; round++) {
            const int cols = INK_Q8_BLOCK * random_int(1, COLS / INK_Q8_BLOCK);
            fill_weights(w, INK_Q8_GROUP, cols, round % 2 ? KIND_UNIT : KIND_TINY);
            for (int i = 0; i < BYTES && round > 2; i++) /* extremes: no partial sum may overflow */
                w[i] = i % (2 + INK_Q8_BLOCK) < 2 ? w[i] : round % 2 ? 127 : 128;
            fill_floats(x, (size_t)(n * cols), KIND_UNIT);
            for (int i = 0; i < n * cols && round > 1; i++)
                x[i] = ((w[2 + i % 32] + 128) & 7) < 4 ? -1.0f : 1.0f; /* as far off as can be */
            FOR_EACH_LEVEL(level, 0)
            check_screened(level, x, n, w, cols);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_the_definition_at_every_level),
        cmocka_unit_test(activations_at_the_limits),
        cmocka_unit_test(no_sum_saturates),
        cmocka_unit_test(ties_round_to_even),
        cmocka_unit_test(weights_round_as_in_a_file),
        cmocka_unit_test(blocks_widen_to_their_products),
        cmocka_unit_test(packing_can_be_undone),
        cmocka_unit_test(planes_are_the_group),
        cmocka_unit_test(screened_products_are_the_upper_planes),
        cmocka_unit_test(bounds_are_never_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
