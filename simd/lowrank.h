/* What an adapter adds to a product, as kernels.h has it; part of body.h. */
#ifndef INK_LOWRANK_H
#define INK_LOWRANK_H

enum { SUM_TOKENS = 4, SUM_BLOCKS = 4 }; /* bounds of a tile: tokens, or blocks of 16 columns */

INLINE void low_rank_tile(float *y, size_t ldy, const float *x, size_t ldx, const float *b,
                          size_t ldb, int rank, int n_tokens, int n_blocks)
{
    v16 sum[SUM_TOKENS][SUM_BLOCKS];
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        UNROLL
        for (int c = 0; c < n_blocks; c++)
            sum[t][c] = v_set1(0.0f);
    }
    for (int k = 0; k < rank; k++) {
        const float *row = b + (size_t)k * ldb;
        UNROLL
        for (int t = 0; t < n_tokens; t++) {
            const v16 xk = v_set1(x[(size_t)t * ldx + (size_t)k]);
            UNROLL
            for (int c = 0; c < n_blocks; c++)
                sum[t][c] = v_fma(xk, v_load(row + 16 * c), sum[t][c]);
        }
    }
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        UNROLL
        for (int c = 0; c < n_blocks; c++) {
            float *at = y + (size_t)t * ldy + 16 * c;
            v_store(at, v_add(v_load(at), sum[t][c]));
        }
    }
}

/* The last cols < 16 columns of one token. */
INLINE void low_rank_end(float *y, const float *x, const float *b, size_t ldb, int rank, int cols)
{
    v16 sum = v_set1(0.0f);
    for (int k = 0; k < rank; k++)
        sum = v_fma(v_set1(x[k]), v_load_n(b + (size_t)k * ldb, cols), sum);
    v_store_n(y, v_add(v_load_n(y, cols), sum), cols);
}

/* A column of b is read once for all tokens: 16 columns of all its rows fit the first-level cache.
 */
static void add_low_rank(float *y, size_t ldy, const float *x, size_t ldx, int n, const float *b,
                         size_t ldb, int rank, int cols)
{
    int c = 0;
    for (; n == 1 && c + 16 * SUM_BLOCKS <= cols; c += 16 * SUM_BLOCKS)
        low_rank_tile(y + c, ldy, x, ldx, b + c, ldb, rank, 1, SUM_BLOCKS);
    for (; c + 16 <= cols; c += 16) {
        int t = 0;
        for (; t + SUM_TOKENS <= n; t += SUM_TOKENS)
            low_rank_tile(y + (size_t)t * ldy + c, ldy, x + (size_t)t * ldx, ldx, b + c, ldb, rank,
                          SUM_TOKENS, 1);
        for (; t < n; t++)
            low_rank_tile(y + (size_t)t * ldy + c, ldy, x + (size_t)t * ldx, ldx, b + c, ldb, rank,
                          1, 1);
    }
    for (int t = 0; c < cols && t < n; t++)
        low_rank_end(y + (size_t)t * ldy + c, x + (size_t)t * ldx, b + c, ldb, rank, cols - c);
}

#endif
