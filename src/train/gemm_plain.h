/* Matrix products in plain C, for machines without OpenBLAS. */
#ifndef INK_TRAIN_GEMM_PLAIN_H
#define INK_TRAIN_GEMM_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

/* ink_gemm. */
void ink_plain_gemm(float *c, size_t ldc, float by, const float *a, size_t lda, bool a_turned,
                    const float *b, size_t ldb, bool b_turned, int m, int n, int k, bool adds);

#endif
