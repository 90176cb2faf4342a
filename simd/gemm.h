/* The matrix product of training, as kernels.h has it; part of body.h. The file that includes
 * body.h has defined GEMM_ROWS and GEMM_PANELS: the shape of a tile of sums that fits the
 * registers. */
#ifndef INK_GEMM_TILE_H
#define INK_GEMM_TILE_H

enum { GEMM_MAX_ROWS = 8, GEMM_MAX_PANELS = 2 };

INLINE void gemm_tile(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                      const float *b, size_t panel, int k, int adds, int n_rows, int n_panels)
{
    v16 sum[GEMM_MAX_ROWS][GEMM_MAX_PANELS];
    UNROLL
    for (int i = 0; i < n_rows; i++) {
        UNROLL
        for (int j = 0; j < n_panels; j++)
            sum[i][j] = adds ? v_load(c + (size_t)i * ldc + 16 * j) : v_set1(0.0f);
    }
    for (int p = 0; p < k; p++) {
        v16 columns[GEMM_MAX_PANELS];
        UNROLL
        for (int j = 0; j < n_panels; j++)
            columns[j] = v_load(b + (size_t)j * panel);
        UNROLL
        for (int i = 0; i < n_rows; i++) {
            const v16 one = v_set1(a[(size_t)i * a_row]);
            UNROLL
            for (int j = 0; j < n_panels; j++)
                sum[i][j] = v_fma(one, columns[j], sum[i][j]);
        }
        a += a_col;
        b += 16;
    }
    UNROLL
    for (int i = 0; i < n_rows; i++) {
        UNROLL
        for (int j = 0; j < n_panels; j++)
            v_store(c + (size_t)i * ldc + 16 * j, sum[i][j]);
    }
}

/* All rows; n_panels and, where it is 1, a_col are constants. */
INLINE void gemm_rows(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                      const float *b, size_t panel, int m, int k, int adds, int n_panels)
{
    int i = 0;
    for (; i + GEMM_ROWS <= m; i += GEMM_ROWS)
        gemm_tile(c + (size_t)i * ldc, ldc, a + (size_t)i * a_row, a_row, a_col, b, panel, k, adds,
                  GEMM_ROWS, n_panels);
    for (; i + 2 <= m; i += 2)
        gemm_tile(c + (size_t)i * ldc, ldc, a + (size_t)i * a_row, a_row, a_col, b, panel, k, adds,
                  2, n_panels);
    if (i < m)
        gemm_tile(c + (size_t)i * ldc, ldc, a + (size_t)i * a_row, a_row, a_col, b, panel, k, adds,
                  1, n_panels);
}

INLINE void gemm_some_panels(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                             const float *b, size_t panel, int m, int k, int adds, int n_panels)
{
    if (a_col == 1)
        gemm_rows(c, ldc, a, a_row, 1, b, panel, m, k, adds, n_panels);
    else
        gemm_rows(c, ldc, a, a_row, a_col, b, panel, m, k, adds, n_panels);
}

static void gemm(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b,
                 size_t panel, int m, int panels, int k, int adds)
{
    int j = 0;
    for (; j + GEMM_PANELS <= panels; j += GEMM_PANELS)
        gemm_some_panels(c + 16 * j, ldc, a, a_row, a_col, b + (size_t)j * panel, panel, m, k, adds,
                         GEMM_PANELS);
    for (; j < panels; j++)
        gemm_some_panels(c + 16 * j, ldc, a, a_row, a_col, b + (size_t)j * panel, panel, m, k, adds,
                         1);
}

#endif
