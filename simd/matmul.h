/* The float matmuls of kernels.h; part of body.h. */
#ifndef INK_MATMUL_H
#define INK_MATMUL_H

enum {
    MAX_ROWS = 4,         /* bound of TILE_ROWS */
    MAX_TOKENS = 6,       /* bound of TILE_TOKENS */
    L1_BYTES = 32 * 1024, /* tokens that leave the first-level cache room for weights */
    L2_BYTES = 256 * 1024 /* weights that stay in the second-level cache beside the tokens */
};

/* A tile is n_rows x n_tokens dot products, all 16 lanes of each in registers. */

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
    if (n == 1) /* bound by memory, which gives most to one stream: 4 rows at once lose a fifth */
        tile_all_rows(y, ldy, x, ldx, w, rows, cols, type, fetch, 1, 1);
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

#endif
