#include "network_linear.h"

#include "random.h"

enum { ROWS = 32 }; /* of a piece where rows are dealt out */

/* ------------------------------------------------------------------------------------- dropout */

/* Which inputs are dropped is a function of seed, matrix, row of the step and column alone: the
 * forward pass, its repetition and the backward pass agree, whatever lane or process computes them.
 */
struct mask {
    uint64_t seed;
    uint64_t first_row;
    uint32_t threshold; /* of 32 bits: below it is dropped */
    float by;           /* 1 / (1 - dropout) */
};

static struct mask mask_of(const struct ink_network *net, const struct linear *f)
{
    const double p = net->adapter.dropout;
    return (struct mask){.seed =
                             ink_random_mix(net->seed + INK_RANDOM_STEP * (uint64_t)(f->index + 1)),
                         .first_row = (uint64_t)net->batch->first_row,
                         .threshold = (uint32_t)(p * 4294967296.0),
                         .by = (float)(1 / (1 - p))};
}

static float masked(const struct mask *m, float x, int row, int col)
{
    const uint64_t at = (m->first_row + (uint64_t)row) << 32 | (uint64_t)col;
    const uint64_t bits = ink_random_mix(m->seed + at);
    return (uint32_t)(bits >> 32) < m->threshold ? 0.0f : x * m->by;
}

static bool drops(const struct ink_network *net)
{
    return net->adapter.dropout > 0 && net->goes_back;
}

/* Rows begin..end-1 of x [T, K] with some of their values dropped. */
static const float *dropped(const struct ink_network *net, const float *x, const struct linear *f,
                            int begin, int end)
{
    const int k = f->weight->matrix.cols;
    const struct mask m = mask_of(net, f);
    if (!drops(net)) {
        return x;
    }
    for (int i = begin; i < end; i++) {
        const size_t at = (size_t)i * (size_t)k;
        for (int j = 0; j < k; j++) {
            net->dropped[at + (size_t)j] = masked(&m, x[at + (size_t)j], i, j);
        }
    }
    return net->dropped;
}

/* ------------------------------------------------------------------------------------- forward */

void ink_linear_project(const struct ink_train_lane *l, struct ink_network *net, float *low,
                        const float *x, const struct linear *f)
{
    const int t = net->batch->n_tokens, k = f->weight->matrix.cols, r = net->adapter.rank;
    int begin, end;
    if (!f->a) {
        return;
    }
    ink_train_share(l, (t + ROWS - 1) / ROWS, &begin, &end);
    for (int i = begin; i < end; i++) {
        const int row = i * ROWS, n = t - row < ROWS ? t - row : ROWS;
        const float *from = dropped(net, x, f, row, row + n);
        ink_gemm(net->kernels, low + (size_t)row * (size_t)r, (size_t)r, 1,
                 from + (size_t)row * (size_t)k, (size_t)k, false, f->a->value, (size_t)k, true, n,
                 r, k, false);
    }
}

void ink_linear_forward(const struct ink_train_lane *l, const struct ink_network *net, float *y,
                        const float *x, const float *low, const struct linear *f, bool adds)
{
    const int n = f->weight->matrix.rows, t = net->batch->n_tokens, r = net->adapter.rank;
    ink_gemm_forward(l, net->kernels, y, x, &f->weight->matrix, t, adds);
    if (f->bias) {
        ink_bias_forward(l, y, f->bias->value, t, n);
    }
    if (f->b) {
        int begin, end;
        ink_gemm_share(l, n, &begin, &end);
        ink_gemm(net->kernels, y + begin, (size_t)n, (float)net->adapter.scale, low, (size_t)r,
                 false, f->b->value + (size_t)begin * (size_t)r, (size_t)r, true, t, end - begin, r,
                 true);
    }
}

/* ------------------------------------------------------------------------------------ backward */

void ink_linear_unproject(const struct ink_train_lane *l, const struct ink_network *net,
                          float *d_low, const float *dy, const struct linear *f)
{
    const int t = net->batch->n_tokens, n_out = f->weight->matrix.rows, r = net->adapter.rank;
    int begin, end;
    if (!f->b) {
        return;
    }
    ink_train_share(l, (t + ROWS - 1) / ROWS, &begin, &end);
    for (int i = begin; i < end; i++) {
        const int row = i * ROWS, n = t - row < ROWS ? t - row : ROWS;
        ink_gemm(net->kernels, d_low + (size_t)row * (size_t)r, (size_t)r,
                 (float)net->adapter.scale, dy + (size_t)row * (size_t)n_out, (size_t)n_out, false,
                 f->b->value, (size_t)r, false, n, r, n_out, false);
    }
}

/* Columns col..col+n-1: dx += dropped (d_low a), da (+)= d_lowᵀ dropped x. With dropout both go
 * through the lane's scratch, [T, n] at most. */
static void low_columns(const struct ink_network *net, float *dx, const float *x,
                        const float *d_low, const struct linear *f, int col, int n)
{
    const int t = net->batch->n_tokens, k = f->weight->matrix.cols, r = net->adapter.rank;
    const size_t ld = (size_t)k;
    const struct mask m = mask_of(net, f);
    const bool is_dropping = drops(net);
    float *part = net->dropped; /* its columns col.. are this lane's */
    for (int i = 0; i < t && is_dropping; i++) {
        for (int j = col; j < col + n; j++) {
            part[(size_t)i * ld + (size_t)j] = masked(&m, x[(size_t)i * ld + (size_t)j], i, j);
        }
    }
    ink_gemm(net->kernels, f->a->gradient + col, ld, 1, d_low, (size_t)r, true,
             (is_dropping ? part : x) + col, ld, false, r, n, t, net->adds);
    if (!is_dropping) {
        ink_gemm(net->kernels, dx + col, ld, 1, d_low, (size_t)r, false, f->a->value + col, ld,
                 false, t, n, r, true);
        return;
    }
    ink_gemm(net->kernels, part + col, ld, 1, d_low, (size_t)r, false, f->a->value + col, ld, false,
             t, n, r, false);
    for (int i = 0; i < t; i++) {
        for (int j = col; j < col + n; j++) {
            const size_t at = (size_t)i * ld + (size_t)j;
            dx[at] += masked(&m, part[at], i, j);
        }
    }
}

static void low_backward(const struct ink_train_lane *l, struct ink_network *net, float *dx,
                         const float *dy, const float *x, const float *low, const float *d_low,
                         const struct linear *f)
{
    const int t = net->batch->n_tokens, r = net->adapter.rank;
    const int n_out = f->weight->matrix.rows;
    int begin, end;
    ink_gemm_input_share(l, &f->weight->matrix, &begin, &end);
    low_columns(net, dx, x, d_low, f, begin, end - begin);
    ink_gemm_share(l, n_out, &begin, &end);
    ink_gemm(net->kernels, f->b->gradient + (size_t)begin * (size_t)r, (size_t)r,
             (float)net->adapter.scale, dy + begin, (size_t)n_out, true, low, (size_t)r, false,
             end - begin, r, t, net->adds);
}

void ink_linear_backward(const struct ink_train_lane *l, struct ink_network *net, float *dx,
                         const float *dy, const float *x, const float *low, const float *d_low,
                         const struct linear *f, bool adds)
{
    const int n = f->weight->matrix.rows, k = f->weight->matrix.cols, t = net->batch->n_tokens;
    ink_gemm_input(l, net->kernels, dx, dy, &f->weight->matrix, t, adds);
    if (f->weight->gradient) {
        ink_gemm_weight(l, net->kernels, f->weight->gradient, dy, x, t, n, k, net->adds);
    }
    if (f->bias && f->bias->gradient) {
        ink_bias_backward(l, f->bias->gradient, dy, t, n, net->adds);
    }
    if (f->a) {
        low_backward(l, net, dx, dy, x, low, d_low, f);
    }
}
