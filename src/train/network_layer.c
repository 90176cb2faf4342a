/* One layer, forward and backward. A barrier (sync) stands where a function reads what other lanes
 * wrote; matrix products of one input need none between them. */
#include "network_internal.h"

#include <string.h>

static void sync(const struct ink_train_lane *l)
{
    ink_train_sync(l);
}

/* y [T, rows] = x wᵀ + bias, or y += that */
static void forward(const struct ink_train_lane *l, const struct ink_network *net, float *y,
                    const float *x, const struct linear *f, bool adds)
{
    const int n = f->weight->rows, k = f->weight->cols, t = net->batch->n_tokens;
    ink_gemm_forward(l, y, (size_t)n, x, (size_t)k, f->weight->value, (size_t)k, t, n, k, adds);
    if (f->bias) {
        ink_bias_forward(l, y, f->bias->value, t, n);
    }
}

/* dx (+)= dy w; the gradients of w and the bias */
static void backward(const struct ink_train_lane *l, const struct ink_network *net, float *dx,
                     const float *dy, const float *x, const struct linear *f, bool adds)
{
    const int n = f->weight->rows, k = f->weight->cols, t = net->batch->n_tokens;
    ink_gemm_input(l, dx, (size_t)k, dy, (size_t)n, f->weight->value, (size_t)k, t, n, k, adds);
    if (f->weight->gradient) {
        ink_gemm_weight(l, f->weight->gradient, (size_t)k, dy, (size_t)n, x, (size_t)k, t, n, k,
                        net->adds);
    }
    if (f->bias && f->bias->gradient) {
        ink_bias_backward(l, f->bias->gradient, dy, t, n, net->adds);
    }
}

static void rotate(const struct ink_train_lane *l, const struct ink_network *net, float *query,
                   float *key, const float *sines)
{
    const struct ink_architecture *a = net->architecture;
    ink_rotate(l, net->kernels, query, net->cosines, sines, net->batch->n_tokens, a->n_heads,
               a->head_dim, a->rope_half);
    ink_rotate(l, net->kernels, key, net->cosines, sines, net->batch->n_tokens, a->n_kv_heads,
               a->head_dim, a->rope_half);
}

static void copy_rows(const struct ink_train_lane *l, float *to, const float *from, int t, int h)
{
    int begin, end;
    ink_train_share(l, t, &begin, &end);
    memcpy(to + (size_t)begin * (size_t)h, from + (size_t)begin * (size_t)h,
           (size_t)(end - begin) * (size_t)h * sizeof *to);
}

void ink_layer_forward(const struct ink_train_lane *l, struct ink_network *net, int layer,
                       struct kept *kept, float *x)
{
    const struct layer *w = &net->layers[layer];
    const int t = net->batch->n_tokens, h = net->hidden;
    const float eps = net->architecture->norm_eps;

    copy_rows(l, kept->input, x, t, h);
    ink_norm_forward(l, net->kernels, net->normed, kept->attention_scales, x,
                     w->attention_norm->value, t, h, eps);
    sync(l);
    forward(l, net, kept->query, net->normed, &w->query, false);
    forward(l, net, kept->key, net->normed, &w->key, false);
    forward(l, net, kept->value, net->normed, &w->value, false);
    sync(l);
    rotate(l, net, kept->query, kept->key, net->sines);
    sync(l);
    ink_attention_forward(l, &net->attention, kept->attention, kept->logs, kept->query, kept->key,
                          kept->value);
    sync(l);
    forward(l, net, x, kept->attention, &w->output, true);
    sync(l);

    copy_rows(l, kept->middle, x, t, h);
    ink_norm_forward(l, net->kernels, net->normed, kept->mlp_scales, x, w->mlp_norm->value, t, h,
                     eps);
    sync(l);
    forward(l, net, kept->gate, net->normed, &w->gate, false);
    forward(l, net, kept->up, net->normed, &w->up, false);
    sync(l);
    ink_swiglu_forward(l, net->kernels, net->act, kept->gate, kept->up, t, net->inner);
    sync(l);
    forward(l, net, x, net->act, &w->down, true);
    sync(l);
}

/* dx += the gradient through a norm of x; `normed` is written anew for the weights' gradients
 * before this, by norm_again. */
static void norm_back(const struct ink_train_lane *l, const struct ink_network *net, float *dx,
                      const float *x, const float *scales, const struct ink_parameter *gain)
{
    const int t = net->batch->n_tokens, h = net->hidden;
    ink_norm_backward(l, dx, net->d_normed, x, scales, gain->value, t, h);
    if (gain->gradient) {
        ink_norm_gain(l, gain->gradient, net->d_normed, x, scales, t, h, net->adds);
    }
}

static void norm_again(const struct ink_train_lane *l, const struct ink_network *net,
                       const float *x, float *scales, const struct ink_parameter *gain)
{
    ink_norm_forward(l, net->kernels, net->normed, scales, x, gain->value, net->batch->n_tokens,
                     net->hidden, net->architecture->norm_eps);
}

static void mlp_backward(const struct ink_train_lane *l, struct ink_network *net,
                         const struct layer *w, const struct kept *kept, float *dx)
{
    const int t = net->batch->n_tokens;
    norm_again(l, net, kept->middle, kept->mlp_scales, w->mlp_norm);
    ink_swiglu_forward(l, net->kernels, net->act, kept->gate, kept->up, t, net->inner);
    sync(l);
    backward(l, net, net->d_act, dx, net->act, &w->down, false);
    sync(l);
    ink_swiglu_backward(l, net->kernels, kept->gate, kept->up, net->d_act, t, net->inner);
    sync(l);
    backward(l, net, net->d_normed, kept->gate, net->normed, &w->gate, false);
    backward(l, net, net->d_normed, kept->up, net->normed, &w->up, true);
    sync(l);
    norm_back(l, net, dx, kept->middle, kept->mlp_scales, w->mlp_norm);
    sync(l);
}

static void attention_backward(const struct ink_train_lane *l, struct ink_network *net,
                               const struct layer *w, const struct kept *kept, float *dx)
{
    const struct ink_architecture *a = net->architecture;
    const int t = net->batch->n_tokens;
    norm_again(l, net, kept->input, kept->attention_scales, w->attention_norm);
    backward(l, net, net->d_attention, dx, kept->attention, &w->output, false);
    sync(l);
    ink_attention_backward(l, &net->attention, net->d_query, net->d_key_heads, net->d_value_heads,
                           net->d_attention, kept->attention, kept->logs, kept->query, kept->key,
                           kept->value);
    sync(l);
    ink_attention_gather(l, net->d_key, net->d_key_heads, t, a->n_heads, a->n_kv_heads,
                         a->head_dim);
    ink_attention_gather(l, net->d_value, net->d_value_heads, t, a->n_heads, a->n_kv_heads,
                         a->head_dim);
    sync(l);
    rotate(l, net, net->d_query, net->d_key, net->back_sines);
    sync(l);
    backward(l, net, net->d_normed, net->d_query, net->normed, &w->query, false);
    backward(l, net, net->d_normed, net->d_key, net->normed, &w->key, true);
    backward(l, net, net->d_normed, net->d_value, net->normed, &w->value, true);
    sync(l);
    norm_back(l, net, dx, kept->input, kept->attention_scales, w->attention_norm);
    sync(l);
}

void ink_layer_backward(const struct ink_train_lane *l, struct ink_network *net, int layer,
                        const struct kept *kept, float *dx)
{
    mlp_backward(l, net, &net->layers[layer], kept, dx);
    attention_backward(l, net, &net->layers[layer], kept, dx);
}
