#include "ops.h"

#include "fixedmath.h"

#include <math.h>
#include <string.h>

enum { COLUMNS = 64 }; /* a piece where sums run over rows */

void ink_rows_copy(const struct ink_train_lane *l, float *to, const float *from, int t, int h)
{
    int begin, end;
    ink_train_share(l, t, &begin, &end);
    memcpy(to + (size_t)begin * (size_t)h, from + (size_t)begin * (size_t)h,
           (size_t)(end - begin) * (size_t)h * sizeof *to);
}

void ink_rows_clear(const struct ink_train_lane *l, float *x, int t, int h)
{
    int begin, end;
    ink_train_share(l, t, &begin, &end);
    memset(x + (size_t)begin * (size_t)h, 0, (size_t)(end - begin) * (size_t)h * sizeof *x);
}

/* ------------------------------------------------------------------------------------ RMSNorm */

void ink_norm_forward(const struct ink_train_lane *l, const struct ink_kernels *k, float *y,
                      float *scales, const float *x, const float *gain, int t, int h, float eps)
{
    int begin, end;
    ink_train_share(l, t, &begin, &end);
    for (int i = begin; i < end; i++) {
        const float *row = x + (size_t)i * (size_t)h;
        double squares = 0;
        for (int j = 0; j < h; j++) {
            squares += (double)row[j] * (double)row[j];
        }
        scales[i] = (float)(1.0 / sqrt(squares / h + (double)eps));
        k->rmsnorm(y + (size_t)i * (size_t)h, row, gain, h, eps);
    }
}

void ink_norm_backward(const struct ink_train_lane *l, float *dx, const float *dy, const float *x,
                       const float *scales, const float *gain, int t, int h)
{
    int begin, end;
    ink_train_share(l, t, &begin, &end);
    for (int i = begin; i < end; i++) {
        const size_t at = (size_t)i * (size_t)h;
        const float *restrict xi = x + at, *restrict dyi = dy + at;
        float *restrict dxi = dx + at;
        double dot = 0;
        for (int j = 0; j < h; j++) {
            dot += (double)(dyi[j] * gain[j]) * (double)xi[j];
        }
        const float s = scales[i], c = (float)(dot / h) * s * s;
        for (int j = 0; j < h; j++) {
            dxi[j] += s * (dyi[j] * gain[j] - xi[j] * c);
        }
    }
}

void ink_norm_gain(const struct ink_train_lane *l, float *dgain, const float *dy, const float *x,
                   const float *scales, int t, int h, bool adds)
{
    int begin, end;
    ink_train_share(l, (h + COLUMNS - 1) / COLUMNS, &begin, &end);
    for (int p = begin; p < end; p++) {
        const int from = p * COLUMNS, n = h - from < COLUMNS ? h - from : COLUMNS;
        float sums[COLUMNS] = {0};
        for (int i = 0; i < t; i++) {
            const size_t at = (size_t)i * (size_t)h + (size_t)from;
            for (int j = 0; j < n; j++) {
                sums[j] += dy[at + (size_t)j] * x[at + (size_t)j] * scales[i];
            }
        }
        for (int j = 0; j < n; j++) {
            dgain[from + j] = adds ? dgain[from + j] + sums[j] : sums[j];
        }
    }
}

/* -------------------------------------------------------------------------------------- biases */

void ink_bias_forward(float *y, size_t ldy, const float *bias, int t, int n)
{
    for (int i = 0; i < t; i++, y += ldy) {
        for (int j = 0; j < n; j++) {
            y[j] += bias[j];
        }
    }
}

void ink_bias_backward(const struct ink_train_lane *l, float *dbias, const float *dy, int t, int n,
                       bool adds)
{
    int begin, end;
    ink_threads_share(l->index, l->count, n, INK_GEMM_ROWS, &begin, &end);
    for (int i = 0; i < t; i++) {
        const float *row = dy + (size_t)i * (size_t)n;
        for (int j = begin; j < end; j++) {
            dbias[j] = i == 0 && !adds ? row[j] : dbias[j] + row[j];
        }
    }
}

/* ---------------------------------------------------------------------------------- positions */

void ink_rotate(const struct ink_train_lane *l, const struct ink_kernels *k, float *x,
                const float *cosines, const float *sines, int t, int n_heads, int head_dim,
                bool half)
{
    int begin, end;
    ink_train_share(l, t * n_heads, &begin, &end);
    for (int i = begin; i < end; i++) {
        const size_t angles = (size_t)(i / n_heads) * (size_t)(head_dim / 2);
        (half ? k->rope_half : k->rope_interleaved)(x + (size_t)i * (size_t)head_dim,
                                                    cosines + angles, sines + angles, head_dim);
    }
}

/* ------------------------------------------------------------------------------------- SwiGLU */

void ink_swiglu_forward(const struct ink_train_lane *l, const struct ink_kernels *k, float *y,
                        const float *gate, const float *up, int t, int n)
{
    int begin, end;
    ink_train_share(l, t, &begin, &end);
    for (int i = begin; i < end; i++) {
        const size_t at = (size_t)i * (size_t)n;
        k->swiglu(y + at, gate + at, up + at, n);
    }
}

void ink_swiglu_backward(const struct ink_train_lane *l, const struct ink_kernels *k, float *gate,
                         float *up, const float *dy, int t, int n)
{
    enum { PIECE = 256 };
    int begin, end;
    ink_train_share(l, t, &begin, &end);
    for (int i = begin; i < end; i++) {
        for (int from = 0; from < n; from += PIECE) {
            const size_t at = (size_t)i * (size_t)n + (size_t)from;
            const int m = n - from < PIECE ? n - from : PIECE;
            float *restrict g = gate + at, *restrict u = up + at;
            const float *restrict d = dy + at;
            float e[PIECE];
            for (int j = 0; j < m; j++) {
                e[j] = -g[j];
            }
            k->exp_below(e, e, 0.0f, (size_t)m);
            for (int j = 0; j < m; j++) {
                const float s = 1.0f / (1.0f + e[j]); /* sigmoid */
                const float dg = d[j] * u[j] * s * (1.0f + g[j] * (1.0f - s));
                u[j] = d[j] * g[j] * s;
                g[j] = dg;
            }
        }
    }
}

/* ---------------------------------------------------------------------------------- embedding */

void ink_embed_forward(const struct ink_train_lane *l, const struct ink_kernels *k, float *y,
                       const struct ink_gemm_matrix *table, const int32_t *tokens, int t)
{
    int begin, end;
    ink_train_share(l, t, &begin, &end);
    for (int i = begin; i < end; i++) {
        ink_gemm_row(k, y + (size_t)i * (size_t)table->cols, table, tokens[i]);
    }
}

void ink_embed_backward(const struct ink_train_lane *l, float *dtable, const float *dy,
                        const int32_t *tokens, int t, int h, int pad)
{
    int begin, end;
    ink_train_share(l, (h + COLUMNS - 1) / COLUMNS, &begin, &end);
    begin *= COLUMNS;
    end = end * COLUMNS < h ? end * COLUMNS : h;
    for (int i = 0; i < t; i++) {
        float *row = dtable + (size_t)tokens[i] * (size_t)h;
        for (int j = begin; j < end && tokens[i] != pad; j++) {
            row[j] += dy[(size_t)i * (size_t)h + (size_t)j];
        }
    }
}

/* ------------------------------------------------------------------------------- cross entropy */

void ink_cross_entropy(const struct ink_train_lane *l, const struct ink_kernels *k, float *logits,
                       double *losses, const int32_t *labels, int r, int v, float by)
{
    int begin, end;
    ink_train_share(l, r, &begin, &end);
    for (int i = begin; i < end; i++) {
        float *row = logits + (size_t)i * (size_t)v;
        float most = row[0];
        double sum = 0;
        for (int j = 1; j < v; j++) {
            most = row[j] > most ? row[j] : most;
        }
        const double label = (double)row[labels[i]] - (double)most;
        k->exp_below(row, row, most, (size_t)v);
        for (int j = 0; j < v; j++) {
            sum += (double)row[j];
        }
        losses[i] = ink_fixed_log(sum) - label;
        const float scale = (float)((double)by / sum);
        for (int j = 0; j < v; j++) {
            row[j] *= scale;
        }
        row[labels[i]] -= by;
    }
}
