/* The matrix products of training, in float32, over the `gemm` kernel of each level, or with both
 * operands rounded to bf16 and sums in float32, over `gemm_bf16`: for processors that multiply two
 * such pairs at once (the level avx512-bf16), and no faster on others.
 *
 * All matrices are row-major with their own row strides (ld...). Every element of a result is one
 * chain of fused multiply-adds in the order of the summed index (in bf16 with the members of each
 * pair swapped), so that its bits depend on no number of threads, no blocking, and no level of the
 * processor (but for denormal numbers in bf16); but ink_gemm_weight, of more than INK_GEMM_TOKENS
 * tokens, adds such chains, cut where the number of tokens alone says.
 *
 * T tokens, N outputs, K inputs of a layer y = x wᵀ. With `adds` the result is added to what is
 * there, else it replaces it. All lanes call the functions with a lane, which deal out the result's
 * columns (of dw rows) among them; before another lane reads or writes a result there must be a
 * barrier. ink_gemm_weight has some of its own, of more than INK_GEMM_TOKENS tokens. */
#ifndef INK_TRAIN_GEMM_H
#define INK_TRAIN_GEMM_H

#include "kernels.h"
#include "lane.h"
#include "tensor.h"

enum {
    /* Tokens for which the other operand is read once. */
    INK_GEMM_TOKENS = 256,
    /* Rows of weights in a piece that is dealt out, a multiple of every level's tile. */
    INK_GEMM_ROWS = 24
};

/* How products are computed. */
struct ink_gemm_math {
    const struct ink_kernels *kernels;
    bool is_bf16;
};

/* Weights [rows, cols], N by K: in float32, or else of any type, and widened piece by piece. */
struct ink_gemm_matrix {
    int rows, cols;
    const float *values; /* NULL: */
    const void *data;
    enum ink_type type;
};

/* Floats of a lane's scratch for products with matrices of up to `cols` columns. */
size_t ink_gemm_scratch(int cols);

/* out [cols] = one row of w */
void ink_gemm_row(const struct ink_kernels *kernels, float *out, const struct ink_gemm_matrix *w,
                  int row);

/* A part of a result: rows token..token+n_tokens-1, columns col..col+n_cols-1. */
struct ink_gemm_part {
    int token, n_tokens, col, n_cols;
};
/* What else is to be done with each part as soon as it is there, on the lane that computed it. */
struct ink_gemm_after {
    void (*run)(void *context, const struct ink_gemm_part *part);
    void *context;
};

/* y [T, N] = x wᵀ; after.run may be NULL. */
struct ink_gemm_map {
    float *y;
    const struct ink_gemm_matrix *w;
    struct ink_gemm_after after;
};
/* n maps of one x [T, K]. */
void ink_gemm_forward(const struct ink_train_lane *l, const struct ink_gemm_math *math,
                      const struct ink_gemm_map *maps, int n, const float *x, int t, bool adds);

/* dy w, with dy [T, N]; after.run may be NULL. */
struct ink_gemm_product {
    const float *dy;
    const struct ink_gemm_matrix *w;
    struct ink_gemm_after after;
};
/* The gradient of the input of matrices of one width: dx [T, K] = the sum of n products, each added
 * to what those before it left. */
void ink_gemm_input(const struct ink_train_lane *l, const struct ink_gemm_math *math, float *dx,
                    const struct ink_gemm_product *products, int n, int t, bool adds);
/* Rows row..row+n_rows-1 and columns col..col+n_cols-1 of a gradient. */
struct ink_gemm_piece {
    int row, n_rows, col, n_cols;
};
/* What becomes of it. */
struct ink_gemm_user {
    /* Memory that `take` will want. May be NULL. */
    void (*expect)(void *context, const struct ink_gemm_piece *piece, struct ink_fetch *fetch);
    /* Its values, ld floats from row to row, in the lane's scratch, where they may be changed. */
    void (*take)(void *context, const struct ink_gemm_piece *piece, float *gradient, size_t ld);
    void *context;
};
/* The gradient of the weights, dyᵀ x [N, K], for the user a piece at a time. t
 * is at most INK_GEMM_TOKENS, or 0: all 0. */
void ink_gemm_weight_pieces(const struct ink_train_lane *l, const struct ink_gemm_math *math,
                            const float *dy, const float *x, int t, int n, int k,
                            const struct ink_gemm_user *user);
/* The same stored: dw [N, K] = dyᵀ x */
void ink_gemm_weight(const struct ink_train_lane *l, const struct ink_gemm_math *math, float *dw,
                     const float *dy, const float *x, int t, int n, int k, bool adds);

/* One product in float32 on the calling thread: c [m, n] = by * a b (+ c), where a is [m, k], or
 * with a_turned [k, m], and b is [k, n], or with b_turned [n, k]. For small ones: b is copied. */
void ink_gemm(const struct ink_kernels *kernels, float *c, size_t ldc, float by, const float *a,
              size_t lda, bool a_turned, const float *b, size_t ldb, bool b_turned, int m, int n,
              int k, bool adds);

#endif
