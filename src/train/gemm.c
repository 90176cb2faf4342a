#include "gemm.h"

#include "gemm_blas.h"
#include "gemm_plain.h"
#include "quant.h"

#include <string.h>

/* ----------------------------------------------------------------------------- who multiplies */

static bool has_blas;

void ink_gemm_begin(void)
{
    has_blas = ink_blas_open();
}

const char *ink_gemm_name(void)
{
    return has_blas ? ink_blas_name() : "plain C";
}

void ink_gemm(float *c, size_t ldc, float by, const float *a, size_t lda, bool a_turned,
              const float *b, size_t ldb, bool b_turned, int m, int n, int k, bool adds)
{
    (has_blas ? ink_blas_gemm : ink_plain_gemm)(c, ldc, by, a, lda, a_turned, b, ldb, b_turned, m,
                                                n, k, adds);
}

/* -------------------------------------------------------------------------------------- pieces */

static int pieces(int n)
{
    return (n + INK_GEMM_PIECE - 1) / INK_GEMM_PIECE;
}

static int piece_length(int n, int i)
{
    int left = n - i * INK_GEMM_PIECE;
    return left < INK_GEMM_PIECE ? left : INK_GEMM_PIECE;
}

void ink_gemm_share(const struct ink_train_lane *l, int n, int *begin, int *end)
{
    ink_train_share(l, pieces(n), begin, end);
    *begin *= INK_GEMM_PIECE;
    *end = *end * INK_GEMM_PIECE < n ? *end * INK_GEMM_PIECE : n;
}

/* Rows that are widened at a time where products sum over them: a head has a hundred thousand. */
enum { WIDE_ROWS = 4096 };

size_t ink_gemm_scratch(int rows, int cols)
{
    const int tall = rows < WIDE_ROWS ? rows : WIDE_ROWS;
    return (size_t)INK_GEMM_PIECE * (size_t)(tall > cols ? tall : cols);
}

/* Rows row.., columns col.. of w, *ld floats a row. Columns begin and end with whole blocks: pieces
 * are multiples of every block's size, and so is the width of a matrix that is stored in blocks. */
static const float *part(const struct ink_train_lane *l, const struct ink_kernels *kernels,
                         const struct ink_gemm_matrix *w, int row, int n_rows, int col, int n_cols,
                         size_t *ld)
{
    if (w->values) {
        *ld = (size_t)w->cols;
        return w->values + (size_t)row * (size_t)w->cols + (size_t)col;
    }
    const struct ink_type_facts *facts = ink_type_facts(w->type);
    const size_t row_bytes = (size_t)(w->cols / facts->block_values) * (size_t)facts->block_bytes;
    const size_t skip = (size_t)(col / facts->block_values) * (size_t)facts->block_bytes;
    for (int r = 0; r < n_rows; r++) {
        ink_widen(kernels, l->scratch + (size_t)r * (size_t)n_cols,
                  (const char *)w->data + (size_t)(row + r) * row_bytes + skip, w->type,
                  (size_t)n_cols);
    }
    *ld = (size_t)n_cols;
    return l->scratch;
}

void ink_gemm_row(const struct ink_kernels *kernels, float *out, const struct ink_gemm_matrix *w,
                  int row)
{
    const struct ink_train_lane here = {.scratch = out};
    size_t ld;
    const float *values = part(&here, kernels, w, row, 1, 0, w->cols, &ld);
    if (values != out) {
        memcpy(out, values, (size_t)w->cols * sizeof *out);
    }
}

void ink_gemm_forward(const struct ink_train_lane *l, const struct ink_kernels *kernels, float *y,
                      const float *x, const struct ink_gemm_matrix *w, int t, bool adds)
{
    int begin, end;
    size_t ld;
    ink_train_share(l, pieces(w->rows), &begin, &end);
    for (int i = begin; i < end; i++) {
        const int row = i * INK_GEMM_PIECE, n = piece_length(w->rows, i);
        const float *values = part(l, kernels, w, row, n, 0, w->cols, &ld);
        ink_gemm(y + row, (size_t)w->rows, 1, x, (size_t)w->cols, false, values, ld, true, t, n,
                 w->cols, adds);
    }
}

void ink_gemm_input(const struct ink_train_lane *l, const struct ink_kernels *kernels, float *dx,
                    const float *dy, const struct ink_gemm_matrix *w, int t, bool adds)
{
    const int rows_at_once = w->values ? w->rows : WIDE_ROWS;
    int begin, end;
    size_t ld;
    ink_train_share(l, pieces(w->cols), &begin, &end);
    for (int i = begin; i < end; i++) {
        const int col = i * INK_GEMM_PIECE, n = piece_length(w->cols, i);
        for (int row = 0; row < w->rows; row += rows_at_once) {
            const int m = w->rows - row < rows_at_once ? w->rows - row : rows_at_once;
            const float *values = part(l, kernels, w, row, m, col, n, &ld);
            ink_gemm(dx + col, (size_t)w->cols, 1, dy + row, (size_t)w->rows, false, values, ld,
                     false, t, n, m, adds || row > 0);
        }
    }
}

void ink_gemm_weight(const struct ink_train_lane *l, float *dw, const float *dy, const float *x,
                     int t, int n, int k, bool adds)
{
    int begin, end;
    ink_train_share(l, pieces(n), &begin, &end);
    for (int i = begin; i < end; i++) {
        const int row = i * INK_GEMM_PIECE;
        ink_gemm(dw + (size_t)row * (size_t)k, (size_t)k, 1, dy + row, (size_t)n, true, x,
                 (size_t)k, false, piece_length(n, i), k, t, adds);
    }
}
