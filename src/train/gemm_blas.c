/* OpenBLAS: the fastest free BLAS on the processors that people have, and in every distribution. */
#include "gemm.h"

#ifdef HAVE_OPENBLAS

#include <cblas.h>
#include <stdio.h>
#include <string.h>

void ink_gemm(float *c, size_t ldc, float by, const float *a, size_t lda, bool a_turned,
              const float *b, size_t ldb, bool b_turned, int m, int n, int k, bool adds)
{
    cblas_sgemm(CblasRowMajor, a_turned ? CblasTrans : CblasNoTrans,
                b_turned ? CblasTrans : CblasNoTrans, m, n, k, by, a, (blasint)lda, b, (blasint)ldb,
                adds ? 1.0f : 0.0f, c, (blasint)ldc);
}

const char *ink_gemm_name(void)
{
    static char name[160];
    const char *config = openblas_get_config(); /* "OpenBLAS 0.3.21 ..." */
    const char *end = strchr(config, ' ');
    end = end ? strchr(end + 1, ' ') : NULL;
    snprintf(name, sizeof name, "%.*s %s", end ? (int)(end - config) : 40, config,
             openblas_get_corename());
    return name;
}

void ink_gemm_begin(void)
{
    openblas_set_num_threads(1);
}

#endif
