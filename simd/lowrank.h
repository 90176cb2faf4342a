/* What an adapter adds to a product, as kernels.h has it; part of body.h. */
#ifndef INK_LOWRANK_H
#define INK_LOWRANK_H

enum {
    SUM_TOKENS = 4,             /* bound of a tile's tokens */
    SUM_GROUPS = 4,             /* bound of its groups of 16 columns */
    SUM_BLOCK_BYTES = 24 * 1024 /* of b, that stay in the first-level cache for all tokens */
};

INLINE void low_rank_tile(float *y, size_t ldy, const float *x, size_t ldx, const float *b,
                          int rank, int n_tokens, int n_groups)
{
    v16 sum[SUM_TOKENS][SUM_GROUPS];
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        UNROLL
        for (int g = 0; g < n_groups; g++)
            sum[t][g] = v_set1(0.0f);
    }
    for (int k = 0; k < rank; k++) {
        UNROLL
        for (int t = 0; t < n_tokens; t++) {
            const v16 xk = v_set1(x[(size_t)t * ldx + (size_t)k]);
            UNROLL
            for (int g = 0; g < n_groups; g++) {
                const float *at = b + 16 * ((size_t)g * (size_t)rank + (size_t)k);
                sum[t][g] = v_fma(xk, v_load(at), sum[t][g]);
            }
        }
    }
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        UNROLL
        for (int g = 0; g < n_groups; g++) {
            float *at = y + (size_t)t * ldy + 16 * g;
            v_store(at, v_add(v_load(at), sum[t][g]));
        }
    }
}

/* The last cols < 16 columns of one token. */
INLINE void low_rank_end(float *y, const float *x, const float *b, int rank, int cols)
{
    v16 sum = v_set1(0.0f);
    for (int k = 0; k < rank; k++)
        sum = v_fma(v_set1(x[k]), v_load(b + 16 * (size_t)k), sum);
    v_store_n(y, v_add(v_load_n(y, cols), sum), cols);
}

/* n_tokens, a constant, against all columns. */
INLINE void low_rank_tokens(float *y, size_t ldy, const float *x, size_t ldx, const float *b,
                            int rank, int cols, int n_tokens)
{
    int c = 0;
    for (; n_tokens == 1 && c + 16 * SUM_GROUPS <= cols; c += 16 * SUM_GROUPS)
        low_rank_tile(y + c, ldy, x, ldx, b + (size_t)c * (size_t)rank, rank, 1, SUM_GROUPS);
    for (; c + 16 <= cols; c += 16)
        low_rank_tile(y + c, ldy, x, ldx, b + (size_t)c * (size_t)rank, rank, n_tokens, 1);
    for (int t = 0; c < cols && t < n_tokens; t++)
        low_rank_end(y + (size_t)t * ldy + c, x + (size_t)t * ldx, b + (size_t)c * (size_t)rank,
                     rank, cols - c);
}

static void add_low_rank(float *y, size_t ldy, const float *x, size_t ldx, int n, const float *b,
                         int rank, int cols)
{
    const int fit = SUM_BLOCK_BYTES / (rank * (int)sizeof *b) / 16 * 16;
    const int block = n < SUM_TOKENS ? cols : fit > 64 ? fit : 64;
    for (int c = 0; c < cols; c += block) {
        const int n_cols = cols - c < block ? cols - c : block;
        const float *part = b + (size_t)c * (size_t)rank;
        int t = 0;
        for (; t + SUM_TOKENS <= n; t += SUM_TOKENS)
            low_rank_tokens(y + (size_t)t * ldy + c, ldy, x + (size_t)t * ldx, ldx, part, rank,
                            n_cols, SUM_TOKENS);
        for (; t < n; t++)
            low_rank_tokens(y + (size_t)t * ldy + c, ldy, x + (size_t)t * ldx, ldx, part, rank,
                            n_cols, 1);
    }
}

#endif
