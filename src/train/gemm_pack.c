#include "gemm_pack.h"

#include <string.h>

/* to [16] = by * x [n], the rest 0 */
static void pack_row(float *restrict to, const float *restrict x, int n, float by)
{
    if (n >= INK_GEMM_PANEL) {
        for (int p = 0; p < INK_GEMM_PANEL; p++) {
            to[p] = by * x[p];
        }
        return;
    }
    for (int p = 0; p < INK_GEMM_PANEL; p++) {
        to[p] = p < n ? by * x[p] : 0.0f;
    }
}

void ink_gemm_pack_by(float *to, size_t panel, const float *x, size_t ldx, int rows, int cols,
                      float by)
{
    for (int j = 0; j < cols; j += INK_GEMM_PANEL, to += panel) {
        for (int i = 0; i < rows; i++) {
            pack_row(to + (size_t)i * INK_GEMM_PANEL, x + (size_t)i * ldx + (size_t)j, cols - j,
                     by);
        }
    }
}

void ink_gemm_pack_rows(const struct ink_gemm_math *math, float *to, size_t panel, const float *x,
                        size_t ldx, int rows, int cols)
{
    const int whole = cols / INK_GEMM_PANEL;
    if (math->is_bf16) {
        math->kernels->gemm_pack_bf16(to, panel, x, ldx, rows, cols);
        return;
    }
    math->kernels->gemm_pack(to, panel, x, ldx, rows, whole);
    ink_gemm_pack_by(to + (size_t)whole * panel, panel, x + (size_t)whole * INK_GEMM_PANEL, ldx,
                     rows, cols - whole * INK_GEMM_PANEL, 1);
}

/* Four rows at a time: their lines and those of `to` stay in the cache. */
void ink_gemm_turn_panel(const struct ink_kernels *kernels, float *to, const float *x, size_t ldx,
                         int rows, int n)
{
    for (int i = 0; rows < INK_GEMM_PANEL && i < n; i++) {
        memset(to + (size_t)i * INK_GEMM_PANEL + rows, 0,
               (size_t)(INK_GEMM_PANEL - rows) * sizeof *to);
    }
    for (int p = 0; p < rows; p += 4) {
        kernels->turn(to + p, INK_GEMM_PANEL, x + (size_t)p * ldx, ldx, rows - p < 4 ? rows - p : 4,
                      n, false);
    }
}

struct ink_gemm_rows ink_gemm_narrow(const struct ink_gemm_math *math, float *room, size_t ld,
                                     const float *x, size_t ldx, int rows, int n)
{
    for (int i = 0; i < rows && math->is_bf16; i++) {
        char *to = (char *)(room + (size_t)i * ld);
        math->kernels->bf16_from_f32(to, x + (size_t)i * ldx, (size_t)n);
        if (n % 2) {
            memset(to + 2 * (size_t)n, 0, 2); /* what the last one is paired with */
        }
    }
    return math->is_bf16 ? (struct ink_gemm_rows){room, ld} : (struct ink_gemm_rows){x, ldx};
}

void ink_gemm_pack_turned(const struct ink_gemm_math *math, float *to, size_t panel, const float *x,
                          size_t ldx, int rows, int cols)
{
    enum { AT_ONCE = 64 };
    float room[INK_GEMM_PANEL * AT_ONCE];
    for (int j = 0; j < rows; j += INK_GEMM_PANEL, to += panel) {
        const int n_rows = rows - j < INK_GEMM_PANEL ? rows - j : INK_GEMM_PANEL;
        for (int i = 0; i < cols; i += AT_ONCE) {
            const int n = cols - i < AT_ONCE ? cols - i : AT_ONCE;
            const struct ink_gemm_rows from = ink_gemm_narrow(
                math, room, AT_ONCE, x + (size_t)j * ldx + (size_t)i, ldx, n_rows, n);
            ink_gemm_turn_panel(math->kernels,
                                to + (size_t)ink_gemm_steps(math, i) * INK_GEMM_PANEL, from.at,
                                from.ld, n_rows, ink_gemm_steps(math, n));
        }
    }
}

void ink_gemm_put(float *y, size_t ldy, const float *x, size_t ldx, int rows, int cols, bool adds)
{
    for (int i = 0; i < rows; i++) {
        float *to = y + (size_t)i * ldy;
        const float *from = x + (size_t)i * ldx;
        for (int j = 0; j < cols && !adds; j++) {
            to[j] = from[j];
        }
        for (int j = 0; j < cols && adds; j++) {
            to[j] += from[j];
        }
    }
}
