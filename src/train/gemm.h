/* The matrix products of training, in float32. gemm_blas.c gives the work to OpenBLAS; gemm_plain.c
 * is for builds without it, and slower.
 *
 * All matrices are row-major with their own row strides (ld...). A product is cut into the same
 * pieces whatever the number of lanes, and each piece is summed by one thread in one order: its
 * bits depend on the library and the processor, but on no number of threads.
 *
 * T tokens, N outputs, K inputs of a layer y = x wᵀ. With `adds` the result is added to what is
 * there, else it replaces it. The ink_gemm_... below do a lane's share. */
#ifndef INK_TRAIN_GEMM_H
#define INK_TRAIN_GEMM_H

#include "lane.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    /* Columns or rows of a piece: so wide that packing the other operand again costs a few percent,
     * so narrow that there are pieces for every lane. */
    INK_GEMM_PIECE = 256
};

/* This lane's columns of n, in whole pieces: [*begin, *end). Those of y in ink_gemm_forward. */
void ink_gemm_share(const struct ink_train_lane *l, int n, int *begin, int *end);

/* y [T, N] = x [T, K] wᵀ, w [N, K] */
void ink_gemm_forward(const struct ink_train_lane *l, float *y, size_t ldy, const float *x,
                      size_t ldx, const float *w, size_t ldw, int t, int n, int k, bool adds);
/* The gradient of the input: dx [T, K] = dy [T, N] w */
void ink_gemm_input(const struct ink_train_lane *l, float *dx, size_t ldx, const float *dy,
                    size_t ldy, const float *w, size_t ldw, int t, int n, int k, bool adds);
/* The gradient of the weights: dw [N, K] = dyᵀ x */
void ink_gemm_weight(const struct ink_train_lane *l, float *dw, size_t ldw, const float *dy,
                     size_t ldy, const float *x, size_t ldx, int t, int n, int k, bool adds);

/* One product on the calling thread: c [m, n] = a b (+ c), where a is [m, k], or with a_turned
 * [k, m], and b is [k, n], or with b_turned [n, k]. */
void ink_gemm(float *c, size_t ldc, const float *a, size_t lda, bool a_turned, const float *b,
              size_t ldb, bool b_turned, int m, int n, int k, bool adds);

/* "OpenBLAS 0.3.21 Zen", or "plain C". */
const char *ink_gemm_name(void);
/* Before the first product: OpenBLAS must not start threads of its own beside ours. */
void ink_gemm_begin(void);

#endif
