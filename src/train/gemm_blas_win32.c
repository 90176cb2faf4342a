/* Not yet: Windows computes in plain C. */
#include "gemm_blas.h"

bool ink_blas_open(void)
{
    return false;
}

const char *ink_blas_name(void)
{
    return "";
}

void ink_blas_gemm(float *c, size_t ldc, float by, const float *a, size_t lda, bool a_turned,
                   const float *b, size_t ldb, bool b_turned, int m, int n, int k, bool adds)
{
    (void)c, (void)ldc, (void)by, (void)a, (void)lda, (void)a_turned, (void)b, (void)ldb;
    (void)b_turned, (void)m, (void)n, (void)k, (void)adds;
}
