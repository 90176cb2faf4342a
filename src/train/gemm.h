/* The matrix products of training, in float32: through OpenBLAS where the machine has it, else in
 * plain C, which is slower.
 *
 * All matrices are row-major with their own row strides (ld...). A product is cut into the same
 * pieces whatever the number of lanes, and each piece is summed by one thread in one order: its
 * bits depend on the library and the processor, but on no number of threads.
 *
 * T tokens, N outputs, K inputs of a layer y = x wᵀ. With `adds` the result is added to what is
 * there, else it replaces it. The functions with a lane do its share. */
#ifndef INK_TRAIN_GEMM_H
#define INK_TRAIN_GEMM_H

#include "kernels.h"
#include "lane.h"
#include "tensor.h"

enum {
    /* Columns or rows of a piece: so wide that packing the other operand again costs a few percent,
     * so narrow that there are pieces for every lane. */
    INK_GEMM_PIECE = 256
};

/* Weights [rows, cols], N by K: in float32, or else of any type, and widened piece by piece. */
struct ink_gemm_matrix {
    int rows, cols;
    const float *values; /* NULL: */
    const void *data;
    enum ink_type type;
};

/* Floats of a lane's scratch for products with such a matrix. */
size_t ink_gemm_scratch(int rows, int cols);

/* out [cols] = one row of w */
void ink_gemm_row(const struct ink_kernels *kernels, float *out, const struct ink_gemm_matrix *w,
                  int row);

/* This lane's columns of n, in whole pieces: [*begin, *end). Those of y in ink_gemm_forward. */
void ink_gemm_share(const struct ink_train_lane *l, int n, int *begin, int *end);

/* y [T, N] = x [T, K] wᵀ */
void ink_gemm_forward(const struct ink_train_lane *l, const struct ink_kernels *kernels, float *y,
                      const float *x, const struct ink_gemm_matrix *w, int t, bool adds);
/* The gradient of the input: dx [T, K] = dy [T, N] w */
void ink_gemm_input(const struct ink_train_lane *l, const struct ink_kernels *kernels, float *dx,
                    const float *dy, const struct ink_gemm_matrix *w, int t, bool adds);
/* The gradient of the weights: dw [N, K] = dyᵀ x */
void ink_gemm_weight(const struct ink_train_lane *l, float *dw, const float *dy, const float *x,
                     int t, int n, int k, bool adds);

/* One product on the calling thread: c [m, n] = by * a b (+ c), where a is [m, k], or with a_turned
 * [k, m], and b is [k, n], or with b_turned [n, k]. */
void ink_gemm(float *c, size_t ldc, float by, const float *a, size_t lda, bool a_turned,
              const float *b, size_t ldb, bool b_turned, int m, int n, int k, bool adds);

/* "OpenBLAS 0.3.21 Zen", or "plain C". */
const char *ink_gemm_name(void);
/* Before the first product, once: looks for OpenBLAS. */
void ink_gemm_begin(void);

#endif
