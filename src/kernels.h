/* The hot loops of the CPU backend: one table of functions for each instruction-set level.
 *
 * Every function is defined as one fixed sequence of IEEE-754 operations for each element of its
 * result, and every level gives the same bits (a NaN is any NaN), but for the bounds that screen_q8
 * and split_q8 make, and denormal numbers in bf16. The definition:
 *
 *   fma(a, b, c)   rounds once. Nothing else is contracted or reordered.
 *   lanes          a reduction over i = 0..n-1 keeps 16 partial results; element i belongs to lane
 *                  i mod 16, and a lane takes its elements in rising order. The last group is
 *                  padded with +0 elements, so every lane takes ceil(n / 16) of them; they start
 *                  at +0.
 *   tree           the 16 lanes are added as t8[j] = t[j] + t[j+8], t4[j] = t8[j] + t8[j+4],
 *                  t2[j] = t4[j] + t4[j+2], t1 = t2[0] + t2[1]. A maximum uses the same tree.
 *   max(a, b)      a > b ? a : b  (a NaN in a gives b).
 *   exp            ink_exp of simd/body.h: argument reduction by log2(e) with fma, a polynomial,
 *                  a scaling by a power of two; not libm's.
 *   sqrt, /        correctly rounded.
 *
 * So a result depends on no thread count, tile shape, batch or instruction set. Threads: all
 * functions are pure; callers split the work. Pointers need the alignment of their element only,
 * and weights need none at all (a mapped file may put them at any byte), but float activations that
 * start at a cache line (64 bytes) make matmul up to a third faster. No function reads or writes a
 * byte outside the arrays it was given. */
#ifndef INK_KERNELS_H
#define INK_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Positions that share one running maximum's step, and positions whose result is independent of all
 * others until it is merged; part of the definition of attend below. */
#define INK_ATTENTION_BLOCK 128
#define INK_ATTENTION_SPAN 512

#define INK_ATTENTION_QUERIES 64 /* rows times heads of one call, at most */
#define INK_KV_GROUP 16          /* positions that lie side by side in a cache */

/* A key/value cache of one layer and one key/value head of one session. Position t is t mod 16 of
 * group t / 16; there is memory for an even number of groups. */
struct ink_kv_view {
    const void *k; /* [groups, head_dim, 16 positions] */
    const void
        *v; /* [groups, ceil(head_dim / 16), 16 positions, 16 dimensions]; +0 past head_dim */
    const float *k_scales, *v_scales; /* [groups * 16], int8 only: a value is byte * scale */
};

/* Neighbouring rows of one session, and the heads of each that share one key/value head. */
struct ink_attention {
    struct ink_kv_view kv;
    const float *q;    /* row r, head h: head_dim values at r * row_stride + h * head_dim */
    float *out;        /* the same */
    size_t row_stride; /* floats */
    int n_rows, n_heads;
    int n_pos; /* row r sees positions 0..n_pos + r - 1; the last ones of all rows lie in one block
                */
    int head_dim;
    float scale;
};

/* Floats that the attention of a span takes for n queries: m and l of each, o in rows of head_dim,
 * n rounded up to 16, and head_dim too. */
static inline size_t ink_attention_partial_floats(int n_queries, int head_dim)
{
    return ((size_t)n_queries + 15) / 16 * 16 * (2 + ((size_t)head_dim + 15) / 16 * 16);
}

#define INK_Q8_BLOCK 32
#define INK_Q8_GROUP 16 /* rows packed side by side */

/* Bytes of INK_Q8_GROUP packed rows, a multiple of 64 from an aligned start if cols is one of 64.
 */
static inline size_t ink_q8_group_bytes(int cols)
{
    return (size_t)(cols / INK_Q8_BLOCK) * INK_Q8_GROUP * (INK_Q8_BLOCK + 2);
}

/* A packed group in two planes: scales as they are; for each block the upper five bits of 128 +
 * each weight (for each two steps of 4 columns 64 bytes, the even step's upper four bits above the
 * odd step's; then 64 bytes whose bit k is bit 3 of step k); then for each block the lower three
 * (for each four steps 64 bytes, bits 1 and 2 of step k in bits 2 (k mod 4) and above; then bit 0
 * like bit 3). */
#define INK_Q8_HIGH 320 /* bytes of a block */
#define INK_Q8_LOW 192

/* Bytes of a quantised row of activations: values, a scale and what sums start with for each block.
 */
static inline size_t ink_q8_row_bytes(int cols, int value_bytes)
{
    return (size_t)cols * (size_t)value_bytes + (size_t)(cols / INK_Q8_BLOCK) * 8;
}

/* Memory to ask for while a kernel computes, spread over its work: the same rows of several places.
 * A hint: it may point past what is there. */
struct ink_fetch {
    const void *places[3];
    int n_places;
    int rows;
    size_t row_bytes, stride; /* bytes of a row, a multiple of 64, and from one row to the next */
};

/* The constants of a step of AdamW; what they are made of stands in train/optimizer.h. */
struct ink_adamw {
    float clip, keep, beta1, rest1, beta2, rest2, rate, epsilon;
};

struct ink_kernels {
    const char *name; /* the argument of --cpu-level: "c", or "avx2" ... of simd/ */

    /* y[t * ldy + r] = sum over c of x[t * ldx + c] * w[r, c], for t < n, r < rows.
     * Each sum: lanes over c with acc = fma(w, x, acc), then the tree.
     * x [n, ldx >= cols] float; w [rows, cols] row-major of the named type; y [n, ldy >= rows]. */
    void (*matmul_f32)(float *y, size_t ldy, const float *x, size_t ldx, int n, const void *w,
                       int rows, int cols);
    void (*matmul_bf16)(float *y, size_t ldy, const float *x, size_t ldx, int n, const void *w,
                        int rows, int cols);
    void (*matmul_f16)(float *y, size_t ldy, const float *x, size_t ldx, int n, const void *w,
                       int rows, int cols);

    /* y[t * ldy + i] += the last of s_k = fma(x[t * ldx + k], b[i / 16][k][i % 16], s_{k-1}),
     * k = 0 to rank - 1, s_{-1} = +0; for t < n, i < cols. x [n, ldx >= rank],
     * b [ceil(cols / 16), rank, 16], y [n, ldy >= cols]; y overlaps neither. */
    void (*add_low_rank)(float *y, size_t ldy, const float *x, size_t ldx, int n, const float *b,
                         int rank, int cols);

    /* matmul with int8 activations and packed weights. Block b holds columns 32 b to 32 b + 31;
     * cols is a multiple of 32.
     *
     * quantize_q8 writes columns begin..end-1 (multiples of 32) of a row of ink_q8_row_bytes(cols,
     * q8_value_bytes) bytes, aligned to 4, in the level's own order. For each block, with m the
     * largest |x|: d = m * (1 / 127 rounded), q = x * (127 / m) rounded to nearest even; m < 2^-100
     * gives d = 0, q = 0; a NaN or infinity in the block gives d = NaN, q = 0.
     *
     * matmul_q8: y[t * ldy + r] = the last of s_b = fma(float(sum of q w over block b) * dw, d,
     * s_{b-1}), s_{-1} = 0, dw the weights' scale for row r, block b. x: n quantised rows, ldx
     * bytes apart; w: groups of 16 rows packed by ink_pack_q8_0 (pack.h), rows counted from a
     * group's first; next: the group or planes that will be read then, asked for meanwhile, or NULL
     * for what follows w. */
    int q8_value_bytes;
    int q8_offset; /* packed bytes are weights plus this: 128, or 0 (two's complement) */
    void (*quantize_q8)(void *out, const float *x, int cols, int begin, int end);
    void (*matmul_q8)(float *y, size_t ldy, const void *x, size_t ldx, int n, const void *w,
                      int rows, int cols, const void *next);

    /* n weights, a multiple of 32, to Q8_0 blocks: ink_quantize_q8_0 of quant.h, byte for byte. */
    void (*round_q8)(void *out, const float *x, size_t n);

    /* The planes of a packed group, and for each block and row [cols / 32, 16] the sums over its 32
     * bytes of (2 l)^2, l what screen_q8 leaves out of a weight, and of the weights' squares. */
    void (*split_q8)(void *planes, int32_t *left, int32_t *all, const void *group, int cols);

    /* A packed group from its planes. */
    void (*join_q8)(void *group, const void *planes, int cols);

    /* matmul_q8 for the 16 rows of a group in planes, from the upper one alone, with 4 for the
     * lower three bits (or 3.5, as the level has it) and 8 more or less in the sum of any block,
     * while the upper plane of the group that follows in memory is asked for. scratch:
     * ink_q8_group_bytes(cols) for the kernel's own use. */
    void (*screen_q8)(float *y, size_t ldy, const void *x, size_t ldx, int n, const void *planes,
                      int cols, void *scratch);

    /* RMSNorm of one row: ss = lanes and tree of fma(x, x, acc); scale = 1 / sqrt(ss / n + eps);
     * y[i] = (x[i] * scale) * gain[i]. y may be x. */
    void (*rmsnorm)(float *y, const float *x, const float *gain, int n, float eps);

    /* y[i] = (gate[i] / (1 + exp(-gate[i]))) * up[i]. y may be gate or up. */
    void (*swiglu)(float *y, const float *gate, const float *up, int n);

    /* y[i] = exp(x[i] - most). y may be x. */
    void (*exp_below)(float *y, const float *x, float most, size_t n);

    /* Rotate one head in place. cos, sin [head_dim / 2].
     * Pair j is (x[2j], x[2j+1]) in rope_interleaved, (x[j], x[j + head_dim/2]) in rope_half:
     * a' = fma(a, cos, -(b * sin)), b' = fma(b, cos, a * sin). head_dim even. */
    void (*rope_interleaved)(float *x, const float *cos, const float *sin, int head_dim);
    void (*rope_half)(float *x, const float *cos, const float *sin, int head_dim);

    /* Attention over the span of INK_ATTENTION_SPAN positions from `begin`, a multiple of that, as
     * far as each row sees; all rows see some of it. partial: ink_attention_partial_floats(n_rows *
     * n_heads, head_dim); scores: scratch, INK_ATTENTION_QUERIES * INK_ATTENTION_BLOCK floats.
     * For each query (a row's head) and each block of INK_ATTENTION_BLOCK positions:
     *   s_t = c * scale, where c = fma(k_t[d], q[d], c) for d rising, from +0; for int8 bytes k_t
     *   and s_t = c * (k_scale_t * scale). Up to a multiple of 16 positions s_t = -inf.
     *   m = max_t s_t and l = sum_t e_t by lanes and tree, e_t = exp(s_t - m);
     *   o[d] = fma(w_t, v_t[d], o[d]) for t rising, from +0, where w_t = e_t, or for int8 bytes v_t
     *   w_t = e_t * v_scale_t.
     * A span is its blocks merged from the first to the last. */
    void (*attend_f32)(float *partial, const struct ink_attention *a, int begin, float *scores);
    void (*attend_f16)(float *partial, const struct ink_attention *a, int begin, float *scores);
    void (*attend_q8)(float *partial, const struct ink_attention *a, int begin, float *scores);

    /* partial = merge(partial, later): m' = max(m, m2), f = exp(m - m'), g = exp(m2 - m');
     * l = fma(l, f, l2 * g), o[d] = fma(o[d], f, o2[d] * g), m = m'. The attention of a row is its
     * spans merged from the first to the last, and then attend_finish: out[d] = o[d] / l. */
    void (*attend_merge)(float *partial, const float *later, int n_queries, int head_dim);
    void (*attend_finish)(const struct ink_attention *a, float *partial);

    /* A row for an int8 cache, returns its scale: with m the largest |x|, d = m * (1 / 127 rounded)
     * and y = the integer nearest to x * (127 / m), that product not rounded, ties to even; m <
     * 2^-100 gives d = 0, y = 0; a NaN or infinity gives d = NaN, y = 0. y may be x. */
    float (*i8_from_f32)(int8_t *y, const float *x, int n);

    /* Exact widening, and narrowing by round-to-nearest-even (overflow gives infinity). The level
     * avx512-bf16 takes denormal numbers for 0 where it makes bf16 of them. */
    void (*f32_from_bf16)(float *y, const void *x, size_t n);
    void (*f32_from_f16)(float *y, const void *x, size_t n);
    void (*f16_from_f32)(uint16_t *y, const float *x, size_t n);
    void (*bf16_from_f32)(void *y, const float *x, size_t n);
    /* n values, a multiple of 32, of Q8_0 blocks: float(byte) * float(scale). */
    void (*f32_from_q8_0)(float *y, const void *x, size_t n);

    /* Training, over all values of a model; n is a multiple of 16.
     * sum_squares: lanes and tree of fma(x, x, acc).
     * adamw: g' = g * clip; m = fma(m, beta1, g' * rest1); v = fma(v, beta2, (g' * g') * rest2);
     * p = fma(m / (sqrt(v) + epsilon), -rate, p * keep). */
    float (*sum_squares)(const float *x, size_t n);
    void (*adamw)(float *p, float *m, float *v, const float *g, size_t n,
                  const struct ink_adamw *by);

    /* c[i, j] (+)= sum over p < k of a[i, p] * b[p, j], for i < m, j < 16 * panels: the last of
     * s_p = fma(a, b, s_{p-1}), where s_{-1} is c[i, j] if it adds, else +0.
     * a[i, p] is a[i * a_row + p * a_col]; b [panels][k, 16], `panel` floats from one to the next;
     * c [m, ldc >= 16 * panels], which overlaps neither. ahead: or NULL. */
    void (*gemm)(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b,
                 size_t panel, int m, int panels, int k, int adds, const struct ink_fetch *ahead);
    /* y [cols, ldy] (+)= xᵀ, x [rows, ldx] */
    void (*turn)(float *y, size_t ldy, const float *x, size_t ldx, int rows, int cols, int adds);
    /* b of gemm: to [panels][rows, 16], `panel` floats from one to the next, = x [rows, ldx]. */
    void (*gemm_pack)(float *to, size_t panel, const float *x, size_t ldx, int rows, int panels);

    /* Whether the level has an instruction for gemm_bf16: two multiply-adds where gemm has one. */
    int has_bf16;

    /* The same with two bf16 values in the place of each float of a and b, the first in its lower
     * half: s_p = fma(a0, b0, fma(a1, b1, s_{p-1})). a, b need the alignment of bf16 only. The
     * level avx512-bf16 takes denormal numbers, sums among them, for 0. */
    void (*gemm_bf16)(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                      const float *b, size_t panel, int m, int panels, int k, int adds,
                      const struct ink_fetch *ahead);
    /* Its b: to [ceil(cols / 16)][ceil(rows / 2), 16] = rows 2 p and 2 p + 1 of x [rows, ldx],
     * rounded to nearest even; 0 beyond x. */
    void (*gemm_pack_bf16)(float *to, size_t panel, const float *x, size_t ldx, int rows, int cols);
};

/* The C level: the reference that the tests hold every other level against. Never NULL. */
const struct ink_kernels *ink_kernels_c(void);

/* The i-th level that this build has and this CPU can run, in rising order of preference, the C
 * level first; NULL past the end. */
const struct ink_kernels *ink_kernels_at(int i);

/* The level called `name`, or the best one for NULL or "auto"; NULL if the build or CPU lacks it.
 */
const struct ink_kernels *ink_kernels_find(const char *name);

#endif
