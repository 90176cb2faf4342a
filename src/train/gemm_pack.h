/* Operands of training's products, as kernels.h wants them: a by rows or by columns, b in panels of
 * 16 columns. Steps are places along the summed index: each holds a float or, in bf16, a pair of
 * values, of which the last may lack its second. */
#ifndef INK_TRAIN_GEMM_PACK_H
#define INK_TRAIN_GEMM_PACK_H

#include "gemm.h"

enum { INK_GEMM_PANEL = 16 };

static inline int ink_gemm_panels(int cols)
{
    return (cols + INK_GEMM_PANEL - 1) / INK_GEMM_PANEL;
}

/* Steps of n summed values. */
static inline int ink_gemm_steps(const struct ink_gemm_math *math, int n)
{
    return math->is_bf16 ? (n + 1) / 2 : n;
}

/* b: rows become steps: to [n_panels][steps of rows, 16] = x [rows, cols], columns past the last 0;
 * `panel` floats from one to the next. */
void ink_gemm_pack_rows(const struct ink_gemm_math *math, float *to, size_t panel, const float *x,
                        size_t ldx, int rows, int cols);
/* b: columns become steps: to [n_panels][steps of cols, 16] = xᵀ, x [rows, cols], likewise. */
void ink_gemm_pack_turned(const struct ink_gemm_math *math, float *to, size_t panel, const float *x,
                          size_t ldx, int rows, int cols);

struct ink_gemm_rows {
    const float *at;
    size_t ld; /* floats from one to the next */
};
/* a: columns become steps: in bf16 x [rows, n] rounded into room [rows, ld], ld at least the steps
 * of n, else x itself. room may be x, with ld = ldx. */
struct ink_gemm_rows ink_gemm_narrow(const struct ink_gemm_math *math, float *room, size_t ld,
                                     const float *x, size_t ldx, int rows, int n);

/* In float32: pack_rows of by * x, */
void ink_gemm_pack_by(float *to, size_t panel, const float *x, size_t ldx, int rows, int cols,
                      float by);
/* to [n, 16] = xᵀ, x [rows, n] with rows <= 16; columns past the last row 0, */
void ink_gemm_turn_panel(const struct ink_kernels *kernels, float *to, const float *x, size_t ldx,
                         int rows, int n);
/* and y [rows, cols] (+)= x. */
void ink_gemm_put(float *y, size_t ldy, const float *x, size_t ldx, int rows, int cols, bool adds);

#endif
