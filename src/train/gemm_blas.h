/* OpenBLAS, the fastest free BLAS on the processors that people have, and in every distribution.
 * Opened when training begins and not when the program starts: its own start takes memory and
 * threads that no other command needs. gemm_blas_posix.c, gemm_blas_win32.c. */
#ifndef INK_TRAIN_GEMM_BLAS_H
#define INK_TRAIN_GEMM_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* Open it, if it is there (once; not from several threads at a time), on one thread: pieces are
 * dealt out to ours. */
bool ink_blas_open(void);
/* "OpenBLAS 0.3.21 Zen" once open. */
const char *ink_blas_name(void);
/* ink_gemm, through it. */
void ink_blas_gemm(float *c, size_t ldc, float by, const float *a, size_t lda, bool a_turned,
                   const float *b, size_t ldb, bool b_turned, int m, int n, int k, bool adds);

#endif
