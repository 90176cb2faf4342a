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

struct forward {
    const struct ink_network *net;
    const struct linear_call *call;
};

static void after_forward(void *context, const struct ink_gemm_part *p)
{
    const struct forward *s = context;
    const struct linear *f = s->call->f;
    const size_t n = (size_t)f->weight->matrix.rows, r = (size_t)s->net->adapter.rank;
    float *y = s->call->y + (size_t)p->token * n + (size_t)p->col;
    if (f->bias) {
        ink_bias_forward(y, n, f->bias->value + p->col, p->n_tokens, p->n_cols);
    }
    if (f->b) {
        ink_gemm(s->net->kernels, y, n, (float)s->net->adapter.scale,
                 s->call->low + (size_t)p->token * r, r, false, f->b->value + (size_t)p->col * r, r,
                 true, p->n_tokens, p->n_cols, (int)r, true);
    }
}

void ink_linear_forward(const struct ink_train_lane *l, const struct ink_network *net,
                        const struct linear_call *calls, int n, const float *x, bool adds)
{
    struct ink_gemm_map maps[INK_LINEAR_MAPS] = {{0}};
    struct forward forward[INK_LINEAR_MAPS];
    for (int i = 0; i < n; i++) {
        forward[i] = (struct forward){net, &calls[i]};
        maps[i] = (struct ink_gemm_map){
            calls[i].y, &calls[i].f->weight->matrix, {after_forward, &forward[i]}};
    }
    ink_gemm_forward(l, &net->math, maps, n, x, net->batch->n_tokens, adds);
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

struct backward {
    struct ink_network *net;
    const struct linear_use *use;
    float *dx;
};

/* A part of to [T, ld] (+)= the same part of `from`, masked. */
static void mask_part(const struct mask *m, float *to, const float *from, size_t ld,
                      const struct ink_gemm_part *p, bool adds)
{
    for (int i = p->token; i < p->token + p->n_tokens; i++) {
        for (int j = p->col; j < p->col + p->n_cols; j++) {
            const size_t at = (size_t)i * ld + (size_t)j;
            to[at] = (adds ? to[at] : 0.0f) + masked(m, from[at], i, j);
        }
    }
}

/* Of a part of dx: dx += dropped (d_low a), da (+)= d_lowᵀ dropped x. With dropout both go through
 * net->dropped, of which the part is nobody else's. */
static void after_backward(void *context, const struct ink_gemm_part *p)
{
    const struct backward *s = context;
    struct ink_network *net = s->net;
    const struct linear *f = s->use->f;
    const size_t ld = (size_t)f->weight->matrix.cols, r = (size_t)net->adapter.rank;
    const size_t at = (size_t)p->token * ld + (size_t)p->col;
    const float *d_low = s->use->d_low + (size_t)p->token * r, *x = s->use->x, *a = f->a->value;
    const struct mask m = mask_of(net, f);
    const bool is_dropping = drops(net);
    if (is_dropping) {
        mask_part(&m, net->dropped, x, ld, p, false);
        x = net->dropped;
    }
    ink_gemm(net->kernels, f->a->gradient + p->col, ld, 1, d_low, r, true, x + at, ld, false,
             (int)r, p->n_cols, p->n_tokens, net->adds);
    ink_gemm(net->kernels, (is_dropping ? net->dropped : s->dx) + at, ld, 1, d_low, r, false,
             a + p->col, ld, false, p->n_tokens, p->n_cols, (int)r, !is_dropping);
    if (is_dropping) {
        mask_part(&m, s->dx, net->dropped, ld, p, true);
    }
}

/* db (+)= scale * dyᵀ low */
static void b_gradient(const struct ink_train_lane *l, const struct ink_network *net,
                       const struct linear_use *use)
{
    const struct linear *f = use->f;
    const int t = net->batch->n_tokens, r = net->adapter.rank, n_out = f->weight->matrix.rows;
    int begin, end;
    ink_threads_share(l->index, l->count, n_out, INK_GEMM_ROWS, &begin, &end);
    ink_gemm(net->kernels, f->b->gradient + (size_t)begin * (size_t)r, (size_t)r,
             (float)net->adapter.scale, use->dy + begin, (size_t)n_out, true, use->low, (size_t)r,
             false, end - begin, r, t, net->adds);
}

static void parameters_backward(const struct ink_train_lane *l, const struct ink_network *net,
                                const struct linear_use *use)
{
    const struct linear *f = use->f;
    const int n = f->weight->matrix.rows, k = f->weight->matrix.cols, t = net->batch->n_tokens;
    if (f->weight->gradient) {
        ink_gemm_weight(l, &net->math, f->weight->gradient, use->dy, use->x, t, n, k, net->adds);
    }
    if (f->bias && f->bias->gradient) {
        ink_bias_backward(l, f->bias->gradient, use->dy, t, n, net->adds);
    }
    if (f->b) {
        b_gradient(l, net, use);
    }
}

void ink_linear_backward(const struct ink_train_lane *l, struct ink_network *net, float *dx,
                         const struct linear_use *uses, int n)
{
    struct ink_gemm_product products[INK_LINEAR_MAPS] = {{0}};
    struct backward backward[INK_LINEAR_MAPS];
    for (int i = 0; i < n; i++) {
        const struct linear *f = uses[i].f;
        backward[i] = (struct backward){net, &uses[i], dx};
        products[i] = (struct ink_gemm_product){
            uses[i].dy, &f->weight->matrix, {f->a ? after_backward : NULL, &backward[i]}};
    }
    ink_gemm_input(l, &net->math, dx, products, n, net->batch->n_tokens, false);
    for (int i = 0; i < n; i++) {
        parameters_backward(l, net, &uses[i]);
    }
}
