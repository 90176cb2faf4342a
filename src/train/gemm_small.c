/* Products too small to be dealt out. */
#include "gemm_pack.h"

enum { SMALL_K = 256 };

static void scale(float *x, size_t n, float by)
{
    if (by == 1) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] *= by;
    }
}

/* A panel's columns of c that are no whole panel. */
static void multiply_edge(const struct ink_kernels *kernels, float *c, size_t ldc, const float *a,
                          size_t a_row, size_t a_col, const float *b, int m, int n, int k,
                          bool adds)
{
    float sums[INK_GEMM_ROWS * INK_GEMM_PANEL];
    for (int i = 0; i < m; i += INK_GEMM_ROWS) {
        const int rows = m - i < INK_GEMM_ROWS ? m - i : INK_GEMM_ROWS;
        float *at = c + (size_t)i * ldc;
        ink_gemm_put(sums, INK_GEMM_PANEL, at, ldc, rows, adds ? n : 0, false);
        kernels->gemm(sums, INK_GEMM_PANEL, a + (size_t)i * a_row, a_row, a_col, b, 0, rows, 1, k,
                      adds, NULL);
        ink_gemm_put(at, ldc, sums, INK_GEMM_PANEL, rows, n, false);
    }
}

void ink_gemm(const struct ink_kernels *kernels, float *c, size_t ldc, float by, const float *a,
              size_t lda, bool a_turned, const float *b, size_t ldb, bool b_turned, int m, int n,
              int k, bool adds)
{
    const size_t a_row = a_turned ? 1 : lda, a_col = a_turned ? lda : 1;
    float panel[SMALL_K * INK_GEMM_PANEL];
    for (int j = 0; j < n; j += INK_GEMM_PANEL) {
        const int cols = n - j < INK_GEMM_PANEL ? n - j : INK_GEMM_PANEL;
        for (int p = 0; p < k; p += SMALL_K) {
            const int n_k = k - p < SMALL_K ? k - p : SMALL_K;
            const float *from = a + (size_t)p * a_col;
            if (b_turned) {
                ink_gemm_turn_panel(kernels, panel, b + (size_t)j * ldb + (size_t)p, ldb, cols,
                                    n_k);
                scale(panel, (size_t)n_k * INK_GEMM_PANEL, by);
            } else {
                ink_gemm_pack_by(panel, 0, b + (size_t)p * ldb + (size_t)j, ldb, n_k, cols, by);
            }
            if (cols == INK_GEMM_PANEL) {
                kernels->gemm(c + j, ldc, from, a_row, a_col, panel, 0, m, 1, n_k, adds || p > 0,
                              NULL);
            } else {
                multiply_edge(kernels, c + j, ldc, from, a_row, a_col, panel, m, cols, n_k,
                              adds || p > 0);
            }
        }
    }
}
