/* The hot loops of the CPU backend: one table of functions for each instruction-set level.
 *
 * Every function is defined as one fixed sequence of IEEE-754 operations for each element of its
 * result, and every level gives the same bits (a NaN is any NaN). The definition:
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

/* Positions that attention takes at a time; part of the definition of attend below. */
#define INK_ATTENTION_BLOCK 128

/* A key/value cache of one layer, one key/value head of one session. */
struct ink_kv_view {
    const void *k; /* [n_pos, head_dim], contiguous rows */
    const void *v; /* [n_pos, head_dim] */
};

#define INK_Q8_BLOCK 32
#define INK_Q8_GROUP 16 /* rows packed side by side */

/* Bytes of INK_Q8_GROUP packed rows, a multiple of 64 from an aligned start if cols is one of 64.
 */
static inline size_t ink_q8_group_bytes(int cols)
{
    return (size_t)(cols / INK_Q8_BLOCK) * INK_Q8_GROUP * (INK_Q8_BLOCK + 2);
}

/* A packed group in two planes: scales as they are; for each block the upper five bits of its bytes
 * (for each two steps of 4 columns 64 bytes, the even step's upper four bits above the odd step's;
 * then 64 bytes whose bit k is bit 3 of step k); then for each block the lower three (for each four
 * steps 64 bytes, bits 1 and 2 of step k in bits 2 (k mod 4) and above; then bit 0 like bit 3). */
#define INK_Q8_HIGH 320 /* bytes of a block */
#define INK_Q8_LOW 192

/* Bytes of a quantised row of activations: values, a scale and a sum for each block. */
static inline size_t ink_q8_row_bytes(int cols, int value_bytes)
{
    return (size_t)cols * (size_t)value_bytes + (size_t)(cols / INK_Q8_BLOCK) * 8;
}

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

    /* The same with int8 activations and packed weights. Block b holds columns 32 b to 32 b + 31;
     * cols is a multiple of 32.
     *
     * quantize_q8 writes columns begin..end-1 (multiples of 32) of a row of ink_q8_row_bytes(cols,
     * q8_value_bytes) bytes, aligned to 4, in the level's own order. For each block, with m the
     * largest |x|: d = m * (1 / 127 rounded), q = x * (127 / m) rounded to nearest even; m < 2^-100
     * gives d = 0, q = 0; a NaN or infinity in the block gives d = NaN, q = 0.
     *
     * matmul_q8: y[t * ldy + r] = the last of s_b = fma(float(sum of q w over block b) * dw, d,
     * s_{b-1}), s_{-1} = 0, dw the weights' scale for row r, block b. x: n quantised rows, ldx
     * bytes apart; w: groups of 16 rows packed by ink_pack_q8_0 (quant.h), rows counted from a
     * group's first. */
    int q8_value_bytes;
    void (*quantize_q8)(void *out, const float *x, int cols, int begin, int end);
    void (*matmul_q8)(float *y, size_t ldy, const void *x, size_t ldx, int n, const void *w,
                      int rows, int cols);

    /* A packed group from its planes; without `whole` from the upper alone, with 4 for the lower
     * three bits. */
    void (*join_q8)(void *group, const void *planes, int cols, int whole);

    /* RMSNorm of one row: ss = lanes and tree of fma(x, x, acc); scale = 1 / sqrt(ss / n + eps);
     * y[i] = (x[i] * scale) * gain[i]. y may be x. */
    void (*rmsnorm)(float *y, const float *x, const float *gain, int n, float eps);

    /* y[i] = (gate[i] / (1 + exp(-gate[i]))) * up[i]. y may be gate or up. */
    void (*swiglu)(float *y, const float *gate, const float *up, int n);

    /* Rotate one head in place. cos, sin [head_dim / 2].
     * Pair j is (x[2j], x[2j+1]) in rope_interleaved, (x[j], x[j + head_dim/2]) in rope_half:
     * a' = fma(a, cos, -(b * sin)), b' = fma(b, cos, a * sin). head_dim even. */
    void (*rope_interleaved)(float *x, const float *cos, const float *sin, int head_dim);
    void (*rope_half)(float *x, const float *cos, const float *sin, int head_dim);

    /* Attention of one query row's n_heads heads that share one key/value head, over positions
     * 0..n_pos-1 (n_pos >= 1). q, out [n_heads, head_dim]; scores: scratch of
     * n_heads * INK_ATTENTION_BLOCK floats. For each head, with m = -inf, l = 0, o = 0, for each
     * block of INK_ATTENTION_BLOCK positions in order:
     *   s_t = (lanes, tree of fma(q, k_t)) * scale;  m' = max(m, max_t s_t by lanes and tree,
     *   padded with -inf);  f = exp(m - m') (0 in the first block);  e_t = exp(s_t - m');
     *   l = fma(l, f, lanes-and-tree sum of e_t);  o[d] = o[d] * f, then for t in rising order
     *   o[d] = fma(e_t, v_t[d], o[d]);  m = m'.
     * At the end out[d] = o[d] / l. Cache values widen to float exactly. */
    void (*attend_f32)(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                       int head_dim, float scale, float *scores);
    void (*attend_f16)(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                       int head_dim, float scale, float *scores);

    /* Exact widening, and narrowing to f16 by round-to-nearest-even (overflow gives infinity). */
    void (*f32_from_bf16)(float *y, const void *x, size_t n);
    void (*f32_from_f16)(float *y, const void *x, size_t n);
    void (*f16_from_f32)(uint16_t *y, const float *x, size_t n);
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
