#include "gemm.h"

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

void ink_gemm_forward(const struct ink_train_lane *l, float *y, size_t ldy, const float *x,
                      size_t ldx, const float *w, size_t ldw, int t, int n, int k, bool adds)
{
    int begin, end;
    ink_train_share(l, pieces(n), &begin, &end);
    for (int i = begin; i < end; i++) {
        size_t at = (size_t)i * INK_GEMM_PIECE;
        ink_gemm(y + at, ldy, x, ldx, false, w + at * ldw, ldw, true, t, piece_length(n, i), k,
                 adds);
    }
}

void ink_gemm_input(const struct ink_train_lane *l, float *dx, size_t ldx, const float *dy,
                    size_t ldy, const float *w, size_t ldw, int t, int n, int k, bool adds)
{
    int begin, end;
    ink_train_share(l, pieces(k), &begin, &end);
    for (int i = begin; i < end; i++) {
        size_t at = (size_t)i * INK_GEMM_PIECE;
        ink_gemm(dx + at, ldx, dy, ldy, false, w + at, ldw, false, t, piece_length(k, i), n, adds);
    }
}

void ink_gemm_weight(const struct ink_train_lane *l, float *dw, size_t ldw, const float *dy,
                     size_t ldy, const float *x, size_t ldx, int t, int n, int k, bool adds)
{
    int begin, end;
    ink_train_share(l, pieces(n), &begin, &end);
    for (int i = begin; i < end; i++) {
        size_t at = (size_t)i * INK_GEMM_PIECE;
        ink_gemm(dw + at * ldw, ldw, dy + at, ldy, true, x, ldx, false, piece_length(n, i), k, t,
                 adds);
    }
}
