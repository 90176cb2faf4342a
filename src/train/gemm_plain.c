/* For machines without OpenBLAS. */
#include "gemm_plain.h"

#include <string.h>

enum { BLOCK = 64 }; /* of k: rows of b that stay in the cache for all rows of c */

static float value(const float *a, size_t lda, bool is_turned, int row, int column)
{
    return is_turned ? a[(size_t)column * lda + (size_t)row]
                     : a[(size_t)row * lda + (size_t)column];
}

/* c [m, n] += a_by * a b, b [k, n] */
static void add_product(float *c, size_t ldc, const float *a, size_t lda, bool a_turned, float a_by,
                        const float *b, size_t ldb, int m, int n, int k)
{
    for (int p = 0; p < k; p += BLOCK) {
        int end = k - p < BLOCK ? k : p + BLOCK;
        for (int i = 0; i < m; i++) {
            float *restrict row = c + (size_t)i * ldc;
            for (int q = p; q < end; q++) {
                const float by = a_by * value(a, lda, a_turned, i, q);
                const float *restrict from = b + (size_t)q * ldb;
                for (int j = 0; j < n; j++) {
                    row[j] += by * from[j];
                }
            }
        }
    }
}

/* c [m, n] += a_by * a bᵀ, b [n, k]: sixteen sums at once, so that the compiler may use vectors */
static void add_dots(float *c, size_t ldc, const float *a, size_t lda, bool a_turned, float a_by,
                     const float *b, size_t ldb, int m, int n, int k)
{
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            float sums[16] = {0}, sum = 0;
            const float *from = b + (size_t)j * ldb;
            for (int p = 0; p < k; p++) {
                sums[p % 16] += value(a, lda, a_turned, i, p) * from[p];
            }
            for (int lane = 0; lane < 16; lane++) {
                sum += sums[lane];
            }
            c[(size_t)i * ldc + (size_t)j] += a_by * sum;
        }
    }
}

void ink_plain_gemm(float *c, size_t ldc, float by, const float *a, size_t lda, bool a_turned,
                    const float *b, size_t ldb, bool b_turned, int m, int n, int k, bool adds)
{
    for (int i = 0; i < m && !adds; i++) {
        memset(c + (size_t)i * ldc, 0, (size_t)n * sizeof *c);
    }
    (b_turned ? add_dots : add_product)(c, ldc, a, lda, a_turned, by, b, ldb, m, n, k);
}
