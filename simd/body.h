/* Every kernel of kernels.h, written once over 16 lanes and compiled once for each level: here the
 * table and what works on rows; in matmul.h, lowrank.h, int8.h, planes.h, attention.h, gemm.h,
 * training.h the rest.
 *
 * The file that includes this one has defined what lanes.h needs, and
 *
 *   LEVEL_NAME, LEVEL_TABLE      the name and the symbol of the table
 *   TILE_ROWS, TILE_TOKENS       shape of a matmul tile whose accumulators fit the registers
 *   GEMM_ROWS, GEMM_PANELS       what gemm.h needs
 *   what int8.h needs
 *
 * The always-inline functions here and there take loop bounds and types as arguments that are
 * constants wherever they are called. */
#include "lanes.h"

#include "matmul.h"

#include "lowrank.h"

#include "attention.h"

#include "gemm.h"

#include "int8.h"
#include "planes.h"

#include "training.h"

static void rmsnorm(float *y, const float *x, const float *gain, int n, float eps)
{
    v16 squares = v_set1(0.0f);
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        v16 a = v_load(x + i);
        squares = v_fma(a, a, squares);
    }
    if (i < n) {
        v16 a = v_load_n(x + i, n - i);
        squares = v_fma(a, a, squares);
    }
    const v16 scale = v_set1(1.0f / sqrtf(v_tree_sum(squares) / (float)n + eps));
    for (i = 0; i + 16 <= n; i += 16)
        v_store(y + i, v_mul(v_mul(v_load(x + i), scale), v_load(gain + i)));
    if (i < n) {
        v16 a = v_mul(v_mul(v_load_n(x + i, n - i), scale), v_load_n(gain + i, n - i));
        v_store_n(y + i, a, n - i);
    }
}

INLINE v16 silu_times(v16 gate, v16 up)
{
    v16 e = ink_exp(v_mul(gate, v_set1(-1.0f)));
    return v_mul(v_div(gate, v_add(v_set1(1.0f), e)), up);
}

static void swiglu(float *y, const float *gate, const float *up, int n)
{
    int i = 0;
    for (; i + 16 <= n; i += 16)
        v_store(y + i, silu_times(v_load(gate + i), v_load(up + i)));
    if (i < n)
        v_store_n(y + i, silu_times(v_load_n(gate + i, n - i), v_load_n(up + i, n - i)), n - i);
}

static void exp_below(float *y, const float *x, float most, size_t n)
{
    const v16 m = v_set1(most);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        v_store(y + i, ink_exp(v_sub(v_load(x + i), m)));
    if (i < n)
        v_store_n(y + i, ink_exp(v_sub(v_load_n(x + i, (int)(n - i)), m)), (int)(n - i));
}

/* In lane order a, b, a, b: both halves of a rotation are fma(self, cos, other * (-sin, +sin)). */
INLINE v16 rotate_pairs(v16 x, v16 cos, v16 sin)
{
    static const float signs[16] = {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1};
    return v_fma(x, cos, v_mul(v_swap_pairs(x), v_mul(sin, v_load(signs))));
}

static void rope_interleaved(float *x, const float *cos, const float *sin, int head_dim)
{
    int i = 0;
    for (; i + 16 <= head_dim; i += 16)
        v_store(x + i,
                rotate_pairs(v_load(x + i), v_load_pairs(cos + i / 2), v_load_pairs(sin + i / 2)));
    if (i < head_dim) {
        const int left = head_dim - i;
        float c[8] = {0}, s[8] = {0};
        memcpy(c, cos + i / 2, (size_t)left / 2 * sizeof *c);
        memcpy(s, sin + i / 2, (size_t)left / 2 * sizeof *s);
        v16 a = rotate_pairs(v_load_n(x + i, left), v_load_pairs(c), v_load_pairs(s));
        v_store_n(x + i, a, left);
    }
}

static void rope_half(float *x, const float *cos, const float *sin, int head_dim)
{
    const int half = head_dim / 2;
    const v16 minus = v_set1(-1.0f);
    float *y = x + half;
    int j = 0;
    for (; j + 16 <= half; j += 16) {
        v16 a = v_load(x + j), b = v_load(y + j), c = v_load(cos + j), s = v_load(sin + j);
        v_store(x + j, v_fma(a, c, v_mul(minus, v_mul(b, s))));
        v_store(y + j, v_fma(b, c, v_mul(a, s)));
    }
    if (j < half) {
        const int n = half - j;
        v16 a = v_load_n(x + j, n), b = v_load_n(y + j, n);
        v16 c = v_load_n(cos + j, n), s = v_load_n(sin + j, n);
        v_store_n(x + j, v_fma(a, c, v_mul(minus, v_mul(b, s))), n);
        v_store_n(y + j, v_fma(b, c, v_mul(a, s)), n);
    }
}

INLINE void widen(float *y, const unsigned char *x, size_t n, enum type type)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        v_store(y + i, v_load_type(x + i * type_size(type), type));
    if (i < n)
        v_store_n(y + i, v_load_type_n(x + i * type_size(type), (int)(n - i), type), (int)(n - i));
}

static void f32_from_bf16(float *y, const void *x, size_t n)
{
    widen(y, x, n, TYPE_BF16);
}

static void f32_from_f16(float *y, const void *x, size_t n)
{
    widen(y, x, n, TYPE_F16);
}

static void f32_from_q8_0(float *y, const void *x, size_t n)
{
    const unsigned char *block = x;
    for (size_t i = 0; i < n; i += 32, block += 34) {
        float scale[16];
        v_store(scale, v_load_type_n(block, 1, TYPE_F16));
        const v16 d = v_set1(scale[0]);
        v_store(y + i, v_mul(v_load_type(block + 2, TYPE_I8), d));
        v_store(y + i + 16, v_mul(v_load_type(block + 18, TYPE_I8), d));
    }
}

INLINE void v_store_f16(uint16_t *y, v16 a)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        vp_store_f16(y + p * V_LANES, a.p[p]);
}

static void f16_from_f32(uint16_t *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        v_store_f16(y + i, v_load(x + i));
    if (i < n) {
        uint16_t whole[16];
        v_store_f16(whole, v_load_n(x + i, (int)(n - i)));
        memcpy(y + i, whole, (n - i) * sizeof *y);
    }
}

INLINE void v_store_bf16(unsigned char *y, v16 a)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        vp_store_bf16(y + 2 * p * V_LANES, a.p[p]);
}

static void bf16_from_f32(void *y, const float *x, size_t n)
{
    unsigned char *to = y;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        v_store_bf16(to + 2 * i, v_load(x + i));
    if (i < n) {
        unsigned char whole[32];
        v_store_bf16(whole, v_load_n(x + i, (int)(n - i)));
        memcpy(to + 2 * i, whole, (n - i) * 2);
    }
}

const struct ink_kernels LEVEL_TABLE = {
    .name = LEVEL_NAME,
    .matmul_f32 = matmul_f32,
    .matmul_bf16 = matmul_bf16,
    .matmul_f16 = matmul_f16,
    .add_low_rank = add_low_rank,
    .round_q8 = round_q8,
    .q8_value_bytes = Q8_VALUE_BYTES,
    .q8_offset = Q8_OFFSET,
    .quantize_q8 = quantize_q8,
    .matmul_q8 = matmul_q8,
    .split_q8 = split_q8,
    .join_q8 = join_q8,
    .screen_q8 = screen_q8,
    .rmsnorm = rmsnorm,
    .swiglu = swiglu,
    .exp_below = exp_below,
    .rope_interleaved = rope_interleaved,
    .rope_half = rope_half,
    .attend_f32 = attend_f32,
    .attend_f16 = attend_f16,
    .attend_q8 = attend_q8,
    .attend_merge = attend_merge,
    .attend_finish = attend_finish,
    .i8_from_f32 = i8_from_f32,
    .f32_from_bf16 = f32_from_bf16,
    .f32_from_f16 = f32_from_f16,
    .f32_from_q8_0 = f32_from_q8_0,
    .f16_from_f32 = f16_from_f32,
    .bf16_from_f32 = bf16_from_f32,
    .sum_squares = sum_squares,
    .adamw = adamw,
    .gemm = gemm,
    .gemm_pack = gemm_pack,
    .has_bf16 = HAS_BF16_DOT,
    .gemm_bf16 = gemm_bf16,
    .gemm_pack_bf16 = gemm_pack_bf16,
    .turn = turn,
};
