/* Every kernel of kernels.h, written once over 16 lanes and compiled once for each level.
 *
 * The file that includes this one has defined what lanes.h needs, and
 *
 *   LEVEL_NAME, LEVEL_TABLE      the name and the symbol of the table
 *   TILE_ROWS, TILE_TOKENS       shape of a matmul tile whose accumulators fit the registers
 *   DECODE_ROWS                  weight rows streamed at once for one token
 *   VALUE_HEADS, VALUE_VECS      shape of attention's value tile, heads by v16s of head_dim
 *
 * The always-inline functions here and there take loop bounds and types as arguments that are
 * constants wherever they are called. */
#include "lanes.h"

enum {
    MAX_ROWS = 4,          /* bounds of TILE_ROWS, DECODE_ROWS */
    MAX_TOKENS = 6,        /* bound of TILE_TOKENS */
    L1_BYTES = 32 * 1024,  /* tokens that leave the first-level cache room for weights */
    L2_BYTES = 256 * 1024, /* weights that stay in the second-level cache beside the tokens */
    HEADS_AT_ONCE = 16     /* heads whose softmax state attention keeps on its stack */
};

/* Matmul. A tile is n_rows x n_tokens dot products, all 16 lanes of each in registers. */

INLINE void tile_step(v16 acc[MAX_TOKENS][MAX_ROWS], const float *x, size_t ldx,
                      const unsigned char *w, size_t row_bytes, enum type type, int n_rows,
                      int n_tokens)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++) {
        vp wide[MAX_ROWS];
        UNROLL
        for (int r = 0; r < n_rows; r++)
            wide[r] = vp_load_type(
                w + (size_t)r * row_bytes + (size_t)p * V_LANES * type_size(type), type);
        UNROLL
        for (int t = 0; t < n_tokens; t++) {
            vp xt = vp_keep(vp_load(x + (size_t)t * ldx + p * V_LANES));
            UNROLL
            for (int r = 0; r < n_rows; r++)
                acc[t][r].p[p] = vp_fma(wide[r], xt, acc[t][r].p[p]);
        }
    }
}

INLINE void tile(float *y, size_t ldy, const float *x, size_t ldx, const unsigned char *w, int cols,
                 enum type type, int n_rows, int n_tokens, int fetch)
{
    const size_t size = type_size(type), row_bytes = (size_t)cols * size;
    v16 acc[MAX_TOKENS][MAX_ROWS];
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        UNROLL
        for (int r = 0; r < n_rows; r++)
            acc[t][r] = v_set1(0.0f);
    }

    /* Meanwhile fetch the next tile's rows; past the last row that is a hint about nothing, and
     * without `fetch` about what is read anyway. */
    const uintptr_t next = (uintptr_t)w + (fetch ? (size_t)n_rows * row_bytes : 0);
    int c = 0;
    for (; c + 16 <= cols; c += 16) {
        UNROLL
        for (int r = 0; r < n_rows; r++)
            PREFETCH(next + (size_t)r * row_bytes + (size_t)c * size);
        tile_step(acc, x + c, ldx, w + (size_t)c * size, row_bytes, type, n_rows, n_tokens);
    }
    if (c < cols) {
        float x_end[MAX_TOKENS][16] = {{0}};
        unsigned char w_end[MAX_ROWS][64] = {{0}};
        for (int t = 0; t < n_tokens; t++)
            memcpy(x_end[t], x + (size_t)t * ldx + c, (size_t)(cols - c) * sizeof *x);
        for (int r = 0; r < n_rows; r++)
            memcpy(w_end[r], w + (size_t)r * row_bytes + (size_t)c * size,
                   (size_t)(cols - c) * size);
        tile_step(acc, x_end[0], 16, w_end[0], 64, type, n_rows, n_tokens);
    }

    UNROLL
    for (int t = 0; t < n_tokens; t++)
        v_tree_sums(y + (size_t)t * ldy, acc[t], n_rows);
}

/* n_tokens tokens against all rows; n_tokens <= TILE_TOKENS and rows_at_once are constants. */
INLINE void tile_all_rows(float *y, size_t ldy, const float *x, size_t ldx, const unsigned char *w,
                          int rows, int cols, enum type type, int fetch, int rows_at_once,
                          int n_tokens)
{
    const size_t row_bytes = (size_t)cols * type_size(type);
    int r = 0;
    for (; r + rows_at_once <= rows; r += rows_at_once)
        tile(y + r, ldy, x, ldx, w + (size_t)r * row_bytes, cols, type, rows_at_once, n_tokens,
             fetch);
    for (; r < rows; r++)
        tile(y + r, ldy, x, ldx, w + (size_t)r * row_bytes, cols, type, 1, n_tokens, fetch);
}

INLINE void tile_some_tokens(float *y, size_t ldy, const float *x, size_t ldx, int n,
                             const unsigned char *w, int rows, int cols, enum type type, int fetch)
{
    if (n == 1)
        tile_all_rows(y, ldy, x, ldx, w, rows, cols, type, fetch, DECODE_ROWS, 1);
    else if (n == 2 && TILE_TOKENS >= 2)
        tile_all_rows(y, ldy, x, ldx, w, rows, cols, type, fetch, TILE_ROWS, 2);
    else if (n == 3 && TILE_TOKENS >= 3)
        tile_all_rows(y, ldy, x, ldx, w, rows, cols, type, fetch, TILE_ROWS, 3);
    else if (n == 4 && TILE_TOKENS >= 4)
        tile_all_rows(y, ldy, x, ldx, w, rows, cols, type, fetch, TILE_ROWS, 4);
    else if (n == 5 && TILE_TOKENS >= 5)
        tile_all_rows(y, ldy, x, ldx, w, rows, cols, type, fetch, TILE_ROWS, 5);
    else if (n == 6 && TILE_TOKENS >= 6)
        tile_all_rows(y, ldy, x, ldx, w, rows, cols, type, fetch, TILE_ROWS, 6);
}

/* A block of rows stays in the second-level cache while all tokens pass over it; a tile of tokens
 * stays in the first while the rows of the block pass over it. */
INLINE void matmul(float *y, size_t ldy, const float *x, size_t ldx, int n, const unsigned char *w,
                   int rows, int cols, enum type type)
{
    const size_t row_bytes = (size_t)cols * type_size(type);
    const int fit = (int)(L2_BYTES / row_bytes) / TILE_ROWS * TILE_ROWS;
    const int block = n <= TILE_TOKENS ? rows : fit > TILE_ROWS ? fit : TILE_ROWS;
    /* Fetching ahead hides memory from a single pass, and the second-level cache from several as
     * long as the tokens leave it room in the first. */
    const size_t x_tile_bytes = (size_t)TILE_TOKENS * (size_t)cols * sizeof *x;
    const int fetch = n <= TILE_TOKENS || x_tile_bytes <= L1_BYTES;
    for (int r = 0; r < rows; r += block) {
        const int n_rows = rows - r < block ? rows - r : block;
        for (int t = 0; t < n;) {
            const int tiles = (n - t + TILE_TOKENS - 1) / TILE_TOKENS;
            const int n_tokens = (n - t + tiles - 1) / tiles; /* no tile much smaller than others */
            tile_some_tokens(y + (size_t)t * ldy + r, ldy, x + (size_t)t * ldx, ldx, n_tokens,
                             w + (size_t)r * row_bytes, n_rows, cols, type, fetch);
            t += n_tokens;
        }
    }
}

static void matmul_f32(float *y, size_t ldy, const float *x, size_t ldx, int n, const void *w,
                       int rows, int cols)
{
    matmul(y, ldy, x, ldx, n, w, rows, cols, TYPE_F32);
}

static void matmul_bf16(float *y, size_t ldy, const float *x, size_t ldx, int n, const void *w,
                        int rows, int cols)
{
    matmul(y, ldy, x, ldx, n, w, rows, cols, TYPE_BF16);
}

static void matmul_f16(float *y, size_t ldy, const float *x, size_t ldx, int n, const void *w,
                       int rows, int cols)
{
    matmul(y, ldy, x, ldx, n, w, rows, cols, TYPE_F16);
}

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

/* Attention. Scores are a matmul whose rows are positions and whose tokens are heads. */

struct softmax {
    float max, sum, fade; /* m, l, f of kernels.h */
};

static void pad16(float *s, int n, float value)
{
    for (; n % 16 != 0; n++)
        s[n] = value;
}

/* Scores [n <= INK_ATTENTION_BLOCK] of one head become its weights e_t, in place. */
static void softmax_block(struct softmax *state, float *s, int n, float scale, int first)
{
    v16 most = v_set1(-INFINITY), sum = v_set1(0.0f);
    pad16(s, n, 0.0f);
    for (int t = 0; t < n; t += 16)
        v_store(s + t, v_mul(v_load(s + t), v_set1(scale)));
    pad16(s, n, -INFINITY);
    for (int t = 0; t < n; t += 16)
        most = v_max(most, v_load(s + t));

    const float block_max = v_tree_max(most);
    const float max = state->max > block_max ? state->max : block_max;
    float fade[16];
    v_store(fade, ink_exp(v_set1(state->max - max)));
    for (int t = 0; t < n; t += 16)
        v_store(s + t, ink_exp(v_sub(v_load(s + t), v_set1(max))));
    pad16(s, n, 0.0f);
    for (int t = 0; t < n; t += 16)
        sum = v_add(sum, v_load(s + t));

    state->fade = first ? 0.0f : fade[0];
    v_store(fade, v_fma(v_set1(state->sum), v_set1(state->fade), v_set1(v_tree_sum(sum))));
    state->sum = fade[0];
    state->max = max;
}

/* out[h][d] = out[h][d] * fade[h] + sum over t of e[h][t] * v[t][d], for n_heads x (16 n_vecs). */
INLINE void value_tile(float *out, const struct softmax *state, const float *e,
                       const unsigned char *v, int n, int head_dim, enum type type, int n_heads,
                       int n_vecs)
{
    const size_t size = type_size(type), row_bytes = (size_t)head_dim * size;
    v16 acc[VALUE_HEADS][VALUE_VECS];
    UNROLL
    for (int h = 0; h < n_heads; h++) {
        UNROLL
        for (int k = 0; k < n_vecs; k++)
            acc[h][k] = v_mul(v_load(out + h * head_dim + 16 * k), v_set1(state[h].fade));
    }
    for (int t = 0; t < n; t++, v += row_bytes) {
        vp weight[VALUE_HEADS];
        UNROLL
        for (int h = 0; h < n_heads; h++)
            weight[h] = vp_set1(e[h * INK_ATTENTION_BLOCK + t]);
        UNROLL
        for (int i = 0; i < n_vecs * V_PARTS; i++) {
            vp value = vp_load_type(v + (size_t)i * V_LANES * size, type);
            UNROLL
            for (int h = 0; h < n_heads; h++)
                acc[h][i / V_PARTS].p[i % V_PARTS] =
                    vp_fma(weight[h], value, acc[h][i / V_PARTS].p[i % V_PARTS]);
        }
    }
    UNROLL
    for (int h = 0; h < n_heads; h++) {
        UNROLL
        for (int k = 0; k < n_vecs; k++)
            v_store(out + h * head_dim + 16 * k, acc[h][k]);
    }
}

/* The last head_dim mod 16 dimensions of one head. */
INLINE void value_rest(float *out, const struct softmax *state, const float *e,
                       const unsigned char *v, int n, int head_dim, enum type type, int n_dims)
{
    v16 acc = v_mul(v_load_n(out, n_dims), v_set1(state->fade));
    for (int t = 0; t < n; t++) {
        v16 value = v_load_type_n(v + (size_t)t * (size_t)head_dim * type_size(type), n_dims, type);
        acc = v_fma(v_set1(e[t]), value, acc);
    }
    v_store_n(out, acc, n_dims);
}

INLINE void value_heads(float *out, const struct softmax *state, const float *e,
                        const unsigned char *v, int n, int head_dim, enum type type, int n_heads)
{
    const size_t size = type_size(type);
    int d = 0;
    for (; d + 16 * VALUE_VECS <= head_dim; d += 16 * VALUE_VECS)
        value_tile(out + d, state, e, v + (size_t)d * size, n, head_dim, type, n_heads, VALUE_VECS);
    for (; d + 16 <= head_dim; d += 16)
        value_tile(out + d, state, e, v + (size_t)d * size, n, head_dim, type, n_heads, 1);
    for (int h = 0; d < head_dim && h < n_heads; h++)
        value_rest(out + h * head_dim + d, state + h, e + h * INK_ATTENTION_BLOCK,
                   v + (size_t)d * size, n, head_dim, type, head_dim - d);
}

INLINE void attend_heads(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                         int head_dim, float scale, float *scores, enum type type)
{
    const size_t row_bytes = (size_t)head_dim * type_size(type);
    struct softmax state[HEADS_AT_ONCE];
    for (int h = 0; h < n_heads; h++)
        state[h] = (struct softmax){.max = -INFINITY};
    memset(out, 0, (size_t)n_heads * (size_t)head_dim * sizeof *out);

    for (int t = 0; t < n_pos; t += INK_ATTENTION_BLOCK) {
        const int n = n_pos - t < INK_ATTENTION_BLOCK ? n_pos - t : INK_ATTENTION_BLOCK;
        const unsigned char *k = (const unsigned char *)kv.k + (size_t)t * row_bytes;
        const unsigned char *v = (const unsigned char *)kv.v + (size_t)t * row_bytes;
        (type == TYPE_F32 ? matmul_f32 : matmul_f16)(scores, INK_ATTENTION_BLOCK, q,
                                                     (size_t)head_dim, n_heads, k, n, head_dim);
        for (int h = 0; h < n_heads; h++)
            softmax_block(&state[h], scores + h * INK_ATTENTION_BLOCK, n, scale, t == 0);
        int h = 0;
        for (; h + VALUE_HEADS <= n_heads; h += VALUE_HEADS)
            value_heads(out + h * head_dim, state + h, scores + h * INK_ATTENTION_BLOCK, v, n,
                        head_dim, type, VALUE_HEADS);
        for (; h < n_heads; h++)
            value_heads(out + h * head_dim, state + h, scores + h * INK_ATTENTION_BLOCK, v, n,
                        head_dim, type, 1);
    }

    for (int h = 0; h < n_heads; h++)
        for (int d = 0; d < head_dim; d++)
            out[h * head_dim + d] /= state[h].sum;
}

INLINE void attend(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                   int head_dim, float scale, float *scores, enum type type)
{
    for (int h = 0; h < n_heads; h += HEADS_AT_ONCE)
        attend_heads(out + h * head_dim, q + h * head_dim,
                     n_heads - h < HEADS_AT_ONCE ? n_heads - h : HEADS_AT_ONCE, kv, n_pos, head_dim,
                     scale, scores, type);
}

static void attend_f32(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                       int head_dim, float scale, float *scores)
{
    attend(out, q, n_heads, kv, n_pos, head_dim, scale, scores, TYPE_F32);
}

static void attend_f16(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                       int head_dim, float scale, float *scores)
{
    attend(out, q, n_heads, kv, n_pos, head_dim, scale, scores, TYPE_F16);
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

const struct ink_kernels LEVEL_TABLE = {
    .name = LEVEL_NAME,
    .matmul_f32 = matmul_f32,
    .matmul_bf16 = matmul_bf16,
    .matmul_f16 = matmul_f16,
    .rmsnorm = rmsnorm,
    .swiglu = swiglu,
    .rope_interleaved = rope_interleaved,
    .rope_half = rope_half,
    .attend_f32 = attend_f32,
    .attend_f16 = attend_f16,
    .f32_from_bf16 = f32_from_bf16,
    .f32_from_f16 = f32_from_f16,
    .f16_from_f32 = f16_from_f32,
};
